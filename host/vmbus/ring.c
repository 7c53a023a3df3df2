/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The ring, host side.  See ring.h for the rules, protocol: vmbus, 7 for the
 * layout and the order of stores.
 */

#include <errno.h>
#include <string.h>

#include "vmbus/ring.h"

#define	PAGE	4096u

static inline uint32_t
ctl_read(uint32_t *word)
{

	return (__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static inline void
full_barrier(void)
{

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline bool
index_good(const struct hvh_ring *r, uint32_t idx)
{

	return (idx < r->r_size && (idx & 7) == 0);
}

/* Bytes from one index up to another, going round. */
static inline uint32_t
distance(const struct hvh_ring *r, uint32_t from, uint32_t to)
{

	return (to >= from ? to - from : to + r->r_size - from);
}

static inline uint32_t
advance(const struct hvh_ring *r, uint32_t pos, uint32_t by)
{

	pos += by;
	return (pos >= r->r_size ? pos - r->r_size : pos);
}

/* The longest piece of len bytes at pos that is contiguous here. */
static inline uint8_t *
piece(const struct hvh_ring *r, uint32_t pos, uint32_t len, uint32_t *got)
{
	uint32_t n;

	n = r->r_flat != NULL ? r->r_size - pos : PAGE - pos % PAGE;
	*got = len < n ? len : n;
	return (r->r_flat != NULL ? r->r_flat + pos :
	    r->r_pages[pos / PAGE] + pos % PAGE);
}

static void
copy_out(const struct hvh_ring *r, uint32_t pos, void *buf, uint32_t len)
{
	uint8_t *to = buf;
	uint32_t n;

	while (len > 0) {
		const uint8_t *from = piece(r, pos, len, &n);

		memcpy(to, from, n);
		to += n;
		len -= n;
		pos = advance(r, pos, n);
	}
}

static uint32_t
copy_in(const struct hvh_ring *r, uint32_t pos, const void *buf, uint32_t len)
{
	const uint8_t *from = buf;
	uint32_t n;

	while (len > 0) {
		uint8_t *to = piece(r, pos, len, &n);

		memcpy(to, from, n);
		from += n;
		len -= n;
		pos = advance(r, pos, n);
	}
	return (pos);
}

static int
ring_init(struct hvh_ring *r, uint8_t *const *pages, uint32_t npages)
{

	if (npages < 2 || npages - 1 > UINT32_MAX / 2 / PAGE)
		return (EINVAL);
	memset(r, 0, sizeof(*r));
	r->r_ctl = (struct vms_ring_ctl *)pages[0];
	r->r_pages = pages + 1;
	r->r_size = (npages - 1) * PAGE;
	r->r_flat = pages[1];
	for (uint32_t i = 2; i < npages; i++) {
		if (pages[i] != pages[1] + (size_t)(i - 1) * PAGE) {
			r->r_flat = NULL;
			break;
		}
	}
	return (0);
}

int
hvr_init_reader(struct hvh_ring *r, uint8_t *const *pages, uint32_t npages)
{

	if (ring_init(r, pages, npages) != 0)
		return (EINVAL);
	r->r_pos = r->r_shown = ctl_read(&r->r_ctl->rc_out);
	r->r_peer = r->r_pos;
	return (index_good(r, r->r_pos) ? 0 : EINVAL);
}

int
hvr_init_writer(struct hvh_ring *r, uint8_t *const *pages, uint32_t npages)
{

	if (ring_init(r, pages, npages) != 0)
		return (EINVAL);
	r->r_pos = r->r_shown = ctl_read(&r->r_ctl->rc_in);
	r->r_peer = ctl_read(&r->r_ctl->rc_out);
	if (!index_good(r, r->r_pos) || !index_good(r, r->r_peer))
		return (EINVAL);
	/* The word is the host's, whatever the guest left there (7.6). */
	__atomic_store_n(&r->r_ctl->rc_features, VMS_RING_FEATURE_PENDING,
	    __ATOMIC_RELAXED);
	__atomic_store_n(&r->r_ctl->rc_pending, 0, __ATOMIC_RELEASE);
	return (0);
}

static enum hvr_result
corrupt(struct hvh_ring *r, enum hvr_corrupt why)
{

	if (r->r_corrupt == HVR_OK)
		r->r_corrupt = why;
	return (HVR_CORRUPT);
}

enum hvr_result
hvr_peek(struct hvh_ring *r, struct vms_pkt *desc, uint32_t *bytes)
{
	uint32_t in, len, used;

	if (r->r_corrupt != HVR_OK)
		return (HVR_CORRUPT);
	used = distance(r, r->r_pos, r->r_peer);
	if (used == 0) {
		in = ctl_read(&r->r_ctl->rc_in);
		if (!index_good(r, in))
			return (corrupt(r, HVR_BAD_INDEX));
		r->r_peer = in;
		used = distance(r, r->r_pos, in);
		if (used == 0)
			return (HVR_EMPTY);
	}
	if (used < sizeof(*desc) + VMS_PKT_TRAILER)
		return (corrupt(r, HVR_BAD_LENGTH));
	copy_out(r, r->r_pos, desc, sizeof(*desc));
	len = desc->vp_len * 8u;
	if (desc->vp_offset < 2 || desc->vp_offset > desc->vp_len ||
	    len + VMS_PKT_TRAILER > used)
		return (corrupt(r, HVR_BAD_LENGTH));
	if ((desc->vp_type != VMS_PKT_INBAND &&
	    desc->vp_type != VMS_PKT_GPADIRECT &&
	    desc->vp_type != VMS_PKT_COMPLETION) ||
	    (desc->vp_flags & ~VMS_PKT_FLAG_COMPLETION) != 0)
		return (corrupt(r, HVR_BAD_TYPE));
	*bytes = len;
	return (HVR_PACKET);
}

void
hvr_take(struct hvh_ring *r, const struct vms_pkt *desc, void *buf,
    uint32_t bytes)
{

	memcpy(buf, desc, sizeof(*desc));
	copy_out(r, advance(r, r->r_pos, sizeof(*desc)),
	    (uint8_t *)buf + sizeof(*desc), bytes - sizeof(*desc));
	r->r_pos = advance(r, r->r_pos, bytes + VMS_PKT_TRAILER);
}

bool
hvr_release(struct hvh_ring *r)
{
	uint32_t freed, free_now, in, p;

	freed = distance(r, r->r_shown, r->r_pos);
	if (freed == 0)
		return (false);
	r->r_shown = r->r_pos;
	__atomic_store_n(&r->r_ctl->rc_out, r->r_pos, __ATOMIC_RELEASE);
	full_barrier();
	p = ctl_read(&r->r_ctl->rc_pending);
	if (p == 0)
		return (false);
	/*
	 * Some peers store ring size - 1 for "completely empty"; with the
	 * low bits cleared that is reached by the last byte but 8 (7.8).
	 */
	p &= ~7u;
	if (p > r->r_size)
		return (false);		/* never reached, by its own fault */
	in = ctl_read(&r->r_ctl->rc_in);
	if (!index_good(r, in)) {
		corrupt(r, HVR_BAD_INDEX);
		return (false);
	}
	free_now = r->r_size - distance(r, r->r_pos, in);
	if (free_now < 8 + p)
		return (false);
	return (free_now < freed || free_now - freed < 8 + p);
}

void
hvr_mask(struct hvh_ring *r)
{

	__atomic_store_n(&r->r_ctl->rc_mask, 1, __ATOMIC_RELAXED);
}

bool
hvr_unmask(struct hvh_ring *r)
{

	__atomic_store_n(&r->r_ctl->rc_mask, 0, __ATOMIC_RELAXED);
	full_barrier();
	if (!hvr_pending(r))
		return (true);
	hvr_mask(r);
	return (false);
}

bool
hvr_pending(struct hvh_ring *r)
{

	return (ctl_read(&r->r_ctl->rc_in) != r->r_pos);
}

bool
hvr_room(struct hvh_ring *r, uint32_t need)
{
	uint32_t out;

	/* Full is not empty: 8 bytes stay free. */
	if (r->r_corrupt != HVR_OK || need > r->r_size - 8)
		return (false);
	if (r->r_size - distance(r, r->r_peer, r->r_pos) > need)
		return (true);
	out = ctl_read(&r->r_ctl->rc_out);
	if (!index_good(r, out) || distance(r, out, r->r_shown) >
	    distance(r, r->r_peer, r->r_shown)) {
		/* Beyond what was shown, or backwards. */
		corrupt(r, HVR_BAD_INDEX);
		return (false);
	}
	r->r_peer = out;
	return (r->r_size - distance(r, out, r->r_pos) > need);
}

bool
hvr_put(struct hvh_ring *r, const struct vms_pkt *desc, const void *hdr,
    uint32_t hdrlen, const void *data, uint32_t len)
{
	static const uint8_t zeros[8];
	uint64_t trailer;
	uint32_t pos;

	if (!hvr_room(r, hvr_need(hdrlen, len)))
		return (false);
	pos = copy_in(r, r->r_pos, desc, sizeof(*desc));
	pos = copy_in(r, pos, hdr, hdrlen);
	pos = copy_in(r, pos, data, len);
	pos = copy_in(r, pos, zeros, -(hdrlen + len) & 7);
	trailer = (uint64_t)r->r_pos << 32;
	r->r_pos = copy_in(r, pos, &trailer, sizeof(trailer));
	return (true);
}

uint32_t
hvr_unshown(const struct hvh_ring *r)
{

	return (distance(r, r->r_shown, r->r_pos));
}

bool
hvr_show(struct hvh_ring *r)
{
	uint32_t old = r->r_shown;

	if (old == r->r_pos)
		return (false);
	r->r_shown = r->r_pos;
	__atomic_store_n(&r->r_ctl->rc_in, r->r_pos, __ATOMIC_RELEASE);
	full_barrier();
	if (ctl_read(&r->r_ctl->rc_mask) != 0)
		return (false);
	return (ctl_read(&r->r_ctl->rc_out) == old);
}

bool
hvr_wait_room(struct hvh_ring *r, uint32_t need)
{

	__atomic_store_n(&r->r_ctl->rc_pending, need, __ATOMIC_RELAXED);
	full_barrier();
	if (!hvr_room(r, need))
		return (false);
	hvr_wait_done(r);
	return (true);
}

void
hvr_wait_done(struct hvh_ring *r)
{

	__atomic_store_n(&r->r_ctl->rc_pending, 0, __ATOMIC_RELAXED);
}
