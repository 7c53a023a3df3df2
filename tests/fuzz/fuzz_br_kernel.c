/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The driver's ring code against a host that writes anything anywhere in the
 * shared pages between any two calls.  What must hold: no byte outside of the
 * ring is touched, what the host has not given back is not written over, what
 * it has not shown is not read, nonsense is found and stays found, and a host
 * that does nothing wrong is served.
 *
 * A script is a row of records, the first byte modulo 8 saying which:
 *	0	the host writes a control word
 *	1	the host writes bytes anywhere in the data
 *	2	the host does its work properly
 *	3..	a call of the driver's
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>

#include "fuzz_kernel.h"

struct script {
	const uint8_t	*p;
	size_t		 left;
};

static uint32_t
take(struct script *s, size_t len)
{
	uint32_t v = 0;

	if (len > s->left)
		len = s->left;
	memcpy(&v, s->p, len);
	s->p += len;
	s->left -= len;
	return (v);
}

static uint32_t
used(uint32_t in, uint32_t out, uint32_t size)
{

	return (in >= out ? in - out : in + size - out);
}

/* True if word may follow from, on the way to limit. */
static bool
index_ok(uint32_t word, uint32_t from, uint32_t limit, uint32_t size)
{

	return (word < size && word % 8 == 0 &&
	    used(word, from, size) <= used(limit, from, size));
}

static void
host_word(struct vmbus_ring_ctl *ctl, struct script *s)
{
	uint32_t v, which;

	which = take(s, 1);
	v = take(s, which & 0x80 ? 4 : 2);
	/* Mostly values that are not refused for their lowest bits alone. */
	if ((which & 0x40) == 0)
		v &= ~7U;
	switch (which % 5) {
	case 0:
		ctl->rc_in = v;
		break;
	case 1:
		ctl->rc_out = v;
		break;
	case 2:
		ctl->rc_mask = v;
		break;
	case 3:
		ctl->rc_pending = v;
		break;
	case 4:
		ctl->rc_feature = v;
		break;
	}
}

static void
host_bytes(uint8_t *data, uint32_t size, struct script *s)
{
	uint32_t at, n;

	at = take(s, 2);
	for (n = take(s, 1) % 40; n > 0; n--, at++)
		data[at % (2 * size)] = take(s, 1);
}

/* --- Sending --- */

static const char *
send_one(struct vmbus_txbr *tb, struct script *s)
{
	struct vmbus_ring_ctl *ctl = tb->tb_ctl;
	uint32_t in = tb->tb_in, out = tb->tb_out, shared, size;
	bool bad = tb->tb_bad, signal;
	uint8_t *p;
	int error;

	size = vmbus_br_pktsize(16 + take(s, 2) % (tb->tb_size + 64));
	shared = ctl->rc_out;
	error = vmbus_txbr_reserve(tb, size, &p);
	if (tb->tb_in != in)
		return ("the write index moved before a commit");
	if (tb->tb_out != out && tb->tb_out != shared)
		return ("a read index from nowhere");
	if (!index_ok(tb->tb_out, out, in, tb->tb_size))
		return ("a read index that cannot be was believed");
	if (size > tb->tb_size - 8)
		return (error == EINVAL ? NULL : "too large and not refused");
	if (bad && error != EBADMSG)
		return ("a bad ring is good again");
	if (error == EBADMSG)
		return (tb->tb_bad ? NULL : "refused, but not for good");
	if (error == EAGAIN) {
		if (tb->tb_size - used(in, tb->tb_out, tb->tb_size) > size)
			return ("no room where there is some");
		if (tb->tb_pending < size || tb->tb_pending >= tb->tb_size)
			return ("waits for a signal not asked for");
		return (NULL);
	}
	if (error != 0)
		return ("an error that is none");
	if (tb->tb_size - used(in, tb->tb_out, tb->tb_size) <= size)
		return ("room where there is none");
	if (p != tb->tb_data + in)
		return ("a packet in the wrong place");
	memset(p, (int)size, size);
	shared = ctl->rc_out;
	signal = vmbus_txbr_commit(tb, size);
	if (tb->tb_in != (in + size) % tb->tb_size || ctl->rc_in != tb->tb_in)
		return ("a packet shown wrongly");
	if (signal != (ctl->rc_mask == 0 && shared == in))
		return ("a signal too many or too few");
	return (NULL);
}

const char *
ktest_fuzz_tx(void *page, unsigned char *data, unsigned size,
    const unsigned char *bytes, unsigned long len)
{
	struct vmbus_ring_ctl *ctl = page;
	struct script s = { bytes, len };
	struct vmbus_txbr tb;
	const char *error = NULL;
	uint32_t out;

	vmbus_txbr_init(&tb, ctl, data, size);
	while (s.left > 0 && error == NULL) {
		switch (take(&s, 1) % 8) {
		case 0:
			host_word(ctl, &s);
			break;
		case 1:
			host_bytes(data, size, &s);
			break;
		case 2:
			/* Takes a part of what is there. */
			out = used(tb.tb_in, tb.tb_out, size);
			out = out == 0 ? 0 : take(&s, 2) % (out + 1) & ~7U;
			ctl->rc_out = (tb.tb_out + out) % size;
			break;
		case 3:
			out = tb.tb_pending;
			(void)vmbus_txbr_wakeup(&tb);
			if (tb.tb_pending != 0 && tb.tb_pending != out)
				error = "a wake-up that asks for more";
			break;
		default:
			error = send_one(&tb, &s);
			break;
		}
	}
	if (error != NULL || tb.tb_bad)
		return (error);
	/* Who has taken everything is sent to, whatever was before. */
	ctl->rc_out = tb.tb_in;
	if (vmbus_txbr_reserve(&tb, size - 8, &data) != 0)
		return ("an empty ring takes nothing");
	return (NULL);
}

/* --- Receiving --- */

static volatile uint8_t sink;

/* The host writes a packet that is right, if it fits. */
static void
host_packet(struct vmbus_rxbr *rb, uint8_t *data, struct script *s)
{
	struct vmbus_pkt_desc pd;
	uint32_t hlen, in, len, total;

	in = rb->rb_in;
	len = take(s, 1);
	hlen = sizeof(pd) + (len & 1 ? 8 : 0);
	pd.pd_type = len & 1 ? VMBUS_PKT_TYPE_RXBUF : len & 2 ?
	    VMBUS_PKT_TYPE_COMP : VMBUS_PKT_TYPE_INBAND;
	pd.pd_hlen = hlen / 8;
	pd.pd_tlen = (hlen + roundup2(len, 8)) / 8;
	pd.pd_flags = 0;
	pd.pd_xid = len;
	total = pd.pd_tlen * 8 + sizeof(struct vmbus_pkt_trailer);
	if (total >= rb->rb_size - used(in, rb->rb_out, rb->rb_size))
		return;
	memcpy(data + in, &pd, sizeof(pd));
	rb->rb_ctl->rc_in = (in + total) % rb->rb_size;
}

static const char *
receive_one(struct vmbus_rxbr *rb)
{
	uint32_t i, in = rb->rb_in, pos = rb->rb_pos, shared, total;
	struct vmbus_rxpkt rp;
	bool bad = rb->rb_bad;
	int error;

	shared = rb->rb_ctl->rc_in;
	error = vmbus_rxbr_peek(rb, &rp);
	if (rb->rb_in != in && (rb->rb_in != shared ||
	    used(shared, rb->rb_out, rb->rb_size) <
	    used(in, rb->rb_out, rb->rb_size)))
		return ("a write index that cannot be was believed");
	if (rb->rb_in >= rb->rb_size || rb->rb_in % 8 != 0)
		return ("a write index outside of the ring");
	if (bad && error != EBADMSG)
		return ("a bad ring is good again");
	if (error == EBADMSG)
		return (rb->rb_bad ? NULL : "refused, but not for good");
	if (error == EAGAIN)
		return (rb->rb_pos == rb->rb_in && rb->rb_pos == pos ? NULL :
		    "empty, with packets in it");
	if (error != 0)
		return ("an error that is none");
	total = used(rb->rb_pos, pos, rb->rb_size);
	if (total < 24 || total > used(rb->rb_in, pos, rb->rb_size))
		return ("more than the host has shown");
	if ((const uint8_t *)rp.rp_hdr != rb->rb_data + pos + 16 ||
	    16 + rp.rp_hdrlen + rp.rp_len + 8 != total ||
	    (const uint8_t *)rp.rp_data !=
	    (const uint8_t *)rp.rp_hdr + rp.rp_hdrlen)
		return ("a packet whose parts are not its own");
	for (i = 0; i < rp.rp_hdrlen + rp.rp_len; i++)
		sink = ((const volatile uint8_t *)rp.rp_hdr)[i];
	return (NULL);
}

static const char *
release(struct vmbus_rxbr *rb, bool unmask)
{
	uint32_t out = rb->rb_out, pos = rb->rb_pos;
	bool bad = rb->rb_bad, more, signal;

	more = vmbus_rxbr_release(rb, unmask, &signal);
	if (rb->rb_out != (bad ? out : pos) || rb->rb_pos != pos)
		return ("gave back other than what was looked at");
	if (!bad && pos != out && rb->rb_ctl->rc_out != pos)
		return ("the host is not told");
	if (signal && pos == out)
		return ("a signal for nothing");
	if (more != (!rb->rb_bad && rb->rb_in != pos))
		return ("more, or not");
	if (!bad && unmask && rb->rb_ctl->rc_mask != (more ? 1 : 0))
		return ("masked wrongly");
	return (NULL);
}

const char *
ktest_fuzz_rx(void *page, unsigned char *data, unsigned size,
    const unsigned char *bytes, unsigned long len)
{
	struct vmbus_ring_ctl *ctl = page;
	struct script s = { bytes, len };
	struct vmbus_rxbr rb;
	const char *error = NULL;
	uint32_t n = 0, pos;

	vmbus_rxbr_init(&rb, ctl, data, size);
	while (s.left > 0 && error == NULL) {
		pos = rb.rb_pos;
		switch (take(&s, 1) % 8) {
		case 0:
			host_word(ctl, &s);
			break;
		case 1:
			host_bytes(data, size, &s);
			break;
		case 2:
			host_packet(&rb, data, &s);
			break;
		case 3:
			error = release(&rb, take(&s, 1) & 1);
			break;
		case 4:
			vmbus_rxbr_mask(&rb);
			break;
		default:
			error = receive_one(&rb);
			break;
		}
	}
	/* A host that is quiet by now has only so many packets. */
	do {
		pos = rb.rb_pos;
		if (error == NULL)
			error = receive_one(&rb);
		if (++n > size / 16)
			error = "packets without end";
	} while (error == NULL && rb.rb_pos != pos);
	return (error);
}
