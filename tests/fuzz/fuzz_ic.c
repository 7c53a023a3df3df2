/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Fuzzer of the integration services: the input is a script of what a hostile
 * guest answers to one of them, and of what is ordered meanwhile.  What must
 * hold: each order that was taken ends, once; what comes out of an answer is
 * text; no more than the limits waits for the guest.
 *
 * The first byte says which service and the version agreed on.  Then a row of
 * records, the first byte modulo 8 saying which:
 *	0, 1	the last message is answered, as it is or with bytes changed
 *	2	an older one is
 *	3	a raw packet
 *	4	an order
 *	5	time passes
 *	6	close and open, or negotiate anew
 *	7	the guest's ring is full, or has room again
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_bus.h"
#include "script.h"
#include "services/utf16.h"

#define	MESSAGES	4	/* that are remembered */

struct world {
	struct hvh	*h;
	struct hvh_ic	*ic;
	struct hvh_chan	*ch;
	enum hvh_ic_kind kind;
	struct fake_pkt	 got[MESSAGES];
	unsigned	 ngot;		/* ever */
	bool		 open;
};

static unsigned taken, ended;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- Orders. --- */

static void
check_text(const char *text, size_t units)
{
	static uint8_t field[2 * 2048];

	check(text != NULL && utf16_put(field, units + 1, text, NULL) == 0,
	    "no text");
}

static void
check_item(const struct hvh_kvp_item *item)
{

	check_text(item->key, 256);
	check_text(item->text, 1024);
	check(item->type == HVH_KVP_STRING || item->type == HVH_KVP_EXPAND ||
	    item->type == HVH_KVP_U32 || item->type == HVH_KVP_U64, "type");
}

static void
item(void *arg, const struct hvh_kvp_item *it)
{

	check_item(it);
}

static void
done(void *arg, const struct hvh_ic_result *r)
{

	check(++ended <= taken + 1, "ended twice");
	check(r->error == 0 || r->body == NULL, "an error with an answer");
	if (r->item != NULL)
		check_item(r->item);
	if (r->ip != NULL) {
		check_text(r->ip->adapter, 128);
		check_text(r->ip->addresses, 1024);
		check_text(r->ip->dns, 1024);
	}
}

static int
file_read(void *arg, uint64_t offset, void *buf, size_t len)
{

	check(offset <= 20000 && len <= 20000 - offset, "beyond the file");
	memset(buf, 'x', len);
	return (0);
}

static void
step(void *arg, const char *name)
{

	check(name[0] != '\0', "no step");
}

static int
order_kvp(struct world *w, uint8_t what, uint8_t pool)
{
	static const enum hvh_kvp_type types[] = { HVH_KVP_STRING,
	    HVH_KVP_EXPAND, HVH_KVP_U32, HVH_KVP_U64 };
	struct hvh_kvp_item it = { .type = types[what >> 4 & 3], .key = "key",
	    .text = "text", .number = what };
	struct hvh_kvp_ip ip = { .adapter = "{x}", .addresses = "10.0.0.1" };
	enum hvh_kvp_pool p = (enum hvh_kvp_pool)(pool % 5);

	switch (what % 7) {
	case 0:
		return (hvh_kvp_get(w->ic, p, "key", done, NULL));
	case 1:
		return (hvh_kvp_set(w->ic, p, &it, done, NULL));
	case 2:
		return (hvh_kvp_delete(w->ic, p, "key", done, NULL));
	case 3:
		return (hvh_kvp_enumerate(w->ic, p, what, done, NULL));
	case 4:
		return (hvh_kvp_list(w->ic, p, item, done, NULL));
	case 5:
		return (hvh_kvp_get_ip(w->ic, "00:15:5D:00:00:00", done,
		    NULL));
	default:
		return (hvh_kvp_set_ip(w->ic, &ip, done, NULL));
	}
}

static void
order(struct world *w, struct script *s)
{
	struct hvh_fcopy_params fp = { .name = "n", .path = "/", .size =
	    take8(s) * 75u, .read = file_read };
	uint8_t what = take8(s);
	int error;

	switch (w->kind) {
	case HVH_IC_SHUTDOWN:
		error = hvh_shutdown(w->ic, (enum hvh_shutdown_kind)(what % 4),
		    (what & 8) != 0, done, NULL);
		break;
	case HVH_IC_TIMESYNC:
		hvh_time_step(w->ic, what * 1000000000ll, (what & 1) != 0);
		error = hvh_time_sync(w->ic, done, NULL);
		break;
	case HVH_IC_KVP:
		error = order_kvp(w, what, take8(s));
		break;
	case HVH_IC_VSS:
		error = what % 4 < 3 ? hvh_vss(w->ic, (enum hvh_vss_op)(what %
		    4), done, NULL) : hvh_vss_snapshot(w->ic, what * 1000000u,
		    step, done, NULL);
		break;
	case HVH_IC_FCOPY:
		if (what % 4 == 0)
			hvh_fcopy_cancel(w->ic);
		error = hvh_fcopy(w->ic, &fp, done, NULL);
		break;
	default:
		error = hvh_ic_raw(w->ic, what, "raw", 3, 1000000000, done,
		    NULL);
		break;
	}
	if (error == 0)
		taken++;
}

/* --- The guest. --- */

static void
collect(struct world *w)
{
	struct fake_pkt *p;

	while ((p = fake_get(w->ch)) != NULL) {
		check(p->type == 6 && !p->wants_completion, "not in-band");
		check(p->len >= 28 && p->data[0] == 1, "no message");
		w->got[w->ngot++ % MESSAGES] = *p;
		fake_pkt_free(p);
	}
}

/* The one before the last so many. */
static void
answer(struct world *w, struct script *s, unsigned back, bool change)
{
	struct fake_pkt p;
	uint16_t at, n, status;

	if (w->ngot <= back || !w->open)
		return;
	p = w->got[(w->ngot - 1 - back) % MESSAGES];
	p.data[25] = 5;
	status = take8(s);
	if ((status & 7) == 7)
		memcpy(p.data + 20, "\x03\x01\x07\x80", 4);
	for (n = change ? take8(s) % 8 : 0; n > 0; n--) {
		take(s, &at, sizeof(at));
		p.data[at % p.len] = take8(s);
	}
	fake_put(w->ch, 6, false, p.xid, p.data, change && (status & 8) != 0 ?
	    p.len / 2 : p.len);
	fake_signal(w->ch);
}

/* Takes the versions that are asked for. */
static void
agree(struct world *w, uint8_t which)
{
	struct fake_pkt p;
	unsigned frameworks, versions, at;

	if (w->ngot == 0 || !w->open)
		return;
	p = w->got[(w->ngot - 1) % MESSAGES];
	if (p.data[12] != 0 || p.data[13] != 0)
		return;
	frameworks = p.data[28];
	versions = p.data[30];
	at = 36 + 4 * (frameworks + which % versions);
	p.data[25] = 5;
	p.data[18] = 16;
	p.data[28] = p.data[30] = 1;
	memmove(p.data + 40, p.data + at, 4);
	fake_put(w->ch, 6, false, p.xid, p.data, p.len);
	fake_signal(w->ch);
}

static void
reopen(struct world *w, uint8_t how)
{

	if (how % 4 == 0) {
		hvh_ic_renegotiate(w->ic);
	} else if (w->open) {
		fake_close(w->ch);
		w->open = false;
	} else {
		check(fake_open(w->ch) == 0, "open");
		w->open = true;
		fake_signal(w->ch);
		collect(w);
		agree(w, how);
	}
}

static void
raw(struct world *w, struct script *s)
{
	uint8_t buf[96];
	uint8_t n = take8(s);

	if (!w->open)
		return;
	take(s, buf, sizeof(buf));
	fake_put(w->ch, (n & 0x80) != 0 ? 11 : 6, false, n % 8, buf,
	    n % sizeof(buf));
	fake_signal(w->ch);
}

static void
record(struct world *w, struct script *s)
{
	uint8_t v = take8(s);

	switch (v % 8) {
	case 0:
		agree(w, v >> 4);
		answer(w, s, 0, false);
		break;
	case 1:
		answer(w, s, 0, true);
		break;
	case 2:
		answer(w, s, v >> 4 & 3, false);
		break;
	case 3:
		raw(w, s);
		break;
	case 4:
		order(w, s);
		break;
	case 5:
		w->h->now += (uint64_t)take8(s) << (v >> 4 << 1);
		fake_pump(w->h);
		break;
	case 6:
		reopen(w, v >> 4);
		break;
	default:
		w->ch->room = (v & 8) != 0 ? 0 : 1000;
		if (w->open)
			fake_signal(w->ch);
		break;
	}
	collect(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size };
	struct hvh_ic_params ip = { 0 };
	static struct world w;
	uint8_t v = take8(&s);

	memset(&w, 0, sizeof(w));
	taken = ended = 0;
	w.kind = ip.kind = (enum hvh_ic_kind)(v % HVH_IC_KINDS);
	w.h = fake_new(65536);
	check(hvh_ic_add(w.h, &ip, &w.ic) == 0, "add");
	w.ch = fake_chan(w.h, 0);
	reopen(&w, (uint8_t)(v >> 4 | 1));
	while (s.left > 0)
		record(&w, &s);
	if ((v & 0x80) != 0)
		hvh_ic_remove(w.ic);
	fake_free(w.h);
	check(taken == ended, "an order that never ended");
	return (0);
}
