/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of an integration service over fake_bus.h: messages as
 * literal bytes, written from the protocol and not from the host's
 * structures.  protocol: utilities, 2
 */

#ifndef TESTS_HOST_FAKE_IC_H
#define	TESTS_HOST_FAKE_IC_H

#include "fake_bus.h"

#define	FIC_NEGOTIATE	0
#define	FIC_SECOND	1000000000ull

/* A message, as it came or is to be sent. */
struct fic_msg {
	uint64_t	 xid;		/* of the packet */
	uint32_t	 len;		/* of the packet */
	uint8_t		 b[FAKE_PKT_MAX];
};

/* What ended last; a test's own. */
struct fic_end {
	unsigned	 n;		/* calls */
	int		 error;
	uint32_t	 status;
	uint32_t	 flags;
	uint32_t	 len;
	uint64_t	 bytes;
	char		 step[16];
	bool		 have_item;
	unsigned	 type;
	char		 key[1024], text[4096];
	uint64_t	 number;
	bool		 have_ip;
	char		 ip[8][4096];
	unsigned	 family;
	bool		 dhcp;
};

uint16_t fic_get16(const uint8_t *p);
uint32_t fic_get32(const uint8_t *p);
uint64_t fic_get64(const uint8_t *p);
void	fic_put16(uint8_t *p, uint16_t v);
void	fic_put32(uint8_t *p, uint32_t v);
void	fic_put64(uint8_t *p, uint64_t v);

/* Records into *arg, a struct fic_end. */
void	fic_done(void *arg, const struct hvh_ic_result *r);

/* A partition with that service, its channel open. */
struct hvh *fic_new(enum hvh_ic_kind kind, uint32_t max_version,
	    struct hvh_ic **ic, struct hvh_chan **ch);
/* The next message to the guest, its header checked; false: there is none. */
bool	fic_next(struct hvh_chan *ch, struct fic_msg *m);
/* The same; it must be there and of that type. */
void	fic_expect(struct hvh_chan *ch, uint16_t type, struct fic_msg *m);
/* Sends m as it is. */
void	fic_send(struct hvh_chan *ch, const struct fic_msg *m);
/* Answers m: flags and status; the body is what m holds. */
void	fic_answer(struct hvh_chan *ch, struct fic_msg *m, uint32_t status);
/* Answers the negotiation that waits. */
void	fic_agree(struct hvh_chan *ch, uint32_t framework, uint32_t version);
/* Lets ns pass and pumps. */
void	fic_sleep(struct hvh *h, uint64_t ns);

#endif	/* !TESTS_HOST_FAKE_IC_H */
