/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packet messages of the host as they may come: right ones, and ones with each
 * field out of place; and ours, byte by byte (protocol: netvsc, sections 4.2
 * and 4.4).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/malloc.h>

#include <dev/hyperv/netvsc/hn_packet.h>

#include "ktest.h"

/* A message as hosts send it: information at 44, a frame of 60 bytes at 256. */
#define	MSG_LEN		1792
#define	FRAME_OFS	256
#define	FRAME_LEN	60
#define	PPI_OFS		44

/* Fields of the header, by offset. */
#define	F_TYPE		0
#define	F_LEN		4
#define	F_DATAOFS	8
#define	F_DATALEN	12
#define	F_OOBOFS	16
#define	F_OOBLEN	20
#define	F_PPIOFS	28
#define	F_PPILEN	32

static uint8_t msg[MSG_LEN] __aligned(8);
static struct hn_rxinfo ri;

static void
put(uint32_t ofs, uint32_t value)
{

	le32enc(msg + ofs, value);
}

static void
begin(void)
{

	memset(msg, 0, sizeof(msg));
	put(F_TYPE, 1);
	put(F_LEN, MSG_LEN);
	put(F_DATAOFS, FRAME_OFS - 8);
	put(F_DATALEN, FRAME_LEN);
}

/* Puts an entry where the last one ended. */
static void
ppi(uint32_t size, uint32_t type, uint32_t ofs, uint32_t data)
{
	uint32_t len;

	len = le32dec(msg + F_PPILEN);
	put(F_PPIOFS, PPI_OFS - 8);
	put(PPI_OFS + len, size);
	put(PPI_OFS + len + 4, type);
	put(PPI_OFS + len + 8, ofs);
	put(PPI_OFS + len + 12, data);
	put(F_PPILEN, len + size);
}

static int
parse(void)
{

	memset(&ri, 0xee, sizeof(ri));
	return (hn_packet_parse(msg, MSG_LEN, &ri));
}

/* Whether the message is refused with this in this field, and only so. */
static bool
refused(uint32_t ofs, uint32_t value)
{
	uint32_t old;
	bool bad;

	old = le32dec(msg + ofs);
	if (parse() != 0)
		return (false);
	put(ofs, value);
	bad = parse() == EINVAL;
	put(ofs, old);
	return (bad);
}

KTEST(hn_packet_plain, "a frame without information")
{

	begin();
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_ofs, FRAME_OFS);
	KT_EQ(ri.ri_len, FRAME_LEN);
	KT_EQ(ri.ri_have, 0);
}

KTEST(hn_packet_info, "every kind of information")
{

	begin();
	ppi(16, 0, 12, 0x28);
	ppi(16, 6, 12, 0x1235);
	ppi(16, 8, 12, 0xcafef00d);
	ppi(16, 9, 12, 0x201);
	ppi(16, 0x80000001, 12, 0x00070201);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_have, HN_RXI_CSUM | HN_RXI_VLAN | HN_RXI_HASH |
	    HN_RXI_PIECE);
	KT_EQ(ri.ri_csum, 0x28);
	/* Priority 5 and id 0x123, in the order of a tag. */
	KT_EQ(ri.ri_vtag, 0xa123);
	KT_EQ(ri.ri_hash, 0xcafef00d);
	KT_EQ(ri.ri_hashinfo, 0x201);
	KT_EQ(ri.ri_rscflags, 2);
	KT_EQ(ri.ri_rscid, 7);
}

KTEST(hn_packet_internal, "the internal bit is another name space")
{

	begin();
	ppi(16, 0x80000000, 12, 0x28);
	ppi(16, 1, 12, 0x00070201);
	ppi(12, 0x1234, 12, 0);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_have, 0);
}

KTEST(hn_packet_ppi_ofs, "data are where the entry says")
{

	begin();
	ppi(24, 0, 16, 0);
	put(PPI_OFS + 16, 0x20);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_csum, 0x20);
	/* None of it left: an entry without data is no information. */
	put(PPI_OFS + 8, 24);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_have, 0);
}

KTEST(hn_packet_length, "lengths of the message")
{

	begin();
	KT_CHECK(refused(F_TYPE, 2));
	KT_CHECK(refused(F_TYPE, 0x80000001));
	KT_CHECK(refused(F_LEN, MSG_LEN + 1));
	KT_CHECK(refused(F_LEN, 0xffffffff));
	KT_CHECK(refused(F_LEN, 43));
	KT_CHECK(refused(F_LEN, 0));
	/* One byte short of the frame. */
	KT_CHECK(refused(F_LEN, FRAME_OFS + FRAME_LEN - 1));
	put(F_LEN, FRAME_OFS + FRAME_LEN);
	KT_EQ(parse(), 0);
	KT_EQ(hn_packet_parse(msg, 43, &ri), EINVAL);
	KT_EQ(hn_packet_parse(msg, 0, &ri), EINVAL);
	KT_EQ(hn_packet_parse(msg, FRAME_OFS + FRAME_LEN - 1, &ri), EINVAL);
	KT_EQ(hn_packet_parse(msg, FRAME_OFS + FRAME_LEN, &ri), 0);
}

KTEST(hn_packet_data, "frames that are not in the message")
{

	begin();
	KT_CHECK(refused(F_DATALEN, 0));
	KT_CHECK(refused(F_DATALEN, 13));
	KT_CHECK(refused(F_DATALEN, MSG_LEN - FRAME_OFS + 1));
	KT_CHECK(refused(F_DATALEN, 0xffffffff));
	KT_CHECK(refused(F_DATAOFS, 35));
	KT_CHECK(refused(F_DATAOFS, 0));
	KT_CHECK(refused(F_DATAOFS, MSG_LEN - 8 - FRAME_LEN + 1));
	/* A sum that only wraps fits. */
	KT_CHECK(refused(F_DATAOFS, 0xfffffff8));
	KT_CHECK(refused(F_DATAOFS, 0xffffffff - FRAME_LEN + 1));
	/* The ends of what is allowed; frames need not be aligned. */
	put(F_DATAOFS, MSG_LEN - 8 - FRAME_LEN);
	KT_EQ(parse(), 0);
	put(F_DATAOFS, 37);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_ofs, 45);
}

KTEST(hn_packet_overlap, "areas that overlap")
{

	begin();
	ppi(16, 0, 12, 0);
	ppi(16, 6, 12, 0);
	/* The frame begins in the information, or holds it. */
	KT_CHECK(refused(F_DATAOFS, PPI_OFS - 8 + 31));
	put(F_DATAOFS, PPI_OFS - 8 + 32);
	KT_EQ(parse(), 0);
	KT_CHECK(refused(F_PPIOFS, FRAME_OFS - 8 + 8));
	begin();
	put(F_OOBOFS, FRAME_OFS - 8 - 16);
	put(F_OOBLEN, 16);
	KT_EQ(parse(), 0);
	KT_CHECK(refused(F_OOBLEN, 17));
	KT_CHECK(refused(F_OOBOFS, FRAME_OFS - 8 + FRAME_LEN - 4));
	ppi(16, 0, 12, 0);
	KT_CHECK(refused(F_OOBOFS, PPI_OFS - 8));
}

KTEST(hn_packet_areas, "information and out-of-band data elsewhere")
{

	begin();
	ppi(16, 0, 12, 0);
	KT_CHECK(refused(F_PPIOFS, 0));
	KT_CHECK(refused(F_PPIOFS, 32));
	KT_CHECK(refused(F_PPIOFS, 38));
	KT_CHECK(refused(F_PPIOFS, MSG_LEN - 8 - 12));
	KT_CHECK(refused(F_PPIOFS, 0xfffffffc));
	KT_CHECK(refused(F_PPILEN, MSG_LEN));
	KT_CHECK(refused(F_PPILEN, 0xffffffff));
	KT_CHECK(refused(F_OOBLEN, 0xffffffff));
	KT_CHECK(refused(F_OOBLEN, 4));
	KT_CHECK(refused(F_OOBOFS, 32));
	KT_CHECK(refused(F_OOBOFS, 37));
}

KTEST(hn_packet_ppi_bad, "chains that loop, leave the area or have holes")
{
	static const uint32_t sizes[] = {
		0, 4, 8, 11, 13, 14, 15, 17, 20, 0x10000, 0xfffffff0,
		0xffffffff
	};
	u_int i;

	begin();
	ppi(16, 0, 12, 0);
	for (i = 0; i < nitems(sizes); i++)
		KT_CHECK(refused(PPI_OFS, sizes[i]));
	KT_CHECK(refused(PPI_OFS + 8, 0));
	KT_CHECK(refused(PPI_OFS + 8, 8));
	KT_CHECK(refused(PPI_OFS + 8, 13));
	KT_CHECK(refused(PPI_OFS + 8, 20));
	KT_CHECK(refused(PPI_OFS + 8, 0xfffffffc));
	/* Bytes after the last entry that are none. */
	KT_CHECK(refused(F_PPILEN, 20));
	KT_CHECK(refused(F_PPILEN, 12));
	KT_CHECK(refused(F_PPILEN, 8));
}

KTEST(hn_packet_ppi_many, "the number of entries is limited")
{
	u_int i;

	begin();
	put(F_DATAOFS, PPI_OFS - 8 + 1040);
	for (i = 0; i < 64; i++)
		ppi(16, 0x100, 12, 0);
	KT_EQ(parse(), 0);
	ppi(16, 0x100, 12, 0);
	KT_EQ(parse(), EINVAL);
}

KTEST(hn_packet_piece, "a piece may be shorter than a header")
{

	begin();
	put(F_DATALEN, 1);
	KT_EQ(parse(), EINVAL);
	ppi(16, 0x80000001, 12, 0x00070001);
	KT_EQ(parse(), 0);
	KT_EQ(ri.ri_len, 1);
	KT_EQ(ri.ri_rscflags, 0);
}

KTEST(hn_packet_frame_max, "no frame is longer than IP can be")
{
	uint8_t *big;
	uint32_t len;

	len = FRAME_OFS + HN_FRAME_MAX + 1;
	big = malloc(len, M_TEMP, M_WAITOK | M_ZERO);
	begin();
	memcpy(big, msg, FRAME_OFS);
	le32enc(big + F_LEN, len);
	le32enc(big + F_DATALEN, 65535 + 18);
	KT_EQ(hn_packet_parse(big, len, &ri), 0);
	le32enc(big + F_DATALEN, 65535 + 19);
	KT_EQ(hn_packet_parse(big, len, &ri), EINVAL);
	free(big, M_TEMP);
}

KTEST(hn_packet_build_plain, "a message without information")
{
	static const uint8_t want[44] = {
		1, 0, 0, 0, 44 + 60, 0, 0, 0, 36, 0, 0, 0, 60
	};
	struct hn_txinfo ti = { .ti_have = 0 };

	memset(msg, 0xee, sizeof(msg));
	KT_EQ(hn_packet_hdrlen(&ti), 44);
	KT_EQ(hn_packet_build(msg, &ti, 60, 0), 44);
	KT_EQ(memcmp(msg, want, sizeof(want)), 0);
	KT_EQ(msg[44], 0xee);
}

KTEST(hn_packet_build_all, "hash, tag and offload, in this order")
{
	static const uint8_t want[92] = {
		1, 0, 0, 0, 92 + 61 + 3, 0, 0, 0, 84, 0, 0, 0, 61, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 36, 0, 0, 0, 48, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0,
		16, 0, 0, 0, 8, 0, 0, 0, 12, 0, 0, 0, 0x78, 0x56, 0x34, 0x12,
		16, 0, 0, 0, 6, 0, 0, 0, 12, 0, 0, 0, 0x35, 0x12, 0, 0,
		16, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0, 0xb4, 5, 0x20, 0x42
	};
	struct hn_txinfo ti = {
		.ti_have = HN_TXI_HASH | HN_TXI_VLAN | HN_TXI_LSO,
		.ti_hash = 0x12345678,
		.ti_vlan = 0x1235,
		.ti_offload = 0x422005b4
	};

	memset(msg, 0xee, sizeof(msg));
	KT_EQ(hn_packet_hdrlen(&ti), HN_PACKET_HDR_MAX);
	KT_EQ(hn_packet_build(msg, &ti, 61, 3), 92);
	KT_EQ(memcmp(msg, want, sizeof(want)), 0);
	KT_EQ(msg[92], 0xee);
	ti.ti_have = HN_TXI_CSUM;
	KT_EQ(hn_packet_build(msg, &ti, 61, 3), 60);
	KT_EQ(le32dec(msg + 48), 0);
}

KTEST(hn_packet_both_ways, "what is built is also understood")
{
	struct hn_txinfo ti = {
		.ti_have = HN_TXI_HASH | HN_TXI_VLAN | HN_TXI_CSUM,
		.ti_hash = 99, .ti_vlan = 0xff7, .ti_offload = 5
	};
	uint32_t n;

	memset(msg, 0, sizeof(msg));
	n = hn_packet_build(msg, &ti, 200, 4);
	KT_EQ(hn_packet_parse(msg, n + 204, &ri), 0);
	KT_EQ(ri.ri_ofs, n);
	KT_EQ(ri.ri_len, 200);
	KT_EQ(ri.ri_hash, 99);
	KT_EQ(ri.ri_vtag, 0xe0ff);
	KT_EQ(ri.ri_csum, 5);
}
