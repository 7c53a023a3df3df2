/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Faults of packets: what a channel's device reads and writes can be dropped,
 * kept, doubled and changed here.  The key is the first word of the payload,
 * for storage its operation; the status is its third (protocol: storvsc).
 * In a pipe it is the message's type (protocol: utilities, 2.2).
 */

#include <stdlib.h>
#include <string.h>

#include "vmbus/bus.h"

#define	STATUS_OFFSET	8
#define	OPERATION_COMPLETE	1u
#define	OFFER_PIPE	0x0010
#define	PIPE_IC_TYPE	12

static uint32_t
payload_key(const struct hvh_chan *ch, const void *data, uint32_t len)
{
	uint32_t key = 0;
	uint16_t type;

	if ((ch->ch_vms.c_flags & OFFER_PIPE) != 0 &&
	    len >= PIPE_IC_TYPE + sizeof(type)) {
		memcpy(&type, (const uint8_t *)data + PIPE_IC_TYPE,
		    sizeof(type));
		return (HVH_FAULT_IC(type));
	}

	if (len >= sizeof(key))
		memcpy(&key, data, sizeof(key));
	return (key);
}

static void
kept_unlink(struct hvh_kept **list, struct hvh_kept *k)
{

	for (; *list != k; list = &(*list)->k_next)
		;
	*list = k->k_next;
	k->k_next = NULL;
}

/* An incoming one joins those the device reads next. */
static void
inject(struct hvh_chan *ch, struct hvh_kept *k)
{
	struct hvh_kept **p;

	for (p = &ch->ch_inject; *p != NULL; p = &(*p)->k_next)
		;
	k->k_next = NULL;
	*p = k;
	hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
}

static void
kept_release(struct hvh_chan *ch, struct hvh_kept *k)
{

	if (!k->k_out) {
		inject(ch, k);
		return;
	}
	/* No room now: it is lost, which is what faults are for. */
	hvh_chan_put(ch, &k->k_desc, k->k_data, k->k_len);
	free(k);
}

static void
kept_late(void *arg)
{
	struct hvh_kept *k = arg;

	kept_unlink(&k->k_chan->ch_delayed, k);
	kept_release(k->k_chan, k);
}

static struct hvh_kept *
keep(struct hvh_chan *ch, bool out, const void *data, uint32_t len)
{
	struct hvh_kept *k;

	k = calloc(1, sizeof(*k) + ((len + 7) & ~7u));
	if (k == NULL)
		return (NULL);
	k->k_chan = ch;
	k->k_out = out;
	k->k_len = len;
	memcpy(k->k_data, data, len);
	return (k);
}

static void
keep_until(struct hvh_chan *ch, struct hvh_kept *k, const struct hvh_fault *f)
{

	if (k == NULL)
		return;
	if (f->action == HVH_FAULT_HOLD) {
		hvh_fault_passed_packet(ch, k->k_out);
		ch->ch_held[k->k_out] = k;
		return;
	}
	k->k_next = ch->ch_delayed;
	ch->ch_delayed = k;
	k->k_timer.fn = kept_late;
	k->k_timer.arg = k;
	hvh_timer_set(ch->ch_h, &k->k_timer, hvh_now(ch->ch_h) + f->arg);
}

void
hvh_fault_passed_packet(struct hvh_chan *ch, bool out)
{
	struct hvh_kept *k = ch->ch_held[out];

	ch->ch_held[out] = NULL;
	if (k != NULL)
		kept_release(ch, k);
}

uint32_t
hvh_fault_injected(struct hvh_chan *ch)
{
	struct hvh_kept *k = ch->ch_inject;
	uint32_t bytes = k->k_len;

	ch->ch_inject = k->k_next;
	if (hvh_chan_reserve(ch, bytes) == 0)
		memcpy(ch->ch_buf, k->k_data, bytes);
	else
		bytes = 0;
	free(k);
	return (bytes);
}

void
hvh_fault_forget_packets(struct hvh_chan *ch)
{
	struct hvh_kept *k;

	while ((k = ch->ch_inject) != NULL) {
		ch->ch_inject = k->k_next;
		free(k);
	}
	while ((k = ch->ch_delayed) != NULL) {
		ch->ch_delayed = k->k_next;
		hvh_timer_clear(ch->ch_h, &k->k_timer);
		free(k);
	}
	for (unsigned i = 0; i < 2; i++) {
		free(ch->ch_held[i]);
		ch->ch_held[i] = NULL;
	}
}

static void
rescind_soon(struct hvh_chan *ch)
{
	uint32_t id = ch->ch_vms.c_id;

	/* The device is at work: when it has returned. */
	ch->ch_bus->b_rescind[id / 64] |= 1ull << id % 64;
}

/*
 * Answers a request with its own payload, a status, and the operation that
 * VSTOR gives to all its answers: guests look for nothing else.
 */
static void
refuse(struct hvh_chan *ch, uint64_t xid, uint8_t *data, uint32_t len,
    uint32_t status)
{
	struct vms_pkt desc = {
		.vp_type = VMS_PKT_COMPLETION,
		.vp_offset = 2,
		.vp_len = (uint16_t)((sizeof(desc) + len + 7) / 8),
		.vp_xid = xid,
	};
	const uint32_t complete = OPERATION_COMPLETE;

	if (len >= STATUS_OFFSET + sizeof(status)) {
		memcpy(data, &complete, sizeof(complete));
		memcpy(data + STATUS_OFFSET, &status, sizeof(status));
	}
	hvh_chan_put(ch, &desc, data, len);
}

bool
hvh_fault_packet_in(struct hvh_chan *ch, uint32_t *bytes)
{
	struct vms_pkt *d = (struct vms_pkt *)(void *)ch->ch_buf;
	uint8_t *data = ch->ch_buf + d->vp_offset * 8u;
	size_t len = *bytes - d->vp_offset * 8u;
	struct hvh_fault f;
	struct hvh_kept *k;

	if (!hvh_fault_strikes(ch->ch_h, HVH_FAULT_PKT_IN,
	    payload_key(ch, data, (uint32_t)len), &f))
		return (true);
	switch (f.action) {
	case HVH_FAULT_DROP:
		return (false);
	case HVH_FAULT_DELAY:
	case HVH_FAULT_HOLD:
		keep_until(ch, keep(ch, false, ch->ch_buf, *bytes), &f);
		return (false);
	case HVH_FAULT_DUP:
		k = keep(ch, false, ch->ch_buf, *bytes);
		if (k != NULL)
			inject(ch, k);
		return (true);
	case HVH_FAULT_STATUS:
		refuse(ch, d->vp_xid, data, (uint32_t)len, (uint32_t)f.arg);
		return (false);
	case HVH_FAULT_RESCIND:
		rescind_soon(ch);
		return (true);
	default:
		hvh_fault_apply(&f, data, &len);
		*bytes = d->vp_offset * 8u + (uint32_t)len;
		return (true);
	}
}

bool
hvh_fault_packet_out(struct hvh_chan *ch, const struct vms_pkt *desc,
    const void **data, uint32_t *len, void **copy, bool *twice)
{
	struct hvh_fault f;
	struct hvh_kept *k;
	size_t size = *len;
	uint32_t status;

	if (!hvh_fault_strikes(ch->ch_h, HVH_FAULT_PKT_OUT,
	    payload_key(ch, *data, *len), &f))
		return (true);
	switch (f.action) {
	case HVH_FAULT_DROP:
		return (false);
	case HVH_FAULT_DELAY:
	case HVH_FAULT_HOLD:
		k = keep(ch, true, *data, *len);
		if (k != NULL) {
			k->k_desc = *desc;
			k->k_desc.vp_offset = 2;
			k->k_desc.vp_len = (uint16_t)((sizeof(*desc) + *len +
			    7) / 8);
		}
		keep_until(ch, k, &f);
		return (false);
	case HVH_FAULT_DUP:
		*twice = true;
		return (true);
	case HVH_FAULT_RESCIND:
		rescind_soon(ch);
		return (true);
	default:
		break;
	}
	*copy = malloc(size == 0 ? 1 : size);
	if (*copy == NULL)
		return (false);
	memcpy(*copy, *data, size);
	if (f.action == HVH_FAULT_STATUS) {
		status = (uint32_t)f.arg;
		if (size >= STATUS_OFFSET + sizeof(status))
			memcpy((uint8_t *)*copy + STATUS_OFFSET, &status,
			    sizeof(status));
	}
	hvh_fault_apply(&f, *copy, &size);
	*data = *copy;
	*len = (uint32_t)size;
	return (true);
}
