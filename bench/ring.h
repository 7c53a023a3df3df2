/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Both sides of the ring benchmark; compiler types only. */

#ifndef BENCH_RING_H
#define	BENCH_RING_H

/* errno; once before the others, on a kernel thread. */
int	ktest_bench_ring_init(void);
void	ktest_bench_ring_fini(void);
/* n times: one packet of len bytes in and out; copy: out of the ring too. */
void	ktest_bench_ring_run(unsigned len, unsigned long n, int copy);
/* n times: the same bytes in and out by memcpy(). */
void	ktest_bench_memcpy_run(unsigned len, unsigned long n);

#endif	/* !BENCH_RING_H */
