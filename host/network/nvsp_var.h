/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic network adapter: its state and that of its channels.  No
 * locks: all of it runs in hvh_pump() or with the pump lock held.
 *
 * nvsp.c	channels, packets, completions
 * nvsp_setup.c	versions, buffers, sub-channels, the data path
 * nvsp_slot.c	the receive buffer's slots, and who holds them
 * nvsp_mgmt.c	adapters come and go, the link, statistics
 * rndis.c	control messages and their answers
 * rndis_oid.c	what can be asked for and set
 * rndis_offload.c the same of offloads
 * rndis_tx.c	packets from the guest
 * rndis_rx.c	packets to the guest
 * offload.c rss.c what is done to packets: pure
 */

#ifndef HVH_NETWORK_NVSP_VAR_H
#define	HVH_NETWORK_NVSP_VAR_H

#include <sys/queue.h>

#include "network/net.h"
#include "network/ndis_reg.h"
#include "network/nvsp_reg.h"
#include "network/offload.h"
#include "network/rndis_reg.h"
#include "network/rss.h"

#define	PKT_INBAND		6
#define	PKT_XFERPAGES		7
#define	PKT_GPA_DIRECT		9
#define	PKT_COMPLETION		11
#define	PKT_WANTS_COMPLETION	1

#define	NVSP_CHANNELS		64
#define	NVSP_FRAMES		1024	/* before others get a turn */
#define	NVSP_SECTION		6144u	/* bytes of a send-buffer section */
#define	NVSP_MTU_MIN		1514u	/* with the Ethernet header */
#define	NVSP_MTU_MAX		9216u
#define	NVSP_SLOT_HEAD		256u	/* before the frame */
#define	NVSP_SLOT_TAIL		36u	/* room that old guests count on */
#define	NVSP_CONTROL_SLOTS	16u
#define	NVSP_IOV		256	/* pieces of one message */
#define	NVSP_SEGMENTS		2048u	/* of one large packet */
#define	NVSP_REPLIES		(100u << 10)	/* bytes that may wait */
#define	NVSP_MULTICAST		32u
#define	NVSP_NO_SLOT		UINT32_MAX
/* So long frames wait for a guest that has no room for them. */
#define	NVSP_RX_WAIT_NS		10000000ull
/* Large sends: what the guest is told.  protocol: netvsc, 6.1 */
#define	NVSP_LSO_MAX		62780u

/* protocol: netvsc, 3.2 */
enum nvsp_state {
	NVSP_WAIT_VERSION,
	NVSP_SETUP,		/* NDIS configuration and buffers */
	NVSP_READY,		/* RNDIS */
	NVSP_REVOKED		/* until the channel closes */
};

/* Set-up messages that have come; each may only once. */
#define	NVSP_HAS_CONFIG		0x1u
#define	NVSP_HAS_NDIS		0x2u
#define	NVSP_HAS_RX		0x4u
#define	NVSP_HAS_TX		0x8u

/* What the guest has yet to be told in-band. */
#define	NVSP_DUE_PATH		0x1u
#define	NVSP_DUE_VF		0x2u
#define	NVSP_DUE_TABLE		0x4u
/* Transaction ids of the first two; slots' are below. */
#define	NVSP_XID_VF		0x8000000000000000ull
#define	NVSP_XID_PATH		0x8000000000000001ull

/*
 * One sub-allocation of the receive buffer.  Those of one transfer-page packet
 * are chained; the first one's number is the packet's transaction id.
 */
struct nvsp_slot {
	uint32_t	 next;
	uint16_t	 owner;		/* channel that the guest has it from */
	bool		 first;		/* of a packet the guest has */
};

/* A packet of the guest's message, checked.  protocol: netvsc, 4.4 */
struct rndis_tx {
	uint32_t	 ofs;		/* of the frame in the message */
	uint32_t	 len;
	uint32_t	 csum;		/* RNDIS_TXCSUM_*, 0: none wanted */
	uint32_t	 lso;		/* RNDIS_LSO_*, 0: not large */
	bool		 tagged;
	uint16_t	 tci;
};

/* The message that is being sent; the guest waits for its completion. */
struct nvsp_tx {
	bool		 busy;
	bool		 blocked;	/* by the back end */
	uint64_t	 xid;
	unsigned	 n, at;		/* packets; the one it is at */
	uint32_t	 segment;	/* and its segment */
	struct rndis_tx	 pkt[RNDIS_MAX_PACKETS];
	uint32_t	 len;
	struct iovec	 iov[NVSP_IOV];
	int		 niov;
	uint32_t	 end[NVSP_IOV];	/* of each range, in the message */
	unsigned	 nend;
};

/* Frames in slots, about to be shown to the guest in one packet. */
struct nvsp_batch {
	uint32_t	 n;
	uint32_t	 first, last;	/* slots */
	uint8_t		 buf[sizeof(struct nvsp_xfer_head) + NVSP_RANGES_RSC *
			     sizeof(struct nvsp_xfer_range) +
			     NVSP_PACKET_SIZE];
};

struct nvsp_chan {
	struct hvh_net	*na;
	struct hvh_chan	*ch;
	uint16_t	 idx;		/* 0: the primary */
	bool		 shut;		/* the guest broke the protocol */
	bool		 draining;
	unsigned	 budget;	/* frames left in this turn */
	bool		 owed;		/* a completion found no room */
	uint64_t	 owed_xid;
	uint32_t	 owed_len;
	struct nvsp_msg	 owed_msg;
	struct nvsp_tx	 tx;
	struct nvsp_batch batch;
	uint32_t	 held;		/* slots of it that the guest has */
	bool		 choked;	/* frames for it have waited in vain */
	struct hvh_timer timer;		/* the rest of a long queue */
};

/* An RNDIS message for the guest, not yet in a slot. */
struct rndis_reply {
	TAILQ_ENTRY(rndis_reply) link;
	uint64_t	 at;		/* not before */
	uint32_t	 len;
	uint8_t		 data[];
};

/* What the guest has switched on.  protocol: netvsc, 6.2 */
struct rndis_offload {
	uint32_t	 tx4, rx4;	/* NDIS_CSUM4_* */
	uint32_t	 tx6, rx6;	/* NDIS_CSUM6_* */
	bool		 lso4, lso6;
	bool		 rsc4, rsc6;
};

TAILQ_HEAD(rndis_replies, rndis_reply);

struct hvh_net {
	struct hvh	*h;
	struct hvh_chan	*primary;	/* the offer */
	struct hvh_netbe *be;
	struct hvh_guid	 instance;
	uint8_t		 permanent[6];	/* MAC */
	uint16_t	 max_channels;
	uint32_t	 max_version;
	uint32_t	 max_mtu;	/* with the Ethernet header */
	uint64_t	 speed;
	bool		 monitored;

	/* What the guest said; anew with each opening of the primary. */
	enum nvsp_state	 state;
	uint32_t	 version;
	unsigned	 has;		/* NVSP_HAS_* */
	uint32_t	 mtu;
	uint64_t	 capabilities;	/* NVSP_CAP_* */
	uint32_t	 ndis;		/* major << 16 | minor */
	uint16_t	 rx_id, tx_id;
	const struct hvh_shared *rx, *tx;
	uint32_t	 tx_size;
	uint16_t	 channels;	/* granted, the primary with them */
	unsigned	 due;		/* NVSP_DUE_* */
	struct nvsp_chan *chans[NVSP_CHANNELS];

	/* The receive buffer. */
	struct nvsp_slot *slots;
	uint32_t	 nslots;
	uint32_t	 slot_size;
	uint32_t	 control_slots;	/* the first ones */
	uint32_t	 free_control;
	uint32_t	 free_data;
	uint32_t	 nfree;		/* data */
	struct nvsp_chan *waiting;	/* the back end, for room on it */
	struct hvh_timer wait_timer;

	/* RNDIS. */
	bool		 operational;
	uint8_t		 mac[6];
	uint32_t	 filter;
	uint8_t		 multicast[NVSP_MULTICAST][6];
	unsigned	 nmulticast;
	struct rndis_offload offload;
	struct rss	 rss;
	uint16_t	 packet_id;	/* of the last coalesced frame */
	uint32_t	 alive_id;	/* of the last question */
	struct rndis_replies replies;
	uint32_t	 reply_bytes;
	struct hvh_timer reply_timer;

	/* The link: as it is, and as the guest was told. */
	bool		 cable;
	bool		 link_told;
	uint64_t	 link_time;
	struct hvh_timer link_timer;

	bool		 vf;		/* one has been given */
	bool		 vf_active;
	uint32_t	 vf_serial;

	struct hvh_net_stats stats;
	bool		 removed;	/* the owner has given it up */
	bool		 gone;		/* only the owner's handle is left */
	struct hvh_husk	 husk;
};

extern const struct hvh_chan_ops nvsp_chan_ops;
extern const struct net_user nvsp_net_user;

/* --- nvsp.c --- */

void	nvsp_shut(struct nvsp_chan *c, const char *why);
/* Answers a packet of the guest's, now or when there is room. */
void	nvsp_complete(struct nvsp_chan *c, uint64_t xid,
	    const struct nvsp_msg *msg, uint32_t len);
/* Answers an RNDIS message. */
void	nvsp_complete_rndis(struct nvsp_chan *c, uint64_t xid,
	    uint32_t status);
/* Bytes of a message to the guest.  protocol: netvsc, 2 */
uint32_t nvsp_msg_size(const struct hvh_net *na);
void	nvsp_drain(struct nvsp_chan *c);

/* --- nvsp_setup.c --- */

/* Takes a message that is not RNDIS. */
void	nvsp_message(struct nvsp_chan *c, const struct nvsp_msg *msg,
	    const struct hvh_pkt *pkt);
/* Is the adapter ready for RNDIS?  The first such message makes it so. */
bool	nvsp_become_ready(struct hvh_net *na);
/* Writes what is due in-band; false: no room. */
bool	nvsp_write_due(struct nvsp_chan *c);
/* The guest knows of virtual functions. */
bool	nvsp_vf_capable(const struct hvh_net *na);
/* A sub-channel has been opened. */
void	nvsp_sub_opened(struct hvh_net *na);
/* What the guest sends is to go by other channels than before. */
void	nvsp_table_due(struct hvh_net *na);
/* As before the first message. */
void	nvsp_forget(struct hvh_net *na);

/* --- nvsp_slot.c --- */

/* ENOMEM; EINVAL: not room for one. */
int	nvsp_slots_make(struct hvh_net *na);
void	nvsp_slots_free(struct hvh_net *na);
uint32_t nvsp_slot_take(struct hvh_net *na, bool control);
void	nvsp_slot_give(struct hvh_net *na, uint32_t slot);
/* Slots a channel may have at the guest. */
uint32_t nvsp_slot_quota(const struct hvh_net *na);
/* Copies into the receive buffer. */
void	nvsp_slot_write(struct hvh_net *na, uint32_t slot, uint32_t ofs,
	    const void *data, uint32_t len);
/* The guest has done with a packet; false: it did not have it. */
bool	nvsp_slots_returned(struct nvsp_chan *c, uint64_t xid);
/* All that the guest has of a channel that closes. */
void	nvsp_slots_reclaim(struct nvsp_chan *c);
/* One slot more for the packet in the making, and the packet. */
void	nvsp_batch_add(struct nvsp_chan *c, uint32_t slot, uint32_t len);
/* False: no room in the ring. */
bool	nvsp_batch_write(struct nvsp_chan *c, uint32_t channel_type);
uint32_t nvsp_batch_max(const struct hvh_net *na);

/* --- nvsp_mgmt.c --- */

void	nvsp_released(void *dev);
bool	nvsp_link(const struct hvh_net *na);
/* The link may have changed: tells the guest, in time. */
void	nvsp_link_check(void *arg);

/* --- rndis.c --- */

/* A control message of the guest's; a status for its completion. */
uint32_t rndis_control(struct hvh_net *na, const struct nvsp_tx *m);
/* Queues a message for the guest; it goes out with nvsp_drain(). */
bool	rndis_send(struct hvh_net *na, const void *data, uint32_t len);
void	rndis_indicate(struct hvh_net *na, uint32_t status, const void *info,
	    uint32_t len);
/* Asks whether the guest is there. */
bool	rndis_ask_alive(struct hvh_net *na);
/* Puts waiting messages into slots and the ring; false: no room in it. */
bool	rndis_write_replies(struct nvsp_chan *c);
void	rndis_reply_timer(void *arg);
void	rndis_forget(struct hvh_net *na);
/*
 * Lets faults at a message that goes out; data is a private copy.  False: it
 * does not.
 */
bool	rndis_fault(struct hvh_net *na, void *data, size_t *len, bool *twice,
	    uint64_t *delay);

/* --- rndis_oid.c, rndis_offload.c: an RNDIS_STATUS_* --- */

#define	RNDIS_INFO_MAX	1024u	/* an answer's length at most */

uint32_t rndis_query(struct hvh_net *na, uint32_t oid, uint8_t *info,
	    uint32_t *len);
uint32_t rndis_set(struct hvh_net *na, uint32_t oid, const uint8_t *info,
	    uint32_t len);
void	rndis_offload_defaults(struct hvh_net *na);
void	rndis_offload_object(const struct hvh_net *na, bool hardware,
	    struct ndis_offload *obj);
uint32_t rndis_offload_set(struct hvh_net *na, const uint8_t *info,
	    uint32_t len);
uint32_t rndis_encapsulation_set(const uint8_t *info, uint32_t len);
uint32_t rndis_config_set(struct hvh_net *na, const uint8_t *info,
	    uint32_t len);

/* --- rndis_rx.c --- */

/* Perhaps there is room again for what the back end has. */
void	rndis_rx_room(struct nvsp_chan *c);
/* Nobody waits for it any more, whatever is the matter. */
void	rndis_rx_unwait(struct hvh_net *na);
void	rndis_rx_timer(void *arg);

/* --- rndis_tx.c --- */

/* An RNDIS message of the guest's, in-band, by section or by pages. */
void	rndis_receive(struct nvsp_chan *c, const struct nvsp_msg *msg,
	    const struct hvh_pkt *pkt);
/* Goes on with the message under way; false: it still is. */
bool	rndis_tx_run(struct nvsp_chan *c);

#endif	/* !HVH_NETWORK_NVSP_VAR_H */
