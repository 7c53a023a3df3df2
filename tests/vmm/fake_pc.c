/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See fake_pc.h. */

#include <string.h>

#include "fake_pc.h"

_Atomic uint64_t fake_now;

void
fake_pc_init(struct vmm *m)
{

	memset(m, 0, sizeof(*m));
	m->cpus = 1;
}

void *
vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len)
{

	if (gpa > FAKE_LOW_MEM || len > FAKE_LOW_MEM - gpa)
		return (NULL);
	return (m->mem + gpa);
}

uint64_t
vmm_low_mem(const struct vmm *m)
{

	return (FAKE_LOW_MEM);
}

uint64_t
vmm_high_mem(const struct vmm *m)
{

	return (m->high_mem);
}

unsigned
vmm_cpus(const struct vmm *m)
{

	return (m->cpus);
}

void
vmm_irq(struct vmm *m, unsigned gsi, bool level)
{

	if (!atomic_exchange(&m->line[gsi], level) && level)
		atomic_fetch_add(&m->edges[gsi], 1);
}

void
vmm_end(struct vmm *m, enum vmm_end why)
{

	atomic_store(&m->end, why);
}

uint64_t
vmm_now(void)
{

	return (atomic_load(&fake_now));
}

int
vmm_pio_add(struct vmm *m, const struct vmm_pio *pio)
{

	return (pio_map_add(&m->map, pio));
}

uint8_t
in8(struct vmm *m, uint16_t port)
{

	return ((uint8_t)pio_map_read(&m->map, port, 1));
}

uint16_t
in16(struct vmm *m, uint16_t port)
{

	return ((uint16_t)pio_map_read(&m->map, port, 2));
}

uint32_t
in32(struct vmm *m, uint16_t port)
{

	return (pio_map_read(&m->map, port, 4));
}

void
out8(struct vmm *m, uint16_t port, uint8_t val)
{

	pio_map_write(&m->map, port, 1, val);
}

void
out16(struct vmm *m, uint16_t port, uint16_t val)
{

	pio_map_write(&m->map, port, 2, val);
}

void
out32(struct vmm *m, uint16_t port, uint32_t val)
{

	pio_map_write(&m->map, port, 4, val);
}
