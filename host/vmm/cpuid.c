/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a vCPU says of itself: the processor as KVM can show it, in one package
 * with a core a vCPU, and Hyper-V's leaves as far as KVM serves them
 * (protocol: hypervisor, 1).  KVM's own leaves are not shown: guests prefer
 * other hypervisors' interfaces over Hyper-V's where they find several.
 */

#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/hv_reg.h"
#include "vmm/machine.h"

#define	LEAVES_MAX	256

#define	ECX1_X2APIC	(1u << 21)
#define	ECX1_DEADLINE	(1u << 24)
/* XSAVE, OSXSAVE, and what lives in its area: AVX, F16C, FMA. */
#define	ECX1_XSAVE	(1u << 26 | 1u << 27 | 1u << 28 | 1u << 29 | 1u << 12)
#define	ECX1_HYPERVISOR	(1u << 31)
#define	EDX1_HTT	(1u << 28)
/* AVX2 and all of AVX-512 in EBX; VAES and its like in ECX. */
#define	EBX7_AVX	(1u << 5 | 0xD0230000u)
#define	ECX7_AVX	(0x5F42u | 1u << 3)
/* XOP, FMA4. */
#define	ECX8_AVX	(1u << 11 | 1u << 16)

/* Leaf 3: privileges and features that KVM serves and guests use. */
#define	FEAT_EAX	(HV_FEAT_EAX_RUNTIME | HV_FEAT_EAX_REFCOUNT | \
	HV_FEAT_EAX_SYNIC | HV_FEAT_EAX_STIMER | HV_FEAT_EAX_APIC | \
	HV_FEAT_EAX_HYPERCALL | HV_FEAT_EAX_VPINDEX | HV_FEAT_EAX_RESET | \
	HV_FEAT_EAX_REFTSC | HV_FEAT_EAX_FREQUENCY | HV_FEAT_EAX_INVARIANT)
#define	FEAT_EDX	(HV_FEAT_EDX_XMM_INPUT | HV_FEAT_EDX_FREQUENCY | \
	HV_FEAT_EDX_STIMER_DIRECT)
#define	RECOMMEND	(HV_REC_REMOTE_FLUSH | HV_REC_APIC_MSRS | \
	HV_REC_RELAXED_TIMING | HV_REC_CLUSTER_IPI | HV_REC_EX_MASKS)

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[LEAVES_MAX];
};

static void
hide(struct kvm_cpuid_entry2 *e, const struct vmm_config *cf)
{

	if (cf->hide_xsave) {
		switch (e->function) {
		case 1:
			e->ecx &= ~ECX1_XSAVE;
			break;
		case 7:
			if (e->index == 0) {
				e->ebx &= ~EBX7_AVX;
				e->ecx &= ~ECX7_AVX;
				e->edx = 0;
			} else {
				e->eax = 0;
			}
			break;
		case 0xD:
			e->eax = e->ebx = e->ecx = e->edx = 0;
			break;
		case 0x80000001:
			e->ecx &= ~ECX8_AVX;
			break;
		}
	}
	if (cf->hide_x2apic && e->function == 1)
		e->ecx &= ~ECX1_X2APIC;
}

/* Bits that number the cores. */
static unsigned
core_bits(unsigned cpus)
{
	unsigned bits = 0;

	while (1u << bits < cpus)
		bits++;
	return (bits);
}

static void
topology(struct kvm_cpuid_entry2 *e, unsigned id, unsigned cpus)
{
	unsigned bits = core_bits(cpus);

	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0xFFFF) | cpus << 16 | id << 24;
		e->ecx |= ECX1_HYPERVISOR | ECX1_DEADLINE;
		e->edx = (e->edx & ~EDX1_HTT) | (cpus > 1 ? EDX1_HTT : 0);
		break;
	case 4:
		/* Intel: cores in the package; each has its own caches. */
		e->eax &= 0x3FFF;
		if ((e->eax & 0x1F) != 0)
			e->eax |= ((1u << bits) - 1) << 26;
		break;
	case 0xB:
	case 0x1F:
		e->edx = id;
		e->ecx = e->index;
		e->eax = e->ebx = 0;
		if (e->index == 0) {	/* a thread a core */
			e->ebx = 1;
			e->ecx |= 1u << 8;
		} else if (e->index == 1) {
			e->eax = bits;
			e->ebx = cpus;
			e->ecx |= 2u << 8;
		}
		break;
	case 0x8000001D:
		/* AMD: the same. */
		e->eax &= 0x3FFF;
		break;
	case 0x80000008:
		e->ecx = bits << 12 | (cpus - 1);
		break;
	case 0x8000001E:
		e->eax = id;
		e->ebx = id;
		e->ecx = 0;
		break;
	}
}

/* Leaf 0xB has as many entries as levels, and one that ends them. */
static void
topology_levels(struct table *t, unsigned id, unsigned cpus)
{
	struct kvm_cpuid_entry2 *e;
	unsigned n = 0;
	bool there = false;

	for (unsigned i = 0; i < t->head.nent; i++) {
		if (t->entry[i].function == 0xB ||
		    t->entry[i].function == 0x1F) {
			there = true;
			continue;
		}
		t->entry[n++] = t->entry[i];
	}
	t->head.nent = n;
	if (!there)
		return;
	for (unsigned level = 0; level < 3 && t->head.nent < LEAVES_MAX;
	    level++) {
		e = &t->entry[t->head.nent++];
		*e = (struct kvm_cpuid_entry2){ .function = 0xB,
		    .index = level, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };
		topology(e, id, cpus);
	}
}

static void
hyperv_leaf(struct kvm_cpuid_entry2 *e, const struct vmm_config *cf)
{
	uint32_t regs[4];

	switch (e->function) {
	case HV_CPUID_VENDOR:
		e->ebx = 0x7263694D;		/* "Micr" */
		e->ecx = 0x666F736F;		/* "osof" */
		e->edx = 0x76482074;		/* "t Hv" */
		break;
	case HV_CPUID_FEATURES:
		e->eax &= FEAT_EAX;
		e->ebx = HV_FEAT_EBX_POST | HV_FEAT_EBX_SIGNAL;
		/* The crash registers are libhvhost's, with the message. */
		e->edx = (e->edx & FEAT_EDX) | HV_FEAT_EDX_CRASH;
		e->ecx = 0;
		break;
	case HV_CPUID_RECOMMEND:
		e->eax &= RECOMMEND;
		e->eax |= cf->no_autoeoi ? HV_REC_NO_AUTOEOI : 0;
		break;
	case HV_CPUID_LIMITS:
		e->eax = e->ebx = cf->cpus;
		break;
	case HV_CPUID_INTERFACE:
	case HV_CPUID_VERSION:
		break;
	default:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	}
	regs[0] = e->eax;
	regs[1] = e->ebx;
	regs[2] = e->ecx;
	regs[3] = e->edx;
	hvh_cpuid_show(&cf->shown, e->function, regs);
	e->eax = regs[0];
	e->ebx = regs[1];
	e->ecx = regs[2];
	e->edx = regs[3];
}

/*
 * KVM's list of Hyper-V leaves, of which ours are a part; those between that
 * it does not have are zeros.
 */
static int
add_hyperv(struct vmm_vcpu *c, struct table *t)
{
	const struct vmm_config *cf = &c->c_m->m_cf;
	uint32_t max = hvh_cpuid_max(&cf->shown);
	struct table *hv;

	hv = calloc(1, sizeof(*hv));
	if (hv == NULL)
		return (-1);
	hv->head.nent = LEAVES_MAX;
	if (ioctl(c->c_fd, KVM_GET_SUPPORTED_HV_CPUID, hv) != 0) {
		free(hv);
		return (-1);
	}
	for (uint32_t leaf = HV_CPUID_VENDOR; leaf <= max; leaf++) {
		struct kvm_cpuid_entry2 e = { .function = leaf };

		for (unsigned i = 0; i < hv->head.nent; i++) {
			if (hv->entry[i].function == leaf)
				e = hv->entry[i];
		}
		if (t->head.nent == LEAVES_MAX)
			break;
		hyperv_leaf(&e, cf);
		t->entry[t->head.nent++] = e;
	}
	free(hv);
	return (0);
}

int
vmm_cpuid_set(struct vmm_vcpu *c)
{
	const struct vmm_config *cf = &c->c_m->m_cf;
	struct table *t;
	unsigned n = 0;
	int error = -1;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return (-1);
	t->head.nent = LEAVES_MAX;
	if (ioctl(c->c_m->m_kvm, KVM_GET_SUPPORTED_CPUID, t) != 0)
		goto out;
	for (unsigned i = 0; i < t->head.nent; i++) {
		struct kvm_cpuid_entry2 e = t->entry[i];

		if (e.function >= 0x40000000 && e.function < 0x80000000)
			continue;
		topology(&e, c->c_id, cf->cpus);
		hide(&e, cf);
		t->entry[n++] = e;
	}
	t->head.nent = n;
	topology_levels(t, c->c_id, cf->cpus);
	if (add_hyperv(c, t) == 0)
		error = ioctl(c->c_fd, KVM_SET_CPUID2, t);
out:
	free(t);
	return (error);
}
