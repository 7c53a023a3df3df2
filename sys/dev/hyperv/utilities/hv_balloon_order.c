/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory: the host's orders.  A thread of its own gives pages up and
 * takes them back, for both take their time; messages of the host are copied
 * for it.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_balloon_var.h>

/* Messages that wait for the thread; what is beyond is done at once. */
#define	BACKS_MAX	64
/* Pages between two looks at the lock. */
#define	BACK_STEP	1024

/* For the page daemon to find pages in; so often without any in a row. */
#define	NAP		(SBT_1S / 20)
#define	NAPS_MAX	20
/* For the host to read what is in the ring. */
#define	ROOM_WAIT	(5 * SBT_1S)

/* --- Pages that come back. --- */

/* The range ends where a page is not the host's to give. */
static void
back_range(struct hv_balloon_softc *sc, uint64_t range)
{
	uint64_t frame = HV_BALLOON_RANGE_START(range);
	uint64_t left = HV_BALLOON_RANGE_COUNT(range);
	u_int n, step;
	bool said;

	while (left > 0) {
		step = MIN(left, BACK_STEP);
		mtx_lock(&sc->hb_mtx);
		n = hv_balloon_map_take(&sc->hb_map, frame, step);
		sc->hb_ballooned -= n;
		mtx_unlock(&sc->hb_mtx);
		hv_balloon_pages_free(frame, n);
		frame += n;
		left -= n;
		if (n < step)
			break;
	}
	if (left == 0)
		return;
	mtx_lock(&sc->hb_mtx);
	sc->hb_bad_ranges++;
	said = sc->hb_range_said;
	sc->hb_range_said = true;
	mtx_unlock(&sc->hb_mtx);
	if (!said)
		device_printf(sc->hb_dev, "the host gives back page %#jx, "
		    "which it did not have; further ones are only counted\n",
		    (uintmax_t)frame);
}

/* Answers that are due and had no room. */
static void
back_thank(struct hv_balloon_softc *sc)
{
	struct hv_balloon_hdr bh;

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	while (sc->hb_thanks > 0 && hv_balloon_send(sc, sc->hb_conn, &bh,
	    HV_BALLOON_T_DOWN_RSP, sizeof(bh)) != EAGAIN)
		sc->hb_thanks--;
}

static void
back_do(struct hv_balloon_softc *sc, u_int conn, const uint64_t *range,
    u_int n, bool more)
{
	u_int i;

	for (i = 0; i < n; i++)
		back_range(sc, range[i]);
	if (more)
		return;
	mtx_lock(&sc->hb_mtx);
	if (conn == sc->hb_conn) {
		sc->hb_downs++;
		sc->hb_thanks++;
		back_thank(sc);
	}
	mtx_unlock(&sc->hb_mtx);
}

/* Puts it in the queue; false: it is to be done at once. */
static bool
back_enqueue(struct hv_balloon_softc *sc, const struct hv_balloon_down *bd,
    u_int n, bool more)
{
	struct hv_balloon_back *bb;

	bb = malloc(sizeof(*bb) + n * sizeof(bb->bb_range[0]), M_HVBALLOON,
	    M_NOWAIT);
	if (bb == NULL)
		return (false);
	bb->bb_n = n;
	bb->bb_more = more;
	memcpy(bb->bb_range, bd->bd_range, n * sizeof(bb->bb_range[0]));
	mtx_lock(&sc->hb_mtx);
	if (sc->hb_nbacks == BACKS_MAX) {
		mtx_unlock(&sc->hb_mtx);
		free(bb, M_HVBALLOON);
		return (false);
	}
	bb->bb_conn = sc->hb_conn;
	sc->hb_nbacks++;
	STAILQ_INSERT_TAIL(&sc->hb_backs, bb, bb_link);
	taskqueue_enqueue(sc->hb_tq, &sc->hb_task);
	mtx_unlock(&sc->hb_mtx);
	return (true);
}

/*
 * A message that the queue has no room for is done in the callback, which is
 * slow but loses no page; the order among messages does not matter.
 */
void
hv_balloon_order_down(struct hv_balloon_softc *sc,
    const struct hv_balloon_down *bd, size_t len)
{
	uint64_t range[16];
	bool more = (bd->bd_flags & HV_BALLOON_BD_MORE) != 0;
	u_int at, conn, n = bd->bd_ranges, part;

	if (n > (len - sizeof(*bd)) / sizeof(bd->bd_range[0])) {
		hv_balloon_bad(sc, "number of ranges", n);
		return;
	}
	if (back_enqueue(sc, bd, n, more))
		return;
	mtx_lock(&sc->hb_mtx);
	conn = sc->hb_conn;
	mtx_unlock(&sc->hb_mtx);
	for (at = 0; at < n; at += part) {
		part = MIN(n - at, nitems(range));
		memcpy(range, &bd->bd_range[at], part * sizeof(range[0]));
		back_do(sc, conn, range, part, true);
	}
	back_do(sc, conn, NULL, 0, more);
}

/* --- Pages that go. --- */

/* Sleeps a little; false: the connection has gone. */
static bool
up_nap(struct hv_balloon_softc *sc, u_int conn, const void *chan,
    const char *why, sbintime_t *leftp)
{

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	if (sc->hb_conn != conn || sc->hb_state != HV_BALLOON_READY)
		return (false);
	vmbus_sleep(chan, &sc->hb_mtx, why, leftp);
	return (sc->hb_conn == conn && sc->hb_state == HV_BALLOON_READY);
}

/* Adds pages to the message; false: it is full. */
static bool
up_add_range(struct hv_balloon_up_rsp *ur, u_int *np, uint64_t frame, u_int n)
{
	uint64_t last, start, count;

	if (*np > 0) {
		last = ur->ur_range[*np - 1];
		start = HV_BALLOON_RANGE_START(last);
		count = HV_BALLOON_RANGE_COUNT(last);
		if (frame == start + count || frame + n == start) {
			ur->ur_range[*np - 1] = HV_BALLOON_RANGE(
			    MIN(start, frame), count + n);
			return (true);
		}
	}
	if (*np == HV_BALLOON_RANGES_MAX)
		return (false);
	ur->ur_range[(*np)++] = HV_BALLOON_RANGE(frame, n);
	return (true);
}

/* They are noted before the host hears of them: it may give them back. */
static bool
up_note(struct hv_balloon_softc *sc, uint64_t frame, u_int n)
{
	int error;

	mtx_lock(&sc->hb_mtx);
	error = hv_balloon_map_add(&sc->hb_map, frame, n);
	if (error == 0)
		sc->hb_ballooned += n;
	mtx_unlock(&sc->hb_mtx);
	return (error == 0);
}

static void
up_take_back(struct hv_balloon_softc *sc, const struct hv_balloon_up_rsp *ur,
    u_int n)
{
	u_int i;

	for (i = 0; i < n; i++)
		back_range(sc, ur->ur_range[i]);
}

/*
 * Fills a message with at most want pages.  Returns how many; *np: in so many
 * ranges.
 */
static u_int
up_fill(struct hv_balloon_softc *sc, u_int want, u_int *np, bool *wait)
{
	struct hv_balloon_up_rsp *ur = (void *)sc->hb_tx;
	bool large = true;
	uint64_t frame;
	u_int got = 0, n;

	*np = 0;
	want = hv_balloon_can_give(sc->hb_floor, MIN(want, HV_BALLOON_CHUNK),
	    wait);
	while (got < want &&
	    (n = hv_balloon_pages_alloc(want - got, &large, &frame)) > 0) {
		if (!up_note(sc, frame, n)) {
			hv_balloon_pages_free(frame, n);
			break;
		}
		if (!up_add_range(ur, np, frame, n)) {
			back_range(sc, HV_BALLOON_RANGE(frame, n));
			break;
		}
		got += n;
	}
	return (got);
}

/* Waits for room, for the host counts on each of these. */
static int
up_send(struct hv_balloon_softc *sc, u_int conn, u_int n, bool more)
{
	struct hv_balloon_up_rsp *ur = (void *)sc->hb_tx;
	sbintime_t left = ROOM_WAIT;
	int error;

	ur->ur_rsvd = 0;
	ur->ur_ranges = n << HV_BALLOON_UR_SHIFT |
	    (more ? HV_BALLOON_UR_MORE : 0);
	mtx_lock(&sc->hb_mtx);
	/* Woken by hv_balloon_room() and hv_balloon_settle()'s caller. */
	do {
		error = hv_balloon_send(sc, conn, &ur->ur_hdr,
		    HV_BALLOON_T_UP_RSP, sizeof(*ur) +
		    n * sizeof(ur->ur_range[0]));
	} while (error == EAGAIN && left > 0 &&
	    up_nap(sc, conn, &sc->hb_thanks, "hvblrm", &left));
	mtx_unlock(&sc->hb_mtx);
	return (error);
}

static void
up_refused(struct hv_balloon_softc *sc, u_int pages)
{

	if (pages == 0)
		return;
	mtx_lock(&sc->hb_mtx);
	sc->hb_refused++;
	sc->hb_refused_pages += pages;
	mtx_unlock(&sc->hb_mtx);
}

static void
up_done(struct hv_balloon_softc *sc, u_int conn, u_int left)
{

	up_refused(sc, left);
	mtx_lock(&sc->hb_mtx);
	if (sc->hb_conn == conn) {
		sc->hb_ordered = false;
		sc->hb_ups++;
	}
	mtx_unlock(&sc->hb_mtx);
}

/* As far as it goes: where the floor is, the host hears "no more". */
static void
up_do(struct hv_balloon_softc *sc, u_int conn, u_int want)
{
	sbintime_t left;
	u_int got, n, naps = 0;
	bool again = true, more, wait;

	while (again) {
		got = up_fill(sc, want, &n, &wait);
		if (got == 0 && want > 0 && wait && naps++ < NAPS_MAX) {
			mtx_lock(&sc->hb_mtx);
			left = NAP;
			again = up_nap(sc, conn, &sc->hb_order, "hvblpg",
			    &left);
			mtx_unlock(&sc->hb_mtx);
			continue;
		}
		if (got > 0)
			naps = 0;
		more = got > 0 && got < want;
		/* The order is over before the host knows and gives another. */
		if (!more)
			up_done(sc, conn, want - got);
		if (up_send(sc, conn, n, more) != 0) {
			up_take_back(sc, (void *)sc->hb_tx, n);
			up_refused(sc, got);
			if (more)
				up_done(sc, conn, want - got);
			return;
		}
		want -= got;
		again = more;
	}
}

void
hv_balloon_order_up(struct hv_balloon_softc *sc,
    const struct hv_balloon_up *bu)
{
	bool busy;

	mtx_lock(&sc->hb_mtx);
	busy = sc->hb_ordered;
	if (!busy) {
		sc->hb_ordered = true;
		sc->hb_order = bu->bu_pages;
		taskqueue_enqueue(sc->hb_tq, &sc->hb_task);
	}
	mtx_unlock(&sc->hb_mtx);
	/* There is nothing to tell two answers apart by. */
	if (busy)
		hv_balloon_bad(sc, "an order within another", bu->bu_pages);
}

/* --- The thread. --- */

void
hv_balloon_room(struct hv_balloon_softc *sc)
{

	mtx_lock(&sc->hb_mtx);
	back_thank(sc);
	wakeup(&sc->hb_thanks);
	mtx_unlock(&sc->hb_mtx);
}

void
hv_balloon_task(void *arg, int pending __unused)
{
	struct hv_balloon_softc *sc = arg;
	struct hv_balloon_back *bb;
	u_int conn, want;

	mtx_lock(&sc->hb_mtx);
	while ((bb = STAILQ_FIRST(&sc->hb_backs)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->hb_backs, bb_link);
		sc->hb_nbacks--;
		mtx_unlock(&sc->hb_mtx);
		back_do(sc, bb->bb_conn, bb->bb_range, bb->bb_n, bb->bb_more);
		free(bb, M_HVBALLOON);
		mtx_lock(&sc->hb_mtx);
	}
	conn = sc->hb_conn;
	want = sc->hb_order;
	sc->hb_order = 0;
	if (!sc->hb_ordered || sc->hb_state != HV_BALLOON_READY) {
		mtx_unlock(&sc->hb_mtx);
		return;
	}
	mtx_unlock(&sc->hb_mtx);
	up_do(sc, conn, want);
}

void
hv_balloon_settle(struct hv_balloon_softc *sc, bool keep)
{
	struct hv_balloon_back *bb;
	uint64_t frame = 0;

	while ((bb = STAILQ_FIRST(&sc->hb_backs)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->hb_backs, bb_link);
		free(bb, M_HVBALLOON);
	}
	sc->hb_nbacks = sc->hb_thanks = 0;
	sc->hb_ordered = false;
	sc->hb_order = 0;
	if (keep) {
		if (sc->hb_ballooned > 0)
			device_printf(sc->hb_dev, "%ju pages are lost: the "
			    "host does not say that it has given them back\n",
			    (uintmax_t)sc->hb_ballooned);
		return;
	}
	/* Nobody else comes here, so the gaps stay where they are. */
	while (sc->hb_ballooned > 0) {
		frame = hv_balloon_map_next(&sc->hb_map, frame);
		KASSERT(frame != UINT64_MAX, ("hv_balloon: count of pages"));
		(void)hv_balloon_map_take(&sc->hb_map, frame, 1);
		sc->hb_ballooned--;
		hv_balloon_pages_free(frame, 1);
	}
}
