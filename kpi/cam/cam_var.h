/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files of the hosted CAM share: the private ends of the objects that
 * <cam/...> defines, and the functions between them.  Nothing outside this
 * folder includes it but the tests of this folder.
 *
 * Lock key: (d) device_mtx, (s) the SIM's mutex, (q) devq->send_mtx,
 * (b) eb_mtx, (t) kcam.topo_mtx, (x) kcam.xpt_mtx, (a) kcam.async_mtx.
 * Order: d, s, then one of q, t before b, x, a; a disk's own lock is taken
 * last and never held over xpt_action().
 */

#ifndef KPI_CAM_VAR_H
#define	KPI_CAM_VAR_H

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/condvar.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_queue.h>
#include <cam/cam_sim.h>
#include <cam/cam_periph.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_internal.h>
#include <cam/cam_xpt_periph.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_message.h>

MALLOC_DECLARE(M_CAMSIM);
MALLOC_DECLARE(M_CAMQ);
MALLOC_DECLARE(M_CAMCCB);
MALLOC_DECLARE(M_CAMPATH);
MALLOC_DECLARE(M_CAMDISK);

/* A SIM that no bus has been registered for. */
#define	CAM_PATH_ANY	((path_id_t)-1)

/* A queued CCB between its queue and sim_action(), which waits for (s). */
#define	KCAM_SENDING_INDEX	(-16)

struct kcam_ed {
	struct cam_ed		 ke_ed;		/* first */
	struct ccb_hdr_tailq	 ke_active;	/* (q) left the queue and are
						 * not done */
	TAILQ_ENTRY(kcam_ed)	 ke_run;	/* (q) */
	bool			 ke_running;	/* (q) on kq_run */
	struct callout		 ke_unfreeze;	/* (q) delayed release */
	bool			 ke_unfreeze_set; /* (q) */
	bool			 ke_rel_done;	/* (q) release when one is
						 * done, */
	bool			 ke_rel_empty;	/* (q) or all are */
	STAILQ_ENTRY(kcam_ed)	 ke_reap;	/* (x) */
};
TAILQ_HEAD(kcam_ed_run, kcam_ed);

struct kcam_devq {
	struct cam_devq		 kq_devq;	/* first */
	struct kcam_ed_run	 kq_run;	/* (q) devices with CCBs that
						 * no freeze holds back */
};

/* Something for the event thread to do. */
struct kcam_work {
	STAILQ_ENTRY(kcam_work)	 kw_link;	/* (x) */
	void			(*kw_fn)(void *);
	void			*kw_arg;
};

struct kcam_eb {
	struct cam_eb		 kb_eb;		/* first */
	volatile u_int		 kb_dead;	/* (q) deregistered */
	struct kcam_work	 kb_scan;	/* of the registration */
	STAILQ_ENTRY(kcam_eb)	 kb_lost_link;	/* (x) */
};

#define	KCAM_ED(ed)	((struct kcam_ed *)(void *)(ed))
#define	KCAM_DEVQ(q)	((struct kcam_devq *)(void *)(q))
#define	KCAM_EB(eb)	((struct kcam_eb *)(void *)(eb))

/* Flags that are looked at without the lock under which they change. */
static inline bool
kcam_bus_gone(struct cam_eb *bus)
{

	return (atomic_load_int(&KCAM_EB(bus)->kb_dead) != 0);
}

static inline bool
kcam_configured(struct cam_ed *ed)
{

	return ((atomic_load_int(&ed->flags) & CAM_DEV_UNCONFIGURED) == 0);
}

static inline bool
kcam_periph_gone(struct cam_periph *periph)
{

	return ((atomic_load_int(&periph->flags) & CAM_PERIPH_INVALID) != 0);
}

/* mtx_owned() with a read that needs no order: only one's own name counts. */
static inline bool
kcam_mtx_owned(struct mtx *mtx)
{

	return ((atomic_load_long((volatile u_long *)&mtx->mtx_lock) &
	    ~(u_long)MTX_FLAGMASK) == (u_long)curthread);
}

/* The subsystem. */
struct kcam {
	struct mtx		 topo_mtx;
	TAILQ_HEAD(, cam_eb)	 buses;		/* (t) by path id */
	u_int			 bus_generation; /* (t) */

	struct mtx		 xpt_mtx;
	STAILQ_HEAD(, ccb_hdr)	 events;	/* (x) sim_links; XPT_ASYNC */
	STAILQ_HEAD(, kcam_eb)	 lost_buses;	/* (x) */
	STAILQ_HEAD(, kcam_ed)	 reap;		/* (x) */
	STAILQ_HEAD(, kcam_work) works;		/* (x) */
	u_int			 events_busy;	/* (x) being delivered */
	STAILQ_HEAD(, ccb_hdr)	 scans;		/* (x) sim_links */
	int			 threads;	/* (x) alive */
	u_int			 boot_holds;	/* (x) */
	bool			 stopping;	/* (x) */

	struct mtx		 async_mtx;
	struct async_list	 asyncs;	/* (a) of no path */
};
extern struct kcam kcam;

/* cam_edt.c */
struct cam_eb	*kcam_bus_find(path_id_t id);
void		 kcam_bus_ref(struct cam_eb *bus);
void		 kcam_bus_release(struct cam_eb *bus);
cam_status	 kcam_device_get(struct cam_eb *bus, target_id_t target,
		    lun_id_t lun, int how, struct cam_et **et,
		    struct cam_ed **ed);
void		 kcam_device_put(struct cam_ed *ed);
/* The device that follows `after' (NULL: the first), with a reference. */
struct cam_ed	*kcam_device_next(struct cam_eb *bus, struct cam_ed *after);
void		 kcam_device_configured(struct cam_ed *ed, bool yes);
void		 kcam_device_free(struct kcam_ed *ke);

/* cam_path.c: what waits for memory if how says M_WAITOK. */
cam_status	 kcam_path_compile(struct cam_path *path,
		    struct cam_periph *periph, path_id_t id,
		    target_id_t target, lun_id_t lun, int how);
struct cam_path	*kcam_path_clone(struct cam_path *path, int how);

/* cam_send.c */
void		 kcam_queue(union ccb *ccb);
void		 kcam_run_devq(struct cam_devq *devq);
/* Ends what is queued for the device with status. */
void		 kcam_flush(struct cam_ed *ed, cam_status status);
void		 kcam_bus_dead(struct cam_eb *bus);
uint32_t	 kcam_rel_simq(struct cam_path *path, uint32_t flags,
		    uint32_t openings, uint32_t timeout_ms);
u_int		 kcam_sim_outstanding(struct cam_sim *sim, union ccb **atsim);
cam_status	 kcam_abort(union ccb *abort_ccb, struct cam_path *path);

/* cam_done.c */
void		 kcam_done_start(void);
void		 kcam_done_stop(void);
void		 kcam_done_poll(void);
/* Completes a CCB that no SIM has, in the done thread's context. */
void		 kcam_finish(union ccb *ccb, cam_status status);

/* cam_async.c */
void		 kcam_async_loop(void *arg);
void		 kcam_async_post(uint32_t code, struct cam_path *path,
		    void *arg, int how);
/* Takes the CCB to the event thread, which calls its cbfcnp. */
void		 kcam_async_queue(struct ccb_hdr *ccb_h);
void		 kcam_async_bus_lost(struct cam_eb *bus);
void		 kcam_async_drain(void);
void		 kcam_work_enqueue(struct kcam_work *kw, void (*fn)(void *),
		    void *arg);
cam_status	 kcam_async_register(struct cam_path *path, uint32_t events,
		    ac_callback_t *fn, void *arg);
void		 kcam_async_forget(struct async_list *list);

/* cam_scan.c */
void		 kcam_scan_loop(void *arg);
void		 kcam_reprobe(struct cam_path *path);
/* Asks for a scan of what the path names; may sleep. */
void		 kcam_scan_path(struct cam_path *path);

/* scsi_probe.c */
enum kcam_probe { KCAM_FOUND, KCAM_ABSENT, KCAM_UNCLEAR };
enum kcam_probe	 kcam_probe_lun(struct cam_path *path,
		    const struct ccb_pathinq *cpi);
int		 kcam_probe_vpd(struct cam_path *path, uint8_t page,
		    uint8_t *buf, u_int len, u_int *got);

/* cam_cmd.c: a command of the scan thread, which waits for it. */
struct kcam_cmd;
struct kcam_cmd	*kcam_cmd_alloc(struct cam_path *path);
struct ccb_scsiio *kcam_cmd_csio(struct kcam_cmd *cmd);
void		 kcam_cmd_done(struct cam_periph *periph, union ccb *ccb);
int		 kcam_cmd_run(struct kcam_cmd **cmdp, uint32_t sense_flags);
/* Data buffer of the command, at least the len asked for; NULL. */
uint8_t		*kcam_cmd_buf(struct kcam_cmd *cmd, u_int len);
void		 kcam_cmd_free(struct kcam_cmd *cmd);

/* cam_error.c */
int		 kcam_error(union ccb *ccb, uint32_t sense_flags);

/* cam_init.c */
void		 kcam_thread(void (*fn)(void *), void *arg, const char *name);
void		 kcam_thread_exit(void) __dead2;

/* cam_disk.c: what the scan and the event thread tell disks. */
void		 kcam_disk_found(struct cam_path *path);
/* (d) held. */
void		 kcam_disk_async(struct cam_periph *periph, uint32_t code,
		    void *arg);
void		 kcam_disk_fini(void);

extern int kcam_retry_count, kcam_default_timeout;

#endif	/* !KPI_CAM_VAR_H */
