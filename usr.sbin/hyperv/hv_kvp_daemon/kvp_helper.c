/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The helper: a process that can do what one in capability mode cannot.  It is
 * handed requests about the system and its network, and nothing else; it ends
 * when the other process does.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "hvd.h"
#include "hv_kvp_daemon.h"

/* The kernel tells the host of a failure after five seconds. */
#define	ANSWER_MS	4600

/* The helper's end of the pair. */
#define	HELPER_FD	3

/* One that never changes the network needs no privileges. */
static void
drop_privileges(void)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return;
	pw = getpwnam("nobody");
	if (pw == NULL || setgroups(1, &pw->pw_gid) != 0 ||
	    setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0) {
		hvd_log(LOG_ERR, "helper: cannot become nobody");
		_exit(1);
	}
}

static void
helper_main(const struct kvp_ip_config *kc)
{
	static const char ready = '+';
	struct hv_kvp_dev_msg km;
	const int fd = HELPER_FD;
	sigset_t none;

	/* Neither the device nor the pools are for this process. */
	closelog();
	closefrom(HELPER_FD + 1);
	/* Nor is this descriptor for scripts. */
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (kc->kc_readonly)
		drop_privileges();
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (send(fd, &ready, sizeof(ready), MSG_NOSIGNAL) != sizeof(ready))
		return;
	while (recv(fd, &km, sizeof(km), 0) == (ssize_t)sizeof(km)) {
		if (km.km_op == HV_KVP_DEV_GET_IP ||
		    km.km_op == HV_KVP_DEV_SET_IP)
			km.km_status = kvp_ip_do(kc, &km);
		else
			km.km_status = kvp_os_do(&km);
		if (send(fd, &km, sizeof(km), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(km))
			break;
	}
}

/*
 * The helper has let go of the device and the pid file by the time that this
 * returns: they are this process's alone, and free when it ends.
 */
int
kvp_helper_start(struct kvp_helper *kh, const struct kvp_ip_config *kc)
{
	ssize_t n;
	int fds[2];
	pid_t pid;
	char ready;

	kh->kh_fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return (errno);
	pid = fork();
	if (pid < 0)
		return (errno);
	if (pid == 0) {
		if (fds[1] != HELPER_FD && dup2(fds[1], HELPER_FD) < 0)
			_exit(1);
		helper_main(kc);
		_exit(0);
	}
	(void)close(fds[1]);
	do
		n = recv(fds[0], &ready, sizeof(ready), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(ready)) {
		(void)close(fds[0]);
		return (n < 0 ? errno : ECHILD);
	}
	kh->kh_fd = fds[0];
	return (0);
}

static void
helper_gone(struct kvp_helper *kh)
{

	hvd_log(LOG_ERR, "the helper is gone: nothing is known of the system "
	    "and its network any more");
	(void)close(kh->kh_fd);
	kh->kh_fd = -1;
}

/* Milliseconds since first. */
static int
since(const struct timespec *first)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return ((int)((now.tv_sec - first->tv_sec) * 1000 +
	    (now.tv_nsec - first->tv_nsec) / 1000000));
}

uint32_t
kvp_helper_do(struct kvp_helper *kh, struct hv_kvp_dev_msg *km)
{
	struct pollfd pfd = { .fd = kh->kh_fd, .events = POLLIN };
	struct hv_kvp_dev_msg answer;
	struct timespec start;
	ssize_t n;
	int left;

	if (kh->kh_fd < 0)
		return (HV_KVP_DEV_FAILED);
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	if (send(kh->kh_fd, km, sizeof(*km), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(*km)) {
		if (errno != EAGAIN && errno != ENOBUFS)
			helper_gone(kh);
		return (HV_KVP_DEV_FAILED);
	}
	while ((left = ANSWER_MS - since(&start)) > 0) {
		if (poll(&pfd, 1, left) <= 0)
			continue;
		n = recv(kh->kh_fd, &answer, sizeof(answer), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n != (ssize_t)sizeof(answer)) {
			helper_gone(kh);
			return (HV_KVP_DEV_FAILED);
		}
		/* One that was given up is answered late. */
		if (answer.km_id != km->km_id || answer.km_op != km->km_op)
			continue;
		*km = answer;
		return (answer.km_status);
	}
	hvd_log(LOG_ERR, "the helper takes too long");
	return (HV_KVP_DEV_FAILED);
}
