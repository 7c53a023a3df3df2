/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * lsvmbus(8) on what our drivers show: their device tree and their sysctls,
 * taken from the hosted kernel with the host model behind it.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "tests/join/join.h"

#define	DEPTH		16
#define	SCSI_CLASS	"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define	INSTANCE	"2b1d7a60-5d3c-4f0e-8e0a-000000000000"

static unsigned long parents[DEPTH + 1];

/* "  storvsc0 pnpinfo classid=… deviceid=… at channel=14" */
static void
take_device(void *arg, const char *line)
{
	char name[64], path[128], driver[64] = "", desc[128] = "";
	char pnpinfo[256] = "";
	const char *at, *pnp;
	size_t depth, len;

	(void)arg;
	depth = strspn(line, " ") / 2;
	ATF_REQUIRE(depth < DEPTH);
	line += 2 * depth;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " "), line);
	at = strstr(line, " at ");
	pnp = strstr(line, " pnpinfo ");
	if (pnp != NULL) {
		pnp += strlen(" pnpinfo ");
		len = at != NULL ? (size_t)(at - pnp) : strlen(pnp);
		snprintf(pnpinfo, sizeof(pnpinfo), "%.*s", (int)len, pnp);
	}
	if (strcmp(name, "unknown") != 0) {
		len = strcspn(name, "0123456789");
		snprintf(path, sizeof(path), "dev.%.*s.%s.%%driver", (int)len,
		    name, name + len);
		(void)kpi_sysctl_get(path, driver, sizeof(driver));
		snprintf(path, sizeof(path), "dev.%.*s.%s.%%desc", (int)len,
		    name, name + len);
		(void)kpi_sysctl_get(path, desc, sizeof(desc));
	}
	parents[depth + 1] = fake_device(parents[depth], driver[0] != '\0' ?
	    FAKE_ATTACHED : FAKE_UNATTACHED, driver[0] != '\0' ? name : "",
	    driver, desc, pnpinfo, at != NULL ? at + strlen(" at ") : "");
}

static void
take_leaf(void *arg, const char *name, const char *value)
{

	(void)arg;
	if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
		fake_string(name, value);
	else
		fake_u64(name, strtoull(value, NULL, 10));
}

/* The hosted kernel's trees as they stand, and the program on them. */
static json_t *
list(void)
{
	static char name[] = "lsvmbus", option[] = "--libxo=json";
	char *argv[] = { name, option, NULL };
	json_t *root;
	int status;

	fake_reset();
	parents[0] = fake_device(0, FAKE_ATTACHED, "root0", "root", "", "",
	    "");
	kpi_devinfo(take_device, NULL);
	kpi_sysctl_walk("dev", take_leaf, NULL);
	optind = 0;
	status = lsvmbus_main(2, argv);
	if (status != 0)
		return (NULL);
	root = json_loads(fake_output(), JSON_REJECT_DUPLICATES, NULL);
	ATF_REQUIRE_MSG(root != NULL, "%s", fake_output());
	return (root);
}

static long long
number(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	ATF_CHECK_MSG(json_is_integer(v), "no \"%s\" in %s", key,
	    fake_output());
	return (json_integer_value(v));
}

static void
is(json_t *object, const char *key, const char *want)
{
	const char *s = json_string_value(json_object_get(object, key));

	ATF_CHECK_MSG(s != NULL && strcmp(s, want) == 0, "\"%s\" in %s", key,
	    fake_output());
}

ATF_TC(channels);
ATF_TC_HEAD(channels, tc)
{
	atf_tc_set_md_var(tc, "descr", "a controller with sub-channels: each "
	    "has its processor, its rings and every counter");
}
ATF_TC_BODY(channels, tc)
{
	static const char *const count[] = { "tx-packets", "tx-bytes",
	    "tx-full", "tx-signals", "tx-signals-saved", "rx-packets",
	    "rx-bytes", "rx-signals", "interrupts", "corrupt" };
	struct join_config cf = { .vm = { .cpus = 4 }, .subchannels = 3 };
	json_t *root, *bus, *dev, *ch;
	long long cpus, packets;
	struct join j;
	size_t i, k;

	join_start(&j, &cf);
	join_verify("da0", 0, 1 << 20, 1);
	root = list();
	ATF_REQUIRE(root != NULL);
	bus = json_object_get(root, "vmbus");
	is(bus, "name", "vmbus0");
	is(bus, "version", "5.3");
	ATF_REQUIRE_EQ(1, json_array_size(json_object_get(bus, "device")));
	dev = json_array_get(json_object_get(bus, "device"), 0);
	is(dev, "name", "storvsc0");
	is(dev, "class", "scsi");
	is(dev, "class-id", SCSI_CLASS);
	is(dev, "instance-id", INSTANCE);
	is(dev, "state", "attached");
	ATF_CHECK_EQ_MSG(4, number(dev, "channels"), "%s", fake_output());
	ATF_REQUIRE_EQ(4, json_array_size(json_object_get(dev, "channel")));
	for (i = 0, cpus = packets = 0; i < 4; i++) {
		ch = json_array_get(json_object_get(dev, "channel"), i);
		ATF_CHECK_EQ((long long)i, number(ch, "sub"));
		ATF_CHECK(i > 0 || number(ch, "id") == number(dev, "id"));
		ATF_CHECK(number(ch, "id") > 0);
		cpus |= 1 << number(ch, "cpu");
		packets += number(ch, "tx-packets");
		ATF_CHECK(number(ch, "tx-free") > 4096);
		ATF_CHECK_EQ(0, number(ch, "rx-used"));
		for (k = 0; k < sizeof(count) / sizeof(count[0]); k++)
			(void)number(ch, count[k]);
	}
	ATF_CHECK_EQ_MSG(0xf, cpus, "%s", fake_output());
	ATF_CHECK(packets > 0);
	ATF_REQUIRE_EQ(4, json_array_size(json_object_get(bus, "cpu")));
	for (i = 0; i < 4; i++) {
		ch = json_array_get(json_object_get(bus, "cpu"), i);
		ATF_CHECK_EQ((long long)i, number(ch, "id"));
		(void)number(ch, "vp");
		(void)number(ch, "interrupts");
		ATF_CHECK_EQ(1, json_array_size(json_object_get(ch,
		    "channel-id")));
	}
	json_decref(root);
	join_finish(&j);
}

ATF_TC(driverless);
ATF_TC_HEAD(driverless, tc)
{
	atf_tc_set_md_var(tc, "descr", "before hv_vmbus is loaded there is no "
	    "bus; a controller that no driver has is listed all the same");
}
ATF_TC_BODY(driverless, tc)
{
	struct join_config cf = { .no_load = true };
	json_t *root, *dev;
	struct join j;

	join_start(&j, &cf);
	ATF_CHECK(list() == NULL);
	ATF_CHECK_MSG(strstr(fake_messages(), "there is no VMBus") != NULL,
	    "%s", fake_messages());
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	root = list();
	ATF_REQUIRE(root != NULL);
	dev = json_array_get(json_object_get(json_object_get(root, "vmbus"),
	    "device"), 0);
	is(dev, "state", "unattached");
	is(dev, "class-name", "SCSI controller");
	is(dev, "instance-id", INSTANCE);
	ATF_CHECK(number(dev, "id") > 0);
	ATF_CHECK_EQ(0, number(dev, "channels"));
	ATF_CHECK(json_object_get(dev, "name") == NULL);
	json_decref(root);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_storvsc"));
	root = list();
	ATF_REQUIRE(root != NULL);
	dev = json_array_get(json_object_get(json_object_get(root, "vmbus"),
	    "device"), 0);
	is(dev, "state", "attached");
	is(dev, "name", "storvsc0");
	json_decref(root);
	join_finish(&j);
	ATF_CHECK(list() == NULL);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, channels);
	ATF_TP_ADD_TC(tp, driverless);
	return (atf_no_error());
}
