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

void
kcam_disk_sysctl(struct kcam_disk *kd)
{
	const struct {
		const char	*name, *descr;
		uint64_t	*value;
	} counters[] = {
		{ "reads", "Read commands", &kd->kd_stats.ks_reads },
		{ "writes", "Write commands", &kd->kd_stats.ks_writes },
		{ "flushes", "SYNCHRONIZE CACHE commands",
		    &kd->kd_stats.ks_flushes },
		{ "deletes", "UNMAP commands", &kd->kd_stats.ks_deletes },
		{ "bytes_read", "Bytes read", &kd->kd_stats.ks_bytes_read },
		{ "bytes_written", "Bytes written",
		    &kd->kd_stats.ks_bytes_written },
		{ "errors", "Commands that failed", &kd->kd_stats.ks_errors },
		{ "retries", "Commands sent again",
		    &kd->kd_stats.ks_retries },
		{ "timeouts", "Commands that timed out",
		    &kd->kd_stats.ks_timeouts },
		{ "queue_depth_max", "Most commands at once",
		    &kd->kd_stats.ks_depth_max },
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
		SYSCTL_ADD_U64(&kd->kd_sysctl, children, OID_AUTO,
		    counters[i].name, CTLFLAG_RD, counters[i].value, 0,
		    counters[i].descr);
	SYSCTL_ADD_U32(&kd->kd_sysctl, children, OID_AUTO, "maxio",
	    CTLFLAG_RD, &kd->kd_geo.kg_maxio, 0, "Largest command in bytes");
	SYSCTL_ADD_INT(&kd->kd_sysctl, children, OID_AUTO,
	    "minimum_cmd_size", CTLFLAG_RD, &kd->kd_geo.kg_min_cdb, 0,
	    "Shortest read or write command");
	SYSCTL_ADD_U32(&kd->kd_sysctl, children, OID_AUTO, "unmap_ranges",
	    CTLFLAG_RD, &kd->kd_geo.kg_unmap_ranges, 0,
	    "Ranges in one UNMAP");
}
