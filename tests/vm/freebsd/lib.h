/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a program without libc needs of one: text, memory, time, sums; and the
 * patterns that tests write and look for.
 */

#ifndef _TESTS_VM_FREEBSD_LIB_H_
#define	_TESTS_VM_FREEBSD_LIB_H_

#include <sys/types.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys.h"

/* --- Memory and strings; the compiler calls the first four by itself --- */

void	*memcpy(void * restrict, const void * restrict, size_t);
void	*memmove(void *, const void *, size_t);
void	*memset(void *, int, size_t);
int	 memcmp(const void *, const void *, size_t);
size_t	 strlen(const char *);
int	 strcmp(const char *, const char *);
int	 strncmp(const char *, const char *, size_t);
char	*strchr(const char *, int);
char	*strstr(const char *, const char *);
/* Copies and ends with NUL; false: it was cut short. */
bool	 copy_string(char *, const char *, size_t);

/* Whole pages, zeroed; ends the process if there is no memory. */
void	*mem_get(size_t);
void	 mem_put(void *, size_t);

/* --- Output, to the console or, in a job, to its buffer (job.c) --- */

/*
 * Knows %s %c %d %u %x %p %%, the lengths l, j, z, a width, 0 and -, and a
 * precision for strings.
 */
void	 print(const char *, ...) __attribute__((format(printf, 1, 2)));
int	 format(char *, size_t, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
int	 vformat(char *, size_t, const char *, va_list);
void	 out(const char *, size_t);
void	 out_flush(void);
/* From now on output goes here; what does not fit is dropped. */
void	 out_redirect(char *, size_t *, size_t);

/*
 * Prints what went wrong, with the error's name, and returns it as a positive
 * number: `return (complain(error, "open %s", path));'.
 */
int	 complain(long, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
const char *error_name(int);

/* --- Arguments --- */

/* Decimal or 0x…, with a suffix k, m or g; false: it is no number. */
bool	 number(const char *, uint64_t *);
/* argv[i] as a number, or what stands for it if there are fewer arguments. */
uint64_t argument(int, char **, int, uint64_t);

/* --- Time --- */

uint64_t uptime_ns(void);
void	 sleep_ms(uint64_t);

/* --- Sums and patterns --- */

#define	SHA256_SIZE	32

struct sha256 {
	uint32_t	 state[8];
	uint64_t	 length;
	uint8_t		 block[64];
};

void	 sha256_init(struct sha256 *);
void	 sha256_update(struct sha256 *, const void *, size_t);
void	 sha256_final(struct sha256 *, uint8_t[SHA256_SIZE]);
/* Ends the sum and prints it in hexadecimal digits. */
void	 sha256_print(struct sha256 *);

/*
 * Bytes that tell by themselves where they belong: each 8 of them depend on
 * the seed and on their offset.  Offset and size are multiples of 8.
 */
void	 pattern_fill(void *, size_t, uint64_t, uint64_t);
/* The offset within the buffer of what differs, or -1. */
ssize_t	 pattern_check(const void *, size_t, uint64_t, uint64_t);

/* --- Whole files --- */

/* Reads or writes all of it: 0 or an error; EIO where it ends too early. */
int	 read_all(int, void *, size_t, off_t);
int	 write_all(int, const void *, size_t, off_t);

#endif /* !_TESTS_VM_FREEBSD_LIB_H_ */
