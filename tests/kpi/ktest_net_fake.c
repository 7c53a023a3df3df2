/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network card of ktest_net_fake.h.
 */

#include "ktest_net_fake.h"

#include <sys/buf_ring.h>
#include <sys/epoch.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sockio.h>

#include <net/bpf.h>
#include <net/debugnet.h>
#include <net/ethernet.h>
#include <net/if_types.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <machine/in_cksum.h>

#define	FNIC_ASSIST	(CSUM_IP | CSUM_TCP | CSUM_UDP | CSUM_TCP_IPV6 | \
    CSUM_UDP_IPV6 | CSUM_TSO)

static MALLOC_DEFINE(M_FNIC, "fnic", "a test's network card");

static const u_char fnic_mac[ETHER_ADDR_LEN] = { 2, 0, 0, 0, 0, 1 };

static u_int
fnic_count_group(void *arg, struct sockaddr_dl *sdl, u_int n)
{

	return (1);
}

static void
fnic_init(void *arg)
{
	struct fnic *fn = arg;

	(void)if_setdrvflagbits(fn->fn_ifp, IFF_DRV_RUNNING, 0);
}

static int
fnic_ioctl(if_t ifp, u_long cmd, caddr_t data)
{
	struct fnic *fn = if_getsoftc(ifp);
	struct ifreq *ifr = (struct ifreq *)data;
	int error = fn->fn_refuse;

	fn->fn_refuse = 0;
	if (error != 0)
		return (error);
	switch (cmd) {
	case SIOCSIFFLAGS:
		fn->fn_flags++;
		if ((if_getflags(ifp) & IFF_UP) != 0)
			fnic_init(fn);
		else
			(void)if_setdrvflagbits(ifp, 0, IFF_DRV_RUNNING);
		return (0);
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		fn->fn_multis++;
		fn->fn_groups = if_foreach_llmaddr(ifp, fnic_count_group, fn);
		return (0);
	case SIOCSIFMTU:
		if (ifr->ifr_mtu > 9000)
			return (EINVAL);
		return (if_setmtu(ifp, ifr->ifr_mtu));
	case SIOCSIFCAP:
		(void)if_setcapenable(ifp, ifr->ifr_reqcap);
		(void)if_sethwassist(ifp,
		    (ifr->ifr_reqcap & IFCAP_TXCSUM) != 0 ? FNIC_ASSIST : 0);
		return (0);
	case SIOCSIFMEDIA:
	case SIOCGIFMEDIA:
		return (ifmedia_ioctl(ifp, ifr, &fn->fn_media, cmd));
	default:
		return (ether_ioctl(ifp, cmd, data));
	}
}

void
fnic_start(struct fnic *fn)
{
	struct mbuf *m;

	mtx_lock(&fn->fn_mtx);
	while (atomic_load_acq_int(&fn->fn_stopped) == 0 &&
	    (m = drbr_peek(fn->fn_ifp, fn->fn_ring)) != NULL) {
		drbr_advance(fn->fn_ifp, fn->fn_ring);
		if_inc_counter(fn->fn_ifp, IFCOUNTER_OPACKETS, 1);
		if_inc_counter(fn->fn_ifp, IFCOUNTER_OBYTES, m->m_pkthdr.len);
		ETHER_BPF_MTAP(fn->fn_ifp, m);
		if (mbufq_enqueue(&fn->fn_sent, m) != 0)
			m_freem(m);
	}
	mtx_unlock(&fn->fn_mtx);
}

static int
fnic_transmit(if_t ifp, struct mbuf *m)
{
	struct fnic *fn = if_getsoftc(ifp);
	int error;

	if ((if_getdrvflags(ifp) & IFF_DRV_RUNNING) == 0) {
		m_freem(m);
		return (ENETDOWN);
	}
	error = drbr_enqueue(ifp, fn->fn_ring, m);
	if (error != 0)
		if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
	fnic_start(fn);
	return (error);
}

static void
fnic_qflush(if_t ifp)
{
	struct fnic *fn = if_getsoftc(ifp);

	mtx_lock(&fn->fn_mtx);
	drbr_flush(ifp, fn->fn_ring);
	mtx_unlock(&fn->fn_mtx);
}

static int
fnic_media_change(if_t ifp)
{

	return (EOPNOTSUPP);
}

static void
fnic_media_status(if_t ifp, struct ifmediareq *req)
{
	bool up = if_getlinkstate(ifp) == LINK_STATE_UP;

	req->ifm_status = IFM_AVALID | (up ? IFM_ACTIVE : 0);
	req->ifm_active = up ? IFM_ETHER | IFM_10G_T | IFM_FDX :
	    IFM_ETHER | IFM_NONE;
}

/* --- As a panicked kernel uses it: what is sent comes back --- */

DEBUGNET_DEFINE(fnic);

static void
fnic_debugnet_init(if_t ifp, int *nrxr, int *ncl, int *clsize)
{

	*nrxr = 1;
	*ncl = DEBUGNET_MAX_IN_FLIGHT;
	*clsize = MCLBYTES;
}

static void
fnic_debugnet_event(if_t ifp, enum debugnet_ev event)
{
	struct fnic *fn = if_getsoftc(ifp);

	fn->fn_debug_events += event == DEBUGNET_START ? 1 : 100;
}

static int
fnic_debugnet_transmit(if_t ifp, struct mbuf *m)
{
	struct fnic *fn = if_getsoftc(ifp);

	if (atomic_load_acq_int(&fn->fn_stopped) != 0) {
		m_freem(m);
		return (EBUSY);
	}
	mtx_lock(&fn->fn_mtx);
	(void)mbufq_enqueue(&fn->fn_sent, m);
	mtx_unlock(&fn->fn_mtx);
	return (0);
}

static int
fnic_debugnet_poll(if_t ifp, int count)
{
	struct fnic *fn = if_getsoftc(ifp);
	struct mbuf *m = fnic_sent(fn);

	if (m == NULL)
		return (0);
	m->m_pkthdr.rcvif = ifp;
	if_input(ifp, m);
	return (0);
}

struct fnic *
fnic_create(const char *name)
{
	struct fnic *fn;
	if_t ifp;

	fn = malloc(sizeof(*fn), M_FNIC, M_WAITOK | M_ZERO);
	mtx_init(&fn->fn_mtx, "fnic", NULL, MTX_DEF);
	mbufq_init(&fn->fn_sent, 1024);
	fn->fn_ring = buf_ring_alloc(FNIC_RING, M_FNIC, M_WAITOK, &fn->fn_mtx);
	ifp = fn->fn_ifp = if_alloc(IFT_ETHER);
	if_initname(ifp, name, 0);
	(void)if_setsoftc(ifp, fn);
	(void)if_setflags(ifp, IFF_BROADCAST | IFF_SIMPLEX | IFF_MULTICAST);
	if_setinitfn(ifp, fnic_init);
	if_setioctlfn(ifp, fnic_ioctl);
	if_settransmitfn(ifp, fnic_transmit);
	if_setqflushfn(ifp, fnic_qflush);
	(void)if_setcapabilities(ifp, IFCAP_HWCSUM | IFCAP_HWCSUM_IPV6 |
	    IFCAP_TSO | IFCAP_LRO | IFCAP_VLAN_HWTAGGING | IFCAP_VLAN_MTU |
	    IFCAP_JUMBO_MTU | IFCAP_LINKSTATE);
	(void)if_setcapenable(ifp, if_getcapabilities(ifp));
	(void)if_sethwassist(ifp, FNIC_ASSIST);
	ifmedia_init(&fn->fn_media, 0, fnic_media_change, fnic_media_status);
	ifmedia_add(&fn->fn_media, IFM_ETHER | IFM_AUTO, 0, NULL);
	ifmedia_add(&fn->fn_media, IFM_ETHER | IFM_10G_T | IFM_FDX, 0, NULL);
	ifmedia_set(&fn->fn_media, IFM_ETHER | IFM_AUTO);
	ether_ifattach(ifp, fnic_mac);
	DEBUGNET_SET(ifp, fnic);
	if_setbaudrate(ifp, IF_Gbps(10));
	if_link_state_change(ifp, LINK_STATE_UP);
	return (fn);
}

void
fnic_destroy(struct fnic *fn)
{

	ether_ifdetach(fn->fn_ifp);
	mbufq_drain(&fn->fn_sent);
	drbr_free(fn->fn_ring, M_FNIC);
	ifmedia_removeall(&fn->fn_media);
	if_free(fn->fn_ifp);
	mtx_destroy(&fn->fn_mtx);
	free(fn, M_FNIC);
}

struct mbuf *
fnic_sent(struct fnic *fn)
{
	struct mbuf *m;

	mtx_lock(&fn->fn_mtx);
	m = mbufq_dequeue(&fn->fn_sent);
	mtx_unlock(&fn->fn_mtx);
	return (m);
}

struct mbuf *
fnic_frame(struct fnic *fn, const void *data, int len)
{
	struct mbuf *m;

	m = m_get3(len, M_WAITOK, MT_DATA, M_PKTHDR);
	memcpy(mtod(m, void *), data, len);
	m->m_len = m->m_pkthdr.len = len;
	m->m_pkthdr.rcvif = fn->fn_ifp;
	return (m);
}

void
fnic_receive(struct fnic *fn, struct mbuf *m)
{
	struct epoch_tracker et;

	if_inc_counter(fn->fn_ifp, IFCOUNTER_IPACKETS, 1);
	NET_EPOCH_ENTER(et);
	if_input(fn->fn_ifp, m);
	NET_EPOCH_EXIT(et);
}

/* --- Frames --- */

static void
put16(u_char *p, u_int v)
{

	p[0] = v >> 8;
	p[1] = v;
}

static void
put32(u_char *p, uint32_t v)
{

	put16(p, v >> 16);
	put16(p + 2, v);
}

/* The sum of what stands before TCP or UDP, and of its length; not inverted. */
static u_int
pseudo_sum(const u_char *addr, int addrlen, int len, int proto)
{
	uint32_t sum = len + proto;
	int i;

	for (i = 0; i < 2 * addrlen; i += 2)
		sum += addr[i] << 8 | addr[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (sum);
}

static int
tframe_ip(const struct tframe *tf, u_char *p, int len, u_int *sum)
{
	int addrlen = tf->tf_ip6 ? 16 : 4, hdr = tf->tf_ip6 ? 40 : 20;
	int proto = tf->tf_udp ? IPPROTO_UDP : IPPROTO_TCP;
	u_char *addr = p + (tf->tf_ip6 ? 8 : 12);

	memset(p, 0, hdr);
	p[0] = tf->tf_ip6 ? 0x60 : 0x45;
	if (tf->tf_ip6) {
		put16(p + 4, len);
		p[6] = proto;
		p[7] = 64;
	} else {
		put16(p + 2, len + hdr);
		p[8] = 64;
		p[9] = proto;
	}
	addr[0] = addr[addrlen] = 10;
	addr[addrlen - 1] = 1;
	addr[2 * addrlen - 1] = 2;
	*sum = pseudo_sum(addr, addrlen, len, proto);
	return (hdr);
}

static int
tframe_tcp(const struct tframe *tf, u_char *p, u_int sum)
{

	memset(p, 0, 20);
	put16(p, 1000 + tf->tf_port);
	put16(p + 2, 80);
	put32(p + 4, tf->tf_seq);
	put32(p + 8, tf->tf_ack);
	p[12] = (tf->tf_ts ? 32 : 20) << 2;
	p[13] = tf->tf_flags != 0 ? tf->tf_flags : TH_ACK;
	put16(p + 14, 8192);
	put16(p + 16, sum);
	if (!tf->tf_ts)
		return (20);
	put32(p + 20, 0x0101080a);
	put32(p + 24, tf->tf_tsval);
	put32(p + 28, 7);
	return (32);
}

int
tframe_make(const struct tframe *tf, u_char *buf)
{
	int hdr = tf->tf_udp ? 8 : tf->tf_ts ? 32 : 20, i;
	u_char *p = buf;
	u_int sum;

	memcpy(p, fnic_mac, ETHER_ADDR_LEN);
	memset(p + 6, 0, ETHER_ADDR_LEN);
	p[6] = 2;
	p[11] = 9;
	put16(p + 12, tf->tf_ip6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	p += ETHER_HDR_LEN;
	p += tframe_ip(tf, p, hdr + tf->tf_len, &sum);
	if (tf->tf_udp) {
		put16(p, 1000 + tf->tf_port);
		put16(p + 2, 53);
		put16(p + 4, hdr + tf->tf_len);
		put16(p + 6, sum);
		p += hdr;
	} else
		p += tframe_tcp(tf, p, sum);
	for (i = 0; i < tf->tf_len; i++)
		*p++ = tf->tf_seq + i;
	return (p - buf);
}

bool
tframe_csum_right(struct mbuf *m)
{
	u_char hdr[ETHER_HDR_LEN + 40];
	const u_char *ip = hdr + ETHER_HDR_LEN;
	u_int sum, l3 = ETHER_HDR_LEN;
	bool ip6;

	m_copydata(m, 0, MIN(m->m_pkthdr.len, sizeof(hdr)), (caddr_t)hdr);
	ip6 = (ip[0] >> 4) == 6;
	l3 += ip6 ? 40 : 20;
	/* All of it, pseudo-header included, sums up to all ones. */
	sum = pseudo_sum(ip + (ip6 ? 8 : 12), ip6 ? 16 : 4,
	    m->m_pkthdr.len - l3, ip6 ? ip[6] : ip[9]);
	sum += ntohs(~in_cksum_skip(m, m->m_pkthdr.len, l3) & 0xffff);
	return ((sum & 0xffff) + (sum >> 16) == 0xffff);
}
