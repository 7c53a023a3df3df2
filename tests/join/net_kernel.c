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

struct ioctl_call {
	const char	*name;
	u_long		 cmd;
	void		*req;
	int		 error;
};

static void
ioctl_call(void *arg)
{
	struct ioctl_call *c = arg;
	if_t ifp;

	ifp = ifunit_ref(c->name);
	if (ifp == NULL) {
		c->error = ENXIO;
		return;
	}
	/* All requests begin with this. */
	strlcpy(c->req, c->name, IFNAMSIZ);
	c->error = ifhwioctl(c->cmd, ifp, c->req, curthread);
	if_rele(ifp);
}

static int
interface(const char *name, u_long cmd, void *req)
{
	struct ioctl_call c = { name, cmd, req, -1 };

	kpi_call(ioctl_call, &c, -1);
	return (c.error);
}

int
ktest_rss(const char *name, struct ktest_rss *kr)
{
	struct ifrsskey rk;
	struct ifrsshash rh;
	int error;

	memset(&rk, 0, sizeof(rk));
	memset(&rh, 0, sizeof(rh));
	error = interface(name, SIOCGIFRSSKEY, &rk);
	if (error == 0)
		error = interface(name, SIOCGIFRSSHASH, &rh);
	kr->keylen = rk.ifrk_keylen;
	kr->keyfunc = rk.ifrk_func;
	kr->hashfunc = rh.ifrh_func;
	kr->types = rh.ifrh_types;
	memcpy(kr->key, rk.ifrk_key, sizeof(kr->key));
	return (error);
}

int
ktest_media(const char *name, struct ktest_media *km)
{
	struct ifmediareq ifmr;
	int error;

	memset(&ifmr, 0, sizeof(ifmr));
	ifmr.ifm_count = km->count;
	ifmr.ifm_ulist = km->count != 0 ? km->list : NULL;
	error = interface(name, SIOCGIFXMEDIA, &ifmr);
	km->current = ifmr.ifm_current;
	km->active = ifmr.ifm_active;
	km->status = ifmr.ifm_status;
	km->count = ifmr.ifm_count;
	return (error);
}

int
ktest_media_set(const char *name, int media)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_media = media;
	return (interface(name, SIOCSIFMEDIA, &ifr));
}
