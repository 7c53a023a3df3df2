/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The words of --enlighten.
 */

#ifndef VMM_ENLIGHTEN_H
#define	VMM_ENLIGHTEN_H

#include "hvhost.h"

/* False: there is no such word. */
bool	enlighten_word(struct hvh_shown *hs, const char *word);

#endif	/* !VMM_ENLIGHTEN_H */
