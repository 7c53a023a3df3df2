/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The first process of a FreeBSD guest in the tests.  It takes commands from
 * the console: lines up to one that is a dot and a number.  They run in order
 * until one fails; what they print goes to the console, then a line
 * `@rc NUMBER STATUS': 0, or the errno of the one that failed.  (The same
 * talk as with Linux's guest_init.sh; guest.py is the other side.)  A line of
 * a plus and a number is answered at once, `@more NUMBER': the serial port's
 * driver drops what comes faster than it takes it, so that a long text has to
 * come in parts.
 *
 * The kernel's messages stay off the console meanwhile, since they would stand
 * amid the answers: `dmesg' shows them, and a panic appears all the same.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/reboot.h>

#include <termios.h>

#include "commands.h"
#include "lib.h"

#define	TEXT_MAX	(64 << 10)

void	init_main(void);

static int	cmd_do(int, char **);
static int	cmd_echo(int, char **);
static int	cmd_help(int, char **);
static int	cmd_not(int, char **);
static int	cmd_repeat(int, char **);
static int	cmd_sleep(int, char **);
static int	cmd_uptime(int, char **);
static int	cmd_within(int, char **);

/* In the order of the alphabet, a row for each. */
static const struct command {
	const char	*name;
	int		(*run)(int, char **);
	const char	*usage;
} commands[] = {
	{ "cam", cmd_cam, "list | rescan [BUS [TARGET LUN]] | reset BUS" },
	{ "clock", cmd_clock, "[set NS | ntp on | ntp off]" },
	{ "cost", cmd_cost, "clock | timer | wake TIMES" },
	{ "dev", cmd_dev, "tree [NAME] | children NAME | VERB NAME [force]" },
	{ "dhcp", cmd_dhcp, "IF [TRIES [WAIT_MS]]" },
	{ "dmesg", cmd_dmesg, "[TEXT]: lines of the kernel with it" },
	{ "do", cmd_do, "'COMMAND; COMMAND...': until one fails" },
	{ "dump", cmd_dump, "on DEVICE [gzip | zstd] | off" },
	{ "echo", cmd_echo, "WORD..." },
	{ "fcopy", cmd_fcopy, "[-r DIRECTORY]: hv_fcopy_daemon(8), for a job" },
	{ "fs", cmd_fs, "mount TYPE FROM ON [OPTION...] | umount ON | ..." },
	{ "help", cmd_help, "" },
	{ "io", cmd_io, "DEVICE read|write|rw BYTES DEPTH AMOUNT [rand|seq] "
	    "[SEED]" },
	{ "job", cmd_job, "start COMMAND | wait [N] | poll N | kill N | "
	    "show N" },
	{ "kbd", cmd_kbd, "read DEVICE BYTES SECONDS [raw] | part NAME UNIT | "
	    "join NAME UNIT" },
	{ "kenv", cmd_kenv, "[NAME [VALUE]]" },
	{ "kld", cmd_kld, "load FILE | unload NAME | find NAME | list | "
	    "rounds TIMES DISK FILE..." },
	{ "kvp", cmd_kvp, "serve | take MS | files" },
	{ "lsvmbus", cmd_lsvmbus, "[--libxo=json] [-cv] [DEVICE...]" },
	{ "net", cmd_net, "list | show IF | stats IF | up IF | down IF | ..." },
	{ "not", cmd_not, "COMMAND: succeeds if that fails" },
	{ "ping", cmd_ping, "ADDRESS [COUNT [SIZE [GAP_MS [WAIT_MS "
	    "[DONTFRAG]]]]]" },
	{ "power", cmd_power, "off | reboot | halt | dump | panic [CPU] | "
	    "obey" },
	{ "raw", cmd_raw, "size | ident | sum | write | check | ..." },
	{ "repeat", cmd_repeat, "TIMES COMMAND: until it fails" },
	{ "route", cmd_route, "add NETWORK/LENGTH ROUTER | delete "
	    "NETWORK/LENGTH" },
	{ "sleep", cmd_sleep, "MILLISECONDS" },
	{ "sysctl", cmd_sysctl, "get NAME | set NAME VALUE | tree NAME | "
	    "count NAME" },
	{ "tcp", cmd_tcp, "[serve] send | recv | give | sum ADDRESS PORT "
	    "[BYTES [SEED]]" },
	{ "tlb", cmd_tlb, "torture MS [IDLE_US] | cost TIMES" },
	{ "udp", cmd_udp, "send | recv | ping ADDRESS PORT COUNT SIZE [SEED "
	    "[MS]]" },
	{ "uptime", cmd_uptime, "in nanoseconds" },
	{ "vdso", cmd_vdso, "[read N | call N | check MS]" },
	{ "vmstat", cmd_vmstat, "malloc [TYPE] | zones [NAME]" },
	{ "vss", cmd_vss, "hv_vss_daemon(8), for a job" },
	{ "within", cmd_within, "SECONDS COMMAND: until it succeeds" },
};

int
run_command(int argc, char **argv)
{
	size_t i;

	if (argc == 0)
		return (0);
	for (i = 0; i < nitems(commands); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			return (commands[i].run(argc, argv));
	print("%s: no such command; try help\n", argv[0]);
	return (ENOENT);
}

static int
cmd_help(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < nitems(commands); i++)
		print("%s %s\n", commands[i].name, commands[i].usage);
	return (0);
}

static int
cmd_echo(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		print("%s%s", i > 1 ? " " : "", argv[i]);
	print("\n");
	return (0);
}

static int
cmd_not(int argc, char **argv)
{

	return (run_command(argc - 1, argv + 1) == 0 ? EEXIST : 0);
}

static int
cmd_repeat(int argc, char **argv)
{
	uint64_t n;
	int error = 0;

	for (n = argument(argc, argv, 1, 0); n > 0 && error == 0; n--)
		error = run_command(argc - 2, argv + 2);
	return (error);
}

static int
cmd_sleep(int argc, char **argv)
{

	sleep_ms(argument(argc, argv, 1, 1000));
	return (0);
}

static int
cmd_uptime(int argc, char **argv)
{

	print("%ju\n", (uintmax_t)uptime_ns());
	return (0);
}

/* Only the last try's output is shown. */
static int
cmd_within(int argc, char **argv)
{
	static char text[TEXT_MAX];
	uint64_t until;
	size_t used;
	int error;

	until = uptime_ns() + argument(argc, argv, 1, 10) * 1000000000;
	for (;;) {
		used = 0;
		out_redirect(text, &used, sizeof(text));
		error = run_command(argc - 2, argv + 2);
		out_redirect(NULL, NULL, 0);
		if (error == 0 || uptime_ns() >= until)
			break;
		sleep_ms(100);
	}
	out(text, used);
	return (error);
}

/* Splits a line at its blanks; "..." or '...' hold a word together. */
static int
split(char *line, char **argv)
{
	char *to, quote;
	int argc = 0;

	for (;;) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (*line == '\0' || argc == ARGS_MAX)
			break;
		argv[argc++] = to = line;
		for (quote = '\0'; *line != '\0'; line++) {
			if (quote == '\0' && (*line == ' ' || *line == '\t'))
				break;
			if (*line == quote)
				quote = '\0';
			else if (quote == '\0' &&
			    (*line == '"' || *line == '\''))
				quote = *line;
			else
				*to++ = *line;
		}
		if (*line != '\0')
			line++;
		*to = '\0';
	}
	argv[argc] = NULL;
	return (argc);
}

/* Runs the lines of a text: 0, or what the first that failed returned. */
static int
run_text(char *text)
{
	char *argv[ARGS_MAX + 1], *end;
	int error = 0;

	while (*text != '\0' && error == 0) {
		end = strchr(text, '\n');
		if (end != NULL)
			*end++ = '\0';
		else
			end = text + strlen(text);
		error = run_command(split(text, argv), argv);
		text = end;
	}
	return (error);
}

/* In a copy, for it may be repeated, and the text is taken apart. */
int
run_commands(const char *commands)
{
	char text[1024];
	size_t i;

	if (!copy_string(text, commands, sizeof(text)))
		return (complain(EINVAL, "do"));
	for (i = 0; text[i] != '\0'; i++)
		if (text[i] == ';')
			text[i] = '\n';
	return (run_text(text));
}

static int
cmd_do(int argc, char **argv)
{

	return (argc == 2 ? run_commands(argv[1]) : complain(EINVAL, "do"));
}

/* A line from the console, without its end; false: there is no more. */
static bool
read_line(char *line, size_t size)
{
	static char data[512];
	static long have, at;
	size_t n = 0;

	for (;;) {
		if (at == have) {
			have = sys_read(0, data, sizeof(data));
			at = 0;
			if (have <= 0) {
				have = 0;
				return (false);
			}
		}
		if (data[at] == '\n') {
			at++;
			line[n] = '\0';
			return (true);
		}
		if (n + 1 < size)
			line[n++] = data[at];
		at++;
	}
}

/*
 * Opens the console as files 0 to 2, raw both ways but for CR and NL.  By the
 * serial port's own name, if it has one: what is written to /dev/console would
 * be among the kernel's messages, too.
 */
static void
open_console(void)
{
	struct termios t;
	const char *path = "/dev/ttyu0";
	int fd;

	do {
		fd = sys_open(path, O_RDWR | O_NONBLOCK, 0);
		if (fd == -ENOENT)
			path = "/dev/console";
	} while (fd == -ENOENT || (fd >= 0 && fd < 2));
	for (fd = 0; fd <= 2; fd++)
		(void)sys(SYS_fcntl, fd, F_SETFL, 0, 0, 0, 0);
	if (sys_ioctl(0, TIOCGETA, &t) != 0)
		return;
	t.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
	t.c_iflag = ICRNL;
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	(void)sys_ioctl(0, TIOCSETA, &t);
}

void
init_main(void)
{
	static char text[TEXT_MAX];
	char line[4096];
	size_t used;
	int error, mute = 1;

	open_console();
	(void)sysctl_set("kern.consmute", &mute, sizeof(mute));
	print("\n@up %ju.%06ju\n", (uintmax_t)(uptime_ns() / 1000000000),
	    (uintmax_t)(uptime_ns() % 1000000000 / 1000));
	out_flush();
	for (;;) {
		for (used = 0;; used += strlen(text + used)) {
			if (!read_line(line, sizeof(line)))
				(void)sys(SYS_reboot, RB_POWEROFF, 0, 0, 0, 0,
				    0);
			if (line[0] == '.' && line[1] == ' ')
				break;
			if (line[0] == '+' && line[1] == ' ') {
				print("@more %s\n", line + 2);
				out_flush();
				continue;
			}
			format(text + used, sizeof(text) - used, "%s\n",
			    line);
		}
		error = run_text(text);
		print("\n@rc %s %d\n", line + 2, error);
		out_flush();
		text[0] = '\0';
	}
}
