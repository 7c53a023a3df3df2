/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Whether there is a link.  A notice of the host is never believed, only taken
 * for a reason to ask; and it is asked ten times a second at most, however
 * often it gives reason to (protocol: netvsc, section 8).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_LINK_INTERVAL	(hz / 10)
#define	HN_LINK_RETRY		hz

/*
 * Tells the stack, which is only interested in changes.  A change of network
 * looks like a cable that is out for a while, so that addresses are asked for
 * anew.
 */
static void
hn_link_report(struct hn_softc *sc)
{
	uint32_t flags;

	mtx_lock(&sc->sc_mtx);
	flags = sc->sc_flags;
	mtx_unlock(&sc->sc_mtx);
	if ((flags & HN_F_ATTACHED) == 0)
		return;
	if_link_state_change(sc->sc_ifp, (flags & HN_F_LINK_UP) != 0 &&
	    (flags & HN_F_NETCHG) == 0 ? LINK_STATE_UP : LINK_STATE_DOWN);
}

/* How fast; a host that does not say so changes nothing. */
static int
hn_link_speed(struct hn_softc *sc)
{
	uint32_t speed;
	int error;

	error = hn_rndis_get_u32(sc, HN_OID_GEN_LINK_SPEED, &speed);
	if (error == 0 && speed != 0)
		sc->sc_baudrate = (uint64_t)speed * 100;
	return (hn_refused(error) ? 0 : error);
}

int
hn_link_update(struct hn_softc *sc)
{
	uint32_t state;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	sc->sc_link_ticks = ticks;
	mtx_unlock(&sc->sc_mtx);
	if (!hn_flagged(sc, HN_F_SYNTH))
		return (ENXIO);
	error = hn_rndis_get_u32(sc, HN_OID_GEN_MEDIA_CONNECT, &state);
	if (error == 0)
		error = hn_link_speed(sc);
	if (error != 0)
		return (error);
	mtx_lock(&sc->sc_mtx);
	if (state == 0)
		sc->sc_flags |= HN_F_LINK_UP;
	else
		sc->sc_flags &= ~HN_F_LINK_UP;
	mtx_unlock(&sc->sc_mtx);
	if (hn_flagged(sc, HN_F_ATTACHED))
		if_setbaudrate(sc->sc_ifp, sc->sc_baudrate);
	hn_link_report(sc);
	return (0);
}

void
hn_link_down(struct hn_softc *sc)
{

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~HN_F_LINK_UP;
	mtx_unlock(&sc->sc_mtx);
	hn_link_report(sc);
}

/*
 * Asks a host that did not answer in time again, and again: it tells of a
 * change once, and a link would stay as it was taken for.
 */
static void
hn_link_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;
	int error;

	sx_xlock(&sc->sc_lock);
	error = hn_link_update(sc);
	sx_xunlock(&sc->sc_lock);
	if (error == ETIMEDOUT && !hn_flagged(sc, HN_F_GONE))
		taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_link_task,
		    HN_LINK_RETRY);
}

static void
hn_link_netchg_task(void *arg, int pending)
{
	struct hn_softc *sc = arg;

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~HN_F_NETCHG;
	mtx_unlock(&sc->sc_mtx);
	hn_link_task(sc, pending);
}

void
hn_link_check(struct hn_softc *sc)
{
	int wait;

	mtx_lock(&sc->sc_mtx);
	wait = sc->sc_link_ticks + HN_LINK_INTERVAL - ticks;
	mtx_unlock(&sc->sc_mtx);
	if (wait < 0 || wait > HN_LINK_INTERVAL)
		wait = 0;
	taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_link_task, wait);
}

/* Another one while the link is held down anyway changes nothing. */
static void
hn_link_netchg(struct hn_softc *sc)
{
	bool begun;

	mtx_lock(&sc->sc_mtx);
	begun = (sc->sc_flags & HN_F_NETCHG) != 0;
	sc->sc_flags |= HN_F_NETCHG;
	mtx_unlock(&sc->sc_mtx);
	if (begun)
		return;
	hn_link_report(sc);
	taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_netchg_task,
	    HN_TIMEOUT_NETCHG * hz);
}

void
hn_link_indicate(struct hn_softc *sc, uint32_t status)
{

	mtx_lock(&sc->sc_mtx);
	sc->sc_link_events++;
	mtx_unlock(&sc->sc_mtx);
	switch (status) {
	case HN_RNDIS_STATUS_MEDIA_CONNECT:
	case HN_RNDIS_STATUS_MEDIA_DISCONNECT:
	case HN_RNDIS_STATUS_LINK_SPEED:
		hn_link_check(sc);
		break;
	case HN_RNDIS_STATUS_NETWORK_CHANGE:
		/* Whether it is possible, definite or from the medium. */
		hn_link_netchg(sc);
		break;
	case HN_RNDIS_STATUS_OFFLOAD_CONFIG:
		/* The echo of what was set. */
		break;
	default:
		hn_bad(sc, "unknown indication", status);
		break;
	}
}

void
hn_link_init(struct hn_softc *sc)
{

	sc->sc_baudrate = IF_Gbps(10);
	TIMEOUT_TASK_INIT(sc->sc_tq, &sc->sc_link_task, 0, hn_link_task, sc);
	TIMEOUT_TASK_INIT(sc->sc_tq, &sc->sc_netchg_task, 0,
	    hn_link_netchg_task, sc);
}

/* Once no notice can come any more. */
void
hn_link_drain(struct hn_softc *sc)
{

	(void)taskqueue_cancel_timeout(sc->sc_tq, &sc->sc_netchg_task, NULL);
	taskqueue_drain_timeout(sc->sc_tq, &sc->sc_netchg_task);
	/* One that runs may have put itself off once more. */
	while (taskqueue_cancel_timeout(sc->sc_tq, &sc->sc_link_task,
	    NULL) != 0)
		taskqueue_drain_timeout(sc->sc_tq, &sc->sc_link_task);
}
