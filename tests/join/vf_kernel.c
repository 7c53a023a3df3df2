/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See vf_kernel.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/mbuf.h>
#include <sys/proc.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_types.h>
#include <net/if_var.h>

#include "vf_kernel.h"

static if_t vf;
static volatile u_int vf_frames, vf_refuses;
static int vf_hardware;
static uint8_t vf_last[2048];
static u_int vf_lastlen;
static uint8_t vf_key[RSS_KEYLEN];
static u_int vf_keylen;

/* What the stack may leave to it. */
static void
vf_hwassist(if_t ifp)
{
	int enabled = if_getcapenable(ifp);
	uint64_t assist = 0;

	if ((enabled & IFCAP_TXCSUM) != 0)
		assist |= CSUM_IP | CSUM_IP_TCP | CSUM_IP_UDP;
	if ((enabled & IFCAP_TSO4) != 0)
		assist |= CSUM_IP_TSO;
	if_sethwassist(ifp, assist);
}

static int
vf_transmit(if_t ifp, struct mbuf *m)
{

	KASSERT((if_getdrvflags(ifp) & IFF_DRV_RUNNING) != 0,
	    ("a packet for a card that is down"));
	KASSERT((m->m_pkthdr.csum_flags & (CSUM_IP | CSUM_IP_TCP |
	    CSUM_IP_UDP | CSUM_TSO) & ~if_gethwassist(ifp)) == 0,
	    ("a packet with flags %#x that the card knows nothing of",
	    m->m_pkthdr.csum_flags));
	KASSERT((m->m_flags & M_VLANTAG) == 0 || (if_getcapenable(ifp) &
	    IFCAP_VLAN_HWTAGGING) != 0, ("a tag that the card cannot put in"));
	vf_lastlen = (u_int)MIN(m->m_pkthdr.len, (int)sizeof(vf_last));
	m_copydata(m, 0, (int)vf_lastlen, (caddr_t)vf_last);
	m_freem(m);
	if (atomic_load_int(&vf_refuses) != 0)
		return (ENOBUFS);
	atomic_add_int(&vf_frames, 1);
	return (0);
}

static void
vf_qflush(if_t ifp __unused)
{
}

static void
vf_init(void *arg __unused)
{
}

static int
vf_tell_key(struct ifrsskey *rk)
{

	if (vf_keylen == 0)
		return (EINVAL);
	rk->ifrk_func = RSS_FUNC_TOEPLITZ;
	rk->ifrk_keylen = (uint16_t)vf_keylen;
	memcpy(rk->ifrk_key, vf_key, vf_keylen);
	return (0);
}

static int
vf_ioctl(if_t ifp, u_long cmd, caddr_t data)
{
	struct ifreq *ifr = (struct ifreq *)data;

	switch (cmd) {
	case SIOCSIFFLAGS:
		if ((if_getflags(ifp) & IFF_UP) != 0)
			if_setdrvflagbits(ifp, IFF_DRV_RUNNING, 0);
		else
			if_setdrvflagbits(ifp, 0, IFF_DRV_RUNNING);
		return (0);
	case SIOCSIFCAP:
		if_setcapenable(ifp, ifr->ifr_reqcap);
		vf_hwassist(ifp);
		return (0);
	case SIOCSIFMTU:
		if_setmtu(ifp, ifr->ifr_mtu);
		return (0);
	case SIOCGIFRSSKEY:
		return (vf_tell_key((struct ifrsskey *)data));
	default:
		return (ether_ioctl(ifp, cmd, data));
	}
}

int
ktest_vf_attach(const unsigned char mac[6])
{

	vf = if_alloc(IFT_ETHER);
	if_initname(vf, "vfnic", 0);
	if_setflags(vf, IFF_BROADCAST | IFF_SIMPLEX | IFF_MULTICAST);
	if_setinitfn(vf, vf_init);
	if_setioctlfn(vf, vf_ioctl);
	if_settransmitfn(vf, vf_transmit);
	if_setqflushfn(vf, vf_qflush);
	if_setcapabilities(vf, vf_hardware);
	if_setcapenable(vf, vf_hardware);
	vf_hwassist(vf);
	ether_ifattach(vf, mac);
	if_link_state_change(vf, LINK_STATE_UP);
	return (0);
}

void
ktest_vf_detach(void)
{

	ether_ifdetach(vf);
	/* Its rings are gone now: a packet would be one too many. */
	if_setdrvflagbits(vf, 0, IFF_DRV_RUNNING);
	if_free(vf);
	vf = NULL;
}

int
ktest_vf_up(int up)
{
	struct ifreq ifr;
	int flags;

	memset(&ifr, 0, sizeof(ifr));
	flags = if_getflags(vf) & ~IFF_UP;
	if (up)
		flags |= IFF_UP;
	ifr.ifr_flags = (short)flags;
	ifr.ifr_flagshigh = (short)(flags >> 16);
	return (ifhwioctl(SIOCSIFFLAGS, vf, (caddr_t)&ifr, curthread));
}

void
ktest_vf_receive(const void *frame, unsigned len)
{
	struct epoch_tracker et;
	struct mbuf *m;

	m = m_getcl(M_WAITOK, MT_DATA, M_PKTHDR);
	memcpy(mtod(m, void *), frame, len);
	m->m_len = m->m_pkthdr.len = (int)len;
	m->m_pkthdr.rcvif = vf;
	NET_EPOCH_ENTER(et);
	if_input(vf, m);
	NET_EPOCH_EXIT(et);
}

void
ktest_vf_hardware(unsigned caps)
{

	vf_hardware = (int)caps;
}

unsigned
ktest_vf_caps(void)
{

	return ((unsigned)if_getcapenable(vf));
}

unsigned
ktest_vf_flags(void)
{

	return ((unsigned)if_getflags(vf));
}

unsigned
ktest_vf_last(void *buf, unsigned len)
{

	memcpy(buf, vf_last, MIN(len, vf_lastlen));
	return (vf_lastlen);
}

void
ktest_vf_key(const unsigned char *key, unsigned len)
{

	memcpy(vf_key, key, len);
	vf_keylen = len;
}

void
ktest_vf_refuse(int refuse)
{

	atomic_store_int(&vf_refuses, refuse);
}

unsigned
ktest_vf_sent(void)
{

	return (atomic_load_int(&vf_frames));
}

int
ktest_vf_is_up(void)
{

	return (vf != NULL && (if_getflags(vf) & IFF_UP) != 0);
}

unsigned
ktest_vf_mtu(void)
{

	return ((unsigned)if_getmtu(vf));
}
