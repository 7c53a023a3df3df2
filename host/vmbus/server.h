/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The VMBus server's control plane: a state machine fed with guest messages
 * and device answers, which speaks through struct vms_ops only.  No threads,
 * no I/O, no clock; bus.c joins it to the partition, tests record it
 * (protocol: vmbus, 8.6).
 *
 * server.c dispatches and checks messages; connection.c has the connection,
 * offer.c offers and rescinds, chanstate.c open and close, gpadl.c shared
 * memory.
 */

#ifndef HVH_SERVER_H
#define	HVH_SERVER_H

#include "hvhost.h"
#include "vmbus/vmbus_reg.h"

enum vms_conn_state {
	VMS_DISCONNECTED,
	VMS_CONNECTED,
	VMS_DISCONNECTING,	/* devices still hold channels */
};

/* What follows once disconnected. */
enum vms_next {
	VMS_NEXT_NONE,
	VMS_NEXT_UNLOADED,	/* UNLOAD RESPONSE */
	VMS_NEXT_CONTACT,	/* the stored contact */
};

enum vms_chan_state {
	VMS_CH_RELEASED,	/* not offered, or released by the guest */
	VMS_CH_CLOSED,
	VMS_CH_OPENING,
	VMS_CH_OPEN,
	VMS_CH_CLOSING,
	VMS_CH_REOPEN,		/* closing, an OPEN waits */
	VMS_CH_OPENING_RELEASE,	/* connection reset while opening */
	VMS_CH_CLOSING_RELEASE,	/* closing, then released */
	VMS_CH_REVOKED,		/* RESCIND sent, RELID RELEASED awaited */
	VMS_CH_GONE,		/* to be reaped once the device lets go */
};

enum vms_gpadl_state {
	VMS_GP_PARTIAL,		/* bodies to come */
	VMS_GP_ACCEPTED,
	VMS_GP_TEARING,		/* the device still uses it */
};

struct vms_chan;

struct vms_gpadl {
	struct vms_gpadl *g_next;
	struct vms_chan	*g_chan;
	uint32_t	 g_id;
	enum vms_gpadl_state g_state;
	uint32_t	 g_len;		/* bytes announced, multiple of 8 */
	uint32_t	 g_have;	/* bytes come */
	uint32_t	 g_nranges;
	uint64_t	*g_buf;		/* range buffer, until complete */
	uint8_t		**g_pages;	/* all pages of all ranges */
	uint32_t	 g_npages;
	bool		 g_ring;	/* one range of whole pages */
	unsigned	 g_holds;	/* devices' uses, rings apart */
	bool		 g_dropped;	/* forgotten but for its channel */
};

struct vms_open_req {
	uint32_t	 oq_openid;
	uint32_t	 oq_gpadl;
	uint32_t	 oq_vp;
	uint32_t	 oq_downstream;
	uint8_t		 oq_udata[120];
};

/* A channel, embedded in its user's structure. */
struct vms_chan {
	struct vms_chan	*c_next;	/* all, in order of offer */
	struct vms_chan	*c_primary;	/* NULL: is one */
	struct hvh_guid	 c_type;
	struct hvh_guid	 c_instance;
	uint16_t	 c_flags;
	uint16_t	 c_order;
	uint16_t	 c_subidx;
	bool		 c_monitored;
	uint8_t		 c_udata[120];

	enum vms_chan_state c_state;
	uint32_t	 c_id;		/* 0: none */
	uint8_t		 c_monitor;	/* VMS_NO_MONITOR */
	bool		 c_withdrawn;	/* the device was taken away */
	bool		 c_dev_open;	/* the device holds it open */
	bool		 c_reserved;	/* opened by OPEN RESERVED */
	uint32_t	 c_res_vp, c_res_sint;
	struct vms_open_req c_req;
	struct vms_gpadl *c_ring;	/* while c_dev_open */
};

struct vms_conn {
	uint32_t	 n_version;
	uint32_t	 n_vp;		/* messages go there */
	uint8_t		*n_intpage;	/* below 2.4, may be NULL */
	uint8_t		*n_mon_p2c;	/* NULL: no monitored notification */
	uint8_t		*n_mon_c2p;
};

/*
 * What the server asks for.  open and close are answered by vms_open_done()
 * and vms_close_done(), inside the call or later.
 */
struct vms_ops {
	void	(*send)(void *arg, uint32_t vp, uint8_t sint, const void *msg,
		    size_t len);
	/* Forget messages that the guest has not had yet. */
	void	(*flush)(void *arg);
	/* A page of guest memory, or NULL. */
	void   *(*page)(void *arg, uint64_t pfn);
	/* The connection is made (n_version != 0) or gone. */
	void	(*connected)(void *arg, const struct vms_conn *conn);
	void	(*open)(void *arg, struct vms_chan *ch);
	void	(*close)(void *arg, struct vms_chan *ch);
	void	(*retarget)(void *arg, struct vms_chan *ch, uint32_t vp);
	/* Nothing refers to ch any more. */
	void	(*gone)(void *arg, struct vms_chan *ch);
	/* A message was dropped or refused. */
	void	(*bad)(void *arg, uint32_t type, const char *why);
};

struct vms_server {
	const struct vms_ops *s_ops;
	void		*s_arg;
	uint32_t	 s_vps;
	uint32_t	 s_max_version;
	uint32_t	 s_min_version;
	bool		 s_monitor;	/* offer monitored notification */

	enum vms_conn_state s_state;
	enum vms_next	 s_next;
	bool		 s_busy;	/* in the middle of a reset */
	bool		 s_offers;	/* the guest asked for them */
	struct vms_conn	 s_conn;
	uint32_t	 s_last_vp;	/* of the last accepted contact */
	struct vms_contact s_contact;	/* VMS_NEXT_CONTACT */
	bool		 s_contact_multi;

	struct vms_chan	*s_chans;
	struct vms_chan	*s_byid[VMS_CHANNELS];
	struct vms_chan	*s_monitors[VMS_MONITOR_IDS];
	struct vms_gpadl *s_gpadls;
	uint32_t	 s_ngpadls;
	uint64_t	 s_gpadl_bytes;
};

/*
 * max and min: 0 for the newest and oldest known.  Nothing is left to free
 * once the server was reset and all channels revoked and reaped.
 */
void	vms_init(struct vms_server *s, const struct vms_ops *ops, void *arg,
	    uint32_t vps, uint32_t max_version, uint32_t min_version,
	    bool monitor);

/* A message of the guest; multi: through the connection of 5.0. */
void	vms_message(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
/* Takes contacts through connection 4? */
bool	vms_multiclient(const struct vms_server *s);
/* As a power cycle of the VM. */
void	vms_reset(struct vms_server *s);

/* ch is filled up to c_udata and stays the caller's until gone. */
void	vms_offer_add(struct vms_server *s, struct vms_chan *ch);
/* ENOSPC: no id left; ENOTSUP: no sub-channels in this version. */
int	vms_offer_sub_check(struct vms_server *s, unsigned count);
/* The device goes away, sub-channels first. */
void	vms_revoke(struct vms_server *s, struct vms_chan *ch);
/* The device's answers. */
void	vms_open_done(struct vms_server *s, struct vms_chan *ch, bool ok);
void	vms_close_done(struct vms_server *s, struct vms_chan *ch);
/* Calls gone for what is; not from inside an op. */
void	vms_reap(struct vms_server *s);
/* No device holds a channel open. */
bool	vms_idle(const struct vms_server *s);

/* --- Between the server's files --- */

void	vms_send(struct vms_server *s, const void *msg, size_t len);
void	vms_bad(struct vms_server *s, uint32_t type, const char *why);
/* A channel the guest may name: offered and not gone. */
struct vms_chan *vms_chan_find(struct vms_server *s, uint32_t id);

/* connection.c */
void	vms_in_contact(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_in_unload(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_conn_progress(struct vms_server *s);

/* offer.c */
void	vms_in_request_offers(struct vms_server *s, const void *msg,
	    size_t len, bool multi);
void	vms_in_relid_released(struct vms_server *s, const void *msg,
	    size_t len, bool multi);
void	vms_chan_unassign(struct vms_server *s, struct vms_chan *ch);
void	vms_subs_revoke(struct vms_server *s, struct vms_chan *primary);

/* chanstate.c */
void	vms_in_open(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_in_close(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_in_open_reserved(struct vms_server *s, const void *msg,
	    size_t len, bool multi);
void	vms_in_close_reserved(struct vms_server *s, const void *msg,
	    size_t len, bool multi);
void	vms_in_modify(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
/* Tells the device, if it holds the channel and was not told yet. */
void	vms_chan_stop(struct vms_server *s, struct vms_chan *ch);

/* gpadl.c */
void	vms_in_gpadl_header(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_in_gpadl_body(struct vms_server *s, const void *msg, size_t len,
	    bool multi);
void	vms_in_gpadl_teardown(struct vms_server *s, const void *msg,
	    size_t len, bool multi);
/* A complete one of this channel that can be a ring. */
struct vms_gpadl *vms_gpadl_ring(struct vms_server *s, struct vms_chan *ch,
	    uint32_t id);
/* The device let go of the ring. */
void	vms_gpadl_unuse(struct vms_server *s, struct vms_chan *ch);
/* The same for other memory of a device's, which it holds and lets go. */
struct vms_gpadl *vms_gpadl_hold(struct vms_server *s, struct vms_chan *ch,
	    uint32_t id);
void	vms_gpadl_unhold(struct vms_server *s, struct vms_gpadl *g);
/* Forgets all of a channel. */
void	vms_gpadl_drop(struct vms_server *s, struct vms_chan *ch);

#endif	/* !HVH_SERVER_H */
