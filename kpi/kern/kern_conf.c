/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Device nodes: make_dev(9) and its kin, private data of open files, and the
 * orderly end of a device whose methods may be running.  Who opens them is in
 * kern_devfile.c.
 *
 * Lock: devmtx covers names, counts and the lists of private data; no method
 * of a driver is called with it.
 */

#include "kpi_bus.h"

#include <sys/conf.h>
#include <sys/file.h>
#include <sys/kernel.h>
#include <sys/malloc.h>

#include <fs/devfs/devfs_int.h>

#include <machine/stdarg.h>

MALLOC_DEFINE(M_DEVT, "cdev", "cdev storage");

struct mtx devmtx;
MTX_SYSINIT(devmtx, &devmtx, "cdev", MTX_DEF);

struct cdev_priv_list cdevp_list = TAILQ_HEAD_INITIALIZER(cdevp_list);

void
dev_lock(void)
{

	mtx_lock(&devmtx);
}

void
dev_unlock(void)
{

	mtx_unlock(&devmtx);
}

struct cdev *
kpi_cdev_find(const char *name)
{
	struct cdev_priv *cdp;

	dev_lock_assert_locked();
	TAILQ_FOREACH(cdp, &cdevp_list, cdp_list)
		if (strcmp(cdp->cdp_c.si_name, name) == 0)
			return (&cdp->cdp_c);
	return (NULL);
}

void
dev_refl(struct cdev *dev)
{

	dev_lock_assert_locked();
	dev->si_refcount++;
}

void
dev_ref(struct cdev *dev)
{

	dev_lock();
	dev_refl(dev);
	dev_unlock();
}

void
dev_rel(struct cdev *dev)
{
	bool last;

	dev_lock();
	KASSERT(dev->si_refcount > 0, ("cdev %s: released too often",
	    dev->si_name));
	last = --dev->si_refcount == 0;
	dev_unlock();
	if (last)
		free(cdev2priv(dev), M_DEVT);
}

/* The methods of a device, for one call of one of them; NULL: it is gone. */
struct cdevsw *
dev_refthread(struct cdev *dev, int *ref)
{
	struct cdevsw *csw;

	dev_lock();
	csw = dev->si_devsw;
	*ref = csw != NULL;
	if (csw != NULL)
		dev->si_threadcount++;
	dev_unlock();
	return (csw);
}

void
dev_relthread(struct cdev *dev, int ref)
{

	if (!ref)
		return;
	dev_lock();
	KASSERT(dev->si_threadcount > 0, ("cdev %s: nobody is inside",
	    dev->si_name));
	if (--dev->si_threadcount == 0)
		wakeup(&dev->si_threadcount);
	dev_unlock();
}

void
make_dev_args_init_impl(struct make_dev_args *args, size_t sz)
{

	memset(args, 0, sz);
	args->mda_size = sz;
}

static int
make_dev_v(struct make_dev_args *args, struct cdev **dres, const char *fmt,
    va_list ap)
{
	struct cdev_priv *cdp;
	struct cdev *dev;
	bool nowait;

	*dres = NULL;
	nowait = (args->mda_flags & MAKEDEV_NOWAIT) != 0;
	KASSERT(args->mda_devsw->d_version == D_VERSION,
	    ("cdevsw %s: d_version is not D_VERSION",
	    args->mda_devsw->d_name));
	cdp = malloc(sizeof(*cdp), M_DEVT, M_ZERO |
	    (nowait ? M_NOWAIT : M_WAITOK));
	if (cdp == NULL)
		return (ENOMEM);
	dev = &cdp->cdp_c;
	LIST_INIT(&cdp->cdp_fdpriv);
	LIST_INIT(&dev->si_children);
	vsnprintf(dev->si_name, sizeof(dev->si_name), fmt, ap);
	dev->si_flags = SI_NAMED;
	dev->si_devsw = args->mda_devsw;
	dev->si_uid = args->mda_uid;
	dev->si_gid = args->mda_gid;
	dev->si_mode = args->mda_mode;
	dev->si_drv0 = args->mda_unit;
	dev->si_drv1 = args->mda_si_drv1;
	dev->si_drv2 = args->mda_si_drv2;
	dev->si_refcount = 1 + ((args->mda_flags & MAKEDEV_REF) != 0);
	dev_lock();
	if (kpi_cdev_find(dev->si_name) != NULL) {
		dev_unlock();
		if ((args->mda_flags & MAKEDEV_CHECKNAME) == 0)
			panic("make_dev: %s exists", dev->si_name);
		free(cdp, M_DEVT);
		return (EEXIST);
	}
	cdp->cdp_flags = CDP_ACTIVE;
	TAILQ_INSERT_TAIL(&cdevp_list, cdp, cdp_list);
	dev_unlock();
	*dres = dev;
	return (0);
}

int
make_dev_s(struct make_dev_args *args, struct cdev **dres, const char *fmt,
    ...)
{
	va_list ap;
	int error;

	va_start(ap, fmt);
	error = make_dev_v(args, dres, fmt, ap);
	va_end(ap);
	return (error);
}

int
make_dev_p(int flags, struct cdev **dres, struct cdevsw *devsw,
    struct ucred *cr, uid_t uid, gid_t gid, int mode, const char *fmt, ...)
{
	struct make_dev_args args;
	va_list ap;
	int error;

	make_dev_args_init(&args);
	args.mda_flags = flags;
	args.mda_devsw = devsw;
	args.mda_cr = cr;
	args.mda_uid = uid;
	args.mda_gid = gid;
	args.mda_mode = mode;
	va_start(ap, fmt);
	error = make_dev_v(&args, dres, fmt, ap);
	va_end(ap);
	return (error);
}

struct cdev *
make_dev(struct cdevsw *devsw, int unit, uid_t uid, gid_t gid, int mode,
    const char *fmt, ...)
{
	struct make_dev_args args;
	struct cdev *dev;
	va_list ap;

	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_WAITOK;
	args.mda_devsw = devsw;
	args.mda_unit = unit;
	args.mda_uid = uid;
	args.mda_gid = gid;
	args.mda_mode = mode;
	va_start(ap, fmt);
	(void)make_dev_v(&args, &dev, fmt, ap);
	va_end(ap);
	return (dev);
}

/* Private data goes when its file is closed or the device destroyed. */
static void
cdevpriv_end(struct cdev_privdata *p)
{

	p->cdpd_dtr(p->cdpd_data);
	free(p, M_DEVT);
}

/*
 * The name goes first, so that nobody new gets in; then whoever is inside is
 * asked out (d_purge) and awaited.
 */
void
destroy_dev(struct cdev *dev)
{
	struct cdev_privdata *p;
	struct cdev_priv *cdp;
	struct cdevsw *csw;

	cdp = cdev2priv(dev);
	dev_lock();
	csw = dev->si_devsw;
	if (csw == NULL)
		panic("destroy_dev: %s is destroyed already", dev->si_name);
	dev->si_devsw = NULL;
	cdp->cdp_flags &= ~CDP_ACTIVE;
	TAILQ_REMOVE(&cdevp_list, cdp, cdp_list);
	while (dev->si_threadcount > 0) {
		if (csw->d_purge != NULL) {
			dev_unlock();
			csw->d_purge(dev);
			dev_lock();
		}
		if (dev->si_threadcount > 0)
			msleep(&dev->si_threadcount, &devmtx, 0, "devdrn",
			    MAX(hz / 10, 1));
	}
	while ((p = LIST_FIRST(&cdp->cdp_fdpriv)) != NULL) {
		LIST_REMOVE(p, cdpd_list);
		p->cdpd_fp->f_cdevpriv = NULL;
		dev_unlock();
		cdevpriv_end(p);
		dev_lock();
	}
	dev_unlock();
	dev_rel(dev);
}

int
devfs_get_cdevpriv(void **datap)
{
	struct cdev_privdata *p;
	struct file *fp;

	fp = curthread->td_fpop;
	if (fp == NULL)
		return (EBADF);
	dev_lock();
	p = fp->f_cdevpriv;
	if (p != NULL)
		*datap = p->cdpd_data;
	dev_unlock();
	return (p != NULL ? 0 : ENOENT);
}

int
devfs_set_cdevpriv(void *priv, d_priv_dtor_t *dtr)
{
	struct cdev_privdata *p;
	struct file *fp;
	int error;

	fp = curthread->td_fpop;
	if (fp == NULL)
		return (ENOENT);
	p = malloc(sizeof(*p), M_DEVT, M_WAITOK | M_ZERO);
	p->cdpd_data = priv;
	p->cdpd_dtr = dtr;
	p->cdpd_fp = fp;
	error = 0;
	dev_lock();
	if (fp->f_cdevpriv == NULL) {
		fp->f_cdevpriv = p;
		LIST_INSERT_HEAD(&cdev2priv((struct cdev *)fp->f_data)->
		    cdp_fdpriv, p, cdpd_list);
	} else
		error = EBUSY;
	dev_unlock();
	if (error != 0)
		free(p, M_DEVT);
	return (error);
}

void
devfs_clear_cdevpriv(void)
{

	if (curthread->td_fpop != NULL)
		kpi_cdevpriv_drop(curthread->td_fpop);
}

void
kpi_cdevpriv_drop(struct file *fp)
{
	struct cdev_privdata *p;

	dev_lock();
	if ((p = fp->f_cdevpriv) != NULL) {
		fp->f_cdevpriv = NULL;
		LIST_REMOVE(p, cdpd_list);
	}
	dev_unlock();
	if (p != NULL)
		cdevpriv_end(p);
}

static u_int
cdev_leaks(void)
{
	struct cdev_priv *cdp;
	u_int n;

	n = 0;
	TAILQ_FOREACH(cdp, &cdevp_list, cdp_list) {
		printf("leak: device node %s\n", cdp->cdp_c.si_name);
		n++;
	}
	return (n);
}
KPI_LEAKS(cdev_leaks);
