/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Fuzzer of the keyboard's provider: the input is a script of what a hostile
 * guest sends, and of what is typed meanwhile.  What must hold: each order that
 * was taken ends, once; packets to the guest are keys, answers or completions;
 * no more keys wait than there may.
 *
 * A row of records, the first byte modulo 8 saying which:
 *	0	the guest asks for a version
 *	1, 2	a raw packet
 *	3, 4	keys are typed
 *	5	time passes
 *	6	close and open
 *	7	the guest's ring is full, or has room again
 */

#include "fake_bus.h"
#include "hvhost_kbd.h"
#include "script.h"

static struct hvh *h;
static struct hvh_kbd *kbd;
static struct hvh_chan *ch;
static unsigned taken, ended;
static bool is_open;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
done(void *arg, int error)
{

	check(++ended <= taken + 1, "ended twice");
}

static void
collect(void)
{
	struct hvh_kbd_info ki;
	struct fake_pkt *p;

	while ((p = fake_get(ch)) != NULL) {
		check((p->type == 11 && p->len == 0) || (p->type == 6 &&
		    ((p->len == 8 && p->data[0] == 2) ||
		    (p->len == 12 && p->data[0] == 3))), "what is that?");
		fake_pkt_free(p);
	}
	hvh_kbd_get_info(kbd, &ki);
	check(ki.waiting <= HVH_KBD_WAITING, "too many wait");
	check((ki.lights & ~HVH_KBD_LIGHTS) == 0, "lights");
}

static void
ask(uint8_t v)
{
	const uint32_t m[2] = { 1, (v & 1) != 0 ? 0x10000 : v };

	fake_put(ch, 6, (v & 2) != 0, v, m, sizeof(m));
	fake_signal(ch);
}

static void
raw(struct script *s)
{
	static const uint16_t types[] = { 6, 6, 9, 11 };
	uint8_t buf[40], n = take8(s);

	take(s, buf, sizeof(buf));
	fake_put(ch, types[n >> 6], (n & 32) != 0, n, buf, n & 31);
	fake_signal(ch);
}

static void
type(struct script *s)
{
	struct hvh_key keys[256];
	unsigned n = take8(s), pause = take8(s);

	take(s, keys, 4 * sizeof(keys[0]));
	for (unsigned i = 4; i < 256; i++)
		keys[i] = keys[i % 4];
	if (hvh_kbd_type(kbd, keys, n, pause * 1000000u, done, NULL) == 0)
		taken++;
}

static void
record(struct script *s)
{
	uint8_t v = take8(s);

	switch (v % 8) {
	case 0:
		if (is_open)
			ask(v >> 3);
		break;
	case 1:
	case 2:
		if (is_open)
			raw(s);
		break;
	case 3:
	case 4:
		type(s);
		break;
	case 5:
		h->now += (uint64_t)take8(s) << (v >> 4 << 1);
		fake_pump(h);
		break;
	case 6:
		if (is_open)
			fake_close(ch);
		else
			check(fake_open(ch) == 0, "open");
		is_open = !is_open;
		break;
	default:
		ch->room = (v & 8) != 0 ? 0 : v;
		if (is_open)
			fake_signal(ch);
		break;
	}
	collect();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size };
	bool removed = (take8(&s) & 1) != 0;

	taken = ended = 0;
	h = fake_new(65536);
	check(hvh_kbd_add(h, &kbd) == 0, "add");
	ch = fake_chan(h, 0);
	check(fake_open(ch) == 0, "open");
	is_open = true;
	while (s.left > 0)
		record(&s);
	if (removed)
		hvh_kbd_remove(kbd);
	fake_free(h);
	check(taken == ended, "an order that never ended");
	return (0);
}
