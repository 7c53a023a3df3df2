/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For tests that join the real drivers with the real host model: a machine
 * with controllers and disks, checked I/O, and a look at what is left behind.
 * Each ATF case is a process of its own and has one machine.
 */

#ifndef TESTS_JOIN_JOIN_H
#define	TESTS_JOIN_JOIN_H

#include <atf-c.h>

#include "run/vm.h"

#define	JOIN_CONTROLLERS	4
#define	JOIN_NETS		4
#define	JOIN_SECTOR		512

struct join;

struct join_config {
	struct vm_config	 vm;
	unsigned		 controllers;	/* 0: 1 */
	unsigned		 luns;		/* a controller, 0: 1 */
	uint64_t		 disk_size;	/* bytes, 0: 8 MiB */
	uint16_t		 vstor_version;
	uint16_t		 subchannels;
	bool			 monitored;	/* see hvh_scsi_params */
	bool			 fast_clock;	/* 20 times real time */
	bool			 no_load;	/* modules stay out */
	bool			 no_disks;	/* nor controllers */
	/*
	 * Network adapters, even ones joined in memory with the next: what hn0
	 * sends comes to hn1.  MAC, GUID and back end are filled in.
	 */
	unsigned		 nets;
	struct hvh_net_params	 net;
	bool			 no_wait;	/* for the last of them */
	/* Before the machine boots; may be NULL. */
	void			(*prepare)(struct join *j);
};

struct join {
	struct hvh		*host;
	struct hvh_scsi		*scsi[JOIN_CONTROLLERS];
	struct hvh_net		*net[JOIN_NETS];
	struct hvh_netbe	*netbe;		/* far end of an odd one */
	uint64_t		 disk_size;
};

/* Makes the machine, boots it, loads the drivers, waits for all disks. */
void	join_start(struct join *j, const struct join_config *cf);
/* Unloads the drivers, shuts down and fails the case if anything leaked. */
void	join_finish(struct join *j);
/* The same, but what leaked is for the caller to judge: how many entries. */
unsigned join_end(struct join *j);
/* A memory disk for LUN lun of controller c. */
void	join_attach(struct join *j, unsigned c, unsigned lun, uint64_t size);
/* Controller c without disks; its first channel is so slow to open, in ns. */
void	join_slow_controller(struct join *j, unsigned c, uint64_t delay);
/* Network adapter number n; see struct join_config. */
void	join_hn_add(struct join *j, unsigned n,
	    const struct hvh_net_params *np);
/* Opens an interface and takes it up. */
struct kpi_net *join_hn_open(const char *name, const struct kpi_net_ops *ops,
	    void *arg);
/* A broadcast of one interface comes out of the other as it was. */
void	join_hn_pass(struct kpi_net *from, struct kpi_net *to, size_t len,
	    uint32_t seed);

/* One request, waited for; returns its errno. */
int	join_io(const char *disk, enum kpi_disk_op op, uint64_t offset,
	    void *buf, size_t len);
/*
 * Writes a pattern made from offset and seed over [offset, offset + len),
 * reads it back and compares; fails the case on any difference or error.
 */
void	join_verify(const char *disk, uint64_t offset, size_t len,
	    uint32_t seed);
void	join_pattern(void *buf, size_t len, uint64_t offset, uint32_t seed);
/* Reads only, and compares with what join_pattern() makes. */
void	join_check(const char *disk, uint64_t offset, size_t len,
	    uint32_t seed);

/* Waits up to ms real milliseconds for cond(arg); false: it never was. */
bool	join_wait(bool (*cond)(void *arg), void *arg, unsigned ms);
bool	join_disk_exists(void *name);
bool	join_disk_gone(void *name);
bool	join_sysctl_gone(void *name);

/* Numeric sysctl; 0 where there is none. */
kpi_u64	join_sysctl(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Fails the case unless a sysctl is there and has this value. */
void	join_is(const char *name, const char *want);

/*
 * What the kernel has allocated and how many threads it runs, with the device
 * events that nobody has read yet taken off their queue first.
 */
void	join_usage(struct kpi_stats *st);
/*
 * For join_wait(): there are no more threads than there were; those that were
 * ending by then have been counted.
 */
bool	join_no_more_threads(void *before);
/* Bytes that the kernel has allocated, once they have stopped changing. */
kpi_u64	join_settled(void);
/*
 * vm_unload(), and its error; fails the case unless so many bytes are
 * allocated afterwards, once the kernel's own threads have let go of theirs.
 */
int	join_unload(kpi_u64 settled);
/*
 * Loads hv_utils, which is not, again and again: the n-th of what it asks the
 * kernel for is refused, of each kind, for every n until it comes up, and
 * ready(arg) says so, without having asked so often.  Returns how many refusals
 * there were, with the module unloaded.
 */
unsigned join_refuse_each(bool (*ready)(void *arg), void *arg);

/* A background load of reads and writes with checked data on one disk. */
struct join_load;
struct join_load *join_load_start(const char *disk, uint64_t size,
	    unsigned depth);
/* Stops it; errors: how many requests failed; returns how many were made. */
uint64_t join_load_stop(struct join_load *l, uint64_t *errors);

/* A fault in one line. */
void	join_fault(struct join *j, enum hvh_fault_point point,
	    enum hvh_fault_action action, uint32_t key, uint32_t skip,
	    uint32_t times, uint64_t arg);

#endif	/* !TESTS_JOIN_JOIN_H */
