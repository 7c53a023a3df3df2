/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The connection: which protocol version, which channels there are, and the
 * end of it, orderly or in a crash (protocol: vmbus, 3 and 8).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* How long a stopped machine polls for the answer to UNLOAD, and how often. */
#define	VMBUS_UNLOAD_POLL_US	10000000
#define	VMBUS_UNLOAD_STEP_US	1000

#define	VMBUS_VERSION_NONE	0	/* nobody speaks it */

/* Newest first.  Contact for versions from 5.0 on goes elsewhere. */
static const struct {
	uint32_t	 version;
	uint32_t	 conn;
	const char	*name;
} vmbus_versions[] = {
	{ VMBUS_VERSION_IRON,	   VMBUS_CONN_MESSAGE_MULTI, "5.3" },
	{ VMBUS_VERSION_WIN10_5_2, VMBUS_CONN_MESSAGE_MULTI, "5.2" },
	{ VMBUS_VERSION_WIN10_5_1, VMBUS_CONN_MESSAGE_MULTI, "5.1" },
	{ VMBUS_VERSION_WIN10_5_0, VMBUS_CONN_MESSAGE_MULTI, "5.0" },
	{ VMBUS_VERSION_WIN10_4_1, VMBUS_CONN_MESSAGE,	     "4.1" },
	{ VMBUS_VERSION_WIN10,	   VMBUS_CONN_MESSAGE,	     "4.0" },
	{ VMBUS_VERSION_WIN8_1,	   VMBUS_CONN_MESSAGE,	     "3.0" },
	{ VMBUS_VERSION_WIN8,	   VMBUS_CONN_MESSAGE,	     "2.4" },
	{ VMBUS_VERSION_WIN7,	   VMBUS_CONN_MESSAGE,	     "1.1" },
	{ VMBUS_VERSION_WS2008,	   VMBUS_CONN_MESSAGE,	     "0.13" },
};

static void	vmbus_ctl_withdraw(struct vmbus_softc *sc, uint32_t version);

const char *
vmbus_ctl_version_name(uint32_t version)
{
	u_int i;

	for (i = 0; i < nitems(vmbus_versions); i++) {
		if (vmbus_versions[i].version == version)
			return (vmbus_versions[i].name);
	}
	return ("none");
}

/*
 * One attempt.  0: connected; EPROTONOSUPPORT: an older one, please; else the
 * host cannot be talked to.
 */
static int
vmbus_ctl_contact(struct vmbus_softc *sc, uint32_t version, uint32_t conn)
{
	struct vmbus_msg_contact ct;
	struct vmbus_req rq;
	int error;

	memset(&ct, 0, sizeof(ct));
	ct.ct_hdr.mh_type = VMBUS_MSG_CONTACT;
	ct.ct_version = version;
	if (version >= VMBUS_VERSION_WIN8_1)
		ct.ct_vp = sc->sc_pcpu[0].pc_vp;
	if (version >= VMBUS_VERSION_WIN10_5_0)
		ct.ct_u.u_v5.v_sint = VMBUS_SINT;
	else
		ct.ct_u.u_intr_page = vtophys(sc->sc_intrpage);
	ct.ct_mnf_rx = vtophys(sc->sc_mnf_rx);
	ct.ct_mnf_tx = vtophys(sc->sc_mnf_tx);

	vmbus_req_begin(sc, &rq, VMBUS_MSG_VERSION, 0, 0, NULL);
	error = vmbus_msg_post(sc, conn, &ct, sizeof(ct));
	if (error != 0) {
		vmbus_req_cancel(sc, &rq);
		return (error == ENXIO ? EPROTONOSUPPORT : error);
	}
	error = vmbus_req_wait(sc, &rq);
	if (error != 0)
		return (error);
	if (rq.rq_version.vr_supported == 0)
		return (EPROTONOSUPPORT);
	if (rq.rq_version.vr_state != 0) {
		device_printf(sc->sc_dev, "host cannot connect: state %u\n",
		    rq.rq_version.vr_state);
		return (EIO);
	}

	VMBUS_LOCK(sc);
	atomic_store_32(&sc->sc_version, version);
	sc->sc_msgconn = version >= VMBUS_VERSION_WIN10_5_0 ?
	    rq.rq_version.vr_conn : VMBUS_CONN_MESSAGE;
	atomic_store_bool(&sc->sc_old_events, version < VMBUS_VERSION_WIN8);
	VMBUS_UNLOCK(sc);
	return (0);
}

int
vmbus_ctl_connect(struct vmbus_softc *sc)
{
	u_int i;
	int error;

	sc->sc_shared = true;
	for (i = 0; i < nitems(vmbus_versions); i++) {
		error = vmbus_ctl_contact(sc, vmbus_versions[i].version,
		    vmbus_versions[i].conn);
		if (error == 0)
			return (0);
		if (error != EPROTONOSUPPORT) {
			device_printf(sc->sc_dev,
			    "contact with version %s failed: %d\n",
			    vmbus_versions[i].name, error);
			if (error == ETIMEDOUT)
				vmbus_ctl_withdraw(sc,
				    vmbus_versions[i].version);
			else
				sc->sc_shared = false;
			return (error);
		}
	}
	/* Should one of them have been taken in spite of the answer. */
	vmbus_ctl_withdraw(sc, VMBUS_VERSION_NONE);
	device_printf(sc->sc_dev, "host knows none of our versions\n");
	return (ENXIO);
}

/* Woken by vmbus_offer_done(), on the message thread. */
int
vmbus_ctl_request_offers(struct vmbus_softc *sc)
{
	struct vmbus_msg_hdr mh;
	sbintime_t left = vmbus_timeout();
	int error;

	memset(&mh, 0, sizeof(mh));
	mh.mh_type = VMBUS_MSG_REQUEST_OFFERS;
	sc->sc_offers_done = false;
	error = vmbus_msg_send(sc, &mh, sizeof(mh));
	if (error != 0)
		return (error);
	VMBUS_LOCK(sc);
	while (!sc->sc_offers_done && left > 0)
		vmbus_sleep(&sc->sc_offers_done, &sc->sc_lock, "hvoffer",
		    &left);
	error = sc->sc_offers_done ? 0 : ETIMEDOUT;
	VMBUS_UNLOCK(sc);
	return (error);
}

static void
vmbus_ctl_disconnected(struct vmbus_softc *sc)
{

	VMBUS_LOCK(sc);
	atomic_store_32(&sc->sc_version, 0);
	sc->sc_msgconn = VMBUS_CONN_MESSAGE;
	VMBUS_UNLOCK(sc);
}

int
vmbus_ctl_disconnect(struct vmbus_softc *sc)
{
	struct vmbus_msg_hdr mh;
	struct vmbus_req rq;
	int error;

	if (sc->sc_version == 0)
		return (0);
	memset(&mh, 0, sizeof(mh));
	mh.mh_type = VMBUS_MSG_UNLOAD;
	vmbus_req_begin(sc, &rq, VMBUS_MSG_UNLOAD_RESPONSE, 0, 0, NULL);
	error = vmbus_msg_send(sc, &mh, sizeof(mh));
	/* The host named a connection that is none: try the usual one. */
	if (error == ENXIO && sc->sc_msgconn != VMBUS_CONN_MESSAGE)
		error = vmbus_msg_post(sc, VMBUS_CONN_MESSAGE, &mh,
		    sizeof(mh));
	/* Only from 3.0 on can the answer be relied on (3). */
	if (error != 0 || sc->sc_version < VMBUS_VERSION_WIN8_1)
		vmbus_req_cancel(sc, &rq);
	else
		error = vmbus_req_wait(sc, &rq);
	if (error != 0)
		device_printf(sc->sc_dev, "host does not let go: %d\n", error);
	else
		sc->sc_shared = false;
	vmbus_ctl_disconnected(sc);
	return (error);
}

/*
 * After a contact without an answer, which may have arrived all the same: an
 * UNLOAD ends that connection.  It is not answered if there was none (8.5), so
 * then another contact, with a version that nobody speaks, which is refused in
 * either case (3).
 */
static void
vmbus_ctl_withdraw(struct vmbus_softc *sc, uint32_t version)
{
	int error;

	error = ETIMEDOUT;
	if (version >= VMBUS_VERSION_WIN8_1) {
		VMBUS_LOCK(sc);
		sc->sc_version = version;
		VMBUS_UNLOCK(sc);
		error = vmbus_ctl_disconnect(sc);
	}
	if (error != 0 && vmbus_ctl_contact(sc, VMBUS_VERSION_NONE,
	    VMBUS_CONN_MESSAGE) == EPROTONOSUPPORT)
		sc->sc_shared = false;
}

/*
 * In a crash the memory that the host still writes must be quiet before a
 * next kernel uses it.  The answer may lie in any processor's slot, behind
 * other messages; hosts flush disks first, so it may take long (8.8).
 */
void
vmbus_ctl_disconnect_poll(struct vmbus_softc *sc)
{
	struct vmbus_msg_hdr mh;
	struct vmbus_synic_msg *sm = &sc->sc_msg;
	int us;

	if (sc->sc_version == 0)
		return;
	memset(&mh, 0, sizeof(mh));
	mh.mh_type = VMBUS_MSG_UNLOAD;
	if (vmbus_msg_send(sc, &mh, sizeof(mh)) != 0 ||
	    sc->sc_version < VMBUS_VERSION_WIN8_1)
		return;
	for (us = 0; us < VMBUS_UNLOAD_POLL_US; us += VMBUS_UNLOAD_STEP_US) {
		while (vmbus_synic_poll(sc, sm)) {
			memcpy(&mh, sm->sm_payload, sizeof(mh));
			if (sm->sm_type == VMBUS_SYNIC_MSG_TYPE_CHANNEL &&
			    mh.mh_type == VMBUS_MSG_UNLOAD_RESPONSE) {
				sc->sc_version = 0;
				sc->sc_shared = false;
				return;
			}
		}
		DELAY(VMBUS_UNLOAD_STEP_US);
	}
}
