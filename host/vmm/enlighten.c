/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The words of --enlighten: what a guest is shown of the hypervisor.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/enlighten.h"

#define	BITS_MAX	63u
#define	NESTING_MAX	15u

/* All are known: by name, shown; with a minus, hidden. */
static bool
feature_word(struct hvh_shown *hs, const char *word)
{
	bool hide = word[0] == '-';

	for (unsigned f = 0; f < HVH_FEATS; f++) {
		if (strcmp(word + hide,
		    hvh_feature_name((enum hvh_feature)f)) != 0)
			continue;
		if (hide)
			hs->hidden |= HVH_FEAT_BIT(f);
		else
			hs->hidden &= ~HVH_FEAT_BIT(f);
		return (true);
	}
	return (false);
}

static bool
isolation_word(struct hvh_shown *hs, const char *val)
{

	for (unsigned i = 0; i < HVH_ISOLATIONS; i++) {
		if (strcmp(val, hvh_isolation_name((enum hvh_isolation)i)) ==
		    0) {
			hs->isolation = (enum hvh_isolation)i;
			return (true);
		}
	}
	return (false);
}

static bool
small_number(const char *val, unsigned max, uint8_t *to)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(val, &end, 10);
	if (errno != 0 || end == val || *end != '\0' || *val == '-' ||
	    v > max)
		return (false);
	*to = (uint8_t)v;
	return (true);
}

bool
enlighten_word(struct hvh_shown *hs, const char *word)
{

	if (strcmp(word, "none") == 0) {
		hs->hidden = HVH_FEAT_BIT(HVH_FEATS) - 1;
		return (true);
	}
	if (strcmp(word, "paravisor") == 0) {
		hs->paravisor = true;
		return (true);
	}
	if (strncmp(word, "isolation=", 10) == 0)
		return (isolation_word(hs, word + 10));
	if (strncmp(word, "shared-bits=", 12) == 0)
		return (small_number(word + 12, BITS_MAX, &hs->shared_bits));
	if (strncmp(word, "nesting=", 8) == 0)
		return (small_number(word + 8, NESTING_MAX, &hs->nesting));
	return (feature_word(hs, word));
}
