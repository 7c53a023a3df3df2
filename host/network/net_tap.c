/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A Linux tap interface.  Checksums and segmentation go through as they are:
 * what the guest leaves to its adapter, Linux does or passes on, and what
 * Linux leaves to its interface, the adapter's user does, if it said so.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "network/net_fd.h"

#define	TAP_PIECES	64	/* of a frame; more are copied together */

struct net_tap {
	struct hvh_netbe *be;
	struct net_fd	 nf;
	int		 fd;
	bool		 vnet;		/* a virtio header before each frame */
	bool		 lost;		/* there is no interface any more */
	uint32_t	 got;		/* bytes in rx that wait; 0: none */
	uint8_t		 rx[sizeof(struct virtio_net_hdr) + NET_FRAME_MAX];
	uint8_t		 tx[NET_FRAME_MAX];
};

/* --- To Linux --- */

static void
tap_header(struct virtio_net_hdr *vh, const struct net_meta *m)
{

	*vh = (struct virtio_net_hdr){ 0 };
	if ((m->flags & NET_NEEDS_CSUM) != 0) {
		vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vh->csum_start = m->csum_start;
		vh->csum_offset = m->csum_offset;
	} else if ((m->flags & NET_CSUM_VALID) != 0) {
		vh->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (m->gso == NET_GSO_NONE)
		return;
	vh->gso_type = m->gso == NET_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
	    VIRTIO_NET_HDR_GSO_TCPV6;
	if ((m->flags & NET_GSO_ECN) != 0)
		vh->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	vh->hdr_len = m->hdr_len;
	vh->gso_size = m->gso_size;
}

static int
tap_send(struct hvh_netbe *be, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m)
{
	struct net_tap *t = be->priv;
	struct iovec v[TAP_PIECES + 1];
	struct virtio_net_hdr vh;
	int first, n;

	tap_header(&vh, m);
	v[0] = (struct iovec){ &vh, sizeof(vh) };
	if (niov <= TAP_PIECES) {
		memcpy(&v[1], iov, (size_t)niov * sizeof(v[0]));
		n = niov;
	} else {
		v[1] = (struct iovec){ t->tx, net_gather(t->tx, len, iov,
		    niov) };
		n = 1;
	}
	first = t->vnet ? 0 : 1;
	do {
		if (writev(t->fd, v + first, n + 1 - first) >= 0)
			return (0);
	} while (errno == EINTR);
	if (errno == EAGAIN)
		net_fd_out(&t->nf, true);
	return (errno);
}

static void
tap_run(struct hvh_netbe *be)
{
}

/* --- From Linux --- */

/* False: a frame that nobody here could understand. */
static bool
tap_meta(const struct virtio_net_hdr *vh, struct net_meta *m)
{

	*m = (struct net_meta){ 0 };
	if ((vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
		m->flags |= NET_NEEDS_CSUM;
		m->csum_start = vh->csum_start;
		m->csum_offset = vh->csum_offset;
	} else if ((vh->flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0) {
		m->flags |= NET_CSUM_VALID;
	}
	switch (vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return (true);
	case VIRTIO_NET_HDR_GSO_TCPV4:
		m->gso = NET_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		m->gso = NET_GSO_TCP6;
		break;
	default:
		return (false);
	}
	if ((vh->gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0)
		m->flags |= NET_GSO_ECN;
	m->hdr_len = vh->hdr_len;
	m->gso_size = vh->gso_size;
	return ((m->flags & NET_NEEDS_CSUM) != 0 && m->gso_size != 0);
}

/* What is in rx; false: the user has no room for it. */
static bool
tap_deliver(struct net_tap *t)
{
	struct virtio_net_hdr vh = { 0 };
	struct net_meta m;
	uint32_t skip = t->vnet ? sizeof(vh) : 0;

	if (t->got < skip) {
		t->got = 0;
		return (true);
	}
	memcpy(&vh, t->rx, skip);
	if (!tap_meta(&vh, &m))
		t->be->stats.rx_dropped++;
	else if (!net_input(t->be, t->rx + skip, t->got - skip, &m))
		return (false);
	t->got = 0;
	return (true);
}

/* The interface is gone; its descriptor would be readable for ever. */
static void
tap_lost(struct net_tap *t, int error)
{

	hvh_log(t->be->h, HVH_LOG_WARN, "%s: lost: %s", t->be->name,
	    strerror(error));
	net_fd_in(&t->nf, false);
	net_fd_out(&t->nf, false);
	t->lost = true;
	net_set_link(t->be, false);
}

static void
tap_poll(void *arg)
{
	struct net_tap *t = arg;
	ssize_t got;
	unsigned n;

	if (t->lost)
		return;
	if (t->nf.out && net_fd_can_write(&t->nf)) {
		net_fd_out(&t->nf, false);
		net_writable(t->be);
	}
	if (t->be->stalled || (t->got > 0 && !tap_deliver(t)))
		return;
	net_fd_in(&t->nf, true);
	for (n = 0; n < NET_BUDGET; n++) {
		got = read(t->fd, t->rx, sizeof(t->rx));
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			tap_lost(t, errno);
		if (got <= 0)
			break;
		t->got = (uint32_t)got;
		if (!tap_deliver(t)) {
			net_fd_in(&t->nf, false);
			break;
		}
	}
	if (n > 0)
		net_input_end(t->be);
}

static void
tap_resume(struct hvh_netbe *be)
{

	hvh_kick(be->h);
}

/* --- Offloads --- */

static void
tap_accept(struct hvh_netbe *be)
{
	struct net_tap *t = be->priv;
	unsigned long can = 0;

	if (!t->vnet)
		return;
	if ((be->accept & NET_CAN_CSUM) != 0)
		can |= TUN_F_CSUM;
	if ((be->accept & NET_CAN_TSO4) != 0)
		can |= TUN_F_TSO4 | TUN_F_TSO_ECN;
	if ((be->accept & NET_CAN_TSO6) != 0)
		can |= TUN_F_TSO6 | TUN_F_TSO_ECN;
	if (ioctl(t->fd, TUNSETOFFLOAD, can) != 0)
		hvh_log(be->h, HVH_LOG_WARN, "%s: offloads stay as they are: "
		    "%s", be->name, strerror(errno));
}

static unsigned
tap_caps(struct hvh_netbe *be)
{
	struct net_tap *t = be->priv;

	return (t->vnet ? NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_TSO6 : 0);
}

/* --- Life --- */

static void
tap_close(struct hvh_netbe *be)
{
	struct net_tap *t = be->priv;

	net_fd_fini(&t->nf);
	close(t->fd);
	free(t);
}

static const struct net_ops tap_ops = {
	.send = tap_send,
	.run = tap_run,
	.resume = tap_resume,
	.accept = tap_accept,
	.caps = tap_caps,
	.close = tap_close,
};

static int
tap_by_name(const char *name, int *fdp, char *err, size_t errlen)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int error, fd;

	if (name == NULL || name[0] == '\0' ||
	    strlen(name) >= sizeof(ifr.ifr_name)) {
		snprintf(err, errlen, "tap: \"%s\" cannot be an interface's "
		    "name", name != NULL ? name : "");
		return (EINVAL);
	}
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		snprintf(err, errlen, "tap %s: /dev/net/tun: %s", name,
		    strerror(error));
		return (error);
	}
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) != 0) {
		error = errno;
		snprintf(err, errlen, "tap %s: %s", name, error == EBUSY ?
		    "another program uses it" : error == EPERM ?
		    "making or using it is not permitted" : error == EINVAL ?
		    "it is an interface of another kind" : strerror(error));
		close(fd);
		return (error);
	}
	*fdp = fd;
	return (0);
}

/* A descriptor that somebody else has opened, and maybe set up otherwise. */
static int
tap_given(struct net_tap *t, const char *name, char *err, size_t errlen)
{
	struct ifreq ifr = { 0 };
	int flags;

	flags = fcntl(t->fd, F_GETFL);
	if (flags < 0 || ioctl(t->fd, TUNGETIFF, &ifr) != 0 ||
	    (ifr.ifr_flags & IFF_TAP) == 0 ||
	    (ifr.ifr_flags & IFF_NO_PI) == 0) {
		snprintf(err, errlen, "%s: its descriptor is not a tap "
		    "without packet information", name);
		return (EBADF);
	}
	t->vnet = (ifr.ifr_flags & IFF_VNET_HDR) != 0;
	(void)fcntl(t->fd, F_SETFL, flags | O_NONBLOCK);
	return (0);
}

static int
tap_setup(struct net_tap *t, const char *name, char *err, size_t errlen)
{
	struct hvh *h = t->be->h;
	int error, size = sizeof(struct virtio_net_hdr);

	if (t->vnet && (ioctl(t->fd, TUNSETVNETHDRSZ, &size) != 0 ||
	    ioctl(t->fd, TUNSETOFFLOAD, 0ul) != 0)) {
		error = errno;
		snprintf(err, errlen, "%s: its offloads cannot be set: %s",
		    name, strerror(error));
		return (error);
	}
	hvh_lock(h);
	error = net_fd_init(&t->nf, h, t->fd, tap_poll, t);
	hvh_unlock(h);
	if (error != 0)
		snprintf(err, errlen, "%s: %s", name, strerror(error));
	return (error);
}

int
net_tap_open(struct hvh *h, const struct hvh_netbe_params *np,
    struct hvh_netbe **bep, char *err, size_t errlen)
{
	const char *name = np->name != NULL ? np->name : "tap";
	struct net_tap *t;
	int error;

	t = calloc(1, sizeof(*t));
	if (t == NULL || net_new(h, &tap_ops, t, name, &t->be) != 0) {
		snprintf(err, errlen, "%s: no memory", name);
		free(t);
		return (ENOMEM);
	}
	t->vnet = true;
	if (np->have_fd) {
		t->fd = np->fd;
		error = tap_given(t, name, err, errlen);
	} else {
		error = tap_by_name(np->name, &t->fd, err, errlen);
	}
	if (error == 0) {
		error = tap_setup(t, name, err, errlen);
		if (error != 0 && !np->have_fd)
			close(t->fd);
	}
	if (error != 0) {
		net_free(t->be);
		free(t);
		return (error);
	}
	*bep = t->be;
	return (0);
}
