/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * kobj: which method an object answers with.  The interface is newbus's, whose
 * default for detach is an error and for suspend success.
 */

#include <ktest.h>

#include <sys/bus.h>
#include <sys/kobj.h>
#include <sys/malloc.h>

static int
base_attach(device_t dev)
{
	return (101);
}

static int
base_shutdown(device_t dev)
{
	return (102);
}

static int
other_resume(device_t dev)
{
	return (103);
}

static int
derived_attach(device_t dev)
{
	return (104);
}

struct obj {
	KOBJ_FIELDS;
	int	field;
};

static kobj_method_t base_methods[] = {
	KOBJMETHOD(device_attach,	base_attach),
	KOBJMETHOD(device_shutdown,	base_shutdown),
	KOBJMETHOD_END
};
DEFINE_CLASS_0(base, base_class, base_methods, sizeof(struct obj));

static kobj_method_t other_methods[] = {
	KOBJMETHOD(device_resume,	other_resume),
	KOBJMETHOD(device_shutdown,	other_resume),
	KOBJMETHOD_END
};
DEFINE_CLASS_0(other, other_class, other_methods, sizeof(struct obj));

static kobj_method_t derived_methods[] = {
	KOBJMETHOD(device_attach,	derived_attach),
	KOBJMETHOD_END
};
DEFINE_CLASS_2(derived, derived_class, derived_methods, sizeof(struct obj),
    base_class, other_class);

KTEST(kobj_inherits, "own methods, then those of the base classes in order")
{
	kobj_t obj;
	int i;

	obj = kobj_create(&derived_class, M_TEMP, M_WAITOK);
	/* Twice: the second answer comes from the cache. */
	for (i = 0; i < 2; i++) {
		KT_EQ(DEVICE_ATTACH((device_t)obj), 104);
		KT_EQ(DEVICE_SHUTDOWN((device_t)obj), 102);
		KT_EQ(DEVICE_RESUME((device_t)obj), 103);
	}
	KT_EQ(((struct obj *)(void *)obj)->field, 0);
	kobj_delete(obj, M_TEMP);
}

KTEST(kobj_defaults, "a method nobody has: the interface's default, or ENXIO")
{
	kobj_t obj;

	obj = kobj_create(&base_class, M_TEMP, M_WAITOK);
	KT_EQ(DEVICE_SUSPEND((device_t)obj), 0);
	KT_EQ(DEVICE_DETACH((device_t)obj), ENXIO);
	kobj_delete(obj, M_TEMP);
}

KTEST(kobj_reinit, "an object that changes class answers as the new one")
{
	struct obj o;

	memset(&o, 0, sizeof(o));
	kobj_init((kobj_t)&o, &base_class);
	KT_EQ(DEVICE_ATTACH((device_t)&o), 101);
	kobj_delete((kobj_t)&o, NULL);
	kobj_init((kobj_t)&o, &derived_class);
	KT_EQ(DEVICE_ATTACH((device_t)&o), 104);
	kobj_delete((kobj_t)&o, NULL);
	/* Nobody is left: the class could be compiled anew. */
	KT_CHECK(base_class.ops == NULL && derived_class.ops == NULL);
}

KTEST(kobj_static, "a class with ops of its own is never freed")
{
	static struct kobj_ops ops;
	struct obj o;

	memset(&o, 0, sizeof(o));
	kobj_class_compile_static(&other_class, &ops);
	kobj_init_static((kobj_t)&o, &other_class);
	KT_EQ(DEVICE_RESUME((device_t)&o), 103);
	kobj_delete((kobj_t)&o, NULL);
	KT_CHECK(other_class.ops == &ops);
}
