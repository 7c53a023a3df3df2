/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Guest file copy from end to end: the host's orders, the driver, and
 * hv_fcopy_daemon as a process.  A file is there as a whole or not at all, and
 * below the one directory.
 */

#include <sys/mount.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_daemon.h"

#define	TYPE_FCOPY	7
#define	NODE		"hv_fcopy_dev"
#define	PROGRAM		"dev.hvfcopy.0.program"
#define	PART		".hv_fcopy.part"
#define	PENDING		".hv_fcopy.pending"
#define	MIB		(1u << 20)

static struct join j;
static struct hvh_ic *fcopy;
static struct devbridge *bridge;
static struct join_daemon daemon_p;

static void
prepare(struct join *jp)
{
	const struct hvh_ic_params ip = { .kind = HVH_IC_FCOPY };

	ATF_REQUIRE_EQ(0, hvh_ic_add(jp->host, &ip, &fcopy));
}

static void
daemon_start(void)
{
	static const char *const args[] = { "-r", "in", NULL };

	join_daemon_start(&daemon_p, HV_FCOPY_DAEMON, NODE, args, PROGRAM);
}

static void
start(bool virtual)
{
	struct join_config cf = { .no_disks = true, .prepare = prepare,
	    .vm.virtual_clock = virtual };

	ATF_REQUIRE_EQ(0, mkdir("in", 0755));
	join_start(&j, &cf);
	join_ic_ready(fcopy);
	bridge = join_bridge(NODE);
	daemon_start();
}

static int
no_dots(const struct dirent *de)
{

	return (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0);
}

/* How many names there are in a folder. */
static unsigned
entries(const char *path)
{
	struct dirent **name;
	int i, n;

	n = scandir(path, &name, no_dots, alphasort);
	ATF_REQUIRE_MSG(n >= 0, "%s: %s", path, strerror(errno));
	for (i = 0; i < n; i++)
		free(name[i]);
	free(name);
	return ((unsigned)n);
}

static void
finish(void)
{

	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, SIGTERM));
	ATF_CHECK_EQ_MSG(-1, access("in/" PART, F_OK), "a part is left");
	ATF_CHECK_EQ_MSG(-1, readlink("in/" PENDING, (char[1]){ 0 }, 1),
	    "a note is left");
	devbridge_stop(bridge);
	join_finish(&j);
}

/* --- Copies --- */

struct copy {
	struct hvh_fcopy_params p;
	struct join_order o;
	uint32_t	 seed;
	uint64_t	 fail_at;	/* read fails there, 0: nowhere */
	uint64_t	 hook_at;	/* called there, once */
	void		(*hook)(void);
	uint64_t	 progress;
};

static int
copy_read(void *arg, uint64_t offset, void *buf, size_t len)
{
	struct copy *c = arg;

	if (c->fail_at != 0 && offset >= c->fail_at)
		return (EIO);
	if (c->hook != NULL && offset >= c->hook_at) {
		c->hook();
		c->hook = NULL;
	}
	join_pattern(buf, len, offset, c->seed);
	return (0);
}

static void
copy_progress(void *arg, uint64_t bytes)
{
	struct copy *c = arg;

	c->progress = bytes;
}

/* errno: the library does not even begin. */
static int
copy_begin(struct copy *c, const char *path, const char *name, uint64_t size)
{

	c->p.name = name;
	c->p.path = path;
	c->p.size = size;
	c->p.read = copy_read;
	c->p.progress = copy_progress;
	c->p.arg = c;
	c->seed = (uint32_t)size + 1;
	join_order_init(&c->o);
	return (hvh_fcopy(fcopy, &c->p, join_order_done, &c->o));
}

/* How it ends: a status, or a negative error. */
static int64_t
copy(struct copy *c, const char *path, const char *name, uint64_t size)
{
	unsigned i;
	int error;

	error = copy_begin(c, path, name, size);
	if (error != 0)
		return (-error);
	for (i = 0; i < 60 && !join_order_ended(&c->o); i++)
		usleep(i * 1000);
	for (i = 0; i < 900 && !join_order_ended(&c->o); i++)
		usleep(100000);
	join_order_wait(&c->o);
	return (c->o.r.error != 0 ? -c->o.r.error : (int64_t)c->o.r.status);
}

static void
same(const char *file, uint64_t size, uint32_t seed)
{
	static char have[6144], want[6144];
	struct stat st;
	uint64_t at;
	size_t n;
	FILE *f;

	ATF_REQUIRE_EQ_MSG(0, stat(file, &st), "%s: %s", file,
	    strerror(errno));
	ATF_CHECK_EQ(size, (uint64_t)st.st_size);
	ATF_CHECK_EQ(0100644, st.st_mode);
	f = fopen(file, "re");
	ATF_REQUIRE(f != NULL);
	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(have) ? size - at : sizeof(have);
		ATF_REQUIRE_EQ(n, fread(have, 1, n, f));
		join_pattern(want, n, at, seed);
		ATF_REQUIRE_MSG(memcmp(have, want, n) == 0, "%s: differs near "
		    "%ju", file, (uintmax_t)at);
	}
	fclose(f);
}

ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	static const uint64_t size[] = { 0, 1, 6143, 6144, 6145, 3 * MIB + 7 };
	struct copy c;
	char name[32], path[64];
	unsigned i;

	start(false);
	for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		memset(&c, 0, sizeof(c));
		snprintf(name, sizeof(name), "file%u", i);
		ATF_CHECK_EQ(0, copy(&c, "/", name, size[i]));
		snprintf(path, sizeof(path), "in/%s", name);
		same(path, size[i], c.seed);
		ATF_CHECK_EQ(size[i], c.progress);
	}
	ATF_CHECK_EQ(i, entries("in"));
	ATF_CHECK_EQ(i, join_sysctl("dev.hvfcopy.0.files"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvfcopy.0.failures"));
	finish();
}

ATF_TC(large);
ATF_TC_HEAD(large, tc)
{
	atf_tc_set_md_var(tc, "descr", "256 MiB, with the SHA-256 that they "
	    "had at the host");
}
ATF_TC_BODY(large, tc)
{
	struct copy c = { 0 };
	static char buf[6144];
	struct timespec a, b;
	uint64_t at;
	FILE *f;

	start(false);
	clock_gettime(CLOCK_MONOTONIC, &a);
	c.p.create_path = true;
	ATF_CHECK_EQ(0, copy(&c, "/big", "disk.img", 256 * MIB));
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("256 MiB in %.1f s\n", (double)(b.tv_sec - a.tv_sec) +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	f = popen("sha256sum | cut -d ' ' -f 1 >want", "we");
	ATF_REQUIRE(f != NULL);
	for (at = 0; at < 256 * MIB; at += 4096) {
		join_pattern(buf, 4096, at, c.seed);
		ATF_REQUIRE_EQ(4096, fwrite(buf, 1, 4096, f));
	}
	ATF_REQUIRE_EQ(0, pclose(f));
	ATF_CHECK_EQ(0, system("sha256sum <in/big/disk.img | "
	    "cut -d ' ' -f 1 | cmp - want"));
	finish();
}

ATF_TC_WITHOUT_HEAD(flags);
ATF_TC_BODY(flags, tc)
{
	struct copy c = { 0 };
	uint32_t first;

	start(false);
	/* A folder that is not there. */
	ATF_CHECK_EQ(HVH_IC_FAIL, copy(&c, "/a/b", "f", 100));
	ATF_CHECK_EQ(0, entries("in"));
	c.p.create_path = true;
	ATF_CHECK_EQ(0, copy(&c, "/a/b", "f", 100));
	same("in/a/b/f", 100, c.seed);
	/* With the other slash, and both as Windows has them. */
	ATF_CHECK_EQ(0, copy(&c, "a\\c\\", "f", 100));
	same("in/a/c/f", 100, c.seed);
	/* A file that is there already. */
	first = c.seed;
	ATF_CHECK_EQ(HVH_IC_EXISTS, copy(&c, "a/c", "f", 200));
	same("in/a/c/f", 100, first);
	c.p.overwrite = true;
	ATF_CHECK_EQ(0, copy(&c, "a/c", "f", 200));
	same("in/a/c/f", 200, c.seed);
	/* A folder in its place. */
	ATF_CHECK_EQ(HVH_IC_FAIL, copy(&c, "a", "c", 200));
	same("in/a/c/f", 200, c.seed);
	ATF_CHECK_EQ(2, entries("in/a"));
	ATF_CHECK_EQ(1, entries("in/a/c"));
	finish();
}

/* Somebody else makes the file while it is being copied. */
static void
make_target(void)
{

	(void)close(open("in/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

ATF_TC_WITHOUT_HEAD(meanwhile);
ATF_TC_BODY(meanwhile, tc)
{
	struct copy c = { .hook = make_target, .hook_at = 10000 };
	struct stat st;

	start(false);
	ATF_CHECK_EQ(HVH_IC_EXISTS, copy(&c, "/", "f", 20000));
	ATF_REQUIRE_EQ(0, stat("in/f", &st));
	ATF_CHECK_EQ(0, st.st_size);
	ATF_CHECK_EQ(1, entries("in"));
	c.p.overwrite = true;
	ATF_CHECK_EQ(0, copy(&c, "/", "f", 20000));
	same("in/f", 20000, c.seed);
	finish();
}

/* Nothing comes to be outside of the directory. */
ATF_TC_WITHOUT_HEAD(names);
ATF_TC_BODY(names, tc)
{
	static const struct {
		const char	*path, *name, *file;	/* NULL: refused */
	} n[] = {
		{ "/", "../escaped", NULL },
		{ "..", "escaped", NULL },
		{ "/a/../..", "escaped", NULL },
		{ "a\\..\\..", "escaped", NULL },
		{ "/", "..", NULL },
		{ "/", ".", NULL },
		{ "/", "", NULL },
		{ "/a", "/", NULL },
		{ "/", "tab\there", NULL },
		{ "/", "line\nhere", NULL },
		{ "/", PART, NULL },
		{ "/" PENDING, "f", NULL },
		{ "/link", "f", NULL },
		{ "/link/deeper", "f", NULL },
		{ "/", "linkfile", NULL },
		{ "/", "...", "in/..." },
		{ "/etc", "passwd", "in/etc/passwd" },
		{ "//etc///x/", "//y", "in/etc/x/y" },
		{ "./.", "./dot", "in/dot" },
		{ "/", "sub/name", "in/sub/name" },
		{ "", "plain", "in/plain" },
		{ "/", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
		    "in/gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80" },
	};
	struct copy c;
	struct stat st;
	char longer[301], name[256], path[300];
	unsigned i;

	start(false);
	ATF_REQUIRE_EQ(0, mkdir("outside", 0755));
	ATF_REQUIRE_EQ(0, symlink("../outside", "in/link"));
	ATF_REQUIRE_EQ(0, symlink("../outside/made", "in/linkfile"));
	for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		memset(&c, 0, sizeof(c));
		c.p.create_path = c.p.overwrite = true;
		if (n[i].file == NULL)
			ATF_CHECK_MSG(copy(&c, n[i].path, n[i].name, 10) != 0,
			    "%s and %s were taken", n[i].path, n[i].name);
		else {
			ATF_CHECK_EQ_MSG(0, copy(&c, n[i].path, n[i].name, 10),
			    "%s and %s: %#x: %s", n[i].path, n[i].name,
			    c.o.r.status, join_daemon_log(&daemon_p));
			same(n[i].file, 10, c.seed);
		}
	}
	/* As long as it can be, and one more. */
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	memset(&c, 0, sizeof(c));
	ATF_CHECK_EQ(0, copy(&c, "/", name, 10));
	snprintf(path, sizeof(path), "in/%s", name);
	same(path, 10, c.seed);
	/* 255 units, but more bytes. */
	memcpy(name + 253, "\xc3\xbc", 2);
	ATF_CHECK_EQ(0, copy(&c, "/", name, 10));
	for (i = 0; i < 150; i++)
		memcpy(longer + 2 * i, "\xc3\xbc", 2);
	longer[300] = '\0';
	ATF_CHECK_EQ(HVH_IC_INVALID, copy(&c, "/", longer, 10));
	ATF_CHECK_EQ(0, entries("outside"));
	ATF_CHECK_EQ(-1, access("escaped", F_OK));
	ATF_CHECK_EQ(0, lstat("in/linkfile", &st));
	ATF_CHECK(S_ISLNK(st.st_mode));
	finish();
}

/* --- Raw messages --- */

struct fcopy_hdr {
	uint32_t	 op;
	uint8_t		 ids[32];
};

static union {
	struct fcopy_hdr hdr;
	uint8_t		 byte[6196];
} msg;

static void
put64(unsigned at, uint64_t v)
{

	memcpy(&msg.byte[at], &v, sizeof(v));
}

static void
put32(unsigned at, uint32_t v)
{

	memcpy(&msg.byte[at], &v, sizeof(v));
}

static int64_t
say(size_t len)
{
	struct join_order o;

	return (join_ic_raw(fcopy, TYPE_FCOPY, &msg, len, &o));
}

/* START of a file "f", which may be there. */
static int64_t
say_start(uint64_t size)
{

	memset(&msg, 0, sizeof(msg));
	msg.byte[36] = 'f';
	msg.byte[556] = '/';
	put32(1076, 1);
	put64(1080, size);
	return (say(1088));
}

static int64_t
say_write(uint64_t offset, uint32_t size, size_t len)
{

	memset(&msg, 0, sizeof(msg));
	put32(0, 1);
	put64(40, offset);
	put32(48, size);
	return (say(len));
}

static int64_t
say_op(uint32_t op)
{

	memset(&msg, 0, sizeof(msg));
	put32(0, op);
	return (say(36));
}

#define	COMPLETE	2
#define	CANCEL		3

ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	unsigned i;

	start(false);
	/* Lengths. */
	memset(&msg, 0, sizeof(msg));
	ATF_CHECK_EQ(HVH_IC_INVALID, say(0));
	ATF_CHECK_EQ(HVH_IC_INVALID, say(35));
	ATF_CHECK_EQ(HVH_IC_INVALID, say(1087));
	for (i = 4; i < 300; i += 97)
		ATF_CHECK_EQ(HVH_IC_INVALID, say_op(i));
	/* Without a file. */
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(0, 10, 62));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_op(COMPLETE));
	ATF_CHECK_EQ(HVH_IC_OK, say_op(CANCEL));
	/* Names without an end, and what is no UTF-16. */
	memset(&msg, 0, sizeof(msg));
	memset(&msg.byte[36], 'x', 520);
	ATF_CHECK_EQ(HVH_IC_INVALID, say(1088));
	memset(&msg, 0, sizeof(msg));
	memset(&msg.byte[556], 'x', 520);
	ATF_CHECK_EQ(HVH_IC_INVALID, say(1088));
	memset(&msg, 0, sizeof(msg));
	memcpy(&msg.byte[36], "\x3d\xd8\x3d\xd8", 4);
	ATF_CHECK_EQ(HVH_IC_INVALID, say(1088));
	memcpy(&msg.byte[36], "\x00\xde\0\0", 4);
	ATF_CHECK_EQ(HVH_IC_INVALID, say(1088));
	ATF_CHECK_EQ(0, entries("in"));
	/* More than there is room for. */
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, say_start(UINT64_MAX));
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, say_start(INT64_MAX));
	ATF_CHECK_EQ(0, entries("in"));
	/* Offsets and sizes; each ends the file. */
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	ATF_CHECK_EQ(2, entries("in"));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(50, 50, 102));
	ATF_CHECK_EQ(0, entries("in"));
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(0, 101, 153));
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(UINT64_MAX, 2, 54));
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	ATF_CHECK_EQ(HVH_IC_OK, say_write(0, 50, 102));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_op(COMPLETE));
	ATF_CHECK_EQ(0, entries("in"));
	/* What the kernel refuses changes nothing; what came may come again. */
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	ATF_CHECK_EQ(HVH_IC_OK, say_write(0, 60, 112));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(60, 41, 92));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(60, 6145, 6196));
	ATF_CHECK_EQ(HVH_IC_INVALID, say_write(60, UINT32_MAX, 92));
	ATF_CHECK_EQ(HVH_IC_OK, say_write(40, 20, 72));
	ATF_CHECK_EQ(HVH_IC_OK, say_write(60, 40, 6196));
	ATF_CHECK_EQ(HVH_IC_OK, say_op(COMPLETE));
	ATF_CHECK_EQ(1, entries("in"));
	finish();
}

/* --- Ends before the end --- */

ATF_TC_WITHOUT_HEAD(cancel);
ATF_TC_BODY(cancel, tc)
{
	struct copy c = { .fail_at = 30000 };

	start(false);
	ATF_CHECK_EQ(-EIO, copy(&c, "/", "f", MIB));
	ATF_CHECK_EQ(0, entries("in"));
	/* Begun anew without an end of the first. */
	ATF_CHECK_EQ(HVH_IC_OK, say_start(100));
	c.fail_at = 0;
	ATF_CHECK_EQ(0, copy(&c, "/", "f", 5000));
	same("in/f", 5000, c.seed);
	ATF_CHECK_EQ(1, entries("in"));
	finish();
}

static void
kill_daemon(void)
{

	(void)kill(daemon_p.pid, SIGKILL);
}

/* At each step: begun, amid the data, before the end. */
ATF_TC_WITHOUT_HEAD(killed);
ATF_TC_BODY(killed, tc)
{
	static const uint64_t at[] = { 1, 100000, 290000 };
	struct copy c;
	unsigned i;

	start(false);
	for (i = 0; i < 3; i++) {
		memset(&c, 0, sizeof(c));
		c.p.create_path = true;
		c.hook = kill_daemon;
		c.hook_at = at[i];
		ATF_CHECK_MSG(copy(&c, "/deep/er", "f", 300000) != 0,
		    "copied without a daemon");
		(void)join_daemon_end(&daemon_p, SIGKILL);
		ATF_CHECK(join_sysctl_becomes(PROGRAM, 0));
		memset(&c, 0, sizeof(c));
		ATF_CHECK_EQ(HVH_IC_NOT_CONNECTED, copy(&c, "/", "g", 10));
		/* The next one removes what the first has left. */
		daemon_start();
		ATF_CHECK_EQ(-1, access("in/deep/er/" PART, F_OK));
		ATF_CHECK_EQ(1, entries("in"));
		ATF_CHECK_EQ_MSG(0, entries("in/deep/er"), "a part is left");
		memset(&c, 0, sizeof(c));
		ATF_CHECK_EQ(0, copy(&c, "/deep/er", "f", 300000));
		same("in/deep/er/f", 300000, c.seed);
		ATF_REQUIRE_EQ(0, unlink("in/deep/er/f"));
	}
	/* A note that somebody else has made leads nowhere. */
	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, SIGTERM));
	ATF_CHECK(join_sysctl_becomes(PROGRAM, 0));
	ATF_REQUIRE_EQ(0, close(open(PART, O_CREAT | O_WRONLY, 0600)));
	ATF_REQUIRE_EQ(0, symlink("../" PART, "in/" PENDING));
	daemon_start();
	ATF_CHECK_EQ(0, access(PART, F_OK));
	memset(&c, 0, sizeof(c));
	ATF_CHECK_EQ(0, copy(&c, "/", "f", 10));
	finish();
}

#define	SECOND	1000000000ull

ATF_TC_WITHOUT_HEAD(silent);
ATF_TC_BODY(silent, tc)
{
	struct copy c = { 0 };
	unsigned i;

	start(true);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvfcopy.0.timeout", "1"));
	ATF_REQUIRE_EQ(0, kill(daemon_p.pid, SIGSTOP));
	ATF_REQUIRE_EQ(0, copy_begin(&c, "/", "f", 10000));
	for (i = 0; i < 100 && !join_order_ended(&c.o); i++)
		vm_advance(SECOND / 10);
	join_order_wait(&c.o);
	ATF_CHECK_EQ(0, c.o.r.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, c.o.r.status);
	ATF_CHECK(join_sysctl("dev.hvfcopy.0.timeouts") > 0);
	ATF_REQUIRE_EQ(0, kill(daemon_p.pid, SIGCONT));
	/* It catches up, and then all is as before. */
	for (i = 0; i < 100 && copy(&c, "/", "g", 10000) != 0; i++)
		usleep(10000);
	same("in/g", 10000, c.seed);
	ATF_CHECK_EQ(1, entries("in"));
	finish();
}

ATF_TC_WITHOUT_HEAD(unload);
ATF_TC_BODY(unload, tc)
{
	struct copy c = { 0 };

	start(false);
	ATF_REQUIRE_EQ(0, copy_begin(&c, "/", "f", 64 * MIB));
	while (join_sysctl("dev.hvfcopy.0.bytes") < 100000)
		usleep(1000);
	ATF_REQUIRE_EQ(0, vm_unload());
	join_order_wait(&c.o);
	ATF_CHECK(c.o.r.error != 0 || c.o.r.status != 0);
	/* It has read that the node is gone, and has ended by itself. */
	ATF_CHECK_EQ(0, join_daemon_end(&daemon_p, 0));
	ATF_CHECK_EQ(0, entries("in"));
	ATF_REQUIRE_EQ(0, vm_load());
	join_ic_ready(fcopy);
	daemon_start();
	memset(&c, 0, sizeof(c));
	ATF_CHECK_EQ(0, copy(&c, "/", "f", 10000));
	same("in/f", 10000, c.seed);
	finish();
}

/* A disk of its own for the directory; only root can make one. */
ATF_TC_WITHOUT_HEAD(full);
ATF_TC_BODY(full, tc)
{
	struct copy c = { .p.overwrite = true };
	uint32_t first;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		atf_tc_skip("no mount namespace: %s", strerror(errno));
	ATF_REQUIRE_EQ(0, mkdir("in", 0755));
	if (mount("tmpfs", "in", "tmpfs", 0, "size=4m") != 0)
		atf_tc_skip("no tmpfs: %s", strerror(errno));
	ATF_REQUIRE_EQ(0, chdir("in"));
	start(false);
	ATF_CHECK_EQ(0, copy(&c, "/", "f", MIB));
	first = c.seed;
	/* Seen at the start, and found out amid the data. */
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, copy(&c, "/", "f", 8 * MIB));
	ATF_CHECK_EQ(HVH_IC_OK, say_start(2 * MIB));
	ATF_CHECK_EQ(HVH_IC_OK, say_op(CANCEL));
	ATF_REQUIRE_EQ(0, system("dd if=/dev/zero of=filler bs=1M count=2 "
	    "2>/dev/null"));
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, copy(&c, "/", "f", 2 * MIB));
	same("in/f", MIB, first);
	ATF_CHECK_EQ(1, entries("in"));
	finish();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, large);
	ATF_TP_ADD_TC(tp, flags);
	ATF_TP_ADD_TC(tp, meanwhile);
	ATF_TP_ADD_TC(tp, names);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, cancel);
	ATF_TP_ADD_TC(tp, killed);
	ATF_TP_ADD_TC(tp, silent);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, full);
	return (atf_no_error());
}
