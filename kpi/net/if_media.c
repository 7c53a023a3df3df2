/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ifmedia: the media an interface may have, the one it is set to.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/malloc.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/if_media.h>

static MALLOC_DEFINE(M_IFMEDIA, "ifmedia", "interface media");

void
ifmedia_init(struct ifmedia *ifm, int dontcare, ifm_change_cb_t change,
    ifm_stat_cb_t status)
{

	LIST_INIT(&ifm->ifm_list);
	ifm->ifm_cur = NULL;
	ifm->ifm_media = 0;
	ifm->ifm_mask = dontcare;
	ifm->ifm_change = change;
	ifm->ifm_status = status;
}

void
ifmedia_removeall(struct ifmedia *ifm)
{
	struct ifmedia_entry *e;

	while ((e = LIST_FIRST(&ifm->ifm_list)) != NULL) {
		LIST_REMOVE(e, ifm_list);
		free(e, M_IFMEDIA);
	}
	ifm->ifm_cur = NULL;
}

void
ifmedia_add(struct ifmedia *ifm, int word, int data, void *aux)
{
	struct ifmedia_entry *e;

	/*
	 * The kernel does not wait, and panics without memory: nothing that a
	 * driver could be tested for.
	 */
	e = malloc(sizeof(*e), M_IFMEDIA, M_WAITOK);
	e->ifm_media = word;
	e->ifm_data = data;
	e->ifm_aux = aux;
	LIST_INSERT_HEAD(&ifm->ifm_list, e, ifm_list);
}

void
ifmedia_list_add(struct ifmedia *ifm, struct ifmedia_entry *list, int count)
{

	for (; count > 0; list++, count--)
		ifmedia_add(ifm, list->ifm_media, list->ifm_data,
		    list->ifm_aux);
}

/* What of the word matters, by the mask. */
static struct ifmedia_entry *
ifmedia_find(struct ifmedia *ifm, int word)
{
	struct ifmedia_entry *e;

	LIST_FOREACH(e, &ifm->ifm_list, ifm_list)
		if (((e->ifm_media ^ word) & ~ifm->ifm_mask) == 0)
			break;
	return (e);
}

void
ifmedia_set(struct ifmedia *ifm, int word)
{

	ifm->ifm_cur = ifmedia_find(ifm, word);
	if (ifm->ifm_cur == NULL)
		panic("ifmedia_set: no media %#x", word);
	ifm->ifm_media = ifm->ifm_cur->ifm_media;
}

static int
ifmedia_change(struct ifnet *ifp, struct ifmedia *ifm, int word)
{
	struct ifmedia_entry *e, *old = ifm->ifm_cur;
	int error, oldword = ifm->ifm_media;

	e = ifmedia_find(ifm, word);
	if (e == NULL)
		return (ENXIO);
	if (IFM_SUBTYPE(word) != IFM_AUTO && e == old && word == oldword)
		return (0);
	ifm->ifm_cur = e;
	ifm->ifm_media = word;
	error = ifm->ifm_change(ifp);
	if (error != 0) {
		ifm->ifm_cur = old;
		ifm->ifm_media = oldword;
	}
	return (error);
}

static int
ifmedia_report(struct ifnet *ifp, struct ifmedia *ifm, struct ifmediareq *ifmr)
{
	struct ifmedia_entry *e;
	int count = 0, error = 0, room = ifmr->ifm_count;

	if (room < 0)
		return (EINVAL);
	ifmr->ifm_current = ifmr->ifm_active = ifm->ifm_cur != NULL ?
	    ifm->ifm_media : IFM_NONE;
	ifmr->ifm_mask = ifm->ifm_mask;
	ifmr->ifm_status = 0;
	ifm->ifm_status(ifp, ifmr);
	LIST_FOREACH(e, &ifm->ifm_list, ifm_list) {
		if (count < room && ifmr->ifm_ulist != NULL)
			ifmr->ifm_ulist[count] = e->ifm_media;
		count++;
	}
	if (room != 0 && count > room)
		error = E2BIG;
	ifmr->ifm_count = room != 0 ? MIN(count, room) : count;
	return (error);
}

int
ifmedia_ioctl(struct ifnet *ifp, struct ifreq *ifr, struct ifmedia *ifm,
    u_long cmd)
{

	switch (cmd) {
	case SIOCSIFMEDIA:
		return (ifmedia_change(ifp, ifm, ifr->ifr_media));
	case SIOCGIFMEDIA:
	case SIOCGIFXMEDIA:
		return (ifmedia_report(ifp, ifm, (struct ifmediareq *)ifr));
	default:
		return (EINVAL);
	}
}
