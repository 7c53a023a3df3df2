/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The map of I/O ports: who owns a port, and how an access reaches it.
 */

#include <errno.h>
#include <string.h>

#include "vmm/pio.h"

#define	PORTS		0x10000u

_Static_assert(VMM_PIO_RANGES < 256, "an owner is a byte");

static unsigned
pio_end(const struct vmm_pio *p)
{

	return ((unsigned)p->base + p->len);
}

/* Whether in lies within out and is smaller. */
static bool
pio_within(const struct vmm_pio *in, const struct vmm_pio *out)
{

	return (in->base >= out->base && pio_end(in) <= pio_end(out) &&
	    in->len < out->len);
}

int
pio_map_add(struct vmm_pio_map *map, const struct vmm_pio *pio)
{
	const struct vmm_pio *other;
	unsigned end = pio_end(pio);

	if (pio->len == 0 || end > PORTS)
		return (EINVAL);
	if (map->nranges == VMM_PIO_RANGES)
		return (ENOSPC);
	for (unsigned n = 0; n < map->nranges; n++) {
		other = &map->range[n];
		if (other->base < end && pio->base < pio_end(other) &&
		    !pio_within(pio, other) && !pio_within(other, pio))
			return (EEXIST);
	}
	map->range[map->nranges++] = *pio;
	/* Those inside the new range keep their ports. */
	for (unsigned p = pio->base; p < end; p++)
		if (map->owner[p] == 0 ||
		    pio_within(pio, &map->range[map->owner[p] - 1]))
			map->owner[p] = (uint8_t)map->nranges;
	return (0);
}

static const struct vmm_pio *
pio_owner(const struct vmm_pio_map *map, unsigned port)
{

	if (port >= PORTS || map->owner[port] == 0)
		return (NULL);
	return (&map->range[map->owner[port] - 1]);
}

/* The one owner of all of an access; false: it comes as bytes. */
static bool
pio_whole(const struct vmm_pio_map *map, unsigned port, unsigned size,
    const struct vmm_pio **pp)
{

	*pp = pio_owner(map, port);
	if (size == 1)
		return (true);
	if (*pp != NULL)
		return (!(*pp)->bytes && port + size <= pio_end(*pp));
	for (unsigned i = 1; i < size; i++)
		if (pio_owner(map, port + i) != NULL)
			return (false);
	return (true);
}

static uint32_t
pio_ones(unsigned size)
{

	return (size == 4 ? UINT32_MAX : (1u << size * 8) - 1);
}

static uint32_t
pio_read1(const struct vmm_pio *p, unsigned port, unsigned size)
{

	if (p == NULL || p->read == NULL)
		return (pio_ones(size));
	return (p->read(p->arg, (uint16_t)port, size) & pio_ones(size));
}

static void
pio_write1(const struct vmm_pio *p, unsigned port, unsigned size,
    uint32_t val)
{

	if (p != NULL && p->write != NULL)
		p->write(p->arg, (uint16_t)port, size, val & pio_ones(size));
}

static bool
pio_size_ok(unsigned size)
{

	return (size == 1 || size == 2 || size == 4);
}

uint32_t
pio_map_read(const struct vmm_pio_map *map, uint16_t port, unsigned size)
{
	const struct vmm_pio *p;
	uint32_t val = 0;

	if (!pio_size_ok(size))
		return (UINT32_MAX);
	if (pio_whole(map, port, size, &p))
		return (pio_read1(p, port, size));
	for (unsigned i = 0; i < size; i++)
		val |= pio_read1(pio_owner(map, port + i), port + i, 1) <<
		    i * 8;
	return (val);
}

void
pio_map_write(const struct vmm_pio_map *map, uint16_t port, unsigned size,
    uint32_t val)
{
	const struct vmm_pio *p;

	if (!pio_size_ok(size))
		return;
	if (pio_whole(map, port, size, &p)) {
		pio_write1(p, port, size, val);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		pio_write1(pio_owner(map, port + i), port + i, 1,
		    val >> i * 8);
}

void
pio_map_exit(const struct vmm_pio_map *map, uint16_t port, unsigned size,
    bool out, void *data, uint32_t count)
{
	const struct vmm_pio *owner;
	uint8_t *p = data;
	uint32_t n = 0, val;

	if (!pio_size_ok(size))
		return;
	if (pio_whole(map, port, size, &owner) && owner != NULL &&
	    owner->many != NULL)
		n = owner->many(owner->arg, port, size, out, data, count);
	p += (size_t)n * size;
	for (uint32_t i = n; i < count; i++, p += size) {
		if (out) {
			val = 0;
			memcpy(&val, p, size);
			pio_map_write(map, port, size, val);
		} else {
			val = pio_map_read(map, port, size);
			memcpy(p, &val, size);
		}
	}
}
