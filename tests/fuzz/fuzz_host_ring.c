/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The host's ring reader and writer against a guest that writes anything
 * anywhere in the shared pages between any two steps.
 */

#include <stdlib.h>
#include <string.h>

#include "vmbus/ring.h"

#define	PAGES	3
#define	SIZE	((PAGES - 1) * 4096u)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *pages[2 * PAGES];

/* Pages of their own, so that a byte beyond one is seen. */
static void
ring_pages(bool flat)
{
	static uint8_t *block;

	if (block == NULL)
		block = aligned_alloc(4096, PAGES * 4096);
	memset(block, 0, PAGES * 4096);
	for (unsigned i = 0; i < PAGES; i++) {
		if (pages[i] == NULL)
			pages[i] = aligned_alloc(4096, 4096);
		memset(pages[i], 0, 4096);
		pages[PAGES + i] = flat ? block + i * 4096 : pages[i];
	}
}

/* Invariants of what the library itself keeps and writes. */
static void
check(const struct hvh_ring *r)
{

	if (r->r_pos >= r->r_size || r->r_pos % 8 != 0 ||
	    r->r_shown >= r->r_size || r->r_shown % 8 != 0 ||
	    r->r_peer >= r->r_size || r->r_peer % 8 != 0)
		abort();
}

static void
guest_writes(uint8_t *const *p, const uint8_t **d, size_t *n)
{
	static const uint16_t words[] = { 0, 4, 8, 12, 64 };
	uint32_t at, len;

	if (*n < 7)
		return;
	at = (*d)[0] | (*d)[1] << 8;
	if ((*d)[2] & 1) {
		/* A control word, or one near an index. */
		memcpy(p[0] + words[at % 5], *d + 3, 4);
		*d += 7;
		*n -= 7;
		return;
	}
	len = (*d)[2] % 32;
	*d += 3;
	*n -= 3;
	for (; len > 0 && *n > 0; len--, at++, (*d)++, (*n)--)
		p[1 + at / 4096 % (PAGES - 1)][at % 4096] = **d;
}

static void
reader_step(struct hvh_ring *r, unsigned op)
{
	static uint8_t buf[SIZE] __attribute__((aligned(8)));
	struct vms_pkt desc;
	uint32_t bytes, out;

	switch (op % 4) {
	case 0:
		if (hvr_peek(r, &desc, &bytes) != HVR_PACKET)
			break;
		if (bytes < sizeof(desc) || bytes > r->r_size - 8 ||
		    desc.vp_offset * 8u > bytes)
			abort();
		hvr_take(r, &desc, buf, bytes);
		if (memcmp(buf, &desc, sizeof(desc)) != 0)
			abort();
		break;
	case 1:
		hvr_release(r);
		memcpy(&out, &r->r_ctl->rc_out, sizeof(out));
		if (r->r_corrupt == HVR_OK && out != r->r_pos &&
		    r->r_shown != r->r_pos)
			abort();
		break;
	case 2:
		hvr_unmask(r);
		break;
	case 3:
		hvr_mask(r);
		break;
	}
}

static void
writer_step(struct hvh_ring *r, unsigned op, uint32_t len)
{
	static const uint8_t data[SIZE];
	struct vms_pkt desc = { .vp_type = 11, .vp_offset = 2 };

	switch (op % 3) {
	case 0:
		desc.vp_len = (uint16_t)((16 + len + 7) / 8);
		if (!hvr_room(r, hvr_need(0, len)) &&
		    hvr_put(r, &desc, NULL, 0, data, len))
			abort();
		hvr_put(r, &desc, NULL, 0, data, len);
		break;
	case 1:
		hvr_show(r);
		break;
	case 2:
		if (!hvr_wait_room(r, hvr_need(0, len)))
			hvr_wait_done(r);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvh_ring r;
	uint8_t *const *p = pages + PAGES;
	bool writer;

	if (size < 10)
		return (0);
	ring_pages((data[0] & 1) != 0);
	writer = (data[0] & 2) != 0;
	memcpy(p[0], data + 1, 8);
	data += 9;
	size -= 9;
	if ((writer ? hvr_init_writer(&r, p, PAGES) :
	    hvr_init_reader(&r, p, PAGES)) != 0) {
		/* Bad indices are refused; go on from good ones. */
		memset(p[0], 0, 8);
		if ((writer ? hvr_init_writer(&r, p, PAGES) :
		    hvr_init_reader(&r, p, PAGES)) != 0)
			abort();
	}
	while (size >= 3) {
		unsigned op = data[0];
		uint32_t len = data[1] | (data[2] & 0x1F) << 8;

		data++;
		size--;
		if (op < 96) {
			guest_writes(p, &data, &size);
			continue;
		}
		if (writer)
			writer_step(&r, op, len);
		else
			reader_step(&r, op);
		check(&r);
	}
	return (0);
}
