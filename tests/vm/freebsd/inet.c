/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sockets and Internet addresses for commands, without libc.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/poll.h>
#include <sys/time.h>

#include "inet.h"

/* Pause before a connection that was refused is tried again. */
#define	AGAIN_MS	50

/* --- Addresses as text --- */

static bool
parse_ipv4(const char *s, uint8_t *to)
{
	unsigned i, part;

	for (i = 0; i < 4; i++) {
		if (*s < '0' || *s > '9')
			return (false);
		for (part = 0; *s >= '0' && *s <= '9' && part < 256; s++)
			part = part * 10 + (unsigned)(*s - '0');
		if (part > 255 || *s != (i < 3 ? '.' : '\0'))
			return (false);
		s++;
		to[i] = (uint8_t)part;
	}
	return (true);
}

static int
hex_digit(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	return (-1);
}

/* Groups of up to four digits; what is left out at a double colon is 0. */
static bool
parse_ipv6(const char *s, uint8_t *to)
{
	unsigned group, n = 0, gap = 9;

	memset(to, 0, 16);
	if (s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (*s != '\0') {
		if (n == 8 || hex_digit(*s) < 0)
			return (false);
		for (group = 0; hex_digit(*s) >= 0 && group < 0x1000; s++)
			group = group << 4 | (unsigned)hex_digit(*s);
		to[2 * n] = (uint8_t)(group >> 8);
		to[2 * n + 1] = (uint8_t)group;
		n++;
		if (s[0] == ':' && s[1] == ':' && gap > 8) {
			gap = n;
			s += 2;
		} else if (s[0] == ':' && s[1] != '\0')
			s++;
		else if (*s != '\0')
			return (false);
	}
	if (gap <= n && n < 8) {
		memmove(to + 16 - 2 * (n - gap), to + 2 * gap, 2 * (n - gap));
		memset(to + 2 * gap, 0, 2 * (8 - n));
		n = 8;
	}
	return (n == 8);
}

bool
inet_parse(const char *text, uint64_t port, union endpoint *ep)
{

	memset(ep, 0, sizeof(*ep));
	if (port > UINT16_MAX)
		return (false);
	if (parse_ipv4(text, (uint8_t *)&ep->in.sin_addr)) {
		ep->in.sin_len = sizeof(ep->in);
		ep->in.sin_family = AF_INET;
		ep->in.sin_port = __builtin_bswap16((uint16_t)port);
		return (true);
	}
	if (parse_ipv6(text, ep->in6.sin6_addr.s6_addr)) {
		ep->in6.sin6_len = sizeof(ep->in6);
		ep->in6.sin6_family = AF_INET6;
		ep->in6.sin6_port = __builtin_bswap16((uint16_t)port);
		return (true);
	}
	return (false);
}

const char *
inet_text(const union endpoint *ep, char *to)
{
	const uint8_t *b;
	size_t used = 0;
	unsigned i;

	if (ep->sa.sa_family == AF_INET) {
		b = (const uint8_t *)&ep->in.sin_addr;
		format(to, INET_TEXT, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return (to);
	}
	b = ep->in6.sin6_addr.s6_addr;
	for (i = 0; i < 16; i += 2)
		used += (size_t)format(to + used, INET_TEXT - used, "%s%x",
		    i == 0 ? "" : ":", (unsigned)b[i] << 8 | b[i + 1]);
	return (to);
}

uint16_t
inet_sum(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < size; i++)
		sum += i % 2 == 0 ? p[i] : (uint64_t)p[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return ((uint16_t)~sum);
}

/* --- Sockets --- */

int
sock_open(const union endpoint *ep, int type, int protocol, uint64_t limit_ms)
{
	struct timeval tv = { (time_t)(limit_ms / 1000),
	    (suseconds_t)(limit_ms % 1000) * 1000 };
	int error, fd;

	fd = (int)sys(SYS_socket, ep->sa.sa_family, type, protocol, 0, 0, 0);
	if (fd < 0)
		return (fd);
	error = sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (error == 0)
		error = sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv,
		    sizeof(tv));
	if (error != 0) {
		(void)sys_close(fd);
		return (error);
	}
	return (fd);
}

int
sock_connect(const union endpoint *ep, int type, uint64_t limit_ms)
{
	uint64_t until = uptime_ns() + limit_ms * 1000000;
	int error, fd;

	for (;;) {
		fd = sock_open(ep, type, 0, limit_ms);
		if (fd < 0)
			return (fd);
		error = sys_connect(fd, ep);
		if (error == 0)
			return (fd);
		(void)sys_close(fd);
		if (error != -ECONNREFUSED || uptime_ns() >= until)
			return (error);
		sleep_ms(AGAIN_MS);
	}
}

/* The kernel's accept(2) knows no time limit. */
static int
wait_readable(int fd, uint64_t limit_ms)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };
	int n;

	n = (int)sys(SYS_poll, P(&pf), 1, (long)limit_ms, 0, 0, 0);
	return (n == 0 ? -ETIMEDOUT : MIN(n, 0));
}

int
sock_accept(const union endpoint *ep, uint64_t limit_ms)
{
	int error, fd, one = 1, peer;

	fd = sock_open(ep, SOCK_STREAM, 0, limit_ms);
	if (fd < 0)
		return (fd);
	error = sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one));
	if (error == 0)
		error = sys_bind(fd, ep);
	if (error == 0)
		error = (int)sys(SYS_listen, fd, 8, 0, 0, 0, 0);
	if (error == 0)
		error = wait_readable(fd, limit_ms);
	/* The time limits are handed on to the one accepted. */
	peer = error == 0 ? (int)sys(SYS_accept, fd, 0, 0, 0, 0, 0) : error;
	(void)sys_close(fd);
	return (peer);
}
