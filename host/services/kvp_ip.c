/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Data exchange: the addresses of a guest's network adapters, in their string
 * form.  An adapter is asked about by its MAC address and set by its VMBus
 * instance.  protocol: utilities, 6.1 and 6.2
 */

#include <errno.h>
#include <string.h>

#include "services/kvp_var.h"
#include "services/utf16.h"

/* An answer as text. */
struct kvp_ip {
	char		 adapter[UTF16_TEXT(KVP_ADAPTER_UNITS)];
	char		 addresses[UTF16_TEXT(KVP_LIST_UNITS)];
	char		 subnets[UTF16_TEXT(KVP_LIST_UNITS)];
	char		 gateways[UTF16_TEXT(KVP_GATEWAY_UNITS)];
	char		 dns[UTF16_TEXT(KVP_LIST_UNITS)];
};

/* NULL is an empty text.  EINVAL. */
static int
kvp_ip_put(uint8_t *field, size_t units, const char *text)
{

	return (text == NULL || utf16_put(field, units, text, NULL) == 0 ? 0 :
	    EINVAL);
}

static void
kvp_ip_got(struct ic_order *o, const struct ic_answer *a)
{
	const struct kvp_ip_message *m = (const void *)a->body;
	struct hvh_ic_result r;
	struct hvh_kvp_ip ip = { 0 };
	struct kvp_ip t;

	ic_result(a, &r);
	if (r.error == 0 && r.status == 0 && a->len < sizeof(*m))
		ic_result_error(&r, EPROTO);
	if (r.error == 0 && r.status == 0) {
		utf16_get(m->ki_adapter, KVP_ADAPTER_UNITS, t.adapter);
		utf16_get(m->ki_addresses, KVP_LIST_UNITS, t.addresses);
		utf16_get(m->ki_subnets, KVP_LIST_UNITS, t.subnets);
		utf16_get(m->ki_gateways, KVP_GATEWAY_UNITS, t.gateways);
		utf16_get(m->ki_dns, KVP_LIST_UNITS, t.dns);
		ip.family = m->ki_family;
		ip.dhcp = m->ki_dhcp != 0;
		ip.adapter = t.adapter;
		ip.addresses = t.addresses;
		ip.subnets = t.subnets;
		ip.gateways = t.gateways;
		ip.dns = t.dns;
		r.ip = &ip;
	}
	if (o->done != NULL)
		o->done(o->arg, &r);
}

static int
kvp_ip_submit(struct hvh_ic *ic, uint8_t op, struct kvp_ip_message *m,
    void (*answered)(struct ic_order *o, const struct ic_answer *a),
    hvh_ic_done *done, void *arg)
{
	struct ic_order *o;
	int error;

	error = ic_enter(ic, HVH_IC_KVP);
	if (error != 0)
		return (error);
	m->ki_header.kh_op = op;
	o = ic_order_new(ic, sizeof(*m), KVP_LIMIT, answered);
	if (o != NULL) {
		memcpy(o->body, m, sizeof(*m));
		o->done = done;
		o->arg = arg;
	}
	return (ic_leave(ic, ic_submit(o)));
}

int
hvh_kvp_get_ip(struct hvh_ic *ic, const char *adapter, hvh_ic_done *done,
    void *arg)
{
	struct kvp_ip_message m = { 0 };

	if (adapter == NULL || adapter[0] == '\0' ||
	    kvp_ip_put(m.ki_adapter, KVP_ADAPTER_UNITS, adapter) != 0)
		return (EINVAL);
	return (kvp_ip_submit(ic, KVP_GET_IP, &m, kvp_ip_got, done, arg));
}

int
hvh_kvp_set_ip(struct hvh_ic *ic, const struct hvh_kvp_ip *ip,
    hvh_ic_done *done, void *arg)
{
	struct kvp_ip_message m = { 0 };

	if (ip->adapter == NULL || ip->adapter[0] == '\0' ||
	    kvp_ip_put(m.ki_adapter, KVP_ADAPTER_UNITS, ip->adapter) != 0 ||
	    kvp_ip_put(m.ki_addresses, KVP_LIST_UNITS, ip->addresses) != 0 ||
	    kvp_ip_put(m.ki_subnets, KVP_LIST_UNITS, ip->subnets) != 0 ||
	    kvp_ip_put(m.ki_gateways, KVP_GATEWAY_UNITS, ip->gateways) != 0 ||
	    kvp_ip_put(m.ki_dns, KVP_LIST_UNITS, ip->dns) != 0)
		return (EINVAL);
	m.ki_family = ip->family;
	m.ki_dhcp = ip->dhcp;
	return (kvp_ip_submit(ic, KVP_SET_IP, &m, ic_plain, done, arg));
}
