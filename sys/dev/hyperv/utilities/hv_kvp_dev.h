/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What hv_kvp_daemon(8) and the kernel say to each other through
 * /dev/hv_kvp_dev.  Each read and each write is one whole struct
 * hv_kvp_dev_msg; poll and kqueue tell when one can be read.
 *
 * The program that opens the device writes HV_KVP_DEV_REGISTER first, with the
 * version it knows; EPROTONOSUPPORT if the kernel knows another.  Then it reads
 * a request, does it and writes the answer: the request with km_status and the
 * members that the operation fills in, km_id as it was.  There is never more
 * than one request.  An answer that comes too late (the host has been told of a
 * failure by then) is ESTALE, and harmless.
 *
 * Text is UTF-8 and always ends with a NUL within its member.  A program must
 * not rely on that for what it did not get from the kernel.
 */

#ifndef _HV_KVP_DEV_H_
#define	_HV_KVP_DEV_H_

#include <sys/types.h>
#ifndef _KERNEL
#include <stdint.h>
#endif

#define	HV_KVP_DEV_NAME		"hv_kvp_dev"
#define	HV_KVP_DEV_VERSION	1

/* km_type */
#define	HV_KVP_DEV_REGISTER	0x4b565000	/* from the program, once */
#define	HV_KVP_DEV_REQUEST	0x4b565001	/* from the kernel */
#define	HV_KVP_DEV_ANSWER	0x4b565002	/* from the program */

/* km_op; in brackets what an answer fills in. */
#define	HV_KVP_DEV_GET		0	/* pool, key [value] */
#define	HV_KVP_DEV_SET		1	/* pool, key, value */
#define	HV_KVP_DEV_DELETE	2	/* pool, key */
#define	HV_KVP_DEV_ENUMERATE	3	/* pool, index [key, value] */
#define	HV_KVP_DEV_GET_IP	4	/* ip.adapter: MAC [ip] */
#define	HV_KVP_DEV_SET_IP	5	/* ip; ip.adapter: name, as "hn0" */

#define	HV_KVP_DEV_POOLS	5
#define	HV_KVP_DEV_POOL_EXTERNAL	0	/* the host's, for the guest */
#define	HV_KVP_DEV_POOL_GUEST		1	/* the guest's, for the host */
#define	HV_KVP_DEV_POOL_AUTO		2	/* facts about the guest */
#define	HV_KVP_DEV_POOL_AUTO_EXTERNAL	3	/* facts about the host */
#define	HV_KVP_DEV_POOL_AUTO_INTERNAL	4	/* of the guest alone */

/* km_status of an answer. */
#define	HV_KVP_DEV_OK		0
#define	HV_KVP_DEV_NOTFOUND	1	/* no such key, or none at this index */
#define	HV_KVP_DEV_FAILED	2
#define	HV_KVP_DEV_UNSUPPORTED	3
#define	HV_KVP_DEV_INVALID	4	/* what was asked makes no sense */
#define	HV_KVP_DEV_FULL		5	/* no room on the disk */
#define	HV_KVP_DEV_NODEV	6	/* no such network adapter */

/* Bytes, terminator included: as in the files of the pools. */
#define	HV_KVP_DEV_KEY_MAX	512
#define	HV_KVP_DEV_VALUE_MAX	2048

#define	HV_KVP_DEV_ADAPTER_MAX	128
#define	HV_KVP_DEV_ADDR_MAX	1024
#define	HV_KVP_DEV_GATEWAY_MAX	512

struct hv_kvp_dev_kv {
	uint32_t	kv_index;
	char		kv_key[HV_KVP_DEV_KEY_MAX];
	char		kv_value[HV_KVP_DEV_VALUE_MAX];
};

/* Addresses as text, separated by semicolons; subnets in the same order. */
struct hv_kvp_dev_ip {
	char		ip_adapter[HV_KVP_DEV_ADAPTER_MAX];
	uint8_t		ip_family;	/* 1 IPv4, 2 IPv6, 3 both, 0 none */
	uint8_t		ip_dhcp;	/* 0 or 1 */
	uint16_t	ip_pad;
	char		ip_addr[HV_KVP_DEV_ADDR_MAX];
	char		ip_subnet[HV_KVP_DEV_ADDR_MAX];
	char		ip_gateway[HV_KVP_DEV_GATEWAY_MAX];
	char		ip_dns[HV_KVP_DEV_ADDR_MAX];
};

struct hv_kvp_dev_msg {
	uint32_t	km_type;
	uint32_t	km_version;	/* HV_KVP_DEV_VERSION, always */
	uint32_t	km_id;
	uint32_t	km_op;
	uint32_t	km_pool;
	uint32_t	km_status;
	union {
		struct hv_kvp_dev_kv	km_kv;
		struct hv_kvp_dev_ip	km_ip;
	};
};

_Static_assert(sizeof(struct hv_kvp_dev_kv) == 2564, "hv_kvp_dev_kv");
_Static_assert(sizeof(struct hv_kvp_dev_ip) == 3716, "hv_kvp_dev_ip");
_Static_assert(sizeof(struct hv_kvp_dev_msg) == 3740, "hv_kvp_dev_msg");

#endif	/* !_HV_KVP_DEV_H_ */
