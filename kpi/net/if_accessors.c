/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * struct ifnet as drivers may touch it.  The kernel reads and writes these
 * members without a lock; here the accesses are atomic each, so that
 * ThreadSanitizer has nothing to say of what is meant to be so.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/counter.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/bpf.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>

#define	IF_LOAD(ifp, field)						\
	__atomic_load_n(&(ifp)->field, __ATOMIC_RELAXED)
#define	IF_STORE(ifp, field, val)					\
	__atomic_store_n(&(ifp)->field, (val), __ATOMIC_RELAXED)

#define	IF_GET(type, name, field)					\
type									\
if_get##name(if_t ifp)							\
{									\
									\
	return (IF_LOAD(ifp, field));					\
}

/* A value. */
#define	IF_SET(name, argtype, field)					\
int									\
if_set##name(if_t ifp, argtype val)					\
{									\
									\
	IF_STORE(ifp, field, val);					\
	return (0);							\
}

/* Bits: first those to set, then those to clear. */
#define	IF_BITS(name, field)						\
int									\
name(if_t ifp, int set, int clear)					\
{									\
									\
	IF_STORE(ifp, field, (IF_LOAD(ifp, field) & ~clear) | set);	\
	return (0);							\
}

#define	IF_TOGGLE(name, field)						\
int									\
name(if_t ifp, int bits)						\
{									\
									\
	IF_STORE(ifp, field, IF_LOAD(ifp, field) ^ bits);		\
	return (0);							\
}

/* A function of the driver's; set before it is attached. */
#define	IF_SETFN(name, type, field)					\
void									\
if_set##name(if_t ifp, type fn)						\
{									\
									\
	IF_STORE(ifp, field, fn);					\
}

IF_GET(int, flags, if_flags)
IF_GET(int, drvflags, if_drv_flags)
IF_GET(int, capabilities, if_capabilities)
IF_GET(int, capabilities2, if_capabilities2)
IF_GET(int, capenable, if_capenable)
IF_GET(int, capenable2, if_capenable2)
IF_GET(int, hwassist, if_hwassist)
IF_GET(int, mtu, if_mtu)
IF_GET(int, index, if_index)
IF_GET(int, idxgen, if_idxgen)
IF_GET(int, dunit, if_dunit)
IF_GET(int, type, if_type)
IF_GET(int, alloctype, if_alloctype)
IF_GET(uint64_t, baudrate, if_baudrate)
IF_GET(const char *, dname, if_dname)
IF_GET(u_int, hwtsomax, if_hw_tsomax)
IF_GET(u_int, hwtsomaxsegcount, if_hw_tsomaxsegcount)
IF_GET(u_int, hwtsomaxsegsize, if_hw_tsomaxsegsize)
IF_GET(struct ifaddr *, ifaddr, if_addr)
IF_GET(const uint8_t *, broadcastaddr, if_broadcastaddr)
IF_GET(struct bpf_if *, bpf, if_bpf)

IF_SET(flags, int, if_flags)
IF_SET(drvflags, int, if_drv_flags)
IF_SET(capabilities, int, if_capabilities)
IF_SET(capabilities2, int, if_capabilities2)
IF_SET(capenable, int, if_capenable)
IF_SET(capenable2, int, if_capenable2)
IF_SET(hwassist, int, if_hwassist)
IF_SET(mtu, int, if_mtu)
IF_SET(softc, void *, if_softc)
IF_SET(ifheaderlen, int, if_hdrlen)
IF_SET(hwtsomax, u_int, if_hw_tsomax)
IF_SET(hwtsomaxsegcount, u_int, if_hw_tsomaxsegcount)
IF_SET(hwtsomaxsegsize, u_int, if_hw_tsomaxsegsize)

IF_BITS(if_setflagbits, if_flags)
IF_BITS(if_setdrvflagbits, if_drv_flags)
IF_BITS(if_setcapabilitiesbit, if_capabilities)
IF_BITS(if_setcapabilities2bit, if_capabilities2)
IF_BITS(if_setcapenablebit, if_capenable)
IF_BITS(if_setcapenable2bit, if_capenable2)
IF_BITS(if_sethwassistbits, if_hwassist)

IF_TOGGLE(if_togglecapenable, if_capenable)
IF_TOGGLE(if_togglecapenable2, if_capenable2)
IF_TOGGLE(if_togglehwassist, if_hwassist)

IF_SETFN(initfn, if_init_fn_t, if_init)
IF_SETFN(ioctlfn, if_ioctl_fn_t, if_ioctl)
IF_SETFN(startfn, if_start_fn_t, if_start)
IF_SETFN(transmitfn, if_transmit_fn_t, if_transmit)
IF_SETFN(qflushfn, if_qflush_fn_t, if_qflush)
IF_SETFN(inputfn, if_input_fn_t, if_input)
IF_SETFN(outputfn, if_output_fn_t, if_output)
IF_SETFN(getcounterfn, if_get_counter_t, if_get_counter)
IF_SETFN(debugnet_methods, struct debugnet_methods *, if_debugnet_methods)

/* Those whose header forgot a const. */
#define	IF_GETVAR(type, name, field)					\
type									\
if_get##name(if_t ifp)							\
{									\
									\
	return (IF_LOAD(ifp, field));					\
}

IF_GETVAR(int, linkstate, if_link_state)
IF_GETVAR(uint8_t, addrlen, if_addrlen)
IF_GETVAR(uint8_t, pcp, if_pcp)
IF_GETVAR(int, numadomain, if_numa_domain)
IF_GETVAR(struct ifvlantrunk *, vlantrunk, if_vlantrunk)
IF_GETVAR(void *, l2com, if_l2com)
IF_GETVAR(if_start_fn_t, startfn, if_start)
IF_GETVAR(if_transmit_fn_t, transmitfn, if_transmit)
IF_GETVAR(if_input_fn_t, inputfn, if_input)

void *
if_getsoftc(if_t ifp)
{

	return (IF_LOAD(ifp, if_softc));
}

int
if_clearhwassist(if_t ifp)
{

	return (if_sethwassist(ifp, 0));
}

uint64_t
if_setbaudrate(if_t ifp, uint64_t baudrate)
{
	uint64_t old = if_getbaudrate(ifp);

	IF_STORE(ifp, if_baudrate, baudrate);
	return (old);
}

/* --- Names and addresses --- */

void
if_initname(if_t ifp, const char *name, int unit)
{

	ifp->if_dname = name;
	ifp->if_dunit = unit;
	if (unit != IF_DUNIT_NONE)
		snprintf(ifp->if_xname, IFNAMSIZ, "%s%d", name, unit);
	else
		strlcpy(ifp->if_xname, name, IFNAMSIZ);
}

const char *
if_name(if_t ifp)
{

	return (ifp->if_xname);
}

char *
if_getlladdr(if_t ifp)
{

	return (IF_LLADDR(ifp));
}

/* The address the hardware came with. */
int
if_gethwaddr(if_t ifp, struct ifreq *ifr)
{

	if (ifp->if_hw_addr == NULL)
		return (ENODEV);
	ifr->ifr_addr.sa_family = IFT_ETHER;
	ifr->ifr_addr.sa_len = ifp->if_addrlen;
	memcpy(ifr->ifr_addr.sa_data, ifp->if_hw_addr, ifp->if_addrlen);
	return (0);
}

int
if_setdev(if_t ifp, void *dev)
{

	return (0);
}

/* What of its capabilities interfaces above it inherit has changed. */
void
if_vlancap(if_t ifp)
{

	VLAN_CAPABILITIES(ifp);
}

int
if_vlantrunkinuse(if_t ifp)
{

	return (if_getvlantrunk(ifp) != NULL);
}

bool
if_altq_is_enabled(if_t ifp)
{

	return (false);
}

/* --- Counters --- */

void
if_inc_counter(if_t ifp, ift_counter cnt, int64_t inc)
{

	KASSERT((u_int)cnt < IFCOUNTERS, ("%s: counter %d", if_name(ifp), cnt));
	counter_u64_add(ifp->if_counters[cnt], inc);
}

uint64_t
if_get_counter_default(if_t ifp, ift_counter cnt)
{

	KASSERT((u_int)cnt < IFCOUNTERS, ("%s: counter %d", if_name(ifp), cnt));
	return (counter_u64_fetch(ifp->if_counters[cnt]));
}

uint64_t
if_getcounter(if_t ifp, ift_counter cnt)
{

	return (ifp->if_get_counter(ifp, cnt));
}

/* --- Calls --- */

int
if_transmit(if_t ifp, struct mbuf *m)
{

	NET_EPOCH_ASSERT();
	return (if_gettransmitfn(ifp)(ifp, m));
}

void
if_input(if_t ifp, struct mbuf *m)
{

	if_getinputfn(ifp)(ifp, m);
}

int
if_ioctl(if_t ifp, u_long cmd, void *data)
{

	return (IF_LOAD(ifp, if_ioctl)(ifp, cmd, data));
}

void
if_init(if_t ifp, void *ctx)
{

	ifp->if_init(ctx);
}

void
if_setrcvif(struct mbuf *m, if_t ifp)
{

	m->m_pkthdr.rcvif = ifp;
}

void
if_setvtag(struct mbuf *m, u_int16_t tag)
{

	m->m_pkthdr.ether_vtag = tag;
}

u_int16_t
if_getvtag(struct mbuf *m)
{

	return (m->m_pkthdr.ether_vtag);
}

/* --- The send queue --- */

int
if_setsendqready(if_t ifp)
{

	IFQ_SET_READY(&ifp->if_snd);
	return (0);
}

int
if_setsendqlen(if_t ifp, int len)
{

	IFQ_SET_MAXLEN(&ifp->if_snd, len);
	ifp->if_snd.ifq_drv_maxlen = len;
	return (0);
}

int
if_sendq_empty(if_t ifp)
{

	return (IFQ_DRV_IS_EMPTY(&ifp->if_snd));
}

struct mbuf *
if_dequeue(if_t ifp)
{
	struct mbuf *m;

	IFQ_DRV_DEQUEUE(&ifp->if_snd, m);
	return (m);
}

int
if_sendq_prepend(if_t ifp, struct mbuf *m)
{

	IFQ_DRV_PREPEND(&ifp->if_snd, m);
	return (0);
}

/* --- What TSO may make --- */

/* 0: no limit. */
static u_int
if_tso_min(u_int a, u_int b)
{

	return (a == 0 ? b : b == 0 ? a : MIN(a, b));
}

void
if_hw_tsomax_common(if_t ifp, struct ifnet_hw_tsomax *pmax)
{

	pmax->tsomaxbytes = if_tso_min(pmax->tsomaxbytes, ifp->if_hw_tsomax);
	pmax->tsomaxsegcount = if_tso_min(pmax->tsomaxsegcount,
	    ifp->if_hw_tsomaxsegcount);
	pmax->tsomaxsegsize = if_tso_min(pmax->tsomaxsegsize,
	    ifp->if_hw_tsomaxsegsize);
}

int
if_hw_tsomax_update(if_t ifp, struct ifnet_hw_tsomax *pmax)
{
	bool changed = ifp->if_hw_tsomax != pmax->tsomaxbytes ||
	    ifp->if_hw_tsomaxsegcount != pmax->tsomaxsegcount ||
	    ifp->if_hw_tsomaxsegsize != pmax->tsomaxsegsize;

	ifp->if_hw_tsomax = pmax->tsomaxbytes;
	ifp->if_hw_tsomaxsegcount = pmax->tsomaxsegcount;
	ifp->if_hw_tsomaxsegsize = pmax->tsomaxsegsize;
	return (changed);
}
