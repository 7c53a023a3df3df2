/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The echoing device: see echo.h. */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "echo.h"

static int
echo_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct echo *e = dev;

	e->opens++;
	ATF_CHECK_EQ(0xAB, udata[0]);
	return (e->refuse);
}

static void
echo_close(void *dev, struct hvh_chan *ch)
{
	struct echo *e = dev;

	e->closes++;
	e->waiting = NULL;
	if (!e->lazy_close)
		hvh_chan_closed(ch);
}

static bool
echo_answer(struct echo *e, struct hvh_chan *ch, uint64_t xid)
{

	if (hvh_chan_write(ch, 11, 0, xid, e->last, e->last_len) == 0)
		return (true);
	e->waiting = ch;
	e->waiting_xid = xid;
	e->refused++;
	return (false);
}

static void
echo_signal(void *dev, struct hvh_chan *ch)
{
	struct echo *e = dev;
	struct hvh_pkt pkt;
	int error;

	e->signals++;
	if (e->deaf)
		return;
	if (e->waiting == ch) {
		e->waiting = NULL;
		if (!echo_answer(e, ch, e->waiting_xid))
			return;
	}
	while ((error = hvh_chan_read(ch, &pkt)) == 0) {
		if (e->packets < 256)
			e->xids[e->packets] = pkt.xid;
		e->packets++;
		if (e->carries)
			hvh_chan_carried(ch, false);
		e->last_xid = pkt.xid;
		e->last_len = pkt.len < sizeof(e->last) ? pkt.len :
		    sizeof(e->last);
		memcpy(e->last, pkt.data, e->last_len);
		e->last_ranges = pkt.nranges;
		if (pkt.wants_completion && !e->mute &&
		    !echo_answer(e, ch, pkt.xid))
			return;
	}
	if (error == EBADMSG)
		e->corrupt++;
}

static void
echo_released(void *dev)
{

	((struct echo *)dev)->released++;
}

const struct hvh_chan_ops echo_ops = {
	.open = echo_open,
	.close = echo_close,
	.signal = echo_signal,
	.released = echo_released,
};

void
echo_add(struct echo *e, struct hvh *h, unsigned n)
{
	struct hvh_offer of = { .monitored = true };

	memset(e, 0, sizeof(*e));
	e->h = h;
	ATF_REQUIRE_EQ(0, hvh_guid_parse(
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", &of.type));
	of.instance.b[15] = (uint8_t)n;
	hvh_lock(h);
	ATF_REQUIRE_EQ(0, hvh_chan_offer(h, &of, &echo_ops, e, &e->ch));
	hvh_unlock(h);
}
