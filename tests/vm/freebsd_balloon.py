# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Dynamic memory on a real kernel: the host takes memory and gives it back
(hvctl memory), also while the guest works, and asks for more than there is."""

import random
import time

from freebsd_guest import module_files
from freebsd_services import MODULE, Service
from guest import Fail
from images import MIB

DEV = "dev.hvballoon.0."
PAGE = 4096
ORDERS = 220


class Balloon(Service):
    name = "balloon"
    order = 25

    @property
    def files(self):
        return module_files(MODULE)

    def number(self, name):
        return self.vm.number("sysctl get " + DEV + name)

    def free(self):
        """Memory that nobody uses or needs to write out first, bytes."""
        return PAGE * sum(self.vm.number("sysctl get vm.stats.vm.v_%s_count" %
                                         n) for n in ("free", "inactive"))

    def set(self, size):
        """hvctl memory set, as far as the guest goes; what it has then."""
        p = self.give(size)
        if p not in (0, 1):
            raise Fail("hvctl ends with %d" % p)
        return self.asked("memory")["assigned"]

    def give(self, size):
        try:
            self.vm.ctl("memory", "set", "%d" % size)
            return 0
        except Fail as e:
            if "gives up no more" not in str(e):
                raise
            return 1

    def until_ready(self):
        end = time.monotonic() + 60
        while self.asked("memory")["state"] != "ready":
            if time.monotonic() > end:
                raise Fail("not ready: %s" % self.asked("memory"))
            time.sleep(0.5)

    def all_back(self):
        """All memory is the guest's; by how much its own count is lower."""
        if self.set(self.total) != self.total:
            raise Fail(str(self.asked("memory")))
        end = time.monotonic() + 30
        while self.number("ballooned") != 0:
            if time.monotonic() > end:
                raise Fail("%d pages are out" % self.number("ballooned"))
            time.sleep(0.2)
        lost = self.before - self.free()
        if lost > 4 * MIB:
            raise Fail("%.1f MiB are missing" % (lost / MIB))
        return "%+.1f MiB" % (-lost / MIB)

    def check_ready(self):
        """the newest version, and reports of what the guest needs"""
        self.until_ready()
        if self.vm.sysctl(DEV + "version") != "2.0":
            raise Fail(self.vm.sysctl(DEV + "version"))
        end = time.monotonic() + 60
        while self.asked("memory")["reports"] < 3:
            if time.monotonic() > end:
                raise Fail("no reports")
            time.sleep(0.5)
        m = self.asked("memory")
        self.total = m["total"]
        self.before = self.free()
        if abs(m["available"] - self.before) > 8 * MIB or \
                m["demand"] > self.total:
            raise Fail("free are %d: %s" % (self.before, m))
        return "needs %.0f MiB of %.0f, %.0f are available" % (
            m["demand"] / MIB, self.total / MIB, m["available"] / MIB)

    def check_up(self):
        """64 MiB go to the host: the guest has so much less"""
        if self.set(self.total - 64 * MIB) != self.total - 64 * MIB:
            raise Fail(str(self.asked("memory")))
        if self.number("ballooned") != 64 * MIB // PAGE:
            raise Fail("%d pages" % self.number("ballooned"))
        fewer = self.before - self.free()
        if not 62 * MIB < fewer < 68 * MIB:
            raise Fail("%.1f MiB fewer are free" % (fewer / MIB))

    def check_down(self):
        """and come back"""
        return self.all_back()

    def check_bound(self):
        """all that it can give: the guest keeps its floor and lives"""
        left = self.set(16 * MIB)
        floor = self.number("floor") * PAGE
        free = self.free()
        if self.number("refused") == 0 or free < floor - 4 * MIB:
            raise Fail("%.1f MiB are free, the floor is %.1f" % (
                free / MIB, floor / MIB))
        if free > floor + 16 * MIB:
            raise Fail("%.1f MiB more could be had" % ((free - floor) / MIB))
        self.vm.sh("raw sum /dev/da0 0 4m", 120)
        return "%.0f MiB left, %.0f of them free" % (left / MIB, free / MIB)

    def check_unload(self):
        """the module is unloaded at the bound, and has all of it again"""
        self.vm.sh("kld unload %s.ko" % MODULE)
        if self.asked("memory")["ballooned"] != 0:
            raise Fail(str(self.asked("memory")))
        held = self.vm.counted("vmstat malloc hvballoon")
        if any(held.values()):
            raise Fail(str(held))
        lost = self.before - self.free()
        if lost > 4 * MIB:
            raise Fail("%.1f MiB are missing" % (lost / MIB))
        self.vm.sh("kld load /boot/modules/%s.ko" % MODULE)
        self.until_ready()

    def check_suspend(self):
        """vmbus0 suspended with memory out: all is there, and goes again"""
        self.set(self.total - 32 * MIB)
        self.vm.sh("dev suspend vmbus0\nsleep 500\ndev resume vmbus0", 120)
        self.until_ready()
        if self.number("ballooned") != 0:
            raise Fail("%d pages are out" % self.number("ballooned"))
        self.set(self.total - 32 * MIB)
        return self.all_back()

    def check_orders(self):
        """random orders, up to the bound and down, while the disk is read"""
        rng = random.Random(20)
        jobs = [self.vm.start_job("repeat 10000 raw sum /dev/da0 0 1m")
                for _ in range(2)]
        cut = 0
        for i in range(ORDERS):
            size = 16 * MIB if rng.random() < 0.04 else \
                self.total - rng.randrange(self.total // 2)
            cut += self.give(size)
        for j in jobs:
            status, text = self.vm.run("job poll %d" % j)
            if status == 0:
                raise Fail("a job has ended: " + text)
            self.vm.run("job kill %d" % j)
            self.vm.run("job wait %d" % j)
        self.vm.sh("echo alive")
        for name in ("bad_messages", "bad_ranges"):
            if self.number(name):
                raise Fail("%s: %d" % (name, self.number(name)))
        m = self.asked("memory")
        if m["bad"] or m["bad_ranges"] or m["timeouts"]:
            raise Fail(str(m))
        return "%d orders, %d of them cut short" % (ORDERS, cut)

    def check_back(self):
        """and after all that it has what it had"""
        return self.all_back()
