/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The bus in its partition: carries messages between hypercalls, server and
 * SynIC, signals between hypercalls and channels, and runs a round of all
 * that when the pump comes by.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmbus/bus.h"

/* Lines in the log about what one connection sent. */
#define	GRUMBLES_MAX	16
/* How long hvh_reset() and hvh_destroy() wait for I/O of devices. */
#define	IDLE_WAIT_MS	100
#define	IDLE_ROUNDS	100

/* Port the guest sees as the sender of VMBus messages. */
#define	BUS_SENDER	1

static uint32_t
msg_type(const struct hvh_bus_msg *m)
{

	return (((const struct vms_header *)m->m_data)->mh_type);
}

/*
 * A contact ends what was before it: it gets through to the server however
 * much of that is left, since a kernel that starts over has nobody else who
 * would read it.
 */
static bool
is_contact(const struct hvh_bus_msg *m)
{

	return (m->m_type == HV_MSGTYPE_CHANNEL &&
	    m->m_len >= sizeof(struct vms_header) &&
	    msg_type(m) == VMS_CONTACT);
}

/* --- From hypercalls, any thread. --- */

uint16_t
hvh_bus_post(struct hvh *h, uint32_t vp, uint32_t connection, uint32_t type,
    const void *payload, uint32_t len)
{
	struct hvh_bus *b = h->h_bus;
	struct hvh_bus_msg m = { .m_type = type, .m_len = len, .m_vp = vp };
	struct hvh_fault f;
	size_t size = len;
	unsigned copies = 1;
	uint16_t status = HV_STATUS_SUCCESS;

	m.m_multi = connection == VMS_CONN_MULTICLIENT;
	if (connection != VMS_CONN_MESSAGES &&
	    !(m.m_multi && vms_multiclient(&b->b_server)))
		return (HV_STATUS_INVALID_CONNECTION);
	memcpy(m.m_data, payload, len);
	if (hvh_fault_strikes(h, HVH_FAULT_POST, 0, &f)) {
		switch (f.action) {
		case HVH_FAULT_DROP:
			return (HV_STATUS_SUCCESS);
		case HVH_FAULT_STATUS:
			return ((uint16_t)f.arg);
		case HVH_FAULT_DUP:
			copies = 2;
			break;
		case HVH_FAULT_DELAY:
			m.m_delay = f.arg;
			break;
		case HVH_FAULT_HOLD:
			m.m_hold = true;
			break;
		default:
			hvh_fault_apply(&f, m.m_data, &size);
			m.m_len = (uint32_t)size;
		}
	}
	pthread_mutex_lock(&b->b_in_mtx);
	if (b->b_in_len == BUS_IN_MAX && is_contact(&m))
		b->b_in_len = 0;
	if (BUS_IN_MAX - b->b_in_len < copies)
		status = HV_STATUS_NO_BUFFERS;
	else
		for (; copies > 0; copies--)
			b->b_in[(b->b_in_head + b->b_in_len++) % BUS_IN_MAX] =
			    m;
	pthread_mutex_unlock(&b->b_in_mtx);
	hvh_kick(h);
	return (status);
}

/* No lock: two words that only this and the pump know. */
static uint16_t
bus_signal(struct hvh *h, uint32_t connection, uint16_t flag, bool kick)
{
	struct hvh_bus *b = h->h_bus;
	uint32_t id = connection - VMS_CONN_CHANNEL;
	uint64_t bit;

	if (connection == VMS_CONN_EVENT && flag == 0 &&
	    atomic_load(&b->b_event_listen)) {
		if (!atomic_exchange(&b->b_event, true) && kick)
			hvh_kick(h);
		return (HV_STATUS_SUCCESS);
	}
	if (connection < VMS_CONN_CHANNEL || id >= VMS_CHANNELS)
		return (HV_STATUS_INVALID_CONNECTION);
	bit = 1ull << id % 64;
	if ((atomic_load_explicit(&b->b_listen[id / 64],
	    memory_order_relaxed) & bit) == 0)
		return (HV_STATUS_INVALID_CONNECTION);
	if (flag != 0)
		return (HV_STATUS_INVALID_PARAMETER);
	if ((atomic_fetch_or(&b->b_signalled[id / 64], bit) & bit) == 0 && kick)
		hvh_kick(h);
	return (HV_STATUS_SUCCESS);
}

uint16_t
hvh_bus_signal(struct hvh *h, uint32_t connection, uint16_t flag)
{

	return (bus_signal(h, connection, flag, true));
}

void
hvh_signal(struct hvh *h, uint32_t connection)
{

	bus_signal(h, connection, 0, false);
}

void
hvh_signals_count(struct hvh *h, uint64_t count)
{

	atomic_fetch_add_explicit(&h->h_counters.signals_in, count,
	    memory_order_relaxed);
}

void
hvh_bus_listen(struct hvh_bus *b, uint32_t connection, bool on)
{
	struct hvh *h = b->b_h;

	if (h->h_ops.listen != NULL)
		h->h_ops.listen(h->h_arg, connection, on);
}

/* --- The server's ops. --- */

static void
bus_send(void *arg, uint32_t vp, uint8_t sint, const void *msg, size_t len)
{
	struct hvh_bus *b = arg;
	struct hvh_bus_msg *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		hvh_log(b->b_h, HVH_LOG_ERROR,
		    "no memory for a message to the guest");
		return;
	}
	m->m_bus = b;
	m->m_out = true;
	m->m_vp = vp;
	m->m_sint = sint;
	m->m_len = (uint32_t)len;
	memcpy(m->m_data, msg, len);
	*b->b_out_tail = m;
	b->b_out_tail = &m->m_next;
}

static void
bus_flush(void *arg)
{
	struct hvh_bus *b = arg;
	struct hvh_delivery *d = &b->b_h->h_delivery;
	struct hvh_bus_msg *m;

	while ((m = b->b_out) != NULL) {
		b->b_out = m->m_next;
		free(m);
	}
	b->b_out_tail = &b->b_out;
	hvh_fault_forget_messages(b, false);
	d->discard(d->arg, b->b_server.s_last_vp, VMS_SINT);
}

static void *
bus_page(void *arg, uint64_t pfn)
{
	struct hvh_bus *b = arg;

	if (pfn > UINT64_MAX >> HV_PAGE_SHIFT)
		return (NULL);
	return (hvh_gpa_ptr(b->b_h, (hvh_gpa_t){ pfn << HV_PAGE_SHIFT },
	    HV_PAGE_SIZE));
}

static void
bus_connected(void *arg, const struct vms_conn *conn)
{
	struct hvh_bus *b = arg;
	bool event;

	event = conn->n_version == VMS_V0_13 && conn->n_intpage != NULL;
	if (atomic_exchange(&b->b_event_listen, event) != event)
		hvh_bus_listen(b, VMS_CONN_EVENT, event);
	if (conn->n_version == 0) {
		hvh_monitor_stop(b);
		return;
	}
	b->b_grumbled = 0;
	hvh_log(b->b_h, HVH_LOG_INFO, "VMBus connected, version %u.%u",
	    conn->n_version >> 16, conn->n_version & 0xFFFF);
}

static void
bus_retarget(void *arg, struct vms_chan *c, uint32_t vp)
{
	struct hvh_bus *b = arg;

	hvh_log(b->b_h, HVH_LOG_DEBUG, "channel %u: interrupts to VP %u",
	    c->c_id, vp);
}

static void
bus_bad(void *arg, uint32_t type, const char *why)
{
	struct hvh_bus *b = arg;

	b->b_h->h_stats.messages_bad++;
	if (b->b_grumbled < GRUMBLES_MAX) {
		b->b_grumbled++;
		hvh_log(b->b_h, HVH_LOG_WARN, "VMBus message %u: %s", type,
		    why);
	}
}

static const struct vms_ops bus_ops = {
	.send = bus_send,
	.flush = bus_flush,
	.page = bus_page,
	.connected = bus_connected,
	.open = hvh_chan_vms_open,
	.close = hvh_chan_vms_close,
	.retarget = bus_retarget,
	.gone = hvh_chan_vms_gone,
	.bad = bus_bad,
};

/* --- Messages. --- */

/*
 * Some answers go where the guest wants them (protocol: vmbus, 2.10, 2.12),
 * which need not be where it reads.  Those it is held up for are the
 * connection's (bus_messages()); of others, no more are kept than of them.
 */
static bool
bus_heaps_up(struct hvh_bus *b, const struct hvh_bus_msg *m)
{
	struct hvh_delivery *d = &b->b_h->h_delivery;

	return ((m->m_vp != b->b_server.s_last_vp || m->m_sint != VMS_SINT) &&
	    d->backlog(d->arg, m->m_vp, m->m_sint) >= BUS_OUT_MAX);
}

void
hvh_bus_deliver(struct hvh_bus *b, const struct hvh_bus_msg *m)
{
	struct hvh_delivery *d = &b->b_h->h_delivery;
	int error;

	if (bus_heaps_up(b, m)) {
		bus_bad(b, msg_type(m), "nobody reads the answers");
		return;
	}
	if (b->b_h->h_ops.trace != NULL)
		hvh_trace(b->b_h, HVH_TRACE_MESSAGE, true, 0, m->m_vp,
		    m->m_data, m->m_len);
	error = d->post(d->arg, m->m_vp, m->m_sint, HV_MSGTYPE_CHANNEL,
	    BUS_SENDER, m->m_data, m->m_len);
	if (error != 0) {
		bus_bad(b, msg_type(m), error == EINVAL ?
		    "an answer to no VP or SINT" : "no memory for an answer");
		return;
	}
	b->b_h->h_stats.messages_out++;
}

/* Sends what the server has said. */
void
hvh_bus_drain(struct hvh_bus *b)
{
	struct hvh_bus_msg *m, *rest;
	bool twice;

	while ((m = b->b_out) != NULL) {
		/* A fault may make the server say something before this. */
		rest = m->m_next;
		b->b_out = NULL;
		b->b_out_tail = &b->b_out;
		m->m_next = NULL;
		twice = false;
		if (!hvh_fault_active(b->b_h)) {
			hvh_bus_deliver(b, m);
		} else if (hvh_fault_message(b, m, &twice)) {
			hvh_bus_drain(b);
			hvh_bus_deliver(b, m);
			if (twice)
				hvh_bus_deliver(b, m);
			hvh_fault_passed(b, true);
		}
		free(m);
		*b->b_out_tail = rest;
		while (*b->b_out_tail != NULL)
			b->b_out_tail = &(*b->b_out_tail)->m_next;
	}
}

void
hvh_bus_accept(struct hvh_bus *b, const struct hvh_bus_msg *m)
{

	b->b_h->h_stats.messages_in++;
	vms_message(&b->b_server, m->m_data, m->m_len, m->m_multi);
	hvh_bus_drain(b);
	hvh_chan_answers(b);
}

static void
bus_message(struct hvh_bus *b, struct hvh_bus_msg *m)
{
	bool twice = false;

	if (m->m_type != HV_MSGTYPE_CHANNEL) {
		bus_bad(b, m->m_type, "not a channel message");
		return;
	}
	if (b->b_h->h_ops.trace != NULL)
		hvh_trace(b->b_h, HVH_TRACE_MESSAGE, false, 0, m->m_vp,
		    m->m_data, m->m_len);
	if (m->m_delay != 0 || m->m_hold) {
		hvh_fault_keep_message(b, m, m->m_hold, m->m_delay);
		return;
	}
	if (hvh_fault_active(b->b_h)) {
		if (!hvh_fault_message(b, m, &twice))
			return;
		hvh_bus_drain(b);
	}
	hvh_bus_accept(b, m);
	if (twice)
		hvh_bus_accept(b, m);
	hvh_fault_passed(b, false);
}

static bool
bus_contact_waits(struct hvh_bus *b)
{
	bool found = false;

	pthread_mutex_lock(&b->b_in_mtx);
	for (unsigned i = 0; !found && i < b->b_in_len; i++)
		found = is_contact(&b->b_in[(b->b_in_head + i) % BUS_IN_MAX]);
	pthread_mutex_unlock(&b->b_in_mtx);
	return (found);
}

/* Takes the guest's messages; false: they wait until it reads ours. */
static bool
bus_messages(struct hvh_bus *b)
{
	struct hvh_delivery *d = &b->b_h->h_delivery;
	struct hvh_bus_msg m;

	for (unsigned n = 0; n < BUS_IN_MAX; n++) {
		if (d->backlog(d->arg, b->b_server.s_last_vp, VMS_SINT) >=
		    BUS_OUT_MAX) {
			if (!bus_contact_waits(b))
				return (false);
			bus_flush(b);
		}
		pthread_mutex_lock(&b->b_in_mtx);
		if (b->b_in_len == 0) {
			pthread_mutex_unlock(&b->b_in_mtx);
			return (false);
		}
		m = b->b_in[b->b_in_head];
		b->b_in_head = (b->b_in_head + 1) % BUS_IN_MAX;
		b->b_in_len--;
		pthread_mutex_unlock(&b->b_in_mtx);
		m.m_bus = b;
		m.m_out = false;
		bus_message(b, &m);
	}
	return (true);
}

/* --- Signals. --- */

static void
bus_raise(struct hvh_chan *ch)
{
	struct hvh *h = ch->ch_h;
	struct hvh_delivery *d = &h->h_delivery;
	struct vms_conn *conn = &ch->ch_bus->b_server.s_conn;
	uint32_t id = ch->ch_vms.c_id, vp = ch->ch_vms.c_req.oq_vp;
	struct vms_intpage *ip;

	if (vp == VMS_VP_NONE)
		return;
	ch->ch_signals_out++;
	if (h->h_ops.trace != NULL)
		hvh_trace(h, HVH_TRACE_SIGNAL, true, id, vp, NULL, 0);
	if (conn->n_version < VMS_V2_4 && conn->n_intpage != NULL) {
		ip = (struct vms_intpage *)conn->n_intpage;
		__atomic_fetch_or(&ip->ip_to_guest[id / 64],
		    1ull << id % 64, __ATOMIC_SEQ_CST);
		id = 0;
	}
	d->event(d->arg, vp, VMS_SINT, id);
}

static void
bus_raise_late(void *arg)
{

	bus_raise(arg);
}

void
hvh_bus_event(struct hvh_chan *ch)
{
	struct hvh *h = ch->ch_h;
	uint32_t id = ch->ch_vms.c_id;
	struct hvh_fault f;
	size_t none = 0;

	if (!hvh_fault_strikes(h, HVH_FAULT_SIGNAL_OUT, id, &f)) {
		bus_raise(ch);
		return;
	}
	switch (f.action) {
	case HVH_FAULT_DROP:
	case HVH_FAULT_HOLD:	/* the next says all that this would */
		return;
	case HVH_FAULT_DELAY:
		ch->ch_late.fn = bus_raise_late;
		ch->ch_late.arg = ch;
		hvh_timer_set(h, &ch->ch_late, hvh_now(h) + f.arg);
		return;
	case HVH_FAULT_DUP:
		bus_raise(ch);
		break;
	case HVH_FAULT_RESCIND:
		ch->ch_bus->b_rescind[id / 64] |= 1ull << id % 64;
		break;
	case HVH_FAULT_CALL:
		hvh_fault_apply(&f, NULL, &none);
		break;
	default:
		break;
	}
	bus_raise(ch);
}

/* 0.13: which channels, says the second half of the interrupt page. */
static void
bus_take_intpage(struct hvh_bus *b)
{
	struct vms_intpage *ip;
	uint64_t bits;

	ip = (struct vms_intpage *)b->b_server.s_conn.n_intpage;
	if (!atomic_exchange(&b->b_event, false) || ip == NULL)
		return;
	for (unsigned i = 0; i < VMS_CHANNELS_OLD / 64; i++) {
		bits = __atomic_exchange_n(&ip->ip_to_host[i], 0,
		    __ATOMIC_SEQ_CST);
		atomic_fetch_or(&b->b_signalled[i], bits);
	}
}

static void
bus_dispatch(struct hvh_bus *b)
{
	uint64_t guest, own, bits;
	struct vms_chan *c;
	uint32_t id;

	for (unsigned i = 0; i < BUS_WORDS; i++) {
		own = b->b_again[i];
		b->b_again[i] = 0;
		guest = 0;
		if (atomic_load_explicit(&b->b_signalled[i],
		    memory_order_relaxed) != 0)
			guest = atomic_exchange(&b->b_signalled[i], 0);
		for (bits = guest | own; bits != 0; bits &= bits - 1) {
			id = i * 64 + (uint32_t)__builtin_ctzll(bits);
			c = b->b_server.s_byid[id];
			if (c != NULL)
				hvh_chan_dispatch(hvh_chan_of(c),
				    (guest >> id % 64 & 1) != 0);
		}
	}
}

/* Rescinds that faults asked for while a device was at work. */
static void
bus_rescinds(struct hvh_bus *b)
{
	struct vms_chan *c;

	for (unsigned i = 0; i < BUS_WORDS; i++) {
		for (; b->b_rescind[i] != 0;
		    b->b_rescind[i] &= b->b_rescind[i] - 1) {
			c = b->b_server.s_byid[i * 64 +
			    (uint32_t)__builtin_ctzll(b->b_rescind[i])];
			if (c != NULL)
				hvh_chan_revoke(hvh_chan_of(c)->ch_primary);
		}
	}
}

static bool
bus_waiting(struct hvh_bus *b)
{

	for (unsigned i = 0; i < BUS_WORDS; i++) {
		if (b->b_again[i] != 0)
			return (true);
	}
	return (b->b_closed != NULL);
}

bool
hvh_bus_pump(struct hvh *h)
{
	struct hvh_bus *b = h->h_bus;
	bool more;

	b->b_round++;
	more = bus_messages(b);
	bus_take_intpage(b);
	bus_dispatch(b);
	bus_rescinds(b);
	hvh_chan_flush_all(b);
	hvh_chan_answers(b);
	vms_reap(&b->b_server);
	return (more || bus_waiting(b));
}

/* --- Life. --- */

int
hvh_bus_create(struct hvh *h)
{
	struct hvh_bus *b;

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return (ENOMEM);
	b->b_h = h;
	b->b_out_tail = &b->b_out;
	pthread_mutex_init(&b->b_in_mtx, NULL);
	vms_init(&b->b_server, &bus_ops, b, h->h_cf.vps, h->h_cf.max_version,
	    h->h_cf.min_version, h->h_cf.monitor_pages);
	h->h_bus = b;
	return (0);
}

/* I/O under way ends; a device that never lets go is left behind. */
static void
bus_wait_idle(struct hvh_bus *b)
{
	struct hvh *h = b->b_h;
	struct epoll_event ev;

	for (unsigned i = 0; i < IDLE_ROUNDS; i++) {
		hvh_timers_run(h);
		hvh_sources_poll(h);
		hvh_chan_answers(b);
		if (vms_idle(&b->b_server))
			return;
		epoll_wait(h->h_epoll, &ev, 1, IDLE_WAIT_MS);
	}
	hvh_log(h, HVH_LOG_ERROR, "a device does not end its I/O");
}

static void
bus_reset(struct hvh_bus *b)
{

	pthread_mutex_lock(&b->b_in_mtx);
	b->b_in_head = b->b_in_len = 0;
	pthread_mutex_unlock(&b->b_in_mtx);
	hvh_fault_forget_messages(b, true);
	bus_flush(b);
	vms_reset(&b->b_server);
	hvh_chan_answers(b);
}

/* The memory is the next guest's: no device writes to it any more. */
void
hvh_bus_reset(struct hvh *h)
{
	struct hvh_bus *b = h->h_bus;

	if (b->b_server.s_state == VMS_CONNECTED)
		h->h_stats.resets_connected++;
	bus_reset(b);
	bus_wait_idle(b);
	bus_flush(b);
}

void
hvh_bus_destroy(struct hvh *h)
{
	struct hvh_bus *b = h->h_bus;
	struct hvh_husk *k;
	struct vms_chan *c;

	hvh_lock(h);
	bus_reset(b);
	for (c = b->b_server.s_chans; c != NULL; c = c->c_next) {
		if (c->c_primary == NULL)
			vms_revoke(&b->b_server, c);
	}
	bus_wait_idle(b);
	vms_reap(&b->b_server);
	bus_flush(b);
	while ((k = b->b_husks) != NULL) {
		b->b_husks = k->next;
		k->free(k);
	}
	pthread_mutex_unlock(&h->h_pump_mtx);
	pthread_mutex_destroy(&b->b_in_mtx);
	free(b);
	h->h_bus = NULL;
}

void
hvh_husk_add(struct hvh *h, struct hvh_husk *k)
{

	k->next = h->h_bus->b_husks;
	h->h_bus->b_husks = k;
}

void
hvh_husk_take(struct hvh *h, struct hvh_husk *k)
{
	struct hvh_husk **kp;

	for (kp = &h->h_bus->b_husks; *kp != NULL; kp = &(*kp)->next) {
		if (*kp == k) {
			*kp = k->next;
			break;
		}
	}
}

int
hvh_rescind(struct hvh *h, uint32_t chan)
{
	struct vms_chan *c;
	int error = ENOENT;

	hvh_lock(h);
	c = vms_chan_find(&h->h_bus->b_server, chan);
	if (c != NULL && c->c_primary == NULL &&
	    c->c_state != VMS_CH_REVOKED) {
		hvh_chan_revoke(hvh_chan_of(c));
		error = 0;
	}
	hvh_unlock(h);
	return (error);
}
