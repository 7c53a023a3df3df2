/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic keyboard's softc.
 *
 * hv_kbd_reg.h	messages
 * hv_kbd_keys.c	what is typed, as bytes; pure
 * hv_kbd_map.c	a US keyboard; pure
 * hv_kbd.c	device, channel, packets
 * hv_kbd_sw.c	the keyboard that the kernel sees
 *
 * Lock key:
 *	(a) attach and detach only
 *	(g) Giant, the lock of kbd(4); whoever polls a kernel whose scheduler
 *	    stands still needs none
 *	(m) kb_mtx
 * Order: Giant, kb_mtx.  The channel's callback takes kb_mtx only, for Giant
 * is held for long at times and disks share its thread.
 */

#ifndef _HV_KBD_VAR_H_
#define	_HV_KBD_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/kbio.h>
#include <sys/kdb.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <dev/kbd/kbdreg.h>

#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/input/hv_kbd_keys.h>

#define	HV_KBD_NAME	"hvkbd"		/* as newbus and kbd(4) know it */

enum hv_kbd_state {
	HV_KBD_CLOSED,
	HV_KBD_ASKED,		/* the host for its version */
	HV_KBD_REFUSED,
	HV_KBD_READY
};

struct hv_kbd_softc {
	device_t		 kb_dev;	/* (a) */
	struct vmbus_channel	*kb_ch;		/* (a) */
	struct mtx		 kb_mtx;
	bool			 kb_init;	/* (a) the mutex is there */
	enum hv_kbd_state	 kb_state;	/* (m) */
	bool			 kb_detaching;	/* (g) */
	bool			 kb_bad_said;	/* (m) */
	uint64_t		 kb_events;	/* (m) keys of the host */
	uint64_t		 kb_dropped;	/* (m) nobody read them */
	uint64_t		 kb_bad;	/* (m) what made no sense */
	struct hv_kbd_keys	 kb_keys;	/* (m) */
	struct task		 kb_task;	/* hands keys to who reads */

	struct keyboard		 kb_kbd;	/* (g) */
	bool			 kb_registered;	/* (g) kb_kbd is */
	int			 kb_mode;	/* (g) K_XLATE and so on */
	int			 kb_shift;	/* (g) shift and lock state */
	int			 kb_accents;	/* (g) */
	uint8_t			 kb_prefix;	/* (g) hv_kbd_keycode()'s */
	u_int			 kb_polling;	/* (g) how often it is asked */
	struct keymap		*kb_keymap;	/* (a) */
	struct accentmap	*kb_accentmap;	/* (a) */
	struct fkeytab		*kb_fkeytab;	/* (a) */
	struct sysctl_ctx_list	 kb_sysctl;	/* (a) */
	bool			 kb_sysctl_init;/* (a) */
};

MALLOC_DECLARE(M_HVKBD);

/*
 * A kernel that has stopped its other processors, for the debugger or after a
 * panic: no lock is waited for, and nobody else touches anything.
 */
static __inline bool
hv_kbd_alone(void)
{

	return (SCHEDULER_STOPPED() || kdb_active != 0);
}

static __inline void
hv_kbd_lock(struct hv_kbd_softc *kb)
{

	if (!hv_kbd_alone())
		mtx_lock(&kb->kb_mtx);
}

static __inline void
hv_kbd_unlock(struct hv_kbd_softc *kb)
{

	if (!hv_kbd_alone())
		mtx_unlock(&kb->kb_mtx);
}

/* hv_kbd.c */

/* Tells the host which lights are on, LED_*; those of a host that is not there
 * stay dark. */
void	hv_kbd_set_leds(struct hv_kbd_softc *kb, int leds);

/* hv_kbd_sw.c; all with Giant. */

/* Makes the keyboard known to kbd(4). */
int	hv_kbd_sw_attach(struct hv_kbd_softc *kb);
/*
 * Takes it back, and ends its readers.  EBUSY: one does not let go.  Takes a
 * softc in any state; sleeps.
 */
int	hv_kbd_sw_detach(struct hv_kbd_softc *kb);
/* Hands what is typed to whoever reads. */
void	hv_kbd_sw_input(struct hv_kbd_softc *kb);
/* No keyboard is attached any more: kbd(4) forgets the driver. */
void	hv_kbd_sw_unload(void);

#endif	/* !_HV_KBD_VAR_H_ */
