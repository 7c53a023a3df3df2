/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A vCPU's thread: runs guest code and does what exits ask for.  Others reach
 * it by bits in c_req and a signal; the handler makes KVM_RUN return at once,
 * so that a request between the test and the call is not lost.
 */

#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "hypervisor/hv_reg.h"
#include "vmm/machine.h"

#define	VCPU_SIGNAL	SIGUSR1

#define	RFLAGS_IF	(1ull << 9)
#define	CR0_PE		(1ull << 0)
#define	CR0_ET		(1ull << 4)
#define	CR0_NE		(1ull << 5)
#define	CR0_PG		(1ull << 31)
#define	CR4_PAE		(1ull << 5)
#define	EFER_LME	(1ull << 8)
#define	EFER_LMA	(1ull << 10)

/* GDT of vmm_boot_gdt(). */
#define	SEL_CODE64	0x10
#define	SEL_DATA	0x18
#define	SEL_CODE32	0x20
#define	GDT_LIMIT	(5 * 8 - 1)

static __thread struct vmm_vcpu *own_cpu;

static void
on_signal(int sig)
{
	struct vmm_vcpu *c = own_cpu;

	if (c != NULL)
		c->c_run->immediate_exit = 1;
}

void
vmm_vcpu_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(VCPU_SIGNAL, &sa, NULL);
}

void
vmm_vcpu_request(struct vmm_vcpu *c, uint32_t req)
{

	/* It looks before it runs guest code again: no need to tell itself. */
	if ((atomic_fetch_or(&c->c_req, req) & req) == req || own_cpu == c)
		return;
	pthread_mutex_lock(&c->c_m->m_mtx);
	if (c->c_started)
		pthread_kill(c->c_thread, VCPU_SIGNAL);
	pthread_mutex_unlock(&c->c_m->m_mtx);
}

const char *
vmm_exit_name(unsigned reason)
{
	static const char *const names[VMM_EXITS] = {
		[KVM_EXIT_UNKNOWN] = "unknown",
		[KVM_EXIT_IO] = "io",
		[KVM_EXIT_MMIO] = "mmio",
		[KVM_EXIT_SHUTDOWN] = "shutdown",
		[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
		[KVM_EXIT_INTR] = "kick",
		[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
		[KVM_EXIT_SYSTEM_EVENT] = "system_event",
		[KVM_EXIT_HYPERV] = "hypercall",
		[KVM_EXIT_X86_RDMSR] = "rdmsr",
		[KVM_EXIT_X86_WRMSR] = "wrmsr",
	};

	return (reason < VMM_EXITS ? names[reason] : NULL);
}

/* --- The state at the first instruction --- */

static struct kvm_segment
segment(uint16_t selector, bool code, bool lng)
{

	return ((struct kvm_segment){
		.limit = 0xFFFFFFFF, .selector = selector,
		.type = code ? 0xB : 0x3, .present = 1, .db = !lng, .s = 1,
		.l = lng, .g = 1,
	});
}

int
vmm_vcpu_boot_state(struct vmm_vcpu *c, const struct vmm_boot_regs *br)
{
	struct kvm_regs regs = {
		.rip = br->rip, .rsp = br->rsp, .rsi = br->rsi,
		.rbx = br->rbx, .rflags = 2,
	};
	struct kvm_sregs s;
	bool lng = br->cr3 != 0;

	if (ioctl(c->c_fd, KVM_GET_SREGS, &s) != 0)
		return (errno);
	s.cs = segment(lng ? SEL_CODE64 : SEL_CODE32, true, lng);
	s.ds = segment(SEL_DATA, false, false);
	s.es = s.fs = s.gs = s.ss = s.ds;
	s.gdt.base = br->gdt;
	s.gdt.limit = GDT_LIMIT;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (lng) {
		s.cr0 |= CR0_PG;
		s.cr3 = br->cr3;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	if (ioctl(c->c_fd, KVM_SET_SREGS, &s) != 0 ||
	    ioctl(c->c_fd, KVM_SET_REGS, &regs) != 0)
		return (errno);
	return (0);
}

/* --- Exits --- */

static void
exit_io(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->c_run;

	vmm_pio_exit(c->c_m, run->io.port, run->io.size,
	    run->io.direction == KVM_EXIT_IO_OUT,
	    (uint8_t *)run + run->io.data_offset, run->io.count);
}

/* Nothing lies there: reads float high, writes are lost. */
static void
exit_mmio(struct vmm_vcpu *c)
{

	if (!c->c_run->mmio.is_write)
		memset(c->c_run->mmio.data, 0xFF, sizeof(c->c_run->mmio.data));
}

static void
exit_hypercall(struct vmm_vcpu *c)
{
	struct kvm_hyperv_exit *hx = &c->c_run->hyperv;
	uint64_t input;

	/* The SynIC's registers come as MSRs: see kvm.c. */
	if (hx->type != KVM_EXIT_HYPERV_HCALL)
		return;
	input = hx->u.hcall.input;
	vmm_loop_defer(true);
	/* KVM has fetched a slow one's value (protocol: hypervisor, 7.1). */
	if (HV_CALL_CODE(input) == HV_CALL_SIGNAL_EVENT)
		input |= HV_CALL_FAST;
	hx->u.hcall.result = hvh_hypercall(c->c_m->m_h, c->c_id, input,
	    hx->u.hcall.params[0], hx->u.hcall.params[1]);
	if (vmm_loop_defer(false))
		vmm_loop_inline(c->c_m);
}

/* KVM learns of these registers too, as from a guest's write. */
static bool
forward_msr(struct vmm_vcpu *c, uint32_t msr, uint64_t val)
{
	struct {
		struct kvm_msrs	 head;
		struct kvm_msr_entry entry[1];
	} t = { .head.nmsrs = 1 };

	t.entry[0].index = msr;
	t.entry[0].data = val;
	return (ioctl(c->c_fd, KVM_SET_MSRS, &t) == 1);
}

static void
exit_wrmsr(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->c_run;
	uint32_t msr = run->msr.index;

	run->msr.error = 1;
	if (hvh_wrmsr(c->c_m->m_h, c->c_id, msr, run->msr.data) != 0)
		return;
	/* All that came here but the one it does not know. */
	if ((msr == HV_MSR_OS_ID || (msr >= HV_MSR_SCONTROL &&
	    msr <= HV_MSR_SINT15 && msr != HV_MSR_SIRBP)) &&
	    !forward_msr(c, msr, run->msr.data))
		return;
	run->msr.error = 0;
}

static void
exit_rdmsr(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->c_run;
	uint64_t val = 0;

	run->msr.error = hvh_rdmsr(c->c_m->m_h, c->c_id, run->msr.index,
	    &val) != 0;
	run->msr.data = val;
}

static void
exit_event(struct vmm_vcpu *c)
{

	switch (c->c_run->system_event.type) {
	case KVM_SYSTEM_EVENT_RESET:
		vmm_end(c->c_m, VMM_RESET);
		break;
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vmm_end(c->c_m, VMM_POWEROFF);
		break;
	}
}

static void
say_where(struct vmm_vcpu *c)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (ioctl(c->c_fd, KVM_GET_REGS, &r) != 0 ||
	    ioctl(c->c_fd, KVM_GET_SREGS, &s) != 0)
		return;
	vmm_say("vCPU %u: rip %#jx rsp %#jx cr0 %#jx cr2 %#jx cr3 %#jx "
	    "cr4 %#jx", c->c_id, (uintmax_t)r.rip, (uintmax_t)r.rsp,
	    (uintmax_t)s.cr0, (uintmax_t)s.cr2, (uintmax_t)s.cr3,
	    (uintmax_t)s.cr4);
}

/* The processor cannot go on: a triple fault resets, as on a PC. */
static void
exit_fatal(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->c_run;

	if (run->exit_reason == KVM_EXIT_SHUTDOWN) {
		vmm_say("vCPU %u: triple fault", c->c_id);
		say_where(c);
		c->c_m->m_triple = true;
		vmm_end(c->c_m, VMM_RESET);
		return;
	}
	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		vmm_say("vCPU %u: the processor refuses the guest's state, "
		    "reason %#jx", c->c_id,
		    (uintmax_t)run->fail_entry.hardware_entry_failure_reason);
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		vmm_say("vCPU %u: KVM cannot go on (internal error %u)",
		    c->c_id, run->internal.suberror);
	else
		vmm_say("vCPU %u: unexpected exit %u of KVM", c->c_id,
		    run->exit_reason);
	say_where(c);
	vmm_end(c->c_m, VMM_CRASH);
}

static void
handle_exit(struct vmm_vcpu *c)
{
	uint32_t reason = c->c_run->exit_reason;

	if (reason < VMM_EXITS)
		atomic_fetch_add_explicit(&c->c_exits[reason], 1,
		    memory_order_relaxed);
	switch (reason) {
	case KVM_EXIT_IO:
		exit_io(c);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(c);
		break;
	case KVM_EXIT_HYPERV:
		exit_hypercall(c);
		break;
	case KVM_EXIT_X86_WRMSR:
		exit_wrmsr(c);
		break;
	case KVM_EXIT_X86_RDMSR:
		exit_rdmsr(c);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_event(c);
		break;
	case KVM_EXIT_INTR:
		break;
	default:
		exit_fatal(c);
	}
}

/* --- The thread --- */

/* m_mtx held. */
static void
note_place(struct vmm_vcpu *c)
{
	struct kvm_regs r;
	struct kvm_mp_state mp;

	if (ioctl(c->c_fd, KVM_GET_REGS, &r) == 0) {
		c->c_pc = r.rip;
		c->c_masked = (r.rflags & RFLAGS_IF) == 0;
	}
	if (ioctl(c->c_fd, KVM_GET_MP_STATE, &mp) == 0)
		c->c_halted = mp.mp_state == KVM_MP_STATE_HALTED;
}

/* Waits while the machine is paused or has ended; false: end the thread. */
static bool
handle_requests(struct vmm_vcpu *c)
{
	struct vmm *m = c->c_m;
	uint32_t req;

	req = atomic_fetch_and(&c->c_req, ~(VCPU_ATTEND | VCPU_PAUSE));
	if ((req & VCPU_ATTEND) != 0)
		hvh_attend(m->m_h, c->c_id);
	if ((req & VCPU_PAUSE) != 0) {
		pthread_mutex_lock(&m->m_mtx);
		note_place(c);
		m->m_waiting++;
		pthread_cond_broadcast(&m->m_cond);
		while (m->m_paused &&
		    (atomic_load(&c->c_req) & VCPU_STOP) == 0)
			pthread_cond_wait(&m->m_cond, &m->m_mtx);
		m->m_waiting--;
		pthread_cond_broadcast(&m->m_cond);
		pthread_mutex_unlock(&m->m_mtx);
	}
	return ((atomic_load(&c->c_req) & VCPU_STOP) == 0);
}

/* An error of KVM_RUN itself. */
static bool
run_failed(struct vmm_vcpu *c, int error)
{

	if (error == EINTR || error == EAGAIN) {
		c->c_run->immediate_exit = 0;
		if (error == EINTR)
			atomic_fetch_add_explicit(&c->c_exits[KVM_EXIT_INTR],
			    1, memory_order_relaxed);
		return (true);
	}
	vmm_say("vCPU %u: KVM_RUN: %s", c->c_id, strerror(error));
	say_where(c);
	vmm_end(c->c_m, VMM_CRASH);
	return (false);
}

static void *
vcpu_thread(void *arg)
{
	struct vmm_vcpu *c = arg;
	sigset_t set;

	own_cpu = c;
	sigemptyset(&set);
	sigaddset(&set, VCPU_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (;;) {
		if (atomic_load(&c->c_req) != 0 && !handle_requests(c))
			break;
		/* After the end nothing runs until somebody stops us. */
		if (atomic_load(&c->c_m->m_end) != VMM_RUNS) {
			pthread_mutex_lock(&c->c_m->m_mtx);
			while (atomic_load(&c->c_req) == 0)
				pthread_cond_wait(&c->c_m->m_cond,
				    &c->c_m->m_mtx);
			pthread_mutex_unlock(&c->c_m->m_mtx);
			continue;
		}
		if (ioctl(c->c_fd, KVM_RUN, 0) == 0)
			handle_exit(c);
		else if (!run_failed(c, errno))
			continue;
	}
	own_cpu = NULL;
	return (NULL);
}

int
vmm_vcpu_start(struct vmm_vcpu *c)
{
	sigset_t set, old;
	int error;

	/* The thread is born deaf to all but its own and the sandbox's. */
	sigfillset(&set);
	sigdelset(&set, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	pthread_mutex_lock(&c->c_m->m_mtx);
	error = pthread_create(&c->c_thread, NULL, vcpu_thread, c);
	c->c_started = error == 0;
	pthread_mutex_unlock(&c->c_m->m_mtx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (error);
}

void
vmm_vcpu_join(struct vmm_vcpu *c)
{
	bool started;

	/* It has been told to end; the I/O thread may have more for it. */
	pthread_mutex_lock(&c->c_m->m_mtx);
	started = c->c_started;
	c->c_started = false;
	pthread_mutex_unlock(&c->c_m->m_mtx);
	if (started)
		pthread_join(c->c_thread, NULL);
}
