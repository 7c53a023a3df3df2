/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value requests of a host without manners: many at once, in any version,
 * with negotiations between them.  The test is the daemon as well.
 */

#include <string.h>
#include <unistd.h>

#include "join_kvp.h"
#include "raw_ic.h"
#include "run/devbridge.h"

#define	KVP_CLASS	"a9a0f4e7-5a45-4d96-b827-8a841e8c03e6"
#define	KVP_TYPE	2
/* Of the packet's payload. */
#define	BODY		28
#define	STATUS		20

static struct raw_ic *raw;
static struct join_kvp jk;

static void
prepare(struct join *j)
{

	raw = raw_ic_add(j->host, KVP_CLASS);
}

static void
start(void)
{
	struct join_config cf = {
		.no_disks = true, .prepare = prepare, .vm.quiet = true,
	};
	char err[256];

	join_start(&jk.j, &cf);
	raw_ic_wait_open(raw);
	jk.bridge = devbridge_start("hv_kvp_dev", JOIN_KVP_SOCKET, err,
	    sizeof(err));
	ATF_REQUIRE_MSG(jk.bridge != NULL, "%s", err);
}

/* ENUMERATE of pool 0, which needs no text. */
static void
enumerate(struct raw_msg *m, uint32_t index)
{

	raw_msg(m, KVP_TYPE, 2580);
	m->data[BODY] = 3;
	raw_put32(m, BODY + 4, index);
}

/* Takes one and answers it with its own index as the key. */
static uint32_t
serve(int fd)
{
	struct hv_kvp_dev_msg km;

	join_kvp_take(fd, &km);
	ATF_CHECK_EQ(HV_KVP_DEV_ENUMERATE, km.km_op);
	km.km_kv.kv_key[0] = (char)('a' + km.km_kv.kv_index);
	km.km_kv.kv_key[1] = '\0';
	join_kvp_answer(fd, &km, HV_KVP_DEV_OK);
	return (km.km_kv.kv_index);
}

static bool
got_refusals(void *arg)
{

	return (raw_ic_got(raw) - raw->taken >= 16);
}

/* More at once than are kept: each has its answer, some that it failed. */
ATF_TC_WITHOUT_HEAD(many);
ATF_TC_BODY(many, tc)
{
	const struct raw_answer *a;
	static struct raw_msg m;
	unsigned failed, i, sent;
	uint32_t seen;
	int fd;

	start();
	raw_ic_agree(raw, 4 << 16);
	fd = join_kvp_open(true);
	for (sent = 0; sent < 20; sent++) {
		enumerate(&m, sent);
		while (raw_ic_send(raw, 6, m.data, m.len, 1000 + sent) != 0)
			usleep(1000);
	}
	/* Those for which there is no room are refused meanwhile. */
	ATF_CHECK(join_wait(got_refusals, NULL, 4000));
	for (i = 0; i < 4; i++)
		ATF_CHECK_EQ(i, serve(fd));
	for (seen = failed = i = 0; i < sent; i++) {
		a = raw_ic_answer(raw, 10000);
		ATF_REQUIRE_MSG(a != NULL, "%u of %u", i, sent);
		ATF_REQUIRE(a->xid >= 1000 && a->xid < 1000 + sent);
		ATF_CHECK_EQ(0, seen & 1 << (a->xid - 1000));
		seen |= 1 << (a->xid - 1000);
		if (a->xid >= 1004) {
			ATF_CHECK_EQ(0x80004005, raw_get(a, STATUS, 4));
			failed++;
			continue;
		}
		ATF_CHECK_EQ(0, raw_get(a, STATUS, 4));
		/* Key, UTF-16, behind the index and three sizes. */
		ATF_CHECK_EQ('a' + a->xid - 1000, raw_get(a, BODY + 20, 2));
	}
	ATF_CHECK_EQ(16, failed);
	ATF_CHECK(raw_ic_answer(raw, 100) == NULL);
	ATF_CHECK_EQ(0, join_sysctl("dev.hvkvp.0.dropped"));
	close(fd);
	devbridge_stop(jk.bridge);
	join_finish(&jk.j);
}

/* The same with nobody to answer: each fails in its turn. */
ATF_TC_WITHOUT_HEAD(many_for_nobody);
ATF_TC_BODY(many_for_nobody, tc)
{
	const struct raw_answer *a;
	static struct raw_msg m;
	unsigned i, sent;

	start();
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvkvp.0.boot_timeout", "1"));
	raw_ic_agree(raw, 4 << 16);
	for (sent = 0; sent < 4; sent++) {
		enumerate(&m, sent);
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len,
		    1000 + sent));
	}
	for (i = 0; i < sent; i++) {
		a = raw_ic_answer(raw, 5000);
		ATF_REQUIRE_MSG(a != NULL, "%u of %u", i, sent);
		ATF_CHECK_EQ(0x80004005, raw_get(a, STATUS, 4));
	}
	devbridge_stop(jk.bridge);
	join_finish(&jk.j);
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{
	static const uint32_t version[] = { 1 << 16, 3 << 16, 4 << 16 };
	const struct raw_answer *a;
	static struct raw_msg m;
	unsigned i;
	int fd;

	start();
	fd = join_kvp_open(true);
	for (i = 0; i < 3; i++) {
		raw_ic_agree(raw, version[i]);
		enumerate(&m, i);
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, i));
		ATF_CHECK_EQ(i, serve(fd));
		a = raw_ic_answer(raw, 5000);
		ATF_REQUIRE(a != NULL);
		ATF_CHECK_EQ(0, raw_get(a, STATUS, 4));
	}
	close(fd);
	devbridge_stop(jk.bridge);
	join_finish(&jk.j);
}

/* A negotiation while the daemon has a request. */
ATF_TC_WITHOUT_HEAD(renegotiated);
ATF_TC_BODY(renegotiated, tc)
{
	const struct raw_answer *a;
	static struct raw_msg m;
	struct hv_kvp_dev_msg km;
	int fd;

	start();
	fd = join_kvp_open(true);
	raw_ic_agree(raw, 4 << 16);
	enumerate(&m, 0);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 77));
	join_kvp_take(fd, &km);
	raw_ic_agree(raw, 3 << 16);
	join_kvp_answer(fd, &km, HV_KVP_DEV_NOTFOUND);
	a = raw_ic_answer(raw, 5000);
	ATF_REQUIRE(a != NULL);
	ATF_CHECK_EQ(77, a->xid);
	ATF_CHECK_EQ(0x80070103, raw_get(a, STATUS, 4));
	close(fd);
	devbridge_stop(jk.bridge);
	join_finish(&jk.j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, many_for_nobody);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, renegotiated);
	return (atf_no_error());
}
