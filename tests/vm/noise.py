#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A hostile guest (noise/) on hvhost: whatever it does, the host stays sane.

usage: noise.py [--seconds S] [--seed N,N...] [PATTERN...]

Each seed is one guest under hvhost with sanitizers, the first one another
under hvhost as it is released, in its sandbox.  Makes all checks, or those
whose name has one of the patterns in it, and ends with `N passed, N failed'.
The guests' consoles stay in build/vm/noise.
"""

import argparse
import os
import shutil
import sys

import rig
from initramfs import Trouble

SECONDS = 5
SEEDS = "1,2"
RESULTS = os.path.join(rig.WORK, "noise")
# What booting the rig and one guest takes, where processors are emulated.
RIG_SECONDS = 60
GUEST_SECONDS = 60


def built(variant, path):
    found = os.path.join(rig.TOP, "build", variant, path)
    if not os.path.exists(found):
        raise Trouble("%s is not built: tools/build.sh %s" % (found, variant))
    return found


def job(seconds, seeds, patterns):
    asan = built("asan", "host/vmm/hvhost")
    release = built("release", "host/vmm/hvhost")
    kernel = built("release", "tests/vm/noise_guest")
    guests = len(seeds.split(",")) + 1
    shutil.rmtree(RESULTS, ignore_errors=True)
    return rig.Job(
        [sys.executable, "-S", "-E", "-c", "import sys; sys.path[:0] = [%r]; "
         "import noise_boot; noise_boot.main()" % rig.HERE] + patterns,
        programs=[asan, release], files=[kernel], python=["noise_boot"],
        python_path=rig.HERE, results=RESULTS, tcg="single",
        time_limit=RIG_SECONDS + guests * (seconds + GUEST_SECONDS),
        env={"NOISE_ASAN": asan, "NOISE_RELEASE": release,
             "NOISE_GUEST": kernel, "NOISE_SECONDS": str(seconds),
             "NOISE_SEEDS": seeds})


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--seconds", type=int, default=SECONDS)
    p.add_argument("--seed", default=SEEDS)
    p.add_argument("patterns", nargs="*")
    a = p.parse_args()
    try:
        if not all(s.isdigit() for s in a.seed.split(",")):
            raise Trouble("--seed %s: not numbers with commas" % a.seed)
        return rig.run(job(a.seconds, a.seed, a.patterns))
    except Trouble as e:
        rig.say(str(e))
        return rig.BROKEN


if __name__ == "__main__":
    sys.exit(main())
