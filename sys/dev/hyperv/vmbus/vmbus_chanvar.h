/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A channel as the bus sees it; opaque to class drivers.
 */

#ifndef _DEV_HYPERV_VMBUS_VMBUS_CHANVAR_H_
#define	_DEV_HYPERV_VMBUS_VMBUS_CHANVAR_H_

#include <sys/callout.h>
#include <sys/sysctl.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

struct vmbus_chan_stats {
	uint64_t	cs_tx_packets;		/* (t) */
	uint64_t	cs_tx_bytes;		/* (t) */
	uint64_t	cs_tx_full;		/* (t) no room found */
	uint64_t	cs_tx_signals;		/* (t) the rules asked for */
	uint64_t	cs_tx_saved;		/* (t) not asked for */
	uint64_t	cs_rx_packets;		/* (r) */
	uint64_t	cs_rx_bytes;		/* (r) */
	uint64_t	cs_rx_signals;		/* (r) told of room */
	uint64_t	cs_intrs;		/* (i) */
	uint64_t	cs_corrupt;		/* (t) or (r), once */
};

/*
 * Lock key: (c) constant while offered, (x) ch_sx, (l) the bus's sc_lock,
 * (t) ch_txmtx, (r) the receiver: the channel's task, or vmbus_ch_poll() when
 * nothing else runs, (i) the interrupt of the channel's CPU, (a) atomic.
 * Order: vmbus_var.h.
 */
struct vmbus_channel {
	/* Hot: interrupt and receiver. */
	struct vmbus_softc	*ch_sc;		/* (c) */
	struct taskqueue	*ch_evtq;	/* (x) while open */
	struct task		 ch_task;	/* (x) while open */
	vmbus_ch_callback_t	*ch_callback;	/* (x) while open */
	void			*ch_arg;	/* (x) while open */
	bool			 ch_batch;	/* (x) while open */
	volatile bool		 ch_running;	/* (a) callbacks wanted */
	volatile bool		 ch_polled;	/* (a) by ch_poller */
	bool			 ch_rxbad;	/* (r) reported */
	struct vmbus_rxbr	 ch_rx;		/* (r) */

	/* Hot: sender. */
	struct mtx		 ch_txmtx __aligned(CACHE_LINE_SIZE);
	struct vmbus_txbr	 ch_tx;		/* (t) */
	bool			 ch_txok;	/* (t) open, not rescinded */
	bool			 ch_poll_room;	/* (x) host tells of no room */
	uint32_t		 ch_conn;	/* (c) */
	volatile uint32_t	*ch_mnf;	/* (c) pending word, or NULL */
	uint32_t		 ch_mnf_bit;	/* (c) */
	volatile uint64_t	*ch_txflag;	/* (c) in the interrupt page,
						 * or NULL */
	uint64_t		 ch_txflag_bit;	/* (c) */
	struct callout		 ch_txpoll;	/* (t) */
	struct vmbus_chan_stats	 ch_stats;

	/* The offer. */
	uint32_t		 ch_id;		/* (c) */
	uint16_t		 ch_subidx;	/* (c) */
	struct hyperv_guid	 ch_type;	/* (c) */
	struct hyperv_guid	 ch_instance;	/* (c) */
	uint8_t			 ch_udata[VMBUS_UDATA_LEN];	/* (c) */

	/* Life. */
	struct sx		 ch_sx;
	bool			 ch_open;	/* (x) */
	sbintime_t		 ch_poll_sbt;	/* (x) between two callbacks */
	struct callout		 ch_poller;	/* (x) armed while ch_polled */
	struct vmbus_brmem	 ch_mem;	/* (x) while open */
	uint32_t		 ch_gpadl;	/* (x) while open */
	volatile int		 ch_cpu;	/* (a) */
	int			 ch_opencpu;	/* (x) while open */
	u_int			 ch_flags;	/* (l) VMBUS_CHF_*; written
						 * atomically too, as users
						 * ask without the lock */
	struct vmbus_channel	*ch_primary;	/* (l) of a sub-channel; NULL
						 * once that is gone */
	struct vmbus_chan_list	 ch_subs;	/* (l) by index */
	TAILQ_ENTRY(vmbus_channel) ch_link;	/* (l) sc_primaries, ch_subs */
	TAILQ_ENTRY(vmbus_channel) ch_devlink;	/* (l) sc_devq */
	void			(*ch_rescind)(void *);		/* (l) */
	void			*ch_rescind_arg;		/* (l) */

	device_t		 ch_dev;	/* (w) primary's child */
	struct sysctl_ctx_list	 ch_sysctl;	/* (x) while open */
};

#define	VMBUS_CHF_RESCINDED	0x0001	/* the host took it away */
#define	VMBUS_CHF_QUEUED	0x0002	/* on sc_devq */
#define	VMBUS_CHF_HELD		0x0004	/* sub-channel handed out */
#define	VMBUS_CHF_STALE		0x0008	/* sub-channel of a former opening */
#define	VMBUS_CHF_OPEN		0x0010	/* ch_open as seen with sc_lock */
#define	VMBUS_CHF_NOTIFYING	0x0020	/* ch_rescind is running */
#define	VMBUS_CHF_SUSPENDED	0x0040	/* waits to be offered again */
#define	VMBUS_CHF_ATTACHED	0x0080	/* attach was tried */

/* vmbus_chan.c */
struct vmbus_channel *vmbus_chan_alloc(struct vmbus_softc *sc);
void		vmbus_chan_free(struct vmbus_channel *ch);
/* Stops sending at once; called for a rescinded channel. */
void		vmbus_chan_stop(struct vmbus_channel *ch);
/* Closes what a class driver left open; forgets the sub-channels. */
void		vmbus_chan_orphan_subs(struct vmbus_channel *ch);

/* vmbus_chan_io.c */
void		vmbus_chan_task(void *arg, int pending);
void		vmbus_chan_txpoll(void *arg);
void		vmbus_chan_poller(void *arg);
void		vmbus_chan_signal(struct vmbus_channel *ch);
/* From the interrupt: something happened on this channel. */
static __inline void
vmbus_chan_event(struct vmbus_channel *ch)
{

	if (ch->ch_batch)
		vmbus_rxbr_mask(&ch->ch_rx);
	ch->ch_stats.cs_intrs++;
	taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
}

#endif	/* !_DEV_HYPERV_VMBUS_VMBUS_CHANVAR_H_ */
