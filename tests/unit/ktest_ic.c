/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Integration services: wire layout, with numbers as literals from protocol:
 * utilities, sections 2 to 5; and negotiations, good ones and others.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_ic_var.h>

#include "ktest.h"

#define	OFS(type, member)	__offsetof(struct type, member)

KTEST(ic_reg, "integration services: offsets from the pipe's header")
{

	KT_EQ(sizeof(struct hv_ic_hdr), 28);
	KT_EQ(OFS(hv_ic_hdr, ih_pipe_type), 0);
	KT_EQ(OFS(hv_ic_hdr, ih_pipe_len), 4);
	KT_EQ(OFS(hv_ic_hdr, ih_fw.iv_major), 8);
	KT_EQ(OFS(hv_ic_hdr, ih_fw.iv_minor), 10);
	KT_EQ(OFS(hv_ic_hdr, ih_type), 12);
	KT_EQ(OFS(hv_ic_hdr, ih_msg.iv_major), 14);
	KT_EQ(OFS(hv_ic_hdr, ih_msg.iv_minor), 16);
	KT_EQ(OFS(hv_ic_hdr, ih_size), 18);
	KT_EQ(OFS(hv_ic_hdr, ih_status), 20);
	KT_EQ(OFS(hv_ic_hdr, ih_id), 24);
	KT_EQ(OFS(hv_ic_hdr, ih_flags), 25);
	KT_EQ(28 + OFS(hv_ic_nego, in_fwcnt), 28);
	KT_EQ(28 + OFS(hv_ic_nego, in_msgcnt), 30);
	KT_EQ(28 + OFS(hv_ic_nego, in_versions), 36);
	KT_EQ(28 + OFS(hv_ic_heartbeat, hb_seq), 28);
	KT_EQ(28 + OFS(hv_ic_shutdown, sd_reason), 28);
	KT_EQ(28 + OFS(hv_ic_shutdown, sd_timeout), 32);
	KT_EQ(28 + OFS(hv_ic_shutdown, sd_flags), 36);
	KT_EQ(28 + OFS(hv_ic_timesync, ts_host), 28);
	KT_EQ(28 + OFS(hv_ic_timesync, ts_flags), 52);
	KT_EQ(28 + OFS(hv_ic_timesync4, t4_host), 28);
	KT_EQ(28 + OFS(hv_ic_timesync4, t4_ref), 36);
	KT_EQ(28 + OFS(hv_ic_timesync4, t4_flags), 44);
	KT_EQ(28 + OFS(hv_ic_timesync4, t4_leap), 45);
	KT_EQ(28 + OFS(hv_ic_timesync4, t4_stratum), 46);
}

KTEST(ic_reg_numbers, "integration services: types, flags, status")
{

	KT_EQ(HV_IC_MSG_MAX, 8 + 13312);
	KT_EQ(HV_IC_TYPE_NEGOTIATE, 0);
	KT_EQ(HV_IC_TYPE_HEARTBEAT, 1);
	KT_EQ(HV_IC_TYPE_KVP, 2);
	KT_EQ(HV_IC_TYPE_SHUTDOWN, 3);
	KT_EQ(HV_IC_TYPE_TIMESYNC, 4);
	KT_EQ(HV_IC_TYPE_VSS, 5);
	KT_EQ(HV_IC_TYPE_FCOPY, 7);
	KT_EQ(HV_IC_F_TRANSACTION, 1);
	KT_EQ(HV_IC_F_REQUEST, 2);
	KT_EQ(HV_IC_F_RESPONSE, 4);
	KT_EQ(HV_IC_S_FAIL, 0x80004005);
	KT_EQ(HV_IC_S_NOT_FOUND, 0x80041002);
	KT_EQ(HV_IC_S_NOT_SUPPORTED, 0x80070032);
	KT_EQ(HV_IC_S_EXISTS, 0x80070050);
	KT_EQ(HV_IC_S_INVALID_ARG, 0x80070057);
	KT_EQ(HV_IC_S_DISK_FULL, 0x80070070);
	KT_EQ(HV_IC_S_NO_MORE, 0x80070103);
	KT_EQ(HV_IC_S_LOCKED, 0x800704f7);
	KT_EQ(HV_IC_S_NOT_CONNECTED, 0x8007048f);
	KT_EQ(HV_IC_SD_FORCE, 1);
	KT_EQ(HV_IC_SD_RESTART, 2);
	KT_EQ(HV_IC_SD_HIBERNATE, 4);
	KT_EQ(HV_IC_TS_SYNC, 1);
	KT_EQ(HV_IC_TS_SAMPLE, 2);
	KT_EQ(HV_IC_TS_EPOCH, 116444736000000000);
}

/* A service with versions 3.0 and 1.0. */
static const uint32_t versions[] = {
	HV_IC_VERSION(3, 0), HV_IC_VERSION(1, 0)
};
static const struct hv_ic_service service = {
	.is_versions = versions, .is_nversions = nitems(versions),
};
static struct hv_ic_msg msg;

/*
 * A request that says it has nfw and nmsg versions, and is followed by those in
 * list (major << 16 | minor), all of which ends when 0 comes.
 */
static bool
negotiate(u_int nfw, u_int nmsg, const uint32_t *list, uint32_t *fw,
    uint32_t *ver)
{
	uint16_t *p;
	u_int n;

	memset(&msg, 0xee, sizeof(msg));
	memset(msg.im_data, 0, 36);
	p = (uint16_t *)(void *)(msg.im_data + 28);
	p[0] = nfw;
	p[1] = nmsg;
	p += 4;
	for (n = 0; list[n] != 0; n++) {
		*p++ = list[n] >> 16;
		*p++ = list[n] & 0xffff;
	}
	msg.im_len = 36 + 4 * n;
	msg.im_hdr.ih_size = 8 + 4 * n;
	msg.im_hdr.ih_pipe_len = 28 + 4 * n;
	return (hv_ic_negotiate(&msg, &service, fw, ver));
}

#define	LIST(...)	((const uint32_t[]){ __VA_ARGS__, 0 })

static uint16_t
word(u_int offset)
{

	return (*(uint16_t *)(void *)(msg.im_data + offset));
}

/* The answer names both versions, or says that there are none. */
static void
answered(uint32_t fw, uint32_t ver)
{

	KT_EQ(word(28), fw != 0);
	KT_EQ(word(30), ver != 0);
	KT_EQ(word(18), fw != 0 ? 16 : 8);
	if (fw == 0)
		return;
	KT_EQ(word(36), fw >> 16);
	KT_EQ(word(38), fw & 0xffff);
	KT_EQ(word(40), ver >> 16);
	KT_EQ(word(42), ver & 0xffff);
}

KTEST(ic_nego_newest, "the newest version that both sides have")
{
	uint32_t fw, ver;

	/* As current hosts offer them, with message versions we lack. */
	KT_CHECK(negotiate(2, 3, LIST(0x10000, 0x30000, 0x10000, 0x30000,
	    0x50000), &fw, &ver));
	KT_EQ(fw, 0x30000);
	KT_EQ(ver, 0x30000);
	answered(0x30000, 0x30000);
	/* Beyond the two versions that count, nothing is left behind. */
	KT_EQ(msg.im_len, 56);
	KT_EQ(word(44), 0);
	KT_EQ(word(54), 0);
	KT_CHECK(negotiate(1, 1, LIST(0x10000, 0x10000), &fw, &ver));
	answered(0x10000, 0x10000);
	KT_EQ(msg.im_len, 44);
	/* In any order, one twice, and apart from each other. */
	KT_CHECK(negotiate(3, 2, LIST(0x30000, 0x10000, 0x30000, 0x10000,
	    0x10000), &fw, &ver));
	answered(0x30000, 0x10000);
}

KTEST(ic_nego_unknown, "nothing in common: the host sees no version")
{
	uint32_t fw, ver;

	/* Framework, then message versions that nobody knows. */
	KT_CHECK(!negotiate(2, 2, LIST(0x20000, 0x40000, 0x10000, 0x30000),
	    &fw, &ver));
	KT_EQ(fw, 0);
	KT_EQ(ver, 0);
	answered(0, 0);
	KT_CHECK(!negotiate(2, 2, LIST(0x10000, 0x30000, 0x30001, 0x20000),
	    &fw, &ver));
	answered(0, 0);
	/* None of one kind, though the other kind's would do. */
	KT_CHECK(!negotiate(0, 2, LIST(0x10000, 0x30000), &fw, &ver));
	answered(0, 0);
	KT_CHECK(!negotiate(2, 0, LIST(0x10000, 0x30000), &fw, &ver));
	answered(0, 0);
	/* None at all. */
	KT_CHECK(!negotiate(0, 0, LIST(0), &fw, &ver));
	answered(0, 0);
}

KTEST(ic_nego_truncated, "a list that is longer than the message is no list")
{
	uint32_t fw, ver;

	KT_CHECK(!negotiate(2, 3, LIST(0x10000, 0x30000, 0x10000, 0x30000),
	    &fw, &ver));
	answered(0, 0);
	KT_CHECK(!negotiate(0xffff, 0xffff, LIST(0x10000, 0x30000), &fw,
	    &ver));
	answered(0, 0);
	KT_CHECK(!negotiate(1, 0xffff, LIST(0x30000, 0x30000), &fw, &ver));
	answered(0, 0);
	/* Not even the counts are there; behind it, what was there before. */
	(void)negotiate(1, 1, LIST(0x30000, 0x30000), &fw, &ver);
	msg.im_len = 28 + 3;
	msg.im_hdr.ih_size = 3;
	msg.im_data[28] = 1;
	KT_CHECK(!hv_ic_negotiate(&msg, &service, &fw, &ver));
	KT_EQ(msg.im_len, 36);
	KT_EQ(msg.im_hdr.ih_pipe_len, 28);
	answered(0, 0);
}

KTEST(ic_nego_longest, "a message full of versions")
{
	static uint32_t list[(HV_IC_MSG_MAX - 36) / 4 + 1];
	uint32_t fw, ver;
	u_int n = nitems(list) - 1, i;

	for (i = 0; i < n; i++)
		list[i] = 0x90000;
	list[0] = 0x30000;
	list[n - 1] = 0x10000;
	KT_CHECK(negotiate(1, n - 1, list, &fw, &ver));
	answered(0x30000, 0x10000);
	KT_EQ(msg.im_len, HV_IC_MSG_MAX);
}

KTEST(ic_body_len, "an answer may be longer than its request, or shorter")
{

	memset(&msg, 0xee, sizeof(msg));
	msg.im_len = 36;
	hv_ic_set_body_len(&msg, 12);
	KT_EQ(msg.im_len, 40);
	KT_EQ(msg.im_hdr.ih_pipe_len, 32);
	KT_EQ(msg.im_hdr.ih_size, 12);
	KT_EQ(msg.im_data[35], 0xee);
	KT_EQ(msg.im_data[36], 0);
	KT_EQ(msg.im_data[39], 0);
	KT_EQ(msg.im_data[40], 0xee);
	hv_ic_set_body_len(&msg, 0);
	KT_EQ(msg.im_len, 28);
	KT_EQ(hv_ic_body_len(&msg), 0);
	hv_ic_set_body_len(&msg, HV_IC_MSG_MAX - HV_IC_HDR_LEN);
	KT_EQ(msg.im_len, HV_IC_MSG_MAX);
}
