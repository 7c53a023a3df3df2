/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the host wants to know of network interfaces.  It names one by its MAC
 * address.  Lists are separated by semicolons (protocol: utilities, 6.1, 6.2).
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <net/if.h>
#include <net/if_dl.h>
#include <netinet/in.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hv_kvp_daemon.h"

/* Appends to a list, unless there is no room for it. */
static void
list_add(char *list, size_t size, const char *what)
{
	size_t len;

	len = strlen(list);
	if (len + 1 + strlen(what) + 1 > size)
		return;
	snprintf(list + len, size - len, "%s%s", len > 0 ? ";" : "", what);
}

static void
address_text(const struct sockaddr *sa, char text[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	text[0] = '\0';
	if (sa->sa_family == AF_INET) {
		(void)inet_ntop(AF_INET,
		    &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
		    text, INET6_ADDRSTRLEN);
		return;
	}
	in6 = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	/* FreeBSD's kernel keeps an interface's number in such addresses. */
	if (IN6_IS_ADDR_LINKLOCAL(&in6))
		in6.s6_addr[2] = in6.s6_addr[3] = 0;
	(void)inet_ntop(AF_INET6, &in6, text, INET6_ADDRSTRLEN);
}

/* IPv4 masks as addresses, IPv6 ones as lengths of prefixes. */
static void
mask_text(const struct sockaddr *sa, int family, char text[INET6_ADDRSTRLEN])
{
	const uint8_t *p;
	unsigned bits, i;

	text[0] = '\0';
	if (sa == NULL)
		return;
	if (family == AF_INET) {
		(void)inet_ntop(AF_INET,
		    &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
		    text, INET6_ADDRSTRLEN);
		return;
	}
	p = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;
	for (bits = i = 0; i < 128 && (p[i / 8] & 0x80 >> i % 8) != 0; i++)
		bits++;
	snprintf(text, INET6_ADDRSTRLEN, "%u", bits);
}

static bool
wanted(const struct ifaddrs *ifa, const char *name, int family)
{

	if (ifa->ifa_addr == NULL || ifa->ifa_addr->sa_family != family)
		return (false);
	return (name != NULL ? strcmp(ifa->ifa_name, name) == 0 :
	    (ifa->ifa_flags & IFF_LOOPBACK) == 0);
}

void
kvp_ip_all(int family, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *ifa, *list;

	buf[0] = '\0';
	if (getifaddrs(&list) != 0)
		return;
	for (ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
		if (!wanted(ifa, NULL, family))
			continue;
		address_text(ifa->ifa_addr, text);
		list_add(buf, size, text);
	}
	freeifaddrs(list);
}

/* "00:15:5D:00:00:01", with colons, hyphens or nothing between. */
static bool
parse_mac(const char *s, uint8_t mac[6])
{
	unsigned i, v;
	int n;

	for (i = 0; i < 6; i++) {
		if (sscanf(s, "%2x%n", &v, &n) != 1 || n != 2)
			return (false);
		mac[i] = (uint8_t)v;
		s += n;
		if (i < 5 && (*s == ':' || *s == '-'))
			s++;
	}
	return (*s == '\0');
}

static bool
find_mac(const struct ifaddrs *ifa, const uint8_t mac[6],
    char name[IF_NAMESIZE])
{
	const struct sockaddr_dl *sdl;

	for (; ifa != NULL; ifa = ifa->ifa_next) {
		if (ifa->ifa_addr == NULL ||
		    ifa->ifa_addr->sa_family != AF_LINK)
			continue;
		sdl = (const struct sockaddr_dl *)(const void *)ifa->ifa_addr;
		if (sdl->sdl_alen == 6 && memcmp(LLADDR(sdl), mac, 6) == 0) {
			snprintf(name, IF_NAMESIZE, "%s", ifa->ifa_name);
			return (true);
		}
	}
	return (false);
}

/* A script's lines as a list, addresses only. */
static void
lines_to_list(char *lines, char *list, size_t size)
{
	uint8_t addr[sizeof(struct in6_addr)];
	char *word;

	while ((word = strsep(&lines, " \t\n")) != NULL)
		if (inet_pton(AF_INET, word, addr) == 1 ||
		    inet_pton(AF_INET6, word, addr) == 1)
			list_add(list, size, word);
}

static void
get_family(const struct ifaddrs *ifa, const char *name, int family,
    struct hv_kvp_dev_ip *ip)
{
	char addr[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];

	for (; ifa != NULL; ifa = ifa->ifa_next) {
		if (!wanted(ifa, name, family))
			continue;
		address_text(ifa->ifa_addr, addr);
		mask_text(ifa->ifa_netmask, family, mask);
		list_add(ip->ip_addr, sizeof(ip->ip_addr), addr);
		list_add(ip->ip_subnet, sizeof(ip->ip_subnet), mask);
		ip->ip_family |= family == AF_INET ? 1 : 2;
	}
}

static uint32_t
ip_get(const struct kvp_ip_config *kc, struct hv_kvp_dev_ip *ip)
{
	char name[IF_NAMESIZE], text[1024];
	struct ifaddrs *list;
	uint8_t family, mac[6];

	if (memchr(ip->ip_adapter, '\0', sizeof(ip->ip_adapter)) == NULL ||
	    !parse_mac(ip->ip_adapter, mac))
		return (HV_KVP_DEV_FAILED);
	if (getifaddrs(&list) != 0)
		return (HV_KVP_DEV_FAILED);
	if (!find_mac(list, mac, name)) {
		freeifaddrs(list);
		return (HV_KVP_DEV_FAILED);
	}
	family = ip->ip_family & 3;
	memset(ip, 0, sizeof(*ip));
	if (family != 2)
		get_family(list, name, AF_INET, ip);
	if (family != 1)
		get_family(list, name, AF_INET6, ip);
	freeifaddrs(list);
	/* One that has no such script, or one that fails, leaves a gap. */
	if (kvp_script(kc, "hv_get_dhcp_info", name, NULL, text,
	    sizeof(text)) == 0)
		ip->ip_dhcp = strncmp(text, "Enabled", 7) == 0;
	if (kvp_script(kc, "hv_get_gateway_info", name, NULL, text,
	    sizeof(text)) == 0)
		lines_to_list(text, ip->ip_gateway, sizeof(ip->ip_gateway));
	if (kvp_script(kc, "hv_get_dns_info", name, NULL, text,
	    sizeof(text)) == 0)
		lines_to_list(text, ip->ip_dns, sizeof(ip->ip_dns));
	return (HV_KVP_DEV_OK);
}

uint32_t
kvp_ip_do(const struct kvp_ip_config *kc, struct hv_kvp_dev_msg *km)
{

	if (km->km_op == HV_KVP_DEV_GET_IP)
		return (ip_get(kc, &km->km_ip));
	if (km->km_op == HV_KVP_DEV_SET_IP && !kc->kc_readonly)
		return (kvp_ip_set(kc, &km->km_ip));
	return (HV_KVP_DEV_UNSUPPORTED);
}
