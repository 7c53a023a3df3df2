/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An MC146818 at 0x70 and 0x71 with 128 bytes: the host's time in UTC, moved
 * by what the guest sets, and the memory sizes that firmware leaves there.
 * Like the battery-backed part it is, it keeps time and memory over a reset.
 *
 * Not modelled: interrupts.  The alarm's registers and the enable bits of
 * register B keep what is written, register C is always 0, and the ACPI
 * tables name no interrupt.  The square wave, daylight saving and the rate
 * in register A are kept, too, and do nothing.  A second begins when the
 * host's does, also after the guest has set the time.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/vmm.h"

#define	RTC_BASE	0x70
#define	RTC_PORTS	2
#define	RTC_BYTES	128

#define	RTC_SECOND	0x00
#define	RTC_MINUTE	0x02
#define	RTC_HOUR	0x04
#define	RTC_WEEKDAY	0x06
#define	RTC_DAY		0x07
#define	RTC_MONTH	0x08
#define	RTC_YEAR	0x09
#define	RTC_A		0x0A
#define	RTC_B		0x0B
#define	RTC_C		0x0C
#define	RTC_D		0x0D
#define	RTC_EQUIPMENT	0x14
#define	RTC_BASE_MEM	0x15	/* KiB */
#define	RTC_EXT_MEM	0x17	/* KiB from 1 MiB on */
#define	RTC_SUM_FIRST	0x10
#define	RTC_SUM_LAST	0x2D
#define	RTC_SUM		0x2E	/* big-endian */
#define	RTC_EXT_MEM2	0x30
#define	RTC_CENTURY	0x32
#define	RTC_16M_MEM	0x34	/* 64 KiB units from 16 MiB on */
#define	RTC_HIGH_MEM	0x5B	/* 64 KiB units from 4 GiB on, 3 bytes */

#define	RTC_A_UIP	0x80
#define	RTC_A_DIVIDER	0x70
#define	RTC_A_HELD	0x60	/* either value: divider in reset */
#define	RTC_B_SET	0x80
#define	RTC_B_BINARY	0x04
#define	RTC_B_24H	0x02
#define	RTC_D_VALID	0x80
#define	RTC_HOUR_PM	0x80

/*
 * Update in progress shows for as long as on the real one, 2.2 ms, but all of
 * it before the second ends: a guest that saw it clear has the longer to read
 * a date of one piece.
 */
#define	RTC_UPDATE_NS	2228000

struct vmm_rtc {
	struct vmm	*m;

	pthread_mutex_t	 mtx;		/* what follows */
	uint8_t		 index;
	time_t		 offset;	/* seconds, guest's minus host's */
	bool		 held;		/* time stands, in reg[] */
	uint8_t		 reg[RTC_BYTES];
};

/* --- Time; the mutex is held. --- */

/* Not time(2), which may be a tick behind the clock that UIP goes by. */
static time_t
rtc_host(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (ts.tv_sec);
}

static bool
rtc_is_time(unsigned reg)
{

	return (reg == RTC_SECOND || reg == RTC_MINUTE || reg == RTC_HOUR ||
	    (reg >= RTC_WEEKDAY && reg <= RTC_YEAR) || reg == RTC_CENTURY);
}

static uint8_t
rtc_encode(const struct vmm_rtc *r, int val)
{

	if ((r->reg[RTC_B] & RTC_B_BINARY) != 0)
		return ((uint8_t)val);
	return ((uint8_t)((val / 10 % 10) << 4 | val % 10));
}

static int
rtc_decode(const struct vmm_rtc *r, uint8_t val)
{

	if ((r->reg[RTC_B] & RTC_B_BINARY) != 0)
		return (val);
	return ((val >> 4) * 10 + (val & 0xF));
}

static uint8_t
rtc_encode_hour(const struct vmm_rtc *r, int hour)
{
	uint8_t val;

	if ((r->reg[RTC_B] & RTC_B_24H) != 0)
		return (rtc_encode(r, hour));
	val = rtc_encode(r, hour % 12 == 0 ? 12 : hour % 12);
	return (hour >= 12 ? val | RTC_HOUR_PM : val);
}

static int
rtc_decode_hour(const struct vmm_rtc *r, uint8_t val)
{

	if ((r->reg[RTC_B] & RTC_B_24H) != 0)
		return (rtc_decode(r, val));
	return (rtc_decode(r, val & ~RTC_HOUR_PM) % 12 +
	    ((val & RTC_HOUR_PM) != 0 ? 12 : 0));
}

/* Brings the time into the registers, where it does not stand anyway. */
static void
rtc_load(struct vmm_rtc *r, time_t now)
{
	struct tm tm;
	time_t t;
	int year;

	if (r->held)
		return;
	t = now + r->offset;
	if (gmtime_r(&t, &tm) == NULL)
		return;
	year = tm.tm_year + 1900;
	r->reg[RTC_SECOND] = rtc_encode(r, tm.tm_sec);
	r->reg[RTC_MINUTE] = rtc_encode(r, tm.tm_min);
	r->reg[RTC_HOUR] = rtc_encode_hour(r, tm.tm_hour);
	r->reg[RTC_WEEKDAY] = rtc_encode(r, tm.tm_wday + 1);
	r->reg[RTC_DAY] = rtc_encode(r, tm.tm_mday);
	r->reg[RTC_MONTH] = rtc_encode(r, tm.tm_mon + 1);
	r->reg[RTC_YEAR] = rtc_encode(r, year % 100);
	r->reg[RTC_CENTURY] = rtc_encode(r, year / 100 % 100);
}

/* Takes the time from the registers; what is no date is counted on. */
static void
rtc_store(struct vmm_rtc *r, time_t now)
{
	struct tm tm = {
		.tm_sec = rtc_decode(r, r->reg[RTC_SECOND]),
		.tm_min = rtc_decode(r, r->reg[RTC_MINUTE]),
		.tm_hour = rtc_decode_hour(r, r->reg[RTC_HOUR]),
		.tm_mday = rtc_decode(r, r->reg[RTC_DAY]),
		.tm_mon = rtc_decode(r, r->reg[RTC_MONTH]) - 1,
		.tm_year = rtc_decode(r, r->reg[RTC_YEAR]) +
		    rtc_decode(r, r->reg[RTC_CENTURY]) * 100 - 1900,
	};

	r->offset = timegm(&tm) - now;
}

/* Time stands while the guest sets it, or the divider is in reset. */
static void
rtc_hold(struct vmm_rtc *r)
{
	time_t now = rtc_host();
	bool held;

	held = (r->reg[RTC_B] & RTC_B_SET) != 0 ||
	    (r->reg[RTC_A] & RTC_A_HELD) == RTC_A_HELD;
	if (held && !r->held)
		rtc_load(r, now);
	else if (!held && r->held)
		rtc_store(r, now);
	r->held = held;
}

static bool
rtc_updating(const struct vmm_rtc *r)
{
	struct timespec ts;

	if (r->held)
		return (false);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (ts.tv_nsec >= 1000000000 - RTC_UPDATE_NS);
}

/* --- Ports --- */

static uint8_t
rtc_get(struct vmm_rtc *r)
{
	unsigned reg = r->index;

	if (rtc_is_time(reg))
		rtc_load(r, rtc_host());
	switch (reg) {
	case RTC_A:
		return (r->reg[reg] | (rtc_updating(r) ? RTC_A_UIP : 0));
	case RTC_C:
		return (0);
	case RTC_D:
		return (RTC_D_VALID);
	default:
		return (r->reg[reg]);
	}
}

static void
rtc_put(struct vmm_rtc *r, uint8_t val)
{
	time_t now = rtc_host();
	unsigned reg = r->index;

	switch (reg) {
	case RTC_A:
		r->reg[reg] = val & ~RTC_A_UIP;
		rtc_hold(r);
		return;
	case RTC_B:
		r->reg[reg] = val;
		rtc_hold(r);
		return;
	case RTC_C:
	case RTC_D:
		return;
	}
	if (!rtc_is_time(reg)) {
		r->reg[reg] = val;
		return;
	}
	rtc_load(r, now);
	r->reg[reg] = val;
	if (!r->held)
		rtc_store(r, now);
}

static uint32_t
rtc_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_rtc *r = arg;
	uint8_t val = 0xFF;		/* the index cannot be read */

	if (port == RTC_BASE)
		return (val);
	pthread_mutex_lock(&r->mtx);
	val = rtc_get(r);
	pthread_mutex_unlock(&r->mtx);
	return (val);
}

static void
rtc_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_rtc *r = arg;

	pthread_mutex_lock(&r->mtx);
	/* The highest bit of the index masks NMIs, of which there are none. */
	if (port == RTC_BASE)
		r->index = val & (RTC_BYTES - 1);
	else
		rtc_put(r, (uint8_t)val);
	pthread_mutex_unlock(&r->mtx);
}

/* --- What firmware leaves --- */

static void
rtc_put16(struct vmm_rtc *r, unsigned reg, uint64_t val)
{

	if (val > UINT16_MAX)
		val = UINT16_MAX;
	r->reg[reg] = (uint8_t)val;
	r->reg[reg + 1] = (uint8_t)(val >> 8);
}

static void
rtc_firmware(struct vmm_rtc *r)
{
	const uint64_t mib = 1 << 20;
	uint64_t low = vmm_low_mem(r->m), units;
	unsigned sum = 0;

	r->reg[RTC_EQUIPMENT] = 0x02;	/* FPU; no floppy, no display */
	rtc_put16(r, RTC_BASE_MEM, 640);
	rtc_put16(r, RTC_EXT_MEM, low > mib ? (low - mib) >> 10 : 0);
	memcpy(r->reg + RTC_EXT_MEM2, r->reg + RTC_EXT_MEM, 2);
	rtc_put16(r, RTC_16M_MEM, low > 16 * mib ? (low - 16 * mib) >> 16 : 0);
	units = vmm_high_mem(r->m) >> 16;
	for (unsigned i = 0; i < 3; i++)
		r->reg[RTC_HIGH_MEM + i] = (uint8_t)(units >> i * 8);
	for (unsigned i = RTC_SUM_FIRST; i <= RTC_SUM_LAST; i++)
		sum += r->reg[i];
	r->reg[RTC_SUM] = (uint8_t)(sum >> 8);
	r->reg[RTC_SUM + 1] = (uint8_t)sum;
}

/* --- What the machine calls --- */

int
vmm_rtc_create(struct vmm *m, struct vmm_rtc **rp)
{
	struct vmm_pio pio = { .base = RTC_BASE, .len = RTC_PORTS,
	    .bytes = true, .read = rtc_read, .write = rtc_write };
	struct vmm_rtc *r;
	int error;

	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return (ENOMEM);
	r->m = m;
	pthread_mutex_init(&r->mtx, NULL);
	vmm_rtc_reset(r);
	pio.arg = r;
	error = vmm_pio_add(m, &pio);
	if (error != 0) {
		vmm_rtc_destroy(r);
		return (error);
	}
	*rp = r;
	return (0);
}

void
vmm_rtc_reset(struct vmm_rtc *r)
{

	pthread_mutex_lock(&r->mtx);
	r->index = 0;
	/* A time half set is taken as it stands, in its own format. */
	r->reg[RTC_A] = 0x26;		/* 32768 Hz crystal, 1024 Hz rate */
	r->reg[RTC_B] &= ~RTC_B_SET;
	rtc_hold(r);
	r->reg[RTC_B] = RTC_B_24H;	/* and BCD: as firmware does */
	rtc_firmware(r);
	pthread_mutex_unlock(&r->mtx);
}

void
vmm_rtc_destroy(struct vmm_rtc *r)
{

	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->mtx);
	free(r);
}
