/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The bus device.  Attach is a list of steps, each noted when done; detach
 * undoes those that are noted, in reverse, and so serves a failed attach as
 * well.  Children are class drivers' devices; their channels are entered in
 * vmbus_offer.c.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/proc.h>
#include <sys/reboot.h>
#include <sys/sbuf.h>
#include <sys/smp.h>

#include <dev/hyperv/vmbus/hyperv_smp.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

#include "bus_if.h"
#include "device_if.h"

MALLOC_DEFINE(M_VMBUS, "vmbus", "Hyper-V VMBus channels and rings");

struct vmbus_softc * volatile vmbus_bus;

/* What vmbus_bus_state() says, as far as this driver's own device goes. */
static volatile u_int vmbus_state = VMBUS_BUS_NONE;

/* An enum vmbus_bus_state, as far as this driver's own device goes. */
static volatile u_int vmbus_state;

#define	VMBUS_STEP_INIT		0x0001
#define	VMBUS_STEP_HYPERV	0x0002
#define	VMBUS_STEP_VECTOR	0x0004
#define	VMBUS_STEP_SYNIC	0x0008
#define	VMBUS_STEP_CONNECT	0x0010

/* Ids that both known guests begin with; any would do (6.2). */
#define	VMBUS_GPADL_FIRST	0xe1e10

void *
vmbus_page_alloc(void)
{
	void *page;

	page = malloc(PAGE_SIZE, M_VMBUS, M_NOWAIT | M_ZERO);
	KASSERT(((uintptr_t)page & PAGE_MASK) == 0, ("%s: %p", __func__,
	    page));
	return (page);
}

void
vmbus_page_free(void *page)
{

	free(page, M_VMBUS);
}

/*
 * The last word: disks are quiet by now.  A stopped machine polls; otherwise
 * the usual way works still.
 */
static void
vmbus_shutdown_final(void *arg, int howto __unused)
{
	struct vmbus_softc *sc = arg;

	if (SCHEDULER_STOPPED())
		vmbus_ctl_disconnect_poll(sc);
	else if (sc->sc_version != 0)
		vmbus_ctl_disconnect(sc);
}

static int
vmbus_init(struct vmbus_softc *sc)
{

	mtx_init(&sc->sc_lock, "vmbus", NULL, MTX_DEF);
	mtx_init(&sc->sc_msgq_mtx, "vmbus messages", NULL, MTX_SPIN);
	sx_init(&sc->sc_post_sx, "vmbus post");
	TAILQ_INIT(&sc->sc_reqs);
	TAILQ_INIT(&sc->sc_gpadls);
	TAILQ_INIT(&sc->sc_primaries);
	TAILQ_INIT(&sc->sc_devq);
	TASK_INIT(&sc->sc_msgtask, 0, vmbus_msg_task, sc);
	sc->sc_gpadl_next = VMBUS_GPADL_FIRST;
	sc->sc_openid_next = 1;
	sc->sc_msgconn = VMBUS_CONN_MESSAGE;
	sc->sc_devheld = true;
	sc->sc_vector = -1;
	sc->sc_steps |= VMBUS_STEP_INIT;
	return (0);
}

static int
vmbus_alloc_pages(struct vmbus_softc *sc)
{

	sc->sc_post = vmbus_page_alloc();
	sc->sc_intrpage = vmbus_page_alloc();
	sc->sc_mnf_rx = vmbus_page_alloc();
	sc->sc_mnf_tx = vmbus_page_alloc();
	if (sc->sc_post == NULL || sc->sc_intrpage == NULL ||
	    sc->sc_mnf_rx == NULL || sc->sc_mnf_tx == NULL)
		return (ENOMEM);
	return (0);
}

static int
vmbus_alloc_threads(struct vmbus_softc *sc)
{
	int error;

	sc->sc_msgtq = taskqueue_create_fast("vmbus messages", M_NOWAIT,
	    taskqueue_thread_enqueue, &sc->sc_msgtq);
	sc->sc_devtq = taskqueue_create("vmbus devices", M_NOWAIT,
	    taskqueue_thread_enqueue, &sc->sc_devtq);
	if (sc->sc_msgtq == NULL || sc->sc_devtq == NULL)
		return (ENOMEM);
	TIMEOUT_TASK_INIT(sc->sc_devtq, &sc->sc_devtask, 0, vmbus_dev_task,
	    sc);
	error = taskqueue_start_threads(&sc->sc_msgtq, 1, PI_NET, "hvmsg");
	if (error == 0)
		error = taskqueue_start_threads(&sc->sc_devtq, 1, PWAIT,
		    "hvdev");
	return (error);
}

static int
vmbus_hyperv(struct vmbus_softc *sc)
{
	int error;

	sc->sc_autoeoi = (sc->sc_info.hi_recommend &
	    HYPERV_RECOMMEND_NOAUTOEOI) == 0;
	error = hyperv_attach(&sc->sc_info);
	if (error != 0) {
		device_printf(sc->sc_dev, "no hypercall page: %d\n", error);
		return (error);
	}
	sc->sc_steps |= VMBUS_STEP_HYPERV;
	hyperv_crash_attach(&sc->sc_info);
	return (0);
}

static int
vmbus_interrupts(struct vmbus_softc *sc)
{
	int error;

	error = vmbus_md_intr_alloc(&sc->sc_vector);
	if (error != 0) {
		device_printf(sc->sc_dev, "no interrupt vector\n");
		return (error);
	}
	sc->sc_steps |= VMBUS_STEP_VECTOR;
	vmbus_et_alloc(sc);
	vmbus_bus = sc;
	vmbus_synic_enable(sc);
	sc->sc_steps |= VMBUS_STEP_SYNIC;
	return (0);
}

static int
vmbus_connect(struct vmbus_softc *sc)
{
	int error;

	error = vmbus_ctl_connect(sc);
	if (error != 0)
		return (error);
	sc->sc_steps |= VMBUS_STEP_CONNECT;
	device_printf(sc->sc_dev, "version %s\n",
	    vmbus_ctl_version_name(sc->sc_version));
	sc->sc_shutdown = EVENTHANDLER_REGISTER(shutdown_final,
	    vmbus_shutdown_final, sc, SHUTDOWN_PRI_FIRST);
	return (0);
}

/* Without an answer what the host was given stays the host's. */
static int
vmbus_disconnect(struct vmbus_softc *sc)
{
	int error;

	if (sc->sc_shutdown != NULL)
		EVENTHANDLER_DEREGISTER(shutdown_final, sc->sc_shutdown);
	sc->sc_shutdown = NULL;
	error = vmbus_ctl_disconnect(sc);
	taskqueue_drain(sc->sc_msgtq, &sc->sc_msgtask);
	vmbus_gpadl_forget(sc, !sc->sc_shared);
	return (error);
}

/*
 * Undoes what attach has done.  Nothing here can fail; children are gone.
 */
static void
vmbus_undo(struct vmbus_softc *sc)
{

	atomic_store_int(&vmbus_state, VMBUS_BUS_NONE);
	if ((sc->sc_steps & VMBUS_STEP_CONNECT) != 0)
		(void)vmbus_disconnect(sc);
	if (sc->sc_shared) {
		/* It may write to these: leaked rather than used again. */
		sc->sc_mnf_tx = sc->sc_mnf_rx = NULL;
		sc->sc_intrpage = NULL;
	}
	if ((sc->sc_steps & VMBUS_STEP_SYNIC) != 0)
		vmbus_synic_disable(sc);
	/*
	 * An interrupt that was on its way when its source was masked is taken
	 * after that.  None finds us from here on, and who did has ended.
	 */
	vmbus_bus = NULL;
	if ((sc->sc_steps & VMBUS_STEP_SYNIC) != 0)
		vmbus_synic_quiesce_all();
	if ((sc->sc_steps & VMBUS_STEP_VECTOR) != 0) {
		vmbus_et_free(sc);
		vmbus_md_intr_free(sc->sc_vector);
	}
	if (sc->sc_msgtq != NULL)
		taskqueue_free(sc->sc_msgtq);
	if (sc->sc_devtq != NULL)
		taskqueue_free(sc->sc_devtq);
	if ((sc->sc_steps & VMBUS_STEP_INIT) != 0)
		vmbus_offer_free_all(sc);
	vmbus_synic_free(sc);
	hyperv_smp_free();
	if ((sc->sc_steps & VMBUS_STEP_HYPERV) != 0) {
		hyperv_crash_detach();
		hyperv_detach();
	}
	vmbus_page_free(sc->sc_mnf_tx);
	vmbus_page_free(sc->sc_mnf_rx);
	vmbus_page_free(sc->sc_intrpage);
	vmbus_page_free(sc->sc_post);
	if ((sc->sc_steps & VMBUS_STEP_INIT) != 0) {
		sx_destroy(&sc->sc_post_sx);
		mtx_destroy(&sc->sc_msgq_mtx);
		mtx_destroy(&sc->sc_lock);
	}
	sc->sc_steps = 0;
}

/* What class drivers left open. */
static void
vmbus_close_all(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch;
	u_int id;

	/* Offers may still come; nothing goes while work is held. */
	for (id = 1; id <= VMBUS_CHANID_MAX; id++) {
		VMBUS_LOCK(sc);
		ch = sc->sc_chans[id];
		VMBUS_UNLOCK(sc);
		if (ch != NULL && vmbus_ch_is_primary(ch))
			(void)vmbus_ch_close(ch);
	}
}

/* Hyper-V with everything that VMBus needs. */
static bool
vmbus_host(struct hyperv_info *hi)
{

	return (hyperv_identify(hi) && (hi->hi_priv & HYPERV_PRIV_SYNIC) != 0);
}

/*
 * In an isolated partition the host must not see our memory, and we do not know
 * how to show it what it has to see: each side would read what the other has
 * never written.  Asked more than once; said once.
 */
static bool
vmbus_allowed(const struct hyperv_info *hi)
{
	static bool said;

	if (hi->hi_isolation == HYPERV_ISOLATION_NONE ||
	    vmbus_allow_isolated != 0)
		return (true);
	if (!said)
		printf("hv_vmbus: isolated partition, %s%s: no memory is "
		    "shared with the host; hw.vmbus.allow_isolated=1 "
		    "overrides\n", hyperv_isolation_name(hi),
		    hi->hi_paravisor ? " with paravisor" : "");
	said = true;
	return (false);
}

/*
 * A driver that is compiled into the kernel has the bus when this module comes
 * after it did; at boot this one is first, for ACPI asks before PCI is there.
 *
 * The child stays when the module goes, and is found when it comes again: ACPI
 * does not free what it keeps with a child.
 */
static void
vmbus_identify(driver_t *driver, device_t parent)
{
	struct hyperv_info hi;
	device_t other;

	if (!vmbus_host(&hi) || !vmbus_allowed(&hi) ||
	    device_find_child(parent, "vmbus", -1) != NULL)
		return;
	other = devclass_get_device(devclass_find("vmbus"), 0);
	if (other != NULL && device_is_attached(other)) {
		printf("hv_vmbus: %s has another driver; load this module at "
		    "boot, by loader.conf(5)\n", device_get_nameunit(other));
		return;
	}
	(void)BUS_ADD_CHILD(parent, 0, "vmbus", -1);
}

static int
vmbus_probe(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);

	/* A partition has one bus, and its driver may be in the kernel. */
	if (vmbus_bus != NULL || device_get_unit(dev) != 0)
		return (ENXIO);
	if (!vmbus_host(&sc->sc_info) || !vmbus_allowed(&sc->sc_info))
		return (ENXIO);
	device_set_desc(dev, "Hyper-V VMBus");
	return (BUS_PROBE_DEFAULT);
}

static int
vmbus_attach(device_t dev)
{
	static int (* const steps[])(struct vmbus_softc *) = {
		vmbus_init, vmbus_alloc_pages, vmbus_synic_alloc,
		vmbus_alloc_threads, vmbus_hyperv, vmbus_interrupts,
		vmbus_connect, vmbus_ctl_request_offers,
	};
	struct vmbus_softc *sc = device_get_softc(dev);
	u_int i;
	int error;

	memset(sc, 0, sizeof(*sc));
	sc->sc_dev = dev;
	if (!vmbus_host(&sc->sc_info))
		return (ENXIO);
	device_printf(dev, "Hyper-V %u.%u build %u\n", sc->sc_info.hi_major,
	    sc->sc_info.hi_minor, sc->sc_info.hi_build);
	if (sc->sc_info.hi_nesting != 0)
		device_printf(dev, "nested, %u hypervisor%s below\n",
		    sc->sc_info.hi_nesting,
		    sc->sc_info.hi_nesting == 1 ? "" : "s");
	atomic_store_int(&vmbus_state, VMBUS_BUS_STARTING);
	for (i = 0; i < nitems(steps); i++) {
		error = steps[i](sc);
		if (error != 0) {
			vmbus_undo(sc);
			return (error);
		}
	}
	hyperv_smp_alloc(&sc->sc_info);
	vmbus_sysctl_attach(sc);
	vmbus_et_attach(sc);
	hyperv_smp_start();
	/* What is there at boot is attached before boot goes on. */
	vmbus_dev_run(sc);
	atomic_store_int(&vmbus_state, VMBUS_BUS_READY);
	vmbus_dev_hold(sc, false);
	return (0);
}

/*
 * Waiting drops the topology lock, so devctl(8) and the unloading of the module
 * can both come here: the second is told to try again.
 */
static int
vmbus_detach(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	int error;

	if (sc->sc_detaching)
		return (EBUSY);
	sc->sc_detaching = true;
	/* First, for this alone depends on how busy the machine is. */
	error = hyperv_smp_stop();
	if (error != 0) {
		sc->sc_detaching = false;
		return (error);
	}
	vmbus_dev_hold(sc, true);
	error = bus_generic_detach(dev);
	if (error == 0)
		error = device_delete_children(dev);
	if (error == 0)
		error = vmbus_et_detach(sc);
	if (error != 0) {
		vmbus_dev_hold(sc, false);
		hyperv_smp_start();
		sc->sc_detaching = false;
		return (error);
	}
	vmbus_close_all(sc);
	vmbus_sysctl_detach(sc);
	vmbus_undo(sc);
	return (0);
}

/*
 * Children close their channels in their own suspend methods and open them
 * again in resume; in between the host knows nothing of us.
 */
static int
vmbus_suspend(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	int error;

	error = vmbus_et_detach(sc);
	if (error != 0)
		return (error);
	error = bus_generic_suspend(dev);
	if (error != 0) {
		vmbus_et_resume(sc);
		return (error);
	}
	vmbus_dev_hold(sc, true);
	vmbus_close_all(sc);
	(void)vmbus_disconnect(sc);
	sc->sc_steps &= ~VMBUS_STEP_CONNECT;
	vmbus_synic_disable(sc);
	sc->sc_steps &= ~VMBUS_STEP_SYNIC;
	vmbus_offer_suspend(sc);
	hyperv_smp_pause();
	hyperv_crash_detach();
	hyperv_detach();
	sc->sc_steps &= ~VMBUS_STEP_HYPERV;
	return (0);
}

static int
vmbus_resume(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	int error;

	error = vmbus_hyperv(sc);
	if (error == 0) {
		vmbus_synic_enable(sc);
		sc->sc_steps |= VMBUS_STEP_SYNIC;
		hyperv_smp_resume();
		vmbus_et_resume(sc);
		sc->sc_resuming = true;
		error = vmbus_connect(sc);
	}
	if (error == 0)
		error = vmbus_ctl_request_offers(sc);
	sc->sc_resuming = false;
	/* Without a host every device is gone. */
	vmbus_offer_resumed(sc);
	bus_generic_resume(dev);
	vmbus_dev_hold(sc, false);
	return (error);
}

/*
 * Children come from offers alone.  Drivers are not asked to identify any:
 * those of another bus of this name would add theirs.
 */
static void
vmbus_driver_added(device_t dev, driver_t *driver)
{
	device_t *children;
	int i, n;

	if (device_get_children(dev, &children, &n) != 0)
		return;
	for (i = 0; i < n; i++) {
		if (device_get_state(children[i]) == DS_NOTPRESENT)
			(void)device_probe_and_attach(children[i]);
	}
	free(children, M_TEMP);
}

/*
 * A child's channel, NULL if it has none.  It is looked up, and not the child's
 * ivars: drivers in the kernel that belong to another bus of this name are
 * asked to probe our children as well, and would take ivars for a channel of
 * theirs.
 */
static struct vmbus_channel *
vmbus_child_channel(device_t dev, device_t child)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	struct vmbus_channel *ch;

	VMBUS_LOCK(sc);
	TAILQ_FOREACH(ch, &sc->sc_primaries, ch_link) {
		if (ch->ch_dev == child)
			break;
	}
	VMBUS_UNLOCK(sc);
	return (ch);
}

static int
vmbus_read_ivar(device_t dev, device_t child, int index, uintptr_t *result)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	struct vmbus_channel *ch = vmbus_child_channel(dev, child);

	if (ch == NULL)
		return (ENOENT);
	switch (index) {
	case VMBUS_IVAR_CHANNEL:
		*result = (uintptr_t)ch;
		return (0);
	case VMBUS_IVAR_TYPE:
		*result = (uintptr_t)&ch->ch_type;
		return (0);
	case VMBUS_IVAR_INSTANCE:
		*result = (uintptr_t)&ch->ch_instance;
		return (0);
	case VMBUS_IVAR_VERSION:
		*result = sc->sc_version;
		return (0);
	default:
		return (ENOENT);
	}
}

/* What devmatch(8) and devd(8) look at. */
static int
vmbus_child_pnpinfo(device_t dev, device_t child, struct sbuf *sb)
{
	struct vmbus_channel *ch = vmbus_child_channel(dev, child);
	char instance[HYPERV_GUID_STRLEN], type[HYPERV_GUID_STRLEN];

	if (ch == NULL)
		return (0);
	hyperv_guid_snprintf(type, sizeof(type), &ch->ch_type);
	hyperv_guid_snprintf(instance, sizeof(instance), &ch->ch_instance);
	sbuf_printf(sb, "classid=%s deviceid=%s", type, instance);
	return (0);
}

static int
vmbus_child_location(device_t dev, device_t child, struct sbuf *sb)
{
	struct vmbus_channel *ch = vmbus_child_channel(dev, child);

	if (ch != NULL)
		sbuf_printf(sb, "channel=%u", ch->ch_id);
	return (0);
}

/* Anybody may delete a device, devctl(8) for one. */
static void
vmbus_child_deleted(device_t dev, device_t child)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	struct vmbus_channel *ch = vmbus_child_channel(dev, child);

	if (ch == NULL)
		return;
	VMBUS_LOCK(sc);
	ch->ch_dev = NULL;
	VMBUS_UNLOCK(sc);
}

static device_method_t vmbus_methods[] = {
	DEVMETHOD(device_identify,	vmbus_identify),
	DEVMETHOD(device_probe,		vmbus_probe),
	DEVMETHOD(device_attach,	vmbus_attach),
	DEVMETHOD(device_detach,	vmbus_detach),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(device_suspend,	vmbus_suspend),
	DEVMETHOD(device_resume,	vmbus_resume),

	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD(bus_print_child,	bus_generic_print_child),
	DEVMETHOD(bus_driver_added,	vmbus_driver_added),
	DEVMETHOD(bus_read_ivar,	vmbus_read_ivar),
	DEVMETHOD(bus_child_pnpinfo,	vmbus_child_pnpinfo),
	DEVMETHOD(bus_child_location,	vmbus_child_location),
	DEVMETHOD(bus_child_deleted,	vmbus_child_deleted),

	DEVMETHOD_END
};

static driver_t vmbus_driver = {
	"vmbus",
	vmbus_methods,
	sizeof(struct vmbus_softc)
};

bool
vmbus_owns(device_t dev)
{

	return (device_get_driver(device_get_parent(dev)) == &vmbus_driver);
}

/*
 * Whoever asks cannot take the topology lock.  Devices of this class come and
 * go with the loading of a bus driver only; there is never more than one that
 * attaches.
 */
enum vmbus_bus_state
vmbus_bus_state(void)
{
	device_t dev;
	u_int state;

	state = atomic_load_int(&vmbus_state);
	if (state != VMBUS_BUS_NONE)
		return (state);
	dev = devclass_get_device(devclass_find(vmbus_driver.name), 0);
	if (dev != NULL && device_is_attached(dev) &&
	    device_get_driver(dev) != &vmbus_driver)
		return (VMBUS_BUS_OTHER);
	return (VMBUS_BUS_NONE);
}

/*
 * The module is not named "vmbus": a kernel that has a bus driver compiled in
 * has a module of that name.
 */
DRIVER_MODULE(hv_vmbus, acpi, vmbus_driver, NULL, NULL);
MODULE_VERSION(hv_vmbus, 1);
