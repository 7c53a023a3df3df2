# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Disks of all kinds under Linux's own storage drivers."""

import hashlib
import os
import re
import subprocess
import time

import guest
import iso9660
from guest import Fail
from images import MIB, pattern, put, sha256
from linux_basic import complaints, dmesg
from suite import Boot, Skip

def disk(vm, lun, controller=0):
    """The guest's name of a logical unit."""
    found = vm.sh("disk %d %d" % (controller, lun)).split()
    if len(found) != 1:
        raise Fail("unit %d of controller %d is %s" % (
            lun, controller, " and ".join(found) or "not there"))
    return "/dev/" + found[0]


def within(vm, condition, what, seconds=30):
    """Waits for a condition in the guest."""
    status, _ = vm.run("i=0; until %s; do i=$((i + 1)); "
                       "[ $i -lt %d ] || exit 1; sleep 0.2; done" %
                       (condition, seconds * 5), seconds + 60)
    if status != 0:
        raise Fail("%s: not within %d s" % (what, seconds))


class Disks(Boot):
    name = "disks"
    cpus = 2
    modules = ("hv_storvsc", "sd_mod")
    order = 0
    source_size = 16 * MIB
    serial = "SN-0123456789"

    def options(self):
        self.source = put(self.path("source.img"),
                          pattern(1, self.source_size))
        self.copy = put(self.path("copy.img"), size=self.source_size)
        self.fs = put(self.path("fs.img"), size=96 * MIB)
        self.full = put(self.path("full.img"), b"\xa5" * (16 * MIB))
        self.source_sum = sha256(self.source)
        self.trace = self.path("disks.trace")
        return ["--trace", self.trace + ",snap=64", "--disk", "scsi,file=%s,lun=0,ro" % self.source,
                "--disk", "scsi,file=%s,lun=1,serial=%s" % (
                    self.copy, self.serial),
                "--disk", "scsi,file=%s,lun=2" % self.fs,
                "--disk", "scsi,file=%s,lun=3" % self.full]

    def start(self):
        super().start()
        within(self.vm, "[ \"$(disk 0 '*' | wc -w)\" = 4 ]", "four disks")
        self.sd = [disk(self.vm, n) for n in range(4)]

    def check_size(self):
        """disks have their images' sizes"""
        for name, path in zip(self.sd, (self.source, self.copy, self.fs,
                                        self.full)):
            size = int(self.vm.sh("blockdev --getsize64 " + name))
            if size != os.path.getsize(path):
                raise Fail("%s has %d bytes" % (name, size))

    def check_serial(self):
        """a disk has the serial number given with --disk"""
        page = self.vm.sh("tail -c +5 /sys/block/%s/device/vpd_pg80" %
                          self.sd[1][5:])
        if page.strip() != self.serial:
            raise Fail("serial number %r" % page)

    def check_read_only(self):
        """a read-only disk is read-only and refuses writes"""
        ro = self.vm.sh("blockdev --getro " + self.sd[0])
        if ro != "1":
            raise Fail("the guest takes it for writable")
        status, _ = self.vm.run("blockdev --setrw %s; dd if=/dev/zero of=%s "
                                "bs=4k count=1 conv=fsync" % (
                                    self.sd[0], self.sd[0]))
        if status == 0:
            raise Fail("a write succeeded")

    def check_copy(self):
        """what the guest reads and copies are the image's bytes"""
        self.vm.sh("dd if=%s of=%s bs=1M iflag=direct oflag=direct" %
                   (self.sd[0], self.sd[1]), 120)
        sums = self.vm.sh("for d in %s %s; do dd if=$d bs=256k iflag=direct "
                          "2>/dev/null | sha256sum; done" %
                          (self.sd[0], self.sd[1]), 120).split()[::2]
        if sums != [self.source_sum] * 2:
            raise Fail("sums in the guest: %s" % sums)

    def check_odd_sizes(self):
        """requests of single sectors and odd lengths, anywhere"""
        for bs, skip, count in ((512, 13, 7), (512, 32767, 1), (3584, 5, 3),
                                (65536 + 512, 2, 2)):
            got = self.vm.sh("dd if=%s bs=%d skip=%d count=%d iflag=direct "
                             "2>/dev/null | sha256sum" %
                             (self.sd[1], bs, skip, count)).split()[0]
            with open(self.source, "rb") as f:
                f.seek(bs * skip)
                want = hashlib.sha256(f.read(bs * count)).hexdigest()
            if got != want:
                raise Fail("bs=%d skip=%d count=%d" % (bs, skip, count))

    def check_filesystem(self):
        """ext4: made, filled, unmounted, checked, read again"""
        dev = self.sd[2]
        self.vm.sh("/usr/sbin/mke2fs -q -t ext4 %s && mount -t ext4 %s /mnt" %
                   (dev, dev), 120)
        self.vm.sh("mkdir /mnt/a && cp -r /lib/modules /bin/busybox /mnt/a "
                   "&& (cd /mnt/a && find . -type f | sort | "
                   "xargs cat | md5sum) >/tmp/sum && umount /mnt", 120)
        status, text = self.vm.run("/usr/sbin/e2fsck -fn %s 2>&1" % dev, 120)
        if status != 0:
            raise Fail("e2fsck in the guest: " + text[-200:])
        self.vm.sh("echo 3 >/proc/sys/vm/drop_caches; "
                   "mount -t ext4 %s /mnt && (cd /mnt/a && find . -type f | "
                   "sort | xargs cat | md5sum) | cmp - /tmp/sum && "
                   "umount /mnt" % dev, 120)

    def check_unmap(self):
        """blkdiscard frees the image's blocks and leaves zeros"""
        before = os.stat(self.full).st_blocks
        self.vm.sh("blkdiscard " + self.sd[3])
        after = os.stat(self.full).st_blocks
        if after > before // 10:
            raise Fail("the image has %d of %d blocks" % (after, before))
        self.vm.sh("dd if=%s bs=1M iflag=direct 2>/dev/null | tr -d '\\000' "
                   "| wc -c | grep -qx 0" % self.sd[3], 120)
        return "%d KiB of %d KiB kept" % (after // 2, before // 2)

    def check_flush(self):
        """the write cache shows, and a sync flushes it"""
        name = self.sd[1][5:]
        kind = self.vm.sh("cat /sys/block/%s/device/scsi_disk/*/cache_type" %
                          name)
        if not kind.startswith("write back"):
            raise Fail("cache type " + kind)
        flushes = "awk '{print $16}' /sys/block/%s/stat" % name
        before = int(self.vm.sh(flushes))
        self.vm.sh("dd if=%s of=%s bs=64k count=1 conv=fsync,notrunc" %
                   (self.sd[0], self.sd[1]))
        if int(self.vm.sh(flushes)) <= before:
            raise Fail("no flush was sent")

    def check_hot_add(self):
        """hvctl disk add: the running guest finds the disk"""
        self.hot = put(self.path("hot.img"), pattern(2, MIB))
        self.vm.ctl("disk", "add", self.hot, "--lun", "9")
        within(self.vm, "[ -n \"$(disk 0 9)\" ]", "the added disk")
        got = self.vm.sh("sha256sum " + disk(self.vm, 9)).split()[0]
        if got != sha256(self.hot):
            raise Fail("it reads other bytes")

    def check_hot_remove(self):
        """hvctl disk remove: the disk leaves the running guest"""
        self.vm.ctl("disk", "remove", "9")
        within(self.vm, "[ -z \"$(disk 0 9)\" ]", "the removed disk's end")
        self.vm.sh("dd if=%s of=/dev/null bs=1M count=1 iflag=direct" %
                   self.sd[0])

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        # The refused write and the removed disk ("no such unit") are meant to
        # be remarked on.
        complaints(self.vm, "I/O error|storvsc.*(invalid|unknown|tag#)",
                   r"\b%s\b|srb 0x20" % self.sd[0][5:])

    def after_image(self):
        """the image holds what the guest wrote"""
        if sha256(self.copy) != self.source_sum:
            raise Fail("the copy differs from its source")
        if sha256(self.source) != self.source_sum:
            raise Fail("the read-only image has changed")

    def after_fsck(self):
        """the file system on the image is clean"""
        p = subprocess.run(["e2fsck", "-fn", self.fs], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode != 0:
            raise Fail(p.stdout[-300:])

    def hvctl_trace(self, *options):
        p = subprocess.run([guest.HVCTL, "trace", self.trace] +
                           list(options), text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode != 0 or p.stderr:
            raise Fail("exit status %d: %s" % (p.returncode, p.stderr))
        return p.stdout

    def after_trace(self):
        """--trace: hvctl shows offers, opens and commands, and filters them"""
        for options, line in (
                (("--type", "OFFER"), r" out +\d+ +\d+ +OFFER channel \d+: SCSI "),
                (("--type", "OPEN", "--dir", "in"),
                 r" in +\d+ +\d+ +OPEN channel "),
                (("--type", "OPEN_RESULT"), r" OPEN_RESULT channel .*, ok$"),
                (("--type", "UNMAP", "--dir", "in"),
                 r" EXECUTE_SRB .*, LUN 3, UNMAP"),
                (("--type", "WRITE(10)", "--dir", "out"),
                 r" COMPLETE_IO .*, LUN \d, WRITE.10., success .* us$")):
            found = self.hvctl_trace(*options).strip().split("\n")
            good = [l for l in found if re.search(line, l)]
            if not good:
                raise Fail("%s: %s" % (" ".join(options), found[0]))
        other = [l for l in found if "WRITE(10)" not in l]
        if other:
            raise Fail("--type WRITE(10) shows: " + other[0])
        text = self.hvctl_trace("--summary")
        m = re.match(r"(\d+) records in [\d.]+ seconds, 0 lost", text)
        if not m or "READ(10)" not in text:
            raise Fail("--summary: " + text[:200])
        return m.group(0)


class Luns(Boot):
    name = "luns"
    modules = ("hv_storvsc", "sd_mod")
    order = 5
    count = 64

    def options(self):
        found = []
        for n in range(self.count):
            f = put(self.path("%d.img" % n), b"unit %d\n" % n, 64 << 10)
            found += ["--disk", "scsi,file=%s,lun=%d,controller=1" % (f, n)]
        self.single = put(self.path("single.img"), b"single\n", 64 << 10)
        return found + ["--disk", "scsi,file=%s,lun=0,controller=2,"
                        "cache=writethrough" % self.single]

    def check_found(self):
        """64 disks on a controller, each where it belongs"""
        within(self.vm, "[ \"$(disk 1 '*' | wc -w)\" = %d ]" % self.count,
               "%d disks" % self.count, 60)
        text = self.vm.sh("for n in $(seq 0 %d); do head -n 1 /dev/$(disk 1 "
                          "$n); done" % (self.count - 1), 120)
        want = "\n".join("unit %d" % n for n in range(self.count))
        if text != want:
            raise Fail("they read: " + text.replace("\n", ", "))

    def check_rescind(self):
        """hvctl rescind: a controller leaves the running guest, for good"""
        # One without a write cache: Linux wants to empty that first, and
        # waits minutes for the device that is not there.
        within(self.vm, "[ -n \"$(disk 2 0)\" ]", "the disk")
        channels = self.vm.sh("ls /sys/bus/vmbus/devices/*e102/channels")
        self.vm.ctl("rescind", str(min(map(int, channels.split()))))
        within(self.vm, "[ ! -e /sys/bus/vmbus/devices/*e102 ]", "its end")
        self.vm.refuses("disk", "add", self.single, "--controller", "2")
        self.vm.ctl("disk", "add", self.single, "--lun", "7")
        within(self.vm, "[ -n \"$(disk 0 7)\" ]", "the same image elsewhere")
        if self.vm.sh("head -n 1 " + disk(self.vm, 7)) != "single":
            raise Fail("it reads other bytes")

    def check_poweroff(self):
        """hvctl shutdown: the guest hears of its power button, and obeys"""
        self.vm.load("button", "evdev")
        self.vm.sh("(head -c 24 /dev/input/event0 >/dev/null && "
                   "poweroff -f) & sleep 1")
        self.vm.ctl("shutdown")
        self.ends_well(self.vm.wait())


class Ide(Boot):
    name = "ide"
    modules = ("hv_storvsc", "sd_mod", "sr_mod")
    order = 20
    size = 8 * MIB

    def options(self):
        self.image = put(self.path("ide.img"), pattern(3, self.size))
        self.files = {"HELLO.TXT": b"Hello, CD-ROM.\n",
                      "DATA.BIN": pattern(4, MIB + 777)}
        self.iso = put(self.path("cd.iso"), iso9660.image(self.files))
        self.iso2 = put(self.path("cd2.iso"), iso9660.image(self.files))
        return ["--disk", "ide,file=%s,channel=0,drive=0" % self.image,
                "--cdrom", "ide,file=" + self.iso, "--cdrom", self.iso2]

    def check_accelerated(self):
        """an IDE disk is on VMBus, for hv_storvsc"""
        within(self.vm, "[ -e /dev/sda ]", "the disk")
        host = self.vm.sh("readlink -f /sys/block/sda")
        if "/VMBUS" not in host.upper():
            raise Fail("it is at " + host)
        self.compare("sda")

    def compare(self, name):
        got = self.vm.sh("dd if=/dev/%s bs=64k iflag=direct 2>/dev/null | "
                         "sha256sum" % name, 180).split()[0]
        if got != sha256(self.image):
            raise Fail("%s reads other bytes than the image's" % name)

    def check_emulated(self):
        """the same disk on emulated IDE, for ata_piix: the same bytes"""
        # Linux leaves IDE disks to hv_storvsc unless told otherwise.
        self.vm.sh("modprobe ata_piix prefer_ms_hyperv=0")
        within(self.vm, "[ -e /dev/sdb ]", "the emulated disk")
        at = self.vm.sh("readlink -f /sys/block/sdb")
        if "/ata" not in at:
            raise Fail("it is at " + at)
        self.compare("sdb")

    def check_both_ways(self):
        """written on one way, read on the other"""
        for to, off in (("sda", "sdb"), ("sdb", "sda")):
            self.vm.sh("dd if=/dev/urandom of=/tmp/r bs=64k count=3 "
                       "2>/dev/null && dd if=/tmp/r of=/dev/%s bs=64k seek=5 "
                       "oflag=direct 2>/dev/null && dd if=/dev/%s bs=64k "
                       "skip=5 count=3 iflag=direct 2>/dev/null | "
                       "cmp - /tmp/r" % (to, off), 120)

    def cdrom(self, where):
        text = self.vm.sh("for d in /sys/block/sr*; do echo ${d##*/} "
                          "$(readlink -f $d); done")
        for line in text.split("\n"):
            name, _, at = line.partition(" ")
            if where in at:
                break
        else:
            raise Fail("the guest has " + (text or "no CD-ROM"))
        self.vm.sh("modprobe isofs; mount -t iso9660 -o ro /dev/%s /mnt" %
                   name)
        text = self.vm.sh("cd /mnt && sha256sum *", 120)
        self.vm.sh("umount /mnt")
        for file, data in self.files.items():
            line = "%s  %s" % (hashlib.sha256(data).hexdigest(), file.lower())
            if line not in text.lower():
                raise Fail("%s on it: %s" % (file, text))

    def check_cdrom_ide(self):
        """a CD-ROM on IDE mounts, its files compare"""
        self.cdrom("/ata")

    def check_cdrom_scsi(self):
        """a CD-ROM on the SCSI controller mounts, its files compare"""
        self.cdrom("VMBUS")


class Channels(Boot):
    name = "channels"
    cpus = 4
    modules = ("hv_vmbus",)
    order = 15

    def options(self):
        self.image = put(self.path("d.img"), pattern(5, 8 * MIB))
        return ["--disk", "scsi,file=%s,lun=0" % self.image,
                "--subchannels", "3"]

    def check_cpus(self):
        """4 CPUs came up"""
        online = self.vm.sh("cat /sys/devices/system/cpu/online")
        if online != "0-3":
            raise Fail("CPUs online: " + online)

    def channels(self):
        """{channel: (cpu, interrupts)}"""
        text = self.vm.sh("for c in /sys/bus/vmbus/devices/*e100/channels/*; "
                          "do echo ${c##*/} $(cat $c/cpu $c/interrupts); "
                          "done")
        return {int(a): (int(b), int(c)) for a, b, c in
                (l.split() for l in text.split("\n"))}

    def check_subchannels(self):
        """as many sub-channels as allowed, spread over the CPUs"""
        # One for each CPU; Linux's own measure is one for four.
        self.vm.sh("modprobe -a sd_mod; modprobe hv_storvsc "
                   "storvsc_vcpus_per_sub_channel=1")
        within(self.vm, "[ -n \"$(disk 0 0)\" ]", "the disk")
        found = self.channels()
        cpus = sorted(cpu for cpu, _ in found.values())
        if len(found) != 4 or len(set(cpus)) < 3:
            raise Fail("%d channels, on CPUs %s" % (len(found), cpus))
        return "%d channels, on CPUs %s" % (len(found), cpus)

    def check_every_cpu(self):
        """every CPU does I/O, all at once, on several channels"""
        before = self.channels()
        name = disk(self.vm, 0)
        want = sha256(self.image)
        text = self.vm.sh(
            "for c in 0 1 2 3; do taskset -c $c sh -c 'dd if=%s bs=64k "
            "iflag=direct 2>/dev/null | sha256sum' & done; wait" % name, 180)
        if text.split()[::2] != [want] * 4:
            raise Fail("sums: " + text)
        after = self.channels()
        used = [n for n in after if after[n][1] > before[n][1]]
        if len(used) < 2:
            raise Fail("channels with interrupts: %s" % used)
        return "%d channels used" % len(used)

    def check_pause(self):
        """hvctl pause and resume amid I/O: nothing runs, nothing is lost"""
        name = disk(self.vm, 0)
        clock = float(self.vm.sh("cat /proc/uptime").split()[0])
        start = time.monotonic()
        self.vm.begin("for c in 0 1 2 3; do taskset -c $c sh -c 'dd if=%s "
                      "bs=16k iflag=direct 2>/dev/null | sha256sum' & done; "
                      "wait" % name)
        for _ in range(3):
            time.sleep(0.2)
            self.vm.ctl("pause")
            status = self.vm.ctl("status")
            if "paused" not in status:
                raise Fail("status does not say so")
            if len(re.findall(r"^CPU \d+ +at 0x[0-9a-f]{16}", status,
                              re.M)) != self.cpus:
                raise Fail("nor where each processor is: " + status)
            before = self.vm.exits()
            time.sleep(0.3)
            if self.vm.exits() != before:
                raise Fail("a paused guest runs")
            self.vm.ctl("resume")
        text = self.vm.finish(180)[1]
        if text.split()[::2] != [sha256(self.image)] * 4:
            raise Fail("sums: " + text)
        clock = float(self.vm.sh("cat /proc/uptime").split()[0]) - clock
        if abs(clock - (time.monotonic() - start)) > 2:
            raise Fail("the guest's clock is off after it")
        complaints(self.vm, "I/O error|storvsc.*(invalid|unknown|tag#)")


class Versions(Boot):
    """A guest for each version, by its choice or the host's (Limits).  (hv_vmbus cannot be loaded twice: when it
    leaves, Linux is left without a timer, there being neither PIT nor
    HPET.)"""
    name = "versions"
    order = 2
    chosen = ("5.1", "4.0", "3.0", "2.4")
    check_poweroff = None

    def start(self):
        """Each check starts its own."""

    def options(self):
        self.image = put(self.path("d.img"), pattern(6, MIB))
        return ["--disk", "scsi,file=%s,lun=0" % self.image]

    def connects(self, version, options=(), parameter=""):
        self.vm = self.launch(options=self.options() + list(options))
        try:
            self.vm.wait_up()
            self.vm.sh("modprobe hv_vmbus " + parameter)
            got = dmesg(self.vm, "Vmbus version:").split(":")[-1]
            if got != version:
                raise Fail("%s: the guest connected with %s" % (version, got))
            self.vm.load("hv_storvsc", "sd_mod")
            within(self.vm, "[ -n \"$(disk 0 0)\" ]", "the disk")
            got = self.vm.sh("sha256sum " + disk(self.vm, 0)).split()[0]
            if got != sha256(self.image):
                raise Fail(version + ": the disk reads other bytes")
            if self.vm.poweroff() != 0:
                raise Fail("the power-off: " + self.vm.ending())
        finally:
            self.vm.kill()

    def check_guest_chooses(self):
        """VMBus versions that the guest's driver is told to use"""
        for v in self.chosen:
            major, minor = map(int, v.split("."))
            self.connects(v, parameter="max_version=%d" %
                          (major << 16 | minor))
        return " ".join(self.chosen)


class Limits(Versions):
    name = "limits"
    order = 3
    # VMBus, then storage protocol; and other options, to be seen to work.
    pairs = (("5.2", "6.2", "--no-autoeoi"),
             ("5.0", "6.0", "--monitor-pages", "--subchannels", "0"),
             ("4.1", "5.1", "--no-uring", "--cpu", "host,-x2apic,-xsave"))
    check_guest_chooses = None

    def check_vmbus_and_storvsp(self):
        """hosts limited to older VMBus and storage versions"""
        for bus, storage, *more in self.pairs:
            self.connects(bus, ["--vmbus-version", bus, "--storvsp-version",
                                storage] + more)
        return ", ".join("VMBus %s with storvsp %s" % p[:2]
                         for p in self.pairs)


class Faults(Boot):
    name = "faults"
    modules = ("hv_storvsc", "sd_mod")
    order = 30

    mounted = False

    def options(self):
        if os.geteuid() != 0:
            raise Skip("only root can mount a small file system for it")
        self.good = put(self.path("good.img"), size=8 * MIB)
        self.gone = put(self.path("gone.img"), pattern(7, 8 * MIB))
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs",
                        small], check=True)
        self.mounted = True
        self.tight = put(os.path.join(small, "tight.img"), size=32 * MIB)
        return ["--disk", "scsi,file=%s,lun=0" % self.good,
                "--disk", "scsi,file=%s,lun=1" % self.gone,
                "--disk", "scsi,file=%s,lun=2" % self.tight]

    def start(self):
        super().start()
        within(self.vm, "[ \"$(disk 0 '*' | wc -w)\" = 3 ]", "three disks")
        self.sd = [disk(self.vm, n) for n in range(3)]

    def alive(self):
        self.vm.sh("dd if=%s of=/dev/null bs=64k count=4 iflag=direct" %
                   self.sd[0])

    def check_injected(self):
        """hvctl fault: one read fails, the guest reports it, the next is
        good"""
        self.vm.ctl("fault", "add", "blk", "status", "--key", "0x28", "--arg",
                    "EIO", "--times", "1")
        read = "dd if=%s of=/dev/null bs=4k count=1 iflag=direct" % self.sd[0]
        if self.vm.run(read)[0] == 0:
            raise Fail("the read succeeds")
        self.vm.sh(read)
        if "1" not in self.vm.ctl("fault", "count", "blk").split():
            raise Fail("it is not counted")
        return dmesg(self.vm, "Sense Key|Add. Sense")

    def check_full(self):
        """no room below the image: the guest gets errors, hvhost lives"""
        status, text = self.vm.run("dd if=/dev/zero of=%s bs=1M count=16 "
                                   "oflag=direct" % self.sd[2], 180)
        if status == 0:
            raise Fail("16 MiB went into 4 MiB")
        self.alive()
        self.vm.sh("dd if=%s of=/dev/null bs=64k count=1 iflag=direct" %
                   self.sd[2])
        return text.split("\n")[0]

    def check_vanished(self):
        """a truncated image: the guest gets errors, hvhost lives"""
        os.truncate(self.gone, 0)
        status, _ = self.vm.run("dd if=%s of=/dev/null bs=64k count=8 "
                                "iflag=direct" % self.sd[1], 180)
        self.alive()
        if status == 0:
            raise Fail("reads succeed")

    def check_terminate(self):
        """SIGTERM ends hvhost; what the guest has written is on the image"""
        self.vm.sh("yes kept | head -c 1048576 | dd of=%s bs=64k "
                   "conv=fsync,notrunc" % self.sd[0], 120)
        self.vm.begin("yes more | dd of=%s bs=64k seek=32 oflag=direct" %
                      self.sd[0])
        time.sleep(1)
        self.vm.interrupt()
        status = self.vm.wait(30)
        if status < 0:
            raise Fail("killed by signal %d" % -status)
        with open(self.good, "rb") as f:
            if f.read(MIB) != (b"kept\n" * MIB)[:MIB]:
                raise Fail("the image lacks it")
        return "exit status %d" % status

    check_poweroff = None

    def stop(self):
        super().stop()
        if self.mounted:
            subprocess.run(["umount", self.path("small")], check=False)
