/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * sbuf, and event handlers.
 */

#include <ktest.h>

#include <sys/eventhandler.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>

KTEST(sbuf_fixed, "a fixed buffer keeps what fits and remembers the rest")
{
	struct sbuf sb;
	char buf[8];

	sbuf_new(&sb, buf, sizeof(buf), SBUF_FIXEDLEN);
	KT_EQ(sbuf_cat(&sb, "1234567"), 0);
	KT_EQ(sbuf_len(&sb), 7);
	KT_EQ(sbuf_putc(&sb, '8'), -1);
	KT_EQ(sbuf_error(&sb), ENOMEM);
	KT_EQ(sbuf_len(&sb), -1);
	KT_EQ(sbuf_finish(&sb), ENOMEM);
	KT_CHECK(strcmp(sbuf_data(&sb), "1234567") == 0);
	sbuf_clear(&sb);
	KT_EQ(sbuf_printf(&sb, "%d", 42), 0);
	KT_EQ(sbuf_finish(&sb), 0);
	KT_CHECK(strcmp(sbuf_data(&sb), "42") == 0);
	KT_CHECK(sbuf_done(&sb));
	sbuf_delete(&sb);
}

KTEST(sbuf_grows, "a growing one holds all")
{
	struct sbuf *sb;
	int i;

	sb = sbuf_new_auto();
	for (i = 0; i < 3000; i++)
		KT_EQ(sbuf_printf(sb, "%04d", i), 0);
	KT_EQ(sbuf_len(sb), 12000);
	KT_EQ(sbuf_setpos(sb, 11996), 0);
	KT_EQ(sbuf_setpos(sb, 12001), -1);
	KT_EQ(sbuf_cat(sb, "end \t\n"), 0);
	KT_EQ(sbuf_trim(sb), 0);
	KT_EQ(sbuf_finish(sb), 0);
	KT_CHECK(strcmp(sbuf_data(sb) + 11992, "2998end") == 0);
	sbuf_delete(sb);
}

static char	drained[64];

static int
drain(void *arg, const char *data, int len)
{
	size_t had = strlen(drained);

	/* It takes less than it is offered. */
	len = MIN(len, 3);
	memcpy(drained + had, data, len);
	drained[had + len] = '\0';
	return (len);
}

static int
drain_fails(void *arg, const char *data, int len)
{
	return (-EIO);
}

KTEST(sbuf_drain, "a drain gets every byte once; its error stops the rest")
{
	struct sbuf sb;
	char buf[5];

	sbuf_new(&sb, buf, sizeof(buf), SBUF_FIXEDLEN);
	sbuf_set_drain(&sb, drain, NULL);
	KT_EQ(sbuf_printf(&sb, "%s", "the quick brown"), 0);
	KT_EQ(sbuf_cat(&sb, " fox"), 0);
	KT_EQ(sbuf_finish(&sb), 0);
	KT_CHECK(strcmp(drained, "the quick brown fox") == 0);
	sbuf_delete(&sb);
	sbuf_new(&sb, buf, sizeof(buf), SBUF_FIXEDLEN);
	sbuf_set_drain(&sb, drain_fails, NULL);
	KT_EQ(sbuf_cat(&sb, "123456789"), -1);
	KT_EQ(sbuf_finish(&sb), EIO);
	sbuf_delete(&sb);
}

KTEST(sbuf_section, "sections are measured and padded")
{
	struct sbuf *sb;
	ssize_t outer, inner;

	sb = sbuf_new_auto();
	sbuf_start_section(sb, &outer);
	sbuf_cat(sb, "abc");
	sbuf_start_section(sb, &inner);
	sbuf_cat(sb, "de");
	KT_EQ(sbuf_end_section(sb, inner, 4, '.'), 4);
	KT_EQ(sbuf_end_section(sb, outer, 0, 0), 7);
	KT_EQ(sbuf_finish(sb), 0);
	KT_CHECK(strcmp(sbuf_data(sb), "abcde..") == 0);
	sbuf_delete(sb);
}

KTEST(sbuf_includenul, "SBUF_INCLUDENUL counts the terminator once")
{
	struct sbuf *sb;

	sb = sbuf_new(NULL, NULL, 0, SBUF_AUTOEXTEND | SBUF_INCLUDENUL);
	sbuf_cat(sb, "xyz");
	KT_EQ(sbuf_len(sb), 4);
	KT_EQ(sbuf_finish(sb), 0);
	KT_EQ(sbuf_len(sb), 4);
	sbuf_delete(sb);
}

KTEST_PANICS(sbuf_unfinished, "sbuf_data before sbuf_finish", "not finished")
{
	struct sbuf *sb;

	sb = sbuf_new_auto();
	(void)sbuf_data(sb);
}

/* --- Event handlers --- */

typedef void (*kt_fn)(void *, int);
EVENTHANDLER_DECLARE(kt_event, kt_fn);

static char	calls[16];
static eventhandler_tag self;

static void
on_event(void *arg, int n)
{
	size_t len = strlen(calls);

	KT_EQ(n, 7);
	calls[len] = *(const char *)arg;
	calls[len + 1] = '\0';
}

static void
on_event_once(void *arg, int n)
{
	on_event(arg, n);
	EVENTHANDLER_DEREGISTER_NOWAIT(kt_event, self);
}

KTEST(eventhandler_order, "by priority, then by age; removal while running")
{
	static char a[] = "a", b[] = "b", c[] = "c", o[] = "o";
	eventhandler_tag ta, tb, tc;

	/* Nobody listens: nothing happens. */
	EVENTHANDLER_INVOKE(kt_event, 7);
	ta = EVENTHANDLER_REGISTER(kt_event, on_event, a,
	    EVENTHANDLER_PRI_ANY);
	tb = EVENTHANDLER_REGISTER(kt_event, on_event, b,
	    EVENTHANDLER_PRI_FIRST);
	self = EVENTHANDLER_REGISTER(kt_event, on_event_once, o,
	    EVENTHANDLER_PRI_ANY);
	tc = EVENTHANDLER_REGISTER(kt_event, on_event, c,
	    EVENTHANDLER_PRI_LAST);
	EVENTHANDLER_INVOKE(kt_event, 7);
	KT_CHECK(strcmp(calls, "baoc") == 0);
	calls[0] = '\0';
	EVENTHANDLER_DEREGISTER(kt_event, tb);
	EVENTHANDLER_INVOKE(kt_event, 7);
	KT_CHECK(strcmp(calls, "ac") == 0);
	EVENTHANDLER_DEREGISTER(kt_event, ta);
	EVENTHANDLER_DEREGISTER(kt_event, tc);
	calls[0] = '\0';
	EVENTHANDLER_INVOKE(kt_event, 7);
	KT_EQ(calls[0], '\0');
}
