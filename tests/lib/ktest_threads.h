/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Several kernel threads at once, for tests inside the kernel.
 */

#ifndef TESTS_KTEST_THREADS_H
#define	TESTS_KTEST_THREADS_H

/* Runs fn(arg) on n threads, one a virtual CPU in turn, and waits for all. */
void	ktest_threads(unsigned n, void (*fn)(void *), void *arg);

#endif	/* !TESTS_KTEST_THREADS_H */
