/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Requests through a storage channel: data to and from guest pages, many at
 * once, back-pressure, resets, units that come and go, and channels that
 * close while the disk still works.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_vsc.h"

static struct hvh *h;
static struct hvh_scsi *sc;
static struct hvh_chan *ch;

static const uint8_t tur[6];

static void
start(uint16_t subchannels)
{

	h = fake_new(16 << 20);
	sc = vsc_controller(h, 0, subchannels);
	ch = fake_chan(h, 0);
	ATF_REQUIRE_EQ(0, fake_open(ch));
}

static void
file_disk(unsigned lun, const char *path, uint64_t size, bool uring)
{
	struct hvh_blk_params bp = { .path = path, .size = size,
	    .block_size = 512, .create = true, .no_uring = !uring };
	struct hvh_lun_params lp = { 0 };
	char err[200];

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(h, &bp, &lp.blk, err, sizeof(err)),
	    "%s", err);
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(sc, lun, &lp));
}

static void
rw_cdb(uint8_t cdb[10], bool write, uint32_t lba, uint16_t count)
{

	memset(cdb, 0, 10);
	cdb[0] = write ? 0x2a : 0x28;
	cdb[2] = (uint8_t)(lba >> 24);
	cdb[3] = (uint8_t)(lba >> 16);
	cdb[4] = (uint8_t)(lba >> 8);
	cdb[5] = (uint8_t)lba;
	cdb[7] = (uint8_t)(count >> 8);
	cdb[8] = (uint8_t)count;
}

static void
queue_rw(struct hvh_chan *c, uint64_t xid, uint8_t lun, bool write,
    uint32_t lba, uint16_t count, uint64_t gpa)
{
	uint8_t cdb[10];

	rw_cdb(cdb, write, lba, count);
	vsc_queue(c, xid, lun, cdb, 10, !write, gpa, count * 512u);
}

static struct hvh_chan *
subchannel(uint16_t count, uint16_t idx)
{
	struct hvh_chan *sub;

	if (h->subs_offered == 0)
		ATF_REQUIRE_EQ(0, vsc_op(ch, 13, 64, &count, 2));
	sub = fake_chan(h, idx);
	ATF_REQUIRE(sub != NULL);
	ATF_REQUIRE_EQ(0, fake_open(sub));
	return (sub);
}

static void
fault(enum hvh_fault_action action, uint32_t key, uint32_t times, uint64_t arg)
{

	h->nfaults = 1;
	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = action, .key = key, .times = times, .arg = arg };
}

/* Random extents on a file, each read back by the file and by the disk. */
static void
integrity(bool uring)
{
	enum { SECTORS = 4096, ROUNDS = 400 };
	uint8_t *image = calloc(SECTORS, 512), *back = malloc(SECTORS * 512);
	uint64_t gpa, xid = 1;
	struct vsc_reply rp;
	uint32_t count, lba, seed = 1, total = 0, i, k;
	int fd;

	start(0);
	file_disk(2, "image", SECTORS * 512, uring);
	vsc_up(ch, 0x0602);
	for (k = 0; k < ROUNDS; k++) {
		seed = seed * 1103515245 + 12345;
		count = 1 + (seed >> 8) % 400;
		lba = (seed >> 4) % (SECTORS - count);
		gpa = (seed >> 3) % (8 << 20) / 4 * 4;
		for (i = 0; i < count * 512; i++)
			h->mem[gpa + i] = image[lba * 512 + i] =
			    (uint8_t)(i * 31 + k + i / 509);
		queue_rw(ch, ++xid, 2, true, lba, (uint16_t)count, gpa);
		fake_signal(ch);
		ATF_REQUIRE(fake_pump_until(h, &ch->out.n, 1));
		ATF_REQUIRE(vsc_reply(ch, &rp));
		ATF_REQUIRE_EQ(1, rp.srb_status);
		ATF_REQUIRE_EQ(count * 512, rp.xfer);
		total += count * 512;
	}
	ATF_CHECK_EQ(total, h->stats.io_write_bytes);
	fd = open("image", O_RDONLY);
	ATF_REQUIRE_EQ(SECTORS * 512, pread(fd, back, SECTORS * 512, 0));
	ATF_CHECK(memcmp(image, back, SECTORS * 512) == 0);
	close(fd);
	/* All of it in flight together, each piece to a place of its own. */
	memset(h->mem, 0, 4 << 20);
	for (i = 0; i < SECTORS / 32; i++)
		queue_rw(ch, i + 1, 2, false, i * 32, 32, i * 16384 + 4);
	fake_signal(ch);
	ATF_REQUIRE(fake_pump_until(h, &ch->out.n, SECTORS / 32));
	while (vsc_reply(ch, &rp))
		ATF_REQUIRE_EQ(16384, rp.xfer);
	ATF_CHECK(memcmp(h->mem + 4, image, SECTORS * 512) == 0);
	free(image);
	free(back);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(integrity_uring);
ATF_TC_BODY(integrity_uring, tc)
{

	integrity(true);
}

ATF_TC_WITHOUT_HEAD(integrity_plain);
ATF_TC_BODY(integrity_plain, tc)
{

	integrity(false);
}

ATF_TC_WITHOUT_HEAD(bad_memory);
ATF_TC_BODY(bad_memory, tc)
{
	uint8_t cdb[10];
	struct fake_pkt *p;
	struct vsc_reply rp;

	start(0);
	vsc_disk(h, sc, 0, 4 << 20);
	vsc_up(ch, 0x0602);
	rw_cdb(cdb, false, 0, 16);
	p = vsc_queue(ch, 1, 0, cdb, 10, true, 0, 8192);
	p->pfns[1] = 1 << 20;
	p = vsc_queue(ch, 2, 0, cdb, 10, true, 0, 8192);
	p->pfns[0] = UINT64_MAX;
	/* The end of memory, and one byte past it. */
	vsc_queue(ch, 3, 0, cdb, 10, true, (16 << 20) - 8192, 8192);
	vsc_queue(ch, 4, 0, cdb, 10, true, (16 << 20) - 8191, 8192);
	/* More than max_transfer, in pages that do not join. */
	p = vsc_queue(ch, 5, 0, cdb, 10, true, 0, 2 << 20);
	for (int i = 0; i < 512; i++)
		p->pfns[i] = (uint64_t)(512 - i) * 2;
	fake_signal(ch);
	for (int i = 1; i <= 5; i++) {
		ATF_REQUIRE(vsc_reply(ch, &rp));
		if (rp.xid == 3) {
			ATF_CHECK_EQ(1, rp.srb_status);
			continue;
		}
		ATF_CHECK_EQ(0x86, rp.srb_status);
		ATF_CHECK_EQ(5, rp.sense[2]);
		ATF_CHECK_EQ(0x24, rp.sense[12]);
		ATF_CHECK_EQ(0, rp.xfer);
		ATF_CHECK_EQ(0xc0000185, rp.status);
	}
	fake_free(h);
}

/* Sense takes the CDB's place, in the short packet as in the long. */
ATF_TC_WITHOUT_HEAD(sense_place);
ATF_TC_BODY(sense_place, tc)
{
	struct fake_pkt *p;
	struct vsc_reply rp;
	uint8_t bad[6] = { 0xff };

	start(0);
	vsc_disk(h, sc, 0, 1 << 20);
	vsc_up(ch, 0x0402);
	p = vsc_queue(ch, 1, 0, bad, 6, true, 0, 0);
	p->len = 48;
	fake_signal(ch);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(48, rp.len);
	ATF_CHECK_EQ(0x86, rp.srb_status);
	ATF_CHECK_EQ(2, rp.scsi_status);
	ATF_CHECK_EQ(0x70, rp.sense[0]);
	ATF_CHECK_EQ(5, rp.sense[2]);
	ATF_CHECK_EQ(10, rp.sense[7]);
	ATF_CHECK_EQ(0x20, rp.sense[12]);
	fake_free(h);
}

/* 256 in flight, the rest waits; all come back once, with their own ids. */
ATF_TC_WITHOUT_HEAD(depth);
ATF_TC_BODY(depth, tc)
{
	enum { N = 1000 };
	struct vsc_reply rp;
	uint8_t *seen = calloc(N, 1);
	unsigned i;

	start(0);
	vsc_disk(h, sc, 0, 1 << 20);
	vsc_up(ch, 0x0602);
	fault(HVH_FAULT_DELAY, 0x28, 0, 1000);
	for (i = 0; i < N; i++)
		queue_rw(ch, i, 0, false, i, 1, 4096);
	fake_signal(ch);
	ATF_CHECK_EQ(N - 256, ch->in.n);
	ATF_CHECK_EQ(0, ch->out.n);
	for (i = 0; i < 5; i++) {
		h->now += 1000;
		fake_pump(h);
	}
	ATF_CHECK_EQ(0, ch->in.n);
	while (vsc_reply(ch, &rp)) {
		ATF_REQUIRE(rp.xid < N);
		ATF_REQUIRE_EQ(0, seen[rp.xid]);
		seen[rp.xid] = 1;
	}
	ATF_CHECK(memchr(seen, 0, N) == NULL);
	free(seen);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(back_pressure);
ATF_TC_BODY(back_pressure, tc)
{
	struct vsc_reply rp;
	unsigned i, got = 0;

	start(0);
	vsc_disk(h, sc, 0, 1 << 20);
	vsc_up(ch, 0x0602);
	ch->room = 10;
	for (i = 0; i < 600; i++)
		vsc_queue(ch, i, 0, tur, 6, true, 0, 0);
	fake_signal(ch);
	ATF_CHECK_EQ(10, ch->out.n);
	/* Reading stopped: the guest's ring keeps the rest. */
	ATF_CHECK(ch->in.n >= 600 - 256 - 10);
	while (got < 600) {
		ch->room = 7;
		fake_signal(ch);
		ATF_REQUIRE(vsc_reply(ch, &rp));
		do {
			ATF_REQUIRE_EQ(got, rp.xid);
			got++;
		} while (vsc_reply(ch, &rp));
	}
	ATF_CHECK_EQ(0, ch->in.n);
	fake_free(h);
}

/* A long queue is not served in one go: others have their turn. */
ATF_TC_WITHOUT_HEAD(budget);
ATF_TC_BODY(budget, tc)
{
	struct fake_pkt *p;
	unsigned i;

	start(0);
	vsc_disk(h, sc, 0, 1 << 20);
	vsc_up(ch, 0x0602);
	for (i = 0; i < 5000; i++)
		vsc_queue(ch, i, 0, tur, 6, true, 0, 0);
	fake_signal(ch);
	ATF_CHECK(ch->in.n > 0);
	for (i = 0; i < 10 && ch->in.n > 0; i++)
		fake_pump(h);
	ATF_CHECK_EQ(5000, ch->out.n);
	while ((p = fake_get(ch)) != NULL)
		fake_pkt_free(p);
	fake_free(h);
}

static void
expect(uint64_t xid, uint8_t srb_status)
{
	struct vsc_reply rp;

	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ_MSG(xid, rp.xid, "got %d, not %d", (int)rp.xid, (int)xid);
	ATF_CHECK_EQ_MSG(srb_status, rp.srb_status, "%d: %02x", (int)xid,
	    rp.srb_status);
}

static void
queue_reset(uint64_t xid, uint8_t op, uint8_t lun)
{
	uint8_t pkt[64] = { op, 0, 0, 0, 1 };

	pkt[19] = lun;
	fake_put(ch, 6, true, xid, pkt, 64);
}

ATF_TC_WITHOUT_HEAD(resets);
ATF_TC_BODY(resets, tc)
{
	struct hvh_chan *sub;
	struct vsc_reply rp;

	start(2);
	vsc_disk(h, sc, 0, 1 << 20);
	vsc_disk(h, sc, 1, 1 << 20);
	vsc_up(ch, 0x0602);
	sub = subchannel(2, 1);
	/* A unit's reset ends that unit's requests, on all channels. */
	fault(HVH_FAULT_DROP, 0x28, 0, 0);
	queue_rw(ch, 1, 0, false, 0, 1, 0);
	queue_rw(ch, 2, 1, false, 0, 1, 0);
	queue_rw(sub, 3, 1, false, 0, 1, 0);
	fake_signal(ch);
	fake_signal(sub);
	ATF_CHECK_EQ(0, ch->out.n + sub->out.n);
	queue_reset(9, 4, 1);
	fake_signal(ch);
	expect(2, 2);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(9, rp.xid);
	ATF_CHECK_EQ(0, rp.status);
	ATF_CHECK_EQ(0, ch->out.n);
	ATF_REQUIRE(vsc_reply(sub, &rp));
	ATF_CHECK_EQ(3, rp.xid);
	ATF_CHECK_EQ(2, rp.srb_status);
	ATF_CHECK_EQ(0, rp.scsi_status);
	ATF_CHECK_EQ(0xc0000120, rp.status);
	/* A bus reset ends them all, an adapter reset too. */
	queue_rw(ch, 4, 1, false, 0, 1, 0);
	queue_reset(10, 6, 0);
	queue_rw(ch, 5, 1, false, 0, 1, 0);
	queue_reset(11, 5, 0);
	fake_signal(ch);
	expect(1, 0x0e);
	expect(4, 0x0e);
	expect(10, 0);
	expect(5, 0x0e);
	expect(11, 0);
	/* Of a unit that is not there: nothing to wait for. */
	queue_rw(ch, 6, 1, false, 0, 1, 0);
	queue_reset(12, 4, 44);
	fake_signal(ch);
	expect(12, 0);
	ATF_CHECK_EQ(0, ch->out.n);
	/* What comes after a reset is not hurt by it. */
	h->nfaults = 0;
	queue_reset(13, 6, 0);
	queue_rw(ch, 7, 1, false, 0, 1, 0);
	fake_signal(ch);
	expect(6, 0x0e);
	expect(13, 0);
	expect(7, 1);
	fake_free(h);
}

/* What the kernel has begun is waited for: the reset is answered last. */
ATF_TC_WITHOUT_HEAD(reset_waits);
ATF_TC_BODY(reset_waits, tc)
{
	enum { N = 64 };
	struct vsc_reply rp;
	unsigned i, n = 0;
	bool reset = false;

	start(0);
	file_disk(0, "image", 64 << 20, true);
	vsc_up(ch, 0x0602);
	for (i = 0; i < N; i++)
		queue_rw(ch, i + 1, 0, true, i * 2048, 2048, 0);
	queue_reset(1000, 6, 0);
	fake_signal(ch);
	ATF_REQUIRE(fake_pump_until(h, &ch->out.n, N + 1));
	while (vsc_reply(ch, &rp)) {
		ATF_CHECK(!reset);
		if (rp.xid == 1000) {
			reset = true;
			continue;
		}
		n++;
		ATF_CHECK(rp.srb_status == 1 || rp.srb_status == 0x0e);
	}
	ATF_CHECK(reset);
	ATF_CHECK_EQ(N, n);
	fake_free(h);
}

/* A disk comes: the guest is told.  protocol: storvsc, 9 */
ATF_TC_WITHOUT_HEAD(hot_add);
ATF_TC_BODY(hot_add, tc)
{
	static const uint16_t versions[] = { 0x0200, 0x0402, 0x0501, 0x0602 };
	static const uint32_t sizes[] = { 0, 48, 64, 64 };
	struct fake_pkt *p;
	unsigned i, k;

	for (i = 0; i < 4; i++) {
		start(0);
		vsc_disk(h, sc, 0, 1 << 20);
		ATF_CHECK_EQ(0, ch->out.n);
		vsc_up(ch, versions[i]);
		ATF_CHECK_EQ(0, ch->out.n);
		vsc_disk(h, sc, 1, 1 << 20);
		p = fake_get(ch);
		ATF_REQUIRE_EQ(sizes[i] != 0, p != NULL);
		if (p != NULL) {
			ATF_CHECK_EQ(6, p->type);
			ATF_CHECK_EQ(0, p->xid);
			ATF_CHECK_EQ(sizes[i], p->len);
			ATF_CHECK_EQ(11, p->data[0]);
			for (k = 1; k < p->len; k++)
				ATF_CHECK_EQ(0, p->data[k]);
			fake_pkt_free(p);
		}
		ATF_CHECK_EQ(0, hvh_scsi_detach(sc, 1));
		ATF_CHECK_EQ(sizes[i] != 0, ch->out.n);
		ATF_CHECK_EQ(ENOENT, hvh_scsi_detach(sc, 1));
		fake_free(h);
	}
	/* Without room it waits, and several become one. */
	start(0);
	vsc_up(ch, 0x0602);
	ch->room = 0;
	vsc_disk(h, sc, 3, 1 << 20);
	vsc_disk(h, sc, 4, 1 << 20);
	ch->room = 10;
	fake_signal(ch);
	ATF_CHECK_EQ(1, ch->out.n);
	fake_free(h);
}

/* A disk goes with requests under way. */
ATF_TC_WITHOUT_HEAD(hot_remove);
ATF_TC_BODY(hot_remove, tc)
{
	struct fake_pkt *p;
	struct vsc_reply rp;
	struct hvh_blk_params bp = { .path = "image", .block_size = 512 };
	struct hvh_blk *blk;
	char err[200];
	unsigned i, n;

	start(0);
	file_disk(0, "image", 32 << 20, true);
	vsc_up(ch, 0x0602);
	fault(HVH_FAULT_DROP, 0x28, 4, 0);
	for (i = 0; i < 4; i++)
		queue_rw(ch, i + 1, 0, false, 0, 1, 0);
	for (i = 0; i < 16; i++)
		queue_rw(ch, i + 5, 0, true, i * 2048, 2048, 0);
	fake_signal(ch);
	ATF_CHECK_EQ(0, hvh_scsi_detach(sc, 0));
	ATF_REQUIRE(fake_pump_until(h, &ch->out.n, 21));
	for (i = n = 0; (p = fake_get(ch)) != NULL; i++) {
		if (p->type == 11) {
			n++;
			/* In flight or done before, but never lost. */
			ATF_CHECK(p->data[14] == 0x20 || p->data[14] == 1);
			if (p->xid <= 4)
				ATF_CHECK_EQ(0x20, p->data[14]);
		} else {
			ATF_CHECK_EQ(11, p->data[0]);
		}
		fake_pkt_free(p);
	}
	ATF_CHECK_EQ(20, n);
	vsc_srb(ch, 0, tur, 6, true, 0, 0, &rp);
	ATF_CHECK_EQ(0x20, rp.srb_status);
	/* The file is free again once the pump has been round. */
	fake_pump(h);
	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(h, &bp, &blk, err, sizeof(err)),
	    "%s", err);
	hvh_blk_close(blk);
	fake_free(h);
}

/* Closing ends everything; the rings are let go once nothing uses memory. */
ATF_TC_WITHOUT_HEAD(close_in_flight);
ATF_TC_BODY(close_in_flight, tc)
{
	struct hvh_chan *sub;
	struct fake_pkt *p;
	unsigned i, before;

	start(1);
	file_disk(0, "image", 64 << 20, true);
	vsc_up(ch, 0x0602);
	sub = subchannel(1, 1);
	fault(HVH_FAULT_DROP, 0x28, 10, 0);
	for (i = 0; i < 10; i++)
		queue_rw(sub, i + 1, 0, false, 0, 1, 0);
	for (i = 0; i < 32; i++)
		queue_rw(sub, i + 100, 0, true, i * 2048, 2048, 0);
	fake_signal(sub);
	queue_rw(ch, 1, 0, true, 0, 8, 0);
	queue_reset(2, 6, 0);
	fake_signal(ch);
	fake_close(sub);
	fake_close(ch);
	before = sub->out.n;
	ATF_CHECK(fake_pump_until(h, &sub->closed, 1));
	ATF_CHECK(fake_pump_until(h, &ch->closed, 1));
	ATF_CHECK_EQ(before, sub->out.n);
	/* And it opens again, with nothing left over. */
	while ((p = fake_get(ch)) != NULL)
		fake_pkt_free(p);
	ATF_REQUIRE_EQ(0, fake_open(ch));
	ATF_CHECK_EQ(0, ch->out.n);
	vsc_up(ch, 0x0501);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(rescind_in_flight);
ATF_TC_BODY(rescind_in_flight, tc)
{
	unsigned i;

	start(0);
	file_disk(0, "image", 64 << 20, true);
	vsc_disk(h, sc, 1, 1 << 20);
	vsc_up(ch, 0x0602);
	fault(HVH_FAULT_DELAY, 0x28, 0, 1000000);
	for (i = 0; i < 20; i++)
		queue_rw(ch, i + 1, 1, false, 0, 1, 0);
	for (i = 0; i < 20; i++)
		queue_rw(ch, i + 50, 0, true, i * 2048, 2048, 0);
	fake_signal(ch);
	hvh_scsi_remove(sc);
	ATF_CHECK(fake_pump_until(h, &h->released, 1));
	ATF_CHECK_EQ(1, ch->closed);
	ATF_CHECK(h->timers == NULL);
	ATF_CHECK(h->sources == NULL);
	fake_free(h);
}

/* Somebody else's rescind: the owner's handle outlives the device. */
ATF_TC_WITHOUT_HEAD(rescind_by_others);
ATF_TC_BODY(rescind_by_others, tc)
{
	struct hvh_blk_params bp = { .size = 1 << 20, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	char err[200];

	start(0);
	vsc_disk(h, sc, 0, 1 << 20);
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &lp.blk, err, sizeof(err)));
	hvh_lock(h);
	hvh_chan_revoke(ch);
	hvh_unlock(h);
	ATF_CHECK_EQ(ENODEV, hvh_scsi_attach(sc, 1, &lp));
	ATF_CHECK(fake_pump_until(h, &h->released, 1));
	ATF_CHECK_EQ(ENODEV, hvh_scsi_attach(sc, 1, &lp));
	ATF_CHECK_EQ(ENOENT, hvh_scsi_detach(sc, 0));
	hvh_blk_close(lp.blk);
	hvh_scsi_remove(sc);
	fake_free(h);

	/* Or the partition ends it. */
	start(0);
	hvh_lock(h);
	hvh_chan_revoke(ch);
	hvh_unlock(h);
	ATF_CHECK(fake_pump_until(h, &h->released, 1));
	fake_free(h);
}

/* The partition goes with everything under way: nothing is left behind. */
ATF_TC_WITHOUT_HEAD(destroy_in_flight);
ATF_TC_BODY(destroy_in_flight, tc)
{
	unsigned i;

	start(0);
	file_disk(0, "image", 64 << 20, true);
	vsc_disk(h, sc, 1, 1 << 20);
	vsc_up(ch, 0x0602);
	fault(HVH_FAULT_DELAY, 0x28, 0, 1000000);
	for (i = 0; i < 20; i++)
		queue_rw(ch, i + 1, 1, false, 0, 1, 0);
	for (i = 0; i < 20; i++)
		queue_rw(ch, i + 50, 0, true, i * 2048, 2048, 0);
	fake_signal(ch);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, integrity_uring);
	ATF_TP_ADD_TC(tp, integrity_plain);
	ATF_TP_ADD_TC(tp, bad_memory);
	ATF_TP_ADD_TC(tp, sense_place);
	ATF_TP_ADD_TC(tp, depth);
	ATF_TP_ADD_TC(tp, back_pressure);
	ATF_TP_ADD_TC(tp, budget);
	ATF_TP_ADD_TC(tp, resets);
	ATF_TP_ADD_TC(tp, reset_waits);
	ATF_TP_ADD_TC(tp, hot_add);
	ATF_TP_ADD_TC(tp, hot_remove);
	ATF_TP_ADD_TC(tp, close_in_flight);
	ATF_TP_ADD_TC(tp, rescind_in_flight);
	ATF_TP_ADD_TC(tp, rescind_by_others);
	ATF_TP_ADD_TC(tp, destroy_in_flight);
	return (atf_no_error());
}
