/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hn0 on the network provider: frames both ways, as the wire and the guest's
 * stack see them.
 */

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "join_mbufs.h"
#include "join_net.h"

static struct join_net jn[JOIN_NETS];
static struct join_frame in, out;

ATF_TC_WITHOUT_HEAD(attach);
ATF_TC_BODY(attach, tc)
{
	struct join_net_config cf = { .nets = 2 };
	struct kpi_net_info info;
	unsigned i;

	join_net_start(jn, &cf);
	for (i = 0; i < 2; i++) {
		ATF_REQUIRE_EQ(0, kpi_net_info(jn[i].guest, &info));
		ATF_CHECK_EQ(i + 1, info.mac[5]);
		ATF_CHECK_EQ(1500, info.mtu);
		ATF_CHECK_EQ(2, info.link);
		ATF_CHECK_EQ(10000000000ull, info.baudrate);
	}
	join_net_finish(jn, 2);
}

ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	static const size_t len[] = {
		1, 18, 100, 214, 500, 1000, 1471, 1472
	};
	struct join_net_config cf = { .nets = 1 };
	struct kpi_frame f;
	unsigned i;

	join_net_start(jn, &cf);
	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		join_frame(&out, 4, JOIN_UDP, len[i], i, true, false);
		ATF_REQUIRE_EQ(0, join_net_send(jn, &out, 0, 0));
		ATF_REQUIRE_MSG(join_net_heard(jn, &in, 5000),
		    "%zu bytes went nowhere", len[i]);
		ATF_CHECK_EQ(out.len, in.len);
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));

		join_frame(&out, 4, JOIN_UDP, len[i], i, true, true);
		join_net_say(jn, &out);
		ATF_REQUIRE_MSG(join_net_got(jn, &in, &f, 5000),
		    "%zu bytes did not come", len[i]);
		ATF_CHECK_EQ(out.len, in.len);
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));
	}
	join_net_finish(jn, 1);
}

/* What the guest leaves to the card is right on the wire. */
ATF_TC_WITHOUT_HEAD(checksums);
ATF_TC_BODY(checksums, tc)
{
	struct join_net_config cf = { .nets = 1 };
	int i;

	join_net_start(jn, &cf);
	for (i = 0; i < 8; i++) {
		join_frame(&out, (i & 1) != 0 ? 4 : 6,
		    (i & 2) != 0 ? JOIN_UDP : JOIN_TCP,
		    (i & 4) != 0 ? 1001 : 40, i, false, false);
		ATF_REQUIRE_EQ(0, join_net_send(jn, &out, KPI_NET_CSUM_L4 |
		    ((i & 1) != 0 ? KPI_NET_CSUM_IP : 0), 0));
		ATF_REQUIRE(join_net_heard(jn, &in, 5000));
		ATF_CHECK_EQ(out.len, in.len);
		ATF_CHECK_MSG(join_frame_right(&in), "case %d", i);
	}
	join_net_finish(jn, 1);
}

/* A large segment is cut, and each piece is right. */
ATF_TC_WITHOUT_HEAD(tso);
ATF_TC_BODY(tso, tc)
{
	struct join_net_config cf = { .nets = 1 };
	unsigned char all[60000];
	size_t got, hdr, n;
	int ip;

	join_net_start(jn, &cf);
	for (ip = 4; ip <= 6; ip += 2) {
		hdr = ip == 4 ? 54 : 74;
		join_frame(&out, ip, JOIN_TCP, 50000, 7, false, false);
		ATF_REQUIRE_EQ(0, join_net_send(jn, &out, KPI_NET_TSO |
		    (ip == 4 ? KPI_NET_CSUM_IP : 0), 1400));
		for (got = 0; got < 50000; got += n) {
			ATF_REQUIRE_MSG(join_net_heard(jn, &in, 5000),
			    "IPv%d: only %zu bytes", ip, got);
			ATF_CHECK(join_frame_right(&in));
			ATF_REQUIRE(in.len > hdr);
			n = in.len - hdr;
			ATF_CHECK_EQ(got + 1400 < 50000 ? 1400 : 50000 - got,
			    n);
			ATF_REQUIRE(got + n <= sizeof(all));
			memcpy(all + got, in.data + hdr, n);
		}
		ATF_CHECK_EQ(0, memcmp(all, out.data + hdr, 50000));
	}
	join_net_finish(jn, 1);
}

/* What came in is told to be right only if it is. */
ATF_TC_WITHOUT_HEAD(verified);
ATF_TC_BODY(verified, tc)
{
	struct join_net_config cf = { .nets = 1 };
	struct kpi_frame f;
	int i;

	join_net_start(jn, &cf);
	for (i = 0; i < 8; i++) {
		join_frame(&out, (i & 1) != 0 ? 4 : 6,
		    (i & 2) != 0 ? JOIN_UDP : JOIN_TCP, 500, i, true, true);
		if ((i & 4) != 0)
			out.data[out.len - 1]++;
		join_net_say(jn, &out);
		ATF_REQUIRE(join_net_got(jn, &in, &f, 5000));
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));
		ATF_CHECK_EQ_MSG((i & 4) != 0 ? 0 : KPI_NET_CSUM_L4,
		    f.flags & KPI_NET_CSUM_L4, "case %d", i);
	}
	join_net_finish(jn, 1);
}

ATF_TC_WITHOUT_HEAD(many);
ATF_TC_BODY(many, tc)
{
	struct join_net_config cf = { .nets = 1 };
	struct hvh_net_stats st;
	struct kpi_frame f;
	unsigned i, n;

	join_net_start(jn, &cf);
	for (i = 0; i < 4000; i += n) {
		for (n = 0; n < 64; n++) {
			join_frame(&out, 4, JOIN_UDP, (i + n) % 1400, i + n,
			    true, false);
			ATF_REQUIRE_EQ(0, join_net_send(jn, &out, 0, 0));
			join_frame(&out, 4, JOIN_UDP, (i + n) % 1400, i + n,
			    true, true);
			join_net_say(jn, &out);
		}
		for (n = 0; n < 64; n++) {
			ATF_REQUIRE(join_net_heard(jn, &in, 5000));
			join_frame(&out, 4, JOIN_UDP, (i + n) % 1400, i + n,
			    true, false);
			ATF_REQUIRE(in.len == out.len &&
			    memcmp(in.data, out.data, in.len) == 0);
			ATF_REQUIRE(join_net_got(jn, &in, &f, 5000));
			ATF_CHECK(join_frame_right(&in));
		}
	}
	hvh_net_get_stats(jn[0].host, &st);
	ATF_CHECK_EQ(i, st.tx_packets);
	ATF_CHECK_EQ(0, st.tx_bad + st.tx_drops + st.rx_no_buffer);
	join_net_finish(jn, 1);
}

/* Not before the question is there: the kernel has stopped by then. */
static void *
answer_later(void *arg)
{
	struct pollfd pfd = { .fd = jn->wire, .events = POLLIN };

	ATF_CHECK_EQ(1, poll(&pfd, 1, 5000));
	join_net_say(jn, arg);
	return (NULL);
}

/* A kernel that has stopped sends, and polls for what comes. */
ATF_TC_WITHOUT_HEAD(debugnet);
ATF_TC_BODY(debugnet, tc)
{
	static struct join_frame reply;
	struct join_net_config cf = { .nets = 1 };
	pthread_t thread;
	kpi_size n;
	unsigned i;

	join_net_start(jn, &cf);
	for (i = 0; i < 10; i++) {
		join_frame(&out, 4, JOIN_UDP, 100 + i * 140, i, true, false);
		join_frame(&reply, 4, JOIN_UDP, 10 + i, i, true, true);
		ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, answer_later,
		    &reply));
		n = sizeof(in.data);
		ATF_REQUIRE_EQ(0, kpi_net_debug("hn0", out.data, out.len,
		    in.data, &n, 5000));
		pthread_join(thread, NULL);
		ATF_CHECK_EQ(reply.len, n);
		ATF_CHECK_EQ(0, memcmp(in.data, reply.data, n));
		ATF_REQUIRE(join_net_heard(jn, &in, 5000));
		ATF_CHECK_EQ(out.len, in.len);
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));
	}
	kpi_net_close(jn[0].guest);
	join_mbufs();
	vm_destroy();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, attach);
	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, checksums);
	ATF_TP_ADD_TC(tp, tso);
	ATF_TP_ADD_TC(tp, verified);
	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, debugnet);
	return (atf_no_error());
}
