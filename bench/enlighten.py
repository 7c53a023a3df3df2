#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What enlightenments save a Linux guest: clock, timer, shoot-down, waking
another processor; with all of them, without any, with 2 and 4 vCPUs.

usage: bench/enlighten.py

KVM's exits come first, they are the same everywhere; times mean something only
beside each other.  JSON goes to build/bench-enlighten.json.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile

from rows import leave, show

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests/vm")
sys.path.insert(0, TESTS)

CPUS = (2, 4)
WAYS = (("on", []), ("off", ["--enlighten", "none"]))
# Job of enlbench, rounds, what it is.
JOBS = (("clock", 20000, "clock_gettime"), ("sleep", 200, "sleep of 1 ms"),
        ("shoot", 300, "shoot-down"), ("wake", 300, "wake another CPU"))
TIME_LIMIT = 500


# --- In the rig ---

def cost(vm, job, times):
    """A round's exits, hypercalls that KVM served, nanoseconds."""
    def counts():
        vmm = json.loads(vm.ctl("--json", "stats"))["vmm"]
        return vmm["kvm"]["exits"], vmm["hypercalls_in_kvm"]
    before = counts()
    text = vm.sh("enlbench %s %d" % (job, times), limit=240)
    after = counts()
    return [(a - b) / times for a, b in zip(after, before)] + \
        [int(text.split()[2])]


def measure():
    """Runs in the rig."""
    import guest
    results = os.environ["RIG_RESULTS"]
    work = tempfile.mkdtemp(dir="/dev/shm")
    rows = []
    try:
        for cpus in CPUS:
            for way, options in WAYS:
                vm = guest.Hvhost(work, "vm",
                                  os.path.join(results, "enlighten.log"),
                                  cpus=cpus, options=options)
                try:
                    vm.wait_up()
                    for job, times, _ in JOBS:
                        exits, calls, ns = cost(vm, job, times)
                        rows.append({"job": job, "cpus": cpus, "way": way,
                                     "exits": exits, "hypercalls": calls,
                                     "ns": ns})
                    vm.poweroff()
                finally:
                    vm.kill()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    leave(results, "enlighten", rows)
    sys.exit(0)


# --- Here ---

def table(rows):
    found = {(r["job"], r["cpus"], r["way"]): r for r in rows}
    print("enlightenments, each of a Linux guest's: on and off")
    print("  %-18s %5s %10s %10s %10s %11s %11s" % (
        "", "vCPUs", "exits on", "off", "hypercalls", "us on", "off"))
    for job, _, what in JOBS:
        for cpus in CPUS:
            on, off = found[job, cpus, "on"], found[job, cpus, "off"]
            print("  %-18s %5d %10.2f %10.2f %10.2f %11.2f %11.2f" % (
                what, cpus, on["exits"], off["exits"], on["hypercalls"],
                on["ns"] / 1000, off["ns"] / 1000))


def main():
    argparse.ArgumentParser(usage=__doc__).parse_args()
    import linux
    import rig
    results = os.path.join(rig.WORK, "bench")
    try:
        status = rig.run(linux.job(
            "enlighten", "measure", results, python=["guest"],
            paths=(HERE, TESTS), time_limit=TIME_LIMIT, cpus=1))
        if status == 0:
            show(results, "enlighten", table, rig.TOP)
        return status
    except rig.Trouble as e:
        rig.say(str(e))
        return rig.BROKEN


if __name__ == "__main__":
    sys.exit(main())
