/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * kern.cam.da.N: what a disk has done, and what it is.
 */

#include "cam_disk.h"

SYSCTL_DECL(_kern_cam_da);
static SYSCTL_NODE(_kern_cam, OID_AUTO, cd, CTLFLAG_RD | CTLFLAG_MPSAFE, 0,
    "CAM CDROM driver");

/* arg2: where in kd_stats the counter is. */
static int
kcam_disk_counter(SYSCTL_HANDLER_ARGS)
{
	struct kcam_disk *kd = arg1;
	uint64_t value;

	mtx_lock(&kd->kd_mtx);
	value = *(uint64_t *)(void *)((char *)&kd->kd_stats + arg2);
	mtx_unlock(&kd->kd_mtx);
	return (sysctl_handle_64(oidp, &value, 0, req));
}

#define	KS(m)	__offsetof(struct kcam_disk_stats, ks_##m)

void
kcam_disk_sysctl(struct kcam_disk *kd)
{
	static const struct {
		const char	*name, *descr;
		intptr_t	 offset;
	} counters[] = {
		{ "reads", "Read commands", KS(reads) },
		{ "writes", "Write commands", KS(writes) },
		{ "flushes", "SYNCHRONIZE CACHE commands",
		    KS(flushes) },
		{ "deletes", "UNMAP commands", KS(deletes) },
		{ "bytes_read", "Bytes read", KS(bytes_read) },
		{ "bytes_written", "Bytes written",
		    KS(bytes_written) },
		{ "errors", "Commands that failed", KS(errors) },
		{ "retries", "Commands sent again",
		    KS(retries) },
		{ "timeouts", "Commands that timed out",
		    KS(timeouts) },
		{ "queue_depth_max", "Most commands at once",
		    KS(depth_max) },
	};
	struct sysctl_oid_list *children;
	struct sysctl_oid *oid;
	char unit[8];
	u_int i;

	snprintf(unit, sizeof(unit), "%u", kd->kd_periph.unit_number);
	children = kd->kd_type == &kcam_da ?
	    SYSCTL_STATIC_CHILDREN(_kern_cam_da) :
	    SYSCTL_STATIC_CHILDREN(_kern_cam_cd);
	oid = SYSCTL_ADD_NODE(&kd->kd_sysctl, children, OID_AUTO, unit,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "CAM disk unit");
	if (oid == NULL)
		return;
	children = SYSCTL_CHILDREN(oid);
	for (i = 0; i < nitems(counters); i++)
		SYSCTL_ADD_PROC(&kd->kd_sysctl, children, OID_AUTO,
		    counters[i].name, CTLTYPE_U64 | CTLFLAG_RD |
		    CTLFLAG_MPSAFE, kd, counters[i].offset, kcam_disk_counter,
		    "QU", counters[i].descr);
	SYSCTL_ADD_U32(&kd->kd_sysctl, children, OID_AUTO, "maxio",
	    CTLFLAG_RD, &kd->kd_geo.kg_maxio, 0, "Largest command in bytes");
	SYSCTL_ADD_INT(&kd->kd_sysctl, children, OID_AUTO,
	    "minimum_cmd_size", CTLFLAG_RD, &kd->kd_geo.kg_min_cdb, 0,
	    "Shortest read or write command");
	SYSCTL_ADD_U32(&kd->kd_sysctl, children, OID_AUTO, "unmap_ranges",
	    CTLFLAG_RD, &kd->kd_geo.kg_unmap_ranges, 0,
	    "Ranges in one UNMAP");
}
