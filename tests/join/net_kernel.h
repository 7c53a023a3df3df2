/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a test needs to see of hn0 from inside the kernel: its rings, settings
 * that are no numbers, and requests whose structures are FreeBSD's.
 */

#ifndef TESTS_JOIN_NET_KERNEL_H
#define	TESTS_JOIN_NET_KERNEL_H

#include <kpi.h>

/* Where the host says how far it has filled the ring of hn0's primary. */
volatile unsigned *ktest_hn_ring(void);
/* [k] The ring to the host is as the bus leaves one that is corrupt. */
void	ktest_hn_break(void);

/* [k] sysctlbyname(3); errno.  *oldlen as there; new may be NULL. */
int	ktest_sysctl(const char *name, void *old, kpi_size *oldlen,
	    const void *new, kpi_size newlen);

/* [k] SIOCGIFRSSKEY and SIOCGIFRSSHASH; errno.  The key's length: 0, none. */
struct ktest_rss {
	unsigned	keylen, types;
	unsigned	keyfunc, hashfunc;	/* RSS_FUNC_* */
	unsigned char	key[128];
};
int	ktest_rss(const char *name, struct ktest_rss *kr);

/* [k] SIOCGIFXMEDIA; errno. */
struct ktest_media {
	int	 current, active, status;
	int	 count;		/* in: room in list; out: media there are */
	int	 list[4];
};
int	ktest_media(const char *name, struct ktest_media *km);
/* [k] SIOCSIFMEDIA; errno. */
int	ktest_media_set(const char *name, int media);

#endif	/* !TESTS_JOIN_NET_KERNEL_H */
