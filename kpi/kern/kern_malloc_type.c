/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * malloc(9): the types, what is counted by type, and the rest of the family
 * that is built on malloc() and free().
 */

#include <kern/kpi_internal.h>

#include <sys/domainset.h>
#include <sys/malloc.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_extern.h>
#include <vm/vm_kern.h>

MALLOC_DEFINE(M_CACHE, "cache", "Various Dynamically allocated caches");
MALLOC_DEFINE(M_DEVBUF, "devbuf", "device driver memory");
MALLOC_DEFINE(M_TEMP, "temp", "misc temporary data buffers");
static MALLOC_DEFINE(M_KMEM, "kmem", "kmem_malloc() and the like");
static MALLOC_DEFINE(M_PROGRAM, "program", "kpi_mem_alloc()");

/* A type whose file was unloaded with memory in use. */
struct lost {
	char		 l_name[32];
	uint64_t	 l_bytes;
};

static struct kpi_lock	types_lock;
static struct malloc_type *types;
static struct lost	lost[32];
static u_int		nlost;

void
malloc_init(void *arg)
{
	struct malloc_type *type = arg;

	kpi_lock(&types_lock);
	if (type->ks_mti.mti_stats == NULL) {
		KASSERT(type->ks_version == M_VERSION,
		    ("malloc_init: type %s with unsupported version %lu",
		    type->ks_shortdesc, type->ks_version));
		type->ks_mti.mti_stats = hosted_mmap(KPI_MAXCPU *
		    sizeof(*type->ks_mti.mti_stats));
		type->ks_next = types;
		types = type;
	}
	kpi_unlock(&types_lock);
}

static uint64_t
type_bytes(const struct malloc_type *type, uint64_t *count)
{
	struct malloc_type_stats *st;
	uint64_t bytes = 0;
	u_int i;

	*count = 0;
	for (i = 0; i < KPI_MAXCPU; i++) {
		st = &type->ks_mti.mti_stats[i];
		bytes += __atomic_load_n(&st->mts_memalloced,
		    __ATOMIC_RELAXED);
		bytes -= __atomic_load_n(&st->mts_memfreed, __ATOMIC_RELAXED);
		*count += __atomic_load_n(&st->mts_numallocs,
		    __ATOMIC_RELAXED);
		*count -= __atomic_load_n(&st->mts_numfrees, __ATOMIC_RELAXED);
	}
	return (bytes);
}

void
malloc_uninit(void *arg)
{
	struct malloc_type *type = arg, **tp;
	uint64_t bytes, count;

	bytes = type_bytes(type, &count);
	kpi_lock(&types_lock);
	for (tp = &types; *tp != type; tp = &(*tp)->ks_next)
		;
	*tp = type->ks_next;
	if (bytes != 0 && nlost < nitems(lost)) {
		strlcpy(lost[nlost].l_name, type->ks_shortdesc,
		    sizeof(lost[0].l_name));
		lost[nlost++].l_bytes = bytes;
	}
	kpi_unlock(&types_lock);
	if (bytes != 0)
		printf("Warning: memory type %s leaked memory on destroy "
		    "(%ju allocations, %ju bytes leaked).\n",
		    type->ks_shortdesc, (uintmax_t)count, (uintmax_t)bytes);
	hosted_munmap(type->ks_mti.mti_stats, KPI_MAXCPU *
	    sizeof(*type->ks_mti.mti_stats));
	type->ks_mti.mti_stats = NULL;
}

struct malloc_type *
malloc_desc2type(const char *desc)
{
	struct malloc_type *type;

	kpi_lock(&types_lock);
	for (type = types; type != NULL; type = type->ks_next)
		if (strcmp(type->ks_shortdesc, desc) == 0)
			break;
	kpi_unlock(&types_lock);
	return (type);
}

kpi_u64
kpi_malloc_type_bytes(const char *name)
{
	struct malloc_type *type = malloc_desc2type(name);
	uint64_t count;

	return (type == NULL ? 0 : type_bytes(type, &count));
}

uint64_t
kpi_malloc_bytes(void)
{
	struct malloc_type *type;
	uint64_t bytes = 0, count;

	kpi_lock(&types_lock);
	for (type = types; type != NULL; type = type->ks_next)
		bytes += type_bytes(type, &count);
	kpi_unlock(&types_lock);
	return (bytes);
}

/* What the kernel itself holds after boot is no leak. */
void
kpi_malloc_baseline(void)
{
	struct malloc_type *type;
	uint64_t count;

	for (type = types; type != NULL; type = type->ks_next)
		type->ks_mti.mti_spare[0] = type_bytes(type, &count);
}

u_int
kpi_malloc_leaks(void)
{
	struct malloc_type *type;
	uint64_t bytes, count;
	u_int i, n = 0;

	for (type = types; type != NULL; type = type->ks_next) {
		bytes = type_bytes(type, &count);
		if (bytes <= type->ks_mti.mti_spare[0])
			continue;
		printf("leak: malloc type %s: %ju bytes\n",
		    type->ks_shortdesc,
		    (uintmax_t)(bytes - type->ks_mti.mti_spare[0]));
		n++;
	}
	for (i = 0; i < nlost; i++)
		printf("leak: malloc type %s: %ju bytes\n", lost[i].l_name,
		    (uintmax_t)lost[i].l_bytes);
	return (n + nlost);
}

/* --- Built on malloc() and free() --- */

void
zfree(void *p, struct malloc_type *type)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p, type);
}

void *
mallocarray(size_t nmemb, size_t size, struct malloc_type *type, int flags)
{
	if (WOULD_OVERFLOW(nmemb, size))
		panic("mallocarray: %zu * %zu overflowed", nmemb, size);
	return (malloc(size * nmemb, type, flags));
}

void *
realloc(void *p, size_t size, struct malloc_type *type, int flags)
{
	void *new;

	if (p == NULL)
		return (malloc(size, type, flags));
	new = malloc(size, type, flags);
	if (new == NULL)
		return (NULL);
	memcpy(new, p, MIN(size, malloc_usable_size(p)));
	free(p, type);
	return (new);
}

void *
reallocf(void *p, size_t size, struct malloc_type *type, int flags)
{
	void *new;

	new = realloc(p, size, type, flags);
	if (new == NULL && p != NULL)
		free(p, type);
	return (new);
}

void *
malloc_domainset(size_t size, struct malloc_type *type, struct domainset *ds,
    int flags)
{
	return (malloc(size, type, flags));
}

void *
mallocarray_domainset(size_t nmemb, size_t size, struct malloc_type *type,
    struct domainset *ds, int flags)
{
	return (mallocarray(nmemb, size, type, flags));
}

void *
malloc_aligned(size_t size, size_t align, struct malloc_type *type, int flags)
{
	KASSERT(powerof2(align) && align <= PAGE_SIZE,
	    ("malloc_aligned: alignment %zu", align));
	/* A slot is aligned to its size. */
	return (malloc(MAX(size, align), type, flags));
}

void *
malloc_domainset_aligned(size_t size, size_t align, struct malloc_type *type,
    struct domainset *ds, int flags)
{
	return (malloc_aligned(size, align, type, flags));
}

void *
contigmalloc_domainset(u_long size, struct malloc_type *type,
    struct domainset *ds, int flags, vm_paddr_t low, vm_paddr_t high,
    u_long align, vm_paddr_t boundary)
{
	return (contigmalloc(size, type, flags, low, high, align, boundary));
}

void *
kmem_malloc(vm_size_t size, int flags)
{
	return (malloc(round_page(size), M_KMEM, flags));
}

void *
kmem_malloc_domainset(struct domainset *ds, vm_size_t size, int flags)
{
	return (kmem_malloc(size, flags));
}

void *
kmem_alloc_contig(vm_size_t size, int flags, vm_paddr_t low, vm_paddr_t high,
    u_long align, vm_paddr_t boundary, vm_memattr_t memattr)
{
	return (contigmalloc(size, M_KMEM, flags, low, high, align, boundary));
}

void *
kmem_alloc_contig_domainset(struct domainset *ds, vm_size_t size, int flags,
    vm_paddr_t low, vm_paddr_t high, u_long align, vm_paddr_t boundary,
    vm_memattr_t memattr)
{
	return (contigmalloc(size, M_KMEM, flags, low, high, align, boundary));
}

void *
kmem_alloc_attr(vm_size_t size, int flags, vm_paddr_t low, vm_paddr_t high,
    vm_memattr_t memattr)
{
	return (contigmalloc(size, M_KMEM, flags, low, high, PAGE_SIZE, 0));
}

void
kmem_free(void *p, vm_size_t size)
{
	free(p, M_KMEM);
}

char *
strdup_flags(const char *s, struct malloc_type *type, int flags)
{
	size_t len = strlen(s) + 1;
	char *p;

	p = malloc(len, type, flags);
	if (p != NULL)
		memcpy(p, s, len);
	return (p);
}

char *
strdup(const char *s, struct malloc_type *type)
{
	return (strdup_flags(s, type, M_WAITOK));
}

char *
strndup(const char *s, size_t n, struct malloc_type *type)
{
	size_t len = strnlen(s, n);
	char *p;

	p = malloc(len + 1, type, M_WAITOK);
	memcpy(p, s, len);
	p[len] = '\0';
	return (p);
}

/* --- For programs --- */

void *
kpi_mem_alloc(kpi_size size)
{
	struct thread *td = kpi_thread_enter();
	void *p;

	/* Contiguous in both spaces unless memory is to be scattered. */
	p = malloc(round_page(size), M_PROGRAM, M_NOWAIT | M_ZERO);
	kpi_thread_leave(td);
	return (p);
}

void
kpi_mem_free(void *p)
{
	struct thread *td = kpi_thread_enter();

	free(p, M_PROGRAM);
	kpi_thread_leave(td);
}
