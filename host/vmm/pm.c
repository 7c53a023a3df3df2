/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Power: ACPI's fixed hardware (PM1 event and control, the PM timer) and all
 * the ways to a reset that a PC has: 0xCF9, 0x92, the i8042.
 *
 * The i8042 is a controller with nothing plugged in.  The ACPI tables deny
 * it, but a guest may look, or pulse its reset line.  Each command is
 * answered at once, and a byte for a keyboard or a mouse with "resend" and
 * the time-out bit, as a controller does that waited in vain: so nobody
 * waits for long.
 *
 * Not modelled: the PM timer's carry status, sleep states other than S5,
 * wake-up; the A20 gate, which reads back as set and does nothing.
 */

#include <errno.h>
#include <stdlib.h>

#include "vmm/pm_reg.h"
#include "vmm/vmm.h"

#define	PM_TIMER_HZ	3579545u
#define	NSEC		1000000000u

#define	PM1_PWRBTN	0x0100	/* status and enable */
/* Timer, global lock, power and sleep button, RTC. */
#define	PM1_EN_BITS	0x0721
#define	PM1_SCI_EN	0x0001
#define	PM1_CNT_LOW	0x02	/* bus master reload is kept */
#define	PM1_SLP_EN	0x20	/* in the upper byte, as is SLP_TYP */
#define	PM1_SLP_TYP(b)	((b) >> 2 & 7)

#define	CF9_BITS	0x0E
#define	CF9_RESET	0x04

#define	P92_RESET	0x01
#define	P92_A20		0x02

#define	KBC_DATA	0x60
#define	KBC_STATUS	0x64

#define	KBC_ST_FULL	0x01	/* output buffer */
#define	KBC_ST_SYSTEM	0x04	/* self test passed */
#define	KBC_ST_COMMAND	0x08	/* last write was a command */
#define	KBC_ST_UNLOCKED	0x10
#define	KBC_ST_TIMEOUT	0x40

#define	KBC_NONE	0x00	/* no command waits for its data */
#define	KBC_READ_MODE	0x20
#define	KBC_WRITE_MODE	0x60
#define	KBC_AUX_OFF	0xA7
#define	KBC_AUX_ON	0xA8
#define	KBC_AUX_TEST	0xA9
#define	KBC_SELF_TEST	0xAA
#define	KBC_KBD_TEST	0xAB
#define	KBC_KBD_OFF	0xAD
#define	KBC_KBD_ON	0xAE
#define	KBC_READ_OUT	0xD0
#define	KBC_WRITE_OUT	0xD1
#define	KBC_ECHO_KBD	0xD2
#define	KBC_ECHO_AUX	0xD3
#define	KBC_TO_AUX	0xD4
#define	KBC_PULSE	0xF0	/* to 0xFF: bits that are 0 go low */

#define	KBC_MODE_KBD_IRQ	0x01
#define	KBC_MODE_SYSTEM		0x04
#define	KBC_MODE_KBD_OFF	0x10
#define	KBC_MODE_AUX_OFF	0x20

#define	KBC_OUT_RUN	0x01	/* 0: the CPU's reset line */
#define	KBC_OUT_A20	0x02

#define	KBC_RESEND	0xFE
#define	KBC_CLOCK_LOW	0x01	/* a test's verdict: nobody there */
#define	KBC_IRQ		1

struct vmm_pm {
	struct vmm	*m;

	pthread_mutex_t	 mtx;		/* what follows */
	uint64_t	 epoch;		/* of the timer */
	uint16_t	 status, enable;
	uint16_t	 control;
	bool		 sci;
	uint8_t		 cf9, port92;

	uint8_t		 kbc_status, kbc_data, kbc_mode, kbc_out;
	uint8_t		 kbc_command;	/* whose data comes next */
	bool		 kbc_line;
};

/* --- ACPI's registers; the mutex is held. --- */

static void
pm_update(struct vmm_pm *p)
{
	bool sci = (p->status & p->enable) != 0;

	if (sci == p->sci)
		return;
	p->sci = sci;
	vmm_irq(p->m, VMM_IRQ_SCI, sci);
}

static uint32_t
pm_timer(const struct vmm_pm *p)
{
	uint64_t ns = vmm_now() - p->epoch;

	return ((uint32_t)(ns / NSEC * PM_TIMER_HZ +
	    ns % NSEC * PM_TIMER_HZ / NSEC));
}

/* The aligned four bytes that off lies in. */
static uint32_t
pm_dword(const struct vmm_pm *p, unsigned off)
{

	switch (off & ~3u) {
	case PM_EVT - PM_BASE:
		return (p->status | (uint32_t)p->enable << 16);
	case PM_CNT - PM_BASE:
		return (p->control | PM1_SCI_EN);
	case PM_TMR - PM_BASE:
		return (pm_timer(p));
	default:
		return (0);
	}
}

static enum vmm_end
pm_byte(struct vmm_pm *p, unsigned off, uint8_t val)
{
	unsigned shift = off % 2 * 8;
	uint16_t mask = (uint16_t)(0xFF << shift);

	switch (off & ~1u) {
	case PM_EVT - PM_BASE:
		p->status &= ~(val << shift);
		break;
	case PM_EVT - PM_BASE + 2:
		p->enable = (p->enable & ~mask) |
		    (val << shift & PM1_EN_BITS);
		break;
	case PM_CNT - PM_BASE:
		if (shift == 0) {
			p->control = (p->control & ~mask) |
			    (val & PM1_CNT_LOW);
			break;
		}
		/* SLP_EN itself always reads 0. */
		p->control = (p->control & ~mask) |
		    (uint16_t)(PM1_SLP_TYP(val) << 10);
		if ((val & PM1_SLP_EN) != 0 && PM1_SLP_TYP(val) == PM_SLP_S5)
			return (VMM_POWEROFF);
		break;
	}
	return (VMM_RUNS);
}

/* --- The i8042; the mutex is held. --- */

static void
kbc_update(struct vmm_pm *p)
{
	bool line = (p->kbc_status & KBC_ST_FULL) != 0 &&
	    (p->kbc_mode & KBC_MODE_KBD_IRQ) != 0;

	if (line == p->kbc_line)
		return;
	p->kbc_line = line;
	vmm_irq(p->m, KBC_IRQ, line);
}

static void
kbc_answer(struct vmm_pm *p, uint8_t val, uint8_t flags)
{

	p->kbc_data = val;
	p->kbc_status = (p->kbc_status & ~KBC_ST_TIMEOUT) | KBC_ST_FULL |
	    flags;
}

static enum vmm_end
kbc_set_out(struct vmm_pm *p, uint8_t val)
{

	p->kbc_out = val | KBC_OUT_RUN;
	return ((val & KBC_OUT_RUN) == 0 ? VMM_RESET : VMM_RUNS);
}

static enum vmm_end
kbc_command(struct vmm_pm *p, uint8_t val)
{

	p->kbc_status |= KBC_ST_COMMAND;
	p->kbc_command = KBC_NONE;
	switch (val) {
	case KBC_READ_MODE:
		kbc_answer(p, p->kbc_mode, 0);
		break;
	case KBC_AUX_OFF:
		p->kbc_mode |= KBC_MODE_AUX_OFF;
		break;
	case KBC_AUX_ON:
		p->kbc_mode &= ~KBC_MODE_AUX_OFF;
		break;
	case KBC_AUX_TEST:
		kbc_answer(p, KBC_CLOCK_LOW, 0);
		break;
	case KBC_SELF_TEST:
		p->kbc_status |= KBC_ST_SYSTEM;
		kbc_answer(p, 0x55, 0);
		break;
	case KBC_KBD_TEST:
		kbc_answer(p, KBC_CLOCK_LOW, 0);
		break;
	case KBC_KBD_OFF:
		p->kbc_mode |= KBC_MODE_KBD_OFF;
		break;
	case KBC_KBD_ON:
		p->kbc_mode &= ~KBC_MODE_KBD_OFF;
		break;
	case KBC_READ_OUT:
		kbc_answer(p, p->kbc_out, 0);
		break;
	case KBC_WRITE_MODE:
	case KBC_WRITE_OUT:
	case KBC_ECHO_KBD:
	case KBC_ECHO_AUX:
	case KBC_TO_AUX:
		p->kbc_command = val;
		break;
	default:
		if (val >= KBC_PULSE && (val & KBC_OUT_RUN) == 0)
			return (VMM_RESET);
		break;
	}
	return (VMM_RUNS);
}

static enum vmm_end
kbc_write_data(struct vmm_pm *p, uint8_t val)
{
	uint8_t command = p->kbc_command;

	p->kbc_status &= ~KBC_ST_COMMAND;
	p->kbc_command = KBC_NONE;
	switch (command) {
	case KBC_WRITE_MODE:
		p->kbc_mode = val;
		return (VMM_RUNS);
	case KBC_WRITE_OUT:
		return (kbc_set_out(p, val));
	case KBC_ECHO_KBD:
	case KBC_ECHO_AUX:
		/* Not marked as a mouse's: there is no second port. */
		kbc_answer(p, val, 0);
		return (VMM_RUNS);
	default:
		kbc_answer(p, KBC_RESEND, KBC_ST_TIMEOUT);
		return (VMM_RUNS);
	}
}

/* --- Ports --- */

/* Unlocks, and says what the access asked for. */
static void
pm_done(struct vmm_pm *p, enum vmm_end why)
{

	pm_update(p);
	kbc_update(p);
	pthread_mutex_unlock(&p->mtx);
	if (why != VMM_RUNS)
		vmm_end(p->m, why);
}

static uint32_t
pm_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pm *p = arg;
	unsigned off = port - PM_BASE;
	uint64_t val;

	pthread_mutex_lock(&p->mtx);
	/* The timer is read once: bytes of one moment. */
	val = pm_dword(p, off) | (uint64_t)pm_dword(p, off + 4) << 32;
	pthread_mutex_unlock(&p->mtx);
	return ((uint32_t)(val >> off % 4 * 8));
}

static void
pm_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pm *p = arg;
	enum vmm_end why = VMM_RUNS, w;

	pthread_mutex_lock(&p->mtx);
	for (unsigned i = 0; i < size; i++) {
		w = pm_byte(p, port - PM_BASE + i, (uint8_t)(val >> i * 8));
		if (w != VMM_RUNS)
			why = w;
	}
	pm_done(p, why);
}

static uint32_t
pm_cf9_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pm *p = arg;
	uint8_t val;

	pthread_mutex_lock(&p->mtx);
	val = p->cf9;
	pthread_mutex_unlock(&p->mtx);
	return (val);
}

static void
pm_cf9_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pm *p = arg;

	pthread_mutex_lock(&p->mtx);
	p->cf9 = val & CF9_BITS & ~CF9_RESET;
	pm_done(p, (val & CF9_RESET) != 0 ? VMM_RESET : VMM_RUNS);
}

static uint32_t
pm_92_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pm *p = arg;
	uint8_t val;

	pthread_mutex_lock(&p->mtx);
	val = p->port92;
	pthread_mutex_unlock(&p->mtx);
	return (val);
}

static void
pm_92_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pm *p = arg;
	bool reset;

	pthread_mutex_lock(&p->mtx);
	/* The bit's rise counts: a guest may write back what it read. */
	reset = (val & ~p->port92 & P92_RESET) != 0;
	p->port92 = val & (P92_A20 | P92_RESET);
	pm_done(p, reset ? VMM_RESET : VMM_RUNS);
}

static uint32_t
kbc_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pm *p = arg;
	uint8_t val;

	pthread_mutex_lock(&p->mtx);
	if (port == KBC_STATUS) {
		val = p->kbc_status;
	} else {
		val = p->kbc_data;
		p->kbc_status &= ~(KBC_ST_FULL | KBC_ST_TIMEOUT);
	}
	pm_done(p, VMM_RUNS);
	return (val);
}

static void
kbc_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pm *p = arg;
	enum vmm_end why;

	pthread_mutex_lock(&p->mtx);
	why = port == KBC_STATUS ? kbc_command(p, (uint8_t)val) :
	    kbc_write_data(p, (uint8_t)val);
	pm_done(p, why);
}

/* --- What the machine calls --- */

static int
pm_add_ports(struct vmm_pm *p)
{
	const struct vmm_pio ranges[] = {
		{ .base = PM_BASE, .len = PM_PORTS, .read = pm_read,
		    .write = pm_write, .arg = p },
		{ .base = PM_RESET, .len = 1, .read = pm_cf9_read,
		    .write = pm_cf9_write, .arg = p },
		{ .base = PM_PORT92, .len = 1, .read = pm_92_read,
		    .write = pm_92_write, .arg = p },
		{ .base = KBC_DATA, .len = 1, .read = kbc_read,
		    .write = kbc_write, .arg = p },
		{ .base = KBC_STATUS, .len = 1, .read = kbc_read,
		    .write = kbc_write, .arg = p },
		/* Guests write there to tell, or to wait a microsecond. */
		{ .base = PM_POST, .len = 1 },
	};
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(ranges) /
	    sizeof(ranges[0]); i++)
		error = vmm_pio_add(p->m, &ranges[i]);
	return (error);
}

int
vmm_pm_create(struct vmm *m, struct vmm_pm **pp)
{
	struct vmm_pm *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return (ENOMEM);
	p->m = m;
	pthread_mutex_init(&p->mtx, NULL);
	vmm_pm_reset(p);
	error = pm_add_ports(p);
	if (error != 0) {
		vmm_pm_destroy(p);
		return (error);
	}
	*pp = p;
	return (0);
}

void
vmm_pm_button(struct vmm_pm *p)
{

	pthread_mutex_lock(&p->mtx);
	p->status |= PM1_PWRBTN;
	pm_done(p, VMM_RUNS);
}

void
vmm_pm_reset(struct vmm_pm *p)
{

	pthread_mutex_lock(&p->mtx);
	p->epoch = vmm_now();
	p->status = p->enable = p->control = 0;
	p->cf9 = 0;
	p->port92 = P92_A20;
	p->kbc_status = KBC_ST_SYSTEM | KBC_ST_UNLOCKED;
	p->kbc_data = 0;
	p->kbc_mode = KBC_MODE_SYSTEM | KBC_MODE_KBD_OFF | KBC_MODE_AUX_OFF;
	p->kbc_out = KBC_OUT_RUN | KBC_OUT_A20;
	p->kbc_command = KBC_NONE;
	pm_done(p, VMM_RUNS);
}

void
vmm_pm_destroy(struct vmm_pm *p)
{

	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->mtx);
	free(p);
}
