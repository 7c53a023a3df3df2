/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The noise guest: bare metal that does to its host whatever a guest can, by
 * chance, and in the end shows that the host is sane.  Layouts of the wire are
 * its own (protocol: hypervisor, vmbus, storvsc, netvsc,
 * utilities), not the host's.
 *
 * Memory: only the image is spared.  What the host is made to write goes to
 * the arena (from ARENA to the top, the image left out), to low memory, to the
 * neighbours of the page tables, or nowhere.  The image lies where neither
 * small numbers nor powers of two nor a wrong bit in an arena's page number
 * lead, taken as an address or as a page number: 2 MiB of its own.
 */

#ifndef NOISE_H
#define	NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define	PAGE		4096u
#define	IMAGE		0x2C00000ull
#define	IMAGE_END	0x2E00000ull
#define	ARENA		0x200000ull
/* The last page, for what shall end with memory. */
#define	LAST		(shared.ram_top - PAGE)
#define	STACK_SIZE	65536u

/* A processor; its stack follows in the same block (start.S). */
struct cpu {
	uint64_t	 rng;
	unsigned	 id;
	uint64_t	 ops;
	uint64_t	 faults;	/* refused instructions */
	uint64_t	 irqs;
	unsigned	 budget;	/* interrupts taken in this window */
	uint32_t	 apic_id;	/* APIC register, to be put back */
	uint64_t	 gdt[8];
	uint32_t	 tss[26];
	uint8_t		 fault_stack[2048] __attribute__((aligned(16)));
	uint8_t		 page[PAGE] __attribute__((aligned(4096)));
	uint8_t		 prd[PAGE] __attribute__((aligned(4096)));
	uint8_t		 simp[PAGE] __attribute__((aligned(4096)));
	uint8_t		 siefp[PAGE] __attribute__((aligned(4096)));
};
_Static_assert(sizeof(struct cpu) <= STACK_SIZE / 2, "room for a stack");

/* What all processors know. */
struct shared {
	unsigned	 cpus;
	uint64_t	 ram_top;	/* below 3 GiB */
	uint32_t	 end;		/* PM timer: when the noise ends */
	bool		 allow_reset;
	bool		 verbose;
	volatile bool	 go;
	volatile bool	 over;		/* processors park */
	volatile bool	 deep;		/* cpu 0 has a connection that works */
	volatile bool	 served;	/* a service's channel was open */
	volatile uint32_t done;		/* processors that have ended */
	/* Of cpu 0's connection, for the others to spoil. */
	volatile uint64_t ring;		/* address of a channel's rings */
	volatile uint32_t ring_pages;
};
extern struct shared shared;

/* cpu.c */
uint64_t rnd(struct cpu *c);
/* 0 to n - 1. */
uint64_t below(struct cpu *c, uint64_t n);
/* Once in n. */
bool	chance(struct cpu *c, unsigned n);
/* A number of those that hurt: 0, all ones, powers of 2 and neighbours. */
uint64_t edge(struct cpu *c);
void	fill(struct cpu *c, void *p, size_t len);
/* Addresses for the host to use: see above.  Page-aligned, or any. */
uint64_t any_page(struct cpu *c);
uint64_t any_gpa(struct cpu *c);
/* An address that is not by chance this image's, nor close before it. */
uint64_t spare(uint64_t gpa);
/* One that is memory and whose next len bytes are. */
uint64_t arena(struct cpu *c, uint64_t len);
void	print(const char *fmt, ...);
void	die(const char *why) __attribute__((noreturn));
void	power_off(void) __attribute__((noreturn));
/* PM timer ticks since its start (3.58 MHz, 32 bits). */
uint32_t ticks(void);
#define	TICKS_PER_S	3579545u
#define	TICKS_PER_MS	3580u
void	delay_ms(unsigned ms);
void	cpu_setup(struct cpu *c, unsigned id, uint64_t seed);
void	cpus_start(void);
/* Takes some of the interrupts that wait. */
void	window(struct cpu *c);
/* Local APIC and IOAPIC in order again. */
void	apic_restore(struct cpu *c);
/* Ends what interrupts without end; the processors would do nothing else. */
void	calm(struct cpu *c);

/* hv.c */
void	hv_setup(void);
int	hv_post(void *page, uint32_t conn, const void *msg, uint32_t len);
void	hv_signal(uint32_t conn);
/* This processor's SynIC: own pages, SINT 2 open, nothing else. */
void	synic_own(struct cpu *c);
void	synic_off(struct cpu *c);
void	stimers_off(void);
void	noise_hypercall(struct cpu *c);
void	noise_signal(struct cpu *c);
/* Flushes and IPIs. */
void	noise_reach(struct cpu *c);
void	noise_msr(struct cpu *c);
void	noise_cpuid(struct cpu *c);

/* pc.c */
void	noise_port(struct cpu *c);
void	noise_ide(struct cpu *c);
void	noise_mmio(struct cpu *c);
void	noise_apic(struct cpu *c);
void	pc_restore(void);

/* bus.c */
void	noise_message(struct cpu *c);

/* client.c: a VMBus client that works. */
struct offer {
	uint32_t	 chan, conn;
	uint16_t	 sub;
	uint8_t		 type[16], instance[16];
};
#define	OFFERS_MAX	40

struct chan {
	struct offer	 offer;
	uint32_t	 gpadl;
	uint8_t		*out, *in;	/* rings, control page first */
	uint32_t	 out_size, in_size;	/* data */
	uint32_t	 pages;		/* of both */
	uint32_t	 wi, ri;	/* our indices */
	uint16_t	 version;	/* VSTOR */
	uint8_t		*tx;		/* network: the send buffer */
	bool		 ic;		/* an integration service */
};
/* How long an answer may take, ms. */
extern unsigned patience;
extern const uint8_t guid_scsi[16], guid_ide[16], guid_net[16];
bool	bus_connect(struct cpu *c, uint32_t version, struct offer *of,
	    unsigned *count);
void	bus_unload(struct cpu *c);
/* Memory for the host to use: *gpadl names it. */
bool	bus_share(struct cpu *c, uint32_t chan, void *mem, uint32_t pages,
	    uint32_t *gpadl);
/* Rings at mem, pages of them of which the first down are ours. */
bool	chan_open(struct cpu *c, struct chan *ch, const struct offer *of,
	    uint8_t *mem, uint32_t pages, uint32_t down);
void	chan_close(struct cpu *c, struct chan *ch);
void	chan_signal(struct chan *ch);
/* Raw packet; false: no room. */
bool	chan_write(struct chan *ch, const void *pkt, uint32_t len);
/* A packet: its length, 0: none. */
uint32_t chan_read(struct chan *ch, void *buf, uint32_t max);
void	pkt_descriptor(uint8_t *p, uint16_t type, uint16_t head, uint32_t len,
	    uint64_t id);
/* Waits for the completion of a packet; others are lost. */
bool	pkt_answer(struct chan *ch, uint64_t id, uint8_t *pkt, uint32_t max);
/* Empties this processor's message slot; false: nothing there. */
bool	bus_message(struct cpu *c, uint8_t msg[240]);

/* stor.c */
bool	stor_init(struct cpu *c, struct chan *ch, uint16_t version);
/* One request, completed: SRB status, -1: no answer. */
int	stor_io(struct cpu *c, struct chan *ch, const uint8_t cdb[16],
	    uint8_t lun, bool read, void *data, uint32_t len);
/* A session that begins well and ends badly. */
void	deep_session(struct cpu *c);
void	noise_spoil(struct cpu *c);

/* net.c */
/* Buffers in mem, pages of them. */
bool	net_init(struct cpu *c, struct chan *ch, uint8_t *mem,
	    uint32_t pages);
/* So many messages that are nearly right. */
void	net_hammer(struct cpu *c, struct chan *ch, unsigned n);

/* ic.c */
/* So many answers and other messages to an integration service's host. */
void	ic_hammer(struct cpu *c, struct chan *ch, unsigned n);

/* start.S */
extern uint8_t trampoline[], trampoline_end[], entries[], cpu_blocks[];
extern uint8_t pml4[], tables_end[], image_end[];
extern uint64_t extable[], extable_end[];
extern volatile uint32_t cpus_started;
extern uint32_t start_info;
extern uint8_t is_amd;
int	try_rdmsr(uint32_t msr, uint64_t *val);
int	try_wrmsr(uint32_t msr, uint64_t val);
uint64_t hypercall(uint64_t control, uint64_t in, uint64_t out, uint64_t rax);
void	faulted(void);
void	park(void) __attribute__((noreturn));
void	cpu_main(unsigned id, struct cpu *c);

/* The compiler's own calls. */
void	*memset(void *p, int v, size_t n);
void	*memcpy(void *to, const void *from, size_t n);
int	memcmp(const void *a, const void *b, size_t n);

static inline void
put16(void *p, uint16_t v)
{

	memcpy(p, &v, sizeof(v));
}

static inline void
put32(void *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

static inline void
put64(void *p, uint64_t v)
{

	memcpy(p, &v, sizeof(v));
}

static inline uint32_t
get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

static inline uint64_t
get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

static inline void
outb(uint16_t port, uint8_t v)
{

	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void
outw(uint16_t port, uint16_t v)
{

	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void
outl(uint16_t port, uint32_t v)
{

	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t
inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

static inline uint16_t
inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

static inline uint32_t
inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

#endif	/* !NOISE_H */
