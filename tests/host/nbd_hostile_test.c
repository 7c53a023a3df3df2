/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The NBD server against clients that break the rules, vanish or do not read:
 * raw bytes on the socket, and after each of them a good client that must find
 * everything in order.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <libnbd.h>

#include "fake_disk.h"
#include "nbd.h"

#define	SOCK	"nbd.sock"

static struct nbd_server *srv;

static void
start(void)
{
	char err[200] = "";

	fake_start();
	srv = nbd_start(SOCK, err, sizeof(err));
	ATF_REQUIRE_MSG(srv != NULL, "%s", err);
}

static void
finish(void)
{

	nbd_stop(srv);
	ATF_CHECK_EQ(fake_memory_used(), 0);
	fake_stop();
}

/* A well-behaved client still gets through. */
static void
check_alive(const char *after)
{
	struct nbd_handle *h;
	uint8_t out[4096], in[4096] = { 0 };

	memset(out, 0xc3, sizeof(out));
	for (int tries = 0;; tries++) {
		h = nbd_create();
		ATF_REQUIRE(nbd_set_export_name(h, "da0") == 0);
		if (nbd_connect_unix(h, SOCK) == 0)
			break;
		/* Told to try again, as there is a queue, it does. */
		ATF_REQUIRE_MSG(nbd_get_errno() == EAGAIN && tries < 100,
		    "after %s: %s", after, nbd_get_error());
		nbd_close(h);
		usleep(50000);
	}
	ATF_CHECK(nbd_pwrite(h, out, sizeof(out), 1 << 20, 0) == 0);
	ATF_CHECK(nbd_pread(h, in, sizeof(in), 1 << 20, 0) == 0);
	ATF_CHECK(memcmp(in, out, sizeof(in)) == 0);
	nbd_close(h);
}

static int
raw_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SOCK };
	struct timeval tv = { .tv_sec = 10 };
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ATF_REQUIRE(fd >= 0);
	/* No answer at all is a failure, not a hanging test. */
	ATF_REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
	    sizeof(tv)) == 0);
	ATF_REQUIRE(connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	return (fd);
}

static void
put(int fd, const void *p, size_t len)
{
	const uint8_t *b = p;
	ssize_t n;

	for (; len > 0; b += n, len -= n)
		if ((n = send(fd, b, len, MSG_NOSIGNAL)) <= 0)
			return;		/* it hung up; the test looks */
}

static void
get(int fd, void *p, size_t len)
{

	ATF_REQUIRE_EQ(recv(fd, p, len, MSG_WAITALL), (ssize_t)len);
}

static void
check_hangup(int fd, const char *what)
{
	char c;
	ssize_t n;

	n = recv(fd, &c, 1, 0);
	ATF_CHECK_MSG(n == 0 || (n < 0 && errno == ECONNRESET),
	    "%s: the server stays on the line (%zd)", what, n);
	close(fd);
	check_alive(what);
}

static void
put32(int fd, uint32_t v)
{

	v = htobe32(v);
	put(fd, &v, 4);
}

static void
put64(int fd, uint64_t v)
{

	v = htobe64(v);
	put(fd, &v, 8);
}

/* Past the greeting, which is checked byte by byte. */
static int
raw_hello(uint32_t flags)
{
	static const uint8_t greeting[18] = "NBDMAGICIHAVEOPT\0\3";
	uint8_t buf[18];
	int fd;

	fd = raw_connect();
	get(fd, buf, sizeof(buf));
	ATF_REQUIRE(memcmp(buf, greeting, sizeof(buf)) == 0);
	put32(fd, flags);
	return (fd);
}

static void
put_option(int fd, uint32_t option, uint32_t len)
{

	put(fd, "IHAVEOPT", 8);
	put32(fd, option);
	put32(fd, len);
}

/* Reads one answer's header; the data is the caller's. */
static uint32_t
get_answer(int fd, uint32_t option, uint32_t *len)
{
	static const uint8_t magic[8] = { 0, 3, 0xe8, 0x89, 4, 0x55, 0x65,
	    0xa9 };
	uint8_t h[20];
	uint32_t v[3];

	get(fd, h, sizeof(h));
	ATF_CHECK(memcmp(h, magic, 8) == 0);
	memcpy(v, h + 8, 12);
	ATF_CHECK_EQ(be32toh(v[0]), option);
	*len = be32toh(v[2]);
	return (be32toh(v[1]));
}

static void
check_answer(int fd, uint32_t option, uint32_t type, uint32_t len)
{
	uint32_t n, t;

	t = get_answer(fd, option, &n);
	ATF_CHECK_MSG(t == type && n == len,
	    "option %u: answer 0x%x, %u bytes", option, t, n);
}

/* A connection in the middle of business with da0. */
static int
raw_serving(void)
{
	uint8_t nx[10];
	int fd;

	fd = raw_hello(3);
	put_option(fd, 1, 3);
	put(fd, "da0", 3);
	get(fd, nx, sizeof(nx));
	return (fd);
}

static void
put_request(int fd, uint16_t flags, uint16_t type, uint64_t cookie,
    uint64_t offset, uint32_t len)
{
	uint16_t v[2] = { htobe16(flags), htobe16(type) };

	put32(fd, 0x25609513);
	put(fd, v, 4);
	put64(fd, cookie);
	put64(fd, offset);
	put32(fd, len);
}

static void
check_reply(int fd, uint64_t cookie, uint32_t error)
{
	uint32_t v[2];
	uint64_t id;

	get(fd, v, 8);
	get(fd, &id, 8);
	ATF_CHECK_EQ(be32toh(v[0]), 0x67446698);
	ATF_CHECK_EQ_MSG(be32toh(v[1]), error, "request %ju: error %u",
	    (uintmax_t)cookie, be32toh(v[1]));
	ATF_CHECK_EQ(be64toh(id), cookie);
}

ATF_TC_WITHOUT_HEAD(export_name);
ATF_TC_BODY(export_name, tc)
{
	uint8_t nx[134];
	uint64_t size;
	unsigned i;
	int fd;

	start();
	/* The old way to name an export, with the old padding. */
	fd = raw_hello(1);
	put_option(fd, 1, 3);
	put(fd, "da1", 3);
	get(fd, nx, sizeof(nx));
	memcpy(&size, nx, 8);
	ATF_CHECK_EQ(be64toh(size), FAKE_DA1_SIZE);
	/* Flags, read only, flush, several connections. */
	ATF_CHECK(nx[8] == 0x01 && nx[9] == 0x07);
	for (i = 10; i < sizeof(nx); i++)
		ATF_CHECK_EQ(nx[i], 0);
	put_request(fd, 0, 0, 42, 0, 512);
	check_reply(fd, 42, 0);
	get(fd, nx, sizeof(nx));
	ATF_CHECK_EQ(nx[0], 0x5a);
	close(fd);

	/* A client of the time before fixed negotiation knows this only. */
	fd = raw_hello(0);
	put_option(fd, 3, 0);
	check_hangup(fd, "an option without fixed negotiation");

	fd = raw_hello(3);
	put_option(fd, 1, 3);
	put(fd, "da9", 3);
	check_hangup(fd, "an unknown export name");
	fd = raw_hello(3);
	put_option(fd, 1, 4);
	put(fd, "da0", 4);
	check_hangup(fd, "an export name that holds a NUL");
	finish();
}

ATF_TC_WITHOUT_HEAD(bad_options);
ATF_TC_BODY(bad_options, tc)
{
	static uint8_t junk[20000];
	int fd;

	start();
	check_hangup(raw_hello(0x80), "unknown client flags");
	fd = raw_hello(3);
	put(fd, "IHAVEOPS\0\0\0\3\0\0\0\0", 16);
	check_hangup(fd, "a bad option magic");
	fd = raw_hello(3);
	put_option(fd, 3, 0xffffffff);
	check_hangup(fd, "an option of 4 GiB");
	fd = raw_hello(3);
	put_option(fd, 1, 100000);
	check_hangup(fd, "an endless export name");

	/* These are refused, one after the other on one connection. */
	fd = raw_hello(3);
	put_option(fd, 3, 1);
	put(fd, "x", 1);
	check_answer(fd, 3, 0x80000003, 0);
	put_option(fd, 77, sizeof(junk));
	put(fd, junk, sizeof(junk));
	check_answer(fd, 77, 0x80000009, 0);
	put_option(fd, 8, 0);			/* structured replies */
	check_answer(fd, 8, 0x80000001, 0);
	put_option(fd, 5, 0);			/* TLS */
	check_answer(fd, 5, 0x80000001, 0);
	put_option(fd, 7, 0);			/* GO: nothing */
	check_answer(fd, 7, 0x80000003, 0);
	put_option(fd, 7, 6);			/* the name is not there */
	put(fd, "\0\0\0\1\0\0", 6);
	check_answer(fd, 7, 0x80000003, 0);
	put_option(fd, 7, 6);			/* nor here */
	put(fd, "\377\377\377\377\0\0", 6);
	check_answer(fd, 7, 0x80000003, 0);
	put_option(fd, 7, 9);			/* items are missing */
	put(fd, "\0\0\0\3da0\0\1", 9);
	check_answer(fd, 7, 0x80000003, 0);
	put_option(fd, 7, 10);			/* one byte too many */
	put(fd, "\0\0\0\3da0\0\0x", 10);
	check_answer(fd, 7, 0x80000003, 0);
	put_option(fd, 6, 9);
	put(fd, "\0\0\0\3da7\0\0", 9);
	check_answer(fd, 6, 0x80000006, 0);
	/* And then it says good-bye. */
	put_option(fd, 2, 0);
	check_answer(fd, 2, 1, 0);
	check_hangup(fd, "an abort");
	finish();
}

/* Byte by byte, as a slow line would bring it. */
ATF_TC_WITHOUT_HEAD(one_byte_at_a_time);
ATF_TC_BODY(one_byte_at_a_time, tc)
{
	static const uint8_t talk[] =
	    "IHAVEOPT\0\0\0\7\0\0\0\11\0\0\0\3da0\0\0"
	    "\x25\x60\x95\x13\0\0\0\1" "cookie01" "\0\0\0\0\0\0\0\0"
	    "\0\0\2\0";
	uint8_t data[512], in[512];
	unsigned i;
	int fd;

	start();
	fd = raw_hello(3);
	for (i = 0; i < sizeof(talk) - 1; i++) {
		put(fd, &talk[i], 1);
		if (i % 8 == 0)
			usleep(200);
	}
	memset(data, 0x77, sizeof(data));
	for (i = 0; i < sizeof(data); i += 64) {
		put(fd, data + i, 64);
		usleep(200);
	}
	check_answer(fd, 7, 3, 12);
	get(fd, in, 12);
	check_answer(fd, 7, 3, 14);
	get(fd, in, 14);
	check_answer(fd, 7, 1, 0);
	check_reply(fd, 0x636f6f6b69653031, 0);
	ATF_CHECK(memcmp(fake_contents(0), data, sizeof(data)) == 0);
	close(fd);
	finish();
}

ATF_TC_WITHOUT_HEAD(bad_requests);
ATF_TC_BODY(bad_requests, tc)
{
	static uint8_t data[1 << 20];
	int fd;

	start();
	fd = raw_serving();
	put(fd, "what is this all about then?", 28);
	check_hangup(fd, "a bad request magic");
	fd = raw_serving();
	put_request(fd, 0, 1, 1, 0, 0xfffffe00);
	check_hangup(fd, "a write of 4 GiB");

	/* Refused writes: their data must not be taken for requests. */
	fd = raw_serving();
	memset(data, 0x25, sizeof(data));
	put_request(fd, 0, 1, 1, FAKE_DA0_SIZE, sizeof(data));
	put(fd, data, sizeof(data));
	check_reply(fd, 1, 28);
	put_request(fd, 0, 1, 2, 0, 511);
	put(fd, data, 511);
	check_reply(fd, 2, 22);
	put_request(fd, 0x8000, 1, 3, 0, 512);
	put(fd, data, 512);
	check_reply(fd, 3, 22);
	put_request(fd, 0, 99, 4, 0, 512);
	check_reply(fd, 4, 22);
	put_request(fd, 0, 0, 5, 0, 33 << 20);
	check_reply(fd, 5, 75);
	put_request(fd, 0, 3, 6, 512, 0);
	check_reply(fd, 6, 22);
	put_request(fd, 0, 6, 7, 0, 512);	/* zeroes: not offered */
	check_reply(fd, 7, 22);
	put_request(fd, 0, 1, 8, 0, 512);
	put(fd, data, 512);
	check_reply(fd, 8, 0);
	put_request(fd, 0, 2, 9, 0, 0);
	check_hangup(fd, "a disconnect");
	finish();
}

/* It dies at each point of a write; what is held for it is given back. */
ATF_TC_WITHOUT_HEAD(dies_anywhere);
ATF_TC_BODY(dies_anywhere, tc)
{
	uint8_t talk[4 + 16 + 3 + 28 + 4096];
	unsigned len;
	int fd;

	start();
	memset(talk, 0xaa, sizeof(talk));
	memcpy(talk, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\3da0", 23);
	memcpy(talk + 23, "\x25\x60\x95\x13\0\0\0\1", 8);
	memset(talk + 23 + 16, 0, 8);
	memcpy(talk + 23 + 24, "\0\0\x10\0", 4);
	for (len = 0; len <= sizeof(talk); len += len < 64 ? 1 : 251) {
		fd = raw_connect();
		put(fd, talk, len);
		close(fd);
	}
	check_alive("a client that died");
	finish();
}

/* Its I/O ends long after it is gone. */
ATF_TC_WITHOUT_HEAD(dies_with_io_under_way);
ATF_TC_BODY(dies_with_io_under_way, tc)
{
	static uint8_t data[65536];
	uint64_t i;
	int fd;

	start();
	fake_hold();
	fd = raw_serving();
	for (i = 0; i < 8; i++) {
		put_request(fd, i & 1, 1, i, i * sizeof(data), sizeof(data));
		put(fd, data, sizeof(data));
		put_request(fd, 0, 0, i + 100, 0, sizeof(data));
	}
	ATF_REQUIRE(fake_wait_held(16));
	close(fd);
	usleep(20000);
	fake_release();
	check_alive("a client that died with I/O under way");
	finish();
}

/* Half a good-bye: it listens on. */
ATF_TC_WITHOUT_HEAD(half_closed);
ATF_TC_BODY(half_closed, tc)
{
	uint8_t data[512];
	uint64_t i;
	int fd;

	start();
	fd = raw_serving();
	fake_hold();
	for (i = 0; i < 10; i++)
		put_request(fd, 0, 0, i, 0, sizeof(data));
	shutdown(fd, SHUT_WR);
	usleep(20000);
	fake_release();
	for (i = 0; i < 10; i++) {
		check_reply(fd, i, 0);
		get(fd, data, sizeof(data));
	}
	check_hangup(fd, "the end of input");
	finish();
}

/* It asks for much more than it reads: bounded memory, others are served. */
ATF_TC_WITHOUT_HEAD(never_reads);
ATF_TC_BODY(never_reads, tc)
{
	struct pollfd pfd = { .events = POLLOUT };
	uint64_t i;
	int fd, n;

	start();
	fd = raw_serving();
	pfd.fd = fd;
	for (i = 0, n = 1; i < 2000 && n == 1; i++) {
		put_request(fd, 0, 0, i, 0, 8 << 20);
		n = poll(&pfd, 1, 20);
	}
	check_alive("a client that does not read");
	ATF_CHECK_MSG(fake_memory_peak() <= (96 << 20), "%zu bytes",
	    fake_memory_peak());
	/* The server does not wait for it for ever either: finish(). */
	finish();
	close(fd);
}

/* Two hold all the memory there is and send nothing more. */
ATF_TC_WITHOUT_HEAD(hoarders);
ATF_TC_BODY(hoarders, tc)
{
	int fd[4];
	unsigned i;

	start();
	for (i = 0; i < 4; i++) {
		fd[i] = raw_serving();
		put_request(fd[i], 0, 1, i, 0, 32 << 20);
	}
	check_alive("clients that hoard memory");
	for (i = 0; i < 4; i++)
		close(fd[i]);
	finish();
}

ATF_TC_WITHOUT_HEAD(crowd);
ATF_TC_BODY(crowd, tc)
{
	enum { FIRST = 64, MORE = 10 };
	uint8_t nx[18];
	int fd[FIRST + MORE], i;

	start();
	for (i = 0; i < FIRST; i++)
		fd[i] = raw_hello(3);
	/* These wait in line until some of those leave. */
	for (i = 0; i < MORE; i++)
		fd[FIRST + i] = raw_connect();
	ATF_CHECK(recv(fd[FIRST], nx, 1, MSG_DONTWAIT) < 0);
	for (i = 0; i < MORE; i++)
		close(fd[i]);
	for (i = 0; i < MORE; i++)
		get(fd[FIRST + i], nx, sizeof(nx));
	for (i = MORE; i < FIRST + MORE; i++)
		close(fd[i]);
	check_alive("a crowd");
	finish();
}

/* Bytes by dice, from a seed that a failure names. */
ATF_TC_WITHOUT_HEAD(noise);
ATF_TC_BODY(noise, tc)
{
	static uint8_t buf[4096];
	uint32_t seed, x, i, len;
	char what[32];
	int fd;

	start();
	for (seed = 1; seed <= 300; seed++) {
		x = seed;
		for (i = 0; i < sizeof(buf); i++) {
			x = x * 1664525 + 1013904223;
			buf[i] = x >> 24;
		}
		len = x % sizeof(buf);
		switch (seed % 3) {
		case 0:
			fd = raw_connect();
			break;
		case 1:
			fd = raw_hello(3);
			memcpy(buf, "IHAVEOPT\0\0\0", 11);
			buf[11] %= 12;
			memset(buf + 12, 0, 2);
			break;
		default:
			fd = raw_serving();
			memcpy(buf, "\x25\x60\x95\x13\0\0\0", 7);
			buf[7] %= 8;
			memset(buf + 16, 0, 5);
			memset(buf + 24, 0, 2);
			break;
		}
		put(fd, buf, len);
		close(fd);
		if (seed % 50 == 0) {
			snprintf(what, sizeof(what), "noise %u", seed);
			check_alive(what);
		}
	}
	finish();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, export_name);
	ATF_TP_ADD_TC(tp, bad_options);
	ATF_TP_ADD_TC(tp, one_byte_at_a_time);
	ATF_TP_ADD_TC(tp, bad_requests);
	ATF_TP_ADD_TC(tp, dies_anywhere);
	ATF_TP_ADD_TC(tp, dies_with_io_under_way);
	ATF_TP_ADD_TC(tp, half_closed);
	ATF_TP_ADD_TC(tp, never_reads);
	ATF_TP_ADD_TC(tp, hoarders);
	ATF_TP_ADD_TC(tp, crowd);
	ATF_TP_ADD_TC(tp, noise);
	return (atf_no_error());
}
