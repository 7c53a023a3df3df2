/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The machine without a processor: see fake_machine.h. */

#include <atf-c.h>
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

/* --- What vmm.h says of machine.c --- */

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

	return (pio_map_add(&m->pio, pio));
}

uint32_t
vmm_pio_read(struct vmm *m, uint16_t port, unsigned size)
{

	return (pio_map_read(&m->pio, port, size));
}

void
vmm_pio_write(struct vmm *m, uint16_t port, unsigned size, uint32_t val)
{

	pio_map_write(&m->pio, port, size, val);
}

void
vmm_pio_exit(struct vmm *m, uint16_t port, unsigned size, bool out, void *data,
    uint32_t count)
{

	pio_map_exit(&m->pio, port, size, out, data, count);
}
