/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A virtual function of a network adapter, inside the guest: a card of its own
 * with a driver of its own (tests/kpi/ktest_net_fake.h) and the adapter's MAC.
 *
 * Included on both sides of the waist: compiler's types only, and kpi.h's.
 */

#ifndef TESTS_JOIN_VF_KERNEL_H
#define	TESTS_JOIN_VF_KERNEL_H

#include <kpi.h>

/* [k] Interface "vf0" comes, or goes. */
void	ktest_vf_come(const unsigned char mac[6]);
void	ktest_vf_go(void);
/* [k] What it has sent since the last time; bytes of the last frame: buf. */
unsigned ktest_vf_sent(void *buf, kpi_size size, kpi_size *len);
/* [k] It receives a frame; whether the card is up to do so. */
int	ktest_vf_receive(const void *frame, kpi_size len);
/* [k] Its link. */
void	ktest_vf_link(int up);

#endif	/* !TESTS_JOIN_VF_KERNEL_H */
