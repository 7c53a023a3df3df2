/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine under the noise guest: processors, interrupts, chance, time and
 * the serial port.
 *
 * Interrupts stay off but in short windows, since much of the noise makes
 * interrupts without end.  A window closes by itself after a few.
 */

#include <stdarg.h>

#include "noise.h"

#define	APIC		0xFEE00000u
#define	APIC_ID		0x020
#define	APIC_TPR	0x080
#define	APIC_EOI	0x0B0
#define	APIC_SVR	0x0F0
#define	APIC_ICR	0x300
#define	APIC_LVT_TIMER	0x320
#define	APIC_LVT_ERROR	0x370
#define	SVR_ENABLE	0x1FF
#define	LVT_MASKED	0x10000
#define	ICR_INIT	0xC4500u	/* all but this one */
#define	ICR_STARTUP	0xC4600u
#define	TRAMPOLINE	0x8000u

#define	IOAPIC		0xFEC00000u

#define	RFLAGS_IF	0x200u
#define	VECTOR_NMI	2
#define	VECTOR_UD	6
#define	VECTOR_DF	8
#define	VECTOR_APIC	16	/* the lowest of a local APIC */
/* Of those without an error code: what may be an instruction's fault. */
#define	EXCEPTIONS	0x000D00FBu
#define	WINDOW		32	/* interrupts taken in one */

#define	PIT		0x40
#define	UART		0x3F8
#define	PM_CONTROL	0x604
#define	PM_S5		0x3400	/* SLP_EN, type 5 */
#define	PM_TIMER	0x608

struct frame {
	uint64_t	 rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t	 offset0, selector;
	uint16_t	 flags, offset16;
	uint32_t	 offset32, rsvd;
};
_Static_assert(sizeof(struct gate) == 16, "gate");

struct shared shared;
uint8_t is_amd;
static struct gate idt[256];
static volatile uint32_t print_lock;

void	interrupt(unsigned vector, struct frame *f);
void	exception(unsigned vector, struct frame *f);

/* --- The compiler's own calls --- */

void *
memset(void *p, int v, size_t n)
{
	void *to = p;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(v) : "memory");
	return (p);
}

void *
memcpy(void *p, const void *from, size_t n)
{
	void *to = p;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : :
	    "memory");
	return (p);
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n > 0 && *p == *q; n--, p++, q++)
		continue;
	return (n == 0 ? 0 : *p - *q);
}

/* --- Chance --- */

/* Marsaglia's xorshift, as Vigna multiplies it. */
uint64_t
rnd(struct cpu *c)
{

	c->rng ^= c->rng >> 12;
	c->rng ^= c->rng << 25;
	c->rng ^= c->rng >> 27;
	return (c->rng * 0x2545F4914F6CDD1Dull);
}

uint64_t
below(struct cpu *c, uint64_t n)
{

	return ((rnd(c) >> 11) % n);
}

bool
chance(struct cpu *c, unsigned n)
{

	return (below(c, n) == 0);
}

uint64_t
edge(struct cpu *c)
{
	uint64_t v;

	switch (below(c, 5)) {
	case 0:
		return (0);
	case 1:
		return (~0ull >> below(c, 64));
	case 2:
		return (rnd(c) >> below(c, 64));
	default:
		v = 1ull << below(c, 64);
		return (v + below(c, 3) - 1);
	}
}

void
fill(struct cpu *c, void *p, size_t len)
{
	uint8_t *to = p;
	uint64_t v;

	for (; len >= sizeof(v); len -= sizeof(v), to += sizeof(v)) {
		v = chance(c, 4) ? edge(c) : rnd(c);
		memcpy(to, &v, sizeof(v));
	}
	for (; len > 0; len--)
		*to++ = (uint8_t)rnd(c);
}

uint64_t
arena(struct cpu *c, uint64_t len)
{
	uint64_t at;

	do
		at = ARENA + below(c, LAST - ARENA - len);
	while (at < IMAGE_END && at + len > IMAGE);
	return (at);
}

uint64_t
spare(uint64_t gpa)
{

	/* Nor close before it: transfers go on from there. */
	return (gpa >= IMAGE - 0x10000 && gpa < IMAGE_END ?
	    gpa + IMAGE_END : gpa);
}

uint64_t
any_page(struct cpu *c)
{

	switch (below(c, 16)) {
	case 0:
		return ((uint64_t)pml4 - PAGE);
	case 1:
		return ((uint64_t)tables_end);
	case 2:
		return (shared.ram_top - PAGE * below(c, 3));
	case 3:
		/* Low memory, the ACPI tables too; some pages are in use. */
		return (0x9000 + PAGE * below(c, 0x100 - 9));
	case 4:
		return (0xC0000000ull + PAGE * below(c, 0x40000));
	case 5:
		return (chance(c, 2) ? 0xFEE00000ull : 0xFEC00000ull);
	case 6:
		return (0x100000000ull +
		    (rnd(c) >> below(c, 40)) / PAGE * PAGE);
	case 7:
		return (edge(c) / PAGE * PAGE % 0x200000 == 0 ?
		    ~0ull / PAGE * PAGE : 1ull << (32 + below(c, 32)));
	case 8:
	case 9:
		/* Few pages for many purposes. */
		return (ARENA + PAGE * below(c, 8));
	default:
		return (arena(c, PAGE) / PAGE * PAGE);
	}
}

uint64_t
any_gpa(struct cpu *c)
{
	uint64_t page = any_page(c);

	switch (below(c, 4)) {
	case 0:
		return (page);
	case 1:
		return (page + 8 * below(c, PAGE / 8));
	case 2:
		/* Before the page's end; not into the tables behind it. */
		return (page == (uint64_t)pml4 - PAGE ? page :
		    page + PAGE - 1 - below(c, 300));
	default:
		return (page == (uint64_t)pml4 - PAGE ? page :
		    page + below(c, PAGE));
	}
}

/* --- Serial port and time --- */

static void
put(char ch)
{

	outb(UART, (uint8_t)ch);
}

static void
put_number(uint64_t v, unsigned base)
{
	char text[24];
	unsigned n = 0;

	do {
		text[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	while (n > 0)
		put(text[--n]);
}

/* Whatever has been done to the port: %s, %u and %x (64 bits). */
void
print(const char *fmt, ...)
{
	va_list ap;

	while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE) != 0)
		__builtin_ia32_pause();
	outb(UART + 3, 0x03);
	outb(UART + 1, 0);
	outb(UART + 4, 0x03);
	va_start(ap, fmt);
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's') {
			for (const char *s = va_arg(ap, const char *);
			    *s != '\0'; s++)
				put(*s);
		} else
			put_number(va_arg(ap, uint64_t), *fmt == 'u' ? 10 : 16);
	}
	va_end(ap);
	__atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

void
power_off(void)
{

	outw(PM_CONTROL, PM_S5);
	park();
}

void
die(const char *why)
{

	print("\nnoise: failed: %s\n", why);
	power_off();
}

uint32_t
ticks(void)
{

	return (inl(PM_TIMER));
}

void
delay_ms(unsigned ms)
{
	uint32_t start = ticks();

	while (ticks() - start < ms * TICKS_PER_MS)
		__builtin_ia32_pause();
}

/* --- Interrupts and exceptions --- */

static uint32_t
apic_read(unsigned reg)
{

	return (*(volatile uint32_t *)(uintptr_t)(APIC + reg));
}

static void
apic_write(unsigned reg, uint32_t v)
{

	*(volatile uint32_t *)(uintptr_t)(APIC + reg) = v;
}

static struct cpu *
this_cpu(void)
{

	return ((struct cpu *)((uintptr_t)__builtin_frame_address(0) &
	    ~(uintptr_t)(STACK_SIZE - 1)));
}

static bool
may_fault(struct cpu *c, struct frame *f)
{

	size_t n = ((uintptr_t)extable_end - (uintptr_t)extable) /
	    sizeof(extable[0]);

	for (size_t i = 0; i < n; i++) {
		if (extable[i] != f->rip)
			continue;
		f->rip = (uint64_t)faulted;
		c->faults++;
		return (true);
	}
	return (false);
}

void
interrupt(unsigned vector, struct frame *f)
{
	struct cpu *c = this_cpu();

	if (vector == VECTOR_UD && may_fault(c, f))
		return;
	if (vector == VECTOR_NMI)
		return;
	if ((f->rflags & RFLAGS_IF) == 0 && vector < 32 &&
	    (EXCEPTIONS >> vector & 1) != 0) {
		print("\nnoise: vector %x at %x\n", (uint64_t)vector, f->rip);
		die("an exception");
	}
	c->irqs++;
	if (vector >= VECTOR_APIC)
		apic_write(APIC_EOI, 0);
	if (++c->budget >= WINDOW)
		f->rflags &= ~(uint64_t)RFLAGS_IF;
}

/* With an error code. */
void
exception(unsigned vector, struct frame *f)
{

	uint64_t at;

	if (may_fault(this_cpu(), f))
		return;
	__asm__ volatile("movq %%cr2, %0" : "=r"(at));
	print("\nnoise: vector %x at %x, stack %x, address %x\n",
	    (uint64_t)vector, f->rip, f->rsp, at);
	die("an exception with a code");
}

void
window(struct cpu *c)
{

	c->budget = 0;
	__asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
}

/* --- Processors --- */

/*
 * Tables of its own for each processor: a double fault has a stack that is
 * right, so that it can be told.
 */
static void
set_tables(struct cpu *c)
{
	uint8_t reg[10];		/* limit, base */
	uint64_t tss = (uint64_t)c->tss, top = (uint64_t)c->fault_stack +
	    sizeof(c->fault_stack);

	put16(reg, sizeof(idt) - 1);
	put64(reg + 2, (uint64_t)idt);
	__asm__ volatile("lidt %0" : : "m"(reg));
	c->gdt[2] = 0x00AF9B000000FFFF;		/* as in start.S */
	c->gdt[3] = 0x00CF93000000FFFF;
	c->gdt[4] = (sizeof(c->tss) - 1) | (tss & 0xFFFFFF) << 16 |
	    0x89ull << 40 | (tss >> 24 & 0xFF) << 56;
	c->gdt[5] = tss >> 32;
	memcpy(&c->tss[9], &top, sizeof(top));
	put16(reg, sizeof(c->gdt) - 1);
	put64(reg + 2, (uint64_t)c->gdt);
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(reg), "r"(4 * 8) :
	    "memory");
}

void
cpu_setup(struct cpu *c, unsigned id, uint64_t seed)
{

	c->id = id;
	c->rng = (seed + 1) * 0x9E3779B97F4A7C15ull +
	    id * 0xD1B54A32D192ED03ull;
	if (c->rng == 0)
		c->rng = 1;
	for (unsigned i = 0; i < 16; i++)
		(void)rnd(c);
	for (unsigned v = 0; id == 0 && v < 256; v++) {
		uint64_t to = (uint64_t)entries + 16 * v;

		idt[v] = (struct gate){ .offset0 = (uint16_t)to,
		    .selector = 0x10,
		    .flags = 0x8E00 | (v == VECTOR_DF ? 1 : 0),
		    .offset16 = (uint16_t)(to >> 16) };
	}
	set_tables(c);
	c->apic_id = apic_read(APIC_ID);
	apic_write(APIC_SVR, SVR_ENABLE);
}

static void
wait_ipi(void)
{

	while ((apic_read(APIC_ICR) & 0x1000) != 0)
		__builtin_ia32_pause();
}

void
cpus_start(void)
{
	uint32_t start;

	memcpy((void *)(uintptr_t)TRAMPOLINE, trampoline,
	    (uintptr_t)trampoline_end - (uintptr_t)trampoline);
	apic_write(APIC_ICR, ICR_INIT);
	wait_ipi();
	delay_ms(10);
	for (int i = 0; i < 2; i++) {
		apic_write(APIC_ICR, ICR_STARTUP | TRAMPOLINE / PAGE);
		wait_ipi();
		delay_ms(1);
	}
	start = ticks();
	while (cpus_started < shared.cpus) {
		if (ticks() - start > 10 * TICKS_PER_S)
			die("processors do not start");
	}
}

void
calm(struct cpu *c)
{
	volatile uint32_t *ioapic = (void *)(uintptr_t)IOAPIC;

	stimers_off();
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	if (c->id != 0)
		return;
	for (unsigned pin = 0; pin < 24; pin++) {
		ioapic[0] = 0x10 + 2 * pin;
		ioapic[4] = LVT_MASKED;
	}
	/* The PIT's longest period, in its least busy mode. */
	outb(PIT + 3, 0x30);
	outb(PIT, 0xFF);
	outb(PIT, 0xFF);
}

void
apic_restore(struct cpu *c)
{

	calm(c);
	apic_write(APIC_ID, c->apic_id);
	apic_write(APIC_SVR, SVR_ENABLE);
	apic_write(APIC_TPR, 0);
	for (unsigned r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 0x10)
		apic_write(r, LVT_MASKED);
	for (unsigned i = 0; i < 8; i++) {
		window(c);
		apic_write(APIC_EOI, 0);
	}
}
