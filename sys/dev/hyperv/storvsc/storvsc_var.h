/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * State of a storage controller, shared by the files of this driver.  No wire
 * layout here (storvsc_reg.h), no state outside the softc.
 */

#ifndef _STORVSC_VAR_H_
#define	_STORVSC_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <machine/bus.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/storvsc/storvsc_reg.h>

/*
 * Locks.  The order is
 *
 *	chan (c)  ->  softc (s)  ->  CAM's own queue locks
 *
 * and at most one channel lock is held at a time.  CAM calls the SIM with no
 * lock of ours, and the SIM has no CAM-wide mutex: processors that submit on
 * different channels share none.  vmbus takes no lock of this driver.
 *
 * Lock key of the members below:
 *	(c)	c_mtx of the channel
 *	(s)	sc_mtx
 *	(a)	set while attaching, before anyone else can look; then constant
 *	(t)	only by the thread that connects or closes: attach, the
 *		recovery task, suspend, resume, detach, which exclude each
 *		other (newbus, and detach and suspend wait for the task)
 *	(i)	only by the thread that owns the request: the submitter until
 *		it is sent, the channel callback from then on
 *	(A)	atomic
 */

struct storvsc_softc;
struct storvsc_chan;
struct storvsc_ide_drive;

#define	STORVSC_MAX_CHANS	64	/* primary included */
#define	STORVSC_MAX_XFER	(1024 * 1024)
#define	STORVSC_MAX_LUN		63
#define	STORVSC_BATCH		32	/* completions a lock round */
#define	STORVSC_ROUNDS		8	/* of those a callback, then again */
#define	STORVSC_RESERVE		4	/* requests kept for dumps */

/* Limits of waits, in seconds. */
#define	STORVSC_TIMEOUT_XCHG	5	/* one control exchange */
#define	STORVSC_TIMEOUT_SUBCH	10	/* sub-channels to be offered */
#define	STORVSC_TIMEOUT_GRACE	5	/* answers after a reset */
#define	STORVSC_TIMEOUT_DRAIN	10	/* I/O before suspend, detach */
#define	STORVSC_TIMEOUT_IO	60	/* a request that states none */
#define	STORVSC_RECONNECTS	3	/* attempts, a second apart */

enum storvsc_rstate {
	STORVSC_RS_FREE,	/* on c_free, or reserved for dumps */
	STORVSC_RS_LOADING,	/* busdma has it */
	STORVSC_RS_WAIT,	/* on c_wait: the ring was full */
	STORVSC_RS_SENT		/* the host has it, and its memory */
};

struct storvsc_req {
	STAILQ_ENTRY(storvsc_req) sr_link;	/* (c) c_free, c_wait */
	struct storvsc_chan	*sr_chan;	/* (a) */
	struct storvsc_dma	*sr_dma;	/* (a) of the channel */
	union ccb		*sr_ccb;	/* (c) NULL: nobody waits */
	bus_dmamap_t		 sr_map;	/* (a) */
	uint8_t			*sr_buf;	/* (i) NULL, or storvsc_sg.c */
	uint32_t		 sr_limit;	/* (c) ms, 0: none */
	int			 sr_start;	/* (c) of it, in ticks */
	uint32_t		 sr_index;	/* (a) in the controller */
	uint32_t		 sr_gen;	/* (c) which use of it */
	uint8_t			 sr_state;	/* (c) STORVSC_RS_ */
	uint8_t			 sr_flags;	/* (c) */
#define	STORVSC_RF_LOADED	0x01	/* sr_map holds the data */
#define	STORVSC_RF_EXPIRED	0x02	/* past its deadline, or unwanted */
#define	STORVSC_RF_ABORTED	0x04	/* ... since CAM wants it aborted */
#define	STORVSC_RF_TERMINATED	0x08	/* ... or terminated */
#define	STORVSC_RF_AGAIN	0x10	/* had to wait for the ring */
#define	STORVSC_RF_RESERVE	0x20	/* (a) for dumps only */
	uint8_t			 sr_rxlen;	/* (i) valid bytes of reply */
	uint32_t		 sr_status;	/* (c) CAM status to end with,
						 * 0: what the host says */
	struct storvsc_pkt	 sr_pkt;	/* (i) request, then reply */
};

STAILQ_HEAD(storvsc_reqs, storvsc_req);
STAILQ_HEAD(storvsc_ccbs, ccb_hdr);

/* CCBs that have ended and that CAM is to hear of, once no lock is held. */
struct storvsc_done {
	u_int			 d_n;
	union ccb		*d_ccb[STORVSC_BATCH];
	uint32_t		 d_status[STORVSC_BATCH];
};

/* What it takes to load one request at a time. */
struct storvsc_dma {
	bus_dma_tag_t		 d_tag;		/* (a) loads hold c_mtx */
	uint64_t		*d_pfn;		/* (c) page list being sent */
};

struct storvsc_chan {
	struct mtx		 c_mtx;
	struct vmbus_channel	*c_ch;		/* (t) NULL: none */
	struct storvsc_softc	*c_sc;		/* (a) */
	uint32_t		 c_gate;	/* (c) CAM status of new I/O,
						 * 0: it may be sent */
	struct storvsc_reqs	 c_free;	/* (c) */
	struct storvsc_reqs	 c_wait;	/* (c) in order */
	struct vmbus_signal	 c_signal;	/* (c) storvsc_chan_flush() */
	bool			 c_hold;	/* (c) it is filled in for us */
	struct storvsc_req	*c_reqs;	/* (a) all of them */
	uint32_t		 c_base;	/* (a) sr_index of the first */
	uint32_t		 c_nreqs;	/* (a) reserve included */
	uint32_t		 c_reserve;	/* (c) next for a dump */
	uint32_t		 c_out;		/* (c) neither free nor done */
	uint32_t		 c_expired;	/* (c) of them, host has it */
	bool			 c_draining;	/* (c) c_out is waited for */
	bool			 c_dead;	/* (c) ring broken, said so */
	struct storvsc_dma	 c_dma;		/* for all but dumps */
	struct storvsc_dma	 c_dump;	/* a stopped processor may be
						 * half-way through c_dma */
	uint32_t		 c_id;		/* (t) as the host counts */

	/* Statistics (c) */
	uint64_t		 c_sends;
	uint64_t		 c_retries;
	uint64_t		 c_bad;
	uint64_t		 c_late;
	uint64_t		 c_bio;
	uint64_t		 c_vaddr;
	uint64_t		 c_sg;
	uint64_t		 c_copies;
	uint32_t		 c_maxout;
} __aligned(CACHE_LINE_SIZE);

/* The one control exchange that can be under way, on the primary channel. */
struct storvsc_xchg {
	enum {
		STORVSC_XC_IDLE, STORVSC_XC_WAIT, STORVSC_XC_DONE
	}			 xc_state;	/* (c) of the primary */
	uint32_t		 xc_gen;	/* (c) */
	size_t			 xc_len;	/* (c) of the reply */
	struct storvsc_pkt	 xc_pkt;	/* (c) */
};

/* What differs between SCSI and IDE channels. */
struct storvsc_class {
	struct hyperv_guid	 cl_guid;
	const char		*cl_descr;
	const char		*cl_sim;	/* SIM name, as users know it */
	bool			 cl_ide;
};

struct storvsc_softc {
	device_t		 sc_dev;	/* (a) */
	const struct storvsc_class *sc_class;	/* (a) */
	uint32_t		 sc_target;	/* (a) the only target */
	struct storvsc_ide_drive *sc_drive;	/* (a) NULL: none is claimed */
	u_int			 sc_nchan;	/* (A) channels in use */
	u_int			 sc_nalloc;	/* (a) of sc_chan, set up */
	u_int			 sc_npool;	/* (a) of them, with requests */
	struct storvsc_chan	*sc_chan[STORVSC_MAX_CHANS];	/* (a) */
	struct cam_sim		*sc_sim;	/* (a) */
	struct cam_path		*sc_path;	/* (a) the whole bus */
	uint32_t		 sc_maxio;	/* (a) bytes */
	uint32_t		 sc_maxreqs;	/* (a) for CAM */
	bool			 sc_direct;	/* (a) any page will do */
	uint64_t		 sc_cd_gone;	/* (A) LUNs, storvsc_cd.c */

	/* Negotiated with the host. */
	uint32_t		 sc_version;	/* (t) STORVSC_VERSION_ */
	uint32_t		 sc_pktlen;	/* (t) */
	struct storvsc_pkt	 sc_tmpl;	/* (t) storvsc_srb_template() */
	struct storvsc_props	 sc_props;	/* (t) */
	struct storvsc_xchg	 sc_xchg;	/* (c) of the primary */

	/* Time-outs and recovery. */
	u_int			 sc_ticking;	/* (A) sc_tick is armed */
	struct callout		 sc_tick;
	struct taskqueue	*sc_tq;		/* (a) one thread */
	struct task		 sc_recover;
	struct timeout_task	 sc_rescan;
	union ccb		*sc_scan;	/* who set F_SCANNING has it */
	struct callout		 sc_lost_tick;
	struct mtx		 sc_mtx;
	uint32_t		 sc_flags;	/* (s) */
#define	STORVSC_F_RESCINDED	0x0001	/* the host took the device away */
#define	STORVSC_F_DETACHING	0x0002
#define	STORVSC_F_DEAD		0x0004	/* recovery gave up */
#define	STORVSC_F_SUSPENDED	0x0008
#define	STORVSC_F_EXPIRED	0x0010	/* requests ran out of time */
#define	STORVSC_F_BUS_RESET	0x0020	/* CAM asks for one */
#define	STORVSC_F_BROKEN	0x0040	/* a ring cannot be used any more */
#define	STORVSC_F_BAD_SAID	0x0080	/* a bad packet was reported */
#define	STORVSC_F_HELD		0x0100	/* recovery froze the SIM queue */
#define	STORVSC_F_KEPT_SAID	0x0200	/* that detach must wait was, too */
#define	STORVSC_F_IN_DETACH	0x0400	/* a thread is in it */
#define	STORVSC_F_ATTACHING	0x0800	/* recovery waits until it has */
#define	STORVSC_F_SCANNING	0x1000	/* or the first scan is to come */
#define	STORVSC_F_SCAN_AGAIN	0x2000	/* when it has ended */
#define	STORVSC_F_GONE		(STORVSC_F_RESCINDED | STORVSC_F_DETACHING)
#define	STORVSC_F_RECOVER	(STORVSC_F_EXPIRED | STORVSC_F_BUS_RESET | \
				    STORVSC_F_BROKEN)
	struct storvsc_ccbs	 sc_resets;	/* (s) XPT_RESET_DEV */
	struct storvsc_ccbs	 sc_lost[2];	/* (s) to end in a moment, and
						 * a moment after that */
	uint64_t		 sc_timeouts;	/* (s) */
	uint64_t		 sc_lun_resets;	/* (s) */
	uint64_t		 sc_bus_resets;	/* (s) */
	uint64_t		 sc_reconnects;	/* (s) */

	struct sysctl_ctx_list	 sc_sysctl;	/* (a) */
	bool			 sc_sysctl_init;/* (a) */
};

MALLOC_DECLARE(M_STORVSC);

/* Tunables; constant after boot. */
extern int	storvsc_use_win8ext_flags;
extern int	storvsc_use_pim_unmapped;
extern u_int	storvsc_ringbuffer_size;
extern u_int	storvsc_max_io;
extern u_int	storvsc_chan_cnt;

/*
 * storvsc_req.c: the part that needs neither CAM's queues nor a channel.
 */
#define	STORVSC_ID_CONTROL	0xffffffffu	/* index of exchanges */

static __inline uint64_t
storvsc_id(uint32_t index, uint32_t gen)
{

	return (((uint64_t)gen << 32) | index);
}

struct storvsc_req *storvsc_req_lookup(struct storvsc_chan *c, uint64_t xid);
int	storvsc_prplist(const bus_dma_segment_t *segs, int nseg,
	    uint64_t *pfn, u_int maxpfn, struct vmbus_gpa_prplist *pl);
bool	storvsc_pages(const union ccb *ccb, uint64_t *pfn, uint32_t maxlen,
	    struct vmbus_gpa_prplist *pl);
void	storvsc_srb_template(struct storvsc_pkt *tmpl, uint32_t version,
	    uint32_t unit);
int	storvsc_srb_fill(struct storvsc_pkt *pkt,
	    const struct storvsc_pkt *tmpl, const union ccb *ccb);

/* CAM's milliseconds with its two special values put in; 0 for no limit. */
static __inline uint32_t
storvsc_timeout_ms(uint32_t ccb_timeout)
{

	if (ccb_timeout == CAM_TIME_INFINITY)
		return (0);
	if (ccb_timeout == CAM_TIME_DEFAULT)
		return (STORVSC_TIMEOUT_IO * 1000);
	return (ccb_timeout);
}

int	storvsc_pool_alloc(struct storvsc_chan *c, uint32_t nreqs,
	    uint32_t reserve, uint32_t base);
void	storvsc_pool_free(struct storvsc_chan *c);

/* storvsc_status.c: what an answer of the host means; pure. */
struct storvsc_result {
	uint32_t	rs_status;	/* CAM status, AUTOSNS_VALID included */
	uint32_t	rs_resid;
	uint8_t		rs_scsi_status;
	uint8_t		rs_sense_len;	/* valid bytes of sb_sense */
	bool		rs_bad;		/* the host contradicts itself */
};

void	storvsc_result(const struct storvsc_pkt *pkt, size_t len,
	    uint32_t wanted, struct storvsc_result *rs);
void	storvsc_inquiry_repair(uint32_t version, const uint8_t *cdb,
	    uint8_t *data, uint32_t len);

/* storvsc_cd.c: drives that are gone. */
uint32_t storvsc_cd_start(struct storvsc_softc *sc, union ccb *ccb);
uint32_t storvsc_cd_lost(struct storvsc_softc *sc, union ccb *ccb,
	    uint32_t status);
void	storvsc_cd_found(struct storvsc_softc *sc, union ccb *ccb);

/* Whether any of these flags is set; c_mtx may be held. */
static __inline bool
storvsc_flagged(struct storvsc_softc *sc, uint32_t flags)
{
	bool set;

	mtx_lock(&sc->sc_mtx);
	set = (sc->sc_flags & flags) != 0;
	mtx_unlock(&sc->sc_mtx);
	return (set);
}

static __inline bool
storvsc_gone(struct storvsc_softc *sc)
{

	return (storvsc_flagged(sc, STORVSC_F_GONE));
}

/* storvsc_sg.c: lists with holes. */
bool	storvsc_sg_has_holes(const bus_dma_segment_t *sg, u_int cnt);
size_t	storvsc_sg_copy(const bus_dma_segment_t *sg, u_int cnt, uint8_t *buf,
	    size_t len, bool to_list);
bool	storvsc_sg_needed(const union ccb *ccb);
int	storvsc_sg_begin(struct storvsc_chan *c, struct storvsc_req *req);
bool	storvsc_sg_end(struct storvsc_req *req, uint32_t len);

/* storvsc_proto.c: handshake, control exchanges. */
int	storvsc_exchange(struct storvsc_softc *sc, struct storvsc_pkt *pkt,
	    size_t want);
void	storvsc_exchange_reply(struct storvsc_chan *c, uint64_t xid,
	    const void *data, size_t len);
void	storvsc_exchange_wake(struct storvsc_softc *sc);
int	storvsc_handshake(struct storvsc_softc *sc);
int	storvsc_create_subchannels(struct storvsc_softc *sc, u_int cnt);
int	storvsc_reset_lun(struct storvsc_softc *sc, uint32_t lun);
int	storvsc_reset_bus(struct storvsc_softc *sc);

/*
 * Drops c_mtx after c_hold was set for sending, and only then signals: the
 * callback on this very CPU would only wait for the lock.
 */
static __inline void
storvsc_chan_flush(struct storvsc_chan *c)
{
	struct vmbus_signal sg;

	c->c_hold = false;
	if (!c->c_signal.sg_due) {
		mtx_unlock(&c->c_mtx);
		return;
	}
	sg = c->c_signal;
	c->c_signal.sg_due = false;
	mtx_unlock(&c->c_mtx);
	vmbus_ch_signal(&sg);
}

/* storvsc_chan.c: channels. */
void	storvsc_chan_alloc(struct storvsc_softc *sc);
void	storvsc_chan_free(struct storvsc_softc *sc);
int	storvsc_connect(struct storvsc_softc *sc);
int	storvsc_disconnect(struct storvsc_softc *sc);
void	storvsc_gate(struct storvsc_softc *sc, uint32_t status);
bool	storvsc_drain(struct storvsc_softc *sc, int seconds,
	    uint32_t unless);
struct storvsc_chan *storvsc_chan_select(struct storvsc_softc *sc);
void	storvsc_chan_service(struct storvsc_chan *c);
void	storvsc_chan_bad(struct storvsc_chan *c, const char *what,
	    uint64_t value);

/* storvsc_io.c: the way of a request. */
uint32_t storvsc_expired_status(const struct storvsc_req *req);
void	storvsc_lost_done(void *arg);
void	storvsc_io_start(struct storvsc_softc *sc, union ccb *ccb);
void	storvsc_io_resume(struct storvsc_chan *c);
void	storvsc_io_reply(struct storvsc_chan *c, struct storvsc_req *req,
	    const void *data, size_t len, struct storvsc_done *done);
void	storvsc_io_end(struct storvsc_chan *c, struct storvsc_req *req,
	    struct storvsc_done *done);
void	storvsc_io_deliver(struct storvsc_softc *sc,
	    struct storvsc_done *done);
void	storvsc_io_fail_all(struct storvsc_softc *sc, uint32_t status,
	    bool sent);

/* storvsc_recover.c: time-outs, aborts, resets. */
void	storvsc_tick_arm(struct storvsc_softc *sc);
void	storvsc_tick(void *arg);
void	storvsc_recover_task(void *arg, int pending);
void	storvsc_recover_start(struct storvsc_softc *sc, uint32_t why);
void	storvsc_recover_release(struct storvsc_softc *sc);
void	storvsc_fail_resets(struct storvsc_softc *sc);
int	storvsc_abort(struct storvsc_softc *sc, union ccb *ccb, uint8_t how);

/* storvsc_cam.c: SIM. */
int	storvsc_cam_attach(struct storvsc_softc *sc);
void	storvsc_cam_detach(struct storvsc_softc *sc);

/* storvsc_scan.c */
void	storvsc_scan_attach(struct storvsc_softc *sc);
void	storvsc_scan_detach(struct storvsc_softc *sc);
void	storvsc_rescan_task(void *arg, int pending);
void	storvsc_rescan(struct storvsc_softc *sc);

/* storvsc_ide.c: disks that are on emulated IDE as well. */
int	storvsc_ide_probe(device_t dev);
int	storvsc_ide_claim(struct storvsc_softc *sc);
void	storvsc_ide_release(struct storvsc_softc *sc);
void	storvsc_ide_load(void);
void	storvsc_ide_unload(void);

/* storvsc_sysctl.c */
void	storvsc_sysctl_attach(struct storvsc_softc *sc);
void	storvsc_sysctl_detach(struct storvsc_softc *sc);

#endif	/* !_STORVSC_VAR_H_ */
