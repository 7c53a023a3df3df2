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
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
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

/*
 * Linux makes no larger segments for TSO than the guest's driver can take,
 * which only netlink can tell it.
 */
static bool
netport_tap_tsomax(unsigned ifindex, uint32_t max)
{
	struct {
		struct nlmsghdr	 nh;
		struct ifinfomsg ifi;
		struct rtattr	 rta;
		uint32_t	 max;
	} req = {
		.nh = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_NEWLINK,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex },
		.rta = { .rta_len = RTA_LENGTH(sizeof(uint32_t)),
		    .rta_type = IFLA_GSO_MAX_SIZE },
		.max = max,
	};
	struct {
		struct nlmsghdr	 nh;
		struct nlmsgerr	 err;
		char		 more[256];
	} ack;
	ssize_t n;
	int sock;

	memset(&ack, 0, sizeof(ack));
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (sock < 0)
		return (false);
	n = send(sock, &req, sizeof(req), 0);
	if (n == sizeof(req))
		n = recv(sock, &ack, sizeof(ack), 0);
	(void)close(sock);
	if (n < (ssize_t)(sizeof(ack.nh) + sizeof(ack.err)) ||
	    ack.nh.nlmsg_type != NLMSG_ERROR || ack.err.error != 0) {
		errno = n < 0 ? errno : -ack.err.error;
		return (false);
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
	if (error == 0)
		error = ioctl(sock, SIOCGIFINDEX, &ifr);
	if (error == 0 && info->tsomax != 0 &&
	    !netport_tap_tsomax(ifr.ifr_ifindex, info->tsomax))
		error = -1;
	if (error != 0)
		(void)netport_tap_failed(np->np_name,
		    "MAC address, MTU, TSO limit", err, errlen);
	(void)close(sock);
	return (error == 0);
}

void
netport_tap_carrier(struct netport *np, bool up)
{
	int carrier = up;

	(void)ioctl(np->np_queue[0].q_fd, TUNSETCARRIER, &carrier);
}
