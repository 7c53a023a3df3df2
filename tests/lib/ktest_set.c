/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The tests inside the kernel (tests/lib/ktest.h) as the runner sees them.  In
 * a kernel without tests the set is empty.
 */

#include <kern/kpi_internal.h>

#include <ktest.h>

SET_DECLARE(ktest_set, const struct ktest);

unsigned
kpi_ktest_count(void)
{
	return (SET_COUNT(ktest_set));
}

void
kpi_ktest_info(unsigned i, const char **name, const char **descr,
    const char **panic)
{
	const struct ktest *kt = SET_ITEM(ktest_set, i);

	*name = kt->kt_name;
	*descr = kt->kt_descr;
	*panic = kt->kt_panic;
}

int
kpi_ktest_invariants(void)
{
#ifdef INVARIANTS
	return (1);
#else
	return (0);
#endif
}

void
kpi_ktest_run(unsigned i)
{
	struct thread *td = kpi_thread_enter();

	SET_ITEM(ktest_set, i)->kt_fn();
	kpi_thread_leave(td);
}
