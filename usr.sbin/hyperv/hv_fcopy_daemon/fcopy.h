/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Inside hv_fcopy_daemon(8).  Names are the host's and may be anything; files
 * are below one directory whatever they say.
 */

#ifndef FCOPY_H
#define	FCOPY_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- fcopy_name.c: names --- */

#define	FCOPY_COMPONENTS	64
#define	FCOPY_COMPONENT_MAX	255	/* bytes, as file systems have it */
#define	FCOPY_PATH_MAX		1024

/* A path below the directory: names without "/", none of them "." or "..". */
struct fcopy_path {
	char		 text[FCOPY_PATH_MAX];	/* with NULs in between */
	const char	*name[FCOPY_COMPONENTS];
	unsigned	 count;		/* the last is the file's */
};

/* How a name can be wrong, for the log. */
enum fcopy_wrong {
	FCOPY_RIGHT,
	FCOPY_EMPTY,
	FCOPY_UNTERMINATED,
	FCOPY_NOT_UTF16,
	FCOPY_CONTROL,		/* a control character */
	FCOPY_DOTS,		/* ".." */
	FCOPY_LONG,
	FCOPY_RESERVED		/* a name of the daemon's own */
};

/*
 * The file of units UTF-16 units each: folder, then name.  Both may have "/" in
 * them, which at the beginning is the directory's, and "\" is the same.
 */
enum fcopy_wrong fcopy_path_make(struct fcopy_path *fp, const uint16_t *folder,
	    const uint16_t *name, size_t units);
const char *fcopy_wrong_text(enum fcopy_wrong wrong);

/* What the file is called while it is incomplete, in its own folder. */
#define	FCOPY_PART	".hv_fcopy.part"
/* A symbolic link in the directory that says where that is. */
#define	FCOPY_PENDING	".hv_fcopy.pending"

/* --- fcopy_file.c: the file --- */

struct fcopy {
	int		 root;		/* the directory */
	int		 dir;		/* the file's folder, -1: no file */
	int		 fd;		/* the part */
	uint64_t	 size;		/* as the host said */
	uint64_t	 have;		/* so much has come */
	bool		 overwrite;
	char		 name[FCOPY_COMPONENT_MAX + 1];
};

/* root becomes its own.  Removes what an earlier daemon left. */
void	fcopy_init(struct fcopy *fc, int root);
bool	fcopy_active(const struct fcopy *fc);
/*
 * All return 0 or an errno; from fcopy_write() and fcopy_complete() the file is
 * gone with it.  fcopy_start() drops one that was not complete.
 */
int	fcopy_start(struct fcopy *fc, const struct fcopy_path *fp,
	    uint64_t size, bool overwrite, bool create_path);
int	fcopy_write(struct fcopy *fc, uint64_t offset, const void *data,
	    size_t len);
int	fcopy_complete(struct fcopy *fc);
void	fcopy_cancel(struct fcopy *fc);

#endif	/* !FCOPY_H */
