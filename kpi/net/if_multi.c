/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Addresses of an interface: its own and the multicast groups it listens to.
 * Groups are link-layer addresses only, since no protocol joins any.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/epoch.h>
#include <sys/malloc.h>
#include <sys/proc.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/taskqueue.h>

#include <net/ethernet.h>
#include <net/if_dl.h>
#include <net/if_types.h>

MALLOC_DECLARE(M_IFMADDR);

static void
ifma_destroy(epoch_context_t ctx)
{

	free(__containerof(ctx, struct ifmultiaddr, ifma_epoch_ctx),
	    M_IFMADDR);
}

struct ifmultiaddr *
if_findmulti(struct ifnet *ifp, const struct sockaddr *sa)
{
	struct ifmultiaddr *ifma;

	IF_ADDR_LOCK_ASSERT(ifp);
	CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
		if (sa->sa_len == ifma->ifma_addr->sa_len &&
		    memcmp(sa, ifma->ifma_addr, sa->sa_len) == 0)
			break;
	return (ifma);
}

int
if_addmulti(struct ifnet *ifp, struct sockaddr *sa, struct ifmultiaddr **ret)
{
	struct ifmultiaddr *ifma;
	const struct sockaddr_dl *sdl = (const void *)sa;

	KASSERT(sa->sa_family == AF_LINK,
	    ("if_addmulti: address family %u", sa->sa_family));
	if (sdl->sdl_alen != ifp->if_addrlen ||
	    !ETHER_IS_MULTICAST(LLADDR(sdl)))
		return (EADDRNOTAVAIL);
	IF_ADDR_WLOCK(ifp);
	ifma = if_findmulti(ifp, sa);
	if (ifma != NULL) {
		ifma->ifma_refcount++;
		if (ret != NULL)
			*ret = ifma;
		IF_ADDR_WUNLOCK(ifp);
		return (0);
	}
	ifma = malloc(sizeof(*ifma) + sa->sa_len, M_IFMADDR, M_NOWAIT | M_ZERO);
	if (ifma == NULL) {
		IF_ADDR_WUNLOCK(ifp);
		return (ENOMEM);
	}
	ifma->ifma_addr = (void *)(ifma + 1);
	memcpy(ifma->ifma_addr, sa, sa->sa_len);
	ifma->ifma_ifp = ifp;
	ifma->ifma_refcount = 1;
	ifma->ifma_flags = IFMA_F_ENQUEUED;
	CK_STAILQ_INSERT_HEAD(&ifp->if_multiaddrs, ifma, ifma_link);
	if (ret != NULL)
		*ret = ifma;
	IF_ADDR_WUNLOCK(ifp);
	/* The driver looks the list up; that it may refuse is not heard. */
	if (THREAD_CAN_SLEEP())
		(void)ifp->if_ioctl(ifp, SIOCADDMULTI, NULL);
	else
		(void)taskqueue_enqueue(taskqueue_swi, &ifp->if_addmultitask);
	return (0);
}

int
if_delmulti(struct ifnet *ifp, struct sockaddr *sa)
{
	struct ifmultiaddr *ifma;
	bool last = false;

	IF_ADDR_WLOCK(ifp);
	ifma = if_findmulti(ifp, sa);
	if (ifma != NULL && --ifma->ifma_refcount == 0) {
		last = true;
		CK_STAILQ_REMOVE(&ifp->if_multiaddrs, ifma, ifmultiaddr,
		    ifma_link);
	}
	IF_ADDR_WUNLOCK(ifp);
	if (ifma == NULL)
		return (ENOENT);
	if (last) {
		NET_EPOCH_CALL(ifma_destroy, &ifma->ifma_epoch_ctx);
		(void)ifp->if_ioctl(ifp, SIOCDELMULTI, NULL);
	}
	return (0);
}

/* Detached: whoever joined has no interface any more. */
void
kpi_if_purge_multi(struct ifnet *ifp)
{
	struct ifmultiaddr *ifma;

	IF_ADDR_WLOCK(ifp);
	while ((ifma = CK_STAILQ_FIRST(&ifp->if_multiaddrs)) != NULL) {
		CK_STAILQ_REMOVE_HEAD(&ifp->if_multiaddrs, ifma_link);
		NET_EPOCH_CALL(ifma_destroy, &ifma->ifma_epoch_ctx);
	}
	IF_ADDR_WUNLOCK(ifp);
}

/* --- How drivers read them --- */

/* The callback is called in the epoch: it may not sleep. */
u_int
if_foreach_llmaddr(if_t ifp, iflladdr_cb_t cb, void *arg)
{
	struct epoch_tracker et;
	struct ifmultiaddr *ifma;
	u_int count = 0;

	NET_EPOCH_ENTER(et);
	CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
		count += cb(arg, (void *)ifma->ifma_addr, count);
	NET_EPOCH_EXIT(et);
	return (count);
}

u_int
if_llmaddr_count(if_t ifp)
{
	struct epoch_tracker et;
	struct ifmultiaddr *ifma;
	u_int count = 0;

	NET_EPOCH_ENTER(et);
	CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
		count++;
	NET_EPOCH_EXIT(et);
	return (count);
}

bool
if_maddr_empty(if_t ifp)
{

	return (CK_STAILQ_EMPTY(&ifp->if_multiaddrs));
}

u_int
if_foreach_lladdr(if_t ifp, iflladdr_cb_t cb, void *arg)
{

	return (cb(arg, (void *)ifp->if_addr->ifa_addr, 0));
}

/* The driver's filter is set anew by taking the interface down and up. */
int
if_setlladdr(struct ifnet *ifp, const u_char *lladdr, int len)
{
	struct sockaddr_dl *sdl = (void *)ifp->if_addr->ifa_addr;
	struct ifreq ifr;
	int up;

	if (len != sdl->sdl_alen)
		return (EINVAL);
	memcpy(LLADDR(sdl), lladdr, len);
	if ((if_getflags(ifp) & IFF_UP) != 0) {
		for (up = 0; up < 2; up++) {
			(void)if_setflagbits(ifp, up ? IFF_UP : 0,
			    up ? 0 : IFF_UP);
			memset(&ifr, 0, sizeof(ifr));
			ifr.ifr_flags = if_getflags(ifp) & 0xffff;
			ifr.ifr_flagshigh = if_getflags(ifp) >> 16;
			(void)ifp->if_ioctl(ifp, SIOCSIFFLAGS, (caddr_t)&ifr);
		}
	}
	EVENTHANDLER_INVOKE(iflladdr_event, ifp);
	return (0);
}
