/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel's end: /dev/hv_kvp_dev, or a socket of packets that carries the
 * same messages.  One read and one write is one message.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "hv_kvp_daemon.h"

static int
connect_socket(const char *path)
{
	struct sockaddr_un sun;
	int error, fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-1);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		error = errno;
		(void)close(fd);
		errno = error;
		return (-1);
	}
	return (fd);
}

int
kvp_dev_open(const char *path)
{
	struct hv_kvp_dev_msg km;
	struct stat st;
	int error, fd;

	if (stat(path, &st) != 0)
		return (-1);
	fd = S_ISSOCK(st.st_mode) ? connect_socket(path) :
	    open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return (-1);
	memset(&km, 0, sizeof(km));
	km.km_type = HV_KVP_DEV_REGISTER;
	km.km_version = HV_KVP_DEV_VERSION;
	if (write(fd, &km, sizeof(km)) != (ssize_t)sizeof(km)) {
		error = errno;
		(void)close(fd);
		errno = error;
		return (-1);
	}
	return (fd);
}

int
kvp_dev_read(int fd, struct hv_kvp_dev_msg *km)
{
	ssize_t n;

	n = read(fd, km, sizeof(*km));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return (0);
	if (n < 0 && errno != ENXIO && errno != ECONNRESET)
		kvp_log(LOG_ERR, "reading a request: %s", strerror(errno));
	if (n <= 0)
		return (-1);
	if (n != (ssize_t)sizeof(*km) || km->km_type != HV_KVP_DEV_REQUEST ||
	    km->km_version != HV_KVP_DEV_VERSION) {
		kvp_log(LOG_ERR, "no request: %zd bytes", n);
		return (-1);
	}
	return (1);
}

int
kvp_dev_answer(int fd, struct hv_kvp_dev_msg *km, uint32_t status)
{

	km->km_type = HV_KVP_DEV_ANSWER;
	km->km_status = status;
	if (write(fd, km, sizeof(*km)) == (ssize_t)sizeof(*km))
		return (1);
	/* The host has been told of a failure by now. */
	if (errno == ESTALE) {
		kvp_log(LOG_WARNING, "answer to request %u came too late",
		    km->km_id);
		return (1);
	}
	if (errno != ENXIO && errno != EPIPE && errno != ECONNRESET)
		kvp_log(LOG_ERR, "writing an answer: %s", strerror(errno));
	return (-1);
}
