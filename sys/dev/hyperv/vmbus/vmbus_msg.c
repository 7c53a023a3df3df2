/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Channel messages: posting them with patience, checking those that arrive,
 * and handing each reply to the exchange that asked for it.  What messages
 * mean is the business of vmbus_ctl.c, vmbus_offer.c, vmbus_gpadl.c and
 * vmbus_chan.c.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>
#include <sys/time.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* Between two attempts to post: from here, doubling, up to there. */
#define	VMBUS_POST_BACKOFF_MIN	(SBT_1MS / 8)
#define	VMBUS_POST_BACKOFF_MAX	(SBT_1MS * 64)

#define	VMBUS_MSG_DESC(n, name, layout, min, dir, ver)			\
	[n] = { #name, (min), VMBUS_MSG_##dir, VMBUS_VERSION_##ver },
const struct vmbus_msg_desc vmbus_msg_descs[VMBUS_MSG_COUNT] = {
	VMBUS_MSGS(VMBUS_MSG_DESC)
};
#undef	VMBUS_MSG_DESC

int
vmbus_msg_check(uint32_t type, size_t len, uint32_t version)
{
	const struct vmbus_msg_desc *md;

	if (type >= VMBUS_MSG_COUNT || len > HYPERV_MSG_PAYLOAD_MAX)
		return (EBADMSG);
	md = &vmbus_msg_descs[type];
	if (md->md_name == NULL || md->md_dir != VMBUS_MSG_H2G ||
	    len < md->md_min)
		return (EBADMSG);
	if (version < md->md_version && type != VMBUS_MSG_VERSION)
		return (EBADMSG);
	return (0);
}

/*
 * Which statuses are worth another attempt (protocol: hypervisor, 5.6).  An
 * unknown connection may be about to appear, except on first contact, where
 * it means a host without it.
 */
static bool
vmbus_msg_transient(uint16_t status, const void *msg)
{
	const struct vmbus_msg_hdr *mh = msg;

	return (status == HYPERV_STATUS_NO_BUFFERS ||
	    status == HYPERV_STATUS_NO_MEMORY ||
	    (status == HYPERV_STATUS_NO_CONNECTION &&
	    mh->mh_type != VMBUS_MSG_CONTACT));
}

static int
vmbus_msg_errno(uint16_t status)
{

	switch (status) {
	case HYPERV_STATUS_SUCCESS:
		return (0);
	case HYPERV_STATUS_NO_CONNECTION:
		return (ENXIO);
	case HYPERV_STATUS_NO_BUFFERS:
	case HYPERV_STATUS_NO_MEMORY:
		return (EBUSY);
	default:
		return (EIO);
	}
}

int
vmbus_msg_post(struct vmbus_softc *sc, uint32_t conn, const void *msg,
    size_t len)
{
	struct hyperv_post_msg_in *pm = sc->sc_post;
	sbintime_t delay, left;
	uint16_t status;
	bool stopped;

	stopped = SCHEDULER_STOPPED();
	if (!stopped)
		sx_xlock(&sc->sc_post_sx);
	memset(pm, 0, sizeof(*pm));
	pm->pm_conn = conn;
	pm->pm_type = VMBUS_SYNIC_MSG_TYPE_CHANNEL;
	pm->pm_len = len;
	memcpy(pm->pm_payload, msg, len);

	delay = VMBUS_POST_BACKOFF_MIN;
	left = vmbus_timeout_ms * SBT_1MS;
	for (;;) {
		status = hyperv_post_message(vtophys(pm));
		if (!vmbus_msg_transient(status, msg) || left <= 0)
			break;
		sc->sc_stats.st_post_retries++;
		if (stopped)
			DELAY(sbttous(delay));
		else
			pause_sbt("hvpost", delay, 0, 0);
		left -= delay;
		delay = MIN(delay * 2, VMBUS_POST_BACKOFF_MAX);
	}
	sc->sc_stats.st_msgs_out++;
	if (!stopped)
		sx_xunlock(&sc->sc_post_sx);
	if (status != HYPERV_STATUS_SUCCESS &&
	    status != HYPERV_STATUS_NO_CONNECTION)
		device_printf(sc->sc_dev, "message %u: hypercall status %#x\n",
		    ((const struct vmbus_msg_hdr *)msg)->mh_type, status);
	return (vmbus_msg_errno(status));
}

int
vmbus_msg_send(struct vmbus_softc *sc, const void *msg, size_t len)
{

	return (vmbus_msg_post(sc, sc->sc_msgconn, msg, len));
}

int
vmbus_msg_send_chan(struct vmbus_softc *sc, uint32_t type, uint32_t chan)
{
	struct vmbus_msg_chan mc;

	memset(&mc, 0, sizeof(mc));
	mc.mc_hdr.mh_type = type;
	mc.mc_chan = chan;
	return (vmbus_msg_send(sc, &mc, sizeof(mc)));
}

void
vmbus_req_begin(struct vmbus_softc *sc, struct vmbus_req *rq, uint32_t type,
    uint32_t chan, uint32_t key, struct vmbus_channel *ch)
{

	memset(rq, 0, sizeof(*rq));
	rq->rq_type = type;
	rq->rq_chan = chan;
	rq->rq_key = key;
	rq->rq_ch = ch;
	rq->rq_error = EINPROGRESS;
	VMBUS_LOCK(sc);
	/* Rescinded already: nobody would wake us any more. */
	if (ch != NULL && (ch->ch_flags & VMBUS_CHF_RESCINDED) != 0)
		rq->rq_error = ENXIO;
	TAILQ_INSERT_TAIL(&sc->sc_reqs, rq, rq_link);
	VMBUS_UNLOCK(sc);
}

/* The time limit; whatever the administrator set, a day at most. */
sbintime_t
vmbus_timeout(void)
{

	return (MIN(MAX(vmbus_timeout_ms, 1), 24 * 60 * 60 * 1000) * SBT_1MS);
}

/*
 * Woken by vmbus_req_reply() and vmbus_req_rescind(), both on the message
 * thread.
 */
int
vmbus_req_wait(struct vmbus_softc *sc, struct vmbus_req *rq)
{
	sbintime_t left = vmbus_timeout();
	int error;

	VMBUS_LOCK(sc);
	while (rq->rq_error == EINPROGRESS && left > 0)
		vmbus_sleep(rq, &sc->sc_lock, "hvreq", &left);
	TAILQ_REMOVE(&sc->sc_reqs, rq, rq_link);
	error = rq->rq_error;
	if (error == EINPROGRESS) {
		error = ETIMEDOUT;
		sc->sc_stats.st_timeouts++;
	}
	VMBUS_UNLOCK(sc);
	return (error);
}

void
vmbus_req_cancel(struct vmbus_softc *sc, struct vmbus_req *rq)
{

	VMBUS_LOCK(sc);
	TAILQ_REMOVE(&sc->sc_reqs, rq, rq_link);
	VMBUS_UNLOCK(sc);
}

void
vmbus_req_rescind(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	struct vmbus_req *rq;

	VMBUS_ASSERT(sc);
	TAILQ_FOREACH(rq, &sc->sc_reqs, rq_link) {
		if (rq->rq_ch == ch && rq->rq_error == EINPROGRESS) {
			rq->rq_error = ENXIO;
			wakeup(rq);
		}
	}
}

/* The fields by which a reply finds its request. */
static void
vmbus_req_match(const void *msg, uint32_t type, uint32_t *chan, uint32_t *key,
    uint32_t *status)
{
	const struct vmbus_msg_open_result *or = msg;
	const struct vmbus_msg_gpadl_created *gc = msg;
	const struct vmbus_msg_gpadl_torndown *gd = msg;

	*chan = *key = *status = 0;
	switch (type) {
	case VMBUS_MSG_OPEN_RESULT:
		*chan = or->or_chan;
		*key = or->or_openid;
		*status = or->or_status;
		break;
	case VMBUS_MSG_GPADL_CREATED:
		*chan = gc->gc_chan;
		*key = gc->gc_gpadl;
		*status = gc->gc_status;
		break;
	case VMBUS_MSG_GPADL_TORNDOWN:
		*key = gd->gd_gpadl;
		break;
	default:
		break;
	}
}

static void
vmbus_req_reply(struct vmbus_softc *sc, uint32_t type, const void *msg)
{
	struct vmbus_req *rq;
	uint32_t chan, key, status;

	vmbus_req_match(msg, type, &chan, &key, &status);
	VMBUS_LOCK(sc);
	TAILQ_FOREACH(rq, &sc->sc_reqs, rq_link) {
		if (rq->rq_type == type && rq->rq_chan == chan &&
		    rq->rq_key == key && rq->rq_error == EINPROGRESS)
			break;
	}
	if (rq != NULL) {
		rq->rq_status = status;
		if (type == VMBUS_MSG_VERSION)
			memcpy(&rq->rq_version, msg, sizeof(rq->rq_version));
		rq->rq_error = 0;
		wakeup(rq);
	} else {
		sc->sc_stats.st_replies_unasked++;
	}
	VMBUS_UNLOCK(sc);
	if (rq == NULL && type == VMBUS_MSG_GPADL_TORNDOWN)
		vmbus_gpadl_late(sc, key);
}

static void
vmbus_msg_bad(struct vmbus_softc *sc, uint32_t type, u_int len)
{

	if (sc->sc_stats.st_msgs_bad++ == 0)
		device_printf(sc->sc_dev, "unexpected message: type %u, "
		    "%u bytes; further ones are counted only\n", type, len);
}

void
vmbus_msg_dispatch(struct vmbus_softc *sc, const struct vmbus_synic_msg *sm)
{
	const void *msg = sm->sm_payload;
	uint32_t type;

	sc->sc_stats.st_msgs_in++;
	if (sm->sm_len < sizeof(struct vmbus_msg_hdr)) {
		vmbus_msg_bad(sc, 0, sm->sm_len);
		return;
	}
	memcpy(&type, msg, sizeof(type));
	if (vmbus_msg_check(type, sm->sm_len,
	    atomic_load_32(&sc->sc_version)) != 0) {
		vmbus_msg_bad(sc, type, sm->sm_len);
		return;
	}
	switch (type) {
	case VMBUS_MSG_OFFER:
		vmbus_offer_recv(sc, msg);
		break;
	case VMBUS_MSG_RESCIND:
		vmbus_offer_rescind(sc,
		    ((const struct vmbus_msg_chan *)msg)->mc_chan);
		break;
	case VMBUS_MSG_OFFERS_DONE:
		vmbus_offer_done(sc);
		break;
	default:
		vmbus_req_reply(sc, type, msg);
		break;
	}
}
