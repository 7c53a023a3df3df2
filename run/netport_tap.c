/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The tap device of a port.  It can be moved to another network namespace while
 * it is open: only what netport_tap_setup() does needs it where it was made.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netport_var.h"

static bool
netport_tap_failed(const char *name, const char *what, char *err,
    size_t errlen)
{

	snprintf(err, errlen, "%s: %s: %s", name, what, strerror(errno));
	return (false);
}

bool
netport_tap_open(struct netport *np, const char *name, char *err,
    size_t errlen)
{
	struct ifreq ifr;
	unsigned i;
	int fd, hdr = NETPORT_VNET;

	memset(&ifr, 0, sizeof(ifr));
	if (strlen(name) >= sizeof(ifr.ifr_name)) {
		errno = ENAMETOOLONG;
		return (netport_tap_failed(name, "tap device", err, errlen));
	}
	strcpy(ifr.ifr_name, name);
	strcpy(np->np_name, name);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
	    (np->np_nqueues > 1 ? IFF_MULTI_QUEUE : 0);
	for (i = 0; i < np->np_nqueues; i++) {
		fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return (netport_tap_failed("/dev/net/tun", "open", err,
			    errlen));
		np->np_queue[i].q_fd = fd;
		if (ioctl(fd, TUNSETIFF, &ifr) != 0 ||
		    ioctl(fd, TUNSETVNETHDRSZ, &hdr) != 0)
			return (netport_tap_failed(name, "tap device", err,
			    errlen));
	}
	return (true);
}

bool
netport_tap_setup(struct netport *np, const struct kpi_net_info *info,
    char *err, size_t errlen)
{
	unsigned offload = 0;
	struct ifreq ifr;
	int error, sock;

	if ((info->capenable & KPI_NETCAP_TXCSUM) != 0)
		offload = TUN_F_CSUM;
	if (offload != 0 && (info->capenable & KPI_NETCAP_TSO4) != 0)
		offload |= TUN_F_TSO4 | TUN_F_TSO_ECN;
	if (offload != 0 && (info->capenable & KPI_NETCAP_TSO6) != 0)
		offload |= TUN_F_TSO6;
	if (ioctl(np->np_queue[0].q_fd, TUNSETOFFLOAD, offload) != 0)
		return (netport_tap_failed(np->np_name, "offloads", err,
		    errlen));
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return (netport_tap_failed(np->np_name, "socket", err,
		    errlen));
	memset(&ifr, 0, sizeof(ifr));
	strcpy(ifr.ifr_name, np->np_name);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, info->mac, ETH_ALEN);
	error = ioctl(sock, SIOCSIFHWADDR, &ifr);
	if (error == 0) {
		ifr.ifr_mtu = info->mtu;
		error = ioctl(sock, SIOCSIFMTU, &ifr);
	}
	if (error != 0)
		(void)netport_tap_failed(np->np_name, "MAC address and MTU",
		    err, errlen);
	(void)close(sock);
	return (error == 0);
}

void
netport_tap_carrier(struct netport *np, bool up)
{
	int carrier = up;

	(void)ioctl(np->np_queue[0].q_fd, TUNSETCARRIER, &carrier);
}
