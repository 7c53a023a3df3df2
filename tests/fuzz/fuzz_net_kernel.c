/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network driver's pure code on what a host may have written: packet
 * messages, frames, control messages, NDIS objects.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#include "fuzz_kernel.h"

const char *
ktest_fuzz_packet(const unsigned char *msg, unsigned len)
{
	struct hn_rxinfo ri;

	if (hn_packet_parse(msg, len, &ri) != 0)
		return (NULL);
	if (ri.ri_len == 0 || ri.ri_len > HN_FRAME_MAX ||
	    (uint64_t)ri.ri_ofs + ri.ri_len > len)
		return ("a frame that is not in the message");
	if (ri.ri_ofs < sizeof(struct hn_rndis_packet))
		return ("a frame in the message's header");
	if ((ri.ri_have & HN_RXI_PIECE) == 0 && ri.ri_len < HN_FRAME_MIN)
		return ("a frame without a header");
	return (NULL);
}

const char *
ktest_fuzz_frame(const unsigned char *p, unsigned len)
{
	unsigned char hdr[HN_FRAME_PEEK];
	struct hn_frame fr;

	len = MIN(len, HN_FRAME_PEEK);
	hn_frame_parse(p, len, &fr);
	if (fr.fr_hdrlen > len || fr.fr_l4ofs > fr.fr_hdrlen ||
	    fr.fr_l3ofs > fr.fr_hdrlen)
		return ("headers that are not there");
	if ((fr.fr_l4ofs != 0) != (fr.fr_l4proto != 0))
		return ("a transport without a header, or the reverse");
	if (fr.fr_ip4 && fr.fr_ip6)
		return ("two versions at once");
	if (fr.fr_l4proto != 0 && !fr.fr_ip4 && !fr.fr_ip6)
		return ("a transport of nothing");
	if (fr.fr_l4proto == IPPROTO_TCP) {
		memcpy(hdr, p, fr.fr_hdrlen);
		hn_frame_lso(hdr, &fr);
	}
	return (NULL);
}

static bool
fuzz_inside(const void *data, size_t datalen, const unsigned char *msg,
    size_t len)
{
	const unsigned char *p = data;

	return (datalen == 0 || (p >= msg && datalen <= len &&
	    p + datalen <= msg + len));
}

const char *
ktest_fuzz_rndis(unsigned which, const unsigned char *msg, unsigned len)
{
	struct hn_rndis_init_comp comp;
	const void *data;
	size_t datalen;
	uint32_t status;

	datalen = 0;
	data = NULL;
	switch (which % 4) {
	case 0:
		(void)hn_rndis_parse_init(msg, len, &comp);
		return (NULL);
	case 1:
		if (hn_rndis_parse_query(msg, len, &data, &datalen) == 0 &&
		    !fuzz_inside(data, datalen, msg, len))
			return ("an answer's data outside of it");
		return (NULL);
	case 2:
		if (hn_rndis_parse_indicate(msg, len, &status, &data,
		    &datalen) == 0 && !fuzz_inside(data, datalen, msg, len))
			return ("an indication's data outside of it");
		return (NULL);
	default:
		data = hn_nvs_txtbl(msg, len, which % 8 < 4 ?
		    HN_NVS_VERSION_5 : HN_NVS_VERSION_61);
		if (data != NULL && !fuzz_inside(data, HN_NVS_TXTBL_CNT *
		    sizeof(uint32_t), msg, len))
			return ("a table outside of the notice");
		return (NULL);
	}
}

const char *
ktest_fuzz_ndis(unsigned which, const unsigned char *obj, unsigned len)
{
	struct ndis_offload_params op;
	struct ndis_offload of;
	uint32_t hash, max, minsg;
	u_int nind, nrxq;

	if (which % 2 == 0) {
		if (hn_offload_parse(obj, len, &of) == 0)
			(void)hn_offload_caps(&of, 1500, true, &op, &max,
			    &minsg);
		return (NULL);
	}
	if (hn_rss_parse(obj, len, &nrxq, &nind, &hash) == 0 &&
	    (nrxq == 0 || nind == 0 || nind > NDIS_RSS_IND_MAX))
		return ("a table that cannot be");
	return (NULL);
}
