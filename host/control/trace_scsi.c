/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage protocol in words: operations, SCSI commands, statuses
 * (protocol: storvsc, 3).
 */

#include <stdio.h>
#include <string.h>

#include "control/trace_read.h"
#include "storage/storvsp_reg.h"

#define	COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static const char *const operations[] = {
	[VSTOR_COMPLETE_IO] = "COMPLETE_IO",
	[VSTOR_REMOVE_DEVICE] = "REMOVE_DEVICE",
	[VSTOR_EXECUTE_SRB] = "EXECUTE_SRB",
	[VSTOR_RESET_LUN] = "RESET_LUN",
	[VSTOR_RESET_ADAPTER] = "RESET_ADAPTER",
	[VSTOR_RESET_BUS] = "RESET_BUS",
	[VSTOR_BEGIN_INITIALIZATION] = "BEGIN_INITIALIZATION",
	[VSTOR_END_INITIALIZATION] = "END_INITIALIZATION",
	[VSTOR_QUERY_PROTOCOL_VERSION] = "QUERY_PROTOCOL_VERSION",
	[VSTOR_QUERY_PROPERTIES] = "QUERY_PROPERTIES",
	[VSTOR_ENUMERATE_BUS] = "ENUMERATE_BUS",
	[VSTOR_FCHBA_DATA] = "FCHBA_DATA",
	[VSTOR_CREATE_SUB_CHANNELS] = "CREATE_SUB_CHANNELS",
};

/* SPC, SBC and MMC operation codes that guests use. */
static const struct {
	uint8_t		 opcode;
	const char	*name;
} commands[] = {
	{ 0x00, "TEST UNIT READY" },
	{ 0x03, "REQUEST SENSE" },
	{ 0x04, "FORMAT UNIT" },
	{ 0x08, "READ(6)" },
	{ 0x0A, "WRITE(6)" },
	{ 0x12, "INQUIRY" },
	{ 0x15, "MODE SELECT(6)" },
	{ 0x16, "RESERVE(6)" },
	{ 0x17, "RELEASE(6)" },
	{ 0x1A, "MODE SENSE(6)" },
	{ 0x1B, "START STOP UNIT" },
	{ 0x1C, "RECEIVE DIAGNOSTIC RESULTS" },
	{ 0x1D, "SEND DIAGNOSTIC" },
	{ 0x1E, "PREVENT ALLOW MEDIUM REMOVAL" },
	{ 0x25, "READ CAPACITY(10)" },
	{ 0x28, "READ(10)" },
	{ 0x2A, "WRITE(10)" },
	{ 0x2E, "WRITE AND VERIFY(10)" },
	{ 0x2F, "VERIFY(10)" },
	{ 0x35, "SYNCHRONIZE CACHE(10)" },
	{ 0x37, "READ DEFECT DATA(10)" },
	{ 0x3B, "WRITE BUFFER" },
	{ 0x3C, "READ BUFFER" },
	{ 0x41, "WRITE SAME(10)" },
	{ 0x42, "UNMAP" },
	{ 0x43, "READ TOC" },
	{ 0x46, "GET CONFIGURATION" },
	{ 0x4A, "GET EVENT STATUS NOTIFICATION" },
	{ 0x4D, "LOG SENSE" },
	{ 0x51, "READ DISC INFORMATION" },
	{ 0x55, "MODE SELECT(10)" },
	{ 0x5A, "MODE SENSE(10)" },
	{ 0x5E, "PERSISTENT RESERVE IN" },
	{ 0x5F, "PERSISTENT RESERVE OUT" },
	{ 0x85, "ATA PASS-THROUGH(16)" },
	{ 0x88, "READ(16)" },
	{ 0x8A, "WRITE(16)" },
	{ 0x8F, "VERIFY(16)" },
	{ 0x91, "SYNCHRONIZE CACHE(16)" },
	{ 0x93, "WRITE SAME(16)" },
	{ 0x9E, "SERVICE ACTION IN(16)" },
	{ 0xA0, "REPORT LUNS" },
	{ 0xA1, "ATA PASS-THROUGH(12)" },
	{ 0xA3, "MAINTENANCE IN" },
	{ 0xA8, "READ(12)" },
	{ 0xAA, "WRITE(12)" },
	{ 0xAC, "GET PERFORMANCE" },
	{ 0xAD, "READ DISC STRUCTURE" },
	{ 0xB9, "READ CD MSF" },
	{ 0xBE, "READ CD" },
};

static const struct {
	uint8_t		 status;
	const char	*name;
} srb_statuses[] = {
	{ SRB_SUCCESS, "success" },
	{ SRB_ABORTED, "aborted" },
	{ SRB_ERROR, "error" },
	{ SRB_BUSY, "busy" },
	{ SRB_INVALID_REQUEST, "invalid request" },
	{ SRB_NO_DEVICE, "no device" },
	{ SRB_TIMEOUT, "timeout" },
	{ SRB_SELECTION_TIMEOUT, "selection timeout" },
	{ SRB_COMMAND_TIMEOUT, "command timeout" },
	{ SRB_BUS_RESET, "bus reset" },
	{ SRB_NO_HBA, "no HBA" },
	{ SRB_DATA_OVERRUN, "data overrun" },
	{ SRB_BAD_SRB_BLOCK_LENGTH, "bad block length" },
	{ SRB_REQUEST_FLUSHED, "flushed" },
	{ SRB_INVALID_LUN, "invalid LUN" },
	{ SRB_INVALID_TARGET_ID, "invalid target" },
	{ SRB_BAD_FUNCTION, "bad function" },
};

static uint64_t
be(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	while (len-- > 0)
		v = v << 8 | *p++;
	return (v);
}

static void
say_command(struct trace_line *line, uint8_t opcode)
{

	for (size_t i = 0; i < COUNT(commands); i++) {
		if (commands[i].opcode == opcode) {
			snprintf(line->op, sizeof(line->op), "%s",
			    commands[i].name);
			return;
		}
	}
	snprintf(line->op, sizeof(line->op), "command 0x%02x", opcode);
}

/* What matters of a command's parameters. */
static void
say_cdb(struct trace_line *line, const uint8_t cdb[16])
{
	unsigned long long lba, blocks;

	switch (cdb[0]) {
	case 0x08:
	case 0x0A:
		lba = be(cdb + 1, 3) & 0x1FFFFF;
		/* SBC: none stands for 256. */
		blocks = cdb[4] == 0 ? 256 : cdb[4];
		break;
	case 0x28:
	case 0x2A:
	case 0x2E:
	case 0x2F:
	case 0x35:
	case 0x41:
		lba = be(cdb + 2, 4);
		blocks = be(cdb + 7, 2);
		break;
	case 0xA8:
	case 0xAA:
	case 0xBE:
		lba = be(cdb + 2, 4);
		blocks = cdb[0] == 0xBE ? be(cdb + 6, 3) : be(cdb + 6, 4);
		break;
	case 0x88:
	case 0x8A:
	case 0x8F:
	case 0x91:
	case 0x93:
		lba = be(cdb + 2, 8);
		blocks = be(cdb + 10, 4);
		break;
	case 0x12:
		if ((cdb[1] & 1) != 0)
			trace_say(line, " page 0x%02x", cdb[2]);
		return;
	case 0x1A:
	case 0x5A:
		trace_say(line, " page 0x%02x", cdb[2] & 0x3F);
		return;
	case 0x9E:
		if ((cdb[1] & 0x1F) == 0x10)
			trace_say(line, " capacity");
		else
			trace_say(line, " action %#x", cdb[1] & 0x1F);
		return;
	default:
		return;
	}
	trace_say(line, " LBA %llu blocks %llu", lba, blocks);
}

static void
say_unit(struct trace_line *line, uint8_t path, uint8_t target, uint8_t lun)
{

	if (path != 0 || target != 0)
		trace_say(line, ", path %u target %u", path, target);
	trace_say(line, ", LUN %u", lun);
}

static void
say_request(struct trace_line *line, const struct vstor_srb *srb,
    struct trace_request *req)
{

	if (req != NULL) {
		req->opcode = srb->cdb[0];
		req->path = srb->path;
		req->target = srb->target;
		req->lun = srb->lun;
	}
	say_unit(line, srb->path, srb->target, srb->lun);
	say_command(line, srb->cdb[0]);
	trace_say(line, ", %s", line->op);
	say_cdb(line, srb->cdb);
	trace_say(line, ", %u bytes%s", srb->transfer_length,
	    srb->transfer_length == 0 ? "" :
	    srb->data_in == VSTOR_DATA_OUT ? " out" : " in");
}

static const char *
srb_name(uint8_t status)
{

	for (size_t i = 0; i < COUNT(srb_statuses); i++) {
		if (srb_statuses[i].status == SRB_CODE(status))
			return (srb_statuses[i].name);
	}
	return ("unknown");
}

static void
say_answer(struct trace_line *line, const struct vstor_srb *srb,
    const struct trace_request *req)
{

	if (req == NULL) {
		say_unit(line, srb->path, srb->target, srb->lun);
	} else {
		say_unit(line, req->path, req->target, req->lun);
		say_command(line, req->opcode);
		trace_say(line, ", %s", line->op);
	}
	trace_say(line, ", %s (SRB 0x%02x, SCSI 0x%02x)",
	    srb_name(srb->srb_status), srb->srb_status, srb->scsi_status);
	if ((srb->srb_status & SRB_AUTOSENSE_VALID) != 0)
		trace_say(line, ", sense %x/%02x/%02x", srb->sense[2] & 0xF,
		    srb->sense[12], srb->sense[13]);
	trace_say(line, ", %u bytes", srb->transfer_length);
}

static const char *
operation_name(uint32_t operation)
{

	return (operation < COUNT(operations) ? operations[operation] : NULL);
}

/* Requests and answers of the controller itself. */
static void
say_control(struct trace_line *line, const struct vstor_packet *p, bool out)
{

	if (out)
		return;
	if (p->operation == VSTOR_QUERY_PROTOCOL_VERSION)
		trace_say(line, ", version %u.%u", p->version.version >> 8,
		    p->version.version & 0xFF);
	else if (p->operation == VSTOR_CREATE_SUB_CHANNELS)
		trace_say(line, ", %u", p->subchannels.count);
	else if (p->operation == VSTOR_RESET_LUN)
		say_unit(line, p->srb.path, p->srb.target, p->srb.lun);
}

void
trace_vstor(struct trace_line *line, const uint8_t *payload, size_t len,
    bool out, struct trace_request *req)
{
	struct vstor_packet p = { 0 };
	const char *name;

	if (len < VSTOR_HEADER_SIZE) {
		trace_say(line, ", %zu bytes are no storage request", len);
		return;
	}
	memcpy(&p, payload, len < sizeof(p) ? len : sizeof(p));
	name = operation_name(p.operation);
	line->number = p.operation;
	if (name != NULL)
		snprintf(line->name, sizeof(line->name), "%s", name);
	else
		snprintf(line->name, sizeof(line->name), "operation %#x",
		    p.operation);
	if (req != NULL && !out)
		req->operation = p.operation;
	if (p.operation == VSTOR_EXECUTE_SRB &&
	    len >= VSTOR_HEADER_SIZE + VSTOR_SRB_SIZE_OLD) {
		say_request(line, &p.srb, req);
		return;
	}
	if (p.operation != VSTOR_COMPLETE_IO) {
		say_control(line, &p, out);
		return;
	}
	if (req != NULL && req->operation == VSTOR_EXECUTE_SRB)
		say_answer(line, &p.srb, req);
	else if (req != NULL && operation_name(req->operation) != NULL)
		trace_say(line, ", %s", operation_name(req->operation));
	if (p.status == NT_SUCCESS)
		trace_say(line, ", ok");
	else
		trace_say(line, ", status %#x", p.status);
}
