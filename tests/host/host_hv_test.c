/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hypervisor part as a guest sees it: CPUID, MSRs, overlays, hypercall
 * rules (protocol: hypervisor, 1, 2, 5), memory translation and GUIDs.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"
#include "guest.h"

static struct guest g;

/* The guest gets #GP. */
static void
gp_write(uint32_t msr, uint64_t val)
{

	ATF_CHECK_EQ_MSG(EPERM, hvh_wrmsr(g.h, 0, msr, val), "msr %x <- %jx",
	    msr, (uintmax_t)val);
}

static void
gp_read(uint32_t msr)
{
	uint64_t val;

	ATF_CHECK_EQ_MSG(EPERM, hvh_rdmsr(g.h, 0, msr, &val), "msr %x", msr);
}

ATF_TC_WITHOUT_HEAD(cpuid);
ATF_TC_BODY(cpuid, tc)
{
	struct hvh_config cf = { .no_autoeoi = true };
	uint32_t r[4] = { 1, 2, 4, 8 };

	guest_create(&g, NULL);
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 1, 0, r));
	ATF_REQUIRE_EQ(0x80000004, r[2]);
	ATF_REQUIRE_EQ(8, r[3]);
	ATF_REQUIRE(!hvh_cpuid(g.h, 0, 0, 0, r));
	ATF_REQUIRE(!hvh_cpuid(g.h, 0, 0x80000000, 0, r));
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 0x40000000, 0, r));
	ATF_REQUIRE(r[0] >= 0x40000005 && r[0] <= 0x4000FFFF);
	ATF_REQUIRE_EQ(0, memcmp(&r[1], "Microsoft Hv", 12));
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 0x40000001, 0, r));
	ATF_REQUIRE_EQ(0, memcmp(&r[0], "Hv#1", 4));
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 0x40000003, 0, r));
	/* What FreeBSD and Linux insist on (1.1). */
	ATF_REQUIRE_EQ(0x6E, r[0] & 0x6E);
	ATF_REQUIRE_EQ(0x30, r[1] & 0x30);
	/* Not the root partition; no frequencies without a TSC. */
	ATF_REQUIRE_EQ(0, r[1] & 1u << 12);
	ATF_REQUIRE_EQ(0, r[0] & 1u << 11);
	ATF_REQUIRE_EQ(0, r[3] & 1u << 8);
	/* No XMM registers in hypercalls. */
	ATF_REQUIRE_EQ(0, r[3] & (1u << 4 | 1u << 15));
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 0x40000004, 0, r));
	ATF_REQUIRE_EQ(0, r[0] & 1u << 9);
	/* Flushes and IPIs, more than 64 VPs; APIC MSRs; not those of old. */
	ATF_REQUIRE_EQ(1u << 2 | 1u << 3 | 1u << 5 | 1u << 10 | 1u << 11,
	    r[0]);
	ATF_REQUIRE_EQ(0xFFF, r[1]);
	ATF_REQUIRE(hvh_cpuid(g.h, 0, 0x40000005, 0, r));
	ATF_REQUIRE_EQ(GUEST_VPS, r[0]);
	guest_destroy(&g);
	cf.tsc_hz = 2000000000;
	guest_create(&g, &cf);
	hvh_cpuid(g.h, 0, 0x40000004, 0, r);
	ATF_REQUIRE(r[0] & 1u << 9);
	hvh_cpuid(g.h, 0, 0x40000003, 0, r);
	ATF_REQUIRE((r[0] & 1u << 11) != 0 && (r[3] & 1u << 8) != 0);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(gp);
ATF_TC_BODY(gp, tc)
{
	static const uint32_t readonly[] = { 0x40000002, 0x40000020,
	    0x40000022, 0x40000023, 0x40000081 };
	/* Privileges the partition lacks, and holes. */
	static const uint32_t absent[] = { 0x40000004, 0x40000010, 0x4000001F,
	    0x40000024, 0x4000006F, 0x40000074, 0x40000086, 0x400000A0,
	    0x400000B8, 0x400000F0, 0x400000FF, 0x40000106, 0x40000118,
	    0x40001080 };
	uint64_t val;

	guest_create(&g, NULL);
	for (unsigned i = 0; i < 5; i++)
		gp_write(readonly[i], 0);
	for (unsigned i = 0; i < 14; i++) {
		gp_write(absent[i], 0);
		gp_read(absent[i]);
	}
	gp_read(0x40000022);
	gp_read(0x40000023);
	gp_read(0x40000070);
	/* Not the hypervisor's at all. */
	ATF_REQUIRE_EQ(ENOENT, hvh_rdmsr(g.h, 0, 0x10, &val));
	ATF_REQUIRE_EQ(ENOENT, hvh_wrmsr(g.h, 0, 0xC0000080, 0));
	ATF_REQUIRE_EQ(ENOENT, hvh_wrmsr(g.h, 0, 0x3FFFFFFF, 0));
	/* No such VP. */
	ATF_REQUIRE_EQ(EPERM, hvh_rdmsr(g.h, GUEST_VPS, 0x40000002, &val));
	ATF_REQUIRE_EQ(EPERM, hvh_wrmsr(g.h, GUEST_VPS, 0x40000080, 0));
	for (uint32_t vp = 0; vp < GUEST_VPS; vp++)
		ATF_REQUIRE_EQ(vp, rdmsr(&g, vp, 0x40000002));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(hypercall_page);
ATF_TC_BODY(hypercall_page, tc)
{
	uint8_t *p;

	guest_create(&g, NULL);
	p = guest_page(&g, PG_CODE);
	memset(p, 0x11, PAGE);
	/* Without an OS id nothing moves. */
	wrmsr(&g, 0, 0x40000001, GPA(PG_CODE) | 1);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 0, 0x40000001));
	ATF_REQUIRE_EQ(0x11, p[0]);
	wrmsr(&g, 0, 0x40000000, 0x8200000000000000);
	ATF_REQUIRE_EQ(0x8200000000000000, rdmsr(&g, 1, 0x40000000));
	wrmsr(&g, 0, 0x40000001, GPA(PG_CODE) | 1);
	ATF_REQUIRE_EQ(GPA(PG_CODE) | 1, rdmsr(&g, 3, 0x40000001));
	ATF_REQUIRE_EQ(0, memcmp(p, "\x0F\x01\xD9\xC3\xCC", 5));
	/* Moved: the first page comes back. */
	wrmsr(&g, 0, 0x40000001, GPA(PG_FREE) | 1);
	ATF_REQUIRE_EQ(0x11, p[0]);
	ATF_REQUIRE_EQ(0x11, p[4095]);
	ATF_REQUIRE_EQ(0x0F, guest_page(&g, PG_FREE)[0]);
	/* What the guest scribbles there does not last. */
	guest_page(&g, PG_FREE)[0] = 0x99;
	wrmsr(&g, 0, 0x40000001, GPA(PG_CODE) | 1);
	ATF_REQUIRE_EQ(0x0F, p[0]);
	ATF_REQUIRE_EQ(0, guest_page(&g, PG_FREE)[0]);
	/* Reserved bits, the lock bit, no memory: #GP, nothing changes. */
	gp_write(0x40000001, GPA(PG_CODE) | 3);
	gp_write(0x40000001, GPA(PG_CODE) | 0x801);
	gp_write(0x40000001, GPA(GUEST_PAGES) | 1);
	gp_write(0x40000001, 0xFFFFFFFFFFFFF001);
	ATF_REQUIRE_EQ(GPA(PG_CODE) | 1, rdmsr(&g, 0, 0x40000001));
	/* OS id 0 takes it away. */
	wrmsr(&g, 0, 0x40000000, 0);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 0, 0x40000001) & 1);
	ATF_REQUIRE_EQ(0x11, p[0]);
	wrmsr(&g, 0, 0x40000000, 1);
	wrmsr(&g, 0, 0x40000001, GPA(PG_CODE) | 1);
	wrmsr(&g, 0, 0x40000001, GPA(PG_CODE));
	ATF_REQUIRE_EQ(0x11, p[0]);
	guest_destroy(&g);
}

/* SIMP and SIEFP lie over memory with content of their own (3.1). */
ATF_TC_WITHOUT_HEAD(overlays);
ATF_TC_BODY(overlays, tc)
{
	static const uint32_t msrs[] = { 0x40000082, 0x40000083 };
	uint8_t *a, *b;

	guest_create(&g, NULL);
	a = guest_page(&g, PG_FREE);
	b = guest_page(&g, PG_FREE + 1);
	for (unsigned i = 0; i < 2; i++) {
		memset(a, 0xAA, PAGE);
		memset(b, 0xBB, PAGE);
		wrmsr(&g, 1, msrs[i], GPA(PG_FREE) | 1);
		ATF_REQUIRE_EQ(0, a[0]);
		ATF_REQUIRE_EQ(0, a[4095]);
		a[100] = 0x77;
		wrmsr(&g, 1, msrs[i], GPA(PG_FREE + 1) | 1);
		ATF_REQUIRE_EQ(0xAA, a[100]);
		ATF_REQUIRE_EQ(0x77, b[100]);
		ATF_REQUIRE_EQ(0, b[0]);
		wrmsr(&g, 1, msrs[i], 0);
		ATF_REQUIRE_EQ(0xBB, b[100]);
		wrmsr(&g, 1, msrs[i], GPA(PG_FREE) | 1);
		ATF_REQUIRE_EQ(0x77, a[100]);
		/* Reserved bits are kept. */
		wrmsr(&g, 1, msrs[i], GPA(PG_FREE) | 0xFFF);
		ATF_REQUIRE_EQ(GPA(PG_FREE) | 0xFFF, rdmsr(&g, 1, msrs[i]));
		gp_write(msrs[i], GPA(GUEST_PAGES) | 1);
		wrmsr(&g, 1, msrs[i], 0);
		/* Only a reset empties it. */
		hvh_reset(g.h);
		memset(a, 0xAA, PAGE);
		wrmsr(&g, 1, msrs[i], GPA(PG_FREE) | 1);
		ATF_REQUIRE_EQ(0, a[100]);
		wrmsr(&g, 1, msrs[i], 0);
	}
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(reference_time);
ATF_TC_BODY(reference_time, tc)
{
	uint8_t *ts;

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 0, 0x40000020));
	g.now += 12345;
	ATF_REQUIRE_EQ(123, rdmsr(&g, 2, 0x40000020));
	/* No common TSC: the page says "use the counter". */
	ts = guest_page(&g, PG_TSC);
	memset(ts, 0x55, PAGE);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(0, get32(ts));
	gp_write(0x40000021, GPA(PG_TSC) | 5);
	gp_write(0x40000021, GPA(GUEST_PAGES) | 1);
	wrmsr(&g, 0, 0x40000021, 0);
	ATF_REQUIRE_EQ(0x55, ts[0]);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(tsc_page);
ATF_TC_BODY(tsc_page, tc)
{
	struct hvh_config cf = { .tsc_hz = 2500000000 };
	uint64_t before, after, page, scale, offset;
	uint8_t *ts;

	guest_create(&g, &cf);
	ts = guest_page(&g, PG_TSC);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(1, get32(ts));
	/* scale = 10^7 * 2^64 / Hz */
	ATF_REQUIRE_EQ(73786976294838206ull, get64(ts + 8));
	scale = get64(ts + 8);
	offset = get64(ts + 16);
	/* Page and MSR tell the same time. */
	before = rdmsr(&g, 0, 0x40000020);
	page = (uint64_t)((unsigned __int128)__builtin_ia32_rdtsc() * scale >>
	    64) + offset;
	after = rdmsr(&g, 1, 0x40000020);
	ATF_REQUIRE(before <= page && page <= after);
	ATF_REQUIRE_EQ(2500000000, rdmsr(&g, 0, 0x40000022));
	ATF_REQUIRE_EQ(1000000000, rdmsr(&g, 0, 0x40000023));
	/* Another sequence each time. */
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(2, get32(ts));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(reset_and_crash);
ATF_TC_BODY(reset_and_crash, tc)
{

	guest_create(&g, NULL);
	wrmsr(&g, 0, 0x40000003, 0);
	ATF_REQUIRE_EQ(0, g.resets);
	wrmsr(&g, 0, 0x40000003, 1);
	ATF_REQUIRE_EQ(1, g.resets);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 0, 0x40000003));
	for (uint32_t i = 0; i < 5; i++)
		wrmsr(&g, 0, 0x40000100 + i, 100 + i);
	ATF_REQUIRE_EQ(102, rdmsr(&g, 3, 0x40000102));
	ATF_REQUIRE(rdmsr(&g, 0, 0x40000105) >> 63);
	wrmsr(&g, 0, 0x40000105, 0);
	ATF_REQUIRE_EQ(0, g.crashes);
	wrmsr(&g, 0, 0x40000105, 1ull << 63);
	ATF_REQUIRE_EQ(1, g.crashes);
	ATF_REQUIRE_EQ(104, g.crash[4]);
	/* With a text. */
	strcpy((char *)guest_page(&g, PG_FREE), "panic:\x1b[2J here");
	wrmsr(&g, 0, 0x40000103, GPA(PG_FREE));
	wrmsr(&g, 0, 0x40000104, 16);
	wrmsr(&g, 0, 0x40000105, 3ull << 62);
	ATF_REQUIRE_STREQ("panic:\x1b[2J here", g.crash_text);
	wrmsr(&g, 0, 0x40000103, UINT64_MAX);
	wrmsr(&g, 0, 0x40000104, UINT64_MAX);
	wrmsr(&g, 0, 0x40000105, 3ull << 62);
	ATF_REQUIRE_EQ(3, g.crashes);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(hypercall_rules);
ATF_TC_BODY(hypercall_rules, tc)
{
	static const uint16_t unserved[] = { 0x50, 0x51, 0x9A, 0x8001, 0, 1,
	    0xFFFF };
	static const uint8_t bits[] = { 27, 30, 31, 44, 47, 60, 63 };
	static const uint8_t reps[] = { 17, 26, 32, 43, 48, 59 };

	guest_create(&g, NULL);
	for (unsigned i = 0; i < 7; i++)
		ATF_CHECK_EQ(2, hvh_hypercall(g.h, 0, unserved[i], 0, 0));
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x10008, 1, 0));
	for (unsigned i = 0; i < 7; i++)
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, 0x10008 | 1ull <<
		    bits[i], 1, 0));
	for (unsigned i = 0; i < 6; i++) {
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, 0x10008 | 1ull <<
		    reps[i], 1, 0));
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, 0x5C | 1ull << reps[i],
		    GPA(PG_POST), 0));
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, 0x5D | 1ull << reps[i],
		    GPA(PG_POST), 0));
	}
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, GUEST_VPS, 0x10008, 1, 0));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(post_message);
ATF_TC_BODY(post_message, tc)
{
	uint8_t *p;

	guest_create(&g, NULL);
	p = guest_page(&g, PG_POST);
	put32(p, 1);
	put32(p + 8, 1);
	put32(p + 12, 40);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	/* 24 bits of the connection count. */
	put32(p, 0xFF000001);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	put32(p, 4);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	put32(p, 2);
	ATF_REQUIRE_EQ(0x12, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	put32(p, 1);
	/* Fast does not fit; across a page; unaligned; no memory. */
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x1005C, GPA(PG_POST), 0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST) + 3848,
	    0));
	ATF_REQUIRE_EQ(4, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST) + 4, 0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x5C, GPA(GUEST_PAGES), 0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x5C, UINT64_MAX - 7, 0));
	put32(p + 8, 0);
	ATF_REQUIRE_EQ(5, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	put32(p + 8, 0x80000001);
	ATF_REQUIRE_EQ(5, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	put32(p + 8, 1);
	put32(p + 12, 241);
	ATF_REQUIRE_EQ(5, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	/* The queue is bounded, and says so. */
	put32(p + 12, 240);
	for (unsigned i = 0; i < 61; i++)
		ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST),
		    0));
	ATF_REQUIRE_EQ(0x13, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	guest_pump(&g);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5C, GPA(PG_POST), 0));
	guest_destroy(&g);
}

/* Hosts below 5.0 have no connection 4. */
ATF_TC_WITHOUT_HEAD(old_host);
ATF_TC_BODY(old_host, tc)
{
	struct hvh_config cf = { .max_version = 0x40001 };
	uint8_t m[40] = { 14 };

	guest_create(&g, &cf);
	ATF_REQUIRE_EQ(0x12, guest_post(&g, 4, m, sizeof(m)));
	ATF_REQUIRE_EQ(0, guest_post(&g, 1, m, sizeof(m)));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(signal_event);
ATF_TC_BODY(signal_event, tc)
{
	struct echo e;
	uint8_t m[240], *p;
	uint32_t chan, conn;

	guest_create(&g, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	guest_connect(&g, 0x50003, m);
	chan = get32(m + 184);
	conn = get32(m + 192);
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, conn));
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, PG_FREE,
	    8, 1), 0, 4));
	/* Fast, as Linux does; slow, as FreeBSD does. */
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x1005D, conn, 0));
	p = guest_page(&g, PG_POST);
	put64(p, conn);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x5D, GPA(PG_POST), 0));
	ATF_REQUIRE_EQ(4, hvh_hypercall(g.h, 0, 0x5D, GPA(PG_POST) + 4, 0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x5D, GPA(PG_POST) + 4092,
	    0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x5D, GPA(GUEST_PAGES), 0));
	/* Reserved parts, another flag, no such connection. */
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x1005D, conn | 1ull << 48,
	    0));
	ATF_REQUIRE_EQ(3, hvh_hypercall(g.h, 0, 0x1005D, conn | 1ull << 24,
	    0));
	ATF_REQUIRE_EQ(5, hvh_hypercall(g.h, 0, 0x1005D, conn | 1ull << 32,
	    0));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, conn + 1));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, 1));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, 2));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, 0x2000));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, 0x2000 + 2048));
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, 0xFFFFFF));
	/* Coalesced: one kick until the pump comes. */
	guest_pump(&g);
	atomic_store(&g.kicks, 0);
	for (unsigned i = 0; i < 10; i++)
		guest_signal(&g, conn);
	ATF_REQUIRE_EQ(1, g.kicks);
	e.signals = 0;
	guest_pump(&g);
	ATF_REQUIRE_EQ(1, e.signals);
	guest_close(&g, chan);
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, conn));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(translation);
ATF_TC_BODY(translation, tc)
{
	uint64_t pfn[3] = { 5, 6, 9 };
	struct hvh_range r = { .len = 9000, .ofs = 100, .npfn = 3,
	    .pfn = pfn };
	uint8_t buf[64];
	struct iovec iov[3];
	int n;

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ(g.mem, hvh_gpa_ptr(g.h, (hvh_gpa_t){ 0 },
	    GUEST_PAGES * PAGE));
	ATF_REQUIRE_EQ(NULL, hvh_gpa_ptr(g.h, (hvh_gpa_t){ 1 },
	    GUEST_PAGES * PAGE));
	ATF_REQUIRE_EQ(NULL, hvh_gpa_ptr(g.h,
	    (hvh_gpa_t){ GUEST_PAGES * PAGE }, 1));
	ATF_REQUIRE_EQ(NULL, hvh_gpa_ptr(g.h, (hvh_gpa_t){ UINT64_MAX }, 2));
	ATF_REQUIRE_EQ(EFAULT, hvh_gpa_read(g.h,
	    (hvh_gpa_t){ GUEST_PAGES * PAGE - 8 }, buf, 16));
	ATF_REQUIRE_EQ(EFAULT, hvh_gpa_write(g.h,
	    (hvh_gpa_t){ UINT64_MAX - 3 }, buf, 16));
	ATF_REQUIRE_EQ(0, hvh_gpa_write(g.h, (hvh_gpa_t){ 100 }, "abcd", 4));
	ATF_REQUIRE_EQ(0, hvh_gpa_read(g.h, (hvh_gpa_t){ 100 }, buf, 4));
	ATF_REQUIRE_EQ(0, memcmp(buf, "abcd", 4));
	/* Neighbouring pages are one piece. */
	ATF_REQUIRE_EQ(0, hvh_range_iov(g.h, &r, 0, 9000, iov, 3, &n));
	ATF_REQUIRE_EQ(2, n);
	ATF_REQUIRE_EQ(g.mem + 5 * PAGE + 100, iov[0].iov_base);
	ATF_REQUIRE_EQ(2 * PAGE - 100, iov[0].iov_len);
	ATF_REQUIRE_EQ(g.mem + 9 * PAGE, iov[1].iov_base);
	ATF_REQUIRE_EQ(0, hvh_range_iov(g.h, &r, 8191, 10, iov, 1, &n));
	ATF_REQUIRE_EQ(g.mem + 9 * PAGE + 99, iov[0].iov_base);
	ATF_REQUIRE_EQ(ENOSPC, hvh_range_iov(g.h, &r, 0, 9000, iov, 1, &n));
	ATF_REQUIRE_EQ(EFAULT, hvh_range_iov(g.h, &r, 1, 9000, iov, 3, &n));
	ATF_REQUIRE_EQ(EFAULT, hvh_range_iov(g.h, &r, UINT64_MAX, 2, iov, 3,
	    &n));
	pfn[1] = GUEST_PAGES;
	ATF_REQUIRE_EQ(EFAULT, hvh_range_iov(g.h, &r, 0, 9000, iov, 3, &n));
	pfn[1] = UINT64_MAX;
	ATF_REQUIRE_EQ(EFAULT, hvh_range_iov(g.h, &r, 0, 9000, iov, 3, &n));
	ATF_REQUIRE_EQ(0, hvh_range_iov(g.h, &r, 0, 10, iov, 3, &n));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(guid);
ATF_TC_BODY(guid, tc)
{
	static const uint8_t wire[16] = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04,
	    0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f };
	static const char *const bad[] = { "", "ba6163d9",
	    "ba6163d904a1-4d29-b605-72e2ffb1dc7f",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7fa",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7g",
	    "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1 c7f" };
	struct hvh_guid a;
	char text[37];

	ATF_REQUIRE_EQ(0, hvh_guid_parse(
	    "BA6163d9-04a1-4D29-b605-72e2ffb1dc7f", &a));
	ATF_REQUIRE_EQ(0, memcmp(a.b, wire, 16));
	hvh_guid_format(&a, text);
	ATF_REQUIRE_STREQ("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", text);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ATF_CHECK_EQ_MSG(EINVAL, hvh_guid_parse(bad[i], &a), "%s",
		    bad[i]);
	ATF_REQUIRE_EQ(0, memcmp(a.b, wire, 16));
}

static void
config_refused(struct hvh_config *cf, const struct hvh_ops *ops)
{
	struct hvh *h = NULL;

	ATF_CHECK_EQ(EINVAL, hvh_create(cf, ops, NULL, &h));
}

static void
nop_irq(void *a, uint32_t v, uint8_t x, bool e)
{
}

static void
nop_kick(void *a)
{
}

static uint64_t
nop_now(void *a)
{

	return (0);
}

ATF_TC_WITHOUT_HEAD(bad_config);
ATF_TC_BODY(bad_config, tc)
{
	static uint8_t mem[2 * 4096] __attribute__((aligned(4096)));
	static const struct hvh_ops ops = { .interrupt = nop_irq,
	    .kick = nop_kick, .now = nop_now }, none;
	const struct hvh_config good = { .vps = 1, .nmem = 1,
	    .mem = { { 0, 4096, mem } } };
	struct hvh_config cf = good;
	struct hvh *h;

	ATF_REQUIRE_EQ(0, hvh_create(&cf, &ops, NULL, &h));
	hvh_destroy(h);
	config_refused(&cf, &none);
	cf.vps = 0;
	config_refused(&cf, &ops);
	cf.vps = 65;
	config_refused(&cf, &ops);
	cf = good;
	cf.nmem = 0;
	config_refused(&cf, &ops);
	cf.nmem = 5;
	config_refused(&cf, &ops);
	cf = good;
	cf.mem[0].size = 4095;
	config_refused(&cf, &ops);
	cf.mem[0].size = 0;
	config_refused(&cf, &ops);
	cf = good;
	cf.mem[0].gpa = 1;
	config_refused(&cf, &ops);
	cf.mem[0].gpa = UINT64_MAX - 4095;
	config_refused(&cf, &ops);
	cf = good;
	cf.mem[1] = cf.mem[0];
	cf.nmem = 2;
	config_refused(&cf, &ops);
	cf = good;
	cf.tsc_hz = 1000;
	config_refused(&cf, &ops);
	cf = good;
	cf.hypercall_code_len = 4097;
	config_refused(&cf, &ops);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, cpuid);
	ATF_TP_ADD_TC(tp, gp);
	ATF_TP_ADD_TC(tp, hypercall_page);
	ATF_TP_ADD_TC(tp, overlays);
	ATF_TP_ADD_TC(tp, reference_time);
	ATF_TP_ADD_TC(tp, tsc_page);
	ATF_TP_ADD_TC(tp, reset_and_crash);
	ATF_TP_ADD_TC(tp, hypercall_rules);
	ATF_TP_ADD_TC(tp, post_message);
	ATF_TP_ADD_TC(tp, old_host);
	ATF_TP_ADD_TC(tp, signal_event);
	ATF_TP_ADD_TC(tp, translation);
	ATF_TP_ADD_TC(tp, guid);
	ATF_TP_ADD_TC(tp, bad_config);
	return (atf_no_error());
}
