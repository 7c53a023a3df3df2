/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the bus half of the hosted kernel (sysctl, newbus, devices, DMA) offers
 * to the rest of kpi/.  For kpi/ only.
 */

#ifndef _KPI_BUS_H_
#define	_KPI_BUS_H_

#include "kpi_internal.h"

struct cdev;
struct file;
struct knote;
struct sysctl_oid;

/* kern_environment.c: a number with C's notation and a unit ("64k"). */
bool	kpi_parse_number(const char *s, char **endp, bool sign, uint64_t *res);

/* In place; good until the variable is set anew or unset. */
const char *kpi_kenv_peek(const char *name);
const char *kpi_kenv_index(int index, const char **value);

/* kern_sysctl.c: the static oids of one linker file. */
void	kpi_sysctl_register_set(struct sysctl_oid **begin,
	    struct sysctl_oid **end);
void	kpi_sysctl_unregister_set(struct sysctl_oid **begin,
	    struct sysctl_oid **end);
/* The oid of a dotted name, with a hold on it; NULL. */
struct sysctl_oid *kpi_sysctl_hold(const char *name);
void	kpi_sysctl_drop(struct sysctl_oid *oidp);
/* One request to a held oid; *oldlen: in the room, out the size there is. */
int	kpi_sysctl_request(struct sysctl_oid *oidp, void *old, size_t *oldlen,
	    const void *new, size_t newlen);
/* kern_sysctl_text.c: text as sysctl(8) takes it, to the oid's type. */
int	kpi_sysctl_parse(u_int kind, const char *text, void *buf, size_t *len);

/* subr_eventhandler.c */
void	kpi_eventhandler_prune(void);

/* kern_conf.c: under devmtx; and what kern_devfile.c needs of it. */
struct cdev *kpi_cdev_find(const char *name);
void	kpi_cdevpriv_drop(struct file *fp);
/* sys_generic.c: waits up to ms of kernel time, for ever if negative. */
int	kpi_select(int (*poll)(void *arg, struct thread *td), void *arg,
	    int ms, int *revents);
int	kpi_knote_wait(struct knote *kn, int ms);

#endif	/* !_KPI_BUS_H_ */
