/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Keys by their names, and text by the keys of a US keyboard.
 */

#ifndef CONTROL_KEYS_H
#define	CONTROL_KEYS_H

#include "hvhost_kbd.h"

/* Keys in the order in which they are typed; the caller frees k. */
struct keys {
	struct hvh_key	*k;
	unsigned	 n, room;
	bool		 failed;	/* no memory */
};

/*
 * UTF-8.  false: there is no key for the character at *where, and none of them
 * has been added.
 */
bool	keys_text(struct keys *ks, const char *text, size_t *where);
/* "ctrl-alt-del": down in this order, up again.  false: no such key. */
bool	keys_chord(struct keys *ks, const char *names);

#endif	/* !CONTROL_KEYS_H */
