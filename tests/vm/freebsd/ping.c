/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `ping': echo requests, whose answers' bytes are compared.
 *
 *	ping ADDRESS [COUNT [SIZE [GAP_MS [WAIT_MS [DONTFRAG]]]]]
 *
 * Succeeds if each was answered within its time.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/ip6.h>

#include "commands.h"
#include "inet.h"

#define	PING_MAX	(64 << 10)
/* Both protocols' echo messages begin alike: type, code, sum, id, number. */
#define	HEAD_SIZE	8

struct echo {
	uint8_t		 type, code;
	uint16_t	 sum;
	uint16_t	 id, seq;
};
_Static_assert(sizeof(struct echo) == HEAD_SIZE, "echo");

struct ping {
	union endpoint	 to;
	int		 fd;
	uint16_t	 id;
	size_t		 size;
	uint64_t	 wait_ns;
	uint64_t	 least, most, sum;
	unsigned	 sent, came;
	char		*out, *in;
};

static bool
ping_is4(const struct ping *p)
{

	return (p->to.sa.sa_family == AF_INET);
}

static int
ping_send(struct ping *p, uint16_t seq)
{
	struct echo *e = (void *)p->out;
	long n;

	memset(e, 0, sizeof(*e));
	e->type = ping_is4(p) ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	e->id = p->id;
	e->seq = seq;
	pattern_fill(p->out + HEAD_SIZE, roundup2(p->size, 8), seq, 0);
	/* The kernel sums ICMPv6 itself: addresses belong to it. */
	if (ping_is4(p))
		e->sum = inet_sum(p->out, HEAD_SIZE + p->size);
	n = sys_sendto(p->fd, p->out, HEAD_SIZE + p->size, &p->to);
	return (n < 0 ? (int)-n : 0);
}

/* Is this the answer?  0, EAGAIN if it is another's, EILSEQ if damaged. */
static int
ping_compare(const struct ping *p, const char *data, size_t n, uint16_t seq)
{
	const struct echo *e;
	size_t head = 0;

	if (ping_is4(p) && n > 0)
		head = (size_t)(data[0] & 15) * 4;
	if (n < head + HEAD_SIZE)
		return (EAGAIN);
	e = (const void *)(data + head);
	if (e->type != (ping_is4(p) ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) ||
	    e->id != p->id || e->seq != seq)
		return (EAGAIN);
	return (n != head + HEAD_SIZE + p->size ||
	    memcmp(data + head + HEAD_SIZE, p->out + HEAD_SIZE, p->size) != 0 ?
	    EILSEQ : 0);
}

static int
ping_once(struct ping *p, uint16_t seq)
{
	uint64_t start = uptime_ns(), took;
	long n;
	int error;

	error = ping_send(p, seq);
	if (error != 0)
		return (error);
	p->sent++;
	for (;;) {
		n = sys_recv(p->fd, p->in, PING_MAX);
		took = uptime_ns() - start;
		error = n < 0 ? (int)-n :
		    ping_compare(p, p->in, (size_t)n, seq);
		if (error == 0)
			break;
		if (error != EAGAIN || took >= p->wait_ns)
			return (error);
	}
	p->came++;
	p->sum += took;
	p->least = MIN(p->least, took);
	p->most = MAX(p->most, took);
	return (0);
}

static int
ping_open(struct ping *p, uint64_t wait_ms, bool whole)
{
	int error, on = 1, room = 2 * PING_MAX;

	p->fd = sock_open(&p->to, SOCK_RAW, ping_is4(p) ? IPPROTO_ICMP :
	    IPPROTO_ICMPV6, wait_ms);
	if (p->fd < 0)
		return (-p->fd);
	error = -sys_setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &room,
	    sizeof(room));
	if (error == 0)
		error = -sys_setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &room,
		    sizeof(room));
	if (error == 0 && whole)
		error = -sys_setsockopt(p->fd,
		    ping_is4(p) ? IPPROTO_IP : IPPROTO_IPV6,
		    ping_is4(p) ? IP_DONTFRAG : IPV6_DONTFRAG, &on,
		    sizeof(on));
	return (error);
}

static int
ping_all(struct ping *p, uint64_t count, uint64_t gap_ms)
{
	uint64_t i;
	int error = 0, last;

	for (i = 0; i < count; i++) {
		last = ping_once(p, (uint16_t)i);
		if (last != 0)
			error = last == EAGAIN ? ETIMEDOUT : last;
		if (i + 1 < count)
			sleep_ms(gap_ms);
	}
	print("%u sent, %u came back", p->sent, p->came);
	if (p->came > 0)
		print(", %ju/%ju/%ju us", (uintmax_t)(p->least / 1000),
		    (uintmax_t)(p->sum / p->came / 1000),
		    (uintmax_t)(p->most / 1000));
	print("\n");
	return (error);
}

int
cmd_ping(int argc, char **argv)
{
	struct ping p;
	uint64_t wait_ms;
	int error;

	memset(&p, 0, sizeof(p));
	p.size = argument(argc, argv, 3, 56);
	if (argc < 2 || !inet_parse(argv[1], 0, &p.to) ||
	    p.size > PING_MAX - 2 * HEAD_SIZE - sizeof(struct ip))
		return (complain(EINVAL, "ping"));
	wait_ms = argument(argc, argv, 5, 1000);
	p.wait_ns = wait_ms * 1000000;
	p.least = UINT64_MAX;
	p.id = (uint16_t)sys(SYS_getpid, 0, 0, 0, 0, 0, 0);
	p.out = mem_get(PING_MAX);
	p.in = mem_get(PING_MAX);
	error = ping_open(&p, wait_ms, argument(argc, argv, 6, 0) != 0);
	if (error == 0)
		error = ping_all(&p, argument(argc, argv, 2, 1),
		    argument(argc, argv, 4, 0));
	if (p.fd >= 0)
		(void)sys_close(p.fd);
	mem_put(p.out, PING_MAX);
	mem_put(p.in, PING_MAX);
	return (error == 0 ? 0 : complain(error, "ping %s", argv[1]));
}
