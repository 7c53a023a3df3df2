/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network back ends come and go, with layers on them and frames in them, while
 * another thread has the pump: a real partition's, with real time.
 */

#include <atf-c.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fake_nic.h"
#include "guest.h"

#define	ROUNDS		40
#define	FRAMES		50u
#define	PATIENCE	500		/* of 10 ms */

static struct guest g;
static _Atomic bool stop;

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static void *
pump_main(void *arg)
{
	struct pollfd p = { .fd = hvh_pump_fd(g.h), .events = POLLIN };

	while (!atomic_load(&stop)) {
		atomic_store(&g.now, now_ns());
		(void)hvh_pump(g.h);
		poll(&p, 1, 1);
	}
	return (NULL);
}

/* The other end: what comes goes back. */
static void *
echo_main(void *arg)
{
	uint8_t buf[2000];
	int fd = *(int *)arg;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		(void)!send(fd, buf, (size_t)n, MSG_NOSIGNAL);
	close(fd);
	return (NULL);
}

static struct hvh_netbe *
open_socket(int fd)
{
	struct hvh_netbe_params np = { .kind = HVH_NETBE_SOCKET,
	    .have_fd = true, .fd = fd };
	struct hvh_netbe_faults fp = { .delay_ns = 100000, .jitter_ns = 1000 };
	struct hvh_netbe_pcap cp = { .path = "race.pcapng" };
	struct hvh_netbe *be;
	char err[200];

	ATF_REQUIRE_EQ_MSG(0, hvh_netbe_open(g.h, &np, &be, err, sizeof(err)),
	    "%s", err);
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be, &fp));
	ATF_REQUIRE_EQ(0, hvh_netbe_capture(&be, &cp, err, sizeof(err)));
	return (be);
}

static void
send_all(struct fake_nic *nic)
{
	uint8_t frame[100];

	for (unsigned i = 0; i < FRAMES; i++) {
		fake_frame(frame, sizeof(frame), i);
		hvh_lock(g.h);
		(void)fake_nic_send(nic, frame, sizeof(frame));
		hvh_unlock(g.h);
	}
}

static unsigned
received(struct fake_nic *nic)
{
	unsigned n;

	hvh_lock(g.h);
	n = nic->n;
	hvh_unlock(g.h);
	return (n);
}

ATF_TC_WITHOUT_HEAD(come_and_go);
ATF_TC_BODY(come_and_go, tc)
{
	struct hvh_netbe_stats st;
	struct hvh_netbe *be;
	struct fake_nic nic;
	pthread_t pump, echo;
	int fd[2], type, wait;

	guest_create(&g, NULL);
	atomic_store(&g.now, now_ns());
	ATF_REQUIRE_EQ(0, pthread_create(&pump, NULL, pump_main, NULL));
	for (unsigned round = 0; round < ROUNDS; round++) {
		type = round % 2 == 0 ? SOCK_SEQPACKET : SOCK_STREAM;
		ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, type, 0, fd));
		ATF_REQUIRE_EQ(0, pthread_create(&echo, NULL, echo_main,
		    &fd[1]));
		be = open_socket(fd[0]);
		hvh_lock(g.h);
		fake_nic_attach(&nic, be);
		hvh_unlock(g.h);
		send_all(&nic);
		/* Now and then it closes with all of it under way. */
		for (wait = 0; round % 4 < 2 && received(&nic) < FRAMES &&
		    wait < PATIENCE; wait++)
			poll(NULL, 0, 10);
		ATF_CHECK_MSG(wait < PATIENCE, "round %u: %u frames", round,
		    received(&nic));
		hvh_netbe_get_stats(be, &st);
		ATF_CHECK_EQ(FRAMES, st.tx_frames);
		hvh_netbe_close(be);
		fake_nic_free(&nic);
		pthread_join(echo, NULL);
	}
	atomic_store(&stop, true);
	pthread_join(pump, NULL);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, come_and_go);
	return (atf_no_error());
}
