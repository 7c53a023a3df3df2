/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What hn0 and its host agree on while packets flow: how these are spread over
 * channels, whether the host coalesces them, whether anybody is there; and what
 * happens when a ring cannot be used any more.
 */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_cable.h"
#include "net_kernel.h"

/* FreeBSD's errno values. */
#define	FBSD_EIO	5
#define	FBSD_EINVAL	22
#define	FBSD_EOPNOTSUPP	45

#define	RNDIS_SET_CMPLT	0x80000005
#define	RNDIS_INVALID	0xc0010015
#define	HASH_TCP4	(0x80 | 2)	/* M_HASHTYPE_RSS_TCP_IPV4 */

#define	RSS_NONE	0
#define	RSS_TOEPLITZ	2

#define	CPUS		4
#define	KEY		40
#define	ENTRIES		128

static struct cable j;
static uint8_t frame[65600], got[65600];

static void
start(unsigned cpus)
{
	struct cable_config cf = { .vm = { .quiet = true, .cpus = cpus } };

	cable_start(&j, &cf);
}

static kpi_u64 __attribute__((format(printf, 1, 2)))
number(const char *fmt, ...)
{
	char name[64], value[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	ATF_REQUIRE_EQ_MSG(0, kpi_sysctl_get(name, value, sizeof(value)),
	    "%s", name);
	return (strtoull(value, NULL, 0));
}

/* A segment of flow n. */
static size_t
flow(unsigned from, unsigned n)
{
	size_t len;

	len = cable_tcp(frame, from, 100, n, true);
	frame[34] = (uint8_t)(n >> 8);
	frame[35] = (uint8_t)n;
	return (len);
}

static struct kpi_frame
pass(unsigned from, unsigned n)
{
	struct kpi_frame info;
	size_t len;

	len = flow(from, n);
	ATF_REQUIRE_EQ(0, cable_send(&j, from, frame, len, KPI_NET_CSUM_IP |
	    KPI_NET_CSUM_L4, 0));
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1 - from, got, sizeof(got),
	    &info));
	return (info);
}

/* The hash of what is in got, as NDIS defines it. */
static uint32_t
toeplitz(const uint8_t *key)
{
	const uint8_t *in = got + 26;
	uint32_t hash = 0, window;
	unsigned bit, i;

	window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
	    (uint32_t)key[2] << 8 | key[3];
	for (i = 0; i < 12; i++)
		for (bit = 0; bit < 8; bit++) {
			if ((in[i] & 0x80u >> bit) != 0)
				hash ^= window;
			window = window << 1 |
			    (key[i + 4] >> (7 - bit) & 1);
		}
	return (hash);
}

static void
get_key(uint8_t key[KEY])
{
	kpi_size len = KEY;

	ATF_REQUIRE_EQ(0, ktest_sysctl("dev.hn.0.rss_key", key, &len, NULL,
	    0));
	ATF_REQUIRE_EQ(KEY, len);
}

static int
set_key(const uint8_t key[KEY])
{

	return (ktest_sysctl("dev.hn.0.rss_key", NULL, NULL, key, KEY));
}

static void
get_table(uint32_t table[ENTRIES])
{
	kpi_size len = ENTRIES * sizeof(table[0]);

	ATF_REQUIRE_EQ(0, ktest_sysctl("dev.hn.0.rss_ind", table, &len, NULL,
	    0));
	ATF_REQUIRE_EQ(ENTRIES * sizeof(table[0]), len);
}

static int
set_table(uint32_t first, uint32_t others)
{
	uint32_t table[ENTRIES];
	unsigned i;

	table[0] = first;
	for (i = 1; i < ENTRIES; i++)
		table[i] = others;
	return (ktest_sysctl("dev.hn.0.rss_ind", NULL, NULL, table,
	    sizeof(table)));
}

/* Each flow's hash is told, and its channel is the table's; which were used. */
static unsigned
check_spread(const uint8_t key[KEY])
{
	kpi_u64 before[CPUS];
	uint32_t table[ENTRIES];
	struct kpi_frame info;
	unsigned i, n, seen = 0;

	get_table(table);
	for (n = 1; n <= 40; n++) {
		for (i = 0; i < CPUS; i++)
			before[i] = number("dev.hn.0.rx.%u.rss_pkts", i);
		info = pass(1, n * 257);
		ATF_CHECK((info.flags & KPI_NET_HASH) != 0);
		ATF_CHECK_EQ(HASH_TCP4, info.hashtype);
		ATF_CHECK_EQ(toeplitz(key), info.flowid);
		i = table[info.flowid % ENTRIES];
		ATF_CHECK_EQ(before[i] + 1,
		    number("dev.hn.0.rx.%u.rss_pkts", i));
		seen |= 1u << i;
	}
	return (seen);
}

/* All that hn0 sends goes by one channel. */
static void
check_sends_by(unsigned want)
{
	kpi_u64 before = number("dev.hn.0.tx.%u.packets", want);
	unsigned n;

	for (n = 1; n <= 20; n++)
		(void)pass(0, n * 257);
	ATF_CHECK_EQ(before + 20, number("dev.hn.0.tx.%u.packets", want));
}

ATF_TC_WITHOUT_HEAD(hash);
ATF_TC_BODY(hash, tc)
{
	uint8_t key[KEY];
	uint32_t table[ENTRIES];
	unsigned i;

	start(CPUS);
	ATF_REQUIRE_EQ(CPUS, number("dev.hn.0.rx_ring_inuse"));
	ATF_REQUIRE_EQ(ENTRIES, number("dev.hn.0.rss_ind_size"));
	get_key(key);
	get_table(table);
	for (i = 0; i < ENTRIES; i++)
		ATF_CHECK_EQ(i % CPUS, table[i]);
	(void)check_spread(key);
	/* A new session keeps the key, and tells the host. */
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	(void)check_spread(key);
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(rss_key);
ATF_TC_BODY(rss_key, tc)
{
	uint8_t key[KEY], back[KEY];
	unsigned i;

	start(CPUS);
	for (i = 0; i < KEY; i++)
		key[i] = (uint8_t)(i * 37 + 11);
	ATF_REQUIRE_EQ(FBSD_EINVAL, ktest_sysctl("dev.hn.0.rss_key", NULL,
	    NULL, key, KEY - 1));
	ATF_REQUIRE_EQ(0, set_key(key));
	get_key(back);
	ATF_CHECK_EQ(0, memcmp(key, back, KEY));
	(void)check_spread(key);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	(void)check_spread(key);
	cable_finish(&j);
}

/* What FreeBSD's programs are told of it. */
ATF_TC_WITHOUT_HEAD(rss_told);
ATF_TC_BODY(rss_told, tc)
{
	struct ktest_rss kr;
	uint8_t key[KEY];

	start(CPUS);
	get_key(key);
	ATF_REQUIRE_EQ(0, ktest_rss("hn0", &kr));
	ATF_CHECK_EQ(RSS_TOEPLITZ, kr.keyfunc);
	ATF_CHECK_EQ(RSS_TOEPLITZ, kr.hashfunc);
	ATF_REQUIRE_EQ(KEY, kr.keylen);
	ATF_CHECK_EQ(0, memcmp(key, kr.key, KEY));
	/* IPv4, IPv6, and TCP over each. */
	ATF_CHECK_EQ_MSG(0x17, kr.types, "%#x", kr.types);
	cable_finish(&j);
}

/* The host's own table, of what hn0 sends, follows that of what it receives. */
ATF_TC_WITHOUT_HEAD(rss_table);
ATF_TC_BODY(rss_table, tc)
{
	uint8_t key[KEY];

	start(CPUS);
	get_key(key);
	ATF_REQUIRE_EQ(0, set_table(2, 2));
	ATF_CHECK_EQ(1u << 2, check_spread(key));
	check_sends_by(2);
	ATF_REQUIRE_EQ(0, set_table(1, 1));
	ATF_CHECK_EQ(1u << 1, check_spread(key));
	check_sends_by(1);
	ATF_REQUIRE_EQ(0, set_table(3, 0));
	(void)check_spread(key);
	/* A channel that there is not. */
	ATF_CHECK_EQ(FBSD_EINVAL, set_table(0, CPUS));
	ATF_CHECK_EQ(FBSD_EINVAL, set_table(UINT32_MAX, 0));
	(void)check_spread(key);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	(void)check_spread(key);
	cable_finish(&j);
}

/* A host that will not have it has what it had. */
ATF_TC_WITHOUT_HEAD(rss_refused);
ATF_TC_BODY(rss_refused, tc)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_RNDIS_OUT, .action = HVH_FAULT_STATUS,
		.key = RNDIS_SET_CMPLT, .skip = 1, .times = 1,
		.arg = RNDIS_INVALID
	};
	uint8_t key[KEY], other[KEY] = { 1 };
	uint32_t table[ENTRIES];

	start(CPUS);
	ATF_REQUIRE_EQ(0, set_table(3, 3));
	get_key(key);
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
	ATF_CHECK_EQ(FBSD_EIO, set_key(other));
	hvh_fault_clear(j.host);
	get_key(other);
	ATF_CHECK_EQ(0, memcmp(key, other, KEY));
	(void)check_spread(key);
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
	ATF_CHECK_EQ(FBSD_EIO, set_table(1, 1));
	hvh_fault_clear(j.host);
	get_table(table);
	ATF_CHECK_EQ(3, table[0]);
	(void)check_spread(key);
	cable_finish(&j);
}

/* With one channel there is no RSS, but nothing breaks. */
ATF_TC_WITHOUT_HEAD(rss_none);
ATF_TC_BODY(rss_none, tc)
{
	uint8_t key[KEY] = { 1 };
	struct ktest_rss kr;

	start(1);
	ATF_REQUIRE_EQ(0, ktest_rss("hn0", &kr));
	ATF_CHECK_EQ(RSS_NONE, kr.keyfunc);
	ATF_CHECK_EQ(RSS_NONE, kr.hashfunc);
	ATF_CHECK_EQ(0, kr.keylen);
	ATF_CHECK_EQ(0, kr.types);
	ATF_CHECK_EQ(0, number("dev.hn.0.rss_ind_size"));
	ATF_CHECK(set_key(key) != 0);
	(void)pass(1, 7);
	ATF_CHECK_EQ(0, number("dev.hn.0.rx.0.rss_pkts"));
	cable_finish(&j);
}

/* One large segment of hn1's comes to hn0, in so many packets. */
static unsigned
large(void)
{
	size_t len, n, total;
	unsigned count;

	len = cable_tcp(frame, 1, 20000, 1, true);
	ATF_REQUIRE_EQ(0, cable_send(&j, 1, frame, len, KPI_NET_TSO |
	    KPI_NET_CSUM_IP | KPI_NET_CSUM_L4, 1448));
	for (total = count = 0; total < 20000; count++) {
		n = cable_recv(&j, 0, got, sizeof(got), NULL);
		ATF_REQUIRE_MSG(n > 54, "only %zu bytes came", total);
		ATF_CHECK_EQ(0, memcmp(got + 54, frame + 54 + total, n - 54));
		total += n - 54;
	}
	return (count);
}

ATF_TC_WITHOUT_HEAD(rsc);
ATF_TC_BODY(rsc, tc)
{
	kpi_u64 before;

	start(1);
	/* Else it is LRO that puts them together. */
	ATF_REQUIRE_EQ(0, kpi_net_caps(j.kn[0], KPI_NETCAP_RXCSUM));
	ATF_CHECK_EQ(14, large());
	ATF_CHECK_EQ(0, number("dev.hn.0.rx.0.rsc_pkts"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.0.rsc_switch", "1"));
	ATF_CHECK_EQ(1, large());
	ATF_CHECK_EQ(1, number("dev.hn.0.rx.0.rsc_pkts"));
	/* Also in a new session. */
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	before = number("dev.hn.0.rx.0.rsc_pkts");
	ATF_CHECK_EQ(1, large());
	ATF_CHECK_EQ(before + 1, number("dev.hn.0.rx.0.rsc_pkts"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.0.rsc_switch", "0"));
	ATF_CHECK(large() > 1);
	ATF_CHECK_EQ(0, number("dev.hn.0.rsc_switch"));
	cable_finish(&j);
}

/* A host of an older protocol has no coalescing. */
ATF_TC_WITHOUT_HEAD(rsc_old);
ATF_TC_BODY(rsc_old, tc)
{
	struct cable_config cf = { .vm.quiet = true, .nvsp = 0x00040000 };

	cable_start(&j, &cf);
	ATF_CHECK_EQ(FBSD_EOPNOTSUPP, kpi_sysctl_set("dev.hn.0.rsc_switch",
	    "1"));
	ATF_CHECK_EQ(0, number("dev.hn.0.rsc_switch"));
	(void)pass(0, 1);
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(keepalive);
ATF_TC_BODY(keepalive, tc)
{
	struct hvh_net_stats st;
	unsigned i, n;

	start(1);
	for (i = 1; i <= 20; i++) {
		ATF_REQUIRE_EQ(0, hvh_net_keepalive(j.net[0]));
		for (n = 0; n < 500; n++) {
			hvh_net_get_stats(j.net[0], &st);
			if (st.alive == i)
				break;
			usleep(10000);
		}
		ATF_REQUIRE_EQ_MSG(i, st.alive, "no answer to number %u", i);
	}
	(void)pass(1, 1);
	ATF_CHECK_EQ(0, number("dev.hn.0.bad_messages"));
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(media);
ATF_TC_BODY(media, tc)
{
	/* if_media(4): Ethernet; full duplex; valid, active; 10GBase-T. */
	const int ether = 0x20, fdx = 0x00100000, valid = 1, active = 2,
	    mask = 0x1f;
	struct ktest_media km = { .count = 4 };

	start(1);
	ATF_REQUIRE_EQ(0, ktest_media("hn0", &km));
	ATF_CHECK_EQ(1, km.count);
	ATF_CHECK_EQ(ether, km.list[0]);
	ATF_CHECK_EQ(ether, km.current);
	ATF_CHECK_EQ(valid | active, km.status);
	ATF_CHECK_EQ(ether | fdx, km.active & (ether | fdx));
	ATF_CHECK((km.active & mask) != 0);
	/* How many there are, before there is room for them. */
	km.count = 0;
	ATF_REQUIRE_EQ(0, ktest_media("hn0", &km));
	ATF_CHECK_EQ(1, km.count);
	/* There is nothing to choose from. */
	ATF_CHECK(ktest_media_set("hn0", ether | 6) != 0);
	ATF_CHECK_EQ(FBSD_EOPNOTSUPP, ktest_media_set("hn0", ether));
	/* Without a link there is no speed. */
	ATF_REQUIRE_EQ(0, hvh_net_link(j.net[0], false));
	do {
		usleep(10000);
		km.count = 0;
		ATF_REQUIRE_EQ(0, ktest_media("hn0", &km));
	} while (km.status != valid);
	ATF_CHECK_EQ(0, km.active & fdx);
	cable_finish(&j);
}

/* What netstat(1) shows, of both directions. */
ATF_TC_WITHOUT_HEAD(counters);
ATF_TC_BODY(counters, tc)
{
	struct kpi_net_info a, b;
	kpi_u64 bytes = 0;
	unsigned i;

	start(1);
	for (i = 0; i < 10; i++) {
		bytes += flow(0, i);
		(void)pass(0, i);
	}
	memset(frame, 0xff, 6);
	(void)cable_send(&j, 0, frame, 154, 0, 0);
	ATF_REQUIRE_EQ(154, cable_recv(&j, 1, got, sizeof(got), NULL));
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &a));
	/* The stack has a packet before it is counted. */
	for (i = 0; i < 1000; i++) {
		ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[1], &b));
		if (b.ipackets >= 11)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ(11, a.opackets);
	ATF_CHECK_EQ(bytes + 154, a.obytes);
	ATF_CHECK_EQ(0, a.oerrors + a.oqdrops);
	ATF_CHECK_EQ(11, b.ipackets);
	ATF_CHECK_EQ(bytes + 154, b.ibytes);
	ATF_CHECK_EQ(0, b.ierrors + b.iqdrops);
	cable_finish(&j);
}

/* --- Broken rings --- */

static atomic_uint spoilt;

static void
spoil(void *arg, void *data, size_t *len)
{
	volatile unsigned *word = arg;

	/* Not a multiple of eight: there cannot be a packet. */
	__atomic_store_n(word, 4, __ATOMIC_RELEASE);
	atomic_fetch_add(&spoilt, 1);
}

/* The first is the primary's. */
static void
find_channel(void *arg, const char *name, const char *value)
{
	unsigned *id = arg;

	if (*id == 0)
		(void)sscanf(name, "dev.hn.0.channel.%u", id);
}

static bool
reattached(kpi_u64 want)
{
	unsigned i;

	/* No time is lost with questions that nobody can answer. */
	for (i = 0; i < 4000; i++) {
		if (number("dev.hn.0.reattaches") >= want)
			return (true);
		usleep(1000);
	}
	return (false);
}

static void
drain(unsigned at)
{
	struct kpi_frame f;

	while (kpi_net_recv(j.kn[at], &f, 100) == 0)
		kpi_net_release(&f);
}

static void
check_works(void)
{

	drain(0);
	drain(1);
	(void)pass(0, 1);
	(void)pass(1, 2);
}

/* Of the host's to the guest, as the guest is told to look. */
ATF_TC_WITHOUT_HEAD(broken_rx);
ATF_TC_BODY(broken_rx, tc)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_SIGNAL_OUT, .action = HVH_FAULT_CALL,
		.times = 1, .hook = spoil
	};
	unsigned i, id, n;

	start(1);
	for (i = 1; i <= 3; i++) {
		id = 0;
		kpi_sysctl_walk("dev.hn.0.channel", find_channel, &id);
		ATF_REQUIRE(id != 0);
		f.key = id;
		f.hook_arg = (void *)(uintptr_t)ktest_hn_ring();
		atomic_store(&spoilt, 0);
		ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
		for (n = 0; n < 100 && atomic_load(&spoilt) == 0; n++) {
			(void)cable_send(&j, 1, frame, flow(1, n),
			    KPI_NET_CSUM_IP | KPI_NET_CSUM_L4, 0);
			usleep(10000);
		}
		ATF_REQUIRE_EQ(1, atomic_load(&spoilt));
		ATF_REQUIRE_MSG(reattached(i), "no new session");
		hvh_fault_clear(j.host);
		check_works();
	}
	cable_finish(&j);
}

/* Of the guest's to the host: what is sent finds out. */
ATF_TC_WITHOUT_HEAD(broken_tx);
ATF_TC_BODY(broken_tx, tc)
{
	unsigned i;

	start(1);
	for (i = 1; i <= 3; i++) {
		ktest_hn_break();
		ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, flow(0, 1),
		    KPI_NET_CSUM_IP | KPI_NET_CSUM_L4, 0));
		ATF_REQUIRE_MSG(reattached(i), "no new session");
		check_works();
	}
	cable_finish(&j);
}

/* --- The manual --- */

static struct {
	char	 text[65536];
	unsigned names, unknown;
} manual;

/* "dev.hn.0.rx.3.packets" is "dev.hn.%d.rx.%d.packets" there. */
static void
in_manual(void *arg, const char *name, const char *value)
{
	char line[128], *to;

	(void)arg;
	(void)value;
	/* Those of any device, and of vmbus(4)'s. */
	if (strchr(name, '%') != NULL || strstr(name, ".channel.") != NULL)
		return;
	manual.names++;
	to = line + snprintf(line, sizeof(line), ".It Va ");
	while (*name != '\0' && to < line + sizeof(line) - 4) {
		if (name[0] == '.' && name[1] >= '0' && name[1] <= '9') {
			to += snprintf(to, 4, ".%%d");
			name += 1 + strspn(name + 1, "0123456789");
		} else
			*to++ = *name++;
	}
	*to = '\0';
	for (to = manual.text; (to = strstr(to, line)) != NULL;) {
		to += strlen(line);
		if (*to == '\n' || *to == ' ')
			return;
	}
	printf("not in hn.4: %s\n", line);
	manual.unknown++;
}

ATF_TC_WITHOUT_HEAD(manual_page);
ATF_TC_BODY(manual_page, tc)
{
	FILE *f;
	size_t n;

	f = fopen(MANUALS "/hn.4", "r");
	ATF_REQUIRE(f != NULL);
	n = fread(manual.text, 1, sizeof(manual.text) - 1, f);
	manual.text[n] = '\0';
	fclose(f);
	start(2);
	kpi_sysctl_walk("hw.hn", in_manual, NULL);
	kpi_sysctl_walk("dev.hn.0", in_manual, NULL);
	ATF_CHECK(manual.names > 100);
	ATF_CHECK_EQ(0, manual.unknown);
	cable_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, hash);
	ATF_TP_ADD_TC(tp, rss_key);
	ATF_TP_ADD_TC(tp, rss_told);
	ATF_TP_ADD_TC(tp, rss_table);
	ATF_TP_ADD_TC(tp, rss_refused);
	ATF_TP_ADD_TC(tp, rss_none);
	ATF_TP_ADD_TC(tp, rsc);
	ATF_TP_ADD_TC(tp, rsc_old);
	ATF_TP_ADD_TC(tp, keepalive);
	ATF_TP_ADD_TC(tp, media);
	ATF_TP_ADD_TC(tp, counters);
	ATF_TP_ADD_TC(tp, broken_rx);
	ATF_TP_ADD_TC(tp, broken_tx);
	ATF_TP_ADD_TC(tp, manual_page);
	return (atf_no_error());
}
