/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Everything under dev.hn.N.  Counters are kept per ring, without atomics, and
 * added up here, where nobody is in a hurry.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/sbuf.h>

#include <netinet/in.h>
#include <netinet/tcp_lro.h>

#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_POLL_MIN	100	/* Hz */

#define	HN_FILTER_BITS							\
	"\020\1DIRECTED\2MULTICAST\3ALLMULTI\4BROADCAST\6PROMISC"

/*
 * Adds up the 64-bit counter at an offset in the RX or TX rings.  One of an RX
 * ring is read while its channel counts on: in one load, which no lock needs
 * to make exact.
 */
static int
hn_sysctl_rx_sum(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint64_t sum;
	u_int i;

	sum = 0;
	for (i = 0; i < sc->sc_nalloc; i++)
		sum += *(volatile uint64_t *)((uintptr_t)&sc->sc_rxr[i] +
		    (uintptr_t)arg2);
	return (sysctl_handle_64(oidp, &sum, 0, req));
}

static int
hn_sysctl_tx_sum(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	struct hn_tx_ring *txr;
	uint64_t sum;
	u_int i;

	sum = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&txr->txr_mtx);
		sum += *(uint64_t *)((uintptr_t)txr + (uintptr_t)arg2);
		mtx_unlock(&txr->txr_mtx);
	}
	return (sysctl_handle_64(oidp, &sum, 0, req));
}

struct hn_sum {
	const char	*name;
	intptr_t	 ofs;
	const char	*descr;
};

#define	HN_RX_SUM(name, member, descr)					\
	{ name, __offsetof(struct hn_rx_ring, member), descr }
#define	HN_TX_SUM(name, member, descr)					\
	{ name, __offsetof(struct hn_tx_ring, member), descr }

static const struct hn_sum hn_rx_sums[] = {
	HN_RX_SUM("lro_queued", rxr_lro.lro_queued, "Packets LRO took"),
	HN_RX_SUM("lro_flushed", rxr_lro.lro_flushed, "Packets LRO made"),
	HN_RX_SUM("lro_tried", rxr_lro_tried, "Packets LRO was given"),
	HN_RX_SUM("csum_ip", rxr_csum_ip, "IP checksums the host checked"),
	HN_RX_SUM("csum_tcp", rxr_csum_tcp, "TCP checksums the host checked"),
	HN_RX_SUM("csum_udp", rxr_csum_udp, "UDP checksums the host checked"),
	HN_RX_SUM("csum_trusted", rxr_csum_trusted,
	    "Packets trusted without a word of the host"),
	HN_RX_SUM("small_pkts", rxr_small, "Packets copied, being small"),
	HN_RX_SUM("rx_copied", rxr_copied,
	    "Packets copied to spare the receive buffer"),
	HN_RX_SUM("rx_loaned", rxr_loaned, "Packets not copied"),
	HN_RX_SUM("rx_ack_failed", rxr_ack_failed,
	    "Acknowledgements that could not be sent"),
	HN_RX_SUM("rx_bad", rxr_bad, "What was received and made no sense"),
};

static const struct hn_sum hn_tx_sums[] = {
	HN_TX_SUM("no_txdescs", txr_no_descs,
	    "Times that all sends of a channel were under way"),
	HN_TX_SUM("send_failed", txr_send_failed, "Sends that failed"),
	HN_TX_SUM("txdma_failed", txr_dma_failed,
	    "Packets that could not be mapped"),
	HN_TX_SUM("agg_flush_failed", txr_flush_failed,
	    "Batches that could not be sent"),
	HN_TX_SUM("tx_collapsed", txr_collapsed,
	    "Packets that had too many pieces"),
	HN_TX_SUM("tx_chimney", txr_copied, "Packets copied to be sent"),
	HN_TX_SUM("tx_chimney_tried", txr_copy_tried,
	    "Packets small enough to be copied"),
	HN_TX_SUM("tx_rejected", txr_rejected, "Sends the host rejected"),
	HN_TX_SUM("tx_bad", txr_bad, "Completions that made no sense"),
};

/*
 * What "%b" of printf(9) prints, which not every compiler knows: a number in
 * hex and the names of its bits, which stand in a string behind its base, each
 * behind its number.
 */
static void
hn_sysctl_bits(struct sbuf *sb, uint32_t value, const char *names)
{
	char sep;
	u_int bit;

	sbuf_printf(sb, "%x", value);
	sep = '<';
	for (names++; *names != '\0';) {
		bit = (u_char)*names++ - 1;
		if ((value & (1u << bit)) != 0) {
			sbuf_putc(sb, sep);
			sep = ',';
		}
		for (; *names > ' '; names++) {
			if ((value & (1u << bit)) != 0)
				sbuf_putc(sb, *names);
		}
	}
	if (sep == ',')
		sbuf_putc(sb, '>');
}

/* What kind of text; the second argument of hn_sysctl_text(). */
enum {
	HN_TEXT_NDIS, HN_TEXT_CAPS, HN_TEXT_HWASSIST, HN_TEXT_FILTER,
	HN_TEXT_HASH, HN_TEXT_HASHCAP
};

static int
hn_sysctl_text(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	struct sbuf sb;
	int error;

	sbuf_new_for_sysctl(&sb, NULL, 128, req);
	sx_slock(&sc->sc_lock);
	switch (arg2) {
	case HN_TEXT_NDIS:
		sbuf_printf(&sb, "%u.%u",
		    NDIS_VERSION_MAJOR(sc->sc_ndis_version),
		    NDIS_VERSION_MINOR(sc->sc_ndis_version));
		break;
	case HN_TEXT_CAPS:
		hn_sysctl_bits(&sb, sc->sc_caps, HN_CAP_BITS);
		break;
	case HN_TEXT_HWASSIST:
		hn_sysctl_bits(&sb, (uint32_t)if_gethwassist(sc->sc_ifp),
		    CSUM_BITS);
		break;
	case HN_TEXT_FILTER:
		hn_sysctl_bits(&sb, sc->sc_filter, HN_FILTER_BITS);
		break;
	case HN_TEXT_HASH:
		hn_sysctl_bits(&sb, sc->sc_rss_hash, NDIS_HASH_BITS);
		break;
	case HN_TEXT_HASHCAP:
		hn_sysctl_bits(&sb, sc->sc_rss_hcap, NDIS_HASH_BITS);
		break;
	}
	sx_sunlock(&sc->sc_lock);
	error = sbuf_finish(&sb);
	sbuf_delete(&sb);
	return (error);
}

static const struct {
	const char	*name;
	int		 kind;
	const char	*descr;
} hn_texts[] = {
	{ "ndis_version", HN_TEXT_NDIS, "NDIS version" },
	{ "caps", HN_TEXT_CAPS, "What the host offers" },
	{ "hwassist", HN_TEXT_HWASSIST, "What the stack leaves to the host" },
	{ "rxfilter", HN_TEXT_FILTER, "What the host lets through" },
	{ "rss_hash", HN_TEXT_HASH, "What RSS hashes" },
	{ "rss_hashcap", HN_TEXT_HASHCAP, "What RSS could hash" },
	{ "mbuf_hash", HN_TEXT_HASH, "Hashes that packets are given" },
};

/* Limits that the stack has of the interface. */
enum { HN_TSO_MAX, HN_TSO_SEGS, HN_TSO_SEGSIZE };

static int
hn_sysctl_tso(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int value;

	if (arg2 == HN_TSO_MAX)
		value = if_gethwtsomax(sc->sc_ifp);
	else if (arg2 == HN_TSO_SEGS)
		value = if_gethwtsomaxsegcount(sc->sc_ifp);
	else
		value = if_gethwtsomaxsegsize(sc->sc_ifp);
	return (sysctl_handle_int(oidp, &value, 0, req));
}

/* Settings of sending, which take effect at once; arg2: where in the softc. */
static int
hn_sysctl_limit(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int *setting = (u_int *)((uintptr_t)sc + (uintptr_t)arg2);
	int error, value;

	value = (int)atomic_load_int(setting);
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value < -1)
		return (EINVAL);
	sx_xlock(&sc->sc_lock);
	atomic_store_int(setting, (u_int)value);
	hn_ring_limits(sc);
	sx_xunlock(&sc->sc_lock);
	return (0);
}

static int
hn_sysctl_trust(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, value;

	value = (atomic_load_int(&sc->sc_trust) & (u_int)arg2) != 0;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value != 0)
		atomic_set_int(&sc->sc_trust, (u_int)arg2);
	else
		atomic_clear_int(&sc->sc_trust, (u_int)arg2);
	return (0);
}

/* The host is asked to coalesce from the next session on: that is now. */
static int
hn_sysctl_rsc(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int value;
	int error;

	value = sc->sc_rsc;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	sx_xlock(&sc->sc_lock);
	if (value != 0 && (sc->sc_caps & HN_CAP_RSC) == 0)
		error = EOPNOTSUPP;
	else if (hn_flagged(sc, HN_F_SYNTH) && !hn_gone(sc)) {
		sc->sc_rsc = value != 0;
		error = hn_offload_config(sc, sc->sc_mtu);
	} else
		error = ENXIO;
	sx_xunlock(&sc->sc_lock);
	return (error);
}

/* Instead of interrupts, from now on and in later sessions. */
static int
hn_sysctl_polling(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int value;
	int error;

	value = sc->sc_pollhz;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value != 0 && (value < HN_POLL_MIN || value > VMBUS_POLL_MAX))
		return (EINVAL);
	sx_xlock(&sc->sc_lock);
	sc->sc_pollhz = value;
	error = hn_chan_poll(sc);
	sx_xunlock(&sc->sc_lock);
	return (error);
}

/* What is to be known of the VF; the second argument of hn_sysctl_vf(). */
enum { HN_VF_NAME, HN_VF_ACTIVE_NAME, HN_VF_ACTIVE };

static int
hn_sysctl_vf(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	char name[IFNAMSIZ];
	int active;

	sx_slock(&sc->sc_lock);
	active = hn_vf_name(sc, name, sizeof(name));
	sx_sunlock(&sc->sc_lock);
	if (arg2 == HN_VF_ACTIVE)
		return (sysctl_handle_int(oidp, &active, 0, req));
	if (arg2 == HN_VF_ACTIVE_NAME && active == 0)
		name[0] = '\0';
	return (sysctl_handle_string(oidp, name, sizeof(name), req));
}

static int
hn_sysctl_accbpf(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, value;

	value = (int)atomic_load_int(&sc->sc_vf_accbpf);
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error == 0 && req->newptr != NULL)
		atomic_store_int(&sc->sc_vf_accbpf, value != 0);
	return (error);
}

/* Packets wait in the ring's queue: the host makes no room. */
static int
hn_sysctl_oactive(SYSCTL_HANDLER_ARGS)
{
	struct hn_tx_ring *txr = arg1;
	int value;

	mtx_lock(&txr->txr_mtx);
	value = txr->txr_wait != NULL || !buf_ring_empty(txr->txr_br);
	mtx_unlock(&txr->txr_mtx);
	return (sysctl_handle_int(oidp, &value, 0, req));
}

static int
hn_sysctl_descs(SYSCTL_HANDLER_ARGS)
{
	struct hn_tx_ring *txr = arg1;
	u_int avail;

	mtx_lock(&txr->txr_mtx);
	avail = txr->txr_ndesc - hn_tx_outstanding(txr);
	mtx_unlock(&txr->txr_mtx);
	return (sysctl_handle_int(oidp, &avail, 0, req));
}

static int
hn_sysctl_rss_key(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint8_t key[NDIS_RSS_KEY_SIZE];
	int error;

	sx_slock(&sc->sc_lock);
	memcpy(key, sc->sc_rss.rt_key, sizeof(key));
	sx_sunlock(&sc->sc_lock);
	error = SYSCTL_OUT(req, key, sizeof(key));
	if (error != 0 || req->newptr == NULL)
		return (error);
	error = SYSCTL_IN(req, key, sizeof(key));
	if (error != 0)
		return (error);
	sx_xlock(&sc->sc_lock);
	error = hn_rss_change(sc, key, NULL, 0);
	if (error == 0)
		sc->sc_rss_userkey = true;
	sx_xunlock(&sc->sc_lock);
	return (error);
}

static int
hn_sysctl_rss_ind(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint32_t ind[NDIS_RSS_IND_MAX];
	u_int cnt;
	int error;

	sx_slock(&sc->sc_lock);
	cnt = sc->sc_rss_nind;
	memcpy(ind, sc->sc_rss.rt_ind, sizeof(ind));
	sx_sunlock(&sc->sc_lock);
	error = SYSCTL_OUT(req, ind, cnt * sizeof(ind[0]));
	if (error != 0 || req->newptr == NULL)
		return (error);
	error = SYSCTL_IN(req, ind, cnt * sizeof(ind[0]));
	if (error != 0)
		return (error);
	sx_xlock(&sc->sc_lock);
	error = hn_rss_change(sc, NULL, ind, cnt);
	sx_xunlock(&sc->sc_lock);
	return (error);
}

/* How far LRO goes; arg2: where in its state, the same for all rings. */
static int
hn_sysctl_lro_length(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int i, value;
	int error;

	value = sc->sc_rxr[0].rxr_lro.lro_length_lim;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value < ETHERMTU || value > TCP_LRO_LENGTH_MAX)
		return (EINVAL);
	for (i = 0; i < sc->sc_nalloc; i++)
		sc->sc_rxr[i].rxr_lro.lro_length_lim = value;
	return (0);
}

/* As administrators count: packets, of which the first makes none. */
static int
hn_sysctl_lro_acks(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int i;
	int error, value;

	value = sc->sc_rxr[0].rxr_lro.lro_ackcnt_lim + 1;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value < 2 || value > TCP_LRO_ACKCNT_MAX + 1)
		return (EINVAL);
	for (i = 0; i < sc->sc_nalloc; i++)
		sc->sc_rxr[i].rxr_lro.lro_ackcnt_lim = value - 1;
	return (0);
}

static void
hn_sysctl_session(struct hn_softc *sc, struct sysctl_oid_list *list)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	u_int i;

	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "nvs_version", CTLFLAG_RD,
	    &sc->sc_nvs_version, 0, "Network protocol version");
	for (i = 0; i < nitems(hn_texts); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, hn_texts[i].name,
		    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    hn_texts[i].kind, hn_sysctl_text, "A", hn_texts[i].descr);
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "tso_max", CTLTYPE_UINT |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_TSO_MAX, hn_sysctl_tso, "IU",
	    "Bytes that are handed over to be segmented");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "tso_maxsegcnt", CTLTYPE_UINT |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_TSO_SEGS, hn_sysctl_tso,
	    "IU", "In so many pieces at most");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "tso_maxsegsz", CTLTYPE_UINT |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_TSO_SEGSIZE, hn_sysctl_tso,
	    "IU", "Of so many bytes at most");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "rss_ind_size", CTLFLAG_RD,
	    &sc->sc_rss_nind, 0, "Entries of the RSS table");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "rss_key", CTLTYPE_OPAQUE |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_rss_key, "IU",
	    "RSS key");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "rss_ind", CTLTYPE_OPAQUE |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_rss_ind, "IU",
	    "RSS table: channels");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "rsc_switch", CTLTYPE_UINT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_rsc, "IU",
	    "Have the host coalesce what is received");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "polling", CTLTYPE_UINT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_polling, "IU",
	    "Looks at the channels a second, 0: as the host signals");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "rndis_agg_size", CTLFLAG_RD,
	    &sc->sc_agg_size, 0, "Bytes of a batch the host takes");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "rndis_agg_pkts", CTLFLAG_RD,
	    &sc->sc_agg_pkts, 0, "Packets of a batch the host takes");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "rndis_agg_align", CTLFLAG_RD,
	    &sc->sc_agg_align, 0, "Alignment of packets in a batch, bytes");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "vf", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_VF_NAME, hn_sysctl_vf, "A",
	    "Virtual function");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "rxvf", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_VF_ACTIVE_NAME, hn_sysctl_vf,
	    "A", "Virtual function that packets go through");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "vf_xpnt_enabled", CTLTYPE_INT |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, HN_VF_ACTIVE, hn_sysctl_vf, "I",
	    "Packets go through the virtual function");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "vf_xpnt_accbpf", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_accbpf, "I",
	    "bpf(4) sees what the virtual function has taken, and nothing "
	    "else");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "late_replies", CTLFLAG_RD,
	    &sc->sc_late, 0, "Answers to control requests nobody waited for");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "bad_messages", CTLFLAG_RD,
	    &sc->sc_bad, 0, "Control messages that made no sense");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "link_events", CTLFLAG_RD,
	    &sc->sc_link_events, 0, "Indications of the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "reattaches", CTLFLAG_RD,
	    &sc->sc_reattaches, 0, "Sessions after the first");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "lost_bytes", CTLFLAG_RD,
	    &sc->sc_lost_bytes, 0, "Memory the host did not give back");
}

static void
hn_sysctl_rx(struct hn_softc *sc, struct sysctl_oid_list *list)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	u_int i;

	for (i = 0; i < nitems(hn_rx_sums); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, hn_rx_sums[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    hn_rx_sums[i].ofs, hn_sysctl_rx_sum, "QU",
		    hn_rx_sums[i].descr);
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "lro_length_lim", CTLTYPE_UINT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_lro_length, "IU",
	    "Bytes LRO puts together");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "lro_ackcnt_lim", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0, hn_sysctl_lro_acks, "I",
	    "Acknowledgements LRO puts together");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "trust_hosttcp", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, HN_TRUST_TCP, hn_sysctl_trust,
	    "I", "TCP checksums are good if the host says nothing of them");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "trust_hostudp", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, HN_TRUST_UDP, hn_sysctl_trust,
	    "I", "UDP checksums are good if the host says nothing of them");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "trust_hostip", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc, HN_TRUST_IP, hn_sysctl_trust,
	    "I", "IP checksums are good if the host says nothing of them");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "rx_ring_cnt", CTLFLAG_RD,
	    &sc->sc_nalloc, 0, "RX rings there are");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "rx_ring_inuse", CTLFLAG_RD,
	    &sc->sc_nrings, 0, "RX rings in use");
}

static void
hn_sysctl_tx(struct hn_softc *sc, struct sysctl_oid_list *list)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct hn_tx_ring *txr = &sc->sc_txr[0];
	u_int i;

	for (i = 0; i < nitems(hn_tx_sums); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, hn_tx_sums[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    hn_tx_sums[i].ofs, hn_sysctl_tx_sum, "QU",
		    hn_tx_sums[i].descr);
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "txdesc_cnt", CTLFLAG_RD,
	    &txr->txr_ndesc, 0, "Sends of a channel that can be under way");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "tx_chimney_max", CTLFLAG_RD,
	    &sc->sc_txbuf.tb_sectsz, 0, "Bytes of a section");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "tx_chimney_size", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    __offsetof(struct hn_softc, sc_copy_size), hn_sysctl_limit, "I",
	    "Packets up to this size are copied, 0: that fit into a section");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "agg_size", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    __offsetof(struct hn_softc, sc_user_agg_size), hn_sysctl_limit,
	    "I", "Bytes of a batch, -1: as the host says, 0: no batches");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "agg_pkts", CTLTYPE_INT |
	    CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    __offsetof(struct hn_softc, sc_user_agg_pkts), hn_sysctl_limit,
	    "I", "Packets of a batch, -1: as the host says, 0: no batches");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "agg_szmax", CTLFLAG_RD,
	    &txr->txr_lim.al_size, 0, "Bytes of a batch in use");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "agg_pktmax", CTLFLAG_RD,
	    &txr->txr_lim.al_pkts, 0, "Packets of a batch in use");
	SYSCTL_ADD_U32(ctx, list, OID_AUTO, "agg_align", CTLFLAG_RD,
	    &txr->txr_lim.al_align, 0, "Alignment in use, bytes");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "tx_ring_cnt", CTLFLAG_RD,
	    &sc->sc_nalloc, 0, "TX rings there are");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "tx_ring_inuse", CTLFLAG_RD,
	    &sc->sc_nrings, 0, "TX rings in use");
}

/* dev.hn.N.rx.M or dev.hn.N.tx.M; NULL if there is no memory. */
static struct sysctl_oid_list *
hn_sysctl_ring(struct hn_softc *sc, struct sysctl_oid *parent, u_int idx)
{
	struct sysctl_oid *oid;
	char name[16];

	if (parent == NULL)
		return (NULL);
	snprintf(name, sizeof(name), "%u", idx);
	oid = SYSCTL_ADD_NODE(&sc->sc_sysctl, SYSCTL_CHILDREN(parent),
	    OID_AUTO, name, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	return (oid == NULL ? NULL : SYSCTL_CHILDREN(oid));
}

static void
hn_sysctl_rings(struct hn_softc *sc, struct sysctl_oid_list *list)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct sysctl_oid *rx, *tx;
	struct hn_rx_ring *rxr;
	struct hn_tx_ring *txr;
	u_int i;

	rx = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, "rx",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	tx = SYSCTL_ADD_NODE(ctx, list, OID_AUTO, "tx",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	for (i = 0; i < sc->sc_nalloc; i++) {
		rxr = &sc->sc_rxr[i];
		list = hn_sysctl_ring(sc, rx, i);
		if (list == NULL)
			continue;
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "packets", CTLFLAG_RD,
		    &rxr->rxr_pkts, 0, "Packets received");
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rss_pkts", CTLFLAG_RD,
		    &rxr->rxr_rss_pkts, 0, "Of them with a hash");
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rsc_pkts", CTLFLAG_RD,
		    &rxr->rxr_rsc_pkts, 0, "Of them coalesced by the host");
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "rsc_drop", CTLFLAG_RD,
		    &rxr->rxr_rsc_drop, 0, "Coalesced ones dropped");
	}
	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		list = hn_sysctl_ring(sc, tx, i);
		if (list == NULL)
			continue;
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "packets", CTLFLAG_RD,
		    &txr->txr_pkts, 0, "Packets sent");
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, "sends", CTLFLAG_RD,
		    &txr->txr_sends, 0, "Sends that they took");
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "txdesc_avail",
		    CTLTYPE_UINT | CTLFLAG_RD | CTLFLAG_MPSAFE, txr, 0,
		    hn_sysctl_descs, "IU", "Sends that could be begun");
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "oactive",
		    CTLTYPE_INT | CTLFLAG_RD | CTLFLAG_MPSAFE, txr, 0,
		    hn_sysctl_oactive, "I",
		    "Packets wait until the host makes room");
	}
}

void
hn_sysctl_attach(struct hn_softc *sc)
{
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	sysctl_ctx_init(&sc->sc_sysctl);
	sc->sc_sysctl_init = true;
	hn_sysctl_session(sc, list);
	hn_sysctl_rx(sc, list);
	hn_sysctl_tx(sc, list);
	hn_sysctl_rings(sc, list);
}

/* Waits for handlers, which may take sc_lock. */
void
hn_sysctl_detach(struct hn_softc *sc)
{

	if (!sc->sc_sysctl_init)
		return;
	(void)sysctl_ctx_free(&sc->sc_sysctl);
	sc->sc_sysctl_init = false;
}
