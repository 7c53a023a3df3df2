/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What can be seen of a machine: its status, and everything that is counted.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl_var.h"
#include "control/names.h"

/* More are not listed; the count says so. */
#define	CHANNELS_MAX	2048u

static void
put(json_t *obj, const char *key, uint64_t v)
{

	json_object_set_new(obj, key, json_integer((json_int_t)v));
}

/* JSON's numbers end at 63 bits. */
static json_t *
hex(uint64_t v)
{
	char text[19];

	snprintf(text, sizeof(text), "0x%016" PRIx64, v);
	return (json_string(text));
}

/* Bytes that a guest chose, as text. */
static json_t *
harmless(const char *text)
{
	size_t len = strlen(text);
	char *copy;
	json_t *j;

	copy = malloc(len + 1);
	if (copy == NULL)
		return (NULL);
	for (size_t i = 0; i <= len; i++) {
		copy[i] = text[i];
		if (copy[i] != '\0' && copy[i] != '\n' && copy[i] != '\t' &&
		    (copy[i] < ' ' || copy[i] > '~'))
			copy[i] = '.';
	}
	j = json_string(copy);
	free(copy);
	return (j);
}

static json_t *
version_text(uint32_t version)
{

	if (version == 0)
		return (json_null());
	return (json_sprintf("%u.%u", version >> 16, version & 0xFFFF));
}

/* protocol: hypervisor, 2.1; null: none, or one that says no more. */
static json_t *
os_text(uint64_t id)
{
	static const char *const names[] = { NULL, "Linux", "FreeBSD", "Xen",
	    "illumos" };
	unsigned type = (unsigned)(id >> 56) & 0x7F;
	unsigned version = (unsigned)(id >> 16);

	if (id == 0)
		return (json_null());
	if ((id >> 63) == 0)
		return ((id >> 48) == 1 ? json_sprintf("Windows %u.%u",
		    (unsigned)(id >> 32) & 0xFF, (unsigned)(id >> 24) & 0xFF) :
		    json_string("unknown"));
	if (type >= sizeof(names) / sizeof(names[0]) || names[type] == NULL)
		return (json_string("unknown"));
	if (type == 1)
		return (json_sprintf("%s %u.%u.%u", names[type],
		    version >> 16, version >> 8 & 0xFF, version & 0xFF));
	if (type == 2)
		return (json_sprintf("%s %u.%u", names[type],
		    version / 100000, version / 1000 % 100));
	return (json_string(names[type]));
}

static json_t *
crash_report(struct hvh *h)
{
	struct hvh_crash hc;
	json_t *crash, *params;

	hvh_get_crash(h, &hc);
	if (hc.count == 0)
		return (json_null());
	crash = json_object();
	params = json_array();
	for (unsigned i = 0; i < 5; i++)
		json_array_append_new(params, hex(hc.param[i]));
	put(crash, "count", hc.count);
	json_object_set_new(crash, "dump", json_boolean(!hc.no_dump));
	json_object_set_new(crash, "params", params);
	json_object_set_new(crash, "text", hc.text[0] == '\0' ?
	    json_null() : harmless(hc.text));
	return (crash);
}

static json_t *
vcpus_of(const struct ctl_status *st)
{
	json_t *a = json_array(), *o;

	for (unsigned i = 0; i < st->nvcpus && i < CTL_VCPUS_MAX; i++) {
		o = json_object();
		json_object_set_new(o, "pc", hex(st->vcpu[i].pc));
		json_object_set_new(o, "halted",
		    json_boolean(st->vcpu[i].halted));
		json_object_set_new(o, "masked",
		    json_boolean(st->vcpu[i].masked));
		json_array_append_new(a, o);
	}
	return (a);
}

int
ctl_cmd_status(struct ctl_call *c)
{
	struct ctl_status st = { 0 };
	struct hvh_stats hs;
	json_t *r = c->result;

	if (c->s->ops->status != NULL)
		c->s->ops->status(c->s->arg, &st);
	st.kernel[sizeof(st.kernel) - 1] = '\0';
	hvh_get_stats(c->s->h, &hs);
	json_object_set_new(r, "state",
	    json_string(st.paused ? "paused" : "running"));
	json_object_set_new(r, "uptime", json_real((double)st.uptime / 1e9));
	json_object_set_new(r, "kernel", harmless(st.kernel));
	put(r, "cpus", st.cpus);
	json_object_set_new(r, "vcpus", vcpus_of(&st));
	put(r, "memory", st.memory);
	json_object_set_new(r, "vmbus", version_text(hs.connected));
	json_object_set_new(r, "guest_os_id",
	    st.os_id == 0 ? json_null() : hex(st.os_id));
	json_object_set_new(r, "guest_os", os_text(st.os_id));
	json_object_set_new(r, "crash", crash_report(c->s->h));
	return (0);
}

static json_t *
host_stats(const struct hvh_stats *st)
{
	json_t *o = json_object();

#define	PUT(name)	put(o, #name, st->name)
	PUT(hypercalls);
	PUT(posts);
	PUT(signals_in);
	PUT(signals_spurious);
	PUT(interrupts);
	PUT(events_out);
	PUT(events_saved);
	PUT(messages_in);
	PUT(messages_out);
	PUT(messages_bad);
	PUT(packets_in);
	PUT(packets_out);
	PUT(rings_corrupt);
	PUT(resets_connected);
	PUT(msr_reads);
	PUT(msr_writes);
	PUT(io_requests);
	PUT(io_read_bytes);
	PUT(io_write_bytes);
	PUT(io_errors);
	PUT(io_flushes);
	PUT(io_unmaps);
	PUT(net_tx_packets);
	PUT(net_tx_bytes);
	PUT(net_rx_packets);
	PUT(net_rx_bytes);
	PUT(net_rx_lost);
	PUT(flushes);
	PUT(flush_vps);
	PUT(flush_ranges);
	PUT(ipis);
	PUT(ipi_vps);
	PUT(spins);
	PUT(time_reads);
	PUT(tsc_moves);
	PUT(timer_sets);
	PUT(timer_expiries);
	PUT(apic_eois);
	PUT(apic_icrs);
	PUT(apic_tprs);
	PUT(crashes);
#undef PUT
	return (o);
}

static json_t *
vmbus_state(const struct hvh_stats *st)
{
	json_t *o = json_object();

	json_object_set_new(o, "version", version_text(st->connected));
	put(o, "channels_offered", st->channels_offered);
	put(o, "channels_open", st->channels_open);
	put(o, "gpadls", st->gpadls);
	return (o);
}

static json_t *
channel(const struct hvh_chan_info *ci)
{
	char type[37], instance[37];
	const char *name = name_class(&ci->type);
	json_t *o = json_object();

	hvh_guid_format(&ci->type, type);
	hvh_guid_format(&ci->instance, instance);
	put(o, "channel", ci->id);
	put(o, "sub_channel", ci->subidx);
	json_object_set_new(o, "device",
	    name != NULL ? json_string(name) : json_null());
	json_object_set_new(o, "type", json_string(type));
	json_object_set_new(o, "instance", json_string(instance));
	json_object_set_new(o, "state",
	    json_string(name_chan_state(ci->state)));
	json_object_set_new(o, "vp", ci->vp == HVH_VP_NONE ? json_null() :
	    json_integer(ci->vp));
	put(o, "packets_in", ci->packets_in);
	put(o, "packets_out", ci->packets_out);
	put(o, "bytes_in", ci->bytes_in);
	put(o, "bytes_out", ci->bytes_out);
	put(o, "signals_in", ci->signals_in);
	put(o, "signals_out", ci->signals_out);
	put(o, "events_saved", ci->events_saved);
	return (o);
}

int
ctl_stats(struct hvh *h, const struct ctl_ops *ops, void *arg, json_t *to)
{
	struct hvh_chan_info *ci;
	struct hvh_stats st;
	json_t *list, *vmm;
	unsigned n;

	ci = calloc(CHANNELS_MAX, sizeof(*ci));
	vmm = json_object();
	list = json_array();
	if (ci == NULL || vmm == NULL || list == NULL) {
		json_decref(vmm);
		json_decref(list);
		free(ci);
		return (ENOMEM);
	}
	if (ops->stats != NULL)
		ops->stats(arg, vmm);
	hvh_get_stats(h, &st);
	n = hvh_get_channels(h, ci, CHANNELS_MAX);
	for (unsigned i = 0; i < n && i < CHANNELS_MAX; i++)
		json_array_append_new(list, channel(&ci[i]));
	free(ci);
	json_object_set_new(to, "vmm", vmm);
	json_object_set_new(to, "vmbus", vmbus_state(&st));
	json_object_set_new(to, "host", host_stats(&st));
	json_object_set_new(to, "channels", list);
	return (0);
}

int
ctl_cmd_stats(struct ctl_call *c)
{

	return (ctl_stats(c->s->h, c->s->ops, c->s->arg, c->result));
}
