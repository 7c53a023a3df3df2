/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which versions the host and a service have in common; pure.  Framework and
 * message version are picked apart from each other, each the newest of ours
 * that the host lists.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_ic_var.h>

static const uint32_t hv_ic_frameworks[] = {
	HV_IC_VERSION(3, 0),
	HV_IC_VERSION(1, 0),
};

static uint32_t
hv_ic_pick(const uint32_t *ours, u_int nours,
    const struct hv_ic_version *theirs, u_int ntheirs)
{
	u_int i, j;

	for (i = 0; i < nours; i++) {
		for (j = 0; j < ntheirs; j++) {
			if (HV_IC_VERSION(theirs[j].iv_major,
			    theirs[j].iv_minor) == ours[i])
				return (ours[i]);
		}
	}
	return (0);
}

static struct hv_ic_version
hv_ic_wire_version(uint32_t version)
{
	struct hv_ic_version iv;

	iv.iv_major = HV_IC_VERSION_MAJOR(version);
	iv.iv_minor = HV_IC_VERSION_MINOR(version);
	return (iv);
}

/*
 * The answer keeps the request's length, as hosts know it from other guests;
 * its size tells how much of it counts.  A list that is cut off is one without
 * a common version.
 */
bool
hv_ic_negotiate(struct hv_ic_msg *im, const struct hv_ic_service *svc,
    uint32_t *fwver, uint32_t *msgver)
{
	struct hv_ic_nego *in = hv_ic_body(im);
	uint32_t len, fw, msg;
	u_int room, nfw, nmsg;

	len = hv_ic_body_len(im);
	if (len < HV_IC_NEGO_LEN)
		hv_ic_set_body_len(im, HV_IC_NEGO_LEN);
	room = len < HV_IC_NEGO_LEN ? 0 :
	    (len - HV_IC_NEGO_LEN) / sizeof(in->in_versions[0]);
	nfw = in->in_fwcnt;
	nmsg = in->in_msgcnt;
	fw = msg = 0;
	if (nfw + nmsg <= room) {
		fw = hv_ic_pick(hv_ic_frameworks, nitems(hv_ic_frameworks),
		    in->in_versions, nfw);
		msg = hv_ic_pick(svc->is_versions, svc->is_nversions,
		    in->in_versions + nfw, nmsg);
	}
	memset(in->in_versions, 0, room * sizeof(in->in_versions[0]));
	if (fw == 0 || msg == 0) {
		in->in_fwcnt = in->in_msgcnt = 0;
		im->im_hdr.ih_size = HV_IC_NEGO_LEN;
		*fwver = *msgver = 0;
		return (false);
	}
	in->in_fwcnt = in->in_msgcnt = 1;
	in->in_versions[0] = hv_ic_wire_version(fw);
	in->in_versions[1] = hv_ic_wire_version(msg);
	im->im_hdr.ih_size = HV_IC_NEGO_ANSWER_LEN;
	*fwver = fw;
	*msgver = msg;
	return (true);
}
