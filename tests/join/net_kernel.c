/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See net_kernel.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>

#include <net/if.h>
#include <net/if_media.h>
#include <net/if_var.h>

#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>

#include "net_kernel.h"

static struct vmbus_channel *
hn0_channel(void)
{

	return (vmbus_get_channel(devclass_get_device(devclass_find("hn"),
	    0)));
}

volatile unsigned *
ktest_hn_ring(void)
{

	return (&hn0_channel()->ch_rx.rb_ctl->rc_in);
}

static void
break_call(void *arg __unused)
{
	struct vmbus_channel *ch = hn0_channel();

	mtx_lock(&ch->ch_txmtx);
	ch->ch_txok = false;
	mtx_unlock(&ch->ch_txmtx);
}

void
ktest_hn_break(void)
{

	kpi_call(break_call, NULL, -1);
}

/* Requests, for kpi_call(). */
struct sysctl_call {
	const char	*name;
	void		*old;
	kpi_size	*oldlen;
	const void	*new;
	kpi_size	 newlen;
	int		 error;
};

static void
sysctl_call(void *arg)
{
	struct sysctl_call *c = arg;
	size_t len;

	len = c->oldlen != NULL ? *c->oldlen : 0;
	c->error = kernel_sysctlbyname(curthread, __DECONST(char *, c->name),
	    c->old, c->oldlen != NULL ? &len : NULL,
	    __DECONST(void *, c->new), c->newlen, NULL, 0);
	if (c->oldlen != NULL)
		*c->oldlen = len;
}

int
ktest_sysctl(const char *name, void *old, kpi_size *oldlen, const void *new,
    kpi_size newlen)
{
	struct sysctl_call c = { name, old, oldlen, new, newlen, -1 };

	kpi_call(sysctl_call, &c, -1);
	return (c.error);
}

struct rss_call {
	const char	*name;
	struct ktest_rss *kr;
	int		 error;
};

static void
rss_call(void *arg)
{
	struct rss_call *c = arg;
	struct ktest_rss *kr = c->kr;
	struct ifrsskey rk;
	struct ifrsshash rh;
	if_t ifp;

	ifp = ifunit_ref(c->name);
	if (ifp == NULL) {
		c->error = ENXIO;
		return;
	}
	memset(&rk, 0, sizeof(rk));
	memset(&rh, 0, sizeof(rh));
	c->error = ifhwioctl(SIOCGIFRSSKEY, ifp, (caddr_t)&rk, curthread);
	if (c->error == 0)
		c->error = ifhwioctl(SIOCGIFRSSHASH, ifp, (caddr_t)&rh,
		    curthread);
	kr->keylen = rk.ifrk_keylen;
	kr->keyfunc = rk.ifrk_func;
	kr->hashfunc = rh.ifrh_func;
	kr->types = rh.ifrh_types;
	memcpy(kr->key, rk.ifrk_key, sizeof(kr->key));
	if_rele(ifp);
}

int
ktest_rss(const char *name, struct ktest_rss *kr)
{
	struct rss_call c = { .name = name, .kr = kr, .error = -1 };

	kpi_call(rss_call, &c, -1);
	return (c.error);
}

struct media_call {
	const char	*name;
	struct ktest_media *km;
	int		 media;
	int		 error;
};

static void
media_call(void *arg)
{
	struct media_call *c = arg;
	struct ktest_media *km = c->km;
	struct ifmediareq ifmr;
	if_t ifp;

	ifp = ifunit_ref(c->name);
	if (ifp == NULL) {
		c->error = ENXIO;
		return;
	}
	memset(&ifmr, 0, sizeof(ifmr));
	strlcpy(ifmr.ifm_name, c->name, sizeof(ifmr.ifm_name));
	ifmr.ifm_count = km->count;
	ifmr.ifm_ulist = km->count != 0 ? km->list : NULL;
	c->error = ifhwioctl(SIOCGIFXMEDIA, ifp, (caddr_t)&ifmr, curthread);
	km->current = ifmr.ifm_current;
	km->active = ifmr.ifm_active;
	km->status = ifmr.ifm_status;
	km->count = ifmr.ifm_count;
	if_rele(ifp);
}

int
ktest_media(const char *name, struct ktest_media *km)
{
	struct media_call c = { .name = name, .km = km, .error = -1 };

	kpi_call(media_call, &c, -1);
	return (c.error);
}

static void
media_set_call(void *arg)
{
	struct media_call *c = arg;
	struct ifreq ifr;
	if_t ifp;

	ifp = ifunit_ref(c->name);
	if (ifp == NULL) {
		c->error = ENXIO;
		return;
	}
	memset(&ifr, 0, sizeof(ifr));
	strlcpy(ifr.ifr_name, c->name, sizeof(ifr.ifr_name));
	ifr.ifr_media = c->media;
	c->error = ifhwioctl(SIOCSIFMEDIA, ifp, (caddr_t)&ifr, curthread);
	if_rele(ifp);
}

int
ktest_media_set(const char *name, int media)
{
	struct media_call c = { .name = name, .media = media, .error = -1 };

	kpi_call(media_set_call, &c, -1);
	return (c.error);
}
