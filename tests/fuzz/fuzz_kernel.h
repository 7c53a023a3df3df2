/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The part of the fuzzers that is compiled like a driver, as their Linux side
 * sees it; compiler types only.  Each returns NULL, or what does not hold.
 */

#ifndef FUZZ_KERNEL_H
#define	FUZZ_KERNEL_H

/*
 * A script against a ring whose control page is ctl and whose data, twice size
 * bytes (the second half stands for the second mapping), is data.
 */
const char *ktest_fuzz_tx(void *ctl, unsigned char *data, unsigned size,
	    const unsigned char *script, unsigned long len);
const char *ktest_fuzz_rx(void *ctl, unsigned char *data, unsigned size,
	    const unsigned char *script, unsigned long len);

/* A completion of len bytes, at most ktest_fuzz_pkt_size(). */
unsigned ktest_fuzz_pkt_size(void);
const char *ktest_fuzz_completion(const void *pkt, unsigned len,
	    unsigned wanted);
const char *ktest_fuzz_inquiry(unsigned version, const unsigned char cdb[16],
	    unsigned char *data, unsigned len);
const char *ktest_fuzz_message(unsigned type, unsigned long len,
	    unsigned version);
const char *ktest_fuzz_lookup(unsigned base, unsigned reserve,
	    unsigned states, unsigned long long xid);

/* The network's: messages and objects of len bytes. */
const char *ktest_fuzz_packet(const unsigned char *msg, unsigned len);
const char *ktest_fuzz_frame(const unsigned char *p, unsigned len);
const char *ktest_fuzz_rndis(unsigned which, const unsigned char *msg,
	    unsigned len);
const char *ktest_fuzz_ndis(unsigned which, const unsigned char *obj,
	    unsigned len);

/*
 * Key-value pairs: a message of len bytes, in which the answer is made, and
 * what the daemon filled in.
 */
const char *ktest_fuzz_kvp(unsigned char *body, unsigned len,
	    const unsigned char *answer, unsigned alen);

/*
 * File copy: a message of len bytes; the program's request is made in request,
 * which has room for a struct hv_fcopy_dev_msg, *rlen: 0, or its length.
 */
const char *ktest_fuzz_fcopy(const unsigned char *body, unsigned len,
	    unsigned char *request, unsigned *rlen);

#endif	/* !FUZZ_KERNEL_H */
