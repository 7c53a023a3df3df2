/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The engine of shared/exclusive locks.  sx(9), rwlock(9) and rmlock(9) are the
 * same lock word with different rules about sleeping; this is the word.
 */

#ifndef _KPI_SUBR_SHLOCK_H_
#define	_KPI_SUBR_SHLOCK_H_

#include <kern/kpi_internal.h>

#include <sys/sx.h>

bool	kpi_sh_try_x(volatile uintptr_t *w);
void	kpi_sh_x(volatile uintptr_t *w);
void	kpi_sh_unx(volatile uintptr_t *w);
bool	kpi_sh_try_s(volatile uintptr_t *w, bool again);
/* again: the thread holds a shared lock, so that it may pass a writer. */
void	kpi_sh_s(volatile uintptr_t *w, bool again);
void	kpi_sh_uns(volatile uintptr_t *w);
bool	kpi_sh_try_upgrade(volatile uintptr_t *w);
void	kpi_sh_downgrade(volatile uintptr_t *w);

static __inline bool
kpi_sh_xowned(const volatile uintptr_t *w)
{
	uintptr_t v = __atomic_load_n(w, __ATOMIC_RELAXED);

	return ((v & SX_LOCK_SHARED) == 0 && SX_OWNER(v) ==
	    (uintptr_t)curthread);
}

void	kpi_sh_assert(const struct lock_object *lock,
	    const volatile uintptr_t *w, int what, const char *file, int line);

#endif	/* !_KPI_SUBR_SHLOCK_H_ */
