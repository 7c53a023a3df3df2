/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* What tests of key-value pairs share; see join_kvp.h. */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_kvp.h"
#include "run/devbridge.h"

/* What any order takes at most where nothing is made to hang. */
#define	ORDER_MS	20000

static struct join_kvp *preparing;

static void
prepare(struct join *j)
{
	struct hvh_ic_params ip = { .kind = HVH_IC_KVP };

	ATF_REQUIRE_EQ(0, hvh_ic_add(j->host, &ip, &preparing->ic));
}

static bool
ready(void *arg)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(arg, &ii);
	return (ii.state == HVH_IC_READY);
}

void
join_kvp_start(struct join_kvp *jk, unsigned nets)
{
	struct join_config cf = {
		.no_disks = true, .nets = nets, .prepare = prepare,
		.vm.quiet = true,
	};
	char err[256];

	memset(jk, 0, sizeof(*jk));
	preparing = jk;
	join_start(&jk->j, &cf);
	jk->bridge = devbridge_start("hv_kvp_dev", JOIN_KVP_SOCKET, err,
	    sizeof(err));
	ATF_REQUIRE_MSG(jk->bridge != NULL, "%s", err);
	ATF_REQUIRE_MSG(join_wait(ready, jk->ic, ORDER_MS),
	    "the guest did not agree on a version");
}

void
join_kvp_finish(struct join_kvp *jk)
{

	if (jk->daemon != 0)
		join_kvp_kill(jk, SIGTERM);
	devbridge_stop(jk->bridge);
	join_finish(&jk->j);
}

/* --- The daemon, and the test in its place --- */

static bool
opened(void *arg)
{

	return (devbridge_open(arg) > 0);
}

static bool
closed(void *arg)
{

	return (devbridge_open(arg) == 0);
}

void
join_kvp_daemon(struct join_kvp *jk)
{

	jk->daemon = fork();
	ATF_REQUIRE(jk->daemon >= 0);
	if (jk->daemon == 0) {
		execl(HV_KVP_DAEMON, "hv_kvp_daemon", "-d", "-D",
		    JOIN_KVP_SOCKET, "-P", "pid", "-p", JOIN_KVP_POOLS, "-s",
		    "scripts", NULL);
		_exit(127);
	}
	ATF_REQUIRE_MSG(join_wait(opened, jk->bridge, ORDER_MS),
	    "the daemon did not open the device");
}

void
join_kvp_kill(struct join_kvp *jk, int sig)
{
	int status;

	ATF_REQUIRE_EQ(0, kill(jk->daemon, sig));
	if (sig == SIGTERM) {
		join_kvp_gone(jk);
		return;
	}
	ATF_REQUIRE_EQ(jk->daemon, waitpid(jk->daemon, &status, 0));
	jk->daemon = 0;
	ATF_REQUIRE(join_wait(closed, jk->bridge, ORDER_MS));
}

void
join_kvp_gone(struct join_kvp *jk)
{
	int status;

	ATF_REQUIRE_EQ(jk->daemon, waitpid(jk->daemon, &status, 0));
	ATF_CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the daemon ended with %#x", status);
	jk->daemon = 0;
	ATF_REQUIRE(join_wait(closed, jk->bridge, ORDER_MS));
}

int
join_kvp_open(bool registered)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct hv_kvp_dev_msg km = {
		.km_type = HV_KVP_DEV_REGISTER,
		.km_version = HV_KVP_DEV_VERSION,
	};
	int fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ATF_REQUIRE(fd >= 0);
	strcpy(sun.sun_path, JOIN_KVP_SOCKET);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	if (registered)
		ATF_REQUIRE_EQ(sizeof(km), write(fd, &km, sizeof(km)));
	return (fd);
}

void
join_kvp_close(struct join_kvp *jk, int fd)
{

	close(fd);
	ATF_REQUIRE(join_wait(closed, jk->bridge, ORDER_MS));
}

void
join_kvp_take(int fd, struct hv_kvp_dev_msg *km)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	ATF_REQUIRE_EQ_MSG(1, poll(&pfd, 1, ORDER_MS), "no request");
	ATF_REQUIRE_EQ(sizeof(*km), read(fd, km, sizeof(*km)));
	ATF_CHECK_EQ(HV_KVP_DEV_REQUEST, km->km_type);
	ATF_CHECK_EQ(1, km->km_version);
}

void
join_kvp_answer(int fd, struct hv_kvp_dev_msg *km, uint32_t status)
{

	km->km_type = HV_KVP_DEV_ANSWER;
	km->km_status = status;
	ATF_REQUIRE_EQ(sizeof(*km), write(fd, km, sizeof(*km)));
}

/* --- Orders --- */

void
join_kvp_begin(struct join_kvp_order *o)
{

	memset(o, 0, sizeof(*o));
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
}

static void
copy_text(char *to, size_t size, const char *from)
{

	snprintf(to, size, "%s", from != NULL ? from : "");
}

void
join_kvp_done(void *arg, const struct hvh_ic_result *r)
{
	struct join_kvp_order *o = arg;

	pthread_mutex_lock(&o->lock);
	o->over = true;
	o->error = r->error;
	o->status = r->status;
	if (r->item != NULL) {
		o->type = r->item->type;
		copy_text(o->key, sizeof(o->key), r->item->key);
		copy_text(o->text, sizeof(o->text), r->item->text);
	}
	if (r->ip != NULL) {
		o->ip.ip_family = r->ip->family;
		o->ip.ip_dhcp = r->ip->dhcp;
		copy_text(o->ip.ip_addr, sizeof(o->ip.ip_addr),
		    r->ip->addresses);
		copy_text(o->ip.ip_subnet, sizeof(o->ip.ip_subnet),
		    r->ip->subnets);
		copy_text(o->ip.ip_gateway, sizeof(o->ip.ip_gateway),
		    r->ip->gateways);
		copy_text(o->ip.ip_dns, sizeof(o->ip.ip_dns), r->ip->dns);
	}
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

bool
join_kvp_over(struct join_kvp_order *o)
{
	bool over;

	pthread_mutex_lock(&o->lock);
	over = o->over;
	pthread_mutex_unlock(&o->lock);
	return (over);
}

void
join_kvp_wait(struct join_kvp_order *o, unsigned ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&o->lock);
	while (!o->over)
		ATF_REQUIRE_EQ_MSG(0, pthread_cond_timedwait(&o->changed,
		    &o->lock, &ts), "no answer in %u ms", ms);
	pthread_mutex_unlock(&o->lock);
}

static uint32_t
result(struct join_kvp_order *o)
{

	join_kvp_wait(o, ORDER_MS);
	return (o->error != 0 ? UINT32_MAX : o->status);
}

uint32_t
join_kvp_set(struct join_kvp *jk, enum hvh_kvp_pool pool, const char *key,
    const char *text)
{
	struct hvh_kvp_item item = {
		.type = HVH_KVP_STRING, .key = key, .text = text,
	};
	struct join_kvp_order o;

	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_set(jk->ic, pool, &item, join_kvp_done,
	    &o));
	return (result(&o));
}

uint32_t
join_kvp_get(struct join_kvp *jk, enum hvh_kvp_pool pool, const char *key,
    char *text, size_t size)
{
	struct join_kvp_order o;
	uint32_t status;

	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_get(jk->ic, pool, key, join_kvp_done, &o));
	status = result(&o);
	copy_text(text, size, o.text);
	return (status);
}

uint32_t
join_kvp_delete(struct join_kvp *jk, enum hvh_kvp_pool pool, const char *key)
{
	struct join_kvp_order o;

	join_kvp_begin(&o);
	ATF_REQUIRE_EQ(0, hvh_kvp_delete(jk->ic, pool, key, join_kvp_done,
	    &o));
	return (result(&o));
}

uint32_t
join_kvp_enum(struct join_kvp *jk, enum hvh_kvp_pool pool, uint32_t index,
    struct join_kvp_order *o)
{

	join_kvp_begin(o);
	ATF_REQUIRE_EQ(0, hvh_kvp_enumerate(jk->ic, pool, index,
	    join_kvp_done, o));
	return (result(o));
}

void
join_kvp_expect(struct join_kvp *jk, enum hvh_kvp_pool pool, const char *key,
    const char *text)
{
	char got[4096];

	ATF_REQUIRE_EQ_MSG(0, join_kvp_get(jk, pool, key, got, sizeof(got)),
	    "there is no %s", key);
	ATF_CHECK_STREQ(text, got);
}

unsigned
join_kvp_count(struct join_kvp *jk, enum hvh_kvp_pool pool)
{
	struct join_kvp_order o;
	unsigned n;

	for (n = 0; join_kvp_enum(jk, pool, n, &o) == 0; n++)
		;
	ATF_CHECK_EQ(HVH_IC_NO_MORE, o.status);
	return (n);
}
