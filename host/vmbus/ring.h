/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * One ring in guest memory, seen by its host-side writer or reader
 * (protocol: vmbus, 7).  Pure: no locks, no signals sent, no allocation; who
 * uses it does what the return values say.  The guest is the other side:
 * each of its words is read once and checked, one's own index is never read
 * back.
 */

#ifndef HVH_RING_H
#define	HVH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/vmbus_reg.h"

/* Why a ring cannot be used any more. */
enum hvr_corrupt {
	HVR_OK,
	HVR_BAD_INDEX,		/* the peer's index: range or alignment */
	HVR_BAD_LENGTH,		/* descriptor: length or offset */
	HVR_BAD_TYPE,		/* descriptor: type or flag unknown */
	HVR_BAD_RANGES,		/* range count or a range */
};

enum hvr_result { HVR_PACKET, HVR_EMPTY, HVR_CORRUPT };

struct hvh_ring {
	struct vms_ring_ctl *r_ctl;	/* guest memory */
	uint8_t		*r_flat;	/* data, if contiguous here, or NULL */
	uint8_t *const	*r_pages;	/* data pages otherwise */
	uint32_t	 r_size;	/* bytes of data */
	uint32_t	 r_pos;		/* own index: where the next one is */
	uint32_t	 r_shown;	/* own index as the peer knows it */
	uint32_t	 r_peer;	/* peer's index, last good look */
	enum hvr_corrupt r_corrupt;	/* the first offence */
};

/*
 * npages pages, the first the control page; pages[] stays the caller's and
 * must outlive the ring.  Takes the indices as they are in the control page:
 * EINVAL if they are bad.
 */
int	hvr_init_reader(struct hvh_ring *r, uint8_t *const *pages,
	    uint32_t npages);
int	hvr_init_writer(struct hvh_ring *r, uint8_t *const *pages,
	    uint32_t npages);

/*
 * Reader.  hvr_peek() tells the bytes of the next packet, descriptor
 * included and trailer not; hvr_take() copies it and steps over it.  What the
 * descriptor said is taken from the first copy, whatever the guest changes.
 */
enum hvr_result hvr_peek(struct hvh_ring *r, struct vms_pkt *desc,
	    uint32_t *bytes);
void	hvr_take(struct hvh_ring *r, const struct vms_pkt *desc, void *buf,
	    uint32_t bytes);
/* Shows the peer what was read; true: it waits for room, signal it (7.8). */
bool	hvr_release(struct hvh_ring *r);
/* Interrupt mask, for the batch protocol of 7.7. */
void	hvr_mask(struct hvh_ring *r);
/* Clears the mask; false: data has come meanwhile (masked again). */
bool	hvr_unmask(struct hvh_ring *r);
/* A look past the rules: is there anything to read? */
bool	hvr_pending(struct hvh_ring *r);

/* Bytes a packet with a type header of hdr and payload of len takes. */
static inline uint32_t
hvr_need(uint32_t hdr, uint32_t len)
{

	return (sizeof(struct vms_pkt) + ((hdr + len + 7) & ~7u) +
	    VMS_PKT_TRAILER);
}

/*
 * Writer.  hvr_put() wants room to have been checked and returns false
 * otherwise.  Nothing is seen by the peer until hvr_show().
 */
bool	hvr_room(struct hvh_ring *r, uint32_t need);
bool	hvr_put(struct hvh_ring *r, const struct vms_pkt *desc,
	    const void *hdr, uint32_t hdrlen, const void *data, uint32_t len);
/* Shows what was put; true: the peer wants a signal (7.7). */
bool	hvr_show(struct hvh_ring *r);
/* Bytes that it will show. */
uint32_t hvr_unshown(const struct hvh_ring *r);
/* Asks for a signal at need bytes of room; true: there is room already. */
bool	hvr_wait_room(struct hvh_ring *r, uint32_t need);
void	hvr_wait_done(struct hvh_ring *r);

#endif	/* !HVH_RING_H */
