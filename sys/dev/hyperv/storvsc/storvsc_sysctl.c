/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Everything under dev.storvsc.N.  Counters are kept per channel, without
 * atomics, and added up here, where nobody is in a hurry.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/* Adds up the 64-bit counter at an offset in struct storvsc_chan. */
static int
storvsc_sysctl_sum64(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	struct storvsc_chan *c;
	uint64_t sum;
	u_int i;

	sum = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		sum += *(uint64_t *)((uintptr_t)c + (uintptr_t)arg2);
		mtx_unlock(&c->c_mtx);
	}
	return (sysctl_handle_64(oidp, &sum, 0, req));
}

static int
storvsc_sysctl_sum32(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	struct storvsc_chan *c;
	u_int i, sum;

	sum = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		sum += *(uint32_t *)((uintptr_t)c + (uintptr_t)arg2);
		mtx_unlock(&c->c_mtx);
	}
	return (sysctl_handle_int(oidp, &sum, 0, req));
}

static int
storvsc_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	char buf[16];

	snprintf(buf, sizeof(buf), "%u.%u",
	    STORVSC_VERSION_MAJOR(sc->sc_version),
	    STORVSC_VERSION_MINOR(sc->sc_version));
	return (sysctl_handle_string(oidp, buf, sizeof(buf), req));
}

struct storvsc_sum {
	const char	*name;
	intptr_t	 ofs;
	const char	*descr;
};

#define	STORVSC_SUM(name, member, descr)				\
	{ name, __offsetof(struct storvsc_chan, member), descr }

static const struct storvsc_sum storvsc_sums64[] = {
	STORVSC_SUM("data_bio_cnt", c_bio, "Requests with a bio"),
	STORVSC_SUM("data_vaddr_cnt", c_vaddr,
	    "Requests with a virtual address"),
	STORVSC_SUM("data_sg_cnt", c_sg,
	    "Requests with a scatter/gather list"),
	STORVSC_SUM("data_copied_cnt", c_copies,
	    "Copies of scatter/gather lists with holes"),
	STORVSC_SUM("requests", c_sends, "Requests sent to the host"),
	STORVSC_SUM("retries", c_retries,
	    "Sends put off since the ring was full"),
	STORVSC_SUM("bad_packets", c_bad,
	    "Packets of the host that made no sense"),
	STORVSC_SUM("late_replies", c_late,
	    "Answers to control requests that came too late"),
};

static const struct storvsc_sum storvsc_sums32[] = {
	STORVSC_SUM("outstanding", c_out, "Requests under way"),
	STORVSC_SUM("max_outstanding", c_maxout,
	    "Sum of the most requests under way on each channel"),
};

static void
storvsc_sysctl_controller(struct storvsc_softc *sc,
    struct sysctl_oid_list *list)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	u_int i;

	for (i = 0; i < nitems(storvsc_sums64); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, storvsc_sums64[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    storvsc_sums64[i].ofs, storvsc_sysctl_sum64, "QU",
		    storvsc_sums64[i].descr);
	for (i = 0; i < nitems(storvsc_sums32); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, storvsc_sums32[i].name,
		    CTLTYPE_UINT | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    storvsc_sums32[i].ofs, storvsc_sysctl_sum32, "IU",
		    storvsc_sums32[i].descr);
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "version", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0, storvsc_sysctl_version, "A",
	    "Storage protocol version");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "channels", CTLFLAG_RD,
	    &sc->sc_nchan, 0, "Channels in use");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "max_transfer", CTLFLAG_RD,
	    &sc->sc_maxio, 0, "Bytes a request can move");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "max_requests", CTLFLAG_RD,
	    &sc->sc_maxreqs, 0, "Requests that can be under way");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &sc->sc_timeouts, 0, "Requests that ran out of time");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "lun_resets", CTLFLAG_RD,
	    &sc->sc_lun_resets, 0, "Unit resets");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "bus_resets", CTLFLAG_RD,
	    &sc->sc_bus_resets, 0, "Bus resets");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "reconnects", CTLFLAG_RD,
	    &sc->sc_reconnects, 0, "Times all channels were reopened");
}

/*
 * dev.storvsc.N.channel.<id>, beside what vmbus has to say of the channel.
 * Made anew when the controller connects anew: channels have other ids then.
 */
void
storvsc_sysctl_attach(struct storvsc_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct sysctl_oid_list *list;
	struct sysctl_oid *oid;
	struct storvsc_chan *c;
	char name[16];
	u_int i;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	sysctl_ctx_init(ctx);
	sc->sc_sysctl_init = true;
	storvsc_sysctl_controller(sc, list);
	oid = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, "channel",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (oid == NULL)
		return;
	list = SYSCTL_CHILDREN(oid);
	for (i = 0; i < sc->sc_nchan; i++) {
		c = sc->sc_chan[i];
		snprintf(name, sizeof(name), "%u", c->c_id);
		oid = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, name,
		    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
		if (oid == NULL)
			continue;
		SYSCTL_ADD_U64(ctx, SYSCTL_CHILDREN(oid), OID_AUTO,
		    "send_req", CTLFLAG_RD, &c->c_sends, 0,
		    "Requests sent on this channel");
	}
}

void
storvsc_sysctl_detach(struct storvsc_softc *sc)
{

	if (!sc->sc_sysctl_init)
		return;
	(void)sysctl_ctx_free(&sc->sc_sysctl);
	sc->sc_sysctl_init = false;
}
