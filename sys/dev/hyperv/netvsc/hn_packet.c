/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packet messages: reading the host's and writing ours.  No state, no locks.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_rndis_reg.h>
#include <dev/hyperv/netvsc/ndis_reg.h>

/* Size of an entry of the kinds that are known: all have 4 bytes of data. */
#define	HN_PPI_SIZE	(sizeof(struct ndis_ppi) + sizeof(uint32_t))

/* A word of what the host can change any time: read once, used afterwards. */
static __inline uint32_t
hn_packet_word(const uint8_t *p)
{

	return (*(const volatile uint32_t *)p);
}

static __inline bool
hn_packet_apart(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{

	return (alen == 0 || blen == 0 || a + alen <= b || b + blen <= a);
}

/*
 * Whether an area, given by an offset as in the message, is one: inside of the
 * message and behind its header.
 */
static __inline bool
hn_packet_area(uint32_t ofs, uint32_t len, uint32_t msglen)
{

	if (len == 0)
		return (ofs == 0 || ofs >= HN_RNDIS_PACKET_OFS_MIN);
	return (ofs >= HN_RNDIS_PACKET_OFS_MIN &&
	    (uint64_t)ofs + HN_RNDIS_OFS_BASE + len <= msglen);
}

/* Takes in one entry of a known kind; others are of no concern. */
static void
hn_packet_ppi(struct hn_rxinfo *ri, uint32_t type, uint32_t data)
{
	struct ndis_ppi_rsc rsc;

	switch (type) {
	case NDIS_PPI_CSUM:
		ri->ri_csum = data;
		ri->ri_have |= HN_RXI_CSUM;
		break;
	case NDIS_PPI_VLAN:
		ri->ri_vtag = NDIS_VLAN_ID(data) | NDIS_VLAN_CFI(data) << 12 |
		    NDIS_VLAN_PRI(data) << 13;
		ri->ri_have |= HN_RXI_VLAN;
		break;
	case NDIS_PPI_HASH_VALUE:
		ri->ri_hash = data;
		ri->ri_have |= HN_RXI_HASH;
		break;
	case NDIS_PPI_HASH_INFO:
		ri->ri_hashinfo = data;
		break;
	case NDIS_PPI_RSC:
		memcpy(&rsc, &data, sizeof(rsc));
		ri->ri_rscid = rsc.rs_id;
		ri->ri_rscflags = rsc.rs_flags;
		ri->ri_have |= HN_RXI_PIECE;
		break;
	default:
		break;
	}
}

/*
 * Walks the entries between p and p + len.  Every step is at least the size of
 * an entry's header, so the walk ends.
 */
static int
hn_packet_ppis(const uint8_t *p, uint32_t len, struct hn_rxinfo *ri)
{
	uint32_t ofs, size, type;

	while (len != 0) {
		if (len < sizeof(struct ndis_ppi))
			return (EINVAL);
		size = hn_packet_word(p);
		type = hn_packet_word(p + 4);
		ofs = hn_packet_word(p + 8);
		if (size < sizeof(struct ndis_ppi) || size > len ||
		    (size & 3) != 0 || ofs < sizeof(struct ndis_ppi) ||
		    ofs > size || (ofs & 3) != 0)
			return (EINVAL);
		if (size - ofs >= sizeof(uint32_t))
			hn_packet_ppi(ri, type, hn_packet_word(p + ofs));
		p += size;
		len -= size;
	}
	return (0);
}

int
hn_packet_parse(const uint8_t *msg, uint32_t len, struct hn_rxinfo *ri)
{
	struct hn_rndis_packet rm;
	uint32_t msglen;
	int error;

	if (len < sizeof(rm))
		return (EINVAL);
	/* The one copy of the header: only it is looked at from here on. */
	memcpy(&rm, msg, sizeof(rm));
	__compiler_membar();
	/* The length stated may be that of the piece of buffer (pitfall 6). */
	msglen = rm.rm_hdr.rh_len;
	if (rm.rm_hdr.rh_type != HN_RNDIS_PACKET || msglen < sizeof(rm) ||
	    msglen > len)
		return (EINVAL);
	if (rm.rm_datalen == 0 || rm.rm_datalen > HN_FRAME_MAX ||
	    rm.rm_ppilen > HN_PPI_LEN_MAX || (rm.rm_ppiofs & 3) != 0 ||
	    (rm.rm_oobofs & 3) != 0)
		return (EINVAL);
	if (!hn_packet_area(rm.rm_dataofs, rm.rm_datalen, msglen) ||
	    !hn_packet_area(rm.rm_oobofs, rm.rm_ooblen, msglen) ||
	    !hn_packet_area(rm.rm_ppiofs, rm.rm_ppilen, msglen))
		return (EINVAL);
	if (!hn_packet_apart(rm.rm_dataofs, rm.rm_datalen, rm.rm_ppiofs,
	    rm.rm_ppilen) ||
	    !hn_packet_apart(rm.rm_dataofs, rm.rm_datalen, rm.rm_oobofs,
	    rm.rm_ooblen) ||
	    !hn_packet_apart(rm.rm_oobofs, rm.rm_ooblen, rm.rm_ppiofs,
	    rm.rm_ppilen))
		return (EINVAL);

	ri->ri_ofs = HN_RNDIS_OFS_BASE + rm.rm_dataofs;
	ri->ri_len = rm.rm_datalen;
	ri->ri_have = 0;
	ri->ri_hashinfo = 0;
	error = hn_packet_ppis(msg + HN_RNDIS_OFS_BASE + rm.rm_ppiofs,
	    rm.rm_ppilen, ri);
	if (error != 0)
		return (error);
	if ((ri->ri_have & HN_RXI_PIECE) == 0 && ri->ri_len < HN_FRAME_MIN)
		return (EINVAL);
	return (0);
}

uint32_t
hn_packet_hdrlen(const struct hn_txinfo *ti)
{
	uint32_t n;

	n = (ti->ti_have & HN_TXI_HASH) != 0;
	n += (ti->ti_have & HN_TXI_VLAN) != 0;
	n += (ti->ti_have & (HN_TXI_LSO | HN_TXI_CSUM)) != 0;
	return (sizeof(struct hn_rndis_packet) + n * HN_PPI_SIZE);
}

static uint8_t *
hn_packet_put(uint8_t *p, uint32_t type, uint32_t data)
{
	struct ndis_ppi *pi = (struct ndis_ppi *)p;

	pi->pi_size = HN_PPI_SIZE;
	pi->pi_type = type;
	pi->pi_ofs = NDIS_PPI_OFS;
	memcpy(pi + 1, &data, sizeof(data));
	return (p + HN_PPI_SIZE);
}

uint32_t
hn_packet_build(uint8_t *msg, const struct hn_txinfo *ti, uint32_t framelen,
    uint32_t pad)
{
	struct hn_rndis_packet *rm = (struct hn_rndis_packet *)msg;
	uint8_t *p;
	uint32_t hdrlen;

	p = msg + sizeof(*rm);
	if ((ti->ti_have & HN_TXI_HASH) != 0)
		p = hn_packet_put(p, NDIS_PPI_HASH_VALUE, ti->ti_hash);
	if ((ti->ti_have & HN_TXI_VLAN) != 0)
		p = hn_packet_put(p, NDIS_PPI_VLAN, ti->ti_vlan);
	if ((ti->ti_have & HN_TXI_LSO) != 0)
		p = hn_packet_put(p, NDIS_PPI_LSO, ti->ti_offload);
	else if ((ti->ti_have & HN_TXI_CSUM) != 0)
		p = hn_packet_put(p, NDIS_PPI_CSUM, ti->ti_offload);
	hdrlen = (uint32_t)(p - msg);

	memset(rm, 0, sizeof(*rm));
	rm->rm_hdr.rh_type = HN_RNDIS_PACKET;
	rm->rm_hdr.rh_len = hdrlen + framelen + pad;
	rm->rm_dataofs = hdrlen - HN_RNDIS_OFS_BASE;
	rm->rm_datalen = framelen;
	if (hdrlen > sizeof(*rm)) {
		rm->rm_ppiofs = sizeof(*rm) - HN_RNDIS_OFS_BASE;
		rm->rm_ppilen = hdrlen - sizeof(*rm);
	}
	return (hdrlen);
}
