/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The bus's own state: one softc, since a partition has one VMBus.
 */

#ifndef _DEV_HYPERV_VMBUS_VMBUS_VAR_H_
#define	_DEV_HYPERV_VMBUS_VMBUS_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/_cpuset.h>
#include <sys/eventhandler.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>
#include <sys/timeet.h>

#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/vmbus/hyperv_var.h>
#include <dev/hyperv/vmbus/vmbus_reg.h>

MALLOC_DECLARE(M_VMBUS);

struct trapframe;
struct vmbus_channel;
struct vmbus_softc;
TAILQ_HEAD(vmbus_chan_list, vmbus_channel);

/* One processor's share of the SynIC.  Its own interrupt alone writes here. */
struct vmbus_pcpu {
	struct vmbus_msg_page	*pc_msgs;	/* NULL: CPU not there */
	struct vmbus_event_page	*pc_events;
	struct taskqueue	*pc_evtq;	/* channel callbacks */
	volatile u_int		 pc_nwords;	/* event words in use */
	uint32_t		 pc_vp;		/* hypervisor's number */
	uint64_t		 pc_intrs;
	uint64_t		 pc_stray;	/* events without a channel */
	uint64_t		 pc_et_config;	/* the timer's MSR has it */
	uint64_t		 pc_et_events;
} __aligned(CACHE_LINE_SIZE);

/*
 * An exchange with the host under way: lives on the stack of the thread that
 * waits for it.
 */
struct vmbus_req {
	TAILQ_ENTRY(vmbus_req)	 rq_link;	/* (l) */
	uint32_t		 rq_type;	/* (c) of the reply */
	uint32_t		 rq_chan;	/* (c) 0: reply names none */
	uint32_t		 rq_key;	/* (c) open id, GPADL id or 0 */
	struct vmbus_channel	*rq_ch;		/* (c) its rescind wakes us */
	int			 rq_error;	/* (l) EINPROGRESS: waiting */
	uint32_t		 rq_status;	/* (l) of the reply */
	struct vmbus_msg_version rq_version;	/* (l) reply VERSION only */
};

#define	VMBUS_MSGQ_LEN		64	/* messages between interrupt and
					 * thread; more wait in the host */

struct vmbus_stats {
	uint64_t	st_msgs_in;
	uint64_t	st_msgs_out;
	uint64_t	st_msgs_bad;		/* malformed, unknown */
	uint64_t	st_replies_unasked;	/* late, twice, never asked */
	uint64_t	st_post_retries;
	uint64_t	st_timeouts;
	uint64_t	st_offers;
	uint64_t	st_offers_refused;
	uint64_t	st_rescinds;
	uint64_t	st_rescinds_bad;	/* unknown channel, twice */
	uint64_t	st_leaked_bytes;	/* host did not give back */
};

/*
 * Locks, in the order in which they are taken:
 *
 *	bus topology	(t) children; taken by the kernel around our methods
 *	ch_sx		life of one channel (vmbus_chanvar.h); a primary's
 *			before its sub-channels'
 *	sc_post_sx	(p) the one message buffer; held while backing off
 *	sc_lock		(l) lists, flags, requests; never held while posting
 *	ch_txmtx	one channel's sending (vmbus_chanvar.h)
 *	sc_msgq_mtx	(q) spin; taken by the interrupt
 *	taskqueue locks	the kernel's
 *
 * (c) constant once set up, (w) written by the device thread or the thread in
 * attach only, (a) atomic.  No class driver is called with any of these held
 * but the topology lock.
 */
struct vmbus_softc {
	device_t		 sc_dev;	/* (c) */
	struct hyperv_info	 sc_info;	/* (c) */
	u_int			 sc_steps;	/* (t) VMBUS_STEP_*, what detach
						 * has to undo */

	/* SynIC */
	struct vmbus_pcpu	*sc_pcpu;	/* (c) by CPU id */
	int			 sc_vector;	/* (c) */
	bool			 sc_autoeoi;	/* (c) */
	bool			 sc_old_events;	/* (a) by interrupt page */
	struct vmbus_channel * volatile
		sc_chmap[VMBUS_CHANID_MAX + 1];	/* (a) for the interrupt */

	/* Event timer */
	struct eventtimer	 sc_et;
	uint64_t		 sc_et_config;	/* (c) one-shot; 0: none */
	int			 sc_et_vector;	/* (c) -1: by messages */
	bool			 sc_et_registered; /* (t) */
	bool			 sc_et_chosen;	/* (t) it was in use when the
						 * kernel had to give it up */

	/* Messages */
	struct mtx		 sc_msgq_mtx;
	struct vmbus_synic_msg	 sc_msgq[VMBUS_MSGQ_LEN];	/* (q) */
	u_int			 sc_msgq_head;	/* (q) next to handle */
	u_int			 sc_msgq_len;	/* (q) */
	cpuset_t		 sc_msgq_stalled; /* (q) slots left full */
	struct vmbus_synic_msg	 sc_msg;	/* message thread's */
	struct taskqueue	*sc_msgtq;	/* (c) */
	struct task		 sc_msgtask;	/* (c) */
	struct sx		 sc_post_sx;
	struct hyperv_post_msg_in *sc_post;	/* (p) */

	/* Connection */
	struct mtx		 sc_lock;
	uint32_t		 sc_version;	/* (a) set with (l); messages
						 * come at any time; 0: not
						 * connected */
	uint32_t		 sc_msgconn;	/* (l) */
	bool			 sc_shared;	/* (t) the host may hold memory
						 * of ours */
	struct vmbus_intr_page	*sc_intrpage;	/* (c) */
	struct vmbus_mnf_page	*sc_mnf_rx;	/* (c) */
	struct vmbus_mnf_page	*sc_mnf_tx;	/* (c) */
	TAILQ_HEAD(, vmbus_req)	 sc_reqs;	/* (l) */
	TAILQ_HEAD(, vmbus_gpadl) sc_gpadls;	/* (l) */
	uint32_t		 sc_gpadl_next;	/* (l) */
	uint32_t		 sc_openid_next; /* (l) */
	struct vmbus_stats	 sc_stats;	/* (l) but for counts that one
						 * thread alone makes */

	/* Channels */
	struct vmbus_chan_list	 sc_primaries;	/* (l) in order of offer */
	struct vmbus_channel	*sc_chans[VMBUS_CHANID_MAX + 1]; /* (l) */
	bool			 sc_offers_done; /* (l) */
	bool			 sc_resuming;	/* (l) offers meet the old
						 * channels */
	/* Device thread */
	struct taskqueue	*sc_devtq;	/* (c) */
	struct timeout_task	 sc_devtask;	/* (c) */
	struct vmbus_chan_list	 sc_devq;	/* (l) channels with work */
	bool			 sc_devheld;	/* (l) work waits */

	eventhandler_tag	 sc_shutdown;	/* (c) */
	struct sysctl_ctx_list	 sc_sysctl;	/* (c) */
	bool			 sc_detaching;	/* (t) a thread is in it */
};

#define	VMBUS_LOCK(sc)		mtx_lock(&(sc)->sc_lock)
#define	VMBUS_UNLOCK(sc)	mtx_unlock(&(sc)->sc_lock)
#define	VMBUS_ASSERT(sc)	mtx_assert(&(sc)->sc_lock, MA_OWNED)

/* hw.vmbus.* */
SYSCTL_DECL(_hw_vmbus);
extern int	vmbus_timeout_ms;
extern int	vmbus_pin_evttask;
extern int	vmbus_allow_isolated;

/* A zeroed, page-aligned page; M_NOWAIT: NULL when there is none. */
void	       *vmbus_page_alloc(void);
void		vmbus_page_free(void *page);

/*
 * vmbus_et.c.  alloc: decides how, before SynIC set-up, and finds a vector;
 * never fails, no timer is no error.  attach, detach: registers with the kernel
 * and takes it back, after which it uses another; EBUSY: there is none to use,
 * and all is as before.  resume: attaches after a detach, and is chosen if it
 * had been.
 */
void		vmbus_et_alloc(struct vmbus_softc *sc);
void		vmbus_et_free(struct vmbus_softc *sc);
void		vmbus_et_attach(struct vmbus_softc *sc);
int		vmbus_et_detach(struct vmbus_softc *sc);
void		vmbus_et_resume(struct vmbus_softc *sc);
/* An expiry on this CPU; interrupts off. */
void		vmbus_et_intr(struct vmbus_softc *sc);

/* vmbus_machdep.c: the interrupt vector; ENOSPC. */
int		vmbus_md_intr_alloc(int *vector);
void		vmbus_md_intr_free(int vector);
/* The event timer's, after the bus's; ENOSPC. */
int		vmbus_md_et_alloc(int *vector);
void		vmbus_md_et_free(int vector);
/* Leave a critical section open, for the entry to end. */
void		vmbus_handle_intr(struct trapframe *frame);
void		vmbus_handle_et_intr(struct trapframe *frame);

/* vmbus.c: the bus whose interrupts arrive; NULL: none. */
extern struct vmbus_softc * volatile vmbus_bus;

/*
 * vmbus_synic.c.  alloc: memory and threads of each CPU; enable and disable
 * program each CPU.  free and disable accept any half-built state.
 */
int		vmbus_synic_alloc(struct vmbus_softc *sc);
void		vmbus_synic_free(struct vmbus_softc *sc);
void		vmbus_synic_enable(struct vmbus_softc *sc);
void		vmbus_synic_disable(struct vmbus_softc *sc);
/* Events and messages of this CPU; interrupts off. */
void		vmbus_synic_intr(struct vmbus_softc *sc);
/* From now on events for this channel id are looked for on this CPU. */
void		vmbus_synic_use(struct vmbus_softc *sc, int cpu,
		    uint32_t chan);
/* Returns when no interrupt that began before runs on this CPU. */
void		vmbus_synic_quiesce(int cpu);
void		vmbus_synic_quiesce_all(void);
/* A message from any CPU's slot, with the machine stopped. */
bool		vmbus_synic_poll(struct vmbus_softc *sc,
		    struct vmbus_synic_msg *msg);

/*
 * vmbus_msg.c.  post sleeps unless the scheduler has stopped: 0, ENXIO: no
 * such connection (on first contact: an older host), EBUSY: the host takes no
 * messages for too long, EIO.
 */
int		vmbus_msg_post(struct vmbus_softc *sc, uint32_t conn,
		    const void *msg, size_t len);
int		vmbus_msg_send(struct vmbus_softc *sc, const void *msg,
		    size_t len);
int		vmbus_msg_send_chan(struct vmbus_softc *sc, uint32_t type,
		    uint32_t chan);
/*
 * An exchange: begin, post, then wait or cancel.  wait: 0 and the reply in
 * rq; ETIMEDOUT; ENXIO: rq_ch was rescinded.
 */
void		vmbus_req_begin(struct vmbus_softc *sc, struct vmbus_req *rq,
		    uint32_t type, uint32_t chan, uint32_t key,
		    struct vmbus_channel *ch);
int		vmbus_req_wait(struct vmbus_softc *sc, struct vmbus_req *rq);
sbintime_t	vmbus_timeout(void);
void		vmbus_req_cancel(struct vmbus_softc *sc, struct vmbus_req *rq);
/* All requests that hang on ch end with ENXIO. */
void		vmbus_req_rescind(struct vmbus_softc *sc,
		    struct vmbus_channel *ch);
/* A message off the queue (message thread). */
void		vmbus_msg_dispatch(struct vmbus_softc *sc,
		    const struct vmbus_synic_msg *sm);
/* vmbus_synic.c: task of the message thread. */
void		vmbus_msg_task(void *arg, int pending);

/*
 * vmbus_ctl.c.  connect: agrees on a version, newest first.  disconnect: tells
 * the host to forget everything and waits for it: 0, ETIMEDOUT.
 */
int		vmbus_ctl_connect(struct vmbus_softc *sc);
int		vmbus_ctl_request_offers(struct vmbus_softc *sc);
int		vmbus_ctl_disconnect(struct vmbus_softc *sc);
/* The same without sleeping, interrupts or other processors. */
void		vmbus_ctl_disconnect_poll(struct vmbus_softc *sc);
const char     *vmbus_ctl_version_name(uint32_t version);

/* vmbus_offer.c; the first three from the message thread. */
void		vmbus_offer_recv(struct vmbus_softc *sc,
		    const struct vmbus_msg_offer *of);
void		vmbus_offer_rescind(struct vmbus_softc *sc, uint32_t chan);
void		vmbus_offer_done(struct vmbus_softc *sc);
/* Work of the device thread; attach does it itself while it runs. */
void		vmbus_dev_task(void *arg, int pending);
void		vmbus_dev_run(struct vmbus_softc *sc);
void		vmbus_dev_hold(struct vmbus_softc *sc, bool hold);
/* With sc_lock held; ch may be gone once that is released. */
void		vmbus_dev_enqueue(struct vmbus_softc *sc,
		    struct vmbus_channel *ch);
/* After the connection is gone: frees every channel. */
void		vmbus_offer_free_all(struct vmbus_softc *sc);
/* Suspend: the channels stay, their ids go. */
void		vmbus_offer_suspend(struct vmbus_softc *sc);
/* Resume: channels that were not offered again are taken for rescinded. */
void		vmbus_offer_resumed(struct vmbus_softc *sc);

/* vmbus_gpadl.c */
struct vmbus_gpadl;
int		vmbus_gpadl_connect(struct vmbus_channel *ch, void *va,
		    size_t size, uint32_t *idp);
int		vmbus_gpadl_disconnect(struct vmbus_channel *ch, uint32_t id);
/* The host keeps malloc'd mem: freed when it gives it back, or never. */
void		vmbus_gpadl_abandon(struct vmbus_channel *ch, uint32_t id,
		    void *mem);
/* Whether the host still has memory of a primary or its sub-channels. */
bool		vmbus_gpadl_lost(struct vmbus_channel *pri);
void		vmbus_gpadl_disown(struct vmbus_channel *ch);
void		vmbus_gpadl_late(struct vmbus_softc *sc, uint32_t id);
/* The host has forgotten all of them. */
void		vmbus_gpadl_forget(struct vmbus_softc *sc, bool given_back);
union vmbus_gpadl_msg {
	struct vmbus_msg_gpadl_hdr	gm_hdr;
	struct vmbus_msg_gpadl_body	gm_body;
};
size_t		vmbus_gpadl_next(union vmbus_gpadl_msg *gm, uint32_t chan,
		    uint32_t id, const uint8_t *va, u_int npages, u_int *done);

/* vmbus_sysctl.c */
void		vmbus_sysctl_attach(struct vmbus_softc *sc);
void		vmbus_sysctl_detach(struct vmbus_softc *sc);
void		vmbus_sysctl_chan_attach(struct vmbus_channel *ch);
void		vmbus_sysctl_chan_detach(struct vmbus_channel *ch);

#endif	/* !_DEV_HYPERV_VMBUS_VMBUS_VAR_H_ */
