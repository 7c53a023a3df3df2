/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Configuration hooks: what drivers have to do once interrupts work.  Those
 * established before that point of the boot run there, later ones at once.
 */

#include <kern/kpi_internal.h>

#include <sys/malloc.h>

static MALLOC_DEFINE(M_INTRHOOK, "intrhook", "one-shot configuration hooks");

static struct mtx	hook_mtx;
static STAILQ_HEAD(, intr_config_hook) hooks = STAILQ_HEAD_INITIALIZER(hooks);
static bool		interrupts_work;
MTX_SYSINIT(intrhook, &hook_mtx, "intr config", MTX_DEF);

struct oneshot {
	struct intr_config_hook	os_hook;
	ich_func_t		os_fn;
	void			*os_arg;
};

static void
run_hooks(void)
{
	struct intr_config_hook *h;

	mtx_lock(&hook_mtx);
again:
	STAILQ_FOREACH(h, &hooks, ich_links)
		if (h->ich_state == ICHS_QUEUED) {
			h->ich_state = ICHS_RUNNING;
			mtx_unlock(&hook_mtx);
			h->ich_func(h->ich_arg);
			mtx_lock(&hook_mtx);
			goto again;
		}
	mtx_unlock(&hook_mtx);
}

/* The boot waits until every hook was taken away. */
static void
boot_hooks(void *arg)
{
	interrupts_work = true;
	run_hooks();
	mtx_lock(&hook_mtx);
	while (!STAILQ_EMPTY(&hooks))
		msleep(&hooks, &hook_mtx, 0, "conifhk", 0);
	mtx_unlock(&hook_mtx);
}
SYSINIT(intr_config_hooks, SI_SUB_INT_CONFIG_HOOKS, SI_ORDER_FIRST, boot_hooks,
    NULL);

int
config_intrhook_establish(struct intr_config_hook *hook)
{
	mtx_lock(&hook_mtx);
	hook->ich_state = ICHS_QUEUED;
	STAILQ_INSERT_TAIL(&hooks, hook, ich_links);
	mtx_unlock(&hook_mtx);
	if (interrupts_work)
		run_hooks();
	return (0);
}

void
config_intrhook_disestablish(struct intr_config_hook *hook)
{
	mtx_lock(&hook_mtx);
	KASSERT(hook->ich_state == ICHS_QUEUED ||
	    hook->ich_state == ICHS_RUNNING,
	    ("config_intrhook_disestablish: hook is not established"));
	STAILQ_REMOVE(&hooks, hook, intr_config_hook, ich_links);
	hook->ich_state = ICHS_DONE;
	wakeup(&hooks);
	mtx_unlock(&hook_mtx);
}

/* Returns the state in which the hook was found. */
int
config_intrhook_drain(struct intr_config_hook *hook)
{
	int was;

	mtx_lock(&hook_mtx);
	was = hook->ich_state;
	if (was == ICHS_QUEUED) {
		STAILQ_REMOVE(&hooks, hook, intr_config_hook, ich_links);
		hook->ich_state = ICHS_DONE;
	}
	while (hook->ich_state == ICHS_RUNNING)
		msleep(&hooks, &hook_mtx, 0, "confhd", 0);
	mtx_unlock(&hook_mtx);
	return (was);
}

static void
oneshot_run(void *arg)
{
	struct oneshot *os = arg;

	os->os_fn(os->os_arg);
	config_intrhook_disestablish(&os->os_hook);
	free(os, M_INTRHOOK);
}

void
config_intrhook_oneshot(ich_func_t fn, void *arg)
{
	struct oneshot *os;

	os = malloc(sizeof(*os), M_INTRHOOK, M_WAITOK | M_ZERO);
	os->os_fn = fn;
	os->os_arg = arg;
	os->os_hook.ich_func = oneshot_run;
	os->os_hook.ich_arg = os;
	(void)config_intrhook_establish(&os->os_hook);
}
