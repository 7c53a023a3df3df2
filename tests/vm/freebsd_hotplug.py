# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Disks and controllers that come and go while the guest runs, idle and under
load."""

import json
import os
import shutil

import iso9660
from freebsd_guest import (CACHES, FreeBsd, SCSI_CLASS, SCSI_INSTANCE,
                           make_ext2, make_ufs)
from guest import Fail
from images import MIB, pattern, put, sha256

# A guest with nothing to wait for has ended its I/O long before.
END_LIMIT = 60
# ... or, without a file system, in a few more than the driver waits.
RAW_LIMIT = 15


def drive(lun, image, controller=0):
    return ["--disk", "scsi,file=%s,lun=%d,controller=%d" % (
        image, lun, controller)]


class Pluggable(FreeBsd):
    """What the checks on coming and going disks have in common."""
    cpus = 2
    # A label's first reader, such as GEOM itself when it looks for partitions
    # in it, keeps all others from writing on the disk meanwhile.
    kenv = {"kern.geom.label.%s.enable" % k: 0
            for k in ("disk_ident", "ufs", "ufsid", "ext2fs")}

    def unit(self, controller, lun):
        """/dev/NAME of a unit, or None."""
        name = self.vm.luns().get(("storvsc%d" % controller, lun))
        return name and "/dev/" + name

    def plug(self, image, lun, *more, controller=0):
        """Adds a disk and waits until the guest has it: /dev/NAME."""
        self.vm.ctl("disk", "add", image, "--lun", str(lun), "--controller",
                    str(controller), *more)
        return self.appeared(controller, lun)

    def appeared(self, controller, lun):
        for _ in range(60):
            unit = self.unit(controller, lun)
            if unit:
                # CAM has it a little earlier than GEOM.
                self.vm.within("raw size " + unit, unit)
                return unit
            self.vm.sh("sleep 500")
        raise Fail("LUN %d of controller %d does not appear" % (
            lun, controller))

    def unplug(self, lun, controller=0):
        """Removes a disk and waits until the guest has lost it."""
        unit = self.unit(controller, lun)
        self.vm.ctl("disk", "remove", str(lun), "--controller",
                    str(controller))
        self.vm.within("not raw size " + unit, "end of " + unit)
        # One that was looked at meanwhile goes when that look has failed.
        for _ in range(20):
            if not self.unit(controller, lun):
                return
            self.vm.sh("sleep 500")
        raise Fail("CAM still has LUN %d" % lun)

    def reads(self, unit, image):
        if self.vm.sh("raw sum " + unit, 180) != sha256(image):
            raise Fail("%s reads other bytes than its image" % unit)

    def controllers(self):
        """{instance's number: device} of the SCSI controllers."""
        found = {}
        for d in self.vm.devices("children", "vmbus0"):
            if SCSI_CLASS in d.pnpinfo:
                found[int(d.pnpinfo[-1])] = d
        return found

    def channel(self, controller):
        """The number of a controller's first channel."""
        stats = json.loads(self.vm.ctl("--json", "stats"))
        return [str(c["channel"]) for c in stats["channels"]
                if c["instance"] == SCSI_INSTANCE % controller and
                c["sub_channel"] == 0][0]

    def rescind(self, controller):
        self.vm.ctl("rescind", self.channel(controller))

    def image_of(self, name, seed, size=2 * MIB):
        return put(self.path(name), pattern(seed, size))

    def ended(self, job, what, limit=END_LIMIT):
        """The output of a job that has to fail, and soon."""
        status, text = self.vm.end_job(job, limit)
        if status == 0:
            raise Fail("%s succeeds" % what)
        return text


class Hotplug(Pluggable):
    name = "hotplug"
    order = 15

    def disks(self):
        self.stays = self.image_of("stays.img", 1)
        self.other = self.image_of("other.img", 2)
        self.last = self.image_of("last.img", 3)
        return drive(2, self.stays) + drive(0, self.other, 1) + \
            drive(5, self.last, 2)

    def check_added(self):
        """hvctl disk add: the guest finds the disk, under its LUN"""
        before = self.vm.luns()
        self.added = self.image_of("added.img", 4)
        unit = self.plug(self.added, 9)
        self.reads(unit, self.added)
        self.vm.sh("raw write %s 0 64k 3\nraw check %s 0 64k 3" % (unit,
                                                                   unit))
        after = self.vm.luns()
        if after.pop(("storvsc0", 9)) != "da4" or after != before:
            raise Fail("before %s, now %s" % (before, self.vm.luns()))
        return unit

    def check_removed(self):
        """hvctl disk remove: the guest loses it, and only it"""
        before = self.vm.luns()
        self.unplug(9)
        del before["storvsc0", 9]
        if self.vm.luns() != before:
            raise Fail("before %s, now %s" % (before, self.vm.luns()))
        self.reads(self.unit(0, 2), self.stays)
        return self.vm.dmesg("da4: ")[-1]

    def check_swapped(self):
        """a LUN that gets another image reads that one's bytes"""
        self.unplug(2)
        again = self.image_of("again.img", 5, MIB)
        unit = self.plug(again, 2)
        self.reads(unit, again)
        if self.vm.number("raw size " + unit) != MIB:
            raise Fail("it has the size of the former")
        self.unplug(2)
        self.reads(self.plug(self.stays, 2), self.stays)

    def check_many(self):
        """16 disks added at once, highest LUN first, and all removed"""
        luns = list(range(63, 47, -1))
        for n in luns:
            put(self.path("m%d" % n), b"unit %d\n" % n, 64 << 10)
            self.vm.ctl("disk", "add", self.path("m%d" % n), "--lun", str(n),
                        "--controller", "1")
        units = {n: self.appeared(1, n) for n in luns}
        for n, unit in units.items():
            if self.vm.sh("raw line " + unit) != "unit %d" % n:
                raise Fail("LUN %d reads another's bytes" % n)
        if len(set(units.values())) != len(luns):
            raise Fail("one name twice: %s" % units)
        for n in luns:
            self.vm.ctl("disk", "remove", str(n), "--controller", "1")
        for unit in units.values():
            self.vm.within("not raw size " + unit, "end of " + unit)
        self.reads(self.unit(1, 0), self.other)

    def check_cdrom(self):
        """a CD-ROM added and removed"""
        iso = put(self.path("cd.iso"), iso9660.image({"A.TXT": b"a\n"}))
        unit = self.plug(iso, 11, "--cdrom")
        if unit != "/dev/cd0":
            raise Fail("it is " + unit)
        self.reads(unit, iso)
        self.unplug(11)

    def check_cdrom_late(self):
        """... where every answer of the host comes late"""
        iso = put(self.path("late.iso"), iso9660.image({"B.TXT": b"b\n"}))
        for _ in range(2):
            unit = self.plug(iso, 11, "--cdrom")
            self.vm.ctl("fault", "add", "pkt_out", "delay", "--key", "1",
                        "--arg", "300000000")
            self.unplug(11)
            self.vm.ctl("fault", "clear")
        unit = self.plug(iso, 11, "--cdrom")
        self.reads(unit, iso)
        self.unplug(11)

    def check_rescinded(self):
        """hvctl rescind: a controller goes with its disks, the others stay"""
        self.vm.within("raw size " + self.unit(1, 0), "the disk")
        gone, disk = self.controllers()[1], self.unit(1, 0)
        self.rescind(1)
        self.vm.within("not raw size " + disk, "end of " + disk)
        self.vm.within("not dev tree " + gone.name, "end of " + gone.name)
        if sorted(self.controllers()) != [0, 2]:
            raise Fail("left: %s" % self.controllers())
        self.vm.refuses("disk", "add", self.other, "--controller", "1")
        self.reads(self.unit(0, 2), self.stays)
        if self.unit(2, 5) is None:
            raise Fail("controller 2 lost its disk: %s" % self.vm.luns())
        self.reads(self.unit(2, 5), self.last)
        return gone.name

    def check_after(self):
        """disks still come and go on the controllers that stay"""
        for controller in (0, 2):
            unit = self.plug(self.other, 20, controller=controller)
            self.reads(unit, self.other)
            self.unplug(20, controller=controller)

    def check_reboot(self):
        """after a reboot: what is plugged in now, and no more"""
        before = sorted(k[1] for k in self.vm.luns())
        self.vm.reboot()
        if sorted(k[1] for k in self.vm.luns()) != before:
            raise Fail("units: %s" % self.vm.luns())


class Vanish(Pluggable):
    """Disks that vanish under load."""
    name = "vanish"
    order = 16

    def disks(self):
        self.stays = put(self.path("stays.img"), size=4 * MIB)
        self.raw = put(self.path("raw.img"), size=4 * MIB)
        empty = self.path("empty")
        os.makedirs(empty)
        self.fs = [self.path("fs%d.img" % n) for n in range(2)]
        self.empty = self.path("master.img")
        make_ufs(self.empty, empty, 16 * MIB)
        shutil.copy(self.empty, self.fs[0])
        make_ext2(self.fs[1], empty, 16 * MIB)
        words = drive(1, self.stays) + drive(2, self.raw) + \
            drive(3, self.fs[0])
        words += drive(0, self.path("raw2.img"), 1)
        put(self.path("raw2.img"), size=4 * MIB)
        return words + drive(1, self.fs[1], 1)

    def start(self):
        super().start()
        self.vm.sh("raw write /dev/da1 0 1m 7")

    def bystander(self):
        """I/O on a disk that stays, from before to after the check."""
        return self.vm.start_job(
            "repeat 100000 raw check /dev/da1 0 1m 7 16k")

    def unharmed(self, job):
        """The bystander still runs and has seen no error."""
        self.vm.sh("sleep 500")
        if self.vm.run("job poll %d" % job)[0] == 0:
            raise Fail("I/O of another disk ended: %s" %
                       (self.vm.end_job(job),))
        self.vm.sh("job kill %d" % job)
        self.vm.end_job(job)
        self.vm.sh("raw check /dev/da1 0 1m 7")

    def check_raw(self):
        """removed amid 32 requests at a time: they fail, all others go on"""
        stays = self.bystander()
        unit = self.unit(0, 2)
        job = self.vm.start_job("io %s rw 4096 32 1000000 rand" % unit)
        self.vm.sh("sleep 1000")
        self.vm.ctl("disk", "remove", "2")
        # All that were under way at once, not one after the other.
        text = self.ended(job, "I/O of a removed disk", RAW_LIMIT)
        self.vm.within("not raw size " + unit, "end of " + unit)
        self.unharmed(stays)
        return text.split("\n")[0]

    def vanish_mounted(self, controller, lun, kind, vanish):
        stays = self.bystander()
        unit = self.unit(controller, lun)
        self.vm.sh("fs mount %s %s /mnt" % (kind, unit))
        job = self.vm.start_job("repeat 100000 fs fill /mnt 24 200k 1")
        self.vm.sh("sleep 2000")
        vanish()
        text = self.ended(job, "writing on a removed disk")
        # UFS may have seen to that itself.
        status, why = self.vm.run("fs umount /mnt force", 120)
        if " /mnt " in self.vm.sh("fs mounts"):
            raise Fail("it is still mounted: %d, %s" % (status, why))
        self.vm.within("not raw size " + unit, "end of " + unit)
        self.unharmed(stays)
        return text.split("\n")[-1]

    def check_mounted(self):
        """removed while its file system is written: errors, then umount -f"""
        # da(4) uses freed memory then, now and then, if not kept from it.
        self.ours()
        return self.vanish_mounted(
            0, 3, "ufs", lambda: self.vm.ctl("disk", "remove", "3"))

    def check_often(self):
        """the same ten times more, at other moments"""
        self.ours()
        for n in range(10):
            image = self.path("often%d.img" % n)
            shutil.copy(self.empty, image)
            unit = self.plug(image, 3)
            self.vm.sh("fs mount ufs %s /mnt" % unit)
            job = self.vm.start_job("repeat 100000 fs fill /mnt 24 200k 1")
            self.vm.sh("sleep %d" % (300 + 130 * n))
            self.vm.ctl("disk", "remove", "3")
            self.ended(job, "writing on a removed disk")
            self.vm.run("fs umount /mnt force", 120)
            self.vm.within("not raw size " + unit, "end of " + unit)

    def check_controller(self):
        """its controller rescinded amid requests and a written file system"""
        self.ours()
        unit = self.unit(1, 0)
        job = self.vm.start_job("io %s rw 4096 32 1000000 rand" % unit)
        text = self.vanish_mounted(1, 1, "ext2fs", lambda: self.rescind(1))
        self.ended(job, "I/O of a removed controller")
        self.vm.within("not dev tree storvsc1", "end of storvsc1")
        return text

    def check_same_lun(self):
        """the LUN that was removed under load takes a disk again"""
        fresh = self.image_of("fresh.img", 9)
        for lun in (2, 3):
            self.reads(self.plug(fresh, lun), fresh)
            self.unplug(lun)

    def check_sync(self):
        """sync ends, though a disk went with data unwritten"""
        self.vm.sh("fs sync")

    def check_quiet(self):
        """the kernel complains of nothing but the disks that went"""
        self.quiet(r"^\(?(da[2-9]|cd\d):|g_vfs|/mnt")


class Rounds(Pluggable):
    name = "plugrounds"
    order = 3
    warm = 4
    rounds = 30
    # Nobody reads what the kernel has to say of each coming and going.
    kenv = dict(Pluggable.kenv, **{"hw.bus.devctl_queue": 0})

    def disks(self):
        self.image = self.image_of("disk.img", 1, 4 * MIB)
        return drive(1, self.image_of("stays.img", 2))

    def turn(self, n, busy):
        """Adds a disk, uses it, removes it: idle, or amid requests."""
        lun = 2 + n % 3
        unit = self.plug(self.image, lun)
        if unit != "/dev/da2":
            raise Fail("round %d: it is %s" % (n, unit))
        self.vm.sh("raw write %s 0 256k %d\nraw check %s 0 256k %d" % (
            unit, n, unit, n))
        if busy:
            job = self.vm.start_job("io %s rw 16384 8 1000000" % unit)
            self.vm.sh("sleep 300")
        self.vm.ctl("disk", "remove", str(lun))
        if busy:
            self.ended(job, "I/O of a removed disk")
        self.vm.within("not raw size " + unit, "end of " + unit)

    def check_rounds(self):
        """a disk added and removed 30 times, used each time, half of the
        times to the end"""
        for n in range(self.warm):
            self.turn(n, n % 2 == 1)
        self.before = self.vm.held("dev", "kern.cam", "kern.geom")
        for n in range(self.rounds):
            self.turn(self.warm + n, n % 2 == 1)
        return "%d rounds" % self.rounds

    def check_leaks(self):
        """nothing is left of those: memory, sysctls"""
        after = self.vm.held("dev", "kern.cam", "kern.geom")
        # What grows with each round is a leak, caches do so at times.
        more = ["%s: %d, %d" % (k, self.before.get(k, 0), n)
                for k, n in sorted(after.items()) if k not in CACHES
                and (n - self.before.get(k, 0) >= self.rounds * 3 // 4 or
                (k.startswith("sysctl ") and n != self.before.get(k)))]
        if more:
            raise Fail("; ".join(more))
        return "%d counters" % len(after)

    def check_outstanding(self):
        """the driver has no request left"""
        self.ours()
        n = self.vm.number("sysctl get dev.storvsc.0.outstanding")
        if n != 0:
            raise Fail("%d" % n)

    def check_quiet(self):
        """the kernel complains of nothing but the disks that went"""
        self.quiet(r"^\(?da2:")
