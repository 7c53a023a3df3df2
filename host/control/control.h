/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket: a server for clients on the same machine, one JSON
 * object a line each way.  It runs where the program polls and never blocks
 * on a client; the operations may take as long as they take.
 *
 *	{"id": any, "cmd": "status", ...}
 *	{"id": the same, "ok": true, "result": {...}}
 *	{"id": the same, "ok": false, "error": "a sentence"}
 *
 * What takes its time is answered when it is done, other commands before it;
 * until then there may be lines {"id": the same, "progress": {...}}.
 */

#ifndef CONTROL_CONTROL_H
#define	CONTROL_CONTROL_H

#include <jansson.h>

#include "hvhost_kbd.h"

#define	CTL_LINE_MAX	65536u		/* of a client, newline included */
#define	CTL_OUT_MAX	(4u << 20)	/* unread replies; more: dropped */
#define	CTL_CLIENTS	16u
#define	CTL_SERIAL_MAX	20u		/* characters of a disk's */

#define	CTL_VCPUS_MAX	64

/* Where a virtual processor of a paused machine has stopped. */
struct ctl_vcpu {
	uint64_t	 pc;
	bool		 halted;
	bool		 masked;	/* it takes no interrupts */
};

struct ctl_status {
	bool		 paused;
	unsigned	 nvcpus;	/* of vcpu[]; 0: not known */
	struct ctl_vcpu	 vcpu[CTL_VCPUS_MAX];
	uint64_t	 uptime;	/* ns */
	char		 kernel[64];
	unsigned	 cpus;
	uint64_t	 memory;	/* bytes */
	uint64_t	 os_id;		/* guest's, 0: none given */
};

struct ctl_disk {
	unsigned	 controller;
	int		 lun;		/* -1: first free, then which */
	const char	*file;
	/* The open file; taken over unless disk_add fails. */
	bool		 have_fd;
	int		 fd;
	bool		 readonly;
	bool		 cdrom;
	const char	*serial;	/* CTL_SERIAL_MAX, or NULL */
};

struct ctl_net {
	bool		 socket;	/* else a tap */
	const char	*name;
	bool		 have_fd;	/* as above, net_add */
	int		 fd;
	bool		 have_mac;
	uint8_t		 mac[6];
	unsigned	 channels;	/* 0: as many as usual */
	unsigned	 adapter;	/* which it has become */
};

/*
 * What the machine does for clients, in the thread that calls ctl_poll().
 * 0, or an errno and a sentence in err.  NULL: this machine cannot.
 */
struct ctl_ops {
	void	(*status)(void *arg, struct ctl_status *st);
	/* Adds to an object: numbers, and objects of numbers. */
	void	(*stats)(void *arg, json_t *stats);
	/* force: ends at once; else presses the power button. */
	int	(*shutdown)(void *arg, bool force, char *err, size_t errlen);
	int	(*reset)(void *arg, char *err, size_t errlen);
	int	(*pause)(void *arg, char *err, size_t errlen);
	int	(*resume)(void *arg, char *err, size_t errlen);
	int	(*quit)(void *arg, char *err, size_t errlen);
	int	(*disk_add)(void *arg, struct ctl_disk *d, char *err,
		    size_t errlen);
	int	(*disk_remove)(void *arg, unsigned controller, unsigned lun,
		    char *err, size_t errlen);
	int	(*net_add)(void *arg, struct ctl_net *n, char *err,
		    size_t errlen);
	int	(*net_remove)(void *arg, unsigned adapter, char *err,
		    size_t errlen);
	int	(*link)(void *arg, unsigned adapter, bool up, char *err,
		    size_t errlen);
	/* Of these three, NULL: the machine has none. */
	struct hvh_ic *(*service)(void *arg, enum hvh_ic_kind kind);
	struct hvh_balloon *(*balloon)(void *arg);
	struct hvh_kbd *(*keyboard)(void *arg);
	/* What guests know an adapter by.  ENODEV: there is none. */
	int	(*adapter)(void *arg, unsigned adapter, uint8_t mac[6],
		    struct hvh_guid *instance);
};

/* All that the command "stats" tells, put into an object.  ENOMEM. */
int	ctl_stats(struct hvh *h, const struct ctl_ops *ops, void *arg,
	    json_t *to);

struct ctl_server;

/*
 * The socket of a process that is gone is replaced.  EBUSY: somebody listens
 * there; EEXIST: what is there is no socket.
 */
int	ctl_open(const char *path, struct hvh *h, const struct ctl_ops *ops,
	    void *arg, struct ctl_server **sp, char *err, size_t errlen);
/* Readable when ctl_poll() has something to do. */
int	ctl_fd(const struct ctl_server *s);
void	ctl_poll(struct ctl_server *s);
/*
 * What clients have not read yet is lost.  remove: the socket's file goes too,
 * which a sandbox may forbid; one that stays tells clients that nobody listens,
 * and is in nobody's way.
 */
void	ctl_close(struct ctl_server *s, bool remove);

#endif	/* !CONTROL_CONTROL_H */
