/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A loadable module of the module tests.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/module.h>

#include <ktmod.h>

KTMOD(user);
MODULE_DEPEND(ktmod_user, ktmod_base, 1, 1, 1);
