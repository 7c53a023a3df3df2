/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What any driver may know of the hypervisor: GUIDs as they stand on the
 * wire, and the partition's reference time; and what all drivers share.
 */

#ifndef _DEV_HYPERV_HYPERV_H_
#define	_DEV_HYPERV_HYPERV_H_

#include <sys/param.h>
#include <sys/systm.h>

/*
 * Marks what runs for each packet: the compiler puts it side by side, so that
 * a request touches few pages of code.
 */
#define	HYPERV_HOT	__attribute__((__hot__))

/* A GUID in wire order: fields 1 to 3 little-endian, the rest as printed. */
struct hyperv_guid {
	uint8_t		hv_guid[16];
};
_Static_assert(sizeof(struct hyperv_guid) == 16, "hyperv_guid");

/* Length of a printed GUID without braces, terminating NUL included. */
#define	HYPERV_GUID_STRLEN	37

/*
 * Initialises a struct hyperv_guid from the fields of a printed GUID:
 * HYPERV_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, ...).
 */
#define	HYPERV_GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7) {		\
	.hv_guid = {							\
		(uint8_t)((a) & 0xff), (uint8_t)(((a) >> 8) & 0xff),	\
		(uint8_t)(((a) >> 16) & 0xff), (uint8_t)((a) >> 24),	\
		(uint8_t)((b) & 0xff), (uint8_t)((b) >> 8),		\
		(uint8_t)((c) & 0xff), (uint8_t)((c) >> 8),		\
		(d0), (d1), (d2), (d3), (d4), (d5), (d6), (d7)		\
	}								\
}

static __inline bool
hyperv_guid_equal(const struct hyperv_guid *a, const struct hyperv_guid *b)
{

	return (memcmp(a, b, sizeof(*a)) == 0);
}

/*
 * Prints a GUID in lower case without braces into buf (sz bytes, at least
 * HYPERV_GUID_STRLEN for all of it).  Returns what snprintf(9) returns.
 */
int		hyperv_guid_snprintf(char *buf, size_t sz,
		    const struct hyperv_guid *guid);

/* Reference time of the partition runs at 10 MHz. */
#define	HYPERV_REFTIME_HZ	10000000ULL

/*
 * Reference time in units of 100 ns since the partition was created; never
 * goes backwards.  Any context.  0 where the hypervisor offers no counter.
 */
uint64_t	hyperv_reftime(void);

#endif	/* !_DEV_HYPERV_HYPERV_H_ */
