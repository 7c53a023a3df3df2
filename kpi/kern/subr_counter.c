/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * counter(9).  The genuine counter_u64_add() adds at %gs plus an offset, and
 * %gs is a thread's own here: so a counter has a cell a thread, not a CPU,
 * which makes the addition without a lock prefix safe again.
 */

#include <kern/kpi_internal.h>

#include <sys/counter.h>
#include <sys/malloc.h>

#define	CELLS		(PAGE_SIZE / sizeof(uint64_t))
#define	CHUNKS		64

/* A chunk: one page a thread, each holding cell n of CELLS counters. */
struct chunk {
	char		*ch_base;
	uint64_t	 ch_used[CELLS / 64];
};

static struct kpi_lock	lock;
static struct chunk	chunks[CHUNKS];
static volatile u_int	in_use;

static uint64_t *
cell(counter_u64_t c, u_int slot)
{
	return ((uint64_t *)(void *)((char *)c + (uintptr_t)&__pcpu[slot]));
}

static counter_u64_t
chunk_take(struct chunk *ch)
{
	u_int i, word;

	if (ch->ch_base == NULL) {
		ch->ch_base = hosted_mmap(KPI_MAXTHREADS * PAGE_SIZE);
		if (ch->ch_base == NULL)
			return (NULL);
		/* Offset 0 would be a null counter. */
		ch->ch_used[0] = 1;
	}
	for (word = 0; word < nitems(ch->ch_used); word++) {
		i = ffsll(~ch->ch_used[word]);
		if (i == 0)
			continue;
		ch->ch_used[word] |= 1ULL << (i - 1);
		return ((counter_u64_t)(void *)(ch->ch_base + (word * 64 + i -
		    1) * sizeof(uint64_t) - (uintptr_t)&__pcpu[0]));
	}
	return (NULL);
}

counter_u64_t
counter_u64_alloc(int flags)
{
	counter_u64_t c = NULL;
	u_int i;

	if (flags & M_WAITOK)
		kpi_sleep_check(NULL, "counter_u64_alloc(M_WAITOK)");
	else if (kpi_fail(KPI_FAIL_MALLOC))
		return (NULL);
	kpi_lock(&lock);
	for (i = 0; i < CHUNKS && c == NULL; i++)
		c = chunk_take(&chunks[i]);
	kpi_unlock(&lock);
	if (c == NULL)
		panic("more than %zu counters", CHUNKS * CELLS);
	__atomic_fetch_add(&in_use, 1, __ATOMIC_RELAXED);
	counter_u64_zero(c);
	return (c);
}

void
counter_u64_free(counter_u64_t c)
{
	char *p;
	u_int i, n;

	if (c == NULL)
		return;
	p = (char *)cell(c, 0);
	kpi_lock(&lock);
	for (i = 0; i < CHUNKS; i++)
		if (p >= chunks[i].ch_base && p < chunks[i].ch_base + PAGE_SIZE)
			break;
	KASSERT(i < CHUNKS, ("counter_u64_free: %p is no counter", c));
	n = (p - chunks[i].ch_base) / sizeof(uint64_t);
	KASSERT((chunks[i].ch_used[n / 64] & (1ULL << (n % 64))) != 0,
	    ("counter_u64_free: %p is free", c));
	chunks[i].ch_used[n / 64] &= ~(1ULL << (n % 64));
	kpi_unlock(&lock);
	__atomic_fetch_sub(&in_use, 1, __ATOMIC_RELAXED);
}

uint64_t
counter_u64_fetch(counter_u64_t c)
{
	uint64_t sum = 0;
	u_int i, n = kpi_thread_slots();

	for (i = 0; i < n; i++)
		sum += __atomic_load_n(cell(c, i), __ATOMIC_RELAXED);
	return (sum);
}

void
counter_u64_zero(counter_u64_t c)
{
	u_int i, n = kpi_thread_slots();

	for (i = 0; i < n; i++)
		__atomic_store_n(cell(c, i), 0, __ATOMIC_RELAXED);
}

static u_int
counter_leaks(void)
{
	if (in_use != 0)
		printf("leak: %u counters\n", in_use);
	return (in_use);
}
KPI_LEAKS(counter_leaks);
