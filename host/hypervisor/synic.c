/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic interrupt controller of each VP: message slots and event
 * flags in the guest's pages, queues behind the slots, SINT rules
 * (protocol: hypervisor, 3).  What is queued waits until its page and SINT
 * take it and is lost only by a reset.
 *
 * The pages change under the VP's lock, so a page never goes away under a
 * message or flag on its way (protocol: vmbus, 10, point 32).  The guest's
 * side of a slot or flag takes no lock: both are atomic words.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/partition.h"

#define	EVENT_WORDS	(HV_EVENT_FLAGS / 32)

void
hvh_irqs_add(struct hvh_irqs *irqs, uint8_t vector, bool autoeoi)
{

	for (unsigned i = 0; i < irqs->n; i++) {
		if (irqs->irq[i].vector == vector)
			return;
	}
	if (irqs->n == sizeof(irqs->irq) / sizeof(irqs->irq[0]))
		return;
	irqs->irq[irqs->n].vector = vector;
	irqs->irq[irqs->n++].autoeoi = autoeoi;
}

void
hvh_irqs_fire(struct hvh *h, struct hvh_vp *vp, const struct hvh_irqs *irqs)
{

	for (unsigned i = 0; i < irqs->n; i++) {
		atomic_fetch_add_explicit(&h->h_counters.interrupts, 1,
		    memory_order_relaxed);
		atomic_fetch_add_explicit(&vp->vp_interrupts, 1,
		    memory_order_relaxed);
		h->h_ops.interrupt(h->h_arg, vp->vp_index,
		    irqs->irq[i].vector, irqs->irq[i].autoeoi);
	}
}

static void
synic_assert(struct hvh_vp *vp, unsigned sint, struct hvh_irqs *irqs)
{
	uint64_t s = vp->vp_sint[sint];

	if ((s & HV_SINT_POLLING) == 0)
		hvh_irqs_add(irqs, HV_SINT_VECTOR(s),
		    (s & HV_SINT_AUTOEOI) != 0);
}

static bool
synic_listens(const struct hvh_vp *vp, unsigned sint)
{

	return ((vp->vp_scontrol & HV_SCONTROL_ENABLE) != 0 &&
	    (vp->vp_sint[sint] & HV_SINT_MASKED) == 0);
}

bool
hvh_synic_place(struct hvh_vp *vp, unsigned sint, uint32_t type,
    uint64_t sender, const void *payload, size_t len, bool more,
    struct hvh_irqs *irqs)
{
	struct hv_message *m;

	if (vp->vp_messages.ov_page == NULL || !synic_listens(vp, sint))
		return (false);
	m = (struct hv_message *)vp->vp_messages.ov_page + sint;
	if (__atomic_load_n(&m->hm_type, __ATOMIC_ACQUIRE) !=
	    HV_MSGTYPE_NONE) {
		/*
		 * The guest may have emptied the slot after this look and
		 * read the flag before it was set: look again after setting.
		 */
		__atomic_fetch_or(&m->hm_flags, HV_MSG_FLAG_PENDING,
		    __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&m->hm_type, __ATOMIC_SEQ_CST) !=
		    HV_MSGTYPE_NONE)
			return (false);
	}
	m->hm_size = (uint8_t)len;
	m->hm_rsvd = 0;
	__atomic_store_n(&m->hm_flags, more ? HV_MSG_FLAG_PENDING : 0,
	    __ATOMIC_RELAXED);
	m->hm_sender = sender;
	memcpy(m->hm_payload, payload, len);
	memset(m->hm_payload + len, 0, sizeof(m->hm_payload) - len);
	__atomic_store_n(&m->hm_type, type, __ATOMIC_RELEASE);
	synic_assert(vp, sint, irqs);
	return (true);
}

/* Moves what is queued for a SINT on, as far as the slot takes it. */
static void
synic_scan(struct hvh_vp *vp, unsigned sint, struct hvh_irqs *irqs)
{
	struct hvh_msgq *q = &vp->vp_queue[sint];
	struct hvh_msgnode *n;

	n = q->mq_head;
	if (n == NULL || !hvh_synic_place(vp, sint, n->mn_type, n->mn_sender,
	    n->mn_payload, n->mn_size, n->mn_next != NULL, irqs))
		return;
	q->mq_head = n->mn_next;
	if (q->mq_head == NULL)
		q->mq_tail = &q->mq_head;
	q->mq_len--;
	free(n);
}

/* After EOM, or when a register changed: all that waits for this VP. */
static void
synic_rescan(struct hvh *h, struct hvh_vp *vp, struct hvh_irqs *irqs)
{

	hvh_stimer_retry(h, vp, irqs);
	for (unsigned i = 0; i < HV_SINTS; i++) {
		synic_scan(vp, i, irqs);
		if ((vp->vp_missed & 1u << i) != 0 && synic_listens(vp, i) &&
		    vp->vp_events.ov_page != NULL) {
			vp->vp_missed &= ~(1u << i);
			synic_assert(vp, i, irqs);
		}
	}
}

static void
queue_clear(struct hvh_msgq *q)
{
	struct hvh_msgnode *n;

	while ((n = q->mq_head) != NULL) {
		q->mq_head = n->mn_next;
		free(n);
	}
	q->mq_tail = &q->mq_head;
	q->mq_len = 0;
}

static int
synic_post(void *arg, uint32_t vpi, uint8_t sint, uint32_t type,
    uint64_t sender, const void *payload, size_t len)
{
	struct hvh *h = arg;
	struct hvh_irqs irqs = { .n = 0 };
	struct hvh_msgnode *n;
	struct hvh_msgq *q;
	struct hvh_vp *vp;

	if (vpi >= h->h_cf.vps || sint >= HV_SINTS || len > HV_MSG_PAYLOAD)
		return (EINVAL);
	n = malloc(sizeof(*n));
	if (n == NULL)
		return (ENOMEM);
	n->mn_next = NULL;
	n->mn_type = type;
	n->mn_size = (uint32_t)len;
	n->mn_sender = sender;
	memcpy(n->mn_payload, payload, len);
	vp = &h->h_vp[vpi];
	q = &vp->vp_queue[sint];
	pthread_mutex_lock(&vp->vp_mtx);
	*q->mq_tail = n;
	q->mq_tail = &n->mn_next;
	q->mq_len++;
	if (h->h_ops.attend == NULL)
		synic_scan(vp, sint, &irqs);
	pthread_mutex_unlock(&vp->vp_mtx);
	if (h->h_ops.attend == NULL)
		hvh_irqs_fire(h, vp, &irqs);
	else
		h->h_ops.attend(h->h_arg, vpi);
	return (0);
}

void
hvh_attend(struct hvh *h, uint32_t vpi)
{
	struct hvh_irqs irqs = { .n = 0 };
	struct hvh_vp *vp;

	if (vpi >= h->h_cf.vps)
		return;
	vp = &h->h_vp[vpi];
	pthread_mutex_lock(&vp->vp_mtx);
	for (unsigned i = 0; i < HV_SINTS; i++)
		synic_scan(vp, i, &irqs);
	pthread_mutex_unlock(&vp->vp_mtx);
	hvh_irqs_fire(h, vp, &irqs);
}

static unsigned
synic_backlog(void *arg, uint32_t vpi, uint8_t sint)
{
	struct hvh *h = arg;
	unsigned n;

	if (vpi >= h->h_cf.vps || sint >= HV_SINTS)
		return (0);
	pthread_mutex_lock(&h->h_vp[vpi].vp_mtx);
	n = h->h_vp[vpi].vp_queue[sint].mq_len;
	pthread_mutex_unlock(&h->h_vp[vpi].vp_mtx);
	return (n);
}

static void
synic_discard(void *arg, uint32_t vpi, uint8_t sint)
{
	struct hvh *h = arg;

	if (vpi >= h->h_cf.vps || sint >= HV_SINTS)
		return;
	pthread_mutex_lock(&h->h_vp[vpi].vp_mtx);
	queue_clear(&h->h_vp[vpi].vp_queue[sint]);
	pthread_mutex_unlock(&h->h_vp[vpi].vp_mtx);
}

static bool
synic_event(void *arg, uint32_t vpi, uint8_t sint, uint32_t flag)
{
	struct hvh *h = arg;
	struct hvh_irqs irqs = { .n = 0 };
	struct hvh_vp *vp;
	uint32_t *word, bit;
	bool raised = false;

	if (vpi >= h->h_cf.vps || sint >= HV_SINTS || flag >= HV_EVENT_FLAGS)
		return (false);
	vp = &h->h_vp[vpi];
	bit = 1u << flag % 32;
	pthread_mutex_lock(&vp->vp_mtx);
	/*
	 * A flags page that is off loses the event, as on Hyper-V; that of a
	 * masked SINT keeps it and the interrupt comes with the unmasking.
	 */
	if (vp->vp_events.ov_page != NULL) {
		word = (uint32_t *)vp->vp_events.ov_page +
		    sint * EVENT_WORDS + flag / 32;
		raised = (__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) &
		    bit) == 0;
		if (raised && synic_listens(vp, sint))
			synic_assert(vp, sint, &irqs);
		else if (raised)
			vp->vp_missed |= 1u << sint;
	}
	pthread_mutex_unlock(&vp->vp_mtx);
	if (raised)
		atomic_fetch_add_explicit(&h->h_counters.events_out, 1,
		    memory_order_relaxed);
	hvh_irqs_fire(h, vp, &irqs);
	return (raised);
}

const struct hvh_delivery hvh_synic_delivery = {
	.post = synic_post,
	.backlog = synic_backlog,
	.discard = synic_discard,
	.event = synic_event,
};

int
hvh_synic_read(struct hvh *h, struct hvh_vp *vp, uint32_t msr, uint64_t *val)
{
	int error = 0;

	pthread_mutex_lock(&vp->vp_mtx);
	switch (msr) {
	case HV_MSR_SCONTROL:
		*val = vp->vp_scontrol;
		break;
	case HV_MSR_SVERSION:
		*val = 1;
		break;
	case HV_MSR_SIEFP:
		*val = vp->vp_siefp;
		break;
	case HV_MSR_SIMP:
		*val = vp->vp_simp;
		break;
	case HV_MSR_SIRBP:
		*val = vp->vp_sirbp;
		break;
	case HV_MSR_EOM:
		*val = 0;
		break;
	default:
		if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15)
			*val = vp->vp_sint[msr - HV_MSR_SINT0];
		else
			error = EPERM;
	}
	pthread_mutex_unlock(&vp->vp_mtx);
	return (error);
}

/* SIMP or SIEFP: moves the page; nothing changes on failure. */
static int
synic_set_page(struct hvh *h, struct hvh_overlay *ov, uint64_t *reg,
    uint64_t val)
{

	if ((val & HV_PAGE_MSR_ENABLE) == 0)
		hvh_overlay_take(ov);
	else if (hvh_overlay_put(h, ov, HV_PAGE_MSR_GPA(val)) != 0)
		return (EPERM);
	*reg = val;
	return (0);
}

static int
synic_set_sint(struct hvh_vp *vp, unsigned sint, uint64_t val)
{

	if ((val & HV_SINT_MASKED) == 0 &&
	    HV_SINT_VECTOR(val) < HV_VECTOR_MIN)
		return (EPERM);
	vp->vp_sint[sint] = val;
	return (0);
}

int
hvh_synic_write(struct hvh *h, struct hvh_vp *vp, uint32_t msr, uint64_t val)
{
	struct hvh_irqs irqs = { .n = 0 };
	int error = 0;

	pthread_mutex_lock(&vp->vp_mtx);
	switch (msr) {
	case HV_MSR_SCONTROL:
		vp->vp_scontrol = val;
		break;
	case HV_MSR_SIEFP:
		error = synic_set_page(h, &vp->vp_events, &vp->vp_siefp, val);
		break;
	case HV_MSR_SIMP:
		error = synic_set_page(h, &vp->vp_messages, &vp->vp_simp, val);
		break;
	case HV_MSR_SIRBP:
		vp->vp_sirbp = val;
		break;
	case HV_MSR_EOM:
		break;
	default:
		if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15)
			error = synic_set_sint(vp, msr - HV_MSR_SINT0, val);
		else
			error = EPERM;
	}
	if (error == 0)
		synic_rescan(h, vp, &irqs);
	pthread_mutex_unlock(&vp->vp_mtx);
	hvh_irqs_fire(h, vp, &irqs);
	if (error == 0)
		/* The bus may have held guest messages back for this. */
		hvh_kick(h);
	return (error);
}

static void
synic_reset_vp(struct hvh_vp *vp)
{
	struct hvh_overlay *ov[3] = { &vp->vp_events, &vp->vp_messages,
	    &vp->vp_assist_page };

	vp->vp_scontrol = vp->vp_siefp = vp->vp_simp = vp->vp_sirbp = 0;
	vp->vp_missed = 0;
	for (unsigned i = 0; i < HV_SINTS; i++) {
		vp->vp_sint[i] = HV_SINT_RESET;
		queue_clear(&vp->vp_queue[i]);
	}
	/* A reset empties the pages; the next enable shows zeros. */
	for (unsigned i = 0; i < 3; i++) {
		hvh_overlay_take(ov[i]);
		if (ov[i]->ov_content != NULL)
			memset(ov[i]->ov_content, 0, HV_PAGE_SIZE);
	}
	hvh_apic_reset(vp);
	hvh_stimer_reset(vp);
}

void
hvh_synic_reset(struct hvh *h)
{

	for (uint32_t i = 0; i < h->h_cf.vps; i++) {
		pthread_mutex_lock(&h->h_vp[i].vp_mtx);
		synic_reset_vp(&h->h_vp[i]);
		pthread_mutex_unlock(&h->h_vp[i].vp_mtx);
	}
}

int
hvh_synic_init(struct hvh *h)
{
	size_t size = h->h_cf.vps * sizeof(*h->h_vp);

	h->h_vp = aligned_alloc(_Alignof(struct hvh_vp), size);
	if (h->h_vp == NULL)
		return (ENOMEM);
	memset(h->h_vp, 0, size);
	for (uint32_t i = 0; i < h->h_cf.vps; i++) {
		pthread_mutex_init(&h->h_vp[i].vp_mtx, NULL);
		h->h_vp[i].vp_index = i;
	}
	h->h_delivery = hvh_synic_delivery;
	h->h_delivery.arg = h;
	hvh_synic_reset(h);
	return (0);
}

void
hvh_synic_fini(struct hvh *h)
{

	if (h->h_vp == NULL)
		return;
	for (uint32_t i = 0; i < h->h_cf.vps; i++) {
		synic_reset_vp(&h->h_vp[i]);
		hvh_overlay_free(&h->h_vp[i].vp_events);
		hvh_overlay_free(&h->h_vp[i].vp_messages);
		hvh_overlay_free(&h->h_vp[i].vp_assist_page);
		pthread_mutex_destroy(&h->h_vp[i].vp_mtx);
	}
	free(h->h_vp);
	h->h_vp = NULL;
}
