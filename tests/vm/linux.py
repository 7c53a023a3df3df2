#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Debian's kernel with Microsoft's own drivers, unmodified, as hvhost's guest.

usage: linux.py [PATTERN...]

Makes all checks, or those whose name has one of the patterns in it, and ends
with `N passed, N failed'.  The guests' consoles stay in build/vm/results.
"""

import os
import shutil
import sys

import initramfs
import rig
from initramfs import Trouble

AREAS = ("linux_basic", "linux_storage", "machine")
# Far above what it takes, three minutes at the most on an idle machine.
TIME_LIMIT = 420

RELEASE = os.path.join(rig.TOP, "build/release")
HVHOST = os.path.join(RELEASE, "host/vmm/hvhost")
HVCTL = os.path.join(RELEASE, "host/control/hvctl")
ECHO_GUEST = os.path.join(RELEASE, "tests/vm/echo_guest")
AIOBENCH = os.path.join(RELEASE, "tests/vm/aiobench")

GUEST_MODULES = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "sd_mod",
                 "sr_mod", "sg", "isofs", "ata_piix", "virtio_pci",
                 "virtio_blk", "button", "evdev")
GUEST_PROGRAMS = ("mke2fs", "e2fsck")
MKE2FS_CONF = b"""[fs_types]
	ext4 = {
		features = has_journal,extent,huge_file,flex_bg,metadata_csum
	}
"""
# What QEMU wants of its own to boot a kernel directly.
FIRMWARE = ("bios-256k.bin", "linuxboot_dma.bin", "kvmvapic.bin")
FIRMWARE_IN = ("/usr/share/seabios", "/usr/share/qemu")


def which(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise Trouble("there is no %s: run make setup" % name)
    return path


def guest_initramfs(kernel, path):
    a = initramfs.Archive()
    initramfs.skeleton(a)
    kernel.install(a, GUEST_MODULES)
    with open(os.path.join(rig.HERE, "guest_init.sh"), "rb") as f:
        a.text("/init", f.read(), 0o755)
    for p in GUEST_PROGRAMS:
        a.program(which(p))
    a.text("/etc/mke2fs.conf", MKE2FS_CONF)
    if os.path.exists(AIOBENCH):
        a.program(AIOBENCH, "/bin/aiobench")
    a.write(path)


def qemu_files():
    found = []
    for name in FIRMWARE:
        for d in FIRMWARE_IN:
            if os.path.exists(os.path.join(d, name)):
                found.append(os.path.join(d, name))
                break
    return found


def job(module, call, results, python=(), args=(), paths=(rig.HERE,),
        **more):
    """A job that calls a function of a module in the rig, with all it takes
    to run guests.  paths: where modules are."""
    kernel = initramfs.fetch_kernel(rig.WORK, rig.say)
    initrd = os.path.join(rig.WORK, "guest.initrd")
    guest_initramfs(kernel, initrd)
    programs = [which(rig.QEMU), which("mke2fs"), which("e2fsck")]
    programs += [p for p in (HVHOST, HVCTL) if os.path.exists(p)]
    shutil.rmtree(results, ignore_errors=True)
    return rig.Job(
        [sys.executable, "-S", "-E", "-u", "-c", "import sys; sys.path[:0] = %r; "
         "import %s; %s.%s()" % (list(paths), module, module, call)] +
        list(args), programs=programs,
        files=[f for f in [kernel.image, initrd, ECHO_GUEST] + qemu_files()
               if os.path.exists(f)],
        python=[module] + list(python), python_path=":".join(paths),
        results=results,
        env={"HVHOST": HVHOST, "HVCTL": HVCTL, "GUEST_KERNEL": kernel.image,
             "GUEST_INITRD": initrd, "ECHO_GUEST": ECHO_GUEST}, **more)


def suite(known):
    """One run of the suite; adds to known what each check came to."""
    def out(line):
        word, _, rest = line.partition(" ")
        if word in ("ok", "FAIL", "skip"):
            known[rest.split()[0].rstrip(":")] = word
        print(line, flush=True)
    # Two emulated processors at once break nested paging now and then.
    j = job("suite", "main", os.path.join(rig.WORK, "results"), python=AREAS,
            args=[",".join(AREAS)] + sys.argv[1:], time_limit=TIME_LIMIT,
            out=out, cpus=1)
    j.env["KNOWN"] = " ".join("%s=%s" % k for k in known.items())
    return rig.run(j)


def main():
    known = {}
    try:
        status = suite(known)
        # Emulated processors with SVM break down now and then, and the outer
        # kernel with them: what was not reported by then is done anew.
        if status in (rig.BROKEN, rig.TIMEOUT) and rig.choose()[0] == "nested":
            rig.say("again, for what is left: the emulated machine broke")
            status = suite(known)
        return status
    except Trouble as e:
        rig.say(str(e))
        return rig.BROKEN


if __name__ == "__main__":
    sys.exit(main())
