/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layout of the network protocols: sizes, offsets and numbers as literals
 * from protocol: netvsc, sections 2 to 6.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/netvsc/hn_nvs_reg.h>
#include <dev/hyperv/netvsc/hn_rndis_reg.h>
#include <dev/hyperv/netvsc/ndis_reg.h>

#include "ktest.h"

#define	OFS(type, member)	__offsetof(struct type, member)

KTEST(hn_reg_nvs, "network service messages: offsets from their start")
{

	KT_EQ(sizeof(struct hn_nvs_msg), 40);
	KT_EQ(OFS(hn_nvs_msg, nm_type), 0);
	KT_EQ(OFS(hn_nvs_msg, nm_init.ni_min), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_init.ni_max), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_init_resp.nr_version), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_init_resp.nr_maxmdl), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_init_resp.nr_status), 12);
	KT_EQ(OFS(hn_nvs_msg, nm_ndis_init.nn_major), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_ndis_init.nn_minor), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_ndis_conf.nc_mtu), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_ndis_conf.nc_caps), 12);
	KT_EQ(OFS(hn_nvs_msg, nm_ndis_conf.nc_caps_hi), 16);
	KT_EQ(OFS(hn_nvs_msg, nm_buf_conn.nb_gpadl), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_buf_conn.nb_id), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_status), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_nsect), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_sect.ns_start), 12);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_sect.ns_size), 16);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_sect.ns_cnt), 20);
	KT_EQ(OFS(hn_nvs_msg, nm_rxbuf_resp.nx_sect.ns_end), 24);
	KT_EQ(OFS(hn_nvs_msg, nm_txbuf_resp.nt_status), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_txbuf_resp.nt_sectsz), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_buf_disconn.nd_id), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_rndis.nr_mtype), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_rndis.nr_sect), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_rndis.nr_sectsz), 12);
	KT_EQ(OFS(hn_nvs_msg, nm_status), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_path), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_vf_assoc.nv_allocated), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_vf_assoc.nv_serial), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_subch_req.nq_op), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_subch_req.nq_cnt), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_subch_resp.nu_status), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_subch_resp.nu_cnt), 8);
	KT_EQ(OFS(hn_nvs_msg, nm_txtbl.nl_cnt), 4);
	KT_EQ(OFS(hn_nvs_msg, nm_txtbl.nl_ofs), 8);
}

KTEST(hn_reg_nvs_numbers, "network service: versions, types, status")
{

	KT_EQ(HN_NVS_VERSION_1, 0x2);
	KT_EQ(HN_NVS_VERSION_2, 0x30002);
	KT_EQ(HN_NVS_VERSION_4, 0x40000);
	KT_EQ(HN_NVS_VERSION_5, 0x50000);
	KT_EQ(HN_NVS_VERSION_6, 0x60000);
	KT_EQ(HN_NVS_VERSION_61, 0x60001);
	KT_EQ(HN_NVS_TYPE_INIT, 1);
	KT_EQ(HN_NVS_TYPE_INIT_RESP, 2);
	KT_EQ(HN_NVS_TYPE_NDIS_INIT, 100);
	KT_EQ(HN_NVS_TYPE_RXBUF_CONN, 101);
	KT_EQ(HN_NVS_TYPE_RXBUF_CONNRESP, 102);
	KT_EQ(HN_NVS_TYPE_RXBUF_DISCONN, 103);
	KT_EQ(HN_NVS_TYPE_TXBUF_CONN, 104);
	KT_EQ(HN_NVS_TYPE_TXBUF_CONNRESP, 105);
	KT_EQ(HN_NVS_TYPE_TXBUF_DISCONN, 106);
	KT_EQ(HN_NVS_TYPE_RNDIS, 107);
	KT_EQ(HN_NVS_TYPE_RNDIS_ACK, 108);
	KT_EQ(HN_NVS_TYPE_NDIS_CONF, 125);
	KT_EQ(HN_NVS_TYPE_VF_ASSOC, 128);
	KT_EQ(HN_NVS_TYPE_SET_DATAPATH, 129);
	KT_EQ(HN_NVS_TYPE_SUBCH, 133);
	KT_EQ(HN_NVS_TYPE_TXTBL, 134);
	KT_EQ(HN_NVS_STATUS_OK, 1);
	KT_EQ(HN_NVS_STATUS_FAILED, 2);
	KT_EQ(HN_NVS_RXBUF_ID, 0xcafe);
	KT_EQ(HN_NVS_CAP_SRIOV, 1 << 2);
	KT_EQ(HN_NVS_CAP_VLAN, 1 << 3);
	KT_EQ(HN_NVS_CAP_TEAMING, 1 << 5);
	KT_EQ(HN_NVS_CAP_RSC, 1 << 7);
	KT_EQ(HN_NVS_RNDIS_DATA, 0);
	KT_EQ(HN_NVS_RNDIS_CTRL, 1);
	KT_EQ(HN_NVS_SECT_NONE, 0xffffffff);
	KT_EQ(HN_NVS_TXTBL_CNT, 16);
}

KTEST(hn_reg_rndis, "RNDIS messages: sizes and offsets")
{

	KT_EQ(sizeof(struct hn_rndis_hdr), 8);
	KT_EQ(sizeof(struct hn_rndis_init), 24);
	KT_EQ(OFS(hn_rndis_init, ri_rid), 8);
	KT_EQ(OFS(hn_rndis_init, ri_major), 12);
	KT_EQ(OFS(hn_rndis_init, ri_minor), 16);
	KT_EQ(OFS(hn_rndis_init, ri_maxxfer), 20);
	KT_EQ(sizeof(struct hn_rndis_init_comp), 52);
	KT_EQ(OFS(hn_rndis_init_comp, ro_rid), 8);
	KT_EQ(OFS(hn_rndis_init_comp, ro_status), 12);
	KT_EQ(OFS(hn_rndis_init_comp, ro_devflags), 24);
	KT_EQ(OFS(hn_rndis_init_comp, ro_medium), 28);
	KT_EQ(OFS(hn_rndis_init_comp, ro_maxpkts), 32);
	KT_EQ(OFS(hn_rndis_init_comp, ro_maxxfer), 36);
	KT_EQ(OFS(hn_rndis_init_comp, ro_align), 40);
	KT_EQ(sizeof(struct hn_rndis_oid), 28);
	KT_EQ(OFS(hn_rndis_oid, rq_rid), 8);
	KT_EQ(OFS(hn_rndis_oid, rq_oid), 12);
	KT_EQ(OFS(hn_rndis_oid, rq_len), 16);
	KT_EQ(OFS(hn_rndis_oid, rq_ofs), 20);
	KT_EQ(OFS(hn_rndis_oid, rq_vc), 24);
	KT_EQ(sizeof(struct hn_rndis_query_comp), 24);
	KT_EQ(OFS(hn_rndis_query_comp, ra_status), 12);
	KT_EQ(OFS(hn_rndis_query_comp, ra_len), 16);
	KT_EQ(OFS(hn_rndis_query_comp, ra_ofs), 20);
	KT_EQ(sizeof(struct hn_rndis_comp), 16);
	KT_EQ(sizeof(struct hn_rndis_indicate), 20);
	KT_EQ(OFS(hn_rndis_indicate, rs_status), 8);
	KT_EQ(OFS(hn_rndis_indicate, rs_len), 12);
	KT_EQ(OFS(hn_rndis_indicate, rs_ofs), 16);
	KT_EQ(sizeof(struct hn_rndis_packet), 44);
	KT_EQ(OFS(hn_rndis_packet, rm_dataofs), 8);
	KT_EQ(OFS(hn_rndis_packet, rm_datalen), 12);
	KT_EQ(OFS(hn_rndis_packet, rm_oobofs), 16);
	KT_EQ(OFS(hn_rndis_packet, rm_ooblen), 20);
	KT_EQ(OFS(hn_rndis_packet, rm_oobcnt), 24);
	KT_EQ(OFS(hn_rndis_packet, rm_ppiofs), 28);
	KT_EQ(OFS(hn_rndis_packet, rm_ppilen), 32);
	KT_EQ(OFS(hn_rndis_packet, rm_vc), 36);
}

KTEST(hn_reg_rndis_numbers, "RNDIS: types, status, OIDs, filter")
{

	KT_EQ(HN_RNDIS_PACKET, 1);
	KT_EQ(HN_RNDIS_INIT, 2);
	KT_EQ(HN_RNDIS_HALT, 3);
	KT_EQ(HN_RNDIS_QUERY, 4);
	KT_EQ(HN_RNDIS_SET, 5);
	KT_EQ(HN_RNDIS_INDICATE, 7);
	KT_EQ(HN_RNDIS_KEEPALIVE, 8);
	KT_EQ(HN_RNDIS_SET | HN_RNDIS_CMPLT, 0x80000005);
	KT_EQ(HN_RNDIS_STATUS_MEDIA_CONNECT, 0x4001000b);
	KT_EQ(HN_RNDIS_STATUS_MEDIA_DISCONNECT, 0x4001000c);
	KT_EQ(HN_RNDIS_STATUS_LINK_SPEED, 0x40010013);
	KT_EQ(HN_RNDIS_STATUS_NETWORK_CHANGE, 0x40010018);
	KT_EQ(HN_RNDIS_STATUS_OFFLOAD_CONFIG, 0x40020006);
	KT_EQ(HN_OID_GEN_MAXIMUM_FRAME_SIZE, 0x00010106);
	KT_EQ(HN_OID_GEN_LINK_SPEED, 0x00010107);
	KT_EQ(HN_OID_GEN_PACKET_FILTER, 0x0001010e);
	KT_EQ(HN_OID_GEN_MEDIA_CONNECT, 0x00010114);
	KT_EQ(HN_OID_GEN_RSS_CAPS, 0x00010203);
	KT_EQ(HN_OID_GEN_RSS_PARAMS, 0x00010204);
	KT_EQ(HN_OID_802_3_PERMANENT_ADDRESS, 0x01010101);
	KT_EQ(HN_OID_TCP_OFFLOAD_PARAMS, 0xfc01020c);
	KT_EQ(HN_OID_TCP_OFFLOAD_HWCAPS, 0xfc01020d);
	KT_EQ(HN_FILTER_DIRECTED, 0x1);
	KT_EQ(HN_FILTER_ALL_MULTICAST, 0x4);
	KT_EQ(HN_FILTER_BROADCAST, 0x8);
	KT_EQ(HN_FILTER_PROMISCUOUS, 0x20);
}

KTEST(hn_reg_ndis, "NDIS objects: sizes and offsets")
{

	KT_EQ(sizeof(struct ndis_offload), 156);
	KT_EQ(OFS(ndis_offload, of_csum.co_ip4_tx), 8);
	KT_EQ(OFS(ndis_offload, of_csum.co_ip4_rx), 16);
	KT_EQ(OFS(ndis_offload, of_csum.co_ip6_tx), 24);
	KT_EQ(OFS(ndis_offload, of_csum.co_ip6_rx), 32);
	KT_EQ(OFS(ndis_offload, of_lsov2), 80);
	KT_EQ(OFS(ndis_offload, of_lsov2.lo_ip6_enc), 92);
	KT_EQ(OFS(ndis_offload, of_lsov2.lo_ip6_opts), 104);
	KT_EQ(OFS(ndis_offload, of_flags), 108);
	KT_EQ(OFS(ndis_offload, of_ipsecv2), 112);
	KT_EQ(OFS(ndis_offload, of_rsc), 144);
	KT_EQ(sizeof(struct ndis_offload_params), 28);
	KT_EQ(OFS(ndis_offload_params, op_ip4csum), 4);
	KT_EQ(OFS(ndis_offload_params, op_tcp4csum), 5);
	KT_EQ(OFS(ndis_offload_params, op_udp4csum), 6);
	KT_EQ(OFS(ndis_offload_params, op_tcp6csum), 7);
	KT_EQ(OFS(ndis_offload_params, op_udp6csum), 8);
	KT_EQ(OFS(ndis_offload_params, op_lsov2_ip4), 11);
	KT_EQ(OFS(ndis_offload_params, op_lsov2_ip6), 12);
	KT_EQ(OFS(ndis_offload_params, op_rsc_ip4), 22);
	KT_EQ(OFS(ndis_offload_params, op_rsc_ip6), 23);
	KT_EQ(OFS(ndis_rss_caps, rk_caps), 4);
	KT_EQ(OFS(ndis_rss_caps, rk_nrxq), 12);
	KT_EQ(OFS(ndis_rss_caps, rk_nind), 16);
	KT_EQ(sizeof(struct ndis_rss_params), 40);
	KT_EQ(OFS(ndis_rss_params, rp_flags), 4);
	KT_EQ(OFS(ndis_rss_params, rp_hash), 8);
	KT_EQ(OFS(ndis_rss_params, rp_indsize), 12);
	KT_EQ(OFS(ndis_rss_params, rp_indofs), 16);
	KT_EQ(OFS(ndis_rss_params, rp_keysize), 20);
	KT_EQ(OFS(ndis_rss_params, rp_keyofs), 24);
	KT_EQ(OFS(ndis_rss_toeplitz, rt_key), 40);
	KT_EQ(OFS(ndis_rss_toeplitz, rt_ind), 80);
}

KTEST(hn_reg_ndis_numbers, "NDIS: objects, hashes, per-packet information")
{

	KT_EQ(NDIS_VERSION_6_30, 6 << 16 | 30);
	KT_EQ(NDIS_OBJECT_DEFAULT, 0x80);
	KT_EQ(NDIS_OBJECT_RSS_CAPS, 0x88);
	KT_EQ(NDIS_OBJECT_RSS_PARAMS, 0x89);
	KT_EQ(NDIS_OBJECT_OFFLOAD, 0xa7);
	KT_EQ(NDIS_OFFLOAD_CSUM_TXRX, 4);
	KT_EQ(NDIS_OFFLOAD_ON, 2);
	KT_EQ(NDIS_OFFLOAD_OFF, 1);
	KT_EQ(NDIS_RSS_FLAG_DISABLE, 0x10);
	KT_EQ(NDIS_HASH_TOEPLITZ, 1);
	KT_EQ(NDIS_HASH_IP4, 0x100);
	KT_EQ(NDIS_HASH_TCP4, 0x200);
	KT_EQ(NDIS_HASH_IP6, 0x400);
	KT_EQ(NDIS_HASH_TCP6, 0x1000);
	KT_EQ(sizeof(struct ndis_ppi), 12);
	KT_EQ(NDIS_PPI_CSUM, 0);
	KT_EQ(NDIS_PPI_LSO, 2);
	KT_EQ(NDIS_PPI_VLAN, 6);
	KT_EQ(NDIS_PPI_HASH_VALUE, 8);
	KT_EQ(NDIS_PPI_HASH_INFO, 9);
	KT_EQ(NDIS_PPI_RSC, 0x80000001);
	KT_EQ(NDIS_VLAN_INFO(0xabc, 5, 1), 0xabcd);
}
