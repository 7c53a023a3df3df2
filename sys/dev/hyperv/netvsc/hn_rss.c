/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Receive-side scaling: which channel the host puts a packet on.  It takes a
 * hash of the packet's addresses, with our key, for an index into our table
 * (protocol: netvsc, section 6.3).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/libkern.h>
#include <sys/socket.h>

#include <net/if.h>

#include <dev/hyperv/netvsc/hn_var.h>

/*
 * What can be asked for to be hashed, in the host's words and in those of
 * FreeBSD's programs.
 */
static const struct {
	uint32_t	ht_ndis;
	uint32_t	ht_type;
} hn_rss_types[] = {
	{ NDIS_HASH_IP4, RSS_TYPE_IPV4 },
	{ NDIS_HASH_TCP4, RSS_TYPE_TCP_IPV4 },
	{ NDIS_HASH_IP6, RSS_TYPE_IPV6 },
	{ NDIS_HASH_IP6_EX, RSS_TYPE_IPV6_EX },
	{ NDIS_HASH_TCP6, RSS_TYPE_TCP_IPV6 },
	{ NDIS_HASH_TCP6_EX, RSS_TYPE_TCP_IPV6_EX },
};

/*
 * An answer to the question for capabilities: queues, entries of the table,
 * and what can be hashed.
 */
int
hn_rss_parse(const void *data, size_t len, u_int *nrxq, u_int *nind,
    uint32_t *hash)
{
	struct ndis_rss_caps rk;

	if (len < NDIS_RSS_CAPS_SIZE_1)
		return (EPROTO);
	memset(&rk, 0, sizeof(rk));
	memcpy(&rk, data, MIN(len, NDIS_RSS_CAPS_SIZE_2));
	if (rk.rk_hdr.oh_type != NDIS_OBJECT_RSS_CAPS ||
	    rk.rk_hdr.oh_size < NDIS_RSS_CAPS_SIZE_1)
		return (EPROTO);
	*nind = NDIS_RSS_IND_MAX;
	if (rk.rk_hdr.oh_rev >= 2 && len >= NDIS_RSS_CAPS_SIZE_2 &&
	    rk.rk_hdr.oh_size >= NDIS_RSS_CAPS_SIZE_2)
		*nind = rk.rk_nind;
	*nrxq = rk.rk_nrxq;
	*hash = 0;
	if ((rk.rk_caps & NDIS_RSS_CAP_IP4) != 0)
		*hash |= NDIS_HASH_IP4 | NDIS_HASH_TCP4;
	if ((rk.rk_caps & NDIS_RSS_CAP_IP6) != 0)
		*hash |= NDIS_HASH_IP6 | NDIS_HASH_TCP6;
	if ((rk.rk_caps & NDIS_RSS_CAP_IP6_EX) != 0)
		*hash |= NDIS_HASH_IP6_EX | NDIS_HASH_TCP6_EX;
	if (*nind == 0 || *nind > NDIS_RSS_IND_MAX || *nrxq == 0 ||
	    *hash == 0 || (rk.rk_caps & NDIS_HASH_TOEPLITZ) == 0)
		return (EPROTO);
	*hash |= NDIS_HASH_TOEPLITZ;
	return (0);
}

/* Whether each entry names a ring that is in use. */
bool
hn_rss_table_ok(const uint32_t *ind, u_int cnt, u_int nrings)
{
	u_int i;

	for (i = 0; i < cnt; i++) {
		if (ind[i] >= nrings)
			return (false);
	}
	return (true);
}

/* What the host hashes from now on, so that its word of it is taken. */
static void
hn_rss_hashes(struct hn_softc *sc, uint32_t hash)
{
	u_int i;

	sc->sc_rss_hash = hash;
	for (i = 0; i < sc->sc_nalloc; i++)
		atomic_store_int(&sc->sc_rxr[i].rxr_hash,
		    hash & NDIS_HASH_TYPE_MASK);
}

/* Whatever goes wrong here means one ring, unless the device is lost. */
int
hn_rss_query(struct hn_softc *sc, u_int want, u_int *got)
{
	struct ndis_rss_caps in;
	uint8_t out[sizeof(in)];
	size_t len;
	u_int nrxq, nind;
	uint32_t hash;
	int error;

	*got = 1;
	sc->sc_rss_hcap = 0;
	hn_rss_hashes(sc, 0);
	sc->sc_rss_nind = 0;
	if (want <= 1 || sc->sc_ndis_version < NDIS_VERSION_6_20)
		return (0);
	memset(&in, 0, sizeof(in));
	in.rk_hdr.oh_type = NDIS_OBJECT_RSS_CAPS;
	in.rk_hdr.oh_rev = 2;
	in.rk_hdr.oh_size = NDIS_RSS_CAPS_SIZE_2;
	len = sizeof(out);
	error = hn_rndis_query(sc, HN_OID_GEN_RSS_CAPS, &in,
	    NDIS_RSS_CAPS_SIZE_2, out, &len, NDIS_RSS_CAPS_SIZE_1);
	if (error == 0)
		error = hn_rss_parse(out, len, &nrxq, &nind, &hash);
	if (error == 0) {
		sc->sc_rss_hcap = hash;
		sc->sc_rss_nind = nind;
		*got = MIN(want, MIN(nrxq, nind));
		return (0);
	}
	if (!hn_refused(error))
		return (error);
	if (bootverbose)
		device_printf(sc->sc_dev, "no RSS: error %d\n", error);
	return (0);
}

static int
hn_rss_send(struct hn_softc *sc, uint16_t flags)
{
	struct ndis_rss_params *rp = &sc->sc_rss.rt_params;
	size_t len;

	len = __offsetof(struct ndis_rss_toeplitz, rt_ind) +
	    sc->sc_rss_nind * sizeof(sc->sc_rss.rt_ind[0]);
	memset(rp, 0, sizeof(*rp));
	rp->rp_hdr.oh_type = NDIS_OBJECT_RSS_PARAMS;
	rp->rp_hdr.oh_rev = 2;
	rp->rp_hdr.oh_size = len;
	rp->rp_flags = flags;
	rp->rp_hash = sc->sc_rss_hcap;
	rp->rp_indsize = sc->sc_rss_nind * sizeof(sc->sc_rss.rt_ind[0]);
	rp->rp_indofs = __offsetof(struct ndis_rss_toeplitz, rt_ind);
	rp->rp_keysize = NDIS_RSS_KEY_SIZE;
	rp->rp_keyofs = __offsetof(struct ndis_rss_toeplitz, rt_key);
	return (hn_rndis_set(sc, HN_OID_GEN_RSS_PARAMS, &sc->sc_rss, len));
}

/*
 * The administrator's key and table stay from session to session, the table
 * only if the rings it names are there.  A host that has parameters already
 * takes new ones only when it is told to forget them.
 */
int
hn_rss_config(struct hn_softc *sc, bool again)
{
	u_int i, nrings;
	int error;

	nrings = atomic_load_int(&sc->sc_nrings);
	if (sc->sc_rss_nind == 0 || nrings <= 1)
		return (0);
	if (!sc->sc_rss_key)
		arc4rand(sc->sc_rss.rt_key, NDIS_RSS_KEY_SIZE, 0);
	sc->sc_rss_key = true;
	if (!sc->sc_rss_user || !hn_rss_table_ok(sc->sc_rss.rt_ind,
	    sc->sc_rss_nind, nrings)) {
		sc->sc_rss_user = false;
		for (i = 0; i < NDIS_RSS_IND_MAX; i++)
			sc->sc_rss.rt_ind[i] = i % nrings;
	}
	error = again ? hn_rss_send(sc, NDIS_RSS_FLAG_DISABLE) : 0;
	if (error == 0)
		error = hn_rss_send(sc, NDIS_RSS_FLAG_NONE);
	hn_rss_hashes(sc, error == 0 ? sc->sc_rss_hcap : 0);
	if (error != 0)
		device_printf(sc->sc_dev, "cannot set RSS parameters: error "
		    "%d\n", error);
	return (error);
}

/* A host that will not have what is new gets what it had. */
int
hn_rss_change(struct hn_softc *sc, const uint8_t *key, const uint32_t *ind,
    u_int cnt)
{
	struct ndis_rss_toeplitz *rt = &sc->sc_rss, old = *rt;
	bool had = sc->sc_rss_key, user = sc->sc_rss_user;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	if (sc->sc_rss_nind == 0 || !hn_flagged(sc, HN_F_SYNTH) ||
	    hn_gone(sc))
		return (ENXIO);
	if (key != NULL) {
		memcpy(rt->rt_key, key, NDIS_RSS_KEY_SIZE);
		sc->sc_rss_key = true;
	}
	if (ind != NULL) {
		if (cnt != sc->sc_rss_nind || !hn_rss_table_ok(ind, cnt,
		    atomic_load_int(&sc->sc_nrings)))
			return (EINVAL);
		memcpy(rt->rt_ind, ind, cnt * sizeof(ind[0]));
		sc->sc_rss_user = true;
	}
	error = hn_rss_config(sc, true);
	if (error != 0) {
		*rt = old;
		sc->sc_rss_key = had;
		sc->sc_rss_user = user;
		(void)hn_rss_config(sc, true);
	}
	return (error);
}

void
hn_rss_adopt(struct hn_softc *sc, const struct ifrsskey *rk)
{
	int error;

	if (sc->sc_rss_userkey || sc->sc_rss_hash == 0 ||
	    rk->ifrk_func != RSS_FUNC_TOEPLITZ ||
	    rk->ifrk_keylen != NDIS_RSS_KEY_SIZE ||
	    memcmp(rk->ifrk_key, sc->sc_rss.rt_key, NDIS_RSS_KEY_SIZE) == 0)
		return;
	error = hn_rss_change(sc, rk->ifrk_key, NULL, 0);
	if (error != 0 && bootverbose)
		device_printf(sc->sc_dev, "not the key of %s: error %d\n",
		    rk->ifrk_name, error);
}

static uint8_t
hn_rss_func(struct hn_softc *sc)
{

	sx_assert(&sc->sc_lock, SA_LOCKED);
	return (sc->sc_rss_hash != 0 ? RSS_FUNC_TOEPLITZ : RSS_FUNC_NONE);
}

void
hn_rss_get_key(struct hn_softc *sc, struct ifrsskey *rk)
{

	rk->ifrk_func = hn_rss_func(sc);
	rk->ifrk_keylen = 0;
	if (rk->ifrk_func == RSS_FUNC_NONE)
		return;
	rk->ifrk_keylen = NDIS_RSS_KEY_SIZE;
	memcpy(rk->ifrk_key, sc->sc_rss.rt_key, NDIS_RSS_KEY_SIZE);
}

void
hn_rss_get_hash(struct hn_softc *sc, struct ifrsshash *rh)
{
	u_int i;

	rh->ifrh_func = hn_rss_func(sc);
	rh->ifrh_types = 0;
	for (i = 0; i < nitems(hn_rss_types); i++) {
		if ((sc->sc_rss_hash & hn_rss_types[i].ht_ndis) != 0)
			rh->ifrh_types |= hn_rss_types[i].ht_type;
	}
}
