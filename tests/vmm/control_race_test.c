/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's answers that come later, with the guest on a thread of
 * its own: clients that wait, clients that go, and a server that ends while
 * the guest is still to answer.
 */

#include <atf-c.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"
#include "guest.h"

#define	SOCKET	"ctl"
#define	RING	PG_FREE
#define	PAGES	8
#define	CLIENTS	6
#define	ROUNDS	150

static struct guest g;
static struct hvh_ic *ic;
static struct guest_ring ring;
static uint32_t conn;
static _Atomic bool stop, slow;
static char err[512];

static struct hvh_ic *
op_service(void *arg, enum hvh_ic_kind kind)
{

	return (kind == HVH_IC_KVP ? ic : NULL);
}

static const struct ctl_ops ops = { .service = op_service };

/* The guest answers what there is: an item with number 0 to 4, then the end. */
static void
answer(uint8_t *pkt)
{
	uint8_t *m = pkt + 16;

	m[25] = 5;
	if (m[12] == 0) {
		memmove(m + 36, m + 40, 4);
		memmove(m + 40, m + 36 + 4 * (m[28] + m[30] - 1u), 4);
		m[18] = 16;
		m[28] = m[30] = 1;
	} else {
		put32(m + 20, get32(m + 32) < 5 ? 0 : 0x80070103);
		put32(m + 36, 1);
		put32(m + 40, 2);
		put32(m + 44, 2);
	}
	ATF_REQUIRE(guest_write(&ring, 6, 0, get64(pkt + 8), NULL, 0, m,
	    get32(m + 4) + 8) >= 0);
	guest_signal(&g, conn);
}

static void *
guest(void *arg)
{
	static uint8_t pkt[16384];

	while (!atomic_load(&stop)) {
		guest_pump(&g);
		if (atomic_load(&slow) ||
		    guest_read(&ring, pkt, sizeof(pkt)) == 0)
			usleep(50);
		else
			answer(pkt);
	}
	return (NULL);
}

static int
join(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return (fd);
}

static void
ask(int fd)
{
	static const char line[] =
	    "{\"id\":7,\"cmd\":\"kvp\",\"action\":\"list\"}\n";

	(void)!send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL);
}

ATF_TC_WITHOUT_HEAD(later);
ATF_TC_BODY(later, tc)
{
	struct hvh_ic_params ip = { .kind = HVH_IC_KVP };
	struct ctl_server *s;
	struct pollfd pfd;
	pthread_t thread;
	uint8_t m[240];
	char text[65536];
	int fd[CLIENTS];
	unsigned answers = 0, refusals = 0;
	ssize_t n;

	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE_EQ(0, hvh_ic_add(g.h, &ip, &ic));
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	conn = get32(m + 192);
	ATF_REQUIRE_EQ(0, guest_open(&g, get32(m + 184), guest_gpadl(&g,
	    get32(m + 184), RING, PAGES, 1), 1, PAGES / 2));
	guest_ring(&ring, &g, RING, PAGES, PAGES / 2);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, guest, NULL));

	for (unsigned i = 0; i < CLIENTS; i++)
		fd[i] = join();
	pfd = (struct pollfd){ ctl_fd(s), POLLIN, 0 };
	/* More of them where the guest hardly comes to its turn. */
	for (unsigned round = 0; round < ROUNDS ||
	    (answers <= 50 && round < 20 * ROUNDS); round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			ask(fd[i]);
			/* One in three goes at once, one reads. */
			if ((round + i) % 3 == 0) {
				close(fd[i]);
				fd[i] = join();
			}
			/* The guest needs its time, or all is refused. */
			usleep(1000);
			if (poll(&pfd, 1, 2) > 0)
				ctl_poll(s);
			n = recv(fd[i], text, sizeof(text) - 1, 0);
			text[n > 0 ? n : 0] = '\0';
			for (char *p = text; (p = strstr(p, "\"ok\":true")) !=
			    NULL; p++)
				answers++;
			for (char *p = text; (p = strstr(p, "\"ok\":false")) !=
			    NULL; p++)
				refusals++;
		}
	}
	ATF_CHECK_MSG(answers > 50, "%u answers, %u refusals", answers,
	    refusals);

	/* The end, with the guest still to answer, and answering. */
	atomic_store(&slow, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		ask(fd[i]);
	for (unsigned i = 0; i < 20; i++)
		ctl_poll(s);
	atomic_store(&slow, false);
	ctl_close(s, true);
	usleep(2000);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fd[i]);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, later);
	return (atf_no_error());
}
