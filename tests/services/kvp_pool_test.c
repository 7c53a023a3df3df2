/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The files of hv_kvp_daemon(8)'s pools: what was stored stays, whichever call
 * fails, the process is killed in or the power goes at; what others do to a
 * file; what was damaged.  The layout as literals, not by the daemon's names.
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <atf-c.h>

#include "fake_fs.h"
#include "hvd.h"
#include "hv_kvp_daemon.h"

static struct kvp_pools pools;
static struct hv_kvp_dev_msg km;
static unsigned complaints;

void
hvd_log(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	complaints += priority <= LOG_WARNING;
}

static void
open_pools(void)
{
	int fd;

	(void)mkdir("pools", 0700);
	fd = open("pools", O_RDONLY | O_DIRECTORY);
	ATF_REQUIRE(fd >= 0);
	kvp_pools_open(&pools, fd);
}

/* As after a restart. */
static void
reopen(void)
{

	kvp_pools_close(&pools);
	open_pools();
}

static uint32_t
order(uint32_t op, const char *key, const char *value)
{

	memset(&km, 0, sizeof(km));
	km.km_op = op;
	km.km_pool = 0;
	strcpy(km.km_kv.kv_key, key);
	strcpy(km.km_kv.kv_value, value);
	return (kvp_pool_do(&pools, &km));
}

static uint32_t
set(const char *key, const char *value)
{

	return (order(HV_KVP_DEV_SET, key, value));
}

static uint32_t
erase(const char *key)
{

	return (order(HV_KVP_DEV_DELETE, key, ""));
}

/* The value, or NULL. */
static const char *
get(const char *key)
{

	return (order(HV_KVP_DEV_GET, key, "") == HV_KVP_DEV_OK ?
	    km.km_kv.kv_value : NULL);
}

static unsigned
count(void)
{
	uint32_t status;
	unsigned n;

	for (n = 0;; n++) {
		memset(&km, 0, sizeof(km));
		km.km_op = HV_KVP_DEV_ENUMERATE;
		km.km_kv.kv_index = n;
		status = kvp_pool_do(&pools, &km);
		if (status != HV_KVP_DEV_OK)
			break;
	}
	ATF_CHECK_EQ(HV_KVP_DEV_NOTFOUND, status);
	return (n);
}

/* A record in the file, made by hand. */
static void
put(const char *file, off_t ofs, const char *key, const char *value)
{
	static char rec[2561];		/* room for an end that is too late */
	char path[64];
	int fd;

	memset(rec, 0, sizeof(rec));
	strcpy(rec, key);
	strcpy(rec + 512, value);
	snprintf(path, sizeof(path), "pools/%s", file);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, lseek(fd, ofs, SEEK_SET) - ofs);
	ATF_REQUIRE_EQ(2560, write(fd, rec, 2560));
	close(fd);
}

static off_t
size_of(const char *file)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "pools/%s", file);
	return (stat(path, &st) == 0 ? st.st_size : -1);
}

ATF_TC_WITHOUT_HEAD(format);
ATF_TC_BODY(format, tc)
{
	static char rec[2560];
	int fd;

	open_pools();
	ATF_CHECK_EQ(-1, size_of(".kvp_pool_0"));
	ATF_CHECK_EQ(0, count());
	ATF_CHECK_EQ(0, set("first", "1"));
	ATF_CHECK_EQ(0, set("second", "2"));
	ATF_CHECK_EQ(5120, size_of(".kvp_pool_0"));
	fd = open("pools/.kvp_pool_0", O_RDONLY);
	ATF_REQUIRE_EQ(sizeof(rec), read(fd, rec, sizeof(rec)));
	ATF_CHECK_STREQ("first", rec);
	ATF_CHECK_STREQ("1", rec + 512);
	ATF_REQUIRE_EQ(sizeof(rec), read(fd, rec, sizeof(rec)));
	ATF_CHECK_STREQ("second", rec);
	ATF_CHECK_STREQ("2", rec + 512);
	close(fd);
	ATF_CHECK_EQ(-1, size_of(".kvp_pool_1"));
	ATF_CHECK_EQ(0, erase("first"));
	ATF_CHECK_EQ(HV_KVP_DEV_NOTFOUND, erase("first"));
	ATF_CHECK_EQ(2560, size_of(".kvp_pool_0"));
	ATF_CHECK_EQ(0, complaints);
	kvp_pools_close(&pools);
}

/* What other programs write is seen, and kept. */
ATF_TC_WITHOUT_HEAD(others);
ATF_TC_BODY(others, tc)
{

	open_pools();
	put(".kvp_pool_0", 0, "theirs", "1");
	ATF_CHECK_STREQ("1", get("theirs"));
	ATF_CHECK_EQ(0, set("ours", "2"));
	put(".kvp_pool_0", 5120, "theirs too", "3");
	ATF_CHECK_EQ(3, count());
	ATF_CHECK_EQ(0, set("ours", "4"));
	ATF_CHECK_STREQ("1", get("theirs"));
	ATF_CHECK_STREQ("4", get("ours"));
	ATF_CHECK_STREQ("3", get("theirs too"));
	put("new", 0, "other", "5");
	ATF_REQUIRE_EQ(0, rename("pools/new", "pools/.kvp_pool_0"));
	ATF_CHECK(get("ours") == NULL);
	ATF_CHECK_STREQ("5", get("other"));
	ATF_REQUIRE_EQ(0, unlink("pools/.kvp_pool_0"));
	ATF_CHECK_EQ(0, count());
	ATF_CHECK_EQ(0, set("again", "6"));
	ATF_CHECK_STREQ("6", get("again"));
	ATF_CHECK_EQ(0, complaints);
	kvp_pools_close(&pools);
}

/* A file that another program has locked is waited for, but not for ever. */
ATF_TC_WITHOUT_HEAD(locked);
ATF_TC_BODY(locked, tc)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd, fds[2];
	pid_t pid;
	char c;

	open_pools();
	ATF_CHECK_EQ(0, set("key", "1"));
	ATF_REQUIRE_EQ(0, pipe(fds));
	pid = fork();
	if (pid == 0) {
		fd = open("pools/.kvp_pool_0", O_RDWR);
		if (fcntl(fd, F_SETLKW, &fl) != 0 || write(fds[1], "", 1) != 1)
			_exit(1);
		sleep(60);
		_exit(0);
	}
	ATF_REQUIRE_EQ(1, read(fds[0], &c, 1));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set("key", "2"));
	ATF_CHECK_STREQ("1", get("key"));
	kill(pid, SIGKILL);
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	ATF_CHECK_EQ(0, set("key", "2"));
	ATF_CHECK_STREQ("2", get("key"));
	kvp_pools_close(&pools);
}

static void
check_repaired(off_t size, unsigned records)
{

	ATF_CHECK_EQ(records, count());
	ATF_CHECK_EQ(records * 2560, size_of(".kvp_pool_0"));
	ATF_CHECK_EQ(size, size_of(".kvp_pool_0.damaged"));
	ATF_CHECK_EQ(1, complaints);
	ATF_CHECK_EQ(0, set("new", "value"));
	ATF_CHECK_STREQ("value", get("new"));
	ATF_CHECK_EQ(1, complaints);
	complaints = 0;
	ATF_REQUIRE_EQ(0, unlink("pools/.kvp_pool_0"));
}

ATF_TC_WITHOUT_HEAD(damaged);
ATF_TC_BODY(damaged, tc)
{
	static char bad[2561];

	open_pools();
	put(".kvp_pool_0", 0, "good", "1");
	ATF_REQUIRE_EQ(0, truncate("pools/.kvp_pool_0", 2560 + 77));
	check_repaired(2560 + 77, 1);
	put(".kvp_pool_0", 0, "good", "1");
	ATF_REQUIRE_EQ(0, truncate("pools/.kvp_pool_0", 2000));
	check_repaired(2000, 0);
	/* Neither key nor value ends; an empty key; the same key twice. */
	put(".kvp_pool_0", 2560, "good", "1");
	memset(bad, 'x', 2048);
	put(".kvp_pool_0", 5120, "bad", bad);
	put(".kvp_pool_0", 7680, "good", "2");
	put(".kvp_pool_0", 10240, "last", "3");
	check_repaired(12800, 2);
	kvp_pools_close(&pools);
}

/* What is no file of records at all is left alone. */
ATF_TC_WITHOUT_HEAD(refused);
ATF_TC_BODY(refused, tc)
{

	open_pools();
	put("precious", 0, "precious", "1");
	ATF_REQUIRE_EQ(0, symlink("precious", "pools/.kvp_pool_0"));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set("key", "value"));
	ATF_CHECK(get("precious") == NULL);
	ATF_CHECK_EQ(2560, size_of("precious"));
	ATF_CHECK(complaints > 0);
	ATF_REQUIRE_EQ(0, unlink("pools/.kvp_pool_0"));
	ATF_REQUIRE_EQ(0, mkfifo("pools/.kvp_pool_0", 0644));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set("key", "value"));
	ATF_REQUIRE_EQ(0, unlink("pools/.kvp_pool_0"));
	ATF_REQUIRE_EQ(0, mkdir("pools/.kvp_pool_0", 0755));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set("key", "value"));
	ATF_REQUIRE_EQ(0, rmdir("pools/.kvp_pool_0"));
	put(".kvp_pool_0", 0, "key", "value");
	ATF_REQUIRE_EQ(0, truncate("pools/.kvp_pool_0", 1LL << 40));
	ATF_CHECK_EQ(HV_KVP_DEV_FAILED, set("key", "value"));
	ATF_CHECK_EQ(1LL << 40, size_of(".kvp_pool_0"));
	/* The others are not concerned. */
	memset(&km, 0, sizeof(km));
	km.km_op = HV_KVP_DEV_SET;
	km.km_pool = 3;
	strcpy(km.km_kv.kv_key, "key");
	ATF_CHECK_EQ(HV_KVP_DEV_OK, kvp_pool_do(&pools, &km));
	kvp_pools_close(&pools);
}

ATF_TC_WITHOUT_HEAD(nonsense);
ATF_TC_BODY(nonsense, tc)
{

	open_pools();
	ATF_CHECK_EQ(HV_KVP_DEV_INVALID, set("", "value"));
	memset(&km, 0, sizeof(km));
	km.km_op = HV_KVP_DEV_SET;
	km.km_pool = 5;
	km.km_kv.kv_key[0] = 'k';
	ATF_CHECK_EQ(HV_KVP_DEV_INVALID, kvp_pool_do(&pools, &km));
	km.km_pool = 0;
	km.km_op = 77;
	ATF_CHECK_EQ(HV_KVP_DEV_UNSUPPORTED, kvp_pool_do(&pools, &km));
	km.km_op = HV_KVP_DEV_SET;
	memset(km.km_kv.kv_key, 'k', sizeof(km.km_kv.kv_key));
	ATF_CHECK_EQ(HV_KVP_DEV_INVALID, kvp_pool_do(&pools, &km));
	km.km_kv.kv_key[1] = '\0';
	memset(km.km_kv.kv_value, 'v', sizeof(km.km_kv.kv_value));
	ATF_CHECK_EQ(HV_KVP_DEV_INVALID, kvp_pool_do(&pools, &km));
	ATF_CHECK_EQ(0, count());
	kvp_pools_close(&pools);
}

ATF_TC_WITHOUT_HEAD(too_many);
ATF_TC_BODY(too_many, tc)
{
	char key[16];
	unsigned i;

	open_pools();
	for (i = 0; i < 4096; i++) {
		snprintf(key, sizeof(key), "%u", i);
		put(".kvp_pool_0", i * 2560, key, "v");
	}
	ATF_CHECK_EQ(HV_KVP_DEV_FULL, set("one more", "v"));
	ATF_CHECK_EQ(4096, count());
	ATF_CHECK_EQ(0, erase("17"));
	ATF_CHECK_EQ(0, set("one more", "v"));
	kvp_pools_close(&pools);
}

/* A value that changes is written behind the old one, which goes later. */
ATF_TC_WITHOUT_HEAD(changes);
ATF_TC_BODY(changes, tc)
{
	char value[16];
	unsigned i;

	open_pools();
	ATF_CHECK_EQ(0, set("one", "1"));
	ATF_CHECK_EQ(0, set("two", "2"));
	ATF_CHECK_EQ(0, set("one", "11"));
	ATF_CHECK_STREQ("11", get("one"));
	ATF_CHECK_EQ(7680, size_of(".kvp_pool_0"));
	/* As it is, it is no damaged file. */
	reopen();
	ATF_CHECK_STREQ("11", get("one"));
	ATF_CHECK_STREQ("2", get("two"));
	ATF_CHECK_EQ(2, count());
	ATF_CHECK(kvp_pools_unsynced(&pools));
	kvp_pools_sync(&pools);
	ATF_CHECK(!kvp_pools_unsynced(&pools));
	ATF_CHECK_EQ(5120, size_of(".kvp_pool_0"));
	ATF_CHECK_STREQ("11", get("one"));
	/* The same again is no change. */
	ATF_CHECK_EQ(0, set("one", "11"));
	ATF_CHECK_EQ(5120, size_of(".kvp_pool_0"));
	/* Deleted, the old one does not come back. */
	ATF_CHECK_EQ(0, set("one", "111"));
	ATF_CHECK_EQ(0, erase("one"));
	reopen();
	ATF_CHECK(get("one") == NULL);
	/* The file does not grow for ever. */
	for (i = 0; i < 1000; i++) {
		snprintf(value, sizeof(value), "%u", i);
		ATF_CHECK_EQ(0, set("two", value));
		ATF_CHECK(size_of(".kvp_pool_0") <= 68 * 2560);
	}
	ATF_CHECK_STREQ("999", get("two"));
	ATF_CHECK_EQ(0, complaints);
	kvp_pools_close(&pools);
}

/* What is left of old values cannot be removed: said once, and tried anew. */
ATF_TC_WITHOUT_HEAD(stuck);
ATF_TC_BODY(stuck, tc)
{

	open_pools();
	ATF_CHECK_EQ(0, set("key", "1"));
	ATF_CHECK_EQ(0, set("key", "2"));
	fake_fs_arm(FAKE_FS_ERROR, 1, ENOSPC, true);
	kvp_pools_sync(&pools);
	ATF_CHECK_EQ(1, complaints);
	ATF_CHECK(!kvp_pools_unsynced(&pools));
	kvp_pools_sync(&pools);
	ATF_CHECK_EQ(1, complaints);
	fake_fs_arm(FAKE_FS_NONE, 0, 0, false);
	ATF_CHECK_STREQ("2", get("key"));
	ATF_CHECK_EQ(0, set("key", "3"));
	ATF_CHECK(kvp_pools_unsynced(&pools));
	kvp_pools_sync(&pools);
	ATF_CHECK_EQ(2560, size_of(".kvp_pool_0"));
	ATF_CHECK_STREQ("3", get("key"));
	kvp_pools_close(&pools);
}

/* Keys in quick succession: synced together, and the last soon. */
ATF_TC_WITHOUT_HEAD(burst);
ATF_TC_BODY(burst, tc)
{
	char key[16];
	unsigned i, before;

	open_pools();
	ATF_CHECK_EQ(0, set("first", "v"));
	usleep(150000);
	before = fake_fs_syncs();
	ATF_CHECK_EQ(0, set("alone", "v"));
	ATF_CHECK(!kvp_pools_unsynced(&pools));
	ATF_CHECK(fake_fs_syncs() > before);
	usleep(150000);
	before = fake_fs_syncs();
	for (i = 0; i < 320; i++) {
		snprintf(key, sizeof(key), "%u", i);
		ATF_CHECK_EQ(0, set(key, "v"));
	}
	ATF_CHECK(fake_fs_syncs() - before >= 10);
	ATF_CHECK(kvp_pools_unsynced(&pools));
	kvp_pools_sync(&pools);
	ATF_CHECK(!kvp_pools_unsynced(&pools));
	kvp_pools_close(&pools);
}

/* --- Whatever fails, wherever --- */

#define	KEYS	8

/* What the disk must have; shared with a process that may end at any time. */
static struct state {
	char	value[KEYS][8];		/* empty: no such key */
	int	pending;		/* the key that is being changed, -1 */
	char	wanted[8];
} *state;

static void
key_name(int k, char name[8])
{

	snprintf(name, 8, "key%d", k);
}

static bool power_goes;

/*
 * One change, and what is known of it when it is over: what was answered
 * survives the process, and what was synced the power.
 */
static uint32_t
change(int k, const char *value)
{
	uint32_t status;
	char key[8];

	key_name(k, key);
	strcpy(state->wanted, value);
	state->pending = k;
	status = value[0] != '\0' ? set(key, value) : erase(key);
	if (status == 0 && power_goes)
		kvp_pools_sync(&pools);
	if (status == 0) {
		strcpy(state->value[k], value);
		state->pending = -1;
		kvp_pools_sync(&pools);
	}
	return (status);
}

static const struct {
	int		 key;
	const char	*value;
} story[] = {
	{ 0, "a" }, { 1, "b" }, { 2, "c" }, { 3, "d" }, { 1, "bb" }, { 0, "" },
	{ 4, "e" }, { 5, "f" }, { 4, "ee" }, { 2, "" }, { 6, "g" }, { 0, "aa" },
};

/* Everything is as it was, but for the change that was under way. */
static void
check_state(unsigned n)
{
	const char *value;
	char key[8];
	unsigned there;
	int k;

	there = 0;
	for (k = 0; k < KEYS; k++) {
		key_name(k, key);
		value = get(key);
		if (value == NULL)
			value = "";
		else
			there++;
		if (k == state->pending && strcmp(value, state->wanted) == 0)
			continue;
		ATF_CHECK_MSG(strcmp(value, state->value[k]) == 0,
		    "fault %u: %s is \"%s\", not \"%s\"", n, key, value,
		    state->value[k]);
	}
	ATF_CHECK_EQ(there, count());
}

/* What failed may be done nevertheless, but is not undone later. */
static void
settle(void)
{
	const char *value;
	char key[8];

	key_name(state->pending, key);
	value = get(key);
	strcpy(state->value[state->pending], value != NULL ? value : "");
	state->pending = -1;
}

static void
new_state(void)
{

	if (state == NULL)
		state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ATF_REQUIRE(state != MAP_FAILED);
	memset(state, 0, sizeof(*state));
	state->pending = -1;
	(void)unlink("pools/.kvp_pool_0");
	(void)unlink("pools/.kvp_pool_0.new");
	(void)unlink("pools/.kvp_pool_0.damaged");
}

/* A process that lives the story and ends in the n-th call; false: it lives. */
static bool
ends_at(enum fake_fs_fault fault, unsigned n)
{
	unsigned i;
	int status;
	pid_t pid;

	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		open_pools();
		fake_fs_arm(fault, n, 0, false);
		for (i = 0; i < sizeof(story) / sizeof(story[0]); i++)
			if (change(story[i].key, story[i].value) != 0)
				_exit(1);
		_exit(0);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE(WIFEXITED(status));
	if (WEXITSTATUS(status) == 0)
		return (false);
	ATF_REQUIRE_EQ(FAKE_FS_ENDED, WEXITSTATUS(status));
	return (true);
}

static void
end_everywhere(enum fake_fs_fault fault)
{
	unsigned n;

	open_pools();
	power_goes = fault == FAKE_FS_POWER;
	for (n = 1;; n++) {
		new_state();
		if (!ends_at(fault, n))
			break;
		reopen();
		check_state(n);
		/* And it goes on. */
		state->pending = -1;
		ATF_CHECK_EQ(0, set("key7", "h"));
		ATF_CHECK_STREQ("h", get("key7"));
	}
	printf("%u places\n", n - 1);
	ATF_CHECK(n > 30);
	kvp_pools_close(&pools);
}

ATF_TC_WITHOUT_HEAD(killed);
ATF_TC_BODY(killed, tc)
{

	end_everywhere(FAKE_FS_KILL);
}

ATF_TC_WITHOUT_HEAD(power);
ATF_TC_BODY(power, tc)
{

	end_everywhere(FAKE_FS_POWER);
}

static void
fail_everywhere(enum fake_fs_fault fault, int error, bool always)
{
	unsigned i, n, struck;
	uint32_t status;

	open_pools();
	for (n = 1;; n++) {
		new_state();
		reopen();
		fake_fs_arm(fault, n, error, always);
		for (i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
			status = change(story[i].key, story[i].value);
			/* A key that never came cannot be deleted. */
			if (status == 0 || status == HV_KVP_DEV_NOTFOUND)
				continue;
			ATF_CHECK_EQ(error == ENOSPC ? HV_KVP_DEV_FULL :
			    HV_KVP_DEV_FAILED, status);
			check_state(n);
			settle();
		}
		struck = fake_fs_struck();
		fake_fs_arm(FAKE_FS_NONE, 0, 0, false);
		reopen();
		check_state(n);
		ATF_CHECK_EQ(0, set("key7", "h"));
		if (struck == 0)
			break;
	}
	printf("%u places\n", n - 1);
	ATF_CHECK(n > 30);
	kvp_pools_close(&pools);
}

ATF_TC_WITHOUT_HEAD(disk_full);
ATF_TC_BODY(disk_full, tc)
{

	fail_everywhere(FAKE_FS_ERROR, ENOSPC, false);
	fail_everywhere(FAKE_FS_ERROR, ENOSPC, true);
	fail_everywhere(FAKE_FS_SHORT, ENOSPC, true);
}

ATF_TC_WITHOUT_HEAD(disk_errors);
ATF_TC_BODY(disk_errors, tc)
{

	fail_everywhere(FAKE_FS_ERROR, EIO, false);
	fail_everywhere(FAKE_FS_ERROR, EIO, true);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, format);
	ATF_TP_ADD_TC(tp, others);
	ATF_TP_ADD_TC(tp, locked);
	ATF_TP_ADD_TC(tp, damaged);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, too_many);
	ATF_TP_ADD_TC(tp, changes);
	ATF_TP_ADD_TC(tp, stuck);
	ATF_TP_ADD_TC(tp, burst);
	ATF_TP_ADD_TC(tp, killed);
	ATF_TP_ADD_TC(tp, power);
	ATF_TP_ADD_TC(tp, disk_full);
	ATF_TP_ADD_TC(tp, disk_errors);
	return (atf_no_error());
}
