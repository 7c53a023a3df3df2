/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control path's pure parts: RNDIS messages as bytes, what a host's
 * offloads and RSS capabilities are worth, indirection notices; each field out
 * of range.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/netvsc/hn_var.h>

#include "ktest.h"

static void
put32(uint8_t *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

KTEST(hn_oid_bytes, "a SET, byte by byte; a QUERY without data")
{
	static const uint8_t want[32] = {
		5, 0, 0, 0, 32, 0, 0, 0, 0, 0, 7, 0, 0x0e, 1, 1, 0,
		4, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0
	};
	uint8_t buf[64];
	uint32_t filter = 9;

	memset(buf, 0xa5, sizeof(buf));
	KT_EQ(hn_rndis_fill_oid(buf, sizeof(buf), HN_RNDIS_SET, 0x70000,
	    HN_OID_GEN_PACKET_FILTER, &filter, sizeof(filter)), 32);
	KT_EQ(memcmp(buf, want, sizeof(want)), 0);
	KT_EQ(buf[32], 0xa5);

	KT_EQ(hn_rndis_fill_oid(buf, sizeof(buf), HN_RNDIS_QUERY, 0x80000,
	    HN_OID_802_3_PERMANENT_ADDRESS, NULL, 0), 28);
	KT_EQ(buf[4], 28);
	KT_EQ(buf[16], 0);
	/* Even so, or the host refuses. */
	KT_EQ(buf[20], 20);
}

KTEST(hn_oid_room, "data that does not fit behind the header")
{
	uint8_t buf[64];

	KT_EQ(hn_rndis_fill_oid(buf, 32, HN_RNDIS_SET, 1, 1, buf, 4), 32);
	KT_EQ(hn_rndis_fill_oid(buf, 31, HN_RNDIS_SET, 1, 1, buf, 4), 0);
	KT_EQ(hn_rndis_fill_oid(buf, 27, HN_RNDIS_SET, 1, 1, NULL, 0), 0);
	KT_EQ(hn_rndis_fill_oid(buf, 64, HN_RNDIS_SET, 1, 1, buf, SIZE_MAX),
	    0);
}

/* A good answer to QUERY of six bytes. */
#define	QUERY_COMP	{						\
	4, 0, 0, 0x80, 30, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,		\
	6, 0, 0, 0, 16, 0, 0, 0, 0, 0x15, 0x5d, 1, 2, 3			\
}

KTEST(hn_query_comp, "an answer to QUERY and its data")
{
	static const uint8_t msg[] = QUERY_COMP;
	const void *data;
	size_t len;

	KT_EQ(hn_rndis_parse_query(msg, sizeof(msg), &data, &len), 0);
	KT_EQ(len, 6);
	KT_EQ((const uint8_t *)data - msg, 24);
}

/* What comes of the answer with one word changed, of which len bytes came. */
static int
changed(u_int ofs, uint32_t value, size_t len, size_t *datalen)
{
	uint8_t msg[30] = QUERY_COMP;
	const void *data;
	int error;

	put32(msg + ofs, value);
	error = hn_rndis_parse_query(msg, len, &data, datalen);
	if (error == 0 && *datalen > 0) {
		KT_CHECK((const uint8_t *)data >= msg + 24);
		KT_CHECK((const uint8_t *)data + *datalen <= msg + 30);
	}
	return (error);
}

KTEST(hn_query_comp_bad, "an answer to QUERY with each field out of range")
{
	size_t len;
	u_int i;

	/* Another type; lengths that are not there, or too short. */
	KT_EQ(changed(0, 0x80000005, 30, &len), EPROTO);
	KT_EQ(changed(4, 31, 30, &len), EPROTO);
	KT_EQ(changed(4, 23, 30, &len), EPROTO);
	KT_EQ(changed(4, 0, 30, &len), EPROTO);
	KT_EQ(changed(4, UINT32_MAX, 30, &len), EPROTO);
	for (i = 0; i < 30; i++)
		KT_EQ(changed(8, 0, i, &len), EPROTO);
	/* Data behind the end, before the beginning, around the world. */
	KT_EQ(changed(16, 7, 30, &len), EPROTO);
	KT_EQ(changed(16, UINT32_MAX, 30, &len), EPROTO);
	KT_EQ(changed(20, 17, 30, &len), EPROTO);
	KT_EQ(changed(20, 15, 30, &len), EPROTO);
	KT_EQ(changed(20, 8, 30, &len), EPROTO);
	KT_EQ(changed(20, UINT32_MAX - 7, 30, &len), EPROTO);
	KT_EQ(changed(20, UINT32_MAX, 30, &len), EPROTO);
	/* No data is no error here. */
	KT_EQ(changed(16, 0, 30, &len), 0);
	KT_EQ(len, 0);
	KT_EQ(changed(20, 0, 30, &len), 0);
	KT_EQ(len, 0);
	KT_EQ(changed(16, 5, 30, &len), 0);
	KT_EQ(len, 5);
}

KTEST(hn_init_comp, "an answer to INITIALIZE, long and short")
{
	struct hn_rndis_init_comp comp;
	uint8_t msg[52] = { 2, 0, 0, 0x80, 52 };

	put32(msg + 32, 8);
	put32(msg + 36, 0xefffffff);
	put32(msg + 40, 3);
	put32(msg + 44, 7);
	KT_EQ(hn_rndis_parse_init(msg, 52, &comp), 0);
	KT_EQ(comp.ro_maxpkts, 8);
	KT_EQ(comp.ro_maxxfer, 0xefffffff);
	KT_EQ(comp.ro_align, 3);
	KT_EQ(comp.ro_afofs, 7);
	/* Older hosts leave the last two out. */
	msg[4] = 44;
	KT_EQ(hn_rndis_parse_init(msg, 44, &comp), 0);
	KT_EQ(comp.ro_align, 3);
	KT_EQ(comp.ro_afofs, 0);
	KT_EQ(hn_rndis_parse_init(msg, 43, &comp), EPROTO);
	msg[4] = 43;
	KT_EQ(hn_rndis_parse_init(msg, 52, &comp), EPROTO);
	msg[4] = 53;
	KT_EQ(hn_rndis_parse_init(msg, 52, &comp), EPROTO);
}

KTEST(hn_indicate, "indications, with each field out of range")
{
	uint8_t msg[24] = { 7, 0, 0, 0, 24, 0, 0, 0, 0x18, 0, 1, 0x40,
	    4, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0 };
	const void *data;
	uint32_t status;
	size_t len;
	u_int i;

	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), 0);
	KT_EQ(status, HN_RNDIS_STATUS_NETWORK_CHANGE);
	KT_EQ(len, 4);
	KT_EQ((uint8_t *)(uintptr_t)data - msg, 20);
	for (i = 0; i < 24; i++)
		KT_EQ(hn_rndis_parse_indicate(msg, i, &status, &data, &len),
		    EPROTO);
	put32(msg + 12, 5);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), EPROTO);
	put32(msg + 12, UINT32_MAX);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), EPROTO);
	put32(msg + 12, 4);
	put32(msg + 16, UINT32_MAX - 3);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), EPROTO);
	put32(msg + 16, 11);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), EPROTO);
	put32(msg + 16, 0);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), 0);
	KT_EQ(len, 0);
	put32(msg + 4, 19);
	KT_EQ(hn_rndis_parse_indicate(msg, 24, &status, &data, &len), EPROTO);
}

/* A host that offers everything. */
static void
offer_all(struct ndis_offload *of)
{

	memset(of, 0, sizeof(*of));
	of->of_hdr.oh_type = NDIS_OBJECT_OFFLOAD;
	of->of_hdr.oh_rev = 3;
	of->of_hdr.oh_size = 156;
	of->of_csum.co_ip4_tx = of->of_csum.co_ip4_rx = 0x155;
	of->of_csum.co_ip6_tx = of->of_csum.co_ip6_rx = 0x55;
	of->of_lsov2.lo_ip4_enc = of->of_lsov2.lo_ip6_enc = 2;
	of->of_lsov2.lo_ip4_maxsz = of->of_lsov2.lo_ip6_maxsz = 62780;
	of->of_lsov2.lo_ip4_minsg = of->of_lsov2.lo_ip6_minsg = 2;
	of->of_lsov2.lo_ip6_opts = 5;
	of->of_rsc.ro_ip4 = of->of_rsc.ro_ip6 = 1;
}

KTEST(hn_offload_object, "the object of offloads: lengths and revisions")
{
	struct ndis_offload in, of;
	u_int i;

	offer_all(&in);
	KT_EQ(hn_offload_parse(&in, 156, &of), 0);
	KT_EQ(memcmp(&in, &of, sizeof(of)), 0);
	for (i = 0; i < 156; i++)
		KT_EQ(hn_offload_parse(&in, i, &of), EPROTO);
	in.of_hdr.oh_type = 0xa8;
	KT_EQ(hn_offload_parse(&in, 156, &of), EPROTO);
	in.of_hdr.oh_type = 0xa7;
	in.of_hdr.oh_size = 157;
	KT_EQ(hn_offload_parse(&in, 156, &of), EPROTO);
	/* Revision 3 needs all of it; revision 1 ends before the rest. */
	in.of_hdr.oh_size = 144;
	KT_EQ(hn_offload_parse(&in, 156, &of), EPROTO);
	in.of_hdr.oh_rev = 1;
	in.of_hdr.oh_size = 112;
	KT_EQ(hn_offload_parse(&in, 112, &of), 0);
	KT_EQ(of.of_rsc.ro_ip4, 0);
	KT_EQ(of.of_lsov2.lo_ip4_maxsz, 62780);
	in.of_hdr.oh_size = 111;
	KT_EQ(hn_offload_parse(&in, 112, &of), EPROTO);
}

#define	CSUM_ALL	(HN_CAP_IPCS | HN_CAP_TCP4CS | HN_CAP_UDP4CS |	\
			    HN_CAP_TCP6CS | HN_CAP_UDP6CS)

KTEST(hn_offload_all, "everything is taken, coalescing only if wanted")
{
	struct ndis_offload_params op;
	struct ndis_offload of;
	uint32_t max, minsg;

	offer_all(&of);
	KT_EQ(hn_offload_caps(&of, 1500, false, &op, &max, &minsg), CSUM_ALL |
	    HN_CAP_TSO4 | HN_CAP_TSO6 | HN_CAP_RSC);
	KT_EQ(max, 62780);
	KT_EQ(minsg, 2);
	KT_EQ(op.op_ip4csum, 4);
	KT_EQ(op.op_tcp4csum, 4);
	KT_EQ(op.op_udp4csum, 4);
	KT_EQ(op.op_tcp6csum, 4);
	KT_EQ(op.op_udp6csum, 4);
	KT_EQ(op.op_lsov1, 0);
	KT_EQ(op.op_lsov2_ip4, 2);
	KT_EQ(op.op_lsov2_ip6, 2);
	KT_EQ(op.op_rsc_ip4, 1);
	KT_EQ(op.op_rsc_ip6, 1);
	(void)hn_offload_caps(&of, 1500, true, &op, &max, &minsg);
	KT_EQ(op.op_rsc_ip4, 2);
	KT_EQ(op.op_rsc_ip6, 2);
}

KTEST(hn_offload_some, "checksums without options, segments out of reach")
{
	struct ndis_offload_params op;
	struct ndis_offload of;
	uint32_t max, minsg;

	/* Checksum bits alone are of no use to the stack, but on receiving. */
	offer_all(&of);
	of.of_csum.co_ip4_tx = 0x150;
	of.of_csum.co_ip6_tx = 0x50;
	KT_EQ(hn_offload_caps(&of, 1500, false, &op, &max, &minsg),
	    HN_CAP_UDP4CS | HN_CAP_RSC);
	KT_EQ(op.op_ip4csum, 3);
	KT_EQ(op.op_tcp4csum, 3);
	KT_EQ(op.op_udp4csum, 4);
	KT_EQ(op.op_lsov2_ip4, 0);
	KT_EQ(max, 0);

	/* Nothing at all. */
	memset(&of.of_csum, 0, sizeof(of.of_csum));
	of.of_rsc.ro_ip6 = 0;
	KT_EQ(hn_offload_caps(&of, 1500, true, &op, &max, &minsg), 0);
	KT_EQ(op.op_tcp4csum, 0);
	KT_EQ(op.op_rsc_ip4, 1);

	/* Less than two packets of this size, or so many that it overflows. */
	offer_all(&of);
	of.of_lsov2.lo_ip6_maxsz = 17999;
	KT_EQ(hn_offload_caps(&of, 9000, false, &op, &max, &minsg),
	    CSUM_ALL | HN_CAP_RSC);
	KT_EQ(op.op_lsov2_ip4, 1);
	KT_EQ(op.op_lsov2_ip6, 1);
	of.of_lsov2.lo_ip6_maxsz = 62780;
	of.of_lsov2.lo_ip4_minsg = 0x80000000;
	KT_EQ(hn_offload_caps(&of, 1500, false, &op, &max, &minsg),
	    CSUM_ALL | HN_CAP_RSC);
	KT_EQ(max, 0);

	/* Revision 1 is not asked to coalesce. */
	offer_all(&of);
	of.of_hdr.oh_rev = 1;
	(void)hn_offload_caps(&of, 1500, true, &op, &max, &minsg);
	KT_EQ(op.op_rsc_ip4, 0);
}

KTEST(hn_rss_object, "RSS capabilities, with each field out of range")
{
	uint8_t msg[18] = { 0x88, 2, 18, 0, 1, 7, 0, 0, 1, 0, 0, 0,
	    8, 0, 0, 0, 64, 0 };
	u_int nrxq, nind;
	uint32_t hash;
	u_int i;

	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), 0);
	KT_EQ(nrxq, 8);
	KT_EQ(nind, 64);
	KT_EQ(hash, NDIS_HASH_TOEPLITZ | NDIS_HASH_IP4 | NDIS_HASH_TCP4 |
	    NDIS_HASH_IP6 | NDIS_HASH_TCP6 | NDIS_HASH_IP6_EX |
	    NDIS_HASH_TCP6_EX);
	for (i = 0; i < 16; i++)
		KT_EQ(hn_rss_parse(msg, i, &nrxq, &nind, &hash), EPROTO);
	/* Revision 1 says nothing of the table. */
	KT_EQ(hn_rss_parse(msg, 16, &nrxq, &nind, &hash), 0);
	KT_EQ(nind, 128);
	msg[16] = 129;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[16] = 0;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[16] = 128;
	msg[12] = 0;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[12] = 1;
	msg[4] = 0;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[4] = 1;
	msg[5] = 0;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[5] = 1;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), 0);
	KT_EQ(hash, NDIS_HASH_TOEPLITZ | NDIS_HASH_IP4 | NDIS_HASH_TCP4);
	msg[2] = 15;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
	msg[2] = 18;
	msg[0] = 0x89;
	KT_EQ(hn_rss_parse(msg, 18, &nrxq, &nind, &hash), EPROTO);
}

KTEST(hn_rss_table, "a table may only name rings that are in use")
{
	uint32_t ind[4] = { 0, 3, 1, 2 };

	KT_CHECK(hn_rss_table_ok(ind, 4, 4));
	KT_CHECK(!hn_rss_table_ok(ind, 4, 3));
	KT_CHECK(hn_rss_table_ok(ind, 1, 1));
	ind[2] = UINT32_MAX;
	KT_CHECK(!hn_rss_table_ok(ind, 4, 4));
}

KTEST(hn_txtbl, "indirection notices: where the table is, and whether it is")
{
	uint8_t msg[92];
	u_int i;

	memset(msg, 0, sizeof(msg));
	put32(msg, HN_NVS_TYPE_TXTBL);
	put32(msg + 4, 16);
	put32(msg + 8, 12);
	KT_EQ(hn_nvs_txtbl(msg, 76, HN_NVS_VERSION_61) - msg, 12);
	KT_EQ(hn_nvs_txtbl(msg, 76, HN_NVS_VERSION_5) - msg, 12);
	/* Up to version 6 a long message has it behind its old end. */
	KT_EQ(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_6) - msg, 28);
	KT_EQ(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) - msg, 12);
	for (i = 0; i < 76; i++)
		KT_CHECK(hn_nvs_txtbl(msg, i, HN_NVS_VERSION_61) == NULL);
	put32(msg + 8, 11);
	KT_CHECK(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) == NULL);
	put32(msg + 8, 29);
	KT_CHECK(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) == NULL);
	put32(msg + 8, UINT32_MAX);
	KT_CHECK(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) == NULL);
	put32(msg + 8, 28);
	KT_EQ(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) - msg, 28);
	put32(msg + 4, 17);
	KT_CHECK(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) == NULL);
	put32(msg + 4, 0);
	KT_CHECK(hn_nvs_txtbl(msg, 92, HN_NVS_VERSION_61) == NULL);
}
