# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What a FreeBSD kernel finds at boot, and how it ends."""

import json
import re

from freebsd_guest import (FreeBsd, IDE_CLASS, MODULES, SCSI_CLASS,
                           SCSI_INSTANCE)
from guest import Fail
from images import MIB, put


class Found(FreeBsd):
    name = "boot"
    cpus = 2
    order = 10

    def disks(self):
        self.second = put(self.path("second.img"), b"second\n", MIB)
        return ["--disk", "scsi,file=%s,lun=3,controller=2" % self.second]

    def check_hypervisor(self):
        """the kernel detects Hyper-V"""
        return self.vm.dmesg("Hypervisor: Origin = ")[-1]

    def check_loaded(self):
        """hv_vmbus and hv_storvsc are loaded, from the preloaded files"""
        self.ours()
        files = re.findall(r"^(\S+\.ko) ", self.vm.sh("kld list"), re.M)
        for m in self.modules:
            if m + ".ko" not in files:
                raise Fail("only: " + " ".join(files))

    def check_connected(self):
        """vmbus0 says which version of VMBus it speaks"""
        line = self.vm.dmesg("vmbus0: version ")[-1]
        if line != "vmbus0: version " + ("5.3" if MODULES else "4.0"):
            raise Fail(line)
        return line

    def check_bus(self):
        """vmbus0 is attached where it belongs: on ACPI's VMOD"""
        bus = [d for d in self.vm.devices() if d.name == "vmbus0"]
        if not bus or bus[0].state != "attached":
            raise Fail("no attached vmbus0: %s" % bus)
        return "%s, on %s" % (bus[0].desc, bus[0].parent)

    def check_children(self):
        """both SCSI controllers are on vmbus0, with type and instance"""
        found = self.vm.devices("children", "vmbus0")
        disks = [d for d in found if d.driver == "storvsc"]
        for n, unit in ((0, 0), (2, 1)):
            want = "classid=%s deviceid=%s" % (SCSI_CLASS, SCSI_INSTANCE % n)
            mine = [d for d in disks if d.pnpinfo == want]
            if len(mine) != 1:
                raise Fail("%s: %s" % (want, [d.pnpinfo for d in disks]))
            if mine[0].state != "attached" or mine[0].unit != str(unit):
                raise Fail("controller %d: %s" % (n, mine[0]))
            if MODULES and not re.match(r"channel=\d+$", mine[0].location):
                raise Fail("its location is %r" % mine[0].location)
        places = [d.location for d in disks]
        if MODULES and len(set(places)) != len(places):
            raise Fail("one place for two: %s" % places)
        return ", ".join(d.name for d in found)

    def check_no_stranger(self):
        """every device on vmbus0 has its driver or is not ours to drive"""
        strange = [d for d in self.vm.devices("children", "vmbus0")
                   if d.state != "attached" and
                   re.search("%s|%s" % (SCSI_CLASS, IDE_CLASS), d.pnpinfo)]
        if strange:
            raise Fail(" ".join(map(str, strange)))

    def check_lsvmbus(self):
        """lsvmbus lists what is on the bus, each device with its channels"""
        bus = json.loads(self.vm.sh("lsvmbus --libxo=json"))["vmbus"]
        there = self.vm.devices("children", "vmbus0")
        # A device without a driver has no name, but for its handle.
        want = sorted((re.sub("^0x.*", "", d.name), d.pnpinfo) for d in there
                      if "classid=" in d.pnpinfo)
        found = sorted((d.get("name", ""), "classid=%s deviceid=%s" %
                        (d["class-id"], d["instance-id"]))
                       for d in bus["device"])
        if found != want:
            raise Fail("%s, there are %s" % (found, want))
        channels = [c for d in bus["device"] for c in d.get("channel", [])]
        if len({c["id"] for c in channels}) != len(channels) or \
                len(channels) < len([d for d in there
                                     if d.driver == "storvsc"]):
            raise Fail("channels: %s" % channels)
        for c in channels:
            if c["cpu"] >= self.cpus or c["tx-free"] < 4096 or \
                    MODULES and not c["tx-packets"]:
                raise Fail("a channel: %s" % c)
        # The kernel's own driver tells of those that channels interrupt.
        if MODULES and \
                [p["id"] for p in bus["cpu"]] != list(range(self.cpus)):
            raise Fail("processors: %s" % bus["cpu"])
        text = self.vm.sh("lsvmbus -vvc").split("\n")
        if not re.match(r"vmbus0: version \S+, \d+ devices, \d+ open channels",
                        text[0]):
            raise Fail(text[0])
        return text[0]

    def check_root(self):
        """the root is mounted from da0, which is storvsc's"""
        mounts = [l.split() for l in self.vm.sh("fs mounts").split("\n")]
        source = [m[0] for m in mounts if m[1] == "/"][0]
        if source != "/dev/da0":
            raise Fail("the root is on " + source)
        if self.vm.luns().get(("storvsc0", 0)) != "da0":
            raise Fail("units: %s" % self.vm.luns())
        return " ".join(mounts[0])

    def check_dmesg(self):
        """da0's lines tell what it is on, its size and serial number"""
        text = "\n".join(self.vm.dmesg("da0"))
        for want in (r"^da0 at storvsc0 bus 0 scbus\d+ target 0 lun 0$",
                     r"^da0: <\S.*> Fixed Direct Access ",
                     r"^da0: Serial Number ROOT$", r"^da0: 8MB "):
            if not re.search(want, text, re.M):
                raise Fail("no %s in: %s" % (want, text))

    def check_second(self):
        """a disk on another controller is there, with its bytes"""
        unit = self.vm.luns().get(("storvsc1", 3))
        if unit is None:
            raise Fail("units: %s" % self.vm.luns())
        if self.vm.sh("raw line /dev/" + unit) != "second":
            raise Fail("it reads other bytes")
        return unit

    def check_write_root(self):
        """a file written on the root is on the disk after a sync"""
        self.vm.writable_root()
        self.vm.sh('fs write /etc/farewell "written by the guest"\nfs sync')
        with open(self.image(), "rb") as f:
            if b"written by the guest" not in f.read():
                raise Fail("it is not in the image")

    def check_reboot(self):
        """a reboot starts the kernel anew, which finds all of it again"""
        pid, before = self.vm.pid, self.vm.luns()
        self.vm.reboot()
        if self.vm.pid != pid:
            raise Fail("another process")
        if self.vm.luns() != before:
            raise Fail("before: %s, after: %s" % (before, self.vm.luns()))
        if self.vm.sh("fs cat /etc/farewell") != "written by the guest":
            raise Fail("the file on the root is another")
        return self.vm.dmesg("vmbus0: version ")[-1]


class NoReboot(FreeBsd):
    name = "noreboot"
    root_type = "ext2fs"
    order = 60

    def options(self):
        return super().options() + ["--no-reboot"]

    def check_ext2(self):
        """an ext2 root on da0 does as well"""
        self.quiet()
        return self.vm.sh("fs mounts").split("\n")[0]

    def check_halt(self):
        """an orderly reboot ends hvhost with status 0 (--no-reboot)"""
        self.vm.exits()
        self.vm.type("power reboot\n. 0\n")
        self.ends_well(self.vm.wait())

    check_quiet = check_poweroff = None
