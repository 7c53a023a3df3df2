/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The VMBus server message by message: connection, versions, offers, and each
 * row of the channel states (protocol: vmbus, 8.6).
 */

#include <atf-c.h>
#include <stdio.h>
#include <string.h>

#include "recorder.h"

static struct recorder r;

/* Connected with device 1, its ring GPADL 100 on pages 8 to 15. */
static void
start(uint32_t version)
{

	rec_init(&r, 0, 0);
	rec_offer(&r, 0, 0);
	rec_connect(&r, version);
	in_gpadl(&r, 1, 100, 8, 8);
	EXPECT(&r, "created 1 100 0");
}

static void
start_open(void)
{

	start(0x50003);
	in_open(&r, 1, 7, 100, 1, 4);
	EXPECT(&r, "open 1; opened 1 7 0");
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{
	static const uint32_t good[] = { 0x50003, 0x50002, 0x50001, 0x50000,
	    0x40001, 0x40000, 0x30000, 0x20004, 0x10001, 0xD };
	static const uint32_t bad[] = { 0, 0xC, 0xE, 0x10000, 0x20000,
	    0x30001, 0x40002, 0x50004, 0x60000, 0xFFFFFFFF };
	char text[64];

	for (unsigned i = 0; i < 10; i++) {
		bool multi = good[i] >= 0x50000;

		rec_init(&r, 0, 0);
		in_contact(&r, good[i], 0, multi);
		snprintf(text, sizeof(text), "conn %x; version 1 %x", good[i],
		    multi ? 1 : good[i]);
		EXPECT(&r, text);
		rec_init(&r, 0, 0);
		in_contact(&r, bad[i], 0, bad[i] >= 0x50000);
		EXPECT(&r, "version 0 0");
	}
}

/* The highest and lowest offered can be set. */
ATF_TC_WITHOUT_HEAD(version_limits);
ATF_TC_BODY(version_limits, tc)
{

	rec_init(&r, 0x30000, 0x20004);
	ATF_REQUIRE(!vms_multiclient(&r.s));
	in_contact(&r, 0x40000, 0, false);
	EXPECT(&r, "version 0 0");
	in_contact(&r, 0x10001, 0, false);
	EXPECT(&r, "version 0 0");
	in_contact(&r, 0x30000, 0, false);
	EXPECT(&r, "conn 30000; version 1 30000");
}

/* Messages go to the VP of the contact from 3.0 on; refusals to the last. */
ATF_TC_WITHOUT_HEAD(message_vp);
ATF_TC_BODY(message_vp, tc)
{

	rec_init(&r, 0, 0);
	in_contact(&r, 0x20004, 3, false);
	EXPECT(&r, "conn 20004; version 1 20004");
	in_contact(&r, 0x30000, 3, false);
	EXPECT(&r, "flush; gone; conn 30000; [3.2]version 1 30000");
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "[3.2]alloffers");
	in_contact(&r, 0x30000, 4, false);
	EXPECT(&r, "flush; gone; [3.2]version 0 0");
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "bad 3");
}

ATF_TC_WITHOUT_HEAD(contact_details);
ATF_TC_BODY(contact_details, tc)
{
	uint8_t m[40] = { 14 };
	uint32_t v = 0x50001;

	rec_init(&r, 0, 0);
	memcpy(m + 8, &v, 4);
	/* Another SINT is refused there; counts through connection 4 only. */
	m[12] = 1;
	m[16] = 5;
	vms_message(&r.s, m, 40, true);
	EXPECT(&r, "[1.5]version 0 0");
	m[12] = 0;
	vms_message(&r.s, m, 40, false);
	EXPECT(&r, "conn 50001; version 1 1");
	/* Another VTL. */
	m[16] = 2;
	m[17] = 2;
	vms_message(&r.s, m, 40, true);
	EXPECT(&r, "flush; gone; version 0 0");
	/* One monitor page alone. */
	m[17] = 0;
	m[25] = 0x10;
	vms_message(&r.s, m, 40, true);
	EXPECT(&r, "version 0 0");
	m[33] = 0x20;
	vms_message(&r.s, m, 40, true);
	EXPECT(&r, "conn 50001; version 1 1");
	/* An interrupt page must be a page of memory, where it matters. */
	memset(m, 0, sizeof(m));
	m[0] = 14;
	m[8] = 13;
	m[17] = 0xF0;
	m[18] = 0xFF;
	vms_message(&r.s, m, 40, false);
	EXPECT(&r, "flush; gone; version 0 0");
	m[16] = 8;
	m[17] = m[18] = 0;
	vms_message(&r.s, m, 40, false);
	EXPECT(&r, "version 0 0");
	/* Too short: no reply. */
	vms_message(&r.s, m, 39, false);
	EXPECT(&r, "bad 14");
}

/* Every type too short, unknown, of the host, or out of place is dropped. */
ATF_TC_WITHOUT_HEAD(malformed);
ATF_TC_BODY(malformed, tc)
{
	static const struct {
		uint32_t type, size;
	} least[] = {
		{ 3, 8 }, { 5, 148 }, { 7, 12 }, { 8, 20 }, { 9, 16 },
		{ 11, 16 }, { 13, 12 }, { 16, 8 }, { 18, 28 }, { 19, 20 },
		{ 21, 40 }, { 22, 16 },
	};
	static const uint32_t unknown[] = { 0, 1, 2, 4, 6, 10, 12, 15, 17, 20,
	    23, 24, 25, 26, 27, 28, 29, 30, 255, 0xFFFFFFFF };
	char text[64];

	rec_init(&r, 0, 0);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "bad %u", least[i].type);
		/* Not connected: only 14 and 19 are looked at. */
		in_words(&r, least[i].type, least[i].size, 0);
		EXPECT(&r, text);
	}
	rec_connect(&r, 0x50003);
	for (unsigned i = 0; i < 12; i++) {
		/* Less than a header has no type. */
		snprintf(text, sizeof(text), "bad %u", least[i].size == 8 ?
		    0 : least[i].type);
		in_words(&r, least[i].type, least[i].size - 1, 0);
		EXPECT(&r, text);
	}
	for (unsigned i = 0; i < sizeof(unknown) / 4; i++) {
		snprintf(text, sizeof(text), "bad %u", unknown[i]);
		in_words(&r, unknown[i], 240, 0);
		EXPECT(&r, text);
	}
	in_words(&r, 3, 7, 0);
	EXPECT(&r, "bad 0");
	in_words(&r, 3, 0, 0);
	EXPECT(&r, "bad 0");
}

/* Messages newer than the connection. */
ATF_TC_WITHOUT_HEAD(too_new);
ATF_TC_BODY(too_new, tc)
{

	rec_init(&r, 0, 0);
	rec_connect(&r, 0x30000);
	in_words(&r, 18, 28, 0);
	EXPECT(&r, "bad 18");
	in_words(&r, 21, 40, 0);
	EXPECT(&r, "bad 21");
	rec_connect(&r, 0x40000);
	in_words(&r, 22, 16, 0);
	EXPECT(&r, "bad 22");
	/* 4.0 has no message to refuse with. */
	in_words(&r, 21, 40, 0);
	EXPECT(&r, "");
	rec_connect(&r, 0x40001);
	in_words(&r, 21, 40, 0);
	EXPECT(&r, "tlresult c0000236");
}

ATF_TC_WITHOUT_HEAD(offers);
ATF_TC_BODY(offers, tc)
{

	rec_init(&r, 0, 0);
	rec_offer(&r, 2, 0);
	rec_offer(&r, 1, 0);
	in_contact(&r, 0x40000, 0, false);
	EXPECT(&r, "conn 40000; version 1 40000");
	/* Nothing before it is asked for; then sorted, then the end. */
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "offer 1.0 conn 2001; offer 2.0 conn 2002; alloffers");
	ATF_REQUIRE_EQ(1, r.chan[1].c_id);
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "bad 3");
	/* Hot add. */
	rec_offer(&r, 3, 0);
	EXPECT(&r, "offer 3.0 conn 2003");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(offers_0_13);
ATF_TC_BODY(offers_0_13, tc)
{

	rec_init(&r, 0, 0);
	rec_offer(&r, 0, 0);
	in_contact(&r, 13, 0, false);
	EXPECT(&r, "conn d; version 1 d");
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "offer 1.0 conn 0; alloffers");
	ATF_REQUIRE(vms_offer_sub_check(&r.s, 1) != 0);
	rec_fini(&r);
}

/* closed - opening - open - closing - closed, and again. */
ATF_TC_WITHOUT_HEAD(open_close);
ATF_TC_BODY(open_close, tc)
{

	start_open();
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "close 1");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "bad 7");
	in_open(&r, 1, 8, 100, 0, 4);
	EXPECT(&r, "open 1; opened 1 8 0");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "close 1");
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "torndown 100");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(open_refused);
ATF_TC_BODY(open_refused, tc)
{

	start(0x50003);
	r.refuse = true;
	in_open(&r, 1, 7, 100, 1, 4);
	EXPECT(&r, "open 1; opened 1 7 8000ffff");
	r.refuse = false;
	/* No such GPADL; downstream out of range; no such VP. */
	in_open(&r, 1, 1, 101, 1, 4);
	EXPECT(&r, "opened 1 1 8000ffff");
	in_open(&r, 1, 2, 100, 1, 0);
	EXPECT(&r, "opened 1 2 8000ffff");
	in_open(&r, 1, 3, 100, 1, 1);
	EXPECT(&r, "opened 1 3 8000ffff");
	in_open(&r, 1, 4, 100, 1, 7);
	EXPECT(&r, "opened 1 4 8000ffff");
	in_open(&r, 1, 5, 100, 1, 8);
	EXPECT(&r, "opened 1 5 8000ffff");
	in_open(&r, 1, 6, 100, 1, 0xFFFFFFFF);
	EXPECT(&r, "opened 1 6 8000ffff");
	in_open(&r, 1, 7, 100, 4, 4);
	EXPECT(&r, "opened 1 7 8000ffff");
	/* Interrupts off is a VP. */
	in_open(&r, 1, 8, 100, 0xFFFFFFFF, 4);
	EXPECT(&r, "open 1; opened 1 8 0");
	/* Unknown channels are not answered; an open one kindly. */
	in_open(&r, 2, 9, 100, 0, 4);
	EXPECT(&r, "bad 5");
	in_open(&r, 0xFFFFFFFF, 9, 100, 0, 4);
	EXPECT(&r, "bad 5");
	in_open(&r, 1, 10, 100, 0, 4);
	EXPECT(&r, "bad 5; opened 1 10 8000ffff");
	rec_fini(&r);
}

/* While the device takes its time. */
ATF_TC_WITHOUT_HEAD(slow_device);
ATF_TC_BODY(slow_device, tc)
{

	start(0x50003);
	r.lazy = true;
	in_open(&r, 1, 7, 100, 1, 4);
	EXPECT(&r, "open 1");
	/* opening: CLOSE, OPEN, RELID RELEASED are errors. */
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "bad 7");
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "bad 13");
	vms_open_done(&r.s, &r.chan[0], true);
	EXPECT(&r, "opened 1 7 0");
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "bad 13");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "close 1");
	/* closing: an OPEN waits; then CLOSE and a release are errors. */
	in_open(&r, 1, 9, 100, 1, 4);
	EXPECT(&r, "");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "bad 7");
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "bad 13");
	vms_close_done(&r.s, &r.chan[0]);
	EXPECT(&r, "open 1");
	vms_open_done(&r.s, &r.chan[0], true);
	EXPECT(&r, "opened 1 9 0");
	/* closing, then released: gone only when the device is. */
	in_words(&r, 7, 12, 1, 1);
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "close 1");
	ATF_REQUIRE_EQ(VMS_CH_CLOSING_RELEASE, r.chan[0].c_state);
	vms_close_done(&r.s, &r.chan[0]);
	ATF_REQUIRE_EQ(VMS_CH_RELEASED, r.chan[0].c_state);
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	in_open(&r, 1, 9, 100, 1, 4);
	EXPECT(&r, "bad 5");
	rec_fini(&r);
}

/* A ring torn down while open is answered when the device lets go. */
ATF_TC_WITHOUT_HEAD(teardown_while_open);
ATF_TC_BODY(teardown_while_open, tc)
{

	start_open();
	r.lazy = true;
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "");
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "bad 11");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "close 1");
	vms_close_done(&r.s, &r.chan[0]);
	EXPECT(&r, "torndown 100");
	in_open(&r, 1, 9, 100, 1, 4);
	EXPECT(&r, "opened 1 9 8000ffff");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(unload);
ATF_TC_BODY(unload, tc)
{

	start_open();
	r.lazy = true;
	in_words(&r, 16, 8, 0);
	EXPECT(&r, "close 1");
	/* Not connected meanwhile; the answer is the last word. */
	in_words(&r, 16, 8, 0);
	EXPECT(&r, "bad 16");
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "bad 3");
	vms_close_done(&r.s, &r.chan[0]);
	EXPECT(&r, "unloaded; gone");
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	rec_connect(&r, 0x40000);
	ATF_REQUIRE_EQ(1, r.chan[0].c_id);
	/* 0.13 has no answer. */
	in_contact(&r, 13, 0, false);
	EXPECT(&r, "flush; gone; conn d; version 1 d");
	in_words(&r, 16, 8, 0);
	EXPECT(&r, "gone");
	rec_fini(&r);
}

/* A contact while connected; a further one replaces it; devices first. */
ATF_TC_WITHOUT_HEAD(implicit_unload);
ATF_TC_BODY(implicit_unload, tc)
{

	start_open();
	r.lazy = true;
	in_contact(&r, 0x12345678, 0, false);
	EXPECT(&r, "flush; close 1");
	in_contact(&r, 0x20004, 0, false);
	EXPECT(&r, "flush");
	vms_close_done(&r.s, &r.chan[0]);
	EXPECT(&r, "gone; conn 20004; version 1 20004");
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "offer 1.0 conn 2001; alloffers");
	/* Even if then refused. */
	in_contact(&r, 0x12345678, 0, false);
	EXPECT(&r, "flush; gone; version 0 0");
	ATF_REQUIRE_EQ(0, r.chan[0].c_id);
	rec_fini(&r);
}

/* Reset while the device opens: its late answer is undone. */
ATF_TC_WITHOUT_HEAD(reset_while_opening);
ATF_TC_BODY(reset_while_opening, tc)
{

	start(0x50003);
	r.lazy = true;
	in_open(&r, 1, 7, 100, 1, 4);
	in_contact(&r, 0x40000, 0, false);
	EXPECT(&r, "open 1; flush");
	vms_open_done(&r.s, &r.chan[0], true);
	EXPECT(&r, "close 1");
	vms_close_done(&r.s, &r.chan[0]);
	EXPECT(&r, "gone; conn 40000; version 1 40000");
	/* And when it refuses. */
	in_words(&r, 3, 8, 0);
	in_gpadl(&r, 1, 5, 8, 8);
	in_open(&r, 1, 7, 5, 1, 4);
	r.text[0] = '\0';
	vms_reset(&r.s);
	EXPECT(&r, "");
	vms_open_done(&r.s, &r.chan[0], false);
	EXPECT(&r, "gone");
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(revoke);
ATF_TC_BODY(revoke, tc)
{

	start_open();
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "close 1; rescind 1");
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "");
	/* No answer to OPEN and CLOSE; GPADLs are answered. */
	in_open(&r, 1, 9, 100, 1, 4);
	EXPECT(&r, "bad 5");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "bad 7");
	in_gpadl(&r, 1, 101, 99999, 8);
	EXPECT(&r, "created 1 101 0");
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "torndown 100");
	vms_reap(&r.s);
	EXPECT(&r, "");
	in_words(&r, 13, 12, 1, 1);
	vms_reap(&r.s);
	EXPECT(&r, "free 1");
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "bad 13");
	rec_fini(&r);
}

/* The guest lets go before the device does. */
ATF_TC_WITHOUT_HEAD(revoke_slow_device);
ATF_TC_BODY(revoke_slow_device, tc)
{

	start_open();
	r.lazy = true;
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "close 1; rescind 1");
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "");
	in_words(&r, 13, 12, 1, 1);
	vms_reap(&r.s);
	EXPECT(&r, "");
	vms_close_done(&r.s, &r.chan[0]);
	vms_reap(&r.s);
	EXPECT(&r, "free 1");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(revoke_while_opening);
ATF_TC_BODY(revoke_while_opening, tc)
{

	start(0x50003);
	r.lazy = true;
	in_open(&r, 1, 7, 100, 1, 4);
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "open 1; rescind 1");
	vms_open_done(&r.s, &r.chan[0], true);
	EXPECT(&r, "close 1");
	vms_close_done(&r.s, &r.chan[0]);
	in_words(&r, 13, 12, 1, 1);
	vms_reap(&r.s);
	EXPECT(&r, "free 1");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(revoke_unoffered);
ATF_TC_BODY(revoke_unoffered, tc)
{

	rec_init(&r, 0, 0);
	rec_offer(&r, 0, 0);
	vms_revoke(&r.s, &r.chan[0]);
	vms_reap(&r.s);
	EXPECT(&r, "free 1");
}

/* A device that comes back waits until the old one is released. */
ATF_TC_WITHOUT_HEAD(reoffer);
ATF_TC_BODY(reoffer, tc)
{

	start(0x50003);
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "rescind 1");
	rec_offer(&r, 1, 0);
	EXPECT(&r, "offer 2.0 conn 2002");
	memset(&r.chan[2], 0, sizeof(r.chan[2]));
	vms_offer_add(&r.s, &r.chan[2]);
	EXPECT(&r, "");
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "offer 1.0 conn 2001");
	vms_reap(&r.s);
	EXPECT(&r, "free 1");
	vms_revoke(&r.s, &r.chan[2]);
	in_words(&r, 13, 12, 1, 1);
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(subchannels);
ATF_TC_BODY(subchannels, tc)
{

	start_open();
	ATF_REQUIRE_EQ(0, vms_offer_sub_check(&r.s, 2));
	ATF_REQUIRE(vms_offer_sub_check(&r.s, 3000) != 0);
	rec_offer(&r, 1, 1);
	rec_offer(&r, 2, 2);
	EXPECT(&r, "offer 2.1 conn 2002; offer 3.2 conn 2003");
	in_gpadl(&r, 2, 102, 20, 8);
	in_open(&r, 2, 3, 102, 2, 4);
	EXPECT(&r, "created 2 102 0; open 2; opened 2 3 0");
	/* Another channel's rings will not do. */
	in_open(&r, 3, 3, 102, 2, 4);
	EXPECT(&r, "opened 3 3 8000ffff");
	/* Closing the primary takes them away, before it. */
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "close 2; rescind 2; rescind 3; close 1");
	in_words(&r, 13, 12, 1, 2);
	in_words(&r, 13, 12, 1, 3);
	vms_reap(&r.s);
	EXPECT(&r, "free 2; free 3");
	in_open(&r, 1, 8, 100, 1, 4);
	EXPECT(&r, "open 1; opened 1 8 0");
	/* Revoking the device: sub-channels first. */
	rec_offer(&r, 1, 1);
	EXPECT(&r, "offer 2.1 conn 2002");
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "rescind 2; close 1; rescind 1");
	/* A reset forgets sub-channels and revoked devices for good. */
	vms_reset(&r.s);
	vms_reap(&r.s);
	EXPECT(&r, "gone; free 1; free 2");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(release_closed);
ATF_TC_BODY(release_closed, tc)
{

	start(0x50003);
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "");
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	in_gpadl(&r, 1, 103, 8, 8);
	EXPECT(&r, "bad 8; created 1 103 8000ffff");
	/* The next connection offers it again. */
	in_contact(&r, 0x40000, 0, false);
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "flush; gone; conn 40000; version 1 40000; "
	    "offer 1.0 conn 2001; alloffers");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(modify);
ATF_TC_BODY(modify, tc)
{

	start_open();
	in_words(&r, 22, 16, 2, 1, 3);
	EXPECT(&r, "move 1 3; modified 1 0");
	ATF_REQUIRE_EQ(3, r.chan[0].c_req.oq_vp);
	in_words(&r, 22, 16, 2, 1, 4);
	EXPECT(&r, "bad 22; modified 1 8000ffff");
	in_words(&r, 22, 16, 2, 1, 0xFFFFFFFF);
	EXPECT(&r, "bad 22; modified 1 8000ffff");
	in_words(&r, 22, 16, 2, 2, 0);
	EXPECT(&r, "bad 22; modified 2 8000ffff");
	in_words(&r, 7, 12, 1, 1);
	in_words(&r, 22, 16, 2, 1, 0);
	EXPECT(&r, "close 1; bad 22; modified 1 8000ffff");
	rec_fini(&r);
	/* Below 5.3 silence. */
	start(0x40001);
	in_open(&r, 1, 7, 100, 1, 4);
	in_words(&r, 22, 16, 2, 1, 0);
	in_words(&r, 22, 16, 2, 9, 0);
	EXPECT(&r, "open 1; opened 1 7 0; move 1 0; bad 22");
	rec_fini(&r);
}

/* Reserved channels outlive the connection and answer where told. */
ATF_TC_WITHOUT_HEAD(reserved);
ATF_TC_BODY(reserved, tc)
{

	start(0x50003);
	in_words(&r, 18, 28, 5, 1, 2, 5, 100, 4);
	EXPECT(&r, "open 1; [2.5]opened 1 0 0");
	ATF_REQUIRE_EQ(0xFFFFFFFF, r.chan[0].c_req.oq_vp);
	in_gpadl(&r, 1, 101, 8, 8);
	EXPECT(&r, "bad 8; created 1 101 8000ffff");
	in_words(&r, 11, 16, 2, 1, 100);
	EXPECT(&r, "bad 11");
	in_words(&r, 7, 12, 1, 1);
	EXPECT(&r, "bad 7");
	in_words(&r, 13, 12, 1, 1);
	EXPECT(&r, "bad 13");
	in_words(&r, 22, 16, 2, 1, 1);
	EXPECT(&r, "bad 22; modified 1 8000ffff");
	in_words(&r, 16, 8, 0);
	EXPECT(&r, "unloaded; gone");
	ATF_REQUIRE(r.chan[0].c_dev_open);
	/* Closed without a connection. */
	in_words(&r, 19, 20, 3, 1, 3, 2);
	EXPECT(&r, "close 1; [3.2]resclosed 1");
	ATF_REQUIRE_EQ(VMS_CH_RELEASED, r.chan[0].c_state);
	in_words(&r, 19, 20, 3, 1, 3, 2);
	EXPECT(&r, "bad 19");
	rec_fini(&r);
	/* Only a reset of the VM closes it otherwise. */
	start(0x50003);
	in_words(&r, 18, 28, 5, 1, 2, 5, 100, 4);
	in_contact(&r, 0x50003, 0, true);
	in_words(&r, 3, 8, 0);
	EXPECT(&r, "open 1; [2.5]opened 1 0 0; flush; gone; conn 50003; "
	    "version 1 1; offer 1.0 conn 2001; alloffers");
	vms_reset(&r.s);
	EXPECT(&r, "close 1; gone");
	rec_fini(&r);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, version_limits);
	ATF_TP_ADD_TC(tp, message_vp);
	ATF_TP_ADD_TC(tp, contact_details);
	ATF_TP_ADD_TC(tp, malformed);
	ATF_TP_ADD_TC(tp, too_new);
	ATF_TP_ADD_TC(tp, offers);
	ATF_TP_ADD_TC(tp, offers_0_13);
	ATF_TP_ADD_TC(tp, open_close);
	ATF_TP_ADD_TC(tp, open_refused);
	ATF_TP_ADD_TC(tp, slow_device);
	ATF_TP_ADD_TC(tp, teardown_while_open);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, implicit_unload);
	ATF_TP_ADD_TC(tp, reset_while_opening);
	ATF_TP_ADD_TC(tp, revoke);
	ATF_TP_ADD_TC(tp, revoke_slow_device);
	ATF_TP_ADD_TC(tp, revoke_while_opening);
	ATF_TP_ADD_TC(tp, revoke_unoffered);
	ATF_TP_ADD_TC(tp, reoffer);
	ATF_TP_ADD_TC(tp, subchannels);
	ATF_TP_ADD_TC(tp, release_closed);
	ATF_TP_ADD_TC(tp, modify);
	ATF_TP_ADD_TC(tp, reserved);
	return (atf_no_error());
}
