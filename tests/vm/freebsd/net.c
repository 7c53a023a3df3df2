/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `net': interfaces.
 *
 *	net list			names
 *	net show IF			flags, MTU, address, capabilities, ...
 *	net stats IF			packets, bytes, errors
 *	net up | down IF
 *	net addr IF [-]ADDRESS/LENGTH	gives it an address, or takes it away
 *	net mtu IF BYTES
 *	net mac IF XX:XX:XX:XX:XX:XX
 *	net caps IF [-]NAME...		switches capabilities on, or off
 *	net promisc | allmulti IF 0 | 1
 *	net group IF ADDRESS MS		in this group for so long
 *	net vlan PARENT TAG		prints the name of a new interface
 *	net rss IF			hash function, types, length of the key
 *	net destroy IF
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_media.h>
#include <net/if_mib.h>
#include <net/if_vlan_var.h>
#include <netinet/in.h>
#include <netinet/in_var.h>
#include <netinet6/in6_var.h>
#include <netinet6/nd6.h>

#include "commands.h"
#include "inet.h"

static const struct {
	const char	*name;
	int		 bit;
} net_caps[] = {
	{ "rxcsum", IFCAP_RXCSUM }, { "txcsum", IFCAP_TXCSUM },
	{ "rxcsum6", IFCAP_RXCSUM_IPV6 }, { "txcsum6", IFCAP_TXCSUM_IPV6 },
	{ "tso4", IFCAP_TSO4 }, { "tso6", IFCAP_TSO6 }, { "lro", IFCAP_LRO },
	{ "vlanmtu", IFCAP_VLAN_MTU }, { "vlanhwtag", IFCAP_VLAN_HWTAGGING },
	{ "vlanhwcsum", IFCAP_VLAN_HWCSUM }, { "vlanhwtso", IFCAP_VLAN_HWTSO },
	{ "jumbo", IFCAP_JUMBO_MTU }, { "linkstate", IFCAP_LINKSTATE },
	{ "polling", IFCAP_POLLING },
};

/* An ioctl on an interface: 0 or an errno. */
static int
net_ioctl(int family, unsigned long request, void *arg)
{
	union endpoint any = { .sa.sa_family = (sa_family_t)family };
	int error, fd;

	fd = sock_open(&any, SOCK_DGRAM, 0, 0);
	if (fd < 0)
		return (-fd);
	error = -sys_ioctl(fd, request, arg);
	(void)sys_close(fd);
	return (error);
}

static int
net_request(unsigned long request, struct ifreq *ifr, const char *name)
{

	(void)copy_string(ifr->ifr_name, name, sizeof(ifr->ifr_name));
	return (net_ioctl(AF_INET, request, ifr));
}

/* The row of the interfaces' table for an index. */
static int
net_row(int index, struct ifmibdata *row)
{
	int mib[] = { CTL_NET, PF_LINK, NETLINK_GENERIC, IFMIB_IFDATA, index,
	    IFDATA_GENERAL };
	size_t size = sizeof(*row);

	return (-sys_sysctl(mib, nitems(mib), row, &size, NULL, 0));
}

/* Calls for each interface; its end, if there is one of that name. */
static int
net_find(const char *name, struct ifmibdata *row)
{
	int mib[] = { CTL_NET, PF_LINK, NETLINK_GENERIC, IFMIB_SYSTEM,
	    IFMIB_IFCOUNT };
	size_t size = sizeof(int);
	int count, error, i;

	error = -sys_sysctl(mib, nitems(mib), &count, &size, NULL, 0);
	for (i = 1; error == 0 && i <= count; i++) {
		if (net_row(i, row) != 0)
			continue;
		if (name == NULL)
			print("%s\n", row->ifmd_name);
		else if (strcmp(row->ifmd_name, name) == 0)
			return (0);
	}
	return (name == NULL || error != 0 ? error : ENXIO);
}

static int
net_show_addresses(const char *name)
{
	static char data[16 << 10];
	struct ifconf ifc = { .ifc_len = (int)sizeof(data) };
	const union endpoint *ep;
	const struct ifreq *ifr;
	char text[INET_TEXT];
	size_t at, size;
	int error;

	ifc.ifc_buf = data;
	error = net_ioctl(AF_INET, SIOCGIFCONF, &ifc);
	for (at = 0; error == 0 && at < (size_t)ifc.ifc_len; at += size) {
		ifr = (const void *)(data + at);
		size = sizeof(ifr->ifr_name) +
		    MAX(sizeof(struct sockaddr), ifr->ifr_addr.sa_len);
		ep = (const void *)&ifr->ifr_addr;
		if (strcmp(ifr->ifr_name, name) == 0 &&
		    (ep->sa.sa_family == AF_INET ||
		    ep->sa.sa_family == AF_INET6))
			print("address: %s\n", inet_text(ep, text));
	}
	return (error);
}

static int
net_show_caps(const char *name)
{
	struct ifreq ifr = {};
	size_t i;
	int error;

	error = net_request(SIOCGIFCAP, &ifr, name);
	if (error != 0)
		return (error);
	print("capable:");
	for (i = 0; i < nitems(net_caps); i++)
		if ((ifr.ifr_reqcap & net_caps[i].bit) != 0)
			print(" %s", net_caps[i].name);
	print("\nenabled:");
	for (i = 0; i < nitems(net_caps); i++)
		if ((ifr.ifr_curcap & net_caps[i].bit) != 0)
			print(" %s", net_caps[i].name);
	print("\n");
	return (0);
}

static void
net_show_media(const char *name)
{
	struct ifmediareq ifm = {};

	(void)copy_string(ifm.ifm_name, name, sizeof(ifm.ifm_name));
	/* Not every driver knows the first, which ifconfig(8) tries first. */
	if (net_ioctl(AF_INET, SIOCGIFXMEDIA, &ifm) != 0 &&
	    net_ioctl(AF_INET, SIOCGIFMEDIA, &ifm) != 0)
		return;
	print("media: 0x%x active 0x%x status %s%s\n",
	    (unsigned)ifm.ifm_current, (unsigned)ifm.ifm_active,
	    (ifm.ifm_status & IFM_AVALID) != 0 ? "valid " : "",
	    (ifm.ifm_status & IFM_ACTIVE) != 0 ? "active" : "no carrier");
}

static int
net_show(const char *name, const struct ifmibdata *row)
{
	struct ifreq ifr = {};
	const uint8_t *mac;
	int error;

	print("flags: 0x%x\nmtu: %u\nlink: %u\nbaudrate: %ju\n",
	    (unsigned)row->ifmd_flags, row->ifmd_data.ifi_mtu,
	    row->ifmd_data.ifi_link_state,
	    (uintmax_t)row->ifmd_data.ifi_baudrate);
	error = net_request(SIOCGHWADDR, &ifr, name);
	mac = (const uint8_t *)ifr.ifr_addr.sa_data;
	if (error == 0)
		print("mac: %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1],
		    mac[2], mac[3], mac[4], mac[5]);
	net_show_media(name);
	error = net_show_caps(name);
	return (error != 0 ? error : net_show_addresses(name));
}

static int
net_stats(const struct if_data *d)
{

	print("ipackets: %ju\nopackets: %ju\nibytes: %ju\nobytes: %ju\n"
	    "ierrors: %ju\noerrors: %ju\niqdrops: %ju\noqdrops: %ju\n"
	    "imcasts: %ju\nomcasts: %ju\n",
	    (uintmax_t)d->ifi_ipackets, (uintmax_t)d->ifi_opackets,
	    (uintmax_t)d->ifi_ibytes, (uintmax_t)d->ifi_obytes,
	    (uintmax_t)d->ifi_ierrors, (uintmax_t)d->ifi_oerrors,
	    (uintmax_t)d->ifi_iqdrops, (uintmax_t)d->ifi_oqdrops,
	    (uintmax_t)d->ifi_imcasts, (uintmax_t)d->ifi_omcasts);
	return (0);
}

/* --- Changes --- */

static int
net_flag(const char *name, int flag, bool on)
{
	struct ifreq ifr = {};
	int error, flags;

	error = net_request(SIOCGIFFLAGS, &ifr, name);
	if (error != 0)
		return (error);
	flags = (ifr.ifr_flags & 0xffff) | ifr.ifr_flagshigh << 16;
	flags = on ? flags | flag : flags & ~flag;
	ifr.ifr_flags = (short)flags;
	ifr.ifr_flagshigh = (short)(flags >> 16);
	return (net_request(SIOCSIFFLAGS, &ifr, name));
}

static int
net_set_caps(const char *name, int n, char **words)
{
	struct ifreq ifr = {};
	size_t c;
	int error, i;
	bool off;

	error = net_request(SIOCGIFCAP, &ifr, name);
	ifr.ifr_reqcap = ifr.ifr_curcap;
	for (i = 0; i < n && error == 0; i++) {
		off = words[i][0] == '-';
		for (c = 0; c < nitems(net_caps); c++)
			if (strcmp(net_caps[c].name, words[i] + off) == 0)
				break;
		if (c == nitems(net_caps))
			error = EINVAL;
		else if (off)
			ifr.ifr_reqcap &= ~net_caps[c].bit;
		else
			ifr.ifr_reqcap |= net_caps[c].bit;
	}
	return (error != 0 ? error : net_request(SIOCSIFCAP, &ifr, name));
}

static void
net_mask(uint8_t *mask, unsigned bits)
{

	for (; bits >= 8; bits -= 8)
		*mask++ = 0xff;
	if (bits > 0)
		*mask = (uint8_t)(0xff00 >> bits);
}

static int
net_address4(const char *name, const union endpoint *ep, unsigned bits,
    bool away)
{
	struct in_aliasreq ifra = {};
	struct ifreq ifr = {};

	if (away) {
		memcpy(&ifr.ifr_addr, ep, sizeof(ep->in));
		return (net_request(SIOCDIFADDR, &ifr, name));
	}
	(void)copy_string(ifra.ifra_name, name, sizeof(ifra.ifra_name));
	ifra.ifra_addr = ifra.ifra_mask = ep->in;
	memset(&ifra.ifra_mask.sin_addr, 0, sizeof(ifra.ifra_mask.sin_addr));
	net_mask((uint8_t *)&ifra.ifra_mask.sin_addr, bits);
	return (net_ioctl(AF_INET, SIOCAIFADDR, &ifra));
}

static int
net_address6(const char *name, const union endpoint *ep, unsigned bits,
    bool away)
{
	struct in6_aliasreq ifra = {};
	struct in6_ifreq ifr = {};

	if (away) {
		(void)copy_string(ifr.ifr_name, name, sizeof(ifr.ifr_name));
		ifr.ifr_addr = ep->in6;
		return (net_ioctl(AF_INET6, SIOCDIFADDR_IN6, &ifr));
	}
	(void)copy_string(ifra.ifra_name, name, sizeof(ifra.ifra_name));
	ifra.ifra_addr = ifra.ifra_prefixmask = ep->in6;
	memset(&ifra.ifra_prefixmask.sin6_addr, 0,
	    sizeof(ifra.ifra_prefixmask.sin6_addr));
	net_mask(ifra.ifra_prefixmask.sin6_addr.s6_addr, bits);
	ifra.ifra_lifetime.ia6t_vltime = ND6_INFINITE_LIFETIME;
	ifra.ifra_lifetime.ia6t_pltime = ND6_INFINITE_LIFETIME;
	return (net_ioctl(AF_INET6, SIOCAIFADDR_IN6, &ifra));
}

static int
net_address(const char *name, const char *arg)
{
	union endpoint ep;
	uint64_t bits;
	char text[INET_TEXT + 4], *slash;
	bool away = arg[0] == '-';

	slash = copy_string(text, arg + away, sizeof(text)) ?
	    strchr(text, '/') : NULL;
	if (slash == NULL || !number(slash + 1, &bits))
		return (EINVAL);
	*slash = '\0';
	if (!inet_parse(text, 0, &ep) ||
	    bits > (ep.sa.sa_family == AF_INET ? 32 : 128))
		return (EINVAL);
	if (ep.sa.sa_family == AF_INET)
		return (net_address4(name, &ep, (unsigned)bits, away));
	return (net_address6(name, &ep, (unsigned)bits, away));
}

static int
net_set_mac(const char *name, const char *text)
{
	struct ifreq ifr = {};
	uint64_t part;
	char hex[] = "0x00";
	int i;

	ifr.ifr_addr.sa_len = 6;
	ifr.ifr_addr.sa_family = AF_LINK;
	for (i = 0; i < 6; i++, text += 3) {
		if (strlen(text) < 2)
			return (EINVAL);
		memcpy(hex + 2, text, 2);
		if (!number(hex, &part))
			return (EINVAL);
		ifr.ifr_addr.sa_data[i] = (char)part;
	}
	return (net_request(SIOCSIFLLADDR, &ifr, name));
}

/* Joins a group for some time. */
static int
net_group(const char *name, const char *text, uint64_t ms)
{
	union endpoint ep;
	struct group_req gr = {};
	struct ifreq ifr = {};
	int error, fd;

	if (!inet_parse(text, 0, &ep))
		return (EINVAL);
	error = net_request(SIOCGIFINDEX, &ifr, name);
	if (error != 0)
		return (error);
	gr.gr_interface = (uint32_t)ifr.ifr_index;
	memcpy(&gr.gr_group, &ep, ep.sa.sa_len);
	fd = sock_open(&ep, SOCK_DGRAM, 0, 0);
	if (fd < 0)
		return (-fd);
	error = -sys_setsockopt(fd, ep.sa.sa_family == AF_INET ? IPPROTO_IP :
	    IPPROTO_IPV6, MCAST_JOIN_GROUP, &gr, sizeof(gr));
	if (error == 0)
		sleep_ms(ms);
	(void)sys_close(fd);
	return (error);
}

static int
net_vlan(const char *parent, uint64_t tag)
{
	struct vlanreq vlr = { .vlr_tag = (u_short)tag,
	    .vlr_proto = ETHERTYPE_VLAN };
	struct ifreq ifr = {};
	int error;

	(void)copy_string(vlr.vlr_parent, parent, sizeof(vlr.vlr_parent));
	ifr.ifr_data = (void *)&vlr;
	error = net_request(SIOCIFCREATE2, &ifr, "vlan");
	if (error == 0)
		print("%s\n", ifr.ifr_name);
	return (error);
}

static int
net_rss(const char *name)
{
	struct ifrsskey rk = {};
	struct ifrsshash rh = {};
	int error;

	(void)copy_string(rk.ifrk_name, name, sizeof(rk.ifrk_name));
	(void)copy_string(rh.ifrh_name, name, sizeof(rh.ifrh_name));
	error = net_ioctl(AF_INET, SIOCGIFRSSKEY, &rk);
	if (error == 0)
		error = net_ioctl(AF_INET, SIOCGIFRSSHASH, &rh);
	if (error == 0)
		print("function: %u\ntypes: %u\nkey: %u\n", rh.ifrh_func,
		    rh.ifrh_types, rk.ifrk_func == rh.ifrh_func ?
		    rk.ifrk_keylen : 0);
	return (error);
}

static int
net_change(const char *verb, const char *name, int argc, char **argv)
{
	struct ifreq ifr = {};
	uint64_t n = argument(argc, argv, 3, 0);

	if (strcmp(verb, "up") == 0 || strcmp(verb, "down") == 0)
		return (net_flag(name, IFF_UP, verb[0] == 'u'));
	if (strcmp(verb, "destroy") == 0)
		return (net_request(SIOCIFDESTROY, &ifr, name));
	if (argc < 4)
		return (EINVAL);
	if (strcmp(verb, "promisc") == 0)
		return (net_flag(name, IFF_PPROMISC, n != 0));
	if (strcmp(verb, "allmulti") == 0)
		return (net_flag(name, IFF_PALLMULTI, n != 0));
	if (strcmp(verb, "addr") == 0)
		return (net_address(name, argv[3]));
	if (strcmp(verb, "caps") == 0)
		return (net_set_caps(name, argc - 3, argv + 3));
	if (strcmp(verb, "mac") == 0)
		return (net_set_mac(name, argv[3]));
	if (strcmp(verb, "vlan") == 0)
		return (net_vlan(name, n));
	if (strcmp(verb, "group") == 0)
		return (net_group(name, argv[3], argument(argc, argv, 4,
		    1000)));
	if (strcmp(verb, "mtu") == 0) {
		ifr.ifr_mtu = (int)n;
		return (net_request(SIOCSIFMTU, &ifr, name));
	}
	return (EINVAL);
}

int
cmd_net(int argc, char **argv)
{
	struct ifmibdata row;
	int error;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return (net_find(NULL, &row));
	if (argc < 3)
		return (complain(EINVAL, "net"));
	if (strcmp(argv[1], "show") == 0) {
		error = net_find(argv[2], &row);
		if (error == 0)
			error = net_show(argv[2], &row);
	} else if (strcmp(argv[1], "stats") == 0) {
		error = net_find(argv[2], &row);
		if (error == 0)
			error = net_stats(&row.ifmd_data);
	} else if (strcmp(argv[1], "rss") == 0)
		error = net_rss(argv[2]);
	else
		error = net_change(argv[1], argv[2], argc, argv);
	return (error == 0 ? 0 : complain(error, "net %s %s", argv[1],
	    argv[2]));
}
