/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The program hostedvm as a user meets it: what it says when it cannot start,
 * and what a client sees when the image below it fails.
 */

#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define	MIB		(1u << 20)
#define	SIZE		(8 * MIB)
#define	NARGS		12
#define	START_MS	60000

static char buf[MIB], want[MIB];

static void
make_file(const char *name, off_t size)
{
	int fd;

	fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, ftruncate(fd, size));
	close(fd);
}

/* Starts hostedvm with the words of args, in a process group of its own. */
static pid_t
start(const char *args, const char *err)
{
	char copy[512], *argv[NARGS + 1], *p, *rest;
	unsigned n = 0;
	pid_t pid;
	int fd;

	snprintf(copy, sizeof(copy), "%s --quiet %s", HOSTEDVM, args);
	for (p = strtok_r(copy, " ", &rest); p != NULL && n < NARGS;
	    p = strtok_r(NULL, " ", &rest))
		argv[n++] = p;
	argv[n] = NULL;
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		setpgid(0, 0);
		fd = open(err, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, 2) < 0 ||
		    freopen("/dev/null", "w", stdout) == NULL)
			_exit(99);
		execv(argv[0], argv);
		_exit(99);
	}
	return (pid);
}

/* How it ended; nothing of its may be left running. */
static int
finish(pid_t pid)
{
	int status;

	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK_MSG(kill(-pid, 0) != 0 && errno == ESRCH,
	    "something still runs");
	ATF_REQUIRE_MSG(WIFEXITED(status), "ended by signal %d",
	    WTERMSIG(status));
	return (WEXITSTATUS(status));
}

/* It refuses to start: one line, in which both words stand. */
static void
refused(const char *args, const char *who, const char *why)
{
	char text[4096];
	size_t len;
	int status;
	FILE *f;

	status = finish(start(args, "stderr"));
	f = fopen("stderr", "r");
	ATF_REQUIRE(f != NULL);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	ATF_CHECK_MSG(status == 1 || status == 2, "%s: status %d: %s", args,
	    status, text);
	ATF_CHECK_MSG(len > 1 && strchr(text, '\n') == text + len - 1,
	    "%s: not one line: %s", args, text);
	ATF_CHECK_MSG(strstr(text, who) != NULL && strstr(text, why) != NULL,
	    "%s: says neither \"%s\" nor \"%s\": %s", args, who, why, text);
}

ATF_TC(files);
ATF_TC_HEAD(files, tc)
{
	atf_tc_set_md_var(tc, "descr", "an image that cannot be one: a "
	    "sentence that names it and the reason");
}
ATF_TC_BODY(files, tc)
{
	int fd;

	make_file("good.img", SIZE);
	make_file("empty.img", 0);
	make_file("odd.img", 1000);
	ATF_REQUIRE_EQ(0, mkdir("folder", 0700));
	refused("--disk none.img", "none.img", "No such file");
	refused("--disk empty.img", "empty.img", "empty");
	refused("--disk odd.img", "odd.img", "1000 bytes");
	refused("--disk folder", "folder", "directory");
	refused("--disk /dev/null", "/dev/null", "character device");
	refused("--disk good.img --cdrom none.iso", "none.iso",
	    "No such file");
	refused("--disk good.img --disk good.img", "good.img", "use");
	refused("--disk good.img --nbd none/socket", "none/socket",
	    "No such file");
	fd = open("good.img", O_RDWR);
	ATF_REQUIRE_EQ(0, flock(fd, LOCK_EX));
	refused("--disk good.img", "good.img", "use");
	close(fd);
}

ATF_TC(unreadable);
ATF_TC_HEAD(unreadable, tc)
{
	atf_tc_set_md_var(tc, "descr", "an image that may not be opened");
}
ATF_TC_BODY(unreadable, tc)
{

	if (geteuid() == 0)
		atf_tc_skip("root may open everything");
	make_file("closed.img", SIZE);
	ATF_REQUIRE_EQ(0, chmod("closed.img", 0));
	refused("--disk closed.img", "closed.img", "Permission denied");
}

ATF_TC(options);
ATF_TC_HEAD(options, tc)
{
	atf_tc_set_md_var(tc, "descr", "a wrong option: a sentence that "
	    "names it");
}
ATF_TC_BODY(options, tc)
{
	static const struct {
		const char	*args, *who, *why;
	} cases[] = {
		{ "", "--disk", "no" },
		{ "--bogus", "--bogus", "unrecognized" },
		{ "--cpus", "--cpus", "requires an argument" },
		{ "--cpus 0", "--cpus", "1 to 64" },
		{ "--cpus 65", "--cpus", "1 to 64" },
		{ "--cpus -1", "--cpus", "1 to 64" },
		{ "--cpus two", "--cpus", "two" },
		{ "--memory 1", "--memory", "64 to" },
		{ "--memory 99999999999999999999", "--memory", "64 to" },
		{ "--controllers 17", "--controllers", "1 to 16" },
		{ "--subchannels 16", "--subchannels", "0 to 15" },
		{ "--vmbus-version 5", "--vmbus-version", "not a version" },
		{ "--storvsp-version x", "--storvsp-version",
		    "not a version" },
		{ "--set name", "--set", "NAME=VALUE" },
		{ "stray --disk x", "stray", "not an option" },
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i].args, cases[i].who, cases[i].why);
}

/* --- Images that fail later --- */

static struct nbd_handle *
serve(const char *image, pid_t *pid)
{
	struct nbd_handle *nbd;
	char args[256];
	unsigned ms;

	snprintf(args, sizeof(args), "--disk %s --nbd socket", image);
	*pid = start(args, "stderr");
	/* The socket's file is there before somebody listens. */
	for (ms = 0;; ms += 10) {
		nbd = nbd_create();
		ATF_REQUIRE(nbd != NULL);
		ATF_REQUIRE_EQ(0, nbd_set_export_name(nbd, "da0"));
		if (nbd_connect_unix(nbd, "socket") == 0)
			break;
		ATF_REQUIRE_MSG(ms < START_MS, "hostedvm does not serve: %s",
		    nbd_get_error());
		nbd_close(nbd);
		usleep(10000);
	}
	memset(want, 0x5a, sizeof(want));
	/* What is acknowledged must stay. */
	ATF_REQUIRE_EQ(0, nbd_pwrite(nbd, want, MIB, 0, 0));
	ATF_REQUIRE_EQ(0, nbd_flush(nbd, 0));
	return (nbd);
}

/* The rest is served still, and it ends in order. */
static void
check_rest(struct nbd_handle *nbd, pid_t pid)
{

	memset(buf, 0, sizeof(buf));
	ATF_CHECK_EQ_MSG(0, nbd_pread(nbd, buf, MIB, 0, 0), "%s",
	    nbd_get_error());
	ATF_CHECK_EQ_MSG(0, memcmp(buf, want, MIB), "acknowledged data lost");
	nbd_close(nbd);
	ATF_REQUIRE_EQ(0, kill(pid, SIGTERM));
	ATF_CHECK_EQ(0, finish(pid));
	ATF_CHECK(access("socket", F_OK) != 0);
}

ATF_TC(network);
ATF_TC_HEAD(network, tc)
{
	atf_tc_set_md_var(tc, "descr", "an adapter without privileges, its "
	    "counters on request and at the end");
}
ATF_TC_BODY(network, tc)
{
	struct stat st;
	pid_t pid;
	int i;

	refused("--net wire", "--net", "tap=NAME");
	refused("--net user,channels=65", "--net", "channels=");
	refused("--net user,gust=x", "--net", "guest=NAME");
	refused("--net socket=none", "none", "No such file");
	pid = start("--net user,pcap=net.pcapng --net user --stats end.json",
	    "stderr");
	/* The capture's file is there once the machine is. */
	for (i = 0; i < START_MS && stat("net.pcapng", &st) != 0; i++)
		usleep(1000);
	ATF_REQUIRE(i < START_MS);
	ATF_REQUIRE_EQ(0, kill(pid, SIGUSR1));
	ATF_REQUIRE_EQ(0, kill(pid, SIGTERM));
	ATF_CHECK_EQ(0, finish(pid));
	ATF_CHECK(atf_utils_grep_file("\"hn0\"", "end.json"));
	ATF_CHECK(atf_utils_grep_file("\"hn1\"", "end.json"));
}

ATF_TC(image_shrinks);
ATF_TC_HEAD(image_shrinks, tc)
{
	atf_tc_set_md_var(tc, "descr", "the image is cut while in use: reads "
	    "behind its end fail, the rest goes on");
}
ATF_TC_BODY(image_shrinks, tc)
{
	struct nbd_handle *nbd;
	int error;
	pid_t pid;

	make_file("disk.img", SIZE);
	nbd = serve("disk.img", &pid);
	ATF_REQUIRE_EQ(0, truncate("disk.img", 2 * MIB));
	ATF_CHECK_MSG(nbd_pread(nbd, buf, 4096, 4 * MIB, 0) != 0,
	    "data from behind the end of the file");
	error = nbd_get_errno();
	/* As behind the end of a disk, which that is now. */
	ATF_CHECK_EQ_MSG(EINVAL, error, "%s", strerror(error));
	check_rest(nbd, pid);
}

ATF_TC_WITH_CLEANUP(no_space);
ATF_TC_HEAD(no_space, tc)
{
	atf_tc_set_md_var(tc, "descr", "the file system below the image fills "
	    "up: writes fail, what was acknowledged is there");
}
ATF_TC_BODY(no_space, tc)
{
	struct nbd_handle *nbd;
	unsigned i, failed = 0;
	pid_t pid;

	ATF_REQUIRE_EQ(0, mkdir("small", 0700));
	if (mount("tmpfs", "small", "tmpfs", 0, "size=3m") != 0)
		atf_tc_skip("no small file system can be mounted: %s",
		    strerror(errno));
	make_file("small/disk.img", SIZE);
	nbd = serve("small/disk.img", &pid);
	for (i = 1; i < SIZE / MIB; i++)
		if (nbd_pwrite(nbd, want, MIB, (uint64_t)i * MIB, 0) != 0)
			failed++;
	ATF_CHECK_MSG(failed >= 4, "%u writes failed", failed);
	check_rest(nbd, pid);
}
ATF_TC_CLEANUP(no_space, tc)
{

	if (umount("small") != 0 && errno != EINVAL && errno != ENOENT &&
	    errno != EPERM)
		warn("small");
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, files);
	ATF_TP_ADD_TC(tp, unreadable);
	ATF_TP_ADD_TC(tp, options);
	ATF_TP_ADD_TC(tp, network);
	ATF_TP_ADD_TC(tp, image_shrinks);
	ATF_TP_ADD_TC(tp, no_space);
	return (atf_no_error());
}
