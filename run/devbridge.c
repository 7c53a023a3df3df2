/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * See devbridge.h.  One thread accepts; each connection has two, one a
 * direction.  Each ends the other: the socket is shut down, and polls of the
 * file are told to end.
 */

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devbridge.h"
#include "kpi.h"

/* kpi_dev_open()'s: to read, to write, not to block. */
#define	DEV_FLAGS	(1 | 2 | 4)
/* FreeBSD's numbers. */
#define	DEV_EAGAIN	35
#define	DEV_EMSGSIZE	40
#define	DEV_ESTALE	70

struct connection {
	LIST_ENTRY(connection)	 c_link;
	struct devbridge	*c_bridge;
	struct kpi_devfile	*c_file;
	int			 c_fd;
	bool			 c_over;	/* under db_lock */
	pthread_t		 c_main, c_reader;
	char			 c_in[DEVBRIDGE_MSG];
	char			 c_out[DEVBRIDGE_MSG];
};

struct devbridge {
	char			 db_node[64];
	char			 db_path[sizeof(((struct sockaddr_un *)0)->
				    sun_path)];
	int			 db_fd;
	pthread_t		 db_thread;
	atomic_uint		 db_total, db_open;
	pthread_mutex_t		 db_lock;
	LIST_HEAD(, connection)	 db_list;	/* db_thread's, then stop's */
};

static void
bridge_say(const struct devbridge *db, const char *what, int error)
{

	fprintf(stderr, "%s: %s: error %d; the connection ends\n", db->db_node,
	    what, error);
}

/* From the driver to the process; ends with the file. */
static void *
connection_reader(void *arg)
{
	struct connection *c = arg;
	kpi_size len;
	int error, revents;

	for (;;) {
		error = kpi_dev_poll(c->c_file, POLLIN, -1, &revents);
		if (error == 0 && (revents & POLLIN) == 0)
			break;
		if (error == 0)
			error = kpi_dev_read(c->c_file, c->c_out,
			    sizeof(c->c_out), &len);
		if (error == DEV_EAGAIN)
			continue;
		if (error != 0) {
			bridge_say(c->c_bridge, "read", error);
			break;
		}
		if (send(c->c_fd, c->c_out, len, MSG_NOSIGNAL) < 0)
			break;
	}
	(void)shutdown(c->c_fd, SHUT_RDWR);
	return (NULL);
}

/* From the process to the driver; ends with the socket. */
static void
connection_writer(struct connection *c)
{
	struct iovec iov = { .iov_base = c->c_in, .iov_len = sizeof(c->c_in) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	kpi_size done;
	ssize_t len;
	int error;

	for (;;) {
		len = recvmsg(c->c_fd, &msg, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			break;
		if ((msg.msg_flags & MSG_TRUNC) != 0) {
			bridge_say(c->c_bridge, "message too long",
			    DEV_EMSGSIZE);
			break;
		}
		error = kpi_dev_write(c->c_file, c->c_in, len, &done);
		/* An answer that came too late: its writer would go on. */
		if (error != 0 && error != DEV_ESTALE) {
			bridge_say(c->c_bridge, "write", error);
			break;
		}
	}
	(void)shutdown(c->c_fd, SHUT_RDWR);
	kpi_dev_hangup(c->c_file);
}

static void *
connection_main(void *arg)
{
	struct connection *c = arg;
	struct devbridge *db = c->c_bridge;
	int error;

	error = kpi_dev_open(db->db_node, DEV_FLAGS, &c->c_file);
	if (error != 0)
		bridge_say(db, "open", error);
	else if (pthread_create(&c->c_reader, NULL, connection_reader,
	    c) == 0) {
		connection_writer(c);
		(void)pthread_join(c->c_reader, NULL);
	}
	if (error == 0)
		(void)kpi_dev_close(c->c_file);
	/* In this order: who sees the end of the connection may open anew. */
	pthread_mutex_lock(&db->db_lock);
	(void)close(c->c_fd);
	c->c_over = true;
	pthread_mutex_unlock(&db->db_lock);
	atomic_fetch_sub(&db->db_open, 1);
	return (NULL);
}

static void
bridge_connect(struct devbridge *db, int fd)
{
	struct connection *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->c_bridge = db;
	c->c_fd = fd;
	atomic_fetch_add(&db->db_total, 1);
	atomic_fetch_add(&db->db_open, 1);
	if (pthread_create(&c->c_main, NULL, connection_main, c) == 0) {
		LIST_INSERT_HEAD(&db->db_list, c, c_link);
		return;
	}
	atomic_fetch_sub(&db->db_open, 1);
	(void)close(fd);
	free(c);
}

/* Joins the connections that are over; with end, makes all be. */
static void
bridge_reap(struct devbridge *db, bool end)
{
	struct connection *c, *next;
	bool over;

	for (c = LIST_FIRST(&db->db_list); c != NULL; c = next) {
		next = LIST_NEXT(c, c_link);
		pthread_mutex_lock(&db->db_lock);
		over = c->c_over;
		if (!over && end)
			(void)shutdown(c->c_fd, SHUT_RDWR);
		pthread_mutex_unlock(&db->db_lock);
		if (!over && !end)
			continue;
		(void)pthread_join(c->c_main, NULL);
		LIST_REMOVE(c, c_link);
		free(c);
	}
}

/* Until the socket is shut down. */
static void *
bridge_main(void *arg)
{
	struct devbridge *db = arg;
	int fd;

	for (;;) {
		fd = accept4(db->db_fd, NULL, NULL, SOCK_CLOEXEC);
		bridge_reap(db, false);
		if (fd >= 0)
			bridge_connect(db, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			return (NULL);
	}
}

static bool
bridge_listen(struct devbridge *db, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (false);
	}
	strcpy(sun.sun_path, path);
	strcpy(db->db_path, path);
	(void)unlink(path);
	db->db_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return (db->db_fd >= 0 && bind(db->db_fd, (struct sockaddr *)&sun,
	    sizeof(sun)) == 0 && listen(db->db_fd, 8) == 0);
}

struct devbridge *
devbridge_start(const char *node, const char *path, char *err, size_t errlen)
{
	struct devbridge *db;

	db = calloc(1, sizeof(*db));
	if (db == NULL) {
		snprintf(err, errlen, "%s: no memory", path);
		return (NULL);
	}
	snprintf(db->db_node, sizeof(db->db_node), "%s", node);
	(void)pthread_mutex_init(&db->db_lock, NULL);
	LIST_INIT(&db->db_list);
	db->db_fd = -1;
	if (!bridge_listen(db, path) ||
	    (errno = pthread_create(&db->db_thread, NULL, bridge_main,
	    db)) != 0) {
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		if (db->db_fd >= 0)
			(void)close(db->db_fd);
		free(db);
		return (NULL);
	}
	return (db);
}

void
devbridge_stop(struct devbridge *db)
{

	(void)shutdown(db->db_fd, SHUT_RDWR);
	(void)pthread_join(db->db_thread, NULL);
	(void)close(db->db_fd);
	(void)unlink(db->db_path);
	bridge_reap(db, true);
	(void)pthread_mutex_destroy(&db->db_lock);
	free(db);
}

unsigned
devbridge_total(const struct devbridge *db)
{

	return (atomic_load(&db->db_total));
}

unsigned
devbridge_open(const struct devbridge *db)
{

	return (atomic_load(&db->db_open));
}
