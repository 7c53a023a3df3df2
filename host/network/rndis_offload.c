/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Offloads: what there is, what the guest switches on and off, and the older
 * way of doing so by named parameters.  What a guest asks of each packet it
 * sends is done whether or not it was switched on; what it switches is what
 * it is told of packets it receives.  protocol: netvsc, 5.2, 6.1 and 6.2
 */

#include <string.h>

#include "network/nvsp_var.h"

#define	TX4	(NDIS_CSUM4_IP_OPTIONS | NDIS_CSUM4_TCP_OPTIONS |	\
		NDIS_CSUM4_TCP | NDIS_CSUM4_UDP | NDIS_CSUM4_IP)
#define	TX6	(NDIS_CSUM6_EXTENSIONS | NDIS_CSUM6_TCP_OPTIONS |	\
		NDIS_CSUM6_TCP | NDIS_CSUM6_UDP)
#define	LSO_MIN_SEGMENTS	2u

void
rndis_offload_defaults(struct hvh_net *na)
{

	na->offload = (struct rndis_offload){
		.tx4 = TX4, .rx4 = TX4, .tx6 = TX6, .rx6 = TX6,
		.lso4 = true, .lso6 = true,
	};
}

static bool
offload_rsc(const struct hvh_net *na)
{

	return (na->version >= NVSP_VERSION_6_1 &&
	    (na->capabilities & NVSP_CAP_RSC) != 0);
}

/* What could be, or what is. */
void
rndis_offload_object(const struct hvh_net *na, bool hardware,
    struct ndis_offload *obj)
{
	const struct rndis_offload *o = &na->offload;

	*obj = (struct ndis_offload){
		.hdr = { NDIS_OBJECT_OFFLOAD, NDIS_OFFLOAD_REVISION,
		    sizeof(*obj) },
		.tx4_encap = NDIS_ENCAPSULATION_8023,
		.tx4_csum = hardware ? TX4 : o->tx4,
		.rx4_encap = NDIS_ENCAPSULATION_8023,
		.rx4_csum = hardware ? TX4 : o->rx4,
		.tx6_encap = NDIS_ENCAPSULATION_8023,
		.tx6_csum = hardware ? TX6 : o->tx6,
		.rx6_encap = NDIS_ENCAPSULATION_8023,
		.rx6_csum = hardware ? TX6 : o->rx6,
		.rsc4 = hardware ? offload_rsc(na) : o->rsc4,
		.rsc6 = hardware ? offload_rsc(na) : o->rsc6,
	};
	if (hardware || o->lso4) {
		obj->lso4_encap = NDIS_ENCAPSULATION_8023;
		obj->lso4_max = NVSP_LSO_MAX;
		obj->lso4_min_segments = LSO_MIN_SEGMENTS;
	}
	if (hardware || o->lso6) {
		obj->lso6_encap = NDIS_ENCAPSULATION_8023;
		obj->lso6_max = NVSP_LSO_MAX;
		obj->lso6_min_segments = LSO_MIN_SEGMENTS;
		obj->lso6_flags = NDIS_LSO6_EXTENSIONS |
		    NDIS_LSO6_TCP_OPTIONS;
	}
}

/* One checksum field: bits of both directions. */
static void
set_checksum(uint8_t param, uint32_t bits, uint32_t *tx, uint32_t *rx)
{

	if (param == 0)
		return;
	*tx &= ~bits;
	*rx &= ~bits;
	if (param == NDIS_PARAM_TX || param == NDIS_PARAM_TXRX)
		*tx |= bits;
	if (param == NDIS_PARAM_RX || param == NDIS_PARAM_TXRX)
		*rx |= bits;
}

static void
set_switch(uint8_t param, bool can, bool *on)
{

	if (param != 0)
		*on = can && param == NDIS_PARAM_ENABLED;
}

static bool
params_valid(const struct ndis_offload_params *p)
{

	return (p->ip4_csum <= NDIS_PARAM_TXRX &&
	    p->tcp4_csum <= NDIS_PARAM_TXRX &&
	    p->udp4_csum <= NDIS_PARAM_TXRX &&
	    p->tcp6_csum <= NDIS_PARAM_TXRX &&
	    p->udp6_csum <= NDIS_PARAM_TXRX &&
	    p->lso4 <= NDIS_PARAM_ENABLED && p->lso6 <= NDIS_PARAM_ENABLED &&
	    p->rsc4 <= NDIS_PARAM_ENABLED && p->rsc6 <= NDIS_PARAM_ENABLED);
}

uint32_t
rndis_offload_set(struct hvh_net *na, const uint8_t *info, uint32_t len)
{
	struct rndis_offload *o = &na->offload;
	struct ndis_offload_params p = { 0 };

	if (len < NDIS_OFFLOAD_PARAMS_SIZE_1)
		return (RNDIS_STATUS_INVALID_LENGTH);
	memcpy(&p, info, len < sizeof(p) ? len : sizeof(p));
	if (p.hdr.type != NDIS_OBJECT_DEFAULT || p.hdr.revision < 1 ||
	    p.hdr.size < NDIS_OFFLOAD_PARAMS_SIZE_1 || p.hdr.size > len ||
	    !params_valid(&p))
		return (RNDIS_STATUS_INVALID_DATA);
	if (p.lso_v1 == NDIS_PARAM_ENABLED)
		return (RNDIS_STATUS_NOT_SUPPORTED);
	if (p.hdr.size < NDIS_OFFLOAD_PARAMS_SIZE_3)
		p.rsc4 = p.rsc6 = 0;
	set_checksum(p.ip4_csum, NDIS_CSUM4_IP | NDIS_CSUM4_IP_OPTIONS,
	    &o->tx4, &o->rx4);
	set_checksum(p.tcp4_csum, NDIS_CSUM4_TCP | NDIS_CSUM4_TCP_OPTIONS,
	    &o->tx4, &o->rx4);
	set_checksum(p.udp4_csum, NDIS_CSUM4_UDP, &o->tx4, &o->rx4);
	set_checksum(p.tcp6_csum, NDIS_CSUM6_TCP | NDIS_CSUM6_TCP_OPTIONS,
	    &o->tx6, &o->rx6);
	set_checksum(p.udp6_csum, NDIS_CSUM6_UDP, &o->tx6, &o->rx6);
	set_switch(p.lso4, true, &o->lso4);
	set_switch(p.lso6, true, &o->lso6);
	set_switch(p.rsc4, offload_rsc(na), &o->rsc4);
	set_switch(p.rsc6, offload_rsc(na), &o->rsc6);
	return (RNDIS_STATUS_SUCCESS);
}

static bool
encapsulation_valid(const struct ndis_encapsulation_side *s)
{

	return (s->enabled != NDIS_ENCAPSULATION_ON ||
	    (s->encap == NDIS_ENCAPSULATION_8023 &&
	    s->header == FRAME_ETHER));
}

uint32_t
rndis_encapsulation_set(const uint8_t *info, uint32_t len)
{
	struct ndis_encapsulation e;

	if (len < sizeof(e))
		return (RNDIS_STATUS_INVALID_LENGTH);
	memcpy(&e, info, sizeof(e));
	if (e.hdr.type != NDIS_OBJECT_ENCAPSULATION || e.hdr.revision < 1 ||
	    e.hdr.size < sizeof(e) || e.hdr.size > len)
		return (RNDIS_STATUS_INVALID_DATA);
	return (encapsulation_valid(&e.ip4) && encapsulation_valid(&e.ip6) ?
	    RNDIS_STATUS_SUCCESS : RNDIS_STATUS_NOT_SUPPORTED);
}

/* --- Named parameters --- */

struct config_name {
	const char	*name;
	uint32_t	 bits4, bits6;
	bool		 lso4, lso6;
};

static const struct config_name config_names[] = {
	{ "*IPChecksumOffloadIPv4", NDIS_CSUM4_IP | NDIS_CSUM4_IP_OPTIONS, 0,
	    false, false },
	{ "*TCPChecksumOffloadIPv4", NDIS_CSUM4_TCP | NDIS_CSUM4_TCP_OPTIONS,
	    0, false, false },
	{ "*UDPChecksumOffloadIPv4", NDIS_CSUM4_UDP, 0, false, false },
	{ "*TCPChecksumOffloadIPv6", 0, NDIS_CSUM6_TCP |
	    NDIS_CSUM6_TCP_OPTIONS, false, false },
	{ "*UDPChecksumOffloadIPv6", 0, NDIS_CSUM6_UDP, false, false },
	{ "*LsoV2IPv4", 0, 0, true, false },
	{ "*LsoV2IPv6", 0, 0, false, true },
};

/* UTF-16 of the guest's as ASCII; false: it is none, or too long. */
static bool
config_text(const uint8_t *p, uint32_t bytes, char *text, size_t size)
{
	uint32_t i, n = bytes / 2;

	if (bytes % 2 != 0 || n >= size)
		return (false);
	for (i = 0; i < n; i++) {
		if (p[2 * i + 1] != 0 || p[2 * i] >= 0x80)
			return (false);
		text[i] = (char)p[2 * i];
	}
	text[n] = '\0';
	return (true);
}

/* 12 hexadecimal digits. */
static uint32_t
config_mac(struct hvh_net *na, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t mac[6] = { 0 };
	const char *d;
	unsigned i;

	if (strlen(text) != 12)
		return (RNDIS_STATUS_INVALID_DATA);
	for (i = 0; i < 12; i++) {
		d = strchr(digits, text[i] | 0x20);
		if (d == NULL || (text[i] < '0'))
			return (RNDIS_STATUS_INVALID_DATA);
		mac[i / 2] = (uint8_t)(mac[i / 2] << 4 | (d - digits));
	}
	if ((mac[0] & 1) != 0)
		return (RNDIS_STATUS_INVALID_DATA);
	memcpy(na->mac, mac, sizeof(mac));
	return (RNDIS_STATUS_SUCCESS);
}

static uint32_t
config_apply(struct hvh_net *na, const char *name, const char *value)
{
	static const uint8_t params[] = { NDIS_PARAM_OFF, NDIS_PARAM_TX,
	    NDIS_PARAM_RX, NDIS_PARAM_TXRX };
	struct rndis_offload *o = &na->offload;
	const struct config_name *cn;
	uint8_t param;
	unsigned i;

	if (strcmp(name, "NetworkAddress") == 0)
		return (config_mac(na, value));
	for (i = 0; i < sizeof(config_names) / sizeof(config_names[0]); i++) {
		cn = &config_names[i];
		if (strcmp(name, cn->name) != 0)
			continue;
		if (value[0] < '0' || value[0] > '9')
			return (RNDIS_STATUS_INVALID_DATA);
		/* Bit 0 is sending, bit 1 receiving. */
		param = params[(value[0] - '0') & 3];
		set_checksum(param, cn->bits4, &o->tx4, &o->rx4);
		set_checksum(param, cn->bits6, &o->tx6, &o->rx6);
		if (cn->lso4)
			o->lso4 = value[0] != '0';
		if (cn->lso6)
			o->lso6 = value[0] != '0';
	}
	return (RNDIS_STATUS_SUCCESS);
}

uint32_t
rndis_config_set(struct hvh_net *na, const uint8_t *info, uint32_t len)
{
	char name[RNDIS_CONFIG_NAME_MAX / 2 + 2];
	char value[RNDIS_CONFIG_NAME_MAX / 2 + 2];
	struct rndis_config_parameter cp;

	if (len < sizeof(cp))
		return (RNDIS_STATUS_INVALID_LENGTH);
	memcpy(&cp, info, sizeof(cp));
	if (cp.name_len > RNDIS_CONFIG_NAME_MAX ||
	    cp.value_len > RNDIS_CONFIG_NAME_MAX ||
	    cp.name_offset > len || cp.name_len > len - cp.name_offset ||
	    cp.value_offset > len || cp.value_len > len - cp.value_offset ||
	    !config_text(info + cp.name_offset, cp.name_len, name,
	    sizeof(name)))
		return (RNDIS_STATUS_INVALID_DATA);
	/* Of another type is none that we know. */
	if (cp.type != RNDIS_CONFIG_STRING)
		return (RNDIS_STATUS_SUCCESS);
	if (!config_text(info + cp.value_offset, cp.value_len, value,
	    sizeof(value)))
		return (RNDIS_STATUS_INVALID_DATA);
	return (config_apply(na, name, value));
}
