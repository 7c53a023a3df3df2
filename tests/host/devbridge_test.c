/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A device node as a socket: what a process on the socket sees of the driver,
 * and the driver of the process.  The driver is this file's own: it keeps one
 * message, which comes back when it is read.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>

#include "devbridge.h"
#include "kpi.h"

#define	EBUSY_FREEBSD	16
#define	EINVAL_FREEBSD	22
#define	ENXIO_FREEBSD	6
#define	ENOENT_FREEBSD	2
#define	EAGAIN_FREEBSD	35
#define	ESTALE_FREEBSD	70

#define	WAIT_MS		20000

/* --- The driver --- */

struct kpi_devfile {
	bool		 leaving;
};

static struct {
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct kpi_devfile file;
	bool		 open, gone;
	unsigned	 opens, closes;
	unsigned char	 msg[DEVBRIDGE_MSG];
	size_t		 len;		/* 0: none */
} dev = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

int
kpi_dev_open(const char *name, int flags, struct kpi_devfile **fp)
{
	int error = 0;

	ATF_REQUIRE_EQ(7, flags);
	if (strcmp(name, "node") != 0)
		return (ENOENT_FREEBSD);
	pthread_mutex_lock(&dev.lock);
	if (dev.open)
		error = EBUSY_FREEBSD;
	else {
		dev.open = true;
		dev.opens++;
		dev.file.leaving = false;
		*fp = &dev.file;
	}
	pthread_mutex_unlock(&dev.lock);
	return (error);
}

int
kpi_dev_close(struct kpi_devfile *f)
{

	pthread_mutex_lock(&dev.lock);
	dev.open = false;
	dev.closes++;
	pthread_cond_broadcast(&dev.changed);
	pthread_mutex_unlock(&dev.lock);
	return (0);
}

int
kpi_dev_poll(struct kpi_devfile *f, int events, int ms, int *revents)
{

	ATF_REQUIRE(ms < 0);
	pthread_mutex_lock(&dev.lock);
	while (dev.len == 0 && !dev.gone && !f->leaving)
		pthread_cond_wait(&dev.changed, &dev.lock);
	*revents = dev.len > 0 || dev.gone ? POLLIN : POLLHUP;
	pthread_mutex_unlock(&dev.lock);
	return (0);
}

void
kpi_dev_hangup(struct kpi_devfile *f)
{

	pthread_mutex_lock(&dev.lock);
	f->leaving = true;
	pthread_cond_broadcast(&dev.changed);
	pthread_mutex_unlock(&dev.lock);
}

int
kpi_dev_read(struct kpi_devfile *f, void *buf, kpi_size len, kpi_size *done)
{
	int error = 0;

	pthread_mutex_lock(&dev.lock);
	ATF_REQUIRE(len >= dev.len);
	if (dev.gone)
		error = ENXIO_FREEBSD;
	else if (dev.len == 0)
		error = EAGAIN_FREEBSD;
	else {
		memcpy(buf, dev.msg, dev.len);
		*done = dev.len;
		dev.len = 0;
		pthread_cond_broadcast(&dev.changed);
	}
	pthread_mutex_unlock(&dev.lock);
	return (error);
}

/* "bad" is not liked, "late" is dropped. */
int
kpi_dev_write(struct kpi_devfile *f, const void *buf, kpi_size len,
    kpi_size *done)
{

	if (len == 3 && memcmp(buf, "bad", 3) == 0)
		return (EINVAL_FREEBSD);
	if (len == 4 && memcmp(buf, "late", 4) == 0)
		return (ESTALE_FREEBSD);
	pthread_mutex_lock(&dev.lock);
	while (dev.len > 0)
		pthread_cond_wait(&dev.changed, &dev.lock);
	memcpy(dev.msg, buf, len);
	dev.len = *done = len;
	pthread_cond_broadcast(&dev.changed);
	pthread_mutex_unlock(&dev.lock);
	return (0);
}

/* --- The process --- */

static struct devbridge *bridge;

static void
start(const char *node)
{
	char msg[256];

	bridge = devbridge_start(node, "sock", msg, sizeof(msg));
	ATF_REQUIRE_MSG(bridge != NULL, "%s", msg);
}

static int
connection(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return (fd);
}

static ssize_t
receive(int fd, void *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ATF_REQUIRE_EQ_MSG(1, poll(&p, 1, WAIT_MS), "nothing came");
	return (recv(fd, buf, len, 0));
}

static void
ends(int fd)
{
	char c;

	ATF_CHECK(receive(fd, &c, 1) <= 0);
	close(fd);
}

static void
closed(unsigned times)
{

	pthread_mutex_lock(&dev.lock);
	while (dev.closes < times)
		pthread_cond_wait(&dev.changed, &dev.lock);
	ATF_CHECK(!dev.open);
	ATF_CHECK_EQ(dev.closes, dev.opens);
	pthread_mutex_unlock(&dev.lock);
}

ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	static char in[DEVBRIDGE_MSG], out[DEVBRIDGE_MSG];
	static const size_t len[] = { 1, 4, 7430, DEVBRIDGE_MSG };
	unsigned i;
	int fd;

	start("node");
	fd = connection();
	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		memset(out, 'a' + (int)i, len[i]);
		ATF_REQUIRE_EQ(len[i], send(fd, out, len[i], 0));
		ATF_REQUIRE_EQ(len[i], receive(fd, in, sizeof(in)));
		ATF_CHECK_EQ(0, memcmp(in, out, len[i]));
	}
	/* Two written at once are two read, not one. */
	ATF_REQUIRE_EQ(3, send(fd, "one", 3, 0));
	ATF_REQUIRE_EQ(4, send(fd, "late", 4, 0));
	ATF_REQUIRE_EQ(5, send(fd, "other", 5, 0));
	ATF_CHECK_EQ(3, receive(fd, in, sizeof(in)));
	ATF_CHECK_EQ(5, receive(fd, in, sizeof(in)));
	close(fd);
	closed(1);
	devbridge_stop(bridge);
}

/* Who may open the node says the driver; the next one can when it is free. */
ATF_TC_WITHOUT_HEAD(one_at_a_time);
ATF_TC_BODY(one_at_a_time, tc)
{
	char c;
	int fd;

	start("node");
	fd = connection();
	ATF_REQUIRE_EQ(1, send(fd, "x", 1, 0));
	ATF_REQUIRE_EQ(1, receive(fd, &c, 1));
	ends(connection());
	ATF_REQUIRE_EQ(1, send(fd, "x", 1, 0));
	ATF_REQUIRE_EQ(1, receive(fd, &c, 1));
	close(fd);
	closed(1);
	fd = connection();
	ATF_REQUIRE_EQ(1, send(fd, "x", 1, 0));
	ATF_REQUIRE_EQ(1, receive(fd, &c, 1));
	ATF_CHECK_EQ(3, devbridge_total(bridge));
	devbridge_stop(bridge);
	closed(2);
	ends(fd);
}

ATF_TC_WITHOUT_HEAD(errors);
ATF_TC_BODY(errors, tc)
{
	static char big[DEVBRIDGE_MSG + 1];
	int fd, room = 4 * DEVBRIDGE_MSG;

	start("node");
	fd = connection();
	ATF_REQUIRE_EQ(3, send(fd, "bad", 3, 0));
	ends(fd);
	closed(1);
	fd = connection();
	ATF_REQUIRE_EQ(0, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room,
	    sizeof(room)));
	ATF_REQUIRE_EQ(sizeof(big), send(fd, big, sizeof(big), 0));
	ends(fd);
	closed(2);
	/* The driver is unloaded. */
	fd = connection();
	pthread_mutex_lock(&dev.lock);
	dev.gone = true;
	pthread_cond_broadcast(&dev.changed);
	pthread_mutex_unlock(&dev.lock);
	ends(fd);
	closed(3);
	devbridge_stop(bridge);
	ATF_CHECK_EQ_MSG(-1, access("sock", F_OK), "the socket stays");
}

ATF_TC_WITHOUT_HEAD(no_node);
ATF_TC_BODY(no_node, tc)
{
	char msg[256];

	start("another");
	ends(connection());
	ends(connection());
	devbridge_stop(bridge);
	ATF_CHECK(devbridge_start("node", "/nowhere/sock", msg,
	    sizeof(msg)) == NULL);
	ATF_CHECK_MSG(strstr(msg, "/nowhere/sock") != NULL, "%s", msg);
	memset(msg, 'x', sizeof(msg) - 1);
	msg[sizeof(msg) - 1] = '\0';
	ATF_CHECK(devbridge_start("node", msg, msg, sizeof(msg)) == NULL);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, one_at_a_time);
	ATF_TP_ADD_TC(tp, errors);
	ATF_TP_ADD_TC(tp, no_node);
	return (atf_no_error());
}
