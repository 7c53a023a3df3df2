/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which page frames have been given up; see hv_balloon_map.h.  What the host
 * gives back is checked against this and nothing else.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/utilities/hv_balloon_map.h>

MALLOC_DEFINE(M_HVBALLOON, "hvballoon", "Hyper-V dynamic memory");

#define	WORD_SHIFT	6
#define	WORD_BITS	(1u << WORD_SHIFT)

static uint64_t
map_pieces(const struct hv_balloon_map *bm)
{

	return (howmany(bm->bm_frames, HV_BALLOON_PIECE));
}

/* The word with this frame's bit, NULL: its piece is not there. */
static uint64_t *
map_word(const struct hv_balloon_map *bm, uint64_t frame)
{
	uint64_t *piece;

	if (frame >= bm->bm_frames)
		return (NULL);
	piece = bm->bm_piece[frame >> HV_BALLOON_PIECE_SHIFT];
	if (piece == NULL)
		return (NULL);
	return (&piece[(frame & (HV_BALLOON_PIECE - 1)) >> WORD_SHIFT]);
}

static uint64_t
map_bit(uint64_t frame)
{

	return (1ULL << (frame & (WORD_BITS - 1)));
}

void
hv_balloon_map_init(struct hv_balloon_map *bm, uint64_t frames)
{

	bm->bm_frames = frames;
	bm->bm_piece = mallocarray(map_pieces(bm), sizeof(*bm->bm_piece),
	    M_HVBALLOON, M_WAITOK | M_ZERO);
}

void
hv_balloon_map_fini(struct hv_balloon_map *bm)
{
	uint64_t i;

	if (bm->bm_piece == NULL)
		return;
	for (i = 0; i < map_pieces(bm); i++)
		free(bm->bm_piece[i], M_HVBALLOON);
	free(bm->bm_piece, M_HVBALLOON);
	bm->bm_piece = NULL;
}

int
hv_balloon_map_add(struct hv_balloon_map *bm, uint64_t frame, u_int n)
{
	uint64_t at, end, *word, **piece;

	if (frame >= bm->bm_frames || n > bm->bm_frames - frame)
		return (ERANGE);
	end = frame + n;
	for (at = frame; at < end; at = roundup2(at + 1, HV_BALLOON_PIECE)) {
		piece = &bm->bm_piece[at >> HV_BALLOON_PIECE_SHIFT];
		if (*piece == NULL)
			*piece = malloc(HV_BALLOON_PIECE / NBBY, M_HVBALLOON,
			    M_NOWAIT | M_ZERO);
		if (*piece == NULL)
			return (ENOMEM);
	}
	for (at = frame; at < end; at++) {
		word = map_word(bm, at);
		KASSERT((*word & map_bit(at)) == 0,
		    ("hv_balloon: frame %#jx twice", (uintmax_t)at));
		*word |= map_bit(at);
	}
	return (0);
}

u_int
hv_balloon_map_take(struct hv_balloon_map *bm, uint64_t frame, u_int n)
{
	uint64_t *word;
	u_int i;

	for (i = 0; i < n; i++) {
		word = map_word(bm, frame + i);
		if (word == NULL || (*word & map_bit(frame + i)) == 0)
			break;
		*word &= ~map_bit(frame + i);
	}
	return (i);
}

uint64_t
hv_balloon_map_next(const struct hv_balloon_map *bm, uint64_t frame)
{
	uint64_t *word, bits;

	while (frame < bm->bm_frames) {
		word = map_word(bm, frame);
		if (word == NULL) {
			frame = roundup2(frame + 1, HV_BALLOON_PIECE);
			continue;
		}
		bits = *word & ~(map_bit(frame) - 1);
		if (bits != 0)
			return (rounddown2(frame, WORD_BITS) +
			    (u_int)ffsll((long long)bits) - 1);
		frame = roundup2(frame + 1, WORD_BITS);
	}
	return (UINT64_MAX);
}
