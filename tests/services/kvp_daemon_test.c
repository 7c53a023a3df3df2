/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hv_kvp_daemon(8) as a process, with the test as its kernel; and the script
 * that configures an interface, with commands that only note what they were
 * asked to do.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <atf-c.h>

#include "hv_kvp_daemon.h"

static struct hv_kvp_dev_msg km;
static int listener = -1, fd = -1;
static pid_t daemon_pid;

/* Starts it, with up to one more option, and takes its registration. */
static void
start(const char *option)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (listener < 0) {
		listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		strcpy(sun.sun_path, "dev");
		ATF_REQUIRE_EQ(0, bind(listener, (struct sockaddr *)&sun,
		    sizeof(sun)));
		ATF_REQUIRE_EQ(0, listen(listener, 5));
	}
	daemon_pid = fork();
	ATF_REQUIRE(daemon_pid >= 0);
	if (daemon_pid == 0) {
		execl(HV_KVP_DAEMON, "hv_kvp_daemon", "-d", "-D", "dev", "-P",
		    "pid", "-p", "pools", "-s", "scripts", option, NULL);
		_exit(127);
	}
	fd = accept(listener, NULL, NULL);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(sizeof(km), read(fd, &km, sizeof(km)));
	ATF_CHECK_EQ(HV_KVP_DEV_REGISTER, km.km_type);
	ATF_CHECK_EQ(1, km.km_version);
}

static void
stop(void)
{
	int status;

	close(fd);
	ATF_REQUIRE_EQ(daemon_pid, waitpid(daemon_pid, &status, 0));
	ATF_CHECK_EQ(0, status);
	ATF_CHECK(access("pid", F_OK) != 0);
}

/* A request of which more is filled in; returns the status of the answer. */
static uint32_t
ask(uint32_t op)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint32_t id;

	id = ++km.km_id;
	km.km_type = HV_KVP_DEV_REQUEST;
	km.km_version = HV_KVP_DEV_VERSION;
	km.km_op = op;
	ATF_REQUIRE_EQ(sizeof(km), write(fd, &km, sizeof(km)));
	ATF_REQUIRE_EQ_MSG(1, poll(&pfd, 1, 10000), "no answer");
	ATF_REQUIRE_EQ(sizeof(km), read(fd, &km, sizeof(km)));
	ATF_CHECK_EQ(HV_KVP_DEV_ANSWER, km.km_type);
	ATF_CHECK_EQ(id, km.km_id);
	return (km.km_status);
}

static void
write_file(const char *name, mode_t mode, const char *text)
{
	FILE *f;

	f = fopen(name, "w");
	ATF_REQUIRE(f != NULL);
	fputs(text, f);
	fclose(f);
	ATF_REQUIRE_EQ(0, chmod(name, mode));
}

static void
check_file(const char *name, const char *want)
{
	char text[4096];
	size_t n;
	FILE *f;

	f = fopen(name, "r");
	ATF_REQUIRE_MSG(f != NULL, "there is no %s", name);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	ATF_CHECK_STREQ(want, text);
}

static uint32_t
set_ip(const char *adapter, bool dhcp, const char *addr, const char *subnet,
    const char *gateway, const char *dns)
{

	memset(&km.km_ip, 0, sizeof(km.km_ip));
	snprintf(km.km_ip.ip_adapter, sizeof(km.km_ip.ip_adapter), "%s",
	    adapter);
	km.km_ip.ip_dhcp = dhcp;
	snprintf(km.km_ip.ip_addr, sizeof(km.km_ip.ip_addr), "%s", addr);
	snprintf(km.km_ip.ip_subnet, sizeof(km.km_ip.ip_subnet), "%s",
	    subnet);
	snprintf(km.km_ip.ip_gateway, sizeof(km.km_ip.ip_gateway), "%s",
	    gateway);
	snprintf(km.km_ip.ip_dns, sizeof(km.km_ip.ip_dns), "%s", dns);
	return (ask(HV_KVP_DEV_SET_IP));
}

static void
copying_script(void)
{

	ATF_REQUIRE_EQ(0, mkdir("scripts", 0755));
	write_file("scripts/hv_set_ifconfig", 0755,
	    "#!/bin/sh\nexec cp \"$1\" asked\n");
}

/* The loopback interface, which every machine has, stands for an adapter. */
ATF_TC_WITHOUT_HEAD(set_address);
ATF_TC_BODY(set_address, tc)
{

	copying_script();
	start(NULL);
	ATF_CHECK_EQ(0, set_ip("lo", false, "10.1.2.3;fe80::1; 10.1.2.4",
	    "255.255.255.0;64;255.0.0.0", "10.1.2.254;fe80::2", "9.9.9.9;::8"));
	check_file("asked", "DEVICE=lo\nBOOTPROTO=none\n"
	    "IPADDR0=10.1.2.3\nNETMASK0=255.255.255.0\n"
	    "IPV6ADDR0=fe80::1\nIPV6NETMASK0=64\n"
	    "IPADDR1=10.1.2.4\nNETMASK1=255.0.0.0\n"
	    "GATEWAY0=10.1.2.254\nIPV6_DEFAULTGW0=fe80::2\n"
	    "DNS0=9.9.9.9\nDNS1=::8\n");
	ATF_CHECK_EQ(0, set_ip("lo", true, "", "", "", ""));
	check_file("asked", "DEVICE=lo\nBOOTPROTO=dhcp\n");
	stop();
}

/* What is no address reaches neither a file nor the script. */
ATF_TC_WITHOUT_HEAD(set_nonsense);
ATF_TC_BODY(set_nonsense, tc)
{
	static const struct {
		const char	*addr, *subnet, *gateway, *dns;
	} rows[] = {
		{ "", "", "", "" },
		{ "10.1.2", "255.0.0.0", "", "" },
		{ "10.1.2.3", "", "", "" },
		{ "10.1.2.3", "8", "", "" },
		{ "10.1.2.3;10.1.2.4", "255.0.0.0", "", "" },
		{ "fe80::1", "129", "", "" },
		{ "fe80::1", "-1", "", "" },
		{ "fe80::1", "64x", "", "" },
		{ "10.1.2.3\nX=y", "255.0.0.0", "", "" },
		{ "$(touch bad)", "255.0.0.0", "", "" },
		{ "10.1.2.3", "255.0.0.0", "`touch bad`", "" },
		{ "10.1.2.3", "255.0.0.0", "", "1.1.1.1\nnameserver x" },
	};
	unsigned i;

	copying_script();
	start(NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ATF_CHECK_EQ_MSG(HV_KVP_DEV_INVALID, set_ip("lo", false,
		    rows[i].addr, rows[i].subnet, rows[i].gateway,
		    rows[i].dns), "%s", rows[i].addr);
	ATF_CHECK_EQ(HV_KVP_DEV_NODEV, set_ip("nosuch0", true, "", "", "",
	    ""));
	ATF_CHECK_EQ(HV_KVP_DEV_NODEV, set_ip("../lo", true, "", "", "", ""));
	ATF_CHECK_EQ(HV_KVP_DEV_NODEV, set_ip("", true, "", "", "", ""));
	memset(&km.km_ip, 'x', sizeof(km.km_ip));
	ATF_CHECK_EQ(HV_KVP_DEV_INVALID, ask(HV_KVP_DEV_SET_IP));
	ATF_CHECK(access("asked", F_OK) != 0);
	ATF_CHECK(access("bad", F_OK) != 0);
	ATF_CHECK(access("pools/ifcfg-lo", F_OK) != 0);
	ATF_CHECK(access("pools/ifcfg-lo.new", F_OK) != 0);
	stop();
}

ATF_TC_WITHOUT_HEAD(set_fails);
ATF_TC_BODY(set_fails, tc)
{

	start(NULL);
	/* There is no script, then one that fails. */
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set_ip("lo", true, "", "", "", ""));
	ATF_REQUIRE_EQ(0, mkdir("scripts", 0755));
	write_file("scripts/hv_set_ifconfig", 0755, "#!/bin/sh\nexit 3\n");
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set_ip("lo", true, "", "", "", ""));
	write_file("scripts/hv_set_ifconfig", 0755, "#!/bin/sh\nexit 0\n");
	ATF_CHECK_EQ(0, set_ip("lo", true, "", "", "", ""));
	/* One that hangs is ended before the kernel gives up. */
	write_file("scripts/hv_set_ifconfig", 0755, "#!/bin/sh\nsleep 99\n");
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set_ip("lo", true, "", "", "", ""));
	write_file("scripts/hv_set_ifconfig", 0755, "#!/bin/sh\nexit 0\n");
	ATF_CHECK_EQ(0, set_ip("lo", true, "", "", "", ""));
	stop();
}

/* A script has neither a way to the daemon nor the signals it ignores. */
ATF_TC_WITHOUT_HEAD(script_inherits);
ATF_TC_BODY(script_inherits, tc)
{
	unsigned long long ignored = 0;
	char line[256];
	FILE *f;

	ATF_REQUIRE_EQ(0, mkdir("scripts", 0755));
	write_file("scripts/hv_set_ifconfig", 0755, "#!/bin/sh\n"
	    "cat /proc/self/status >status\n"
	    "for i in 3 4 5 6 7; do readlink /proc/self/fd/$i; done >files\n"
	    "exit 0\n");
	start(NULL);
	ATF_CHECK_EQ(0, set_ip("lo", true, "", "", "", ""));
	check_file("files", "");
	f = fopen("status", "r");
	ATF_REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "SigIgn: %llx", &ignored);
	fclose(f);
	ATF_CHECK_EQ(0, ignored & (1ull << (SIGHUP - 1)));
	ATF_CHECK_EQ(0, ignored & (1ull << (SIGPIPE - 1)));
	stop();
}

ATF_TC_WITHOUT_HEAD(readonly);
ATF_TC_BODY(readonly, tc)
{

	copying_script();
	start("-R");
	ATF_CHECK_EQ(HV_KVP_DEV_UNSUPPORTED, set_ip("lo", true, "", "", "",
	    ""));
	ATF_CHECK(access("asked", F_OK) != 0);
	km.km_pool = HV_KVP_DEV_POOL_AUTO;
	memset(&km.km_kv, 0, sizeof(km.km_kv));
	ATF_CHECK_EQ(0, ask(HV_KVP_DEV_ENUMERATE));
	ATF_CHECK_STREQ("FullyQualifiedDomainName", km.km_kv.kv_key);
	stop();
}

/* Operations, pools and text that the kernel never sends. */
ATF_TC_WITHOUT_HEAD(nonsense);
ATF_TC_BODY(nonsense, tc)
{
	unsigned i;

	start(NULL);
	memset(&km.km_kv, 'x', sizeof(km.km_kv));
	for (i = 0; i < 64; i++) {
		km.km_pool = i % 8 == 7 ? UINT32_MAX : i % 8;
		ATF_CHECK(ask(i / 8 == 7 ? UINT32_MAX : i / 8) != 0);
	}
	/* Too short to be a request: it does not go on with that kernel. */
	ATF_REQUIRE_EQ(10, write(fd, &km, 10));
	ATF_REQUIRE_EQ(daemon_pid, waitpid(daemon_pid, NULL, 0));
}

/* One daemon at a time; a pid file of one that was killed is no hindrance. */
ATF_TC_WITHOUT_HEAD(one_at_a_time);
ATF_TC_BODY(one_at_a_time, tc)
{
	int status;
	pid_t pid;

	start(NULL);
	pid = fork();
	if (pid == 0) {
		execl(HV_KVP_DAEMON, "hv_kvp_daemon", "-d", "-D", "dev", "-P",
		    "pid", "-p", "pools", NULL);
		_exit(127);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ATF_REQUIRE_EQ(0, kill(daemon_pid, SIGKILL));
	ATF_REQUIRE_EQ(daemon_pid, waitpid(daemon_pid, NULL, 0));
	ATF_CHECK_EQ(0, access("pid", F_OK));
	close(fd);
	close(accept(listener, NULL, NULL));
	start(NULL);
	stop();
}

/* SIGHUP is for others; SIGTERM and SIGINT end it, with all that was stored. */
ATF_TC_WITHOUT_HEAD(signals);
ATF_TC_BODY(signals, tc)
{
	static const int sigs[] = { SIGTERM, SIGINT };
	struct stat st;
	unsigned i;
	int status;

	for (i = 0; i < 2; i++) {
		start(NULL);
		ATF_REQUIRE_EQ(0, kill(daemon_pid, SIGHUP));
		km.km_pool = 0;
		memset(&km.km_kv, 0, sizeof(km.km_kv));
		km.km_kv.kv_key[0] = (char)('a' + i);
		ATF_CHECK_EQ(0, ask(HV_KVP_DEV_SET));
		ATF_REQUIRE_EQ(0, kill(daemon_pid, sigs[i]));
		ATF_REQUIRE_EQ(daemon_pid, waitpid(daemon_pid, &status, 0));
		ATF_CHECK_EQ(0, status);
		ATF_CHECK(access("pid", F_OK) != 0);
		close(fd);
		ATF_REQUIRE_EQ(0, stat("pools/.kvp_pool_0", &st));
		ATF_CHECK_EQ((i + 1) * 2560, st.st_size);
	}
}

/* Starts it with so many descriptors; false: it has ended. */
static bool
lives_with(rlim_t files)
{
	const struct rlimit rl = { .rlim_cur = files, .rlim_max = files };
	struct pollfd pfd = { .fd = listener, .events = POLLIN };
	ssize_t n;
	int status;

	daemon_pid = fork();
	ATF_REQUIRE(daemon_pid >= 0);
	if (daemon_pid == 0) {
		(void)closefrom(3);
		(void)setrlimit(RLIMIT_NOFILE, &rl);
		execl(HV_KVP_DAEMON, "hv_kvp_daemon", "-d", "-D", "dev", "-P",
		    "pid", "-p", "pools", NULL);
		_exit(127);
	}
	while (poll(&pfd, 1, 10) == 0)
		if (waitpid(daemon_pid, &status, WNOHANG) == daemon_pid) {
			/* Its connection is not the next one's. */
			if (poll(&pfd, 1, 0) == 1)
				close(accept(listener, NULL, NULL));
			return (false);
		}
	fd = accept(listener, NULL, NULL);
	ATF_REQUIRE(fd >= 0);
	n = read(fd, &km, sizeof(km));
	if (n == (ssize_t)sizeof(km))
		return (true);
	close(fd);
	ATF_REQUIRE_EQ(daemon_pid, waitpid(daemon_pid, &status, 0));
	return (false);
}

/* Wherever it fails at its start, it does not look as if it ran. */
ATF_TC_WITHOUT_HEAD(start_fails);
ATF_TC_BODY(start_fails, tc)
{
	rlim_t files;

	start(NULL);
	stop();
	for (files = 4; !lives_with(files); files++) {
		ATF_REQUIRE(files < 64);
		ATF_CHECK_MSG(access("pid", F_OK) != 0, "a pid file, with %ju "
		    "descriptors", (uintmax_t)files);
	}
	ATF_CHECK(files > 5);
	stop();
}

/* How often it has gone to sleep. */
static long
sleeps(void)
{
	char path[64], line[256];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon_pid);
	f = fopen(path, "r");
	ATF_REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	fclose(f);
	ATF_REQUIRE(n > 0);
	return (n);
}

/* Asleep, it is not woken by itself. */
ATF_TC_WITHOUT_HEAD(idle);
ATF_TC_BODY(idle, tc)
{
	long before;
	int i;

	start(NULL);
	km.km_pool = 0;
	memset(&km.km_kv, 0, sizeof(km.km_kv));
	for (i = 0; i < 3; i++) {
		km.km_kv.kv_key[0] = (char)('a' + i);
		ATF_CHECK_EQ(0, ask(HV_KVP_DEV_SET));
	}
	/* The last of these is synced soon. */
	for (i = 0; i < 30; i++) {
		before = sleeps();
		usleep(300000);
		if (sleeps() == before)
			break;
	}
	sleep(2);
	ATF_CHECK_EQ(before, sleeps());
	stop();
}

/* The helper ends: pools go on, and the daemon says what does not. */
ATF_TC_WITHOUT_HEAD(helper_dies);
ATF_TC_BODY(helper_dies, tc)
{
	char command[128];

	start(NULL);
	snprintf(command, sizeof(command), "kill -9 $(ps -o pid= --ppid %d)",
	    (int)daemon_pid);
	ATF_REQUIRE_EQ(0, system(command));
	memset(&km.km_kv, 0, sizeof(km.km_kv));
	km.km_pool = HV_KVP_DEV_POOL_AUTO;
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, ask(HV_KVP_DEV_ENUMERATE));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, ask(HV_KVP_DEV_ENUMERATE));
	km.km_pool = 0;
	km.km_kv.kv_key[0] = 'k';
	ATF_CHECK_EQ(0, ask(HV_KVP_DEV_SET));
	stop();
}

/* --- hv_set_ifconfig --- */

/* Runs it on lines; what its commands were asked is in the file "log". */
static int
configure(const char *lines)
{
	static const char *const names[] = { "sysrc", "service" };
	char command[512], path[32];
	unsigned i;

	(void)mkdir("bin", 0755);
	(void)unlink("log");
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "bin/%s", names[i]);
		/* Two aliases are there from before. */
		write_file(path, 0755, "#!/bin/sh\n"
		    "case \"$1 $2\" in\n"
		    "'-c ifconfig_hn0_alias'[01]) exit 0 ;;\n"
		    "'-c '*) exit 1 ;;\n"
		    "esac\n"
		    "echo \"${0##*/} $*\" >> log\n");
	}
	write_file("bin/resolvconf", 0755, "#!/bin/sh\n"
	    "echo \"resolvconf $*\" >> log\ncat >> log\n");
	write_file("ifcfg", 0644, lines);
	snprintf(command, sizeof(command), "PATH=$PWD/bin:$PATH sh "
	    "%s/hv_set_ifconfig ifcfg", SCRIPTS);
	return (system(command));
}

ATF_TC_WITHOUT_HEAD(script);
ATF_TC_BODY(script, tc)
{

	ATF_CHECK_EQ(0, configure("DEVICE=hn0\nBOOTPROTO=none\n"
	    "IPADDR0=10.1.2.3\nNETMASK0=255.255.255.0\n"
	    "IPV6ADDR0=fe80::1\nIPV6NETMASK0=64\n"
	    "IPADDR1=10.1.2.4\nNETMASK1=255.0.0.0\n"
	    "IPV6ADDR1=fe80::3\nIPV6NETMASK1=48\n"
	    "GATEWAY0=10.1.2.254\nIPV6_DEFAULTGW0=fe80::2\n"
	    "DNS0=9.9.9.9\nDNS1=::8\n"));
	check_file("log", "sysrc -x ifconfig_hn0_alias0\n"
	    "sysrc -x ifconfig_hn0_alias1\n"
	    "sysrc ifconfig_hn0=inet 10.1.2.3 netmask 255.255.255.0\n"
	    "sysrc ifconfig_hn0_alias0=inet 10.1.2.4 netmask 255.0.0.0\n"
	    "sysrc ifconfig_hn0_ipv6=inet6 fe80::1 prefixlen 64\n"
	    "sysrc ifconfig_hn0_alias1=inet6 fe80::3 prefixlen 48\n"
	    "sysrc defaultrouter=10.1.2.254\n"
	    "sysrc ipv6_defaultrouter=fe80::2\n"
	    "resolvconf -a hn0\nnameserver 9.9.9.9\nnameserver ::8\n"
	    "service netif restart hn0\nservice routing restart\n");
	ATF_CHECK_EQ(0, configure("DEVICE=hn0\nBOOTPROTO=dhcp\n"));
	/* That command it does not wait for. */
	ATF_CHECK_EQ(0, system("for i in $(seq 100); do "
	    "grep -q '^service netif restart hn0$' log && exit 0; "
	    "sleep 0.1; done; exit 1"));
	check_file("log", "sysrc -x ifconfig_hn0_alias0\n"
	    "sysrc -x ifconfig_hn0_alias1\nsysrc ifconfig_hn0=DHCP\n"
	    "service netif restart hn0\n");
	ATF_CHECK(configure("BOOTPROTO=dhcp\n") != 0);
	ATF_CHECK(configure("DEVICE=hn0;x\nBOOTPROTO=dhcp\n") != 0);
	ATF_CHECK(access("log", F_OK) != 0);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, set_address);
	ATF_TP_ADD_TC(tp, set_nonsense);
	ATF_TP_ADD_TC(tp, set_fails);
	ATF_TP_ADD_TC(tp, script_inherits);
	ATF_TP_ADD_TC(tp, readonly);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, one_at_a_time);
	ATF_TP_ADD_TC(tp, signals);
	ATF_TP_ADD_TC(tp, start_fails);
	ATF_TP_ADD_TC(tp, idle);
	ATF_TP_ADD_TC(tp, helper_dies);
	ATF_TP_ADD_TC(tp, script);
	return (atf_no_error());
}
