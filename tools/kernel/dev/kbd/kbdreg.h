/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Keyboards, as FreeBSD 14 and 15 have them on amd64: this header is not
 * installed with the others, so that what is built without a source tree takes
 * it from here.  The layout is the kernel's, down to the last member; of
 * functions there are those that drivers and clients of this project call.
 */

#ifndef _DEV_KBD_KBDREG_H_
#define	_DEV_KBD_KBDREG_H_

#include "opt_kbd.h"

#include <sys/kbio.h>
#include <sys/queue.h>

typedef struct keyboard keyboard_t;

/* --- A driver --- */

typedef int	kbd_probe_t(int, void *, int);
typedef int	kbd_init_t(int, keyboard_t **, void *, int);
typedef int	kbd_term_t(keyboard_t *);
typedef int	kbd_intr_t(keyboard_t *, void *);
typedef int	kbd_test_if_t(keyboard_t *);
typedef int	kbd_enable_t(keyboard_t *);
typedef int	kbd_disable_t(keyboard_t *);
typedef int	kbd_read_t(keyboard_t *, int);
typedef int	kbd_check_t(keyboard_t *);
typedef u_int	kbd_read_char_t(keyboard_t *, int);
typedef int	kbd_check_char_t(keyboard_t *);
typedef int	kbd_ioctl_t(keyboard_t *, u_long, caddr_t);
typedef int	kbd_lock_t(keyboard_t *, int);
typedef void	kbd_clear_state_t(keyboard_t *);
typedef int	kbd_get_state_t(keyboard_t *, void *, size_t);
typedef int	kbd_set_state_t(keyboard_t *, void *, size_t);
typedef u_char *kbd_get_fkeystr_t(keyboard_t *, int, size_t *);
typedef int	kbd_poll_mode_t(keyboard_t *, int);
typedef void	kbd_diag_t(keyboard_t *, int);

typedef struct keyboard_switch {
	kbd_probe_t		*probe;
	kbd_init_t		*init;
	kbd_term_t		*term;
	kbd_intr_t		*intr;
	kbd_test_if_t		*test_if;
	kbd_enable_t		*enable;
	kbd_disable_t		*disable;
	kbd_read_t		*read;
	kbd_check_t		*check;
	kbd_read_char_t		*read_char;
	kbd_check_char_t	*check_char;
	kbd_ioctl_t		*ioctl;
	kbd_lock_t		*lock;
	kbd_clear_state_t	*clear_state;
	kbd_get_state_t		*get_state;
	kbd_set_state_t		*set_state;
	kbd_get_fkeystr_t	*get_fkeystr;	/* NULL: the generic one */
	kbd_poll_mode_t		*poll;
	kbd_diag_t		*diag;		/* NULL: the generic one */
} keyboard_switch_t;
_Static_assert(sizeof(struct keyboard_switch) == 19 * 8, "keyboard_switch");

typedef struct keyboard_driver {
	SLIST_ENTRY(keyboard_driver) link;
	const char * const	 name;
	keyboard_switch_t * const kbdsw;
	int			(* const configure)(int);
	int			 flags;
#define	KBDF_REGISTERED		0x0001
} keyboard_driver_t;

/* --- A keyboard --- */

typedef int	kbd_callback_func_t(keyboard_t *, int, void *);

#define	KBDIO_KEYINPUT	0
#define	KBDIO_UNLOADING	1

typedef struct keyboard_callback {
	kbd_callback_func_t	*kc_func;
	void			*kc_arg;
} keyboard_callback_t;

struct keyboard {
	/* kbd(4)'s. */
	int			 kb_index;
	int			 kb_minor;
	int			 kb_flags;
#define	KB_VALID		(1 << 16)
#define	KB_NO_DEVICE		(1 << 17)
#define	KB_PROBED		(1 << 18)
#define	KB_INITIALIZED		(1 << 19)
#define	KB_REGISTERED		(1 << 20)
#define	KB_BUSY			(1 << 21)
#define	KB_POLLED		(1 << 22)
	int			 kb_active;
	void			*kb_token;
	keyboard_callback_t	 kb_callback;
	int			 kb_config;
	/* The driver's. */
	char			*kb_name;
	int			 kb_unit;
	int			 kb_type;
	int			 kb_io_base;
	int			 kb_io_size;
	int			 kb_led;
	struct keymap		*kb_keymap;
	struct accentmap	*kb_accentmap;
	struct fkeytab		*kb_fkeytab;
	int			 kb_fkeytab_size;
	void			*kb_data;
	int			 kb_delay1;
	int			 kb_delay2;
	unsigned long		 kb_count;
	u_char			 kb_lastact[NUM_KEYS / 2];
	struct cdev		*kb_dev;
	const keyboard_driver_t	*kb_drv;
};
_Static_assert(sizeof(struct keyboard) == 280, "keyboard");

#define	KBD_IS_VALID(k)		((k)->kb_flags & KB_VALID)
#define	KBD_IS_BUSY(k)		((k)->kb_flags & KB_BUSY)
#define	KBD_IS_ACTIVE(k)	((k)->kb_active)
#define	KBD_ACTIVATE(k)		(++(k)->kb_active)
#define	KBD_DEACTIVATE(k)	(--(k)->kb_active)
#define	KBD_FOUND_DEVICE(k)	((k)->kb_flags &= ~KB_NO_DEVICE)
#define	KBD_PROBE_DONE(k)	((k)->kb_flags |= KB_PROBED)
#define	KBD_INIT_DONE(k)	((k)->kb_flags |= KB_INITIALIZED)
#define	KBD_CONFIG_DONE(k)	((k)->kb_flags |= KB_REGISTERED)
#define	KBD_LED_VAL(k)		((k)->kb_led)

/* Keys held; the bits below are LOCK_MASK's. */
#define	SHIFTS1			(1 << 16)
#define	SHIFTS2			(1 << 17)
#define	SHIFTS			(SHIFTS1 | SHIFTS2)
#define	CTLS1			(1 << 18)
#define	CTLS2			(1 << 19)
#define	CTLS			(CTLS1 | CTLS2)
#define	ALTS1			(1 << 20)
#define	ALTS2			(1 << 21)
#define	ALTS			(ALTS1 | ALTS2)
#define	NLKDOWN			(1 << 26)
#define	SLKDOWN			(1 << 27)
#define	CLKDOWN			(1 << 28)

/* --- What drivers call --- */

int	kbd_add_driver(keyboard_driver_t *driver);
int	kbd_delete_driver(keyboard_driver_t *driver);
int	kbd_register(keyboard_t *kbd);
int	kbd_unregister(keyboard_t *kbd);
void	kbd_init_struct(keyboard_t *kbd, char *name, int type, int unit,
	    int config, int port, int port_size);
void	kbd_set_maps(keyboard_t *kbd, struct keymap *keymap,
	    struct accentmap *accmap, struct fkeytab *fkeymap,
	    int fkeymap_size);
#ifdef KBD_INSTALL_CDEV
int	kbd_attach(keyboard_t *kbd);
int	kbd_detach(keyboard_t *kbd);
#endif
int	genkbd_commonioctl(keyboard_t *kbd, u_long cmd, caddr_t arg);
int	genkbd_keyaction(keyboard_t *kbd, int keycode, int up,
	    int *shiftstate, int *accents);

/* --- And clients --- */

int	kbd_allocate(char *driver, int unit, void *id,
	    kbd_callback_func_t *func, void *arg);
int	kbd_release(keyboard_t *kbd, void *id);
int	kbd_find_keyboard(char *driver, int unit);
keyboard_t *kbd_get_keyboard(int index);

#endif	/* !_DEV_KBD_KBDREG_H_ */
