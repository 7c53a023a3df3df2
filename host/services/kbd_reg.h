/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of the synthetic keyboard.  Little-endian; each message is an
 * in-band packet of its own, with no pipe's header.
 */

#ifndef HVH_SERVICES_KBD_REG_H
#define	HVH_SERVICES_KBD_REG_H

#include <stddef.h>
#include <stdint.h>

#define	KBD_ASK_VERSION		1	/* of the guest */
#define	KBD_SAY_VERSION		2
#define	KBD_KEY			3
#define	KBD_LIGHTS		4	/* of the guest */

#define	KBD_VERSION		0x00010000u

struct kbd_ask {
	uint32_t	ka_type;
	uint32_t	ka_version;
};
_Static_assert(sizeof(struct kbd_ask) == 8, "ask");

struct kbd_say {
	uint32_t	ks_type;
	uint32_t	ks_accepted;	/* bit 0 */
};
_Static_assert(sizeof(struct kbd_say) == 8, "say");

#define	KBD_IS_UNICODE		1
#define	KBD_IS_BREAK		2
#define	KBD_IS_E0		4
#define	KBD_IS_E1		8

struct kbd_key {
	uint32_t	kk_type;
	uint16_t	kk_code;	/* scan code set 1, without release */
	uint16_t	kk_reserved;
	uint32_t	kk_flags;
};
_Static_assert(sizeof(struct kbd_key) == 12, "key");
_Static_assert(offsetof(struct kbd_key, kk_flags) == 8, "key flags");

/* 1 scroll lock, 2 number lock, 4 capitals lock. */
struct kbd_lights {
	uint32_t	kl_type;
	uint16_t	kl_lights;
	uint16_t	kl_reserved;
};
_Static_assert(sizeof(struct kbd_lights) == 8, "lights");

#endif	/* !HVH_SERVICES_KBD_REG_H */
