/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The file of a trace: disks that fill up, or do not keep up, and who reads
 * along.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atf-c.h>

#include "hvctl_run.h"
#include "trace_make.h"

ATF_TC_WITHOUT_HEAD(full_disk);
ATF_TC_BODY(full_disk, tc)
{
	struct rlimit rl = { 100000, RLIM_INFINITY };
	enum trace_got end;
	uint64_t skipped;
	int n;

	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	trace_begin("t", 0);
	for (unsigned i = 0; i < 20000; i++)
		trace_message(i, true, 4, 0, 0, 0, 240);
	for (unsigned i = 0; i < 3000 && trace_said() == 0; i++)
		usleep(10000);
	ATF_CHECK_EQ(1, trace_said());
	ATF_CHECK_STREQ("t: the trace ends here: File too large",
	    trace_last());
	/* The machine goes on, and hears no more of it. */
	for (unsigned i = 0; i < 20000; i++)
		trace_message(i, true, 4, 0, 0, 0, 240);
	tracer_close(tracer);
	ATF_CHECK_EQ(1, trace_said());
	n = trace_read_back("t", &end, &skipped);
	ATF_CHECK_EQ((100000 - 40) / 272, n);
	ATF_CHECK_EQ(TRACE_SHORT, end);
	/* Not even its head fits. */
	rl.rlim_cur = 10;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	trace_begin("u", 0);
	tracer_close(tracer);
	ATF_CHECK_EQ(2, trace_said());
}

ATF_TC_WITHOUT_HEAD(cannot_open);
ATF_TC_BODY(cannot_open, tc)
{
	char err[300];

	ATF_CHECK_EQ(ENOENT, tracer_open("no/t", 0, NULL, NULL, &tracer, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("no/t: cannot write a trace: No such file or "
	    "directory", err);
	ATF_CHECK_EQ(EINVAL, tracer_open("t", 1 << 20, NULL, NULL, &tracer, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("t: a trace keeps at most 65536 bytes of a packet",
	    err);
}

/* A disk that does not keep up costs records, and their number is known. */
static atomic_ullong drained;

static void *
drain(void *arg)
{
	char buf[65536];
	ssize_t n;
	int fd;

	fd = open("copy", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0) {
		(void)!write(fd, buf, (size_t)n);
		atomic_fetch_add(&drained, (unsigned long long)n);
	}
	close(fd);
	return (NULL);
}

/* later: there is one more record, once there is room. */
static void
check_slow(bool later)
{
	enum trace_got end;
	pthread_t thread;
	uint64_t skipped;
	char want[64];
	int fd, n;

	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	ATF_REQUIRE(fd >= 0);
	trace_begin("fifo", 0);
	for (unsigned i = 0; i < 100000; i++)
		trace_message(i, true, 4, 0, 0, 0, 240);
	fcntl(fd, F_SETFL, 0);
	atomic_store(&drained, 0);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, drain, &fd));
	if (later) {
		/* More than a buffer holds: the other one is being filled. */
		for (unsigned i = 0; atomic_load(&drained) <= 4 << 20; i++) {
			ATF_REQUIRE(i < 3000);
			usleep(10000);
		}
		trace_message(1, true, 4, 0, 0, 0, 240);
	}
	tracer_close(tracer);
	pthread_join(thread, NULL);
	close(fd);
	n = trace_read_back("copy", &end, &skipped);
	ATF_CHECK_EQ(TRACE_END, end);
	ATF_CHECK(n > 10000 && n < 100000);
	/* Each is there, or is counted; at the end with a record of its own. */
	trace_run(0, "trace copy --summary");
	snprintf(want, sizeof(want), "%d records in ", later ? n : n - 1);
	has("out", want);
	snprintf(want, sizeof(want), ", %d lost\n", 100001 - n);
	has("out", want);
	ATF_CHECK_EQ(0, trace_said());
	ATF_REQUIRE_EQ(0, unlink("fifo"));
}

ATF_TC_WITHOUT_HEAD(slow_disk);
ATF_TC_BODY(slow_disk, tc)
{

	check_slow(true);
	check_slow(false);
	trace_run(0, "trace copy");
	has("err", "records before the end were lost");
}

/* What is written can be read within about a second. */
ATF_TC_WITHOUT_HEAD(follow);
ATF_TC_BODY(follow, tc)
{
	int status;
	pid_t pid;

	trace_begin("t", 0);
	trace_message(1, true, 4, 0, 0, 0, 8);
	for (unsigned i = 0; i < 40 && hvctl_run(NULL, "trace t") != 0; i++)
		usleep(50000);
	pid = hvctl_start("trace t --follow");
	for (unsigned i = 0; i < 80 && trace_lines("out") < 1; i++)
		usleep(50000);
	ATF_CHECK_EQ(1, trace_lines("out"));
	trace_message(2, false, 16, 0, 0, 0, 8);
	for (unsigned i = 0; i < 80 && trace_lines("out") < 2; i++)
		usleep(50000);
	has("out", "UNLOAD");
	kill(pid, SIGTERM);
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	tracer_close(tracer);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, full_disk);
	ATF_TP_ADD_TC(tp, cannot_open);
	ATF_TP_ADD_TC(tp, slow_disk);
	ATF_TP_ADD_TC(tp, follow);
	return (atf_no_error());
}
