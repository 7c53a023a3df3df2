/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The writer: two buffers.  Events are appended to one under a lock that is
 * held for a copy; the thread takes it away when it is half full or a second
 * old, and writes it while the other one fills.  Who writes faster than the
 * disk loses events, and the next record says how many.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "control/trace.h"
#include "control/trace_reg.h"
#include "vmbus/vmbus_reg.h"

#define	BUF_SIZE	(4u << 20)
#define	FLUSH_NS	1000000000ull

struct tracer {
	pthread_t	 thread;
	int		 fd;
	uint32_t	 snap;
	uint64_t	 start, wall;
	char		*path;
	void		(*say)(void *arg, const char *text);
	void		*arg;
	uint8_t		*writing;	/* the thread's */

	pthread_mutex_t	 mtx;		/* all below */
	pthread_cond_t	 cond;
	uint8_t		*filling;
	size_t		 used;
	uint32_t	 lost;
	bool		 ending;
	bool		 dead;		/* the file takes no more */
};

static uint64_t
now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static int
write_all(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (n < 0 ? errno : EIO);
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

static void
die(struct tracer *t, int error)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: the trace ends here: %s", t->path,
	    strerror(error));
	t->say(t->arg, text);
}

/* mtx held; there is room. */
static void
append(struct tracer *t, const void *data, size_t len)
{

	if (len > 0)
		memcpy(t->filling + t->used, data, len);
	t->used += len;
}

/* No event comes any more that could tell of those before it.  mtx held. */
static void
append_lost(struct tracer *t)
{
	const struct trace_record r = {
		.tr_mark = TRACE_MARK,
		.tr_kind = TRACE_LOST,
		.tr_time = now(CLOCK_MONOTONIC),
		.tr_vp = HVH_VP_NONE,
		.tr_lost = t->lost,
	};

	append(t, &r, sizeof(r));
	t->lost = 0;
}

/* Waits for something worth writing; false: the end.  mtx held. */
static bool
wait_work(struct tracer *t)
{
	struct timespec ts;
	uint64_t until;

	until = now(CLOCK_MONOTONIC) + FLUSH_NS;
	ts.tv_sec = (time_t)(until / 1000000000);
	ts.tv_nsec = (long)(until % 1000000000);
	while (!t->ending && t->used < BUF_SIZE / 2) {
		if (pthread_cond_timedwait(&t->cond, &t->mtx, &ts) ==
		    ETIMEDOUT)
			break;
	}
	if (t->ending && t->used == 0 && t->lost > 0)
		append_lost(t);
	return (!t->ending || t->used > 0);
}

static int
write_head(struct tracer *t)
{
	struct trace_head th = {
		.th_magic = TRACE_MAGIC,
		.th_version = TRACE_VERSION,
		.th_len = sizeof(th),
		.th_snap = t->snap,
		.th_start = t->start,
		.th_wall = t->wall,
	};

	return (write_all(t->fd, (const uint8_t *)&th, sizeof(th)));
}

static void *
tracer_main(void *arg)
{
	struct tracer *t = arg;
	uint8_t *p;
	size_t n;
	int error;

	error = write_head(t);
	pthread_mutex_lock(&t->mtx);
	while (error == 0 && wait_work(t)) {
		if (t->used == 0)
			continue;
		p = t->filling;
		n = t->used;
		t->filling = t->writing;
		t->used = 0;
		t->writing = p;
		pthread_mutex_unlock(&t->mtx);
		error = write_all(t->fd, p, n);
		pthread_mutex_lock(&t->mtx);
	}
	t->dead = true;
	pthread_mutex_unlock(&t->mtx);
	if (error != 0)
		die(t, error);
	return (NULL);
}

/* Which pieces of an event are kept; bytes in all. */
static uint32_t
pieces(const struct tracer *t, const struct hvh_trace_event *ev,
    struct iovec iov[2])
{
	const uint8_t *data = ev->data;
	struct vms_pkt desc;
	size_t head, hdr, n;

	iov[0].iov_base = iov[1].iov_base = (void *)(uintptr_t)data;
	iov[0].iov_len = ev->len;
	iov[1].iov_len = 0;
	if (ev->kind != HVH_TRACE_PACKET || ev->len < sizeof(desc)) {
		if (iov[0].iov_len > TRACE_SNAP_MAX)
			iov[0].iov_len = TRACE_SNAP_MAX;
		return ((uint32_t)iov[0].iov_len);
	}
	memcpy(&desc, data, sizeof(desc));
	hdr = desc.vp_offset * 8u;
	if (hdr < sizeof(desc) || hdr > ev->len)
		hdr = sizeof(desc);
	head = hdr < TRACE_DESC + TRACE_HDR ? hdr : TRACE_DESC + TRACE_HDR;
	n = ev->len - hdr;
	if (n > t->snap)
		n = t->snap;
	iov[0].iov_len = head;
	iov[1].iov_base = (void *)(uintptr_t)(data + hdr);
	iov[1].iov_len = n;
	return ((uint32_t)(head + n));
}

void
tracer_event(struct tracer *t, const struct hvh_trace_event *ev)
{
	struct trace_record r = {
		.tr_mark = TRACE_MARK,
		.tr_kind = (uint8_t)ev->kind,
		.tr_flags = ev->out ? TRACE_OUT : 0,
		.tr_total = (uint32_t)ev->total,
		.tr_chan = ev->chan,
		.tr_time = ev->time,
		.tr_vp = ev->vp,
	};
	static const uint8_t zeros[8];
	struct iovec iov[2];
	uint32_t size;

	r.tr_len = pieces(t, ev, iov);
	size = (uint32_t)sizeof(r) + TRACE_PAD(r.tr_len);
	pthread_mutex_lock(&t->mtx);
	if (t->dead || BUF_SIZE - t->used < size) {
		t->lost++;
		pthread_mutex_unlock(&t->mtx);
		return;
	}
	r.tr_lost = t->lost;
	t->lost = 0;
	append(t, &r, sizeof(r));
	append(t, iov[0].iov_base, iov[0].iov_len);
	append(t, iov[1].iov_base, iov[1].iov_len);
	append(t, zeros, TRACE_PAD(r.tr_len) - r.tr_len);
	if (t->used >= BUF_SIZE / 2)
		pthread_cond_signal(&t->cond);
	pthread_mutex_unlock(&t->mtx);
}

static void
tracer_free(struct tracer *t)
{

	if (t->fd >= 0)
		close(t->fd);
	free(t->filling);
	free(t->writing);
	free(t->path);
	free(t);
}

static int
start_thread(struct tracer *t)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	int error;

	pthread_mutex_init(&t->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->cond, &attr);
	pthread_condattr_destroy(&attr);
	/* Signals are for others; SIGXFSZ comes as an error instead. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&t->thread, NULL, tracer_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0) {
		pthread_cond_destroy(&t->cond);
		pthread_mutex_destroy(&t->mtx);
	}
	return (error);
}

int
tracer_open(const char *path, uint32_t snap,
    void (*say)(void *arg, const char *text), void *arg, struct tracer **tp,
    char *err, size_t errlen)
{
	struct tracer *t;
	int error;

	if (snap == 0)
		snap = TRACE_SNAP;
	if (snap > TRACE_SNAP_MAX) {
		snprintf(err, errlen, "%s: a trace keeps at most %u bytes of "
		    "a packet", path, TRACE_SNAP_MAX);
		return (EINVAL);
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(err, errlen, "no memory for a trace");
		return (ENOMEM);
	}
	t->snap = snap;
	t->say = say;
	t->arg = arg;
	t->path = strdup(path);
	t->filling = malloc(BUF_SIZE);
	t->writing = malloc(BUF_SIZE);
	t->fd = -1;
	t->start = now(CLOCK_MONOTONIC);
	t->wall = now(CLOCK_REALTIME);
	if (t->path == NULL || t->filling == NULL || t->writing == NULL) {
		error = ENOMEM;
	} else {
		t->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
		    O_NOCTTY, 0600);
		error = t->fd < 0 ? errno : 0;
	}
	if (error == 0)
		error = start_thread(t);
	if (error != 0) {
		snprintf(err, errlen, "%s: cannot write a trace: %s", path,
		    strerror(error));
		tracer_free(t);
		return (error);
	}
	*tp = t;
	return (0);
}

void
tracer_close(struct tracer *t)
{

	pthread_mutex_lock(&t->mtx);
	t->ending = true;
	pthread_cond_signal(&t->cond);
	pthread_mutex_unlock(&t->mtx);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->cond);
	pthread_mutex_destroy(&t->mtx);
	tracer_free(t);
}
