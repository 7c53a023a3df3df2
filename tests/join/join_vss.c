/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See join_vss.h. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_vss.h"

struct join vss_join;
struct hvh_ic *vss;
struct devbridge *vss_bridge;
struct join_daemon vss_daemon;
struct kpi_devfile *vss_app;

void
vss_mounts(const char *lines)
{
	FILE *f;

	f = fopen("mounts.new", "we");
	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE(fputs(lines, f) >= 0);
	ATF_REQUIRE_EQ(0, fclose(f));
	ATF_REQUIRE_EQ(0, rename("mounts.new", "mounts"));
}

void
vss_go(void)
{

	ATF_REQUIRE_EQ(0, close(open("go", O_CREAT | O_WRONLY | O_CLOEXEC,
	    0600)));
}

bool
vss_frozen(int number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_start = number, .l_len = 1 };
	int fd;

	fd = open("suspend", O_RDWR | O_CLOEXEC);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, fcntl(fd, F_OFD_GETLK, &lock));
	close(fd);
	return (lock.l_type != F_UNLCK);
}

unsigned
vss_frozen_count(void)
{
	unsigned n = 0;
	int i;

	for (i = 1; i < 10; i++)
		if (vss_frozen(i))
			n++;
	return (n);
}

bool
vss_none_frozen(void *arg)
{

	return (vss_frozen_count() == 0);
}

bool
vss_some_frozen(void *arg)
{

	return (vss_frozen_count() > 0);
}

static void
prepare(struct join *jp)
{
	const struct hvh_ic_params ip = { .kind = HVH_IC_VSS };

	ATF_REQUIRE_EQ(0, hvh_ic_add(jp->host, &ip, &vss));
}

void
vss_daemon_start(void)
{

	join_daemon_start(&vss_daemon, HV_VSS_DAEMON, VSS_NODE, NULL,
	    VSS_PROGRAM);
}

void
vss_start(const char *lines, bool virtual)
{
	struct join_config cf = { .no_disks = true, .prepare = prepare,
	    .vm.virtual_clock = virtual };
	int fd;

	vss_mounts(lines);
	fd = open("suspend", O_CREAT | O_RDWR, 0600);
	ATF_REQUIRE(fd >= 0);
	close(fd);
	join_start(&vss_join, &cf);
	join_ic_ready(vss);
	vss_bridge = join_bridge(VSS_NODE);
	vss_daemon_start();
}

void
vss_finish(void)
{

	ATF_CHECK_EQ(0, vss_frozen_count());
	ATF_CHECK_EQ(0, join_daemon_end(&vss_daemon, SIGTERM));
	devbridge_stop(vss_bridge);
	join_finish(&vss_join);
}

void
vss_order(struct join_order *o, enum hvh_vss_op op)
{

	join_order_init(o);
	ATF_REQUIRE_EQ(0, hvh_vss(vss, op, join_order_done, o));
}

void
vss_ends(enum hvh_vss_op op, uint32_t status)
{
	struct join_order o;

	vss_order(&o, op);
	join_order_wait(&o);
	ATF_CHECK_EQ_MSG(0, o.r.error, "operation %d: error %d", op,
	    o.r.error);
	ATF_CHECK_EQ_MSG(status, o.r.status, "operation %d: status %#x", op,
	    o.r.status);
}

int
app_write(struct app_msg *m)
{
	kpi_size done;

	return (kpi_dev_write(vss_app, m, sizeof(*m), &done));
}

void
app_open(void)
{
	struct app_msg m = { .type = APP_REGISTER, .version = 1 };

	ATF_REQUIRE_EQ(0, kpi_dev_open("hv_appvss_dev", 7, &vss_app));
	ATF_REQUIRE_EQ(0, app_write(&m));
}

void
app_read(struct app_msg *m, uint32_t op)
{
	kpi_size done;
	int tries;

	for (tries = 0; kpi_dev_read(vss_app, m, sizeof(*m), &done) != 0;
	    tries++) {
		ATF_REQUIRE_MSG(tries < JOIN_WAIT_MS, "request %u does not "
		    "come", op);
		usleep(1000);
	}
	ATF_REQUIRE_EQ(sizeof(*m), done);
	ATF_CHECK_EQ(APP_REQUEST, m->type);
	ATF_REQUIRE_EQ(op, m->op);
}

void
app_answer(struct app_msg *m, uint32_t status)
{

	m->type = APP_ANSWER;
	m->status = status;
	ATF_CHECK_EQ(0, app_write(m));
}
