/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See fake_disk.h. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_disk.h"
#include "kpi.h"

#define	BSD_ENXIO	6
#define	NDISKS		3

struct fake_disk {
	const char	*name;
	struct kpi_disk_info info;
	uint8_t		*data;
};

static struct fake_disk disks[NDISKS] = {
	{ "da0", { .size = FAKE_DA0_SIZE, .sectorsize = 512,
	    .maxio = 1 << 20, .candelete = 1, .sim = "fake" }, NULL },
	{ "da1", { .size = FAKE_DA1_SIZE, .sectorsize = 512,
	    .maxio = 1 << 20, .readonly = 1, .candelete = 1,
	    .sim = "fake" }, NULL },
	{ "da2", { .size = FAKE_DA2_SIZE, .sectorsize = 4096,
	    .maxio = 1 << 20, .sim = "fake" }, NULL },
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct kpi_disk_io *queue_head, **queue_tail = &queue_head;
static unsigned queued;
static bool holding, stopping, removed;
static unsigned fail_nth;
static int fail_error;
static char history[64];
static pthread_t worker;

static pthread_mutex_t memlock = PTHREAD_MUTEX_INITIALIZER;
static size_t mem_used, mem_peak, mem_limit = SIZE_MAX;

/* Each block carries its size in front, a page away. */
#define	MEM_HEADER	4096

void *
kpi_mem_alloc(kpi_size size)
{
	uint8_t *p = NULL;

	pthread_mutex_lock(&memlock);
	if (mem_used + size <= mem_limit &&
	    posix_memalign((void **)&p, 4096, size + MEM_HEADER) == 0) {
		mem_used += size;
		if (mem_used > mem_peak)
			mem_peak = mem_used;
		*(kpi_size *)p = size;
		p += MEM_HEADER;
	}
	pthread_mutex_unlock(&memlock);
	return (p);
}

void
kpi_mem_free(void *p)
{
	uint8_t *block = (uint8_t *)p - MEM_HEADER;

	pthread_mutex_lock(&memlock);
	mem_used -= *(kpi_size *)block;
	pthread_mutex_unlock(&memlock);
	free(block);
}

static struct fake_disk *
fake_find(const char *name)
{
	unsigned i;

	for (i = 0; i < NDISKS; i++)
		if (strcmp(disks[i].name, name) == 0)
			return (&disks[i]);
	return (NULL);
}

int
kpi_disk_info(const char *name, struct kpi_disk_info *info)
{
	const struct fake_disk *d = fake_find(name);

	if (d == NULL)
		return (BSD_ENXIO);
	*info = d->info;
	return (0);
}

void
kpi_disk_list(void (*fn)(void *arg, const char *name), void *arg)
{
	unsigned i;

	for (i = 0; i < NDISKS; i++)
		fn(arg, disks[i].name);
}

int
kpi_disk_start(const char *name, struct kpi_disk_io *io)
{
	struct fake_disk *d = fake_find(name);
	static const char letters[] = "RWFD";
	size_t n;

	/* What no server may hand to a disk. */
	if (d == NULL || io->offset % d->info.sectorsize != 0 ||
	    io->len % d->info.sectorsize != 0 ||
	    io->offset + io->len > d->info.size ||
	    (io->op == KPI_DISK_WRITE && d->info.readonly))
		abort();
	pthread_mutex_lock(&lock);
	if (d == &disks[0] && removed) {
		pthread_mutex_unlock(&lock);
		return (BSD_ENXIO);
	}
	if (d == &disks[0]) {
		n = strlen(history);
		if (n == sizeof(history) - 1)
			memmove(history, history + 1, n--);
		history[n] = letters[io->op];
		history[n + 1] = '\0';
	}
	io->priv[0] = d;
	io->priv[1] = NULL;
	*queue_tail = io;
	queue_tail = (struct kpi_disk_io **)&io->priv[1];
	queued++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return (0);
}

static void
fake_perform(struct kpi_disk_io *io)
{
	struct fake_disk *d = io->priv[0];

	switch (io->op) {
	case KPI_DISK_READ:
		memcpy(io->buf, d->data + io->offset, io->len);
		break;
	case KPI_DISK_WRITE:
		memcpy(d->data + io->offset, io->buf, io->len);
		break;
	case KPI_DISK_DELETE:
		memset(d->data + io->offset, 0, io->len);
		break;
	case KPI_DISK_FLUSH:
		break;
	}
}

static void *
fake_worker(void *arg)
{
	struct kpi_disk_io *io;
	int error;

	pthread_mutex_lock(&lock);
	for (;;) {
		while ((queued == 0 || holding) && !stopping)
			pthread_cond_wait(&changed, &lock);
		if (queued == 0)
			break;
		io = queue_head;
		if ((queue_head = io->priv[1]) == NULL)
			queue_tail = &queue_head;
		queued--;
		error = 0;
		if (io->priv[0] == &disks[0] && fail_nth > 0 &&
		    --fail_nth == 0)
			error = fail_error;
		pthread_mutex_unlock(&lock);
		if (error == 0)
			fake_perform(io);
		io->done(io, error);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return (NULL);
}

void
fake_start(void)
{
	unsigned i;

	for (i = 0; i < NDISKS; i++)
		if ((disks[i].data = calloc(1, disks[i].info.size)) == NULL)
			abort();
	/* So that the read-only disk has something to read. */
	memset(disks[1].data, 0x5a, disks[1].info.size);
	if (pthread_create(&worker, NULL, fake_worker, NULL) != 0)
		abort();
}

void
fake_stop(void)
{
	unsigned i;

	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(worker, NULL);
	for (i = 0; i < NDISKS; i++)
		free(disks[i].data);
}

void
fake_hold(void)
{

	pthread_mutex_lock(&lock);
	holding = true;
	pthread_mutex_unlock(&lock);
}

void
fake_release(void)
{

	pthread_mutex_lock(&lock);
	holding = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

bool
fake_wait_held(unsigned n)
{
	struct timespec until;
	int error = 0;
	bool held;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&lock);
	while (queued < n && error == 0)
		error = pthread_cond_timedwait(&changed, &lock, &until);
	held = queued >= n;
	pthread_mutex_unlock(&lock);
	return (held);
}

void
fake_fail(unsigned nth, int error)
{

	pthread_mutex_lock(&lock);
	fail_nth = nth;
	fail_error = error;
	pthread_mutex_unlock(&lock);
}

void
fake_remove(bool gone)
{

	pthread_mutex_lock(&lock);
	removed = gone;
	pthread_mutex_unlock(&lock);
}

void
fake_memory_limit(size_t bytes)
{

	pthread_mutex_lock(&memlock);
	mem_limit = bytes;
	pthread_mutex_unlock(&memlock);
}

size_t
fake_memory_used(void)
{
	size_t n;

	pthread_mutex_lock(&memlock);
	n = mem_used;
	pthread_mutex_unlock(&memlock);
	return (n);
}

size_t
fake_memory_peak(void)
{
	size_t n;

	pthread_mutex_lock(&memlock);
	n = mem_peak;
	pthread_mutex_unlock(&memlock);
	return (n);
}

const uint8_t *
fake_contents(unsigned disk)
{

	return (disks[disk].data);
}

void
fake_history(char text[64])
{

	pthread_mutex_lock(&lock);
	memcpy(text, history, sizeof(history));
	pthread_mutex_unlock(&lock);
}
