/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * kpi.h's handle on an interface: what the kernel's stack would be.  Frames
 * that come in end here; how they are sent is in kpi_netsend.c, what
 * ifconfig(8) does in kpi_netconf.c.
 */

#include <kern/kpi_internal.h>

#include "kpi_netvar.h"

#include <sys/epoch.h>
#include <sys/malloc.h>

#include <net/if_dl.h>
#include <net/if_types.h>

#define	KPI_NET_QUEUE	4096		/* frames that wait for recv */
#define	KPI_NET_PIECES	96		/* mbufs of a frame that is shown */
#define	KPI_NET_COOKIE	1764331200	/* of the tag with a frame's pieces */

static MALLOC_DEFINE(M_KPINET, "kpi_net", "handles on interfaces");

/* --- Handles --- */

int
kpi_net_open(const char *name, const struct kpi_net_ops *ops, void *arg,
    struct kpi_net **np)
{
	struct thread *td = kpi_thread_enter();
	struct ifnet *ifp;
	struct kpi_net *n;
	int error = 0;

	ifp = ifunit_ref(name);
	if (ifp == NULL) {
		kpi_thread_leave(td);
		return (ENXIO);
	}
	n = malloc(sizeof(*n), M_KPINET, M_WAITOK | M_ZERO);
	n->kn_ifp = ifp;
	n->kn_ops = ops;
	n->kn_arg = arg;
	mtx_init(&n->kn_mtx, "kpi_net", NULL, MTX_DEF);
	mbufq_init(&n->kn_queue, KPI_NET_QUEUE);
	if (atomic_cmpset_rel_ptr((uintptr_t *)&KPI_IF(ifp)->ki_net, 0,
	    (uintptr_t)n))
		*np = n;
	else {
		mtx_destroy(&n->kn_mtx);
		free(n, M_KPINET);
		if_rele(ifp);
		error = EBUSY;
	}
	kpi_thread_leave(td);
	return (error);
}

void
kpi_net_close(struct kpi_net *n)
{
	struct thread *td = kpi_thread_enter();

	atomic_store_rel_ptr((uintptr_t *)&KPI_IF(n->kn_ifp)->ki_net, 0);
	NET_EPOCH_WAIT();
	mbufq_drain(&n->kn_queue);
	mtx_destroy(&n->kn_mtx);
	if_rele(n->kn_ifp);
	free(n, M_KPINET);
	NET_EPOCH_DRAIN_CALLBACKS();
	kpi_thread_leave(td);
}

static struct kpi_net *
kpi_net_of(struct ifnet *ifp)
{

	return ((struct kpi_net *)atomic_load_acq_ptr(
	    (uintptr_t *)&KPI_IF(ifp)->ki_net));
}

bool
kpi_net_attached(const struct kpi_net *n)
{

	return (__atomic_load_n(&KPI_IF(n->kn_ifp)->ki_attached,
	    __ATOMIC_ACQUIRE));
}

int
kpi_net_wait(const char *name, unsigned ms)
{
	struct thread *td = kpi_thread_enter();
	hosted_u64 end = hosted_clock() + (hosted_u64)ms * 1000000;
	struct ifnet *ifp;

	while ((ifp = ifunit_ref(name)) == NULL && hosted_clock() < end)
		hosted_sleep(1000 * 1000);
	if (ifp != NULL)
		if_rele(ifp);
	kpi_thread_leave(td);
	return (ifp != NULL ? 0 : ETIMEDOUT);
}

struct kpi_net_lister {
	void	(*nl_fn)(void *arg, const char *name);
	void	*nl_arg;
};

static void
kpi_net_list_one(void *arg, struct ifnet *ifp)
{
	struct kpi_net_lister *nl = arg;

	nl->nl_fn(nl->nl_arg, ifp->if_xname);
}

void
kpi_net_list(void (*fn)(void *arg, const char *name), void *arg)
{
	struct kpi_net_lister nl = { fn, arg };
	struct thread *td = kpi_thread_enter();

	kpi_if_list(kpi_net_list_one, &nl);
	kpi_thread_leave(td);
}

/* --- What an mbuf chain says --- */

static u_int
kpi_net_pieces(const struct mbuf *m, struct kpi_piece *piece)
{
	u_int n = 0;

	for (; m != NULL; m = m->m_next) {
		if (m->m_len == 0)
			continue;
		piece[n].addr = m->m_data;
		piece[n].len = m->m_len;
		n++;
	}
	return (n);
}

static u_int
kpi_net_count(const struct mbuf *m)
{
	u_int n = 0;

	for (; m != NULL; m = m->m_next)
		n += m->m_len != 0;
	return (n);
}

/*
 * Of checksums that came in: right is what a protocol would not look at again,
 * which for TCP and UDP takes a csum_data of all ones.
 */
static void
kpi_net_describe(const struct mbuf *m, struct kpi_frame *f)
{
	const struct pkthdr *ph = &m->m_pkthdr;
	const u_int l3 = CSUM_L3_CALC | CSUM_L3_VALID;
	const u_int l4 = CSUM_L4_CALC | CSUM_L4_VALID;

	f->len = ph->len;
	f->csum_flags = ph->csum_flags;
	if ((ph->csum_flags & l3) == l3 || (ph->csum_flags & CSUM_IP) != 0)
		f->flags |= KPI_NET_CSUM_IP;
	if ((ph->csum_flags & l4) == l4 && ph->csum_data == 0xffff)
		f->flags |= KPI_NET_CSUM_L4;
	if ((ph->csum_flags & (CSUM_TCP | CSUM_UDP | CSUM_TCP_IPV6 |
	    CSUM_UDP_IPV6)) != 0)
		f->flags |= KPI_NET_CSUM_L4;
	if ((ph->csum_flags & CSUM_TSO) != 0) {
		f->flags |= KPI_NET_TSO;
		f->mss = ph->tso_segsz;
	} else if (ph->lro_nsegs > 1) {
		f->flags |= KPI_NET_LRO;
		f->mss = ph->lro_nsegs;
	}
	if ((m->m_flags & M_VLANTAG) != 0) {
		f->flags |= KPI_NET_VLAN;
		f->vlan = ph->ether_vtag;
	}
	if (M_HASHTYPE_GET(m) != M_HASHTYPE_NONE) {
		f->flags |= KPI_NET_HASH;
		f->flowid = ph->flowid;
		f->hashtype = M_HASHTYPE_GET(m);
	}
	f->cpu = curcpu;
}

/* --- What comes in --- */

static void
kpi_net_drop(struct kpi_net *n, struct mbuf *m)
{

	atomic_add_64(&n->kn_unclaimed, 1);
	m_freem(m);
}

static void
kpi_net_enqueue(struct kpi_net *n, struct mbuf *m)
{
	int error;

	mtx_lock(&n->kn_mtx);
	error = mbufq_enqueue(&n->kn_queue, m);
	mtx_unlock(&n->kn_mtx);
	if (error != 0) {
		kpi_net_drop(n, m);
		return;
	}
	atomic_add_int(&n->kn_arrived, 1);
	hosted_futex_wake(&n->kn_arrived, 1);
}

void
kpi_net_input(struct ifnet *ifp, struct mbuf *m)
{
	struct kpi_net *n = kpi_net_of(ifp);
	struct kpi_piece piece[KPI_NET_PIECES];
	struct kpi_frame f = { .piece = piece, .priv = m };

	NET_EPOCH_ASSERT();
	/* Frames for other stations reach listeners at most. */
	if (n == NULL || ((m->m_flags & M_PROMISC) != 0 &&
	    (if_getflags(ifp) & IFF_PROMISC) == 0)) {
		m_freem(m);
		return;
	}
	if (n->kn_ops == NULL || n->kn_ops->input == NULL) {
		kpi_net_enqueue(n, m);
		return;
	}
	if (kpi_net_count(m) > KPI_NET_PIECES) {
		kpi_net_drop(n, m);
		return;
	}
	f.npieces = kpi_net_pieces(m, piece);
	kpi_net_describe(m, &f);
	if (n->kn_ops->input(n->kn_arg, &f) == 0)
		m_freem(m);
}

int
kpi_net_recv(struct kpi_net *n, struct kpi_frame *f, unsigned ms)
{
	struct thread *td = kpi_thread_enter();
	hosted_u64 end = hosted_clock() + (hosted_u64)ms * 1000000;
	struct m_tag *tag;
	struct mbuf *m;
	u_int seen;

	for (;;) {
		seen = atomic_load_acq_int(&n->kn_arrived);
		mtx_lock(&n->kn_mtx);
		m = mbufq_dequeue(&n->kn_queue);
		mtx_unlock(&n->kn_mtx);
		if (m != NULL || hosted_clock() >= end)
			break;
		(void)hosted_futex_wait(&n->kn_arrived, seen, end);
	}
	memset(f, 0, sizeof(*f));
	if (m != NULL) {
		tag = m_tag_alloc(KPI_NET_COOKIE, 0, kpi_net_count(m) *
		    sizeof(struct kpi_piece), M_WAITOK);
		m_tag_prepend(m, tag);
		f->piece = (struct kpi_piece *)(tag + 1);
		f->npieces = kpi_net_pieces(m, (struct kpi_piece *)(tag + 1));
		f->priv = m;
		kpi_net_describe(m, f);
	}
	kpi_thread_leave(td);
	return (m != NULL ? 0 : EAGAIN);
}

void
kpi_net_release(struct kpi_frame *f)
{
	struct thread *td = kpi_thread_enter();

	m_freem(f->priv);
	memset(f, 0, sizeof(*f));
	kpi_thread_leave(td);
}

/* --- Who listens --- */

bool
kpi_net_listens(struct ifnet *ifp)
{
	struct epoch_tracker et;
	struct kpi_net *n;
	bool listens;

	NET_EPOCH_ENTER(et);
	n = kpi_net_of(ifp);
	listens = n != NULL && n->kn_ops != NULL && n->kn_ops->capture != NULL;
	NET_EPOCH_EXIT(et);
	return (listens);
}

void
kpi_net_capture(struct ifnet *ifp, struct mbuf *m)
{
	struct kpi_net *n = kpi_net_of(ifp);
	struct kpi_piece piece[KPI_NET_PIECES];
	struct kpi_frame f = { .piece = piece };

	if (n == NULL || n->kn_ops == NULL || n->kn_ops->capture == NULL ||
	    kpi_net_count(m) > KPI_NET_PIECES)
		return;
	f.npieces = kpi_net_pieces(m, piece);
	kpi_net_describe(m, &f);
	n->kn_ops->capture(n->kn_arg, &f);
}

void
kpi_net_link(struct ifnet *ifp, int state)
{
	struct kpi_net *n = kpi_net_of(ifp);

	if (n != NULL && n->kn_ops != NULL && n->kn_ops->link != NULL)
		n->kn_ops->link(n->kn_arg, state);
}
