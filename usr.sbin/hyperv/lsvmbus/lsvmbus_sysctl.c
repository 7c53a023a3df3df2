/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The sysctl tree below a node.  Nodes come and go while it is walked; the
 * kernel then goes on with what follows.
 */

#include <sys/types.h>
#include <sys/sysctl.h>

#include <stdint.h>
#include <string.h>

#include "lsvmbus.h"

/* The name of the longest leaf here has less than half of that. */
#define	SYSCTL_NAME_MAX	256

_Static_assert(sizeof(((struct lsv_oid *)0)->oid) ==
    CTL_MAXNAME * sizeof(int), "an oid has as many parts as the kernel's");

/* Asks the tree itself, which wants two parts before the oid's own. */
static int
sysctl_ask(int what, const struct lsv_oid *oid, void *out, size_t *len)
{
	int ask[CTL_MAXNAME];

	if (oid->len + 2 > CTL_MAXNAME)
		return (-1);
	ask[0] = CTL_SYSCTL;
	ask[1] = what;
	memcpy(ask + 2, oid->oid, oid->len * sizeof(int));
	return (sysctl(ask, (u_int)oid->len + 2, out, len, NULL, 0));
}

static bool
sysctl_below(const struct lsv_oid *node, const struct lsv_oid *oid)
{

	return (oid->len > node->len && memcmp(oid->oid, node->oid,
	    node->len * sizeof(int)) == 0);
}

void
lsv_walk(const char *prefix,
    void (*fn)(void *arg, const char *leaf, const struct lsv_oid *oid),
    void *arg)
{
	struct lsv_oid node, at, next;
	char name[SYSCTL_NAME_MAX];
	size_t plen, len;

	node.len = CTL_MAXNAME;
	if (sysctlnametomib(prefix, node.oid, &node.len) != 0)
		return;
	plen = strlen(prefix);
	for (at = node; ; at = next) {
		len = sizeof(next.oid);
		if (sysctl_ask(CTL_SYSCTL_NEXT, &at, next.oid, &len) != 0)
			return;
		next.len = len / sizeof(int);
		if (!sysctl_below(&node, &next))
			return;
		len = sizeof(name) - 1;
		if (sysctl_ask(CTL_SYSCTL_NAME, &next, name, &len) != 0)
			continue;
		name[len] = '\0';
		/* The numbers may be another node's by now. */
		if (strncmp(name, prefix, plen) == 0 && name[plen] == '.')
			fn(arg, name + plen + 1, &next);
	}
}

int64_t
lsv_number(const struct lsv_oid *oid)
{
	union {
		uint8_t		u8;
		uint16_t	u16;
		uint32_t	u32;
		uint64_t	u64;
	} v;
	size_t len;

	len = sizeof(v);
	if (sysctl(oid->oid, (u_int)oid->len, &v, &len, NULL, 0) != 0)
		return (LSV_UNKNOWN);
	switch (len) {
	case sizeof(v.u8):
		return (v.u8);
	case sizeof(v.u16):
		return (v.u16);
	case sizeof(v.u32):
		return (v.u32);
	case sizeof(v.u64):
		return (v.u64 <= INT64_MAX ? (int64_t)v.u64 : LSV_UNKNOWN);
	default:
		return (LSV_UNKNOWN);
	}
}

bool
lsv_string(const struct lsv_oid *oid, char *buf, size_t len)
{

	len--;
	if (sysctl(oid->oid, (u_int)oid->len, buf, &len, NULL, 0) != 0)
		return (false);
	buf[len] = '\0';
	return (true);
}
