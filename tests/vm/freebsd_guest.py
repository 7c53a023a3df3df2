# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""FreeBSD as hvhost's guest: its root, its modules, its devices.  What its
first process understands stands in freebsd/init.c and the files beside it.

An area is a module freebsd_NAME.py, listed in freebsd.py; a guest is a class
in it, derived from FreeBsd, with a method check_... for each check (suite.py).
For each guest a root is made with makefs, which da0 is unless it says
otherwise."""

import collections
import os
import re
import shutil
import subprocess
import time

import guest
from guest import Fail
from images import MIB, put
from suite import Boot, Skip

KERNEL = os.environ.get("FBSD_KERNEL", "")
INIT = os.environ.get("FBSD_INIT", "")
# Folder of our modules; empty: the kernel's own drivers are tested.
MODULES = os.environ.get("FBSD_MODULES", "")
# What the kernel needs to boot, in MiB.
MEMORY = int(os.environ.get("FBSD_MEMORY", "256"))

UP_LIMIT = 150
# Its interrupt handler keeps 384 bytes.
PART = 240

SCSI_CLASS = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
IDE_CLASS = "32412632-86cb-44a2-9b5c-50d1417354f5"
# hvhost's controllers differ in the last digit.
SCSI_INSTANCE = "7a3e5c1d-0c4b-4e2f-9d61-5f2a8b90e10%d"

# What the kernel keeps for itself, by names of vmstat.c: events that no
# devd(8) takes, up to 1000, and free pages.
CACHES = ("zones DEVCTL", "zones UMA Slabs 0", "zones UMA Slabs 1",
          "zones vm pgcache")

Device = collections.namedtuple(
    "Device", "name driver unit parent state desc pnpinfo location")


def module_files(*names):
    """Files of a root: our modules, if we have any, to be loaded later."""
    found = {}
    for m in names if MODULES else ():
        with open(os.path.join(MODULES, m + ".ko"), "rb") as f:
            found["/boot/modules/%s.ko" % m] = f.read()
    return found


def in_tree():
    """Has the kernel drivers for Hyper-V of its own?"""
    with open(KERNEL, "rb") as f:
        return b"Hyper-V Vmbus Resource" in f.read()


def in_nested_rig():
    return os.environ.get("RIG") == "nested"


def make_ufs(path, tree, size):
    """A UFS1 file system, which every kernel has; makefs puts the superblock
    of UFS2 where FreeBSD does not look for it."""
    run("makefs", "-t", "ffs", "-o", "version=1", "-f", "500", "-s", str(size),
        path, tree)


def make_ext2(path, tree, size):
    """An ext2 file system without what FreeBSD's ext2fs(5) lacks."""
    run("mke2fs", "-q", "-t", "ext2", "-b", "4096", "-O",
        "^dir_index,^resize_inode", "-d", tree, path, "%dk" % (size >> 10))


MAKERS = {"ufs": make_ufs, "ext2fs": make_ext2}


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False,
                       stderr=subprocess.STDOUT)
    if p.returncode != 0:
        raise Fail("%s: %s" % (argv[0], p.stdout.strip()[-300:]))


def make_root(path, kind="ufs", size=8 * MIB, files=None):
    """A root with the first process and what else a guest wants there:
    {path: bytes}."""
    tree = path + ".tree"
    for d in ("sbin", "dev", "etc", "mnt", "tmp", "boot/modules"):
        os.makedirs(os.path.join(tree, d))
    shutil.copy(INIT, os.path.join(tree, "sbin/init"))
    for name, data in (files or {}).items():
        at = os.path.join(tree, name.lstrip("/"))
        os.makedirs(os.path.dirname(at), exist_ok=True)
        put(at, data)
    MAKERS[kind](path, tree, size)
    shutil.rmtree(tree)
    return path


class Guest(guest.Hvhost):
    """FreeBSD under hvhost.  extra: its kernel environment, a dictionary."""
    power_off = "power off"

    def booting(self, extra):
        words = ["--kernel", KERNEL]
        for name, value in extra.items():
            words += ["--kenv", "%s=%s" % (name, value)]
        if in_nested_rig():
            words += ["--cpu", "host,-xsave"]
        return words

    def wait_up(self, limit=UP_LIMIT):
        return super().wait_up(limit)

    def begin(self, command):
        """In parts that the kernel's serial driver has room for."""
        part = ""
        for line in command.split("\n"):
            if part and len(part) + len(line) > PART:
                self.seq += 1
                self.type("%s+ %d\n" % (part, self.seq))
                self.expect(r"^@more %d\n" % self.seq, what="the next part")
                part = ""
            part += line + "\n"
        super().begin(part.rstrip("\n"))

    def load(self, *modules):
        for m in modules:
            self.sh("kld load /boot/modules/%s.ko" % m)

    def sysctl(self, name):
        return self.sh("sysctl get " + name)

    def counted(self, command):
        """{name: number} of lines `name: number...'."""
        found = {}
        for line in self.sh(command).split("\n"):
            name, _, rest = line.rpartition(": ")
            if name:
                found[name] = int(rest.split()[0])
        return found

    def held(self, *nodes):
        """What may leak, by name: memory, and sysctls below these nodes."""
        found = {}
        for what in ("malloc", "zones"):
            for name, n in self.counted("vmstat " + what).items():
                found["%s %s" % (what, name)] = n
        for node in nodes:
            found["sysctl " + node] = self.number("sysctl count " + node)
        return found

    def number(self, command):
        return int(self.sh(command))

    def dmesg(self, text):
        """The kernel's lines with a text in them, oldest first."""
        status, found = self.run('dmesg "%s"' % text)
        if status != 0:
            raise Fail("the kernel's messages have no line with %r" % text)
        return found.split("\n")

    def devices(self, verb="tree", name=""):
        """newbus devices: all, or with and below one, or a bus's children."""
        found = []
        for line in self.sh("dev %s %s" % (verb, name)).split("\n"):
            fields = line.split("\t")
            if len(fields) == len(Device._fields):
                found.append(Device(*fields))
        return found

    def luns(self):
        """{(controller's driver and unit, LUN): peripheral's name} of all
        disks and CD-ROMs, from CAM's own list."""
        buses, found = {}, {}
        for line in self.sh("cam list").split("\n"):
            words = line.split()
            if words[:1] == ["bus"]:
                buses[words[1]] = words[2] + words[3]
            elif words[:1] == ["periph"] and \
                    re.match(r"(da|cd|ada)\d", words[1]):
                found[(buses[words[2]], int(words[4]))] = words[1]
        return found

    def within(self, command, what, seconds=30):
        """Waits for a command to succeed; its output."""
        status, text = self.run("within %d %s" % (seconds, command),
                                2 * seconds + 60)
        if status != 0:
            raise Fail("%s: not within %d s: %s" % (what, seconds,
                                                    text[-200:]))
        return text

    def writable_root(self):
        """The kernel mounts its root read-only, always."""
        kind, source = [(m[2], m[0]) for m in (
            l.split() for l in self.sh("fs mounts").split("\n"))
            if m[1] == "/"][0]
        self.sh("fs mount %s %s / update noro" % (kind, source))

    def reboot(self):
        """Reboots the kernel and waits for its shell; seconds."""
        start = time.monotonic()
        self.type("power reboot\n. 0\n")
        self.wait_up()
        return time.monotonic() - start

    def start_job(self, command):
        """Starts a command beside the shell; its number."""
        return self.number("job start " + command)

    def end_job(self, n, limit=guest.PATIENCE):
        """(result, output) of a job, which is waited for."""
        return self.run("job wait %d" % n, limit)


class FreeBsd(Boot):
    """A guest with its root on da0."""
    machine = Guest
    memory = MEMORY
    modules = ("hv_vmbus", "hv_storvsc")    # preloaded, if we have any
    kenv = {}
    # "scsi" or "ide": a disk, the first; "md": a memory disk.
    root = "scsi"
    root_type = "ufs"
    root_size = 8 * MIB
    root_device = "da0"
    files = {}                              # what else is on it

    def image(self):
        """The root's image, made the first time it is asked for."""
        path = self.path("root.img")
        if not os.path.exists(path):
            make_root(path, self.root_type, self.root_size, self.files)
        return path

    def disks(self):
        """hvhost's options for disks, apart from the root's."""
        return []

    def preloaded(self):
        words = []
        for m in self.modules if MODULES else ():
            words += ["--module", os.path.join(MODULES, m + ".ko")]
        return words

    def options(self):
        if self.root == "md":
            where = ["--mdroot", self.image()]
        else:
            where = ["--disk", self.root + ",file=%s,serial=ROOT" %
                     self.image() + (",lun=0" if self.root == "scsi" else "")]
        return self.preloaded() + where + self.disks()

    def launch(self, name="vm", **change):
        device = "md0" if self.root == "md" else self.root_device
        kenv = {"vfs.root.mountfrom": "%s:/dev/%s" % (self.root_type, device)}
        kenv.update(self.kenv)
        kenv.update(change.pop("kenv", {}))
        return super().launch(name, extra=kenv, **change)

    def start(self):
        self.vm = self.launch()
        self.vm.wait_up()

    def check_quiet(self):
        """the kernel complains of nothing"""
        self.quiet()

    def quiet(self, ignore="^$"):
        """Fails if the kernel or a driver found something wrong."""
        for text in ("panic", "lock order", "witness", "sleeping",
                     "vmbus", "storvsc", "hn", "CAM status", "Retries",
                     "Error"):
            status, found = self.vm.run('dmesg "%s"' % text)
            for line in found.split("\n") if status == 0 else ():
                if re.search(COMPLAINTS, line) and \
                        not re.search(ignore, line):
                    raise Fail(line)

    def ours(self):
        """Skips a check that is about our drivers alone."""
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")


COMPLAINTS = (r"panic|lock order reversal|with the following|"
              r"(vmbus|storvsc|hn)\d*: .*(fail|error|invalid|corrupt|refuse|"
              r"unexpected|timed? ?out|cannot|no device)|"
              r"(da|cd)\d+:.*(CAM status|Retries exhausted|Error)")
