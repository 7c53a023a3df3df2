/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Data exchange: items in the guest's pools are read, written, deleted and
 * listed.  Addresses of its adapters are in kvp_ip.c.
 * protocol: utilities, 6
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/kvp_var.h"
#include "services/utf16.h"

/* A list ends after so many items and so long, whatever a guest says. */
#define	KVP_LIST_MAX	4096
#define	KVP_LIST_LIMIT	(300 * IC_SECOND)

struct kvp_list {
	LIST_ENTRY(kvp_list) link;
	void		(*item)(void *arg, const struct hvh_kvp_item *item);
	hvh_ic_done	*done;
	void		*arg;
	enum hvh_kvp_pool pool;
	uint32_t	 index;
	uint64_t	 until;
};

struct kvp {
	LIST_HEAD(, kvp_list) lists;	/* under way */
	/* What an answer holds, as text. */
	struct hvh_kvp_item item;
	char		 key[UTF16_TEXT(KVP_KEY_UNITS)];
	char		 text[UTF16_TEXT(KVP_VALUE_UNITS)];
};

/* 5.0 has a binary form of addresses, which no guest of ours speaks. */
static const uint32_t kvp_versions[] = {
	HVH_IC_VERSION(4, 0), HVH_IC_VERSION(3, 0), HVH_IC_VERSION(1, 0)
};

const struct ic_service ic_kvp = {
	.name = "kvp",
	.class = "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6",
	.instance = "242ff919-07db-4180-9c2e-b86cb68c8c55",
	.type = IC_KVP,
	.versions = kvp_versions,
	.nversions = 3,
	.own_size = sizeof(struct kvp),
};

/* --- Answers --- */

/* false: it is none. */
static bool
kvp_number(const struct kvp_value *v, struct hvh_kvp_item *item)
{
	uint64_t wide;
	uint32_t narrow;

	if (v->kv_type == HVH_KVP_U32) {
		memcpy(&narrow, v->kv_value, sizeof(narrow));
		item->type = HVH_KVP_U32;
		item->number = narrow;
		return (v->kv_value_size == sizeof(narrow));
	}
	memcpy(&wide, v->kv_value, sizeof(wide));
	item->type = HVH_KVP_U64;
	item->number = wide;
	return ((v->kv_type == HVH_KVP_U64 || v->kv_type == KVP_TYPE_QWORD) &&
	    v->kv_value_size == sizeof(wide));
}

/* EPROTO: it makes no sense. */
static int
kvp_parse(struct kvp *k, const struct kvp_value *v)
{

	if (v->kv_key_size > sizeof(v->kv_key) || v->kv_key_size % 2 != 0 ||
	    v->kv_value_size > sizeof(v->kv_value))
		return (EPROTO);
	memset(&k->item, 0, sizeof(k->item));
	utf16_get(v->kv_key, v->kv_key_size / 2, k->key);
	k->item.key = k->key;
	k->item.text = k->text;
	if (v->kv_type == HVH_KVP_STRING || v->kv_type == HVH_KVP_EXPAND) {
		if (v->kv_value_size % 2 != 0)
			return (EPROTO);
		k->item.type = (enum hvh_kvp_type)v->kv_type;
		utf16_get(v->kv_value, v->kv_value_size / 2, k->text);
		return (0);
	}
	if (!kvp_number(v, &k->item))
		return (EPROTO);
	snprintf(k->text, sizeof(k->text), "%llu",
	    (unsigned long long)k->item.number);
	return (0);
}

/* The item of an answer of that kind; r->item stays NULL if there is none. */
static void
kvp_result(struct ic_order *o, const struct ic_answer *a, bool enumerated,
    struct hvh_ic_result *r)
{
	struct kvp *k = o->ic->own;
	struct kvp_message m;

	ic_result(a, r);
	if (r->error != 0 || r->status != 0)
		return;
	memset(&m, 0, sizeof(m));
	if (a->len >= sizeof(m))
		memcpy(&m, a->body, sizeof(m));
	if (a->len < sizeof(m) || kvp_parse(k, enumerated ?
	    &m.km_enumerate.value : &m.km_item.value) != 0)
		ic_result_error(r, EPROTO);
	else
		r->item = &k->item;
}

static void
kvp_got(struct ic_order *o, const struct ic_answer *a)
{
	struct hvh_ic_result r;

	kvp_result(o, a, false, &r);
	if (o->done != NULL)
		o->done(o->arg, &r);
}

static void
kvp_enumerated(struct ic_order *o, const struct ic_answer *a)
{
	struct hvh_ic_result r;

	kvp_result(o, a, true, &r);
	if (o->done != NULL)
		o->done(o->arg, &r);
}

/* --- Orders --- */

static struct ic_order *
kvp_order(struct hvh_ic *ic, uint8_t op, enum hvh_kvp_pool pool,
    struct kvp_message *m, void (*answered)(struct ic_order *o,
    const struct ic_answer *a), hvh_ic_done *done, void *arg)
{
	struct ic_order *o;

	m->km_header.kh_op = op;
	m->km_header.kh_pool = (uint8_t)pool;
	o = ic_order_new(ic, sizeof(*m), KVP_LIMIT, answered);
	if (o != NULL) {
		memcpy(o->body, m, sizeof(*m));
		o->done = done;
		o->arg = arg;
	}
	return (o);
}

static int
kvp_key(const char *key, uint8_t *field, uint32_t *bytes)
{
	int error;

	if (key == NULL || key[0] == '\0')
		return (EINVAL);
	error = utf16_put(field, KVP_KEY_UNITS, key, bytes);
	return (error != 0 ? EINVAL : 0);
}

static int
kvp_submit(struct hvh_ic *ic, uint8_t op, enum hvh_kvp_pool pool,
    struct kvp_message *m, void (*answered)(struct ic_order *o,
    const struct ic_answer *a), hvh_ic_done *done, void *arg)
{
	int error;

	if ((unsigned)pool >= HVH_KVP_POOLS)
		return (EINVAL);
	error = ic_enter(ic, HVH_IC_KVP);
	if (error != 0)
		return (error);
	return (ic_leave(ic, ic_submit(kvp_order(ic, op, pool, m, answered,
	    done, arg))));
}

static int
kvp_put_value(struct kvp_value *v, const struct hvh_kvp_item *item)
{
	uint32_t narrow, size;

	v->kv_type = item->type;
	switch (item->type) {
	case HVH_KVP_STRING:
	case HVH_KVP_EXPAND:
		if (item->text == NULL || utf16_put(v->kv_value,
		    KVP_VALUE_UNITS, item->text, &size) != 0)
			return (EINVAL);
		v->kv_value_size = size;
		return (0);
	case HVH_KVP_U32:
		narrow = (uint32_t)item->number;
		if (narrow != item->number)
			return (EINVAL);
		memcpy(v->kv_value, &narrow, sizeof(narrow));
		v->kv_value_size = sizeof(narrow);
		return (0);
	case HVH_KVP_U64:
		memcpy(v->kv_value, &item->number, sizeof(item->number));
		v->kv_value_size = sizeof(item->number);
		return (0);
	}
	return (EINVAL);
}

int
hvh_kvp_set(struct hvh_ic *ic, enum hvh_kvp_pool pool,
    const struct hvh_kvp_item *item, hvh_ic_done *done, void *arg)
{
	struct kvp_message m = { 0 };
	struct kvp_value *v = &m.km_item.value;
	uint32_t size;

	if (kvp_key(item->key, v->kv_key, &size) != 0 ||
	    kvp_put_value(v, item) != 0)
		return (EINVAL);
	v->kv_key_size = size;
	return (kvp_submit(ic, KVP_SET, pool, &m, ic_plain, done, arg));
}

int
hvh_kvp_get(struct hvh_ic *ic, enum hvh_kvp_pool pool, const char *key,
    hvh_ic_done *done, void *arg)
{
	struct kvp_message m = { 0 };
	uint32_t size;

	if (kvp_key(key, m.km_item.value.kv_key, &size) != 0)
		return (EINVAL);
	m.km_item.value.kv_type = HVH_KVP_STRING;
	m.km_item.value.kv_key_size = size;
	return (kvp_submit(ic, KVP_GET, pool, &m, kvp_got, done, arg));
}

int
hvh_kvp_delete(struct hvh_ic *ic, enum hvh_kvp_pool pool, const char *key,
    hvh_ic_done *done, void *arg)
{
	struct kvp_message m = { 0 };
	uint32_t size;

	if (kvp_key(key, m.km_delete.key, &size) != 0)
		return (EINVAL);
	m.km_delete.key_size = size;
	return (kvp_submit(ic, KVP_DELETE, pool, &m, ic_plain, done, arg));
}

int
hvh_kvp_enumerate(struct hvh_ic *ic, enum hvh_kvp_pool pool, uint32_t index,
    hvh_ic_done *done, void *arg)
{
	struct kvp_message m = { .km_enumerate.index = index };

	return (kvp_submit(ic, KVP_ENUMERATE, pool, &m, kvp_enumerated, done,
	    arg));
}

/* --- Lists --- */

static void
kvp_list_end(struct kvp_list *l, const struct hvh_ic_result *r)
{

	LIST_REMOVE(l, link);
	if (l->done != NULL)
		l->done(l->arg, r);
	free(l);
}

static void	kvp_listed(struct ic_order *o, const struct ic_answer *a);

static int
kvp_list_next(struct hvh_ic *ic, struct kvp_list *l)
{
	struct kvp_message m = { .km_enumerate.index = l->index };

	return (ic_submit(kvp_order(ic, KVP_ENUMERATE, l->pool, &m, kvp_listed,
	    NULL, l)));
}

static void
kvp_listed(struct ic_order *o, const struct ic_answer *a)
{
	struct kvp_list *l = o->arg;
	struct hvh_ic_result r;
	int error = 0;

	kvp_result(o, a, true, &r);
	if (r.error == 0 && r.status == HVH_IC_NO_MORE) {
		r.status = HVH_IC_OK;
	} else if (r.error == 0 && r.status == 0) {
		l->item(l->arg, r.item);
		if (++l->index >= KVP_LIST_MAX || hvh_now(o->ic->h) > l->until)
			error = EPROTO;
		else
			error = kvp_list_next(o->ic, l);
		if (error == 0)
			return;
		ic_result_error(&r, error);
	}
	r.item = NULL;
	kvp_list_end(l, &r);
}

static int
kvp_list_start(struct hvh_ic *ic, const struct kvp_list *what)
{
	struct kvp *k = ic->own;
	struct kvp_list *l;
	int error;

	l = malloc(sizeof(*l));
	if (l == NULL)
		return (ENOMEM);
	*l = *what;
	l->until = hvh_now(ic->h) + KVP_LIST_LIMIT;
	LIST_INSERT_HEAD(&k->lists, l, link);
	error = kvp_list_next(ic, l);
	if (error != 0) {
		LIST_REMOVE(l, link);
		free(l);
	}
	return (error);
}

int
hvh_kvp_list(struct hvh_ic *ic, enum hvh_kvp_pool pool,
    void (*item)(void *arg, const struct hvh_kvp_item *item),
    hvh_ic_done *done, void *arg)
{
	struct kvp_list l = { .item = item, .done = done, .arg = arg,
	    .pool = pool };
	int error;

	if ((unsigned)pool >= HVH_KVP_POOLS)
		return (EINVAL);
	error = ic_enter(ic, HVH_IC_KVP);
	if (error != 0)
		return (error);
	return (ic_leave(ic, kvp_list_start(ic, &l)));
}
