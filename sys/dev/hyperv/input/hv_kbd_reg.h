/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic keyboard's messages; little-endian, each the payload of an
 * in-band packet, without a pipe's header in front.  Numbers only; nothing here
 * has a state.
 */

#ifndef _HV_KBD_REG_H_
#define	_HV_KBD_REG_H_

#include <sys/types.h>

#define	HV_KBD_MSG_REQUEST	1	/* guest: this version? */
#define	HV_KBD_MSG_RESPONSE	2	/* host */
#define	HV_KBD_MSG_EVENT	3	/* host: a key */
#define	HV_KBD_MSG_LED		4	/* guest: lights */

#define	HV_KBD_VERSION_1_0	0x00010000	/* major << 16 | minor */

struct hv_kbd_request {
	uint32_t	kr_type;
	uint32_t	kr_version;
};
_Static_assert(sizeof(struct hv_kbd_request) == 8, "hv_kbd_request");

struct hv_kbd_response {
	uint32_t	kp_type;
	uint32_t	kp_flags;
#define	HV_KBD_ACCEPTED		0x00000001
};
_Static_assert(sizeof(struct hv_kbd_response) == 8, "hv_kbd_response");

/*
 * Codes are those of scan code set 1, without the bit of a release and without
 * prefix: flags tell of both.
 */
struct hv_kbd_event {
	uint32_t	ke_type;
	uint16_t	ke_code;	/* or a UTF-16 unit */
	uint16_t	ke_rsvd;
	uint32_t	ke_flags;
#define	HV_KBD_UNICODE		0x00000001
#define	HV_KBD_BREAK		0x00000002
#define	HV_KBD_E0		0x00000004
#define	HV_KBD_E1		0x00000008
};
_Static_assert(sizeof(struct hv_kbd_event) == 12, "hv_kbd_event");
_Static_assert(__offsetof(struct hv_kbd_event, ke_flags) == 8,
    "hv_kbd_event.ke_flags");

/* Bits as a PS/2 keyboard's. */
struct hv_kbd_led {
	uint32_t	kl_type;
	uint16_t	kl_leds;
#define	HV_KBD_LED_SCROLL	0x0001
#define	HV_KBD_LED_NUM		0x0002
#define	HV_KBD_LED_CAPS		0x0004
	uint16_t	kl_rsvd;
};
_Static_assert(sizeof(struct hv_kbd_led) == 8, "hv_kbd_led");

/* The longest message of the host, with the packet's padding. */
#define	HV_KBD_MSG_MAX		16

#endif	/* !_HV_KBD_REG_H_ */
