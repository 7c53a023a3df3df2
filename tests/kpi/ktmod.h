/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the modules of the module tests have in common: they write down what
 * happens to them in a log that the tests read.
 */

#ifndef TESTS_KTMOD_H
#define	TESTS_KTMOD_H

extern int	ktmod_busy;
void		ktmod_note(const char *what);
/* What was noted since the last time. */
bool		ktmod_log_is(const char *expected);

#define	KTMOD(who)							\
static int								\
who##_event(module_t mod, int what, void *arg)				\
{									\
	switch (what) {							\
	case MOD_LOAD:							\
		ktmod_note(#who "-load");				\
		return (0);						\
	case MOD_QUIESCE:						\
		if (ktmod_busy)						\
			return (EBUSY);					\
		ktmod_note(#who "-quiesce");				\
		return (0);						\
	case MOD_UNLOAD:						\
		ktmod_note(#who "-unload");				\
		return (0);						\
	case MOD_SHUTDOWN:						\
		ktmod_note(#who "-shutdown");				\
		return (0);						\
	}								\
	return (EOPNOTSUPP);						\
}									\
									\
static int who##_zero, who##_seven = 7;					\
									\
static void								\
who##_early(void *arg)							\
{									\
	/* As if the file came from disk. */				\
	if (who##_zero++ != 0 || who##_seven++ != 7)			\
		ktmod_note("stale");					\
	ktmod_note(#who "-early");					\
}									\
									\
static void								\
who##_late(void *arg)							\
{									\
	ktmod_note(#who "-late");					\
}									\
									\
SYSINIT(who, SI_SUB_LOCK, SI_ORDER_ANY, who##_early, NULL);		\
SYSUNINIT(who, SI_SUB_LOCK, SI_ORDER_ANY, who##_late, NULL);		\
static moduledata_t who##_mod = { "ktmod_" #who, who##_event, NULL };	\
DECLARE_MODULE(ktmod_##who, who##_mod, SI_SUB_DRIVERS, SI_ORDER_MIDDLE);\
MODULE_VERSION(ktmod_##who, 1)

#endif	/* !TESTS_KTMOD_H */
