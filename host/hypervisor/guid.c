/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * GUIDs between text and wire order: the first three fields little-endian,
 * the last eight bytes as printed (protocol: vmbus, 4).
 */

#include <errno.h>

#include "hvhost.h"

/* Which wire byte the n-th printed byte is. */
static const uint8_t guid_order[16] = {
	3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
};

static int
guid_nibble(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

int
hvh_guid_parse(const char *text, struct hvh_guid *guid)
{
	struct hvh_guid g;
	int hi, lo;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (*text++ != '-')
				return (EINVAL);
		}
		hi = guid_nibble(*text);
		if (hi < 0)
			return (EINVAL);
		lo = guid_nibble(text[1]);
		if (lo < 0)
			return (EINVAL);
		g.b[guid_order[i]] = (uint8_t)(hi << 4 | lo);
		text += 2;
	}
	if (*text != '\0')
		return (EINVAL);
	*guid = g;
	return (0);
}

void
hvh_guid_format(const struct hvh_guid *guid, char text[37])
{
	static const char digit[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digit[guid->b[guid_order[i]] >> 4];
		*text++ = digit[guid->b[guid_order[i]] & 15];
	}
	*text = '\0';
}
