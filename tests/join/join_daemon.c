/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See join_daemon.h. */

#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_daemon.h"

#define	ARGS		16
#define	JOIN_LIMIT	(60 * 1000000000ull)	/* ns for an answer */

struct devbridge *
join_bridge(const char *node)
{
	struct devbridge *db;
	char msg[256];

	db = devbridge_start(node, node, msg, sizeof(msg));
	ATF_REQUIRE_MSG(db != NULL, "%s", msg);
	return (db);
}

void
join_daemon_start(struct join_daemon *d, const char *path, const char *sock,
    const char *const *args, const char *ready)
{
	const char *argv[ARGS];
	char pidfile[64];
	int fd, n = 0;

	snprintf(pidfile, sizeof(pidfile), "%s.pid", sock);
	snprintf(d->log, sizeof(d->log), "%s.log", sock);
	argv[n++] = path;
	argv[n++] = "-d";
	argv[n++] = "-D";
	argv[n++] = sock;
	argv[n++] = "-p";
	argv[n++] = pidfile;
	while (args != NULL && *args != NULL && n < ARGS - 1)
		argv[n++] = *args++;
	argv[n] = NULL;
	fd = open(d->log, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	ATF_REQUIRE(fd >= 0);
	d->pid = vfork();
	if (d->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fd, 2);
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	ATF_REQUIRE(d->pid > 0);
	close(fd);
	ATF_REQUIRE_MSG(join_sysctl_becomes(ready, 1), "%s did not register: "
	    "%s", path, join_daemon_log(d));
}

int
join_daemon_end(struct join_daemon *d, int sig)
{
	int status;

	if (sig != 0)
		ATF_REQUIRE_EQ(0, kill(d->pid, sig));
	ATF_REQUIRE_EQ(d->pid, waitpid(d->pid, &status, 0));
	if (sig == SIGKILL)
		ATF_CHECK(WIFSIGNALED(status));
	else
		ATF_CHECK_MSG(WIFEXITED(status), "ended by signal %d: %s",
		    WTERMSIG(status), join_daemon_log(d));
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

const char *
join_daemon_log(struct join_daemon *d)
{
	static char text[4096];
	size_t len = 0;
	FILE *f;

	f = fopen(d->log, "re");
	if (f != NULL) {
		len = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[len] = '\0';
	return (text);
}

void
join_order_init(struct join_order *o)
{

	memset(o, 0, sizeof(*o));
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->cv, NULL);
}

void
join_order_done(void *arg, const struct hvh_ic_result *r)
{
	struct join_order *o = arg;

	pthread_mutex_lock(&o->lock);
	o->ended++;
	o->r = *r;
	if (r->body != NULL)
		memcpy(o->body, r->body, r->len < sizeof(o->body) ? r->len :
		    sizeof(o->body));
	o->r.body = NULL;
	o->r.item = NULL;
	o->r.ip = NULL;
	if (r->step != NULL)
		snprintf(o->step, sizeof(o->step), "%s", r->step);
	o->r.step = NULL;
	pthread_cond_broadcast(&o->cv);
	pthread_mutex_unlock(&o->lock);
}

bool
join_order_ended(struct join_order *o)
{
	bool ended;

	pthread_mutex_lock(&o->lock);
	ended = o->ended != 0;
	pthread_mutex_unlock(&o->lock);
	return (ended);
}

static bool
order_ended(void *arg)
{

	return (join_order_ended(arg));
}

void
join_order_wait(struct join_order *o)
{

	ATF_REQUIRE_MSG(join_wait(order_ended, o, JOIN_WAIT_MS),
	    "an order that does not end");
	vm_pump();
	ATF_CHECK_EQ(1, o->ended);
}

static bool
ic_is_ready(void *arg)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(arg, &ii);
	return (ii.state == HVH_IC_READY);
}

void
join_ic_ready(struct hvh_ic *ic)
{

	ATF_REQUIRE_MSG(join_wait(ic_is_ready, ic, JOIN_WAIT_MS),
	    "the guest does not agree on a version");
}

int64_t
join_ic_raw(struct hvh_ic *ic, uint16_t type, const void *body, size_t len,
    struct join_order *o)
{

	join_order_init(o);
	ATF_REQUIRE_EQ(0, hvh_ic_raw(ic, type, body, len, JOIN_LIMIT,
	    join_order_done, o));
	join_order_wait(o);
	return (o->r.error != 0 ? -o->r.error : (int64_t)o->r.status);
}

struct sysctl_wish {
	const char	*name;
	kpi_u64		 value;
};

static bool
sysctl_is(void *arg)
{
	struct sysctl_wish *w = arg;

	return (join_sysctl("%s", w->name) == w->value);
}

bool
join_sysctl_becomes(const char *name, kpi_u64 value)
{
	struct sysctl_wish w = { .name = name, .value = value };

	return (join_wait(sysctl_is, &w, JOIN_WAIT_MS));
}
