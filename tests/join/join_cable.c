/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See join_cable.h. */

#include <sys/param.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_cable.h"
#include "join_mbufs.h"

#define	WAIT_MS		30000

static const uint8_t macs[CABLE_ENDS][6] = {
	{ 0x00, 0x15, 0x5d, 0x01, 0x02, 0x00 },
	{ 0x00, 0x15, 0x5d, 0x01, 0x02, 0x01 },
};

static void
add_adapters(struct cable *j, const struct cable_config *cf)
{
	struct hvh_net_params np = {
		.max_channels = cf->channels, .max_version = cf->nvsp
	};
	char guid[37];
	unsigned i;

	ATF_REQUIRE_EQ(0, hvh_netbe_pair(j->host, j->be));
	if (cf->faults != NULL)
		ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&j->be[0], cf->faults));
	for (i = 0; i < CABLE_ENDS; i++) {
		snprintf(guid, sizeof(guid),
		    "7a1c2d90-52b4-4f60-9d3e-0000000000%02x", i);
		ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &np.instance));
		memcpy(np.mac, macs[i], sizeof(np.mac));
		np.be = j->be[i];
		ATF_REQUIRE_EQ(0, hvh_net_add(j->host, &np, &j->net[i]));
	}
}

void
cable_start(struct cable *j, const struct cable_config *cf)
{
	struct vm_config vc = cf->vm;
	char name[8];
	unsigned i;

	memset(j, 0, sizeof(*j));
	vm_create(&vc);
	j->host = vm_host();
	add_adapters(j, cf);
	vm_boot();
	ATF_REQUIRE_EQ(0, vm_load());
	for (i = 0; i < CABLE_ENDS; i++) {
		snprintf(name, sizeof(name), "hn%u", i);
		ATF_REQUIRE_EQ_MSG(0, kpi_net_wait(name, WAIT_MS),
		    "%s did not appear", name);
		ATF_REQUIRE_EQ(0, kpi_net_open(name, cf->ops[i], j,
		    &j->kn[i]));
		ATF_REQUIRE_EQ(0, kpi_net_up(j->kn[i], 1));
	}
}

void
cable_finish(struct cable *j)
{
	unsigned i;

	for (i = 0; i < CABLE_ENDS; i++)
		if (j->kn[i] != NULL)
			kpi_net_close(j->kn[i]);
	ATF_CHECK_EQ(0, vm_unload());
	join_mbufs();
	vm_destroy();
	ATF_CHECK_EQ_MSG(0, kpi_leaks(), "something was left behind");
}

static void
be16(uint8_t *p, unsigned v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
be32(uint8_t *p, uint32_t v)
{

	be16(p, v >> 16);
	be16(p + 2, v & 0xffff);
}

/* One's complement sum of big-endian words, folded. */
static uint32_t
sum(const uint8_t *p, size_t len, uint32_t acc)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2) {
		acc += (uint32_t)p[i] << 8 | p[i + 1];
		acc = (acc & 0xffff) + (acc >> 16);
	}
	if (i < len)
		acc += (uint32_t)p[i] << 8;
	return ((acc & 0xffff) + (acc >> 16));
}

void
cable_pattern(uint8_t *p, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

/* Everything but the transport's checksum; where the transport begins. */
static uint8_t *
ip_frame(uint8_t *frame, unsigned from, uint8_t proto, size_t len,
    bool offload)
{
	uint8_t *ip = frame + 14;

	memset(frame, 0, 14 + 20 + 20);
	memcpy(frame, macs[1 - from], 6);
	memcpy(frame + 6, macs[from], 6);
	be16(frame + 12, 0x800);
	ip[0] = 0x45;
	be16(ip + 2, (unsigned)(20 + len));
	ip[8] = 64;
	ip[9] = proto;
	be32(ip + 12, 0x0a000001 + from);
	be32(ip + 16, 0x0a000002 - from);
	if (!offload)
		be16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	return (ip + 20);
}

static uint32_t
pseudo(const uint8_t *ip, size_t len)
{

	return (sum(ip + 12, 8, (uint32_t)(ip[9] + len)));
}

size_t
cable_udp(uint8_t *frame, unsigned from, size_t payload, uint32_t seed,
    bool offload)
{
	uint8_t *ip = frame + 14, *udp;
	size_t len = 8 + payload;
	uint32_t s;

	udp = ip_frame(frame, from, 17, len, offload);
	be16(udp, 1000);
	be16(udp + 2, 2000);
	be16(udp + 4, (unsigned)len);
	be16(udp + 6, 0);
	cable_pattern(udp + 8, payload, seed);
	s = pseudo(ip, len);
	if (!offload) {
		s = ~sum(udp, len, s) & 0xffff;
		if (s == 0)
			s = 0xffff;
	}
	be16(udp + 6, s);
	return (34 + len);
}

size_t
cable_tcp(uint8_t *frame, unsigned from, size_t payload, uint32_t seq,
    bool offload)
{
	uint8_t *ip = frame + 14, *tcp;
	size_t len = 20 + payload;
	uint32_t s;

	tcp = ip_frame(frame, from, 6, len, offload);
	be16(tcp, 3000);
	be16(tcp + 2, 4000);
	be32(tcp + 4, seq);
	tcp[12] = 0x50;
	tcp[13] = 0x10;
	be16(tcp + 14, 1024);
	cable_pattern(tcp + 20, payload, seq);
	s = pseudo(ip, len);
	be16(tcp + 16, offload ? s : ~sum(tcp, len, s) & 0xffff);
	return (34 + len);
}

bool
cable_sums_ok(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + 14;
	size_t iplen = (size_t)ip[2] << 8 | ip[3];

	if (iplen < 28 || 14 + iplen > len)
		return (false);
	return (sum(ip, 20, 0) == 0xffff &&
	    sum(ip + 20, iplen - 20, pseudo(ip, iplen - 20)) == 0xffff);
}

int
cable_send(struct cable *j, unsigned from, const uint8_t *frame,
    size_t len, uint32_t flags, unsigned mss)
{
	struct kpi_piece piece = {
		.addr = (void *)(uintptr_t)frame, .len = len
	};
	struct kpi_frame f = {
		.piece = &piece, .npieces = 1, .len = len, .flags = flags,
		.mss = mss
	};
	int error;

	(void)kpi_net_send(j->kn[from], &f, 1, &error);
	return (error);
}

size_t
cable_recv(struct cable *j, unsigned at, uint8_t *frame, size_t size,
    struct kpi_frame *info)
{
	struct kpi_frame f;
	size_t len;
	unsigned i;

	if (kpi_net_recv(j->kn[at], &f, 2000) != 0)
		return (0);
	len = 0;
	for (i = 0; i < f.npieces; i++) {
		ATF_REQUIRE(len + f.piece[i].len <= size);
		memcpy(frame + len, f.piece[i].addr, f.piece[i].len);
		len += f.piece[i].len;
	}
	ATF_CHECK_EQ(len, f.len);
	if (info != NULL)
		*info = f;
	kpi_net_release(&f);
	return (len);
}
