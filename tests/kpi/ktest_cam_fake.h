/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A SIM of memory disks for the tests of the hosted CAM: any layout of units on
 * one target, commands that wait until a test lets them go, errors on demand.
 */

#ifndef KTEST_CAM_FAKE_H
#define	KTEST_CAM_FAKE_H

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>

#include <kpi.h>
#include <waist.h>

#include "ktest.h"

#define	FAKE_LUNS	64

enum fake_absent {
	FAKE_QUALIFIER,		/* INQUIRY says 7f */
	FAKE_NOT_THERE,		/* CAM_DEV_NOT_THERE */
	FAKE_SELTO		/* CAM_SEL_TIMEOUT */
};

struct fake_lun {
	bool		 fl_present;
	uint8_t		 fl_type;
	bool		 fl_readonly;
	bool		 fl_thin;
	bool		 fl_untagged;
	uint64_t	 fl_sectors;
	uint32_t	 fl_secsize;
	uint8_t		*fl_data;	/* NULL: reads zeroes */
	uint32_t	 fl_max_unmap;	/* sectors in one UNMAP */

	/* The next fl_fail reads and writes (all: any command) end so. */
	u_int		 fl_fail;
	bool		 fl_fail_all;
	uint32_t	 fl_status;	/* CAM status */
	uint8_t		 fl_scsi;
	uint8_t		 fl_key, fl_asc, fl_ascq;
	bool		 fl_freeze;	/* with CAM_DEV_QFRZN */

	u_int		 fl_ops[256];	/* commands by code */
	uint8_t		 fl_cdb[16];	/* of the last read or write */
	uint32_t	 fl_longest;	/* bytes, of a read or write */
	u_int		 fl_out;
	u_int		 fl_tagged;	/* reads and writes with a tag */
	u_int		 fl_ranges;	/* of the last UNMAP */
};

struct fake_sim {
	struct mtx	 fs_mtx;
	struct cam_sim	*fs_sim;
	struct cam_path	*fs_path;
	struct fake_lun	 fs_lun[FAKE_LUNS];
	bool		 fs_report_luns;
	enum fake_absent fs_absent;
	u_int		 fs_max_target, fs_initiator, fs_maxio;
	cam_xport	 fs_transport;
	bool		 fs_noscan;	/* PIM_NOSCAN */
	bool		 fs_unlocked;	/* a SIM without mutex */
	u_int		 fs_openings, fs_queue;

	bool		 fs_hold;	/* keep reads and writes */
	STAILQ_HEAD(, ccb_hdr) fs_held;	/* fs_mtx */
	u_int		 fs_nheld;
	u_int		 fs_out, fs_out_max;
	u_int		 fs_resets, fs_bus_resets, fs_aborts, fs_polls;
	uint64_t	 fs_targets;	/* asked for, a bit each */
};

/* A SIM with defaults and no units; fake_attach() registers it. */
struct fake_sim	*fake_new(void);
void	fake_lun(struct fake_sim *fs, u_int lun, uint64_t sectors);
void	fake_attach(struct fake_sim *fs);
/* The same where memory may lack; false: it did. */
bool	fake_try_attach(struct fake_sim *fs);
void	fake_detach(struct fake_sim *fs);
/* fake_attach(), and waits until the scan is over. */
void	fake_scan(struct fake_sim *fs);
void	fake_rescan(struct fake_sim *fs);
/* Completes up to n held commands; returns how many. */
u_int	fake_release(struct fake_sim *fs, u_int n);
u_int	fake_held(struct fake_sim *fs);
/* Commands of that code which the unit has seen. */
u_int	fake_ops(struct fake_sim *fs, u_int lun, uint8_t code);
void	fake_lock(struct fake_sim *fs);
void	fake_unlock(struct fake_sim *fs);
/* Fails the next n reads and writes. */
void	fake_fail(struct fake_lun *fl, u_int n, uint32_t status);
void	fake_sense(struct fake_lun *fl, u_int n, uint8_t key, uint8_t asc,
	    uint8_t ascq);

/* A request, to be waited for. */
struct fake_io {
	struct kpi_disk_io	fi_io;
	volatile u_int		fi_done;	/* calls of done() */
	int			fi_error;
};

int	fake_start(struct fake_io *fi, const char *disk, enum kpi_disk_op op,
	    uint64_t offset, void *buf, size_t len);
/* Waits; the virtual clock runs meanwhile. */
int	fake_finish(struct fake_io *fi);
int	fake_do(const char *disk, enum kpi_disk_op op, uint64_t offset,
	    void *buf, size_t len);
u_int	fake_disks(void);
/* A counter of kern.cam.<disk>. */
uint64_t fake_counter(const char *disk, const char *name);

/* What another thread adds to with atomic_add_int(). */
#define	FAKE_GET(n)	atomic_load_acq_int(&(n))

/* Real time for what other threads do; false after ten seconds. */
#define	FAKE_UNTIL(e) __extension__ ({					\
	u_int _n;							\
									\
	for (_n = 0; _n < 50000 && !(e); _n++)				\
		hosted_sleep(200 * 1000);				\
	(e);								\
})

#endif	/* !KTEST_CAM_FAKE_H */
