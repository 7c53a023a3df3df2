/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the tests of the SCSI target stand on; see scsi_context.h.
 */

#include <atf-c.h>
#include <string.h>

#include "scsi_context.h"

struct hvh *h;
struct scsi_lun *lun;
struct hvh_blk *blk;
uint8_t buf[BUF];
struct scsi_cmd cmd;
unsigned ndone;
static struct iovec iovs[64];

static void
done(struct scsi_cmd *c)
{

	ndone++;
}

void
setup_params(const struct hvh_blk_params *bp, bool cdrom, bool no_unmap)
{
	static const uint8_t id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	    13, 14, 15, 16 };
	struct hvh_lun_params lp = { .cdrom = cdrom, .no_unmap = no_unmap };
	char err[200];

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(h, bp, &blk, err, sizeof(err)),
	    "%s", err);
	lp.blk = blk;
	ATF_REQUIRE_EQ(0, scsi_lun_create(h, &lp, id, 1 << 20, &lun));
}

void
setup(bool readonly)
{
	struct hvh_blk_params bp = { .size = BLOCKS * 512, .block_size = 512,
	    .readonly = readonly };

	setup_params(&bp, false, false);
}

void
teardown(void)
{

	ATF_CHECK_EQ(0, lun->busy);
	scsi_lun_destroy(lun);
	fake_free(h);
}

void
begin(struct scsi_cmd *c, const uint8_t *cdb, size_t cdblen, bool in,
    uint32_t len)
{
	static struct iovec other[64];

	memset(c, 0, sizeof(*c));
	memcpy(c->cdb, cdb, cdblen);
	c->to_guest = in;
	c->data_len = len;
	c->iov = c == &cmd ? iovs : other;
	c->iovmax = 64;
	/* Two pieces, cut where no block ends. */
	c->niov = len == 0 ? 0 : len > 100 ? 2 : 1;
	c->iov[0] = (struct iovec){ buf, len > 100 ? 100 : len };
	if (len > 100)
		c->iov[1] = (struct iovec){ buf + 100, len - 100 };
	c->done = done;
	scsi_exec(lun, c);
	scsi_run(lun);
}
