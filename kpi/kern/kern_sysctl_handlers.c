/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sysctl handlers for the simple types, and the top of the tree.
 */

#include "kpi_bus.h"

#include <sys/counter.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>
#include <sys/smp.h>
#include <sys/sysctl.h>
#include <sys/time.h>

SYSCTL_ROOT_NODE(CTL_SYSCTL, sysctl, CTLFLAG_RW, 0, "Sysctl internal magic");
SYSCTL_ROOT_NODE(CTL_KERN, kern, CTLFLAG_RW | CTLFLAG_CAPRD, 0,
    "High kernel, proc, limits &c");
SYSCTL_ROOT_NODE(CTL_VM, vm, CTLFLAG_RW, 0, "Virtual memory");
SYSCTL_ROOT_NODE(CTL_VFS, vfs, CTLFLAG_RW, 0, "File system");
SYSCTL_ROOT_NODE(CTL_NET, net, CTLFLAG_RW, 0, "Network");
SYSCTL_ROOT_NODE(CTL_DEBUG, debug, CTLFLAG_RW, 0, "Debugging");
SYSCTL_ROOT_NODE(CTL_HW, hw, CTLFLAG_RW, 0, "hardware");
SYSCTL_ROOT_NODE(CTL_MACHDEP, machdep, CTLFLAG_RW, 0, "machine dependent");
SYSCTL_ROOT_NODE(OID_AUTO, dev, CTLFLAG_RW, 0, "Devices");
SYSCTL_ROOT_NODE(OID_AUTO, security, CTLFLAG_RW, 0, "Security");
SYSCTL_NODE(_kern, OID_AUTO, features, CTLFLAG_RD, 0, "Kernel features");
SYSCTL_NODE(_hw, OID_AUTO, bus, CTLFLAG_RW, 0, "Buses");

SYSCTL_INT(_hw, HW_NCPU, ncpu, CTLFLAG_RD, &mp_ncpus, 0,
    "Number of active CPUs");
SYSCTL_INT(_hw, HW_PAGESIZE, pagesize, CTLFLAG_RD, SYSCTL_NULL_INT_PTR,
    PAGE_SIZE, "System memory page size");
SYSCTL_INT(_kern, KERN_OSRELDATE, osreldate, CTLFLAG_RD,
    SYSCTL_NULL_INT_PTR, __FreeBSD_version, "Kernel release date");

/*
 * Volatile and at once: the variable is mostly a counter of somebody who does
 * not ask who reads it.
 */
static uint64_t
sysctl_load(const void *p, size_t size)
{

	switch (size) {
	case sizeof(uint8_t):
		return (*(const volatile uint8_t *)p);
	case sizeof(uint16_t):
		return (*(const volatile uint16_t *)p);
	case sizeof(uint32_t):
		return (*(const volatile uint32_t *)p);
	default:
		return (*(const volatile uint64_t *)p);
	}
}

/* The same way: who reads the variable does not ask who sets it. */
static void
sysctl_store(void *p, size_t size, uint64_t v)
{

	switch (size) {
	case sizeof(uint8_t):
		*(volatile uint8_t *)p = (uint8_t)v;
		break;
	case sizeof(uint16_t):
		*(volatile uint16_t *)p = (uint16_t)v;
		break;
	case sizeof(uint32_t):
		*(volatile uint32_t *)p = (uint32_t)v;
		break;
	default:
		*(volatile uint64_t *)p = v;
		break;
	}
}

/*
 * A variable of size bytes at arg1 or, without one, the constant arg2.  It is
 * copied so that what is sent does not change on the way.
 */
static int
sysctl_handle_size(void *arg1, intmax_t arg2, struct sysctl_req *req,
    size_t size)
{
	uint64_t tmp;
	int error;

	tmp = arg1 != NULL ? sysctl_load(arg1, size) : (uint64_t)arg2;
	error = SYSCTL_OUT(req, &tmp, size);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (arg1 == NULL)
		return (EPERM);
	error = SYSCTL_IN(req, &tmp, size);
	if (error == 0)
		sysctl_store(arg1, size, tmp);
	return (error);
}

int
sysctl_handle_8(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_handle_size(arg1, arg2, req, sizeof(uint8_t)));
}

int
sysctl_handle_16(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_handle_size(arg1, arg2, req, sizeof(uint16_t)));
}

int
sysctl_handle_32(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_handle_size(arg1, arg2, req, sizeof(uint32_t)));
}

int
sysctl_handle_64(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_handle_size(arg1, arg2, req, sizeof(uint64_t)));
}

int
sysctl_handle_int(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_handle_size(arg1, arg2, req, sizeof(int)));
}

int
sysctl_handle_long(SYSCTL_HANDLER_ARGS)
{

	if (arg1 == NULL)
		return (EINVAL);
	return (sysctl_handle_size(arg1, arg2, req, sizeof(long)));
}

int
sysctl_handle_bool(SYSCTL_HANDLER_ARGS)
{
	uint8_t tmp;
	int error;

	tmp = (arg1 != NULL ? sysctl_load(arg1, sizeof(bool)) : arg2) != 0;
	error = SYSCTL_OUT(req, &tmp, sizeof(tmp));
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (arg1 == NULL)
		return (EPERM);
	error = SYSCTL_IN(req, &tmp, sizeof(tmp));
	if (error == 0)
		*(bool *)arg1 = tmp != 0;
	return (error);
}

/* arg2: the size of the buffer at arg1; 0: a string that never changes. */
int
sysctl_handle_string(SYSCTL_HANDLER_ARGS)
{
	char *tmp;
	size_t len;
	int error;

	if (arg2 == 0)
		error = SYSCTL_OUT_STR(req, (char *)arg1);
	else {
		tmp = malloc(arg2, M_TEMP, M_WAITOK);
		strlcpy(tmp, arg1, arg2);
		error = SYSCTL_OUT_STR(req, tmp);
		free(tmp, M_TEMP);
	}
	if (error != 0 || req->newptr == NULL)
		return (error);
	len = req->newlen - req->newidx;
	if (len >= arg2)
		return (EINVAL);
	error = SYSCTL_IN(req, arg1, len);
	((char *)arg1)[len] = '\0';
	return (error);
}

int
sysctl_handle_opaque(SYSCTL_HANDLER_ARGS)
{
	void *tmp;
	int error;

	tmp = malloc(arg2, M_TEMP, M_WAITOK);
	memcpy(tmp, arg1, arg2);
	error = SYSCTL_OUT(req, tmp, arg2);
	if (error == 0 && req->newptr != NULL) {
		error = SYSCTL_IN(req, tmp, arg2);
		if (error == 0)
			memcpy(arg1, tmp, arg2);
	}
	free(tmp, M_TEMP);
	return (error);
}

/* A write of whatever value zeroes the counter. */
int
sysctl_handle_counter_u64(SYSCTL_HANDLER_ARGS)
{
	uint64_t out;
	int error;

	out = counter_u64_fetch(*(counter_u64_t *)arg1);
	error = SYSCTL_OUT(req, &out, sizeof(out));
	if (error == 0 && req->newptr != NULL)
		counter_u64_zero(*(counter_u64_t *)arg1);
	return (error);
}

int
sysctl_handle_counter_u64_array(SYSCTL_HANDLER_ARGS)
{
	uint64_t out;
	intmax_t i;
	int error;

	for (i = 0; i < arg2; i++) {
		out = counter_u64_fetch(((counter_u64_t *)arg1)[i]);
		error = SYSCTL_OUT(req, &out, sizeof(out));
		if (error != 0)
			return (error);
	}
	if (req->newptr != NULL)
		for (i = 0; i < arg2; i++)
			counter_u64_zero(((counter_u64_t *)arg1)[i]);
	return (0);
}

int
sysctl_msec_to_ticks(SYSCTL_HANDLER_ARGS)
{
	int error, ms;

	ms = (int)((int64_t)*(int *)arg1 * 1000 / hz);
	error = sysctl_handle_int(oidp, &ms, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (ms < 0)
		return (EINVAL);
	*(int *)arg1 = (int)((int64_t)ms * hz / 1000);
	return (0);
}

static int
sysctl_sbintime(struct sysctl_oid *oidp, void *arg1, struct sysctl_req *req,
    int64_t (*from)(sbintime_t), sbintime_t (*to)(int64_t))
{
	int64_t v;
	int error;

	v = from(*(sbintime_t *)arg1);
	error = sysctl_handle_64(oidp, &v, 0, req);
	if (error == 0 && req->newptr != NULL)
		*(sbintime_t *)arg1 = to(v);
	return (error);
}

int
sysctl_msec_to_sbintime(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_sbintime(oidp, arg1, req, sbttoms, mstosbt));
}

int
sysctl_usec_to_sbintime(SYSCTL_HANDLER_ARGS)
{

	return (sysctl_sbintime(oidp, arg1, req, sbttous, ustosbt));
}

/* What handlers print into an sbuf goes out as it fills. */
static int
sysctl_sbuf_drain(void *arg, const char *data, int len)
{
	struct sysctl_req *req = arg;
	int error;

	error = SYSCTL_OUT(req, data, len);
	return (error != 0 ? -error : len);
}

struct sbuf *
sbuf_new_for_sysctl(struct sbuf *s, char *buf, int length,
    struct sysctl_req *req)
{

	/* The terminator goes with the text, as with a string. */
	s = sbuf_new(s, buf, length, SBUF_FIXEDLEN | SBUF_INCLUDENUL);
	sbuf_set_drain(s, sysctl_sbuf_drain, req);
	return (s);
}
