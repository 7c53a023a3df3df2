/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls that reach other VPs, the APIC's registers as MSRs, and what a
 * partition does not show (protocol: hypervisor, 1, 2.7, 5).
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "guest.h"

#define	NVPS	GUEST_VPS
#define	ALL	((1ull << NVPS) - 1)

#define	FAST	(1ull << 16)
#define	VAR(n)	((uint64_t)(n) << 17)
#define	REPS(n)	((uint64_t)(n) << 32)
#define	START(n) ((uint64_t)(n) << 48)

static struct guest g;

static uint64_t
call(uint64_t control)
{

	return (hvh_hypercall(g.h, 1, control, GPA(PG_POST), 0));
}

/* Input: 64-bit words on the page. */
static void
input(unsigned n, const uint64_t *words)
{
	uint8_t *p = guest_page(&g, PG_POST);

	memset(p, 0x5A, PAGE);
	memcpy(p, words, n * sizeof(*words));
}

#define	INPUT(...)	do {						\
	const uint64_t w_[] = { __VA_ARGS__ };				\
									\
	input(sizeof(w_) / sizeof(w_[0]), w_);				\
} while (0)

/* Exactly these VPs were told to flush, n times each, since the start. */
static void
flushed(uint64_t vps, uint64_t n)
{
	struct hvh_vp_stats vs;

	for (uint32_t vp = 0; vp < NVPS; vp++) {
		hvh_get_vp_stats(g.h, vp, &vs);
		ATF_CHECK_EQ_MSG((vps >> vp & 1) != 0 ? n : 0, vs.flushes,
		    "VP %u: %ju flushes", vp, (uintmax_t)vs.flushes);
	}
}

ATF_TC_WITHOUT_HEAD(flush_space);
ATF_TC_BODY(flush_space, tc)
{
	struct hvh_stats st;

	guest_create(&g, NULL);
	INPUT(0x1234000, 0, 0x5);
	ATF_REQUIRE_EQ(0, call(0x02));
	ATF_REQUIRE_EQ(1, g.flushes);
	ATF_REQUIRE_EQ(1, g.flush_vp);
	ATF_REQUIRE_EQ(0x5, g.flush.vps);
	ATF_REQUIRE_EQ(0x1234000, g.flush.space);
	ATF_REQUIRE(!g.flush.all_spaces && !g.flush.non_global);
	ATF_REQUIRE_EQ(0, g.flush.nranges);
	flushed(0x5, 1);
	/* VPs that do not exist are nobody's. */
	INPUT(0, 2 | 4, UINT64_MAX & ~1ull);
	ATF_REQUIRE_EQ(0, call(0x02));
	ATF_REQUIRE_EQ(ALL & ~1ull, g.flush.vps);
	ATF_REQUIRE(g.flush.all_spaces && g.flush.non_global);
	/* All: by flag, or by naming none. */
	INPUT(0, 1, 0x2);
	ATF_REQUIRE_EQ(0, call(0x02));
	ATF_REQUIRE_EQ(ALL, g.flush.vps);
	INPUT(0, 0, 0);
	ATF_REQUIRE_EQ(0, call(0x02));
	ATF_REQUIRE_EQ(ALL, g.flush.vps);
	INPUT(0, 0, 1ull << 63);
	ATF_REQUIRE_EQ(0, call(0x02));
	ATF_REQUIRE_EQ(0, g.flush.vps);
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(5, st.flushes);
	ATF_REQUIRE_EQ(2 + NVPS - 1 + NVPS + NVPS, st.flush_vps);
	ATF_REQUIRE_EQ(0, st.flush_ranges);
	/* Extended ranges, VTLs, and bits without a meaning. */
	for (unsigned bit = 3; bit < 64; bit++) {
		INPUT(0, 1ull << bit, 1);
		ATF_CHECK_EQ_MSG(5, call(0x02), "flag %u", bit);
	}
	ATF_REQUIRE_EQ(5, g.flushes);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(flush_list);
ATF_TC_BODY(flush_list, tc)
{
	struct hvh_stats st;
	uint64_t w[512];

	guest_create(&g, NULL);
	INPUT(0x77000, 0, 0x8, 0x1000, 0x2005, 0xFFFFFFFFFFFFF000);
	ATF_REQUIRE_EQ(REPS(3), call(0x03 | REPS(3)));
	ATF_REQUIRE_EQ(3, g.flush.nranges);
	ATF_REQUIRE_EQ(0x1000, g.ranges[0]);
	ATF_REQUIRE_EQ(0x2005, g.ranges[1]);
	ATF_REQUIRE_EQ(0xFFFFFFFFFFFFF000, g.ranges[2]);
	flushed(0x8, 1);
	/* Continued: what was done is not done again. */
	ATF_REQUIRE_EQ(REPS(3), call(0x03 | REPS(3) | START(2)));
	ATF_REQUIRE_EQ(1, g.flush.nranges);
	ATF_REQUIRE_EQ(0xFFFFFFFFFFFFF000, g.ranges[0]);
	/* A list needs elements; none of it is non-global. */
	ATF_CHECK_EQ(3, call(0x03));
	ATF_CHECK_EQ(3, call(0x03 | START(1)));
	ATF_CHECK_EQ(3, call(0x03 | REPS(3) | START(3)));
	ATF_CHECK_EQ(3, call(0x03 | REPS(3) | START(4)));
	INPUT(0, 4, 1, 0x1000);
	ATF_CHECK_EQ(5, call(0x03 | REPS(1)));
	/* A page holds 509, the header before them. */
	memset(w, 0, sizeof(w));
	w[2] = 1;
	input(512, w);
	ATF_CHECK_EQ(REPS(509), call(0x03 | REPS(509)));
	ATF_CHECK_EQ(509, g.flush.nranges);
	ATF_CHECK_EQ(3, call(0x03 | REPS(510)));
	ATF_CHECK_EQ(3, call(0x03 | REPS(0xFFF)));
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(3, st.flushes);
	ATF_REQUIRE_EQ(3 + 1 + 509, st.flush_ranges);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(flush_ex);
ATF_TC_BODY(flush_ex, tc)
{

	guest_create(&g, NULL);
	INPUT(0x1000, 0, 0, 1, 0x6);
	ATF_REQUIRE_EQ(0, call(0x13 | VAR(1)));
	ATF_REQUIRE_EQ(0x6, g.flush.vps);
	flushed(0x6, 1);
	/* Bank 0 is the first that is there; others hold nobody. */
	INPUT(0x1000, 0, 0, 0x8000000000000003, 0x1, 0xF, 0xF);
	ATF_REQUIRE_EQ(0, call(0x13 | VAR(3)));
	ATF_REQUIRE_EQ(0x1, g.flush.vps);
	INPUT(0x1000, 0, 0, 2, 0xF);
	ATF_REQUIRE_EQ(0, call(0x13 | VAR(1)));
	ATF_REQUIRE_EQ(0, g.flush.vps);
	/* An empty set, then everybody in three ways. */
	INPUT(0, 0, 0, 0);
	ATF_REQUIRE_EQ(0, call(0x13));
	ATF_REQUIRE_EQ(0, g.flush.vps);
	INPUT(0, 1, 0, 0);
	ATF_REQUIRE_EQ(0, call(0x13));
	ATF_REQUIRE_EQ(ALL, g.flush.vps);
	INPUT(0, 0, 1, 0);
	ATF_REQUIRE_EQ(0, call(0x13));
	ATF_REQUIRE_EQ(ALL, g.flush.vps);
	INPUT(0, 0, 1, 1, 0x1);
	ATF_REQUIRE_EQ(0, call(0x13 | VAR(1)));
	ATF_REQUIRE_EQ(ALL, g.flush.vps);
	/* As many banks as the mask says. */
	INPUT(0, 0, 0, 3, 1, 1, 1);
	ATF_CHECK_EQ(5, call(0x13));
	ATF_CHECK_EQ(5, call(0x13 | VAR(1)));
	ATF_CHECK_EQ(0, call(0x13 | VAR(2)));
	ATF_CHECK_EQ(5, call(0x13 | VAR(3)));
	INPUT(0, 0, 2, 1, 1);
	ATF_CHECK_EQ(5, call(0x13 | VAR(1)));
	/* The list stands behind the banks. */
	INPUT(0x9000, 0, 0, 3, 0x2, 0x4, 0x5001, 0x6002);
	ATF_REQUIRE_EQ(REPS(2), call(0x14 | VAR(2) | REPS(2)));
	ATF_REQUIRE_EQ(0x2, g.flush.vps);
	ATF_REQUIRE_EQ(2, g.flush.nranges);
	ATF_REQUIRE_EQ(0x5001, g.ranges[0]);
	ATF_REQUIRE_EQ(0x6002, g.ranges[1]);
	ATF_CHECK_EQ(3, call(0x14 | VAR(2)));
	ATF_CHECK_EQ(3, call(0x13 | VAR(2) | REPS(2)));
	/* The page ends: 32 bytes, banks, elements. */
	ATF_CHECK_EQ(3, call(0x14 | VAR(2) | REPS(507)));
	ATF_CHECK_EQ(3, call(0x13 | VAR(509)));
	ATF_CHECK_EQ(5, call(0x13 | VAR(508)));
	guest_destroy(&g);
}

/* Each of these vectors stood before n times, and on no other VP. */
static void
hit(uint8_t vector, uint64_t vps, unsigned n)
{

	for (uint32_t vp = 0; vp < NVPS; vp++)
		ATF_CHECK_EQ_MSG((vps >> vp & 1) != 0 ? n : 0,
		    g.irqs[vp][vector], "VP %u: %u times", vp,
		    g.irqs[vp][vector]);
}

ATF_TC_WITHOUT_HEAD(ipi);
ATF_TC_BODY(ipi, tc)
{
	struct hvh_vp_stats vs;
	struct hvh_stats st;

	guest_create(&g, NULL);
	/* Fast, as Linux does it; slow. */
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 1, 0x0B | FAST, 0xF3, 0xB));
	hit(0xF3, 0xB, 1);
	INPUT(0xF4, 0x4);
	ATF_REQUIRE_EQ(0, call(0x0B));
	hit(0xF4, 0x4, 1);
	/* To oneself; to nobody; to who is not there. */
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 1, 0x0B | FAST, 0xF5, 0x2));
	hit(0xF5, 0x2, 1);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 1, 0x0B | FAST, 0xF6, 0));
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 1, 0x0B | FAST, 0xF6,
	    1ull << NVPS));
	hit(0xF6, 0, 0);
	/* Vectors from 16 on; VTL, flags and the rest are 0. */
	ATF_CHECK_EQ(0, hvh_hypercall(g.h, 0, 0x0B | FAST, 0x10, 1));
	ATF_CHECK_EQ(5, hvh_hypercall(g.h, 0, 0x0B | FAST, 0x0F, 1));
	ATF_CHECK_EQ(5, hvh_hypercall(g.h, 0, 0x0B | FAST, 0x100, 1));
	ATF_CHECK_EQ(5, hvh_hypercall(g.h, 0, 0x0B | FAST, 0xFFFFFFFF, 1));
	for (unsigned bit = 32; bit < 64; bit++)
		ATF_CHECK_EQ_MSG(5, hvh_hypercall(g.h, 0, 0x0B | FAST,
		    0xF3 | 1ull << bit, 1), "bit %u", bit);
	hit(0xF3, 0xB, 1);
	/* Ex: no fast form, it does not fit. */
	INPUT(0xF7, 0, 1, 0x9);
	ATF_REQUIRE_EQ(0, call(0x15 | VAR(1)));
	hit(0xF7, 0x9, 1);
	ATF_CHECK_EQ(3, call(0x15 | VAR(1) | FAST));
	INPUT(0xF7, 1, 0);
	ATF_REQUIRE_EQ(0, call(0x15));
	ATF_CHECK_EQ(2, g.irqs[0][0xF7]);
	ATF_CHECK_EQ(1, g.irqs[1][0xF7]);
	INPUT(0x1000000F7, 0, 1, 0x9);
	ATF_CHECK_EQ(5, call(0x15 | VAR(1)));
	INPUT(0x0F, 0, 1, 0x9);
	ATF_CHECK_EQ(5, call(0x15 | VAR(1)));
	INPUT(0xF7, 0, 3, 0x9, 0);
	ATF_CHECK_EQ(5, call(0x15 | VAR(1)));
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(8, st.ipis);
	ATF_REQUIRE_EQ(3 + 1 + 1 + 1 + 2 + NVPS, st.ipi_vps);
	hvh_get_vp_stats(g.h, 2, &vs);
	ATF_REQUIRE_EQ(2, vs.ipis);
	ATF_REQUIRE_EQ(2, vs.interrupts);
	guest_destroy(&g);
}

/* What holds for every call's form. */
ATF_TC_WITHOUT_HEAD(form);
ATF_TC_BODY(form, tc)
{
	static const struct {
		uint64_t	control;
		unsigned	bytes;
		bool		rep, ex;
	} calls[] = {
		{ 0x02, 24, false, false },
		{ 0x03 | REPS(2), 40, true, false },
		{ 0x08, 8, false, false },
		{ 0x0B, 16, false, false },
		{ 0x13 | VAR(1), 40, false, true },
		{ 0x14 | VAR(1) | REPS(2), 56, true, true },
		{ 0x15 | VAR(1), 32, false, true },
		{ 0x5C, 256, false, false },
		{ 0x5D, 8, false, false },
	};
	static const uint8_t reserved[] = { 27, 28, 29, 30, 31, 44, 45, 46,
	    47, 60, 61, 62, 63 };
	unsigned flushes;

	guest_create(&g, NULL);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t c = calls[i].control;
		unsigned last = 4096 - calls[i].bytes;

		INPUT(0x20, 0, 1, 1, 0x1);
		flushes = g.flushes;
		for (unsigned j = 0; j < sizeof(reserved); j++)
			ATF_CHECK_EQ_MSG(3, call(c | 1ull << reserved[j]),
			    "call %#jx, bit %u", (uintmax_t)c, reserved[j]);
		/* Across a page is seen first, then alignment, then memory. */
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, c, GPA(PG_POST) + last +
		    4, 0));
		ATF_CHECK_EQ(4, hvh_hypercall(g.h, 0, c, GPA(PG_POST) + 4,
		    0));
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, c, GPA(GUEST_PAGES),
		    0));
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, 0, c, UINT64_MAX - 4095,
		    0));
		ATF_CHECK_EQ(3, hvh_hypercall(g.h, NVPS, c, GPA(PG_POST), 0));
		if (!calls[i].rep) {
			ATF_CHECK_EQ(3, call(c | REPS(1)));
			ATF_CHECK_EQ(3, call(c | START(1)));
		}
		if (!calls[i].ex)
			ATF_CHECK_EQ(3, call(c | VAR(1)));
		if (calls[i].bytes > 16)
			ATF_CHECK_EQ(3, call(c | FAST));
		ATF_CHECK_EQ(flushes, g.flushes);
	}
	/* The last bytes of a page are as good as others. */
	memset(guest_page(&g, PG_POST), 0, PAGE);
	ATF_CHECK_EQ(0, hvh_hypercall(g.h, 0, 0x02, GPA(PG_POST) + 4096 - 24,
	    0));
	ATF_CHECK_EQ(5, hvh_hypercall(g.h, 0, 0x0B,
	    GPA(PG_POST) + 4096 - 16, 0));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(long_spin);
ATF_TC_BODY(long_spin, tc)
{
	struct hvh_stats st;

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 0, 0x08 | FAST, 12345, 0));
	INPUT(12345);
	ATF_REQUIRE_EQ(0, call(0x08));
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(2, st.spins);
	guest_destroy(&g);
}

/* A host may refuse any call at any time. */
ATF_TC_WITHOUT_HEAD(refused);
ATF_TC_BODY(refused, tc)
{
	struct hvh_fault f = { .point = HVH_FAULT_HYPERCALL,
	    .action = HVH_FAULT_STATUS, .key = 0x0B, .skip = 1, .times = 2,
	    .arg = 0x0B };

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	INPUT(0xF0, 1);
	ATF_CHECK_EQ(0, call(0x0B));
	ATF_CHECK_EQ(0x0B, call(0x0B));
	ATF_CHECK_EQ(0, call(0x02));
	ATF_CHECK_EQ(0x0B, call(0x0B));
	ATF_CHECK_EQ(0, call(0x0B));
	ATF_CHECK_EQ(2, g.irqs[0][0xF0]);
	ATF_CHECK_EQ(2, hvh_fault_count(g.h, HVH_FAULT_HYPERCALL));
	f.action = HVH_FAULT_DROP;
	ATF_CHECK_EQ(EINVAL, hvh_fault_add(g.h, &f));
	guest_destroy(&g);
}

/* --- APIC MSRs. --- */

#define	EOI	0x40000070
#define	ICR	0x40000071
#define	TPR	0x40000072
#define	ASSIST	0x40000073

ATF_TC_WITHOUT_HEAD(apic);
ATF_TC_BODY(apic, tc)
{
	struct hvh_stats st;
	uint64_t val;

	guest_create(&g, NULL);
	wrmsr(&g, 2, EOI, 0);
	ATF_REQUIRE_EQ(1, g.eois[2]);
	ATF_REQUIRE_EQ(EPERM, hvh_rdmsr(g.h, 2, EOI, &val));
	wrmsr(&g, 2, TPR, 0x20);
	ATF_REQUIRE_EQ(0x20, rdmsr(&g, 2, TPR));
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, TPR));
	ATF_REQUIRE_EQ(EPERM, hvh_wrmsr(g.h, 2, TPR, 0x100));
	/* One by its id; all; all but oneself; oneself; the flat mask. */
	wrmsr(&g, 2, ICR, 1ull << 56 | 0x41);
	hit(0x41, 0x2, 1);
	ATF_REQUIRE_EQ(1ull << 56 | 0x41, rdmsr(&g, 2, ICR));
	wrmsr(&g, 2, ICR, 2 << 18 | 0x42);
	hit(0x42, ALL, 1);
	wrmsr(&g, 2, ICR, 3 << 18 | 0x43);
	hit(0x43, ALL & ~0x4ull, 1);
	wrmsr(&g, 2, ICR, 1 << 18 | 0x44);
	hit(0x44, 0x4, 1);
	wrmsr(&g, 2, ICR, 0x9ull << 56 | 1 << 11 | 0x45);
	hit(0x45, 0x9, 1);
	wrmsr(&g, 2, ICR, 0xFFull << 56 | 0x46);
	hit(0x46, ALL, 1);
	/* Lowest priority: one of them. */
	wrmsr(&g, 2, ICR, 0xCull << 56 | 1 << 11 | 1 << 8 | 0x47);
	ATF_CHECK_EQ(1, g.irqs[2][0x47] + g.irqs[3][0x47]);
	/* Nobody there; what is not an interrupt; an exception's vector. */
	wrmsr(&g, 2, ICR, 0x70ull << 56 | 0x48);
	hit(0x48, 0, 0);
	ATF_CHECK_EQ(EPERM, hvh_wrmsr(g.h, 2, ICR, 4 << 8 | 0x48));
	ATF_CHECK_EQ(EPERM, hvh_wrmsr(g.h, 2, ICR, 5 << 8));
	ATF_CHECK_EQ(EPERM, hvh_wrmsr(g.h, 2, ICR, 0x0F));
	hvh_get_stats(g.h, &st);
	ATF_CHECK_EQ(1, st.apic_eois);
	ATF_CHECK_EQ(1, st.apic_tprs);
	ATF_CHECK_EQ(8, st.apic_icrs);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(assist_page);
ATF_TC_BODY(assist_page, tc)
{
	uint8_t *p;

	guest_create(&g, NULL);
	p = guest_page(&g, PG_FREE);
	memset(p, 0xAA, PAGE);
	wrmsr(&g, 1, ASSIST, GPA(PG_FREE) | 1);
	/* Each interrupt wants its EOI. */
	ATF_REQUIRE_EQ(0, get32(p));
	ATF_REQUIRE_EQ(GPA(PG_FREE) | 1, rdmsr(&g, 1, ASSIST));
	ATF_REQUIRE_EQ(EPERM, hvh_wrmsr(g.h, 1, ASSIST, GPA(PG_FREE) | 3));
	ATF_REQUIRE_EQ(EPERM, hvh_wrmsr(g.h, 1, ASSIST,
	    GPA(GUEST_PAGES) | 1));
	ATF_REQUIRE_EQ(GPA(PG_FREE) | 1, rdmsr(&g, 1, ASSIST));
	wrmsr(&g, 1, ASSIST, 0);
	ATF_REQUIRE_EQ(0xAA, p[0]);
	wrmsr(&g, 1, ASSIST, GPA(PG_FREE) | 1);
	wrmsr(&g, 1, TPR, 0x30);
	hvh_reset(g.h);
	ATF_REQUIRE_EQ(0xAA, p[0]);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, ASSIST));
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, TPR));
	guest_destroy(&g);
}

/* --- What is not shown. --- */

static uint32_t
leaf(uint32_t n, unsigned reg)
{
	uint32_t r[4];

	ATF_REQUIRE(hvh_cpuid(g.h, 0, n, 0, r));
	return (r[reg]);
}

/* Each feature alone: its bits go, its registers and calls are refused. */
ATF_TC_WITHOUT_HEAD(hidden);
ATF_TC_BODY(hidden, tc)
{
	static const struct {
		const char	*name;
		struct {
			uint32_t leaf;
			uint8_t	 reg;
			uint32_t bits;
		}		 cpuid[2];
		uint32_t	 msr[2];	/* read, write */
		uint64_t	 call;
	} f[HVH_FEATS] = {
		[HVH_FEAT_COUNTER] = { "counter", { { 3, 0, 0x2 } },
		    { 0x40000020, 0 }, 0 },
		[HVH_FEAT_TSC] = { "tsc", { { 3, 0, 0x200 } },
		    { 0x40000021, 0x40000021 }, 0 },
		[HVH_FEAT_FREQUENCY] = { "frequency",
		    { { 3, 0, 0x800 }, { 3, 3, 0x100 } },
		    { 0x40000023, 0 }, 0 },
		[HVH_FEAT_INVARIANT] = { "invariant", { { 0 } }, { 0 }, 0 },
		[HVH_FEAT_STIMER] = { "stimer", { { 3, 0, 0x8 } },
		    { 0x400000B0, 0x400000B7 }, 0 },
		[HVH_FEAT_DIRECT] = { "direct", { { 3, 3, 0x80000 } },
		    { 0 }, 0 },
		[HVH_FEAT_APIC] = { "apic",
		    { { 3, 0, 0x10 }, { 4, 0, 0x8 } },
		    { 0x40000072, 0x40000070 }, 0 },
		[HVH_FEAT_TLBFLUSH] = { "tlbflush", { { 4, 0, 0x4 } },
		    { 0 }, 0x02 },
		[HVH_FEAT_IPI] = { "ipi", { { 4, 0, 0x400 } }, { 0 }, 0x0B },
		[HVH_FEAT_EX] = { "ex", { { 4, 0, 0x800 } }, { 0 }, 0x13 },
		[HVH_FEAT_SPIN] = { "spin", { { 0 } }, { 0 }, 0x08 },
		[HVH_FEAT_CRASH] = { "crash", { { 3, 3, 0x400 } },
		    { 0x40000105, 0x40000100 }, 0 },
		[HVH_FEAT_MESSAGE] = { "message", { { 0 } }, { 0 }, 0 },
	};
	struct hvh_config cf = { .tsc_hz = 2000000000 };
	uint64_t val;

	for (unsigned i = 0; i < HVH_FEATS; i++) {
		ATF_CHECK_STREQ(f[i].name,
		    hvh_feature_name((enum hvh_feature)i));
		for (unsigned hide = 0; hide < 2; hide++) {
			int error = hide ? EPERM : 0;

			cf.shown.hidden = hide << i;
			guest_create(&g, &cf);
			INPUT(0x20, 0, 1, 0);
			for (unsigned j = 0; j < 2; j++) {
				uint32_t bits = f[i].cpuid[j].bits;

				ATF_CHECK_EQ_MSG(hide ? 0 : bits,
				    leaf(0x40000000 + f[i].cpuid[j].leaf,
				    f[i].cpuid[j].reg) & bits, "%s, hidden %u",
				    f[i].name, hide);
			}
			if (f[i].msr[0] != 0)
				ATF_CHECK_EQ(error, hvh_rdmsr(g.h, 0,
				    f[i].msr[0], &val));
			if (f[i].msr[1] != 0)
				ATF_CHECK_EQ(error, hvh_wrmsr(g.h, 0,
				    f[i].msr[1], 0));
			if (f[i].call != 0)
				ATF_CHECK_EQ(hide ? 6 : 0, call(f[i].call));
			ATF_CHECK_EQ(hide && i == HVH_FEAT_SPIN ? UINT32_MAX :
			    0xFFF, leaf(0x40000004, 1));
			if (i == HVH_FEAT_MESSAGE)
				ATF_CHECK_EQ(hide ? 2 : 3,
				    rdmsr(&g, 0, 0x40000105) >> 62);
			if (i == HVH_FEAT_DIRECT)
				ATF_CHECK_EQ(error, hvh_wrmsr(g.h, 0,
				    0x400000B0, 1 << 12 | 0x60 << 4));
			/* What VMBus lives on is always there. */
			ATF_CHECK_EQ(0x64, leaf(0x40000003, 0) & 0x64);
			guest_destroy(&g);
		}
	}
	ATF_CHECK(hvh_feature_name(HVH_FEATS) == NULL);
}

ATF_TC_WITHOUT_HEAD(isolation);
ATF_TC_BODY(isolation, tc)
{
	static const char *const names[] = { "none", "vbs", "snp", "tdx",
	    "cca" };
	struct hvh_config cf = { 0 };

	for (unsigned i = 0; i < HVH_ISOLATIONS; i++) {
		cf.shown = (struct hvh_shown){
			.isolation = (enum hvh_isolation)i,
			.paravisor = i == 2, .nesting = (uint8_t)i,
			.shared_bits = i == 2 ? 47 : 0 };
		guest_create(&g, &cf);
		ATF_CHECK_STREQ(names[i],
		    hvh_isolation_name((enum hvh_isolation)i));
		ATF_CHECK_EQ(i == 0 ? 0x40000006 : 0x4000000C,
		    leaf(0x40000000, 0));
		ATF_CHECK_EQ(i == 0 ? 0 : 1u << 22,
		    leaf(0x40000003, 1) & 1u << 22);
		ATF_CHECK_EQ(i << 10, leaf(0x40000006, 0));
		ATF_CHECK_EQ(i == 2, leaf(0x4000000C, 0));
		ATF_CHECK_EQ(i == 2 ? 2 | 1 << 5 | 47 << 6 : i,
		    leaf(0x4000000C, 1));
		guest_destroy(&g);
	}
}

/* --- The crash report that is kept. --- */

ATF_TC_WITHOUT_HEAD(crash_kept);
ATF_TC_BODY(crash_kept, tc)
{
	struct hvh_config cf = { .shown.hidden =
	    HVH_FEAT_BIT(HVH_FEAT_MESSAGE) };
	struct hvh_crash hc;
	uint8_t *p;

	guest_create(&g, NULL);
	hvh_get_crash(g.h, &hc);
	ATF_REQUIRE_EQ(0, hc.count);
	for (uint32_t i = 0; i < 5; i++)
		wrmsr(&g, 0, 0x40000100 + i, 100 + i);
	wrmsr(&g, 0, 0x40000105, 5ull << 61);
	hvh_get_crash(g.h, &hc);
	ATF_REQUIRE_EQ(1, hc.count);
	ATF_REQUIRE_EQ(104, hc.param[4]);
	ATF_REQUIRE(hc.no_dump);
	ATF_REQUIRE_STREQ("", hc.text);
	/* The whole page, and no byte more; a reset takes nothing away. */
	p = guest_page(&g, PG_FREE);
	memset(p, 'x', 2 * PAGE);
	wrmsr(&g, 0, 0x40000103, GPA(PG_FREE));
	wrmsr(&g, 0, 0x40000104, 5000);
	wrmsr(&g, 0, 0x40000105, 3ull << 62);
	hvh_reset(g.h);
	hvh_get_crash(g.h, &hc);
	ATF_REQUIRE_EQ(2, hc.count);
	ATF_REQUIRE_EQ(4096, strlen(hc.text));
	ATF_REQUIRE(!hc.no_dump);
	guest_destroy(&g);
	/* Words that were not asked for are not read. */
	guest_create(&g, &cf);
	strcpy((char *)guest_page(&g, PG_FREE), "secret");
	wrmsr(&g, 0, 0x40000103, GPA(PG_FREE));
	wrmsr(&g, 0, 0x40000104, 6);
	wrmsr(&g, 0, 0x40000105, 3ull << 62);
	hvh_get_crash(g.h, &hc);
	ATF_REQUIRE_EQ(1, hc.count);
	ATF_REQUIRE_STREQ("", hc.text);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, flush_space);
	ATF_TP_ADD_TC(tp, flush_list);
	ATF_TP_ADD_TC(tp, flush_ex);
	ATF_TP_ADD_TC(tp, ipi);
	ATF_TP_ADD_TC(tp, form);
	ATF_TP_ADD_TC(tp, long_spin);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, apic);
	ATF_TP_ADD_TC(tp, assist_page);
	ATF_TP_ADD_TC(tp, hidden);
	ATF_TP_ADD_TC(tp, isolation);
	ATF_TP_ADD_TC(tp, crash_kept);
	return (atf_no_error());
}
