# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What processors ask of each other: TLB shoot-downs and IPIs by hypercall, a
processor that goes by a translation that is gone, and the kernel's own way
when the tunables say so."""

import re

from freebsd_guest import KERNEL, FreeBsd
from guest import Fail

COUNTS = ("tlb_flushes", "tlb_fallbacks", "ipis", "ipi_fallbacks")
# Milliseconds for a torture.
TORTURE = 4000
COST_TIMES = 400


class Smp(FreeBsd):
    """Processors under torture."""
    order = 15
    hypercalls = True

    @property
    def patched(self):
        """Whether the kernel has patches/ipi-set.patch."""
        with open(KERNEL, "rb") as f:
            return b"\0ipi_set_hook\0" in f.read()

    def counts(self):
        return {n: self.vm.number("sysctl get dev.vmbus.0." + n)
                for n in COUNTS}

    def used(self, command, limit=120):
        """(what it prints, how far our counters and KVM's exits moved)"""
        before, exits = self.counts(), self.vm.exits()
        status, text = self.vm.run(command, limit)
        if status != 0:
            raise Fail("status %d: %s" % (status, text))
        after, now = self.counts(), self.vm.exits()
        moved = {n: after[n] - before[n] for n in COUNTS}
        moved["exits"] = now.get("exits", 0) - exits.get("exits", 0)
        return dict(re.findall(r"^(\w+): (\d+)", text, re.M)), moved

    def check_torture(self):
        """pages remapped, write-protected and forked while all processors use
        them: none goes by a translation that is gone"""
        self.ours()
        done, moved = self.used("tlb torture %d" % TORTURE)
        if int(done["faults"]) == 0 or int(done["forks"]) == 0:
            raise Fail("nothing was tried: %s" % done)
        self.moved(moved)
        return " ".join("%s %s" % i for i in done.items())

    def moved(self, moved):
        """Fails unless the way that was meant to be gone was gone."""
        if moved["tlb_fallbacks"] or moved["ipi_fallbacks"]:
            raise Fail("the host left some to us: %s" % moved)
        if (moved["tlb_flushes"] > 0) != self.hypercalls:
            raise Fail("shoot-downs: %s" % moved)
        # An x2APIC sends an IPI by one exit itself.  A patched kernel may have
        # sent one to a set.
        x2apic = self.vm.number("sysctl get hw.apic.x2apic_mode")
        if x2apic and self.patched and self.hypercalls:
            return
        if (moved["ipis"] > 0) != (self.hypercalls and not x2apic):
            raise Fail("IPIs: %s" % moved)

    def check_cost(self):
        """a change that all processors must see, and what it takes"""
        self.ours()
        done, moved = self.used("tlb cost %d" % COST_TIMES)
        # A processor that runs something else meanwhile has nothing to forget.
        if self.hypercalls and moved["tlb_flushes"] < COST_TIMES // 2:
            raise Fail("too few by hypercall: %s" % moved)
        return "%.1f exits, %s us" % (moved["exits"] / COST_TIMES,
                                      int(done["ns"]) // 1000)

    def check_disk(self):
        """and the disk's bytes are right amid all that"""
        self.ours()
        job = self.vm.start_job("tlb torture %d" % TORTURE)
        self.vm.sh("raw write /dev/da0 4m 2m 9 64k\n"
                   "raw check /dev/da0 4m 2m 9 64k", 120)
        status, text = self.vm.end_job(job)
        if status != 0:
            raise Fail("status %d: %s" % (status, text))


class Two(Smp):
    name = "smp2"
    cpus = 2


class Four(Smp):
    name = "smp4"
    cpus = 4


class Memory(Smp):
    """With an APIC in memory, where an IPI takes several exits."""
    name = "smpxapic"
    cpus = 4
    kenv = {"hw.apic.x2apic_mode": "0"}

    def check_mode(self):
        """the APIC is in memory"""
        if self.vm.sysctl("hw.apic.x2apic_mode") != "0":
            raise Fail("it is not")


class Off(Smp):
    """The same, by the kernel's own means."""
    name = "smpoff"
    cpus = 4
    hypercalls = False
    kenv = {"hw.vmbus.tlb_hcall": "0", "hw.vmbus.ipi_hcall": "0"}
