# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The integration services that need no daemon, on a real kernel: heartbeat,
time synchronisation, shutdown by the host; and their module."""

import json
import re
import time

from freebsd_guest import FreeBsd, MODULES, in_nested_rig, module_files
from guest import Fail
from suite import Skip

MODULE = "hv_utils"
DEVICES = {"hvheartbeat": ("3.0", "57164f39-9115-4e78-ab55-382f3bd5422d"),
           "hvshutdown": ("3.2", "0e0b6031-5213-4934-818b-38d90ced39db"),
           "hvtimesync": ("4.0", "9527e630-d0ae-497b-adce-e80ab0175caf")}
MS = 1000000                            # in ns
SEC = 1000 * MS
# What emulated processors take for the same.
SLOW = 30 if in_nested_rig() else 1


class Service(FreeBsd):
    """Services, offered as hvhost does by default."""
    modules = ("hv_vmbus", "hv_storvsc", MODULE)

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        super().start()

    def asked(self, *words):
        """What hvctl knows, as a dictionary."""
        return json.loads(self.vm.ctl("--json", *words))

    def clock(self, name):
        return int(self.vm.sysctl("dev.hvtimesync.0." + name))

    def later(self, name, than, seconds=60):
        """Waits until a counter of time synchronisation is above that."""
        until = time.monotonic() + seconds
        while self.clock(name) <= than:
            if time.monotonic() > until:
                raise Fail("no %s within %d s" % (name, seconds))
            time.sleep(0.5)

    def offset(self):
        """By how many ns the guest is behind, as the next sample sees it."""
        self.later("samples", self.clock("samples"))
        return self.clock("offset")

    def close(self, limit=MS):
        ns = self.offset()
        if abs(ns) >= limit:
            raise Fail("behind by %.3f ms" % (ns / MS))
        return "%.3f ms" % (ns / MS)

    def heart(self):
        """The heartbeat as the host sees it, after another one."""
        before = self.asked("heartbeat")["answered"]
        until = time.monotonic() + 60
        while True:
            h = self.asked("heartbeat")
            if h["answered"] > before:
                return h
            if time.monotonic() > until:
                raise Fail("no heartbeat: %s" % h)
            time.sleep(0.5)


class Services(Service):
    name = "services"
    cpus = 2
    order = 20

    def check_devices(self):
        """heartbeat, shutdown and time are attached, newest versions"""
        found = {d.driver: d for d in self.vm.devices("children", "vmbus0")}
        for name, (version, guid) in DEVICES.items():
            d = found.get(name)
            if d is None or d.state != "attached" or guid not in d.pnpinfo:
                raise Fail("%s: %s" % (name, d))
            self.vm.within("sysctl get dev.%s.0.requests" % name, name)
            said = (self.vm.sysctl("dev.%s.0.fw_version" % name),
                    self.vm.sysctl("dev.%s.0.msg_version" % name))
            if said != ("3.0", version):
                raise Fail("%s: %s" % (name, said))
        states = {s["name"]: s for s in self.asked("services")["services"]}
        for name in ("heartbeat", "shutdown", "time"):
            if states[name]["state"] != "ready":
                raise Fail("the host: %s" % states[name])

    def check_boot_time(self):
        """the clock is the host's, to less than 1 ms, from boot on"""
        return self.close()

    def check_heartbeat(self):
        """the host sees a guest that is well"""
        h = self.heart()
        if h["state"] != "ok" or h["wrong"] or h["missed"]:
            raise Fail(str(h))
        return "answered in %.3f ms" % (h["rtt_last"] / MS)

    def check_heartbeat_load(self):
        """heartbeats are answered in time while both processors do I/O"""
        jobs = [self.vm.start_job("repeat 60 raw sum /dev/da0 0 1m")
                for _ in range(4)]
        slowest = max(self.heart()["rtt_last"] for _ in range(4))
        for j in jobs:
            self.vm.run("job kill %d" % j)
            self.vm.run("job wait %d" % j)
        if slowest > 10 * MS * SLOW:
            raise Fail("%.3f ms" % (slowest / MS))
        return "slowest %.3f ms" % (slowest / MS)

    def check_step(self):
        """the host's clock steps by 5 s and tells: less than 1 ms is left"""
        syncs = self.clock("syncs")
        self.vm.ctl("time", "step", "5s")
        self.later("syncs", syncs)
        return self.close()

    def check_step_back(self):
        """the same backwards"""
        syncs = self.clock("syncs")
        self.vm.ctl("time", "step", "-5s")
        self.later("syncs", syncs)
        return self.close()

    def check_wall(self):
        """the guest's clock shows the host's time, as far as a console can
        tell"""
        before = time.time_ns()
        shown = self.vm.number("clock")
        after = time.time_ns()
        if not before - MS < shown < after + MS:
            raise Fail("%d, not %d to %d" % (shown, before, after))

    def check_slew(self):
        """a sample that is 20 ms off has the clock slewed, at 500 ppm"""
        steps, slews = self.clock("steps"), self.clock("slews")
        self.vm.ctl("time", "step", "20ms", "--sample")
        first, begin = self.offset(), time.monotonic()
        last, end = self.offset(), time.monotonic()
        for _ in range(2):
            last, end = self.offset(), time.monotonic()
        rate = (first - last) / ((end - begin) * 1e9) * 1e6
        if self.clock("steps") != steps or self.clock("slews") <= slews:
            raise Fail("it was set, not slewed")
        if not 200 < rate < 900 or last > first:
            raise Fail("%.1f ms, then %.1f ms: %.0f ppm" % (
                first / MS, last / MS, rate))
        return "from %.2f to %.2f ms behind in %.0f s" % (
            first / MS, last / MS, end - begin)

    def check_behind(self):
        """a sample sets a clock that is 2 s behind"""
        steps = self.clock("steps")
        self.vm.ctl("time", "step", "2s", "--sample")
        self.later("steps", steps)
        return self.close()

    def check_ahead(self):
        """no sample sets a clock back, and a sync does"""
        steps, before = self.clock("steps"), self.vm.number("clock")
        self.vm.ctl("time", "step", "-2s", "--sample")
        ns = self.offset()
        if not -2100 * MS < ns < -1900 * MS or self.clock("steps") != steps:
            raise Fail("behind by %.3f ms" % (ns / MS))
        if self.vm.number("clock") < before:
            raise Fail("time went back")
        self.vm.ctl("time", "sync")
        return self.close()

    def check_ntp(self):
        """samples leave a clock alone that somebody else disciplines"""
        slews = self.clock("slews")
        self.vm.sh("clock ntp on")
        self.vm.ctl("time", "step", "50ms", "--sample")
        self.offset()
        ns = self.offset()
        self.vm.sh("clock ntp off")
        if not 40 * MS < ns < 60 * MS or self.clock("slews") > slews + 1:
            raise Fail("behind by %.3f ms" % (ns / MS))
        self.vm.ctl("time", "sync")
        self.close()

    def check_off(self):
        """with ignore_sync and sample_thresh=0 the clock is not touched"""
        self.vm.sh("sysctl set hw.hvtimesync.ignore_sync 1\n"
                   "sysctl set hw.hvtimesync.sample_thresh 0")
        self.vm.ctl("time", "step", "3s")
        ns = self.offset()
        self.vm.sh("sysctl set hw.hvtimesync.ignore_sync 0\n"
                   "sysctl set hw.hvtimesync.sample_thresh 100")
        if not 2990 * MS < ns < 3010 * MS:
            raise Fail("behind by %.3f ms" % (ns / MS))
        self.vm.ctl("time", "sync")
        self.close()

    def check_paused(self):
        """the host pauses the machine for 3 s, which the clock makes up
        for"""
        self.vm.ctl("pause")
        time.sleep(3)
        self.vm.ctl("resume")
        return self.close()

    def check_suspend(self):
        """vmbus0 suspended and resumed: the services are there again"""
        self.vm.sh("dev suspend vmbus0\nsleep 500\ndev resume vmbus0", 120)
        h = self.heart()
        if h["state"] != "ok":
            raise Fail(str(h))
        return self.close()

    def check_reload(self):
        """the module is unloaded and loaded 20 times, leaves nothing behind
        and works"""
        for _ in range(20):
            self.vm.sh("kld unload %s.ko\nkld load /boot/modules/%s.ko" % (
                MODULE, MODULE))
        self.vm.sh("kld unload %s.ko" % MODULE)
        held = self.vm.counted("vmstat malloc hvic")
        if any(held.values()):
            raise Fail(str(held))
        self.vm.sh("not sysctl get dev.hvtimesync.0.syncs\n"
                   "kld load /boot/modules/%s.ko" % MODULE)
        h = self.heart()
        if h["state"] != "ok":
            raise Fail(str(h))
        return self.close()

    @property
    def files(self):
        return module_files(MODULE)

    def check_hibernate(self):
        """hibernation is refused, and the guest goes on"""
        why = self.vm.refuses("hibernate")
        self.vm.dmesg("hvshutdown0: the host's request is refused")
        return why

    def check_bad(self):
        """nothing of what the host sent made no sense"""
        for name in DEVICES:
            for counter in ("bad_messages", "dropped"):
                n = self.vm.number("sysctl get dev.%s.0.%s" % (name, counter))
                if n:
                    raise Fail("dev.%s.0.%s: %d" % (name, counter, n))

    def obeyed(self, order, what):
        """Gives hvctl's order; ms until init has heard of it."""
        self.vm.sh("power obey")
        begin = time.monotonic()
        self.vm.ctl(order)
        self.vm.expect(r"^@init asked for %s at \d+" % what,
                       what="init's word")
        took = (time.monotonic() - begin) * 1000
        if took > 100 * SLOW:
            raise Fail("%.0f ms" % took)
        return "init knew after %.0f ms" % took

    def check_reboot(self):
        """a reboot by the host reaches init, which starts the kernel anew"""
        told = self.obeyed("reboot", "reboot")
        self.vm.wait_up()
        self.heart()
        return told

    def check_poweroff(self):
        """a shutdown by the host reaches init, and ends hvhost well"""
        self.vm.exits()
        told = self.obeyed("shutdown", "power-off")
        self.ends_well(self.vm.wait())
        return told


class Without(Service):
    name = "noservices"
    order = 61

    def options(self):
        return super().options() + ["--services", "none"]

    def check_none(self):
        """a host that offers no services: no devices, and no complaint"""
        names = [d.name for d in self.vm.devices("children", "vmbus0")
                 if re.match("hv(heartbeat|shutdown|timesync)", d.name)]
        if names:
            raise Fail(" ".join(names))
        files = re.findall(r"^(\S+\.ko) ", self.vm.sh("kld list"), re.M)
        if MODULE + ".ko" not in files:
            raise Fail("only: " + " ".join(files))
