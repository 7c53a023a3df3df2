/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * sysctl(3) on a tree of leaves with values.  Each word of a name has a number,
 * the same wherever it occurs; the kernel's order is that of the numbers.
 */

#include <sys/types.h>
#include <sys/bus.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define	FAKE_WORDS	4096
#define	FAKE_LEAVES	65536
#define	FAKE_DEVICES	1024

struct fake_leaf {
	int	 oid[CTL_MAXNAME];
	size_t	 n;
	char	*name;
	char	*value;
	size_t	 len;
};

static char *words[FAKE_WORDS];
static size_t nwords;
static struct fake_leaf leaves[FAKE_LEAVES];
static size_t nleaves;
static struct u_device devices[FAKE_DEVICES];
static size_t ndevices;
static struct u_businfo info = { BUS_USER_VERSION, 1 };
static unsigned calls;

void (*fake_hook)(unsigned call);

static int
fake_word(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < nwords; i++)
		if (strncmp(words[i], s, len) == 0 && words[i][len] == '\0')
			return ((int)i + 1000);
	if (nwords == FAKE_WORDS)
		fake_die("the tree is full", "");
	words[nwords] = strndup(s, len);
	return ((int)nwords++ + 1000);
}

static size_t
fake_oid(const char *name, int *oid)
{
	size_t len, n;

	for (n = 0; *name != '\0'; n++) {
		if (n == CTL_MAXNAME)
			fake_die("the tree is full", "");
		len = strcspn(name, ".");
		oid[n] = fake_word(name, len);
		name += len + (name[len] == '.' ? 1 : 0);
	}
	return (n);
}

static int
fake_compare(const int *a, size_t na, const int *b, size_t nb)
{
	size_t i;

	for (i = 0; i < na && i < nb; i++)
		if (a[i] != b[i])
			return (a[i] < b[i] ? -1 : 1);
	return (na < nb ? -1 : na > nb);
}

static void
fake_leaf(const char *name, const void *value, size_t len)
{
	struct fake_leaf *l;

	if (nleaves == FAKE_LEAVES)
		fake_die("the tree is full", "");
	l = &leaves[nleaves++];
	l->n = fake_oid(name, l->oid);
	l->name = strdup(name);
	l->value = malloc(len + 1);
	memcpy(l->value, value, len);
	l->len = len;
}

void
fake_string(const char *name, const char *value)
{

	fake_leaf(name, value, strlen(value) + 1);
}

void
fake_int(const char *name, unsigned value)
{

	fake_leaf(name, &value, sizeof(value));
}

void
fake_u64(const char *name, unsigned long long value)
{

	fake_leaf(name, &value, sizeof(value));
}

static void
fake_free(size_t i)
{

	free(leaves[i].name);
	free(leaves[i].value);
	leaves[i] = leaves[--nleaves];
}

void
fake_remove(const char *prefix)
{
	size_t i, len;

	len = strlen(prefix);
	for (i = 0; i < nleaves; )
		if (strncmp(leaves[i].name, prefix, len) == 0 &&
		    (leaves[i].name[len] == '.' || leaves[i].name[len] == '\0'))
			fake_free(i);
		else
			i++;
}

void
fake_generation(void)
{

	info.ub_generation++;
}

void
fake_bus_version(int version)
{

	info.ub_version = version;
}

void
fake_reset(void)
{

	while (nleaves > 0)
		fake_free(0);
	while (nwords > 0)
		free(words[--nwords]);
	ndevices = 0;
	calls = 0;
	fake_hook = NULL;
	fake_bus_version(BUS_USER_VERSION);
	fake_generation();
}

unsigned long
fake_device(unsigned long parent, enum fake_state state, const char *name,
    const char *driver, const char *desc, const char *pnpinfo,
    const char *location)
{
	const char *const field[] = { name, desc, driver, pnpinfo, location };
	struct u_device *ud;
	size_t at, i, len;

	if (ndevices == FAKE_DEVICES)
		fake_die("the tree is full", "");
	ud = &devices[ndevices++];
	memset(ud, 0, sizeof(*ud));
	ud->dv_handle = 0xfffff80000000000ul + ndevices * 0x400;
	ud->dv_parent = parent;
	ud->dv_flags = state == FAKE_DISABLED ? 0 : DF_ENABLED;
	if (state == FAKE_SUSPENDED)
		ud->dv_flags |= DF_SUSPENDED;
	ud->dv_state = state == FAKE_ATTACHED || state == FAKE_SUSPENDED ?
	    DS_ATTACHED : DS_NOTPRESENT;
	for (i = at = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		len = strlen(field[i]) + 1;
		if (at + len > sizeof(ud->dv_fields))
			len = sizeof(ud->dv_fields) - at;
		memcpy(ud->dv_fields + at, field[i], len);
		at += len;
	}
	fake_generation();
	return (ud->dv_handle);
}

/* As the kernel copies out: what fits, and an error if that is not all. */
static int
fake_out(const void *value, size_t len, void *old, size_t *oldlen)
{
	size_t room = *oldlen;

	*oldlen = len;
	if (old == NULL)
		return (0);
	if (len > room) {
		*oldlen = room;
		memcpy(old, value, room);
		errno = ENOMEM;
		return (-1);
	}
	memcpy(old, value, len);
	return (0);
}

static int
fake_error(int error)
{

	errno = error;
	return (-1);
}

static int
fake_next(const int *oid, size_t n, void *old, size_t *oldlen)
{
	const struct fake_leaf *best = NULL, *l;
	size_t i;

	for (i = 0; i < nleaves; i++) {
		l = &leaves[i];
		if (fake_compare(l->oid, l->n, oid, n) > 0 && (best == NULL ||
		    fake_compare(l->oid, l->n, best->oid, best->n) < 0))
			best = l;
	}
	if (best == NULL)
		return (fake_error(ENOENT));
	return (fake_out(best->oid, best->n * sizeof(int), old, oldlen));
}

static const struct fake_leaf *
fake_find(const int *oid, size_t n)
{
	size_t i;

	for (i = 0; i < nleaves; i++)
		if (fake_compare(leaves[i].oid, leaves[i].n, oid, n) == 0)
			return (&leaves[i]);
	return (NULL);
}

static int
fake_devices(const int *oid, void *old, size_t *oldlen)
{

	if (oid[0] != info.ub_generation)
		return (fake_error(EINVAL));
	if (oid[1] < 0 || (size_t)oid[1] >= ndevices)
		return (fake_error(ENOENT));
	return (fake_out(&devices[oid[1]], sizeof(devices[0]), old, oldlen));
}

int
sysctl(const int *oid, u_int n, void *old, size_t *oldlen,
    const void *new __unused, size_t newlen __unused)
{
	const struct fake_leaf *l;
	int node[CTL_MAXNAME];
	size_t len;

	if (n < 2 || n > CTL_MAXNAME)
		return (fake_error(EINVAL));
	if (fake_hook != NULL)
		fake_hook(calls);
	calls++;
	if (oid[0] == CTL_SYSCTL && oid[1] == CTL_SYSCTL_NEXT)
		return (fake_next(oid + 2, n - 2, old, oldlen));
	if (oid[0] == CTL_SYSCTL && oid[1] == CTL_SYSCTL_NAME) {
		l = fake_find(oid + 2, n - 2);
		return (l == NULL ? fake_error(ENOENT) :
		    fake_out(l->name, strlen(l->name) + 1, old, oldlen));
	}
	len = fake_oid("hw.bus.info", node);
	if (fake_compare(oid, n, node, len) == 0)
		return (fake_out(&info, sizeof(info), old, oldlen));
	len = fake_oid("hw.bus.devices", node);
	if (n == len + 2 && memcmp(oid, node, len * sizeof(int)) == 0)
		return (fake_devices(oid + len, old, oldlen));
	l = fake_find(oid, n);
	if (l == NULL)
		return (fake_error(ENOENT));
	return (fake_out(l->value, l->len, old, oldlen));
}

int
sysctlnametomib(const char *name, int *oid, size_t *n)
{
	int node[CTL_MAXNAME];
	size_t i, len;

	len = fake_oid(name, node);
	if (len > *n)
		return (fake_error(ENOMEM));
	memcpy(oid, node, len * sizeof(int));
	*n = len;
	if (strcmp(name, "hw.bus.devices") == 0)
		return (0);
	for (i = 0; i < nleaves; i++)
		if (leaves[i].n >= len &&
		    fake_compare(leaves[i].oid, len, node, len) == 0)
			return (0);
	return (fake_error(ENOENT));
}

int
sysctlbyname(const char *name, void *old, size_t *oldlen, const void *new,
    size_t newlen)
{
	int oid[CTL_MAXNAME];
	size_t n;

	n = fake_oid(name, oid);
	return (sysctl(oid, (u_int)n, old, oldlen, new, newlen));
}
