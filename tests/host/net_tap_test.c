/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The tap back end on real interfaces, in a network namespace of its own.
 * Linux routes between two of them, so what one is sent comes out at the
 * other, with the offloads done that nobody accepts there.
 */

#include <arpa/inet.h>
#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <unistd.h>

#include "fake_bus.h"
#include "fake_nic.h"

#define	IP_AT		14u
#define	TCP_AT		34u
#define	PAYLOAD_AT	54u
#define	MSS		1000u

static struct hvh *h;
static struct hvh_netbe *be[2];
static struct fake_nic a, b;
static char err[200];
static uint8_t frame[NET_FRAME_MAX];
static uint8_t mac[2][6];			/* of the interfaces */
static const uint8_t far_mac[6] = { 2, 0, 0, 0, 0, 9 };

/* --- A namespace with two of them --- */

static void
set_sysctl(const char *name, const char *value)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	ATF_REQUIRE(write(fd, value, strlen(value)) > 0);
	close(fd);
}

static void
namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		atf_tc_skip("no network namespace: %s", strerror(errno));
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0)
		atf_tc_skip("/dev/net/tun: %s", strerror(errno));
	close(fd);
	set_sysctl("ipv6/conf/all/disable_ipv6", "1");
	set_sysctl("ipv6/conf/default/disable_ipv6", "1");
	set_sysctl("ipv4/ip_forward", "1");
}

static int
open_tap(const char *name, struct hvh_netbe **bep)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_TAP, .name = name };

	err[0] = '\0';
	return (hvh_netbe_open(h, &np, bep, err, sizeof(err)));
}

/* Interface tN is 10.N.0.1/24, and up. */
static void
configure(unsigned n)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ifr.ifr_addr;
	int s;

	s = socket(AF_INET, SOCK_DGRAM, 0);
	ATF_REQUIRE(s >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "t%u", n);
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(10u << 24 | n << 16 | 1);
	ATF_REQUIRE_EQ(0, ioctl(s, SIOCSIFADDR, &ifr));
	sin->sin_addr.s_addr = htonl(0xFFFFFF00);
	ATF_REQUIRE_EQ(0, ioctl(s, SIOCSIFNETMASK, &ifr));
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ATF_REQUIRE_EQ(0, ioctl(s, SIOCSIFFLAGS, &ifr));
	ATF_REQUIRE_EQ(0, ioctl(s, SIOCGIFHWADDR, &ifr));
	memcpy(mac[n], ifr.ifr_hwaddr.sa_data, 6);
	close(s);
}

/* 10.1.0.9 is at far_mac. */
static void
neighbour(void)
{
	struct arpreq ar = { .arp_flags = ATF_PERM | ATF_COM };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ar.arp_pa;
	int s;

	s = socket(AF_INET, SOCK_DGRAM, 0);
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(0x0A010009);
	ar.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(ar.arp_ha.sa_data, far_mac, 6);
	strcpy(ar.arp_dev, "t1");
	ATF_REQUIRE_EQ(0, ioctl(s, SIOCSARP, &ar));
	close(s);
}

static void
begin(void)
{

	namespace();
	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ_MSG(0, open_tap("t0", &be[0]), "%s", err);
	ATF_REQUIRE_EQ_MSG(0, open_tap("t1", &be[1]), "%s", err);
	fake_nic_attach(&a, be[0]);
	fake_nic_attach(&b, be[1]);
	configure(0);
	configure(1);
	neighbour();
}

static void
end(void)
{

	hvh_netbe_close(be[0]);
	hvh_netbe_close(be[1]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

/* --- Frames --- */

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

/* The pseudo header's sum, len bytes of TCP. */
static uint32_t
pseudo(const uint8_t *f, uint32_t len)
{

	return (fake_sum(6 + len, f + IP_AT + 12, 8));
}

/*
 * TCP from 10.0.0.9, through t0, to 10.1.0.9, with payload; the checksum is
 * as partial says, complete or the pseudo header's alone.
 */
static uint32_t
tcp_frame(uint32_t payload, uint32_t seq, bool partial)
{
	uint8_t *ip = frame + IP_AT, *tcp = frame + TCP_AT;
	uint32_t len = 20 + payload;

	memset(frame, 0, PAYLOAD_AT);
	memcpy(frame, mac[0], 6);
	memcpy(frame + 6, far_mac, 6);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 20 + len);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\x0A\x00\x00\x09\x0A\x01\x00\x09", 8);
	put16(ip + 10, 0xFFFF - fake_sum(0, ip, 20));
	put16(tcp, 4000);
	put16(tcp + 2, 5000);
	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq & 0xFFFF);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10;
	put16(tcp + 14, 1000);
	fake_frame(frame + PAYLOAD_AT, payload, seq);
	if (partial)
		put16(tcp + 16, pseudo(frame, len));
	else
		put16(tcp + 16, 0xFFFF - fake_sum(pseudo(frame, len), tcp,
		    len));
	return (TCP_AT + len);
}

/* A whole frame at the other side, all checksums right. */
static void
check_whole(const struct fake_frame *f, uint32_t payload, uint32_t seq)
{
	const uint8_t *d = f->data;
	uint8_t want[4096];

	ATF_REQUIRE_EQ(PAYLOAD_AT + payload, f->len);
	ATF_CHECK_EQ(0, f->meta.gso);
	ATF_CHECK_EQ(0, f->meta.flags & NET_NEEDS_CSUM);
	ATF_CHECK_EQ(0, memcmp(d, far_mac, 6));
	ATF_CHECK_EQ(0xFFFF, fake_sum(0, d + IP_AT, 20));
	ATF_CHECK_EQ(40 + payload, get16(d + IP_AT + 2));
	ATF_CHECK_EQ(0xFFFF, fake_sum(pseudo(d, 20 + payload), d + TCP_AT,
	    20 + payload));
	ATF_CHECK_EQ(seq, get16(d + TCP_AT + 4) << 16 |
	    get16(d + TCP_AT + 6));
	fake_frame(want, payload, seq);
	ATF_CHECK_EQ(0, memcmp(d + PAYLOAD_AT, want, payload));
}

/* --- Tests --- */

ATF_TC_WITHOUT_HEAD(plain);
ATF_TC_BODY(plain, tc)
{
	uint32_t len;

	begin();
	for (unsigned i = 0; i < 10; i++) {
		len = tcp_frame(i * 100, i, false);
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, len));
	}
	ATF_REQUIRE(fake_pump_until(h, &b.n, 10));
	for (unsigned i = 0; i < 10; i++)
		check_whole(&b.frames[i], i * 100, i);
	ATF_CHECK(!b.open);
	ATF_CHECK(b.ends <= b.n);
	end();
}

/* Many pieces, more than a system call is given. */
ATF_TC_WITHOUT_HEAD(pieces);
ATF_TC_BODY(pieces, tc)
{
	static const struct net_meta none;
	struct iovec iov[200];
	uint32_t len;

	begin();
	len = tcp_frame(146, 7, false);
	ATF_REQUIRE_EQ(200, len);
	for (unsigned i = 0; i < 200; i++)
		iov[i] = (struct iovec){ frame + i, 1 };
	ATF_REQUIRE_EQ(0, net_send(be[0], iov, 200, 200, &none));
	net_run(be[0]);
	ATF_REQUIRE(fake_pump_until(h, &b.n, 1));
	check_whole(&b.frames[0], 146, 7);
	end();
}

ATF_TC_WITHOUT_HEAD(checksum);
ATF_TC_BODY(checksum, tc)
{
	const struct net_meta m = { .flags = NET_NEEDS_CSUM,
	    .csum_start = TCP_AT, .csum_offset = 16 };
	const struct net_meta *got;
	uint32_t len;

	begin();
	ATF_CHECK((net_caps(be[0]) & NET_CAN_CSUM) != 0);
	len = tcp_frame(500, 1, true);
	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&a, frame, len, &m));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 1));
	check_whole(&b.frames[0], 500, 1);
	/* Who accepts it gets it as it was. */
	net_accept(be[1], NET_CAN_CSUM);
	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&a, frame, len, &m));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 2));
	got = &b.frames[1].meta;
	ATF_CHECK_EQ(NET_NEEDS_CSUM, got->flags);
	ATF_CHECK_EQ(TCP_AT, got->csum_start);
	ATF_CHECK_EQ(16, got->csum_offset);
	ATF_CHECK_EQ(pseudo(frame, 520), get16(b.frames[1].data + TCP_AT +
	    16));
	/* And no longer so when he is gone. */
	net_accept(be[1], 0);
	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&a, frame, len, &m));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 3));
	check_whole(&b.frames[2], 500, 1);
	end();
}

ATF_TC_WITHOUT_HEAD(segmentation);
ATF_TC_BODY(segmentation, tc)
{
	const struct net_meta m = { .flags = NET_NEEDS_CSUM,
	    .gso = NET_GSO_TCP4, .hdr_len = PAYLOAD_AT, .gso_size = MSS,
	    .csum_start = TCP_AT, .csum_offset = 16 };
	const struct fake_frame *f;
	uint8_t payload[MSS];
	uint32_t len;

	begin();
	ATF_CHECK((net_caps(be[0]) & NET_CAN_TSO4) != 0);
	len = tcp_frame(3 * MSS + 5, 100, true);
	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&a, frame, len, &m));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 4));
	for (unsigned i = 0; i < 4; i++) {
		f = &b.frames[i];
		ATF_REQUIRE_EQ(PAYLOAD_AT + (i < 3 ? MSS : 5), f->len);
		ATF_CHECK_EQ(0, f->meta.gso);
		ATF_CHECK_EQ(0xFFFF, fake_sum(0, f->data + IP_AT, 20));
		ATF_CHECK_EQ(0xFFFF, fake_sum(pseudo(f->data, f->len -
		    TCP_AT), f->data + TCP_AT, f->len - TCP_AT));
		ATF_CHECK_EQ(100 + i * MSS, get16(f->data + TCP_AT + 6));
	}
	memcpy(payload, frame + PAYLOAD_AT + MSS, MSS);
	ATF_CHECK_EQ(0, memcmp(b.frames[1].data + PAYLOAD_AT, payload, MSS));
	net_accept(be[1], NET_CAN_TSO4);
	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&a, frame, len, &m));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 5));
	f = &b.frames[4];
	ATF_CHECK_EQ(len, f->len);
	ATF_CHECK_EQ(NET_GSO_TCP4, f->meta.gso);
	ATF_CHECK_EQ(MSS, f->meta.gso_size);
	ATF_CHECK_EQ(NET_NEEDS_CSUM, f->meta.flags);
	end();
}

/* Numbers that are wrong lose a frame, and nothing else. */
ATF_TC_WITHOUT_HEAD(bad_meta);
ATF_TC_BODY(bad_meta, tc)
{
	static const struct net_meta bad[] = {
		{ .flags = NET_NEEDS_CSUM, .csum_start = 60000 },
		{ .flags = NET_NEEDS_CSUM, .csum_start = 100,
		    .csum_offset = 65000 },
		{ .flags = NET_NEEDS_CSUM, .gso = NET_GSO_TCP6,
		    .gso_size = MSS, .hdr_len = 65535, .csum_start = TCP_AT,
		    .csum_offset = 16 },
		{ .gso = NET_GSO_TCP4, .flags = NET_NEEDS_CSUM },
	};
	uint32_t len;

	begin();
	for (unsigned i = 0; i < 4; i++) {
		len = tcp_frame(2000, 1, true);
		(void)fake_nic_send_meta(&a, frame, len, &bad[i]);
	}
	len = tcp_frame(10, 2, false);
	ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, len));
	ATF_REQUIRE(fake_pump_until(h, &b.n, 1));
	check_whole(&b.frames[b.n - 1], 10, 2);
	end();
}

ATF_TC_WITHOUT_HEAD(no_room);
ATF_TC_BODY(no_room, tc)
{
	struct pollfd p = { .events = POLLIN };
	uint32_t len;

	begin();
	b.room = 2;
	for (unsigned i = 0; i < 20; i++) {
		len = tcp_frame(100, i, false);
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, len));
	}
	ATF_REQUIRE(fake_pump_until(h, &b.refused, 1));
	fake_pump(h);
	fake_pump(h);
	ATF_CHECK_EQ(1, b.refused);
	/* Sources are in the reverse order of their making. */
	p.fd = h->sources->fd;
	ATF_CHECK_EQ_MSG(0, poll(&p, 1, 0), "the pump would run in circles");
	b.room = 100;
	net_resume(be[1]);
	ATF_REQUIRE(fake_pump_until(h, &b.n, 20));
	for (unsigned i = 0; i < 20; i++)
		check_whole(&b.frames[i], 100, i);
	end();
}

ATF_TC_WITHOUT_HEAD(interface_gone);
ATF_TC_BODY(interface_gone, tc)
{
	struct pollfd p = { .events = POLLIN };

	begin();
	if (system("ip link delete t1") != 0)
		atf_tc_skip("there is no ip(8)");
	ATF_REQUIRE(fake_pump_until(h, &b.links, 1));
	ATF_CHECK(!net_link(be[1]));
	ATF_CHECK_EQ(ENETDOWN, fake_nic_send(&b, frame, 60));
	p.fd = h->sources->fd;
	ATF_CHECK_EQ_MSG(0, poll(&p, 1, 0), "the pump would run in circles");
	end();
}

ATF_TC_WITHOUT_HEAD(open_errors);
ATF_TC_BODY(open_errors, tc)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_TAP,
	    .have_fd = true };

	begin();
	ATF_CHECK_EQ(EINVAL, open_tap("a-name-that-is-too-long", &be[0]));
	ATF_CHECK_STREQ("tap: \"a-name-that-is-too-long\" cannot be an "
	    "interface's name", err);
	ATF_CHECK_EQ(EBUSY, open_tap("t1", &be[0]));
	ATF_CHECK_STREQ("tap t1: another program uses it", err);
	ATF_CHECK_EQ(EINVAL, open_tap("lo", &be[0]));
	np.fd = open("/dev/null", O_RDWR);
	ATF_CHECK_EQ(EBADF, hvh_netbe_open(h, &np, &be[0], err,
	    sizeof(err)));
	ATF_CHECK_EQ(0, close(np.fd));
}

/* A descriptor from elsewhere, with and without virtio headers. */
ATF_TC_WITHOUT_HEAD(given);
ATF_TC_BODY(given, tc)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_TAP, .name = "mine",
	    .have_fd = true };
	struct ifreq ifr;
	struct hvh_netbe *mine;
	struct fake_nic nic;
	uint32_t len;

	begin();
	hvh_netbe_close(be[0]);
	for (unsigned vnet = 0; vnet < 2; vnet++) {
		np.fd = open("/dev/net/tun", O_RDWR);
		ATF_REQUIRE(np.fd >= 0);
		ifr = (struct ifreq){ .ifr_flags = IFF_TAP | IFF_NO_PI |
		    (vnet ? IFF_VNET_HDR : 0) };
		strcpy(ifr.ifr_name, "t0");
		ATF_REQUIRE_EQ(0, ioctl(np.fd, TUNSETIFF, &ifr));
		ATF_REQUIRE_EQ_MSG(0, hvh_netbe_open(h, &np, &mine, err,
		    sizeof(err)), "%s", err);
		fake_nic_attach(&nic, mine);
		configure(0);
		ATF_CHECK_EQ(vnet != 0, net_caps(mine) != 0);
		len = tcp_frame(300, vnet, false);
		ATF_CHECK_EQ(0, fake_nic_send(&nic, frame, len));
		ATF_REQUIRE(fake_pump_until(h, &b.n, vnet + 1));
		check_whole(&b.frames[vnet], 300, vnet);
		hvh_netbe_close(mine);
		fake_nic_free(&nic);
	}
	hvh_netbe_close(be[1]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, pieces);
	ATF_TP_ADD_TC(tp, checksum);
	ATF_TP_ADD_TC(tp, segmentation);
	ATF_TP_ADD_TC(tp, bad_meta);
	ATF_TP_ADD_TC(tp, no_room);
	ATF_TP_ADD_TC(tp, interface_gone);
	ATF_TP_ADD_TC(tp, open_errors);
	ATF_TP_ADD_TC(tp, given);
	return (atf_no_error());
}
