/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * GUIDs: what is printed is what the wire holds (protocol: vmbus, 4).
 */

#include "tests/lib/ktest.h"

#include <dev/hyperv/include/hyperv.h>

static const struct hyperv_guid scsi = HYPERV_GUID(0xba6163d9, 0x04a1, 0x4d29,
    0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f);

KTEST(guid_wire_order, "the first three fields are little-endian")
{
	static const uint8_t wire[16] = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04,
	    0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f };

	KT_EQ(memcmp(&scsi, wire, sizeof(wire)), 0);
}

KTEST(guid_print, "a GUID prints in lower case without braces")
{
	char text[HYPERV_GUID_STRLEN];

	KT_EQ(hyperv_guid_snprintf(text, sizeof(text), &scsi), 36);
	KT_EQ(strcmp(text, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"), 0);
}

KTEST(guid_print_short, "a short buffer takes what fits and a NUL")
{
	char text[9];

	memset(text, 'x', sizeof(text));
	KT_EQ(hyperv_guid_snprintf(text, sizeof(text), &scsi), 36);
	KT_EQ(strcmp(text, "ba6163d9"), 0);
}

KTEST(guid_equal, "one differing bit makes GUIDs differ")
{
	struct hyperv_guid g = scsi;

	KT_CHECK(hyperv_guid_equal(&g, &scsi));
	g.hv_guid[15] ^= 0x80;
	KT_CHECK(!hyperv_guid_equal(&g, &scsi));
}
