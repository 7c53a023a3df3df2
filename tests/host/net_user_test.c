/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network in user mode, by frames made by hand: ARP, DHCP, UDP to the host
 * and back.
 */

#include <arpa/inet.h>
#include <atf-c.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_bus.h"
#include "fake_nic.h"

static struct hvh *h;
static struct hvh_netbe *be;
static struct fake_nic nic;
static char err[200];
static uint8_t frame[2000];

static const uint8_t me[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t host[6];

static int
open_user(bool restricted, uint32_t mtu)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_USER,
	    .restricted = restricted, .mtu = mtu };

	return (hvh_netbe_open(h, &np, &be, err, sizeof(err)));
}

static void
begin(bool restricted)
{

	h = fake_new(1 << 20);
	h->now = 1000000000;
	ATF_REQUIRE_EQ_MSG(0, open_user(restricted, 0), "%s", err);
	fake_nic_attach(&nic, be);
}

static void
end(void)
{

	hvh_netbe_close(be);
	fake_nic_free(&nic);
	fake_free(h);
}

static void
put16(uint8_t *p, unsigned v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned
get16(const uint8_t *p)
{

	return ((unsigned)p[0] << 8 | p[1]);
}

static void
ethernet(const uint8_t *to, unsigned type)
{

	memset(frame, 0, sizeof(frame));
	memcpy(frame, to, 6);
	memcpy(frame + 6, me, 6);
	put16(frame + 12, type);
}

/* The first frame with these bytes at a place; NULL: none. */
static const struct fake_frame *
find(uint32_t at, const void *bytes, uint32_t len)
{

	for (unsigned i = 0; i < nic.n; i++) {
		if (nic.frames[i].len >= at + len &&
		    memcmp(nic.frames[i].data + at, bytes, len) == 0)
			return (&nic.frames[i]);
	}
	return (NULL);
}

static const struct fake_frame *
wait_for(uint32_t at, const void *bytes, uint32_t len)
{
	const struct fake_frame *f;

	for (unsigned i = 0; i < 20; i++) {
		f = find(at, bytes, len);
		if (f != NULL)
			return (f);
		if (i > 0)
			poll(NULL, 0, 20);
		fake_pump(h);
	}
	return (NULL);
}

/* Who is 10.0.2.2?  By that libslirp knows us, too. */
static void
arp(void)
{
	const struct fake_frame *f;
	unsigned had = nic.n;

	ethernet((const uint8_t *)"\xFF\xFF\xFF\xFF\xFF\xFF", 0x0806);
	memcpy(frame + 14, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
	memcpy(frame + 22, me, 6);
	memcpy(frame + 28, "\x0A\x00\x02\x0F", 4);
	memcpy(frame + 38, "\x0A\x00\x02\x02", 4);
	ATF_REQUIRE_EQ(0, fake_nic_send(&nic, frame, 60));
	ATF_CHECK_EQ_MSG(had, nic.n, "delivered from within net_send()");
	f = wait_for(14, "\x00\x01\x08\x00\x06\x04\x00\x02", 8);
	ATF_REQUIRE_MSG(f != NULL, "no answer to ARP");
	ATF_CHECK_EQ(0, memcmp(f->data + 28, "\x0A\x00\x02\x02", 4));
	memcpy(host, f->data + 22, 6);
}

static uint32_t
udp_sum(const uint8_t *f)
{

	return (fake_sum(17 + get16(f + 38), f + 26, 8));
}

/* UDP with payload, already at 42 on; returns the frame's length. */
static uint32_t
udp(const char *from, const char *to, unsigned sport, unsigned dport,
    uint32_t payload)
{
	uint32_t len = 8 + payload;

	frame[14] = 0x45;
	put16(frame + 16, 20 + len);
	frame[22] = 64;
	frame[23] = 17;
	memcpy(frame + 26, from, 4);
	memcpy(frame + 30, to, 4);
	put16(frame + 24, 0xFFFF - fake_sum(0, frame + 14, 20));
	put16(frame + 34, sport);
	put16(frame + 36, dport);
	put16(frame + 38, len);
	put16(frame + 40, 0xFFFF - fake_sum(udp_sum(frame), frame + 34, len));
	return (42 + payload);
}

ATF_TC_WITHOUT_HEAD(dhcp);
ATF_TC_BODY(dhcp, tc)
{
	const struct fake_frame *f;
	const uint8_t *o, *router = NULL;

	begin(true);
	ethernet((const uint8_t *)"\xFF\xFF\xFF\xFF\xFF\xFF", 0x0800);
	memcpy(frame + 42, "\x01\x01\x06\x00\x12\x34\x56\x78", 8);
	memcpy(frame + 42 + 28, me, 6);
	memcpy(frame + 42 + 236, "\x63\x82\x53\x63\x35\x01\x01\xFF", 8);
	ATF_REQUIRE_EQ(0, fake_nic_send(&nic, frame, udp("\0\0\0\0",
	    "\xFF\xFF\xFF\xFF", 68, 67, 300)));
	f = wait_for(42 + 4, "\x12\x34\x56\x78", 4);
	ATF_REQUIRE_MSG(f != NULL, "no offer");
	ATF_REQUIRE(f->len > 42 + 240);
	ATF_CHECK_EQ(0xFFFF, fake_sum(0, f->data + 14, 20));
	ATF_CHECK_EQ(0, memcmp(f->data + 42 + 16, "\x0A\x00\x02\x0F", 4));
	for (o = f->data + 42 + 240; o + 6 <= f->data + f->len && *o != 255;
	    o += *o == 0 ? 1 : 2 + o[1]) {
		if (*o == 3)
			router = o + 2;
	}
	/* A restricted network leads nowhere. */
	ATF_CHECK(router == NULL);
	end();
}

/* A socket of the host's at 127.0.0.1, for as long as it takes. */
static int
host_socket(unsigned *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct timeval tv = { .tv_sec = 2 };
	socklen_t len = sizeof(sin);
	int s;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	ATF_REQUIRE_EQ(0, bind(s, (struct sockaddr *)&sin, sizeof(sin)));
	ATF_REQUIRE_EQ(0, getsockname(s, (struct sockaddr *)&sin, &len));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	*port = ntohs(sin.sin_port);
	return (s);
}

static void
ask_host(unsigned port)
{

	ethernet(host, 0x0800);
	memcpy(frame + 42, "ping", 4);
	ATF_REQUIRE_EQ(0, fake_nic_send(&nic, frame, udp("\x0A\x00\x02\x0F",
	    "\x0A\x00\x02\x02", 5000, port, 4)));
}

ATF_TC_WITHOUT_HEAD(udp_and_back);
ATF_TC_BODY(udp_and_back, tc)
{
	struct sockaddr_in from;
	struct pollfd p = { .events = POLLIN };
	const struct fake_frame *f;
	socklen_t len = sizeof(from);
	char text[10];
	unsigned port;
	int s;

	begin(false);
	arp();
	s = host_socket(&port);
	ask_host(port);
	ATF_REQUIRE_EQ(4, recvfrom(s, text, sizeof(text), 0,
	    (struct sockaddr *)&from, &len));
	ATF_CHECK_EQ(0, memcmp(text, "ping", 4));
	fake_pump(h);
	p.fd = h->sources->fd;
	ATF_CHECK_EQ_MSG(0, poll(&p, 1, 0), "the pump would run in circles");
	ATF_REQUIRE_EQ(4, sendto(s, "pong", 4, 0, (struct sockaddr *)&from,
	    len));
	ATF_CHECK_EQ_MSG(1, poll(&p, 1, 2000), "nothing wakes the pump");
	f = wait_for(42, "pong", 4);
	ATF_REQUIRE_MSG(f != NULL, "no answer");
	ATF_CHECK_EQ(0, memcmp(f->data, me, 6));
	ATF_CHECK_EQ(port, get16(f->data + 34));
	ATF_CHECK_EQ(5000, get16(f->data + 36));
	ATF_CHECK_EQ(0xFFFF, fake_sum(0, f->data + 14, 20));
	ATF_CHECK_EQ(0xFFFF, fake_sum(udp_sum(f->data), f->data + 34, 12));
	ATF_CHECK_EQ(0, poll(&p, 1, 0));
	close(s);
	end();
}

ATF_TC_WITHOUT_HEAD(restricted);
ATF_TC_BODY(restricted, tc)
{
	char text[10];
	unsigned port;
	int s;

	begin(true);
	arp();
	s = host_socket(&port);
	ask_host(port);
	fake_pump(h);
	ATF_CHECK_EQ(-1, recv(s, text, sizeof(text), MSG_DONTWAIT));
	close(s);
	end();
}

/* Nonsense from a guest. */
ATF_TC_WITHOUT_HEAD(nonsense);
ATF_TC_BODY(nonsense, tc)
{

	begin(true);
	srandom(3);
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t len = 14 + (uint32_t)random() % 200;

		for (uint32_t k = 0; k < len; k++)
			frame[k] = (uint8_t)random();
		put16(frame + 12, i % 3 == 0 ? 0x0800 : i % 3 == 1 ? 0x0806 :
		    0x86DD);
		if (i % 2 == 0)
			frame[14] = 0x45;
		ATF_REQUIRE_EQ(0, fake_nic_send(&nic, frame, len));
		if (i % 50 == 0)
			fake_pump(h);
	}
	arp();
	end();
}

ATF_TC_WITHOUT_HEAD(open_errors);
ATF_TC_BODY(open_errors, tc)
{

	h = fake_new(1 << 20);
	ATF_CHECK_EQ(EINVAL, open_user(false, 1000));
	ATF_CHECK_EQ(EINVAL, open_user(false, 70000));
	ATF_CHECK_STREQ("user network: its MTU is from 1500 to 65521", err);
	ATF_REQUIRE_EQ(0, open_user(false, 9000));
	hvh_netbe_close(be);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, dhcp);
	ATF_TP_ADD_TC(tp, udp_and_back);
	ATF_TP_ADD_TC(tp, restricted);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, open_errors);
	return (atf_no_error());
}
