/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What is on the bus, as the kernel tells it at one moment: devices with their
 * channels, and processors.  Whatever the kernel may not tell, because the
 * driver does not count it or the device has just gone, has its "unknown".
 */

#ifndef LSVMBUS_H
#define	LSVMBUS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define	LSV_UNKNOWN	(-1)

/* One direction of a channel, bytes; both are known or none. */
struct lsv_ring {
	int64_t		 used;
	int64_t		 room;
};

/* What a channel counts, in the order it is shown. */
enum lsv_count {
	LSV_TX_PACKETS, LSV_TX_BYTES, LSV_TX_FULL, LSV_TX_SIGNALS,
	LSV_TX_SAVED, LSV_RX_PACKETS, LSV_RX_BYTES, LSV_RX_SIGNALS,
	LSV_INTERRUPTS, LSV_CORRUPT,
	LSV_COUNTS
};

struct lsv_chan {
	uint32_t	 primary;	/* id of the device's first channel */
	uint32_t	 sub;		/* index; 0: it is the first */
	int64_t		 id;
	int64_t		 cpu;
	int64_t		 monitored;	/* 0, 1 */
	struct lsv_ring	 tx;
	struct lsv_ring	 rx;
	int64_t		 count[LSV_COUNTS];
};

struct lsv_dev {
	char		*name;		/* "storvsc0"; "": no driver has it */
	char		*driver;	/* "storvsc"; "" */
	char		*desc;
	char		*class_id;	/* GUIDs, as the bus prints them */
	char		*instance_id;
	const char	*state;		/* a word for people and programs */
	int64_t		 id;		/* of its first channel */
	struct lsv_chan	*chan;		/* open ones, by index */
	size_t		 nchan;
};

struct lsv_cpu {
	int64_t		 cpu;
	int64_t		 vp;
	int64_t		 interrupts;
	int64_t		 stray;
};

struct lsv_bus {
	char		*name;		/* "vmbus0" */
	char		*version;	/* "5.3"; "" */
	struct lsv_dev	*dev;		/* by channel */
	size_t		 ndev;
	struct lsv_cpu	*cpu;		/* by number */
	size_t		 ncpu;
};

/*
 * Fills bus in.  0; ENXIO: there is no bus; or another errno.  Whatever it
 * returns, lsv_free() releases what bus holds.
 */
int	lsv_collect(struct lsv_bus *bus);
void	lsv_free(struct lsv_bus *bus);

/* Kinds of devices, by what a GUID as text says; NULL: nobody knows it. */
struct lsv_class {
	const char	*guid;
	const char	*key;		/* for programs */
	const char	*text;		/* for people */
};
const struct lsv_class *lsv_class(const char *guid);

/* What a counter is called below the channel's sysctl node. */
extern const char *const lsv_count_name[LSV_COUNTS];

/* For the program's user. */
struct lsv_show {
	bool		 text;		/* columns; else all there is */
	int		 verbose;
	bool		 cpus;
	char *const	*only;		/* devices and channels by name */
	int		 nonly;		/* 0: all */
};
/* False: something of show->only is not there. */
bool	lsv_print(const struct lsv_bus *bus, const struct lsv_show *show);

/* One device of the kernel's; strings are "" and never NULL. */
struct lsv_node {
	uintptr_t	 handle;
	uintptr_t	 parent;
	bool		 attached;
	const char	*state;
	const char	*name;
	const char	*desc;
	const char	*driver;
	const char	*pnpinfo;
	const char	*location;
	char		*fields;	/* where they are */
};
struct lsv_tree {
	struct lsv_node	*node;
	size_t		 n;
};
/* 0 or an errno; whatever it is, to be freed. */
int	lsv_tree_read(struct lsv_tree *tree);
void	lsv_tree_free(struct lsv_tree *tree);

/*
 * Below sysctl node "prefix": fn for each leaf, with its name after
 * "prefix." and what lsv_number() and lsv_string() want.  A leaf that has
 * gone meanwhile is left out.
 */
struct lsv_oid {
	int	oid[24];
	size_t	len;
};
void	lsv_walk(const char *prefix,
	    void (*fn)(void *arg, const char *leaf, const struct lsv_oid *oid),
	    void *arg);
/* An integer of any size, LSV_UNKNOWN if it is none or too large. */
int64_t	lsv_number(const struct lsv_oid *oid);
/* False: it is gone, or longer than buf. */
bool	lsv_string(const struct lsv_oid *oid, char *buf, size_t len);

#endif	/* !LSVMBUS_H */
