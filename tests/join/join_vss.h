/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For tests of backup end to end: the host's provider, the driver and
 * hv_vss_daemon(8) as a process, on file systems that are locks in a file
 * (usr.sbin/hyperv/compat/fs); and a program for applications, which the test
 * is itself.
 */

#ifndef TESTS_JOIN_JOIN_VSS_H
#define	TESTS_JOIN_JOIN_VSS_H

#include "join_daemon.h"

#define	VSS_NODE	"hv_fsvss_dev"
#define	VSS_PROGRAM	"dev.hvvss.0.fs_program"

/* What a test mounts: see compat_fs.c. */
#define	UFS_ROOT	"1 ufs rw local / 0 0\n"
#define	UFS_VAR		"2 ufs rw local /var 0 0\n"
#define	SLOW		"1 ufs rw local / 1 0\n"	/* until vss_go() */

extern struct join vss_join;
extern struct hvh_ic *vss;
extern struct devbridge *vss_bridge;
extern struct join_daemon vss_daemon;
extern struct kpi_devfile *vss_app;

/* --- The machine --- */

/* virtual: time passes when the test says so. */
void	vss_start(const char *lines, bool virtual);
void	vss_finish(void);
void	vss_daemon_start(void);
void	vss_mounts(const char *lines);
void	vss_go(void);

/* Whether a file system stands still; how many do. */
bool	vss_frozen(int number);
unsigned vss_frozen_count(void);
/* For join_wait(). */
bool	vss_none_frozen(void *arg);
bool	vss_some_frozen(void *arg);

/* --- Orders --- */

void	vss_order(struct join_order *o, enum hvh_vss_op op);
/* The host's operation, and how it ends. */
void	vss_ends(enum hvh_vss_op op, uint32_t status);

/* --- The program --- */

struct app_msg {
	uint32_t	 type, version, id, op, status, timeout, hold, rsvd;
};

#define	APP_REGISTER	0x56535300
#define	APP_REQUEST	0x56535301
#define	APP_ANSWER	0x56535302

#define	CHECK	1
#define	FREEZE	2
#define	THAW	3

void	app_open(void);
int	app_write(struct app_msg *m);
/* The next request; it must be this one. */
void	app_read(struct app_msg *m, uint32_t op);
void	app_answer(struct app_msg *m, uint32_t status);

#endif	/* !TESTS_JOIN_JOIN_VSS_H */
