/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packet messages: reading the host's and writing ours.  No state, no locks.
 */
/*
 * Packets through the real driver and the real provider, from one adapter to
 * another: that they arrive, as they were sent, with what was left to the host
 * done, and that nothing is lost or kept when the ground moves.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_net.h"

static uint8_t sent[65600], got[65600];

ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	struct join_net j;
	struct join_net_config cf = { .vm.quiet = true };
	size_t len, n, payload;
	unsigned from;

	join_net_start(&j, &cf);
	for (payload = 18; payload <= 1472; payload += 1 + payload / 16)
		for (from = 0; from < JOIN_NETS; from++) {
			len = join_net_udp(sent, from, payload, payload,
			    false);
			ATF_REQUIRE_EQ(0, join_net_send(&j, from, sent, len,
			    0, 0));
			n = join_net_recv(&j, 1 - from, got, sizeof(got),
			    NULL);
			ATF_REQUIRE_EQ_MSG(len, n, "%zu bytes sent, %zu came",
			    len, n);
			ATF_REQUIRE_EQ(0, memcmp(sent, got, len));
		}
	join_net_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sizes);
	return (atf_no_error());
}
