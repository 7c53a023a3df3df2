#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Debian's kernel with Microsoft's own drivers, unmodified, as hvhost's guest.

usage: linux.py [PATTERN...]

Makes all checks, or those whose name has one of the patterns in it, and ends
with `N passed, N failed'.  The guests' consoles stay in build/vm/results.
"""

import argparse
import functools
import os
import sys

import initramfs
import rig
import verb
from verb import which

AREAS = ("linux_basic", "linux_storage", "linux_net", "linux_services",
         "linux_enl", "linux_balloon", "linux_keyboard", "machine")
# Far above what it takes, twelve minutes at the most on an idle machine.
TIME_LIMIT = 2400

BENCHES = [os.path.join(verb.RELEASE, "tests/vm", name)
           for name in ("aiobench", "enlbench")]

GUEST_MODULES = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils",
                 "hv_balloon", "sd_mod", "sr_mod", "sg", "isofs", "ata_piix",
                 "virtio_pci", "virtio_blk", "button", "evdev",
                 "hyperv_keyboard", "8021q")
GUEST_PROGRAMS = ("mke2fs", "e2fsck", "iperf3", "ethtool")
MKE2FS_CONF = b"""[fs_types]
	ext4 = {
		features = has_journal,extent,huge_file,flex_bg,metadata_csum
	}
"""


# Of Debian's hyperv-daemons, and the scripts that the first one runs.
DAEMONS = ("hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon")


def guest_daemons(archive, usr):
    for name in DAEMONS:
        archive.program(os.path.join(usr, "sbin", name), "/bin/" + name)
    scripts = os.path.join(usr, "libexec/hypervkvpd")
    for name in os.listdir(scripts):
        archive.file(os.path.join(scripts, name),
                     "/usr/libexec/hypervkvpd/" + name)


def guest_initramfs(kernel, daemons, path):
    a = initramfs.Archive()
    initramfs.skeleton(a)
    kernel.install(a, GUEST_MODULES)
    with open(os.path.join(rig.HERE, "guest_init.sh"), "rb") as f:
        a.text("/init", f.read(), 0o755)
    for p in GUEST_PROGRAMS:
        a.program(which(p))
    guest_daemons(a, daemons)
    a.text("/etc/mke2fs.conf", MKE2FS_CONF)
    for bench in BENCHES:
        if os.path.exists(bench):
            a.program(bench, "/bin/" + os.path.basename(bench))
    a.write(path)


def job(module, call, results, programs=(), files=(), env=None, **more):
    """A job that calls a function of a module in the rig, with all it takes
    to run Linux guests."""
    kernel = initramfs.fetch_kernel(rig.WORK, rig.say)
    initrd = os.path.join(rig.WORK, "guest.initrd")
    guest_initramfs(kernel, initramfs.fetch_daemons(rig.WORK, rig.say), initrd)
    return verb.job(
        module, call, results,
        programs=[which(p) for p in (rig.QEMU, "mke2fs", "e2fsck", "iperf3")] +
        list(programs),
        files=[kernel.image, initrd] + verb.qemu_files() + list(files),
        env={"GUEST_KERNEL": kernel.image, "GUEST_INITRD": initrd,
             **(env or {})}, **more)


def suite(patterns, out):
    # Two emulated processors at once break nested paging now and then.
    return job("suite", "main", os.path.join(rig.WORK, "results"),
               python=AREAS, args=[",".join(AREAS)] + patterns,
               time_limit=TIME_LIMIT, out=out, cpus=1)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("patterns", nargs="*")
    return verb.run(functools.partial(suite, p.parse_args().patterns))


if __name__ == "__main__":
    sys.exit(main())
