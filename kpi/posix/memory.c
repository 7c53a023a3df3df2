/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Memory of the waist: the guest's physical memory, which is a memfd so that
 * its pages can be mapped a second time elsewhere, and plain memory.
 */

#include <sys/mman.h>
#include <stdlib.h>
#include <stdlib.h>
#include <unistd.h>

#include "waist.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define	HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif
#endif

static int memfd = -1;

int
hosted_mem_create(hosted_size size, void **base)
{
	void *p;

	if (memfd != -1)
		return (HOSTED_EINVAL);
	memfd = memfd_create("guest memory", MFD_CLOEXEC);
	if (memfd == -1)
		return (HOSTED_ENOMEM);
	if (ftruncate(memfd, size) == -1)
		goto fail;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (p == MAP_FAILED)
		goto fail;
	/* Core dumps and fork() have no use for it. */
	madvise(p, size, MADV_DONTDUMP);
	*base = p;
	return (0);
fail:
	close(memfd);
	memfd = -1;
	return (HOSTED_ENOMEM);
}

void *
hosted_va_reserve(hosted_size size)
{
	void *p;

	p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
	    MAP_NORESERVE, -1, 0);
	return (p == MAP_FAILED ? NULL : p);
}

int
hosted_mem_alias(void *va, hosted_u64 gpa, hosted_size len)
{
	void *p;

	p = mmap(va, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd,
	    gpa);
	return (p == MAP_FAILED ? HOSTED_ENOMEM : 0);
}

void
hosted_mem_unalias(void *va, hosted_size len)
{
	/* Going on with the old pages there would corrupt silently. */
	if (mmap(va, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
	    MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
}

void
hosted_mem_exec(void *va, hosted_size len, int executable)
{
	if (mprotect(va, len, PROT_READ | PROT_WRITE |
	    (executable ? PROT_EXEC : 0)) == -1)
		abort();
}

void *
hosted_mmap(hosted_size size)
{
	void *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return (p == MAP_FAILED ? NULL : p);
}

void
hosted_munmap(void *p, hosted_size size)
{
	munmap(p, size);
}

void
hosted_poison(const void *p, hosted_size len)
{
#ifdef HAVE_ASAN
	__asan_poison_memory_region(p, len);
#endif
}

void
hosted_unpoison(const void *p, hosted_size len)
{
#ifdef HAVE_ASAN
	__asan_unpoison_memory_region(p, len);
#endif
}
