/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What our programs use of libxo(3), for building them where FreeBSD's own
 * header is not at hand.  On FreeBSD it is, and this one is not looked at.
 */

#ifndef USERLAND_XO_H
#define	USERLAND_XO_H

#include <sys/types.h>

typedef unsigned short xo_style_t;

#define	XO_STYLE_TEXT	0
#define	XO_STYLE_XML	1
#define	XO_STYLE_JSON	2
#define	XO_STYLE_HTML	3

int	xo_parse_args(int argc, char **argv);
xo_style_t xo_get_style(void *handle);
void	xo_set_version(const char *version);
ssize_t	xo_emit(const char *format, ...);
ssize_t	xo_open_container(const char *name);
ssize_t	xo_close_container(const char *name);
ssize_t	xo_open_list(const char *name);
ssize_t	xo_close_list(const char *name);
ssize_t	xo_open_instance(const char *name);
ssize_t	xo_close_instance(const char *name);
void	xo_error(const char *format, ...);
void	xo_warn(const char *format, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
void	xo_warnx(const char *format, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
ssize_t	xo_finish(void);

#endif	/* !USERLAND_XO_H */
