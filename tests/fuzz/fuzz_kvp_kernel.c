/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value messages as a host may have written them, and answers as a daemon
 * may: what the driver makes of the one for the other.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>

#include <dev/hyperv/utilities/hv_kvp_conv.h>
#include <dev/hyperv/utilities/hv_kvp_dev.h>
#include <dev/hyperv/utilities/hv_kvp_reg.h>

#include "fuzz_kernel.h"

static uint16_t units[HVKVP_VALUE_UNITS + 2048];

/* Ends within its member, and is the same when it has been to UTF-16. */
static bool
text_good(const char *text, size_t size)
{
	static char back[4096];
	size_t n;

	if (strnlen(text, size) == size)
		return (false);
	n = hvkvp_to_utf16(text, size, units, nitems(units));
	return (hvkvp_from_utf16(units, n, back, sizeof(back)) == 0 &&
	    strcmp(text, back) == 0);
}

static const char *
request_good(const struct hv_kvp_dev_msg *km)
{
	const struct hv_kvp_dev_ip *ip = &km->km_ip;
	const struct hv_kvp_dev_kv *kv = &km->km_kv;

	switch (km->km_op) {
	case HV_KVP_DEV_GET:
	case HV_KVP_DEV_SET:
	case HV_KVP_DEV_DELETE:
		if (kv->kv_key[0] == '\0')
			return ("no key");
		/* FALLTHROUGH */
	case HV_KVP_DEV_ENUMERATE:
		if (km->km_pool >= HV_KVP_DEV_POOL_AUTO_INTERNAL)
			return ("a pool that is nobody's");
		if (!text_good(kv->kv_key, sizeof(kv->kv_key)) ||
		    !text_good(kv->kv_value, sizeof(kv->kv_value)))
			return ("a key or value that is no text");
		return (NULL);
	case HV_KVP_DEV_GET_IP:
	case HV_KVP_DEV_SET_IP:
		if (ip->ip_family > 3 || ip->ip_dhcp > 1)
			return ("families, or DHCP");
		if (!text_good(ip->ip_adapter, sizeof(ip->ip_adapter)) ||
		    !text_good(ip->ip_addr, sizeof(ip->ip_addr)) ||
		    !text_good(ip->ip_subnet, sizeof(ip->ip_subnet)) ||
		    !text_good(ip->ip_gateway, sizeof(ip->ip_gateway)) ||
		    !text_good(ip->ip_dns, sizeof(ip->ip_dns)))
			return ("IP information that is no text");
		return (NULL);
	default:
		return ("an operation that is none");
	}
}

/* Whether size bytes of UTF-16 end with the only NUL. */
static bool
wide_good(const uint8_t *p, uint32_t size, uint32_t max)
{
	uint32_t i;

	if (size < 2 || size > max || size % 2 != 0)
		return (false);
	for (i = 0; i < size; i += 2)
		if ((le16dec(p + i) == 0) != (i + 2 == size))
			return (false);
	return (true);
}

static const char *
answer_good(const uint8_t *body)
{
	const uint8_t *v;

	switch (body[0]) {
	case HVKVP_OP_GET:
		v = body + 4;
		break;
	case HVKVP_OP_ENUMERATE:
		v = body + 8;
		if (!wide_good(v + 12, le32dec(v + 4), 512))
			return ("the key of an answer");
		break;
	default:
		return (NULL);
	}
	if (le32dec(v) != HVKVP_TYPE_STRING ||
	    !wide_good(v + 524, le32dec(v + 8), 2048))
		return ("the value of an answer");
	return (NULL);
}

const char *
ktest_fuzz_kvp(unsigned char *body, unsigned len, const unsigned char *answer,
    unsigned alen)
{
	static struct hv_kvp_dev_msg km;
	const char *error;

	memset(&km, 0xa5, sizeof(km));
	if (hvkvp_request(body, len, &km) != 0)
		return (NULL);
	error = request_good(&km);
	if (error != NULL)
		return (error);
	memcpy((char *)&km + __offsetof(struct hv_kvp_dev_msg, km_kv), answer,
	    MIN(alen, sizeof(struct hv_kvp_dev_ip)));
	hvkvp_answer(body, &km);
	return (answer_good(body));
}
