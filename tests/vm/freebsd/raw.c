/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `raw': disks without a file system.
 *
 *	raw size DEVICE			bytes
 *	raw sector DEVICE		bytes of a sector
 *	raw ident DEVICE		serial number
 *	raw attr DEVICE NAME		GEOM's attribute as a number
 *	raw line DEVICE			text up to the first newline
 *	raw sum DEVICE [OFFSET SIZE]	SHA-256 of what is there
 *	raw write DEVICE OFFSET SIZE SEED [BLOCK]
 *	raw check DEVICE OFFSET SIZE SEED [BLOCK]
 *	raw zero DEVICE OFFSET SIZE	fails if there is anything but zeros
 *	raw delete DEVICE OFFSET SIZE	what UNMAP is to GEOM
 *	raw flush DEVICE
 *	raw hold DEVICE MILLISECONDS	keeps it open: others open it without
 *					its driver's asking for its capacity
 *
 * Requests are of BLOCK bytes, 64 KiB if not given.
 */

#include <sys/param.h>
#include <sys/disk.h>
#include <sys/errno.h>
#include <sys/ioccom.h>

#include "commands.h"
#include "lib.h"

#define	BLOCK_MAX	(4 << 20)

struct range {
	int		 fd;
	uint64_t	 offset, size, seed;
	size_t		 block;
	char		*buf;
};

static int
raw_line(int fd, char *buf)
{
	long n;
	int i;

	n = sys_pread(fd, buf, 4096, 0);
	if (n < 0)
		return ((int)-n);
	for (i = 0; i < n && buf[i] >= ' ' && buf[i] <= '~';)
		i++;
	out(buf, (size_t)i);
	print("\n");
	return (0);
}

static int
raw_attribute(int fd, const char *name)
{
	struct diocgattr_arg arg;
	int error;

	memset(&arg, 0, sizeof(arg));
	(void)copy_string(arg.name, name, sizeof(arg.name));
	arg.len = sizeof(arg.value.i);
	error = -sys_ioctl(fd, DIOCGATTR, &arg);
	if (error == 0)
		print("%d\n", arg.value.i);
	return (error);
}

static int
part_write(const struct range *r, uint64_t at, size_t part)
{

	pattern_fill(r->buf, part, r->seed, at);
	return (write_all(r->fd, r->buf, part, (off_t)at));
}

static int
part_check(const struct range *r, uint64_t at, size_t part)
{
	const uint64_t *found;
	ssize_t differs;
	int error;

	error = read_all(r->fd, r->buf, part, (off_t)at);
	if (error != 0)
		return (error);
	differs = pattern_check(r->buf, part, r->seed, at);
	if (differs < 0)
		return (0);
	found = (const void *)(r->buf + differs);
	print("other bytes at %ju: 0x%jx\n", (uintmax_t)at +
	    (uintmax_t)differs, (uintmax_t)*found);
	return (EILSEQ);
}

static int
part_zero(const struct range *r, uint64_t at, size_t part)
{
	size_t i;
	int error;

	error = read_all(r->fd, r->buf, part, (off_t)at);
	for (i = 0; error == 0 && i < part; i++)
		if (r->buf[i] != 0) {
			print("no zero at %ju\n", (uintmax_t)(at + i));
			error = EILSEQ;
		}
	return (error);
}

static int
each_part(const struct range *r,
    int (*part_do)(const struct range *, uint64_t, size_t))
{
	uint64_t done;
	size_t part;
	int error = 0;

	for (done = 0; done < r->size && error == 0; done += part) {
		part = MIN(r->size - done, r->block);
		error = part_do(r, r->offset + done, part);
	}
	return (error);
}

static int
raw_sum(const struct range *r)
{
	struct sha256 s;
	uint64_t done;
	size_t part;
	int error;

	sha256_init(&s);
	for (done = 0; done < r->size; done += part) {
		part = MIN(r->size - done, r->block);
		error = read_all(r->fd, r->buf, part,
		    (off_t)(r->offset + done));
		if (error != 0)
			return (error);
		sha256_update(&s, r->buf, part);
	}
	sha256_print(&s);
	return (0);
}

static int
raw_delete(const struct range *r)
{
	off_t what[2] = { (off_t)r->offset, (off_t)r->size };

	return (-sys_ioctl(r->fd, DIOCGDELETE, what));
}

static int
raw_simple(int fd, const char *verb, int argc, char **argv, char *buf)
{
	char ident[DISK_IDENT_SIZE];
	off_t size;
	unsigned sector;
	int error;

	if (strcmp(verb, "size") == 0) {
		error = -sys_ioctl(fd, DIOCGMEDIASIZE, &size);
		if (error == 0)
			print("%jd\n", (intmax_t)size);
		return (error);
	}
	if (strcmp(verb, "sector") == 0) {
		error = -sys_ioctl(fd, DIOCGSECTORSIZE, &sector);
		if (error == 0)
			print("%u\n", sector);
		return (error);
	}
	if (strcmp(verb, "ident") == 0) {
		error = -sys_ioctl(fd, DIOCGIDENT, ident);
		if (error == 0)
			print("%s\n", ident);
		return (error);
	}
	if (strcmp(verb, "flush") == 0)
		return (-sys_ioctl(fd, DIOCGFLUSH, NULL));
	if (strcmp(verb, "line") == 0)
		return (raw_line(fd, buf));
	if (strcmp(verb, "hold") == 0) {
		sleep_ms(argument(argc, argv, 3, 1000));
		return (0);
	}
	if (strcmp(verb, "attr") == 0 && argc == 4)
		return (raw_attribute(fd, argv[3]));
	return (-1);
}

static int
raw_range(struct range *r, const char *verb, int argc, char **argv)
{
	off_t size;
	int error;

	error = -sys_ioctl(r->fd, DIOCGMEDIASIZE, &size);
	if (error != 0)
		return (error);
	r->offset = argument(argc, argv, 3, 0);
	r->size = argument(argc, argv, 4, (uint64_t)size);
	r->seed = argument(argc, argv, 5, 0);
	r->block = argument(argc, argv, 6, 64 << 10);
	if (r->block == 0 || r->block > BLOCK_MAX)
		return (EINVAL);
	if (strcmp(verb, "sum") == 0)
		return (raw_sum(r));
	if (strcmp(verb, "write") == 0)
		return (each_part(r, part_write));
	if (strcmp(verb, "check") == 0)
		return (each_part(r, part_check));
	if (strcmp(verb, "zero") == 0)
		return (each_part(r, part_zero));
	if (strcmp(verb, "delete") == 0)
		return (raw_delete(r));
	return (EINVAL);
}

/*
 * A disk cannot be opened for writing while GEOM looks anew what is on it,
 * which it does whenever a writer has closed it.
 */
static int
raw_open(const char *path, bool writes)
{
	int fd, again;

	for (again = 0; again < 100; again++) {
		fd = sys_open(path, writes ? O_RDWR : O_RDONLY, 0);
		if (fd != -EPERM)
			break;
		sleep_ms(20);
	}
	return (fd);
}

int
cmd_raw(int argc, char **argv)
{
	struct range r;
	const char *verb;
	bool writes;
	int error;

	if (argc < 3)
		return (complain(EINVAL, "raw"));
	verb = argv[1];
	writes = strcmp(verb, "write") == 0 || strcmp(verb, "delete") == 0 ||
	    strcmp(verb, "flush") == 0;
	memset(&r, 0, sizeof(r));
	r.fd = raw_open(argv[2], writes);
	if (r.fd < 0)
		return (complain(r.fd, "%s", argv[2]));
	r.buf = mem_get(BLOCK_MAX);
	error = raw_simple(r.fd, verb, argc, argv, r.buf);
	if (error < 0)
		error = raw_range(&r, verb, argc, argv);
	mem_put(r.buf, BLOCK_MAX);
	sys_close(r.fd);
	return (error == 0 ? 0 : complain(error, "raw %s %s", verb, argv[2]));
}
