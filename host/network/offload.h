/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a network card does with a frame instead of the stack: Internet
 * checksums and the cutting of large TCP packets.  Pure: no device, no
 * channel.  Frames are as on the wire, VLAN tags within.
 */

#ifndef HVH_NETWORK_OFFLOAD_H
#define	HVH_NETWORK_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * So much of a frame is enough to find its headers: Ethernet, two tags, the
 * longest IPv4 header or IPv6 with some extensions, the longest TCP header.
 */
#define	FRAME_HEAD	256u

#define	FRAME_ETHER	14u
#define	FRAME_TAG	4u
#define	ETHERTYPE_IPV4	0x0800u
#define	ETHERTYPE_IPV6	0x86ddu
#define	ETHERTYPE_VLAN	0x8100u
#define	ETHERTYPE_QINQ	0x88a8u
#define	IP_TCP		6u
#define	IP_UDP		17u

/* Where a frame's headers are, in bytes from its beginning. */
struct frame_headers {
	uint8_t		 ip;		/* 4, 6; 0: not IP, or malformed */
	/*
	 * IP_TCP, IP_UDP; 0: something else, malformed, or a fragment, whose
	 * L4 header is not for us.
	 */
	uint8_t		 proto;
	uint16_t	 l3;
	uint16_t	 l4;		/* with proto */
	uint16_t	 payload;	/* the same: behind the L4 header */
	uint32_t	 end;		/* of the IP packet, as IP says; padding
					 * may follow.  Never beyond the frame,
					 * but for large packets, whose length
					 * IP may not say: the frame's end */
};

static inline uint16_t
frame_be16(const uint8_t *p)
{

	return ((uint16_t)(p[0] << 8 | p[1]));
}

static inline void
frame_put16(uint8_t *p, uint16_t v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/*
 * head: the first have bytes of a frame of len; have is len or at least
 * FRAME_HEAD.  large: the lengths that IP says are not to be believed.
 */
void	frame_parse(const uint8_t *head, uint32_t have, uint32_t len,
	    bool large, struct frame_headers *fh);

/*
 * Adds len bytes to a one's complement sum of big-endian words; odd: the
 * bytes before were odd in number.
 */
uint64_t frame_sum(uint64_t sum, const void *data, size_t len, bool odd);
/* The same of len bytes from ofs on; the pieces hold that much. */
uint64_t frame_sum_iov(uint64_t sum, const struct iovec *iov, int niov,
	    size_t ofs, size_t len);
/* To 16 bits, not inverted. */
uint16_t frame_fold(uint64_t sum);
/* The pseudo header's sum for len bytes of L4. */
uint64_t frame_pseudo(const uint8_t *head, const struct frame_headers *fh,
	    uint32_t len);
/* The IPv4 header's checksum: is it right; make it so. */
bool	frame_ip_good(const uint8_t *head, const struct frame_headers *fh);
void	frame_ip_fill(uint8_t *head, const struct frame_headers *fh);
/* Where the L4 checksum stands, from the frame's beginning. */
uint32_t frame_csum_at(const struct frame_headers *fh);
/*
 * Makes the L4 checksum right; the rest of the packet, from byte have of the
 * frame on, is in iov as if the frame began there too.
 */
void	frame_l4_fill(uint8_t *head, uint32_t have,
	    const struct frame_headers *fh, const struct iovec *iov,
	    int niov);

/*
 * Headers of segment i of a large TCP packet, in place: lengths, numbers,
 * flags and IPv4 checksum as for a packet of its own with len bytes of
 * payload of which ofs came before.  The TCP checksum becomes the sum of the
 * pseudo header, for whoever finishes it.
 */
void	frame_segment(uint8_t *head, const struct frame_headers *fh,
	    uint32_t i, uint32_t ofs, uint32_t len, bool last);

/*
 * The part from ofs on, len bytes, of scattered memory; how many pieces, at
 * most max, -1: more.
 */
int	frame_slice(const struct iovec *iov, int niov, size_t ofs, size_t len,
	    struct iovec *out, int max);
/* Copies out of scattered memory; what there is, at most len. */
size_t	frame_copy(const struct iovec *iov, int niov, size_t ofs, void *buf,
	    size_t len);

#endif	/* !HVH_NETWORK_OFFLOAD_H */
