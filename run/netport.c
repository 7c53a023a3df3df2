/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A port: its threads, which read what Linux sends, and what the driver
 * delivers.  See netport.h.
 */

#include <sys/eventfd.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "netport_var.h"

#define	ENOBUFS_GUEST	55	/* FreeBSD's */
#define	NETPORT_PIECES	100	/* of a received frame */
#define	NETPORT_RETRY_US 50	/* while the driver's queue is full */
#define	NETPORT_RETRIES	2000

static void
netport_count(uint64_t *counter, uint64_t n)
{

	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* --- From Linux to the driver --- */

/*
 * A full queue is told to Linux by not reading on, as a card does; a driver
 * that stays full for a tenth of a second loses the frame.
 */
static void
netport_send(struct netport *np, const struct kpi_frame *f, unsigned n)
{
	const struct timespec wait = { 0, NETPORT_RETRY_US * 1000 };
	unsigned i, took, tries = 0;
	int error;

	for (; n > 0; f += took, n -= took) {
		took = kpi_net_send(np->np_net, f, n, &error);
		for (i = 0; i < took; i++)
			netport_count(&np->np_stats.tx_bytes, f[i].len);
		netport_count(&np->np_stats.tx_frames, took);
		if (took > 0) {
			tries = 0;
			continue;
		}
		if (error == ENOBUFS_GUEST && ++tries < NETPORT_RETRIES &&
		    !atomic_load(&np->np_stopping)) {
			(void)nanosleep(&wait, NULL);
			continue;
		}
		netport_count(error == ENOBUFS_GUEST ?
		    &np->np_stats.tx_drops : &np->np_stats.tx_errors, 1);
		took = 1;
		tries = 0;
	}
}

/* A frame that is in buf behind its header; false: none that could be sent. */
static bool
netport_frame(unsigned char *buf, ssize_t len, struct kpi_piece piece[2],
    struct kpi_frame *f)
{
	struct virtio_net_hdr vh;

	if (len <= (ssize_t)NETPORT_VNET)
		return (false);
	memcpy(&vh, buf, sizeof(vh));
	len -= NETPORT_VNET;
	if (!netport_to_guest(&vh, buf + NETPORT_VNET, len, piece, f))
		return (false);
	f->len = len;
	return (true);
}

/*
 * What waits, as many frames as the buffer takes, handed in together: the
 * driver then has them all before it tells its host.  False: there will be no
 * more.
 */
static bool
netport_batch(struct netport_queue *q)
{
	struct kpi_piece piece[NETPORT_BATCH][2];
	struct netport *np = q->q_port;
	struct kpi_frame f[NETPORT_BATCH];
	unsigned char *p = q->q_buf;
	unsigned n = 0;
	bool more = true;
	ssize_t len;

	while (n < NETPORT_BATCH && sizeof(q->q_buf) - (p - q->q_buf) >=
	    NETPORT_LARGEST) {
		len = read(q->q_fd, p, NETPORT_LARGEST);
		if (len <= 0) {
			more = len < 0 && (errno == EAGAIN || errno == EINTR);
			break;
		}
		if (netport_frame(p, len, piece[n], &f[n]))
			n++;
		else
			netport_count(&np->np_stats.tx_errors, 1);
		p += len;
	}
	if (n > 0)
		netport_send(np, f, n);
	return (more);
}

static void *
netport_thread(void *arg)
{
	struct netport_queue *q = arg;
	struct pollfd pfd[2] = {
		{ .fd = q->q_fd, .events = POLLIN },
		{ .fd = q->q_port->np_stop, .events = POLLIN }
	};

	for (;;) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			break;
		if (pfd[1].revents != 0)
			break;
		if (pfd[0].revents != 0 && !netport_batch(q))
			break;
	}
	return (NULL);
}

/* --- From the driver to Linux --- */

static int
netport_input(void *arg, const struct kpi_frame *f)
{
	struct iovec iov[NETPORT_PIECES + 2];
	unsigned char head[NETPORT_HEAD];
	struct netport *np = arg;
	struct virtio_net_hdr vh;
	size_t len, skip;
	unsigned i, n = 2;

	len = netport_to_linux(f, &vh, head, &skip);
	iov[0] = (struct iovec){ &vh, sizeof(vh) };
	iov[1] = (struct iovec){ head, len };
	for (i = 0; i < f->npieces && n < NETPORT_PIECES + 2; i++) {
		if (f->piece[i].len <= skip) {
			skip -= f->piece[i].len;
			continue;
		}
		iov[n].iov_base = (char *)f->piece[i].addr + skip;
		iov[n++].iov_len = f->piece[i].len - skip;
		skip = 0;
	}
	if (i == f->npieces && writev(np->np_queue[f->cpu %
	    np->np_nqueues].q_fd, iov, n) > 0) {
		netport_count(&np->np_stats.rx_frames, 1);
		netport_count(&np->np_stats.rx_bytes, f->len);
	} else
		netport_count(&np->np_stats.rx_drops, 1);
	return (0);
}

static void
netport_link(void *arg, int state)
{
	struct netport *np = arg;

	if (np->np_tap)
		netport_tap_carrier(np, state != 1);
}

static const struct kpi_net_ops netport_ops = {
	.input = netport_input,
	.link = netport_link,
};

/* --- Start and stop --- */

static void
netport_free(struct netport *np)
{
	unsigned i;

	for (i = 0; i < np->np_nqueues; i++)
		if (np->np_queue[i].q_fd >= 0)
			(void)close(np->np_queue[i].q_fd);
	if (np->np_stop >= 0)
		(void)close(np->np_stop);
	free(np->np_queue);
	free(np);
}

static struct netport *
netport_alloc(const struct netport_params *pp)
{
	struct netport *np;
	unsigned i;

	np = calloc(1, sizeof(*np));
	if (np == NULL)
		return (NULL);
	np->np_nqueues = pp->queues != 0 && pp->tap != NULL ? pp->queues : 1;
	np->np_queue = calloc(np->np_nqueues, sizeof(*np->np_queue));
	np->np_stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (np->np_queue == NULL || np->np_stop < 0 ||
	    np->np_nqueues > NETPORT_QUEUES) {
		if (np->np_stop >= 0)
			(void)close(np->np_stop);
		free(np->np_queue);
		free(np);
		return (NULL);
	}
	np->np_tap = pp->tap != NULL;
	np->np_capsoff = pp->capsoff;
	for (i = 0; i < np->np_nqueues; i++) {
		np->np_queue[i].q_port = np;
		np->np_queue[i].q_fd = -1;
	}
	return (np);
}

static void
netport_join(struct netport *np)
{
	const uint64_t one = 1;
	unsigned i;

	atomic_store(&np->np_stopping, true);
	if (write(np->np_stop, &one, sizeof(one)) != sizeof(one))
		abort();
	for (i = 0; i < np->np_nqueues; i++)
		if (np->np_queue[i].q_started)
			pthread_join(np->np_queue[i].q_thread, NULL);
}

static bool
netport_go(struct netport *np, char *err, size_t errlen)
{
	struct kpi_net_info info;
	unsigned i;
	int error;

	error = kpi_net_info(np->np_net, &info);
	if (error == 0 && np->np_capsoff != 0)
		error = kpi_net_caps(np->np_net, info.capenable &
		    ~np->np_capsoff);
	if (error == 0)
		error = kpi_net_up(np->np_net, 1);
	if (error == 0)
		error = kpi_net_info(np->np_net, &info);
	if (error != 0) {
		snprintf(err, errlen, "the guest's interface does not come up:"
		    " error %d", error);
		return (false);
	}
	if (np->np_tap && !netport_tap_setup(np, &info, err, errlen))
		return (false);
	if (np->np_tap)
		netport_tap_carrier(np, info.link != 1);
	for (i = 0; i < np->np_nqueues; i++) {
		error = pthread_create(&np->np_queue[i].q_thread, NULL,
		    netport_thread, &np->np_queue[i]);
		if (error != 0) {
			snprintf(err, errlen, "thread: %s", strerror(error));
			return (false);
		}
		np->np_queue[i].q_started = true;
	}
	return (true);
}

struct netport *
netport_start(const struct netport_params *pp, char *err, size_t errlen)
{
	struct netport *np;
	int error;

	np = netport_alloc(pp);
	if (np == NULL) {
		snprintf(err, errlen, "%s: no memory, or too many queues",
		    pp->ifname);
		return (NULL);
	}
	if (!np->np_tap) {
		np->np_queue[0].q_fd = pp->fd;
		(void)fcntl(pp->fd, F_SETFL, O_NONBLOCK);
	} else if (!netport_tap_open(np, pp->tap, err, errlen)) {
		netport_free(np);
		return (NULL);
	}
	error = kpi_net_open(pp->ifname, &netport_ops, np, &np->np_net);
	if (error != 0) {
		snprintf(err, errlen, "%s: error %d", pp->ifname, error);
		netport_free(np);
		return (NULL);
	}
	if (!netport_go(np, err, errlen)) {
		netport_stop(np);
		return (NULL);
	}
	return (np);
}

void
netport_stop(struct netport *np)
{

	netport_join(np);
	(void)kpi_net_up(np->np_net, 0);
	kpi_net_close(np->np_net);
	netport_free(np);
}

/* Frames that the driver's full queue refused are not lost: see above. */
void
netport_get_stats(struct netport *np, struct netport_stats *st)
{
	const uint64_t *from = (const uint64_t *)&np->np_stats;
	uint64_t *to = (uint64_t *)st;
	struct kpi_net_info info;
	size_t i;

	for (i = 0; i < sizeof(*st) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	if (kpi_net_info(np->np_net, &info) != 0)
		return;
	st->driver_tx_lost = info.oerrors;
	st->driver_rx_lost = info.ierrors + info.iqdrops + info.unclaimed;
}
