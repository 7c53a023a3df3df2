/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value pairs in the guest, all that a stranger may have written: a host's
 * messages in memory of exactly their size, a daemon's answers, messages to the
 * daemon, and the file of a pool.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_kernel.h"
#include "hvd.h"
#include "hv_kvp_daemon.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kvp_pools pools;
static int dir = -1;
/* Where syncing costs nothing. */
static char folder[] = "/dev/shm/fuzz_kvp.XXXXXX";

void
hvd_log(int priority, const char *fmt, ...)
{

	(void)priority;
	(void)fmt;
}

static void
fail(const char *what)
{

	fprintf(stderr, "%s\n", what);
	abort();
}

/* A message: shorter ones repeat themselves up to what the host must write. */
static void
driver(const uint8_t *data, size_t size)
{
	const char *error;
	size_t len, n;
	uint8_t *body;

	len = (data[0] | data[1] << 8) % 7500;
	data += 2;
	size -= 2;
	body = malloc(len);
	if (body == NULL)
		return;
	memset(body, 0, len);
	n = size < len ? size : len;
	memcpy(body, data, n);
	/* Text is far behind the header: put some there. */
	if (len > 600 && size > 20)
		memcpy(body + 528, data + 16, size - 16 < len - 528 ?
		    size - 16 : len - 528);
	error = ktest_fuzz_kvp(body, (unsigned)len, data, (unsigned)size);
	free(body);
	if (error != NULL)
		fail(error);
}

static void
remove_pools(void)
{
	static const char *const names[] = {
		".kvp_pool_0", ".kvp_pool_3", ".kvp_pool_0.damaged",
		".kvp_pool_3.damaged",
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(dir, names[i], 0);
	(void)rmdir(folder);
}

static void
open_pools(void)
{
	int fd;

	if (dir < 0) {
		if (mkdtemp(folder) == NULL)
			fail("no folder");
		(void)atexit(remove_pools);
		dir = open(folder, O_RDONLY | O_DIRECTORY);
		if (dir < 0)
			fail("no folder");
	}
	fd = dup(dir);
	kvp_pools_open(&pools, fd);
}

/* The file as it was found, then messages of which a byte says more or less. */
static void
daemon_pools(const uint8_t *data, size_t size)
{
	static struct hv_kvp_dev_msg km;
	struct stat st;
	size_t cut, n;
	int fd;

	cut = data[0] * size / 256;
	data++;
	size--;
	open_pools();
	fd = openat(dir, ".kvp_pool_0", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	for (n = 0; n < cut && n < size; n += 16) {
		const off_t ofs = (off_t)(data[n] | data[n + 1 < size ? n + 1 :
		    n] << 8) % 8192;

		if (pwrite(fd, data + n, size - n < 16 ? size - n : 16,
		    ofs) < 0)
			fail("write");
	}
	close(fd);
	for (n = cut; n + 4 < size; n += 4 + data[n] % 32) {
		memset(&km, 0, sizeof(km));
		km.km_op = data[n] % 5;
		km.km_pool = data[n + 1] % 2 * 3;
		km.km_kv.kv_index = data[n + 2] % 8;
		if (data[n + 3] == 0xff)
			memset(&km.km_kv, 0xff, sizeof(km.km_kv));
		memcpy(km.km_kv.kv_key, data + n + 3, size - n - 3 < 4 ?
		    size - n - 3 : 4);
		if (kvp_pool_do(&pools, &km) == HV_KVP_DEV_OK &&
		    (memchr(km.km_kv.kv_key, '\0', 512) == NULL ||
		    memchr(km.km_kv.kv_value, '\0', 2048) == NULL))
			fail("text without an end");
		if (km.km_op == HV_KVP_DEV_SET && km.km_pool == 0 &&
		    km.km_kv.kv_key[0] != '\0' &&
		    (fstatat(dir, ".kvp_pool_0", &st, 0) != 0 ||
		    st.st_size % 2560 != 0) && data[n + 3] != 0xff)
			fail("a file that is not whole");
	}
	kvp_pools_close(&pools);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{

	if (size < 4)
		return (0);
	if ((data[0] & 7) != 0)
		driver(data + 1, size - 1);
	else
		daemon_pools(data + 1, size - 1);
	return (0);
}
