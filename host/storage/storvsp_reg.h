/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of the synthetic storage protocol (VSTOR), as this side of the
 * channel sees them.  Little-endian.  protocol: storvsc
 */

#ifndef HVH_STORAGE_STORVSP_REG_H
#define	HVH_STORAGE_STORVSP_REG_H

#include <stddef.h>
#include <stdint.h>

/* Operations.  protocol: storvsc, 3 */
#define	VSTOR_COMPLETE_IO		1
#define	VSTOR_REMOVE_DEVICE		2
#define	VSTOR_EXECUTE_SRB		3
#define	VSTOR_RESET_LUN			4
#define	VSTOR_RESET_ADAPTER		5
#define	VSTOR_RESET_BUS			6
#define	VSTOR_BEGIN_INITIALIZATION	7
#define	VSTOR_END_INITIALIZATION	8
#define	VSTOR_QUERY_PROTOCOL_VERSION	9
#define	VSTOR_QUERY_PROPERTIES		10
#define	VSTOR_ENUMERATE_BUS		11
#define	VSTOR_FCHBA_DATA		12
#define	VSTOR_CREATE_SUB_CHANNELS	13

/* Versions.  protocol: storvsc, 4 */
#define	VSTOR_VERSION_2_0		0x0200
#define	VSTOR_VERSION_4_2		0x0402
#define	VSTOR_VERSION_5_1		0x0501
#define	VSTOR_VERSION_6_0		0x0600
#define	VSTOR_VERSION_6_2		0x0602

/* NTSTATUS. */
#define	NT_SUCCESS			0x00000000u
#define	NT_BUFFER_OVERFLOW		0x80000005u
#define	NT_DEVICE_BUSY			0x80000011u
#define	NT_UNSUCCESSFUL			0xc0000001u
#define	NT_INVALID_PARAMETER		0xc000000du
#define	NT_INVALID_DEVICE_REQUEST	0xc0000010u
#define	NT_REVISION_MISMATCH		0xc0000059u
#define	NT_DEVICE_NOT_CONNECTED		0xc000009du
#define	NT_IO_TIMEOUT			0xc00000b5u
#define	NT_NO_SUCH_DEVICE		0xc00000c0u
#define	NT_CANCELLED			0xc0000120u
#define	NT_INVALID_DEVICE_STATE		0xc0000184u
#define	NT_IO_DEVICE_ERROR		0xc0000185u

/* SRB status.  protocol: storvsc, 3.6 */
#define	SRB_SUCCESS			0x01
#define	SRB_ABORTED			0x02
#define	SRB_ERROR			0x04
#define	SRB_BUSY			0x05
#define	SRB_INVALID_REQUEST		0x06
#define	SRB_NO_DEVICE			0x08
#define	SRB_TIMEOUT			0x09
#define	SRB_SELECTION_TIMEOUT		0x0a
#define	SRB_COMMAND_TIMEOUT		0x0b
#define	SRB_BUS_RESET			0x0e
#define	SRB_NO_HBA			0x11
#define	SRB_DATA_OVERRUN		0x12
#define	SRB_BAD_SRB_BLOCK_LENGTH	0x15
#define	SRB_REQUEST_FLUSHED		0x16
#define	SRB_INVALID_LUN			0x20
#define	SRB_INVALID_TARGET_ID		0x21
#define	SRB_BAD_FUNCTION		0x22
#define	SRB_CODE(s)			((s) & 0x3f)
#define	SRB_AUTOSENSE_VALID		0x80

#define	VSTOR_SENSE_AREA		20
#define	VSTOR_REPLY_CDB_LEN		16
#define	VSTOR_DATA_OUT			0	/* anything else: data in */

/* protocol: storvsc, 3.1 */
struct vstor_version {
	uint16_t	version;
	uint16_t	build;
};
_Static_assert(sizeof(struct vstor_version) == 4, "vstor_version");

/* protocol: storvsc, 3.2 */
struct vstor_properties {
	uint32_t	reserved0;
	uint16_t	max_subchannels;
	uint16_t	reserved1;
	uint32_t	flags;
	uint32_t	max_transfer;
	uint64_t	reserved2;
};
_Static_assert(sizeof(struct vstor_properties) == 24, "vstor_properties");
_Static_assert(offsetof(struct vstor_properties, max_subchannels) == 4,
    "max_subchannels");
_Static_assert(offsetof(struct vstor_properties, flags) == 8, "flags");
_Static_assert(offsetof(struct vstor_properties, max_transfer) == 12,
    "max_transfer");
#define	VSTOR_PROP_MULTI_CHANNEL	0x00000001

/* protocol: storvsc, 3.4 */
struct vstor_subchannels {
	uint16_t	count;
};
_Static_assert(sizeof(struct vstor_subchannels) == 2, "vstor_subchannels");

/* protocol: storvsc, 3.5; up to queue_tag's group before version 5.1 */
struct vstor_srb {
	uint16_t	length;
	uint8_t		srb_status;
	uint8_t		scsi_status;
	uint8_t		port;
	uint8_t		path;
	uint8_t		target;
	uint8_t		lun;
	uint8_t		cdb_length;
	uint8_t		sense_length;
	uint8_t		data_in;
	uint8_t		properties;
	uint32_t	transfer_length;
	union {
		uint8_t	cdb[16];
		uint8_t	sense[VSTOR_SENSE_AREA];
	};
	uint16_t	reserved;
	uint8_t		queue_tag;
	uint8_t		queue_action;
	uint32_t	srb_flags;
	uint32_t	timeout;
	uint32_t	queue_sort_key;
};
#define	VSTOR_SRB_SIZE_OLD		36
#define	VSTOR_SRB_SIZE			52
_Static_assert(sizeof(struct vstor_srb) == VSTOR_SRB_SIZE, "vstor_srb");
_Static_assert(offsetof(struct vstor_srb, lun) == 7, "lun");
_Static_assert(offsetof(struct vstor_srb, data_in) == 10, "data_in");
_Static_assert(offsetof(struct vstor_srb, transfer_length) == 12,
    "transfer_length");
_Static_assert(offsetof(struct vstor_srb, cdb) == 16, "cdb");
_Static_assert(offsetof(struct vstor_srb, reserved) == VSTOR_SRB_SIZE_OLD,
    "version 5.1 extension");
_Static_assert(offsetof(struct vstor_srb, queue_tag) == 38, "queue_tag");
_Static_assert(offsetof(struct vstor_srb, srb_flags) == 40, "srb_flags");
_Static_assert(offsetof(struct vstor_srb, queue_sort_key) == 48,
    "queue_sort_key");

/* protocol: storvsc, 3 */
struct vstor_packet {
	uint32_t	operation;
	uint32_t	flags;
	uint32_t	status;
	union {
		struct vstor_version	 version;
		struct vstor_properties	 properties __attribute__((packed));
		struct vstor_subchannels subchannels;
		struct vstor_srb	 srb;
		uint8_t			 payload[VSTOR_SRB_SIZE];
	};
} __attribute__((packed, aligned(4)));
#define	VSTOR_HEADER_SIZE		12
#define	VSTOR_PACKET_SIZE_OLD		48
#define	VSTOR_PACKET_SIZE		64
_Static_assert(sizeof(struct vstor_packet) == VSTOR_PACKET_SIZE,
    "vstor_packet");
_Static_assert(offsetof(struct vstor_packet, payload) == VSTOR_HEADER_SIZE,
    "payload");
_Static_assert(offsetof(struct vstor_packet, srb.cdb) == 28, "srb.cdb");

/* The user data of an IDE accelerator's offer.  protocol: storvsc, 1 */
struct vstor_ide_offer {
	uint16_t	reserved0;
	uint8_t		path;
	uint8_t		target;
	uint32_t	reserved1;
	uint32_t	flags;
	uint32_t	reserved2[3];
};
_Static_assert(sizeof(struct vstor_ide_offer) == 24, "vstor_ide_offer");
_Static_assert(offsetof(struct vstor_ide_offer, path) == 2, "path");
_Static_assert(offsetof(struct vstor_ide_offer, flags) == 8, "flags");
#define	VSTOR_IDE_DEVICE		0x00000002

#endif	/* !HVH_STORAGE_STORVSP_REG_H */
