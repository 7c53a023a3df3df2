/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Interfaces: allocation, the list of those that are attached, link state, the
 * queue of those drivers that start from it.  What ifconfig(8) asks of them is
 * in if_ioctl.c.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/bus.h>
#include <sys/devctl.h>
#include <sys/epoch.h>
#include <sys/malloc.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <machine/stdarg.h>

#include <net/ethernet.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>
#include <netinet/in.h>
#include <netinet/ip.h>

#define	IF_TABLE	64		/* interfaces at most */

static MALLOC_DEFINE(M_IFNET, "ifnet", "interface internals");
MALLOC_DEFINE(M_IFADDR, "ifaddr", "interface address");
MALLOC_DEFINE(M_IFMADDR, "ether_multi", "link-level multicast address");

static SYSCTL_NODE(_net, PF_LINK, link, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
    "Link layers");

int		ifqmaxlen = IFQ_MAXLEN;
SYSCTL_INT(_net_link, OID_AUTO, ifqmaxlen, CTLFLAG_RDTUN, &ifqmaxlen, 0,
    "Length of an interface's send queue");

struct sx	ifnet_sxlock;
SX_SYSINIT(ifnet_sx, &ifnet_sxlock, "ifnet_sx");
struct sx	ifnet_detach_sxlock;
SX_SYSINIT(ifnet_detach, &ifnet_detach_sxlock, "ifnet_detach_sx");

VNET_DEFINE(struct ifnethead, ifnet) = CK_STAILQ_HEAD_INITIALIZER(ifnet);
VNET_DEFINE(struct ifnet *, loif);

/* By index, which begins with 1; ife_gen tells one owner from the next. */
static struct {
	struct ifnet	*ife_ifnet;
	uint16_t	 ife_gen;
} if_table[IF_TABLE];

/* No queueing discipline, no vlan(4); headers name their entries. */
struct mbuf	*(*tbr_dequeue_ptr)(struct ifaltq *, int);
void		(*vlan_trunk_cap_p)(struct ifnet *);
struct ifnet	*(*vlan_trunkdev_p)(struct ifnet *);
struct ifnet	*(*vlan_devat_p)(struct ifnet *, uint16_t);
int		(*vlan_tag_p)(struct ifnet *, uint16_t *);
int		(*vlan_pcp_p)(struct ifnet *, uint16_t *);
int		(*vlan_setcookie_p)(struct ifnet *, void *);
void		*(*vlan_cookie_p)(struct ifnet *);
void		(*vlan_input_p)(struct ifnet *, struct mbuf *);

/* --- Allocation --- */

static void
if_link_task(void *arg, int pending)
{
	struct ifnet *ifp = arg;
	struct epoch_tracker et;
	int state = if_getlinkstate(ifp);
	const char *up = state == LINK_STATE_UP ? "UP" : "DOWN";

	devctl_notify("IFNET", ifp->if_xname, state == LINK_STATE_UP ?
	    "LINK_UP" : "LINK_DOWN", NULL);
	if (pending > 1)
		if_printf(ifp, "%d link states coalesced\n", pending);
	if_printf(ifp, "link state changed to %s\n", up);
	EVENTHANDLER_INVOKE(ifnet_link_event, ifp, state);
	NET_EPOCH_ENTER(et);
	kpi_net_link(ifp, state);
	NET_EPOCH_EXIT(et);
}

static void
if_addmulti_task(void *arg, int pending)
{
	struct ifnet *ifp = arg;

	(void)ifp->if_ioctl(ifp, SIOCADDMULTI, NULL);
}

struct ifnet *
if_alloc(u_char type)
{
	struct kpi_if *ki;
	struct ifnet *ifp;
	u_int i;

	ki = malloc(sizeof(*ki), M_IFNET, M_WAITOK | M_ZERO);
	ifp = &ki->ki_if;
	ifp->if_type = ifp->if_alloctype = type;
	ifp->if_numa_domain = IF_NODOM;
	IF_ADDR_LOCK_INIT(ifp);
	IF_AFDATA_LOCK_INIT(ifp);
	TASK_INIT(&ifp->if_linktask, 0, if_link_task, ifp);
	TASK_INIT(&ifp->if_addmultitask, 0, if_addmulti_task, ifp);
	CK_STAILQ_INIT(&ifp->if_addrhead);
	CK_STAILQ_INIT(&ifp->if_multiaddrs);
	CK_STAILQ_INIT(&ifp->if_groups);
	ifq_init(&ifp->if_snd, ifp);
	refcount_init(&ifp->if_refcount, 1);
	for (i = 0; i < IFCOUNTERS; i++)
		ifp->if_counters[i] = counter_u64_alloc(M_WAITOK);
	ifp->if_get_counter = if_get_counter_default;
	ifp->if_pcp = IFNET_PCP_NONE;

	IFNET_WLOCK();
	for (i = 1; if_table[i].ife_ifnet != NULL; i++)
		if (i == IF_TABLE - 1)
			panic("if_alloc: more than %d interfaces", i);
	ifp->if_index = i;
	ifp->if_idxgen = if_table[i].ife_gen;
	atomic_store_rel_ptr((uintptr_t *)&if_table[i].ife_ifnet,
	    (uintptr_t)ifp);
	IFNET_WUNLOCK();
	return (ifp);
}

struct ifnet *
if_alloc_dev(u_char type, device_t dev)
{

	return (if_alloc(type));
}

/* Nobody can reach it any more. */
static void
if_destroy(epoch_context_t ctx)
{
	struct ifnet *ifp = __containerof(ctx, struct ifnet, if_epoch_ctx);
	u_int i;

	KASSERT((ifp->if_flags & IFF_DYING) != 0,
	    ("%s: freed without if_free()", ifp->if_xname));
	free(ifp->if_description, M_IFNET);
	free(ifp->if_hw_addr, M_IFADDR);
	ifq_delete(&ifp->if_snd);
	IF_AFDATA_DESTROY(ifp);
	IF_ADDR_LOCK_DESTROY(ifp);
	for (i = 0; i < IFCOUNTERS; i++)
		counter_u64_free(ifp->if_counters[i]);
	free(KPI_IF(ifp), M_IFNET);
}

void
if_free(struct ifnet *ifp)
{

	IFNET_WLOCK();
	if (KPI_IF(ifp)->ki_attached)
		panic("if_free: %s is attached", ifp->if_xname);
	KASSERT(if_table[ifp->if_index].ife_ifnet == ifp,
	    ("if_free: %s twice", ifp->if_xname));
	(void)if_setflagbits(ifp, IFF_DYING, 0);
	atomic_store_rel_ptr(
	    (uintptr_t *)&if_table[ifp->if_index].ife_ifnet, 0);
	if_table[ifp->if_index].ife_gen++;
	IFNET_WUNLOCK();
	if_rele(ifp);
}

void
if_ref(struct ifnet *ifp)
{
	u_int old __diagused;

	old = refcount_acquire(&ifp->if_refcount);
	KASSERT(old > 0, ("if_ref: %s is free", ifp->if_xname));
}

bool
if_try_ref(struct ifnet *ifp)
{

	NET_EPOCH_ASSERT();
	return (refcount_acquire_if_not_zero(&ifp->if_refcount));
}

void
if_rele(struct ifnet *ifp)
{

	if (refcount_release(&ifp->if_refcount))
		NET_EPOCH_CALL(if_destroy, &ifp->if_epoch_ctx);
}

/* --- The list --- */

static struct ifaddr *
if_link_addr(struct ifnet *ifp)
{
	size_t size = roundup2(MAX(sizeof(struct sockaddr_dl),
	    offsetof(struct sockaddr_dl, sdl_data) + IFNAMSIZ +
	    ifp->if_addrlen), sizeof(long));
	struct sockaddr_dl *sdl;
	struct ifaddr *ifa;

	ifa = malloc(sizeof(*ifa) + size, M_IFADDR, M_WAITOK | M_ZERO);
	refcount_init(&ifa->ifa_refcnt, 1);
	ifa->ifa_ifp = ifp;
	sdl = (void *)(ifa + 1);
	ifa->ifa_addr = (void *)sdl;
	sdl->sdl_len = size;
	sdl->sdl_family = AF_LINK;
	sdl->sdl_index = ifp->if_index;
	sdl->sdl_type = ifp->if_type;
	sdl->sdl_nlen = strlen(ifp->if_xname);
	memcpy(sdl->sdl_data, ifp->if_xname, sdl->sdl_nlen);
	return (ifa);
}

/* The queue between the stack and a driver that has if_start only. */
static int
if_transmit_default(struct ifnet *ifp, struct mbuf *m)
{
	int error;

	IFQ_HANDOFF(ifp, m, error);
	return (error);
}

static void
if_input_default(struct ifnet *ifp, struct mbuf *m)
{

	m_freem(m);
}

/* As in the kernel: what TSO makes is bounded for any driver. */
static void
if_tso_defaults(struct ifnet *ifp)
{

	if (ifp->if_hw_tsomax != 0 || ifp->if_hw_tsomaxsegcount != 0 ||
	    ifp->if_hw_tsomaxsegsize != 0)
		return;
	ifp->if_hw_tsomax = MIN(IP_MAXPACKET, 32 * MCLBYTES -
	    (ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN));
	ifp->if_hw_tsomaxsegcount = 35;
	ifp->if_hw_tsomaxsegsize = 2048;
}

void
if_attach(struct ifnet *ifp)
{

	KASSERT((ifp->if_transmit == NULL) == (ifp->if_qflush == NULL),
	    ("%s: if_transmit and if_qflush are set both or not at all",
	    ifp->if_xname));
	KASSERT(ifp->if_xname[0] != '\0', ("if_attach: no name"));
	if (ifp->if_transmit == NULL) {
		ifp->if_transmit = if_transmit_default;
		ifp->if_qflush = if_qflush;
	}
	if (ifp->if_input == NULL)
		ifp->if_input = if_input_default;
	kpi_if_changed(ifp);
	ifp->if_addr = if_link_addr(ifp);
	CK_STAILQ_INSERT_HEAD(&ifp->if_addrhead, ifp->if_addr, ifa_link);
	if (ifp->if_type == IFT_ETHER)
		ifp->if_hw_addr = malloc(ifp->if_addrlen, M_IFADDR,
		    M_WAITOK | M_ZERO);
	if_tso_defaults(ifp);
	IFNET_WLOCK();
	KASSERT(!KPI_IF(ifp)->ki_attached,
	    ("if_attach: %s twice", ifp->if_xname));
	__atomic_store_n(&KPI_IF(ifp)->ki_attached, true, __ATOMIC_RELEASE);
	CK_STAILQ_INSERT_TAIL(&V_ifnet, ifp, if_link);
	IFNET_WUNLOCK();
	EVENTHANDLER_INVOKE(ifnet_arrival_event, ifp);
	devctl_notify("IFNET", ifp->if_xname, "ATTACH", NULL);
}

/* What calls into the driver once it is detached. */
static int
if_dead_transmit(struct ifnet *ifp, struct mbuf *m)
{

	m_freem(m);
	return (ENXIO);
}

static int
if_dead_ioctl(struct ifnet *ifp, u_long cmd, caddr_t data)
{

	return (ENXIO);
}

static void
if_dead_qflush(struct ifnet *ifp)
{
}

static void
if_dead_start(struct ifnet *ifp)
{
}

void
if_dead(struct ifnet *ifp)
{

	ifp->if_input = if_input_default;
	ifp->if_start = if_dead_start;
	ifp->if_ioctl = if_dead_ioctl;
	ifp->if_qflush = if_dead_qflush;
	__atomic_store_n(&ifp->if_transmit, if_dead_transmit, __ATOMIC_RELAXED);
}

static void
ifa_destroy(epoch_context_t ctx)
{

	free(__containerof(ctx, struct ifaddr, ifa_epoch_ctx), M_IFADDR);
}

void
if_detach(struct ifnet *ifp)
{
	struct ifaddr *ifa = ifp->if_addr;

	kpi_sleep_check(NULL, "if_detach()");
	sx_xlock(&ifnet_detach_sxlock);
	IFNET_WLOCK();
	KASSERT(KPI_IF(ifp)->ki_attached,
	    ("if_detach: %s is not attached", ifp->if_xname));
	CK_STAILQ_REMOVE(&V_ifnet, ifp, ifnet, if_link);
	__atomic_store_n(&KPI_IF(ifp)->ki_attached, false, __ATOMIC_RELEASE);
	IFNET_WUNLOCK();
	NET_EPOCH_WAIT();
	NET_EPOCH_DRAIN_CALLBACKS();
	taskqueue_drain(taskqueue_swi, &ifp->if_linktask);
	taskqueue_drain(taskqueue_swi, &ifp->if_addmultitask);
	if_down(ifp);
	kpi_if_purge_multi(ifp);
	EVENTHANDLER_INVOKE(ifnet_departure_event, ifp);
	devctl_notify("IFNET", ifp->if_xname, "DETACH", NULL);
	if_dead(ifp);
	CK_STAILQ_REMOVE_HEAD(&ifp->if_addrhead, ifa_link);
	NET_EPOCH_CALL(ifa_destroy, &ifa->ifa_epoch_ctx);
	sx_xunlock(&ifnet_detach_sxlock);
}

struct ifnet *
ifnet_byindex(u_int idx)
{

	NET_EPOCH_ASSERT();
	if (idx >= IF_TABLE)
		return (NULL);
	return (__atomic_load_n(&if_table[idx].ife_ifnet, __ATOMIC_ACQUIRE));
}

struct ifnet *
ifnet_byindexgen(uint16_t idx, uint16_t gen)
{
	struct ifnet *ifp = ifnet_byindex(idx);

	return (ifp != NULL && ifp->if_idxgen == gen ? ifp : NULL);
}

struct ifnet *
kpi_if_find(const char *name)
{
	struct ifnet *ifp;

	NET_EPOCH_ASSERT();
	CK_STAILQ_FOREACH(ifp, &V_ifnet, if_link)
		if (strcmp(ifp->if_xname, name) == 0)
			break;
	return (ifp);
}

struct ifnet *
ifunit(const char *name)
{

	return (kpi_if_find(name));
}

struct ifnet *
ifunit_ref(const char *name)
{
	struct epoch_tracker et;
	struct ifnet *ifp;

	NET_EPOCH_ENTER(et);
	ifp = kpi_if_find(name);
	if (ifp != NULL && !if_try_ref(ifp))
		ifp = NULL;
	NET_EPOCH_EXIT(et);
	return (ifp);
}

/* The callback may sleep: interfaces do not come or go meanwhile. */
void
kpi_if_list(void (*fn)(void *arg, struct ifnet *ifp), void *arg)
{
	struct ifnet *ifp;

	IFNET_RLOCK();
	CK_STAILQ_FOREACH(ifp, &V_ifnet, if_link)
		fn(arg, ifp);
	IFNET_RUNLOCK();
}

int
if_foreach(if_foreach_cb_t fn, void *arg)
{
	struct ifnet *ifp;
	int error = 0;

	NET_EPOCH_ASSERT();
	CK_STAILQ_FOREACH(ifp, &V_ifnet, if_link)
		if ((error = fn(ifp, arg)) != 0)
			break;
	return (error);
}

/* --- State --- */

void
if_link_state_change(struct ifnet *ifp, int state)
{

	if (__atomic_exchange_n(&ifp->if_link_state, (uint8_t)state,
	    __ATOMIC_RELAXED) != state)
		(void)taskqueue_enqueue(taskqueue_swi, &ifp->if_linktask);
}

/* Two who change something at once need not agree on when. */
void
kpi_if_changed(struct ifnet *ifp)
{
	struct timeval tv;

	getmicrotime(&tv);
	__atomic_store_n(&ifp->if_lastchange.tv_sec, tv.tv_sec,
	    __ATOMIC_RELAXED);
	__atomic_store_n(&ifp->if_lastchange.tv_usec, tv.tv_usec,
	    __ATOMIC_RELAXED);
}

void
if_down(struct ifnet *ifp)
{

	EVENTHANDLER_INVOKE(ifnet_event, ifp, IFNET_EVENT_DOWN);
	(void)if_setflagbits(ifp, 0, IFF_UP);
	kpi_if_changed(ifp);
	ifp->if_qflush(ifp);
}

void
if_up(struct ifnet *ifp)
{

	(void)if_setflagbits(ifp, IFF_UP, 0);
	kpi_if_changed(ifp);
	EVENTHANDLER_INVOKE(ifnet_event, ifp, IFNET_EVENT_UP);
}

int
if_printf(struct ifnet *ifp, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return (printf("%s: %s", ifp->if_xname, line));
}

/* --- The send queue --- */

void
ifq_init(struct ifaltq *ifq, struct ifnet *ifp)
{

	mtx_init(&ifq->ifq_mtx, "if send queue", NULL, MTX_DEF);
	ifq->ifq_maxlen = ifqmaxlen;
	ifq->altq_ifp = ifp;
}

void
ifq_delete(struct ifaltq *ifq)
{

	mtx_destroy(&ifq->ifq_mtx);
}

void
if_start(struct ifnet *ifp)
{

	ifp->if_start(ifp);
}

/* Of a driver that has if_start only. */
void
if_qflush(struct ifnet *ifp)
{

	IFQ_PURGE(&ifp->if_snd);
}

static u_int
if_leaks(void)
{
	u_int i, n = 0;

	for (i = 1; i < IF_TABLE; i++)
		if (if_table[i].ife_ifnet != NULL) {
			printf("leak: interface %s\n",
			    if_table[i].ife_ifnet->if_xname);
			n++;
		}
	return (n);
}
KPI_LEAKS(if_leaks);
