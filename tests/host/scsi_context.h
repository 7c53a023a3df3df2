/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A logical unit without a controller: tests hand it commands directly.  One
 * unit a test, so all of it is global.
 */

#ifndef TESTS_HOST_SCSI_CONTEXT_H
#define	TESTS_HOST_SCSI_CONTEXT_H

#include "fake_bus.h"
#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	BUF	(256 * 1024)
#define	BLOCKS	2048ull		/* of setup()'s disk, 512 bytes each */

extern struct hvh *h;
extern struct scsi_lun *lun;
extern struct hvh_blk *blk;
extern uint8_t buf[BUF];
extern struct scsi_cmd cmd;
extern unsigned ndone;		/* commands done */

void	setup_params(const struct hvh_blk_params *bp, bool cdrom,
	    bool no_unmap);
void	setup(bool readonly);
void	teardown(void);
/* Begins a command on the first len bytes of buf. */
void	begin(struct scsi_cmd *c, const uint8_t *cdb, size_t cdblen, bool in,
	    uint32_t len);

/* Runs a command to its end; in: data to the guest. */
#define	RUN(in, len, ...)						\
	do {								\
		const uint8_t cdb_[] = { __VA_ARGS__ };			\
		ndone = 0;						\
		begin(&cmd, cdb_, sizeof(cdb_), in, len);		\
		ATF_REQUIRE_EQ(1, ndone);				\
	} while (0)
#define	GOOD(want)							\
	do {								\
		ATF_CHECK_EQ(SCSI_GOOD, cmd.status);			\
		ATF_CHECK_EQ(SRB_SUCCESS, cmd.srb_status);		\
		ATF_CHECK(!cmd.sense_valid);				\
		ATF_CHECK_EQ((uint32_t)(want), cmd.xfer);		\
	} while (0)
#define	SENSE(srb, key, asc, ascq)					\
	do {								\
		ATF_CHECK_EQ(SCSI_CHECK_CONDITION, cmd.status);		\
		ATF_CHECK_EQ_MSG(srb, cmd.srb_status, "srb %02x",	\
		    cmd.srb_status);					\
		ATF_CHECK(cmd.sense_valid);				\
		ATF_CHECK_EQ(0x70, cmd.sense[0]);			\
		ATF_CHECK_EQ_MSG(key, cmd.sense[2], "key %x",		\
		    cmd.sense[2]);					\
		ATF_CHECK_EQ(10, cmd.sense[7]);				\
		ATF_CHECK_EQ_MSG(asc, cmd.sense[12], "asc %02x",	\
		    cmd.sense[12]);					\
		ATF_CHECK_EQ(ascq, cmd.sense[13]);			\
		ATF_CHECK_EQ(0, cmd.xfer);				\
	} while (0)
#define	BAD_CDB()	SENSE(SRB_INVALID_REQUEST, 5, 0x24, 0)
#define	BAD_LBA()	SENSE(SRB_INVALID_REQUEST, 5, 0x21, 0)
#define	BAD_OP()	SENSE(SRB_INVALID_REQUEST, 5, 0x20, 0)

#define	TEST(name, text)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", text);			\
	}								\
	ATF_TC_BODY(name, tc)

#endif	/* !TESTS_HOST_SCSI_CONTEXT_H */
