/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A stand-in for the hosted kernel's disks and memory, so that the NBD server
 * is tested alone: disks in memory whose I/O ends on a thread of its own, in
 * order, late, or with an error, as the test says.
 */

#ifndef TESTS_FAKE_DISK_H
#define	TESTS_FAKE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define	FAKE_DA0_SIZE	(64ULL << 20)	/* 512-byte sectors, trim */
#define	FAKE_DA1_SIZE	(1ULL << 20)	/* 512-byte sectors, read only */
#define	FAKE_DA2_SIZE	(8ULL << 20)	/* 4096-byte sectors, no trim */

void	fake_start(void);
void	fake_stop(void);

/* Keep I/O from ending until fake_release(). */
void	fake_hold(void);
void	fake_release(void);
/* Waits until n requests are held; false after five seconds. */
bool	fake_wait_held(unsigned n);
/* The nth request of da0 from now on ends with this FreeBSD errno. */
void	fake_fail(unsigned nth, int error);
/* da0 is gone: kpi_disk_start() refuses. */
void	fake_remove(bool gone);
/* Guest memory that can be allocated, bytes. */
void	fake_memory_limit(size_t bytes);

size_t	fake_memory_used(void);
size_t	fake_memory_peak(void);
const uint8_t *fake_contents(unsigned disk);
/* What da0 was asked, one letter an operation: R, W, F, D; the last 63. */
void	fake_history(char text[64]);

#endif	/* !TESTS_FAKE_DISK_H */
