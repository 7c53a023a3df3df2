/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What goes wrong while drivers attach: hosts that do not answer, answer
 * nonsense, twice or cut short, or take the device away; memory, DMA and
 * threads that cannot be had.  Each time the attempt must end, leave nothing
 * behind, and the next one on a sane machine must work.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join.h"

/* Channel messages and VSTOR operations (protocol: vmbus 2.1, storvsc 3). */
enum {
	MSG_OFFER = 1, MSG_RESCIND = 2, MSG_REQUEST_OFFERS = 3,
	MSG_ALL_OFFERS = 4, MSG_OPEN = 5, MSG_OPEN_RESULT = 6,
	MSG_GPADL_HEADER = 8, MSG_GPADL_CREATED = 10,
	MSG_GPADL_TEARDOWN = 11, MSG_GPADL_TORNDOWN = 12,
	MSG_CONTACT = 14, MSG_VERSION = 15, MSG_UNLOAD_RESPONSE = 17,
	OP_COMPLETE_IO = 1, OP_EXECUTE_SRB = 3, OP_BEGIN = 7, OP_END = 8,
	OP_VERSION = 9, OP_PROPERTIES = 10, OP_SUBCHANNELS = 13,
};

static kpi_u64 baseline;

/* What modules are there go; memory is as before the first load. */
static void
unload(void)
{
	int error = join_unload(baseline);

	ATF_REQUIRE_MSG(error == 0 || error == ENOENT,
	    "the drivers do not unload: error %d", error);
}

static void
start(struct join *j, struct join_config *cf)
{

	cf->no_load = true;
	cf->fast_clock = true;
	if (cf->vm.console == NULL)
		cf->vm.quiet = getenv("JOIN_VERBOSE") == NULL;
	join_start(j, cf);
	/*
	 * Once for what the kernel keeps for good (types, devclasses): also of
	 * those that look at a controller that has no driver yet.
	 */
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_keyboard"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_netvsc"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_storvsc"));
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	ATF_REQUIRE_EQ(0, vm_unload());
	baseline = join_settled();
}

/* After faults are gone the machine must work. */
static void
check_sane(struct join *j)
{

	hvh_fault_clear(j->host);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_verify("da0", 0, 65536, 1);
	ATF_REQUIRE_EQ(0, vm_unload());
}

static void
finish(struct join *j)
{

	check_sane(j);
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(j);
}

/* One attempt under whatever faults are set, then a sane one. */
static void
attempt(struct join *j)
{

	(void)vm_load();
	/* Either the disk comes or it does not; the probe must settle. */
	(void)kpi_disk_wait("da0", 300);
	unload();
	check_sane(j);
}

ATF_TC(silence);
ATF_TC_HEAD(silence, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that never answers one kind of "
	    "request: the attempt is bounded in time");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(silence, tc)
{
	static const uint32_t type[] = { MSG_VERSION, MSG_ALL_OFFERS,
	    MSG_GPADL_CREATED, MSG_OPEN_RESULT };
	struct join_config cf = { .subchannels = 1 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		printf("no message %u\n", type[i]);
		join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, type[i], 0,
		    1, 0);
		attempt(&j);
		join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, type[i], 0,
		    0, 0);
		attempt(&j);
	}
	finish(&j);
}

ATF_TC(silence_vstor);
ATF_TC_HEAD(silence_vstor, tc)
{
	atf_tc_set_md_var(tc, "descr", "each step of the storage handshake "
	    "unanswered");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(silence_vstor, tc)
{
	static const uint32_t op[] = { OP_BEGIN, OP_VERSION, OP_PROPERTIES,
	    OP_END, OP_SUBCHANNELS };
	struct join_config cf = { .subchannels = 1 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		printf("no answer to operation %u\n", op[i]);
		join_fault(&j, HVH_FAULT_PKT_IN, HVH_FAULT_DROP, op[i], 0, 0,
		    0);
		attempt(&j);
	}
	finish(&j);
}

ATF_TC(messages_twice);
ATF_TC_HEAD(messages_twice, tc)
{
	atf_tc_set_md_var(tc, "descr", "every message of the host twice");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(messages_twice, tc)
{
	struct join_config cf = { .subchannels = 1 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	/*
	 * Often: now and then the second unload response reaches the message
	 * page in the last moment before that is turned off, and must not
	 * stand in the way of the next connection.
	 */
	for (i = 0; i < 50; i++) {
		join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DUP,
		    HVH_FAULT_ANY, 0, 0, 0);
		attempt(&j);
	}
	finish(&j);
}

ATF_TC(messages_cut);
ATF_TC_HEAD(messages_cut, tc)
{
	atf_tc_set_md_var(tc, "descr", "each message of the host cut short");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(messages_cut, tc)
{
	static const struct {
		uint32_t	type, full;
	} msg[] = {
		{ MSG_VERSION, 16 }, { MSG_OFFER, 196 }, { MSG_ALL_OFFERS, 8 },
		{ MSG_GPADL_CREATED, 20 }, { MSG_OPEN_RESULT, 20 },
	};
	struct join_config cf = { 0 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < sizeof(msg) / sizeof(msg[0]); i++) {
		join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_TRUNCATE,
		    msg[i].type, 0, 1, 0);
		attempt(&j);
		join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_TRUNCATE,
		    msg[i].type, 0, 1, msg[i].full - 4);
		attempt(&j);
	}
	finish(&j);
}

ATF_TC(message_fields);
ATF_TC_HEAD(message_fields, tc)
{
	atf_tc_set_md_var(tc, "descr", "each field of the host's messages out "
	    "of range");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(message_fields, tc)
{
	static const struct {
		uint32_t	type, offset, len;
		uint64_t	value;
	} field[] = {
		{ MSG_OFFER, 0, 4, 0 }, { MSG_OFFER, 0, 4, 0xffff },
		{ MSG_OFFER, 8, 8, 0 }, { MSG_OFFER, 56, 2, 0xffff },
		{ MSG_OFFER, 180, 2, 1 }, { MSG_OFFER, 180, 2, 0xffff },
		{ MSG_OFFER, 184, 4, 0 }, { MSG_OFFER, 184, 4, 2048 },
		{ MSG_OFFER, 184, 4, 0xffffffff },
		{ MSG_OFFER, 188, 2, 0x01ff }, { MSG_OFFER, 188, 2, 0x0180 },
		{ MSG_OFFER, 190, 2, 0 }, { MSG_OFFER, 192, 4, 0xffffffff },
		{ MSG_VERSION, 8, 1, 0 }, { MSG_VERSION, 8, 1, 0xff },
		{ MSG_VERSION, 9, 1, 1 }, { MSG_VERSION, 9, 1, 0xff },
		{ MSG_VERSION, 12, 4, 0xffffffff },
		{ MSG_GPADL_CREATED, 8, 4, 0xffffffff },
		{ MSG_GPADL_CREATED, 12, 4, 0xffffffff },
		{ MSG_GPADL_CREATED, 16, 4, 0xc0000001 },
		{ MSG_OPEN_RESULT, 8, 4, 0xffffffff },
		{ MSG_OPEN_RESULT, 12, 4, 0xffffffff },
		{ MSG_OPEN_RESULT, 16, 4, 0xc0000001 },
	};
	struct join_config cf = { 0 };
	struct hvh_fault f = { .point = HVH_FAULT_MSG_OUT,
	    .action = HVH_FAULT_CORRUPT, .times = 1 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		printf("message %u offset %u value %#jx\n", field[i].type,
		    field[i].offset, (uintmax_t)field[i].value);
		f.key = field[i].type;
		f.offset = field[i].offset;
		f.len = field[i].len;
		f.arg = field[i].value;
		ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
		attempt(&j);
	}
	finish(&j);
}

ATF_TC(handshake_fields);
ATF_TC_HEAD(handshake_fields, tc)
{
	atf_tc_set_md_var(tc, "descr", "each field of the storage handshake's "
	    "answers out of range, at each step");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(handshake_fields, tc)
{
	static const struct {
		uint32_t	offset, len;
		uint64_t	value;
	} field[] = {
		{ 0, 4, 0xffffffff }, { 0, 4, 11 }, { 4, 4, 0xffffffff },
		{ 8, 4, 0xc0000001 }, { 16, 2, 0xffff }, { 20, 4, 0xffffffff },
		{ 24, 4, 0 }, { 24, 4, 0xffffffff }, { 24, 4, 511 },
	};
	struct join_config cf = { .subchannels = 1 };
	struct hvh_fault f = { .point = HVH_FAULT_PKT_OUT,
	    .action = HVH_FAULT_CORRUPT, .key = OP_COMPLETE_IO, .times = 1 };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		for (f.skip = 0; f.skip < 5; f.skip++) {
			f.offset = field[i].offset;
			f.len = field[i].len;
			f.arg = field[i].value;
			printf("answer %u offset %u value %#jx\n", f.skip,
			    f.offset, (uintmax_t)f.arg);
			ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
			attempt(&j);
		}
	finish(&j);
}

ATF_TC(post_busy);
ATF_TC_HEAD(post_busy, tc)
{
	atf_tc_set_md_var(tc, "descr", "post message refused for a while is "
	    "tried again; refused for good, given up");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(post_busy, tc)
{
	struct join_config cf = { 0 };
	struct join j;

	start(&j, &cf);
	join_fault(&j, HVH_FAULT_POST, HVH_FAULT_STATUS, HVH_FAULT_ANY, 2, 5,
	    0x13);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	ATF_REQUIRE_EQ(0, vm_unload());
	hvh_fault_clear(j.host);
	join_fault(&j, HVH_FAULT_POST, HVH_FAULT_STATUS, HVH_FAULT_ANY, 0, 0,
	    0x13);
	attempt(&j);
	join_fault(&j, HVH_FAULT_POST, HVH_FAULT_STATUS, HVH_FAULT_ANY, 0, 0,
	    0x05);
	attempt(&j);
	finish(&j);
}

/* The n-th resource of one kind is refused, for every n there is. */
static void
check_nth(struct join *j, enum kpi_fail kind, unsigned least)
{
	unsigned n;

	for (n = 1;; n++) {
		kpi_fail_nth(kind, n);
		(void)vm_load();
		/* What did not fail while loading may while scanning. */
		if (!kpi_fail_hit(kind))
			(void)kpi_disk_wait("da0", 1000);
		if (!kpi_fail_hit(kind)) {
			kpi_fail_nth(kind, 0);
			break;
		}
		unload();
	}
	printf("%u points of failure\n", n - 1);
	ATF_CHECK_MSG(n - 1 >= least, "only %u points of failure", n - 1);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	unload();
	finish(j);
}

ATF_TC(nth_malloc);
ATF_TC_HEAD(nth_malloc, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th allocation fails, n = 1, 2, "
	    "3 ... until attach succeeds");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_malloc, tc)
{
	struct join_config cf = { .subchannels = 1 };
	struct join j;

	start(&j, &cf);
	check_nth(&j, KPI_FAIL_MALLOC, 3);
}

ATF_TC(nth_busdma);
ATF_TC_HEAD(nth_busdma, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th DMA tag, map or load fails");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_busdma, tc)
{
	struct join_config cf = { .subchannels = 1 };
	struct join j;

	start(&j, &cf);
	check_nth(&j, KPI_FAIL_BUSDMA, 2);
}

ATF_TC(nth_thread);
ATF_TC_HEAD(nth_thread, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th kernel thread cannot be had");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_thread, tc)
{
	struct join_config cf = { .subchannels = 1 };
	struct join j;

	start(&j, &cf);
	check_nth(&j, KPI_FAIL_THREAD, 1);
}

/*
 * A host that was told to unload and does not say that it has may still write
 * to the interrupt page and the two monitor pages: the driver leaves them to
 * it, three pages each time.  Nothing else may stay.
 */
#define	KEPT_PAGES	(3 * 4096)

static unsigned kept, kept_else;

static void
count_kept(void *arg, const char *line)
{
	unsigned bytes;

	if (sscanf(line, "leak: malloc type vmbus: %u bytes", &bytes) == 1 &&
	    bytes % KEPT_PAGES == 0)
		kept += bytes / KEPT_PAGES;
	else if (strncmp(line, "leak: ", 6) == 0) {
		printf("%s\n", line);
		kept_else++;
	}
}

/*
 * The n-th message of one direction fails, until a load and unload has none
 * left.  unloads: how many of them are the unload message or its answer.
 */
static void
check_nth_fault(enum hvh_fault_point point, enum hvh_fault_action action,
    uint64_t arg, unsigned least, unsigned unloads)
{
	struct join_config cf = { .subchannels = 1,
	    .vm = { .console = count_kept } };
	struct join j;
	uint64_t before;
	unsigned n, none;

	start(&j, &cf);
	/* One round may have a message less than others: it is not the end. */
	for (n = none = 0; none < 3;) {
		before = hvh_fault_count(j.host, point);
		join_fault(&j, point, action, HVH_FAULT_ANY, n, 1, arg);
		(void)vm_load();
		(void)kpi_disk_wait("da0", 300);
		unload();
		hvh_fault_clear(j.host);
		if (hvh_fault_count(j.host, point) != before) {
			none = 0;
			n++;
		} else {
			none++;
		}
	}
	printf("%u points of failure\n", n);
	ATF_CHECK_MSG(n >= least, "only %u points of failure", n);
	check_sane(&j);
	ATF_REQUIRE_EQ(0, vm_load());
	(void)join_end(&j);
	ATF_CHECK_EQ(0, kept_else);
	ATF_CHECK_MSG(kept >= unloads && kept <= 2 * unloads,
	    "%u times pages were kept", kept);
}

ATF_TC(nth_post);
ATF_TC_HEAD(nth_post, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th message that the guest posts "
	    "is refused for good");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_post, tc)
{

	check_nth_fault(HVH_FAULT_POST, HVH_FAULT_STATUS, 0x05, 8, 1);
}

ATF_TC(nth_message);
ATF_TC_HEAD(nth_message, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th message of the host is lost, "
	    "that of a detach included");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_message, tc)
{

	check_nth_fault(HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, 0, 8, 1);
}

ATF_TC(nth_answer);
ATF_TC_HEAD(nth_answer, tc)
{
	atf_tc_set_md_var(tc, "descr", "the n-th answer of the storage "
	    "provider is lost, handshake and scan");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(nth_answer, tc)
{

	check_nth_fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, 0, 10, 0);
}

/*
 * The device is rescinded as the host takes the n-th message of a kind from
 * the guest.  The controller is gone for good then: each case adds another.
 */
static void
check_rescind(enum hvh_fault_point point, const uint32_t *key, unsigned nkeys,
    uint32_t skips)
{
	struct join_config cf = { .subchannels = 1, .controllers = 1 };
	struct hvh_scsi_params sp = { .max_subchannels = 1 };
	struct join j;
	char guid[37];
	unsigned i, n = 0;
	uint32_t skip;

	start(&j, &cf);
	for (i = 0; i < nkeys; i++)
		for (skip = 0; skip < skips; skip++, n++) {
			printf("rescind at %u, after %u\n", key[i], skip);
			join_fault(&j, point, HVH_FAULT_RESCIND, key[i], skip,
			    1, 0);
			(void)vm_load();
			(void)kpi_disk_wait("da0", 300);
			unload();
			hvh_fault_clear(j.host);
			snprintf(guid, sizeof(guid),
			    "2b1d7a60-5d3c-4f0e-8e0b-00000000%04x", n);
			ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &sp.instance));
			ATF_REQUIRE_EQ(0, hvh_scsi_add(j.host, &sp,
			    &j.scsi[0]));
			join_attach(&j, 0, 0, j.disk_size);
		}
	finish(&j);
}

ATF_TC(rescind_attach);
ATF_TC_HEAD(rescind_attach, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescind at each bus message of an "
	    "attach");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(rescind_attach, tc)
{
	static const uint32_t key[] = { MSG_GPADL_HEADER, MSG_OPEN };

	check_rescind(HVH_FAULT_MSG_IN, key, 2, 2);
}

ATF_TC(rescind_handshake);
ATF_TC_HEAD(rescind_handshake, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescind at each step of the storage "
	    "handshake and of the scan");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(rescind_handshake, tc)
{
	static const uint32_t key[] = { OP_BEGIN, OP_VERSION, OP_PROPERTIES,
	    OP_END, OP_SUBCHANNELS, OP_EXECUTE_SRB };

	check_rescind(HVH_FAULT_PKT_IN, key, 6, 1);
}

ATF_TC(rescind_scan);
ATF_TC_HEAD(rescind_scan, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescind at each request of the scan");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(rescind_scan, tc)
{
	static const uint32_t key[] = { OP_EXECUTE_SRB };

	check_rescind(HVH_FAULT_PKT_IN, key, 1, 12);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, silence);
	ATF_TP_ADD_TC(tp, silence_vstor);
	ATF_TP_ADD_TC(tp, messages_twice);
	ATF_TP_ADD_TC(tp, messages_cut);
	ATF_TP_ADD_TC(tp, message_fields);
	ATF_TP_ADD_TC(tp, handshake_fields);
	ATF_TP_ADD_TC(tp, post_busy);
	ATF_TP_ADD_TC(tp, nth_malloc);
	ATF_TP_ADD_TC(tp, nth_busdma);
	ATF_TP_ADD_TC(tp, nth_thread);
	ATF_TP_ADD_TC(tp, nth_post);
	ATF_TP_ADD_TC(tp, nth_message);
	ATF_TP_ADD_TC(tp, nth_answer);
	ATF_TP_ADD_TC(tp, rescind_attach);
	ATF_TP_ADD_TC(tp, rescind_handshake);
	ATF_TP_ADD_TC(tp, rescind_scan);
	return (atf_no_error());
}
