/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's commands for integration services, with hvctl at one
 * end and a guest by hand at the other: answers that come later, how far
 * something is, and clients that do not wait.  protocol: utilities
 */

#include <atf-c.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "hvctl_run.h"

#define	V5_3	0x50003
#define	RING	PG_FREE
#define	PAGES	8

static struct guest g;
static struct ctl_server *s;
static struct hvh_ic *ic;
static enum hvh_ic_kind kind;
static uint32_t chan, conn;
static struct guest_ring ring;
static char err[512];

/* The guest's answers. */
static bool loaded;
static bool silent;
static uint32_t status;
static unsigned messages;	/* seen, negotiations not counted */
static uint8_t last[16384];	/* the packet; its message is at 16 */
static uint8_t copied[1 << 17];
static uint64_t ncopied;

static struct hvh_ic *
op_service(void *arg, enum hvh_ic_kind k)
{

	return (k == kind ? ic : NULL);
}

static int
op_adapter(void *arg, unsigned adapter, uint8_t mac[6],
    struct hvh_guid *instance)
{

	memcpy(mac, "\x00\x15\x5d\x48\x56\x0a", 6);
	return (adapter == 1 ? hvh_guid_parse(
	    "3d2b7f40-91c6-4a0e-8b57-6e1f94c2d201", instance) : ENODEV);
}

static int
op_shutdown(void *arg, bool force, char *e, size_t errlen)
{

	snprintf(e, errlen, "the button");
	return (EIO);
}

static const struct ctl_ops ops = {
	.service = op_service,
	.adapter = op_adapter,
	.shutdown = op_shutdown,
};

static void
start(enum hvh_ic_kind k)
{
	struct hvh_ic_params ip = { .kind = k };
	uint8_t m[240];

	kind = k;
	silent = loaded = false;
	status = 0;
	messages = 0;
	ncopied = 0;
	setenv("HVHOST_CONTROL", SOCKET, 1);
	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE_EQ(0, hvh_ic_add(g.h, &ip, &ic));
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
	ATF_REQUIRE_EQ(1, guest_connect(&g, V5_3, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
}

static void
send_back(void)
{

	last[16 + 25] = 5;
	put32(last + 16 + 20, status);
	ATF_REQUIRE(guest_write(&ring, 6, 0, get64(last + 8), NULL, 0,
	    last + 16, get32(last + 16 + 4) + 8) >= 0);
	guest_signal(&g, conn);
	guest_pump(&g);
}

/* The newest of each list. */
static void
negotiate(void)
{
	uint8_t *m = last + 16;
	unsigned at = 36 + 4 * (m[28] + m[30] - 1u);

	memmove(m + 36, m + 36 + 4, 4);
	memmove(m + 40, m + at, 4);
	m[18] = 16;
	m[28] = m[30] = 1;
	send_back();
}

/* An item of a pool with three; and a block of a file. */
static void
fill(void)
{
	uint8_t *m = last + 16;
	uint32_t n;

	status = status == 0x80070103 ? 0 : status;
	if (kind == HVH_IC_KVP && m[28] == 3) {
		status = get32(m + 32) < 3 ? 0 : 0x80070103;
		put32(m + 36, 1);
		put32(m + 40, 4);
		put32(m + 44, 6);
		m[48] = (uint8_t)('a' + get32(m + 32));
		memcpy(m + 560, "v\0\x07\0\0\0", 6);
	} else if (kind == HVH_IC_KVP && m[28] == 4) {
		memcpy(m + 30 + 258, "1\0\0\0", 4);
	} else if (kind == HVH_IC_VSS && m[28] == 2) {
		put32(m + 36, 5);
	} else if (kind == HVH_IC_FCOPY && get32(m + 28) == 1) {
		n = get32(m + 28 + 48);
		ATF_REQUIRE(ncopied + n <= sizeof(copied));
		ATF_REQUIRE_EQ(ncopied, get64(m + 28 + 40));
		memcpy(copied + ncopied, m + 28 + 52, n);
		ncopied += n;
	}
}

/* Lets the guest do what it does for a moment. */
static void
live(void)
{

	guest_pump(&g);
	if (loaded && guest_read(&ring, last, sizeof(last)) != 0) {
		if (last[16 + 12] == 0) {
			negotiate();
		} else {
			messages++;
			fill();
			if (!silent)
				send_back();
		}
	}
	ctl_poll(s);
}

/* The guest's driver. */
static void
load(void)
{

	memset(guest_page(&g, RING), 0, PAGES * PAGE);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, RING,
	    PAGES, 1), 1, PAGES / 2));
	guest_ring(&ring, &g, RING, PAGES, PAGES / 2);
	loaded = true;
	for (unsigned i = 0; i < 4; i++)
		live();
}

static void
stop(void)
{

	ctl_close(s, true);
	guest_destroy(&g);
}

/* Runs hvctl while the guest lives; its exit status. */
static int
run(const char *args)
{
	pid_t pid = hvctl_start(args);
	int st;

	for (unsigned i = 0; i < 20000; i++) {
		if (waitpid(pid, &st, WNOHANG) == pid) {
			ATF_REQUIRE(WIFEXITED(st));
			return (WEXITSTATUS(st));
		}
		live();
		usleep(500);
	}
	atf_tc_fail("hvctl %s does not end", args);
}

static void
expect(int want, const char *args, const char *text)
{

	ATF_CHECK_EQ_MSG(want, run(args), "%s: %s%s", args, slurp("out"),
	    slurp("err"));
	has(want == 0 ? "out" : "err", text);
}

ATF_TC_WITHOUT_HEAD(not_there);
ATF_TC_BODY(not_there, tc)
{

	start(HVH_IC_KVP);
	expect(1, "heartbeat", "does not offer");
	expect(1, "kvp list", "no driver");
	expect(1, "reboot", "does not offer");
	/* Without the service it is the power button. */
	expect(1, "shutdown", "the button");
	memset(guest_page(&g, RING), 0, PAGES * PAGE);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, RING,
	    PAGES, 1), 1, PAGES / 2));
	guest_pump(&g);
	ATF_CHECK_EQ(1, hvctl_run(s, "kvp list"));
	has("err", "daemon");
	guest_ring(&ring, &g, RING, PAGES, PAGES / 2);
	loaded = true;
	live();
	expect(0, "services", "ready");
	stop();
}

ATF_TC_WITHOUT_HEAD(heartbeat);
ATF_TC_BODY(heartbeat, tc)
{

	start(HVH_IC_HEARTBEAT);
	expect(0, "heartbeat", "no contact");
	load();
	ATF_CHECK_EQ(1, messages);
	/* The same number comes back, not the next: no sign of life. */
	expect(0, "heartbeat", "no contact");
	expect(0, "--json heartbeat", "\"wrong\": 1");
	stop();
}

ATF_TC_WITHOUT_HEAD(shutdown);
ATF_TC_BODY(shutdown, tc)
{

	start(HVH_IC_SHUTDOWN);
	load();
	expect(0, "shutdown", "shuts down");
	ATF_CHECK_EQ(0, get32(last + 16 + 36));
	expect(0, "reboot --urgent", "will reboot");
	ATF_CHECK_EQ(3, get32(last + 16 + 36));
	expect(0, "hibernate", "will hibernate");
	ATF_CHECK_EQ(4, get32(last + 16 + 36));
	status = 0x80004005;
	expect(1, "shutdown", "refuses");
	ATF_CHECK_EQ(4, messages);
	expect(1, "shutdown --button", "the button");
	ATF_CHECK_EQ(4, messages);
	stop();
}

ATF_TC_WITHOUT_HEAD(time);
ATF_TC_BODY(time, tc)
{

	start(HVH_IC_TIMESYNC);
	/* Nobody there yet: it is told later. */
	expect(0, "time step -5s", "-5.000000000 s");
	load();
	ATF_CHECK_EQ(1, messages);
	expect(0, "time step 1500ms", "told");
	ATF_CHECK_EQ(1, last[16 + 44]);
	expect(0, "time", "-3.500000000 s");
	expect(0, "time step 3.5 --sample", "+0.000000000 s; 2 times");
	expect(0, "time sync", "told");
	ATF_CHECK_EQ(2, run("time step soon"));
	ATF_CHECK_EQ(2, run("time sync now"));
	stop();
}

ATF_TC_WITHOUT_HEAD(kvp);
ATF_TC_BODY(kvp, tc)
{

	start(HVH_IC_KVP);
	load();
	/* What a guest says is shown, but does nothing to a terminal. */
	expect(0, "kvp list --pool guest", "a\tv\\x07\nb\tv\\x07\nc\tv");
	ATF_CHECK_EQ(1, last[16 + 29]);
	expect(0, "kvp set one 1", "");
	ATF_CHECK_EQ(1, last[16 + 28]);
	ATF_CHECK_EQ(0, last[16 + 29]);
	expect(0, "kvp get one", "");
	/* Some daemons answer with nothing; then it is looked up. */
	expect(0, "kvp get b", "v\\x07\n");
	expect(0, "kvp delete one", "");
	expect(0, "kvp set --type u64 n 5", "");
	ATF_CHECK_EQ(8, last[16 + 32]);
	expect(1, "kvp set --type u32 n x", "not a number");
	expect(1, "kvp set --type u32 n 4294967296", "too long");
	expect(1, "kvp list --pool public", "external, guest");
	expect(0, "kvp ip 1", "addresses\t1\n");
	ATF_CHECK(memcmp(last + 16 + 30, "0\0000\0:\0001\0005\0", 10) == 0);
	expect(1, "kvp ip 0", "no network adapter 0");
	expect(0, "kvp ip 1 --set --address 10.0.0.1", "");
	ATF_CHECK(memcmp(last + 16 + 30, "{\0003\0d\0", 6) == 0);
	status = 0x80041002;
	expect(1, "kvp ip 1 --set --address 10.0.0.1", "no such adapter");
	ATF_CHECK_EQ(2, run("kvp set one"));
	ATF_CHECK_EQ(2, run("kvp"));
	stop();
}

ATF_TC_WITHOUT_HEAD(vss);
ATF_TC_BODY(vss, tc)
{

	start(HVH_IC_VSS);
	load();
	expect(0, "vss check", "done");
	expect(0, "vss snapshot", "frozen for");
	/* How far it is; of what comes at once the last is told. */
	has("err", "freeze\n");
	has("err", "thaw\n");
	ATF_CHECK_EQ(4, messages);
	status = 0x80004005;
	expect(1, "vss snapshot", "check: the guest refuses");
	ATF_CHECK_EQ(5, messages);
	expect(1, "vss melt", "\"action\" is not");
	ATF_CHECK_EQ(2, run("vss"));
	ATF_CHECK_EQ(2, run("vss snapshot --hold -1s"));
	stop();
}

ATF_TC_WITHOUT_HEAD(copy);
ATF_TC_BODY(copy, tc)
{
	static uint8_t data[100000];
	FILE *f = fopen("source", "w");

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 251);
	ATF_REQUIRE(f != NULL && fwrite(data, sizeof(data), 1, f) == 1 &&
	    fclose(f) == 0);
	start(HVH_IC_FCOPY);
	load();
	expect(0, "copy source /tmp/", "100000 bytes");
	ATF_CHECK_EQ(sizeof(data), ncopied);
	ATF_CHECK(memcmp(data, copied, sizeof(data)) == 0);
	status = 0x80070050;
	expect(1, "copy source /tmp/x", "exists");
	expect(1, "copy absent /tmp/x", "cannot open");
	expect(1, "copy . /tmp/x", "not a regular");
	ATF_CHECK_EQ(2, run("copy source"));
	stop();
}

/* Ctrl-C in the middle of it: the guest is told. */
ATF_TC_WITHOUT_HEAD(copy_interrupted);
ATF_TC_BODY(copy_interrupted, tc)
{
	FILE *f = fopen("source", "w");
	pid_t pid;
	int st;

	ATF_REQUIRE(f != NULL && ftruncate(fileno(f), 60000) == 0 &&
	    fclose(f) == 0);
	start(HVH_IC_FCOPY);
	load();
	pid = hvctl_start("copy source /tmp/");
	while (messages < 3) {
		silent = messages == 2;
		live();
		usleep(100);
	}
	ATF_REQUIRE_EQ(0, kill(pid, SIGINT));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &st, 0));
	live();
	live();
	silent = false;
	send_back();
	for (unsigned i = 0; i < 4; i++)
		live();
	ATF_CHECK_EQ(4, messages);
	ATF_CHECK_EQ(3, get32(last + 16 + 28));
	stop();
}

/* --- The socket itself. --- */

static int
join(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return (fd);
}

static void
say(int fd, const char *line)
{

	ATF_REQUIRE_EQ(strlen(line), send(fd, line, strlen(line), 0));
	for (unsigned i = 0; i < 4; i++)
		live();
}

/* What has come, "" if nothing has. */
static const char *
heard(int fd)
{
	static char text[65536];
	ssize_t n;

	live();
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return (text);
}

static void
answer_shutdown(void)
{

	silent = false;
	send_back();
	live();
}

/* Others are answered meanwhile, on the same connection, too. */
ATF_TC_WITHOUT_HEAD(later);
ATF_TC_BODY(later, tc)
{
	int a, b;

	start(HVH_IC_SHUTDOWN);
	load();
	silent = true;
	a = join();
	b = join();
	say(a, "{\"id\":[1],\"cmd\":\"shutdown\"}\n");
	ATF_REQUIRE_EQ(1, messages);
	ATF_CHECK_STREQ("", heard(a));
	say(b, "{\"id\":2,\"cmd\":\"reboot\"}\n");
	ATF_CHECK_MSG(strstr(heard(b), "busy with another") != NULL, "b");
	say(a, "{\"id\":3,\"cmd\":\"fault-clear\"}\n");
	ATF_CHECK_STREQ("{\"id\":3,\"ok\":true,\"result\":{}}\n", heard(a));
	/* One who says no more still waits. */
	ATF_REQUIRE_EQ(0, shutdown(a, SHUT_WR));
	live();
	answer_shutdown();
	ATF_CHECK_STREQ("{\"id\":[1],\"ok\":true,\"result\":{\"by\":"
	    "\"service\"}}\n", heard(a));
	ATF_CHECK_EQ(0, recv(a, err, 1, 0));
	close(a);
	close(b);
	stop();
}

/* Nobody waits for it: a client that went, a server, a partition. */
ATF_TC_WITHOUT_HEAD(nobody_waits);
ATF_TC_BODY(nobody_waits, tc)
{
	int fd;

	start(HVH_IC_SHUTDOWN);
	load();
	silent = true;
	fd = join();
	say(fd, "{\"cmd\":\"shutdown\"}\n");
	close(fd);
	live();
	answer_shutdown();
	/* And again, with one that comes after. */
	silent = true;
	fd = join();
	say(fd, "{\"cmd\":\"shutdown\"}\n");
	ATF_REQUIRE_EQ(2, messages);
	stop();
	close(fd);
}

/* A reset of the machine, and an end of the device. */
ATF_TC_WITHOUT_HEAD(guest_gone);
ATF_TC_BODY(guest_gone, tc)
{
	int fd;

	start(HVH_IC_SHUTDOWN);
	load();
	silent = true;
	fd = join();
	say(fd, "{\"cmd\":\"shutdown\"}\n");
	hvh_reset(g.h);
	loaded = false;
	live();
	ATF_CHECK_MSG(strstr(heard(fd), "went away") != NULL, "reset");
	expect(1, "reboot", "no driver");
	close(fd);
	stop();

	start(HVH_IC_SHUTDOWN);
	load();
	silent = true;
	fd = join();
	say(fd, "{\"cmd\":\"shutdown\"}\n");
	ATF_REQUIRE_EQ(0, hvh_rescind(g.h, chan));
	loaded = false;
	live();
	ATF_CHECK_MSG(strstr(heard(fd), "went away") != NULL, "rescind");
	expect(0, "services", "gone");
	expect(1, "reboot", "taken away");
	close(fd);
	stop();
}

/* So many at once, and no more. */
ATF_TC_WITHOUT_HEAD(too_many);
ATF_TC_BODY(too_many, tc)
{
	const char *line = "{\"cmd\":\"kvp\",\"action\":\"list\"}\n";
	unsigned n;
	int fd;

	start(HVH_IC_KVP);
	load();
	silent = true;
	fd = join();
	for (n = 0; n < 64; n++)
		say(fd, line);
	ATF_CHECK_STREQ("", heard(fd));
	say(fd, line);
	ATF_CHECK_MSG(strstr(heard(fd), "too much waits") != NULL, "fd");
	/* The guest goes: each is told. */
	guest_close(&g, chan);
	guest_pump(&g);
	memset(err, 0, sizeof(err));
	live();
	for (n = 0; n < 64; n++)
		live();
	n = 0;
	for (const char *p = heard(fd); (p = strstr(p, "went away")) != NULL;
	    p++)
		n++;
	ATF_CHECK_EQ(64, n);
	close(fd);
	stop();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, not_there);
	ATF_TP_ADD_TC(tp, heartbeat);
	ATF_TP_ADD_TC(tp, shutdown);
	ATF_TP_ADD_TC(tp, time);
	ATF_TP_ADD_TC(tp, kvp);
	ATF_TP_ADD_TC(tp, vss);
	ATF_TP_ADD_TC(tp, copy);
	ATF_TP_ADD_TC(tp, copy_interrupted);
	ATF_TP_ADD_TC(tp, later);
	ATF_TP_ADD_TC(tp, nobody_waits);
	ATF_TP_ADD_TC(tp, guest_gone);
	ATF_TP_ADD_TC(tp, too_many);
	return (atf_no_error());
}
