# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Drivers that come and go: modules loaded and unloaded, beside a kernel's own
drivers as well, and the device tree suspended and resumed."""


from freebsd_guest import (CACHES, FreeBsd, MODULES, SCSI_CLASS, in_tree,
                           module_files)
from guest import Fail
from images import MIB, pattern, put, sha256
from suite import Skip

NAMES = ("hv_vmbus", "hv_storvsc")
PATHS = ["/boot/modules/%s.ko" % m for m in NAMES]


class Module(FreeBsd):
    """Our modules are files on a root in memory, not preloaded."""
    root = "md"
    modules = ()
    size = 8 * MIB

    @property
    def files(self):
        return module_files(*NAMES)

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        super().start()

    def disks(self):
        self.disk = put(self.path("disk.img"), pattern(7, self.size))
        return ["--disk", "scsi,file=" + self.disk]

    def whole(self, device="da0"):
        """Fails unless the disk reads what its image holds."""
        self.vm.within("raw size /dev/" + device, device)
        if self.vm.sh("raw sum /dev/" + device, 120) != sha256(self.disk):
            raise Fail("%s reads other bytes" % device)


class Reload(Module):
    name = "reload"
    cpus = 2
    order = 2
    warm = 3
    rounds = 100

    def start(self):
        if MODULES and in_tree():
            # It has to be first on the bus (`beside').
            self.modules = NAMES
        super().start()

    def check_depends(self):
        """hv_storvsc brings hv_vmbus along, holds it, and takes it away"""
        if self.modules:
            for m in reversed(NAMES):
                self.vm.sh("kld unload %s.ko" % m)
        self.vm.sh("not kld find hv_vmbus.ko\nkld load " + PATHS[1])
        self.whole()
        self.vm.sh("not kld unload hv_vmbus.ko\nkld unload hv_storvsc.ko\n"
                   "not kld find hv_vmbus.ko\nnot raw size /dev/da0")

    def state(self):
        found = self.vm.held("dev", "hw", "kern", "vm", "kern.cam")
        found["devices"] = len(self.vm.devices())
        return found

    def check_rounds(self):
        """both modules loaded and unloaded 100 times, da0 read each time"""
        command = "kld rounds %d /dev/da0 %s"
        self.vm.sh(command % (self.warm, " ".join(PATHS)), 300)
        self.before = self.state()
        self.vm.sh(command % (self.rounds, " ".join(PATHS)), 1500)
        return "%d rounds" % self.rounds

    def check_leaks(self):
        """nothing is left of those: memory, sysctls, devices"""
        after = self.state()
        # What grows with each round is a leak.  Others, threads that the kernel
        # keeps for the next ones for instance, grow by a slab at times.
        more = ["%s: %d, %d" % (k, self.before.get(k, 0), n)
                for k, n in sorted(after.items())
                if (n - self.before.get(k, 0) >= self.rounds * 9 // 10 and
                    k not in CACHES) or
                (k.startswith("sysctl ") and n != self.before.get(k))]
        mine = [k for k in after if after[k] != 0 and k in
                ("malloc vmbus", "malloc storvsc", "malloc hyperv")]
        if more or mine:
            raise Fail("; ".join(more + mine))
        return "%d counters" % len(after)

    def check_quiet(self):
        """the kernel complains of nothing but a disk that went while it was
        looked at"""
        self.quiet(r"got CAM status 0x448|failed to attach")

    def check_once_more(self):
        """after all that a disk is what it was, and can be written"""
        self.vm.sh("kld load %s\nkld load %s" % tuple(PATHS))
        self.whole()
        self.vm.sh("raw write /dev/da0 0 1m 9 64k\n"
                   "raw check /dev/da0 0 1m 9 64k")


class Suspend(Module):
    name = "suspend"
    cpus = 2
    order = 40
    modules = NAMES

    def check_idle(self):
        """vmbus0 suspended and resumed: da0 works again, its channels new"""
        self.whole()
        self.vm.sh("dev suspend vmbus0\ndev resume vmbus0", 120)
        self.whole()

    def check_paused(self):
        """the host pauses the machine while vmbus0 is suspended"""
        self.vm.sh("dev suspend vmbus0", 120)
        self.vm.ctl("pause")
        self.vm.ctl("resume")
        self.vm.sh("dev resume vmbus0", 120)
        self.whole()

    def check_under_load(self):
        """suspended and resumed amid I/O: requests wait, none is lost"""
        self.vm.sh("raw write /dev/da0 0 1m 5 64k")
        job = self.vm.start_job(
            "repeat 40 raw check /dev/da0 0 1m 5 64k")
        self.vm.sh("sleep 500")
        for _ in range(3):
            self.vm.sh("dev suspend vmbus0", 120)
            self.vm.sh("sleep 200\ndev resume vmbus0", 120)
        status, text = self.vm.end_job(job, 300)
        if status != 0:
            raise Fail(text)
        self.whole()

    def check_loads(self):
        """in the end the modules are unloaded as ever"""
        for m in reversed(NAMES):
            self.vm.sh("kld unload %s.ko" % m)


class Eoi(FreeBsd):
    """Interrupts that the processor ends, since the host recommends against
    those that end themselves.  All other guests have these."""
    name = "eoi"
    cpus = 4
    order = 45

    def options(self):
        return super().options() + ["--no-autoeoi"]

    def check_interrupts(self):
        """interrupts come to each processor, and each one ends"""
        self.ours()
        before = self.taken()
        jobs = [self.vm.start_job("repeat 5 raw sum /dev/da0 0 256k")
                for _ in range(8)]
        for j in jobs:
            status, text = self.vm.end_job(j, 300)
            if status != 0:
                raise Fail(text)
        after = self.taken()
        if sum(after) <= sum(before):
            raise Fail("%s, then %s" % (before, after))
        return "taken: " + " ".join(map(str, after))

    def taken(self):
        return [self.vm.number(
            "sysctl get dev.vmbus.0.cpu.%d.interrupts" % n)
            for n in range(self.cpus)]


class Beside(Module):
    """A kernel with drivers of its own, which have the bus: ours come late."""
    name = "beside"
    order = 55

    def start(self):
        if MODULES and not in_tree():
            raise Skip("this kernel has no drivers of its own")
        super().start()

    def check_late(self):
        """loaded too late, ours leave the bus alone and say what to do"""
        self.whole()
        self.vm.sh("kld load %s\nkld load %s" % tuple(PATHS))
        line = self.vm.dmesg("hv_vmbus: vmbus0 has another driver")[-1]
        mine = [d for d in self.vm.devices("children", "vmbus0")
                if SCSI_CLASS in d.pnpinfo]
        if [d.state for d in mine] != ["attached"]:
            raise Fail(str(mine))
        self.whole()
        return line

    def check_unload(self):
        """and they can be unloaded, the kernel's go on"""
        for m in reversed(NAMES):
            self.vm.sh("kld unload %s.ko" % m)
        self.whole()
