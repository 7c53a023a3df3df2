/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `vmstat': what the kernel's allocators have given out.
 *
 *	vmstat malloc [TYPE]	TYPE: in use, bytes
 *	vmstat zones [NAME]	NAME: in use
 *
 * A line each, or only those whose name has a text in it.  Both come as a
 * stream: a head that tells the number of records and of processors in each.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/malloc.h>

#include <vm/uma.h>

#include "commands.h"
#include "lib.h"

/* Reads a whole stream: its memory, to be put back, or NULL. */
static uint8_t *
read_stream(const char *name, size_t *size)
{
	uint8_t *data;
	size_t room = 0;
	int error;

	error = sysctl_get(name, NULL, &room);
	if (error == 0) {
		/* It may grow meanwhile. */
		*size = room + room / 8 + (64 << 10);
		room = *size;
		data = mem_get(*size);
		error = sysctl_get(name, data, &room);
		if (error == 0)
			return (data);
		mem_put(data, *size);
	}
	(void)complain(error, "%s", name);
	return (NULL);
}

static int
malloc_types(const char *wanted)
{
	const struct malloc_type_stream_header *head;
	const struct malloc_type_header *type;
	const struct malloc_type_stats *stats;
	uint64_t n, bytes;
	uint8_t *data;
	uint32_t i, cpu;
	size_t size;

	data = read_stream("kern.malloc_stats", &size);
	if (data == NULL)
		return (EIO);
	head = (const void *)data;
	type = (const void *)(head + 1);
	for (i = 0; i < head->mtsh_count; i++) {
		stats = (const void *)(type + 1);
		n = bytes = 0;
		for (cpu = 0; cpu < head->mtsh_maxcpus; cpu++, stats++) {
			n += stats->mts_numallocs - stats->mts_numfrees;
			bytes += stats->mts_memalloced - stats->mts_memfreed;
		}
		if (strstr(type->mth_name, wanted) != NULL)
			print("%s: %ju %ju\n", type->mth_name, (uintmax_t)n,
			    (uintmax_t)bytes);
		type = (const void *)stats;
	}
	mem_put(data, size);
	return (0);
}

static int
zones(const char *wanted)
{
	const struct uma_stream_header *head;
	const struct uma_type_header *type;
	const struct uma_percpu_stat *stats;
	uint8_t *data;
	uint64_t n;
	uint32_t i, cpu;
	size_t size;

	data = read_stream("vm.zone_stats", &size);
	if (data == NULL)
		return (EIO);
	head = (const void *)data;
	type = (const void *)(head + 1);
	for (i = 0; i < head->ush_count; i++) {
		stats = (const void *)(type + 1);
		n = type->uth_allocs - type->uth_frees;
		for (cpu = 0; cpu < head->ush_maxcpus; cpu++, stats++)
			n += stats->ups_allocs - stats->ups_frees;
		if (strstr(type->uth_name, wanted) != NULL)
			print("%s: %ju\n", type->uth_name, (uintmax_t)n);
		type = (const void *)stats;
	}
	mem_put(data, size);
	return (0);
}

int
cmd_vmstat(int argc, char **argv)
{
	const char *wanted = argc > 2 ? argv[2] : "";

	if (argc > 1 && strcmp(argv[1], "malloc") == 0)
		return (malloc_types(wanted));
	if (argc > 1 && strcmp(argv[1], "zones") == 0)
		return (zones(wanted));
	return (complain(EINVAL, "vmstat"));
}
