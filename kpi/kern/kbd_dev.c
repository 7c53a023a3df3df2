/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A keyboard's device node: reads as a terminal would, or bytes in the modes
 * that have them.  Whoever has it open is the keyboard's reader.
 */

#include "kpi_bus.h"

#include <sys/conf.h>
#include <sys/fcntl.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/uio.h>

#include <dev/kbd/kbdreg.h>

#define	QUEUE	512

struct kbdnode {
	struct selinfo	 kn_sel;
	u_int		 kn_head;
	u_int		 kn_len;
	u_char		 kn_queue[QUEUE];
};

static d_open_t kbd_open;
static d_close_t kbd_close;
static d_read_t kbd_read;
static d_ioctl_t kbd_ioctl;
static d_poll_t kbd_poll;

static struct cdevsw kbd_cdevsw = {
	.d_version = D_VERSION,
	.d_flags = D_NEEDGIANT,
	.d_open = kbd_open,
	.d_close = kbd_close,
	.d_read = kbd_read,
	.d_ioctl = kbd_ioctl,
	.d_poll = kbd_poll,
	.d_name = "kbd",
};

static void
node_put(struct kbdnode *kn, u_char c)
{

	if (kn->kn_len < QUEUE)
		kn->kn_queue[(kn->kn_head + kn->kn_len++) % QUEUE] = c;
}

/* Characters; keys that are none, function keys too, are no text. */
static void
node_key(struct kbdnode *kn, u_int c)
{

	if ((c & (RELKEY | ERRKEY | SPCLKEY)) != 0)
		return;
	if ((c & MKEY) != 0)
		node_put(kn, 0x1b);
	node_put(kn, KEYCHAR(c));
}

static int
node_event(keyboard_t *kbd, int event, void *arg)
{
	struct kbdnode *kn = arg;
	const keyboard_switch_t *sw = kbd->kb_drv->kbdsw;
	int mode = K_XLATE;
	u_int c;

	mtx_assert(&Giant, MA_OWNED);
	if (event == KBDIO_UNLOADING) {
		(void)kbd_release(kbd, kn);
		wakeup(kn);
		selwakeup(&kn->kn_sel);
		return (0);
	}
	(void)sw->ioctl(kbd, KDGKBMODE, (caddr_t)&mode);
	while (sw->check_char(kbd)) {
		c = sw->read_char(kbd, 0);
		if (c == NOKEY)
			continue;
		if (mode != K_XLATE)
			node_put(kn, KEYCHAR(c));
		else
			node_key(kn, c);
	}
	if (kn->kn_len > 0) {
		wakeup(kn);
		selwakeup(&kn->kn_sel);
	}
	return (0);
}

static int
kbd_open(struct cdev *dev, int flags, int type, struct thread *td)
{
	keyboard_t *kbd;

	kbd = kbd_get_keyboard(dev->si_drv0);
	if (kbd == NULL)
		return (ENXIO);
	if (kbd_allocate(kbd->kb_name, kbd->kb_unit, dev->si_drv1, node_event,
	    dev->si_drv1) < 0)
		return (EBUSY);
	((struct kbdnode *)dev->si_drv1)->kn_len = 0;
	return (0);
}

static int
kbd_close(struct cdev *dev, int flags, int type, struct thread *td)
{
	keyboard_t *kbd;

	kbd = kbd_get_keyboard(dev->si_drv0);
	if (kbd != NULL)
		(void)kbd_release(kbd, dev->si_drv1);
	return (0);
}

static int
kbd_read(struct cdev *dev, struct uio *uio, int flag)
{
	struct kbdnode *kn = dev->si_drv1;
	u_char c;
	int error;

	if (kbd_get_keyboard(dev->si_drv0) == NULL)
		return (ENXIO);
	while (kn->kn_len == 0) {
		if ((flag & O_NONBLOCK) != 0)
			return (EWOULDBLOCK);
		error = mtx_sleep(kn, &Giant, PCATCH, "kbdrea", 0);
		/* The memory may be gone with the keyboard. */
		if (kbd_get_keyboard(dev->si_drv0) == NULL)
			return (ENXIO);
		if (error != 0)
			return (error);
	}
	error = 0;
	while (error == 0 && uio->uio_resid > 0 && kn->kn_len > 0) {
		c = kn->kn_queue[kn->kn_head];
		kn->kn_head = (kn->kn_head + 1) % QUEUE;
		kn->kn_len--;
		error = uiomove(&c, 1, uio);
	}
	return (error);
}

static int
kbd_ioctl(struct cdev *dev, u_long cmd, caddr_t arg, int flag,
    struct thread *td)
{
	keyboard_t *kbd;

	kbd = kbd_get_keyboard(dev->si_drv0);
	if (kbd == NULL)
		return (ENXIO);
	return (kbd->kb_drv->kbdsw->ioctl(kbd, cmd, arg));
}

static int
kbd_poll(struct cdev *dev, int events, struct thread *td)
{
	struct kbdnode *kn = dev->si_drv1;

	if (kbd_get_keyboard(dev->si_drv0) == NULL)
		return (POLLHUP);
	if ((events & (POLLIN | POLLRDNORM)) == 0)
		return (0);
	if (kn->kn_len > 0)
		return (events & (POLLIN | POLLRDNORM));
	selrecord(td, &kn->kn_sel);
	return (0);
}

int
kbd_attach(keyboard_t *kbd)
{

	if (kbd_get_keyboard(kbd->kb_index) != kbd)
		return (EINVAL);
	kbd->kb_dev = make_dev(&kbd_cdevsw, kbd->kb_index, UID_ROOT, GID_WHEEL,
	    0600, "%s%d", kbd->kb_name, kbd->kb_unit);
	kbd->kb_dev->si_drv1 = malloc(sizeof(struct kbdnode), M_DEVBUF,
	    M_WAITOK | M_ZERO);
	return (0);
}
