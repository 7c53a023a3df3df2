/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the host computes for us: checksums, segmentation, coalescing.  It says
 * what it could do and is told what to do (protocol: netvsc, section 6.1 and
 * 6.2).  A host without any of it still makes an adapter.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/netvsc/hn_var.h>

/*
 * An answer to the question for capabilities; members that it is too short for,
 * or too old, are 0.
 */
int
hn_offload_parse(const void *data, size_t len, struct ndis_offload *of)
{
	struct ndis_object_hdr hdr;
	size_t size;

	memset(of, 0, sizeof(*of));
	if (len < NDIS_OFFLOAD_SIZE_1)
		return (EPROTO);
	memcpy(&hdr, data, sizeof(hdr));
	size = hdr.oh_size;
	if (hdr.oh_type != NDIS_OBJECT_OFFLOAD || size > len ||
	    size < NDIS_OFFLOAD_SIZE_1 ||
	    (hdr.oh_rev >= 3 && size < NDIS_OFFLOAD_SIZE_3))
		return (EPROTO);
	if (hdr.oh_rev < 3)
		size = MIN(size, NDIS_OFFLOAD_SIZE_2);
	memcpy(of, data, MIN(size, sizeof(*of)));
	return (0);
}

#define	HN_HAS(flags, wanted)	(((flags) & (wanted)) == (wanted))

static uint8_t
hn_offload_csum(bool tx, bool rx)
{

	if (tx)
		return (rx ? NDIS_OFFLOAD_CSUM_TXRX : NDIS_OFFLOAD_CSUM_TX);
	return (rx ? NDIS_OFFLOAD_CSUM_RX : NDIS_OFFLOAD_KEEP);
}

/*
 * The stack sends what it likes, so a checksum counts as offered only if the
 * host copes with options and extension headers, too.
 */
static uint32_t
hn_offload_csum_caps(const struct ndis_csum_offload *co,
    struct ndis_offload_params *op)
{
	uint32_t caps;

	caps = 0;
	if (HN_HAS(co->co_ip4_tx, NDIS_CSUM_IP4_IP | NDIS_CSUM_IP4_IPOPT))
		caps |= HN_CAP_IPCS;
	if (HN_HAS(co->co_ip4_tx, NDIS_CSUM_IP4_TCP | NDIS_CSUM_IP4_TCPOPT))
		caps |= HN_CAP_TCP4CS;
	if (HN_HAS(co->co_ip4_tx, NDIS_CSUM_IP4_UDP))
		caps |= HN_CAP_UDP4CS;
	if (HN_HAS(co->co_ip6_tx, NDIS_CSUM_IP6_TCP | NDIS_CSUM_IP6_TCPOPT |
	    NDIS_CSUM_IP6_IPEXT))
		caps |= HN_CAP_TCP6CS;
	if (HN_HAS(co->co_ip6_tx, NDIS_CSUM_IP6_UDP | NDIS_CSUM_IP6_IPEXT))
		caps |= HN_CAP_UDP6CS;
	op->op_ip4csum = hn_offload_csum((caps & HN_CAP_IPCS) != 0,
	    (co->co_ip4_rx & NDIS_CSUM_IP4_IP) != 0);
	op->op_tcp4csum = hn_offload_csum((caps & HN_CAP_TCP4CS) != 0,
	    (co->co_ip4_rx & NDIS_CSUM_IP4_TCP) != 0);
	op->op_udp4csum = hn_offload_csum((caps & HN_CAP_UDP4CS) != 0,
	    (co->co_ip4_rx & NDIS_CSUM_IP4_UDP) != 0);
	op->op_tcp6csum = hn_offload_csum((caps & HN_CAP_TCP6CS) != 0,
	    (co->co_ip6_rx & NDIS_CSUM_IP6_TCP) != 0);
	op->op_udp6csum = hn_offload_csum((caps & HN_CAP_UDP6CS) != 0,
	    (co->co_ip6_rx & NDIS_CSUM_IP6_UDP) != 0);
	return (caps);
}

/*
 * Segmentation implies checksums.  What both families have in common are the
 * limits: the stack knows one for the interface.
 */
static uint32_t
hn_offload_tso_caps(const struct ndis_lsov2_offload *lo, uint32_t csum,
    u_int mtu, struct ndis_offload_params *op, uint32_t *tso_max,
    uint32_t *tso_minsg)
{
	uint32_t caps, max, minsg;

	caps = 0;
	max = UINT32_MAX;
	minsg = 2;
	if ((lo->lo_ip4_enc & NDIS_ENCAP_8023) != 0 &&
	    HN_HAS(csum, HN_CAP_IPCS | HN_CAP_TCP4CS)) {
		caps |= HN_CAP_TSO4;
		max = MIN(max, lo->lo_ip4_maxsz);
		minsg = MAX(minsg, lo->lo_ip4_minsg);
	}
	if ((lo->lo_ip6_enc & NDIS_ENCAP_8023) != 0 &&
	    HN_HAS(csum, HN_CAP_TCP6CS) && HN_HAS(lo->lo_ip6_opts,
	    NDIS_LSOV2_IP6_EXT | NDIS_LSOV2_IP6_TCPOPT)) {
		caps |= HN_CAP_TSO6;
		max = MIN(max, lo->lo_ip6_maxsz);
		minsg = MAX(minsg, lo->lo_ip6_minsg);
	}
	op->op_lsov2_ip4 = (caps & HN_CAP_TSO4) != 0 ? NDIS_OFFLOAD_ON :
	    NDIS_OFFLOAD_KEEP;
	op->op_lsov2_ip6 = (caps & HN_CAP_TSO6) != 0 ? NDIS_OFFLOAD_ON :
	    NDIS_OFFLOAD_KEEP;
	*tso_max = 0;
	*tso_minsg = 0;
	if (caps == 0)
		return (0);
	if (max < (uint64_t)minsg * mtu) {
		op->op_lsov2_ip4 = op->op_lsov2_ip6 = NDIS_OFFLOAD_OFF;
		return (0);
	}
	*tso_max = max;
	*tso_minsg = minsg;
	return (caps);
}

/* HN_CAP_ of what the host offers; *op asks for all of it, but its header. */
uint32_t
hn_offload_caps(const struct ndis_offload *of, u_int mtu, bool rsc,
    struct ndis_offload_params *op, uint32_t *tso_max, uint32_t *tso_minsg)
{
	uint32_t caps;

	memset(op, 0, sizeof(*op));
	caps = hn_offload_csum_caps(&of->of_csum, op);
	caps |= hn_offload_tso_caps(&of->of_lsov2, caps, mtu, op, tso_max,
	    tso_minsg);
	if (of->of_hdr.oh_rev >= 3 && of->of_rsc.ro_ip4 != 0 &&
	    of->of_rsc.ro_ip6 != 0)
		caps |= HN_CAP_RSC;
	if (of->of_hdr.oh_rev >= 3)
		op->op_rsc_ip4 = op->op_rsc_ip6 = rsc &&
		    (caps & HN_CAP_RSC) != 0 ? NDIS_OFFLOAD_ON :
		    NDIS_OFFLOAD_OFF;
	return (caps);
}

static int
hn_offload_query(struct hn_softc *sc, struct ndis_offload *of)
{
	struct ndis_offload in;
	uint8_t out[sizeof(*of)];
	size_t inlen, len;
	int error;

	memset(&in, 0, sizeof(in));
	in.of_hdr.oh_type = NDIS_OBJECT_OFFLOAD;
	if (sc->sc_ndis_version >= NDIS_VERSION_6_30) {
		in.of_hdr.oh_rev = 3;
		inlen = NDIS_OFFLOAD_SIZE_3;
	} else {
		in.of_hdr.oh_rev = 2;
		inlen = NDIS_OFFLOAD_SIZE_2;
	}
	in.of_hdr.oh_size = inlen;
	len = sizeof(out);
	error = hn_rndis_query(sc, HN_OID_TCP_OFFLOAD_HWCAPS, &in, inlen, out,
	    &len, NDIS_OFFLOAD_SIZE_1);
	return (error != 0 ? error : hn_offload_parse(out, len, of));
}

int
hn_offload_config(struct hn_softc *sc, u_int mtu)
{
	struct ndis_offload of;
	struct ndis_offload_params op;
	uint32_t caps;
	size_t len;
	int error;

	sc->sc_tso_max = sc->sc_tso_minsg = 0;
	error = hn_offload_query(sc, &of);
	if (error == 0) {
		caps = hn_offload_caps(&of, mtu, sc->sc_rsc != 0, &op,
		    &sc->sc_tso_max, &sc->sc_tso_minsg);
		op.op_hdr.oh_type = NDIS_OBJECT_DEFAULT;
		if (sc->sc_ndis_version >= NDIS_VERSION_6_30) {
			op.op_hdr.oh_rev = 3;
			len = NDIS_OFFLOAD_PARAMS_SIZE_3;
		} else {
			op.op_hdr.oh_rev = 2;
			len = NDIS_OFFLOAD_PARAMS_SIZE_2;
		}
		op.op_hdr.oh_size = len;
		error = hn_rndis_set(sc, HN_OID_TCP_OFFLOAD_PARAMS, &op, len);
		if (error == 0) {
			sc->sc_caps |= caps;
			return (0);
		}
		sc->sc_tso_max = sc->sc_tso_minsg = 0;
	}
	if (!hn_refused(error))
		return (error);
	if (bootverbose)
		device_printf(sc->sc_dev, "no offloads: error %d\n", error);
	return (0);
}
