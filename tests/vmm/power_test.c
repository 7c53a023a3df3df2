/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Time and power of hvhost's PC: the real-time clock and its memory, ACPI's
 * fixed hardware, the ways to a reset, and an i8042 with nothing plugged in.
 */

#include <atf-c.h>
#include <string.h>
#include <time.h>

#include "fake_pc.h"
#include "vmm/pm_reg.h"

static struct vmm pc;

/* --- RTC --- */

#define	RTC_A		0x0A
#define	RTC_B		0x0B

static struct vmm_rtc *rtc;

static void
rtc_start(void)
{

	fake_pc_init(&pc);
	ATF_REQUIRE_EQ(0, vmm_rtc_create(&pc, &rtc));
}

static uint8_t
cmos(uint8_t reg)
{

	out8(&pc, 0x70, reg);
	return (in8(&pc, 0x71));
}

static void
cmos_set(uint8_t reg, uint8_t val)
{

	out8(&pc, 0x70, reg);
	out8(&pc, 0x71, val);
}

static int
bcd(uint8_t val)
{

	ATF_REQUIRE((val & 0xF) < 10);
	return ((val >> 4) * 10 + (val & 0xF));
}

static int
binary(uint8_t val)
{

	return (val);
}

/* The clock as a driver reads it: once it does not change any more. */
static time_t
clock_read(int (*decode)(uint8_t))
{
	struct tm tm, check;
	time_t t;
	int second;

	do {
		while ((cmos(RTC_A) & 0x80) != 0)
			;
		second = cmos(0x00);
		memset(&tm, 0, sizeof(tm));
		tm.tm_sec = decode(cmos(0x00));
		tm.tm_min = decode(cmos(0x02));
		tm.tm_hour = decode(cmos(0x04));
		tm.tm_mday = decode(cmos(0x07));
		tm.tm_mon = decode(cmos(0x08)) - 1;
		tm.tm_year = decode(cmos(0x09)) + decode(cmos(0x32)) * 100 -
		    1900;
	} while (cmos(0x00) != second);
	t = timegm(&tm);
	gmtime_r(&t, &check);
	ATF_REQUIRE_EQ(check.tm_wday, decode(cmos(0x06)) - 1);
	return (t);
}

static void
require_near(time_t want, time_t got)
{

	ATF_REQUIRE_MSG(got - want <= 2 && want - got <= 2,
	    "%jd is far from %jd", (intmax_t)got, (intmax_t)want);
}

ATF_TC_WITHOUT_HEAD(rtc_is_the_hosts);
ATF_TC_BODY(rtc_is_the_hosts, tc)
{

	rtc_start();
	ATF_REQUIRE_EQ(0x26, cmos(RTC_A) & 0x7F);
	ATF_REQUIRE_EQ(0x02, cmos(RTC_B));
	ATF_REQUIRE_EQ(0x00, cmos(0x0C));
	ATF_REQUIRE_EQ(0x80, cmos(0x0D));
	require_near(time(NULL), clock_read(bcd));
	cmos_set(RTC_B, 0x06);
	require_near(time(NULL), clock_read(binary));
	/* The NMI's bit in the index is no part of it. */
	ATF_REQUIRE_EQ(0x80, cmos(0x8D));
	ATF_REQUIRE_EQ(0xFF, in8(&pc, 0x70));
	vmm_rtc_destroy(rtc);
}

static void
clock_write(const uint8_t regs[7])
{
	static const uint8_t where[7] = { 0x00, 0x02, 0x04, 0x07, 0x08, 0x09,
		0x32 };

	cmos_set(RTC_B, cmos(RTC_B) | 0x80);
	for (int i = 0; i < 7; i++)
		cmos_set(where[i], regs[i]);
	/* It stands, to the second, until it is let go. */
	for (int i = 0; i < 7; i++)
		ATF_REQUIRE_EQ(regs[i], cmos(where[i]));
	ATF_REQUIRE_EQ(0, cmos(RTC_A) & 0x80);
	cmos_set(RTC_B, cmos(RTC_B) & ~0x80);
}

ATF_TC_WITHOUT_HEAD(rtc_set);
ATF_TC_BODY(rtc_set, tc)
{
	/* 2000-02-29 23:59:30, a Tuesday */
	static const uint8_t in_bcd[7] = { 0x30, 0x59, 0x23, 0x29, 0x02, 0x00,
		0x20 };
	/* 1999-12-31 12:00:01 */
	static const uint8_t in_binary[7] = { 1, 0, 12, 31, 12, 99, 19 };
	time_t t0;

	rtc_start();
	clock_write(in_bcd);
	require_near(951868770, clock_read(bcd));
	cmos_set(RTC_B, 0x06);
	require_near(951868770, clock_read(binary));
	clock_write(in_binary);
	require_near(946641601, clock_read(binary));

	/* It keeps going, over a reset, too. */
	t0 = time(NULL);
	while (time(NULL) == t0)
		;
	require_near(946641601 + 1, clock_read(binary));
	vmm_rtc_reset(rtc);
	ATF_REQUIRE_EQ(0x02, cmos(RTC_B));
	require_near(946641601 + 1, clock_read(bcd));

	/* Without SET each register counts at once. */
	cmos_set(0x09, 0x05);
	cmos_set(0x32, 0x20);
	require_near(1136030401 + 1, clock_read(bcd));
	vmm_rtc_destroy(rtc);
}

ATF_TC_WITHOUT_HEAD(rtc_twelve_hours);
ATF_TC_BODY(rtc_twelve_hours, tc)
{
	static const struct {
		uint8_t	shown24, shown12;
	} hours[] = {
		{ 0x00, 0x12 }, { 0x01, 0x01 }, { 0x11, 0x11 }, { 0x12, 0x92 },
		{ 0x13, 0x81 }, { 0x23, 0x91 },
	};

	rtc_start();
	for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
		cmos_set(RTC_B, 0x02);
		cmos_set(0x02, 0x30);
		cmos_set(0x04, hours[i].shown24);
		cmos_set(RTC_B, 0x00);
		ATF_REQUIRE_EQ(hours[i].shown12, cmos(0x04));
		cmos_set(0x04, hours[i].shown12);
		cmos_set(RTC_B, 0x02);
		ATF_REQUIRE_EQ(hours[i].shown24, cmos(0x04));
	}
	vmm_rtc_destroy(rtc);
}

/* Whatever a guest writes, the clock answers and goes on. */
ATF_TC_WITHOUT_HEAD(rtc_nonsense);
ATF_TC_BODY(rtc_nonsense, tc)
{
	uint32_t x = 1;

	rtc_start();
	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		cmos_set(x >> 8, x >> 16);
		(void)cmos(x >> 24);
	}
	for (int i = 0; i < 128; i++)
		cmos_set(i, 0xFF);
	vmm_rtc_reset(rtc);
	ATF_REQUIRE_EQ(0x80, cmos(0x0D));
	ATF_REQUIRE(bcd(cmos(0x00)) < 60);
	vmm_rtc_destroy(rtc);
}

ATF_TC_WITHOUT_HEAD(rtc_update_ends);
ATF_TC_BODY(rtc_update_ends, tc)
{
	time_t t0;
	unsigned rises = 0, falls = 0;
	bool was = false, is;

	/*
	 * Drivers wait for its rise, or its fall: both come, once a second.  A
	 * busy machine may make us miss some, which last 2 ms.
	 */
	rtc_start();
	t0 = time(NULL);
	while (falls == 0 && time(NULL) < t0 + 30) {
		is = (cmos(RTC_A) & 0x80) != 0;
		rises += is && !was;
		falls += was && !is;
		was = is;
	}
	ATF_REQUIRE(falls == 1 && rises >= 1);
	ATF_REQUIRE(rises <= (unsigned)(time(NULL) - t0) + 1);
	vmm_rtc_destroy(rtc);
}

ATF_TC_WITHOUT_HEAD(rtc_memory);
ATF_TC_BODY(rtc_memory, tc)
{
	unsigned sum = 0;

	fake_pc_init(&pc);
	pc.high_mem = 5ull << 30;
	ATF_REQUIRE_EQ(0, vmm_rtc_create(&pc, &rtc));
	ATF_REQUIRE_EQ(640, cmos(0x15) | cmos(0x16) << 8);
	ATF_REQUIRE_EQ((FAKE_LOW_MEM >> 10) - 1024,
	    cmos(0x17) | cmos(0x18) << 8);
	ATF_REQUIRE_EQ(cmos(0x17), cmos(0x30));
	ATF_REQUIRE_EQ(cmos(0x18), cmos(0x31));
	ATF_REQUIRE_EQ(0, cmos(0x34) | cmos(0x35) << 8);
	ATF_REQUIRE_EQ(5u << 14, (unsigned)(cmos(0x5B) | cmos(0x5C) << 8 |
	    cmos(0x5D) << 16));
	for (int i = 0x10; i <= 0x2D; i++)
		sum += cmos(i);
	ATF_REQUIRE_EQ(sum, (unsigned)(cmos(0x2E) << 8 | cmos(0x2F)));

	/* RAM otherwise, under a battery; but sizes are firmware's. */
	cmos_set(0x0F, 0x0A);
	cmos_set(0x7F, 0x5A);
	cmos_set(0x15, 0);
	vmm_rtc_reset(rtc);
	ATF_REQUIRE_EQ(0x0A, cmos(0x0F));
	ATF_REQUIRE_EQ(0x5A, cmos(0x7F));
	ATF_REQUIRE_EQ(0x80, cmos(0x15));
	vmm_rtc_destroy(rtc);
}

/* --- ACPI's fixed hardware --- */

#define	STS	PM_EVT
#define	EN	(PM_EVT + 2)
#define	PWRBTN	0x0100

static struct vmm_pm *pm;

static void
pm_start(void)
{

	fake_pc_init(&pc);
	atomic_store(&fake_now, 12345);
	ATF_REQUIRE_EQ(0, vmm_pm_create(&pc, &pm));
}

ATF_TC_WITHOUT_HEAD(pm_button);
ATF_TC_BODY(pm_button, tc)
{

	pm_start();
	/* Not enabled: status alone. */
	vmm_pm_button(pm);
	ATF_REQUIRE_EQ(PWRBTN, in16(&pc, STS));
	ATF_REQUIRE(!pc.line[VMM_IRQ_SCI]);
	out16(&pc, EN, PWRBTN);
	ATF_REQUIRE(pc.line[VMM_IRQ_SCI]);
	/* Zeros take nothing away, other bits neither; a level it is. */
	out16(&pc, STS, 0);
	out16(&pc, STS, (uint16_t)~PWRBTN);
	ATF_REQUIRE(pc.line[VMM_IRQ_SCI]);
	out16(&pc, STS, PWRBTN);
	ATF_REQUIRE(!pc.line[VMM_IRQ_SCI]);
	ATF_REQUIRE_EQ(0, in16(&pc, STS));

	/* By bytes, and status and enable at once. */
	vmm_pm_button(pm);
	ATF_REQUIRE(pc.line[VMM_IRQ_SCI]);
	ATF_REQUIRE_EQ(PWRBTN << 16 | PWRBTN, in32(&pc, STS));
	ATF_REQUIRE_EQ(1, in8(&pc, STS + 1));
	out8(&pc, EN + 1, 0);
	ATF_REQUIRE(!pc.line[VMM_IRQ_SCI]);
	out8(&pc, STS + 1, 1);
	ATF_REQUIRE_EQ(0, in32(&pc, STS));
	ATF_REQUIRE_EQ(VMM_RUNS, pc.end);
	vmm_pm_destroy(pm);
}

ATF_TC_WITHOUT_HEAD(pm_power_off);
ATF_TC_BODY(pm_power_off, tc)
{

	pm_start();
	ATF_REQUIRE_EQ(1, in16(&pc, PM_CNT));
	/* Always in ACPI mode; SLP_TYP without SLP_EN, other states. */
	out16(&pc, PM_CNT, 0);
	ATF_REQUIRE_EQ(1, in16(&pc, PM_CNT));
	out16(&pc, PM_CNT, 1 | PM_SLP_S5 << 10);
	ATF_REQUIRE_EQ(1 | PM_SLP_S5 << 10, in16(&pc, PM_CNT));
	for (int typ = 0; typ < 8; typ++)
		if (typ != PM_SLP_S5)
			out16(&pc, PM_CNT, (uint16_t)(1 | typ << 10 | 1 << 13));
	ATF_REQUIRE_EQ(VMM_RUNS, pc.end);
	out16(&pc, PM_CNT, 1 | PM_SLP_S5 << 10 | 1 << 13);
	ATF_REQUIRE_EQ(VMM_POWEROFF, pc.end);
	ATF_REQUIRE_EQ(1 | PM_SLP_S5 << 10, in16(&pc, PM_CNT));
	vmm_pm_destroy(pm);
}

ATF_TC_WITHOUT_HEAD(pm_timer);
ATF_TC_BODY(pm_timer, tc)
{
	uint32_t t;

	pm_start();
	ATF_REQUIRE_EQ(0, in32(&pc, PM_TMR));
	atomic_fetch_add(&fake_now, 1000000000);
	ATF_REQUIRE_EQ(3579545, in32(&pc, PM_TMR));
	atomic_fetch_add(&fake_now, 1000);
	ATF_REQUIRE_EQ(3579548, in32(&pc, PM_TMR));
	/* 32 bits go round in 1200 s, and a year later it still counts. */
	atomic_fetch_add(&fake_now, 365ull * 86400 * 1000000000);
	t = in32(&pc, PM_TMR);
	ATF_REQUIRE_EQ((uint32_t)(3579548 + 365ull * 86400 * 3579545), t);
	ATF_REQUIRE_EQ((uint16_t)t, in16(&pc, PM_TMR));
	ATF_REQUIRE_EQ((uint8_t)(t >> 24), in8(&pc, PM_TMR + 3));
	out32(&pc, PM_TMR, 0);
	ATF_REQUIRE_EQ(t, in32(&pc, PM_TMR));
	vmm_pm_reset(pm);
	ATF_REQUIRE_EQ(0, in32(&pc, PM_TMR));
	vmm_pm_destroy(pm);
}

ATF_TC_WITHOUT_HEAD(pm_reset);
ATF_TC_BODY(pm_reset, tc)
{

	pm_start();
	out16(&pc, EN, 0xFFFF);
	ATF_REQUIRE_EQ(0x0721, in16(&pc, EN));
	vmm_pm_button(pm);
	ATF_REQUIRE(pc.line[VMM_IRQ_SCI]);
	out16(&pc, PM_CNT, 7 << 10);
	vmm_pm_reset(pm);
	ATF_REQUIRE(!pc.line[VMM_IRQ_SCI]);
	ATF_REQUIRE_EQ(0, in32(&pc, STS));
	ATF_REQUIRE_EQ(1, in32(&pc, PM_CNT));
	vmm_pm_destroy(pm);
}

/* --- Ways to a reset --- */

static void
require_end(enum vmm_end why)
{

	ATF_REQUIRE_EQ(why, pc.end);
	pc.end = VMM_RUNS;
}

ATF_TC_WITHOUT_HEAD(reset_ports);
ATF_TC_BODY(reset_ports, tc)
{

	pm_start();
	/* As Linux does it, and FreeBSD; and what ACPI's register says. */
	out8(&pc, 0xCF9, 0x02);
	ATF_REQUIRE_EQ(0x02, in8(&pc, 0xCF9));
	require_end(VMM_RUNS);
	out8(&pc, 0xCF9, 0x06);
	require_end(VMM_RESET);
	out8(&pc, PM_RESET, PM_RESET_VALUE);
	require_end(VMM_RESET);

	/* A20 is open, and stays so. */
	ATF_REQUIRE_EQ(0x02, in8(&pc, 0x92));
	out8(&pc, 0x92, in8(&pc, 0x92) | 0x02);
	require_end(VMM_RUNS);
	out8(&pc, 0x92, in8(&pc, 0x92) | 0x01);
	require_end(VMM_RESET);

	/* The keyboard controller's line: pulsed, or held by its port. */
	out8(&pc, 0x64, 0xFE);
	require_end(VMM_RESET);
	out8(&pc, 0x64, 0xFF);
	require_end(VMM_RUNS);
	out8(&pc, 0x64, 0xD1);
	out8(&pc, 0x60, 0xDF);
	require_end(VMM_RUNS);
	out8(&pc, 0x64, 0xDD);
	out8(&pc, 0x64, 0xDF);
	require_end(VMM_RUNS);
	out8(&pc, 0x64, 0xD1);
	out8(&pc, 0x60, 0xFE);
	require_end(VMM_RESET);

	/* POST codes go nowhere. */
	out8(&pc, 0x80, 0xFF);
	ATF_REQUIRE_EQ(0xFF, in8(&pc, 0x80));
	require_end(VMM_RUNS);
	vmm_pm_destroy(pm);
}

/* --- The i8042 --- */

/* A command's answer, which is there at once. */
static int
kbc(uint8_t command)
{

	ATF_REQUIRE_EQ(0, in8(&pc, 0x64) & 0x03);
	out8(&pc, 0x64, command);
	return ((in8(&pc, 0x64) & 0x03) == 0x01 ? in8(&pc, 0x60) : -1);
}

ATF_TC_WITHOUT_HEAD(kbc_alone);
ATF_TC_BODY(kbc_alone, tc)
{
	uint8_t mode;

	pm_start();
	ATF_REQUIRE_EQ(0x14, in8(&pc, 0x64));
	ATF_REQUIRE_EQ(0x55, kbc(0xAA));
	ATF_REQUIRE(kbc(0xAB) > 0);
	mode = (uint8_t)kbc(0x20);
	ATF_REQUIRE_EQ(mode, kbc(0x20));
	ATF_REQUIRE_EQ(-1, kbc(0x60));
	out8(&pc, 0x60, mode & ~0x30);
	ATF_REQUIRE_EQ(mode & ~0x30, kbc(0x20));
	ATF_REQUIRE_EQ(-1, kbc(0xAD));
	ATF_REQUIRE_EQ(-1, kbc(0xA7));
	ATF_REQUIRE_EQ(mode, kbc(0x20));
	ATF_REQUIRE_EQ(-1, kbc(0xAE));
	ATF_REQUIRE_EQ(-1, kbc(0xA8));
	ATF_REQUIRE_EQ(mode & ~0x30, kbc(0x20));

	/* No second port: its loop answers as the first, its test in vain. */
	ATF_REQUIRE_EQ(-1, kbc(0xD3));
	out8(&pc, 0x60, 0x5A);
	ATF_REQUIRE_EQ(0x01, in8(&pc, 0x64) & 0x21);
	ATF_REQUIRE_EQ(0x5A, in8(&pc, 0x60));
	ATF_REQUIRE(kbc(0xA9) > 0);

	/* No keyboard, no mouse: a time-out, told at once. */
	out8(&pc, 0x60, 0xFF);
	ATF_REQUIRE_EQ(0x41, in8(&pc, 0x64) & 0x41);
	ATF_REQUIRE_EQ(0xFE, in8(&pc, 0x60));
	ATF_REQUIRE_EQ(0x00, in8(&pc, 0x64) & 0x41);
	ATF_REQUIRE_EQ(-1, kbc(0xD4));
	out8(&pc, 0x60, 0xF2);
	ATF_REQUIRE_EQ(0x41, in8(&pc, 0x64) & 0x41);
	ATF_REQUIRE_EQ(0xFE, in8(&pc, 0x60));
	ATF_REQUIRE_EQ(0, pc.edges[1]);

	/* With its interrupt enabled, the answer comes by interrupt. */
	ATF_REQUIRE_EQ(-1, kbc(0x60));
	out8(&pc, 0x60, 0x45);
	out8(&pc, 0x60, 0xFF);
	ATF_REQUIRE(pc.line[1]);
	ATF_REQUIRE_EQ(0xFE, in8(&pc, 0x60));
	ATF_REQUIRE(!pc.line[1]);
	ATF_REQUIRE_EQ(VMM_RUNS, pc.end);

	out8(&pc, 0x60, 0xFF);
	vmm_pm_reset(pm);
	ATF_REQUIRE(!pc.line[1]);
	ATF_REQUIRE_EQ(0x14, in8(&pc, 0x64));
	ATF_REQUIRE_EQ(mode, kbc(0x20));
	vmm_pm_destroy(pm);
}

/* --- All of them, at a guest's mercy --- */

static size_t noise_sent;

static void
noise_sink(void *arg, const void *buf, size_t len)
{

	noise_sent += len;
}

/* Random accesses of all sizes; afterwards a reset is as good as new. */
ATF_TC_WITHOUT_HEAD(noise);
ATF_TC_BODY(noise, tc)
{
	static const uint16_t bases[] = { 0x60, 0x64, 0x70, 0x80, 0x92, 0x3F8,
		0x600, 0xCF8 };
	struct vmm_uart *uart;
	uint8_t string[64] = { 0 };
	uint16_t port;
	uint32_t x = 7;

	pm_start();
	ATF_REQUIRE_EQ(0, vmm_rtc_create(&pc, &rtc));
	ATF_REQUIRE_EQ(0, vmm_uart_create(&pc, noise_sink, NULL, &uart));
	for (int i = 0; i < 500000; i++) {
		x = x * 1664525 + 1013904223;
		port = bases[x >> 29] + (x >> 25 & 0xF) - 2;
		switch (x >> 22 & 7) {
		case 0: (void)in8(&pc, port); break;
		case 1: (void)in16(&pc, port); break;
		case 2: (void)in32(&pc, port); break;
		case 3: out8(&pc, port, x >> 8); break;
		case 4: out16(&pc, port, x >> 4); break;
		case 5: out32(&pc, port, x * 31); break;
		case 6:
			pio_map_exit(&pc.map, port, 1u << (x >> 20 & 1),
			    (x >> 19 & 1) != 0, string, 32);
			break;
		case 7:
			(void)vmm_uart_input(uart, string, x >> 16 & 31);
			if ((x >> 12 & 0xF) == 0)
				vmm_pm_button(pm);
			break;
		}
		atomic_fetch_add(&fake_now, x >> 10);
	}
	vmm_uart_reset(uart);
	vmm_pm_reset(pm);
	vmm_rtc_reset(rtc);
	for (int i = 0; i < 24; i++)
		ATF_REQUIRE(!pc.line[i]);
	ATF_REQUIRE_EQ(0x60, in8(&pc, 0x3FD));
	ATF_REQUIRE_EQ(1, in16(&pc, PM_CNT));
	ATF_REQUIRE_EQ(0x14, in8(&pc, 0x64));
	ATF_REQUIRE_EQ(0x80, cmos(0x0D));
	vmm_uart_destroy(uart);
	vmm_rtc_destroy(rtc);
	vmm_pm_destroy(pm);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, rtc_is_the_hosts);
	ATF_TP_ADD_TC(tp, rtc_set);
	ATF_TP_ADD_TC(tp, rtc_twelve_hours);
	ATF_TP_ADD_TC(tp, rtc_nonsense);
	ATF_TP_ADD_TC(tp, rtc_update_ends);
	ATF_TP_ADD_TC(tp, rtc_memory);
	ATF_TP_ADD_TC(tp, pm_button);
	ATF_TP_ADD_TC(tp, pm_power_off);
	ATF_TP_ADD_TC(tp, pm_timer);
	ATF_TP_ADD_TC(tp, pm_reset);
	ATF_TP_ADD_TC(tp, reset_ports);
	ATF_TP_ADD_TC(tp, kbc_alone);
	ATF_TP_ADD_TC(tp, noise);
	return (atf_no_error());
}
