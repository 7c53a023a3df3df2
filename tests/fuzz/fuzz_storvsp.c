/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Fuzzer of the storage provider: the input is a script of what a hostile
 * guest does on a primary and its sub-channels, and what meanwhile happens to
 * the units.  What must hold: no access outside guest memory, each request
 * answered at most once, nothing left when the partition goes.
 *
 * A script is a row of records, the first byte modulo 16 saying which:
 *	0..3	an SRB with a CDB of the fuzzer's
 *	4..7	one whose opcode there is and whose address is small
 *	8	bytes into guest memory; an UNMAP or WRITE SAME that is right
 *	9	raw bytes as a packet
 *	10	the next step of the initialization, done properly
 *	11	time passes, sources are polled, the guest's ring has room
 *	12	close and open a channel
 *	13	attach or detach a unit
 *	14	a reset
 *	15	a fault, or the guest's ring is full
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_bus.h"
#include "script.h"

#define	MEMORY		(1u << 20)
#define	CHANNELS	2

struct world {
	struct hvh	*h;
	struct hvh_scsi	*sc;
	unsigned	 step;		/* of the initialization */
	uint64_t	 xid;
	uint64_t	 asked;		/* packets put in */
	uint64_t	 answered;
	uint8_t		 open[CHANNELS + 1];
	uint32_t	 luns;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
collect(struct world *w)
{
	struct fake_pkt *p;
	struct hvh_chan *ch;

	for (ch = w->h->chans; ch != NULL; ch = ch->next) {
		while ((p = fake_get(ch)) != NULL) {
			check(p->len >= 12 && p->len <= 64, "length");
			if (p->type == 11) {
				check(p->data[0] == 1, "not COMPLETE_IO");
				check(p->xid != 0 && p->xid <= w->xid,
				    "an id never issued");
				w->answered++;
			} else {
				check(p->type == 6 && p->xid == 0 &&
				    p->data[0] == 11, "unsolicited");
			}
			fake_pkt_free(p);
		}
	}
	check(w->answered <= w->asked, "answered twice");
}

#define	DISK_SIZE	(256 * 1024)

/* The one file there is; a second disk on it finds it locked. */
static const char *
file(void)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("disk", 0);
		check(fd >= 0, "memfd_create");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	check(ftruncate(fd, DISK_SIZE) == 0, "ftruncate");
	return (path);
}

static void
attach(struct world *w, unsigned lun, uint8_t kind)
{
	struct hvh_blk_params bp = { .size = DISK_SIZE,
	    .block_size = kind & 1 ? 512 : 4096, .readonly = kind & 2,
	    .write_through = kind & 4, .no_uring = (kind & 64) == 0 };
	struct hvh_lun_params lp = { .cdrom = kind & 8,
	    .no_unmap = kind & 16 };
	char err[100];

	if ((kind & 32) != 0)
		bp.path = file();
	if (hvh_blk_open(w->h, &bp, &lp.blk, err, sizeof(err)) != 0)
		return;
	if (hvh_scsi_attach(w->sc, lun, &lp) != 0)
		hvh_blk_close(lp.blk);
	else
		w->luns |= 1u << lun;
}

static struct hvh_chan *
pick(struct world *w, uint8_t v)
{
	struct hvh_chan *ch;

	ch = fake_chan(w->h, v % (CHANNELS + 1));
	return (ch != NULL && ch->open ? ch : NULL);
}

/* A packet was put in; several go with one signal, sometimes. */
static void
sent(struct world *w, struct hvh_chan *ch, bool more)
{

	w->asked++;
	if (!more)
		fake_signal(ch);
}

/* Makes of any CDB one that is likely to be carried out. */
static void
tame(uint8_t cdb[16])
{
	static const uint8_t ops[] = { 0x00, 0x03, 0x08, 0x0a, 0x12, 0x15,
	    0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x2e, 0x35, 0x41, 0x42, 0x43,
	    0x46, 0x4a, 0x51, 0x55, 0x5a, 0x88, 0x8a, 0x91, 0x93, 0x9e, 0xa0,
	    0xa8, 0xaa };
	unsigned big, i;

	cdb[0] = ops[cdb[0] % sizeof(ops)];
	big = cdb[0] >= 0x80 && cdb[0] < 0xa0 ? 8 : 4;
	if (cdb[0] < 0x20)
		return;
	cdb[1] &= 0x1a;
	for (i = 2; i < 2 + big - 1; i++)
		cdb[i] = 0;
	if (big == 8)
		cdb[10] = cdb[11] = cdb[12] = 0;
	else if (cdb[0] >= 0xa0)
		cdb[6] = cdb[7] = cdb[8] = 0;
	else
		cdb[7] &= 1;
}

static void
srb(struct world *w, struct script *s, struct hvh_chan *ch, bool tamed)
{
	uint8_t how = take8(s), pkt[64] = { 3, 0, 0, 0, 1 };
	struct fake_pkt *p;
	uint32_t len;
	uint8_t cdb[16], place[4];

	take(s, cdb, 16);
	take(s, place, 4);
	if (tamed)
		tame(cdb);
	len = (uint32_t)place[0] << (how & 7);
	/* These want a list exactly as long as they say. */
	if (tamed && (cdb[0] == 0x42 || cdb[0] == 0x55))
		len = (uint32_t)cdb[7] << 8 | cdb[8];
	memcpy(pkt + 28, cdb, 16);
	pkt[12] = 52;
	pkt[19] = place[1] & (tamed ? 1 : 7);
	pkt[22] = how >> 3 & 3;
	pkt[24] = (uint8_t)len;
	pkt[25] = (uint8_t)(len >> 8);
	p = fake_put(ch, len == 0 ? 6 : 9, true, ++w->xid, pkt,
	    how & 0x20 ? 48 : 64);
	if (len != 0) {
		fake_range(p, (uint64_t)place[2] << 12 | place[3], len);
		if ((how & 0x40) != 0 && p->ranges[0].npfn > 1)
			p->pfns[p->ranges[0].npfn - 1] = cdb[15];
	}
	sent(w, ch, (how & 0x80) != 0);
}

/* The two that a fuzzer finds too seldom: their data must fit together. */
static void
several(struct world *w, struct script *s, struct hvh_chan *ch)
{
	uint8_t how = take8(s), pkt[64] = { 3, 0, 0, 0, 1 }, *list;
	uint32_t len;
	unsigned i;

	list = w->h->mem + (how >> 4) * 4096u;
	if ((how & 1) != 0) {
		/* WRITE SAME (10) of a block that is not all zeros. */
		list[how] = take8(s);
		len = 4096;
		pkt[28] = 0x41;
		pkt[33] = take8(s);
		pkt[36] = take8(s);
	} else {
		memset(list, 0, 16 * 8);
		for (i = 0; i < (how >> 1 & 7); i++) {
			list[8 + 16 * i + 7] = take8(s);
			list[8 + 16 * i + 11] = take8(s);
		}
		len = 8 + 16 * i;
		list[1] = (uint8_t)(len - 2);
		list[3] = (uint8_t)(len - 8);
		pkt[28] = 0x42;
		pkt[36] = (uint8_t)len;
	}
	pkt[24] = (uint8_t)len;
	pkt[25] = (uint8_t)(len >> 8);
	fake_range(fake_put(ch, 9, true, ++w->xid, pkt, 64),
	    (how >> 4) * 4096u, len);
	sent(w, ch, false);
}

static void
raw(struct world *w, struct script *s, struct hvh_chan *ch)
{
	uint8_t how = take8(s), n = take8(s) % 96, pkt[96];
	struct fake_pkt *p;

	take(s, pkt, n);
	p = fake_put(ch, how & 1 ? 9 : how & 2 ? 11 : 6, !(how & 4), ++w->xid,
	    pkt, n);
	if ((how & 8) != 0)
		fake_range(p, (uint64_t)take8(s) << 14, 1 + take8(s) * 64u);
	if ((how & 16) != 0)
		fake_range(p, 0, 512);
	sent(w, ch, (how & 0x80) != 0);
}

static void
initialize(struct world *w)
{
	static const uint8_t ops[] = { 7, 9, 10, 13, 8 };
	uint8_t pkt[64] = { 0, 0, 0, 0, 1 };
	struct hvh_chan *ch = pick(w, 0);
	uint16_t i;

	if (ch == NULL || w->step >= sizeof(ops))
		return;
	pkt[0] = ops[w->step];
	if (pkt[0] == 9) {
		pkt[12] = 2;
		pkt[13] = 6;
	} else if (pkt[0] == 13) {
		pkt[12] = CHANNELS;
	}
	w->step++;
	fake_put(ch, 6, true, ++w->xid, pkt, 64);
	sent(w, ch, false);
	for (i = 1; i <= CHANNELS; i++) {
		ch = fake_chan(w->h, i);
		if (ch != NULL && !w->open[i])
			w->open[i] = fake_open(ch) == 0;
	}
}

static void
reopen(struct world *w, uint8_t v)
{
	struct hvh_chan *ch = pick(w, v);
	struct fake_pkt *p;
	unsigned i;

	if (ch == NULL)
		return;
	fake_close(ch);
	for (i = 0; i < 3 && ch->open; i++)
		fake_pump(w->h);
	check(!ch->open, "a channel that does not close");
	while ((p = ch->in.head) != NULL) {
		ch->in.head = p->next;
		ch->in.n--;
		fake_pkt_free(p);
	}
	check(fake_open(ch) == 0, "open");
	if (ch->subidx == 0)
		w->step = 0;
}

static void
fault(struct world *w, struct script *s)
{
	static const enum hvh_fault_action actions[] = { HVH_FAULT_DROP,
	    HVH_FAULT_DELAY, HVH_FAULT_HOLD, HVH_FAULT_STATUS,
	    HVH_FAULT_CORRUPT, HVH_FAULT_TRUNCATE };
	uint8_t v = take8(s), key = take8(s), arg = take8(s);
	struct hvh_chan *ch;

	if ((v & 0x40) != 0) {
		ch = pick(w, v);
		if (ch != NULL)
			ch->room = v & 3;
		return;
	}
	w->h->nfaults = 1;
	w->h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = actions[v % 6], .key = v & 0x80 ? HVH_FAULT_ANY : key,
	    .times = 1 + v % 5, .arg = arg, .offset = arg % 16, .len = 1 };
}

static void
record(struct world *w, struct script *s)
{
	uint8_t v = take8(s), pkt[64] = { 0, 0, 0, 0, 1 };
	struct hvh_chan *ch = pick(w, v >> 4);
	unsigned lun;

	switch (v % 16) {
	case 8:
		lun = take8(s);
		take(s, w->h->mem + lun * 4096, take8(s));
		if (ch != NULL)
			several(w, s, ch);
		break;
	case 9:
		if (ch != NULL)
			raw(w, s, ch);
		break;
	case 10:
		initialize(w);
		break;
	case 11:
		w->h->now += (uint64_t)take8(s) << (v >> 4);
		if (ch != NULL) {
			ch->room = 1000;
			fake_signal(ch);
		}
		fake_pump(w->h);
		break;
	case 12:
		reopen(w, v >> 4);
		break;
	case 13:
		lun = v >> 4 & 7;
		if ((w->luns & 1u << lun) != 0) {
			check(hvh_scsi_detach(w->sc, lun) == 0, "detach");
			w->luns &= ~(1u << lun);
		} else {
			attach(w, lun, take8(s));
		}
		break;
	case 14:
		pkt[0] = 4 + take8(s) % 3;
		pkt[19] = v >> 4 & 7;
		if (ch == NULL)
			break;
		fake_put(ch, 6, true, ++w->xid, pkt, 64);
		sent(w, ch, false);
		break;
	case 15:
		fault(w, s);
		break;
	default:
		if (ch != NULL)
			srb(w, s, ch, v % 16 > 3);
		break;
	}
	collect(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size };
	struct hvh_scsi_params sp = { .max_subchannels = CHANNELS,
	    .max_transfer = 65536 };
	struct world w = { 0 };
	unsigned i, steps;

	w.h = fake_new(MEMORY);
	check(hvh_scsi_add(w.h, &sp, &w.sc) == 0, "add");
	attach(&w, 0, 1);
	attach(&w, 1, 8);
	check(fake_open(fake_chan(w.h, 0)) == 0, "open");
	w.open[0] = 1;
	/* Most scripts start with a controller that is ready. */
	steps = take8(&s);
	for (i = 0; i < 5 && (steps & 0x80) == 0; i++)
		initialize(&w);
	while (s.left > 0)
		record(&w, &s);
	if ((steps & 1) != 0) {
		hvh_scsi_remove(w.sc);
		for (i = 0; i < 4; i++)
			fake_pump(w.h);
		check(w.h->released == 1, "not released");
		check(w.h->timers == NULL, "a timer left");
	}
	fake_free(w.h);
	return (0);
}
