/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A fuzzer's bytes, as a script that is taken piece by piece.  What is taken
 * after its end is zero.
 */

#ifndef FUZZ_SCRIPT_H
#define	FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct script {
	const uint8_t	*p;
	size_t		 left;
};

static inline void
take(struct script *s, void *buf, size_t len)
{
	size_t n = len < s->left ? len : s->left;

	memset(buf, 0, len);
	memcpy(buf, s->p, n);
	s->p += n;
	s->left -= n;
}

static inline uint8_t
take8(struct script *s)
{
	uint8_t v;

	take(s, &v, 1);
	return (v);
}

/* Ends the fuzzer with a finding. */
static inline void
check(bool ok, const char *what)
{

	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

#endif /* !FUZZ_SCRIPT_H */
