/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel's time from the hypervisor: two timecounters, by the reference TSC
 * page and by the counter's MSR; the page for user space, which then reads the
 * clock without a system call; and the TSC's frequency in place of measuring it
 * (protocol: hypervisor, 2.4 to 2.6).
 *
 * A module of its own, hv_time, since the kernel cannot give a timecounter up:
 * once one is registered the module stays, and the page with it.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/conf.h>
#include <sys/fcntl.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/mman.h>
#include <sys/module.h>
#include <sys/proc.h>
#include <sys/sysctl.h>
#include <sys/timetc.h>
#include <sys/vdso.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/clock.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

/* Better than any TSC or ACPI timer; as FreeBSD's own have them. */
#define	HYPERV_TC_QUALITY_MSR	2000
#define	HYPERV_TC_QUALITY_TSC	3000

/* Where libc looks for the page. */
#define	HYPERV_TC_DEVNAME	"hv_tsc"

static d_open_t	hyperv_tc_open;
static d_mmap_t	hyperv_tc_mmap;
static timecounter_get_t hyperv_tc_get_msr, hyperv_tc_get_tsc;
static timecounter_fill_vdso_timehands_t hyperv_tc_vdso;

static struct cdevsw hyperv_tc_cdevsw = {
	.d_version = D_VERSION,
	.d_open = hyperv_tc_open,
	.d_mmap = hyperv_tc_mmap,
	.d_name = HYPERV_TC_DEVNAME,
};

static struct timecounter hyperv_tc_msr = {
	.tc_get_timecount = hyperv_tc_get_msr,
	.tc_counter_mask = ~0u,
	.tc_frequency = HYPERV_REFTIME_HZ,
	.tc_name = "Hyper-V",
	.tc_quality = HYPERV_TC_QUALITY_MSR,
};

static struct timecounter hyperv_tc_tsc = {
	.tc_get_timecount = hyperv_tc_get_tsc,
	.tc_counter_mask = ~0u,
	.tc_frequency = HYPERV_REFTIME_HZ,
	.tc_name = "Hyper-V-TSC",
	.tc_quality = HYPERV_TC_QUALITY_TSC,
	.tc_fill_vdso_timehands = hyperv_tc_vdso,
};

static SYSCTL_NODE(_hw, OID_AUTO, hvtime, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Time from Hyper-V");
static int hyperv_tc_enable = 1;
SYSCTL_INT(_hw_hvtime, OID_AUTO, tc, CTLFLAG_RDTUN, &hyperv_tc_enable, 0,
    "Timecounters: 0 none, 1 reference TSC page, 2 counter MSR alone");
static int hyperv_tc_vdso_enable = 1;
SYSCTL_INT(_hw_hvtime, OID_AUTO, vdso, CTLFLAG_RDTUN, &hyperv_tc_vdso_enable,
    0, "Time for programs without a system call");
static int hyperv_tc_freq_enable = 1;
SYSCTL_INT(_hw_hvtime, OID_AUTO, tsc_freq, CTLFLAG_RDTUN,
    &hyperv_tc_freq_enable, 0, "Frequency of the TSC from the hypervisor");

static struct hyperv_reftsc *hyperv_tc_page;	/* set once */
static struct cdev *hyperv_tc_dev;
static bool hyperv_tc_stays;		/* the kernel has a timecounter */

static u_int
hyperv_tc_get_msr(struct timecounter *tc __unused)
{

	return ((u_int)hyperv_md_rdmsr(HYPERV_MSR_TIME_REF_COUNT));
}

/*
 * Page and counter tell the same time, so that one may follow the other when
 * the host takes the page back for a while, as it does when the machine moves.
 */
static u_int
hyperv_tc_get_tsc(struct timecounter *tc)
{
	uint64_t now;

	if (hyperv_reftsc_read(hyperv_tc_page, &now))
		return ((u_int)now);
	return (hyperv_tc_get_msr(tc));
}

/*
 * For libc, which maps the page by the device's name and reads it as we do.
 * Where the sequence says so it makes the system call.
 */
static uint32_t
hyperv_tc_vdso(struct vdso_timehands *th, struct timecounter *tc __unused)
{

	th->th_algo = VDSO_TH_ALGO_X86_HVTSC;
	th->th_x86_shift = 0;
	th->th_x86_hpet_idx = 0;
	th->th_x86_pvc_last_systime = 0;
	th->th_x86_pvc_stable_mask = 0;
	memset(th->th_res, 0, sizeof(th->th_res));
	return (hyperv_tc_dev != NULL);
}

static int
hyperv_tc_open(struct cdev *dev __unused, int flags, int type __unused,
    struct thread *td __unused)
{

	return ((flags & FWRITE) != 0 ? EPERM : 0);
}

static int
hyperv_tc_mmap(struct cdev *dev __unused, vm_ooffset_t ofs, vm_paddr_t *pap,
    int prot, vm_memattr_t *attr __unused)
{

	if (ofs != 0 || (prot & PROT_WRITE) != 0)
		return (EINVAL);
	*pap = vtophys(hyperv_tc_page);
	return (0);
}

/* A kernel with drivers of its own for Hyper-V has these already. */
static bool
hyperv_tc_kernel_has(void)
{
	char name[] = "kern.timecounter.tc.Hyper-V.quality";
	int quality;
	size_t len = sizeof(quality);

	return (kernel_sysctlbyname(curthread, name, &quality, &len, NULL, 0,
	    NULL, 0) == 0);
}

static void
hyperv_tc_register(struct timecounter *tc)
{

	hyperv_tc_stays = true;
	tc_init(tc);
}

/* Any failure leaves the counter's MSR. */
static void
hyperv_tc_register_tsc(void)
{
	struct make_dev_args args;

	hyperv_tc_page = malloc(sizeof(*hyperv_tc_page), M_DEVBUF,
	    M_NOWAIT | M_ZERO);
	if (hyperv_tc_page == NULL)
		return;
	hyperv_reftsc_enable(hyperv_tc_page);
	if (hyperv_tc_vdso_enable != 0) {
		make_dev_args_init(&args);
		args.mda_devsw = &hyperv_tc_cdevsw;
		args.mda_uid = UID_ROOT;
		args.mda_gid = GID_WHEEL;
		args.mda_mode = 0444;
		if (make_dev_s(&args, &hyperv_tc_dev, HYPERV_TC_DEVNAME) != 0)
			printf("hv_time: no /dev/%s\n", HYPERV_TC_DEVNAME);
	}
	hyperv_tc_register(&hyperv_tc_tsc);
}

static int
hyperv_tc_load(void)
{
	struct hyperv_info hi;
	bool page;

	if (hyperv_tc_enable == 0 || !hyperv_identify(&hi) ||
	    (hi.hi_priv & HYPERV_PRIV_TIMEREFCNT) == 0 ||
	    hyperv_tc_kernel_has())
		return (0);
	page = hyperv_tc_enable != 2 && (hi.hi_priv & HYPERV_PRIV_REFTSC) != 0;
	if (page && (hyperv_md_rdmsr(HYPERV_MSR_REFERENCE_TSC) &
	    HYPERV_MSR_PAGE_ENABLE) != 0) {
		/* The bus driver's, which goes when that is unloaded. */
		printf("hv_time: load this module before hv_vmbus\n");
		return (EBUSY);
	}
	hyperv_tc_register(&hyperv_tc_msr);
	if (page)
		hyperv_tc_register_tsc();
	return (0);
}

static int
hyperv_tc_modevent(module_t mod __unused, int type, void *arg __unused)
{

	switch (type) {
	case MOD_LOAD:
		return (hyperv_tc_load());
	case MOD_QUIESCE:
	case MOD_UNLOAD:
		return (hyperv_tc_stays ? EBUSY : 0);
	case MOD_SHUTDOWN:
		return (0);
	default:
		return (EOPNOTSUPP);
	}
}

static moduledata_t hyperv_tc_module = {
	"hv_time",
	hyperv_tc_modevent,
	NULL
};

/* When devices can have nodes, before clocks are measured and started. */
DECLARE_MODULE(hv_time, hyperv_tc_module, SI_SUB_DRIVERS, SI_ORDER_FIRST);
MODULE_VERSION(hv_time, 1);

/*
 * A module that the loader brought comes before the kernel first measures the
 * TSC, which it then leaves out.  A kernel told to do without the TSC has none.
 */
static void
hyperv_tc_tsc_frequency(void *arg __unused)
{
	struct hyperv_info hi;
	uint64_t freq;
	int disabled = 0;

	TUNABLE_INT_FETCH("machdep.disable_tsc", &disabled);
	if (!cold || disabled != 0 || hyperv_tc_freq_enable == 0 ||
	    !hyperv_identify(&hi) ||
	    (hi.hi_priv & HYPERV_PRIV_FREQUENCY) == 0 ||
	    (hi.hi_features & HYPERV_FEATURE_FREQUENCY) == 0)
		return;
	freq = hyperv_md_rdmsr(HYPERV_MSR_TSC_FREQUENCY);
	if (freq == 0)
		return;
	tsc_freq = freq;
	if (bootverbose)
		printf("hv_time: TSC frequency %ju Hz\n", (uintmax_t)freq);
}
SYSINIT(hv_time_tsc, SI_SUB_KLD, SI_ORDER_ANY, hyperv_tc_tsc_frequency, NULL);
