/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Waiting with a time limit, while the kernel boots as well.  Devices attach
 * before the clocks run; a timed sleep of the thread that boots is a panic
 * then, and an untimed one would last for ever if the host did not answer.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/time.h>

#include <dev/hyperv/include/vmbus.h>

/* Between two looks at boot: about what a host takes to answer. */
#define	VMBUS_SLEEP_POLL_US	20

void
vmbus_sleep(const void *chan, struct mtx *mtx, const char *wmesg,
    sbintime_t *leftp)
{
	sbintime_t begin;

	if (cold && curthread == &thread0) {
		/*
		 * Interrupts and other threads do run; those of this processor
		 * get it by the yield.
		 */
		mtx_unlock(mtx);
		kern_yield(PRI_UNCHANGED);
		DELAY(VMBUS_SLEEP_POLL_US);
		mtx_lock(mtx);
		*leftp -= ustosbt(VMBUS_SLEEP_POLL_US);
		return;
	}
	/* As fine as the sleep is: else its end is slept off bit by bit. */
	begin = sbinuptime();
	(void)msleep_sbt(chan, mtx, 0, wmesg, *leftp, 0, 0);
	*leftp -= sbinuptime() - begin;
}
