/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Device nodes as a process sees them: a mailbox that holds one line.
 */

#include <ktest.h>

#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/ioccom.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/poll.h>
#include <sys/proc.h>
#include <sys/selinfo.h>
#include <sys/uio.h>

#include <kpi.h>

#define	BOX_SIZE	32
#define	BOX_LEN		_IOR('k', 1, int)
#define	BOX_FILL	_IOW('k', 2, int)
#define	BOX_TWICE	_IOWR('k', 3, int)
#define	BOX_CLEAR	_IO('k', 4)

static struct cdev *box_dev;
static struct mtx box_mtx;
static struct selinfo box_sel;
static char	box[BOX_SIZE];
static int	box_len;
static bool	box_dying;
static int	opens, closes, dtors, purges;

static void
box_dtor(void *p)
{
	dtors++;
	free(p, M_TEMP);
}

static int
box_open(struct cdev *dev, int oflags, int devtype, struct thread *td)
{
	KT_CHECK(dev->si_drv1 == &box_mtx);
	opens++;
	return (devfs_set_cdevpriv(malloc(16, M_TEMP, M_WAITOK | M_ZERO),
	    box_dtor));
}

static int
box_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
	closes++;
	return (0);
}

/* Threads that read and have found nothing. */
static volatile u_int box_sleepers;

static int
box_read(struct cdev *dev, struct uio *uio, int ioflag)
{
	char tmp[BOX_SIZE];
	void *priv;
	int error, len;

	KT_EQ(devfs_get_cdevpriv(&priv), 0);
	mtx_lock(&box_mtx);
	while (box_len == 0 && !box_dying) {
		if ((ioflag & O_NONBLOCK) != 0) {
			mtx_unlock(&box_mtx);
			return (EWOULDBLOCK);
		}
		box_sleepers++;
		error = mtx_sleep(&box_len, &box_mtx, PCATCH, "boxrd", 0);
		box_sleepers--;
		if (error != 0) {
			mtx_unlock(&box_mtx);
			return (error);
		}
	}
	if (box_dying) {
		mtx_unlock(&box_mtx);
		return (ENXIO);
	}
	len = box_len;
	memcpy(tmp, box, len);
	box_len = 0;
	mtx_unlock(&box_mtx);
	return (uiomove(tmp, len, uio));
}

static int
box_write(struct cdev *dev, struct uio *uio, int ioflag)
{
	char tmp[BOX_SIZE];
	int error, len;

	len = MIN(uio->uio_resid, BOX_SIZE);
	error = uiomove(tmp, len, uio);
	if (error != 0)
		return (error);
	mtx_lock(&box_mtx);
	memcpy(box, tmp, len);
	box_len = len;
	wakeup(&box_len);
	selwakeup(&box_sel);
	KNOTE_LOCKED(&box_sel.si_note, 0);
	mtx_unlock(&box_mtx);
	return (0);
}

static int
box_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
	switch (cmd) {
	case BOX_LEN:
		*(int *)(void *)data = box_len;
		return (0);
	case BOX_FILL:
		box_len = *(int *)(void *)data;
		return (0);
	case BOX_TWICE:
		*(int *)(void *)data *= 2;
		return (0);
	case BOX_CLEAR:
		box_len = 0;
		return (0);
	default:
		return (ENOTTY);
	}
}

static int
box_poll(struct cdev *dev, int events, struct thread *td)
{
	int revents = 0;

	mtx_lock(&box_mtx);
	if (box_len > 0)
		revents |= events & (POLLIN | POLLRDNORM);
	else
		selrecord(td, &box_sel);
	mtx_unlock(&box_mtx);
	return (revents);
}

static void
box_kqdetach(struct knote *kn)
{
	knlist_remove(&box_sel.si_note, kn, 0);
}

static int
box_kqevent(struct knote *kn, long hint)
{
	mtx_assert(&box_mtx, MA_OWNED);
	kn->kn_data = box_len;
	return (box_len > 0);
}

static const struct filterops box_filterops = {
	.f_isfd = 1,
	.f_detach = box_kqdetach,
	.f_event = box_kqevent,
};

static int
box_kqfilter(struct cdev *dev, struct knote *kn)
{
	if (kn->kn_filter != EVFILT_READ)
		return (EINVAL);
	kn->kn_fop = &box_filterops;
	knlist_add(&box_sel.si_note, kn, 0);
	return (0);
}

static void
box_purge(struct cdev *dev)
{
	purges++;
	mtx_lock(&box_mtx);
	box_dying = true;
	wakeup(&box_len);
	mtx_unlock(&box_mtx);
}

static struct cdevsw box_cdevsw = {
	.d_version = D_VERSION,
	.d_name = "box",
	.d_open = box_open,
	.d_close = box_close,
	.d_read = box_read,
	.d_write = box_write,
	.d_ioctl = box_ioctl,
	.d_poll = box_poll,
	.d_kqfilter = box_kqfilter,
	.d_purge = box_purge,
};

static void
box_make(void)
{
	struct make_dev_args args;

	mtx_init(&box_mtx, "box", NULL, MTX_DEF);
	knlist_init_mtx(&box_sel.si_note, &box_mtx);
	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_CHECKNAME | MAKEDEV_WAITOK;
	args.mda_devsw = &box_cdevsw;
	args.mda_mode = 0600;
	args.mda_si_drv1 = &box_mtx;
	KT_EQ(make_dev_s(&args, &box_dev, "kt/%s%d", "box", 0), 0);
}

static void
box_destroy(void)
{
	destroy_dev(box_dev);
	seldrain(&box_sel);
	knlist_clear(&box_sel.si_note, 0);
	knlist_destroy(&box_sel.si_note);
	mtx_destroy(&box_mtx);
}

KTEST(dev_rw, "open, write, read, close; last close; private data")
{
	struct make_dev_args args;
	struct kpi_devfile *f, *g;
	struct cdev *twin;
	kpi_size n;
	char text[16];

	KT_EQ(kpi_dev_open("kt/box0", FREAD, &f), ENOENT);
	box_make();
	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_CHECKNAME;
	args.mda_devsw = &box_cdevsw;
	KT_EQ(make_dev_s(&args, &twin, "kt/box0"), EEXIST);
	KT_EQ(kpi_dev_open("kt/box0", FREAD | FWRITE, &f), 0);
	KT_EQ(kpi_dev_open("kt/box0", FREAD | O_NONBLOCK, &g), 0);
	KT_EQ(opens, 2);
	KT_EQ(kpi_dev_read(g, text, sizeof(text), &n), EWOULDBLOCK);
	KT_EQ(kpi_dev_write(g, "no", 2, &n), EBADF);
	KT_EQ(kpi_dev_write(f, "hello", 5, &n), 0);
	KT_EQ(n, 5);
	KT_EQ(kpi_dev_read(g, text, sizeof(text), &n), 0);
	KT_CHECK(n == 5 && memcmp(text, "hello", 5) == 0);
	KT_EQ(kpi_dev_close(f), 0);
	KT_CHECK(closes == 0 && dtors == 1);
	KT_EQ(kpi_dev_close(g), 0);
	KT_CHECK(closes == 1 && dtors == 2);
	box_destroy();
}

KTEST(dev_ioctl, "arguments go in and out as the command says")
{
	struct kpi_devfile *f;
	int v;

	box_make();
	KT_EQ(kpi_dev_open("kt/box0", FREAD, &f), 0);
	v = 9;
	KT_EQ(kpi_dev_ioctl(f, BOX_FILL, &v), 0);
	v = 0;
	KT_EQ(kpi_dev_ioctl(f, BOX_LEN, &v), 0);
	KT_EQ(v, 9);
	KT_EQ(kpi_dev_ioctl(f, BOX_TWICE, &v), 0);
	KT_EQ(v, 18);
	KT_EQ(kpi_dev_ioctl(f, BOX_CLEAR, NULL), 0);
	KT_EQ(box_len, 0);
	KT_EQ(kpi_dev_ioctl(f, _IO('k', 99), NULL), ENOTTY);
	KT_EQ(kpi_dev_close(f), 0);
	box_destroy();
}

static struct kpi_devfile *writer_file;

static void
writer(void *arg)
{
	kpi_size n;

	(void)pause("ktwrit", hz / 10);
	KT_EQ(kpi_dev_write(writer_file, "x", 1, &n), 0);
	kthread_exit();
}

KTEST(real_dev_poll, "poll and kevent wait for the writer, or for the time")
{
	struct kpi_devfile *f;
	struct thread *td;
	long long data;
	int revents;

	box_make();
	KT_EQ(kpi_dev_open("kt/box0", FREAD | FWRITE, &f), 0);
	KT_EQ(kpi_dev_poll(f, POLLIN, 20, &revents), 0);
	KT_EQ(revents, 0);
	writer_file = f;
	KT_EQ(kthread_add(writer, NULL, NULL, &td, 0, 0, "writer"), 0);
	KT_EQ(kpi_dev_poll(f, POLLIN, -1, &revents), 0);
	KT_EQ(revents, POLLIN);
	KT_EQ(kpi_dev_poll(f, POLLIN, 0, &revents), 0);
	KT_EQ(revents, POLLIN);
	KT_EQ(kpi_dev_ioctl(f, BOX_CLEAR, NULL), 0);
	KT_EQ(kpi_dev_kevent(f, EVFILT_READ, 20, &data), EWOULDBLOCK);
	KT_EQ(kpi_dev_kevent(f, EVFILT_WRITE, 20, &data), EINVAL);
	KT_EQ(kthread_add(writer, NULL, NULL, &td, 0, 0, "writer"), 0);
	KT_EQ(kpi_dev_kevent(f, EVFILT_READ, -1, &data), 0);
	KT_EQ(data, 1);
	KT_EQ(kpi_dev_close(f), 0);
	box_destroy();
}

static volatile int reader_error = -1;

static void
reader(void *arg)
{
	kpi_size n;
	char c;

	reader_error = kpi_dev_read(arg, &c, 1, &n);
	wakeup(__DEVOLATILE(int *, &reader_error));
	kthread_exit();
}

KTEST(real_dev_destroy, "destroying a device asks a sleeper out")
{
	struct kpi_devfile *f;
	struct thread *td;
	kpi_size n;
	char c;

	box_make();
	KT_EQ(kpi_dev_open("kt/box0", FREAD, &f), 0);
	KT_EQ(kthread_add(reader, f, NULL, &td, 0, 0, "reader"), 0);
	while (box_sleepers == 0)
		(void)pause("ktrd", 1);
	/* It gives the lock back as it sleeps. */
	mtx_lock(&box_mtx);
	mtx_unlock(&box_mtx);
	box_destroy();
	KT_CHECK(purges > 0);
	KT_EQ(dtors, 1);
	while (reader_error == -1)
		(void)pause("ktrd", 1);
	KT_EQ(reader_error, ENXIO);
	/* What was open is of no use any more, but can be closed. */
	KT_EQ(kpi_dev_read(f, &c, 1, &n), ENXIO);
	KT_EQ(kpi_dev_close(f), 0);
	KT_EQ(closes, 0);
	KT_EQ(kpi_dev_open("kt/box0", FREAD, &f), ENOENT);
}

static volatile int poller_error = -1, poller_revents;

static void
poller(void *arg)
{
	int revents;

	poller_error = kpi_dev_poll(arg, POLLIN, -1, &revents);
	poller_revents = revents;
	wakeup(__DEVOLATILE(int *, &poller_revents));
	kthread_exit();
}

static void
poller_start(struct kpi_devfile *f)
{
	struct thread *td;

	poller_error = -1;
	poller_revents = 0;
	KT_EQ(kthread_add(poller, f, NULL, &td, 0, 0, "poller"), 0);
	(void)pause("ktpoll", hz / 20);
	KT_EQ(poller_error, -1);
}

static void
poller_finish(int revents)
{

	while (poller_revents == 0)
		(void)pause("ktpoll", 1);
	KT_EQ(poller_error, 0);
	KT_EQ(poller_revents, revents);
}

KTEST(real_dev_hangup, "who polls is told to leave; it stays said")
{
	struct kpi_devfile *f;
	int revents;

	box_make();
	KT_EQ(kpi_dev_open("kt/box0", FREAD | FWRITE, &f), 0);
	poller_start(f);
	kpi_dev_hangup(f);
	poller_finish(POLLHUP);
	KT_EQ(kpi_dev_poll(f, POLLIN, -1, &revents), 0);
	KT_EQ(revents, POLLHUP);
	KT_EQ(kpi_dev_close(f), 0);
	box_destroy();
}

KTEST(real_dev_destroy_polled, "a sleeping poll does not hold a device")
{
	struct kpi_devfile *f;
	kpi_size n;
	char c;

	box_make();
	KT_EQ(kpi_dev_open("kt/box0", FREAD, &f), 0);
	poller_start(f);
	box_destroy();
	poller_finish(POLLIN);
	KT_EQ(kpi_dev_read(f, &c, 1, &n), ENXIO);
	KT_EQ(kpi_dev_close(f), 0);
}
