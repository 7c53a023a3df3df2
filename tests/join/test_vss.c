/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Backup from end to end: what the host orders, and what is no good. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_vss.h"

#define	TYPE_VSS	5

/* What is left alone. */
#define	OTHERS							\
	"3 devfs rw local /dev 0 0\n"				\
	"4 ufs ro local /usr 0 0\n"				\
	"5 nfs rw remote /home 0 0\n"				\
	"6 zfs rw local /pool 0 0\n"				\
	"7 tmpfs rw local /tmp 0 0\n"				\
	"8 cd9660 ro local /cdrom 0 0\n"			\
	"9 nullfs rw local /jail 0 0\n"				\
	"10 msdosfs rw local /boot/efi 0 0\n"

static uint64_t
ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* --- What works --- */

static unsigned held;
static uint64_t freeze_began;

static void
snapshot_step(void *arg, const char *step)
{

	if (strcmp(step, "freeze") == 0)
		freeze_began = ms_now();
	if (strcmp(step, "hold") == 0)
		held = vss_frozen(1) | vss_frozen(2) << 1 |
		    vss_frozen_count() << 8;
}

ATF_TC_WITHOUT_HEAD(snapshot);
ATF_TC_BODY(snapshot, tc)
{
	struct join_order o;
	uint64_t best = UINT64_MAX, took;
	unsigned i;

	vss_start(UFS_ROOT UFS_VAR OTHERS, false);
	for (i = 1; i <= 3; i++) {
		held = 0;
		join_order_init(&o);
		ATF_REQUIRE_EQ(0, hvh_vss_snapshot(vss, 0, snapshot_step,
		    join_order_done, &o));
		join_order_wait(&o);
		took = ms_now() - freeze_began;
		best = took < best ? took : best;
		ATF_CHECK_EQ(0, o.r.error);
		ATF_CHECK_EQ(0, o.r.status);
		ATF_CHECK_STREQ("", o.step);
		/* Just these two, at that moment. */
		ATF_CHECK_EQ_MSG(0x203, held, "%#x", held);
		ATF_CHECK_EQ(0, vss_frozen_count());
		ATF_CHECK_EQ(i, join_sysctl("dev.hvvss.0.freezes"));
		ATF_CHECK_EQ(i, join_sysctl("dev.hvvss.0.thaws"));
	}
	ATF_CHECK_EQ(0, join_sysctl("dev.hvvss.0.failures"));
	ATF_CHECK_EQ_MSG(0, access("synced", F_OK), "nothing was synced");
	printf("freeze to thaw: %ju ms\n", (uintmax_t)best);
	ATF_CHECK_MSG(best < 100, "%ju ms", (uintmax_t)best);
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(applications);
ATF_TC_BODY(applications, tc)
{
	struct join_order o;
	struct app_msg m;

	vss_start(UFS_ROOT OTHERS, false);
	app_open();
	vss_order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_CHECK_EQ(5, o.r.flags);

	/* First the application, then the file systems. */
	vss_order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	usleep(50000);
	ATF_CHECK_EQ(0, vss_frozen_count());
	ATF_CHECK(!join_order_ended(&o));
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_CHECK(vss_frozen(1));

	/* And the other way round. */
	vss_order(&o, HVH_VSS_THAW);
	app_read(&m, THAW);
	ATF_CHECK_EQ(0, vss_frozen_count());
	ATF_CHECK(!join_order_ended(&o));
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);

	/* It cannot: the file systems are not even asked. */
	vss_order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 1);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK_EQ(0, vss_frozen_count());

	/* The file systems cannot: it is to thaw. */
	vss_mounts("1 ufs rw local / 0 5\n");
	vss_order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	app_read(&m, THAW);
	app_answer(&m, 0);

	/* It ends while frozen: that is no backup any more. */
	vss_mounts(UFS_ROOT);
	vss_order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK(vss_frozen(1));
	ATF_REQUIRE_EQ(0, kpi_dev_close(vss_app));
	ATF_CHECK(join_wait(vss_none_frozen, NULL, JOIN_WAIT_MS));
	vss_ends(HVH_VSS_THAW, HVH_IC_FAIL);
	vss_finish();
}

/* --- What is no good --- */

ATF_TC_WITHOUT_HEAD(cannot);
ATF_TC_BODY(cannot, tc)
{

	vss_start(UFS_ROOT "2 msdosfs rw local /boot 0 0\n" OTHERS, false);
	vss_ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK_EQ(0, vss_frozen_count());
	ATF_CHECK_MSG(strstr(join_daemon_log(&vss_daemon), "/boot: msdosfs") !=
	    NULL, "%s", join_daemon_log(&vss_daemon));

	/* One fails in the middle: those before it move again. */
	vss_mounts(UFS_ROOT "2 ufs rw local /var 0 16\n"
	    "3 ufs rw local /usr 0 0\n");
	vss_ends(HVH_VSS_CHECK, HVH_IC_OK);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK_EQ(0, vss_frozen_count());
	ATF_CHECK_MSG(strstr(join_daemon_log(&vss_daemon), "/var: cannot") !=
	    NULL, "%s", join_daemon_log(&vss_daemon));

	/* Thawing what is not frozen does no harm. */
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	/* Freezing twice does not undo the first. */
	vss_mounts(UFS_ROOT);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_OK);
	vss_ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK(vss_frozen(1));
	vss_ends(HVH_VSS_THAW, HVH_IC_OK);
	vss_finish();
}

ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	struct join_order o;
	uint8_t body[6260];
	unsigned op;

	vss_start(UFS_ROOT, false);
	memset(body, 0, sizeof(body));
	for (op = 0; op < 256; op += op < 10 ? 1 : 49) {
		/* Those are the programs'. */
		if (op == 2 || op == 5 || op == 6)
			continue;
		body[0] = (uint8_t)op;
		ATF_CHECK_EQ_MSG(op == 3 || op == 4 ? HVH_IC_OK :
		    HVH_IC_NOT_SUPPORTED, join_ic_raw(vss, TYPE_VSS, body,
		    op == 7 ? sizeof(body) : 24, &o), "operation %u", op);
	}
	/* Direct-mapped devices: none. */
	memset(body, 0xff, sizeof(body));
	body[0] = 3;
	ATF_CHECK_EQ(HVH_IC_OK, join_ic_raw(vss, TYPE_VSS, body, 12, &o));
	ATF_CHECK_EQ(0, memcmp(o.body + 8, "\0\0\0\0", 4));
	/* Too short to say what it is. */
	body[0] = 5;
	ATF_CHECK_EQ(HVH_IC_INVALID, join_ic_raw(vss, TYPE_VSS, body, 0, &o));
	ATF_CHECK_EQ(HVH_IC_INVALID, join_ic_raw(vss, TYPE_VSS, body, 7, &o));
	ATF_CHECK_EQ(0, vss_frozen_count());
	/* As short as it can be: the answer has its flags nevertheless. */
	body[0] = 2;
	ATF_CHECK_EQ(HVH_IC_OK, join_ic_raw(vss, TYPE_VSS, body, 8, &o));
	ATF_CHECK_EQ(12, o.r.len);
	ATF_CHECK_EQ(5, o.body[8]);
	vss_finish();
}

/* What a program can do wrong. */
ATF_TC_WITHOUT_HEAD(program);
ATF_TC_BODY(program, tc)
{
	struct app_msg m = { .type = APP_ANSWER, .version = 1 };
	struct join_order o;
	struct kpi_devfile *f;
	kpi_size done;
	char small[8];

	vss_start(UFS_ROOT, false);
	ATF_CHECK_EQ(16, kpi_dev_open(VSS_NODE, 7, &f));	/* EBUSY */
	ATF_REQUIRE_EQ(0, kpi_dev_open("hv_appvss_dev", 7, &vss_app));
	ATF_CHECK_EQ(16, kpi_dev_open("hv_appvss_dev", 7, &f));
	ATF_CHECK_EQ(22, app_write(&m));			/* EINVAL */
	m.type = APP_REGISTER;
	m.version = 2;
	ATF_CHECK_EQ(43, app_write(&m));		/* EPROTONOSUPPORT */
	m.version = 1;
	ATF_CHECK_EQ(22, kpi_dev_write(vss_app, &m, 31, &done));
	ATF_CHECK_EQ(40, kpi_dev_write(vss_app, &m, 0, &done));	/* EMSGSIZE */
	/* It has not registered, so nobody waits for it. */
	vss_ends(HVH_VSS_CHECK, HVH_IC_OK);
	ATF_CHECK_EQ(0, app_write(&m));
	ATF_CHECK_EQ(22, app_write(&m));
	m.type = APP_ANSWER;
	ATF_CHECK_EQ(70, app_write(&m));			/* ESTALE */
	vss_order(&o, HVH_VSS_CHECK);
	while (kpi_dev_read(vss_app, small, sizeof(small), &done) == 35)
		usleep(1000);
	ATF_CHECK_EQ(40, kpi_dev_read(vss_app, small, sizeof(small), &done));
	app_read(&m, CHECK);
	m.type = APP_ANSWER;
	m.id++;
	ATF_CHECK_EQ(70, app_write(&m));
	m.id--;
	ATF_CHECK_EQ(0, app_write(&m));
	ATF_CHECK_EQ(70, app_write(&m));
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(vss_app));
	vss_finish();
}
ATF_TP_ADD_TCS(tp)
{

	/* The daemon is a process: it inherits where its file systems are. */
	setenv("HV_COMPAT_FS", ".", 1);
	ATF_TP_ADD_TC(tp, snapshot);
	ATF_TP_ADD_TC(tp, applications);
	ATF_TP_ADD_TC(tp, cannot);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, program);
	return (atf_no_error());
}
