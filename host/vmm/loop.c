/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The I/O thread: pumps the partition whenever somebody has kicked, the guest
 * has signalled a channel, or I/O has ended.
 *
 * Where a guest sends in bursts, its signals do not come to user space: KVM
 * adds to the channel's eventfd in the hypercall itself.  The eventfds are
 * watched by edges, so that none needs to be read; what has added up in them
 * is the number of signals, read when somebody asks for it.  Where it waits
 * for each request, the vCPU's thread does the round of the pump itself.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmbus/channel.h"
#include "vmm/machine.h"

#define	EVENTS		64

/* epoll data: a connection, or one of these. */
#define	DATA_KICK	UINT64_MAX
#define	DATA_PUMP	(UINT64_MAX - 1)

/* protocol: vmbus, 1; a channel's connection is the host's choice. */
#define	CONN_EVENT	2u
#define	CONN_CHANNEL	0x2000u

/* See vmm_loop_defer(). */
static __thread bool deferring, deferred;

static int
signal_slot(uint32_t connection)
{

	if (connection == CONN_EVENT)
		return (0);
	if (connection <= CONN_CHANNEL ||
	    connection >= CONN_CHANNEL + VMM_SIGNALS)
		return (-1);
	return ((int)(connection - CONN_CHANNEL));
}

void
vmm_loop_kick(void *arg)
{
	struct vmm *m = arg;
	struct vmm_loop *l = &m->m_loop;
	const uint64_t one = 1;

	if (deferring) {
		deferred = true;
		return;
	}
	/* The I/O thread itself looks before it sleeps. */
	if (l->l_runs && pthread_equal(pthread_self(), l->l_thread)) {
		atomic_store(&l->l_again, true);
		return;
	}
	if (write(l->l_kick, &one, sizeof(one)) != sizeof(one))
		vmm_say("kick: %s", strerror(errno));
}

bool
vmm_loop_defer(bool on)
{
	bool were = deferred;

	deferring = on;
	deferred = false;
	return (were);
}

void
vmm_loop_inline(struct vmm *m)
{
	struct vmm_loop *l = &m->m_loop;
	uint64_t next;
	bool done, more;

	(void)vmm_loop_defer(true);
	done = hvh_pump_try(m->m_h, &next);
	more = vmm_loop_defer(false);
	if (done)
		atomic_fetch_add_explicit(&l->l_inline, 1,
		    memory_order_relaxed);
	/* What is left, now or sooner than it knows, is the I/O thread's. */
	if (!done || more || next < atomic_load(&l->l_until))
		vmm_loop_kick(m);
}

/* What came until now, as the eventfd goes away or is counted. */
static void
count_signals(struct vmm *m, int slot)
{
	uint64_t n;

	if (read(m->m_loop.l_signal[slot], &n, sizeof(n)) == sizeof(n))
		hvh_signals_count(m->m_h, n);
}

static void
listen_on(struct vmm *m, int slot, uint32_t connection)
{
	struct vmm_loop *l = &m->m_loop;
	struct kvm_hyperv_eventfd he = { .conn_id = connection };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
	    .data.u64 = connection };
	int fd;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		goto fail;
	he.fd = fd;
	if (epoll_ctl(l->l_ep, EPOLL_CTL_ADD, fd, &ev) != 0 ||
	    ioctl(m->m_vm, KVM_HYPERV_EVENTFD, &he) != 0) {
		close(fd);
		goto fail;
	}
	l->l_signal[slot] = fd;
	return;
fail:
	/* Its signals then come as exits, which works as well. */
	vmm_say("connection %#x: no eventfd for its signals: %s", connection,
	    strerror(errno));
}

void
vmm_loop_listen(void *arg, uint32_t connection, bool on)
{
	struct vmm *m = arg;
	struct vmm_loop *l = &m->m_loop;
	struct kvm_hyperv_eventfd he = { .conn_id = connection, .fd = -1,
	    .flags = KVM_HYPERV_EVENTFD_DEASSIGN };
	int slot;

	slot = signal_slot(connection);
	if (slot < 0)
		return;
	if (on) {
		if (l->l_signal[slot] < 0)
			listen_on(m, slot, connection);
		return;
	}
	if (l->l_signal[slot] < 0)
		return;
	(void)ioctl(m->m_vm, KVM_HYPERV_EVENTFD, &he);
	count_signals(m, slot);
	close(l->l_signal[slot]);
	l->l_signal[slot] = -1;
}

void
vmm_loop_count(struct vmm *m)
{

	hvh_lock(m->m_h);
	/* Reading an eventfd cannot lose an edge: it tells of no state. */
	for (int slot = 0; slot < VMM_SIGNALS; slot++) {
		if (m->m_loop.l_signal[slot] >= 0)
			count_signals(m, slot);
	}
	hvh_unlock_quiet(m->m_h);
}

static int
wait_events(struct vmm_loop *l, struct epoll_event *ev, uint64_t next)
{
	struct timespec ts;
	uint64_t now, ns;
	int got;

	if (next == UINT64_MAX)
		return (epoll_wait(l->l_ep, ev, EVENTS, -1));
	now = vmm_now();
	ns = next > now ? next - now : 0;
	ts.tv_sec = (time_t)(ns / 1000000000);
	ts.tv_nsec = (long)(ns % 1000000000);
	got = epoll_pwait2(l->l_ep, ev, EVENTS, &ts, NULL);
	if (got >= 0 || errno != ENOSYS)
		return (got);
	/* Linux 5.10 has all that KVM needs, but counts milliseconds. */
	ns = (ns + 999999) / 1000000;
	return (epoll_wait(l->l_ep, ev, EVENTS, ns < INT_MAX ? (int)ns :
	    INT_MAX));
}

static void *
loop_thread(void *arg)
{
	struct vmm *m = arg;
	struct vmm_loop *l = &m->m_loop;
	struct epoll_event ev[EVENTS];
	uint64_t next, n;
	int got;

	while (!atomic_load(&l->l_stop)) {
		/* Until it is known better: who wants a round must kick. */
		atomic_store(&l->l_until, UINT64_MAX);
		next = hvh_pump(m->m_h);
		if (atomic_exchange(&l->l_again, false))
			next = 0;
		atomic_store(&l->l_until, next);
		got = wait_events(l, ev, next);
		atomic_fetch_add_explicit(&l->l_wakeups, 1,
		    memory_order_relaxed);
		for (int i = 0; i < got; i++) {
			if (ev[i].data.u64 == DATA_KICK)
				(void)!read(l->l_kick, &n, sizeof(n));
			else if (ev[i].data.u64 != DATA_PUMP)
				hvh_signal(m->m_h, (uint32_t)ev[i].data.u64);
		}
	}
	return (NULL);
}

int
vmm_loop_init(struct vmm *m)
{
	struct vmm_loop *l = &m->m_loop;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = DATA_KICK };

	for (int slot = 0; slot < VMM_SIGNALS; slot++)
		l->l_signal[slot] = -1;
	l->l_ep = epoll_create1(EPOLL_CLOEXEC);
	l->l_kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->l_ep < 0 || l->l_kick < 0 ||
	    epoll_ctl(l->l_ep, EPOLL_CTL_ADD, l->l_kick, &ev) != 0)
		return (errno);
	return (0);
}

int
vmm_loop_start(struct vmm *m)
{
	struct vmm_loop *l = &m->m_loop;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = DATA_PUMP };
	sigset_t set, old;
	int error, fd;

	fd = hvh_pump_fd(m->m_h);
	if (fd >= 0 && epoll_ctl(l->l_ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		return (errno);
	sigfillset(&set);
	sigdelset(&set, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	error = pthread_create(&l->l_thread, NULL, loop_thread, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	l->l_runs = error == 0;
	return (error);
}

void
vmm_loop_stop(struct vmm *m)
{
	struct vmm_loop *l = &m->m_loop;

	if (!l->l_runs)
		return;
	atomic_store(&l->l_stop, true);
	vmm_loop_kick(m);
	pthread_join(l->l_thread, NULL);
	l->l_runs = false;
}

void
vmm_loop_fini(struct vmm *m)
{
	struct vmm_loop *l = &m->m_loop;

	for (int slot = 0; slot < VMM_SIGNALS; slot++) {
		if (l->l_signal[slot] >= 0)
			close(l->l_signal[slot]);
	}
	if (l->l_ep >= 0)
		close(l->l_ep);
	if (l->l_kick >= 0)
		close(l->l_kick);
}
