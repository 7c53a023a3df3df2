/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The lock-order check, as witness(4) does it: which lock of which name was
 * taken while which other was held, for the whole run and all threads.  Where
 * the kernel would print a warning this one panics.  Without INVARIANTS nothing
 * is tracked.
 */

#include <kern/kpi_internal.h>

#define	WITNESS_MAX	512		/* names of locks */
#define	EDGES_MAX	8192
#define	NAME_MAX_	64
#define	HASH		256

struct witness {
	char		 w_name[NAME_MAX_];
	struct lock_class *w_class;
	u_int		 w_index;
	u_int		 w_locks;	/* that exist now */
	struct witness	*w_next;	/* in the hash chain */
};

#ifdef INVARIANTS

/* Where "from, then to" was seen first. */
struct edge {
	u_int		 e_from, e_to;
	const char	*e_ffile, *e_tfile;
	int		 e_fline, e_tline;
};

static struct kpi_lock	graph_lock;
static struct witness	witnesses[WITNESS_MAX];
static struct witness	*hash[HASH];
static u_int		 nwitness;
static volatile uint8_t	 order[WITNESS_MAX][WITNESS_MAX];
static struct edge	 edges[EDGES_MAX];
static u_int		 nedges;

static bool
sleepable(const struct lock_object *lock)
{
	return ((LOCK_CLASS(lock)->lc_flags & LC_SLEEPABLE) != 0);
}

static u_int
name_hash(const char *s)
{
	u_int h = 5381;

	while (*s != '\0')
		h = h * 33 + (u_char)*s++;
	return (h % HASH);
}

void
witness_init(struct lock_object *lock, const char *type)
{
	struct witness *w;
	u_int h;

	lock->lo_witness = NULL;
	if ((lock->lo_flags & LO_WITNESS) == 0)
		return;
	h = name_hash(type);
	kpi_lock(&graph_lock);
	for (w = hash[h]; w != NULL; w = w->w_next)
		if (w->w_class == LOCK_CLASS(lock) &&
		    strncmp(w->w_name, type, sizeof(w->w_name) - 1) == 0)
			break;
	if (w == NULL && nwitness < WITNESS_MAX) {
		w = &witnesses[nwitness];
		w->w_index = nwitness++;
		w->w_class = LOCK_CLASS(lock);
		strlcpy(w->w_name, type, sizeof(w->w_name));
		w->w_next = hash[h];
		hash[h] = w;
	}
	if (w != NULL)
		w->w_locks++;
	kpi_unlock(&graph_lock);
	lock->lo_witness = w;
}

void
witness_destroy(struct lock_object *lock)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int i;

	for (i = 0; i < kt->kt_nheld; i++)
		if (kt->kt_held[i].kh_lock == lock)
			panic("lock (%s) %s destroyed while held, acquired at "
			    "%s:%d", LOCK_CLASS(lock)->lc_name, lock->lo_name,
			    kt->kt_held[i].kh_file, kt->kt_held[i].kh_line);
	if (lock->lo_witness == NULL)
		return;
	kpi_lock(&graph_lock);
	lock->lo_witness->w_locks--;
	kpi_unlock(&graph_lock);
	lock->lo_witness = NULL;
}

/* Is there a way from one to the other along the orders seen? */
static bool
reachable(u_int from, u_int to, uint8_t *seen, struct edge **last)
{
	u_int i;

	seen[from] = 1;
	for (i = 0; i < nedges; i++) {
		if (edges[i].e_from != from)
			continue;
		if (edges[i].e_to == to || (!seen[edges[i].e_to] &&
		    reachable(edges[i].e_to, to, seen, last))) {
			*last = &edges[i];
			return (true);
		}
	}
	return (false);
}

/* An order not seen before; graph_lock is taken here. */
static void
order_add(const struct kpi_held *h, struct lock_object *lock, const char *file,
    int line)
{
	static uint8_t seen[WITNESS_MAX];
	struct witness *f = h->kh_lock->lo_witness, *t = lock->lo_witness;
	struct edge *e;

	kpi_lock(&graph_lock);
	memset(seen, 0, sizeof(seen));
	e = NULL;
	if (reachable(t->w_index, f->w_index, seen, &e)) {
		kpi_unlock(&graph_lock);
		panic("lock order reversal: \"%s\" (%s:%d) then \"%s\" (%s:%d);"
		    " seen before: \"%s\" (%s:%d) then \"%s\" (%s:%d)",
		    f->w_name, h->kh_file, h->kh_line, t->w_name, file, line,
		    witnesses[e->e_from].w_name, e->e_ffile, e->e_fline,
		    witnesses[e->e_to].w_name, e->e_tfile, e->e_tline);
	}
	if (nedges < EDGES_MAX && !order[f->w_index][t->w_index]) {
		e = &edges[nedges++];
		e->e_from = f->w_index;
		e->e_to = t->w_index;
		e->e_ffile = h->kh_file;
		e->e_fline = h->kh_line;
		e->e_tfile = file;
		e->e_tline = line;
		__atomic_store_n(&order[f->w_index][t->w_index], 1,
		    __ATOMIC_RELEASE);
	}
	kpi_unlock(&graph_lock);
}

static void
check_one(const struct kpi_held *h, struct lock_object *lock, int flags,
    const char *file, int line)
{
	/* Giant is dropped by who sleeps: no order between it and these. */
	if (h->kh_lock == &Giant.lock_object && sleepable(lock))
		return;
	if (lock == &Giant.lock_object && sleepable(h->kh_lock))
		return;
	if (sleepable(lock) && !sleepable(h->kh_lock))
		panic("sleepable lock (%s) \"%s\" acquired at %s:%d with "
		    "non-sleepable (%s) \"%s\" held since %s:%d",
		    LOCK_CLASS(lock)->lc_name, lock->lo_name, file, line,
		    LOCK_CLASS(h->kh_lock)->lc_name, h->kh_lock->lo_name,
		    h->kh_file, h->kh_line);
	if (h->kh_lock->lo_witness == NULL)
		return;
	if (h->kh_lock->lo_witness == lock->lo_witness) {
		if (h->kh_lock == lock || (lock->lo_flags & LO_DUPOK) != 0 ||
		    (flags & LOP_DUPOK) != 0)
			return;
		panic("acquiring duplicate lock of same type: \"%s\" at %s:%d,"
		    " first at %s:%d", lock->lo_name, file, line, h->kh_file,
		    h->kh_line);
	}
	if (!__atomic_load_n(&order[h->kh_lock->lo_witness->w_index]
	    [lock->lo_witness->w_index], __ATOMIC_ACQUIRE))
		order_add(h, lock, file, line);
}

void
witness_checkorder(struct lock_object *lock, int flags, const char *file,
    int line, struct lock_object *interlock)
{
	struct thread *td = curthread;
	struct kpi_thread *kt = KPI_THREAD(td);
	u_int i;

	if (KERNEL_PANICKED())
		return;
	if (td->td_critnest != 0 &&
	    (LOCK_CLASS(lock)->lc_flags & LC_SLEEPLOCK) != 0)
		panic("acquiring blockable sleep lock with spinlock or "
		    "critical section held (%s) %s @ %s:%d",
		    LOCK_CLASS(lock)->lc_name, lock->lo_name, file, line);
	if (lock->lo_witness == NULL)
		return;
	for (i = 0; i < kt->kt_nheld; i++)
		if (kt->kt_held[i].kh_lock != interlock)
			check_one(&kt->kt_held[i], lock, flags, file, line);
}

void
witness_lock(struct lock_object *lock, int flags, const char *file, int line)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	struct kpi_held *h;

	if (kt->kt_nheld == KPI_HELD_MAX)
		panic("thread %s holds more than %d locks", kt->kt_td.td_name,
		    KPI_HELD_MAX);
	h = &kt->kt_held[kt->kt_nheld++];
	h->kh_lock = lock;
	h->kh_file = file;
	h->kh_line = line;
	h->kh_flags = flags;
}

void
witness_unlock(struct lock_object *lock, int flags, const char *file, int line)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int i;

	for (i = kt->kt_nheld; i-- > 0;) {
		if (kt->kt_held[i].kh_lock != lock)
			continue;
		kt->kt_nheld--;
		memmove(&kt->kt_held[i], &kt->kt_held[i + 1],
		    (kt->kt_nheld - i) * sizeof(kt->kt_held[0]));
		return;
	}
	if (!KERNEL_PANICKED())
		panic("lock (%s) %s not locked by this thread @ %s:%d",
		    LOCK_CLASS(lock)->lc_name, lock->lo_name, file, line);
}

static void
held_flags(const struct lock_object *lock, u_int set, u_int clear)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int i;

	for (i = 0; i < kt->kt_nheld; i++)
		if (kt->kt_held[i].kh_lock == lock)
			kt->kt_held[i].kh_flags =
			    (kt->kt_held[i].kh_flags & ~clear) | set;
}

void
witness_upgrade(struct lock_object *lock, int flags, const char *file,
    int line)
{
	held_flags(lock, LOP_EXCLUSIVE, 0);
}

void
witness_downgrade(struct lock_object *lock, int flags, const char *file,
    int line)
{
	held_flags(lock, 0, LOP_EXCLUSIVE);
}

int
witness_is_owned(const struct lock_object *lock)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int i;

	for (i = 0; i < kt->kt_nheld; i++)
		if (kt->kt_held[i].kh_lock == lock)
			return (1);
	return (0);
}

const struct kpi_held *
kpi_witness_nosleep(const struct lock_object *interlock)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int i;

	for (i = 0; i < kt->kt_nheld; i++)
		if (kt->kt_held[i].kh_lock != interlock &&
		    kt->kt_held[i].kh_lock != &Giant.lock_object &&
		    !sleepable(kt->kt_held[i].kh_lock))
			return (&kt->kt_held[i]);
	return (NULL);
}

void
kpi_witness_exit(struct thread *td, const char *what)
{
	struct kpi_thread *kt = KPI_THREAD(td);

	if (kt->kt_nheld != 0 && !KERNEL_PANICKED())
		panic("thread %s %s with %s locked at %s:%d", td->td_name,
		    what, kt->kt_held[0].kh_lock->lo_name,
		    kt->kt_held[0].kh_file, kt->kt_held[0].kh_line);
}

#else	/* !INVARIANTS */

void
witness_init(struct lock_object *lock, const char *type)
{
}

void
witness_destroy(struct lock_object *lock)
{
}

void
witness_checkorder(struct lock_object *lock, int flags, const char *file,
    int line, struct lock_object *interlock)
{
}

void
witness_lock(struct lock_object *lock, int flags, const char *file, int line)
{
}

void
witness_unlock(struct lock_object *lock, int flags, const char *file, int line)
{
}

void
witness_upgrade(struct lock_object *lock, int flags, const char *file,
    int line)
{
}

void
witness_downgrade(struct lock_object *lock, int flags, const char *file,
    int line)
{
}

const struct kpi_held *
kpi_witness_nosleep(const struct lock_object *interlock)
{
	return (NULL);
}

void
kpi_witness_exit(struct thread *td, const char *what)
{
}

#endif	/* INVARIANTS */
