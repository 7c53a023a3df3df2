/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What is typed, between the host's packets and the kernel's keyboards: bytes
 * of scan code set 1, as a PS/2 keyboard sends them, and what they mean.  Pure;
 * the lock is the caller's.
 */

#ifndef _HV_KBD_KEYS_H_
#define	_HV_KBD_KEYS_H_

#include <sys/types.h>

#define	HV_KBD_PREFIX_NONE	0
#define	HV_KBD_PREFIX_E0	1
#define	HV_KBD_PREFIX_E1	2
#define	HV_KBD_PREFIXES		3

#define	HV_KBD_CODES		128
#define	HV_KBD_KEYS		(HV_KBD_PREFIXES * HV_KBD_CODES)

/*
 * A key that goes down is taken while this many bytes are free; what is left
 * is enough for all keys to come up, two bytes each.  So a release is never
 * lost, and no key stays down for ever.
 */
#define	HV_KBD_RESERVE		(2 * HV_KBD_KEYS)
#define	HV_KBD_QUEUE		2048

/*
 * What a key may have for a code: releases of these would be prefixes, and
 * take the key that comes next.
 */
static __inline bool
hv_kbd_is_code(u_int code)
{

	return (code > 0 && code < HV_KBD_CODES && code != 0x60 &&
	    code != 0x61);
}

struct hv_kbd_keys {
	u_int		 kk_head;
	u_int		 kk_len;
	uint32_t	 kk_down[HV_KBD_KEYS / 32];	/* for the reader */
	uint8_t		 kk_queue[HV_KBD_QUEUE];
};

/*
 * A key went down (again, if it is held) or up.  false: no room.  One that
 * comes up without having gone down is nothing.
 */
bool	hv_kbd_keys_put(struct hv_kbd_keys *kk, u_int prefix, uint8_t code,
	    bool up);
/* A character, by the keys of a US keyboard.  false: no room, or no such. */
bool	hv_kbd_keys_type(struct hv_kbd_keys *kk, uint16_t c);
/* All keys that are down come up. */
void	hv_kbd_keys_release(struct hv_kbd_keys *kk);
/* The next byte; -1: none. */
int	hv_kbd_keys_get(struct hv_kbd_keys *kk);

/*
 * The kernel's key code (kbdmap(5)) that a byte ends, HV_KBD_UP set if the key
 * came up; 0: it ends none.  *prefix is what came before, 0 at first.
 */
#define	HV_KBD_UP		0x80
u_int	hv_kbd_keycode(uint8_t *prefix, uint8_t byte);

/* hv_kbd_map.c */
struct keymap;
struct accentmap;
struct fkeytab;

/* A US keyboard's maps; fk has NUM_FKEYS entries. */
void	hv_kbd_map_init(struct keymap *km, struct accentmap *am,
	    struct fkeytab *fk);
/* The key with that character on it; 0: none. */
uint8_t	hv_kbd_map_find(uint16_t c, bool *shift);

#endif	/* !_HV_KBD_KEYS_H_ */
