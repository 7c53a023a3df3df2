/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Keys: see hv_kbd_keys.h. */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/input/hv_kbd_keys.h>

#define	KEY_LSHIFT	0x2a
#define	KEY_LCTRL	0x1d
#define	KEY_NUMLOCK	0x45
#define	KEYCODE_PAUSE	0x68

_Static_assert(HV_KBD_QUEUE > 2 * HV_KBD_RESERVE, "room for keys going down");

static bool
hv_kbd_keys_is_down(const struct hv_kbd_keys *kk, u_int key)
{

	return ((kk->kk_down[key / 32] & 1u << key % 32) != 0);
}

static void
hv_kbd_keys_byte(struct hv_kbd_keys *kk, uint8_t byte)
{

	KASSERT(kk->kk_len < HV_KBD_QUEUE, ("hv_kbd: the queue is full"));
	kk->kk_queue[(kk->kk_head + kk->kk_len) % HV_KBD_QUEUE] = byte;
	kk->kk_len++;
}

bool
hv_kbd_keys_put(struct hv_kbd_keys *kk, u_int prefix, uint8_t code, bool up)
{
	static const uint8_t prefixes[HV_KBD_PREFIXES] = { 0, 0xe0, 0xe1 };
	u_int key;

	KASSERT(prefix < HV_KBD_PREFIXES && hv_kbd_is_code(code),
	    ("hv_kbd: key %u, %u", prefix, code));
	key = prefix * HV_KBD_CODES + code;
	if (up) {
		if (!hv_kbd_keys_is_down(kk, key))
			return (true);
		kk->kk_down[key / 32] &= ~(1u << key % 32);
	} else {
		if (HV_KBD_QUEUE - kk->kk_len < HV_KBD_RESERVE + 2)
			return (false);
		kk->kk_down[key / 32] |= 1u << key % 32;
	}
	if (prefix != HV_KBD_PREFIX_NONE)
		hv_kbd_keys_byte(kk, prefixes[prefix]);
	hv_kbd_keys_byte(kk, code | (up ? HV_KBD_UP : 0));
	return (true);
}

/* The key's release may find that shift is held by the user: it stays so. */
bool
hv_kbd_keys_type(struct hv_kbd_keys *kk, uint16_t c)
{
	uint8_t code;
	bool held, ok, shift;

	code = hv_kbd_map_find(c, &shift);
	if (code == 0)
		return (false);
	held = hv_kbd_keys_is_down(kk, KEY_LSHIFT);
	if (shift && !held &&
	    !hv_kbd_keys_put(kk, HV_KBD_PREFIX_NONE, KEY_LSHIFT, false))
		return (false);
	ok = hv_kbd_keys_put(kk, HV_KBD_PREFIX_NONE, code, false);
	(void)hv_kbd_keys_put(kk, HV_KBD_PREFIX_NONE, code, true);
	if (shift && !held)
		(void)hv_kbd_keys_put(kk, HV_KBD_PREFIX_NONE, KEY_LSHIFT,
		    true);
	return (ok);
}

void
hv_kbd_keys_release(struct hv_kbd_keys *kk)
{
	u_int key;

	for (key = 0; key < HV_KBD_KEYS; key++)
		if (hv_kbd_keys_is_down(kk, key))
			(void)hv_kbd_keys_put(kk, key / HV_KBD_CODES,
			    key % HV_KBD_CODES, true);
}

int
hv_kbd_keys_get(struct hv_kbd_keys *kk)
{
	uint8_t byte;

	if (kk->kk_len == 0)
		return (-1);
	byte = kk->kk_queue[kk->kk_head];
	kk->kk_head = (kk->kk_head + 1) % HV_KBD_QUEUE;
	kk->kk_len--;
	return (byte);
}

/* What keys with the prefix E0 are called in keyboard maps; 0: no key. */
static u_int
hv_kbd_keycode_e0(uint8_t code)
{
	static const uint8_t keycodes[HV_KBD_CODES] = {
		[0x1c] = 0x59,		/* keypad enter */
		[0x1d] = 0x5a,		/* right control */
		[0x35] = 0x5b,		/* keypad divide */
		[0x37] = 0x5c,		/* print screen */
		[0x38] = 0x5d,		/* right alt */
		[0x46] = KEYCODE_PAUSE,	/* break */
		[0x47] = 0x5e,		/* home */
		[0x48] = 0x5f,		/* up */
		[0x49] = 0x60,		/* page up */
		[0x4b] = 0x61,		/* left */
		[0x4d] = 0x62,		/* right */
		[0x4f] = 0x63,		/* end */
		[0x50] = 0x64,		/* down */
		[0x51] = 0x65,		/* page down */
		[0x52] = 0x66,		/* insert */
		[0x53] = 0x67,		/* delete */
		[0x5b] = 0x69,		/* left logo */
		[0x5c] = 0x6a,		/* right logo */
		[0x5d] = 0x6b,		/* menu */
		[0x5e] = 0x6d,		/* power */
		[0x5f] = 0x6e,		/* sleep */
		[0x63] = 0x6f,		/* wake */
	};

	return (keycodes[code]);
}

u_int
hv_kbd_keycode(uint8_t *prefix, uint8_t byte)
{
	uint8_t before, code;
	u_int keycode;

	if (byte == 0xe0 || byte == 0xe1) {
		*prefix = byte;
		return (0);
	}
	before = *prefix;
	*prefix = 0;
	code = byte & ~HV_KBD_UP;
	switch (before) {
	case 0xe0:
		keycode = hv_kbd_keycode_e0(code);
		break;
	case 0xe1:
		/* Pause is E1 1D 45: the second part has its own prefix. */
		if (code == KEY_LCTRL)
			*prefix = KEY_LCTRL;
		return (0);
	case KEY_LCTRL:
		keycode = code == KEY_NUMLOCK ? KEYCODE_PAUSE : 0;
		break;
	default:
		keycode = code;
		break;
	}
	return (keycode == 0 ? 0 : keycode | (byte & HV_KBD_UP));
}
