# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The integration services that need daemons, on a real kernel: backup, with
UFS suspended, and file copy, in capability mode.  The daemons are in the first
process, as its commands, and run as jobs of it (freebsd/daemons.c)."""

import hashlib
import os
import time

from freebsd_guest import in_nested_rig, module_files
from freebsd_services import MODULE, Service
from guest import Fail
from images import MIB

# What emulated processors take for the same.
SLOW = 30 if in_nested_rig() else 1
# MiB of the file that is copied; there it would take ten minutes.
COPY = 16 if in_nested_rig() else 256


class Daemons(Service):
    name = "daemons"
    cpus = 2
    order = 21
    root_size = (48 + COPY) * MIB

    def start(self):
        super().start()
        self.vm.writable_root()
        self.vm.sh("fs mkdir /var\nfs mkdir /var/run\nfs mkdir /var/spool")
        self.vss = self.daemon("vss", "dev.hvvss.0.fs_program")
        self.fcopy = self.daemon("fcopy", "dev.hvfcopy.0.program")

    def daemon(self, command, ready):
        """Starts one as a job, whose number it is."""
        job = self.vm.start_job(command)
        until = time.monotonic() + 60
        while self.vm.sysctl(ready) != "1":
            if time.monotonic() > until:
                raise Fail("%s: %s" % (command, self.vm.end_job(job)))
            time.sleep(0.2)
        return job

    def count(self, name):
        return self.vm.number("sysctl get dev." + name)

    def told(self):
        """What the driver has counted and said."""
        return "%s; %s" % (self.vm.sh("sysctl tree dev.hvvss.0"),
                           self.vm.run("dmesg hvvss")[1])

    def check_snapshot(self):
        """the root is suspended and resumed, though the daemon's pid file is
        on it"""
        best = None
        for _ in range(3):
            begin = time.monotonic()
            self.vm.ctl("vss", "snapshot", "--hold", "0s")
            took = (time.monotonic() - begin) * 1000
            best = took if best is None else min(best, took)
        if self.count("hvvss.0.thaws") != 3:
            raise Fail("thaws: %d" % self.count("hvvss.0.thaws"))
        if best > 100 * SLOW:
            raise Fail("%.0f ms" % best)
        return "check, freeze, thaw in %.0f ms" % best

    def check_hold(self):
        """while it is frozen who writes waits"""
        self.vm.ctl("vss", "freeze")
        job = self.vm.start_job("fs write /tmp/during text")
        time.sleep(1)
        self.vm.sh("not job poll %d" % job)
        if self.count("hvvss.0.frozen") != 1:
            raise Fail("not frozen: %s" % self.told())
        self.vm.ctl("vss", "thaw")
        status, text = self.vm.end_job(job)
        if status != 0:
            raise Fail("the writer: %d: %s" % (status, text))
        self.vm.sh("fs cat /tmp/during")

    def check_no_thaw(self):
        """a freeze that nobody thaws ends by itself, and the thaw that comes
        later fails"""
        self.vm.sh("sysctl set dev.hvvss.0.hold_timeout 2")
        before = self.count("hvvss.0.auto_thaws")
        self.vm.ctl("vss", "freeze")
        job = self.vm.start_job("fs write /tmp/later text")
        status, text = self.vm.end_job(job)
        self.vm.sh("sysctl set dev.hvvss.0.hold_timeout 60")
        if status != 0 or self.count("hvvss.0.auto_thaws") != before + 1:
            raise Fail("%d: %s" % (status, text))
        self.vm.refuses("vss", "thaw")
        self.vm.ctl("vss", "snapshot", "--hold", "0s")

    def check_killed(self):
        """the daemon is killed while all is frozen: it is not any more"""
        self.vm.ctl("vss", "freeze")
        job = self.vm.start_job("fs write /tmp/killed text")
        self.vm.sh("job kill %d" % self.vss)
        self.vm.end_job(self.vss)
        status, text = self.vm.end_job(job)
        if status != 0:
            raise Fail("the writer: %d: %s" % (status, text))
        self.vm.refuses("vss", "thaw")
        self.vss = self.daemon("vss", "dev.hvvss.0.fs_program")
        self.vm.ctl("vss", "snapshot", "--hold", "0s")

    def check_memory(self):
        """a file system that has no disk is left alone"""
        self.vm.sh("fs mount tmpfs - /mnt")
        self.vm.ctl("vss", "freeze")
        self.vm.sh("fs write /mnt/file text")
        self.vm.ctl("vss", "thaw")
        self.vm.sh("fs umount /mnt")

    def copy(self, data, to, *more):
        path = self.path("copied")
        with open(path, "wb") as f:
            f.write(data)
        self.vm.ctl("copy", path, to, *more, limit=1800)

    def check_copy(self):
        """a large file comes into the directory with its SHA-256"""
        data = os.urandom(COPY * MIB)
        begin = time.monotonic()
        self.copy(data, "/some/folder/file", "--create-path")
        took = time.monotonic() - begin
        found = self.vm.sh("fs sum /var/spool/hv_fcopy/some/folder/file", 300)
        if hashlib.sha256(data).hexdigest() not in found:
            raise Fail(found)
        if self.count("hvfcopy.0.files") < 1:
            raise Fail("not counted")
        return "%d MiB, %.1f MiB/s" % (COPY, COPY / took)

    def check_names(self):
        """names that lead out of the directory are refused or confined"""
        self.copy(b"x", "/sbin/init", "--create-path")
        if self.vm.sh("fs cat /var/spool/hv_fcopy/sbin/init").strip() != "x":
            raise Fail("/sbin/init is elsewhere")
        path = self.path("copied")
        self.vm.refuses("copy", path, "/../escaped")
        self.vm.refuses("copy", path, "/sbin/init")
        self.copy(b"yy", "/sbin/init", "--overwrite")
        if self.vm.sh("fs cat /var/spool/hv_fcopy/sbin/init").strip() != "yy":
            raise Fail("not overwritten")
        self.vm.sh("not fs cat /var/spool/escaped")

    def check_full(self):
        """a file that the disk has no room for is refused; nothing is left"""
        path = self.path("large")
        with open(path, "wb") as f:
            f.truncate(self.root_size)
        why = self.vm.refuses("copy", path, "/large")
        left = self.vm.sh("fs ls /var/spool/hv_fcopy")
        if "large" in left or ".hv_fcopy" in left:
            raise Fail(left)
        return why

    def check_reload(self):
        """the module goes while all is frozen: the daemons end, and what was
        frozen is thawed"""
        self.vm.ctl("vss", "freeze")
        self.vm.sh("kld unload hv_utils.ko", 120)
        for job in (self.vss, self.fcopy):
            status, text = self.vm.end_job(job)
            if status != 0:
                raise Fail("%d: %s" % (status, text))
        self.vm.sh("fs write /tmp/reloaded text\n"
                   "kld load /boot/modules/hv_utils.ko")
        self.vss = self.daemon("vss", "dev.hvvss.0.fs_program")
        self.fcopy = self.daemon("fcopy", "dev.hvfcopy.0.program")
        self.vm.ctl("vss", "snapshot", "--hold", "0s")

    @property
    def files(self):
        return module_files(MODULE)
