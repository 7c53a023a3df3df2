/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Privileged instructions trap in a Linux process by themselves; CPUID does
 * not.  The assembler sees this macro before the mnemonic, so that the CPUID
 * of unchanged sources becomes UD2 with a mark, which the trap handler
 * (kpi/posix/trap.c) decodes.
 */
#ifndef __ASSEMBLER__
__asm(".macro cpuid\n\tud2\n\t.byte 0x0f, 0xa2\n.endm\n");
#endif
