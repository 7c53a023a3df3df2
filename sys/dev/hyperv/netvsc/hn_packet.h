/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packet messages and the headers of frames: what can be said of them without
 * a ring, a lock or an mbuf.  Pure; what comes from the host is read once,
 * and every number of it is checked before use (protocol: netvsc, 4.2, 4.4).
 */

#ifndef _HN_PACKET_H_
#define	_HN_PACKET_H_

#include <sys/types.h>

/*
 * The longest frame of either direction: IP's 65535 bytes behind an Ethernet
 * header with a VLAN tag.
 */
#define	HN_FRAME_MAX	(65535 + 14 + 4)
#define	HN_FRAME_MIN	14

/* Per-packet information of one packet: hosts send less than a hundred. */
#define	HN_PPI_LEN_MAX	1024

/*
 * What a message of the host says.  Members whose bit in ri_have is clear are
 * not set.
 */
struct hn_rxinfo {
	uint32_t	ri_ofs;		/* of the frame, from the message's
					 * start; all of it inside of it */
	uint32_t	ri_len;		/* HN_FRAME_MIN to HN_FRAME_MAX, or a
					 * piece: 1 to HN_FRAME_MAX */
	uint32_t	ri_have;	/* HN_RXI_ */
#define	HN_RXI_CSUM	0x01
#define	HN_RXI_VLAN	0x02
#define	HN_RXI_HASH	0x04		/* value and info */
#define	HN_RXI_PIECE	0x08		/* of a coalesced frame */
	uint32_t	ri_csum;	/* NDIS_RXCSUM_ */
	uint32_t	ri_hash;
	uint32_t	ri_hashinfo;	/* NDIS_HASH_ */
	uint16_t	ri_vtag;	/* as in an mbuf */
	uint16_t	ri_rscid;
	uint8_t		ri_rscflags;	/* NDIS_RSC_ */
};

/*
 * Reads the message of len bytes at msg, which the host can write to at any
 * time.  EINVAL if anything of it is out of place.
 */
int	hn_packet_parse(const uint8_t *msg, uint32_t len,
	    struct hn_rxinfo *ri);

/* What a message to the host shall say beside the frame. */
struct hn_txinfo {
	uint32_t	ti_have;	/* HN_TXI_ */
#define	HN_TXI_HASH	0x01
#define	HN_TXI_VLAN	0x02
#define	HN_TXI_LSO	0x04		/* this or CSUM, not both */
#define	HN_TXI_CSUM	0x08
	uint32_t	ti_hash;
	uint32_t	ti_vlan;	/* NDIS_VLAN_INFO() */
	uint32_t	ti_offload;	/* NDIS_LSO_, or NDIS_TXCSUM_ */
};

/* The most hn_packet_build() ever writes: a header with three entries. */
#define	HN_PACKET_HDR_MAX	(44 + 3 * 16)

/* How much it will write for this. */
uint32_t hn_packet_hdrlen(const struct hn_txinfo *ti);

/*
 * Writes header and per-packet information for a frame of framelen bytes,
 * which is to follow, with pad unused bytes behind it that belong to the
 * message.  Returns hn_packet_hdrlen().
 */
uint32_t hn_packet_build(uint8_t *msg, const struct hn_txinfo *ti,
	    uint32_t framelen, uint32_t pad);

/* Headers at the start of a frame. */
struct hn_frame {
	uint16_t	fr_l3ofs;
	uint16_t	fr_l4ofs;	/* 0: none found */
	uint16_t	fr_hdrlen;	/* all headers found */
	uint8_t		fr_l4proto;	/* IPPROTO_TCP, IPPROTO_UDP, or 0 */
	bool		fr_ip4;
	bool		fr_ip6;
};

/* Bytes of a frame that are enough for any headers worth a look. */
#define	HN_FRAME_PEEK	144

/*
 * Finds the headers in the first len bytes of a frame.  Looks through VLAN
 * tags and IPv6 extension headers; a fragment has no header of a transport.
 * What is not there completely is not found.
 */
void	hn_frame_parse(const uint8_t *p, uint32_t len, struct hn_frame *fr);

/*
 * Prepares headers for segmentation by the host: no lengths, no IP checksum,
 * the sum of the pseudo header without length as TCP's (protocol: netvsc,
 * 4.4).  hdr holds fr_hdrlen bytes of a TCP frame.
 */
void	hn_frame_lso(uint8_t *hdr, const struct hn_frame *fr);

#endif	/* !_HN_PACKET_H_ */
