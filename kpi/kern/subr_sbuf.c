/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * sbuf(9): strings that are put together piece by piece, in a fixed buffer, a
 * growing one, or one that is drained as it fills.  One byte of the buffer is
 * kept for the terminator throughout.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/ctype.h>
#include <sys/errno.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>

#include <machine/stdarg.h>

static MALLOC_DEFINE(M_SBUF, "sbuf", "string buffers");

#define	SBUF_MINSIZE	16
#define	SBUF_STEP	4096

#define	SBUF_MALLOC(s, n)						\
	malloc(n, M_SBUF,						\
	    ((s)->s_flags & SBUF_NOWAIT) != 0 ? M_NOWAIT : M_WAITOK)

#define	SBUF_ASSERT_FINISHED(s, f)					\
	KASSERT(((s)->s_flags & SBUF_FINISHED) == (f),			\
	    ("%s: the sbuf is %sfinished", __func__, (f) ? "not " : ""))

/* What fits before the terminator. */
static ssize_t
sbuf_room(const struct sbuf *s)
{

	return (s->s_size - s->s_len - 1);
}

static ssize_t
sbuf_round(ssize_t size)
{
	ssize_t n;

	if (size > SBUF_STEP)
		return (roundup2(size, SBUF_STEP));
	for (n = SBUF_MINSIZE; n < size; n *= 2)
		continue;
	return (n);
}

struct sbuf *
sbuf_new(struct sbuf *s, char *buf, int length, int flags)
{

	KASSERT(length >= 0, ("sbuf_new: negative length"));
	KASSERT((flags & ~SBUF_USRFLAGMSK) == 0, ("sbuf_new: bad flags"));
	KASSERT((flags & SBUF_AUTOEXTEND) != 0 || length > 1,
	    ("sbuf_new: a fixed buffer of %d bytes holds nothing", length));
	if (s == NULL) {
		s = malloc(sizeof(*s), M_SBUF, M_ZERO |
		    ((flags & SBUF_NOWAIT) != 0 ? M_NOWAIT : M_WAITOK));
		if (s == NULL)
			return (NULL);
		s->s_flags = flags | SBUF_DYNSTRUCT;
	} else {
		memset(s, 0, sizeof(*s));
		s->s_flags = flags;
	}
	s->s_buf = buf;
	s->s_size = length;
	if (buf == NULL) {
		if ((flags & SBUF_AUTOEXTEND) != 0)
			s->s_size = sbuf_round(length);
		s->s_buf = SBUF_MALLOC(s, s->s_size);
		if (s->s_buf == NULL) {
			if ((s->s_flags & SBUF_DYNSTRUCT) != 0)
				free(s, M_SBUF);
			return (NULL);
		}
		s->s_flags |= SBUF_DYNAMIC;
	}
	s->s_sect_len = 0;
	s->s_buf[0] = '\0';
	return (s);
}

void
sbuf_delete(struct sbuf *s)
{
	bool isdyn;

	if ((s->s_flags & SBUF_DYNAMIC) != 0)
		free(s->s_buf, M_SBUF);
	isdyn = (s->s_flags & SBUF_DYNSTRUCT) != 0;
	memset(s, 0, sizeof(*s));
	if (isdyn)
		free(s, M_SBUF);
}

int
sbuf_get_flags(struct sbuf *s)
{

	return (s->s_flags & SBUF_USRFLAGMSK);
}

void
sbuf_set_flags(struct sbuf *s, int flags)
{

	s->s_flags |= flags & SBUF_USRFLAGMSK;
}

void
sbuf_clear_flags(struct sbuf *s, int flags)
{

	s->s_flags &= ~(flags & SBUF_USRFLAGMSK);
}

void
sbuf_clear(struct sbuf *s)
{

	s->s_flags &= ~SBUF_FINISHED;
	s->s_error = 0;
	s->s_len = 0;
	s->s_rec_off = 0;
	s->s_sect_len = 0;
}

int
sbuf_setpos(struct sbuf *s, ssize_t pos)
{

	SBUF_ASSERT_FINISHED(s, 0);
	KASSERT((s->s_flags & SBUF_INSECTION) == 0,
	    ("sbuf_setpos: inside a section"));
	if (pos < 0 || pos > s->s_len)
		return (-1);
	s->s_len = pos;
	return (0);
}

void
sbuf_set_drain(struct sbuf *s, sbuf_drain_func *func, void *arg)
{

	SBUF_ASSERT_FINISHED(s, 0);
	KASSERT(func == s->s_drain_func || s->s_len == 0,
	    ("sbuf_set_drain: the sbuf is not empty"));
	s->s_drain_func = func;
	s->s_drain_arg = arg;
}

/* One call of the drain; it may take less than there is, but something. */
int
sbuf_drain(struct sbuf *s)
{
	ssize_t len;
	int taken;

	if (s->s_error != 0)
		return (s->s_error);
	len = s->s_len;
	if ((s->s_flags & SBUF_DRAINTOEOR) != 0) {
		/* A record leaves in one piece. */
		if ((s->s_flags & SBUF_INSECTION) != 0 && s->s_rec_off == 0)
			return (s->s_error = EDEADLK);
		if ((s->s_flags & SBUF_INSECTION) != 0)
			len = s->s_rec_off;
	}
	if (len == 0)
		return (0);
	taken = s->s_drain_func(s->s_drain_arg, s->s_buf, len);
	if (taken <= 0)
		return (s->s_error = taken == 0 ? EDEADLK : -taken);
	KASSERT(taken <= len, ("the drain took %d bytes of %zd", taken, len));
	s->s_flags &= ~SBUF_DRAINATEOL;
	if (s->s_buf[taken - 1] == '\n')
		s->s_flags |= SBUF_DRAINATEOL;
	s->s_len -= taken;
	s->s_rec_off -= MIN(s->s_rec_off, taken);
	memmove(s->s_buf, s->s_buf + taken, s->s_len);
	return (0);
}

/* Makes room for need bytes or, with a drain, for at least one. */
static int
sbuf_make_room(struct sbuf *s, ssize_t need)
{
	ssize_t size;
	char *buf;

	if (s->s_error != 0)
		return (s->s_error);
	if (sbuf_room(s) >= need)
		return (0);
	if (s->s_drain_func != NULL) {
		while (sbuf_room(s) < MIN(need, s->s_size - 1))
			if (sbuf_drain(s) != 0)
				return (s->s_error);
		return (0);
	}
	if ((s->s_flags & SBUF_AUTOEXTEND) == 0)
		return (s->s_error = ENOMEM);
	size = sbuf_round(s->s_len + need + 1);
	buf = SBUF_MALLOC(s, size);
	if (buf == NULL)
		return (s->s_error = ENOMEM);
	memcpy(buf, s->s_buf, s->s_len);
	if ((s->s_flags & SBUF_DYNAMIC) != 0)
		free(s->s_buf, M_SBUF);
	s->s_flags |= SBUF_DYNAMIC;
	s->s_buf = buf;
	s->s_size = size;
	return (0);
}

int
sbuf_bcat(struct sbuf *s, const void *buf, size_t len)
{
	const char *p;
	ssize_t n;

	SBUF_ASSERT_FINISHED(s, 0);
	for (p = buf; len > 0; p += n, len -= n) {
		/* A fixed buffer keeps what fits, and remembers the error. */
		(void)sbuf_make_room(s, len);
		n = MIN((ssize_t)len, sbuf_room(s));
		if (n <= 0)
			return (-1);
		memcpy(s->s_buf + s->s_len, p, n);
		s->s_len += n;
		if ((s->s_flags & SBUF_INSECTION) != 0)
			s->s_sect_len += n;
		if (s->s_error != 0)
			return (-1);
	}
	return (s->s_error != 0 ? -1 : 0);
}

int
sbuf_bcpy(struct sbuf *s, const void *buf, size_t len)
{

	sbuf_clear(s);
	return (sbuf_bcat(s, buf, len));
}

int
sbuf_cat(struct sbuf *s, const char *str)
{

	return (sbuf_bcat(s, str, strlen(str)));
}

int
sbuf_cpy(struct sbuf *s, const char *str)
{

	sbuf_clear(s);
	return (sbuf_cat(s, str));
}

int
sbuf_putc(struct sbuf *s, int c)
{
	char ch;

	ch = c;
	return (sbuf_bcat(s, &ch, 1));
}

int
sbuf_vprintf(struct sbuf *s, const char *fmt, va_list ap)
{
	va_list copy;
	char small[128], *text;
	int error, len;

	SBUF_ASSERT_FINISHED(s, 0);
	if (s->s_error != 0)
		return (-1);
	va_copy(copy, ap);
	len = vsnprintf(small, sizeof(small), fmt, copy);
	va_end(copy);
	if (len < (int)sizeof(small))
		return (sbuf_bcat(s, small, len));
	text = SBUF_MALLOC(s, len + 1);
	if (text == NULL) {
		s->s_error = ENOMEM;
		return (-1);
	}
	va_copy(copy, ap);
	vsnprintf(text, len + 1, fmt, copy);
	va_end(copy);
	error = sbuf_bcat(s, text, len);
	free(text, M_SBUF);
	return (error);
}

int
sbuf_printf(struct sbuf *s, const char *fmt, ...)
{
	va_list ap;
	int error;

	va_start(ap, fmt);
	error = sbuf_vprintf(s, fmt, ap);
	va_end(ap);
	return (error);
}

int
sbuf_nl_terminate(struct sbuf *s)
{

	if (s->s_error != 0)
		return (-1);
	if (s->s_len == 0 ? (s->s_flags & SBUF_DRAINATEOL) == 0 &&
	    s->s_drain_func != NULL : s->s_buf[s->s_len - 1] != '\n')
		return (sbuf_putc(s, '\n'));
	return (0);
}

int
sbuf_trim(struct sbuf *s)
{

	SBUF_ASSERT_FINISHED(s, 0);
	KASSERT(s->s_drain_func == NULL, ("sbuf_trim: the sbuf has a drain"));
	if (s->s_error != 0)
		return (-1);
	while (s->s_len > 0 && isspace((u_char)s->s_buf[s->s_len - 1])) {
		s->s_len--;
		if ((s->s_flags & SBUF_INSECTION) != 0)
			s->s_sect_len--;
	}
	return (0);
}

int
sbuf_error(const struct sbuf *s)
{

	return (s->s_error);
}

int
sbuf_finish(struct sbuf *s)
{

	SBUF_ASSERT_FINISHED(s, 0);
	s->s_buf[s->s_len] = '\0';
	if ((s->s_flags & SBUF_INCLUDENUL) != 0)
		s->s_len++;
	if (s->s_drain_func != NULL)
		while (s->s_len > 0 && s->s_error == 0)
			(void)sbuf_drain(s);
	s->s_flags |= SBUF_FINISHED;
	return (s->s_error);
}

char *
sbuf_data(struct sbuf *s)
{

	SBUF_ASSERT_FINISHED(s, SBUF_FINISHED);
	KASSERT(s->s_drain_func == NULL, ("sbuf_data: the sbuf has a drain"));
	return (s->s_buf);
}

ssize_t
sbuf_len(struct sbuf *s)
{

	KASSERT(s->s_drain_func == NULL, ("sbuf_len: the sbuf has a drain"));
	if (s->s_error != 0)
		return (-1);
	/* The terminator is in s_len of a finished sbuf that includes it. */
	if ((s->s_flags & (SBUF_INCLUDENUL | SBUF_FINISHED)) ==
	    SBUF_INCLUDENUL)
		return (s->s_len + 1);
	return (s->s_len);
}

int
sbuf_done(const struct sbuf *s)
{

	return ((s->s_flags & SBUF_FINISHED) != 0);
}

void
sbuf_start_section(struct sbuf *s, ssize_t *old_lenp)
{

	SBUF_ASSERT_FINISHED(s, 0);
	if ((s->s_flags & SBUF_INSECTION) == 0) {
		KASSERT(s->s_sect_len == 0, ("sbuf: a section was left open"));
		if (old_lenp != NULL)
			*old_lenp = -1;
		s->s_rec_off = s->s_len;
		s->s_flags |= SBUF_INSECTION;
	} else {
		KASSERT(old_lenp != NULL,
		    ("sbuf_start_section: nested, so a length is needed"));
		*old_lenp = s->s_sect_len;
		s->s_sect_len = 0;
	}
}

ssize_t
sbuf_end_section(struct sbuf *s, ssize_t old_len, size_t pad, int c)
{
	ssize_t len;

	SBUF_ASSERT_FINISHED(s, 0);
	KASSERT((s->s_flags & SBUF_INSECTION) != 0,
	    ("sbuf_end_section: outside of a section"));
	if (pad > 1)
		for (len = roundup(s->s_sect_len, pad) - s->s_sect_len;
		    s->s_error == 0 && len > 0; len--)
			(void)sbuf_putc(s, c);
	len = s->s_sect_len;
	if (old_len == -1) {
		s->s_rec_off = 0;
		s->s_sect_len = 0;
		s->s_flags &= ~SBUF_INSECTION;
	} else
		s->s_sect_len += old_len;
	return (s->s_error != 0 ? -1 : len);
}

void
sbuf_hexdump(struct sbuf *s, const void *ptr, int length, const char *hdr,
    int flags)
{
	const u_char *p;
	int cols, delim, i, j;

	delim = (flags & HD_DELIM_MASK) != 0 ? (flags & HD_DELIM_MASK) >> 8 :
	    ' ';
	cols = (flags & HD_COLUMN_MASK) != 0 ? flags & HD_COLUMN_MASK : 16;
	p = ptr;
	for (i = 0; i < length; i += cols) {
		if (hdr != NULL)
			sbuf_cat(s, hdr);
		if ((flags & HD_OMIT_COUNT) == 0)
			sbuf_printf(s, "%04x  ", i);
		for (j = i; (flags & HD_OMIT_HEX) == 0 && j < i + cols; j++) {
			if (j < length)
				sbuf_printf(s, "%c%02x", delim, p[j]);
			else
				sbuf_cat(s, "   ");
		}
		if ((flags & HD_OMIT_CHARS) == 0) {
			sbuf_cat(s, "  |");
			for (j = i; j < i + cols; j++)
				sbuf_putc(s, j >= length ? ' ' :
				    p[j] >= ' ' && p[j] <= '~' ? p[j] : '.');
			sbuf_putc(s, '|');
		}
		sbuf_putc(s, '\n');
	}
}

int
sbuf_count_drain(void *arg, const char *data __unused, int len)
{

	*(size_t *)arg += len;
	return (len);
}

int
sbuf_printf_drain(void *arg, const char *data, int len)
{

	if (arg != NULL)
		*(size_t *)arg += len;
	printf("%.*s", len, data);
	return (len);
}

void
sbuf_putbuf(struct sbuf *s)
{

	printf("%s", sbuf_data(s));
}
