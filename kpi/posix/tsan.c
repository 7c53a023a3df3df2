/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What is no race in FreeBSD's headers, for ThreadSanitizer.
 *
 * Volatile accesses of FreeBSD-side code: the kernel's headers read lock words
 * and the like through volatile pointers while others change them atomically
 * (mtx_owned(), ticks); these accesses are not tracked.
 */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#define	VOLATILE(name)							\
	void __tsan_##name(void *p);					\
	void								\
	__tsan_##name(void *p)						\
	{								\
	}

#define	SIZES(name)							\
	VOLATILE(name##1)						\
	VOLATILE(name##2)						\
	VOLATILE(name##4)						\
	VOLATILE(name##8)						\
	VOLATILE(name##16)

SIZES(volatile_read)
SIZES(volatile_write)
SIZES(unaligned_volatile_read)
SIZES(unaligned_volatile_write)

const char *__tsan_default_suppressions(void);

/* The header counts drops of a full buf_ring(9) without an atomic operation. */
const char *
__tsan_default_suppressions(void)
{

	return ("race_top:buf_ring_enqueue\n");
}

#endif
#endif

/* Without ThreadSanitizer the file is empty, which ISO C does not allow. */
typedef int tsan_volatile_unused;
