/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic keyboard: the device and its channel.  The host sends keys as
 * they go down and up; what they mean, and who reads them, is the kernel's
 * keyboards' business (hv_kbd_sw.c).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/module.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/input/hv_kbd_reg.h>
#include <dev/hyperv/input/hv_kbd_var.h>

MALLOC_DEFINE(M_HVKBD, "hvkbd", "Hyper-V keyboard");

#define	HV_KBD_RING_SIZE	(4 * PAGE_SIZE)
#define	HV_KBD_TIMEOUT		(5 * SBT_1S)
#define	HV_KBD_XID		1

static const struct hyperv_guid hv_kbd_guid = HYPERV_GUID(0xf912ad6d, 0x2b17,
    0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84);

static device_detach_t hv_kbd_detach;

/* With kb_mtx, or alone. */
static void
hv_kbd_bad(struct hv_kbd_softc *kb, const char *what, uint64_t value)
{

	kb->kb_bad++;
	if (kb->kb_bad_said)
		return;
	kb->kb_bad_said = true;
	device_printf(kb->kb_dev, "%s (%#jx) from the host, further ones are "
	    "only counted\n", what, (uintmax_t)value);
}

/* --- Packets; with kb_mtx, or alone --- */

static void
hv_kbd_response(struct hv_kbd_softc *kb, const struct hv_kbd_response *kp)
{

	if (kb->kb_state != HV_KBD_ASKED) {
		hv_kbd_bad(kb, "answer to nothing", kp->kp_flags);
		return;
	}
	kb->kb_state = (kp->kp_flags & HV_KBD_ACCEPTED) != 0 ? HV_KBD_READY :
	    HV_KBD_REFUSED;
	wakeup(&kb->kb_state);
}

static void
hv_kbd_event(struct hv_kbd_softc *kb, const struct hv_kbd_event *ke)
{
	struct hv_kbd_keys *kk = &kb->kb_keys;
	u_int prefix;
	bool up;

	if (kb->kb_state != HV_KBD_READY) {
		hv_kbd_bad(kb, "key before a version", ke->ke_code);
		return;
	}
	kb->kb_events++;
	up = (ke->ke_flags & HV_KBD_BREAK) != 0;
	if ((ke->ke_flags & HV_KBD_UNICODE) != 0) {
		if (!up && !hv_kbd_keys_type(kk, ke->ke_code))
			kb->kb_dropped++;
		return;
	}
	if (!hv_kbd_is_code(ke->ke_code)) {
		hv_kbd_bad(kb, "key code", ke->ke_code);
		return;
	}
	if ((ke->ke_flags & HV_KBD_E0) != 0)
		prefix = HV_KBD_PREFIX_E0;
	else if ((ke->ke_flags & HV_KBD_E1) != 0)
		prefix = HV_KBD_PREFIX_E1;
	else
		prefix = HV_KBD_PREFIX_NONE;
	if (!hv_kbd_keys_put(kk, prefix, ke->ke_code, up))
		kb->kb_dropped++;
}

/* The packet is ours alone by now. */
static void
hv_kbd_packet(struct hv_kbd_softc *kb, const struct vmbus_rxpkt *rp,
    const void *data)
{
	uint32_t type;

	/* The completion that the request wants says nothing. */
	if (rp->rp_type == VMBUS_PKT_TYPE_COMP)
		return;
	if (rp->rp_type != VMBUS_PKT_TYPE_INBAND) {
		hv_kbd_bad(kb, "packet type", rp->rp_type);
		return;
	}
	if (rp->rp_len < sizeof(type) || rp->rp_len > HV_KBD_MSG_MAX) {
		hv_kbd_bad(kb, "packet length", rp->rp_len);
		return;
	}
	memcpy(&type, data, sizeof(type));
	if (type == HV_KBD_MSG_RESPONSE &&
	    rp->rp_len >= sizeof(struct hv_kbd_response))
		hv_kbd_response(kb, data);
	else if (type == HV_KBD_MSG_EVENT &&
	    rp->rp_len >= sizeof(struct hv_kbd_event))
		hv_kbd_event(kb, data);
	else
		hv_kbd_bad(kb, "message type", type);
}

static void
hv_kbd_callback(struct vmbus_channel *ch, void *arg)
{
	struct hv_kbd_softc *kb = arg;
	struct vmbus_rxpkt rp;
	uint64_t data[HV_KBD_MSG_MAX / sizeof(uint64_t)];
	bool typed;

	memset(data, 0, sizeof(data));
	typed = false;
	while (vmbus_ch_recv(ch, &rp, data, sizeof(data)) == 0) {
		hv_kbd_lock(kb);
		hv_kbd_packet(kb, &rp, data);
		typed = kb->kb_keys.kk_len > 0;
		hv_kbd_unlock(kb);
	}
	if (typed && !hv_kbd_alone())
		taskqueue_enqueue(taskqueue_thread, &kb->kb_task);
}

static void
hv_kbd_task(void *arg, int pending __unused)
{
	struct hv_kbd_softc *kb = arg;

	mtx_lock(&Giant);
	hv_kbd_sw_input(kb);
	mtx_unlock(&Giant);
}

void
hv_kbd_set_leds(struct hv_kbd_softc *kb, int leds)
{
	struct hv_kbd_led kl;

	if (hv_kbd_alone())
		return;
	memset(&kl, 0, sizeof(kl));
	kl.kl_type = HV_KBD_MSG_LED;
	kl.kl_leds = ((leds & LED_SCR) != 0 ? HV_KBD_LED_SCROLL : 0) |
	    ((leds & LED_NUM) != 0 ? HV_KBD_LED_NUM : 0) |
	    ((leds & LED_CAP) != 0 ? HV_KBD_LED_CAPS : 0);
	mtx_lock(&kb->kb_mtx);
	if (kb->kb_state == HV_KBD_READY)
		(void)vmbus_ch_send(kb->kb_ch, VMBUS_PKT_TYPE_INBAND, 0, &kl,
		    sizeof(kl), 0);
	mtx_unlock(&kb->kb_mtx);
}

/* --- Open and close --- */

/* Agrees on the version; with the channel open. */
static int
hv_kbd_negotiate(struct hv_kbd_softc *kb)
{
	struct hv_kbd_request kr;
	enum hv_kbd_state state;
	sbintime_t left;
	int error;

	kr.kr_type = HV_KBD_MSG_REQUEST;
	kr.kr_version = HV_KBD_VERSION_1_0;
	error = vmbus_ch_send(kb->kb_ch, VMBUS_PKT_TYPE_INBAND,
	    VMBUS_PKT_FLAG_RC, &kr, sizeof(kr), HV_KBD_XID);
	if (error != 0)
		return (error);
	left = HV_KBD_TIMEOUT;
	mtx_lock(&kb->kb_mtx);
	/* Woken by hv_kbd_response() and hv_kbd_rescinded(). */
	while (kb->kb_state == HV_KBD_ASKED && left > 0 &&
	    !vmbus_ch_is_rescinded(kb->kb_ch))
		vmbus_sleep(&kb->kb_state, &kb->kb_mtx, "hvkbd", &left);
	state = kb->kb_state;
	mtx_unlock(&kb->kb_mtx);
	if (state == HV_KBD_READY)
		return (0);
	return (state == HV_KBD_REFUSED ? EIO :
	    vmbus_ch_is_rescinded(kb->kb_ch) ? ENXIO : ETIMEDOUT);
}

static void
hv_kbd_close(struct hv_kbd_softc *kb)
{

	mtx_lock(&kb->kb_mtx);
	kb->kb_state = HV_KBD_CLOSED;
	mtx_unlock(&kb->kb_mtx);
	(void)vmbus_ch_close(kb->kb_ch);
	/* Who reads is not to think for ever that a key is held. */
	mtx_lock(&kb->kb_mtx);
	hv_kbd_keys_release(&kb->kb_keys);
	mtx_unlock(&kb->kb_mtx);
}

static int
hv_kbd_open(struct hv_kbd_softc *kb)
{
	struct vmbus_ch_open_params op;
	int error;

	memset(&op, 0, sizeof(op));
	op.op_txsize = HV_KBD_RING_SIZE;
	op.op_rxsize = HV_KBD_RING_SIZE;
	op.op_callback = hv_kbd_callback;
	op.op_arg = kb;
	/* The callback may run before the open returns. */
	mtx_lock(&kb->kb_mtx);
	kb->kb_state = HV_KBD_ASKED;
	mtx_unlock(&kb->kb_mtx);
	error = vmbus_ch_open(kb->kb_ch, &op);
	if (error == 0)
		error = hv_kbd_negotiate(kb);
	if (error != 0) {
		device_printf(kb->kb_dev, error == EIO ?
		    "the host does not take version 1.0\n" :
		    "no connection to the host: error %d\n", error);
		hv_kbd_close(kb);
	}
	return (error);
}

static void
hv_kbd_rescinded(void *arg)
{
	struct hv_kbd_softc *kb = arg;

	mtx_lock(&kb->kb_mtx);
	wakeup(&kb->kb_state);
	mtx_unlock(&kb->kb_mtx);
}

/* --- The device --- */

static void
hv_kbd_sysctl_attach(struct hv_kbd_softc *kb)
{
	struct sysctl_ctx_list *ctx = &kb->kb_sysctl;
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(kb->kb_dev));
	sysctl_ctx_init(ctx);
	kb->kb_sysctl_init = true;
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "events", CTLFLAG_RD,
	    &kb->kb_events, 0, "Keys that went down or up");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "dropped", CTLFLAG_RD,
	    &kb->kb_dropped, 0, "Keys lost because nobody read them, or that "
	    "this keyboard does not have");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "bad_messages", CTLFLAG_RD,
	    &kb->kb_bad, 0, "Messages of the host that made no sense");
}

static int
hv_kbd_probe(device_t dev)
{

	if (!vmbus_owns(dev) ||
	    !hyperv_guid_equal(vmbus_get_type(dev), &hv_kbd_guid))
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Keyboard");
	return (BUS_PROBE_DEFAULT);
}

static int
hv_kbd_attach(device_t dev)
{
	struct hv_kbd_softc *kb = device_get_softc(dev);
	int error;

	kb->kb_dev = dev;
	kb->kb_ch = vmbus_get_channel(dev);
	mtx_init(&kb->kb_mtx, "hvkbd", NULL, MTX_DEF);
	kb->kb_init = true;
	TASK_INIT(&kb->kb_task, 0, hv_kbd_task, kb);
	kb->kb_keymap = malloc(sizeof(*kb->kb_keymap), M_HVKBD, M_WAITOK);
	kb->kb_accentmap = malloc(sizeof(*kb->kb_accentmap), M_HVKBD,
	    M_WAITOK);
	kb->kb_fkeytab = mallocarray(NUM_FKEYS, sizeof(*kb->kb_fkeytab),
	    M_HVKBD, M_WAITOK);
	hv_kbd_map_init(kb->kb_keymap, kb->kb_accentmap, kb->kb_fkeytab);
	vmbus_ch_set_rescind(kb->kb_ch, hv_kbd_rescinded, kb);
	hv_kbd_sysctl_attach(kb);
	error = hv_kbd_open(kb);
	if (error == 0) {
		mtx_lock(&Giant);
		error = hv_kbd_sw_attach(kb);
		mtx_unlock(&Giant);
	}
	if (error != 0)
		(void)hv_kbd_detach(dev);
	return (error);
}

/*
 * The topology lock, which is Giant, is dropped whenever this sleeps: a rescind
 * and the unloading of the module can both come here for one device.  The
 * second is told to try again.
 */
static int
hv_kbd_detach(device_t dev)
{
	struct hv_kbd_softc *kb = device_get_softc(dev);
	int error;

	if (!kb->kb_init)
		return (0);
	mtx_lock(&Giant);
	if (kb->kb_detaching) {
		mtx_unlock(&Giant);
		return (EBUSY);
	}
	kb->kb_detaching = true;
	vmbus_ch_set_rescind(kb->kb_ch, NULL, NULL);
	hv_kbd_close(kb);
	/* The last keys come up for who reads. */
	hv_kbd_sw_input(kb);
	error = hv_kbd_sw_detach(kb);
	taskqueue_drain(taskqueue_thread, &kb->kb_task);
	if (error != 0) {
		/* Whoever reads has a keyboard without keys. */
		kb->kb_detaching = false;
		mtx_unlock(&Giant);
		return (error);
	}
	if (kb->kb_sysctl_init)
		(void)sysctl_ctx_free(&kb->kb_sysctl);
	kb->kb_sysctl_init = false;
	free(kb->kb_fkeytab, M_HVKBD);
	free(kb->kb_accentmap, M_HVKBD);
	free(kb->kb_keymap, M_HVKBD);
	mtx_destroy(&kb->kb_mtx);
	kb->kb_init = false;
	mtx_unlock(&Giant);
	return (0);
}

static int
hv_kbd_suspend(device_t dev)
{
	struct hv_kbd_softc *kb = device_get_softc(dev);

	hv_kbd_close(kb);
	taskqueue_enqueue(taskqueue_thread, &kb->kb_task);
	return (0);
}

/* A keyboard that cannot be had again does not keep the machine asleep. */
static int
hv_kbd_resume(device_t dev)
{
	struct hv_kbd_softc *kb = device_get_softc(dev);

	if (hv_kbd_open(kb) == 0)
		hv_kbd_set_leds(kb, kb->kb_kbd.kb_led);
	return (0);
}

static int
hv_kbd_modevent(module_t mod __unused, int what, void *arg __unused)
{

	if (what == MOD_UNLOAD)
		hv_kbd_sw_unload();
	return (0);
}

static device_method_t hv_kbd_methods[] = {
	DEVMETHOD(device_probe,		hv_kbd_probe),
	DEVMETHOD(device_attach,	hv_kbd_attach),
	DEVMETHOD(device_detach,	hv_kbd_detach),
	DEVMETHOD(device_suspend,	hv_kbd_suspend),
	DEVMETHOD(device_resume,	hv_kbd_resume),
	DEVMETHOD_END
};

static driver_t hv_kbd_driver = {
	HV_KBD_NAME,
	hv_kbd_methods,
	sizeof(struct hv_kbd_softc)
};

static const struct {
	const char	*classid;
} hv_kbd_pnp[] = {
	{ "f912ad6d-2b17-48ea-bd65-f927a61c7684" },
};

/* The kernel's own driver for this keyboard is a module named hv_kbd. */
DRIVER_MODULE(hv_keyboard, vmbus, hv_kbd_driver, hv_kbd_modevent, NULL);
MODULE_PNP_INFO("Z:classid", vmbus, hv_keyboard, hv_kbd_pnp,
    nitems(hv_kbd_pnp));
MODULE_VERSION(hv_keyboard, 1);
MODULE_DEPEND(hv_keyboard, hv_vmbus, 1, 1, 1);
