/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The SCSI target: one logical unit executes commands against a back end.  It
 * knows nothing of VMBus or VSTOR packets; storvsp.c hands it a CDB and the
 * guest's memory and gets SCSI and SRB status back.
 *
 * Everything is called in hvh_pump() or with the pump lock held.
 */

#ifndef HVH_STORAGE_SCSI_H
#define	HVH_STORAGE_SCSI_H

#include "storage/blk.h"

/* SCSI status.  protocol: storvsc, 3.8 */
#define	SCSI_GOOD		0x00
#define	SCSI_CHECK_CONDITION	0x02

/* Sense keys. */
#define	SENSE_NO_SENSE		0x0
#define	SENSE_NOT_READY		0x2
#define	SENSE_MEDIUM		0x3
#define	SENSE_HARDWARE		0x4
#define	SENSE_ILLEGAL		0x5
#define	SENSE_ATTENTION		0x6
#define	SENSE_PROTECT		0x7

/* ASC and ASCQ in one number. */
#define	ASC_NONE		0x0000
#define	ASC_WRITE_ERROR		0x0c00
#define	ASC_READ_ERROR		0x1100
#define	ASC_LIST_LENGTH		0x1a00	/* parameter list length error */
#define	ASC_BAD_OPCODE		0x2000
#define	ASC_LBA_RANGE		0x2100
#define	ASC_BAD_CDB		0x2400	/* invalid field in CDB */
#define	ASC_BAD_LIST		0x2600	/* invalid field in parameter list */
#define	ASC_WRITE_PROTECT	0x2700
#define	ASC_NO_SPACE		0x2707	/* space allocation failed */
#define	ASC_NEW_MEDIUM		0x2800
#define	ASC_CAPACITY		0x2a09	/* capacity data has changed */
#define	ASC_NO_SAVED		0x3900
#define	ASC_NO_MEDIUM		0x3a00
#define	ASC_INTERNAL		0x4400
#define	ASC_PREVENTED		0x5302

#define	SCSI_SENSE_LEN		18
#define	SCSI_CDB_LEN		16
#define	SCSI_MAX_BLOCK		4096
#define	SCSI_INQUIRY_LEN	104
/* Descriptors in one UNMAP: what a 16-bit list length can tell. */
#define	SCSI_MAX_UNMAP		4095

struct scsi_lun;

enum scsi_park {
	SCSI_NOT_PARKED,
	SCSI_PARKED_TIMER,	/* a fault delays it */
	SCSI_PARKED_HELD,	/* until another command has passed */
	SCSI_PARKED_LOST	/* until it is aborted */
};

struct scsi_cmd {
	/* The caller's. */
	uint8_t		 cdb[SCSI_CDB_LEN];
	bool		 to_guest;	/* direction of the data, if any */
	uint32_t	 data_len;	/* bytes that iov holds */
	struct iovec	*iov;		/* an array for this command alone */
	int		 niov;
	int		 iovmax;	/* entries the array has, at least 4 */
	/* May come from within scsi_exec() and scsi_abort(). */
	void		(*done)(struct scsi_cmd *cmd);

	/* The result. */
	uint8_t		 status;
	uint8_t		 srb_status;	/* without AUTOSENSE_VALID */
	bool		 sense_valid;
	uint8_t		 sense[SCSI_SENSE_LEN];
	uint32_t	 xfer;		/* bytes moved */

	/* The target's own. */
	struct scsi_lun	*lun;
	struct blk_req	 blk;
	TAILQ_ENTRY(scsi_cmd) link;	/* parked */
	struct hvh_timer timer;
	enum scsi_park	 park;
	uint8_t		 abort_status;	/* SRB status of an abort, or 0 */
	/* What to do when the back end is through; NULL: finish. */
	void		(*next)(struct scsi_cmd *cmd);
	uint64_t	 lba;		/* WRITE SAME: where to go on */
	uint64_t	 count;		/* and how far */
	uint32_t	 list_ofs;	/* UNMAP: next descriptor */
	uint32_t	 list_end;
	struct iovec	 pat[2];	/* WRITE SAME: the block */
	int		 npat;
};

TAILQ_HEAD(scsi_cmds, scsi_cmd);

struct scsi_lun {
	struct hvh	*h;
	struct hvh_blk	*blk;
	bool		 cdrom;
	bool		 unmap;		/* thin provisioning offered */
	bool		 dead;		/* taken away, commands still end */
	uint32_t	 block_size;
	uint64_t	 blocks;
	uint32_t	 max_transfer;	/* bytes, limits WRITE SAME */
	char		 serial[21];
	uint8_t		 id[16];
	uint16_t	 attention;	/* pending unit attention, ASC, or 0 */
	uint64_t	 looked;	/* hvh_now() of the last size check */
	uint8_t		 sense_key;	/* for REQUEST SENSE */
	uint16_t	 sense_asc;
	unsigned	 busy;		/* commands begun, not done */
	struct scsi_cmds parked;
	/*
	 * Of somebody else who has requests at the back end: called before it
	 * is closed, and none of them is left when it returns.
	 */
	void		(*gone)(void *arg);
	void		*gone_arg;
	/* CD-ROM. */
	bool		 ejected;
	bool		 prevented;
	uint8_t		 media_event;
	LIST_ENTRY(scsi_lun) dying;	/* the controller's */
};

/* Takes over lp->blk.  EINVAL: the medium is smaller than one block. */
int	scsi_lun_create(struct hvh *h, const struct hvh_lun_params *lp,
	    const uint8_t id[16], uint32_t max_transfer, struct scsi_lun **lun);
/*
 * Closes the back end, too.  Commands not done yet are forgotten: with some
 * left, only when the whole partition goes.
 */
void	scsi_lun_destroy(struct scsi_lun *lun);
/* Begins a command; scsi_run() after the last of a batch. */
void	scsi_exec(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_run(struct scsi_lun *lun);
/*
 * Ends a command that has not begun at the back end with GOOD and srb_status;
 * one that has ends when the back end lets go of it, as it then turns out.
 */
void	scsi_abort(struct scsi_cmd *cmd, uint8_t srb_status);

/* --- For the device types --- */

void	scsi_disk_exec(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_cdrom_exec(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_inquiry(struct scsi_lun *lun, struct scsi_cmd *cmd);
/* Standard INQUIRY data. */
void	scsi_inquiry_data(uint8_t buf[SCSI_INQUIRY_LEN], bool cdrom);
/* Blocks that one WRITE SAME may cover. */
uint64_t scsi_max_write_same(const struct scsi_lun *lun);
void	scsi_disk_mode_sense(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_disk_mode_select(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_disk_unmap(struct scsi_lun *lun, struct scsi_cmd *cmd);
void	scsi_disk_write_same(struct scsi_lun *lun, struct scsi_cmd *cmd);

void	scsi_finish(struct scsi_cmd *cmd);
void	scsi_good(struct scsi_cmd *cmd);
void	scsi_check(struct scsi_cmd *cmd, uint8_t srb_status, uint8_t key,
	    uint16_t asc);
/* CHECK, INVALID_REQUEST, ILLEGAL REQUEST. */
void	scsi_illegal(struct scsi_cmd *cmd, uint16_t asc);
/* The sense of a back end's errno. */
void	scsi_errno(struct scsi_cmd *cmd, int error);
void	scsi_fill_sense(uint8_t sense[SCSI_SENSE_LEN], uint8_t key,
	    uint16_t asc);
/*
 * Ends the command with len bytes of a reply, cut to alloc; or with a refusal
 * if alloc exceeds the buffer or the direction is wrong.
 */
void	scsi_reply(struct scsi_cmd *cmd, const void *buf, uint32_t len,
	    uint32_t alloc);
/* A reply of fixed size: a buffer below min ends it with DATA_OVERRUN. */
void	scsi_reply_fixed(struct scsi_cmd *cmd, const void *buf, uint32_t len,
	    uint32_t min);
/* The first len bytes of the guest's buffer, as far as there is one. */
void	scsi_copy_out(struct scsi_cmd *cmd, const void *buf, uint32_t len);
/* Copies from the data the guest sent. EFAULT: there is not so much. */
int	scsi_fetch(const struct scsi_cmd *cmd, uint32_t ofs, void *buf,
	    uint32_t len);
/*
 * Starts the back end on lba and count, with the first bytes of cmd->iov.
 * Then cmd->next goes on with the command or, if that is NULL, it is done.
 */
void	scsi_submit(struct scsi_cmd *cmd, enum blk_op op, uint64_t lba,
	    uint64_t count, bool fua);

/* LBA and count of any read-like or write-like CDB. */
void	scsi_cdb_extent(const uint8_t *cdb, uint64_t *lba, uint64_t *count);
bool	scsi_in_range(const struct scsi_lun *lun, uint64_t lba,
	    uint64_t count);

static inline uint16_t
scsi_be16(const uint8_t *p)
{

	return ((uint16_t)(p[0] << 8 | p[1]));
}

static inline uint32_t
scsi_be32(const uint8_t *p)
{

	return ((uint32_t)scsi_be16(p) << 16 | scsi_be16(p + 2));
}

static inline uint64_t
scsi_be64(const uint8_t *p)
{

	return ((uint64_t)scsi_be32(p) << 32 | scsi_be32(p + 4));
}

static inline void
scsi_put16(uint8_t *p, uint16_t v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
scsi_put32(uint8_t *p, uint32_t v)
{

	scsi_put16(p, (uint16_t)(v >> 16));
	scsi_put16(p + 2, (uint16_t)v);
}

static inline void
scsi_put64(uint8_t *p, uint64_t v)
{

	scsi_put32(p, (uint32_t)(v >> 32));
	scsi_put32(p + 4, (uint32_t)v);
}

#endif	/* !HVH_STORAGE_SCSI_H */
