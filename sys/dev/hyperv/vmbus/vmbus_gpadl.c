/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Guest memory shared with the host: GPADLs (protocol: vmbus, 6).  Each is on
 * the bus's list from the moment the host may know it until the host has
 * given it back, so that memory is never freed under the host's hands.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* The range buffer's length travels in 16 bits. */
#define	VMBUS_GPADL_MAXPAGES	((UINT16_MAX - 8) / 8)

struct vmbus_gpadl {
	TAILQ_ENTRY(vmbus_gpadl) gl_link;	/* (l) */
	uint32_t		 gl_id;		/* (c) */
	uint32_t		 gl_chan;	/* (l) 0: released */
	uint32_t		 gl_pri;	/* (l) its primary, or itself */
	size_t			 gl_size;	/* (c) */
	bool			 gl_lost;	/* (l) host did not answer */
	void			*gl_mem;	/* (l) to be freed with it */
};

/*
 * Writes the next message for npages pages at va: the header when *done is 0,
 * else a body.  Advances *done by the pages it names and returns its length.
 */
size_t
vmbus_gpadl_next(union vmbus_gpadl_msg *gm, uint32_t chan, uint32_t id,
    const uint8_t *va, u_int npages, u_int *done)
{
	struct vmbus_msg_gpadl_hdr *gh = &gm->gm_hdr;
	struct vmbus_msg_gpadl_body *gb = &gm->gm_body;
	uint64_t pfn;
	size_t hdrlen;
	uint8_t *pfns;
	u_int i, n;

	memset(gm, 0, sizeof(*gm));
	if (*done == 0) {
		gh->gh_hdr.mh_type = VMBUS_MSG_GPADL_HEADER;
		gh->gh_chan = chan;
		gh->gh_gpadl = id;
		gh->gh_rangelen = 8 + npages * sizeof(pfn);
		gh->gh_ranges = 1;
		gh->gh_len = ptoa(npages);
		hdrlen = __offsetof(struct vmbus_msg_gpadl_hdr, gh_pfn);
		n = MIN(npages, VMBUS_GPADL_HDR_PFNS);
	} else {
		gb->gb_hdr.mh_type = VMBUS_MSG_GPADL_BODY;
		gb->gb_gpadl = id;
		hdrlen = __offsetof(struct vmbus_msg_gpadl_body, gb_pfn);
		n = MIN(npages - *done, VMBUS_GPADL_BODY_PFNS);
	}
	pfns = (uint8_t *)gm + hdrlen;
	for (i = 0; i < n; i++) {
		pfn = atop(vtophys(va + ptoa((size_t)*done + i)));
		memcpy(pfns + i * sizeof(pfn), &pfn, sizeof(pfn));
	}
	*done += n;
	return (hdrlen + n * sizeof(pfn));
}

static struct vmbus_gpadl *
vmbus_gpadl_find(struct vmbus_softc *sc, uint32_t id)
{
	struct vmbus_gpadl *gl;

	VMBUS_ASSERT(sc);
	TAILQ_FOREACH(gl, &sc->sc_gpadls, gl_link) {
		if (gl->gl_id == id)
			return (gl);
	}
	return (NULL);
}

static struct vmbus_gpadl *
vmbus_gpadl_alloc(struct vmbus_channel *ch, size_t size)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_gpadl *gl;

	gl = malloc(sizeof(*gl), M_VMBUS, M_WAITOK | M_ZERO);
	gl->gl_chan = ch->ch_id;
	gl->gl_size = size;
	VMBUS_LOCK(sc);
	gl->gl_pri = ch->ch_primary != NULL ? ch->ch_primary->ch_id :
	    ch->ch_id;
	/* Never 0, and unique on the connection. */
	do {
		gl->gl_id = sc->sc_gpadl_next++;
	} while (gl->gl_id == 0 || vmbus_gpadl_find(sc, gl->gl_id) != NULL);
	TAILQ_INSERT_TAIL(&sc->sc_gpadls, gl, gl_link);
	VMBUS_UNLOCK(sc);
	return (gl);
}

static void
vmbus_gpadl_free(struct vmbus_softc *sc, struct vmbus_gpadl *gl)
{

	VMBUS_LOCK(sc);
	TAILQ_REMOVE(&sc->sc_gpadls, gl, gl_link);
	if (gl->gl_lost)
		sc->sc_stats.st_leaked_bytes -= gl->gl_size;
	VMBUS_UNLOCK(sc);
	free(gl->gl_mem, M_VMBUS);
	free(gl, M_VMBUS);
}

/*
 * The answer does not end with a rescind: hosts answer on rescinded channels
 * too, and without it the memory is not ours.
 */
static int
vmbus_gpadl_teardown(struct vmbus_softc *sc, struct vmbus_gpadl *gl)
{
	struct vmbus_msg_gpadl_teardown gt;
	struct vmbus_req rq;
	int error;

	/* A host that let go of the bus has let go of all memory (8.5). */
	if (!sc->sc_shared) {
		vmbus_gpadl_free(sc, gl);
		return (0);
	}
	memset(&gt, 0, sizeof(gt));
	gt.gt_hdr.mh_type = VMBUS_MSG_GPADL_TEARDOWN;
	gt.gt_chan = gl->gl_chan;
	gt.gt_gpadl = gl->gl_id;
	vmbus_req_begin(sc, &rq, VMBUS_MSG_GPADL_TORNDOWN, 0, gl->gl_id, NULL);
	error = vmbus_msg_send(sc, &gt, sizeof(gt));
	if (error != 0)
		vmbus_req_cancel(sc, &rq);
	else
		error = vmbus_req_wait(sc, &rq);
	if (error == 0) {
		vmbus_gpadl_free(sc, gl);
		return (0);
	}
	device_printf(sc->sc_dev, "channel %u: host keeps %zu bytes of shared "
	    "memory: %d\n", gl->gl_chan, gl->gl_size, error);
	VMBUS_LOCK(sc);
	gl->gl_lost = true;
	sc->sc_stats.st_leaked_bytes += gl->gl_size;
	VMBUS_UNLOCK(sc);
	return (error);
}

/*
 * On failure *idp is 0 when the host does not know the memory, else the id
 * with which the caller hands it to vmbus_gpadl_abandon().
 */
int
vmbus_gpadl_connect(struct vmbus_channel *ch, void *va, size_t size,
    uint32_t *idp)
{
	struct vmbus_softc *sc = ch->ch_sc;
	union vmbus_gpadl_msg gm;
	struct vmbus_gpadl *gl;
	struct vmbus_req rq;
	size_t len;
	u_int done, npages;
	int error;

	*idp = 0;
	if (size == 0 || (size & PAGE_MASK) != 0 ||
	    ((uintptr_t)va & PAGE_MASK) != 0 ||
	    atop(size) > VMBUS_GPADL_MAXPAGES)
		return (EINVAL);
	gl = vmbus_gpadl_alloc(ch, size);
	npages = atop(size);
	vmbus_req_begin(sc, &rq, VMBUS_MSG_GPADL_CREATED, ch->ch_id,
	    gl->gl_id, ch);
	error = 0;
	for (done = 0; done < npages && error == 0;) {
		len = vmbus_gpadl_next(&gm, ch->ch_id, gl->gl_id, va, npages,
		    &done);
		error = vmbus_msg_send(sc, &gm, len);
	}
	if (error != 0) {
		/* Incomplete: the host has mapped nothing (6.2). */
		vmbus_req_cancel(sc, &rq);
		vmbus_gpadl_free(sc, gl);
		return (EIO);
	}
	error = vmbus_req_wait(sc, &rq);
	if (error == 0 && rq.rq_status == 0) {
		*idp = gl->gl_id;
		return (0);
	}
	if (error == 0) {
		vmbus_gpadl_free(sc, gl);
		return (EIO);
	}
	/* It may have been created all the same. */
	if (vmbus_gpadl_teardown(sc, gl) != 0)
		*idp = gl->gl_id;
	return (error);
}

int
vmbus_gpadl_disconnect(struct vmbus_channel *ch, uint32_t id)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_gpadl *gl;

	VMBUS_LOCK(sc);
	gl = vmbus_gpadl_find(sc, id);
	if (gl != NULL && (gl->gl_chan != ch->ch_id || gl->gl_lost))
		gl = NULL;
	VMBUS_UNLOCK(sc);
	if (gl == NULL)
		return (EINVAL);
	return (vmbus_gpadl_teardown(sc, gl));
}

void
vmbus_gpadl_abandon(struct vmbus_channel *ch, uint32_t id, void *mem)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_gpadl *gl;

	VMBUS_LOCK(sc);
	gl = vmbus_gpadl_find(sc, id);
	if (gl != NULL)
		gl->gl_mem = mem;
	VMBUS_UNLOCK(sc);
	/* Given back in between. */
	if (gl == NULL)
		free(mem, M_VMBUS);
}

/* Whether the host still has memory of a primary or its sub-channels. */
bool
vmbus_gpadl_lost(struct vmbus_channel *pri)
{
	struct vmbus_softc *sc = pri->ch_sc;
	struct vmbus_gpadl *gl;

	VMBUS_LOCK(sc);
	TAILQ_FOREACH(gl, &sc->sc_gpadls, gl_link) {
		if (gl->gl_lost && gl->gl_pri == pri->ch_id)
			break;
	}
	VMBUS_UNLOCK(sc);
	return (gl != NULL);
}

/* The channel's id is about to be another's. */
void
vmbus_gpadl_disown(struct vmbus_channel *ch)
{
	struct vmbus_softc *sc = ch->ch_sc;
	struct vmbus_gpadl *gl;

	VMBUS_LOCK(sc);
	TAILQ_FOREACH(gl, &sc->sc_gpadls, gl_link) {
		if (gl->gl_pri == ch->ch_id)
			gl->gl_pri = 0;
		if (gl->gl_chan == ch->ch_id)
			gl->gl_chan = 0;
	}
	VMBUS_UNLOCK(sc);
}

/* TORN DOWN that nobody waits for any more. */
void
vmbus_gpadl_late(struct vmbus_softc *sc, uint32_t id)
{
	struct vmbus_gpadl *gl;

	VMBUS_LOCK(sc);
	gl = vmbus_gpadl_find(sc, id);
	if (gl != NULL && !gl->gl_lost)
		gl = NULL;
	VMBUS_UNLOCK(sc);
	if (gl != NULL)
		vmbus_gpadl_free(sc, gl);
}

void
vmbus_gpadl_forget(struct vmbus_softc *sc, bool given_back)
{
	struct vmbus_gpadl *gl;

	while ((gl = TAILQ_FIRST(&sc->sc_gpadls)) != NULL) {
		if (!given_back)
			gl->gl_mem = NULL;
		vmbus_gpadl_free(sc, gl);
	}
}
