/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls of any form, the input page anything: what is refused has done
 * nothing, what is served reaches VPs that exist, and its list is the guest's.
 * An input is the control word, the address, the second register, whether the
 * call is one of those that exist, then the page.
 */

#include <stdlib.h>
#include <string.h>

#include "hvhost.h"

#define	PAGES	4
#define	PAGE	4096u
#define	VPS	3

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *mem;
static struct hvh *h;
static unsigned interrupts, flushes;
static uint64_t where;			/* of the call's input */

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{

	if (vp >= VPS || vector < 16 || autoeoi)
		abort();
	interrupts++;
}

static void
op_flush(void *arg, uint32_t vp, const struct hvh_flush *f)
{

	if (vp != 1 || f->vps >= 1u << VPS || flushes++ != 0)
		abort();
	if ((f->ranges != NULL) != (f->nranges != 0))
		abort();
	/* The list ends where the guest's does. */
	if (f->nranges > 0 && memmem(mem + where, PAGE - where % PAGE,
	    f->ranges, f->nranges * sizeof(*f->ranges)) == NULL)
		abort();
}

static void
op_kick(void *arg)
{
}

static uint64_t
op_now(void *arg)
{

	return (1);
}

static void
start(void)
{
	static const struct hvh_ops ops = {
		.interrupt = op_interrupt,
		.flush = op_flush,
		.kick = op_kick,
		.now = op_now,
	};
	struct hvh_config cf = { .vps = VPS, .nmem = 1 };

	mem = aligned_alloc(PAGE, PAGES * PAGE);
	if (mem == NULL)
		abort();
	cf.mem[0] = (struct hvh_mem_region){ 0, PAGES * PAGE, mem };
	if (hvh_create(&cf, &ops, NULL, &h) != 0)
		abort();
}

static void
check(uint64_t control, uint64_t result)
{
	uint16_t code = (uint16_t)control, status = (uint16_t)result;
	bool list = code == 3 || code == 0x14;
	unsigned reps = (unsigned)(control >> 32) & 0xFFF;

	if (result >> 44 != 0 || (result >> 16 & 0xFFFF) != 0)
		abort();
	if ((result >> 32) != (status == 0 && list ? reps : 0))
		abort();
	if (status != 0 && (interrupts != 0 || flushes != 0))
		abort();
	if (status == 0 && flushes != (list || code == 2 || code == 0x13))
		abort();
	if (interrupts > VPS || (interrupts > 0 && code != 0xB &&
	    code != 0x15))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t codes[] = { 2, 3, 8, 0xB, 0x13, 0x14, 0x15,
	    0x5C, 0x5D };
	struct {
		uint64_t control;
		uint16_t at;
		uint8_t	 how, pad[5];
		uint64_t second;
	} head = { 0 };
	size_t n;

	if (h == NULL)
		start();
	n = size < sizeof(head) ? size : sizeof(head);
	memcpy(&head, data, n);
	data += n;
	size -= n;
	if ((head.how & 1) == 0) {
		/* One that exists, no reserved bits, few banks. */
		head.control &= 0x0FFF0FFF000F0000ull;
		head.control |= codes[head.how / 2 % 9];
	}
	where = head.at % (PAGES * PAGE);
	if ((head.how & 0x80) == 0)
		where &= ~7ull;
	memset(mem, 0, PAGES * PAGE);
	n = PAGES * PAGE - where;
	memcpy(mem + where, data, size < n ? size : n);
	interrupts = flushes = 0;
	check(head.control, hvh_hypercall(h, 1, head.control,
	    (head.control & 1 << 16) != 0 ? head.second : where,
	    head.second));
	hvh_pump(h);
	return (0);
}
