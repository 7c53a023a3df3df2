/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See fake_nic.h. */

#include <stdlib.h>
#include <string.h>

#include "fake_nic.h"

#define	MUST(e)	do {							\
	if (!(e))							\
		abort();						\
} while (0)

static bool
nic_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct fake_nic *nic = arg;
	struct fake_frame *f = &nic->frames[nic->n];

	MUST(!nic->inside);
	if (nic->room == 0) {
		nic->refused++;
		return (false);
	}
	MUST(nic->n < FAKE_NIC_FRAMES);
	nic->room--;
	nic->n++;
	nic->open = true;
	f->data = malloc(len);
	MUST(f->data != NULL);
	memcpy(f->data, data, len);
	f->len = len;
	f->meta = *m;
	return (true);
}

static void
nic_input_end(void *arg)
{
	struct fake_nic *nic = arg;

	MUST(!nic->inside);
	nic->open = false;
	nic->ends++;
}

static void
nic_writable(void *arg)
{
	struct fake_nic *nic = arg;

	MUST(!nic->inside);
	nic->writables++;
}

static void
nic_link(void *arg)
{
	struct fake_nic *nic = arg;

	nic->links++;
}

static const struct net_user nic_user = {
	.input = nic_input,
	.input_end = nic_input_end,
	.writable = nic_writable,
	.link = nic_link,
};

void
fake_nic_attach(struct fake_nic *nic, struct hvh_netbe *be)
{

	*nic = (struct fake_nic){ .be = be, .room = UINT32_MAX };
	nic->frames = calloc(FAKE_NIC_FRAMES, sizeof(*nic->frames));
	MUST(nic->frames != NULL);
	net_attach(be, &nic_user, nic);
}

void
fake_nic_free(struct fake_nic *nic)
{

	for (unsigned i = 0; i < nic->n; i++)
		free(nic->frames[i].data);
	free(nic->frames);
	nic->frames = NULL;
}

int
fake_nic_send_meta(struct fake_nic *nic, const void *data, uint32_t len,
    const struct net_meta *m)
{
	struct iovec iov[2];
	uint32_t half = len / 2;
	uint8_t *copy;
	int error;

	/* Of its own, in two pieces, and gone when net_send() returns. */
	copy = malloc(len);
	MUST(copy != NULL);
	memcpy(copy, data, len);
	iov[0] = (struct iovec){ copy, half };
	iov[1] = (struct iovec){ copy + half, len - half };
	nic->inside = true;
	error = net_send(nic->be, iov, 2, len, m);
	free(copy);
	net_run(nic->be);
	nic->inside = false;
	return (error);
}

int
fake_nic_send(struct fake_nic *nic, const void *data, uint32_t len)
{
	static const struct net_meta none;

	return (fake_nic_send_meta(nic, data, len, &none));
}

void
fake_frame(uint8_t *buf, uint32_t len, unsigned which)
{

	for (uint32_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((which + i) * 2654435761u >> 24);
}

bool
fake_nic_has(const struct fake_nic *nic, unsigned n, const void *data,
    uint32_t len)
{

	return (n < nic->n && nic->frames[n].len == len &&
	    memcmp(nic->frames[n].data, data, len) == 0);
}

uint16_t
fake_sum(uint32_t sum, const void *data, uint32_t len)
{
	const uint8_t *p = data;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum > 0xFFFF)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return ((uint16_t)sum);
}
