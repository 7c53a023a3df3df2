/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Words for numbers: see names.h. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/names.h"
#include "vmbus/vmbus_reg.h"

#define	COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* protocol: vmbus, 4 */
static const struct {
	const char	*guid;
	const char	*name;
} classes[] = {
	{ "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "SCSI" },
	{ "32412632-86cb-44a2-9b5c-50d1417354f5", "IDE" },
	{ "2f9bcc4a-0069-4af3-b76b-6fd0be528cda", "Fibre Channel" },
	{ "f8615163-df3e-46c5-913f-f2d2f965ed0e", "network" },
	{ "0e0b6031-5213-4934-818b-38d90ced39db", "shutdown" },
	{ "9527e630-d0ae-497b-adce-e80ab0175caf", "time" },
	{ "57164f39-9115-4e78-ab55-382f3bd5422d", "heartbeat" },
	{ "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "KVP" },
	{ "35fa2e29-ea23-4236-96ae-3a6ebacba440", "VSS" },
	{ "525074dc-8985-46e2-8057-a307dc18a502", "memory" },
	{ "34d14be3-dee4-41c8-9ae7-6b174977c192", "file copy" },
	{ "f912ad6d-2b17-48ea-bd65-f927a61c7684", "keyboard" },
	{ "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "mouse" },
	{ "da0a7802-e377-4aac-8e77-0558eb1073f8", "video" },
	{ "44c4f61d-4444-4400-9d52-802e27ede19f", "PCI" },
	{ "8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501", "RDMA" },
	{ "f8e65716-3cb3-4a06-9a60-1889c5cccab5", "activation" },
	{ "3375baf4-9e15-4b30-b765-67acb10d607b", "activation" },
	{ "276aacf4-ac15-426c-98dd-7521ad3f01fe", "remote desktop" },
};

static const char *const messages[] = {
	[VMS_OFFER] = "OFFER",
	[VMS_RESCIND] = "RESCIND",
	[VMS_REQUEST_OFFERS] = "REQUEST_OFFERS",
	[VMS_OFFERS_DONE] = "OFFERS_DONE",
	[VMS_OPEN] = "OPEN",
	[VMS_OPEN_RESULT] = "OPEN_RESULT",
	[VMS_CLOSE] = "CLOSE",
	[VMS_GPADL_HEADER] = "GPADL_HEADER",
	[VMS_GPADL_BODY] = "GPADL_BODY",
	[VMS_GPADL_CREATED] = "GPADL_CREATED",
	[VMS_GPADL_TEARDOWN] = "GPADL_TEARDOWN",
	[VMS_GPADL_TORN_DOWN] = "GPADL_TORN_DOWN",
	[VMS_RELID_RELEASED] = "RELID_RELEASED",
	[VMS_CONTACT] = "CONTACT",
	[VMS_VERSION_RESPONSE] = "VERSION_RESPONSE",
	[VMS_UNLOAD] = "UNLOAD",
	[VMS_UNLOAD_RESPONSE] = "UNLOAD_RESPONSE",
	[VMS_OPEN_RESERVED] = "OPEN_RESERVED",
	[VMS_CLOSE_RESERVED] = "CLOSE_RESERVED",
	[VMS_CLOSE_RESERVED_RESP] = "CLOSE_RESERVED_RESPONSE",
	[VMS_TL_CONNECT] = "TL_CONNECT",
	[VMS_MODIFY_CHANNEL] = "MODIFY_CHANNEL",
	[VMS_TL_RESULT] = "TL_RESULT",
	[VMS_MODIFY_RESPONSE] = "MODIFY_RESPONSE",
};

static const char *const points[] = {
	[HVH_FAULT_MSG_OUT] = "msg_out",
	[HVH_FAULT_MSG_IN] = "msg_in",
	[HVH_FAULT_POST] = "post",
	[HVH_FAULT_SIGNAL_OUT] = "signal_out",
	[HVH_FAULT_PKT_OUT] = "pkt_out",
	[HVH_FAULT_PKT_IN] = "pkt_in",
	[HVH_FAULT_BLK] = "blk",
	[HVH_FAULT_RNDIS_OUT] = "rndis_out",
	[HVH_FAULT_HYPERCALL] = "hypercall",
};
_Static_assert(COUNT(points) == HVH_FAULT_POINTS, "a point without a name");

static const char *const actions[] = {
	[HVH_FAULT_DROP] = "drop",
	[HVH_FAULT_DELAY] = "delay",
	[HVH_FAULT_DUP] = "dup",
	[HVH_FAULT_HOLD] = "hold",
	[HVH_FAULT_CORRUPT] = "corrupt",
	[HVH_FAULT_TRUNCATE] = "truncate",
	[HVH_FAULT_STATUS] = "status",
	[HVH_FAULT_RESCIND] = "rescind",
	[HVH_FAULT_CALL] = "call",
};

static const char *const states[] = {
	[HVH_CHAN_HIDDEN] = "hidden",
	[HVH_CHAN_OFFERED] = "offered",
	[HVH_CHAN_OPENING] = "opening",
	[HVH_CHAN_OPEN] = "open",
	[HVH_CHAN_CORRUPT] = "corrupt",
	[HVH_CHAN_CLOSING] = "closing",
	[HVH_CHAN_RESCINDED] = "rescinded",
};

/* What a disk may answer, or a careless user may try. */
static const struct {
	const char	*name;
	int		 value;
} errnos_known[] = {
	{ "EACCES", EACCES }, { "EAGAIN", EAGAIN }, { "EBADF", EBADF },
	{ "EBUSY", EBUSY }, { "ECANCELED", ECANCELED }, { "EFBIG", EFBIG },
	{ "EINVAL", EINVAL }, { "EIO", EIO }, { "ENODATA", ENODATA },
	{ "ENODEV", ENODEV }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "ENXIO", ENXIO }, { "EOPNOTSUPP", EOPNOTSUPP }, { "EPERM", EPERM },
	{ "EROFS", EROFS }, { "ETIMEDOUT", ETIMEDOUT },
};

bool
name_equal(const char *a, const char *b)
{
	int x, y;

	do {
		x = *a == '-' ? '_' : tolower((unsigned char)*a);
		y = *b == '-' ? '_' : tolower((unsigned char)*b);
		if (x != y)
			return (false);
		a++;
		b++;
	} while (x != '\0');
	return (true);
}

static bool
find(const char *const *table, size_t n, const char *name, unsigned *at)
{

	for (size_t i = 0; i < n; i++) {
		if (table[i] != NULL && name_equal(table[i], name)) {
			*at = (unsigned)i;
			return (true);
		}
	}
	return (false);
}

const char *
name_class(const struct hvh_guid *type)
{
	char text[37];

	hvh_guid_format(type, text);
	for (size_t i = 0; i < COUNT(classes); i++) {
		if (strcmp(classes[i].guid, text) == 0)
			return (classes[i].name);
	}
	/* Its first field is the port. */
	if (strcmp(text + 8, "-facb-11e6-bd58-64006a7986d3") == 0)
		return ("hvsock");
	return (NULL);
}

const char *
name_chan_state(enum hvh_chan_state state)
{

	return (state < COUNT(states) ? states[state] : "unknown");
}

const char *
name_message(uint32_t type)
{

	return (type < COUNT(messages) ? messages[type] : NULL);
}

const char *
name_fault_point(unsigned point)
{

	return (point < COUNT(points) ? points[point] : NULL);
}

const char *
name_fault_action(unsigned action)
{

	return (action < COUNT(actions) ? actions[action] : NULL);
}

bool
name_to_fault_point(const char *name, enum hvh_fault_point *point)
{
	unsigned at;

	if (!find(points, COUNT(points), name, &at))
		return (false);
	*point = (enum hvh_fault_point)at;
	return (true);
}

bool
name_to_fault_action(const char *name, enum hvh_fault_action *action)
{
	unsigned at;

	if (!find(actions, COUNT(actions), name, &at))
		return (false);
	*action = (enum hvh_fault_action)at;
	return (true);
}

bool
name_to_message(const char *name, uint32_t *type)
{
	unsigned at;

	if (!find(messages, COUNT(messages), name, &at))
		return (false);
	*type = at;
	return (true);
}

bool
name_to_number(const char *text, bool errnos, uint64_t *value)
{
	char *end;

	for (size_t i = 0; errnos && i < COUNT(errnos_known); i++) {
		if (name_equal(errnos_known[i].name, text)) {
			*value = (uint64_t)errnos_known[i].value;
			return (true);
		}
	}
	/* strtoull() would take blanks and signs. */
	if (!isdigit((unsigned char)text[0]))
		return (false);
	errno = 0;
	*value = strtoull(text, &end,
	    text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
	return (errno == 0 && *end == '\0');
}
