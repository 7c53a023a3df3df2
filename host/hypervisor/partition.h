/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The partition: what the files of hypervisor/ share.  The VMBus server knows
 * this header only for locks, time, log and delivery; devices know channel.h.
 *
 * Lock order:  h_pump_mtx > vp_mtx, h_pump_mtx > h_part_mtx,
 *              h_pump_mtx > the VMBus input queue and the fault table,
 *              all > ck_mtx, under which only ops->now and ops->tsc are called.
 * No two others of the later ones are ever held together; ops->interrupt and
 * ops->kick are called with none but h_pump_mtx held.
 *
 * Lock key:
 *	(c) constant after hvh_create()
 *	(p) h_pump_mtx		(h) h_part_mtx		(v) vp_mtx
 *	(k) ck_mtx		(a) atomic
 */

#ifndef HVH_PARTITION_H
#define	HVH_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>

#include "hvhost.h"
#include "hypervisor/hv_reg.h"
#include "vmbus/channel.h"

#define	HVH_VPS_MAX	64
#define	HVH_NEVER	UINT64_MAX

/*
 * A page that lies over guest memory: its content is its own, survives
 * disabling and moving, and what it covered comes back (protocol: hypervisor,
 * 3.1).  The library cannot remap the guest's memory, so it swaps bytes.
 */
struct hvh_overlay {
	uint8_t		*ov_page;	/* where it lies, NULL: nowhere */
	uint8_t		*ov_content;	/* its bytes while it lies nowhere */
	uint8_t		*ov_under;	/* what it covers */
};

struct hvh_msgnode {
	struct hvh_msgnode *mn_next;
	uint32_t	 mn_type;
	uint32_t	 mn_size;
	uint64_t	 mn_sender;
	uint8_t		 mn_payload[HV_MSG_PAYLOAD];
};

struct hvh_msgq {
	struct hvh_msgnode *mq_head;
	struct hvh_msgnode **mq_tail;
	uint32_t	 mq_len;
};

struct hvh_stimer {
	uint64_t	 st_config;	/* (v) */
	uint64_t	 st_count;	/* (v) as the guest wrote it */
	uint64_t	 st_due;	/* (v) reference time, HVH_NEVER */
	uint64_t	 st_expired;	/* (v) of the message that waits */
	bool		 st_waiting;	/* (v) message could not be placed */
};

struct hvh_vp {
	pthread_mutex_t	 vp_mtx;
	uint32_t	 vp_index;			/* (c) */
	uint64_t	 vp_scontrol;			/* (v) */
	uint64_t	 vp_siefp;			/* (v) */
	uint64_t	 vp_simp;			/* (v) */
	uint64_t	 vp_sirbp;			/* (v) */
	uint64_t	 vp_sint[HV_SINTS];		/* (v) */
	struct hvh_overlay vp_events;			/* (v) */
	struct hvh_overlay vp_messages;			/* (v) */
	struct hvh_msgq	 vp_queue[HV_SINTS];		/* (v) */
	uint16_t	 vp_missed;	/* (v) SINTs with flags set masked */
	struct hvh_stimer vp_timer[HV_STIMERS];		/* (v) */
	_Atomic uint64_t vp_due;	/* (a) earliest st_due */
	uint64_t	 vp_icr, vp_tpr, vp_assist;	/* (v) */
	struct hvh_overlay vp_assist_page;		/* (v) */
	_Atomic uint64_t vp_hypercalls, vp_msr_reads, vp_msr_writes; /* (a) */
	_Atomic uint64_t vp_interrupts, vp_flushes, vp_ipis; /* (a) */
} __attribute__((aligned(64)));

/* Interrupts found due under a VP's lock, asserted after it is dropped. */
struct hvh_irqs {
	unsigned	 n;
	struct {
		uint8_t	 vector;
		bool	 autoeoi;
	} irq[2 * HV_SINTS + HV_STIMERS];
};

/*
 * How messages and events reach the guest.  synic.c is one; a VMM whose KVM
 * has the SynIC in the kernel brings another.  Any thread with h_pump_mtx.
 */
struct hvh_delivery {
	/* Queues a message, in order, for (vp, sint).  ENOMEM, EINVAL. */
	int	 (*post)(void *arg, uint32_t vp, uint8_t sint, uint32_t type,
		    uint64_t sender, const void *payload, size_t len);
	/* How many messages for (vp, sint) the guest has not had yet. */
	unsigned (*backlog)(void *arg, uint32_t vp, uint8_t sint);
	/* Forgets those. */
	void	 (*discard)(void *arg, uint32_t vp, uint8_t sint);
	/* Raises an event flag; true: it went from 0 to 1. */
	bool	 (*event)(void *arg, uint32_t vp, uint8_t sint, uint32_t flag);
	void	*arg;
};

/* A hypercall whose form is right, its input fetched. */
struct hvh_call {
	struct hvh	*c_h;
	uint32_t	 c_vp;
	unsigned	 c_words;	/* of the variable header, 64 bits */
	unsigned	 c_reps, c_start;
	uint64_t	 c_in[HV_PAGE_SIZE / 8]; /* header, words, elements */
};

/* Statistics that any thread counts. */
struct hvh_counters {
	_Atomic uint64_t hypercalls, posts, signals_in, interrupts;
	_Atomic uint64_t events_out, msr_reads, msr_writes;
	_Atomic uint64_t flushes, flush_vps, flush_ranges, ipis, ipi_vps;
	_Atomic uint64_t spins, time_reads, timer_sets, timer_expiries;
	_Atomic uint64_t apic_eois, apic_icrs, apic_tprs;
};

/* Reference time: ref = tsc * scale + offset, or now + offset. */
struct hvh_clock {
	pthread_mutex_t	 ck_mtx;
	uint64_t	 ck_scale;	/* (k) 0: no use of the TSC */
	uint64_t	 ck_offset;	/* (k) modulo 2^64 */
	uint64_t	 ck_hz;		/* (k) of the last TSC in use */
	uint64_t	 ck_msr;	/* (k) the TSC page's */
	struct hvh_overlay ck_page;	/* (k) */
	uint32_t	 ck_sequence;	/* (k) the last one published */
	uint64_t	 ck_moves;	/* (k) */
};

struct hvh_bus;
struct hvh_faults;

struct hvh {
	struct hvh_config h_cf;				/* (c) */
	struct hvh_ops	 h_ops;				/* (c) */
	void		*h_arg;				/* (c) */
	uint8_t		*h_code;	/* (c) the hypercall page */
	struct hvh_delivery h_delivery;			/* (c) */

	pthread_mutex_t	 h_part_mtx;
	uint64_t	 h_os_id;			/* (h) */
	uint64_t	 h_hypercall;			/* (h) */
	uint64_t	 h_crash[5];	/* (h) the registers */
	struct hvh_crash h_crashed;	/* (h) what was reported */
	struct hvh_overlay h_code_page;			/* (h) */

	struct hvh_clock h_clock;

	pthread_mutex_t	 h_pump_mtx;
	struct hvh_timer *h_timers;	/* (p) by time */
	struct hvh_source *h_sources;	/* (p) */
	struct hvh_source *h_source_next; /* (p) the one to look at next */
	int		 h_epoll;			/* (c) */
	_Atomic uint64_t h_deadline;	/* (a) what hvh_pump() returned */
	_Atomic bool	 h_kicked;	/* (a) ops->kick called, not pumped */
	struct hvh_stats h_stats;	/* (p) */
	struct hvh_counters h_counters;			/* (a) */
	struct hvh_bus	*h_bus;				/* (c) */
	struct hvh_faults *h_faults;			/* (c) */
	struct hvh_vp	*h_vp;				/* (c) */
};

/* pump.c */
void	hvh_kick(struct hvh *h);
void	hvh_sources_poll(struct hvh *h);
uint64_t hvh_timers_run(struct hvh *h);

/* gpa.c */
/* EPERM: not a page of guest memory. */
int	hvh_overlay_put(struct hvh *h, struct hvh_overlay *ov, uint64_t gpa);
void	hvh_overlay_take(struct hvh_overlay *ov);
void	hvh_overlay_free(struct hvh_overlay *ov);

/* feature.c */
bool	hvh_hides(const struct hvh *h, enum hvh_feature f);
bool	hvh_hides_msr(const struct hvh *h, uint32_t msr);

/* cpuid_msr.c */
void	hvh_msr_reset(struct hvh *h);

/* clock.c */
/* What the TSC page can express. */
bool	hvh_clock_good(uint64_t tsc_hz);
void	hvh_clock_init(struct hvh *h);
void	hvh_clock_reset(struct hvh *h);
void	hvh_clock_fini(struct hvh *h);
uint64_t hvh_clock_moves(struct hvh *h);
uint64_t hvh_ref_time(struct hvh *h);
int	hvh_clock_msr_read(struct hvh *h, uint32_t msr, uint64_t *val);
int	hvh_clock_msr_write(struct hvh *h, uint32_t msr, uint64_t val);

/* crash.c */
int	hvh_crash_msr_read(struct hvh *h, uint32_t msr, uint64_t *val);
int	hvh_crash_msr_write(struct hvh *h, uint32_t msr, uint64_t val);

/* apic.c */
/* vp_mtx held. */
void	hvh_apic_reset(struct hvh_vp *vp);
int	hvh_apic_read(struct hvh_vp *vp, uint32_t msr, uint64_t *val);
/* No lock held. */
int	hvh_apic_write(struct hvh *h, struct hvh_vp *vp, uint32_t msr,
	    uint64_t val);
/* Asserts vector on the VPs of a mask; returns how many there are. */
unsigned hvh_apic_send(struct hvh *h, uint64_t vps, uint8_t vector);

/* hypercall_vp.c: those that reach other VPs. */
uint16_t hvh_call_flush(struct hvh_call *c);
uint16_t hvh_call_flush_ex(struct hvh_call *c);
uint16_t hvh_call_ipi(struct hvh_call *c);
uint16_t hvh_call_ipi_ex(struct hvh_call *c);

/* timer.c */
/* vp_mtx held. */
void	hvh_stimer_reset(struct hvh_vp *vp);
uint64_t hvh_stimer_read(struct hvh_vp *vp, unsigned reg);
void	hvh_stimer_write(struct hvh *h, struct hvh_vp *vp, unsigned reg,
	    uint64_t val, struct hvh_irqs *irqs);
void	hvh_stimer_retry(struct hvh *h, struct hvh_vp *vp,
	    struct hvh_irqs *irqs);
/* No lock held; returns the reference time of the next expiry. */
uint64_t hvh_stimers_run(struct hvh *h);

/* synic.c */
extern const struct hvh_delivery hvh_synic_delivery;
int	hvh_synic_init(struct hvh *h);
void	hvh_synic_reset(struct hvh *h);
void	hvh_synic_fini(struct hvh *h);
int	hvh_synic_read(struct hvh *h, struct hvh_vp *vp, uint32_t msr,
	    uint64_t *val);
int	hvh_synic_write(struct hvh *h, struct hvh_vp *vp, uint32_t msr,
	    uint64_t val);
/* vp_mtx held: into an empty slot right now, or false. */
bool	hvh_synic_place(struct hvh_vp *vp, unsigned sint, uint32_t type,
	    uint64_t sender, const void *payload, size_t len, bool more,
	    struct hvh_irqs *irqs);
void	hvh_irqs_add(struct hvh_irqs *irqs, uint8_t vector, bool autoeoi);
void	hvh_irqs_fire(struct hvh *h, struct hvh_vp *vp,
	    const struct hvh_irqs *irqs);

/* What hypercalls and the pump ask of vmbus/bus.c. */
int	hvh_bus_create(struct hvh *h);
void	hvh_bus_destroy(struct hvh *h);
void	hvh_bus_reset(struct hvh *h);
/* Any thread; a hypercall status. */
uint16_t hvh_bus_post(struct hvh *h, uint32_t vp, uint32_t connection,
	    uint32_t type, const void *payload, uint32_t len);
uint16_t hvh_bus_signal(struct hvh *h, uint32_t connection, uint16_t flag);
/* Pump context; true: there is more to do at once. */
bool	hvh_bus_pump(struct hvh *h);

/* vmbus/fault.c */
int	hvh_faults_create(struct hvh *h);
void	hvh_faults_destroy(struct hvh *h);

#endif	/* !HVH_PARTITION_H */
