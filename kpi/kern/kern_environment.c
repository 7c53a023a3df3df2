/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel environment: "name=value" pairs which the loader, here the
 * program around the hosted kernel, hands over; and the tunables read from it.
 * Tunables are read before mutexes exist, hence a kpi_lock.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/eventhandler.h>
#include <sys/malloc.h>
#include <sys/queue.h>

static MALLOC_DEFINE(M_KENV, "kenv", "kernel environment");

struct kenv_var {
	LIST_ENTRY(kenv_var) kv_link;
	char		*kv_value;
	char		 kv_name[];
};

static struct kpi_lock kenv_list_lock;
static LIST_HEAD(, kenv_var) kenv_list = LIST_HEAD_INITIALIZER(kenv_list);

static struct kenv_var *
kenv_find(const char *name)
{
	struct kenv_var *kv;

	LIST_FOREACH(kv, &kenv_list, kv_link)
		if (strcmp(kv->kv_name, name) == 0)
			break;
	return (kv);
}

char *
kern_getenv(const char *name)
{
	struct kenv_var *kv;
	char *value;
	size_t size;

	value = NULL;
	size = 0;
	for (;;) {
		kpi_lock(&kenv_list_lock);
		kv = kenv_find(name);
		if (kv == NULL) {
			kpi_unlock(&kenv_list_lock);
			free(value, M_KENV);
			return (NULL);
		}
		if (value != NULL && strlen(kv->kv_value) < size)
			break;
		size = strlen(kv->kv_value) + 1;
		kpi_unlock(&kenv_list_lock);
		free(value, M_KENV);
		value = malloc(size, M_KENV, M_WAITOK);
	}
	strlcpy(value, kv->kv_value, size);
	kpi_unlock(&kenv_list_lock);
	return (value);
}

void
freeenv(char *env)
{

	free(env, M_KENV);
}

int
testenv(const char *name)
{
	int found;

	kpi_lock(&kenv_list_lock);
	found = kenv_find(name) != NULL;
	kpi_unlock(&kenv_list_lock);
	return (found);
}

const char *
kpi_kenv_peek(const char *name)
{
	struct kenv_var *kv;

	kpi_lock(&kenv_list_lock);
	kv = kenv_find(name);
	kpi_unlock(&kenv_list_lock);
	return (kv != NULL ? kv->kv_value : NULL);
}

const char *
kpi_kenv_index(int index, const char **value)
{
	struct kenv_var *kv;

	kpi_lock(&kenv_list_lock);
	LIST_FOREACH(kv, &kenv_list, kv_link)
		if (index-- == 0)
			break;
	kpi_unlock(&kenv_list_lock);
	if (kv == NULL)
		return (NULL);
	*value = kv->kv_value;
	return (kv->kv_name);
}

static void
kenv_set(const char *name, size_t namelen, const char *value)
{
	struct kenv_var *kv, *old;

	kv = malloc(sizeof(*kv) + namelen + 1, M_KENV, M_WAITOK | M_ZERO);
	memcpy(kv->kv_name, name, namelen);
	kv->kv_value = strdup(value, M_KENV);
	kpi_lock(&kenv_list_lock);
	if ((old = kenv_find(kv->kv_name)) != NULL)
		LIST_REMOVE(old, kv_link);
	LIST_INSERT_HEAD(&kenv_list, kv, kv_link);
	kpi_unlock(&kenv_list_lock);
	if (old != NULL) {
		free(old->kv_value, M_KENV);
		free(old, M_KENV);
	}
}

int
kern_setenv(const char *name, const char *value)
{

	if (*name == '\0' || strchr(name, '=') != NULL)
		return (EINVAL);
	kenv_set(name, strlen(name), value);
	EVENTHANDLER_INVOKE(setenv, name);
	return (0);
}

int
kern_unsetenv(const char *name)
{
	struct kenv_var *kv;

	kpi_lock(&kenv_list_lock);
	if ((kv = kenv_find(name)) != NULL)
		LIST_REMOVE(kv, kv_link);
	kpi_unlock(&kenv_list_lock);
	if (kv == NULL)
		return (ENOENT);
	free(kv->kv_value, M_KENV);
	free(kv, M_KENV);
	EVENTHANDLER_INVOKE(unsetenv, name);
	return (0);
}

/* The pairs of kpi_config, before the first tunable is read. */
static void
kenv_load(void *arg __unused)
{
	const char *const *p;
	const char *eq;

	if (kpi_conf.kenv == NULL)
		return;
	for (p = kpi_conf.kenv; *p != NULL; p++) {
		eq = strchr(*p, '=');
		if (eq == NULL || eq == *p)
			printf("kenv: \"%s\" is not name=value\n", *p);
		else
			kenv_set(*p, eq - *p, eq + 1);
	}
}
SYSINIT(kenv, SI_SUB_TUNABLES, SI_ORDER_FIRST, kenv_load, NULL);

int
getenv_string(const char *name, char *data, int size)
{
	char *value;

	if ((value = kern_getenv(name)) == NULL)
		return (0);
	strlcpy(data, value, size);
	freeenv(value);
	return (1);
}

/* A number in C's notation, with a unit of 1024's powers: "64k". */
bool
kpi_parse_number(const char *s, char **endp, bool sign, uint64_t *res)
{
	uint64_t v;
	int shift;
	char *end;

	if (!sign && *s == '-')
		return (false);
	v = *s == '-' ? (uint64_t)strtoq(s, &end, 0) : strtouq(s, &end, 0);
	if (end == s)
		return (false);
	switch (*end) {
	case 't': case 'T':
		shift = 40;
		break;
	case 'g': case 'G':
		shift = 30;
		break;
	case 'm': case 'M':
		shift = 20;
		break;
	case 'k': case 'K':
		shift = 10;
		break;
	default:
		shift = 0;
		break;
	}
	*res = v << shift;
	*endp = shift != 0 ? end + 1 : end;
	return (true);
}

int
getenv_array(const char *name, void *pdata, int size, int *psize,
    int type_size, bool allow_signed)
{
	char *p, *value;
	uint64_t v;
	int64_t sv;
	int n, ok;

	if ((value = kern_getenv(name)) == NULL)
		return (0);
	ok = 0;
	for (p = value, n = 0; n < size / type_size; n++) {
		if (!kpi_parse_number(p, &p, allow_signed, &v))
			goto out;
		sv = v;
		if (type_size < 8 && (allow_signed ?
		    sv < -(1LL << (8 * type_size - 1)) ||
		    sv >= 1LL << (8 * type_size - 1) :
		    v >= 1ULL << (8 * type_size)))
			goto out;
		memcpy((char *)pdata + n * type_size, &v, type_size);
		while (*p == ' ' || *p == ',')
			p++;
		if (*p == '\0') {
			n++;
			break;
		}
	}
	if (*p != '\0')
		goto out;
	*psize = n * type_size;
	ok = 1;
out:
	freeenv(value);
	return (ok);
}

static int
kenv_one(const char *name, void *data, int size, bool sign)
{
	uint64_t v;
	int got;

	if (getenv_array(name, &v, size, &got, size, sign) == 0 ||
	    got != size)
		return (0);
	memcpy(data, &v, size);
	return (1);
}

int
getenv_int(const char *name, int *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_SIGNED));
}

int
getenv_uint(const char *name, unsigned int *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_UNSIGNED));
}

int
getenv_long(const char *name, long *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_SIGNED));
}

int
getenv_ulong(const char *name, unsigned long *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_UNSIGNED));
}

int
getenv_int64(const char *name, int64_t *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_SIGNED));
}

int
getenv_uint64(const char *name, uint64_t *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_UNSIGNED));
}

int
getenv_quad(const char *name, quad_t *data)
{

	return (kenv_one(name, data, sizeof(*data), GETENV_SIGNED));
}

int
getenv_bool(const char *name, bool *data)
{
	char *value;
	int ok;

	if ((value = kern_getenv(name)) == NULL)
		return (0);
	ok = 1;
	if (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0)
		*data = true;
	else if (strcmp(value, "0") == 0 || strcasecmp(value, "false") == 0)
		*data = false;
	else
		ok = 0;
	freeenv(value);
	return (ok);
}

bool
getenv_is_true(const char *name)
{
	bool v;

	return (getenv_bool(name, &v) != 0 && v);
}

bool
getenv_is_false(const char *name)
{
	bool v;

	return (getenv_bool(name, &v) != 0 && !v);
}

/* The SYSINIT side of TUNABLE_*(). */
#define	KENV_TUNABLE(type, TYPE)					\
void									\
tunable_##type##_init(const void *data)					\
{									\
	const struct tunable_##type *d = data;				\
									\
	TUNABLE_##TYPE##_FETCH(d->path, d->var);			\
}

KENV_TUNABLE(int, INT)
KENV_TUNABLE(long, LONG)
KENV_TUNABLE(ulong, ULONG)
KENV_TUNABLE(int64, INT64)
KENV_TUNABLE(uint64, UINT64)
KENV_TUNABLE(quad, QUAD)
KENV_TUNABLE(bool, BOOL)

void
tunable_str_init(const void *data)
{
	const struct tunable_str *d = data;

	TUNABLE_STR_FETCH(d->path, d->var, d->size);
}
