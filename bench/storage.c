/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Storage benchmark: one controller with a memory disk, so that the figures are
 * those of driver, rings and provider.  A fixed number of requests is kept
 * outstanding, each completion starts the next from where it completed.
 *
 * usage: storage channels depth block read|write seconds [requests]
 *
 * Prints one JSON object.  Counts (hypercalls, interrupts, copies per request)
 * do not depend on the clock; rates do.  With requests given, exactly so many
 * are made (for callgrind), and seconds is not looked at.
 */

#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/vm.h"

#define	DISK_SIZE	(256ULL << 20)
#define	MAX_DEPTH	256

struct slot {
	struct kpi_disk_io	 io;
	uint64_t		 rng;
};

static struct {
	struct slot		 slot[MAX_DEPTH];
	unsigned		 channels, depth;
	size_t			 block;
	enum kpi_disk_op	 op;
	uint64_t		 limit;		/* requests, 0: by time */
	atomic_uint_fast64_t	 started, finished, errors;
	atomic_uint		 running;	/* slots still at work */
	atomic_bool		 stop;
	pthread_mutex_t		 lock;
	pthread_cond_t		 idle;
} b = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER
};

static void
slot_start(struct slot *s)
{

	if (atomic_load_explicit(&b.stop, memory_order_relaxed) ||
	    (atomic_fetch_add(&b.started, 1) >= b.limit && b.limit != 0)) {
		if (atomic_fetch_sub(&b.running, 1) == 1) {
			pthread_mutex_lock(&b.lock);
			pthread_cond_signal(&b.idle);
			pthread_mutex_unlock(&b.lock);
		}
		return;
	}
	/* xorshift64: offsets spread over the disk, the same in each run */
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	s->io.offset = s->rng % (DISK_SIZE / b.block) * b.block;
	if (kpi_disk_start("da0", &s->io) != 0)
		errx(1, "da0: request refused");
}

static void
slot_done(struct kpi_disk_io *io, int error)
{

	atomic_fetch_add(&b.finished, 1);
	if (error != 0)
		atomic_fetch_add(&b.errors, 1);
	slot_start(io->arg);
}

static void
start_on_cpu(void *arg)
{
	unsigned i, cpu = (unsigned)(uintptr_t)arg;

	for (i = cpu; i < b.depth; i += b.channels)
		slot_start(&b.slot[i]);
}

static void
machine(void)
{
	struct hvh_blk_params bp = { .size = DISK_SIZE, .block_size = 512 };
	struct hvh_scsi_params sp = { .max_subchannels = 15 };
	struct hvh_lun_params lp = { 0 };
	struct vm_config cf = { .cpus = b.channels, .quiet = true };
	struct hvh_scsi *scsi;
	char msg[256];
	int error;

	vm_create(&cf);
	error = hvh_blk_open(vm_host(), &bp, &lp.blk, msg, sizeof(msg));
	if (error != 0)
		errx(1, "%s", msg);
	hvh_guid_parse("6d2f1f2a-0f5c-4a3b-9f4e-000000000000", &sp.instance);
	error = hvh_scsi_add(vm_host(), &sp, &scsi);
	if (error == 0)
		error = hvh_scsi_attach(scsi, 0, &lp);
	if (error != 0)
		errx(1, "controller: %s", strerror(error));
	vm_boot();
	error = vm_load();
	if (error == 0)
		error = kpi_disk_wait("da0", 20000);
	if (error != 0)
		errx(1, "no da0: error %d", error);
}

static void
report(uint64_t ns, const struct hvh_stats *h0, const struct hvh_stats *h1,
    const struct kpi_stats *k0, const struct kpi_stats *k1)
{
	double n = (double)atomic_load(&b.finished);

	printf("{\"bench\": \"storage\", \"channels\": %u, \"depth\": %u, "
	    "\"block\": %zu, \"op\": \"%s\", \"requests\": %.0f, "
	    "\"errors\": %ju, \"seconds\": %.3f, \"iops\": %.0f, "
	    "\"mib_s\": %.1f, \"hypercalls_per_io\": %.4f, "
	    "\"interrupts_per_io\": %.4f, \"bounced_bytes_per_io\": %.4f}\n",
	    b.channels, b.depth, b.block,
	    b.op == KPI_DISK_READ ? "read" : "write", n,
	    (uintmax_t)atomic_load(&b.errors), ns / 1e9, n * 1e9 / ns,
	    n * b.block * 1e9 / ns / (1 << 20),
	    (h1->hypercalls - h0->hypercalls) / n,
	    (h1->interrupts - h0->interrupts) / n,
	    (k1->bytes_bounced - k0->bytes_bounced) / n);
}

int
main(int argc, char **argv)
{
	struct hvh_stats h0, h1;
	struct kpi_stats k0, k1;
	uint64_t begin;
	unsigned i;

	if (argc < 6)
		errx(2, "usage: storage channels depth block read|write "
		    "seconds [requests]");
	b.channels = atoi(argv[1]);
	b.depth = atoi(argv[2]);
	b.block = strtoul(argv[3], NULL, 0);
	b.op = strcmp(argv[4], "write") == 0 ? KPI_DISK_WRITE : KPI_DISK_READ;
	b.limit = argc > 6 ? strtoull(argv[6], NULL, 0) : 0;
	if (b.channels < 1 || b.channels > 16 || b.depth < 1 ||
	    b.depth > MAX_DEPTH || b.block < 512 || b.block > (16 << 20))
		errx(2, "argument out of range");
	machine();
	for (i = 0; i < b.depth; i++) {
		b.slot[i].rng = 0x9e3779b97f4a7c15ULL * (i + 1);
		b.slot[i].io.op = b.op;
		b.slot[i].io.len = b.block;
		b.slot[i].io.buf = kpi_mem_alloc(b.block);
		b.slot[i].io.done = slot_done;
		b.slot[i].io.arg = &b.slot[i];
		if (b.slot[i].io.buf == NULL)
			errx(1, "no memory");
		memset(b.slot[i].io.buf, (int)i, b.block);
	}
	atomic_store(&b.running, b.depth);
	hvh_get_stats(vm_host(), &h0);
	kpi_get_stats(&k0);
	begin = vm_now();
	for (i = 0; i < b.channels; i++)
		kpi_call(start_on_cpu, (void *)(uintptr_t)i, (int)i);
	if (b.limit == 0) {
		usleep((useconds_t)(atof(argv[5]) * 1e6));
		atomic_store(&b.stop, true);
	}
	pthread_mutex_lock(&b.lock);
	while (atomic_load(&b.running) > 0)
		pthread_cond_wait(&b.idle, &b.lock);
	pthread_mutex_unlock(&b.lock);
	begin = vm_now() - begin;
	hvh_get_stats(vm_host(), &h1);
	kpi_get_stats(&k1);
	report(begin, &h0, &h1, &k0, &k1);
	fflush(stdout);
	if (atomic_load(&b.errors) != 0)
		return (1);
	vm_unload();
	vm_destroy();
	return (0);
}
