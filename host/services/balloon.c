/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory: the guest says each second how much memory it needs, and
 * gives pages up or gets them back until what it has is what the host wants.
 * No locks: all of it runs in hvh_pump() or with the pump lock held.
 *
 * A guest that closes the channel, or is reset, has all of its memory again:
 * nobody else knows what was out.  protocol: utilities, 9
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvballoon.h"
#include "services/balloon_pages.h"
#include "services/balloon_reg.h"

#define	PKT_INBAND	6
#define	OFFER_INTERFACE	0x0001

#define	PAGE_SHIFT	12
#define	SECOND		1000000000ull
/* Since the guest's last message about an order. */
#define	ORDER_LIMIT	(30 * SECOND)

/* Newest first. */
static const uint32_t balloon_versions[] = { 0x20000, 0x10000, 0x00003 };
#define	NVERSIONS	(sizeof(balloon_versions) / sizeof(uint32_t))

enum balloon_order {
	ORDER_NONE,
	ORDER_TAKE,	/* not sent yet */
	ORDER_TAKING,
	ORDER_GIVE,	/* there is more to be sent */
	ORDER_GIVING,
	ORDER_NOTHING	/* nothing was to be done */
};

struct hvh_balloon {
	struct hvh	*h;
	struct hvh_chan	*chan;		/* the offer, NULL: gone */
	struct hvh_balloon_params params;
	struct balloon_pages *pages;
	bool		 can_balloon;
	uint32_t	 xid;

	enum balloon_order order;
	uint64_t	 left;		/* pages of it */
	struct hvh_timer timer;
	void		(*progress)(void *arg, uint64_t bytes);
	hvh_balloon_done *done;
	void		*arg;

	struct hvh_balloon_info info;	/* but for sizes */
	bool		 grumbled;	/* since it was opened */
	bool		 removed;	/* the owner has given it up */
	struct hvh_husk	 husk;
};

static void
balloon_grumble(struct hvh_balloon *b, const char *what)
{

	b->info.bad++;
	if (b->grumbled)
		return;
	b->grumbled = true;
	hvh_log(b->h, HVH_LOG_WARN, "memory: the guest sent %s", what);
}

static uint64_t
balloon_assigned(const struct hvh_balloon *b)
{

	return ((balloon_pages_total(b->pages) - balloon_pages_out(b->pages))
	    << PAGE_SHIFT);
}

/* EAGAIN: no room. */
static int
balloon_send(struct hvh_balloon *b, struct balloon_header *bh, uint16_t type,
    size_t len)
{

	bh->bh_type = type;
	bh->bh_size = (uint16_t)len;
	bh->bh_xid = ++b->xid;
	return (hvh_chan_write(b->chan, PKT_INBAND, 0, 0, bh, (uint32_t)len));
}

/* --- Pages. --- */

static void
balloon_tell(struct hvh_balloon *b, void (*fn)(void *arg, uint64_t gpa,
    uint64_t len), const struct balloon_run *r)
{

	if (fn != NULL)
		fn(b->params.arg, r->page << PAGE_SHIFT,
		    r->pages << PAGE_SHIFT);
}

/* Returns how many pages of it were taken. */
static uint64_t
balloon_take_range(struct hvh_balloon *b, uint64_t range)
{
	uint64_t page = range & ((1ull << BALLOON_RANGE_SHIFT) - 1);
	uint64_t left = range >> BALLOON_RANGE_SHIFT, taken = 0;
	struct balloon_run r;

	while (left > 0) {
		r.page = page;
		r.pages = left;
		balloon_pages_take(b->pages, &r);
		if (r.pages == 0) {
			b->info.bad_ranges++;
			balloon_grumble(b, "pages that it does not have");
			break;
		}
		balloon_tell(b, b->params.taken, &r);
		taken += r.pages;
		page += r.pages;
		left -= r.pages;
	}
	return (taken);
}

static void
balloon_give_all(struct hvh_balloon *b)
{
	struct balloon_run r;

	while (balloon_pages_give(b->pages, UINT64_MAX, &r))
		balloon_tell(b, b->params.given, &r);
}

/* --- Orders. --- */

static void
balloon_end(struct hvh_balloon *b, int error)
{
	hvh_balloon_done *done = b->done;

	if (b->order == ORDER_NONE)
		return;
	b->order = ORDER_NONE;
	b->left = 0;
	hvh_timer_clear(b->h, &b->timer);
	if (done != NULL)
		done(b->arg, error, balloon_assigned(b));
}

static void
balloon_moved(struct hvh_balloon *b)
{

	hvh_timer_set(b->h, &b->timer, hvh_now(b->h) + ORDER_LIMIT);
	if (b->progress != NULL)
		b->progress(b->arg, balloon_assigned(b));
}

static void
balloon_late(void *arg)
{
	struct hvh_balloon *b = arg;

	if (b->order == ORDER_NOTHING) {
		balloon_end(b, 0);
		return;
	}
	b->info.timeouts++;
	balloon_end(b, ETIMEDOUT);
}

static void
balloon_send_take(struct hvh_balloon *b)
{
	struct balloon_take m = { .bt_pages = b->left > UINT32_MAX ?
	    UINT32_MAX : (uint32_t)b->left };

	if (balloon_send(b, &m.bt_header, BALLOON_TAKE, sizeof(m)) != 0)
		return;
	b->order = ORDER_TAKING;
	b->info.takes++;
}

/* A message of pages that are the guest's again; false: no room. */
static bool
balloon_send_give(struct hvh_balloon *b)
{
	_Alignas(8) uint8_t msg[BALLOON_MESSAGE_MAX];
	struct balloon_give *m = (struct balloon_give *)msg;
	struct balloon_run r;
	uint64_t max, range;
	uint32_t n = 0;

	if (!hvh_chan_room(b->chan, sizeof(msg)))
		return (false);
	memset(m, 0, sizeof(*m));
	while (n < BALLOON_RANGES_MAX) {
		max = b->left < BALLOON_RANGE_PAGES ? b->left :
		    BALLOON_RANGE_PAGES;
		if (!balloon_pages_give(b->pages, max, &r))
			break;
		balloon_tell(b, b->params.given, &r);
		range = r.pages << BALLOON_RANGE_SHIFT | r.page;
		memcpy(msg + sizeof(*m) + n * sizeof(range), &range,
		    sizeof(range));
		n++;
		b->left -= r.pages;
	}
	m->bg_flags = b->left > 0 ? BALLOON_MORE : 0;
	m->bg_ranges = n;
	/* There is room, so it fails with a ring that is no more. */
	(void)balloon_send(b, &m->bg_header, BALLOON_GIVE, sizeof(*m) +
	    n * sizeof(range));
	return (true);
}

static void
balloon_run(struct hvh_balloon *b)
{

	if (b->chan == NULL || !hvh_chan_is_open(b->chan))
		return;
	if (b->order == ORDER_TAKE)
		balloon_send_take(b);
	while (b->order == ORDER_GIVE && balloon_send_give(b)) {
		balloon_moved(b);
		if (b->left == 0) {
			b->order = ORDER_GIVING;
			b->info.gives++;
		}
	}
}

int
hvh_balloon_set(struct hvh_balloon *b, uint64_t bytes,
    void (*progress)(void *arg, uint64_t bytes), hvh_balloon_done *done,
    void *arg)
{
	uint64_t pages = bytes >> PAGE_SHIFT, now;
	int error = 0;

	hvh_lock(b->h);
	now = balloon_assigned(b) >> PAGE_SHIFT;
	if (pages == 0 || pages > balloon_pages_total(b->pages))
		error = EINVAL;
	else if (b->info.state == HVH_IC_GONE)
		error = ENODEV;
	else if (b->info.state != HVH_IC_READY)
		error = ENOTCONN;
	else if (!b->can_balloon)
		error = ENOTSUP;
	else if (b->order != ORDER_NONE)
		error = EBUSY;
	if (error != 0) {
		hvh_unlock_quiet(b->h);
		return (error);
	}
	b->order = pages < now ? ORDER_TAKE : pages > now ? ORDER_GIVE :
	    ORDER_NOTHING;
	b->left = pages < now ? now - pages : pages - now;
	b->progress = progress;
	b->done = done;
	b->arg = arg;
	hvh_timer_set(b->h, &b->timer, hvh_now(b->h) +
	    (b->order == ORDER_NOTHING ? 0 : ORDER_LIMIT));
	balloon_run(b);
	hvh_unlock(b->h);
	return (0);
}

/* --- What the guest says. --- */

static void
balloon_version(struct hvh_balloon *b, const void *data)
{
	struct balloon_answer a = { 0 };
	struct balloon_version m;

	memcpy(&m, data, sizeof(m));
	if (b->info.state != HVH_IC_NEGOTIATING) {
		balloon_grumble(b, "a version when it is too late");
		return;
	}
	for (unsigned i = 0; i < NVERSIONS; i++) {
		if (balloon_versions[i] == m.bv_version &&
		    m.bv_version <= b->params.max_version)
			a.ba_flags = BALLOON_ACCEPTED;
	}
	if (a.ba_flags != 0)
		b->info.version = m.bv_version;
	else if ((m.bv_flags & 1) != 0)
		b->info.state = HVH_IC_REFUSED;
	(void)balloon_send(b, &a.ba_header, BALLOON_VERSION_ANSWER,
	    sizeof(a));
}

/* So that nobody's arithmetic on bytes goes astray. */
static uint64_t
told(uint64_t pages)
{

	return (pages < INT64_MAX >> PAGE_SHIFT ? pages :
	    INT64_MAX >> PAGE_SHIFT);
}

static void
balloon_capabilities(struct hvh_balloon *b, const void *data)
{
	struct balloon_answer a = { .ba_flags = BALLOON_ACCEPTED };
	struct balloon_capabilities m;

	memcpy(&m, data, sizeof(m));
	if (b->info.state != HVH_IC_NEGOTIATING || b->info.version == 0) {
		balloon_grumble(b, "capabilities before a version, or twice");
		return;
	}
	b->can_balloon = (m.bc_flags & BALLOON_CAN_BALLOON) != 0;
	b->info.can_add = (m.bc_flags & BALLOON_CAN_ADD) != 0;
	b->info.min_pages = told(m.bc_min_pages);
	b->info.state = HVH_IC_READY;
	(void)balloon_send(b, &a.ba_header, BALLOON_CAPABILITIES_ANSWER,
	    sizeof(a));
	hvh_log(b->h, HVH_LOG_DEBUG, "memory: version %u.%u",
	    b->info.version >> 16, b->info.version & 0xffff);
}

static void
balloon_status(struct hvh_balloon *b, const void *data)
{
	uint64_t out = balloon_pages_out(b->pages);
	struct balloon_status m;

	memcpy(&m, data, sizeof(m));
	b->info.reports++;
	b->info.reported = hvh_now(b->h);
	b->info.available = told(m.bs_available);
	b->info.committed = told(m.bs_committed);
	b->info.demand = b->info.committed > out ? b->info.committed - out : 0;
}

/*
 * Pages that come late, or are more than was ordered, are out all the same:
 * the guest will not touch them.
 */
static void
balloon_taken(struct hvh_balloon *b, const uint8_t *data, uint32_t len)
{
	struct balloon_taken m;
	uint64_t range, taken = 0;
	uint32_t n;

	memcpy(&m, data, sizeof(m));
	n = m.bn_ranges >> 1;
	if (n > (len - sizeof(m)) / sizeof(range)) {
		balloon_grumble(b, "fewer ranges than it says");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&range, data + sizeof(m) + i * sizeof(range),
		    sizeof(range));
		taken += balloon_take_range(b, range);
	}
	if (b->order != ORDER_TAKING) {
		b->info.stale++;
		return;
	}
	b->left -= taken < b->left ? taken : b->left;
	if ((m.bn_ranges & BALLOON_MORE) != 0) {
		/* One that gives nothing is no sign of life. */
		if (taken > 0)
			balloon_moved(b);
		return;
	}
	b->info.refused += b->left > 0;
	balloon_end(b, 0);
}

static void
balloon_given(struct hvh_balloon *b)
{

	if (b->order == ORDER_GIVING)
		balloon_end(b, 0);
	else
		b->info.stale++;
}

static uint32_t
balloon_min_len(uint16_t type)
{

	switch (type) {
	case BALLOON_VERSION:
		return (sizeof(struct balloon_version));
	case BALLOON_CAPABILITIES:
		return (sizeof(struct balloon_capabilities));
	case BALLOON_STATUS:
		return (sizeof(struct balloon_status));
	case BALLOON_TAKEN:
		return (sizeof(struct balloon_taken));
	default:
		return (sizeof(struct balloon_header));
	}
}

static void
balloon_message(struct hvh_balloon *b, const struct balloon_header *bh,
    const uint8_t *data)
{

	if (bh->bh_type == BALLOON_VERSION)
		balloon_version(b, data);
	else if (bh->bh_type == BALLOON_CAPABILITIES)
		balloon_capabilities(b, data);
	else if (b->info.state != HVH_IC_READY)
		balloon_grumble(b, "a message before its capabilities");
	else if (bh->bh_type == BALLOON_STATUS)
		balloon_status(b, data);
	else if (bh->bh_type == BALLOON_TAKEN)
		balloon_taken(b, data, bh->bh_size);
	else if (bh->bh_type == BALLOON_GIVEN)
		balloon_given(b);
	else
		balloon_grumble(b, "a message that no guest sends");
}

static void
balloon_packet(struct hvh_balloon *b, const struct hvh_pkt *pkt)
{
	struct balloon_header bh;

	if (pkt->type != PKT_INBAND || pkt->wants_completion ||
	    pkt->len < sizeof(bh)) {
		balloon_grumble(b, "a packet that is no message");
		return;
	}
	memcpy(&bh, pkt->data, sizeof(bh));
	if (bh.bh_size < balloon_min_len(bh.bh_type) || bh.bh_size > pkt->len)
		balloon_grumble(b, "a message of a wrong length");
	else
		balloon_message(b, &bh, pkt->data);
}

/* --- The channel. --- */

static int
balloon_chan_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct hvh_balloon *b = dev;

	b->info.state = HVH_IC_NEGOTIATING;
	b->info.version = 0;
	b->grumbled = false;
	b->can_balloon = false;
	return (0);
}

static void
balloon_down(struct hvh_balloon *b, int error)
{

	balloon_give_all(b);
	balloon_end(b, error);
	b->info.version = 0;
	b->info.reported = 0;
}

static void
balloon_chan_close(void *dev, struct hvh_chan *ch)
{
	struct hvh_balloon *b = dev;

	b->info.state = HVH_IC_CLOSED;
	balloon_down(b, ECONNRESET);
	hvh_chan_closed(ch);
}

static void
balloon_chan_signal(void *dev, struct hvh_chan *ch)
{
	struct hvh_balloon *b = dev;
	struct hvh_pkt pkt;

	while (hvh_chan_read(ch, &pkt) == 0)
		balloon_packet(b, &pkt);
	balloon_run(b);
}

static void
balloon_free(struct hvh_balloon *b)
{

	balloon_pages_free(b->pages);
	free(b);
}

static void
balloon_husk_free(struct hvh_husk *k)
{

	balloon_free((struct hvh_balloon *)((char *)k -
	    offsetof(struct hvh_balloon, husk)));
}

static void
balloon_released(void *dev)
{
	struct hvh_balloon *b = dev;

	b->info.state = HVH_IC_GONE;
	balloon_down(b, ECANCELED);
	b->chan = NULL;
	if (b->removed) {
		balloon_free(b);
		return;
	}
	/* Whoever rescinded it, its owner has the pointer. */
	b->husk.free = balloon_husk_free;
	hvh_husk_add(b->h, &b->husk);
}

static const struct hvh_chan_ops balloon_chan_ops = {
	.open = balloon_chan_open,
	.close = balloon_chan_close,
	.signal = balloon_chan_signal,
	.released = balloon_released,
};

/* --- Coming and going. --- */

int
hvh_balloon_add(struct hvh *h, const struct hvh_balloon_params *bp,
    struct hvh_balloon **bpp)
{
	struct hvh_offer of = { .flags = OFFER_INTERFACE };
	const struct hvh_mem_region *mem;
	struct hvh_balloon *b;
	unsigned nmem;
	int error;

	if (bp->max_version != 0 &&
	    bp->max_version < balloon_versions[NVERSIONS - 1])
		return (EINVAL);
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return (ENOMEM);
	b->h = h;
	b->params = *bp;
	if (b->params.max_version == 0)
		b->params.max_version = UINT32_MAX;
	b->timer.fn = balloon_late;
	b->timer.arg = b;
	mem = hvh_gpa_regions(h, &nmem);
	b->pages = balloon_pages_new(mem, nmem);
	if (b->pages == NULL) {
		free(b);
		return (ENOMEM);
	}
	hvh_guid_parse("525074dc-8985-46e2-8057-a307dc18a502", &of.type);
	hvh_guid_parse("1eccfd72-4b41-45ef-b73a-4a6e44c12924", &of.instance);
	hvh_lock(h);
	error = hvh_chan_offer(h, &of, &balloon_chan_ops, b, &b->chan);
	hvh_unlock(h);
	if (error != 0)
		balloon_free(b);
	else
		*bpp = b;
	return (error);
}

void
hvh_balloon_remove(struct hvh_balloon *b)
{
	struct hvh *h = b->h;

	hvh_lock(h);
	if (b->chan == NULL) {
		hvh_husk_take(h, &b->husk);
		balloon_free(b);
	} else {
		b->removed = true;
		if (!hvh_chan_revoked(b->chan))
			hvh_chan_revoke(b->chan);
	}
	hvh_unlock(h);
	hvh_kick(h);
}

void
hvh_balloon_get_info(struct hvh_balloon *b, struct hvh_balloon_info *bi)
{
	uint64_t now;

	hvh_lock(b->h);
	*bi = b->info;
	if (b->chan != NULL && hvh_chan_revoked(b->chan))
		bi->state = HVH_IC_GONE;
	bi->total = balloon_pages_total(b->pages) << PAGE_SHIFT;
	bi->assigned = balloon_assigned(b);
	/* Just now is not never. */
	now = hvh_now(b->h);
	if (b->info.reported != 0)
		bi->reported = now > b->info.reported ?
		    now - b->info.reported : 1;
	bi->busy = b->order != ORDER_NONE;
	hvh_unlock_quiet(b->h);
}
