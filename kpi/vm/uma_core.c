/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * uma(9): zones over malloc(9), with free items cached a CPU.  An item keeps
 * what its init function made of it between free and alloc; the fini function
 * sees it when the cache is full, drained or the zone goes.
 */

#include <kern/kpi_internal.h>

#include <sys/malloc.h>
#include <vm/uma.h>

#define	CACHE_SIZE	64

struct cache {
	struct kpi_lock	 uc_lock;
	u_int		 uc_n;
	void		*uc_item[CACHE_SIZE];
} __aligned(CACHE_LINE_SIZE);

struct uma_zone {
	char		 uz_name[32];
	size_t		 uz_size;
	size_t		 uz_align;	/* of items */
	uma_ctor	 uz_ctor;
	uma_dtor	 uz_dtor;
	uma_init	 uz_init;
	uma_fini	 uz_fini;
	uint32_t	 uz_flags;
	volatile u_int	 uz_used;	/* given out */
	u_int		 uz_max;	/* 0: no limit */
	TAILQ_ENTRY(uma_zone) uz_link;
	struct cache	 uz_cache[];	/* by CPU */
};

static MALLOC_DEFINE(M_UMA, "uma", "zones and their items");

static struct kpi_lock	zones_lock;
static TAILQ_HEAD(, uma_zone) zones = TAILQ_HEAD_INITIALIZER(zones);

#ifdef INVARIANTS
/* Behind each item, poisoned: whose it is, and whether it is given out. */
struct item_tag {
	struct uma_zone	*it_zone;
	uintptr_t	 it_used;
};
#define	TAG_SIZE	sizeof(struct item_tag)

static struct item_tag *
item_tag(uma_zone_t z, void *item)
{
	struct item_tag *it;

	it = (void *)((char *)item + roundup2(z->uz_size, sizeof(void *)));
	hosted_unpoison(it, sizeof(*it));
	return (it);
}

static void
item_mark(uma_zone_t z, void *item, bool used)
{
	struct item_tag *it = item_tag(z, item);

	it->it_zone = z;
	it->it_used = used;
	hosted_poison(it, sizeof(*it));
}

/* What is freed is an item of the zone, and given out. */
static void
item_check(uma_zone_t z, void *item)
{
	struct item_tag *it;
	struct uma_zone *other;

	if (malloc_usable_size(item) < roundup2(z->uz_size, sizeof(void *)) +
	    TAG_SIZE)
		panic("uma_zfree: %p is not an item of %s", item, z->uz_name);
	it = item_tag(z, item);
	if (it->it_zone != z) {
		kpi_lock(&zones_lock);
		TAILQ_FOREACH(other, &zones, uz_link)
			if (other == it->it_zone)
				break;
		kpi_unlock(&zones_lock);
		if (other == NULL)
			panic("uma_zfree: %p is not an item of %s", item,
			    z->uz_name);
		panic("uma_zfree: %p is an item of %s, not of %s", item,
		    other->uz_name, z->uz_name);
	}
	if (!it->it_used)
		panic("uma_zfree: double free of %p to %s", item, z->uz_name);
}
#else
#define	TAG_SIZE	0
#define	item_mark(z, item, used)	do { } while (0)
#define	item_check(z, item)		do { } while (0)
#endif

uma_zone_t
uma_zcreate(const char *name, size_t size, uma_ctor ctor, uma_dtor dtor,
    uma_init uminit, uma_fini fini, int align, uint32_t flags)
{
	struct uma_zone *z;

	KASSERT((flags & (UMA_ZONE_PCPU | UMA_ZONE_SMR)) == 0,
	    ("uma_zcreate(%s): flags %#x", name, flags));
	z = malloc(sizeof(*z) + kpi_conf.ncpus * sizeof(struct cache), M_UMA,
	    M_WAITOK | M_ZERO);
	strlcpy(z->uz_name, name, sizeof(z->uz_name));
	z->uz_size = size;
	z->uz_align = align + 1;
	z->uz_ctor = ctor;
	z->uz_dtor = dtor;
	z->uz_init = uminit;
	z->uz_fini = fini;
	z->uz_flags = flags;
	kpi_lock(&zones_lock);
	TAILQ_INSERT_TAIL(&zones, z, uz_link);
	kpi_unlock(&zones_lock);
	return (z);
}

static void
item_free(uma_zone_t z, void *item)
{
	if (z->uz_fini != NULL)
		z->uz_fini(item, z->uz_size);
	item_mark(z, item, false);
	free(item, M_UMA);
}

static void
zone_drain(uma_zone_t z)
{
	struct cache *uc;
	void *item;
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++) {
		uc = &z->uz_cache[i];
		for (;;) {
			kpi_lock(&uc->uc_lock);
			item = uc->uc_n == 0 ? NULL : uc->uc_item[--uc->uc_n];
			kpi_unlock(&uc->uc_lock);
			if (item == NULL)
				break;
			hosted_unpoison(item, z->uz_size);
			item_free(z, item);
		}
	}
}

void
uma_zdestroy(uma_zone_t z)
{
	u_int used = __atomic_load_n(&z->uz_used, __ATOMIC_RELAXED);

	kpi_sleep_check(NULL, "uma_zdestroy()");
	if (used != 0)
		printf("Freed UMA keg (%s) was not empty (%u items).  Lost "
		    "memory.\n", z->uz_name, used);
	zone_drain(z);
	kpi_lock(&zones_lock);
	TAILQ_REMOVE(&zones, z, uz_link);
	kpi_unlock(&zones_lock);
	free(z, M_UMA);
}

/* Up to a page malloc(9) gives slots of a slab, which are contiguous. */
static void *
item_memory(uma_zone_t z, int flags)
{
	size_t size = roundup2(z->uz_size, sizeof(void *)) + TAG_SIZE;
	void *item;

	if ((z->uz_flags & UMA_ZONE_CONTIG) == 0 || z->uz_size <= PAGE_SIZE)
		return (malloc_aligned(size, z->uz_align, M_UMA, flags));
	for (;;) {
		item = contigmalloc(size, M_UMA, flags, 0, ~(vm_paddr_t)0,
		    z->uz_align, 0);
		if (item != NULL || (flags & M_WAITOK) == 0)
			return (item);
		pause("uma", 1);
	}
}

static void *
item_new(uma_zone_t z, int flags)
{
	void *item;

	item = item_memory(z, (flags & (M_WAITOK | M_NOWAIT)) |
	    (z->uz_flags & UMA_ZONE_ZINIT ? M_ZERO : 0));
	if (item != NULL && z->uz_init != NULL &&
	    z->uz_init(item, z->uz_size, flags) != 0) {
		free(item, M_UMA);
		return (NULL);
	}
	return (item);
}

static bool
limit_take(uma_zone_t z, int flags)
{
	u_int n;

	n = __atomic_add_fetch(&z->uz_used, 1, __ATOMIC_RELAXED);
	while (z->uz_max != 0 && n > z->uz_max) {
		__atomic_fetch_sub(&z->uz_used, 1, __ATOMIC_RELAXED);
		if ((flags & M_WAITOK) == 0)
			return (false);
		kpi_sleepq_add(z, kpi_now() + tick_sbt);
		(void)kpi_sleepq_wait(z);
		n = __atomic_add_fetch(&z->uz_used, 1, __ATOMIC_RELAXED);
	}
	return (true);
}

void *
uma_zalloc_arg(uma_zone_t z, void *arg, int flags)
{
	struct cache *uc = &z->uz_cache[curcpu];
	void *item;

	if ((flags & M_NOWAIT) == 0) {
		flags |= M_WAITOK;
		kpi_sleep_check(NULL, z->uz_name);
	} else if (kpi_fail(KPI_FAIL_MALLOC))
		return (NULL);
	KASSERT(curthread->td_critnest == 0 || SCHEDULER_STOPPED(),
	    ("uma_zalloc_arg: called with spinlock or critical section held"));
	if (!limit_take(z, flags))
		return (NULL);
	kpi_lock(&uc->uc_lock);
	item = uc->uc_n == 0 ? NULL : uc->uc_item[--uc->uc_n];
	kpi_unlock(&uc->uc_lock);
	if (item != NULL)
		hosted_unpoison(item, z->uz_size);
	else
		item = item_new(z, flags);
	if (item != NULL && z->uz_ctor != NULL &&
	    z->uz_ctor(item, z->uz_size, arg, flags) != 0) {
		item_free(z, item);
		item = NULL;
	}
	if (item == NULL) {
		__atomic_fetch_sub(&z->uz_used, 1, __ATOMIC_RELAXED);
		return (NULL);
	}
	if (flags & M_ZERO)
		memset(item, 0, z->uz_size);
	item_mark(z, item, true);
	return (item);
}

/* False: the cache is full. */
static bool
cache_put(uma_zone_t z, void *item)
{
	struct cache *uc = &z->uz_cache[curcpu];
	bool kept;

	hosted_poison(item, z->uz_size);
	kpi_lock(&uc->uc_lock);
	kept = uc->uc_n < CACHE_SIZE;
	if (kept)
		uc->uc_item[uc->uc_n++] = item;
	kpi_unlock(&uc->uc_lock);
	if (!kept)
		hosted_unpoison(item, z->uz_size);
	return (kept);
}

void
uma_zfree_arg(uma_zone_t z, void *item, void *arg)
{
	if (item == NULL)
		return;
	KASSERT(curthread->td_critnest == 0 || SCHEDULER_STOPPED(),
	    ("uma_zfree_arg: called with spinlock or critical section held"));
	item_check(z, item);
	if (z->uz_dtor != NULL)
		z->uz_dtor(item, z->uz_size, arg);
	item_mark(z, item, false);
	if (!cache_put(z, item))
		item_free(z, item);
	__atomic_fetch_sub(&z->uz_used, 1, __ATOMIC_RELAXED);
	if (z->uz_max != 0)
		wakeup_one(z);
}

int
uma_zone_set_max(uma_zone_t z, int n)
{
	z->uz_max = n;
	return (n);
}

int
uma_zone_get_max(uma_zone_t z)
{
	return (z->uz_max);
}

int
uma_zone_get_cur(uma_zone_t z)
{
	return (__atomic_load_n(&z->uz_used, __ATOMIC_RELAXED));
}

/* As many as the cache takes: later ones cannot fail to be allocated. */
void
uma_prealloc(uma_zone_t z, int n)
{
	void *item;

	for (; n > 0; n--) {
		item = item_new(z, M_WAITOK);
		if (item == NULL)
			return;
		if (!cache_put(z, item)) {
			item_free(z, item);
			return;
		}
	}
}

void
uma_zone_reclaim(uma_zone_t z, int req)
{
	zone_drain(z);
}

unsigned int
uma_get_cache_align_mask(void)
{
	return (CACHE_LINE_SIZE - 1);
}

u_int
kpi_uma_leaks(void)
{
	struct uma_zone *z;
	u_int n = 0;

	TAILQ_FOREACH(z, &zones, uz_link)
		if (z->uz_used != 0) {
			printf("leak: zone %s: %u items\n", z->uz_name,
			    z->uz_used);
			n++;
		}
	return (n);
}
KPI_LEAKS(kpi_uma_leaks);
