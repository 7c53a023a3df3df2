/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Adapters: a back end, the layers asked for upon it, and the adapter upon
 * those.  An adapter's instance and address are the same at each start, for
 * guests know it by them.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/nets.h"

/* The last digit is the adapter's number. */
#define	NET_INSTANCE	"3d2b7f40-91c6-4a0e-8b57-6e1f94c2d20%u"

/* The address block of Hyper-V's virtual adapters; then ours. */
static const uint8_t mac_base[6] = { 0x00, 0x15, 0x5D, 0x48, 0x56, 0x00 };

static bool
any_fault(const struct hvh_netbe_faults *fp)
{

	return (fp->loss != 0 || fp->duplicate != 0 || fp->reorder != 0 ||
	    fp->corrupt != 0 || fp->delay_ns != 0 || fp->jitter_ns != 0);
}

/* The capture is outermost: it shows what the guest sends and gets. */
static int
add_layers(struct hvh_netbe **be, const struct opt_net *n, char *err,
    size_t errlen)
{
	struct hvh_netbe_pcap cp = { .path = n->pcap };
	int error;

	if (any_fault(&n->faults)) {
		error = hvh_netbe_disturb(be, &n->faults);
		if (error != 0) {
			snprintf(err, errlen, "faults of the network: %s",
			    strerror(error));
			return (error);
		}
	}
	if (n->pcap == NULL)
		return (0);
	return (hvh_netbe_capture(be, &cp, err, errlen));
}

static int
open_back(struct nets *ns, const struct opt_net *n, int fd,
    struct hvh_netbe **be, char *err, size_t errlen)
{
	struct hvh_netbe_params np = {
		.kind = n->kind,
		.name = n->name,
		.have_fd = fd >= 0,
		.fd = fd,
		.restricted = n->restricted,
		.mtu = n->kind == HVH_NETBE_USER ? n->mtu : 0,
	};
	int error;

	error = hvh_netbe_open(vmm_hvh(ns->ns_vmm), &np, be, err, errlen);
	if (error != 0) {
		if (fd >= 0)
			close(fd);
		return (error);
	}
	error = add_layers(be, n, err, errlen);
	if (error != 0)
		hvh_netbe_close(*be);
	return (error);
}

static void
instance_of(unsigned which, struct hvh_guid *instance)
{
	char guid[40];

	snprintf(guid, sizeof(guid), NET_INSTANCE, which);
	hvh_guid_parse(guid, instance);
}

int
nets_add(struct nets *ns, const struct opt_net *n, int fd, unsigned *which,
    char *err, size_t errlen)
{
	struct hvh_net_params np = {
		.max_channels = (uint16_t)n->channels,
		.max_version = n->version,
		.max_mtu = n->mtu,
		.link_down = n->link_down,
		.monitored = ns->ns_vmm->m_cf.monitor_pages,
	};
	unsigned i;
	int error;

	for (i = 0; i < OPT_NETS_MAX && ns->ns_net[i] != NULL; i++)
		continue;
	if (i == OPT_NETS_MAX) {
		snprintf(err, errlen, "all %u adapters are there",
		    OPT_NETS_MAX);
		if (fd >= 0)
			close(fd);
		return (ENOSPC);
	}
	error = open_back(ns, n, fd, &np.be, err, errlen);
	if (error != 0)
		return (error);
	instance_of(i, &np.instance);
	memcpy(np.mac, mac_base, sizeof(np.mac));
	np.mac[5] = (uint8_t)i;
	if (n->have_mac)
		memcpy(np.mac, n->mac, sizeof(np.mac));
	error = hvh_net_add(vmm_hvh(ns->ns_vmm), &np, &ns->ns_net[i]);
	if (error != 0) {
		snprintf(err, errlen, "network adapter %u: %s", i,
		    strerror(error));
		hvh_netbe_close(np.be);
		return (error);
	}
	memcpy(ns->ns_mac[i], np.mac, sizeof(np.mac));
	*which = i;
	return (0);
}

static struct hvh_net **
find(struct nets *ns, unsigned which, char *err, size_t errlen)
{

	if (which < OPT_NETS_MAX && ns->ns_net[which] != NULL)
		return (&ns->ns_net[which]);
	snprintf(err, errlen, "this machine has no network adapter %u",
	    which);
	return (NULL);
}

int
nets_remove(struct nets *ns, unsigned which, char *err, size_t errlen)
{
	struct hvh_net **net = find(ns, which, err, errlen);

	if (net == NULL)
		return (ENOENT);
	hvh_net_remove(*net);
	*net = NULL;
	return (0);
}

int
nets_link(struct nets *ns, unsigned which, bool up, char *err, size_t errlen)
{
	struct hvh_net **net = find(ns, which, err, errlen);
	int error;

	if (net == NULL)
		return (ENODEV);
	error = hvh_net_link(*net, up);
	if (error == ENODEV)
		snprintf(err, errlen, "network adapter %u was taken away",
		    which);
	return (error);
}

int
nets_identity(struct nets *ns, unsigned which, uint8_t mac[6],
    struct hvh_guid *instance)
{

	if (which >= OPT_NETS_MAX || ns->ns_net[which] == NULL)
		return (ENODEV);
	memcpy(mac, ns->ns_mac[which], 6);
	instance_of(which, instance);
	return (0);
}

static json_t *
counters(const struct hvh_net_stats *st)
{
	json_t *o = json_object();

#define	PUT(name)	json_object_set_new(o, #name,			\
	    json_integer((json_int_t)st->name))
	PUT(tx_packets);
	PUT(tx_bytes);
	PUT(tx_messages);
	PUT(tx_large);
	PUT(tx_bad);
	PUT(tx_drops);
	PUT(rx_packets);
	PUT(rx_bytes);
	PUT(rx_messages);
	PUT(rx_filtered);
	PUT(rx_no_buffer);
	PUT(rx_bad);
	PUT(csum_bad);
	PUT(version);
	PUT(mtu);
	PUT(filter);
	PUT(channels);
	PUT(rx_held);
	PUT(link_up);
	PUT(vf_active);
#undef PUT
	return (o);
}

void
nets_stats(struct nets *ns, json_t *o)
{
	struct hvh_net_stats st;
	char name[8];

	for (unsigned i = 0; i < OPT_NETS_MAX; i++) {
		if (ns->ns_net[i] == NULL)
			continue;
		hvh_net_get_stats(ns->ns_net[i], &st);
		snprintf(name, sizeof(name), "%u", i);
		json_object_set_new(o, name, counters(&st));
	}
}

int
nets_create(struct nets *ns, struct vmm *m, const struct options *op,
    char *err, size_t errlen)
{
	unsigned which;
	int error = 0;

	*ns = (struct nets){ .ns_vmm = m };
	for (unsigned i = 0; error == 0 && i < op->nnets; i++)
		error = nets_add(ns, &op->net[i], -1, &which, err, errlen);
	return (error);
}
