/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Between malloc(9) and the page allocator (kpi/vm).
 */

#ifndef _KPI_KERN_MALLOC_H_
#define	_KPI_KERN_MALLOC_H_

#include <sys/types.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define	KPI_ASAN
#endif
#endif

/* Linux allows 65,530 mappings a process; each aliased page may be one. */
#define	KPI_ARENA_PAGES		65536
#define	KPI_ARENA_MAPPINGS	50000

/* Is it in guest memory or the arena; and a number for each page of both. */
bool	kpi_is_guest(vm_offset_t va);
vm_size_t kpi_page_index(vm_offset_t va);

#endif	/* !_KPI_KERN_MALLOC_H_ */
