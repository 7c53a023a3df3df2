/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `route': ways to other networks, IPv4.
 *
 *	route add NETWORK/LENGTH ROUTER
 *	route delete NETWORK/LENGTH
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>

#include "commands.h"
#include "inet.h"

/*
 * The addresses come in the order of their bits in rtm_addrs: where to, by
 * which router, unless a route is to go by whichever, and the mask.
 */
struct route_message {
	struct rt_msghdr	 head;
	struct sockaddr_in	 address[3];
};
_Static_assert(sizeof(struct sockaddr_in) % sizeof(long) == 0,
    "addresses begin at multiples of a long");

static int
route_change(struct route_message *m, int type, int addresses)
{
	union endpoint any = { .sa.sa_family = PF_ROUTE };
	long n;
	int fd;

	fd = sock_open(&any, SOCK_RAW, AF_INET, 0);
	if (fd < 0)
		return (-fd);
	m->head.rtm_msglen = sizeof(*m);
	m->head.rtm_version = RTM_VERSION;
	m->head.rtm_type = (u_char)type;
	m->head.rtm_flags = RTF_UP | RTF_STATIC | RTF_GATEWAY;
	m->head.rtm_addrs = addresses;
	m->head.rtm_seq = 1;
	n = sys_write(fd, m, sizeof(*m));
	(void)sys_close(fd);
	return (n < 0 ? (int)-n : 0);
}

static bool
route_address(const char *text, struct sockaddr_in *to)
{
	union endpoint ep;

	if (!inet_parse(text, 0, &ep) || ep.sa.sa_family != AF_INET)
		return (false);
	*to = ep.in;
	return (true);
}

int
cmd_route(int argc, char **argv)
{
	struct route_message m = {};
	struct sockaddr_in *to = &m.address[0], *mask;
	char text[INET_TEXT + 4], *slash = NULL;
	uint64_t bits;
	bool add = argc == 4 && strcmp(argv[1], "add") == 0;
	int error;

	if ((add || (argc == 3 && strcmp(argv[1], "delete") == 0)) &&
	    copy_string(text, argv[2], sizeof(text)))
		slash = strchr(text, '/');
	if (slash == NULL || !number(slash + 1, &bits) || bits > 32)
		return (complain(EINVAL, "route"));
	*slash = '\0';
	if (!route_address(text, to) ||
	    (add && !route_address(argv[3], &m.address[1])))
		return (complain(EINVAL, "route"));
	mask = &m.address[add ? 2 : 1];
	*mask = *to;
	mask->sin_addr.s_addr = bits == 0 ? 0 :
	    __builtin_bswap32(UINT32_MAX << (32 - bits));
	error = route_change(&m, add ? RTM_ADD : RTM_DELETE,
	    RTA_DST | RTA_NETMASK | (add ? RTA_GATEWAY : 0));
	return (error == 0 ? 0 : complain(error, "route %s %s", argv[1],
	    argv[2]));
}
