/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The one list of channel messages that this driver sends or takes (protocol:
 * vmbus, 2.1).  Type constants, least lengths, the receiver's table and its
 * test come from it.
 *
 * VMBUS_MSGS(M) expands M(number, NAME, layout, minimum bytes, direction,
 * first version) for each; direction is H2G or G2H.
 */

#ifndef _DEV_HYPERV_VMBUS_VMBUS_MSGS_H_
#define	_DEV_HYPERV_VMBUS_VMBUS_MSGS_H_

#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/vmbus/vmbus_reg.h>

#define	VMBUS_MSG_H2G	0
#define	VMBUS_MSG_G2H	1

#define	VMBUS_MSGS(M)							\
	M(1,  OFFER,		vmbus_msg_offer,	196, H2G, WS2008) \
	M(2,  RESCIND,		vmbus_msg_chan,		 12, H2G, WS2008) \
	M(3,  REQUEST_OFFERS,	vmbus_msg_hdr,		  8, G2H, WS2008) \
	M(4,  OFFERS_DONE,	vmbus_msg_hdr,		  8, H2G, WS2008) \
	M(5,  OPEN,		vmbus_msg_open,		148, G2H, WS2008) \
	M(6,  OPEN_RESULT,	vmbus_msg_open_result,	 20, H2G, WS2008) \
	M(7,  CLOSE,		vmbus_msg_chan,		 12, G2H, WS2008) \
	M(8,  GPADL_HEADER,	vmbus_msg_gpadl_hdr,	 28, G2H, WS2008) \
	M(9,  GPADL_BODY,	vmbus_msg_gpadl_body,	 16, G2H, WS2008) \
	M(10, GPADL_CREATED,	vmbus_msg_gpadl_created, 20, H2G, WS2008) \
	M(11, GPADL_TEARDOWN,	vmbus_msg_gpadl_teardown, 16, G2H, WS2008) \
	M(12, GPADL_TORNDOWN,	vmbus_msg_gpadl_torndown, 12, H2G, WS2008) \
	M(13, RELID_RELEASED,	vmbus_msg_chan,		 12, G2H, WS2008) \
	M(14, CONTACT,		vmbus_msg_contact,	 40, G2H, WS2008) \
	M(15, VERSION,		vmbus_msg_version,	 16, H2G, WS2008) \
	M(16, UNLOAD,		vmbus_msg_hdr,		  8, G2H, WS2008) \
	M(17, UNLOAD_RESPONSE,	vmbus_msg_hdr,		  8, H2G, WIN7)

#define	VMBUS_MSG_ENUM(n, name, layout, min, dir, ver)			\
	VMBUS_MSG_##name = (n),
enum {
	VMBUS_MSGS(VMBUS_MSG_ENUM)
	VMBUS_MSG_COUNT
};
#undef	VMBUS_MSG_ENUM

#define	VMBUS_MSG_ASSERT(n, name, layout, min, dir, ver)		\
	_Static_assert((min) <= sizeof(struct layout) &&		\
	    sizeof(struct layout) <= HYPERV_MSG_PAYLOAD_MAX, #layout);
VMBUS_MSGS(VMBUS_MSG_ASSERT)
#undef	VMBUS_MSG_ASSERT

/* What the receiver checks before it looks into a message. */
struct vmbus_msg_desc {
	const char	*md_name;	/* NULL: no such message */
	uint8_t		 md_min;
	uint8_t		 md_dir;
	uint32_t	 md_version;
};
extern const struct vmbus_msg_desc vmbus_msg_descs[VMBUS_MSG_COUNT];

/*
 * 0 when len bytes hold a message of this type that the host may send on a
 * connection of this version (0: none yet, only VERSION); else EBADMSG.
 */
int		vmbus_msg_check(uint32_t type, size_t len, uint32_t version);

#endif	/* !_DEV_HYPERV_VMBUS_VMBUS_MSGS_H_ */
