/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A channel's life as class drivers see it: open, close, sub-channels, and
 * the small questions.  Packets: vmbus_chan_io.c; offers: vmbus_offer.c.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/smp.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

struct vmbus_channel *
vmbus_chan_alloc(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch;

	ch = malloc_aligned(sizeof(*ch), __alignof(*ch), M_VMBUS,
	    M_WAITOK | M_ZERO);
	ch->ch_sc = sc;
	TAILQ_INIT(&ch->ch_subs);
	sx_init(&ch->ch_sx, "vmbus channel");
	mtx_init(&ch->ch_txmtx, "vmbus tx", NULL, MTX_DEF);
	callout_init_mtx(&ch->ch_txpoll, &ch->ch_txmtx, 0);
	callout_init(&ch->ch_poller, 1);
	TASK_INIT(&ch->ch_task, 0, vmbus_chan_task, ch);
	return (ch);
}

void
vmbus_chan_free(struct vmbus_channel *ch)
{

	KASSERT(!ch->ch_open, ("%s: channel %u is open", __func__, ch->ch_id));
	callout_drain(&ch->ch_txpoll);
	mtx_destroy(&ch->ch_txmtx);
	sx_destroy(&ch->ch_sx);
	free(ch, M_VMBUS);
}

void
vmbus_chan_stop(struct vmbus_channel *ch)
{

	mtx_lock(&ch->ch_txmtx);
	ch->ch_txok = false;
	mtx_unlock(&ch->ch_txmtx);
}

static int
vmbus_chan_check(const struct vmbus_ch_open_params *op)
{

	if (op->op_txsize < 2 * PAGE_SIZE || op->op_rxsize < 2 * PAGE_SIZE ||
	    (op->op_txsize & PAGE_MASK) != 0 ||
	    (op->op_rxsize & PAGE_MASK) != 0 ||
	    op->op_txsize > UINT32_MAX / 2 || op->op_rxsize > UINT32_MAX / 2 ||
	    op->op_udlen > VMBUS_UDATA_LEN || op->op_callback == NULL ||
	    (op->op_udlen != 0 && op->op_udata == NULL))
		return (EINVAL);
	return (0);
}

/* Allocates both rings and shares them with the host. */
static int
vmbus_chan_share(struct vmbus_channel *ch,
    const struct vmbus_ch_open_params *op)
{
	struct vmbus_brmem *bm = &ch->ch_mem;
	uint8_t *pages;
	int error;

	error = vmbus_brmem_alloc(bm, op->op_txsize, op->op_rxsize);
	if (error != 0)
		return (error);
	vmbus_txbr_init(&ch->ch_tx, bm->bm_txctl, bm->bm_txdata,
	    op->op_txsize - PAGE_SIZE);
	vmbus_rxbr_init(&ch->ch_rx, bm->bm_rxctl, bm->bm_rxdata,
	    op->op_rxsize - PAGE_SIZE);
	error = vmbus_gpadl_connect(ch, bm->bm_pages,
	    op->op_txsize + op->op_rxsize, &ch->ch_gpadl);
	if (error == 0)
		return (0);
	pages = bm->bm_pages;
	vmbus_brmem_free(bm, ch->ch_gpadl != 0);
	if (ch->ch_gpadl != 0)
		vmbus_gpadl_abandon(ch, ch->ch_gpadl, pages);
	ch->ch_gpadl = 0;
	return (error);
}

static void
vmbus_chan_unshare(struct vmbus_channel *ch)
{
	uint8_t *pages = ch->ch_mem.bm_pages;
	bool keep;

	keep = vmbus_gpadl_disconnect(ch, ch->ch_gpadl) != 0;
	vmbus_brmem_free(&ch->ch_mem, keep);
	if (keep)
		vmbus_gpadl_abandon(ch, ch->ch_gpadl, pages);
	ch->ch_gpadl = 0;
}

/* Events reach the channel's task from here on. */
static void
vmbus_chan_map(struct vmbus_channel *ch)
{
	struct vmbus_softc *sc = ch->ch_sc;

	/* Below 2.4 all interrupts come to the first processor (3). */
	ch->ch_opencpu = sc->sc_old_events ? 0 : ch->ch_cpu;
	ch->ch_evtq = sc->sc_pcpu[ch->ch_opencpu].pc_evtq;
	vmbus_synic_use(sc, ch->ch_opencpu, ch->ch_id);
	atomic_store_rel_ptr((volatile uintptr_t *)&sc->sc_chmap[ch->ch_id],
	    (uintptr_t)ch);
}

/*
 * And no longer: out of the map, then no interrupt that still has it, then
 * no task.
 */
static void
vmbus_chan_unmap(struct vmbus_channel *ch)
{
	struct vmbus_softc *sc = ch->ch_sc;

	vmbus_chan_stop(ch);
	callout_drain(&ch->ch_txpoll);
	callout_drain(&ch->ch_poller);
	ch->ch_polled = false;
	ch->ch_running = false;
	atomic_store_rel_ptr((volatile uintptr_t *)&sc->sc_chmap[ch->ch_id],
	    (uintptr_t)NULL);
	vmbus_synic_quiesce(ch->ch_opencpu);
	taskqueue_drain(ch->ch_evtq, &ch->ch_task);
}

/* OPEN and its answer. */
static int
vmbus_chan_ask(struct vmbus_channel *ch,
    const struct vmbus_ch_open_params *op)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_msg_open mo;
	struct vmbus_req rq;
	int error;

	memset(&mo, 0, sizeof(mo));
	mo.op_hdr.mh_type = VMBUS_MSG_OPEN;
	mo.op_chan = ch->ch_id;
	mo.op_gpadl = ch->ch_gpadl;
	mo.op_vp = sc->sc_pcpu[ch->ch_opencpu].pc_vp;
	mo.op_txpages = atop(op->op_txsize);
	if (op->op_udlen != 0)
		memcpy(mo.op_udata, op->op_udata, op->op_udlen);
	VMBUS_LOCK(sc);
	/* New for each opening, so that a late answer fits no later one. */
	mo.op_openid = sc->sc_openid_next++;
	VMBUS_UNLOCK(sc);

	vmbus_req_begin(sc, &rq, VMBUS_MSG_OPEN_RESULT, ch->ch_id,
	    mo.op_openid, ch);
	error = vmbus_msg_send(sc, &mo, sizeof(mo));
	if (error != 0) {
		vmbus_req_cancel(sc, &rq);
		return (EIO);
	}
	error = vmbus_req_wait(sc, &rq);
	if (error == ETIMEDOUT) {
		/* It may open later. */
		vmbus_msg_send_chan(sc, VMBUS_MSG_CLOSE, ch->ch_id);
	} else if (error == 0 && rq.rq_status != 0) {
		device_printf(sc->sc_dev, "channel %u: host refuses to open: "
		    "%#x\n", ch->ch_id, rq.rq_status);
		error = EIO;
	}
	return (error);
}

static void
vmbus_chan_set_open(struct vmbus_channel *ch, bool open)
{
	struct vmbus_softc *sc = ch->ch_sc;

	sx_assert(&ch->ch_sx, SA_XLOCKED);
	ch->ch_open = open;
	VMBUS_LOCK(sc);
	if (open)
		atomic_set_int(&ch->ch_flags, VMBUS_CHF_OPEN);
	else
		atomic_clear_int(&ch->ch_flags, VMBUS_CHF_OPEN);
	VMBUS_UNLOCK(sc);
}

static int
vmbus_chan_open_locked(struct vmbus_channel *ch,
    const struct vmbus_ch_open_params *op)
{
	int error;

	if (ch->ch_open)
		return (EBUSY);
	if (vmbus_ch_is_rescinded(ch))
		return (ENXIO);
	ch->ch_callback = op->op_callback;
	ch->ch_arg = op->op_arg;
	ch->ch_batch = op->op_batch;
	ch->ch_rxbad = false;
	memset(&ch->ch_stats, 0, sizeof(ch->ch_stats));
	error = vmbus_chan_share(ch, op);
	if (error != 0)
		return (error);
	/* The host may signal before it answers (protocol: vmbus, 5.6). */
	vmbus_chan_map(ch);
	error = vmbus_chan_ask(ch, op);
	if (error != 0) {
		vmbus_chan_unmap(ch);
		vmbus_chan_unshare(ch);
		return (error);
	}
	ch->ch_poll_room = !vmbus_rxbr_host_flow(&ch->ch_rx);
	vmbus_chan_set_open(ch, true);
	mtx_lock(&ch->ch_txmtx);
	ch->ch_txok = !vmbus_ch_is_rescinded(ch);
	mtx_unlock(&ch->ch_txmtx);
	vmbus_sysctl_chan_attach(ch);
	ch->ch_running = true;
	/* Events from before the answer are seen now. */
	taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
	return (0);
}

int
vmbus_ch_open(struct vmbus_channel *ch, const struct vmbus_ch_open_params *op)
{
	int error;

	error = vmbus_chan_check(op);
	if (error != 0)
		return (error);
	sx_xlock(&ch->ch_sx);
	error = vmbus_chan_open_locked(ch, op);
	sx_xunlock(&ch->ch_sx);
	return (error);
}

static void
vmbus_chan_close_one(struct vmbus_channel *ch)
{
	struct vmbus_softc *sc = ch->ch_sc;

	sx_xlock(&ch->ch_sx);
	if (ch->ch_open) {
		vmbus_chan_unmap(ch);
		vmbus_sysctl_chan_detach(ch);
		/* No answer: the GPADL's is the one to wait for (8.3). */
		if (!vmbus_ch_is_rescinded(ch))
			vmbus_msg_send_chan(sc, VMBUS_MSG_CLOSE, ch->ch_id);
		vmbus_chan_unshare(ch);
		vmbus_chan_set_open(ch, false);
	}
	sx_xunlock(&ch->ch_sx);
}

/*
 * Closes the sub-channels of a primary that closes, and gives up those that
 * were handed out: the host takes them back now (protocol: vmbus, 8.7).
 */
static void
vmbus_chan_close_subs(struct vmbus_channel *pri)
{
	struct vmbus_softc *sc = pri->ch_sc;
	struct vmbus_channel *sub;

	for (;;) {
		VMBUS_LOCK(sc);
		TAILQ_FOREACH(sub, &pri->ch_subs, ch_link) {
			if ((sub->ch_flags & VMBUS_CHF_STALE) == 0)
				break;
		}
		if (sub != NULL) {
			/* Nobody frees what is held. */
			atomic_set_int(&sub->ch_flags, VMBUS_CHF_HELD |
			    VMBUS_CHF_STALE);
		}
		VMBUS_UNLOCK(sc);
		if (sub == NULL)
			return;
		vmbus_chan_close_one(sub);
		vmbus_subch_put(&sub, 1);
	}
}

int
vmbus_ch_close(struct vmbus_channel *ch)
{

	if (vmbus_ch_is_primary(ch))
		vmbus_chan_close_subs(ch);
	vmbus_chan_close_one(ch);
	return (vmbus_gpadl_lost(ch) ? ETIMEDOUT : 0);
}

void
vmbus_chan_orphan_subs(struct vmbus_channel *ch)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_channel *sub;

	VMBUS_LOCK(sc);
	while ((sub = TAILQ_FIRST(&ch->ch_subs)) != NULL) {
		TAILQ_REMOVE(&ch->ch_subs, sub, ch_link);
		sub->ch_primary = NULL;
	}
	VMBUS_UNLOCK(sc);
}

/* Sub-channels that can be handed out; with sub, those are taken. */
static int
vmbus_subch_count(struct vmbus_channel *pri, struct vmbus_channel **sub,
    int cnt)
{
	struct vmbus_channel *ch;
	int n;

	VMBUS_ASSERT(pri->ch_sc);
	n = 0;
	TAILQ_FOREACH(ch, &pri->ch_subs, ch_link) {
		if (n == cnt)
			break;
		if ((ch->ch_flags & (VMBUS_CHF_STALE | VMBUS_CHF_RESCINDED |
		    VMBUS_CHF_HELD)) != 0)
			continue;
		if (sub != NULL) {
			atomic_set_int(&ch->ch_flags, VMBUS_CHF_HELD);
			sub[n] = ch;
		}
		n++;
	}
	return (n);
}

/* Woken by an offer of a sub-channel, and by a rescind. */
int
vmbus_subch_get(struct vmbus_channel *pri, struct vmbus_channel **sub, int cnt,
    sbintime_t timo)
{
	struct vmbus_softc *sc = pri->ch_sc;
	int n;

	VMBUS_LOCK(sc);
	while (vmbus_subch_count(pri, NULL, cnt) < cnt &&
	    (pri->ch_flags & VMBUS_CHF_RESCINDED) == 0 && timo > 0)
		vmbus_sleep(&pri->ch_subs, &sc->sc_lock, "hvsub", &timo);
	n = vmbus_subch_count(pri, sub, cnt);
	VMBUS_UNLOCK(sc);
	return (n);
}

void
vmbus_subch_put(struct vmbus_channel **sub, int cnt)
{
	struct vmbus_softc *sc;
	int i;

	for (i = 0; i < cnt; i++) {
		sc = sub[i]->ch_sc;
		VMBUS_LOCK(sc);
		atomic_clear_int(&sub[i]->ch_flags, VMBUS_CHF_HELD);
		vmbus_dev_enqueue(sc, sub[i]);
		VMBUS_UNLOCK(sc);
	}
}

int
vmbus_ch_gpadl_connect(struct vmbus_channel *ch, void *va, size_t size,
    uint32_t *gpadl)
{

	return (vmbus_gpadl_connect(ch, va, size, gpadl));
}

int
vmbus_ch_gpadl_disconnect(struct vmbus_channel *ch, uint32_t gpadl)
{

	return (vmbus_gpadl_disconnect(ch, gpadl));
}

/* The task unmasks the ring, or leaves it masked. */
int
vmbus_ch_set_poll(struct vmbus_channel *ch, u_int hz)
{
	int error;

	if (hz > VMBUS_POLL_MAX)
		return (EINVAL);
	error = 0;
	sx_xlock(&ch->ch_sx);
	if (!ch->ch_open)
		error = ENXIO;
	else if (!ch->ch_batch)
		error = EINVAL;
	else {
		callout_drain(&ch->ch_poller);
		ch->ch_polled = hz != 0;
		if (hz != 0) {
			ch->ch_poll_sbt = SBT_1S / hz;
			vmbus_rxbr_mask(&ch->ch_rx);
			callout_reset_sbt(&ch->ch_poller, ch->ch_poll_sbt, 0,
			    vmbus_chan_poller, ch, 0);
		}
		taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
	}
	sx_xunlock(&ch->ch_sx);
	return (error);
}

void
vmbus_ch_set_cpu(struct vmbus_channel *ch, int cpu)
{

	if (cpu >= 0 && cpu <= mp_maxid && !CPU_ABSENT(cpu))
		ch->ch_cpu = cpu;
}

int
vmbus_ch_cpu(const struct vmbus_channel *ch)
{

	return (ch->ch_cpu);
}

uint32_t
vmbus_ch_id(const struct vmbus_channel *ch)
{

	return (ch->ch_id);
}

uint16_t
vmbus_ch_subidx(const struct vmbus_channel *ch)
{

	return (ch->ch_subidx);
}

bool
vmbus_ch_is_rescinded(struct vmbus_channel *ch)
{

	return ((atomic_load_int(&ch->ch_flags) & VMBUS_CHF_RESCINDED) != 0);
}

bool
vmbus_ch_is_primary(const struct vmbus_channel *ch)
{

	return (ch->ch_subidx == 0);
}

const uint8_t *
vmbus_ch_offer_data(const struct vmbus_channel *ch)
{

	return (ch->ch_udata);
}

/* Woken by vmbus_offer_revoke() when the callback has returned. */
void
vmbus_ch_set_rescind(struct vmbus_channel *ch, void (*fn)(void *), void *arg)
{
	struct vmbus_softc *sc = ch->ch_sc;

	VMBUS_LOCK(sc);
	ch->ch_rescind = fn;
	ch->ch_rescind_arg = arg;
	while ((ch->ch_flags & VMBUS_CHF_NOTIFYING) != 0)
		mtx_sleep(&ch->ch_rescind, &sc->sc_lock, 0, "hvrescind", 0);
	VMBUS_UNLOCK(sc);
}
