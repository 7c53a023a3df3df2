/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `sysctl': variables of the kernel.
 *
 *	sysctl get NAME		the value alone
 *	sysctl set NAME VALUE
 *	sysctl tree NAME	`name: value' of all below
 *	sysctl count NAME	how many are below
 *
 * The names of nodes 0.1 to 0.6 are sysctl(3)'s own interface: name, next,
 * number of a name, format, description and (0.5) description of an oid.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/sysctl.h>

#include "commands.h"
#include "lib.h"

#define	VALUE_MAX	(256 << 10)

/* An oid is at most CTL_MAXNAME numbers; a query about one has two more. */
struct oid {
	int		 mib[CTL_MAXNAME];
	size_t		 len;
};

static int
oid_find(const char *name, struct oid *oid)
{
	int query[2] = { CTL_SYSCTL, CTL_SYSCTL_NAME2OID };
	size_t size = sizeof(oid->mib);
	int error;

	error = -sys_sysctl(query, 2, oid->mib, &size, name, strlen(name));
	oid->len = size / sizeof(int);
	return (error);
}

static int
oid_query(int what, const struct oid *oid, void *to, size_t *size)
{
	int query[CTL_MAXNAME + 2];

	query[0] = CTL_SYSCTL;
	query[1] = what;
	memcpy(query + 2, oid->mib, oid->len * sizeof(int));
	return (-sys_sysctl(query, oid->len + 2, to, size, NULL, 0));
}

int
sysctl_get(const char *name, void *to, size_t *size)
{
	struct oid oid;
	int error;

	error = oid_find(name, &oid);
	if (error != 0)
		return (error);
	return (-sys_sysctl(oid.mib, oid.len, to, size, NULL, 0));
}

int
sysctl_set(const char *name, const void *from, size_t size)
{
	struct oid oid;
	int error;

	error = oid_find(name, &oid);
	if (error != 0)
		return (error);
	return (-sys_sysctl(oid.mib, oid.len, NULL, NULL, from, size));
}

/* Kind (CTLTYPE_ and flags) and format ("I", "LU", "A", "S,timeval"). */
static int
oid_kind(const struct oid *oid, unsigned *kind, char *fmt, size_t fmtsize)
{
	char data[256];
	size_t size = sizeof(data) - 1;
	int error;

	error = oid_query(CTL_SYSCTL_OIDFMT, oid, data, &size);
	if (error != 0)
		return (error);
	data[size] = '\0';
	memcpy(kind, data, sizeof(*kind));
	(void)copy_string(fmt, data + sizeof(*kind), fmtsize);
	return (0);
}

/* Bytes of an element of a numeric type; 0: it has none. */
static size_t
kind_size(unsigned kind)
{

	switch (kind & CTLTYPE) {
	case CTLTYPE_S8:
	case CTLTYPE_U8:
		return (1);
	case CTLTYPE_S16:
	case CTLTYPE_U16:
		return (2);
	case CTLTYPE_INT:
	case CTLTYPE_UINT:
	case CTLTYPE_S32:
	case CTLTYPE_U32:
		return (4);
	case CTLTYPE_LONG:
	case CTLTYPE_ULONG:
	case CTLTYPE_S64:
	case CTLTYPE_U64:
		return (8);
	default:
		return (0);
	}
}

static bool
kind_signed(unsigned kind)
{

	switch (kind & CTLTYPE) {
	case CTLTYPE_S8:
	case CTLTYPE_S16:
	case CTLTYPE_INT:
	case CTLTYPE_S32:
	case CTLTYPE_LONG:
	case CTLTYPE_S64:
		return (true);
	default:
		return (false);
	}
}

static void
print_number(unsigned kind, const char *fmt, const uint8_t *p)
{
	size_t size = kind_size(kind);
	uint64_t v = 0;

	memcpy(&v, p, size);
	if (kind_signed(kind)) {
		v = (uint64_t)((int64_t)(v << (64 - 8 * size)) >>
		    (64 - 8 * size));
		print("%jd", (intmax_t)v);
	} else if (fmt[0] == 'X' || strstr(fmt, "X") != NULL)
		print("0x%jx", (uintmax_t)v);
	else
		print("%ju", (uintmax_t)v);
}

static int
print_value(const struct oid *oid)
{
	char fmt[64];
	uint8_t *value;
	size_t size = VALUE_MAX, each, i;
	unsigned kind;
	int error;

	error = oid_kind(oid, &kind, fmt, sizeof(fmt));
	if (error != 0)
		return (error);
	value = mem_get(VALUE_MAX);
	error = -sys_sysctl(oid->mib, oid->len, value, &size, NULL, 0);
	each = kind_size(kind);
	if (error != 0) {
		mem_put(value, VALUE_MAX);
		return (error);
	}
	if ((kind & CTLTYPE) == CTLTYPE_STRING) {
		while (size > 0 && value[size - 1] == '\0')
			size--;
		out((const char *)value, size);
	} else if (each != 0)
		for (i = 0; i + each <= size; i += each) {
			print("%s", i > 0 ? " " : "");
			print_number(kind, fmt, value + i);
		}
	else {
		print("%s %zu:", fmt, size);
		for (i = 0; i < MIN(size, 64); i++)
			print("%02x", value[i]);
	}
	print("\n");
	mem_put(value, VALUE_MAX);
	return (0);
}

/* The oids below a node, printed or only counted. */
static int
walk(const struct oid *node, bool show, unsigned *count)
{
	struct oid at = *node, next;
	char name[256];
	size_t size;
	int error;

	for (*count = 0;; at = next) {
		size = sizeof(next.mib);
		error = oid_query(CTL_SYSCTL_NEXT, &at, next.mib, &size);
		if (error == ENOENT)
			return (0);
		if (error != 0)
			return (complain(error, "next oid"));
		next.len = size / sizeof(int);
		if (next.len < node->len || memcmp(next.mib, node->mib,
		    node->len * sizeof(int)) != 0)
			return (0);
		++*count;
		if (!show)
			continue;
		size = sizeof(name) - 1;
		if (oid_query(CTL_SYSCTL_NAME, &next, name, &size) != 0)
			continue;
		name[size] = '\0';
		print("%s: ", name);
		error = print_value(&next);
		if (error != 0)
			print("(%s)\n", error_name(error));
	}
}

static int
set_text(const char *name, const struct oid *oid, const char *text)
{
	char fmt[64];
	uint64_t v;
	size_t size;
	unsigned kind;
	bool minus = text[0] == '-';
	int error;

	error = oid_kind(oid, &kind, fmt, sizeof(fmt));
	if (error != 0)
		return (complain(error, "%s", name));
	size = kind_size(kind);
	if (size == 0)
		return (-sys_sysctl(oid->mib, oid->len, NULL, NULL, text,
		    strlen(text)));
	if (!number(text + minus, &v))
		return (complain(EINVAL, "%s", text));
	if (minus)
		v = -v;
	return (-sys_sysctl(oid->mib, oid->len, NULL, NULL, &v, size));
}

int
cmd_sysctl(int argc, char **argv)
{
	struct oid oid;
	unsigned count;
	int error;

	if (argc < 3)
		return (complain(EINVAL, "sysctl VERB NAME"));
	error = oid_find(argv[2], &oid);
	if (error != 0)
		return (complain(error, "%s", argv[2]));
	if (strcmp(argv[1], "get") == 0)
		error = print_value(&oid);
	else if (strcmp(argv[1], "set") == 0 && argc == 4)
		error = set_text(argv[2], &oid, argv[3]);
	else if (strcmp(argv[1], "tree") == 0)
		error = walk(&oid, true, &count);
	else if (strcmp(argv[1], "count") == 0) {
		error = walk(&oid, false, &count);
		print("%u\n", count);
	} else
		error = EINVAL;
	return (error == 0 ? 0 : complain(error, "sysctl %s %s", argv[1],
	    argv[2]));
}
