/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `tcp' and `udp': bytes that both sides know.
 *
 *	tcp send | recv | give | sum ADDRESS PORT [BYTES [SEED]]
 *	tcp serve send | recv | give | sum ADDRESS PORT [BYTES [SEED]]
 *	udp send ADDRESS PORT COUNT SIZE [SEED [GAP_MS]]
 *	udp recv ADDRESS PORT COUNT SIZE [SEED [QUIET_MS]]
 *	udp ping ADDRESS PORT COUNT SIZE
 *
 * A stream is a block of BLOCK bytes (lib.h's pattern) over and over.  Its
 * length is no power of two, so that a part at a wrong place is seen.  `give'
 * sends the pattern without a repetition, `sum' takes whatever comes; both
 * print the bytes' SHA-256.  A datagram is its number, of
 * eight bytes, and the block's bytes from eight times that number on.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <netinet/tcp.h>

#include "commands.h"
#include "inet.h"

#define	BLOCK		65528
#define	PART		(64 << 10)
#define	LIMIT_MS	60000
#define	SIZE_MAX_UDP	65507

/* The block, twice: all that begins in it is in one piece. */
struct traffic {
	union endpoint	 peer;
	int		 fd;
	uint64_t	 count, size, seed;
	char		*block, *buf;
};

static void
traffic_init(struct traffic *t)
{

	t->fd = -1;
	t->block = mem_get(2 * (size_t)BLOCK);
	t->buf = mem_get(PART);
	pattern_fill(t->block, BLOCK, t->seed, 0);
	memcpy(t->block + BLOCK, t->block, BLOCK);
}

static void
traffic_done(struct traffic *t)
{

	if (t->fd >= 0)
		(void)sys_close(t->fd);
	mem_put(t->block, 2 * (size_t)BLOCK);
	mem_put(t->buf, PART);
}

static void
print_rate(uint64_t bytes, uint64_t since)
{
	uint64_t us = MAX(1, (uptime_ns() - since) / 1000);

	print("%ju bytes, %ju KiB/s\n", (uintmax_t)bytes,
	    (uintmax_t)(bytes * 1000000 / us >> 10));
}

/* --- TCP --- */

/* That is all: ends when the other side has read it and closes, too. */
static int
tcp_end(struct traffic *t)
{
	long n;

	n = sys(SYS_shutdown, t->fd, SHUT_WR, 0, 0, 0, 0);
	if (n == 0)
		n = sys_read(t->fd, t->buf, PART);
	return (n < 0 ? (int)-n : n > 0 ? EILSEQ : 0);
}

static int
tcp_send(struct traffic *t)
{
	uint64_t done = 0, start = uptime_ns();
	size_t part;
	long n;
	int error;

	while (done < t->count) {
		part = MIN(PART, t->count - done);
		part = MIN(part, 2 * BLOCK - done % BLOCK);
		n = sys_write(t->fd, t->block + done % BLOCK, part);
		if (n < 0) {
			print("at %ju\n", (uintmax_t)done);
			return ((int)-n);
		}
		done += (uint64_t)n;
	}
	error = tcp_end(t);
	if (error == 0)
		print_rate(done, start);
	return (error);
}

static int
tcp_give(struct traffic *t)
{
	struct sha256 s;
	uint64_t done, start = uptime_ns();
	size_t part, sent;
	long n;
	int error;

	sha256_init(&s);
	for (done = 0; done < t->count; done += part) {
		part = MIN(PART, t->count - done);
		pattern_fill(t->buf, PART, t->seed, done);
		sha256_update(&s, t->buf, part);
		for (sent = 0; sent < part; sent += (size_t)n) {
			n = sys_write(t->fd, t->buf + sent, part - sent);
			if (n < 0)
				return ((int)-n);
		}
	}
	error = tcp_end(t);
	if (error != 0)
		return (error);
	sha256_print(&s);
	print_rate(done, start);
	return (0);
}

static int
tcp_recv(struct traffic *t)
{
	uint64_t done = 0, start = uptime_ns();
	long n;

	for (;;) {
		n = sys_read(t->fd, t->buf, PART);
		if (n <= 0)
			break;
		if (memcmp(t->buf, t->block + done % BLOCK, (size_t)n) != 0) {
			print("other bytes from %ju on\n", (uintmax_t)done);
			return (EILSEQ);
		}
		done += (uint64_t)n;
	}
	if (n < 0 || done != t->count) {
		print("%ju bytes came\n", (uintmax_t)done);
		return (n < 0 ? (int)-n : EPIPE);
	}
	print_rate(done, start);
	return (0);
}

static int
tcp_sum(struct traffic *t)
{
	struct sha256 s;
	uint64_t done = 0, start = uptime_ns();
	long n;

	sha256_init(&s);
	while ((n = sys_read(t->fd, t->buf, PART)) > 0) {
		sha256_update(&s, t->buf, (size_t)n);
		done += (uint64_t)n;
	}
	if (n < 0)
		return ((int)-n);
	sha256_print(&s);
	print_rate(done, start);
	return (0);
}

int
cmd_tcp(int argc, char **argv)
{
	struct traffic t = {};
	const char *verb;
	bool serve;
	int error;

	serve = argc > 1 && strcmp(argv[1], "serve") == 0;
	argc -= serve;
	argv += serve;
	if (argc < 4 || !inet_parse(argv[2], argument(argc, argv, 3, 0),
	    &t.peer))
		return (complain(EINVAL, "tcp"));
	verb = argv[1];
	t.count = argument(argc, argv, 4, 0);
	t.seed = argument(argc, argv, 5, 0);
	traffic_init(&t);
	t.fd = serve ? sock_accept(&t.peer, LIMIT_MS) :
	    sock_connect(&t.peer, SOCK_STREAM, LIMIT_MS);
	if (t.fd < 0)
		error = -t.fd;
	else if (strcmp(verb, "send") == 0)
		error = tcp_send(&t);
	else if (strcmp(verb, "recv") == 0)
		error = tcp_recv(&t);
	else if (strcmp(verb, "give") == 0)
		error = tcp_give(&t);
	else if (strcmp(verb, "sum") == 0)
		error = tcp_sum(&t);
	else
		error = EINVAL;
	traffic_done(&t);
	return (error == 0 ? 0 : complain(error, "tcp %s %s %s", verb,
	    argv[2], argv[3]));
}

/* --- UDP --- */

static void
udp_fill(struct traffic *t, uint64_t n)
{

	memcpy(t->buf, &n, sizeof(n));
	memcpy(t->buf + sizeof(n), t->block + n * 8 % BLOCK,
	    t->size - sizeof(n));
}

static bool
udp_is_good(const struct traffic *t, uint64_t n, size_t size)
{

	return (size == t->size && memcmp(t->buf + sizeof(n), t->block +
	    n * 8 % BLOCK, size - sizeof(n)) == 0);
}

/* A full send queue is waited for: what is lost is lost later. */
static int
udp_send(struct traffic *t, uint64_t gap_ms)
{
	uint64_t i, start = uptime_ns(), waits = 0;
	long n;

	for (i = 0; i < t->count; i++) {
		udp_fill(t, i);
		while ((n = sys_write(t->fd, t->buf, t->size)) == -ENOBUFS) {
			waits++;
			sleep_ms(1);
		}
		/* Nobody listens any more: has the other side enough? */
		if (n < 0 && n != -ECONNREFUSED)
			return ((int)-n);
		if (gap_ms > 0)
			sleep_ms(gap_ms);
	}
	print("%ju sent, %ju waits, ", (uintmax_t)i, (uintmax_t)waits);
	print_rate(i * t->size, start);
	return (0);
}

/* Until all have come, or none for some time. */
static int
udp_recv(struct traffic *t)
{
	uint64_t came = 0, damaged = 0, last = 0, number, start = 0, swapped;
	long n = 0;

	for (swapped = 0; came < t->count; came++) {
		n = sys_recv(t->fd, t->buf, PART);
		if (n < 0)
			break;
		if (came == 0)
			start = uptime_ns();
		memcpy(&number, t->buf, sizeof(number));
		if ((size_t)n < sizeof(number) ||
		    !udp_is_good(t, number, (size_t)n))
			damaged++;
		swapped += number < last;
		last = number;
	}
	print("%ju came, %ju damaged, %ju swapped, ", (uintmax_t)came,
	    (uintmax_t)damaged, (uintmax_t)swapped);
	print_rate(came * t->size, start);
	if (damaged > 0)
		return (EILSEQ);
	return (came == 0 ? (int)-n : 0);
}

/* Each datagram comes back before the next is sent. */
static int
udp_ping(struct traffic *t)
{
	uint64_t i, number, start = uptime_ns();
	long n;

	for (i = 0; i < t->count; i++) {
		udp_fill(t, i);
		n = sys_write(t->fd, t->buf, t->size);
		if (n < 0)
			return ((int)-n);
		n = sys_recv(t->fd, t->buf, PART);
		if (n < 0)
			return ((int)-n);
		memcpy(&number, t->buf, sizeof(number));
		if (number != i || !udp_is_good(t, i, (size_t)n))
			return (EILSEQ);
	}
	print("%ju round trips, %ju us each\n", (uintmax_t)i,
	    (uintmax_t)((uptime_ns() - start) / 1000 / MAX(i, 1)));
	return (0);
}

static int
udp_open(struct traffic *t, bool serve, uint64_t limit_ms)
{
	int error, room = 1 << 20;

	if (!serve)
		return (sock_connect(&t->peer, SOCK_DGRAM, limit_ms));
	t->fd = sock_open(&t->peer, SOCK_DGRAM, 0, limit_ms);
	if (t->fd < 0)
		return (t->fd);
	(void)sys_setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &room,
	    sizeof(room));
	error = sys_bind(t->fd, &t->peer);
	return (error == 0 ? t->fd : error);
}

int
cmd_udp(int argc, char **argv)
{
	struct traffic t = {};
	const char *verb;
	uint64_t more;
	bool serve;
	int error;

	if (argc < 6 || !inet_parse(argv[2], argument(argc, argv, 3, 0),
	    &t.peer))
		return (complain(EINVAL, "udp"));
	verb = argv[1];
	t.count = argument(argc, argv, 4, 0);
	t.size = argument(argc, argv, 5, 0);
	t.seed = argument(argc, argv, 6, 0);
	serve = strcmp(verb, "recv") == 0;
	more = argument(argc, argv, 7, serve ? LIMIT_MS : 0);
	if (t.size < sizeof(uint64_t) || t.size > SIZE_MAX_UDP)
		return (complain(EINVAL, "udp"));
	traffic_init(&t);
	error = udp_open(&t, serve, serve ? more : LIMIT_MS);
	t.fd = error;
	if (error < 0)
		error = -error;
	else if (serve)
		error = udp_recv(&t);
	else if (strcmp(verb, "send") == 0)
		error = udp_send(&t, more);
	else if (strcmp(verb, "ping") == 0)
		error = udp_ping(&t);
	else
		error = EINVAL;
	traffic_done(&t);
	return (error == 0 ? 0 : complain(error, "udp %s %s %s", verb,
	    argv[2], argv[3]));
}
