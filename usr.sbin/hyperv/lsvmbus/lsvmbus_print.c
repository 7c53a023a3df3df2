/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Prints the bus through libxo(3): in columns for people, or all there is for
 * programs.  What only one of the two gets is a display-only field ({P:}, {D:},
 * {T:}) or an encoded one ({e:}).
 */

#include <sys/types.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxo/xo.h>

#include "lsvmbus.h"

/* Processors of a device as a list of ranges: as much of it as is shown. */
#define	PRINT_CPUS	64
#define	PRINT_WIDTH	78
#define	PRINT_NONE	"-"

/* Widths of the device table's columns. */
struct print_columns {
	int	id;
	int	name;
	int	channels;
	int	cpus;
};

static void
print_pad(int n)
{

	xo_emit("{P:/%*s}", n > 0 ? n : 0, "");
}

static int
print_digits(int64_t v)
{
	char text[32];

	return (v == LSV_UNKNOWN ? (int)strlen(PRINT_NONE) :
	    snprintf(text, sizeof(text), "%jd", (intmax_t)v));
}

/* A number at the right end of its column; a program gets it or nothing. */
static void
print_number(const char *field, int64_t v, int width)
{
	char format[64];

	print_pad(width - print_digits(v));
	if (v == LSV_UNKNOWN) {
		xo_emit("{D:/%s}", PRINT_NONE);
		return;
	}
	snprintf(format, sizeof(format), "{:%s/%%jd}", field);
	xo_emit(format, (intmax_t)v);
}

/* What only programs get. */
static void
print_encoded(const char *field, const char *text)
{
	char format[64];

	if (text[0] == '\0')
		return;
	snprintf(format, sizeof(format), "{e:%s/%%s}", field);
	xo_emit(format, text);
}

/* A title above a column of which the end or the beginning is aligned. */
static void
print_title(const char *title, int width, bool right)
{
	int pad = width - (int)strlen(title);

	if (right)
		print_pad(pad);
	xo_emit("{T:/%s}", title);
	if (!right)
		print_pad(pad);
}

static int
print_cpu_order(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* "0-3,7"; "-" if nothing is known; ends with "…" if there are too many. */
static void
print_cpus(const struct lsv_dev *dev, char *text, size_t size)
{
	int64_t *cpu;
	size_t i, n, len, from;

	snprintf(text, size, "%s", PRINT_NONE);
	cpu = calloc(dev->nchan + 1, sizeof(*cpu));
	if (cpu == NULL)
		return;
	for (i = n = 0; i < dev->nchan; i++)
		if (dev->chan[i].cpu != LSV_UNKNOWN)
			cpu[n++] = dev->chan[i].cpu;
	qsort(cpu, n, sizeof(*cpu), print_cpu_order);
	for (i = len = 0; i < n; i++) {
		for (from = i; i + 1 < n && cpu[i + 1] - cpu[i] <= 1; )
			i++;
		/* Room for two numbers of a processor, and for the dots. */
		if (len + 24 > size) {
			snprintf(text + len, size - len, ",...");
			break;
		}
		len += (size_t)snprintf(text + len, size - len, "%s%jd",
		    len > 0 ? "," : "", (intmax_t)cpu[from]);
		if (cpu[i] != cpu[from])
			len += (size_t)snprintf(text + len, size - len,
			    "-%jd", (intmax_t)cpu[i]);
	}
	free(cpu);
}

/* --- Channels --- */

static void
print_yes(const char *field, int64_t v, int width)
{
	char format[64];
	const char *text;

	text = v == LSV_UNKNOWN ? PRINT_NONE : v != 0 ? "yes" : "no";
	print_pad(width - (int)strlen(text));
	xo_emit("{D:/%s}", text);
	if (v == LSV_UNKNOWN)
		return;
	snprintf(format, sizeof(format), "{en:%s/%%s}", field);
	xo_emit(format, v != 0 ? "true" : "false");
}

static void
print_counts(const struct lsv_chan *ch)
{
	char format[64], field[32], *p;
	int column, width;
	size_t i;

	for (i = 0, column = 0; i < LSV_COUNTS; i++) {
		if (ch->count[i] == LSV_UNKNOWN)
			continue;
		width = (int)strlen(lsv_count_name[i]) + 1 +
		    print_digits(ch->count[i]);
		if (column > 0 && column + 2 + width > PRINT_WIDTH) {
			xo_emit("\n");
			column = 0;
		}
		print_pad(column == 0 ? 12 : 2);
		column += (column == 0 ? 12 : 2) + width;
		/* Programs get names as they are usual there. */
		snprintf(field, sizeof(field), "%s", lsv_count_name[i]);
		while ((p = strchr(field, '_')) != NULL)
			*p = '-';
		snprintf(format, sizeof(format), "{D:/%%s }{:%s/%%jd}", field);
		xo_emit(format, lsv_count_name[i], (intmax_t)ch->count[i]);
	}
	if (column > 0)
		xo_emit("\n");
}

static void
print_channel(const struct lsv_chan *ch, const struct lsv_show *show)
{

	xo_open_instance("channel");
	print_number("id", ch->id, 11);
	if (ch->sub != 0)
		print_number("sub", ch->sub, 5);
	else
		print_number("sub", show->text ? LSV_UNKNOWN : 0, 5);
	print_number("cpu", ch->cpu, 5);
	print_yes("monitored", ch->monitored, 9 + 2);
	print_number("tx-used", ch->tx.used, 11);
	print_number("tx-free", ch->tx.room, 11);
	print_number("rx-used", ch->rx.used, 11);
	print_number("rx-free", ch->rx.room, 11);
	xo_emit("\n");
	if (show->verbose > 1)
		print_counts(ch);
	xo_close_instance("channel");
}

static void
print_channels(const struct lsv_dev *dev, const struct lsv_show *show)
{
	size_t i;

	if (dev->nchan == 0)
		return;
	print_title("CHANNEL", 11, true);
	print_title("SUB", 5, true);
	print_title("CPU", 5, true);
	print_title("MONITORED", 11, true);
	print_title("TX-USED", 11, true);
	print_title("TX-FREE", 11, true);
	print_title("RX-USED", 11, true);
	print_title("RX-FREE", 11, true);
	xo_emit("\n");
	xo_open_list("channel");
	for (i = 0; i < dev->nchan; i++)
		print_channel(&dev->chan[i], show);
	xo_close_list("channel");
}

/* --- Devices --- */

static void
print_device(const struct lsv_dev *dev, const struct lsv_show *show,
    const struct print_columns *col)
{
	const struct lsv_class *class = lsv_class(dev->class_id);
	char cpus[PRINT_CPUS];

	xo_open_instance("device");
	print_number("id", dev->id, col->id);
	if (dev->name[0] != '\0')
		xo_emit("  {:name/%s}", dev->name);
	else
		xo_emit("{D:/  %s}", PRINT_NONE);
	print_pad(col->name - (int)(dev->name[0] != '\0' ?
	    strlen(dev->name) : strlen(PRINT_NONE)));
	print_encoded("driver", dev->driver);
	print_encoded("description", dev->desc);
	print_encoded("state", dev->state);
	print_number("channels", (int64_t)dev->nchan, col->channels + 2);
	print_cpus(dev, cpus, sizeof(cpus));
	print_pad(col->cpus + 2 - (int)strlen(cpus));
	xo_emit("{D:/%s}", cpus);
	print_encoded("class", class != NULL ? class->key : "");
	if (class != NULL)
		xo_emit("  {:class-name/%s}\n", class->text);
	else
		xo_emit("{D:/  %s}\n", dev->class_id);
	if (show->verbose > 0) {
		xo_emit("{P:    }{Lc:class}{P: }{:class-id/%s}\n",
		    dev->class_id);
		xo_emit("{P:    }{Lc:instance}{P: }{:instance-id/%s}\n",
		    dev->instance_id);
		if (show->text)
			xo_emit("{P:    }{Lc:driver}{P: }{D:/%s, %s}\n",
			    dev->desc[0] != '\0' ? dev->desc : "none",
			    dev->state);
		print_channels(dev, show);
	}
	xo_close_instance("device");
}

/* Whether arg names dev: "storvsc0", one of its channels, its instance. */
static bool
print_named(const struct lsv_dev *dev, const char *arg)
{
	char *end;
	long long id;
	size_t i;

	if (strcmp(arg, dev->name) == 0 || strcmp(arg, dev->instance_id) == 0)
		return (arg[0] != '\0');
	if (arg[0] < '0' || arg[0] > '9')
		return (false);
	id = strtoll(arg, &end, 10);
	if (*end != '\0')
		return (false);
	for (i = 0; i < dev->nchan; i++)
		if (dev->chan[i].id == id)
			return (true);
	return (dev->id == id);
}

static bool
print_wanted(const struct lsv_dev *dev, const struct lsv_show *show)
{
	int i;

	for (i = 0; i < show->nonly; i++)
		if (print_named(dev, show->only[i]))
			return (true);
	return (show->nonly == 0);
}

static bool
print_all_there(const struct lsv_bus *bus, const struct lsv_show *show)
{
	bool there = true;
	size_t j;
	int i;

	for (i = 0; i < show->nonly; i++) {
		for (j = 0; j < bus->ndev; j++)
			if (print_named(&bus->dev[j], show->only[i]))
				break;
		if (j < bus->ndev)
			continue;
		xo_warnx("%s: no such device or channel", show->only[i]);
		there = false;
	}
	return (there);
}

static void
print_widen(int *width, int want)
{

	if (*width < want)
		*width = want;
}

static void
print_devices(const struct lsv_bus *bus, const struct lsv_show *show)
{
	struct print_columns col = {
		(int)strlen("ID"), (int)strlen("DEVICE"),
		(int)strlen("CHANNELS"), (int)strlen("CPU")
	};
	const struct lsv_dev *dev;
	char cpus[PRINT_CPUS];
	size_t i, shown;

	for (i = shown = 0; i < bus->ndev; i++) {
		dev = &bus->dev[i];
		if (!print_wanted(dev, show))
			continue;
		shown++;
		print_widen(&col.id, print_digits(dev->id));
		print_widen(&col.name, (int)strlen(dev->name));
		print_cpus(dev, cpus, sizeof(cpus));
		print_widen(&col.cpus, (int)strlen(cpus));
	}
	if (shown > 0) {
		print_title("ID", col.id, true);
		print_pad(2);
		print_title("DEVICE", col.name, false);
		print_pad(2);
		print_title("CHANNELS", col.channels, true);
		print_pad(2);
		print_title("CPU", col.cpus, true);
		xo_emit("{T:/  %s}\n", "CLASS");
	}
	xo_open_list("device");
	for (i = 0; i < bus->ndev; i++)
		if (print_wanted(&bus->dev[i], show))
			print_device(&bus->dev[i], show, &col);
	xo_close_list("device");
}

/* --- Processors --- */

static void
print_cpu(const struct lsv_bus *bus, const struct lsv_cpu *cpu)
{
	const struct lsv_chan *ch;
	const char *gap = "  ";
	size_t i, j;

	xo_open_instance("cpu");
	print_number("id", cpu->cpu, 3);
	print_number("vp", cpu->vp, 5);
	print_number("interrupts", cpu->interrupts, 14);
	print_number("stray", cpu->stray, 9);
	xo_open_list("channel-id");
	for (i = 0; i < bus->ndev; i++)
		for (j = 0; j < bus->dev[i].nchan; j++) {
			ch = &bus->dev[i].chan[j];
			if (ch->cpu != cpu->cpu || ch->id == LSV_UNKNOWN)
				continue;
			xo_emit("{D:/%s%s:}{l:channel-id/%jd}", gap,
			    bus->dev[i].name, (intmax_t)ch->id);
			gap = " ";
		}
	xo_close_list("channel-id");
	xo_emit("\n");
	xo_close_instance("cpu");
}

static void
print_processors(const struct lsv_bus *bus)
{
	size_t i;

	print_title("CPU", 3, true);
	print_title("VP", 5, true);
	print_title("INTERRUPTS", 14, true);
	print_title("STRAY", 9, true);
	xo_emit("{T:/  %s}\n", "CHANNELS");
	xo_open_list("cpu");
	for (i = 0; i < bus->ncpu; i++)
		print_cpu(bus, &bus->cpu[i]);
	xo_close_list("cpu");
}

bool
lsv_print(const struct lsv_bus *bus, const struct lsv_show *show)
{
	size_t channels, i;

	for (i = channels = 0; i < bus->ndev; i++)
		channels += bus->dev[i].nchan;
	xo_open_container("vmbus");
	xo_emit("{:name/%s}{D:/: version %s, %zu device%s, %zu open channel%s}"
	    "\n", bus->name, bus->version[0] != '\0' ? bus->version :
	    "unknown", bus->ndev, bus->ndev == 1 ? "" : "s", channels,
	    channels == 1 ? "" : "s");
	print_encoded("version", bus->version);
	print_devices(bus, show);
	if (show->cpus) {
		xo_emit("\n");
		print_processors(bus);
	}
	xo_close_container("vmbus");
	return (print_all_there(bus, show));
}
