/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Controllers and their units come and go: the public functions of storage.
 * protocol: storvsc, 1, 9 and 10
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storvsp_var.h"

#define	STORVSP_DEFAULT_TRANSFER	(1u << 20)

static const char storvsp_scsi_class[] = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f";
static const char storvsp_ide_class[] = "32412632-86cb-44a2-9b5c-50d1417354f5";

/* --- Units --- */

static void
storvsp_reap(void *arg)
{
	struct hvh_scsi *sc = arg;
	struct scsi_lun *lun, *next;

	for (lun = LIST_FIRST(&sc->dying); lun != NULL; lun = next) {
		next = LIST_NEXT(lun, dying);
		if (lun->busy == 0) {
			LIST_REMOVE(lun, dying);
			scsi_lun_destroy(lun);
		}
	}
}

/* Not at once: a back end may be up the stack. */
void
storvsp_lun_idle(struct hvh_scsi *sc)
{

	hvh_timer_set(sc->h, &sc->reaper, hvh_now(sc->h));
}

/*
 * The disk's 16 bytes of identity: the controller's instance and the unit, so
 * stable over restarts.  The unit's number goes where all designators made
 * from them keep it.
 */
static void
storvsp_lun_id(const struct hvh_scsi *sc, unsigned lun, uint8_t id[16])
{

	memcpy(id, sc->instance.b, 16);
	id[15] ^= (uint8_t)lun;
}

static int
storvsp_attach(struct hvh_scsi *sc, unsigned lun,
    const struct hvh_lun_params *lp)
{
	uint8_t id[16];
	int error;

	if (lun >= STORVSP_LUNS)
		return (EINVAL);
	if (sc->luns[lun] != NULL)
		return (EEXIST);
	storvsp_lun_id(sc, lun, id);
	error = scsi_lun_create(sc->h, lp, id, sc->max_transfer,
	    &sc->luns[lun]);
	if (error == 0)
		storvsp_rescan(sc);
	return (error);
}

int
hvh_scsi_attach(struct hvh_scsi *sc, unsigned lun,
    const struct hvh_lun_params *lp)
{
	int error;

	hvh_lock(sc->h);
	if (sc->gone || hvh_chan_revoked(sc->primary))
		error = ENODEV;
	else
		error = sc->ide ? EINVAL : storvsp_attach(sc, lun, lp);
	hvh_unlock(sc->h);
	return (error);
}

int
hvh_scsi_detach(struct hvh_scsi *sc, unsigned lun)
{
	struct storvsp_chan *c, *next;
	struct hvh *h = sc->h;
	struct scsi_lun *l;

	hvh_lock(h);
	l = !sc->ide && lun < STORVSP_LUNS ? sc->luns[lun] : NULL;
	if (l == NULL) {
		hvh_unlock(h);
		return (ENOENT);
	}
	sc->luns[lun] = NULL;
	sc->dirty &= ~(1ull << lun);
	l->dead = true;
	LIST_INSERT_HEAD(&sc->dying, l, dying);
	for (c = LIST_FIRST(&sc->chans); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		storvsp_abort(c, l, UINT64_MAX, SRB_INVALID_LUN);
	}
	storvsp_rescan(sc);
	if (l->busy == 0)
		storvsp_lun_idle(sc);
	hvh_unlock(h);
	hvh_kick(h);
	return (0);
}

/* --- Controllers --- */

static int
storvsp_new(struct hvh *h, const struct hvh_scsi_params *sp,
    struct hvh_scsi **scp)
{
	struct hvh_scsi *sc;

	if (sp->max_subchannels > STORVSP_MAX_SUBCHANNELS ||
	    sp->max_transfer % 4096 != 0 ||
	    sp->max_transfer > STORVSP_MAX_TRANSFER)
		return (EINVAL);
	sc = calloc(1, sizeof(*sc));
	if (sc == NULL)
		return (ENOMEM);
	sc->h = h;
	sc->instance = sp->instance;
	sc->max_version = sp->max_version != 0 ? sp->max_version :
	    VSTOR_VERSION_6_2;
	sc->max_subchannels = sp->max_subchannels;
	sc->monitored = sp->monitored;
	sc->max_transfer = sp->max_transfer != 0 ? sp->max_transfer :
	    STORVSP_DEFAULT_TRANSFER;
	/* One page more, as the first may begin in its middle. */
	sc->iovmax = (int)(sc->max_transfer / 4096) + 2;
	if (sc->iovmax < 4)
		sc->iovmax = 4;
	TAILQ_INIT(&sc->resets);
	LIST_INIT(&sc->chans);
	LIST_INIT(&sc->dying);
	sc->reaper.fn = storvsp_reap;
	sc->reaper.arg = sc;
	*scp = sc;
	return (0);
}

static void
storvsp_husk_free(struct hvh_husk *k)
{

	free((char *)k - offsetof(struct hvh_scsi, husk));
}

void
storvsp_released(void *dev)
{
	struct hvh_scsi *sc = dev;
	struct storvsp_chan *c;
	struct scsi_lun *lun;
	unsigned i;

	hvh_timer_clear(sc->h, &sc->reaper);
	for (i = 0; i < STORVSP_LUNS; i++) {
		if (sc->luns[i] != NULL)
			scsi_lun_destroy(sc->luns[i]);
		sc->luns[i] = NULL;
	}
	while ((lun = LIST_FIRST(&sc->dying)) != NULL) {
		LIST_REMOVE(lun, dying);
		scsi_lun_destroy(lun);
	}
	/* Only when the partition goes as a whole are there channels yet. */
	while ((c = LIST_FIRST(&sc->chans)) != NULL) {
		hvh_timer_clear(sc->h, &c->timer);
		storvsp_chan_free(c);
	}
	if (sc->removed) {
		free(sc);
		return;
	}
	/* Whoever rescinded it, its owner has the pointer. */
	sc->gone = true;
	sc->primary = NULL;
	sc->husk.free = storvsp_husk_free;
	hvh_husk_add(sc->h, &sc->husk);
}

static int
storvsp_offer(struct hvh_scsi *sc, const char *class, const void *udata,
    size_t len)
{
	struct hvh_offer of = { 0 };

	hvh_guid_parse(class, &of.type);
	of.instance = sc->instance;
	of.monitored = sc->monitored;
	if (len > 0)
		memcpy(of.udata, udata, len);
	return (hvh_chan_offer(sc->h, &of, &storvsp_chan_ops, sc,
	    &sc->primary));
}

int
hvh_scsi_add(struct hvh *h, const struct hvh_scsi_params *sp,
    struct hvh_scsi **scp)
{
	struct hvh_scsi *sc;
	int error;

	error = storvsp_new(h, sp, &sc);
	if (error != 0)
		return (error);
	hvh_lock(h);
	error = storvsp_offer(sc, storvsp_scsi_class, NULL, 0);
	hvh_unlock(h);
	if (error != 0)
		free(sc);
	else
		*scp = sc;
	return (error);
}

void
hvh_scsi_remove(struct hvh_scsi *sc)
{
	struct hvh *h = sc->h;

	hvh_lock(h);
	if (sc->gone) {
		hvh_husk_take(h, &sc->husk);
		free(sc);
	} else {
		sc->removed = true;
		if (!hvh_chan_revoked(sc->primary))
			hvh_chan_revoke(sc->primary);
	}
	hvh_unlock(h);
	hvh_kick(h);
}

int
hvh_ide_add(struct hvh *h, unsigned channel, unsigned drive,
    const struct hvh_lun_params *lp, struct hvh_scsi **scp)
{
	struct hvh_scsi_params sp = { 0 };
	struct vstor_ide_offer udata = { 0 };
	struct hvh_scsi *sc;
	char guid[37];
	int error;

	if (channel > 1 || drive > 1)
		return (EINVAL);
	/* What guests take the position from.  protocol: storvsc, 1 */
	strcpy(guid, "00000000-0000-8899-0000-000000000000");
	guid[7] = (char)('0' + channel);
	guid[12] = (char)('0' + drive);
	hvh_guid_parse(guid, &sp.instance);
	error = storvsp_new(h, &sp, &sc);
	if (error != 0)
		return (error);
	sc->ide = true;
	sc->path = (uint8_t)channel;
	sc->target = (uint8_t)drive;
	udata.path = sc->path;
	udata.target = sc->target;
	udata.flags = VSTOR_IDE_DEVICE;

	hvh_lock(h);
	error = storvsp_attach(sc, 0, lp);
	if (error == 0) {
		error = storvsp_offer(sc, storvsp_ide_class,
		    &udata, sizeof(udata));
		if (error != 0) {
			/* The back end is the caller's again. */
			lp->blk->attached = false;
			free(sc->luns[0]);
		}
	}
	hvh_unlock(h);
	if (error != 0)
		free(sc);
	else
		*scp = sc;
	return (error);
}
