/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `dhcp': an address, and a route to everywhere, of whoever gives them.
 *
 *	dhcp IF [TRIES [WAIT_MS]]
 *
 * Frames go and come by bpf(4), as dhclient(8) has them: an interface without
 * an address has no other way to send one.  Each message is sent so many times,
 * an answer awaited for so long.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/sockio.h>
#include <sys/time.h>
#include <net/bpf.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "commands.h"
#include "dhcp_reg.h"
#include "inet.h"

/* How often a wait looks at the clock. */
#define	LOOK_MS		100

struct dhcp {
	const char	*name;
	int		 fd;
	uint64_t	 tries, wait_ms;
	char		*buf;		/* reads have to be of just this size */
	size_t		 bufsize;
	uint8_t		 mac[6];
	uint32_t	 xid;
	/* Of the last answer; network byte order. */
	uint32_t	 address, mask, router, dns, server, lease;
};

static uint16_t
swap16(unsigned n)
{

	return (__builtin_bswap16((uint16_t)n));
}

/* --- bpf(4) --- */

static int
dhcp_open(struct dhcp *d)
{
	struct timeval tv = { 0, LOOK_MS * 1000 };
	struct ifreq ifr = {};
	u_int in = BPF_D_IN, one = 1, size = 0;
	int error;

	d->fd = sys_open("/dev/bpf", O_RDWR, 0);
	if (d->fd < 0)
		return (-d->fd);
	(void)copy_string(ifr.ifr_name, d->name, sizeof(ifr.ifr_name));
	error = -sys_ioctl(d->fd, BIOCSETIF, &ifr);
	if (error == 0)
		error = -sys_ioctl(d->fd, BIOCGBLEN, &size);
	if (error == 0)
		error = -sys_ioctl(d->fd, BIOCIMMEDIATE, &one);
	if (error == 0)
		error = -sys_ioctl(d->fd, BIOCSHDRCMPLT, &one);
	if (error == 0)
		error = -sys_ioctl(d->fd, BIOCSDIRECTION, &in);
	if (error == 0)
		error = -sys_ioctl(d->fd, BIOCSRTIMEOUT, &tv);
	if (error != 0)
		return (error);
	d->bufsize = size;
	d->buf = mem_get(size);
	return (0);
}

static void
dhcp_close(struct dhcp *d)
{

	if (d->buf != NULL)
		mem_put(d->buf, d->bufsize);
	if (d->fd >= 0)
		(void)sys_close(d->fd);
}

/* Its address, and bpf(4) sends nothing by one that is down. */
static int
dhcp_interface(struct dhcp *d)
{
	union endpoint any = { .sa.sa_family = AF_INET };
	struct ifreq ifr = {};
	char up[sizeof(ifr.ifr_name) + 8];
	int error, fd;

	fd = sock_open(&any, SOCK_DGRAM, 0, 0);
	if (fd < 0)
		return (-fd);
	(void)copy_string(ifr.ifr_name, d->name, sizeof(ifr.ifr_name));
	error = -sys_ioctl(fd, SIOCGHWADDR, &ifr);
	memcpy(d->mac, ifr.ifr_addr.sa_data, sizeof(d->mac));
	(void)sys_close(fd);
	(void)format(up, sizeof(up), "net up %s", ifr.ifr_name);
	return (error == 0 ? run_commands(up) : error);
}

/* --- Messages --- */

static uint8_t *
dhcp_option(uint8_t *at, uint8_t option, uint8_t size, const void *value)
{

	*at++ = option;
	*at++ = size;
	memcpy(at, value, size);
	return (at + size);
}

static int
dhcp_send(const struct dhcp *d, uint8_t type)
{
	static const uint8_t wanted[] = { DHCP_OPT_MASK, DHCP_OPT_ROUTER,
	    DHCP_OPT_DNS, DHCP_OPT_LEASE };
	struct dhcp_frame f = {};
	uint8_t *at;
	size_t size = sizeof(f);
	long n;

	memset(f.eth_to, 0xff, sizeof(f.eth_to));
	memcpy(f.eth_from, d->mac, sizeof(f.eth_from));
	f.eth_type = swap16(ETHERTYPE_IP);
	f.ip_version = 0x45;
	f.ip_length = swap16(size - offsetof(struct dhcp_frame, ip_version));
	f.ip_ttl = 64;
	f.ip_protocol = IPPROTO_UDP;
	f.ip_to = INADDR_BROADCAST;
	f.ip_sum = inet_sum(&f.ip_version, 20);
	f.udp_from = swap16(DHCP_CLIENT_PORT);
	f.udp_to = swap16(DHCP_SERVER_PORT);
	f.udp_length = swap16(size - offsetof(struct dhcp_frame, udp_from));
	f.dhcp_op = DHCP_OP_REQUEST;
	f.dhcp_htype = 1;
	f.dhcp_hlen = sizeof(d->mac);
	f.dhcp_xid = d->xid;
	memcpy(f.dhcp_mac, d->mac, sizeof(d->mac));
	f.dhcp_cookie = __builtin_bswap32(DHCP_COOKIE);
	at = dhcp_option(f.dhcp_options, DHCP_OPT_TYPE, 1, &type);
	at = dhcp_option(at, DHCP_OPT_LIST, sizeof(wanted), wanted);
	if (type == DHCP_REQUEST) {
		at = dhcp_option(at, DHCP_OPT_WANTED, 4, &d->address);
		at = dhcp_option(at, DHCP_OPT_SERVER, 4, &d->server);
	}
	*at = DHCP_OPT_END;
	n = sys_write(d->fd, &f, size);
	return (n < 0 ? (int)-n : 0);
}

/* What an answer's options say; its type, 0 if there is none. */
static uint8_t
dhcp_options(struct dhcp *d, const uint8_t *at, size_t left)
{
	uint32_t *to;
	uint8_t option, size, type = 0;

	for (; left > 0 && *at != DHCP_OPT_END; at += size, left -= size) {
		option = *at++;
		left--;
		size = 0;
		if (option == DHCP_OPT_PAD)
			continue;
		if (left == 0 || left <= *at)
			break;
		size = *at++;
		left--;
		to = option == DHCP_OPT_MASK ? &d->mask :
		    option == DHCP_OPT_ROUTER ? &d->router :
		    option == DHCP_OPT_DNS ? &d->dns :
		    option == DHCP_OPT_SERVER ? &d->server :
		    option == DHCP_OPT_LEASE ? &d->lease : NULL;
		if (to != NULL && size >= sizeof(*to))
			memcpy(to, at, sizeof(*to));
		if (option == DHCP_OPT_TYPE && size == 1)
			type = *at;
	}
	return (type);
}

/* The type of an answer to us, 0 if a frame is something else. */
static uint8_t
dhcp_answer(struct dhcp *d, const uint8_t *data, size_t size)
{
	const struct dhcp_frame *f = (const void *)data;
	size_t head = offsetof(struct dhcp_frame, dhcp_options);
	uint8_t type;

	if (size < head || f->eth_type != swap16(ETHERTYPE_IP) ||
	    f->ip_version != 0x45 || f->ip_protocol != IPPROTO_UDP ||
	    f->udp_to != swap16(DHCP_CLIENT_PORT) ||
	    f->dhcp_op != DHCP_OP_REPLY || f->dhcp_xid != d->xid ||
	    f->dhcp_cookie != __builtin_bswap32(DHCP_COOKIE) ||
	    memcmp(f->dhcp_mac, d->mac, sizeof(d->mac)) != 0)
		return (0);
	type = dhcp_options(d, data + head, size - head);
	if (type == DHCP_OFFER || type == DHCP_ACK)
		d->address = f->dhcp_yours;
	return (type);
}

/* Frames until one is this answer, or a no; ETIMEDOUT when time is over. */
static int
dhcp_await(struct dhcp *d, uint8_t answer, uint64_t until)
{
	const struct bpf_hdr *bh;
	size_t at;
	uint8_t type;
	long n;

	do {
		n = sys_read(d->fd, d->buf, d->bufsize);
		for (at = 0; n > 0 && at + sizeof(*bh) <= (size_t)n;
		    at += BPF_WORDALIGN(bh->bh_hdrlen + bh->bh_caplen)) {
			bh = (const void *)(d->buf + at);
			type = dhcp_answer(d, (const uint8_t *)bh +
			    bh->bh_hdrlen, bh->bh_caplen);
			if (type == answer)
				return (0);
			if (type == DHCP_NAK)
				return (ECONNREFUSED);
		}
	} while (n >= 0 && uptime_ns() < until);
	return (n < 0 ? (int)-n : ETIMEDOUT);
}

/* Sends a message until there is an answer: 0 if it is that one. */
static int
dhcp_ask(struct dhcp *d, uint8_t message, uint8_t answer)
{
	uint64_t n;
	int error = ETIMEDOUT;

	for (n = 0; n < d->tries && error == ETIMEDOUT; n++) {
		error = dhcp_send(d, message);
		if (error == 0)
			error = dhcp_await(d, answer,
			    uptime_ns() + d->wait_ms * 1000000);
	}
	return (error);
}

/* --- What was given --- */

static const char *
dhcp_text(uint32_t address, char *to)
{
	union endpoint ep = { .in.sin_family = AF_INET,
	    .in.sin_addr.s_addr = address };

	return (inet_text(&ep, to));
}

static int
dhcp_use(const struct dhcp *d)
{
	char address[INET_TEXT], router[INET_TEXT], text[INET_TEXT];
	char commands[256];
	int bits = __builtin_popcount(d->mask);

	(void)dhcp_text(d->address, address);
	(void)dhcp_text(d->router, router);
	print("address: %s/%d\nrouter: %s\n", address, bits, router);
	print("dns: %s\n", dhcp_text(d->dns, text));
	print("server: %s\nlease: %u\n", dhcp_text(d->server, text),
	    __builtin_bswap32(d->lease));
	(void)format(commands, sizeof(commands),
	    "net addr %s %s/%d;route add 0.0.0.0/0 %s", d->name, address, bits,
	    router);
	return (run_commands(commands));
}

int
cmd_dhcp(int argc, char **argv)
{
	struct dhcp d = { .fd = -1 };
	int error;

	if (argc < 2)
		return (complain(EINVAL, "dhcp"));
	d.name = argv[1];
	d.tries = argument(argc, argv, 2, 5);
	d.wait_ms = argument(argc, argv, 3, 5000);
	d.xid = (uint32_t)uptime_ns();
	error = dhcp_interface(&d);
	if (error == 0)
		error = dhcp_open(&d);
	if (error == 0)
		error = dhcp_ask(&d, DHCP_DISCOVER, DHCP_OFFER);
	if (error == 0)
		error = dhcp_ask(&d, DHCP_REQUEST, DHCP_ACK);
	dhcp_close(&d);
	if (error == 0)
		error = dhcp_use(&d);
	return (error == 0 ? 0 : complain(error, "dhcp %s", argv[1]));
}
