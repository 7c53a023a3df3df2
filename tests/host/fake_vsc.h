/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of a storage channel over fake_bus.h: packets as literal
 * bytes, written from the protocol and not from the host's structures.
 */

#ifndef TESTS_HOST_FAKE_VSC_H
#define	TESTS_HOST_FAKE_VSC_H

#include "fake_bus.h"

#define	VSC_NONE	UINT32_MAX	/* no answer at all */

/* A completion's fields. */
struct vsc_reply {
	uint64_t	 xid;
	uint32_t	 len;
	uint32_t	 operation;
	uint32_t	 flags;
	uint32_t	 status;
	uint8_t		 payload[52];
	uint8_t		 srb_status;
	uint8_t		 scsi_status;
	uint32_t	 xfer;
	uint8_t		 sense[20];
};

void	vsc_put32(uint8_t *p, uint32_t v);
uint32_t vsc_get32(const uint8_t *p);
/* The next packet to the guest must be a completion.  False: there is none. */
bool	vsc_reply(struct hvh_chan *ch, struct vsc_reply *rp);
/* Sends op with len bytes in all and returns the status, or VSC_NONE. */
uint32_t vsc_op(struct hvh_chan *ch, uint32_t op, uint32_t len,
	    const void *payload, uint32_t plen);
/* The whole initialization. */
void	vsc_up(struct hvh_chan *ch, uint16_t version);
/* An SRB to (0, 0, lun), queued without a signal. */
struct fake_pkt *vsc_queue(struct hvh_chan *ch, uint64_t xid, uint8_t lun,
	    const uint8_t *cdb, uint8_t cdblen, bool in, uint64_t gpa,
	    uint32_t len);
/* Sends an SRB and pumps until its completion is there. */
void	vsc_srb(struct hvh_chan *ch, uint8_t lun, const uint8_t *cdb,
	    uint8_t cdblen, bool in, uint64_t gpa, uint32_t len,
	    struct vsc_reply *rp);
/* A controller with its primary offered, and a memory disk at LUN 0. */
struct hvh_scsi *vsc_controller(struct hvh *h, uint16_t max_version,
	    uint16_t subchannels);
void	vsc_disk(struct hvh *h, struct hvh_scsi *sc, unsigned lun,
	    uint64_t size);

#endif	/* !TESTS_HOST_FAKE_VSC_H */
