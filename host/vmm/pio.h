/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The map of I/O ports.  It is built before the vCPUs run and only read from
 * then on, so that an access takes no lock.
 */

#ifndef VMM_PIO_H
#define	VMM_PIO_H

#include "vmm/vmm.h"

#define	VMM_PIO_RANGES	64

struct vmm_pio_map {
	uint8_t		 owner[0x10000];	/* range + 1; 0: nobody's */
	struct vmm_pio	 range[VMM_PIO_RANGES];
	unsigned	 nranges;
};

/*
 * The map starts as zeros.  A range may lie inside another, whichever comes
 * first: what begins in the inner one is the inner one's (0xCF9 is a byte of
 * its own inside PCI's 0xCF8).  EEXIST: the same ports, or overlap in part;
 * EINVAL: no ports, or beyond 64 Ki; ENOSPC.
 */
int	pio_map_add(struct vmm_pio_map *map, const struct vmm_pio *pio);
/* size 1, 2 or 4.  An access that leaves its range comes as bytes. */
uint32_t pio_map_read(const struct vmm_pio_map *map, uint16_t port,
	    unsigned size);
void	pio_map_write(const struct vmm_pio_map *map, uint16_t port,
	    unsigned size, uint32_t val);
void	pio_map_exit(const struct vmm_pio_map *map, uint16_t port,
	    unsigned size, bool out, void *data, uint32_t count);

#endif	/* !VMM_PIO_H */
