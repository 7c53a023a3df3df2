/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Backup with daemons that die or say nothing, and a device that goes: whatever
 * goes wrong, the host is answered once, and nothing stays frozen.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_vss.h"

/*
 * Closing a file of a suspended UFS waits for its end, also when a process
 * exits; were that file one of this process, which alone could end it, both
 * would wait for ever.  So it has none open: sockets, the log and the nodes.
 */
static void
no_files_open(void)
{
	char link[64], to[256];
	ssize_t n;
	int fd;

	for (fd = 0; fd < 64; fd++) {
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", vss_daemon.pid,
		    fd);
		n = readlink(link, to, sizeof(to) - 1);
		if (n < 0)
			continue;
		to[n] = '\0';
		ATF_CHECK_MSG(strstr(to, ".pid") == NULL &&
		    (fd != 0 || strcmp(to, "/dev/null") == 0),
		    "file %d of the daemon is %s", fd, to);
	}
}

/* --- Daemons that die or say nothing --- */

ATF_TC_WITHOUT_HEAD(no_daemon);
ATF_TC_BODY(no_daemon, tc)
{

	vss_start(UFS_ROOT, false);
	ATF_CHECK_EQ(0, join_daemon_end(&vss_daemon, SIGTERM));
	ATF_CHECK(join_sysctl_becomes(VSS_PROGRAM, 0));
	vss_ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_daemon_start();
	vss_ends(HVH_VSS_CHECK, HVH_IC_OK);
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(killed_frozen);
ATF_TC_BODY(killed_frozen, tc)
{
	static const int sig[] = { SIGKILL, SIGTERM };
	unsigned i;

	vss_start(UFS_ROOT UFS_VAR, false);
	for (i = 0; i < 2; i++) {
		vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ATF_CHECK_EQ(2, vss_frozen_count());
		no_files_open();
		(void)join_daemon_end(&vss_daemon, sig[i]);
		ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
		ATF_CHECK(join_sysctl_becomes(VSS_PROGRAM, 0));
		/* The host is told that its snapshot is no good. */
		vss_ends(HVH_VSS_THAW, HVH_IC_FAIL);
		vss_daemon_start();
		vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
		vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	}
	ATF_CHECK_EQ(2, join_sysctl("dev.hvvss.0.auto_thaws"));
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(killed_freezing);
ATF_TC_BODY(killed_freezing, tc)
{
	struct join_order o;

	vss_start(SLOW UFS_VAR, false);
	vss_order(&o, HVH_VSS_FREEZE);
	ATF_REQUIRE(join_wait(vss_some_frozen, NULL, JOIN_WAIT_MS));
	(void)join_daemon_end(&vss_daemon, SIGKILL);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
	vss_mounts(UFS_ROOT);
	vss_daemon_start();
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_finish();
}

/* Ends with a request before it; the next one finds all as it was. */
ATF_TC_WITHOUT_HEAD(killed_asked);
ATF_TC_BODY(killed_asked, tc)
{
	static const enum hvh_vss_op ops[] = { HVH_VSS_CHECK, HVH_VSS_FREEZE,
	    HVH_VSS_THAW };
	struct join_order o;
	unsigned i;

	vss_start(UFS_ROOT UFS_VAR, false);
	for (i = 0; i < 3; i++) {
		if (ops[i] == HVH_VSS_THAW)
			vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ATF_REQUIRE_EQ(0, kill(vss_daemon.pid, SIGSTOP));
		vss_order(&o, ops[i]);
		ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.busy", 1));
		(void)join_daemon_end(&vss_daemon, SIGKILL);
		join_order_wait(&o);
		/* A thaw the host asks for again, and all is thawed. */
		ATF_CHECK_EQ(ops[i] == HVH_VSS_THAW ? HVH_IC_OK : HVH_IC_FAIL,
		    o.r.status);
		ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
		ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.busy", 0));
		vss_daemon_start();
		vss_ends(HVH_VSS_CHECK, HVH_IC_OK);
		vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
		vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	}
	vss_finish();
}

#define	SECOND	1000000000ull

/* Time passes until the order has ended: at least from, at most to seconds. */
static void
ends_within(struct join_order *o, unsigned from, unsigned to)
{
	uint64_t begin = vm_now();

	while (!join_order_ended(o) && vm_now() - begin < to * SECOND)
		vm_advance(SECOND / 10);
	join_order_wait(o);
	ATF_CHECK_MSG(vm_now() - begin >= from * SECOND, "after %ju ms",
	    (uintmax_t)(vm_now() - begin) / 1000000);
}

static bool
check_is_good(void *arg)
{
	struct join_order o;

	vss_order(&o, HVH_VSS_CHECK);
	join_order_wait(&o);
	return (o.r.error == 0 && o.r.status == HVH_IC_OK);
}

/* It reads a request and then says nothing; or does not even read it. */
ATF_TC_WITHOUT_HEAD(silent);
ATF_TC_BODY(silent, tc)
{
	struct join_order o;
	struct app_msg m;

	vss_start(SLOW UFS_VAR, true);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.freeze_timeout", "2"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.check_timeout", "1"));
	vss_order(&o, HVH_VSS_FREEZE);
	/* The daemon's time is the real one: it is to have read that. */
	ATF_REQUIRE(join_wait(vss_some_frozen, NULL, JOIN_WAIT_MS));
	ends_within(&o, 1, 4);
	ATF_CHECK_EQ(0, o.r.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvvss.0.timeouts"));
	/* While it is busy nothing else is begun. */
	vss_ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	vss_ends(HVH_VSS_THAW, HVH_IC_FAIL);
	/* What it freezes too late is thawed before anything else is done. */
	vss_go();
	ATF_CHECK(join_wait(check_is_good, NULL, JOIN_WAIT_MS));
	ATF_CHECK_EQ(0, vss_frozen_count());
	/* A program that never reads can be asked again. */
	app_open();
	vss_order(&o, HVH_VSS_CHECK);
	ends_within(&o, 0, 3);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	vss_order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	ATF_CHECK_EQ(2, m.id);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(vss_app));
	vss_finish();
}

/* Who was asked too late to thaw is still to, whether or not the host asks. */
ATF_TC_WITHOUT_HEAD(thaw_unread);
ATF_TC_BODY(thaw_unread, tc)
{
	struct join_order o;
	struct app_msg m;

	vss_start(UFS_ROOT, true);
	app_open();
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.thaw_timeout", "1"));
	vss_order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	vss_order(&o, HVH_VSS_THAW);
	ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
	ends_within(&o, 1, 4);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	app_read(&m, THAW);
	m.type = APP_ANSWER;
	ATF_CHECK_EQ(70, app_write(&m));			/* ESTALE */
	/* And then it can be asked anything. */
	vss_order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(vss_app));
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(no_thaw);
ATF_TC_BODY(no_thaw, tc)
{

	vss_start(UFS_ROOT UFS_VAR, true);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.hold_timeout", "3"));
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_CHECK_EQ(2, vss_frozen_count());
	ATF_CHECK_EQ(1, join_sysctl("dev.hvvss.0.frozen"));
	vm_advance(5 * SECOND / 2);
	ATF_CHECK_EQ(2, vss_frozen_count());
	vm_advance(SECOND);
	ATF_CHECK_MSG(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS),
	    "frozen for ever");
	ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.auto_thaws", 1));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvvss.0.frozen"));
	/* The host tries three times. */
	vss_ends(HVH_VSS_THAW, HVH_IC_FAIL);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_finish();
}

/* --- The device goes --- */

static void
gone(void)
{

	ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
	/* It has read that the node is gone, and has ended by itself. */
	ATF_CHECK_EQ(0, join_daemon_end(&vss_daemon, 0));
}

ATF_TC_WITHOUT_HEAD(unload);
ATF_TC_BODY(unload, tc)
{
	struct join_order o;

	vss_start(UFS_ROOT UFS_VAR, false);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_REQUIRE_EQ(0, vm_unload());
	gone();

	/* In flight: answered, or the end of the channel is the answer. */
	vss_mounts(SLOW UFS_VAR);
	ATF_REQUIRE_EQ(0, vm_load());
	join_ic_ready(vss);
	vss_daemon_start();
	vss_order(&o, HVH_VSS_FREEZE);
	ATF_REQUIRE(join_wait(vss_some_frozen, NULL, JOIN_WAIT_MS));
	ATF_REQUIRE_EQ(0, vm_unload());
	join_order_wait(&o);
	ATF_CHECK_MSG((o.r.error == 0 && o.r.status == HVH_IC_FAIL) ||
	    o.r.error == ECONNRESET, "error %d, status %#x", o.r.error,
	    o.r.status);
	vss_go();
	gone();
	ATF_REQUIRE_EQ(0, vm_load());
	join_ic_ready(vss);
	vss_mounts(UFS_ROOT);
	vss_daemon_start();
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_finish();
}

/* The program for file systems as well is this test. */
static struct kpi_devfile *fs;

static void *
unload_main(void *arg)
{

	ATF_CHECK_EQ(0, vm_unload());
	return (NULL);
}

/* Thaws as soon as the host has been told that nothing comes of it. */
static void
thaw_late(struct app_msg *m)
{
	char value[32];
	pthread_t t;
	kpi_size done;

	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, unload_main, NULL));
	while (kpi_sysctl_get("dev.hvvss.0.failures", value,
	    sizeof(value)) == 0 && strcmp(value, "0") == 0)
		;
	m->type = APP_ANSWER;
	(void)kpi_dev_write(fs, m, sizeof(*m), &done);
	ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
}

/* One thaws while the driver goes, and the other is not asked any more. */
ATF_TC_WITHOUT_HEAD(unload_thawing);
ATF_TC_BODY(unload_thawing, tc)
{
	struct app_msg m, fm;
	struct join_order o;
	kpi_size done;
	unsigned i;

	vss_start(UFS_ROOT, false);
	(void)join_daemon_end(&vss_daemon, SIGTERM);
	for (i = 0; i < 20; i++) {
		fm = (struct app_msg){ .type = APP_REGISTER, .version = 1 };
		ATF_CHECK(join_sysctl_becomes(VSS_PROGRAM, 0));
		ATF_REQUIRE_EQ(0, kpi_dev_open(VSS_NODE, 3, &fs));
		ATF_REQUIRE_EQ(0, kpi_dev_write(fs, &fm, sizeof(fm), &done));
		app_open();
		vss_order(&o, HVH_VSS_FREEZE);
		app_read(&m, FREEZE);
		app_answer(&m, 0);
		ATF_REQUIRE_EQ(0, kpi_dev_read(fs, &fm, sizeof(fm), &done));
		fm.type = APP_ANSWER;
		ATF_REQUIRE_EQ(0, kpi_dev_write(fs, &fm, sizeof(fm), &done));
		join_order_wait(&o);
		ATF_REQUIRE_EQ(HVH_IC_OK, o.r.status);
		vss_order(&o, HVH_VSS_THAW);
		ATF_REQUIRE_EQ(0, kpi_dev_read(fs, &fm, sizeof(fm), &done));
		thaw_late(&fm);
		join_order_wait(&o);
		ATF_CHECK(o.r.error != 0 || o.r.status == HVH_IC_FAIL);
		ATF_REQUIRE_EQ(0, kpi_dev_close(fs));
		ATF_REQUIRE_EQ(0, kpi_dev_close(vss_app));
		ATF_REQUIRE_EQ(0, vm_load());
		join_ic_ready(vss);
	}
	vss_daemon_start();
	vss_finish();
}

/* Idle, while it freezes, and frozen; and then the host offers it anew. */
ATF_TC_WITHOUT_HEAD(rescind);
ATF_TC_BODY(rescind, tc)
{
	const struct hvh_ic_params ip = { .kind = HVH_IC_VSS };
	struct join_order o;
	unsigned when;

	vss_start(UFS_ROOT, false);
	for (when = 0; when < 3; when++) {
		vss_mounts(when == 1 ? SLOW UFS_VAR : UFS_ROOT);
		if (when > 0)
			vss_order(&o, HVH_VSS_FREEZE);
		if (when == 1)
			ATF_REQUIRE(join_wait(vss_some_frozen, NULL,
			    JOIN_WAIT_MS));
		else if (when == 2)
			join_order_wait(&o);
		hvh_ic_remove(vss);
		if (when == 1) {
			join_order_wait(&o);
			ATF_CHECK(o.r.error != 0);
			vss_go();
		}
		gone();
		ATF_REQUIRE_EQ(0, hvh_ic_add(vss_join.host, &ip, &vss));
		join_ic_ready(vss);
		vss_daemon_start();
		vss_mounts(UFS_ROOT);
		vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
		vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	}
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(sleep_frozen);
ATF_TC_BODY(sleep_frozen, tc)
{

	vss_start(UFS_ROOT, false);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
	ATF_REQUIRE_EQ(0, kpi_resume());
	join_ic_ready(vss);
	vss_ends(HVH_VSS_THAW, HVH_IC_FAIL);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_finish();
}
ATF_TP_ADD_TCS(tp)
{

	/* The daemon is a process: it inherits where its file systems are. */
	setenv("HV_COMPAT_FS", ".", 1);
	ATF_TP_ADD_TC(tp, no_daemon);
	ATF_TP_ADD_TC(tp, killed_frozen);
	ATF_TP_ADD_TC(tp, killed_freezing);
	ATF_TP_ADD_TC(tp, killed_asked);
	ATF_TP_ADD_TC(tp, silent);
	ATF_TP_ADD_TC(tp, thaw_unread);
	ATF_TP_ADD_TC(tp, no_thaw);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, unload_thawing);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, sleep_frozen);
	return (atf_no_error());
}
