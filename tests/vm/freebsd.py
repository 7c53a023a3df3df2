#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A FreeBSD kernel with our drivers as hvhost's guest: the acceptance list.

usage: freebsd.py --kernel FILE [--modules DIR|none] [PATTERN...]

Makes all checks, or those whose name has one of the patterns in it, and ends
with `N passed, N failed'.  The guests' consoles stay in build/vm/freebsd.
With `--modules none' the kernel's own drivers are tested.

An area of checks is a module of its own: it stands in AREAS or PARALLEL_AREAS,
and how one is written in docs/testing.md and freebsd_guest.py.
"""

import argparse
import functools
import os
import re
import sys

import rig
import suite
import verb
from initramfs import Trouble

AREAS = ("freebsd_boot", "freebsd_versions", "freebsd_disks",
         "freebsd_modules", "freebsd_qemu", "freebsd_crash",
         "freebsd_hotplug", "freebsd_faults", "freebsd_ide", "freebsd_net",
         "freebsd_netload", "freebsd_dhcp", "freebsd_services",
         "freebsd_daemons", "freebsd_kvp", "freebsd_balloon",
         "freebsd_keyboard", "freebsd_smpreload", "freebsd_time")
# Processors in these have to run at the same time.
PARALLEL_AREAS = ("freebsd_smp",)
# Far above what it takes.
TIME_LIMIT = 3600

INIT = os.path.join(verb.RELEASE, "tests/vm/freebsd_init")
FLAT = os.path.join(verb.RELEASE, "tests/vm/freebsd_flat")
MODULES = os.path.join(rig.TOP, "build/modules/freebsd%s")
# Programs that make file systems where the guests run.
PROGRAMS = ("makefs", "mke2fs", "e2fsck")


def release(kernel):
    """The major version of FreeBSD a kernel says it is, as a string."""
    with open(kernel, "rb") as f:
        data = f.read()
    if data[:4] != b"\x7fELF":
        raise Trouble("%s is no kernel: no ELF file" % kernel)
    m = re.search(rb"@\(#\)FreeBSD (\d+)\.\d", data)
    # A derivative has a name of its own.
    return m.group(1).decode() if m else "15"


def modules_for(kernel, chosen):
    """The folder of the modules to preload, or ""."""
    if chosen == "none":
        return ""
    folder = chosen or MODULES % release(kernel)
    folder = os.path.abspath(folder)
    if not os.path.exists(os.path.join(folder, "hv_vmbus.ko")):
        raise Trouble("there is no hv_vmbus.ko in %s: run make modules, or "
                      "say MODULES=none to test the kernel's own drivers" %
                      folder)
    return folder


def job(kernel, modules, patterns, areas, cpus, out):
    files = [kernel, INIT] + verb.qemu_files()
    if modules:
        files += [os.path.join(modules, n) for n in sorted(
            os.listdir(modules)) if n.endswith(".ko")]
    # A kernel with everything in it takes more.
    memory = 256 if os.path.getsize(kernel) < 16 << 20 else 384
    results = "freebsd" if areas == AREAS else "freebsd-parallel"
    return verb.job(
        "suite", "main", os.path.join(rig.WORK, results), python=areas,
        args=[",".join(areas)] + patterns, files=files,
        programs=[verb.which(p) for p in PROGRAMS + (rig.QEMU,)] + [FLAT],
        env={"FBSD_KERNEL": kernel, "FBSD_MODULES": modules,
             "FBSD_INIT": INIT, "FBSD_FLAT": FLAT,
             "FBSD_MEMORY": str(memory),
             "FBSD_ROUNDS": os.environ.get("FBSD_ROUNDS", "20"),
             "FBSD_TIME_SECONDS": os.environ.get("FBSD_TIME_SECONDS", "10")},
        time_limit=TIME_LIMIT, out=out, cpus=cpus)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--kernel", default="")
    p.add_argument("--modules", default="")
    p.add_argument("patterns", nargs="*")
    a = p.parse_args()
    if not a.kernel:
        print("skip freebsd: no kernel given: make vm-freebsd "
              "KERNEL=/path/kernel [MODULES=folder]")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    try:
        kernel = os.path.abspath(a.kernel)
        if not os.path.exists(kernel):
            raise Trouble("there is no %s" % a.kernel)
        modules = modules_for(kernel, a.modules)
        if not suite.has(AREAS + PARALLEL_AREAS, a.patterns):
            raise Trouble("no check has one of these in its name: " +
                          " ".join(a.patterns))
    except Trouble as e:
        rig.say(str(e))
        return rig.BROKEN
    rig.say("kernel %s, %s" % (kernel, "modules of " + modules if modules
                               else "its own drivers"))
    # Two emulated processors at once break nested paging now and then: one
    # where it does not matter.
    return verb.run(*[
        functools.partial(job, kernel, modules, a.patterns, areas, cpus)
        for areas, cpus in ((AREAS, 1), (PARALLEL_AREAS, 2))
        if suite.has(areas, a.patterns)])


if __name__ == "__main__":
    sys.exit(main())
