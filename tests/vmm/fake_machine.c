/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The machine without a processor: see fake_machine.h. */

#include <atf-c.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "fake_machine.h"

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{
}

static void
op_kick(void *arg)
{

	atomic_fetch_add(&((struct vmm *)arg)->kicks, 1);
}

static uint64_t
op_now(void *arg)
{

	return (vmm_now());
}

void
fake_create(struct vmm *m)
{
	static const struct hvh_ops ops = {
		.interrupt = op_interrupt,
		.kick = op_kick,
		.now = op_now,
	};
	struct hvh_config cf = { .vps = 1, .nmem = 1 };

	memset(m, 0, sizeof(*m));
	m->mem = aligned_alloc(VMM_PAGE, FAKE_MEM);
	ATF_REQUIRE(m->mem != NULL);
	memset(m->mem, 0, FAKE_MEM);
	cf.mem[0] = (struct hvh_mem_region){ .size = FAKE_MEM,
	    .host = m->mem };
	ATF_REQUIRE_EQ(0, hvh_create(&cf, &ops, m, &m->h));
}

void
fake_destroy(struct vmm *m)
{

	hvh_destroy(m->h);
	free(m->mem);
}

void
fake_pump(struct vmm *m)
{
	struct epoll_event ev;

	if (hvh_pump(m->h) > vmm_now())
		epoll_wait(hvh_pump_fd(m->h), &ev, 1, 1);
}

/* --- What vmm.h says of machine.c and pio.c --- */

void *
vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len)
{

	if (gpa >= FAKE_MEM || len > FAKE_MEM - gpa)
		return (NULL);
	return (m->mem + gpa);
}

struct hvh *
vmm_hvh(struct vmm *m)
{

	return (m->h);
}

void
vmm_irq(struct vmm *m, unsigned gsi, bool level)
{

	ATF_REQUIRE(gsi < FAKE_GSIS);
	if (!atomic_exchange(&m->line[gsi], level) && level)
		atomic_fetch_add(&m->edges[gsi], 1);
}

uint64_t
vmm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
}

int
vmm_pio_add(struct vmm *m, const struct vmm_pio *pio)
{

	if (m->npios == FAKE_PIOS)
		return (ENOSPC);
	for (unsigned i = 0; i < m->npios; i++) {
		if (pio->base < m->pio[i].base + m->pio[i].len &&
		    m->pio[i].base < pio->base + pio->len)
			return (EEXIST);
	}
	m->pio[m->npios++] = *pio;
	return (0);
}

/* NULL: nobody has all of the access. */
static const struct vmm_pio *
owner(const struct vmm *m, uint16_t port, unsigned size)
{

	for (unsigned i = 0; i < m->npios; i++) {
		if (port >= m->pio[i].base &&
		    port + size <= m->pio[i].base + m->pio[i].len)
			return (&m->pio[i]);
	}
	return (NULL);
}

uint32_t
vmm_pio_read(struct vmm *m, uint16_t port, unsigned size)
{
	const struct vmm_pio *p = owner(m, port, size);
	uint32_t mask = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;

	return (p == NULL ? mask : p->read(p->arg, port, size) & mask);
}

void
vmm_pio_write(struct vmm *m, uint16_t port, unsigned size, uint32_t val)
{
	const struct vmm_pio *p = owner(m, port, size);

	if (p != NULL)
		p->write(p->arg, port, size, val);
}
