/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl as its user meets it: what it prints, what it ends with, what reaches
 * the machine.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "echo.h"
#include "guest.h"
#include "hvctl_run.h"

static struct guest g;
static struct ctl_server *s;
static char last[32];		/* what was asked of the machine */
static char err[512];
static struct ctl_disk disk;
static off_t disk_size;
static char disk_names[64];
static uint64_t hlt;

static void
op_status(void *arg, struct ctl_status *st)
{

	st->paused = true;
	st->uptime = 93784ull * 1000000000;
	snprintf(st->kernel, sizeof(st->kernel), "Linux 6.1.0");
	st->cpus = 2;
	st->nvcpus = 2;
	st->vcpu[0] = (struct ctl_vcpu){ .pc = 0xffffffff80b3c2d4,
	    .halted = true };
	st->vcpu[1] = (struct ctl_vcpu){ .pc = 0x401000, .masked = true };
	st->memory = 512ull << 20;
}

static void
op_stats(void *arg, json_t *stats)
{

	hlt += 1000;
	json_object_set_new(stats, "exits", json_pack("{s:I, s:i}", "hlt",
	    (json_int_t)hlt, "io", 5));
	json_object_set_new(stats, "vcpus", json_pack(
	    "[{s:i, s:i, s:{s:i, s:i}, s:{s:i}}]", "vcpu", 0,
	    "hypercalls_in_kvm", 9, "kvm", "exits", 4711, "hypercalls", 12,
	    "exits", "wrmsr", 7));
}

static int
op_shutdown(void *arg, bool force, char *e, size_t errlen)
{

	strcpy(last, force ? "force" : "shutdown");
	return (0);
}

#define	OP(name)							\
	static int							\
	op_##name(void *arg, char *e, size_t errlen)			\
	{								\
									\
		strcpy(last, #name);					\
		return (0);						\
	}
OP(reset)
OP(pause)
OP(resume)
OP(quit)

static int
op_disk_add(void *arg, struct ctl_disk *d, char *e, size_t errlen)
{
	struct stat sb;

	disk = *d;
	ATF_REQUIRE(d->have_fd);
	ATF_REQUIRE_EQ(0, fstat(d->fd, &sb));
	disk_size = sb.st_size;
	snprintf(disk_names, sizeof(disk_names), "%s %s", d->file,
	    d->serial != NULL ? d->serial : "-");
	if (d->lun == 5) {
		snprintf(e, errlen, "LUN 5 is taken");
		return (EEXIST);
	}
	d->lun = d->lun < 0 ? 1 : d->lun;
	close(d->fd);
	return (0);
}

static int
op_disk_remove(void *arg, unsigned controller, unsigned lun, char *e,
    size_t errlen)
{

	snprintf(last, sizeof(last), "remove %u %u", controller, lun);
	return (0);
}

/* Adapter 9 is not there; link says so, too. */
static int
op_net_add(void *arg, struct ctl_net *n, char *e, size_t errlen)
{

	ATF_REQUIRE(n->have_fd);
	snprintf(last, sizeof(last), "%s %s %u %02x", n->socket ? "socket" :
	    "tap", n->name, n->channels, n->have_mac ? n->mac[5] : 0);
	if (n->channels == 64) {
		snprintf(e, errlen, "all are there");
		return (ENOSPC);
	}
	n->adapter = 2;
	close(n->fd);
	return (0);
}

static int
op_net_remove(void *arg, unsigned adapter, char *e, size_t errlen)
{

	snprintf(last, sizeof(last), "net remove %u", adapter);
	return (0);
}

static int
op_link(void *arg, unsigned adapter, bool up, char *e, size_t errlen)
{

	snprintf(last, sizeof(last), "link %u %s", adapter, up ? "up" :
	    "down");
	if (adapter != 9)
		return (0);
	snprintf(e, errlen, "no adapter 9");
	return (ENODEV);
}

static const struct ctl_ops ops = {
	.status = op_status,
	.stats = op_stats,
	.shutdown = op_shutdown,
	.reset = op_reset,
	.pause = op_pause,
	.resume = op_resume,
	.quit = op_quit,
	.disk_add = op_disk_add,
	.disk_remove = op_disk_remove,
	.net_add = op_net_add,
	.net_remove = op_net_remove,
	.link = op_link,
};

static void
start(void)
{

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
	setenv("HVHOST_CONTROL", SOCKET, 1);
}

static void
stop(void)
{

	ctl_close(s, true);
	guest_destroy(&g);
}

/* Runs it; it ends with that status and says nothing that is not expected. */
static void
run(int status, const char *args)
{
	int got = hvctl_run(s, args);

	ATF_CHECK_MSG(status == got, "%s: %d, not %d: %s", args, got, status,
	    slurp("err"));
	if (status == 0)
		ATF_CHECK_STREQ("", slurp("err"));
}

ATF_TC_WITHOUT_HEAD(status);
ATF_TC_BODY(status, tc)
{

	start();
	run(0, "status");
	has("out", "Crash     none reported\n");
	guest_crash(&g, 1, "");
	guest_crash(&g, 0xDEAD, "panic: one\ntwo\033[2J");
	run(0, "status");
	ATF_CHECK_STREQ("State     paused\n"
	    "Uptime    1 d 2 h 3 min 4 s\n"
	    "Kernel    Linux 6.1.0\n"
	    "CPUs      2\n"
	    "CPU 0     at 0xffffffff80b3c2d4, halted\n"
	    "CPU 1     at 0x0000000000401000, interrupts off\n"
	    "Memory    512 MiB\n"
	    "VMBus     not connected\n"
	    "Guest     has not said\n"
	    "Crashes   2, the last\n"
	    "Crash     0x000000000000dead 0x0000000000000000 "
	    "0x0000000000000000 0x0000000000020000 0x0000000000000012\n"
	    "          panic: one\n"
	    "          two.[2J\n", slurp("out"));
	run(0, "--json status");
	has("out", "\"memory\": 536870912");
	run(2, "status more");
	stop();
}

ATF_TC_WITHOUT_HEAD(commands);
ATF_TC_BODY(commands, tc)
{
	static const struct {
		const char	*args, *did;
	} table[] = {
		{ "shutdown", "shutdown" }, { "shutdown --force", "force" },
		{ "reset", "reset" }, { "pause", "pause" },
		{ "resume", "resume" }, { "quit", "quit" },
		{ "disk remove 3", "remove 0 3" },
		{ "disk remove 63 --controller 2", "remove 2 63" },
		{ "net remove 3", "net remove 3" },
		{ "link up", "link 0 up" }, { "link down 1", "link 1 down" },
	};

	start();
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		run(0, table[i].args);
		ATF_CHECK_STREQ(table[i].did, last);
		ATF_CHECK_STREQ("", slurp("out"));
	}
	run(1, "link down 9");
	ATF_CHECK_STREQ("hvctl: no adapter 9\n", slurp("err"));
	run(1, "rescind 77");
	stop();
}

ATF_TC_WITHOUT_HEAD(disks);
ATF_TC_BODY(disks, tc)
{
	int fd;

	start();
	fd = open("image", O_CREAT | O_RDWR, 0600);
	ATF_REQUIRE_EQ(0, ftruncate(fd, 12345));
	close(fd);
	run(0, "disk add image");
	ATF_CHECK_STREQ("image is LUN 1 of controller 0\n", slurp("out"));
	ATF_CHECK_EQ(12345, disk_size);
	ATF_CHECK_STREQ("image -", disk_names);
	ATF_CHECK_EQ(-1, disk.lun);
	ATF_CHECK(!disk.readonly && !disk.cdrom);
	run(0, "--json disk add --lun 9 --controller 3 image --ro --serial "
	    "ABC");
	has("out", "\"lun\": 9");
	ATF_CHECK_EQ(9, disk.lun);
	ATF_CHECK_EQ(3, disk.controller);
	ATF_CHECK_STREQ("image ABC", disk_names);
	ATF_CHECK(disk.readonly);
	/* Without leave to write, only for reading. */
	ATF_REQUIRE_EQ(0, chmod("image", 0400));
	run(0, "disk add image --cdrom");
	ATF_CHECK(disk.cdrom);
	if (geteuid() != 0) {
		run(1, "disk add image");
		has("err", "image: cannot open it for reading and writing: "
		    "Permission denied");
	}
	run(1, "disk add none");
	has("err", "none: cannot open it for reading and writing: No such "
	    "file");
	run(1, "disk add image --ro --lun 5");
	ATF_CHECK_STREQ("hvctl: LUN 5 is taken\n", slurp("err"));
	run(2, "disk add image --lun 64");
	run(2, "disk add");
	run(2, "disk add image other");
	run(2, "disk remove");
	run(2, "disk remove 3 --ro");
	run(2, "disk");
	stop();
}

ATF_TC_WITHOUT_HEAD(networks);
ATF_TC_BODY(networks, tc)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = "net.sock" };
	int fd;

	start();
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ATF_REQUIRE_EQ(0, bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	ATF_REQUIRE_EQ(0, listen(fd, 8));
	run(0, "net add socket=net.sock");
	ATF_CHECK_STREQ("socket=net.sock is adapter 2\n", slurp("out"));
	ATF_CHECK_STREQ("socket net.sock 0 00", last);
	run(0, "--json net add --channels 3 socket=net.sock --mac "
	    "02:00:00:00:00:aB");
	has("out", "\"adapter\": 2");
	ATF_CHECK_STREQ("socket net.sock 3 ab", last);
	run(1, "net add socket=net.sock --channels 64");
	ATF_CHECK_STREQ("hvctl: all are there\n", slurp("err"));
	run(1, "net add socket=net.sock --mac 01:00:00:00:00:00");
	has("err", "\"mac\" is not an adapter's address");
	run(1, "net add socket=none");
	has("err", "socket=none: No such file or directory");
	run(1, "net add tap=a-name-much-too-long");
	run(2, "net add foo");
	run(2, "net add");
	run(2, "net add socket=net.sock more");
	run(2, "net remove");
	run(2, "net remove x");
	run(2, "net remove 1 --channels 2");
	run(2, "net");
	run(2, "link down up");
	run(2, "link down 1 2");
	close(fd);
	stop();
}

ATF_TC_WITHOUT_HEAD(faults);
ATF_TC_BODY(faults, tc)
{
	uint8_t m[240] = { 0 };

	start();
	run(0, "fault add post status --arg 0x0B --skip 1 --times 2");
	ATF_CHECK_EQ(0, guest_post(&g, 1, m, 8));
	ATF_CHECK_EQ(0x0B, guest_post(&g, 1, m, 8));
	ATF_CHECK_EQ(0x0B, guest_post(&g, 1, m, 8));
	ATF_CHECK_EQ(0, guest_post(&g, 1, m, 8));
	run(0, "fault count");
	has("out", "post                  2\n");
	has("out", "blk                   0\n");
	run(0, "--json fault count POST");
	has("out", "\"post\": 2");
	run(0, "fault add post drop");
	run(0, "fault clear");
	run(0, "fault add MSG-OUT delay --key VERSION_RESPONSE --arg 5ms");
	guest_synic(&g);
	m[0] = 14;
	put32(m + 8, 0x50003);
	m[16] = 2;
	ATF_REQUIRE_EQ(0, guest_post(&g, 4, m, 40));
	guest_sleep(&g, 4000000);
	guest_expect_none(&g);
	guest_sleep(&g, 1000000);
	guest_expect(&g, 15, m);
	run(0, "fault clear");
	for (unsigned i = 0; i < 32; i++)
		run(0, "fault add blk status --key 0x28 --arg EIO --times 1");
	run(1, "fault add blk drop");
	ATF_CHECK_STREQ("hvctl: there are as many faults as there may be\n",
	    slurp("err"));
	run(1, "fault add blk corrupt --len 3");
	run(1, "fault add blk call");
	run(1, "fault count nowhere");
	run(2, "fault add nowhere drop");
	has("err", "there is no point \"nowhere\"; there are msg_out,");
	run(2, "fault add blk explode");
	run(2, "fault add blk");
	run(2, "fault add blk drop --arg soon");
	run(2, "fault add blk drop --times -1");
	run(2, "fault clear --times 1");
	run(2, "fault");
	stop();
}

ATF_TC_WITHOUT_HEAD(rescind);
ATF_TC_BODY(rescind, tc)
{
	uint8_t m[240];
	char args[32];
	struct echo e;

	start();
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	snprintf(args, sizeof(args), "rescind %u", get32(m + 184));
	run(0, args);
	guest_expect(&g, 2, m);
	run(1, args);
	stop();
}

ATF_TC_WITHOUT_HEAD(stats);
ATF_TC_BODY(stats, tc)
{
	uint8_t m[240];
	struct echo e;
	uint64_t was;
	pid_t pid;
	int status;

	start();
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	run(0, "stats");
	has("out", "VMBus 5.3, 1 channels offered, 0 open, 0 GPADLs\n");
	has("out", "exits.hlt                                    1000\n");
	has("out", "messages_out                                    3\n");
	has("out", "      1 SCSI           offered      -          0 ");
	has("out", "\n      0        4711          12           9 ");
	ATF_CHECK(strstr(slurp("out"), "\033") == NULL);
	run(0, "--json stats");
	has("out", "\"hlt\": 2000");
	/* Again and again, until it is stopped. */
	pid = hvctl_start("stats --watch 0.2");
	for (unsigned i = 0; i < 600 && strstr(slurp("out"),
	    "  4000 ") == NULL; i++)
		serve(s, 50);
	kill(pid, SIGTERM);
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	/* Nothing to compare the first with. */
	has("out", "exits.hlt                                    3000"
	    "             \n");
	ATF_CHECK(strstr(slurp("out"), "exits.hlt                            "
	    "        4000 ") != NULL);
	run(2, "stats --watch fast");
	run(2, "stats --watch 0");
	run(2, "stats --watch 1 2");
	/* The machine ends while it is watched. */
	pid = hvctl_start("stats --watch 0.1");
	for (was = hlt; hlt == was;)
		serve(s, 5);
	stop();
	ATF_CHECK_EQ(3, hvctl_wait(NULL, pid));
	has("err", "ctl: there is no such socket");
}

ATF_TC_WITHOUT_HEAD(nobody);
ATF_TC_BODY(nobody, tc)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = "other" };
	char args[300];
	int fd, peer;
	pid_t pid;

	unsetenv("HVHOST_CONTROL");
	run(2, "status");
	has("err", "Name its control socket with -s or in HVHOST_CONTROL");
	run(3, "-s none status");
	ATF_CHECK_STREQ("hvctl: none: there is no such socket; is hvhost "
	    "running with --control?\n", slurp("err"));
	start();
	ctl_close(s, false);
	s = NULL;
	run(3, "status");
	ATF_CHECK_STREQ("hvctl: ctl: nobody listens there; hvhost has "
	    "ended\n", slurp("err"));
	memset(args, 'x', sizeof(args));
	memcpy(args, "-s ", 3);
	strcpy(args + 200, " status");
	run(3, args);
	/* Somebody who is no hvhost. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ATF_REQUIRE_EQ(0, bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	ATF_REQUIRE_EQ(0, listen(fd, 5));
	pid = hvctl_start("-s other status");
	peer = accept(fd, NULL, NULL);
	ATF_REQUIRE_EQ(6, write(peer, "hello\n", 6));
	ATF_CHECK_EQ(3, hvctl_wait(NULL, pid));
	has("err", "other: the answer makes no sense");
	close(peer);
	pid = hvctl_start("-s other status");
	peer = accept(fd, NULL, NULL);
	close(peer);
	ATF_CHECK_EQ(3, hvctl_wait(NULL, pid));
	has("err", "other: hvhost ended before it answered");
	close(fd);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(usage);
ATF_TC_BODY(usage, tc)
{

	setenv("HVHOST_CONTROL", "none", 1);
	run(0, "--help");
	has("out", "usage: hvctl [-s SOCKET] [--json] COMMAND");
	has("out", "for example: hvctl fault add blk status --key 0x28");
	run(2, "");
	run(2, "nonsense");
	has("err", "there is no command \"nonsense\"");
	run(2, "--nonsense status");
	run(2, "reset now");
	run(2, "link sideways");
	run(2, "rescind");
	run(2, "rescind one");
	run(2, "trace");
	run(2, "trace a b");
	run(2, "trace a --dir up");
	run(2, "trace a --follow --summary");
	run(1, "trace none");
	has("err", "none: cannot read it: No such file or directory");
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, status);
	ATF_TP_ADD_TC(tp, commands);
	ATF_TP_ADD_TC(tp, disks);
	ATF_TP_ADD_TC(tp, networks);
	ATF_TP_ADD_TC(tp, faults);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, stats);
	ATF_TP_ADD_TC(tp, nobody);
	ATF_TP_ADD_TC(tp, usage);
	return (atf_no_error());
}
