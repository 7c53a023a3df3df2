/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Linux kernels by the 64-bit boot protocol: what the kernel finds, at the
 * places and in the words of Linux's documentation; and files that are not
 * what they say.
 */

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot_fake.h"

#define	SETUP		(3 * 512u)	/* boot sector and two more */
#define	PROPER		(64 * 16u)
#define	LEN		(SETUP + PROPER)
#define	PREF		0x1000000u

static uint8_t image[LEN];

static void
put(unsigned at, unsigned size, uint64_t v)
{

	memcpy(image + at, &v, size);
}

static void
make_image(void)
{

	memset(image, 0, sizeof(image));
	put(0x1F1, 1, 2);		/* setup_sects */
	put(0x1F4, 4, PROPER / 16);	/* syssize */
	put(0x1FE, 2, 0xAA55);
	memcpy(image + 0x202, "HdrS", 4);
	put(0x206, 2, 0x20F);		/* version */
	put(0x20E, 2, 0x300 - 0x200);	/* kernel_version */
	put(0x211, 1, 1);		/* loaded high */
	put(0x22C, 4, 0x7FFFFFFF);	/* initrd_addr_max */
	put(0x236, 2, 1);		/* 64-bit entry */
	put(0x238, 4, 255);		/* cmdline_size */
	put(0x258, 8, PREF);
	put(0x260, 4, 0x200000);	/* init_size */
	strcpy((char *)image + 0x300, "6.99.1-test (someone@somewhere) #1");
	for (unsigned i = SETUP; i < LEN; i++)
		image[i] = (uint8_t)(i * 7);
	save("kernel", image, LEN);
}

ATF_TC_WITHOUT_HEAD(found);
ATF_TC_BODY(found, tc)
{
	struct vmm_boot_params bp = { .kernel = "kernel",
	    .initrd = "initrd", .cmdline = "console=ttyS0 x=\"y z\"" };
	static uint8_t initrd[5000];
	uint64_t zp, rd;

	machine(128 * MIB, 16 * MIB);
	make_image();
	memset(initrd, 0x5A, sizeof(initrd));
	save("initrd", initrd, sizeof(initrd));
	start(&bp);
	ATF_CHECK_STREQ("Linux 6.99.1-test", vmm_boot_name(boot));

	/* The kernel proper, entered 0x200 behind its beginning. */
	ATF_CHECK_EQ(PREF + 0x200, regs.rip);
	ATF_CHECK_EQ(0, memcmp(at(PREF, PROPER), image + SETUP, PROPER));
	/* Long mode on tables that map the first 4 GiB one to one. */
	ATF_CHECK((u64_at(u64_at(regs.cr3) & ~0xFFFull) & 1) == 1);
	ATF_CHECK_EQ(0xFFE00083 & ~0u, u64_at((u64_at((u64_at(regs.cr3) &
	    ~0xFFFull) + 24) & ~0xFFFull) + 511 * 8) & 0xFFFFFFFFu);
	/* 64-bit code at 0x10, data at 0x18. */
	ATF_CHECK_EQ(0x00AF9B000000FFFFull, u64_at(regs.gdt + 0x10));
	ATF_CHECK_EQ(0x00CF93000000FFFFull, u64_at(regs.gdt + 0x18));

	/* The zero page: header as in the file, with what a loader fills in. */
	zp = regs.rsi;
	ATF_CHECK_EQ(0, memcmp(at(zp + 0x202, 4), "HdrS", 4));
	ATF_CHECK_EQ(0xFF, *(const uint8_t *)at(zp + 0x210, 1));
	ATF_CHECK_EQ(RSDP, u64_at(zp + 0x70));
	ATF_CHECK_STREQ(bp.cmdline, (const char *)at(u32_at(zp + 0x228), 64));
	rd = u32_at(zp + 0x218);
	ATF_CHECK_EQ(sizeof(initrd), u32_at(zp + 0x21C));
	ATF_CHECK_EQ(0, rd % 4096);
	ATF_CHECK(rd >= PREF + 0x200000 && rd + sizeof(initrd) <= 128 * MIB);
	ATF_CHECK_EQ(0, memcmp(at(rd, sizeof(initrd)), initrd,
	    sizeof(initrd)));
	/* RAM, and what is not. */
	ATF_CHECK_EQ(5, *(const uint8_t *)at(zp + 0x1E8, 1));
	ATF_CHECK_EQ(0, u64_at(zp + 0x2D0));
	ATF_CHECK_EQ(0x9FC00, u64_at(zp + 0x2D8));
	ATF_CHECK_EQ(1, u32_at(zp + 0x2E0));
	ATF_CHECK_EQ(1 * MIB, u64_at(zp + 0x2D0 + 3 * 20));
	ATF_CHECK_EQ(127 * MIB, u64_at(zp + 0x2D0 + 3 * 20 + 8));
	ATF_CHECK_EQ(1ull << 32, u64_at(zp + 0x2D0 + 4 * 20));
	ATF_CHECK_EQ(16 * MIB, u64_at(zp + 0x2D0 + 4 * 20 + 8));
	machine_end();
}

ATF_TC_WITHOUT_HEAD(bad_files);
ATF_TC_BODY(bad_files, tc)
{
	struct vmm_boot_params bp = { .kernel = "kernel" };
	char longline[300];

	machine(128 * MIB, 0);
	for (unsigned len = 0x268; len < LEN; len++) {
		make_image();
		save("kernel", image, len);
		refused(&bp, "kernel: the Linux kernel is truncated");
	}
	make_image();
	put(0x236, 2, 0);
	save("kernel", image, LEN);
	refused(&bp, "without a 64-bit entry");
	make_image();
	put(0x206, 2, 0x20A);
	save("kernel", image, LEN);
	refused(&bp, "without a 64-bit entry");
	make_image();
	put(0x258, 8, 0x7000);
	save("kernel", image, LEN);
	refused(&bp, "needs");
	make_image();
	put(0x258, 8, UINT64_MAX - 100);
	save("kernel", image, LEN);
	refused(&bp, "needs");
	make_image();
	put(0x260, 4, 0xFFFFFFFF);
	save("kernel", image, LEN);
	refused(&bp, "needs 4095 MiB of memory from 0x1000000 on, "
	    "the guest has 128 MiB");
	/* A version text that begins outside of the set-up. */
	make_image();
	put(0x20E, 2, 0xFFFF);
	save("kernel", image, LEN);
	ATF_CHECK(survives(&bp, "kernel"));

	make_image();
	memset(longline, 'x', sizeof(longline) - 1);
	longline[sizeof(longline) - 1] = '\0';
	bp.cmdline = longline;
	refused(&bp, "takes a command line of 255 bytes, not 299");
	bp.cmdline = NULL;
	bp.initrd = "nowhere";
	refused(&bp, "nowhere: No such file");
	bp.initrd = ".";
	refused(&bp, "not a regular file");
	save("initrd", "", 0);
	bp.initrd = "initrd";
	refused(&bp, "initrd: is empty");
	bp.initrd = NULL;
	bp.kenv[bp.nkenv++] = "a=b";
	refused(&bp, "is a Linux kernel");
	machine_end();
}

/* Any byte of the header may be any other: a sentence or a kernel. */
ATF_TC_WITHOUT_HEAD(any_header);
ATF_TC_BODY(any_header, tc)
{
	struct vmm_boot_params bp = { .kernel = "kernel" };

	machine(64 * MIB, 0);
	for (unsigned i = 0x1F1; i < 0x268; i++) {
		for (unsigned v = 0; v < 256; v += 51) {
			make_image();
			image[i] = (uint8_t)v;
			save("kernel", image, LEN);
			survives(&bp, "kernel");
		}
	}
	machine_end();
}

/* A RAM disk larger than what is left beside the kernel. */
ATF_TC_WITHOUT_HEAD(large_initrd);
ATF_TC_BODY(large_initrd, tc)
{
	struct vmm_boot_params bp = { .kernel = "kernel",
	    .initrd = "initrd" };
	size_t len = 64 * MIB;
	uint8_t *data;

	machine(64 * MIB, 0);
	make_image();
	data = calloc(1, len);
	ATF_REQUIRE(data != NULL);
	save("initrd", data, len);
	refused(&bp, "initrd: 64 MiB do not fit into the guest's memory");
	save("initrd", data, 45 * MIB);
	ATF_CHECK(survives(&bp, "initrd"));
	save("initrd", data, 47 * MIB);
	refused(&bp, "do not fit");
	free(data);
	machine_end();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, found);
	ATF_TP_ADD_TC(tp, bad_files);
	ATF_TP_ADD_TC(tp, any_header);
	ATF_TP_ADD_TC(tp, large_initrd);
	return (atf_no_error());
}
