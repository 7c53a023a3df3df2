/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Ring benchmark, inside the hosted kernel: the driver's own ring code sends
 * into a ring and receives from it again, with no channel, lock or host
 * around; the same bytes are copied twice by memcpy() in the same run.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>

#include "ring.h"

#define	RING_SIZE	(64 * PAGE_SIZE)

static struct vmbus_brmem bm;
static uint8_t src[65536 + 64] __aligned(64);
static uint8_t dst[65536 + 64] __aligned(64);
static volatile uint64_t sink;

/*
 * One shared data area serves as the sender's and the receiver's ring: what
 * the one sends the other receives, as guest and host do.
 */
int
ktest_bench_ring_init(void)
{
	size_t i;

	for (i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)(i * 31);
	return (vmbus_brmem_alloc(&bm, RING_SIZE, RING_SIZE));
}

void
ktest_bench_ring_fini(void)
{

	vmbus_brmem_free(&bm, false);
}

/* The compiler must take it that somebody looks at these bytes. */
static __inline void
bytes_used(const void *p)
{

	__asm __volatile("" : : "r" (p) : "memory");
}

static void
send_one(struct vmbus_txbr *tb, const void *data, uint32_t len)
{
	struct vmbus_pkt_desc pd;
	uint32_t size;
	uint8_t *p;

	size = vmbus_br_pktsize(sizeof(pd) + len);
	if (vmbus_txbr_reserve(tb, size, &p) != 0)
		panic("ring benchmark: no room for %u bytes", len);
	pd.pd_type = VMBUS_PKT_TYPE_INBAND;
	pd.pd_hlen = sizeof(pd) >> VMBUS_PKT_UNIT_SHIFT;
	pd.pd_tlen = (sizeof(pd) + roundup2(len, 8)) >> VMBUS_PKT_UNIT_SHIFT;
	pd.pd_flags = 0;
	pd.pd_xid = 1;
	memcpy(p, &pd, sizeof(pd));
	memcpy(p + sizeof(pd), data, len);
	if (vmbus_txbr_commit(tb, size))
		sink++;
}

/* copy: into dst, as a driver does that parses; else read in place. */
static void
receive_one(struct vmbus_rxbr *rb, uint32_t len, bool copy)
{
	struct vmbus_rxpkt rp;
	bool signal;

	if (vmbus_rxbr_peek(rb, &rp) != 0 || rp.rp_len < len)
		panic("ring benchmark: no packet");
	if (copy) {
		memcpy(dst, rp.rp_data, len);
		bytes_used(dst);
	} else
		sink += *(const volatile uint64_t *)rp.rp_data;
	(void)vmbus_rxbr_release(rb, false, &signal);
	if (signal)
		sink++;
}

void
ktest_bench_ring_run(unsigned len, unsigned long n, int copy)
{
	struct vmbus_txbr tb;
	struct vmbus_rxbr rb;
	unsigned long i;

	vmbus_txbr_init(&tb, bm.bm_txctl, bm.bm_txdata,
	    RING_SIZE - PAGE_SIZE);
	vmbus_rxbr_init(&rb, bm.bm_txctl, bm.bm_txdata,
	    RING_SIZE - PAGE_SIZE);
	for (i = 0; i < n; i++) {
		send_one(&tb, src, len);
		receive_one(&rb, len, copy != 0);
	}
}

void
ktest_bench_memcpy_run(unsigned len, unsigned long n)
{
	unsigned long i;
	uint32_t pos = 0;

	/* Through the ring's memory, at advancing places, as a packet goes. */
	for (i = 0; i < n; i++) {
		memcpy(bm.bm_txdata + pos, src, len);
		bytes_used(bm.bm_txdata + pos);
		memcpy(dst, bm.bm_txdata + pos, len);
		bytes_used(dst);
		pos += roundup2(len, 8) + 24;
		if (pos >= RING_SIZE - PAGE_SIZE)
			pos -= RING_SIZE - PAGE_SIZE;
	}
}
