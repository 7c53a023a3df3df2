/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Capability mode for the daemons where they are tested: Linux has none, which
 * is what they are told.
 */

#ifndef _COMPAT_SYS_CAPSICUM_H_
#define	_COMPAT_SYS_CAPSICUM_H_

#include <errno.h>

typedef struct {
	int	unused;
} cap_rights_t;

#define	cap_rights_init(rights, ...)	((void)(rights))

static inline int
cap_rights_limit(int fd, const cap_rights_t *rights)
{

	(void)fd;
	(void)rights;
	errno = ENOSYS;
	return (-1);
}

static inline int
cap_enter(void)
{

	errno = ENOSYS;
	return (-1);
}

#endif	/* !_COMPAT_SYS_CAPSICUM_H_ */
