/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A 16550A at 0x3F8, interrupt 4.  A byte written is a byte sent: the
 * transmitter is always empty.  Input waits outside until there is room, so
 * that nothing is lost to a guest that reads slowly.
 *
 * The interrupt's line is high while an enabled cause is pending.  ISA's
 * interrupts are edges, so each new cause that finds the line low raises it;
 * a byte written while "transmitter empty" is pending takes that cause away
 * and brings it back, as sending it would.
 *
 * Not modelled: the time a byte takes (the divisor is kept and read back),
 * break, parity and framing errors, time-outs of the receiver (what is there
 * counts as timed out).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/vmm.h"

#define	UART_BASE	0x3F8
#define	UART_PORTS	8
#define	UART_FIFO	16

/* Registers; with LCR_DLAB, 0 and 1 are the divisor. */
#define	REG_DATA	0
#define	REG_IER		1
#define	REG_IIR_FCR	2
#define	REG_LCR		3
#define	REG_MCR		4
#define	REG_LSR		5
#define	REG_MSR		6
#define	REG_SCR		7

#define	IER_RX		0x01
#define	IER_TX		0x02
#define	IER_LINE	0x04
#define	IER_MODEM	0x08
#define	IER_BITS	0x0F

#define	IIR_MODEM	0x00
#define	IIR_NONE	0x01
#define	IIR_TX		0x02
#define	IIR_RX		0x04
#define	IIR_LINE	0x06
#define	IIR_TIMEOUT	0x0C
#define	IIR_FIFO	0xC0

#define	FCR_ENABLE	0x01
#define	FCR_CLEAR_RX	0x02
#define	FCR_TRIGGER	0xC0

#define	LCR_DLAB	0x80

#define	MCR_DTR		0x01
#define	MCR_RTS		0x02
#define	MCR_OUT1	0x04
#define	MCR_OUT2	0x08	/* on a PC: lets the interrupt out */
#define	MCR_LOOP	0x10
#define	MCR_BITS	0x1F

#define	LSR_READY	0x01
#define	LSR_OVERRUN	0x02
#define	LSR_TX_EMPTY	0x60	/* holding and shift register */

#define	MSR_DELTA	0x0F
#define	MSR_RI_ENDED	0x04
#define	MSR_CTS		0x10
#define	MSR_DSR		0x20
#define	MSR_RI		0x40
#define	MSR_DCD		0x80

struct vmm_uart {
	struct vmm	*m;
	void		(*put)(void *arg, const void *buf, size_t len);
	void		*put_arg;
	void		(*room)(void *arg);
	void		*room_arg;

	pthread_mutex_t	 mtx;		/* what follows */
	uint8_t		 rx[UART_FIFO];
	unsigned	 rx_first, rx_count;
	bool		 rx_waits;	/* input found too little room */
	bool		 tx_cause;	/* "transmitter empty", unseen */
	bool		 line;
	uint8_t		 ier, fcr, lcr, mcr, msr, scr, lsr_errors;
	uint8_t		 divisor[2];
};

/* --- State; the mutex is held. --- */

static unsigned
uart_capacity(const struct vmm_uart *u)
{

	return ((u->fcr & FCR_ENABLE) != 0 ? UART_FIFO : 1);
}

static unsigned
uart_room(const struct vmm_uart *u)
{

	/* In loopback nothing comes from outside. */
	if ((u->mcr & MCR_LOOP) != 0)
		return (0);
	return (uart_capacity(u) - u->rx_count);
}

static unsigned
uart_trigger(const struct vmm_uart *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	if ((u->fcr & FCR_ENABLE) == 0)
		return (1);
	return (levels[(u->fcr & FCR_TRIGGER) >> 6]);
}

/* The most urgent cause that is enabled. */
static uint8_t
uart_cause(const struct vmm_uart *u)
{

	if ((u->ier & IER_LINE) != 0 && u->lsr_errors != 0)
		return (IIR_LINE);
	if ((u->ier & IER_RX) != 0 && u->rx_count > 0)
		return (u->rx_count >= uart_trigger(u) ? IIR_RX : IIR_TIMEOUT);
	if ((u->ier & IER_TX) != 0 && u->tx_cause)
		return (IIR_TX);
	if ((u->ier & IER_MODEM) != 0 && (u->msr & MSR_DELTA) != 0)
		return (IIR_MODEM);
	return (IIR_NONE);
}

static void
uart_update(struct vmm_uart *u)
{
	bool line;

	line = uart_cause(u) != IIR_NONE &&
	    (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	if (line == u->line)
		return;
	u->line = line;
	vmm_irq(u->m, VMM_IRQ_UART0, line);
}

static void
uart_receive(struct vmm_uart *u, uint8_t byte)
{

	if (u->rx_count == uart_capacity(u)) {
		/* A FIFO keeps what it has, a lone register does not. */
		u->lsr_errors |= LSR_OVERRUN;
		if ((u->fcr & FCR_ENABLE) == 0)
			u->rx[u->rx_first] = byte;
		return;
	}
	u->rx[(u->rx_first + u->rx_count) % UART_FIFO] = byte;
	u->rx_count++;
}

/* The modem's lines: a peer that is always there, or in loopback our own. */
static void
uart_modem(struct vmm_uart *u)
{
	uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, changed;

	if ((u->mcr & MCR_LOOP) != 0)
		lines = ((u->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) |
		    ((u->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
		    ((u->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
		    ((u->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0);
	changed = (u->msr ^ lines) & (MSR_CTS | MSR_DSR | MSR_DCD);
	if ((u->msr & ~lines & MSR_RI) != 0)
		changed |= MSR_RI_ENDED << 4;
	u->msr = lines | (u->msr & MSR_DELTA) | changed >> 4;
}

static uint8_t
uart_read_locked(struct vmm_uart *u, unsigned reg)
{
	uint8_t val = 0;

	if (reg <= REG_IER && (u->lcr & LCR_DLAB) != 0)
		return (u->divisor[reg]);
	switch (reg) {
	case REG_DATA:
		val = u->rx[u->rx_first];
		if (u->rx_count > 0) {
			u->rx_first = (u->rx_first + 1) % UART_FIFO;
			u->rx_count--;
		}
		break;
	case REG_IER:
		val = u->ier;
		break;
	case REG_IIR_FCR:
		val = uart_cause(u);
		/* Having been told is what ends this cause. */
		if (val == IIR_TX)
			u->tx_cause = false;
		if ((u->fcr & FCR_ENABLE) != 0)
			val |= IIR_FIFO;
		break;
	case REG_LCR:
		val = u->lcr;
		break;
	case REG_MCR:
		val = u->mcr;
		break;
	case REG_LSR:
		val = LSR_TX_EMPTY | u->lsr_errors |
		    (u->rx_count > 0 ? LSR_READY : 0);
		u->lsr_errors = 0;
		break;
	case REG_MSR:
		val = u->msr;
		u->msr &= ~MSR_DELTA;
		break;
	case REG_SCR:
		val = u->scr;
		break;
	}
	return (val);
}

static void
uart_write_fcr(struct vmm_uart *u, uint8_t val)
{

	/* Without the enable bit, the others do nothing. */
	if ((val & FCR_ENABLE) == 0)
		val = 0;
	if (((val ^ u->fcr) & FCR_ENABLE) != 0 || (val & FCR_CLEAR_RX) != 0)
		u->rx_first = u->rx_count = 0;
	u->fcr = val & (FCR_ENABLE | FCR_TRIGGER);
}

/* Returns whether the byte leaves by the transmitter. */
static bool
uart_write_locked(struct vmm_uart *u, unsigned reg, uint8_t val)
{

	if (reg <= REG_IER && (u->lcr & LCR_DLAB) != 0) {
		u->divisor[reg] = val;
		return (false);
	}
	switch (reg) {
	case REG_DATA:
		u->tx_cause = false;
		uart_update(u);
		u->tx_cause = true;
		if ((u->mcr & MCR_LOOP) == 0)
			return (true);
		uart_receive(u, val);
		break;
	case REG_IER:
		if ((val & ~u->ier & IER_TX) != 0)
			u->tx_cause = true;
		u->ier = val & IER_BITS;
		break;
	case REG_IIR_FCR:
		uart_write_fcr(u, val);
		break;
	case REG_LCR:
		u->lcr = val;
		break;
	case REG_MCR:
		u->mcr = val & MCR_BITS;
		uart_modem(u);
		break;
	case REG_SCR:
		u->scr = val;
		break;
	default:		/* LSR and MSR are read-only */
		break;
	}
	return (false);
}

/* Unlocks; input that waits is called for when all before it is read. */
static void
uart_done(struct vmm_uart *u)
{
	void (*room)(void *) = NULL;
	void *arg = NULL;

	uart_update(u);
	if (u->rx_waits && u->rx_count == 0 && uart_room(u) > 0) {
		u->rx_waits = false;
		room = u->room;
		arg = u->room_arg;
	}
	pthread_mutex_unlock(&u->mtx);
	if (room != NULL)
		room(arg);
}

/* --- Ports --- */

static uint32_t
uart_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_uart *u = arg;
	uint8_t val;

	pthread_mutex_lock(&u->mtx);
	val = uart_read_locked(u, port - UART_BASE);
	uart_done(u);
	return (val);
}

static void
uart_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_uart *u = arg;
	uint8_t byte = (uint8_t)val;
	bool sent;

	pthread_mutex_lock(&u->mtx);
	sent = uart_write_locked(u, port - UART_BASE, byte);
	/*
	 * The byte goes out with no lock held: the other end may have one of
	 * its own, under which it calls vmm_uart_input().  And it goes before
	 * the interrupt that asks for the next.
	 */
	if (sent) {
		pthread_mutex_unlock(&u->mtx);
		u->put(u->put_arg, &byte, 1);
		pthread_mutex_lock(&u->mtx);
	}
	uart_done(u);
}

/* --- What the machine calls --- */

static void
uart_power_on(struct vmm_uart *u)
{

	u->rx_first = u->rx_count = 0;
	u->tx_cause = false;
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->lsr_errors = 0;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	/* 9600 baud, as firmware leaves it. */
	u->divisor[0] = 12;
	u->divisor[1] = 0;
}

int
vmm_uart_create(struct vmm *m, void (*put)(void *arg, const void *buf,
    size_t len), void *arg, struct vmm_uart **up)
{
	struct vmm_pio pio = { .base = UART_BASE, .len = UART_PORTS,
	    .bytes = true, .read = uart_read, .write = uart_write };
	struct vmm_uart *u;
	int error;

	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return (ENOMEM);
	u->m = m;
	u->put = put;
	u->put_arg = arg;
	pthread_mutex_init(&u->mtx, NULL);
	uart_power_on(u);
	pio.arg = u;
	error = vmm_pio_add(m, &pio);
	if (error != 0) {
		vmm_uart_destroy(u);
		return (error);
	}
	*up = u;
	return (0);
}

size_t
vmm_uart_input(struct vmm_uart *u, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t n;

	pthread_mutex_lock(&u->mtx);
	n = uart_room(u);
	if (n < len)
		u->rx_waits = true;
	else
		n = len;
	for (size_t i = 0; i < n; i++)
		uart_receive(u, p[i]);
	uart_update(u);
	pthread_mutex_unlock(&u->mtx);
	return (n);
}

void
vmm_uart_on_room(struct vmm_uart *u, void (*room)(void *arg), void *arg)
{

	pthread_mutex_lock(&u->mtx);
	u->room = room;
	u->room_arg = arg;
	pthread_mutex_unlock(&u->mtx);
}

void
vmm_uart_reset(struct vmm_uart *u)
{

	pthread_mutex_lock(&u->mtx);
	uart_power_on(u);
	uart_done(u);
}

void
vmm_uart_destroy(struct vmm_uart *u)
{

	if (u == NULL)
		return;
	pthread_mutex_destroy(&u->mtx);
	free(u);
}
