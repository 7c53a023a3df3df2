/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * State of a network adapter, shared by the files of this driver.  No wire
 * layout here (*_reg.h), no state outside the softc.
 *
 * Control path: if_hn.c, hn_if.c, hn_synth.c, hn_chan.c, hn_xchg.c, hn_nvs.c,
 * hn_rndis.c, hn_rndis_msg.c, hn_offload.c, hn_rss.c, hn_link.c, hn_sysctl.c.
 * Data path: hn_ring.c, hn_tx.c, hn_tx_encap.c, hn_tx_agg.c, hn_rx.c,
 * hn_loan.c, hn_vf.c, hn_debugnet.c; pure: hn_packet.h.
 */

#ifndef _HN_VAR_H_
#define	_HN_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/buf_ring.h>
#include <sys/eventhandler.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mbuf.h>
#include <sys/mutex.h>
#include <sys/socket.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <machine/bus.h>

#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_media.h>
#include <net/if_var.h>

#include <netinet/in.h>
#include <netinet/tcp_lro.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/netvsc/hn_nvs_reg.h>
#include <dev/hyperv/netvsc/hn_ring.h>
#include <dev/hyperv/netvsc/hn_rndis_reg.h>
#include <dev/hyperv/netvsc/ndis_reg.h>

/*
 * Locks.  The order is
 *
 *	configuration (x)  ->  TX ring (t)  ->  softc (s)
 *
 * The configuration lock is an sx: its owner may sleep for the host, always
 * for a bounded time.  Nobody takes it who may not sleep: what the stack asks
 * for elsewhere (filters) is done by a task.  No lock of ours is held when a
 * packet goes into the stack.  Two processors that send or receive on
 * different rings share no lock.  vmbus takes no lock of this driver.
 *
 * Lock key of the members below:
 *	(x)	sc_lock
 *	(s)	sc_mtx
 *	(t)	txr_mtx of the TX ring
 *	(r)	only by the ring's channel callback, which never runs twice at
 *		once; by others when the channel is closed
 *	(a)	set while attaching, before anyone else can look; then constant
 *	(n)	set by hn_synth_attach(), with (x) and while no channel but
 *		perhaps the primary is open and nobody sends; read freely when
 *		there is traffic
 *	(A)	atomic
 */

#define	HN_MAX_CHANS		64	/* primary included */
#define	HN_DEFAULT_CHANS	8
#define	HN_MTU_MAX		(65535 - ETHER_ADDR_LEN)

#define	HN_RXBUF_SIZE		(31 * 1024 * 1024)
#define	HN_RXBUF_SIZE_OLD	(15 * 1024 * 1024)	/* versions 1 and 2 */
#define	HN_TXBUF_SIZE		(15 * 1024 * 1024)

#define	HN_BATCH		256	/* packets a callback, then again */

/* Limits of waits, in seconds. */
#define	HN_TIMEOUT_XCHG		5	/* one control exchange */
#define	HN_TIMEOUT_SUBCH	10	/* sub-channels to be offered */
#define	HN_TIMEOUT_DRAIN	5	/* sends under way before a close */
#define	HN_TIMEOUT_LOANS	5	/* received packets held elsewhere */
#define	HN_TIMEOUT_NETCHG	5	/* link is down for so long */

#define	HN_REVOKE_LINGER_MS	200

/*
 * Transaction ids.  A send's is the index of its descriptor and which use of it
 * this is; an exchange's has an index that no descriptor has.
 */
#define	HN_ID_CONTROL		0xffffffffu
#define	HN_ID_NONE		0xfffffffeu	/* nobody waits for it */

static __inline uint64_t
hn_id(uint32_t index, uint32_t gen)
{

	return (((uint64_t)gen << 32) | index);
}

/*
 * Memory shared with the host for as long as a session lasts.  A receive buffer
 * of which packets are out on loan when the session ends is replaced by a new
 * one and freed with the last loan.
 */
struct hn_rxbuf {
	u_int		 rb_refs;	/* (A) the softc's, one each loan */
	struct hn_softc	*rb_sc;		/* (a) */
	uint8_t		*rb_mem;	/* (a) pages, physically anywhere */
	size_t		 rb_size;	/* (a) */
	uint32_t	 rb_gpadl;	/* (x) 0: not shared */
	bool		 rb_shared;	/* (x) and the host was told of it */
	bool		 rb_lost;	/* (x) the host may still write to it:
					 * never to be freed */
};

struct hn_txbuf {
	uint8_t		*tb_mem;	/* (x) pages, physically anywhere */
	size_t		 tb_size;	/* (x) */
	uint32_t	 tb_gpadl;	/* (x) 0: not shared */
	bool		 tb_shared;	/* (x) */
	uint32_t	 tb_sectsz;	/* (n) bytes, multiple of 4 */
	uint32_t	 tb_nsect;	/* (n) 0: no send buffer */
};

/*
 * The one control exchange that can be under way, on the primary channel; who
 * has one holds sc_lock.  RNDIS requests have two answers: the host's
 * acknowledgement of the packet, and its own.
 */
#define	HN_CTL_REQ_MAX		PAGE_SIZE	/* one page: one range */
#define	HN_CTL_REPLY_MAX	1024

struct hn_xchg {
	bool		 xc_waiting;	/* (s) for an NVS answer */
	bool		 xc_done;	/* (s) it is in xc_nvs */
	bool		 xc_rwaiting;	/* (s) for an RNDIS answer */
	bool		 xc_rdone;	/* (s) it is in xc_reply */
	bool		 xc_mute;	/* (s) the host owes an answer */
	u_int		 xc_room;	/* (A) waits for room in the ring */
	uint32_t	 xc_gen;	/* (s) of the transaction id */
	uint32_t	 xc_held;	/* (s) with this one the host has
					 * xc_req; 0: it is ours */
	uint32_t	 xc_rid;	/* (s) of the RNDIS request */
	uint32_t	 xc_rtype;	/* (s) of its answer */
	size_t		 xc_nvslen;	/* (s) valid bytes */
	struct hn_nvs_msg xc_nvs;	/* (s) */
	size_t		 xc_rlen;	/* (s) bytes the answer has */
	uint8_t		*xc_reply;	/* (s) HN_CTL_REPLY_MAX */
	uint8_t		*xc_req;	/* (x) HN_CTL_REQ_MAX */
};

struct hn_softc {
	device_t	 sc_dev;	/* (a) */
	if_t		 sc_ifp;	/* (a) */
	struct ifmedia	 sc_media;	/* (x) */
	struct sx	 sc_lock;
	u_int		 sc_nalloc;	/* (a) rings there are */
	u_int		 sc_nrings;	/* (A) rings in use, >= 1 */
	bool		 sc_rings;	/* (a) all rings are complete */
	struct hn_tx_ring *sc_txr;	/* (a) array of sc_nalloc */
	struct hn_rx_ring *sc_rxr;	/* (a) array of sc_nalloc */
	struct hn_rxbuf	*sc_rxbuf;	/* (n) */
	struct hn_txbuf	 sc_txbuf;
	u_int		 sc_nrxbufs;	/* (A) not freed yet, old ones too */

	/* What the session with the host is like (n). */
	uint32_t	 sc_nvs_version;	/* HN_NVS_VERSION_ */
	uint32_t	 sc_ndis_version;	/* NDIS_VERSION_ */
	uint32_t	 sc_caps;		/* HN_CAP_ */
	uint32_t	 sc_agg_size;		/* host's limits of a batch */
	uint32_t	 sc_agg_pkts;
	uint32_t	 sc_agg_align;		/* bytes */
	uint32_t	 sc_tso_max;		/* bytes, 0: none */
	uint32_t	 sc_tso_minsg;		/* segments */
	uint32_t	 sc_rxpiece;		/* bytes of a receive piece */
	uint32_t	 sc_nrxpieces;		/* of them in the buffer */
	uint32_t	 sc_mtu;		/* told to the host */
	uint8_t		 sc_mac[ETHER_ADDR_LEN];
	uint32_t	 sc_rss_hash;		/* NDIS_HASH_ in use */
	uint32_t	 sc_rss_hcap;		/* NDIS_HASH_ possible */
	u_int		 sc_rss_nind;		/* entries of the table */
	struct ndis_rss_toeplitz sc_rss;	/* (x) */
	/* (A) channel for a hash, as the host wishes */
	uint32_t	 sc_txtbl[HN_NVS_TXTBL_CNT];
	u_int		 sc_txtbl_valid;	/* (A) it said so */
	struct hn_xchg	 sc_xchg;

	/* Settings of the administrator (x). */
	uint32_t	 sc_filter;		/* HN_FILTER_ the host has */
	int		 sc_user_agg_size;	/* (A) bytes of a batch; -1: the
						 * host's, 0: no batches */
	int		 sc_user_agg_pkts;	/* (A) messages, the same way */
	u_int		 sc_copy_size;		/* (A) 0: a section */
	u_int		 sc_trust;		/* (A) */
#define	HN_TRUST_IP	0x0001
#define	HN_TRUST_TCP	0x0002
#define	HN_TRUST_UDP	0x0004
	u_int		 sc_rsc;		/* receive coalescing */
	u_int		 sc_pollhz;
	u_int		 sc_vf_accbpf;		/* (A) show what it takes */
	bool		 sc_rss_key;		/* there is a key */
	bool		 sc_rss_userkey;	/* it was set */
	bool		 sc_rss_user;		/* the table was set */
	uint64_t	 sc_baudrate;		/* as the host says */
	u_int		 sc_rxok;		/* (A) data goes to the stack */

	/* Tasks; all on a thread of this adapter. */
	struct taskqueue *sc_tq;		/* (a) */
	struct timeout_task sc_link_task;
	struct timeout_task sc_netchg_task;
	struct task	 sc_filter_task;
	struct task	 sc_recover_task;
	struct task	 sc_keepalive_task;

	struct mtx	 sc_mtx;
	uint32_t	 sc_flags;		/* (s) */
#define	HN_F_RESCINDED	0x0001	/* the host took the device away */
#define	HN_F_DETACHING	0x0002
#define	HN_F_IN_DETACH	0x0004	/* a thread is in it */
#define	HN_F_SYNTH	0x0008	/* a session is there */
#define	HN_F_DEAD	0x0010	/* a session could not be had again */
#define	HN_F_SUSPENDED	0x0020
#define	HN_F_LINK_UP	0x0040	/* as the host says */
#define	HN_F_NETCHG	0x0080	/* link is held down for a while */
#define	HN_F_BAD_SAID	0x0100	/* a bad packet was reported */
#define	HN_F_KEPT_SAID	0x0200	/* that detach must wait was, too */
#define	HN_F_BROKEN	0x0400	/* a ring cannot be used any more */
#define	HN_F_ATTACHED	0x0800	/* the interface is there */
#define	HN_F_NO_VF	0x1000	/* the host wants packets by the channel */
#define	HN_F_DEAF	0x2000	/* it cannot be heard: the ring is broken */
#define	HN_F_GONE	(HN_F_RESCINDED | HN_F_DETACHING)
	uint64_t	 sc_late;	/* (s) answers that came too late */
	uint64_t	 sc_bad;	/* (s) control messages of no sense */
	uint32_t	 sc_keepalive;	/* (s) request id to be answered */
	int		 sc_link_ticks;	/* (s) when the host was asked last */
	uint64_t	 sc_link_events;/* (s) */
	uint64_t	 sc_reattaches;	/* (s) */
	uint64_t	 sc_lost_bytes;	/* (s) leaked: the host kept them */

	struct hn_vf	*sc_vf;		/* (a) hn_vf.c's own, NULL: none */
	struct sysctl_ctx_list sc_sysctl;	/* (a) */
	bool		 sc_sysctl_init;	/* (a) */
};

/* sc_caps, and their names as for "%b" of printf(9). */
#define	HN_CAP_VLAN	0x0001
#define	HN_CAP_MTU	0x0002
#define	HN_CAP_IPCS	0x0004
#define	HN_CAP_TCP4CS	0x0008
#define	HN_CAP_TCP6CS	0x0010
#define	HN_CAP_UDP4CS	0x0020
#define	HN_CAP_UDP6CS	0x0040
#define	HN_CAP_TSO4	0x0080
#define	HN_CAP_TSO6	0x0100
#define	HN_CAP_HASHVAL	0x0200	/* hash values may be sent along */
#define	HN_CAP_UDPHASH	0x0400	/* UDP is hashed, said to be TCP */
#define	HN_CAP_RSC	0x0800	/* coalesced packets can be asked for */
#define	HN_CAP_BITS							\
	"\020\1VLAN\2MTU\3IPCS\4TCP4CS\5TCP6CS\6UDP4CS\7UDP6CS\10TSO4"	\
	"\11TSO6\12HASHVAL\13UDPHASH\14RSC"

MALLOC_DECLARE(M_HN);
SYSCTL_DECL(_hw_hn);

/* Tunables; constant after boot unless sysctl can change them. */
extern u_int	hn_chan_cnt;
extern u_int	hn_rxbuf_size;
extern u_int	hn_txbuf_size;
extern u_int	hn_tx_ring_desc;	/* descriptors a TX ring */
extern u_int	hn_tx_swq_depth;	/* packets a buf_ring */
extern u_int	hn_tx_copy_size;
extern u_int	hn_tx_agg_hold;		/* sends under way from which on small
					 * packets wait for company */
extern u_int	hn_rx_copybreak;	/* payload from which on not copied */
extern int	hn_tx_agg_size;
extern int	hn_tx_agg_pkts;
extern u_int	hn_tso_maxlen;
extern u_int	hn_lro_entries;
extern u_int	hn_lro_mbufq;
extern int	hn_trust_hosttcp;
extern int	hn_trust_hostudp;
extern int	hn_trust_hostip;
extern int	hn_udp4cs;
extern int	hn_udp6cs;
extern u_int	hn_udpcs_fixup_mtu;
extern u_int	hn_vf_transparent;
extern int	hn_vf_accbpf;
extern u_int	hn_vf_attwait;		/* seconds */
extern uint64_t	hn_udpcs_fixups;	/* (A) */

/* Whether any of these flags is set. */
static __inline bool
hn_flagged(struct hn_softc *sc, uint32_t flags)
{
	bool set;

	mtx_lock(&sc->sc_mtx);
	set = (sc->sc_flags & flags) != 0;
	mtx_unlock(&sc->sc_mtx);
	return (set);
}

static __inline bool
hn_gone(struct hn_softc *sc)
{

	return (hn_flagged(sc, HN_F_GONE));
}

/*
 * hn_chan.c: channels, and which packet goes where.
 */

/* Opens ch for ring idx on a CPU.  Errors of vmbus_ch_open(). */
int	hn_chan_open(struct hn_softc *sc, u_int idx,
	    struct vmbus_channel *ch, int cpu);
/*
 * Closes all; no callback runs from then on.  0 if the host has given back the
 * rings, and so let go of all memory that packets named.
 */
int	hn_chan_close(struct hn_softc *sc);
/* sc_pollhz was changed; with sc_lock. */
int	hn_chan_poll(struct hn_softc *sc);
/* Reports what a host should not send once; the caller counts. */
void	hn_bad(struct hn_softc *sc, const char *what, uint64_t value);

/*
 * hn_xchg.c: control exchanges.  With sc_lock held; they sleep, for a bounded
 * time.
 *
 * 0		done
 * EIO		the host refused
 * EPROTO	the answer makes no sense, or is too short
 * ETIMEDOUT	no answer
 * ENXIO	the device is gone, or without a channel
 */

/* Whether the host is well but will not have what it was asked for. */
static __inline bool
hn_refused(int error)
{

	return (error == EIO || error == EPROTO);
}

int	hn_xchg_alloc(struct hn_softc *sc);
void	hn_xchg_free(struct hn_softc *sc);
/* The channel was closed.  lost: the host may still read the request. */
void	hn_xchg_reset(struct hn_softc *sc, bool lost);
/*
 * Sends *msg and waits for the answer, which replaces it: of this type, with
 * want bytes.  What it says is the caller's.
 */
int	hn_xchg_nvs(struct hn_softc *sc, struct hn_nvs_msg *msg, uint32_t type,
	    size_t want);
/* Sends *msg, to which there is no answer. */
int	hn_xchg_send(struct hn_softc *sc, const struct hn_nvs_msg *msg);
/* Waits until xc_req may be filled in, and makes a request id for it. */
int	hn_xchg_rndis_begin(struct hn_softc *sc, uint32_t *rid);
/*
 * Sends the RNDIS message in xc_req, of len bytes, and waits for the host's
 * acknowledgement and, if type is not 0, for an answer of that type with the
 * same request id.  It is in xc_reply then, *rlen bytes of it.
 */
int	hn_xchg_rndis(struct hn_softc *sc, size_t len, uint32_t type,
	    size_t *rlen);
/* From the callback of the primary: answers. */
void	hn_xchg_nvs_reply(struct hn_softc *sc, uint64_t xid, const void *data,
	    size_t len);
void	hn_xchg_rndis_reply(struct hn_softc *sc, const void *data, size_t len);
/* Makes whoever waits look again: at the ring, or whether all is over. */
void	hn_xchg_wake(struct hn_softc *sc);
/* Sleeps, unless the device is gone. */
void	hn_linger(struct hn_softc *sc, int ms);

/*
 * hn_nvs.c: what goes with the channel itself, and memory shared with the host.
 * With sc_lock held; they sleep.  Errors as above.
 */

/* Version, NDIS, buffers.  On failure hn_nvs_unshare() undoes it. */
int	hn_nvs_attach(struct hn_softc *sc, u_int mtu);
/* Tells the host to let go of the buffers.  The channel is open. */
void	hn_nvs_revoke(struct hn_softc *sc);
/* Takes the buffers back.  Before or after the close, by bus version. */
void	hn_nvs_unshare(struct hn_softc *sc);
/* Asks for cnt sub-channels; how many the host grants, 0 for any failure. */
u_int	hn_nvs_subchannels(struct hn_softc *sc, u_int cnt);
/* Frees the buffers. */
void	hn_nvs_free(struct hn_softc *sc);
/* VF data path (hn_vf.c): HN_NVS_DATAPATH_. */
int	hn_nvs_set_datapath(struct hn_softc *sc, uint32_t path);
/* From the callback of the primary: a message unasked. */
void	hn_nvs_notice(struct hn_softc *sc, const void *data, size_t len);
/* Pure: entries of an indirection notice; NULL if there is something wrong. */
const uint8_t *hn_nvs_txtbl(const void *data, size_t len, uint32_t version);

/*
 * A reference to a receive buffer for each packet of it that is out on loan;
 * any context.  The last one frees it.
 */
void	hn_rxbuf_ref(struct hn_rxbuf *rb);
void	hn_rxbuf_rele(struct hn_rxbuf *rb);

/*
 * hn_rndis.c: control messages.  With sc_lock held; they sleep.  Errors as
 * above.
 */
int	hn_rndis_attach(struct hn_softc *sc);
void	hn_rndis_halt(struct hn_softc *sc);
/*
 * Asks for oid; in: what goes with the question.  *outlen: room in out, then
 * bytes that came, at least min of which must have.
 */
int	hn_rndis_query(struct hn_softc *sc, uint32_t oid, const void *in,
	    size_t inlen, void *out, size_t *outlen, size_t min);
int	hn_rndis_set(struct hn_softc *sc, uint32_t oid, const void *data,
	    size_t len);
int	hn_rndis_get_u32(struct hn_softc *sc, uint32_t oid, uint32_t *value);
int	hn_rndis_get_mac(struct hn_softc *sc, uint8_t *mac);
int	hn_rndis_set_filter(struct hn_softc *sc, uint32_t filter);
/*
 * From the callback of the primary: any message but PACKET, len bytes in the
 * receive buffer, where the host can change them at any time.
 */
void	hn_rndis_input(struct hn_softc *sc, const void *data, size_t len);
void	hn_rndis_keepalive_task(void *arg, int pending);

/*
 * hn_rndis_msg.c: control messages as bytes; pure.  Parsers return 0 or EPROTO,
 * and trust no field.
 */
size_t	hn_rndis_fill_oid(void *buf, size_t size, uint32_t type, uint32_t rid,
	    uint32_t oid, const void *data, size_t len);
int	hn_rndis_parse_comp(const void *msg, size_t len, uint32_t type,
	    size_t min);
int	hn_rndis_parse_init(const void *msg, size_t len,
	    struct hn_rndis_init_comp *comp);
int	hn_rndis_parse_query(const void *msg, size_t len, const void **datap,
	    size_t *datalen);
int	hn_rndis_parse_indicate(const void *msg, size_t len,
	    uint32_t *status, const void **datap, size_t *datalen);

/*
 * hn_offload.c.  With sc_lock held.
 */

/* Asks what can be offloaded, switches it on, fills in sc_caps, sc_tso_*. */
int	hn_offload_config(struct hn_softc *sc, u_int mtu);
/* Pure: an answer; what it is worth, and what to ask for. */
int	hn_offload_parse(const void *data, size_t len,
	    struct ndis_offload *of);
uint32_t hn_offload_caps(const struct ndis_offload *of, u_int mtu,
	    bool rsc, struct ndis_offload_params *op, uint32_t *tso_max,
	    uint32_t *tso_minsg);

/*
 * hn_rss.c.  With sc_lock held.
 */

/* How many rings the host's RSS can feed, at most want; 1 without RSS. */
int	hn_rss_query(struct hn_softc *sc, u_int want, u_int *got);
/*
 * Key and table, the administrator's or the default, for sc_nrings rings.
 * again: not for the first time in this session.
 */
int	hn_rss_config(struct hn_softc *sc, bool again);
/*
 * Another key, or table of cnt channels; what is NULL stays.  EINVAL: a channel
 * that is not there; EIO: the host refuses, and all is as it was; ENXIO: there
 * is no RSS.
 */
int	hn_rss_change(struct hn_softc *sc, const uint8_t *key,
	    const uint32_t *ind, u_int cnt);
/*
 * The key that a virtual function hashes by becomes ours as well, if none was
 * set: a flow has one hash then, whichever way its packets come.
 */
void	hn_rss_adopt(struct hn_softc *sc, const struct ifrsskey *rk);
/* Answers to SIOCGIFRSSKEY and SIOCGIFRSSHASH. */
void	hn_rss_get_key(struct hn_softc *sc, struct ifrsskey *rk);
void	hn_rss_get_hash(struct hn_softc *sc, struct ifrsshash *rh);
/* Pure. */
int	hn_rss_parse(const void *data, size_t len, u_int *nrxq, u_int *nind,
	    uint32_t *hash);
bool	hn_rss_table_ok(const uint32_t *ind, u_int cnt, u_int nrings);

/*
 * hn_link.c: whether there is a link.  Any context unless said otherwise.
 */
void	hn_link_init(struct hn_softc *sc);
void	hn_link_indicate(struct hn_softc *sc, uint32_t status);
void	hn_link_check(struct hn_softc *sc);	/* asks the host, soon */
int	hn_link_update(struct hn_softc *sc);	/* now; with sc_lock, sleeps */
/* The link is down until there is a session again; with sc_lock. */
void	hn_link_down(struct hn_softc *sc);
void	hn_link_drain(struct hn_softc *sc);	/* sleeps, without sc_lock */

/*
 * hn_synth.c: a session as a whole.  With sc_lock held; they sleep.
 */
int	hn_synth_attach(struct hn_softc *sc, u_int mtu);
/*
 * Ends the session, in whatever state, and all sends.  0 if all memory is ours
 * again.
 */
int	hn_synth_detach(struct hn_softc *sc);
/* Both: packets wait meanwhile.  Without a session when it fails. */
int	hn_synth_reattach(struct hn_softc *sc, u_int mtu);
/*
 * A ring is broken: a new session, by a task.  Any context.  deaf: it is the
 * one that the host's answers come by.
 */
void	hn_recover(struct hn_softc *sc, bool deaf);
void	hn_recover_task(void *arg, int pending);

/*
 * hn_if.c: the interface.
 */
int	hn_if_alloc(struct hn_softc *sc);
int	hn_if_attach(struct hn_softc *sc);	/* without sc_lock */
void	hn_if_detach(struct hn_softc *sc);	/* without sc_lock */
void	hn_if_free(struct hn_softc *sc);
/* The session may be able to do other things now; with sc_lock. */
void	hn_if_update(struct hn_softc *sc);
/* The same, or a VF came to work for it, or does not any more. */
void	hn_if_offloads(struct hn_softc *sc);
/* What the interface's flags ask for; with sc_lock. */
int	hn_if_apply(struct hn_softc *sc);
void	hn_if_filter_task(void *arg, int pending);

/* hn_sysctl.c */
void	hn_sysctl_attach(struct hn_softc *sc);
void	hn_sysctl_detach(struct hn_softc *sc);

/*
 * hn_ring.c: memory of the data path.  sc_nalloc says how many rings; arrays
 * sc_txr, sc_rxr and what hangs on them are allocated, with locks, idle and
 * suspended.  Sleeps.  hn_ring_free() takes any half-built state.
 */
int	hn_ring_alloc(struct hn_softc *sc);
void	hn_ring_free(struct hn_softc *sc);
/*
 * There is a (new) session: members (n) of the softc are set and nobody sends.
 * Deals out sections, sets the rings' limits, LRO's, too.
 */
void	hn_ring_config(struct hn_softc *sc);
/* The limits of aggregation or copying were changed by sysctl. */
void	hn_ring_limits(struct hn_softc *sc);

/*
 * hn_tx.c.  hn_transmit() and hn_qflush() are the stack's; packets that come
 * while suspended wait in the buf_ring.
 */
int	hn_transmit(if_t ifp, struct mbuf *m);
void	hn_qflush(if_t ifp);
/* When it returns no thread is about to send.  sc_lock held. */
void	hn_tx_suspend(struct hn_softc *sc);
/* Sends what waits as well. */
void	hn_tx_resume(struct hn_softc *sc);
/*
 * Waits until the host has completed all sends, at most seconds and no longer
 * once the device is gone: sleepers on &sc_flags with sc_mtx are woken by that.
 * Whether it has.
 */
bool	hn_tx_drain(struct hn_softc *sc, int seconds);
/*
 * All channels are closed: ends all sends under way.  lost: the host did not
 * give memory back, so what it may still read stays allocated, counted in
 * sc_lost_bytes.
 */
void	hn_tx_reclaim(struct hn_softc *sc, bool lost);
/* From the callback: when it begins; a completion; at the end of a batch. */
void	hn_tx_hold(struct hn_tx_ring *txr);
void	hn_tx_complete(struct hn_tx_ring *txr, uint64_t xid,
	    const void *data, size_t len);
void	hn_tx_flush(struct hn_tx_ring *txr);

/*
 * hn_rx.c.  From the callback: a transfer-page packet.  Control messages in it
 * go to hn_rndis_input(), if it came on the primary channel.  Acknowledges it,
 * or lets the last loan do that.  Data is dropped unless sc_rxok (acquire) says
 * that the rings are ready and the interface is running: the host's filter may
 * be open from before.  Only while hn_rx_ready(), which says whether one more
 * acknowledgement can be held back; if not, the callback comes again when there
 * is room in the ring.
 */
void	hn_rx_packet(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp);
bool	hn_rx_ready(struct hn_rx_ring *rxr);
/* At the end of a batch: LRO's packets, held acknowledgements. */
void	hn_rx_flush(struct hn_rx_ring *rxr);

/*
 * hn_loan.c: the receive buffer's memory in the stack.
 */

/* Packets of all receive buffers, old ones too, that the stack has. */
u_int	hn_rx_loans(struct hn_softc *sc);
/* Waits until there are none, at most seconds.  Whether there are none. */
bool	hn_rx_drain(struct hn_softc *sc, int seconds);
/* All channels are closed: loans of this session are not acknowledged. */
void	hn_rx_reclaim(struct hn_softc *sc);

/* hn_debugnet.c */
void	hn_debugnet_attach(struct hn_softc *sc);

/*
 * hn_vf.c: a PCI function that takes the adapter's packets.
 */
int	hn_vf_alloc(struct hn_softc *sc);	/* before there is a session */
int	hn_vf_attach(struct hn_softc *sc);	/* without sc_lock, sleeps */
void	hn_vf_detach(struct hn_softc *sc);	/* without sc_lock, sleeps */
void	hn_vf_free(struct hn_softc *sc);	/* after the interface */
/* Whether the host lets packets go by one; any context. */
void	hn_vf_allow(struct hn_softc *sc, bool allowed);
/* Looks again, soon, whether it can be used; any context. */
void	hn_vf_update(struct hn_softc *sc);
/* The session ends: it is not used until hn_vf_update(); with sc_lock. */
void	hn_vf_suspend(struct hn_softc *sc);
/* The interface that is in use, or NULL; with sc_lock. */
if_t	hn_vf_used(struct hn_softc *sc);
/* Its name, empty if there is none; whether it is in use.  With sc_lock. */
bool	hn_vf_name(struct hn_softc *sc, char *buf, size_t len);
/* True: it has taken the packet, with this result. */
bool	hn_vf_transmit(struct hn_softc *sc, struct mbuf *m, int *error);

#endif	/* !_HN_VAR_H_ */
