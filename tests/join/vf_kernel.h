/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A network card of the test's own in the kernel, as the driver of a PCI
 * virtual function would add one.
 */

#ifndef TESTS_JOIN_VF_KERNEL_H
#define	TESTS_JOIN_VF_KERNEL_H

/* [k] Adds it, down, with this address.  errno. */
int	ktest_vf_attach(const unsigned char mac[6]);
void	ktest_vf_detach(void);
/* [k] What ifconfig(8) does. */
int	ktest_vf_up(int up);
/* [k] A frame comes in by it. */
void	ktest_vf_receive(const void *frame, unsigned len);
/* KPI_NETCAP_* that the next one has, all switched on; as it is now. */
void	ktest_vf_hardware(unsigned caps);
unsigned ktest_vf_caps(void);
unsigned ktest_vf_flags(void);		/* IFF_* */
/* The last frame it was given to send, at most len bytes of it; its length. */
unsigned ktest_vf_last(void *buf, unsigned len);
/* Whether it takes frames to send. */
void	ktest_vf_refuse(int refuse);
/* The RSS key it has from now on, len bytes; 0: it has none. */
void	ktest_vf_key(const unsigned char *key, unsigned len);
/* Frames that it was given to send; whether it is up; its MTU. */
unsigned ktest_vf_sent(void);
int	ktest_vf_is_up(void);
unsigned ktest_vf_mtu(void);

#endif	/* !TESTS_JOIN_VF_KERNEL_H */
