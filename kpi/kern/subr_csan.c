/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The functions through which FreeBSD's headers do atomics, memory and string
 * operations in a KCSAN kernel.  ThreadSanitizer understands the compiler's
 * builtins and libc's functions, which it does not of the headers' assembly.
 *
 * A page of guest memory can have two addresses, and ThreadSanitizer takes
 * them for different memory: a release through one would not order an acquire
 * through the other.  The host's side uses the direct map only, so each atomic
 * operation goes there too; it is the same word.  What neither orders nor is
 * ordered by ThreadSanitizer's reckoning are fences: code that needs one says
 * release or acquire at the access as well.
 *
 * A plain atomic_load is an acquire, as all loads are on amd64: a producer of
 * buf_ring(9) that waits for the one before it relies on that.
 */

#ifdef KCSAN

#define	SAN_RUNTIME

#include <kern/kpi_internal.h>

#include <sys/atomic_san.h>

#undef memset
#undef memcpy
#undef memmove
#undef memcmp
#undef strlen
#undef strcmp
#undef strcpy

#define	WORD(p)								\
	((__typeof(p))(uintptr_t)kpi_direct((vm_offset_t)(uintptr_t)(p)))

#define	ORDERS(gen, name, type)						\
	gen(name, type, , __ATOMIC_SEQ_CST)				\
	gen(name, type, _acq, __ATOMIC_ACQUIRE)				\
	gen(name, type, _rel, __ATOMIC_RELEASE)

#define	GEN_RMW(name, type, sfx, mo)					\
void									\
kcsan_atomic_add##sfx##_##name(volatile type *p, type v)		\
{									\
	__atomic_fetch_add(WORD(p), v, mo);				\
}									\
void									\
kcsan_atomic_subtract##sfx##_##name(volatile type *p, type v)		\
{									\
	__atomic_fetch_sub(WORD(p), v, mo);				\
}									\
void									\
kcsan_atomic_set##sfx##_##name(volatile type *p, type v)		\
{									\
	__atomic_fetch_or(WORD(p), v, mo);				\
}									\
void									\
kcsan_atomic_clear##sfx##_##name(volatile type *p, type v)		\
{									\
	__atomic_fetch_and(WORD(p), (type)~v, mo);			\
}									\
int									\
kcsan_atomic_cmpset##sfx##_##name(volatile type *p, type old, type new)	\
{									\
	return (__atomic_compare_exchange_n(WORD(p), &old, new, false,	\
	    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));			\
}									\
int									\
kcsan_atomic_fcmpset##sfx##_##name(volatile type *p, type *old,		\
    type new)								\
{									\
	return (__atomic_compare_exchange_n(WORD(p), old, new, false,	\
	    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));			\
}

#define	GEN_BITS(name, type, sfx)					\
int									\
kcsan_atomic_testandset##sfx##_##name(volatile type *p, u_int n)	\
{									\
	type bit = (type)1 << (n % (8 * sizeof(type)));			\
									\
	return ((__atomic_fetch_or(WORD(p), bit, __ATOMIC_SEQ_CST) &	\
	    bit) != 0);							\
}									\
int									\
kcsan_atomic_testandclear##sfx##_##name(volatile type *p, u_int n)	\
{									\
	type bit = (type)1 << (n % (8 * sizeof(type)));			\
									\
	return ((__atomic_fetch_and(WORD(p), (type)~bit,		\
	    __ATOMIC_SEQ_CST) & bit) != 0);				\
}

#define	GEN(name, type)							\
ORDERS(GEN_RMW, name, type)						\
GEN_BITS(name, type, )							\
GEN_BITS(name, type, _acq)						\
type									\
kcsan_atomic_fetchadd_##name(volatile type *p, type v)			\
{									\
	return (__atomic_fetch_add(WORD(p), v, __ATOMIC_SEQ_CST));	\
}									\
type									\
kcsan_atomic_swap_##name(volatile type *p, type v)			\
{									\
	return (__atomic_exchange_n(WORD(p), v, __ATOMIC_SEQ_CST));	\
}									\
type									\
kcsan_atomic_readandclear_##name(volatile type *p)			\
{									\
	return (__atomic_exchange_n(WORD(p), 0, __ATOMIC_SEQ_CST));	\
}									\
type									\
kcsan_atomic_load_##name(const volatile type *p)			\
{									\
	return (__atomic_load_n(WORD(p), __ATOMIC_ACQUIRE));		\
}									\
type									\
kcsan_atomic_load_acq_##name(const volatile type *p)			\
{									\
	return (__atomic_load_n(WORD(p), __ATOMIC_ACQUIRE));		\
}									\
void									\
kcsan_atomic_store_##name(volatile type *p, type v)			\
{									\
	__atomic_store_n(WORD(p), v, __ATOMIC_RELAXED);			\
}									\
void									\
kcsan_atomic_store_rel_##name(volatile type *p, type v)			\
{									\
	__atomic_store_n(WORD(p), v, __ATOMIC_RELEASE);			\
}

GEN(char, uint8_t)
GEN(short, uint16_t)
GEN(int, u_int)
GEN(long, u_long)
GEN(ptr, uintptr_t)
GEN(8, uint8_t)
GEN(16, uint16_t)
GEN(32, uint32_t)
GEN(64, uint64_t)

bool
kcsan_atomic_load_bool(const volatile bool *p)
{
	return (__atomic_load_n(WORD(p), __ATOMIC_RELAXED));
}

void
kcsan_atomic_store_bool(volatile bool *p, bool v)
{
	__atomic_store_n(WORD(p), v, __ATOMIC_RELAXED);
}

#define	GEN_FENCE(name, mo)						\
void									\
kcsan_atomic_thread_fence_##name(void)					\
{									\
	__atomic_thread_fence(mo);					\
}

GEN_FENCE(acq, __ATOMIC_ACQUIRE)
GEN_FENCE(rel, __ATOMIC_RELEASE)
GEN_FENCE(acq_rel, __ATOMIC_ACQ_REL)
GEN_FENCE(seq_cst, __ATOMIC_SEQ_CST)

void
kcsan_atomic_interrupt_fence(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void *
kcsan_memset(void *p, int c, size_t len)
{
	return (memset(p, c, len));
}

void *
kcsan_memcpy(void *to, const void *from, size_t len)
{
	return (memcpy(to, from, len));
}

void *
kcsan_memmove(void *to, const void *from, size_t len)
{
	return (memmove(to, from, len));
}

int
kcsan_memcmp(const void *a, const void *b, size_t len)
{
	return (memcmp(a, b, len));
}

size_t
kcsan_strlen(const char *s)
{
	return (strlen(s));
}

int
kcsan_strcmp(const char *a, const char *b)
{
	return (strcmp(a, b));
}

char *
kcsan_strcpy(char *to, const char *from)
{
	memcpy(to, from, strlen(from) + 1);
	return (to);
}

int
kcsan_copyin(const void *from, void *to, size_t len)
{
	return (copyin(from, to, len));
}

int
kcsan_copyout(const void *from, void *to, size_t len)
{
	return (copyout(from, to, len));
}

#endif	/* KCSAN */
