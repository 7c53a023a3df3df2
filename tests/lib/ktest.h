/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Tests that run inside the hosted kernel: compiled like a driver, each its own
 * process, after kpi_boot() of a kernel with four processors, a virtual clock
 * and no hypervisor.
 *
 *	KTEST(mutex_excludes, "two threads never hold one mutex")
 *	{
 *		KT_CHECK(x == 1);
 *		KT_EQ(used, 64);
 *	}
 *
 * After the test the kernel is shut down and must leave nothing behind: no
 * memory, thread, callout or device.  A name that begins with "real_" gets the
 * real clock, one with "scatter_" scattered memory, one with "preload_" the
 * module ktmod_user from the start.
 *
 * A test whose point is a report that ends the kernel says so with
 * KTEST_PANICS(name, descr, substring): it passes only if the kernel panics
 * and the message contains the substring.
 */

#ifndef TESTS_KTEST_H
#define	TESTS_KTEST_H

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/linker_set.h>

struct ktest {
	const char	*kt_name;
	const char	*kt_descr;
	const char	*kt_panic;	/* NULL: must not panic */
	void		(*kt_fn)(void);
};

#define	KTEST_PANICS(name, descr, panic)				\
	static void ktest_fn_##name(void);				\
	static const struct ktest ktest_##name = {			\
		#name, descr, panic, ktest_fn_##name			\
	};								\
	DATA_SET(ktest_set, ktest_##name);				\
	static void							\
	ktest_fn_##name(void)

#define	KTEST(name, descr)	KTEST_PANICS(name, descr, NULL)

/* Waist functions of the runner (tests/lib/ktest_main.c). */
void	hosted_ktest_fail(const char *file, int line, const char *text,
	    long long a, long long b);

#define	KT_CHECK(e) do {						\
	if (!(e))							\
		hosted_ktest_fail(__FILE__, __LINE__, #e, 0, 0);	\
} while (0)

#define	KT_EQ(a, b) do {						\
	long long _kt_a = (long long)(a), _kt_b = (long long)(b);	\
	if (_kt_a != _kt_b)						\
		hosted_ktest_fail(__FILE__, __LINE__, #a " == " #b,	\
		    _kt_a, _kt_b);					\
} while (0)

#endif	/* !TESTS_KTEST_H */
