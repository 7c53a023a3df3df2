/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvhost's command line, parsed and checked as far as that goes without
 * touching anything.
 */

#ifndef VMM_OPTIONS_H
#define	VMM_OPTIONS_H

#include "vmm/machine.h"

#define	OPT_DISKS_MAX		260
#define	OPT_CONTROLLERS_MAX	4

struct opt_disk {
	bool		 ide;
	bool		 cdrom;
	const char	*file;
	unsigned	 controller;
	int		 lun;		/* SCSI; -1: the next free one */
	int		 channel, drive;	/* IDE; -1: the next free one */
	bool		 readonly;
	bool		 write_through;
	bool		 no_unmap;
	uint32_t	 block_size;
	uint64_t	 create;	/* bytes; 0: must be there */
	char		 serial[21];
	char		*words;		/* what file points into */
};

enum opt_console { CONSOLE_STDIO, CONSOLE_PTY, CONSOLE_FILE, CONSOLE_NONE };

struct options {
	struct vmm_config	 vmm;
	struct vmm_boot_params	 boot;
	struct opt_disk		 disk[OPT_DISKS_MAX];
	unsigned		 ndisks;
	unsigned		 subchannels;	/* most the host grants */
	uint16_t		 vstor_version;	/* 0: newest */
	enum opt_console	 console;
	const char		*console_file;
	const char		*control;
	char			*trace;
	uint32_t		 trace_snap;	/* bytes kept of a packet */
	const char		*stats;
	bool			 sandbox;
	bool			 no_uring;
	bool			 probe;
};

/*
 * Ends the process for --help and --version (status 0) and for a wrong option
 * (2, with one line that names it and what would be right).
 */
void	opt_parse(struct options *op, int argc, char **argv);

#endif	/* !VMM_OPTIONS_H */
