/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Both channels driven at once, each by a thread as by a vCPU, while a third
 * pumps and a fourth turns PCI decoding over and over.
 */

#include <atf-c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "ata.h"

#define	MB	(1u << 20)
#define	ROUNDS	300

static atomic_bool done;

static void *
pump(void *arg)
{

	while (!atomic_load(&done))
		fake_pump(&m);
	return (NULL);
}

static void *
configure(void *arg)
{

	while (!atomic_load(&done)) {
		pci_write(7, 1, 0x44, 1, 0x12);
		(void)pci_read(7, 1, 0x20, 4);
	}
	return (NULL);
}

/* Without the helpers that pump: this thread only touches ports. */
static void *
drive(void *arg)
{
	const struct ata *a = arg;
	uint32_t at = a == &ata0 ? 0x100000 : 0x200000;
	uint32_t table = a == &ata0 ? 0x1000 : 0x2000;
	struct prd prd[1] = { { at, 8192 } };

	bm_table(table, prd, 1);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		for (unsigned rd = 0; rd < 2; rd++) {
			if (rd == 0)
				fill(m.mem + at, 8192, k);
			else
				memset(m.mem + at, 0, 8192);
			outb(a->base + 6, 0xE0);
			outb(a->base + 2, 16);
			outb(a->base + 3, (uint8_t)(k * 16));
			outb(a->base + 4, (uint8_t)(k >> 4 & 7));
			outb(a->base + 5, 0);
			bm_setup(a, table);
			outb(a->base + 7, rd == 0 ? 0xCA : 0xC8);
			bm_start(a, rd != 0);
			while (!atomic_load(&m.line[a->irq]))
				;
			ATF_REQUIRE_EQ(0x50, inb(a->base + 7));
			bm_stop(a);
		}
		for (uint32_t i = 0; i < 8192; i++)
			ATF_REQUIRE_EQ((uint8_t)(i * 31 + k * 7 + i / 509),
			    m.mem[at + i]);
	}
	return (NULL);
}

ATF_TC_WITHOUT_HEAD(channels);
ATF_TC_BODY(channels, tc)
{
	pthread_t helper[2], vcpu[2];

	setup();
	disk(0, 0, "image0", MB, false);
	disk(1, 0, "image1", MB, false);
	ATF_REQUIRE_EQ(0, pthread_create(&helper[0], NULL, pump, NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&helper[1], NULL, configure, NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&vcpu[0], NULL, drive,
	    (void *)(uintptr_t)&ata0));
	ATF_REQUIRE_EQ(0, pthread_create(&vcpu[1], NULL, drive,
	    (void *)(uintptr_t)&ata1));
	pthread_join(vcpu[0], NULL);
	pthread_join(vcpu[1], NULL);
	atomic_store(&done, true);
	pthread_join(helper[0], NULL);
	pthread_join(helper[1], NULL);
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, channels);
	return (atf_no_error());
}
