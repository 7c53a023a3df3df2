/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* From the host's messages to the program's: see hv_fcopy_var.h. */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_fcopy_reg.h>
#include <dev/hyperv/utilities/hv_fcopy_var.h>

_Static_assert(HV_FCOPY_NAME_MAX == HV_FCOPY_DEV_NAME_MAX &&
    HV_FCOPY_DATA_MAX == HV_FCOPY_DEV_DATA_MAX, "names and data");

bool
hv_fcopy_request(struct hv_fcopy_dev_msg *fm, const void *body, uint32_t len)
{
	const struct hv_fcopy_hdr *fh = body;
	const struct hv_fcopy_start *fs = body;
	const struct hv_fcopy_write *fw = body;
	struct hv_fcopy_dev_hdr *hdr = &fm->fm_hdr;

	memset(hdr, 0, sizeof(*hdr));
	if (len < sizeof(*fh))
		return (false);
	switch (fh->fh_op) {
	case HV_FCOPY_OP_START:
		if (len < sizeof(*fs))
			return (false);
		hdr->fm_op = HV_FCOPY_DEV_START;
		hdr->fm_size = fs->fs_size;
		if ((fs->fs_flags & HV_FCOPY_F_OVERWRITE) != 0)
			hdr->fm_flags |= HV_FCOPY_DEV_OVERWRITE;
		if ((fs->fs_flags & HV_FCOPY_F_CREATE_PATH) != 0)
			hdr->fm_flags |= HV_FCOPY_DEV_CREATE_PATH;
		hdr->fm_len = sizeof(fm->fm_names);
		memcpy(fm->fm_names.fn_name, fs->fs_name, sizeof(fs->fs_name));
		memcpy(fm->fm_names.fn_path, fs->fs_path, sizeof(fs->fs_path));
		return (true);
	case HV_FCOPY_OP_WRITE:
		if (len < sizeof(*fw) || fw->fw_size > HV_FCOPY_DATA_MAX ||
		    fw->fw_size > len - sizeof(*fw))
			return (false);
		hdr->fm_op = HV_FCOPY_DEV_WRITE;
		hdr->fm_offset = fw->fw_offset;
		hdr->fm_len = fw->fw_size;
		memcpy(fm->fm_data, fw + 1, fw->fw_size);
		return (true);
	case HV_FCOPY_OP_COMPLETE:
		hdr->fm_op = HV_FCOPY_DEV_COMPLETE;
		return (true);
	case HV_FCOPY_OP_CANCEL:
		hdr->fm_op = HV_FCOPY_DEV_CANCEL;
		return (true);
	default:
		return (false);
	}
}
