/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine's life: guest memory, partition and devices are made once; the
 * KVM side is made anew at each start, which is the surest reset there is.
 */

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/machine.h"

#define	MSI_BASE	0xFEE00000u
#define	LARGE_PAGE	(2ul << 20)

/* Lines on stderr that a guest can cause: at once, and per second. */
#define	SAY_BURST	400
#define	SAY_RATE	2

/* The main thread has signals to look for, too. */
#define	PAUSE_SECONDS	5

/* Bounds what looking for more requests costs a guest that has no more. */
#define	LINGER_NS	1200000

void *
vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len)
{

	if (gpa < m->m_low)
		return (len <= m->m_low - gpa ? m->m_mem + gpa : NULL);
	if (gpa < VMM_HIGH_BASE || gpa - VMM_HIGH_BASE >= m->m_high ||
	    len > m->m_high - (gpa - VMM_HIGH_BASE))
		return (NULL);
	return (m->m_mem + m->m_low + (gpa - VMM_HIGH_BASE));
}

uint64_t
vmm_low_mem(const struct vmm *m)
{

	return (m->m_low);
}

uint64_t
vmm_high_mem(const struct vmm *m)
{

	return (m->m_high);
}

unsigned
vmm_cpus(const struct vmm *m)
{

	return (m->m_cf.cpus);
}

struct hvh *
vmm_hvh(struct vmm *m)
{

	return (m->m_h);
}

uint64_t
vmm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

void
vmm_say(const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "hvhost: ");
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			*p = '.';
	}
	strcat(text, "\n");
	/* One write a line: threads do not mix theirs. */
	(void)!write(STDERR_FILENO, text, strlen(text));
}

void
vmm_irq(struct vmm *m, unsigned gsi, bool level)
{
	struct kvm_irq_level il = { .irq = gsi, .level = level };

	(void)ioctl(m->m_vm, KVM_IRQ_LINE, &il);
}

void
vmm_end(struct vmm *m, enum vmm_end why)
{
	const uint64_t one = 1;
	int was = VMM_RUNS;

	/* A guest that is about to start over does not outrun a signal. */
	while (!atomic_compare_exchange_strong(&m->m_end, &was, (int)why)) {
		if (why != VMM_STOP || was != VMM_RESET)
			return;
	}
	(void)!write(m->m_end_fd, &one, sizeof(one));
}

int
vmm_pio_add(struct vmm *m, const struct vmm_pio *pio)
{

	return (pio_map_add(&m->m_pio, pio));
}

uint32_t
vmm_pio_read(struct vmm *m, uint16_t port, unsigned size)
{

	return (pio_map_read(&m->m_pio, port, size));
}

void
vmm_pio_write(struct vmm *m, uint16_t port, unsigned size, uint32_t val)
{

	pio_map_write(&m->m_pio, port, size, val);
}

void
vmm_pio_exit(struct vmm *m, uint16_t port, unsigned size, bool out,
    void *data, uint32_t count)
{

	pio_map_exit(&m->m_pio, port, size, out, data, count);
}

/* --- The partition's wishes: struct hvh_ops. --- */

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{
	struct vmm *m = arg;
	struct kvm_msi msi = { .address_lo = MSI_BASE | vp << 12,
	    .data = vector };

	/* AutoEOI is KVM's part: it knows the SINTs. */
	(void)ioctl(m->m_vm, KVM_SIGNAL_MSI, &msi);
}

static uint64_t
op_now(void *arg)
{

	return (vmm_now());
}

/* A guest has caused a line: is it to be said?  Somebody's disk holds them. */
static bool
may_say(struct vmm *m)
{
	uint64_t now = vmm_now(), lines;
	unsigned lost = 0;
	bool may;

	pthread_mutex_lock(&m->m_say_mtx);
	lines = (now - m->m_say_time) / (1000000000 / SAY_RATE);
	if (lines > 0) {
		m->m_say_time = now;
		m->m_say_left = lines < SAY_BURST - m->m_say_left ?
		    m->m_say_left + (unsigned)lines : SAY_BURST;
	}
	may = m->m_say_left > 0;
	if (may) {
		m->m_say_left--;
		lost = m->m_say_lost;
		m->m_say_lost = 0;
	} else {
		m->m_say_lost++;
	}
	pthread_mutex_unlock(&m->m_say_mtx);
	if (lost > 0)
		vmm_say("%u lines about the guest are left out", lost);
	return (may);
}

static void
op_log(void *arg, enum hvh_log_level level, const char *text)
{
	struct vmm *m = arg;

	if ((level <= HVH_LOG_WARN ||
	    (level == HVH_LOG_INFO && !m->m_cf.quiet)) && may_say(m))
		vmm_say("%s", text);
}

static void
op_attend(void *arg, uint32_t vp)
{
	struct vmm *m = arg;

	vmm_vcpu_request(&m->m_cpu[vp], VCPU_ATTEND);
}

/* What a guest says stays on lines of its own and is printable. */
static void
say_crash(struct vmm *m, const uint64_t params[5], const char *text)
{
	const char *p, *end;

	if (!may_say(m))
		return;
	vmm_say("guest crash: %#jx %#jx %#jx %#jx %#jx",
	    (uintmax_t)params[0], (uintmax_t)params[1],
	    (uintmax_t)params[2], (uintmax_t)params[3],
	    (uintmax_t)params[4]);
	for (p = text; *p != '\0'; p = *end == '\n' ? end + 1 : end) {
		end = p + strcspn(p, "\n");
		if (end > p && may_say(m))
			vmm_say("guest: %.*s", (int)(end - p), p);
	}
}

static void
op_event(void *arg, enum hvh_event event, const uint64_t params[5],
    const char *text)
{
	struct vmm *m = arg;

	if (event == HVH_EVENT_RESET)
		vmm_end(m, VMM_RESET);
	else
		say_crash(m, params, text != NULL ? text : "");
}

static void
op_trace(void *arg, const struct hvh_trace_event *ev)
{
	struct vmm *m = arg;

	tracer_event(m->m_cf.tracer, ev);
}

/*
 * KVM gives the guest its reference time: counter and TSC page are its own
 * clock.
 */
static uint64_t
op_reftime(void *arg)
{
	struct vmm *m = arg;
	struct kvm_clock_data kc;

	if (ioctl(m->m_vm, KVM_GET_CLOCK, &kc) != 0)
		return (0);
	return (kc.clock / 100);
}

static const struct hvh_ops partition_ops = {
	.interrupt = op_interrupt,
	.kick = vmm_loop_kick,
	.now = op_now,
	.event = op_event,
	.log = op_log,
	.attend = op_attend,
	.listen = vmm_loop_listen,
	.reftime = op_reftime,
};

/* --- Creation --- */

/*
 * KVM maps a large page of guest memory as one only where it is aligned on
 * both sides; mmap alone would not see to that.
 */
static void *
map_aligned(uint64_t size)
{
	char *p, *from;

	p = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return (MAP_FAILED);
	from = p + (-(uintptr_t)p & (LARGE_PAGE - 1));
	if (from != p)
		(void)munmap(p, (size_t)(from - p));
	(void)munmap(from + size, LARGE_PAGE - (size_t)(from - p));
	return (from);
}

static int
create_memory(struct vmm *m, char *err, size_t errlen)
{
	uint64_t size = m->m_cf.memory;
	int error;

	m->m_low = size < VMM_LOW_TOP ? size : VMM_LOW_TOP;
	m->m_high = size - m->m_low;
	m->m_mem = map_aligned(size);
	if (m->m_mem == MAP_FAILED) {
		error = errno;
		m->m_mem = NULL;
		snprintf(err, errlen, "no %ju MiB of memory for the guest: %s",
		    (uintmax_t)(size >> 20), strerror(error));
		return (error);
	}
	/* Fewer page faults; what it costs is seen in no place. */
	(void)madvise(m->m_mem, size, MADV_HUGEPAGE);
	(void)madvise(m->m_mem, size, MADV_DONTDUMP);
	return (0);
}

static int
create_partition(struct vmm *m, char *err, size_t errlen)
{
	struct hvh_config hc = {
		.vps = m->m_cf.cpus,
		.mem[0] = { .gpa = 0, .size = m->m_low, .host = m->m_mem },
		.nmem = 1,
		.max_version = m->m_cf.max_version,
		.no_autoeoi = m->m_cf.no_autoeoi,
		.monitor_pages = m->m_cf.monitor_pages,
		.linger_ns = LINGER_NS,
		.shown = m->m_cf.shown,
	};
	struct hvh_ops ops = partition_ops;
	int error;

	/* KVM does them; what it does not is not done here either. */
	hc.shown.hidden |= HVH_FEAT_BIT(HVH_FEAT_TLBFLUSH) |
	    HVH_FEAT_BIT(HVH_FEAT_IPI);
	if (m->m_cf.tracer != NULL)
		ops.trace = op_trace;
	if (m->m_high > 0)
		hc.mem[hc.nmem++] = (struct hvh_mem_region){
			.gpa = VMM_HIGH_BASE, .size = m->m_high,
			.host = m->m_mem + m->m_low,
		};
	error = hvh_create(&hc, &ops, m, &m->m_h);
	if (error != 0)
		snprintf(err, errlen, "the partition: %s", strerror(error));
	return (error);
}

static int
create_devices(struct vmm *m, char *err, size_t errlen)
{
	int error;

	error = vmm_uart_create(m, m->m_cf.console_put, m->m_cf.console_arg,
	    &m->m_uart);
	if (error == 0)
		error = vmm_rtc_create(m, &m->m_rtc);
	if (error == 0)
		error = vmm_pm_create(m, &m->m_pm);
	if (error == 0 && m->m_cf.pci) {
		error = vmm_pci_create(m, &m->m_pci);
		if (error == 0)
			error = vmm_ide_create(m, m->m_pci, &m->m_ide);
	}
	if (error != 0)
		snprintf(err, errlen, "the machine's devices: %s",
		    strerror(error));
	return (error);
}

int
vmm_create(const struct vmm_config *cf, struct vmm **mp, char *err,
    size_t errlen)
{
	struct vmm *m;
	int error;

	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		snprintf(err, errlen, "no memory");
		return (ENOMEM);
	}
	m->m_cf = *cf;
	m->m_kvm = m->m_vm = m->m_end_fd = -1;
	m->m_loop.l_ep = m->m_loop.l_kick = -1;
	m->m_say_left = SAY_BURST;
	m->m_say_time = vmm_now();
	pthread_mutex_init(&m->m_say_mtx, NULL);
	pthread_mutex_init(&m->m_mtx, NULL);
	pthread_cond_init(&m->m_cond, NULL);
	for (unsigned i = 0; i < VMM_CPUS_MAX; i++) {
		m->m_cpu[i].c_m = m;
		m->m_cpu[i].c_id = i;
	}
	vmm_vcpu_init();
	m->m_end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = m->m_end_fd < 0 ? errno : vmm_loop_init(m);
	if (error != 0) {
		snprintf(err, errlen, "eventfd or epoll: %s", strerror(error));
		goto fail;
	}
	error = create_memory(m, err, errlen);
	if (error == 0)
		error = create_partition(m, err, errlen);
	if (error == 0)
		error = create_devices(m, err, errlen);
	if (error == 0) {
		error = vmm_loop_start(m);
		if (error != 0)
			snprintf(err, errlen, "the I/O thread: %s",
			    strerror(error));
	}
	if (error != 0)
		goto fail;
	*mp = m;
	return (0);
fail:
	vmm_destroy(m);
	return (error);
}

/* Takes a machine in any state of completion. */
void
vmm_destroy(struct vmm *m)
{

	if (m->m_running)
		vmm_power_off(m);
	if (m->m_ide != NULL)
		vmm_ide_destroy(m->m_ide);
	vmm_loop_stop(m);
	if (m->m_h != NULL)
		hvh_destroy(m->m_h);
	vmm_loop_fini(m);
	if (m->m_boot != NULL)
		vmm_boot_free(m->m_boot);
	if (m->m_pci != NULL)
		vmm_pci_destroy(m->m_pci);
	if (m->m_pm != NULL)
		vmm_pm_destroy(m->m_pm);
	if (m->m_rtc != NULL)
		vmm_rtc_destroy(m->m_rtc);
	if (m->m_uart != NULL)
		vmm_uart_destroy(m->m_uart);
	if (m->m_mem != NULL)
		munmap(m->m_mem, m->m_low + m->m_high);
	if (m->m_end_fd >= 0)
		close(m->m_end_fd);
	if (m->m_kvm >= 0)
		close(m->m_kvm);
	pthread_cond_destroy(&m->m_cond);
	pthread_mutex_destroy(&m->m_mtx);
	pthread_mutex_destroy(&m->m_say_mtx);
	free(m);
}

/* --- Power --- */

int
vmm_attach_kvm(struct vmm *m, char *err, size_t errlen)
{

	return (vmm_kvm_open(&m->m_kvm, &m->m_runsize, err, errlen));
}

static int
start_kvm(struct vmm *m, const struct vmm_boot_regs *regs, char *err,
    size_t errlen)
{
	int error;

	error = vmm_kvm_create(m, err, errlen);
	for (unsigned i = 0; error == 0 && i < m->m_cf.cpus; i++)
		error = vmm_kvm_vcpu(m, i, err, errlen);
	if (error != 0)
		return (error);
	error = vmm_vcpu_boot_state(&m->m_cpu[0], regs);
	if (error != 0)
		snprintf(err, errlen, "the first vCPU's state: %s",
		    strerror(error));
	return (error);
}

int
vmm_start(struct vmm *m, char *err, size_t errlen)
{
	struct vmm_boot_regs regs;
	int error;

	error = vmm_acpi_install(m, m->m_cf.pci);
	if (error == 0)
		error = vmm_boot_start(m->m_boot, &regs);
	if (error != 0) {
		snprintf(err, errlen, "laying out the guest's memory: %s",
		    strerror(error));
		return (error);
	}
	pthread_mutex_lock(&m->m_mtx);
	error = start_kvm(m, &regs, err, errlen);
	if (error != 0) {
		vmm_kvm_destroy(m);
		pthread_mutex_unlock(&m->m_mtx);
		return (error);
	}
	atomic_store(&m->m_end, VMM_RUNS);
	m->m_triple = false;
	m->m_running = true;
	m->m_started = vmm_now();
	pthread_mutex_unlock(&m->m_mtx);
	for (unsigned i = 0; i < m->m_cf.cpus; i++) {
		error = vmm_vcpu_start(&m->m_cpu[i]);
		if (error != 0) {
			snprintf(err, errlen, "vCPU %u's thread: %s", i,
			    strerror(error));
			vmm_power_off(m);
			return (error);
		}
	}
	return (0);
}

void
vmm_stop(struct vmm *m)
{

	for (unsigned i = 0; i < m->m_cf.cpus; i++)
		vmm_vcpu_request(&m->m_cpu[i], VCPU_STOP);
	pthread_mutex_lock(&m->m_mtx);
	pthread_cond_broadcast(&m->m_cond);
	pthread_mutex_unlock(&m->m_mtx);
	for (unsigned i = 0; i < m->m_cf.cpus; i++)
		vmm_vcpu_join(&m->m_cpu[i]);
}

void
vmm_power_off(struct vmm *m)
{

	vmm_stop(m);
	/* I/O ends before the memory is somebody else's. */
	if (m->m_ide != NULL)
		vmm_ide_reset(m->m_ide);
	hvh_reset(m->m_h);
	if (m->m_pci != NULL)
		vmm_pci_reset(m->m_pci);
	vmm_uart_reset(m->m_uart);
	vmm_rtc_reset(m->m_rtc);
	vmm_pm_reset(m->m_pm);
	pthread_mutex_lock(&m->m_mtx);
	vmm_kvm_destroy(m);
	m->m_running = false;
	m->m_paused = false;
	pthread_mutex_unlock(&m->m_mtx);
	/* Private and anonymous: what comes back is zero. */
	(void)madvise(m->m_mem, m->m_low + m->m_high, MADV_DONTNEED);
}

int
vmm_pause(struct vmm *m)
{
	struct timespec ts;
	int error = 0;

	pthread_mutex_lock(&m->m_mtx);
	if (!m->m_running || m->m_paused) {
		pthread_mutex_unlock(&m->m_mtx);
		return (0);
	}
	m->m_paused = true;
	pthread_mutex_unlock(&m->m_mtx);
	for (unsigned i = 0; i < m->m_cf.cpus; i++)
		vmm_vcpu_request(&m->m_cpu[i], VCPU_PAUSE);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += PAUSE_SECONDS;
	pthread_mutex_lock(&m->m_mtx);
	pthread_cond_broadcast(&m->m_cond);
	while (m->m_waiting < m->m_cf.cpus && error == 0)
		error = pthread_cond_clockwait(&m->m_cond, &m->m_mtx,
		    CLOCK_MONOTONIC, &ts);
	pthread_mutex_unlock(&m->m_mtx);
	if (error != 0)
		vmm_resume(m);
	return (error);
}

void
vmm_resume(struct vmm *m)
{

	pthread_mutex_lock(&m->m_mtx);
	m->m_paused = false;
	pthread_cond_broadcast(&m->m_cond);
	/* The next pause must not count who is still on the way out. */
	while (m->m_waiting > 0)
		pthread_cond_wait(&m->m_cond, &m->m_mtx);
	pthread_mutex_unlock(&m->m_mtx);
}
