/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The first half of an NBD connection: what the client asks about exports, and
 * the answers.  An option is whole in memory and c_out empty when it gets
 * here; nothing blocks.
 */

#include <endian.h>
#include <string.h>

#include "nbd_var.h"

static void
nbd_out(struct nbd_conn *c, const void *p, size_t len)
{

	memcpy(c->c_out + c->c_outlen, p, len);
	c->c_outlen += len;
}

static void
nbd_answer(struct nbd_conn *c, uint32_t option, uint32_t type,
    const void *data, size_t len)
{
	struct nbd_option_reply nr = {
		.nr_magic = htobe64(NBD_REP_MAGIC),
		.nr_option = htobe32(option),
		.nr_type = htobe32(type),
		.nr_len = htobe32(len),
	};

	nbd_out(c, &nr, sizeof(nr));
	nbd_out(c, data, len);
}

void
nbd_option_error(struct nbd_conn *c, uint32_t option, uint32_t type)
{

	nbd_answer(c, option, type, "", 0);
}

void
nbd_greet(struct nbd_conn *c)
{
	struct nbd_greeting ng = {
		.ng_magic = htobe64(NBD_MAGIC),
		.ng_optmagic = htobe64(NBD_OPT_MAGIC),
		.ng_flags = htobe16(NBD_GREET_FIXED | NBD_GREET_NO_ZEROES),
	};

	nbd_out(c, &ng, sizeof(ng));
}

static void
nbd_first_disk(void *arg, const char *name)
{
	char *first = arg;

	if (first[0] == '\0' && strlen(name) < NBD_DISKNAME)
		strcpy(first, name);
}

/* Sets the connection's disk by the name that the client sent. */
static bool
nbd_find_disk(struct nbd_conn *c, const uint8_t *name, size_t len)
{
	char disk[NBD_DISKNAME] = "";

	if (len >= sizeof(disk) || memchr(name, '\0', len) != NULL)
		return (false);
	memcpy(disk, name, len);
	if (len == 0)
		kpi_disk_list(nbd_first_disk, disk);
	if (disk[0] == '\0' || kpi_disk_info(disk, &c->c_info) != 0)
		return (false);
	strcpy(c->c_disk, disk);
	return (true);
}

static uint16_t
nbd_export_flags(const struct kpi_disk_info *info)
{
	uint16_t flags;

	/*
	 * A flush reaches the disk, not a connection: what one connection was
	 * told is written, another's flush makes durable.
	 */
	flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
	    NBD_FLAG_CAN_MULTI_CONN;
	if (info->readonly)
		return (flags | NBD_FLAG_READ_ONLY);
	flags |= NBD_FLAG_SEND_FUA;
	if (info->candelete)
		flags |= NBD_FLAG_SEND_TRIM;
	return (flags);
}

static void
nbd_answer_info(struct nbd_conn *c, uint32_t option)
{
	const struct kpi_disk_info *info = &c->c_info;
	struct nbd_info_export ne = {
		.ne_type = htobe16(NBD_INFO_EXPORT),
		.ne_size = htobe64(info->size),
		.ne_flags = htobe16(nbd_export_flags(info)),
	};
	struct nbd_info_block_size nb = {
		.nb_type = htobe16(NBD_INFO_BLOCK_SIZE),
		.nb_min = htobe32(info->sectorsize),
		.nb_preferred = htobe32(info->sectorsize > 4096 ?
		    info->sectorsize : 4096),
		.nb_max = htobe32(NBD_MAXIO),
	};

	nbd_answer(c, option, NBD_REP_INFO, &ne, sizeof(ne));
	nbd_answer(c, option, NBD_REP_INFO, &nb, sizeof(nb));
	nbd_answer(c, option, NBD_REP_ACK, "", 0);
}

/* INFO and GO: uint32_t length, name, uint16_t count, uint16_t items. */
static void
nbd_option_go(struct nbd_conn *c, uint32_t option, const uint8_t *data,
    size_t len)
{
	uint32_t namelen;
	uint16_t items;

	if (len < sizeof(namelen) + sizeof(items))
		goto invalid;
	memcpy(&namelen, data, sizeof(namelen));
	namelen = be32toh(namelen);
	if (namelen > len - sizeof(namelen) - sizeof(items))
		goto invalid;
	memcpy(&items, data + sizeof(namelen) + namelen, sizeof(items));
	if (len != sizeof(namelen) + namelen + sizeof(items) +
	    be16toh(items) * sizeof(uint16_t))
		goto invalid;
	if (!nbd_find_disk(c, data + sizeof(namelen), namelen)) {
		nbd_option_error(c, option, NBD_REP_ERR_UNKNOWN);
		return;
	}
	/* Size and block size are told whichever items were asked for. */
	nbd_answer_info(c, option);
	if (option == NBD_OPT_GO)
		c->c_state = NBD_ST_SERVING;
	return;
invalid:
	nbd_option_error(c, option, NBD_REP_ERR_INVALID);
}

static void
nbd_list_disk(void *arg, const char *name)
{
	struct nbd_conn *c = arg;
	uint8_t entry[sizeof(uint32_t) + NBD_DISKNAME];
	uint32_t len = strlen(name), belen = htobe32(len);

	/* Room for this one and the final answer; a thousand disks fit. */
	if (len >= NBD_DISKNAME || NBD_OUTBUF - c->c_outlen <
	    sizeof(entry) + 2 * sizeof(struct nbd_option_reply))
		return;
	memcpy(entry, &belen, sizeof(belen));
	memcpy(entry + sizeof(belen), name, len);
	nbd_answer(c, NBD_OPT_LIST, NBD_REP_SERVER, entry,
	    sizeof(belen) + len);
}

/* The one option whose refusal has no words: the client sees the hang-up. */
static bool
nbd_option_export_name(struct nbd_conn *c, const uint8_t *data, size_t len)
{
	struct nbd_export_reply nx;

	if (!nbd_find_disk(c, data, len))
		return (false);
	memset(&nx, 0, sizeof(nx));
	nx.nx_size = htobe64(c->c_info.size);
	nx.nx_flags = htobe16(nbd_export_flags(&c->c_info));
	nbd_out(c, &nx, c->c_nozeroes ?
	    offsetof(struct nbd_export_reply, nx_zeroes) : sizeof(nx));
	c->c_state = NBD_ST_SERVING;
	return (true);
}

bool
nbd_option(struct nbd_conn *c, uint32_t option, const uint8_t *data,
    size_t len)
{

	/* Only a client that knows fixed negotiation can be refused. */
	if (!c->c_fixed && option != NBD_OPT_EXPORT_NAME)
		return (false);
	switch (option) {
	case NBD_OPT_EXPORT_NAME:
		return (nbd_option_export_name(c, data, len));
	case NBD_OPT_ABORT:
		nbd_answer(c, option, NBD_REP_ACK, "", 0);
		c->c_rdclosed = true;
		return (true);
	case NBD_OPT_LIST:
		if (len != 0) {
			nbd_option_error(c, option, NBD_REP_ERR_INVALID);
			return (true);
		}
		kpi_disk_list(nbd_list_disk, c);
		nbd_answer(c, option, NBD_REP_ACK, "", 0);
		return (true);
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		nbd_option_go(c, option, data, len);
		return (true);
	default:
		nbd_option_error(c, option, NBD_REP_ERR_UNSUP);
		return (true);
	}
}
