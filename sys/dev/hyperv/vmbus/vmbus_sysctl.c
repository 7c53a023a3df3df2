/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What dev.vmbus.N and, on an open channel's device, the node "channel" show.
 * Names that FreeBSD's users know keep their meaning.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/sbuf.h>
#include <sys/smp.h>
#include <sys/sysctl.h>

#include <dev/hyperv/vmbus/hyperv_smp.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

SYSCTL_NODE(_hw, OID_AUTO, vmbus, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Hyper-V VMBus");

/*
 * A host answers within milliseconds unless it is very busy; ten seconds is
 * long for that, and short beside CAM's minute for a command.
 */
int vmbus_timeout_ms = 10000;
SYSCTL_INT(_hw_vmbus, OID_AUTO, timeout_ms, CTLFLAG_RWTUN, &vmbus_timeout_ms,
    0, "Longest wait for one answer of the host, milliseconds");

int vmbus_pin_evttask = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, pin_evttask, CTLFLAG_RDTUN,
    &vmbus_pin_evttask, 0, "Bind channel threads to their processors");

int vmbus_allow_isolated;
SYSCTL_INT(_hw_vmbus, OID_AUTO, allow_isolated, CTLFLAG_RDTUN,
    &vmbus_allow_isolated, 0, "Attach in an isolated partition all the same");

static int
vmbus_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct vmbus_softc *sc = arg1;
	char text[16];

	snprintf(text, sizeof(text), "%u.%u", sc->sc_version >> 16,
	    sc->sc_version & 0xffff);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

void
vmbus_sysctl_attach(struct vmbus_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct sysctl_oid_list *list, *cpus;
	struct sysctl_oid *node;
	struct vmbus_stats *st = &sc->sc_stats;
	char name[16];
	int cpu;

	sysctl_ctx_init(ctx);
	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "version",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0,
	    vmbus_sysctl_version, "A", "Protocol version in use");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "messages_in", CTLFLAG_RD,
	    &st->st_msgs_in, 0, "Messages from the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "messages_out", CTLFLAG_RD,
	    &st->st_msgs_out, 0, "Messages to the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "messages_bad", CTLFLAG_RD,
	    &st->st_msgs_bad, 0, "Messages malformed or out of place");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "replies_unasked", CTLFLAG_RD,
	    &st->st_replies_unasked, 0, "Answers late, doubled or unasked");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "post_retries", CTLFLAG_RD,
	    &st->st_post_retries, 0, "Messages the host took later");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &st->st_timeouts, 0, "Exchanges without an answer");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "offers", CTLFLAG_RD,
	    &st->st_offers, 0, "Channels offered");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "offers_refused", CTLFLAG_RD,
	    &st->st_offers_refused, 0, "Offers that made no sense");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rescinds", CTLFLAG_RD,
	    &st->st_rescinds, 0, "Channels taken away");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rescinds_bad", CTLFLAG_RD,
	    &st->st_rescinds_bad, 0, "Rescinds of no present channel");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "leaked_bytes", CTLFLAG_RD,
	    &st->st_leaked_bytes, 0, "Memory the host has not given back");
	hyperv_smp_sysctl(ctx, list);

	node = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, "cpu",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "Processors");
	CPU_FOREACH(cpu) {
		snprintf(name, sizeof(name), "%d", cpu);
		cpus = SYSCTL_CHILDREN(SYSCTL_ADD_NODE(ctx,
		    SYSCTL_CHILDREN(node), OID_AUTO, name,
		    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, ""));
		SYSCTL_ADD_U64(ctx, cpus, OID_AUTO, "interrupts", CTLFLAG_RD,
		    &sc->sc_pcpu[cpu].pc_intrs, 0, "Interrupts taken");
		SYSCTL_ADD_U64(ctx, cpus, OID_AUTO, "stray", CTLFLAG_RD,
		    &sc->sc_pcpu[cpu].pc_stray, 0,
		    "Events without an open channel");
		SYSCTL_ADD_U64(ctx, cpus, OID_AUTO, "timer_events",
		    CTLFLAG_RD, &sc->sc_pcpu[cpu].pc_et_events, 0,
		    "Expiries of the event timer");
		SYSCTL_ADD_U32(ctx, cpus, OID_AUTO, "vp", CTLFLAG_RD,
		    &sc->sc_pcpu[cpu].pc_vp, 0, "Hypervisor's number");
	}
}

/*
 * Waits for who is reading.  The device's own context goes only after detach,
 * when what these nodes show is no longer there.
 */
void
vmbus_sysctl_detach(struct vmbus_softc *sc)
{

	(void)sysctl_ctx_free(&sc->sc_sysctl);
}

/* Both rings' shared state as it stands; what the host wrote is shown only. */
static int
vmbus_sysctl_br_state(SYSCTL_HANDLER_ARGS)
{
	const struct vmbus_ring_ctl *ctl = arg1;
	uint32_t in, out, used;
	char text[96];

	in = ctl->rc_in;
	out = ctl->rc_out;
	used = in >= out ? in - out : in + (uint32_t)arg2 - out;
	snprintf(text, sizeof(text), "rindex:%u windex:%u imask:%u ravail:%u "
	    "wavail:%u pending:%u", out, in, ctl->rc_mask, used,
	    (uint32_t)arg2 - used, ctl->rc_pending);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

/* The control fields themselves: five words. */
static int
vmbus_sysctl_br_state_bin(SYSCTL_HANDLER_ARGS)
{
	const struct vmbus_ring_ctl *ctl = arg1;
	uint32_t state[5];

	state[0] = ctl->rc_in;
	state[1] = ctl->rc_out;
	state[2] = ctl->rc_mask;
	state[3] = ctl->rc_pending;
	state[4] = ctl->rc_feature;
	return (SYSCTL_OUT(req, state, sizeof(state)));
}

static void
vmbus_sysctl_br(struct sysctl_ctx_list *ctx, struct sysctl_oid *parent,
    const char *name, struct vmbus_ring_ctl *ctl, uint32_t size)
{
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(parent),
	    OID_AUTO, name, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, ""));
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "state",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, ctl, size,
	    vmbus_sysctl_br_state, "A", "Indices, mask and room");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "state_bin",
	    CTLTYPE_OPAQUE | CTLFLAG_RD | CTLFLAG_MPSAFE, ctl, size,
	    vmbus_sysctl_br_state_bin, "I", "Control fields");
}

static void
vmbus_sysctl_chan_stats(struct sysctl_ctx_list *ctx,
    struct sysctl_oid_list *list, struct vmbus_chan_stats *cs)
{

	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "tx_packets", CTLFLAG_RD,
	    &cs->cs_tx_packets, 0, "Packets sent");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "tx_bytes", CTLFLAG_RD,
	    &cs->cs_tx_bytes, 0, "Payload bytes sent");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "tx_full", CTLFLAG_RD,
	    &cs->cs_tx_full, 0, "Sends that found no room");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "tx_signals", CTLFLAG_RD,
	    &cs->cs_tx_signals, 0, "Packets that needed a signal");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "tx_signals_saved", CTLFLAG_RD,
	    &cs->cs_tx_saved, 0, "Packets that needed none");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rx_packets", CTLFLAG_RD,
	    &cs->cs_rx_packets, 0, "Packets received");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rx_bytes", CTLFLAG_RD,
	    &cs->cs_rx_bytes, 0, "Payload bytes received");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rx_signals", CTLFLAG_RD,
	    &cs->cs_rx_signals, 0, "Signals to a host waiting for room");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "interrupts", CTLFLAG_RD,
	    &cs->cs_intrs, 0, "Events from the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "corrupt", CTLFLAG_RD,
	    &cs->cs_corrupt, 0, "Rings disabled for what the host wrote");
}

/*
 * dev.DRIVER.N.channel.ID for a primary, .channel.ID.sub.INDEX below it for a
 * sub-channel; ch_sysctl owns what is added and shares the upper nodes.
 */
static struct sysctl_oid *
vmbus_sysctl_chan_node(struct vmbus_channel *ch, struct vmbus_channel *pri)
{
	struct sysctl_ctx_list *ctx = &ch->ch_sysctl;
	struct sysctl_oid *node;
	char name[16];

	node = SYSCTL_ADD_NODE(ctx,
	    SYSCTL_CHILDREN(device_get_sysctl_tree(pri->ch_dev)), OID_AUTO,
	    "channel", CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "VMBus channels");
	snprintf(name, sizeof(name), "%u", pri->ch_id);
	node = SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(node), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (ch == pri)
		return (node);
	node = SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "sub",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "Sub-channels");
	snprintf(name, sizeof(name), "%u", ch->ch_subidx);
	node = SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(node), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	SYSCTL_ADD_U32(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "chanid",
	    CTLFLAG_RD, &ch->ch_id, 0, "Channel id");
	return (node);
}

void
vmbus_sysctl_chan_attach(struct vmbus_channel *ch)
{
	struct sysctl_ctx_list *ctx = &ch->ch_sysctl;
	struct sysctl_oid_list *list;
	struct vmbus_channel *pri;
	struct sysctl_oid *br, *node;

	sx_assert(&ch->ch_sx, SA_XLOCKED);
	sysctl_ctx_init(ctx);
	/* The class driver keeps its primary open beside sub-channels. */
	pri = ch->ch_subidx == 0 ? ch : ch->ch_primary;
	if (pri == NULL || pri->ch_dev == NULL)
		return;
	node = vmbus_sysctl_chan_node(ch, pri);
	list = SYSCTL_CHILDREN(node);
	SYSCTL_ADD_INT(ctx, list, OID_AUTO, "cpu", CTLFLAG_RD,
	    &ch->ch_opencpu, 0, "Processor interrupted");
	SYSCTL_ADD_INT(ctx, list, OID_AUTO, "mnf", CTLFLAG_RD,
	    SYSCTL_NULL_INT_PTR, ch->ch_mnf != NULL,
	    "Signalled by monitored notification");
	vmbus_sysctl_chan_stats(ctx, list, &ch->ch_stats);
	br = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, "br",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "Rings");
	vmbus_sysctl_br(ctx, br, "rx", ch->ch_mem.bm_rxctl, ch->ch_rx.rb_size);
	vmbus_sysctl_br(ctx, br, "tx", ch->ch_mem.bm_txctl, ch->ch_tx.tb_size);
}

void
vmbus_sysctl_chan_detach(struct vmbus_channel *ch)
{

	sx_assert(&ch->ch_sx, SA_XLOCKED);
	sysctl_ctx_free(&ch->ch_sysctl);
}
