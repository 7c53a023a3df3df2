/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Noise for the hypervisor: hypercalls, MSRs, CPUID (protocol: hypervisor).
 */

#include "noise.h"

#define	MSR_OS_ID	0x40000000u
#define	MSR_HYPERCALL	0x40000001u
#define	MSR_RESET	0x40000003u
#define	MSR_REF_TSC	0x40000021u
#define	MSR_HV_ICR	0x40000071u
#define	MSR_VP_ASSIST	0x40000073u
#define	MSR_SCONTROL	0x40000080u
#define	MSR_SIEFP	0x40000082u
#define	MSR_SIMP	0x40000083u
#define	MSR_EOM		0x40000084u
#define	MSR_SINT0	0x40000090u
#define	MSR_STIMER0	0x400000B0u
#define	MSR_CRASH_P0	0x40000100u
#define	MSR_CRASH_CTL	0x40000105u
#define	OS_ID		0x8200000000000000ull

#define	CALL_FAST	(1ull << 16)
#define	CALL_POST	0x5Cu
#define	CALL_SIGNAL	0x5Du

#define	CALL_FLUSH	0x02u
#define	CALL_FLUSH_LIST	0x03u
#define	CALL_IPI	0x0Bu
#define	CALL_FLUSH_EX	0x13u
#define	CALL_LIST_EX	0x14u
#define	CALL_IPI_EX	0x15u
#define	SPARSE_FORMAT	0

#define	PERIOD_MIN	20000u	/* 2 ms */
#define	SINT_MASKED	(1ull << 16)
#define	SINT_VMBUS	2
#define	ICR_MODE	0x700ull	/* fixed instead */

/* What KVM writes for a guest by these, it must be told to leave. */
#define	MSR_KVM_CLOCK_OLD	0x12u
#define	MSR_KVM_CLOCK		0x4B564D01u
#define	MSR_KVM_STEAL		0x4B564D03u
#define	MSR_KVM_EOI		0x4B564D04u

static bool
cpuid_amd(void)
{
	uint32_t a = 0, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return (b != 0x756E6547);	/* "Genu" */
}

void
hv_setup(void)
{

	is_amd = cpuid_amd();
	if (try_wrmsr(MSR_OS_ID, OS_ID) != 0)
		die("the OS id is refused");
}

int
hv_post(void *page, uint32_t conn, const void *msg, uint32_t len)
{
	uint8_t *p = page;

	memset(p, 0, 256);
	put32(p, conn);
	put32(p + 8, 1);
	put32(p + 12, len);
	memcpy(p + 16, msg, len < 240 ? len : 240);
	return ((int)(hypercall(CALL_POST, (uint64_t)p, 0, 0) & 0xFFFF));
}

void
hv_signal(uint32_t conn)
{

	(void)hypercall(CALL_SIGNAL | CALL_FAST, conn, 0, 0);
}

void
stimers_off(void)
{

	for (uint32_t i = 0; i < 4; i++) {
		(void)try_wrmsr(MSR_STIMER0 + 2 * i, 0);
		(void)try_wrmsr(MSR_STIMER0 + 2 * i + 1, 0);
	}
}

void
synic_off(struct cpu *c)
{

	stimers_off();
	for (uint32_t i = 0; i < 16; i++)
		(void)try_wrmsr(MSR_SINT0 + i, SINT_MASKED);
	(void)try_wrmsr(MSR_SIMP, 0);
	(void)try_wrmsr(MSR_SIEFP, 0);
	(void)try_wrmsr(MSR_VP_ASSIST, 0);
	(void)try_wrmsr(MSR_KVM_CLOCK_OLD, 0);
	(void)try_wrmsr(MSR_KVM_CLOCK, 0);
	(void)try_wrmsr(MSR_KVM_STEAL, 0);
	(void)try_wrmsr(MSR_KVM_EOI, 0);
	if (c->id == 0) {
		(void)try_wrmsr(MSR_REF_TSC, 0);
		(void)try_wrmsr(MSR_HYPERCALL, 0);
	}
}

void
synic_own(struct cpu *c)
{

	synic_off(c);
	memset(c->simp, 0, PAGE);
	memset(c->siefp, 0, PAGE);
	if (try_wrmsr(MSR_SIMP, (uint64_t)c->simp | 1) != 0 ||
	    try_wrmsr(MSR_SIEFP, (uint64_t)c->siefp | 1) != 0 ||
	    try_wrmsr(MSR_SINT0 + SINT_VMBUS, 0x50) != 0 ||
	    try_wrmsr(MSR_SCONTROL, 1) != 0)
		die("the SynIC is refused");
}

/* --- Hypercalls --- */

static const uint16_t calls[] = {
	2, 3, 8, 0xB, 0x13, 0x14, 0x15, 0x50, 0x51, 0x5C, 0x5D, 0x69, 0x6A,
	0x9A, 0x8001,
};

void
noise_hypercall(struct cpu *c)
{
	uint64_t control, in, out;

	control = chance(c, 8) ? rnd(c) & 0xFFFF :
	    calls[below(c, sizeof(calls) / sizeof(calls[0]))];
	if (chance(c, 2))
		control |= CALL_FAST;
	if (chance(c, 3))
		control |= below(c, 4096) << 32;	/* rep count */
	if (chance(c, 6))
		control |= below(c, 4096) << 48;	/* rep start */
	if (chance(c, 4))
		control |= below(c, 1024) << 17;	/* variable header */
	if (chance(c, 16))
		control |= 1ull << below(c, 64);
	in = chance(c, 4) ? edge(c) : any_gpa(c);
	out = chance(c, 4) ? edge(c) : any_gpa(c);
	if (chance(c, 2)) {
		in = arena(c, PAGE) & ~7ull;
		fill(c, (void *)in, 256);
		if (chance(c, 2))
			put32((void *)in, (uint32_t)below(c, 6));
		if (chance(c, 2))
			put32((void *)(in + 8), 1);
		if (chance(c, 2))
			put32((void *)(in + 12), (uint32_t)below(c, 260));
	}
	(void)hypercall(control, in, out, below(c, 16));
}

void
noise_signal(struct cpu *c)
{
	static const uint32_t known[] = { 1, 2, 3, 4, 0x2000 };
	unsigned n = chance(c, 16) ? 200 : 1;
	uint64_t v;

	v = chance(c, 3) ? known[below(c, 5)] :
	    0x2000 + below(c, chance(c, 4) ? 2100 : 24);
	if (chance(c, 8))
		v = rnd(c);
	else if (chance(c, 6))
		v |= below(c, 65536) << 32;	/* flag */
	while (n-- > 0)
		(void)hypercall(CALL_SIGNAL | CALL_FAST, v, 0, 0);
}

/* A set of processors: mostly of those there are; returns its end. */
static uint64_t *
vp_set(struct cpu *c, uint64_t *p, uint64_t *control, bool ex)
{
	unsigned banks = 0;
	uint64_t mask = chance(c, 8) ? edge(c) : 1;

	if (!ex) {
		*p++ = chance(c, 4) ? edge(c) : below(c, 1ull << shared.cpus);
		return (p);
	}
	*p++ = chance(c, 6) ? edge(c) : SPARSE_FORMAT;
	*p++ = mask;
	for (; mask != 0 && banks < 40; mask &= mask - 1, banks++)
		*p++ = chance(c, 4) ? edge(c) : below(c, 1ull << shared.cpus);
	/* Now and then one too many or too few. */
	*control |= (uint64_t)(banks + (chance(c, 8) ? 1 : 0)) << 17;
	return (p);
}

/* Calls of the right form, which reach other processors. */
void
noise_reach(struct cpu *c)
{
	static const uint8_t codes[] = { CALL_FLUSH, CALL_FLUSH_LIST,
	    CALL_IPI, CALL_FLUSH_EX, CALL_LIST_EX, CALL_IPI_EX };
	uint8_t code = codes[below(c, sizeof(codes))];
	uint64_t control = code, *in, *p;
	bool ex = code >= CALL_FLUSH_EX, ipi = code == CALL_IPI ||
	    code == CALL_IPI_EX;
	unsigned reps = (unsigned)below(c, chance(c, 8) ? 500 : 8) + 1;

	in = p = (uint64_t *)(arena(c, PAGE) / PAGE * PAGE);
	if (ipi) {
		*p++ = chance(c, 8) ? edge(c) : 32 + below(c, 224);
	} else {
		*p++ = rnd(c) & ~0xFFFull;
		*p++ = chance(c, 8) ? edge(c) : below(c, 8);
	}
	p = vp_set(c, p, &control, ex);
	if (code == CALL_FLUSH_LIST || code == CALL_LIST_EX) {
		control |= (uint64_t)reps << 32;
		if (chance(c, 8))
			control |= below(c, reps + 1) << 48;
		while (reps-- > 0 && p < in + PAGE / sizeof(*p))
			*p++ = chance(c, 2) ? rnd(c) : rnd(c) & ~0xFF0ull;
	}
	if (code == CALL_IPI && chance(c, 2))
		(void)hypercall(control | CALL_FAST, in[0], in[1],
		    below(c, 16));
	else
		(void)hypercall(control, (uint64_t)in, 0, below(c, 16));
}

/* --- MSRs --- */

static uint64_t
sint_value(struct cpu *c)
{
	uint64_t v = below(c, 256);

	if (chance(c, 4))
		v |= SINT_MASKED;
	if (chance(c, 3))
		v |= 1ull << 17;		/* AutoEOI */
	if (chance(c, 4))
		v |= 1ull << 18;		/* polling */
	if (chance(c, 8))
		v |= rnd(c) << 8;
	return (v);
}

static void
stimer(struct cpu *c)
{
	uint32_t n = (uint32_t)below(c, 4);
	uint64_t config = below(c, 16) | below(c, 256) << 4, count;

	if (chance(c, 2))
		config |= 1ull << 12;		/* direct */
	config |= below(c, 16) << 16;
	if (chance(c, 8))
		config |= rnd(c);
	count = chance(c, 2) ? edge(c) : below(c, 100000);
	/* A period of next to nothing leaves the processor no time at all. */
	if ((config & 2) != 0 && count < PERIOD_MIN)
		count += PERIOD_MIN;
	(void)try_wrmsr(MSR_STIMER0 + 2 * n, 0);
	(void)try_wrmsr(MSR_STIMER0 + 2 * n + 1, count);
	(void)try_wrmsr(MSR_STIMER0 + 2 * n, config);
	if (chance(c, 2))
		(void)try_wrmsr(MSR_STIMER0 + 2 * n + 1, count);
}

static void
crash(struct cpu *c)
{

	for (uint32_t i = 0; i < 5; i++)
		(void)try_wrmsr(MSR_CRASH_P0 + i, edge(c));
	(void)try_wrmsr(MSR_CRASH_P0 + 3, any_gpa(c));
	(void)try_wrmsr(MSR_CRASH_P0 + 4, chance(c, 2) ? below(c, 5000) :
	    edge(c));
	(void)try_wrmsr(MSR_CRASH_CTL, chance(c, 8) ? rnd(c) :
	    below(c, 4) << 62);
}

static void
synic_msr(struct cpu *c)
{
	uint32_t msr;
	uint64_t page = any_page(c) | (chance(c, 4) ? 0 : 1);

	if (chance(c, 16))
		page |= below(c, PAGE);
	switch (below(c, 8)) {
	case 0:
		(void)try_wrmsr(MSR_SIMP, page);
		break;
	case 1:
		(void)try_wrmsr(MSR_SIEFP, page);
		break;
	case 2:
		(void)try_wrmsr(MSR_SCONTROL, chance(c, 8) ? edge(c) :
		    below(c, 2));
		break;
	case 3:
		for (uint64_t n = below(c, 64); n > 0; n--)
			(void)try_wrmsr(MSR_EOM, 0);
		break;
	case 4:
		/* Both pages, or a page of something else. */
		(void)try_wrmsr(MSR_SIMP, page);
		(void)try_wrmsr(MSR_SIEFP, page);
		break;
	case 5:
		msr = 0x40000080 + (uint32_t)below(c, 32);
		(void)try_wrmsr(msr, chance(c, 2) ? page : spare(edge(c)));
		break;
	default:
		(void)try_wrmsr(MSR_SINT0 + (chance(c, 2) ? SINT_VMBUS :
		    (uint32_t)below(c, 16)), sint_value(c));
		break;
	}
}

/* Of the partition, and what KVM serves. */
static void
partition_msr(struct cpu *c)
{
	uint64_t page = any_page(c) | (chance(c, 4) ? 0 : 1), v;

	switch (below(c, 9)) {
	case 0:
		/* Without an id no hypercall works: for a moment only. */
		if (!shared.deep) {
			(void)try_wrmsr(MSR_OS_ID, chance(c, 2) ? 0 : rnd(c));
			(void)hypercall(CALL_SIGNAL | CALL_FAST, 0x2001, 0,
			    below(c, 16));
		}
		(void)try_wrmsr(MSR_OS_ID, OS_ID | below(c, 1 << 20));
		break;
	case 1:
		(void)try_wrmsr(MSR_HYPERCALL, page);
		break;
	case 2:
		(void)try_wrmsr(MSR_REF_TSC, page);
		break;
	case 3:
		(void)try_wrmsr(MSR_RESET, shared.allow_reset &&
		    chance(c, 100) ? 1 : rnd(c) & ~1ull);
		break;
	case 4:
		(void)try_wrmsr(MSR_VP_ASSIST, page);
		break;
	case 5:
		(void)try_wrmsr(MSR_HV_ICR, rnd(c) & ~ICR_MODE);
		break;
	case 6:
		(void)try_wrmsr(0x40000070 + 2 * (uint32_t)below(c, 2),
		    edge(c));
		break;
	case 7:
		(void)try_wrmsr(0x40000106 + (uint32_t)below(c, 3), edge(c));
		(void)try_wrmsr(0x40000118, edge(c));
		break;
	default:
		v = chance(c, 4) ? spare(edge(c)) : page;
		(void)try_wrmsr(chance(c, 4) ? MSR_KVM_CLOCK_OLD :
		    chance(c, 2) ? MSR_KVM_EOI : chance(c, 2) ?
		    MSR_KVM_STEAL : MSR_KVM_CLOCK, v);
		break;
	}
}

/* Others, by which this guest does not live. */
static void
other_msr(struct cpu *c)
{
	static const uint32_t safe[] = { 0x174, 0x175, 0x176, 0x277, 0x8B,
	    0x1D9, 0x2FF, 0x179, 0x17A, 0xC0000081, 0xC0000082, 0xC0000083,
	    0xC0000084, 0xC0000102, 0xC0010117, 0x6E0 };
	uint64_t v;

	if (chance(c, 3)) {
		(void)try_wrmsr(safe[below(c, sizeof(safe) / sizeof(safe[0]))],
		    edge(c));
		return;
	}
	(void)try_rdmsr((uint32_t)below(c, 0x2000) |
	    (chance(c, 2) ? 0xC0000000 : 0) |
	    (chance(c, 8) ? 0x40000000 : 0), &v);
}

void
noise_msr(struct cpu *c)
{
	uint64_t v;

	switch (below(c, 16)) {
	case 0:
	case 1:
	case 2:
		stimer(c);
		break;
	case 3:
		if (chance(c, 8))
			crash(c);
		break;
	case 4:
	case 5:
		partition_msr(c);
		break;
	case 6:
		other_msr(c);
		break;
	case 7:
		(void)try_rdmsr(0x40000000 + (uint32_t)below(c, 0x200), &v);
		break;
	case 8:
		/* Reserved ones; not the page of another layer, not the id. */
		(void)try_wrmsr(0x40000120 + (uint32_t)below(c, 0x2000),
		    edge(c));
		break;
	default:
		synic_msr(c);
		break;
	}
}

void
noise_cpuid(struct cpu *c)
{
	uint32_t a = (uint32_t)below(c, 64), b, d;
	uint32_t x = (uint32_t)edge(c);

	if (chance(c, 2))
		a |= 0x40000000;
	else if (chance(c, 2))
		a = (uint32_t)rnd(c);
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(x), "=d"(d));
}
