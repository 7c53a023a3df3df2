/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Programs with a main() of their own, as commands; see libc.c. */

#ifndef _TESTS_VM_FREEBSD_LIBC_H_
#define	_TESTS_VM_FREEBSD_LIBC_H_

#define	LIBC_ARGS	32

/* Runs a main(), with memory of its own. */
int	 libc_run(int (*)(int, char **), int, char **);
/* A system call's result: as it is, or -1 with errno set. */
int	 libc_result(long);

#endif /* !_TESTS_VM_FREEBSD_LIBC_H_ */
