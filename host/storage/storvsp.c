/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage provider's channels: open and close, the packets' checks, the
 * initialization, and the way of each request to its completion.
 *
 * A request object is taken when a packet is read and given back when its
 * completion is in the ring; without a free one, or with completions waiting
 * for room, nothing is read: the guest's ring fills, and that is the
 * back-pressure.  What the guest gets wrong in the protocol shuts the channel
 * until it is closed.  protocol: storvsc, 2 and 5
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storvsp_var.h"

#define	PKT_INBAND	6
#define	PKT_GPA_DIRECT	9
#define	PKT_COMPLETION	11

static const uint16_t storvsp_versions[] = {
	VSTOR_VERSION_2_0, VSTOR_VERSION_4_2, VSTOR_VERSION_5_1,
	VSTOR_VERSION_6_0, VSTOR_VERSION_6_2
};

/* --- Completion --- */

static void
storvsp_free(struct storvsp_req *rq)
{

	rq->kind = STORVSP_FREE;
	TAILQ_INSERT_HEAD(&rq->chan->free, rq, link);
}

void
storvsp_forget(struct storvsp_req *rq)
{

	TAILQ_REMOVE(&rq->chan->active, rq, link);
	storvsp_free(rq);
}

/* Puts waiting completions into the ring; false: it is full. */
static bool
storvsp_write_done(struct storvsp_chan *c)
{
	struct storvsp_req *rq;
	int error;

	while ((rq = TAILQ_FIRST(&c->done)) != NULL) {
		error = 0;
		if (!c->shut && !c->closing)
			error = hvh_chan_write(c->ch, PKT_COMPLETION, 0,
			    rq->xid, &rq->pkt, rq->reply_len);
		if (error == EAGAIN)
			return (false);
		if (error != 0)
			c->shut = true;
		TAILQ_REMOVE(&c->done, rq, link);
		storvsp_free(rq);
	}
	return (true);
}

/*
 * The request is answered with what rq->pkt holds.  protocol: storvsc, 5: as
 * long as the request was.
 */
void
storvsp_reply(struct storvsp_req *rq, uint32_t status)
{
	struct storvsp_chan *c = rq->chan;

	rq->pkt.operation = VSTOR_COMPLETE_IO;
	rq->pkt.flags = 0;
	rq->pkt.status = status;
	rq->kind = STORVSP_DONE;
	storvsp_hold(c);
	TAILQ_REMOVE(&c->active, rq, link);
	TAILQ_INSERT_TAIL(&c->done, rq, link);
	if (storvsp_write_done(c) && c->starved)
		storvsp_drain(c);
	storvsp_unhold(c);
}

/* --- Initialization --- */

static void
storvsp_begin(struct storvsp_req *rq)
{

	rq->chan->sc->state = STORVSP_QUERY_VERSION;
	memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
	storvsp_reply(rq, NT_SUCCESS);
}

static void
storvsp_query_version(struct storvsp_req *rq)
{
	struct hvh_scsi *sc = rq->chan->sc;
	uint16_t v;
	unsigned i;
	bool ok = false;

	/* The reply repeats the version asked for, whatever the answer. */
	v = rq->pkt.version.version;
	for (i = 0; i < sizeof(storvsp_versions) / sizeof(v); i++)
		ok |= v == storvsp_versions[i] && v <= sc->max_version;
	if (ok) {
		sc->version = v;
		sc->state = STORVSP_QUERY_PROPERTIES;
		hvh_log(sc->h, HVH_LOG_DEBUG, "storvsp: version %u.%u", v >> 8,
		    v & 0xff);
	}
	storvsp_reply(rq, ok ? NT_SUCCESS : NT_REVISION_MISMATCH);
}

static void
storvsp_query_properties(struct storvsp_req *rq)
{
	struct hvh_scsi *sc = rq->chan->sc;

	memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
	rq->pkt.properties.max_transfer = sc->max_transfer;
	if (sc->version >= VSTOR_VERSION_5_1 && sc->max_subchannels > 0) {
		rq->pkt.properties.flags = VSTOR_PROP_MULTI_CHANNEL;
		rq->pkt.properties.max_subchannels = sc->max_subchannels;
	}
	sc->state = STORVSP_END;
	storvsp_reply(rq, NT_SUCCESS);
}

static void
storvsp_end(struct storvsp_req *rq)
{
	struct hvh_scsi *sc = rq->chan->sc;
	struct storvsp_chan *c, *next;

	sc->state = STORVSP_READY;
	/* The guest is going to look at everything anyway. */
	sc->rescan = false;
	memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
	storvsp_reply(rq, NT_SUCCESS);
	/* A sub-channel may have been opened and filled before. */
	for (c = LIST_FIRST(&sc->chans); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->primary)
			storvsp_drain(c);
	}
}

static void
storvsp_subchannels(struct storvsp_req *rq)
{
	struct hvh_scsi *sc = rq->chan->sc;
	uint32_t status;
	uint16_t n;

	n = rq->pkt.subchannels.count;
	memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
	if (sc->version < VSTOR_VERSION_5_1 ||
	    (sc->state == STORVSP_END && sc->subs_made)) {
		status = NT_INVALID_DEVICE_STATE;
	} else if (n > sc->max_subchannels ||
	    (n > 0 && hvh_chan_offer_sub(rq->chan->ch, n) != 0)) {
		status = NT_INVALID_PARAMETER;
	} else {
		sc->subs_made = true;
		status = NT_SUCCESS;
	}
	storvsp_reply(rq, status);
}

/* --- Packets --- */

void
storvsp_shut(struct storvsp_chan *c, const char *why)
{

	if (c->shut)
		return;
	c->shut = true;
	hvh_stats(c->sc->h)->rings_corrupt++;
	hvh_log(c->sc->h, HVH_LOG_WARN, "storvsp: channel %u shut: %s",
	    hvh_chan_id(c->ch), why);
}

/* What a guest may ask, when, and how long such a packet is at least. */
struct storvsp_op {
	uint32_t	 min_len;	/* 0: not an operation of guests */
	uint32_t	 states;	/* bits by enum storvsp_state */
	bool		 primary;	/* there only */
	void		(*fn)(struct storvsp_req *rq);
};

#define	IN(s)	(1u << STORVSP_##s)

static const struct storvsp_op storvsp_ops[] = {
	[VSTOR_EXECUTE_SRB] = { VSTOR_PACKET_SIZE_OLD, IN(READY), false,
	    NULL },
	[VSTOR_RESET_LUN] = { VSTOR_HEADER_SIZE, IN(READY), false,
	    storvsp_reset },
	[VSTOR_RESET_ADAPTER] = { VSTOR_HEADER_SIZE, IN(READY), false,
	    storvsp_reset },
	[VSTOR_RESET_BUS] = { VSTOR_HEADER_SIZE, IN(READY), false,
	    storvsp_reset },
	[VSTOR_BEGIN_INITIALIZATION] = { VSTOR_HEADER_SIZE, IN(BEGIN), true,
	    storvsp_begin },
	[VSTOR_END_INITIALIZATION] = { VSTOR_HEADER_SIZE, IN(END), true,
	    storvsp_end },
	[VSTOR_QUERY_PROTOCOL_VERSION] = { VSTOR_HEADER_SIZE +
	    sizeof(struct vstor_version), IN(QUERY_VERSION), true,
	    storvsp_query_version },
	[VSTOR_QUERY_PROPERTIES] = { VSTOR_HEADER_SIZE, IN(QUERY_PROPERTIES),
	    true, storvsp_query_properties },
	[VSTOR_CREATE_SUB_CHANNELS] = { VSTOR_HEADER_SIZE +
	    sizeof(struct vstor_subchannels), IN(END) | IN(READY), true,
	    storvsp_subchannels },
};
#define	STORVSP_NOPS	(sizeof(storvsp_ops) / sizeof(storvsp_ops[0]))

/* The checks that need no request; NULL: the channel was shut. */
static const struct storvsp_op *
storvsp_check(struct storvsp_chan *c, const struct hvh_pkt *pkt)
{
	const struct storvsp_op *op;
	uint32_t number;

	if (pkt->type != PKT_INBAND && pkt->type != PKT_GPA_DIRECT) {
		storvsp_shut(c, "not a data packet");
		return (NULL);
	}
	if (!pkt->wants_completion) {
		storvsp_shut(c, "a request without completion asked for");
		return (NULL);
	}
	if (pkt->len < VSTOR_HEADER_SIZE) {
		storvsp_shut(c, "a packet without a header");
		return (NULL);
	}
	memcpy(&number, pkt->data, sizeof(number));
	if (number >= STORVSP_NOPS || storvsp_ops[number].min_len == 0) {
		storvsp_shut(c, "an operation guests cannot ask for");
		return (NULL);
	}
	op = &storvsp_ops[number];
	if (pkt->len < op->min_len) {
		storvsp_shut(c, "a packet too short for its operation");
		return (NULL);
	}
	return (op);
}

static void
storvsp_packet(struct storvsp_chan *c, const struct hvh_pkt *pkt)
{
	const struct storvsp_op *op;
	struct storvsp_req *rq;
	uint32_t n;

	op = storvsp_check(c, pkt);
	if (op == NULL)
		return;
	rq = TAILQ_FIRST(&c->free);
	TAILQ_REMOVE(&c->free, rq, link);
	TAILQ_INSERT_TAIL(&c->active, rq, link);
	rq->xid = pkt->xid;
	rq->seq = ++c->sc->seq;
	n = pkt->len < sizeof(rq->pkt) ? pkt->len : sizeof(rq->pkt);
	rq->reply_len = n;
	memcpy(&rq->pkt, pkt->data, n);
	memset((uint8_t *)&rq->pkt + n, 0, sizeof(rq->pkt) - n);

	if ((op->states & 1u << c->sc->state) == 0 ||
	    (op->primary && !c->primary)) {
		memset(rq->pkt.payload, 0, sizeof(rq->pkt.payload));
		storvsp_reply(rq, NT_INVALID_DEVICE_STATE);
	} else if (op->fn != NULL) {
		op->fn(rq);
	} else {
		storvsp_execute(rq, pkt);
	}
}

/* --- Channels --- */

static bool
storvsp_may_read(const struct storvsp_chan *c)
{

	return (!c->shut && !c->closing && !TAILQ_EMPTY(&c->free) &&
	    TAILQ_EMPTY(&c->done) &&
	    (c->primary || c->sc->state == STORVSP_READY));
}

static void
storvsp_write_rescan(struct storvsp_chan *c)
{
	struct vstor_packet pkt = { .operation = VSTOR_ENUMERATE_BUS };

	if (!c->primary || !c->sc->rescan || c->shut || c->closing)
		return;
	if (hvh_chan_write(c->ch, PKT_INBAND, 0, 0, &pkt,
	    c->sc->version < VSTOR_VERSION_5_1 ? VSTOR_PACKET_SIZE_OLD :
	    VSTOR_PACKET_SIZE) != EAGAIN)
		c->sc->rescan = false;
}

/* The units have changed.  protocol: storvsc, 9 */
void
storvsp_rescan(struct hvh_scsi *sc)
{
	struct storvsp_chan *c;

	if (sc->state != STORVSP_READY || sc->version < VSTOR_VERSION_4_2)
		return;
	sc->rescan = true;
	LIST_FOREACH(c, &sc->chans, link) {
		if (c->primary) {
			storvsp_write_rescan(c);
			hvh_chan_flush(c->ch);
		}
	}
}

void
storvsp_run_dirty(struct hvh_scsi *sc)
{
	unsigned lun;

	while (sc->dirty != 0) {
		lun = (unsigned)__builtin_ctzll(sc->dirty);
		sc->dirty &= ~(1ull << lun);
		if (sc->luns[lun] != NULL)
			scsi_run(sc->luns[lun]);
	}
}

/*
 * Reads and begins what there is.  Back ends are started once for all of it;
 * what they answer at once makes room for more.
 */
void
storvsp_drain(struct storvsp_chan *c)
{
	struct hvh_pkt pkt;
	unsigned budget = STORVSP_BUDGET;
	int error;

	if (c->draining)
		return;
	c->draining = true;
	storvsp_hold(c);
	storvsp_write_done(c);
	storvsp_write_rescan(c);
	do {
		error = 0;
		while (budget > 0 && storvsp_may_read(c)) {
			error = hvh_chan_read(c->ch, &pkt);
			if (error != 0)
				break;
			budget--;
			storvsp_packet(c, &pkt);
		}
		if (error == EBADMSG)
			c->shut = true;
		c->starved = error == 0;
		storvsp_run_dirty(c->sc);
	} while (error == 0 && budget > 0 && storvsp_may_read(c));
	if (budget == 0 && !c->closing)
		hvh_timer_set(c->sc->h, &c->timer, hvh_now(c->sc->h));
	c->draining = false;
	storvsp_unhold(c);
}

void
storvsp_chan_free(struct storvsp_chan *c)
{

	LIST_REMOVE(c, link);
	free(c->iovs);
	free(c->reqs);
	free(c);
}

/* The last of a channel. */
static void
storvsp_chan_end(struct storvsp_chan *c)
{
	struct hvh_chan *ch = c->ch;

	hvh_timer_clear(c->sc->h, &c->timer);
	storvsp_chan_free(c);
	hvh_chan_closed(ch);
}

static bool
storvsp_chan_over(const struct storvsp_chan *c)
{

	return (c->closing && c->hold == 0 && TAILQ_EMPTY(&c->active));
}

static void
storvsp_timer(void *arg)
{
	struct storvsp_chan *c = arg;

	if (storvsp_chan_over(c))
		storvsp_chan_end(c);
	else if (!c->closing)
		storvsp_drain(c);
}

void
storvsp_hold(struct storvsp_chan *c)
{

	c->hold++;
}

void
storvsp_unhold(struct storvsp_chan *c)
{

	c->hold--;
	if (storvsp_chan_over(c))
		hvh_timer_set(c->sc->h, &c->timer, hvh_now(c->sc->h));
}

static int
storvsp_chan_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct hvh_scsi *sc = dev;
	struct storvsp_chan *c;
	int i;

	/* A guest's user data is a block of zeros: of no interest. */
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return (ENOMEM);
	c->reqs = calloc(STORVSP_DEPTH, sizeof(*c->reqs));
	/* Large, but the pages of entries never used are never touched. */
	c->iovs = calloc((size_t)STORVSP_DEPTH * (size_t)sc->iovmax,
	    sizeof(*c->iovs));
	if (c->reqs == NULL || c->iovs == NULL) {
		free(c->reqs);
		free(c->iovs);
		free(c);
		return (ENOMEM);
	}
	c->sc = sc;
	c->ch = ch;
	c->primary = hvh_chan_subidx(ch) == 0;
	c->timer.fn = storvsp_timer;
	c->timer.arg = c;
	TAILQ_INIT(&c->free);
	TAILQ_INIT(&c->active);
	TAILQ_INIT(&c->done);
	for (i = STORVSP_DEPTH - 1; i >= 0; i--) {
		c->reqs[i].chan = c;
		c->reqs[i].cmd.iov = c->iovs + (size_t)i * (size_t)sc->iovmax;
		storvsp_free(&c->reqs[i]);
	}
	if (c->primary) {
		sc->state = STORVSP_BEGIN;
		sc->subs_made = false;
		sc->rescan = false;
	}
	LIST_INSERT_HEAD(&sc->chans, c, link);
	hvh_chan_set_data(ch, c);
	return (0);
}

/* Everything ends, nothing of it is told to the guest any more. */
static void
storvsp_chan_close(void *dev, struct hvh_chan *ch)
{
	struct storvsp_chan *c = hvh_chan_data(ch);
	struct hvh_scsi *sc = dev;

	if (c->closing)
		return;
	c->closing = true;
	hvh_timer_clear(sc->h, &c->timer);
	if (c->primary) {
		sc->state = STORVSP_BEGIN;
		sc->rescan = false;
	}
	storvsp_hold(c);
	storvsp_write_done(c);
	storvsp_resets_drop(c);
	storvsp_abort(c, NULL, UINT64_MAX, SRB_ABORTED);
	c->hold--;
	if (storvsp_chan_over(c))
		storvsp_chan_end(c);
}

static void
storvsp_chan_signal(void *dev, struct hvh_chan *ch)
{
	struct storvsp_chan *c = hvh_chan_data(ch);

	if (!c->closing)
		storvsp_drain(c);
}

const struct hvh_chan_ops storvsp_chan_ops = {
	.open = storvsp_chan_open,
	.close = storvsp_chan_close,
	.signal = storvsp_chan_signal,
	.released = storvsp_released,
};
