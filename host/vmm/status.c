/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a client of the control socket may see of the machine and do to it.
 * All in the main thread.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor/hv_reg.h"
#include "vmm/status.h"

_Static_assert(VMM_CPUS_MAX <= CTL_VCPUS_MAX, "ctl_status.vcpu");

static void
op_status(void *arg, struct ctl_status *cs)
{
	struct status *st = arg;
	struct vmm *m = st->st_vmm;

	snprintf(cs->kernel, sizeof(cs->kernel), "%s",
	    vmm_boot_name(m->m_boot));
	cs->cpus = m->m_cf.cpus;
	cs->memory = m->m_cf.memory;
	(void)hvh_rdmsr(m->m_h, 0, HV_MSR_OS_ID, &cs->os_id);
	pthread_mutex_lock(&m->m_mtx);
	cs->paused = m->m_paused;
	cs->nvcpus = m->m_paused ? m->m_cf.cpus : 0;
	for (unsigned i = 0; i < cs->nvcpus; i++)
		cs->vcpu[i] = (struct ctl_vcpu){ .pc = m->m_cpu[i].c_pc,
		    .halted = m->m_cpu[i].c_halted,
		    .masked = m->m_cpu[i].c_masked };
	cs->uptime = vmm_now() - m->m_started;
	pthread_mutex_unlock(&m->m_mtx);
}

static void
put(json_t *o, const char *name, uint64_t v)
{

	json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void
put_counter(void *arg, const char *name, uint64_t value)
{

	put(arg, name, value);
}

/* Exits to user space by reason, of count vCPUs from first on. */
static json_t *
exits_of(struct vmm *m, unsigned first, unsigned count)
{
	json_t *exits = json_object();
	uint64_t n;

	for (unsigned r = 0; r < VMM_EXITS; r++) {
		if (vmm_exit_name(r) == NULL)
			continue;
		n = 0;
		for (unsigned i = first; i < first + count; i++)
			n += atomic_load(&m->m_cpu[i].c_exits[r]);
		put(exits, vmm_exit_name(r), n);
	}
	return (exits);
}

/* What KVM counts of them, all exits among it.  m_mtx held. */
static json_t *
kvm_of(struct vmm *m, unsigned first, unsigned count)
{
	json_t *kvm = json_object();

	vmm_kvm_counters(m, first, count, put_counter, kvm);
	return (kvm);
}

/* What KVM did of hypercalls alone: flushes, IPIs, signals to an eventfd. */
static void
put_in_kvm(json_t *o)
{
	json_t *all = json_object_get(json_object_get(o, "kvm"), "hypercalls");
	json_t *ours = json_object_get(json_object_get(o, "exits"),
	    vmm_exit_name(KVM_EXIT_HYPERV));
	json_int_t n = json_integer_value(all) - json_integer_value(ours);

	/* The two are not counted at the same moment. */
	put(o, "hypercalls_in_kvm", n > 0 ? (uint64_t)n : 0);
}

static json_t *
vcpu_stats(struct vmm *m, unsigned id)
{
	json_t *o = json_object();
	struct hvh_vp_stats vs;

	hvh_get_vp_stats(m->m_h, id, &vs);
	put(o, "vcpu", id);
	put(o, "hypercalls", vs.hypercalls);
	put(o, "msr_reads", vs.msr_reads);
	put(o, "msr_writes", vs.msr_writes);
	put(o, "interrupts", vs.interrupts);
	json_object_set_new(o, "exits", exits_of(m, id, 1));
	json_object_set_new(o, "kvm", kvm_of(m, id, 1));
	put_in_kvm(o);
	return (o);
}

static void
op_stats(void *arg, json_t *o)
{
	struct status *st = arg;
	struct vmm *m = st->st_vmm;
	json_t *net = json_object(), *vcpus = json_array();

	vmm_loop_count(m);
	json_object_set_new(o, "exits", exits_of(m, 0, m->m_cf.cpus));
	pthread_mutex_lock(&m->m_mtx);
	json_object_set_new(o, "kvm", kvm_of(m, 0, m->m_cf.cpus));
	for (unsigned i = 0; i < m->m_cf.cpus; i++)
		json_array_append_new(vcpus, vcpu_stats(m, i));
	put(o, "resets", m->m_resets);
	pthread_mutex_unlock(&m->m_mtx);
	put(o, "wakeups", atomic_load(&m->m_loop.l_wakeups));
	put(o, "inline_rounds", atomic_load(&m->m_loop.l_inline));
	put_in_kvm(o);
	json_object_set_new(o, "vcpus", vcpus);
	nets_stats(st->st_nets, net);
	json_object_set_new(o, "net", net);
}

static int
op_shutdown(void *arg, bool force, char *err, size_t errlen)
{
	struct status *st = arg;

	if (force)
		vmm_end(st->st_vmm, VMM_STOP);
	else
		vmm_pm_button(st->st_vmm->m_pm);
	return (0);
}

static int
op_reset(void *arg, char *err, size_t errlen)
{
	struct status *st = arg;

	st->st_reset = true;
	vmm_end(st->st_vmm, VMM_RESET);
	return (0);
}

static int
op_pause(void *arg, char *err, size_t errlen)
{
	struct status *st = arg;
	int error;

	error = vmm_pause(st->st_vmm);
	if (error != 0)
		snprintf(err, errlen, "a processor does not stop: does nobody "
		    "read the console?");
	return (error);
}

static int
op_resume(void *arg, char *err, size_t errlen)
{
	struct status *st = arg;

	vmm_resume(st->st_vmm);
	services_resumed(st->st_services);
	return (0);
}

static int
op_quit(void *arg, char *err, size_t errlen)
{
	struct status *st = arg;

	vmm_end(st->st_vmm, VMM_STOP);
	return (0);
}

static int
op_disk_add(void *arg, struct ctl_disk *cd, char *err, size_t errlen)
{
	struct status *st = arg;
	struct opt_disk d = { .cdrom = cd->cdrom, .file = cd->file,
	    .controller = cd->controller, .lun = cd->lun, .channel = -1,
	    .drive = -1, .readonly = cd->readonly || cd->cdrom,
	    .block_size = cd->cdrom ? 2048 : 512 };
	int error, fd;

	if (!cd->have_fd) {
		snprintf(err, errlen, "%s: the open file must come with the "
		    "command; this process opens none", cd->file);
		return (EINVAL);
	}
	if (cd->controller >= OPT_CONTROLLERS_MAX || cd->lun >= DISKS_LUNS) {
		snprintf(err, errlen, "controllers are 0 to %d, units 0 to %d",
		    OPT_CONTROLLERS_MAX - 1, DISKS_LUNS - 1);
		return (EINVAL);
	}
	if (cd->serial != NULL)
		snprintf(d.serial, sizeof(d.serial), "%s", cd->serial);
	/* The caller's stays the caller's on failure, whatever went wrong. */
	fd = fcntl(cd->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		error = errno;
		snprintf(err, errlen, "%s: %s", cd->file, strerror(error));
		return (error);
	}
	error = disks_add(st->st_disks, &d, fd, err, errlen);
	if (error != 0)
		return (error);
	close(cd->fd);
	cd->lun = d.lun;
	return (0);
}

static int
op_disk_remove(void *arg, unsigned controller, unsigned lun, char *err,
    size_t errlen)
{
	struct status *st = arg;

	return (disks_remove(st->st_disks, controller, lun, err, errlen));
}

/* Where the adapter's frames go comes open with the command, as a disk does. */
static int
op_net_add(void *arg, struct ctl_net *cn, char *err, size_t errlen)
{
	struct status *st = arg;
	struct opt_net n = { .kind = cn->socket ? HVH_NETBE_SOCKET :
	    HVH_NETBE_TAP, .name = cn->name, .channels = cn->channels,
	    .have_mac = cn->have_mac };
	int error, fd;

	if (!cn->have_fd) {
		snprintf(err, errlen, "%s: the open tap or socket must come "
		    "with the command; this process opens none", cn->name);
		return (EINVAL);
	}
	memcpy(n.mac, cn->mac, sizeof(n.mac));
	fd = fcntl(cn->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		error = errno;
		snprintf(err, errlen, "%s: %s", cn->name, strerror(error));
		return (error);
	}
	error = nets_add(st->st_nets, &n, fd, &cn->adapter, err, errlen);
	if (error == 0)
		close(cn->fd);
	return (error);
}

static int
op_net_remove(void *arg, unsigned adapter, char *err, size_t errlen)
{
	struct status *st = arg;

	return (nets_remove(st->st_nets, adapter, err, errlen));
}

static int
op_link(void *arg, unsigned adapter, bool up, char *err, size_t errlen)
{
	struct status *st = arg;

	return (nets_link(st->st_nets, adapter, up, err, errlen));
}

static struct hvh_ic *
op_service(void *arg, enum hvh_ic_kind kind)
{
	struct status *st = arg;

	return (st->st_services->sv_ic[kind]);
}

static struct hvh_balloon *
op_balloon(void *arg)
{
	struct status *st = arg;

	return (st->st_services->sv_balloon);
}

static struct hvh_kbd *
op_keyboard(void *arg)
{
	struct status *st = arg;

	return (st->st_services->sv_kbd);
}

static int
op_adapter(void *arg, unsigned adapter, uint8_t mac[6],
    struct hvh_guid *instance)
{
	struct status *st = arg;

	return (nets_identity(st->st_nets, adapter, mac, instance));
}

const struct ctl_ops status_ops = {
	.status = op_status,
	.stats = op_stats,
	.shutdown = op_shutdown,
	.reset = op_reset,
	.pause = op_pause,
	.resume = op_resume,
	.quit = op_quit,
	.disk_add = op_disk_add,
	.disk_remove = op_disk_remove,
	.net_add = op_net_add,
	.net_remove = op_net_remove,
	.link = op_link,
	.service = op_service,
	.balloon = op_balloon,
	.keyboard = op_keyboard,
	.adapter = op_adapter,
};

int
status_write(struct status *st, int fd)
{
	json_t *all = json_object();
	int error = 0;

	if (all == NULL || ctl_stats(st->st_vmm->m_h, &status_ops, st, all) !=
	    0)
		error = ENOMEM;
	else if (json_dumpfd(all, fd, JSON_INDENT(2)) != 0 ||
	    write(fd, "\n", 1) != 1)
		error = errno != 0 ? errno : EIO;
	json_decref(all);
	return (error);
}
