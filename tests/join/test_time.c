/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel's time from the hypervisor: timecounters by the reference TSC page
 * and by the counter, as the kernel reads them and as programs do, while the
 * machine moves from one host to another below its readers.
 */

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join.h"

#define	CPUS		4
#define	GHZ		1000000000ULL
#define	REF_HZ		10000000
#define	HVTSC		3		/* VDSO_TH_ALGO_X86_HVTSC */

/* What stays of hv_time, and is seen: the page's node. */
#define	STAYS		1
/* Loaded when the kernel runs, its memory as well, of four kinds. */
#define	STAYS_LOADED	5

/* Seconds of checking; TIME_CHECK_SECONDS asks for more. */
static unsigned
check_seconds(void)
{
	const char *s = getenv("TIME_CHECK_SECONDS");

	return (s != NULL ? (unsigned)atoi(s) : 3);
}

/* The clock in ns and the TSC at one moment, of some looks the quickest. */
static uint64_t
look(uint64_t *tsc)
{
	uint64_t best = UINT64_MAX, ns = 0, t0, t1;
	struct timespec ts;

	for (unsigned i = 0; i < 20; i++) {
		t0 = __builtin_ia32_rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &ts);
		t1 = __builtin_ia32_rdtsc();
		if (t1 - t0 >= best)
			continue;
		best = t1 - t0;
		*tsc = t0 + best / 2;
		ns = (uint64_t)ts.tv_sec * GHZ + (uint64_t)ts.tv_nsec;
	}
	return (ns);
}

/* What this machine's TSC does in a second. */
static uint64_t
tsc_hz(void)
{
	uint64_t ns, tsc0, tsc1;

	ns = look(&tsc0);
	usleep(200000);
	ns = look(&tsc1) - ns;
	return ((uint64_t)((__uint128_t)(tsc1 - tsc0) * GHZ / ns));
}

static const struct vm_config machine = {
	.cpus = CPUS, .time = true, .preload = true,
};

static void
start(struct join *j, const struct vm_config *vm)
{
	struct join_config cf = { .no_disks = true, .vm = *vm };

	join_start(j, &cf);
}

static void
finish(struct join *j, unsigned stays)
{

	ATF_CHECK_EQ(stays, join_end(j));
}

static void
expect(const char *name, const char *want)
{
	char have[256];

	ATF_REQUIRE_EQ_MSG(0, kpi_sysctl_get(name, have, sizeof(have)), "%s",
	    name);
	ATF_CHECK_STREQ(want, have);
}

static uint64_t
reads(struct join *j)
{
	struct hvh_stats st;

	hvh_get_stats(j->host, &st);
	return (st.time_reads);
}

static uint64_t
exits(struct join *j)
{
	struct hvh_vp_stats vs;
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < CPUS; i++) {
		hvh_get_vp_stats(j->host, i, &vs);
		n += vs.msr_reads + vs.msr_writes + vs.hypercalls;
	}
	return (n);
}

/* Processors that read the kernel's time and hold it against one another's. */
static struct {
	atomic_uint_fast64_t	last;	/* widened, the latest anybody saw */
	atomic_bool		stop;
	atomic_uint_fast64_t	count;
	atomic_uint_fast64_t	back;	/* went backwards */
} rd;

/*
 * Whoever begins to read after another has ended must not read less.  The
 * counter is 32 bits wide, of which half is the future.
 */
static void
reader(void *arg)
{
	uint64_t seen;
	uint32_t now;
	int32_t ahead;

	while (!atomic_load(&rd.stop)) {
		seen = atomic_load(&rd.last);
		now = kpi_timecount();
		ahead = (int32_t)(now - (uint32_t)seen);
		if (ahead < 0)
			atomic_fetch_add(&rd.back, 1);
		else
			while (!atomic_compare_exchange_weak(&rd.last, &seen,
			    now) && (int32_t)(now - (uint32_t)seen) > 0)
				continue;
		atomic_fetch_add(&rd.count, 1);
		/* Other threads of the machine share these processors. */
		if (atomic_load(&rd.count) % 1024 == 0)
			sched_yield();
	}
}

static void *
reader_thread(void *arg)
{

	kpi_call(reader, NULL, (int)(intptr_t)arg);
	return (NULL);
}

static pthread_t readers[CPUS];

static void
readers_start(void)
{
	unsigned i;

	atomic_store(&rd.last, kpi_timecount());
	atomic_store(&rd.stop, false);
	for (i = 0; i < CPUS; i++)
		ATF_REQUIRE_EQ(0, pthread_create(&readers[i], NULL,
		    reader_thread, (void *)(intptr_t)i));
}

static void
readers_stop(void)
{
	unsigned i;

	atomic_store(&rd.stop, true);
	for (i = 0; i < CPUS; i++)
		pthread_join(readers[i], NULL);
	ATF_CHECK_MSG(atomic_load(&rd.count) > 1000, "only %" PRIuFAST64
	    " readings", atomic_load(&rd.count));
	ATF_CHECK_EQ_MSG(0, atomic_load(&rd.back), "%" PRIuFAST64 " of %"
	    PRIuFAST64 " readings went backwards", atomic_load(&rd.back),
	    atomic_load(&rd.count));
}

ATF_TC(choice);
ATF_TC_HEAD(choice, tc)
{
	atf_tc_set_md_var(tc, "descr", "loaded at boot, the page is the "
	    "kernel's time and the programs', and costs no exit");
}
ATF_TC_BODY(choice, tc)
{
	struct vm_config vm = machine;
	struct join j;
	uint64_t before;
	unsigned i;

	vm.tsc_hz = tsc_hz();
	start(&j, &vm);
	expect("kern.timecounter.hardware", "Hyper-V-TSC");
	expect("kern.timecounter.tc.Hyper-V-TSC.quality", "3000");
	expect("kern.timecounter.tc.Hyper-V.quality", "2000");
	expect("kern.timecounter.tc.Hyper-V-TSC.frequency", "10000000");
	ATF_CHECK_EQ(HVTSC, kpi_vdso_algo());
	/* The hypervisor's number, and no measurement. */
	ATF_CHECK_EQ(vm.tsc_hz, kpi_tsc_freq());
	before = exits(&j);
	for (i = 0; i < 10000; i++)
		(void)kpi_timecount();
	ATF_CHECK_EQ(before, exits(&j));
	finish(&j, STAYS);
}

/* As libc reads it: the page's own layout, from its description. */
static bool
program_reads(const void *page, uint64_t *now)
{
	struct {
		uint32_t	seq, rsvd;
		uint64_t	scale;
		int64_t		ofs;
	} const volatile *p = page;
	uint64_t scale, tsc;
	int64_t ofs;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE);
		if (seq == 0)
			return (false);
		scale = p->scale;
		ofs = p->ofs;
		__builtin_ia32_lfence();
		tsc = __builtin_ia32_rdtsc();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (p->seq != seq);
	*now = (uint64_t)((__uint128_t)tsc * scale >> 64) + (uint64_t)ofs;
	return (true);
}

ATF_TC(program);
ATF_TC_HEAD(program, tc)
{
	atf_tc_set_md_var(tc, "descr", "a program maps the page, reads the "
	    "kernel's time from it, and cannot write it");
}
ATF_TC_BODY(program, tc)
{
	struct vm_config vm = machine;
	struct kpi_devfile *f;
	const void *page;
	struct join j;
	uint64_t now;
	uint32_t before, after;

	vm.tsc_hz = tsc_hz();
	start(&j, &vm);
	ATF_CHECK(kpi_dev_open("hv_tsc", 3, &f) != 0);
	ATF_REQUIRE_EQ(0, kpi_dev_open("hv_tsc", 1, &f));
	ATF_CHECK(kpi_dev_mmap(f, 0, 3, &page) != 0);
	ATF_CHECK(kpi_dev_mmap(f, 4096, 1, &page) != 0);
	ATF_REQUIRE_EQ(0, kpi_dev_mmap(f, 0, 1, &page));
	before = kpi_timecount();
	ATF_REQUIRE(program_reads(page, &now));
	after = kpi_timecount();
	ATF_CHECK((uint32_t)now - before <= after - before);
	/* Where there is no page a program is told to ask the kernel. */
	ATF_REQUIRE_EQ(0, hvh_tsc_move(j.host, 0, NULL, NULL));
	ATF_CHECK(!program_reads(page, &now));
	ATF_REQUIRE_EQ(0, kpi_dev_close(f));
	finish(&j, STAYS);
}

ATF_TC(accurate);
ATF_TC_HEAD(accurate, tc)
{
	atf_tc_set_md_var(tc, "descr", "less than 1 ms from the host's clock "
	    "all the time, page or no page");
}
ATF_TC_BODY(accurate, tc)
{
	struct vm_config vm = machine;
	struct join j;
	uint64_t end, t0, t1;
	int64_t err, least, most;
	uint32_t base;

	vm.tsc_hz = tsc_hz();
	start(&j, &vm);
	for (unsigned page = 0; page < 2; page++) {
		t0 = vm_now();
		base = kpi_timecount();
		least = most = 0;
		end = t0 + check_seconds() * GHZ / 2;
		do {
			usleep(10000);
			t0 = vm_now();
			err = (int64_t)(kpi_timecount() - base) * 100;
			t1 = vm_now();
			/* A reading that was interrupted says nothing. */
			if (t1 - t0 > 100000)
				continue;
			err -= (int64_t)(t1 - (end - check_seconds() * GHZ /
			    2));
			least = err < least ? err : least;
			most = err > most ? err : most;
		} while (t1 < end);
		printf("off by %" PRId64 " to %" PRId64 " ns\n", least, most);
		ATF_CHECK(least > -1000000 && most < 1000000);
		ATF_REQUIRE_EQ(0, hvh_tsc_move(j.host, 0, NULL, NULL));
	}
	finish(&j, STAYS);
}

ATF_TC(monotonic);
ATF_TC_HEAD(monotonic, tc)
{
	atf_tc_set_md_var(tc, "descr", "never backwards on any processor, "
	    "under load; TIME_CHECK_SECONDS=600 for long");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(monotonic, tc)
{
	struct vm_config vm = machine;
	struct join j;

	vm.tsc_hz = tsc_hz();
	start(&j, &vm);
	readers_start();
	sleep(check_seconds());
	readers_stop();
	finish(&j, STAYS);
}

ATF_TC(moves);
ATF_TC_HEAD(moves, tc)
{
	atf_tc_set_md_var(tc, "descr", "never backwards while the machine "
	    "moves: other rates, no page at all, and stops in between");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(moves, tc)
{
	static const unsigned percent[] = { 100, 130, 0, 70, 100, 0, 160 };
	struct vm_config vm = machine;
	struct hvh_stats st;
	struct join j;
	uint64_t end, hz;
	unsigned n = 0;

	vm.tsc_hz = hz = tsc_hz();
	start(&j, &vm);
	readers_start();
	end = vm_now() + check_seconds() * GHZ;
	while (vm_now() < end) {
		ATF_REQUIRE_EQ(0, hvh_tsc_move(j.host, hz *
		    percent[n++ % 7] / 100, NULL, NULL));
		usleep(n % 3 * 700);
	}
	readers_stop();
	hvh_get_stats(j.host, &st);
	ATF_CHECK(st.tsc_moves > n / 2);
	/* While there was no page the counter told the time. */
	ATF_CHECK(st.time_reads > 0);
	finish(&j, STAYS);
}

ATF_TC(counter);
ATF_TC_HEAD(counter, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without the page: by the "
	    "counter, one exit a reading, and programs ask the kernel");
}
ATF_TC_BODY(counter, tc)
{
	struct vm_config vm = machine;
	struct join j;
	uint64_t before;
	unsigned i;

	vm.tsc_hz = tsc_hz();
	vm.shown.hidden = HVH_FEAT_BIT(HVH_FEAT_TSC) |
	    HVH_FEAT_BIT(HVH_FEAT_FREQUENCY);
	start(&j, &vm);
	expect("kern.timecounter.hardware", "Hyper-V");
	ATF_CHECK_EQ(0, kpi_vdso_algo());
	ATF_CHECK_EQ(0, kpi_tsc_freq());
	before = reads(&j);
	for (i = 0; i < 100; i++)
		(void)kpi_timecount();
	ATF_CHECK_EQ(100, reads(&j) - before);
	readers_start();
	sleep(1);
	readers_stop();
	finish(&j, 0);
}

static void
with_kenv(const char *setting, struct join *j)
{
	const char *kenv[] = { setting, NULL };
	struct vm_config vm = machine;

	vm.tsc_hz = tsc_hz();
	vm.kenv = kenv;
	start(j, &vm);
}

ATF_TC(tunables);
ATF_TC_HEAD(tunables, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.hvtime.tc=0: nothing is registered, "
	    "and the module can go");
}
ATF_TC_BODY(tunables, tc)
{
	struct join j;

	with_kenv("hw.hvtime.tc=0", &j);
	expect("kern.timecounter.hardware", "hosted");
	ATF_CHECK_EQ(0, kpi_vdso_algo());
	ATF_CHECK_EQ(0, kpi_kldunload("hv_time"));
	finish(&j, 0);
}

ATF_TC(tunable_msr);
ATF_TC_HEAD(tunable_msr, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.hvtime.tc=2: the counter alone");
}
ATF_TC_BODY(tunable_msr, tc)
{
	struct join j;

	with_kenv("hw.hvtime.tc=2", &j);
	expect("kern.timecounter.hardware", "Hyper-V");
	finish(&j, 0);
}

ATF_TC(tunable_vdso);
ATF_TC_HEAD(tunable_vdso, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.hvtime.vdso=0: programs ask the "
	    "kernel, which reads the page");
}
ATF_TC_BODY(tunable_vdso, tc)
{
	struct kpi_devfile *f;
	struct join j;

	with_kenv("hw.hvtime.vdso=0", &j);
	expect("kern.timecounter.hardware", "Hyper-V-TSC");
	ATF_CHECK_EQ(0, kpi_vdso_algo());
	ATF_CHECK(kpi_dev_open("hv_tsc", 1, &f) != 0);
	finish(&j, STAYS - 1);
}

ATF_TC(tunable_freq);
ATF_TC_HEAD(tunable_freq, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.hvtime.tsc_freq=0, or no TSC for "
	    "the kernel: it is not told the frequency");
}
ATF_TC_BODY(tunable_freq, tc)
{
	struct join j;

	with_kenv("hw.hvtime.tsc_freq=0", &j);
	ATF_CHECK_EQ(0, kpi_tsc_freq());
	finish(&j, STAYS);
}

ATF_TC(unload);
ATF_TC_HEAD(unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "hv_time stays, hv_vmbus comes and goes "
	    "beside it, on the one page");
}
ATF_TC_BODY(unload, tc)
{
	struct vm_config vm = machine;
	struct join j;
	uint64_t before;
	unsigned i;

	vm.tsc_hz = tsc_hz();
	vm.preload = false;
	start(&j, &vm);
	ATF_CHECK_EQ(16, kpi_kldunload("hv_time"));
	readers_start();
	for (i = 0; i < 20; i++) {
		ATF_REQUIRE_EQ(0, vm_unload());
		before = exits(&j);
		(void)kpi_timecount();
		ATF_CHECK_EQ(before, exits(&j));
		ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	}
	readers_stop();
	expect("kern.timecounter.hardware", "Hyper-V-TSC");
	finish(&j, STAYS_LOADED);
}

ATF_TC(late);
ATF_TC_HEAD(late, tc)
{
	atf_tc_set_md_var(tc, "descr", "after hv_vmbus, which has the page "
	    "already, hv_time is refused");
}
ATF_TC_BODY(late, tc)
{
	struct vm_config vm = machine;
	struct join j;

	vm.tsc_hz = tsc_hz();
	vm.preload = vm.time = false;
	start(&j, &vm);
	ATF_CHECK(kpi_kldload("hv_time") != 0);
	expect("kern.timecounter.hardware", "hosted");
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, choice);
	ATF_TP_ADD_TC(tp, program);
	ATF_TP_ADD_TC(tp, accurate);
	ATF_TP_ADD_TC(tp, monotonic);
	ATF_TP_ADD_TC(tp, moves);
	ATF_TP_ADD_TC(tp, counter);
	ATF_TP_ADD_TC(tp, tunables);
	ATF_TP_ADD_TC(tp, tunable_msr);
	ATF_TP_ADD_TC(tp, tunable_vdso);
	ATF_TP_ADD_TC(tp, tunable_freq);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, late);
	return (atf_no_error());
}
