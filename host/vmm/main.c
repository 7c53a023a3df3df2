/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvhost: makes the machine its options describe, and stays with it to the
 * end.  All that can go wrong for a reason outside is found before the guest's
 * first instruction; from there on the sandbox holds.
 */

#include <sys/resource.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/console.h"
#include "vmm/disks.h"
#include "vmm/nets.h"
#include "vmm/options.h"
#include "vmm/sandbox.h"
#include "vmm/status.h"

#define	EXIT_LOST	3

/* A guest that only ever faults is not worth more tries. */
#define	TRIPLES_MAX	3
#define	TRIPLES_NS	10000000000ull

struct hvhost {
	struct options	 op;
	struct vmm	*m;
	struct console	*console;
	struct disks	 disks;
	struct nets	 nets;
	struct services	 services;
	struct tracer	*tracer;		/* or NULL */
	struct status	 status;
	struct ctl_server *control;		/* or NULL */
	int		 stats;			/* file, or -1 */
	int		 signals;		/* signalfd */
	unsigned	 triples;	/* triple faults soon after a start */
	bool		 confined;	/* in the sandbox */
	bool		 failed;	/* could not be started over */
};

static void __attribute__((noreturn))
fail(struct hvhost *hv, const char *err)
{

	vmm_say("%s", err);
	if (hv->control != NULL)
		ctl_close(hv->control, !hv->confined);
	if (hv->m != NULL)
		vmm_destroy(hv->m);
	if (hv->tracer != NULL)
		tracer_close(hv->tracer);
	if (hv->console != NULL)
		console_close(hv->console);
	exit(1);
}

static void
say_trace(void *arg, const char *text)
{

	vmm_say("%s", text);
}

/* What others get to see of the machine. */
static void
open_outside(struct hvhost *hv)
{
	const struct options *op = &hv->op;
	char err[512];

	if (op->stats != NULL) {
		hv->stats = open(op->stats, O_WRONLY | O_CREAT | O_TRUNC |
		    O_CLOEXEC, 0666);
		if (hv->stats < 0) {
			snprintf(err, sizeof(err), "%s: %s", op->stats,
			    strerror(errno));
			fail(hv, err);
		}
	}
	hv->status = (struct status){ .st_vmm = hv->m,
	    .st_disks = &hv->disks,
	    .st_nets = &hv->nets,
	    .st_services = &hv->services };
	if (op->control != NULL && ctl_open(op->control, hv->m->m_h,
	    &status_ops, &hv->status, &hv->control, err, sizeof(err)) != 0)
		fail(hv, err);
}

static int
probe(void)
{
	char err[512];

	if (vmm_kvm_probe(err, sizeof(err)) != 0) {
		vmm_say("%s", err);
		return (1);
	}
	puts("this machine's KVM runs guests");
	return (0);
}

static void
block_signals(struct hvhost *hv)
{
	struct sigaction sa;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* One that is ignored, as nohup(1) does it, would still be read. */
	if (sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A full file is an error of write(2), not an end. */
	signal(SIGXFSZ, SIG_IGN);
	/* In the background, too, a terminal is given back as it was. */
	signal(SIGTTOU, SIG_IGN);
	hv->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (hv->signals < 0)
		fail(hv, "signalfd fails");
}

/* What is opened must not come to stand where a terminal is looked for. */
static void
open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Each disk and vCPU takes a few descriptors. */
static void
raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static bool
has_nat(const struct options *op)
{

	for (unsigned i = 0; i < op->nnets; i++) {
		if (op->net[i].kind == HVH_NETBE_USER)
			return (true);
	}
	return (false);
}

static void
create(struct hvhost *hv)
{
	struct options *op = &hv->op;
	char err[512] = "";

	if (console_open(op->console, op->console_file, &hv->console, err,
	    sizeof(err)) != 0)
		fail(hv, err);
	if (op->trace != NULL && tracer_open(op->trace, op->trace_snap,
	    say_trace, NULL, &hv->tracer, err, sizeof(err)) != 0)
		fail(hv, err);
	op->vmm.tracer = hv->tracer;
	op->vmm.console_put = console_put;
	op->vmm.console_arg = hv->console;
	if (vmm_create(&op->vmm, &hv->m, err, sizeof(err)) != 0)
		fail(hv, err);
	console_attach(hv->console, hv->m->m_uart);
	if (disks_create(&hv->disks, hv->m, op, err, sizeof(err)) != 0 ||
	    nets_create(&hv->nets, hv->m, op, err, sizeof(err)) != 0 ||
	    services_create(&hv->services, hv->m, op, err,
	    sizeof(err)) != 0 ||
	    vmm_boot_load(hv->m, &op->boot, &hv->m->m_boot, err,
	    sizeof(err)) != 0)
		fail(hv, err);
	open_outside(hv);
	/* Last, so that a wrong file shows on a machine without KVM, too. */
	if (vmm_attach_kvm(hv->m, err, sizeof(err)) != 0)
		fail(hv, err);
	if (op->sandbox && sandbox_enter(has_nat(op), err, sizeof(err)) != 0)
		fail(hv, err);
	hv->confined = op->sandbox;
	if (vmm_start(hv->m, err, sizeof(err)) != 0)
		fail(hv, err);
}

static void
take_signal(struct hvhost *hv)
{
	struct signalfd_siginfo si;

	if (read(hv->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	vmm_say("%s: the machine ends", strsignal((int)si.ssi_signo));
	vmm_end(hv->m, VMM_STOP);
}

/* True: there is a reason not to start over. */
static bool
faults_only(struct hvhost *hv)
{

	if (!hv->m->m_triple)
		return (false);
	if (vmm_now() - hv->m->m_started > TRIPLES_NS)
		hv->triples = 0;
	return (++hv->triples == TRIPLES_MAX);
}

/* The machine has stopped for a reason; true: it runs again. */
static bool
over(struct hvhost *hv, enum vmm_end why)
{
	char err[512];

	if (why != VMM_RESET)
		return (false);
	if (hv->status.st_reset) {
		hv->status.st_reset = false;
	} else if (hv->m->m_cf.no_reboot || faults_only(hv)) {
		vmm_say("no restart after a %s", hv->m->m_triple ?
		    "triple fault" : "reset");
		return (false);
	}
	if (!hv->m->m_cf.quiet)
		vmm_say("reset");
	console_hurry(hv->console, true);
	vmm_power_off(hv->m);
	console_hurry(hv->console, false);
	hv->m->m_resets++;
	if (vmm_start(hv->m, err, sizeof(err)) != 0) {
		vmm_say("%s", err);
		hv->failed = true;
		return (false);
	}
	return (true);
}

static enum vmm_end
run(struct hvhost *hv)
{
	enum { SIGNALS, END, CONTROL, CONSOLE, COUNT = CONSOLE + 2 };
	struct pollfd fds[COUNT];
	enum vmm_end why;
	uint64_t n;

	for (;;) {
		fds[SIGNALS] = (struct pollfd){ .fd = hv->signals,
		    .events = POLLIN };
		fds[END] = (struct pollfd){ .fd = hv->m->m_end_fd,
		    .events = POLLIN };
		fds[CONTROL] = (struct pollfd){ .fd = hv->control != NULL ?
		    ctl_fd(hv->control) : -1, .events = POLLIN };
		console_poll_fds(hv->console, &fds[CONSOLE]);
		if (poll(fds, COUNT, console_timeout(hv->console)) < 0)
			continue;
		if (fds[SIGNALS].revents != 0)
			take_signal(hv);
		if (fds[CONTROL].revents != 0)
			ctl_poll(hv->control);
		console_run(hv->console, &fds[CONSOLE]);
		if (fds[END].revents != 0)
			(void)!read(hv->m->m_end_fd, &n, sizeof(n));
		why = (enum vmm_end)atomic_load(&hv->m->m_end);
		if (why != VMM_RUNS && !over(hv, why))
			return (why);
	}
}

int
main(int argc, char **argv)
{
	static struct hvhost hv;
	enum vmm_end why;
	bool triple;
	int error;

	open_standard();
	opt_parse(&hv.op, argc, argv);
	if (hv.op.probe)
		return (probe());
	hv.stats = -1;
	raise_limits();
	block_signals(&hv);
	create(&hv);
	why = run(&hv);
	console_hurry(hv.console, true);
	vmm_stop(hv.m);
	if (why != VMM_STOP)
		console_hurry(hv.console, false);
	triple = why == VMM_RESET && hv.m->m_triple;
	if (hv.stats >= 0) {
		error = status_write(&hv.status, hv.stats);
		if (error != 0)
			vmm_say("%s: %s", hv.op.stats, strerror(error));
	}
	if (hv.control != NULL)
		ctl_close(hv.control, !hv.confined);
	vmm_destroy(hv.m);
	if (hv.tracer != NULL)
		tracer_close(hv.tracer);
	console_close(hv.console);
	if (hv.failed)
		return (1);
	return (why == VMM_CRASH || triple ? EXIT_LOST : 0);
}
