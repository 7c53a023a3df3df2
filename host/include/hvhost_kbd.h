/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The host model's keyboard, for whoever manages a partition.
 */

#ifndef HVHOST_KBD_H
#define	HVHOST_KBD_H

#include "hvhost.h"

struct hvh_kbd;

/* A key goes down or up; codes are those of scan code set 1. */
struct hvh_key {
	uint16_t	 code;		/* 1 to HVH_KEY_MAX, or UTF-16 */
	uint16_t	 flags;
#define	HVH_KEY_UP	0x1
#define	HVH_KEY_E0	0x2		/* with this prefix */
#define	HVH_KEY_E1	0x4
#define	HVH_KEY_UNICODE	0x8		/* a character, whatever its key */
};
#define	HVH_KEY_MAX	0x7f

enum hvh_kbd_state {
	HVH_KBD_CLOSED,		/* no driver of the guest has opened it */
	HVH_KBD_NEGOTIATING,	/* no version agreed on */
	HVH_KBD_READY,
	HVH_KBD_GONE		/* rescinded */
};

struct hvh_kbd_info {
	enum hvh_kbd_state state;
	uint64_t	 keys;		/* sent */
	uint64_t	 refused;	/* versions of the guest's */
	uint64_t	 bad;		/* malformed */
	uint64_t	 timeouts;
	uint32_t	 waiting;	/* keys to be sent */
	uint16_t	 lights;	/* 1 scroll, 2 number, 4 caps lock */
};
#define	HVH_KBD_LIGHTS	0x7

/* As hvh_scsi_add(). */
int	hvh_kbd_add(struct hvh *h, struct hvh_kbd **kbd);
/* As hvh_scsi_remove(). */
void	hvh_kbd_remove(struct hvh_kbd *kbd);
void	hvh_kbd_get_info(struct hvh_kbd *kbd, struct hvh_kbd_info *ki);

/*
 * How typing ended; a callback as hvh_ic_done is.  0: the guest has been told
 * of all keys; ETIMEDOUT: it reads none; ECONNRESET: it closed the keyboard or
 * was reset; ECANCELED.
 */
typedef void hvh_kbd_done(void *arg, int error);

/*
 * Keys, one after the other with a pause behind each.  ENODEV, rescinded;
 * ENOTCONN, the guest has no driver; EINVAL, a code, or no keys; EAGAIN, more
 * than HVH_KBD_WAITING would wait; ENOMEM.
 */
#define	HVH_KBD_WAITING	16384
int	hvh_kbd_type(struct hvh_kbd *kbd, const struct hvh_key *keys,
	    unsigned nkeys, uint64_t pause_ns, hvh_kbd_done *done, void *arg);

#endif	/* !HVHOST_KBD_H */
