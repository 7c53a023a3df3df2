/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value pairs from the host's provider to hv_kvp_daemon(8) and back: every
 * operation and type, text of all kinds, a thousand keys, what the daemon makes
 * of the disk and of the system's network.
 */

#include <sys/stat.h>
#include <sys/utsname.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_kvp.h"

/* For a thousand keys; ThreadSanitizer takes its time. */
#if defined(__has_feature) && __has_feature(thread_sanitizer)
#define	THOUSAND_SECONDS	20
#else
#define	THOUSAND_SECONDS	2
#endif

static struct join_kvp jk;

static void
begin(void)
{

	join_kvp_start(&jk, 0);
	join_kvp_daemon(&jk);
}

ATF_TC_WITHOUT_HEAD(operations);
ATF_TC_BODY(operations, tc)
{
	static const enum hvh_kvp_pool pools[] = {
		HVH_KVP_EXTERNAL, HVH_KVP_GUEST, HVH_KVP_AUTO_EXTERNAL,
	};
	struct join_kvp_order o;
	char text[64], value[32];
	unsigned i;

	begin();
	for (i = 0; i < 3; i++) {
		snprintf(value, sizeof(value), "value of %u", pools[i]);
		ATF_CHECK_EQ(HVH_IC_NO_MORE, join_kvp_get(&jk, pools[i],
		    "key", text, sizeof(text)));
		ATF_CHECK_EQ(HVH_IC_NO_MORE, join_kvp_delete(&jk, pools[i],
		    "key"));
		ATF_CHECK_EQ(0, join_kvp_set(&jk, pools[i], "key", "old"));
		ATF_CHECK_EQ(0, join_kvp_set(&jk, pools[i], "other", ""));
		ATF_CHECK_EQ(0, join_kvp_set(&jk, pools[i], "key", value));
	}
	for (i = 0; i < 3; i++) {
		snprintf(value, sizeof(value), "value of %u", pools[i]);
		join_kvp_expect(&jk, pools[i], "key", value);
		join_kvp_expect(&jk, pools[i], "other", "");
		ATF_CHECK_EQ(0, join_kvp_enum(&jk, pools[i], 0, &o));
		ATF_CHECK_STREQ("key", o.key);
		ATF_CHECK_STREQ(value, o.text);
		ATF_CHECK_EQ(HVH_KVP_STRING, o.type);
		ATF_CHECK_EQ(2, join_kvp_count(&jk, pools[i]));
		ATF_CHECK_EQ(0, join_kvp_delete(&jk, pools[i], "key"));
		ATF_CHECK_EQ(HVH_IC_NO_MORE, join_kvp_get(&jk, pools[i],
		    "key", text, sizeof(text)));
		ATF_CHECK_EQ(1, join_kvp_count(&jk, pools[i]));
	}
	join_kvp_finish(&jk);
}

ATF_TC_WITHOUT_HEAD(types);
ATF_TC_BODY(types, tc)
{
	static const struct {
		struct hvh_kvp_item item;
		const char	*text;
	} rows[] = {
		{ { HVH_KVP_STRING, "s", "text", 0 }, "text" },
		{ { HVH_KVP_EXPAND, "e", "%PATH%;x", 0 }, "%PATH%;x" },
		{ { HVH_KVP_U32, "u", NULL, 4294967295 }, "4294967295" },
		{ { HVH_KVP_U64, "q", NULL, UINT64_MAX },
		    "18446744073709551615" },
	};
	struct join_kvp_order o;
	unsigned i;

	begin();
	for (i = 0; i < 4; i++) {
		join_kvp_begin(&o);
		ATF_REQUIRE_EQ(0, hvh_kvp_set(jk.ic, HVH_KVP_EXTERNAL,
		    &rows[i].item, join_kvp_done, &o));
		join_kvp_wait(&o, 5000);
		ATF_CHECK_EQ(0, o.error);
		ATF_CHECK_EQ(0, o.status);
		join_kvp_expect(&jk, HVH_KVP_EXTERNAL, rows[i].item.key,
		    rows[i].text);
	}
	join_kvp_finish(&jk);
}

/* Keys with what separates elsewhere, other scripts, and the longest. */
ATF_TC_WITHOUT_HEAD(texts);
ATF_TC_BODY(texts, tc)
{
	static const char *const keys[] = {
		" ", ";", "a;b=c", "line\nbreak\r\n",
		"tab\t\"quoted\" $(x) `y`",
		"../../etc/passwd", "/", ".", "k\xc3\xa4se", "\xe9\x8d\xb5",
		"\xf0\x9f\x94\x91", "\x01\x7f",
	};
	char key[256], value[1024];
	unsigned i, n;

	begin();
	n = sizeof(keys) / sizeof(keys[0]);
	for (i = 0; i < n; i++) {
		snprintf(value, sizeof(value), "%u:%s", i, keys[i]);
		ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, keys[i],
		    value));
	}
	for (i = 0; i < n; i++) {
		snprintf(value, sizeof(value), "%u:%s", i, keys[i]);
		join_kvp_expect(&jk, HVH_KVP_EXTERNAL, keys[i], value);
	}
	memset(key, 'k', 255);
	key[255] = '\0';
	memset(value, 'v', 1023);
	value[1023] = '\0';
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, key, value));
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, key, value);
	ATF_CHECK_EQ(n + 1, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	/* More bytes than a file's record has: refused, not cut. */
	for (i = 0; i < 200; i++)
		memcpy(value + 3 * i, "\xe9\x8d\xb5", 4);
	ATF_CHECK_EQ(HVH_IC_INVALID, join_kvp_set(&jk, HVH_KVP_EXTERNAL,
	    value, "v"));
	ATF_CHECK_EQ(n + 1, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_finish(&jk);
}

/* What no sound host sends; the service goes on. */
ATF_TC_WITHOUT_HEAD(nonsense);
ATF_TC_BODY(nonsense, tc)
{
	static uint8_t sound[2576], body[2576];
	static const struct {
		const char	*what;
		size_t		 len;
		unsigned	 ofs;
		uint8_t		 bytes[4];
		uint32_t	 status;
	} rows[] = {
		{ "nothing", 0, 0, { 1 }, HVH_IC_INVALID },
		{ "an operation alone", 1, 0, { 1 }, HVH_IC_INVALID },
		{ "cut short", 2575, 0, { 1 }, HVH_IC_INVALID },
		{ "operation", 2576, 0, { 6 }, HVH_IC_NOT_SUPPORTED },
		{ "pool", 2576, 1, { 5 }, HVH_IC_INVALID },
		{ "inner pool", 2576, 1, { 4 }, HVH_IC_NOT_SUPPORTED },
		{ "guest's facts", 2576, 1, { 2 }, HVH_IC_NOT_SUPPORTED },
		{ "type", 2576, 4, { 3 }, HVH_IC_INVALID },
		{ "key's size", 2576, 8, { 2, 2 }, HVH_IC_INVALID },
		{ "odd size", 2576, 8, { 3 }, HVH_IC_INVALID },
		{ "no key", 2576, 8, { 0 }, HVH_IC_INVALID },
		{ "huge key", 2576, 8, { 0xfe, 0xff, 0xff, 0xff },
		    HVH_IC_INVALID },
		{ "value's size", 2576, 12, { 2, 8 }, HVH_IC_INVALID },
		{ "huge value", 2576, 12, { 0xfe, 0xff, 0xff, 0xff },
		    HVH_IC_INVALID },
		{ "half a pair in the key", 2576, 16, { 0, 0xd8, 'k', 0 },
		    HVH_IC_INVALID },
		{ "half a pair in the value", 2576, 528, { 0, 0xdc, 0, 0 },
		    HVH_IC_INVALID },
	};
	struct join_kvp_order o;
	unsigned i;

	begin();
	/* SET, pool 0, string, key "ky", value "v". */
	memcpy(sound, "\1\0\0\0\1\0\0\0\6\0\0\0\4\0\0\0k\0y\0", 20);
	sound[528] = 'v';
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(body, sound, sizeof(body));
		memcpy(body + rows[i].ofs, rows[i].bytes,
		    rows[i].ofs < 4 ? 1 : 4);
		join_kvp_begin(&o);
		ATF_REQUIRE_EQ(0, hvh_ic_raw(jk.ic, 2, body, rows[i].len,
		    20000000000, join_kvp_done, &o));
		join_kvp_wait(&o, 20000);
		ATF_CHECK_EQ(0, o.error);
		ATF_CHECK_EQ_MSG(rows[i].status, o.status, "%s: %#x",
		    rows[i].what, o.status);
	}
	ATF_CHECK_EQ(0, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_ic_raw(jk.ic, 2, sound, sizeof(sound),
	    20000000000, join_kvp_done, &o));
	join_kvp_wait(&o, 20000);
	ATF_CHECK_EQ(0, o.status);
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, "ky", "v");
	join_kvp_finish(&jk);
}

/* Sets a thousand keys, to values of this kind; seconds. */
static double
set_thousand(const char *kind)
{
	struct timespec t0, t1;
	char key[32], value[32];
	unsigned i;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		snprintf(value, sizeof(value), "%s %u", kind, i);
		ATF_REQUIRE_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, key,
		    value));
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	return ((double)(t1.tv_sec - t0.tv_sec) +
	    (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
}

ATF_TC_WITHOUT_HEAD(thousand);
ATF_TC_BODY(thousand, tc)
{
	char key[32], value[32];
	double seconds;
	unsigned i;

	begin();
	seconds = set_thousand("value");
	printf("1,000 keys in %.2f s\n", seconds);
	ATF_CHECK(seconds < THOUSAND_SECONDS);
	seconds = set_thousand("other");
	printf("and changed in %.2f s\n", seconds);
	ATF_CHECK(seconds < THOUSAND_SECONDS);
	ATF_CHECK_EQ(1000, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_kill(&jk, SIGKILL);
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(1000, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	for (i = 0; i < 1000; i += 37) {
		snprintf(key, sizeof(key), "key %u", i);
		snprintf(value, sizeof(value), "other %u", i);
		join_kvp_expect(&jk, HVH_KVP_EXTERNAL, key, value);
	}
	join_kvp_finish(&jk);
}

/* The first ten by their places, as hosts know them. */
ATF_TC_WITHOUT_HEAD(facts);
ATF_TC_BODY(facts, tc)
{
	static const char *const names[] = {
		"FullyQualifiedDomainName", "IntegrationServicesVersion",
		"NetworkAddressIPv4", "NetworkAddressIPv6", "OSBuildNumber",
		"OSName", "OSMajorVersion", "OSMinorVersion", "OSVersion",
		"ProcessorArchitecture", "SystemUptime",
	};
	struct join_kvp_order o;
	struct utsname un;
	char text[4096];
	unsigned i, n;

	begin();
	ATF_REQUIRE_EQ(0, uname(&un));
	n = sizeof(names) / sizeof(names[0]);
	for (i = 0; i < n; i++) {
		ATF_CHECK_EQ(0, join_kvp_enum(&jk, HVH_KVP_AUTO, i, &o));
		ATF_CHECK_STREQ(names[i], o.key);
		if (i == 0)
			ATF_CHECK_EQ(0, strncmp(o.text, un.nodename,
			    strlen(un.nodename)));
		if (i == 4)
			ATF_CHECK_STREQ(un.release, o.text);
		if (i == 9)
			ATF_CHECK_STREQ(un.machine, o.text);
	}
	ATF_CHECK_EQ(HVH_IC_NO_MORE, join_kvp_enum(&jk, HVH_KVP_AUTO, n, &o));
	ATF_CHECK_EQ(0, join_kvp_get(&jk, HVH_KVP_AUTO, "OSMajorVersion",
	    text, sizeof(text)));
	ATF_CHECK_EQ(atoi(un.release), atoi(text));
	ATF_CHECK_EQ(HVH_IC_NO_MORE, join_kvp_get(&jk, HVH_KVP_AUTO,
	    "NoSuchFact", text, sizeof(text)));
	join_kvp_finish(&jk);
}

static void
script(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	(void)mkdir("scripts", 0755);
	snprintf(path, sizeof(path), "scripts/%s", name);
	f = fopen(path, "w");
	ATF_REQUIRE(f != NULL);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	ATF_REQUIRE_EQ(0, chmod(path, 0755));
}

/* The loopback interface stands for an adapter: Linux gives it a MAC of zero */
ATF_TC_WITHOUT_HEAD(ip_get);
ATF_TC_BODY(ip_get, tc)
{
	struct join_kvp_order o;

	script("hv_get_dns_info", "echo 1.2.3.4; echo 'rm -rf /'; echo ::5");
	script("hv_get_dhcp_info", "[ $1 = lo ] && echo Enabled");
	script("hv_get_gateway_info", "echo 10.0.0.254");
	begin();
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(jk.ic, "00:00:00:00:00:00",
	    join_kvp_done, &o));
	join_kvp_wait(&o, 20000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(0, o.status);
	ATF_CHECK_EQ(1, o.ip.ip_family & 1);
	ATF_CHECK_EQ(1, o.ip.ip_dhcp);
	ATF_CHECK_EQ_MSG(0, strncmp(o.ip.ip_addr, "127.0.0.1", 9), "%s",
	    o.ip.ip_addr);
	ATF_CHECK_EQ_MSG(0, strncmp(o.ip.ip_subnet, "255.0.0.0", 9), "%s",
	    o.ip.ip_subnet);
	ATF_CHECK_STREQ("10.0.0.254", o.ip.ip_gateway);
	ATF_CHECK_STREQ("1.2.3.4;::5", o.ip.ip_dns);

	/* None has this one. */
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(jk.ic, "02:00:5E:10:00:01",
	    join_kvp_done, &o));
	join_kvp_wait(&o, 20000);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
	join_kvp_finish(&jk);
}

/* A script that hangs costs the host an answer, and that in time. */
ATF_TC_WITHOUT_HEAD(ip_hangs);
ATF_TC_BODY(ip_hangs, tc)
{
	struct join_kvp_order o;

	script("hv_get_dns_info", "sleep 1000");
	script("hv_get_dhcp_info", "sleep 1000 & echo Enabled");
	begin();
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(jk.ic, "00:00:00:00:00:00",
	    join_kvp_done, &o));
	join_kvp_wait(&o, 6000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(0, o.status);
	ATF_CHECK_STREQ("", o.ip.ip_dns);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	join_kvp_finish(&jk);
}

/* The host names an adapter by its GUID; the daemon hears the interface. */
ATF_TC_WITHOUT_HEAD(ip_adapter);
ATF_TC_BODY(ip_adapter, tc)
{
	struct hvh_kvp_ip ip = {
		.adapter = "{5A0C7A60-5D3C-4F0E-8E0A-000000000001}",
		.family = 1, .addresses = "10.1.2.3", .subnets = "255.0.0.0",
		.gateways = "10.0.0.1", .dns = "8.8.8.8",
	};
	struct hv_kvp_dev_msg km;
	struct join_kvp_order o;
	int fd;

	join_kvp_start(&jk, 2);
	fd = join_kvp_open(true);
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_set_ip(jk.ic, &ip, join_kvp_done, &o));
	join_kvp_take(fd, &km);
	ATF_CHECK_EQ(HV_KVP_DEV_SET_IP, km.km_op);
	ATF_CHECK_STREQ("hn1", km.km_ip.ip_adapter);
	ATF_CHECK_STREQ("10.1.2.3", km.km_ip.ip_addr);
	ATF_CHECK_STREQ("255.0.0.0", km.km_ip.ip_subnet);
	ATF_CHECK_STREQ("10.0.0.1", km.km_ip.ip_gateway);
	ATF_CHECK_STREQ("8.8.8.8", km.km_ip.ip_dns);
	ATF_CHECK_EQ(1, km.km_ip.ip_family);
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.status);

	/* One that is not there, and what is no GUID: not for the daemon. */
	ip.adapter = "{5A0C7A60-5D3C-4F0E-8E0A-0000000000FF}";
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_set_ip(jk.ic, &ip, join_kvp_done, &o));
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_NOT_FOUND, o.status);
	ip.adapter = "hn0";
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_set_ip(jk.ic, &ip, join_kvp_done, &o));
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_NOT_FOUND, o.status);
	close(fd);
	join_kvp_finish(&jk);
}

/* A file that was damaged: the good records stay, and it can be changed. */
ATF_TC_WITHOUT_HEAD(damaged);
ATF_TC_BODY(damaged, tc)
{
	static char rec[3][2560];
	struct stat st;
	int fd;

	ATF_REQUIRE_EQ(0, mkdir(JOIN_KVP_POOLS, 0755));
	fd = open(JOIN_KVP_POOLS "/.kvp_pool_0", O_WRONLY | O_CREAT, 0644);
	ATF_REQUIRE(fd >= 0);
	strcpy(rec[0], "one");
	strcpy(rec[0] + 512, "1");
	memset(rec[1], 0xff, sizeof(rec[1]));
	strcpy(rec[2], "three");
	strcpy(rec[2] + 512, "3");
	ATF_REQUIRE_EQ(sizeof(rec), write(fd, rec, sizeof(rec)));
	ATF_REQUIRE_EQ(1000, write(fd, rec, 1000));
	close(fd);
	begin();
	ATF_CHECK_EQ(2, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, "one", "1");
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, "three", "3");
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "four", "4"));
	join_kvp_kill(&jk, SIGKILL);
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(3, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, "four", "4");
	ATF_CHECK_EQ(0, stat(JOIN_KVP_POOLS "/.kvp_pool_0", &st));
	ATF_CHECK_EQ(3 * 2560, st.st_size);
	ATF_CHECK_EQ(0, stat(JOIN_KVP_POOLS "/.kvp_pool_0.damaged", &st));
	ATF_CHECK_EQ(3 * 2560 + 1000, st.st_size);
	join_kvp_finish(&jk);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, operations);
	ATF_TP_ADD_TC(tp, types);
	ATF_TP_ADD_TC(tp, texts);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, thousand);
	ATF_TP_ADD_TC(tp, facts);
	ATF_TP_ADD_TC(tp, ip_get);
	ATF_TP_ADD_TC(tp, ip_hangs);
	ATF_TP_ADD_TC(tp, ip_adapter);
	ATF_TP_ADD_TC(tp, damaged);
	return (atf_no_error());
}
