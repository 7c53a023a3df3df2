/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * FreeBSD's kernel environment: the user's variables, and in front of them
 * those that the loader and its device.hints would set on such a machine.  The
 * user's override ours by name; of two with one name the last counts.
 *
 *	acpi.rsdp			where the ACPI tables are
 *	kernelname=/boot/kernel/kernel	kern.bootfile
 *	console=comconsole		the UART is the only console
 *	hint.uart.0.*			it is at 0x3F8, and the console (0x10)
 *	hint.atrtc.0.*			the clock that knows the date
 *	hint.attimer.0.*		the i8254, to calibrate by
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vmm/boot_freebsd.h"
#include "vmm/boot_freebsd_reg.h"

static const char *const defaults[] = {
	"kernelname=/boot/kernel/kernel",
	"console=comconsole",
	"hint.uart.0.at=isa",
	"hint.uart.0.port=0x3F8",
	"hint.uart.0.irq=4",
	"hint.uart.0.flags=0x10",
	"hint.atrtc.0.at=isa",
	"hint.atrtc.0.port=0x70",
	"hint.atrtc.0.irq=8",
	"hint.attimer.0.at=isa",
	"hint.attimer.0.port=0x40",
	"hint.attimer.0.irq=0",
};

#define	NDEFAULTS	(sizeof(defaults) / sizeof(defaults[0]))

/* Any value but "no" sets the flag, as with the loader. */
static const struct {
	const char	*name;
	uint32_t	 flag;
} howtos[] = {
	{ "boot_askname",	FB_RB_ASKNAME },
	{ "boot_cdrom",		FB_RB_CDROM },
	{ "boot_ddb",		FB_RB_KDB },
	{ "boot_dfltroot",	FB_RB_DFLTROOT },
	{ "boot_gdb",		FB_RB_GDB },
	{ "boot_multicons",	FB_RB_MULTIPLE },
	{ "boot_mute",		FB_RB_MUTE },
	{ "boot_mutemsgs",	FB_RB_MUTEMSGS },
	{ "boot_pause",		FB_RB_PAUSE },
	{ "boot_serial",	FB_RB_SERIAL },
	{ "boot_single",	FB_RB_SINGLE },
	{ "boot_verbose",	FB_RB_VERBOSE },
};

static size_t
name_len(const char *var)
{

	return (strcspn(var, "="));
}

static bool
same_name(const char *a, const char *b)
{
	size_t len = name_len(a);

	return (len == name_len(b) && memcmp(a, b, len) == 0);
}

/* Does one of the user's variables from this index on have var's name? */
static bool
user_has(const struct vmm_boot_params *bp, unsigned from, const char *var)
{
	unsigned i;

	for (i = from; i < bp->nkenv; i++)
		if (same_name(bp->kenv[i], var))
			return (true);
	return (false);
}

static int
check_var(struct fb_load *f, const char *var)
{
	size_t len = name_len(var), i;

	if (var[len] != '=' || len == 0)
		return (boot_err(f->err, f->errlen, EINVAL,
		    "--kenv %s: is not NAME=VALUE", var));
	/* The kernel drops a variable that is too long. */
	if (len > FB_KENV_NAME_MAX)
		return (boot_err(f->err, f->errlen, EINVAL, "--kenv %.20s...: "
		    "the name is longer than %u characters", var,
		    FB_KENV_NAME_MAX));
	if (strlen(var + len + 1) > FB_KENV_VALUE_MAX)
		return (boot_err(f->err, f->errlen, EINVAL, "--kenv %.*s: "
		    "the value is longer than %u characters", (int)len, var,
		    FB_KENV_VALUE_MAX));
	for (i = 0; i < len; i++)
		if (var[i] <= ' ' || var[i] == 0x7f)
			return (boot_err(f->err, f->errlen, EINVAL,
			    "--kenv %s: there is a blank in the name", var));
	return (0);
}

static void
console_to_howto(struct fb_load *f, const char *value)
{
	bool first_is_video = false, serial = false, video = false;
	bool first = true;
	size_t len;

	for (; *value != '\0'; value += len) {
		value += strspn(value, " ,");
		len = strcspn(value, " ,");
		if (len == 10 && memcmp(value, "comconsole", len) == 0)
			serial = true;
		if (len == 10 && memcmp(value, "vidconsole", len) == 0) {
			video = true;
			first_is_video = first;
		}
		if (len == 11 && memcmp(value, "nullconsole", len) == 0)
			f->howto |= FB_RB_MUTE;
		first = false;
	}
	if (serial)
		f->howto |= FB_RB_SERIAL;
	if (video && (f->howto & FB_RB_SERIAL) != 0)
		f->howto |= FB_RB_MULTIPLE;
	/* The first that is named is the primary one. */
	if (first_is_video)
		f->howto &= ~FB_RB_SERIAL;
}

static void
add_var(struct fb_load *f, const char *var)
{
	const char *value = var + name_len(var) + 1;
	size_t i;

	fb_blob_add(&f->env, var, strlen(var) + 1);
	for (i = 0; i < sizeof(howtos) / sizeof(howtos[0]); i++)
		if (same_name(var, howtos[i].name) &&
		    strcasecmp(value, "no") != 0)
			f->howto |= howtos[i].flag;
}

int
fb_make_env(struct fb_load *f)
{
	const struct vmm_boot_params *bp = f->bp;
	const char *console = "comconsole";
	char rsdp[40];
	unsigned i;
	int error;

	for (i = 0; i < bp->nkenv; i++) {
		error = check_var(f, bp->kenv[i]);
		if (error != 0)
			return (error);
		if (same_name(bp->kenv[i], "console"))
			console = bp->kenv[i] + sizeof("console=") - 1;
	}
	snprintf(rsdp, sizeof(rsdp), "acpi.rsdp=0x%" PRIx64,
	    vmm_acpi_rsdp(f->b->m));
	if (!user_has(bp, 0, rsdp))
		add_var(f, rsdp);
	for (i = 0; i < NDEFAULTS; i++)
		if (!user_has(bp, 0, defaults[i]))
			add_var(f, defaults[i]);
	for (i = 0; i < bp->nkenv; i++)
		if (!user_has(bp, i + 1, bp->kenv[i]))
			add_var(f, bp->kenv[i]);
	fb_blob_add(&f->env, "", 1);
	/* Last, since what it makes of the flags depends on boot_serial. */
	console_to_howto(f, console);
	return (0);
}
