/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * kobj(9): classes, objects and method lookup.  The lookup that drivers run is
 * the one of sys/kobj.h; here is what it falls back to when the per-class cache
 * misses.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/kobj.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>

static MALLOC_DEFINE(M_KOBJ, "kobj", "Kernel object structures");

/* Method numbers, and the refs and ops of all classes. */
static struct mtx kobj_mtx;
MTX_SYSINIT(kobj, &kobj_mtx, "kobj", MTX_DEF);

static unsigned int kobj_last_id;

/* A cache slot that no descriptor matches. */
static kobj_method_t kobj_no_method = { NULL, NULL };

int
kobj_error_method(void)
{

	return (ENXIO);
}

/* Numbers the methods a class knows, so that they hash apart in its cache. */
static void
kobj_number_methods(kobj_class_t cls)
{
	kobj_method_t *m;

	mtx_assert(&kobj_mtx, MA_OWNED);
	for (m = cls->methods; m->desc != NULL; m++)
		if (m->desc->id == 0)
			m->desc->id = ++kobj_last_id;
}

static void
kobj_install_ops(kobj_class_t cls, kobj_ops_t ops)
{
	u_int i;

	mtx_assert(&kobj_mtx, MA_OWNED);
	kobj_number_methods(cls);
	for (i = 0; i < KOBJ_CACHE_SIZE; i++)
		ops->cache[i] = &kobj_no_method;
	ops->cls = cls;
	cls->ops = ops;
}

void
kobj_class_compile(kobj_class_t cls)
{
	kobj_ops_t ops;

	ops = malloc(sizeof(*ops), M_KOBJ, M_WAITOK);
	mtx_lock(&kobj_mtx);
	if (cls->ops == NULL) {
		kobj_install_ops(cls, ops);
		ops = NULL;
	}
	mtx_unlock(&kobj_mtx);
	free(ops, M_KOBJ);
}

void
kobj_class_compile_static(kobj_class_t cls, kobj_ops_t ops)
{

	mtx_lock(&kobj_mtx);
	KASSERT(cls->ops == NULL, ("class %s is compiled already", cls->name));
	/* The reference keeps kobj_delete() from freeing what is static. */
	cls->refs++;
	kobj_install_ops(cls, ops);
	mtx_unlock(&kobj_mtx);
}

void
kobj_class_free(kobj_class_t cls)
{
	kobj_ops_t ops;

	ops = NULL;
	mtx_lock(&kobj_mtx);
	if (cls->refs == 0) {
		ops = cls->ops;
		cls->ops = NULL;
	}
	mtx_unlock(&kobj_mtx);
	free(ops, M_KOBJ);
}

static kobj_method_t *
kobj_search_class(kobj_class_t cls, kobjop_desc_t desc)
{
	kobj_method_t *m;
	kobj_class_t *base;

	for (m = cls->methods; m->desc != NULL; m++)
		if (m->desc == desc)
			return (m);
	if (cls->baseclasses == NULL)
		return (NULL);
	for (base = cls->baseclasses; *base != NULL; base++)
		if ((m = kobj_search_class(*base, desc)) != NULL)
			return (m);
	return (NULL);
}

kobj_method_t *
kobj_lookup_method(kobj_class_t cls, kobj_method_t **cep, kobjop_desc_t desc)
{
	kobj_method_t *m;

	m = kobj_search_class(cls, desc);
	if (m == NULL)
		m = &desc->deflt;
	/* A method without a number shares slot 0 with the others of its kind:
	 * slow, never wrong, since the descriptor is compared. */
	if (cep != NULL)
		*cep = m;
	return (m);
}

void
kobj_init(kobj_t obj, kobj_class_t cls)
{

	for (;;) {
		mtx_lock(&kobj_mtx);
		if (cls->ops != NULL)
			break;
		mtx_unlock(&kobj_mtx);
		kobj_class_compile(cls);
	}
	obj->ops = cls->ops;
	cls->refs++;
	mtx_unlock(&kobj_mtx);
}

void
kobj_init_static(kobj_t obj, kobj_class_t cls)
{

	KASSERT(cls->ops != NULL, ("class %s is not compiled", cls->name));
	mtx_lock(&kobj_mtx);
	obj->ops = cls->ops;
	cls->refs++;
	mtx_unlock(&kobj_mtx);
}

kobj_t
kobj_create(kobj_class_t cls, struct malloc_type *mtype, int mflags)
{
	kobj_t obj;

	obj = malloc(cls->size, mtype, mflags | M_ZERO);
	if (obj != NULL)
		kobj_init(obj, cls);
	return (obj);
}

void
kobj_delete(kobj_t obj, struct malloc_type *mtype)
{
	kobj_class_t cls;
	kobj_ops_t ops;

	ops = NULL;
	cls = obj->ops->cls;
	mtx_lock(&kobj_mtx);
	KASSERT(cls->refs > 0, ("class %s has no objects", cls->name));
	if (--cls->refs == 0) {
		ops = cls->ops;
		cls->ops = NULL;
	}
	mtx_unlock(&kobj_mtx);
	free(ops, M_KOBJ);
	obj->ops = NULL;
	if (mtype != NULL)
		free(obj, mtype);
}
