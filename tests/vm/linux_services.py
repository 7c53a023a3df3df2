# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Integration services under Linux's own drivers and Debian's daemons."""

import json
import subprocess
import time

from guest import HVCTL, PATIENCE, Fail
from images import MIB, pattern, put, sha256
from linux_basic import complaints
from linux_storage import disk, within
from suite import Boot

MAC = "02:00:00:00:00:2b"
COMPLAINTS = "hv_utils.*(fail|unknown|error|invalid|timed out)"


def until(condition, what, seconds=60):
    """Waits for a condition beside hvhost; what it returned."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Fail("%s: not within %d s" % (what, seconds))
        time.sleep(0.2)


class Services(Boot):
    """A guest with all of them."""
    name = "services"
    cpus = 1
    modules = ("hv_storvsc", "sd_mod", "hv_netvsc", "hv_utils")
    order = 20
    size = 8 * MIB

    def options(self):
        image = put(self.path("services.img"), size=64 * MIB)
        return ["--disk", "scsi,file=%s,lun=0" % image,
                "--net", "user,mac=" + MAC]

    def service(self, name):
        """What hvctl tells of one."""
        for s in json.loads(self.vm.ctl("--json", "services"))["services"]:
            if s["name"] == name:
                return s
        raise Fail("there is no service " + name)

    def ready(self, name):
        return until(lambda: self.service(name)["state"] == "ready" and
                     self.service(name), name + " agreed on versions")

    def clock(self):
        """The guest's wall clock, and how far off that may be, seconds."""
        best = None
        for _ in range(8):
            before = time.time()
            at = float(self.vm.sh("echo $EPOCHREALTIME"))
            after = time.time()
            middle, half = (before + after) / 2, (after - before) / 2
            if best is None or half < best[1]:
                best = (at - middle, half)
        return best

    def check_versions(self):
        """Linux's hv_utils agrees on its newest versions without a daemon"""
        for name, version in (("heartbeat", "3.0"), ("shutdown", "3.2"),
                              ("time", "4.0")):
            got = self.ready(name)["version"]
            if got != version:
                raise Fail("%s: version %s" % (name, got))

    def check_heartbeat(self):
        """the guest answers heartbeats"""
        def ok():
            h = json.loads(self.vm.ctl("--json", "heartbeat"))
            return h["state"] == "ok" and h["answered"] >= 3 and h
        h = until(ok, "three answers")
        if h["wrong"]:
            raise Fail("%(wrong)d were wrong" % h)
        return "slowest %.1f ms, %d missed" % (h["rtt_max"] / 1e6,
                                               h["missed"])

    def check_time(self):
        """the guest's clock follows a step of the host's, both ways"""
        off, error = self.clock()
        if abs(off) > error + 0.5:
            raise Fail("it is %.3f s off to begin with" % off)
        said = []
        for step, total in (("5s", 5), ("-8s", -3), ("3s", 0)):
            self.vm.ctl("time", "step", step)
            # Linux sets its clock from a work item.
            until(lambda: abs(self.clock()[0] - total) <
                  self.clock()[1] + 0.01, "the step by " + step, 20)
            said.append("%+.4f (+-%.4f)" % self.clock())
        return ", ".join(said)

    def check_samples(self):
        """samples reach the guest's PTP clock"""
        before = json.loads(self.vm.ctl("--json", "time"))["samples"]
        until(lambda: json.loads(self.vm.ctl("--json", "time"))["samples"] >
              before, "a sample", 30)
        name = self.vm.sh("cat /sys/class/ptp/ptp*/clock_name")
        if "hyperv" not in name:
            raise Fail("PTP clocks: " + name)

    def check_resume(self):
        """after a pause the guest is told the time"""
        self.vm.ctl("pause")
        time.sleep(3)
        self.vm.ctl("resume")
        until(lambda: abs(self.clock()[0]) < self.clock()[1] + 0.05,
              "the time again", 20)

    def check_kvp_alone(self):
        """without its daemon data exchange is not ready, and says so"""
        why = self.vm.refuses("kvp", "list")
        if "daemon" not in why:
            raise Fail(why)

    def check_kvp(self):
        """Debian's hv_kvp_daemon: facts of the guest; set, get, delete"""
        self.vm.sh("mkdir -p /var/lib/hyperv; hv_kvp_daemon")
        self.ready("kvp")
        facts = dict(l.split("\t", 1) for l in
                     self.vm.ctl("kvp", "list").splitlines())
        release = self.vm.sh("uname -r")
        if not facts["OSVersion"] or \
                not release.startswith(facts["OSVersion"]):
            raise Fail("OSVersion is %(OSVersion)s" % facts)
        long = "k" * 250, "ä€😀" * 200
        for key, value in (("one", "1"), ("two words", "a;b\tc"), long):
            self.vm.ctl("kvp", "set", key, value)
            got = json.loads(self.vm.ctl("--json", "kvp", "get", key))
            if got["value"] != value:
                raise Fail("%s came back as %s" % (key, got["value"]))
        self.vm.ctl("kvp", "set", "--type", "u32", "number", "4000000000")
        self.vm.ctl("kvp", "set", "--type", "u64", "large", "1" + "0" * 18)
        items = {i["key"]: i["value"] for i in json.loads(
            self.vm.ctl("--json", "kvp", "list", "--pool",
                        "external"))["items"]}
        if items.get("number") != "4000000000" or \
                items.get("large") != "1" + "0" * 18 or len(items) != 5:
            raise Fail("the pool is %r" % items)
        self.vm.ctl("kvp", "delete", "one")
        self.vm.refuses("kvp", "get", "one")
        self.vm.refuses("kvp", "delete", "one")
        return "%d facts: %s" % (len(facts), facts["OSName"])

    def check_kvp_many(self):
        """a hundred keys; what the guest's daemon has is what was set"""
        for i in range(100):
            self.vm.ctl("kvp", "set", "many%d" % i, str(i * i))
        size = int(self.vm.sh("stat -c %s /var/lib/hyperv/.kvp_pool_0"))
        if size != (4 + 100) * 2560:
            raise Fail("the pool's file has %d bytes" % size)
        s = self.service("kvp")
        return "slowest %.1f ms" % (s["rtt_max"] / 1e6)

    def check_kvp_ip(self):
        """an adapter's addresses, by the host's number of it"""
        within(self.vm, "[ -e /sys/class/net/eth0 ]", "eth0")
        self.vm.sh("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0")
        ip = json.loads(self.vm.ctl("--json", "kvp", "ip"))
        if "10.0.2.15" not in ip["addresses"].split(";"):
            raise Fail("addresses: %(addresses)s" % ip)
        if "255.255.255.0" not in ip["subnets"]:
            raise Fail("subnets: %(subnets)s" % ip)
        self.vm.refuses("kvp", "ip", "1")

    def check_vss(self):
        """Debian's hv_vss_daemon: a frozen file system takes no write"""
        within(self.vm, "[ -n \"$(disk 0 0)\" ]", "the disk")
        name = disk(self.vm, 0)
        self.vm.sh("/usr/sbin/mke2fs -q -t ext4 %s && mkdir -p /mnt/d && "
                   "mount -t ext4 %s /mnt/d" % (name, name))
        self.vm.sh("ln -sf /proc/mounts /etc/mtab; hv_vss_daemon")
        self.ready("vss")
        self.vm.ctl("vss", "check")
        self.vm.ctl("vss", "freeze")
        self.vm.sh("(echo x >/mnt/d/f; echo x >/tmp/written) "
                   ">/dev/null 2>&1 &")
        time.sleep(2)
        if self.vm.run("[ -e /tmp/written ]")[0] == 0:
            raise Fail("a write went through while frozen")
        self.vm.ctl("vss", "thaw")
        within(self.vm, "[ -e /tmp/written ]", "the write after the thaw", 20)
        got = json.loads(self.vm.ctl("--json", "vss", "snapshot", "--hold",
                                     "200ms"))
        self.vm.sh("echo y >/mnt/d/g; sync")
        return "frozen %.0f ms of a hold of 200" % (got["frozen"] / 1e6)

    def check_copy(self):
        """Debian's hv_fcopy_daemon: a file's bytes, and what it refuses"""
        self.vm.sh("hv_fcopy_daemon")
        self.ready("copy")
        data = pattern(5, self.size + 777)
        source = put(self.path("copy.bin"), data)
        start = time.monotonic()
        self.vm.ctl("copy", source, "/tmp/new/", "--create-path", limit=300)
        took = time.monotonic() - start
        got = self.vm.sh("sha256sum /tmp/new/copy.bin").split()[0]
        if got != sha256(source):
            raise Fail("other bytes")
        why = self.vm.refuses("copy", source, "/tmp/new/copy.bin")
        if "exists" not in why:
            raise Fail("a second time: " + why)
        empty = put(self.path("empty"))
        self.vm.ctl("copy", empty, "/tmp/new/copy.bin", "--overwrite")
        if self.vm.sh("stat -c %s /tmp/new/copy.bin") != "0":
            raise Fail("it was not overwritten")
        self.vm.refuses("copy", source, "/absent/f")
        return "%.1f MB/s" % (self.size / took / 1e6)

    def check_daemon_killed(self):
        """an order waits for a daemon that died to be started again"""
        self.vm.sh("killall -9 hv_kvp_daemon")
        asked = subprocess.Popen(
            [HVCTL, "-s", self.vm.control, "kvp", "get", "number"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        self.vm.sh("hv_kvp_daemon")
        text, _ = asked.communicate(timeout=PATIENCE)
        if asked.returncode != 0 or text != "4000000000\n":
            raise Fail("exit status %d: %s" % (asked.returncode, text))

    def check_reboot(self):
        """hvctl reboot: the guest starts over, the services are there again"""
        self.vm.sh("rm /bin/reboot; printf '#!/bin/sh\\necho @asked\\n"
                   "exec /bin/busybox reboot -f\\n' >/bin/reboot; "
                   "chmod 755 /bin/reboot")
        self.vm.ctl("reboot")
        self.vm.wait_up()
        self.vm.load("hv_utils")
        self.ready("shutdown")
        self.ready("heartbeat")

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm, COMPLAINTS)

    def check_poweroff(self):
        """hvctl shutdown: the guest's own power-off, by its service"""
        self.vm.sh("printf '#!/bin/sh\\necho @asked >/dev/console\\n"
                   "exec poweroff -f\\n' >/tmp/off; chmod 755 /tmp/off; "
                   "echo /tmp/off >/proc/sys/kernel/poweroff_cmd")
        start = time.monotonic()
        said = self.vm.ctl("shutdown")
        self.vm.expect("^@asked", what="the guest's power-off")
        took = time.monotonic() - start
        if "shuts down" not in said:
            raise Fail("hvctl says " + said)
        self.ends_well(self.vm.wait())
        return "%.0f ms to its own program" % (took * 1e3)


class NoServices(Boot):
    """--services none: a guest finds none, and hvctl says so."""
    name = "noservices"
    modules = ("hv_utils",)

    def options(self):
        return ["--services", "none"]

    def check_none(self):
        """none is offered; hvctl shutdown presses the power button"""
        classes = self.vm.sh("cat /sys/bus/vmbus/devices/*/class_id")
        for word in ("57164f39", "0e0b6031", "9527e630", "a9a0f4e7",
                     "35fa2e29", "34d14be3", "f912ad6d"):
            if word in classes:
                raise Fail("there is " + word)
        if "does not offer" not in self.vm.refuses("heartbeat"):
            raise Fail("a heartbeat")
        self.vm.load("button", "evdev")
        self.vm.sh("(head -c 24 /dev/input/event0 >/dev/null && "
                   "poweroff -f) & sleep 1")
        self.vm.ctl("shutdown")
        self.ends_well(self.vm.wait())

    check_poweroff = None
