/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Loading FreeBSD: what boot_freebsd.c (kernel, hand-over), boot_freebsd_mod.c
 * (modules, memory disk) and boot_freebsd_env.c (kernel environment) share.
 */

#ifndef VMM_BOOT_FREEBSD_H
#define	VMM_BOOT_FREEBSD_H

#include <elf.h>

#include "vmm/boot_elf.h"

/* Bytes that grow; failed is sticky. */
struct fb_blob {
	uint8_t		*data;
	size_t		 len;
	size_t		 cap;
	bool		 failed;	/* no memory */
};

struct fb_load {
	struct vmm_boot	*b;
	const struct vmm_boot_params *bp;
	uint64_t	 next;		/* free from here to limit */
	uint64_t	 limit;
	struct fb_blob	 mods;		/* the records */
	struct fb_blob	 env;
	uint32_t	 howto;
	char		*err;
	size_t		 errlen;
};

void	fb_blob_add(struct fb_blob *blob, const void *data, size_t len);
/* A record; returns where in the blob its data is. */
size_t	fb_record(struct fb_load *f, uint32_t type, const void *data,
	    size_t len);
void	fb_record_string(struct fb_load *f, uint32_t type, const char *s);
size_t	fb_record_u64(struct fb_load *f, uint32_t type, uint64_t v);

/* boot_freebsd_mod.c: all modules, in the order given. */
int	fb_load_modules(struct fb_load *f);
int	fb_load_mdroot(struct fb_load *f);

/* boot_freebsd_env.c: f->env and f->howto from what the user says. */
int	fb_make_env(struct fb_load *f);

#endif	/* !VMM_BOOT_FREEBSD_H */
