/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The keyboard as kbd(4) and its clients know it: kbdmux(4), vt(4), the device
 * node.  All of it runs with Giant, as kbd(4) wants it, or polled: for the
 * debugger, after a panic, and at prompts of a kernel that boots.
 */

#include "opt_kbd.h"

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/conf.h>
#include <sys/malloc.h>

#include <dev/hyperv/input/hv_kbd_var.h>

#define	KEYCODE_PRINT	0x5c
#define	KEYCODE_SYSRQ	0x54
#define	KEYCODE_PAUSE	0x68
#define	KEYCODE_BREAK	0x6c

static int
hv_kbd_get(struct hv_kbd_softc *kb)
{
	int byte;

	hv_kbd_lock(kb);
	byte = hv_kbd_keys_get(&kb->kb_keys);
	hv_kbd_unlock(kb);
	return (byte);
}

/* Whether there is something to read; asks the host where nobody else does. */
static bool
hv_kbd_pending(struct hv_kbd_softc *kb)
{
	bool pending;

	if (kb->kb_polling > 0 && hv_kbd_alone())
		vmbus_ch_poll(kb->kb_ch);
	hv_kbd_lock(kb);
	pending = kb->kb_keys.kk_len > 0;
	hv_kbd_unlock(kb);
	return (pending);
}

void
hv_kbd_sw_input(struct hv_kbd_softc *kb)
{
	struct keyboard *kbd = &kb->kb_kbd;

	mtx_assert(&Giant, MA_OWNED);
	/* Who polls comes by itself. */
	if (!kb->kb_registered || kb->kb_polling > 0)
		return;
	if (!hv_kbd_pending(kb))
		return;
	if (KBD_IS_ACTIVE(kbd) && KBD_IS_BUSY(kbd)) {
		(void)kbd->kb_callback.kc_func(kbd, KBDIO_KEYINPUT,
		    kbd->kb_callback.kc_arg);
		return;
	}
	/* Nobody reads it: it is not for whoever comes later. */
	while (hv_kbd_get(kb) >= 0)
		;
}

/* --- Reading --- */

static int
hv_kbd_sw_check(keyboard_t *kbd)
{

	return (KBD_IS_ACTIVE(kbd) && hv_kbd_pending(kbd->kb_data));
}

static int
hv_kbd_sw_read(keyboard_t *kbd, int wait __unused)
{

	if (!hv_kbd_sw_check(kbd))
		return (-1);
	return (hv_kbd_get(kbd->kb_data));
}

/* Keys that are others with alt or control. */
static u_int
hv_kbd_modified(const struct hv_kbd_softc *kb, u_int keycode)
{

	switch (keycode & ~HV_KBD_UP) {
	case KEYCODE_PRINT:
		if ((kb->kb_shift & ALTS) != 0)
			return (KEYCODE_SYSRQ | (keycode & HV_KBD_UP));
		break;
	case KEYCODE_PAUSE:
		if ((kb->kb_shift & CTLS) != 0)
			return (KEYCODE_BREAK | (keycode & HV_KBD_UP));
		break;
	}
	return (keycode);
}

/* What a byte amounts to in the mode the reader has set, or NOKEY. */
static u_int
hv_kbd_action(struct hv_kbd_softc *kb, uint8_t byte)
{
	u_int keycode;

	kb->kb_kbd.kb_count++;
	if (kb->kb_mode == K_RAW)
		return (byte);
	keycode = hv_kbd_keycode(&kb->kb_prefix, byte);
	if (keycode == 0)
		return (NOKEY);
	keycode = hv_kbd_modified(kb, keycode);
	if (kb->kb_mode == K_CODE)
		return (keycode);
	return (genkbd_keyaction(&kb->kb_kbd, keycode & ~HV_KBD_UP,
	    keycode & HV_KBD_UP, &kb->kb_shift, &kb->kb_accents));
}

/* No client waits in here: all of them ask again. */
static u_int
hv_kbd_sw_read_char(keyboard_t *kbd, int wait __unused)
{
	struct hv_kbd_softc *kb = kbd->kb_data;
	u_int action;
	int byte;

	action = NOKEY;
	while (action == NOKEY && hv_kbd_sw_check(kbd) &&
	    (byte = hv_kbd_get(kb)) >= 0)
		action = hv_kbd_action(kb, byte);
	return (action);
}

static int
hv_kbd_sw_intr(keyboard_t *kbd, void *arg __unused)
{

	hv_kbd_sw_input(kbd->kb_data);
	return (0);
}

/* Counts: the debugger may ask a kernel that polls already. */
static int
hv_kbd_sw_poll(keyboard_t *kbd, int on)
{
	struct hv_kbd_softc *kb = kbd->kb_data;

	if (on)
		kb->kb_polling++;
	else if (kb->kb_polling > 0)
		kb->kb_polling--;
	/* What was typed meanwhile is for the usual reader. */
	if (kb->kb_polling == 0 && !hv_kbd_alone() && hv_kbd_pending(kb))
		taskqueue_enqueue(taskqueue_thread, &kb->kb_task);
	return (0);
}

/* --- Settings --- */

static int
hv_kbd_sw_enable(keyboard_t *kbd)
{

	KBD_ACTIVATE(kbd);
	return (0);
}

static int
hv_kbd_sw_disable(keyboard_t *kbd)
{

	KBD_DEACTIVATE(kbd);
	return (0);
}

static void
hv_kbd_sw_clear_state(keyboard_t *kbd)
{
	struct hv_kbd_softc *kb = kbd->kb_data;

	kb->kb_shift &= LOCK_MASK;
	kb->kb_accents = 0;
	kb->kb_prefix = 0;
}

static int
hv_kbd_set_mode(keyboard_t *kbd, int mode)
{
	struct hv_kbd_softc *kb = kbd->kb_data;

	if (mode != K_XLATE && mode != K_RAW && mode != K_CODE)
		return (EINVAL);
	if (mode == kb->kb_mode)
		return (0);
	hv_kbd_sw_clear_state(kbd);
	/* A reader of bytes had the locks in its own hands. */
	if (mode == K_XLATE)
		kb->kb_shift = KBD_LED_VAL(kbd) & LOCK_MASK;
	kb->kb_mode = mode;
	return (0);
}

static int
hv_kbd_set_leds_arg(keyboard_t *kbd, int leds)
{

	if ((leds & ~LOCK_MASK) != 0)
		return (EINVAL);
	KBD_LED_VAL(kbd) = leds;
	hv_kbd_set_leds(kbd->kb_data, leds);
	return (0);
}

static int
hv_kbd_sw_ioctl(keyboard_t *kbd, u_long cmd, caddr_t arg)
{
	struct hv_kbd_softc *kb = kbd->kb_data;
	int *value = (int *)(void *)arg;

	switch (cmd) {
	case KDGKBMODE:
		*value = kb->kb_mode;
		return (0);
	case KDSKBMODE:
		return (hv_kbd_set_mode(kbd, *value));
	case KDGETLED:
		*value = KBD_LED_VAL(kbd);
		return (0);
	case KDSETLED:
		return (hv_kbd_set_leds_arg(kbd, *value));
	case KDGKBSTATE:
		*value = kb->kb_shift & LOCK_MASK;
		return (0);
	case KDSKBSTATE:
		if ((*value & ~LOCK_MASK) != 0)
			return (EINVAL);
		kb->kb_shift = (kb->kb_shift & ~LOCK_MASK) | *value;
		return (hv_kbd_set_leds_arg(kbd, *value));
	case PIO_KEYMAP:
	case PIO_KEYMAPENT:
	case PIO_DEADKEYMAP:
		kb->kb_accents = 0;
		break;
	}
	return (genkbd_commonioctl(kbd, cmd, arg));
}

/* --- What a keyboard that is found by newbus need not do --- */

static int
hv_kbd_sw_configure(int flags __unused)
{

	return (0);
}

static int
hv_kbd_sw_probe(int unit __unused, void *arg __unused, int flags __unused)
{

	return (ENXIO);
}

static int
hv_kbd_sw_init(int unit __unused, keyboard_t **kbdp __unused,
    void *arg __unused, int flags __unused)
{

	return (ENXIO);
}

static int
hv_kbd_sw_term(keyboard_t *kbd __unused)
{

	return (ENXIO);
}

static int
hv_kbd_sw_test_if(keyboard_t *kbd __unused)
{

	return (0);
}

static int
hv_kbd_sw_lock(keyboard_t *kbd __unused, int lock __unused)
{

	return (1);
}

static int
hv_kbd_sw_get_state(keyboard_t *kbd __unused, void *buf __unused,
    size_t len __unused)
{

	return (-1);
}

static int
hv_kbd_sw_set_state(keyboard_t *kbd __unused, void *buf __unused,
    size_t len __unused)
{

	return (EINVAL);
}

static keyboard_switch_t hv_kbd_switch = {
	.probe = hv_kbd_sw_probe,
	.init = hv_kbd_sw_init,
	.term = hv_kbd_sw_term,
	.intr = hv_kbd_sw_intr,
	.test_if = hv_kbd_sw_test_if,
	.enable = hv_kbd_sw_enable,
	.disable = hv_kbd_sw_disable,
	.read = hv_kbd_sw_read,
	.check = hv_kbd_sw_check,
	.read_char = hv_kbd_sw_read_char,
	.check_char = hv_kbd_sw_check,
	.ioctl = hv_kbd_sw_ioctl,
	.lock = hv_kbd_sw_lock,
	.clear_state = hv_kbd_sw_clear_state,
	.get_state = hv_kbd_sw_get_state,
	.set_state = hv_kbd_sw_set_state,
	.poll = hv_kbd_sw_poll,
};

/*
 * A kernel may have another driver of this name.  It is this one that has the
 * bus once there is a device, so it is only then that kbd(4) hears of it.
 */
static keyboard_driver_t hv_kbd_kbd_driver = {
	.name = HV_KBD_NAME,
	.kbdsw = &hv_kbd_switch,
	.configure = hv_kbd_sw_configure,
};

/* --- Coming and going --- */

int
hv_kbd_sw_attach(struct hv_kbd_softc *kb)
{
	static char name[] = HV_KBD_NAME;
	keyboard_t *kbd = &kb->kb_kbd;
	int error;

	mtx_assert(&Giant, MA_OWNED);
	error = kbd_add_driver(&hv_kbd_kbd_driver);
	if (error != 0)
		return (error);
	kbd_init_struct(kbd, name, KB_OTHER, device_get_unit(kb->kb_dev), 0, 0,
	    0);
	kbd->kb_data = kb;
	kbd_set_maps(kbd, kb->kb_keymap, kb->kb_accentmap, kb->kb_fkeytab,
	    NUM_FKEYS);
	kb->kb_mode = K_XLATE;
	KBD_FOUND_DEVICE(kbd);
	KBD_PROBE_DONE(kbd);
	KBD_INIT_DONE(kbd);
	if (kbd_register(kbd) < 0)
		return (ENXIO);
	kb->kb_registered = true;
	KBD_CONFIG_DONE(kbd);
#ifdef KBD_INSTALL_CDEV
	error = kbd_attach(kbd);
	if (error != 0)
		return (error);
#endif
	/* A client has enabled it for itself by now, kbdmux(4) for one. */
	if (!KBD_IS_ACTIVE(kbd))
		hv_kbd_sw_enable(kbd);
	return (0);
}

int
hv_kbd_sw_detach(struct hv_kbd_softc *kb)
{
	keyboard_t *kbd = &kb->kb_kbd;
	struct cdev *dev;
	int error;

	mtx_assert(&Giant, MA_OWNED);
	if (!kb->kb_registered)
		return (0);
	dev = kbd->kb_dev;
	error = kbd_unregister(kbd);
	if (error != 0)
		return (error);
	kb->kb_registered = false;
	kbd->kb_dev = NULL;
#ifdef KBD_INSTALL_CDEV
	/*
	 * What kbd_detach() would do, in the order in which it works: it wants
	 * a registered keyboard, whose readers it frees the memory of and then
	 * waits for.  They have left now, or are about to.
	 */
	if (dev != NULL) {
		void *softc = dev->si_drv1;

		destroy_dev(dev);
		free(softc, M_DEVBUF);
	}
#endif
	return (0);
}

void
hv_kbd_sw_unload(void)
{

	/* EINVAL if there never was a device. */
	(void)kbd_delete_driver(&hv_kbd_kbd_driver);
}
