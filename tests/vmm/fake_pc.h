/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A machine without CPUs: memory, ports, a clock that tests move, and a
 * record of what the devices do to interrupt lines and to the machine.
 */

#ifndef FAKE_PC_H
#define	FAKE_PC_H

#include "vmm/pio.h"

#define	FAKE_LOW_MEM	(8u << 20)

struct vmm {
	struct vmm_pio_map map;
	uint8_t		 mem[FAKE_LOW_MEM];
	uint64_t	 high_mem;
	unsigned	 cpus;
	_Atomic bool	 line[24];
	_Atomic unsigned edges[24];	/* times a line rose */
	_Atomic enum vmm_end end;	/* the last reason */
};

/* The clock of all machines. */
extern _Atomic uint64_t fake_now;

/* One CPU, no high memory, no devices. */
void	fake_pc_init(struct vmm *m);

uint8_t	in8(struct vmm *m, uint16_t port);
uint16_t in16(struct vmm *m, uint16_t port);
uint32_t in32(struct vmm *m, uint16_t port);
void	out8(struct vmm *m, uint16_t port, uint8_t val);
void	out16(struct vmm *m, uint16_t port, uint16_t val);
void	out32(struct vmm *m, uint16_t port, uint32_t val);

#endif	/* !FAKE_PC_H */
