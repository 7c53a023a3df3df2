/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A capture, as a layer: every frame that passes goes into a pcapng file, too.
 * Directions are the guest's: what it sends is outbound.  A frame that passes
 * unfinished, checksum or segmentation left to somebody behind, is captured so,
 * with a comment that says what is missing.
 *
 * A file that cannot be written ends the capture, not the traffic.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "network/net.h"
#include "network/pcapng_reg.h"

#define	PCAP_BYTES	(1u << 18)
#define	PCAP_LATE_NS	200000000ull	/* a frame is in the file by then */
#define	PCAP_COMMENT	64u

/* The most that a frame takes beside its bytes. */
#define	PCAP_EXTRA	(sizeof(struct pcapng_packet) + PCAP_COMMENT + 32)

struct net_pcap {
	struct hvh_netbe *be;
	int		 fd;
	uint32_t	 snap;
	bool		 failed;
	struct hvh_timer timer;
	uint32_t	 used;
	uint8_t		 buf[PCAP_BYTES];
};

/* --- The file --- */

static void
pcap_flush(void *arg)
{
	struct net_pcap *p = arg;
	uint32_t done = 0;
	ssize_t n;

	hvh_timer_clear(p->be->h, &p->timer);
	while (done < p->used && !p->failed) {
		n = write(p->fd, p->buf + done, p->used - done);
		if (n > 0) {
			done += (uint32_t)n;
		} else if (n == 0 || errno != EINTR) {
			hvh_log(p->be->h, HVH_LOG_ERROR, "%s: the capture "
			    "ends: %s", p->be->name, n == 0 ? "nothing is "
			    "written" : strerror(errno));
			p->failed = true;
		}
	}
	p->used = 0;
}

/* Appends; the caller has seen to the room. */
static void
put(struct net_pcap *p, const void *data, uint32_t len)
{

	memcpy(p->buf + p->used, data, len);
	p->used += len;
}

static void
put_pad(struct net_pcap *p, uint32_t len)
{
	static const uint8_t zeros[4];

	put(p, zeros, -len & 3);
}

static void
put_option(struct net_pcap *p, uint16_t code, const void *data, uint16_t len)
{
	struct pcapng_option o = { .code = code, .len = len };

	put(p, &o, sizeof(o));
	put(p, data, len);
	put_pad(p, len);
}

/* The block that began at from is complete. */
static void
put_end(struct net_pcap *p, uint32_t from)
{
	uint32_t len = p->used + 4 - from;

	memcpy(p->buf + from + 4, &len, sizeof(len));
	put(p, &len, sizeof(len));
}

static void
put_head(struct net_pcap *p)
{
	struct pcapng_section sec = { .type = PCAPNG_SECTION,
	    .order = PCAPNG_ORDER, .major = 1, .section_len = -1 };
	struct pcapng_interface ifc = { .type = PCAPNG_INTERFACE,
	    .linktype = PCAPNG_ETHERNET, .snap = p->snap };
	const uint8_t resolution = 9;
	uint32_t from = p->used;

	put(p, &sec, sizeof(sec));
	put_end(p, from);
	from = p->used;
	put(p, &ifc, sizeof(ifc));
	put_option(p, PCAPNG_TSRESOL, &resolution, sizeof(resolution));
	put_option(p, PCAPNG_END, "", 0);
	put_end(p, from);
}

/* --- A frame --- */

/* What somebody behind was to do; its length, 0: nothing. */
static uint16_t
comment(char text[PCAP_COMMENT], const struct net_meta *m)
{
	int n = 0;

	if ((m->flags & NET_NEEDS_CSUM) != 0)
		n = snprintf(text, PCAP_COMMENT, "checksum from %u is due at "
		    "%u", m->csum_start, (unsigned)m->csum_start +
		    m->csum_offset);
	if (m->gso != NET_GSO_NONE)
		n += snprintf(text + n, PCAP_COMMENT - (size_t)n,
		    ", segments of %u", m->gso_size);
	return ((uint16_t)n);
}

static void
pcap_frame(struct net_pcap *p, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m, uint32_t flags)
{
	struct pcapng_packet pkt = { .type = PCAPNG_PACKET, .original = len };
	char text[PCAP_COMMENT];
	struct timespec ts;
	uint32_t from = p->used;
	uint16_t textlen;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	pkt.time_high = (uint32_t)(ns >> 32);
	pkt.time_low = (uint32_t)ns;
	pkt.captured = p->snap != 0 && p->snap < len ? p->snap : len;
	put(p, &pkt, sizeof(pkt));
	p->used += net_gather(p->buf + p->used, pkt.captured, iov, niov);
	put_pad(p, pkt.captured);
	put_option(p, PCAPNG_FLAGS, &flags, sizeof(flags));
	textlen = comment(text, m);
	if (textlen > 0)
		put_option(p, PCAPNG_COMMENT, text, textlen);
	put_option(p, PCAPNG_END, "", 0);
	put_end(p, from);
	if (p->timer.at == 0)
		hvh_timer_set(p->be->h, &p->timer, hvh_now(p->be->h) +
		    PCAP_LATE_NS);
}

static void
pcap_room(struct net_pcap *p, uint32_t len)
{

	if (PCAP_BYTES - p->used < len + PCAP_EXTRA)
		pcap_flush(p);
}

/* --- As a back end --- */

static int
pcap_send(struct hvh_netbe *be, const struct iovec *iov, int niov,
    uint32_t len, const struct net_meta *m)
{
	struct net_pcap *p = be->priv;
	uint32_t before;
	int error;

	/* Before it is sent: the guest may change it at any time. */
	pcap_room(p, len);
	before = p->used;
	if (!p->failed)
		pcap_frame(p, iov, niov, len, m, PCAPNG_OUTBOUND);
	error = net_send(be->lower, iov, niov, len, m);
	if (error != 0)
		p->used = before;
	return (error);
}

static void
pcap_run(struct hvh_netbe *be)
{

	net_run(be->lower);
}

static void
pcap_resume(struct hvh_netbe *be)
{

	net_resume(be->lower);
}

static void
pcap_accept(struct hvh_netbe *be)
{

	net_accept(be->lower, be->accept);
}

static unsigned
pcap_caps(struct hvh_netbe *be)
{

	return (net_caps(be->lower));
}

static void
pcap_close(struct hvh_netbe *be)
{
	struct net_pcap *p = be->priv;

	net_attach(be->lower, NULL, NULL);
	pcap_flush(p);
	close(p->fd);
	free(p);
}

static const struct net_ops pcap_ops = {
	.send = pcap_send,
	.run = pcap_run,
	.resume = pcap_resume,
	.accept = pcap_accept,
	.caps = pcap_caps,
	.close = pcap_close,
};

/* --- As a user --- */

static bool
pcap_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct net_pcap *p = arg;
	struct iovec iov = { (void *)(uintptr_t)data, len };

	if (!net_input(p->be, data, len, m))
		return (false);
	pcap_room(p, len);
	if (!p->failed)
		pcap_frame(p, &iov, 1, len, m, PCAPNG_INBOUND);
	return (true);
}

static void
pcap_input_end(void *arg)
{
	struct net_pcap *p = arg;

	net_input_end(p->be);
}

static void
pcap_writable(void *arg)
{
	struct net_pcap *p = arg;

	net_writable(p->be);
}

static void
pcap_link(void *arg)
{
	struct net_pcap *p = arg;

	net_set_link(p->be, net_link(p->be->lower));
}

static const struct net_user pcap_user = {
	.input = pcap_input,
	.input_end = pcap_input_end,
	.writable = pcap_writable,
	.link = pcap_link,
};

/* --- Opening --- */

static int
pcap_open(const struct hvh_netbe_pcap *cp, int *fdp, char *err, size_t errlen)
{
	int error;

	*fdp = cp->fd;
	if (cp->have_fd)
		return (0);
	*fdp = open(cp->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (*fdp >= 0)
		return (0);
	error = errno;
	snprintf(err, errlen, "%s: %s", cp->path, strerror(error));
	return (error);
}

int
hvh_netbe_capture(struct hvh_netbe **be, const struct hvh_netbe_pcap *cp,
    char *err, size_t errlen)
{
	struct hvh *h = (*be)->h;
	struct net_pcap *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		snprintf(err, errlen, "no memory for a capture");
		return (ENOMEM);
	}
	error = pcap_open(cp, &p->fd, err, errlen);
	if (error != 0) {
		free(p);
		return (error);
	}
	p->snap = cp->snap;
	p->timer.fn = pcap_flush;
	p->timer.arg = p;
	put_head(p);
	hvh_lock(h);
	error = net_new_layer(*be, &pcap_ops, &pcap_user, p, &p->be);
	if (error == 0)
		*be = p->be;
	hvh_unlock_quiet(h);
	if (error != 0) {
		snprintf(err, errlen, "no memory for a capture");
		if (!cp->have_fd)
			close(p->fd);
		free(p);
	}
	return (error);
}
