/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value pair messages as on the wire: little-endian, text in UTF-16
 * (protocol: utilities, section 6).  All offsets count from the body of an
 * integration message.  Layout and numbers only.
 */

#ifndef _HV_KVP_REG_H_
#define	_HV_KVP_REG_H_

#include <sys/types.h>

/* Operations. */
#define	HVKVP_OP_GET		0
#define	HVKVP_OP_SET		1
#define	HVKVP_OP_DELETE		2
#define	HVKVP_OP_ENUMERATE	3
#define	HVKVP_OP_GET_IP		4
#define	HVKVP_OP_SET_IP		5

/*
 * Types of values.  A 64-bit integer is 8 to hosts that know of FreeBSD and
 * Linux; 11 is the number in the Windows registry.
 */
#define	HVKVP_TYPE_STRING	1
#define	HVKVP_TYPE_EXPAND	2
#define	HVKVP_TYPE_U32		4
#define	HVKVP_TYPE_U64		8
#define	HVKVP_TYPE_QWORD	11

#define	HVKVP_KEY_UNITS		256	/* UTF-16 units, terminator included */
#define	HVKVP_VALUE_UNITS	1024

struct hvkvp_hdr {
	uint8_t		kh_op;
	uint8_t		kh_pool;
} __packed;
_Static_assert(sizeof(struct hvkvp_hdr) == 2, "hvkvp_hdr");

/* Sizes in bytes; those of strings include the terminator. */
struct hvkvp_value {
	uint32_t	kv_type;
	uint32_t	kv_key_size;
	uint32_t	kv_value_size;
	uint16_t	kv_key[HVKVP_KEY_UNITS];
	union {
		uint16_t kv_value[HVKVP_VALUE_UNITS];
		uint32_t kv_u32;
		uint64_t kv_u64;
	} __packed;
} __packed;
_Static_assert(sizeof(struct hvkvp_value) == 2572, "hvkvp_value");
_Static_assert(__offsetof(struct hvkvp_value, kv_key) == 12,
    "hvkvp_value.kv_key");
_Static_assert(__offsetof(struct hvkvp_value, kv_value) == 524,
    "hvkvp_value.kv_value");

/* GET and SET. */
struct hvkvp_msg_value {
	struct hvkvp_hdr	mv_hdr;
	uint16_t		mv_pad;
	struct hvkvp_value	mv_value;
} __packed;
_Static_assert(sizeof(struct hvkvp_msg_value) == 2576, "hvkvp_msg_value");
_Static_assert(__offsetof(struct hvkvp_msg_value, mv_value) == 4,
    "hvkvp_msg_value.mv_value");

struct hvkvp_msg_delete {
	struct hvkvp_hdr	md_hdr;
	uint16_t		md_pad;
	uint32_t		md_key_size;
	uint16_t		md_key[HVKVP_KEY_UNITS];
} __packed;
_Static_assert(sizeof(struct hvkvp_msg_delete) == 520, "hvkvp_msg_delete");
_Static_assert(__offsetof(struct hvkvp_msg_delete, md_key) == 8,
    "hvkvp_msg_delete.md_key");

struct hvkvp_msg_enum {
	struct hvkvp_hdr	me_hdr;
	uint16_t		me_pad;
	uint32_t		me_index;
	struct hvkvp_value	me_value;
} __packed;
_Static_assert(sizeof(struct hvkvp_msg_enum) == 2580, "hvkvp_msg_enum");
_Static_assert(__offsetof(struct hvkvp_msg_enum, me_value) == 8,
    "hvkvp_msg_enum.me_value");

/* GET_IP and SET_IP, string form: lists separated by semicolons. */
#define	HVKVP_ADAPTER_UNITS	128
#define	HVKVP_ADDR_UNITS	1024
#define	HVKVP_GATEWAY_UNITS	512

struct hvkvp_msg_ip {
	struct hvkvp_hdr	mi_hdr;
	uint16_t		mi_adapter[HVKVP_ADAPTER_UNITS];
	uint8_t			mi_family;	/* HVKVP_IP_ */
	uint8_t			mi_dhcp;
	uint16_t		mi_addr[HVKVP_ADDR_UNITS];
	uint16_t		mi_subnet[HVKVP_ADDR_UNITS];
	uint16_t		mi_gateway[HVKVP_GATEWAY_UNITS];
	uint16_t		mi_dns[HVKVP_ADDR_UNITS];
} __packed;
_Static_assert(sizeof(struct hvkvp_msg_ip) == 7428, "hvkvp_msg_ip");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_adapter) == 2,
    "hvkvp_msg_ip.mi_adapter");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_family) == 258,
    "hvkvp_msg_ip.mi_family");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_addr) == 260,
    "hvkvp_msg_ip.mi_addr");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_subnet) == 2308,
    "hvkvp_msg_ip.mi_subnet");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_gateway) == 4356,
    "hvkvp_msg_ip.mi_gateway");
_Static_assert(__offsetof(struct hvkvp_msg_ip, mi_dns) == 5380,
    "hvkvp_msg_ip.mi_dns");

#define	HVKVP_IP_V4	0x01
#define	HVKVP_IP_V6	0x02

#endif	/* !_HV_KVP_REG_H_ */
