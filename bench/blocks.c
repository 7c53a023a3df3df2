/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A plugin for QEMU's TCG that counts how often each block of code runs
 * between two marks, whoever runs it: the rig's outer Linux, its programs, or
 * a guest under hvhost within.  blocks.py tells them apart.
 *
 *	qemu-system-x86_64 -plugin file=libblocks.so,out=FILE
 *
 * A mark is a no-operation whose operand nobody would use, nopl imm(rax,rax):
 * BLOCKS_START sets all counters to zero, BLOCKS_STOP appends a section to
 * FILE: "stop", then a line for each block that ran: its virtual address, its
 * instructions, how often, and its bytes; all but the counts hexadecimal.
 *
 * The counters are right with one emulated processor only: those of two would
 * be added to at the same time.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define	BLOCKS_START	"\x0f\x1f\x84\x00\x01mrk"
#define	BLOCKS_STOP	"\x0f\x1f\x84\x00\x02mrk"
#define	MARK_BYTES	8

#define	BUCKETS		(1u << 18)
#define	BYTES_MAX	2048

/*
 * What is used of QEMU's plugin interface, version 1 (QEMU 7.2 and the
 * like), from its documentation; Debian has no package of its header.
 */
#define	EXPORT		__attribute__((visibility("default")))
#define	OP_ADD_U64	0
#define	CB_NO_REGS	0

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;

void	qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
	    void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void	qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int,
	    void *, uint64_t);
void	qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *,
	    void (*)(unsigned, void *), int, void *);
size_t	qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *,
	    size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t	qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORT extern int qemu_plugin_version;
int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t, const void *, int, char **);

struct block {
	struct block	*next;
	uint64_t	 vaddr;
	uint64_t	 count;
	uint32_t	 insns;
	uint32_t	 len;
	uint8_t		 bytes[];
};

static struct block *buckets[BUCKETS];
static FILE *out;

/*
 * The counter of a block, the same each time it is translated anew.  Two
 * programs may have different code at one address.
 */
static struct block *
block_get(uint64_t vaddr, const uint8_t *bytes, uint32_t len, uint32_t insns)
{
	struct block *b, **head;
	uint64_t hash = 0xcbf29ce484222325;

	for (uint32_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	hash ^= vaddr * 0x9e3779b97f4a7c15;
	head = &buckets[(hash >> 32) % BUCKETS];
	for (b = *head; b != NULL; b = b->next)
		if (b->vaddr == vaddr && b->len == len &&
		    memcmp(b->bytes, bytes, len) == 0)
			return (b);
	b = malloc(sizeof(*b) + len);
	if (b == NULL)
		abort();
	*b = (struct block){ .next = *head, .vaddr = vaddr, .insns = insns,
	    .len = len };
	memcpy(b->bytes, bytes, len);
	*head = b;
	return (b);
}

static void
start(unsigned cpu, void *arg)
{

	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct block *b = buckets[i]; b != NULL; b = b->next)
			b->count = 0;
}

static void
stop(unsigned cpu, void *arg)
{

	fputs("stop\n", out);
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct block *b = buckets[i]; b != NULL; b = b->next) {
			if (b->count == 0)
				continue;
			fprintf(out, "%jx %x %ju ", (uintmax_t)b->vaddr,
			    b->insns, (uintmax_t)b->count);
			for (uint32_t j = 0; j < b->len; j++)
				fprintf(out, "%02x", b->bytes[j]);
			fputc('\n', out);
		}
	}
	fflush(out);
}

static void
translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint8_t bytes[BYTES_MAX];
	struct qemu_plugin_insn *insn;
	const void *data;
	struct block *b;
	size_t n, size;
	uint32_t len = 0;

	n = qemu_plugin_tb_n_insns(tb);
	for (size_t i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		data = qemu_plugin_insn_data(insn);
		size = qemu_plugin_insn_size(insn);
		if (size == MARK_BYTES && memcmp(data, BLOCKS_START, size) == 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, start,
			    CB_NO_REGS, NULL);
		if (size == MARK_BYTES && memcmp(data, BLOCKS_STOP, size) == 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, stop,
			    CB_NO_REGS, NULL);
		if (len + size <= sizeof(bytes)) {
			memcpy(bytes + len, data, size);
			len += (uint32_t)size;
		}
	}
	b = block_get(qemu_plugin_tb_vaddr(tb), bytes, len, (uint32_t)n);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, OP_ADD_U64, &b->count, 1);
}

int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
    char **argv)
{

	if (argc == 1 && strncmp(argv[0], "out=", 4) == 0)
		out = fopen(argv[0] + 4, "w");
	if (out == NULL) {
		fprintf(stderr, "blocks: wants out=FILE, a file to write\n");
		return (1);
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return (0);
}
