/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Open files of device nodes, for programs around the hosted kernel: what the
 * system calls and devfs(4) do between a process and a driver's cdevsw.
 */

#include "kpi_bus.h"

#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/file.h>
#include <sys/ioccom.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/mman.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>

#include <fs/devfs/devfs_int.h>

static MALLOC_DEFINE(M_DEVFILE, "devfile", "open device nodes");

struct kpi_devfile {
	struct file	df_file;	/* f_data: the cdev */
	struct cdev	*df_dev;	/* a reference */
	struct selinfo	df_leave;	/* who polls hears of df_leaving */
	u_int		df_leaving;	/* kpi_dev_hangup() */
};

static int	devfile_drop(struct kpi_devfile *df);

/* One call of a method: from enter to leave the device stays. */
struct devcall {
	struct thread	*dc_td;
	struct cdevsw	*dc_csw;
	struct file	*dc_saved;
	int		 dc_ref;
};

static int
devcall_enter(struct devcall *dc, struct kpi_devfile *df)
{

	dc->dc_td = kpi_thread_enter();
	dc->dc_csw = dev_refthread(df->df_dev, &dc->dc_ref);
	if (dc->dc_csw == NULL) {
		kpi_thread_leave(dc->dc_td);
		return (ENXIO);
	}
	atomic_add_int(&df->df_file.f_count, 1);
	dc->dc_saved = dc->dc_td->td_fpop;
	dc->dc_td->td_fpop = &df->df_file;
	if ((dc->dc_csw->d_flags & D_NEEDGIANT) != 0)
		mtx_lock(&Giant);
	return (0);
}

static void
devcall_leave(struct devcall *dc, struct kpi_devfile *df)
{

	if ((dc->dc_csw->d_flags & D_NEEDGIANT) != 0)
		mtx_unlock(&Giant);
	dc->dc_td->td_fpop = dc->dc_saved;
	dev_relthread(df->df_dev, dc->dc_ref);
	(void)devfile_drop(df);
	kpi_thread_leave(dc->dc_td);
}

int
kpi_dev_open(const char *name, int flags, struct kpi_devfile **dfp)
{
	struct kpi_devfile *df;
	struct thread *td;
	struct devcall dc;
	struct cdev *dev;
	int error;

	*dfp = NULL;
	td = kpi_thread_enter();
	df = malloc(sizeof(*df), M_DEVFILE, M_WAITOK | M_ZERO);
	dev_lock();
	dev = kpi_cdev_find(name);
	if (dev != NULL) {
		dev_refl(dev);
		dev->si_usecount++;
	}
	dev_unlock();
	error = ENOENT;
	if (dev != NULL) {
		df->df_dev = dev;
		df->df_file.f_data = dev;
		df->df_file.f_flag = flags;
		df->df_file.f_count = 1;
		error = devcall_enter(&dc, df);
		if (error == 0) {
			if (dc.dc_csw->d_open != NULL)
				error = dc.dc_csw->d_open(dev, flags, S_IFCHR,
				    dc.dc_td);
			devcall_leave(&dc, df);
		}
		if (error != 0) {
			kpi_cdevpriv_drop(&df->df_file);
			dev_lock();
			dev->si_usecount--;
			dev_unlock();
			dev_rel(dev);
		}
	}
	if (error != 0)
		free(df, M_DEVFILE);
	else
		*dfp = df;
	kpi_thread_leave(td);
	return (error);
}

/* d_close is for the last one to leave, unless the driver counts itself. */
static int
devfile_end(struct kpi_devfile *df)
{
	struct cdevsw *csw;
	struct cdev *dev;
	bool last;
	int error, ref;

	dev = df->df_dev;
	kpi_cdevpriv_drop(&df->df_file);
	dev_lock();
	last = --dev->si_usecount == 0;
	dev_unlock();
	error = 0;
	csw = dev_refthread(dev, &ref);
	if (csw != NULL && csw->d_close != NULL &&
	    (last || (csw->d_flags & D_TRACKCLOSE) != 0)) {
		if ((csw->d_flags & D_NEEDGIANT) != 0)
			mtx_lock(&Giant);
		error = csw->d_close(dev, df->df_file.f_flag, S_IFCHR,
		    curthread);
		if ((csw->d_flags & D_NEEDGIANT) != 0)
			mtx_unlock(&Giant);
	}
	dev_relthread(dev, ref);
	dev_rel(dev);
	seldrain(&df->df_leave);
	free(df, M_DEVFILE);
	return (error);
}

/* The file ends when it is closed and nobody is inside a call any more. */
static int
devfile_drop(struct kpi_devfile *df)
{

	if (atomic_fetchadd_int(&df->df_file.f_count, -1) != 1)
		return (0);
	return (devfile_end(df));
}

int
kpi_dev_close(struct kpi_devfile *df)
{
	struct thread *td;
	int error;

	td = kpi_thread_enter();
	error = devfile_drop(df);
	kpi_thread_leave(td);
	return (error);
}

static int
devfile_rw(struct kpi_devfile *df, void *buf, size_t len, enum uio_rw rw,
    size_t *done)
{
	struct devcall dc;
	struct iovec iov;
	struct uio uio;
	d_read_t *fn;
	int error;

	*done = 0;
	if ((df->df_file.f_flag & (rw == UIO_READ ? FREAD : FWRITE)) == 0)
		return (EBADF);
	error = devcall_enter(&dc, df);
	if (error != 0)
		return (error);
	iov.iov_base = buf;
	iov.iov_len = len;
	memset(&uio, 0, sizeof(uio));
	uio.uio_iov = &iov;
	uio.uio_iovcnt = 1;
	uio.uio_resid = len;
	/* One thread may read while another writes, in any order. */
	dev_lock();
	uio.uio_offset = df->df_file.f_offset;
	dev_unlock();
	uio.uio_segflg = UIO_USERSPACE;
	uio.uio_rw = rw;
	uio.uio_td = dc.dc_td;
	fn = rw == UIO_READ ? dc.dc_csw->d_read : dc.dc_csw->d_write;
	error = fn != NULL ? fn(df->df_dev, &uio,
	    (df->df_file.f_flag & O_NONBLOCK) != 0 ? O_NONBLOCK : 0) : ENODEV;
	dev_lock();
	df->df_file.f_offset = uio.uio_offset;
	dev_unlock();
	*done = len - uio.uio_resid;
	/* What was moved before an interruption counts. */
	if (*done > 0 && (error == EINTR || error == ERESTART ||
	    error == EWOULDBLOCK))
		error = 0;
	devcall_leave(&dc, df);
	return (error);
}

int
kpi_dev_read(struct kpi_devfile *df, void *buf, kpi_size len, kpi_size *done)
{

	return (devfile_rw(df, buf, len, UIO_READ, done));
}

int
kpi_dev_write(struct kpi_devfile *df, const void *buf, kpi_size len,
    kpi_size *done)
{

	return (devfile_rw(df, __DECONST(void *, buf), len, UIO_WRITE, done));
}

/* The argument is copied in and out as the command says. */
int
kpi_dev_ioctl(struct kpi_devfile *df, unsigned long cmd, void *data)
{
	struct devcall dc;
	caddr_t arg;
	size_t len;
	int error;

	len = IOCPARM_LEN(cmd);
	if ((cmd & IOC_DIRMASK) == 0 || ((cmd & IOC_INOUT) != 0 && len == 0))
		return (ENOTTY);
	error = devcall_enter(&dc, df);
	if (error != 0)
		return (error);
	arg = malloc(MAX(len, sizeof(intptr_t)), M_DEVFILE,
	    M_WAITOK | M_ZERO);
	if ((cmd & IOC_IN) != 0)
		memcpy(arg, data, len);
	else if ((cmd & IOC_DIRMASK) == IOC_VOID && len > 0)
		/* _IOWINT: the argument is the integer itself. */
		*(int *)(void *)arg = (int)(intptr_t)data;
	error = dc.dc_csw->d_ioctl != NULL ? dc.dc_csw->d_ioctl(df->df_dev,
	    cmd, arg, df->df_file.f_flag, dc.dc_td) : ENODEV;
	/* A driver's way to say that it does not know the command. */
	if (error == ENOIOCTL)
		error = ENOTTY;
	if (error == 0 && (cmd & IOC_OUT) != 0)
		memcpy(data, arg, len);
	free(arg, M_DEVFILE);
	devcall_leave(&dc, df);
	return (error);
}

int
kpi_dev_mmap(struct kpi_devfile *df, kpi_u64 ofs, int prot, const void **page)
{
	vm_memattr_t attr = VM_MEMATTR_DEFAULT;
	struct devcall dc;
	vm_paddr_t pa;
	int error;

	if ((prot & PROT_WRITE) != 0 && (df->df_file.f_flag & FWRITE) == 0)
		return (EACCES);
	error = devcall_enter(&dc, df);
	if (error != 0)
		return (error);
	/* The pager takes any failure for a page that is not there. */
	if (dc.dc_csw->d_mmap == NULL || dc.dc_csw->d_mmap(df->df_dev,
	    (vm_ooffset_t)ofs, &pa, prot, &attr) != 0)
		error = EINVAL;
	else
		*page = (const void *)PHYS_TO_DMAP(pa);
	devcall_leave(&dc, df);
	return (error);
}

struct devfile_poll {
	struct kpi_devfile *dp_df;
	int		 dp_events;
};

/*
 * As devfs(4) does: the device is held for the call of the driver's method, not
 * while the caller sleeps, and one that has gone is ready to be read, which
 * then fails.
 */
static int
devfile_poll_once(void *arg, struct thread *td)
{
	struct devfile_poll *dp;
	struct devcall dc;
	int ready, revents;

	dp = arg;
	ready = dp->dp_events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	if (devcall_enter(&dc, dp->dp_df) != 0)
		return (ready != 0 ? ready : POLLNVAL);
	revents = dc.dc_csw->d_poll == NULL ? ready :
	    dc.dc_csw->d_poll(dp->dp_df->df_dev, dp->dp_events, td);
	devcall_leave(&dc, dp->dp_df);
	if (revents != 0)
		return (revents);
	selrecord(td, &dp->dp_df->df_leave);
	return (atomic_load_acq_int(&dp->dp_df->df_leaving) != 0 ? POLLHUP : 0);
}

int
kpi_dev_poll(struct kpi_devfile *df, int events, int ms, int *revents)
{
	struct devfile_poll dp;
	struct thread *td;
	int error;

	*revents = 0;
	td = kpi_thread_enter();
	atomic_add_int(&df->df_file.f_count, 1);
	dp.dp_df = df;
	dp.dp_events = events;
	error = kpi_select(devfile_poll_once, &dp, ms, revents);
	(void)devfile_drop(df);
	kpi_thread_leave(td);
	return (error);
}

void
kpi_dev_hangup(struct kpi_devfile *df)
{
	struct thread *td;

	td = kpi_thread_enter();
	atomic_store_rel_int(&df->df_leaving, 1);
	selwakeup(&df->df_leave);
	kpi_thread_leave(td);
}

int
kpi_dev_kevent(struct kpi_devfile *df, int filter, int ms, long long *data)
{
	struct devcall dc;
	struct knote *kn;
	int error;

	error = devcall_enter(&dc, df);
	if (error != 0)
		return (error);
	kn = malloc(sizeof(*kn), M_DEVFILE, M_WAITOK | M_ZERO);
	kn->kn_filter = filter;
	kn->kn_flags = EV_ADD;
	kn->kn_fp = &df->df_file;
	error = dc.dc_csw->d_kqfilter != NULL ?
	    dc.dc_csw->d_kqfilter(df->df_dev, kn) : EINVAL;
	if (error == 0) {
		error = kpi_knote_wait(kn, ms);
		if (error == 0 && data != NULL)
			*data = kn->kn_data;
		kn->kn_fop->f_detach(kn);
	}
	free(kn, M_DEVFILE);
	devcall_leave(&dc, df);
	return (error);
}

void
kpi_dev_list(void (*fn)(void *arg, const char *name), void *arg)
{
	struct cdev_priv *cdp;
	struct thread *td;

	td = kpi_thread_enter();
	dev_lock();
	TAILQ_FOREACH(cdp, &cdevp_list, cdp_list)
		fn(arg, cdp->cdp_c.si_name);
	dev_unlock();
	kpi_thread_leave(td);
}
