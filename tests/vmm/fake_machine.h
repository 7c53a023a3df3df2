/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A machine without a processor, for tests of its devices: guest memory, a
 * partition, ports and interrupt lines.  The test is the guest.
 */

#ifndef FAKE_MACHINE_H
#define	FAKE_MACHINE_H

#include "vmm/pio.h"

#define	FAKE_MEM	(16u << 20)
#define	FAKE_GSIS	24

struct vmm {
	struct hvh	*h;
	uint8_t		*mem;		/* FAKE_MEM bytes at address 0 */
	struct vmm_pio_map pio;
	_Atomic bool	 line[FAKE_GSIS];
	_Atomic unsigned edges[FAKE_GSIS];	/* rising */
	_Atomic unsigned kicks;
};

void	fake_create(struct vmm *m);
void	fake_destroy(struct vmm *m);
/* One round of the pump, then a short wait for I/O if there is nothing. */
void	fake_pump(struct vmm *m);

#endif	/* !FAKE_MACHINE_H */
