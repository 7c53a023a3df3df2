/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * lsvmbus(8) on trees made for the purpose: ours and the in-tree driver's
 * names, devices without a driver, and what changes under its eyes.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>

#include "fake.h"

#define	SCSI	"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define	NET	"f8615163-df3e-46c5-913f-f2d2f965ed0e"
#define	MOUSE	"cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a"
#define	STRANGE	"01234567-89ab-cdef-0123-456789abcdef"
#define	INST(n)	"2b1d7a60-5d3c-4f0e-8e0a-00000000000" #n

#define	ARGS	5

static int
run(const char *a, const char *b, const char *c)
{
	const char *const given[] = { "lsvmbus", a, b, c };
	char *argv[ARGS] = { NULL }, *mine[ARGS];
	int argc, i, status;

	for (argc = 0; argc < ARGS - 1 && given[argc] != NULL; argc++)
		argv[argc] = strdup(given[argc]);
	/* libxo takes its own out of argv. */
	memcpy(mine, argv, sizeof(mine));
	optind = 0;
	status = lsvmbus_main(argc, argv);
	for (i = 0; i < argc; i++)
		free(mine[i]);
	return (status);
}

static json_t *
run_json(void)
{
	json_error_t e;
	json_t *root;

	ATF_CHECK_EQ(0, run("--libxo", "json", NULL));
	root = json_loads(fake_output(), JSON_REJECT_DUPLICATES, &e);
	ATF_REQUIRE_MSG(root != NULL, "%s: %s", e.text, fake_output());
	return (root);
}

static void
has(const char *what)
{

	ATF_CHECK_MSG(strstr(fake_output(), what) != NULL,
	    "no \"%s\" in:\n%s", what, fake_output());
}

static void
has_not(const char *what)
{

	ATF_CHECK_MSG(strstr(fake_output(), what) == NULL,
	    "\"%s\" in:\n%s", what, fake_output());
}

static void
channel(const char *node, int cpu, unsigned id, unsigned long long packets)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.cpu", node);
	fake_int(name, (unsigned)cpu);
	snprintf(name, sizeof(name), "%s.mnf", node);
	fake_int(name, id % 2);
	if (strstr(node, ".sub.") != NULL) {
		snprintf(name, sizeof(name), "%s.chanid", node);
		fake_int(name, id);
	}
	snprintf(name, sizeof(name), "%s.tx_packets", node);
	fake_u64(name, packets);
	snprintf(name, sizeof(name), "%s.tx_signals_saved", node);
	fake_u64(name, 1ull << 40);
	snprintf(name, sizeof(name), "%s.br.tx.state", node);
	fake_string(name, "rindex:64 windex:160 imask:0 ravail:96 "
	    "wavail:16288 pending:0");
	snprintf(name, sizeof(name), "%s.br.rx.state", node);
	fake_string(name, "rindex:8 windex:8 imask:1 ravail:0 wavail:16384 "
	    "pending:0");
}

static unsigned long
bus(void)
{
	unsigned long root, acpi;

	fake_reset();
	fake_string("kern.vm_guest", "hv");
	root = fake_device(0, FAKE_ATTACHED, "root0", "root", "", "", "");
	acpi = fake_device(root, FAKE_ATTACHED, "acpi0", "acpi", "VRTUAL", "",
	    "");
	fake_string("dev.vmbus.0.version", "5.3");
	return (fake_device(acpi, FAKE_ATTACHED, "vmbus0", "vmbus",
	    "Hyper-V VMBus", "", ""));
}

/* Ours: a controller with sub-channels, and devices that nobody drives. */
static unsigned long
machine(void)
{
	unsigned long vmbus;
	char name[64];
	int cpu;

	vmbus = bus();
	fake_device(vmbus, FAKE_ATTACHED, "hn0", "hn", "Network",
	    "classid=" NET " deviceid=" INST(2), "channel=21");
	fake_device(vmbus, FAKE_ATTACHED, "storvsc0", "storvsc",
	    "Hyper-V SCSI", "classid=" SCSI " deviceid=" INST(1),
	    "channel=14");
	fake_device(vmbus, FAKE_UNATTACHED, "", "", "",
	    "classid=" MOUSE " deviceid=" INST(3), "channel=3");
	fake_device(vmbus, FAKE_DISABLED, "", "", "",
	    "classid=" STRANGE " deviceid=" INST(4), "channel=101");
	fake_device(vmbus, FAKE_ATTACHED, "hyperv_timer0", "hyperv_timer", "",
	    "", "");
	for (cpu = 0; cpu < 4; cpu++) {
		snprintf(name, sizeof(name), "dev.vmbus.0.cpu.%d.interrupts",
		    cpu);
		fake_u64(name, 100 + (unsigned)cpu);
		snprintf(name, sizeof(name), "dev.vmbus.0.cpu.%d.stray", cpu);
		fake_u64(name, 0);
		snprintf(name, sizeof(name), "dev.vmbus.0.cpu.%d.vp", cpu);
		fake_int(name, (unsigned)cpu * 2);
	}
	channel("dev.storvsc.0.channel.14.sub.10", 3, 31, 7);
	channel("dev.storvsc.0.channel.14.sub.2", 2, 23, 8);
	channel("dev.storvsc.0.channel.14.sub.1", 1, 22, 9);
	channel("dev.storvsc.0.channel.14", 0, 14, 123456);
	/* A class driver's own nodes have a sub-channel's number, too. */
	fake_u64("dev.storvsc.0.channel.14.send_req", 77);
	fake_u64("dev.storvsc.0.channel.22.send_req", 78);
	channel("dev.hn.0.channel.21", 2, 21, 1);
	channel("dev.hn.0.channel.21.sub.1", 0, 40, 1);
	/* Another controller's, whose name begins like the first one's. */
	channel("dev.storvsc.01.channel.99", 1, 99, 1);
	return (vmbus);
}

ATF_TC(table);
ATF_TC_HEAD(table, tc)
{
	atf_tc_set_md_var(tc, "descr", "one line a device, sorted, in columns");
}
ATF_TC_BODY(table, tc)
{

	machine();
	ATF_CHECK_EQ(0, run(NULL, NULL, NULL));
	ATF_CHECK_STREQ(
	    "vmbus0: version 5.3, 4 devices, 6 open channels\n"
	    " ID  DEVICE    CHANNELS  CPU  CLASS\n"
	    "  3  -                0    -  Mouse\n"
	    " 14  storvsc0         4  0-3  SCSI controller\n"
	    " 21  hn0              2  0,2  Network adapter\n"
	    "101  -                0    -  " STRANGE "\n",
	    fake_output());
	ATF_CHECK_STREQ("", fake_messages());
}

ATF_TC(verbose);
ATF_TC_HEAD(verbose, tc)
{
	atf_tc_set_md_var(tc, "descr", "-v: GUIDs, each channel with its "
	    "processor and rings, in the order of the index; -vv: counters");
}
ATF_TC_BODY(verbose, tc)
{

	machine();
	ATF_CHECK_EQ(0, run("-v", "storvsc0", NULL));
	ATF_CHECK_STREQ(
	    "vmbus0: version 5.3, 4 devices, 6 open channels\n"
	    "ID  DEVICE    CHANNELS  CPU  CLASS\n"
	    "14  storvsc0         4  0-3  SCSI controller\n"
	    "    class: " SCSI "\n"
	    "    instance: " INST(1) "\n"
	    "    driver: Hyper-V SCSI, attached\n"
	    "    CHANNEL  SUB  CPU  MONITORED    TX-USED    TX-FREE    "
	    "RX-USED    RX-FREE\n"
	    "         14    -    0         no         96      16288    "
	    "      0      16384\n"
	    "         22    1    1         no         96      16288    "
	    "      0      16384\n"
	    "         23    2    2        yes         96      16288    "
	    "      0      16384\n"
	    "         31   10    3        yes         96      16288    "
	    "      0      16384\n", fake_output());
	has_not("tx_packets");
	ATF_CHECK_EQ(0, run("-vv", "14", NULL));
	has("            tx_packets 123456  tx_signals_saved 1099511627776\n");
	ATF_CHECK_EQ(0, run("-v", "3", NULL));
	has("    driver: none, unattached\n");
	has_not("CHANNEL ");
	ATF_CHECK_EQ(0, run("-v", "101", NULL));
	has("    driver: none, disabled\n");
}

ATF_TC(processors);
ATF_TC_HEAD(processors, tc)
{
	atf_tc_set_md_var(tc, "descr", "-c: processors and what interrupts "
	    "them, also one that the bus does not tell of");
}
ATF_TC_BODY(processors, tc)
{

	machine();
	fake_remove("dev.vmbus.0.cpu.3");
	ATF_CHECK_EQ(0, run("-c", NULL, NULL));
	has("CPU   VP    INTERRUPTS    STRAY  CHANNELS\n"
	    "  0    0           100        0  storvsc0:14 hn0:40\n"
	    "  1    2           101        0  storvsc0:22\n"
	    "  2    4           102        0  storvsc0:23 hn0:21\n"
	    "  3    -             -        -  storvsc0:31\n");
}

static json_t *
of(json_t *list, size_t i)
{

	ATF_REQUIRE(json_is_array(list) && i < json_array_size(list));
	return (json_array_get(list, i));
}

static void
json_is(json_t *object, const char *key, const char *want)
{
	const char *s = json_string_value(json_object_get(object, key));

	ATF_CHECK_MSG(s != NULL && strcmp(s, want) == 0, "%s: \"%s\"", key,
	    s != NULL ? s : "(none)");
}

static void
json_number(json_t *object, const char *key, long long want)
{
	json_t *v = json_object_get(object, key);

	ATF_CHECK_MSG(json_is_integer(v) && json_integer_value(v) == want,
	    "%s: %lld", key, (long long)json_integer_value(v));
}

ATF_TC(json);
ATF_TC_HEAD(json, tc)
{
	atf_tc_set_md_var(tc, "descr", "--libxo json: everything, with numbers "
	    "as numbers, and nothing where nothing is known");
}
ATF_TC_BODY(json, tc)
{
	json_t *root, *bus, *dev, *chan, *cpu;

	machine();
	root = run_json();
	bus = json_object_get(root, "vmbus");
	json_is(bus, "name", "vmbus0");
	json_is(bus, "version", "5.3");
	ATF_CHECK_EQ(4, json_array_size(json_object_get(bus, "device")));

	dev = of(json_object_get(bus, "device"), 0);
	json_number(dev, "id", 3);
	json_is(dev, "class", "mouse");
	json_is(dev, "class-name", "Mouse");
	json_is(dev, "class-id", MOUSE);
	json_is(dev, "instance-id", INST(3));
	json_is(dev, "state", "unattached");
	json_number(dev, "channels", 0);
	ATF_CHECK(json_object_get(dev, "name") == NULL);
	ATF_CHECK(json_object_get(dev, "channel") == NULL);

	dev = of(json_object_get(bus, "device"), 1);
	json_is(dev, "name", "storvsc0");
	json_is(dev, "driver", "storvsc");
	json_is(dev, "description", "Hyper-V SCSI");
	chan = of(json_object_get(dev, "channel"), 0);
	json_number(chan, "id", 14);
	json_number(chan, "sub", 0);
	json_number(chan, "tx-packets", 123456);
	json_number(chan, "tx-signals-saved", 1099511627776);
	ATF_CHECK(json_object_get(chan, "rx-packets") == NULL);
	chan = of(json_object_get(dev, "channel"), 3);
	json_number(chan, "id", 31);
	json_number(chan, "sub", 10);
	json_number(chan, "cpu", 3);
	ATF_CHECK(json_is_true(json_object_get(chan, "monitored")));
	json_number(chan, "tx-used", 96);
	json_number(chan, "tx-free", 16288);
	json_number(chan, "rx-used", 0);
	json_number(chan, "rx-free", 16384);

	/* A kind nobody knows has its GUID only. */
	dev = of(json_object_get(bus, "device"), 3);
	json_is(dev, "class-id", STRANGE);
	json_is(dev, "state", "disabled");
	ATF_CHECK(json_object_get(dev, "class-name") == NULL);

	cpu = of(json_object_get(bus, "cpu"), 2);
	json_number(cpu, "id", 2);
	json_number(cpu, "vp", 4);
	json_number(cpu, "interrupts", 102);
	ATF_CHECK_EQ(23, json_integer_value(of(json_object_get(cpu,
	    "channel-id"), 0)));
	json_decref(root);
}

ATF_TC(in_tree);
ATF_TC_HEAD(in_tree, tc)
{
	atf_tc_set_md_var(tc, "descr", "FreeBSD's own driver, which tells "
	    "less: no location, no counters, no processors");
}
ATF_TC_BODY(in_tree, tc)
{
	unsigned long vmbus;

	vmbus = bus();
	fake_device(vmbus, FAKE_ATTACHED, "storvsc0", "storvsc",
	    "Hyper-V SCSI", "classid=" SCSI " deviceid=" INST(1), "");
	fake_device(vmbus, FAKE_UNATTACHED, "", "", "",
	    "classid=" MOUSE " deviceid=" INST(3), "");
	fake_int("dev.storvsc.0.channel.14.cpu", 1);
	fake_int("dev.storvsc.0.channel.14.mnf", 0);
	fake_string("dev.storvsc.0.channel.14.br.tx.state", "intrcnt:7 "
	    "rindex:64 windex:64 imask:0 psndsz:0 fvalue:1 ravail:0 "
	    "wavail:8192");
	fake_string("dev.storvsc.0.channel.14.br.tx.state_bin", "x");
	ATF_CHECK_EQ(0, run("-vvc", NULL, NULL));
	ATF_CHECK_STREQ(
	    "vmbus0: version 5.3, 2 devices, 1 open channel\n"
	    "ID  DEVICE    CHANNELS  CPU  CLASS\n"
	    "14  storvsc0         1    1  SCSI controller\n"
	    "    class: " SCSI "\n"
	    "    instance: " INST(1) "\n"
	    "    driver: Hyper-V SCSI, attached\n"
	    "    CHANNEL  SUB  CPU  MONITORED    TX-USED    TX-FREE    "
	    "RX-USED    RX-FREE\n"
	    "         14    -    1         no          0       8192    "
	    "      -          -\n"
	    " -  -                0    -  Mouse\n"
	    "    class: " MOUSE "\n"
	    "    instance: " INST(3) "\n"
	    "    driver: none, unattached\n"
	    "\n"
	    "CPU   VP    INTERRUPTS    STRAY  CHANNELS\n"
	    "  1    -             -        -  storvsc0:14\n", fake_output());
	json_decref(run_json());
}

ATF_TC(nothing);
ATF_TC_HEAD(nothing, tc)
{
	atf_tc_set_md_var(tc, "descr", "a bus without devices is listed; no "
	    "bus is an error that says what may be wrong");
}
ATF_TC_BODY(nothing, tc)
{
	json_t *root;

	bus();
	fake_remove("dev.vmbus.0.version");
	ATF_CHECK_EQ(0, run("-vvc", NULL, NULL));
	has("vmbus0: version unknown, 0 devices, 0 open channels\n");
	root = run_json();
	ATF_CHECK_EQ(0, json_array_size(json_object_get(json_object_get(root,
	    "vmbus"), "device")));
	json_decref(root);

	fake_reset();
	fake_device(0, FAKE_ATTACHED, "root0", "root", "", "", "");
	fake_string("kern.vm_guest", "hv");
	ATF_CHECK_EQ(1, run(NULL, NULL, NULL));
	ATF_CHECK_STREQ("", fake_output());
	ATF_CHECK_STREQ("lsvmbus: there is no VMBus; is hv_vmbus(4) loaded?\n",
	    fake_messages());
	fake_remove("kern.vm_guest");
	fake_string("kern.vm_guest", "kvm");
	ATF_CHECK_EQ(1, run(NULL, NULL, NULL));
	ATF_CHECK(strstr(fake_messages(), "kern.vm_guest is \"kvm\"") != NULL);
}

ATF_TC(usage);
ATF_TC_HEAD(usage, tc)
{
	atf_tc_set_md_var(tc, "descr", "wrong options, and devices that are "
	    "not there");
}
ATF_TC_BODY(usage, tc)
{

	machine();
	ATF_CHECK_EQ(1, run("-x", NULL, NULL));
	ATF_CHECK(strstr(fake_messages(), "usage: lsvmbus") != NULL);
	ATF_CHECK_EQ(1, run("--libxo:nonsense", NULL, NULL));
	ATF_CHECK_EQ(1, run("storvsc1", "hn0", NULL));
	ATF_CHECK_STREQ("lsvmbus: storvsc1: no such device or channel\n",
	    fake_messages());
	has("hn0");
	has_not("storvsc0");
	ATF_CHECK_EQ(1, run("", NULL, NULL));
	ATF_CHECK_EQ(1, run("14x", NULL, NULL));
	/* By sub-channel and by instance. */
	ATF_CHECK_EQ(0, run("31", INST(3), NULL));
	has("storvsc0");
	has("Mouse");
	has_not("hn0");
}

static void
hook_close(unsigned call)
{

	/* At any moment: the controller goes while it is being looked at. */
	if (call == (unsigned)atoi(getenv("AT"))) {
		fake_remove("dev.storvsc.0");
		fake_remove("dev.vmbus.0.cpu.2");
		fake_generation();
	}
}

ATF_TC(vanishing);
ATF_TC_HEAD(vanishing, tc)
{
	atf_tc_set_md_var(tc, "descr", "whenever a device's channels go while "
	    "they are read, the rest is listed");
}
ATF_TC_BODY(vanishing, tc)
{
	char at[16];
	int i;

	for (i = 0; i < 140; i++) {
		machine();
		snprintf(at, sizeof(at), "%d", i);
		setenv("AT", at, 1);
		fake_hook = hook_close;
		ATF_CHECK_EQ(0, run("-vvc", NULL, NULL));
		has("  hn0 ");
		has("  storvsc0 ");
		has("Mouse");
	}
	/* The last moments came after the end: everything was there. */
	has("CHANNEL  SUB");
	has("0-3");
}

static void
hook_appear(unsigned call)
{

	/* During the first reading of the tree and, again, the second. */
	if (call == 3 || call == 9)
		fake_device(0xfffff80000000000ul + 3 * 0x400, FAKE_ATTACHED,
		    call == 3 ? "hn1" : "hn2", "hn", "Network", "classid=" NET
		    " deviceid=" INST(7), call == 3 ? "channel=50" :
		    "channel=51");
}

static void
hook_never_rests(unsigned call)
{

	if (call % 3 == 0)
		fake_generation();
}

ATF_TC(changing);
ATF_TC_HEAD(changing, tc)
{
	atf_tc_set_md_var(tc, "descr", "a device tree that changes is read "
	    "again, but not for ever");
	atf_tc_set_md_var(tc, "timeout", "60");
}
ATF_TC_BODY(changing, tc)
{

	machine();
	fake_hook = hook_appear;
	ATF_CHECK_EQ(0, run(NULL, NULL, NULL));
	has(" 50  hn1 ");
	has(" 51  hn2 ");
	machine();
	fake_hook = hook_never_rests;
	ATF_CHECK_EQ(1, run(NULL, NULL, NULL));
	ATF_CHECK_MSG(strstr(fake_messages(), "device tree") != NULL, "%s",
	    fake_messages());
}

ATF_TC(odd);
ATF_TC_HEAD(odd, tc)
{
	atf_tc_set_md_var(tc, "descr", "names and values that make no sense "
	    "are left out, and nothing is read beyond its end");
}
ATF_TC_BODY(odd, tc)
{
	static char much[4096];
	unsigned long vmbus;

	vmbus = machine();
	fake_string("dev.storvsc.0.channel.x.cpu", "1");
	fake_string("dev.storvsc.0.channel.4294967296.cpu", "1");
	fake_string("dev.storvsc.0.channel.14.sub.x.cpu", "1");
	fake_string("dev.storvsc.0.channel.14.sub.0.cpu", "1");
	fake_string("dev.storvsc.0.channel.14.rx_packets", "not a number");
	fake_u64("dev.storvsc.0.channel.14.rx_bytes", ~0ull);
	fake_string("dev.storvsc.0.channel.14.sub.1.br.rx.state2", "ravail:1");
	fake_remove("dev.storvsc.0.channel.14.sub.2.br");
	fake_string("dev.storvsc.0.channel.14.sub.2.br.tx.state",
	    "ravail:99999999999999999999 wavail:");
	memset(much, 'm', sizeof(much) - 1);
	fake_string("dev.storvsc.0.channel.14.sub.2.br.rx.state", much);
	/* More text than the kernel's buffer has room for. */
	fake_device(vmbus, FAKE_ATTACHED, "hn9", "hn", much, "classid=" NET,
	    "");
	fake_device(vmbus, FAKE_ATTACHED, "xy", "hn", "", "classid=" NET, "");
	fake_device(vmbus, FAKE_ATTACHED, "hn7", "hn", "", "classid= "
	    "deviceid", "channel=zz");
	ATF_CHECK_EQ(0, run("-vvc", NULL, NULL));
	has("14  storvsc0         4  0-3");
	has("         23    2    2        yes          -          -");
	has(" -  hn7");
	json_decref(run_json());
	fake_bus_version(3);
	ATF_CHECK_EQ(1, run(NULL, NULL, NULL));
	ATF_CHECK_MSG(strstr(fake_messages(), "device tree") != NULL, "%s",
	    fake_messages());
}

ATF_TC(many);
ATF_TC_HEAD(many, tc)
{
	atf_tc_set_md_var(tc, "descr", "64 channels on every other of 128 "
	    "processors: the list of ranges ends in dots, -c has it all");
}
ATF_TC_BODY(many, tc)
{
	unsigned long vmbus;
	char node[64];
	int i;

	vmbus = bus();
	fake_device(vmbus, FAKE_ATTACHED, "storvsc0", "storvsc",
	    "Hyper-V SCSI", "classid=" SCSI " deviceid=" INST(1),
	    "channel=14");
	channel("dev.storvsc.0.channel.14", 0, 14, 1);
	for (i = 1; i < 64; i++) {
		snprintf(node, sizeof(node),
		    "dev.storvsc.0.channel.14.sub.%d", i);
		channel(node, 2 * i, 100 + (unsigned)i, 1);
	}
	ATF_CHECK_EQ(0, run("-c", NULL, NULL));
	has("64  0,2,4,6,8,");
	has(",...  SCSI controller\n");
	has("126    -             -        -  storvsc0:163\n");
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, table);
	ATF_TP_ADD_TC(tp, verbose);
	ATF_TP_ADD_TC(tp, processors);
	ATF_TP_ADD_TC(tp, json);
	ATF_TP_ADD_TC(tp, in_tree);
	ATF_TP_ADD_TC(tp, nothing);
	ATF_TP_ADD_TC(tp, usage);
	ATF_TP_ADD_TC(tp, vanishing);
	ATF_TP_ADD_TC(tp, changing);
	ATF_TP_ADD_TC(tp, odd);
	ATF_TP_ADD_TC(tp, many);
	return (atf_no_error());
}
