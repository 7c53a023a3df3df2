/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * SHA-256 (FIPS 180-4), so that the host can compare what the guest has read
 * or written with an image.  The round constants are computed as the standard
 * defines them: the first 32 bits of the fractions of the cube roots of the
 * first 64 primes.
 */

#include "lib.h"

static uint32_t round_constants[64];
static uint32_t start_state[8];

/* The first 32 bits of the fraction of n's root of that degree, 2 or 3. */
static uint32_t
root_fraction(unsigned n, unsigned degree)
{
	unsigned __int128 power, want = (unsigned __int128)n <<
	    (32 * degree);
	uint64_t root = 0, bit;
	unsigned i;

	for (bit = (uint64_t)1 << 38; bit != 0; bit >>= 1) {
		root |= bit;
		power = root;
		for (i = 1; i < degree; i++)
			power *= root;
		if (power > want)
			root &= ~bit;
	}
	return ((uint32_t)root);
}

static void
constants(void)
{
	unsigned n, d, found = 0;

	for (n = 2; found < 64; n++) {
		for (d = 2; d < n && n % d != 0;)
			d++;
		if (d < n)
			continue;
		if (found < 8)
			start_state[found] = root_fraction(n, 2);
		round_constants[found++] = root_fraction(n, 3);
	}
}

static uint32_t
rotate(uint32_t x, int n)
{

	return (x >> n | x << (32 - n));
}

/*
 * One round.  What the standard calls a to h is h's place on in each round, so
 * that nothing has to move; e becomes what d and the round's sum are, h what
 * both sums are, and eight rounds later all are at their places again.
 */
#define	ROUND(i, a, b, c, d, e, f, g, h) do {				\
	uint32_t sum = (h) + (rotate(e, 6) ^ rotate(e, 11) ^		\
	    rotate(e, 25)) + (((e) & (f)) ^ (~(e) & (g))) +		\
	    round_constants[i] + w[i];					\
									\
	(d) += sum;							\
	(h) = sum + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +	\
	    (((a) & (b)) ^ ((a) & (c)) ^ ((b) & (c)));			\
} while (0)

static void
compress(struct sha256 *s, const uint8_t *data)
{
	uint32_t w[64], v[8];
	int i;

	for (i = 0; i < 16; i++, data += 4)
		w[i] = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
		    (uint32_t)data[2] << 8 | data[3];
	for (; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		    (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^
		    w[i - 15] >> 3) +
		    (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^
		    w[i - 2] >> 10);
	memcpy(v, s->state, sizeof(v));
	for (i = 0; i < 64; i += 8) {
		ROUND(i + 0, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
		ROUND(i + 1, v[7], v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
		ROUND(i + 2, v[6], v[7], v[0], v[1], v[2], v[3], v[4], v[5]);
		ROUND(i + 3, v[5], v[6], v[7], v[0], v[1], v[2], v[3], v[4]);
		ROUND(i + 4, v[4], v[5], v[6], v[7], v[0], v[1], v[2], v[3]);
		ROUND(i + 5, v[3], v[4], v[5], v[6], v[7], v[0], v[1], v[2]);
		ROUND(i + 6, v[2], v[3], v[4], v[5], v[6], v[7], v[0], v[1]);
		ROUND(i + 7, v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[0]);
	}
	for (i = 0; i < 8; i++)
		s->state[i] += v[i];
}

void
sha256_init(struct sha256 *s)
{

	if (start_state[0] == 0)
		constants();
	memcpy(s->state, start_state, sizeof(s->state));
	s->length = 0;
}

void
sha256_update(struct sha256 *s, const void *buf, size_t size)
{
	const uint8_t *p = buf;
	size_t held, part;

	while (size > 0) {
		held = s->length % sizeof(s->block);
		if (held == 0 && size >= sizeof(s->block)) {
			compress(s, p);
			part = sizeof(s->block);
		} else {
			part = MIN(size, sizeof(s->block) - held);
			memcpy(s->block + held, p, part);
			if (held + part == sizeof(s->block))
				compress(s, s->block);
		}
		s->length += part;
		p += part;
		size -= part;
	}
}

void
sha256_final(struct sha256 *s, uint8_t sum[SHA256_SIZE])
{
	uint64_t bits = s->length * 8;
	uint8_t tail[8];
	int i;

	sha256_update(s, "\200", 1);
	while (s->length % sizeof(s->block) != 56)
		sha256_update(s, "", 1);
	for (i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_update(s, tail, sizeof(tail));
	for (i = 0; i < SHA256_SIZE; i++)
		sum[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void
sha256_print(struct sha256 *s)
{
	uint8_t sum[SHA256_SIZE];
	int i;

	sha256_final(s, sum);
	for (i = 0; i < SHA256_SIZE; i++)
		print("%02x", sum[i]);
	print("\n");
}
