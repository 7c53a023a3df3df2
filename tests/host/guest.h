/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest by hand, for tests of the host model: memory, a clock that the test
 * advances, MSRs, messages and rings, written from protocol/ with literal
 * numbers so that a wrong constant of the library shows.  Not a driver: it
 * does exactly what a test says, lies included.
 */

#ifndef GUEST_H
#define	GUEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hvhost.h"

#define	GUEST_PAGES	1024
#define	GUEST_VPS	4
#define	PAGE		4096ull
#define	GPA(page)	((uint64_t)(page) * PAGE)

/* Pages with a use. */
#define	PG_CODE		1	/* hypercall page */
#define	PG_POST		2
#define	PG_TSC		3
#define	PG_INT		4	/* interrupt page */
#define	PG_MON1		5
#define	PG_MON2		6
#define	PG_SIMP		8	/* + VP */
#define	PG_SIEFP	16	/* + VP */
#define	PG_FREE		32	/* tests from here on */

struct guest {
	struct hvh	*h;
	uint8_t		*mem;
	_Atomic uint64_t now;		/* ns */
	_Atomic unsigned kicks;
	_Atomic unsigned irqs[GUEST_VPS][256];
	_Atomic unsigned autoeoi;	/* of the irqs */
	unsigned	 resets, crashes;
	uint64_t	 crash[5];
	char		 crash_text[64];	/* its beginning */
	unsigned	 loglines;
	char		 log[512];	/* the last line */
	bool		 verbose;
	uint32_t	 next_gpadl;
	/* The last flush, who asked for it, its ranges. */
	unsigned	 flushes;
	uint32_t	 flush_vp;
	struct hvh_flush flush;
	uint64_t	 ranges[512];
	unsigned	 eois[GUEST_VPS];
	_Atomic uint64_t tsc_rate, tsc_base;	/* of guest_create_tsc() */
	/* What the library traces, if the test asked for it. */
	void		(*trace)(void *arg, const struct hvh_trace_event *ev);
	void		*trace_arg;
};

/* A partition on 4 MiB; cf may be NULL, memory and VPs are filled in. */
void	guest_create(struct guest *g, const struct hvh_config *cf);
/*
 * The same on a TSC that goes with the guest's clock: base and rate times its
 * nanoseconds, 2 at first.
 */
void	guest_create_tsc(struct guest *g, const struct hvh_config *cf);
uint64_t guest_tsc(struct guest *g);
/* The same, and trace sees every event. */
void	guest_create_traced(struct guest *g,
	    void (*trace)(void *arg, const struct hvh_trace_event *ev),
	    void *arg);
void	guest_destroy(struct guest *g);
uint8_t *guest_page(struct guest *g, unsigned page);

void	wrmsr(struct guest *g, uint32_t vp, uint32_t msr, uint64_t val);
uint64_t rdmsr(struct guest *g, uint32_t vp, uint32_t msr);
/* SIMP, SIEFP, SINT 2 (vector 0x50 + vp), SCONTROL of every VP. */
void	guest_synic(struct guest *g);
/* Pumps until nothing is left to do now. */
void	guest_pump(struct guest *g);
/* Lets ns pass, pumping at each time asked for. */
void	guest_sleep(struct guest *g, uint64_t ns);

/* Reports a crash: this in the first register, and a text. */
void	guest_crash(struct guest *g, uint64_t what, const char *text);

/* The hypercalls. */
uint64_t guest_post(struct guest *g, uint32_t conn, const void *msg,
	    size_t len);
uint64_t guest_signal(struct guest *g, uint32_t conn);

/*
 * Takes the next channel message of VP's SINT 2 slot after pumping; false:
 * none.  msg has 240 bytes.
 */
bool	guest_message(struct guest *g, uint32_t vp, uint8_t *msg);
/* The same; the test fails if it is missing or of another type. */
void	guest_expect(struct guest *g, uint32_t type, uint8_t *msg);
void	guest_expect_none(struct guest *g);
/* Contact and VERSION RESPONSE. */
bool	guest_contact(struct guest *g, uint32_t version);
/* Contact, offers: number of them; the last offer's message in msg. */
unsigned guest_connect(struct guest *g, uint32_t version, uint8_t *msg);

uint32_t get32(const void *p);
uint64_t get64(const void *p);
void	put32(void *p, uint32_t v);
void	put64(void *p, uint64_t v);

/* GPADL over pages from first on (stride apart), in as many messages. */
uint32_t guest_gpadl(struct guest *g, uint32_t chan, unsigned first,
	    unsigned npages, unsigned stride);
/* OPEN without waiting for the result. */
void	guest_open_post(struct guest *g, uint32_t chan, uint32_t gpadl,
	    uint32_t vp, uint32_t down);
/* The status of OPEN RESULT. */
uint32_t guest_open(struct guest *g, uint32_t chan, uint32_t gpadl,
	    uint32_t vp, uint32_t down);
void	guest_close(struct guest *g, uint32_t chan);
void	guest_teardown(struct guest *g, uint32_t chan, uint32_t gpadl);

/* A channel's rings, contiguous pages, from the guest's side. */
struct guest_ring {
	struct guest	*g;
	uint8_t		*tx, *rx;	/* control pages */
	uint32_t	 txsize, rxsize;
	uint32_t	 txin, rxout;
	bool		 mask;		/* reads mask the ring */
};

void	guest_ring(struct guest_ring *r, struct guest *g, unsigned first,
	    unsigned npages, unsigned down);
/*
 * Writes a packet; hdr goes between descriptor and data.  0: no signal due,
 * 1: due, -1: no room.
 */
int	guest_write(struct guest_ring *r, uint16_t type, uint16_t flags,
	    uint64_t xid, const void *hdr, uint32_t hdrlen, const void *data,
	    uint32_t len);
/* Reads a packet into buf, whole; its bytes, 0: none. */
uint32_t guest_read(struct guest_ring *r, void *buf, uint32_t size);
/* Takes the event flag of a channel. */
bool	guest_event(struct guest *g, uint32_t vp, uint32_t flag);

#endif	/* !GUEST_H */
