/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a guest can ask of the adapter and set: each OID, and each field of
 * the objects that go with it.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_netvsc.h"

#define	ST_SUCCESS		0u
#define	ST_NOT_SUPPORTED	0xc00000bbu
#define	ST_BAD_VERSION		0xc0010004u
#define	ST_FULL			0xc0010009u
#define	ST_BAD_LENGTH		0xc0010014u
#define	ST_BAD_DATA		0xc0010015u

static struct nv v;
static uint8_t m[8192], r[2048];

static void
begin(uint32_t version)
{

	nv_start(&v, 0, 4);
	nv_up(&v, version);
}

/* --- OIDs --- */

ATF_TC_WITHOUT_HEAD(numbers);
ATF_TC_BODY(numbers, tc)
{
	static const struct {
		uint32_t	 oid, value;
	} oids[] = {
		{ 0x10102, 0 }, { 0x10103, 0 }, { 0x10104, 0 },
		{ 0x10105, 4000 }, { 0x1010f, 4000 }, { 0x10106, 4000 },
		{ 0x10107, 100000000 }, { 0x10108, 262144 },
		{ 0x10109, 262144 }, { 0x1010a, 4014 }, { 0x1010b, 4014 },
		{ 0x1010c, 0x155d }, { 0x1010e, 0 }, { 0x10111, 4014 },
		{ 0x10113, 0x24d }, { 0x10114, 0 }, { 0x10115, 0xffffffff },
		{ 0x20101, 0 }, { 0x20102, 0 }, { 0x20103, 0 },
		{ 0x20104, 0 }, { 0x20105, 0 }, { 0x1010104, 32 },
		{ 0x1020101, 0 }, { 0x1020102, 0 }, { 0x1020103, 0 },
	};
	uint32_t len;
	unsigned i;

	v.mtu = 4014;
	begin(0x60001);
	for (i = 0; i < sizeof(oids) / sizeof(oids[0]); i++)
		ATF_CHECK_EQ_MSG(oids[i].value, nv_query32(&v, oids[i].oid),
		    "OID %08x", oids[i].oid);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x1010101, r, &len));
	ATF_CHECK(len == 6 && memcmp(r, "\x00\x15\x5d\x01\x02\x03", 6) == 0);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x1010102, r, &len));
	ATF_CHECK(len == 6 && memcmp(r, "\x00\x15\x5d\x01\x02\x03", 6) == 0);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x1010d, r, &len));
	ATF_CHECK_EQ(22, len);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x10110, r, &len));
	ATF_CHECK(len == 2 && nv_get16(r) == 0x100);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x10206, r, &len));
	ATF_CHECK(len == 16 && nv_get64(r) == 10000000000 &&
	    nv_get64(r + 8) == 10000000000);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x10207, r, &len));
	ATF_CHECK_EQ(40, len);
	ATF_CHECK_EQ(0x00280180, nv_get32(r));
	ATF_CHECK_EQ(1, nv_get32(r + 4));
	ATF_CHECK_EQ(10000000000, nv_get64(r + 16));
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x20216, r, &len));
	ATF_CHECK_EQ(512, len);
	ATF_CHECK_EQ(0, nv_get16(r + 510));
	nv_end(&v);
}

/* Everything on the list is answered or can be set, and nothing else. */
ATF_TC_WITHOUT_HEAD(supported);
ATF_TC_BODY(supported, tc)
{
	static const uint32_t set_only[] = { 0x10112, 0x10118, 0x10204,
	    0x1021b, 0x1010103, 0xfc01020c };
	uint32_t i, k, len, n, status;
	uint8_t info[2048];

	begin(0x60001);
	ATF_REQUIRE_EQ(ST_SUCCESS, nv_query(&v, 0x10101, r, &n));
	ATF_REQUIRE(n > 0 && n % 4 == 0);
	for (i = 0; i < n; i += 4) {
		for (k = 0; k < 6 && set_only[k] != nv_get32(r + i); k++)
			continue;
		status = nv_query(&v, nv_get32(r + i), info, &len);
		ATF_CHECK_EQ_MSG(k < 6 ? ST_NOT_SUPPORTED : ST_SUCCESS,
		    status, "OID %08x: %x", nv_get32(r + i), status);
		if (k < 6)
			ATF_CHECK(nv_set(&v, nv_get32(r + i), "", 0) !=
			    ST_NOT_SUPPORTED);
	}
	/* Of older NDIS it is shorter; unknown ones know nothing. */
	nv_end(&v);
	begin(0x40000);
	ATF_REQUIRE_EQ(ST_SUCCESS, nv_query(&v, 0x10101, r, &len));
	ATF_CHECK_EQ(n - 8, len);
	nv_end(&v);
	nv_start(&v, 0, 1);
	nv_init(&v, 0x30002);
	nv_tell(&v, 125, 1514, 0, 0, 0);
	nv_tell(&v, 100, 4, 0, 0, 0);
	nv_words(&v, r, 101, NV_GPADL_RX, 0xcafe, 0, 0);
	v.slot_size = nv_get32(r + 16);
	nv_words(&v, r, 104, NV_GPADL_TX, 0xface, 0, 0);
	ATF_CHECK_EQ(ST_BAD_VERSION, nv_query(&v, 0x10101, r, &len));
	ATF_CHECK_EQ(ST_NOT_SUPPORTED, nv_query(&v, 0x12345678, r, &len));
	ATF_CHECK_EQ(ST_NOT_SUPPORTED, nv_set32(&v, 0x1010101, 5));
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(statistics);
ATF_TC_BODY(statistics, tc)
{
	struct nv_xfer x;
	uint8_t frame[100];
	uint32_t len, n;
	unsigned i;

	begin(0x60001);
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	fake_frame(frame, sizeof(frame), 1);
	for (i = 0; i < 3; i++) {
		fake_nic_send(&v.nic, frame, 100);
		nv_pump(&v);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
	}
	n = nv_encap(m, "", 0, frame, 90, 1);
	for (i = 0; i < 2; i++)
		ATF_CHECK_EQ(1, nv_section(&v, v.ch, 0, 0, m, n));
	ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, m, n - 1));
	ATF_CHECK_EQ(2, nv_query32(&v, 0x20101));
	ATF_CHECK_EQ(3, nv_query32(&v, 0x20102));
	ATF_CHECK_EQ(1, nv_query32(&v, 0x20103));
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x20219, r, &len));
	ATF_CHECK(len == 8 && nv_get64(r) == 300);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x2021a, r, &len));
	ATF_CHECK(len == 8 && nv_get64(r) == 180);
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(multicast);
ATF_TC_BODY(multicast, tc)
{
	uint8_t list[33 * 6] = { 1 };

	begin(0x60001);
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x1010103, list, 0));
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x1010103, list, 32 * 6));
	ATF_CHECK_EQ(ST_FULL, nv_set(&v, 0x1010103, list, 33 * 6));
	ATF_CHECK_EQ(ST_BAD_LENGTH, nv_set(&v, 0x1010103, list, 11));
	nv_end(&v);
}

/* --- Offloads.  protocol: netvsc, 6.1 and 6.2 --- */

static void
check_offload(const uint8_t *o, uint32_t tx4, uint32_t rx4, uint32_t tx6,
    uint32_t rx6, bool lso4, bool lso6)
{

	ATF_CHECK_EQ(0x009c03a7, nv_get32(o));
	ATF_CHECK_EQ(2, nv_get32(o + 4));
	ATF_CHECK_EQ(tx4, nv_get32(o + 8));
	ATF_CHECK_EQ(2, nv_get32(o + 12));
	ATF_CHECK_EQ(rx4, nv_get32(o + 16));
	ATF_CHECK_EQ(2, nv_get32(o + 20));
	ATF_CHECK_EQ(tx6, nv_get32(o + 24));
	ATF_CHECK_EQ(2, nv_get32(o + 28));
	ATF_CHECK_EQ(rx6, nv_get32(o + 32));
	for (unsigned i = 36; i < 80; i += 4)
		ATF_CHECK_EQ(0, nv_get32(o + i));
	ATF_CHECK_EQ(lso4 ? 2 : 0, nv_get32(o + 80));
	ATF_CHECK_EQ(lso4 ? 62780 : 0, nv_get32(o + 84));
	ATF_CHECK_EQ(lso4 ? 2 : 0, nv_get32(o + 88));
	ATF_CHECK_EQ(lso6 ? 2 : 0, nv_get32(o + 92));
	ATF_CHECK_EQ(lso6 ? 62780 : 0, nv_get32(o + 96));
	ATF_CHECK_EQ(lso6 ? 2 : 0, nv_get32(o + 100));
	ATF_CHECK_EQ(lso6 ? 5 : 0, nv_get32(o + 104));
}

ATF_TC_WITHOUT_HEAD(offload);
ATF_TC_BODY(offload, tc)
{
	uint8_t p[28] = { 0x80, 3, 28 };
	uint32_t len;
	unsigned i;

	begin(0x60000);
	for (i = 0; i < 2; i++) {
		ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0xfc01020d - i * 2, r,
		    &len));
		ATF_CHECK_EQ(156, len);
		check_offload(r, 0x155, 0x155, 0x55, 0x55, true, true);
	}
	/* Nothing changes; the configuration is told all the same. */
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0xfc01020c, p, 28));
	ATF_CHECK_EQ(176, nv_indication(&v, r));
	ATF_CHECK_EQ(7, nv_get32(r));
	ATF_CHECK_EQ(176, nv_get32(r + 4));
	ATF_CHECK_EQ(0x40020006, nv_get32(r + 8));
	ATF_CHECK_EQ(156, nv_get32(r + 12));
	ATF_CHECK_EQ(12, nv_get32(r + 16));
	check_offload(r + 20, 0x155, 0x155, 0x55, 0x55, true, true);
	/* IP off, TCP4 sent, UDP4 received, TCP6 off, UDP6 both. */
	memcpy(p + 4, "\1\2\3\1\4", 5);
	p[11] = 1;
	p[12] = 2;
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0xfc01020c, p, 28));
	ATF_CHECK_EQ(176, nv_indication(&v, r));
	check_offload(r + 20, 0x14, 0x40, 0x41, 0x41, false, true);
	/* What there is is what it was. */
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0xfc01020d, r, &len));
	check_offload(r, 0x155, 0x155, 0x55, 0x55, true, true);
	/* Short ones, and the one size that would be nonsense. */
	p[1] = 1;
	p[2] = 20;
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0xfc01020c, p, 20));
	ATF_CHECK_EQ(176, nv_indication(&v, r));
	ATF_CHECK_EQ(ST_BAD_LENGTH, nv_set(&v, 0xfc01020c, p, 19));
	p[2] = 21;
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0xfc01020c, p, 20));
	p[2] = 19;
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0xfc01020c, p, 20));
	p[2] = 20;
	p[1] = 0;
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0xfc01020c, p, 20));
	p[1] = 1;
	p[0] = 0x81;
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0xfc01020c, p, 20));
	p[0] = 0x80;
	p[9] = 2;
	ATF_CHECK_EQ(ST_NOT_SUPPORTED, nv_set(&v, 0xfc01020c, p, 20));
	p[9] = 1;
	for (i = 4; i < 13; i++) {
		uint8_t old = p[i];

		if (i == 9 || i == 10)
			continue;
		p[i] = 5;
		ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0xfc01020c, p, 20));
		p[i] = old;
	}
	nv_end(&v);
	/* What can be coalesced is told of 6.1 with the capability. */
	for (i = 0; i < 4; i++) {
		v.caps = i & 1 ? 0x80 : 0;
		begin(i & 2 ? 0x60001 : 0x60000);
		ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0xfc01020d, r, &len));
		ATF_CHECK_EQ(i == 3 ? 0x101 : 0, nv_get32(r + 144));
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(encapsulation);
ATF_TC_BODY(encapsulation, tc)
{
	uint32_t len;

	begin(0x50000);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x101010a, m, &len));
	ATF_CHECK_EQ(28, len);
	ATF_CHECK_EQ(0x001c01a8, nv_get32(m));
	for (unsigned i = 4; i < 28; i += 12) {
		ATF_CHECK_EQ(1, nv_get32(m + i));
		ATF_CHECK_EQ(2, nv_get32(m + i + 4));
		ATF_CHECK_EQ(14, nv_get32(m + i + 8));
	}
	memcpy(r, m, 28);
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x101010a, r, 28));
	ATF_CHECK_EQ(ST_BAD_LENGTH, nv_set(&v, 0x101010a, r, 27));
	nv_put32(m, 0x001c01a7);
	memcpy(r, m, 28);
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0x101010a, r, 28));
	nv_put32(m, 0x001c01a8);
	nv_put32(m + 20, 4);
	memcpy(r, m, 28);
	ATF_CHECK_EQ(ST_NOT_SUPPORTED, nv_set(&v, 0x101010a, r, 28));
	nv_put32(m + 16, 2);
	memcpy(r, m, 28);
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x101010a, r, 28));
	nv_end(&v);
}

static uint32_t
set_parameter(const char *name, uint32_t type, const char *value)
{
	uint32_t n = (uint32_t)strlen(name) * 2;
	uint32_t w = (uint32_t)strlen(value) * 2, i;
	uint8_t info[700] = { 0 };

	nv_put32(info, 20);
	nv_put32(info + 4, n);
	nv_put32(info + 8, type);
	nv_put32(info + 12, 20 + n);
	nv_put32(info + 16, w);
	for (i = 0; i < n / 2; i++)
		info[20 + 2 * i] = (uint8_t)name[i];
	for (i = 0; i < w / 2; i++)
		info[20 + n + 2 * i] = (uint8_t)value[i];
	return (nv_set(&v, 0x1021b, info, 20 + n + w));
}

ATF_TC_WITHOUT_HEAD(parameters);
ATF_TC_BODY(parameters, tc)
{
	static const struct {
		uint32_t	 at, value;
	} bad[] = {
		{ 0, 0xffffffff }, { 0, 60 }, { 4, 256 }, { 4, 3 },
		{ 4, 0xffffffff }, { 12, 0xffffffff }, { 12, 45 },
		{ 16, 256 }, { 16, 5 }, { 16, 0xfffffffe }, { 20, 0x100 },
		{ 20, 0x80 },
	};
	uint8_t info[44];
	uint32_t len;
	unsigned i;

	begin(0x50000);
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("NetworkAddress", 2,
	    "021234aBcDeF"));
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x1010102, r, &len));
	ATF_CHECK(memcmp(r, "\x02\x12\x34\xab\xcd\xef", 6) == 0);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x1010101, r, &len));
	ATF_CHECK(memcmp(r, "\x00\x15\x5d\x01\x02\x03", 6) == 0);
	ATF_CHECK_EQ(ST_BAD_DATA, set_parameter("NetworkAddress", 2,
	    "01123456789a"));
	ATF_CHECK_EQ(ST_BAD_DATA, set_parameter("NetworkAddress", 2, "02"));
	ATF_CHECK_EQ(ST_BAD_DATA, set_parameter("NetworkAddress", 2,
	    "02123456789g"));
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("*TCPChecksumOffloadIPv4", 2,
	    "0"));
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("*UDPChecksumOffloadIPv6", 2,
	    "2"));
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("*LsoV2IPv6", 2, "0"));
	ATF_CHECK_EQ(ST_BAD_DATA, set_parameter("*LsoV2IPv4", 2, "x"));
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("*LsoV2IPv4", 0, "0"));
	ATF_CHECK_EQ(ST_SUCCESS, set_parameter("Whatever", 2, "x"));
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0xfc01020b, r, &len));
	check_offload(r, 0x141, 0x141, 0x15, 0x55, true, false);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(info, 0, sizeof(info));
		nv_put32(info, 20);
		nv_put32(info + 4, 20);
		nv_put32(info + 8, 2);
		nv_put32(info + 12, 40);
		nv_put32(info + 16, 2);
		info[20] = 'x';
		info[40] = '1';
		ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x1021b, info, 44));
		nv_put32(info + bad[i].at, bad[i].value);
		ATF_CHECK_EQ_MSG(ST_BAD_DATA, nv_set(&v, 0x1021b, info, 44),
		    "byte %u: %x", bad[i].at, bad[i].value);
	}
	ATF_CHECK_EQ(ST_BAD_LENGTH, nv_set(&v, 0x1021b, info, 19));
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(rss_capabilities);
ATF_TC_BODY(rss_capabilities, tc)
{
	uint32_t len;

	begin(0x50000);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x10203, r, &len));
	ATF_CHECK_EQ(18, len);
	ATF_CHECK_EQ(0x00120288, nv_get32(r));
	ATF_CHECK_EQ(0x301, nv_get32(r + 4) & 0x3ff);
	ATF_CHECK_EQ(1, nv_get32(r + 8));
	ATF_CHECK_EQ(4, nv_get32(r + 12));
	ATF_CHECK_EQ(128, nv_get16(r + 16));
	nv_end(&v);
	/* No queues before version 5. */
	begin(0x40000);
	ATF_CHECK_EQ(ST_SUCCESS, nv_query(&v, 0x10203, r, &len));
	ATF_CHECK_EQ(1, nv_get32(r + 12));
	nv_end(&v);
}

/* Each field of the parameters; the table at 40 or behind the key. */
ATF_TC_WITHOUT_HEAD(rss_parameters);
ATF_TC_BODY(rss_parameters, tc)
{
	static const struct {
		uint32_t	 at, size, value, status;
	} tries[] = {
		{ 0, 4, 0, ST_SUCCESS },	/* the header says nothing */
		{ 0, 4, 0xffffffff, ST_SUCCESS },
		{ 4, 2, 0x10, ST_SUCCESS },	/* off */
		{ 8, 4, 0, ST_SUCCESS },	/* off, too */
		{ 8, 4, 2, ST_BAD_DATA }, { 8, 4, 1, ST_SUCCESS },
		{ 12, 2, 0, ST_BAD_DATA }, { 12, 2, 6, ST_BAD_DATA },
		{ 12, 2, 4, ST_SUCCESS }, { 12, 2, 516, ST_BAD_DATA },
		{ 16, 4, 81, ST_BAD_DATA }, { 16, 4, 0xffffffff, ST_BAD_DATA },
		{ 16, 4, 0xffffff00, ST_BAD_DATA },
		{ 20, 2, 39, ST_BAD_DATA }, { 20, 2, 41, ST_BAD_DATA },
		{ 24, 4, 553, ST_BAD_DATA }, { 24, 4, 0xfffffff0, ST_BAD_DATA },
		{ 24, 4, 0, ST_SUCCESS },
		{ 80, 4, 3, ST_SUCCESS }, { 80, 4, 4, ST_BAD_DATA },
		{ 588, 4, 4, ST_BAD_DATA }, { 588, 4, 0xffffffff, ST_BAD_DATA },
	};
	uint8_t obj[592];
	unsigned i;

	begin(0x60001);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		memset(obj, 0, sizeof(obj));
		nv_put32(obj + 8, 0x301);
		nv_put16(obj + 12, 512);
		nv_put32(obj + 16, 80);
		nv_put16(obj + 20, 40);
		nv_put32(obj + 24, 40);
		ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x10204, obj,
		    sizeof(obj)));
		if (tries[i].size == 4)
			nv_put32(obj + tries[i].at, tries[i].value);
		else
			nv_put16(obj + tries[i].at, (uint16_t)tries[i].value);
		ATF_CHECK_EQ_MSG(tries[i].status, nv_set(&v, 0x10204, obj,
		    sizeof(obj)), "byte %u: %x", tries[i].at, tries[i].value);
	}
	/* Key and table as before, then with nothing before. */
	nv_put16(obj + 4, 0x0c);
	ATF_CHECK_EQ(ST_SUCCESS, nv_set(&v, 0x10204, obj, 40));
	nv_end(&v);
	begin(0x60001);
	ATF_CHECK_EQ(ST_BAD_DATA, nv_set(&v, 0x10204, obj, 40));
	ATF_CHECK_EQ(ST_BAD_LENGTH, nv_set(&v, 0x10204, obj, 11));
	nv_end(&v);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, numbers);
	ATF_TP_ADD_TC(tp, supported);
	ATF_TP_ADD_TC(tp, statistics);
	ATF_TP_ADD_TC(tp, multicast);
	ATF_TP_ADD_TC(tp, offload);
	ATF_TP_ADD_TC(tp, encapsulation);
	ATF_TP_ADD_TC(tp, parameters);
	ATF_TP_ADD_TC(tp, rss_capabilities);
	ATF_TP_ADD_TC(tp, rss_parameters);
	return (atf_no_error());
}
