/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic keyboard: the guest's driver agrees on the version, and is told
 * of each key that goes down or up.  What is to be typed waits in a queue and
 * goes out key by key, with a pause between, for guests lose what comes faster
 * than somebody reads it.  No locks: as ic_var.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "hvhost_kbd.h"
#include "services/kbd_reg.h"
#include "vmbus/channel.h"

#define	PKT_INBAND	6
#define	PKT_COMPLETION	11

#define	SECOND		1000000000ull
/* A guest that takes no key for so long takes none. */
#define	KEY_LIMIT	(10 * SECOND)

#define	KBD_CLASS	"f912ad6d-2b17-48ea-bd65-f927a61c7684"
#define	KBD_INSTANCE	"d34b2567-b9b6-42b9-8778-0a4ec0b955bf"

/* Keys that are to be typed, from their ordering to the last one sent. */
struct kbd_order {
	STAILQ_ENTRY(kbd_order) link;
	hvh_kbd_done	*done;
	void		*arg;
	uint64_t	 pause;
	unsigned	 n, sent;
	struct hvh_key	 keys[];
};

struct hvh_kbd {
	struct hvh	*h;
	struct hvh_chan	*chan;		/* the offer, NULL: gone */
	enum hvh_kbd_state state;
	bool		 say;		/* an answer waits for room */
	bool		 accepted;	/* what it says */
	uint64_t	 complete;	/* completions that wait, of this id */
	bool		 completing;
	STAILQ_HEAD(, kbd_order) orders;
	unsigned	 nkeys;		/* of all orders, not sent */
	bool		 resting;	/* the pause after a key runs */
	struct hvh_timer timer;		/* its end, or of who has its turn */
	struct hvh_kbd_info info;
	bool		 grumbled;	/* since it was opened */
	bool		 removed;	/* the owner has given it up */
	struct hvh_husk	 husk;
};

static void
kbd_grumble(struct hvh_kbd *kb, const char *what)
{

	kb->info.bad++;
	if (kb->grumbled)
		return;
	kb->grumbled = true;
	hvh_log(kb->h, HVH_LOG_WARN, "keyboard: the guest sent %s", what);
}

/* --- Keys --- */

/* The first order has ended. */
static void
kbd_end(struct hvh_kbd *kb, int error)
{
	struct kbd_order *o = STAILQ_FIRST(&kb->orders);

	STAILQ_REMOVE_HEAD(&kb->orders, link);
	kb->nkeys -= o->n - o->sent;
	if (o->done != NULL)
		o->done(o->arg, error);
	free(o);
}

static void
kbd_end_all(struct hvh_kbd *kb, int error)
{

	hvh_timer_clear(kb->h, &kb->timer);
	kb->resting = false;
	while (!STAILQ_EMPTY(&kb->orders))
		kbd_end(kb, error);
}

/* false: no room. */
static bool
kbd_send(struct hvh_kbd *kb, const struct hvh_key *k)
{
	struct kbd_key m = { .kk_type = KBD_KEY, .kk_code = k->code };

	m.kk_flags = (k->flags & HVH_KEY_UP ? KBD_IS_BREAK : 0) |
	    (k->flags & HVH_KEY_E0 ? KBD_IS_E0 : 0) |
	    (k->flags & HVH_KEY_E1 ? KBD_IS_E1 : 0) |
	    (k->flags & HVH_KEY_UNICODE ? KBD_IS_UNICODE : 0);
	if (hvh_chan_write(kb->chan, PKT_INBAND, 0, 0, &m, sizeof(m)) != 0)
		return (false);
	kb->info.keys++;
	return (true);
}

/* Sends what can be sent. */
static void
kbd_run(struct hvh_kbd *kb)
{
	struct kbd_order *o;

	if (kb->state != HVH_KBD_READY || kb->resting)
		return;
	while ((o = STAILQ_FIRST(&kb->orders)) != NULL) {
		if (!kbd_send(kb, &o->keys[o->sent])) {
			if (kb->timer.at == 0)
				hvh_timer_set(kb->h, &kb->timer,
				    hvh_now(kb->h) + KEY_LIMIT);
			return;
		}
		hvh_timer_clear(kb->h, &kb->timer);
		o->sent++;
		kb->nkeys--;
		if (o->pause > 0) {
			kb->resting = true;
			hvh_timer_set(kb->h, &kb->timer, hvh_now(kb->h) +
			    o->pause);
		}
		if (o->sent == o->n)
			kbd_end(kb, 0);
		if (kb->resting)
			return;
	}
}

static void
kbd_timer(void *arg)
{
	struct hvh_kbd *kb = arg;

	if (kb->resting) {
		kb->resting = false;
		kbd_run(kb);
		return;
	}
	/* What waits behind it would find no room either. */
	kb->info.timeouts++;
	kbd_end_all(kb, ETIMEDOUT);
}

/* --- Packets --- */

/* Answers that wait; false: no room. */
static bool
kbd_answer(struct hvh_kbd *kb)
{
	struct kbd_say m = { KBD_SAY_VERSION, kb->accepted };

	if (kb->completing) {
		if (hvh_chan_write(kb->chan, PKT_COMPLETION, 0, kb->complete,
		    NULL, 0) != 0)
			return (false);
		kb->completing = false;
	}
	if (!kb->say)
		return (true);
	if (hvh_chan_write(kb->chan, PKT_INBAND, 0, 0, &m, sizeof(m)) != 0)
		return (false);
	kb->say = false;
	if (kb->accepted)
		kb->state = HVH_KBD_READY;
	return (true);
}

/* Asked again, it is answered again, as of a driver that begins anew. */
static void
kbd_asked(struct hvh_kbd *kb, const struct kbd_ask *m)
{

	kb->accepted = m->ka_version == KBD_VERSION;
	kb->say = true;
	if (kb->accepted)
		return;
	kb->info.refused++;
	kb->state = HVH_KBD_NEGOTIATING;
	kbd_end_all(kb, ECONNRESET);
}

static void
kbd_packet(struct hvh_kbd *kb, const struct hvh_pkt *pkt)
{
	struct kbd_lights lights;
	struct kbd_ask ask;
	uint32_t type = 0;

	if (pkt->type != PKT_INBAND) {
		kbd_grumble(kb, "a packet that is no message");
		return;
	}
	if (pkt->wants_completion) {
		kb->complete = pkt->xid;
		kb->completing = true;
	}
	if (pkt->len >= sizeof(type))
		memcpy(&type, pkt->data, sizeof(type));
	if (type == KBD_ASK_VERSION && pkt->len >= sizeof(ask)) {
		memcpy(&ask, pkt->data, sizeof(ask));
		kbd_asked(kb, &ask);
	} else if (type == KBD_LIGHTS && pkt->len >= sizeof(lights) &&
	    kb->state == HVH_KBD_READY) {
		memcpy(&lights, pkt->data, sizeof(lights));
		kb->info.lights = lights.kl_lights & HVH_KBD_LIGHTS;
	} else
		kbd_grumble(kb, "a message that makes no sense");
}

/* While an answer finds no room the guest's packets stay where they are. */
static void
kbd_chan_signal(void *dev, struct hvh_chan *ch)
{
	struct hvh_kbd *kb = dev;
	struct hvh_pkt pkt;

	while (kbd_answer(kb)) {
		if (hvh_chan_read(ch, &pkt) != 0)
			break;
		kbd_packet(kb, &pkt);
	}
	kbd_run(kb);
}

/* --- The channel --- */

static int
kbd_chan_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct hvh_kbd *kb = dev;

	kb->state = HVH_KBD_NEGOTIATING;
	kb->say = kb->completing = false;
	kb->grumbled = false;
	kb->info.lights = 0;
	return (0);
}

static void
kbd_chan_close(void *dev, struct hvh_chan *ch)
{
	struct hvh_kbd *kb = dev;

	kb->state = HVH_KBD_CLOSED;
	kbd_end_all(kb, ECONNRESET);
	hvh_chan_closed(ch);
}

static void
kbd_husk_free(struct hvh_husk *k)
{

	free((char *)k - offsetof(struct hvh_kbd, husk));
}

static void
kbd_chan_released(void *dev)
{
	struct hvh_kbd *kb = dev;

	kb->state = HVH_KBD_GONE;
	/* Only when the partition goes as a whole is there anything left. */
	kbd_end_all(kb, ECANCELED);
	kb->chan = NULL;
	if (kb->removed) {
		free(kb);
		return;
	}
	/* Whoever rescinded it, its owner has the pointer. */
	kb->husk.free = kbd_husk_free;
	hvh_husk_add(kb->h, &kb->husk);
}

static const struct hvh_chan_ops kbd_chan_ops = {
	.open = kbd_chan_open,
	.close = kbd_chan_close,
	.signal = kbd_chan_signal,
	.released = kbd_chan_released,
};

/* --- Management --- */

int
hvh_kbd_add(struct hvh *h, struct hvh_kbd **kbp)
{
	struct hvh_offer of = { .flags = 0 };
	struct hvh_kbd *kb;
	int error;

	kb = calloc(1, sizeof(*kb));
	if (kb == NULL)
		return (ENOMEM);
	kb->h = h;
	kb->timer.fn = kbd_timer;
	kb->timer.arg = kb;
	STAILQ_INIT(&kb->orders);
	hvh_guid_parse(KBD_CLASS, &of.type);
	hvh_guid_parse(KBD_INSTANCE, &of.instance);
	hvh_lock(h);
	error = hvh_chan_offer(h, &of, &kbd_chan_ops, kb, &kb->chan);
	hvh_unlock(h);
	if (error != 0)
		free(kb);
	else
		*kbp = kb;
	return (error);
}

void
hvh_kbd_remove(struct hvh_kbd *kb)
{
	struct hvh *h = kb->h;

	hvh_lock(h);
	if (kb->chan == NULL) {
		hvh_husk_take(h, &kb->husk);
		free(kb);
	} else {
		kb->removed = true;
		if (!hvh_chan_revoked(kb->chan))
			hvh_chan_revoke(kb->chan);
	}
	hvh_unlock(h);
	hvh_kick(h);
}

void
hvh_kbd_get_info(struct hvh_kbd *kb, struct hvh_kbd_info *ki)
{

	hvh_lock(kb->h);
	*ki = kb->info;
	ki->state = kb->chan == NULL || hvh_chan_revoked(kb->chan) ?
	    HVH_KBD_GONE : kb->state;
	ki->waiting = kb->nkeys;
	hvh_unlock_quiet(kb->h);
}

static bool
kbd_valid(const struct hvh_key *keys, unsigned n)
{

	for (unsigned i = 0; i < n; i++) {
		if ((keys[i].flags & HVH_KEY_UNICODE) == 0 &&
		    (keys[i].code == 0 || keys[i].code > HVH_KEY_MAX))
			return (false);
	}
	return (n > 0);
}

static int
kbd_submit(struct hvh_kbd *kb, struct kbd_order *o)
{

	if (kb->chan == NULL || hvh_chan_revoked(kb->chan))
		return (ENODEV);
	if (kb->state != HVH_KBD_READY)
		return (ENOTCONN);
	if (o->n > HVH_KBD_WAITING - kb->nkeys)
		return (EAGAIN);
	kb->nkeys += o->n;
	STAILQ_INSERT_TAIL(&kb->orders, o, link);
	kbd_run(kb);
	return (0);
}

int
hvh_kbd_type(struct hvh_kbd *kb, const struct hvh_key *keys, unsigned n,
    uint64_t pause, hvh_kbd_done *done, void *arg)
{
	struct kbd_order *o;
	int error;

	if (!kbd_valid(keys, n))
		return (EINVAL);
	if (n > HVH_KBD_WAITING)
		return (EAGAIN);
	o = malloc(sizeof(*o) + n * sizeof(*keys));
	if (o == NULL)
		return (ENOMEM);
	*o = (struct kbd_order){ .done = done, .arg = arg, .pause = pause,
	    .n = n };
	memcpy(o->keys, keys, n * sizeof(*keys));
	hvh_lock(kb->h);
	error = kbd_submit(kb, o);
	hvh_unlock(kb->h);
	if (error != 0)
		free(o);
	return (error);
}
