/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Integration services: see services.h.
 */

#include <sys/mman.h>

#include <stdio.h>
#include <string.h>

#include "hvballoon.h"
#include "vmm/services.h"

/*
 * The guest has no use for it: the memory is anybody's, and what comes back is
 * zero, as after a power cycle.
 */
static void
memory_taken(void *arg, uint64_t gpa, uint64_t len)
{
	void *p = vmm_ptr(arg, gpa, len);

	if (p != NULL)
		(void)madvise(p, len, MADV_DONTNEED);
}

int
services_create(struct services *sv, struct vmm *m, const struct options *op,
    char *err, size_t errlen)
{
	const struct hvh_balloon_params bp = { .taken = memory_taken,
	    .arg = m };
	struct hvh_ic_params ip = { 0 };
	int error;

	for (unsigned k = 0; k < HVH_IC_KINDS; k++) {
		sv->sv_ic[k] = NULL;
		if ((op->services & 1u << k) == 0)
			continue;
		ip.kind = (enum hvh_ic_kind)k;
		error = hvh_ic_add(vmm_hvh(m), &ip, &sv->sv_ic[k]);
		if (error != 0) {
			snprintf(err, errlen, "integration service %u: %s", k,
			    strerror(error));
			return (error);
		}
	}
	sv->sv_balloon = NULL;
	if ((op->services & 1u << OPT_SERVICE_MEMORY) != 0) {
		error = hvh_balloon_add(vmm_hvh(m), &bp, &sv->sv_balloon);
		if (error != 0) {
			snprintf(err, errlen, "dynamic memory: %s",
			    strerror(error));
			return (error);
		}
	}
	sv->sv_kbd = NULL;
	if ((op->services & 1u << OPT_SERVICE_KEYBOARD) == 0)
		return (0);
	error = hvh_kbd_add(vmm_hvh(m), &sv->sv_kbd);
	if (error != 0)
		snprintf(err, errlen, "keyboard: %s", strerror(error));
	return (error);
}

void
services_resumed(struct services *sv)
{

	if (sv->sv_ic[HVH_IC_TIMESYNC] != NULL)
		hvh_ic_renegotiate(sv->sv_ic[HVH_IC_TIMESYNC]);
}
