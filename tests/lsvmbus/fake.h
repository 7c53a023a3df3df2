/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What lsvmbus(8) finds on FreeBSD, for running it on Linux: a sysctl tree and
 * a device tree made by a test or taken from the hosted kernel, and a libxo(3)
 * that knows as much as the program uses.  The program is FreeBSD's, compiled
 * against FreeBSD's headers; only what it calls is not the real thing.
 *
 * Included on both sides, so it uses the compiler's own types only.
 */

#ifndef TESTS_LSVMBUS_FAKE_H
#define	TESTS_LSVMBUS_FAKE_H

/* The kernel's state of a device, as far as a test wants it. */
enum fake_state {
	FAKE_UNATTACHED, FAKE_ATTACHED, FAKE_DISABLED, FAKE_SUSPENDED
};

/* Empties both trees. */
void	fake_reset(void);
void	fake_string(const char *name, const char *value);
void	fake_int(const char *name, unsigned value);
void	fake_u64(const char *name, unsigned long long value);
/* Takes away what is below a node, as when a channel closes. */
void	fake_remove(const char *prefix);
/* Returns a handle for children; the root has parent 0. */
unsigned long fake_device(unsigned long parent, enum fake_state state,
	    const char *name, const char *driver, const char *desc,
	    const char *pnpinfo, const char *location);
/* The tree is another now, whether it is or not. */
void	fake_generation(void);
/* What hw.bus.info calls the interface's version. */
void	fake_bus_version(int version);

/*
 * Called before each sysctl(3), with how many there have been; it may change
 * the trees.  NULL: none.
 */
extern void (*fake_hook)(unsigned call);

/* Of the last lsvmbus_main(): standard output and standard error. */
const char *fake_output(void);
const char *fake_messages(void);
void	fake_output_reset(void);

/*
 * Ends the test for what the program or the test has done wrong; there is one
 * for Linux (fake_linux.c) and one for a FreeBSD guest.
 */
void	fake_die(const char *why, const char *what)
	    __attribute__((noreturn));

/* The program's main(). */
int	lsvmbus_main(int argc, char *argv[]);

/* Where FreeBSD's errno is; the numbers used here are Linux's too. */
int	*__error(void);

#endif	/* !TESTS_LSVMBUS_FAKE_H */
