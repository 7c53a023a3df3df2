/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The receive buffer: slots of one size, of which the first few are kept for
 * control messages, and the transfer-page packets that lend them to the
 * guest.  A slot is free, in a batch, or the guest's; the guest gives all of
 * a packet back at once, by the packet's id, which is looked up here and
 * believed only if it is one the channel has outstanding.
 * protocol: netvsc, 3.3 and 4.2
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network/nvsp_var.h"

int
nvsp_slots_make(struct hvh_net *na)
{
	uint64_t size = (uint64_t)na->rx->npages * 4096;
	uint32_t i;

	/* A multiple of 8, as all else in a channel. */
	na->slot_size = (NVSP_SLOT_HEAD + na->mtu + NVSP_SLOT_TAIL + 7) & ~7u;
	na->nslots = (uint32_t)(size / na->slot_size);
	if (na->nslots == 0)
		return (EINVAL);
	na->slots = calloc(na->nslots, sizeof(*na->slots));
	if (na->slots == NULL)
		return (ENOMEM);
	na->control_slots = na->nslots > 2 * NVSP_CONTROL_SLOTS ?
	    NVSP_CONTROL_SLOTS : (na->nslots + 1) / 2;
	na->free_control = na->free_data = NVSP_NO_SLOT;
	na->nfree = 0;
	/* The first is to be on top. */
	for (i = na->nslots; i-- > 0;)
		nvsp_slot_give(na, i);
	return (0);
}

void
nvsp_slots_free(struct hvh_net *na)
{

	free(na->slots);
	na->slots = NULL;
	na->nslots = 0;
	na->nfree = 0;
	na->free_control = na->free_data = NVSP_NO_SLOT;
}

uint32_t
nvsp_slot_take(struct hvh_net *na, bool control)
{
	uint32_t *head, slot;

	head = control ? &na->free_control : &na->free_data;
	slot = *head;
	if (slot == NVSP_NO_SLOT)
		return (slot);
	*head = na->slots[slot].next;
	na->slots[slot].next = NVSP_NO_SLOT;
	if (!control)
		na->nfree--;
	return (slot);
}

void
nvsp_slot_give(struct hvh_net *na, uint32_t slot)
{
	uint32_t *head;

	head = slot < na->control_slots ? &na->free_control : &na->free_data;
	na->slots[slot].first = false;
	na->slots[slot].next = *head;
	*head = slot;
	if (slot >= na->control_slots)
		na->nfree++;
}

/* A guest processor that sleeps shall not starve the others' channels. */
uint32_t
nvsp_slot_quota(const struct hvh_net *na)
{

	return ((na->nslots - na->control_slots) / na->channels);
}

void
nvsp_slot_write(struct hvh_net *na, uint32_t slot, uint32_t ofs,
    const void *data, uint32_t len)
{
	const uint8_t *from = data;
	size_t at = (size_t)slot * na->slot_size + ofs;
	uint32_t n;

	if (na->rx->flat != NULL) {
		memcpy(na->rx->flat + at, from, len);
		return;
	}
	for (; len > 0; at += n, from += n, len -= n) {
		n = 4096 - (uint32_t)(at % 4096);
		if (n > len)
			n = len;
		memcpy(na->rx->pages[at / 4096] + at % 4096, from, n);
	}
}

bool
nvsp_slots_returned(struct nvsp_chan *c, uint64_t xid)
{
	struct hvh_net *na = c->na;
	uint32_t next, slot;

	if (xid >= na->nslots || !na->slots[xid].first ||
	    na->slots[xid].owner != c->idx)
		return (false);
	for (slot = (uint32_t)xid; slot != NVSP_NO_SLOT; slot = next) {
		next = na->slots[slot].next;
		nvsp_slot_give(na, slot);
		c->held--;
	}
	return (true);
}

void
nvsp_slots_reclaim(struct nvsp_chan *c)
{
	struct hvh_net *na = c->na;
	uint32_t i, next;

	for (i = c->batch.first; c->batch.n > 0; i = next) {
		next = na->slots[i].next;
		nvsp_slot_give(na, i);
		c->batch.n--;
	}
	for (i = 0; i < na->nslots; i++) {
		if (na->slots[i].first && na->slots[i].owner == c->idx)
			nvsp_slots_returned(c, i);
	}
}

/* --- Batches --- */

uint32_t
nvsp_batch_max(const struct hvh_net *na)
{

	return (na->version >= NVSP_VERSION_6_1 &&
	    (na->capabilities & NVSP_CAP_RSC) != 0 ? NVSP_RANGES_RSC :
	    NVSP_RANGES);
}

void
nvsp_batch_add(struct nvsp_chan *c, uint32_t slot, uint32_t len)
{
	struct nvsp_batch *b = &c->batch;
	struct nvsp_xfer_range r = {
		.len = len,
		.offset = slot * c->na->slot_size,
	};

	if (b->n == 0)
		b->first = slot;
	else
		c->na->slots[b->last].next = slot;
	b->last = slot;
	memcpy(b->buf + sizeof(struct nvsp_xfer_head) + b->n * sizeof(r), &r,
	    sizeof(r));
	b->n++;
}

bool
nvsp_batch_write(struct nvsp_chan *c, uint32_t channel_type)
{
	struct nvsp_batch *b = &c->batch;
	struct hvh_net *na = c->na;
	struct nvsp_xfer_head xh = { .set = na->rx_id, .count = b->n };
	struct nvsp_msg msg = {
		.type = NVSP_RNDIS_PACKET,
		.rndis = { .channel_type = channel_type,
		    .section = NVSP_NO_SECTION },
	};
	uint32_t len;
	int error;

	if (b->n == 0)
		return (true);
	len = (uint32_t)(sizeof(xh) +
	    b->n * sizeof(struct nvsp_xfer_range));
	memcpy(b->buf, &xh, sizeof(xh));
	memcpy(b->buf + len, &msg, nvsp_msg_size(na));
	error = hvh_chan_write(c->ch, PKT_XFERPAGES, PKT_WANTS_COMPLETION,
	    b->first, b->buf, len + nvsp_msg_size(na));
	if (error == EAGAIN)
		return (false);
	na->slots[b->first].first = true;
	na->slots[b->first].owner = c->idx;
	c->held += b->n;
	b->n = 0;
	if (error != 0)
		c->shut = true;
	else if (channel_type == NVSP_CHANNEL_DATA)
		na->stats.rx_messages++;
	return (true);
}
