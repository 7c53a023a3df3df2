/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the kernel's pmap and its scheduler ask of other processors, through the
 * pointers that a driver may have hooked.
 */

#ifndef TESTS_JOIN_SMP_KERNEL_H
#define	TESTS_JOIN_SMP_KERNEL_H

/* What came of it: who did it, and whether this processor did its part. */
struct ktest_smp {
	unsigned	natives;	/* the kernel itself */
	unsigned	locals;		/* on the calling processor */
};

/*
 * [k] On processor cpu: address space that these processors use, a bit each,
 * loses what is between the addresses; two zeros: everything.
 */
void	ktest_smp_shootdown(struct ktest_smp *ks, unsigned cpu, unsigned used,
	    unsigned long addr1, unsigned long addr2);
/*
 * [k] From processor cpu, an interrupt to each of those; the ones that took
 * it.
 */
unsigned ktest_smp_ipi(struct ktest_smp *ks, unsigned cpu, unsigned to);
/* [k] Threads on all processors that make shoot-downs. */
int	ktest_smp_storm(int on);
unsigned ktest_smp_storms(void);	/* how many they made */

#endif	/* !TESTS_JOIN_SMP_KERNEL_H */
