/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The channel interface for class drivers (VSCs).  A class driver is a
 * newbus child of vmbus(4); its primary channel and GUIDs are instance
 * variables.  Rings, messages and interrupts are out of sight.
 *
 * Function names differ on purpose from those of FreeBSD's own bus driver:
 * a kernel that has it compiled in would otherwise resolve our modules'
 * symbols to its own.
 *
 * Locks: no function here calls back into the class driver, but for
 * vmbus_ch_poll().  A class driver may hold its own mutexes across the
 * functions marked "any context"; the others sleep.
 */

#ifndef _DEV_HYPERV_VMBUS_H_
#define	_DEV_HYPERV_VMBUS_H_

#include <sys/param.h>
#include <sys/bus.h>

#include <dev/hyperv/include/hyperv.h>

struct mtx;

struct vmbus_channel;

/* Instance variables of a child of vmbus(4). */
enum {
	VMBUS_IVAR_CHANNEL,	/* struct vmbus_channel *, the primary */
	VMBUS_IVAR_TYPE,	/* const struct hyperv_guid *, interface */
	VMBUS_IVAR_INSTANCE,	/* const struct hyperv_guid * */
	VMBUS_IVAR_VERSION,	/* uint32_t, bus protocol, VMBUS_VERSION() */
};

/*
 * Whether dev is a child of this bus.  A kernel may have another driver of its
 * name, whose children have no such variables: a probe method asks this first.
 */
bool		vmbus_owns(device_t dev);

__BUS_ACCESSOR(vmbus, channel, VMBUS, CHANNEL, struct vmbus_channel *)
__BUS_ACCESSOR(vmbus, type, VMBUS, TYPE, const struct hyperv_guid *)
__BUS_ACCESSOR(vmbus, instance, VMBUS, INSTANCE, const struct hyperv_guid *)
__BUS_ACCESSOR(vmbus, version, VMBUS, VERSION, uint32_t)

/* Bus protocol versions (protocol: vmbus, section 3). */
#define	VMBUS_VERSION(major, minor)	(((uint32_t)(major) << 16) | (minor))
#define	VMBUS_VERSION_WS2008	VMBUS_VERSION(0, 13)
#define	VMBUS_VERSION_WIN7	VMBUS_VERSION(1, 1)
#define	VMBUS_VERSION_WIN8	VMBUS_VERSION(2, 4)
#define	VMBUS_VERSION_WIN8_1	VMBUS_VERSION(3, 0)
#define	VMBUS_VERSION_WIN10	VMBUS_VERSION(4, 0)
#define	VMBUS_VERSION_WIN10_4_1	VMBUS_VERSION(4, 1)
#define	VMBUS_VERSION_WIN10_5_0	VMBUS_VERSION(5, 0)
#define	VMBUS_VERSION_WIN10_5_1	VMBUS_VERSION(5, 1)
#define	VMBUS_VERSION_WIN10_5_2	VMBUS_VERSION(5, 2)
#define	VMBUS_VERSION_IRON	VMBUS_VERSION(5, 3)

/*
 * Something may be there to receive, or room to send.  Runs on the taskqueue
 * thread of the channel's CPU, never twice at once for one channel; must not
 * sleep for long.  It receives until vmbus_ch_recv() or vmbus_ch_peek() says
 * EAGAIN, or returns early and is called again.
 */
typedef void	vmbus_ch_callback_t(struct vmbus_channel *ch, void *arg);

struct vmbus_ch_open_params {
	size_t			 op_txsize;	/* ring bytes, pages, control */
	size_t			 op_rxsize;	/*  page included: >= 2 pages */
	const void		*op_udata;	/* up to 120 bytes, or NULL */
	size_t			 op_udlen;
	vmbus_ch_callback_t	*op_callback;
	void			*op_arg;
	bool			 op_batch;	/* mask host while reading */
};

/*
 * Opens a channel: allocates rings, shares them, asks the host.  The channel
 * interrupts the CPU set by vmbus_ch_set_cpu() (CPU 0 unless set).  Sleeps,
 * but no longer than the bus's time limit for each exchange.
 *
 * 0		open; the callback may run before this returns.
 * EBUSY	open already.
 * EINVAL	parameters.
 * ENXIO	rescinded.
 * EIO		refused by the host.
 * ETIMEDOUT	the host did not answer.
 * ENOMEM	no memory for rings.
 * On failure the channel is closed again and holds no memory, but for
 * memory that the host did not give back: that is leaked on purpose, counted
 * in dev.vmbus.N.leaked_bytes.
 */
int		vmbus_ch_open(struct vmbus_channel *ch,
		    const struct vmbus_ch_open_params *op);

/*
 * Closes a channel, and its sub-channels before it if it is a primary.  When
 * it returns the callback does not run and will not run again.  Sleeps; not
 * from the callback.  Nothing to do for a closed channel.
 *
 * 0 when the host has given back all rings of the channel (and, of a primary,
 * its sub-channels), and with them every request.  ETIMEDOUT while it has not:
 * it may still work on memory that packets named.  A further call tells whether
 * that has changed.
 */
int		vmbus_ch_close(struct vmbus_channel *ch);

/*
 * Shares size bytes of page-aligned, wired kernel memory at va (whole pages)
 * with the host and returns the GPADL id.  Sleeps.  Errors as vmbus_ch_open().
 * On failure *gpadl is 0 unless the host may have the memory nevertheless.
 * vmbus_ch_gpadl_disconnect() returns 0 when the memory is the caller's again;
 * any other value means the host may still use it: it must not be freed.
 */
int		vmbus_ch_gpadl_connect(struct vmbus_channel *ch, void *va,
		    size_t size, uint32_t *gpadl);
int		vmbus_ch_gpadl_disconnect(struct vmbus_channel *ch,
		    uint32_t gpadl);

/*
 * Sending.  All copy what they are given into the ring before they return and
 * signal the host where the ring rules ask for it.  Any context that may hold
 * a regular mutex; several threads may send on one channel.
 *
 * 0		sent.
 * EAGAIN	no room; the callback runs once there is room for this packet.
 * EINVAL	would never fit.
 * ENXIO	closed or rescinded, or disabled for what the host did.
 */
int		vmbus_ch_send(struct vmbus_channel *ch, uint16_t type,
		    uint16_t flags, const void *data, size_t len,
		    uint64_t xid);

/* One run of guest memory: pages may be anywhere, holes are not possible. */
struct vmbus_gpa_prplist {
	uint32_t	 pl_len;	/* bytes */
	uint32_t	 pl_ofs;	/* of the first byte in its page */
	u_int		 pl_npfn;	/* pages listed */
	const uint64_t	*pl_pfn;	/* page frame numbers */
};

/* A piece of guest memory within one page. */
struct vmbus_gpa_seg {
	uint32_t	 gs_len;
	uint32_t	 gs_ofs;
	uint64_t	 gs_pfn;
};

/*
 * A signal to the host that is due.  A hypercall is a good moment for the
 * host's answer to interrupt this CPU: who sends with a lock held that the
 * callback takes as well lets the signal be noted, and gives it afterwards.
 * Good for as long as the bus is there, also when the channel is not.
 */
struct vmbus_signal {
	volatile uint64_t *sg_flag;	/* vmbus's own; as in the channel */
	uint64_t	 sg_flag_bit;
	volatile uint32_t *sg_mnf;
	uint32_t	 sg_mnf_bit;
	uint32_t	 sg_conn;
	bool		 sg_due;	/* the owner takes it back */
};

void		vmbus_ch_signal(const struct vmbus_signal *sg);

/*
 * As vmbus_ch_send(), but that the host is not signalled: if it ought to be,
 * *sg is filled in.  For packets sent one after the other, which one signal
 * is enough for.
 */
int		vmbus_ch_send_quiet(struct vmbus_channel *ch, uint16_t type,
		    uint16_t flags, const void *data, size_t len,
		    uint64_t xid, struct vmbus_signal *sg);

/*
 * GPA-direct packets; completion is always asked for.  With sg the host is not
 * signalled: if it ought to be, *sg is filled in.
 */
int		vmbus_ch_send_prplist(struct vmbus_channel *ch,
		    const struct vmbus_gpa_prplist *pl, const void *data,
		    size_t len, uint64_t xid, struct vmbus_signal *sg);
int		vmbus_ch_send_sglist(struct vmbus_channel *ch,
		    const struct vmbus_gpa_seg *seg, u_int nseg,
		    const void *data, size_t len, uint64_t xid,
		    struct vmbus_signal *sg);

/* A packet received.  Every field was checked against the ring. */
struct vmbus_rxpkt {
	uint16_t	 rp_type;	/* VMBUS_PKT_TYPE_* */
	uint16_t	 rp_flags;	/* VMBUS_PKT_FLAG_* */
	uint32_t	 rp_hdrlen;	/* type-specific header behind the
					 * 16-byte descriptor, bytes */
	uint32_t	 rp_len;	/* payload bytes, with padding to 8 */
	uint64_t	 rp_xid;	/* not checked: look it up in a table */
	const void	*rp_hdr;	/* vmbus_ch_peek() only, contiguous */
	const void	*rp_data;	/* vmbus_ch_peek() only, contiguous */
};

/*
 * Receiving; from the callback, or from vmbus_ch_poll()'s.
 *
 * vmbus_ch_recv() copies up to len bytes of the next packet's payload to buf
 * and consumes the packet; rp_len tells its true size.  rp_hdr and rp_data
 * are NULL.
 *
 * vmbus_ch_peek() gives the packet in place: the host can change the bytes at
 * any time, so what is looked at twice must be copied first.  Several packets
 * may be peeked at, one after the other; vmbus_ch_release() consumes all of
 * them at once and looks once whether the host waits for that room.
 *
 * 0		a packet.
 * EAGAIN	none.
 * ENXIO	closed.
 * EBADMSG	the host wrote what a ring cannot hold: reported once, the
 *		channel is disabled, it can only be closed.
 */
int		vmbus_ch_recv(struct vmbus_channel *ch, struct vmbus_rxpkt *rp,
		    void *buf, size_t len);
int		vmbus_ch_peek(struct vmbus_channel *ch, struct vmbus_rxpkt *rp);
void		vmbus_ch_release(struct vmbus_channel *ch);

/*
 * Runs the callback on this CPU without interrupts, taskqueues or sleeping:
 * for dumps.  Where the scheduler runs, the caller must keep the callback's
 * own thread away (it takes no lock).
 */
void		vmbus_ch_poll(struct vmbus_channel *ch);

/*
 * Until the channel closes the callback runs hz times a second, and the host is
 * told not to signal.  0: as the host signals, as before.  Sleeps; not from the
 * callback.  EINVAL: more than VMBUS_POLL_MAX, or opened without op_batch;
 * ENXIO: closed.
 */
#define	VMBUS_POLL_MAX	1000000
int		vmbus_ch_set_poll(struct vmbus_channel *ch, u_int hz);

/*
 * Sleeps on chan as mtx_sleep(9) does, with mtx held, at most *leftp, of which
 * it takes off the time that went by: up to 0 or less.  The caller looks at
 * what it waits for again each time, for it may wake early.  Works in the
 * attach methods of a kernel that boots as well, whose clocks do not run yet.
 */
void		vmbus_sleep(const void *chan, struct mtx *mtx,
		    const char *wmesg, sbintime_t *leftp);

/*
 * Sub-channels of an open primary.  Waits at most timo until cnt have been
 * offered and stores them in sub[]; each is held until vmbus_subch_put()
 * or the close of the primary.  Returns how many there are: fewer than cnt
 * when time ran out or the device was rescinded.  Sleeps.
 */
int		vmbus_subch_get(struct vmbus_channel *pri,
		    struct vmbus_channel **sub, int cnt, sbintime_t timo);
void		vmbus_subch_put(struct vmbus_channel **sub, int cnt);

/* Any context. */
void		vmbus_ch_set_cpu(struct vmbus_channel *ch, int cpu);
int		vmbus_ch_cpu(const struct vmbus_channel *ch);
uint32_t	vmbus_ch_id(const struct vmbus_channel *ch);
uint16_t	vmbus_ch_subidx(const struct vmbus_channel *ch);
bool		vmbus_ch_is_rescinded(struct vmbus_channel *ch);
bool		vmbus_ch_is_primary(const struct vmbus_channel *ch);

/* Who has the partition's bus; any context. */
enum vmbus_bus_state {
	VMBUS_BUS_NONE,		/* nobody: no such bus, or it failed */
	VMBUS_BUS_OTHER,	/* another driver, the kernel's own for one */
	VMBUS_BUS_STARTING,	/* this one, but not all devices that are there
				 * from the start have been attached yet */
	VMBUS_BUS_READY		/* this one */
};
enum vmbus_bus_state vmbus_bus_state(void);

/* The offer's user-defined data (120 bytes, as the host sent it). */
const uint8_t  *vmbus_ch_offer_data(const struct vmbus_channel *ch);

/*
 * Runs fn(arg) each time the host rescinds this channel's device, before the
 * device is detached: waiters can be woken there.  From the bus's message
 * thread; must not sleep.  NULL takes it away and waits for a running one.
 */
void		vmbus_ch_set_rescind(struct vmbus_channel *ch,
		    void (*fn)(void *), void *arg);

#endif	/* !_DEV_HYPERV_VMBUS_H_ */
