/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Device hints: "hint.NAME.UNIT.KEYWORD=value" in the kernel environment.
 */

#include "subr_bus_var.h"

#include <sys/limits.h>

#define	HINT_VARSIZE	128

static void
hint_name(char *buf, const char *name, int unit, const char *resname)
{

	snprintf(buf, HINT_VARSIZE, "hint.%s.%d.%s", name, unit, resname);
}

int
resource_int_value(const char *name, int unit, const char *resname,
    int *result)
{
	char var[HINT_VARSIZE];

	hint_name(var, name, unit, resname);
	return (getenv_int(var, result) != 0 ? 0 : ENOENT);
}

int
resource_long_value(const char *name, int unit, const char *resname,
    long *result)
{
	char var[HINT_VARSIZE];

	hint_name(var, name, unit, resname);
	return (getenv_long(var, result) != 0 ? 0 : ENOENT);
}

int
resource_string_value(const char *name, int unit, const char *resname,
    const char **result)
{
	char var[HINT_VARSIZE];
	const char *value;

	hint_name(var, name, unit, resname);
	value = kpi_kenv_peek(var);
	if (value == NULL)
		return (ENOENT);
	*result = value;
	return (0);
}

int
resource_disabled(const char *name, int unit)
{
	int value;

	return (resource_int_value(name, unit, "disabled", &value) == 0 &&
	    value != 0);
}

int
resource_unset_value(const char *name, int unit, const char *resname)
{
	char var[HINT_VARSIZE];

	hint_name(var, name, unit, resname);
	return (kern_unsetenv(var));
}

/*
 * The hint after *anchor whose keyword is resname and, where they are given,
 * whose device is name and whose value is value.  Names live in static memory
 * until the next call, as callers under the topology lock expect.
 */
static int
hint_find(int *anchor, const char *name, const char **namep, int *unitp,
    const char *resname, const char *value)
{
	static char found[HINT_VARSIZE];
	const char *dot, *key, *val, *var;
	char *end;
	u_long unit;

	while ((var = kpi_kenv_index((*anchor)++, &val)) != NULL) {
		if (strncmp(var, "hint.", 5) != 0)
			continue;
		dot = strchr(var + 5, '.');
		if (dot == NULL || dot - (var + 5) >= HINT_VARSIZE)
			continue;
		unit = strtoul(dot + 1, &end, 10);
		if (end == dot + 1 || *end != '.' || unit > INT_MAX)
			continue;
		key = end + 1;
		if (strcmp(key, resname) != 0 ||
		    (value != NULL && strcmp(val, value) != 0))
			continue;
		if (name != NULL && (strlen(name) != dot - (var + 5) ||
		    strncmp(var + 5, name, strlen(name)) != 0))
			continue;
		strlcpy(found, var + 5, dot - (var + 5) + 1);
		if (namep != NULL)
			*namep = found;
		*unitp = unit;
		return (0);
	}
	return (ENOENT);
}

int
resource_find_match(int *anchor, const char **name, int *unit,
    const char *resname, const char *value)
{

	return (hint_find(anchor, NULL, name, unit, resname, value));
}

int
resource_find_dev(int *anchor, const char *name, int *unit,
    const char *resname, const char *value)
{

	return (hint_find(anchor, name, NULL, unit, resname, value));
}
