/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * RNDIS control messages: what is asked of the host and set, and what it says
 * unasked (protocol: netvsc, sections 4.3 and 5).  How such a message comes and
 * goes is hn_xchg.c's part.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/netvsc/hn_var.h>

/* An indication of a known kind is shorter. */
#define	HN_INDICATE_MAX		256

/* Alignments that a batch could still be of use with, log2. */
#define	HN_AGG_ALIGN_MIN	2
#define	HN_AGG_ALIGN_MAX	10

/*
 * What the host takes in one transfer.  No part of it is relied on: limits that
 * make no sense are those of a host that takes one message at a time.
 */
static void
hn_rndis_limits(struct hn_softc *sc, const struct hn_rndis_init_comp *comp)
{

	sc->sc_agg_size = comp->ro_maxxfer;
	sc->sc_agg_pkts = MAX(comp->ro_maxpkts, 1);
	sc->sc_agg_align = 1 << MIN(MAX(comp->ro_align, HN_AGG_ALIGN_MIN),
	    HN_AGG_ALIGN_MAX);
	if (comp->ro_align > HN_AGG_ALIGN_MAX)
		sc->sc_agg_pkts = 1;
}

int
hn_rndis_attach(struct hn_softc *sc)
{
	struct hn_rndis_init *ri;
	struct hn_rndis_init_comp comp;
	size_t len;
	uint32_t rid;
	int error;

	error = hn_xchg_rndis_begin(sc, &rid);
	if (error != 0)
		return (error);
	ri = (struct hn_rndis_init *)sc->sc_xchg.xc_req;
	memset(ri, 0, sizeof(*ri));
	ri->ri_hdr.rh_type = HN_RNDIS_INIT;
	ri->ri_hdr.rh_len = sizeof(*ri);
	ri->ri_rid = rid;
	ri->ri_major = HN_RNDIS_MAJOR;
	ri->ri_minor = HN_RNDIS_MINOR;
	ri->ri_maxxfer = HN_RNDIS_MAXXFER;
	error = hn_xchg_rndis(sc, sizeof(*ri), HN_RNDIS_INIT | HN_RNDIS_CMPLT,
	    &len);
	if (error == 0)
		error = hn_rndis_parse_init(sc->sc_xchg.xc_reply, len, &comp);
	if (error != 0)
		return (error);
	if (comp.ro_status != HN_RNDIS_STATUS_SUCCESS) {
		device_printf(sc->sc_dev, "RNDIS refused: status %#x\n",
		    comp.ro_status);
		return (EIO);
	}
	hn_rndis_limits(sc, &comp);
	return (0);
}

/* Acknowledged, but not answered. */
void
hn_rndis_halt(struct hn_softc *sc)
{
	struct hn_rndis_ctl *rc;
	uint32_t rid;

	if (hn_xchg_rndis_begin(sc, &rid) != 0)
		return;
	rc = (struct hn_rndis_ctl *)sc->sc_xchg.xc_req;
	rc->rc_hdr.rh_type = HN_RNDIS_HALT;
	rc->rc_hdr.rh_len = sizeof(*rc);
	rc->rc_rid = rid;
	(void)hn_xchg_rndis(sc, sizeof(*rc), 0, NULL);
}

/* A QUERY or SET; its answer, in xc_reply, says success. */
static int
hn_rndis_oid(struct hn_softc *sc, uint32_t type, uint32_t oid,
    const void *data, size_t datalen, size_t *rlen)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	struct hn_rndis_comp comp;
	uint32_t rid;
	size_t len;
	int error;

	error = hn_xchg_rndis_begin(sc, &rid);
	if (error != 0)
		return (error);
	len = hn_rndis_fill_oid(xc->xc_req, HN_CTL_REQ_MAX, type, rid, oid,
	    data, datalen);
	if (len == 0)
		return (EINVAL);
	error = hn_xchg_rndis(sc, len, type | HN_RNDIS_CMPLT, rlen);
	if (error == 0)
		error = hn_rndis_parse_comp(xc->xc_reply, *rlen,
		    type | HN_RNDIS_CMPLT, sizeof(comp));
	if (error != 0)
		return (error);
	memcpy(&comp, xc->xc_reply, sizeof(comp));
	if (comp.rp_status == HN_RNDIS_STATUS_SUCCESS)
		return (0);
	if (bootverbose)
		device_printf(sc->sc_dev, "%s of %#x refused: status %#x\n",
		    type == HN_RNDIS_SET ? "set" : "query", oid,
		    comp.rp_status);
	return (EIO);
}

int
hn_rndis_query(struct hn_softc *sc, uint32_t oid, const void *in, size_t inlen,
    void *out, size_t *outlen, size_t min)
{
	const void *data;
	size_t datalen, len;
	int error;

	error = hn_rndis_oid(sc, HN_RNDIS_QUERY, oid, in, inlen, &len);
	if (error == 0)
		error = hn_rndis_parse_query(sc->sc_xchg.xc_reply, len, &data,
		    &datalen);
	if (error != 0)
		return (error);
	if (datalen < min)
		return (EPROTO);
	*outlen = MIN(*outlen, datalen);
	memcpy(out, data, *outlen);
	return (0);
}

int
hn_rndis_set(struct hn_softc *sc, uint32_t oid, const void *data, size_t len)
{
	size_t rlen;

	return (hn_rndis_oid(sc, HN_RNDIS_SET, oid, data, len, &rlen));
}

int
hn_rndis_get_u32(struct hn_softc *sc, uint32_t oid, uint32_t *value)
{
	size_t len = sizeof(*value);

	return (hn_rndis_query(sc, oid, NULL, 0, value, &len,
	    sizeof(*value)));
}

int
hn_rndis_get_mac(struct hn_softc *sc, uint8_t *mac)
{
	static const uint8_t none[ETHER_ADDR_LEN];
	size_t len = ETHER_ADDR_LEN;
	int error;

	error = hn_rndis_query(sc, HN_OID_802_3_PERMANENT_ADDRESS, NULL, 0,
	    mac, &len, ETHER_ADDR_LEN);
	if (error == 0 && (ETHER_IS_MULTICAST(mac) ||
	    memcmp(mac, none, sizeof(none)) == 0))
		error = EPROTO;
	return (error);
}

int
hn_rndis_set_filter(struct hn_softc *sc, uint32_t filter)
{
	int error;

	error = hn_rndis_set(sc, HN_OID_GEN_PACKET_FILTER, &filter,
	    sizeof(filter));
	if (error == 0)
		sc->sc_filter = filter;
	return (error);
}

static void
hn_rndis_unasked(struct hn_softc *sc, const char *what, uint64_t value)
{

	mtx_lock(&sc->sc_mtx);
	sc->sc_bad++;
	mtx_unlock(&sc->sc_mtx);
	hn_bad(sc, what, value);
}

static void
hn_rndis_indicated(struct hn_softc *sc, const void *data, size_t len)
{
	uint8_t msg[HN_INDICATE_MAX];
	const void *info;
	size_t infolen;
	uint32_t status;

	len = MIN(len, sizeof(msg));
	memcpy(msg, data, len);
	if (hn_rndis_parse_indicate(msg, len, &status, &info, &infolen) != 0)
		hn_rndis_unasked(sc, "malformed indication", len);
	else
		hn_link_indicate(sc, status);
}

/*
 * Copied once, by whom it is for: only from there on do two looks at it see
 * the same.
 */
void
hn_rndis_input(struct hn_softc *sc, const void *data, size_t len)
{
	struct hn_rndis_ctl ctl;

	if (len < sizeof(ctl)) {
		hn_rndis_unasked(sc, "short control message", len);
		return;
	}
	memcpy(&ctl, data, sizeof(ctl));
	switch (ctl.rc_hdr.rh_type) {
	case HN_RNDIS_INIT | HN_RNDIS_CMPLT:
	case HN_RNDIS_QUERY | HN_RNDIS_CMPLT:
	case HN_RNDIS_SET | HN_RNDIS_CMPLT:
		hn_xchg_rndis_reply(sc, data, len);
		break;
	case HN_RNDIS_INDICATE:
		hn_rndis_indicated(sc, data, len);
		break;
	case HN_RNDIS_KEEPALIVE:
		mtx_lock(&sc->sc_mtx);
		sc->sc_keepalive = ctl.rc_rid;
		mtx_unlock(&sc->sc_mtx);
		taskqueue_enqueue(sc->sc_tq, &sc->sc_keepalive_task);
		break;
	default:
		hn_rndis_unasked(sc, "unknown control message",
		    ctl.rc_hdr.rh_type);
		break;
	}
}

/* The host asks whether anybody is there. */
void
hn_rndis_keepalive_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;
	struct hn_rndis_comp *rp;
	uint32_t rid;

	sx_xlock(&sc->sc_lock);
	if (hn_flagged(sc, HN_F_SYNTH) && hn_xchg_rndis_begin(sc, &rid) == 0) {
		rp = (struct hn_rndis_comp *)sc->sc_xchg.xc_req;
		rp->rp_hdr.rh_type = HN_RNDIS_KEEPALIVE | HN_RNDIS_CMPLT;
		rp->rp_hdr.rh_len = sizeof(*rp);
		mtx_lock(&sc->sc_mtx);
		rp->rp_rid = sc->sc_keepalive;
		mtx_unlock(&sc->sc_mtx);
		rp->rp_status = HN_RNDIS_STATUS_SUCCESS;
		(void)hn_xchg_rndis(sc, sizeof(*rp), 0, NULL);
	}
	sx_xunlock(&sc->sc_lock);
}
