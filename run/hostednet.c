/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See hostednet.h. */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "hostednet.h"
#include "vm.h"

/* --- Options --- */

static const char *
hostednet_word(struct hostednet *n, const char *word)
{
	char *end;

	if (strncmp(word, "guest=", 6) == 0)
		n->guest = word + 6;
	else if (strncmp(word, "pcap=", 5) == 0)
		n->pcap = word + 5;
	else if (strncmp(word, "channels=", 9) == 0) {
		n->channels = strtoul(word + 9, &end, 10);
		if (*end != '\0' || n->channels < 1 || n->channels > 64)
			return ("channels= is from 1 to 64");
	} else
		return ("after the back end come guest=NAME, channels=N, "
		    "pcap=FILE");
	return (NULL);
}

const char *
hostednet_option(struct hostednets *hn, char *arg)
{
	struct hostednet *n;
	const char *wrong = NULL;
	char *save = NULL, *word;

	if (hn->count == HOSTEDNETS)
		return ("too many adapters");
	n = &hn->net[hn->count++];
	word = strtok_r(arg, ",", &save);
	if (word == NULL)
		word = "";
	if (strncmp(word, "tap=", 4) == 0 && word[4] != '\0') {
		n->kind = HVH_NETBE_TAP;
		n->name = word + 4;
	} else if (strncmp(word, "socket=", 7) == 0 && word[7] != '\0') {
		n->kind = HVH_NETBE_SOCKET;
		n->name = word + 7;
	} else if (strcmp(word, "user") == 0)
		n->kind = HVH_NETBE_USER;
	else
		return ("it begins with tap=NAME, socket=PATH or user");
	while (wrong == NULL && (word = strtok_r(NULL, ",", &save)) != NULL)
		wrong = hostednet_word(n, word);
	return (wrong);
}

/* --- Coming and going --- */

bool
hostednet_adapter(const struct hostednets *hn, unsigned n, uint8_t mac[6],
    struct hvh_guid *instance)
{
	char guid[37];

	if (n >= hn->count)
		return (false);
	memcpy(mac, (const uint8_t[6]){ 0x00, 0x15, 0x5d, 0x48, 0x57,
	    (uint8_t)n }, 6);
	snprintf(guid, sizeof(guid), "3d2b7f40-91c6-4a0e-8b57-6e1f94c2d3%02x",
	    n);
	return (hvh_guid_parse(guid, instance) == 0);
}

static void
hostednet_add_one(struct hostednets *hn, unsigned i)
{
	struct hostednet *n = &hn->net[i];
	struct hvh_netbe_params bp = { .kind = n->kind, .name = n->name };
	struct hvh_netbe_pcap cp = { .path = n->pcap };
	struct hvh_net_params np = { .max_channels = (uint16_t)n->channels };
	char msg[256];
	int error;

	error = hvh_netbe_open(vm_host(), &bp, &np.be, msg, sizeof(msg));
	if (error == 0 && n->pcap != NULL)
		error = hvh_netbe_capture(&np.be, &cp, msg, sizeof(msg));
	if (error != 0)
		errx(1, "%s", msg);
	(void)hostednet_adapter(hn, i, np.mac, &np.instance);
	error = hvh_net_add(vm_host(), &np, &n->host);
	if (error != 0)
		errx(1, "network adapter %u: %s", i, strerror(error));
}

void
hostednet_add(struct hostednets *hn)
{
	unsigned i;

	for (i = 0; i < hn->count; i++)
		hostednet_add_one(hn, i);
}

void
hostednet_start(struct hostednets *hn)
{
	struct netport_params pp = { 0 };
	char msg[256], name[16];
	unsigned i;
	int error;

	for (i = 0; i < hn->count; i++) {
		snprintf(name, sizeof(name), "hn%u", i);
		error = kpi_net_wait(name, 30000);
		if (error != 0)
			errx(1, "%s did not appear: error %d", name, error);
		if (hn->net[i].guest == NULL) {
			printf("ready %s\n", name);
			continue;
		}
		pp.ifname = name;
		pp.tap = hn->net[i].guest;
		hn->net[i].port = netport_start(&pp, msg, sizeof(msg));
		if (hn->net[i].port == NULL)
			errx(1, "%s", msg);
		printf("ready %s: %s\n", name, hn->net[i].guest);
	}
}

void
hostednet_stop(struct hostednets *hn)
{
	unsigned i;

	for (i = 0; i < hn->count; i++) {
		if (hn->net[i].port != NULL)
			netport_stop(hn->net[i].port);
		hn->net[i].port = NULL;
	}
}

/* --- Counters --- */

void
hostednet_print(struct hostednets *hn, json_t *all)
{
	struct counters_signals cs;
	struct netport_stats st;
	struct hvh_net_stats ns;
	struct hvh_stats hs;
	char device[32];
	json_t *o;
	unsigned i;

	hvh_get_stats(vm_host(), &hs);
	for (i = 0; i < hn->count; i++) {
		memset(&st, 0, sizeof(st));
		if (hn->net[i].port != NULL)
			netport_get_stats(hn->net[i].port, &st);
		hvh_net_get_stats(hn->net[i].host, &ns);
		snprintf(device, sizeof(device), "dev.hn.%u", i);
		cs = counters_signals(device);
		o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		    "packets", (json_int_t)(ns.tx_packets + ns.rx_packets),
		    "frames", (json_int_t)(st.tx_frames + st.rx_frames),
		    "bytes", (json_int_t)(ns.tx_bytes + ns.rx_bytes),
		    "drops", (json_int_t)(st.tx_drops + st.tx_errors +
		    st.rx_drops + ns.tx_drops + ns.tx_bad +
		    ns.rx_no_buffer + ns.rx_bad),
		    "messages", (json_int_t)(ns.tx_messages + ns.rx_messages),
		    "interrupts", (json_int_t)hs.interrupts,
		    "hypercalls", (json_int_t)hs.hypercalls,
		    "signals_sent", (json_int_t)cs.sent,
		    "signals_saved", (json_int_t)cs.saved);
		printf("hn%u: packets %lld bytes %lld drops %lld interrupts "
		    "%lld hypercalls %lld signals sent %lld saved %lld\n", i,
		    json_integer_value(json_object_get(o, "packets")),
		    json_integer_value(json_object_get(o, "bytes")),
		    json_integer_value(json_object_get(o, "drops")),
		    json_integer_value(json_object_get(o, "interrupts")),
		    json_integer_value(json_object_get(o, "hypercalls")),
		    json_integer_value(json_object_get(o, "signals_sent")),
		    json_integer_value(json_object_get(o, "signals_saved")));
		snprintf(device, sizeof(device), "hn%u", i);
		json_object_set_new(all, device, o);
	}
}
