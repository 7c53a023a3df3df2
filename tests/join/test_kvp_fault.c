/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the host hears when the daemon is not there, ends, hangs or lies, and
 * when the driver goes: one answer to each request, in time.
 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join_kvp.h"

static struct join_kvp jk;

static const struct hvh_kvp_item item = {
	.type = HVH_KVP_STRING, .key = "key", .text = "value",
};

static void
start_set(struct join_kvp_order *o)
{

	join_kvp_begin(o);
	ATF_REQUIRE_EQ(0, hvh_kvp_set(jk.ic, HVH_KVP_EXTERNAL, &item,
	    join_kvp_done, o));
}

static void
set_sysctl(const char *name, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "dev.hvkvp.0.%s", name);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set(path, value));
}

/* The connection's end, or true if there is something to read. */
static bool
hangs_up(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char c;

	ATF_REQUIRE_EQ(1, poll(&pfd, 1, 20000));
	return (read(fd, &c, sizeof(c)) <= 0);
}

/* Versions are agreed on before a daemon is there; a request waits for it. */
ATF_TC_WITHOUT_HEAD(waits_for_daemon);
ATF_TC_BODY(waits_for_daemon, tc)
{
	struct join_kvp_order o;

	join_kvp_start(&jk, 0);
	start_set(&o);
	usleep(300000);
	ATF_CHECK(!join_kvp_over(&o));
	join_kvp_daemon(&jk);
	join_kvp_wait(&o, 20000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(0, o.status);
	join_kvp_expect(&jk, HVH_KVP_EXTERNAL, "key", "value");
	join_kvp_finish(&jk);
}

ATF_TC_WITHOUT_HEAD(no_daemon);
ATF_TC_BODY(no_daemon, tc)
{
	struct join_kvp_order o;

	join_kvp_start(&jk, 0);
	set_sysctl("boot_timeout", "1");
	start_set(&o);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvkvp.0.timeouts"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvkvp.0.program"));
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	join_kvp_finish(&jk);
}

/* Killed while idle: a request meanwhile waits for the next one. */
ATF_TC_WITHOUT_HEAD(restarted);
ATF_TC_BODY(restarted, tc)
{
	struct join_kvp_order o;
	char text[64];
	unsigned i;

	join_kvp_start(&jk, 0);
	for (i = 0; i < 4; i++) {
		join_kvp_daemon(&jk);
		snprintf(text, sizeof(text), "%u", i);
		ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, text,
		    text));
		join_kvp_kill(&jk, i % 2 == 0 ? SIGKILL : SIGTERM);
	}
	start_set(&o);
	usleep(100000);
	ATF_CHECK(!join_kvp_over(&o));
	join_kvp_daemon(&jk);
	join_kvp_wait(&o, 20000);
	ATF_CHECK_EQ(0, o.status);
	ATF_CHECK_EQ(5, join_kvp_count(&jk, HVH_KVP_EXTERNAL));
	join_kvp_kill(&jk, SIGKILL);
	/* And for as long only as for an answer. */
	set_sysctl("timeout", "1");
	start_set(&o);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
	join_kvp_finish(&jk);
}

/* Ends with a request in its hands: the host hears of it at once. */
ATF_TC_WITHOUT_HEAD(ends_with_request);
ATF_TC_BODY(ends_with_request, tc)
{
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km;
	int fd;

	join_kvp_start(&jk, 0);
	fd = join_kvp_open(true);
	start_set(&o);
	join_kvp_take(fd, &km);
	join_kvp_close(&jk, fd);
	join_kvp_wait(&o, 3000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	join_kvp_finish(&jk);
}

/* A real one, stopped at any point of its work, then killed. */
ATF_TC_WITHOUT_HEAD(killed_while_busy);
ATF_TC_BODY(killed_while_busy, tc)
{
	struct join_kvp_order o;
	char key[32], text[64];
	unsigned done, i;
	uint32_t status;

	join_kvp_start(&jk, 0);
	done = 0;
	for (i = 0; i < 20; i++) {
		struct hvh_kvp_item it = {
			.type = HVH_KVP_STRING, .key = key, .text = "v",
		};

		join_kvp_daemon(&jk);
		snprintf(key, sizeof(key), "key %u", i);
		join_kvp_begin(&o);
		ATF_REQUIRE_EQ(0, hvh_kvp_set(jk.ic, HVH_KVP_EXTERNAL, &it,
		    join_kvp_done, &o));
		usleep(i * 300);
		join_kvp_kill(&jk, SIGKILL);
		/* What it had not got yet waits for the next. */
		join_kvp_daemon(&jk);
		join_kvp_wait(&o, 20000);
		ATF_CHECK_EQ(0, o.error);
		status = join_kvp_get(&jk, HVH_KVP_EXTERNAL, key, text,
		    sizeof(text));
		if (o.status == 0) {
			done++;
			ATF_CHECK_EQ_MSG(0, status, "%s is lost", key);
			ATF_CHECK_STREQ("v", text);
		} else
			ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
		join_kvp_kill(&jk, SIGKILL);
	}
	join_kvp_daemon(&jk);
	printf("%u of 20 were answered\n", done);
	ATF_CHECK(join_kvp_count(&jk, HVH_KVP_EXTERNAL) >= done);
	join_kvp_finish(&jk);
}

/* Never answers; and when it does at last, that goes nowhere. */
ATF_TC_WITHOUT_HEAD(never_answers);
ATF_TC_BODY(never_answers, tc)
{
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km, late;
	int fd;

	join_kvp_start(&jk, 0);
	set_sysctl("timeout", "1");
	fd = join_kvp_open(true);
	start_set(&o);
	join_kvp_take(fd, &late);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);

	set_sysctl("timeout", "5");
	start_set(&o);
	join_kvp_take(fd, &km);
	ATF_CHECK(km.km_id != late.km_id);
	join_kvp_answer(fd, &late, HV_KVP_DEV_OK);
	join_kvp_answer(fd, &late, HV_KVP_DEV_OK);
	usleep(100000);
	ATF_CHECK(!join_kvp_over(&o));
	join_kvp_answer(fd, &km, HV_KVP_DEV_FULL);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, o.status);
	ATF_CHECK_EQ(2, join_sysctl("dev.hvkvp.0.late"));
	/* Twice, and to nothing. */
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	start_set(&o);
	join_kvp_take(fd, &km);
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.status);
	close(fd);
	join_kvp_finish(&jk);
}

ATF_TC_WITHOUT_HEAD(statuses);
ATF_TC_BODY(statuses, tc)
{
	static const uint32_t want[] = {
		0, HVH_IC_NO_MORE, HVH_IC_FAIL, HVH_IC_NOT_SUPPORTED,
		HVH_IC_INVALID, HVH_IC_DISK_FULL, HVH_IC_NOT_FOUND,
		HVH_IC_FAIL,
	};
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km;
	unsigned i;
	int fd;

	join_kvp_start(&jk, 0);
	fd = join_kvp_open(true);
	for (i = 0; i < 8; i++) {
		start_set(&o);
		join_kvp_take(fd, &km);
		join_kvp_answer(fd, &km, i);
		join_kvp_wait(&o, 5000);
		ATF_CHECK_EQ(want[i], o.status);
	}
	start_set(&o);
	join_kvp_take(fd, &km);
	join_kvp_answer(fd, &km, UINT32_MAX);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_FAIL, o.status);
	close(fd);
	join_kvp_finish(&jk);
}

/* Text without an end, in an answer: the host gets what there is of it. */
ATF_TC_WITHOUT_HEAD(endless_text);
ATF_TC_BODY(endless_text, tc)
{
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km;
	int fd;

	join_kvp_start(&jk, 0);
	fd = join_kvp_open(true);
	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_enumerate(jk.ic, HVH_KVP_GUEST, 7,
	    join_kvp_done, &o));
	join_kvp_take(fd, &km);
	ATF_CHECK_EQ(7, km.km_kv.kv_index);
	memset(&km.km_kv, 'x', sizeof(km.km_kv));
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ(0, o.status);
	ATF_CHECK_EQ(255, strlen(o.key));
	ATF_CHECK_EQ(1023, strlen(o.text));
	close(fd);
	join_kvp_finish(&jk);
}

/* One process at a time, which says what it knows before anything else. */
ATF_TC_WITHOUT_HEAD(strangers);
ATF_TC_BODY(strangers, tc)
{
	struct hv_kvp_dev_msg km = {
		.km_type = HV_KVP_DEV_REGISTER, .km_version = 2,
	};
	struct join_kvp_order o;
	int fd, other;

	join_kvp_start(&jk, 0);
	start_set(&o);
	fd = join_kvp_open(false);
	ATF_REQUIRE_EQ(sizeof(km), write(fd, &km, sizeof(km)));
	ATF_CHECK(hangs_up(fd));
	join_kvp_close(&jk, fd);
	km.km_version = HV_KVP_DEV_VERSION;
	km.km_type = HV_KVP_DEV_ANSWER;
	fd = join_kvp_open(false);
	ATF_REQUIRE_EQ(sizeof(km), write(fd, &km, sizeof(km)));
	ATF_CHECK(hangs_up(fd));
	join_kvp_close(&jk, fd);
	fd = join_kvp_open(false);
	ATF_REQUIRE_EQ(100, write(fd, &km, 100));
	ATF_CHECK(hangs_up(fd));
	join_kvp_close(&jk, fd);
	ATF_CHECK(!join_kvp_over(&o));

	fd = join_kvp_open(true);
	join_kvp_take(fd, &km);
	other = join_kvp_open(false);
	ATF_CHECK(hangs_up(other));
	close(other);
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(0, o.status);
	/* To register twice is no answer. */
	km.km_type = HV_KVP_DEV_REGISTER;
	ATF_REQUIRE_EQ(sizeof(km), write(fd, &km, sizeof(km)));
	ATF_CHECK(hangs_up(fd));
	join_kvp_close(&jk, fd);
	join_kvp_finish(&jk);
}

/* The driver goes: with a request in the daemon's hands, or waiting for one. */
static void
unload(bool taken)
{
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km;
	int fd = -1;

	join_kvp_start(&jk, 0);
	if (taken)
		fd = join_kvp_open(true);
	start_set(&o);
	if (taken)
		join_kvp_take(fd, &km);
	else
		usleep(100000);
	ATF_CHECK_EQ(0, vm_unload());
	join_kvp_wait(&o, 5000);
	ATF_CHECK_MSG(o.error != 0 || o.status == HVH_IC_FAIL,
	    "status %#x", o.status);
	if (taken) {
		ATF_CHECK(hangs_up(fd));
		close(fd);
	}
	/* It comes again, and works. */
	ATF_CHECK_EQ(0, vm_load());
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	join_kvp_finish(&jk);
}

ATF_TC_WITHOUT_HEAD(unload_taken);
ATF_TC_BODY(unload_taken, tc)
{

	unload(true);
}

ATF_TC_WITHOUT_HEAD(unload_waiting);
ATF_TC_BODY(unload_waiting, tc)
{

	unload(false);
}

/* The daemon sees its device go, and ends without complaint. */
ATF_TC_WITHOUT_HEAD(unload_daemon);
ATF_TC_BODY(unload_daemon, tc)
{

	join_kvp_start(&jk, 0);
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	ATF_CHECK_EQ(0, vm_unload());
	join_kvp_gone(&jk);
	ATF_CHECK_EQ(0, vm_load());
	join_kvp_finish(&jk);
}

static bool
agreed(void *arg)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(arg, &ii);
	return (ii.state == HVH_IC_READY);
}

/* The machine sleeps with a request in the daemon's hands. */
ATF_TC_WITHOUT_HEAD(sleeps);
ATF_TC_BODY(sleeps, tc)
{
	struct join_kvp_order o;
	struct hv_kvp_dev_msg km;
	int fd;

	join_kvp_start(&jk, 0);
	fd = join_kvp_open(true);
	start_set(&o);
	join_kvp_take(fd, &km);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	join_kvp_wait(&o, 20000);
	ATF_CHECK(o.error != 0);
	ATF_REQUIRE_EQ(0, kpi_resume());
	ATF_REQUIRE(join_wait(agreed, jk.ic, 20000));
	/* The answer goes nowhere; the next is one. */
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	start_set(&o);
	join_kvp_take(fd, &km);
	join_kvp_answer(fd, &km, HV_KVP_DEV_NOTFOUND);
	join_kvp_wait(&o, 5000);
	ATF_CHECK_EQ(HVH_IC_NO_MORE, o.status);
	close(fd);
	join_kvp_finish(&jk);
}

/* Each allocation and thread fails once while the driver is loaded. */
ATF_TC_WITHOUT_HEAD(attach_fails);
ATF_TC_BODY(attach_fails, tc)
{

	join_kvp_start(&jk, 0);
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_utils"));
	ATF_CHECK(join_refuse_each(agreed, jk.ic) > 10);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	ATF_REQUIRE(join_wait(agreed, jk.ic, 20000));
	join_kvp_daemon(&jk);
	ATF_CHECK_EQ(0, join_kvp_set(&jk, HVH_KVP_EXTERNAL, "key", "value"));
	join_kvp_finish(&jk);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, waits_for_daemon);
	ATF_TP_ADD_TC(tp, no_daemon);
	ATF_TP_ADD_TC(tp, restarted);
	ATF_TP_ADD_TC(tp, ends_with_request);
	ATF_TP_ADD_TC(tp, killed_while_busy);
	ATF_TP_ADD_TC(tp, never_answers);
	ATF_TP_ADD_TC(tp, statuses);
	ATF_TP_ADD_TC(tp, endless_text);
	ATF_TP_ADD_TC(tp, strangers);
	ATF_TP_ADD_TC(tp, unload_taken);
	ATF_TP_ADD_TC(tp, unload_waiting);
	ATF_TP_ADD_TC(tp, unload_daemon);
	ATF_TP_ADD_TC(tp, sleeps);
	ATF_TP_ADD_TC(tp, attach_fails);
	return (atf_no_error());
}
