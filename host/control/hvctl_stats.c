/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl status and stats: what a machine is, and what it counts, once or
 * again and again with what was added each second.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/hvctl.h"

static long long
number(json_t *obj, const char *key)
{

	return (json_integer_value(json_object_get(obj, key)));
}

static const char *
text(json_t *obj, const char *key, const char *none)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return (s != NULL ? s : none);
}

/* --- Status. --- */

static void
print_uptime(double seconds)
{
	unsigned long long s = seconds > 0 && seconds < 1e15 ?
	    (unsigned long long)seconds : 0;

	printf("Uptime    ");
	if (s >= 86400)
		printf("%llu d ", s / 86400);
	if (s >= 3600)
		printf("%llu h ", s / 3600 % 24);
	if (s >= 60)
		printf("%llu min ", s / 60 % 60);
	printf("%llu s\n", s % 60);
}

static void
print_crash(json_t *crash)
{
	json_t *params = json_object_get(crash, "params");
	const char *line = text(crash, "text", "");
	size_t len;

	if (!json_is_object(crash)) {
		printf("Crash     none reported\n");
		return;
	}
	if (number(crash, "count") > 1)
		printf("Crashes   %lld, the last\n", number(crash, "count"));
	printf("Crash    ");
	for (size_t i = 0; i < json_array_size(params); i++) {
		const char *s = json_string_value(json_array_get(params, i));

		printf(" %s", s != NULL ? s : "?");
	}
	putchar('\n');
	while (*line != '\0') {
		len = strcspn(line, "\n");
		printf("          %.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

/* Of a paused machine. */
static void
print_places(json_t *vcpus)
{
	json_t *o;

	for (size_t i = 0; i < json_array_size(vcpus); i++) {
		o = json_array_get(vcpus, i);
		printf("CPU %-5zu at %s%s%s\n", i, text(o, "pc", "?"),
		    json_is_true(json_object_get(o, "halted")) ?
		    ", halted" : "",
		    json_is_true(json_object_get(o, "masked")) ?
		    ", interrupts off" : "");
	}
}

int
hvctl_status(const struct hvctl *hc, int argc, char **argv)
{
	json_t *r;
	long long memory;
	int status;

	if (argc > 1)
		return (hvctl_usage("status: takes no argument"));
	status = hvctl_ask(hc, hvctl_request("status"), -1, &r);
	if (status != HVCTL_OK)
		return (status);
	if (hc->json) {
		hvctl_done(hc, r);
		return (HVCTL_OK);
	}
	memory = number(r, "memory");
	printf("State     %s\n", text(r, "state", "unknown"));
	print_uptime(json_real_value(json_object_get(r, "uptime")));
	printf("Kernel    %s\n", text(r, "kernel", "unknown"));
	printf("CPUs      %lld\n", number(r, "cpus"));
	print_places(json_object_get(r, "vcpus"));
	printf("Memory    %lld MiB\n", memory >> 20);
	printf("VMBus     %s\n", text(r, "vmbus", "not connected"));
	printf("Guest     %s", text(r, "guest_os", "has not said"));
	if (json_is_string(json_object_get(r, "guest_os_id")))
		printf(" (id %s)", text(r, "guest_os_id", ""));
	putchar('\n');
	print_crash(json_object_get(r, "crash"));
	json_decref(r);
	return (HVCTL_OK);
}

/* --- Statistics. --- */

struct view {
	FILE		*out;
	json_t		*now, *before;	/* before: NULL at first */
	double		 seconds;	/* between them */
	bool		 rates;
};

static void
print_rate(const struct view *v, long long now, json_t *before)
{

	if (!v->rates)
		return;
	if (v->before == NULL || v->seconds <= 0)
		fprintf(v->out, "%13s", "");
	else
		fprintf(v->out, " %12.1f", (double)(now -
		    json_integer_value(before)) / v->seconds);
}

/* Numbers, and numbers in objects below, as "exits.hlt". */
static void
print_numbers(const struct view *v, const char *prefix, json_t *now,
    json_t *before, unsigned depth)
{
	const char *key;
	json_t *value;
	char name[64];

	json_object_foreach(now, key, value) {
		snprintf(name, sizeof(name), "%s%s%s", prefix,
		    prefix[0] == '\0' ? "" : ".", key);
		if (json_is_object(value) && depth > 0) {
			print_numbers(v, name, value,
			    json_object_get(before, key), depth - 1);
		} else if (json_is_integer(value)) {
			fprintf(v->out, "%-28s %20lld", name,
			    (long long)json_integer_value(value));
			print_rate(v, json_integer_value(value),
			    json_object_get(before, key));
			fputc('\n', v->out);
		}
	}
}

/* The same channel of the same device a moment ago. */
static json_t *
channel_before(const struct view *v, json_t *ch)
{
	json_t *list = json_object_get(v->before, "channels"), *old;

	for (size_t i = 0; i < json_array_size(list); i++) {
		old = json_array_get(list, i);
		if (number(old, "channel") == number(ch, "channel") &&
		    strcmp(text(old, "instance", ""),
		    text(ch, "instance", "")) == 0)
			return (old);
	}
	return (NULL);
}

static void
print_channel(const struct view *v, json_t *ch)
{
	static const char *const counters[] = { "packets_in", "packets_out",
	    "bytes_in", "bytes_out", "signals_in", "signals_out",
	    "events_saved" };
	json_t *old = channel_before(v, ch);
	char device[32], vp[12] = "-";

	snprintf(device, sizeof(device), "%s", text(ch, "device", "unknown"));
	if (number(ch, "sub_channel") != 0)
		snprintf(device, sizeof(device), "%.16s/%lld",
		    text(ch, "device", "unknown"), number(ch, "sub_channel"));
	if (json_is_integer(json_object_get(ch, "vp")))
		snprintf(vp, sizeof(vp), "%lld", number(ch, "vp"));
	fprintf(v->out, "%7lld %-14s %-9s %4s", number(ch, "channel"), device,
	    text(ch, "state", "unknown"), vp);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		fprintf(v->out, " %*lld", i == 2 || i == 3 ? 12 : 10,
		    number(ch, counters[i]));
	if (old != NULL) {
		print_rate(v, number(ch, "packets_in"),
		    json_object_get(old, "packets_in"));
		print_rate(v, number(ch, "packets_out"),
		    json_object_get(old, "packets_out"));
	}
	fputc('\n', v->out);
}

/* What a processor cost: its exits, and what they were for. */
static void
print_vcpus(const struct view *v)
{
	static const struct {
		const char	*object, *key, *title;
	} columns[] = {
		{ "kvm", "exits", "EXITS" },
		{ "kvm", "hypercalls", "HYPERCALLS" },
		{ NULL, "hypercalls_in_kvm", "IN KVM" },
		{ "kvm", "halt_exits", "HALTS" },
		{ "kvm", "irq_injections", "INTERRUPTS" },
		{ "kvm", "tlb_flush", "FLUSHES" },
		{ "exits", "rdmsr", "RDMSR" },
		{ "exits", "wrmsr", "WRMSR" },
		{ "exits", "io", "IO" },
	};
	const size_t n = sizeof(columns) / sizeof(columns[0]);
	json_t *list = json_object_get(json_object_get(v->now, "vmm"),
	    "vcpus"), *cpu;

	if (json_array_size(list) == 0)
		return;
	fprintf(v->out, "\n%7s", "VCPU");
	for (size_t i = 0; i < n; i++)
		fprintf(v->out, " %11s", columns[i].title);
	fputc('\n', v->out);
	for (size_t c = 0; c < json_array_size(list); c++) {
		cpu = json_array_get(list, c);
		fprintf(v->out, "%7lld", number(cpu, "vcpu"));
		for (size_t i = 0; i < n; i++)
			fprintf(v->out, " %11lld", number(
			    columns[i].object == NULL ? cpu :
			    json_object_get(cpu, columns[i].object),
			    columns[i].key));
		fputc('\n', v->out);
	}
}

static void
print_stats(const struct view *v)
{
	json_t *vmbus = json_object_get(v->now, "vmbus"), *list;

	fprintf(v->out, "VMBus %s, %lld channels offered, %lld open, %lld "
	    "GPADLs\n\n", text(vmbus, "version", "not connected"),
	    number(vmbus, "channels_offered"), number(vmbus, "channels_open"),
	    number(vmbus, "gpadls"));
	if (v->rates)
		fprintf(v->out, "%-28s %20s %12s\n", "", "total", "a second");
	print_numbers(v, "", json_object_get(v->now, "vmm"),
	    json_object_get(v->before, "vmm"), 4);
	print_numbers(v, "", json_object_get(v->now, "host"),
	    json_object_get(v->before, "host"), 4);
	print_vcpus(v);
	list = json_object_get(v->now, "channels");
	if (json_array_size(list) == 0)
		return;
	fprintf(v->out, "\n%7s %-14s %-9s %4s %10s %10s %12s %12s %10s %10s "
	    "%10s", "CHANNEL", "DEVICE", "STATE", "VP", "PACKETS IN", "OUT",
	    "BYTES IN", "OUT", "SIGNALS IN", "OUT", "SAVED");
	if (v->rates)
		fprintf(v->out, " %12s %12s", "PACKETS IN/s", "OUT/s");
	fputc('\n', v->out);
	for (size_t i = 0; i < json_array_size(list); i++)
		print_channel(v, json_array_get(list, i));
}

/* In place: over what stood there, no more lines than the window has. */
static void
print_screen(struct view *v)
{
	char *page = NULL, *end, *line;
	struct winsize ws;
	size_t len = 0;
	unsigned rows = UINT32_MAX;

	v->out = open_memstream(&page, &len);
	if (v->out == NULL)
		return;
	print_stats(v);
	fclose(v->out);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 1)
		rows = ws.ws_row - 1u;
	fputs("\033[H", stdout);
	for (line = page; *line != '\0' && rows > 0; line = end + 1, rows--) {
		end = strchr(line, '\n');
		if (end == NULL)
			break;
		printf("%.*s\033[K\n", (int)(end - line), line);
	}
	fputs("\033[J", stdout);
	free(page);
}

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static void
wait_seconds(double seconds)
{
	struct timespec ts;

	ts.tv_sec = (time_t)seconds;
	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static void
print_view(const struct hvctl *hc, struct view *v, bool screen)
{

	if (hc->json) {
		json_dumpf(v->now, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (screen) {
		print_screen(v);
	} else {
		v->out = stdout;
		if (v->before != NULL)
			putchar('\n');
		print_stats(v);
	}
}

/* Until somebody stops it, or the machine ends. */
static int
watch(const struct hvctl *hc, double interval)
{
	struct view v = { .rates = true };
	bool screen = isatty(STDOUT_FILENO) != 0;
	double at, last = 0;
	int status;

	if (screen && !hc->json)
		fputs("\033[2J", stdout);
	for (;;) {
		status = hvctl_ask(hc, hvctl_request("stats"), -1, &v.now);
		if (status != HVCTL_OK)
			break;
		at = seconds_now();
		v.seconds = at - last;
		last = at;
		print_view(hc, &v, screen);
		json_decref(v.before);
		v.before = v.now;
		if (fflush(stdout) != 0)
			break;
		wait_seconds(interval);
	}
	json_decref(v.before);
	return (status);
}

int
hvctl_stats(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "watch", optional_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct view v = { .out = stdout };
	const char *every = NULL;
	bool again = false;
	double interval = 1;
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'w')
			return (HVCTL_USAGE);
		again = true;
		every = optarg;
	}
	/* "--watch 2" as well as "--watch=2". */
	if (again && every == NULL && optind < argc)
		every = argv[optind++];
	if (optind < argc)
		return (hvctl_usage("stats: \"%s\" is one argument too many",
		    argv[optind]));
	if (every != NULL && !hvctl_seconds("--watch", every, &interval))
		return (HVCTL_USAGE);
	if (interval < 0.05 || interval > 86400)
		return (hvctl_usage("--watch: from 0.05 to 86400 seconds"));
	if (again)
		return (watch(hc, interval));
	status = hvctl_ask(hc, hvctl_request("stats"), -1, &v.now);
	if (status != HVCTL_OK)
		return (status);
	if (hc->json) {
		hvctl_done(hc, v.now);
		return (HVCTL_OK);
	}
	print_stats(&v);
	json_decref(v.now);
	return (HVCTL_OK);
}
