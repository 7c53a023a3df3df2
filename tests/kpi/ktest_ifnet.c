/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Interfaces, by the card of ktest_net_fake.h on one side and kpi.h's handle on
 * the other.
 */

#include "ktest_net_fake.h"

#include <ktest.h>

#include <sys/kthread.h>
#include <sys/proc.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>

#include <net/ethernet.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static u_char buf[70000];

static struct fnic *
up(struct kpi_net **np, const struct kpi_net_ops *ops, void *arg)
{
	struct fnic *fn = fnic_create("fnic");

	KT_EQ(kpi_net_open("fnic0", ops, arg, np), 0);
	KT_EQ(kpi_net_up(*np, 1), 0);
	return (fn);
}

static void
down(struct fnic *fn, struct kpi_net *n)
{

	kpi_net_close(n);
	fnic_destroy(fn);
}

static int
send1(struct kpi_net *n, int len, kpi_u32 flags, unsigned mss, unsigned vlan)
{
	struct kpi_piece piece = { buf, len };
	struct kpi_frame f = { .piece = &piece, .npieces = 1, .flags = flags,
	    .mss = mss, .vlan = vlan };
	int error;

	KT_EQ(kpi_net_send(n, &f, 1, &error), error == 0);
	return (error);
}

static kpi_u64
mbufs_out(void)
{
	struct kpi_mbufs mb;

	kpi_mbufs(&mb);
	return (mb.mbufs + mb.clusters + mb.jumbop + mb.jumbo9 + mb.jumbo16 +
	    mb.ext + mb.tags);
}

/* --- Coming and going --- */

static int arrivals, departures, ether_arrivals;

static void
on_arrival(void *arg, if_t ifp)
{

	arrivals++;
}

static void
on_departure(void *arg, if_t ifp)
{

	departures++;
	KT_CHECK(strcmp(if_name(ifp), "fnic0") == 0);
}

static void
on_ether(void *arg, if_t ifp)
{

	ether_arrivals++;
	KT_EQ(if_getlladdr(ifp)[0], 2);
}

static void
on_list(void *arg, const char *name)
{

	if (strcmp(name, "fnic0") == 0)
		++*(int *)arg;
}

KTEST(ifnet_attach, "an interface comes, is found, and goes without a trace")
{
	eventhandler_tag a, b, c;
	struct kpi_net_info info;
	struct kpi_net *n, *n2;
	struct fnic *fn;
	char line[200];
	int found = 0, lines = 0;

	while (kpi_devctl_read(line, sizeof(line)) == 0)
		;
	a = EVENTHANDLER_REGISTER(ifnet_arrival_event, on_arrival, NULL,
	    EVENTHANDLER_PRI_ANY);
	b = EVENTHANDLER_REGISTER(ifnet_departure_event, on_departure, NULL,
	    EVENTHANDLER_PRI_ANY);
	c = EVENTHANDLER_REGISTER(ether_ifattach_event, on_ether, NULL,
	    EVENTHANDLER_PRI_ANY);
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &n), ENXIO);
	KT_EQ(kpi_net_wait("fnic0", 5), ETIMEDOUT);
	fn = fnic_create("fnic");
	KT_EQ(kpi_net_wait("fnic0", 5), 0);
	kpi_net_list(on_list, &found);
	KT_EQ(found, 1);
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &n), 0);
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &n2), EBUSY);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_CHECK(info.mac[0] == 2 && info.mac[5] == 1 && info.mtu == 1500);
	KT_EQ(info.baudrate, 10000000000);
	KT_CHECK((info.caps & KPI_NETCAP_TSO4) != 0 && info.tsomax > 60000);
	fnic_destroy(fn);
	KT_EQ(kpi_net_info(n, &info), ENXIO);
	KT_EQ(kpi_net_up(n, 1), ENXIO);
	KT_EQ(send1(n, 60, 0, 0, 0), ENXIO);
	kpi_net_close(n);
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &n), ENXIO);
	KT_CHECK(arrivals == 1 && departures == 1 && ether_arrivals == 1);
	while (kpi_devctl_read(line, sizeof(line)) == 0)
		lines += strstr(line, "subsystem=fnic0 type=ATTACH") != NULL ||
		    strstr(line, "subsystem=fnic0 type=IFATTACH") != NULL ||
		    strstr(line, "subsystem=fnic0 type=DETACH") != NULL;
	KT_EQ(lines, 3);
	EVENTHANDLER_DEREGISTER(ifnet_arrival_event, a);
	EVENTHANDLER_DEREGISTER(ifnet_departure_event, b);
	EVENTHANDLER_DEREGISTER(ether_ifattach_event, c);
}

KTEST_PANICS(ifnet_free_report, "an interface freed while attached",
    "fnic0 is attached")
{

	if_free(fnic_create("fnic")->fn_ifp);
}

KTEST_PANICS(ifnet_detach_report, "an interface detached twice",
    "is not attached")
{
	struct fnic *fn = fnic_create("fnic");

	if_detach(fn->fn_ifp);
	if_detach(fn->fn_ifp);
}

/* --- Sending --- */

KTEST(ifnet_send, "a frame leaves as it was, once the interface is up")
{
	struct tframe tf = { .tf_udp = true, .tf_len = 18 };
	struct kpi_net_info info;
	struct kpi_net *n;
	struct fnic *fn;
	struct mbuf *m;
	int len = tframe_make(&tf, buf);

	fn = fnic_create("fnic");
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &n), 0);
	KT_EQ(send1(n, len, 0, 0, 0), ENETDOWN);
	KT_EQ(kpi_net_up(n, 1), 0);
	KT_EQ(send1(n, len, 0, 0, 0), 0);
	m = fnic_sent(fn);
	KT_CHECK(m != NULL && m->m_pkthdr.len == len && m->m_len == len);
	KT_EQ(memcmp(mtod(m, void *), buf, len), 0);
	KT_EQ(m->m_pkthdr.csum_flags, 0);
	m_freem(m);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_CHECK(info.opackets == 1 && info.obytes == len);
	KT_EQ(send1(n, 13, 0, 0, 0), EINVAL);
	KT_EQ(kpi_net_up(n, 0), 0);
	KT_EQ(send1(n, len, 0, 0, 0), ENETDOWN);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

KTEST(ifnet_layout, "headers come in an mbuf of their own, or as asked")
{
	struct tframe tf = { .tf_len = 8000, .tf_ts = true };
	struct kpi_piece piece[3];
	struct kpi_frame f = { .piece = piece, .npieces = 3,
	    .flags = KPI_NET_AS_IS };
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	int error, len = tframe_make(&tf, buf);
	struct mbuf *m;

	KT_EQ(send1(n, len, 0, 0, 0), 0);
	m = fnic_sent(fn);
	KT_EQ(m->m_len, ETHER_HDR_LEN + 20 + 32);
	KT_CHECK((m->m_flags & M_EXT) == 0 && M_LEADINGSPACE(m) >= 2);
	KT_EQ(m->m_next->m_len, MJUMPAGESIZE);
	m_copydata(m, 0, len, (caddr_t)buf + 20000);
	KT_EQ(memcmp(buf, buf + 20000, len), 0);
	m_freem(m);

	piece[0] = (struct kpi_piece){ buf, 14 };
	piece[1] = (struct kpi_piece){ buf + 14, 5000 };
	piece[2] = (struct kpi_piece){ buf + 5014, len - 5014 };
	KT_EQ(kpi_net_send(n, &f, 1, &error), 1);
	m = fnic_sent(fn);
	KT_CHECK(m->m_len == 14 && m->m_next->m_len == 5000 &&
	    m->m_next->m_next->m_len == len - 5014);
	m_freem(m);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

KTEST(ifnet_csum, "checksums are asked for, or filled in where the card cannot")
{
	static const uint32_t asked[2][2] = {
		{ CSUM_TCP, CSUM_TCP_IPV6 }, { CSUM_UDP, CSUM_UDP_IPV6 }
	};
	struct kpi_net_info info;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct tframe tf;
	struct mbuf *m;
	kpi_u32 flags;
	int i, len;

	KT_EQ(kpi_net_info(n, &info), 0);
	for (i = 0; i < 8; i++) {
		tf = (struct tframe){ .tf_udp = (i & 1) != 0,
		    .tf_ip6 = (i & 2) != 0, .tf_len = 999 };
		len = tframe_make(&tf, buf);
		flags = KPI_NET_CSUM_L4 | (tf.tf_ip6 ? 0 : KPI_NET_CSUM_IP);
		KT_EQ(kpi_net_caps(n, (i & 4) != 0 ? info.caps &
		    ~KPI_NETCAP_TXCSUM : info.caps), 0);
		KT_EQ(send1(n, len, flags, 0, 0), 0);
		m = fnic_sent(fn);
		if ((i & 4) == 0) {
			KT_EQ(m->m_pkthdr.csum_flags,
			    asked[tf.tf_udp][tf.tf_ip6] |
			    (tf.tf_ip6 ? 0 : CSUM_IP));
			KT_EQ(m->m_pkthdr.csum_data, tf.tf_udp ? 6 : 16);
			KT_CHECK(!tframe_csum_right(m));
		} else {
			KT_EQ(m->m_pkthdr.csum_flags, 0);
			KT_CHECK(tframe_csum_right(m));
		}
		m_freem(m);
	}
	down(fn, n);
}

KTEST(ifnet_tso, "TSO is asked for as TCP does, within the card's limits")
{
	struct tframe tf = { .tf_len = 30000 };
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct mbuf *m;
	int len = tframe_make(&tf, buf);

	KT_EQ(send1(n, len, KPI_NET_TSO | KPI_NET_CSUM_IP, 1448, 0), 0);
	m = fnic_sent(fn);
	KT_EQ(m->m_pkthdr.csum_flags, CSUM_TSO | CSUM_TCP | CSUM_IP);
	KT_EQ(m->m_pkthdr.tso_segsz, 1448);
	m_freem(m);
	(void)if_sethwtsomax(fn->fn_ifp, 20000);
	KT_EQ(send1(n, len, KPI_NET_TSO, 1448, 0), EMSGSIZE);
	(void)if_sethwtsomax(fn->fn_ifp, 65535);
	(void)if_sethwassist(fn->fn_ifp, CSUM_TCP | CSUM_IP6_TSO);
	KT_EQ(send1(n, len, KPI_NET_TSO, 1448, 0), EOPNOTSUPP);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

static int vlans;

static void
on_vlan(void *arg, if_t ifp, uint16_t tag)
{

	vlans += tag;
}

KTEST(ifnet_vlan, "a tag is the card's or in the frame, out and in")
{
	struct tframe tf = { .tf_len = 100, .tf_udp = true };
	struct kpi_net_info info;
	struct kpi_frame f;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	eventhandler_tag tag;
	struct mbuf *m;
	int len = tframe_make(&tf, buf);

	KT_EQ(kpi_net_info(n, &info), 0);
	KT_EQ(send1(n, len, KPI_NET_VLAN, 0, 0x6005), 0);
	m = fnic_sent(fn);
	KT_CHECK((m->m_flags & M_VLANTAG) != 0 &&
	    m->m_pkthdr.ether_vtag == 0x6005 && m->m_pkthdr.len == len);
	m_freem(m);
	KT_EQ(kpi_net_caps(n, info.caps & ~KPI_NETCAP_VLAN_TAGGING), 0);
	KT_EQ(send1(n, len, KPI_NET_VLAN, 0, 0x6005), 0);
	m = fnic_sent(fn);
	KT_CHECK((m->m_flags & M_VLANTAG) == 0 && m->m_pkthdr.len == len + 4);
	m_copydata(m, 12, 6, (caddr_t)buf + 2000);
	KT_EQ(memcmp(buf + 2000, "\x81\0\x60\5\x8\0", 6), 0);

	m->m_pkthdr.rcvif = fn->fn_ifp;
	fnic_receive(fn, m);
	KT_EQ(kpi_net_recv(n, &f, 1), 0);
	KT_CHECK((f.flags & KPI_NET_VLAN) != 0 && f.vlan == 0x6005 &&
	    f.len == len);
	kpi_net_release(&f);

	tag = EVENTHANDLER_REGISTER(vlan_config, on_vlan, NULL,
	    EVENTHANDLER_PRI_ANY);
	KT_EQ(kpi_net_vlan(n, 5, 1), 0);
	KT_EQ(kpi_net_vlan(n, 4095, 1), EINVAL);
	KT_EQ(vlans, 5);
	EVENTHANDLER_DEREGISTER(vlan_config, tag);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

KTEST(ifnet_ring, "a full ring refuses, and the frame is gone")
{
	struct kpi_net_info info;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	int i;

	memset(buf, 0, 60);
	atomic_store_rel_int(&fn->fn_stopped, 1);
	for (i = 0; i < FNIC_RING - 1; i++)
		KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(send1(n, 60, 0, 0, 0), ENOBUFS);
	KT_EQ(mbufs_out(), FNIC_RING - 1);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_EQ(info.oqdrops, 1);
	atomic_store_rel_int(&fn->fn_stopped, 0);
	fnic_start(fn);
	KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(fn->fn_sent.mq_len, FNIC_RING);
	/* Down: what still waits is dropped. */
	atomic_store_rel_int(&fn->fn_stopped, 1);
	KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(kpi_net_up(n, 0), 0);
	KT_EQ(mbufs_out(), FNIC_RING);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

static int starts;

static void
old_start(if_t ifp)
{
	struct mbuf *m;

	starts++;
	if ((if_getdrvflags(ifp) & IFF_DRV_OACTIVE) != 0)
		return;
	while (!if_sendq_empty(ifp)) {
		m = if_dequeue(ifp);
		if (m == NULL)
			break;
		if (starts == 2) {
			(void)if_sendq_prepend(ifp, m);
			break;
		}
		m_freem(m);
	}
}

static int
old_ioctl(if_t ifp, u_long cmd, caddr_t data)
{

	return (0);
}

KTEST(ifnet_start, "a driver that starts from the send queue finds it")
{
	static const u_char mac[6] = { 2, 0, 0, 0, 0, 7 };
	if_t ifp = if_alloc(IFT_ETHER);
	struct kpi_net *n;
	int i;

	if_initname(ifp, "old", 3);
	if_setstartfn(ifp, old_start);
	if_setioctlfn(ifp, old_ioctl);
	(void)if_setsendqlen(ifp, 8);
	(void)if_setsendqready(ifp);
	ether_ifattach(ifp, mac);
	KT_EQ(kpi_net_open("old3", NULL, NULL, &n), 0);
	KT_EQ(kpi_net_up(n, 1), 0);
	memset(buf, 0, 60);
	KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(starts, 2);
	KT_EQ(mbufs_out(), 1);
	KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(mbufs_out(), 0);
	(void)if_setdrvflagbits(ifp, IFF_DRV_OACTIVE, 0);
	for (i = 0; i < 8; i++)
		KT_EQ(send1(n, 60, 0, 0, 0), 0);
	KT_EQ(send1(n, 60, 0, 0, 0), ENOBUFS);
	KT_EQ(starts, 3);
	KT_EQ(mbufs_out(), 8);
	kpi_net_close(n);
	ether_ifdetach(ifp);
	KT_EQ(mbufs_out(), 0);
	if_free(ifp);
}

/* --- Receiving --- */

KTEST(ifnet_receive, "a frame comes with what the card knows of it")
{
	struct tframe tf = { .tf_len = 1000 };
	struct kpi_net_info info;
	struct kpi_frame f;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct mbuf *m;
	int len = tframe_make(&tf, buf);

	KT_EQ(kpi_net_recv(n, &f, 1), EAGAIN);
	m = fnic_frame(fn, buf, len);
	m->m_pkthdr.csum_flags = CSUM_IP_CHECKED | CSUM_IP_VALID |
	    CSUM_DATA_VALID | CSUM_PSEUDO_HDR;
	m->m_pkthdr.csum_data = 0xffff;
	m->m_pkthdr.flowid = 0x12345678;
	M_HASHTYPE_SET(m, M_HASHTYPE_RSS_TCP_IPV4);
	m->m_nextpkt = fnic_frame(fn, buf, 60);
	fnic_receive(fn, m);
	KT_EQ(kpi_net_recv(n, &f, 1000), 0);
	KT_CHECK(f.len == len && f.npieces == 1 && f.piece[0].len == len);
	KT_EQ(memcmp(f.piece[0].addr, buf, len), 0);
	KT_EQ(f.flags, KPI_NET_CSUM_IP | KPI_NET_CSUM_L4 | KPI_NET_HASH);
	KT_CHECK(f.flowid == 0x12345678 && f.hashtype ==
	    M_HASHTYPE_RSS_TCP_IPV4);
	kpi_net_release(&f);
	KT_EQ(kpi_net_recv(n, &f, 1000), 0);
	KT_CHECK(f.len == 60 && f.flags == 0);
	kpi_net_release(&f);

	/* For another station: only for who listens to all. */
	buf[5] = 77;
	fnic_receive(fn, fnic_frame(fn, buf, len));
	KT_EQ(kpi_net_recv(n, &f, 1), EAGAIN);
	KT_EQ(kpi_net_promisc(n, 1), 0);
	fnic_receive(fn, fnic_frame(fn, buf, len));
	KT_EQ(kpi_net_recv(n, &f, 1), 0);
	kpi_net_release(&f);
	buf[0] = 3;
	fnic_receive(fn, fnic_frame(fn, buf, len));
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_EQ(info.imcasts, 1);
	KT_EQ(kpi_net_up(n, 0), 0);
	fnic_receive(fn, fnic_frame(fn, buf, len));
	KT_EQ(mbufs_out(), 2);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

struct seen {
	int	inputs, captured, keep;
	struct kpi_frame kept;
	int	link;
};

static int
on_input(void *arg, const struct kpi_frame *f)
{
	struct seen *s = arg;

	s->inputs++;
	s->kept = *f;
	return (s->keep);
}

static void
on_capture(void *arg, const struct kpi_frame *f)
{
	struct seen *s = arg;

	s->captured++;
}

static void
on_link(void *arg, int state)
{
	struct seen *s = arg;

	__atomic_store_n(&s->link, state, __ATOMIC_RELEASE);
}

static const struct kpi_net_ops ops = { on_input, on_capture, on_link };

KTEST(ifnet_ops, "who gives functions is called, and may keep frames")
{
	struct tframe tf = { .tf_len = 3000 };
	struct seen s = { .keep = 0 };
	struct kpi_net *n;
	struct fnic *fn = up(&n, &ops, &s);
	int len = tframe_make(&tf, buf);
	struct kpi_mbufs mb;

	fnic_receive(fn, fnic_frame(fn, buf, len));
	KT_CHECK(s.inputs == 1 && s.captured == 1);
	KT_EQ(mbufs_out(), 0);
	s.keep = 1;
	fnic_receive(fn, fnic_frame(fn, buf, len));
	kpi_mbufs(&mb);
	KT_CHECK(mb.mbufs == 1 && mb.jumbop == 1);
	kpi_net_release(&s.kept);
	KT_EQ(mbufs_out(), 0);
	KT_EQ(send1(n, len, 0, 0, 0), 0);
	KT_EQ(s.captured, 3);
	down(fn, n);
}

KTEST_PANICS(ifnet_epoch_report, "if_input() outside of the network epoch",
    "outside of the network epoch")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);

	if_input(fn->fn_ifp, fnic_frame(fn, buf, 60));
}

KTEST_PANICS(ifnet_rcvif_report, "a frame that names no interface", "rcvif")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct mbuf *m = fnic_frame(fn, buf, 60);

	m->m_pkthdr.rcvif = NULL;
	fnic_receive(fn, m);
}

KTEST_PANICS(ifnet_length_report, "a frame of more bytes than it has",
    "bytes in a packet of")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct mbuf *m = fnic_frame(fn, buf, 60);

	m->m_pkthdr.len = 61;
	fnic_receive(fn, m);
}

/* --- Configuration --- */

KTEST(ifnet_config, "MTU, capabilities, address and modes reach the driver")
{
	static const u_char mac[6] = { 2, 1, 2, 3, 4, 5 };
	struct kpi_net_info info;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	u_int flags;

	KT_EQ(kpi_net_mtu(n, 9000), 0);
	KT_EQ(kpi_net_mtu(n, 9001), EINVAL);
	KT_EQ(kpi_net_mtu(n, 60), EINVAL);
	fn->fn_refuse = EBUSY;
	KT_EQ(kpi_net_mtu(n, 1500), EBUSY);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_EQ(info.mtu, 9000);
	KT_EQ(kpi_net_caps(n, KPI_NETCAP_POLLING), EINVAL);
	KT_EQ(kpi_net_caps(n, KPI_NETCAP_RXCSUM), 0);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_CHECK(info.capenable == KPI_NETCAP_RXCSUM && info.hwassist == 0);
	flags = fn->fn_flags;
	KT_EQ(kpi_net_promisc(n, 1), 0);
	KT_EQ(kpi_net_allmulti(n, 1), 0);
	KT_EQ(fn->fn_flags, flags + 2);
	KT_CHECK((if_getflags(fn->fn_ifp) & (IFF_PROMISC | IFF_ALLMULTI)) ==
	    (IFF_PROMISC | IFF_ALLMULTI));
	KT_EQ(kpi_net_promisc(n, 0), 0);
	KT_EQ(if_getflags(fn->fn_ifp) & IFF_PROMISC, 0);
	KT_EQ(kpi_net_mac(n, mac), 0);
	KT_EQ(fn->fn_flags, flags + 5);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_CHECK(memcmp(info.mac, mac, 6) == 0 && (info.flags & IFF_UP) != 0);
	down(fn, n);
}

KTEST(ifnet_promisc, "of several who want all frames the last one ends it")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	u_int flags = fn->fn_flags;

	KT_EQ(ifpromisc(fn->fn_ifp, 1), 0);
	KT_EQ(ifpromisc(fn->fn_ifp, 1), 0);
	KT_EQ(ifpromisc(fn->fn_ifp, 0), 0);
	KT_CHECK((if_getflags(fn->fn_ifp) & IFF_PROMISC) != 0);
	KT_EQ(fn->fn_flags, flags + 1);
	KT_EQ(ifpromisc(fn->fn_ifp, 0), 0);
	KT_EQ(if_getflags(fn->fn_ifp) & IFF_PROMISC, 0);
	fn->fn_refuse = EIO;
	KT_EQ(if_allmulti(fn->fn_ifp, 1), EIO);
	KT_EQ(if_getflags(fn->fn_ifp) & IFF_ALLMULTI, 0);
	down(fn, n);
}

KTEST(ifnet_multicast, "groups are joined and left, the driver has the list")
{
	static const u_char a[6] = { 1, 0, 0x5e, 0, 0, 1 };
	static const u_char b[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const u_char c[6] = { 2, 0, 0, 0, 0, 1 };
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);

	KT_CHECK(if_maddr_empty(fn->fn_ifp));
	KT_EQ(kpi_net_multicast(n, a, 1), 0);
	KT_EQ(kpi_net_multicast(n, b, 1), 0);
	KT_EQ(kpi_net_multicast(n, a, 1), 0);
	KT_EQ(kpi_net_multicast(n, c, 1), EADDRNOTAVAIL);
	KT_CHECK(fn->fn_multis == 2 && fn->fn_groups == 2);
	KT_EQ(kpi_net_multicast(n, a, 0), 0);
	KT_EQ(fn->fn_multis, 2);
	KT_EQ(kpi_net_multicast(n, a, 0), 0);
	KT_CHECK(fn->fn_multis == 3 && fn->fn_groups == 1);
	KT_EQ(kpi_net_multicast(n, a, 0), ENOENT);
	/* The other one goes with the interface. */
	down(fn, n);
}

KTEST(ifnet_link, "a link that goes and comes is heard of")
{
	struct seen s = { .keep = 0 };
	struct kpi_net_info info;
	struct kpi_net *n;
	struct fnic *fn = up(&n, &ops, &s);
	char line[200];
	int i, lines = 0;

	for (i = 0; i < 1000 &&
	    __atomic_load_n(&s.link, __ATOMIC_ACQUIRE) != LINK_STATE_UP; i++)
		DELAY(1000);
	if_link_state_change(fn->fn_ifp, LINK_STATE_DOWN);
	for (i = 0; i < 1000 &&
	    __atomic_load_n(&s.link, __ATOMIC_ACQUIRE) != LINK_STATE_DOWN; i++)
		DELAY(1000);
	KT_EQ(s.link, LINK_STATE_DOWN);
	KT_EQ(kpi_net_info(n, &info), 0);
	KT_EQ(info.link, LINK_STATE_DOWN);
	while (kpi_devctl_read(line, sizeof(line)) == 0)
		lines += strstr(line, "subsystem=fnic0 type=LINK_DOWN") != NULL;
	KT_EQ(lines, 1);
	down(fn, n);
}

KTEST(ifnet_media, "media are listed, shown and set as the driver allows")
{
	struct ifmediareq req;
	struct ifreq ifr;
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	int list[4];

	memset(&req, 0, sizeof(req));
	req.ifm_count = nitems(list);
	req.ifm_ulist = list;
	KT_EQ(kpi_net_ioctl(n, SIOCGIFMEDIA, &req), 0);
	KT_EQ(req.ifm_count, 2);
	KT_EQ(req.ifm_current, IFM_ETHER | IFM_AUTO);
	KT_EQ(req.ifm_active, IFM_ETHER | IFM_10G_T | IFM_FDX);
	KT_EQ(req.ifm_status, IFM_AVALID | IFM_ACTIVE);
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_media = IFM_ETHER | IFM_10G_T | IFM_FDX;
	KT_EQ(kpi_net_ioctl(n, SIOCSIFMEDIA, &ifr), EOPNOTSUPP);
	ifr.ifr_media = IFM_ETHER | IFM_100_TX;
	KT_EQ(kpi_net_ioctl(n, SIOCSIFMEDIA, &ifr), ENXIO);
	KT_EQ(kpi_net_ioctl(n, SIOCGIFMEDIA, &req), 0);
	KT_EQ(req.ifm_current, IFM_ETHER | IFM_AUTO);
	down(fn, n);
}

KTEST(ifnet_debugnet, "a panicked kernel sends a frame and gets one")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct kpi_frame f;
	kpi_size len = 100;

	memset(buf, 0x44, 60);
	KT_EQ(kpi_net_debug("fnic7", buf, 60, buf + 100, &len, 10), ENXIO);
	KT_EQ(kpi_net_debug("fnic0", buf, 60, buf + 100, &len, 1000), 0);
	KT_EQ(len, 60);
	KT_EQ(memcmp(buf, buf + 100, 60), 0);
	KT_EQ(fn->fn_debug_events, 101);
	atomic_store_rel_int(&fn->fn_stopped, 1);
	KT_EQ(kpi_net_debug("fnic0", buf, 60, buf + 100, &len, 1), EBUSY);
	KT_EQ(len, 0);
	/* Afterwards all is as before. */
	memset(buf, 0xff, 6);
	fnic_receive(fn, fnic_frame(fn, buf, 60));
	KT_EQ(kpi_net_recv(n, &f, 1), 0);
	kpi_net_release(&f);
	down(fn, n);
	KT_EQ(mbufs_out(), 0);
}

/* --- Threads --- */

static volatile u_int senders, sent_ok;

static void
sender(void *arg)
{
	static u_char data[60];
	struct kpi_piece piece = { data, sizeof(data) };
	struct kpi_frame f = { .piece = &piece, .npieces = 1 };
	struct kpi_net *n = arg;
	int error;

	do {
		atomic_add_int(&sent_ok, kpi_net_send(n, &f, 1, &error));
	} while (error != ENXIO);
	atomic_subtract_int(&senders, 1);
	kthread_exit();
}

KTEST(real_ifnet_detach, "an interface goes while threads send")
{
	struct kpi_net *n;
	struct fnic *fn = up(&n, NULL, NULL);
	struct mbuf *m;
	int i;

	senders = 3;
	for (i = 0; i < 3; i++)
		KT_EQ(kthread_add(sender, n, NULL, NULL, 0, 0, "sender"), 0);
	for (i = 0; i < 2000; i++) {
		m = fnic_sent(fn);
		m_freem(m);
		fnic_receive(fn, fnic_frame(fn, buf, 60));
		/* For a while nothing leaves, and the ring is full. */
		if (i == 500 || i == 1000)
			atomic_store_rel_int(&fn->fn_stopped, i == 500);
		if (i % 100 == 0)
			if_link_state_change(fn->fn_ifp, 1 + i / 100 % 2);
	}
	while (atomic_load_acq_int(&sent_ok) < 100)
		DELAY(100);
	fnic_destroy(fn);
	while (atomic_load_acq_int(&senders) != 0)
		DELAY(100);
	kpi_net_close(n);
	KT_EQ(mbufs_out(), 0);
}
