/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The emulated IDE controller as ata(4) and CAM's ATA probe show it to other
 * drivers: a SIM per channel, a question before a disk is taken, ada(4) or
 * cd(4) at the drive from then on.
 *
 * Included on both sides of the waist: compiler's types only, and kpi.h's.
 */

#ifndef TESTS_JOIN_IDE_KERNEL_H
#define	TESTS_JOIN_IDE_KERNEL_H

#include <kpi.h>

#define	ATA_PIIX4	0x71118086	/* device and vendor, as PCI has it */

enum ata_drive { ATA_NONE, ATA_DISK, ATA_CDROM };

/* A channel: SIM's name and number, what is at master and slave. */
struct ktest_ata_config {
	const char	*name;
	unsigned	 unit;
	kpi_u32		 pci;
	enum ata_drive	 drive[2];
};

struct ktest_ata;

/* [k] As the controller's driver attaches; nothing is probed yet.  NULL. */
struct ktest_ata *ktest_ata_add(const struct ktest_ata_config *cf);
void	ktest_ata_remove(struct ktest_ata *ab);

/*
 * [k] Probes one drive as a scan does, and returns what has it then.  One that
 * may not be had any more is lost to ada, as with CAM.
 */
enum ata_holder { HELD_BY_NONE, HELD_BY_ADA, HELD_BY_CD };
enum ata_holder ktest_ata_probe(struct ktest_ata *ab, unsigned drive);
/* How often CAM was told to scan the drive. */
unsigned ktest_ata_scans(struct ktest_ata *ab, unsigned drive);

/* [k] A handler that vetoes every disk, as FreeBSD's own driver brings. */
void	ktest_veto_all(int on);
/* [k] As "devctl detach vmbus0" and "devctl attach vmbus0".  errno. */
int	ktest_vmbus_detach(void);
int	ktest_vmbus_attach(void);
/* [k] A bus driver other than ours attaches; goes.  errno. */
int	ktest_other_attach(void);
int	ktest_other_detach(void);

#endif	/* !TESTS_JOIN_IDE_KERNEL_H */
