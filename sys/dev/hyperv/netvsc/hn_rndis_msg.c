/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * RNDIS control messages as bytes (protocol: netvsc, section 4.3).  Pure: what
 * is parsed is a copy that the host cannot change any more, but it may say
 * anything.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/netvsc/hn_var.h>

/*
 * Writes a QUERY or SET, its data behind it, into buf.  Returns its length, 0
 * if there is no room for that.
 */
size_t
hn_rndis_fill_oid(void *buf, size_t size, uint32_t type, uint32_t rid,
    uint32_t oid, const void *data, size_t len)
{
	struct hn_rndis_oid *rq = buf;

	if (len > size || size - len < sizeof(*rq))
		return (0);
	memset(rq, 0, sizeof(*rq));
	rq->rq_hdr.rh_type = type;
	rq->rq_hdr.rh_len = sizeof(*rq) + len;
	rq->rq_rid = rid;
	rq->rq_oid = oid;
	rq->rq_len = len;
	/* Even without data, or the host refuses. */
	rq->rq_ofs = HN_RNDIS_OID_OFS;
	if (len > 0)
		memcpy(rq + 1, data, len);
	return (sizeof(*rq) + len);
}

/* An answer of this type that has at least min bytes, and all it says. */
int
hn_rndis_parse_comp(const void *msg, size_t len, uint32_t type, size_t min)
{
	struct hn_rndis_comp comp;

	min = MAX(min, sizeof(comp));
	if (len < min)
		return (EPROTO);
	memcpy(&comp, msg, sizeof(comp));
	if (comp.rp_hdr.rh_type != type || comp.rp_hdr.rh_len < min ||
	    comp.rp_hdr.rh_len > len)
		return (EPROTO);
	return (0);
}

int
hn_rndis_parse_init(const void *msg, size_t len,
    struct hn_rndis_init_comp *comp)
{

	if (hn_rndis_parse_comp(msg, len, HN_RNDIS_INIT | HN_RNDIS_CMPLT,
	    HN_RNDIS_INIT_COMP_MIN) != 0)
		return (EPROTO);
	memset(comp, 0, sizeof(*comp));
	memcpy(comp, msg, MIN(len, sizeof(*comp)));
	return (0);
}

/* The data of an answer to QUERY, *datalen 0 if there are none. */
int
hn_rndis_parse_query(const void *msg, size_t len, const void **datap,
    size_t *datalen)
{
	struct hn_rndis_query_comp comp;
	uint64_t begin;

	*datap = NULL;
	*datalen = 0;
	if (hn_rndis_parse_comp(msg, len, HN_RNDIS_QUERY | HN_RNDIS_CMPLT,
	    sizeof(comp)) != 0)
		return (EPROTO);
	memcpy(&comp, msg, sizeof(comp));
	if (comp.ra_len == 0 || comp.ra_ofs == 0)
		return (0);
	begin = (uint64_t)comp.ra_ofs + HN_RNDIS_OFS_BASE;
	if (begin < sizeof(comp) ||
	    begin + comp.ra_len > comp.ra_hdr.rh_len)
		return (EPROTO);
	*datap = (const uint8_t *)msg + begin;
	*datalen = comp.ra_len;
	return (0);
}

/* An indication and its data, *datalen 0 if there are none. */
int
hn_rndis_parse_indicate(const void *msg, size_t len, uint32_t *status,
    const void **datap, size_t *datalen)
{
	struct hn_rndis_indicate ind;
	uint64_t begin;

	*datap = NULL;
	*datalen = 0;
	if (len < sizeof(ind))
		return (EPROTO);
	memcpy(&ind, msg, sizeof(ind));
	if (ind.rs_hdr.rh_type != HN_RNDIS_INDICATE ||
	    ind.rs_hdr.rh_len < sizeof(ind) || ind.rs_hdr.rh_len > len)
		return (EPROTO);
	*status = ind.rs_status;
	if (ind.rs_len == 0 || ind.rs_ofs == 0)
		return (0);
	begin = (uint64_t)ind.rs_ofs + HN_RNDIS_OFS_BASE;
	if (begin < sizeof(ind) || begin + ind.rs_len > ind.rs_hdr.rh_len)
		return (EPROTO);
	*datap = (const uint8_t *)msg + begin;
	*datalen = ind.rs_len;
	return (0);
}
