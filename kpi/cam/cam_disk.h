/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Disks: one structure for each unit of da and cd.  They stay allocated for
 * ever and are found by number, so that a request takes no lock but its disk's;
 * kd_state tells whether there is a device behind.
 *
 * Lock key: (k) kd_mtx, (l) kcam_disks_mtx, (p) written while no request can
 * be under way or under (k), read by requests.
 */

#ifndef KPI_CAM_DISK_H
#define	KPI_CAM_DISK_H

#include "cam_var.h"

#include <kpi.h>

#define	KCAM_DISK_UNITS		256	/* of a kind */
#define	KCAM_UNMAP_RANGES	128	/* in one UNMAP, at most */

#define	KCAM_UNMAP_SIZE		(sizeof(struct scsi_unmap_header) +	\
    KCAM_UNMAP_RANGES * sizeof(struct scsi_unmap_desc))

struct kcam_disk;

/* A kind of disk. */
struct kcam_disk_type {
	const char	*dt_name;
	bool		 dt_readonly;
	/* Reads capacity and limits into kd; on the scan thread. */
	int		(*dt_probe)(struct kcam_disk *kd);
};
extern const struct kcam_disk_type kcam_da, kcam_cd;

enum kcam_disk_state {
	KD_FREE,		/* no device */
	KD_PROBING,		/* attached, not yet open for requests */
	KD_READY,
	KD_GONE			/* device lost, requests still outside */
};

struct kcam_geometry {
	uint64_t		 kg_sectors;
	uint32_t		 kg_secsize;
	uint32_t		 kg_maxio;	/* bytes */
	bool			 kg_readonly;
	bool			 kg_unmap;
	uint32_t		 kg_unmap_lbas;	/* in one UNMAP */
	uint32_t		 kg_unmap_ranges;
	int			 kg_min_cdb;
};

struct kcam_disk_stats {
	uint64_t		 ks_reads, ks_writes, ks_flushes, ks_deletes;
	uint64_t		 ks_bytes_read, ks_bytes_written;
	uint64_t		 ks_errors, ks_retries, ks_timeouts;
	uint64_t		 ks_depth_max;	/* commands at once */
};

struct kcam_ioq {
	struct kpi_disk_io	*iq_first, *iq_last;
};

/* A CCB of a disk's cache. */
struct kcam_dccb {
	struct ccb_scsiio	 dc_csio;	/* first */
	SLIST_ENTRY(kcam_dccb)	 dc_link;	/* (k) */
	STAILQ_ENTRY(kcam_dccb)	 dc_send;
	/* The request it does a part of; NULL: what dc_ended says, too. */
	struct kpi_disk_io	*dc_io;
	struct kcam_ioq		 dc_ended;	/* those an UNMAP ends */
};
SLIST_HEAD(kcam_dccbs, kcam_dccb);

struct kcam_disk {
	struct mtx		 kd_mtx;
	const struct kcam_disk_type *kd_type;
	enum kcam_disk_state	 kd_state;	/* (k) */
	struct cam_periph	 kd_periph;	/* (p) */
	struct kcam_geometry	 kd_geo;	/* (k) */
	struct scsi_inquiry_data kd_inq;	/* (p) */

	struct kcam_ioq		 kd_queue;	/* (k) not wholly issued */
	struct kcam_ioq		 kd_deletes;	/* (k) the same for DELETE */
	bool			 kd_deleting;	/* (k) an UNMAP is out */
	struct kcam_dccbs	 kd_free;	/* (k) */
	u_int			 kd_nccbs;	/* (k) in cache and out */
	u_int			 kd_maxccbs;	/* (p) */
	u_int			 kd_active;	/* (k) CCBs out */
	bool			 kd_no_sync;	/* (k) lacks SYNCHRONIZE
						 * CACHE */
	struct kcam_disk_stats	 kd_stats;	/* (k) */
	struct kcam_dccb	*kd_reserve;	/* (p) for dumps */
	uint8_t			*kd_unmap;	/* (p) list of the one UNMAP */

	struct kcam_work	 kd_work;
	struct sysctl_ctx_list	 kd_sysctl;
	TAILQ_ENTRY(kcam_disk)	 kd_link;	/* (l) order of attachment */
};

/* Progress of a request in its priv[], under (k). */
static inline struct kpi_disk_io **
kio_next(struct kpi_disk_io *io)
{

	return ((struct kpi_disk_io **)&io->priv[0]);
}

static inline uintptr_t *
kio_issued(struct kpi_disk_io *io)
{

	return ((uintptr_t *)&io->priv[1]);	/* bytes */
}

static inline uintptr_t *
kio_out(struct kpi_disk_io *io)
{

	return ((uintptr_t *)&io->priv[2]);	/* commands */
}

static inline uintptr_t *
kio_error(struct kpi_disk_io *io)
{

	return ((uintptr_t *)&io->priv[3]);
}

/* cam_disk.c */
struct kcam_disk *kcam_disk_find(const char *name);
/* (k) held, which is dropped; frees the unit if nothing is out any more. */
void		 kcam_disk_unlock(struct kcam_disk *kd);

/* cam_diskio.c */
struct kcam_dccb *kcam_dccb_alloc(int how);
void		 kcam_dccb_free(struct kcam_dccb *dc);
/* (k) held: takes every request off the queues, onto *failed. */
void		 kcam_disk_drain(struct kcam_disk *kd, struct kcam_ioq *failed);
void		 kcam_disk_fail(struct kcam_ioq *failed, int error);
/* Completes what was answered while a dump polled; the scheduler runs again. */
void		 kcam_disk_late(void);

/* cam_disksys.c */
void		 kcam_disk_sysctl(struct kcam_disk *kd);

/* cam_announce.c */
void		 kcam_announce(struct kcam_disk *kd);
void		 kcam_denounce(struct kcam_disk *kd);

#endif	/* !KPI_CAM_DISK_H */
