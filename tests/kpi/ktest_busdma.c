/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bus_dma: segments by the rules of the tag, bounce pages that really copy,
 * loads that wait, and the mistakes of drivers.
 */

#include <ktest.h>

#include <sys/bio.h>
#include <sys/bus.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/memdesc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/uio.h>

#include <machine/bus.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>

#include <kpi.h>

#define	MAXSEGS	64
#define	LOW	(16UL * 1024 * 1024 - 1)	/* what a narrow device sees */

struct load {
	bus_dma_segment_t segs[MAXSEGS];
	int	nsegs;
	int	error;
	int	calls;
};

static void
load_cb(void *arg, bus_dma_segment_t *segs, int nsegs, int error)
{
	struct load *l = arg;

	l->calls++;
	l->error = error;
	l->nsegs = nsegs;
	KT_CHECK(nsegs <= MAXSEGS);
	for (int i = 0; i < nsegs; i++)
		l->segs[i] = segs[i];
}

static bus_size_t
load_len(const struct load *l)
{
	bus_size_t len = 0;

	for (int i = 0; i < l->nsegs; i++)
		len += l->segs[i].ds_len;
	return (len);
}

static bus_dma_tag_t
tag(bus_size_t align, bus_addr_t boundary, bus_addr_t low, bus_size_t maxsize,
    int nsegs, bus_size_t segsz)
{
	bus_dma_tag_t t;

	KT_EQ(bus_dma_tag_create(NULL, align, boundary, low,
	    BUS_SPACE_MAXADDR, NULL, NULL, maxsize, nsegs, segsz, 0, NULL,
	    NULL, &t), 0);
	return (t);
}

/* Contiguous memory above or below what the narrow device sees. */
static char *
mem(size_t size, bool low)
{
	char *p;

	p = contigmalloc(size, M_TEMP, M_WAITOK | M_ZERO, low ? 0 : LOW + 1,
	    low ? LOW : ~0UL, PAGE_SIZE, 0);
	KT_CHECK(p != NULL);
	return (p);
}

KTEST(busdma_segments, "contiguous pages are one segment, cut by size")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 16, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(65536, false);
	KT_EQ(bus_dmamap_load(t, map, p + 100, 50000, load_cb, &l, 0), 0);
	KT_CHECK(l.calls == 1 && l.error == 0 && l.nsegs == 1);
	KT_EQ(l.segs[0].ds_addr, vtophys(p) + 100);
	KT_EQ(l.segs[0].ds_len, 50000);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 16, 6000);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	KT_EQ(bus_dmamap_load(t, map, p + 100, 50000, load_cb, &l, 0), 0);
	KT_EQ(l.nsegs, 9);
	for (int i = 0; i < l.nsegs; i++)
		KT_EQ(l.segs[i].ds_len, i < 8 ? 6000 : 2000);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(scatter_busdma, "pages that are apart are segments apart")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;
	int i;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 17, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = malloc(65536, M_TEMP, M_WAITOK);
	KT_EQ(bus_dmamap_load(t, map, p, 65536, load_cb, &l, 0), 0);
	KT_CHECK(l.nsegs > 1);
	KT_EQ(load_len(&l), 65536);
	KT_EQ(l.segs[0].ds_addr, vtophys(p));
	for (i = 1; i < l.nsegs; i++)
		KT_CHECK(l.segs[i].ds_addr != l.segs[i - 1].ds_addr +
		    l.segs[i - 1].ds_len);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(busdma_boundary, "no segment crosses the boundary, the parent's neither")
{
	struct load l = { .calls = 0 };
	bus_dma_tag_t parent, t;
	bus_dmamap_t map;
	char *p;

	KT_EQ(bus_dma_tag_create(NULL, 1, 8192, BUS_SPACE_MAXADDR,
	    BUS_SPACE_MAXADDR, NULL, NULL, 65536, BUS_SPACE_UNRESTRICTED,
	    65536, 0, NULL, NULL, &parent), 0);
	KT_EQ(bus_dma_tag_create(parent, 1, 0, BUS_SPACE_MAXADDR,
	    BUS_SPACE_MAXADDR, NULL, NULL, 65536, 16, 65536, 0, NULL, NULL,
	    &t), 0);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(65536, false);
	KT_EQ(bus_dmamap_load(t, map, p + 1000, 30000, load_cb, &l, 0), 0);
	KT_EQ(l.error, 0);
	KT_EQ(load_len(&l), 30000);
	for (int i = 0; i < l.nsegs; i++)
		KT_EQ(rounddown2(l.segs[i].ds_addr, 8192),
		    rounddown2(l.segs[i].ds_addr + l.segs[i].ds_len - 1,
		    8192));
	bus_dmamap_unload(t, map);
	/* A parent stays while it has children. */
	KT_EQ(bus_dma_tag_destroy(parent), EBUSY);
	KT_EQ(bus_dma_tag_destroy(t), EBUSY);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	KT_EQ(bus_dma_tag_destroy(parent), 0);
	free(p, M_TEMP);
}

KTEST(busdma_toobig, "too many segments or bytes: EFBIG, to the callback")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 32768, 3, 4096);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(65536, false);
	KT_EQ(bus_dmamap_load(t, map, p, 16384, load_cb, &l, 0), 0);
	KT_CHECK(l.calls == 1 && l.error == EFBIG && l.nsegs == 0);
	KT_EQ(bus_dmamap_load(t, map, p, 32769, load_cb, &l, 0), 0);
	KT_CHECK(l.calls == 2 && l.error == EFBIG);
	/* The map is as free as before. */
	KT_EQ(bus_dmamap_load(t, map, p, 12288, load_cb, &l, 0), 0);
	KT_CHECK(l.error == 0 && l.nsegs == 3);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

static kpi_u64
bounced(void)
{
	struct kpi_stats st;

	kpi_get_stats(&st);
	return (st.bytes_bounced);
}

KTEST(busdma_bounce, "high memory goes through low pages, both ways")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	kpi_u64 before;
	char *dev, *p;

	t = tag(1, 0, LOW, 16384, 5, 16384);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(16384, false);
	memset(p, 'm', 16384);
	before = bounced();
	KT_EQ(bus_dmamap_load(t, map, p + 10, 6000, load_cb, &l, 0), 0);
	KT_CHECK(l.error == 0 && l.nsegs >= 1);
	KT_EQ(load_len(&l), 6000);
	for (int i = 0; i < l.nsegs; i++)
		KT_CHECK(l.segs[i].ds_addr + l.segs[i].ds_len <= LOW + 1);
	KT_EQ(bounced() - before, 0);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREREAD | BUS_DMASYNC_PREWRITE);
	dev = (char *)PHYS_TO_DMAP(l.segs[0].ds_addr);
	KT_CHECK(dev[0] == 'm');
	KT_EQ(bounced() - before, 6000);
	memset(dev, 'd', l.segs[0].ds_len);
	KT_CHECK(p[10] == 'm');
	bus_dmamap_sync(t, map, BUS_DMASYNC_POSTREAD | BUS_DMASYNC_POSTWRITE);
	KT_EQ(bounced() - before, 12000);
	KT_CHECK(p[9] == 'm' && p[10] == 'd' && p[6010] == 'm');
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(busdma_direct, "memory the device can address is not copied")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	kpi_u64 before;
	char *p;

	t = tag(4, 0, LOW, 16384, 5, 16384);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(16384, true);
	before = bounced();
	KT_EQ(bus_dmamap_load(t, map, p + 4, 6000, load_cb, &l, 0), 0);
	KT_EQ(l.segs[0].ds_addr, vtophys(p) + 4);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREWRITE);
	bus_dmamap_sync(t, map, BUS_DMASYNC_POSTWRITE);
	KT_EQ(bounced(), before);
	bus_dmamap_unload(t, map);
	/* Misaligned, it is: the first page, up to its end. */
	KT_EQ(bus_dmamap_load(t, map, p + 2, 6000, load_cb, &l, 0), 0);
	KT_EQ(l.segs[0].ds_addr % 4, 0);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREWRITE);
	KT_EQ(bounced() - before, PAGE_SIZE - 2);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(busdma_keep_offset, "BUS_DMA_KEEP_PG_OFFSET keeps the place in the page")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;

	KT_EQ(bus_dma_tag_create(NULL, 1, 0, LOW, BUS_SPACE_MAXADDR, NULL,
	    NULL, 16384, 5, 16384, BUS_DMA_KEEP_PG_OFFSET, NULL, NULL, &t),
	    0);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(16384, false);
	KT_EQ(bus_dmamap_load(t, map, p + 123, 100, load_cb, &l, 0), 0);
	KT_EQ(l.segs[0].ds_addr & PAGE_MASK, 123);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

static struct mtx deferred_mtx;

static void
deferred_cb(void *arg, bus_dma_segment_t *segs, int nsegs, int error)
{
	mtx_assert(&deferred_mtx, MA_OWNED);
	load_cb(arg, segs, nsegs, error);
	wakeup(arg);
}

KTEST(busdma_deferred, "a load without bounce pages waits, under its lock")
{
	struct load a = { .calls = 0 }, b = { .calls = 0 };
	bus_dmamap_t ma, mb;
	bus_dma_tag_t t;
	char *p;

	/* As many pages as one load needs. */
	KT_EQ(kpi_sysctl_set("hw.busdma.maxpages", "4"), 0);
	mtx_init(&deferred_mtx, "deferred", NULL, MTX_DEF);
	KT_EQ(bus_dma_tag_create(NULL, 1, 0, LOW, BUS_SPACE_MAXADDR, NULL,
	    NULL, 16384, 5, 16384, 0, busdma_lock_mutex, &deferred_mtx, &t),
	    0);
	KT_EQ(bus_dmamap_create(t, 0, &ma), 0);
	KT_EQ(bus_dmamap_create(t, 0, &mb), 0);
	p = mem(32768, false);
	mtx_lock(&deferred_mtx);
	KT_EQ(bus_dmamap_load(t, ma, p, 16384, deferred_cb, &a, 0), 0);
	KT_EQ(a.calls, 1);
	KT_EQ(bus_dmamap_load(t, mb, p + 16384, 8192, deferred_cb, &b,
	    BUS_DMA_NOWAIT), ENOMEM);
	KT_CHECK(b.calls == 1 && b.error == ENOMEM);
	KT_EQ(bus_dmamap_load(t, mb, p + 16384, 8192, deferred_cb, &b, 0),
	    EINPROGRESS);
	KT_EQ(b.calls, 1);
	bus_dmamap_unload(t, ma);
	KT_EQ(b.calls, 1);
	while (b.calls == 1)
		mtx_sleep(&b, &deferred_mtx, 0, "ktdma", 0);
	KT_CHECK(b.error == 0 && load_len(&b) == 8192);
	bus_dmamap_sync(t, mb, BUS_DMASYNC_PREWRITE);
	bus_dmamap_unload(t, mb);
	mtx_unlock(&deferred_mtx);
	/* More than there will ever be is not waited for. */
	KT_EQ(kpi_sysctl_set("hw.busdma.maxpages", "8192"), 0);
	KT_EQ(bus_dmamap_destroy(t, ma), 0);
	KT_EQ(bus_dmamap_destroy(t, mb), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	mtx_destroy(&deferred_mtx);
	free(p, M_TEMP);
}

KTEST(busdma_mem, "bus_dmamem_alloc obeys the tag")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	void *p;

	t = tag(64, 0, LOW, 20000, 1, 20000);
	KT_EQ(bus_dmamem_alloc(t, &p, BUS_DMA_WAITOK | BUS_DMA_ZERO, &map),
	    0);
	for (int i = 0; i < 20000; i++)
		KT_CHECK(((char *)p)[i] == 0);
	KT_EQ(bus_dmamap_load(t, map, p, 20000, load_cb, &l, BUS_DMA_NOWAIT),
	    0);
	KT_CHECK(l.error == 0 && l.nsegs == 1);
	KT_EQ(l.segs[0].ds_addr % 64, 0);
	KT_CHECK(l.segs[0].ds_addr + 20000 <= LOW + 1);
	bus_dmamap_unload(t, map);
	bus_dmamem_free(t, p, map);
	KT_EQ(bus_dma_tag_destroy(t), 0);
}

KTEST(busdma_lists, "lists of buffers, and uios, in order")
{
	struct load l = { .calls = 0 };
	bus_dma_segment_t list[3];
	struct memdesc md;
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 16, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(65536, false);
	list[0].ds_addr = (uintptr_t)(p + 8192);
	list[0].ds_len = 100;
	list[1].ds_addr = (uintptr_t)p;
	list[1].ds_len = 4096;
	list[2].ds_addr = (uintptr_t)(p + 4096);
	list[2].ds_len = 10;
	md = memdesc_vlist(list, 3);
	KT_EQ(bus_dmamap_load_mem(t, map, &md, load_cb, &l, 0), 0);
	KT_EQ(l.nsegs, 2);
	KT_EQ(l.segs[0].ds_addr, vtophys(p) + 8192);
	KT_EQ(l.segs[1].ds_addr, vtophys(p));
	KT_EQ(l.segs[1].ds_len, 4106);
	bus_dmamap_unload(t, map);
	for (int i = 0; i < 3; i++)
		list[i].ds_addr = vtophys(list[i].ds_addr);
	md = memdesc_plist(list, 3);
	KT_EQ(bus_dmamap_load_mem(t, map, &md, load_cb, &l, 0), 0);
	KT_CHECK(l.nsegs == 2 && load_len(&l) == 4206);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

/* Pages in reverse order, from 512 bytes into the first. */
static void
pages_backwards(struct bio *bio, struct vm_page **ma, char *p, u_int n)
{
	bzero(bio, sizeof(*bio));
	bio->bio_flags = BIO_UNMAPPED;
	bio->bio_ma = ma;
	bio->bio_ma_n = n;
	bio->bio_ma_offset = 512;
	bio->bio_bcount = n * PAGE_SIZE - 512;
	for (u_int i = 0; i < n; i++)
		ma[i] = PHYS_TO_VM_PAGE(vtophys(p + (n - 1 - i) * PAGE_SIZE));
}

KTEST(busdma_bio, "unmapped bios: page by page, and bounced if need be")
{
	struct load l = { .calls = 0 };
	struct vm_page *ma[4];
	kpi_u64 before;
	bus_dmamap_t map;
	bus_dma_tag_t t;
	struct bio bio;
	char *p;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 16, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(4 * PAGE_SIZE, false);
	pages_backwards(&bio, ma, p, 4);
	KT_EQ(bus_dmamap_load_bio(t, map, &bio, load_cb, &l, 0), 0);
	KT_EQ(l.nsegs, 4);
	KT_EQ(l.segs[0].ds_addr, vtophys(p) + 3 * PAGE_SIZE + 512);
	KT_EQ(l.segs[0].ds_len, PAGE_SIZE - 512);
	KT_EQ(l.segs[3].ds_addr, vtophys(p));
	KT_EQ(load_len(&l), 4 * PAGE_SIZE - 512);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);

	/* Through low pages; what the device wrote lands where it belongs. */
	t = tag(1, 0, LOW, 65536, 16, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	before = bounced();
	KT_EQ(bus_dmamap_load_bio(t, map, &bio, load_cb, &l, 0), 0);
	KT_EQ(load_len(&l), 4 * PAGE_SIZE - 512);
	for (int i = 0; i < l.nsegs; i++)
		KT_CHECK(l.segs[i].ds_addr + l.segs[i].ds_len <= LOW + 1);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREREAD);
	memset((void *)PHYS_TO_DMAP(l.segs[0].ds_addr), 0x77, 100);
	bus_dmamap_sync(t, map, BUS_DMASYNC_POSTREAD);
	KT_CHECK(bounced() > before);
	KT_EQ(p[3 * PAGE_SIZE + 512], 0x77);
	KT_EQ(p[3 * PAGE_SIZE + 511], 0);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(busdma_ccb, "a CCB's data in each form its flags can say")
{
	static const uint32_t forms[] = { CAM_DATA_VADDR, CAM_DATA_PADDR,
	    CAM_DATA_SG, CAM_DATA_SG_PADDR, CAM_DATA_BIO };
	struct load l = { .calls = 0 };
	bus_dma_segment_t list[2];
	struct vm_page *ma[2];
	bus_dmamap_t map;
	bus_dma_tag_t t;
	struct bio bio;
	union ccb *ccb;
	char *p;

	t = tag(1, 0, BUS_SPACE_MAXADDR, 65536, 16, 65536);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(2 * PAGE_SIZE, false);
	ccb = malloc(sizeof(*ccb), M_TEMP, M_WAITOK | M_ZERO);
	ccb->ccb_h.func_code = XPT_SCSI_IO;
	for (u_int i = 0; i < nitems(forms); i++) {
		ccb->ccb_h.flags = CAM_DIR_IN | forms[i];
		ccb->csio.dxfer_len = 2 * PAGE_SIZE - 512;
		ccb->csio.sglist_cnt = 2;
		list[0].ds_len = PAGE_SIZE - 512;
		list[1].ds_len = PAGE_SIZE;
		list[0].ds_addr = (uintptr_t)p + PAGE_SIZE + 512;
		list[1].ds_addr = (uintptr_t)p;
		pages_backwards(&bio, ma, p, 2);
		switch (forms[i]) {
		case CAM_DATA_VADDR:
			ccb->csio.data_ptr = (uint8_t *)p + 512;
			break;
		case CAM_DATA_PADDR:
			ccb->csio.data_ptr = (uint8_t *)vtophys(p) + 512;
			break;
		case CAM_DATA_SG_PADDR:
			for (u_int j = 0; j < 2; j++)
				list[j].ds_addr = vtophys(list[j].ds_addr);
			/* FALLTHROUGH */
		case CAM_DATA_SG:
			ccb->csio.data_ptr = (uint8_t *)list;
			break;
		default:
			ccb->csio.data_ptr = (uint8_t *)&bio;
		}
		KT_EQ(bus_dmamap_load_ccb(t, map, ccb, load_cb, &l, 0), 0);
		KT_EQ(load_len(&l), 2 * PAGE_SIZE - 512);
		KT_EQ(l.nsegs, i < 2 ? 1 : 2);
		KT_EQ(l.segs[0].ds_addr, vtophys(p) + 512 +
		    (i < 2 ? 0 : PAGE_SIZE));
		bus_dmamap_unload(t, map);
	}
	/* A command without data has nothing to load. */
	ccb->ccb_h.flags = CAM_DIR_NONE;
	ccb->csio.dxfer_len = 0;
	KT_EQ(bus_dmamap_load_ccb(t, map, ccb, load_cb, &l, 0), 0);
	KT_EQ(l.nsegs, 0);
	free(ccb, M_TEMP);
	free(p, M_TEMP);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
}

KTEST(busdma_fail, "the n-th tag, map or load fails, and nothing stays")
{
	struct load l = { .calls = 0 };
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;
	int done = 0;

	p = mem(PAGE_SIZE, false);
	for (u_int n = 1; n <= 4; n++) {
		kpi_fail_nth(KPI_FAIL_BUSDMA, n);
		if (bus_dma_tag_create(NULL, 1, 0, BUS_SPACE_MAXADDR,
		    BUS_SPACE_MAXADDR, NULL, NULL, PAGE_SIZE, 1, PAGE_SIZE, 0,
		    NULL, NULL, &t) != 0) {
			KT_EQ(n, 1);
			continue;
		}
		if (bus_dmamap_create(t, 0, &map) != 0) {
			KT_EQ(n, 2);
			KT_EQ(bus_dma_tag_destroy(t), 0);
			continue;
		}
		if (bus_dmamap_load(t, map, p, PAGE_SIZE, load_cb, &l,
		    BUS_DMA_NOWAIT) != 0) {
			KT_EQ(n, 3);
			KT_EQ(l.error, ENOMEM);
		} else {
			done++;
			bus_dmamap_unload(t, map);
		}
		KT_EQ(bus_dmamap_destroy(t, map), 0);
		KT_EQ(bus_dma_tag_destroy(t), 0);
	}
	kpi_fail_nth(KPI_FAIL_BUSDMA, 0);
	KT_EQ(done, 1);
	free(p, M_TEMP);
}

KTEST(busdma_template, "a template makes the tag it describes")
{
	struct load l = { .calls = 0 };
	bus_dma_template_t tmpl;
	bus_dmamap_t map;
	bus_dma_tag_t t;
	char *p;

	bus_dma_template_init(&tmpl, NULL);
	BUS_DMA_TEMPLATE_FILL(&tmpl, BD_MAXSIZE(8192), BD_NSEGMENTS(2),
	    BD_MAXSEGSIZE(4096), BD_NAME(__DECONST(char *, "kt")));
	KT_EQ(bus_dma_template_tag(&tmpl, &t), 0);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	p = mem(8192, false);
	KT_EQ(bus_dmamap_load(t, map, p, 8192, load_cb, &l, 0), 0);
	KT_EQ(l.nsegs, 2);
	bus_dmamap_unload(t, map);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	free(p, M_TEMP);
}

KTEST(busdma_badtag, "tags that cannot be")
{
	bus_dma_tag_t t;

	KT_EQ(bus_dma_tag_create(NULL, 3, 0, ~0UL, ~0UL, NULL, NULL, 1, 1, 1,
	    0, NULL, NULL, &t), EINVAL);
	KT_EQ(bus_dma_tag_create(NULL, 1, 3000, ~0UL, ~0UL, NULL, NULL, 1, 1,
	    1, 0, NULL, NULL, &t), EINVAL);
	KT_EQ(bus_dma_tag_create(NULL, 1, 0, ~0UL, ~0UL, NULL, NULL, 1, 1, 0,
	    0, NULL, NULL, &t), EINVAL);
	KT_CHECK(t == NULL);
}

/* --- Mistakes --- */

static struct load misuse_load;
static char *misuse_mem;

static bus_dma_tag_t
misuse(bus_dmamap_t *map)
{
	bus_dma_tag_t t;

	t = tag(1, 0, BUS_SPACE_MAXADDR, PAGE_SIZE, 1, PAGE_SIZE);
	KT_EQ(bus_dmamap_create(t, 0, map), 0);
	misuse_mem = mem(PAGE_SIZE, false);
	KT_EQ(bus_dmamap_load(t, *map, misuse_mem, PAGE_SIZE, load_cb,
	    &misuse_load, 0), 0);
	return (t);
}

KTEST_PANICS(busdma_destroy_loaded, "a loaded map is destroyed",
    "destroyed while loaded")
{
	bus_dmamap_t map;
	bus_dma_tag_t t;

	t = misuse(&map);
	(void)bus_dmamap_destroy(t, map);
}

KTEST_PANICS(busdma_load_twice, "a loaded map is loaded", "loaded twice")
{
	bus_dmamap_t map;
	bus_dma_tag_t t;

	t = misuse(&map);
	(void)bus_dmamap_load(t, map, misuse_mem, 1, load_cb, &misuse_load,
	    0);
}

KTEST_PANICS(busdma_post_without_pre, "POSTREAD without PREREAD",
    "without the one before")
{
	bus_dmamap_t map;
	bus_dma_tag_t t;

	t = misuse(&map);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREWRITE);
	bus_dmamap_sync(t, map, BUS_DMASYNC_POSTREAD);
}

KTEST_PANICS(busdma_sync_unloaded, "sync after unload", "not loaded")
{
	bus_dmamap_t map;
	bus_dma_tag_t t;

	t = misuse(&map);
	bus_dmamap_unload(t, map);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREREAD);
}

KTEST_PANICS(busdma_sync_mixed, "PRE and POST in one call",
    "neither before nor after")
{
	bus_dmamap_t map;
	bus_dma_tag_t t;

	t = misuse(&map);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREREAD | BUS_DMASYNC_POSTREAD);
}

KTEST_PANICS(busdma_wrong_tag, "a map with another tag", "another tag")
{
	bus_dmamap_t map;

	(void)misuse(&map);
	bus_dmamap_unload(tag(1, 0, BUS_SPACE_MAXADDR, 1, 1, 1), map);
}
