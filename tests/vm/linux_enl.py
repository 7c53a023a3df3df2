# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Enlightenments beside I/O under Linux: clock, timers, IPIs, TLB flushes and
crash reports, with what each saves, and without each of them."""

import json
import re

from guest import Fail
from linux_basic import complaints, dmesg
from linux_services import until
from suite import Boot

READS = 50000
SHOTS = 200
WAKES = 200
SLEEPS = 100


class Enlightened(Boot):
    """A guest of which things are known that are counted outside."""
    cpus = 2
    enlighten = ""
    order = 40

    def options(self):
        return ["--enlighten", self.enlighten] if self.enlighten else []

    def counts(self):
        """Exits and hypercalls, as KVM counts them; and those of them that did
        not leave the kernel: flushes and IPIs, not messages and signals."""
        vmm = json.loads(self.vm.ctl("--json", "stats"))["vmm"]
        if [c["vcpu"] for c in vmm["vcpus"]] != list(range(self.cpus)):
            raise Fail("counters of vCPUs: %s" % vmm["vcpus"])
        for name in ("exits", "hypercalls"):
            if sum(c["kvm"][name] for c in vmm["vcpus"]) < vmm["kvm"][name]:
                raise Fail("vCPUs have fewer %s than their sum" % name)
        return {"exits": vmm["kvm"]["exits"],
                "hypercalls": vmm["kvm"]["hypercalls"],
                "kernel": vmm["hypercalls_in_kvm"]}

    def cost(self, job, times):
        """What one round of a job of enlbench costs."""
        before = self.counts()
        self.vm.sh("enlbench %s %d" % (job, times), limit=240)
        after = self.counts()
        return {k: (after[k] - before[k]) / times for k in before}

    def text(self, each):
        return "%.2f exits, %.2f hypercalls in KVM each" % (
            each["exits"], each["kernel"])

    def clocksource(self):
        return self.vm.sh("cat /sys/devices/system/clocksource/clocksource0/"
                          "current_clocksource")

    def clockevents(self):
        return re.findall("Device: (.*)", self.vm.sh(
            "grep '^Clock Event Device' /proc/timer_list"))

    def lacks(self, pattern):
        if self.vm.run("dmesg | grep -E '%s'" % pattern)[0] == 0:
            raise Fail("the guest's log has " + pattern)

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm)


class All(Enlightened):
    name = "enl"

    def check_clock(self):
        """the TSC page is the clock: reading it costs no exit"""
        found = self.clocksource()
        # A TSC that the host calls invariant is as good, and read alike.
        if found not in ("hyperv_clocksource_tsc_page", "tsc"):
            raise Fail("the clock source is " + found)
        each = self.cost("clock", READS)
        if each["exits"] > 0.1:
            raise Fail(self.text(each))
        return "%s, %.4f exits a read" % (found, each["exits"])

    def check_timer(self):
        """the clock event devices are synthetic timers"""
        found = self.clockevents()
        if found.count("Hyper-V clockevent") != self.cpus:
            raise Fail("clock event devices: " + ", ".join(found))
        return self.text(self.cost("sleep", SLEEPS))

    def check_flush_said(self):
        """the guest says that it flushes by hypercall"""
        return dmesg(self.vm, "[Uu]sing (ext )?hypercalls? for remote TLB")

    def check_flush(self):
        """a shoot-down of all other CPUs is one hypercall"""
        each = self.cost("shoot", SHOTS)
        if each["kernel"] < 0.9:
            raise Fail(self.text(each))
        return self.text(each)

    def check_ipi_said(self):
        """the guest says that it sends IPIs by hypercall"""
        return dmesg(self.vm, "Hyper-V: Using IPI hypercalls")

    def check_ipi(self):
        """waking another CPU is a hypercall"""
        each = self.cost("wake", WAKES)
        if each["kernel"] < 0.5:
            raise Fail(self.text(each))
        return self.text(each)


class All4(All):
    name = "enl4"
    cpus = 4
    check_clock = check_timer = None


class NoFlush(Enlightened):
    name = "enl-noflush"
    enlighten = "-tlbflush,-ipi"

    def check_said(self):
        """without flushes and IPIs the guest does not speak of them"""
        self.lacks("hypercalls? for remote TLB|Using IPI hypercalls")

    def check_flush(self):
        """a shoot-down goes by the APIC: no hypercall"""
        each = self.cost("shoot", SHOTS)
        if each["kernel"] > 0.05:
            raise Fail(self.text(each))
        return self.text(each)

    def check_ipi(self):
        """and so does waking another CPU"""
        each = self.cost("wake", WAKES)
        if each["kernel"] > 0.05:
            raise Fail(self.text(each))
        return self.text(each)


class NoFlush4(NoFlush):
    name = "enl-noflush4"
    cpus = 4


class OnlyIpi(Enlightened):
    name = "enl-onlyipi"
    enlighten = "-tlbflush"

    def check_flush(self):
        """a shoot-down is an IPI, by hypercall, if flushes are not"""
        self.lacks("hypercalls? for remote TLB")
        each = self.cost("shoot", SHOTS)
        if each["kernel"] < 0.9:
            raise Fail(self.text(each))
        return self.text(each)


class NoTsc(Enlightened):
    name = "enl-notsc"
    enlighten = "-tsc,-invariant,-direct"

    def check_clock(self):
        """without the TSC page the clock is the counter: an exit a read"""
        found = self.clocksource()
        if found != "hyperv_clocksource_msr":
            raise Fail("the clock source is " + found)
        each = self.cost("clock", READS // 50)
        if each["exits"] < 1:
            raise Fail(self.text(each))
        return "%s, %.2f exits a read" % (found, each["exits"])

    def check_timer(self):
        """timers without direct mode come as messages"""
        found = self.clockevents()
        if found.count("Hyper-V clockevent") > 0:
            raise Fail("before there is a VMBus driver")
        self.vm.load("hv_vmbus")
        until(lambda: self.clockevents().count("Hyper-V clockevent") ==
              self.cpus, "synthetic timers")
        return self.text(self.cost("sleep", SLEEPS))


class Nothing(Enlightened):
    name = "enl-none"
    enlighten = "none"

    def check_clock(self):
        """without any of them: a clock of the PC"""
        found = self.clocksource()
        if "hyperv" in found:
            raise Fail("the clock source is " + found)
        return found

    def check_timer(self):
        """and the APIC's timer"""
        found = self.clockevents()
        if "Hyper-V clockevent" in found:
            raise Fail("clock event devices: " + ", ".join(found))
        return ", ".join(sorted(set(found))) + "; " + \
            self.text(self.cost("sleep", SLEEPS))

    def check_vmbus(self):
        """VMBus does without"""
        self.vm.load("hv_vmbus")
        return dmesg(self.vm, r"Vmbus version:5\.[0-9]")

    def check_no_report(self):
        """a panic is not reported"""
        self.vm.type("echo c >/proc/sysrq-trigger\n. 0\n")
        self.vm.wait_up()
        if json.loads(self.vm.ctl("--json", "status"))["crash"] is not None:
            raise Fail("it is")


class Reported(Enlightened):
    name = "enl-crash"
    cpus = 1

    def crash(self):
        return json.loads(self.vm.ctl("--json", "status"))["crash"]

    def check_report(self):
        """hvctl status tells of a panic, after the guest is up again, too"""
        if self.crash() is not None:
            raise Fail("before there was one")
        self.vm.load("hv_vmbus")
        self.vm.type("echo farewell >/dev/kmsg; sleep 1\n"
                     "echo c >/proc/sysrq-trigger\n. 0\n")
        self.vm.wait_up()
        found = self.crash()
        if found is None or found["count"] < 1:
            raise Fail("no report")
        for word in ("farewell", "sysrq triggered crash"):
            if word not in found["text"]:
                raise Fail("no %r in %r" % (word, found["text"]))
        if int(found["params"][4], 16) == 0:
            raise Fail("parameters: %s" % found["params"])
        text = self.vm.ctl("status")
        if "farewell" not in text or found["params"][0] not in text:
            raise Fail("hvctl status: " + text)
        return " ".join(found["params"])


class Isolated(Enlightened):
    name = "enl-isolated"
    cpus = 1
    enlighten = "isolation=vbs,nesting=1"

    def check_said(self):
        """a guest reads what is said of isolation"""
        return dmesg(self.vm, "Hyper-V: Isolation Config: Group A 0x0, "
                     "Group B 0x1")

    check_quiet = None
