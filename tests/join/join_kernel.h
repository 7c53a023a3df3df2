/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * SCSI commands whose data are given to a SIM in any of the forms that CAM
 * knows: as a filesystem's unmapped buffers or pass(4) would.  The disks of
 * the hosted kernel know one form only.
 *
 * Included on both sides of the waist: compiler's types only, and kpi.h's.
 */

#ifndef TESTS_JOIN_JOIN_KERNEL_H
#define	TESTS_JOIN_JOIN_KERNEL_H

#include <kpi.h>

#define	KTEST_PIECES	320		/* in one command */

enum ktest_data {
	KTEST_NONE,		/* no data */
	KTEST_VADDR,		/* the first piece is all there is */
	KTEST_PADDR,
	KTEST_SG,		/* list of virtual addresses */
	KTEST_SG_PADDR,
	KTEST_BIO,		/* a mapped bio: the first piece */
	KTEST_BIO_UNMAPPED,	/* pages */
	KTEST_BIO_VLIST
};

struct ktest_piece {
	unsigned char	*addr;		/* kpi_mem_alloc() memory */
	kpi_size	 len;
};

/* How it ended: CAM's words in short. */
enum ktest_end {
	KTEST_DONE, KTEST_SENSE, KTEST_INVALID, KTEST_TOO_BIG, KTEST_OTHER
};

struct ktest_scsi {
	unsigned	 lun;		/* of scbus0, target 0 */
	unsigned char	 cdb[16];
	unsigned	 cdb_len;
	enum ktest_data	 data;
	int		 write;
	kpi_u32		 len;		/* what the command is told */
	const char	*driver;	/* who sends it, "cd"; NULL: nobody */
	const struct ktest_piece *piece;
	unsigned	 npieces;

	enum ktest_end	 end;
	kpi_u32		 status;	/* CAM's, whole */
	kpi_u32		 resid;
	unsigned	 sense_key, asc, ascq;
	unsigned	 took;		/* ms */
};

/* Guest memory at a physical address, as the host sees it. */
void   *ktest_phys(kpi_u64 pa);
/* [k] Deletes storvsc0 as "devctl delete -f" does; errno. */
int	ktest_delete_controller(void);
/*
 * [k] Leaves the queue of da0's controller as a processor does that is stopped
 * for good amid sending from it.
 */
void	ktest_freeze_controller(void);
/*
 * [k] Hears of all devices that CAM finds from now on, which takes ms real
 * milliseconds each; how many it has heard of.
 */
void	ktest_hear(unsigned ms);
unsigned ktest_heard(void);
/* [k] Sends it and waits; the result is in s.  errno: it was not sent. */
int	ktest_scsi(struct ktest_scsi *s);

#endif	/* !TESTS_JOIN_JOIN_KERNEL_H */
