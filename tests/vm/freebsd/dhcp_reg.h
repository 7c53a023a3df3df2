/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A DHCP message (RFC 2131) in a frame of its own, as it is on the wire: all
 * numbers in network byte order.
 */

#ifndef _TESTS_VM_FREEBSD_DHCP_REG_H_
#define	_TESTS_VM_FREEBSD_DHCP_REG_H_

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define	DHCP_SERVER_PORT	67
#define	DHCP_CLIENT_PORT	68
#define	DHCP_COOKIE		0x63825363
#define	DHCP_OPTIONS_MAX	312

/* dhcp_op */
#define	DHCP_OP_REQUEST		1
#define	DHCP_OP_REPLY		2

/* Options: a number, a length, so many bytes; but the first and the last. */
#define	DHCP_OPT_PAD		0
#define	DHCP_OPT_MASK		1
#define	DHCP_OPT_ROUTER		3
#define	DHCP_OPT_DNS		6
#define	DHCP_OPT_WANTED		50
#define	DHCP_OPT_LEASE		51	/* seconds */
#define	DHCP_OPT_TYPE		53
#define	DHCP_OPT_SERVER		54
#define	DHCP_OPT_LIST		55	/* what is asked for */
#define	DHCP_OPT_END		255

/* DHCP_OPT_TYPE */
#define	DHCP_DISCOVER		1
#define	DHCP_OFFER		2
#define	DHCP_REQUEST		3
#define	DHCP_ACK		5
#define	DHCP_NAK		6

struct dhcp_frame {
	uint8_t		 eth_to[6], eth_from[6];
	uint16_t	 eth_type;

	uint8_t		 ip_version;	/* and the header's length */
	uint8_t		 ip_tos;
	uint16_t	 ip_length, ip_id, ip_fragment;
	uint8_t		 ip_ttl, ip_protocol;
	uint16_t	 ip_sum;
	uint32_t	 ip_from, ip_to;

	uint16_t	 udp_from, udp_to, udp_length;
	uint16_t	 udp_sum;	/* 0: none */

	uint8_t		 dhcp_op, dhcp_htype, dhcp_hlen, dhcp_hops;
	uint32_t	 dhcp_xid;
	uint16_t	 dhcp_secs, dhcp_flags;
	uint32_t	 dhcp_client, dhcp_yours, dhcp_next, dhcp_relay;
	uint8_t		 dhcp_mac[16];
	uint8_t		 dhcp_names[192];
	uint32_t	 dhcp_cookie;
	uint8_t		 dhcp_options[DHCP_OPTIONS_MAX];
} __attribute__((__packed__));
_Static_assert(offsetof(struct dhcp_frame, ip_version) == 14, "Ethernet");
_Static_assert(offsetof(struct dhcp_frame, udp_from) == 34, "IP");
_Static_assert(offsetof(struct dhcp_frame, dhcp_op) == 42, "UDP");
_Static_assert(offsetof(struct dhcp_frame, dhcp_options) == 282, "DHCP");
_Static_assert(sizeof(struct dhcp_frame) == 594, "struct dhcp_frame");

#endif /* !_TESTS_VM_FREEBSD_DHCP_REG_H_ */
