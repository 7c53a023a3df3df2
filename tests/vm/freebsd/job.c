/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `job': commands that run while others do.
 *
 *	job start COMMAND...	prints its number
 *	job wait [N]		waits for its end; its output and result.  For
 *				that of all if none is named; the result is
 *				that of the first that failed
 *	job poll N		0 if it has ended, EBUSY if not
 *	job kill N		ends it by SIGKILL
 *	job show N		what it has printed so far
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/signal.h>
#include <sys/wait.h>

#include "commands.h"
#include "lib.h"

#define	JOBS_MAX	64
#define	JOB_TEXT	((64 << 10) - sizeof(size_t))

/* What a job and the shell share. */
struct job_output {
	size_t		 used;
	char		 text[JOB_TEXT];
};

static struct job {
	struct job_output *output;	/* NULL: the place is free */
	int		 pid;
	bool		 ended;
	int		 result;
} jobs[JOBS_MAX];

static int
job_start(int argc, char **argv)
{
	struct job *j;
	int error, pid;

	for (j = jobs; j < jobs + JOBS_MAX && j->output != NULL;)
		j++;
	if (j == jobs + JOBS_MAX)
		return (complain(EAGAIN, "job"));
	j->output = sys_mmap(sizeof(*j->output), MAP_SHARED);
	if (j->output == NULL)
		return (complain(ENOMEM, "job"));
	out_flush();
	pid = sys_fork();
	if (pid == 0) {
		out_redirect(j->output->text, &j->output->used, JOB_TEXT);
		error = run_command(argc, argv);
		sys_exit(error);
	}
	if (pid < 0) {
		sys_munmap(j->output, sizeof(*j->output));
		j->output = NULL;
		return (complain(pid, "fork"));
	}
	j->pid = pid;
	j->ended = false;
	print("%d\n", (int)(j - jobs));
	return (0);
}

/* Looks whether a job has ended, or waits for that. */
static int
job_collect(struct job *j, bool wait)
{
	int status, pid;

	if (j->ended)
		return (0);
	do
		pid = sys_wait4(j->pid, &status, wait ? 0 : WNOHANG);
	while (pid == -EINTR);
	if (pid == 0)
		return (EBUSY);
	if (pid < 0)
		return (complain(pid, "wait4"));
	j->ended = true;
	j->result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
	    WEXITSTATUS(status);
	return (0);
}

/* Waits for a job's end, prints what it printed and frees its place. */
static int
job_wait(struct job *j)
{
	int error;

	error = job_collect(j, true);
	if (error != 0)
		return (error);
	out(j->output->text, j->output->used);
	sys_munmap(j->output, sizeof(*j->output));
	j->output = NULL;
	return (j->result);
}

static int
job_wait_all(void)
{
	struct job *j;
	int error, first = 0;

	for (j = jobs; j < jobs + JOBS_MAX; j++) {
		error = j->output != NULL ? job_wait(j) : 0;
		if (first == 0)
			first = error;
	}
	return (first);
}

int
cmd_job(int argc, char **argv)
{
	struct job *j;
	uint64_t n;

	if (argc > 2 && strcmp(argv[1], "start") == 0)
		return (job_start(argc - 2, argv + 2));
	if (argc == 2 && strcmp(argv[1], "wait") == 0)
		return (job_wait_all());
	n = argument(argc, argv, 2, JOBS_MAX);
	if (n >= JOBS_MAX || jobs[n].output == NULL)
		return (complain(ESRCH, "job"));
	j = &jobs[n];
	if (strcmp(argv[1], "poll") == 0)
		return (job_collect(j, false));
	if (strcmp(argv[1], "show") == 0) {
		out(j->output->text, j->output->used);
		return (0);
	}
	if (strcmp(argv[1], "kill") == 0)
		return (-sys_kill(j->pid, SIGKILL));
	if (strcmp(argv[1], "wait") == 0)
		return (job_wait(j));
	return (complain(EINVAL, "job %s", argv[1]));
}
