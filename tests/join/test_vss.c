/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Backup from end to end: the host's orders, the driver, and hv_vss_daemon on
 * file systems that are locks in a file (usr.sbin/hyperv/compat/fs).  Whatever
 * goes wrong, the host is answered once, and nothing stays frozen.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_daemon.h"

#define	TYPE_VSS	5
#define	FS_NODE		"hv_fsvss_dev"
#define	FS_PROGRAM	"dev.hvvss.0.fs_program"

/* What a test mounts: see compat_fs.c. */
#define	UFS_ROOT	"1 ufs rw local / 0 0\n"
#define	UFS_VAR		"2 ufs rw local /var 0 0\n"
#define	SLOW		"1 ufs rw local / 1 0\n"	/* until go() */
#define	OTHERS							\
	"3 devfs rw local /dev 0 0\n"				\
	"4 ufs ro local /usr 0 0\n"				\
	"5 nfs rw remote /home 0 0\n"				\
	"6 zfs rw local /pool 0 0\n"				\
	"7 tmpfs rw local /tmp 0 0\n"				\
	"8 cd9660 ro local /cdrom 0 0\n"			\
	"9 nullfs rw local /jail 0 0\n"

static struct join j;
static struct hvh_ic *vss;
static struct devbridge *bridge;
static struct join_daemon daemon_p;

static void
mounts(const char *lines)
{
	FILE *f;

	f = fopen("mounts.new", "we");
	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE(fputs(lines, f) >= 0);
	ATF_REQUIRE_EQ(0, fclose(f));
	ATF_REQUIRE_EQ(0, rename("mounts.new", "mounts"));
}

static void
go(void)
{

	ATF_REQUIRE_EQ(0, close(open("go", O_CREAT | O_WRONLY | O_CLOEXEC,
	    0600)));
}

/* Whether a file system stands still. */
static bool
frozen(int number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_start = number, .l_len = 1 };
	int fd;

	fd = open("suspend", O_RDWR | O_CLOEXEC);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, fcntl(fd, F_OFD_GETLK, &lock));
	close(fd);
	return (lock.l_type != F_UNLCK);
}

static unsigned
frozen_count(void)
{
	unsigned n = 0;
	int i;

	for (i = 1; i < 10; i++)
		if (frozen(i))
			n++;
	return (n);
}

static bool
none_frozen(void *arg)
{

	return (frozen_count() == 0);
}

static bool
some_frozen(void *arg)
{

	return (frozen_count() > 0);
}

static void
prepare(struct join *jp)
{
	const struct hvh_ic_params ip = { .kind = HVH_IC_VSS };

	ATF_REQUIRE_EQ(0, hvh_ic_add(jp->host, &ip, &vss));
}

static void
daemon_start(void)
{

	join_daemon_start(&daemon_p, HV_VSS_DAEMON, FS_NODE, NULL,
	    FS_PROGRAM);
}

/* virtual: time passes when the test says so. */
static void
start(const char *lines, bool virtual)
{
	struct join_config cf = { .no_disks = true, .prepare = prepare,
	    .vm.virtual_clock = virtual };
	int fd;

	mounts(lines);
	fd = open("suspend", O_CREAT | O_RDWR, 0600);
	ATF_REQUIRE(fd >= 0);
	close(fd);
	join_start(&j, &cf);
	join_ic_ready(vss);
	bridge = join_bridge(FS_NODE);
	daemon_start();
}

static void
finish(void)
{

	ATF_CHECK_EQ(0, frozen_count());
	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, SIGTERM));
	devbridge_stop(bridge);
	join_finish(&j);
}

static void
order(struct join_order *o, enum hvh_vss_op op)
{

	join_order_init(o);
	ATF_REQUIRE_EQ(0, hvh_vss(vss, op, join_order_done, o));
}

/* The host's operation, and how it ends. */
static void
ends(enum hvh_vss_op op, uint32_t status)
{
	struct join_order o;

	order(&o, op);
	join_order_wait(&o);
	ATF_CHECK_EQ_MSG(0, o.r.error, "operation %d: error %d", op,
	    o.r.error);
	ATF_CHECK_EQ_MSG(status, o.r.status, "operation %d: status %#x", op,
	    o.r.status);
}

static uint64_t
ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

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
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", daemon_p.pid,
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

/* --- What works --- */

static unsigned held;
static uint64_t freeze_began;

static void
snapshot_step(void *arg, const char *step)
{

	if (strcmp(step, "freeze") == 0)
		freeze_began = ms_now();
	if (strcmp(step, "hold") == 0)
		held = frozen(1) | frozen(2) << 1 | frozen_count() << 8;
}

ATF_TC_WITHOUT_HEAD(snapshot);
ATF_TC_BODY(snapshot, tc)
{
	struct join_order o;
	uint64_t best = UINT64_MAX, took;
	unsigned i;

	start(UFS_ROOT UFS_VAR OTHERS, false);
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
		ATF_CHECK_EQ(0, frozen_count());
		ATF_CHECK_EQ(i, join_sysctl("dev.hvvss.0.freezes"));
		ATF_CHECK_EQ(i, join_sysctl("dev.hvvss.0.thaws"));
	}
	ATF_CHECK_EQ(0, join_sysctl("dev.hvvss.0.failures"));
	ATF_CHECK_EQ_MSG(0, access("synced", F_OK), "nothing was synced");
	printf("freeze to thaw: %ju ms\n", (uintmax_t)best);
	ATF_CHECK_MSG(best < 100, "%ju ms", (uintmax_t)best);
	finish();
}

/* A program for applications, which this test is itself. */
static struct kpi_devfile *app;

struct app_msg {
	uint32_t	 type, version, id, op, status, timeout, hold, rsvd;
};

#define	APP_REGISTER	0x56535300
#define	APP_REQUEST	0x56535301
#define	APP_ANSWER	0x56535302

static int
app_write(struct app_msg *m)
{
	kpi_size done;

	return (kpi_dev_write(app, m, sizeof(*m), &done));
}

static void
app_open(void)
{
	struct app_msg m = { .type = APP_REGISTER, .version = 1 };

	ATF_REQUIRE_EQ(0, kpi_dev_open("hv_appvss_dev", 7, &app));
	ATF_REQUIRE_EQ(0, app_write(&m));
}

/* The next request; it must be this one. */
static void
app_read(struct app_msg *m, uint32_t op)
{
	kpi_size done;
	int tries;

	for (tries = 0; kpi_dev_read(app, m, sizeof(*m), &done) != 0; tries++) {
		ATF_REQUIRE_MSG(tries < JOIN_WAIT_MS, "request %u does not "
		    "come", op);
		usleep(1000);
	}
	ATF_REQUIRE_EQ(sizeof(*m), done);
	ATF_CHECK_EQ(APP_REQUEST, m->type);
	ATF_REQUIRE_EQ(op, m->op);
}

static void
app_answer(struct app_msg *m, uint32_t status)
{

	m->type = APP_ANSWER;
	m->status = status;
	ATF_CHECK_EQ(0, app_write(m));
}

#define	CHECK	1
#define	FREEZE	2
#define	THAW	3

ATF_TC_WITHOUT_HEAD(applications);
ATF_TC_BODY(applications, tc)
{
	struct join_order o;
	struct app_msg m;

	start(UFS_ROOT OTHERS, false);
	app_open();
	order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_CHECK_EQ(5, o.r.flags);

	/* First the application, then the file systems. */
	order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	usleep(50000);
	ATF_CHECK_EQ(0, frozen_count());
	ATF_CHECK(!join_order_ended(&o));
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_CHECK(frozen(1));

	/* And the other way round. */
	order(&o, HVH_VSS_THAW);
	app_read(&m, THAW);
	ATF_CHECK_EQ(0, frozen_count());
	ATF_CHECK(!join_order_ended(&o));
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);

	/* It cannot: the file systems are not even asked. */
	order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 1);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK_EQ(0, frozen_count());

	/* The file systems cannot: it is to thaw. */
	mounts("1 ufs rw local / 0 5\n");
	order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	app_read(&m, THAW);
	app_answer(&m, 0);

	/* It ends while frozen: that is no backup any more. */
	mounts(UFS_ROOT);
	order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK(frozen(1));
	ATF_REQUIRE_EQ(0, kpi_dev_close(app));
	ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
	ends(HVH_VSS_THAW, HVH_IC_FAIL);
	finish();
}

/* --- What is no good --- */

ATF_TC_WITHOUT_HEAD(cannot);
ATF_TC_BODY(cannot, tc)
{

	start(UFS_ROOT "2 msdosfs rw local /boot 0 0\n" OTHERS, false);
	ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK_EQ(0, frozen_count());
	ATF_CHECK_MSG(strstr(join_daemon_log(&daemon_p), "/boot: msdosfs") !=
	    NULL, "%s", join_daemon_log(&daemon_p));

	/* One fails in the middle: those before it move again. */
	mounts(UFS_ROOT "2 ufs rw local /var 0 16\n"
	    "3 ufs rw local /usr 0 0\n");
	ends(HVH_VSS_CHECK, HVH_IC_OK);
	ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK_EQ(0, frozen_count());
	ATF_CHECK_MSG(strstr(join_daemon_log(&daemon_p), "/var: cannot") !=
	    NULL, "%s", join_daemon_log(&daemon_p));

	/* Thawing what is not frozen does no harm. */
	ends(HVH_VSS_THAW, HVH_IC_OK);
	/* Freezing twice does not undo the first. */
	mounts(UFS_ROOT);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ATF_CHECK(frozen(1));
	ends(HVH_VSS_THAW, HVH_IC_OK);
	finish();
}

ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	struct join_order o;
	uint8_t body[6260];
	unsigned op;

	start(UFS_ROOT, false);
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
	ATF_CHECK_EQ(0, frozen_count());
	/* As short as it can be: the answer has its flags nevertheless. */
	body[0] = 2;
	ATF_CHECK_EQ(HVH_IC_OK, join_ic_raw(vss, TYPE_VSS, body, 8, &o));
	ATF_CHECK_EQ(12, o.r.len);
	ATF_CHECK_EQ(5, o.body[8]);
	finish();
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

	start(UFS_ROOT, false);
	ATF_CHECK_EQ(16, kpi_dev_open(FS_NODE, 7, &f));		/* EBUSY */
	ATF_REQUIRE_EQ(0, kpi_dev_open("hv_appvss_dev", 7, &app));
	ATF_CHECK_EQ(16, kpi_dev_open("hv_appvss_dev", 7, &f));
	ATF_CHECK_EQ(22, app_write(&m));			/* EINVAL */
	m.type = APP_REGISTER;
	m.version = 2;
	ATF_CHECK_EQ(43, app_write(&m));		/* EPROTONOSUPPORT */
	m.version = 1;
	ATF_CHECK_EQ(22, kpi_dev_write(app, &m, 31, &done));
	ATF_CHECK_EQ(40, kpi_dev_write(app, &m, 0, &done));	/* EMSGSIZE */
	/* It has not registered, so nobody waits for it. */
	ends(HVH_VSS_CHECK, HVH_IC_OK);
	ATF_CHECK_EQ(0, app_write(&m));
	ATF_CHECK_EQ(22, app_write(&m));
	m.type = APP_ANSWER;
	ATF_CHECK_EQ(70, app_write(&m));			/* ESTALE */
	order(&o, HVH_VSS_CHECK);
	while (kpi_dev_read(app, small, sizeof(small), &done) == 35)
		usleep(1000);
	ATF_CHECK_EQ(40, kpi_dev_read(app, small, sizeof(small), &done));
	app_read(&m, CHECK);
	m.type = APP_ANSWER;
	m.id++;
	ATF_CHECK_EQ(70, app_write(&m));
	m.id--;
	ATF_CHECK_EQ(0, app_write(&m));
	ATF_CHECK_EQ(70, app_write(&m));
	join_order_wait(&o);
	ATF_CHECK_EQ(0, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(app));
	finish();
}

/* --- Daemons that die or say nothing --- */

ATF_TC_WITHOUT_HEAD(no_daemon);
ATF_TC_BODY(no_daemon, tc)
{

	start(UFS_ROOT, false);
	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, SIGTERM));
	ATF_CHECK(join_sysctl_becomes(FS_PROGRAM, 0));
	ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	ends(HVH_VSS_FREEZE, HVH_IC_FAIL);
	ends(HVH_VSS_THAW, HVH_IC_OK);
	daemon_start();
	ends(HVH_VSS_CHECK, HVH_IC_OK);
	finish();
}

ATF_TC_WITHOUT_HEAD(killed_frozen);
ATF_TC_BODY(killed_frozen, tc)
{
	static const int sig[] = { SIGKILL, SIGTERM };
	unsigned i;

	start(UFS_ROOT UFS_VAR, false);
	for (i = 0; i < 2; i++) {
		ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ATF_CHECK_EQ(2, frozen_count());
		no_files_open();
		(void)join_daemon_end(&daemon_p, sig[i]);
		ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
		ATF_CHECK(join_sysctl_becomes(FS_PROGRAM, 0));
		/* The host is told that its snapshot is no good. */
		ends(HVH_VSS_THAW, HVH_IC_FAIL);
		daemon_start();
		ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ends(HVH_VSS_THAW, HVH_IC_OK);
	}
	ATF_CHECK_EQ(2, join_sysctl("dev.hvvss.0.auto_thaws"));
	finish();
}

ATF_TC_WITHOUT_HEAD(killed_freezing);
ATF_TC_BODY(killed_freezing, tc)
{
	struct join_order o;

	start(SLOW UFS_VAR, false);
	order(&o, HVH_VSS_FREEZE);
	ATF_REQUIRE(join_wait(some_frozen, NULL, JOIN_WAIT_MS));
	(void)join_daemon_end(&daemon_p, SIGKILL);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
	mounts(UFS_ROOT);
	daemon_start();
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ends(HVH_VSS_THAW, HVH_IC_OK);
	finish();
}

/* Ends with a request before it; the next one finds all as it was. */
ATF_TC_WITHOUT_HEAD(killed_asked);
ATF_TC_BODY(killed_asked, tc)
{
	static const enum hvh_vss_op ops[] = { HVH_VSS_CHECK, HVH_VSS_FREEZE,
	    HVH_VSS_THAW };
	struct join_order o;
	unsigned i;

	start(UFS_ROOT UFS_VAR, false);
	for (i = 0; i < 3; i++) {
		if (ops[i] == HVH_VSS_THAW)
			ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ATF_REQUIRE_EQ(0, kill(daemon_p.pid, SIGSTOP));
		order(&o, ops[i]);
		ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.busy", 1));
		(void)join_daemon_end(&daemon_p, SIGKILL);
		join_order_wait(&o);
		/* A thaw the host asks for again, and all is thawed. */
		ATF_CHECK_EQ(ops[i] == HVH_VSS_THAW ? HVH_IC_OK : HVH_IC_FAIL,
		    o.r.status);
		ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
		ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.busy", 0));
		daemon_start();
		ends(HVH_VSS_CHECK, HVH_IC_OK);
		ends(HVH_VSS_FREEZE, HVH_IC_OK);
		ends(HVH_VSS_THAW, HVH_IC_OK);
	}
	finish();
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

	order(&o, HVH_VSS_CHECK);
	join_order_wait(&o);
	return (o.r.error == 0 && o.r.status == HVH_IC_OK);
}

/* It reads a request and then says nothing; or does not even read it. */
ATF_TC_WITHOUT_HEAD(silent);
ATF_TC_BODY(silent, tc)
{
	struct join_order o;
	struct app_msg m;

	start(SLOW, true);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.freeze_timeout", "2"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.check_timeout", "1"));
	order(&o, HVH_VSS_FREEZE);
	ends_within(&o, 1, 4);
	ATF_CHECK_EQ(0, o.r.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvvss.0.timeouts"));
	/* While it is busy nothing else is begun. */
	ends(HVH_VSS_CHECK, HVH_IC_FAIL);
	ends(HVH_VSS_THAW, HVH_IC_FAIL);
	/* What it freezes too late is thawed before anything else is done. */
	go();
	ATF_CHECK(join_wait(check_is_good, NULL, JOIN_WAIT_MS));
	ATF_CHECK_EQ(0, frozen_count());
	/* A program that never reads can be asked again. */
	app_open();
	order(&o, HVH_VSS_CHECK);
	ends_within(&o, 0, 3);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	ATF_CHECK_EQ(2, m.id);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(app));
	finish();
}

/* Who was asked too late to thaw is still to, whether or not the host asks. */
ATF_TC_WITHOUT_HEAD(thaw_unread);
ATF_TC_BODY(thaw_unread, tc)
{
	struct join_order o;
	struct app_msg m;

	start(UFS_ROOT, true);
	app_open();
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.thaw_timeout", "1"));
	order(&o, HVH_VSS_FREEZE);
	app_read(&m, FREEZE);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	order(&o, HVH_VSS_THAW);
	ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
	ends_within(&o, 1, 4);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.r.status);
	app_read(&m, THAW);
	m.type = APP_ANSWER;
	ATF_CHECK_EQ(70, app_write(&m));			/* ESTALE */
	/* And then it can be asked anything. */
	order(&o, HVH_VSS_CHECK);
	app_read(&m, CHECK);
	app_answer(&m, 0);
	join_order_wait(&o);
	ATF_CHECK_EQ(HVH_IC_OK, o.r.status);
	ATF_REQUIRE_EQ(0, kpi_dev_close(app));
	finish();
}

ATF_TC_WITHOUT_HEAD(no_thaw);
ATF_TC_BODY(no_thaw, tc)
{

	start(UFS_ROOT UFS_VAR, true);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvvss.0.hold_timeout", "3"));
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_CHECK_EQ(2, frozen_count());
	ATF_CHECK_EQ(1, join_sysctl("dev.hvvss.0.frozen"));
	vm_advance(5 * SECOND / 2);
	ATF_CHECK_EQ(2, frozen_count());
	vm_advance(SECOND);
	ATF_CHECK_MSG(join_wait(none_frozen, NULL, JOIN_WAIT_MS),
	    "frozen for ever");
	ATF_CHECK(join_sysctl_becomes("dev.hvvss.0.auto_thaws", 1));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvvss.0.frozen"));
	/* The host tries three times. */
	ends(HVH_VSS_THAW, HVH_IC_FAIL);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ends(HVH_VSS_THAW, HVH_IC_OK);
	finish();
}

/* --- The device goes --- */

static void
gone(void)
{

	ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
	/* It has read that the node is gone, and has ended by itself. */
	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, 0));
}

ATF_TC_WITHOUT_HEAD(unload);
ATF_TC_BODY(unload, tc)
{
	struct join_order o;

	start(UFS_ROOT UFS_VAR, false);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_REQUIRE_EQ(0, vm_unload());
	gone();

	/* In flight: answered, or the end of the channel is the answer. */
	mounts(SLOW UFS_VAR);
	ATF_REQUIRE_EQ(0, vm_load());
	join_ic_ready(vss);
	daemon_start();
	order(&o, HVH_VSS_FREEZE);
	ATF_REQUIRE(join_wait(some_frozen, NULL, JOIN_WAIT_MS));
	ATF_REQUIRE_EQ(0, vm_unload());
	join_order_wait(&o);
	ATF_CHECK_MSG((o.r.error == 0 && o.r.status == HVH_IC_FAIL) ||
	    o.r.error == ECONNRESET, "error %d, status %#x", o.r.error,
	    o.r.status);
	go();
	gone();
	ATF_REQUIRE_EQ(0, vm_load());
	join_ic_ready(vss);
	mounts(UFS_ROOT);
	daemon_start();
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ends(HVH_VSS_THAW, HVH_IC_OK);
	finish();
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

	start(UFS_ROOT, false);
	(void)join_daemon_end(&daemon_p, SIGTERM);
	for (i = 0; i < 20; i++) {
		fm = (struct app_msg){ .type = APP_REGISTER, .version = 1 };
		ATF_CHECK(join_sysctl_becomes(FS_PROGRAM, 0));
		ATF_REQUIRE_EQ(0, kpi_dev_open(FS_NODE, 3, &fs));
		ATF_REQUIRE_EQ(0, kpi_dev_write(fs, &fm, sizeof(fm), &done));
		app_open();
		order(&o, HVH_VSS_FREEZE);
		app_read(&m, FREEZE);
		app_answer(&m, 0);
		ATF_REQUIRE_EQ(0, kpi_dev_read(fs, &fm, sizeof(fm), &done));
		fm.type = APP_ANSWER;
		ATF_REQUIRE_EQ(0, kpi_dev_write(fs, &fm, sizeof(fm), &done));
		join_order_wait(&o);
		ATF_REQUIRE_EQ(HVH_IC_OK, o.r.status);
		order(&o, HVH_VSS_THAW);
		ATF_REQUIRE_EQ(0, kpi_dev_read(fs, &fm, sizeof(fm), &done));
		thaw_late(&fm);
		join_order_wait(&o);
		ATF_CHECK(o.r.error != 0 || o.r.status == HVH_IC_FAIL);
		ATF_REQUIRE_EQ(0, kpi_dev_close(fs));
		ATF_REQUIRE_EQ(0, kpi_dev_close(app));
		ATF_REQUIRE_EQ(0, vm_load());
		join_ic_ready(vss);
	}
	daemon_start();
	finish();
}

ATF_TC_WITHOUT_HEAD(rescind);
ATF_TC_BODY(rescind, tc)
{

	start(UFS_ROOT, false);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	hvh_ic_remove(vss);
	gone();
	devbridge_stop(bridge);
	join_finish(&j);
}

ATF_TC_WITHOUT_HEAD(sleep_frozen);
ATF_TC_BODY(sleep_frozen, tc)
{

	start(UFS_ROOT, false);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	ATF_CHECK(join_wait(none_frozen, NULL, JOIN_WAIT_MS));
	ATF_REQUIRE_EQ(0, kpi_resume());
	join_ic_ready(vss);
	ends(HVH_VSS_THAW, HVH_IC_FAIL);
	ends(HVH_VSS_FREEZE, HVH_IC_OK);
	ends(HVH_VSS_THAW, HVH_IC_OK);
	finish();
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
