/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The driver's half of the file copy: see fuzz_fcopy.c. */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_fcopy_var.h>

#include "fuzz_kernel.h"

const char *
ktest_fuzz_fcopy(const unsigned char *body, unsigned len,
    unsigned char *request, unsigned *rlen)
{
	struct hv_fcopy_dev_msg *fm = (void *)request;
	const struct hv_fcopy_dev_hdr *hdr = &fm->fm_hdr;

	*rlen = 0;
	if (!hv_fcopy_request(fm, body, len))
		return (NULL);
	if (hdr->fm_len > sizeof(*fm) - sizeof(*hdr) || hdr->fm_len > len)
		return ("a request longer than what came");
	if (hdr->fm_op == HV_FCOPY_DEV_START &&
	    hdr->fm_len != sizeof(fm->fm_names))
		return ("a start without names");
	if (hdr->fm_op > HV_FCOPY_DEV_CANCEL ||
	    (hdr->fm_op > HV_FCOPY_DEV_WRITE && hdr->fm_len != 0))
		return ("a request that is none");
	*rlen = sizeof(*hdr) + hdr->fm_len;
	return (NULL);
}
