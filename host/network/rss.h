/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Receive-side scaling: the Toeplitz hash of a packet's addresses and ports,
 * and the table that makes a queue of it.  Pure.  protocol: netvsc, 6.3
 */

#ifndef HVH_NETWORK_RSS_H
#define	HVH_NETWORK_RSS_H

#include "network/ndis_reg.h"
#include "network/offload.h"

/* IPv6 addresses and ports. */
#define	RSS_INPUT_MAX	36u

struct rss {
	bool		 enabled;
	uint32_t	 types;		/* NDIS_HASH_*, what is hashed */
	uint8_t		 key[NDIS_RSS_KEY_SIZE];
	unsigned	 entries;
	uint8_t		 table[NDIS_RSS_TABLE_MAX];	/* queues */
	/* What each value of each byte of the input adds to the hash. */
	uint32_t	 hash[RSS_INPUT_MAX][256];
};

void	rss_set_key(struct rss *r, const uint8_t key[NDIS_RSS_KEY_SIZE]);
uint32_t rss_toeplitz(const struct rss *r, const uint8_t *input, unsigned len);
/*
 * Hashes a frame.  *type gets the one NDIS_HASH_* bit of what was hashed; 0:
 * nothing the guest wants hashed, and the hash is 0.
 */
uint32_t rss_hash(const struct rss *r, const uint8_t *head,
	    const struct frame_headers *fh, uint32_t *type);
/* The queue of a hash; 0 if the scaling is off. */
unsigned rss_queue(const struct rss *r, uint32_t hash);
/*
 * Takes RSS_PARAMETERS of len bytes, for queues below max.  An
 * RNDIS_STATUS_*; nothing changes on failure.
 */
uint32_t rss_set(struct rss *r, const uint8_t *obj, uint32_t len,
	    unsigned max);

#endif	/* !HVH_NETWORK_RSS_H */
