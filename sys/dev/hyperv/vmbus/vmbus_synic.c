/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic interrupt controller, SINT 2 of each processor and, for timers
 * by message, SINT 4: pages, registers, and the way from the interrupt to the
 * threads that do the work (protocol: hypervisor, 3).  Knows channels by number
 * only.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/pcpu.h>
#include <sys/smp.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

static int
vmbus_synic_alloc_cpu(struct vmbus_softc *sc, int cpu)
{
	struct vmbus_pcpu *pc = &sc->sc_pcpu[cpu];
	cpuset_t mask;
	int error;

	pc->pc_msgs = vmbus_page_alloc();
	pc->pc_events = vmbus_page_alloc();
	pc->pc_evtq = taskqueue_create_fast("vmbus event", M_NOWAIT,
	    taskqueue_thread_enqueue, &pc->pc_evtq);
	if (pc->pc_msgs == NULL || pc->pc_events == NULL ||
	    pc->pc_evtq == NULL)
		return (ENOMEM);
	if (vmbus_pin_evttask) {
		CPU_SETOF(cpu, &mask);
		error = taskqueue_start_threads_cpuset(&pc->pc_evtq, 1, PI_NET,
		    &mask, "hvevent%d", cpu);
	} else {
		error = taskqueue_start_threads(&pc->pc_evtq, 1, PI_NET,
		    "hvevent%d", cpu);
	}
	return (error);
}

int
vmbus_synic_alloc(struct vmbus_softc *sc)
{
	int cpu, error;

	sc->sc_pcpu = malloc_aligned(sizeof(*sc->sc_pcpu) * (mp_maxid + 1),
	    __alignof(*sc->sc_pcpu), M_VMBUS, M_WAITOK | M_ZERO);
	CPU_FOREACH(cpu) {
		error = vmbus_synic_alloc_cpu(sc, cpu);
		if (error != 0)
			return (error);
	}
	return (0);
}

void
vmbus_synic_free(struct vmbus_softc *sc)
{
	struct vmbus_pcpu *pc;
	int cpu;

	if (sc->sc_pcpu == NULL)
		return;
	CPU_FOREACH(cpu) {
		pc = &sc->sc_pcpu[cpu];
		if (pc->pc_evtq != NULL)
			taskqueue_free(pc->pc_evtq);
		vmbus_page_free(pc->pc_events);
		vmbus_page_free(pc->pc_msgs);
	}
	free(sc->sc_pcpu, M_VMBUS);
	sc->sc_pcpu = NULL;
}

static void
vmbus_synic_page_on(uint32_t msr, void *page)
{

	hyperv_md_wrmsr(msr, (hyperv_md_rdmsr(msr) & HYPERV_MSR_PAGE_KEEP) |
	    vtophys(page) | HYPERV_MSR_PAGE_ENABLE);
}

static void
vmbus_synic_page_off(uint32_t msr)
{

	hyperv_md_wrmsr(msr, hyperv_md_rdmsr(msr) & HYPERV_MSR_PAGE_KEEP);
}

/*
 * Empties a slot, and only then asks whether more wait: in the other order the
 * host could see a full slot after we saw no flag.
 */
static void
vmbus_synic_slot_done(struct vmbus_synic_msg *slot)
{

	atomic_store_rel_32(&slot->sm_type, VMBUS_SYNIC_MSG_TYPE_NONE);
	atomic_thread_fence_seq_cst();
	if ((*(volatile uint8_t *)&slot->sm_flags &
	    VMBUS_SYNIC_MSG_PENDING) != 0)
		hyperv_md_wrmsr(HYPERV_MSR_EOM, 0);
}

/*
 * The host keeps what is in its pages while they are off (protocol:
 * hypervisor, 3.1).  A message or an event left over from the connection
 * before raises no interrupt any more, and no other gets past it: nothing in
 * them concerns us before the first contact.
 */
static void
vmbus_synic_clear_slot(struct vmbus_synic_msg *slot)
{
	u_int n;

	for (n = 0; n < VMBUS_MSGQ_LEN; n++) {
		if (atomic_load_acq_32(&slot->sm_type) ==
		    VMBUS_SYNIC_MSG_TYPE_NONE)
			break;
		vmbus_synic_slot_done(slot);
	}
}

static void
vmbus_synic_clear_cpu(struct vmbus_pcpu *pc)
{
	struct vmbus_event_flags *ef = &pc->pc_events->ep_sint[VMBUS_SINT];
	u_int n;

	for (n = 0; n < nitems(ef->ef_word); n++)
		atomic_swap_64(&ef->ef_word[n], 0);
	vmbus_synic_clear_slot(&pc->pc_msgs->mp_slot[VMBUS_SINT]);
	vmbus_synic_clear_slot(&pc->pc_msgs->mp_slot[VMBUS_SINT_TIMER]);
}

/* Timers by message have a slot, and the bus's vector. */
static bool
vmbus_synic_has_timer(const struct vmbus_softc *sc)
{

	return (sc->sc_et_config != 0 && sc->sc_et_vector < 0);
}

static void
vmbus_synic_unmask(struct vmbus_softc *sc, u_int n)
{
	uint64_t sint;

	sint = hyperv_md_rdmsr(HYPERV_MSR_SINT0 + n);
	sint &= ~(HYPERV_SINT_VECTOR_MASK | HYPERV_SINT_MASKED |
	    HYPERV_SINT_AUTOEOI | HYPERV_SINT_POLLING);
	sint |= sc->sc_vector;
	if (sc->sc_autoeoi)
		sint |= HYPERV_SINT_AUTOEOI;
	hyperv_md_wrmsr(HYPERV_MSR_SINT0 + n, sint);
}

static void
vmbus_synic_mask(u_int n)
{
	uint64_t sint;

	sint = hyperv_md_rdmsr(HYPERV_MSR_SINT0 + n);
	sint &= ~(HYPERV_SINT_VECTOR_MASK | HYPERV_SINT_AUTOEOI);
	hyperv_md_wrmsr(HYPERV_MSR_SINT0 + n, sint | HYPERV_SINT_MASKED);
}

static void
vmbus_synic_enable_cpu(void *arg)
{
	struct vmbus_softc *sc = arg;
	struct vmbus_pcpu *pc = &sc->sc_pcpu[curcpu];

	if ((sc->sc_info.hi_priv & HYPERV_PRIV_VPINDEX) != 0)
		pc->pc_vp = (uint32_t)hyperv_md_rdmsr(HYPERV_MSR_VP_INDEX);
	vmbus_synic_page_on(HYPERV_MSR_SIMP, pc->pc_msgs);
	vmbus_synic_page_on(HYPERV_MSR_SIEFP, pc->pc_events);

	vmbus_synic_unmask(sc, VMBUS_SINT);
	if (vmbus_synic_has_timer(sc))
		vmbus_synic_unmask(sc, VMBUS_SINT_TIMER);

	hyperv_md_wrmsr(HYPERV_MSR_SCONTROL,
	    hyperv_md_rdmsr(HYPERV_MSR_SCONTROL) | HYPERV_SCONTROL_ENABLE);
	vmbus_synic_clear_cpu(pc);
}

static void
vmbus_synic_disable_cpu(void *arg)
{
	struct vmbus_softc *sc = arg;

	hyperv_md_wrmsr(HYPERV_MSR_SCONTROL,
	    hyperv_md_rdmsr(HYPERV_MSR_SCONTROL) & ~HYPERV_SCONTROL_ENABLE);
	vmbus_synic_mask(VMBUS_SINT);
	if (vmbus_synic_has_timer(sc))
		vmbus_synic_mask(VMBUS_SINT_TIMER);
	vmbus_synic_page_off(HYPERV_MSR_SIMP);
	vmbus_synic_page_off(HYPERV_MSR_SIEFP);
}

void
vmbus_synic_enable(struct vmbus_softc *sc)
{

	smp_rendezvous(NULL, vmbus_synic_enable_cpu, NULL, sc);
}

void
vmbus_synic_disable(struct vmbus_softc *sc)
{

	smp_rendezvous(NULL, vmbus_synic_disable_cpu, NULL, sc);
}

void
vmbus_synic_use(struct vmbus_softc *sc, int cpu, uint32_t chan)
{
	struct vmbus_pcpu *pc = &sc->sc_pcpu[cpu];
	u_int have, want;

	want = chan / VMBUS_EVENT_WORD_BITS + 1;
	have = pc->pc_nwords;
	while (have < want && atomic_fcmpset_int(&pc->pc_nwords, &have,
	    want) == 0)
		continue;
}

static void
vmbus_synic_nothing(void *arg __unused)
{
}

void
vmbus_synic_quiesce(int cpu)
{
	cpuset_t mask;

	CPU_SETOF(cpu, &mask);
	smp_rendezvous_cpus(mask, smp_no_rendezvous_barrier,
	    vmbus_synic_nothing, smp_no_rendezvous_barrier, NULL);
}

void
vmbus_synic_quiesce_all(void)
{

	smp_rendezvous_cpus(all_cpus, smp_no_rendezvous_barrier,
	    vmbus_synic_nothing, smp_no_rendezvous_barrier, NULL);
}

/*
 * Takes each word and then serves it: an event after the exchange sets its
 * bit again.  Bits without a channel are usual around open and close.
 */
static void
vmbus_synic_events(struct vmbus_softc *sc, struct vmbus_pcpu *pc,
    volatile uint64_t *words)
{
	struct vmbus_channel *ch;
	uint64_t bits;
	u_int bit, n, nwords;

	nwords = pc->pc_nwords;
	for (n = 0; n < nwords; n++) {
		if (words[n] == 0)
			continue;
		bits = atomic_swap_64(&words[n], 0);
		while (bits != 0) {
			bit = ffsll(bits) - 1;
			bits &= bits - 1;
			ch = (struct vmbus_channel *)atomic_load_acq_ptr(
			    (volatile uintptr_t *)&sc->sc_chmap[
			    n * VMBUS_EVENT_WORD_BITS + bit]);
			if (ch != NULL)
				vmbus_chan_event(ch);
			else
				pc->pc_stray++;
		}
	}
}

/* Flag 0 says only: look at the interrupt page (protocol: vmbus, 5.2). */
static void
vmbus_synic_events_old(struct vmbus_softc *sc, struct vmbus_pcpu *pc)
{
	struct vmbus_event_flags *ef = &pc->pc_events->ep_sint[VMBUS_SINT];

	if ((ef->ef_word[0] & 1) == 0)
		return;
	atomic_swap_64(&ef->ef_word[0], 0);
	vmbus_synic_events(sc, pc, sc->sc_intrpage->ip_rx);
}

/*
 * The host may set the flags of a full slot at any moment: they are not part of
 * the message and have their one look after the slot was emptied.
 */
static void
vmbus_synic_copy(struct vmbus_synic_msg *copy,
    const struct vmbus_synic_msg *slot, uint32_t type)
{

	copy->sm_type = type;
	copy->sm_len = slot->sm_len;
	memcpy(copy->sm_payload, slot->sm_payload, sizeof(copy->sm_payload));
}

/* Copies one message to the queue; false: no room, or no message. */
static bool
vmbus_synic_msg(struct vmbus_softc *sc, struct vmbus_synic_msg *slot)
{
	struct vmbus_synic_msg *copy;
	uint32_t type;

	type = atomic_load_acq_32(&slot->sm_type);
	if (type == VMBUS_SYNIC_MSG_TYPE_NONE)
		return (false);
	if (type == VMBUS_SYNIC_MSG_TYPE_CHANNEL) {
		mtx_lock_spin(&sc->sc_msgq_mtx);
		if (sc->sc_msgq_len == VMBUS_MSGQ_LEN) {
			CPU_SET(curcpu, &sc->sc_msgq_stalled);
			mtx_unlock_spin(&sc->sc_msgq_mtx);
			return (false);
		}
		copy = &sc->sc_msgq[(sc->sc_msgq_head + sc->sc_msgq_len) %
		    VMBUS_MSGQ_LEN];
		vmbus_synic_copy(copy, slot, type);
		sc->sc_msgq_len++;
		mtx_unlock_spin(&sc->sc_msgq_mtx);
	}

	vmbus_synic_slot_done(slot);
	return (true);
}

HYPERV_HOT static void
vmbus_synic_msgs(struct vmbus_softc *sc, struct vmbus_pcpu *pc)
{
	struct vmbus_synic_msg *slot = &pc->pc_msgs->mp_slot[VMBUS_SINT];

	u_int n;

	if (atomic_load_32(&slot->sm_type) == VMBUS_SYNIC_MSG_TYPE_NONE)
		return;
	for (n = 0; n < VMBUS_MSGQ_LEN; n++) {
		if (!vmbus_synic_msg(sc, slot))
			break;
	}
	if (n == VMBUS_MSGQ_LEN) {
		/* A host faster than we are must not keep us here. */
		mtx_lock_spin(&sc->sc_msgq_mtx);
		CPU_SET(curcpu, &sc->sc_msgq_stalled);
		mtx_unlock_spin(&sc->sc_msgq_mtx);
	}
	taskqueue_enqueue(sc->sc_msgtq, &sc->sc_msgtask);
}

/* What is in the slot does not matter: the kernel looks at the time. */
static void
vmbus_synic_timer(struct vmbus_softc *sc, struct vmbus_pcpu *pc)
{
	struct vmbus_synic_msg *slot =
	    &pc->pc_msgs->mp_slot[VMBUS_SINT_TIMER];

	if (atomic_load_acq_32(&slot->sm_type) == VMBUS_SYNIC_MSG_TYPE_NONE)
		return;
	vmbus_synic_slot_done(slot);
	vmbus_et_intr(sc);
}

HYPERV_HOT void
vmbus_synic_intr(struct vmbus_softc *sc)
{
	struct vmbus_pcpu *pc = &sc->sc_pcpu[curcpu];

	pc->pc_intrs++;
	vmbus_synic_timer(sc, pc);
	if (__predict_false(atomic_load_bool(&sc->sc_old_events)))
		vmbus_synic_events_old(sc, pc);
	else
		vmbus_synic_events(sc, pc,
		    pc->pc_events->ep_sint[VMBUS_SINT].ef_word);
	vmbus_synic_msgs(sc, pc);
}

static void
vmbus_synic_rescan(void *arg)
{
	struct vmbus_softc *sc = arg;

	vmbus_synic_msgs(sc, &sc->sc_pcpu[curcpu]);
}

/*
 * Handles the queue in order.  A slot that was left full while there was no
 * room raises no further interrupt: its processor is sent to look again.
 */
void
vmbus_msg_task(void *arg, int pending __unused)
{
	struct vmbus_softc *sc = arg;
	cpuset_t stalled;

	for (;;) {
		mtx_lock_spin(&sc->sc_msgq_mtx);
		if (sc->sc_msgq_len == 0)
			break;
		memcpy(&sc->sc_msg, &sc->sc_msgq[sc->sc_msgq_head],
		    sizeof(sc->sc_msg));
		sc->sc_msgq_head = (sc->sc_msgq_head + 1) % VMBUS_MSGQ_LEN;
		sc->sc_msgq_len--;
		mtx_unlock_spin(&sc->sc_msgq_mtx);
		vmbus_msg_dispatch(sc, &sc->sc_msg);
	}
	CPU_COPY(&sc->sc_msgq_stalled, &stalled);
	CPU_ZERO(&sc->sc_msgq_stalled);
	mtx_unlock_spin(&sc->sc_msgq_mtx);
	if (!CPU_EMPTY(&stalled))
		smp_rendezvous_cpus(stalled, smp_no_rendezvous_barrier,
		    vmbus_synic_rescan, smp_no_rendezvous_barrier, sc);
}

bool
vmbus_synic_poll(struct vmbus_softc *sc, struct vmbus_synic_msg *msg)
{
	struct vmbus_synic_msg *slot;
	uint32_t type;
	int cpu;

	CPU_FOREACH(cpu) {
		slot = &sc->sc_pcpu[cpu].pc_msgs->mp_slot[VMBUS_SINT];
		type = atomic_load_acq_32(&slot->sm_type);
		if (type == VMBUS_SYNIC_MSG_TYPE_NONE)
			continue;
		vmbus_synic_copy(msg, slot, type);
		atomic_store_rel_32(&slot->sm_type, VMBUS_SYNIC_MSG_TYPE_NONE);
		atomic_thread_fence_seq_cst();
		/* Of a stopped processor's queue nothing more can be asked. */
		if (cpu == curcpu)
			hyperv_md_wrmsr(HYPERV_MSR_EOM, 0);
		return (true);
	}
	return (false);
}
