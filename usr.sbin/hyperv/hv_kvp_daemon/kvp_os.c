/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The pool of facts about the guest.  The host asks for it by number, from 0 on
 * until there are no more, and knows the first ten by their place (protocol:
 * utilities, section 6.3).
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv_kvp_daemon.h"

/* What these services can do, as Linux's with the same abilities say it. */
#define	SERVICES_VERSION	"3.1"

/* The value of a line "name value" or "name=value" of a small text file. */
static bool
file_value(const char *path, const char *name, char *buf, size_t size)
{
	char line[256], *end, *p;
	size_t len;
	bool found;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL)
		return (false);
	len = strlen(name);
	found = false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, len) != 0 || (line[len] != '=' &&
		    !isblank((unsigned char)line[len])))
			continue;
		p = line + len + 1;
		p += strspn(p, " \t\"");
		end = p + strcspn(p, "\"\n");
		*end = '\0';
		found = *p != '\0';
		if (found)
			snprintf(buf, size, "%s", p);
	}
	(void)fclose(f);
	return (found);
}

/*
 * The host's name as it is, with the domain that the resolver would add if it
 * has none.  No name server is asked: it may not answer.
 */
static void
os_fqdn(char *buf, size_t size)
{
	char domain[256];
	size_t len;

	if (gethostname(buf, size) != 0)
		buf[0] = '\0';
	buf[size - 1] = '\0';
	if (buf[0] == '\0' || strchr(buf, '.') != NULL)
		return;
	if (!file_value("/etc/resolv.conf", "domain", domain,
	    sizeof(domain)) && !file_value("/etc/resolv.conf", "search",
	    domain, sizeof(domain)))
		return;
	domain[strcspn(domain, " \t")] = '\0';
	len = strlen(buf);
	if (domain[0] != '\0' && strcmp(domain, ".") != 0)
		snprintf(buf + len, size - len, ".%s", domain);
}

static void
os_services(char *buf, size_t size)
{

	snprintf(buf, size, "%s", SERVICES_VERSION);
}

static void
os_ipv4(char *buf, size_t size)
{

	kvp_ip_all(AF_INET, buf, size);
}

static void
os_ipv6(char *buf, size_t size)
{

	kvp_ip_all(AF_INET6, buf, size);
}

static void
os_build(char *buf, size_t size)
{
	struct utsname un;

	if (uname(&un) == 0)
		snprintf(buf, size, "%s", un.release);
}

static void
os_name(char *buf, size_t size)
{
	struct utsname un;

	if (!file_value("/etc/os-release", "NAME", buf, size) &&
	    uname(&un) == 0)
		snprintf(buf, size, "%s", un.sysname);
}

/* The n-th number of "15.0-RELEASE-p1". */
static void
release_number(char *buf, size_t size, unsigned n)
{
	struct utsname un;
	const char *p;

	if (uname(&un) != 0)
		return;
	for (p = un.release; n > 0; n--) {
		p += strspn(p, "0123456789");
		if (*p++ != '.')
			return;
	}
	snprintf(buf, size, "%.*s", (int)strspn(p, "0123456789"), p);
}

static void
os_major(char *buf, size_t size)
{

	release_number(buf, size, 0);
}

static void
os_minor(char *buf, size_t size)
{

	release_number(buf, size, 1);
}

static void
os_version(char *buf, size_t size)
{
	struct utsname un;

	if (uname(&un) == 0)
		snprintf(buf, size, "%.*s",
		    (int)strspn(un.release, "0123456789."), un.release);
}

static void
os_machine(char *buf, size_t size)
{
	struct utsname un;

	if (uname(&un) == 0)
		snprintf(buf, size, "%s", un.machine);
}

static void
os_uptime(char *buf, size_t size)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == 0)
		snprintf(buf, size, "%jd", (intmax_t)ts.tv_sec);
}

static const struct item {
	const char	*it_key;
	void		(*it_value)(char *buf, size_t size);
} items[] = {
	{ "FullyQualifiedDomainName",	os_fqdn },
	{ "IntegrationServicesVersion",	os_services },
	{ "NetworkAddressIPv4",		os_ipv4 },
	{ "NetworkAddressIPv6",		os_ipv6 },
	{ "OSBuildNumber",		os_build },
	{ "OSName",			os_name },
	{ "OSMajorVersion",		os_major },
	{ "OSMinorVersion",		os_minor },
	{ "OSVersion",			os_version },
	{ "ProcessorArchitecture",	os_machine },
	/* Hosts that look on find this. */
	{ "SystemUptime",		os_uptime },
};
#define	NITEMS	(sizeof(items) / sizeof(items[0]))

uint32_t
kvp_os_do(struct hv_kvp_dev_msg *km)
{
	struct hv_kvp_dev_kv *kv = &km->km_kv;
	unsigned i;

	switch (km->km_op) {
	case HV_KVP_DEV_ENUMERATE:
		i = kv->kv_index;
		break;
	case HV_KVP_DEV_GET:
		for (i = 0; i < NITEMS && strncmp(items[i].it_key, kv->kv_key,
		    sizeof(kv->kv_key)) != 0; i++)
			;
		break;
	default:
		return (HV_KVP_DEV_UNSUPPORTED);
	}
	if (i >= NITEMS)
		return (HV_KVP_DEV_NOTFOUND);
	snprintf(kv->kv_key, sizeof(kv->kv_key), "%s", items[i].it_key);
	memset(kv->kv_value, 0, sizeof(kv->kv_value));
	items[i].it_value(kv->kv_value, sizeof(kv->kv_value));
	return (HV_KVP_DEV_OK);
}
