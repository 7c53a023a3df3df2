/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's server: its protocol, what a client may do to it
 * without harm to others, and its file.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
static char err[512];
static unsigned calls;
static bool forced;
static struct ctl_disk disk;
static struct stat disk_sb;
static int refuse;

static void
op_status(void *arg, struct ctl_status *st)
{

	st->cpus = 4;
	st->os_id = 0x8200000000000000ull | 1500068ull << 16;
}

static int
op_shutdown(void *arg, bool force, char *e, size_t errlen)
{

	calls++;
	forced = force;
	return (0);
}

static int
op_pause(void *arg, char *e, size_t errlen)
{

	/* Names of files may come back. */
	snprintf(e, errlen, "not \xC0\"now\"");
	return (EBUSY);
}

static int
op_resume(void *arg, char *e, size_t errlen)
{

	return (EALREADY);
}

static int
op_disk_add(void *arg, struct ctl_disk *d, char *e, size_t errlen)
{

	calls++;
	disk = *d;
	disk.file = disk.serial = NULL;
	if (d->have_fd)
		ATF_REQUIRE_EQ(0, fstat(d->fd, &disk_sb));
	if (refuse != 0)
		return (refuse);
	d->lun = d->lun < 0 ? 7 : d->lun;
	if (d->have_fd)
		close(d->fd);
	return (0);
}

static const struct ctl_ops ops = {
	.status = op_status,
	.shutdown = op_shutdown,
	.pause = op_pause,
	.resume = op_resume,
	.disk_add = op_disk_add,
};

static void
start(void)
{

	guest_create(&g, NULL);
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
}

static void
stop(void)
{

	ctl_close(s, true);
	guest_destroy(&g);
}

static int
join(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = SOCKET };
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	ctl_poll(s);
	return (fd);
}

/* All of it, serving while the socket is full. */
static void
say(int fd, const void *text, size_t len)
{
	ssize_t n;

	for (unsigned i = 0; len > 0; i++) {
		ATF_REQUIRE(i < 10000);
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return;		/* hung up */
		if (n > 0) {
			text = (const char *)text + n;
			len -= (size_t)n;
		}
		ctl_poll(s);
	}
	ctl_poll(s);
}

static void
say_text(int fd, const char *text)
{

	say(fd, text, strlen(text));
}

/* The next line that comes, without its newline; "": the end. */
static const char *
hear(int fd)
{
	static char line[1 << 20];
	size_t n = 0;
	ssize_t got;

	for (unsigned i = 0; i < 200 && n < sizeof(line) - 1; i++) {
		got = recv(fd, line + n, 1, 0);
		if (got == 1 && line[n] == '\n')
			break;
		if (got == 1) {
			n++;
			i = 0;
		} else if (got == 0 || errno != EAGAIN) {
			break;
		} else {
			serve(s, 2);
		}
	}
	line[n] = '\0';
	return (line);
}

static const char *
ask(int fd, const char *line)
{

	say_text(fd, line);
	say_text(fd, "\n");
	return (hear(fd));
}

/* A whole conversation, and its answer. */
static void
expect(const char *line, const char *answer)
{
	int fd = join();
	const char *got = ask(fd, line);

	ATF_CHECK_MSG(strcmp(answer, got) == 0, "%s: %s, not %s", line, got,
	    answer);
	close(fd);
	ctl_poll(s);
}

static unsigned
open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return (n);
}

static void
pass(int fd, const char *text, const int *fds, unsigned nfds)
{
	char control[CMSG_SPACE(8 * sizeof(int))]
	    __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = CMSG_SPACE(nfds * sizeof(int)) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
	ATF_REQUIRE_EQ((ssize_t)iov.iov_len, sendmsg(fd, &mh, 0));
	ctl_poll(s);
}

ATF_TC_WITHOUT_HEAD(protocol);
ATF_TC_BODY(protocol, tc)
{
	int fd;

	start();
	expect("{\"cmd\":\"shutdown\"}", "{\"id\":null,\"ok\":true,"
	    "\"result\":{}}");
	ATF_CHECK_EQ(1, calls);
	ATF_CHECK(!forced);
	expect("{\"id\":[1,{\"a\":2}],\"cmd\":\"shutdown\",\"force\":true}",
	    "{\"id\":[1,{\"a\":2}],\"ok\":true,\"result\":{}}");
	ATF_CHECK(forced);
	expect("{\"id\":\"x\",\"cmd\":\"pause\"}", "{\"id\":\"x\","
	    "\"ok\":false,\"error\":\"not ?\\\"now\\\"\"}");
	expect("{\"cmd\":\"resume\"}", "{\"id\":null,\"ok\":false,\"error\":"
	    "\"Operation already in progress\"}");
	expect("{\"cmd\":\"reset\"}", "{\"id\":null,\"ok\":false,\"error\":"
	    "\"this machine cannot do that\"}");
	expect("{\"cmd\":\"nonsense\"}", "{\"id\":null,\"ok\":false,"
	    "\"error\":\"there is no such command\"}");
	expect("{\"id\":7}", "{\"id\":7,\"ok\":false,\"error\":"
	    "\"\\\"cmd\\\" is missing\"}");
	expect("{\"cmd\":7}", "{\"id\":null,\"ok\":false,\"error\":"
	    "\"\\\"cmd\\\" is not a string\"}");
	expect("{\"cmd\":\"shutdown\",\"forse\":true}", "{\"id\":null,"
	    "\"ok\":false,\"error\":\"\\\"forse\\\" is unknown here\"}");
	expect("{\"cmd\":\"shutdown\",\"force\":1}", "{\"id\":null,"
	    "\"ok\":false,\"error\":"
	    "\"\\\"force\\\" is neither true nor false\"}");
	ATF_CHECK_EQ(2, calls);
	expect("{\"cmd\":\"link\",\"state\":\"down\"}", "{\"id\":null,"
	    "\"ok\":false,\"error\":\"this machine has no network adapter\"}");
	expect("{\"cmd\":\"rescind\",\"channel\":9}", "{\"id\":null,"
	    "\"ok\":false,\"error\":\"channel 9 is not the first channel of "
	    "a device\"}");
	expect("{\"cmd\":\"rescind\",\"channel\":-1}", "{\"id\":null,"
	    "\"ok\":false,\"error\":\"\\\"channel\\\" is not a number from 0 "
	    "to 4294967295\"}");

	/* Several at once, in pieces, and one by one. */
	fd = join();
	say_text(fd, "\n\n{\"cmd\":\"shutdown\",\"id\":1}\n"
	    "{\"cmd\":\"shut");
	ATF_CHECK_STREQ("{\"id\":1,\"ok\":true,\"result\":{}}", hear(fd));
	for (const char *p = "down\",\"id\":2}\n"; *p != '\0'; p++)
		say(fd, p, 1);
	ATF_CHECK_STREQ("{\"id\":2,\"ok\":true,\"result\":{}}", hear(fd));
	/* The last one without its newline. */
	say_text(fd, "{\"cmd\":\"shutdown\",\"id\":3}");
	ATF_REQUIRE_EQ(0, shutdown(fd, SHUT_WR));
	ATF_CHECK_STREQ("{\"id\":3,\"ok\":true,\"result\":{}}", hear(fd));
	ATF_CHECK_STREQ("", hear(fd));
	close(fd);
	stop();
}

ATF_TC_WITHOUT_HEAD(malformed);
ATF_TC_BODY(malformed, tc)
{
	static const char bad[] = "{\"id\":null,\"ok\":false,\"error\":"
	    "\"the line is not a JSON object\"}";
	static const char long_one[] = "{\"id\":null,\"ok\":false,\"error\":"
	    "\"the line is too long\"}";
	static const char *const lines[] = { "x", "[]", "7", "{", "null",
	    "{\"a\":1,\"a\":2}", "{\"cmd\":\"\xFF\"}", "{} {}",
	    "{\"cmd\":\"\\u0000\"}", "{\"n\":99999999999999999999}" };
	char *deep;
	int fd;

	start();
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect(lines[i], bad);
	fd = join();
	say(fd, "{\"cmd\"\0:\"status\"}\n", 18);
	say(fd, "\0\0\n", 3);
	ATF_CHECK_STREQ(bad, hear(fd));
	ATF_CHECK_STREQ(bad, hear(fd));
	close(fd);

	/* Nested to the end of a line, in the request and in its id. */
	deep = malloc(CTL_LINE_MAX * 2);
	ATF_REQUIRE(deep != NULL);
	memset(deep, '[', CTL_LINE_MAX - 2);
	deep[CTL_LINE_MAX - 2] = '\0';
	expect(deep, bad);
	memcpy(deep, "{\"id\":", 6);
	expect(deep, bad);
	for (unsigned n = 500; n < 2100; n += 100) {
		char *p = deep + 6;

		memset(p, '[', n);
		memset(p + n, ']', n);
		strcpy(p + 2 * n, ",\"cmd\":\"shutdown\"}");
		fd = join();
		ATF_CHECK(ask(fd, deep)[0] == '{');
		close(fd);
		ctl_poll(s);
	}

	/* Longer than a line may be: told so, then hung up. */
	memset(deep, ' ', CTL_LINE_MAX * 2);
	fd = join();
	say(fd, deep, CTL_LINE_MAX * 2);
	ATF_CHECK_STREQ(long_one, hear(fd));
	ATF_CHECK_STREQ("", hear(fd));
	close(fd);
	memcpy(deep, "{\"cmd\":\"shutdown\"}", 18);
	deep[CTL_LINE_MAX - 1] = '\0';
	expect(deep, "{\"id\":null,\"ok\":true,\"result\":{}}");
	free(deep);
	stop();
}

/* What a guest chose to say cannot break the answer. */
ATF_TC_WITHOUT_HEAD(status);
ATF_TC_BODY(status, tc)
{
	json_t *crash, *r, *v;
	int fd;

	start();
	guest_crash(&g, 1, "first");
	guest_crash(&g, UINT64_MAX, "bad \xFF\x01\"page");
	fd = join();
	v = json_loads(ask(fd, "{\"cmd\":\"status\"}"), 0, NULL);
	r = json_object_get(v, "result");
	ATF_REQUIRE(r != NULL);
	ATF_CHECK_STREQ("running",
	    json_string_value(json_object_get(r, "state")));
	ATF_CHECK_EQ(4, json_integer_value(json_object_get(r, "cpus")));
	ATF_CHECK(json_is_null(json_object_get(r, "vmbus")));
	ATF_CHECK_STREQ("FreeBSD 15.0",
	    json_string_value(json_object_get(r, "guest_os")));
	crash = json_object_get(r, "crash");
	ATF_CHECK_EQ(2, json_integer_value(json_object_get(crash, "count")));
	ATF_CHECK(json_is_true(json_object_get(crash, "dump")));
	ATF_CHECK_STREQ("bad ..\"page",
	    json_string_value(json_object_get(crash, "text")));
	ATF_CHECK_STREQ("0xffffffffffffffff",
	    json_string_value(json_array_get(json_object_get(crash, "params"),
	    0)));
	json_decref(v);
	close(fd);
	stop();
}

ATF_TC_WITHOUT_HEAD(stats);
ATF_TC_BODY(stats, tc)
{
	json_t *ch, *r, *v;
	struct echo e;
	uint8_t m[240];
	int fd;

	start();
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	fd = join();
	v = json_loads(ask(fd, "{\"cmd\":\"stats\"}"), 0, NULL);
	r = json_object_get(v, "result");
	ATF_CHECK_STREQ("5.3", json_string_value(json_object_get(
	    json_object_get(r, "vmbus"), "version")));
	ATF_CHECK_EQ(3, json_integer_value(json_object_get(
	    json_object_get(r, "host"), "messages_out")));
	ATF_REQUIRE_EQ(1, json_array_size(json_object_get(r, "channels")));
	ch = json_array_get(json_object_get(r, "channels"), 0);
	ATF_CHECK_EQ(get32(m + 184),
	    json_integer_value(json_object_get(ch, "channel")));
	ATF_CHECK_STREQ("SCSI",
	    json_string_value(json_object_get(ch, "device")));
	ATF_CHECK_STREQ("offered",
	    json_string_value(json_object_get(ch, "state")));
	ATF_CHECK(json_is_null(json_object_get(ch, "vp")));
	json_decref(v);
	close(fd);
	stop();
}

/* Who does not read is dropped, and meanwhile nobody else notices. */
ATF_TC_WITHOUT_HEAD(slow_client);
ATF_TC_BODY(slow_client, tc)
{
	static const char line[] = "{\"cmd\":\"status\"}\n";
	unsigned sent = 0;
	int fd, other;

	start();
	fd = join();
	other = join();
	for (;;) {
		ATF_REQUIRE(sent < 1000000);
		if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN)
				break;
		} else {
			sent++;
		}
		ctl_poll(s);
	}
	/* Not at the first chance either. */
	ATF_CHECK(sent > 1000);
	ATF_CHECK_STREQ("{\"id\":1,\"ok\":true,\"result\":{}}",
	    ask(other, "{\"id\":1,\"cmd\":\"shutdown\"}"));
	close(fd);
	close(other);
	stop();
}

ATF_TC_WITHOUT_HEAD(many_clients);
ATF_TC_BODY(many_clients, tc)
{
	int fd[CTL_CLIENTS], more;

	start();
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		fd[i] = join();
	more = join();
	ATF_CHECK_STREQ("{\"id\":null,\"ok\":false,\"error\":"
	    "\"there are too many clients\"}", hear(more));
	ATF_CHECK_STREQ("", hear(more));
	close(more);
	ATF_CHECK_STREQ("{\"id\":1,\"ok\":true,\"result\":{}}",
	    ask(fd[3], "{\"id\":1,\"cmd\":\"shutdown\"}"));
	close(fd[0]);
	ctl_poll(s);
	more = join();
	ATF_CHECK_STREQ("{\"id\":1,\"ok\":true,\"result\":{}}",
	    ask(more, "{\"id\":1,\"cmd\":\"shutdown\"}"));
	close(more);
	for (unsigned i = 1; i < CTL_CLIENTS; i++)
		close(fd[i]);
	stop();
}

/* Hanging up at any moment. */
ATF_TC_WITHOUT_HEAD(hang_up);
ATF_TC_BODY(hang_up, tc)
{
	static const char line[] = "{\"cmd\":\"stats\"}\n";
	unsigned before;
	int fd;

	start();
	before = open_files();
	for (unsigned i = 0; i <= sizeof(line) - 1; i++) {
		fd = join();
		ATF_REQUIRE_EQ((ssize_t)i, send(fd, line, i, 0));
		if (i % 2 == 0)
			ctl_poll(s);
		close(fd);
		serve(s, 2);
	}
	ATF_CHECK_EQ(before, open_files());
	stop();
}

/* A process that was forked just then has the connection, too, for a while. */
ATF_TC_WITHOUT_HEAD(forked);
ATF_TC_BODY(forked, tc)
{
	struct pollfd pf;
	pid_t pid;
	int fd;

	start();
	fd = join();
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(30);
		pause();
		_exit(0);
	}
	/* The child has this end, too: closing it alone ends nothing. */
	shutdown(fd, SHUT_WR);
	close(fd);
	serve(s, 20);
	pf = (struct pollfd){ .fd = ctl_fd(s), .events = POLLIN };
	ATF_CHECK_EQ_MSG(0, poll(&pf, 1, 0), "a client that is gone is heard");
	fd = join();
	ATF_CHECK_STREQ("{\"id\":1,\"ok\":true,\"result\":{}}",
	    ask(fd, "{\"id\":1,\"cmd\":\"shutdown\"}"));
	close(fd);
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	stop();
}

ATF_TC_WITHOUT_HEAD(descriptors);
ATF_TC_BODY(descriptors, tc)
{
	int fd, many[8];
	unsigned before;
	struct stat sb;

	start();
	many[0] = open("image", O_RDWR | O_CREAT, 0600);
	ATF_REQUIRE(many[0] >= 0);
	ATF_REQUIRE_EQ(0, fstat(many[0], &sb));
	for (unsigned i = 1; i < 8; i++)
		many[i] = dup(i % 2 == 0 ? many[0] : 1);
	fd = join();
	before = open_files();
	pass(fd, "{\"cmd\":\"disk-add\",\"file\":\"x\",\"lun\":3,"
	    "\"ro\":true}\n", many, 1);
	ATF_CHECK_STREQ("{\"id\":null,\"ok\":true,\"result\":"
	    "{\"controller\":0,\"lun\":3}}", hear(fd));
	ATF_CHECK(disk.have_fd && disk.readonly && !disk.cdrom);
	ATF_CHECK_EQ(sb.st_ino, disk_sb.st_ino);
	ATF_CHECK_EQ(before, open_files());
	/* It was for that command only. */
	ATF_CHECK(strstr(ask(fd, "{\"cmd\":\"disk-add\",\"file\":\"x\"}"),
	    "\"lun\":7") != NULL);
	ATF_CHECK(!disk.have_fd);
	/* Refused by the machine, or before it was asked. */
	refuse = EIO;
	pass(fd, "{\"cmd\":\"disk-add\",\"file\":\"x\"}\n", many, 1);
	ATF_CHECK_STREQ("{\"id\":null,\"ok\":false,\"error\":"
	    "\"Input/output error\"}", hear(fd));
	ATF_CHECK_EQ(before, open_files());
	pass(fd, "{\"cmd\":\"disk-add\",\"lun\":64}\n", many, 1);
	ATF_CHECK(strstr(hear(fd), "\\\"lun\\\" is not a number from 0 to 63")
	    != NULL);
	ATF_CHECK_EQ(before, open_files());
	/* One too many by far, with a command that wants none. */
	pass(fd, "{\"cmd\":\"shutdown\"}\n", many, 8);
	hear(fd);
	ATF_CHECK(open_files() <= before + 1);
	close(fd);
	serve(s, 5);
	ATF_CHECK_EQ(before - 2, open_files());
	for (unsigned i = 0; i < 8; i++)
		close(many[i]);
	stop();
}

ATF_TC_WITHOUT_HEAD(disk_members);
ATF_TC_BODY(disk_members, tc)
{

	start();
	expect("{\"cmd\":\"disk-add\"}", "{\"id\":null,\"ok\":false,"
	    "\"error\":\"\\\"file\\\" is missing\"}");
	expect("{\"cmd\":\"disk-add\",\"file\":\"x\",\"bus\":\"ide\"}",
	    "{\"id\":null,\"ok\":false,\"error\":\"IDE disks come and go only "
	    "while the machine is off\"}");
	expect("{\"cmd\":\"disk-add\",\"file\":\"x\",\"bus\":\"usb\"}",
	    "{\"id\":null,\"ok\":false,\"error\":\"\\\"bus\\\" is neither scsi "
	    "nor ide\"}");
	expect("{\"cmd\":\"disk-add\",\"file\":\"x\",\"serial\":"
	    "\"123456789012345678901\"}", "{\"id\":null,\"ok\":false,"
	    "\"error\":\"a serial number has at most 20 characters\"}");
	expect("{\"cmd\":\"disk-remove\"}", "{\"id\":null,\"ok\":false,"
	    "\"error\":\"\\\"lun\\\" is missing\"}");
	ATF_CHECK_EQ(0, calls);
	stop();
}

ATF_TC_WITHOUT_HEAD(socket_file);
ATF_TC_BODY(socket_file, tc)
{
	struct ctl_server *other;
	char name[200];
	struct stat sb;
	int fd;

	umask(0);
	start();
	ATF_REQUIRE_EQ(0, lstat(SOCKET, &sb));
	ATF_CHECK(S_ISSOCK(sb.st_mode));
	ATF_CHECK_EQ(0600, sb.st_mode & 07777);
	ATF_CHECK_EQ(EBUSY, ctl_open(SOCKET, g.h, &ops, NULL, &other, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("ctl: another hvhost uses it", err);
	serve(s, 5);
	expect("{\"cmd\":\"shutdown\"}", "{\"id\":null,\"ok\":true,"
	    "\"result\":{}}");
	/* Left behind, as by one that was killed: replaced. */
	ctl_close(s, false);
	ATF_REQUIRE_EQ(0, lstat(SOCKET, &sb));
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
	expect("{\"cmd\":\"shutdown\"}", "{\"id\":null,\"ok\":true,"
	    "\"result\":{}}");
	ctl_close(s, true);
	ATF_CHECK_EQ(-1, lstat(SOCKET, &sb));
	/* Not one's own any more: left alone. */
	ATF_REQUIRE_EQ(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)));
	ATF_REQUIRE_EQ(0, unlink(SOCKET));
	fd = open(SOCKET, O_CREAT | O_RDWR, 0600);
	close(fd);
	ctl_close(s, true);
	ATF_CHECK_EQ(0, lstat(SOCKET, &sb));
	ATF_CHECK_EQ(EEXIST, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("ctl: is there and is no socket", err);
	ATF_CHECK_EQ(0, lstat(SOCKET, &sb));
	ATF_CHECK_EQ(ENOENT, ctl_open("no/ctl", g.h, &ops, NULL, &s, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("no/ctl: cannot listen there: No such file or "
	    "directory", err);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ATF_CHECK_EQ(ENAMETOOLONG, ctl_open(name, g.h, &ops, NULL, &s, err,
	    sizeof(err)));
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, protocol);
	ATF_TP_ADD_TC(tp, malformed);
	ATF_TP_ADD_TC(tp, status);
	ATF_TP_ADD_TC(tp, stats);
	ATF_TP_ADD_TC(tp, slow_client);
	ATF_TP_ADD_TC(tp, many_clients);
	ATF_TP_ADD_TC(tp, hang_up);
	ATF_TP_ADD_TC(tp, forked);
	ATF_TP_ADD_TC(tp, descriptors);
	ATF_TP_ADD_TC(tp, disk_members);
	ATF_TP_ADD_TC(tp, socket_file);
	return (atf_no_error());
}
