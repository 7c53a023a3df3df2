/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The commands of the test guest.  Each takes its words as main() does, its
 * own name first, prints to the console and returns 0 or an errno.
 *
 * A new one: a function here, a file of its own, a row in init.c, and the file
 * in tests/vm/meson.build.
 */

#ifndef _TESTS_VM_FREEBSD_COMMANDS_H_
#define	_TESTS_VM_FREEBSD_COMMANDS_H_

#include <stddef.h>

#define	ARGS_MAX	32

int	 run_command(int, char **);
/* What `do' does: commands with a semicolon between them. */
int	 run_commands(const char *);

int	 cmd_cam(int, char **);
int	 cmd_clock(int, char **);
int	 cmd_cost(int, char **);
int	 cmd_dev(int, char **);
int	 cmd_dhcp(int, char **);
int	 cmd_dmesg(int, char **);
int	 cmd_dump(int, char **);
int	 cmd_fcopy(int, char **);
int	 cmd_fs(int, char **);
int	 cmd_io(int, char **);
int	 cmd_job(int, char **);
int	 cmd_kbd(int, char **);
int	 cmd_kenv(int, char **);
int	 cmd_kld(int, char **);
int	 cmd_kvp(int, char **);
int	 cmd_lsvmbus(int, char **);
int	 cmd_net(int, char **);
int	 cmd_ping(int, char **);
int	 cmd_power(int, char **);
int	 cmd_raw(int, char **);
int	 cmd_route(int, char **);
int	 cmd_sysctl(int, char **);
int	 cmd_tcp(int, char **);
int	 cmd_tlb(int, char **);
int	 cmd_udp(int, char **);
int	 cmd_vdso(int, char **);
int	 cmd_vmstat(int, char **);
int	 cmd_vss(int, char **);

/*
 * For other commands: a sysctl by name.  0 or an errno.  The value's size is
 * given and returned.
 */
int	 sysctl_get(const char *, void *, size_t *);
int	 sysctl_set(const char *, const void *, size_t);

#endif /* !_TESTS_VM_FREEBSD_COMMANDS_H_ */
