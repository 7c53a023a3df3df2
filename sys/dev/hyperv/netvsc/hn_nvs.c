/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network virtual service: protocol version, the two buffers that are
 * shared with the host for as long as a session lasts, sub-channels, and what
 * the host says unasked (protocol: netvsc, sections 2, 3 and 7).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <dev/hyperv/netvsc/hn_var.h>

/* Newest first. */
static const uint32_t hn_nvs_versions[] = {
	HN_NVS_VERSION_61,
	HN_NVS_VERSION_6,
	HN_NVS_VERSION_5,
	HN_NVS_VERSION_4,
	HN_NVS_VERSION_2,
	HN_NVS_VERSION_1,
};

/*
 * Asks for one version after the other.  Some hosts answer what they do not
 * know with another status than failure, so only success is a yes.
 */
static int
hn_nvs_negotiate(struct hn_softc *sc)
{
	struct hn_nvs_msg msg;
	u_int i;
	int error;

	for (i = 0; i < nitems(hn_nvs_versions); i++) {
		memset(&msg, 0, sizeof(msg));
		msg.nm_type = HN_NVS_TYPE_INIT;
		msg.nm_init.ni_min = hn_nvs_versions[i];
		msg.nm_init.ni_max = hn_nvs_versions[i];
		error = hn_xchg_nvs(sc, &msg, HN_NVS_TYPE_INIT_RESP,
		    sizeof(msg.nm_init_resp));
		if (error != 0) {
			device_printf(sc->sc_dev, "no answer to version "
			    "%#x: error %d\n", hn_nvs_versions[i], error);
			return (error);
		}
		if (msg.nm_init_resp.nr_status != HN_NVS_STATUS_OK)
			continue;
		sc->sc_nvs_version = hn_nvs_versions[i];
		sc->sc_ndis_version = sc->sc_nvs_version >=
		    HN_NVS_VERSION_5 ? NDIS_VERSION_6_30 : NDIS_VERSION_6_1;
		return (0);
	}
	device_printf(sc->sc_dev, "the host accepts no protocol version\n");
	return (EOPNOTSUPP);
}

/* Needs no answer, but has to come before the receive buffer. */
static int
hn_nvs_conf_ndis(struct hn_softc *sc, u_int mtu)
{
	struct hn_nvs_msg msg;
	int error;

	if (sc->sc_nvs_version >= HN_NVS_VERSION_2) {
		memset(&msg, 0, sizeof(msg));
		msg.nm_type = HN_NVS_TYPE_NDIS_CONF;
		msg.nm_ndis_conf.nc_mtu = mtu + ETHER_HDR_LEN;
		msg.nm_ndis_conf.nc_caps = HN_NVS_CAP_VLAN;
		if (sc->sc_nvs_version >= HN_NVS_VERSION_5)
			msg.nm_ndis_conf.nc_caps |= HN_NVS_CAP_SRIOV |
			    HN_NVS_CAP_TEAMING;
		if (sc->sc_nvs_version >= HN_NVS_VERSION_61)
			msg.nm_ndis_conf.nc_caps |= HN_NVS_CAP_RSC;
		error = hn_xchg_send(sc, &msg);
		if (error != 0)
			return (error);
	}
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_NDIS_INIT;
	msg.nm_ndis_init.nn_major = NDIS_VERSION_MAJOR(sc->sc_ndis_version);
	msg.nm_ndis_init.nn_minor = NDIS_VERSION_MINOR(sc->sc_ndis_version);
	return (hn_xchg_send(sc, &msg));
}

void
hn_rxbuf_ref(struct hn_rxbuf *rb)
{

	atomic_add_int(&rb->rb_refs, 1);
}

void
hn_rxbuf_rele(struct hn_rxbuf *rb)
{
	struct hn_softc *sc = rb->rb_sc;

	atomic_thread_fence_rel();
	if (atomic_fetchadd_int(&rb->rb_refs, -1) != 1)
		return;
	atomic_thread_fence_acq();
	if (!rb->rb_lost)
		free(rb->rb_mem, M_HN);
	free(rb, M_HN);
	atomic_subtract_int(&sc->sc_nrxbufs, 1);
}

/* Gives up the softc's reference. */
static void
hn_rxbuf_drop(struct hn_softc *sc)
{
	struct hn_rxbuf *rb = sc->sc_rxbuf;

	if (rb == NULL)
		return;
	sc->sc_rxbuf = NULL;
	hn_rxbuf_rele(rb);
}

/*
 * A receive buffer of which nothing is out on loan, so that what the host
 * writes from now on is nobody's packet.
 */
static void
hn_rxbuf_get(struct hn_softc *sc)
{
	struct hn_rxbuf *rb = sc->sc_rxbuf;
	size_t size;

	size = hn_rxbuf_size;
	if (sc->sc_nvs_version <= HN_NVS_VERSION_2)
		size = MIN(size, HN_RXBUF_SIZE_OLD);
	if (rb != NULL && rb->rb_size == size &&
	    atomic_load_acq_int(&rb->rb_refs) == 1)
		return;
	hn_rxbuf_drop(sc);
	rb = malloc(sizeof(*rb), M_HN, M_WAITOK | M_ZERO);
	rb->rb_refs = 1;
	rb->rb_sc = sc;
	rb->rb_size = size;
	rb->rb_mem = malloc(size, M_HN, M_WAITOK | M_ZERO);
	atomic_add_int(&sc->sc_nrxbufs, 1);
	sc->sc_rxbuf = rb;
}

/*
 * The host divides the receive buffer into pieces, and says how.  It has never
 * had more than one section of them.
 */
static int
hn_rxbuf_check(struct hn_softc *sc, const struct hn_nvs_rxbuf_resp *nx)
{
	const struct hn_nvs_rxbuf_sect *ns = &nx->nx_sect;

	if (nx->nx_status != HN_NVS_STATUS_OK) {
		device_printf(sc->sc_dev, "receive buffer refused: status "
		    "%u\n", nx->nx_status);
		return (EIO);
	}
	if (nx->nx_nsect != 1 || ns->ns_start != 0 ||
	    ns->ns_size < sizeof(struct hn_rndis_packet) || ns->ns_cnt == 0 ||
	    (uint64_t)ns->ns_size * ns->ns_cnt > sc->sc_rxbuf->rb_size) {
		device_printf(sc->sc_dev, "receive buffer in %u sections, %u "
		    "pieces of %u bytes from %u\n", nx->nx_nsect, ns->ns_cnt,
		    ns->ns_size, ns->ns_start);
		return (EPROTO);
	}
	sc->sc_rxpiece = ns->ns_size;
	sc->sc_nrxpieces = ns->ns_cnt;
	return (0);
}

static int
hn_nvs_share_rxbuf(struct hn_softc *sc)
{
	struct hn_rxbuf *rb;
	struct hn_nvs_msg msg;
	int error;

	hn_rxbuf_get(sc);
	rb = sc->sc_rxbuf;
	error = vmbus_ch_gpadl_connect(vmbus_get_channel(sc->sc_dev),
	    rb->rb_mem, rb->rb_size, &rb->rb_gpadl);
	if (error != 0) {
		device_printf(sc->sc_dev, "cannot share the receive buffer: "
		    "error %d\n", error);
		rb->rb_lost = rb->rb_gpadl != 0;
		rb->rb_gpadl = 0;
		return (error);
	}
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_RXBUF_CONN;
	msg.nm_buf_conn.nb_gpadl = rb->rb_gpadl;
	msg.nm_buf_conn.nb_id = HN_NVS_RXBUF_ID;
	rb->rb_shared = true;
	error = hn_xchg_nvs(sc, &msg, HN_NVS_TYPE_RXBUF_CONNRESP,
	    sizeof(msg.nm_rxbuf_resp));
	if (error == 0)
		error = hn_rxbuf_check(sc, &msg.nm_rxbuf_resp);
	return (error);
}

/*
 * Without a send buffer everything is sent by naming its pages, so that nothing
 * here but a lost device fails a session.
 */
static int
hn_nvs_share_txbuf(struct hn_softc *sc)
{
	struct hn_txbuf *tb = &sc->sc_txbuf;
	struct hn_nvs_msg msg;
	uint32_t sectsz;
	int error;

	tb->tb_nsect = 0;
	tb->tb_sectsz = 0;
	if (hn_txbuf_size == 0)
		return (0);
	if (tb->tb_mem == NULL) {
		tb->tb_size = hn_txbuf_size;
		tb->tb_mem = malloc(tb->tb_size, M_HN, M_WAITOK | M_ZERO);
	}
	error = vmbus_ch_gpadl_connect(vmbus_get_channel(sc->sc_dev),
	    tb->tb_mem, tb->tb_size, &tb->tb_gpadl);
	if (error != 0) {
		if (tb->tb_gpadl != 0)
			tb->tb_mem = NULL;
		tb->tb_gpadl = 0;
		return (error);
	}
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_TXBUF_CONN;
	msg.nm_buf_conn.nb_gpadl = tb->tb_gpadl;
	msg.nm_buf_conn.nb_id = HN_NVS_TXBUF_ID;
	tb->tb_shared = true;
	error = hn_xchg_nvs(sc, &msg, HN_NVS_TYPE_TXBUF_CONNRESP,
	    sizeof(msg.nm_txbuf_resp));
	if (error != 0)
		return (error);
	sectsz = msg.nm_txbuf_resp.nt_sectsz;
	if (msg.nm_txbuf_resp.nt_status != HN_NVS_STATUS_OK || sectsz == 0 ||
	    sectsz % sizeof(uint32_t) != 0 || sectsz > tb->tb_size) {
		device_printf(sc->sc_dev, "no send buffer: status %u, "
		    "sections of %u bytes\n", msg.nm_txbuf_resp.nt_status,
		    sectsz);
		return (0);
	}
	tb->tb_sectsz = sectsz;
	tb->tb_nsect = tb->tb_size / sectsz;
	return (0);
}

int
hn_nvs_attach(struct hn_softc *sc, u_int mtu)
{
	int error;

	/* Nothing has been said so far in this session. */
	atomic_store_int(&sc->sc_txtbl_valid, 0);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~HN_F_NO_VF;
	mtx_unlock(&sc->sc_mtx);
	error = hn_nvs_negotiate(sc);
	if (error == 0)
		error = hn_nvs_conf_ndis(sc, mtu);
	if (error == 0)
		error = hn_nvs_share_rxbuf(sc);
	if (error == 0)
		error = hn_nvs_share_txbuf(sc);
	if (error != 0)
		return (error);
	sc->sc_mtu = mtu;
	return (0);
}

static void
hn_nvs_disconn(struct hn_softc *sc, uint32_t type, uint16_t id)
{
	struct hn_nvs_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.nm_type = type;
	msg.nm_buf_disconn.nd_id = id;
	(void)hn_xchg_send(sc, &msg);
}

/*
 * Not answered; what follows on the bus must not overtake these, so they get a
 * moment.
 */
void
hn_nvs_revoke(struct hn_softc *sc)
{
	bool linger;

	linger = false;
	if (sc->sc_rxbuf != NULL && sc->sc_rxbuf->rb_shared) {
		hn_nvs_disconn(sc, HN_NVS_TYPE_RXBUF_DISCONN,
		    HN_NVS_RXBUF_ID);
		sc->sc_rxbuf->rb_shared = false;
		linger = true;
	}
	if (sc->sc_txbuf.tb_shared) {
		hn_nvs_disconn(sc, HN_NVS_TYPE_TXBUF_DISCONN,
		    HN_NVS_TXBUF_ID);
		sc->sc_txbuf.tb_shared = false;
		linger = true;
	}
	if (linger)
		hn_linger(sc, HN_REVOKE_LINGER_MS);
}

static void
hn_nvs_lost(struct hn_softc *sc, size_t bytes)
{

	mtx_lock(&sc->sc_mtx);
	sc->sc_lost_bytes += bytes;
	mtx_unlock(&sc->sc_mtx);
}

/* A buffer that the host does not give back is not used again, nor freed. */
void
hn_nvs_unshare(struct hn_softc *sc)
{
	struct vmbus_channel *ch = vmbus_get_channel(sc->sc_dev);
	struct hn_rxbuf *rb = sc->sc_rxbuf;
	struct hn_txbuf *tb = &sc->sc_txbuf;

	if (rb != NULL && rb->rb_gpadl != 0) {
		rb->rb_lost = vmbus_ch_gpadl_disconnect(ch,
		    rb->rb_gpadl) != 0;
		rb->rb_gpadl = 0;
		rb->rb_shared = false;
	}
	if (rb != NULL && rb->rb_lost) {
		hn_nvs_lost(sc, rb->rb_size);
		hn_rxbuf_drop(sc);
	}
	if (tb->tb_gpadl != 0) {
		if (vmbus_ch_gpadl_disconnect(ch, tb->tb_gpadl) != 0) {
			hn_nvs_lost(sc, tb->tb_size);
			tb->tb_mem = NULL;
		}
		tb->tb_gpadl = 0;
		tb->tb_shared = false;
	}
}

void
hn_nvs_free(struct hn_softc *sc)
{

	hn_rxbuf_drop(sc);
	free(sc->sc_txbuf.tb_mem, M_HN);
	sc->sc_txbuf.tb_mem = NULL;
}

u_int
hn_nvs_subchannels(struct hn_softc *sc, u_int cnt)
{
	struct hn_nvs_msg msg;
	int error;

	if (cnt == 0 || sc->sc_nvs_version < HN_NVS_VERSION_5)
		return (0);
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_SUBCH;
	msg.nm_subch_req.nq_op = HN_NVS_SUBCH_ALLOC;
	msg.nm_subch_req.nq_cnt = cnt;
	error = hn_xchg_nvs(sc, &msg, HN_NVS_TYPE_SUBCH,
	    sizeof(msg.nm_subch_resp));
	if (error == 0 && msg.nm_subch_resp.nu_status != HN_NVS_STATUS_OK)
		error = EIO;
	if (error != 0) {
		device_printf(sc->sc_dev, "no sub-channels: error %d\n",
		    error);
		return (0);
	}
	return (MIN(msg.nm_subch_resp.nu_cnt, cnt));
}

int
hn_nvs_set_datapath(struct hn_softc *sc, uint32_t path)
{
	struct hn_nvs_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_SET_DATAPATH;
	msg.nm_path = path;
	return (hn_xchg_send(sc, &msg));
}

/*
 * Up to version 6 the offset may be wrong; the table is behind the message
 * then, if that is long enough to have one there.
 */
const uint8_t *
hn_nvs_txtbl(const void *data, size_t len, uint32_t version)
{
	const size_t size = HN_NVS_TXTBL_CNT * sizeof(uint32_t);
	struct hn_nvs_txtbl nl;
	size_t ofs;

	if (len < HN_NVS_MSG_HDR_LEN + sizeof(nl))
		return (NULL);
	memcpy(&nl, (const uint8_t *)data + HN_NVS_MSG_HDR_LEN, sizeof(nl));
	if (nl.nl_cnt != HN_NVS_TXTBL_CNT)
		return (NULL);
	ofs = nl.nl_ofs;
	if (version <= HN_NVS_VERSION_6 && len >= HN_NVS_TXTBL_OFS_OLD + size)
		ofs = HN_NVS_TXTBL_OFS_OLD;
	if (ofs < HN_NVS_MSG_HDR_LEN + sizeof(nl) || ofs > len ||
	    len - ofs < size)
		return (NULL);
	return ((const uint8_t *)data + ofs);
}

/* Entries that name no channel are the primary's. */
static void
hn_nvs_txtbl_recv(struct hn_softc *sc, const void *data, size_t len)
{
	const uint8_t *tbl;
	uint32_t chan;
	u_int i;

	tbl = hn_nvs_txtbl(data, len, sc->sc_nvs_version);
	if (tbl == NULL) {
		hn_bad(sc, "indirection table", len);
		return;
	}
	for (i = 0; i < HN_NVS_TXTBL_CNT; i++) {
		memcpy(&chan, tbl + i * sizeof(chan), sizeof(chan));
		atomic_store_int(&sc->sc_txtbl[i], chan < sc->sc_nalloc ?
		    chan : 0);
	}
	atomic_store_rel_int(&sc->sc_txtbl_valid, 1);
}

/* What is not known is not an error: newer hosts have more to say. */
void
hn_nvs_notice(struct hn_softc *sc, const void *data, size_t len)
{
	struct hn_nvs_msg msg;

	memset(&msg, 0, sizeof(msg));
	memcpy(&msg, data, MIN(len, sizeof(msg)));
	switch (msg.nm_type) {
	case HN_NVS_TYPE_TXTBL:
		hn_nvs_txtbl_recv(sc, data, len);
		break;
	case HN_NVS_TYPE_VF_ASSOC:
		if (len >= HN_NVS_MSG_HDR_LEN + sizeof(msg.nm_vf_assoc))
			hn_vf_allow(sc, msg.nm_vf_assoc.nv_allocated != 0);
		break;
	case HN_NVS_TYPE_SET_DATAPATH:
		if (len >= HN_NVS_MSG_HDR_LEN + sizeof(msg.nm_path))
			hn_vf_allow(sc, msg.nm_path != HN_NVS_DATAPATH_SYNTH);
		break;
	default:
		hn_bad(sc, "unknown notice", msg.nm_type);
		break;
	}
}
