/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Rounds: the programs asked one after the other, each in bounded time, and the
 * host answered once at the end.  What was frozen is thawed whatever happens:
 * the other program failed or ended, an answer came too late, the host did not
 * ask for it in time.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_vss_var.h>

static int	hv_vss_node_write(void *arg, struct hv_node *hn,
		    const void *data, size_t len);
static void	hv_vss_node_closed(void *arg, struct hv_node *hn);

const struct hv_node_class hv_vss_nodes[HV_VSS_WHOS] = {
	[HV_VSS_APP] = {
		.nc_name =	HV_VSS_DEV_APP_NAME,
		.nc_readmax =	sizeof(struct hv_vss_dev_msg),
		.nc_writemax =	sizeof(struct hv_vss_dev_msg),
		.nc_write =	hv_vss_node_write,
		.nc_closed =	hv_vss_node_closed,
	},
	[HV_VSS_FS] = {
		.nc_name =	HV_VSS_DEV_FS_NAME,
		.nc_readmax =	sizeof(struct hv_vss_dev_msg),
		.nc_writemax =	sizeof(struct hv_vss_dev_msg),
		.nc_write =	hv_vss_node_write,
		.nc_closed =	hv_vss_node_closed,
	},
};

/* In front of applications file systems would freeze their last words. */
static enum hv_vss_who
hv_vss_order(uint32_t op, u_int step)
{

	return (op == HV_VSS_DEV_THAW ? HV_VSS_WHOS - 1 - step : step);
}

/* An administrator may set anything. */
static u_int
hv_vss_bounded(u_int seconds)
{

	return (MIN(MAX(seconds, 1), HV_VSS_TIMEOUT_MAX));
}

static u_int
hv_vss_timeout(const struct hv_vss_softc *sc, uint32_t op)
{

	switch (op) {
	case HV_VSS_DEV_FREEZE:
		return (hv_vss_bounded(sc->vs_freeze_timeout));
	case HV_VSS_DEV_THAW:
		return (hv_vss_bounded(sc->vs_thaw_timeout));
	default:
		return (hv_vss_bounded(sc->vs_check_timeout));
	}
}

static void
hv_vss_ask(struct hv_vss_softc *sc, struct hv_vss_party *vp)
{
	struct hv_vss_dev_msg vm;
	u_int timeout;

	timeout = hv_vss_timeout(sc, sc->vs_op);
	vp->vp_asked = true;
	vp->vp_late = false;
	vp->vp_op = sc->vs_op;
	vp->vp_id++;
	memset(&vm, 0, sizeof(vm));
	vm.vm_type = HV_VSS_DEV_REQUEST;
	vm.vm_version = HV_VSS_DEV_VERSION;
	vm.vm_id = vp->vp_id;
	vm.vm_op = sc->vs_op;
	vm.vm_timeout = timeout * 1000;
	if (sc->vs_op == HV_VSS_DEV_FREEZE)
		vm.vm_hold = hv_vss_bounded(sc->vs_hold_timeout) * 1000;
	hv_node_put(vp->vp_node, &vm, sizeof(vm));
	callout_reset_sbt(&sc->vs_timer, timeout * SBT_1S, 0, hv_vss_late, sc,
	    0);
}

/*
 * Whether this one has to be asked.  There need be no program for applications;
 * without one for file systems there is no backup.
 */
static bool
hv_vss_concerned(struct hv_vss_softc *sc, enum hv_vss_who who)
{
	struct hv_vss_party *vp = &sc->vs_party[who];

	if (vp->vp_asked) {
		/* With an older request: if that froze, undo follows. */
		sc->vs_failed = true;
		return (false);
	}
	if (sc->vs_op == HV_VSS_DEV_THAW)
		return (vp->vp_frozen);
	if (vp->vp_ready)
		return (true);
	if (who == HV_VSS_FS) {
		hv_vss_say(sc, 1, "no program freezes file systems: is "
		    "hv_vss_daemon(8) running?");
		sc->vs_failed = true;
	}
	return (false);
}

static void
hv_vss_reply(struct hv_vss_softc *sc, struct hv_ic_msg *im, uint32_t status)
{

	if (status != HV_IC_S_OK)
		sc->vs_failures++;
	sc->vs_queued--;
	hv_ic_reply(&sc->vs_ic, im, status);
}

/* The end of a round: who is still to be thawed, and what the host is told. */
static void
hv_vss_end(struct hv_vss_softc *sc)
{
	struct hv_ic_msg *im = sc->vs_im;

	sc->vs_busy = false;
	sc->vs_im = NULL;
	if (sc->vs_op == HV_VSS_DEV_FREEZE) {
		if (sc->vs_failed)
			sc->vs_undo = true;
		else {
			sc->vs_frozen = true;
			sc->vs_freezes++;
			callout_reset_sbt(&sc->vs_hold,
			    hv_vss_bounded(sc->vs_hold_timeout) * SBT_1S, 0,
			    hv_vss_hold_over, sc, 0);
			hv_vss_say(sc, 2, "frozen");
		}
	} else if (sc->vs_op == HV_VSS_DEV_THAW && im != NULL) {
		/*
		 * Thawed before its time it is no backup.  However often the
		 * host asks, it hears so until it freezes again.
		 */
		if (sc->vs_broken)
			sc->vs_failed = true;
		if (!sc->vs_failed) {
			sc->vs_thaws++;
			hv_vss_say(sc, 2, "thawed");
		}
	}
	if (im != NULL)
		hv_vss_reply(sc, im, sc->vs_failed ? HV_IC_S_FAIL :
		    HV_IC_S_OK);
}

/*
 * Asks the next one; ends the round if there is none.  While the driver goes
 * one may still answer, but the other's node is gone by then.
 */
static void
hv_vss_step(struct hv_vss_softc *sc)
{
	enum hv_vss_who who;

	if (sc->vs_dying)
		return;
	while (sc->vs_step < HV_VSS_WHOS) {
		/* Where one has failed the others need not begin. */
		if (sc->vs_failed && sc->vs_op != HV_VSS_DEV_THAW)
			break;
		who = hv_vss_order(sc->vs_op, sc->vs_step++);
		if (hv_vss_concerned(sc, who)) {
			hv_vss_ask(sc, &sc->vs_party[who]);
			return;
		}
	}
	hv_vss_end(sc);
}

/*
 * What a round of the host's changes at once.  False: it is refused, and what
 * is frozen stays so.
 */
static bool
hv_vss_begin(struct hv_vss_softc *sc)
{

	if (sc->vs_op == HV_VSS_DEV_FREEZE) {
		if (sc->vs_frozen) {
			hv_vss_say(sc, 1, "the host wants to freeze twice");
			return (false);
		}
		sc->vs_broken = false;
	} else if (sc->vs_op == HV_VSS_DEV_THAW) {
		callout_stop(&sc->vs_hold);
		sc->vs_frozen = false;
	}
	return (true);
}

/* Begins rounds until one has to wait, or there is nothing to do. */
void
hv_vss_next(struct hv_vss_softc *sc)
{
	struct hv_ic_msg *im;

	mtx_assert(&sc->vs_mtx, MA_OWNED);
	while (!sc->vs_busy && !sc->vs_dying) {
		im = NULL;
		if (sc->vs_undo) {
			sc->vs_undo = false;
			sc->vs_op = HV_VSS_DEV_THAW;
		} else if ((im = STAILQ_FIRST(&sc->vs_queue)) != NULL) {
			STAILQ_REMOVE_HEAD(&sc->vs_queue, im_link);
			sc->vs_op = hv_vss_dev_op(im);
			if (!hv_vss_begin(sc)) {
				hv_vss_reply(sc, im, HV_IC_S_FAIL);
				continue;
			}
		} else
			return;
		sc->vs_busy = true;
		sc->vs_im = im;
		sc->vs_failed = false;
		sc->vs_step = 0;
		hv_vss_step(sc);
	}
}

/*
 * Has everybody thaw.  The host learns of it from what it waits for: FREEZE, or
 * the THAW to come.
 */
void
hv_vss_undo(struct hv_vss_softc *sc, const char *why)
{

	mtx_assert(&sc->vs_mtx, MA_OWNED);
	if (sc->vs_frozen) {
		sc->vs_frozen = false;
		sc->vs_broken = true;
		sc->vs_auto_thaws++;
		callout_stop(&sc->vs_hold);
		device_printf(sc->vs_ic.ic_dev, "thawed before the host asked "
		    "for it: %s\n", why);
	}
	if (sc->vs_busy && sc->vs_op == HV_VSS_DEV_FREEZE)
		sc->vs_failed = true;
	sc->vs_undo = true;
	hv_vss_next(sc);
}

void
hv_vss_hold_over(void *arg)
{

	hv_vss_undo(arg, "it did not in time");
}

/*
 * The one that was asked said nothing in time.  A request that it has not even
 * read can be taken back, unless that is to thaw, which nobody else may ever
 * ask for again; else it owes an answer, and until then is not asked anything.
 */
void
hv_vss_late(void *arg)
{
	struct hv_vss_softc *sc = arg;
	struct hv_vss_party *vp;

	KASSERT(sc->vs_busy && sc->vs_step > 0, ("hv_vss: nobody was asked"));
	vp = &sc->vs_party[hv_vss_order(sc->vs_op, sc->vs_step - 1)];
	sc->vs_timeouts++;
	sc->vs_failed = true;
	if (sc->vs_op != HV_VSS_DEV_THAW && hv_node_clear(vp->vp_node))
		vp->vp_asked = false;
	else
		vp->vp_late = true;
	hv_vss_say(sc, 1, "/dev/%s: no answer in time",
	    hv_vss_nodes[vp - sc->vs_party].nc_name);
	hv_vss_step(sc);
	hv_vss_next(sc);
}

/* An answer that may be out of date. */
static int
hv_vss_answer(struct hv_vss_softc *sc, struct hv_vss_party *vp,
    const struct hv_vss_dev_msg *vm)
{
	bool late, ok;

	if (!vp->vp_asked || vm->vm_id != vp->vp_id)
		return (ESTALE);
	/* Of a request that is still to be read there is no answer. */
	if (hv_node_clear(vp->vp_node))
		hv_vss_say(sc, 1, "/dev/%s: an answer before the request was "
		    "read", hv_vss_nodes[vp - sc->vs_party].nc_name);
	late = vp->vp_late;
	ok = vm->vm_status == HV_VSS_DEV_OK;
	vp->vp_asked = false;
	vp->vp_late = false;
	if (vp->vp_op != HV_VSS_DEV_CHECK)
		vp->vp_frozen = ok && vp->vp_op == HV_VSS_DEV_FREEZE;
	if (late) {
		if (vp->vp_frozen)
			hv_vss_undo(sc, "a program froze too late");
		return (ESTALE);
	}
	callout_stop(&sc->vs_timer);
	if (!ok) {
		hv_vss_say(sc, 1, "/dev/%s: the program has failed",
		    hv_vss_nodes[vp - sc->vs_party].nc_name);
		sc->vs_failed = true;
	}
	hv_vss_step(sc);
	hv_vss_next(sc);
	return (0);
}

static struct hv_vss_party *
hv_vss_find(struct hv_vss_softc *sc, struct hv_node *hn)
{

	return (&sc->vs_party[sc->vs_party[HV_VSS_APP].vp_node == hn ?
	    HV_VSS_APP : HV_VSS_FS]);
}

static int
hv_vss_node_write(void *arg, struct hv_node *hn, const void *data, size_t len)
{
	struct hv_vss_softc *sc = arg;
	struct hv_vss_party *vp = hv_vss_find(sc, hn);
	struct hv_vss_dev_msg vm;

	if (len != sizeof(vm))
		return (EINVAL);
	memcpy(&vm, data, sizeof(vm));
	if (vm.vm_version != HV_VSS_DEV_VERSION)
		return (EPROTONOSUPPORT);
	if (vm.vm_type == HV_VSS_DEV_REGISTER && !vp->vp_ready) {
		vp->vp_ready = true;
		return (0);
	}
	if (vm.vm_type == HV_VSS_DEV_ANSWER && vp->vp_ready)
		return (hv_vss_answer(sc, vp, &vm));
	return (EINVAL);
}

/* Whatever the program held is let go by now. */
static void
hv_vss_node_closed(void *arg, struct hv_node *hn)
{
	struct hv_vss_softc *sc = arg;
	struct hv_vss_party *vp = hv_vss_find(sc, hn);
	bool awaited, frozen;

	awaited = vp->vp_asked && !vp->vp_late;
	frozen = vp->vp_frozen;
	vp->vp_ready = vp->vp_asked = vp->vp_late = vp->vp_frozen = false;
	if (sc->vs_dying)
		return;
	if (frozen)
		hv_vss_undo(sc, "a program has ended");
	if (awaited) {
		callout_stop(&sc->vs_timer);
		hv_vss_say(sc, 1, "/dev/%s: the program has ended",
		    hv_vss_nodes[vp - sc->vs_party].nc_name);
		sc->vs_failed = true;
		hv_vss_step(sc);
	}
	hv_vss_next(sc);
}

/*
 * All that the host waits for has failed.  What is under way goes on, for
 * nobody.
 */
void
hv_vss_fail(struct hv_vss_softc *sc)
{
	struct hv_ic_msg *im;

	mtx_assert(&sc->vs_mtx, MA_OWNED);
	if (sc->vs_im != NULL) {
		sc->vs_failed = true;
		hv_vss_reply(sc, sc->vs_im, HV_IC_S_FAIL);
		sc->vs_im = NULL;
	}
	while ((im = STAILQ_FIRST(&sc->vs_queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->vs_queue, im_link);
		hv_vss_reply(sc, im, HV_IC_S_FAIL);
	}
}
