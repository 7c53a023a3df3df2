/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Between what the host says of keys and values and what the daemon is told:
 * UTF-16 and UTF-8, types, sizes, states.  Pure: no lock, no device; what comes
 * from either side is not trusted.  A message is a copy that the host cannot
 * change any more.
 */

#ifndef _HV_KVP_CONV_H_
#define	_HV_KVP_CONV_H_

#include <sys/types.h>

struct hv_kvp_dev_msg;

/*
 * The text of at most bytes bytes at src, up to the first NUL, as UTF-8 with a
 * NUL.  EILSEQ: no UTF-16; ENAMETOOLONG: more than size bytes; EINVAL: an odd
 * size.  src need not be aligned.
 */
int	hvkvp_from_utf16(const void *src, size_t bytes, char *dst, size_t size);

/*
 * The text at src, up to a NUL or size bytes, as UTF-16 with a NUL in at most
 * units units.  What is no UTF-8 becomes U+FFFD, byte by byte; what is too long
 * ends with the last character that fits.  Returns the bytes written.
 */
size_t	hvkvp_to_utf16(const char *src, size_t size, void *dst, size_t units);

/*
 * The request of len bytes at body as a message for the daemon, whose km_type,
 * km_version and km_id are the caller's.  0, or what the host is to be told:
 * EMSGSIZE	cut short
 * EOPNOTSUPP	no such operation, or one that this pool cannot do
 * EINVAL	pool, sizes, type
 * EILSEQ, ENAMETOOLONG	see above
 */
int	hvkvp_request(const void *body, size_t len,
	    struct hv_kvp_dev_msg *km);

/*
 * Fills in the body, which hvkvp_request() took for good, from the daemon's
 * answer to it.
 */
void	hvkvp_answer(void *body, const struct hv_kvp_dev_msg *km);

#endif	/* !_HV_KVP_CONV_H_ */
