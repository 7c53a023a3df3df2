/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For fuzzers of drivers that are joined with a host that lies: the machine,
 * the script that an input is, and what must hold when the modules are gone.
 */

#ifndef FUZZ_VM_H
#define	FUZZ_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/vm.h"

#define	NITEMS(a)	(sizeof(a) / sizeof((a)[0]))
#define	ENDS_MS		40000	/* real; libFuzzer gives up at 60 s */

/* Says what does not hold, and ends. */
_Noreturn void	fuzz_fail(const char *what);

/* Boots with the devices that add() makes; virtual time passes from then on. */
void	fuzz_boot(const char *const *kenv, void (*add)(void));

/*
 * What is left of the input; zeros behind its end.  Any thread: hooks run on
 * the pump's.
 */
void	fuzz_script(const uint8_t *data, size_t size);
uint8_t	fuzz_take(void);
size_t	fuzz_left(void);
/* Mostly leaves len bytes alone, else changes up to 3 places, or cuts them. */
void	fuzz_mutate(void *data, size_t *len);

/* The script is asked about everything that passes here. */
void	fuzz_hook(enum hvh_fault_point point);
/* A fault as the script has it; true: it takes the device away. */
bool	fuzz_fault(void);

/* Waits for devices that are just going. */
void	fuzz_unload(const char *name);
/* The host has said or left open that it still uses the guest's memory. */
bool	fuzz_kept(void);
/* hv_vmbus is gone: nothing is left, at the guest nor at the host. */
void	fuzz_check_left(void);

#endif	/* !FUZZ_VM_H */
