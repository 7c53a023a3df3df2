# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Our bus driver in a FreeBSD kernel, with a VMBus host that is not ours:
QEMU's bridge, on KVM's own synthetic interrupt controller.  It offers no
device, but it negotiates, interrupts and lets go; what it has seen of us, it
writes down (its trace events)."""

import os
import re

import guest
from freebsd_guest import (FreeBsd, Guest, KERNEL, MEMORY, MODULES,
                           in_nested_rig, make_root, run)
from guest import Fail
from suite import Skip

FLAT = os.environ.get("FBSD_FLAT", "")

MODULE = "hv_vmbus"
FILE = "/boot/modules/%s.ko" % MODULE
VERSION = "4.0"             # the newest that QEMU's bridge knows
# What it needs of KVM; FreeBSD prefers KVM's own leaves where both are shown.
CPU = ("host", "kvm=off", "hv-relaxed", "hv-vpindex", "hv-time", "hv-synic",
       "hv-stimer")
# Emulated SVM does not restore the kernel's FPU state by XRSTOR.
NESTED = ("-xsave",)

TRACING = "/sys/kernel/debug/tracing/instances"
SINT2 = 0x40000092
AUTO_EOI = 1 << 17


class Qemu(Guest):
    """FreeBSD under QEMU, with modules preloaded and a memory disk as root.
    extra: its kernel environment, a dictionary."""

    def __init__(self, work, name, log, cpus=1, memory=MEMORY, extra=None,
                 preloaded=(), root="", cpu=(), options=()):
        image = os.path.join(work, name + ".elf")
        self.trace_file = os.path.splitext(log)[0] + ".trace"
        words = []
        for variable, value in (extra or {}).items():
            words += ["--kenv", "%s=%s" % (variable, value)]
        run(FLAT, "--kernel", KERNEL, "--mdroot", root, "--memory",
            str(memory), "--output", image, *preloaded, *words)
        cpu = CPU + tuple(cpu)
        if in_nested_rig():
            cpu += NESTED
        # The image lies above the memory that the kernel is told of.
        guest.Vm.__init__(self, [
            guest.QEMU, "-accel", "kvm", "-machine", "pc", "-cpu",
            ",".join(cpu), "-smp", str(cpus), "-m", str(2 * memory),
            "-nodefaults", "-display", "none", "-serial", "stdio",
            "-monitor", "none", "-trace", "vmbus_*", "-D", self.trace_file,
            "-kernel", image] + list(options), log)

    def trace(self):
        """What the bridge has seen and done."""
        try:
            with open(self.trace_file, encoding="utf-8") as f:
                return f.read()
        except OSError:
            return ""

    def tids(self):
        """QEMU's threads."""
        return os.listdir("/proc/%d/task" % self.pid)


class Sint:
    """What KVM sees of a guest's synthetic interrupt controller."""

    def __init__(self, name):
        self.path = os.path.join(TRACING, name)
        self.works = False
        try:
            os.mkdir(self.path)
            for event in ("kvm_hv_synic_set_msr", "kvm_hv_synic_send_eoi"):
                self.put("events/kvm/%s/enable" % event, "1")
            self.works = True
        except OSError:
            pass

    def put(self, name, text):
        with open(os.path.join(self.path, name), "w",
                  encoding="ascii") as f:
            f.write(text)

    def events(self, vm):
        """The text of the events of a guest that still runs."""
        if not self.works:
            raise Skip("the kernel has no trace of KVM's events")
        of = re.compile(r"-(%s)\s" % "|".join(vm.tids()))
        with open(os.path.join(self.path, "trace"), encoding="utf-8",
                  errors="replace") as f:
            return "".join(l for l in f if of.search(l))

    def close(self):
        try:
            os.rmdir(self.path)
        except OSError:
            pass


# The bridge's trace, as "r14 p15 ": messages received and posted by type.
CONNECTS = "(?:r14 p15 )+r3 p4 "
LEAVES = "r16 p17 "


def exchange(trace):
    return "".join(
        ("r" if way == "recv_message" else "p") + kind + " "
        for way, kind in re.findall(
            r"^vmbus_(recv_message|post_msg) type (\d+)", trace, re.M))


class Host(FreeBsd):
    """A boot under QEMU."""
    machine = Qemu
    modules = (MODULE,)
    root = "md"
    root_type = "ext2fs"
    # Interrupts are counted, and are to be the bridge's.
    kenv = {"kern.panic_reboot_wait_time": "0", "hw.vmbus.et": "0"}
    cpu = ()
    reboot = False
    bridge = ("-device", "vmbus-bridge")
    rounds = 10
    heard = 0                   # lines of our driver's
    check_quiet = None          # connected() is stricter

    def image(self):
        with open(os.path.join(MODULES, MODULE + ".ko"), "rb") as f:
            return make_root(self.path("root.img"), self.root_type,
                             self.root_size, {FILE: f.read()})

    def options(self):
        return list(self.bridge) + ([] if self.reboot else ["-no-reboot"])

    def start(self):
        self.ours()
        self.sint = Sint(self.name)
        self.vm = self.launch(preloaded=self.preloaded(), root=self.image(),
                              cpu=self.cpu)
        self.vm.wait_up()

    def stop(self):
        super().stop()
        if hasattr(self, "sint"):
            self.sint.close()

    def check_poweroff(self):
        """power-off ends QEMU with status 0"""
        self.ends_well(self.vm.poweroff())

    def said(self):
        """What our driver has said since the last time."""
        lines = [l.split(": ", 1)[1] for l in self.vm.dmesg("vmbus0: ")]
        before, self.heard = self.heard, len(lines)
        return lines[before:]

    def no_leak(self):
        """Fails if the kernel missed memory when a module went."""
        status, text = self.vm.run("dmesg leaked")
        if status == 0:
            raise Fail(text)

    def connected(self):
        """Fails unless there is a connection without any complaint."""
        lines = self.said()
        # Another processor's words may have come between those of the first.
        odd = [l for l in lines if not re.match(
            r"<Hyper-V VMBus>|Hyper-V [\d.]+ build \d+$|"
            r"version |detached$", l)]
        if odd or not lines or lines[-1] != "version " + VERSION:
            raise Fail("the kernel's messages: " + " | ".join(lines))
        if self.vm.sysctl("dev.vmbus.0.version") != VERSION:
            raise Fail("version " + self.vm.sysctl("dev.vmbus.0.version"))

    def leftovers(self):
        """What the module has in the kernel."""
        return self.vm.sh("sysctl count dev.vmbus\nsysctl count hw\n"
                          "vmstat malloc vmbus\nvmstat malloc hyperv")


class Bridge(Host):
    """What each guest with the bridge shows."""
    autoeoi = True

    def check_version(self):
        """vmbus0 attaches and negotiates the newest version of QEMU's"""
        self.connected()
        return "version " + VERSION

    def check_answers(self):
        """every question was answered, no answer was odd, nothing offered"""
        for name, want in (("offers", 0), ("timeouts", 0),
                           ("messages_bad", 0), ("replies_unasked", 0)):
            found = self.vm.sysctl("dev.vmbus.0." + name)
            if found != str(want):
                raise Fail("%s: %s" % (name, found))
        return self.vm.sysctl("dev.vmbus.0.messages_in") + " messages in"

    def check_interrupts(self):
        """the bridge's messages come by interrupts, on the processor named"""
        counts = [int(self.vm.sysctl("dev.vmbus.0.cpu.%d.interrupts" % n))
                  for n in range(self.cpus)]
        if counts[0] < 2 or any(counts[1:]):
            raise Fail("interrupts: %s" % counts)
        return "%d" % counts[0]

    def check_processors(self):
        """each processor has the hypervisor's number"""
        found = [self.vm.sysctl("dev.vmbus.0.cpu.%d.vp" % n)
                 for n in range(self.cpus)]
        if found != [str(n) for n in range(self.cpus)]:
            raise Fail("numbers: " + " ".join(found))

    def check_eoi(self):
        """AutoEOI is set, or the end of interrupt written, as recommended"""
        events = self.sint.events(self.vm)
        bits = {bool(int(data, 16) & AUTO_EOI) for data in re.findall(
            r"set_msr: .* msr %#x data (0x[0-9a-f]+) host 0" % SINT2, events)}
        eois = events.count("kvm_hv_synic_send_eoi:")
        if bits != {self.autoeoi} or (eois == 0) != self.autoeoi:
            raise Fail("AutoEOI %s, %d ends of interrupt" % (bits, eois))
        return "AutoEOI" if self.autoeoi else "%d EOIs" % eois

    def check_reload(self):
        """kldunload and kldload, again and again, leave nothing behind"""
        before = self.leftovers()
        for _ in range(self.rounds):
            self.vm.sh("kld unload %s.ko" % MODULE)
            if self.vm.run("sysctl get dev.vmbus.0.version")[0] == 0:
                raise Fail("there is a dev.vmbus.0 without a module")
            self.vm.load(MODULE)
            self.connected()
        after = self.leftovers()
        if after != before:
            raise Fail("before: %s; after: %s" % (before, after))
        self.no_leak()
        return "%d rounds" % self.rounds

    def check_detach(self):
        """the device is detached and attached again"""
        self.vm.sh("dev detach vmbus0\ndev attach vmbus0")
        self.connected()

    def check_suspend(self):
        """suspended, it lets go of the host; resumed, it connects again"""
        self.vm.sh("dev suspend vmbus0\ndev resume vmbus0")
        self.connected()

    def after_goodbye(self):
        """the bridge has seen each connection begin, and end in order"""
        text = exchange(self.vm.trace())
        if not re.match("(%s%s)+$" % (CONNECTS, LEAVES), text):
            raise Fail(text[-300:])
        return "%d connections" % text.count(LEAVES)


class OneCpu(Bridge):
    name = "qemu1"


class TwoCpus(Bridge):
    """Where KVM recommends against AutoEOI, too."""
    name = "qemu2"
    cpus = 2
    cpu = ("hv-avic",)
    autoeoi = False
    reboot = True

    def again(self, command):
        self.vm.type(command + "\n. 0\n")
        self.vm.wait_up()
        self.heard = 0
        self.connected()

    def check_reboot(self):
        """after a reboot, the next kernel connects"""
        self.again("power reboot")

    def check_panic(self):
        """a kernel that panics lets go; the next one connects"""
        self.again("power panic")


class Bridgeless(Host):
    """A hypervisor with all that VMBus needs, but no VMBus."""
    name = "qemu0"
    bridge = ()

    def check_message(self):
        """a host without VMBus is told of in one line, and holds nothing up"""
        lines = self.said()
        if lines[-1:] != ["host knows none of our versions"]:
            raise Fail("the kernel's messages: " + " | ".join(lines))
        return lines[-1]

    def check_unload(self):
        """the module that found no host can be unloaded and loaded"""
        for _ in range(3):
            self.vm.sh("kld unload %s.ko" % MODULE)
            self.vm.load(MODULE)
        self.no_leak()
