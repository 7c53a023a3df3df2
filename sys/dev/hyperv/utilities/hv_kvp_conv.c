/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Conversions of the key-value service; see hv_kvp_conv.h.
 *
 * From the host only exact text is taken: two keys that differ must not become
 * one.  Towards the host, what a program of the guest wrote into a pool is
 * shown as well as it can be, so that one bad value does not hide the rest.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/errno.h>

#include <dev/hyperv/utilities/hv_kvp_conv.h>
#include <dev/hyperv/utilities/hv_kvp_dev.h>
#include <dev/hyperv/utilities/hv_kvp_reg.h>

#define	REPLACEMENT	0xfffd

/* Appends a character to UTF-8 text; 0: there is no room. */
static size_t
put_utf8(uint32_t c, char *dst, size_t room)
{
	size_t n;

	n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (n > room)
		return (0);
	switch (n) {
	case 1:
		dst[0] = (char)c;
		return (1);
	case 2:
		dst[0] = (char)(0xc0 | c >> 6);
		break;
	case 3:
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		break;
	default:
		dst[0] = (char)(0xf0 | c >> 18);
		dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
		dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
		break;
	}
	dst[n - 1] = (char)(0x80 | (c & 0x3f));
	return (n);
}

int
hvkvp_from_utf16(const void *src, size_t bytes, char *dst, size_t size)
{
	const uint8_t *p = src;
	uint32_t c, low;
	size_t n, ofs;

	dst[0] = '\0';
	if (bytes % 2 != 0)
		return (EINVAL);
	for (ofs = 0; bytes > 0; p += 2, bytes -= 2) {
		c = le16dec(p);
		if (c == 0)
			break;
		if (c >= 0xdc00 && c <= 0xdfff)
			return (EILSEQ);
		if (c >= 0xd800 && c <= 0xdbff) {
			if (bytes < 4)
				return (EILSEQ);
			p += 2;
			bytes -= 2;
			low = le16dec(p);
			if (low < 0xdc00 || low > 0xdfff)
				return (EILSEQ);
			c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
		}
		n = put_utf8(c, dst + ofs, size - 1 - ofs);
		if (n == 0)
			return (ENAMETOOLONG);
		ofs += n;
	}
	dst[ofs] = '\0';
	return (0);
}

/*
 * The character at the front of UTF-8 text, and how long it is there: never 0.
 * Neither longer forms than need be nor surrogates are characters.
 */
static uint32_t
get_utf8(const uint8_t *p, size_t len, size_t *used)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t i, n;

	*used = 1;
	c = p[0];
	if (c < 0x80)
		return (c);
	if ((c & 0xe0) == 0xc0)
		n = 2;
	else if ((c & 0xf0) == 0xe0)
		n = 3;
	else if ((c & 0xf8) == 0xf0)
		n = 4;
	else
		return (REPLACEMENT);
	if (n > len)
		return (REPLACEMENT);
	c &= 0x7f >> n;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (REPLACEMENT);
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return (REPLACEMENT);
	*used = n;
	return (c);
}

size_t
hvkvp_to_utf16(const char *src, size_t size, void *dst, size_t units)
{
	const uint8_t *p = (const uint8_t *)src;
	uint8_t *out = dst;
	uint32_t c;
	size_t n, used;

	for (n = 0; size > 0 && *p != 0; p += used, size -= used) {
		c = get_utf8(p, size, &used);
		if (n + (c < 0x10000 ? 1 : 2) >= units)
			break;
		if (c >= 0x10000) {
			c -= 0x10000;
			le16enc(out + 2 * n++, 0xd800 | c >> 10);
			c = 0xdc00 | (c & 0x3ff);
		}
		le16enc(out + 2 * n++, c);
	}
	le16enc(out + 2 * n++, 0);
	return (2 * n);
}

/* --- Requests --- */

/*
 * Text of size bytes in a member of units units.  One that fills it has no
 * terminator, and could not be shown to the host as it was.
 */
static int
text_from(const uint8_t *src, uint32_t size, u_int units, char *dst,
    size_t dstsize)
{
	u_int i;

	if (size > units * sizeof(uint16_t))
		return (EINVAL);
	for (i = 0; i < units && le16dec(src + 2 * i) != 0; i++)
		;
	if (i == units && size == units * sizeof(uint16_t))
		return (ENAMETOOLONG);
	return (hvkvp_from_utf16(src, size, dst, dstsize));
}

static int
key_from(uint32_t size, const uint8_t *key, struct hv_kvp_dev_kv *kv)
{
	int error;

	error = text_from(key, size, HVKVP_KEY_UNITS, kv->kv_key,
	    sizeof(kv->kv_key));
	if (error == 0 && kv->kv_key[0] == '\0')
		error = EINVAL;
	return (error);
}

/* A value as text, whatever its type. */
static int
value_from(const uint8_t *v, struct hv_kvp_dev_kv *kv)
{
	const uint8_t *data;
	uint32_t size;

	data = v + __offsetof(struct hvkvp_value, kv_value);
	size = le32dec(v + __offsetof(struct hvkvp_value, kv_value_size));
	switch (le32dec(v + __offsetof(struct hvkvp_value, kv_type))) {
	case HVKVP_TYPE_STRING:
	case HVKVP_TYPE_EXPAND:
		return (text_from(data, size, HVKVP_VALUE_UNITS, kv->kv_value,
		    sizeof(kv->kv_value)));
	case HVKVP_TYPE_U32:
		if (size != sizeof(uint32_t))
			return (EINVAL);
		snprintf(kv->kv_value, sizeof(kv->kv_value), "%u",
		    le32dec(data));
		return (0);
	case HVKVP_TYPE_U64:
	case HVKVP_TYPE_QWORD:
		if (size != sizeof(uint64_t))
			return (EINVAL);
		snprintf(kv->kv_value, sizeof(kv->kv_value), "%ju",
		    (uintmax_t)le64dec(data));
		return (0);
	default:
		return (EINVAL);
	}
}

static int
request_get_set(const uint8_t *body, struct hv_kvp_dev_msg *km)
{
	const uint8_t *v;
	int error;

	v = body + __offsetof(struct hvkvp_msg_value, mv_value);
	error = key_from(
	    le32dec(v + __offsetof(struct hvkvp_value, kv_key_size)),
	    v + __offsetof(struct hvkvp_value, kv_key), &km->km_kv);
	if (error == 0 && km->km_op == HV_KVP_DEV_SET)
		error = value_from(v, &km->km_kv);
	return (error);
}

/* The members of IP information that are text, on both sides. */
static const struct ip_text {
	uint16_t	it_wire;
	uint16_t	it_units;
	uint16_t	it_dev;
	uint16_t	it_size;
} ip_texts[] = {
#define	IP_TEXT(wire, dev) {						\
	__offsetof(struct hvkvp_msg_ip, wire),				\
	nitems(((struct hvkvp_msg_ip *)NULL)->wire),			\
	__offsetof(struct hv_kvp_dev_ip, dev),				\
	sizeof(((struct hv_kvp_dev_ip *)NULL)->dev)			\
}
	IP_TEXT(mi_adapter, ip_adapter),
	IP_TEXT(mi_addr, ip_addr),
	IP_TEXT(mi_subnet, ip_subnet),
	IP_TEXT(mi_gateway, ip_gateway),
	IP_TEXT(mi_dns, ip_dns),
#undef IP_TEXT
};

static int
request_ip(const uint8_t *body, struct hv_kvp_dev_msg *km)
{
	const struct ip_text *it;
	int error;

	/* A question may be about one family. */
	km->km_ip.ip_family = body[__offsetof(struct hvkvp_msg_ip,
	    mi_family)] & (HVKVP_IP_V4 | HVKVP_IP_V6);
	for (it = ip_texts; it < ip_texts + nitems(ip_texts); it++) {
		error = hvkvp_from_utf16(body + it->it_wire,
		    it->it_units * sizeof(uint16_t),
		    (char *)&km->km_ip + it->it_dev, it->it_size);
		if (error != 0)
			return (error);
		/* To a question the host need not write but the adapter. */
		if (km->km_op == HV_KVP_DEV_GET_IP)
			return (0);
	}
	km->km_ip.ip_dhcp = body[__offsetof(struct hvkvp_msg_ip, mi_dhcp)] != 0;
	return (0);
}

/*
 * Which pools an operation knows, as bits: the facts about the guest are made
 * as they are asked for, and the guest's inner pool is nobody else's.
 */
#define	POOLS_STORED	0x0b
#define	POOLS_SHOWN	0x0f

static const struct op_desc {
	uint16_t	od_len;		/* of the request, at least */
	uint16_t	od_pools;	/* 0: any, it does not matter */
} op_descs[] = {
	[HVKVP_OP_GET] = { sizeof(struct hvkvp_msg_value), POOLS_SHOWN },
	[HVKVP_OP_SET] = { sizeof(struct hvkvp_msg_value), POOLS_STORED },
	[HVKVP_OP_DELETE] = { sizeof(struct hvkvp_msg_delete), POOLS_STORED },
	[HVKVP_OP_ENUMERATE] = { sizeof(struct hvkvp_msg_enum), POOLS_SHOWN },
	[HVKVP_OP_GET_IP] = { sizeof(struct hvkvp_msg_ip), 0 },
	[HVKVP_OP_SET_IP] = { sizeof(struct hvkvp_msg_ip), 0 },
};

int
hvkvp_request(const void *msg, size_t len, struct hv_kvp_dev_msg *km)
{
	const struct op_desc *od;
	const uint8_t *body = msg;

	if (len < sizeof(struct hvkvp_hdr))
		return (EMSGSIZE);
	memset(&km->km_op, 0, sizeof(*km) -
	    __offsetof(struct hv_kvp_dev_msg, km_op));
	km->km_op = body[__offsetof(struct hvkvp_hdr, kh_op)];
	km->km_pool = body[__offsetof(struct hvkvp_hdr, kh_pool)];
	if (km->km_op >= nitems(op_descs))
		return (EOPNOTSUPP);
	od = &op_descs[km->km_op];
	if (len < od->od_len)
		return (EMSGSIZE);
	if (od->od_pools != 0) {
		if (km->km_pool >= HV_KVP_DEV_POOLS)
			return (EINVAL);
		if ((od->od_pools & 1 << km->km_pool) == 0)
			return (EOPNOTSUPP);
	}
	switch (km->km_op) {
	case HV_KVP_DEV_GET:
	case HV_KVP_DEV_SET:
		return (request_get_set(body, km));
	case HV_KVP_DEV_DELETE:
		return (key_from(le32dec(body +
		    __offsetof(struct hvkvp_msg_delete, md_key_size)),
		    body + __offsetof(struct hvkvp_msg_delete, md_key),
		    &km->km_kv));
	case HV_KVP_DEV_ENUMERATE:
		km->km_kv.kv_index = le32dec(body +
		    __offsetof(struct hvkvp_msg_enum, me_index));
		return (0);
	default:
		return (request_ip(body, km));
	}
}

/* --- Answers --- */

static void
answer_value(uint8_t *v, const struct hv_kvp_dev_kv *kv, bool key)
{

	le32enc(v + __offsetof(struct hvkvp_value, kv_type),
	    HVKVP_TYPE_STRING);
	le32enc(v + __offsetof(struct hvkvp_value, kv_value_size),
	    hvkvp_to_utf16(kv->kv_value, sizeof(kv->kv_value),
	    v + __offsetof(struct hvkvp_value, kv_value), HVKVP_VALUE_UNITS));
	if (key)
		le32enc(v + __offsetof(struct hvkvp_value, kv_key_size),
		    hvkvp_to_utf16(kv->kv_key, sizeof(kv->kv_key),
		    v + __offsetof(struct hvkvp_value, kv_key),
		    HVKVP_KEY_UNITS));
}

void
hvkvp_answer(void *msg, const struct hv_kvp_dev_msg *km)
{
	const struct ip_text *it;
	uint8_t *body = msg;

	switch (body[__offsetof(struct hvkvp_hdr, kh_op)]) {
	case HVKVP_OP_GET:
		answer_value(body + __offsetof(struct hvkvp_msg_value,
		    mv_value), &km->km_kv, false);
		break;
	case HVKVP_OP_ENUMERATE:
		answer_value(body + __offsetof(struct hvkvp_msg_enum,
		    me_value), &km->km_kv, true);
		break;
	case HVKVP_OP_GET_IP:
		/* The adapter stays as the host wrote it. */
		for (it = ip_texts + 1; it < ip_texts + nitems(ip_texts); it++)
			(void)hvkvp_to_utf16((const char *)&km->km_ip +
			    it->it_dev, it->it_size, body + it->it_wire,
			    it->it_units);
		body[__offsetof(struct hvkvp_msg_ip, mi_family)] =
		    km->km_ip.ip_family & (HVKVP_IP_V4 | HVKVP_IP_V6);
		body[__offsetof(struct hvkvp_msg_ip, mi_dhcp)] =
		    km->km_ip.ip_dhcp != 0;
		break;
	default:
		break;
	}
}
