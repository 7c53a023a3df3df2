/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* What the network's join tests share; see join_net.h. */

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join_mbufs.h"
#include "join_net.h"

#define	ETHER	14

/* --- The machine --- */

static void
join_net_add(struct join_net *jn, const struct join_net_config *cf, unsigned i)
{
	struct hvh_netbe_params bp = { .kind = HVH_NETBE_SOCKET,
	    .name = "wire", .have_fd = true };
	struct hvh_net_params np = cf->params;
	char guid[37], msg[200];
	int fd[2], size = 4 << 20;

	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fd));
	(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	jn->wire = fd[0];
	bp.fd = fd[1];
	ATF_REQUIRE_EQ_MSG(0, hvh_netbe_open(vm_host(), &bp, &np.be, msg,
	    sizeof(msg)), "%s", msg);
	snprintf(guid, sizeof(guid), "7c1d7a60-5d3c-4f0e-8e0a-0000000000%02x",
	    i);
	ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &np.instance));
	memcpy(np.mac, "\0\x15\x5d\0\0\0", 6);
	np.mac[5] = i + 1;
	ATF_REQUIRE_EQ(0, hvh_net_add(vm_host(), &np, &jn->host));
}

void
join_net_start(struct join_net *jn, const struct join_net_config *conf)
{
	struct join_net_config cf = *conf;
	char name[16];
	unsigned i;

	if (cf.nets == 0)
		cf.nets = 1;
	memset(jn, 0, cf.nets * sizeof(*jn));
	vm_create(&cf.vm);
	for (i = 0; i < cf.nets; i++)
		join_net_add(&jn[i], &cf, i);
	vm_boot();
	ATF_REQUIRE_EQ(0, vm_load());
	for (i = 0; i < cf.nets; i++) {
		snprintf(name, sizeof(name), "hn%u", i);
		ATF_REQUIRE_EQ_MSG(0, kpi_net_wait(name, 30000),
		    "%s did not appear", name);
		ATF_REQUIRE_EQ(0, kpi_net_open(name, cf.ops, cf.arg,
		    &jn[i].guest));
		ATF_REQUIRE_EQ(0, kpi_net_up(jn[i].guest, 1));
	}
}

void
join_net_finish(struct join_net *jn, unsigned nets)
{
	unsigned i;

	for (i = 0; i < nets; i++)
		kpi_net_close(jn[i].guest);
	ATF_CHECK_EQ(0, vm_unload());
	join_mbufs();
	vm_destroy();
	ATF_CHECK_EQ_MSG(0, kpi_leaks(), "something was left behind");
	for (i = 0; i < nets; i++)
		close(jn[i].wire);
}

/* --- Frames --- */

static void
put16(unsigned char *p, unsigned v)
{

	p[0] = v >> 8;
	p[1] = v;
}

static unsigned
fold(uint64_t sum)
{

	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (sum);
}

static uint64_t
sum_of(const unsigned char *p, size_t len)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	if (i < len)
		sum += p[i] << 8;
	return (sum);
}

/* Addresses, protocol and length: what stands before layer 4. */
static uint64_t
pseudo(const unsigned char *ip, size_t l4len)
{
	bool six = ip[0] >> 4 == 6;

	return (sum_of(ip + (six ? 8 : 12), six ? 32 : 8) +
	    ip[six ? 6 : 9] + l4len);
}

static size_t
ip_header(unsigned char *p, int ip, int proto, size_t len)
{
	int addr = ip == 4 ? 4 : 16;
	unsigned char *a = p + (ip == 4 ? 12 : 8);

	memset(p, 0, 40);
	p[0] = ip == 4 ? 0x45 : 0x60;
	if (ip == 4) {
		put16(p + 2, len + 20);
		p[8] = 64;
		p[9] = proto;
	} else {
		put16(p + 4, len);
		p[6] = proto;
		p[7] = 64;
	}
	a[0] = a[addr] = 10;
	a[addr - 1] = 1;
	a[2 * addr - 1] = 2;
	if (ip == 4)
		put16(p + 10, ~fold(sum_of(p, 20)));
	return (ip == 4 ? 20 : 40);
}

void
join_frame(struct join_frame *jf, int ip, enum join_l4 l4, size_t len,
    uint32_t seed, bool whole, bool in)
{
	size_t hdr = l4 == JOIN_TCP ? 20 : 8, sum, i;
	unsigned char *p = jf->data, *q;

	memcpy(p, in ? "\0\x15\x5d\0\0\1\2\0\0\0\0\7" :
	    "\2\0\0\0\0\7\0\x15\x5d\0\0\1", 12);
	put16(p + 12, ip == 4 ? 0x0800 : 0x86dd);
	p += ETHER;
	q = p + ip_header(p, ip, l4 == JOIN_TCP ? 6 : 17, hdr + len);
	memset(q, 0, hdr);
	put16(q, 1000 + (seed >> 24));
	put16(q + 2, 2000);
	if (l4 == JOIN_TCP) {
		put16(q + 4, seed >> 16);
		put16(q + 6, seed);
		q[12] = 0x50;
		q[13] = 0x10;
		put16(q + 14, 8192);
	} else
		put16(q + 4, hdr + len);
	for (i = 0; i < len; i++)
		q[hdr + i] = seed + i + (i >> 8);
	sum = fold(pseudo(p, hdr + len) + (whole ? sum_of(q, hdr + len) : 0));
	put16(q + (l4 == JOIN_TCP ? 16 : 6), whole ? ~sum : sum);
	jf->len = q + hdr + len - jf->data;
}

bool
join_frame_right(const struct join_frame *jf)
{
	const unsigned char *ip = jf->data + ETHER;
	size_t hdr = ip[0] >> 4 == 6 ? 40 : 20, l4len;

	l4len = jf->len - ETHER - hdr;
	if (hdr == 20 && fold(sum_of(ip, hdr)) != 0xffff)
		return (false);
	return (fold(pseudo(ip, l4len) + sum_of(ip + hdr, l4len)) == 0xffff);
}

/* --- Both ends --- */

int
join_net_send(struct join_net *jn, const struct join_frame *jf, kpi_u32 flags,
    unsigned mss)
{
	struct kpi_piece piece = { (void *)(uintptr_t)jf->data, jf->len };
	struct kpi_frame f = { .piece = &piece, .npieces = 1, .flags = flags,
	    .mss = mss };
	int error;

	(void)kpi_net_send(jn->guest, &f, 1, &error);
	return (error);
}

bool
join_net_heard(struct join_net *jn, struct join_frame *jf, unsigned ms)
{
	struct pollfd pfd = { .fd = jn->wire, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, ms) != 1)
		return (false);
	n = read(jn->wire, jf->data, sizeof(jf->data));
	jf->len = n > 0 ? n : 0;
	return (n > 0);
}

void
join_net_say(struct join_net *jn, const struct join_frame *jf)
{
	struct pollfd pfd = { .fd = jn->wire, .events = POLLOUT };

	ATF_REQUIRE_EQ(1, poll(&pfd, 1, 10000));
	ATF_REQUIRE_EQ_MSG((ssize_t)jf->len, write(jn->wire, jf->data,
	    jf->len), "%s", strerror(errno));
}

bool
join_net_got(struct join_net *jn, struct join_frame *jf, struct kpi_frame *f,
    unsigned ms)
{
	struct kpi_frame held;
	unsigned i;

	if (kpi_net_recv(jn->guest, f, ms) != 0)
		return (false);
	held = *f;
	jf->len = 0;
	for (i = 0; i < f->npieces; i++) {
		ATF_REQUIRE(jf->len + f->piece[i].len <= sizeof(jf->data));
		memcpy(jf->data + jf->len, f->piece[i].addr, f->piece[i].len);
		jf->len += f->piece[i].len;
	}
	kpi_net_release(&held);
	return (true);
}
