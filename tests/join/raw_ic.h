/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The host's end of an integration service, without any manners: it sends what
 * a test gives it and keeps what comes back, byte for byte.
 */

#ifndef TESTS_JOIN_RAW_IC_H
#define	TESTS_JOIN_RAW_IC_H

#include "vmbus/channel.h"

#define	RAW_ANSWERS	256
#define	RAW_LEN		13320

struct raw_answer {
	uint16_t	 type;		/* of the packet, 6: in-band */
	bool		 wants_completion;
	uint64_t	 xid;
	uint32_t	 len;		/* with the packet's padding */
	uint8_t		 data[RAW_LEN];
};

struct raw_msg {
	uint8_t		 data[RAW_LEN];
	uint32_t	 len;
};

struct raw_ic {
	struct hvh	*h;
	struct hvh_chan	*ch;
	bool		 open;
	unsigned	 opens, closes;
	bool		 deaf;		/* reads no answers */
	unsigned	 ngreetings;
	struct raw_msg	 greetings[2];	/* sent when the guest opens it */
	unsigned	 got, taken;	/* answers, also those too many */
	struct raw_answer answers[RAW_ANSWERS];
};

/* Offers a service of this class. */
struct raw_ic *raw_ic_add(struct hvh *h, const char *class);
/* Waits until the guest has opened it. */
void	raw_ic_wait_open(struct raw_ic *r);
/* Puts a packet in the ring; 0, or EAGAIN: it is full. */
int	raw_ic_send(struct raw_ic *r, uint16_t type, const void *data,
	    uint32_t len, uint64_t xid);
/*
 * The oldest answer not taken yet, within ms milliseconds of real time; NULL.
 */
const struct raw_answer *raw_ic_answer(struct raw_ic *r, unsigned ms);
/* How many have come. */
unsigned raw_ic_got(struct raw_ic *r);
void	raw_ic_listen(struct raw_ic *r);

/* --- Messages --- */

/* A request of this type, IC transaction id 7, body of len zero bytes. */
void	raw_msg(struct raw_msg *m, uint16_t type, uint32_t len);
void	raw_put16(struct raw_msg *m, uint32_t at, uint16_t v);
void	raw_put32(struct raw_msg *m, uint32_t at, uint32_t v);
void	raw_put64(struct raw_msg *m, uint32_t at, uint64_t v);
uint32_t raw_get(const struct raw_answer *a, uint32_t at, unsigned bytes);
uint64_t raw_get64(const struct raw_answer *a, uint32_t at);
/* Framework 3.0 and 1.0, and one message version: major << 16 | minor. */
void	raw_negotiation(struct raw_msg *m, uint32_t version);

/*
 * Sends the message, and checks that there is exactly one answer, with the
 * request's ids and an answer's flags, of this status.
 */
const struct raw_answer *raw_ic_ask(struct raw_ic *r, const struct raw_msg *m,
	    uint32_t status);
/* Agrees on this message version. */
void	raw_ic_agree(struct raw_ic *r, uint32_t version);

#endif	/* !TESTS_JOIN_RAW_IC_H */
