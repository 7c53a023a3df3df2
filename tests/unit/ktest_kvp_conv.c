/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value messages of the host and what the daemon is told (protocol:
 * utilities, section 6).  Offsets and codes as literals, not by the driver's
 * names.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/errno.h>

#include <dev/hyperv/utilities/hv_kvp_conv.h>
#include <dev/hyperv/utilities/hv_kvp_dev.h>
#include <dev/hyperv/utilities/hv_kvp_reg.h>

#include "ktest.h"

static uint8_t body[7428];
static struct hv_kvp_dev_msg km;

/* ASCII as UTF-16; returns the bytes, terminator included. */
static uint32_t
wide(uint8_t *to, const char *s)
{
	uint32_t i;

	for (i = 0; s[i] != '\0'; i++)
		le16enc(to + 2 * i, s[i]);
	le16enc(to + 2 * i, 0);
	return (2 * i + 2);
}

static bool
is_wide(const uint8_t *at, const char *s)
{
	uint32_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (le16dec(at + 2 * i) != (uint8_t)s[i])
			return (false);
	return (le16dec(at + 2 * i) == 0);
}

/* A GET or SET with an ASCII key and a value of n bytes. */
static void
ask(uint8_t op, uint8_t pool, const char *key, uint32_t type,
    const void *value, uint32_t n)
{

	memset(body, 0, sizeof(body));
	body[0] = op;
	body[1] = pool;
	le32enc(body + 4, type);
	le32enc(body + 8, wide(body + 16, key));
	le32enc(body + 12, n);
	if (n <= 2048)
		memcpy(body + 528, value, n);
	memset(&km, 0xa5, sizeof(km));
}

static int
to_utf8(const uint16_t *units, size_t n, char *dst, size_t size)
{

	memset(dst, 'x', size);
	return (hvkvp_from_utf16(units, n * 2, dst, size));
}

KTEST(kvp_utf16_good, "characters of one to four bytes, pairs of surrogates")
{
	static const struct {
		uint16_t	units[3];
		const char	*text;
	} rows[] = {
		{ { 0 }, "" },
		{ { 'A' }, "A" },
		{ { 0x7f }, "\x7f" },
		{ { 0x80 }, "\xc2\x80" },
		{ { 0x7ff }, "\xdf\xbf" },
		{ { 0x800 }, "\xe0\xa0\x80" },
		{ { 0xd7ff }, "\xed\x9f\xbf" },
		{ { 0xe000 }, "\xee\x80\x80" },
		{ { 0xffff }, "\xef\xbf\xbf" },
		{ { 0xd800, 0xdc00 }, "\xf0\x90\x80\x80" },
		{ { 0xd83d, 0xde00 }, "\xf0\x9f\x98\x80" },
		{ { 0xdbff, 0xdfff }, "\xf4\x8f\xbf\xbf" },
	};
	uint16_t back[4];
	char text[8];
	size_t n;
	u_int i;

	for (i = 0; i < nitems(rows); i++) {
		KT_EQ(0, to_utf8(rows[i].units, 3, text, sizeof(text)));
		KT_EQ(0, strcmp(text, rows[i].text));
		n = hvkvp_to_utf16(rows[i].text, 8, back, nitems(back));
		KT_EQ(0, memcmp(back, rows[i].units, n));
		KT_EQ(0, back[n / 2 - 1]);
	}
}

KTEST(kvp_utf16_bad, "half a pair is no text; what is too long is refused")
{
	static const uint16_t lone[] = { 'a', 0xd800, 'b' };
	static const uint16_t low[] = { 0xdc00, 'b' };
	static const uint16_t twice[] = { 0xd800, 0xd801, 0xdc00 };
	static const uint16_t cut[] = { 'a', 0xd83d };
	static const uint16_t wide3[] = { 0x20ac, 0x20ac };
	char text[6];

	KT_EQ(EILSEQ, to_utf8(lone, 3, text, sizeof(text)));
	KT_EQ(EILSEQ, to_utf8(low, 2, text, sizeof(text)));
	KT_EQ(EILSEQ, to_utf8(twice, 3, text, sizeof(text)));
	KT_EQ(EILSEQ, to_utf8(cut, 2, text, sizeof(text)));
	KT_EQ(EINVAL, hvkvp_from_utf16(lone, 3, text, sizeof(text)));
	/* Six bytes and a terminator. */
	KT_EQ(ENAMETOOLONG, to_utf8(wide3, 2, text, sizeof(text)));
	KT_EQ(0, to_utf8(wide3, 1, text, sizeof(text)));
	KT_EQ(0, strcmp(text, "\xe2\x82\xac"));
}

KTEST(kvp_utf8_bad, "what is no UTF-8 is shown as such, byte by byte")
{
	static const struct {
		const char	*text;
		uint16_t	units[6];
	} rows[] = {
		{ "a\x80" "b", { 'a', 0xfffd, 'b' } },
		{ "\xc0\x80", { 0xfffd, 0xfffd } },	/* longer than need */
		{ "\xe0\x80\xaf", { 0xfffd, 0xfffd, 0xfffd } },
		{ "\xed\xa0\x80", { 0xfffd, 0xfffd, 0xfffd } },
		{ "\xf4\x90\x80\x80", { 0xfffd, 0xfffd, 0xfffd, 0xfffd } },
		{ "\xff", { 0xfffd } },
		{ "\xe2\x82", { 0xfffd, 0xfffd } },	/* ends within */
	};
	uint16_t units[6];
	size_t n;
	u_int i;

	for (i = 0; i < nitems(rows); i++) {
		n = hvkvp_to_utf16(rows[i].text, 16, units, nitems(units));
		KT_EQ(0, memcmp(units, rows[i].units, n));
		KT_EQ(0, rows[i].units[n / 2 - 1]);
	}
}

KTEST(kvp_utf8_long, "what is too long ends with a whole character")
{
	uint16_t units[4];

	KT_EQ(8, hvkvp_to_utf16("abcdef", 7, units, 4));
	KT_EQ('c', units[2]);
	KT_EQ(0, units[3]);
	/* A pair does not fit behind two. */
	KT_EQ(6, hvkvp_to_utf16("ab\xf0\x9f\x98\x80", 7, units, 4));
	KT_EQ(0, units[2]);
	/* No terminator within its size. */
	KT_EQ(6, hvkvp_to_utf16("abcdef", 2, units, 4));
}

KTEST(kvp_types, "values of every type become text")
{
	uint8_t text[64];
	uint32_t n;

	n = wide(text, "%PATH%");
	ask(1, 0, "k", 1, text, n);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(1, km.km_op);
	KT_EQ(0, km.km_pool);
	KT_EQ(0, strcmp(km.km_kv.kv_key, "k"));
	KT_EQ(0, strcmp(km.km_kv.kv_value, "%PATH%"));
	ask(1, 0, "k", 2, text, n);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(0, strcmp(km.km_kv.kv_value, "%PATH%"));
	ask(1, 3, "k", 4, "\xff\xff\xff\xff", 4);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(0, strcmp(km.km_kv.kv_value, "4294967295"));
	ask(1, 3, "k", 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(0, strcmp(km.km_kv.kv_value, "18446744073709551615"));
	ask(1, 3, "k", 11, "\x01\0\0\0\x01\0\0\0", 8);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(0, strcmp(km.km_kv.kv_value, "4294967297"));
	/* Sizes that do not fit the type, types that are none. */
	ask(1, 0, "k", 4, "\1\0\0\0\0\0\0\0", 8);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	ask(1, 0, "k", 8, "\1\0\0\0", 4);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	ask(1, 0, "k", 3, "\1\0\0\0", 4);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	ask(1, 0, "k", 0, "", 0);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
}

KTEST(kvp_sizes, "keys and values that say more than there can be")
{
	uint32_t i;

	ask(1, 0, "k", 1, "a\0", 2050);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	ask(1, 0, "k", 1, "a\0", 2);
	le32enc(body + 8, 514);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	le32enc(body + 8, 0xfffffffe);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	le32enc(body + 8, 3);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	/* A key that is none. */
	le32enc(body + 8, 0);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	ask(1, 0, "", 1, "a\0", 2);
	KT_EQ(EINVAL, hvkvp_request(body, 2576, &km));
	/* The longest there can be, without a terminator. */
	ask(1, 0, "", 1, "", 0);
	for (i = 0; i < 256; i++)
		le16enc(body + 16 + 2 * i, 'k');
	le32enc(body + 8, 512);
	KT_EQ(ENAMETOOLONG, hvkvp_request(body, 2576, &km));
	le16enc(body + 16 + 510, 0);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	KT_EQ(255, strlen(km.km_kv.kv_key));
	/* As many characters, each of three bytes. */
	for (i = 0; i < 255; i++)
		le16enc(body + 16 + 2 * i, 0x20ac);
	KT_EQ(ENAMETOOLONG, hvkvp_request(body, 2576, &km));
	for (i = 0; i < 2576; i++) {
		ask(0, 0, "k", 1, "", 0);
		KT_EQ(EMSGSIZE, hvkvp_request(body, i, &km));
	}
}

KTEST(kvp_ops, "which pool can do what")
{
	static const struct {
		uint8_t	op, pool;
		int	error;
	} rows[] = {
		{ 0, 0, 0 }, { 0, 1, 0 }, { 0, 2, 0 }, { 0, 3, 0 },
		{ 0, 4, EOPNOTSUPP }, { 0, 5, EINVAL }, { 0, 255, EINVAL },
		{ 1, 1, 0 }, { 1, 2, EOPNOTSUPP }, { 1, 3, 0 },
		{ 2, 0, 0 }, { 2, 2, EOPNOTSUPP }, { 2, 3, 0 },
		{ 3, 0, 0 }, { 3, 2, 0 }, { 3, 4, EOPNOTSUPP },
		{ 6, 0, EOPNOTSUPP }, { 255, 0, EOPNOTSUPP },
	};
	u_int i;

	for (i = 0; i < nitems(rows); i++) {
		ask(rows[i].op, rows[i].pool, "k", 1, "a\0\0", 4);
		if (rows[i].op == 2) {
			le32enc(body + 4, wide(body + 8, "gone"));
			KT_EQ(rows[i].error, hvkvp_request(body, 520, &km));
			if (rows[i].error == 0)
				KT_EQ(0, strcmp(km.km_kv.kv_key, "gone"));
			continue;
		}
		KT_EQ(rows[i].error, hvkvp_request(body, 2580, &km));
	}
}

KTEST(kvp_answers, "values come back as strings with their sizes")
{

	ask(0, 1, "key", 4, "\1\0\0\0", 4);
	KT_EQ(0, hvkvp_request(body, 2576, &km));
	strcpy(km.km_kv.kv_value, "value");
	hvkvp_answer(body, &km);
	KT_EQ(1, le32dec(body + 4));
	KT_EQ(8, le32dec(body + 8));
	KT_EQ(12, le32dec(body + 12));
	KT_CHECK(is_wide(body + 16, "key"));
	KT_CHECK(is_wide(body + 528, "value"));

	memset(body, 0, sizeof(body));
	body[0] = 3;
	le32enc(body + 4, 77);
	KT_EQ(0, hvkvp_request(body, 2580, &km));
	KT_EQ(77, km.km_kv.kv_index);
	strcpy(km.km_kv.kv_key, "key;\n");
	strcpy(km.km_kv.kv_value, "");
	hvkvp_answer(body, &km);
	KT_EQ(77, le32dec(body + 4));
	KT_EQ(1, le32dec(body + 8));
	KT_EQ(12, le32dec(body + 12));
	KT_EQ(2, le32dec(body + 16));
	KT_CHECK(is_wide(body + 20, "key;\n"));
	KT_CHECK(is_wide(body + 532, ""));

	/* Text of the daemon's that has no end. */
	memset(km.km_kv.kv_value, 'v', sizeof(km.km_kv.kv_value));
	memset(km.km_kv.kv_key, 'k', sizeof(km.km_kv.kv_key));
	hvkvp_answer(body, &km);
	KT_EQ(512, le32dec(body + 12));
	KT_EQ(2048, le32dec(body + 16));
	KT_EQ(0, le16dec(body + 20 + 510));
	KT_EQ(0, le16dec(body + 532 + 2046));
}

KTEST(kvp_ip, "IP information both ways")
{

	memset(body, 0, sizeof(body));
	memset(&km, 0xa5, sizeof(km));
	body[0] = 5;
	wide(body + 2, "hn0");
	body[258] = 3;
	body[259] = 1;
	wide(body + 260, "10.0.0.1;fe80::1");
	wide(body + 2308, "255.0.0.0;64");
	wide(body + 4356, "10.0.0.254");
	wide(body + 5380, "1.1.1.1");
	KT_EQ(EMSGSIZE, hvkvp_request(body, 7427, &km));
	KT_EQ(0, hvkvp_request(body, 7428, &km));
	KT_EQ(5, km.km_op);
	KT_EQ(0, strcmp(km.km_ip.ip_adapter, "hn0"));
	KT_EQ(3, km.km_ip.ip_family);
	KT_EQ(1, km.km_ip.ip_dhcp);
	KT_EQ(0, strcmp(km.km_ip.ip_addr, "10.0.0.1;fe80::1"));
	KT_EQ(0, strcmp(km.km_ip.ip_subnet, "255.0.0.0;64"));
	KT_EQ(0, strcmp(km.km_ip.ip_gateway, "10.0.0.254"));
	KT_EQ(0, strcmp(km.km_ip.ip_dns, "1.1.1.1"));
	le16enc(body + 2308, 0xdc00);
	KT_EQ(EILSEQ, hvkvp_request(body, 7428, &km));

	/* Of a question only the adapter and the family count. */
	body[0] = 4;
	KT_EQ(0, hvkvp_request(body, 7428, &km));
	strcpy(km.km_ip.ip_adapter, "changed");
	strcpy(km.km_ip.ip_addr, "10.9.8.7");
	strcpy(km.km_ip.ip_dns, "8.8.8.8;9.9.9.9");
	km.km_ip.ip_family = 0xff;
	km.km_ip.ip_dhcp = 7;
	hvkvp_answer(body, &km);
	KT_CHECK(is_wide(body + 2, "hn0"));
	KT_EQ(3, body[258]);
	KT_EQ(1, body[259]);
	KT_CHECK(is_wide(body + 260, "10.9.8.7"));
	KT_CHECK(is_wide(body + 2308, ""));
	KT_CHECK(is_wide(body + 5380, "8.8.8.8;9.9.9.9"));
}
