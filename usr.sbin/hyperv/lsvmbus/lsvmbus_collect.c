/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Collects what is on the bus.  Which devices there are, with a driver or
 * without, is in the kernel's device tree, one coherent picture; channels and
 * processors are in the sysctl tree, which goes on changing: a device may have
 * lost its channels by then, and is shown without.
 */

#include <sys/types.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsvmbus.h"

const char *const lsv_count_name[LSV_COUNTS] = {
	[LSV_TX_PACKETS] = "tx_packets",
	[LSV_TX_BYTES] = "tx_bytes",
	[LSV_TX_FULL] = "tx_full",
	[LSV_TX_SIGNALS] = "tx_signals",
	[LSV_TX_SAVED] = "tx_signals_saved",
	[LSV_RX_PACKETS] = "rx_packets",
	[LSV_RX_BYTES] = "rx_bytes",
	[LSV_RX_SIGNALS] = "rx_signals",
	[LSV_INTERRUPTS] = "interrupts",
	[LSV_CORRUPT] = "corrupt",
};

/* Fills one thing in; error: it has failed for good. */
struct collect {
	struct lsv_bus	*bus;
	struct lsv_dev	*dev;
	int		 error;
};

/* One more element for an array of n, all zero; NULL. */
static void *
collect_grow(struct collect *c, void *array, size_t n, size_t size)
{
	char *p;

	p = reallocarray(array, n + 1, size);
	if (p == NULL) {
		c->error = ENOMEM;
		return (NULL);
	}
	memset(p + n * size, 0, size);
	return (p);
}

static char *
collect_dup(struct collect *c, const char *s)
{
	char *copy;

	copy = strdup(s);
	if (copy == NULL)
		c->error = ENOMEM;
	return (copy);
}

/* What follows "key=" in a list of such words; "" if that is missing. */
static char *
collect_value(struct collect *c, const char *text, const char *key)
{
	char *copy;
	size_t len;

	len = strlen(key);
	for (;;) {
		text += strspn(text, " ");
		if (*text == '\0')
			return (collect_dup(c, ""));
		if (strncmp(text, key, len) == 0 && text[len] == '=')
			break;
		text += strcspn(text, " ");
	}
	text += len + 1;
	copy = strndup(text, strcspn(text, " "));
	if (copy == NULL)
		c->error = ENOMEM;
	return (copy);
}

/* The number a name begins with, and the dot behind it if there is one. */
static bool
collect_index(const char **name, uint32_t *value)
{
	unsigned long v;
	char *end;

	if (**name < '0' || **name > '9')
		return (false);
	errno = 0;
	v = strtoul(*name, &end, 10);
	if (errno != 0 || v > UINT32_MAX || (*end != '.' && *end != '\0'))
		return (false);
	*value = (uint32_t)v;
	*name = *end == '.' ? end + 1 : end;
	return (true);
}

/* --- Channels --- */

static struct lsv_chan *
collect_chan(struct collect *c, uint32_t primary, uint32_t sub)
{
	struct lsv_dev *dev = c->dev;
	struct lsv_chan *ch;
	size_t i;

	for (i = 0; i < dev->nchan; i++)
		if (dev->chan[i].primary == primary && dev->chan[i].sub == sub)
			return (&dev->chan[i]);
	ch = collect_grow(c, dev->chan, dev->nchan, sizeof(*ch));
	if (ch == NULL)
		return (NULL);
	dev->chan = ch;
	ch += dev->nchan++;
	ch->primary = primary;
	ch->sub = sub;
	ch->id = sub == 0 ? primary : LSV_UNKNOWN;
	ch->cpu = ch->monitored = LSV_UNKNOWN;
	ch->tx.used = ch->tx.room = ch->rx.used = ch->rx.room = LSV_UNKNOWN;
	for (i = 0; i < LSV_COUNTS; i++)
		ch->count[i] = LSV_UNKNOWN;
	return (ch);
}

/* "… ravail:96 wavail:8096": what both drivers tell of a ring, among more. */
static bool
collect_word(const char *text, const char *key, uint32_t *value)
{
	const char *p;
	char *end;
	unsigned long v;

	p = strstr(text, key);
	if (p == NULL)
		return (false);
	p += strlen(key);
	errno = 0;
	v = strtoul(p, &end, 10);
	if (errno != 0 || end == p || v > UINT32_MAX)
		return (false);
	*value = (uint32_t)v;
	return (true);
}

static void
collect_ring(struct lsv_ring *ring, const struct lsv_oid *oid)
{
	char text[256];
	uint32_t used, room;

	if (!lsv_string(oid, text, sizeof(text)) ||
	    !collect_word(text, "ravail:", &used) ||
	    !collect_word(text, "wavail:", &room))
		return;
	ring->used = used;
	ring->room = room;
}

/* Where the number goes that a leaf of a channel has; NULL: none of ours. */
static int64_t *
collect_chan_number(struct lsv_chan *ch, const char *leaf)
{
	size_t i;

	if (strcmp(leaf, "chanid") == 0)
		return (&ch->id);
	if (strcmp(leaf, "cpu") == 0)
		return (&ch->cpu);
	if (strcmp(leaf, "mnf") == 0)
		return (&ch->monitored);
	for (i = 0; i < LSV_COUNTS; i++)
		if (strcmp(leaf, lsv_count_name[i]) == 0)
			return (&ch->count[i]);
	return (NULL);
}

/*
 * Leaf ID.LEAF or ID.sub.INDEX.LEAF below the device's "channel".  A class
 * driver may have nodes of its own there, which name a sub-channel by its
 * number alone: what only they tell of is no channel.
 */
static void
collect_chan_leaf(void *arg, const char *leaf, const struct lsv_oid *oid)
{
	struct lsv_chan scratch, *ch;
	struct collect *c = arg;
	uint32_t primary, sub;
	bool rx, tx;

	sub = 0;
	if (c->error != 0 || !collect_index(&leaf, &primary))
		return;
	if (strncmp(leaf, "sub.", 4) == 0) {
		leaf += 4;
		if (!collect_index(&leaf, &sub) || sub == 0)
			return;
	}
	tx = strcmp(leaf, "br.tx.state") == 0;
	rx = strcmp(leaf, "br.rx.state") == 0;
	if (!tx && !rx && collect_chan_number(&scratch, leaf) == NULL)
		return;
	ch = collect_chan(c, primary, sub);
	if (ch == NULL)
		return;
	if (tx || rx)
		collect_ring(tx ? &ch->tx : &ch->rx, oid);
	else
		*collect_chan_number(ch, leaf) = lsv_number(oid);
}

static int
collect_chan_order(const void *a, const void *b)
{
	const struct lsv_chan *x = a, *y = b;

	if (x->primary != y->primary)
		return (x->primary < y->primary ? -1 : 1);
	return (x->sub < y->sub ? -1 : x->sub > y->sub);
}

/* --- Devices --- */

static void
collect_channels(struct collect *c)
{
	struct lsv_dev *dev = c->dev;
	char node[128];

	/* The unit is what follows the driver's name. */
	snprintf(node, sizeof(node), "dev.%s.%s.channel", dev->driver,
	    dev->name + strlen(dev->driver));
	lsv_walk(node, collect_chan_leaf, c);
	if (dev->nchan == 0)
		return;
	qsort(dev->chan, dev->nchan, sizeof(*dev->chan), collect_chan_order);
	if (dev->id == LSV_UNKNOWN)
		dev->id = dev->chan[0].primary;
}

static void
collect_dev(struct collect *c, const struct lsv_node *node)
{
	struct lsv_bus *bus = c->bus;
	struct lsv_dev *dev;
	const char *p;
	char *location;
	uint32_t id;

	/* The bus has children that no channel was offered for, too. */
	if (strstr(node->pnpinfo, "classid=") == NULL)
		return;
	dev = collect_grow(c, bus->dev, bus->ndev, sizeof(*dev));
	if (dev == NULL)
		return;
	bus->dev = dev;
	c->dev = dev += bus->ndev++;
	dev->id = LSV_UNKNOWN;
	dev->state = node->state;
	/* What is only probed has a name that may be another's soon. */
	dev->name = collect_dup(c, node->attached ? node->name : "");
	dev->driver = collect_dup(c, node->attached ? node->driver : "");
	dev->desc = collect_dup(c, node->attached ? node->desc : "");
	dev->class_id = collect_value(c, node->pnpinfo, "classid");
	dev->instance_id = collect_value(c, node->pnpinfo, "deviceid");
	location = collect_value(c, node->location, "channel");
	if (c->error == 0) {
		p = location;
		if (collect_index(&p, &id))
			dev->id = id;
		if (dev->driver[0] != '\0' && strncmp(dev->name, dev->driver,
		    strlen(dev->driver)) == 0)
			collect_channels(c);
	}
	free(location);
}

/* By channel; what has none known comes last, by name. */
static int
collect_dev_order(const void *a, const void *b)
{
	const struct lsv_dev *x = a, *y = b;

	if (x->id != y->id) {
		if (x->id == LSV_UNKNOWN || y->id == LSV_UNKNOWN)
			return (x->id == LSV_UNKNOWN ? 1 : -1);
		return (x->id < y->id ? -1 : 1);
	}
	if (strcmp(x->name, y->name) != 0)
		return (strcmp(x->name, y->name));
	return (strcmp(x->instance_id, y->instance_id));
}

/* --- Processors --- */

static struct lsv_cpu *
collect_cpu(struct collect *c, int64_t number)
{
	struct lsv_bus *bus = c->bus;
	struct lsv_cpu *cpu;
	size_t i;

	for (i = 0; i < bus->ncpu; i++)
		if (bus->cpu[i].cpu == number)
			return (&bus->cpu[i]);
	cpu = collect_grow(c, bus->cpu, bus->ncpu, sizeof(*cpu));
	if (cpu == NULL)
		return (NULL);
	bus->cpu = cpu;
	cpu += bus->ncpu++;
	cpu->cpu = number;
	cpu->vp = cpu->interrupts = cpu->stray = LSV_UNKNOWN;
	return (cpu);
}

static void
collect_cpu_leaf(void *arg, const char *leaf, const struct lsv_oid *oid)
{
	struct collect *c = arg;
	struct lsv_cpu *cpu;
	uint32_t number;

	if (c->error != 0 || !collect_index(&leaf, &number))
		return;
	cpu = collect_cpu(c, number);
	if (cpu == NULL)
		return;
	if (strcmp(leaf, "vp") == 0)
		cpu->vp = lsv_number(oid);
	else if (strcmp(leaf, "interrupts") == 0)
		cpu->interrupts = lsv_number(oid);
	else if (strcmp(leaf, "stray") == 0)
		cpu->stray = lsv_number(oid);
}

static int
collect_cpu_order(const void *a, const void *b)
{
	const struct lsv_cpu *x = a, *y = b;

	return (x->cpu < y->cpu ? -1 : x->cpu > y->cpu);
}

/* Those the bus tells of, and others that some channel interrupts. */
static void
collect_cpus(struct collect *c, const char *node)
{
	struct lsv_bus *bus = c->bus;
	size_t i, j;

	lsv_walk(node, collect_cpu_leaf, c);
	for (i = 0; i < bus->ndev && c->error == 0; i++)
		for (j = 0; j < bus->dev[i].nchan; j++)
			if (bus->dev[i].chan[j].cpu != LSV_UNKNOWN)
				(void)collect_cpu(c, bus->dev[i].chan[j].cpu);
	if (bus->ncpu > 0)
		qsort(bus->cpu, bus->ncpu, sizeof(*bus->cpu),
		    collect_cpu_order);
}

/* --- The bus --- */

static void
collect_bus(struct collect *c, const struct lsv_tree *tree,
    const struct lsv_node *vmbus)
{
	struct lsv_bus *bus = c->bus;
	const char *unit = vmbus->name + strlen(vmbus->driver);
	char node[64], text[32];
	size_t i, len;

	bus->name = collect_dup(c, vmbus->name);
	snprintf(node, sizeof(node), "dev.vmbus.%s.version", unit);
	len = sizeof(text) - 1;
	if (sysctlbyname(node, text, &len, NULL, 0) != 0)
		len = 0;
	text[len] = '\0';
	bus->version = collect_dup(c, text);
	for (i = 0; i < tree->n && c->error == 0; i++)
		if (tree->node[i].parent == vmbus->handle)
			collect_dev(c, &tree->node[i]);
	if (c->error == 0 && bus->ndev > 0)
		qsort(bus->dev, bus->ndev, sizeof(*bus->dev),
		    collect_dev_order);
	snprintf(node, sizeof(node), "dev.vmbus.%s.cpu", unit);
	if (c->error == 0)
		collect_cpus(c, node);
}

int
lsv_collect(struct lsv_bus *bus)
{
	struct collect c = { .bus = bus };
	const struct lsv_node *node;
	struct lsv_tree tree;
	size_t i;

	memset(bus, 0, sizeof(*bus));
	c.error = lsv_tree_read(&tree);
	/* There is one bus in a machine. */
	for (i = 0; i < tree.n && c.error == 0 && bus->name == NULL; i++) {
		node = &tree.node[i];
		if (node->attached && strcmp(node->driver, "vmbus") == 0 &&
		    strncmp(node->name, "vmbus", strlen("vmbus")) == 0)
			collect_bus(&c, &tree, node);
	}
	lsv_tree_free(&tree);
	if (c.error != 0)
		return (c.error);
	return (bus->name != NULL ? 0 : ENXIO);
}

void
lsv_free(struct lsv_bus *bus)
{
	struct lsv_dev *dev;
	size_t i;

	for (i = 0; i < bus->ndev; i++) {
		dev = &bus->dev[i];
		free(dev->name);
		free(dev->driver);
		free(dev->desc);
		free(dev->class_id);
		free(dev->instance_id);
		free(dev->chan);
	}
	free(bus->dev);
	free(bus->cpu);
	free(bus->name);
	free(bus->version);
	memset(bus, 0, sizeof(*bus));
}
