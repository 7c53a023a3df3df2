/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the host wants a network interface to be.  It is written to a file of
 * lines NAME=value, which the script hv_set_ifconfig gets.  Each value has been
 * an address or a number before: what else the host may write reaches neither
 * the file nor a shell.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <net/if.h>
#include <netinet/in.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "hvd.h"
#include "hv_kvp_daemon.h"

#define	PATH_LEN	512

/* Lines of a file to be; counters of what has been written. */
struct config {
	FILE	*cf_file;
	unsigned cf_addr4, cf_addr6, cf_gw4, cf_gw6, cf_dns;
};

/* The address as the library writes it: 4, 6, or 0 for none. */
static int
canonical(const char *s, char text[INET6_ADDRSTRLEN])
{
	uint8_t addr[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, s, addr) == 1) {
		(void)inet_ntop(AF_INET, addr, text, INET6_ADDRSTRLEN);
		return (4);
	}
	if (inet_pton(AF_INET6, s, addr) == 1) {
		(void)inet_ntop(AF_INET6, addr, text, INET6_ADDRSTRLEN);
		return (6);
	}
	return (0);
}

/* The next of a list, without blanks around it; NULL: no more. */
static char *
next_item(char **list)
{
	char *end, *s;

	while ((s = strsep(list, ";")) != NULL) {
		s += strspn(s, " \t");
		end = s + strlen(s);
		while (end > s && isblank((unsigned char)end[-1]))
			*--end = '\0';
		if (*s != '\0')
			break;
	}
	return (s);
}

static bool
put_address(struct config *cf, const char *addr, const char *mask)
{
	char text[INET6_ADDRSTRLEN], netmask[INET6_ADDRSTRLEN], *end;
	unsigned long bits;

	switch (canonical(addr, text)) {
	case 4:
		if (mask == NULL || canonical(mask, netmask) != 4)
			return (false);
		fprintf(cf->cf_file, "IPADDR%u=%s\nNETMASK%u=%s\n",
		    cf->cf_addr4, text, cf->cf_addr4, netmask);
		cf->cf_addr4++;
		return (true);
	case 6:
		if (mask == NULL || !isdigit((unsigned char)mask[0]))
			return (false);
		bits = strtoul(mask, &end, 10);
		if (*end != '\0' || bits > 128)
			return (false);
		fprintf(cf->cf_file, "IPV6ADDR%u=%s\nIPV6NETMASK%u=%lu\n",
		    cf->cf_addr6, text, cf->cf_addr6, bits);
		cf->cf_addr6++;
		return (true);
	default:
		return (false);
	}
}

static bool
put_gateway(struct config *cf, const char *addr)
{
	char text[INET6_ADDRSTRLEN];

	switch (canonical(addr, text)) {
	case 4:
		fprintf(cf->cf_file, "GATEWAY%u=%s\n", cf->cf_gw4++, text);
		return (true);
	case 6:
		fprintf(cf->cf_file, "IPV6_DEFAULTGW%u=%s\n", cf->cf_gw6++,
		    text);
		return (true);
	default:
		return (false);
	}
}

static bool
put_dns(struct config *cf, const char *addr)
{
	char text[INET6_ADDRSTRLEN];

	if (canonical(addr, text) == 0)
		return (false);
	fprintf(cf->cf_file, "DNS%u=%s\n", cf->cf_dns++, text);
	return (true);
}

/* The lists are taken apart where they are. */
static bool
put_all(struct config *cf, struct hv_kvp_dev_ip *ip)
{
	char *addr, *list, *masks;

	fprintf(cf->cf_file, "DEVICE=%s\nBOOTPROTO=%s\n", ip->ip_adapter,
	    ip->ip_dhcp != 0 ? "dhcp" : "none");
	masks = ip->ip_subnet;
	for (list = ip->ip_addr; (addr = next_item(&list)) != NULL;)
		if (!put_address(cf, addr, next_item(&masks)))
			return (false);
	for (list = ip->ip_gateway; (addr = next_item(&list)) != NULL;)
		if (!put_gateway(cf, addr))
			return (false);
	for (list = ip->ip_dns; (addr = next_item(&list)) != NULL;)
		if (!put_dns(cf, addr))
			return (false);
	return (ip->ip_dhcp != 0 || cf->cf_addr4 + cf->cf_addr6 > 0);
}

static bool
terminated(const struct hv_kvp_dev_ip *ip)
{

	return (memchr(ip->ip_adapter, '\0', sizeof(ip->ip_adapter)) != NULL &&
	    memchr(ip->ip_addr, '\0', sizeof(ip->ip_addr)) != NULL &&
	    memchr(ip->ip_subnet, '\0', sizeof(ip->ip_subnet)) != NULL &&
	    memchr(ip->ip_gateway, '\0', sizeof(ip->ip_gateway)) != NULL &&
	    memchr(ip->ip_dns, '\0', sizeof(ip->ip_dns)) != NULL);
}

/* It becomes part of a file's name. */
static bool
name_good(const char *s)
{

	if (*s == '\0' || strlen(s) >= IF_NAMESIZE)
		return (false);
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return (false);
	return (true);
}

/* Written aside and renamed: what is there is always whole. */
static uint32_t
write_config(const char *path, struct hv_kvp_dev_ip *ip)
{
	char aside[PATH_LEN + 8];
	struct config cf;
	uint32_t status;
	int fd;

	memset(&cf, 0, sizeof(cf));
	snprintf(aside, sizeof(aside), "%s.new", path);
	(void)unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cf.cf_file = fd < 0 ? NULL : fdopen(fd, "w");
	if (cf.cf_file == NULL) {
		hvd_log(LOG_ERR, "%s: %s", aside, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return (HV_KVP_DEV_FAILED);
	}
	status = put_all(&cf, ip) ? HV_KVP_DEV_OK : HV_KVP_DEV_INVALID;
	if (fflush(cf.cf_file) != 0 || fsync(fd) != 0)
		status = HV_KVP_DEV_FULL;
	if (fclose(cf.cf_file) != 0)
		status = HV_KVP_DEV_FULL;
	if (status == HV_KVP_DEV_OK && rename(aside, path) != 0) {
		hvd_log(LOG_ERR, "%s: %s", path, strerror(errno));
		status = HV_KVP_DEV_FAILED;
	}
	if (status != HV_KVP_DEV_OK)
		(void)unlink(aside);
	return (status);
}

uint32_t
kvp_ip_set(const struct kvp_ip_config *kc, struct hv_kvp_dev_ip *ip)
{
	char path[PATH_LEN];
	uint32_t status;

	if (!terminated(ip))
		return (HV_KVP_DEV_INVALID);
	if (!name_good(ip->ip_adapter) || if_nametoindex(ip->ip_adapter) == 0)
		return (HV_KVP_DEV_NODEV);
	if (snprintf(path, sizeof(path), "%s/ifcfg-%s", kc->kc_state,
	    ip->ip_adapter) >= (int)sizeof(path))
		return (HV_KVP_DEV_FAILED);
	status = write_config(path, ip);
	if (status != HV_KVP_DEV_OK)
		return (status);
	if (kvp_script(kc, "hv_set_ifconfig", path, NULL, NULL, 0) != 0) {
		hvd_log(LOG_ERR, "hv_set_ifconfig %s failed", path);
		return (HV_KVP_DEV_FAILED);
	}
	return (HV_KVP_DEV_OK);
}
