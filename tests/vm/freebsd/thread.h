/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Threads of a command, in its address space.
 */

#ifndef _TESTS_VM_FREEBSD_THREAD_H_
#define	_TESTS_VM_FREEBSD_THREAD_H_

#include <stdbool.h>
#include <stdint.h>

struct thread {
	void		(*run)(struct thread *);
	int		 cpu;
	int		 result;	/* of pinning it */
	long		 ended;		/* the kernel sets it */
	void		*stack;
	uint64_t	 count[4];	/* run()'s own */
};

/* Puts the calling thread on a processor: 0 or an errno. */
int	 thread_pin(int cpu);
/* 0 or an errno; then run() runs there. */
int	 thread_start(struct thread *t, int cpu,
	    void (*run)(struct thread *));
bool	 thread_ended(const struct thread *t);
/* Waits for its end, which run() has to be told: its result. */
int	 thread_end(struct thread *t);

#endif /* !_TESTS_VM_FREEBSD_THREAD_H_ */
