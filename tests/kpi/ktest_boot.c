/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a kernel is while it boots, where devices attach: thread0, and clocks
 * that do not run yet.
 */

#include <ktest.h>

#include <sys/callout.h>
#include <sys/condvar.h>
#include <sys/eventhandler.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/reboot.h>
#include <sys/sema.h>
#include <sys/smp.h>
#include <sys/sx.h>
#include <sys/taskqueue.h>
#include <sys/time.h>

#include <kpi.h>
#include <ktmod.h>

#include "ktest_cam_fake.h"

#define	MS	(1000 * 1000ULL)

/*
 * AT_BOOT(name): what the test of that name does while devices attach.  The
 * runner tells which test it is in kenv(1).
 */
struct at_boot {
	const char	*ab_name;
	void		(*ab_fn)(void);
};
SET_DECLARE(ktest_boot_set, const struct at_boot);

#define	AT_BOOT(name)							\
	static void at_boot_##name(void);				\
	static const struct at_boot at_boot_entry_##name = {		\
		#name, at_boot_##name					\
	};								\
	DATA_SET(ktest_boot_set, at_boot_entry_##name);			\
	static void							\
	at_boot_##name(void)

static void
boot_run(void *arg)
{
	const struct at_boot **ab;
	char *name;

	name = kern_getenv("ktest");
	if (name == NULL)
		return;
	SET_FOREACH(ab, ktest_boot_set)
		if (strcmp((*ab)->ab_name, name) == 0)
			(*ab)->ab_fn();
	freeenv(name);
}
SYSINIT(ktest_boot, SI_SUB_CONFIGURE, SI_ORDER_THIRD, boot_run, NULL);

static struct mtx	mtx;
static struct cv	cv;
static struct sema	sema;
static struct callout	co;
static volatile u_int	awake, fired;

AT_BOOT(boot_clocks)
{
	kpi_u64 then;
	sbintime_t up;
	int t;

	KT_CHECK(cold);
	KT_CHECK(curthread == &thread0);
	KT_CHECK(smp_started);
	then = kpi_clock_now();
	up = sbinuptime();
	t = ticks;
	DELAY(50000);
	KT_EQ((kpi_clock_now() - then + MS / 2) / MS, 50);
	KT_EQ(pause("boot", hz / 10), EWOULDBLOCK);
	KT_EQ((kpi_clock_now() - then + MS / 2) / MS, 150);
	KT_EQ(sbinuptime(), up);
	KT_EQ(ticks, t);
}

KTEST(boot_clocks, "devices attach on thread0, where only DELAY() takes time")
{
	sbintime_t up = sbinuptime();

	KT_CHECK(!cold);
	KT_CHECK(curthread != &thread0);
	kpi_clock_advance(10 * MS);
	KT_EQ(sbttoms(sbinuptime() - up), 10);
}

static void
waker(void *arg)
{

	DELAY(2000);
	mtx_lock(&mtx);
	awake = 1;
	wakeup(&mtx);
	mtx_unlock(&mtx);
	kthread_exit();
}

AT_BOOT(boot_wakeup)
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	KT_EQ(kthread_add(waker, NULL, NULL, NULL, 0, 0, "waker"), 0);
	mtx_lock(&mtx);
	while (awake == 0)
		mtx_sleep(&mtx, &mtx, 0, "boot", 0);
	mtx_unlock(&mtx);
}

KTEST(boot_wakeup, "what boots can sleep until it is woken")
{
	KT_EQ(awake, 1);
	mtx_destroy(&mtx);
}

AT_BOOT(boot_polls)
{
	kpi_u64 then;

	mtx_init(&mtx, "m", NULL, MTX_DEF);
	then = kpi_clock_now();
	KT_EQ(kthread_add(waker, NULL, NULL, NULL, 0, 0, "waker"), 0);
	while (atomic_load_acq_int(&awake) == 0)
		DELAY(20);
	/* Real milliseconds of the other's, microseconds of ours. */
	KT_CHECK(kpi_clock_now() - then < MS);
}

KTEST(boot_polls, "time that what boots waits passes once others are idle")
{
	kpi_clock_advance(0);
	mtx_destroy(&mtx);
}

static void
timed_sleeper(void *arg)
{

	mtx_lock(&mtx);
	KT_EQ(mtx_sleep(timed_sleeper, &mtx, 0, "timed", hz / 50),
	    EWOULDBLOCK);
	KT_CHECK(!cold);
	mtx_unlock(&mtx);
	atomic_store_rel_int(&awake, 1);
	kthread_exit();
}

static void
fire(void *arg)
{

	KT_CHECK(!cold);
	atomic_store_rel_int(&fired, 1);
}

/* 20 ms each, while the boot takes 60. */
static void
early_start(void)
{

	mtx_init(&mtx, "m", NULL, MTX_DEF);
	KT_EQ(kthread_add(timed_sleeper, NULL, NULL, NULL, 0, 0, "early"), 0);
	callout_init(&co, 1);
	callout_reset(&co, hz / 50, fire, NULL);
	DELAY(60000);
	KT_EQ(atomic_load_acq_int(&awake), 0);
	KT_EQ(atomic_load_acq_int(&fired), 0);
}

AT_BOOT(boot_timers)
{
	early_start();
}

KTEST(boot_timers, "time limits of other threads begin with the clocks")
{
	kpi_clock_advance(19 * MS);
	KT_EQ(atomic_load_acq_int(&awake), 0);
	KT_EQ(atomic_load_acq_int(&fired), 0);
	kpi_clock_advance(2 * MS);
	KT_EQ(atomic_load_acq_int(&awake), 1);
	KT_EQ(atomic_load_acq_int(&fired), 1);
	mtx_destroy(&mtx);
}

AT_BOOT(real_boot_timers)
{
	early_start();
}

KTEST(real_boot_timers, "the same by the real clock")
{
	while (atomic_load_acq_int(&awake) == 0 ||
	    atomic_load_acq_int(&fired) == 0)
		pause("early", 1);
	callout_drain(&co);
	mtx_destroy(&mtx);
}

/* --- What is not there yet --- */

static u_int	early_cpus, late_cpus;

static void
count_cpu(void *arg)
{

	atomic_add_int(arg, 1);
}

static void
before_smp(void *arg)
{

	KT_CHECK(!smp_started);
	smp_rendezvous(NULL, count_cpu, NULL, &early_cpus);
}
SYSINIT(ktest_before_smp, SI_SUB_SMP - 1, SI_ORDER_FIRST, before_smp, NULL);

AT_BOOT(boot_rendezvous)
{
	smp_rendezvous(NULL, count_cpu, NULL, &late_cpus);
}

KTEST(boot_rendezvous, "a rendezvous is of one processor until all run")
{
	KT_EQ(early_cpus, 1);
	KT_EQ(late_cpus, mp_ncpus);
}

static struct fake_sim *fs;

AT_BOOT(boot_cam)
{
	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_attach(fs);
	DELAY(100000);
	KT_EQ(fake_ops(fs, 0, INQUIRY), 0);
}

KTEST(boot_cam, "a bus that is there at boot is scanned when the clocks run")
{
	KT_CHECK(FAKE_UNTIL(fake_disks() == 1));
	fake_detach(fs);
}

/* --- Timed sleeps of what boots --- */

#define	TIMED	"timed sleep before timers are working"

AT_BOOT(boot_msleep_report)
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	mtx_lock(&mtx);
	mtx_sleep(&mtx, &mtx, 0, "boot", hz);
}

KTEST_PANICS(boot_msleep_report, "mtx_sleep() with a time limit at boot",
    TIMED)
{
}

AT_BOOT(boot_tsleep_report)
{
	tsleep_sbt(&mtx, 0, "boot", SBT_1S, 0, 0);
}

KTEST_PANICS(boot_tsleep_report, "tsleep_sbt() with a time limit at boot",
    TIMED)
{
}

AT_BOOT(boot_cv_report)
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	cv_init(&cv, "cv");
	mtx_lock(&mtx);
	cv_timedwait(&cv, &mtx, hz);
}

KTEST_PANICS(boot_cv_report, "cv_timedwait() at boot", TIMED)
{
}

AT_BOOT(boot_sema_report)
{
	sema_init(&sema, 0, "s");
	sema_timedwait(&sema, hz);
}

KTEST_PANICS(boot_sema_report, "sema_timedwait() at boot", TIMED)
{
}

/* --- The root, and init(8) --- */

static volatile u_int	mounted;
static eventhandler_tag	mountroot_tag;

static void
mounted_root(void *arg)
{
	KT_CHECK(root_mounted());
	KT_CHECK(kpi_clock_utc() > 1700000000000000000ULL);
	mounted++;
}

AT_BOOT(boot_mountroot)
{
	KT_CHECK(!root_mounted());
	mountroot_tag = EVENTHANDLER_REGISTER(mountroot, mounted_root, NULL,
	    EVENTHANDLER_PRI_ANY);
}

KTEST(boot_mountroot, "who waits for the root is told of it, once")
{
	KT_CHECK(root_mounted());
	KT_EQ(mounted, 1);
	EVENTHANDLER_DEREGISTER(mountroot, mountroot_tag);
}

KTEST(boot_shutdown_nice, "what init(8) is asked for, in order")
{
	int howto = -1;

	KT_EQ(kpi_shutdown_asked(0, &howto), ETIMEDOUT);
	shutdown_nice(RB_POWEROFF);
	shutdown_nice(RB_AUTOBOOT);
	KT_EQ(kpi_shutdown_asked(0, &howto), 0);
	KT_EQ(howto, RB_POWEROFF);
	KT_EQ(kpi_shutdown_asked(0, &howto), 0);
	KT_EQ(howto, RB_AUTOBOOT);
	KT_EQ(kpi_shutdown_asked(0, &howto), ETIMEDOUT);
}

/* --- Preloaded modules --- */

AT_BOOT(preload_order)
{
	KT_CHECK(ktmod_log_is("base-early user-early base-load user-load "));
}

KTEST(preload_order, "a preloaded module is part of the boot, and can go")
{
	KT_EQ(kpi_kldload("ktmod_user"), EEXIST);
	KT_EQ(kpi_kldunload("ktmod_base"), EBUSY);
	KT_EQ(kpi_kldunload("ktmod_user"), 0);
	KT_EQ(kpi_kldunload("ktmod_base"), 0);
	KT_CHECK(ktmod_log_is("user-quiesce user-unload user-late "
	    "base-quiesce base-unload base-late "));
	KT_EQ(kpi_kldload("ktmod_user"), 0);
	KT_CHECK(ktmod_log_is("base-early base-load user-early user-load "));
}
