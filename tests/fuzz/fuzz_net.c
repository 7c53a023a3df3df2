/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Gives the network driver's pure code what a host may have written, in memory
 * of exactly that size; what must hold: fuzz_net_kernel.c.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_kernel.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
parse(unsigned what, const uint8_t *p, size_t len)
{

	switch (what % 4) {
	case 0:
		return (ktest_fuzz_packet(p, (unsigned)len));
	case 1:
		return (ktest_fuzz_frame(p, (unsigned)len));
	case 2:
		return (ktest_fuzz_rndis(what / 4, p, (unsigned)len));
	default:
		return (ktest_fuzz_ndis(what / 4, p, (unsigned)len));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error;
	uint8_t *copy;

	if (size < 2)
		return (0);
	copy = malloc(size - 1);
	if (copy == NULL)
		return (0);
	memcpy(copy, data + 1, size - 1);
	error = parse(data[0], copy, size - 1);
	free(copy);
	if (error != NULL) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return (0);
}
