/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Gives the driver's ring code memory of its own, so that a byte beyond is
 * seen, and a script; what the script does: fuzz_br_kernel.c.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpi.h"

#include "fuzz_kernel.h"

#define	PAGE	4096u

int	LLVMFuzzerInitialize(int *argc, char ***argv);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t		*ctl, *ring;
	unsigned	 size;
	const uint8_t	*data;
	size_t		 len;
	const char	*error;
} turn;

/* FreeBSD's barriers reach for the processor they run on. */
static void
run(void *arg)
{

	turn.error = (turn.data[0] & 1 ? ktest_fuzz_tx : ktest_fuzz_rx)(
	    turn.ctl, turn.ring, turn.size, turn.data + 2, turn.len - 2);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct kpi_config cf = { .ncpus = 1, .quiet = 1 };
	kpi_size size;
	void *base;

	return (kpi_init(&cf, &base, &size) != 0 || kpi_boot() != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ring[2];
	unsigned pages;

	if (size < 2)
		return (0);
	if (turn.ctl == NULL) {
		turn.ctl = aligned_alloc(PAGE, PAGE);
		ring[0] = aligned_alloc(PAGE, 2 * PAGE);
		ring[1] = aligned_alloc(PAGE, 4 * PAGE);
	}
	pages = 1 + (data[0] >> 1 & 1);
	memset(turn.ctl, 0, PAGE);
	memset(ring[pages - 1], data[1], 2 * pages * PAGE);
	turn.ring = ring[pages - 1];
	turn.size = pages * PAGE;
	turn.data = data;
	turn.len = size;
	kpi_call(run, NULL, -1);
	if (turn.error != NULL) {
		fprintf(stderr, "%s\n", turn.error);
		abort();
	}
	return (0);
}
