/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage driver's pure code on what a host may have written: completions,
 * INQUIRY data, transaction ids; and the bus's table of messages.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>
#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

#include "fuzz_kernel.h"

#define	REQS	6

unsigned
ktest_fuzz_pkt_size(void)
{

	return (sizeof(struct storvsc_pkt));
}

const char *
ktest_fuzz_completion(const void *bytes, unsigned len, unsigned wanted)
{
	struct storvsc_result rs;
	struct storvsc_pkt pkt;

	/* As the channel code does: a copy, and how much of it came. */
	memset(&pkt, 0xa5, sizeof(pkt));
	memcpy(&pkt, bytes, len);
	storvsc_result(&pkt, len, wanted, &rs);
	if (rs.rs_resid > wanted)
		return ("more left than there was");
	if ((rs.rs_status & CAM_STATUS_MASK) == CAM_REQ_INPROG)
		return ("a completion that completes nothing");
	if (rs.rs_sense_len > sizeof(pkt.sp_srb.sb_sense) ||
	    __offsetof(struct storvsc_pkt, sp_srb) +
	    __offsetof(struct storvsc_srb, sb_sense) + rs.rs_sense_len >
	    MAX(len, __offsetof(struct storvsc_pkt, sp_srb) +
	    __offsetof(struct storvsc_srb, sb_sense)))
		return ("sense data that did not come");
	if (((rs.rs_status & CAM_AUTOSNS_VALID) != 0) !=
	    (rs.rs_sense_len != 0))
		return ("sense data, or not");
	if ((rs.rs_status & CAM_STATUS_MASK) == CAM_REQ_CMP &&
	    rs.rs_scsi_status != 0)
		return ("success with a SCSI error");
	return (NULL);
}

const char *
ktest_fuzz_inquiry(unsigned version, const unsigned char cdb[16],
    unsigned char *data, unsigned len)
{
	uint8_t before[64];
	u_int i;

	for (i = 0; i < MIN(len, sizeof(before)); i++)
		before[i] = data[i];
	storvsc_inquiry_repair(version, cdb, data, len);
	for (i = 0; i < MIN(len, sizeof(before)); i++) {
		if (before[i] != data[i] && i != 2 && i != 3)
			return ("a byte changed that is not to be repaired");
		if (before[i] != data[i] && cdb[0] != 0x12)
			return ("the data of another command changed");
	}
	return (NULL);
}

const char *
ktest_fuzz_message(unsigned type, unsigned long len, unsigned version)
{
	const struct vmbus_msg_desc *md;

	if (vmbus_msg_check(type, len, version) != 0)
		return (NULL);
	if (type >= VMBUS_MSG_COUNT || len > HYPERV_MSG_PAYLOAD_MAX)
		return ("a message that cannot be");
	md = &vmbus_msg_descs[type];
	if (md->md_name == NULL || md->md_dir != VMBUS_MSG_H2G)
		return ("a message that is not for us");
	if (len < sizeof(struct vmbus_msg_hdr) || len < md->md_min)
		return ("a message cut short");
	return (NULL);
}

const char *
ktest_fuzz_lookup(unsigned base, unsigned gen, unsigned states,
    unsigned long long xid)
{
	struct storvsc_req reqs[REQS], *req;
	struct storvsc_chan c;
	u_int i;

	memset(&c, 0, sizeof(c));
	memset(reqs, 0, sizeof(reqs));
	c.c_reqs = reqs;
	c.c_base = base;
	c.c_nreqs = REQS;
	for (i = 0; i < REQS; i++) {
		reqs[i].sr_index = base + i;
		reqs[i].sr_gen = gen + i;
		reqs[i].sr_state = (states >> (3 * i)) % 5;
	}
	req = storvsc_req_lookup(&c, xid);
	if (req == NULL)
		return (NULL);
	if (req < &reqs[0] || req > &reqs[REQS - 1])
		return ("a request from nowhere");
	if (req->sr_state != STORVSC_RS_SENT)
		return ("a request that the host does not have");
	if (storvsc_id(req->sr_index + 1, req->sr_gen) != xid)
		return ("another request's id");
	return (NULL);
}
