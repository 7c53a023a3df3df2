/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * libkern: C library functions of the kernel that neither the compiler nor
 * glibc provides under the kernel's name and rules.
 */

#include <kern/kpi_internal.h>

#include <sys/ctype.h>
#include <sys/limits.h>

size_t
strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src), n;

	if (size != 0) {
		n = MIN(len, size - 1);
		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return (len);
}

size_t
strlcat(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(dst, size);

	return (len + (len == size ? strlen(src) :
	    strlcpy(dst + len, src, size - len)));
}

size_t
strnlen(const char *s, size_t max)
{
	size_t n;

	for (n = 0; n < max && s[n] != '\0'; n++)
		;
	return (n);
}

char *
strncpy(char *dst, const char *src, size_t n)
{
	size_t i;

	for (i = 0; i < n && src[i] != '\0'; i++)
		dst[i] = src[i];
	for (; i < n; i++)
		dst[i] = '\0';
	return (dst);
}

#undef strcpy
char *
strcpy(char *dst, const char *src)
{
	memcpy(dst, src, strlen(src) + 1);
	return (dst);
}

char *
strcat(char *dst, const char *src)
{
	strcpy(dst + strlen(dst), src);
	return (dst);
}

int
strcasecmp(const char *a, const char *b)
{
	return (strncasecmp(a, b, SIZE_MAX));
}

int
strncasecmp(const char *a, const char *b, size_t n)
{
	int ca, cb;

	for (; n > 0; n--) {
		ca = tolower((u_char)*a++);
		cb = tolower((u_char)*b++);
		if (ca != cb)
			return (ca - cb);
		if (ca == '\0')
			break;
	}
	return (0);
}

char *
strstr(const char *s, const char *find)
{
	size_t len = strlen(find);

	for (; strncmp(s, find, len) != 0; s++)
		if (*s == '\0')
			return (NULL);
	return (__DECONST(char *, s));
}

char *
strnstr(const char *s, const char *find, size_t max)
{
	size_t i, len = strlen(find), n = strnlen(s, max);

	for (i = 0; i + len <= n; i++)
		if (strncmp(s + i, find, len) == 0)
			return (__DECONST(char *, s + i));
	return (NULL);
}

size_t
strspn(const char *s, const char *set)
{
	size_t n;

	for (n = 0; s[n] != '\0' && strchr(set, s[n]) != NULL; n++)
		;
	return (n);
}

size_t
strcspn(const char *s, const char *set)
{
	size_t n;

	for (n = 0; s[n] != '\0' && strchr(set, s[n]) == NULL; n++)
		;
	return (n);
}

char *
strchrnul(const char *s, int c)
{
	while (*s != '\0' && *s != (char)c)
		s++;
	return (__DECONST(char *, s));
}

char *
strsep(char **sp, const char *delim)
{
	char *s = *sp;
	size_t n;

	if (s == NULL)
		return (NULL);
	n = strcspn(s, delim);
	if (s[n] == '\0')
		*sp = NULL;
	else {
		s[n] = '\0';
		*sp = s + n + 1;
	}
	return (s);
}

/* --- Numbers --- */

static int
digit_of(int c, int base)
{
	int d;

	if (isdigit(c))
		d = c - '0';
	else if (isalpha(c))
		d = tolower(c) - 'a' + 10;
	else
		return (-1);
	return (d < base ? d : -1);
}

static u_quad_t
parse(const char *s, char **end, int base, bool *neg, bool *over)
{
	const char *start = s;
	u_quad_t v = 0;
	int d;
	bool any = false;

	while (isspace((u_char)*s))
		s++;
	*neg = *s == '-';
	*over = false;
	if (*s == '-' || *s == '+')
		s++;
	if ((base == 0 || base == 16) && s[0] == '0' &&
	    (s[1] == 'x' || s[1] == 'X') && digit_of((u_char)s[2], 16) >= 0) {
		s += 2;
		base = 16;
	}
	if (base == 0)
		base = *s == '0' ? 8 : 10;
	for (; (d = digit_of((u_char)*s, base)) >= 0; s++) {
		if (v > (UQUAD_MAX - d) / base)
			*over = true;
		v = v * base + d;
		any = true;
	}
	if (end != NULL)
		*end = __DECONST(char *, any ? s : start);
	return (v);
}

quad_t
strtoq(const char *s, char **end, int base)
{
	bool neg, over;
	u_quad_t v;

	v = parse(s, end, base, &neg, &over);
	if (over || v > (u_quad_t)QUAD_MAX + (neg ? 1 : 0))
		return (neg ? QUAD_MIN : QUAD_MAX);
	return (neg ? -v : v);
}

u_quad_t
strtouq(const char *s, char **end, int base)
{
	bool neg, over;
	u_quad_t v;

	v = parse(s, end, base, &neg, &over);
	return (over ? UQUAD_MAX : neg ? -v : v);
}

long
strtol(const char *s, char **end, int base)
{
	return (strtoq(s, end, base));
}

u_long
strtoul(const char *s, char **end, int base)
{
	return (strtouq(s, end, base));
}

/* --- The rest --- */

void
explicit_bzero(void *p, size_t len)
{
	memset(p, 0, len);
	__asm volatile("" : : "r" (p) : "memory");
}

/* Shell sort: short, in place, no recursion. */
void
qsort(void *base, size_t n, size_t size,
    int (*cmp)(const void *, const void *))
{
	char *b = base, t;
	size_t gap, i, j, k;

	for (gap = n / 2; gap > 0; gap /= 2)
		for (i = gap; i < n; i++)
			for (j = i; j >= gap && cmp(b + (j - gap) * size,
			    b + j * size) > 0; j -= gap)
				for (k = 0; k < size; k++) {
					t = b[(j - gap) * size + k];
					b[(j - gap) * size + k] =
					    b[j * size + k];
					b[j * size + k] = t;
				}
}

void *
bsearch(const void *key, const void *base, size_t n, size_t size,
    int (*cmp)(const void *, const void *))
{
	const char *p;
	int c;

	while (n > 0) {
		p = (const char *)base + n / 2 * size;
		c = cmp(key, p);
		if (c == 0)
			return (__DECONST(char *, p));
		if (c > 0) {
			base = p + size;
			n--;
		}
		n /= 2;
	}
	return (NULL);
}

uint32_t
arc4random(void)
{
	uint32_t v;

	hosted_random(&v, sizeof(v));
	return (v);
}

void
arc4random_buf(void *p, size_t len)
{
	hosted_random(p, len);
}

uint32_t
arc4random_uniform(uint32_t bound)
{
	return (((uint64_t)arc4random() * bound) >> 32);
}

void
arc4rand(void *p, u_int len, int reseed)
{
	hosted_random(p, len);
}

u_long
random(void)
{
	return (arc4random() & 0x7fffffff);
}

int
(copyin)(const void *from, void *to, size_t len)
{
	memcpy(to, from, len);
	return (0);
}

int
(copyout)(const void *from, void *to, size_t len)
{
	memcpy(to, from, len);
	return (0);
}
