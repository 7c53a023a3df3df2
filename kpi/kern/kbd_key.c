/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What keys do, by a keyboard's map: what kbd(4) has for all drivers.  Accents
 * are left out, and AltGr.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>

#include <dev/kbd/kbdreg.h>

/* Keys that hold a state, and that change one at each press. */
static const struct {
	u_char		 action;
	int		 state;
} holds[] = {
	{ LSH, SHIFTS1 }, { RSH, SHIFTS2 }, { LCTR, CTLS1 }, { RCTR, CTLS2 },
	{ LALT, ALTS1 }, { RALT, ALTS2 },
}, locks[] = {
	{ CLK, CLKED }, { NLK, NLKED }, { SLK, SLKED },
};
static const int lock_down[] = { CLKDOWN, NLKDOWN, SLKDOWN };

static int
key_up(keyboard_t *kbd, int keycode, int *state)
{
	int action;
	u_int i;

	action = kbd->kb_lastact[keycode];
	kbd->kb_lastact[keycode] = NOP;
	if (action == NOP)
		return (NOKEY);
	for (i = 0; i < nitems(holds); i++)
		if (holds[i].action == action)
			*state &= ~holds[i].state;
	for (i = 0; i < nitems(locks); i++)
		if (locks[i].action == action)
			*state &= ~lock_down[i];
	return (SPCLKEY | RELKEY | action);
}

/* The lights follow. */
static void
key_lock(keyboard_t *kbd, u_int lock, int *state)
{
	int leds;

	if ((*state & lock_down[lock]) != 0)
		return;
	*state |= lock_down[lock];
	*state ^= locks[lock].state;
	leds = *state & LOCK_MASK;
	(void)kbd->kb_drv->kbdsw->ioctl(kbd, KDSETLED, (caddr_t)&leds);
}

static int
key_special(keyboard_t *kbd, int keycode, int action, int *state)
{
	u_int i;

	if (kbd->kb_lastact[keycode] == NOP)
		kbd->kb_lastact[keycode] = action;
	if (action == NOP || kbd->kb_lastact[keycode] != action)
		return (NOKEY);
	for (i = 0; i < nitems(holds); i++)
		if (holds[i].action == action)
			*state |= holds[i].state;
	for (i = 0; i < nitems(locks); i++)
		if (locks[i].action == action)
			key_lock(kbd, i, state);
	if (action >= F_FN && action <= L_FN)
		action |= FKEY;
	return (SPCLKEY | action);
}

int
genkbd_keyaction(keyboard_t *kbd, int keycode, int up, int *state,
    int *accents)
{
	const struct keyent_t *key;
	int i;

	KASSERT(keycode >= 0 && keycode < NUM_KEYS / 2,
	    ("key code %d", keycode));
	if (up)
		return (key_up(kbd, keycode, state));
	key = &kbd->kb_keymap->key[keycode];
	i = ((*state & SHIFTS) != 0 ? 1 : 0) | ((*state & CTLS) != 0 ? 2 : 0) |
	    ((*state & ALTS) != 0 ? 4 : 0);
	if (((key->flgs & FLAG_LOCK_C) != 0 && (*state & CLKED) != 0) ||
	    ((key->flgs & FLAG_LOCK_N) != 0 && (*state & NLKED) != 0))
		i ^= 1;
	if ((key->spcl & 0x80 >> i) != 0)
		return (key_special(kbd, keycode, key->map[i], state));
	kbd->kb_lastact[keycode] = NOP;
	return (key->map[i]);
}

int
genkbd_commonioctl(keyboard_t *kbd, u_long cmd, caddr_t arg)
{
	keyboard_info_t *ki;

	mtx_assert(&Giant, MA_OWNED);
	switch (cmd) {
	case KDGKBINFO:
		ki = (keyboard_info_t *)(void *)arg;
		memset(ki, 0, sizeof(*ki));
		ki->kb_index = kbd->kb_index;
		strlcpy(ki->kb_name, kbd->kb_name, sizeof(ki->kb_name));
		ki->kb_unit = kbd->kb_unit;
		ki->kb_type = kbd->kb_type;
		ki->kb_flags = kbd->kb_flags;
		return (0);
	case KDGKBTYPE:
		*(int *)(void *)arg = kbd->kb_type;
		return (0);
	}
	return (ENOIOCTL);
}
