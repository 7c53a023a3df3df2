/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Checksums, headers and the Toeplitz hash by themselves, against arithmetic
 * of the test's own and published vectors; and the wire layouts as numbers.
 */

#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include "fake_netvsc.h"
#include "network/ndis_reg.h"
#include "network/nvsp_reg.h"
#include "network/offload.h"
#include "network/rndis_reg.h"
#include "network/rss.h"

ATF_TC_WITHOUT_HEAD(sum);
ATF_TC_BODY(sum, tc)
{
	static uint8_t buf[70000];
	static const uint32_t lens[] = { 0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17,
	    31, 33, 63, 100, 1461, 65535 };
	struct iovec iov[5];
	uint32_t i, k, len, n;
	uint16_t want;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 197 + (i >> 7));
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		len = lens[i];
		for (k = 0; k < 9; k++) {
			want = fake_sum(0, buf + k, len);
			ATF_CHECK_EQ(want, frame_fold(frame_sum(0, buf + k,
			    len, false)));
			/* Behind an odd number of bytes: a zero before. */
			ATF_CHECK_EQ(frame_fold(frame_sum(0, buf + k, len,
			    true)), (uint16_t)(want << 8 | want >> 8));
		}
		/* In pieces of all sizes, some of them odd or empty. */
		for (k = 1; k < 40; k += 3) {
			n = len / 3 < k ? len / 3 : k;
			iov[0] = (struct iovec){ buf, n };
			iov[1] = (struct iovec){ buf + n, 0 };
			iov[2] = (struct iovec){ buf + n, n };
			iov[3] = (struct iovec){ buf + 2 * n, len - 2 * n };
			iov[4] = (struct iovec){ buf + len, 100 };
			ATF_CHECK_EQ(fake_sum(0, buf, len),
			    frame_fold(frame_sum_iov(0, iov, 5, 0, len)));
			if (len < 5)
				continue;
			ATF_CHECK_EQ(fake_sum(0, buf + 3, len - 4),
			    frame_fold(frame_sum_iov(0, iov, 5, 3, len - 4)));
		}
	}
	/* All ones, which carry most. */
	memset(buf, 0xff, sizeof(buf));
	ATF_CHECK_EQ(0xffff, frame_fold(frame_sum(0, buf, 65534, false)));
}

ATF_TC_WITHOUT_HEAD(slices);
ATF_TC_BODY(slices, tc)
{
	uint8_t buf[100], out[100];
	struct iovec iov[3], s[3];
	int n;

	for (unsigned i = 0; i < 100; i++)
		buf[i] = (uint8_t)i;
	iov[0] = (struct iovec){ buf, 10 };
	iov[1] = (struct iovec){ buf + 10, 1 };
	iov[2] = (struct iovec){ buf + 11, 89 };
	for (size_t ofs = 0; ofs <= 100; ofs++) {
		for (size_t len = 0; len <= 100 - ofs; len++) {
			ATF_REQUIRE_EQ(len, frame_copy(iov, 3, ofs, out, len));
			ATF_REQUIRE(memcmp(out, buf + ofs, len) == 0);
			n = frame_slice(iov, 3, ofs, len, s, 3);
			ATF_REQUIRE(n >= 0);
			memset(out, 0xee, sizeof(out));
			ATF_REQUIRE_EQ(len, frame_copy(s, n, 0, out, 100));
			ATF_REQUIRE(memcmp(out, buf + ofs, len) == 0);
		}
	}
	ATF_CHECK_EQ(10, frame_copy(iov, 3, 90, out, 100));
	ATF_CHECK_EQ(-1, frame_slice(iov, 3, 0, 100, s, 2));
}

/* Where headers are, with tags and extensions. */
ATF_TC_WITHOUT_HEAD(headers);
ATF_TC_BODY(headers, tc)
{
	struct frame_headers fh;
	uint8_t f[300], g[300];
	uint32_t n;

	n = nv_frame(f, 4, 6, 30);
	frame_parse(f, n, n, false, &fh);
	ATF_CHECK(fh.ip == 4 && fh.proto == 6 && fh.l3 == 14 && fh.l4 == 34 &&
	    fh.payload == 54 && fh.end == n);
	n = nv_frame(f, 6, 17, 30);
	frame_parse(f, n + 50, n + 50, false, &fh);
	ATF_CHECK(fh.ip == 6 && fh.proto == 17 && fh.l4 == 54 &&
	    fh.payload == 62 && fh.end == n);
	/* Two tags; three are none of ours. */
	memcpy(g, f, 12);
	memcpy(g + 12, "\x88\xa8\0\1\x81\0\0\2", 8);
	memcpy(g + 20, f + 12, n - 12);
	frame_parse(g, n + 8, n + 8, false, &fh);
	ATF_CHECK(fh.ip == 6 && fh.l3 == 22 && fh.l4 == 62);
	memmove(g + 16, g + 12, n - 4);
	memcpy(g + 12, "\x81\0\0\3", 4);
	frame_parse(g, n + 12, n + 12, false, &fh);
	ATF_CHECK(fh.ip == 0 && fh.proto == 0);
	/* Hop-by-hop and destination options before UDP. */
	memcpy(g, f, 54);
	g[20] = 0;
	nv_putbe16(g + 18, 24 + 38);
	memset(g + 54, 0, 24);
	g[54] = 60;
	g[62] = 17;
	g[63] = 1;
	memcpy(g + 78, f + 54, 38);
	frame_parse(g, n + 24, n + 24, false, &fh);
	ATF_CHECK(fh.proto == 17 && fh.l4 == 78 && fh.payload == 86);
	/* An extension that leaves the packet. */
	g[63] = 200;
	frame_parse(g, n + 24, n + 24, false, &fh);
	ATF_CHECK(fh.ip == 6 && fh.proto == 0);
	/* IPv4 options. */
	n = nv_frame(f, 4, 6, 30);
	memcpy(g, f, 34);
	memset(g + 34, 1, 40);
	memcpy(g + 74, f + 34, n - 34);
	g[14] = 0x4f;
	nv_putbe16(g + 16, (uint16_t)(n - 14 + 40));
	frame_parse(g, n + 40, n + 40, false, &fh);
	ATF_CHECK(fh.proto == 6 && fh.l4 == 74 && fh.payload == 94);
	/* Only a part of the frame is there: no more than is in it. */
	frame_parse(g, 80, n + 40, false, &fh);
	ATF_CHECK(fh.ip == 4 && fh.proto == 0);
}

/* Anything at all: what is found lies within. */
ATF_TC_WITHOUT_HEAD(noise);
ATF_TC_BODY(noise, tc)
{
	struct frame_headers fh;
	uint32_t i, len, seed = 1;
	uint8_t *f;

	for (i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		len = 14 + (seed >> 16) % 120;
		f = malloc(len);
		ATF_REQUIRE(f != NULL);
		for (uint32_t k = 0; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			f[k] = (uint8_t)(seed >> 24);
		}
		if (i % 4 != 0) {
			nv_putbe16(f + 12, i % 2 ? 0x0800 : 0x86dd);
			if (len > 30) {
				f[14] = i % 2 ? 0x45 : 0x60;
				f[i % 2 ? 16 : 18] = 0;
				f[i % 2 ? 23 : 20] = i % 3 ? 6 : 60;
			}
		}
		frame_parse(f, len, len, i % 5 == 0, &fh);
		ATF_REQUIRE(fh.end <= len);
		if (fh.ip == 4)
			frame_ip_good(f, &fh);
		if (fh.proto != 0) {
			ATF_REQUIRE(fh.l4 >= 34 && fh.payload > fh.l4 &&
			    fh.payload <= fh.end);
			frame_l4_fill(f, len, &fh, NULL, 0);
		}
		free(f);
	}
}

/* Vectors of the hash's definition: addresses, then ports. */
ATF_TC_WITHOUT_HEAD(toeplitz);
ATF_TC_BODY(toeplitz, tc)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
		0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
		0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
		0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
	};
	static const struct {
		const char	*src, *dst;
		uint16_t	 sport, dport;
		uint32_t	 addresses, ports;
	} vectors[] = {
		{ "\x3f\xfe\x25\x01\x02\x00\x1f\xff\0\0\0\0\0\0\0\x07",
		    "\x3f\xfe\x25\x01\x02\x00\x00\x03\0\0\0\0\0\0\0\x01",
		    2794, 1766, 0x2cc18cd5, 0x40207d3d },
		{ "\x3f\xfe\x05\x01\x00\x08\0\0\x02\x60\x97\xff\xfe\x40\xef"
		    "\xab", "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
		    14230, 4739, 0x0f0c461c, 0xdde51bbf },
		{ "\x3f\xfe\x19\0\x45\x45\0\x03\x02\0\xf8\xff\xfe\x21\x67"
		    "\xcf", "\xfe\x80\0\0\0\0\0\0\x02\0\xf8\xff\xfe\x21\x67"
		    "\xcf", 44251, 38024, 0x4b61e985, 0x02d1feef },
	};
	static struct rss r;
	struct frame_headers fh;
	uint8_t f[100];
	uint32_t hash, n, type;
	unsigned bit, i;

	rss_set_key(&r, key);
	r.enabled = true;
	for (i = 0; i < 3; i++) {
		n = nv_frame(f, 6, 6, 0);
		memcpy(f + 22, vectors[i].src, 16);
		memcpy(f + 38, vectors[i].dst, 16);
		nv_putbe16(f + 54, vectors[i].sport);
		nv_putbe16(f + 56, vectors[i].dport);
		frame_parse(f, n, n, false, &fh);
		r.types = 0x400 | 0x1000;
		ATF_CHECK_EQ(vectors[i].ports, rss_hash(&r, f, &fh, &type));
		ATF_CHECK_EQ(0x1000, type);
		r.types = 0x400;
		ATF_CHECK_EQ(vectors[i].addresses, rss_hash(&r, f, &fh,
		    &type));
		ATF_CHECK_EQ(0x400, type);
		/* Bit by bit, as it is defined. */
		for (hash = 0, bit = 0; bit < 36 * 8; bit++) {
			uint64_t w = 0;

			if ((f[22 + bit / 8] & 0x80 >> bit % 8) == 0)
				continue;
			for (unsigned k = 0; k < 5; k++)
				w = w << 8 | key[bit / 8 + k];
			hash ^= (uint32_t)(w >> (8 - bit % 8));
		}
		ATF_CHECK_EQ(vectors[i].ports, hash);
	}
}

/* protocol: netvsc, 3.1, 4.3, 4.4 and 6, as numbers. */
ATF_TC_WITHOUT_HEAD(wire);
ATF_TC_BODY(wire, tc)
{

	ATF_CHECK_EQ(40, sizeof(struct nvsp_msg));
	ATF_CHECK_EQ(4, offsetof(struct nvsp_msg, init.version));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg,
	    init_complete.max_mdl_chain));
	ATF_CHECK_EQ(12, offsetof(struct nvsp_msg, init_complete.status));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg, buffer.id));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg, rx_complete.sections));
	ATF_CHECK_EQ(16, offsetof(struct nvsp_msg,
	    rx_complete.section.slot_size));
	ATF_CHECK_EQ(24, offsetof(struct nvsp_msg, rx_complete.section.end));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg, tx_complete.section_size));
	ATF_CHECK_EQ(12, offsetof(struct nvsp_msg, rndis.section_len));
	ATF_CHECK_EQ(12, offsetof(struct nvsp_msg, config.capabilities));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg, vf.serial));
	ATF_CHECK_EQ(8, offsetof(struct nvsp_msg, sub.count));
	ATF_CHECK_EQ(44, sizeof(struct rndis_packet));
	ATF_CHECK_EQ(32, offsetof(struct rndis_packet, ppi_len));
	ATF_CHECK_EQ(52, sizeof(struct rndis_initialize_complete));
	ATF_CHECK_EQ(40, offsetof(struct rndis_initialize_complete,
	    alignment));
	ATF_CHECK_EQ(28, sizeof(struct rndis_request));
	ATF_CHECK_EQ(24, sizeof(struct rndis_query_complete));
	ATF_CHECK_EQ(20, sizeof(struct rndis_indicate_status));
	ATF_CHECK_EQ(156, sizeof(struct ndis_offload));
	ATF_CHECK_EQ(80, offsetof(struct ndis_offload, lso4_encap));
	ATF_CHECK_EQ(104, offsetof(struct ndis_offload, lso6_flags));
	ATF_CHECK_EQ(144, offsetof(struct ndis_offload, rsc4));
	ATF_CHECK_EQ(28, sizeof(struct ndis_offload_params));
	ATF_CHECK_EQ(12, offsetof(struct ndis_offload_params, lso6));
	ATF_CHECK_EQ(23, offsetof(struct ndis_offload_params, rsc6));
	ATF_CHECK_EQ(40, sizeof(struct ndis_rss_params));
	ATF_CHECK_EQ(16, offsetof(struct ndis_rss_params, table_offset));
	ATF_CHECK_EQ(24, offsetof(struct ndis_rss_params, key_offset));
	/* A tag both ways. */
	ATF_CHECK_EQ(0xb123, RNDIS_VLAN_TO_TCI(5u | 8u | 0x123u << 4));
	ATF_CHECK_EQ(5u | 8u | 0x123u << 4, RNDIS_VLAN_FROM_TCI(0xb123));
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sum);
	ATF_TP_ADD_TC(tp, slices);
	ATF_TP_ADD_TC(tp, headers);
	ATF_TP_ADD_TC(tp, noise);
	ATF_TP_ADD_TC(tp, toeplitz);
	ATF_TP_ADD_TC(tp, wire);
	return (atf_no_error());
}
