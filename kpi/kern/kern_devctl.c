/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * devctl(4): the lines that devd(8) reads when devices come and go and when
 * drivers have news.  The newest are kept for a program around the hosted
 * kernel, which reads them with kpi_devctl_read().
 */

#include "subr_bus_var.h"

#include <sys/devctl.h>
#include <sys/kernel.h>

#define	DEVCTL_MAXLINES	1000

struct devctl_line {
	STAILQ_ENTRY(devctl_line) dl_link;
	char		dl_text[];
};

static struct mtx devctl_mtx;
MTX_SYSINIT(devctl, &devctl_mtx, "devctl", MTX_DEF);

static STAILQ_HEAD(, devctl_line) devctl_lines =
    STAILQ_HEAD_INITIALIZER(devctl_lines);
static u_int devctl_count;
static send_event_f *devctl_hook;

static void
devctl_queue(struct sbuf *sb)
{
	struct devctl_line *dl, *old;

	old = NULL;
	if (sbuf_finish(sb) == 0 && (dl = malloc(sizeof(*dl) + sbuf_len(sb) +
	    1, M_BUS, M_NOWAIT)) != NULL) {
		strlcpy(dl->dl_text, sbuf_data(sb), sbuf_len(sb) + 1);
		mtx_lock(&devctl_mtx);
		STAILQ_INSERT_TAIL(&devctl_lines, dl, dl_link);
		if (devctl_count == DEVCTL_MAXLINES) {
			old = STAILQ_FIRST(&devctl_lines);
			STAILQ_REMOVE_HEAD(&devctl_lines, dl_link);
		} else
			devctl_count++;
		mtx_unlock(&devctl_mtx);
	}
	free(old, M_BUS);
	sbuf_delete(sb);
}

static struct sbuf *
devctl_new(void)
{

	return (sbuf_new(NULL, NULL, 0, SBUF_AUTOEXTEND | SBUF_NOWAIT));
}

bool
devctl_process_running(void)
{

	return (true);
}

void
devctl_notify(const char *system, const char *subsystem, const char *type,
    const char *data)
{
	struct sbuf *sb;

	if (system == NULL || subsystem == NULL || type == NULL)
		return;
	if (devctl_hook != NULL)
		devctl_hook(system, subsystem, type, data);
	if ((sb = devctl_new()) == NULL)
		return;
	sbuf_printf(sb, "!system=%s subsystem=%s type=%s", system, subsystem,
	    type);
	if (data != NULL)
		sbuf_printf(sb, " %s", data);
	devctl_queue(sb);
}

void
devctl_set_notify_hook(send_event_f *hook)
{

	devctl_hook = hook;
}

void
devctl_unset_notify_hook(void)
{

	devctl_hook = NULL;
}

/* For text between double quotes. */
void
devctl_safe_quote_sb(struct sbuf *sb, const char *src)
{

	for (; *src != '\0'; src++) {
		if (*src == '"' || *src == '\\')
			sbuf_putc(sb, '\\');
		sbuf_putc(sb, *src);
	}
}

static void
devctl_device(char what, device_t dev)
{
	struct sbuf *sb;

	if ((sb = devctl_new()) == NULL)
		return;
	sbuf_putc(sb, what);
	if (what != '?')
		sbuf_cat(sb, device_get_nameunit(dev));
	sbuf_cat(sb, " at ");
	(void)bus_child_location(dev, sb);
	sbuf_putc(sb, ' ');
	(void)bus_child_pnpinfo(dev, sb);
	sbuf_printf(sb, " on %s", dev->dev_parent != NULL ?
	    device_get_nameunit(dev->dev_parent) : ".");
	devctl_queue(sb);
}

void
bus_devctl_added(device_t dev)
{

	devctl_device('+', dev);
}

void
bus_devctl_removed(device_t dev)
{

	devctl_device('-', dev);
}

void
bus_devctl_nomatch(device_t dev)
{

	devctl_device('?', dev);
}

void
bus_devctl_flush(void)
{
	struct devctl_line *dl;

	while ((dl = STAILQ_FIRST(&devctl_lines)) != NULL) {
		STAILQ_REMOVE_HEAD(&devctl_lines, dl_link);
		free(dl, M_BUS);
	}
	devctl_count = 0;
}

int
kpi_devctl_read(char *buf, kpi_size len)
{
	struct devctl_line *dl;
	struct thread *td;

	td = kpi_thread_enter();
	mtx_lock(&devctl_mtx);
	if ((dl = STAILQ_FIRST(&devctl_lines)) != NULL) {
		STAILQ_REMOVE_HEAD(&devctl_lines, dl_link);
		devctl_count--;
	}
	mtx_unlock(&devctl_mtx);
	if (dl != NULL) {
		strlcpy(buf, dl->dl_text, len);
		free(dl, M_BUS);
	}
	kpi_thread_leave(td);
	return (dl != NULL ? 0 : EAGAIN);
}
