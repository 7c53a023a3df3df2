/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The sandbox: a seccomp filter.  A running machine reads and writes files
 * that are open, talks to KVM and to its clients, starts vCPU threads anew
 * after a reset.  It opens nothing, runs nothing, makes no memory executable
 * and reaches no other process; a disk added later comes as a descriptor.
 *
 * io_uring does its work outside of the filter, so each ring is restricted to
 * the operations that blk_uring.c uses.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <asm/termbits.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/sandbox.h"

#define	IOC_KVM		0xAE00u		/* the type of all of KVM's */
#define	IOC_TYPE	0xFF00u

static const int allowed[] = {
	/* Memory and threads. */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getrandom), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	/* Time and waiting. */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl), SCMP_SYS(eventfd2),
	/* What is open. */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv),
	SCMP_SYS(preadv2), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(close),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* The control socket's clients. */
	SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	/* Network back ends, those too that are added later. */
	SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(epoll_create1),
};

/* And a network in user mode, which is the guest's way out. */
static const int allowed_nat[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt),
};

static const unsigned long allowed_ioctls[] = {
	BLKGETSIZE64, BLKSSZGET, TCGETS, TCSETS,
	TUNGETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ,
	/* With these tcsetattr(3) gives a terminal back from glibc 2.42 on. */
	TCGETS2, TCSETS2,
};

static const unsigned long allowed_nat_ioctls[] = { FIONREAD, FIONBIO };

/* Async-signal-safe: it may strike anywhere. */
static void
refused(int sig, siginfo_t *si, void *ctx)
{
	static const char head[] = "hvhost: the sandbox refuses system call ";
	char text[sizeof(head) + 16], digits[12];
	size_t len = sizeof(head) - 1, n = 0;
	unsigned nr = (unsigned)si->si_syscall;

	memcpy(text, head, len);
	do {
		digits[n++] = (char)('0' + nr % 10);
		nr /= 10;
	} while (nr != 0);
	while (n > 0)
		text[len++] = digits[--n];
	text[len++] = '\n';
	(void)!write(STDERR_FILENO, text, len);
	_exit(1);
}

static int
add_nat_rules(scmp_filter_ctx ctx)
{
	int error = 0;

	for (unsigned i = 0; error == 0 &&
	    i < sizeof(allowed_nat) / sizeof(allowed_nat[0]); i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_nat[i],
		    0);
	for (unsigned i = 0; error == 0 && i < sizeof(allowed_nat_ioctls) /
	    sizeof(allowed_nat_ioctls[0]); i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		    1, SCMP_A1(SCMP_CMP_EQ, allowed_nat_ioctls[i]));
	return (error);
}

static int
add_rules(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp noexec = SCMP_A2(SCMP_CMP_MASKED_EQ,
	    PROT_EXEC, 0);
	int error = 0;

	for (unsigned i = 0; error == 0 &&
	    i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (unsigned i = 0; error == 0 &&
	    i < sizeof(allowed_ioctls) / sizeof(allowed_ioctls[0]); i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		    1, SCMP_A1(SCMP_CMP_EQ, allowed_ioctls[i]));
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		    1, SCMP_A1(SCMP_CMP_MASKED_EQ, IOC_TYPE, IOC_KVM));
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap),
		    1, noexec);
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(mprotect), 1, noexec);
	/*
	 * The C library's malloc asks /proc as it first gives memory back, and
	 * /sys for processors as threads become many; it lives with a refusal.
	 */
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		    SCMP_SYS(openat), 0);
	/* Threads, no processes; clone3's flags cannot be seen from here. */
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone),
		    1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
		    CLONE_THREAD));
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
		    SCMP_SYS(clone3), 0);
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
		    1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return (error);
}

int
sandbox_enter(bool nat, char *err, size_t errlen)
{
	struct sigaction sa = { .sa_sigaction = refused,
	    .sa_flags = SA_SIGINFO };
	scmp_filter_ctx ctx;
	int error;

	sigaction(SIGSYS, &sa, NULL);
	/* The C library reads the time zone when it first tells the time. */
	tzset();
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (ctx == NULL) {
		snprintf(err, errlen, "sandbox: no memory");
		return (ENOMEM);
	}
	error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	if (error == 0)
		error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0)
		error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (error == 0)
		error = add_rules(ctx);
	if (error == 0 && nat)
		error = add_nat_rules(ctx);
	if (error == 0)
		error = seccomp_load(ctx);
	seccomp_release(ctx);
	if (error == 0)
		return (0);
	snprintf(err, errlen, "sandbox: %s; --sandbox off does without",
	    strerror(-error));
	return (-error);
}
