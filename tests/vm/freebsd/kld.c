/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `kld': the kernel's modules.
 *
 *	kld load FILE		prints its id
 *	kld unload NAME [force]	by file name ("hv_vmbus.ko")
 *	kld find NAME		prints its id
 *	kld list		files, and indented the modules within
 *	kld rounds TIMES DISK FILE...	loads them, reads the disk, unloads them
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/fcntl.h>
#include <sys/linker.h>
#include <sys/module.h>

#include "commands.h"
#include "lib.h"

/* How long a disk may take to appear after its driver was loaded. */
#define	KLD_DISK_NS	60000000000ULL

static int
kld_find(const char *name)
{

	return ((int)sys(SYS_kldfind, P(name), 0, 0, 0, 0, 0));
}

static int
kld_unload(const char *name, bool force)
{
	int id, error;

	id = kld_find(name);
	if (id < 0)
		return (complain(id, "%s", name));
	error = (int)sys(SYS_kldunloadf, id, force ? LINKER_UNLOAD_FORCE :
	    LINKER_UNLOAD_NORMAL, 0, 0, 0, 0);
	return (error == 0 ? 0 : complain(error, "unload %s", name));
}

static void
kld_modules(int file)
{
	struct module_stat st;
	int id;

	for (id = (int)sys(SYS_kldfirstmod, file, 0, 0, 0, 0, 0); id > 0;
	    id = (int)sys(SYS_modfnext, id, 0, 0, 0, 0, 0)) {
		memset(&st, 0, sizeof(st));
		st.version = (int)sizeof(st);
		if (sys(SYS_modstat, id, P(&st), 0, 0, 0, 0) == 0)
			print("  %s\n", st.name);
	}
}

static int
kld_list(void)
{
	static struct kld_file_stat st;
	int id = 0, error;

	while ((id = (int)sys(SYS_kldnext, id, 0, 0, 0, 0, 0)) > 0) {
		st.version = (int)sizeof(st);
		error = (int)sys(SYS_kldstat, id, P(&st), 0, 0, 0, 0);
		if (error != 0)
			return (complain(error, "kldstat %d", id));
		print("%s refs %d size %zu\n", st.name, st.refs, st.size);
		kld_modules(id);
	}
	return (-id);
}

/* The name under which the kernel knows a file. */
static const char *
kld_name(const char *path)
{
	const char *name = path;

	for (; *path != '\0'; path++) {
		if (*path == '/')
			name = path + 1;
	}
	return (name);
}

/* Waits for a disk and reads its first sectors: 0 or what is in the way. */
static int
kld_disk(const char *path)
{
	static char buf[4096];
	uint64_t until = uptime_ns() + KLD_DISK_NS;
	int error, fd;

	for (;;) {
		fd = sys_open(path, O_RDONLY, 0);
		if (fd >= 0)
			break;
		if (uptime_ns() >= until)
			return (complain(fd, "%s", path));
		sleep_ms(2);
	}
	error = read_all(fd, buf, sizeof(buf), 0);
	(void)sys_close(fd);
	return (error == 0 ? 0 : complain(error, "read %s", path));
}

static int
kld_round(const char *disk, int n, char **files)
{
	int error, i;

	for (i = 0; i < n; i++) {
		error = (int)sys(SYS_kldload, P(files[i]), 0, 0, 0, 0, 0);
		if (error < 0)
			return (complain(error, "load %s", files[i]));
	}
	error = kld_disk(disk);
	while (error == 0 && i-- > 0)
		error = kld_unload(kld_name(files[i]), false);
	return (error);
}

static int
kld_rounds(int argc, char **argv)
{
	uint64_t i, rounds;
	int error = 0;

	if (argc < 5 || !number(argv[2], &rounds))
		return (complain(EINVAL, "kld rounds"));
	for (i = 0; i < rounds && error == 0; i++) {
		error = kld_round(argv[3], argc - 4, argv + 4);
		if (error != 0)
			print("in round %ju\n", (uintmax_t)i);
	}
	return (error);
}

int
cmd_kld(int argc, char **argv)
{
	int id;

	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return (kld_list());
	if (argc >= 2 && strcmp(argv[1], "rounds") == 0)
		return (kld_rounds(argc, argv));
	if (argc < 3)
		return (complain(EINVAL, "kld"));
	if (strcmp(argv[1], "unload") == 0)
		return (kld_unload(argv[2], argc > 3));
	if (strcmp(argv[1], "load") == 0)
		id = (int)sys(SYS_kldload, P(argv[2]), 0, 0, 0, 0, 0);
	else if (strcmp(argv[1], "find") == 0)
		id = kld_find(argv[2]);
	else
		id = -EINVAL;
	if (id < 0)
		return (complain(id, "kld %s %s", argv[1], argv[2]));
	print("%d\n", id);
	return (0);
}
