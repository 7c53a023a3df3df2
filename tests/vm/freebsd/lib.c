/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a program without libc needs of one.
 */

#include <sys/errno.h>

#include "lib.h"

static char *sink;		/* NULL: the console */
static size_t *sink_used;
static size_t sink_size;
static char buffer[1024];
static size_t buffered;

/* --- Memory and strings --- */

void *
memcpy(void * restrict to, const void * restrict from, size_t n)
{
	void *ret = to;

	__asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : :
	    "memory");
	return (ret);
}

void *
memmove(void *to, const void *from, size_t n)
{
	const uint8_t *s = from;
	uint8_t *d = to;

	if (d <= s || d >= s + n)
		return (memcpy(to, from, n));
	while (n-- > 0)
		d[n] = s[n];
	return (to);
}

void *
memset(void *to, int value, size_t n)
{
	void *ret = to;

	__asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) :
	    "memory");
	return (ret);
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;
	uint64_t x, y;
	size_t i;

	/* Streams are compared by it: as far as they are equal, by words. */
	for (i = 0; i + sizeof(x) <= n; i += sizeof(x)) {
		__builtin_memcpy(&x, p + i, sizeof(x));
		__builtin_memcpy(&y, q + i, sizeof(y));
		if (x != y)
			break;
	}
	for (; i < n; i++)
		if (p[i] != q[i])
			return (p[i] < q[i] ? -1 : 1);
	return (0);
}

size_t
strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return (n);
}

int
strcmp(const char *a, const char *b)
{

	return (strncmp(a, b, SIZE_MAX));
}

int
strncmp(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (a[i] != b[i])
			return ((uint8_t)a[i] < (uint8_t)b[i] ? -1 : 1);
		if (a[i] == '\0')
			break;
	}
	return (0);
}

char *
strchr(const char *s, int c)
{

	for (;; s++) {
		if (*s == (char)c)
			return (__DECONST(char *, s));
		if (*s == '\0')
			return (NULL);
	}
}

char *
strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (;; s++) {
		if (strncmp(s, what, n) == 0)
			return (__DECONST(char *, s));
		if (*s == '\0')
			return (NULL);
	}
}

bool
copy_string(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i] != '\0'; i++)
		to[i] = from[i];
	to[i] = '\0';
	return (from[i] == '\0');
}

void *
mem_get(size_t size)
{
	void *p = sys_mmap(size, MAP_PRIVATE);

	if (p == NULL) {
		print("no memory for %zu bytes\n", size);
		out_flush();
		sys_exit(ENOMEM);
	}
	return (p);
}

void
mem_put(void *p, size_t size)
{

	sys_munmap(p, size);
}

/* --- Output --- */

void
out_redirect(char *to, size_t *used, size_t size)
{

	out_flush();
	sink = to;
	sink_used = used;
	sink_size = size;
}

void
out_flush(void)
{
	size_t done = 0;
	long n;

	while (done < buffered) {
		n = sys_write(1, buffer + done, buffered - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	buffered = 0;
}

void
out(const char *text, size_t n)
{
	size_t part;

	while (n > 0) {
		if (sink != NULL) {
			part = MIN(n, sink_size - *sink_used);
			memcpy(sink + *sink_used, text, part);
			*sink_used += part;
			return;
		}
		if (buffered == sizeof(buffer))
			out_flush();
		part = MIN(n, sizeof(buffer) - buffered);
		memcpy(buffer + buffered, text, part);
		buffered += part;
		text += part;
		n -= part;
	}
}

struct place {
	char		*to;		/* NULL: out() */
	size_t		 size, used;
};

static void
put(struct place *pl, const char *s, size_t n)
{
	size_t i;

	if (pl->to == NULL)
		out(s, n);
	for (i = 0; pl->to != NULL && i < n; i++)
		if (pl->used + i + 1 < pl->size)
			pl->to[pl->used + i] = s[i];
	pl->used += n;
}

static void
put_padded(struct place *pl, const char *s, size_t n, size_t width, bool left,
    char pad)
{
	size_t more = width > n ? width - n : 0;

	for (; more > 0 && !left; more--)
		put(pl, &pad, 1);
	put(pl, s, n);
	for (; more > 0; more--)
		put(pl, " ", 1);
}

/* The digits of a value, right-aligned in the buffer; where they begin. */
static char *
digits(char *end, uint64_t value, unsigned base, bool negative)
{

	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative)
		*--end = '-';
	return (end);
}

static void
put_number(struct place *pl, char kind, uint64_t value, size_t width,
    bool left, char pad)
{
	char text[32], *end = text + sizeof(text), *begin;
	bool negative;

	if (kind == 'p') {
		begin = digits(end, value, 16, false);
		*--begin = 'x';
		*--begin = '0';
	} else {
		negative = kind == 'd' && (int64_t)value < 0;
		begin = digits(end, negative ? -value : value,
		    kind == 'x' ? 16 : 10, negative);
	}
	put_padded(pl, begin, (size_t)(end - begin), width, left, pad);
}

static size_t
put_format(struct place *pl, const char *f, va_list ap)
{
	const char *s;
	size_t width, precision, n;
	uint64_t value;
	bool left, wide;
	char pad, c;

	for (; *f != '\0'; f++) {
		if (*f != '%') {
			put(pl, f, 1);
			continue;
		}
		f++;
		left = *f == '-';
		f += left;
		pad = *f == '0' ? '0' : ' ';
		for (width = 0; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + (size_t)(*f - '0');
		precision = SIZE_MAX;
		if (*f == '.')
			for (f++, precision = 0; *f >= '0' && *f <= '9'; f++)
				precision = precision * 10 +
				    (size_t)(*f - '0');
		wide = *f == 'l' || *f == 'j' || *f == 'z';
		f += wide;
		switch (*f) {
		case 's':
			s = va_arg(ap, const char *);
			for (n = 0; n < precision && s[n] != '\0';)
				n++;
			put_padded(pl, s, n, width, left, ' ');
			break;
		case 'c':
			c = (char)va_arg(ap, int);
			put_padded(pl, &c, 1, width, left, ' ');
			break;
		case 'd':
			value = wide ? va_arg(ap, uint64_t) :
			    (uint64_t)(int64_t)va_arg(ap, int);
			put_number(pl, 'd', value, width, left, pad);
			break;
		case 'u':
		case 'x':
			value = wide ? va_arg(ap, uint64_t) :
			    va_arg(ap, unsigned);
			put_number(pl, *f, value, width, left, pad);
			break;
		case 'p':
			value = (uintptr_t)va_arg(ap, void *);
			put_number(pl, 'p', value, width, left, pad);
			break;
		default:
			put(pl, f, 1);
			break;
		}
	}
	return (pl->used);
}

void
print(const char *f, ...)
{
	struct place pl = { NULL, 0, 0 };
	va_list ap;

	va_start(ap, f);
	put_format(&pl, f, ap);
	va_end(ap);
}

int
vformat(char *to, size_t size, const char *f, va_list ap)
{
	struct place pl = { to, size, 0 };

	put_format(&pl, f, ap);
	to[MIN(pl.used, size - 1)] = '\0';
	return ((int)pl.used);
}

int
format(char *to, size_t size, const char *f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vformat(to, size, f, ap);
	va_end(ap);
	return (n);
}

static const struct {
	int		 error;
	const char	*name;
} errors[] = {
	{ EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { ESRCH, "ESRCH" },
	{ EINTR, "EINTR" }, { EIO, "EIO" }, { ENXIO, "ENXIO" },
	{ E2BIG, "E2BIG" }, { ENOEXEC, "ENOEXEC" }, { EBADF, "EBADF" },
	{ ENOMEM, "ENOMEM" }, { EACCES, "EACCES" }, { EFAULT, "EFAULT" },
	{ EBUSY, "EBUSY" }, { EEXIST, "EEXIST" }, { ENODEV, "ENODEV" },
	{ ENOTDIR, "ENOTDIR" }, { EISDIR, "EISDIR" }, { EINVAL, "EINVAL" },
	{ ENOTTY, "ENOTTY" }, { EFBIG, "EFBIG" }, { ENOSPC, "ENOSPC" },
	{ EROFS, "EROFS" }, { EAGAIN, "EAGAIN" },
	{ EOPNOTSUPP, "EOPNOTSUPP" }, { ETIMEDOUT, "ETIMEDOUT" },
	{ ENOTEMPTY, "ENOTEMPTY" }, { ENOSYS, "ENOSYS" },
};

const char *
error_name(int error)
{
	static char other[16];
	size_t i;

	for (i = 0; i < nitems(errors); i++)
		if (errors[i].error == error)
			return (errors[i].name);
	format(other, sizeof(other), "error %d", error);
	return (other);
}

int
complain(long error, const char *f, ...)
{
	struct place pl = { NULL, 0, 0 };
	va_list ap;

	if (error < 0)
		error = -error;
	va_start(ap, f);
	put_format(&pl, f, ap);
	va_end(ap);
	print(": %s\n", error_name((int)error));
	return ((int)error);
}

/* --- Arguments --- */

bool
number(const char *s, uint64_t *value)
{
	unsigned base = 10, digit;
	uint64_t v = 0;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (*s == '\0')
		return (false);
	for (; *s != '\0'; s++) {
		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && *s >= 'a' && *s <= 'f')
			digit = (unsigned)(*s - 'a' + 10);
		else
			break;
		v = v * base + digit;
	}
	if (*s == 'k' || *s == 'm' || *s == 'g') {
		v <<= *s == 'k' ? 10 : *s == 'm' ? 20 : 30;
		s++;
	}
	*value = v;
	return (*s == '\0');
}

uint64_t
argument(int argc, char **argv, int i, uint64_t otherwise)
{
	uint64_t v;

	return (i < argc && number(argv[i], &v) ? v : otherwise);
}

/* --- Time --- */

uint64_t
uptime_ns(void)
{
	struct timespec ts = { 0, 0 };

	(void)sys(SYS_clock_gettime, CLOCK_UPTIME, P(&ts), 0, 0, 0, 0);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

void
sleep_ms(uint64_t ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000) *
	    1000000 };

	(void)sys(SYS_nanosleep, P(&ts), 0, 0, 0, 0, 0);
}

/* --- Patterns and whole files --- */

static uint64_t
pattern_word(uint64_t seed, uint64_t at)
{
	uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15 ^ seed << 32 ^ seed;

	return ((x ^ x >> 29) * 0xbf58476d1ce4e5b9);
}

void
pattern_fill(void *buf, size_t size, uint64_t seed, uint64_t offset)
{
	uint64_t *p = buf;
	size_t i;

	for (i = 0; i < size / 8; i++)
		p[i] = pattern_word(seed, offset + i * 8);
}

ssize_t
pattern_check(const void *buf, size_t size, uint64_t seed, uint64_t offset)
{
	const uint64_t *p = buf;
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (p[i] != pattern_word(seed, offset + i * 8))
			return ((ssize_t)(i * 8));
	return (-1);
}

int
read_all(int fd, void *buf, size_t size, off_t at)
{
	size_t done;
	long n;

	for (done = 0; done < size; done += (size_t)n) {
		n = sys_pread(fd, (char *)buf + done, size - done,
		    at + (off_t)done);
		if (n < 0)
			return ((int)-n);
		if (n == 0)
			return (EIO);
	}
	return (0);
}

int
write_all(int fd, const void *buf, size_t size, off_t at)
{
	size_t done;
	long n;

	for (done = 0; done < size; done += (size_t)n) {
		n = sys_pwrite(fd, (const char *)buf + done, size - done,
		    at + (off_t)done);
		if (n < 0)
			return ((int)-n);
		if (n == 0)
			return (EIO);
	}
	return (0);
}
