/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The sysctl tree from outside: values as the text that sysctl(8) shows and
 * takes.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>

#define	SYSCTL_MAXVALUE	(1024 * 1024)
#define	SYSCTL_MAXPATH	256

/* Size and signedness of the numeric types. */
static const struct sysctl_type {
	size_t	size;
	bool	sign;
} sysctl_types[CTLTYPE + 1] = {
	[CTLTYPE_INT] = { sizeof(int), true },
	[CTLTYPE_UINT] = { sizeof(u_int), false },
	[CTLTYPE_LONG] = { sizeof(long), true },
	[CTLTYPE_ULONG] = { sizeof(u_long), false },
	[CTLTYPE_S8] = { 1, true },
	[CTLTYPE_U8] = { 1, false },
	[CTLTYPE_S16] = { 2, true },
	[CTLTYPE_U16] = { 2, false },
	[CTLTYPE_S32] = { 4, true },
	[CTLTYPE_U32] = { 4, false },
	[CTLTYPE_S64] = { 8, true },
	[CTLTYPE_U64] = { 8, false },
};

/* A list of numbers, divided by blanks or commas, becomes an array. */
int
kpi_sysctl_parse(u_int kind, const char *text, void *buf, size_t *len)
{
	const struct sysctl_type *t;
	uint64_t v;
	int64_t sv;
	size_t n;
	char *p;

	if ((kind & CTLTYPE) == CTLTYPE_STRING) {
		n = strlen(text);
		if (n > *len)
			return (ENAMETOOLONG);
		memcpy(buf, text, n);
		*len = n;
		return (0);
	}
	t = &sysctl_types[kind & CTLTYPE];
	if (t->size == 0)
		return (EOPNOTSUPP);
	for (n = 0; n == 0 || *text != '\0'; n += t->size, text = p) {
		if (n + t->size > *len)
			return (EINVAL);
		if (!kpi_parse_number(text, &p, t->sign, &v))
			return (EINVAL);
		sv = v;
		if (t->size < 8 && (t->sign ?
		    sv < -(1LL << (8 * t->size - 1)) ||
		    sv >= 1LL << (8 * t->size - 1) :
		    v >= 1ULL << (8 * t->size)))
			return (ERANGE);
		memcpy((char *)buf + n, &v, t->size);
		if (*p != '\0' && *p != ' ' && *p != ',')
			return (EINVAL);
		while (*p == ' ' || *p == ',')
			p++;
	}
	*len = n;
	return (0);
}

static void
sysctl_print_number(struct sbuf *sb, const struct sysctl_type *t,
    const void *p)
{
	uint64_t v;
	int shift;

	v = 0;
	memcpy(&v, p, t->size);
	shift = 64 - 8 * (int)t->size;
	if (t->sign)
		sbuf_printf(sb, "%jd", (intmax_t)((int64_t)(v << shift) >>
		    shift));
	else
		sbuf_printf(sb, "%ju", (uintmax_t)v);
}

static void
sysctl_print_value(struct sbuf *sb, struct sysctl_oid *oidp, const char *val,
    size_t len)
{
	const struct sysctl_type *t;
	const char *fmt;
	size_t i;

	fmt = oidp->oid_fmt != NULL ? oidp->oid_fmt : "";
	if ((oidp->oid_kind & CTLTYPE) == CTLTYPE_STRING || fmt[0] == 'A') {
		sbuf_printf(sb, "%.*s", (int)len, val);
		return;
	}
	t = &sysctl_types[oidp->oid_kind & CTLTYPE];
	if (t->size == 0) {
		sbuf_printf(sb, "Format:%s Length:%zu Dump:0x", fmt, len);
		for (i = 0; i < len; i++)
			sbuf_printf(sb, "%02x", (u_char)val[i]);
		return;
	}
	for (i = 0; i + t->size <= len; i += t->size) {
		if (i > 0)
			sbuf_putc(sb, ' ');
		sysctl_print_number(sb, t, val + i);
	}
}

/* The value of a held oid; it may grow between asking its size and reading. */
static int
sysctl_read(struct sysctl_oid *oidp, char **valp, size_t *lenp)
{
	char *val;
	size_t len, room;
	int error;

	if ((oidp->oid_kind & CTLFLAG_RD) == 0)
		return (EPERM);
	len = 0;
	error = kpi_sysctl_request(oidp, NULL, &len, NULL, 0);
	if (error != 0)
		return (error);
	for (room = len + 1; room <= SYSCTL_MAXVALUE; room *= 2) {
		val = malloc(room, M_TEMP, M_WAITOK | M_ZERO);
		len = room;
		error = kpi_sysctl_request(oidp, val, &len, NULL, 0);
		if (error == 0) {
			*valp = val;
			*lenp = len;
			return (0);
		}
		free(val, M_TEMP);
		if (error != ENOMEM)
			return (error);
	}
	return (E2BIG);
}

static int
sysctl_get(const char *name, char *buf, size_t size)
{
	struct sysctl_oid *oidp;
	struct sbuf sb;
	char *val;
	size_t len;
	int error;

	if (size > 0)
		buf[0] = '\0';
	if ((oidp = kpi_sysctl_hold(name)) == NULL)
		return (ENOENT);
	error = sysctl_read(oidp, &val, &len);
	if (error == 0) {
		sbuf_new(&sb, NULL, 0, SBUF_AUTOEXTEND);
		sysctl_print_value(&sb, oidp, val, len);
		sbuf_finish(&sb);
		if (strlcpy(buf, sbuf_data(&sb), size) >= size)
			error = ENOMEM;
		sbuf_delete(&sb);
		free(val, M_TEMP);
	}
	kpi_sysctl_drop(oidp);
	return (error);
}

static int
sysctl_set(const char *name, const char *value)
{
	struct sysctl_oid *oidp;
	char *bin;
	size_t len;
	int error;

	if ((oidp = kpi_sysctl_hold(name)) == NULL)
		return (ENOENT);
	if ((oidp->oid_kind & CTLFLAG_WR) == 0) {
		kpi_sysctl_drop(oidp);
		return (EPERM);
	}
	/* No digit of a list makes more than eight bytes. */
	len = 8 * (strlen(value) + 1);
	bin = malloc(len, M_TEMP, M_WAITOK | M_ZERO);
	error = kpi_sysctl_parse(oidp->oid_kind, value, bin, &len);
	if (error == 0)
		error = kpi_sysctl_request(oidp, NULL, NULL, bin, len);
	free(bin, M_TEMP);
	kpi_sysctl_drop(oidp);
	return (error);
}

int
kpi_sysctl_get(const char *name, char *buf, kpi_size len)
{
	struct thread *td;
	int error;

	td = kpi_thread_enter();
	error = sysctl_get(name, buf, len);
	kpi_thread_leave(td);
	return (error);
}

int
kpi_sysctl_set(const char *name, const char *value)
{
	struct thread *td;
	int error;

	td = kpi_thread_enter();
	error = sysctl_set(name, value);
	kpi_thread_leave(td);
	return (error);
}

/* Appends the names of all leaves below list, each with its terminator. */
static void
sysctl_collect(struct sysctl_oid_list *list, char *path, size_t len,
    struct sbuf *sb)
{
	struct sysctl_oid *oidp;
	size_t n;

	RB_FOREACH(oidp, sysctl_oid_list, list) {
		if ((oidp->oid_kind & (CTLFLAG_DORMANT | CTLFLAG_SKIP)) != 0)
			continue;
		n = len + snprintf(path + len, SYSCTL_MAXPATH - len, "%s%s",
		    len > 0 ? "." : "", oidp->oid_name);
		if (n >= SYSCTL_MAXPATH)
			continue;
		if ((oidp->oid_kind & CTLTYPE) == CTLTYPE_NODE)
			sysctl_collect(SYSCTL_CHILDREN(oidp), path, n, sb);
		else
			sbuf_bcat(sb, path, n + 1);
	}
}

void
kpi_sysctl_walk(const char *prefix,
    void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	char path[SYSCTL_MAXPATH], *value;
	struct thread *td;
	struct sbuf sb;
	const char *name, *end;
	size_t plen;

	td = kpi_thread_enter();
	plen = prefix != NULL ? strlen(prefix) : 0;
	sbuf_new(&sb, NULL, 0, SBUF_AUTOEXTEND);
	sysctl_wlock();
	sysctl_collect(&sysctl__children, path, 0, &sb);
	sysctl_wunlock();
	sbuf_finish(&sb);
	value = malloc(SYSCTL_MAXVALUE, M_TEMP, M_WAITOK);
	end = sbuf_data(&sb) + sbuf_len(&sb);
	for (name = sbuf_data(&sb); name < end; name += strlen(name) + 1) {
		if (plen > 0 && (strncmp(name, prefix, plen) != 0 ||
		    (name[plen] != '.' && name[plen] != '\0')))
			continue;
		if (sysctl_get(name, value, SYSCTL_MAXVALUE) == 0)
			fn(arg, name, value);
	}
	free(value, M_TEMP);
	sbuf_delete(&sb);
	kpi_thread_leave(td);
}
