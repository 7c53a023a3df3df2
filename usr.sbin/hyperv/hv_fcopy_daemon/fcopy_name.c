/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * From the host's two UTF-16 strings to a path below the directory.  Pure.
 */

#include <string.h>

#include "fcopy.h"

/* One character in UTF-8; its length, or 0 if there is no room. */
static size_t
utf8_put(char *p, size_t room, uint32_t c)
{
	unsigned char *u = (unsigned char *)p;

	if (c < 0x80) {
		if (room < 1)
			return (0);
		u[0] = (unsigned char)c;
		return (1);
	}
	if (c < 0x800) {
		if (room < 2)
			return (0);
		u[0] = (unsigned char)(0xc0 | c >> 6);
		u[1] = (unsigned char)(0x80 | (c & 0x3f));
		return (2);
	}
	if (c < 0x10000) {
		if (room < 3)
			return (0);
		u[0] = (unsigned char)(0xe0 | c >> 12);
		u[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		u[2] = (unsigned char)(0x80 | (c & 0x3f));
		return (3);
	}
	if (room < 4)
		return (0);
	u[0] = (unsigned char)(0xf0 | c >> 18);
	u[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	u[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	u[3] = (unsigned char)(0x80 | (c & 0x3f));
	return (4);
}

/*
 * What may come of a character: names that cannot be decoded, or could not be
 * typed or printed, are refused rather than changed.
 */
static enum fcopy_wrong
utf16_next(const uint16_t *s, size_t units, size_t *i, uint32_t *c)
{
	uint16_t high, low;

	high = s[(*i)++];
	*c = high;
	if (high < 0x20 || (high >= 0x7f && high < 0xa0))
		return (FCOPY_CONTROL);
	if (high < 0xd800 || high > 0xdfff)
		return (FCOPY_RIGHT);
	if (high > 0xdbff || *i == units)
		return (FCOPY_NOT_UTF16);
	low = s[(*i)++];
	if (low < 0xdc00 || low > 0xdfff)
		return (FCOPY_NOT_UTF16);
	*c = 0x10000 + ((uint32_t)(high & 0x3ff) << 10 | (low & 0x3ff));
	return (FCOPY_RIGHT);
}

/* The component that ends here, if it is one. */
static enum fcopy_wrong
path_component(struct fcopy_path *fp, const char *text, size_t len)
{

	if (len == 0 || strcmp(text, ".") == 0)
		return (FCOPY_RIGHT);
	if (strcmp(text, "..") == 0)
		return (FCOPY_DOTS);
	if (len > FCOPY_COMPONENT_MAX || fp->count == FCOPY_COMPONENTS)
		return (FCOPY_LONG);
	if (strcmp(text, FCOPY_PART) == 0 || strcmp(text, FCOPY_PENDING) == 0)
		return (FCOPY_RESERVED);
	fp->name[fp->count++] = text;
	return (FCOPY_RIGHT);
}

/* Appends the components of s from fp->text + *used on. */
static enum fcopy_wrong
path_append(struct fcopy_path *fp, size_t *used, const uint16_t *s,
    size_t units)
{
	enum fcopy_wrong wrong;
	size_t begin, i, n;
	uint32_t c;

	begin = *used;
	for (i = 0; i < units;) {
		if (s[i] != 0 && s[i] != '/' && s[i] != '\\') {
			wrong = utf16_next(s, units, &i, &c);
			if (wrong != FCOPY_RIGHT)
				return (wrong);
			/* The terminator always has its room. */
			n = utf8_put(fp->text + *used,
			    sizeof(fp->text) - 1 - *used, c);
			if (n == 0)
				return (FCOPY_LONG);
			*used += n;
			continue;
		}
		fp->text[*used] = '\0';
		wrong = path_component(fp, fp->text + begin, *used - begin);
		if (wrong != FCOPY_RIGHT)
			return (wrong);
		if (*used + 1 == sizeof(fp->text))
			return (FCOPY_LONG);
		begin = ++*used;
		if (s[i++] == 0)
			return (FCOPY_RIGHT);
	}
	return (FCOPY_UNTERMINATED);
}

enum fcopy_wrong
fcopy_path_make(struct fcopy_path *fp, const uint16_t *folder,
    const uint16_t *name, size_t units)
{
	enum fcopy_wrong wrong;
	unsigned folders;
	size_t used = 0;

	fp->count = 0;
	wrong = path_append(fp, &used, folder, units);
	if (wrong != FCOPY_RIGHT)
		return (wrong);
	folders = fp->count;
	wrong = path_append(fp, &used, name, units);
	if (wrong == FCOPY_RIGHT && fp->count == folders)
		wrong = FCOPY_EMPTY;
	return (wrong);
}

const char *
fcopy_wrong_text(enum fcopy_wrong wrong)
{

	switch (wrong) {
	case FCOPY_EMPTY:
		return ("it is empty");
	case FCOPY_UNTERMINATED:
		return ("it has no end");
	case FCOPY_NOT_UTF16:
		return ("it is not UTF-16");
	case FCOPY_CONTROL:
		return ("there are control characters in it");
	case FCOPY_DOTS:
		return ("there is \"..\" in it");
	case FCOPY_LONG:
		return ("it is too long");
	case FCOPY_RESERVED:
		return ("it is one of the daemon's own");
	default:
		return ("");
	}
}
