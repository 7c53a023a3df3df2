/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network benchmark: two adapters of one machine on one cable in memory, so
 * that each packet is sent by the driver, carried by the provider twice, and
 * received by the driver.
 *
 * usage: network udp|tcp bytes flows seconds [packets [name=value ...]]
 *
 * udp: frames of so many bytes; tcp: segments of so many bytes of payload, cut
 * to 1448 by the host.  flows: threads that send, one a processor.  If packets
 * is not 0, so many are sent (for callgrind), and seconds is not looked at.
 * name=value: the kernel's environment, for tunables.
 *
 * Prints one JSON object.  Hypercalls and interrupts are those of sending and
 * receiving together, divided by what was received.
 */

#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/vm.h"

#define	MAX_FLOWS	8
#define	BURST		32		/* frames handed in at once */
#define	MSS		1448
#define	MAX_BYTES	62000
#define	WINDOW		2048		/* packets under way a flow */

static struct {
	bool		 tcp;
	size_t		 bytes;
	unsigned	 flows;
	uint64_t	 limit;		/* packets of all flows, 0: by time */
	struct kpi_net	*kn[2];
	atomic_bool	 stop;
	atomic_uint_fast64_t sent, refused, got, got_bytes;
	atomic_uint_fast64_t lost;	/* as far as that is known yet */
} b;

static const uint8_t macs[2][6] = {
	{ 0x00, 0x15, 0x5d, 0x00, 0x00, 0x01 },
	{ 0x00, 0x15, 0x5d, 0x00, 0x00, 0x02 },
};

static void
be16(uint8_t *p, unsigned v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Headers of a flow; checksums are the card's. */
static size_t
make_frame(uint8_t *f, unsigned flow)
{
	size_t hdr = b.tcp ? 54 : 42, len;

	len = b.tcp ? hdr + b.bytes : b.bytes;
	memset(f, 'p', len);
	memcpy(f, macs[1], 6);
	memcpy(f + 6, macs[0], 6);
	memset(f + 12, 0, hdr - 12);
	be16(f + 12, 0x0800);
	f[14] = 0x45;
	be16(f + 16, (unsigned)(len - 14));
	f[22] = 64;
	f[23] = b.tcp ? 6 : 17;
	memcpy(f + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	be16(f + 34, 1000 + flow);
	be16(f + 36, 2000);
	if (b.tcp)
		f[46] = 0x50;
	else
		be16(f + 38, (unsigned)(len - 34));
	return (len);
}

static int
sink(void *arg, const struct kpi_frame *f)
{
	size_t payload;

	payload = f->len - (b.tcp ? 54 : 0);
	atomic_fetch_add_explicit(&b.got, b.tcp ? (payload + MSS - 1) / MSS :
	    1, memory_order_relaxed);
	atomic_fetch_add_explicit(&b.got_bytes, f->len, memory_order_relaxed);
	return (0);
}

static const struct kpi_net_ops sink_ops = { .input = sink };

/* Packets as they are counted: what a frame becomes on the wire. */
static uint64_t
packets(uint64_t frames)
{

	return (b.tcp ? frames * ((b.bytes + MSS - 1) / MSS) : frames);
}

/*
 * Waits as a window would: no more than can be received.  What does not come
 * for a while is lost, and was not taken for so by anyone else meanwhile.
 */
static void
window(void)
{
	uint64_t done, was;
	unsigned i;

	was = 0;
	for (i = 0; i < 500; i++) {
		done = atomic_load(&b.got) + atomic_load(&b.lost);
		if (packets(atomic_load(&b.sent)) < done + WINDOW * b.flows)
			return;
		if (done != was)
			i = 0;
		was = done;
		usleep(20);
	}
	atomic_fetch_add(&b.lost, packets(atomic_load(&b.sent)) - was);
}

static void *
sender(void *arg)
{
	unsigned flow = (unsigned)(uintptr_t)arg, i, n;
	static uint8_t frame[MAX_FLOWS][MAX_BYTES + 64];
	struct kpi_piece piece = { .addr = frame[flow] };
	struct kpi_frame f[BURST];
	uint64_t mine, quota;
	int error;

	piece.len = make_frame(frame[flow], flow);
	memset(f, 0, sizeof(f));
	for (i = 0; i < BURST; i++) {
		f[i].piece = &piece;
		f[i].npieces = 1;
		f[i].len = piece.len;
		f[i].flags = KPI_NET_CSUM_L4 | KPI_NET_CSUM_IP | KPI_NET_HASH;
		f[i].flowid = flow;
		f[i].hashtype = 0x3f;
		if (b.tcp) {
			f[i].flags |= KPI_NET_TSO;
			f[i].mss = MSS;
		}
	}
	quota = b.limit / b.flows;
	for (mine = 0; !atomic_load(&b.stop) &&
	    (quota == 0 || mine < quota); mine += n) {
		window();
		n = kpi_net_send(b.kn[0], f, quota == 0 ? BURST :
		    quota - mine < BURST ? (unsigned)(quota - mine) : BURST,
		    &error);
		atomic_fetch_add(&b.sent, n);
		if (error != 0) {
			atomic_fetch_add(&b.refused, 1);
			usleep(20);
		}
	}
	return (NULL);
}

static void
machine(const char *const *kenv)
{
	struct vm_config cf = { .cpus = b.flows, .quiet = true,
	    .kenv = kenv };
	struct hvh_net_params np = { 0 };
	struct hvh_netbe *be[2];
	struct hvh_net *net;
	char guid[37], name[8];
	int error, i;

	vm_create(&cf);
	error = hvh_netbe_pair(vm_host(), be);
	for (i = 0; i < 2 && error == 0; i++) {
		snprintf(guid, sizeof(guid),
		    "6d2f1f2a-0f5c-4a3b-9f4e-00000000000%d", i);
		hvh_guid_parse(guid, &np.instance);
		memcpy(np.mac, macs[i], 6);
		np.be = be[i];
		error = hvh_net_add(vm_host(), &np, &net);
	}
	if (error != 0)
		errx(1, "adapters: %s", strerror(error));
	vm_boot();
	error = vm_load();
	for (i = 0; i < 2 && error == 0; i++) {
		snprintf(name, sizeof(name), "hn%d", i);
		error = kpi_net_wait(name, 20000);
		if (error == 0)
			error = kpi_net_open(name, i == 1 ? &sink_ops : NULL,
			    NULL, &b.kn[i]);
		if (error == 0)
			error = kpi_net_up(b.kn[i], 1);
	}
	if (error != 0)
		errx(1, "no adapters: error %d", error);
}

static void
report(uint64_t ns, const struct hvh_stats *h0, const struct hvh_stats *h1)
{
	double got = (double)atomic_load(&b.got);
	double sent = (double)packets(atomic_load(&b.sent));
	double lost = sent - got;

	printf("{\"bench\": \"network\", \"kind\": \"%s\", \"bytes\": %zu, "
	    "\"flows\": %u, \"received\": %.0f, \"lost\": %.0f, "
	    "\"seconds\": %.3f, \"packets_s\": %.0f, \"gbit_s\": %.3f, "
	    "\"hypercalls_per_packet\": %.4f, "
	    "\"interrupts_per_packet\": %.4f}\n", b.tcp ? "tcp" : "udp",
	    b.bytes, b.flows, got, lost, ns / 1e9, got * 1e9 / ns,
	    atomic_load(&b.got_bytes) * 8.0 / ns,
	    (h1->hypercalls - h0->hypercalls) / got,
	    (h1->interrupts - h0->interrupts) / got);
}

int
main(int argc, char **argv)
{
	struct hvh_stats h0, h1;
	pthread_t thread[MAX_FLOWS] = { 0 };
	uint64_t begin, last;
	unsigned i;

	if (argc < 5)
		errx(2, "usage: network udp|tcp bytes flows seconds "
		    "[packets [name=value ...]]");
	b.tcp = strcmp(argv[1], "tcp") == 0;
	b.bytes = strtoul(argv[2], NULL, 0);
	b.flows = (unsigned)atoi(argv[3]);
	b.limit = argc > 5 ? strtoull(argv[5], NULL, 0) : 0;
	if (b.flows < 1 || b.flows > MAX_FLOWS || b.bytes < 60 ||
	    b.bytes > (b.tcp ? MAX_BYTES : 1514))
		errx(2, "argument out of range");
	machine(argc > 6 ? (const char *const *)&argv[6] : NULL);
	hvh_get_stats(vm_host(), &h0);
	begin = vm_now();
	for (i = 0; i < b.flows; i++)
		if (pthread_create(&thread[i], NULL, sender,
		    (void *)(uintptr_t)i) != 0)
			errx(1, "no thread");
	if (b.limit == 0) {
		usleep((useconds_t)(atof(argv[4]) * 1e6));
		atomic_store(&b.stop, true);
	}
	for (i = 0; i < b.flows; i++)
		pthread_join(thread[i], NULL);
	/* What is under way still arrives. */
	do {
		last = atomic_load(&b.got);
		usleep(20000);
	} while (atomic_load(&b.got) != last);
	begin = vm_now() - begin - 20000000;
	hvh_get_stats(vm_host(), &h1);
	report(begin, &h0, &h1);
	fflush(stdout);
	kpi_net_close(b.kn[0]);
	kpi_net_close(b.kn[1]);
	vm_unload();
	vm_destroy();
	return (0);
}
