/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the daemons of the integration services have in common: a device node
 * whose messages are requests and answers, signals, a pid file, a log.
 */

#ifndef HVD_H
#define	HVD_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

struct hvd {
	const char	*hd_name;	/* of the program */
	const char	*hd_dev;	/* path of the node */
	const char	*hd_pidfile;	/* NULL: none */
	bool		 hd_foreground;
	int		 hd_fd;		/* of the node */
};

/*
 * Opens the node, becomes a daemon unless in the foreground, and writes the pid
 * file; exits with a message if it cannot.  From then on messages are logged,
 * and SIGTERM and SIGINT end hvd_receive().
 */
void	hvd_start(struct hvd *hd);
/*
 * Closes the pid file, which stays: UFS is not suspended for a process that has
 * a file of it open for writing, and closing one that is open for reading would
 * wait for the end of that.  The node is locked all the same.
 */
void	hvd_pidfile_release(void);
/* Removes the pid file. */
void	hvd_stop(struct hvd *hd);
/* The same, and ends the process with the reason, an errno, in the log. */
void	hvd_fail(struct hvd *hd, const char *what, int error)
	    __attribute__((__noreturn__));

enum hvd_event {
	HVD_MESSAGE,
	HVD_TIMEOUT,
	HVD_QUIT,		/* a signal */
	HVD_GONE		/* the node; errno, or 0 */
};

/* Waits up to ms for a message, for ever if negative. */
enum hvd_event hvd_receive(struct hvd *hd, int ms, void *buf, size_t size,
	    size_t *len);
/*
 * False: the node is gone.  An answer that came too late is none, and no
 * error.
 */
bool	hvd_send(struct hvd *hd, const void *buf, size_t len);

/* --- hvd_log.c --- */

void	hvd_log_open(const char *name, bool foreground);
/* To syslog, or in the foreground to standard error; syslog's priorities. */
void	hvd_log(int priority, const char *fmt, ...)
	    __attribute__((__format__(__printf__, 2, 3)));
/* Until the release messages are kept, as far as there is room for them. */
void	hvd_log_hold(void);
void	hvd_log_release(void);

#endif	/* !HVD_H */
