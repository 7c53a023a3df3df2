/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Linked into each ATF program: ATF's own main() never frees its list of test
 * cases, which is not for LeakSanitizer to report.
 */

const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

/* Nor to mention on standard error, where kyua allows nothing. */
const char *
__lsan_default_options(void)
{

	return ("print_suppressions=0");
}

const char *
__lsan_default_suppressions(void)
{

	return ("leak:libatf-c.so\n");
}
