/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A frame as mbufs, as TCP, UDP and ether_output() leave it: where which bytes
 * lie, and what the driver is asked for.  What the interface is not set to do
 * is done here, as the stack would.
 */

#include <kern/kpi_internal.h>

#include "kpi_netvar.h"

#include <sys/socket.h>

#include <net/ethernet.h>
#include <net/if_vlan_var.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <machine/in_cksum.h>

#define	KPI_NET_HDRS	(ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN + 60 + 60)

/* Headers as far as checksums and TSO need them; offsets from the start. */
struct kpi_headers {
	u_int	kh_l3;
	u_int	kh_l4;		/* 0: neither TCP nor UDP */
	u_int	kh_data;	/* what is behind the last one known */
	bool	kh_ip4, kh_ip6;
	uint8_t	kh_proto;
};

static void
kpi_frame_copy(const struct kpi_frame *f, kpi_size off, kpi_size len,
    char *to)
{
	const struct kpi_piece *p = f->piece;
	kpi_size c;

	for (; off >= p->len && len > 0; p++)
		off -= p->len;
	for (; len > 0; p++, off = 0) {
		c = MIN(len, p->len - off);
		memcpy(to, (const char *)p->addr + off, c);
		to += c;
		len -= c;
	}
}

static kpi_size
kpi_frame_len(const struct kpi_frame *f)
{
	kpi_size len = 0;
	unsigned i;

	for (i = 0; i < f->npieces; i++)
		len += f->piece[i].len;
	return (len);
}

static uint16_t
kpi_be16(const u_char *p)
{

	return (p[0] << 8 | p[1]);
}

/* hdr: the frame's first len bytes. */
static void
kpi_headers_parse(struct kpi_headers *kh, const u_char *hdr, u_int len)
{
	uint16_t type = kpi_be16(hdr + 2 * ETHER_ADDR_LEN);

	memset(kh, 0, sizeof(*kh));
	kh->kh_data = kh->kh_l3 = ETHER_HDR_LEN;
	if (type == ETHERTYPE_VLAN && len >= ETHER_HDR_LEN +
	    ETHER_VLAN_ENCAP_LEN) {
		kh->kh_data = kh->kh_l3 += ETHER_VLAN_ENCAP_LEN;
		type = kpi_be16(hdr + kh->kh_l3 - ETHER_TYPE_LEN);
	}
	if (type == ETHERTYPE_IP && len >= kh->kh_l3 + sizeof(struct ip)) {
		kh->kh_ip4 = true;
		kh->kh_proto = hdr[kh->kh_l3 + offsetof(struct ip, ip_p)];
		kh->kh_data += (hdr[kh->kh_l3] & 0xf) * 4;
		/* No layer 4 header in later fragments. */
		if ((kpi_be16(hdr + kh->kh_l3 + offsetof(struct ip, ip_off)) &
		    IP_OFFMASK) != 0)
			return;
	} else if (type == ETHERTYPE_IPV6 &&
	    len >= kh->kh_l3 + sizeof(struct ip6_hdr)) {
		kh->kh_ip6 = true;
		kh->kh_proto = hdr[kh->kh_l3 +
		    offsetof(struct ip6_hdr, ip6_nxt)];
		kh->kh_data += sizeof(struct ip6_hdr);
	} else
		return;
	if (kh->kh_proto == IPPROTO_TCP &&
	    len >= kh->kh_data + sizeof(struct tcphdr)) {
		kh->kh_l4 = kh->kh_data;
		kh->kh_data += (hdr[kh->kh_l4 + 12] >> 4) * 4;
	} else if (kh->kh_proto == IPPROTO_UDP &&
	    len >= kh->kh_data + sizeof(struct udphdr)) {
		kh->kh_l4 = kh->kh_data;
		kh->kh_data += sizeof(struct udphdr);
	}
}

/* --- Where the bytes lie --- */

/* One mbuf for each piece, of external clusters where they are long. */
static struct mbuf *
kpi_mbuf_as_is(const struct kpi_frame *f)
{
	struct mbuf *top = NULL, **tail = &top, *m;
	kpi_size off = 0;
	unsigned i;

	for (i = 0; i < f->npieces; i++) {
		m = m_get3(f->piece[i].len, M_WAITOK, MT_DATA,
		    i == 0 ? M_PKTHDR : 0);
		if (m == NULL) {
			m_freem(top);
			return (NULL);
		}
		kpi_frame_copy(f, off, f->piece[i].len, mtod(m, char *));
		m->m_len = f->piece[i].len;
		off += m->m_len;
		*tail = m;
		tail = &m->m_next;
	}
	return (top);
}

/* Headers in a first mbuf with room in front, data in clusters behind it. */
static struct mbuf *
kpi_mbuf_as_stack(const struct kpi_frame *f, kpi_size len, u_int hdrlen)
{
	struct mbuf *m, *n;
	u_int lead = max_linkhdr - ETHER_HDR_LEN;
	int c;

	m = m_gethdr(M_WAITOK, MT_DATA);
	if (len <= MHLEN - lead)
		hdrlen = len;
	if (hdrlen <= MHLEN - lead)
		m->m_data += lead;
	m->m_len = MIN(hdrlen, M_TRAILINGSPACE(m));
	kpi_frame_copy(f, 0, m->m_len, mtod(m, char *));
	hdrlen = m->m_len;
	if (hdrlen == len)
		return (m);
	m->m_next = m_getm2(NULL, len - hdrlen, M_WAITOK, MT_DATA, 0);
	for (n = m->m_next; hdrlen < len; n = n->m_next) {
		c = MIN(len - hdrlen, M_TRAILINGSPACE(n));
		kpi_frame_copy(f, hdrlen, c, mtod(n, char *));
		n->m_len = c;
		hdrlen += c;
	}
	return (m);
}

/* --- What is asked of the driver --- */

/* The bits of if_hwassist that the interface may be asked for. */
static uint64_t
kpi_net_assist(struct ifnet *ifp, bool vlan)
{
	uint64_t assist = if_gethwassist(ifp);

	if (!vlan)
		return (assist);
	/* As vlan(4) has it from the interface below. */
	if ((if_getcapenable(ifp) & IFCAP_VLAN_HWCSUM) == 0)
		return (0);
	if ((if_getcapenable(ifp) & IFCAP_VLAN_HWTSO) == 0)
		assist &= ~CSUM_TSO;
	return (assist);
}

static int
kpi_net_ask_ip(struct mbuf *m, const struct kpi_headers *kh, uint64_t assist)
{
	uint16_t sum = 0;

	if (!kh->kh_ip4)
		return (EINVAL);
	m_copyback(m, kh->kh_l3 + offsetof(struct ip, ip_sum), sizeof(sum),
	    (c_caddr_t)&sum);
	if ((assist & CSUM_IP) != 0) {
		m->m_pkthdr.csum_flags |= CSUM_IP;
		return (0);
	}
	sum = in_cksum_skip(m, kh->kh_l4 != 0 ? kh->kh_l4 : kh->kh_data,
	    kh->kh_l3);
	m_copyback(m, kh->kh_l3 + offsetof(struct ip, ip_sum), sizeof(sum),
	    (c_caddr_t)&sum);
	return (0);
}

static int
kpi_net_ask_l4(struct mbuf *m, const struct kpi_headers *kh, uint64_t assist)
{
	bool tcp = kh->kh_proto == IPPROTO_TCP;
	uint32_t flag;
	uint16_t sum;
	u_int off;

	if (kh->kh_l4 == 0)
		return (EINVAL);
	if (kh->kh_ip4)
		flag = tcp ? CSUM_TCP : CSUM_UDP;
	else
		flag = tcp ? CSUM_TCP_IPV6 : CSUM_UDP_IPV6;
	off = tcp ? offsetof(struct tcphdr, th_sum) :
	    offsetof(struct udphdr, uh_sum);
	if ((assist & flag) != 0) {
		m->m_pkthdr.csum_flags |= flag;
		m->m_pkthdr.csum_data = off;
		return (0);
	}
	sum = in_cksum_skip(m, m->m_pkthdr.len, kh->kh_l4);
	if (sum == 0 && !tcp)
		sum = 0xffff;
	m_copyback(m, kh->kh_l4 + off, sizeof(sum), (c_caddr_t)&sum);
	return (0);
}

static int
kpi_net_ask_tso(struct ifnet *ifp, struct mbuf *m,
    const struct kpi_headers *kh, unsigned mss, uint64_t assist)
{

	if (kh->kh_l4 == 0 || kh->kh_proto != IPPROTO_TCP || mss == 0 ||
	    mss > 0xffff)
		return (EINVAL);
	if ((assist & (kh->kh_ip4 ? CSUM_IP_TSO : CSUM_IP6_TSO)) == 0)
		return (EOPNOTSUPP);
	/* TCP leaves room for the link header. */
	if (if_gethwtsomax(ifp) != 0 && m->m_pkthdr.len > if_gethwtsomax(ifp))
		return (EMSGSIZE);
	/* TCP sets both, whatever the protocol below. */
	m->m_pkthdr.csum_flags |= CSUM_TSO;
	m->m_pkthdr.tso_segsz = mss;
	return (0);
}

static int
kpi_net_ask(struct ifnet *ifp, struct mbuf *m, const struct kpi_frame *f,
    const struct kpi_headers *kh)
{
	bool vlan = (f->flags & KPI_NET_VLAN) != 0 ||
	    kh->kh_l3 != ETHER_HDR_LEN;
	uint64_t assist = kpi_net_assist(ifp, vlan);
	int error = 0;

	if ((f->flags & KPI_NET_TSO) != 0)
		error = kpi_net_ask_tso(ifp, m, kh, f->mss, assist);
	if (error == 0 && (f->flags & KPI_NET_CSUM_IP) != 0)
		error = kpi_net_ask_ip(m, kh, assist);
	if (error == 0 && (f->flags & (KPI_NET_CSUM_L4 | KPI_NET_TSO)) != 0)
		error = kpi_net_ask_l4(m, kh, assist);
	return (error);
}

static struct mbuf *
kpi_net_tag(struct ifnet *ifp, struct mbuf *m, unsigned vlan)
{

	if ((if_getcapenable(ifp) & IFCAP_VLAN_HWTAGGING) == 0)
		return (ether_vlanencap_proto(m, vlan, ETHERTYPE_VLAN));
	m->m_flags |= M_VLANTAG;
	m->m_pkthdr.ether_vtag = vlan;
	return (m);
}

int
kpi_net_mbuf(struct ifnet *ifp, const struct kpi_frame *f, struct mbuf **mp)
{
	kpi_size len = kpi_frame_len(f);
	u_char hdr[KPI_NET_HDRS];
	struct kpi_headers kh;
	struct mbuf *m;
	int error;

	if (len < ETHER_HDR_LEN || len > 0xffff + ETHER_HDR_LEN +
	    ETHER_VLAN_ENCAP_LEN)
		return (EINVAL);
	kpi_frame_copy(f, 0, MIN(len, sizeof(hdr)), (char *)hdr);
	kpi_headers_parse(&kh, hdr, MIN(len, sizeof(hdr)));
	m = (f->flags & KPI_NET_AS_IS) != 0 ? kpi_mbuf_as_is(f) :
	    kpi_mbuf_as_stack(f, len, MIN(kh.kh_data, len));
	if (m == NULL)
		return (EINVAL);
	m->m_pkthdr.len = len;
	if (ETHER_IS_MULTICAST(hdr))
		m->m_flags |= ETHER_IS_BROADCAST(hdr) ? M_BCAST : M_MCAST;
	if ((f->flags & KPI_NET_HASH) != 0) {
		m->m_pkthdr.flowid = f->flowid;
		M_HASHTYPE_SET(m, f->hashtype);
	}
	error = kpi_net_ask(ifp, m, f, &kh);
	if (error == 0 && (f->flags & KPI_NET_VLAN) != 0 &&
	    (m = kpi_net_tag(ifp, m, f->vlan)) == NULL)
		error = ENOBUFS;
	if (error != 0)
		m_freem(m);
	else
		*mp = m;
	return (error);
}
