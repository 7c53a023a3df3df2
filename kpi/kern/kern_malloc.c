/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * malloc(9).  Every allocation is guest memory, so that vtophys() works on it.
 * Up to a page: slots of a power-of-two size in slabs of one page, with a
 * record beside the slab (never in the memory) that names the type and size of
 * each; larger: whole pages.  Under AddressSanitizer slots have a poisoned tail
 * and freed ones wait in a quarantine.
 */

#include <kern/kpi_internal.h>
#include <kern/kern_malloc.h>

#include <sys/malloc.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_extern.h>

#define	MIN_SHIFT	4
#define	CLASSES		(PAGE_SHIFT - MIN_SHIFT + 1)
#define	CACHE_SIZE	32		/* free slots a CPU and class */
#define	JUNK		0xde

#ifdef KPI_ASAN
#define	TAIL		16		/* at least so much redzone */
#define	QUARANTINE	512		/* slots a class */
#else
#define	TAIL		0
#define	QUARANTINE	0
#endif

/* A slot, or whole pages in use. */
struct record {
	struct malloc_type *r_type;	/* NULL: free */
	uint32_t	 r_size;	/* as asked for */
	uint32_t	 r_npages;	/* of whole pages */
	bool		 r_exec;	/* of whole pages: malloc_exec() */
};

enum page_use { PAGE_OTHER, PAGE_SLAB, PAGE_LARGE, PAGE_CONTIG };

/* By guest page number, or arena page number behind those. */
struct page_info {
	uint8_t		 pi_use;
	uint8_t		 pi_class;
	struct record	*pi_records;	/* slab: of each slot */
	struct record	 pi_large;
};

struct class_cache {
	struct kpi_lock	 cc_lock;
	u_int		 cc_n;
	void		*cc_slot[CACHE_SIZE];
} __aligned(CACHE_LINE_SIZE);

struct class {
	struct kpi_lock	 c_lock;
	void		**c_free;	/* a stack */
	u_int		 c_nfree, c_room;
	struct record	*c_records;	/* not yet used, from a big block */
	u_int		 c_nrecords;
#if QUARANTINE > 0
	void		*c_wait[QUARANTINE];
	u_int		 c_head;
#endif
	struct class_cache c_cache[KPI_MAXCPU];
};

static struct class	classes[CLASSES];
static struct page_info	*pages;
static vm_size_t	 npages_info;

void
kpi_malloc_init(void)
{
	npages_info = atop(kpi_mem_size) + KPI_ARENA_PAGES;
	pages = hosted_mmap(npages_info * sizeof(*pages));
	if (pages == NULL)
		panic("no memory for page records");
}

static struct page_info *
info_of(const void *p)
{
	return (&pages[kpi_page_index((vm_offset_t)p)]);
}

/* --- Slabs --- */

static struct record *
slab_records(struct class *c, u_int n)
{
	const u_int chunk = 1024 * 1024 / sizeof(struct record);
	struct record *r;

	if (c->c_nrecords < n) {
		c->c_records = hosted_mmap(chunk * sizeof(*r));
		if (c->c_records == NULL)
			return (NULL);
		c->c_nrecords = chunk;
	}
	r = c->c_records;
	c->c_records += n;
	c->c_nrecords -= n;
	return (r);
}

static bool
class_push(struct class *c, void *slot)
{
	void **new;
	u_int room;

	if (c->c_nfree == c->c_room) {
		room = c->c_room == 0 ? 4096 : 2 * c->c_room;
		new = hosted_mmap(room * sizeof(void *));
		if (new == NULL)
			return (false);
		if (c->c_free != NULL) {
			memcpy(new, c->c_free, c->c_nfree * sizeof(void *));
			hosted_munmap(c->c_free, c->c_room * sizeof(void *));
		}
		c->c_free = new;
		c->c_room = room;
	}
	c->c_free[c->c_nfree++] = slot;
	return (true);
}

/* One more page of slots; the class is locked. */
static bool
class_grow(struct class *c, u_int class)
{
	struct page_info *pi;
	struct record *r;
	vm_paddr_t pa;
	char *p;
	u_int i, n = PAGE_SIZE >> (class + MIN_SHIFT);

	r = slab_records(c, n);
	if (r == NULL)
		return (false);
	pa = kpi_phys_alloc(1, 0, kpi_mem_size - 1, PAGE_SIZE, 0);
	if (pa == 0)
		return (false);
	p = kpi_mem_base + pa;
	pi = info_of(p);
	pi->pi_use = PAGE_SLAB;
	pi->pi_class = class;
	pi->pi_records = r;
	hosted_poison(p, PAGE_SIZE);
	for (i = n; i-- > 0;)
		if (!class_push(c, p + (i << (class + MIN_SHIFT))))
			return (false);
	return (true);
}

static void *
slot_get(u_int class)
{
	struct class *c = &classes[class];
	struct class_cache *cc = &c->c_cache[curcpu];
	void *slot;
	u_int n;

	kpi_lock(&cc->cc_lock);
	if (cc->cc_n == 0) {
		kpi_lock(&c->c_lock);
		if (c->c_nfree != 0 || class_grow(c, class)) {
			n = MIN(c->c_nfree, CACHE_SIZE / 2);
			c->c_nfree -= n;
			memcpy(cc->cc_slot, &c->c_free[c->c_nfree],
			    n * sizeof(void *));
			cc->cc_n = n;
		}
		kpi_unlock(&c->c_lock);
	}
	slot = cc->cc_n == 0 ? NULL : cc->cc_slot[--cc->cc_n];
	kpi_unlock(&cc->cc_lock);
	return (slot);
}

static void
slot_put(u_int class, void *slot)
{
	struct class *c = &classes[class];
	struct class_cache *cc = &c->c_cache[curcpu];

#if QUARANTINE > 0
	kpi_lock(&c->c_lock);
	void *old = c->c_wait[c->c_head];

	c->c_wait[c->c_head] = slot;
	c->c_head = (c->c_head + 1) % QUARANTINE;
	kpi_unlock(&c->c_lock);
	slot = old;
	if (slot == NULL)
		return;
#endif
	kpi_lock(&cc->cc_lock);
	if (cc->cc_n == CACHE_SIZE) {
		kpi_lock(&c->c_lock);
		while (cc->cc_n > CACHE_SIZE / 2)
			if (!class_push(c, cc->cc_slot[--cc->cc_n]))
				panic("no memory for free slots");
		kpi_unlock(&c->c_lock);
	}
	cc->cc_slot[cc->cc_n++] = slot;
	kpi_unlock(&cc->cc_lock);
}

/* --- Both kinds --- */

static void *
alloc_small(size_t size, struct record **rp)
{
	struct page_info *pi;
	u_int class;
	char *p;

	class = MAX(fls(size + TAIL - 1), MIN_SHIFT) - MIN_SHIFT;
	p = slot_get(class);
	if (p == NULL)
		return (NULL);
	pi = info_of(p);
	*rp = &pi->pi_records[((uintptr_t)p & PAGE_MASK) >>
	    (class + MIN_SHIFT)];
	hosted_unpoison(p, size);
	return (p);
}

static void *
alloc_large(size_t size, struct record **rp)
{
	struct page_info *pi;
	vm_size_t n;
	char *p;

	/* The redzone is a page that nobody may touch. */
	n = atop(round_page(size + TAIL));
	p = kpi_pages_alloc(n);
	if (p == NULL)
		return (NULL);
	pi = info_of(p);
	pi->pi_use = PAGE_LARGE;
	*rp = &pi->pi_large;
	(*rp)->r_npages = n;
	hosted_unpoison(p, size);
	hosted_poison(p + roundup2(size, 8), ptoa(n) - roundup2(size, 8));
	return (p);
}

static void
count(struct malloc_type *type, int64_t bytes)
{
	struct malloc_type_stats *st;

	if (type->ks_mti.mti_stats == NULL)
		malloc_init(type);
	st = &type->ks_mti.mti_stats[curcpu];
	if (bytes >= 0) {
		__atomic_fetch_add(&st->mts_memalloced, bytes,
		    __ATOMIC_RELAXED);
		__atomic_fetch_add(&st->mts_numallocs, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&st->mts_memfreed, -bytes,
		    __ATOMIC_RELAXED);
		__atomic_fetch_add(&st->mts_numfrees, 1, __ATOMIC_RELAXED);
	}
}

static void
check_context(struct malloc_type *type, int flags, const char *what)
{
#ifdef INVARIANTS
	struct thread *td = curthread;

	KASSERT(type->ks_version == M_VERSION,
	    ("%s: bad malloc type version", what));
	KASSERT((flags & (M_WAITOK | M_NOWAIT)) != 0 &&
	    (flags & (M_WAITOK | M_NOWAIT)) != (M_WAITOK | M_NOWAIT),
	    ("%s of \"%s\": either M_WAITOK or M_NOWAIT", what,
	    type->ks_shortdesc));
	if (flags & M_WAITOK) {
		char buf[96];

		snprintf(buf, sizeof(buf), "%s(M_WAITOK) of \"%s\"", what,
		    type->ks_shortdesc);
		kpi_sleep_check(NULL, buf);
	}
	KASSERT(td->td_critnest == 0 || SCHEDULER_STOPPED(),
	    ("%s: called with spinlock or critical section held", what));
#endif
}

static void *
alloc(size_t size, struct malloc_type *type, int flags)
{
	struct record *r;
	void *p;

	if (size == 0)
		size = 1;
	p = size + TAIL <= PAGE_SIZE ? alloc_small(size, &r) :
	    alloc_large(size, &r);
	if (p == NULL) {
		if (flags & M_WAITOK)
			panic("malloc(M_WAITOK) of \"%s\", %zu bytes: out of "
			    "memory", type->ks_shortdesc, size);
		return (NULL);
	}
	KASSERT(r->r_type == NULL, ("malloc: slot %p is in use", p));
	r->r_size = size;
	__atomic_store_n(&r->r_type, type, __ATOMIC_RELAXED);
	count(type, size);
	if (flags & M_ZERO)
		memset(p, 0, size);
#ifdef INVARIANTS
	else
		memset(p, JUNK, MIN(size, PAGE_SIZE));
#endif
	return (p);
}

void *
(malloc)(size_t size, struct malloc_type *type, int flags)
{
	check_context(type, flags, "malloc");
	/* Small pieces lie in the direct map, where nothing is executable. */
	KASSERT((flags & M_EXEC) == 0, ("malloc: M_EXEC of \"%s\" is ignored, "
	    "malloc_exec() is not", type->ks_shortdesc));
	if ((flags & M_NOWAIT) != 0 && kpi_fail(KPI_FAIL_MALLOC))
		return (NULL);
	return (alloc(size, type, flags));
}

static struct record *
record_of(void *p, const char *what)
{
	struct page_info *pi;
	struct record *r;
	u_int shift;

	if (!kpi_is_guest((vm_offset_t)p))
		panic("%s: %p is not from malloc(9)", what, p);
	pi = info_of(p);
	switch (pi->pi_use) {
	case PAGE_SLAB:
		shift = pi->pi_class + MIN_SHIFT;
		r = &pi->pi_records[((uintptr_t)p & PAGE_MASK) >> shift];
		if (((uintptr_t)p & ((1UL << shift) - 1)) != 0)
			panic("%s: %p is not the start of an allocation (%s)",
			    what, p, r->r_type != NULL ?
			    r->r_type->ks_shortdesc : "free");
		break;
	case PAGE_LARGE:
	case PAGE_CONTIG:
		r = &pi->pi_large;
		if (((uintptr_t)p & PAGE_MASK) != 0)
			panic("%s: %p is not the start of an allocation",
			    what, p);
		break;
	default:
		panic("%s: %p is not allocated (double free?)", what, p);
	}
	return (r);
}

/* Checks what is to be freed and marks it free. */
static struct record *
take(void *p, struct malloc_type *type, const char *what)
{
	struct record *r = record_of(p, what);
	struct malloc_type *was;

	was = __atomic_exchange_n(&r->r_type, NULL, __ATOMIC_ACQ_REL);
	if (was == NULL)
		panic("%s: double free of %p with type \"%s\"", what, p,
		    type->ks_shortdesc);
	if (was != type)
		panic("%s: %p was allocated as \"%s\" and is freed as \"%s\"",
		    what, p, was->ks_shortdesc, type->ks_shortdesc);
	count(type, -(int64_t)r->r_size);
	return (r);
}

void
free(void *p, struct malloc_type *type)
{
	struct page_info *pi;
	struct record *r;
	u_int n;

	KASSERT(curthread->td_critnest == 0 || SCHEDULER_STOPPED(),
	    ("free: called with spinlock or critical section held"));
	if (p == NULL)
		return;
	r = take(p, type, "free");
	pi = info_of(p);
	if (pi->pi_use == PAGE_SLAB) {
		hosted_poison(p, 1UL << (pi->pi_class + MIN_SHIFT));
		slot_put(pi->pi_class, p);
		return;
	}
	n = r->r_npages;
	if (r->r_exec)
		hosted_mem_exec(p, ptoa((vm_size_t)n), false);
	r->r_exec = false;
	pi->pi_use = PAGE_OTHER;
	hosted_poison(p, ptoa((vm_size_t)n));
	kpi_pages_free(p, n);
}

/* --- Contiguous --- */

void *
contigmalloc(u_long size, struct malloc_type *type, int flags, vm_paddr_t low,
    vm_paddr_t high, u_long align, vm_paddr_t boundary)
{
	struct page_info *pi;
	vm_paddr_t pa;
	vm_size_t n = atop(round_page(size));
	char *p;

	check_context(type, flags, "contigmalloc");
	KASSERT(powerof2(align) && powerof2(boundary),
	    ("contigmalloc: alignment or boundary is not a power of two"));
	if (kpi_fail(KPI_FAIL_MALLOC))
		return (NULL);
	pa = kpi_phys_alloc(n, low, high, MAX(align, PAGE_SIZE), boundary);
	if (pa == 0)
		return (NULL);
	p = kpi_mem_base + pa;
	pi = info_of(p);
	pi->pi_use = PAGE_CONTIG;
	pi->pi_large.r_size = ptoa(n);
	pi->pi_large.r_npages = n;
	__atomic_store_n(&pi->pi_large.r_type, type, __ATOMIC_RELAXED);
	count(type, ptoa(n));
	hosted_unpoison(p, ptoa(n));
	if (flags & M_ZERO)
		memset(p, 0, ptoa(n));
	return (p);
}

/* Whole pages, and the only ones in which code may run. */
void *
malloc_exec(size_t size, struct malloc_type *type, int flags)
{
	struct record *r;
	void *p;

	p = contigmalloc(size, type, flags & ~M_EXEC, 0, ~(vm_paddr_t)0,
	    PAGE_SIZE, 0);
	if (p == NULL)
		return (NULL);
	r = record_of(p, "malloc_exec");
	r->r_exec = true;
	hosted_mem_exec(p, ptoa((vm_size_t)r->r_npages), true);
	return (p);
}

void
contigfree(void *p, u_long size, struct malloc_type *type)
{
	struct record *r __diagused = record_of(p, "contigfree");

	KASSERT(r->r_npages == atop(round_page(size)),
	    ("contigfree: %lu bytes of an allocation of %u", size, r->r_size));
	free(p, type);
}

size_t
malloc_usable_size(const void *p)
{
	return (p == NULL ? 0 :
	    record_of(__DECONST(void *, p), "malloc_usable_size")->r_size);
}
