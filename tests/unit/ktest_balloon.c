/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which pages are the host's, and the messages of dynamic memory (protocol:
 * utilities, section 9).  Offsets as literals, not by the driver's names.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/vmmeter.h>

#include <dev/hyperv/utilities/hv_balloon_var.h>

#include "ktest.h"

/* Some more than a piece, and not a multiple of anything. */
#define	FRAMES		(2 * 32768 + 1000)

KTEST(balloon_map, "frames are noted once, and taken as far as they are")
{
	struct hv_balloon_map bm;

	hv_balloon_map_init(&bm, FRAMES);
	KT_EQ(hv_balloon_map_next(&bm, 0), UINT64_MAX);
	KT_EQ(hv_balloon_map_take(&bm, 0, 10), 0);
	KT_EQ(hv_balloon_map_add(&bm, 5, 1), 0);
	/* Over the end of a piece. */
	KT_EQ(hv_balloon_map_add(&bm, 32768 - 3, 70), 0);
	KT_EQ(hv_balloon_map_add(&bm, FRAMES - 1, 1), 0);
	KT_EQ(hv_balloon_map_next(&bm, 0), 5);
	KT_EQ(hv_balloon_map_next(&bm, 5), 5);
	KT_EQ(hv_balloon_map_next(&bm, 6), 32768 - 3);
	KT_EQ(hv_balloon_map_next(&bm, 32768 + 10), 32768 + 10);
	KT_EQ(hv_balloon_map_next(&bm, 32768 + 67), FRAMES - 1);
	KT_EQ(hv_balloon_map_take(&bm, 4, 3), 0);
	KT_EQ(hv_balloon_map_take(&bm, 5, 3), 1);
	KT_EQ(hv_balloon_map_take(&bm, 5, 3), 0);
	/* A hole ends it. */
	KT_EQ(hv_balloon_map_take(&bm, 32768, 1), 1);
	KT_EQ(hv_balloon_map_take(&bm, 32768 - 3, 70), 3);
	KT_EQ(hv_balloon_map_take(&bm, 32768 + 1, 1000), 66);
	KT_EQ(hv_balloon_map_take(&bm, FRAMES - 1, 100), 1);
	KT_EQ(hv_balloon_map_next(&bm, 0), UINT64_MAX);
	hv_balloon_map_fini(&bm);
	hv_balloon_map_fini(&bm);
}

KTEST(balloon_map_range, "no number of the host's is too much")
{
	struct hv_balloon_map bm;

	hv_balloon_map_init(&bm, FRAMES);
	KT_EQ(hv_balloon_map_add(&bm, FRAMES, 1), ERANGE);
	KT_EQ(hv_balloon_map_add(&bm, FRAMES - 1, 2), ERANGE);
	KT_EQ(hv_balloon_map_add(&bm, UINT64_MAX, 2), ERANGE);
	KT_EQ(hv_balloon_map_next(&bm, 0), UINT64_MAX);
	KT_EQ(hv_balloon_map_take(&bm, FRAMES, 0xffffffff), 0);
	KT_EQ(hv_balloon_map_take(&bm, 0xffffffffff, 0xffffff), 0);
	KT_EQ(hv_balloon_map_take(&bm, UINT64_MAX, 2), 0);
	KT_EQ(hv_balloon_map_next(&bm, UINT64_MAX), UINT64_MAX);
	hv_balloon_map_fini(&bm);
}

KTEST(balloon_map_all, "frames are noted by runs of odd lengths, taken at once")
{
	struct hv_balloon_map bm;
	u_int i;

	hv_balloon_map_init(&bm, FRAMES);
	for (i = 0; i + 37 <= FRAMES; i += 37)
		KT_EQ(hv_balloon_map_add(&bm, i, 37), 0);
	KT_EQ(hv_balloon_map_take(&bm, 0, FRAMES), i);
	KT_EQ(hv_balloon_map_next(&bm, 0), UINT64_MAX);
	hv_balloon_map_fini(&bm);
}

KTEST(balloon_wire, "messages are laid out as the protocol says")
{
	uint64_t r;

	KT_EQ(__offsetof(struct hv_balloon_version_req, vq_version), 8);
	KT_EQ(__offsetof(struct hv_balloon_caps, bc_min_pages), 16);
	KT_EQ(__offsetof(struct hv_balloon_caps, bc_max_page), 24);
	KT_EQ(__offsetof(struct hv_balloon_status, bs_committed), 16);
	KT_EQ(__offsetof(struct hv_balloon_status, bs_free), 32);
	KT_EQ(__offsetof(struct hv_balloon_up_rsp, ur_ranges), 12);
	KT_EQ(__offsetof(struct hv_balloon_up_rsp, ur_range), 16);
	KT_EQ(__offsetof(struct hv_balloon_down, bd_ranges), 12);
	KT_EQ(HV_BALLOON_RANGES_MAX, 510);
	r = HV_BALLOON_RANGE(0x123456789aULL, 0xabcdef);
	KT_EQ(r, 0xabcdef123456789aULL);
	KT_EQ(HV_BALLOON_RANGE_START(r), 0x123456789aULL);
	KT_EQ(HV_BALLOON_RANGE_COUNT(r), 0xabcdef);
}

KTEST(balloon_floor, "what stays grows with the machine, but not as much")
{
	const u_int mib = 256;
	struct vmmeter saved = vm_cnt;
	u_int floor[4], i;
	static const u_int sizes[] = { 128, 1024, 8192, 65536 };

	for (i = 0; i < nitems(sizes); i++) {
		vm_cnt.v_page_count = sizes[i] * mib;
		vm_cnt.v_free_target = 0;
		floor[i] = hv_balloon_floor() / mib;
	}
	vm_cnt = saved;
	KT_EQ(floor[0], 16 + 8);
	KT_EQ(floor[1], 16 + 64);
	KT_EQ(floor[2], 16 + 64 + 112);
	KT_EQ(floor[3], 16 + 64 + 1008);
}

KTEST(balloon_pages, "pages come off what is free, and go back to it")
{
	u_int before = vm_free_count(), n, small;
	uint64_t frame, one;
	bool large = true;

	n = hv_balloon_pages_alloc(1000, &large, &frame);
	KT_CHECK(large);
	KT_EQ(n, 512);
	KT_EQ(frame % 512, 0);
	small = hv_balloon_pages_alloc(511, &large, &one);
	KT_EQ(small, 1);
	KT_EQ(vm_free_count(), before - 513);
	hv_balloon_pages_free(frame, n);
	hv_balloon_pages_free(one, 1);
	KT_EQ(vm_free_count(), before);
}
