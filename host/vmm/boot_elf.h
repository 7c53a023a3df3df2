/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ELF files for the boot loaders: headers of both classes in one form, and
 * every offset in the file checked.  The files are not trusted: a kernel may
 * come from anywhere, and a copy may have stopped half-way.
 */

#ifndef VMM_BOOT_ELF_H
#define	VMM_BOOT_ELF_H

#include "vmm/vmm.h"

/* Nothing is loaded below: there the loaders put what they hand over. */
#define	BOOT_KERNEL_MIN	0x100000ull
#define	BOOT_LOADS_MAX	64

struct boot_elf {
	const char	*path;		/* for what err says */
	const uint8_t	*data;
	size_t		 len;
	bool		 is64;
	uint8_t		 osabi;
	uint16_t	 type;		/* ET_* */
	uint16_t	 machine;	/* EM_* */
	uint64_t	 entry;
	uint64_t	 phoff;
	uint64_t	 shoff;
	unsigned	 phnum;
	unsigned	 shnum;
	unsigned	 shstrndx;
	char		*err;
	size_t		 errlen;
};

struct boot_phdr {
	uint32_t	 type;
	uint64_t	 offset;
	uint64_t	 vaddr;
	uint64_t	 paddr;
	uint64_t	 filesz;
	uint64_t	 memsz;
	uint64_t	 align;
};

/* Where a kernel's segments go. */
struct boot_image {
	struct boot_seg {
		uint64_t	 gpa;
		struct boot_phdr ph;
	}		 seg[BOOT_LOADS_MAX];
	unsigned	 nseg;
	uint64_t	 start;
	uint64_t	 end;
};

/* Puts a sentence into err, without a line's end. */
void	boot_say(char *err, size_t errlen, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* The same with the file's name in front. */
void	boot_elf_say(const struct boot_elf *e, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Says it, and is the error: return (boot_elf_err(e, EINVAL, ...)). */
#define	boot_err(err, errlen, error, ...)				\
	(boot_say((err), (errlen), __VA_ARGS__), (error))
#define	boot_elf_err(e, error, ...)					\
	(boot_elf_say((e), __VA_ARGS__), (error))

/* What stands after the last slash. */
const char *boot_basename(const char *path);

/*
 * Looks at a file in memory, which has to stay.  ENOEXEC with nothing in err:
 * no ELF file of a PC's byte order.  EINVAL: one that is damaged; e->is64 and
 * e->osabi are set even so.
 */
int	boot_elf_open(struct boot_elf *e, const char *path, const void *data,
	    size_t len, char *err, size_t errlen);
/* len bytes at ofs; NULL if the file has not got them all. */
const void *boot_elf_bytes(const struct boot_elf *e, uint64_t ofs,
	    uint64_t len);
/* i is below phnum, which boot_elf_open() has checked. */
void	boot_elf_phdr(const struct boot_elf *e, unsigned i,
	    struct boot_phdr *ph);
/*
 * The note of this name and type.  ENOENT: has none.  EINVAL: notes are
 * damaged, as err says.
 */
int	boot_elf_note(const struct boot_elf *e, const char *name,
	    uint32_t type, const void **desc, size_t *desclen);
/*
 * Where the PT_LOAD segments go: to the physical address they name, or, if
 * virt_base is not 0, to their virtual address less virt_base.  Checked: they
 * lie between BOOT_KERNEL_MIN and limit and do not overlap.
 */
int	boot_elf_segments(const struct boot_elf *e, uint64_t virt_base,
	    uint64_t limit, struct boot_image *im);
/* Adds their bytes to what goes into guest memory. */
int	boot_elf_place(const struct boot_elf *e, const struct boot_image *im,
	    struct vmm_boot *b);

/* Adds a copy of data, which is not empty. */
int	boot_add_copy(struct vmm_boot *b, uint64_t gpa, const void *data,
	    size_t len, char *err, size_t errlen);

static inline uint64_t
boot_roundup(uint64_t v, uint64_t to)
{

	return ((v + to - 1) / to * to);
}

#endif	/* !VMM_BOOT_ELF_H */
