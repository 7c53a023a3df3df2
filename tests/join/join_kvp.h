/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For tests of key-value pairs end to end: the host's provider, the driver and
 * hv_kvp_daemon(8) as a process, or the test in its place.
 */

#ifndef TESTS_JOIN_JOIN_KVP_H
#define	TESTS_JOIN_JOIN_KVP_H

#include <sys/types.h>

#include <pthread.h>

#include "dev/hyperv/utilities/hv_kvp_dev.h"
#include "join.h"

#define	JOIN_KVP_SOCKET	"hv_kvp_dev"	/* in the case's own folder */
#define	JOIN_KVP_POOLS	"pools"

struct join_kvp {
	struct join	 j;
	struct hvh_ic	*ic;
	struct devbridge *bridge;
	pid_t		 daemon;	/* 0: none */
};

/*
 * How an order of the host's ended, with copies of what came: read them after
 * join_kvp_wait().
 */
struct join_kvp_order {
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	bool		 over;
	int		 error;
	uint32_t	 status;
	uint32_t	 type;
	char		 key[1024];
	char		 text[4096];
	struct hv_kvp_dev_ip ip;
};

/* Boots with nets adapters and no daemon; ready for orders. */
void	join_kvp_start(struct join_kvp *jk, unsigned nets);
/* Ends the daemon, if there is one, and the machine. */
void	join_kvp_finish(struct join_kvp *jk);

/* Starts the daemon, and waits until it has the device open. */
void	join_kvp_daemon(struct join_kvp *jk);
/* Ends it by a signal, and waits until it and its file are gone. */
void	join_kvp_kill(struct join_kvp *jk, int sig);

/* It ends by itself, and with success. */
void	join_kvp_gone(struct join_kvp *jk);

/* Opens the device as a daemon would; registered: says so, too. */
int	join_kvp_open(bool registered);
/* Waits until the device is closed. */
void	join_kvp_close(struct join_kvp *jk, int fd);
/* The request that the kernel has for whoever has fd; fails the case if none */
void	join_kvp_take(int fd, struct hv_kvp_dev_msg *km);
void	join_kvp_answer(int fd, struct hv_kvp_dev_msg *km, uint32_t status);

/* For the functions of hvhost.h: done and arg; wait for the end of it. */
void	join_kvp_begin(struct join_kvp_order *o);
void	join_kvp_done(void *arg, const struct hvh_ic_result *r);
/* Up to ms milliseconds; fails the case if that is not enough. */
void	join_kvp_wait(struct join_kvp_order *o, unsigned ms);
bool	join_kvp_over(struct join_kvp_order *o);

/* Whole orders; they return the guest's status, UINT32_MAX: an error. */
uint32_t join_kvp_set(struct join_kvp *jk, enum hvh_kvp_pool pool,
	    const char *key, const char *text);
uint32_t join_kvp_get(struct join_kvp *jk, enum hvh_kvp_pool pool,
	    const char *key, char *text, size_t size);
uint32_t join_kvp_delete(struct join_kvp *jk, enum hvh_kvp_pool pool,
	    const char *key);
uint32_t join_kvp_enum(struct join_kvp *jk, enum hvh_kvp_pool pool,
	    uint32_t index, struct join_kvp_order *o);
/* Fails the case unless the key has this value. */
void	join_kvp_expect(struct join_kvp *jk, enum hvh_kvp_pool pool,
	    const char *key, const char *text);
/* How many pairs there are. */
unsigned join_kvp_count(struct join_kvp *jk, enum hvh_kvp_pool pool);

#endif	/* !TESTS_JOIN_JOIN_KVP_H */
