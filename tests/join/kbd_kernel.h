/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A reader of hvkbd0 in the kernel, as kbdmux(4) or a console is one: bytes of
 * scan code set 1.
 */

#ifndef TESTS_JOIN_KBD_KERNEL_H
#define	TESTS_JOIN_KBD_KERNEL_H

/* [k] Takes the keyboard; 0, or it is somebody else's. */
int	ktest_kbd_take(void);
/* [k] Gives it back. */
void	ktest_kbd_release(void);
/* Whether it lets the keyboard go when it is asked to. */
void	ktest_kbd_stubborn(int on);
/* What has come, at most len bytes; how many. */
unsigned ktest_kbd_got(unsigned char *buf, unsigned len);
/* [k] Polled mode on or off, and a look at what there is in it. */
void	ktest_kbd_poll(int on);
unsigned ktest_kbd_look(unsigned char *buf, unsigned len);
/* [k] At a panic it is polled until want bytes have come, for 2 s at most. */
void	ktest_kbd_at_panic(unsigned want);

#endif	/* !TESTS_JOIN_KBD_KERNEL_H */
