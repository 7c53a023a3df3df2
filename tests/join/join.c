/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* What the join tests share; see join.h. */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join.h"

#define	CLOCK_SPEEDUP	20

#define	MSG_OPEN_RESULT	6

static struct {
	pthread_t	thread;
	atomic_bool	run;
} fast_clock;

/* Time goes faster than real, but in small steps. */
static void *
fast_clock_thread(void *arg)
{

	while (atomic_load(&fast_clock.run)) {
		usleep(1000);
		vm_advance(CLOCK_SPEEDUP * 1000000);
	}
	return (NULL);
}

void
join_attach(struct join *j, unsigned c, unsigned lun, uint64_t size)
{
	struct hvh_blk_params bp = { .size = size, .block_size = JOIN_SECTOR };
	struct hvh_lun_params lp = { 0 };
	char msg[256];

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(j->host, &bp, &lp.blk, msg,
	    sizeof(msg)), "%s", msg);
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(j->scsi[c], lun, &lp));
}

static void
join_devices(struct join *j, const struct join_config *cf)
{
	struct hvh_scsi_params sp = {
		.max_subchannels = cf->subchannels,
		.max_version = cf->vstor_version,
		.monitored = cf->monitored,
	};
	unsigned c, l;
	char guid[37];

	for (c = 0; c < cf->controllers; c++) {
		snprintf(guid, sizeof(guid),
		    "2b1d7a60-5d3c-4f0e-8e0a-0000000000%02x", c);
		ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &sp.instance));
		ATF_REQUIRE_EQ(0, hvh_scsi_add(j->host, &sp, &j->scsi[c]));
		for (l = 0; l < cf->luns; l++)
			join_attach(j, c, l, j->disk_size);
	}
}

/*
 * For machines that boot: what is offered before it has that long to be up,
 * while the kernel waits for this.
 */
void
join_slow_controller(struct join *j, unsigned c, uint64_t delay)
{
	struct hvh_scsi_params sp = { 0 };
	char guid[37];

	snprintf(guid, sizeof(guid), "2b1d7a60-5d3c-4f0e-8e0a-0000000000%02x",
	    c);
	ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &sp.instance));
	ATF_REQUIRE_EQ(0, hvh_scsi_add(j->host, &sp, &j->scsi[c]));
	join_fault(j, HVH_FAULT_MSG_OUT, HVH_FAULT_DELAY, MSG_OPEN_RESULT, 1,
	    1, delay);
}

void
join_hn_add(struct join *j, unsigned n, const struct hvh_net_params *np)
{
	struct hvh_net_params p = *np;
	struct hvh_netbe *be[2];
	char guid[37];

	if (j->netbe == NULL) {
		ATF_REQUIRE_EQ(0, hvh_netbe_pair(j->host, be));
		p.be = be[0];
		j->netbe = be[1];
	} else {
		p.be = j->netbe;
		j->netbe = NULL;
	}
	snprintf(guid, sizeof(guid), "5a0c7a60-5d3c-4f0e-8e0a-0000000000%02x",
	    n);
	ATF_REQUIRE_EQ(0, hvh_guid_parse(guid, &p.instance));
	memcpy(p.mac, (const uint8_t[6]){ 0, 0x15, 0x5d, 0, 0, (uint8_t)n },
	    sizeof(p.mac));
	ATF_REQUIRE_EQ(0, hvh_net_add(j->host, &p, &j->net[n]));
}

struct kpi_net *
join_hn_open(const char *name, const struct kpi_net_ops *ops, void *arg)
{
	struct kpi_net *n;

	ATF_REQUIRE_EQ(0, kpi_net_open(name, ops, arg, &n));
	ATF_REQUIRE_EQ(0, kpi_net_up(n, 1));
	return (n);
}

void
join_hn_pass(struct kpi_net *from, struct kpi_net *to, size_t len,
    uint32_t seed)
{
	unsigned char out[len], in[len];
	struct kpi_piece piece = { .addr = out, .len = len };
	struct kpi_frame f = { .piece = &piece, .npieces = 1 };
	size_t ofs;
	unsigned i;
	int error;

	join_pattern(out, len, 0, seed);
	memset(out, 0xff, 6);
	out[12] = 0x88;
	out[13] = 0xb5;
	ATF_REQUIRE_EQ(1, kpi_net_send(from, &f, 1, &error));
	ATF_REQUIRE_EQ_MSG(0, kpi_net_recv(to, &f, 10000), "no frame");
	ATF_REQUIRE_EQ(len, f.len);
	for (i = 0, ofs = 0; i < f.npieces; ofs += f.piece[i++].len)
		memcpy(in + ofs, f.piece[i].addr, f.piece[i].len);
	ATF_CHECK_EQ(0, memcmp(in, out, len));
	kpi_net_release(&f);
}

/* Until the last disk and the last network interface are there. */
static void
join_wait_all(const struct join_config *cf)
{
	char name[16];

	if (!cf->no_disks) {
		snprintf(name, sizeof(name), "da%u",
		    cf->controllers * cf->luns - 1);
		ATF_REQUIRE_EQ_MSG(0, kpi_disk_wait(name, 30000),
		    "%s did not appear", name);
	}
	if (cf->nets > 0 && !cf->no_wait) {
		snprintf(name, sizeof(name), "hn%u", cf->nets - 1);
		ATF_REQUIRE_EQ_MSG(0, kpi_net_wait(name, 30000),
		    "%s did not appear", name);
	}
}

void
join_start(struct join *j, const struct join_config *conf)
{
	struct join_config cf = *conf;
	unsigned i;

	if (cf.controllers == 0)
		cf.controllers = 1;
	if (cf.luns == 0)
		cf.luns = 1;
	memset(j, 0, sizeof(*j));
	j->disk_size = cf.disk_size != 0 ? cf.disk_size : 8 << 20;
	if (cf.fast_clock)
		cf.vm.virtual_clock = true;
	vm_create(&cf.vm);
	j->host = vm_host();
	if (!cf.no_disks)
		join_devices(j, &cf);
	for (i = 0; i < cf.nets; i++)
		join_hn_add(j, i, &cf.net);
	if (cf.prepare != NULL)
		cf.prepare(j);
	vm_boot();
	if (cf.fast_clock) {
		atomic_store(&fast_clock.run, true);
		ATF_REQUIRE_EQ(0, pthread_create(&fast_clock.thread, NULL,
		    fast_clock_thread, NULL));
	}
	if (cf.no_load)
		return;
	if (!cf.vm.preload)
		ATF_REQUIRE_EQ(0, vm_load());
	join_wait_all(&cf);
}

unsigned
join_end(struct join *j)
{

	ATF_CHECK_EQ(0, vm_unload());
	if (atomic_exchange(&fast_clock.run, false))
		pthread_join(fast_clock.thread, NULL);
	if (j->netbe != NULL)
		hvh_netbe_close(j->netbe);
	vm_destroy();
	return (kpi_leaks());
}

void
join_finish(struct join *j)
{

	ATF_CHECK_EQ_MSG(0, join_end(j), "something was left behind");
}

struct waiter {
	pthread_mutex_t	 lock;
	pthread_cond_t	 cv;
	bool		 done;
	int		 error;
};

static void
io_done(struct kpi_disk_io *io, int error)
{
	struct waiter *w = io->arg;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	w->error = error;
	pthread_cond_signal(&w->cv);
	pthread_mutex_unlock(&w->lock);
}

int
join_io(const char *disk, enum kpi_disk_op op, uint64_t offset, void *buf,
    size_t len)
{
	struct waiter w = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cv = PTHREAD_COND_INITIALIZER,
	};
	struct kpi_disk_io io = {
		.op = op, .offset = offset, .len = len, .buf = buf,
		.done = io_done, .arg = &w,
	};
	int error;

	error = kpi_disk_start(disk, &io);
	if (error != 0)
		return (error);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cv, &w.lock);
	pthread_mutex_unlock(&w.lock);
	return (w.error);
}

/* Each 8 bytes say where they belong, so a stray page names its origin. */
void
join_pattern(void *buf, size_t len, uint64_t offset, uint32_t seed)
{
	uint64_t v;
	size_t i;

	for (i = 0; i < len; i += sizeof(v)) {
		v = (offset + i) * 0x9e3779b97f4a7c15ULL ^
		    ((uint64_t)seed << 32 | (offset + i) >> 9);
		memcpy((char *)buf + i, &v, len - i < 8 ? len - i : 8);
	}
}

void
join_check(const char *disk, uint64_t offset, size_t len, uint32_t seed)
{
	unsigned char *buf, *want;
	size_t i;

	buf = kpi_mem_alloc(len);
	want = malloc(len);
	ATF_REQUIRE(buf != NULL && want != NULL);
	memset(buf, 0xee, len);
	join_pattern(want, len, offset, seed);
	ATF_REQUIRE_EQ(0, join_io(disk, KPI_DISK_READ, offset, buf, len));
	for (i = 0; i < len && buf[i] == want[i]; i++)
		;
	ATF_REQUIRE_MSG(i == len, "%s: byte %ju is %#x, not %#x", disk,
	    (uintmax_t)(offset + i), buf[i], want[i]);
	free(want);
	kpi_mem_free(buf);
}

void
join_verify(const char *disk, uint64_t offset, size_t len, uint32_t seed)
{
	unsigned char *buf;

	buf = kpi_mem_alloc(len);
	ATF_REQUIRE(buf != NULL);
	join_pattern(buf, len, offset, seed);
	ATF_REQUIRE_EQ(0, join_io(disk, KPI_DISK_WRITE, offset, buf, len));
	kpi_mem_free(buf);
	join_check(disk, offset, len, seed);
}

bool
join_wait(bool (*cond)(void *arg), void *arg, unsigned ms)
{

	for (; ms > 0; ms--) {
		if (cond(arg))
			return (true);
		usleep(1000);
	}
	return (cond(arg));
}

bool
join_disk_exists(void *name)
{
	struct kpi_disk_info info;

	return (kpi_disk_info(name, &info) == 0);
}

bool
join_sysctl_gone(void *name)
{
	char value[64];

	return (kpi_sysctl_get(name, value, sizeof(value)) != 0);
}

bool
join_disk_gone(void *name)
{

	return (!join_disk_exists(name));
}

void
join_is(const char *name, const char *want)
{
	char value[64];

	ATF_REQUIRE_EQ_MSG(0, kpi_sysctl_get(name, value, sizeof(value)),
	    "no %s", name);
	ATF_CHECK_STREQ_MSG(want, value, "%s is \"%s\"", name, value);
}

kpi_u64
join_sysctl(const char *fmt, ...)
{
	char name[128], value[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (kpi_sysctl_get(name, value, sizeof(value)) != 0)
		return (0);
	return (strtoull(value, NULL, 10));
}

void
join_usage(struct kpi_stats *st)
{
	char line[1024];

	while (kpi_devctl_read(line, sizeof(line)) == 0)
		;
	kpi_get_stats(st);
}

bool
join_no_more_threads(void *before)
{
	const struct kpi_stats *st = before;
	struct kpi_stats now;

	join_usage(&now);
	return (now.threads <= st->threads);
}

kpi_u64
join_settled(void)
{
	struct kpi_stats st;
	kpi_u64 was = 0;
	unsigned same, i;

	for (i = same = 0; same < 10 && i < 3000; i++) {
		join_usage(&st);
		same = st.malloc_bytes == was ? same + 1 : 0;
		was = st.malloc_bytes;
		usleep(10000);
	}
	ATF_REQUIRE_EQ_MSG(10, same, "memory in use does not settle");
	return (was);
}

int
join_unload(kpi_u64 settled)
{
	struct kpi_stats st;
	int error;

	error = vm_unload();
	for (unsigned i = 0; i < 2000; i++) {
		join_usage(&st);
		if (st.malloc_bytes == settled)
			return (error);
		usleep(1000);
	}
	(void)kpi_leaks();
	atf_tc_fail("%jd bytes left behind",
	    (intmax_t)(st.malloc_bytes - settled));
}

unsigned
join_refuse_each(bool (*ready)(void *arg), void *arg)
{
	enum kpi_fail kind;
	unsigned hits = 0, ms, n;

	for (kind = KPI_FAIL_MALLOC; kind <= KPI_FAIL_THREAD; kind++) {
		for (n = 1; n < 200; n++) {
			kpi_fail_nth(kind, n);
			(void)kpi_kldload("hv_utils");
			for (ms = 0; ms < 20000 && !kpi_fail_hit(kind) &&
			    !ready(arg); ms++)
				usleep(1000);
			if (!kpi_fail_hit(kind))
				break;
			hits++;
			kpi_fail_nth(kind, 0);
			(void)kpi_kldunload("hv_utils");
		}
		kpi_fail_nth(kind, 0);
		ATF_CHECK(n < 200);
		ATF_REQUIRE(join_wait(ready, arg, 20000));
		ATF_REQUIRE_EQ(0, kpi_kldunload("hv_utils"));
	}
	return (hits);
}

void
join_fault(struct join *j, enum hvh_fault_point point,
    enum hvh_fault_action action, uint32_t key, uint32_t skip, uint32_t times,
    uint64_t arg)
{
	const struct hvh_fault f = {
		.point = point, .action = action, .key = key, .skip = skip,
		.times = times, .arg = arg,
	};

	ATF_REQUIRE_EQ(0, hvh_fault_add(j->host, &f));
}

/* --- Background load --- */

#define	LOAD_BLOCK	16384

struct load_slot {
	struct kpi_disk_io	 io;
	struct join_load	*load;
	unsigned		 index;
	uint32_t		 turn;
	bool			 written;	/* block holds turn's data */
};

struct join_load {
	char			 disk[16];
	unsigned		 depth;
	uint64_t		 blocks;	/* a slot */
	struct load_slot	*slot;
	atomic_bool		 stop;
	atomic_uint		 running;
	atomic_uint_fast64_t	 made, errors, mismatches;
};

static void	load_next(struct load_slot *s);

static void
load_idle(struct load_slot *s)
{

	atomic_fetch_sub(&s->load->running, 1);
}

static void
load_done(struct kpi_disk_io *io, int error)
{
	struct load_slot *s = io->arg;
	struct join_load *l = s->load;
	unsigned char want[LOAD_BLOCK];

	atomic_fetch_add(&l->made, 1);
	if (error != 0) {
		atomic_fetch_add(&l->errors, 1);
		s->written = false;
	} else if (io->op == KPI_DISK_WRITE)
		s->written = true;
	else {
		join_pattern(want, sizeof(want), io->offset, s->turn);
		if (memcmp(want, io->buf, sizeof(want)) != 0)
			atomic_fetch_add(&l->mismatches, 1);
		s->written = false;
	}
	load_next(s);
}

/* Writes a block, reads it back, goes on to the next of its own. */
static void
load_next(struct load_slot *s)
{
	struct join_load *l = s->load;

	if (atomic_load(&l->stop)) {
		load_idle(s);
		return;
	}
	if (!s->written) {
		s->turn++;
		s->io.op = KPI_DISK_WRITE;
		s->io.offset = (s->index + (s->turn % l->blocks) * l->depth) *
		    (uint64_t)LOAD_BLOCK;
		join_pattern(s->io.buf, LOAD_BLOCK, s->io.offset, s->turn);
	} else {
		s->io.op = KPI_DISK_READ;
		memset(s->io.buf, 0xee, LOAD_BLOCK);
	}
	if (kpi_disk_start(l->disk, &s->io) != 0) {
		atomic_fetch_add(&l->errors, 1);
		load_idle(s);
	}
}

struct join_load *
join_load_start(const char *disk, uint64_t size, unsigned depth)
{
	struct join_load *l;
	unsigned i;

	l = calloc(1, sizeof(*l));
	ATF_REQUIRE(l != NULL);
	l->slot = calloc(depth, sizeof(*l->slot));
	ATF_REQUIRE(l->slot != NULL);
	snprintf(l->disk, sizeof(l->disk), "%s", disk);
	l->depth = depth;
	l->blocks = size / LOAD_BLOCK / depth;
	ATF_REQUIRE(l->blocks > 0);
	atomic_store(&l->running, depth);
	for (i = 0; i < depth; i++) {
		struct load_slot *s = &l->slot[i];

		s->load = l;
		s->index = i;
		s->io.len = LOAD_BLOCK;
		s->io.buf = kpi_mem_alloc(LOAD_BLOCK);
		ATF_REQUIRE(s->io.buf != NULL);
		s->io.done = load_done;
		s->io.arg = s;
	}
	for (i = 0; i < depth; i++)
		load_next(&l->slot[i]);
	return (l);
}

uint64_t
join_load_stop(struct join_load *l, uint64_t *errors)
{
	uint64_t made;
	unsigned i;

	atomic_store(&l->stop, true);
	for (i = 0; atomic_load(&l->running) > 0 && i < 120000; i++)
		usleep(1000);
	ATF_REQUIRE_EQ_MSG(0, atomic_load(&l->running),
	    "%s: requests that never end", l->disk);
	ATF_CHECK_EQ_MSG(0, atomic_load(&l->mismatches),
	    "%s: wrong data read back", l->disk);
	*errors = atomic_load(&l->errors);
	made = atomic_load(&l->made);
	for (i = 0; i < l->depth; i++)
		kpi_mem_free(l->slot[i].io.buf);
	free(l->slot);
	free(l);
	return (made);
}
