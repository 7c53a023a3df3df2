/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The noise guest: command line, what each processor does, and the proof at
 * the end.  Command line: seed=N seconds=S [only=KIND] [reset] [verbose].
 *
 * The proof: with all put in order, the host must answer a new contact, and
 * a disk (SCSI, unit PROOF_LUN) must have at PROOF_LBA what it had: in each
 * eight bytes the sector's number and their place.
 */

#include "noise.h"

#define	PROOF_LUN	1
#define	PROOF_LBA	77
#define	SECTOR		512
#define	PROOF_MS	10000
#define	VERSION_PROOF	0x00050003u
#define	MORE_SECONDS	15

/* PVH's start info. */
#define	SI_MODLIST	16
#define	SI_CMDLINE	24
#define	SI_MEMMAP	40
#define	SI_ENTRIES	48

struct kind {
	const char	*name;
	void		(*fn)(struct cpu *c);
	unsigned	 weight;
};

static const struct kind kinds[] = {
	{ "hypercall", noise_hypercall, 12 },
	{ "signal", noise_signal, 6 },
	{ "reach", noise_reach, 6 },
	{ "message", noise_message, 16 },
	{ "msr", noise_msr, 16 },
	{ "cpuid", noise_cpuid, 1 },
	{ "port", noise_port, 12 },
	{ "ide", noise_ide, 4 },
	{ "mmio", noise_mmio, 4 },
	{ "apic", noise_apic, 6 },
	{ "spoil", noise_spoil, 8 },
};
#define	KINDS	(sizeof(kinds) / sizeof(kinds[0]))

static uint64_t seed = 1;
static uint64_t seconds = 5;
static const char *only;

/* --- Command line and memory --- */

/* The text after "name=", or NULL. */
static const char *
argument(const char *line, const char *name)
{
	size_t n;

	for (; *line != '\0'; line++) {
		for (n = 0; name[n] != '\0' && line[n] == name[n]; n++)
			continue;
		if (name[n] == '\0')
			return (line + n);
		while (line[1] != '\0' && line[0] != ' ')
			line++;
	}
	return (NULL);
}

static uint64_t
number(const char *text, uint64_t otherwise)
{
	uint64_t v = 0;

	if (text == NULL)
		return (otherwise);
	for (; *text >= '0' && *text <= '9'; text++)
		v = v * 10 + (uint64_t)(*text - '0');
	return (v);
}

static void
options(void)
{
	const uint8_t *si = (uint8_t *)(uintptr_t)start_info, *e;
	const char *line = (const char *)get64(si + SI_CMDLINE);

	seed = number(argument(line, "seed="), 1);
	seconds = number(argument(line, "seconds="), 5);
	only = argument(line, "only=");
	shared.allow_reset = argument(line, "reset") != NULL;
	shared.verbose = argument(line, "verbose") != NULL;
	e = (const uint8_t *)get64(si + SI_MEMMAP);
	for (uint32_t i = 0; i < get32(si + SI_ENTRIES); i++, e += 24) {
		if (get32(e + 16) == 1 && get64(e) < 0xC0000000ull &&
		    get64(e) + get64(e + 8) > shared.ram_top)
			shared.ram_top = get64(e) + get64(e + 8);
	}
	if (shared.ram_top < IMAGE_END + (1u << 20))
		die("it takes 48 MiB of memory");
	if ((uint64_t)image_end > IMAGE_END)
		die("the image is too large");
}

/* Leaf 0x40000005 tells how many virtual processors there are. */
static uint32_t
processors(void)
{
	uint32_t a = 0x40000005, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (a < 1 ? 1 : a > CPUS_MAX ? CPUS_MAX : a);
}

/* --- Noise --- */

static bool
wanted(const struct kind *k)
{
	const char *p = only, *n = k->name;

	for (; p != NULL && *n != '\0'; p++, n++) {
		if (*p != *n)
			return (false);
	}
	return (true);
}

static void
one(struct cpu *c)
{
	unsigned total = 0, at;

	for (unsigned i = 0; i < KINDS; i++)
		total += wanted(&kinds[i]) ? kinds[i].weight : 0;
	if (total == 0)
		return;
	at = (unsigned)below(c, total);
	for (unsigned i = 0; i < KINDS; i++) {
		if (!wanted(&kinds[i]))
			continue;
		if (at < kinds[i].weight) {
			kinds[i].fn(c);
			break;
		}
		at -= kinds[i].weight;
	}
	c->ops++;
	if (chance(c, 16))
		window(c);
}

/*
 * The others' noise may keep every session from a channel that opens: there is
 * some more time then for one with a service.
 */
static bool
time_left(void)
{
	int32_t over = (int32_t)(ticks() - shared.end);

	return (over < 0 || (only == NULL && !shared.served &&
	    over < (int32_t)(MORE_SECONDS * TICKS_PER_S)));
}

static void
noise(struct cpu *c)
{

	while (time_left()) {
		if (c->id == 0 && only == NULL)
			deep_session(c);
		for (unsigned n = 0; n < 400 && time_left(); n++)
			one(c);
		calm(c);
		/* A kind that reaches nothing else still has its turn. */
		if (c->id == 0 && argument(only != NULL ? only : "", "deep"))
			deep_session(c);
	}
	/* Last, so that nothing is on its way to what the proof needs. */
	apic_restore(c);
}

/* --- The proof --- */

static bool
sector_right(const uint8_t *p)
{

	for (uint32_t i = 0; i < SECTOR; i += 8) {
		if (get32(p + i) != PROOF_LBA || get32(p + i + 4) != i)
			return (false);
	}
	return (true);
}

static bool
read_proof(struct cpu *c, const struct offer *of)
{
	static uint8_t rings[16 * PAGE] __attribute__((aligned(4096)));
	static uint8_t data[PAGE] __attribute__((aligned(4096)));
	static struct chan ch;
	uint8_t cdb[16] = { 0x28, 0, 0, 0, 0, PROOF_LBA, 0, 0, 1 };

	if (!chan_open(c, &ch, of, rings, 16, 8))
		die("the controller does not open");
	if (!stor_init(c, &ch, 0x602))
		die("the controller does not talk");
	for (int i = 0; i < 3; i++) {
		memset(data, 0, sizeof(data));
		/* The first command after a change may say so. */
		if (stor_io(c, &ch, cdb, PROOF_LUN, true, data, SECTOR) == 1)
			break;
	}
	chan_close(c, &ch);
	return (sector_right(data));
}

static void
prove(struct cpu *c)
{
	static struct offer of[OFFERS_MAX];
	unsigned count;

	patience = PROOF_MS;
	pc_restore();
	hv_setup();
	synic_own(c);
	/* The first may find a connection whose end takes a moment. */
	for (int i = 0; !bus_connect(c, VERSION_PROOF, of, &count); i++) {
		if (i == 5)
			die("no connection to VMBus");
	}
	for (unsigned i = 0; i < count; i++) {
		if (memcmp(of[i].type, guid_scsi, 16) == 0 && of[i].sub == 0) {
			if (!read_proof(c, &of[i]))
				die("the disk does not read what it had");
			bus_unload(c);
			return;
		}
	}
	die("no SCSI controller is offered");
}

static void
count(void)
{
	uint64_t ops = 0, faults = 0, irqs = 0;

	for (uint32_t i = 0; i < shared.cpus; i++) {
		struct cpu *c = (void *)(cpu_blocks + i * STACK_SIZE);

		ops += c->ops;
		faults += c->faults;
		irqs += c->irqs;
	}
	print("\nnoise: seed %u: %u refused, %u interrupts\n", seed, faults,
	    irqs);
	print("noise: %u operations, survived\n", ops);
}

void
cpu_main(unsigned id, struct cpu *c)
{

	if (id == 0)
		options();
	cpu_setup(c, id, seed);
	if (id == 0) {
		hv_setup();
		shared.cpus = processors();
		if (shared.cpus > 1)
			cpus_start();
		shared.end = ticks() + (uint32_t)seconds * TICKS_PER_S;
		print("noise: seed %u, %u s, %u processors, %u MiB\n", seed,
		    seconds, (uint64_t)shared.cpus, shared.ram_top >> 20);
		shared.go = true;
	}
	while (!shared.go)
		__builtin_ia32_pause();
	noise(c);
	synic_off(c);
	if (shared.verbose)
		print("\nnoise: processor %u is done\n", (uint64_t)id);
	__atomic_fetch_add(&shared.done, 1, __ATOMIC_SEQ_CST);
	if (id != 0)
		park();
	while (shared.done < shared.cpus)
		__builtin_ia32_pause();
	prove(c);
	count();
	power_off();
}
