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
#define	OPT_NETS_MAX		8u

#define	OPT_SERVICE_MEMORY	HVH_IC_KINDS
#define	OPT_SERVICE_KEYBOARD	(HVH_IC_KINDS + 1)
#define	OPT_SERVICES		(HVH_IC_KINDS + 2)

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

struct opt_net {
	enum hvh_netbe_kind kind;
	const char	*name;		/* of the tap, path of the socket */
	const char	*pcap;		/* or NULL */
	bool		 have_mac;
	uint8_t		 mac[6];
	unsigned	 channels;	/* 0: as the library has it */
	unsigned	 mtu;		/* most the host grants, 0: same */
	uint32_t	 version;	/* NVSP, 0: newest */
	bool		 link_down;
	bool		 restricted;
	struct hvh_netbe_faults faults;
	char		*words;		/* what the names point into */
};

enum opt_console { CONSOLE_STDIO, CONSOLE_PTY, CONSOLE_FILE, CONSOLE_NONE };

struct options {
	struct vmm_config	 vmm;
	struct vmm_boot_params	 boot;
	struct opt_disk		 disk[OPT_DISKS_MAX];
	unsigned		 ndisks;
	struct opt_net		 net[OPT_NETS_MAX];
	unsigned		 nnets;
	unsigned		 subchannels;	/* most the host grants */
	uint16_t		 vstor_version;	/* 0: newest */
	/* Bits by hvh_ic_kind, and behind them memory's and the keyboard's. */
	uint32_t		 services;
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
