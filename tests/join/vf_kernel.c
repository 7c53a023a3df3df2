/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See vf_kernel.h. */

#include "../kpi/ktest_net_fake.h"

#include "vf_kernel.h"

#include <kern/kpi_internal.h>

static struct fnic *vf;

void
ktest_vf_come(const unsigned char mac[6])
{
	struct thread *td = kpi_thread_enter();

	vf = fnic_create_mac("vf", mac);
	kpi_thread_leave(td);
}

void
ktest_vf_go(void)
{
	struct thread *td = kpi_thread_enter();

	fnic_destroy(vf);
	vf = NULL;
	kpi_thread_leave(td);
}

unsigned
ktest_vf_sent(void *buf, kpi_size size, kpi_size *len)
{
	struct thread *td = kpi_thread_enter();
	struct mbuf *m;
	unsigned n = 0;

	*len = 0;
	while ((m = fnic_sent(vf)) != NULL) {
		n++;
		*len = MIN(size, m->m_pkthdr.len);
		m_copydata(m, 0, *len, buf);
		m_freem(m);
	}
	kpi_thread_leave(td);
	return (n);
}

int
ktest_vf_receive(const void *frame, kpi_size len)
{
	struct thread *td = kpi_thread_enter();
	int up = (if_getflags(vf->fn_ifp) & IFF_UP) != 0;

	if (up)
		fnic_receive(vf, fnic_frame(vf, frame, len));
	kpi_thread_leave(td);
	return (up);
}

void
ktest_vf_link(int up)
{
	struct thread *td = kpi_thread_enter();

	if_link_state_change(vf->fn_ifp, up ? LINK_STATE_UP : LINK_STATE_DOWN);
	kpi_thread_leave(td);
}
