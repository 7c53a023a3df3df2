/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * printf(9) and its relatives.  Output goes to the console by whole lines; a
 * line that is not ended yet waits in its thread's buffer, so that lines of
 * several threads do not mix.
 */

#include <kern/kpi_internal.h>

#include <sys/malloc.h>
#include <sys/stdarg.h>
#include <sys/syslog.h>

#define	NUMBUF		72		/* 64 binary digits and a sign */

struct spec {
	int	 width, dwidth;		/* dwidth: precision, -1: none */
	int	 lflag, hflag;		/* counts of l (also q, j, z, t), h */
	bool	 ladjust, sharp, neg, sign, dot;
	char	 padc;
	int	 base;
	bool	 upper;
};

struct sink {
	void	(*s_putc)(int c, void *arg);
	void	*s_arg;
	int	 s_len;
};

static void
out(struct sink *s, int c)
{
	s->s_putc(c, s->s_arg);
	s->s_len++;
}

static void
out_str(struct sink *s, const char *str)
{
	while (*str != '\0')
		out(s, *str++);
}

static void
out_pad(struct sink *s, int c, int n)
{
	while (n-- > 0)
		out(s, c);
}

static int
digits(char *buf, uintmax_t num, int base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" :
	    "0123456789abcdefghijklmnopqrstuvwxyz";
	int n = 0;

	do {
		buf[n++] = set[num % base];
		num /= base;
	} while (num != 0);
	return (n);
}

static void
out_number(struct sink *s, const struct spec *sp, uintmax_t num)
{
	char buf[NUMBUF];
	const char *prefix = "";
	int fill, n, zeros;

	n = digits(buf, num, sp->base, sp->upper);
	if (sp->sharp && num != 0)
		prefix = sp->base == 8 ? "0" : sp->base != 16 ? "" :
		    sp->upper ? "0X" : "0x";
	if (sp->dwidth == 0 && num == 0)
		n = 0;
	zeros = sp->dwidth > n ? sp->dwidth - n : 0;
	fill = sp->width - n - zeros - (int)strlen(prefix) -
	    (sp->neg || sp->sign ? 1 : 0);
	if (!sp->ladjust && sp->padc == '0' && sp->dwidth < 0) {
		zeros += MAX(fill, 0);
		fill = 0;
	}
	if (!sp->ladjust)
		out_pad(s, ' ', fill);
	if (sp->neg || sp->sign)
		out(s, sp->neg ? '-' : '+');
	out_str(s, prefix);
	out_pad(s, '0', zeros);
	while (n > 0)
		out(s, buf[--n]);
	if (sp->ladjust)
		out_pad(s, ' ', fill);
}

/* %b: a number and the names of its bits; "\10\2BITTWO\1BITONE". */
static void
out_bits(struct sink *s, u_int num, const char *names)
{
	char buf[NUMBUF];
	bool any = false;
	int bit, n;

	n = digits(buf, num, *names++, false);
	while (n > 0)
		out(s, buf[--n]);
	if (num == 0)
		return;
	while ((bit = (u_char)*names++) != 0) {
		if (num & (1U << (bit - 1))) {
			out(s, any ? ',' : '<');
			for (; *names > ' '; names++)
				out(s, *names);
			any = true;
		} else
			while (*names > ' ')
				names++;
	}
	if (any)
		out(s, '>');
}

/* %D: bytes in hexadecimal with a separator. */
static void
out_dump(struct sink *s, const u_char *p, const char *sep, int n)
{
	static const char hex[] = "0123456789abcdef";

	while (n-- > 0) {
		out(s, hex[*p >> 4]);
		out(s, hex[*p++ & 15]);
		if (n > 0)
			out_str(s, sep);
	}
}

static void
out_string(struct sink *s, const struct spec *sp, const char *str)
{
	int n;

	if (str == NULL)
		str = "(null)";
	n = sp->dwidth >= 0 ? (int)strnlen(str, sp->dwidth) : (int)strlen(str);
	if (!sp->ladjust)
		out_pad(s, ' ', sp->width - n);
	for (int i = 0; i < n; i++)
		out(s, str[i]);
	if (sp->ladjust)
		out_pad(s, ' ', sp->width - n);
}

static const char *
parse_flags(const char *fmt, struct spec *sp, va_list *ap)
{
	int *target;

	memset(sp, 0, sizeof(*sp));
	sp->dwidth = -1;
	sp->padc = ' ';
	for (;; fmt++) {
		target = sp->dot ? &sp->dwidth : &sp->width;
		switch (*fmt) {
		case '.':
			sp->dot = true;
			sp->dwidth = 0;
			break;
		case '#':
			sp->sharp = true;
			break;
		case '+':
			sp->sign = true;
			break;
		case '-':
			sp->ladjust = true;
			break;
		case '*':
			*target = va_arg(*ap, int);
			if (!sp->dot && *target < 0) {
				sp->ladjust = true;
				*target = -*target;
			}
			break;
		case '0':
			if (!sp->dot && sp->width == 0) {
				sp->padc = '0';
				break;
			}
			/* FALLTHROUGH */
		case '1': case '2': case '3': case '4': case '5':
		case '6': case '7': case '8': case '9':
			*target = *target * 10 + *fmt - '0';
			break;
		case 'h':
			sp->hflag++;
			break;
		case 'l':
		case 'q': case 'j': case 'z': case 't':
			sp->lflag++;
			break;
		default:
			return (fmt);
		}
	}
}

static uintmax_t
arg_unsigned(const struct spec *sp, va_list *ap)
{
	u_int v;

	if (sp->lflag)
		return (va_arg(*ap, u_long));
	v = va_arg(*ap, u_int);
	return (sp->hflag == 0 ? v : sp->hflag == 1 ? (u_short)v : (u_char)v);
}

static intmax_t
arg_signed(const struct spec *sp, va_list *ap)
{
	int v;

	if (sp->lflag)
		return (va_arg(*ap, long));
	v = va_arg(*ap, int);
	return (sp->hflag == 0 ? v : sp->hflag == 1 ? (short)v :
	    (signed char)v);
}

static void
conv_number(struct sink *s, struct spec *sp, int conv, va_list *ap)
{
	intmax_t v;

	switch (conv) {
	case 'd':
	case 'i':
		v = arg_signed(sp, ap);
		sp->neg = v < 0;
		sp->base = 10;
		out_number(s, sp, sp->neg ? -(uintmax_t)v : (uintmax_t)v);
		return;
	case 'p':
		sp->sharp = sp->width == 0 || sp->sharp;
		sp->base = 16;
		sp->lflag = 1;
		break;
	case 'y':			/* signed hexadecimal */
		v = arg_signed(sp, ap);
		sp->neg = v < 0;
		sp->base = 16;
		out_number(s, sp, sp->neg ? -(uintmax_t)v : (uintmax_t)v);
		return;
	case 'X':
		sp->upper = true;
		sp->base = 16;
		break;
	case 'x':
		sp->base = 16;
		break;
	case 'o':
		sp->base = 8;
		break;
	default:
		sp->base = 10;
		break;
	}
	sp->sign = false;
	out_number(s, sp, arg_unsigned(sp, ap));
}

static void
conversion(struct sink *s, struct spec *sp, int conv, int radix, va_list *ap)
{
	const u_char *bytes;
	const char *str;
	u_int num;

	switch (conv) {
	case 'c':
		out_pad(s, ' ', sp->ladjust ? 0 : sp->width - 1);
		out(s, va_arg(*ap, int));
		out_pad(s, ' ', sp->ladjust ? sp->width - 1 : 0);
		break;
	case 's':
		out_string(s, sp, va_arg(*ap, const char *));
		break;
	case 'b':
		num = (u_int)va_arg(*ap, int);
		out_bits(s, num, va_arg(*ap, const char *));
		break;
	case 'D':
		bytes = va_arg(*ap, const u_char *);
		str = va_arg(*ap, const char *);
		out_dump(s, bytes, str, sp->width == 0 ? 16 : sp->width);
		break;
	case 'r':
		sp->base = radix;
		out_number(s, sp, arg_unsigned(sp, ap));
		break;
	case 'd': case 'i': case 'p': case 'y': case 'X': case 'x': case 'o':
	case 'u':
		conv_number(s, sp, conv, ap);
		break;
	default:
		out(s, '%');
		if (conv != '%')
			out(s, conv);
		break;
	}
}

static void
put_buffer(int c, void *arg)
{
	char **p = arg;

	*(*p)++ = c;
}

int
kvprintf(char const *fmt, void (*func)(int, void *), void *arg, int radix,
    va_list ap0)
{
	struct sink s = { func, arg, 0 };
	struct spec sp;
	char *p = arg;
	va_list ap;

	/* Without a function arg is a buffer. */
	if (func == NULL) {
		s.s_putc = put_buffer;
		s.s_arg = &p;
	}
	va_copy(ap, ap0);
	while (*fmt != '\0') {
		if (*fmt != '%') {
			out(&s, *fmt++);
			continue;
		}
		fmt = parse_flags(fmt + 1, &sp, &ap);
		if (*fmt == '\0')
			break;
		conversion(&s, &sp, *fmt++, radix, &ap);
	}
	va_end(ap);
	return (s.s_len);
}

/* --- To memory --- */

struct bounded {
	char	*b_p;
	size_t	 b_left;
};

static void
put_bounded(int c, void *arg)
{
	struct bounded *b = arg;

	if (b->b_left >= 2) {
		*b->b_p++ = c;
		b->b_left--;
	}
}

int
vsnprintf(char *str, size_t size, const char *fmt, va_list ap)
{
	struct bounded b = { str, size };
	int n;

	n = kvprintf(fmt, put_bounded, &b, 10, ap);
	if (size > 0)
		*b.b_p = '\0';
	return (n);
}

int
snprintf(char *str, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(str, size, fmt, ap);
	va_end(ap);
	return (n);
}

int
vsprintf(char *str, const char *fmt, va_list ap)
{
	int n;

	n = kvprintf(fmt, NULL, str, 10, ap);
	str[n] = '\0';
	return (n);
}

int
sprintf(char *str, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsprintf(str, fmt, ap);
	va_end(ap);
	return (n);
}

int
vasprintf(char **ret, struct malloc_type *type, const char *fmt, va_list ap)
{
	va_list ap2;
	int n;

	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	*ret = malloc(n + 1, type, M_NOWAIT);
	if (*ret == NULL)
		return (-1);
	return (vsnprintf(*ret, n + 1, fmt, ap));
}

int
asprintf(char **ret, struct malloc_type *type, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(ret, type, fmt, ap);
	va_end(ap);
	return (n);
}

/* --- To the console --- */

static void
console_line(const char *line)
{
	static struct kpi_lock console_lock;

	if (kpi_conf.console != NULL) {
		kpi_lock(&console_lock);
		kpi_conf.console(kpi_conf.console_arg, line);
		kpi_unlock(&console_lock);
	} else if (!kpi_conf.quiet)
		hosted_console(line);
}

/* Whoever has no thread of the kernel shares one buffer. */
static struct kpi_line shared_line;

static void
put_console(int c, void *arg)
{
	struct kpi_line *l = arg;

	if (c != '\n')
		l->kl_buf[l->kl_len++] = c;
	if (c == '\n' || l->kl_len == sizeof(l->kl_buf) - 1) {
		l->kl_buf[l->kl_len] = '\0';
		l->kl_len = 0;
		console_line(l->kl_buf);
	}
}

int
vprintf(const char *fmt, va_list ap)
{
	struct kpi_thread *kt = hosted_self();

	return (kvprintf(fmt, put_console,
	    kt != NULL ? &kt->kt_line : &shared_line, 10, ap));
}

int
printf(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vprintf(fmt, ap);
	va_end(ap);
	return (n);
}

int
uprintf(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vprintf(fmt, ap);
	va_end(ap);
	return (n);
}

void
vlog(int level, const char *fmt, va_list ap)
{
	(void)vprintf(fmt, ap);
}

void
log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(level, fmt, ap);
	va_end(ap);
}
