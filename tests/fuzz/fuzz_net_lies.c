/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Lies of a network host; see fuzz_net_lies.h.  All begin as something that
 * makes sense, so that what is wrong with them is found late.
 */

#include <string.h>

#include "fuzz_net_lies.h"
#include "fuzz_vm.h"
#include "vmbus/bus.h"

#define	RANGES_MAX	40
#define	MESSAGE_MAX	1800u
#define	STORM		100

struct transfer {
	struct nvsp_xfer_head head;
	struct nvsp_xfer_range range[RANGES_MAX];
	uint8_t		 message[40];
};

static uint32_t
take32(void)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++)
		v = v << 8 | fuzz_take();
	return (v);
}

static void
put32(uint8_t *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

/* A number that is often near a limit. */
static uint32_t
number(uint32_t limit)
{
	uint8_t how = fuzz_take();

	switch (how % 4) {
	case 0:
		return (limit + (how >> 2) - 32);
	case 1:
		return (how >> 2);
	case 2:
		return (0u - (how >> 2));
	default:
		return (take32());
	}
}

uint32_t
net_lies_frame(uint8_t *f, uint32_t max)
{
	uint8_t how = fuzz_take(), n = fuzz_take();
	uint32_t l3 = 14 + (how & 1 ? 4 : 0), l4, len, body;
	bool six = (how & 2) != 0;
	size_t peek;

	len = 64 + n * (how & 0x10 ? 60u : 3u);
	if (len > max)
		len = max;
	memset(f, n, len);
	memcpy(f, "\0\x15\x5d\0\0\1\2\0\0\0\0\7", 12);
	if ((how & 1) != 0)
		memcpy(f + 12, "\x81\0\0\x07", 4);
	memcpy(f + l3 - 2, six ? "\x86\xdd" : "\x08\0", 2);
	l4 = l3 + (six ? 40 : 20);
	body = len - (six ? l4 : l3);
	f[l3] = six ? 0x60 : 0x45;
	f[l3 + (six ? 4 : 2)] = (uint8_t)(body >> 8);
	f[l3 + (six ? 5 : 3)] = (uint8_t)body;
	f[l3 + (six ? 6 : 9)] = how & 4 ? 17 : 6;
	if (!six)
		f[l3 + 6] = f[l3 + 7] = 0;
	if (l4 + 12 < len)
		f[l4 + 12] = 0x50;
	peek = len < 80 ? len : 80;
	fuzz_mutate(f, &peek);
	return (len);
}

/* A packet message whose frame stands where the provider puts it. */
static uint32_t
packet(uint8_t *m)
{
	static const uint32_t types[] = { 0, 6, 8, 9, 0x80000001, 2, 4,
	    0x80000001 };
	uint8_t how = fuzz_take();
	uint32_t at = 44, n, len;

	for (n = how & 7; n > 0; n--) {
		memset(m + at, 0, 16);
		put32(m + at, how & 8 ? number(16) : 16);
		put32(m + at + 4, types[fuzz_take() % NITEMS(types)]);
		put32(m + at + 8, how & 16 ? number(12) : 12);
		put32(m + at + 12, take32());
		at += 16;
	}
	memset(m, 0, 44);
	len = net_lies_frame(m + at, MESSAGE_MAX - at);
	put32(m, 1);
	put32(m + 4, at + len);
	put32(m + 8, at - 8);
	put32(m + 12, len);
	if (at > 44) {
		put32(m + 28, 36);
		put32(m + 32, at - 44);
	}
	if ((how & 0x20) != 0)
		put32(m + 4 + fuzz_take() % 10 * 4, number(at + len));
	return (at + len);
}

/* What a host sends unasked, or in answer to a request there may be. */
static uint32_t
control(uint8_t *m)
{
	static const uint32_t types[] = { 7, 7, 8, 0x80000002, 0x80000004,
	    0x80000005, 0x80000006, 0x80000008, 6, 3, 0x80000004, 7 };
	static const uint32_t statuses[] = { 0x4001000b, 0x4001000c,
	    0x40010013, 0x40010018, 0x40020006, 0x4001001f, 0xc0010015 };
	uint32_t type = types[fuzz_take() % NITEMS(types)];
	uint32_t len = 28 + fuzz_take() % 64u * 4;

	memset(m, 0, len);
	put32(m, type);
	put32(m + 4, len);
	if (type == 7) {
		put32(m + 8, statuses[fuzz_take() % NITEMS(statuses)]);
		put32(m + 12, len - 28);
		put32(m + 16, len > 28 ? 20 : 0);
	} else {
		/* Request ids of the driver count in the upper half. */
		put32(m + 8, (uint32_t)fuzz_take() << 16);
		put32(m + 16, len - 28);
		put32(m + 20, 20);
		for (uint32_t i = 24; i < len && fuzz_left() > 0; i += 4)
			put32(m + i, fuzz_take());
	}
	if ((fuzz_take() & 1) != 0)
		put32(m + 4 + fuzz_take() % 5 * 4, number(len));
	return (len);
}

static void
write_packet(struct hvh_chan *ch, uint16_t type, uint16_t hdr, uint64_t xid,
    const void *data, uint32_t len)
{
	struct vms_pkt desc = { .vp_type = type, .vp_xid = xid,
	    .vp_offset = (uint16_t)((sizeof(desc) + hdr) / 8),
	    .vp_len = (uint16_t)((sizeof(desc) + len + 7) / 8),
	    .vp_flags = type == PKT_XFERPAGES };
	uint8_t how = fuzz_take();

	if ((how & 0xf0) == 0xf0)
		desc.vp_offset = (uint16_t)number(desc.vp_offset);
	/* The ring makes no sense from here on. */
	if (how == 0xef)
		desc.vp_len = (uint16_t)number(desc.vp_len);
	(void)hvh_chan_put(ch, &desc, data, len);
}

static void
tell_transfer(struct hvh_net *na, struct hvh_chan *ch)
{
	uint8_t how = fuzz_take(), buf[MESSAGE_MAX];
	struct transfer t = { .head = { .set = na->rx_id } };
	uint32_t i, n = 1 + (how & 7), len, slot, hdr;

	if (na->rx == NULL || na->nslots == 0)
		return;
	if ((how & 0x18) == 0x18)
		n = RANGES_MAX;
	for (i = 0; i < n; i++) {
		slot = fuzz_take() % na->nslots;
		len = how & 0x20 ? control(buf) : packet(buf);
		if (len > na->slot_size)
			len = na->slot_size;
		if ((how & 0x40) == 0 || i == 0)
			nvsp_slot_write(na, slot, 0, buf, len);
		t.range[i].len = len;
		t.range[i].offset = slot * na->slot_size;
		if ((how & 0x80) != 0 && (fuzz_take() & 3) == 0) {
			t.range[i].len = number(len);
			t.range[i].offset = number(na->rx->npages * 4096);
		}
	}
	t.head.count = n;
	hdr = (uint32_t)(sizeof(t.head) + n * sizeof(t.range[0]));
	if ((how & 0x80) != 0 && (fuzz_take() & 7) == 0)
		t.head.count = number(n);
	put32((uint8_t *)&t + hdr, NVSP_RNDIS_PACKET);
	write_packet(ch, PKT_XFERPAGES, (uint16_t)hdr,
	    (uint64_t)fuzz_take() << (fuzz_take() & 0x38), &t,
	    hdr + (uint32_t)sizeof(t.message));
}

/* Answers to sends, of which there may be such, and to control messages. */
static void
tell_completion(struct hvh_net *na, struct hvh_chan *ch)
{
	static const uint32_t types[] = { NVSP_RNDIS_PACKET_COMPLETE,
	    NVSP_RNDIS_PACKET_COMPLETE, NVSP_INIT_COMPLETE,
	    NVSP_RECEIVE_BUFFER_COMPLETE, NVSP_SEND_BUFFER_COMPLETE,
	    NVSP_SUB_CHANNEL, 0 };
	uint8_t how = fuzz_take(), msg[40] = { 0 };
	uint64_t index = fuzz_take() % 48, gen = fuzz_take() % 32;
	uint32_t len = how & 0x10 ? fuzz_take() % 41u : 40;

	if ((how & 0xe0) == 0xe0)
		index = (how & 1) != 0 ? 0xffffffff : 0xfffffffe;
	put32(msg, types[how % NITEMS(types)]);
	put32(msg + 4, fuzz_take());
	put32(msg + 8, fuzz_take());
	write_packet(ch, PKT_COMPLETION, 0, gen << 32 | index, msg, len);
}

static void
tell_notice(struct hvh_net *na, struct hvh_chan *ch)
{
	static const uint32_t types[] = { NVSP_INDIRECTION_TABLE,
	    NVSP_INDIRECTION_TABLE, NVSP_VF_ASSOCIATION,
	    NVSP_SWITCH_DATA_PATH, NVSP_REVOKE_RECEIVE_BUFFER,
	    NVSP_REVOKE_SEND_BUFFER, 200 };
	uint8_t how = fuzz_take(), msg[20 + 16 * 4] = { 0 };
	uint32_t type = types[how % NITEMS(types)];
	size_t len = sizeof(msg);

	put32(msg, type);
	if (type == NVSP_INDIRECTION_TABLE) {
		put32(msg + 4, how & 0x10 ? number(16) : 16);
		put32(msg + 8, how & 0x20 ? number(12) : 12);
		for (unsigned i = 0; i < 16; i++)
			put32(msg + (how & 0x40 ? 20 : 12) + i * 4,
			    how & 0x80 ? number(na->channels) : i & 1);
	} else {
		put32(msg + 4, fuzz_take() & 1);
		put32(msg + 8, fuzz_take());
		len = 40;
	}
	fuzz_mutate(msg, &len);
	write_packet(ch, PKT_INBAND, 0, fuzz_take(), msg, (uint32_t)len);
}

/* The same indication, and nothing in between. */
static void
tell_storm(struct hvh_net *na, struct hvh_chan *ch)
{
	uint8_t msg[MESSAGE_MAX];
	uint32_t n = fuzz_take() % STORM, len = control(msg);

	for (; n > 0; n--)
		(void)rndis_send(na, msg, len);
	nvsp_drain(hvh_chan_data(ch));
}

void
net_lies_tell(struct hvh_net *na)
{
	uint8_t how = fuzz_take();
	struct nvsp_chan *c;

	hvh_lock(na->h);
	c = na->gone ? NULL : na->chans[how >> 4 & 3];
	if (c != NULL && hvh_chan_is_open(c->ch)) {
		switch (how & 15) {
		case 0:
		case 1:
		case 2:
			tell_completion(na, c->ch);
			break;
		case 3:
		case 4:
			tell_notice(na, c->ch);
			break;
		case 5:
			tell_storm(na, c->ch);
			break;
		default:
			tell_transfer(na, c->ch);
			break;
		}
	}
	hvh_unlock(na->h);
}
