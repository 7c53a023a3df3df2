/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of a network channel; see fake_netvsc.h.
 * protocol: netvsc, 3 and 4
 */

#include <atf-c.h>
#include <string.h>

#include "fake_netvsc.h"

void
nv_put16(uint8_t *p, uint16_t v)
{

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void
nv_put32(uint8_t *p, uint32_t v)
{

	nv_put16(p, (uint16_t)v);
	nv_put16(p + 2, (uint16_t)(v >> 16));
}

uint16_t
nv_get16(const uint8_t *p)
{

	return ((uint16_t)(p[0] | p[1] << 8));
}

uint32_t
nv_get32(const uint8_t *p)
{

	return (nv_get16(p) | (uint32_t)nv_get16(p + 2) << 16);
}

uint64_t
nv_get64(const uint8_t *p)
{

	return (nv_get32(p) | (uint64_t)nv_get32(p + 4) << 32);
}

uint16_t
nv_be16(const uint8_t *p)
{

	return ((uint16_t)(p[0] << 8 | p[1]));
}

void
nv_putbe16(uint8_t *p, uint16_t v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
nv_putbe32(uint8_t *p, uint32_t v)
{

	nv_putbe16(p, (uint16_t)(v >> 16));
	nv_putbe16(p + 2, (uint16_t)v);
}

/* --- Life --- */

void
nv_start(struct nv *v, uint32_t max_version, uint16_t channels)
{
	struct hvh_net_params np = {
		.mac = { 0x00, 0x15, 0x5d, 0x01, 0x02, 0x03 },
		.max_version = max_version,
		.max_channels = channels,
	};
	struct hvh_netbe *be[2];
	struct nv keep = *v;

	memset(v, 0, sizeof(*v));
	v->scattered = keep.scattered;
	v->mtu = keep.mtu != 0 ? keep.mtu : 1514;
	v->caps = keep.caps;
	v->xid = 0xabcd00000000;
	v->h = fake_new(NV_MEMORY);
	ATF_REQUIRE_EQ(0, hvh_netbe_pair(v->h, be));
	v->near = be[0];
	v->be = be[1];
	fake_nic_attach(&v->nic, v->be);
	np.be = be[0];
	np.instance.b[0] = 0x22;
	ATF_REQUIRE_EQ(0, hvh_net_add(v->h, &np, &v->na));
	v->ch = fake_chan(v->h, 0);
	v->rx = fake_share(v->h, NV_GPADL_RX, NV_RX, NV_RX_PAGES,
	    v->scattered);
	v->tx = fake_share(v->h, NV_GPADL_TX, NV_TX, NV_TX_PAGES,
	    v->scattered);
	ATF_REQUIRE_EQ(0, fake_open(v->ch));
}

void
nv_end(struct nv *v)
{

	hvh_net_remove(v->na);
	hvh_netbe_close(v->be);
	fake_nic_free(&v->nic);
	fake_free(v->h);
	v->mtu = 0;
	v->caps = 0;
	v->scattered = false;
}

void
nv_pump(struct nv *v)
{
	unsigned kicks;

	do {
		kicks = v->h->kicks;
		fake_pump(v->h);
	} while (v->h->kicks != kicks);
}

/* A channel that is shut does not answer: ours has been counted. */
bool
nv_shut(struct nv *v)
{

	return (v->h->stats.rings_corrupt != 0);
}

/* --- NVSP --- */

uint32_t
nv_msg(struct nv *v, const void *msg, uint32_t len, uint8_t *reply)
{
	struct fake_pkt *p;
	uint32_t n;

	fake_put(v->ch, 6, true, ++v->xid, msg, len);
	fake_signal(v->ch);
	p = fake_get(v->ch);
	if (p == NULL)
		return (NV_NONE);
	ATF_REQUIRE_EQ(11, p->type);
	ATF_REQUIRE_EQ(v->xid, p->xid);
	n = p->len;
	ATF_REQUIRE(n <= 40);
	if (reply != NULL)
		memcpy(reply, p->data, n);
	fake_pkt_free(p);
	return (n);
}

static void
put_words(uint8_t msg[40], uint32_t type, uint32_t a, uint32_t b, uint32_t c,
    uint32_t d)
{

	memset(msg, 0, 40);
	nv_put32(msg, type);
	nv_put32(msg + 4, a);
	nv_put32(msg + 8, b);
	nv_put32(msg + 12, c);
	nv_put32(msg + 16, d);
}

uint32_t
nv_words(struct nv *v, uint8_t *reply, uint32_t type, uint32_t a, uint32_t b,
    uint32_t c, uint32_t d)
{
	uint8_t msg[40];

	put_words(msg, type, a, b, c, d);
	return (nv_msg(v, msg, sizeof(msg), reply));
}

void
nv_tell(struct nv *v, uint32_t type, uint32_t a, uint32_t b, uint32_t c,
    uint32_t d)
{
	uint8_t msg[40];

	put_words(msg, type, a, b, c, d);
	fake_put(v->ch, 6, false, ++v->xid, msg, sizeof(msg));
	fake_signal(v->ch);
}

uint32_t
nv_init(struct nv *v, uint32_t version)
{
	uint8_t r[40];

	if (nv_words(v, r, 1, version, version, 0, 0) == NV_NONE)
		return (NV_NONE);
	ATF_CHECK_EQ(2, nv_get32(r));
	return (nv_get32(r + 12));
}

void
nv_setup(struct nv *v, uint32_t version)
{
	uint32_t size = version >= 0x60001 ? 40 : 28;
	uint8_t r[40];

	ATF_REQUIRE_EQ(1, nv_init(v, version));
	if (version >= 0x30002)
		nv_tell(v, 125, v->mtu, 0, (uint32_t)v->caps, 0);
	nv_tell(v, 100, 6, version >= 0x50000 ? 30 : 1, 0, 0);
	ATF_REQUIRE_EQ(size, nv_words(v, r, 101, NV_GPADL_RX, 0xcafe, 0, 0));
	ATF_REQUIRE_EQ(102, nv_get32(r));
	ATF_REQUIRE_EQ(1, nv_get32(r + 4));
	ATF_REQUIRE_EQ(1, nv_get32(r + 8));
	v->slot_size = nv_get32(r + 16);
	v->slots = nv_get32(r + 20);
	ATF_REQUIRE_EQ(size, nv_words(v, r, 104, NV_GPADL_TX, 0xface, 0, 0));
	ATF_REQUIRE_EQ(105, nv_get32(r));
	ATF_REQUIRE_EQ(1, nv_get32(r + 4));
	ATF_REQUIRE_EQ(NV_SECTION, nv_get32(r + 8));
}

void
nv_up(struct nv *v, uint32_t version)
{
	uint8_t m[24] = { 2 }, r[2048];

	nv_setup(v, version);
	m[4] = sizeof(m);
	nv_put32(m + 8, ++v->request);
	nv_put32(m + 12, 1);
	nv_put32(m + 20, 2048);
	ATF_REQUIRE_EQ(52, nv_control(v, m, sizeof(m), r));
	ATF_REQUIRE_EQ(0x80000002u, nv_get32(r));
	ATF_REQUIRE_EQ(v->request, nv_get32(r + 8));
	ATF_REQUIRE_EQ(0, nv_get32(r + 12));
}

/* --- RNDIS out --- */

/* Guest memory of the send buffer, wherever its pages are. */
static void
tx_write(struct nv *v, uint32_t ofs, const void *data, uint32_t len)
{
	const uint8_t *from = data;

	for (uint32_t i = 0; i < len; i++)
		v->tx->pages[(ofs + i) / 4096][(ofs + i) % 4096] = from[i];
}

void
nv_section_put(struct nv *v, struct hvh_chan *ch, uint32_t type, uint32_t sec,
    const void *data, uint32_t len)
{
	uint8_t msg[40];

	tx_write(v, sec * NV_SECTION, data, len);
	put_words(msg, 107, type, sec, len, 0);
	fake_put(ch, 6, true, ++v->xid, msg, sizeof(msg));
}

uint32_t
nv_status(struct hvh_chan *ch, uint64_t xid)
{
	struct fake_pkt *p;
	uint32_t status;

	p = fake_get(ch);
	if (p == NULL)
		return (NV_NONE);
	ATF_REQUIRE_EQ(11, p->type);
	ATF_REQUIRE_EQ(xid, p->xid);
	ATF_REQUIRE(p->len == 28 || p->len == 40);
	ATF_REQUIRE_EQ(108, nv_get32(p->data));
	status = nv_get32(p->data + 4);
	fake_pkt_free(p);
	return (status);
}

uint32_t
nv_section(struct nv *v, struct hvh_chan *ch, uint32_t type, uint32_t sec,
    const void *data, uint32_t len)
{

	nv_section_put(v, ch, type, sec, data, len);
	fake_signal(ch);
	return (nv_status(ch, v->xid));
}

uint32_t
nv_ppi(uint8_t *buf, uint32_t type, uint32_t value)
{

	nv_put32(buf, 16);
	nv_put32(buf + 4, type);
	nv_put32(buf + 8, 12);
	nv_put32(buf + 12, value);
	return (16);
}

uint32_t
nv_encap(uint8_t *buf, const void *ppis, uint32_t ppilen, const void *frame,
    uint32_t len, uint32_t pad)
{
	uint32_t total = 44 + ppilen + len;

	total = (total + pad - 1) / pad * pad;
	memset(buf, 0, total);
	nv_put32(buf, 1);
	nv_put32(buf + 4, total);
	nv_put32(buf + 8, 36 + ppilen);
	nv_put32(buf + 12, len);
	if (ppilen > 0) {
		nv_put32(buf + 28, 36);
		nv_put32(buf + 32, ppilen);
		memcpy(buf + 44, ppis, ppilen);
	}
	memcpy(buf + 44 + ppilen, frame, len);
	return (total);
}

/* --- RNDIS in --- */

bool
nv_xfer(struct hvh_chan *ch, struct nv_xfer *x)
{
	struct fake_pkt *p;
	uint32_t at, i;

	p = fake_get(ch);
	if (p == NULL)
		return (false);
	ATF_REQUIRE_EQ(7, p->type);
	ATF_REQUIRE_MSG(p->wants_completion, "slots that never come back");
	ATF_REQUIRE_EQ(0xcafe, nv_get16(p->data));
	x->xid = p->xid;
	x->n = nv_get32(p->data + 4);
	ATF_REQUIRE(x->n > 0 && x->n <= 562);
	at = 8 + x->n * 8;
	ATF_REQUIRE(p->len == at + 28 || p->len == at + 40);
	for (i = 0; i < x->n; i++) {
		x->range[i].len = nv_get32(p->data + 8 + i * 8);
		x->range[i].ofs = nv_get32(p->data + 12 + i * 8);
	}
	ATF_REQUIRE_EQ(107, nv_get32(p->data + at));
	x->type = nv_get32(p->data + at + 4);
	ATF_REQUIRE_EQ(0xffffffffu, nv_get32(p->data + at + 8));
	ATF_REQUIRE_EQ(0, nv_get32(p->data + at + 12));
	fake_pkt_free(p);
	return (true);
}

void
nv_return(struct hvh_chan *ch, uint64_t xid)
{
	uint8_t msg[40];

	put_words(msg, 108, 1, 0, 0, 0);
	fake_put(ch, 11, false, xid, msg, sizeof(msg));
	fake_signal(ch);
}

const uint8_t *
nv_slot(struct nv *v, const struct nv_xfer *x, uint32_t i)
{
	static uint8_t copy[600][16384];
	uint32_t len = x->range[i].len, ofs = x->range[i].ofs, k;

	ATF_REQUIRE(len <= v->slot_size && ofs <= NV_RX_PAGES * 4096 - len);
	ATF_REQUIRE_EQ(0, ofs % v->slot_size);
	for (k = 0; k < len; k++)
		copy[i][k] = v->rx->pages[(ofs + k) / 4096][(ofs + k) % 4096];
	return (copy[i]);
}

static void
parse_ppi(const uint8_t *ppi, struct nv_packet *p)
{
	uint32_t type = nv_get32(ppi + 4), value = nv_get32(ppi + 12);

	ATF_REQUIRE_EQ(16, nv_get32(ppi));
	ATF_REQUIRE_EQ(12, nv_get32(ppi + 8));
	switch (type) {
	case 0:
		p->has_csum = true;
		p->csum = value;
		break;
	case 6:
		p->has_vlan = true;
		p->vlan = value;
		break;
	case 8:
		p->has_hash = true;
		p->hash = value;
		break;
	case 9:
		p->hash_info = value;
		break;
	case 0x80000001u:
		p->has_id = true;
		ATF_CHECK_EQ(1, ppi[12]);
		p->id_flags = ppi[13];
		p->id = nv_get16(ppi + 14);
		break;
	default:
		atf_tc_fail("per-packet information %x", type);
	}
}

void
nv_packet(struct nv *v, const struct nv_xfer *x, uint32_t i,
    struct nv_packet *p)
{
	const uint8_t *m = nv_slot(v, x, i);
	uint32_t at, data, end, len = x->range[i].len;

	memset(p, 0, sizeof(*p));
	ATF_REQUIRE_EQ(0, x->type);
	ATF_REQUIRE_EQ(v->slot_size, len);
	ATF_REQUIRE_EQ(1, nv_get32(m));
	ATF_REQUIRE_EQ(len, nv_get32(m + 4));
	data = 8 + nv_get32(m + 8);
	p->len = nv_get32(m + 12);
	ATF_REQUIRE(data >= 256 && p->len > 0 && data + p->len <= len);
	for (at = 16; at <= 40; at += 4) {
		if (at != 28 && at != 32)
			ATF_CHECK_EQ(0, nv_get32(m + at));
	}
	p->data = m + data;
	at = 8 + nv_get32(m + 28);
	end = at + nv_get32(m + 32);
	if (nv_get32(m + 32) == 0)
		return;
	ATF_REQUIRE_EQ(44, at);
	ATF_REQUIRE(end <= data);
	for (; at < end; at += 16)
		parse_ppi(m + at, p);
	ATF_REQUIRE_EQ(end, at);
}

uint32_t
nv_indication(struct nv *v, uint8_t *msg)
{
	struct nv_xfer x;

	if (!nv_xfer(v->ch, &x))
		return (NV_NONE);
	ATF_REQUIRE_EQ(1, x.type);
	ATF_REQUIRE_EQ(1, x.n);
	memcpy(msg, nv_slot(v, &x, 0), x.range[0].len);
	nv_return(v->ch, x.xid);
	return (x.range[0].len);
}

uint32_t
nv_control(struct nv *v, const void *msg, uint32_t len, uint8_t *reply)
{

	ATF_REQUIRE_EQ(1, nv_section(v, v->ch, 1, 0, msg, len));
	return (nv_indication(v, reply));
}

static void
put_request(struct nv *v, uint8_t *m, uint32_t type, uint32_t oid,
    const void *info, uint32_t len)
{

	nv_put32(m, type);
	nv_put32(m + 4, 28 + len);
	nv_put32(m + 8, ++v->request);
	nv_put32(m + 12, oid);
	nv_put32(m + 16, len);
	nv_put32(m + 20, 20);
	nv_put32(m + 24, 0);
	memcpy(m + 28, info, len);
}

uint32_t
nv_query(struct nv *v, uint32_t oid, uint8_t *info, uint32_t *len)
{
	uint8_t m[28], r[2048];
	uint32_t n;

	put_request(v, m, 4, oid, "", 0);
	n = nv_control(v, m, sizeof(m), r);
	ATF_REQUIRE(n >= 24 && n != NV_NONE);
	ATF_REQUIRE_EQ(0x80000004u, nv_get32(r));
	ATF_REQUIRE_EQ(n, nv_get32(r + 4));
	ATF_REQUIRE_EQ(v->request, nv_get32(r + 8));
	ATF_REQUIRE_EQ(n - 24, nv_get32(r + 16));
	ATF_REQUIRE_EQ(16, nv_get32(r + 20));
	*len = n - 24;
	memcpy(info, r + 24, n - 24);
	return (nv_get32(r + 12));
}

uint32_t
nv_query32(struct nv *v, uint32_t oid)
{
	uint8_t info[2048];
	uint32_t len;

	ATF_REQUIRE_EQ_MSG(0, nv_query(v, oid, info, &len), "OID %08x", oid);
	ATF_REQUIRE_EQ(4, len);
	return (nv_get32(info));
}

uint32_t
nv_set(struct nv *v, uint32_t oid, const void *info, uint32_t len)
{
	uint8_t m[4096], r[2048];

	put_request(v, m, 5, oid, info, len);
	ATF_REQUIRE_EQ(16, nv_control(v, m, 28 + len, r));
	ATF_REQUIRE_EQ(0x80000005u, nv_get32(r));
	ATF_REQUIRE_EQ(v->request, nv_get32(r + 8));
	return (nv_get32(r + 12));
}

uint32_t
nv_set32(struct nv *v, uint32_t oid, uint32_t value)
{
	uint8_t info[4];

	nv_put32(info, value);
	return (nv_set(v, oid, info, sizeof(info)));
}

/* --- Frames --- */

static uint16_t
l4_sum(const uint8_t *frame)
{
	bool v4 = nv_be16(frame + 12) == 0x0800;
	uint32_t ip = 14, l4 = v4 ? 34 : 54, len, sum;

	len = v4 ? nv_be16(frame + ip + 2) - 20u : nv_be16(frame + ip + 4);
	sum = fake_sum(0, frame + (v4 ? ip + 12 : ip + 8), v4 ? 8 : 32);
	sum += frame[v4 ? ip + 9 : ip + 6] + len;
	return (fake_sum(sum, frame + l4, len));
}

bool
nv_ip_right(const uint8_t *frame)
{

	return (fake_sum(0, frame + 14, 20) == 0xffff);
}

bool
nv_l4_right(const uint8_t *frame)
{

	return (l4_sum(frame) == 0xffff);
}

uint32_t
nv_frame(uint8_t *buf, unsigned ip, unsigned proto, uint32_t len)
{
	uint32_t l3 = ip == 4 ? 20 : 40, l4 = proto == 6 ? 20 : 8, at, i;
	uint8_t *p = buf;

	memset(buf, 0, 14 + l3 + l4);
	memcpy(p, "\x00\x15\x5d\x01\x02\x03\x02\x00\x00\x00\x00\x09", 12);
	nv_putbe16(p + 12, ip == 4 ? 0x0800 : 0x86dd);
	p += 14;
	if (ip == 4) {
		p[0] = 0x45;
		nv_putbe16(p + 2, (uint16_t)(l3 + l4 + len));
		nv_putbe16(p + 4, 0x4321);
		p[8] = 64;
		p[9] = (uint8_t)proto;
		memcpy(p + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
		nv_putbe16(p + 10, (uint16_t)~fake_sum(0, p, 20));
	} else {
		p[0] = 0x60;
		nv_putbe16(p + 4, (uint16_t)(l4 + len));
		p[6] = (uint8_t)proto;
		p[7] = 64;
		for (i = 0; i < 32; i++)
			p[8 + i] = (uint8_t)(i * 7 + 1);
	}
	p += l3;
	nv_putbe16(p, 4660);
	nv_putbe16(p + 2, 80);
	if (proto == 6) {
		nv_putbe32(p + 4, 0xfffffff0u);
		p[12] = 0x50;
		p[13] = 0x18;
		nv_putbe16(p + 14, 4096);
		at = 16;
	} else {
		nv_putbe16(p + 4, (uint16_t)(l4 + len));
		at = 6;
	}
	for (i = 0; i < len; i++)
		p[l4 + i] = (uint8_t)(i * 31 + (i >> 8));
	nv_putbe16(p + at, (uint16_t)~l4_sum(buf));
	return (14 + l3 + l4 + len);
}

/* --- Frames to the guest --- */

void
nv_begin(struct nv *v, uint32_t version, uint32_t filter)
{

	nv_start(v, 0, 8);
	nv_up(v, version);
	ATF_REQUIRE_EQ(0, nv_set32(v, 0x1010e, filter));
}

void
nv_deliver(struct nv *v, const void *data, uint32_t len,
    const struct net_meta *m)
{
	static const struct net_meta none;

	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&v->nic, data, len,
	    m != NULL ? m : &none));
	nv_pump(v);
}

void
nv_one(struct nv *v, struct hvh_chan *ch, struct nv_packet *p)
{
	struct nv_xfer x;

	ATF_REQUIRE(nv_xfer(ch, &x));
	ATF_REQUIRE_EQ(1, x.n);
	nv_packet(v, &x, 0, p);
	nv_return(ch, x.xid);
	ATF_REQUIRE(!nv_shut(v));
}

void
nv_none(struct nv *v)
{
	struct nv_xfer x;

	ATF_REQUIRE(!nv_xfer(v->ch, &x));
}
