/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of a network channel over fake_bus.h: messages as literal
 * bytes, written from the protocol and not from the host's structures.  What
 * the adapter sends comes out at a fake_nic.
 */

#ifndef TESTS_HOST_FAKE_NETVSC_H
#define	TESTS_HOST_FAKE_NETVSC_H

#include "fake_bus.h"
#include "fake_nic.h"

#define	NV_NONE		UINT32_MAX	/* no answer at all */
#define	NV_MEMORY	(16u << 20)
#define	NV_SCRATCH	(1u << 20)	/* frames and messages by pages */
#define	NV_RX		(4u << 20)	/* receive buffer */
#define	NV_RX_PAGES	512u
#define	NV_TX		(8u << 20)	/* send buffer */
#define	NV_TX_PAGES	256u
#define	NV_SECTION	6144u
#define	NV_GPADL_RX	0x1001u
#define	NV_GPADL_TX	0x1002u

struct nv {
	struct hvh	*h;
	struct hvh_net	*na;
	struct hvh_chan	*ch;		/* the primary */
	struct hvh_netbe *near;		/* the adapter's back end */
	struct hvh_netbe *be;		/* the far end */
	struct fake_nic	 nic;		/* its user */
	struct fake_share *rx, *tx;
	bool		 scattered;	/* buffers are not contiguous */
	uint32_t	 mtu;		/* of NDIS_CONFIG, 0: 1514 */
	uint64_t	 caps;		/* the same */
	uint32_t	 slot_size, slots;
	uint32_t	 request;	/* RNDIS request id of the last */
	uint64_t	 xid;
};

/* One of the packets in a transfer-page packet, checked for its form. */
struct nv_packet {
	const uint8_t	*data;		/* in guest memory */
	uint32_t	 len;
	bool		 has_csum, has_vlan, has_hash, has_id;
	uint32_t	 csum, vlan, hash, hash_info;
	uint8_t		 id_flags;
	uint16_t	 id;
};

struct nv_xfer {
	uint64_t	 xid;
	uint32_t	 type;		/* 0 data, 1 control */
	uint32_t	 n;
	struct {
		uint32_t len, ofs;
	}		 range[600];
};

void	nv_put16(uint8_t *p, uint16_t v);
void	nv_put32(uint8_t *p, uint32_t v);
uint16_t nv_get16(const uint8_t *p);
uint32_t nv_get32(const uint8_t *p);
uint64_t nv_get64(const uint8_t *p);
uint16_t nv_be16(const uint8_t *p);
void	nv_putbe16(uint8_t *p, uint16_t v);
void	nv_putbe32(uint8_t *p, uint32_t v);

/* An adapter, its channel open. */
void	nv_start(struct nv *v, uint32_t max_version, uint16_t channels);
void	nv_end(struct nv *v);
void	nv_pump(struct nv *v);
bool	nv_shut(struct nv *v);

/*
 * Sends an NVSP message of len bytes; the completion's bytes, NV_NONE: none
 * came.
 */
uint32_t nv_msg(struct nv *v, const void *msg, uint32_t len, uint8_t *reply);
/* One with up to four words behind the type, 40 bytes long. */
uint32_t nv_words(struct nv *v, uint8_t *reply, uint32_t type, uint32_t a,
	    uint32_t b, uint32_t c, uint32_t d);
/* Without asking for a completion. */
void	nv_tell(struct nv *v, uint32_t type, uint32_t a, uint32_t b,
	    uint32_t c, uint32_t d);
/* INIT: its status. */
uint32_t nv_init(struct nv *v, uint32_t version);
/* The steps up to RNDIS, and all of them. */
void	nv_setup(struct nv *v, uint32_t version);
void	nv_up(struct nv *v, uint32_t version);

/*
 * Sends len bytes in section sec of the send buffer, whose content they
 * become; the NVSP status, or NV_NONE.
 */
uint32_t nv_section(struct nv *v, struct hvh_chan *ch, uint32_t type,
	    uint32_t sec, const void *data, uint32_t len);
/* Queues the same without a signal. */
void	nv_section_put(struct nv *v, struct hvh_chan *ch, uint32_t type,
	    uint32_t sec, const void *data, uint32_t len);
/* The next packet to the guest is an RNDIS completion: its status. */
uint32_t nv_status(struct hvh_chan *ch, uint64_t xid);

/* A transfer-page packet is next: true. */
bool	nv_xfer(struct hvh_chan *ch, struct nv_xfer *x);
void	nv_return(struct hvh_chan *ch, uint64_t xid);
/* Where a range of it lies; scattered buffers are put together in a copy. */
const uint8_t *nv_slot(struct nv *v, const struct nv_xfer *x, uint32_t i);
/* The frame in a range of it; the test fails if its form is wrong. */
void	nv_packet(struct nv *v, const struct nv_xfer *x, uint32_t i,
	    struct nv_packet *p);

/* A control message goes out; its answer comes, is copied and returned. */
uint32_t nv_control(struct nv *v, const void *msg, uint32_t len,
	    uint8_t *reply);
/* The next control message to the guest; its length, NV_NONE: none. */
uint32_t nv_indication(struct nv *v, uint8_t *msg);
/* QUERY: the status; the data and its length. */
uint32_t nv_query(struct nv *v, uint32_t oid, uint8_t *info, uint32_t *len);
uint32_t nv_query32(struct nv *v, uint32_t oid);
uint32_t nv_set(struct nv *v, uint32_t oid, const void *info, uint32_t len);
uint32_t nv_set32(struct nv *v, uint32_t oid, uint32_t value);

/*
 * An RNDIS packet message in buf: frame behind ppis; its length.  pad: bytes
 * to a multiple of that.
 */
uint32_t nv_encap(uint8_t *buf, const void *ppis, uint32_t ppilen,
	    const void *frame, uint32_t len, uint32_t pad);
/* One word of per-packet information at buf; 16. */
uint32_t nv_ppi(uint8_t *buf, uint32_t type, uint32_t value);

/*
 * A TCP (6) or UDP (17) frame over IPv4 or 6 with len bytes of payload, both
 * checksums right; its length.
 */
uint32_t nv_frame(uint8_t *buf, unsigned ip, unsigned proto, uint32_t len);
/* The checksums of such a frame are right: its own arithmetic. */
bool	nv_ip_right(const uint8_t *frame);
bool	nv_l4_right(const uint8_t *frame);

/* --- Frames to the guest --- */

/* An adapter that is up, with a packet filter. */
void	nv_begin(struct nv *v, uint32_t version, uint32_t filter);
/* A frame from the wire; m NULL: nothing is said of it. */
void	nv_deliver(struct nv *v, const void *data, uint32_t len,
	    const struct net_meta *m);
/* The only frame that has come on this channel, whose slot goes back. */
void	nv_one(struct nv *v, struct hvh_chan *ch, struct nv_packet *p);
/* None has come on the primary. */
void	nv_none(struct nv *v);

#endif	/* !TESTS_HOST_FAKE_NETVSC_H */
