/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted kernel's memory: malloc(9) and its reports, zones, contiguous and
 * scattered pages, physical addresses, alias mappings.
 */

#include <ktest.h>

#include <sys/counter.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/uma.h>
#include <vm/vm_extern.h>
#include <vm/vm_page.h>

#include <kpi.h>
#include <ktest_threads.h>

static MALLOC_DEFINE(M_KT, "ktest", "test memory");
static MALLOC_DEFINE(M_KT2, "ktest2", "other test memory");

KTEST(malloc_sizes, "every size is usable, aligned, zeroed, counted")
{
	size_t sizes[] = { 1, 15, 16, 17, 100, 128, 4080, 4096, 4097, 65536,
	    1000000 };
	char *p[nitems(sizes)];
	size_t total = 0;
	u_int i;

	for (i = 0; i < nitems(sizes); i++) {
		p[i] = malloc(sizes[i], M_KT, M_WAITOK | M_ZERO);
		KT_EQ(p[i][0], 0);
		KT_EQ(p[i][sizes[i] - 1], 0);
		memset(p[i], 0x5a, sizes[i]);
		KT_EQ((uintptr_t)p[i] % (sizes[i] >= PAGE_SIZE ? PAGE_SIZE :
		    16), 0);
		total += sizes[i];
	}
	KT_EQ(kpi_malloc_type_bytes("ktest"), total);
	for (i = 0; i < nitems(sizes); i++)
		free(p[i], M_KT);
	KT_EQ(kpi_malloc_type_bytes("ktest"), 0);
}

static void
churn(void *arg)
{
	void *p[32] = { NULL };
	u_int seed = curcpu, i;

	for (i = 0; i < 5000; i++) {
		seed = seed * 1103515245 + 12345;
		free(p[i % 32], M_KT);
		p[i % 32] = malloc((seed >> 8) % 3000, M_KT, M_WAITOK);
		memset(p[i % 32], i, 1);
	}
	for (i = 0; i < 32; i++)
		free(p[i], M_KT);
}

KTEST(malloc_threads, "threads that allocate and free at once")
{
	ktest_threads(4, churn, NULL);
	KT_EQ(kpi_malloc_type_bytes("ktest"), 0);
}

KTEST_PANICS(malloc_double_report, "a double free", "double free")
{
	void *p = malloc(100, M_KT, M_WAITOK);

	free(p, M_KT);
	free(p, M_KT);
}

KTEST_PANICS(malloc_type_report, "freed with another type",
    "was allocated as \"ktest\" and is freed as \"ktest2\"")
{
	free(malloc(100, M_KT, M_WAITOK), M_KT2);
}

KTEST_PANICS(malloc_middle_report, "freed in its middle",
    "not the start of an allocation")
{
	char *p = malloc(100, M_KT, M_WAITOK);

	/* cppcheck-suppress invalidFree ; that it is refused is the test */
	free(p + 16, M_KT);
}

KTEST_PANICS(malloc_flags_report, "neither M_WAITOK nor M_NOWAIT",
    "either M_WAITOK or M_NOWAIT")
{
	void *volatile p = malloc(100, M_KT, 0);

	free(p, M_KT);
}

KTEST_PANICS(malloc_critical_report, "malloc() in a critical section",
    "malloc: called with spinlock or critical section held")
{
	void *volatile p;

	critical_enter();
	p = malloc(100, M_KT, M_NOWAIT);
	free(p, M_KT);
}

KTEST_PANICS(malloc_exec_report, "malloc() with M_EXEC", "M_EXEC of \"ktest\"")
{
	void *volatile p = malloc(100, M_KT, M_WAITOK | M_EXEC);

	free(p, M_KT);
}

/* mov $42, %eax; ret */
static const uint8_t code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

/* The sanitizers look for what a C function has in front of it. */
static int
run_code(void *p)
{
	int rv;

	__asm __volatile("call *%1" : "=a" (rv) : "r" (p) : "memory");
	return (rv);
}

KTEST(malloc_exec_runs, "code runs in memory of malloc_exec()")
{
	uint8_t *p = malloc_exec(3 * PAGE_SIZE, M_KT, M_WAITOK | M_ZERO);

	KT_EQ(p[3 * PAGE_SIZE - 1], 0);
	memcpy(p + 2 * PAGE_SIZE, code, sizeof(code));
	KT_EQ(run_code(p + 2 * PAGE_SIZE), 42);
	free(p, M_KT);
	KT_EQ(kpi_malloc_type_bytes("ktest"), 0);
}

KTEST_PANICS(malloc_noexec_report, "code in memory of malloc()",
    "(instruction fetch)")
{
	void *p = malloc(PAGE_SIZE, M_KT, M_WAITOK);

	memcpy(p, code, sizeof(code));
	(void)run_code(p);
}

KTEST_PANICS(malloc_exec_free_report, "code in memory that was executable",
    "(instruction fetch)")
{
	void *p = malloc_exec(PAGE_SIZE, M_KT, M_WAITOK);

	memcpy(p, code, sizeof(code));
	KT_EQ(run_code(p), 42);
	free(p, M_KT);
	(void)run_code(p);
}

KTEST(malloc_leaks, "what is not freed is reported")
{
	void *p = malloc(100, M_KT, M_WAITOK);

	KT_EQ(kpi_leaks(), 1);
	free(p, M_KT);
	KT_EQ(kpi_leaks(), 0);
}

KTEST(malloc_failure, "the n-th allocation that may fail does")
{
	void *p, *q;

	kpi_fail_nth(KPI_FAIL_MALLOC, 2);
	p = malloc(10, M_KT, M_WAITOK);
	free(p, M_KT);
	p = malloc(10, M_KT, M_NOWAIT);
	KT_CHECK(p != NULL);
	KT_CHECK(!kpi_fail_hit(KPI_FAIL_MALLOC));
	q = malloc(10, M_KT, M_NOWAIT);
	KT_CHECK(q == NULL);
	KT_CHECK(kpi_fail_hit(KPI_FAIL_MALLOC));
	free(p, M_KT);
	p = malloc(10, M_KT, M_NOWAIT);
	KT_CHECK(p != NULL);
	free(p, M_KT);
}

KTEST(malloc_vtophys, "every allocation has a physical address of its own")
{
	char *a = malloc(64, M_KT, M_WAITOK), *b = malloc(64, M_KT, M_WAITOK);

	KT_CHECK(vtophys(a) != vtophys(b));
	KT_CHECK(vtophys(a) > PAGE_SIZE);
	KT_EQ(vtophys(a + 10) - vtophys(a), 10);
	KT_EQ(PHYS_TO_DMAP(vtophys(a)), (vm_offset_t)a);
	KT_EQ(pmap_extract(kernel_pmap, (vm_offset_t)a), vtophys(a));
	free(a, M_KT);
	free(b, M_KT);
}

KTEST_PANICS(vtophys_stack_report, "no physical address: a stack",
    "not guest memory")
{
	int on_stack;

	(void)vtophys(&on_stack);
}

KTEST(contigmalloc_limits, "alignment, boundary and limits are kept")
{
	char *p;
	vm_paddr_t pa;

	p = contigmalloc(3 * PAGE_SIZE, M_KT, M_WAITOK | M_ZERO, 0x100000,
	    0x3fffff, 0x10000, 0x10000);
	KT_CHECK(p != NULL);
	pa = vtophys(p);
	KT_EQ(pa % 0x10000, 0);
	KT_CHECK(pa >= 0x100000 && pa + 3 * PAGE_SIZE <= 0x400000);
	for (int i = 0; i < 3; i++)
		KT_EQ(vtophys(p + i * PAGE_SIZE), pa + i * PAGE_SIZE);
	contigfree(p, 3 * PAGE_SIZE, M_KT);
	KT_CHECK(contigmalloc(PAGE_SIZE, M_KT, M_WAITOK, 0, PAGE_SIZE - 1,
	    PAGE_SIZE, 0) == NULL);
}

KTEST(scatter_pages, "scattered memory: one address, pages anywhere")
{
	const int n = 16;
	char *p = malloc(n * PAGE_SIZE, M_KT, M_WAITOK | M_ZERO);
	char *c;
	int apart = 0, i;

	for (i = 0; i < n; i++) {
		p[i * PAGE_SIZE + 5] = i;
		KT_EQ(*(char *)PHYS_TO_DMAP(vtophys(p + i * PAGE_SIZE + 5)), i);
		if (i > 0 && vtophys(p + i * PAGE_SIZE) !=
		    vtophys(p + (i - 1) * PAGE_SIZE) + PAGE_SIZE)
			apart++;
	}
	KT_CHECK(apart > n / 2);
	free(p, M_KT);
	c = contigmalloc(4 * PAGE_SIZE, M_KT, M_WAITOK, 0, ~0UL, PAGE_SIZE, 0);
	KT_EQ(vtophys(c + 3 * PAGE_SIZE), vtophys(c) + 3 * PAGE_SIZE);
	contigfree(c, 4 * PAGE_SIZE, M_KT);
}

KTEST(scatter_rounds, "scattered memory comes back, a thousand times")
{
	for (int i = 0; i < 1000; i++) {
		char *p = malloc(64 * PAGE_SIZE, M_KT, M_WAITOK);

		p[i * 64] = 1;
		free(p, M_KT);
	}
}

KTEST(malloc_fragmented, "memory in small pieces is memory all the same")
{
	const size_t max = 512 * 1024 * 1024 / PAGE_SIZE;
	char **pages, *p;
	size_t i, n;

	pages = malloc(max * sizeof(*pages), M_KT, M_WAITOK);
	for (n = 0; n < max; n++) {
		pages[n] = contigmalloc(PAGE_SIZE, M_KT, M_NOWAIT, 0, ~0UL,
		    PAGE_SIZE, 0);
		if (pages[n] == NULL)
			break;
	}
	KT_CHECK(n > 1000);
	/* Of three in a row one stays, wherever its neighbours are. */
	for (i = 0; i < n; i++)
		if ((vtophys(pages[i]) >> PAGE_SHIFT) % 3 != 0) {
			free(pages[i], M_KT);
			pages[i] = NULL;
		}
	KT_EQ(contigmalloc(64 * PAGE_SIZE, M_KT, M_NOWAIT, 0, ~0UL, PAGE_SIZE,
	    0), NULL);
	p = malloc(64 * PAGE_SIZE, M_KT, M_NOWAIT);
	KT_CHECK(p != NULL);
	if (p != NULL)
		memset(p, 0x5a, 64 * PAGE_SIZE);
	free(p, M_KT);
	for (i = 0; i < n; i++)
		free(pages[i], M_KT);
	free(pages, M_KT);
}

KTEST(qenter_alias, "a page at a second address is the same memory")
{
	char *a = malloc(2 * PAGE_SIZE, M_KT, M_WAITOK | M_ZERO), *v;
	struct vm_page *m[2];
	vm_offset_t va;

	m[1] = PHYS_TO_VM_PAGE(vtophys(a));
	m[0] = PHYS_TO_VM_PAGE(vtophys(a + PAGE_SIZE));
	va = kva_alloc(2 * PAGE_SIZE);
	KT_CHECK(va != 0);
	pmap_qenter(va, m, 2);
	v = (char *)va;
	v[0] = 'x';
	v[PAGE_SIZE + 1] = 'y';
	KT_EQ(a[PAGE_SIZE], 'x');
	KT_EQ(a[1], 'y');
	KT_EQ(vtophys(va), vtophys(a + PAGE_SIZE));
	pmap_qremove(va, 2);
	kva_free(va, 2 * PAGE_SIZE);
	free(a, M_KT);
}

static int ctors, inits;

static int
item_ctor(void *p, int size, void *arg, int flags)
{
	ctors++;
	return (0);
}

static int
item_init(void *p, int size, int flags)
{
	inits++;
	return (0);
}

static void
item_fini(void *p, int size)
{
	inits--;
}

KTEST(uma_zone, "constructed at each alloc, initialised once, limited")
{
	uma_zone_t z;
	void *a, *b;

	z = uma_zcreate("ktest zone", 200, item_ctor, NULL, item_init,
	    item_fini, UMA_ALIGN_CACHE, 0);
	a = uma_zalloc(z, M_WAITOK);
	KT_EQ((uintptr_t)a % CACHE_LINE_SIZE, 0);
	uma_zfree(z, a);
	a = uma_zalloc(z, M_WAITOK);
	KT_EQ(ctors, 2);
	KT_EQ(inits, 1);
	uma_zone_set_max(z, 1);
	b = uma_zalloc(z, M_NOWAIT);
	KT_CHECK(b == NULL);
	uma_zfree(z, a);
	uma_zdestroy(z);
	KT_EQ(inits, 0);
}

static counter_u64_t cnt;

static void
add(void *arg)
{
	for (int i = 0; i < 10000; i++)
		counter_u64_add(cnt, 3);
}

KTEST(counter, "threads that add to a counter lose nothing")
{
	cnt = counter_u64_alloc(M_WAITOK);
	ktest_threads(4, add, NULL);
	KT_EQ(counter_u64_fetch(cnt), 4 * 10000 * 3);
	counter_u64_zero(cnt);
	KT_EQ(counter_u64_fetch(cnt), 0);
	counter_u64_free(cnt);
}
