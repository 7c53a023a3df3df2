/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Between the two halves of time synchronisation: hv_timesync.c is the device,
 * hv_timesync_clock.c has the clocks.
 */

#ifndef _HV_TIMESYNC_VAR_H_
#define	_HV_TIMESYNC_VAR_H_

#include <sys/types.h>

/*
 * One look at the host's clock: it showed tr_host when the partition's
 * reference time was tr_ref.  Both in units of 100 ns.
 */
struct hv_timesync_ref {
	uint64_t	 tr_host;	/* since 1601, UTC */
	uint64_t	 tr_ref;
};

/* Bounds for samples, from sysctl; milliseconds. */
struct hv_timesync_limits {
	int		 tl_thresh;	/* step beyond; 0: samples ignored */
	int		 tl_slew_max;	/* slew by at most; 0: never */
	bool		 tl_backward;	/* steps may go backwards */
};

enum hv_timesync_act {
	HV_TIMESYNC_NOTHING,
	HV_TIMESYNC_SLEW,
	HV_TIMESYNC_STEP
};

/*
 * Pure: what a sample asks for that says the guest's clock is behind by ofs
 * nanoseconds (ahead, if negative); *slew: by how many microseconds.
 */
enum hv_timesync_act hv_timesync_decide(int64_t ofs,
	    const struct hv_timesync_limits *tl, int64_t *slew);

/* Whether the reference is one that a clock can be set by, as of now. */
bool	hv_timesync_valid(const struct hv_timesync_ref *tr);
/*
 * By how many nanoseconds the guest's clock is behind the host's; false if it
 * cannot be told well, because this thread was kept from looking.
 */
bool	hv_timesync_offset(const struct hv_timesync_ref *tr, int64_t *ofs);
/* Sets the clock at once; errno. */
int	hv_timesync_step(const struct hv_timesync_ref *tr);
/* Lets the kernel make up for so many microseconds, at its own rate. */
void	hv_timesync_slew(int64_t usec);
/* Whether somebody else disciplines the clock, ntpd(8) for one. */
bool	hv_timesync_disciplined(void);

#endif	/* !_HV_TIMESYNC_VAR_H_ */
