/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The requests of a ready controller: EXECUTE_SRB with what the controller
 * answers itself (REPORT LUNS, units that are not there), and the resets.
 * protocol: storvsc, 6, 7 and 8.2
 */

#include <errno.h>
#include <string.h>

#include "storage/storvsp_var.h"

#define	OP_INQUIRY	0x12
#define	OP_REPORT_LUNS	0xa0

/* protocol: storvsc, 6 */
static uint32_t
storvsp_nt_status(uint8_t srb_status)
{

	switch (SRB_CODE(srb_status)) {
	case SRB_SUCCESS:
		return (NT_SUCCESS);
	case SRB_BUSY:
		return (NT_DEVICE_BUSY);
	case SRB_ABORTED:
		return (NT_CANCELLED);
	case SRB_INVALID_LUN:
	case SRB_INVALID_TARGET_ID:
	case SRB_NO_DEVICE:
	case SRB_NO_HBA:
		return (NT_NO_SUCH_DEVICE);
	case SRB_TIMEOUT:
	case SRB_COMMAND_TIMEOUT:
		return (NT_IO_TIMEOUT);
	case SRB_SELECTION_TIMEOUT:
		return (NT_DEVICE_NOT_CONNECTED);
	case SRB_BAD_FUNCTION:
	case SRB_BAD_SRB_BLOCK_LENGTH:
		return (NT_INVALID_DEVICE_REQUEST);
	case SRB_DATA_OVERRUN:
		return (NT_BUFFER_OVERFLOW);
	case SRB_REQUEST_FLUSHED:
		return (NT_UNSUCCESSFUL);
	default:
		return (NT_IO_DEVICE_ERROR);
	}
}

static void
storvsp_srb_reply(struct storvsp_req *rq)
{
	struct vstor_srb *srb = &rq->pkt.srb;
	struct scsi_cmd *cmd = &rq->cmd;

	memset(srb, 0, sizeof(*srb));
	srb->length = VSTOR_SRB_SIZE;
	srb->srb_status = cmd->srb_status;
	srb->scsi_status = cmd->status;
	srb->cdb_length = VSTOR_REPLY_CDB_LEN;
	srb->sense_length = VSTOR_SENSE_AREA;
	srb->transfer_length = cmd->xfer;
	/* Never without CHECK CONDITION.  protocol: storvsc, 6.2 */
	if (cmd->sense_valid && cmd->status == SCSI_CHECK_CONDITION) {
		srb->srb_status |= SRB_AUTOSENSE_VALID;
		memcpy(srb->sense, cmd->sense, sizeof(cmd->sense));
	}
	storvsp_reply(rq, storvsp_nt_status(cmd->srb_status));
}

/* An answer that needs no unit. */
static void
storvsp_answer(struct storvsp_req *rq, uint8_t status, uint8_t srb_status)
{

	rq->cmd.status = status;
	rq->cmd.srb_status = srb_status;
	storvsp_srb_reply(rq);
}

static void
storvsp_bad_cdb(struct storvsp_req *rq)
{

	scsi_fill_sense(rq->cmd.sense, SENSE_ILLEGAL, ASC_BAD_CDB);
	rq->cmd.sense_valid = true;
	storvsp_answer(rq, SCSI_CHECK_CONDITION, SRB_INVALID_REQUEST);
}

/* --- REPORT LUNS --- */

/*
 * The path is the request's own even where an IDE accelerator's replaces it
 * otherwise.  protocol: storvsc, 10
 */
static void
storvsp_report_luns(struct storvsp_req *rq, uint8_t path, uint8_t target)
{
	struct hvh_scsi *sc = rq->chan->sc;
	struct scsi_cmd *cmd = &rq->cmd;
	uint8_t buf[8 + 8 * STORVSP_LUNS] = { 0 };
	uint32_t alloc, len = 8;
	unsigned i;

	/* SELECT REPORT: 1 asks for well-known units alone; there are none. */
	if (cmd->cdb[2] > 2) {
		storvsp_bad_cdb(rq);
		return;
	}
	for (i = 0; i < STORVSP_LUNS; i++) {
		if (sc->luns[i] == NULL || cmd->cdb[2] == 1 ||
		    path != sc->path || target != sc->target)
			continue;
		scsi_put16(buf + len, (uint16_t)i);
		len += 8;
	}
	scsi_put32(buf, len - 8);
	alloc = scsi_be32(cmd->cdb + 6);
	if (alloc > cmd->data_len)
		alloc = cmd->data_len;
	if (!cmd->to_guest || alloc < 8)
		alloc = 0;
	cmd->xfer = len < alloc ? len : alloc;
	scsi_copy_out(cmd, buf, cmd->xfer);
	storvsp_answer(rq, SCSI_GOOD, SRB_SUCCESS);
}

/* --- Units that are not there --- */

/* protocol: storvsc, 6.1 */
static void
storvsp_absent(struct storvsp_req *rq, uint8_t lun)
{
	struct scsi_cmd *cmd = &rq->cmd;
	uint8_t buf[SCSI_INQUIRY_LEN];
	uint32_t alloc;

	if (cmd->cdb[0] != OP_INQUIRY) {
		/* GOOD: FreeBSD then takes it for what it is. */
		storvsp_answer(rq, SCSI_GOOD, SRB_INVALID_LUN);
		return;
	}
	alloc = scsi_be16(cmd->cdb + 3);
	if ((cmd->cdb[1] & 0x01) != 0 || cmd->cdb[2] != 0 || alloc < 5 ||
	    alloc > cmd->data_len || !cmd->to_guest) {
		storvsp_bad_cdb(rq);
		return;
	}
	scsi_inquiry_data(buf, false);
	buf[0] = 0x7f;
	buf[7] = 0;
	if (lun != 0)
		memset(buf + 8, 0, 28);
	cmd->xfer = alloc < sizeof(buf) ? alloc : sizeof(buf);
	scsi_copy_out(cmd, buf, cmd->xfer);
	storvsp_answer(rq, SCSI_GOOD, SRB_SUCCESS);
}

/* --- EXECUTE_SRB --- */

static void storvsp_resets_check(struct hvh_scsi *sc);

static void
storvsp_srb_done(struct scsi_cmd *cmd)
{
	struct storvsp_req *rq = (struct storvsp_req *)cmd;
	struct storvsp_chan *c = rq->chan;
	struct hvh_scsi *sc = c->sc;
	struct scsi_lun *lun = rq->lun;

	_Static_assert(offsetof(struct storvsp_req, cmd) == 0, "cmd is first");
	/* A unit taken away has no good news any more. */
	if (lun->dead) {
		cmd->status = SCSI_GOOD;
		cmd->srb_status = SRB_INVALID_LUN;
		cmd->sense_valid = false;
		cmd->xfer = 0;
	}
	rq->lun = NULL;
	storvsp_hold(c);
	storvsp_srb_reply(rq);
	if (!TAILQ_EMPTY(&sc->resets))
		storvsp_resets_check(sc);
	if (lun->dead && lun->busy == 0)
		storvsp_lun_idle(sc);
	storvsp_unhold(c);
}

static struct scsi_lun *
storvsp_lookup(struct hvh_scsi *sc, uint8_t path, uint8_t target, uint8_t lun)
{

	/* protocol: storvsc, 10: an accelerator is on its path whatever is
	 * said. */
	if ((!sc->ide && path != sc->path) || target != sc->target ||
	    lun >= STORVSP_LUNS)
		return (NULL);
	return (sc->luns[lun]);
}

void
storvsp_execute(struct storvsp_req *rq, const struct hvh_pkt *pkt)
{
	struct storvsp_chan *c = rq->chan;
	struct vstor_srb *srb = &rq->pkt.srb;
	struct hvh_scsi *sc = c->sc;
	struct scsi_cmd *cmd = &rq->cmd;
	uint8_t lun = srb->lun;

	cmd->data_len = srb->transfer_length;
	if (pkt->nranges > 1 || (cmd->data_len > 0 && (pkt->nranges == 0 ||
	    pkt->ranges[0].len < cmd->data_len))) {
		storvsp_shut(c, "the data is not in one range");
		storvsp_forget(rq);
		return;
	}
	memcpy(cmd->cdb, srb->cdb, sizeof(cmd->cdb));
	cmd->to_guest = srb->data_in != VSTOR_DATA_OUT;
	cmd->niov = 0;
	cmd->iovmax = sc->iovmax;
	cmd->done = storvsp_srb_done;
	cmd->sense_valid = false;
	cmd->xfer = 0;
	if (cmd->data_len > 0 && hvh_range_iov(sc->h, &pkt->ranges[0], 0,
	    cmd->data_len, cmd->iov, sc->iovmax, &cmd->niov) != 0) {
		/* Not guest memory, or more than was agreed on. */
		storvsp_bad_cdb(rq);
		return;
	}
	if (cmd->cdb[0] == OP_REPORT_LUNS) {
		storvsp_report_luns(rq, srb->path, srb->target);
		return;
	}
	rq->lun = storvsp_lookup(sc, srb->path, srb->target, lun);
	if (rq->lun == NULL) {
		storvsp_absent(rq, lun);
		return;
	}
	rq->kind = STORVSP_SRB;
	sc->dirty |= 1ull << lun;
	scsi_exec(rq->lun, cmd);
}

/* --- Resets --- */

static bool
storvsp_affected(const struct storvsp_req *rq, const struct scsi_lun *lun,
    uint64_t seq)
{

	return (rq->kind == STORVSP_SRB && rq->seq < seq &&
	    (lun == NULL || rq->lun == lun));
}

/*
 * An abort may end the request at once, and that may begin others: so each
 * one is looked for from the start.
 */
void
storvsp_abort(struct storvsp_chan *c, const struct scsi_lun *lun, uint64_t seq,
    uint8_t srb_status)
{
	struct storvsp_req *rq;

	storvsp_hold(c);
	do {
		TAILQ_FOREACH(rq, &c->active, link) {
			if (storvsp_affected(rq, lun, seq) &&
			    rq->cmd.abort_status == 0)
				break;
		}
		if (rq != NULL)
			scsi_abort(&rq->cmd, srb_status);
	} while (rq != NULL);
	storvsp_unhold(c);
}

static bool
storvsp_reset_waits(struct hvh_scsi *sc, const struct storvsp_req *reset)
{
	struct storvsp_chan *c;
	struct storvsp_req *rq;

	LIST_FOREACH(c, &sc->chans, link) {
		TAILQ_FOREACH(rq, &c->active, link) {
			if ((reset->reset_all || reset->lun != NULL) &&
			    storvsp_affected(rq, reset->lun, reset->seq))
				return (true);
		}
	}
	return (false);
}

/* Completes the resets that wait for nothing any more. */
static void
storvsp_resets_check(struct hvh_scsi *sc)
{
	struct storvsp_req *rq;

again:
	TAILQ_FOREACH(rq, &sc->resets, reset_link) {
		if (storvsp_reset_waits(sc, rq))
			continue;
		TAILQ_REMOVE(&sc->resets, rq, reset_link);
		memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
		storvsp_reply(rq, NT_SUCCESS);
		goto again;
	}
}

/* A closing channel waits for nothing but the back ends. */
void
storvsp_resets_drop(struct storvsp_chan *c)
{
	struct storvsp_req *next, *rq;

	for (rq = TAILQ_FIRST(&c->sc->resets); rq != NULL; rq = next) {
		next = TAILQ_NEXT(rq, reset_link);
		if (rq->chan == c) {
			TAILQ_REMOVE(&c->sc->resets, rq, reset_link);
			storvsp_reply(rq, NT_CANCELLED);
		}
	}
}

/*
 * What has not begun at a back end ends with the reset's SRB status; the
 * reset is completed when everything that came before it has ended.
 */
void
storvsp_reset(struct storvsp_req *rq)
{
	struct storvsp_chan *c, *next;
	struct hvh_scsi *sc = rq->chan->sc;
	const struct vstor_srb *srb = &rq->pkt.srb;
	uint8_t status;

	rq->kind = STORVSP_RESET;
	rq->reset_all = rq->pkt.operation != VSTOR_RESET_LUN;
	rq->lun = NULL;
	status = SRB_BUS_RESET;
	if (!rq->reset_all) {
		status = SRB_ABORTED;
		rq->lun = storvsp_lookup(sc, srb->path, srb->target, srb->lun);
	}
	TAILQ_INSERT_TAIL(&sc->resets, rq, reset_link);
	if (rq->reset_all || rq->lun != NULL) {
		for (c = LIST_FIRST(&sc->chans); c != NULL; c = next) {
			next = LIST_NEXT(c, link);
			storvsp_abort(c, rq->lun, rq->seq, status);
		}
	}
	storvsp_resets_check(sc);
}
