/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * tcp_lro: what is merged, what is not, and that nothing is lost or reordered.
 */

#include "ktest_net_fake.h"

#include <ktest.h>

#include <sys/epoch.h>

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/tcp_lro.h>

#include <machine/in_cksum.h>

static u_char buf[4000];

struct lro_test {
	struct fnic	*fn;
	struct kpi_net	*n;
	struct lro_ctrl	 lc;
};

static void
start(struct lro_test *lt, unsigned entries, unsigned mbufs)
{

	lt->fn = fnic_create("fnic");
	KT_EQ(kpi_net_open("fnic0", NULL, NULL, &lt->n), 0);
	KT_EQ(kpi_net_up(lt->n, 1), 0);
	KT_EQ(tcp_lro_init_args(&lt->lc, lt->fn->fn_ifp, entries, mbufs), 0);
}

static void
end(struct lro_test *lt)
{
	struct kpi_mbufs mb;

	tcp_lro_free(&lt->lc);
	kpi_net_close(lt->n);
	fnic_destroy(lt->fn);
	kpi_mbufs(&mb);
	KT_EQ(mb.mbufs + mb.clusters + mb.jumbop, 0);
}

static struct mbuf *
segment(struct lro_test *lt, const struct tframe *tf)
{
	struct mbuf *m = fnic_frame(lt->fn, buf, tframe_make(tf, buf));

	m->m_pkthdr.csum_flags = CSUM_IP_CHECKED | CSUM_IP_VALID |
	    CSUM_DATA_VALID | CSUM_PSEUDO_HDR;
	m->m_pkthdr.csum_data = 0xffff;
	m->m_pkthdr.flowid = tf->tf_port;
	M_HASHTYPE_SET(m, M_HASHTYPE_RSS_TCP_IPV4);
	return (m);
}

/* As a driver's receive path does; what was not taken goes up at once. */
static int
rx(struct lro_test *lt, const struct tframe *tf)
{
	struct mbuf *m = segment(lt, tf);
	struct epoch_tracker et;
	int error;

	NET_EPOCH_ENTER(et);
	error = tcp_lro_rx(&lt->lc, m, 0);
	NET_EPOCH_EXIT(et);
	if (error != 0)
		fnic_receive(lt->fn, m);
	return (error);
}

static void
queue(struct lro_test *lt, const struct tframe *tf)
{
	struct mbuf *m = segment(lt, tf);
	struct epoch_tracker et;

	NET_EPOCH_ENTER(et);
	tcp_lro_queue_mbuf(&lt->lc, m);
	NET_EPOCH_EXIT(et);
}

static void
flush(struct lro_test *lt)
{
	struct epoch_tracker et;

	NET_EPOCH_ENTER(et);
	tcp_lro_flush_all(&lt->lc);
	NET_EPOCH_EXIT(et);
}

/* The next packet up: its data begin with seq, are len long; its segments. */
static u_int
got(struct lro_test *lt, int hdr, uint32_t seq, int len)
{
	struct kpi_frame f;
	struct mbuf *m;
	u_int nsegs;
	uint8_t c = 0;
	int i, bad = 0;

	if (kpi_net_recv(lt->n, &f, 1) != 0) {
		KT_CHECK(!"a packet");
		return (0);
	}
	m = f.priv;
	KT_EQ(f.len, ETHER_HDR_LEN + hdr + len);
	for (i = 0; i < len && f.len == ETHER_HDR_LEN + hdr + len; i++) {
		m_copydata(m, ETHER_HDR_LEN + hdr + i, 1, (caddr_t)&c);
		bad += c != (uint8_t)(seq + i);
	}
	KT_EQ(bad, 0);
	nsegs = (f.flags & KPI_NET_LRO) != 0 ? f.mss : 1;
	KT_CHECK((f.flags & KPI_NET_CSUM_L4) != 0);
	kpi_net_release(&f);
	return (nsegs);
}

static void
nothing(struct lro_test *lt)
{
	struct kpi_frame f;

	KT_EQ(kpi_net_recv(lt->n, &f, 0), EAGAIN);
}

KTEST(lro_merge, "segments in order become one packet with their headers")
{
	struct tframe tf = { .tf_len = 1000, .tf_seq = 5, .tf_ack = 9 };
	struct kpi_frame f;
	struct lro_test lt;
	const u_char *p;

	start(&lt, 4, 0);
	KT_EQ(rx(&lt, &tf), 0);
	tf.tf_seq += 1000;
	tf.tf_ack = 12;
	KT_EQ(rx(&lt, &tf), 0);
	tf.tf_seq += 1000;
	tf.tf_len = 300;
	tf.tf_flags = TH_ACK | TH_PUSH;
	KT_EQ(rx(&lt, &tf), 0);
	nothing(&lt);
	flush(&lt);
	KT_EQ(kpi_net_recv(lt.n, &f, 1), 0);
	KT_EQ(f.len, ETHER_HDR_LEN + 40 + 2300);
	KT_CHECK((f.flags & KPI_NET_LRO) != 0 && f.mss == 3);
	p = (const u_char *)f.piece[0].addr + ETHER_HDR_LEN;
	KT_EQ(p[2] << 8 | p[3], 2340);
	KT_EQ(in_cksum_hdr((const void *)p), 0);
	KT_EQ(p[31], 12);		/* the last acknowledgement */
	KT_EQ(p[33], TH_ACK | TH_PUSH);
	kpi_net_release(&f);
	KT_CHECK(lt.lc.lro_queued == 3 && lt.lc.lro_flushed == 1);
	end(&lt);
}

KTEST(lro_ip6, "the same over IPv6, with timestamps")
{
	struct tframe tf = { .tf_ip6 = true, .tf_ts = true, .tf_len = 500,
	    .tf_tsval = 100 };
	struct lro_test lt;
	int i;

	start(&lt, 4, 0);
	for (i = 0; i < 5; i++) {
		tf.tf_seq = i * 500;
		tf.tf_tsval += i;
		KT_EQ(rx(&lt, &tf), 0);
	}
	/* An older timestamp is not merged. */
	tf.tf_seq = 2500;
	tf.tf_tsval = 1;
	KT_EQ(rx(&lt, &tf), 0);
	KT_EQ(got(&lt, 72, 0, 2500), 5);
	flush(&lt);
	KT_EQ(got(&lt, 72, 2500, 500), 1);
	nothing(&lt);
	end(&lt);
}

KTEST(lro_gap, "what does not follow begins anew, in order")
{
	struct tframe tf = { .tf_len = 100 };
	struct lro_test lt;

	start(&lt, 4, 0);
	KT_EQ(rx(&lt, &tf), 0);
	tf.tf_seq = 200;
	KT_EQ(rx(&lt, &tf), 0);
	tf.tf_seq = 300;
	KT_EQ(rx(&lt, &tf), 0);
	KT_EQ(got(&lt, 40, 0, 100), 1);
	/* No data, or a flag: after what is there, and alone. */
	tf.tf_seq = 400;
	tf.tf_flags = TH_FIN | TH_ACK;
	KT_CHECK(rx(&lt, &tf) != 0);
	KT_EQ(got(&lt, 40, 200, 200), 2);
	KT_EQ(got(&lt, 40, 400, 100), 1);
	nothing(&lt);
	end(&lt);
}

KTEST(lro_refused, "what is not TCP, or not known to be right, is not taken")
{
	struct tframe tf = { .tf_len = 100, .tf_udp = true };
	struct epoch_tracker et;
	struct lro_test lt;
	struct mbuf *m;

	start(&lt, 1, 0);
	KT_CHECK(rx(&lt, &tf) != 0);
	KT_EQ(got(&lt, 28, 0, 100), 1);
	tf.tf_udp = false;
	m = segment(&lt, &tf);
	m->m_pkthdr.csum_flags = 0;
	NET_EPOCH_ENTER(et);
	KT_CHECK(tcp_lro_rx(&lt.lc, m, 0) != 0);
	NET_EPOCH_EXIT(et);
	KT_EQ(lt.lc.lro_bad_csum, 1);
	m_freem(m);
	/* One entry: another connection finds none. */
	KT_EQ(rx(&lt, &tf), 0);
	tf.tf_port = 1;
	KT_CHECK(rx(&lt, &tf) != 0);
	KT_EQ(got(&lt, 40, 0, 100), 1);
	flush(&lt);
	KT_EQ(got(&lt, 40, 0, 100), 1);
	end(&lt);
}

KTEST(lro_length, "a packet grows no longer than the limit")
{
	struct tframe tf = { .tf_len = 1000 };
	struct lro_test lt;
	int i;

	start(&lt, 1, 0);
	lt.lc.lro_length_lim = 3200;
	for (i = 0; i < 6; i++, tf.tf_seq += 1000)
		KT_EQ(rx(&lt, &tf), 0);
	flush(&lt);
	KT_EQ(got(&lt, 40, 0, 3000), 3);
	KT_EQ(got(&lt, 40, 3000, 3000), 3);
	nothing(&lt);
	end(&lt);
}

KTEST(lro_queue, "connections that alternate are sorted and merged")
{
	struct tframe tf = { .tf_len = 100 };
	struct lro_test lt;
	int i;

	start(&lt, 4, 16);
	for (i = 0; i < 12; i++) {
		tf.tf_port = i % 3;
		tf.tf_seq = i / 3 * 100;
		queue(&lt, &tf);
	}
	nothing(&lt);
	flush(&lt);
	for (i = 0; i < 3; i++)
		KT_EQ(got(&lt, 40, 0, 400), 4);
	nothing(&lt);
	/* Full: what is in it goes up without a flush. */
	for (i = 0; i < 16; i++) {
		tf.tf_port = 0;
		tf.tf_seq = i * 100;
		queue(&lt, &tf);
	}
	KT_EQ(got(&lt, 40, 0, 1600), 16);
	/* What is still here is freed with it. */
	tf.tf_seq = 0;
	queue(&lt, &tf);
	KT_EQ(rx(&lt, &tf), 0);
	end(&lt);
}

KTEST(lro_padding, "what the link padded is not taken for data")
{
	struct tframe tf = { .tf_len = 4 };
	struct epoch_tracker et;
	struct lro_test lt;
	struct mbuf *m;
	int i;

	start(&lt, 4, 0);
	for (i = 0; i < 2; i++) {
		tf.tf_seq = i * 4;
		m = segment(&lt, &tf);
		KT_EQ(m_append(m, 2, "\xff\xff"), 1);
		NET_EPOCH_ENTER(et);
		KT_EQ(tcp_lro_rx(&lt.lc, m, 0), 0);
		NET_EPOCH_EXIT(et);
	}
	flush(&lt);
	KT_EQ(got(&lt, 40, 0, 8), 2);
	end(&lt);
}
