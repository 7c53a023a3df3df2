/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine's inside: for the files that make it run (machine.c, kvm.c,
 * cpuid.c, vcpu.c, loop.c) and for those that show it (status.c).  Devices
 * and boot loaders know vmm.h only.
 *
 * Lock key: (c) constant once the machine has started, (m) m_mtx, (a) atomic,
 * (t) its vCPU's thread, (l) the pump lock.
 * Order: pump lock > m_mtx.
 */

#ifndef VMM_MACHINE_H
#define	VMM_MACHINE_H

#include <linux/kvm.h>

#include "control/trace.h"
#include "vmm/pio.h"
#include "vmm/vmm.h"

/* Kinds of exits counted apart; KVM's numbers are below this. */
#define	VMM_EXITS	48

/* c_req: what a vCPU's thread is asked for. */
#define	VCPU_STOP	1u	/* end the thread */
#define	VCPU_PAUSE	2u	/* wait for m_paused to end */
#define	VCPU_ATTEND	4u	/* hvh_attend() */

struct vmm_vcpu {
	struct vmm	*c_m;				/* (c) */
	unsigned	 c_id;		/* (c) APIC id and VP index */
	int		 c_fd;				/* (c) */
	int		 c_stats;			/* (c) KVM's, or -1 */
	struct kvm_run	*c_run;				/* (t) */
	pthread_t	 c_thread;
	bool		 c_started;	/* (m) c_thread is one */
	_Atomic uint32_t c_req;				/* (a) */
	_Atomic uint64_t c_exits[VMM_EXITS];		/* (a) to user space */
	uint64_t	 c_pc;		/* (m) where it was paused */
	bool		 c_halted;	/* (m) and whether it waited, */
	bool		 c_masked;	/* (m) with interrupts off */
};

/* Channels' signals, by channel id; [0]: the shared one of version 0.13. */
#define	VMM_SIGNALS	2048

struct vmm_loop {
	int		 l_ep;				/* (c) */
	int		 l_kick;			/* (c) eventfd */
	_Atomic bool	 l_stop;			/* (a) */
	_Atomic bool	 l_again;	/* (a) kicked by itself */
	pthread_t	 l_thread;
	_Atomic bool	 l_runs;			/* (a) */
	int		 l_signal[VMM_SIGNALS];	/* (l) eventfds, or -1 */
	_Atomic uint64_t l_wakeups;			/* (a) */
	_Atomic uint64_t l_inline;	/* (a) rounds of vCPU threads */
	_Atomic uint64_t l_until;	/* (a) it sleeps so long at most */
};

struct vmm_config {
	unsigned	 cpus;
	uint64_t	 memory;		/* bytes, whole pages */
	bool		 pci;			/* and emulated IDE */
	bool		 no_reboot;
	bool		 no_autoeoi;
	bool		 monitor_pages;
	bool		 hide_xsave;
	bool		 hide_x2apic;
	bool		 quiet;			/* no informational lines */
	uint32_t	 max_version;		/* VMBus, 0: newest */
	struct hvh_shown shown;			/* of the hypervisor */
	/* Where the serial port's output goes; vCPU threads. */
	void		(*console_put)(void *arg, const void *buf, size_t len);
	void		*console_arg;
	struct tracer	*tracer;		/* or NULL */
};

struct vmm {
	struct vmm_config m_cf;				/* (c) */
	int		 m_kvm;				/* (c) /dev/kvm */
	int		 m_vm;				/* (m) or -1 */
	size_t		 m_runsize;	/* (c) of struct kvm_run */
	uint8_t		*m_mem;				/* (c) */
	uint64_t	 m_low, m_high;			/* (c) bytes of RAM */
	struct hvh	*m_h;				/* (c) */
	struct vmm_loop	 m_loop;
	struct vmm_pio_map m_pio;			/* (c) */
	struct vmm_uart	*m_uart;			/* (c) */
	struct vmm_rtc	*m_rtc;				/* (c) */
	struct vmm_pm	*m_pm;				/* (c) */
	struct vmm_pci	*m_pci;				/* (c) or NULL */
	struct vmm_ide	*m_ide;				/* (c) or NULL */
	struct vmm_boot	*m_boot;			/* (c) */
	struct vmm_vcpu	 m_cpu[VMM_CPUS_MAX];
	int		 m_end_fd;	/* (c) eventfd: m_end has changed */
	_Atomic int	 m_end;				/* (a) enum vmm_end */
	bool		 m_triple;	/* (m) the reset is a triple fault */

	pthread_mutex_t	 m_say_mtx;	/* what a guest makes us say: */
	uint64_t	 m_say_time;	/* vmm_now() of the last refill */
	unsigned	 m_say_left;	/* lines until then */
	unsigned	 m_say_lost;	/* and left out since */

	pthread_mutex_t	 m_mtx;
	pthread_cond_t	 m_cond;
	bool		 m_paused;			/* (m) */
	unsigned	 m_waiting;	/* (m) vCPUs that have paused */
	bool		 m_running;			/* (m) vCPUs exist */
	uint64_t	 m_started;	/* (m) vmm_now() of the last start */
	unsigned	 m_resets;			/* (m) */
};

/* kvm.c */
/* ENOENT, EACCES, ENOTSUP: there is no KVM, or not one for this. */
int	vmm_kvm_open(int *kvm, size_t *runsize, char *err, size_t errlen);
/* Does it run a guest?  A tiny one, with a time limit.  ETIMEDOUT. */
int	vmm_kvm_probe(char *err, size_t errlen);
/* A VM with memory, interrupt controllers and timer, without vCPUs. */
int	vmm_kvm_create(struct vmm *m, char *err, size_t errlen);
int	vmm_kvm_vcpu(struct vmm *m, unsigned id, char *err, size_t errlen);
void	vmm_kvm_destroy(struct vmm *m);
/*
 * KVM's own counters of vCPUs (exits, halt_exits, irq_injections, ...), each
 * summed over count of them from first on; none where KVM does not tell.
 * m_mtx held.
 */
void	vmm_kvm_counters(struct vmm *m, unsigned first, unsigned count,
	    void (*fn)(void *arg, const char *name, uint64_t value), void *arg);

/* cpuid.c */
int	vmm_cpuid_set(struct vmm_vcpu *c);

/* vcpu.c */
void	vmm_vcpu_init(void);
int	vmm_vcpu_boot_state(struct vmm_vcpu *c,
	    const struct vmm_boot_regs *regs);
int	vmm_vcpu_start(struct vmm_vcpu *c);
/* Any thread: sets bits of c_req and gets the thread to see them. */
void	vmm_vcpu_request(struct vmm_vcpu *c, uint32_t req);
void	vmm_vcpu_join(struct vmm_vcpu *c);
const char *vmm_exit_name(unsigned reason);

/* loop.c */
int	vmm_loop_init(struct vmm *m);
/* After hvh_create(). */
int	vmm_loop_start(struct vmm *m);
void	vmm_loop_stop(struct vmm *m);
void	vmm_loop_fini(struct vmm *m);
/* Of struct hvh_ops. */
void	vmm_loop_kick(void *arg);
void	vmm_loop_listen(void *arg, uint32_t connection, bool on);
/*
 * On: kicks by this thread are only remembered.  Off: were there any?  For a
 * vCPU that then does the round itself, by vmm_loop_inline(): a guest that
 * waits for its one request gets it without a thread being woken.
 */
bool	vmm_loop_defer(bool on);
void	vmm_loop_inline(struct vmm *m);
/* Tells libhvhost of the signals that KVM has taken so far. */
void	vmm_loop_count(struct vmm *m);

/* machine.c */
int	vmm_create(const struct vmm_config *cf, struct vmm **mp, char *err,
	    size_t errlen);
/* Once, before the first vmm_start(): all else needs no KVM. */
int	vmm_attach_kvm(struct vmm *m, char *err, size_t errlen);
/* From power-on to the first instruction. */
int	vmm_start(struct vmm *m, char *err, size_t errlen);
/* Ends the vCPUs; the devices stay as they are. */
void	vmm_stop(struct vmm *m);
/* vmm_stop(), all devices reset. */
void	vmm_power_off(struct vmm *m);
/* ETIMEDOUT: a vCPU is held up, for instance by who reads the console. */
int	vmm_pause(struct vmm *m);
void	vmm_resume(struct vmm *m);
void	vmm_destroy(struct vmm *m);

#endif	/* !VMM_MACHINE_H */
