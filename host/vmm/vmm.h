/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvhost's machine: what its files share.  A machine is guest memory, virtual
 * CPUs under KVM, a handful of PC devices, and the partition of libhvhost.
 *
 * Threads: one a vCPU, the I/O thread (loop.c: the pump), the main thread
 * (signals, console input, control socket).  Port handlers run on vCPU
 * threads, several at once; each device has a lock of its own, below the
 * partition's pump lock: a device that holds its own lock never takes the
 * pump lock (ide.c, which needs both, uses the pump lock alone).
 *
 * Functions return 0 or an errno; those with err and errlen put a whole
 * sentence there, which names the file or option and says why.
 */

#ifndef VMM_VMM_H
#define	VMM_VMM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hvhost.h"

#define	VMM_CPUS_MAX	64
#define	VMM_PAGE	4096u

/* Guest-physical layout.  RAM: 0 to 640 KiB, 1 MiB to below 3 GiB, the rest
 * from 4 GiB on.  [0xA0000, 1 MiB) is backed too, but reserved in the map. */
#define	VMM_LOW_TOP	0xC0000000ull
#define	VMM_HIGH_BASE	0x100000000ull
#define	VMM_EBDA	0x9FC00u
#define	VMM_ACPI_BASE	0xE0000u	/* RSDP here, found by the BIOS scan */
#define	VMM_ACPI_TOP	0x100000u

/* ISA interrupts, which are GSIs of the IOAPIC. */
#define	VMM_IRQ_UART0	4
#define	VMM_IRQ_SCI	9
#define	VMM_IRQ_IDE0	14
#define	VMM_IRQ_IDE1	15

struct vmm;

/* Why the machine ends, or what a vCPU asks for. */
enum vmm_end {
	VMM_RUNS,
	VMM_POWEROFF,		/* ACPI S5 */
	VMM_RESET,		/* i8042, 0xCF9, MSR, triple fault on request */
	VMM_CRASH,		/* triple fault, KVM error: the guest is lost */
	VMM_STOP		/* signal or control socket */
};

/* --- machine.c --- */

/*
 * Host pointer for len bytes of guest memory at gpa, within one region; NULL
 * if they are not all RAM.  Addresses a guest names go through this alone.
 */
void   *vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len);
/* Bytes of RAM below VMM_LOW_TOP and from VMM_HIGH_BASE on. */
uint64_t vmm_low_mem(const struct vmm *m);
uint64_t vmm_high_mem(const struct vmm *m);
unsigned vmm_cpus(const struct vmm *m);
struct hvh *vmm_hvh(struct vmm *m);
/* Any thread: sets a GSI's line.  Edge ISA interrupts: true, then false. */
void	vmm_irq(struct vmm *m, unsigned gsi, bool level);
/* Any thread: the machine shall end or start over; the first reason counts,
 * but VMM_STOP counts more than VMM_RESET. */
void	vmm_end(struct vmm *m, enum vmm_end why);
/* Monotonic nanoseconds. */
uint64_t vmm_now(void);
/* A line on stderr, "hvhost: " in front; control characters made harmless. */
void	vmm_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- pio.c: port I/O --- */

struct vmm_pio {
	uint16_t	 base;
	uint16_t	 len;		/* ports */
	bool		 bytes;		/* 8 bits wide: wider accesses come as
					 * bytes, to one port after another */
	/* size 1, 2 or 4; an access never leaves the range.  NULL: read gives
	 * all ones, write is dropped. */
	uint32_t	(*read)(void *arg, uint16_t port, unsigned size);
	void		(*write)(void *arg, uint16_t port, unsigned size,
			    uint32_t val);
	/* NULL, or takes string instructions: returns how many of count
	 * accesses, data one after the other, it did; the rest come singly. */
	uint32_t	(*many)(void *arg, uint16_t port, unsigned size,
			    bool out, void *data, uint32_t count);
	void		*arg;
};

/* Before the vCPUs run.  EEXIST: overlaps in part (one range inside another
 * is all right, pio.h); EINVAL, ENOSPC.  *pio is copied. */
int	vmm_pio_add(struct vmm *m, const struct vmm_pio *pio);
uint32_t vmm_pio_read(struct vmm *m, uint16_t port, unsigned size);
void	vmm_pio_write(struct vmm *m, uint16_t port, unsigned size,
	    uint32_t val);
/*
 * count accesses of size bytes to one port, data one after the other: the
 * string instructions.  A handler may take them at once, else one by one.
 */
void	vmm_pio_exit(struct vmm *m, uint16_t port, unsigned size,
	    bool out, void *data, uint32_t count);

/* --- The PC's devices.  reset: to power-on state, no vCPU running. --- */

/* uart.c: a 16550A at 0x3F8.  put: the guest's output, any vCPU thread. */
struct vmm_uart;
int	vmm_uart_create(struct vmm *m, void (*put)(void *arg, const void *buf,
	    size_t len), void *arg, struct vmm_uart **up);
/* Input; returns how many bytes there was room for. */
size_t	vmm_uart_input(struct vmm_uart *u, const void *buf, size_t len);
/* room: called, with no lock held, from a vCPU thread or vmm_uart_reset() when
 * there is room again after vmm_uart_input() took less than all. */
void	vmm_uart_on_room(struct vmm_uart *u, void (*room)(void *arg),
	    void *arg);
void	vmm_uart_reset(struct vmm_uart *u);
void	vmm_uart_destroy(struct vmm_uart *u);

/* rtc.c: MC146818 at 0x70, time of the host (UTC). */
struct vmm_rtc;
int	vmm_rtc_create(struct vmm *m, struct vmm_rtc **rp);
void	vmm_rtc_reset(struct vmm_rtc *r);
void	vmm_rtc_destroy(struct vmm_rtc *r);

/* pm.c: ACPI PM1 event and control, PM timer, reset port 0xCF9, and the
 * i8042 as far as its reset line (0x60, 0x64). */
struct vmm_pm;
int	vmm_pm_create(struct vmm *m, struct vmm_pm **pp);
/* Presses the power button. */
void	vmm_pm_button(struct vmm_pm *p);
void	vmm_pm_reset(struct vmm_pm *p);
void	vmm_pm_destroy(struct vmm_pm *p);

/* acpi.c: puts RSDP, XSDT, FADT, MADT, DSDT into [VMM_ACPI_BASE,
 * VMM_ACPI_TOP).  pci: a PCI root bridge, with VMBus below it, stands in the
 * DSDT, as on a generation-1 machine; else a container device holds VMBus. */
int	vmm_acpi_install(struct vmm *m, bool pci);
/* Where RSDP is, for boot protocols that pass it on. */
uint64_t vmm_acpi_rsdp(const struct vmm *m);

/* pci.c: configuration mechanism 1, a 440FX-like host bridge (0:0.0), PIIX4's
 * ISA bridge (0:7.0) and IDE function (0:7.1), as on Hyper-V generation 1. */
struct vmm_pci;
int	vmm_pci_create(struct vmm *m, struct vmm_pci **pp);
void	vmm_pci_reset(struct vmm_pci *p);
void	vmm_pci_destroy(struct vmm_pci *p);

/* ide.c: two ATA channels.  A drive is the very disk (or CD-ROM) of an
 * hvh_scsi's logical unit: hvh_ide_add() for disks, so that both ways lead to
 * the same bytes; a CD-ROM is ATAPI only, not offered on VMBus. */
struct vmm_ide;
int	vmm_ide_create(struct vmm *m, struct vmm_pci *pci,
	    struct vmm_ide **ip);
/* EEXIST, EINVAL.  The controller's unit 0. */
int	vmm_ide_disk(struct vmm_ide *ide, unsigned channel, unsigned drive,
	    struct hvh_scsi *disk);
int	vmm_ide_cdrom(struct vmm_ide *ide, unsigned channel, unsigned drive,
	    const struct hvh_lun_params *lp);
void	vmm_ide_reset(struct vmm_ide *ide);
void	vmm_ide_destroy(struct vmm_ide *ide);

/* --- Booting: boot.c, boot_linux.c, boot_pvh.c, boot_freebsd.c --- */

#define	VMM_KENV_MAX	128
#define	VMM_MODULES_MAX	64

struct vmm_boot_params {
	const char	*kernel;
	const char	*initrd;	/* Linux, PVH */
	const char	*cmdline;	/* Linux, PVH; may be NULL */
	const char	*modules[VMM_MODULES_MAX];	/* FreeBSD .ko */
	unsigned	 nmodules;
	const char	*mdroot;	/* FreeBSD: preloaded memory disk */
	const char	*kenv[VMM_KENV_MAX];		/* "name=value" */
	unsigned	 nkenv;
};

/* The state of the first vCPU at its first instruction. */
struct vmm_boot_regs {
	uint64_t	 rip, rsp, rsi, rbx;
	uint64_t	 cr3;		/* long mode: page tables; 0: 32-bit
					 * protected mode, paging off */
	uint64_t	 gdt;		/* of vmm_boot_gdt() */
};

/*
 * Files read, checked and laid out; all that a start needs is in memory, so
 * that a reset needs no file.  A bad or truncated file: EINVAL or ENOEXEC.
 */
struct vmm_boot;
int	vmm_boot_load(struct vmm *m, const struct vmm_boot_params *bp,
	    struct vmm_boot **bp_out, char *err, size_t errlen);
/* Writes it all into guest memory, which is zero but for ACPI's tables. */
int	vmm_boot_start(struct vmm_boot *b, struct vmm_boot_regs *regs);
/* "Linux 6.1.0-…", "FreeBSD kernel", "PVH": for status. */
const char *vmm_boot_name(const struct vmm_boot *b);
void	vmm_boot_free(struct vmm_boot *b);

/* What the loaders share. */

/* A piece of what goes into guest memory at a start. */
struct vmm_boot_piece {
	uint64_t	 gpa;
	void		*data;		/* malloc'ed, the image's */
	size_t		 len;
};

#define	VMM_PIECES_MAX	256

struct vmm_boot {
	struct vmm	*m;
	char		 name[64];
	struct vmm_boot_piece piece[VMM_PIECES_MAX];
	unsigned	 npieces;
	struct vmm_boot_regs regs;
};

/* Takes over data (malloc'ed), also on failure.  EFAULT: not all RAM. */
int	vmm_boot_add(struct vmm_boot *b, uint64_t gpa, void *data, size_t len);
/* Reads a whole file, at most max bytes; *data is malloc'ed. */
int	vmm_boot_read(const char *path, uint64_t max, void **data,
	    size_t *len, char *err, size_t errlen);
/* Adds page tables (2 MiB pages, 1:1 for the first 4 GiB) at gpa; they take
 * VMM_BOOT_PT_SIZE bytes; CR3 is gpa. */
#define	VMM_BOOT_PT_SIZE	(6 * VMM_PAGE)
int	vmm_boot_identity(struct vmm_boot *b, uint64_t gpa);
/* Adds the GDT the first vCPU starts with (code64 0x10, data 0x18, code32
 * 0x20) at gpa. */
int	vmm_boot_gdt(struct vmm_boot *b, uint64_t gpa);

/* The e820 map. */
struct vmm_e820 {
	uint64_t	 base, len;
	uint32_t	 type;		/* 1 RAM, 2 reserved, 3 ACPI data */
};
#define	VMM_E820_MAX	8
unsigned vmm_boot_e820(const struct vmm *m, struct vmm_e820 map[VMM_E820_MAX]);

/*
 * Each looks at a kernel file.  ENOEXEC with nothing in err: not this kind;
 * any other failure has said why in err.
 */
int	vmm_boot_linux(struct vmm_boot *b, const struct vmm_boot_params *bp,
	    const void *kernel, size_t len, char *err, size_t errlen);
int	vmm_boot_pvh(struct vmm_boot *b, const struct vmm_boot_params *bp,
	    const void *kernel, size_t len, char *err, size_t errlen);
int	vmm_boot_freebsd(struct vmm_boot *b, const struct vmm_boot_params *bp,
	    const void *kernel, size_t len, char *err, size_t errlen);

#endif	/* !VMM_VMM_H */
