/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hostedvm: boots the hosted FreeBSD kernel with our drivers on the host model,
 * gives it disks and network adapters, exports what it finds on the disks by
 * NBD, its interfaces as tap devices and its device nodes as sockets.  Ends in
 * order on SIGINT or SIGTERM with one line a device, which SIGUSR1 shows as
 * well.
 */

#include <sys/stat.h>

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "counters.h"
#include "devbridge.h"
#include "hostedctl.h"
#include "hostednet.h"
#include "nbd.h"
#include "vm.h"

#define	MAX_DISKS	64
#define	MAX_CONTROLLERS	16
#define	MAX_KENV	32
#define	MAX_DEVS	8

struct options {
	struct vm_config	 vm;
	const char		*disk[MAX_DISKS];
	const char		*cdrom[MAX_DISKS];
	unsigned		 ndisks, ncdroms, controllers;
	unsigned		 subchannels;
	uint16_t		 vstor_version;
	struct hvh_blk_params	 blk;
	struct hostednets	 nets;
	const char		*nbd, *stats;
	const char		*kenv[MAX_KENV + 1];
	unsigned		 nkenv;
	char			*dev[MAX_DEVS];		/* NAME, then SOCKET */
	const char		*devsocket[MAX_DEVS];
	struct devbridge	*devbridge[MAX_DEVS];
	unsigned		 ndevs;
	struct hostedctl	 ctl;
	bool			 services;
};

static const char usage_text[] =
"usage: hostedvm [--disk FILE ...] [--net BACKEND ...] "
"[--dev NAME=SOCKET ...]\n"
"                [options]\n"
"\n"
"  --disk FILE           raw disk image; spread over the controllers\n"
"  --cdrom FILE          ISO image\n"
"  --nbd SOCKET          serve the guest's disks by NBD on this unix socket\n"
"  --net BACKEND[,...]   network adapter; its frames go to tap=NAME, "
"socket=PATH\n"
"                        or user (NAT); then, as wanted:\n"
"                        guest=NAME    a tap device above the guest's hnN\n"
"                        channels=N    most channels (8)\n"
"                        pcap=FILE     what goes over the wire\n"
"  --dev NAME=SOCKET     give processes the device node /dev/NAME: a daemon "
"that\n"
"                        takes -D SOCKET\n"
"  --services            the host offers its integration services\n"
"  --control SOCKET      ... and listens to hvctl -s SOCKET\n"
"  --cpus N              virtual processors (4)\n"
"  --memory MB           guest memory (512)\n"
"  --controllers N       synthetic SCSI controllers (1)\n"
"  --subchannels N       most sub-channels the host grants (15)\n"
"  --readonly            disks refuse writes\n"
"  --write-through       disks have no volatile cache\n"
"  --no-uring            plain pread and pwrite below the disks\n"
"  --scatter             guest memory is physically scattered\n"
"  --vmbus-version M.N   highest bus protocol offered (5.3)\n"
"  --storvsp-version M.N highest storage protocol offered (6.2)\n"
"  --set NAME=VALUE      loader tunable, as in loader.conf\n"
"  --stats FILE          write counters as JSON at the end\n"
"  --quiet               no kernel messages\n";

static void __attribute__((noreturn, format(printf, 1, 2)))
usage(const char *fmt, ...)
{
	va_list ap;

	if (fmt != NULL) {
		va_start(ap, fmt);
		fputs("hostedvm: ", stderr);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fputs("; --help tells more\n", stderr);
		exit(2);
	}
	fputs(usage_text, stdout);
	exit(0);
}

static unsigned long
number(const char *name, const char *text, unsigned long min, unsigned long max)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
		usage("--%s: %s is not a number from %lu to %lu", name, text,
		    min, max);
	return (v);
}

static uint32_t
version(const char *name, const char *text, unsigned shift)
{
	unsigned major, minor;
	char end;

	if (sscanf(text, "%u.%u%c", &major, &minor, &end) != 2 ||
	    major > 255 || minor > 255)
		usage("--%s: %s is not a version such as 5.3", name, text);
	return (major << shift | minor);
}

static void
set_dev(struct options *op, char *arg)
{
	char *equals = strchr(arg, '=');

	if (op->ndevs == MAX_DEVS || equals == NULL || equals == arg ||
	    equals[1] == '\0')
		usage("--dev: NAME=SOCKET, at most %d times", MAX_DEVS);
	*equals = '\0';
	op->dev[op->ndevs] = arg;
	op->devsocket[op->ndevs++] = equals + 1;
}

static void
set_option(struct options *op, const char *name, char *arg)
{
	const char *wrong;

	if (strcmp(name, "net") == 0) {
		wrong = hostednet_option(&op->nets, arg);
		if (wrong != NULL)
			usage("--net: %s", wrong);
	} else if (strcmp(name, "disk") == 0) {
		if (op->ndisks == MAX_DISKS)
			usage("at most %d disks", MAX_DISKS);
		op->disk[op->ndisks++] = arg;
	} else if (strcmp(name, "cdrom") == 0) {
		if (op->ncdroms == MAX_DISKS)
			usage("at most %d CD-ROMs", MAX_DISKS);
		op->cdrom[op->ncdroms++] = arg;
	} else if (strcmp(name, "dev") == 0)
		set_dev(op, arg);
	else if (strcmp(name, "services") == 0)
		op->services = true;
	else if (strcmp(name, "control") == 0)
		op->ctl.path = arg;
	else if (strcmp(name, "nbd") == 0)
		op->nbd = arg;
	else if (strcmp(name, "stats") == 0)
		op->stats = arg;
	else if (strcmp(name, "cpus") == 0)
		op->vm.cpus = number(name, arg, 1, 64);
	else if (strcmp(name, "memory") == 0)
		op->vm.memory = number(name, arg, 64, 65536) << 20;
	else if (strcmp(name, "controllers") == 0)
		op->controllers = number(name, arg, 1, MAX_CONTROLLERS);
	else if (strcmp(name, "subchannels") == 0)
		op->subchannels = number(name, arg, 0, 15);
	else if (strcmp(name, "readonly") == 0)
		op->blk.readonly = true;
	else if (strcmp(name, "write-through") == 0)
		op->blk.write_through = true;
	else if (strcmp(name, "no-uring") == 0)
		op->blk.no_uring = true;
	else if (strcmp(name, "scatter") == 0)
		op->vm.scatter = true;
	else if (strcmp(name, "vmbus-version") == 0)
		op->vm.max_version = version(name, arg, 16);
	else if (strcmp(name, "storvsp-version") == 0)
		op->vstor_version = version(name, arg, 8);
	else if (strcmp(name, "set") == 0) {
		if (op->nkenv == MAX_KENV || strchr(arg, '=') == NULL)
			usage("--set: NAME=VALUE, at most %d times", MAX_KENV);
		op->kenv[op->nkenv++] = arg;
	} else if (strcmp(name, "quiet") == 0)
		op->vm.quiet = true;
	else
		usage(NULL);
}

static void
parse_options(struct options *op, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "disk", required_argument, NULL, 0 },
		{ "cdrom", required_argument, NULL, 0 },
		{ "nbd", required_argument, NULL, 0 },
		{ "net", required_argument, NULL, 0 },
		{ "dev", required_argument, NULL, 0 },
		{ "services", no_argument, NULL, 0 },
		{ "control", required_argument, NULL, 0 },
		{ "cpus", required_argument, NULL, 0 },
		{ "memory", required_argument, NULL, 0 },
		{ "controllers", required_argument, NULL, 0 },
		{ "subchannels", required_argument, NULL, 0 },
		{ "readonly", no_argument, NULL, 0 },
		{ "write-through", no_argument, NULL, 0 },
		{ "no-uring", no_argument, NULL, 0 },
		{ "scatter", no_argument, NULL, 0 },
		{ "vmbus-version", required_argument, NULL, 0 },
		{ "storvsp-version", required_argument, NULL, 0 },
		{ "set", required_argument, NULL, 0 },
		{ "stats", required_argument, NULL, 0 },
		{ "quiet", no_argument, NULL, 0 },
		{ "help", no_argument, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	int c, i;

	op->controllers = 1;
	op->subchannels = 15;
	op->blk.block_size = 512;
	while ((c = getopt_long(argc, argv, "", longopts, &i)) != -1) {
		/* getopt_long() has said what is wrong. */
		if (c != 0)
			exit(2);
		set_option(op, longopts[i].name, optarg);
	}
	if (optind != argc)
		usage("%s: not an option", argv[optind]);
	if (op->ctl.path != NULL || op->ndevs > 0)
		op->services = true;
	if (op->ndisks + op->ncdroms + op->nets.count == 0 && !op->services)
		usage("no --disk, no --net and no --services");
	if (op->ndisks + op->ncdroms > 64 * op->controllers)
		usage("%u units, but %u controllers hold only %u",
		    op->ndisks + op->ncdroms, op->controllers,
		    64 * op->controllers);
	op->vm.kenv = op->kenv;
}

static void
attach_unit(struct options *op, struct hvh_scsi *scsi, unsigned lun,
    const char *path, bool cdrom)
{
	struct hvh_blk_params bp = op->blk;
	struct hvh_lun_params lp = { .cdrom = cdrom };
	char msg[512];
	int error;

	bp.path = path;
	if (cdrom) {
		bp.readonly = true;
		bp.block_size = 2048;
	}
	error = hvh_blk_open(vm_host(), &bp, &lp.blk, msg, sizeof(msg));
	if (error != 0)
		errx(1, "%s", msg);
	error = hvh_scsi_attach(scsi, lun, &lp);
	if (error != 0)
		errx(1, "%s: LUN %u: %s", path, lun, strerror(error));
}

static void
add_devices(struct options *op)
{
	struct hvh_scsi_params sp = { .max_version = op->vstor_version };
	struct hvh_scsi *scsi[MAX_CONTROLLERS];
	char guid[37];
	unsigned i, n;
	int error;

	assert(op->controllers > 0);	/* parse_options() */
	sp.max_subchannels = op->subchannels;
	for (i = 0; i < op->controllers; i++) {
		snprintf(guid, sizeof(guid),
		    "6d2f1f2a-0f5c-4a3b-9f4e-0000000000%02x", i);
		hvh_guid_parse(guid, &sp.instance);
		error = hvh_scsi_add(vm_host(), &sp, &scsi[i]);
		if (error != 0)
			errx(1, "controller %u: %s", i, strerror(error));
	}
	for (i = n = 0; i < op->ndisks; i++, n++)
		attach_unit(op, scsi[n % op->controllers],
		    n / op->controllers, op->disk[i], false);
	for (i = 0; i < op->ncdroms; i++, n++)
		attach_unit(op, scsi[n % op->controllers],
		    n / op->controllers, op->cdrom[i], true);
	hostednet_add(&op->nets);
	if (op->services) {
		op->ctl.nets = &op->nets;
		op->ctl.cpus = op->vm.cpus != 0 ? op->vm.cpus : 4;
		op->ctl.memory = op->vm.memory != 0 ? op->vm.memory :
		    512 << 20;
		hostedctl_add(&op->ctl);
	}
}

static json_int_t
disk_counter(const char *name, const char *what)
{

	return ((json_int_t)counters_sysctl("kern.cam.%.2s.%s.%s", name,
	    name + 2, what));
}

static void
print_disk(void *arg, const char *name)
{
	struct kpi_disk_info info;
	struct hvh_stats hs;
	struct counters_signals s;
	char device[64];
	json_t *all = arg, *o;

	if (kpi_disk_info(name, &info) != 0)
		return;
	hvh_get_stats(vm_host(), &hs);
	snprintf(device, sizeof(device), "dev.storvsc.%u", info.simunit);
	s = counters_signals(device);
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "requests", disk_counter(name, "reads") +
	    disk_counter(name, "writes") + disk_counter(name, "flushes") +
	    disk_counter(name, "deletes"),
	    "bytes", disk_counter(name, "bytes_read") +
	    disk_counter(name, "bytes_written"),
	    "errors", disk_counter(name, "errors"),
	    "interrupts", (json_int_t)hs.interrupts,
	    "hypercalls", (json_int_t)hs.hypercalls,
	    "signals_sent", (json_int_t)s.sent,
	    "signals_saved", (json_int_t)s.saved);
	printf("%s: requests %lld bytes %lld errors %lld interrupts %lld "
	    "hypercalls %lld signals sent %lld saved %lld\n", name,
	    json_integer_value(json_object_get(o, "requests")),
	    json_integer_value(json_object_get(o, "bytes")),
	    json_integer_value(json_object_get(o, "errors")),
	    json_integer_value(json_object_get(o, "interrupts")),
	    json_integer_value(json_object_get(o, "hypercalls")),
	    json_integer_value(json_object_get(o, "signals_sent")),
	    json_integer_value(json_object_get(o, "signals_saved")));
	json_object_set_new(all, name, o);
}

static void
print_export(void *arg, const char *name)
{
	const struct options *op = arg;

	printf("ready nbd+unix:///%s?socket=%s\n", name, op->nbd);
}

/* The last unit must have been found, not only the first. */
static void
wait_for_units(const struct options *op)
{
	char name[16];
	int error;

	if (op->ndisks > 0) {
		snprintf(name, sizeof(name), "da%u", op->ndisks - 1);
		error = kpi_disk_wait(name, 30000);
		if (error != 0)
			errx(1, "%s did not appear: error %d", name, error);
	}
	if (op->ncdroms > 0) {
		snprintf(name, sizeof(name), "cd%u", op->ncdroms - 1);
		error = kpi_disk_wait(name, 30000);
		if (error != 0)
			errx(1, "%s did not appear: error %d", name, error);
	}
}

static json_t *
print_devices(struct options *op)
{
	json_t *all = json_object();

	kpi_disk_list(print_disk, all);
	hostednet_print(&op->nets, all);
	return (all);
}

static void
start_devs(struct options *op)
{
	char msg[256];
	unsigned i;

	for (i = 0; i < op->ndevs; i++) {
		op->devbridge[i] = devbridge_start(op->dev[i],
		    op->devsocket[i], msg, sizeof(msg));
		if (op->devbridge[i] == NULL)
			errx(1, "%s", msg);
		printf("ready %s: %s\n", op->dev[i], op->devsocket[i]);
	}
}

static void
stop_devs(struct options *op)
{
	unsigned i;

	for (i = 0; i < op->ndevs; i++)
		devbridge_stop(op->devbridge[i]);
}

/* Until somebody wants an end. */
static void
serve(struct options *op, const sigset_t *set)
{
	int sig;

	do {
		sigwait(set, &sig);
		if (sig == SIGUSR1)
			json_decref(print_devices(op));
	} while (sig == SIGUSR1);
}

int
main(int argc, char **argv)
{
	static struct options op;
	struct nbd_server *nbd = NULL;
	json_t *all;
	char msg[256];
	sigset_t set;
	int error;

	parse_options(&op, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* All threads leave these to sigwait() in serve(). */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	vm_create(&op.vm);
	add_devices(&op);
	vm_boot();
	error = vm_load();
	if (error != 0)
		errx(1, "loading the drivers: error %d", error);
	wait_for_units(&op);
	hostednet_start(&op.nets);
	start_devs(&op);
	if (op.services)
		hostedctl_start(&op.ctl);
	if (op.nbd != NULL) {
		nbd = nbd_start(op.nbd, msg, sizeof(msg));
		if (nbd == NULL)
			errx(1, "%s", msg);
		kpi_disk_list(print_export, &op);
	}
	if (op.nbd != NULL || op.nets.count > 0 || op.services)
		serve(&op, &set);
	if (nbd != NULL)
		nbd_stop(nbd);
	all = print_devices(&op);
	if (op.stats != NULL && json_dump_file(all, op.stats,
	    JSON_INDENT(2)) != 0)
		warnx("%s: cannot be written", op.stats);
	json_decref(all);
	if (op.services)
		hostedctl_stop(&op.ctl);
	stop_devs(&op);
	hostednet_stop(&op.nets);
	error = vm_unload();
	if (error != 0)
		errx(1, "unloading the drivers: error %d", error);
	vm_destroy();
	return (0);
}
