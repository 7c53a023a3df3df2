/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A port between Linux's stack and a guest's interface: what is asked of the
 * driver for what Linux leaves to do, what Linux is told of what the driver
 * found out, and that nothing is lost but what is refused.  The interface is
 * this file's own.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <arpa/inet.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>

#include "kpi.h"
#include "netport.h"

#define	VNET	10
#define	NUMBERS	256

/* --- The guest's interface --- */

struct kpi_net {
	const struct kpi_net_ops *ops;
	void		*arg;
	int		 up;
	unsigned	 refuse;	/* so many sends with ENOBUFS */
	unsigned	 room;		/* frames until three are refused */
	unsigned	 sent, calls;
	atomic_bool	 hold;		/* a send does not return */
	unsigned	 capenable;
	unsigned char	 numbers[NUMBERS];	/* the last bytes of frames */
	unsigned char	 want[14];	/* how one begins */
	bool		 came;		/* one that begins so */
	struct kpi_frame f;		/* the last one */
	unsigned char	 data[70000];
	size_t		 len;
};

static struct kpi_net net;
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;

int
kpi_net_open(const char *name, const struct kpi_net_ops *ops, void *arg,
    struct kpi_net **np)
{

	if (strcmp(name, "hn0") != 0)
		return (6);
	net.ops = ops;
	net.arg = arg;
	net.capenable = KPI_NETCAP_TXCSUM | KPI_NETCAP_TSO4 |
	    KPI_NETCAP_VLAN_TAGGING;
	*np = &net;
	return (0);
}

void
kpi_net_close(struct kpi_net *n)
{

	n->ops = NULL;
}

int
kpi_net_up(struct kpi_net *n, int up)
{

	n->up = up;
	return (0);
}

int
kpi_net_info(struct kpi_net *n, struct kpi_net_info *info)
{

	memset(info, 0, sizeof(*info));
	memcpy(info->mac, "\2\0\0\0\0\7", 6);
	info->mtu = 1400;
	info->link = 2;
	info->tsomax = 30000;
	info->capenable = n->capenable;
	return (0);
}

int
kpi_net_caps(struct kpi_net *n, unsigned capenable)
{

	n->capenable = capenable;
	return (0);
}

unsigned
kpi_net_send(struct kpi_net *n, const struct kpi_frame *f, unsigned count,
    int *error)
{
	unsigned i, took = 0;

	pthread_mutex_lock(&mtx);
	*error = 0;
	n->calls++;
	for (; took < count; took++, f++) {
		if (n->room > 0 && --n->room == 0)
			n->refuse = 3;
		if (n->refuse > 0) {
			n->refuse--;
			*error = 55;
			break;
		}
		n->f = *f;
		n->len = 0;
		for (i = 0; i < f->npieces; i++) {
			memcpy(n->data + n->len, f->piece[i].addr,
			    f->piece[i].len);
			n->len += f->piece[i].len;
		}
		n->numbers[n->sent++ % NUMBERS] = n->data[n->len - 1];
		if (memcmp(n->data, n->want, sizeof(n->want)) == 0)
			n->came = true;
	}
	pthread_mutex_unlock(&mtx);
	while (atomic_load(&n->hold))
		usleep(1000);
	return (took);
}

/* --- Both ends --- */

static struct netport *port;
static int linux_end;

static void
start(void)
{
	struct netport_params pp = { .ifname = "hn0" };
	char err[200] = "";
	int fd[2];

	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	linux_end = fd[0];
	pp.fd = fd[1];
	port = netport_start(&pp, err, sizeof(err));
	ATF_REQUIRE_MSG(port != NULL, "%s", err);
	ATF_CHECK(net.up);
}

static void
finish(void)
{

	netport_stop(port);
	ATF_CHECK(net.ops == NULL && !net.up);
	close(linux_end);
}

/* What Linux sends; waits until the driver has had n frames in all. */
static void
transmit(const struct virtio_net_hdr *vh, const void *data, size_t len,
    unsigned n)
{
	unsigned char buf[VNET + 70000];
	int i;

	memcpy(buf, vh, VNET);
	memcpy(buf + VNET, data, len);
	ATF_REQUIRE_EQ((ssize_t)(VNET + len), write(linux_end, buf,
	    VNET + len));
	for (i = 0; i < 5000; i++) {
		pthread_mutex_lock(&mtx);
		if (net.sent >= n) {
			pthread_mutex_unlock(&mtx);
			return;
		}
		pthread_mutex_unlock(&mtx);
		usleep(1000);
	}
	atf_tc_fail("the driver had no frame");
}

static size_t
received(struct virtio_net_hdr *vh, unsigned char *buf, size_t size)
{
	struct pollfd pfd = { .fd = linux_end, .events = POLLIN };
	unsigned char all[VNET + 70000];
	ssize_t n;

	ATF_REQUIRE_EQ(1, poll(&pfd, 1, 5000));
	n = read(linux_end, all, sizeof(all));
	ATF_REQUIRE(n >= VNET && (size_t)n - VNET <= size);
	memcpy(vh, all, VNET);
	memcpy(buf, all + VNET, n - VNET);
	return (n - VNET);
}

/* An IPv4 TCP frame of data bytes; vlan: with a tag in it. */
static size_t
tcp_frame(unsigned char *p, size_t data, int vlan)
{
	size_t i, l3 = vlan ? 18 : 14;

	memset(p, 0, l3 + 40);
	memcpy(p, "\2\0\0\0\0\7\2\0\0\0\0\x8", 12);
	if (vlan)
		memcpy(p + 12, "\x81\0\0\5", 4);
	p[l3 - 2] = 8;
	p[l3] = 0x45;
	p[l3 + 2] = (40 + data) >> 8;
	p[l3 + 3] = 40 + data;
	p[l3 + 9] = 6;
	memcpy(p + l3 + 12, "\12\0\0\1\12\0\0\2", 8);
	p[l3 + 32] = 0x50;
	for (i = 0; i < data; i++)
		p[l3 + 40 + i] = i;
	return (l3 + 40 + data);
}

/* --- Cases --- */

ATF_TC_WITHOUT_HEAD(offloads);
ATF_TC_BODY(offloads, tc)
{
	struct virtio_net_hdr vh = { 0 };
	unsigned char p[9000];
	size_t len;

	start();
	len = tcp_frame(p, 1000, 0);
	transmit(&vh, p, len, 1);
	ATF_CHECK_EQ(KPI_NET_CSUM_IP, net.f.flags);
	ATF_CHECK(net.len == len && memcmp(net.data, p, len) == 0);

	vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh.csum_start = 34;
	vh.csum_offset = 16;
	transmit(&vh, p, len, 2);
	ATF_CHECK_EQ(KPI_NET_CSUM_IP | KPI_NET_CSUM_L4, net.f.flags);

	vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	vh.gso_size = 1448;
	len = tcp_frame(p, 8000, 0);
	transmit(&vh, p, len, 3);
	ATF_CHECK_EQ(KPI_NET_CSUM_IP | KPI_NET_CSUM_L4 | KPI_NET_TSO,
	    net.f.flags);
	ATF_CHECK_EQ(1448, net.f.mss);

	len = tcp_frame(p, 1000, 1);
	vh.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	vh.csum_start = 38;
	transmit(&vh, p, len, 4);
	ATF_CHECK_EQ(KPI_NET_CSUM_IP | KPI_NET_CSUM_L4 | KPI_NET_VLAN,
	    net.f.flags);
	ATF_CHECK_EQ(5, net.f.vlan);
	ATF_CHECK_EQ(len - 4, net.len);
	ATF_CHECK_EQ(len - 4, tcp_frame(p, 1000, 0));
	ATF_CHECK_EQ(0, memcmp(net.data, p, len - 4));
	finish();
}

/* The port's counts, once it has counted so many frames as sent. */
static void
counts(struct netport_stats *st, uint64_t frames)
{

	for (unsigned i = 0; i < 5000; i++) {
		netport_get_stats(port, st);
		if (st->tx_frames >= frames)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ(frames, st->tx_frames);
}

ATF_TC_WITHOUT_HEAD(refused);
ATF_TC_BODY(refused, tc)
{
	struct virtio_net_hdr vh = { 0 };
	struct netport_stats st;
	unsigned char p[2000];
	size_t len = tcp_frame(p, 100, 0);

	start();
	/* Full for a while: the frame waits. */
	net.refuse = 5;
	transmit(&vh, p, len, 1);
	/* What cannot be asked for, or is no frame, is dropped and counted. */
	vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh.csum_start = 20;
	ATF_REQUIRE(write(linux_end, &vh, VNET) == VNET);
	memcpy(p + 1000, &vh, VNET);
	memcpy(p + 1000 + VNET, p, len);
	ATF_REQUIRE(write(linux_end, p + 1000, VNET + len) > 0);
	ATF_REQUIRE(write(linux_end, p + 1000, VNET + 10) > 0);
	vh.flags = 0;
	transmit(&vh, p, len, 2);
	counts(&st, 2);
	ATF_CHECK_EQ(3, st.tx_errors);
	ATF_CHECK_EQ(0, st.tx_drops);
	/* Full for good: the frame is lost, and the next one goes. */
	net.refuse = 2000;
	memcpy(p + 1000, &vh, VNET);
	ATF_REQUIRE(write(linux_end, p + 1000, VNET + len) > 0);
	transmit(&vh, p, len, 3);
	counts(&st, 3);
	ATF_CHECK_EQ(1, st.tx_drops);
	finish();
}

/*
 * Frames that came while the driver was busy are handed in together, and a
 * queue that fills up amid them costs none of them.
 */
ATF_TC_WITHOUT_HEAD(together);
ATF_TC_BODY(together, tc)
{
	struct virtio_net_hdr vh = { 0 };
	unsigned char p[VNET + 200];
	struct netport_stats st;
	size_t len = tcp_frame(p + VNET, 100, 0);
	unsigned i;

	start();
	memcpy(p, &vh, VNET);
	p[VNET + len - 1] = 0;
	atomic_store(&net.hold, true);
	transmit(&vh, p + VNET, len, 1);
	for (i = 1; i < 40; i++) {
		p[VNET + len - 1] = i;
		ATF_REQUIRE_EQ((ssize_t)(VNET + len), write(linux_end, p,
		    VNET + len));
	}
	/* One amid them that is none. */
	ATF_REQUIRE_EQ(VNET + 5, write(linux_end, p, VNET + 5));
	pthread_mutex_lock(&mtx);
	net.room = 20;
	pthread_mutex_unlock(&mtx);
	atomic_store(&net.hold, false);
	p[VNET + len - 1] = 40;
	transmit(&vh, p + VNET, len, 41);
	for (i = 0; i <= 40; i++)
		ATF_CHECK_EQ(i, net.numbers[i]);
	/* The first; up to the refusal; two more of those; the rest. */
	ATF_CHECK_MSG(net.calls <= 8, "%u calls", net.calls);
	counts(&st, 41);
	ATF_CHECK_EQ(41 * len, st.tx_bytes);
	ATF_CHECK_EQ(1, st.tx_errors);
	ATF_CHECK_EQ(0, st.tx_drops);
	finish();
}

ATF_TC_WITHOUT_HEAD(capsoff);
ATF_TC_BODY(capsoff, tc)
{
	struct netport_params pp = { .ifname = "hn0",
	    .capsoff = KPI_NETCAP_VLAN_TAGGING };
	char err[200] = "";
	int fd[2];

	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	linux_end = fd[0];
	pp.fd = fd[1];
	port = netport_start(&pp, err, sizeof(err));
	ATF_REQUIRE_MSG(port != NULL, "%s", err);
	ATF_CHECK_EQ(KPI_NETCAP_TXCSUM | KPI_NETCAP_TSO4, net.capenable);
	finish();
}

ATF_TC_WITHOUT_HEAD(receive);
ATF_TC_BODY(receive, tc)
{
	unsigned char p[9000], q[9000];
	struct virtio_net_hdr vh;
	struct kpi_piece piece[3];
	struct kpi_frame f = { .piece = piece, .npieces = 3 };
	size_t len;

	start();
	len = f.len = tcp_frame(p, 4000, 0);
	/* A tail in pieces, the first of which ends amid the headers. */
	piece[0] = (struct kpi_piece){ p, 20 };
	piece[1] = (struct kpi_piece){ p + 20, 1000 };
	piece[2] = (struct kpi_piece){ p + 1020, len - 1020 };
	ATF_CHECK_EQ(0, net.ops->input(net.arg, &f));
	ATF_CHECK_EQ(len, received(&vh, q, sizeof(q)));
	ATF_CHECK_EQ(0, memcmp(p, q, len));
	ATF_CHECK(vh.flags == 0 && vh.gso_type == 0);

	f.flags = KPI_NET_CSUM_L4 | KPI_NET_VLAN;
	f.vlan = 5;
	ATF_CHECK_EQ(0, net.ops->input(net.arg, &f));
	ATF_CHECK_EQ(len + 4, received(&vh, q, sizeof(q)));
	ATF_CHECK_EQ(VIRTIO_NET_HDR_F_DATA_VALID, vh.flags);
	(void)tcp_frame(p, 4000, 1);
	ATF_CHECK_EQ(0, memcmp(p, q, len + 4));

	/* Of three segments: as GSO would have it. */
	(void)tcp_frame(p, 4000, 0);
	f.flags = KPI_NET_CSUM_L4 | KPI_NET_LRO;
	f.mss = 3;
	ATF_CHECK_EQ(0, net.ops->input(net.arg, &f));
	ATF_CHECK_EQ(len, received(&vh, q, sizeof(q)));
	ATF_CHECK_EQ(VIRTIO_NET_HDR_F_NEEDS_CSUM, vh.flags);
	ATF_CHECK_EQ(VIRTIO_NET_HDR_GSO_TCPV4, vh.gso_type);
	ATF_CHECK_EQ(1334, vh.gso_size);
	ATF_CHECK(vh.csum_start == 34 && vh.csum_offset == 16 &&
	    vh.hdr_len == 54);
	/* 6 + 4020 + a0000 + 1 + a0000 + 2 */
	ATF_CHECK_EQ(6 + 4020 + 0xa00 + 1 + 0xa00 + 2, q[50] << 8 | q[51]);
	finish();
}

/* In a network of its own, as root of a user namespace if need be. */
static bool
own_network(void)
{

	if (unshare(CLONE_NEWNET) != 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return (false);
	return (access("/dev/net/tun", R_OK | W_OK) == 0);
}

static void
ifreq_of(struct ifreq *ifr, int sock, unsigned long cmd)
{

	memset(ifr, 0, sizeof(*ifr));
	strcpy(ifr->ifr_name, "guest0");
	ATF_REQUIRE_EQ_MSG(0, ioctl(sock, cmd, ifr), "%s", strerror(errno));
}

ATF_TC_WITHOUT_HEAD(tap);
ATF_TC_BODY(tap, tc)
{
	struct netport_params pp = { .ifname = "hn0", .tap = "guest0",
	    .queues = 2 };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(0x88b5) };
	struct kpi_piece piece[1];
	struct kpi_frame f = { .piece = piece, .npieces = 1 };
	unsigned char p[60], q[100];
	struct ifreq ifr;
	char err[200];
	int i, raw, sock;
	bool came;

	if (!own_network())
		atf_tc_skip("no network namespace, or no tap devices");
	port = netport_start(&pp, err, sizeof(err));
	ATF_REQUIRE_MSG(port != NULL, "%s", err);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	ifreq_of(&ifr, sock, SIOCGIFHWADDR);
	ATF_CHECK_EQ(7, ifr.ifr_hwaddr.sa_data[5]);
	ifreq_of(&ifr, sock, SIOCGIFMTU);
	ATF_CHECK_EQ(1400, ifr.ifr_mtu);
	ifreq_of(&ifr, sock, SIOCGIFINDEX);
	sll.sll_ifindex = ifr.ifr_ifindex;
	ifreq_of(&ifr, sock, SIOCGIFFLAGS);
	ifr.ifr_flags |= IFF_UP;
	ATF_REQUIRE_EQ(0, ioctl(sock, SIOCSIFFLAGS, &ifr));
	raw = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(0x88b5));
	ATF_REQUIRE_EQ(0, bind(raw, (void *)&sll, sizeof(sll)));

	memset(p, 0x55, sizeof(p));
	memcpy(p, "\2\0\0\0\0\x8\2\0\0\0\0\7\x88\xb5", 14);
	/* The stack's own frames may come behind it. */
	pthread_mutex_lock(&mtx);
	memcpy(net.want, p, sizeof(net.want));
	pthread_mutex_unlock(&mtx);
	ATF_REQUIRE_EQ(60, write(raw, p, 60));
	for (i = 0; i < 5000; i++) {
		pthread_mutex_lock(&mtx);
		came = net.came;
		pthread_mutex_unlock(&mtx);
		if (came)
			break;
		usleep(1000);
	}
	ATF_CHECK(i < 5000);

	/* One for each queue. */
	memcpy(p, "\2\0\0\0\0\7\2\0\0\0\0\x8", 12);
	piece[0] = (struct kpi_piece){ p, 60 };
	f.len = 60;
	for (i = 0; i < 2; i++) {
		f.cpu = i;
		ATF_CHECK_EQ(0, net.ops->input(net.arg, &f));
	}
	for (i = 0; i < 2; i++) {
		struct pollfd pfd = { .fd = raw, .events = POLLIN };

		ATF_REQUIRE_EQ(1, poll(&pfd, 1, 5000));
		ATF_CHECK_EQ(60, read(raw, q, sizeof(q)));
		ATF_CHECK_EQ(0, memcmp(p, q, 60));
	}
	net.ops->link(net.arg, 1);
	ifreq_of(&ifr, sock, SIOCGIFFLAGS);
	for (i = 0; i < 2000 && (ifr.ifr_flags & IFF_RUNNING) != 0; i++) {
		usleep(1000);
		ifreq_of(&ifr, sock, SIOCGIFFLAGS);
	}
	ATF_CHECK_EQ(0, ifr.ifr_flags & IFF_RUNNING);
	netport_stop(port);
	memset(&ifr, 0, sizeof(ifr));
	strcpy(ifr.ifr_name, "guest0");
	ATF_CHECK(ioctl(sock, SIOCGIFFLAGS, &ifr) != 0 && errno == ENODEV);
	close(raw);
	close(sock);
}

ATF_TC_WITHOUT_HEAD(errors);
ATF_TC_BODY(errors, tc)
{
	struct netport_params pp = { .ifname = "hn7", .tap = NULL };
	char err[200];
	int fd[2];

	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	pp.fd = fd[0];
	ATF_CHECK(netport_start(&pp, err, sizeof(err)) == NULL);
	ATF_CHECK(strstr(err, "hn7") != NULL);
	close(fd[1]);
	pp.ifname = "hn0";
	pp.tap = "a-name-that-is-too-long";
	ATF_CHECK(netport_start(&pp, err, sizeof(err)) == NULL);
	ATF_CHECK(strstr(err, "too long") != NULL);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, offloads);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, together);
	ATF_TP_ADD_TC(tp, capsoff);
	ATF_TP_ADD_TC(tp, receive);
	ATF_TP_ADD_TC(tp, tap);
	ATF_TP_ADD_TC(tp, errors);
	return (atf_no_error());
}
