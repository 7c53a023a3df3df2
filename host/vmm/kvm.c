/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * KVM as this machine needs it: what it must be able to do, the VM with its
 * memory, interrupt controllers and timer, vCPUs, and its counters.
 *
 * The SynIC's registers are ours and KVM's (protocol: hypervisor, 7.1, route
 * A, with the mixture it allows): an MSR filter brings them to user space,
 * where libhvhost keeps message slots, flags and queues, and vcpu.c passes
 * them on to KVM, which does AutoEOI and the synthetic timers by them.  Set-up
 * and EOM pay an exit each; signals, timers and EOIs pay none for it.  The
 * guest's OS id comes the same way, for who looks from outside; reset and crash
 * report are libhvhost's alone.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/machine.h"

/* Intel's KVM wants four pages of guest addresses for itself. */
#define	KVM_TSS			0xFFFBD000u
#define	KVM_IDENTITY_MAP	0xFFFBC000ull

/* MSRs that come to user space. */
#define	SYNIC_FIRST		0x40000080u
#define	SYNIC_COUNT		32u
#define	CRASH_FIRST		0x40000100u
#define	CRASH_COUNT		6u
#define	RESET_FIRST		0x40000003u
#define	OS_ID_FIRST		0x40000000u

#define	MSR_MTRR_DEFAULT	0x2FFu
#define	MTRR_ENABLED_WB		0x806u

#define	PROBE_SECONDS		5

static const struct {
	int		 cap;
	const char	*what;
} needs[] = {
	{ KVM_CAP_IRQCHIP, "interrupt controllers in the kernel" },
	{ KVM_CAP_PIT2, "a timer in the kernel" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI" },
	{ KVM_CAP_HYPERV, "Hyper-V support (KVM_CAP_HYPERV)" },
	{ KVM_CAP_HYPERV_SYNIC2, "Hyper-V's SynIC (KVM_CAP_HYPERV_SYNIC2)" },
	{ KVM_CAP_HYPERV_EVENTFD, "KVM_CAP_HYPERV_EVENTFD" },
	{ KVM_CAP_HYPERV_CPUID, "KVM_CAP_HYPERV_CPUID" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR" },
	{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER" },
};

int
vmm_kvm_open(int *kvm, size_t *runsize, char *err, size_t errlen)
{
	int error, fd, size;

	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		snprintf(err, errlen, "/dev/kvm: %s%s", strerror(error),
		    error == ENOENT || error == ENXIO || error == ENODEV ?
		    ": this machine has no KVM (is kvm-intel or kvm-amd "
		    "loaded, and virtualization enabled?)" :
		    error == EACCES ? ": may your user open it (group kvm)?" :
		    "");
		return (error);
	}
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		snprintf(err, errlen, "/dev/kvm: not the KVM interface this "
		    "program was built for");
		close(fd);
		return (ENOTSUP);
	}
	for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needs[i].cap) > 0)
			continue;
		snprintf(err, errlen, "this machine's KVM lacks %s; Linux "
		    "5.10 or newer on a real processor has it, and so has "
		    "Linux within QEMU (-cpu max,+svm)", needs[i].what);
		close(fd);
		return (ENOTSUP);
	}
	size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		error = size < 0 ? errno : ENOTSUP;
		snprintf(err, errlen, "/dev/kvm: %s", strerror(error));
		close(fd);
		return (error);
	}
	*kvm = fd;
	*runsize = (size_t)size;
	return (0);
}

/* --- The VM --- */

static int
add_memory(struct vmm *m, unsigned slot, uint64_t gpa, uint64_t size,
    uint8_t *host)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return (size == 0 ? 0 :
	    ioctl(m->m_vm, KVM_SET_USER_MEMORY_REGION, &r));
}

/*
 * As a PC's wires go: PIC and IOAPIC, the timer's interrupt on pin 2 of the
 * latter.
 */
static int
set_routes(struct vmm *m)
{
	struct {
		struct kvm_irq_routing	 head;
		struct kvm_irq_routing_entry entry[16 + 24];
	} t = { .head.nr = 0 };
	struct kvm_irq_routing_entry *e;

	for (unsigned gsi = 0; gsi < 24; gsi++) {
		if (gsi < 16) {
			e = &t.entry[t.head.nr++];
			e->gsi = gsi;
			e->type = KVM_IRQ_ROUTING_IRQCHIP;
			e->u.irqchip.irqchip = gsi < 8 ?
			    KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
			e->u.irqchip.pin = gsi % 8;
		}
		if (gsi == 2)
			continue;
		e = &t.entry[t.head.nr++];
		e->gsi = gsi;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e->u.irqchip.pin = gsi == 0 ? 2 : gsi;
	}
	return (ioctl(m->m_vm, KVM_SET_GSI_ROUTING, &t));
}

static int
set_msr_filter(struct vmm *m)
{
	/* No bit: denied.  KVM reads whole words, however few the MSRs. */
	static uint64_t none[1];
	uint8_t *all = (uint8_t *)none;
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = KVM_MSR_EXIT_REASON_FILTER,
	};
	struct kvm_msr_filter f = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = {
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			    SYNIC_COUNT, SYNIC_FIRST, all },
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			    CRASH_COUNT, CRASH_FIRST, all },
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			    1, RESET_FIRST, all },
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			    1, OS_ID_FIRST, all },
		},
	};

	if (ioctl(m->m_vm, KVM_ENABLE_CAP, &cap) != 0)
		return (-1);
	return (ioctl(m->m_vm, KVM_X86_SET_MSR_FILTER, &f));
}

int
vmm_kvm_create(struct vmm *m, char *err, size_t errlen)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = KVM_IDENTITY_MAP;
	const char *what;
	int error;

	for (unsigned i = 0; i < m->m_cf.cpus; i++)
		m->m_cpu[i].c_fd = m->m_cpu[i].c_stats = -1;
	what = "a virtual machine";
	m->m_vm = ioctl(m->m_kvm, KVM_CREATE_VM, 0);
	if (m->m_vm < 0)
		goto fail;
	what = "interrupt controllers and a timer";
	if (ioctl(m->m_vm, KVM_SET_TSS_ADDR, KVM_TSS) != 0 ||
	    ioctl(m->m_vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0 ||
	    ioctl(m->m_vm, KVM_CREATE_IRQCHIP, 0) != 0 ||
	    ioctl(m->m_vm, KVM_CREATE_PIT2, &pit) != 0 || set_routes(m) != 0)
		goto fail;
	what = "the guest's memory";
	if (add_memory(m, 0, 0, m->m_low, m->m_mem) != 0 ||
	    add_memory(m, 1, VMM_HIGH_BASE, m->m_high,
	    m->m_mem + m->m_low) != 0)
		goto fail;
	what = "Hyper-V's registers";
	if (set_msr_filter(m) != 0)
		goto fail;
	return (0);
fail:
	error = errno;
	snprintf(err, errlen, "KVM cannot make %s: %s", what,
	    strerror(error));
	vmm_kvm_destroy(m);
	return (error);
}

/* The local APIC as firmware leaves it: LINT0 takes the PIC, LINT1 NMIs. */
static int
set_lapic(int fd)
{
	struct kvm_lapic_state st;
	uint32_t lvt0 = 0x700, lvt1 = 0x400;

	if (ioctl(fd, KVM_GET_LAPIC, &st) != 0)
		return (-1);
	memcpy(&st.regs[0x350], &lvt0, sizeof(lvt0));
	memcpy(&st.regs[0x360], &lvt1, sizeof(lvt1));
	return (ioctl(fd, KVM_SET_LAPIC, &st));
}

static int
set_mtrr(int fd)
{
	struct {
		struct kvm_msrs	 head;
		struct kvm_msr_entry entry[1];
	} t = { .head.nmsrs = 1 };

	t.entry[0].index = MSR_MTRR_DEFAULT;
	t.entry[0].data = MTRR_ENABLED_WB;
	return (ioctl(fd, KVM_SET_MSRS, &t) == 1 ? 0 : -1);
}

int
vmm_kvm_vcpu(struct vmm *m, unsigned id, char *err, size_t errlen)
{
	struct vmm_vcpu *c = &m->m_cpu[id];
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	int error;

	atomic_store(&c->c_req, 0);
	c->c_fd = ioctl(m->m_vm, KVM_CREATE_VCPU, (unsigned long)id);
	if (c->c_fd < 0)
		goto fail;
	c->c_run = mmap(NULL, m->m_runsize, PROT_READ | PROT_WRITE, MAP_SHARED,
	    c->c_fd, 0);
	if (c->c_run == MAP_FAILED) {
		c->c_run = NULL;
		goto fail;
	}
	if (ioctl(c->c_fd, KVM_ENABLE_CAP, &cap) != 0 ||
	    vmm_cpuid_set(c) != 0 || set_lapic(c->c_fd) != 0 ||
	    set_mtrr(c->c_fd) != 0)
		goto fail;
	/* Where it can: no MSR or hypercall that CPUID does not promise. */
	cap = (struct kvm_enable_cap){ .cap = KVM_CAP_HYPERV_ENFORCE_CPUID,
	    .args[0] = 1 };
	(void)ioctl(c->c_fd, KVM_ENABLE_CAP, &cap);
	c->c_stats = ioctl(c->c_fd, KVM_GET_STATS_FD, NULL);
	return (0);
fail:
	error = errno;
	snprintf(err, errlen, "KVM cannot make vCPU %u: %s", id,
	    strerror(error));
	return (error);
}

void
vmm_kvm_destroy(struct vmm *m)
{

	for (unsigned i = 0; i < m->m_cf.cpus; i++) {
		struct vmm_vcpu *c = &m->m_cpu[i];

		if (c->c_run != NULL)
			munmap(c->c_run, m->m_runsize);
		c->c_run = NULL;
		if (c->c_stats >= 0)
			close(c->c_stats);
		if (c->c_fd >= 0)
			close(c->c_fd);
		c->c_fd = c->c_stats = -1;
	}
	if (m->m_vm >= 0)
		close(m->m_vm);
	m->m_vm = -1;
}

/* --- Counters --- */

#define	STATS_MAX	256
#define	STATS_WORDS	4096u		/* of a vCPU, histograms too */

/* The descriptions are the same for all vCPUs. */
struct stats {
	struct kvm_stats_header head;
	size_t		 stride;
	uint8_t		*desc;
	uint64_t	 sum[STATS_WORDS];
};

static struct kvm_stats_desc *
stats_desc(const struct stats *s, unsigned i)
{

	return ((struct kvm_stats_desc *)(void *)(s->desc + i * s->stride));
}

/* A single counter's word; histograms and what does not fit: false. */
static bool
stats_word(const struct stats *s, unsigned i, size_t *word)
{
	const struct kvm_stats_desc *d = stats_desc(s, i);

	*word = d->offset / sizeof(uint64_t);
	return (d->size == 1 && *word < STATS_WORDS);
}

/* Adds a vCPU's counters, all in one piece. */
static void
stats_add(struct stats *s, int fd)
{
	uint64_t v[STATS_WORDS];
	ssize_t len;

	len = pread(fd, v, sizeof(v), s->head.data_offset);
	for (ssize_t i = 0; i < len / (ssize_t)sizeof(v[0]); i++)
		s->sum[i] += v[i];
}

static int
stats_describe(int fd, struct stats *s)
{
	size_t len;

	if (pread(fd, &s->head, sizeof(s->head), 0) !=
	    (ssize_t)sizeof(s->head) || s->head.num_desc > STATS_MAX ||
	    s->head.name_size > 256)
		return (-1);
	s->stride = sizeof(struct kvm_stats_desc) + s->head.name_size;
	len = s->head.num_desc * s->stride;
	s->desc = malloc(len);
	if (s->desc == NULL ||
	    pread(fd, s->desc, len, s->head.desc_offset) != (ssize_t)len) {
		free(s->desc);
		return (-1);
	}
	return (0);
}

void
vmm_kvm_counters(struct vmm *m, unsigned first, unsigned count,
    void (*fn)(void *arg, const char *name, uint64_t value), void *arg)
{
	struct kvm_stats_desc *d;
	struct stats *s;
	size_t word;

	s = calloc(1, sizeof(*s));
	if (s == NULL || m->m_vm < 0 || m->m_cpu[0].c_stats < 0 ||
	    stats_describe(m->m_cpu[0].c_stats, s) != 0) {
		free(s);
		return;
	}
	for (unsigned n = first; n < first + count; n++)
		stats_add(s, m->m_cpu[n].c_stats);
	for (unsigned i = 0; i < s->head.num_desc; i++) {
		if (!stats_word(s, i, &word))
			continue;
		d = stats_desc(s, i);
		d->name[s->head.name_size - 1] = '\0';
		fn(arg, d->name, s->sum[word]);
	}
	free(s->desc);
	free(s);
}

/* --- Does it run guests? --- */

/* mov al, 42h; out 80h, al; hlt; in real mode. */
static const uint8_t probe_code[] = { 0xB0, 0x42, 0xE6, 0x80, 0xF4 };

static int
probe_guest(int kvm, size_t runsize)
{
	struct kvm_regs regs = { .rip = VMM_PAGE, .rflags = 2 };
	struct kvm_userspace_memory_region r = {
		.memory_size = 2 * VMM_PAGE,
	};
	struct kvm_sregs sregs;
	struct kvm_run *run;
	uint8_t *mem;
	int cpu, vm;

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	mem = mmap(NULL, r.memory_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm < 0 || mem == MAP_FAILED ||
	    ioctl(vm, KVM_SET_TSS_ADDR, KVM_TSS) != 0)
		return (1);
	memcpy(mem + VMM_PAGE, probe_code, sizeof(probe_code));
	r.userspace_addr = (uintptr_t)mem;
	cpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r) != 0 ? -1 :
	    ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return (1);
	run = mmap(NULL, runsize, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &sregs) != 0)
		return (1);
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) != 0 ||
	    ioctl(cpu, KVM_SET_REGS, &regs) != 0 ||
	    ioctl(cpu, KVM_RUN, 0) != 0)
		return (1);
	return (run->exit_reason == KVM_EXIT_IO && run->io.port == 0x80 &&
	    *((uint8_t *)run + run->io.data_offset) == 0x42 ? 0 : 1);
}

int
vmm_kvm_probe(char *err, size_t errlen)
{
	size_t runsize = 0;
	int error, kvm = -1, status;
	pid_t pid;

	error = vmm_kvm_open(&kvm, &runsize, err, errlen);
	if (error != 0)
		return (error);
	/* A KVM that hangs its guest hangs a process, which can be killed. */
	pid = fork();
	if (pid == 0) {
		alarm(PROBE_SECONDS);
		_exit(probe_guest(kvm, runsize));
	}
	close(kvm);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		error = errno;
		snprintf(err, errlen, "probing KVM: %s", strerror(error));
		return (error);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return (0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
		snprintf(err, errlen, "this machine's KVM hangs even a guest "
		    "of three instructions");
		return (ETIMEDOUT);
	}
	snprintf(err, errlen, "this machine's KVM does not run a guest of "
	    "three instructions");
	return (EIO);
}
