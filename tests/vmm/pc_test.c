/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The small devices of hvhost's PC, by the instructions that guests run on
 * them: probing as Linux and FreeBSD do, output and input by interrupt, the
 * clock, power.
 */

#include <atf-c.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "fake_pc.h"
#include "vmm/pm_reg.h"

static struct vmm pc;

/* --- Port map --- */

struct probe {
	uint16_t	port;
	unsigned	size, reads, writes;
	uint32_t	val;
};

static uint32_t
probe_read(void *arg, uint16_t port, unsigned size)
{
	struct probe *p = arg;

	p->port = port;
	p->size = size;
	p->reads++;
	return (0x11111111u * (port & 0xF));
}

static void
probe_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct probe *p = arg;

	p->port = port;
	p->size = size;
	p->writes++;
	p->val = val;
}

static int
probe_add(struct probe *p, uint16_t base, uint16_t len, bool bytes)
{
	const struct vmm_pio pio = { .base = base, .len = len,
	    .bytes = bytes, .read = probe_read, .write = probe_write,
	    .arg = p };

	return (vmm_pio_add(&pc, &pio));
}

ATF_TC_WITHOUT_HEAD(pio_nobody);
ATF_TC_BODY(pio_nobody, tc)
{

	fake_pc_init(&pc);
	ATF_REQUIRE_EQ(0xFF, in8(&pc, 0x300));
	ATF_REQUIRE_EQ(0xFFFF, in16(&pc, 0x300));
	ATF_REQUIRE_EQ(0xFFFFFFFF, in32(&pc, 0xFFFF));
	out32(&pc, 0xFFFE, 5);
}

ATF_TC_WITHOUT_HEAD(pio_whole_and_bytes);
ATF_TC_BODY(pio_whole_and_bytes, tc)
{
	struct probe a = { 0 }, b = { 0 };

	fake_pc_init(&pc);
	ATF_REQUIRE_EQ(0, probe_add(&a, 0x100, 4, false));
	ATF_REQUIRE_EQ(0, probe_add(&b, 0x108, 4, true));

	/* Within the range: one access. */
	ATF_REQUIRE_EQ(0x22222222, in32(&pc, 0x100) | 0x22222222);
	ATF_REQUIRE_EQ(1, a.reads);
	ATF_REQUIRE_EQ(4, a.size);
	ATF_REQUIRE_EQ(0x2222, in16(&pc, 0x102));

	/* Over its end, or into it: bytes, nobody's being ones. */
	ATF_REQUIRE_EQ(0xFFFF3322, in32(&pc, 0x102));
	ATF_REQUIRE_EQ(1, a.size);
	ATF_REQUIRE_EQ(0x1100FFFF, in32(&pc, 0xFE));
	out32(&pc, 0x102, 0xAABBCCDD);
	ATF_REQUIRE_EQ(2, a.writes);
	ATF_REQUIRE_EQ(0xCC, a.val);
	ATF_REQUIRE_EQ(0x103, a.port);

	/* A device of 8 bits. */
	ATF_REQUIRE_EQ(0xBBAA9988, in32(&pc, 0x108));
	ATF_REQUIRE_EQ(4, b.reads);
	out16(&pc, 0x108, 0x1234);
	ATF_REQUIRE_EQ(2, b.writes);
	ATF_REQUIRE_EQ(0x12, b.val);
}

ATF_TC_WITHOUT_HEAD(pio_last_port);
ATF_TC_BODY(pio_last_port, tc)
{
	struct probe a = { 0 };

	fake_pc_init(&pc);
	ATF_REQUIRE_EQ(EINVAL, probe_add(&a, 0xFFFF, 2, false));
	ATF_REQUIRE_EQ(EINVAL, probe_add(&a, 0x10, 0, false));
	ATF_REQUIRE_EQ(0, probe_add(&a, 0xFFFF, 1, false));
	ATF_REQUIRE_EQ(0xFFFFFFFF, in32(&pc, 0xFFFF));
	out32(&pc, 0xFFFF, 0x12345678);
	ATF_REQUIRE_EQ(1, a.writes);
	ATF_REQUIRE_EQ(0x78, a.val);
	ATF_REQUIRE_EQ(0xFFFF, in16(&pc, 0));
}

/* 0xCF9 within PCI's ports, whoever comes first. */
ATF_TC_WITHOUT_HEAD(pio_range_in_range);
ATF_TC_BODY(pio_range_in_range, tc)
{
	struct probe pci, reset;

	for (int first = 0; first < 2; first++) {
		fake_pc_init(&pc);
		memset(&pci, 0, sizeof(pci));
		memset(&reset, 0, sizeof(reset));
		if (first == 0)
			ATF_REQUIRE_EQ(0, probe_add(&pci, 0xCF8, 8, false));
		ATF_REQUIRE_EQ(0, probe_add(&reset, 0xCF9, 1, false));
		if (first == 1)
			ATF_REQUIRE_EQ(0, probe_add(&pci, 0xCF8, 8, false));
		out32(&pc, 0xCF8, 0x80000000);
		ATF_REQUIRE_EQ(1, pci.writes);
		ATF_REQUIRE_EQ(4, pci.size);
		ATF_REQUIRE_EQ(0, reset.writes);
		out8(&pc, 0xCF9, 6);
		ATF_REQUIRE_EQ(1, reset.writes);
		ATF_REQUIRE_EQ(1, pci.writes);
		out8(&pc, 0xCFA, 1);
		ATF_REQUIRE_EQ(2, pci.writes);
		ATF_REQUIRE_EQ(EEXIST, probe_add(&pci, 0xCF8, 8, false));
		ATF_REQUIRE_EQ(EEXIST, probe_add(&pci, 0xCFF, 2, false));
		ATF_REQUIRE_EQ(EEXIST, probe_add(&pci, 0xCF0, 9, false));
	}
	for (unsigned i = 0; i < VMM_PIO_RANGES - 2; i++)
		ATF_REQUIRE_EQ(0, probe_add(&pci, 0x2000 + i, 1, false));
	ATF_REQUIRE_EQ(ENOSPC, probe_add(&pci, 0x3000, 1, false));
}

ATF_TC_WITHOUT_HEAD(pio_strings);
ATF_TC_BODY(pio_strings, tc)
{
	const uint16_t out[3] = { 0x1234, 0x5678, 0x9ABC };
	struct probe a = { 0 };
	uint16_t in[3];

	fake_pc_init(&pc);
	ATF_REQUIRE_EQ(0, probe_add(&a, 0x1F0, 2, false));
	pio_map_exit(&pc.map, 0x1F0, 2, true, (void *)(uintptr_t)out, 3);
	ATF_REQUIRE_EQ(3, a.writes);
	ATF_REQUIRE_EQ(0x9ABC, a.val);
	ATF_REQUIRE_EQ(0x1F0, a.port);
	pio_map_exit(&pc.map, 0x201, 2, false, in, 3);
	for (int i = 0; i < 3; i++)
		ATF_REQUIRE_EQ(0xFFFF, in[i]);
	pio_map_exit(&pc.map, 0x1F0, 2, false, in, 3);
	ATF_REQUIRE_EQ(3, a.reads);
	ATF_REQUIRE_EQ(0, in[2]);
}

/* --- UART --- */

#define	COM	0x3F8
#define	IER	(COM + 1)
#define	IIR	(COM + 2)
#define	FCR	(COM + 2)
#define	LCR	(COM + 3)
#define	MCR	(COM + 4)
#define	LSR	(COM + 5)
#define	MSR	(COM + 6)
#define	SCR	(COM + 7)
#define	IRQ	VMM_IRQ_UART0

static struct vmm_uart *uart;
static char sent[4096];
static size_t nsent;
static _Atomic unsigned rooms;

static void
sink(void *arg, const void *buf, size_t len)
{

	if (nsent + len <= sizeof(sent))
		memcpy(sent + nsent, buf, len);
	nsent += len;
}

static void
on_room(void *arg)
{

	atomic_fetch_add(&rooms, 1);
}

static void
uart_start(void)
{

	fake_pc_init(&pc);
	nsent = 0;
	atomic_store(&rooms, 0);
	ATF_REQUIRE_EQ(0, vmm_uart_create(&pc, sink, NULL, &uart));
	vmm_uart_on_room(uart, on_room, NULL);
}

/* As drivers leave it: 8N1, FIFOs, modem lines and interrupts let out. */
static void
uart_open(uint8_t ier)
{

	out8(&pc, LCR, 0x03);
	out8(&pc, FCR, 0x01);
	out8(&pc, FCR, 0x07);
	out8(&pc, MCR, 0x0B);
	out8(&pc, IER, ier);
}

/* What Linux asks before it believes in a 16550A, and in nothing better. */
ATF_TC_WITHOUT_HEAD(uart_linux_autoconfig);
ATF_TC_BODY(uart_linux_autoconfig, tc)
{
	uint8_t mcr, without, with;

	uart_start();
	out8(&pc, IER, 0);
	ATF_REQUIRE_EQ(0, in8(&pc, IER) & 0x0F);
	out8(&pc, IER, 0x0F);
	ATF_REQUIRE_EQ(0x0F, in8(&pc, IER));
	out8(&pc, IER, 0);

	mcr = in8(&pc, MCR);
	out8(&pc, MCR, 0x1A);
	ATF_REQUIRE_EQ(0x90, in8(&pc, MSR) & 0xF0);
	out8(&pc, MCR, mcr);
	ATF_REQUIRE_EQ(0xB0, in8(&pc, MSR) & 0xF0);

	/* With the enhanced registers' selector, still the IIR. */
	out8(&pc, LCR, 0xBF);
	out8(&pc, 0x3FA, 0);
	out8(&pc, LCR, 0);
	out8(&pc, FCR, 0x01);
	ATF_REQUIRE_EQ(3, in8(&pc, IIR) >> 6);
	out8(&pc, LCR, 0x80);
	ATF_REQUIRE(in8(&pc, IIR) != 0);
	out8(&pc, LCR, 0xBF);
	ATF_REQUIRE(in8(&pc, IIR) != 0);

	/* No FIFO of 64 bytes, no "UART unit enable". */
	out8(&pc, LCR, 0);
	out8(&pc, FCR, 0x01);
	without = in8(&pc, IIR) >> 5;
	out8(&pc, FCR, 0);
	out8(&pc, LCR, 0x80);
	out8(&pc, FCR, 0x21);
	with = in8(&pc, IIR) >> 5;
	ATF_REQUIRE_EQ(6, without);
	ATF_REQUIRE_EQ(6, with);
	out8(&pc, LCR, 0);
	out8(&pc, IER, 0x40);
	ATF_REQUIRE_EQ(0, in8(&pc, IER));

	/* Divisor and scratch register. */
	out8(&pc, LCR, 0x83);
	out8(&pc, COM, 0x01);
	out8(&pc, IER, 0x02);
	ATF_REQUIRE_EQ(0x01, in8(&pc, COM));
	ATF_REQUIRE_EQ(0x02, in8(&pc, IER));
	out8(&pc, LCR, 0x03);
	ATF_REQUIRE_EQ(0, in8(&pc, IER));
	ATF_REQUIRE_EQ(0x03, in8(&pc, LCR));
	out8(&pc, SCR, 0xA5);
	ATF_REQUIRE_EQ(0xA5, in8(&pc, SCR));
	ATF_REQUIRE_EQ(0, nsent);
	ATF_REQUIRE_EQ(0, pc.edges[IRQ]);
	vmm_uart_destroy(uart);
}

/* FreeBSD's: bits that are always 0, then the FIFO's size in loopback. */
ATF_TC_WITHOUT_HEAD(uart_freebsd_probe);
ATF_TC_BODY(uart_freebsd_probe, tc)
{
	unsigned count = 0;
	uint8_t lsr;

	uart_start();
	ATF_REQUIRE_EQ(0, in8(&pc, IIR) & 0x30);
	ATF_REQUIRE_EQ(0, in8(&pc, MCR) & 0xE0);
	out8(&pc, MCR, 0x1B);
	out8(&pc, FCR, 0x01);
	out8(&pc, FCR, 0x07);
	ATF_REQUIRE_EQ(0xC0, in8(&pc, IIR) & 0xC0);
	do {
		out8(&pc, COM, (uint8_t)count);
		count++;
		lsr = in8(&pc, LSR);
		ATF_REQUIRE_EQ(0x60, lsr & 0x60);
	} while ((lsr & 0x02) == 0 && count < 130);
	ATF_REQUIRE_EQ(17, count);
	/* A full FIFO keeps what it has; the status is told once. */
	ATF_REQUIRE_EQ(0x61, in8(&pc, LSR));
	for (unsigned i = 0; i < 16; i++)
		ATF_REQUIRE_EQ(i, in8(&pc, COM));
	ATF_REQUIRE_EQ(0x60, in8(&pc, LSR));
	/* Nothing of it went out, and nothing came in meanwhile. */
	ATF_REQUIRE_EQ(0, nsent);
	ATF_REQUIRE_EQ(0, vmm_uart_input(uart, "x", 1));
	out8(&pc, MCR, 0x0B);
	ATF_REQUIRE_EQ(1, rooms);
	ATF_REQUIRE_EQ(0, pc.edges[IRQ]);
	vmm_uart_destroy(uart);
}

ATF_TC_WITHOUT_HEAD(uart_modem_lines);
ATF_TC_BODY(uart_modem_lines, tc)
{

	uart_start();
	ATF_REQUIRE_EQ(0xB0, in8(&pc, MSR));
	out8(&pc, MCR, 0x10);
	ATF_REQUIRE_EQ(0x0B, in8(&pc, MSR));
	out8(&pc, MCR, 0x14);
	ATF_REQUIRE_EQ(0x40, in8(&pc, MSR));
	out8(&pc, MCR, 0x10);
	ATF_REQUIRE_EQ(0x04, in8(&pc, MSR));
	out8(&pc, IER, 0x08);
	out8(&pc, MCR, 0x08);
	ATF_REQUIRE_EQ(0x00, in8(&pc, IIR));
	ATF_REQUIRE(pc.line[IRQ]);
	ATF_REQUIRE_EQ(0xBB, in8(&pc, MSR));
	ATF_REQUIRE_EQ(0x01, in8(&pc, IIR));
	ATF_REQUIRE(!pc.line[IRQ]);
	vmm_uart_destroy(uart);
}

ATF_TC_WITHOUT_HEAD(uart_polled_output);
ATF_TC_BODY(uart_polled_output, tc)
{
	static const char text[] = "FreeBSD is a registered trademark";

	uart_start();
	for (const char *p = text; *p != '\0'; p++) {
		ATF_REQUIRE_EQ(0x60, in8(&pc, LSR) & 0x60);
		out8(&pc, COM, (uint8_t)*p);
	}
	pio_map_exit(&pc.map, COM, 1, true, (void *)(uintptr_t)text, 7);
	ATF_REQUIRE_EQ(strlen(text) + 7, nsent);
	ATF_REQUIRE_EQ(0, memcmp(sent, text, strlen(text)));
	ATF_REQUIRE_EQ(0, memcmp(sent + strlen(text), text, 7));
	ATF_REQUIRE_EQ(0, pc.edges[IRQ]);
	vmm_uart_destroy(uart);
}

/* "Transmitter empty": once when enabled, once a write, over when told. */
ATF_TC_WITHOUT_HEAD(uart_output_cause);
ATF_TC_BODY(uart_output_cause, tc)
{

	uart_start();
	uart_open(0x02);
	ATF_REQUIRE_EQ(1, pc.edges[IRQ]);
	ATF_REQUIRE_EQ(0xC2, in8(&pc, IIR));
	ATF_REQUIRE(!pc.line[IRQ]);
	ATF_REQUIRE_EQ(0xC1, in8(&pc, IIR));

	/* Linux's test for a transmitter that does not ask again. */
	out8(&pc, IER, 0x00);
	out8(&pc, IER, 0x02);
	ATF_REQUIRE_EQ(2, pc.edges[IRQ]);
	ATF_REQUIRE_EQ(0xC2, in8(&pc, IIR));
	/* Enabled as it was: no new cause. */
	out8(&pc, IER, 0x02);
	ATF_REQUIRE_EQ(0xC1, in8(&pc, IIR));

	/* An edge a byte, also for one that never asked why. */
	out8(&pc, COM, 'a');
	ATF_REQUIRE_EQ(3, pc.edges[IRQ]);
	out8(&pc, COM, 'b');
	ATF_REQUIRE_EQ(4, pc.edges[IRQ]);
	ATF_REQUIRE_EQ(0xC2, in8(&pc, IIR));

	/* Nothing to send any more: quiet. */
	out8(&pc, IER, 0x00);
	ATF_REQUIRE(!pc.line[IRQ]);
	ATF_REQUIRE_EQ(0xC1, in8(&pc, IIR));
	vmm_uart_destroy(uart);
}

/* A driver that writes a FIFO's worth on each edge, and only then. */
ATF_TC_WITHOUT_HEAD(uart_output_by_interrupt);
ATF_TC_BODY(uart_output_by_interrupt, tc)
{
	unsigned seen = 0, written = 0, interrupts = 0;

	uart_start();
	uart_open(0x02);
	while (pc.edges[IRQ] != seen) {
		seen = pc.edges[IRQ];
		interrupts++;
		while ((in8(&pc, IIR) & 0x01) == 0) {
			if (written == 1000) {
				out8(&pc, IER, 0x00);
				break;
			}
			for (int i = 0; i < 16 && written < 1000; i++)
				out8(&pc, COM, (uint8_t)written++);
			/* One round an interrupt, as hardware has it. */
			break;
		}
	}
	ATF_REQUIRE_EQ(1000, nsent);
	for (unsigned i = 0; i < 1000; i++)
		ATF_REQUIRE_EQ((char)i, sent[i]);
	ATF_REQUIRE(interrupts <= 1000 / 16 + 2);
	ATF_REQUIRE(!pc.line[IRQ]);
	vmm_uart_destroy(uart);
}

ATF_TC_WITHOUT_HEAD(uart_input_and_room);
ATF_TC_BODY(uart_input_and_room, tc)
{
	static const char text[] = "0123456789abcdefXYZ";

	uart_start();
	/* Without FIFOs, one byte at a time. */
	ATF_REQUIRE_EQ(1, vmm_uart_input(uart, text, 3));
	ATF_REQUIRE_EQ(0x61, in8(&pc, LSR));
	ATF_REQUIRE_EQ(0, rooms);
	ATF_REQUIRE_EQ('0', in8(&pc, COM));
	ATF_REQUIRE_EQ(1, rooms);

	uart_open(0x01);
	out8(&pc, FCR, 0x81);		/* trigger: 8 */
	ATF_REQUIRE_EQ(1, vmm_uart_input(uart, text, 1));
	ATF_REQUIRE_EQ(1, pc.edges[IRQ]);
	ATF_REQUIRE_EQ(0xCC, in8(&pc, IIR));
	ATF_REQUIRE_EQ(15, vmm_uart_input(uart, text + 1, 18));
	ATF_REQUIRE_EQ(0xC4, in8(&pc, IIR));
	for (int i = 0; i < 15; i++)
		ATF_REQUIRE_EQ(text[i], in8(&pc, COM));
	ATF_REQUIRE_EQ(1, rooms);
	ATF_REQUIRE(pc.line[IRQ]);
	ATF_REQUIRE_EQ('f', in8(&pc, COM));
	ATF_REQUIRE_EQ(2, rooms);
	ATF_REQUIRE(!pc.line[IRQ]);
	ATF_REQUIRE_EQ(3, vmm_uart_input(uart, text + 16, 3));
	ATF_REQUIRE_EQ(2, pc.edges[IRQ]);
	/* Input that took all of itself calls for no more. */
	for (int i = 16; i < 19; i++)
		ATF_REQUIRE_EQ(text[i], in8(&pc, COM));
	ATF_REQUIRE_EQ(2, rooms);

	/* Thrown away by the guest: room as well. */
	ATF_REQUIRE_EQ(16, vmm_uart_input(uart, text, 19));
	out8(&pc, FCR, 0x03);
	ATF_REQUIRE_EQ(3, rooms);
	ATF_REQUIRE_EQ(0x60, in8(&pc, LSR));
	ATF_REQUIRE(!pc.line[IRQ]);
	vmm_uart_destroy(uart);
}

/* On a PC, OUT2 holds the interrupt back, and so does loopback. */
ATF_TC_WITHOUT_HEAD(uart_out2);
ATF_TC_BODY(uart_out2, tc)
{

	uart_start();
	out8(&pc, IER, 0x01);
	ATF_REQUIRE_EQ(1, vmm_uart_input(uart, "x", 1));
	ATF_REQUIRE(!pc.line[IRQ]);
	ATF_REQUIRE_EQ(0x04, in8(&pc, IIR));
	out8(&pc, MCR, 0x08);
	ATF_REQUIRE(pc.line[IRQ]);
	out8(&pc, MCR, 0x18);
	ATF_REQUIRE(!pc.line[IRQ]);
	vmm_uart_destroy(uart);
}

ATF_TC_WITHOUT_HEAD(uart_reset);
ATF_TC_BODY(uart_reset, tc)
{

	uart_start();
	uart_open(0x0F);
	ATF_REQUIRE_EQ(16, vmm_uart_input(uart, "0123456789abcdefgh", 18));
	ATF_REQUIRE(pc.line[IRQ]);
	vmm_uart_reset(uart);
	ATF_REQUIRE(!pc.line[IRQ]);
	ATF_REQUIRE_EQ(1, rooms);
	ATF_REQUIRE_EQ(0x00, in8(&pc, IER));
	ATF_REQUIRE_EQ(0x01, in8(&pc, IIR));
	ATF_REQUIRE_EQ(0x00, in8(&pc, MCR));
	ATF_REQUIRE_EQ(0x60, in8(&pc, LSR));
	ATF_REQUIRE_EQ(0xB0, in8(&pc, MSR));
	vmm_uart_destroy(uart);
}

#define	STREAM	20000

static void *
typist(void *arg)
{
	uint8_t buf[40];
	unsigned done = 0, n, seen;
	size_t took;

	while (done < STREAM) {
		n = STREAM - done < sizeof(buf) ? STREAM - done : sizeof(buf);
		for (unsigned i = 0; i < n; i++)
			buf[i] = (uint8_t)((done + i) * 7);
		seen = atomic_load(&rooms);
		took = vmm_uart_input(uart, buf, n);
		done += took;
		/* Only the call says that there is room again. */
		while (took < n && atomic_load(&rooms) == seen)
			sched_yield();
	}
	return (NULL);
}

/* A guest that looks at its UART on edges alone gets every byte, once. */
ATF_TC_WITHOUT_HEAD(uart_input_race);
ATF_TC_BODY(uart_input_race, tc)
{
	unsigned got = 0, seen = 0, edges;
	pthread_t t;

	uart_start();
	uart_open(0x03);
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, typist, NULL));
	while (got < STREAM) {
		edges = atomic_load(&pc.edges[IRQ]);
		if (edges == seen) {
			sched_yield();
			continue;
		}
		seen = edges;
		while ((in8(&pc, IIR) & 0x01) == 0)
			while ((in8(&pc, LSR) & 0x01) != 0)
				ATF_REQUIRE_EQ((uint8_t)(got++ * 7),
				    in8(&pc, COM));
	}
	pthread_join(t, NULL);
	ATF_REQUIRE_EQ(0x60, in8(&pc, LSR));
	vmm_uart_destroy(uart);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, pio_nobody);
	ATF_TP_ADD_TC(tp, pio_whole_and_bytes);
	ATF_TP_ADD_TC(tp, pio_last_port);
	ATF_TP_ADD_TC(tp, pio_range_in_range);
	ATF_TP_ADD_TC(tp, pio_strings);
	ATF_TP_ADD_TC(tp, uart_linux_autoconfig);
	ATF_TP_ADD_TC(tp, uart_freebsd_probe);
	ATF_TP_ADD_TC(tp, uart_modem_lines);
	ATF_TP_ADD_TC(tp, uart_polled_output);
	ATF_TP_ADD_TC(tp, uart_output_cause);
	ATF_TP_ADD_TC(tp, uart_output_by_interrupt);
	ATF_TP_ADD_TC(tp, uart_input_and_room);
	ATF_TP_ADD_TC(tp, uart_out2);
	ATF_TP_ADD_TC(tp, uart_reset);
	ATF_TP_ADD_TC(tp, uart_input_race);
	return (atf_no_error());
}
