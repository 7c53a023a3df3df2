/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The real network driver on a host that lies: each input loads it, lets
 * frames pass both ways while an administrator is busy with the interface, and
 * unloads it; the input says what is done and what the host makes of it.  What
 * must hold: everything ends, the modules unload, no mbuf and nothing else is
 * left, and on an honest host frames pass again.
 *
 * An input is: a byte of flags, up to four faults of the host model (a byte
 * that says how many, then 5 bytes each), and a row of records, the first byte
 * modulo 16 saying which:
 *	0..2	frames of the guest's
 *	3..4	frames from the wire
 *	5..10	a lie (fuzz_net_lies.c)
 *	11	the interface is configured
 *	12	the link, a virtual function
 *	13	time passes
 *	14	the stack lets go of frames
 *	15	a fault, sleep, a mute host, rescind
 * What of it messages and packets use up on their way is theirs.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_net_lies.h"
#include "fuzz_vm.h"

#define	FRAME_MAX	9000u
#define	KEEP_MAX	64	/* frames that the stack holds on to */
#define	PIECES_MAX	8	/* of those */
#define	SANE_EVERY	16	/* inputs */
#define	CHANNELS	3
/* So often the host may keep memory (5 MiB); then it lies where it cannot. */
#define	KEPT_MAX	64
#define	WORDS_MAX	5	/* what may wait for the host, an input */

int	LLVMFuzzerInitialize(int *argc, char ***argv);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hvh_net *adapter;
static struct hvh_netbe *wire;
static struct kpi_net *hn;
static atomic_uint heard;	/* on the wire */
static bool gone;		/* the adapter may be */
static unsigned times_kept;

static struct {
	pthread_mutex_t	 lock;
	struct kept_frame {
		struct kpi_frame f;
		struct kpi_piece piece[PIECES_MAX];
	}		 frame[KEEP_MAX];
	unsigned	 n;
	bool		 on;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- The far end --- */

static bool
far_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	volatile uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	atomic_fetch_add(&heard, 1);
	return (true);
}

static void
far_nothing(void *arg)
{
}

static const struct net_user far_user = {
	.input = far_input,
	.input_end = far_nothing,
	.writable = far_nothing,
	.link = far_nothing,
};

static void
add_adapter(void)
{
	static unsigned n;
	struct hvh_net_params np = { .mac = { 0, 0x15, 0x5d, 0, 0, 1 },
	    .max_channels = CHANNELS };
	struct hvh_netbe *be[2];
	char guid[37];

	snprintf(guid, sizeof(guid), "7c1d7a60-5d3c-4f0e-8e0d-%012x", n++);
	if (hvh_guid_parse(guid, &np.instance) != 0 ||
	    hvh_netbe_pair(vm_host(), be) != 0)
		fuzz_fail("no wire");
	np.be = be[0];
	wire = be[1];
	net_attach(wire, &far_user, NULL);
	if (hvh_net_add(vm_host(), &np, &adapter) != 0)
		fuzz_fail("no adapter");
}

/* One that was taken away, or may be, is replaced. */
static void
new_adapter(void)
{

	hvh_net_remove(adapter);
	vm_pump();
	hvh_netbe_close(wire);
	add_adapter();
	gone = false;
}

static void
say(const uint8_t *frame, uint32_t len, const struct net_meta *m)
{
	struct iovec iov = { (void *)(uintptr_t)frame, len };

	hvh_lock(vm_host());
	(void)net_send(wire, &iov, 1, len, m);
	net_run(wire);
	hvh_unlock(vm_host());
}

/* --- The guest's stack --- */

static void
look(const struct kpi_frame *f)
{
	volatile uint8_t sum = 0;
	kpi_size len = 0;

	for (unsigned i = 0; i < f->npieces; i++) {
		for (kpi_size at = 0; at < f->piece[i].len; at++)
			sum = (uint8_t)(sum +
			    ((const uint8_t *)f->piece[i].addr)[at]);
		len += f->piece[i].len;
	}
	if (len != f->len)
		fuzz_fail("a frame whose length is wrong");
}

static int
input(void *arg, const struct kpi_frame *f)
{
	struct kept_frame *k;
	int keep = 0;

	look(f);
	pthread_mutex_lock(&kept.lock);
	if (kept.on && kept.n < KEEP_MAX && f->npieces <= PIECES_MAX) {
		k = &kept.frame[kept.n++];
		memcpy(k->piece, f->piece, f->npieces * sizeof(k->piece[0]));
		k->f = *f;
		keep = 1;
	}
	pthread_mutex_unlock(&kept.lock);
	return (keep);
}

static const struct kpi_net_ops ops = { .input = input };

static void
let_go(bool keep)
{
	static struct kept_frame k[KEEP_MAX];
	unsigned i, n;

	pthread_mutex_lock(&kept.lock);
	n = kept.n;
	memcpy(k, kept.frame, n * sizeof(k[0]));
	kept.n = 0;
	kept.on = keep;
	pthread_mutex_unlock(&kept.lock);
	for (i = 0; i < n; i++) {
		k[i].f.piece = k[i].piece;
		look(&k[i].f);
		kpi_net_release(&k[i].f);
	}
}

static void
send_frames(void)
{
	static const kpi_u32 flags[] = { 0, KPI_NET_CSUM_L4,
	    KPI_NET_CSUM_L4 | KPI_NET_CSUM_IP, KPI_NET_TSO, KPI_NET_TSO |
	    KPI_NET_CSUM_IP, KPI_NET_VLAN, KPI_NET_AS_IS, KPI_NET_HASH };
	uint8_t frame[FRAME_MAX], how = fuzz_take();
	struct kpi_frame f[16];
	struct kpi_piece piece[2];
	unsigned i, n = 1 + (how >> 4);
	int error;

	piece[0].len = net_lies_frame(frame, sizeof(frame));
	piece[0].addr = frame;
	piece[1].addr = frame + 60;
	piece[1].len = piece[0].len - 60;
	memset(f, 0, sizeof(f));
	for (i = 0; i < n; i++) {
		f[i].piece = piece;
		f[i].npieces = 1;
		f[i].flags = flags[how & 7];
		f[i].mss = 1400;
		f[i].vlan = how;
		f[i].flowid = i;
		f[i].hashtype = 2;
	}
	if ((how & 8) != 0) {
		piece[0].len = 60;
		for (i = 0; i < n; i++)
			f[i].npieces = 2;
	}
	(void)kpi_net_send(hn, f, n, &error);
}

static void
hear_frames(void)
{
	uint8_t frame[FRAME_MAX], how = fuzz_take();
	uint32_t len = net_lies_frame(frame, how & 8 ? FRAME_MAX : 1514);
	struct net_meta m = { 0 };

	if ((how & 1) != 0)
		m.flags = NET_CSUM_VALID;
	for (unsigned i = 0; i <= how >> 4; i++)
		say(frame, len, &m);
}

static void
configure(void)
{
	static const char *const sysctls[] = { "dev.hn.0.rsc_switch",
	    "dev.hn.0.agg_size", "dev.hn.0.agg_pkts",
	    "dev.hn.0.tx_chimney_size", "dev.hn.0.trust_hosttcp",
	    "hw.hn.tx_agg_hold", "hw.hn.rx_copybreak" };
	uint8_t how = fuzz_take(), arg = fuzz_take(), mac[6] = { 2, 0, 0, 0,
	    0, arg };
	char value[16];

	switch (how % 8) {
	case 0:
		(void)kpi_net_mtu(hn, 576 + arg * 35u);
		break;
	case 1:
		(void)kpi_net_up(hn, arg & 1);
		break;
	case 2:
		(void)kpi_net_promisc(hn, arg & 1);
		break;
	case 3:
		(void)kpi_net_caps(hn, arg * 0x4101u | arg << 15);
		break;
	case 4:
		mac[0] = 1;
		(void)kpi_net_multicast(hn, mac, arg & 1);
		break;
	case 5:
		(void)kpi_net_mac(hn, mac);
		break;
	case 6:
		/* Not for long: virtual time goes from poll to poll. */
		(void)kpi_sysctl_set("dev.hn.0.polling", "100");
		(void)kpi_sysctl_set("dev.hn.0.polling", "0");
		break;
	default:
		snprintf(value, sizeof(value), "%u", arg & 1 ? arg * 10u : 0);
		(void)kpi_sysctl_set(sysctls[how / 8 % NITEMS(sysctls)],
		    value);
		break;
	}
}

static void
rescind(void)
{
	uint32_t id;

	hvh_lock(vm_host());
	id = adapter->gone ? 0 : hvh_chan_id(adapter->primary);
	hvh_unlock(vm_host());
	(void)hvh_rescind(vm_host(), id);
	gone = true;
}

static void
meddle(void)
{
	uint8_t how = fuzz_take();
	struct hvh_fault mute = { .point = HVH_FAULT_RNDIS_OUT,
	    .action = HVH_FAULT_DROP, .key = HVH_FAULT_ANY,
	    .times = how >> 4 };

	switch (how % 8) {
	case 0:
		rescind();
		break;
	case 1:
	case 2:
		if (kpi_suspend() == 0)
			(void)kpi_resume();
		break;
	case 3:
	case 4:
		(void)hvh_fault_add(vm_host(), &mute);
		break;
	default:
		if (times_kept < KEPT_MAX && fuzz_fault())
			gone = true;
		break;
	}
}

static void
record(unsigned *words)
{
	uint8_t how = fuzz_take();

	switch (how % 16) {
	case 0:
	case 1:
	case 2:
		send_frames();
		break;
	case 3:
	case 4:
		hear_frames();
		break;
	case 11:
		if (++*words <= WORDS_MAX)
			configure();
		break;
	case 12:
		if (!gone && (how & 0x20) != 0)
			(void)hvh_net_link(adapter, (how & 0x10) != 0);
		else if (!gone)
			(void)hvh_net_vf(adapter, (how & 0x10) != 0, how);
		break;
	case 13:
		usleep(how * 4);
		break;
	case 14:
		let_go((how & 0x10) != 0);
		break;
	case 15:
		if (!gone && ++*words <= WORDS_MAX)
			meddle();
		break;
	default:
		if (!gone)
			net_lies_tell(adapter);
		break;
	}
}

/* --- What must hold --- */

/* What a host may still read of sends that it has not answered is lost. */
static void
check_mbufs(void)
{
	static kpi_u64 lost;
	struct kpi_mbufs mb;
	kpi_u64 left;

	kpi_mbufs(&mb);
	left = mb.mbufs + mb.clusters + mb.jumbop + mb.jumbo9 + mb.jumbo16 +
	    mb.ext + mb.tags;
	if (left == lost || fuzz_kept()) {
		lost = left;
		return;
	}
	fprintf(stderr, "%ju mbufs, %ju clusters, %ju external, of which "
	    "%ju were: ", (uintmax_t)mb.mbufs, (uintmax_t)mb.clusters,
	    (uintmax_t)mb.ext, (uintmax_t)lost);
	fuzz_fail("mbufs left behind");
}

static void
unload(void)
{

	fuzz_unload("hv_netvsc");
	check_mbufs();
	hvh_fault_clear(vm_host());
	fuzz_unload("hv_vmbus");
	times_kept += fuzz_kept();
	fuzz_check_left();
}

static int
load(unsigned ms)
{
	int error;

	error = kpi_kldload("hv_vmbus");
	if (error == 0)
		error = kpi_kldload("hv_netvsc");
	if (error == 0)
		error = kpi_net_wait("hn0", ms);
	if (error == 0)
		error = kpi_net_open("hn0", &ops, NULL, &hn);
	if (error == 0)
		(void)kpi_net_up(hn, 1);
	return (error);
}

/* A frame each way, on a host that keeps to the protocol. */
static void
check_sane(void)
{
	static const uint8_t frame[64] = { 0, 0x15, 0x5d, 0, 0, 1, 2, 0, 0, 0,
	    0, 7, 0x88, 0xb5 };
	struct kpi_piece piece = { (void *)(uintptr_t)frame, sizeof(frame) };
	struct kpi_frame f = { .piece = &piece, .npieces = 1 };
	struct net_meta m = { 0 };
	unsigned ms;
	int error;

	if (gone)
		new_adapter();
	(void)hvh_net_link(adapter, true);
	(void)hvh_net_vf(adapter, false, 0);
	if (load(ENDS_MS) != 0)
		fuzz_fail("no interface on an honest host");
	atomic_store(&heard, 0);
	kept.on = true;
	for (ms = 0; atomic_load(&heard) == 0 || kept.n == 0; ms++) {
		if (ms == ENDS_MS)
			fuzz_fail("frames do not pass on an honest host");
		if (ms % 100 == 0) {
			(void)kpi_net_send(hn, &f, 1, &error);
			say(frame, sizeof(frame), &m);
		}
		usleep(1000);
	}
	let_go(false);
	kpi_net_close(hn);
	unload();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const kenv[] = { "hw.vmbus.timeout_ms=2000",
	    "hw.hn.rxbuf_size=1048576", "hw.hn.txbuf_size=1048576",
	    "hw.hn.tx_desc_cnt=32", "hw.hn.tx_swq_depth=256",
	    "hw.hn.vf_xpnt_attwait=1", NULL };

	fuzz_boot(kenv, add_adapter);
	check_sane();
	return (0);
}

/* Acknowledgements of transfers that the provider knows nothing of. */
static void
ignore_acks(void)
{
	struct hvh_fault f = { .point = HVH_FAULT_PKT_IN,
	    .action = HVH_FAULT_DROP, .key = NVSP_RNDIS_PACKET_COMPLETE };

	(void)hvh_fault_add(vm_host(), &f);
}

static void
lie(uint8_t flags)
{

	for (unsigned n = fuzz_take() % 5; n > 0 && times_kept < KEPT_MAX;
	    n--) {
		if (fuzz_fault())
			gone = true;
	}
	if ((flags & 2) != 0 && times_kept < KEPT_MAX)
		fuzz_hook(HVH_FAULT_MSG_OUT);
	if ((flags & 4) != 0)
		fuzz_hook(HVH_FAULT_PKT_OUT);
	if ((flags & 8) != 0)
		fuzz_hook(HVH_FAULT_RNDIS_OUT);
	ignore_acks();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	unsigned words = 0;
	uint8_t flags;
	bool up;

	fuzz_script(data, size);
	flags = fuzz_take();
	/* Most hosts begin to lie when there is an interface. */
	if ((flags & 1) != 0)
		lie(flags);
	up = load(100) == 0;
	if (up && (flags & 1) == 0)
		lie(flags);
	while (up && fuzz_left() > 0)
		record(&words);
	let_go(false);
	if (up && (flags & 0x10) != 0)
		kpi_net_close(hn);
	/* The driver goes while the host still lies, or not. */
	if ((flags & 0x20) != 0)
		hvh_fault_clear(vm_host());
	fuzz_unload("hv_netvsc");
	if (up && (flags & 0x10) == 0)
		kpi_net_close(hn);
	fuzz_script(NULL, 0);
	unload();
	if (gone || ++inputs % SANE_EVERY == 0)
		check_sane();
	return (0);
}
