/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Linker files: what would be a .ko here is a static library that is part of
 * the image; tools/link_kernel.sh leaves a table of their linker sets.  Loading
 * one registers its sysctls and modules and runs its SYSINITs, unloading undoes
 * it.  Its static variables start anew with each load, as they would if the
 * file came from disk.
 */

#include <kern/kpi_internal.h>
#include <kern/kpi_bus.h>

#include <sys/linker.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sx.h>

SET_DECLARE(kpi_file_set, struct kpi_file);

struct kfile {
	struct linker_file kl;		/* first: what module_file() gives */
	struct kpi_file	*kl_file;
	bool		 kl_loaded;
	u_int		 kl_order;	/* of loading */
	char		*kl_data;	/* its variables as they were linked */
};

#define	KFILES_MAX	16

MALLOC_DEFINE(M_LINKER, "linker", "kernel linker");

static struct kfile kfiles[KFILES_MAX];
static u_int	 nkfiles, load_count;
static struct sysinit *all[2048];
static struct sx kld_sx;
SX_SYSINIT(kld, &kld_sx, "kernel linker");

/* --- SYSINIT --- */

static int
sysinit_cmp(const void *a, const void *b)
{
	const struct sysinit *sa = *(struct sysinit * const *)a;
	const struct sysinit *sb = *(struct sysinit * const *)b;

	if (sa->subsystem != sb->subsystem)
		return (sa->subsystem < sb->subsystem ? -1 : 1);
	if (sa->order != sb->order)
		return (sa->order < sb->order ? -1 : 1);
	return (0);
}

/* Stable: entries of equal order run as they were linked. */
static void
sysinit_sort(struct sysinit **v, u_int n)
{
	struct sysinit *si;
	u_int i, j;

	for (i = 1; i < n; i++) {
		si = v[i];
		for (j = i; j > 0 && sysinit_cmp(&v[j - 1], &si) > 0; j--)
			v[j] = v[j - 1];
		v[j] = si;
	}
}

static void
sysinit_run(struct sysinit **v, u_int n, bool reverse)
{
	struct sysinit *si;
	u_int i;

	sysinit_sort(v, n);
	for (i = 0; i < n; i++) {
		si = v[reverse ? n - 1 - i : i];
		if (si->subsystem == SI_SUB_DUMMY)
			continue;
		si->func(si->udata);
		KASSERT(curthread->td_critnest == 0,
		    ("SYSINIT %p left a critical section open", si->func));
	}
}

/* The linker sets are sorted in place: their order means nothing else. */
static void
file_sysinit(struct kfile *kl)
{
	struct kpi_file *kf = kl->kl_file;

	sysinit_run(kf->kf_sysinit, kf->kf_sysinit_end - kf->kf_sysinit,
	    false);
}

static void
file_sysuninit(struct kfile *kl)
{
	struct kpi_file *kf = kl->kl_file;

	sysinit_run(kf->kf_sysuninit, kf->kf_sysuninit_end - kf->kf_sysuninit,
	    true);
}

static void
file_sysctl(struct kfile *kl, bool add)
{
	struct kpi_file *kf = kl->kl_file;

	if (add)
		kpi_sysctl_register_set(kf->kf_sysctl, kf->kf_sysctl_end);
	else
		kpi_sysctl_unregister_set(kf->kf_sysctl, kf->kf_sysctl_end);
}

/* --- Variables of modules --- */

/* Past the sanitizers: redzones between the variables are copied as well. */
static void __attribute__((__no_sanitize__("address", "thread")))
data_copy(char *to, const char *from, size_t len)
{
	__asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (len) : :
	    "memory");
}

static void
data_save(struct kfile *kl)
{
	size_t len = kl->kl_file->kf_data_end - kl->kl_file->kf_data;

	if (len == 0)
		return;
	kl->kl_data = hosted_mmap(len);
	if (kl->kl_data == NULL)
		panic("no memory for the variables of %s",
		    kl->kl_file->kf_name);
	data_copy(kl->kl_data, kl->kl_file->kf_data, len);
}

static void
data_restore(struct kfile *kl)
{
	if (kl->kl_data != NULL)
		data_copy(kl->kl_file->kf_data, kl->kl_data,
		    kl->kl_file->kf_data_end - kl->kl_file->kf_data);
}

/* --- Boot and shutdown --- */

static struct kfile *find_module(const char *name);
static int	load_dependencies(struct kfile *kl, int depth,
		    int (*load)(struct kfile *kl, int depth));

/* What is there when the kernel starts, in the order of preloading. */
static int
file_boot(struct kfile *kl, int depth)
{
	int error;

	if (depth > KFILES_MAX)
		return (ELOOP);
	error = load_dependencies(kl, depth, file_boot);
	if (error != 0)
		return (error);
	kl->kl_loaded = true;
	kl->kl_order = ++load_count;
	return (0);
}

static void
preload(void)
{
	const char *const *name;
	struct kfile *kl;

	for (name = kpi_conf.preload; name != NULL && *name != NULL; name++) {
		kl = find_module(*name);
		if (kl == NULL)
			panic("preloaded module %s is not there", *name);
		if (!kl->kl_loaded && file_boot(kl, 0) != 0)
			panic("preloaded module %s lacks another", *name);
	}
}

static struct kfile *
file_of_order(u_int order)
{
	u_int i;

	for (i = 0; i < nkfiles; i++)
		if (kfiles[i].kl_order == order)
			return (&kfiles[i]);
	panic("no linker file was the %uth", order);
}

/* The SYSINITs of the kernel and of what was preloaded, in one order. */
void
kpi_linker_boot(void)
{
	struct kpi_file **kfp;
	struct kfile *kl;
	u_int i, n;

	SET_FOREACH(kfp, kpi_file_set) {
		KASSERT(nkfiles < KFILES_MAX, ("too many linker files"));
		kl = &kfiles[nkfiles++];
		kl->kl_file = *kfp;
		kl->kl.filename = __DECONST(char *, (*kfp)->kf_name);
		kl->kl.id = nkfiles;
		TAILQ_INIT(&kl->kl.modules);
		if ((*kfp)->kf_module)
			data_save(kl);
		else {
			kl->kl_loaded = true;
			kl->kl_order = ++load_count;
		}
	}
	preload();
	n = 0;
	for (i = 1; i <= load_count; i++) {
		kl = file_of_order(i);
		KASSERT(n + (kl->kl_file->kf_sysinit_end -
		    kl->kl_file->kf_sysinit) < nitems(all),
		    ("too many SYSINITs"));
		for (struct sysinit **sip = kl->kl_file->kf_sysinit;
		    sip < kl->kl_file->kf_sysinit_end; sip++)
			all[n++] = *sip;
	}
	sysinit_run(all, n, false);
}

static void
linker_register_kernel(void *arg)
{
	struct kfile *kl;
	u_int i;

	for (i = 1; i <= load_count; i++) {
		kl = file_of_order(i);
		file_sysctl(kl, true);
		(void)kpi_module_register_file(&kl->kl, kl->kl_file);
	}
}
SYSINIT(kpi_linker, SI_SUB_KLD, SI_ORDER_ANY, linker_register_kernel, NULL);

static int	file_unload(struct kfile *kl);

/*
 * Ends the kernel's own threads; locks, memory types and events stay, so that
 * what is left can still be looked at.
 */
static void
kernel_sysuninit(void)
{
	struct kpi_file **kfp;
	struct sysinit **sip;
	u_int n = 0;

	SET_FOREACH(kfp, kpi_file_set) {
		if ((*kfp)->kf_module)
			continue;
		for (sip = (*kfp)->kf_sysuninit; sip < (*kfp)->kf_sysuninit_end;
		    sip++)
			if ((*sip)->subsystem > SI_SUB_KLD)
				all[n++] = *sip;
	}
	sysinit_run(all, n, true);
}

static void
unload_all(void)
{
	struct kfile *last;
	u_int i;
	int error;

	do {
		last = NULL;
		for (i = 0; i < nkfiles; i++)
			if (kfiles[i].kl_loaded && kfiles[i].kl_file->kf_module
			    && (last == NULL ||
			    kfiles[i].kl_order > last->kl_order))
				last = &kfiles[i];
		if (last == NULL)
			return;
		last->kl.userrefs = 0;
		sx_xlock(&kld_sx);
		error = file_unload(last);
		sx_xunlock(&kld_sx);
		if (error != 0)
			printf("kldunload %s: error %d\n",
			    last->kl_file->kf_name, error);
	} while (error == 0);
}

void
kpi_linker_shutdown(void)
{
	unload_all();
	kernel_sysuninit();
}

/* --- Dependencies --- */

static bool
version_fits(const struct mod_metadata *md, const struct mod_depend *dep)
{
	int ver;

	if (md->md_type != MDT_VERSION)
		return (false);
	ver = ((const struct mod_version *)md->md_data)->mv_version;
	return (ver >= dep->md_ver_minimum && ver <= dep->md_ver_maximum);
}

static struct kfile *
find_provider(const char *name, const struct mod_depend *dep)
{
	struct mod_metadata **mdp;
	struct kfile *kl;

	for (kl = kfiles; kl < &kfiles[nkfiles]; kl++)
		for (mdp = kl->kl_file->kf_modmeta;
		    mdp < kl->kl_file->kf_modmeta_end; mdp++)
			if (strcmp((*mdp)->md_cval, name) == 0 &&
			    version_fits(*mdp, dep))
				return (kl);
	return (NULL);
}

static struct kfile *
find_module(const char *name)
{
	struct mod_metadata **mdp;
	struct kfile *kl;

	for (kl = kfiles; kl < &kfiles[nkfiles]; kl++) {
		if (strcmp(kl->kl_file->kf_name, name) == 0)
			return (kl);
		for (mdp = kl->kl_file->kf_modmeta;
		    mdp < kl->kl_file->kf_modmeta_end; mdp++)
			if (((*mdp)->md_type == MDT_VERSION ||
			    (*mdp)->md_type == MDT_MODULE) &&
			    strcmp((*mdp)->md_cval, name) == 0)
				return (kl);
	}
	return (NULL);
}

static bool
depends_on(const struct kfile *kl, const struct kfile *on)
{
	struct mod_metadata **mdp;

	for (mdp = kl->kl_file->kf_modmeta; mdp < kl->kl_file->kf_modmeta_end;
	    mdp++)
		if ((*mdp)->md_type == MDT_DEPEND &&
		    find_provider((*mdp)->md_cval, (*mdp)->md_data) == on)
			return (true);
	return (false);
}

static int
load_dependencies(struct kfile *kl, int depth,
    int (*load)(struct kfile *kl, int depth))
{
	const struct mod_depend *dep;
	struct mod_metadata **mdp;
	struct kfile *on;
	int error;

	for (mdp = kl->kl_file->kf_modmeta; mdp < kl->kl_file->kf_modmeta_end;
	    mdp++) {
		if ((*mdp)->md_type != MDT_DEPEND)
			continue;
		dep = (*mdp)->md_data;
		if (strcmp((*mdp)->md_cval, "kernel") == 0) {
			if (__FreeBSD_version >= dep->md_ver_minimum &&
			    __FreeBSD_version <= dep->md_ver_maximum)
				continue;
			on = NULL;
		} else
			on = find_provider((*mdp)->md_cval, dep);
		if (on == NULL) {
			printf("KLD %s: depends on %s - not available or "
			    "version mismatch\n", kl->kl_file->kf_name,
			    (*mdp)->md_cval);
			return (ENOEXEC);
		}
		if (on != kl && !on->kl_loaded) {
			error = load(on, depth + 1);
			if (error != 0)
				return (error);
		}
	}
	return (0);
}

/* --- Load and unload; kld_sx held --- */

static int
file_load(struct kfile *kl, int depth)
{
	int error;
	bool modules;

	if (depth > KFILES_MAX)
		return (ELOOP);
	error = load_dependencies(kl, depth, file_load);
	if (error != 0)
		return (error);
	data_restore(kl);
	kl->kl_loaded = true;
	kl->kl_order = ++load_count;
	file_sysctl(kl, true);
	error = kpi_module_register_file(&kl->kl, kl->kl_file);
	if (error == 0) {
		modules = !TAILQ_EMPTY(&kl->kl.modules);
		file_sysinit(kl);
		/* Every module's MOD_LOAD failed: nothing is left to keep. */
		if (modules && TAILQ_EMPTY(&kl->kl.modules)) {
			file_sysuninit(kl);
			error = ENOEXEC;
		}
	}
	if (error != 0) {
		file_sysctl(kl, false);
		kl->kl_loaded = false;
	}
	return (error);
}

static int
file_unload(struct kfile *kl)
{
	struct kfile *other;
	int error;

	for (other = kfiles; other < &kfiles[nkfiles]; other++)
		if (other != kl && other->kl_loaded && depends_on(other, kl))
			return (EBUSY);
	error = kpi_module_quiesce_file(&kl->kl);
	if (error == 0)
		error = kpi_module_unload_file(&kl->kl);
	if (error != 0)
		return (error);
	file_sysctl(kl, false);
	file_sysuninit(kl);
	kl->kl_loaded = false;
	return (0);
}

int
kpi_kldload(const char *name)
{
	struct thread *td = kpi_thread_enter();
	struct kfile *kl;
	int error;

	sx_xlock(&kld_sx);
	kl = find_module(name);
	if (kl == NULL)
		error = ENOENT;
	else if (kl->kl_loaded)
		error = EEXIST;
	else
		error = file_load(kl, 0);
	sx_xunlock(&kld_sx);
	kpi_thread_leave(td);
	return (error);
}

int
kpi_kldunload(const char *name)
{
	struct thread *td = kpi_thread_enter();
	struct kfile *kl;
	int error;

	sx_xlock(&kld_sx);
	kl = find_module(name);
	if (kl == NULL || !kl->kl_loaded)
		error = ENOENT;
	else if (!kl->kl_file->kf_module)
		error = EBUSY;
	else
		error = file_unload(kl);
	sx_xunlock(&kld_sx);
	kpi_thread_leave(td);
	return (error);
}
