# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Key-value pairs on a real kernel: hvkvp(4)'s device and the pools of
hv_kvp_daemon(8), in capability mode and on UFS.  What the daemon needs other
programs for, facts and addresses, is for the hosted tests."""

import json
import time

from freebsd_guest import module_files
from freebsd_services import MODULE, Service
from guest import Fail


class Kvp(Service):
    name = "kvp"
    cpus = 2
    order = 30
    modules = ("hv_vmbus", "hv_storvsc", "hv_netvsc", MODULE)
    root_size = 16 << 20

    def options(self):
        return super().options() + ["--net", "user"]

    def start(self):
        super().start()
        self.vm.within("dev children vmbus0", "devices")
        self.vm.writable_root()
        self.daemon = None

    def serve(self):
        """A daemon, if none runs."""
        if self.daemon is None:
            self.daemon = self.vm.start_job("kvp serve")

    def kill(self):
        self.serve()
        self.vm.run("job kill %d" % self.daemon)
        said = self.vm.end_job(self.daemon)[1]
        self.daemon = None
        return said

    def get(self, key, pool="external"):
        return json.loads(self.vm.ctl("--json", "kvp", "get", key, "--pool",
                                      pool))["value"]

    def listed(self, pool="external"):
        return {i["key"]: i["value"] for i in json.loads(self.vm.ctl(
            "--json", "kvp", "list", "--pool", pool))["items"]}

    def size(self, pool):
        for line in self.vm.sh("kvp files").split("\n"):
            number, size = line.split()
            if int(number) == pool:
                return int(size)
        raise Fail("there is no file of pool %d" % pool)

    def check_device(self):
        """hvkvp0 is attached and has its device, versions are agreed on"""
        names = [d.name for d in self.vm.devices("children", "vmbus0")
                 if d.state == "attached"]
        if "hvkvp0" not in names:
            raise Fail(" ".join(names))
        version = self.vm.sysctl("dev.hvkvp.0.msg_version")
        if version != "4.0":
            raise Fail(version)

    def check_first(self):
        """a request that comes before any daemon waits for the first"""
        begin = time.monotonic()
        self.daemon = self.vm.start_job("do 'sleep 1500; kvp serve'")
        self.vm.ctl("kvp", "set", "first", "value")
        took = time.monotonic() - begin
        if self.get("first") != "value":
            raise Fail("another value")
        return "after %.1f s" % took

    def check_pairs(self):
        """pairs of each type and pool, long ones, other alphabets"""
        self.serve()
        pairs = {"one": "1", "two words": "a;b\tc\nd",
                 "k" * 250: "ä€😀" * 200}
        for pool, number in (("external", 0), ("guest", 1),
                             ("auto-external", 3)):
            for key, value in pairs.items():
                self.vm.ctl("kvp", "set", key, value, "--pool", pool)
            self.vm.ctl("kvp", "set", "number", "4000000000", "--type", "u32",
                        "--pool", pool)
            self.vm.ctl("kvp", "set", "large", "1" + "0" * 18, "--type",
                        "u64", "--pool", pool)
            got = self.listed(pool)
            got.pop("first", None)
            if got != dict(pairs, number="4000000000", large="1" + "0" * 18):
                raise Fail("%s: %r" % (pool, got))
            self.vm.ctl("kvp", "delete", "one", "--pool", pool)
            self.vm.refuses("kvp", "get", "one", "--pool", pool)
            self.vm.refuses("kvp", "delete", "one", "--pool", pool)
            if self.size(number) != len(self.listed(pool)) * 2560:
                raise Fail("the file of %s: %d" % (pool, self.size(number)))

    def check_changes(self):
        """a value that changes is written anew, and stays when the daemon
        is killed"""
        self.serve()
        for n in range(20):
            self.vm.ctl("kvp", "set", "changing", str(n))
        self.vm.ctl("kvp", "set", "other", "x")
        self.kill()
        self.serve()
        if self.get("changing") != "19" or self.get("other") != "x":
            raise Fail(str(self.listed()))

    def check_capabilities(self):
        """all of it happened in capability mode"""
        said = self.kill()
        if "capability" in said or "rights" in said or "damaged" in said:
            raise Fail(said)

    def taken(self, ms, timeout, *order):
        """Has a request taken and not answered: seconds until the host hears
        that it failed, and what it was."""
        if self.daemon is not None:
            self.kill()
        self.vm.sh("sysctl set dev.hvkvp.0.timeout %d" % timeout)
        job = self.vm.start_job("kvp take %d" % ms)
        begin = time.monotonic()
        self.vm.refuses(*order)
        took = time.monotonic() - begin
        self.vm.run("job kill %d" % job)
        said = self.vm.end_job(job)[1]
        self.vm.sh("sysctl set dev.hvkvp.0.timeout 5")
        return took, said

    def check_hangs(self):
        """a daemon that takes a request and never answers: the host hears of
        it in time"""
        late = self.vm.number("sysctl get dev.hvkvp.0.timeouts")
        took, _ = self.taken(600000, 2, "kvp", "set", "never", "1")
        if self.vm.number("sysctl get dev.hvkvp.0.timeouts") != late + 1:
            raise Fail("no time-out was counted")
        if took > 8:
            raise Fail("%.1f s" % took)
        self.serve()
        if "never" in self.listed():
            raise Fail("it was stored")
        return "after %.1f s" % took

    def check_dies(self):
        """one that dies with a request in its hands: the host hears of it at
        once"""
        took, _ = self.taken(500, 60, "kvp", "set", "never", "1")
        if took > 10:
            raise Fail("%.1f s" % took)
        return "after %.1f s" % took

    def check_adapter(self):
        """the host names an adapter by its GUID, the daemon hears hn0"""
        self.vm.within("dev children vmbus0", "hn0")
        _, said = self.taken(500, 60, "kvp", "ip", "--set", "--address",
                             "10.1.2.3", "--subnet", "255.0.0.0")
        if 'took operation 5 of "hn0"' not in said:
            raise Fail(said)

    def check_reload(self):
        """the module goes with a request in a daemon's hands, and comes
        again"""
        self.vm.run("job start kvp take 600000")
        for _ in range(5):
            self.vm.sh("kld unload %s.ko\nkld load /boot/modules/%s.ko" % (
                MODULE, MODULE))
        self.daemon = None
        self.serve()
        self.vm.ctl("kvp", "set", "after", "reload")
        if self.get("after") != "reload":
            raise Fail(str(self.listed()))

    @property
    def files(self):
        return module_files(MODULE)
