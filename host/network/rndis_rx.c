/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Frames to the guest: filter, checksums, tag, queue, and the one copy into a
 * slot of the receive buffer.  What the back end delivers in a turn goes into
 * as few packets as it fits in.
 *
 * When the guest holds all slots of a channel, or its ring is full, the back
 * end is asked to wait, a little while: senders nearby then slow down and
 * nothing is lost.  If there is no room by then, frames for that channel are
 * lost, as on a network card, until there is.  protocol: netvsc, 4.2 and 4.4
 */

#include <string.h>

#include "network/nvsp_var.h"

#define	RX_PPIS		5
#define	RX_HEAD_MAX	(sizeof(struct rndis_packet) +			\
			RX_PPIS * (sizeof(struct rndis_ppi) + 4))

_Static_assert(RX_HEAD_MAX <= NVSP_SLOT_HEAD, "the head fits");

/* A frame as the guest gets it: without its tag. */
struct rx_frame {
	struct iovec	 iov[3];
	int		 niov;
	uint32_t	 len;
	bool		 tagged;
	uint16_t	 tci;
	uint32_t	 csum;		/* RNDIS_RXCSUM_* */
	uint32_t	 hash;
	uint32_t	 hash_type;	/* NDIS_HASH_*, 0: none */
	/* Two bytes that differ from those in iov; at 0: none do. */
	uint32_t	 patch_at;
	uint8_t		 patch[2];
};

/* --- What the guest wants --- */

static bool
rx_multicast(const struct hvh_net *na, const uint8_t *dst)
{
	unsigned i;

	if ((na->filter & NDIS_FILTER_ALL_MULTICAST) != 0)
		return (true);
	if ((na->filter & NDIS_FILTER_MULTICAST) == 0)
		return (false);
	for (i = 0; i < na->nmulticast; i++) {
		if (memcmp(na->multicast[i], dst, 6) == 0)
			return (true);
	}
	return (false);
}

static bool
rx_wanted(const struct hvh_net *na, const uint8_t *dst)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };

	if ((na->filter & NDIS_FILTER_PROMISCUOUS) != 0)
		return (true);
	if (memcmp(dst, broadcast, 6) == 0)
		return ((na->filter & NDIS_FILTER_BROADCAST) != 0);
	if ((dst[0] & 1) != 0)
		return (rx_multicast(na, dst));
	return ((na->filter & NDIS_FILTER_DIRECTED) != 0 &&
	    memcmp(dst, na->mac, 6) == 0);
}

/* --- Checksums --- */

static uint32_t
rx_ip_checksum(const struct hvh_net *na, const uint8_t *data,
    const struct frame_headers *fh)
{

	if (fh->ip != 4 || (na->offload.rx4 & NDIS_CSUM4_IP) == 0)
		return (0);
	return (frame_ip_good(data, fh) ? RNDIS_RXCSUM_IP_GOOD :
	    RNDIS_RXCSUM_IP_BAD);
}

static bool
rx_l4_enabled(const struct hvh_net *na, const struct frame_headers *fh)
{

	if (fh->ip == 4)
		return ((na->offload.rx4 & (fh->proto == IP_TCP ?
		    NDIS_CSUM4_TCP : NDIS_CSUM4_UDP)) != 0);
	return ((na->offload.rx6 & (fh->proto == IP_TCP ? NDIS_CSUM6_TCP :
	    NDIS_CSUM6_UDP)) != 0);
}

static uint32_t
rx_l4_checksum(const struct hvh_net *na, const uint8_t *data,
    const struct frame_headers *fh, const struct net_meta *m)
{
	uint32_t at = frame_csum_at(fh), len = fh->end - fh->l4;
	bool good, tcp = fh->proto == IP_TCP;

	if (fh->proto == 0 || !rx_l4_enabled(na, fh))
		return (0);
	if ((m->flags & (NET_NEEDS_CSUM | NET_CSUM_VALID)) != 0) {
		good = true;
	} else {
		/* IPv4 allows UDP without a checksum. */
		if (!tcp && fh->ip == 4 && frame_be16(data + at) == 0)
			return (0);
		good = frame_fold(frame_sum(frame_pseudo(data, fh, len),
		    data + fh->l4, len, false)) == 0xffff;
	}
	if (tcp)
		return (good ? RNDIS_RXCSUM_TCP_GOOD : RNDIS_RXCSUM_TCP_BAD);
	return (good ? RNDIS_RXCSUM_UDP_GOOD : RNDIS_RXCSUM_UDP_BAD);
}

/* A checksum that the back end has left to us. */
static void
rx_finish_checksum(const uint8_t *data, uint32_t len,
    const struct net_meta *m, struct rx_frame *f)
{
	uint32_t at = (uint32_t)m->csum_start + m->csum_offset;
	uint16_t csum;

	csum = (uint16_t)~frame_fold(frame_sum(0, data + m->csum_start,
	    len - m->csum_start, false));
	frame_put16(f->patch, csum == 0 ? 0xffff : csum);
	f->patch_at = at - (f->tagged ? FRAME_TAG : 0);
}

/* --- Into slots --- */

static uint32_t
rx_ppi(uint8_t *p, uint32_t type, uint32_t value)
{
	struct rndis_ppi ppi = {
		.size = sizeof(ppi) + sizeof(value),
		.type = type,
		.offset = sizeof(ppi),
	};

	memcpy(p, &ppi, sizeof(ppi));
	memcpy(p + sizeof(ppi), &value, sizeof(value));
	return (ppi.size);
}

/*
 * The head of a slot.  piece: RNDIS_PACKET_ID_* of a frame in several slots,
 * whose first alone says more; 0: the frame is whole.
 */
static uint32_t
rx_head(struct hvh_net *na, const struct rx_frame *f, uint32_t len,
    uint8_t piece, uint8_t head[RX_HEAD_MAX])
{
	struct rndis_packet_id id = { .version = RNDIS_PACKET_ID_VERSION,
	    .flags = piece, .id = na->packet_id };
	struct rndis_packet rp = {
		.hdr = { RNDIS_PACKET, na->slot_size },
		.data_offset = NVSP_SLOT_HEAD - RNDIS_BASE,
		.data_len = len,
		.ppi_offset = RNDIS_PACKET_BODY,
	};
	uint32_t n = sizeof(rp), value;

	if (piece == 0 || (piece & RNDIS_PACKET_ID_FIRST) != 0) {
		if (f->csum != 0)
			n += rx_ppi(head + n, RNDIS_PPI_CHECKSUM, f->csum);
		if (f->tagged)
			n += rx_ppi(head + n, RNDIS_PPI_VLAN,
			    RNDIS_VLAN_FROM_TCI(f->tci));
		if (f->hash_type != 0) {
			n += rx_ppi(head + n, RNDIS_PPI_HASH_VALUE, f->hash);
			n += rx_ppi(head + n, RNDIS_PPI_HASH_INFO,
			    NDIS_HASH_TOEPLITZ | f->hash_type);
		}
	}
	if (piece != 0) {
		memcpy(&value, &id, sizeof(value));
		n += rx_ppi(head + n, RNDIS_PPI_PACKET_ID, value);
	}
	rp.ppi_len = n - (uint32_t)sizeof(rp);
	if (rp.ppi_len == 0)
		rp.ppi_offset = 0;
	memcpy(head, &rp, sizeof(rp));
	return (n);
}

/* len bytes of a frame from ofs on into a slot of c's. */
static void
rx_slot(struct nvsp_chan *c, const struct rx_frame *f, uint32_t ofs,
    uint32_t len, uint8_t piece)
{
	struct hvh_net *na = c->na;
	struct iovec iov[3];
	uint8_t head[RX_HEAD_MAX];
	uint64_t delay;
	uint32_t at, slot;
	size_t hlen;
	bool twice;
	int i, n;

	slot = nvsp_slot_take(na, false);
	hlen = rx_head(na, f, len, piece, head);
	if (!rndis_fault(na, head, &hlen, &twice, &delay)) {
		nvsp_slot_give(na, slot);
		return;
	}
	nvsp_slot_write(na, slot, 0, head, (uint32_t)hlen);
	n = frame_slice(f->iov, f->niov, ofs, len, iov, 3);
	for (i = 0, at = NVSP_SLOT_HEAD; i < n; i++) {
		nvsp_slot_write(na, slot, at, iov[i].iov_base,
		    (uint32_t)iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	for (i = 0; f->patch_at != 0 && i < 2; i++) {
		at = f->patch_at + (uint32_t)i;
		if (at >= ofs && at - ofs < len)
			nvsp_slot_write(na, slot, NVSP_SLOT_HEAD + at - ofs,
			    &f->patch[i], 1);
	}
	nvsp_batch_add(c, slot, na->slot_size);
}

/* Room for n slots more in the packet that is being gathered. */
static bool
rx_room(struct nvsp_chan *c, uint32_t n)
{
	struct hvh_net *na = c->na;
	uint32_t max = nvsp_batch_max(na);

	if (c->batch.n + n > max && !nvsp_batch_write(c, NVSP_CHANNEL_DATA))
		return (false);
	return (!c->shut && n <= max && n <= na->nfree &&
	    c->held + c->batch.n + n <= nvsp_slot_quota(na));
}

/*
 * A frame into as many slots as it needs, all of them in one packet; there is
 * room for it.
 */
static void
rx_deliver(struct nvsp_chan *c, const struct rx_frame *f)
{
	struct hvh_net *na = c->na;
	uint32_t max = na->mtu, ofs;
	uint8_t piece;

	hvh_chan_carried(c->ch, true);
	na->stats.rx_packets++;
	na->stats.rx_bytes += f->len;
	hvh_stats(na->h)->net_rx_packets++;
	hvh_stats(na->h)->net_rx_bytes += f->len;
	if (f->len <= max) {
		rx_slot(c, f, 0, f->len, 0);
		return;
	}
	na->packet_id++;
	for (ofs = 0; ofs < f->len; ofs += max) {
		piece = RNDIS_PACKET_ID_SUBALLOC;
		if (ofs == 0)
			piece |= RNDIS_PACKET_ID_FIRST;
		if (f->len - ofs <= max)
			piece |= RNDIS_PACKET_ID_LAST;
		rx_slot(c, f, ofs, f->len - ofs < max ? f->len - ofs : max,
		    piece);
	}
}

/* --- Waiting for room --- */

/* May a frame for c wait?  Only so long, and then none until there is room. */
static bool
rx_wait(struct nvsp_chan *c)
{
	struct hvh_net *na = c->na;

	if (c->choked || c->shut)
		return (false);
	if (na->waiting == NULL) {
		na->waiting = c;
		hvh_timer_set(na->h, &na->wait_timer, hvh_now(na->h) +
		    NVSP_RX_WAIT_NS);
	}
	return (true);
}

void
rndis_rx_unwait(struct hvh_net *na)
{

	if (na->waiting == NULL)
		return;
	na->waiting = NULL;
	hvh_timer_clear(na->h, &na->wait_timer);
	net_resume(na->be);
}

void
rndis_rx_timer(void *arg)
{
	struct hvh_net *na = arg;

	if (na->waiting != NULL)
		na->waiting->choked = true;
	rndis_rx_unwait(na);
}

void
rndis_rx_room(struct nvsp_chan *c)
{

	if ((c->na->waiting != c && !c->choked) || c->na->slots == NULL ||
	    !rx_room(c, 1))
		return;
	c->choked = false;
	if (c->na->waiting == c)
		rndis_rx_unwait(c->na);
}

/* --- From the back end --- */

/* The frame's bytes, without the outer tag, which is looked for in them. */
static void
rx_pieces(struct rx_frame *f, const uint8_t *data, uint32_t len)
{

	f->len = len;
	f->niov = 1;
	f->iov[0] = (struct iovec){ (void *)(uintptr_t)data, len };
	f->tagged = len >= FRAME_ETHER + FRAME_TAG &&
	    frame_be16(data + 12) == ETHERTYPE_VLAN;
	if (!f->tagged)
		return;
	f->tci = frame_be16(data + 14);
	f->len -= FRAME_TAG;
	f->iov[0].iov_len = 12;
	f->iov[1] = (struct iovec){ (void *)(uintptr_t)(data + 16),
	    len - 16 };
	f->niov = 2;
}

/* A large frame for a guest that takes none. */
static void
rx_segments(struct nvsp_chan *c, const uint8_t *data, uint32_t len,
    const struct net_meta *m, const struct frame_headers *fh,
    const struct rx_frame *whole)
{
	struct frame_headers sh = *fh;
	struct rx_frame f;
	uint8_t head[FRAME_HEAD];
	uint32_t i, n, ofs, payload = len - fh->payload;
	struct iovec iov[2];

	for (i = ofs = 0; ofs < payload; i++, ofs += n) {
		n = payload - ofs < m->gso_size ? payload - ofs : m->gso_size;
		memcpy(head, data, fh->payload);
		frame_segment(head, fh, i, ofs, n, ofs + n == payload);
		sh.end = fh->payload + n;
		iov[0] = (struct iovec){ head, fh->payload };
		iov[1] = (struct iovec){ (void *)(uintptr_t)(data +
		    fh->payload + ofs), n };
		frame_l4_fill(head, fh->payload, &sh, iov, 2);
		f = *whole;
		rx_pieces(&f, head, fh->payload);
		f.iov[f.niov++] = iov[1];
		f.len += n;
		if (f.len <= c->na->mtu)
			rx_deliver(c, &f);
		else
			c->na->stats.rx_bad++;
	}
}

/* What m says of data can be done; a large frame is TCP. */
static bool
rx_meta_valid(const struct net_meta *m, uint32_t len,
    const struct frame_headers *fh)
{

	if ((m->flags & NET_NEEDS_CSUM) != 0 &&
	    (uint32_t)m->csum_start + m->csum_offset + 2 > len)
		return (false);
	if (m->gso == NET_GSO_NONE)
		return (true);
	return (fh->proto == IP_TCP && fh->payload <= FRAME_HEAD &&
	    fh->ip == (m->gso == NET_GSO_TCP4 ? 4 : 6) && m->gso_size > 0 &&
	    (len - fh->payload) / m->gso_size < NVSP_SEGMENTS);
}

static struct nvsp_chan *
rx_channel(struct hvh_net *na, uint32_t hash)
{
	struct nvsp_chan *c;

	c = na->chans[rss_queue(&na->rss, hash) % NVSP_CHANNELS];
	return (c != NULL && !c->shut ? c : na->chans[0]);
}

/* Slots that a frame takes, cut or not. */
static uint32_t
rx_slots(const struct hvh_net *na, const struct rx_frame *f, uint32_t len,
    const struct net_meta *m, const struct frame_headers *fh, bool cut)
{

	return (cut ? (len - fh->payload + m->gso_size - 1) / m->gso_size :
	    (f->len + na->mtu - 1) / na->mtu);
}

static bool
rx_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct frame_headers fh;
	struct rx_frame f = { 0 };
	struct nvsp_chan *c;
	struct hvh_net *na = arg;
	bool cut, large = m->gso != NET_GSO_NONE;
	uint32_t n;

	if (na->state != NVSP_READY || !na->cable || !rx_wanted(na, data)) {
		na->stats.rx_filtered++;
		return (true);
	}
	frame_parse(data, len, len, large, &fh);
	rx_pieces(&f, data, len);
	if (!rx_meta_valid(m, len, &fh) || (!large && f.len > na->mtu)) {
		na->stats.rx_bad++;
		return (true);
	}
	f.hash = rss_hash(&na->rss, data, &fh, &f.hash_type);
	c = rx_channel(na, f.hash);
	if (c == NULL)
		return (true);
	cut = large && !(fh.ip == 4 ? na->offload.rsc4 : na->offload.rsc6);
	n = rx_slots(na, &f, len, m, &fh, cut);
	if (n > nvsp_batch_max(na)) {
		na->stats.rx_bad++;
		return (true);
	}
	if (!rx_room(c, n)) {
		if (rx_wait(c))
			return (false);
		na->stats.rx_no_buffer++;
		hvh_stats(na->h)->net_rx_lost++;
		return (true);
	}
	f.csum = rx_ip_checksum(na, data, &fh) |
	    rx_l4_checksum(na, data, &fh, m);
	if ((f.csum & (RNDIS_RXCSUM_IP_BAD | RNDIS_RXCSUM_TCP_BAD |
	    RNDIS_RXCSUM_UDP_BAD)) != 0)
		na->stats.csum_bad++;
	if (cut) {
		rx_segments(c, data, len, m, &fh, &f);
		return (true);
	}
	/*
	 * A large one's is worth its time only to a guest that looks at it: to
	 * others it is said to have been right, segment by segment.
	 */
	if ((m->flags & NET_NEEDS_CSUM) != 0 &&
	    (!large || !rx_l4_enabled(na, &fh)))
		rx_finish_checksum(data, len, m, &f);
	rx_deliver(c, &f);
	return (true);
}

static void
rx_input_end(void *arg)
{
	struct hvh_net *na = arg;
	unsigned i;

	for (i = 0; i < na->channels; i++) {
		if (na->chans[i] != NULL && !na->chans[i]->shut)
			nvsp_batch_write(na->chans[i], NVSP_CHANNEL_DATA);
	}
}

/* --- Of the back end besides --- */

static void
rx_writable(void *arg)
{
	struct hvh_net *na = arg;
	unsigned i;

	for (i = 0; i < na->channels; i++) {
		if (na->chans[i] != NULL && na->chans[i]->tx.blocked)
			nvsp_drain(na->chans[i]);
	}
}

const struct net_user nvsp_net_user = {
	.input = rx_input,
	.input_end = rx_input_end,
	.writable = rx_writable,
	.link = nvsp_link_check,
};
