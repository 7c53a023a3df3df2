/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Keys: see keys.h.  Codes are those of scan code set 1. */

#include <stdlib.h>
#include <string.h>

#include "control/keys.h"

#define	CHORD_MAX	8
#define	LEFT_SHIFT	0x2a

static const struct name {
	const char	*name;
	uint16_t	 code;
	uint16_t	 flags;
} names[] = {
	{ "esc", 0x01, 0 }, { "minus", 0x0c, 0 }, { "backspace", 0x0e, 0 },
	{ "tab", 0x0f, 0 }, { "enter", 0x1c, 0 }, { "ctrl", 0x1d, 0 },
	{ "shift", LEFT_SHIFT, 0 }, { "rshift", 0x36, 0 },
	{ "alt", 0x38, 0 }, { "space", 0x39, 0 }, { "capslock", 0x3a, 0 },
	{ "f1", 0x3b, 0 }, { "f2", 0x3c, 0 }, { "f3", 0x3d, 0 },
	{ "f4", 0x3e, 0 }, { "f5", 0x3f, 0 }, { "f6", 0x40, 0 },
	{ "f7", 0x41, 0 }, { "f8", 0x42, 0 }, { "f9", 0x43, 0 },
	{ "f10", 0x44, 0 }, { "f11", 0x57, 0 }, { "f12", 0x58, 0 },
	{ "numlock", 0x45, 0 }, { "scrolllock", 0x46, 0 },
	{ "rctrl", 0x1d, HVH_KEY_E0 }, { "altgr", 0x38, HVH_KEY_E0 },
	{ "print", 0x37, HVH_KEY_E0 }, { "break", 0x46, HVH_KEY_E0 },
	{ "home", 0x47, HVH_KEY_E0 }, { "up", 0x48, HVH_KEY_E0 },
	{ "pageup", 0x49, HVH_KEY_E0 }, { "left", 0x4b, HVH_KEY_E0 },
	{ "right", 0x4d, HVH_KEY_E0 }, { "end", 0x4f, HVH_KEY_E0 },
	{ "down", 0x50, HVH_KEY_E0 }, { "pagedown", 0x51, HVH_KEY_E0 },
	{ "insert", 0x52, HVH_KEY_E0 }, { "del", 0x53, HVH_KEY_E0 },
	{ "win", 0x5b, HVH_KEY_E0 }, { "menu", 0x5d, HVH_KEY_E0 },
	/* The first of two parts, see add(). */
	{ "pause", 0x1d, HVH_KEY_E1 },
};
#define	NAMES	(sizeof(names) / sizeof(names[0]))
#define	PAUSE_SECOND	0x45

/* Code by character, from the first key of a row on. */
static const struct row {
	uint16_t	 code;
	const char	*plain, *shift;
} rows[] = {
	{ 0x02, "1234567890-=", "!@#$%^&*()_+" },
	{ 0x10, "qwertyuiop[]", "QWERTYUIOP{}" },
	{ 0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
	{ 0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
	{ 0x39, " ", "" },
	{ 0x0f, "\t", "" },
	{ 0x1c, "\n", "" },
};
#define	ROWS	(sizeof(rows) / sizeof(rows[0]))

static void
add_one(struct keys *ks, uint16_t code, uint16_t flags)
{
	struct hvh_key *k;
	unsigned room;

	if (ks->n == ks->room) {
		room = ks->room == 0 ? 64 : 2 * ks->room;
		k = realloc(ks->k, room * sizeof(*k));
		if (k == NULL) {
			ks->failed = true;
			return;
		}
		ks->k = k;
		ks->room = room;
	}
	ks->k[ks->n++] = (struct hvh_key){ code, flags };
}

static void
add(struct keys *ks, uint16_t code, uint16_t flags)
{

	add_one(ks, code, flags);
	if ((flags & HVH_KEY_E1) != 0)
		add_one(ks, PAUSE_SECOND, flags & HVH_KEY_UP);
}

/* 0: no key has it. */
static uint16_t
find_char(char c, bool *shift)
{
	const char *at;

	for (size_t i = 0; c != '\0' && i < ROWS; i++) {
		*shift = false;
		at = strchr(rows[i].plain, c);
		if (at != NULL)
			return ((uint16_t)(rows[i].code +
			    (at - rows[i].plain)));
		*shift = true;
		at = strchr(rows[i].shift, c);
		if (at != NULL)
			return ((uint16_t)(rows[i].code +
			    (at - rows[i].shift)));
	}
	return (0);
}

bool
keys_text(struct keys *ks, const char *text, size_t *where)
{
	unsigned before = ks->n;
	uint16_t code;
	bool shift;

	for (size_t i = 0; text[i] != '\0'; i++) {
		code = find_char(text[i], &shift);
		if (code == 0) {
			ks->n = before;
			*where = i;
			return (false);
		}
		if (shift)
			add(ks, LEFT_SHIFT, 0);
		add(ks, code, 0);
		add(ks, code, HVH_KEY_UP);
		if (shift)
			add(ks, LEFT_SHIFT, HVH_KEY_UP);
	}
	return (true);
}

static bool
find_name(const char *name, size_t len, struct hvh_key *k)
{
	bool shift;

	for (size_t i = 0; i < NAMES; i++) {
		if (strlen(names[i].name) == len &&
		    strncmp(names[i].name, name, len) == 0) {
			*k = (struct hvh_key){ names[i].code,
			    names[i].flags };
			return (true);
		}
	}
	if (len != 1)
		return (false);
	*k = (struct hvh_key){ find_char(name[0], &shift), 0 };
	return (k->code != 0 && !shift);
}

bool
keys_chord(struct keys *ks, const char *text)
{
	struct hvh_key held[CHORD_MAX];
	unsigned n = 0;
	size_t len;

	for (;; text += len + 1) {
		len = strcspn(text, "-");
		if (n == CHORD_MAX || !find_name(text, len, &held[n]))
			return (false);
		n++;
		if (text[len] == '\0')
			break;
	}
	for (unsigned i = 0; i < n; i++)
		add(ks, held[i].code, held[i].flags);
	while (n-- > 0)
		add(ks, held[n].code, held[n].flags | HVH_KEY_UP);
	return (true);
}
