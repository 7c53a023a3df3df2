/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network back ends on unix sockets of all types: frames in them, peers that
 * do not read, that leave, and that send what is no frame.
 */

#include <arpa/inet.h>
#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_bus.h"
#include "fake_nic.h"

static const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM };

static struct hvh *h;
static struct hvh_netbe *be;
static struct fake_nic nic;
static char err[200];
static int peer = -1;
static uint8_t frame[NET_FRAME_MAX], got[NET_FRAME_MAX];

static void
begin(int type)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_SOCKET,
	    .have_fd = true };
	struct timeval tv = { .tv_sec = 5 };
	int fd[2];

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, type, 0, fd));
	np.fd = fd[0];
	peer = fd[1];
	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	ATF_REQUIRE_EQ_MSG(0, hvh_netbe_open(h, &np, &be, err, sizeof(err)),
	    "%s", err);
	fake_nic_attach(&nic, be);
}

static void
end(void)
{

	hvh_netbe_close(be);
	fake_nic_free(&nic);
	if (peer >= 0)
		close(peer);
	peer = -1;
	fake_free(h);
}

static void
read_all(void *buf, uint32_t len)
{
	uint8_t *p = buf;
	ssize_t n;

	for (; len > 0; p += n, len -= (uint32_t)n) {
		n = recv(peer, p, len, 0);
		ATF_REQUIRE(n > 0);
	}
}

/* The next frame that the peer gets. */
static uint32_t
peer_get(int type)
{
	uint32_t len;
	ssize_t n;

	if (type == SOCK_STREAM) {
		read_all(&len, sizeof(len));
		len = ntohl(len);
		ATF_REQUIRE(len <= sizeof(got));
		read_all(got, len);
		return (len);
	}
	n = recv(peer, got, sizeof(got), 0);
	ATF_REQUIRE(n >= 0);
	return ((uint32_t)n);
}

static void
peer_send(int type, const void *data, uint32_t len)
{
	uint32_t head = htonl(len);
	struct iovec iov[2] = { { &head, sizeof(head) },
	    { (void *)(uintptr_t)data, len } };

	if (type == SOCK_STREAM)
		ATF_REQUIRE_EQ((ssize_t)(len + sizeof(head)),
		    writev(peer, iov, 2));
	else
		ATF_REQUIRE_EQ((ssize_t)len, send(peer, data, len, 0));
}

ATF_TC_WITHOUT_HEAD(both_ways);
ATF_TC_BODY(both_ways, tc)
{
	static const uint32_t sizes[] = { 14, 60, 1514, 9014 };

	for (unsigned t = 0; t < 3; t++) {
		begin(types[t]);
		for (unsigned i = 0; i < 4; i++) {
			fake_frame(frame, sizes[i], i);
			ATF_REQUIRE_EQ(0, fake_nic_send(&nic, frame,
			    sizes[i]));
			ATF_REQUIRE_EQ(sizes[i], peer_get(types[t]));
			ATF_CHECK_EQ(0, memcmp(frame, got, sizes[i]));
			peer_send(types[t], frame, sizes[i]);
		}
		ATF_REQUIRE(fake_pump_until(h, &nic.n, 4));
		for (unsigned i = 0; i < 4; i++) {
			fake_frame(frame, sizes[i], i);
			ATF_CHECK(fake_nic_has(&nic, i, frame, sizes[i]));
		}
		ATF_CHECK(!nic.open);
		ATF_CHECK_EQ(0, net_caps(be));
		end();
	}
}

/* Frames go in batches, and in one order. */
ATF_TC_WITHOUT_HEAD(batch);
ATF_TC_BODY(batch, tc)
{
	static const struct net_meta none;
	struct iovec iov;

	for (unsigned t = 0; t < 3; t++) {
		begin(types[t]);
		for (unsigned i = 0; i < 5; i++) {
			fake_frame(frame, 100, i);
			iov = (struct iovec){ frame, 100 };
			ATF_REQUIRE_EQ(0, net_send(be, &iov, 1, 100, &none));
		}
		net_run(be);
		for (unsigned i = 0; i < 5; i++) {
			fake_frame(frame, 100, i);
			ATF_REQUIRE_EQ(100, peer_get(types[t]));
			ATF_CHECK_EQ(0, memcmp(frame, got, 100));
		}
		end();
	}
}

/* A peer that does not read for a while: nothing is lost. */
ATF_TC_WITHOUT_HEAD(peer_is_slow);
ATF_TC_BODY(peer_is_slow, tc)
{
	unsigned sent, read;
	int error;

	for (unsigned t = 0; t < 3; t++) {
		begin(types[t]);
		error = 0;
		for (sent = 0; sent < 100000; sent++) {
			fake_frame(frame, 1514, sent);
			error = fake_nic_send(&nic, frame, 1514);
			if (error != 0)
				break;
		}
		ATF_REQUIRE_EQ(EAGAIN, error);
		fake_pump(h);
		ATF_CHECK_EQ(0, nic.writables);
		for (read = 0; read < sent; read++) {
			fake_frame(frame, 1514, read);
			ATF_REQUIRE_EQ(1514, peer_get(types[t]));
			ATF_REQUIRE_EQ(0, memcmp(frame, got, 1514));
			fake_pump(h);
		}
		ATF_CHECK(nic.writables > 0);
		ATF_CHECK_EQ(0, fake_nic_send(&nic, frame, 1514));
		ATF_CHECK_EQ(0, be->stats.tx_dropped);
		end();
	}
}

/* Is the pump called for? */
static bool
wakes(void)
{
	struct pollfd p = { .fd = h->sources->fd, .events = POLLIN };

	return (poll(&p, 1, 0) > 0);
}

/* No room for what the peer sends: it waits, and nobody runs in circles. */
ATF_TC_WITHOUT_HEAD(no_room);
ATF_TC_BODY(no_room, tc)
{

	for (unsigned t = 0; t < 3; t++) {
		begin(types[t]);
		nic.room = 2;
		for (unsigned i = 0; i < 6; i++) {
			fake_frame(frame, 200, i);
			peer_send(types[t], frame, 200);
		}
		ATF_CHECK(wakes());
		for (unsigned i = 0; i < 5; i++)
			fake_pump(h);
		ATF_CHECK_EQ(2, nic.n);
		ATF_CHECK_EQ(1, nic.refused);
		peer_send(types[t], frame, 200);
		ATF_CHECK_MSG(!wakes(), "the pump would run in circles");
		nic.room = 100;
		net_resume(be);
		ATF_REQUIRE(fake_pump_until(h, &nic.n, 7));
		for (unsigned i = 0; i < 6; i++) {
			fake_frame(frame, 200, i);
			ATF_CHECK(fake_nic_has(&nic, i, frame, 200));
		}
		end();
	}
}

ATF_TC_WITHOUT_HEAD(peer_leaves);
ATF_TC_BODY(peer_leaves, tc)
{

	for (unsigned t = 0; t < 3; t++) {
		begin(types[t]);
		peer_send(types[t], frame, 60);
		close(peer);
		peer = -1;
		fake_pump(h);
		if (types[t] == SOCK_DGRAM) {
			/* Only a send tells. */
			(void)fake_nic_send(&nic, frame, 60);
		}
		ATF_CHECK_EQ_MSG(1, nic.n, "what it sent before");
		ATF_CHECK_EQ(1, nic.links);
		ATF_CHECK(!net_link(be));
		ATF_CHECK_EQ(ENETDOWN, fake_nic_send(&nic, frame, 60));
		ATF_CHECK_MSG(!wakes(), "the pump would run in circles");
		fake_pump(h);
		end();
	}
}

/* A stream comes in any pieces. */
ATF_TC_WITHOUT_HEAD(stream_pieces);
ATF_TC_BODY(stream_pieces, tc)
{
	uint8_t bytes[3 * 104];
	uint32_t head = htonl(100);

	begin(SOCK_STREAM);
	for (unsigned i = 0; i < 3; i++) {
		fake_frame(frame, 100, i);
		memcpy(bytes + 104 * i, &head, 4);
		memcpy(bytes + 104 * i + 4, frame, 100);
	}
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		ATF_REQUIRE_EQ(1, send(peer, bytes + i, 1, 0));
		fake_pump(h);
		ATF_REQUIRE_EQ((i + 1) / 104, nic.n);
	}
	for (unsigned i = 0; i < 3; i++) {
		fake_frame(frame, 100, i);
		ATF_CHECK(fake_nic_has(&nic, i, frame, 100));
	}
	end();
}

ATF_TC_WITHOUT_HEAD(no_frames);
ATF_TC_BODY(no_frames, tc)
{
	static const uint32_t lens[] = { 0, NET_FRAME_MAX + 1, UINT32_MAX };
	uint32_t head;

	/* Too short a packet is none; what follows is. */
	begin(SOCK_DGRAM);
	peer_send(SOCK_DGRAM, frame, 0);
	peer_send(SOCK_DGRAM, frame, 13);
	peer_send(SOCK_DGRAM, frame, 14);
	ATF_CHECK(fake_pump_until(h, &nic.n, 1));
	ATF_CHECK_EQ(2, be->stats.rx_dropped);
	end();
	/* A stream that is none ends. */
	for (unsigned i = 0; i < 3; i++) {
		begin(SOCK_STREAM);
		head = htonl(lens[i]);
		ATF_REQUIRE_EQ(4, send(peer, &head, 4, 0));
		fake_pump(h);
		ATF_CHECK(!net_link(be));
		ATF_CHECK_EQ(0, nic.n);
		ATF_CHECK(!wakes());
		end();
	}
}

static int
listen_at(const char *path, int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, type, 0);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	if (type != SOCK_DGRAM)
		ATF_REQUIRE_EQ(0, listen(fd, 1));
	return (fd);
}

static int
open_path(const char *path)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_SOCKET,
	    .name = path };

	return (hvh_netbe_open(h, &np, &be, err, sizeof(err)));
}

ATF_TC_WITHOUT_HEAD(by_path);
ATF_TC_BODY(by_path, tc)
{
	static const char *const paths[] = { "seq", "stream" };
	int fd;

	for (unsigned i = 0; i < 2; i++) {
		h = fake_new(1 << 20);
		fd = listen_at(paths[i], types[i + 1]);
		ATF_REQUIRE_EQ_MSG(0, open_path(paths[i]), "%s", err);
		fake_nic_attach(&nic, be);
		peer = accept(fd, NULL, NULL);
		ATF_REQUIRE(peer >= 0);
		close(fd);
		ATF_CHECK_EQ(0, fake_nic_send(&nic, frame, 60));
		ATF_CHECK_EQ(60, peer_get(types[i + 1]));
		end();
	}
}

ATF_TC_WITHOUT_HEAD(open_errors);
ATF_TC_BODY(open_errors, tc)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_SOCKET,
	    .have_fd = true };
	char path[200];

	h = fake_new(1 << 20);
	ATF_CHECK_EQ(ENOENT, open_path("none"));
	ATF_CHECK_STREQ("none: cannot connect: No such file or directory",
	    err);
	ATF_CHECK_EQ(EINVAL, open_path(""));
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ATF_CHECK_EQ(EINVAL, open_path(path));
	close(listen_at("gram", SOCK_DGRAM));
	ATF_CHECK(open_path("gram") != 0);
	/* A descriptor stays the caller's. */
	np.fd = open("/dev/null", O_RDWR);
	ATF_CHECK_EQ(ENOTSOCK, hvh_netbe_open(h, &np, &be, err, sizeof(err)));
	ATF_CHECK_EQ(0, close(np.fd));
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, both_ways);
	ATF_TP_ADD_TC(tp, batch);
	ATF_TP_ADD_TC(tp, peer_is_slow);
	ATF_TP_ADD_TC(tp, no_room);
	ATF_TP_ADD_TC(tp, peer_leaves);
	ATF_TP_ADD_TC(tp, stream_pieces);
	ATF_TP_ADD_TC(tp, no_frames);
	ATF_TP_ADD_TC(tp, by_path);
	ATF_TP_ADD_TC(tp, open_errors);
	return (atf_no_error());
}
