/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Text on the wire is UTF-16LE in fields of fixed size; inside it is UTF-8.
 * Pure functions.
 */

#ifndef HVH_SERVICES_UTF16_H
#define	HVH_SERVICES_UTF16_H

#include <stddef.h>
#include <stdint.h>

/* A UTF-8 character for each of units, and NUL. */
#define	UTF16_TEXT(units)	((units) * 3 + 1)

/*
 * Into a field of units, the terminator included; *bytes, if not NULL, is
 * what it takes, with the terminator.  EINVAL: not UTF-8; ENAMETOOLONG.
 */
int	utf16_put(uint8_t *field, size_t units, const char *text,
	    uint32_t *bytes);
/*
 * Out of a field of units, up to its terminator if there is one.  What is no
 * character becomes U+FFFD.  text has UTF16_TEXT(units) bytes.
 */
void	utf16_get(const uint8_t *field, size_t units, char *text);

#endif	/* !HVH_SERVICES_UTF16_H */
