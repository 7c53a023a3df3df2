/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What programs that are run as commands (lsvmbus.c, daemons.c) want of libc:
 * memory, text, options, sysctl.  What is a system call and no more stands in
 * libc_sys.c.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/sysctl.h>

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "lib.h"
#include "libc.h"

/* What one run may take; nothing is given back before its end. */
#define	HEAP_SIZE	(16 << 20)

void	*memchr(const void *, int, size_t);
size_t	 strcspn(const char *, const char *);
size_t	 strspn(const char *, const char *);
char	*strpbrk(const char *, const char *);
char	*strncat(char * restrict, const char * restrict, size_t);
char	*strcpy(char * restrict, const char * restrict);
char	*strdup(const char *);
char	*strndup(const char *, size_t);
char	*strerror(int);

static char *heap;
static size_t heap_used;
static int error_now;

/* --- Memory --- */

int *
__error(void)
{

	return (&error_now);
}

/* Each piece has its size before it. */
void *
malloc(size_t size)
{
	size_t *piece;

	size = roundup2(size, 16);
	if (size + 16 > HEAP_SIZE - heap_used)
		return (NULL);
	piece = (size_t *)(void *)(heap + heap_used);
	heap_used += size + 16;
	piece[0] = size;
	return (piece + 2);
}

void
free(void *p)
{
}

void *
calloc(size_t n, size_t size)
{

	/* Whole pages are zeroed, and none is used twice. */
	return (malloc(n * size));
}

void *
reallocarray(void *old, size_t n, size_t size)
{
	void *p = malloc(n * size);

	if (p != NULL && old != NULL)
		memcpy(p, old, MIN(((size_t *)old)[-2], n * size));
	return (p);
}

/* --- Text --- */

void *
memchr(const void *p, int c, size_t n)
{
	const unsigned char *s = p;

	for (; n > 0; n--, s++)
		if (*s == (unsigned char)c)
			return (__DECONST(void *, s));
	return (NULL);
}

size_t
strcspn(const char *s, const char *set)
{
	size_t n;

	for (n = 0; s[n] != '\0' && strchr(set, s[n]) == NULL; n++)
		continue;
	return (n);
}

size_t
strspn(const char *s, const char *set)
{
	size_t n;

	for (n = 0; s[n] != '\0' && strchr(set, s[n]) != NULL; n++)
		continue;
	return (n);
}

char *
strpbrk(const char *s, const char *set)
{

	s += strcspn(s, set);
	return (*s != '\0' ? __DECONST(char *, s) : NULL);
}

char *
strncat(char * restrict to, const char * restrict from, size_t n)
{
	char *end = to + strlen(to);

	for (; n > 0 && *from != '\0'; n--)
		*end++ = *from++;
	*end = '\0';
	return (to);
}

/* For letters of ASCII, as in a GUID. */
int
strcasecmp(const char *a, const char *b)
{

	for (; (*a | 0x20) == (*b | 0x20) && *a != '\0'; a++, b++)
		continue;
	return ((*a | 0x20) - (*b | 0x20));
}

char *
strcpy(char * restrict to, const char * restrict from)
{

	return (memcpy(to, from, strlen(from) + 1));
}

char *
strndup(const char *s, size_t n)
{
	char *p;

	n = MIN(n, strlen(s));
	p = malloc(n + 1);
	if (p != NULL)
		(void)copy_string(p, s, n + 1);
	return (p);
}

char *
strdup(const char *s)
{

	return (strndup(s, strlen(s)));
}

char *
strerror(int error)
{

	return (__DECONST(char *, error_name(error)));
}

/* Decimal digits. */
unsigned long
strtoul(const char *s, char **end, int base)
{
	unsigned long v;

	for (v = 0; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *s - '0', &v))
			error_now = ERANGE;
	*end = __DECONST(char *, s);
	return (v);
}

long long
strtoll(const char *s, char **end, int base)
{

	return ((long long)strtoul(s, end, base));
}

int
vsnprintf(char *to, size_t size, const char *f, va_list ap)
{

	return (vformat(to, size, f, ap));
}

int
snprintf(char *to, size_t size, const char *f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vformat(to, size, f, ap);
	va_end(ap);
	return (n);
}

/* --- The rest --- */

void
qsort(void *base, size_t n, size_t size,
    int (*compare)(const void *, const void *))
{
	char *a = base, c;
	size_t i, j, k;

	for (i = 1; i < n; i++)
		for (j = i; j > 0 && compare(a + (j - 1) * size,
		    a + j * size) > 0; j--)
			for (k = 0; k < size; k++) {
				c = a[j * size + k];
				a[j * size + k] = a[(j - 1) * size + k];
				a[(j - 1) * size + k] = c;
			}
}

int optind;
char *optarg;
static int optnext;

/* As POSIX has it, but that it says nothing itself. */
int
getopt(int argc, char *const argv[], const char *options)
{
	const char *arg, *known;
	int c;

	if (optind >= argc || argv[optind][0] != '-' ||
	    argv[optind][1] == '\0')
		return (-1);
	arg = argv[optind];
	c = (unsigned char)arg[1 + optnext++];
	known = c == ':' ? NULL : strchr(options, c);
	if (known != NULL && known[1] == ':') {
		optarg = __DECONST(char *, &arg[1 + optnext]);
		if (*optarg == '\0')
			optarg = ++optind < argc ? argv[optind] : NULL;
		optind++;
		optnext = 0;
		return (optarg != NULL ? c : '?');
	}
	if (arg[1 + optnext] == '\0') {
		optind++;
		optnext = 0;
	}
	return (known != NULL ? c : '?');
}

int
usleep(useconds_t us)
{

	sleep_ms(us / 1000);
	return (0);
}

int
libc_result(long negative)
{

	if (negative >= 0)
		return ((int)negative);
	error_now = (int)-negative;
	return (-1);
}

int
sysctl(const int *oid, u_int n, void *old, size_t *oldlen, const void *new,
    size_t newlen)
{

	return (libc_result(sys_sysctl(oid, n, old, oldlen, new, newlen)));
}

int
sysctlnametomib(const char *name, int *oid, size_t *n)
{
	int query[2] = { CTL_SYSCTL, CTL_SYSCTL_NAME2OID };
	size_t size = *n * sizeof(int);
	int error;

	error = sys_sysctl(query, 2, oid, &size, name, strlen(name));
	*n = size / sizeof(int);
	return (libc_result(error));
}

int
sysctlbyname(const char *name, void *old, size_t *oldlen, const void *new,
    size_t newlen)
{
	int oid[CTL_MAXNAME];
	size_t n = CTL_MAXNAME;

	if (sysctlnametomib(name, oid, &n) != 0)
		return (-1);
	return (sysctl(oid, (u_int)n, old, oldlen, new, newlen));
}

int
libc_run(int (*main)(int, char **), int argc, char **argv)
{
	char *args[LIBC_ARGS + 1];
	int status;

	memcpy(args, argv, (size_t)argc * sizeof(args[0]));
	args[argc] = NULL;
	heap = mem_get(HEAP_SIZE);
	heap_used = 0;
	optind = 1;
	optnext = 0;
	status = main(argc, args);
	mem_put(heap, HEAP_SIZE);
	return (status);
}
