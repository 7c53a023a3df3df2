/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Inside hv_kvp_daemon(8).  Two processes: one talks to the kernel and keeps
 * the pools, in capability mode; the helper knows the system and its network
 * interfaces.  Both do a request in place: what struct hv_kvp_dev_msg holds is
 * made the answer, and the HV_KVP_DEV_ status is returned.
 */

#ifndef _HV_KVP_DAEMON_H_
#define	_HV_KVP_DAEMON_H_

#include <sys/types.h>
#include <sys/stat.h>

#include <stdbool.h>
#include <stdint.h>

#include <dev/hyperv/utilities/hv_kvp_dev.h>

/* --- kvp_pool.c: the pools that are files --- */

/* A record of a file; the rest of each member means nothing. */
struct kvp_record {
	char	kr_key[HV_KVP_DEV_KEY_MAX];
	char	kr_value[HV_KVP_DEV_VALUE_MAX];
};
_Static_assert(sizeof(struct kvp_record) == 2560, "kvp_record");

/* More than that is refused: a host shall not fill the disk. */
#define	KVP_RECORDS_MAX	4096

struct kvp_pool {
	struct kvp_record *kp_rec;	/* what the file held when looked at */
	size_t		 kp_nrec;
	size_t		 kp_room;
	bool		 kp_loaded;
	bool		 kp_exists;	/* the file */
	struct stat	 kp_stat;	/* of the file: shows a change */
	size_t		 kp_stale;	/* records that count no more */
	bool		 kp_stuck;	/* they could not be removed */
	unsigned	 kp_unsynced;	/* records behind what is synced */
	int64_t		 kp_appended;	/* ms, when the last was; 0: none */
};

struct kvp_pools {
	int		 ks_dir;
	struct kvp_pool	 ks_pool[HV_KVP_DEV_POOLS];
};

/* dirfd: of the folder; becomes the pools'. */
void	kvp_pools_open(struct kvp_pools *ps, int dirfd);
void	kvp_pools_close(struct kvp_pools *ps);
/* Whether there is something to sync, for when no more requests come. */
bool	kvp_pools_unsynced(const struct kvp_pools *ps);
void	kvp_pools_sync(struct kvp_pools *ps);
/* GET, SET, DELETE and ENUMERATE. */
uint32_t kvp_pool_do(struct kvp_pools *ps, struct hv_kvp_dev_msg *km);

/* --- kvp_os.c: the pool of facts about the guest --- */

uint32_t kvp_os_do(struct hv_kvp_dev_msg *km);

/* --- kvp_ip.c: network interfaces --- */

struct kvp_ip_config {
	const char	*kc_scripts;	/* folder of the hv_* scripts */
	const char	*kc_state;	/* folder for ifconfig files */
	bool		 kc_readonly;	/* SET_IP is refused */
};

uint32_t kvp_ip_do(const struct kvp_ip_config *kc, struct hv_kvp_dev_msg *km);
/* All addresses of a family, but the loopback interface's. */
void	kvp_ip_all(int family, char *buf, size_t size);

/* kvp_ipset.c: makes the scripts do what the host wants of an interface. */
uint32_t kvp_ip_set(const struct kvp_ip_config *kc,
	    struct hv_kvp_dev_ip *ip);

/* --- kvp_script.c: what scripts of the administrator do --- */

/*
 * Runs kc_scripts/name with up to two arguments, for a few seconds at most.
 * Its standard output goes to buf (NULL: nowhere), lines and blanks as they
 * are.  -1: it could not be run, failed or took too long.
 */
int	kvp_script(const struct kvp_ip_config *kc, const char *name,
	    const char *arg1, const char *arg2, char *buf, size_t size);

/* --- kvp_helper.c: the other process --- */

struct kvp_helper {
	int	kh_fd;		/* -1: it is gone */
};

/* Starts it; close it does whoever forks.  errno. */
int	kvp_helper_start(struct kvp_helper *kh, const struct kvp_ip_config *kc);
/* Has it do a request; never takes longer than the kernel waits. */
uint32_t kvp_helper_do(struct kvp_helper *kh, struct hv_kvp_dev_msg *km);

#endif	/* !_HV_KVP_DAEMON_H_ */
