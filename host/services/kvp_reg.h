/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of data exchange (KVP), behind the message header.
 * Little-endian, nothing aligned; sizes are bytes, with the terminator.
 * protocol: utilities, 6
 */

#ifndef HVH_SERVICES_KVP_REG_H
#define	HVH_SERVICES_KVP_REG_H

#include <stddef.h>
#include <stdint.h>

#define	KVP_PACKED	__attribute__((packed))

#define	KVP_GET		0
#define	KVP_SET		1
#define	KVP_DELETE	2
#define	KVP_ENUMERATE	3
#define	KVP_GET_IP	4
#define	KVP_SET_IP	5

/* The registry's number for 64 bits; the guests of this form say 8. */
#define	KVP_TYPE_QWORD	11

#define	KVP_KEY_UNITS	256
#define	KVP_VALUE_UNITS	1024

struct kvp_header {
	uint8_t		kh_op;
	uint8_t		kh_pool;
} KVP_PACKED;
_Static_assert(sizeof(struct kvp_header) == 2, "header");

struct kvp_value {
	uint32_t	kv_type;
	uint32_t	kv_key_size;
	uint32_t	kv_value_size;
	uint8_t		kv_key[2 * KVP_KEY_UNITS];
	uint8_t		kv_value[2 * KVP_VALUE_UNITS];
} KVP_PACKED;
_Static_assert(sizeof(struct kvp_value) == 2572, "value");
_Static_assert(offsetof(struct kvp_value, kv_value) == 524, "value's value");

/* All operations on items have the largest one's size. */
struct kvp_message {
	struct kvp_header km_header;
	uint8_t		km_reserved[2];
	union {
		struct {
			struct kvp_value value;
			uint8_t	reserved[4];
		} KVP_PACKED km_item;		/* get, set */
		struct {
			uint32_t key_size;
			uint8_t	key[2 * KVP_KEY_UNITS];
			uint8_t	reserved[2060];
		} KVP_PACKED km_delete;
		struct {
			uint32_t index;
			struct kvp_value value;
		} KVP_PACKED km_enumerate;
	} KVP_PACKED;
} KVP_PACKED;
_Static_assert(sizeof(struct kvp_message) == 2580, "message");
_Static_assert(offsetof(struct kvp_message, km_delete.key) == 8, "key");
_Static_assert(offsetof(struct kvp_message, km_enumerate.value) == 8,
    "enumerated value");

#define	KVP_ADAPTER_UNITS	128
#define	KVP_LIST_UNITS		1024
#define	KVP_GATEWAY_UNITS	512

/* The string form, directly behind the header. */
struct kvp_ip_message {
	struct kvp_header ki_header;
	uint8_t		ki_adapter[2 * KVP_ADAPTER_UNITS];
	uint8_t		ki_family;
	uint8_t		ki_dhcp;
	uint8_t		ki_addresses[2 * KVP_LIST_UNITS];
	uint8_t		ki_subnets[2 * KVP_LIST_UNITS];
	uint8_t		ki_gateways[2 * KVP_GATEWAY_UNITS];
	uint8_t		ki_dns[2 * KVP_LIST_UNITS];
} KVP_PACKED;
_Static_assert(sizeof(struct kvp_ip_message) == 7428, "IP message");
_Static_assert(offsetof(struct kvp_ip_message, ki_family) == 258, "family");
_Static_assert(offsetof(struct kvp_ip_message, ki_gateways) == 4356,
    "gateways");
_Static_assert(offsetof(struct kvp_ip_message, ki_dns) == 5380, "DNS");

#endif	/* !HVH_SERVICES_KVP_REG_H */
