/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * From the host's names to a path: what is refused, and how long a name can be.
 * What becomes of paths on a file system: tests/join/test_fcopy.c.
 */

#include <stdio.h>
#include <string.h>

#include <atf-c.h>

#include "fcopy.h"

#define	UNITS	260

static struct fcopy_path path;
static uint16_t folder[UNITS], name[UNITS];

/* ASCII, with zeroes behind it. */
static void
fill(uint16_t *to, const char *text)
{
	unsigned i;

	memset(to, 0, UNITS * sizeof(*to));
	for (i = 0; text[i] != '\0'; i++)
		to[i] = (unsigned char)text[i];
}

/* The names of the path with "|" between them, or why there is none. */
static const char *
made(const char *f, const char *n)
{
	static char text[FCOPY_PATH_MAX * 2];
	enum fcopy_wrong wrong;
	unsigned i;

	fill(folder, f);
	fill(name, n);
	wrong = fcopy_path_make(&path, folder, name, UNITS);
	if (wrong != FCOPY_RIGHT)
		return (fcopy_wrong_text(wrong));
	text[0] = '\0';
	for (i = 0; i < path.count; i++) {
		strcat(text, i > 0 ? "|" : "");
		strcat(text, path.name[i]);
	}
	return (text);
}

ATF_TC_WITHOUT_HEAD(paths);
ATF_TC_BODY(paths, tc)
{

	ATF_CHECK_STREQ("f", made("", "f"));
	ATF_CHECK_STREQ("f", made("/", "f"));
	ATF_CHECK_STREQ("a|b|f", made("/a/b", "f"));
	ATF_CHECK_STREQ("a|b|c|d", made("\\a\\b\\", "/c/d"));
	ATF_CHECK_STREQ("C:|f", made("C:\\", "f"));
	ATF_CHECK_STREQ("a|...|.b", made("./a/./", ".../.b"));
	ATF_CHECK_STREQ("it is empty", made("/a", ""));
	ATF_CHECK_STREQ("it is empty", made("/a", "./"));
	ATF_CHECK_STREQ("there is \"..\" in it", made("/a/..", "f"));
	ATF_CHECK_STREQ("there is \"..\" in it", made("", ".."));
	ATF_CHECK_STREQ("there is \"..\" in it", made("", "a\\..\\f"));
	ATF_CHECK_STREQ("it is one of the daemon's own",
	    made("", FCOPY_PART));
	ATF_CHECK_STREQ("it is one of the daemon's own",
	    made("/" FCOPY_PENDING "/", "f"));
	ATF_CHECK_STREQ("there are control characters in it",
	    made("", "a\x7f"));
	ATF_CHECK_STREQ("there are control characters in it",
	    made("\x1f", "a"));
}

ATF_TC_WITHOUT_HEAD(characters);
ATF_TC_BODY(characters, tc)
{
	static const struct {
		uint16_t	 unit[3];
		const char	*text;	/* NULL: refused */
	} c[] = {
		{ { 0xa0 }, "\xc2\xa0" },
		{ { 0x9f }, NULL },
		{ { 0x7ff }, "\xdf\xbf" },
		{ { 0x800 }, "\xe0\xa0\x80" },
		{ { 0xffff }, "\xef\xbf\xbf" },
		{ { 0xd800, 0xdc00 }, "\xf0\x90\x80\x80" },
		{ { 0xdbff, 0xdfff }, "\xf4\x8f\xbf\xbf" },
		{ { 0xd800 }, NULL },
		{ { 0xdc00 }, NULL },
		{ { 0xd800, 'a' }, NULL },
		{ { 0xdc00, 0xd800 }, NULL },
		{ { 0xd800, 0xd800, 0xdc00 }, NULL },
	};
	enum fcopy_wrong wrong;
	unsigned i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		fill(folder, "");
		fill(name, "");
		memcpy(name, c[i].unit, sizeof(c[i].unit));
		wrong = fcopy_path_make(&path, folder, name, UNITS);
		if (c[i].text == NULL) {
			ATF_CHECK_MSG(wrong != FCOPY_RIGHT, "%u is taken", i);
			continue;
		}
		ATF_REQUIRE_EQ_MSG(FCOPY_RIGHT, wrong, "%u: %s", i,
		    fcopy_wrong_text(wrong));
		ATF_CHECK_STREQ(c[i].text, path.name[0]);
	}
}

ATF_TC_WITHOUT_HEAD(lengths);
ATF_TC_BODY(lengths, tc)
{
	unsigned i;

	/* No end, and one in the very last place. */
	fill(folder, "");
	fill(name, "");
	for (i = 0; i < UNITS; i++)
		name[i] = i % 2 != 0 ? '/' : 'x';
	ATF_CHECK_EQ(FCOPY_LONG, fcopy_path_make(&path, folder, name, UNITS));
	for (i = 0; i < UNITS; i++)
		name[i] = i % 128 == 127 ? '/' : 'x';
	ATF_CHECK_EQ(FCOPY_UNTERMINATED, fcopy_path_make(&path, folder, name,
	    UNITS));
	name[UNITS - 1] = 0;
	ATF_CHECK_EQ(FCOPY_RIGHT, fcopy_path_make(&path, folder, name, UNITS));
	ATF_CHECK_EQ(3, path.count);
	/* A surrogate that is cut off by the end. */
	name[UNITS - 1] = 0xd800;
	ATF_CHECK_EQ(FCOPY_NOT_UTF16, fcopy_path_make(&path, folder, name,
	    UNITS));
	/* 255 bytes of one name, and one more. */
	for (i = 0; i < UNITS; i++)
		name[i] = i < 255 ? 'x' : 0;
	ATF_CHECK_EQ(FCOPY_RIGHT, fcopy_path_make(&path, folder, name, UNITS));
	name[255] = 'x';
	ATF_CHECK_EQ(FCOPY_LONG, fcopy_path_make(&path, folder, name, UNITS));
	/* More than there is room for in all. */
	for (i = 0; i < UNITS; i++) {
		folder[i] = i % 64 == 63 ? '/' : 0x20ac;
		name[i] = folder[i];
	}
	folder[UNITS - 1] = name[UNITS - 1] = 0;
	ATF_CHECK_EQ(FCOPY_LONG, fcopy_path_make(&path, folder, name, UNITS));
	/* As many folders as a path has, and one more. */
	for (i = 0; i < UNITS; i++) {
		folder[i] = i % 2 != 0 ? '/' : i < 126 ? 'd' : 0;
		name[i] = i == 0 ? 'f' : 0;
	}
	ATF_CHECK_EQ(FCOPY_RIGHT, fcopy_path_make(&path, folder, name, UNITS));
	ATF_CHECK_EQ(FCOPY_COMPONENTS, path.count);
	folder[126] = 'd';
	folder[128] = 0;
	ATF_CHECK_EQ(FCOPY_LONG, fcopy_path_make(&path, folder, name, UNITS));
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, paths);
	ATF_TP_ADD_TC(tp, characters);
	ATF_TP_ADD_TC(tp, lengths);
	return (atf_no_error());
}
