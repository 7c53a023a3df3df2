/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The emulated IDE controller: what its files share.  All of it is guarded by
 * the partition's pump lock, since drives are back ends of libhvhost and their
 * requests end in the pump.  Lock order: pump lock > pci.c's.
 *
 * ide.c	registers, interrupts, resets, drives come and go
 * ide_ata.c	which command does what, and those of disks
 * ide_identify.c	what drives say of themselves
 * ide_atapi.c	PACKET
 * ide_dma.c	the bus master
 */

#ifndef VMM_IDE_VAR_H
#define	VMM_IDE_VAR_H

#include "storage/scsi.h"
#include "vmm/ide_reg.h"
#include "vmm/pci.h"

#define	IDE_SECTOR	512u
#define	IDE_MULTI	16u	/* sectors a DRQ block, at most */
#define	IDE_BUF		65536u
/* Entries of a table that are looked at: enough for the largest command, 32
 * MiB, in pages. */
#define	IDE_PRDS	8193

enum ide_kind {
	IDE_ABSENT,
	IDE_DISK,
	IDE_CDROM
};

enum ide_phase {
	IDE_IDLE,
	IDE_PIO_IN,		/* the guest reads buf, from pos to end */
	IDE_PIO_OUT,		/* and writes it */
	IDE_DMA_WAIT,		/* for the bus master to be started */
	IDE_WORK		/* the back end has it */
};

struct ide_chan;

struct ide_drive {
	struct ide_chan	*ch;
	enum ide_kind	 kind;
	struct scsi_lun	*lun;		/* NULL: taken away since */
	uint8_t		 status;
	uint8_t		 error;
	uint8_t		 reg[IDE_DEVICE][2];	/* now, and before that */
	uint8_t		 device;
	uint8_t		 mode;		/* of DMA, as SET FEATURES says it */
	uint8_t		 multi;		/* 0: MULTIPLE is off */
	bool		 cache;		/* writes may stay in it */
	uint8_t		 heads;		/* the guest's idea of geometry */
	uint8_t		 track;		/* sectors */
};

struct ide_chan {
	struct vmm_ide	*ide;
	unsigned	 no;
	struct ide_drive drive[2];
	unsigned	 sel;
	uint8_t		 control;
	bool		 intrq;		/* the drive has it up */
	bool		 line;		/* what the machine was told */

	/* The command under way. */
	enum ide_phase	 phase;
	struct ide_drive *drv;
	uint8_t		*buf;		/* IDE_BUF bytes */
	uint32_t	 pos;
	uint32_t	 end;
	void		(*next)(struct ide_chan *ch);	/* after that */
	uint64_t	 lba;
	uint32_t	 left;		/* blocks */
	uint32_t	 block;		/* of them in a DRQ block, at most */
	bool		 ext;		/* 48-bit */
	bool		 write;
	bool		 fua;

	/* At the back end: one of the two requests. */
	bool		 working;
	bool		 packet;	/* cmd, not req */
	bool		 dropped;	/* its end is of no interest */
	struct blk_req	 req;
	struct scsi_cmd	 cmd;
	struct iovec	*iov;		/* IDE_PRDS */
	int		 niov;
	void		(*ended)(struct ide_chan *ch, int error);

	/* PACKET. */
	uint8_t		 cdb[SCSI_CDB_LEN];
	bool		 packet_dma;
	uint32_t	 limit;		/* bytes a DRQ block */
	uint32_t	 got;		/* bytes in buf */

	/* Bus master. */
	uint8_t		 bm_command;
	uint8_t		 bm_status;
	uint32_t	 bm_table;
	bool		 bm_more;	/* the table is longer than the data */
	bool		 dma;		/* the work is the bus master's */
	uint64_t	 dma_len;
	bool		 dma_in;	/* to memory */
	void		(*dma_go)(struct ide_chan *ch);	/* with iov */
};

struct vmm_ide {
	struct vmm	*m;
	struct hvh	*h;
	struct vmm_pci	*pci;
	bool		 ran;		/* a back end, which the pump minds */
	struct ide_chan	 chan[2];
};

/* --- ide.c --- */

/* Raises or lowers the interrupt. */
void	ide_intr(struct ide_chan *ch, bool up);
/* The command is over.  Its status has DRDY and what else is said here. */
void	ide_end(struct ide_chan *ch, uint8_t status, uint8_t error, bool intr);
void	ide_good(struct ide_chan *ch, bool intr);
void	ide_abort(struct ide_chan *ch);
/* Data of one DRQ block, buf from pos to end; then next. */
void	ide_pio(struct ide_chan *ch, enum ide_phase phase, uint32_t pos,
	    uint32_t len, void (*next)(struct ide_chan *), bool intr);
void	ide_busy(struct ide_chan *ch, enum ide_phase phase);
/* Hands ch->iov to the back end: bytes; then ended. */
void	ide_submit(struct ide_chan *ch, enum blk_op op, uint64_t ofs,
	    uint64_t len, bool fua, void (*ended)(struct ide_chan *, int));
void	ide_run(struct ide_chan *ch);
/* No request is under way, and no memory written, after it. */
void	ide_quiesce(struct ide_chan *ch);
/* The registers after a reset: who is there, and in what health. */
void	ide_signature(struct ide_drive *d);
void	ide_diagnose(struct ide_chan *ch);
void	ide_drive_defaults(struct ide_drive *d);

/* --- ide_ata.c --- */

void	ide_command(struct ide_chan *ch, struct ide_drive *d, uint8_t op);

/* --- ide_identify.c --- */

void	ide_identify_disk(struct ide_drive *d, uint8_t *buf);
void	ide_identify_cdrom(struct ide_drive *d, uint8_t *buf);
uint64_t ide_sectors(const struct ide_drive *d);
uint32_t ide_cylinders(const struct ide_drive *d);

/* --- ide_atapi.c --- */

void	ide_packet(struct ide_chan *ch, struct ide_drive *d);

/* --- ide_dma.c --- */

/* The command moves len bytes as soon as the bus master is started. */
void	ide_dma(struct ide_chan *ch, uint64_t len, bool in,
	    void (*go)(struct ide_chan *));
/* It has moved them. */
void	ide_dma_moved(struct ide_chan *ch);
uint32_t ide_bm_read(void *arg, uint16_t port, unsigned size);
void	ide_bm_write(void *arg, uint16_t port, unsigned size, uint32_t val);
void	ide_lock(struct vmm_ide *ide);
void	ide_unlock(struct vmm_ide *ide);

#endif	/* !VMM_IDE_VAR_H */
