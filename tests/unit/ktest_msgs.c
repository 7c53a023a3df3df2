/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Channel messages: sizes and offsets as literal numbers from the protocol
 * (vmbus, 2; hypervisor, 3 and 5), the table that guards the receiver, and
 * how a GPADL is cut into messages.
 */

#include "tests/lib/ktest.h"

#include <sys/malloc.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

#define	OFS(type, member, n)	KT_EQ(__offsetof(struct type, member), n)

KTEST(msgs_sizes, "every channel message has its size on the wire")
{

	KT_EQ(sizeof(struct vmbus_msg_offer), 196);
	KT_EQ(sizeof(struct vmbus_msg_chan), 12);
	KT_EQ(sizeof(struct vmbus_msg_hdr), 8);
	KT_EQ(sizeof(struct vmbus_msg_open), 148);
	KT_EQ(sizeof(struct vmbus_msg_open_result), 20);
	KT_EQ(sizeof(struct vmbus_msg_gpadl_hdr), 236);
	KT_EQ(sizeof(struct vmbus_msg_gpadl_body), 240);
	KT_EQ(sizeof(struct vmbus_msg_gpadl_created), 20);
	KT_EQ(sizeof(struct vmbus_msg_gpadl_teardown), 16);
	KT_EQ(sizeof(struct vmbus_msg_gpadl_torndown), 12);
	KT_EQ(sizeof(struct vmbus_msg_contact), 40);
	KT_EQ(sizeof(struct vmbus_msg_version), 16);
}

KTEST(msgs_offsets_offer, "fields of an offer")
{

	OFS(vmbus_msg_offer, of_type, 8);
	OFS(vmbus_msg_offer, of_instance, 24);
	OFS(vmbus_msg_offer, of_flags, 56);
	OFS(vmbus_msg_offer, of_mmio_mb, 58);
	OFS(vmbus_msg_offer, of_udata, 60);
	OFS(vmbus_msg_offer, of_subidx, 180);
	OFS(vmbus_msg_offer, of_chan, 184);
	OFS(vmbus_msg_offer, of_monitor, 188);
	OFS(vmbus_msg_offer, of_monitored, 189);
	OFS(vmbus_msg_offer, of_dedicated, 190);
	OFS(vmbus_msg_offer, of_conn, 192);
}

KTEST(msgs_offsets_channel, "fields of the messages about one channel")
{

	OFS(vmbus_msg_chan, mc_chan, 8);
	OFS(vmbus_msg_open, op_chan, 8);
	OFS(vmbus_msg_open, op_openid, 12);
	OFS(vmbus_msg_open, op_gpadl, 16);
	OFS(vmbus_msg_open, op_vp, 20);
	OFS(vmbus_msg_open, op_txpages, 24);
	OFS(vmbus_msg_open, op_udata, 28);
	OFS(vmbus_msg_open_result, or_chan, 8);
	OFS(vmbus_msg_open_result, or_openid, 12);
	OFS(vmbus_msg_open_result, or_status, 16);
}

KTEST(msgs_offsets_gpadl, "fields of the messages about shared memory")
{

	OFS(vmbus_msg_gpadl_hdr, gh_chan, 8);
	OFS(vmbus_msg_gpadl_hdr, gh_gpadl, 12);
	OFS(vmbus_msg_gpadl_hdr, gh_rangelen, 16);
	OFS(vmbus_msg_gpadl_hdr, gh_ranges, 18);
	OFS(vmbus_msg_gpadl_hdr, gh_len, 20);
	OFS(vmbus_msg_gpadl_hdr, gh_ofs, 24);
	OFS(vmbus_msg_gpadl_hdr, gh_pfn, 28);
	OFS(vmbus_msg_gpadl_body, gb_seq, 8);
	OFS(vmbus_msg_gpadl_body, gb_gpadl, 12);
	OFS(vmbus_msg_gpadl_body, gb_pfn, 16);
	OFS(vmbus_msg_gpadl_created, gc_chan, 8);
	OFS(vmbus_msg_gpadl_created, gc_gpadl, 12);
	OFS(vmbus_msg_gpadl_created, gc_status, 16);
	OFS(vmbus_msg_gpadl_teardown, gt_chan, 8);
	OFS(vmbus_msg_gpadl_teardown, gt_gpadl, 12);
	OFS(vmbus_msg_gpadl_torndown, gd_gpadl, 8);
}

KTEST(msgs_offsets_contact, "fields of the first exchange")
{

	OFS(vmbus_msg_contact, ct_version, 8);
	OFS(vmbus_msg_contact, ct_vp, 12);
	OFS(vmbus_msg_contact, ct_u.u_intr_page, 16);
	OFS(vmbus_msg_contact, ct_u.u_v5.v_sint, 16);
	OFS(vmbus_msg_contact, ct_u.u_v5.v_vtl, 17);
	OFS(vmbus_msg_contact, ct_u.u_v5.v_features, 20);
	OFS(vmbus_msg_contact, ct_mnf_rx, 24);
	OFS(vmbus_msg_contact, ct_mnf_tx, 32);
	OFS(vmbus_msg_version, vr_supported, 8);
	OFS(vmbus_msg_version, vr_state, 9);
	OFS(vmbus_msg_version, vr_conn, 12);
}

KTEST(msgs_shared_pages, "pages shared with the hypervisor")
{

	KT_EQ(sizeof(struct vmbus_msg_page), 4096);
	OFS(vmbus_msg_page, mp_slot[2], 512);
	OFS(vmbus_synic_msg, sm_len, 4);
	OFS(vmbus_synic_msg, sm_flags, 5);
	OFS(vmbus_synic_msg, sm_sender, 8);
	OFS(vmbus_synic_msg, sm_payload, 16);
	KT_EQ(sizeof(struct vmbus_event_page), 4096);
	OFS(vmbus_event_page, ep_sint[2], 512);
	KT_EQ(sizeof(struct vmbus_intr_page), 4096);
	OFS(vmbus_intr_page, ip_rx, 0);
	OFS(vmbus_intr_page, ip_tx, 2048);
	KT_EQ(sizeof(struct vmbus_mnf_page), 4096);
	OFS(vmbus_mnf_page, mf_trig[0].mt_pending, 8);
	OFS(vmbus_mnf_page, mf_trig[3].mt_pending, 32);
	KT_EQ(sizeof(struct vmbus_ring_ctl), 4096);
	OFS(vmbus_ring_ctl, rc_in, 0);
	OFS(vmbus_ring_ctl, rc_out, 4);
	OFS(vmbus_ring_ctl, rc_mask, 8);
	OFS(vmbus_ring_ctl, rc_pending, 12);
	OFS(vmbus_ring_ctl, rc_feature, 64);
	KT_EQ(sizeof(struct hyperv_post_msg_in), 256);
	OFS(hyperv_post_msg_in, pm_type, 8);
	OFS(hyperv_post_msg_in, pm_len, 12);
	OFS(hyperv_post_msg_in, pm_payload, 16);
	KT_EQ(sizeof(struct hyperv_reftsc), 4096);
	OFS(hyperv_reftsc, rt_scale, 8);
	OFS(hyperv_reftsc, rt_ofs, 16);
}

/* What the protocol says a host may send: type, bytes, first version. */
static const struct {
	uint32_t type;
	size_t	 min;
	uint32_t version;
} host_msgs[] = {
	{ 1, 196, 0x0000000d }, { 2, 12, 0x0000000d }, { 4, 8, 0x0000000d },
	{ 6, 20, 0x0000000d }, { 10, 20, 0x0000000d }, { 12, 12, 0x0000000d },
	{ 17, 8, 0x00010001 },
};

KTEST(msgs_check_accepts, "messages of a host are taken at their least size")
{
	u_int i;

	for (i = 0; i < nitems(host_msgs); i++) {
		KT_EQ(vmbus_msg_check(host_msgs[i].type, host_msgs[i].min,
		    host_msgs[i].version), 0);
		KT_EQ(vmbus_msg_check(host_msgs[i].type, 240, 0x00050003), 0);
		KT_EQ(vmbus_msg_check(host_msgs[i].type,
		    host_msgs[i].min - 1, 0x00050003), EBADMSG);
		KT_EQ(vmbus_msg_check(host_msgs[i].type, host_msgs[i].min,
		    host_msgs[i].version - 1), EBADMSG);
	}
}

KTEST(msgs_check_unconnected, "before a version only its answer is taken")
{
	uint32_t type;

	for (type = 0; type < 64; type++)
		KT_EQ(vmbus_msg_check(type, 240, 0),
		    type == 15 ? 0 : EBADMSG);
	KT_EQ(vmbus_msg_check(15, 16, 0), 0);
	KT_EQ(vmbus_msg_check(15, 15, 0), EBADMSG);
}

KTEST(msgs_check_refuses, "guest's own, unknown and oversized are refused")
{
	static const uint32_t types[] = { 0, 3, 5, 7, 8, 9, 11, 13, 14, 16,
	    18, 19, 20, 21, 22, 23, 24, 29, 30, 0x80000001, UINT32_MAX };
	u_int i;

	for (i = 0; i < nitems(types); i++)
		KT_EQ(vmbus_msg_check(types[i], 240, 0x00050003), EBADMSG);
	KT_EQ(vmbus_msg_check(4, 241, 0x00050003), EBADMSG);
}

static uint64_t
get_pfn(const union vmbus_gpadl_msg *gm, size_t ofs, u_int i)
{
	uint64_t pfn;

	memcpy(&pfn, (const uint8_t *)gm + ofs + i * 8, sizeof(pfn));
	return (pfn);
}

/* Cuts n pages; checks every message; returns how many there were. */
static u_int
gpadl_cut(const uint8_t *va, u_int n)
{
	union vmbus_gpadl_msg gm;
	size_t len;
	u_int done, first, i, msgs, want;

	done = msgs = 0;
	while (done < n && msgs < 1000) {
		first = done;
		len = vmbus_gpadl_next(&gm, 77, 0xe1e10, va, n, &done);
		want = MIN(n - first, msgs == 0 ? 26 : 28);
		KT_EQ(done - first, want);
		if (msgs == 0) {
			KT_EQ(len, 28 + 8 * want);
			KT_EQ(gm.gm_hdr.gh_hdr.mh_type, 8);
			KT_EQ(gm.gm_hdr.gh_chan, 77);
			KT_EQ(gm.gm_hdr.gh_gpadl, 0xe1e10);
			KT_EQ(gm.gm_hdr.gh_rangelen, 8 + 8 * n);
			KT_EQ(gm.gm_hdr.gh_ranges, 1);
			KT_EQ(gm.gm_hdr.gh_len, 4096 * n);
			KT_EQ(gm.gm_hdr.gh_ofs, 0);
		} else {
			KT_EQ(len, 16 + 8 * want);
			KT_EQ(gm.gm_body.gb_hdr.mh_type, 9);
			KT_EQ(gm.gm_body.gb_gpadl, 0xe1e10);
		}
		KT_CHECK(len <= 240);
		for (i = 0; i < want; i++)
			KT_EQ(get_pfn(&gm, msgs == 0 ? 28 : 16, i),
			    vtophys(va + 4096 * (size_t)(first + i)) >> 12);
		msgs++;
	}
	KT_EQ(done, n);
	return (msgs);
}

KTEST(gpadl_split, "26 page numbers in the header, 28 in each body")
{
	uint8_t *va;

	va = malloc(83 * PAGE_SIZE, M_TEMP, M_WAITOK);
	KT_EQ(gpadl_cut(va, 1), 1);
	KT_EQ(gpadl_cut(va, 25), 1);
	KT_EQ(gpadl_cut(va, 26), 1);
	KT_EQ(gpadl_cut(va, 27), 2);
	KT_EQ(gpadl_cut(va, 54), 2);
	KT_EQ(gpadl_cut(va, 55), 3);
	KT_EQ(gpadl_cut(va, 82), 3);
	KT_EQ(gpadl_cut(va, 83), 4);
	free(va, M_TEMP);
}

KTEST(gpadl_split_largest, "8190 pages are the most that one range holds")
{
	uint8_t *va;

	va = malloc(8190UL * PAGE_SIZE, M_TEMP, M_WAITOK);
	/* 26 in the header, 8164 in bodies of 28. */
	KT_EQ(gpadl_cut(va, 8190), 1 + 292);
	free(va, M_TEMP);
}
