/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Modules, module(9): their registry and the events they get.  What file they
 * are in and when it is loaded is the matter of kern_linker.c.
 */

#include <kern/kpi_internal.h>

#include <sys/eventhandler.h>
#include <sys/linker.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sx.h>

struct module {
	TAILQ_ENTRY(module) link;	/* all */
	TAILQ_ENTRY(module) flink;	/* of a file */
	struct linker_file *file;
	int		 id;
	const char	*name;
	modeventhand_t	 handler;
	void		*arg;
	modspecific_t	 data;
	bool		 loaded;	/* MOD_LOAD succeeded */
};

static MALLOC_DEFINE(M_MODULE, "module", "module data structures");

struct sx modules_sx;
SX_SYSINIT(modules, &modules_sx, "module subsystem sx lock");

static TAILQ_HEAD(modulelist, module) modules = TAILQ_HEAD_INITIALIZER(modules);
static int next_id = 1;

static int
module_event(module_t mod, modeventtype_t what)
{
	return (mod->handler(mod, what, mod->arg));
}

module_t
module_lookupbyname(const char *name)
{
	module_t mod;

	MOD_LOCK_ASSERT;
	TAILQ_FOREACH(mod, &modules, link)
		if (strcmp(mod->name, name) == 0)
			return (mod);
	return (NULL);
}

module_t
module_lookupbyid(int id)
{
	module_t mod;

	MOD_LOCK_ASSERT;
	TAILQ_FOREACH(mod, &modules, link)
		if (mod->id == id)
			return (mod);
	return (NULL);
}

static int
nullevent(module_t mod, int what, void *arg)
{
	return (what == MOD_LOAD || what == MOD_UNLOAD || what == MOD_QUIESCE ||
	    what == MOD_SHUTDOWN ? 0 : EOPNOTSUPP);
}

int
module_register(const moduledata_t *data, struct linker_file *lf)
{
	module_t mod;

	MOD_XLOCK;
	if (module_lookupbyname(data->name) != NULL) {
		MOD_XUNLOCK;
		printf("%s: cannot register %s from %s; already loaded\n",
		    __func__, data->name, lf->filename);
		return (EEXIST);
	}
	mod = malloc(sizeof(*mod), M_MODULE, M_WAITOK | M_ZERO);
	mod->file = lf;
	mod->id = next_id++;
	mod->name = data->name;
	mod->handler = data->evhand != NULL ? data->evhand : nullevent;
	mod->arg = data->priv;
	TAILQ_INSERT_TAIL(&modules, mod, link);
	TAILQ_INSERT_TAIL(&lf->modules, mod, flink);
	MOD_XUNLOCK;
	return (0);
}

static void
module_destroy(module_t mod)
{
	MOD_XLOCK;
	TAILQ_REMOVE(&modules, mod, link);
	TAILQ_REMOVE(&mod->file->modules, mod, flink);
	MOD_XUNLOCK;
	free(mod, M_MODULE);
}

/* The SYSINIT of every module.  Events come with Giant held, here as well. */
void
module_register_init(const void *arg)
{
	const moduledata_t *data = arg;
	module_t mod;
	int error;

	mtx_lock(&Giant);
	MOD_SLOCK;
	mod = module_lookupbyname(data->name);
	MOD_SUNLOCK;
	if (mod == NULL)
		panic("module_register_init: module named %s not found",
		    data->name);
	error = module_event(mod, MOD_LOAD);
	if (error != 0) {
		(void)module_event(mod, MOD_UNLOAD);
		printf("module_register_init: MOD_LOAD (%s, %p, %p) error "
		    "%d\n", data->name, data->evhand, data->priv, error);
		module_destroy(mod);
		mtx_unlock(&Giant);
		return;
	}
	mod->loaded = true;
	/* Newest first is the order of MOD_SHUTDOWN. */
	MOD_XLOCK;
	TAILQ_REMOVE(&modules, mod, link);
	TAILQ_INSERT_HEAD(&modules, mod, link);
	MOD_XUNLOCK;
	mtx_unlock(&Giant);
}

int
kpi_module_register_file(struct linker_file *lf, const struct kpi_file *kf)
{
	struct mod_metadata **mdp;
	module_t mod;
	int error;

	for (mdp = kf->kf_modmeta; mdp < kf->kf_modmeta_end; mdp++) {
		if ((*mdp)->md_type != MDT_MODULE)
			continue;
		error = module_register((*mdp)->md_data, lf);
		if (error != 0) {
			while ((mod = TAILQ_FIRST(&lf->modules)) != NULL)
				module_destroy(mod);
			return (error);
		}
	}
	return (0);
}

int
kpi_module_quiesce_file(struct linker_file *lf)
{
	module_t mod;
	int error;

	TAILQ_FOREACH(mod, &lf->modules, flink) {
		error = module_quiesce(mod);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
kpi_module_unload_file(struct linker_file *lf)
{
	module_t mod;
	int error;

	while ((mod = TAILQ_FIRST(&lf->modules)) != NULL) {
		error = module_unload(mod);
		if (error != 0)
			return (error);
		module_destroy(mod);
	}
	return (0);
}

int
module_quiesce(module_t mod)
{
	int error;

	mtx_lock(&Giant);
	error = module_event(mod, MOD_QUIESCE);
	mtx_unlock(&Giant);
	return (error == EOPNOTSUPP || error == EINVAL ? 0 : error);
}

int
module_unload(module_t mod)
{
	int error;

	mtx_lock(&Giant);
	error = module_event(mod, MOD_UNLOAD);
	mtx_unlock(&Giant);
	return (error);
}

int
module_getid(module_t mod)
{
	return (mod->id);
}

const char *
module_getname(module_t mod)
{
	return (mod->name);
}

module_t
module_getfnext(module_t mod)
{
	return (TAILQ_NEXT(mod, flink));
}

void
module_setspecific(module_t mod, modspecific_t *data)
{
	mod->data = *data;
}

struct linker_file *
module_file(module_t mod)
{
	return (mod->file);
}

void
kpi_module_shutdown(void)
{
	module_t mod;

	mtx_lock(&Giant);
	TAILQ_FOREACH(mod, &modules, link)
		if (mod->loaded)
			(void)module_event(mod, MOD_SHUTDOWN);
	mtx_unlock(&Giant);
}
