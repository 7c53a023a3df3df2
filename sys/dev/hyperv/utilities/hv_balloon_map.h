/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which page frames have been given up: a bit each, in pieces that are there
 * where there is anything to note.  The caller has a lock.
 */

#ifndef _HV_BALLOON_MAP_H_
#define	_HV_BALLOON_MAP_H_

#include <sys/param.h>
#include <sys/malloc.h>

MALLOC_DECLARE(M_HVBALLOON);

#define	HV_BALLOON_PIECE_SHIFT	15		/* frames: 128 MiB, 4 KiB */
#define	HV_BALLOON_PIECE	(1u << HV_BALLOON_PIECE_SHIFT)

struct hv_balloon_map {
	uint64_t	**bm_piece;	/* NULL: never a bit in it */
	uint64_t	  bm_frames;	/* none is as high */
};

/* Sleeps. */
void	hv_balloon_map_init(struct hv_balloon_map *bm, uint64_t frames);
void	hv_balloon_map_fini(struct hv_balloon_map *bm);
/* Notes n frames, none of them noted yet.  ENOMEM, ERANGE: nothing is. */
int	hv_balloon_map_add(struct hv_balloon_map *bm, uint64_t frame,
	    u_int n);
/*
 * Takes as many of the n frames from the first on as are noted without a gap,
 * and returns how many; any number is good enough for a frame.
 */
u_int	hv_balloon_map_take(struct hv_balloon_map *bm, uint64_t frame,
	    u_int n);
/* The first noted frame from this one on; UINT64_MAX: none. */
uint64_t hv_balloon_map_next(const struct hv_balloon_map *bm, uint64_t frame);

#endif	/* !_HV_BALLOON_MAP_H_ */
