/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `kbd': keyboards by their device nodes.
 *
 *	kbd read DEVICE BYTES SECONDS [raw]	what is typed, in hexadecimal
 *	kbd part NAME UNIT			kbdmux0 lets go of one
 *	kbd join NAME UNIT			and takes it again
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/kbio.h>

#include "commands.h"
#include "lib.h"

#define	MUX	"/dev/kbdmux0"

static int
read_keys(int fd, uint64_t bytes, uint64_t seconds)
{
	uint64_t end, i;
	uint8_t buf[64];
	long at, n;

	end = uptime_ns() + seconds * 1000000000;
	for (i = 0; i < bytes;) {
		n = sys_read(fd, buf, MIN(sizeof(buf), bytes - i));
		if (n == -EAGAIN && uptime_ns() < end) {
			sleep_ms(5);
			continue;
		}
		if (n == -EAGAIN)
			n = -ETIMEDOUT;
		if (n < 0)
			return (complain(n, "after %ju bytes", (uintmax_t)i));
		for (at = 0; at < n; at++)
			print("%02x", buf[at]);
		i += (uint64_t)n;
	}
	print("\n");
	return (0);
}

static int
cmd_kbd_read(int argc, char **argv)
{
	uint64_t bytes, seconds;
	bool raw;
	int error, fd;

	if (!number(argv[3], &bytes) || !number(argv[4], &seconds))
		return (EINVAL);
	raw = argc > 5 && strcmp(argv[5], "raw") == 0;
	fd = sys_open(argv[2], O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return (complain(fd, "open %s", argv[2]));
	error = 0;
	if (raw)
		error = sys_ioctl(fd, KDSKBMODE, (void *)(uintptr_t)K_RAW);
	print("open\n");
	out_flush();
	if (error == 0)
		error = read_keys(fd, bytes, seconds);
	if (raw)
		(void)sys_ioctl(fd, KDSKBMODE, (void *)(uintptr_t)K_XLATE);
	(void)sys_close(fd);
	return (error);
}

static int
cmd_kbd_mux(char **argv, unsigned long request)
{
	keyboard_info_t ki;
	uint64_t unit;
	int error, fd;

	memset(&ki, 0, sizeof(ki));
	if (!number(argv[3], &unit) ||
	    !copy_string(ki.kb_name, argv[2], sizeof(ki.kb_name)))
		return (EINVAL);
	ki.kb_unit = (int)unit;
	fd = sys_open(MUX, O_RDONLY, 0);
	if (fd < 0)
		return (complain(fd, "open %s", MUX));
	error = sys_ioctl(fd, request, &ki);
	(void)sys_close(fd);
	if (error != 0)
		return (complain(error, "%s%ju", argv[2], (uintmax_t)unit));
	return (0);
}

int
cmd_kbd(int argc, char **argv)
{

	if (argc >= 5 && strcmp(argv[1], "read") == 0)
		return (cmd_kbd_read(argc, argv));
	if (argc == 4 && strcmp(argv[1], "part") == 0)
		return (cmd_kbd_mux(argv, KBRELKBD));
	if (argc == 4 && strcmp(argv[1], "join") == 0)
		return (cmd_kbd_mux(argv, KBADDKBD));
	return (EINVAL);
}
