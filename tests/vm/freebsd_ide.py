# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A disk that is there twice, on emulated IDE and on VMBus, and the tunables
that say who gets it: storvsc as da, or ata(4) as ada.  Never both, and a CD-ROM
is always ata(4)'s."""

import re

import iso9660
from freebsd_guest import FreeBsd, MODULES, in_tree, module_files
from guest import Fail
from images import MIB, pattern, put, sha256
from suite import Skip

ENABLED, OLD = "hw.ata.disk_enabled", "hw.ata.disk_enable"


class Ide(FreeBsd):
    """The root is the first IDE channel's first drive."""
    root = "ide"
    cpus = 2
    size = 2 * MIB
    words = None

    def options(self):
        """The same for each guest: images are made once."""
        self.words = self.words or super().options()
        return self.words

    def disks(self):
        self.iso = put(self.path("cd.iso"), iso9660.image({"A.TXT": b"a\n"}))
        return ["--cdrom", "ide,file=%s,channel=1,drive=0" % self.iso]

    def places(self):
        """{unit: (controller, target)} of all disks and CD-ROMs."""
        buses, found = {}, {}
        for line in self.vm.sh("cam list").split("\n"):
            words = line.split()
            if words[:1] == ["bus"]:
                buses[words[1]] = words[2] + words[3]
            elif words[:1] == ["periph"] and \
                    re.match(r"(da|cd|ada)\d", words[1]):
                found[words[1]] = (buses[words[2]], int(words[3]))
        return found

    def are(self, want):
        """Fails if the units are not these and no others."""
        for unit in want:
            self.vm.within("raw size /dev/" + unit, unit)
        # Who is late should not be missed.
        self.vm.sh("cam rescan", 120)
        found = self.places()
        if found != want:
            raise Fail("units: %s" % found)
        return ", ".join("%s at %s" % (u, found[u][0]) for u in sorted(found))

    def root_is(self, unit):
        mounts = [l.split() for l in self.vm.sh("fs mounts").split("\n")]
        source = [m[0] for m in mounts if m[1] == "/"][0]
        if source != "/dev/" + unit:
            raise Fail("the root is on " + source)

    def cdrom(self, unit="cd0"):
        if self.vm.sh("raw sum /dev/" + unit, 120) != sha256(self.iso):
            raise Fail("%s reads other bytes than its image" % unit)

    def again(self, name, **kenv):
        """Ends the guest and starts it with another kernel environment."""
        self.ends_well(self.vm.poweroff())
        self.vm = self.launch(name, kenv=kenv)
        self.vm.wait_up()


class Both(Ide):
    """Boots in turn by VMBus, by IDE and by VMBus."""
    name = "ide"
    order = 9

    def disks(self):
        self.second = put(self.path("second.img"), size=self.size)
        self.scsi_iso = put(self.path("cd2.iso"),
                            iso9660.image({"B.TXT": b"b\n" * 3000}))
        return super().disks() + [
            "--disk", "ide,file=%s,channel=0,drive=1" % self.second,
            "--cdrom", "scsi,file=%s,lun=4" % self.scsi_iso]

    def check_vmbus(self):
        """by default IDE disks are blkvsc's, and CD-ROMs where they are"""
        found = self.places()
        if found.get("da0") != ("blkvsc0", 0):
            raise Fail("units: %s" % found)
        return self.both({"da0": ("blkvsc0", 0), "da1": ("blkvsc1", 1)})

    def both(self, disks):
        """The disks that are expected, and both CD-ROMs with their bytes."""
        units = {at: u for u, at in self.places().items()}
        # Controllers of both kinds are counted together.
        last = "storvsc%d" % len([at for at, _ in disks.values()
                                  if at.startswith("blkvsc")])
        ata, scsi = units.get(("ata1", 0)), units.get((last, 0))
        if ata is None or scsi is None:
            raise Fail("units: %s" % units)
        text = self.are(dict(disks, **{ata: ("ata1", 0), scsi: (last, 0)}))
        self.cdrom(ata)
        if self.vm.sh("raw sum /dev/" + scsi, 120) != sha256(self.scsi_iso):
            raise Fail("%s reads other bytes than its image" % scsi)
        return text

    def check_vmbus_root(self):
        """the root is mounted from da0; a file and a disk are written"""
        self.root_is("da0")
        self.write("vmbus", "da1", 0)

    def write(self, name, unit, at):
        self.vm.writable_root()
        self.vm.sh('fs write /etc/%s "by %s"\nfs sync\n'
                   'raw write /dev/%s %d 256k 5' % (name, name, unit, at))

    def wrote(self, name, unit, at):
        if self.vm.sh("fs cat /etc/" + name) != "by " + name:
            raise Fail("the file has other bytes")
        self.vm.sh("raw check /dev/%s %d 256k 5" % (unit, at), 120)

    def check_ata(self):
        """hw.ata.disk_enabled=1: ada, and nothing of blkvsc"""
        self.again("ata", **{ENABLED: 1,
                             "vfs.root.mountfrom": "ufs:/dev/ada0"})
        return self.both({"ada0": ("ata0", 0), "ada1": ("ata0", 1)})

    def check_ata_root(self):
        """the root is mounted from ada0; it reads what was written by da"""
        self.root_is("ada0")
        self.wrote("vmbus", "ada1", 0)
        self.write("ata", "ada1", MIB)

    def check_vmbus_again(self):
        """hw.ata.disk_enabled=0: da once more, and what ada has written"""
        self.again("vmbus", **{ENABLED: 0})
        text = self.both({"da0": ("blkvsc0", 0), "da1": ("blkvsc1", 1)})
        self.root_is("da0")
        self.wrote("vmbus", "da1", 0)
        self.wrote("ata", "da1", MIB)
        return text


class Words(Ide):
    """Each word for the loader, in a guest of its own."""
    name = "idewords"
    order = 10
    root = "md"

    VMBUS = {"da0": ("blkvsc0", 0), "cd0": ("ata1", 0)}
    ATA = {"ada0": ("ata0", 0), "cd0": ("ata1", 0)}

    def disks(self):
        self.disk = put(self.path("disk.img"), pattern(6, self.size))
        return super().disks() + [
            "--disk", "ide,file=%s,channel=0,drive=0" % self.disk]

    def found(self, want, **kenv):
        self.again("again", **kenv)
        text = self.are(want)
        unit = [u for u in want if u != "cd0"][0]
        if self.vm.sh("raw sum /dev/" + unit, 120) != sha256(self.disk):
            raise Fail("%s reads other bytes" % unit)
        self.cdrom()
        return text

    def check_old_name(self):
        """hw.ata.disk_enable=1 does as well: ada"""
        self.ours()
        return self.found(self.ATA, **{OLD: 1})

    def check_old_value(self):
        """its value counts: with 0 it is da"""
        self.ours()
        return self.found(self.VMBUS, **{OLD: 0})

    def check_both_names(self):
        """if both are set, the newer one counts"""
        self.ours()
        return self.found(self.VMBUS, **{ENABLED: 0, OLD: 1})

    def check_disabled(self):
        """a disk whose driver was disabled on VMBus is ada"""
        self.ours()
        return self.found(self.ATA, **{"hint.storvsc.0.disabled": 1})


class Places(Ide):
    """All places there are: three disks beside a CD-ROM, two of them on
    channels whose other drive is a CD-ROM or a disk."""
    name = "ideplaces"
    order = 11
    root = "md"

    def disks(self):
        words = super().disks()
        for channel, drive in ((0, 0), (0, 1), (1, 1)):
            f = put(self.path("%d%d.img" % (channel, drive)),
                    b"drive %d of %d\n" % (drive, channel), self.size)
            words += ["--disk", "ide,file=%s,channel=%d,drive=%d" % (
                f, channel, drive)]
        return words

    def lines(self, units):
        for unit, (channel, drive) in units.items():
            line = self.vm.sh("raw line /dev/" + unit)
            if line != "drive %d of %d" % (drive, channel):
                raise Fail("%s is %s" % (unit, line))

    def check_vmbus(self):
        """three disks are da0, da1, da2 in the order of their places"""
        text = self.are({"da0": ("blkvsc0", 0), "da1": ("blkvsc1", 1),
                         "da2": ("blkvsc2", 1), "cd0": ("ata1", 0)})
        self.lines({"da0": (0, 0), "da1": (0, 1), "da2": (1, 1)})
        self.cdrom()
        return text

    def check_many(self):
        """all three written and read at a time, while the CD-ROM is read"""
        jobs = [self.vm.start_job("io /dev/da%d write 4096 8 500 seq 1" % n)
                for n in range(3)]
        self.cdrom()
        for n, j in enumerate(jobs):
            status, text = self.vm.end_job(j, 240)
            if status != 0:
                raise Fail(text)
            self.vm.sh("raw check /dev/da%d 0 1m 1" % n)

    def check_ata(self):
        """hw.ata.disk_enabled=1: the same three are ada0, ada1, ada2"""
        self.again("ata", **{ENABLED: 1})
        text = self.are({"ada0": ("ata0", 0), "ada1": ("ata0", 1),
                         "ada2": ("ata1", 1), "cd0": ("ata1", 0)})
        for n in range(3):
            self.vm.sh("raw check /dev/ada%d 0 64k 1" % n, 120)
        self.cdrom()
        return text


class Late(Ide):
    """Our modules are loaded when the kernel is up, and ada has the disk."""
    name = "idelate"
    order = 12
    root = "md"
    modules = ()

    @property
    def files(self):
        return module_files("hv_vmbus", "hv_storvsc")

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        if in_tree():
            raise Skip("this kernel's own driver keeps ada from the disk")
        super().start()

    def disks(self):
        self.disk = put(self.path("disk.img"), size=self.size)
        scsi = put(self.path("scsi.img"), b"scsi\n", self.size)
        return super().disks() + [
            "--disk", "ide,file=%s,channel=0,drive=0" % self.disk,
            "--disk", "scsi,file=%s,lun=0" % scsi]

    WITHOUT = {"ada0": ("ata0", 0), "cd0": ("ata1", 0)}
    WITH = {"ada0": ("ata0", 0), "cd0": ("ata1", 0), "da0": ("storvsc0", 0)}

    def check_without(self):
        """without modules it is ada0"""
        return self.are(self.WITHOUT)

    def check_loaded(self):
        """loaded late, hv_storvsc leaves a disk in use to ada, and takes the
        SCSI disk"""
        job = self.vm.start_job(
            "repeat 1000000 raw sum /dev/ada0 0 128k")
        self.vm.load("hv_vmbus", "hv_storvsc")
        text = self.are(self.WITH)
        if self.vm.sh("raw line /dev/da0") != "scsi":
            raise Fail("the SCSI disk reads other bytes")
        if self.vm.run("job poll %d" % job)[0] == 0:
            raise Fail("reads of ada0 ended: %s" % (self.vm.end_job(job),))
        self.vm.sh("job kill %d" % job)
        self.vm.end_job(job)
        return text

    def check_written(self):
        """ada0 is written and read on; a new look changes nothing"""
        self.vm.sh("raw write /dev/ada0 0 256k 3\n"
                   "raw check /dev/ada0 0 256k 3", 120)
        self.are(self.WITH)
        with open(self.disk, "rb") as f:
            if not any(f.read(4096)):
                raise Fail("the image lacks it")

    def check_unloaded(self):
        """unloaded and loaded again: the same"""
        for _ in range(2):
            self.vm.sh("kld unload hv_storvsc.ko\nkld unload hv_vmbus.ko")
            self.are(self.WITHOUT)
            self.vm.load("hv_vmbus", "hv_storvsc")
            self.are(self.WITH)
