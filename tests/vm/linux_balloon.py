# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Dynamic memory under Linux's own driver (hv_balloon)."""

import json
import random
import re

from guest import Fail
from images import MIB
from linux_basic import complaints
from linux_services import until
from suite import Boot

ORDERS = 40


class Balloon(Boot):
    """A guest that can spare some."""
    name = "balloon"
    cpus = 1
    memory = 384
    modules = ("hv_balloon",)
    order = 30

    def asked(self):
        return json.loads(self.vm.ctl("--json", "memory"))

    def meminfo(self, name):
        text = self.vm.sh("cat /proc/meminfo")
        return int(re.search(r"^%s: +(\d+) kB" % name, text, re.M)[1]) << 10

    def set(self, size):
        """hvctl memory set, as far as the guest goes; what it has then."""
        try:
            self.vm.ctl("memory", "set", "%d" % size)
        except Fail as e:
            if "gives up no more" not in str(e):
                raise
        return self.asked()["assigned"]

    def check_ready(self):
        """Linux agrees on 2.0 and can balloon"""
        until(lambda: self.asked()["state"] == "ready", "the driver")
        self.total = self.asked()["total"]
        self.managed = self.meminfo("MemTotal")
        self.available = self.meminfo("MemAvailable")
        versions = {s["name"]: s.get("version") for s in json.loads(
            self.vm.ctl("--json", "services"))["services"]}
        if versions["memory"] != "2.0":
            raise Fail(str(versions))

    def check_up(self):
        """64 MiB go to the host: MemTotal and MemAvailable say so"""
        if self.set(self.total - 64 * MIB) != self.total - 64 * MIB:
            raise Fail(str(self.asked()))
        fewer = (self.managed - self.meminfo("MemTotal"),
                 self.available - self.meminfo("MemAvailable"))
        if fewer[0] != 64 * MIB or not 48 * MIB < fewer[1] < 80 * MIB:
            raise Fail("fewer by %d and %d" % fewer)
        return "fewer by %.1f and %.1f MiB" % (fewer[0] / MIB,
                                               fewer[1] / MIB)

    def back(self):
        if self.set(self.total) != self.total:
            raise Fail(str(self.asked()))
        lost = self.managed - self.meminfo("MemTotal")
        if lost != 0:
            raise Fail("%d bytes are missing" % lost)

    def check_down(self):
        """and come back"""
        self.back()

    def check_bound(self):
        """asked for all, Linux stops where it thinks fit"""
        left = self.set(16 * MIB)
        if left < 40 * MIB or self.asked()["refused"] != 1:
            raise Fail(str(self.asked()))
        return "%.0f MiB are left" % (left / MIB)

    def check_reports(self):
        """what it needs is reported, from 45 s after its start on"""
        def reported():
            m = self.asked()
            return m["reports"] >= 2 and m
        m = until(reported, "reports", 180)
        if not 0 < m["demand"] <= self.total:
            raise Fail(str(m))
        return "needs %.0f MiB" % (m["demand"] / MIB)

    def check_orders(self):
        """random orders up and down"""
        rng = random.Random(7)
        for _ in range(ORDERS):
            self.set(self.total - rng.randrange(self.total // 2))
        m = self.asked()
        if m["bad"] or m["bad_ranges"] or m["timeouts"] or m["stale"]:
            raise Fail(str(m))

    def check_back(self):
        """and after all that it has what it had"""
        self.back()

    def check_quiet(self):
        """the kernel complains of nothing"""
        complaints(self.vm, "hv_balloon.*(fail|unhandled|error)")
