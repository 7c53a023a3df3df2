/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Pools: a file each, .kvp_pool_N, of records of fixed size that other programs
 * know as well.
 *
 * What is set is written behind the other records: until it is complete the
 * file's size is no multiple of a record, or the key no text, and the next to
 * read it drops that record, and only that.  If there was such a key, of two
 * records the last counts; soon after, the file is written anew without the
 * first.  That, and what is left when a key is deleted, goes to a new file,
 * which is synced, and renamed over the old one.  When something fails half-way
 * the old records are still there.
 *
 * What has been answered stays if the daemon dies; and if the system does, too,
 * for it has been synced.  Only of keys that come in quick succession not each
 * waits for the disk: a few at a time are synced together, and the last when no
 * more come.
 *
 * Another program may change a file: it is looked at before each request, and
 * locked as those programs do, fcntl(2), while it is changed.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "hvd.h"
#include "hv_kvp_daemon.h"

#define	RECORD		sizeof(struct kvp_record)
#define	NAME_MAX_LEN	32

/* Keys that come sooner than this, and how many are synced together. */
#define	BURST_MS	100
#define	BURST_KEYS	32

/* So many records that count no more are always put up with. */
#define	STALE_MAX	64

static void
pool_name(const struct kvp_pools *ps, const struct kvp_pool *kp,
    const char *suffix, char name[NAME_MAX_LEN])
{

	snprintf(name, NAME_MAX_LEN, ".kvp_pool_%d%s",
	    (int)(kp - ps->ks_pool), suffix);
}

static uint32_t
failure(int error)
{

	return (error == ENOSPC || error == EDQUOT || error == EFBIG ?
	    HV_KVP_DEV_FULL : HV_KVP_DEV_FAILED);
}

/* All of it, or an errno. */
static int
write_all(int fd, const void *buf, size_t len, off_t ofs)
{
	const char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, ofs);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (n < 0 ? errno : EIO);
		p += n;
		len -= (size_t)n;
		ofs += n;
	}
	return (0);
}

/* How much there is of it, up to len; or -1. */
static ssize_t
read_all(int fd, void *buf, size_t len)
{
	char *p = buf;
	size_t got;
	ssize_t n;

	for (got = 0; got < len; got += (size_t)n) {
		n = pread(fd, p + got, len - got, (off_t)got);
		if (n < 0 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n < 0)
			return (-1);
		if (n == 0)
			break;
	}
	return ((ssize_t)got);
}

/* Others hold the lock for as long as they write a record: a second is much. */
static int
lock_file(int fd)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int i;

	for (i = 0; fcntl(fd, F_SETLK, &fl) != 0; i++) {
		if ((errno != EAGAIN && errno != EACCES) || i == 100)
			return (errno);
		nanosleep(&pause, NULL);
	}
	return (0);
}

/* --- Reading --- */

static size_t
find(const struct kvp_pool *kp, size_t n, const char *key)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(kp->kp_rec[i].kr_key, key) == 0)
			break;
	return (i);
}

static int
make_room(struct kvp_pool *kp, size_t n)
{
	struct kvp_record *rec;
	size_t room;

	if (n <= kp->kp_room)
		return (0);
	room = n + n / 2 + 16;
	rec = realloc(kp->kp_rec, room * RECORD);
	if (rec == NULL)
		return (ENOMEM);
	kp->kp_rec = rec;
	kp->kp_room = room;
	return (0);
}

static bool
record_good(const struct kvp_record *kr)
{

	return (kr->kr_key[0] != '\0' &&
	    memchr(kr->kr_key, '\0', sizeof(kr->kr_key)) != NULL &&
	    memchr(kr->kr_value, '\0', sizeof(kr->kr_value)) != NULL);
}

/*
 * Drops what is no record, and of two with the same key the first, whose place
 * the last one gets.  Returns how many were good.
 */
static size_t
sort_out(struct kvp_pool *kp, size_t n)
{
	size_t good, i, k;

	kp->kp_nrec = 0;
	for (good = i = 0; i < n; i++) {
		if (!record_good(&kp->kp_rec[i]))
			continue;
		good++;
		k = find(kp, kp->kp_nrec, kp->kp_rec[i].kr_key);
		if (k != i)
			kp->kp_rec[k] = kp->kp_rec[i];
		if (k == kp->kp_nrec)
			kp->kp_nrec++;
	}
	kp->kp_stale = good - kp->kp_nrec;
	return (good);
}

static bool
unchanged(const struct kvp_pool *kp, const struct stat *st)
{

	return (kp->kp_loaded && kp->kp_exists &&
	    kp->kp_stat.st_dev == st->st_dev &&
	    kp->kp_stat.st_ino == st->st_ino &&
	    kp->kp_stat.st_size == st->st_size &&
	    kp->kp_stat.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    kp->kp_stat.st_mtim.tv_nsec == st->st_mtim.tv_nsec);
}

/*
 * Writes n records to a new file and puts it in the place of the old one.
 * keep: a name for the old one, or NULL.
 */
static int
replace(struct kvp_pools *ps, struct kvp_pool *kp,
    const struct kvp_record *rec, size_t n, const char *keep)
{
	char aside[NAME_MAX_LEN], name[NAME_MAX_LEN];
	struct stat st;
	int error, fd;

	pool_name(ps, kp, "", name);
	pool_name(ps, kp, ".new", aside);
	/* One may be left over: a disk that is full may not even unlink. */
	fd = openat(ps->ks_dir, aside,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return (errno);
	error = write_all(fd, rec, n * RECORD, 0);
	if (error == 0 && (fsync(fd) != 0 || fstat(fd, &st) != 0))
		error = errno;
	(void)close(fd);
	if (error == 0 && keep != NULL) {
		(void)unlinkat(ps->ks_dir, keep, 0);
		if (linkat(ps->ks_dir, name, ps->ks_dir, keep, 0) != 0)
			hvd_log(LOG_WARNING, "%s cannot be kept as %s: %s",
			    name, keep, strerror(errno));
	}
	if (error == 0 && renameat(ps->ks_dir, aside, ps->ks_dir, name) != 0)
		error = errno;
	if (error != 0) {
		(void)unlinkat(ps->ks_dir, aside, 0);
		return (error);
	}
	kp->kp_exists = true;
	kp->kp_stat = st;
	kp->kp_unsynced = 0;
	kp->kp_stale = 0;
	if (fsync(ps->ks_dir) != 0) {
		/* The name may be the old file's again after a crash. */
		kp->kp_loaded = false;
		return (errno);
	}
	return (0);
}

/*
 * Reads the file, and repairs it if need be.  If that fails its good records
 * can still be read, but not changed.
 */
static int
load(struct kvp_pools *ps, struct kvp_pool *kp, int fd, const struct stat *st,
    bool change)
{
	char keep[NAME_MAX_LEN], name[NAME_MAX_LEN];
	size_t n;
	ssize_t got;
	int error;

	pool_name(ps, kp, "", name);
	kp->kp_loaded = false;
	if (!S_ISREG(st->st_mode) ||
	    st->st_size >= (off_t)(2 * (KVP_RECORDS_MAX + STALE_MAX) *
	    RECORD)) {
		hvd_log(LOG_ERR, "%s is no pool: refused", name);
		return (EINVAL);
	}
	n = (size_t)st->st_size / RECORD;
	error = make_room(kp, n);
	if (error != 0)
		return (error);
	got = n == 0 ? 0 : read_all(fd, kp->kp_rec, n * RECORD);
	if (got < 0) {
		error = errno;
		hvd_log(LOG_ERR, "%s: %s", name, strerror(error));
		return (error);
	}
	n = sort_out(kp, (size_t)got / RECORD);
	kp->kp_stat = *st;
	kp->kp_exists = true;
	kp->kp_loaded = true;
	if (st->st_size == (off_t)(n * RECORD))
		return (0);
	pool_name(ps, kp, ".damaged", keep);
	error = replace(ps, kp, kp->kp_rec, kp->kp_nrec, keep);
	hvd_log(LOG_WARNING, "%s was damaged: %zu records are good, of %jd "
	    "bytes%s%s", name, kp->kp_nrec, (intmax_t)st->st_size,
	    error != 0 ? "; it cannot be repaired: " : "",
	    error != 0 ? strerror(error) : "");
	if (error != 0)
		kp->kp_loaded = false;
	return (change ? error : 0);
}

/* One look: opens and locks the file, reads it if it has changed. */
static int
look_once(struct kvp_pools *ps, struct kvp_pool *kp, bool change, int *fdp)
{
	char name[NAME_MAX_LEN];
	struct stat st;
	int error, fd;

	*fdp = -1;
	pool_name(ps, kp, "", name);
	fd = openat(ps->ks_dir, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		kp->kp_nrec = kp->kp_stale = 0;
		kp->kp_loaded = true;
		kp->kp_exists = false;
		return (0);
	}
	if (fd < 0) {
		error = errno;
		hvd_log(LOG_ERR, "%s: %s", name, strerror(error));
		return (error);
	}
	error = change ? lock_file(fd) : 0;
	if (error == 0 && fstat(fd, &st) != 0)
		error = errno;
	if (error == 0 && !unchanged(kp, &st)) {
		error = load(ps, kp, fd, &st, change);
		/* Repaired: another file has the name now. */
		if (error == 0 && kp->kp_stat.st_ino != st.st_ino)
			error = EAGAIN;
	}
	if (error != 0)
		(void)close(fd);
	else
		*fdp = fd;
	return (error);
}

/*
 * Sees to it that what is known of the file is true.  If there is one, it is
 * open then, and locked if it is to be changed.
 */
static int
look(struct kvp_pools *ps, struct kvp_pool *kp, bool change, int *fdp)
{
	int error;

	error = look_once(ps, kp, change, fdp);
	if (error == EAGAIN)
		error = look_once(ps, kp, change, fdp);
	return (error);
}

/* --- Requests --- */

static uint32_t
pool_get(const struct kvp_pool *kp, struct hv_kvp_dev_kv *kv)
{
	size_t i;

	i = find(kp, kp->kp_nrec, kv->kv_key);
	if (i == kp->kp_nrec)
		return (HV_KVP_DEV_NOTFOUND);
	memcpy(kv->kv_value, kp->kp_rec[i].kr_value, sizeof(kv->kv_value));
	return (HV_KVP_DEV_OK);
}

static uint32_t
pool_enumerate(const struct kvp_pool *kp, struct hv_kvp_dev_kv *kv)
{

	if (kv->kv_index >= kp->kp_nrec)
		return (HV_KVP_DEV_NOTFOUND);
	memcpy(kv->kv_key, kp->kp_rec[kv->kv_index].kr_key,
	    sizeof(kv->kv_key));
	memcpy(kv->kv_value, kp->kp_rec[kv->kv_index].kr_value,
	    sizeof(kv->kv_value));
	return (HV_KVP_DEV_OK);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Whether this key is one of many; each has to be asked about. */
static bool
in_burst(struct kvp_pool *kp)
{
	int64_t last;

	last = kp->kp_appended;
	kp->kp_appended = now_ms();
	return (last != 0 && kp->kp_appended - last < BURST_MS &&
	    kp->kp_unsynced + 1 < BURST_KEYS);
}

/* A record behind the others of a file that is there. */
static int
append(struct kvp_pool *kp, int fd, const struct kvp_record *kr)
{
	struct stat st;
	off_t end;
	bool later;
	int error;

	end = (off_t)((kp->kp_nrec + kp->kp_stale) * RECORD);
	later = in_burst(kp);
	error = write_all(fd, kr, RECORD, end);
	if (error == 0 && ((!later && fsync(fd) != 0) || fstat(fd, &st) != 0))
		error = errno;
	kp->kp_unsynced = later ? kp->kp_unsynced + 1 : 0;
	if (error != 0) {
		/* What is left of it is dropped when the file is next read. */
		kp->kp_loaded = false;
		(void)ftruncate(fd, end);
		return (error);
	}
	kp->kp_stat = st;
	kp->kp_stuck = false;
	return (0);
}

static uint32_t
pool_set(struct kvp_pools *ps, struct kvp_pool *kp, int fd,
    const struct hv_kvp_dev_kv *kv)
{
	struct kvp_record kr;
	size_t i;
	int error;
	bool old;

	i = find(kp, kp->kp_nrec, kv->kv_key);
	old = i < kp->kp_nrec;
	if (old && strcmp(kp->kp_rec[i].kr_value, kv->kv_value) == 0)
		return (HV_KVP_DEV_OK);
	if (!old && i >= KVP_RECORDS_MAX)
		return (HV_KVP_DEV_FULL);
	if (make_room(kp, i + 1) != 0)
		return (HV_KVP_DEV_FAILED);
	memset(&kr, 0, sizeof(kr));
	strcpy(kr.kr_key, kv->kv_key);
	strcpy(kr.kr_value, kv->kv_value);
	error = fd >= 0 ? append(kp, fd, &kr) : replace(ps, kp, &kr, 1, NULL);
	if (error != 0)
		return (failure(error));
	kp->kp_rec[i] = kr;
	if (old)
		kp->kp_stale++;
	else
		kp->kp_nrec++;
	/* The host waits for this, but is seldom made to. */
	if (kp->kp_stale > kp->kp_nrec + STALE_MAX)
		(void)replace(ps, kp, kp->kp_rec, kp->kp_nrec, NULL);
	return (HV_KVP_DEV_OK);
}

static uint32_t
pool_delete(struct kvp_pools *ps, struct kvp_pool *kp,
    const struct hv_kvp_dev_kv *kv)
{
	size_t i;
	int error;

	i = find(kp, kp->kp_nrec, kv->kv_key);
	if (i == kp->kp_nrec)
		return (HV_KVP_DEV_NOTFOUND);
	memmove(&kp->kp_rec[i], &kp->kp_rec[i + 1],
	    (kp->kp_nrec - i - 1) * RECORD);
	error = replace(ps, kp, kp->kp_rec, kp->kp_nrec - 1, NULL);
	if (error != 0) {
		kp->kp_loaded = false;
		return (failure(error));
	}
	kp->kp_nrec--;
	return (HV_KVP_DEV_OK);
}

uint32_t
kvp_pool_do(struct kvp_pools *ps, struct hv_kvp_dev_msg *km)
{
	struct hv_kvp_dev_kv *kv = &km->km_kv;
	struct kvp_pool *kp;
	uint32_t status;
	int error, fd;
	bool change;

	if (km->km_pool >= HV_KVP_DEV_POOLS ||
	    memchr(kv->kv_key, '\0', sizeof(kv->kv_key)) == NULL ||
	    memchr(kv->kv_value, '\0', sizeof(kv->kv_value)) == NULL)
		return (HV_KVP_DEV_INVALID);
	change = km->km_op == HV_KVP_DEV_SET || km->km_op == HV_KVP_DEV_DELETE;
	if (kv->kv_key[0] == '\0' && km->km_op != HV_KVP_DEV_ENUMERATE)
		return (HV_KVP_DEV_INVALID);
	kp = &ps->ks_pool[km->km_pool];
	error = look(ps, kp, change, &fd);
	if (error != 0)
		return (failure(error));
	switch (km->km_op) {
	case HV_KVP_DEV_GET:
		status = pool_get(kp, kv);
		break;
	case HV_KVP_DEV_SET:
		status = pool_set(ps, kp, fd, kv);
		break;
	case HV_KVP_DEV_DELETE:
		status = pool_delete(ps, kp, kv);
		break;
	case HV_KVP_DEV_ENUMERATE:
		status = pool_enumerate(kp, kv);
		break;
	default:
		status = HV_KVP_DEV_UNSUPPORTED;
		break;
	}
	if (fd >= 0)
		(void)close(fd);
	return (status);
}

bool
kvp_pools_unsynced(const struct kvp_pools *ps)
{
	const struct kvp_pool *kp;

	for (kp = ps->ks_pool; kp < ps->ks_pool + HV_KVP_DEV_POOLS; kp++)
		if (kp->kp_unsynced > 0 ||
		    (kp->kp_stale > 0 && !kp->kp_stuck))
			return (true);
	return (false);
}

/* Once, until there is something new: a disk that is full stays so. */
static void
pool_sync(struct kvp_pools *ps, struct kvp_pool *kp)
{
	char name[NAME_MAX_LEN];
	int error, fd;

	kp->kp_unsynced = 0;
	kp->kp_stuck = true;
	error = look(ps, kp, true, &fd);
	if (error == 0 && kp->kp_stale > 0)
		error = replace(ps, kp, kp->kp_rec, kp->kp_nrec, NULL);
	else if (error == 0 && fd >= 0 && fsync(fd) != 0)
		error = errno;
	if (fd >= 0)
		(void)close(fd);
	if (error != 0) {
		pool_name(ps, kp, "", name);
		hvd_log(LOG_ERR, "%s cannot be synced: %s", name,
		    strerror(error));
	}
}

void
kvp_pools_sync(struct kvp_pools *ps)
{
	struct kvp_pool *kp;

	for (kp = ps->ks_pool; kp < ps->ks_pool + HV_KVP_DEV_POOLS; kp++)
		if (kp->kp_unsynced > 0 ||
		    (kp->kp_stale > 0 && !kp->kp_stuck))
			pool_sync(ps, kp);
}

void
kvp_pools_open(struct kvp_pools *ps, int dirfd)
{

	memset(ps, 0, sizeof(*ps));
	ps->ks_dir = dirfd;
}

void
kvp_pools_close(struct kvp_pools *ps)
{
	unsigned i;

	for (i = 0; i < HV_KVP_DEV_POOLS; i++)
		free(ps->ks_pool[i].kp_rec);
	(void)close(ps->ks_dir);
}
