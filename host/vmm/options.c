/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The command line.  Names follow what users of other VMMs expect; a device is
 * a list of words with commas, where ",," stands for a comma in a file's name.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/enlighten.h"
#include "vmm/options.h"

#define	MIB		(1ull << 20)
#define	MEMORY_DEFAULT	(512 * MIB)
#define	MEMORY_MIN	(16 * MIB)
#define	MEMORY_MAX	(1024ull << 30)
#define	SUBCHANNELS_MAX	15
#define	VMBUS_VERSIONS	"5.3 5.2 5.1 5.0 4.1 4.0 3.0 2.4 1.1 0.13"
#define	STORVSP_VERSIONS "6.2 6.0 5.1 4.2 2.0"
#define	NVSP_VERSIONS	"6.1 6.0 5.0 4.0 2.0 1.0"
#define	TRACE_SNAP_MAX	4096

static const char usage_text[] =
"usage: hvhost --kernel FILE [options]\n"
"\n"
"Boots a Linux, FreeBSD or PVH kernel on a model of Hyper-V.  The guest's\n"
"serial port is this terminal; Ctrl-C ends the machine.\n"
"\n"
"Booting:\n"
"  --kernel FILE         bzImage, FreeBSD kernel or PVH ELF: --kernel vmlinuz\n"
"  --initrd FILE         initial RAM disk (Linux, PVH): --initrd initrd.img\n"
"  --append TEXT         command line: --append 'console=ttyS0 root=/dev/sda'\n"
"  --module FILE         preloaded kernel module (FreeBSD; again for more):\n"
"                        --module hv_vmbus.ko --module hv_storvsc.ko\n"
"  --mdroot FILE         preloaded memory disk (FreeBSD): --mdroot root.img\n"
"  --kenv NAME=VALUE     loader tunable: --kenv hw.ata.disk_enabled=0\n"
"Machine:\n"
"  --cpus N              virtual CPUs, 1 to 64 (1): --cpus 4\n"
"  --memory SIZE         guest memory; plain numbers: MiB (512M): --memory 4G\n"
"  --cpu host,-FEATURE   hide a feature, xsave or x2apic: --cpu host,-xsave\n"
"  --no-reboot           a reset ends the machine: --no-reboot\n"
"Disks (also: controller=0..3, serial=TEXT, cache=writeback|writethrough,\n"
"block-size=512|4096, create=SIZE, no-unmap; \",,\" is a comma in a name):\n"
"  --disk scsi,file=FILE[,lun=N][,ro]    on a synthetic SCSI controller:\n"
"                        --disk scsi,file=disk.img,lun=2,serial=ROOT\n"
"  --disk ide,file=FILE[,channel=0|1][,drive=0|1][,ro]\n"
"                        emulated IDE and the same disk accelerated on VMBus:\n"
"                        --disk ide,file=disk.img\n"
"  --cdrom FILE          ISO image on a synthetic SCSI controller, or on\n"
"                        emulated IDE: --cdrom ide,file=install.iso\n"
"  --no-uring            plain pread and pwrite below the disks: --no-uring\n"
"Network (also: mac=MAC, channels=1..64, mtu=1500..9202, version=M.N,\n"
"pcap=FILE, link=down; to go wrong: loss=PERCENT, duplicate=, reorder=,\n"
"corrupt=, delay=MS, jitter=MS, seed=N):\n"
"  --net tap=NAME[,...]  an adapter on VMBus, its frames through a tap:\n"
"                        --net tap=tap0,channels=4\n"
"  --net user[,restricted]   without privileges: NAT, DHCP; 10.0.2.2 is here:\n"
"                        --net user,pcap=vm.pcapng\n"
"  --net socket=PATH     through a unix socket, stream or seqpacket:\n"
"                        --net socket=/tmp/net,mac=02:00:00:00:00:01\n"
"Hyper-V:\n"
"  --vmbus-version M.N   highest VMBus version offered (5.3):\n"
"                        --vmbus-version 4.0\n"
"  --storvsp-version M.N highest storage protocol offered (6.2):\n"
"                        --storvsp-version 5.1\n"
"  --subchannels N       most sub-channels of a SCSI controller, 0 to 15\n"
"                        (15): --subchannels 0\n"
"  --no-autoeoi          tell guests not to use AutoEOI: --no-autoeoi\n"
"  --monitor-pages       monitored notification: --monitor-pages\n"
"  --enlighten LIST      beside I/O (all): none, NAME or -NAME: counter, tsc,\n"
"                        frequency, invariant, stimer, direct, apic,\n"
"                        tlbflush, ipi, ex, spin, crash, message; only said:\n"
"                        isolation=vbs|snp|tdx|cca, paravisor,\n"
"                        shared-bits=N, nesting=N: --enlighten -tlbflush,-ipi\n"
"  --services LIST       integration services offered (all): none, or some of\n"
"                        heartbeat,shutdown,time,kvp,vss,copy,memory,\n"
"                        keyboard:\n"
"                        --services heartbeat,shutdown\n"
"Outside:\n"
"  --console WHERE       stdio, pty, none or file=FILE (stdio): --console pty\n"
"  --control SOCKET      unix socket for hvctl(8): --control /tmp/vm.sock\n"
"  --trace FILE[,snap=N] record VMBus messages and packets, N bytes of each:\n"
"                        --trace vm.trace; read with hvctl trace vm.trace\n"
"  --stats FILE          counters as JSON at the end: --stats vm.json\n"
"  --sandbox on|off      system-call filter (on): --sandbox off\n"
"  --quiet               fewer lines of hvhost's own: --quiet\n"
"  --probe               only tell whether this machine can run guests:\n"
"                        hvhost --probe\n"
"  --help, --version     this; the version: hvhost --version\n"
"\n"
"Ends with 0 when the guest powers off, 1 on an error, 2 for a wrong option,\n"
"3 when the guest is lost (triple fault with --no-reboot, KVM error).\n"
"\n"
"  hvhost --kernel vmlinuz --initrd initrd.img --append console=ttyS0 \\\n"
"      --cpus 2 --memory 1G --disk scsi,file=disk.img\n";

static void __attribute__((noreturn, format(printf, 1, 2)))
wrong(const char *fmt, ...)
{
	va_list ap;

	fputs("hvhost: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; --help tells more\n", stderr);
	exit(2);
}

static unsigned long
number(const char *name, const char *text, unsigned long min,
    unsigned long max)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' ||
	    v < min || v > max)
		wrong("%s: \"%s\" is not a number from %lu to %lu", name, text,
		    min, max);
	return (v);
}

/* 512M, 4G, 65536K; a plain number counts units. */
static uint64_t
size(const char *name, const char *text, uint64_t unit)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *text == '-')
		wrong("%s: \"%s\" is not a size such as 512M or 4G", name,
		    text);
	switch (*end) {
	case 'K': case 'k':
		unit = 1ull << 10;
		end++;
		break;
	case 'M': case 'm':
		unit = 1ull << 20;
		end++;
		break;
	case 'G': case 'g':
		unit = 1ull << 30;
		end++;
		break;
	case 'T': case 't':
		unit = 1ull << 40;
		end++;
		break;
	}
	if (*end != '\0' || v == 0 || v > (UINT64_MAX >> 1) / unit)
		wrong("%s: \"%s\" is not a size such as 512M or 4G", name,
		    text);
	return (v * unit);
}

/* One of the versions in a list with blanks between. */
static uint32_t
version(const char *name, const char *text, const char *known, unsigned shift)
{
	const char *p = known;
	size_t len = strlen(text);
	unsigned major, minor;

	while ((p = strstr(p, text)) != NULL) {
		if (len > 0 && (p == known || p[-1] == ' ') &&
		    (p[len] == ' ' || p[len] == '\0') &&
		    sscanf(text, "%u.%u", &major, &minor) == 2)
			return (major << shift | minor);
		p += len > 0 ? len : strlen(p);
	}
	wrong("%s: \"%s\" is none of %s", name, text, known);
}

/* protocol: netvsc, 2; versions 1 and 2 are numbered as no others are. */
static uint32_t
nvsp_version(const char *text)
{
	uint32_t v = version("version", text, NVSP_VERSIONS, 16);

	return (v == 0x10000 ? 2 : v == 0x20000 ? 0x30002 : v);
}

static char *
copy(const char *text)
{
	char *p = strdup(text);

	if (p == NULL)
		err(1, NULL);
	return (p);
}

/* Takes the next word off a list; NULL: there is none. */
static char *
next_word(char **list)
{
	char *from = *list, *to, *word = *list;

	if (from == NULL)
		return (NULL);
	for (to = word;; from++) {
		if (from[0] == ',' && from[1] == ',') {
			from++;
		} else if (from[0] == ',' || from[0] == '\0') {
			*list = from[0] == '\0' ? NULL : from + 1;
			*to = '\0';
			return (word);
		}
		*to++ = *from;
	}
}

/* --- Devices --- */

static void
disk_word(struct opt_disk *d, const char *name, char *word)
{
	char *val = strchr(word, '=');

	if (val != NULL)
		*val++ = '\0';
	if (val == NULL && strcmp(word, "ro") == 0)
		d->readonly = true;
	else if (val == NULL && strcmp(word, "no-unmap") == 0)
		d->no_unmap = true;
	else if (val == NULL)
		wrong("%s: \"%s\" is no word for a disk", name, word);
	else if (strcmp(word, "file") == 0)
		d->file = val;
	else if (strcmp(word, "lun") == 0 && !d->ide)
		d->lun = (int)number("lun", val, 0, 63);
	else if (strcmp(word, "controller") == 0 && !d->ide)
		d->controller = (unsigned)number("controller", val, 0,
		    OPT_CONTROLLERS_MAX - 1);
	else if (strcmp(word, "channel") == 0 && d->ide)
		d->channel = (int)number("channel", val, 0, 1);
	else if (strcmp(word, "drive") == 0 && d->ide)
		d->drive = (int)number("drive", val, 0, 1);
	else if (strcmp(word, "serial") == 0) {
		if (strlen(val) >= sizeof(d->serial))
			wrong("serial: \"%s\" has more than %zu characters",
			    val, sizeof(d->serial) - 1);
		strcpy(d->serial, val);
	} else if (strcmp(word, "cache") == 0) {
		d->write_through = strcmp(val, "writethrough") == 0;
		if (!d->write_through && strcmp(val, "writeback") != 0)
			wrong("cache: \"%s\" is neither writeback nor "
			    "writethrough", val);
	} else if (strcmp(word, "block-size") == 0) {
		d->block_size = (uint32_t)number("block-size", val, 512, 4096);
		if (d->block_size != 512 && d->block_size != 4096)
			wrong("block-size: %s is neither 512 nor 4096", val);
	} else if (strcmp(word, "create") == 0)
		d->create = size("create", val, 1);
	else
		wrong("%s: \"%s=\" is no word for %s", name, word,
		    d->ide ? "an IDE disk" : "a SCSI disk");
}

static void
add_disk(struct options *op, const char *name, const char *arg, bool cdrom)
{
	struct opt_disk *d;
	char *list, *word;

	if (op->ndisks == OPT_DISKS_MAX)
		wrong("more than %d disks", OPT_DISKS_MAX);
	d = &op->disk[op->ndisks++];
	*d = (struct opt_disk){ .cdrom = cdrom, .readonly = cdrom,
	    .lun = -1, .channel = -1, .drive = -1,
	    .block_size = cdrom ? 2048 : 512 };
	list = d->words = copy(arg);
	word = next_word(&list);
	if (strcmp(word, "ide") == 0 && list != NULL) {
		d->ide = true;
		op->vmm.pci = true;
	} else if (strcmp(word, "scsi") != 0 || list == NULL) {
		if (!cdrom || strchr(word, '=') != NULL)
			wrong("%s: \"%s\" should begin with scsi, or ide,",
			    name, arg);
		d->file = word;
	}
	while ((word = next_word(&list)) != NULL)
		disk_word(d, name, word);
	if (d->file == NULL || d->file[0] == '\0')
		wrong("%s: \"%s\" names no file=", name, arg);
}

/* 02:00:00:00:00:01: one adapter's, not of a group. */
static void
set_mac(struct opt_net *n, const char *text)
{
	unsigned b[6];
	char end;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2],
	    &b[3], &b[4], &b[5], &end) != 6 || (b[0] & 1) != 0)
		wrong("mac: \"%s\" is not an address such as "
		    "02:00:00:00:00:01", text);
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = (uint8_t)b[i];
	n->have_mac = true;
}

/* A number with a fraction, in units of which there are scale in one. */
static double
fraction(const char *name, const char *text, double max, double scale)
{
	double v;
	char *end;

	v = strtod(text, &end);
	if (end == text || *end != '\0' || !(v >= 0 && v <= max))
		wrong("%s: \"%s\" is not a number from 0 to %g", name, text,
		    max);
	return (v * scale);
}

/* True: it was a word about what shall go wrong. */
static bool
net_fault_word(struct hvh_netbe_faults *fp, const char *word, const char *val)
{
	const struct {
		const char	*name;
		uint32_t	*rate;
	} rates[] = {
		{ "loss", &fp->loss }, { "duplicate", &fp->duplicate },
		{ "reorder", &fp->reorder }, { "corrupt", &fp->corrupt },
	};

	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (strcmp(word, rates[i].name) == 0) {
			*rates[i].rate = (uint32_t)fraction(word, val, 100,
			    10000);
			return (true);
		}
	}
	if (strcmp(word, "delay") == 0)
		fp->delay_ns = (uint64_t)fraction(word, val, 10000, 1e6);
	else if (strcmp(word, "jitter") == 0)
		fp->jitter_ns = (uint64_t)fraction(word, val, 10000, 1e6);
	else if (strcmp(word, "seed") == 0)
		fp->seed = number(word, val, 0, ULONG_MAX);
	else
		return (false);
	return (true);
}

static void
net_word(struct opt_net *n, char *word)
{
	char *val = strchr(word, '=');

	if (val != NULL)
		*val++ = '\0';
	if (val == NULL && strcmp(word, "restricted") == 0 &&
	    n->kind == HVH_NETBE_USER)
		n->restricted = true;
	else if (val == NULL)
		wrong("--net: \"%s\" is no word for an adapter", word);
	else if (strcmp(word, "mac") == 0)
		set_mac(n, val);
	else if (strcmp(word, "channels") == 0)
		n->channels = (unsigned)number(word, val, 1, 64);
	else if (strcmp(word, "mtu") == 0)
		n->mtu = (unsigned)number(word, val, 1500, 9202);
	else if (strcmp(word, "version") == 0)
		n->version = nvsp_version(val);
	else if (strcmp(word, "pcap") == 0 && val[0] != '\0')
		n->pcap = val;
	else if (strcmp(word, "link") == 0) {
		n->link_down = strcmp(val, "down") == 0;
		if (!n->link_down && strcmp(val, "up") != 0)
			wrong("link: \"%s\" is neither up nor down", val);
	} else if (!net_fault_word(&n->faults, word, val))
		wrong("--net: \"%s=\" is no word for an adapter", word);
}

static void
add_net(struct options *op, const char *arg)
{
	struct opt_net *n;
	char *list, *word;

	if (op->nnets == OPT_NETS_MAX)
		wrong("more than %u network adapters", OPT_NETS_MAX);
	n = &op->net[op->nnets++];
	*n = (struct opt_net){ 0 };
	list = n->words = copy(arg);
	word = next_word(&list);
	if (strcmp(word, "user") == 0) {
		n->kind = HVH_NETBE_USER;
	} else if (strncmp(word, "tap=", 4) == 0 && word[4] != '\0') {
		n->kind = HVH_NETBE_TAP;
		n->name = word + 4;
	} else if (strncmp(word, "socket=", 7) == 0 && word[7] != '\0') {
		n->kind = HVH_NETBE_SOCKET;
		n->name = word + 7;
	} else {
		wrong("--net: \"%s\" should begin with tap=NAME, user or "
		    "socket=PATH", arg);
	}
	while ((word = next_word(&list)) != NULL)
		net_word(n, word);
}

static void
set_console(struct options *op, const char *arg)
{

	if (strcmp(arg, "stdio") == 0)
		op->console = CONSOLE_STDIO;
	else if (strcmp(arg, "pty") == 0)
		op->console = CONSOLE_PTY;
	else if (strcmp(arg, "none") == 0)
		op->console = CONSOLE_NONE;
	else if (strncmp(arg, "file=", 5) == 0 && arg[5] != '\0') {
		op->console = CONSOLE_FILE;
		op->console_file = arg + 5;
	} else
		wrong("--console: \"%s\" is not stdio, pty, none or file=FILE",
		    arg);
}

static void
set_trace(struct options *op, const char *arg)
{
	char *list = op->trace = copy(arg), *word;

	next_word(&list);
	while ((word = next_word(&list)) != NULL) {
		if (strncmp(word, "snap=", 5) != 0)
			wrong("--trace: \"%s\" is not snap=BYTES", word);
		op->trace_snap = (uint32_t)number("snap", word + 5, 0,
		    TRACE_SNAP_MAX);
	}
}

static void
set_cpu(struct options *op, const char *arg)
{
	char *words = copy(arg), *list = words, *word;

	word = next_word(&list);
	if (strcmp(word, "host") != 0)
		wrong("--cpu: \"%s\" is not host", word);
	while ((word = next_word(&list)) != NULL) {
		if (strcmp(word, "-xsave") == 0)
			op->vmm.hide_xsave = true;
		else if (strcmp(word, "-x2apic") == 0)
			op->vmm.hide_x2apic = true;
		else
			wrong("--cpu: \"%s\" is not -xsave or -x2apic", word);
	}
	free(words);
}

static void
set_enlighten(struct options *op, const char *arg)
{
	char *list = copy(arg), *all = list, *word;

	while ((word = next_word(&list)) != NULL) {
		if (!enlighten_word(&op->vmm.shown, word))
			wrong("--enlighten: \"%s\" is no word for it", word);
	}
	free(all);
}

static void
set_services(struct options *op, const char *arg)
{
	static const char *const words[OPT_SERVICES] = {
		[HVH_IC_HEARTBEAT] = "heartbeat",
		[HVH_IC_SHUTDOWN] = "shutdown",
		[HVH_IC_TIMESYNC] = "time",
		[HVH_IC_KVP] = "kvp",
		[HVH_IC_VSS] = "vss",
		[HVH_IC_FCOPY] = "copy",
		[OPT_SERVICE_MEMORY] = "memory",
		[OPT_SERVICE_KEYBOARD] = "keyboard",
	};
	char *list = copy(arg), *all = list, *word;
	unsigned k;

	op->services = 0;
	while (strcmp(arg, "none") != 0 && (word = next_word(&list)) != NULL) {
		for (k = 0; k < OPT_SERVICES &&
		    strcmp(words[k], word) != 0; k++)
			continue;
		if (k == OPT_SERVICES)
			wrong("--services: \"%s\" is not none, heartbeat, "
			    "shutdown, time, kvp, vss, copy, memory or "
			    "keyboard", word);
		op->services |= 1u << k;
	}
	free(all);
}

static void
add_word(const char *name, const char **list, unsigned *n, unsigned max,
    const char *arg)
{

	if (*n == max)
		wrong("--%s: more than %u of them", name, max);
	list[(*n)++] = arg;
}

static void
add_kenv(struct options *op, const char *arg)
{

	if (strchr(arg, '=') == NULL || arg[0] == '=')
		wrong("--kenv: \"%s\" is not NAME=VALUE", arg);
	add_word("kenv", op->boot.kenv, &op->boot.nkenv, VMM_KENV_MAX, arg);
}

/* --- Options --- */

enum opt {
	O_APPEND_ = 256, O_CDROM, O_CONSOLE, O_CONTROL, O_CPU, O_CPUS, O_DISK,
	O_ENLIGHTEN, O_HELP, O_INITRD, O_KENV, O_KERNEL, O_MDROOT, O_MEMORY,
	O_MODULE, O_MONITOR, O_NET, O_NO_AUTOEOI, O_NO_REBOOT, O_NO_URING,
	O_PROBE, O_QUIET, O_SANDBOX, O_SERVICES, O_STATS, O_STORVSP,
	O_SUBCHANNELS, O_TRACE, O_VERSION, O_VMBUS
};

static const struct option long_options[] = {
	{ "append", required_argument, NULL, O_APPEND_ },
	{ "cdrom", required_argument, NULL, O_CDROM },
	{ "console", required_argument, NULL, O_CONSOLE },
	{ "control", required_argument, NULL, O_CONTROL },
	{ "cpu", required_argument, NULL, O_CPU },
	{ "cpus", required_argument, NULL, O_CPUS },
	{ "disk", required_argument, NULL, O_DISK },
	{ "enlighten", required_argument, NULL, O_ENLIGHTEN },
	{ "help", no_argument, NULL, O_HELP },
	{ "initrd", required_argument, NULL, O_INITRD },
	{ "kenv", required_argument, NULL, O_KENV },
	{ "kernel", required_argument, NULL, O_KERNEL },
	{ "mdroot", required_argument, NULL, O_MDROOT },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "module", required_argument, NULL, O_MODULE },
	{ "monitor-pages", no_argument, NULL, O_MONITOR },
	{ "net", required_argument, NULL, O_NET },
	{ "no-autoeoi", no_argument, NULL, O_NO_AUTOEOI },
	{ "no-reboot", no_argument, NULL, O_NO_REBOOT },
	{ "no-uring", no_argument, NULL, O_NO_URING },
	{ "probe", no_argument, NULL, O_PROBE },
	{ "quiet", no_argument, NULL, O_QUIET },
	{ "sandbox", required_argument, NULL, O_SANDBOX },
	{ "services", required_argument, NULL, O_SERVICES },
	{ "stats", required_argument, NULL, O_STATS },
	{ "storvsp-version", required_argument, NULL, O_STORVSP },
	{ "subchannels", required_argument, NULL, O_SUBCHANNELS },
	{ "trace", required_argument, NULL, O_TRACE },
	{ "version", no_argument, NULL, O_VERSION },
	{ "vmbus-version", required_argument, NULL, O_VMBUS },
	{ NULL, 0, NULL, 0 }
};

static void
set_machine(struct options *op, int opt, const char *arg)
{

	switch (opt) {
	case O_CPU:
		set_cpu(op, arg);
		break;
	case O_CPUS:
		op->vmm.cpus = (unsigned)number("--cpus", arg, 1,
		    VMM_CPUS_MAX);
		break;
	case O_ENLIGHTEN:
		set_enlighten(op, arg);
		break;
	case O_MEMORY:
		op->vmm.memory = size("--memory", arg, MIB);
		if (op->vmm.memory < MEMORY_MIN || op->vmm.memory > MEMORY_MAX)
			wrong("--memory: %s is not from 16M to 1024G", arg);
		op->vmm.memory &= ~(uint64_t)(VMM_PAGE - 1);
		break;
	case O_MONITOR:
		op->vmm.monitor_pages = true;
		break;
	case O_NO_AUTOEOI:
		op->vmm.no_autoeoi = true;
		break;
	case O_NO_REBOOT:
		op->vmm.no_reboot = true;
		break;
	case O_QUIET:
		op->vmm.quiet = true;
		break;
	case O_VMBUS:
		op->vmm.max_version = version("--vmbus-version", arg,
		    VMBUS_VERSIONS, 16);
		break;
	}
}

static void
set_option(struct options *op, int opt, const char *arg)
{

	switch (opt) {
	case O_APPEND_:
		op->boot.cmdline = arg;
		break;
	case O_CDROM:
		add_disk(op, "--cdrom", arg, true);
		break;
	case O_CONSOLE:
		set_console(op, arg);
		break;
	case O_CONTROL:
		op->control = arg;
		break;
	case O_DISK:
		add_disk(op, "--disk", arg, false);
		break;
	case O_INITRD:
		op->boot.initrd = arg;
		break;
	case O_KENV:
		add_kenv(op, arg);
		break;
	case O_KERNEL:
		op->boot.kernel = arg;
		break;
	case O_MDROOT:
		op->boot.mdroot = arg;
		break;
	case O_MODULE:
		add_word("module", op->boot.modules, &op->boot.nmodules,
		    VMM_MODULES_MAX, arg);
		break;
	case O_NET:
		add_net(op, arg);
		break;
	case O_NO_URING:
		op->no_uring = true;
		break;
	case O_PROBE:
		op->probe = true;
		break;
	case O_SANDBOX:
		op->sandbox = strcmp(arg, "on") == 0;
		if (!op->sandbox && strcmp(arg, "off") != 0)
			wrong("--sandbox: \"%s\" is neither on nor off", arg);
		break;
	case O_SERVICES:
		set_services(op, arg);
		break;
	case O_STATS:
		op->stats = arg;
		break;
	case O_STORVSP:
		op->vstor_version = (uint16_t)version("--storvsp-version",
		    arg, STORVSP_VERSIONS, 8);
		break;
	case O_SUBCHANNELS:
		op->subchannels = (unsigned)number("--subchannels", arg, 0,
		    SUBCHANNELS_MAX);
		break;
	case O_TRACE:
		set_trace(op, arg);
		break;
	default:
		set_machine(op, opt, arg);
	}
}

void
opt_parse(struct options *op, int argc, char **argv)
{
	int opt;

	*op = (struct options){
		.vmm.cpus = 1, .vmm.memory = MEMORY_DEFAULT,
		.subchannels = SUBCHANNELS_MAX, .trace_snap = TRACE_SNAP,
		.sandbox = true, .services = (1u << OPT_SERVICES) - 1,
	};
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", long_options, NULL)) !=
	    -1) {
		switch (opt) {
		case 'h':
		case O_HELP:
			fputs(usage_text, stdout);
			exit(0);
		case O_VERSION:
			puts("hvhost " HVHOST_VERSION);
			exit(0);
		case '?':
			wrong("%s: no such option", argv[optind - 1]);
		case ':':
			wrong("%s wants a value", argv[optind - 1]);
		default:
			set_option(op, opt, optarg);
		}
	}
	if (optind < argc)
		wrong("\"%s\": options begin with --", argv[optind]);
	if (op->boot.kernel == NULL && !op->probe)
		wrong("--kernel FILE is wanted");
}
