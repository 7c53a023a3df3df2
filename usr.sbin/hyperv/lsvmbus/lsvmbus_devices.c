/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel's device tree, as hw.bus.devices.GENERATION.INDEX gives it: one
 * device at a time, and an error as soon as the tree is another.  It is read
 * here and not through devinfo(3), whose library has another version in each
 * release and reads every resource as well: this interface (BUS_USER_VERSION)
 * is the same in FreeBSD 14 and 15.
 */

#include <sys/types.h>
#include <sys/bus.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvmbus.h"

/* A tree that changes all the time is read again, but not for ever: 5 s. */
#define	DEVICES_TRIES	100
#define	DEVICES_PAUSE	50000		/* microseconds */
#define	DEVICES_MAX	100000

/* The next of the strings that lie one behind the other before end. */
static const char *
devices_field(char **at, char *end)
{
	char *s, *nul;

	s = *at;
	nul = memchr(s, '\0', (size_t)(end - s));
	if (nul == NULL) {
		*at = end;
		return ("");
	}
	*at = nul + 1;
	return (s);
}

static int
devices_add(struct lsv_tree *tree, const struct u_device *ud)
{
	struct lsv_node *node;
	char *at, *end;

	node = reallocarray(tree->node, tree->n + 1, sizeof(*node));
	if (node == NULL)
		return (ENOMEM);
	tree->node = node;
	node += tree->n;
	node->fields = malloc(sizeof(ud->dv_fields));
	if (node->fields == NULL)
		return (ENOMEM);
	tree->n++;
	memcpy(node->fields, ud->dv_fields, sizeof(ud->dv_fields));
	at = node->fields;
	end = at + sizeof(ud->dv_fields);
	node->handle = ud->dv_handle;
	node->parent = ud->dv_parent;
	node->name = devices_field(&at, end);
	node->desc = devices_field(&at, end);
	node->driver = devices_field(&at, end);
	node->pnpinfo = devices_field(&at, end);
	node->location = devices_field(&at, end);
	node->attached = ud->dv_state >= DS_ATTACHED;
	if ((ud->dv_flags & DF_ENABLED) == 0)
		node->state = "disabled";
	else if ((ud->dv_flags & DF_SUSPENDED) != 0)
		node->state = "suspended";
	else
		node->state = node->attached ? "attached" : "unattached";
	return (0);
}

/* EAGAIN: the tree has changed meanwhile. */
static int
devices_read(struct lsv_tree *tree, int generation)
{
	struct u_device ud;
	int oid[CTL_MAXNAME];
	size_t n, len;
	int error, i;

	n = CTL_MAXNAME - 2;
	if (sysctlnametomib("hw.bus.devices", oid, &n) != 0)
		return (errno);
	oid[n] = generation;
	for (i = 0; i < DEVICES_MAX; i++) {
		oid[n + 1] = i;
		len = sizeof(ud);
		if (sysctl(oid, (u_int)n + 2, &ud, &len, NULL, 0) != 0) {
			if (errno == ENOENT)
				return (0);
			if (errno == EINVAL)
				return (EAGAIN);
			/* One that tells more of itself than has room. */
			continue;
		}
		if (len != sizeof(ud))
			return (EPROTO);
		error = devices_add(tree, &ud);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
lsv_tree_read(struct lsv_tree *tree)
{
	struct u_businfo info;
	size_t len;
	int error, tries;

	memset(tree, 0, sizeof(*tree));
	for (tries = 0; ; tries++) {
		len = sizeof(info);
		if (sysctlbyname("hw.bus.info", &info, &len, NULL, 0) != 0)
			return (errno);
		if (len != sizeof(info) ||
		    info.ub_version != BUS_USER_VERSION)
			return (EPROTO);
		error = devices_read(tree, info.ub_generation);
		if (error != EAGAIN || tries == DEVICES_TRIES)
			return (error);
		lsv_tree_free(tree);
		(void)usleep(DEVICES_PAUSE);
	}
}

void
lsv_tree_free(struct lsv_tree *tree)
{
	size_t i;

	for (i = 0; i < tree->n; i++)
		free(tree->node[i].fields);
	free(tree->node);
	memset(tree, 0, sizeof(*tree));
}
