/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* pidfile(3), which libbsd has on Linux. */

#ifndef _COMPAT_LIBUTIL_H_
#define	_COMPAT_LIBUTIL_H_

#include <bsd/libutil.h>

#endif	/* !_COMPAT_LIBUTIL_H_ */
