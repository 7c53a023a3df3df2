/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The sysctl tree: registration, dynamic oids and their contexts, requests.
 * Handlers for the simple types are in kern_sysctl_handlers.c, text in and out
 * in kern_sysctl_text.c.
 *
 * Locks: sysctl_sx covers the tree, reference counts and oid_running.  A
 * handler runs without it but with oid_running held, for whose end a removal
 * waits.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sx.h>
#include <sys/sysctl.h>

static MALLOC_DEFINE(M_SYSCTL, "sysctl", "sysctl internal magic");
static MALLOC_DEFINE(M_SYSCTLOID, "sysctloid", "sysctl dynamic oids");

struct sysctl_oid_list sysctl__children = RB_INITIALIZER(&sysctl__children);

static struct sx sysctl_sx;
static bool sysctl_ready;
static int sysctl_next = CTL_AUTO_START;

RB_GENERATE(sysctl_oid_list, sysctl_oid, oid_link, cmp_sysctl_oid);

#define	SYSCTL_IS_NODE(oidp)						\
	(((oidp)->oid_kind & CTLTYPE) == CTLTYPE_NODE)

void
sysctl_wlock(void)
{

	/* First used by the boot code, when nothing else runs yet. */
	if (!sysctl_ready) {
		sx_init(&sysctl_sx, "sysctl lock");
		sysctl_ready = true;
	}
	sx_xlock(&sysctl_sx);
}

void
sysctl_wunlock(void)
{

	sx_xunlock(&sysctl_sx);
}

static struct sysctl_oid *
sysctl_find_name(const char *name, size_t len, struct sysctl_oid_list *list)
{
	struct sysctl_oid *oidp;

	sx_assert(&sysctl_sx, SA_XLOCKED);
	RB_FOREACH(oidp, sysctl_oid_list, list)
		if (strncmp(oidp->oid_name, name, len) == 0 &&
		    oidp->oid_name[len] == '\0')
			break;
	return (oidp);
}

/* Writes "a.b.c" to the end of buf; NULL if it does not fit. */
static char *
sysctl_path(struct sysctl_oid *oidp, char *buf, size_t size)
{
	char *p;
	size_t len;

	p = buf + size - 1;
	*p = '\0';
	for (;;) {
		len = strlen(oidp->oid_name);
		if (p - buf < len + 1)
			return (NULL);
		p -= len;
		memcpy(p, oidp->oid_name, len);
		if (oidp->oid_parent == &sysctl__children)
			return (p);
		*--p = '.';
		oidp = SYSCTL_PARENT(oidp);
	}
}

static void
sysctl_unhold(struct sysctl_oid *oidp)
{

	sx_assert(&sysctl_sx, SA_XLOCKED);
	if (--oidp->oid_running == 0 && (oidp->oid_kind & CTLFLAG_DYING) != 0)
		wakeup(&oidp->oid_running);
}

/* Gives a tunable the value that the kernel environment has for it. */
static void
sysctl_fetch_tunable(struct sysctl_oid *oidp)
{
	char path[128], value[128];
	uint64_t bin[32];
	const char *name;
	size_t len;
	int error;

	if ((oidp->oid_kind & CTLFLAG_TUN) == 0 ||
	    (oidp->oid_kind & CTLFLAG_NOFETCH) != 0 || SYSCTL_IS_NODE(oidp))
		return;
	name = sysctl_path(oidp, path, sizeof(path));
	if (name == NULL || getenv_string(name, value, sizeof(value)) == 0)
		return;
	len = sizeof(bin);
	error = kpi_sysctl_parse(oidp->oid_kind, value, bin, &len);
	if (error == 0) {
		oidp->oid_running++;
		sysctl_wunlock();
		error = kpi_sysctl_request(oidp, NULL, NULL, bin, len);
		sysctl_wlock();
		sysctl_unhold(oidp);
	}
	if (error != 0)
		printf("sysctl: tunable %s=\"%s\": error %d\n", name, value,
		    error);
}

static void
sysctl_register_locked(struct sysctl_oid *oidp, bool enabled)
{
	struct sysctl_oid_list *list;
	struct sysctl_oid *old, *clash;

	list = oidp->oid_parent;
	old = sysctl_find_name(oidp->oid_name, strlen(oidp->oid_name), list);
	if (old != NULL) {
		if (SYSCTL_IS_NODE(old) && SYSCTL_IS_NODE(oidp))
			old->oid_refcnt++;
		else
			printf("sysctl: %s is registered twice\n",
			    oidp->oid_name);
		return;
	}
	if (oidp->oid_number < 0)
		oidp->oid_number = sysctl_next++;
	while ((clash = RB_INSERT(sysctl_oid_list, list, oidp)) != NULL)
		oidp->oid_number = sysctl_next++;
	if (oidp->oid_refcnt == 0)
		oidp->oid_refcnt = 1;
	oidp->oid_kind &= ~CTLFLAG_DYING;
	if (enabled)
		sysctl_fetch_tunable(oidp);
	else
		oidp->oid_kind |= CTLFLAG_DORMANT;
}

void
sysctl_register_oid(struct sysctl_oid *oidp)
{

	sysctl_wlock();
	sysctl_register_locked(oidp, true);
	sysctl_wunlock();
}

void
sysctl_register_disabled_oid(struct sysctl_oid *oidp)
{

	sysctl_wlock();
	sysctl_register_locked(oidp, false);
	sysctl_wunlock();
}

void
sysctl_enable_oid(struct sysctl_oid *oidp)
{

	sysctl_wlock();
	if ((oidp->oid_kind & CTLFLAG_DORMANT) != 0) {
		oidp->oid_kind &= ~CTLFLAG_DORMANT;
		sysctl_fetch_tunable(oidp);
	}
	sysctl_wunlock();
}

static void
sysctl_unregister_locked(struct sysctl_oid *oidp)
{

	if (RB_FIND(sysctl_oid_list, oidp->oid_parent, oidp) != oidp)
		return;
	RB_REMOVE(sysctl_oid_list, oidp->oid_parent, oidp);
	/*
	 * Whoever is inside its handler leaves before the oid goes, and looks
	 * at the other bits until then.
	 */
	*(volatile u_int *)&oidp->oid_kind |= CTLFLAG_DYING;
	while (oidp->oid_running > 0)
		sx_sleep(&oidp->oid_running, &sysctl_sx, 0, "oidrm", 0);
}

void
sysctl_unregister_oid(struct sysctl_oid *oidp)
{

	sysctl_wlock();
	sysctl_unregister_locked(oidp);
	oidp->oid_number = OID_AUTO;
	oidp->oid_refcnt = 0;
	sysctl_wunlock();
}

void
kpi_sysctl_register_set(struct sysctl_oid **begin, struct sysctl_oid **end)
{

	for (; begin < end; begin++)
		sysctl_register_oid(*begin);
}

/* In reverse, so that what a file hangs below its own nodes goes first. */
void
kpi_sysctl_unregister_set(struct sysctl_oid **begin, struct sysctl_oid **end)
{

	struct sysctl_oid **oidp;

	for (oidp = end; oidp-- > begin; )
		sysctl_unregister_oid(*oidp);
	for (oidp = begin; oidp < end; oidp++)
		KASSERT(RB_EMPTY(SYSCTL_CHILDREN(*oidp)),
		    ("sysctl %s: nodes are left below it",
		    (*oidp)->oid_name));
}

struct sysctl_oid *
sysctl_add_oid(struct sysctl_ctx_list *clist, struct sysctl_oid_list *parent,
    int nbr, const char *name, int kind, void *arg1, intmax_t arg2,
    int (*handler)(SYSCTL_HANDLER_ARGS), const char *fmt, const char *descr,
    const char *label)
{
	struct sysctl_oid *oidp;

	if (parent == NULL)
		return (NULL);
	sysctl_wlock();
	oidp = sysctl_find_name(name, strlen(name), parent);
	if (oidp != NULL) {
		if (SYSCTL_IS_NODE(oidp)) {
			oidp->oid_refcnt++;
			if (clist != NULL)
				sysctl_ctx_entry_add(clist, oidp);
		} else {
			printf("sysctl: %s exists already\n", name);
			oidp = NULL;
		}
		sysctl_wunlock();
		return (oidp);
	}
	oidp = malloc(sizeof(*oidp), M_SYSCTLOID, M_WAITOK | M_ZERO);
	oidp->oid_parent = parent;
	RB_INIT(&oidp->oid_children);
	oidp->oid_number = nbr;
	oidp->oid_refcnt = 1;
	oidp->oid_name = strdup(name, M_SYSCTLOID);
	oidp->oid_handler = handler;
	oidp->oid_kind = CTLFLAG_DYN | kind;
	oidp->oid_arg1 = arg1;
	oidp->oid_arg2 = arg2;
	oidp->oid_fmt = fmt;
	if (descr != NULL)
		oidp->oid_descr = strdup(descr, M_SYSCTLOID);
	if (label != NULL)
		oidp->oid_label = strdup(label, M_SYSCTLOID);
	if (clist != NULL)
		sysctl_ctx_entry_add(clist, oidp);
	sysctl_register_locked(oidp, true);
	sysctl_wunlock();
	return (oidp);
}

static int
sysctl_remove_locked(struct sysctl_oid *oidp, int del, int recurse)
{
	struct sysctl_oid *p, *next;
	int error;

	if ((oidp->oid_kind & CTLFLAG_DYN) == 0) {
		printf("sysctl: %s is not dynamic\n", oidp->oid_name);
		return (EINVAL);
	}
	KASSERT(oidp->oid_refcnt > 0,
	    ("sysctl %s: removed too often", oidp->oid_name));
	if (oidp->oid_refcnt > 1) {
		if (del != 0)
			oidp->oid_refcnt--;
		return (0);
	}
	RB_FOREACH_SAFE(p, sysctl_oid_list, SYSCTL_CHILDREN(oidp), next) {
		if (recurse == 0)
			return (ENOTEMPTY);
		error = sysctl_remove_locked(p, del, recurse);
		if (error != 0)
			return (error);
	}
	sysctl_unregister_locked(oidp);
	if (del == 0)
		return (0);
	free(__DECONST(char *, oidp->oid_name), M_SYSCTLOID);
	free(__DECONST(char *, oidp->oid_descr), M_SYSCTLOID);
	free(__DECONST(char *, oidp->oid_label), M_SYSCTLOID);
	free(oidp, M_SYSCTLOID);
	return (0);
}

int
sysctl_remove_oid(struct sysctl_oid *oidp, int del, int recurse)
{
	int error;

	if (oidp == NULL)
		return (EINVAL);
	sysctl_wlock();
	error = sysctl_remove_locked(oidp, del, recurse);
	sysctl_wunlock();
	return (error);
}

int
sysctl_remove_name(struct sysctl_oid *parent, const char *name, int del,
    int recurse)
{
	struct sysctl_oid *oidp;
	int error;

	sysctl_wlock();
	oidp = sysctl_find_name(name, strlen(name), SYSCTL_CHILDREN(parent));
	error = oidp == NULL ? ENOENT :
	    sysctl_remove_locked(oidp, del, recurse);
	sysctl_wunlock();
	return (error);
}

void
sysctl_rename_oid(struct sysctl_oid *oidp, const char *name)
{
	char *new, *old;

	new = strdup(name, M_SYSCTLOID);
	sysctl_wlock();
	old = __DECONST(char *, oidp->oid_name);
	oidp->oid_name = new;
	sysctl_wunlock();
	free(old, M_SYSCTLOID);
}

int
sysctl_ctx_init(struct sysctl_ctx_list *clist)
{

	if (clist == NULL)
		return (EINVAL);
	TAILQ_INIT(clist);
	return (0);
}

struct sysctl_ctx_entry *
sysctl_ctx_entry_add(struct sysctl_ctx_list *clist, struct sysctl_oid *oidp)
{
	struct sysctl_ctx_entry *e;

	if (clist == NULL || oidp == NULL)
		return (NULL);
	e = malloc(sizeof(*e), M_SYSCTLOID, M_WAITOK);
	e->entry = oidp;
	TAILQ_INSERT_HEAD(clist, e, link);
	return (e);
}

struct sysctl_ctx_entry *
sysctl_ctx_entry_find(struct sysctl_ctx_list *clist, struct sysctl_oid *oidp)
{
	struct sysctl_ctx_entry *e;

	TAILQ_FOREACH(e, clist, link)
		if (e->entry == oidp)
			break;
	return (e);
}

int
sysctl_ctx_entry_del(struct sysctl_ctx_list *clist, struct sysctl_oid *oidp)
{
	struct sysctl_ctx_entry *e;

	sysctl_wlock();
	e = sysctl_ctx_entry_find(clist, oidp);
	if (e != NULL)
		TAILQ_REMOVE(clist, e, link);
	sysctl_wunlock();
	free(e, M_SYSCTLOID);
	return (e != NULL ? 0 : ENOENT);
}

/*
 * Can all entries of a context be removed in their order, the newest first?
 * Counts as if each went.
 */
static bool
sysctl_ctx_may_go(struct sysctl_ctx_list *clist)
{
	struct sysctl_ctx_entry *e;
	struct sysctl_oid *p;
	bool ok;

	ok = true;
	TAILQ_FOREACH(e, clist, link) {
		if (--e->entry->oid_refcnt > 0)
			continue;
		RB_FOREACH(p, sysctl_oid_list, SYSCTL_CHILDREN(e->entry))
			if (p->oid_refcnt > 0)
				ok = false;
	}
	TAILQ_FOREACH(e, clist, link)
		e->entry->oid_refcnt++;
	return (ok);
}

/* All or nothing, as the caller expects of EBUSY. */
int
sysctl_ctx_free(struct sysctl_ctx_list *clist)
{
	struct sysctl_ctx_entry *e;
	int error __diagused;

	sysctl_wlock();
	if (!sysctl_ctx_may_go(clist)) {
		sysctl_wunlock();
		return (EBUSY);
	}
	/* Newest first, which is children before their nodes. */
	while ((e = TAILQ_FIRST(clist)) != NULL) {
		TAILQ_REMOVE(clist, e, link);
		error = sysctl_remove_locked(e->entry, 1, 0);
		KASSERT(error == 0, ("sysctl_ctx_free: error %d", error));
		free(e, M_SYSCTLOID);
	}
	sysctl_wunlock();
	return (0);
}

struct sysctl_oid *
kpi_sysctl_hold(const char *name)
{
	struct sysctl_oid_list *list;
	struct sysctl_oid *oidp;
	size_t len;

	oidp = NULL;
	sysctl_wlock();
	for (list = &sysctl__children; ; list = SYSCTL_CHILDREN(oidp)) {
		len = strcspn(name, ".");
		oidp = sysctl_find_name(name, len, list);
		if (oidp == NULL || name[len] == '\0')
			break;
		name += len + 1;
	}
	if (oidp != NULL && (oidp->oid_kind & CTLFLAG_DORMANT) != 0)
		oidp = NULL;
	if (oidp != NULL)
		oidp->oid_running++;
	sysctl_wunlock();
	return (oidp);
}

void
kpi_sysctl_drop(struct sysctl_oid *oidp)
{

	sysctl_wlock();
	sysctl_unhold(oidp);
	sysctl_wunlock();
}

int
sysctl_find_oid(int *name, u_int namelen, struct sysctl_oid **noid,
    int *nindx, struct sysctl_req *req __unused)
{
	struct sysctl_oid_list *list;
	struct sysctl_oid *oidp, key;
	u_int i;

	sx_assert(&sysctl_sx, SA_XLOCKED);
	list = &sysctl__children;
	for (i = 0; i < namelen && i < CTL_MAXNAME; i++) {
		key.oid_number = name[i];
		oidp = RB_FIND(sysctl_oid_list, list, &key);
		if (oidp == NULL || (oidp->oid_kind & CTLFLAG_DORMANT) != 0)
			return (ENOENT);
		if (!SYSCTL_IS_NODE(oidp) || oidp->oid_handler != NULL ||
		    i + 1 == namelen) {
			*noid = oidp;
			if (nindx != NULL)
				*nindx = i + 1;
			return (0);
		}
		list = SYSCTL_CHILDREN(oidp);
	}
	return (ENOENT);
}

static int
sysctl_old_kernel(struct sysctl_req *req, const void *p, size_t len)
{
	size_t n;

	n = 0;
	if (req->oldptr != NULL && req->oldidx < req->oldlen) {
		n = MIN(len, req->oldlen - req->oldidx);
		memcpy((char *)req->oldptr + req->oldidx, p, n);
	}
	req->oldidx += len;
	return (req->oldptr != NULL && n < len ? ENOMEM : 0);
}

static int
sysctl_new_kernel(struct sysctl_req *req, void *p, size_t len)
{

	if (req->newptr == NULL)
		return (0);
	if (req->newlen - req->newidx < len)
		return (EINVAL);
	memcpy(p, (const char *)req->newptr + req->newidx, len);
	req->newidx += len;
	return (0);
}

int
kpi_sysctl_request(struct sysctl_oid *oidp, void *old, size_t *oldlen,
    const void *new, size_t newlen)
{
	struct sysctl_req req;
	int error;

	if (oidp->oid_handler == NULL)
		return (SYSCTL_IS_NODE(oidp) ? EISDIR : EINVAL);
	memset(&req, 0, sizeof(req));
	req.td = curthread;
	req.lock = REQ_UNWIRED;
	req.oldptr = old;
	req.oldlen = oldlen != NULL ? *oldlen : 0;
	req.validlen = req.oldlen;
	req.oldfunc = sysctl_old_kernel;
	req.newptr = new;
	req.newlen = newlen;
	req.newfunc = sysctl_new_kernel;
	/* An oid that does not say MPSAFE has Giant held around its handler. */
	if ((oidp->oid_kind & CTLFLAG_MPSAFE) == 0)
		mtx_lock(&Giant);
	error = oidp->oid_handler(oidp, oidp->oid_arg1, oidp->oid_arg2, &req);
	if ((oidp->oid_kind & CTLFLAG_MPSAFE) == 0)
		mtx_unlock(&Giant);
	if (oldlen != NULL)
		*oldlen = req.oldidx;
	return (error);
}

int
sysctl_wire_old_buffer(struct sysctl_req *req __unused, size_t len __unused)
{

	/* Kernel memory is always wired. */
	return (0);
}

int
kernel_sysctlbyname(struct thread *td __unused, char *name, void *old,
    size_t *oldlenp, void *new, size_t newlen, size_t *retval,
    int flags __unused)
{
	struct sysctl_oid *oidp;
	size_t len;
	int error;

	if ((oidp = kpi_sysctl_hold(name)) == NULL)
		return (ENOENT);
	len = oldlenp != NULL ? *oldlenp : 0;
	if (new != NULL && (oidp->oid_kind & CTLFLAG_WR) == 0)
		error = EPERM;
	else
		error = kpi_sysctl_request(oidp, old, &len, new, newlen);
	kpi_sysctl_drop(oidp);
	if (oldlenp != NULL)
		*oldlenp = len;
	if (retval != NULL)
		*retval = len;
	return (error);
}
