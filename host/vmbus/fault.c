/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Faults on command: the table of them, and what they do to messages and
 * packets that pass by.  Without a fault all of this is one atomic load.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/bus.h"

#define	FAULTS_MAX	32

struct hvh_faults {
	_Atomic unsigned fs_n;
	pthread_mutex_t	 fs_mtx;	/* all below */
	struct hvh_fault fs_fault[FAULTS_MAX];
	uint32_t	 fs_struck[FAULTS_MAX];
	uint64_t	 fs_count[HVH_FAULT_POINTS];
};

/* --- The table, any thread. --- */

int
hvh_faults_create(struct hvh *h)
{

	h->h_faults = calloc(1, sizeof(*h->h_faults));
	if (h->h_faults == NULL)
		return (ENOMEM);
	pthread_mutex_init(&h->h_faults->fs_mtx, NULL);
	return (0);
}

void
hvh_faults_destroy(struct hvh *h)
{

	pthread_mutex_destroy(&h->h_faults->fs_mtx);
	free(h->h_faults);
	h->h_faults = NULL;
}

int
hvh_fault_add(struct hvh *h, const struct hvh_fault *f)
{
	struct hvh_faults *fs = h->h_faults;
	unsigned n;
	int error = 0;

	if (f->point >= HVH_FAULT_POINTS || f->action > HVH_FAULT_CALL ||
	    (f->point == HVH_FAULT_HYPERCALL &&
	    f->action != HVH_FAULT_STATUS) ||
	    (f->action == HVH_FAULT_CORRUPT && f->len != 1 && f->len != 2 &&
	    f->len != 4 && f->len != 8))
		return (EINVAL);
	pthread_mutex_lock(&fs->fs_mtx);
	n = atomic_load(&fs->fs_n);
	if (n == FAULTS_MAX) {
		error = ENOSPC;
	} else {
		fs->fs_fault[n] = *f;
		fs->fs_struck[n] = 0;
		atomic_store(&fs->fs_n, n + 1);
	}
	pthread_mutex_unlock(&fs->fs_mtx);
	return (error);
}

void
hvh_fault_clear(struct hvh *h)
{
	struct hvh_faults *fs = h->h_faults;

	pthread_mutex_lock(&fs->fs_mtx);
	atomic_store(&fs->fs_n, 0);
	pthread_mutex_unlock(&fs->fs_mtx);
}

uint64_t
hvh_fault_count(struct hvh *h, enum hvh_fault_point point)
{
	struct hvh_faults *fs = h->h_faults;
	uint64_t n;

	if (point >= HVH_FAULT_POINTS)
		return (0);
	pthread_mutex_lock(&fs->fs_mtx);
	n = fs->fs_count[point];
	pthread_mutex_unlock(&fs->fs_mtx);
	return (n);
}

bool
hvh_fault_active(struct hvh *h)
{

	return (atomic_load_explicit(&h->h_faults->fs_n,
	    memory_order_relaxed) != 0);
}

bool
hvh_fault_strikes(struct hvh *h, enum hvh_fault_point point, uint32_t key,
    struct hvh_fault *f)
{
	struct hvh_faults *fs = h->h_faults;
	bool hit = false;

	if (!hvh_fault_active(h))
		return (false);
	pthread_mutex_lock(&fs->fs_mtx);
	for (unsigned i = 0; i < atomic_load(&fs->fs_n) && !hit; i++) {
		struct hvh_fault *e = &fs->fs_fault[i];

		if (e->point != point ||
		    (e->key != HVH_FAULT_ANY && e->key != key) ||
		    (e->times != 0 && fs->fs_struck[i] == e->times))
			continue;
		if (e->skip > 0) {
			e->skip--;
			continue;
		}
		if (e->times != 0)
			fs->fs_struck[i]++;
		fs->fs_count[point]++;
		*f = *e;
		hit = true;
	}
	pthread_mutex_unlock(&fs->fs_mtx);
	return (hit);
}

void
hvh_fault_apply(const struct hvh_fault *f, void *data, size_t *len)
{

	switch (f->action) {
	case HVH_FAULT_CORRUPT:
		if (f->offset <= *len && f->len <= *len - f->offset)
			memcpy((uint8_t *)data + f->offset, &f->arg, f->len);
		break;
	case HVH_FAULT_TRUNCATE:
		if (f->arg < *len)
			*len = f->arg;
		break;
	case HVH_FAULT_CALL:
		if (f->hook != NULL) {
			size_t n = *len;

			f->hook(f->hook_arg, data, &n);
			/* A hook may shorten, not lengthen. */
			if (n < *len)
				*len = n;
		}
		break;
	default:
		break;
	}
}

/* --- Messages; pump. --- */

/* The channel a message speaks of, 0: none. */
static uint32_t
message_chan(const struct hvh_bus_msg *m, uint32_t type)
{
	uint32_t chan;

	switch (type) {
	case VMS_OFFER:
		if (m->m_len < sizeof(struct vms_offer))
			return (0);
		memcpy(&chan, m->m_data + offsetof(struct vms_offer, mo_chan),
		    sizeof(chan));
		return (chan);
	case VMS_RESCIND:
	case VMS_OPEN:
	case VMS_OPEN_RESULT:
	case VMS_CLOSE:
	case VMS_GPADL_HEADER:
	case VMS_GPADL_CREATED:
	case VMS_GPADL_TEARDOWN:
	case VMS_RELID_RELEASED:
	case VMS_MODIFY_CHANNEL:
	case VMS_MODIFY_RESPONSE:
		if (m->m_len < sizeof(struct vms_chan_msg))
			return (0);
		memcpy(&chan, m->m_data + sizeof(struct vms_header),
		    sizeof(chan));
		return (chan);
	default:
		return (0);
	}
}

/* The status in a message to the guest. */
static void
message_set_status(struct hvh_bus_msg *m, uint32_t type, uint32_t status)
{
	struct vms_version_response vr = {
		.mv_hdr = { .mh_type = VMS_VERSION_RESPONSE },
	};
	size_t at;

	switch (type) {
	case VMS_OPEN_RESULT:
		at = offsetof(struct vms_open_result, mr_status);
		break;
	case VMS_GPADL_CREATED:
		at = offsetof(struct vms_gpadl_created, mg_status);
		break;
	case VMS_MODIFY_RESPONSE:
		at = offsetof(struct vms_modify_response, mm_status);
		break;
	case VMS_VERSION_RESPONSE:
		memcpy(m->m_data, &vr, sizeof(vr));
		m->m_len = sizeof(vr);
		return;
	default:
		return;
	}
	memcpy(m->m_data + at, &status, sizeof(status));
}

/* Answers a request in the server's stead. */
static void
message_refuse(struct hvh_bus *b, const struct hvh_bus_msg *m, uint32_t type,
    uint32_t status)
{
	struct vms_open_result mr = {
		.mr_hdr = { .mh_type = VMS_OPEN_RESULT },
		.mr_status = status,
	};
	struct vms_gpadl_created mg = {
		.mg_hdr = { .mh_type = VMS_GPADL_CREATED },
		.mg_status = status,
	};
	struct vms_version_response vr = {
		.mv_hdr = { .mh_type = VMS_VERSION_RESPONSE },
	};

	if (type == VMS_OPEN && m->m_len >= sizeof(struct vms_open)) {
		memcpy(&mr.mr_chan, m->m_data + 8, 8);
		vms_send(&b->b_server, &mr, sizeof(mr));
	} else if (type == VMS_GPADL_HEADER &&
	    m->m_len >= sizeof(struct vms_gpadl_header)) {
		memcpy(&mg.mg_chan, m->m_data + 8, 8);
		vms_send(&b->b_server, &mg, sizeof(mg));
	} else if (type == VMS_CONTACT) {
		vms_send(&b->b_server, &vr, sizeof(vr));
	}
	hvh_bus_drain(b);
}

static void
message_release(struct hvh_bus *b, struct hvh_bus_msg *m)
{

	if (m->m_out)
		hvh_bus_deliver(b, m);
	else
		hvh_bus_accept(b, m);
	free(m);
}

static void
message_late(void *arg)
{
	struct hvh_bus_msg *m = arg, **p;

	for (p = &m->m_bus->b_delayed; *p != m; p = &(*p)->m_next)
		;
	*p = m->m_next;
	message_release(m->m_bus, m);
}

void
hvh_fault_keep_message(struct hvh_bus *b, const struct hvh_bus_msg *from,
    bool hold, uint64_t delay)
{
	struct hvh_bus_msg *m;

	m = malloc(sizeof(*m));
	if (m == NULL)
		return;
	*m = *from;
	m->m_bus = b;
	m->m_next = NULL;
	memset(&m->m_timer, 0, sizeof(m->m_timer));
	if (hold) {
		hvh_fault_passed(b, m->m_out);
		b->b_held[m->m_out] = m;
		return;
	}
	m->m_next = b->b_delayed;
	b->b_delayed = m;
	m->m_timer.fn = message_late;
	m->m_timer.arg = m;
	hvh_timer_set(b->b_h, &m->m_timer, hvh_now(b->b_h) + delay);
}

void
hvh_fault_passed(struct hvh_bus *b, bool out)
{
	struct hvh_bus_msg *m = b->b_held[out];

	b->b_held[out] = NULL;
	if (m != NULL)
		message_release(b, m);
}

void
hvh_fault_forget_messages(struct hvh_bus *b, bool in)
{
	struct hvh_bus_msg *m, **p;

	for (unsigned i = in ? 0 : 1; i < 2; i++) {
		free(b->b_held[i]);
		b->b_held[i] = NULL;
	}
	for (p = &b->b_delayed; (m = *p) != NULL;) {
		if (!m->m_out && !in) {
			p = &m->m_next;
			continue;
		}
		*p = m->m_next;
		hvh_timer_clear(b->b_h, &m->m_timer);
		free(m);
	}
}

bool
hvh_fault_message(struct hvh_bus *b, struct hvh_bus_msg *m, bool *twice)
{
	struct vms_chan *c;
	struct hvh_fault f;
	uint32_t type = 0;
	size_t len = m->m_len;

	if (len >= sizeof(type))
		memcpy(&type, m->m_data, sizeof(type));
	if (!hvh_fault_strikes(b->b_h, m->m_out ? HVH_FAULT_MSG_OUT :
	    HVH_FAULT_MSG_IN, type, &f))
		return (true);
	switch (f.action) {
	case HVH_FAULT_DROP:
		return (false);
	case HVH_FAULT_DELAY:
	case HVH_FAULT_HOLD:
		hvh_fault_keep_message(b, m, f.action == HVH_FAULT_HOLD,
		    f.arg);
		return (false);
	case HVH_FAULT_DUP:
		*twice = true;
		return (true);
	case HVH_FAULT_STATUS:
		if (m->m_out) {
			message_set_status(m, type, (uint32_t)f.arg);
			return (true);
		}
		message_refuse(b, m, type, (uint32_t)f.arg);
		return (false);
	case HVH_FAULT_RESCIND:
		c = vms_chan_find(&b->b_server, message_chan(m, type));
		if (c != NULL)
			vms_revoke(&b->b_server,
			    &hvh_chan_of(c)->ch_primary->ch_vms);
		return (true);
	default:
		hvh_fault_apply(&f, m->m_data, &len);
		m->m_len = (uint32_t)len;
		return (true);
	}
}
