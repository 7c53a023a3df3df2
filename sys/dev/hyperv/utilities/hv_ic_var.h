/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The frame of the integration services.  A service is a newbus driver on
 * vmbus(4) with a descriptor: what it is, which versions it speaks, and what
 * it does with a request.  The frame opens the channel, receives, checks,
 * negotiates and replies.
 */

#ifndef _HV_IC_VAR_H_
#define	_HV_IC_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sysctl.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/utilities/hv_ic_reg.h>

/*
 * Locks.  The order is
 *
 *	a service's own  ->  ic_mtx  ->  vmbus's
 *
 * and no function of a service is called with ic_mtx held.
 *
 * Lock key of the members below:
 *	(m)	ic_mtx
 *	(a)	set while attaching; then constant
 *	(o)	only by the thread that has the message: the channel's
 *		callback, then whoever keeps it
 */

struct hv_ic_softc;

/*
 * A request, copied out of shared memory: the host cannot change it any more.
 * The answer is made in the same place.
 */
struct hv_ic_msg {
	STAILQ_ENTRY(hv_ic_msg)	 im_link;	/* (m) */
	uint64_t		 im_xid;	/* (o) VMBus's transaction id */
	u_int			 im_conn;	/* (o) came in on this one */
	uint32_t		 im_len;	/* (o) of the packet, bytes */
	union {
		struct hv_ic_hdr im_hdr;
		uint8_t		 im_data[HV_IC_MSG_MAX];
	} __aligned(8);				/* (o) */
};

STAILQ_HEAD(hv_ic_msgs, hv_ic_msg);

/* What a handler returns if it, or another thread, replies itself. */
#define	HV_IC_LATER	1u

/* Major and minor as one number, which compares as one expects. */
#define	HV_IC_VERSION(major, minor)	(((uint32_t)(major) << 16) | (minor))
#define	HV_IC_VERSION_MAJOR(v)		((v) >> 16)
#define	HV_IC_VERSION_MINOR(v)		((v) & 0xffff)

struct hv_ic_service {
	struct hyperv_guid	 is_guid;	/* class */
	const char		*is_descr;
	uint16_t		 is_type;	/* HV_IC_TYPE_ */
	u_int			 is_keep;	/* requests kept at once */
	const uint32_t		*is_versions;	/* of messages, newest first */
	u_int			 is_nversions;
	/*
	 * A request of this type, after versions were agreed on; body of
	 * hv_ic_body_len() bytes, of which none was looked at.  Returns the
	 * status to answer with; what the body holds then goes back as well.
	 * Or keeps the message, returns HV_IC_LATER, and sees to it that
	 * hv_ic_reply() is called for it, once and in bounded time.  Called
	 * from the channel's callback, one at a time, with no lock held.
	 */
	uint32_t		 (*is_handler)(struct hv_ic_softc *ic,
				    struct hv_ic_msg *im);
};

/* First member of every service's softc. */
struct hv_ic_softc {
	device_t		 ic_dev;	/* (a) */
	const struct hv_ic_service *ic_svc;	/* (a) */
	struct vmbus_channel	*ic_ch;		/* (a) */
	struct hv_ic_msg	*ic_pool;	/* (a) all messages */
	struct mtx		 ic_mtx;
	bool			 ic_init;	/* (a) ic_mtx is there */
	bool			 ic_open;	/* (m) */
	bool			 ic_bad_said;	/* (m) */
	bool			 ic_handling;	/* (m) is_handler runs */
	bool			 ic_detaching;	/* (m) it will not again */
	u_int			 ic_conn;	/* (m) counts openings */
	struct hv_ic_msgs	 ic_free;	/* (m) */
	struct hv_ic_msgs	 ic_wait;	/* (m) the ring was full */
	uint32_t		 ic_fwver;	/* (m) HV_IC_VERSION(), or 0 */
	uint32_t		 ic_msgver;	/* (m) */
	uint64_t		 ic_requests;	/* (m) for the service */
	uint64_t		 ic_bad;	/* (m) what made no sense */
	uint64_t		 ic_dropped;	/* (m) host took no answers */
	struct sysctl_ctx_list	 ic_sysctl;	/* (a) */
	bool			 ic_sysctl_init;/* (a) */
};

MALLOC_DECLARE(M_HVIC);

/* For a probe method; ENXIO or what it is to return. */
int	hv_ic_probe(device_t dev, const struct hv_ic_service *svc);

/*
 * Opens the channel: requests may come before this returns, so the service is
 * ready for them.  On failure all is undone.
 */
int	hv_ic_attach(device_t dev, const struct hv_ic_service *svc);

/*
 * The device method, of a service that keeps no requests.  One that does calls
 * hv_ic_detach_begin(), after which no handler runs and further requests fail;
 * ends what it has under way, with answers (the host is to hear that it
 * failed); and calls hv_ic_detach_end(), which closes the channel and frees all
 * messages.  EBUSY: another thread detaches the device already.  They take a
 * softc in any state.
 */
int	hv_ic_detach(device_t dev);
int	hv_ic_detach_begin(device_t dev);
void	hv_ic_detach_end(device_t dev);

/*
 * Device methods.  Suspend closes the channel, resume opens it, and the host
 * negotiates anew; replies to what came before go nowhere.
 */
int	hv_ic_suspend(device_t dev);
int	hv_ic_resume(device_t dev);

/*
 * Sends the answer to a kept message and takes the message back.  Any context
 * that may hold a mutex; not with ic_mtx.
 */
void	hv_ic_reply(struct hv_ic_softc *ic, struct hv_ic_msg *im,
	    uint32_t status);

/* Agreed with the host; 0: nothing yet. */
uint32_t hv_ic_version(struct hv_ic_softc *ic);

/*
 * The body, which begins 4 bytes off a multiple of 8; and how much of it came,
 * whatever ih_size says.
 */
static __inline void *
hv_ic_body(struct hv_ic_msg *im)
{

	return (im->im_data + HV_IC_HDR_LEN);
}

static __inline uint32_t
hv_ic_body_len(const struct hv_ic_msg *im)
{

	return (im->im_len - HV_IC_HDR_LEN);
}

/*
 * Makes the body of an answer len bytes long, at most HV_IC_MSG_MAX -
 * HV_IC_HDR_LEN; what is new of it is zero.
 */
void	hv_ic_set_body_len(struct hv_ic_msg *im, uint32_t len);

/*
 * Counts what the host should not have sent, and says so once.  Not with
 * ic_mtx.
 */
void	hv_ic_bad(struct hv_ic_softc *ic, const char *what, uint64_t value);

/*
 * hv_ic_nego.c: a negotiation, pure.  Picks versions, makes the answer of the
 * request, and tells what was picked: false if there is nothing in common, and
 * the answer says so.
 */
bool	hv_ic_negotiate(struct hv_ic_msg *im, const struct hv_ic_service *svc,
	    uint32_t *fwver, uint32_t *msgver);

/* What each service's file ends with; name is that of the module. */
#define	HV_IC_DRIVER(name, driver, pnp)					\
	DRIVER_MODULE(name, vmbus, driver, NULL, NULL);			\
	MODULE_PNP_INFO("Z:classid", vmbus, name, pnp, nitems(pnp))

struct hv_ic_pnp {
	const char	*classid;
};

#endif	/* !_HV_IC_VAR_H_ */
