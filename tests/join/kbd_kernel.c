/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See kbd_kernel.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/eventhandler.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/reboot.h>

#include <dev/kbd/kbdreg.h>

#include <kpi.h>

#include "kbd_kernel.h"

#define	PANIC_US	(2 * 1000 * 1000)
#define	STEP_US		1000

static char		 driver[] = "hvkbd";
static keyboard_t	*kbd;
static u_int		 ngot, stubborn, panic_want;
static u_char		 got[8192];
static eventhandler_tag	 panic_tag;

static void
read_all(void)
{
	const keyboard_switch_t *sw = kbd->kb_drv->kbdsw;
	u_int c;

	while (sw->check_char(kbd) && ngot < sizeof(got)) {
		c = sw->read_char(kbd, 0);
		if (c != NOKEY)
			got[ngot++] = c;
	}
}

static int
event(keyboard_t *k, int what, void *arg __unused)
{

	mtx_assert(&Giant, MA_OWNED);
	if (what == KBDIO_KEYINPUT) {
		read_all();
		return (0);
	}
	if (stubborn)
		return (EBUSY);
	/* The last bytes have been read by now. */
	(void)kbd_release(k, &kbd);
	kbd = NULL;
	return (0);
}

static void
take_call(void *arg)
{
	int *error = arg;
	int i, mode;

	mtx_lock(&Giant);
	ngot = 0;
	i = kbd_allocate(driver, 0, &kbd, event, NULL);
	kbd = kbd_get_keyboard(i);
	*error = kbd == NULL ? EBUSY : 0;
	mode = K_RAW;
	if (kbd != NULL)
		*error = kbd->kb_drv->kbdsw->ioctl(kbd, KDSKBMODE,
		    (caddr_t)&mode);
	mtx_unlock(&Giant);
}

int
ktest_kbd_take(void)
{
	int error;

	kpi_call(take_call, &error, -1);
	return (error);
}

static void
release_call(void *arg __unused)
{

	mtx_lock(&Giant);
	(void)kbd_release(kbd, &kbd);
	kbd = NULL;
	mtx_unlock(&Giant);
}

void
ktest_kbd_release(void)
{

	kpi_call(release_call, NULL, -1);
}

static void
stubborn_call(void *arg)
{

	mtx_lock(&Giant);
	stubborn = *(int *)arg;
	mtx_unlock(&Giant);
}

void
ktest_kbd_stubborn(int on)
{

	kpi_call(stubborn_call, &on, -1);
}

struct look {
	u_char		*buf;
	u_int		 len;
};

static void
got_call(void *arg)
{
	struct look *l = arg;

	mtx_lock(&Giant);
	if (l->len > ngot)
		l->len = ngot;
	memcpy(l->buf, got, l->len);
	mtx_unlock(&Giant);
}

unsigned
ktest_kbd_got(unsigned char *buf, unsigned len)
{
	struct look l = { buf, len };

	kpi_call(got_call, &l, -1);
	return (l.len);
}

static void
poll_call(void *arg)
{

	mtx_lock(&Giant);
	(void)kbd->kb_drv->kbdsw->poll(kbd, *(int *)arg);
	mtx_unlock(&Giant);
}

void
ktest_kbd_poll(int on)
{

	kpi_call(poll_call, &on, -1);
}

static void
look_call(void *arg)
{
	struct look *l = arg;

	mtx_lock(&Giant);
	read_all();
	mtx_unlock(&Giant);
	got_call(l);
}

unsigned
ktest_kbd_look(unsigned char *buf, unsigned len)
{
	struct look l = { buf, len };

	kpi_call(look_call, &l, -1);
	return (l.len);
}

/* The scheduler stands still: whoever is not asked here says nothing. */
static void
at_panic(void *arg __unused, int howto)
{
	u_int us;

	if (!SCHEDULER_STOPPED() || kbd == NULL)
		return;
	(void)kbd->kb_drv->kbdsw->poll(kbd, 1);
	for (us = 0; ngot < panic_want && us < PANIC_US; us += STEP_US) {
		read_all();
		DELAY(STEP_US);
	}
	(void)kbd->kb_drv->kbdsw->poll(kbd, 0);
	EVENTHANDLER_DEREGISTER_NOWAIT(shutdown_final, panic_tag);
}

static void
at_panic_call(void *arg)
{

	panic_want = *(unsigned *)arg;
	/* Before the bus ends the connection; -1 is a handler that is gone. */
	panic_tag = EVENTHANDLER_REGISTER(shutdown_final, at_panic, NULL,
	    EVENTHANDLER_PRI_FIRST - 2);
}

void
ktest_kbd_at_panic(unsigned want)
{

	kpi_call(at_panic_call, &want, -1);
}
