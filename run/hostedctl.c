/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See hostedctl.h. */

#include <sys/eventfd.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hvballoon.h"
#include "hostedctl.h"
#include "vm.h"

#define	GUEST_MS	100	/* between two looks at stop_fd */
#define	INIT_US		500000
#define	RB_POWEROFF	0x4000	/* FreeBSD's */

/* --- What clients ask --- */

static void
op_status(void *arg, struct ctl_status *st)
{
	const struct hostedctl *hc = arg;

	snprintf(st->kernel, sizeof(st->kernel), "hosted FreeBSD");
	st->cpus = hc->cpus;
	st->memory = hc->memory;
	st->uptime = kpi_clock_now();
}

static int
op_quit(void *arg, char *msg, size_t msglen)
{

	(void)kill(getpid(), SIGTERM);
	return (0);
}

static struct hvh_ic *
op_service(void *arg, enum hvh_ic_kind kind)
{
	const struct hostedctl *hc = arg;

	return (hc->service[kind]);
}

static struct hvh_balloon *
op_balloon(void *arg)
{
	const struct hostedctl *hc = arg;

	return (hc->balloon);
}

static int
op_adapter(void *arg, unsigned adapter, uint8_t mac[6],
    struct hvh_guid *instance)
{
	const struct hostedctl *hc = arg;

	return (hostednet_adapter(hc->nets, adapter, mac, instance) ? 0 :
	    ENODEV);
}

static const struct ctl_ops hostedctl_ops = {
	.status = op_status,
	.quit = op_quit,
	.service = op_service,
	.balloon = op_balloon,
	.adapter = op_adapter,
};

/* --- Threads --- */

static void *
control_main(void *arg)
{
	struct hostedctl *hc = arg;
	struct pollfd fds[2];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = hc->stop_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = ctl_fd(hc->server),
		    .events = POLLIN };
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0)
			return (NULL);
		ctl_poll(hc->server);
	}
}

/* The hosted kernel has no init(8): that it is asked is all there is. */
static void *
guest_main(void *arg)
{
	struct hostedctl *hc = arg;
	struct pollfd stop = { .fd = hc->stop_fd, .events = POLLIN };
	int howto;

	while (poll(&stop, 1, 0) == 0) {
		if (kpi_shutdown_asked(GUEST_MS, &howto) != 0)
			continue;
		printf("init(8) is asked to end the system: %s\n",
		    (howto & RB_POWEROFF) != 0 ? "power-off" : "reboot");
		/* It would take as long; whoever asked for it hears of it. */
		(void)usleep(INIT_US);
		(void)kill(getpid(), SIGTERM);
		break;
	}
	return (NULL);
}

/* --- Coming and going --- */

void
hostedctl_add(struct hostedctl *hc)
{
	/* Both machines are one process: what is out stays backed. */
	const struct hvh_balloon_params bp = { 0 };
	struct hvh_ic_params ip = { 0 };
	unsigned k;
	int error;

	for (k = 0; k < HVH_IC_KINDS; k++) {
		ip.kind = (enum hvh_ic_kind)k;
		error = hvh_ic_add(vm_host(), &ip, &hc->service[k]);
		if (error != 0)
			errx(1, "integration service %u: %s", k,
			    strerror(error));
	}
	error = hvh_balloon_add(vm_host(), &bp, &hc->balloon);
	if (error != 0)
		errx(1, "dynamic memory: %s", strerror(error));
}

void
hostedctl_start(struct hostedctl *hc)
{
	char msg[256];
	int error;

	hc->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (hc->stop_fd < 0)
		err(1, "eventfd");
	error = pthread_create(&hc->guest, NULL, guest_main, hc);
	if (error == 0 && hc->path != NULL) {
		if (ctl_open(hc->path, vm_host(), &hostedctl_ops, hc,
		    &hc->server, msg, sizeof(msg)) != 0)
			errx(1, "%s", msg);
		error = pthread_create(&hc->control, NULL, control_main, hc);
	}
	if (error != 0)
		errx(1, "thread: %s", strerror(error));
}

void
hostedctl_stop(struct hostedctl *hc)
{
	const uint64_t one = 1;

	if (write(hc->stop_fd, &one, sizeof(one)) != sizeof(one))
		warn("eventfd");
	(void)pthread_join(hc->guest, NULL);
	if (hc->server != NULL) {
		(void)pthread_join(hc->control, NULL);
		ctl_close(hc->server, true);
		hc->server = NULL;
	}
	(void)close(hc->stop_fd);
}
