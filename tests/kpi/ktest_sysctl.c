/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * sysctl and the kernel environment: values as a user reads and sets them,
 * nodes that come and go, tunables.
 */

#include <ktest.h>

#include <sys/counter.h>
#include <sys/kthread.h>
#include <sys/limits.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>
#include <sys/time.h>

#include <kpi.h>

static SYSCTL_NODE(_debug, OID_AUTO, kt, CTLFLAG_RW | CTLFLAG_MPSAFE, 0, "");

static int	v_int = -5;
static u_int	v_uint = 4000000000u;
static uint8_t	v_u8 = 200;
static int16_t	v_s16 = -300;
static int64_t	v_s64 = -(1LL << 40);
static uint64_t	v_u64 = ~0ULL;
static long	v_long = LONG_MIN;
static bool	v_bool = true;
static char	v_str[8] = "abc";
static sbintime_t v_sbt = SBT_1S;

SYSCTL_INT(_debug_kt, OID_AUTO, i, CTLFLAG_RW, &v_int, 0, "");
SYSCTL_UINT(_debug_kt, OID_AUTO, ui, CTLFLAG_RD, &v_uint, 0, "");
SYSCTL_U8(_debug_kt, OID_AUTO, u8, CTLFLAG_RW, &v_u8, 0, "");
SYSCTL_S16(_debug_kt, OID_AUTO, s16, CTLFLAG_RW, &v_s16, 0, "");
SYSCTL_S64(_debug_kt, OID_AUTO, s64, CTLFLAG_RW, &v_s64, 0, "");
SYSCTL_U64(_debug_kt, OID_AUTO, u64, CTLFLAG_RW, &v_u64, 0, "");
SYSCTL_LONG(_debug_kt, OID_AUTO, l, CTLFLAG_RW, &v_long, 0, "");
SYSCTL_BOOL(_debug_kt, OID_AUTO, b, CTLFLAG_RW, &v_bool, 0, "");
SYSCTL_STRING(_debug_kt, OID_AUTO, s, CTLFLAG_RW, v_str, sizeof(v_str), "");
SYSCTL_SBINTIME_MSEC(_debug_kt, OID_AUTO, ms, CTLFLAG_RW, &v_sbt, "");
SYSCTL_INT(_debug_kt, OID_AUTO, c, CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 17, "");

static char	buf[256];

static const char *
get(const char *name)
{
	int error;

	error = kpi_sysctl_get(name, buf, sizeof(buf));
	if (error != 0)
		snprintf(buf, sizeof(buf), "error %d", error);
	return (buf);
}

#define	IS(name, want) do {						\
	get(name);							\
	if (strcmp(buf, want) != 0)					\
		printf("%s: \"%s\"\n", name, buf);			\
	KT_CHECK(strcmp(buf, want) == 0);				\
} while (0)

KTEST(sysctl_types, "every type as text")
{
	IS("debug.kt.i", "-5");
	IS("debug.kt.ui", "4000000000");
	IS("debug.kt.u8", "200");
	IS("debug.kt.s16", "-300");
	IS("debug.kt.s64", "-1099511627776");
	IS("debug.kt.u64", "18446744073709551615");
	IS("debug.kt.l", "-9223372036854775808");
	IS("debug.kt.b", "1");
	IS("debug.kt.s", "abc");
	IS("debug.kt.ms", "1000");
	IS("debug.kt.c", "17");
	IS("hw.ncpu", "4");
	IS("hw.pagesize", "4096");
}

KTEST(sysctl_set, "what can be set, is; the rest says why not")
{
	KT_EQ(kpi_sysctl_set("debug.kt.i", "0x10"), 0);
	KT_EQ(v_int, 16);
	KT_EQ(kpi_sysctl_set("debug.kt.i", "12x"), EINVAL);
	KT_EQ(kpi_sysctl_set("debug.kt.i", ""), EINVAL);
	KT_EQ(kpi_sysctl_set("debug.kt.i", "3000000000"), ERANGE);
	KT_EQ(v_int, 16);
	KT_EQ(kpi_sysctl_set("debug.kt.u8", "256"), ERANGE);
	KT_EQ(kpi_sysctl_set("debug.kt.u8", "-1"), EINVAL);
	KT_EQ(kpi_sysctl_set("debug.kt.u8", "255"), 0);
	KT_EQ(v_u8, 255);
	KT_EQ(kpi_sysctl_set("debug.kt.s16", "-32768"), 0);
	KT_EQ(v_s16, -32768);
	KT_EQ(kpi_sysctl_set("debug.kt.b", "2"), 0);
	IS("debug.kt.b", "1");
	KT_EQ(kpi_sysctl_set("debug.kt.b", "0"), 0);
	KT_CHECK(!v_bool);
	KT_EQ(kpi_sysctl_set("debug.kt.s", "1234567"), 0);
	IS("debug.kt.s", "1234567");
	KT_EQ(kpi_sysctl_set("debug.kt.s", "12345678"), EINVAL);
	IS("debug.kt.s", "1234567");
	KT_EQ(kpi_sysctl_set("debug.kt.ms", "250"), 0);
	KT_EQ(v_sbt, SBT_1S / 4);
	KT_EQ(kpi_sysctl_set("debug.kt.ui", "1"), EPERM);
	KT_EQ(kpi_sysctl_set("debug.kt.c", "1"), EPERM);
	KT_EQ(kpi_sysctl_set("debug.kt.none", "1"), ENOENT);
	KT_EQ(kpi_sysctl_get("debug.kt.none", buf, sizeof(buf)), ENOENT);
	KT_EQ(kpi_sysctl_get("debug.kt.s", buf, 3), ENOMEM);
	KT_CHECK(strcmp(buf, "12") == 0);
}

static int
proc_twice(SYSCTL_HANDLER_ARGS)
{
	int error, v;

	v = *(int *)arg1 * 2;
	error = sysctl_handle_int(oidp, &v, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (v > arg2)
		return (EDOM);
	*(int *)arg1 = v / 2;
	return (0);
}

static int
proc_sbuf(SYSCTL_HANDLER_ARGS)
{
	struct sbuf *sb;
	int error;

	sb = sbuf_new_for_sysctl(NULL, NULL, 16, req);
	for (int i = 0; i < 20; i++)
		sbuf_printf(sb, "%d,", i);
	error = sbuf_finish(sb);
	sbuf_delete(sb);
	return (error);
}

KTEST(sysctl_proc, "handlers, one of them longer than its buffer")
{
	struct sysctl_ctx_list ctx;
	struct sysctl_oid_list *top;
	int n = 4;

	sysctl_ctx_init(&ctx);
	top = SYSCTL_STATIC_CHILDREN(_debug_kt);
	SYSCTL_ADD_PROC(&ctx, top, OID_AUTO, "twice",
	    CTLTYPE_INT | CTLFLAG_RW | CTLFLAG_MPSAFE, &n, 100, proc_twice,
	    "I", "");
	SYSCTL_ADD_PROC(&ctx, top, OID_AUTO, "list",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_NEEDGIANT, NULL, 0,
	    proc_sbuf, "A", "");
	IS("debug.kt.twice", "8");
	KT_EQ(kpi_sysctl_set("debug.kt.twice", "50"), 0);
	KT_EQ(n, 25);
	KT_EQ(kpi_sysctl_set("debug.kt.twice", "102"), EDOM);
	IS("debug.kt.list",
	    "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,");
	KT_EQ(sysctl_ctx_free(&ctx), 0);
	KT_EQ(kpi_sysctl_get("debug.kt.twice", buf, sizeof(buf)), ENOENT);
}

KTEST(sysctl_ctx, "a context goes whole or not at all")
{
	struct sysctl_ctx_list ctx, other;
	struct sysctl_oid *node;

	sysctl_ctx_init(&ctx);
	sysctl_ctx_init(&other);
	node = SYSCTL_ADD_NODE(&ctx, SYSCTL_STATIC_CHILDREN(_debug_kt),
	    OID_AUTO, "n", CTLFLAG_RD | CTLFLAG_MPSAFE, 0, "");
	SYSCTL_ADD_INT(&ctx, SYSCTL_CHILDREN(node), OID_AUTO, "mine",
	    CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 1, "");
	SYSCTL_ADD_INT(&other, SYSCTL_CHILDREN(node), OID_AUTO, "early",
	    CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 2, "");
	KT_EQ(sysctl_ctx_free(&ctx), EBUSY);
	IS("debug.kt.n.mine", "1");
	IS("debug.kt.n.early", "2");
	KT_EQ(sysctl_ctx_free(&other), 0);
	/* The same node in two contexts lives as long as either. */
	KT_CHECK(SYSCTL_ADD_NODE(&other, SYSCTL_STATIC_CHILDREN(_debug_kt),
	    OID_AUTO, "n", CTLFLAG_RD | CTLFLAG_MPSAFE, 0, "") == node);
	SYSCTL_ADD_INT(&other, SYSCTL_CHILDREN(node), OID_AUTO, "theirs",
	    CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 2, "");
	KT_EQ(sysctl_ctx_free(&ctx), 0);
	KT_EQ(kpi_sysctl_get("debug.kt.n.mine", buf, sizeof(buf)), ENOENT);
	IS("debug.kt.n.theirs", "2");
	KT_EQ(sysctl_ctx_free(&other), 0);
	KT_EQ(kpi_sysctl_get("debug.kt.n.theirs", buf, sizeof(buf)), ENOENT);
	/* A leaf's name is taken once. */
	KT_CHECK(SYSCTL_ADD_INT(&ctx, SYSCTL_STATIC_CHILDREN(_debug_kt),
	    OID_AUTO, "i", CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 1, "") == NULL);
	KT_EQ(sysctl_ctx_free(&ctx), 0);
}

KTEST(sysctl_tunable, "a tunable starts with its value from the environment")
{
	struct sysctl_ctx_list ctx;
	struct sysctl_oid_list *top;
	int a = 1, b = 1, c = 1;

	KT_EQ(kern_setenv("debug.kt.ta", "64k"), 0);
	KT_EQ(kern_setenv("debug.kt.tb", "2"), 0);
	KT_EQ(kern_setenv("debug.kt.tc", "rubbish"), 0);
	sysctl_ctx_init(&ctx);
	top = SYSCTL_STATIC_CHILDREN(_debug_kt);
	SYSCTL_ADD_INT(&ctx, top, OID_AUTO, "ta", CTLFLAG_RDTUN, &a, 0, "");
	SYSCTL_ADD_INT(&ctx, top, OID_AUTO, "tb",
	    CTLFLAG_RDTUN | CTLFLAG_NOFETCH, &b, 0, "");
	SYSCTL_ADD_INT(&ctx, top, OID_AUTO, "tc", CTLFLAG_RWTUN, &c, 0, "");
	KT_EQ(a, 65536);
	KT_EQ(b, 1);
	KT_EQ(c, 1);
	KT_EQ(sysctl_ctx_free(&ctx), 0);
	KT_EQ(kern_unsetenv("debug.kt.ta"), 0);
	KT_EQ(kern_unsetenv("debug.kt.tb"), 0);
	KT_EQ(kern_unsetenv("debug.kt.tc"), 0);
}

KTEST(sysctl_counters, "counter(9) values; writing zeroes them")
{
	counter_u64_t c[2];
	struct sysctl_ctx_list ctx;
	struct sysctl_oid_list *top;

	c[0] = counter_u64_alloc(M_WAITOK);
	c[1] = counter_u64_alloc(M_WAITOK);
	sysctl_ctx_init(&ctx);
	top = SYSCTL_STATIC_CHILDREN(_debug_kt);
	SYSCTL_ADD_COUNTER_U64(&ctx, top, OID_AUTO, "c0", CTLFLAG_RW, &c[0],
	    "");
	SYSCTL_ADD_COUNTER_U64_ARRAY(&ctx, top, OID_AUTO, "ca", CTLFLAG_RD, c,
	    2, "");
	counter_u64_add(c[0], 5);
	counter_u64_add(c[1], 1);
	IS("debug.kt.c0", "5");
	IS("debug.kt.ca", "Format:S Length:16 "
	    "Dump:0x05000000000000000100000000000000");
	KT_EQ(kpi_sysctl_set("debug.kt.c0", "1"), 0);
	IS("debug.kt.c0", "0");
	KT_EQ(sysctl_ctx_free(&ctx), 0);
	counter_u64_free(c[0]);
	counter_u64_free(c[1]);
}

static int	walked;
static bool	walk_bad;

static void
walk(void *arg, const char *name, const char *value)
{
	walked++;
	if (strncmp(name, "debug.kt.", 9) != 0)
		walk_bad = true;
}

KTEST(sysctl_walk, "all leaves below a name, and no other")
{
	kpi_sysctl_walk("debug.kt", walk, NULL);
	KT_EQ(walked, 11);
	KT_CHECK(!walk_bad);
}

static struct mtx slow_mtx;
static int	slow_state;	/* 1: inside, 2: may leave, 3: removed */

static int
proc_slow(SYSCTL_HANDLER_ARGS)
{
	/* Called twice: for the size, then for the value. */
	mtx_lock(&slow_mtx);
	if (slow_state == 0) {
		slow_state = 1;
		wakeup(&slow_state);
	}
	while (slow_state == 1)
		mtx_sleep(&slow_state, &slow_mtx, 0, "ktslow", 0);
	/* The oid is still there, though it is being removed. */
	KT_EQ(slow_state, 2);
	mtx_unlock(&slow_mtx);
	return (sysctl_handle_int(oidp, arg1, arg2, req));
}

static void
slow_remover(void *arg)
{
	KT_EQ(sysctl_ctx_free(arg), 0);
	mtx_lock(&slow_mtx);
	slow_state = 3;
	wakeup(&slow_state);
	mtx_unlock(&slow_mtx);
	kthread_exit();
}

static void
slow_reader(void *arg)
{
	char text[8];

	KT_EQ(kpi_sysctl_get("debug.kt.slow", text, sizeof(text)), 0);
	kthread_exit();
}

KTEST(sysctl_removal_waits, "removal waits for the handler that is running")
{
	struct sysctl_ctx_list ctx;
	struct thread *td;

	mtx_init(&slow_mtx, "slow", NULL, MTX_DEF);
	sysctl_ctx_init(&ctx);
	SYSCTL_ADD_PROC(&ctx, SYSCTL_STATIC_CHILDREN(_debug_kt), OID_AUTO,
	    "slow", CTLTYPE_INT | CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, 3,
	    proc_slow, "I", "");
	KT_EQ(kthread_add(slow_reader, NULL, NULL, &td, 0, 0, "reader"), 0);
	mtx_lock(&slow_mtx);
	while (slow_state == 0)
		mtx_sleep(&slow_state, &slow_mtx, 0, "ktw1", 0);
	mtx_unlock(&slow_mtx);
	KT_EQ(kthread_add(slow_remover, &ctx, NULL, &td, 0, 0, "remover"), 0);
	kpi_clock_advance(1000000);
	mtx_lock(&slow_mtx);
	KT_EQ(slow_state, 1);
	slow_state = 2;
	wakeup(&slow_state);
	while (slow_state != 3)
		mtx_sleep(&slow_state, &slow_mtx, 0, "ktw2", 0);
	mtx_unlock(&slow_mtx);
	mtx_destroy(&slow_mtx);
}

/* --- Kernel environment --- */

KTEST(kenv_numbers, "getenv_*: numbers, units, limits, words")
{
	char s[8], *p;
	uint64_t u;
	int arr[4], i = 1, n;
	u_int ui = 1;
	bool b = false;

	KT_EQ(getenv_int("kt.none", &i), 0);
	KT_EQ(i, 1);
	KT_EQ(kern_setenv("kt.v", "0x20"), 0);
	KT_EQ(getenv_int("kt.v", &i), 1);
	KT_EQ(i, 32);
	KT_EQ(kern_setenv("kt.v", "2G"), 0);
	KT_EQ(getenv_int("kt.v", &i), 0);
	KT_EQ(getenv_uint64("kt.v", &u), 1);
	KT_EQ(u, 2UL << 30);
	KT_EQ(kern_setenv("kt.v", "-1"), 0);
	KT_EQ(getenv_uint("kt.v", &ui), 0);
	KT_EQ(getenv_int("kt.v", &i), 1);
	KT_EQ(i, -1);
	KT_EQ(kern_setenv("kt.v", "1, 2,3"), 0);
	KT_EQ(getenv_int("kt.v", &i), 0);
	KT_EQ(getenv_array("kt.v", arr, sizeof(arr), &n, sizeof(int),
	    GETENV_SIGNED), 1);
	KT_CHECK(n == 12 && arr[0] == 1 && arr[1] == 2 && arr[2] == 3);
	KT_EQ(kern_setenv("kt.v", "true"), 0);
	KT_EQ(getenv_bool("kt.v", &b), 1);
	KT_CHECK(b && getenv_is_true("kt.v") && !getenv_is_false("kt.v"));
	KT_EQ(getenv_int("kt.v", &i), 0);
	KT_EQ(kern_setenv("kt.v", "a long value"), 0);
	KT_EQ(getenv_string("kt.v", s, sizeof(s)), 1);
	KT_CHECK(strcmp(s, "a long ") == 0);
	p = kern_getenv("kt.v");
	KT_EQ(kern_unsetenv("kt.v"), 0);
	KT_CHECK(strcmp(p, "a long value") == 0);
	freeenv(p);
	KT_EQ(testenv("kt.v"), 0);
	KT_EQ(kern_unsetenv("kt.v"), ENOENT);
}
