/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A hosted virtual machine: the hosted FreeBSD kernel and a Hyper-V partition
 * over the same guest memory, in one process.  One a process, since there is
 * one kernel a process; so the functions take no handle.
 *
 * The partition's pump runs on a thread of its own, as a hypervisor would
 * beside its guest, unless vm_config.no_pump says that the caller pumps.
 */

#ifndef RUN_VM_H
#define	RUN_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hvhost.h"
#include "kpi.h"

#define	VM_MODERATE_NS	500000		/* for those who want it */

struct vm_config {
	unsigned	 cpus;			/* 0: 4 */
	size_t		 memory;		/* bytes, 0: 512 MiB */
	bool		 virtual_clock;		/* vm_advance() moves time */
	bool		 scatter;		/* see struct kpi_config */
	bool		 quiet;			/* no dmesg */
	bool		 no_pump;		/* the caller runs vm_pump() */
	bool		 no_autoeoi;
	bool		 preload;		/* vm_boot() does vm_load()'s
						 * work, while it boots */
	bool		 time;			/* hv_time as well, which cannot
						 * be unloaded */
	bool		 monitor_pages;
	uint64_t	 moderate_ns;		/* see struct hvh_config */
	uint32_t	 max_version;		/* VMBus, 0: newest */
	uint64_t	 tsc_hz;		/* see struct hvh_config */
	struct hvh_shown shown;			/* of the hypervisor */
	const char	*const *kenv;		/* "name=value", then NULL */
	void		(*console)(void *arg, const char *line);
	void		*console_arg;
};

/*
 * Maps guest memory and creates the partition.  Devices are added to
 * vm_host() before vm_boot() as a rule.  Ends the process with a message
 * where the machine cannot do it: nothing can be run without.
 */
void	vm_create(const struct vm_config *cf);
struct hvh *vm_host(void);

/* Boots the kernel; no module is loaded yet unless it was preloaded. */
void	vm_boot(void);
/*
 * Loads hv_vmbus and the class drivers; unloads those that are loaded, waiting
 * for devices that are just going.  errno of the first failure.
 */
int	vm_load(void);
int	vm_unload(void);

/* Shuts the kernel down, ends the pump, destroys the partition. */
void	vm_destroy(void);

/* Virtual clock: lets ns pass for guest and host, in steps that let both act
 * on what falls due. */
void	vm_advance(uint64_t ns);
/* no_pump: one round.  With a pump thread: waits for one whole round of it. */
void	vm_pump(void);
/* Monotonic nanoseconds of the partition. */
uint64_t vm_now(void);
/* The host's time of day, nanoseconds since 1970. */
uint64_t vm_wall(void);

#endif	/* !RUN_VM_H */
