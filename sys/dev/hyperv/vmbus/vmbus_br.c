/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sending and receiving one packet in a ring, and the question whether the
 * other side must be told (protocol: vmbus, 7).  See vmbus_brvar.h for what a
 * caller owes.
 *
 * Each side owns one index and keeps it here; of the other side's index the
 * last value that passed the check is kept, so that the shared cache line is
 * touched only when that no longer suffices.  There is one full barrier in a
 * send and one in the end of a receive batch: those between the store of our
 * index and the load of what the other side wrote (7.9).
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>

static __inline bool
vmbus_br_index_ok(uint32_t idx, uint32_t size)
{

	return (idx < size && (idx & (VMBUS_PKT_UNIT - 1)) == 0);
}

void
vmbus_txbr_init(struct vmbus_txbr *tb, struct vmbus_ring_ctl *ctl,
    uint8_t *data, uint32_t size)
{

	memset(tb, 0, sizeof(*tb));
	tb->tb_ctl = ctl;
	tb->tb_data = data;
	tb->tb_size = size;
	ctl->rc_in = ctl->rc_out = 0;
	ctl->rc_pending = 0;
	ctl->rc_feature = VMBUS_RING_FEAT_PENDING;
}

void
vmbus_rxbr_init(struct vmbus_rxbr *rb, struct vmbus_ring_ctl *ctl,
    const uint8_t *data, uint32_t size)
{

	memset(rb, 0, sizeof(*rb));
	rb->rb_ctl = ctl;
	rb->rb_data = data;
	rb->rb_size = size;
	ctl->rc_in = ctl->rc_out = 0;
	ctl->rc_mask = 0;
}

/*
 * Takes over the host's read index.  It can only have moved towards ours:
 * anything else is nonsense.
 */
static int
vmbus_txbr_update(struct vmbus_txbr *tb)
{
	uint32_t out;

	out = atomic_load_acq_32(&tb->tb_ctl->rc_out);
	if (__predict_false(!vmbus_br_index_ok(out, tb->tb_size) ||
	    vmbus_br_used(tb->tb_in, out, tb->tb_size) >
	    vmbus_br_used(tb->tb_in, tb->tb_out, tb->tb_size))) {
		tb->tb_bad = true;
		return (EBADMSG);
	}
	tb->tb_out = out;
	return (0);
}

/*
 * Asks for a signal at more than size bytes of room and looks again.  If
 * several senders wait, the largest packet counts: then there is room for any
 * one of them when the signal comes.
 */
static int
vmbus_txbr_wait(struct vmbus_txbr *tb, uint32_t size)
{
	uint32_t before;
	int error;

	before = tb->tb_pending;
	if (size > before) {
		atomic_store_32(&tb->tb_pending, size);
		tb->tb_ctl->rc_pending = size;
	}
	atomic_thread_fence_seq_cst();
	error = vmbus_txbr_update(tb);
	if (error != 0)
		return (error);
	if (vmbus_txbr_free(tb) <= size)
		return (EAGAIN);
	if (before == 0) {
		/* Nobody else waits; else the wake-up under way clears it. */
		atomic_store_32(&tb->tb_pending, 0);
		tb->tb_ctl->rc_pending = 0;
	}
	return (0);
}

int
vmbus_txbr_reserve_more(struct vmbus_txbr *tb, uint32_t size, uint8_t **pp)
{
	int error;

	if (size > VMBUS_BR_MAXPKT(tb->tb_size))
		return (EINVAL);
	if (tb->tb_bad)
		return (EBADMSG);
	error = vmbus_txbr_update(tb);
	if (error == 0 && vmbus_txbr_free(tb) <= size)
		error = vmbus_txbr_wait(tb, size);
	if (error == 0)
		*pp = tb->tb_data + tb->tb_in;
	return (error);
}

bool
vmbus_txbr_wakeup(struct vmbus_txbr *tb)
{

	if (tb->tb_pending == 0 || tb->tb_bad)
		return (false);
	if (vmbus_txbr_update(tb) != 0)
		return (false);
	if (vmbus_txbr_free(tb) <= tb->tb_pending)
		return (true);
	/* Left set, it would make the host signal at each crossing (7.8). */
	atomic_store_32(&tb->tb_pending, 0);
	tb->tb_ctl->rc_pending = 0;
	return (false);
}

/* Takes over the host's write index, which can only have moved away. */
static int
vmbus_rxbr_update(struct vmbus_rxbr *rb)
{
	uint32_t in;

	in = atomic_load_acq_32(&rb->rb_ctl->rc_in);
	if (in == rb->rb_in)
		return (0);
	if (__predict_false(!vmbus_br_index_ok(in, rb->rb_size) ||
	    vmbus_br_used(in, rb->rb_out, rb->rb_size) <
	    vmbus_br_used(rb->rb_in, rb->rb_out, rb->rb_size))) {
		rb->rb_bad = true;
		return (EBADMSG);
	}
	rb->rb_in = in;
	return (0);
}

static __inline bool
vmbus_rxbr_type_ok(uint16_t type, uint32_t hdrlen)
{

	switch (type) {
	case VMBUS_PKT_TYPE_INBAND:
	case VMBUS_PKT_TYPE_COMP:
		return (true);
	case VMBUS_PKT_TYPE_RXBUF:
		return (hdrlen >= sizeof(struct vmbus_pkt_rxbuf));
	default:
		return (false);
	}
}

HYPERV_HOT int
vmbus_rxbr_peek(struct vmbus_rxbr *rb, struct vmbus_rxpkt *rp)
{
	const volatile struct vmbus_pkt_desc *pd;
	uint32_t avail, hlen, tlen;

	if (__predict_false(rb->rb_bad))
		return (EBADMSG);
	if (rb->rb_pos == rb->rb_in) {
		if (vmbus_rxbr_update(rb) != 0)
			return (EBADMSG);
		if (rb->rb_pos == rb->rb_in)
			return (EAGAIN);
	}
	avail = vmbus_br_used(rb->rb_in, rb->rb_pos, rb->rb_size);
	pd = (const volatile struct vmbus_pkt_desc *)(rb->rb_data +
	    rb->rb_pos);
	if (__predict_false(avail < sizeof(*pd) +
	    sizeof(struct vmbus_pkt_trailer)))
		goto bad;

	/* Each field once: the host may change it the next moment (7.11). */
	rp->rp_type = pd->pd_type;
	rp->rp_flags = pd->pd_flags;
	rp->rp_xid = pd->pd_xid;
	hlen = (uint32_t)pd->pd_hlen << VMBUS_PKT_UNIT_SHIFT;
	tlen = (uint32_t)pd->pd_tlen << VMBUS_PKT_UNIT_SHIFT;
	if (__predict_false(hlen < sizeof(*pd) || tlen < hlen ||
	    tlen + sizeof(struct vmbus_pkt_trailer) > avail))
		goto bad;
	rp->rp_hdrlen = hlen - sizeof(*pd);
	rp->rp_len = tlen - hlen;
	if (__predict_false(!vmbus_rxbr_type_ok(rp->rp_type, rp->rp_hdrlen)))
		goto bad;
	rp->rp_hdr = rb->rb_data + rb->rb_pos + sizeof(*pd);
	rp->rp_data = rb->rb_data + rb->rb_pos + hlen;
	rb->rb_pos = vmbus_br_advance(rb->rb_pos,
	    tlen + sizeof(struct vmbus_pkt_trailer), rb->rb_size);
	return (0);
bad:
	rb->rb_bad = true;
	return (EBADMSG);
}

HYPERV_HOT bool
vmbus_rxbr_release(struct vmbus_rxbr *rb, bool unmask, bool *signal)
{
	uint32_t before, bytes, now, pending;

	*signal = false;
	if (__predict_false(rb->rb_bad))
		return (false);
	bytes = vmbus_rxbr_held(rb);
	if (bytes != 0) {
		rb->rb_out = rb->rb_pos;
		atomic_store_rel_32(&rb->rb_ctl->rc_out, rb->rb_out);
	}
	if (unmask)
		atomic_store_rel_32(&rb->rb_ctl->rc_mask, 0);
	if (bytes != 0 || unmask)
		atomic_thread_fence_seq_cst();
	if (vmbus_rxbr_update(rb) != 0)
		return (false);

	/* 7.8: has this batch crossed what a waiting host asked for? */
	if (bytes != 0 && vmbus_rxbr_host_flow(rb)) {
		pending = rb->rb_ctl->rc_pending;
		now = rb->rb_size - vmbus_br_used(rb->rb_in, rb->rb_out,
		    rb->rb_size);
		before = now - MIN(bytes, now);
		*signal = pending != 0 && before <= pending && now > pending;
	}
	if (rb->rb_in == rb->rb_out)
		return (false);
	if (unmask)
		vmbus_rxbr_mask(rb);
	return (true);
}
