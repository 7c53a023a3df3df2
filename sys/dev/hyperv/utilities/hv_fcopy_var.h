/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Inside the file copy service. */

#ifndef _HV_FCOPY_VAR_H_
#define	_HV_FCOPY_VAR_H_

#include <dev/hyperv/utilities/hv_fcopy_dev.h>

/*
 * hv_fcopy_msg.c, pure: makes the program's request of a message of the host's,
 * but for its type, version, id and time limit.  False: it is not as long as it
 * says, or no operation.
 */
bool	hv_fcopy_request(struct hv_fcopy_dev_msg *fm, const void *body,
	    uint32_t len);

#endif	/* !_HV_FCOPY_VAR_H_ */
