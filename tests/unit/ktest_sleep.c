/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Waiting for the host with a limit.
 */

#include "tests/lib/ktest.h"

#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/time.h>

#include <dev/hyperv/include/vmbus.h>

#define	ROUNDS	20

/*
 * Whoever waits does so in a loop until nothing is left.  What is left at the
 * end must not be slept off in pieces shorter than the clock can tell.
 */
KTEST(real_vmbus_sleep, "time that is over is seen to be over at once")
{
	struct mtx mtx;
	sbintime_t left;
	u_int i, n;

	mtx_init(&mtx, "sleep", NULL, MTX_DEF | MTX_NEW);
	for (i = 0; i < ROUNDS; i++) {
		mtx_lock(&mtx);
		left = SBT_1MS * 15 + SBT_1US * 777 * i;
		for (n = 0; left > 0; n++)
			vmbus_sleep(&left, &mtx, "ktest", &left);
		mtx_unlock(&mtx);
		KT_CHECK(n <= 2);
	}
	mtx_destroy(&mtx);
}
