/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Words for numbers, as control socket, client and traces use them.  What has
 * no word is NULL, but for those that say otherwise.
 */

#ifndef CONTROL_NAMES_H
#define	CONTROL_NAMES_H

#include "hvhost.h"

/* "SCSI", "network" ...: the kind of device that an offer's type means. */
const char *name_class(const struct hvh_guid *type);
/* "open" ...; never NULL. */
const char *name_chan_state(enum hvh_chan_state state);

/* Channel messages: "OPEN_RESULT" ... */
const char *name_message(uint32_t type);

/* "msg_out", "drop" ...; '-' is '_' on the way back, case does not count. */
const char *name_fault_point(unsigned point);
const char *name_fault_action(unsigned action);
bool	name_to_fault_point(const char *name, enum hvh_fault_point *point);
bool	name_to_fault_action(const char *name, enum hvh_fault_action *action);

/* A message's number; false: no such message. */
bool	name_to_message(const char *name, uint32_t *type);
/* Equal but for case, and '-' being '_'. */
bool	name_equal(const char *a, const char *b);

/*
 * "42", "0x2a", "0xFFFF…" up to 64 bits; "EIO" and its like if errnos is set;
 * nothing else.
 */
bool	name_to_number(const char *text, bool errnos, uint64_t *value);

#endif	/* !CONTROL_NAMES_H */
