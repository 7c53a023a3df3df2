/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Several kernel threads at once: see ktest_threads.h.
 */

#include <ktest.h>

#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/sched.h>
#include <sys/smp.h>

#include <ktest_threads.h>

struct crew {
	struct mtx	 c_mtx;
	void		(*c_fn)(void *);
	void		*c_arg;
	u_int		 c_next, c_left;
	bool		 c_go;
};

static void
member(void *arg)
{
	struct crew *c = arg;
	u_int i;

	mtx_lock(&c->c_mtx);
	i = c->c_next++;
	while (!c->c_go)
		msleep(&c->c_go, &c->c_mtx, 0, "crew", 0);
	mtx_unlock(&c->c_mtx);
	sched_bind(curthread, i % mp_ncpus);
	c->c_fn(c->c_arg);
	mtx_lock(&c->c_mtx);
	if (--c->c_left == 0)
		wakeup(c);
	mtx_unlock(&c->c_mtx);
	kthread_exit();
}

void
ktest_threads(unsigned n, void (*fn)(void *), void *arg)
{
	/* The last member may still be unlocking when we return. */
	static struct crew c;
	u_int i;

	mtx_init(&c.c_mtx, "ktest crew", NULL, MTX_DEF | MTX_NEW);
	c.c_fn = fn;
	c.c_arg = arg;
	c.c_next = 0;
	c.c_left = n;
	c.c_go = false;
	for (i = 0; i < n; i++)
		KT_EQ(kthread_add(member, &c, NULL, NULL, 0, 0, "crew%u", i),
		    0);
	mtx_lock(&c.c_mtx);
	c.c_go = true;
	wakeup(&c.c_go);
	while (c.c_left != 0)
		msleep(&c, &c.c_mtx, 0, "crewend", 0);
	mtx_unlock(&c.c_mtx);
	mtx_destroy(&c.c_mtx);
}
