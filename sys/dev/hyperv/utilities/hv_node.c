/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See hv_node.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/uio.h>

#include <dev/hyperv/utilities/hv_node.h>

static MALLOC_DEFINE(M_HVNODE, "hvnode", "Hyper-V service device nodes");

/* Lock key: (m) hn_mtx; the rest is set once. */
struct hv_node {
	const struct hv_node_class *hn_class;
	void		*hn_arg;
	struct mtx	*hn_mtx;
	struct cdev	*hn_cdev;
	struct selinfo	 hn_sel;	/* (m) its knotes */
	bool		 hn_open;	/* (m) */
	bool		 hn_dying;	/* (m) */
	bool		 hn_unread;	/* (m) when it was closed */
	size_t		 hn_len;	/* (m) of the message, 0: none */
	uint8_t		 hn_msg[];	/* (m) nc_readmax bytes */
};

static d_open_t		hv_node_open;
static d_read_t		hv_node_read;
static d_write_t	hv_node_write;
static d_poll_t		hv_node_poll;
static d_kqfilter_t	hv_node_kqfilter;

static struct cdevsw hv_node_cdevsw = {
	.d_version =	D_VERSION,
	.d_name =	"hv_node",
	.d_open =	hv_node_open,
	.d_read =	hv_node_read,
	.d_write =	hv_node_write,
	.d_poll =	hv_node_poll,
	.d_kqfilter =	hv_node_kqfilter,
};

/* The last of the process's references to its open file is gone. */
static void
hv_node_closed(void *data)
{
	struct hv_node *hn = data;

	mtx_lock(hn->hn_mtx);
	hn->hn_unread = hn->hn_len != 0;
	hn->hn_len = 0;
	hn->hn_open = false;
	hn->hn_class->nc_closed(hn->hn_arg, hn);
	mtx_unlock(hn->hn_mtx);
}

static int
hv_node_open(struct cdev *dev, int oflags __unused, int devtype __unused,
    struct thread *td __unused)
{
	struct hv_node *hn = dev->si_drv1;
	int error = 0;

	mtx_lock(hn->hn_mtx);
	if (hn->hn_dying)
		error = ENXIO;
	else if (hn->hn_open)
		error = EBUSY;
	else
		hn->hn_open = true;
	mtx_unlock(hn->hn_mtx);
	if (error != 0)
		return (error);
	error = devfs_set_cdevpriv(hn, hv_node_closed);
	if (error != 0)
		hv_node_closed(hn);
	return (error);
}

/* A reader whose buffer is too small can come again with a larger one. */
static int
hv_node_read(struct cdev *dev, struct uio *uio, int ioflag)
{
	struct hv_node *hn = dev->si_drv1;
	uint8_t *buf;
	size_t len;
	int error = 0;

	buf = malloc(hn->hn_class->nc_readmax, M_HVNODE, M_WAITOK);
	mtx_lock(hn->hn_mtx);
	while (hn->hn_len == 0 && error == 0) {
		if (hn->hn_dying)
			error = ENXIO;
		else if ((ioflag & O_NONBLOCK) != 0)
			error = EWOULDBLOCK;
		else
			error = mtx_sleep(hn, hn->hn_mtx, PCATCH, "hvnode", 0);
	}
	len = hn->hn_len;
	if (error == 0 && uio->uio_resid < (ssize_t)len)
		error = EMSGSIZE;
	if (error == 0) {
		memcpy(buf, hn->hn_msg, len);
		hn->hn_len = 0;
	}
	mtx_unlock(hn->hn_mtx);
	if (error == 0)
		error = uiomove(buf, (int)len, uio);
	free(buf, M_HVNODE);
	return (error);
}

static int
hv_node_write(struct cdev *dev, struct uio *uio, int ioflag __unused)
{
	struct hv_node *hn = dev->si_drv1;
	uint8_t *buf;
	size_t len;
	int error;

	if (uio->uio_resid <= 0 ||
	    uio->uio_resid > (ssize_t)hn->hn_class->nc_writemax)
		return (EMSGSIZE);
	len = (size_t)uio->uio_resid;
	buf = malloc(len, M_HVNODE, M_WAITOK);
	error = uiomove(buf, (int)len, uio);
	if (error == 0) {
		mtx_lock(hn->hn_mtx);
		error = hn->hn_dying ? ENXIO :
		    hn->hn_class->nc_write(hn->hn_arg, hn, buf, len);
		mtx_unlock(hn->hn_mtx);
	}
	free(buf, M_HVNODE);
	return (error);
}

static int
hv_node_poll(struct cdev *dev, int events, struct thread *td)
{
	struct hv_node *hn = dev->si_drv1;
	int revents;

	revents = events & (POLLOUT | POLLWRNORM);
	mtx_lock(hn->hn_mtx);
	if (hn->hn_len != 0 || hn->hn_dying)
		revents |= events & (POLLIN | POLLRDNORM);
	else if ((events & (POLLIN | POLLRDNORM)) != 0)
		selrecord(td, &hn->hn_sel);
	mtx_unlock(hn->hn_mtx);
	return (revents);
}

static void
hv_node_kqdetach(struct knote *kn)
{
	struct hv_node *hn = kn->kn_hook;

	knlist_remove(&hn->hn_sel.si_note, kn, 0);
}

static int
hv_node_kqevent(struct knote *kn, long hint __unused)
{
	struct hv_node *hn = kn->kn_hook;

	mtx_assert(hn->hn_mtx, MA_OWNED);
	kn->kn_data = hn->hn_len;
	if (hn->hn_dying)
		kn->kn_flags |= EV_EOF;
	return (hn->hn_len != 0 || hn->hn_dying);
}

static const struct filterops hv_node_filterops = {
	.f_isfd =	1,
	.f_detach =	hv_node_kqdetach,
	.f_event =	hv_node_kqevent,
};

static int
hv_node_kqfilter(struct cdev *dev, struct knote *kn)
{
	struct hv_node *hn = dev->si_drv1;

	if (kn->kn_filter != EVFILT_READ)
		return (EINVAL);
	kn->kn_fop = &hv_node_filterops;
	kn->kn_hook = hn;
	knlist_add(&hn->hn_sel.si_note, kn, 0);
	return (0);
}

static void
hv_node_wakeup(struct hv_node *hn)
{

	mtx_assert(hn->hn_mtx, MA_OWNED);
	wakeup(hn);
	selwakeup(&hn->hn_sel);
	KNOTE_LOCKED(&hn->hn_sel.si_note, 0);
}

void
hv_node_put(struct hv_node *hn, const void *msg, size_t len)
{

	mtx_assert(hn->hn_mtx, MA_OWNED);
	KASSERT(len > 0 && len <= hn->hn_class->nc_readmax,
	    ("%s: a message of %zu bytes", hn->hn_class->nc_name, len));
	memcpy(hn->hn_msg, msg, len);
	hn->hn_len = len;
	hv_node_wakeup(hn);
}

bool
hv_node_clear(struct hv_node *hn)
{
	bool was;

	mtx_assert(hn->hn_mtx, MA_OWNED);
	was = hn->hn_len != 0;
	hn->hn_len = 0;
	return (was);
}

bool
hv_node_unread(const struct hv_node *hn)
{

	mtx_assert(hn->hn_mtx, MA_OWNED);
	return (hn->hn_unread);
}

int
hv_node_create(const struct hv_node_class *nc, struct mtx *mtx, void *arg,
    struct hv_node **hnp)
{
	struct make_dev_args args;
	struct hv_node *hn;
	int error;

	hn = malloc(sizeof(*hn) + nc->nc_readmax, M_HVNODE, M_WAITOK | M_ZERO);
	hn->hn_class = nc;
	hn->hn_arg = arg;
	hn->hn_mtx = mtx;
	knlist_init_mtx(&hn->hn_sel.si_note, mtx);
	/* An open may come before this returns. */
	*hnp = hn;
	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_CHECKNAME | MAKEDEV_WAITOK;
	args.mda_devsw = &hv_node_cdevsw;
	args.mda_uid = UID_ROOT;
	args.mda_gid = GID_WHEEL;
	args.mda_mode = 0600;
	args.mda_si_drv1 = hn;
	error = make_dev_s(&args, &hn->hn_cdev, "%s", nc->nc_name);
	if (error != 0) {
		*hnp = NULL;
		knlist_destroy(&hn->hn_sel.si_note);
		free(hn, M_HVNODE);
	}
	return (error);
}

/* Sleepers leave first: destroy_dev(9) waits for them, and for nc_closed. */
void
hv_node_destroy(struct hv_node *hn)
{

	if (hn == NULL)
		return;
	mtx_lock(hn->hn_mtx);
	hn->hn_dying = true;
	hv_node_wakeup(hn);
	mtx_unlock(hn->hn_mtx);
	destroy_dev(hn->hn_cdev);
	knlist_clear(&hn->hn_sel.si_note, 0);
	seldrain(&hn->hn_sel);
	knlist_destroy(&hn->hn_sel.si_note);
	free(hn, M_HVNODE);
}
