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

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_vm.h"

#define	DISK_SIZE	(1u << 20)
#define	BUF_SIZE	(128u << 10)
#define	MAX_IO		8
#define	SANE_EVERY	16	/* inputs */

int	LLVMFuzzerInitialize(int *argc, char ***argv);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static atomic_uint ios_left;
static struct kpi_disk_io ios[MAX_IO];
static bool gone;		/* a fault may have taken the controller */

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
		fuzz_fail("no controller");
	for (unsigned lun = 0; lun < 2; lun++) {
		bp.readonly = lun == 1;
		if (hvh_blk_open(vm_host(), &bp, &lp.blk, err,
		    sizeof(err)) != 0 || hvh_scsi_attach(scsi, lun, &lp) != 0)
			fuzz_fail("no disk");
	}
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
			fuzz_fail("a request that does not end");
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
		fuzz_fail("does not load on an honest host");
	hvh_get_stats(vm_host(), &st);
	if (st.channels_offered == 0)
		add_controller();
	gone = false;
	if (kpi_disk_wait("da0", ENDS_MS) != 0)
		fuzz_fail("no disk on an honest host");
	memset(buf, 0x5a, 4096);
	ios[0] = (struct kpi_disk_io){ .op = KPI_DISK_WRITE, .len = 4096,
	    .buf = buf, .done = io_done };
	atomic_store(&ios_left, 1);
	if (kpi_disk_start("da0", &ios[0]) != 0)
		fuzz_fail("no write on an honest host");
	finish_io();
	memset(buf, 0, 4096);
	ios[0].op = KPI_DISK_READ;
	atomic_store(&ios_left, 1);
	if (kpi_disk_start("da0", &ios[0]) != 0)
		fuzz_fail("no read on an honest host");
	finish_io();
	for (unsigned i = 0; i < 4096; i++)
		if (buf[i] != 0x5a)
			fuzz_fail("wrong data on an honest host");
	if (vm_unload() != 0)
		fuzz_fail("does not unload on an honest host");
	fuzz_check_left();
}

static void
set_faults(bool messages, bool packets)
{
	unsigned n;

	/* RESCIND takes the controller away for good. */
	for (n = fuzz_take() % 5; n > 0; n--) {
		if (fuzz_fault())
			gone = true;
	}
	if (messages)
		fuzz_hook(HVH_FAULT_MSG_OUT);
	if (packets)
		fuzz_hook(HVH_FAULT_PKT_OUT);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const kenv[] = { "hw.vmbus.timeout_ms=2000",
	    "kern.cam.da.default_timeout=5", "kern.cam.da.retry_count=1",
	    NULL };

	fuzz_boot(kenv, add_controller);
	for (unsigned i = 0; i < MAX_IO; i++) {
		ios[i].buf = kpi_mem_alloc(BUF_SIZE);
		if (ios[i].buf == NULL)
			fuzz_fail("no memory");
	}
	check_sane();
	return (0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	uint8_t flags;
	unsigned i, n;

	fuzz_script(data, size);
	flags = fuzz_take();
	set_faults((flags & 1) == 0, (flags & 2) == 0);
	if (vm_load() == 0 && kpi_disk_wait("da0", 30) == 0) {
		n = fuzz_take() % (MAX_IO + 1);
		for (i = 0; i < n; i++)
			start_io(i, fuzz_take());
		if ((flags & 4) == 0)
			finish_io();
	}
	/* The storage driver goes while the host still lies, or not. */
	if ((flags & 8) == 0)
		hvh_fault_clear(vm_host());
	fuzz_unload("hv_storvsc");
	hvh_fault_clear(vm_host());
	finish_io();
	fuzz_unload("hv_netvsc");
	/* Memory that the host keeps comes back when it lets go of the bus. */
	fuzz_unload("hv_vmbus");
	fuzz_script(NULL, 0);
	fuzz_check_left();
	if (gone || ++inputs % SANE_EVERY == 0)
		check_sane();
	return (0);
}
