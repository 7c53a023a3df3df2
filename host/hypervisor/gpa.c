/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Guest-physical memory: the one translation of an address the guest supplied
 * into a pointer, and pages that lie over it.  Nothing else in the library
 * turns a guest's number into an address.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/partition.h"

const struct hvh_mem_region *
hvh_gpa_regions(struct hvh *h, unsigned *n)
{

	*n = h->h_cf.nmem;
	return (h->h_cf.mem);
}

void *
hvh_gpa_ptr(struct hvh *h, hvh_gpa_t gpa, uint64_t len)
{
	const struct hvh_mem_region *r;
	uint64_t ofs;

	for (unsigned i = 0; i < h->h_cf.nmem; i++) {
		r = &h->h_cf.mem[i];
		if (gpa.gpa < r->gpa)
			continue;
		ofs = gpa.gpa - r->gpa;
		if (ofs < r->size && len <= r->size - ofs)
			return ((uint8_t *)r->host + ofs);
	}
	return (NULL);
}

/* The largest piece at gpa, at most len; NULL: no guest memory there. */
static void *
gpa_piece(struct hvh *h, uint64_t gpa, uint64_t len, uint64_t *got)
{
	const struct hvh_mem_region *r;
	uint64_t ofs;

	for (unsigned i = 0; i < h->h_cf.nmem; i++) {
		r = &h->h_cf.mem[i];
		if (gpa < r->gpa)
			continue;
		ofs = gpa - r->gpa;
		if (ofs >= r->size)
			continue;
		*got = len < r->size - ofs ? len : r->size - ofs;
		return ((uint8_t *)r->host + ofs);
	}
	return (NULL);
}

/* All of it is guest memory, perhaps in several regions. */
static bool
gpa_valid(struct hvh *h, uint64_t gpa, uint64_t len)
{
	uint64_t got;

	if (gpa + len < gpa)
		return (false);
	while (len > 0) {
		if (gpa_piece(h, gpa, len, &got) == NULL)
			return (false);
		gpa += got;
		len -= got;
	}
	return (true);
}

int
hvh_gpa_read(struct hvh *h, hvh_gpa_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;
	uint64_t at = gpa.gpa, got;
	void *p;

	if (!gpa_valid(h, at, len))
		return (EFAULT);
	while (len > 0) {
		p = gpa_piece(h, at, len, &got);
		memcpy(to, p, got);
		to += got;
		at += got;
		len -= got;
	}
	return (0);
}

int
hvh_gpa_write(struct hvh *h, hvh_gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	uint64_t at = gpa.gpa, got;
	void *p;

	if (!gpa_valid(h, at, len))
		return (EFAULT);
	while (len > 0) {
		p = gpa_piece(h, at, len, &got);
		memcpy(p, from, got);
		from += got;
		at += got;
		len -= got;
	}
	return (0);
}

int
hvh_range_iov(struct hvh *h, const struct hvh_range *r, uint64_t skip,
    uint64_t len, struct iovec *iov, int max, int *niov)
{
	uint64_t at, piece;
	uint8_t *p;
	int n = 0;

	*niov = 0;
	if (skip > r->len || len > r->len - skip)
		return (EFAULT);
	at = r->ofs + skip;
	while (len > 0) {
		uint64_t page = at >> HV_PAGE_SHIFT;
		uint64_t in = at & (HV_PAGE_SIZE - 1);

		if (page >= r->npfn || r->pfn[page] > UINT64_MAX >>
		    HV_PAGE_SHIFT)
			return (EFAULT);
		piece = HV_PAGE_SIZE - in < len ? HV_PAGE_SIZE - in : len;
		p = hvh_gpa_ptr(h, (hvh_gpa_t){ (r->pfn[page] <<
		    HV_PAGE_SHIFT) + in }, piece);
		if (p == NULL)
			return (EFAULT);
		if (n > 0 && (uint8_t *)iov[n - 1].iov_base +
		    iov[n - 1].iov_len == p) {
			iov[n - 1].iov_len += piece;
		} else {
			if (n == max)
				return (ENOSPC);
			iov[n].iov_base = p;
			iov[n++].iov_len = piece;
		}
		at += piece;
		len -= piece;
	}
	*niov = n;
	return (0);
}

int
hvh_overlay_put(struct hvh *h, struct hvh_overlay *ov, uint64_t gpa)
{
	uint8_t *page;

	page = hvh_gpa_ptr(h, (hvh_gpa_t){ gpa }, HV_PAGE_SIZE);
	if (page == NULL)
		return (EPERM);
	if (page == ov->ov_page)
		return (0);
	if (ov->ov_content == NULL) {
		ov->ov_content = calloc(2, HV_PAGE_SIZE);
		if (ov->ov_content == NULL)
			return (EPERM);
		ov->ov_under = ov->ov_content + HV_PAGE_SIZE;
	}
	hvh_overlay_take(ov);
	memcpy(ov->ov_under, page, HV_PAGE_SIZE);
	memcpy(page, ov->ov_content, HV_PAGE_SIZE);
	ov->ov_page = page;
	return (0);
}

void
hvh_overlay_take(struct hvh_overlay *ov)
{

	if (ov->ov_page == NULL)
		return;
	memcpy(ov->ov_content, ov->ov_page, HV_PAGE_SIZE);
	memcpy(ov->ov_page, ov->ov_under, HV_PAGE_SIZE);
	ov->ov_page = NULL;
}

void
hvh_overlay_free(struct hvh_overlay *ov)
{

	hvh_overlay_take(ov);
	free(ov->ov_content);
	ov->ov_content = ov->ov_under = NULL;
}
