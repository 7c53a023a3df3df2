/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of the network channel's own messages (NVSP), as this side
 * sees them.  Little-endian.  protocol: netvsc, 2, 3 and 4.2
 */

#ifndef HVH_NETWORK_NVSP_REG_H
#define	HVH_NETWORK_NVSP_REG_H

#include <stddef.h>
#include <stdint.h>

/* protocol: netvsc, 2 */
#define	NVSP_VERSION_1			0x00000002u
#define	NVSP_VERSION_2			0x00030002u
#define	NVSP_VERSION_4			0x00040000u
#define	NVSP_VERSION_5			0x00050000u
#define	NVSP_VERSION_6			0x00060000u
#define	NVSP_VERSION_6_1		0x00060001u

/* protocol: netvsc, 3 */
#define	NVSP_INIT			1
#define	NVSP_INIT_COMPLETE		2
#define	NVSP_NDIS_VERSION		100
#define	NVSP_RECEIVE_BUFFER		101
#define	NVSP_RECEIVE_BUFFER_COMPLETE	102
#define	NVSP_REVOKE_RECEIVE_BUFFER	103
#define	NVSP_SEND_BUFFER		104
#define	NVSP_SEND_BUFFER_COMPLETE	105
#define	NVSP_REVOKE_SEND_BUFFER		106
#define	NVSP_RNDIS_PACKET		107
#define	NVSP_RNDIS_PACKET_COMPLETE	108
#define	NVSP_NDIS_CONFIG		125
#define	NVSP_VF_ASSOCIATION		128
#define	NVSP_SWITCH_DATA_PATH		129
#define	NVSP_OID_QUERY_EX		131
#define	NVSP_OID_QUERY_EX_COMPLETE	132
#define	NVSP_SUB_CHANNEL		133
#define	NVSP_INDIRECTION_TABLE		134

#define	NVSP_STATUS_NONE		0
#define	NVSP_STATUS_SUCCESS		1
#define	NVSP_STATUS_FAILURE		2

/* Host to guest, padded to it.  protocol: netvsc, 2 */
#define	NVSP_PACKET_SIZE_OLD		28
#define	NVSP_PACKET_SIZE		40

/* protocol: netvsc, 3.1 */
struct nvsp_init {
	uint32_t	version;	/* "lowest"; the highest is the same */
	uint32_t	version_high;
};
_Static_assert(sizeof(struct nvsp_init) == 8, "nvsp_init");

struct nvsp_init_complete {
	uint32_t	deprecated;
	uint32_t	max_mdl_chain;
	uint32_t	status;
};
_Static_assert(sizeof(struct nvsp_init_complete) == 12, "nvsp_init_complete");
_Static_assert(offsetof(struct nvsp_init_complete, status) == 8, "status");

struct nvsp_ndis_version {
	uint32_t	major;
	uint32_t	minor;
};
_Static_assert(sizeof(struct nvsp_ndis_version) == 8, "nvsp_ndis_version");

/* SEND_RECEIVE_BUFFER and SEND_SEND_BUFFER. */
struct nvsp_buffer {
	uint32_t	gpadl;
	uint16_t	id;
	uint16_t	reserved;
};
_Static_assert(sizeof(struct nvsp_buffer) == 8, "nvsp_buffer");
_Static_assert(offsetof(struct nvsp_buffer, id) == 4, "id");

struct nvsp_rx_section {
	uint32_t	offset;
	uint32_t	slot_size;
	uint32_t	slots;
	uint32_t	end;
};
_Static_assert(sizeof(struct nvsp_rx_section) == 16, "nvsp_rx_section");

struct nvsp_receive_buffer_complete {
	uint32_t	status;
	uint32_t	sections;
	struct nvsp_rx_section section;
};
_Static_assert(sizeof(struct nvsp_receive_buffer_complete) == 24,
    "nvsp_receive_buffer_complete");
_Static_assert(offsetof(struct nvsp_receive_buffer_complete, section) == 8,
    "section");

struct nvsp_send_buffer_complete {
	uint32_t	status;
	uint32_t	section_size;
};
_Static_assert(sizeof(struct nvsp_send_buffer_complete) == 8,
    "nvsp_send_buffer_complete");

struct nvsp_revoke {
	uint16_t	id;
};
_Static_assert(sizeof(struct nvsp_revoke) == 2, "nvsp_revoke");

struct nvsp_rndis {
	uint32_t	channel_type;
	uint32_t	section;
	uint32_t	section_len;
};
_Static_assert(sizeof(struct nvsp_rndis) == 12, "nvsp_rndis");
_Static_assert(offsetof(struct nvsp_rndis, section) == 4, "section");
#define	NVSP_CHANNEL_DATA		0
#define	NVSP_CHANNEL_CONTROL		1
#define	NVSP_NO_SECTION			0xffffffffu

struct nvsp_rndis_complete {
	uint32_t	status;
};
_Static_assert(sizeof(struct nvsp_rndis_complete) == 4,
    "nvsp_rndis_complete");

struct nvsp_ndis_config {
	uint32_t	mtu;		/* with the Ethernet header */
	uint32_t	reserved;
	uint64_t	capabilities;
};
_Static_assert(sizeof(struct nvsp_ndis_config) == 16, "nvsp_ndis_config");
_Static_assert(offsetof(struct nvsp_ndis_config, capabilities) == 8,
    "capabilities");
#define	NVSP_CAP_SRIOV			(1u << 2)
#define	NVSP_CAP_RSC			(1u << 7)

struct nvsp_vf_association {
	uint32_t	allocated;
	uint32_t	serial;
};
_Static_assert(sizeof(struct nvsp_vf_association) == 8,
    "nvsp_vf_association");

struct nvsp_data_path {
	uint32_t	active;
};
_Static_assert(sizeof(struct nvsp_data_path) == 4, "nvsp_data_path");
#define	NVSP_PATH_SYNTHETIC		0
#define	NVSP_PATH_VF			1

struct nvsp_sub_channel {
	uint32_t	operation;	/* of the answer: status */
	uint32_t	count;
};
_Static_assert(sizeof(struct nvsp_sub_channel) == 8, "nvsp_sub_channel");
#define	NVSP_SUB_CHANNEL_ALLOCATE	1

struct nvsp_oid_query_ex_complete {
	uint32_t	status;
	uint32_t	bytes;
};
_Static_assert(sizeof(struct nvsp_oid_query_ex_complete) == 8,
    "nvsp_oid_query_ex_complete");

/*
 * A message.  The union is packed since it begins at 4 and one member wants 8;
 * the longest that is padded to a fixed size has 36 bytes.
 */
struct nvsp_msg {
	uint32_t	type;
	union {
		struct nvsp_init		init;
		struct nvsp_init_complete	init_complete;
		struct nvsp_ndis_version	ndis_version;
		struct nvsp_buffer		buffer;
		struct nvsp_receive_buffer_complete rx_complete;
		struct nvsp_send_buffer_complete tx_complete;
		struct nvsp_revoke		revoke;
		struct nvsp_rndis		rndis;
		struct nvsp_rndis_complete	rndis_complete;
		struct nvsp_ndis_config		config
		    __attribute__((packed, aligned(4)));
		struct nvsp_vf_association	vf;
		struct nvsp_data_path		path;
		struct nvsp_sub_channel		sub;
		struct nvsp_oid_query_ex_complete oid_complete;
		uint8_t				pad[36];
	};
};
#define	NVSP_HEADER_SIZE		4
_Static_assert(sizeof(struct nvsp_msg) == NVSP_PACKET_SIZE, "nvsp_msg");
_Static_assert(offsetof(struct nvsp_msg, pad) == NVSP_HEADER_SIZE, "union");
_Static_assert(offsetof(struct nvsp_msg, config.capabilities) == 12,
    "config.capabilities");

/* Not padded.  protocol: netvsc, 2 and 3.1 */
struct nvsp_indirection {
	uint32_t	type;
	uint32_t	count;
	uint32_t	offset;		/* from the message's start */
	uint32_t	table[16];
};
#define	NVSP_INDIRECTION_COUNT		16
_Static_assert(sizeof(struct nvsp_indirection) == 76, "nvsp_indirection");
_Static_assert(offsetof(struct nvsp_indirection, table) == 12, "table");
#define	NVSP_SWITCH_DATA_PATH_SIZE	8

/*
 * What a transfer-page packet of ours begins with, before its NVSP message.
 * protocol: netvsc, 4.2
 */
struct nvsp_xfer_head {
	uint16_t	set;		/* the receive buffer's id */
	uint16_t	reserved;
	uint32_t	count;
};
_Static_assert(sizeof(struct nvsp_xfer_head) == 8, "nvsp_xfer_head");
_Static_assert(offsetof(struct nvsp_xfer_head, count) == 4, "count");

struct nvsp_xfer_range {
	uint32_t	len;
	uint32_t	offset;
};
_Static_assert(sizeof(struct nvsp_xfer_range) == 8, "nvsp_xfer_range");
#define	NVSP_RANGES			375
#define	NVSP_RANGES_RSC			562

#endif	/* !HVH_NETWORK_NVSP_REG_H */
