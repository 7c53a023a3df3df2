/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Gives the drivers' pure code what a host may have written, in memory of
 * exactly that size; what must hold: fuzz_parse_kernel.c.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_kernel.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
parse(unsigned what, unsigned a, unsigned b, unsigned c, uint8_t *p,
    size_t len)
{
	uint8_t cdb[16] = { 0 };
	uint64_t xid = 0;

	switch (what % 4) {
	case 0:
		if (len > ktest_fuzz_pkt_size())
			return (NULL);
		return (ktest_fuzz_completion(p, (unsigned)len, a));
	case 1:
		/* INQUIRY for most; version of the storage protocol. */
		cdb[0] = what & 0x80 ? (uint8_t)b : 0x12;
		cdb[1] = what & 0x40 ? (uint8_t)(b >> 8) : 0;
		cdb[2] = what & 0x20 ? (uint8_t)(b >> 16) : 0;
		return (ktest_fuzz_inquiry(a & 0xffff, cdb, p,
		    (unsigned)len));
	case 2:
		return (ktest_fuzz_message(what & 0x80 ? a : a % 32, b % 512,
		    c));
	default:
		memcpy(&xid, p, len < sizeof(xid) ? len : sizeof(xid));
		/* An index near the pool, and its generation, more often. */
		if ((what & 0x80) != 0)
			xid = (uint64_t)(b + c % 8) << 32 |
			    (uint32_t)(a + xid % 8);
		return (ktest_fuzz_lookup(a, b, c, xid));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error;
	const size_t head = 1 + sizeof(uint32_t[3]);
	uint32_t word[3];
	uint8_t *copy;

	if (size <= head)
		return (0);
	memcpy(word, data + 1, sizeof(word));
	copy = malloc(size - head);
	memcpy(copy, data + head, size - head);
	error = parse(data[0], word[0], word[1], word[2], copy, size - head);
	free(copy);
	if (error != NULL) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return (0);
}
