/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Loading and unloading of modules, with two files of their own
 * (ktmod_base.c, ktmod_user.c); and printf(9)'s formats.
 */

#include <ktest.h>

#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/stdarg.h>

#include <kpi.h>
#include <ktmod.h>

char	ktmod_log[256];
int	ktmod_busy;

void
ktmod_note(const char *what)
{
	strlcat(ktmod_log, what, sizeof(ktmod_log));
	strlcat(ktmod_log, " ", sizeof(ktmod_log));
}

bool
ktmod_log_is(const char *expected)
{
	bool same = strcmp(ktmod_log, expected) == 0;

	if (!same)
		printf("log: \"%s\"\n", ktmod_log);
	ktmod_log[0] = '\0';
	return (same);
}

KTEST(module_dependency, "a module brings what it depends on, in order")
{
	KT_EQ(kpi_kldload("ktmod_user"), 0);
	KT_CHECK(ktmod_log_is("base-early base-load user-early user-load "));
	KT_EQ(kpi_kldload("ktmod_base"), EEXIST);
	KT_EQ(kpi_kldunload("ktmod_base"), EBUSY);
	KT_EQ(kpi_kldunload("ktmod_user"), 0);
	KT_CHECK(ktmod_log_is("user-quiesce user-unload user-late "));
	KT_EQ(kpi_kldunload("ktmod_base"), 0);
	KT_CHECK(ktmod_log_is("base-quiesce base-unload base-late "));
	KT_EQ(kpi_kldunload("ktmod_base"), ENOENT);
	KT_EQ(kpi_kldload("ktmod_none"), ENOENT);
}

KTEST(module_busy, "a module that is busy stays")
{
	KT_EQ(kpi_kldload("ktmod_base"), 0);
	ktmod_busy = 1;
	KT_EQ(kpi_kldunload("ktmod_base"), EBUSY);
	ktmod_busy = 0;
	KT_EQ(kpi_kldunload("ktmod_base"), 0);
}

KTEST(module_reload, "a thousand loads, each with fresh variables")
{
	for (int i = 0; i < 1000; i++) {
		ktmod_log[0] = '\0';
		KT_EQ(kpi_kldload("ktmod_user"), 0);
		KT_EQ(kpi_kldunload("ktmod_user"), 0);
		KT_EQ(kpi_kldunload("ktmod_base"), 0);
	}
	KT_CHECK(strstr(ktmod_log, "stale") == NULL);
}

KTEST(module_shutdown, "a halt tells every module, the newest first")
{
	KT_EQ(kpi_kldload("ktmod_user"), 0);
	ktmod_log[0] = '\0';
	kpi_halt(0);
	KT_CHECK(ktmod_log_is("user-shutdown base-shutdown "));
}

static void
format(const char *expected, const char *fmt, ...)
{
	char buf[128];
	va_list ap;

	va_start(ap, fmt);
	KT_EQ(vsnprintf(buf, sizeof(buf), fmt, ap), strlen(expected));
	va_end(ap);
	if (strcmp(buf, expected) != 0)
		printf("got \"%s\" for \"%s\"\n", buf, expected);
	KT_CHECK(strcmp(buf, expected) == 0);
}

KTEST(printf_formats, "printf(9), with %b and %D")
{
	format("-5 5 +7 0x2a 052 2A", "%d %u %+d %#x %#o %X", -5, 5, 7, 42, 42,
	    42);
	format("  42|42  |00042|  abc|ab", "%4d|%-4d|%05d|%5s|%.2s", 42, 42, 42,
	    "abc", "abc");
	format("18446744073709551615 -1", "%ju %zd", (uintmax_t)-1,
	    (ssize_t)-1);
	format("3<BITTWO,BITONE>", "%b", 3, "\10\2BITTWO\1BITONE");
	format("41:42:43", "%3D", "ABC", ":");
	format("(null) %", "%s %%", (char *)NULL);
	format("000000ff", "%08x", 0xff);
}

KTEST(printf_bounds, "snprintf() cuts and says how long it would be")
{
	char buf[4] = "xxx";

	KT_EQ(snprintf(buf, sizeof(buf), "%d", 12345), 5);
	KT_CHECK(strcmp(buf, "123") == 0);
	KT_EQ(snprintf(NULL, 0, "%s", "abc"), 3);
}
