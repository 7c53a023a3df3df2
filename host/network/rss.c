/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Receive-side scaling; see rss.h. */

#include <string.h>

#include "network/rndis_reg.h"
#include "network/rss.h"

/*
 * The hash is the sum, without carry, of the 32 bits of the key at each set
 * bit of the input.  So what a byte contributes depends on its place and
 * value only.
 */
void
rss_set_key(struct rss *r, const uint8_t key[NDIS_RSS_KEY_SIZE])
{
	uint32_t window[8];
	unsigned bit, i, v;
	uint64_t bits;

	memcpy(r->key, key, sizeof(r->key));
	for (i = 0; i < RSS_INPUT_MAX; i++) {
		bits = (uint64_t)key[i] << 32 | (uint64_t)key[i + 1] << 24 |
		    (uint64_t)key[i + 2] << 16 | (uint64_t)key[i + 3] << 8 |
		    key[i + 4];
		for (bit = 0; bit < 8; bit++)
			window[bit] = (uint32_t)(bits >> (8 - bit));
		for (v = 0; v < 256; v++) {
			r->hash[i][v] = 0;
			for (bit = 0; bit < 8; bit++) {
				if ((v & 0x80u >> bit) != 0)
					r->hash[i][v] ^= window[bit];
			}
		}
	}
}

uint32_t
rss_toeplitz(const struct rss *r, const uint8_t *input, unsigned len)
{
	uint32_t hash = 0;
	unsigned i;

	for (i = 0; i < len; i++)
		hash ^= r->hash[i][input[i]];
	return (hash);
}

/*
 * With ports if the guest wants that for the protocol, else the addresses
 * alone.  Guests that know no UDP hash take it as TCP's or as none.
 */
uint32_t
rss_hash(const struct rss *r, const uint8_t *head,
    const struct frame_headers *fh, uint32_t *type)
{
	uint8_t input[RSS_INPUT_MAX];
	uint32_t ports;
	unsigned n;

	*type = 0;
	if (!r->enabled || fh->ip == 0)
		return (0);
	n = fh->ip == 4 ? 8 : 32;
	memcpy(input, head + fh->l3 + (fh->ip == 4 ? 12 : 8), n);
	ports = 0;
	if (fh->proto == IP_TCP)
		ports = fh->ip == 4 ? NDIS_HASH_TCP4 : NDIS_HASH_TCP6;
	else if (fh->proto == IP_UDP)
		ports = fh->ip == 4 ? NDIS_HASH_UDP4 : NDIS_HASH_UDP6;
	if ((r->types & ports) != 0) {
		memcpy(input + n, head + fh->l4, 4);
		n += 4;
		*type = ports;
	} else {
		*type = r->types & (fh->ip == 4 ? NDIS_HASH_IP4 :
		    NDIS_HASH_IP6);
	}
	return (*type != 0 ? rss_toeplitz(r, input, n) : 0);
}

unsigned
rss_queue(const struct rss *r, uint32_t hash)
{

	return (r->enabled ? r->table[hash % r->entries] : 0);
}

/* Is [ofs, ofs + size) within len bytes? */
static bool
within(uint32_t ofs, uint32_t size, uint32_t len)
{

	return (ofs <= len && size <= len - ofs);
}

/*
 * The object's header is not looked at: guests fill it in different ways.
 * Table and key are where their offsets say.
 */
uint32_t
rss_set(struct rss *r, const uint8_t *obj, uint32_t len, unsigned max)
{
	struct ndis_rss_params rp = { 0 };
	uint8_t table[NDIS_RSS_TABLE_MAX];
	unsigned entries, i;
	uint32_t e;

	if (len < offsetof(struct ndis_rss_params, table_size))
		return (RNDIS_STATUS_INVALID_LENGTH);
	memcpy(&rp, obj, len < sizeof(rp) ? len : sizeof(rp));
	if ((rp.flags & NDIS_RSS_DISABLE) != 0 ||
	    ((rp.flags & NDIS_RSS_HASH_SAME) == 0 &&
	    (rp.hash & NDIS_HASH_FUNCTION) == 0)) {
		r->enabled = false;
		return (RNDIS_STATUS_SUCCESS);
	}
	if ((rp.flags & NDIS_RSS_HASH_SAME) == 0 &&
	    (rp.hash & NDIS_HASH_FUNCTION) != NDIS_HASH_TOEPLITZ)
		return (RNDIS_STATUS_INVALID_DATA);
	if ((rp.flags & NDIS_RSS_KEY_SAME) == 0 &&
	    (rp.key_size != NDIS_RSS_KEY_SIZE ||
	    !within(rp.key_offset, NDIS_RSS_KEY_SIZE, len)))
		return (RNDIS_STATUS_INVALID_DATA);
	entries = r->entries;
	if ((rp.flags & NDIS_RSS_TABLE_SAME) == 0) {
		if (rp.table_size == 0 || rp.table_size % sizeof(e) != 0 ||
		    !within(rp.table_offset, rp.table_size, len))
			return (RNDIS_STATUS_INVALID_DATA);
		entries = rp.table_size / sizeof(e);
		if (entries > NDIS_RSS_TABLE_MAX)
			entries = NDIS_RSS_TABLE_MAX;
		for (i = 0; i < entries; i++) {
			memcpy(&e, obj + rp.table_offset + i * sizeof(e),
			    sizeof(e));
			if (e >= max)
				return (RNDIS_STATUS_INVALID_DATA);
			table[i] = (uint8_t)e;
		}
	}
	/* "As before" where there was nothing. */
	if (entries == 0)
		return (RNDIS_STATUS_INVALID_DATA);
	if ((rp.flags & NDIS_RSS_KEY_SAME) == 0)
		rss_set_key(r, obj + rp.key_offset);
	if ((rp.flags & NDIS_RSS_HASH_SAME) == 0) {
		r->types = rp.hash & ~NDIS_HASH_FUNCTION;
		if (r->types == 0)
			r->types = NDIS_HASH_IP4 | NDIS_HASH_TCP4 |
			    NDIS_HASH_IP6 | NDIS_HASH_TCP6;
	}
	if ((rp.flags & NDIS_RSS_TABLE_SAME) == 0) {
		memcpy(r->table, table, entries);
		r->entries = entries;
	}
	r->enabled = true;
	return (RNDIS_STATUS_SUCCESS);
}
