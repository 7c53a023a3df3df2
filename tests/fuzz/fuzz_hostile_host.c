/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The real drivers on a host that lies: each input loads them, does some I/O
 * and unloads them, while the input decides what becomes of the host's
 * messages and packets.  What must hold: every request ends, the modules
 * unload, nothing of theirs is left, and on an honest host they work again.
 *
 * An input is: a byte of flags, up to four faults of the host model (a byte
 * that says how many, then 5 bytes each), the number of requests and a byte
 * for each; the rest is used up by the hooks, message by message.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/vm.h"

#define	NITEMS(a)	(sizeof(a) / sizeof((a)[0]))
#define	DISK_SIZE	(1u << 20)
#define	BUF_SIZE	(128u << 10)
#define	MAX_IO		8
#define	SANE_EVERY	16	/* inputs */
#define	CLOCK_STEP	100	/* ms of virtual time between two looks */
#define	ENDS_MS		8000	/* real; libFuzzer gives up at 10 s */

int	LLVMFuzzerInitialize(int *argc, char ***argv);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input; the hooks run on the pump's thread. */
static struct {
	pthread_mutex_t	 lock;
	const uint8_t	*p;
	size_t		 left;
} script = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_uint ios_left;
static struct kpi_disk_io ios[MAX_IO];
static atomic_bool leaked, unanswered;
static bool verbose;
static bool gone;		/* a fault may have taken the controller */

static void
fail(const char *what)
{

	fprintf(stderr, "%s\n", what);
	abort();
}

static uint8_t
take_locked(void)
{

	if (script.left == 0)
		return (0);
	script.left--;
	return (*script.p++);
}

static uint8_t
take(void)
{
	uint8_t v;

	pthread_mutex_lock(&script.lock);
	v = take_locked();
	pthread_mutex_unlock(&script.lock);
	return (v);
}

/*
 * One message or packet on its way to the guest: mostly left alone, else up to
 * 3 places changed, or cut.
 */
static void
hook(void *arg, void *data, size_t *len)
{
	uint8_t *bytes = data, how, n;
	size_t at;

	pthread_mutex_lock(&script.lock);
	how = take_locked();
	for (n = how >= 0x80 ? how & 3 : 0; n > 0 && *len > 0; n--) {
		at = take_locked() % *len;
		/* Words more often than bytes: most fields are. */
		for (unsigned i = 0; i < (how & 4 ? 4 : 1) &&
		    at + i < *len; i++)
			bytes[at + i] = take_locked();
	}
	if ((how & 0x88) == 0x88 && *len > 0)
		*len = take_locked() % *len;
	pthread_mutex_unlock(&script.lock);
}

static void *
clock_thread(void *arg)
{

	for (;;) {
		usleep(500);
		vm_advance(CLOCK_STEP * 1000000ull);
	}
	return (NULL);
}

/* A controller with two disks, one of which cannot be written. */
static void
add_controller(void)
{
	static unsigned n;
	struct hvh_scsi_params sp = { .max_subchannels = 2 };
	struct hvh_blk_params bp = { .size = DISK_SIZE, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	struct hvh_scsi *scsi;
	char err[256], guid[37];

	snprintf(guid, sizeof(guid), "2b1d7a60-5d3c-4f0e-8e0d-%012x", n++);
	if (hvh_guid_parse(guid, &sp.instance) != 0 ||
	    hvh_scsi_add(vm_host(), &sp, &scsi) != 0)
		fail("no controller");
	for (unsigned lun = 0; lun < 2; lun++) {
		bp.readonly = lun == 1;
		if (hvh_blk_open(vm_host(), &bp, &lp.blk, err,
		    sizeof(err)) != 0 || hvh_scsi_attach(scsi, lun, &lp) != 0)
			fail("no disk");
	}
}

/* EBUSY as long as the bus is just detaching the device itself. */
static void
unload(const char *name)
{
	const int ebusy = 16;		/* FreeBSD's */
	unsigned ms;
	int error;

	for (ms = 0; (error = kpi_kldunload(name)) == ebusy &&
	    ms < ENDS_MS; ms++)
		usleep(1000);
	if (error != 0 && error != ENOENT) {
		fprintf(stderr, "%s: error %d: ", name, error);
		fail("does not unload");
	}
}

/* What the kernel says of memory that is left, and why that may be. */
static void
console(void *arg, const char *line)
{

	if (strstr(line, "leaked memory on destroy") != NULL)
		atomic_store(&leaked, true);
	else if (strstr(line, "contact with version") != NULL ||
	    strstr(line, "host does not let go") != NULL ||
	    strstr(line, "host knows none of our versions") != NULL)
		atomic_store(&unanswered, true);
	if (verbose)
		fprintf(stderr, "%s\n", line);
}

/*
 * After the modules are gone.  Pages that a host may write that neither
 * answers nor lets go are not used again; all else is given back.
 */
static void
check_left(void)
{
	struct hvh_stats st;
	char line[1024];

	while (kpi_devctl_read(line, sizeof(line)) == 0)
		;
	vm_pump();
	hvh_get_stats(vm_host(), &st);
	if (st.connected != 0 && !atomic_load(&unanswered))
		fail("the host still sees a connection");
	if (atomic_load(&leaked) && !atomic_load(&unanswered))
		fail("memory left behind");
	if (st.connected == 0 && st.gpadls != 0)
		fail("the host still has the guest's memory");
	/* What faults have kept for later is nothing for the next. */
	hvh_reset(vm_host());
	atomic_store(&leaked, false);
	atomic_store(&unanswered, false);
}

static void
io_done(struct kpi_disk_io *io, int error)
{

	atomic_fetch_sub(&ios_left, 1);
}

static void
start_io(unsigned i, uint8_t what)
{
	static const enum kpi_disk_op ops[] = { KPI_DISK_READ, KPI_DISK_WRITE,
	    KPI_DISK_FLUSH, KPI_DISK_DELETE };
	struct kpi_disk_io *io = &ios[i];

	io->op = ops[what & 3];
	io->offset = (what >> 4) * 512u;
	io->len = 512u << (what >> 2 & 3) << (what >> 6);
	io->done = io_done;
	atomic_fetch_add(&ios_left, 1);
	if (kpi_disk_start(what & 0x20 ? "da1" : "da0", io) != 0)
		atomic_fetch_sub(&ios_left, 1);
	if (what == 0xff)
		(void)kpi_cam_reset("storvsc", 0, 0, 0);
	else if (what == 0xfe)
		(void)kpi_cam_reset("storvsc", 0, -1, -1);
	else if (what == 0xfd)
		(void)kpi_cam_rescan("storvsc", 0);
}

static void
finish_io(void)
{
	unsigned ms;

	for (ms = 0; atomic_load(&ios_left) != 0; ms++) {
		if (ms == ENDS_MS)
			fail("a request that does not end");
		usleep(1000);
	}
}

/* An honest host: the disk comes, and holds what is written. */
static void
check_sane(void)
{
	uint8_t *buf = ios[0].buf;
	struct hvh_stats st;

	if (vm_load() != 0)
		fail("does not load on an honest host");
	hvh_get_stats(vm_host(), &st);
	if (st.channels_offered == 0)
		add_controller();
	gone = false;
	if (kpi_disk_wait("da0", ENDS_MS) != 0)
		fail("no disk on an honest host");
	memset(buf, 0x5a, 4096);
	ios[0] = (struct kpi_disk_io){ .op = KPI_DISK_WRITE, .len = 4096,
	    .buf = buf, .done = io_done };
	atomic_store(&ios_left, 1);
	if (kpi_disk_start("da0", &ios[0]) != 0)
		fail("no write on an honest host");
	finish_io();
	memset(buf, 0, 4096);
	ios[0].op = KPI_DISK_READ;
	atomic_store(&ios_left, 1);
	if (kpi_disk_start("da0", &ios[0]) != 0)
		fail("no read on an honest host");
	finish_io();
	for (unsigned i = 0; i < 4096; i++)
		if (buf[i] != 0x5a)
			fail("wrong data on an honest host");
	if (vm_unload() != 0)
		fail("does not unload on an honest host");
	check_left();
}

/* One fault of the host model; RESCIND takes the controller away for good. */
static void
add_fault(void)
{
	static const enum hvh_fault_action actions[] = { HVH_FAULT_DROP,
	    HVH_FAULT_DUP, HVH_FAULT_HOLD, HVH_FAULT_TRUNCATE,
	    HVH_FAULT_RESCIND, HVH_FAULT_DELAY, HVH_FAULT_STATUS };
	static const enum hvh_fault_point points[] = { HVH_FAULT_MSG_OUT,
	    HVH_FAULT_PKT_OUT, HVH_FAULT_MSG_IN, HVH_FAULT_PKT_IN,
	    HVH_FAULT_SIGNAL_OUT, HVH_FAULT_POST };
	uint8_t point = take(), action = take(), key = take(), skip = take();
	struct hvh_fault f = { 0 };

	f.point = points[point % NITEMS(points)];
	f.action = actions[action % NITEMS(actions)];
	f.key = key & 0x80 ? HVH_FAULT_ANY : key % 26;
	f.skip = skip & 15;
	f.times = skip >> 4;
	f.arg = take();
	if (f.action == HVH_FAULT_RESCIND)
		gone = true;
	if (f.action == HVH_FAULT_DELAY)
		f.arg *= 100000000;
	else if (f.action == HVH_FAULT_STATUS && (f.arg & 0x80) != 0)
		f.arg = 0xc0000001;
	(void)hvh_fault_add(vm_host(), &f);
}

static void
set_faults(bool messages, bool packets)
{
	struct hvh_fault f = { .action = HVH_FAULT_CALL,
	    .key = HVH_FAULT_ANY, .hook = hook };
	unsigned n;

	for (n = take() % 5; n > 0; n--)
		add_fault();
	f.point = HVH_FAULT_MSG_OUT;
	if (messages)
		(void)hvh_fault_add(vm_host(), &f);
	f.point = HVH_FAULT_PKT_OUT;
	if (packets)
		(void)hvh_fault_add(vm_host(), &f);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const kenv[] = { "hw.vmbus.timeout_ms=1000",
	    "kern.cam.da.default_timeout=5", "kern.cam.da.retry_count=1",
	    NULL };
	struct vm_config cf = { .cpus = 3, .virtual_clock = true,
	    .kenv = kenv, .memory = 128u << 20,
	    .console = console };
	pthread_t thread;

	verbose = getenv("FUZZ_VERBOSE") != NULL;
	vm_create(&cf);
	add_controller();
	vm_boot();
	for (unsigned i = 0; i < MAX_IO; i++) {
		ios[i].buf = kpi_mem_alloc(BUF_SIZE);
		if (ios[i].buf == NULL)
			fail("no memory");
	}
	if (pthread_create(&thread, NULL, clock_thread, NULL) != 0)
		fail("no thread");
	check_sane();
	return (0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	uint8_t flags;
	unsigned i, n;

	pthread_mutex_lock(&script.lock);
	script.p = data;
	script.left = size;
	pthread_mutex_unlock(&script.lock);
	flags = take();
	set_faults((flags & 1) == 0, (flags & 2) == 0);
	if (vm_load() == 0 && kpi_disk_wait("da0", 30) == 0) {
		n = take() % (MAX_IO + 1);
		for (i = 0; i < n; i++)
			start_io(i, take());
		if ((flags & 4) == 0)
			finish_io();
	}
	/* The storage driver goes while the host still lies, or not. */
	if ((flags & 8) == 0)
		hvh_fault_clear(vm_host());
	unload("hv_storvsc");
	hvh_fault_clear(vm_host());
	finish_io();
	/* Memory that the host keeps comes back when it lets go of the bus. */
	unload("hv_vmbus");
	pthread_mutex_lock(&script.lock);
	script.left = 0;
	pthread_mutex_unlock(&script.lock);
	check_left();
	if (gone || ++inputs % SANE_EVERY == 0)
		check_sane();
	return (0);
}
