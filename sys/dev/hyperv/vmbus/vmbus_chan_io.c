/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets through a channel: sending, receiving, the task that runs a class
 * driver's callback, and the signal to the host.  The ring itself and the
 * rules of signalling: vmbus_br.c.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* While a host tells of no room (protocol: vmbus, 7.6), look so often. */
#define	VMBUS_TXPOLL_TICKS	(MAX(hz / 1000, 1))

/* Payloads up to so many bytes are copied without a call. */
#define	VMBUS_CHAN_INLINE	(16 * VMBUS_PKT_UNIT)

HYPERV_HOT void
vmbus_ch_signal(const struct vmbus_signal *sg)
{

	if (sg->sg_flag != NULL)
		atomic_set_64(sg->sg_flag, sg->sg_flag_bit);
	if (sg->sg_mnf != NULL)
		atomic_set_32(sg->sg_mnf, sg->sg_mnf_bit);
	else
		hyperv_signal_event(sg->sg_conn);
}

static __inline void
vmbus_chan_due(const struct vmbus_channel *ch, struct vmbus_signal *sg)
{

	sg->sg_flag = ch->ch_txflag;
	sg->sg_flag_bit = ch->ch_txflag_bit;
	sg->sg_mnf = ch->ch_mnf;
	sg->sg_mnf_bit = ch->ch_mnf_bit;
	sg->sg_conn = ch->ch_conn;
	sg->sg_due = true;
}

void
vmbus_chan_signal(struct vmbus_channel *ch)
{
	struct vmbus_signal sg;

	vmbus_chan_due(ch, &sg);
	vmbus_ch_signal(&sg);
}

/* The host wrote what a ring cannot hold: said once, then only closing. */
static void
vmbus_chan_corrupt(struct vmbus_channel *ch, const char *ring, uint32_t in,
    uint32_t out)
{

	ch->ch_stats.cs_corrupt++;
	device_printf(ch->ch_sc->sc_dev, "channel %u: %s ring is corrupt: "
	    "in %u, out %u; channel disabled\n", ch->ch_id, ring, in, out);
}

/*
 * Room for a packet, with the lock held.  ENXIO when the channel takes no
 * packets; the reason was told when it happened.
 */
static __always_inline int
vmbus_chan_reserve(struct vmbus_channel *ch, uint32_t size, uint8_t **pp)
{
	int error;

	mtx_assert(&ch->ch_txmtx, MA_OWNED);
	if (__predict_false(!ch->ch_txok))
		return (ENXIO);
	error = vmbus_txbr_reserve(&ch->ch_tx, size, pp);
	if (__predict_true(error == 0))
		return (0);
	if (error == EAGAIN) {
		ch->ch_stats.cs_tx_full++;
		if (ch->ch_poll_room && !callout_pending(&ch->ch_txpoll))
			callout_reset(&ch->ch_txpoll, VMBUS_TXPOLL_TICKS,
			    vmbus_chan_txpoll, ch);
	} else if (error == EBADMSG) {
		ch->ch_txok = false;
		vmbus_chan_corrupt(ch, "send", ch->ch_tx.tb_in,
		    ch->ch_tx.tb_ctl->rc_out);
		error = ENXIO;
	}
	return (error);
}

/* Shows the packet, drops the lock and signals, or notes that, if need be. */
static __always_inline void
vmbus_chan_commit(struct vmbus_channel *ch, uint32_t size, size_t bytes,
    struct vmbus_signal *sg)
{
	bool signal;

	signal = vmbus_txbr_commit(&ch->ch_tx, size);
	ch->ch_stats.cs_tx_packets++;
	ch->ch_stats.cs_tx_bytes += bytes;
	if (signal)
		ch->ch_stats.cs_tx_signals++;
	else
		ch->ch_stats.cs_tx_saved++;
	mtx_unlock(&ch->ch_txmtx);
	if (!signal)
		return;
	if (sg != NULL)
		vmbus_chan_due(ch, sg);
	else
		vmbus_chan_signal(ch);
}

static __inline void
vmbus_chan_desc(uint8_t *p, uint16_t type, uint16_t flags, uint32_t hlen,
    uint32_t tlen, uint64_t xid)
{
	struct vmbus_pkt_desc *pd = (struct vmbus_pkt_desc *)p;

	pd->pd_type = type;
	pd->pd_hlen = hlen >> VMBUS_PKT_UNIT_SHIFT;
	pd->pd_tlen = tlen >> VMBUS_PKT_UNIT_SHIFT;
	pd->pd_flags = flags;
	pd->pd_xid = xid;
}

/*
 * Payload and zeros up to the next unit.  Most are of a few units: a call costs
 * more than that.
 */
static __inline void
vmbus_chan_payload(uint8_t *p, const void *data, size_t len)
{
	size_t i, rest = len & (VMBUS_PKT_UNIT - 1);

	if (__predict_false(len > VMBUS_CHAN_INLINE || rest != 0)) {
		memcpy(p, data, len);
		if (rest != 0)
			memset(p + len, 0, VMBUS_PKT_UNIT - rest);
		return;
	}
	for (i = 0; i < len; i += VMBUS_PKT_UNIT)
		memcpy(p + i, (const uint8_t *)data + i, VMBUS_PKT_UNIT);
}

/* Descriptor lengths are 16 bits of units. */
#define	VMBUS_PKT_MAXLEN	(UINT16_MAX << VMBUS_PKT_UNIT_SHIFT)

int
vmbus_ch_send_quiet(struct vmbus_channel *ch, uint16_t type, uint16_t flags,
    const void *data, size_t len, uint64_t xid, struct vmbus_signal *sg)
{
	uint32_t hlen = sizeof(struct vmbus_pkt_desc), size, tlen;
	uint8_t *p;
	int error;

	if (__predict_false(len > VMBUS_PKT_MAXLEN - hlen))
		return (EINVAL);
	tlen = roundup2(hlen + len, VMBUS_PKT_UNIT);
	size = vmbus_br_pktsize(tlen);

	mtx_lock(&ch->ch_txmtx);
	error = vmbus_chan_reserve(ch, size, &p);
	if (__predict_false(error != 0)) {
		mtx_unlock(&ch->ch_txmtx);
		return (error);
	}
	vmbus_chan_desc(p, type, flags, hlen, tlen, xid);
	vmbus_chan_payload(p + hlen, data, len);
	vmbus_chan_commit(ch, size, len, sg);
	return (0);
}

int
vmbus_ch_send(struct vmbus_channel *ch, uint16_t type, uint16_t flags,
    const void *data, size_t len, uint64_t xid)
{

	return (vmbus_ch_send_quiet(ch, type, flags, data, len, xid, NULL));
}

/* A GPA-direct packet up to its ranges, which go to *rangep. */
static __always_inline int
vmbus_chan_gpa_begin(struct vmbus_channel *ch, u_int nranges, size_t rangelen,
    size_t len, uint64_t xid, uint8_t **rangep, uint32_t *sizep)
{
	struct vmbus_pkt_gpa *pg;
	uint32_t hlen, tlen;
	uint8_t *p;
	int error;

	if (rangelen > VMBUS_PKT_MAXLEN / 2 || len > VMBUS_PKT_MAXLEN / 2)
		return (EINVAL);
	hlen = sizeof(struct vmbus_pkt_desc) + sizeof(*pg) + rangelen;
	tlen = roundup2(hlen + len, VMBUS_PKT_UNIT);
	*sizep = vmbus_br_pktsize(tlen);
	if (tlen > VMBUS_PKT_MAXLEN)
		return (EINVAL);

	mtx_lock(&ch->ch_txmtx);
	error = vmbus_chan_reserve(ch, *sizep, &p);
	if (error != 0) {
		mtx_unlock(&ch->ch_txmtx);
		return (error);
	}
	vmbus_chan_desc(p, VMBUS_PKT_TYPE_GPA, VMBUS_PKT_FLAG_RC, hlen, tlen,
	    xid);
	pg = (struct vmbus_pkt_gpa *)(p + sizeof(struct vmbus_pkt_desc));
	pg->pg_rsvd = 0;
	pg->pg_cnt = nranges;
	*rangep = (uint8_t *)(pg + 1);
	return (0);
}

HYPERV_HOT int
vmbus_ch_send_prplist(struct vmbus_channel *ch,
    const struct vmbus_gpa_prplist *pl, const void *data, size_t len,
    uint64_t xid, struct vmbus_signal *sg)
{
	struct vmbus_gpa_range *gr;
	uint32_t size;
	size_t pfnlen;
	uint8_t *p;
	int error;

	if (pl->pl_len == 0 || pl->pl_ofs >= PAGE_SIZE || pl->pl_npfn !=
	    howmany((uint64_t)pl->pl_ofs + pl->pl_len, PAGE_SIZE))
		return (EINVAL);
	pfnlen = (size_t)pl->pl_npfn * sizeof(*pl->pl_pfn);
	error = vmbus_chan_gpa_begin(ch, 1, sizeof(*gr) + pfnlen, len, xid, &p,
	    &size);
	if (error != 0)
		return (error);
	gr = (struct vmbus_gpa_range *)p;
	gr->gr_len = pl->pl_len;
	gr->gr_ofs = pl->pl_ofs;
	/* Most are of one page, and a call costs more than that. */
	if (pl->pl_npfn == 1)
		*(uint64_t *)(gr + 1) = pl->pl_pfn[0];
	else
		memcpy(gr + 1, pl->pl_pfn, pfnlen);
	vmbus_chan_payload((uint8_t *)(gr + 1) + pfnlen, data, len);
	vmbus_chan_commit(ch, size, len, sg);
	return (0);
}

int
vmbus_ch_send_sglist(struct vmbus_channel *ch, const struct vmbus_gpa_seg *seg,
    u_int nseg, const void *data, size_t len, uint64_t xid,
    struct vmbus_signal *sg)
{
	struct vmbus_gpa_range *gr;
	uint32_t size;
	uint8_t *p;
	u_int i;
	int error;

	if (nseg == 0 || nseg > UINT16_MAX)
		return (EINVAL);
	for (i = 0; i < nseg; i++) {
		if (seg[i].gs_len == 0 || seg[i].gs_len > PAGE_SIZE ||
		    seg[i].gs_ofs > PAGE_SIZE - seg[i].gs_len)
			return (EINVAL);
	}
	error = vmbus_chan_gpa_begin(ch, nseg,
	    (size_t)nseg * (sizeof(*gr) + sizeof(seg->gs_pfn)), len, xid, &p,
	    &size);
	if (error != 0)
		return (error);
	for (i = 0; i < nseg; i++) {
		gr = (struct vmbus_gpa_range *)p;
		gr->gr_len = seg[i].gs_len;
		gr->gr_ofs = seg[i].gs_ofs;
		memcpy(gr + 1, &seg[i].gs_pfn, sizeof(seg[i].gs_pfn));
		p += sizeof(*gr) + sizeof(seg[i].gs_pfn);
	}
	vmbus_chan_payload(p, data, len);
	vmbus_chan_commit(ch, size, len, sg);
	return (0);
}

/* Gives room back and tells a host that waits for it. */
static bool
vmbus_chan_give_back(struct vmbus_channel *ch, bool unmask)
{
	bool more, signal;

	more = vmbus_rxbr_release(&ch->ch_rx, unmask, &signal);
	if (signal) {
		ch->ch_stats.cs_rx_signals++;
		vmbus_chan_signal(ch);
	}
	return (more);
}

HYPERV_HOT int
vmbus_ch_peek(struct vmbus_channel *ch, struct vmbus_rxpkt *rp)
{
	int error;

	if (__predict_false(!ch->ch_open))
		return (ENXIO);
	error = vmbus_rxbr_peek(&ch->ch_rx, rp);
	if (__predict_true(error == 0)) {
		ch->ch_stats.cs_rx_packets++;
		ch->ch_stats.cs_rx_bytes += rp->rp_len;
	} else if (error == EBADMSG && !ch->ch_rxbad) {
		ch->ch_rxbad = true;
		vmbus_chan_stop(ch);
		vmbus_chan_corrupt(ch, "receive", ch->ch_rx.rb_ctl->rc_in,
		    ch->ch_rx.rb_pos);
	}
	return (error);
}

/*
 * Room goes back at a quarter of the ring, and with what is left when the
 * callback returns: a barrier a packet would cost more than the copy.
 */
int
vmbus_ch_recv(struct vmbus_channel *ch, struct vmbus_rxpkt *rp, void *buf,
    size_t len)
{
	int error;

	error = vmbus_ch_peek(ch, rp);
	if (__predict_false(error != 0))
		return (error);
	memcpy(buf, rp->rp_data, MIN(len, rp->rp_len));
	rp->rp_hdr = rp->rp_data = NULL;
	if (vmbus_rxbr_held(&ch->ch_rx) >= ch->ch_rx.rb_size / 4)
		vmbus_chan_give_back(ch, false);
	return (0);
}

HYPERV_HOT void
vmbus_ch_release(struct vmbus_channel *ch)
{

	if (ch->ch_open && vmbus_rxbr_held(&ch->ch_rx) != 0)
		vmbus_chan_give_back(ch, false);
}

/*
 * Has the room come that a sender waits for?  Without a host that tells, the
 * callout asks again.
 */
static void
vmbus_chan_txwakeup(struct vmbus_channel *ch)
{

	/* A sender that begins to wait right now looks for room itself. */
	if (atomic_load_32(&ch->ch_tx.tb_pending) == 0)
		return;
	mtx_lock(&ch->ch_txmtx);
	if (vmbus_txbr_wakeup(&ch->ch_tx) && ch->ch_poll_room && ch->ch_txok)
		callout_reset(&ch->ch_txpoll, VMBUS_TXPOLL_TICKS,
		    vmbus_chan_txpoll, ch);
	mtx_unlock(&ch->ch_txmtx);
}

void
vmbus_chan_txpoll(void *arg)
{
	struct vmbus_channel *ch = arg;

	taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
}

/* Time to look, without a word of the host. */
void
vmbus_chan_poller(void *arg)
{
	struct vmbus_channel *ch = arg;

	taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
	callout_reset_sbt(&ch->ch_poller, ch->ch_poll_sbt, 0,
	    vmbus_chan_poller, ch, 0);
}

/*
 * Runs the callback for the event's channel.  With data left, because more
 * came in or the callback stopped early, it runs again after the others: the
 * host will not signal for what it has put there already (7.7).
 */
HYPERV_HOT void
vmbus_chan_task(void *arg, int pending __unused)
{
	struct vmbus_channel *ch = arg;
	bool again;

	if (!ch->ch_running)
		return;
	vmbus_chan_txwakeup(ch);
	ch->ch_callback(ch, ch->ch_arg);
	again = vmbus_chan_give_back(ch, ch->ch_batch && !ch->ch_polled);
	/* Noticed just now that the ring is bad: the driver is to know. */
	again = again || (ch->ch_rx.rb_bad && !ch->ch_rxbad);
	if (again && ch->ch_running)
		taskqueue_enqueue(ch->ch_evtq, &ch->ch_task);
}

void
vmbus_ch_poll(struct vmbus_channel *ch)
{

	if (!ch->ch_open)
		return;
	/* A processor stopped after a packet may not have told the host. */
	vmbus_chan_signal(ch);
	vmbus_chan_txwakeup(ch);
	ch->ch_callback(ch, ch->ch_arg);
	vmbus_chan_give_back(ch, false);
}
