/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The VMBus server alone: messages go in, and everything the server says or
 * asks for is written down as text, which tests compare.  Messages are made
 * from literal offsets of protocol: vmbus, 2.
 */

#ifndef RECORDER_H
#define	RECORDER_H

#include "vmbus/server.h"

#define	REC_CHANS	6
#define	REC_PAGES	64

struct recorder {
	struct vms_server s;
	char		 text[8192];
	struct vms_chan	 chan[REC_CHANS];
	bool		 gone[REC_CHANS];
	bool		 lazy;		/* devices answer by the test */
	bool		 refuse;	/* devices refuse to open */
	uint8_t		 page[REC_PAGES][4096] __attribute__((aligned(4096)));
};

void	rec_init(struct recorder *r, uint32_t max, uint32_t min);
/* Device n, named n + 1 in the text; subs of device 0 with sub > 0. */
void	rec_offer(struct recorder *r, unsigned n, unsigned sub);
/* Ends it: everything must go. */
void	rec_fini(struct recorder *r);
/* What was said since the last time; "" is nothing. */
void	rec_expect(struct recorder *r, const char *file, int line,
	    const char *text);
#define	EXPECT(r, text)	rec_expect(r, __FILE__, __LINE__, text)

void	in_contact(struct recorder *r, uint32_t version, uint32_t vp,
	    bool multi);
/* type, and u32 words from offset 8 on; len bytes in all. */
void	in_words(struct recorder *r, uint32_t type, size_t len, unsigned n,
	    ...);
void	in_open(struct recorder *r, uint32_t chan, uint32_t openid,
	    uint32_t gpadl, uint32_t vp, uint32_t down);
/* One range of n pages from page number first on, in one message. */
void	in_gpadl(struct recorder *r, uint32_t chan, uint32_t id,
	    uint64_t first, unsigned n);
/* Contact and offers, said and forgotten. */
void	rec_connect(struct recorder *r, uint32_t version);

#endif	/* !RECORDER_H */
