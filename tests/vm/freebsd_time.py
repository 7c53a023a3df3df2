# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Time on a real kernel: the timecounter and what programs read, the event
timer, the report of a panic; each turned off as well.  And partitions that the
bus stays out of."""

import json
import os
import time

from freebsd_crash import AGAIN_LIMIT, PANIC
from freebsd_guest import FreeBsd, MODULES, in_tree, module_files
from guest import Fail
from suite import Skip

HVTSC = 3                               # VDSO_TH_ALGO_X86_HVTSC
MS = 1000000                            # in ns
# How long monotonic time is checked for.
SECONDS = int(os.environ.get("FBSD_TIME_SECONDS", "10"))


class Timed(FreeBsd):
    """hv_time is loaded first, as it has to be."""
    modules = ("hv_time", "hv_vmbus", "hv_storvsc")
    cpus = 2
    enlighten = ""
    beside = False              # a kernel with time from Hyper-V of its own

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        if in_tree() != self.beside:
            raise Skip("the kernel has time from Hyper-V %s" % (
                "already" if not self.beside else "only by our modules"))
        super().start()

    def disks(self):
        return ["--enlighten", self.enlighten] if self.enlighten else []

    def exits(self):
        """Of all processors, whoever of the host's served them."""
        stats = json.loads(self.vm.ctl("--json", "stats"))
        return sum(v["kvm"]["exits"] for v in stats["vmm"]["vcpus"])

    def cost(self, what, count):
        """(results, exits) of so many readings, by what."""
        exits = self.exits()
        found = self.vm.counted("vdso %s %d" % (what, count))
        return found, self.exits() - exits

    def events(self):
        return [self.vm.number("sysctl get dev.vmbus.0.cpu.%d.timer_events" % c)
                for c in range(self.cpus)]

    def is_set(self, name, want):
        found = self.vm.sysctl(name)
        if found != want:
            raise Fail("%s: %s, not %s" % (name, found, want))
        return found

    def has_page(self):
        """Skips where the host under hvhost has no TSC to tell time by."""
        if self.vm.counted("vdso")["page"] == 0:
            raise Skip("the hypervisor says that its page is not valid")

    def ticking(self, seconds=2):
        """Events of each processor in so many seconds; none: it fails."""
        before = self.events()
        self.vm.sh("sleep %d" % (seconds * 1000))
        found = [b - a for a, b in zip(before, self.events())]
        if min(found) == 0:
            raise Fail("events of the processors: %s" % found)
        return found


class Time(Timed):
    name = "time"
    order = 20
    modules = ("hv_time", "hv_vmbus", "hv_storvsc", "hv_utils")
    kenv = {"hw.hvtimesync.ignore_sync": "1", "hw.hvtimesync.sample_thresh":
            "0", "boot_verbose": "YES"}

    def check_timecounter(self):
        """the page is the kernel's time"""
        self.is_set("kern.timecounter.hardware", "Hyper-V-TSC")
        self.is_set("kern.timecounter.tc.Hyper-V-TSC.quality", "3000")
        self.is_set("kern.timecounter.tc.Hyper-V.quality", "2000")
        return self.vm.sysctl("kern.timecounter.choice")

    def check_frequency(self):
        """the TSC's frequency is the hypervisor's"""
        line = self.vm.dmesg("hv_time: TSC frequency")[0]
        said = int(line.split()[-2])
        found = self.vm.number("sysctl get machdep.tsc_freq")
        # The kernel measures again later, and finds about the same.
        if abs(found - said) * 20 > said:
            raise Fail("%d, not %d" % (found, said))
        return "%d Hz, after the kernel's calibration %d" % (said, found)

    def check_program(self):
        """programs are told to read the page"""
        found = self.vm.counted("vdso")
        if found["enabled"] != 1 or found["algo"] != HVTSC:
            raise Fail(str(found))

    def check_calls(self):
        """100000 readings of a program: no system call and no exit"""
        self.has_page()
        calls = self.vm.number("sysctl get vm.stats.sys.v_syscall")
        found, exits = self.cost("read", 100000)
        calls = self.vm.number("sysctl get vm.stats.sys.v_syscall") - calls
        # The console costs some.
        if found["failed"] or calls > 1000 or exits > 20000:
            raise Fail("%s, %d system calls, %d exits" % (found, calls,
                                                          exits))
        return "%d ns each, %d system calls, %d exits" % (
            found["ns"] // 100000, calls, exits)

    def check_kernel(self):
        """50000 of the kernel's own: no exit either"""
        self.has_page()
        found, exits = self.cost("call", 50000)
        if exits > 20000:
            raise Fail("%d exits" % exits)
        return "%d ns each, %d exits" % (found["ns"] // 50000, exits)

    def monotonic(self):
        found = [self.vm.start_job("vdso check %d" % (SECONDS * 1000))
                 for _ in range(self.cpus)]
        total = 0
        for n in found:
            status, text = self.vm.end_job(n, SECONDS * 10 + 60)
            lines = dict(l.split(": ") for l in text.strip().split("\n"))
            if status or int(lines["outside"]) or int(lines["backwards"]) or \
                    int(lines["failed"]):
                raise Fail(text)
            total += int(lines["readings"])
        return "%d readings on %d processors" % (total, self.cpus)

    def check_monotonic(self):
        """a program's readings lie between the kernel's, on all processors"""
        self.has_page()
        return self.monotonic()

    def offset(self):
        """How far behind the host, in ns, as the next sample sees it."""
        before = self.vm.number("sysctl get dev.hvtimesync.0.samples")
        until = time.monotonic() + 60
        while self.vm.number("sysctl get dev.hvtimesync.0.samples") == before:
            if time.monotonic() > until:
                raise Fail("no sample")
            time.sleep(0.5)
        return self.vm.number("sysctl get dev.hvtimesync.0.offset")

    def check_drift(self):
        """nobody sets the clock: less than 1 ms from the host's after a while
        with a pause in it"""
        first = self.offset()
        self.vm.ctl("pause")
        time.sleep(2)
        self.vm.ctl("resume")
        self.vm.sh("sleep %d" % (SECONDS * 1000), SECONDS * 10 + 60)
        last = self.offset()
        if abs(last - first) >= MS:
            raise Fail("%d ns, before %d ns" % (last, first))
        return "%.3f ms" % (abs(last - first) / MS)

    def check_timer(self):
        """the synthetic timers are the kernel's, on every processor"""
        self.is_set("kern.eventtimer.timer", "Hyper-V")
        return "%s events in 2 s" % self.ticking()

    def check_periodic(self):
        """periodic mode, and back: events on every processor"""
        self.vm.sh("sysctl set kern.eventtimer.periodic 1")
        found = self.ticking()
        self.vm.sh("sysctl set kern.eventtimer.periodic 0")
        self.ticking()
        return "%s events in 2 s" % found

    def check_other(self):
        """another timer is chosen: ours is quiet, until it is chosen again"""
        self.vm.sh("sysctl set kern.eventtimer.timer LAPIC")
        before = self.events()
        self.vm.sh("sleep 1000")
        if self.events() != before:
            raise Fail("events go on")
        self.vm.sh("sysctl set kern.eventtimer.timer Hyper-V")
        self.ticking()

    def check_sleep(self):
        """vmbus0 suspended and resumed: the timer is in use again"""
        self.vm.sh("dev suspend vmbus0\ndev resume vmbus0", 120)
        self.is_set("kern.eventtimer.timer", "Hyper-V")
        self.ticking()


class TimeMessage(Timed):
    """Events by messages on SINT 4; the modules in another order."""
    name = "time_message"
    modules = ("hv_vmbus", "hv_storvsc", "hv_time")
    kenv = {"hw.vmbus.et": "2"}

    def check_order(self):
        """of modules that the loader brought hv_time is the first to run"""
        self.is_set("kern.timecounter.hardware", "Hyper-V-TSC")

    def check_timer(self):
        """the kernel lives by messages, on every processor"""
        self.is_set("kern.eventtimer.timer", "Hyper-V")
        return "%s events in 2 s" % self.ticking()


class TimePti(Timed):
    """Page-table isolation: programs' page tables have of the modules what
    they were shown."""
    name = "time_pti"
    kenv = {"vm.pmap.pti": "1"}

    def check_timer(self):
        """events interrupt programs on both processors"""
        self.is_set("vm.pmap.pti", "1")
        jobs = [self.vm.start_job("vdso read 3000000")
                for _ in range(self.cpus)]
        found = self.ticking(1)
        for n in jobs:
            status, text = self.vm.end_job(n, 120)
            if status:
                raise Fail(text)
        return "%s events in 1 s" % found


class TimeOff(Timed):
    """All of it turned off by its tunables."""
    name = "time_off"
    kenv = {"hw.hvtime.tc": "0", "hw.hvtime.tsc_freq": "0", "hw.vmbus.et":
            "0", "hw.vmbus.crash": "0"}

    def check_off(self):
        """the kernel has its own time and timer, and hv_time can go"""
        found = self.vm.sysctl("kern.timecounter.choice") + " " + \
            self.vm.sysctl("kern.eventtimer.choice")
        if "Hyper-V" in found:
            raise Fail(found)
        self.vm.sh("not raw size /dev/hv_tsc\nkld unload hv_time.ko")
        return found


class TimeCounter(Timed):
    """A host without the page."""
    name = "time_counter"
    enlighten = "-tsc"

    def check_counter(self):
        """the counter is the kernel's time, an exit each; programs ask it"""
        self.is_set("kern.timecounter.hardware", "Hyper-V")
        if self.vm.counted("vdso")["enabled"]:
            raise Fail("programs are told to read something")
        found, exits = self.cost("call", 50000)
        if exits < 50000:
            raise Fail("%d exits for 50000 readings" % exits)
        return "%d ns each, %d exits" % (found["ns"] // 50000, exits)


class TimeBeside(Timed):
    """A kernel whose own drivers know Hyper-V."""
    name = "time_beside"
    beside = True

    def check_aside(self):
        """hv_time leaves the kernel its time, and can go"""
        self.is_set("kern.timecounter.hardware", "Hyper-V-TSC")
        self.vm.sh("kld unload hv_time.ko")
        self.is_set("kern.timecounter.hardware", "Hyper-V-TSC")

    def check_timer(self):
        """the event timer is our bus driver's"""
        self.is_set("kern.eventtimer.timer", "Hyper-V")
        return "%s events in 2 s" % self.ticking()


class TimeUnload(Timed):
    """Modules that come and go, on a root in memory."""
    name = "time_unload"
    root = "md"
    rounds = 20

    @property
    def files(self):
        return module_files("hv_vmbus", "hv_storvsc")

    def check_stays(self):
        """hv_time stays, time in use or not"""
        self.vm.sh("not kld unload hv_time.ko")
        self.is_set("kern.timecounter.hardware", "Hyper-V-TSC")

    def check_rounds(self):
        """hv_vmbus comes and goes, its timer in use; the kernel uses the
        LAPIC's meanwhile"""
        self.vm.sh("kld unload hv_storvsc.ko")
        for _ in range(self.rounds):
            self.is_set("kern.eventtimer.timer", "Hyper-V")
            self.vm.sh("kld unload hv_vmbus.ko", 120)
            self.is_set("kern.eventtimer.timer", "LAPIC")
            self.vm.load("hv_vmbus")
            self.vm.sh("sysctl set kern.eventtimer.timer Hyper-V")
        self.vm.load("hv_storvsc")
        self.ticking()


class TimeCrash(Timed):
    """A kernel that panics."""
    name = "time_crash"
    kenv = {"kern.panic_reboot_wait_time": "0", "debug.debugger_on_panic":
            "0"}

    def check_report(self):
        """the host has the panic's text, and where it was"""
        self.vm.type("power panic 1\n. 0\n")
        self.vm.expect("^panic: " + PANIC, what="sign of a panic")
        self.vm.wait_up(AGAIN_LIMIT)
        crash = json.loads(self.vm.ctl("--json", "status"))["crash"]
        if not crash or not crash["text"].startswith("panic: " + PANIC):
            raise Fail(str(crash))
        if int(crash["params"][2], 0) == 0:
            raise Fail("no address: %s" % crash)
        return "%s at %s" % (crash["text"].split("\n")[0],
                             crash["params"][2])


class TimeIsolated(Timed):
    """An isolated partition."""
    name = "isolated"
    root = "md"
    enlighten = "isolation=snp"

    def check_refused(self):
        """the bus does not attach, and says so once"""
        said = self.vm.dmesg("hv_vmbus: isolated partition")
        if len(said) != 1:
            raise Fail(str(said))
        if any(d.name == "vmbus0" and d.state == "attached"
               for d in self.vm.devices()):
            raise Fail("vmbus0 is there")
        return said[0]
