/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Scatter/gather lists that no page list can express: pieces that begin or end
 * inside of pages (protocol: storvsc, section 2).  busdma maps each piece where
 * it is and does not join them, so these, and only these, go through a buffer
 * of the driver.  They come from pass(4) alone; every copy is counted.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/* Whether a list of virtual addresses has a hole between two pieces. */
bool
storvsc_sg_has_holes(const bus_dma_segment_t *sg, u_int cnt)
{
	u_int i;

	for (i = 0; i < cnt; i++) {
		if (i > 0 && (sg[i].ds_addr & STORVSC_PAGE_MASK) != 0)
			return (true);
		if (i + 1 < cnt && ((sg[i].ds_addr + sg[i].ds_len) &
		    STORVSC_PAGE_MASK) != 0)
			return (true);
	}
	return (false);
}

/* Copies at most len bytes between a list and a buffer; returns how many. */
size_t
storvsc_sg_copy(const bus_dma_segment_t *sg, u_int cnt, uint8_t *buf,
    size_t len, bool to_list)
{
	size_t done, n;
	void *piece;
	u_int i;

	done = 0;
	for (i = 0; i < cnt && done < len; i++) {
		n = MIN(sg[i].ds_len, len - done);
		piece = (void *)(uintptr_t)sg[i].ds_addr;
		if (to_list)
			memcpy(piece, buf + done, n);
		else
			memcpy(buf + done, piece, n);
		done += n;
	}
	return (done);
}

/* Whether the request's data must be copied: a list, and one with holes. */
bool
storvsc_sg_needed(const union ccb *ccb)
{

	return ((ccb->ccb_h.flags & CAM_DATA_MASK) == CAM_DATA_SG &&
	    (ccb->ccb_h.xflags & CAM_SG_FORMAT_IOVEC) == 0 &&
	    storvsc_sg_has_holes((bus_dma_segment_t *)ccb->csio.data_ptr,
	    ccb->csio.sglist_cnt));
}

/*
 * Gives the request a buffer, filled if data go out; c_mtx held.  ENOMEM, or
 * EINVAL if the list is shorter than the transfer.
 */
int
storvsc_sg_begin(struct storvsc_chan *c, struct storvsc_req *req)
{
	struct ccb_scsiio *csio = &req->sr_ccb->csio;

	mtx_assert(&c->c_mtx, MA_OWNED);
	if (csio->dxfer_len > c->c_sc->sc_maxio)
		return (EFBIG);
	if (req->sr_buf == NULL)
		req->sr_buf = malloc(csio->dxfer_len, M_STORVSC, M_NOWAIT |
		    M_ZERO);
	if (req->sr_buf == NULL)
		return (ENOMEM);
	if ((csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_OUT) {
		if (storvsc_sg_copy((bus_dma_segment_t *)csio->data_ptr,
		    csio->sglist_cnt, req->sr_buf, csio->dxfer_len, false) !=
		    csio->dxfer_len)
			return (EINVAL);
		c->c_copies++;
	}
	return (0);
}

/*
 * The request ended: hands out what came in, len bytes, and frees the buffer.
 * The caller owns the request.  Returns whether something was copied.
 */
bool
storvsc_sg_end(struct storvsc_req *req, uint32_t len)
{
	struct ccb_scsiio *csio = &req->sr_ccb->csio;
	bool copied;

	if (__predict_true(req->sr_buf == NULL))
		return (false);
	copied = len > 0 &&
	    (csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_IN;
	if (copied)
		(void)storvsc_sg_copy((bus_dma_segment_t *)csio->data_ptr,
		    csio->sglist_cnt, req->sr_buf, len, true);
	free(req->sr_buf, M_STORVSC);
	req->sr_buf = NULL;
	return (copied);
}
