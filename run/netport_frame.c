/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Between struct virtio_net_hdr and struct kpi_frame.
 */

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <string.h>

#include "netport_var.h"

#define	VLAN_LEN	4

static unsigned
be16(const unsigned char *p)
{

	return (p[0] << 8 | p[1]);
}

bool
netport_parse(const unsigned char *head, size_t len,
    struct netport_headers *nh)
{
	unsigned proto, type;

	memset(nh, 0, sizeof(*nh));
	if (len < ETHER_HDR_LEN)
		return (false);
	nh->nh_l3 = nh->nh_data = ETHER_HDR_LEN;
	type = be16(head + 12);
	if (type == ETHERTYPE_IP && len >= nh->nh_l3 + sizeof(struct ip)) {
		nh->nh_ip4 = true;
		proto = head[nh->nh_l3 + 9];
		nh->nh_data += (head[nh->nh_l3] & 0xf) * 4;
		if ((be16(head + nh->nh_l3 + 6) & IP_OFFMASK) != 0)
			return (nh->nh_data <= len);
	} else if (type == ETHERTYPE_IPV6 &&
	    len >= nh->nh_l3 + sizeof(struct ip6_hdr)) {
		proto = head[nh->nh_l3 + 6];
		nh->nh_data += sizeof(struct ip6_hdr);
	} else
		return (true);
	if (proto == IPPROTO_TCP &&
	    len >= nh->nh_data + sizeof(struct tcphdr)) {
		nh->nh_tcp = true;
		nh->nh_l4 = nh->nh_data;
		nh->nh_data += (head[nh->nh_l4 + 12] >> 4) * 4;
	} else if (proto == IPPROTO_UDP &&
	    len >= nh->nh_data + sizeof(struct udphdr)) {
		nh->nh_l4 = nh->nh_data;
		nh->nh_data += sizeof(struct udphdr);
	}
	return (nh->nh_data <= len);
}

/* --- To the guest --- */

/*
 * A VLAN interface on the tap device puts its tag into the frame; FreeBSD's
 * gives it to the interface beside the frame.
 */
static size_t
netport_untag(unsigned char *frame, size_t len, struct kpi_piece piece[2],
    struct kpi_frame *f)
{

	if (len < ETHER_HDR_LEN + VLAN_LEN ||
	    be16(frame + 12) != ETHERTYPE_VLAN) {
		piece[0] = (struct kpi_piece){ frame, len };
		f->npieces = 1;
		return (0);
	}
	f->flags |= KPI_NET_VLAN;
	f->vlan = be16(frame + 14);
	/* In one piece: the addresses move up to what is behind the tag. */
	memmove(frame + VLAN_LEN, frame, 12);
	piece[0] = (struct kpi_piece){ frame + VLAN_LEN, len - VLAN_LEN };
	f->npieces = 1;
	return (VLAN_LEN);
}

bool
netport_to_guest(const struct virtio_net_hdr *vh, unsigned char *frame,
    size_t len, struct kpi_piece piece[2], struct kpi_frame *f)
{
	struct netport_headers nh;
	size_t skip;

	memset(f, 0, sizeof(*f));
	f->piece = piece;
	if (len < ETHER_HDR_LEN)
		return (false);
	skip = netport_untag(frame, len, piece, f);
	if (!netport_parse(frame + skip, len - skip, &nh))
		return (false);
	/* ip_output() asks for it in each case. */
	if (nh.nh_ip4)
		f->flags |= KPI_NET_CSUM_IP;
	if ((vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
		if (nh.nh_l4 == 0 || vh->csum_start != nh.nh_l4 + skip)
			return (false);
		f->flags |= KPI_NET_CSUM_L4;
	}
	switch (vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return (true);
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		f->flags |= KPI_NET_TSO;
		f->mss = vh->gso_size;
		return (nh.nh_tcp);
	default:
		return (false);
	}
}

/* --- To Linux --- */

/* The sum of addresses, protocol and length, as TCP's field has it for GSO. */
static void
netport_pseudo(unsigned char *head, const struct netport_headers *nh,
    size_t len)
{
	const unsigned char *addr = head + nh->nh_l3 + (nh->nh_ip4 ? 12 : 8);
	unsigned i, n = nh->nh_ip4 ? 8 : 32;
	uint32_t sum;

	sum = IPPROTO_TCP + (len - nh->nh_l4);
	for (i = 0; i < n; i += 2)
		sum += be16(addr + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	head[nh->nh_l4 + 16] = sum >> 8;
	head[nh->nh_l4 + 17] = sum & 0xff;
}

/* What LRO made of several segments is what GSO would make them of. */
static void
netport_gso(const struct kpi_frame *f, struct virtio_net_hdr *vh,
    unsigned char *head, const struct netport_headers *nh)
{
	size_t data = f->len - nh->nh_data;

	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->gso_type = nh->nh_ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
	    VIRTIO_NET_HDR_GSO_TCPV6;
	vh->gso_size = (data + f->mss - 1) / f->mss;
	vh->hdr_len = nh->nh_data;
	vh->csum_start = nh->nh_l4;
	vh->csum_offset = 16;
	netport_pseudo(head, nh, f->len);
}

static size_t
netport_head(const struct kpi_frame *f, unsigned char *head, size_t max)
{
	size_t len = 0, n;
	unsigned i;

	for (i = 0; i < f->npieces && len < max; i++) {
		n = f->piece[i].len < max - len ? f->piece[i].len : max - len;
		memcpy(head + len, f->piece[i].addr, n);
		len += n;
	}
	return (len);
}

size_t
netport_to_linux(const struct kpi_frame *f, struct virtio_net_hdr *vh,
    unsigned char head[NETPORT_HEAD], size_t *used)
{
	struct netport_headers nh;
	size_t len;

	memset(vh, 0, sizeof(*vh));
	len = *used = netport_head(f, head, NETPORT_HEAD - VLAN_LEN);
	if (netport_parse(head, len, &nh)) {
		if ((f->flags & KPI_NET_LRO) != 0 && f->mss > 1 && nh.nh_tcp)
			netport_gso(f, vh, head, &nh);
		else if ((f->flags & KPI_NET_CSUM_L4) != 0)
			vh->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if ((f->flags & KPI_NET_VLAN) == 0)
		return (len);
	memmove(head + 12 + VLAN_LEN, head + 12, len - 12);
	head[12] = ETHERTYPE_VLAN >> 8;
	head[13] = ETHERTYPE_VLAN & 0xff;
	head[14] = f->vlan >> 8;
	head[15] = f->vlan & 0xff;
	if (vh->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		vh->csum_start += VLAN_LEN;
		vh->hdr_len += VLAN_LEN;
	}
	return (len + VLAN_LEN);
}
