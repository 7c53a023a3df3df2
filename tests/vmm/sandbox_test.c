/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The sandbox as hvhost's threads meet it.  Built without sanitizers in all
 * variants: their runtimes need calls that the filter refuses, and what the C
 * library's own malloc does is a part of the matter.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <asm/termbits.h>
#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/sandbox.h"

#define	BLOCK		65536		/* not large enough to be mapped */
#define	BLOCKS		1000
#define	THREADS		64

/* Runs fn in a sandboxed process; its wait status. */
static int
sandboxed_nat(bool nat, void (*fn)(void))
{
	char err[256] = "";
	int status;
	pid_t pid;

	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(nat, err, sizeof(err)) != 0)
			_exit(2);
		fn();
		_exit(0);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	return (status);
}

static int
sandboxed(void (*fn)(void))
{

	return (sandboxed_nat(false, fn));
}

static void *
use_memory(void *arg)
{
	static _Thread_local void *block[BLOCKS];

	for (size_t i = 0; i < BLOCKS; i++) {
		block[i] = malloc(BLOCK);
		if (block[i] == NULL)
			_exit(3);
		*(volatile char *)block[i] = 1;
	}
	for (size_t i = BLOCKS; i > 0; i--)
		free(block[i - 1]);
	return (NULL);
}

static void
one_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, use_memory, NULL) != 0 ||
	    pthread_join(t, NULL) != 0)
		_exit(4);
}

static void *
use_little(void *arg)
{
	pthread_barrier_t *b = arg;
	void *volatile p = malloc(100);

	/* All at once: each has an arena as long as there are some. */
	(void)pthread_barrier_wait(b);
	free(p);
	return (NULL);
}

static void
many_threads(void)
{
	pthread_barrier_t b;
	pthread_t t[THREADS];

	pthread_barrier_init(&b, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, use_little, &b) != 0)
			_exit(4);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

/* A thread frees much memory: malloc wants to know how, and opens a file. */
ATF_TC_WITHOUT_HEAD(memory);
ATF_TC_BODY(memory, tc)
{

	ATF_REQUIRE_EQ(0, sandboxed(one_thread));
}

/* A machine with 64 processors: malloc asks how many there really are. */
ATF_TC_WITHOUT_HEAD(threads);
ATF_TC_BODY(threads, tc)
{

	ATF_REQUIRE_EQ(0, sandboxed(many_threads));
}

static void
open_file(void)
{

	_exit(open("/dev/null", O_RDONLY) < 0 && errno == EACCES ? 0 : 5);
}

static void
run_program(void)
{

	(void)execl("/bin/true", "true", (char *)NULL);
}

static void
kill_parent(void)
{

	(void)kill(getppid(), 0);
}

static void
terminal(void)
{
	struct termios2 t;

	/* Whether it is a terminal or not: that is not the filter's. */
	(void)ioctl(STDIN_FILENO, TCGETS2, &t);
	(void)ioctl(STDIN_FILENO, TCSETS2, &t);
}

/* A terminal is given back at the end, whichever way the C library goes. */
ATF_TC_WITHOUT_HEAD(terminals);
ATF_TC_BODY(terminals, tc)
{

	ATF_REQUIRE_EQ(0, sandboxed(terminal));
}

/* No file is opened; what is worse ends the process. */
ATF_TC_WITHOUT_HEAD(refused);
ATF_TC_BODY(refused, tc)
{

	ATF_REQUIRE_EQ(0, sandboxed(open_file));
	ATF_REQUIRE_EQ(1, WEXITSTATUS(sandboxed(run_program)));
	ATF_REQUIRE_EQ(1, WEXITSTATUS(sandboxed(kill_parent)));
}

static void
make_socket(void)
{
	int fd;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		_exit(5);
	close(fd);
	_exit(0);
}

/* Connections are made for a guest's network in user mode, or not at all. */
ATF_TC_WITHOUT_HEAD(sockets);
ATF_TC_BODY(sockets, tc)
{

	ATF_REQUIRE_EQ(1, WEXITSTATUS(sandboxed(make_socket)));
	ATF_REQUIRE_EQ(0, sandboxed_nat(true, make_socket));
	/* For the rest it is as tight. */
	ATF_REQUIRE_EQ(0, sandboxed_nat(true, open_file));
	ATF_REQUIRE_EQ(1, WEXITSTATUS(sandboxed_nat(true, run_program)));
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, memory);
	ATF_TP_ADD_TC(tp, threads);
	ATF_TP_ADD_TC(tp, terminals);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, sockets);
	return (atf_no_error());
}
