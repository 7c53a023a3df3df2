/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The stand-in of fake_bus.h.  It is strict where the real bus trusts its
 * devices: a lock taken twice or a packet written to a closed channel ends
 * the test.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_bus.h"

#define	FAKE_GUARD	65536

#define	MUST(x)								\
	do {								\
		if (!(x)) {						\
			fprintf(stderr, "%s:%d: not so: %s\n",		\
			    __FILE__, __LINE__, #x);			\
			abort();					\
		}							\
	} while (0)

/* --- Tests' side --- */

struct hvh *
fake_new(uint64_t memory)
{
	struct hvh *h;

	h = calloc(1, sizeof(*h));
	MUST(h != NULL);
	h->size = memory;
	/* Between pages that nobody may touch. */
	h->mem = mmap(NULL, memory + 2 * FAKE_GUARD, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(h->mem != MAP_FAILED);
	h->mem += FAKE_GUARD;
	MUST(mprotect(h->mem, memory, PROT_READ | PROT_WRITE) == 0);
	h->region.size = memory;
	h->region.host = h->mem;
	h->now = 1000000000;
	return (h);
}

static void
queue_clear(struct fake_queue *q)
{
	struct fake_pkt *p;

	while ((p = q->head) != NULL) {
		q->head = p->next;
		fake_pkt_free(p);
	}
	q->tail = NULL;
	q->n = 0;
}

static void
queue_add(struct fake_queue *q, struct fake_pkt *p)
{

	p->next = NULL;
	if (q->head == NULL)
		q->head = p;
	else
		*q->tail = p;
	q->tail = &p->next;
	q->n++;
}

static struct fake_pkt *
queue_take(struct fake_queue *q)
{
	struct fake_pkt *p = q->head;

	if (p != NULL) {
		q->head = p->next;
		q->n--;
	}
	return (p);
}

void
fake_pkt_free(struct fake_pkt *p)
{

	if (p != NULL) {
		free(p->pfns);
		free(p);
	}
}

/* Releases the devices as a partition's end does. */
void
fake_free(struct hvh *h)
{
	struct hvh_chan *ch, *next;
	struct fake_share *s;
	struct hvh_husk *k;

	for (ch = h->chans; ch != NULL; ch = ch->next) {
		if (ch->open) {
			ch->ops->close(ch->dev, ch);
			ch->open = false;
		}
	}
	for (ch = h->chans; ch != NULL; ch = next) {
		next = ch->next;
		if (ch->subidx == 0 && ch->dev != NULL)
			ch->ops->released(ch->dev);
		queue_clear(&ch->in);
		queue_clear(&ch->out);
		fake_pkt_free(ch->current);
		free(ch);
	}
	while ((k = h->husks) != NULL) {
		h->husks = k->next;
		k->free(k);
	}
	while ((s = h->shares) != NULL) {
		MUST(s->holds == 0);
		h->shares = s->next;
		free(s->pages);
		free(s);
	}
	MUST(h->timers == NULL);
	munmap(h->mem - FAKE_GUARD, h->size + 2 * FAKE_GUARD);
	free(h);
}

void
fake_pump(struct hvh *h)
{
	struct hvh_source *s, *next;
	struct hvh_timer *t;

	while ((t = h->timers) != NULL && t->at <= h->now) {
		h->timers = t->next;
		t->at = 0;
		t->next = NULL;
		t->fn(t->arg);
	}
	for (s = h->sources; s != NULL; s = next) {
		next = s->next;
		s->poll(s->arg);
	}
}

bool
fake_pump_until(struct hvh *h, const unsigned *n, unsigned want)
{
	struct pollfd pfd[8];
	struct hvh_source *s;
	nfds_t nfd;
	int i;

	for (i = 0; i < 1000; i++) {
		fake_pump(h);
		if (*n >= want)
			return (true);
		nfd = 0;
		for (s = h->sources; s != NULL && nfd < 8; s = s->next)
			pfd[nfd++] = (struct pollfd){ s->fd, POLLIN, 0 };
		poll(pfd, nfd, 10);
	}
	return (false);
}

struct hvh_chan *
fake_chan(struct hvh *h, uint16_t subidx)
{
	struct hvh_chan *ch;

	for (ch = h->chans; ch != NULL; ch = ch->next) {
		if (ch->subidx == subidx)
			return (ch);
	}
	return (NULL);
}

int
fake_open(struct hvh_chan *ch)
{
	static const uint8_t udata[120];
	int error;

	MUST(!ch->open);
	error = ch->ops->open(ch->dev, ch, udata);
	ch->open = error == 0;
	ch->room = 1000000;
	ch->closed = 0;
	return (error);
}

void
fake_close(struct hvh_chan *ch)
{

	ch->ops->close(ch->dev, ch);
}

struct fake_pkt *
fake_put(struct hvh_chan *ch, uint16_t type, bool wants, uint64_t xid,
    const void *data, uint32_t len)
{
	struct fake_pkt *p;

	MUST(len <= FAKE_PKT_MAX);
	p = calloc(1, sizeof(*p));
	MUST(p != NULL);
	p->type = type;
	p->wants_completion = wants;
	p->xid = xid;
	p->len = len;
	memcpy(p->data, data, len);
	queue_add(&ch->in, p);
	return (p);
}

void
fake_range(struct fake_pkt *p, uint64_t gpa, uint32_t len)
{
	struct hvh_range *r;
	uint32_t i;

	MUST(p->nranges < FAKE_RANGES);
	if (p->pfns == NULL)
		p->pfns = calloc(FAKE_PFNS, sizeof(*p->pfns));
	MUST(p->pfns != NULL);
	r = &p->ranges[p->nranges];
	r->len = len;
	r->ofs = gpa & 4095;
	r->npfn = (r->ofs + len + 4095) / 4096;
	MUST(p->npfns + r->npfn <= FAKE_PFNS);
	r->pfn = p->pfns + p->npfns;
	for (i = 0; i < r->npfn; i++)
		p->pfns[p->npfns + i] = gpa / 4096 + i;
	p->npfns += r->npfn;
	p->nranges++;
}

struct fake_share *
fake_share(struct hvh *h, uint32_t gpadl, uint64_t gpa, uint32_t npages,
    bool scattered)
{
	struct fake_share *s;
	uint32_t i;

	MUST(gpa % 4096 == 0 && gpa + npages * 4096ull <= h->size);
	s = calloc(1, sizeof(*s));
	MUST(s != NULL);
	s->pages = calloc(npages, sizeof(*s->pages));
	MUST(s->pages != NULL);
	for (i = 0; i < npages; i++)
		s->pages[i] = h->mem + gpa +
		    (scattered ? npages - 1 - i : i) * 4096ull;
	s->gpadl = gpadl;
	s->s.pages = s->pages;
	s->s.npages = npages;
	s->s.flat = scattered ? NULL : s->pages[0];
	s->next = h->shares;
	h->shares = s;
	return (s);
}

void
fake_signal(struct hvh_chan *ch)
{

	ch->ops->signal(ch->dev, ch);
}

struct fake_pkt *
fake_get(struct hvh_chan *ch)
{

	return (queue_take(&ch->out));
}

/* --- What devices call --- */

int
hvh_chan_offer(struct hvh *h, const struct hvh_offer *of,
    const struct hvh_chan_ops *ops, void *dev, struct hvh_chan **chp)
{
	struct hvh_chan *ch;

	MUST(h->locked);
	ch = calloc(1, sizeof(*ch));
	MUST(ch != NULL);
	ch->h = h;
	ch->ops = ops;
	ch->dev = dev;
	ch->offer = *of;
	ch->next = h->chans;
	h->chans = ch;
	*chp = ch;
	return (0);
}

int
hvh_chan_offer_sub(struct hvh_chan *primary, unsigned count)
{
	struct hvh *h = primary->h;
	struct hvh_chan *ch;
	unsigned i;

	if (h->sub_error != 0)
		return (h->sub_error);
	if (h->subs_offered != 0)
		return (EBUSY);
	for (i = 1; i <= count; i++) {
		ch = calloc(1, sizeof(*ch));
		MUST(ch != NULL);
		ch->h = h;
		ch->ops = primary->ops;
		ch->dev = primary->dev;
		ch->subidx = (uint16_t)i;
		ch->next = h->chans;
		h->chans = ch;
	}
	h->subs_offered += count;
	return (0);
}

static void
fake_maybe_released(struct hvh *h)
{
	struct hvh_chan *ch, *primary = NULL;

	for (ch = h->chans; ch != NULL; ch = ch->next) {
		if (ch->open)
			return;
		if (ch->subidx == 0 && ch->revoked)
			primary = ch;
	}
	if (primary != NULL && primary->dev != NULL) {
		h->released++;
		primary->ops->released(primary->dev);
		primary->dev = NULL;
	}
}

void
hvh_chan_revoke(struct hvh_chan *primary)
{
	struct hvh_chan *ch;

	MUST(primary->h->locked && primary->subidx == 0);
	primary->revoked = true;
	for (ch = primary->h->chans; ch != NULL; ch = ch->next) {
		if (ch->open)
			ch->ops->close(ch->dev, ch);
	}
	fake_maybe_released(primary->h);
}

bool
hvh_chan_revoked(const struct hvh_chan *ch)
{

	return (ch->revoked);
}

void
hvh_husk_add(struct hvh *h, struct hvh_husk *k)
{

	k->next = h->husks;
	h->husks = k;
}

void
hvh_husk_take(struct hvh *h, struct hvh_husk *k)
{
	struct hvh_husk **kp;

	MUST(h->locked);
	for (kp = &h->husks; *kp != k; kp = &(*kp)->next)
		MUST(*kp != NULL);
	*kp = k->next;
}

void
hvh_chan_closed(struct hvh_chan *ch)
{

	MUST(ch->open);
	ch->open = false;
	ch->closed++;
	fake_maybe_released(ch->h);
}

uint32_t
hvh_chan_id(const struct hvh_chan *ch)
{

	return (1u + ch->subidx);
}

uint16_t
hvh_chan_subidx(const struct hvh_chan *ch)
{

	return (ch->subidx);
}

void
hvh_chan_set_data(struct hvh_chan *ch, void *data)
{

	ch->data = data;
}

void *
hvh_chan_data(struct hvh_chan *ch)
{

	return (ch->data);
}

int
hvh_chan_read(struct hvh_chan *ch, struct hvh_pkt *pkt)
{
	struct fake_pkt *p;

	MUST(ch->open);
	if (ch->read_error != 0)
		return (ch->read_error);
	fake_pkt_free(ch->current);
	p = ch->current = queue_take(&ch->in);
	if (p == NULL)
		return (EAGAIN);
	ch->h->stats.packets_in++;
	pkt->type = p->type;
	pkt->wants_completion = p->wants_completion;
	pkt->xid = p->xid;
	pkt->data = p->data;
	pkt->len = p->len;
	pkt->ranges = p->ranges;
	pkt->nranges = p->nranges;
	return (0);
}

bool
hvh_chan_is_open(const struct hvh_chan *ch)
{

	return (ch->open);
}

bool
hvh_chan_room(struct hvh_chan *ch, uint32_t len)
{

	MUST(ch->open && len <= FAKE_PKT_MAX);
	return (ch->room > 0);
}

int
hvh_chan_write(struct hvh_chan *ch, uint16_t type, uint16_t flags,
    uint64_t xid, const void *data, uint32_t len)
{
	struct fake_pkt *p;

	MUST(ch->open && len <= FAKE_PKT_MAX);
	if (ch->room == 0)
		return (EAGAIN);
	ch->room--;
	p = calloc(1, sizeof(*p));
	MUST(p != NULL);
	p->type = type;
	p->wants_completion = (flags & 1) != 0;
	p->xid = xid;
	p->len = len;
	if (len != 0)
		memcpy(p->data, data, len);
	queue_add(&ch->out, p);
	return (0);
}

void
hvh_chan_carried(struct hvh_chan *ch, bool out)
{
}

void
hvh_chan_flush(struct hvh_chan *ch)
{
}

const struct hvh_shared *
hvh_chan_share(struct hvh_chan *ch, uint32_t gpadl)
{
	struct fake_share *s;

	MUST(ch->open);
	for (s = ch->h->shares; s != NULL; s = s->next) {
		if (s->gpadl == gpadl) {
			s->holds++;
			return (&s->s);
		}
	}
	return (NULL);
}

void
hvh_chan_unshare(struct hvh_chan *ch, const struct hvh_shared *sh)
{
	struct fake_share *s;

	for (s = ch->h->shares; s != NULL && &s->s != sh; s = s->next)
		continue;
	MUST(s != NULL && s->holds > 0);
	s->holds--;
}

/* Guest memory is one region at 0. */
static void *
gpa_ptr(struct hvh *h, uint64_t gpa, uint64_t len)
{

	if (gpa > h->size || len > h->size - gpa)
		return (NULL);
	return (h->mem + gpa);
}

int
hvh_range_iov(struct hvh *h, const struct hvh_range *r, uint64_t skip,
    uint64_t len, struct iovec *iov, int max, int *niov)
{
	uint64_t at, n;
	int i = 0;
	void *p;

	if (skip > r->len || len > r->len - skip)
		return (EFAULT);
	for (at = r->ofs + skip; len > 0; at += n, len -= n) {
		n = 4096 - at % 4096;
		if (n > len)
			n = len;
		if (r->pfn[at / 4096] > UINT64_MAX / 4096)
			return (EFAULT);
		p = gpa_ptr(h, r->pfn[at / 4096] * 4096 + at % 4096, n);
		if (p == NULL)
			return (EFAULT);
		if (i > 0 && (uint8_t *)iov[i - 1].iov_base +
		    iov[i - 1].iov_len == p) {
			iov[i - 1].iov_len += n;
			continue;
		}
		if (i == max)
			return (ENOSPC);
		iov[i++] = (struct iovec){ p, n };
	}
	*niov = i;
	return (0);
}

void
hvh_timer_clear(struct hvh *h, struct hvh_timer *t)
{
	struct hvh_timer **p;

	for (p = &h->timers; *p != NULL; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->at = 0;
	t->next = NULL;
}

const struct hvh_mem_region *
hvh_gpa_regions(struct hvh *h, unsigned *n)
{

	*n = 1;
	return (&h->region);
}

void
hvh_timer_set(struct hvh *h, struct hvh_timer *t, uint64_t at)
{
	struct hvh_timer **p;

	hvh_timer_clear(h, t);
	t->at = at;
	for (p = &h->timers; *p != NULL && (*p)->at <= at; p = &(*p)->next)
		continue;
	t->next = *p;
	*p = t;
}

int
hvh_source_add(struct hvh *h, struct hvh_source *s)
{

	MUST(h->locked);
	s->next = h->sources;
	h->sources = s;
	return (0);
}

void
hvh_source_remove(struct hvh *h, struct hvh_source *s)
{
	struct hvh_source **p;

	for (p = &h->sources; *p != s; p = &(*p)->next)
		MUST(*p != NULL);
	*p = s->next;
}

void
hvh_lock(struct hvh *h)
{

	MUST(!h->locked);
	h->locked = true;
}

void
hvh_unlock(struct hvh *h)
{

	MUST(h->locked);
	h->locked = false;
}

void
hvh_unlock_quiet(struct hvh *h)
{

	hvh_unlock(h);
}

void
hvh_kick(struct hvh *h)
{

	h->kicks++;
}

uint64_t
hvh_now(struct hvh *h)
{

	return (h->now);
}

uint64_t
hvh_wall_time(struct hvh *h)
{

	return (h->wall + h->now);
}

uint64_t
hvh_guest_time(struct hvh *h)
{

	/* The thread that asks is stopped before it is told. */
	if (h->stalls > 0) {
		h->stalls--;
		h->now += 8000000;
	}
	return (h->now / 100);
}

void
hvh_log(struct hvh *h, enum hvh_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->log, sizeof(h->log), fmt, ap);
	va_end(ap);
}

bool
hvh_fault_strikes(struct hvh *h, enum hvh_fault_point point, uint32_t key,
    struct hvh_fault *f)
{
	struct hvh_fault *x;
	unsigned i;

	for (i = 0; i < h->nfaults; i++) {
		x = &h->faults[i];
		if (x->point != point || (x->key != HVH_FAULT_ANY &&
		    x->key != key))
			continue;
		if (x->skip > 0) {
			x->skip--;
			continue;
		}
		*f = *x;
		if (x->times > 0 && --x->times == 0)
			x->key = UINT32_MAX - 1;	/* spent */
		return (true);
	}
	return (false);
}

void
hvh_fault_apply(const struct hvh_fault *f, void *data, size_t *len)
{

	if (f->action == HVH_FAULT_CORRUPT && f->offset + f->len <= *len)
		memcpy((uint8_t *)data + f->offset, &f->arg, f->len);
	if (f->action == HVH_FAULT_TRUNCATE && f->arg < *len)
		*len = f->arg;
}

struct hvh_stats *
hvh_stats(struct hvh *h)
{

	return (&h->stats);
}

int
hvh_guid_parse(const char *text, struct hvh_guid *guid)
{
	static const uint8_t place[16] = {
		3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
	};
	unsigned b, i;

	for (i = 0; i < 16; i++) {
		if (*text == '-')
			text++;
		if (sscanf(text, "%2x", &b) != 1)
			return (EINVAL);
		guid->b[place[i]] = (uint8_t)b;
		text += 2;
	}
	return (0);
}
