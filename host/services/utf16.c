/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * UTF-16LE and UTF-8; see utf16.h.
 */

#include <errno.h>
#include <stdbool.h>

#include "services/utf16.h"

#define	BAD	0xFFFDu

static bool
is_high(uint32_t c)
{

	return (c >= 0xD800 && c <= 0xDBFF);
}

static bool
is_low(uint32_t c)
{

	return (c >= 0xDC00 && c <= 0xDFFF);
}

/* The next character of *text, which moves on; false: there is none. */
static bool
utf8_next(const char **text, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)*text;
	unsigned more;

	if (p[0] < 0x80) {
		*c = p[0];
		more = 0;
	} else if (p[0] >= 0xC2 && p[0] <= 0xF4) {
		more = p[0] < 0xE0 ? 1 : p[0] < 0xF0 ? 2 : 3;
		*c = p[0] & (0x3Fu >> more);
	} else {
		return (false);
	}
	/* The terminator is no continuation: it is not passed. */
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return (false);
		*c = *c << 6 | (p[i] & 0x3F);
	}
	if (*c < least[more] || *c > 0x10FFFF || is_high(*c) || is_low(*c))
		return (false);
	*text += more + 1;
	return (true);
}

static void
put_unit(uint8_t *field, size_t n, uint32_t c)
{

	field[2 * n] = (uint8_t)c;
	field[2 * n + 1] = (uint8_t)(c >> 8);
}

int
utf16_put(uint8_t *field, size_t units, const char *text, uint32_t *bytes)
{
	size_t n = 0;
	uint32_t c;

	do {
		if (!utf8_next(&text, &c))
			return (EINVAL);
		if (n + (c > 0xFFFF ? 2 : 1) > units)
			return (ENAMETOOLONG);
		if (c > 0xFFFF) {
			put_unit(field, n++, 0xD7C0 + (c >> 10));
			put_unit(field, n++, 0xDC00 + (c & 0x3FF));
		} else {
			put_unit(field, n++, c);
		}
	} while (c != 0);
	if (bytes != NULL)
		*bytes = (uint32_t)(2 * n);
	return (0);
}

static uint32_t
get_unit(const uint8_t *field, size_t n)
{

	return (field[2 * n] | (uint32_t)field[2 * n + 1] << 8);
}

static char *
utf8_put(char *p, uint32_t c)
{

	if (c < 0x80) {
		*p++ = (char)c;
		return (p);
	}
	if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*p++ = (char)(0xE0 | c >> 12);
		} else {
			*p++ = (char)(0xF0 | c >> 18);
			*p++ = (char)(0x80 | (c >> 12 & 0x3F));
		}
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
	}
	*p++ = (char)(0x80 | (c & 0x3F));
	return (p);
}

void
utf16_get(const uint8_t *field, size_t units, char *text)
{
	uint32_t c, low;
	size_t n = 0;

	while (n < units && (c = get_unit(field, n)) != 0) {
		n++;
		low = n < units ? get_unit(field, n) : 0;
		if (is_high(c) && is_low(low)) {
			n++;
			c = 0x10000 + ((c & 0x3FF) << 10 | (low & 0x3FF));
		} else if (is_high(c) || is_low(c)) {
			c = BAD;
		}
		text = utf8_put(text, c);
	}
	*text = '\0';
}
