/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl trace: prints the records of a trace, or what they add up to.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/hvctl.h"
#include "control/names.h"
#include "control/trace_read.h"

#define	SUMS_MAX	4096u
#define	FOLLOW_NS	200000000

struct filter {
	bool		 have_chan;
	uint64_t	 chan;
	const char	*type;
	bool		 have_number;
	uint64_t	 number;
	int		 out;		/* -1: both ways */
	bool		 have_from, have_to;
	double		 from, to;
	bool		 follow;
	bool		 summary;
};

/* One line of the summary. */
struct sum {
	const char	*kind;
	bool		 out;
	uint32_t	 chan;
	char		 name[40];
	char		 op[40];
	uint64_t	 count, bytes;
	uint64_t	 answered, latency, worst;
};

struct reading {
	const struct hvctl *hc;
	struct filter	 f;
	uint64_t	 start;
	uint64_t	 records, shown, lost;
	double		 first, last;	/* of those shown */
	struct sum	*sum;
	unsigned	 nsums;
	bool		 sums_full;
};

static bool
wanted(const struct filter *f, const struct trace_record *r,
    const struct trace_line *line, double at)
{

	if ((f->have_chan && line->chan != f->chan) ||
	    (f->out >= 0 && ((r->tr_flags & TRACE_OUT) != 0) != f->out) ||
	    (f->have_from && at < f->from) || (f->have_to && at > f->to))
		return (false);
	if (f->type == NULL)
		return (true);
	if (f->have_number)
		return (line->number == f->number &&
		    r->tr_kind != HVH_TRACE_SIGNAL &&
		    r->tr_kind != HVH_TRACE_CORRUPT);
	return (name_equal(f->type, line->kind) ||
	    name_equal(f->type, line->name) || name_equal(f->type, line->op));
}

/* --- Record by record. --- */

static void
print_json(const struct trace_record *r, const struct trace_line *line,
    double at)
{
	json_t *o;

	o = json_pack("{s:f, s:s, s:s, s:I, s:s, s:s, s:I}", "time", at,
	    "dir", (r->tr_flags & TRACE_OUT) != 0 ? "out" : "in",
	    "kind", line->kind, "channel", (json_int_t)line->chan,
	    "name", line->name, "text", line->text,
	    "bytes", (json_int_t)r->tr_total);
	if (o == NULL)
		return;
	if (r->tr_vp != HVH_VP_NONE)
		json_object_set_new(o, "vp", json_integer(r->tr_vp));
	if (line->op[0] != '\0')
		json_object_set_new(o, "command", json_string(line->op));
	if (line->latency != 0)
		json_object_set_new(o, "latency",
		    json_real((double)line->latency / 1e9));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
print_record(const struct reading *rd, const struct trace_record *r,
    const struct trace_line *line, double at)
{
	char chan[12] = "-", vp[12] = "-";

	if (rd->hc->json) {
		print_json(r, line, at);
		return;
	}
	if (line->chan != 0)
		snprintf(chan, sizeof(chan), "%u", line->chan);
	if (r->tr_vp != HVH_VP_NONE)
		snprintf(vp, sizeof(vp), "%u", r->tr_vp);
	printf("%13.6f %-3s %5s %3s  %s", at,
	    (r->tr_flags & TRACE_OUT) != 0 ? "out" : "in", chan, vp,
	    line->name);
	if (line->text[0] != '\0')
		printf(" %s", line->text);
	putchar('\n');
}

/* --- Added up. --- */

static struct sum *
sum_find(struct reading *rd, const struct trace_record *r,
    const struct trace_line *line)
{
	bool out = (r->tr_flags & TRACE_OUT) != 0;
	struct sum *s;

	for (unsigned i = 0; i < rd->nsums; i++) {
		s = &rd->sum[i];
		if (s->kind == line->kind && s->out == out &&
		    s->chan == line->chan && strcmp(s->name, line->name) == 0 &&
		    strcmp(s->op, line->op) == 0)
			return (s);
	}
	if (rd->nsums == SUMS_MAX) {
		rd->sums_full = true;
		return (NULL);
	}
	s = &rd->sum[rd->nsums++];
	*s = (struct sum){ .kind = line->kind, .out = out,
	    .chan = line->chan };
	memcpy(s->name, line->name, sizeof(s->name));
	memcpy(s->op, line->op, sizeof(s->op));
	return (s);
}

static void
sum_add(struct reading *rd, const struct trace_record *r,
    const struct trace_line *line)
{
	struct sum *s = sum_find(rd, r, line);

	if (s == NULL)
		return;
	s->count++;
	s->bytes += r->tr_total;
	if (line->latency == 0)
		return;
	s->answered++;
	s->latency += line->latency;
	if (line->latency > s->worst)
		s->worst = line->latency;
}

static int
sum_order(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->chan != y->chan)
		return (x->chan < y->chan ? -1 : 1);
	if (x->count != y->count)
		return (x->count > y->count ? -1 : 1);
	return (strcmp(x->name, y->name));
}

static void
print_sum_json(const struct reading *rd)
{
	json_t *list = json_array(), *o, *all;

	for (unsigned i = 0; i < rd->nsums; i++) {
		const struct sum *s = &rd->sum[i];

		o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I}",
		    "channel", (json_int_t)s->chan,
		    "dir", s->out ? "out" : "in", "kind", s->kind,
		    "name", s->name, "command", s->op,
		    "count", (json_int_t)s->count,
		    "bytes", (json_int_t)s->bytes);
		if (o != NULL && s->answered > 0) {
			json_object_set_new(o, "latency_mean",
			    json_real((double)s->latency / 1e9 /
			    (double)s->answered));
			json_object_set_new(o, "latency_worst",
			    json_real((double)s->worst / 1e9));
		}
		json_array_append_new(list, o);
	}
	all = json_pack("{s:f, s:I, s:I, s:o}", "seconds",
	    rd->last - rd->first, "records", (json_int_t)rd->shown, "lost",
	    (json_int_t)rd->lost, "sums", list);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static void
print_sum(struct reading *rd)
{
	char chan[12];

	qsort(rd->sum, rd->nsums, sizeof(rd->sum[0]), sum_order);
	if (rd->hc->json) {
		print_sum_json(rd);
		return;
	}
	printf("%" PRIu64 " records in %.6f seconds, %" PRIu64 " lost\n\n",
	    rd->shown, rd->last - rd->first, rd->lost);
	printf("%7s %-3s %-24s %-26s %10s %12s %10s %10s\n", "CHANNEL", "DIR",
	    "NAME", "COMMAND", "COUNT", "BYTES", "MEAN us", "WORST us");
	for (unsigned i = 0; i < rd->nsums; i++) {
		const struct sum *s = &rd->sum[i];

		snprintf(chan, sizeof(chan), "%u", s->chan);
		printf("%7s %-3s %-24s %-26s %10" PRIu64 " %12" PRIu64,
		    s->chan == 0 ? "-" : chan, s->out ? "out" : "in",
		    s->name, s->op, s->count, s->bytes);
		if (s->answered > 0)
			printf(" %10.1f %10.1f", (double)s->latency / 1e3 /
			    (double)s->answered, (double)s->worst / 1e3);
		putchar('\n');
	}
	if (rd->sums_full)
		printf("There are more kinds of records than that.\n");
}

/* --- The file. --- */

static void
one_record(struct reading *rd, struct trace_state *ts,
    const struct trace_record *r, const uint8_t *data)
{
	struct trace_line line;
	double at = (double)(int64_t)(r->tr_time - rd->start) / 1e9;

	rd->lost += r->tr_lost;
	if (r->tr_kind == TRACE_LOST) {
		if (!rd->f.summary)
			hvctl_say("%u records before the end were lost",
			    r->tr_lost);
		return;
	}
	trace_decode(ts, r, data, &line);
	rd->records++;
	if (r->tr_lost > 0 && !rd->f.summary)
		hvctl_say("%u records before the one at %.6f were lost",
		    r->tr_lost, at);
	if (!wanted(&rd->f, r, &line, at))
		return;
	if (rd->shown++ == 0)
		rd->first = at;
	rd->last = at;
	if (rd->f.summary)
		sum_add(rd, r, &line);
	else
		print_record(rd, r, &line, at);
}

/* Returns what the program ends with; never, if it follows. */
static int
read_all(struct reading *rd, const char *path, struct trace_reader *tr,
    struct trace_state *ts)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_NS };
	struct trace_record r;
	const uint8_t *data;
	uint64_t skipped;

	for (;;) {
		switch (trace_next(tr, &r, &data, &skipped)) {
		case TRACE_GOT:
			if (skipped > 0)
				hvctl_say("%s: %" PRIu64 " bytes make no "
				    "sense and were skipped", path, skipped);
			one_record(rd, ts, &r, data);
			continue;
		case TRACE_FAILED:
			hvctl_say("%s: cannot read it: %s", path,
			    strerror(errno));
			return (HVCTL_REFUSED);
		case TRACE_SHORT:
			if (rd->f.follow)
				break;
			hvctl_say("%s: ends inside of a record", path);
			return (HVCTL_OK);
		case TRACE_END:
			if (rd->f.follow)
				break;
			if (skipped > 0)
				hvctl_say("%s: its last %" PRIu64 " bytes "
				    "make no sense", path, skipped);
			return (HVCTL_OK);
		}
		if (fflush(stdout) != 0)
			return (HVCTL_OK);
		nanosleep(&pause, NULL);
	}
}

static bool
set_option(struct filter *f, int c)
{

	switch (c) {
	case 'c':
		f->have_chan = true;
		return (hvctl_number("--channel", optarg, UINT32_MAX,
		    &f->chan));
	case 't':
		f->type = optarg;
		f->have_number = name_to_number(optarg, false, &f->number);
		return (true);
	case 'd':
		if (strcmp(optarg, "in") != 0 && strcmp(optarg, "out") != 0) {
			hvctl_usage("--dir: in or out?");
			return (false);
		}
		f->out = strcmp(optarg, "out") == 0;
		return (true);
	case 'a':
		f->have_from = true;
		return (hvctl_seconds("--from", optarg, &f->from));
	case 'z':
		f->have_to = true;
		return (hvctl_seconds("--to", optarg, &f->to));
	case 'f':
		f->follow = true;
		return (true);
	case 's':
		f->summary = true;
		return (true);
	default:
		return (false);
	}
}

int
hvctl_trace(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "channel", required_argument, NULL, 'c' },
		{ "type", required_argument, NULL, 't' },
		{ "dir", required_argument, NULL, 'd' },
		{ "from", required_argument, NULL, 'a' },
		{ "to", required_argument, NULL, 'z' },
		{ "follow", no_argument, NULL, 'f' },
		{ "summary", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct reading rd = { .hc = hc, .f = { .out = -1 } };
	struct trace_reader *tr;
	struct trace_state *ts;
	char err[512];
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!set_option(&rd.f, c))
			return (HVCTL_USAGE);
	}
	if (argc - optind != 1)
		return (hvctl_usage("trace: wants the name of one file"));
	if (rd.f.follow && rd.f.summary)
		return (hvctl_usage("trace: what is followed never adds up; "
		    "choose --follow or --summary"));
	if (trace_reader_open(argv[optind], &tr, err, sizeof(err)) != 0) {
		hvctl_say("%s", err);
		return (HVCTL_REFUSED);
	}
	rd.start = trace_reader_head(tr)->th_start;
	ts = trace_state_new();
	rd.sum = calloc(SUMS_MAX, sizeof(*rd.sum));
	if (ts == NULL || rd.sum == NULL) {
		hvctl_say("no memory to read a trace");
		status = HVCTL_REFUSED;
	} else {
		status = read_all(&rd, argv[optind], tr, ts);
		if (rd.f.summary)
			print_sum(&rd);
	}
	free(rd.sum);
	trace_state_free(ts);
	trace_reader_close(tr);
	return (status);
}
