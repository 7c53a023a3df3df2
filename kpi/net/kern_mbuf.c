/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * mbufs as memory: the zones, clusters, external storage with its reference
 * counts, and how many of each are out.  What is done with chains of them is in
 * uipc_mbuf.c.
 *
 * An item of the packet zone is an mbuf that gets its cluster from the cluster
 * zone when it is given out, so that zones count what is in use and nothing
 * else.  Unmapped mbufs (M_EXTPG) do not exist here: no interface offers
 * IFCAP_MEXTPG, so a kernel maps them before its driver sees them.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/mbuf.h>
#include <sys/sysctl.h>
#include <vm/uma.h>

_Static_assert(MSIZE - MHSIZE == MLEN && MSIZE - MPKTHSIZE == MHLEN,
    "an mbuf is MSIZE bytes");

uma_zone_t	zone_mbuf;
uma_zone_t	zone_clust;
uma_zone_t	zone_pack;
uma_zone_t	zone_jumbop;
uma_zone_t	zone_jumbo9;
uma_zone_t	zone_jumbo16;

int		nmbclusters;	/* of 2 KiB, at most; 0: no limit */
static int	nmbufs;
static int	nmbjumbop;
bool		mb_use_ext_pgs = false;

static volatile uint64_t mb_ext;	/* m_extadd() without its free */

SYSCTL_NODE(_kern, KERN_IPC, ipc, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
    "Network buffers");
SYSCTL_INT(_kern_ipc, OID_AUTO, nmbclusters, CTLFLAG_RDTUN, &nmbclusters, 0,
    "Clusters of 2 KiB that may be in use");
SYSCTL_INT(_kern_ipc, OID_AUTO, nmbufs, CTLFLAG_RDTUN, &nmbufs, 0,
    "mbufs that may be in use");
SYSCTL_INT(_kern_ipc, OID_AUTO, nmbjumbop, CTLFLAG_RDTUN, &nmbjumbop, 0,
    "Clusters of a page that may be in use");

/* --- Zones --- */

static int
mb_ctor_mbuf(void *mem, int size, void *arg, int how)
{
	struct mb_args *args = arg;

	if ((how & M_NOWAIT) != 0 && kpi_fail(KPI_FAIL_MBUF))
		return (ENOMEM);
	if (args->type == MT_NOINIT)
		return (0);
	KASSERT((args->flags & M_NOFREE) == 0,
	    ("an mbuf is allocated with M_NOFREE"));
	return (m_init(mem, how, args->type, args->flags));
}

static void
mb_dtor_mbuf(void *mem, int size, void *arg)
{
	struct mbuf *m = mem;

	KASSERT((m->m_flags & M_NOFREE) == 0,
	    ("mbuf %p with M_NOFREE goes back to its zone", m));
	if ((m->m_flags & M_PKTHDR) != 0)
		m_tag_delete_chain(m, NULL);
}

/* arg: the mbuf that gets the cluster, or NULL. */
static int
mb_ctor_clust(void *mem, int size, void *arg, int how)
{
	struct mbuf *m = arg;

	if ((how & M_NOWAIT) != 0 && kpi_fail(KPI_FAIL_MBUF))
		return (ENOMEM);
	if (m != NULL)
		m_cljset(m, mem, m_gettype(size));
	return (0);
}

static int
mb_ctor_pack(void *mem, int size, void *arg, int how)
{
	struct mb_args *args = arg;
	struct mbuf *m = mem;
	int error;

	KASSERT((args->flags & M_NOFREE) == 0,
	    ("an mbuf is allocated with M_NOFREE"));
	if ((how & M_NOWAIT) != 0 && kpi_fail(KPI_FAIL_MBUF))
		return (ENOMEM);
	error = m_init(m, how, args->type, args->flags);
	if (error != 0)
		return (error);
	if (uma_zalloc_arg(zone_clust, m, how) == NULL)
		return (ENOMEM);
	m->m_ext.ext_type = EXT_PACKET;
	return (0);
}

static void
mb_dtor_pack(void *mem, int size, void *arg)
{
	struct mbuf *m = mem;

	KASSERT((m->m_flags & M_EXT) != 0 &&
	    m->m_ext.ext_type == EXT_PACKET && m->m_ext.ext_size == MCLBYTES,
	    ("mbuf %p comes back to the packet zone without its cluster", m));
	if ((m->m_flags & M_PKTHDR) != 0)
		m_tag_delete_chain(m, NULL);
	uma_zfree(zone_clust, m->m_ext.ext_buf);
}

/* A cluster up to a page does not cross one; larger ones are contiguous. */
static uma_zone_t
mb_zone_clust(const char *name, int size, int limit)
{
	uma_zone_t z;

	z = uma_zcreate(name, size, mb_ctor_clust, NULL, NULL, NULL,
	    UMA_ALIGN_PTR, UMA_ZONE_CONTIG);
	if (limit > 0)
		uma_zone_set_max(z, limit);
	return (z);
}

static void
mb_start(void *arg)
{

	zone_mbuf = uma_zcreate(MBUF_MEM_NAME, MSIZE, mb_ctor_mbuf,
	    mb_dtor_mbuf, NULL, NULL, MSIZE - 1, UMA_ZONE_CONTIG);
	if (nmbufs > 0)
		uma_zone_set_max(zone_mbuf, nmbufs);
	zone_pack = uma_zcreate(MBUF_PACKET_MEM_NAME, MSIZE, mb_ctor_pack,
	    mb_dtor_pack, NULL, NULL, MSIZE - 1, UMA_ZONE_CONTIG);
	zone_clust = mb_zone_clust(MBUF_CLUSTER_MEM_NAME, MCLBYTES,
	    nmbclusters);
	zone_jumbop = mb_zone_clust(MBUF_JUMBOP_MEM_NAME, MJUMPAGESIZE,
	    nmbjumbop);
	zone_jumbo9 = mb_zone_clust(MBUF_JUMBO9_MEM_NAME, MJUM9BYTES, 0);
	zone_jumbo16 = mb_zone_clust(MBUF_JUMBO16_MEM_NAME, MJUM16BYTES, 0);
}
SYSINIT(kpi_mbuf, SI_SUB_MBUF, SI_ORDER_FIRST, mb_start, NULL);

/* The zones stay, for who looks for leaks, but not what they keep. */
static void
mb_end(void *arg)
{
	uma_zone_t zones[] = {
		zone_pack, zone_mbuf, zone_clust, zone_jumbop, zone_jumbo9,
		zone_jumbo16
	};
	u_int i;

	for (i = 0; i < nitems(zones); i++)
		uma_zone_reclaim(zones[i], UMA_RECLAIM_DRAIN);
}
SYSUNINIT(kpi_mbuf_end, SI_SUB_MBUF, SI_ORDER_FIRST, mb_end, NULL);

/* --- Getting --- */

int
m_clget(struct mbuf *m, int how)
{

	KASSERT((m->m_flags & M_EXT) == 0,
	    ("m_clget: mbuf %p has external storage", m));
	return (uma_zalloc_arg(zone_clust, m, how) != NULL ? M_EXT : 0);
}

void *
m_cljget(struct mbuf *m, int how, int size)
{

	KASSERT(m == NULL || (m->m_flags & M_EXT) == 0,
	    ("m_cljget: mbuf %p has external storage", m));
	return (uma_zalloc_arg(m_getzone(size), m, how));
}

struct mbuf *
m_getjcl(int how, short type, int flags, int size)
{
	struct mb_args args = { .flags = flags, .type = type };
	struct mbuf *m;

	if (size == MCLBYTES)
		return (m_getcl(how, type, flags));
	m = uma_zalloc_arg(zone_mbuf, &args, how);
	if (m != NULL && m_cljget(m, how, size) == NULL) {
		m_free_raw(m);
		m = NULL;
	}
	return (m);
}

struct mbuf *
m_get3(int size, int how, short type, int flags)
{
	struct mb_args args = { .flags = flags, .type = type };

	if (size <= ((flags & M_PKTHDR) != 0 ? MHLEN : MLEN))
		return (uma_zalloc_arg(zone_mbuf, &args, how));
	if (size <= MCLBYTES)
		return (m_getcl(how, type, flags));
	if (size <= MJUMPAGESIZE)
		return (m_getjcl(how, type, flags, MJUMPAGESIZE));
	if (size <= MJUM9BYTES)
		return (m_getjcl(how, type, flags, MJUM9BYTES));
	if (size <= MJUM16BYTES)
		return (m_getjcl(how, type, flags, MJUM16BYTES));
	return (NULL);
}

struct mbuf *
m_get2(int size, int how, short type, int flags)
{

	return (size > MJUMPAGESIZE ? NULL : m_get3(size, how, type, flags));
}

/* Room for len bytes, behind m if there is one; the data are empty. */
struct mbuf *
m_getm2(struct mbuf *m, int len, int how, short type, int flags)
{
	struct mbuf *first = NULL, **tail = &first, *n;
	int left = len, size;

	flags &= m != NULL ? M_EOR : M_PKTHDR | M_EOR;
	do {
		size = left > MCLBYTES ? MJUMPAGESIZE : left;
		n = m_get2(size, left > MCLBYTES ? M_NOWAIT : how, type,
		    flags & M_PKTHDR);
		if (n == NULL && left > MCLBYTES)
			n = m_getcl(how, type, flags & M_PKTHDR);
		if (n == NULL) {
			m_freem(first);
			return (NULL);
		}
		flags &= ~M_PKTHDR;
		*tail = n;
		tail = &n->m_next;
		left -= M_SIZE(n);
	} while (left > 0);
	n->m_flags |= flags & M_EOR;
	if (m == NULL)
		return (first);
	n = m_last(m);
	n->m_flags &= ~M_EOR;
	n->m_next = first;
	return (m);
}

/* --- External storage --- */

void
m_extadd(struct mbuf *m, char *buf, u_int size, m_ext_free_t freef,
    void *arg1, void *arg2, int flags, int type)
{

	KASSERT(type != EXT_CLUSTER && type != EXT_PACKET,
	    ("m_extadd: type %d is the kernel's own", type));
	KASSERT((m->m_flags & M_EXT) == 0,
	    ("m_extadd: mbuf %p has external storage", m));
	KASSERT(freef != NULL || type == EXT_RXRING,
	    ("m_extadd: storage of type %d that nobody frees", type));
	m->m_flags |= M_EXT | flags;
	m->m_data = m->m_ext.ext_buf = buf;
	m->m_ext.ext_size = size;
	m->m_ext.ext_free = freef;
	m->m_ext.ext_arg1 = arg1;
	m->m_ext.ext_arg2 = arg2;
	m->m_ext.ext_type = type;
	m->m_ext.ext_flags = 0;
	if (type == EXT_EXTREF)		/* the caller sets ext_cnt */
		return;
	m->m_ext.ext_flags = EXT_FLAG_EMBREF;
	m->m_ext.ext_count = 1;
	if (type != EXT_RXRING)
		atomic_add_64(&mb_ext, 1);
}

/*
 * The mbuf that carries the count of m's storage, and the count.  It stays
 * allocated as long as there are others that share the storage.
 */
static struct mbuf *
mb_owner(struct mbuf *m, volatile u_int **count)
{

	if ((m->m_ext.ext_flags & EXT_FLAG_EMBREF) != 0) {
		*count = &m->m_ext.ext_count;
		return (m);
	}
	KASSERT(m->m_ext.ext_cnt != NULL,
	    ("external storage of mbuf %p has no reference count", m));
	*count = m->m_ext.ext_cnt;
	return (__containerof(*count, struct mbuf, m_ext.ext_count));
}

/* n, which has no storage of its own, shares m's. */
void
mb_dupcl(struct mbuf *n, struct mbuf *m)
{
	volatile u_int *count;

	KASSERT((m->m_flags & M_EXT) != 0 && (n->m_flags & M_EXT) == 0,
	    ("mb_dupcl: mbuf %p shares the storage of %p", n, m));
	(void)mb_owner(m, &count);
	KASSERT(*count != 0, ("mb_dupcl: storage of mbuf %p is free", m));
	/* Only the owner knows how to free, unless no mbuf is it. */
	n->m_ext = m->m_ext;
	n->m_ext.ext_cnt = count;
	n->m_ext.ext_flags &= ~EXT_FLAG_EMBREF;
	n->m_flags |= m->m_flags & (M_EXT | M_RDONLY);
	atomic_add_int(count, 1);
}

/* The last reference is gone: m's was it, owner has the count. */
static void
mb_ext_release(struct mbuf *m, struct mbuf *owner)
{

	switch (m->m_ext.ext_type) {
	case EXT_PACKET:
		uma_zfree(zone_pack, owner);
		return;
	case EXT_CLUSTER:
	case EXT_JUMBOP:
	case EXT_JUMBO9:
	case EXT_JUMBO16:
		uma_zfree(m_getzone(m->m_ext.ext_size), m->m_ext.ext_buf);
		m_free_raw(owner);
		return;
	case EXT_EXTREF:
		/* m itself may lie in what is freed, if M_NOFREE says so. */
		m->m_ext.ext_free(m);
		return;
	case EXT_RXRING:
		return;
	case EXT_SFBUF:
	case EXT_NET_DRV:
	case EXT_CTL:
	case EXT_MOD_TYPE:
	case EXT_DISPOSABLE:
		owner->m_ext.ext_free(owner);
		atomic_subtract_64(&mb_ext, 1);
		m_free_raw(owner);
		return;
	default:
		/* A kernel frees nothing of it. */
		panic("mbuf %p: external storage of type %u", m,
		    m->m_ext.ext_type);
	}
}

void
mb_free_ext(struct mbuf *m)
{
	volatile u_int *count;
	struct mbuf *owner;
	bool nofree;
	u_int old;

	KASSERT((m->m_flags & M_EXT) != 0,
	    ("mb_free_ext: mbuf %p has no external storage", m));
	nofree = (m->m_flags & M_NOFREE) != 0;
	KASSERT(!nofree || m->m_ext.ext_type == EXT_EXTREF ||
	    m->m_ext.ext_type == EXT_RXRING,
	    ("mbuf %p with M_NOFREE has storage of type %u", m,
	    m->m_ext.ext_type));
	owner = mb_owner(m, &count);
	old = atomic_fetchadd_int(count, -1);
	KASSERT(old != 0, ("mbuf %p: its storage is freed more often than it "
	    "was referenced", m));
	if (old == 1)
		mb_ext_release(m, owner);
	/* An owner goes with its storage; any other mbuf goes now. */
	if (!nofree && m != owner)
		m_free_raw(m);
}

void
mb_free_extpg(struct mbuf *m)
{

	panic("mbuf %p is unmapped", m);
}

/* --- Freeing --- */

void
m_freem(struct mbuf *m)
{

	while (m != NULL)
		m = m_free(m);
}

void
m_freemp(struct mbuf *m)
{
	struct mbuf *next;

	for (; m != NULL; m = next) {
		next = m->m_nextpkt;
		m_freem(m);
	}
}

void
m_free_raw(struct mbuf *m)
{

	uma_zfree(zone_mbuf, m);
}

/* Rate limits and TLS belong to sockets; there are none. */
void
m_snd_tag_destroy(struct m_snd_tag *tag)
{

	panic("send tag %p", tag);
}

void
kpi_mbufs(struct kpi_mbufs *mb)
{

	memset(mb, 0, sizeof(*mb));
	mb->mbufs = uma_zone_get_cur(zone_mbuf) + uma_zone_get_cur(zone_pack);
	mb->clusters = uma_zone_get_cur(zone_clust);
	mb->jumbop = uma_zone_get_cur(zone_jumbop);
	mb->jumbo9 = uma_zone_get_cur(zone_jumbo9);
	mb->jumbo16 = uma_zone_get_cur(zone_jumbo16);
	mb->ext = atomic_load_64(&mb_ext);
	mb->tags = kpi_mbuf_tags();
}

/* Zones tell of mbufs and clusters. */
static u_int
mb_leaks(void)
{
	uint64_t n = atomic_load_64(&mb_ext);

	if (n != 0)
		printf("leak: external storage of %ju mbufs\n", (uintmax_t)n);
	return (n != 0);
}
KPI_LEAKS(mb_leaks);
