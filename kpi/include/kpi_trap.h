/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Privileged instructions trap in a Linux process by themselves; CPUID, PUSHF
 * and POPF (intr_disable() and intr_restore() are made of them) do not.  The
 * assembler sees these macros before the mnemonics, so that in unchanged
 * sources they become UD2 followed by the instruction itself as a mark, which
 * the trap handler (kpi/posix/trap.c) decodes.
 */
#ifndef __ASSEMBLER__
__asm(".macro cpuid\n\tud2\n\t.byte 0x0f, 0xa2\n.endm\n"
    ".macro pushfq\n\tud2\n\t.byte 0x9c\n.endm\n"
    ".macro popfq\n\tud2\n\t.byte 0x9d\n.endm\n");
#endif
