/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* What fuzzers of joined drivers share; see fuzz_vm.h. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_vm.h"

#define	CLOCK_STEP	100	/* ms of virtual time between two looks */

static struct {
	pthread_mutex_t	 lock;
	const uint8_t	*p;
	size_t		 left;
} script = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_bool leaked, unanswered;
static bool verbose;

void
fuzz_fail(const char *what)
{

	fprintf(stderr, "%s\n", what);
	abort();
}

/* --- The script --- */

void
fuzz_script(const uint8_t *data, size_t size)
{

	pthread_mutex_lock(&script.lock);
	script.p = data;
	script.left = size;
	pthread_mutex_unlock(&script.lock);
}

static uint8_t
take_locked(void)
{

	if (script.left == 0)
		return (0);
	script.left--;
	return (*script.p++);
}

uint8_t
fuzz_take(void)
{
	uint8_t v;

	pthread_mutex_lock(&script.lock);
	v = take_locked();
	pthread_mutex_unlock(&script.lock);
	return (v);
}

size_t
fuzz_left(void)
{
	size_t left;

	pthread_mutex_lock(&script.lock);
	left = script.left;
	pthread_mutex_unlock(&script.lock);
	return (left);
}

void
fuzz_mutate(void *data, size_t *len)
{
	uint8_t *bytes = data, how, n;
	size_t at;

	pthread_mutex_lock(&script.lock);
	how = take_locked();
	for (n = how >= 0x80 ? how & 3 : 0; n > 0 && *len > 0; n--) {
		at = take_locked() % *len;
		/* Words more often than bytes: most fields are. */
		for (unsigned i = 0; i < (how & 4 ? 4 : 1) &&
		    at + i < *len; i++)
			bytes[at + i] = take_locked();
	}
	if ((how & 0x88) == 0x88 && *len > 0)
		*len = take_locked() % *len;
	pthread_mutex_unlock(&script.lock);
}

static void
hook(void *arg, void *data, size_t *len)
{

	fuzz_mutate(data, len);
}

void
fuzz_hook(enum hvh_fault_point point)
{
	struct hvh_fault f = { .point = point, .action = HVH_FAULT_CALL,
	    .key = HVH_FAULT_ANY, .hook = hook };

	(void)hvh_fault_add(vm_host(), &f);
}

bool
fuzz_fault(void)
{
	static const enum hvh_fault_action actions[] = { HVH_FAULT_DROP,
	    HVH_FAULT_DUP, HVH_FAULT_HOLD, HVH_FAULT_TRUNCATE,
	    HVH_FAULT_RESCIND, HVH_FAULT_DELAY, HVH_FAULT_STATUS };
	static const enum hvh_fault_point points[] = { HVH_FAULT_MSG_OUT,
	    HVH_FAULT_PKT_OUT, HVH_FAULT_MSG_IN, HVH_FAULT_PKT_IN,
	    HVH_FAULT_SIGNAL_OUT, HVH_FAULT_POST, HVH_FAULT_RNDIS_OUT };
	uint8_t point = fuzz_take(), action = fuzz_take(), key = fuzz_take(),
	    skip = fuzz_take();
	struct hvh_fault f = { 0 };

	f.point = points[point % NITEMS(points)];
	f.action = actions[action % NITEMS(actions)];
	f.key = key & 0x80 ? HVH_FAULT_ANY : key % 26;
	f.skip = skip & 15;
	f.times = skip >> 4;
	f.arg = fuzz_take();
	if (f.action == HVH_FAULT_DELAY)
		f.arg *= 100000000;
	else if (f.action == HVH_FAULT_STATUS && (f.arg & 0x80) != 0)
		f.arg = 0xc0000001;
	(void)hvh_fault_add(vm_host(), &f);
	return (f.action == HVH_FAULT_RESCIND);
}

/* --- The machine --- */

/* What the kernel says of memory that is left, and why that may be. */
static void
console(void *arg, const char *line)
{

	if (strstr(line, "leaked memory on destroy") != NULL)
		atomic_store(&leaked, true);
	else if (strstr(line, "contact with version") != NULL ||
	    strstr(line, "host does not let go") != NULL ||
	    strstr(line, "host keeps") != NULL ||
	    strstr(line, "host knows none of our versions") != NULL)
		atomic_store(&unanswered, true);
	if (verbose)
		fprintf(stderr, "%s\n", line);
}

/* In wider steps than vm_advance(): most of what is waited for never comes. */
static void *
clock_thread(void *arg)
{

	for (;;) {
		usleep(200);
		kpi_clock_advance(CLOCK_STEP * 1000000ull);
		vm_pump();
	}
	return (NULL);
}

void
fuzz_boot(const char *const *kenv, void (*add)(void))
{
	const struct vm_config cf = { .cpus = 3, .virtual_clock = true,
	    .kenv = kenv, .memory = 512u << 20, .console = console };
	pthread_t thread;

	verbose = getenv("FUZZ_VERBOSE") != NULL;
	vm_create(&cf);
	add();
	vm_boot();
	if (pthread_create(&thread, NULL, clock_thread, NULL) != 0)
		fuzz_fail("no thread");
}

/* EBUSY as long as the bus is just detaching the device itself. */
void
fuzz_unload(const char *name)
{
	const int ebusy = 16;		/* FreeBSD's */
	unsigned ms;
	int error;

	for (ms = 0; (error = kpi_kldunload(name)) == ebusy &&
	    ms < ENDS_MS; ms++)
		usleep(1000);
	if (error != 0 && error != ENOENT) {
		fprintf(stderr, "%s: error %d: ", name, error);
		fuzz_fail("does not unload");
	}
}

bool
fuzz_kept(void)
{

	return (atomic_load(&unanswered));
}

/*
 * Pages that a host may write that neither answers nor lets go are not used
 * again; all else is given back.
 */
void
fuzz_check_left(void)
{
	struct hvh_stats st;
	char line[1024];

	while (kpi_devctl_read(line, sizeof(line)) == 0)
		;
	vm_pump();
	hvh_get_stats(vm_host(), &st);
	if (st.connected != 0 && !atomic_load(&unanswered))
		fuzz_fail("the host still sees a connection");
	if (atomic_load(&leaked) && !atomic_load(&unanswered))
		fuzz_fail("memory left behind");
	if (st.connected == 0 && st.gpadls != 0)
		fuzz_fail("the host still has the guest's memory");
	/* What faults have kept for later is nothing for the next. */
	hvh_reset(vm_host());
	atomic_store(&leaked, false);
	atomic_store(&unanswered, false);
}
