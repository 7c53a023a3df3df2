/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Reading traces back: the file, and what its records mean in words.
 */

#ifndef CONTROL_TRACE_READ_H
#define	CONTROL_TRACE_READ_H

#include "control/trace_reg.h"
#include "hvhost.h"

/* --- trace_read.c: the file. --- */

struct trace_reader;

/* A sentence in err names the file. */
int	trace_reader_open(const char *path, struct trace_reader **trp,
	    char *err, size_t errlen);
void	trace_reader_close(struct trace_reader *tr);
const struct trace_head *trace_reader_head(const struct trace_reader *tr);

enum trace_got {
	TRACE_GOT,
	TRACE_END,		/* of the file, between two records */
	TRACE_SHORT,		/* the file ends inside of a record */
	TRACE_FAILED,		/* errno of the read */
};

/*
 * The next record that makes sense.  *skipped: bytes before it that do not,
 * or that were left at the end.  After END and SHORT it may be called again:
 * the file may have grown.
 */
enum trace_got trace_next(struct trace_reader *tr, struct trace_record *r,
	    const uint8_t **data, uint64_t *skipped);

/* --- trace_decode.c, trace_scsi.c, trace_net.c, trace_ic.c,
 * trace_memory.c: the meaning --- */

/* What is known of the trace so far: channels, requests under way. */
struct trace_state;

struct trace_line {
	const char	*kind;		/* "message", "packet", ... */
	char		 name[40];	/* message, operation of a packet */
	char		 op[40];	/* SCSI command, or empty */
	uint32_t	 number;	/* what name stands for */
	uint32_t	 chan;		/* the message's too, 0: none */
	uint64_t	 latency;	/* of a completion, ns; 0: not known */
	char		 text[320];	/* the rest, in words */
};

struct trace_state *trace_state_new(void);
void	trace_state_free(struct trace_state *ts);
/* Every record in turn, since later ones want to know of earlier ones. */
void	trace_decode(struct trace_state *ts, const struct trace_record *r,
	    const uint8_t *data, struct trace_line *line);

/* Appends to line->text, as far as there is room. */
void	trace_say(struct trace_line *line, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* A request remembered until its completion. */
struct trace_request {
	uint64_t	 xid;
	uint64_t	 time;
	uint32_t	 chan;		/* 0: nothing here */
	bool		 host;		/* it is the host's */
	uint32_t	 operation;
	uint8_t		 opcode;
	uint8_t		 path, target, lun;
};

/* The payload of a storage channel's packet; req: the request it answers, or
 * the place to remember this one. */
void	trace_vstor(struct trace_line *line, const uint8_t *payload,
	    size_t len, bool out, struct trace_request *req);
/*
 * The same of a network channel's.  header: of hlen bytes, what a packet of
 * transfer pages begins with.
 */
void	trace_nvsp(struct trace_line *line, const uint8_t *header, size_t hlen,
	    const uint8_t *payload, size_t len, bool answer);
/* And of an integration service's. */
void	trace_ic(struct trace_line *line, const uint8_t *payload, size_t len,
	    bool answer);
/* And of dynamic memory's. */
void	trace_memory(struct trace_line *line, const uint8_t *payload,
	    size_t len);

#endif	/* !CONTROL_TRACE_READ_H */
