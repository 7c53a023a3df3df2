/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The NBD server as a well-behaved client sees it, by libnbd: what it offers,
 * that data arrives where it should, what the disk is asked for, and how errors
 * come back.  The disks are fake_disk.c's.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <libnbd.h>

#include "fake_disk.h"
#include "nbd.h"

#define	SOCK	"nbd.sock"

static struct nbd_server *srv;

static void
start(void)
{
	char err[200] = "";

	fake_start();
	srv = nbd_start(SOCK, err, sizeof(err));
	ATF_REQUIRE_MSG(srv != NULL, "%s", err);
}

/* Also: nothing of the guest's memory is kept. */
static void
finish(void)
{

	nbd_stop(srv);
	ATF_CHECK_EQ(fake_memory_used(), 0);
	ATF_CHECK(access(SOCK, F_OK) != 0);
	fake_stop();
}

static struct nbd_handle *
client(const char *export)
{
	struct nbd_handle *h = nbd_create();

	ATF_REQUIRE(h != NULL);
	/* Let wrong requests through: the server's checks are the subject. */
	ATF_REQUIRE(nbd_set_strict_mode(h, 0) == 0);
	ATF_REQUIRE(nbd_set_export_name(h, export) == 0);
	ATF_REQUIRE_MSG(nbd_connect_unix(h, SOCK) == 0, "%s",
	    nbd_get_error());
	return (h);
}

static void
fill(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = seed >> 16;
	}
}

static int
add_name(void *arg, const char *name, const char *descr)
{
	char *names = arg;

	strcat(names, name);
	strcat(names, " ");
	return (0);
}

ATF_TC_WITHOUT_HEAD(lists_disks);
ATF_TC_BODY(lists_disks, tc)
{
	struct nbd_handle *h;
	char names[100] = "";

	start();
	h = nbd_create();
	ATF_REQUIRE(nbd_set_opt_mode(h, true) == 0);
	ATF_REQUIRE(nbd_connect_unix(h, SOCK) == 0);
	ATF_CHECK_EQ(nbd_opt_list(h, (nbd_list_callback){ add_name, names,
	    NULL }), 3);
	ATF_CHECK_STREQ(names, "da0 da1 da2 ");
	/* The conversation goes on to one of them. */
	ATF_CHECK(nbd_set_export_name(h, "da2") == 0);
	ATF_CHECK(nbd_opt_go(h) == 0);
	ATF_CHECK_EQ(nbd_get_size(h), FAKE_DA2_SIZE);
	nbd_close(h);
	finish();
}

ATF_TC_WITHOUT_HEAD(describes_disks);
ATF_TC_BODY(describes_disks, tc)
{
	struct nbd_handle *h;

	start();
	h = client("da0");
	ATF_CHECK_EQ(nbd_get_size(h), FAKE_DA0_SIZE);
	ATF_CHECK_EQ(nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM), 512);
	ATF_CHECK_EQ(nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED), 4096);
	ATF_CHECK_EQ(nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM), 32 << 20);
	ATF_CHECK_EQ(nbd_is_read_only(h), 0);
	ATF_CHECK_EQ(nbd_can_flush(h), 1);
	ATF_CHECK_EQ(nbd_can_fua(h), 1);
	ATF_CHECK_EQ(nbd_can_trim(h), 1);
	ATF_CHECK_EQ(nbd_can_zero(h), 0);
	ATF_CHECK_EQ(nbd_can_multi_conn(h), 1);
	nbd_close(h);
	h = client("da1");
	ATF_CHECK_EQ(nbd_is_read_only(h), 1);
	ATF_CHECK_EQ(nbd_can_trim(h), 0);
	nbd_close(h);
	h = client("da2");
	ATF_CHECK_EQ(nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM), 4096);
	ATF_CHECK_EQ(nbd_can_trim(h), 0);
	nbd_close(h);
	/* No name: the first disk. */
	h = client("");
	ATF_CHECK_EQ(nbd_get_size(h), FAKE_DA0_SIZE);
	nbd_close(h);
	finish();
}

ATF_TC_WITHOUT_HEAD(unknown_disk);
ATF_TC_BODY(unknown_disk, tc)
{
	static const char *const names[] = { "da", "da00", "da3", "DA0",
	    "a-name-longer-than-any-disk-has", "da0/" };
	struct nbd_handle *h;
	unsigned i;

	start();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		h = nbd_create();
		ATF_REQUIRE(nbd_set_export_name(h, names[i]) == 0);
		ATF_CHECK_MSG(nbd_connect_unix(h, SOCK) == -1, "%s",
		    names[i]);
		nbd_close(h);
	}
	finish();
}

/* Every size from one sector to the largest arrives whole, in its place. */
ATF_TC_WITHOUT_HEAD(reads_what_was_written);
ATF_TC_BODY(reads_what_was_written, tc)
{
	static const size_t sizes[] = { 512, 1024, 4096, 4608, 65536, 1 << 20,
	    (1 << 20) + 512, 32 << 20 };
	struct nbd_handle *h;
	uint8_t *out, *in;
	uint64_t offset;
	unsigned i;

	start();
	out = malloc(32 << 20);
	in = malloc(32 << 20);
	h = client("da0");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		offset = FAKE_DA0_SIZE - sizes[i] - 512 * (i % 3);
		fill(out, sizes[i], i + 1);
		ATF_REQUIRE_MSG(nbd_pwrite(h, out, sizes[i], offset, 0) == 0,
		    "%zu: %s", sizes[i], nbd_get_error());
		ATF_CHECK(memcmp(fake_contents(0) + offset, out,
		    sizes[i]) == 0);
		memset(in, 0, sizes[i]);
		ATF_REQUIRE(nbd_pread(h, in, sizes[i], offset, 0) == 0);
		ATF_CHECK_MSG(memcmp(in, out, sizes[i]) == 0, "%zu bytes",
		    sizes[i]);
	}
	nbd_close(h);
	free(out);
	free(in);
	finish();
}

static int
count_error(void *arg, int *error)
{

	if (*error != 0)
		(*(unsigned *)arg)++;
	return (1);
}

static void
drain(struct nbd_handle *h, int left)
{

	while (nbd_aio_in_flight(h) > left)
		ATF_REQUIRE(nbd_poll(h, -1) >= 0);
}

/* Three connections with sixty requests each: no reply goes astray. */
ATF_TC_WITHOUT_HEAD(many_in_flight);
ATF_TC_BODY(many_in_flight, tc)
{
	enum { CONNS = 3, REQS = 600, DEPTH = 60, LEN = 8192 };
	struct nbd_handle *h[CONNS];
	unsigned errors = 0;
	uint8_t *out, *in;
	int c, i;

	start();
	out = malloc(CONNS * REQS * LEN);
	in = calloc(CONNS * REQS, LEN);
	fill(out, CONNS * REQS * LEN, 7);
	for (c = 0; c < CONNS; c++)
		h[c] = client("da0");
	for (i = 0; i < CONNS * REQS; i++) {
		c = i % CONNS;
		drain(h[c], DEPTH - 1);
		ATF_REQUIRE(nbd_aio_pwrite(h[c], out + i * LEN, LEN, i * LEN,
		    (nbd_completion_callback){ count_error, &errors, NULL },
		    0) >= 0);
	}
	for (c = 0; c < CONNS; c++)
		drain(h[c], 0);
	for (i = 0; i < CONNS * REQS; i++) {
		c = (i + 1) % CONNS;
		drain(h[c], DEPTH - 1);
		ATF_REQUIRE(nbd_aio_pread(h[c], in + i * LEN, LEN, i * LEN,
		    (nbd_completion_callback){ count_error, &errors, NULL },
		    0) >= 0);
	}
	for (c = 0; c < CONNS; c++)
		drain(h[c], 0);
	ATF_CHECK_EQ(errors, 0);
	ATF_CHECK(memcmp(in, out, CONNS * REQS * LEN) == 0);
	for (c = 0; c < CONNS; c++)
		nbd_close(h[c]);
	free(out);
	free(in);
	finish();
}

ATF_TC_WITHOUT_HEAD(flush_fua_trim);
ATF_TC_BODY(flush_fua_trim, tc)
{
	struct nbd_handle *h;
	uint8_t buf[4096];
	char ops[64];

	start();
	h = client("da0");
	memset(buf, 0xee, sizeof(buf));
	ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 0, 0) == 0);
	ATF_CHECK(nbd_flush(h, 0) == 0);
	/* Force unit access: the write, and only then the cache. */
	ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 4096,
	    LIBNBD_CMD_FLAG_FUA) == 0);
	ATF_CHECK(nbd_trim(h, 4096, 0, 0) == 0);
	ATF_CHECK(nbd_trim(h, 2048, 8192, LIBNBD_CMD_FLAG_FUA) == 0);
	fake_history(ops);
	ATF_CHECK_STREQ(ops, "WFWFDDF");
	ATF_CHECK_EQ(fake_contents(0)[0], 0);
	ATF_CHECK_EQ(fake_contents(0)[4096], 0xee);
	nbd_close(h);
	finish();
}

/* An error of the flush is an error of the write that asked for it. */
ATF_TC_WITHOUT_HEAD(fua_fails);
ATF_TC_BODY(fua_fails, tc)
{
	struct nbd_handle *h;
	uint8_t buf[512] = { 1 };
	char ops[64];

	start();
	h = client("da0");
	fake_fail(2, 5);
	ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 0,
	    LIBNBD_CMD_FLAG_FUA) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), EIO);
	/* A write that failed is not flushed. */
	fake_fail(1, 5);
	ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 0,
	    LIBNBD_CMD_FLAG_FUA) == -1);
	fake_history(ops);
	ATF_CHECK_STREQ(ops, "WFW");
	nbd_close(h);
	finish();
}

/* FreeBSD's errno on the disk's side, the user's errno on the other. */
ATF_TC_WITHOUT_HEAD(disk_errors);
ATF_TC_BODY(disk_errors, tc)
{
	static const struct {
		int	bsd, user;
	} errors[] = {
		{ 5, EIO }, { 6, EIO }, { 12, ENOMEM }, { 22, EINVAL },
		{ 28, ENOSPC }, { 30, EPERM }, { 45, ENOTSUP }, { 60, EIO },
	};
	struct nbd_handle *h;
	uint8_t buf[512] = { 0 };
	unsigned i;

	start();
	h = client("da0");
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_fail(1, errors[i].bsd);
		ATF_CHECK(nbd_pread(h, buf, sizeof(buf), 0, 0) == -1);
		ATF_CHECK_EQ_MSG(nbd_get_errno(), errors[i].user,
		    "%d came back as %d", errors[i].bsd, nbd_get_errno());
		ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 0, 0) == 0);
	}
	/* A disk that is pulled and one that comes back. */
	fake_remove(true);
	ATF_CHECK(nbd_pread(h, buf, sizeof(buf), 0, 0) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), EIO);
	ATF_CHECK(nbd_pwrite(h, buf, sizeof(buf), 0, 0) == -1);
	fake_remove(false);
	ATF_CHECK(nbd_pread(h, buf, sizeof(buf), 0, 0) == 0);
	nbd_close(h);
	finish();
}

ATF_TC_WITHOUT_HEAD(refuses);
ATF_TC_BODY(refuses, tc)
{
	static uint8_t buf[8192];
	struct nbd_handle *h;
	char ops[64];

	start();
	h = client("da0");
	ATF_CHECK(nbd_pread(h, buf, 512, FAKE_DA0_SIZE, 0) == -1);
	ATF_CHECK(nbd_pread(h, buf, 1024, FAKE_DA0_SIZE - 512, 0) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), EINVAL);
	ATF_CHECK(nbd_pwrite(h, buf, 1024, FAKE_DA0_SIZE - 512, 0) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), ENOSPC);
	ATF_CHECK(nbd_pread(h, buf, 512, UINT64_MAX - 511, 0) == -1);
	ATF_CHECK(nbd_pread(h, buf, 100, 0, 0) == -1);
	ATF_CHECK(nbd_pread(h, buf, 512, 100, 0) == -1);
	ATF_CHECK(nbd_pwrite(h, buf, 100, 0, 0) == -1);
	ATF_CHECK(nbd_pread(h, buf, 0, 0, 0) == -1);
	ATF_CHECK(nbd_zero(h, 512, 0, 0) == -1);
	ATF_CHECK(nbd_cache(h, 512, 0, 0) == -1);
	fake_history(ops);
	ATF_CHECK_STREQ(ops, "");
	/* After all that the connection is in step. */
	ATF_CHECK(nbd_pwrite(h, buf, 512, 0, 0) == 0);
	nbd_close(h);

	h = client("da1");
	ATF_CHECK(nbd_pwrite(h, buf, 512, 0, 0) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), EPERM);
	ATF_CHECK(nbd_trim(h, 512, 0, 0) == -1);
	ATF_CHECK(nbd_pread(h, buf, 512, 0, 0) == 0);
	ATF_CHECK_EQ(buf[511], 0x5a);
	nbd_close(h);

	h = client("da2");
	ATF_CHECK(nbd_pwrite(h, buf, 512, 0, 0) == -1);
	ATF_CHECK(nbd_trim(h, 4096, 0, 0) == -1);
	ATF_CHECK(nbd_pwrite(h, buf, 4096, 4096, 0) == 0);
	nbd_close(h);
	finish();
}

/* Guest memory for one buffer only: slower, but every request is served. */
ATF_TC_WITHOUT_HEAD(short_of_memory);
ATF_TC_BODY(short_of_memory, tc)
{
	enum { REQS = 40, LEN = 1 << 20 };
	struct nbd_handle *h[2];
	unsigned errors = 0;
	uint8_t *buf;
	int i;

	start();
	fake_memory_limit(LEN);
	buf = malloc(LEN);
	fill(buf, LEN, 3);
	h[0] = client("da0");
	h[1] = client("da0");
	for (i = 0; i < REQS; i++)
		ATF_REQUIRE(nbd_aio_pwrite(h[i % 2], buf, LEN, i * LEN,
		    (nbd_completion_callback){ count_error, &errors, NULL },
		    0) >= 0);
	while (nbd_aio_in_flight(h[0]) + nbd_aio_in_flight(h[1]) > 0) {
		ATF_REQUIRE(nbd_poll(h[0], 10) >= 0);
		ATF_REQUIRE(nbd_poll(h[1], 10) >= 0);
	}
	ATF_CHECK_EQ(errors, 0);
	for (i = 0; i < REQS; i++)
		ATF_CHECK(memcmp(fake_contents(0) + i * LEN, buf, LEN) == 0);
	/* More than there is: an error, and the next request is served. */
	ATF_CHECK(nbd_pwrite(h[0], buf, LEN, 0, 0) == 0);
	fake_memory_limit(LEN / 2);
	ATF_CHECK(nbd_pwrite(h[1], buf, 4096, 0, 0) == 0);
	ATF_CHECK(nbd_pread(h[0], buf, LEN, 0, 0) == -1);
	ATF_CHECK_EQ(nbd_get_errno(), ENOMEM);
	ATF_CHECK(nbd_pread(h[0], buf, 4096, 0, 0) == 0);
	nbd_close(h[0]);
	nbd_close(h[1]);
	free(buf);
	finish();
}

static void *
stopper(void *arg)
{

	nbd_stop(srv);
	return (NULL);
}

/* What is under way when the server stops is done and answered. */
ATF_TC_WITHOUT_HEAD(stop_drains);
ATF_TC_BODY(stop_drains, tc)
{
	enum { REQS = 20, LEN = 4096 };
	struct nbd_handle *h;
	uint8_t buf[LEN];
	unsigned errors = 0;
	pthread_t thread;
	int i;

	start();
	fill(buf, LEN, 9);
	h = client("da0");
	fake_hold();
	for (i = 0; i < REQS; i++)
		ATF_REQUIRE(nbd_aio_pwrite(h, buf, LEN, i * LEN,
		    (nbd_completion_callback){ count_error, &errors, NULL },
		    0) >= 0);
	ATF_REQUIRE(fake_wait_held(REQS));
	ATF_REQUIRE(pthread_create(&thread, NULL, stopper, NULL) == 0);
	usleep(50000);
	fake_release();
	while (nbd_aio_in_flight(h) > 0)
		ATF_REQUIRE_MSG(nbd_poll(h, -1) >= 0, "%s", nbd_get_error());
	ATF_CHECK_EQ(errors, 0);
	ATF_REQUIRE(pthread_join(thread, NULL) == 0);
	for (i = 0; i < REQS; i++)
		ATF_CHECK(memcmp(fake_contents(0) + i * LEN, buf, LEN) == 0);
	ATF_CHECK_EQ(fake_memory_used(), 0);
	nbd_close(h);
	fake_stop();
}

ATF_TC_WITHOUT_HEAD(socket_path);
ATF_TC_BODY(socket_path, tc)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SOCK };
	struct nbd_server *other;
	char err[200], longname[200];
	struct stat st;
	int fd;

	/* What a killed server leaves behind is no obstacle. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ATF_REQUIRE(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	close(fd);
	start();
	ATF_CHECK(stat(SOCK, &st) == 0 && (st.st_mode & 0777) == 0600);

	other = nbd_start(SOCK, err, sizeof(err));
	ATF_CHECK(other == NULL);
	ATF_CHECK_MSG(strstr(err, SOCK) != NULL &&
	    strstr(err, strerror(EADDRINUSE)) != NULL, "%s", err);
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	ATF_CHECK(nbd_start(longname, err, sizeof(err)) == NULL);
	ATF_CHECK(nbd_start("no/such/folder/s", err, sizeof(err)) == NULL);

	fd = open("precious", O_CREAT | O_WRONLY, 0600);
	close(fd);
	ATF_CHECK(nbd_start("precious", err, sizeof(err)) == NULL);
	ATF_CHECK(access("precious", F_OK) == 0);
	finish();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, lists_disks);
	ATF_TP_ADD_TC(tp, describes_disks);
	ATF_TP_ADD_TC(tp, unknown_disk);
	ATF_TP_ADD_TC(tp, reads_what_was_written);
	ATF_TP_ADD_TC(tp, many_in_flight);
	ATF_TP_ADD_TC(tp, flush_fua_trim);
	ATF_TP_ADD_TC(tp, fua_fails);
	ATF_TP_ADD_TC(tp, disk_errors);
	ATF_TP_ADD_TC(tp, refuses);
	ATF_TP_ADD_TC(tp, short_of_memory);
	ATF_TP_ADD_TC(tp, stop_drains);
	ATF_TP_ADD_TC(tp, socket_path);
	return (atf_no_error());
}
