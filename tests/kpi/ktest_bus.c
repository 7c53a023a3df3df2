/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: how drivers meet devices, and what they can ask of each other.  A bus
 * (ktbus) below acpi0 has children that two drivers bid for.
 */

#include <ktest.h>

#include <sys/bus.h>
#include <sys/cpuset.h>
#include <sys/eventhandler.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>

#include <kpi.h>

/* --- A driver that is there at boot, found by identify --- */

static int boot_attached;

static void
ktboot_identify(driver_t *driver, device_t parent)
{
	if (device_find_child(parent, "ktboot", -1) == NULL)
		BUS_ADD_CHILD(parent, 0, "ktboot", 0);
}

static int
ktboot_probe(device_t dev)
{
	device_set_desc(dev, "At boot");
	return (BUS_PROBE_NOWILDCARD);
}

static int
ktboot_attach(device_t dev)
{
	boot_attached++;
	return (0);
}

static int
ktboot_detach(device_t dev)
{
	return (0);
}

static device_method_t ktboot_methods[] = {
	DEVMETHOD(device_identify,	ktboot_identify),
	DEVMETHOD(device_probe,		ktboot_probe),
	DEVMETHOD(device_attach,	ktboot_attach),
	DEVMETHOD(device_detach,	ktboot_detach),
	DEVMETHOD_END
};
static driver_t ktboot_driver = { "ktboot", ktboot_methods, 0 };
DRIVER_MODULE(ktboot, acpi, ktboot_driver, NULL, NULL);

KTEST(bus_boot_driver, "a driver with identify attaches below acpi0 at boot")
{
	device_t dev;

	KT_EQ(boot_attached, 1);
	bus_topo_lock();
	dev = devclass_get_device(devclass_find("ktboot"), 0);
	KT_CHECK(dev != NULL && device_is_attached(dev));
	KT_CHECK(strcmp(device_get_nameunit(device_get_parent(dev)),
	    "acpi0") == 0);
	bus_topo_unlock();
}

/* --- The bus --- */

enum { KTBUS_IVAR_COLOUR, KTBUS_IVAR_CONST };
__BUS_ACCESSOR(ktbus, colour, KTBUS, COLOUR, int)

static char	order[64];	/* one letter for each thing that happens */
static int	suspend_error;
static bool	nomatch_seen;
static u_int	detached_seen;

static void
note(char c)
{
	size_t n = strlen(order);

	if (n + 1 < sizeof(order)) {
		order[n] = c;
		order[n + 1] = '\0';
	}
}

static int
ktbus_probe(device_t dev)
{
	device_set_desc(dev, "Test bus");
	return (BUS_PROBE_DEFAULT);
}

static int
ktbus_attach(device_t dev)
{
	bus_identify_children(dev);
	bus_attach_children(dev);
	return (0);
}

static int
ktbus_read_ivar(device_t dev, device_t child, int which, uintptr_t *res)
{
	if (which == KTBUS_IVAR_CONST) {
		*res = 7;
		return (0);
	}
	if (which != KTBUS_IVAR_COLOUR)
		return (ENOENT);
	*res = (uintptr_t)device_get_ivars(child);
	return (0);
}

static int
ktbus_write_ivar(device_t dev, device_t child, int which, uintptr_t val)
{
	if (which != KTBUS_IVAR_COLOUR)
		return (which == KTBUS_IVAR_CONST ? EINVAL : ENOENT);
	device_set_ivars(child, (void *)val);
	return (0);
}

static int
ktbus_location(device_t dev, device_t child, struct sbuf *sb)
{
	return (sbuf_printf(sb, "slot=%ju",
	    (uintmax_t)(uintptr_t)device_get_ivars(child)));
}

static int
ktbus_pnpinfo(device_t dev, device_t child, struct sbuf *sb)
{
	return (sbuf_cat(sb, "kind=test"));
}

static void
ktbus_nomatch(device_t dev, device_t child)
{
	nomatch_seen = true;
}

static void
ktbus_child_deleted(device_t dev, device_t child)
{
	/* The name is free already. */
	KT_CHECK(device_get_nameunit(child) == NULL);
	note('x');
}

static void
ktbus_child_detached(device_t dev, device_t child)
{
	detached_seen++;
}

static device_method_t ktbus_methods[] = {
	DEVMETHOD(device_probe,		ktbus_probe),
	DEVMETHOD(device_attach,	ktbus_attach),
	DEVMETHOD(device_detach,	bus_generic_detach),
	DEVMETHOD(device_suspend,	bus_generic_suspend),
	DEVMETHOD(device_resume,	bus_generic_resume),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD(bus_read_ivar,	ktbus_read_ivar),
	DEVMETHOD(bus_write_ivar,	ktbus_write_ivar),
	DEVMETHOD(bus_child_location,	ktbus_location),
	DEVMETHOD(bus_child_pnpinfo,	ktbus_pnpinfo),
	DEVMETHOD(bus_probe_nomatch,	ktbus_nomatch),
	DEVMETHOD(bus_child_deleted,	ktbus_child_deleted),
	DEVMETHOD(bus_child_detached,	ktbus_child_detached),
	DEVMETHOD_END
};
static driver_t ktbus_driver = { "ktbus", ktbus_methods, 0 };

/* --- Two drivers for its children --- */

struct ktdev_softc {
	int	sc_attached;
	int	sc_probed;
};

static int	low_pri = BUS_PROBE_LOW_PRIORITY;
static int	attach_error, detach_error;

static int
ktlow_probe(device_t dev)
{
	struct ktdev_softc *sc = device_get_softc(dev);

	sc->sc_probed++;
	device_set_desc(dev, "Low");
	return (low_pri);
}

static int
ktdev_attach(device_t dev)
{
	struct ktdev_softc *sc = device_get_softc(dev);

	note('a' + device_get_unit(dev));
	if (attach_error != 0)
		return (attach_error);
	sc->sc_attached++;
	KT_EQ(sc->sc_attached, 1);
	return (0);
}

static int
ktdev_detach(device_t dev)
{
	note('A' + device_get_unit(dev));
	return (detach_error);
}

static int
ktdev_suspend(device_t dev)
{
	note('1' + device_get_unit(dev));
	return (device_get_unit(dev) == 0 ? suspend_error : 0);
}

static int
ktdev_resume(device_t dev)
{
	note('r');
	return (0);
}

static int
ktdev_shutdown(device_t dev)
{
	note('s');
	return (0);
}

static device_method_t ktlow_methods[] = {
	DEVMETHOD(device_probe,		ktlow_probe),
	DEVMETHOD(device_attach,	ktdev_attach),
	DEVMETHOD(device_detach,	ktdev_detach),
	DEVMETHOD_END
};
static driver_t ktlow_driver = {
	"ktlow", ktlow_methods, sizeof(struct ktdev_softc)
};

static const char high_desc[] = "High";

static int
kthigh_probe(device_t dev)
{
	device_set_desc(dev, high_desc);
	return (BUS_PROBE_DEFAULT);
}

static device_method_t kthigh_methods[] = {
	DEVMETHOD(device_probe,		kthigh_probe),
	DEVMETHOD(device_attach,	ktdev_attach),
	DEVMETHOD(device_detach,	ktdev_detach),
	DEVMETHOD(device_suspend,	ktdev_suspend),
	DEVMETHOD(device_resume,	ktdev_resume),
	DEVMETHOD(device_shutdown,	ktdev_shutdown),
	DEVMETHOD_END
};
static driver_t kthigh_driver = {
	"kthigh", kthigh_methods, sizeof(struct ktdev_softc)
};

/* A bus with n children that have no driver yet; topology locked. */
static device_t
bus_up(int n)
{
	device_t acpi, bus, child;
	int i;

	bus_topo_lock();
	acpi = devclass_get_device(devclass_find("acpi"), 0);
	KT_CHECK(acpi != NULL);
	KT_EQ(devclass_add_driver(devclass_find("acpi"), &ktbus_driver,
	    BUS_PASS_DEFAULT, NULL), 0);
	bus = BUS_ADD_CHILD(acpi, 0, "ktbus", DEVICE_UNIT_ANY);
	KT_EQ(device_probe_and_attach(bus), 0);
	for (i = 0; i < n; i++) {
		child = device_add_child(bus, NULL, DEVICE_UNIT_ANY);
		device_set_ivars(child, (void *)(uintptr_t)(i + 10));
	}
	return (bus);
}

static void
bus_down(device_t bus)
{
	devclass_t dc = devclass_find("ktbus");

	detach_error = 0;
	KT_EQ(device_delete_child(device_get_parent(bus), bus), 0);
	(void)devclass_delete_driver(dc, &kthigh_driver);
	(void)devclass_delete_driver(dc, &ktlow_driver);
	KT_EQ(devclass_delete_driver(devclass_find("acpi"), &ktbus_driver),
	    0);
	bus_topo_unlock();
}

static void
add(driver_t *driver)
{
	KT_EQ(devclass_add_driver(devclass_find("ktbus"), driver,
	    BUS_PASS_DEFAULT, NULL), 0);
}

KTEST(bus_auction, "the best bid wins, whatever the order of the drivers")
{
	device_t bus, dev;

	bus = bus_up(1);
	low_pri = BUS_PROBE_LOW_PRIORITY;
	add(&kthigh_driver);
	dev = devclass_get_device(devclass_find("kthigh"), 0);
	KT_CHECK(dev != NULL && device_is_attached(dev));
	add(&ktlow_driver);
	dev = device_add_child(bus, NULL, DEVICE_UNIT_ANY);
	KT_EQ(device_probe_and_attach(dev), 0);
	KT_CHECK(strcmp(device_get_nameunit(dev), "kthigh1") == 0);
	/* Not a copy: who gives what does not last shows it. */
	KT_CHECK(device_get_desc(dev) == high_desc);
	/* A bid of 0 settles it. */
	low_pri = BUS_PROBE_SPECIFIC;
	dev = device_add_child(bus, NULL, DEVICE_UNIT_ANY);
	KT_EQ(device_probe_and_attach(dev), 0);
	KT_CHECK(strcmp(device_get_nameunit(dev), "ktlow0") == 0);
	bus_down(bus);
}

KTEST(bus_probe_softc, "who alone bids finds its softc as it left it")
{
	struct ktdev_softc *sc;
	device_t bus;

	bus = bus_up(1);
	low_pri = BUS_PROBE_LOW_PRIORITY;
	add(&ktlow_driver);
	sc = device_get_softc(devclass_get_device(devclass_find("ktlow"), 0));
	KT_EQ(sc->sc_probed, 2);
	bus_down(bus);
}

static int	chained;

static int
chained_handler(module_t mod, int what, void *arg)
{
	chained++;
	return (EINVAL);
}

KTEST(bus_module_events, "what a driver's module handler is asked")
{
	struct driver_module_data dmd = {
		.dmd_chainevh = chained_handler, .dmd_busname = "ktbus",
		.dmd_driver = &ktlow_driver, .dmd_pass = BUS_PASS_DEFAULT,
	};

	bus_topo_lock();
	KT_EQ(driver_module_handler(NULL, MOD_SHUTDOWN, &dmd), EOPNOTSUPP);
	KT_EQ(chained, 0);
	/* Its answer to MOD_LOAD is not heeded. */
	KT_EQ(driver_module_handler(NULL, MOD_LOAD, &dmd), 0);
	KT_EQ(chained, 1);
	KT_EQ(driver_module_handler(NULL, MOD_UNLOAD, &dmd), EINVAL);
	KT_EQ(chained, 2);
	bus_topo_unlock();
}

KTEST(bus_nowildcard, "a NOWILDCARD bid gets only devices named for it")
{
	device_t bus, dev;

	bus = bus_up(0);
	low_pri = BUS_PROBE_NOWILDCARD;
	add(&ktlow_driver);
	dev = device_add_child(bus, NULL, DEVICE_UNIT_ANY);
	KT_EQ(device_probe_and_attach(dev), ENXIO);
	KT_CHECK(nomatch_seen);
	dev = device_add_child(bus, "ktlow", DEVICE_UNIT_ANY);
	KT_EQ(device_probe_and_attach(dev), 0);
	KT_CHECK(device_is_attached(dev));
	bus_down(bus);
}

KTEST(bus_late_driver, "devices wait for a driver that is loaded later")
{
	device_t bus, dev;

	bus = bus_up(2);
	bus_attach_children(bus);
	KT_CHECK(devclass_find("kthigh") == NULL ||
	    devclass_get_count(devclass_find("kthigh")) == 0);
	add(&kthigh_driver);
	KT_EQ(devclass_get_count(devclass_find("kthigh")), 2);
	dev = devclass_get_device(devclass_find("kthigh"), 1);
	KT_EQ(ktbus_get_colour(dev), 11);
	ktbus_set_colour(dev, 5);
	KT_EQ(ktbus_get_colour(dev), 5);
	/* Without its driver the device is there, but nobody's. */
	KT_EQ(devclass_delete_driver(devclass_find("ktbus"), &kthigh_driver),
	    0);
	KT_EQ(device_get_state(dev), DS_NOTPRESENT);
	KT_CHECK(device_get_driver(dev) == NULL);
	KT_CHECK(device_get_nameunit(dev) == NULL);
	bus_down(bus);
}

KTEST(bus_attach_fails, "a failed attach leaves the device free")
{
	device_t bus, *list;
	int n;

	bus = bus_up(1);
	attach_error = ENOMEM;
	add(&kthigh_driver);
	KT_EQ(device_get_children(bus, &list, &n), 0);
	KT_EQ(n, 1);
	KT_EQ(device_get_state(list[0]), DS_NOTPRESENT);
	KT_CHECK(device_get_softc(list[0]) == NULL);
	KT_EQ(detached_seen, 1);
	attach_error = 0;
	KT_EQ(device_probe_and_attach(list[0]), 0);
	free(list, M_TEMP);
	bus_down(bus);
}

KTEST(bus_detach_order, "children go in reverse, and one may refuse")
{
	device_t bus;

	bus = bus_up(3);
	add(&kthigh_driver);
	KT_CHECK(strcmp(order, "abc") == 0);
	order[0] = '\0';
	detach_error = EBUSY;
	KT_EQ(bus_detach_children(bus), EBUSY);
	KT_CHECK(strcmp(order, "C") == 0);
	detach_error = 0;
	order[0] = '\0';
	KT_EQ(bus_detach_children(bus), 0);
	KT_CHECK(strcmp(order, "CBA") == 0);
	/* They are still children until deleted. */
	bus_attach_children(bus);
	order[0] = '\0';
	KT_EQ(bus_generic_detach(bus), 0);
	KT_CHECK(strcmp(order, "CBAxxx") == 0);
	bus_down(bus);
}

KTEST(bus_busy, "a busy device keeps itself and its bus")
{
	device_t bus, dev;

	bus = bus_up(1);
	add(&kthigh_driver);
	dev = devclass_get_device(devclass_find("kthigh"), 0);
	device_busy(dev);
	KT_EQ(device_detach(dev), EBUSY);
	KT_EQ(device_detach(bus), EBUSY);
	KT_EQ(devclass_delete_driver(devclass_find("ktbus"), &kthigh_driver),
	    EBUSY);
	device_unbusy(dev);
	KT_EQ(device_detach(dev), 0);
	bus_down(bus);
}

KTEST_PANICS(bus_unbusy, "device_unbusy without device_busy", "is not busy")
{
	device_t bus;

	bus = bus_up(0);
	device_unbusy(bus);
}

KTEST(bus_suspend, "a refused suspend wakes those that slept")
{
	device_t bus;

	bus = bus_up(3);
	add(&kthigh_driver);
	order[0] = '\0';
	KT_EQ(DEVICE_SUSPEND(bus), 0);
	KT_CHECK(device_is_suspended(
	    devclass_get_device(devclass_find("kthigh"), 2)));
	KT_EQ(DEVICE_RESUME(bus), 0);
	KT_CHECK(strcmp(order, "321rrr") == 0);
	order[0] = '\0';
	suspend_error = EBUSY;
	KT_EQ(DEVICE_SUSPEND(bus), EBUSY);
	KT_CHECK(strcmp(order, "321rr") == 0);
	order[0] = '\0';
	KT_EQ(DEVICE_SHUTDOWN(bus), 0);
	KT_CHECK(strcmp(order, "sss") == 0);
	bus_down(bus);
}

static void
last_word(void *arg, int howto)
{
	note('f');
}

KTEST(bus_shutdown, "a halt shuts devices down, the last first")
{
	eventhandler_tag first, last;
	device_t bus;

	bus = bus_up(2);
	add(&kthigh_driver);
	bus_topo_unlock();
	first = EVENTHANDLER_REGISTER(shutdown_final, last_word, NULL,
	    SHUTDOWN_PRI_FIRST);
	last = EVENTHANDLER_REGISTER(shutdown_final, last_word, NULL,
	    SHUTDOWN_PRI_LAST);
	order[0] = '\0';
	kpi_halt(0);
	KT_CHECK(strcmp(order, "fssf") == 0);
	kpi_halt(1);
	KT_CHECK(strcmp(order, "fssfff") == 0);
	EVENTHANDLER_DEREGISTER(shutdown_final, first);
	EVENTHANDLER_DEREGISTER(shutdown_final, last);
	bus_topo_lock();
	bus_down(bus);
}

KTEST(bus_order, "device_add_child_ordered: by order, then by age")
{
	device_t bus, *list, late, first, mid;
	int n;

	bus = bus_up(0);
	late = device_add_child_ordered(bus, 9, NULL, DEVICE_UNIT_ANY);
	first = device_add_child_ordered(bus, 1, NULL, DEVICE_UNIT_ANY);
	mid = device_add_child_ordered(bus, 1, NULL, DEVICE_UNIT_ANY);
	KT_EQ(device_get_children(bus, &list, &n), 0);
	KT_CHECK(n == 3 && list[0] == first && list[1] == mid &&
	    list[2] == late);
	free(list, M_TEMP);
	bus_down(bus);
}

KTEST(bus_units, "units: fixed, next free, hinted away, taken")
{
	device_t bus, dev;

	bus = bus_up(0);
	dev = device_add_child(bus, "ktlow", 2);
	KT_EQ(device_get_unit(dev), 2);
	KT_CHECK(device_add_child(bus, "ktlow", 2) == NULL);
	KT_EQ(kern_setenv("hint.ktlow.0.at", "isa0"), 0);
	dev = device_add_child(bus, "ktlow", DEVICE_UNIT_ANY);
	KT_EQ(device_get_unit(dev), 1);
	dev = device_add_child(bus, "ktlow", DEVICE_UNIT_ANY);
	KT_EQ(device_get_unit(dev), 3);
	KT_EQ(devclass_get_maxunit(devclass_find("ktlow")), 4);
	KT_CHECK(device_find_child(bus, "ktlow", 2) != NULL);
	KT_CHECK(device_find_child(bus, "ktlow", 0) == NULL);
	KT_EQ(kern_unsetenv("hint.ktlow.0.at"), 0);
	bus_down(bus);
}

KTEST(bus_hint_disabled, "hint.NAME.UNIT.disabled keeps a driver away")
{
	device_t bus, dev;

	bus = bus_up(0);
	add(&kthigh_driver);
	KT_EQ(kern_setenv("hint.kthigh.0.disabled", "1"), 0);
	dev = device_add_child(bus, "kthigh", 0);
	KT_CHECK(device_probe_and_attach(dev) != 0);
	KT_CHECK(!device_is_attached(dev));
	KT_CHECK(device_get_driver(dev) == NULL);
	KT_EQ(kern_unsetenv("hint.kthigh.0.disabled"), 0);
	device_enable(dev);
	KT_EQ(device_probe_and_attach(dev), 0);
	bus_down(bus);
}

static void
sysctl_is(const char *name, const char *want)
{
	char buf[128];

	KT_EQ(kpi_sysctl_get(name, buf, sizeof(buf)), 0);
	if (strcmp(buf, want) != 0)
		printf("%s: \"%s\", not \"%s\"\n", name, buf, want);
	KT_CHECK(strcmp(buf, want) == 0);
}

KTEST(bus_sysctl, "dev.NAME.UNIT shows the device while it is attached")
{
	device_t bus, dev;
	char buf[16];

	bus = bus_up(1);
	add(&kthigh_driver);
	sysctl_is("dev.kthigh.0.%desc", "High");
	sysctl_is("dev.kthigh.0.%driver", "kthigh");
	sysctl_is("dev.kthigh.0.%location", "slot=10");
	sysctl_is("dev.kthigh.0.%pnpinfo", "kind=test");
	sysctl_is("dev.kthigh.0.%parent", "ktbus0");
	dev = devclass_get_device(devclass_find("kthigh"), 0);
	SYSCTL_ADD_INT(device_get_sysctl_ctx(dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(dev)), OID_AUTO, "x",
	    CTLFLAG_RD, SYSCTL_NULL_INT_PTR, 42, "");
	sysctl_is("dev.kthigh.0.x", "42");
	KT_EQ(device_detach(dev), 0);
	KT_EQ(kpi_sysctl_get("dev.kthigh.0.x", buf, sizeof(buf)), ENOENT);
	KT_EQ(kpi_sysctl_get("dev.kthigh.0.%desc", buf, sizeof(buf)), ENOENT);
	bus_down(bus);
}

static char	devinfo[1024];

static void
devinfo_line(void *arg, const char *line)
{
	strlcat(devinfo, line, sizeof(devinfo));
	strlcat(devinfo, "\n", sizeof(devinfo));
}

KTEST(bus_devinfo, "the device tree from outside")
{
	device_t bus;

	bus = bus_up(1);
	add(&kthigh_driver);
	kpi_devinfo(devinfo_line, NULL);
	KT_CHECK(strstr(devinfo, "nexus0\n  acpi0\n") == devinfo);
	KT_CHECK(strstr(devinfo, "    ktbus0\n      kthigh0 pnpinfo kind=test "
	    "at slot=10\n") != NULL);
	bus_down(bus);
}

static void
devctl_is(const char *want)
{
	char line[128];

	while (kpi_devctl_read(line, sizeof(line)) == 0)
		if (strcmp(line, want) == 0)
			return;
	printf("devctl: no \"%s\"\n", want);
	KT_CHECK(!"devctl line");
}

KTEST(bus_devctl, "devd's view: nomatch, attach, detach and notes")
{
	device_t bus, dev;

	bus = bus_up(1);
	bus_attach_children(bus);
	devctl_is("? at slot=10 kind=test on ktbus0");
	add(&kthigh_driver);
	devctl_is("+kthigh0 at slot=10 kind=test on ktbus0");
	devctl_notify("KT", "sub", "TYPE", "key=1");
	devctl_is("!system=KT subsystem=sub type=TYPE key=1");
	dev = devclass_get_device(devclass_find("kthigh"), 0);
	KT_EQ(device_detach(dev), 0);
	devctl_is("-kthigh0 at slot=10 kind=test on ktbus0");
	bus_down(bus);
}

static int	events;

static void
on_attach(void *arg, device_t dev)
{
	events++;
}

static void
on_detach(void *arg, device_t dev, enum evhdev_detach what)
{
	events += what == EVHDEV_DETACH_FAILED ? 100 : 10;
}

KTEST(bus_events, "event handlers of attach and detach")
{
	eventhandler_tag a, d;
	device_t bus, dev;

	a = EVENTHANDLER_REGISTER(device_attach, on_attach, NULL, 0);
	d = EVENTHANDLER_REGISTER(device_detach, on_detach, NULL, 0);
	bus = bus_up(1);
	KT_EQ(events, 1);
	add(&kthigh_driver);
	KT_EQ(events, 2);
	dev = devclass_get_device(devclass_find("kthigh"), 0);
	detach_error = EBUSY;
	KT_EQ(device_detach(dev), EBUSY);
	KT_EQ(events, 112);
	detach_error = 0;
	KT_EQ(device_detach(dev), 0);
	KT_EQ(events, 132);
	EVENTHANDLER_DEREGISTER(device_attach, a);
	EVENTHANDLER_DEREGISTER(device_detach, d);
	bus_down(bus);
}

KTEST_PANICS(bus_unlocked, "the tree is not touched without its lock",
    "Giant")
{
	device_add_child(root_bus, NULL, DEVICE_UNIT_ANY);
}

KTEST(bus_root_answers, "questions that no bus answers reach the root")
{
	device_t bus;
	cpuset_t set;
	int rid = 0, domain;

	bus = bus_up(0);
	KT_EQ(bus_get_cpus(bus, INTR_CPUS, sizeof(set), &set), 0);
	KT_EQ(CPU_COUNT(&set), 4);
	KT_EQ(bus_get_cpus(bus, INTR_CPUS, 1, &set), EINVAL);
	KT_CHECK(bus_get_dma_tag(bus) == NULL);
	KT_EQ(bus_get_domain(bus, &domain), ENOENT);
	KT_CHECK(bus_child_present(bus) != 0);
	KT_CHECK(bus_alloc_resource_any(bus, 99, &rid, 0) == NULL);
	bus_down(bus);
}
