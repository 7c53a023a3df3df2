/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Counting semaphores, sema(9).
 */

#include <kern/kpi_internal.h>

#include <sys/condvar.h>
#include <sys/sema.h>

void
sema_init(struct sema *sema, int value, const char *desc)
{
	KASSERT(value >= 0, ("%s(): negative value", __func__));
	memset(sema, 0, sizeof(*sema));
	mtx_init(&sema->sema_mtx, desc, "sema backing lock",
	    MTX_DEF | MTX_NOWITNESS);
	cv_init(&sema->sema_cv, desc);
	sema->sema_value = value;
}

void
sema_destroy(struct sema *sema)
{
	KASSERT(sema->sema_waiters == 0, ("%s(): waiters", __func__));
	mtx_destroy(&sema->sema_mtx);
	cv_destroy(&sema->sema_cv);
}

void
_sema_post(struct sema *sema, const char *file, int line)
{
	mtx_lock(&sema->sema_mtx);
	sema->sema_value++;
	if (sema->sema_waiters != 0 && sema->sema_value > 0)
		cv_signal(&sema->sema_cv);
	mtx_unlock(&sema->sema_mtx);
}

void
_sema_wait(struct sema *sema, const char *file, int line)
{
	mtx_lock(&sema->sema_mtx);
	while (sema->sema_value == 0) {
		sema->sema_waiters++;
		cv_wait(&sema->sema_cv, &sema->sema_mtx);
		sema->sema_waiters--;
	}
	sema->sema_value--;
	mtx_unlock(&sema->sema_mtx);
}

int
_sema_timedwait(struct sema *sema, int timo, const char *file, int line)
{
	sbintime_t end = kpi_now() + timo * tick_sbt;
	int error = 0;

	mtx_lock(&sema->sema_mtx);
	while (sema->sema_value == 0 && error == 0) {
		sema->sema_waiters++;
		error = cv_timedwait_sbt(&sema->sema_cv, &sema->sema_mtx, end,
		    0, C_ABSOLUTE);
		sema->sema_waiters--;
	}
	if (sema->sema_value > 0) {
		sema->sema_value--;
		error = 0;
	}
	mtx_unlock(&sema->sema_mtx);
	return (error);
}

int
_sema_trywait(struct sema *sema, const char *file, int line)
{
	int ok;

	mtx_lock(&sema->sema_mtx);
	ok = sema->sema_value > 0;
	if (ok)
		sema->sema_value--;
	mtx_unlock(&sema->sema_mtx);
	return (ok);
}

int
sema_value(struct sema *sema)
{
	int v;

	mtx_lock(&sema->sema_mtx);
	v = sema->sema_value;
	mtx_unlock(&sema->sema_mtx);
	return (v);
}
