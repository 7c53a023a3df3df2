/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Synthetic timer 0 of each processor as the kernel's event timer (protocol:
 * hypervisor, 4).  Where the host can, an expiry is a vector of its own; else
 * it is a message in the slot of SINT 4, on the bus's vector.  The LAPIC's
 * timer stays what the kernel falls back to.
 *
 * The timer's MSRs are written by the processor they belong to only, with
 * interrupts off, which is how the kernel starts and stops it.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/smp.h>
#include <sys/sysctl.h>
#include <sys/timeet.h>

#include <dev/hyperv/vmbus/vmbus_var.h>

/* The LAPIC's has 600. */
#define	VMBUS_ET_QUALITY	1000

/* How often another timer is tried while somebody keeps choosing ours. */
#define	VMBUS_ET_TRIES		10

static int vmbus_et_enable = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, et, CTLFLAG_RDTUN, &vmbus_et_enable, 0,
    "Event timer: 0 none, 1 as the host offers, 2 by messages");

/* Units of 100 ns, never less than asked for: early costs a second event. */
static uint64_t
vmbus_et_count(sbintime_t t)
{

	return ((uint64_t)sbintime_getsec(t) * HYPERV_REFTIME_HZ +
	    (((uint64_t)(uint32_t)t * HYPERV_REFTIME_HZ) >> 32) + 1);
}

/*
 * A timer that runs is stopped before its configuration changes; count 0 alone
 * leaves it enabled on some hosts (4.2).
 */
static void
vmbus_et_configure(struct vmbus_pcpu *pc, uint64_t config)
{

	hyperv_md_wrmsr(HYPERV_MSR_STIMER0_COUNT, 0);
	hyperv_md_wrmsr(HYPERV_MSR_STIMER0_CONFIG, 0);
	if (config != 0)
		hyperv_md_wrmsr(HYPERV_MSR_STIMER0_CONFIG, config);
	pc->pc_et_config = config;
}

/*
 * One shot after another is one write each: the count enables the timer.  A
 * period begins now, whatever the first event was asked for, as the LAPIC's.
 */
static int
vmbus_et_start(struct eventtimer *et, sbintime_t first, sbintime_t period)
{
	struct vmbus_softc *sc = et->et_priv;
	struct vmbus_pcpu *pc = &sc->sc_pcpu[curcpu];
	uint64_t config = sc->sc_et_config;

	if (period != 0)
		config |= HYPERV_STIMER_PERIODIC;
	if (pc->pc_et_config != config)
		vmbus_et_configure(pc, config);
	hyperv_md_wrmsr(HYPERV_MSR_STIMER0_COUNT, period != 0 ?
	    vmbus_et_count(period) : hyperv_reftime() + vmbus_et_count(first));
	return (0);
}

static int
vmbus_et_stop(struct eventtimer *et __unused)
{

	hyperv_md_wrmsr(HYPERV_MSR_STIMER0_COUNT, 0);
	return (0);
}

HYPERV_HOT void
vmbus_et_intr(struct vmbus_softc *sc)
{
	struct eventtimer *et = &sc->sc_et;

	sc->sc_pcpu[curcpu].pc_et_events++;
	if (et->et_active)
		et->et_event_cb(et, et->et_arg);
}

/* A kernel with drivers of its own for Hyper-V has one already. */
static bool
vmbus_et_kernel_has(void)
{
	char name[] = "kern.eventtimer.et.Hyper-V.quality";
	int quality;
	size_t len = sizeof(quality);

	return (kernel_sysctlbyname(curthread, name, &quality, &len, NULL, 0,
	    NULL, 0) == 0);
}

/*
 * Before the SynIC is set up, of which messages need a slot.  Time must be read
 * without fail, but it may cost an exit.
 */
void
vmbus_et_alloc(struct vmbus_softc *sc)
{
	const struct hyperv_info *hi = &sc->sc_info;
	int error;

	sc->sc_et_config = 0;
	sc->sc_et_vector = -1;
	if (vmbus_et_enable == 0 || resource_disabled("hvet", 0) ||
	    (hi->hi_priv & HYPERV_PRIV_STIMER) == 0 ||
	    (hi->hi_priv & HYPERV_PRIV_TIMEREFCNT) == 0 ||
	    vmbus_et_kernel_has())
		return;
	error = ENXIO;
	if ((hi->hi_features & HYPERV_FEATURE_STIMER_DIRECT) != 0 &&
	    vmbus_et_enable != 2)
		error = vmbus_md_et_alloc(&sc->sc_et_vector);
	sc->sc_et_config = HYPERV_STIMER_AUTOENABLE;
	if (error == 0)
		sc->sc_et_config |= HYPERV_STIMER_DIRECT |
		    ((uint64_t)sc->sc_et_vector << HYPERV_STIMER_VECTOR_SHIFT);
	else
		sc->sc_et_config |=
		    (uint64_t)VMBUS_SINT_TIMER << HYPERV_STIMER_SINT_SHIFT;
}

void
vmbus_et_free(struct vmbus_softc *sc)
{

	if (sc->sc_et_vector >= 0)
		vmbus_md_et_free(sc->sc_et_vector);
	sc->sc_et_vector = -1;
	sc->sc_et_config = 0;
}

static void
vmbus_et_reset_cpu(void *arg)
{
	struct vmbus_softc *sc = arg;

	vmbus_et_configure(&sc->sc_pcpu[curcpu], 0);
}

void
vmbus_et_attach(struct vmbus_softc *sc)
{
	struct eventtimer *et = &sc->sc_et;

	if (sc->sc_et_config == 0)
		return;
	smp_rendezvous(NULL, vmbus_et_reset_cpu, NULL, sc);
	memset(et, 0, sizeof(*et));
	et->et_name = "Hyper-V";
	et->et_flags = ET_FLAGS_PERIODIC | ET_FLAGS_ONESHOT | ET_FLAGS_PERCPU;
	et->et_quality = VMBUS_ET_QUALITY;
	et->et_frequency = HYPERV_REFTIME_HZ;
	et->et_min_period = SBT_1S / HYPERV_REFTIME_HZ + 1;
	et->et_max_period = SBT_1M;
	et->et_start = vmbus_et_start;
	et->et_stop = vmbus_et_stop;
	et->et_priv = sc;
	if (et_register(et) == 0)
		sc->sc_et_registered = true;
}

static void
vmbus_et_nothing(struct eventtimer *et __unused, void *arg __unused)
{
}

static int
vmbus_et_choose(const char *timer)
{
	char name[] = "kern.eventtimer.timer";

	return (kernel_sysctlbyname(curthread, name, NULL, NULL,
	    __DECONST(char *, timer), strlen(timer) + 1, NULL, 0));
}

/* Has the kernel use the best of the others.  EBUSY: there is none. */
static int
vmbus_et_yield(void)
{
	struct eventtimer *other;
	char name[32] = "";

	ET_LOCK();
	other = et_find(NULL, ET_FLAGS_ONESHOT, ET_FLAGS_ONESHOT);
	if (other == NULL)
		other = et_find(NULL, ET_FLAGS_PERIODIC, ET_FLAGS_PERIODIC);
	if (other != NULL)
		strlcpy(name, other->et_name, sizeof(name));
	ET_UNLOCK();
	return (name[0] == '\0' || vmbus_et_choose(name) != 0 ? EBUSY : 0);
}

/*
 * Takes the timer from the kernel.  It counts as in use from then on, so that
 * nobody can choose it while it goes.
 */
int
vmbus_et_detach(struct vmbus_softc *sc)
{
	struct eventtimer *et = &sc->sc_et;
	int error, n;

	sc->sc_et_chosen = false;
	if (!sc->sc_et_registered)
		return (0);
	for (n = 0; n < VMBUS_ET_TRIES; n++) {
		ET_LOCK();
		error = et_init(et, vmbus_et_nothing, NULL, NULL);
		ET_UNLOCK();
		if (error == 0)
			break;
		sc->sc_et_chosen = true;
		if (vmbus_et_yield() != 0)
			break;
	}
	if (error != 0)
		return (EBUSY);
	error = et_deregister(et);
	KASSERT(error == 0, ("%s: %d", __func__, error));
	sc->sc_et_registered = false;
	smp_rendezvous(NULL, vmbus_et_reset_cpu, NULL, sc);
	return (0);
}

void
vmbus_et_resume(struct vmbus_softc *sc)
{

	vmbus_et_attach(sc);
	if (sc->sc_et_chosen && sc->sc_et_registered)
		(void)vmbus_et_choose(sc->sc_et.et_name);
}
