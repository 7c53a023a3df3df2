/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What is asked of an interface by ioctl(2), before its driver is:
 * ifconfig(8)'s requests and those of the kernel itself.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/time.h>

#include <net/debugnet.h>
#include <net/if_types.h>

static void
ifr_set_flags(struct ifreq *ifr, int flags)
{

	ifr->ifr_flags = flags & 0xffff;
	ifr->ifr_flagshigh = flags >> 16;
}

/*
 * A mode that several may want, counted; pflag: the user wants it for good.
 * The driver hears of the first and the last.
 */
static int
if_count_flag(struct ifnet *ifp, int flag, int pflag, int *count, int on)
{
	int error, flags = if_getflags(ifp);
	struct ifreq ifr;

	KASSERT(on || *count > 0, ("%s: flag %#x is not set", if_name(ifp),
	    flag));
	*count += on ? 1 : -1;
	if ((flags & pflag) != 0 || *count != (on ? 1 : 0))
		return (0);
	(void)if_setflagbits(ifp, on ? flag : 0, on ? 0 : flag);
	memset(&ifr, 0, sizeof(ifr));
	ifr_set_flags(&ifr, if_getflags(ifp));
	error = if_ioctl(ifp, SIOCSIFFLAGS, &ifr);
	if (error != 0) {
		*count -= on ? 1 : -1;
		(void)if_setflags(ifp, flags);
	}
	return (error);
}

int
ifpromisc(struct ifnet *ifp, int on)
{
	int error, was = if_getflags(ifp) & IFF_PROMISC;

	error = if_count_flag(ifp, IFF_PROMISC, IFF_PPROMISC, &ifp->if_pcount,
	    on);
	if (error == 0 && (if_getflags(ifp) & IFF_PROMISC) != was)
		if_printf(ifp, "promiscuous mode %s\n",
		    was == 0 ? "enabled" : "disabled");
	return (error);
}

int
if_allmulti(struct ifnet *ifp, int on)
{

	return (if_count_flag(ifp, IFF_ALLMULTI, IFF_PALLMULTI,
	    &ifp->if_amcount, on));
}

/* The mode a user asks for, beside the count of those who want it as well. */
static int
if_user_mode(int flags, int user, int flag, int count)
{

	if ((flags & user) != 0)
		return (flags | flag);
	return (count == 0 ? flags & ~flag : flags);
}

static void
if_set_user_flags(struct ifnet *ifp, struct ifreq *ifr)
{
	int flags = (ifr->ifr_flags & 0xffff) | (ifr->ifr_flagshigh << 16);
	int old = if_getflags(ifp);
	bool up = (flags & IFF_UP) != 0 && (old & IFF_UP) == 0;

	if ((flags & IFF_UP) == 0 && (old & IFF_UP) != 0)
		if_down(ifp);
	flags = (old & IFF_CANTCHANGE) | (flags & ~IFF_CANTCHANGE);
	flags = if_user_mode(flags, IFF_PPROMISC, IFF_PROMISC, ifp->if_pcount);
	flags = if_user_mode(flags, IFF_PALLMULTI, IFF_ALLMULTI,
	    ifp->if_amcount);
	(void)if_setflags(ifp, flags);
	/* Whether the driver could is not told. */
	(void)if_ioctl(ifp, SIOCSIFFLAGS, ifr);
	if (up)
		if_up(ifp);
	kpi_if_changed(ifp);
}

static int
if_set_user_mtu(struct ifnet *ifp, struct ifreq *ifr)
{
	int error, old = if_getmtu(ifp);

	if (ifr->ifr_mtu < IF_MINMTU || ifr->ifr_mtu > IF_MAXMTU)
		return (EINVAL);
	error = if_ioctl(ifp, SIOCSIFMTU, ifr);
	if (error == 0 && if_getmtu(ifp) != old) {
		kpi_if_changed(ifp);
		DEBUGNET_NOTIFY_MTU(ifp);
	}
	return (error);
}

/* Requests that go to the driver as they are. */
static bool
if_is_drivers(u_long cmd)
{

	switch (cmd) {
	case SIOCGIFMEDIA:
	case SIOCGIFXMEDIA:
	case SIOCGIFSTATUS:
	case SIOCGI2C:
	case SIOCGIFRSSKEY:
	case SIOCGIFRSSHASH:
	case SIOCGLANPCP:
	case SIOCSIFMEDIA:
	case SIOCSLANPCP:
		return (true);
	default:
		return (false);
	}
}

int
ifhwioctl(u_long cmd, struct ifnet *ifp, caddr_t data, struct thread *td)
{
	struct ifreq *ifr = (struct ifreq *)data;

	if (ifp->if_ioctl == NULL)
		return (EOPNOTSUPP);
	switch (cmd) {
	case SIOCGIFFLAGS:
		ifr_set_flags(ifr, if_getflags(ifp) | if_getdrvflags(ifp));
		return (0);
	case SIOCSIFFLAGS:
		if_set_user_flags(ifp, ifr);
		return (0);
	case SIOCGIFCAP:
		ifr->ifr_reqcap = if_getcapabilities(ifp);
		ifr->ifr_curcap = if_getcapenable(ifp);
		return (0);
	case SIOCSIFCAP:
		if ((ifr->ifr_reqcap & ~if_getcapabilities(ifp)) != 0)
			return (EINVAL);
		return (if_ioctl(ifp, cmd, data));
	case SIOCGIFMTU:
		ifr->ifr_mtu = if_getmtu(ifp);
		return (0);
	case SIOCSIFMTU:
		return (if_set_user_mtu(ifp, ifr));
	case SIOCSIFLLADDR:
		return (if_setlladdr(ifp, (u_char *)ifr->ifr_addr.sa_data,
		    ifr->ifr_addr.sa_len));
	case SIOCGHWADDR:
		return (if_gethwaddr(ifp, ifr));
	case SIOCADDMULTI:
		return (if_addmulti(ifp, &ifr->ifr_addr, NULL));
	case SIOCDELMULTI:
		return (if_delmulti(ifp, &ifr->ifr_addr));
	case SIOCGIFINDEX:
		ifr->ifr_index = if_getindex(ifp);
		return (0);
	default:
		return (if_is_drivers(cmd) ? if_ioctl(ifp, cmd, data) :
		    ENOIOCTL);
	}
}
