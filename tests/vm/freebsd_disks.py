# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Disks under CAM: units, bytes by file systems and raw devices, CD-ROM,
UNMAP."""

import os
import struct
import subprocess

import iso9660
from freebsd_guest import FreeBsd, make_ext2, make_ufs
from guest import Fail
from images import MIB, pattern, put, sha256
from suite import Skip

MASK = (1 << 64) - 1
DEPTHS = (1, 2, 4, 8, 16, 32)


def words(seed, at, size):
    """The bytes that lib.c's pattern_fill() has for a place."""
    found = []
    for n in range(at // 8, (at + size) // 8):
        x = ((n + 1) * 0x9e3779b97f4a7c15 & MASK) ^ (seed << 32 & MASK) ^ seed
        found.append((x ^ x >> 29) * 0xbf58476d1ce4e5b9 & MASK)
    return struct.pack("<%dQ" % len(found), *found)


class Luns(FreeBsd):
    name = "luns"
    order = 5
    count = 64

    def disks(self):
        found = []
        for n in range(self.count):
            f = put(self.path("%d.img" % n), b"unit %d\n" % n, 64 << 10)
            found += ["--disk", "scsi,file=%s,lun=%d,controller=1" % (f, n)]
        single = put(self.path("single.img"), b"single\n", 64 << 10)
        return found + ["--disk", "scsi,file=%s,lun=17,controller=2" % single]

    def all(self):
        """Waits for all disks; {(controller, LUN): unit}."""
        self.vm.within("raw size /dev/da%d" % (self.count + 1),
                       "%d disks" % (self.count + 2), 60)
        return self.vm.luns()

    def check_found(self):
        """64 disks on a controller, each under its own LUN"""
        found = self.all()
        missing = [n for n in range(self.count)
                   if ("storvsc1", n) not in found]
        if missing or ("storvsc2", 17) not in found:
            raise Fail("missing: %s of %s" % (missing, found))
        if len(found) != self.count + 2:
            raise Fail("there are more: %s" % found)

    def check_bytes(self):
        """each reads what its own image holds"""
        found = self.all()
        text = self.vm.sh("\n".join(
            "raw line /dev/%s" % found["storvsc1", n]
            for n in range(self.count)), 120)
        if text != "\n".join("unit %d" % n for n in range(self.count)):
            raise Fail("they read: " + text.replace("\n", ", "))

    def check_order(self):
        """units are numbered in the order of controllers and LUNs"""
        found = self.all()
        want = {("storvsc0", 0): "da0",
                ("storvsc2", 17): "da%d" % (self.count + 1)}
        want.update({("storvsc1", n): "da%d" % (n + 1)
                     for n in range(self.count)})
        other = ["%s lun %d is %s" % (k + (found.get(k),))
                 for k in want if found.get(k) != want[k]]
        if other:
            raise Fail(", ".join(other))

    def check_stable(self):
        """the same units after each of two more boots"""
        before, took = self.all(), []
        for _ in range(2):
            took.append("%.0f" % self.vm.reboot())
            after = self.all()
            if after != before:
                raise Fail("other units: %s" % [
                    (k, before.get(k), after.get(k))
                    for k in set(before) | set(after)
                    if before.get(k) != after.get(k)])
        return "up after %s s" % ", ".join(took)

    def check_rescan(self):
        """another look at all buses changes nothing"""
        before = self.all()
        self.vm.sh("cam rescan", 120)
        if self.vm.luns() != before:
            raise Fail("other units than before")


class CdRom(FreeBsd):
    name = "cdrom"
    order = 30

    def disks(self):
        self.content = {"HELLO.TXT": b"Hello, CD-ROM.\n",
                        "DATA.BIN": pattern(4, MIB + 777)}
        self.iso = put(self.path("cd.iso"), iso9660.image(self.content))
        self.full = put(self.path("full.img"), b"\xa5" * (4 * MIB))
        self.source = put(self.path("source.img"), pattern(1, 4 * MIB))
        return ["--cdrom", "scsi,file=%s,lun=1" % self.iso,
                "--disk", "scsi,file=%s,lun=2,serial=SN-0123456789" %
                self.full,
                "--disk", "scsi,file=%s,lun=3,ro" % self.source]

    def unit(self, lun):
        unit = self.vm.luns().get(("storvsc0", lun))
        if unit is None:
            raise Fail("no unit with LUN %d" % lun)
        return "/dev/" + unit

    def check_found(self):
        """a CD-ROM is cd0, of its image's size, with its bytes"""
        if self.unit(1) != "/dev/cd0":
            raise Fail("it is " + self.unit(1))
        size = self.vm.number("raw size /dev/cd0")
        if size != os.path.getsize(self.iso):
            raise Fail("%d bytes" % size)
        if self.vm.sh("raw sum /dev/cd0") != sha256(self.iso):
            raise Fail("it reads other bytes")

    def check_mounted(self):
        """mounted, its files are those that were put on it"""
        status, text = self.vm.run("fs mount cd9660 /dev/cd0 /mnt ro")
        if "Invalid fstype" in text:
            raise Skip("this kernel has no cd9660")
        if status != 0:
            raise Fail(text)
        for name, data in self.content.items():
            path = put(self.path(name), data)
            if self.vm.sh("fs sum /mnt/" + name.lower()) != sha256(path):
                raise Fail("%s has other bytes" % name)
        self.vm.sh("fs umount /mnt")

    def check_cd_read_only(self):
        """nothing can be written to it"""
        self.vm.sh("not raw write /dev/cd0 0 2k 1 2k")

    def check_serial(self):
        """a disk has the serial number given with --disk"""
        found = self.vm.sh("raw ident " + self.unit(2))
        if found != "SN-0123456789":
            raise Fail("it is " + found)

    def check_read_only(self):
        """a read-only disk reads well and refuses writes"""
        unit = self.unit(3)
        if self.vm.sh("raw sum " + unit) != sha256(self.source):
            raise Fail("it reads other bytes")
        self.vm.sh("not raw write %s 0 4k 1 4k" % unit)

    def check_odd_sizes(self):
        """requests of single sectors and odd lengths, anywhere"""
        unit = self.unit(3)
        for size, at in ((512, 13 * 512), (512, 4 * MIB - 512),
                         (3584, 5 * 3584), (65536 + 512, 2 * 65536 + 1024)):
            with open(self.source, "rb") as f:
                f.seek(at)
                part = put(self.path("part"), f.read(size))
            if self.vm.sh("raw sum %s %d %d" % (unit, at, size)) != \
                    sha256(part):
                raise Fail("%d bytes at %d" % (size, at))

    def check_flush(self):
        """a flush of the disk's cache succeeds"""
        self.vm.sh("raw flush " + self.unit(2))

    def check_unmap(self):
        """UNMAP frees the image's blocks and leaves zeros"""
        unit = self.unit(2)
        before = os.stat(self.full).st_blocks
        if self.vm.number("raw attr %s GEOM::candelete" % unit) != 1:
            raise Fail("the kernel does not know that it can")
        self.vm.sh("raw delete %s 0 4m" % unit)
        after = os.stat(self.full).st_blocks
        if after > before // 10:
            raise Fail("the image has %d of %d blocks" % (after, before))
        self.vm.sh("raw zero %s 0 4m" % unit)
        return "%d KiB of %d KiB kept" % (after // 2, before // 2)

    def check_quiet(self):
        """the kernel complains of nothing but the refused writes"""
        self.quiet(r"\(cd0:|\(%s:|^(cd0|%s): " % (
            (self.unit(3)[5:],) * 2))

    def after_source(self):
        """the read-only images are as they were"""
        if sha256(self.source) != sha256(put(self.path("again"),
                                             pattern(1, 4 * MIB))):
            raise Fail("the disk has changed")
        with open(self.iso, "rb") as f:
            if f.read() != iso9660.image(self.content):
                raise Fail("the CD-ROM has changed")


class Io(FreeBsd):
    """Bytes by many at a time; one guest for each number of processors."""
    size = 16 * MIB
    fs = "ufs"

    def disks(self):
        self.raw = put(self.path("raw.img"), size=self.size)
        self.fsimage = self.path("fs.img")
        empty = self.path("empty")
        os.makedirs(empty)
        {"ufs": make_ufs, "ext2fs": make_ext2}[self.fs](
            self.fsimage, empty, 48 * MIB)
        return ["--disk", "scsi,file=%s,lun=1" % self.raw,
                "--disk", "scsi,file=%s,lun=2" % self.fsimage]

    def start(self):
        super().start()
        found = self.vm.luns()
        self.dev, self.fsdev = (
            "/dev/" + found.get(("storvsc0", n), "none") for n in (1, 2))

    def check_order(self):
        """units are numbered in the order of LUNs"""
        found = self.vm.luns()
        for n in range(3):
            if found.get(("storvsc0", n)) != "da%d" % n:
                raise Fail("LUN %d is %s" % (n, found.get(("storvsc0", n))))

    def check_cpus(self):
        """all processors are up"""
        found = int(self.vm.sysctl("hw.ncpu"))
        if found != self.cpus:
            raise Fail("%d" % found)

    def at_depth(self, verb, depth, seed):
        """So many jobs at a time, each with a part of the disk of its own."""
        part = MIB // depth
        start = "\n".join("job start raw %s %s %d %d %d %d" % (
            verb, self.dev, n * part, part, seed, 4096 if n % 2 else 16384)
            for n in range(depth))
        self.vm.sh(start + "\njob wait", 180)

    def check_raw(self):
        """raw, written and read back by 1, 2, 4, 8, 16 and 32 at a time"""
        for depth in DEPTHS:
            self.at_depth("write", depth, depth)
            self.at_depth("check", depth, depth)
            if self.vm.sh("raw sum %s 0 1m" % self.dev) != \
                    sha256(self.raw, MIB):
                raise Fail("the image has other bytes after depth %d" % depth)

    def check_large(self):
        """requests up to 1 MiB, as large as the kernel makes them"""
        self.vm.sh("\n".join("raw %s %s 0 8m %s" % (verb, self.dev, rest)
                             for verb, rest in (
                                 ("write", "77 1m"), ("check", "77 64k"),
                                 ("write", "78 68k"), ("check", "78 1m"))),
                   180)

    def check_filesystem(self):
        """a file system: filled, unmounted, and its files read again"""
        self.vm.sh("fs mount %s %s /mnt" % (self.fs, self.fsdev))
        jobs = []
        for n in range(4):
            self.vm.sh("fs mkdir /mnt/t%d" % n)
            jobs.append(self.vm.start_job(
                "fs fill /mnt/t%d 24 200k %d" % (n, n + 1)))
        for j in jobs:
            status, text = self.vm.end_job(j, 180)
            if status != 0:
                raise Fail(text)
        self.vm.sh("fs umount /mnt\nfs mount %s %s /mnt ro" % (
            self.fs, self.fsdev))
        for n in range(4):
            text = self.vm.sh("fs check /mnt/t%d 24 200k %d" % (n, n + 1),
                              180)
        self.vm.sh("fs umount /mnt")
        return "4 times " + text

    def after_image(self):
        """the image holds what was written, where it belongs"""
        with open(self.raw, "rb") as f:
            f.seek(3 * MIB)
            if f.read(256 << 10) != words(78, 3 * MIB, 256 << 10):
                raise Fail("other bytes")

    def after_fsck(self):
        """the file system on the image is clean"""
        p = subprocess.run(["e2fsck", "-fn", self.fsimage], text=True,
                           stdout=subprocess.PIPE, check=False,
                           stderr=subprocess.STDOUT)
        if p.returncode != 0:
            raise Fail(p.stdout[-300:])


class Io1(Io):
    name = "io1"
    fs = "ext2fs"


class Io2(Io):
    name = "io2"
    cpus = 2
    after_fsck = None


class Io4(Io):
    name = "io4"
    cpus = 4
    after_fsck = None
