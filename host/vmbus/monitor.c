/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Monitored notification: signals by a bit in a page instead of a hypercall
 * (protocol: vmbus, 5.5).  The page is looked at by a timer of the pump while
 * a channel that may use it is open.
 */

#include "vmbus/bus.h"

#define	MONITOR_LATENCY	100000ull	/* ns */

static bool
monitor_wanted(struct hvh_bus *b)
{

	for (unsigned i = 0; i < VMS_MONITOR_IDS; i++) {
		struct vms_chan *c = b->b_server.s_monitors[i];

		if (c != NULL && hvh_chan_of(c)->ch_io)
			return (true);
	}
	return (false);
}

static void
monitor_look(void *arg)
{
	struct hvh_bus *b = arg;
	struct vms_monitor *mp;
	struct vms_chan *c;
	uint32_t bits;

	mp = (struct vms_monitor *)b->b_server.s_conn.n_mon_c2p;
	if (mp == NULL || !monitor_wanted(b)) {
		b->b_monitor_on = false;
		return;
	}
	for (unsigned g = 0; g < VMS_MONITOR_IDS / 32; g++) {
		bits = __atomic_exchange_n(&mp->mp_group[g].pending, 0,
		    __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1) {
			c = b->b_server.s_monitors[g * 32 +
			    (unsigned)__builtin_ctz(bits)];
			if (c != NULL && hvh_chan_of(c)->ch_io)
				hvh_bus_again(b, c->c_id);
		}
	}
	hvh_timer_set(b->b_h, &b->b_monitor,
	    hvh_now(b->b_h) + MONITOR_LATENCY);
}

void
hvh_monitor_start(struct hvh_bus *b)
{

	if (b->b_monitor_on)
		return;
	b->b_monitor_on = true;
	b->b_monitor.fn = monitor_look;
	b->b_monitor.arg = b;
	hvh_timer_set(b->b_h, &b->b_monitor,
	    hvh_now(b->b_h) + MONITOR_LATENCY);
}

void
hvh_monitor_stop(struct hvh_bus *b)
{

	hvh_timer_clear(b->b_h, &b->b_monitor);
	b->b_monitor_on = false;
}
