/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Adapters come and go: the public functions of the network, the link, and
 * virtual functions.  protocol: netvsc, 1, 9 and 10
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "network/nvsp_var.h"

/* Guests take no notice of a link that changes faster. */
#define	NVSP_LINK_GAP		5000000000ull
#define	NVSP_DEFAULT_CHANNELS	8
#define	NVSP_DEFAULT_MTU	9000u
#define	NVSP_DEFAULT_SPEED	10000000000ull

static const char nvsp_class[] = "f8615163-df3e-46c5-913f-f2d2f965ed0e";

/* --- The link --- */

bool
nvsp_link(const struct hvh_net *na)
{

	return (na->cable && na->be != NULL && net_link(na->be));
}

/*
 * Tells the guest of the link as it is by now, if it believes otherwise; what
 * changed in between and back again is not told.
 */
void
nvsp_link_check(void *arg)
{
	struct hvh_net *na = arg;
	uint64_t now = hvh_now(na->h);

	if (!na->operational || nvsp_link(na) == na->link_told)
		return;
	if (na->link_time != 0 && now < na->link_time + NVSP_LINK_GAP) {
		hvh_timer_set(na->h, &na->link_timer,
		    na->link_time + NVSP_LINK_GAP);
		return;
	}
	na->link_told = nvsp_link(na);
	na->link_time = now;
	rndis_indicate(na, na->link_told ? RNDIS_STATUS_MEDIA_CONNECT :
	    RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0);
	hvh_timer_set(na->h, &na->reply_timer, now);
}

int
hvh_net_link(struct hvh_net *na, bool up)
{
	int error = 0;

	hvh_lock(na->h);
	if (na->gone || hvh_chan_revoked(na->primary)) {
		error = ENODEV;
	} else {
		na->cable = up;
		nvsp_link_check(na);
	}
	hvh_unlock(na->h);
	return (error);
}

int
hvh_net_keepalive(struct hvh_net *na)
{
	int error = 0;

	hvh_lock(na->h);
	if (na->gone || hvh_chan_revoked(na->primary) || !na->operational)
		error = ENODEV;
	else if (!rndis_ask_alive(na))
		error = ENOMEM;
	else
		hvh_timer_set(na->h, &na->reply_timer, hvh_now(na->h));
	hvh_unlock(na->h);
	return (error);
}

/* --- Virtual functions --- */

int
hvh_net_vf(struct hvh_net *na, bool present, uint32_t serial)
{
	int error = 0;

	hvh_lock(na->h);
	if (na->gone || hvh_chan_revoked(na->primary)) {
		error = ENODEV;
	} else {
		/* The end is told with the number of the beginning. */
		if (present)
			na->vf_serial = serial;
		na->vf = present;
		if (!present && na->vf_active) {
			na->vf_active = false;
			na->due |= NVSP_DUE_PATH;
		}
		if (nvsp_vf_capable(na))
			na->due |= NVSP_DUE_VF;
		hvh_timer_set(na->h, &na->reply_timer, hvh_now(na->h));
	}
	hvh_unlock(na->h);
	return (error);
}

/* --- Statistics --- */

void
hvh_net_get_stats(struct hvh_net *na, struct hvh_net_stats *st)
{
	unsigned i;

	hvh_lock(na->h);
	*st = na->stats;
	st->version = na->version;
	st->mtu = na->mtu - FRAME_ETHER;
	st->filter = na->filter;
	st->link_up = nvsp_link(na);
	st->vf_active = na->vf_active;
	for (i = 0; i < NVSP_CHANNELS; i++) {
		if (na->chans[i] != NULL)
			st->rx_held += na->chans[i]->held;
	}
	hvh_unlock_quiet(na->h);
}

/* --- Adapters --- */

static bool
nvsp_params_valid(const struct hvh_net_params *np)
{
	static const uint8_t none[6];

	return (np->be != NULL && (np->mac[0] & 1) == 0 &&
	    memcmp(np->mac, none, sizeof(none)) != 0 &&
	    np->max_channels <= NVSP_CHANNELS &&
	    (np->max_mtu == 0 ||
	    (np->max_mtu >= NVSP_MTU_MIN - FRAME_ETHER &&
	    np->max_mtu <= NVSP_MTU_MAX - FRAME_ETHER)));
}

static int
nvsp_new(struct hvh *h, const struct hvh_net_params *np, struct hvh_net **nap)
{
	struct hvh_net *na;

	if (!nvsp_params_valid(np))
		return (EINVAL);
	na = calloc(1, sizeof(*na));
	if (na == NULL)
		return (ENOMEM);
	na->h = h;
	na->instance = np->instance;
	memcpy(na->permanent, np->mac, sizeof(na->permanent));
	na->max_channels = np->max_channels != 0 ? np->max_channels :
	    NVSP_DEFAULT_CHANNELS;
	na->max_version = np->max_version != 0 ? np->max_version :
	    NVSP_VERSION_6_1;
	na->max_mtu = (np->max_mtu != 0 ? np->max_mtu : NVSP_DEFAULT_MTU) +
	    FRAME_ETHER;
	na->speed = np->speed != 0 ? np->speed : NVSP_DEFAULT_SPEED;
	na->monitored = np->monitored;
	na->cable = !np->link_down;
	TAILQ_INIT(&na->replies);
	na->reply_timer.fn = rndis_reply_timer;
	na->reply_timer.arg = na;
	na->link_timer.fn = nvsp_link_check;
	na->link_timer.arg = na;
	na->wait_timer.fn = rndis_rx_timer;
	na->wait_timer.arg = na;
	*nap = na;
	return (0);
}

int
hvh_net_add(struct hvh *h, const struct hvh_net_params *np,
    struct hvh_net **nap)
{
	struct hvh_offer of = { 0 };
	struct hvh_net *na;
	int error;

	error = nvsp_new(h, np, &na);
	if (error != 0)
		return (error);
	hvh_guid_parse(nvsp_class, &of.type);
	of.instance = na->instance;
	of.monitored = na->monitored;
	hvh_lock(h);
	nvsp_forget(na);
	error = np->be->user != NULL ? EBUSY : hvh_chan_offer(h, &of,
	    &nvsp_chan_ops, na, &na->primary);
	if (error == 0) {
		na->be = np->be;
		net_attach(na->be, &nvsp_net_user, na);
		/*
		 * Whatever the guest takes: to cut a large frame here costs
		 * less than to read it from the back end in pieces.
		 */
		net_accept(na->be, NET_CAN_CSUM | NET_CAN_TSO4 |
		    NET_CAN_TSO6);
	}
	hvh_unlock(h);
	if (error != 0)
		free(na);
	else
		*nap = na;
	return (error);
}

static void
nvsp_husk_free(struct hvh_husk *k)
{

	free((char *)k - offsetof(struct hvh_net, husk));
}

void
nvsp_released(void *dev)
{
	struct hvh_net *na = dev;

	hvh_timer_clear(na->h, &na->reply_timer);
	hvh_timer_clear(na->h, &na->link_timer);
	hvh_timer_clear(na->h, &na->wait_timer);
	net_attach(na->be, NULL, NULL);
	net_close_locked(na->be);
	na->be = NULL;
	if (na->removed) {
		free(na);
		return;
	}
	/* Whoever rescinded it, its owner has the pointer. */
	na->gone = true;
	na->primary = NULL;
	na->husk.free = nvsp_husk_free;
	hvh_husk_add(na->h, &na->husk);
}

void
hvh_net_remove(struct hvh_net *na)
{
	struct hvh *h = na->h;

	hvh_lock(h);
	if (na->gone) {
		hvh_husk_take(h, &na->husk);
		free(na);
	} else {
		na->removed = true;
		if (!hvh_chan_revoked(na->primary))
			hvh_chan_revoke(na->primary);
	}
	hvh_unlock(h);
	hvh_kick(h);
}
