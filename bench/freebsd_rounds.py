# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The part of freebsd.py that runs in the rig: guests in turn, and what they
and hvhost counted."""

import json
import os
import re
import shutil
import sys
import tempfile
import time

import freebsd_enl
import freebsd_guest
import freebsd_streams
import guest
from rows import clocks

IMAGE_MIB = 64
DEPTHS = (1, 32)
BOOT_READ_MIB = 64


class Machine(freebsd_guest.Guest):
    """A FreeBSD guest; spec: its kernel, modules, kenv and options."""

    def __init__(self, spec, image, work, log):
        self.spec = spec
        options = [w for m in spec["modules"] for w in ("--module", m)]
        options += [o.replace("IMAGE", image) for o in spec["options"]]
        # A kernel with everything in it takes more.
        memory = 256 if os.path.getsize(spec["kernel"]) < 16 << 20 else 384
        super().__init__(work, "vm", log, memory=memory, extra=spec["kenv"],
                         cpus=spec.get("cpus", 1), options=options)

    def booting(self, extra):
        words = super().booting(extra)
        words[words.index("--kernel") + 1] = self.spec["kernel"]
        return words


def counters(vm):
    """All counts of a guest so far, as one flat dictionary."""
    stats = json.loads(vm.ctl("--json", "stats"))
    now = {"kvm." + k: v for k, v in vm.exits().items()}
    now.update(("host." + k, v) for k, v in stats["host"].items())
    now["cpu"] = guest.cpu_seconds(vm.pid) * 1e6
    return now


def io(vm, depth, amount):
    text = vm.sh("io /dev/da0 read 4096 %d %s rand" % (depth, amount), 120)
    return dict((k, int(v)) for k, v in re.findall(r"(\w+)=(\d+)", text))


def counted(vm, depth, amount):
    before = counters(vm)
    result = io(vm, depth, amount)
    after = counters(vm)
    return result, {k: after[k] - before.get(k, 0) for k in after}


def one(vm, ios, ran):
    """A guest's figures at each depth; ran: io commands in this run."""
    rows = []
    try:
        vm.wait_up()
        # One that fails to open the device leaves no marks.
        vm.sh("within 30 io /dev/da0 read 4096 1 0")
        io(vm, 32, 1000)
        ran[0] += 2
        for depth in DEPTHS:
            # The command itself, its words on the console and the counting.
            _, idle = counted(vm, depth, 0)
            result, sums = counted(vm, depth, ios)
            ran[0] += 2
            n = result["ios"]

            def per_io(name):
                return (sums[name] - idle[name]) / n if name in sums else None
            rows.append({
                "depth": depth, "ios": n, "iops": result["iops"],
                "section": ran[0] - 1,
                "exits": per_io("kvm.exits"),
                "injected": per_io("kvm.irq_injections"),
                "hypercalls": per_io("kvm.hypercalls"),
                "halts": per_io("kvm.halt_exits"),
                "signals": per_io("host.signals_in"),
                "interrupts": per_io("host.interrupts"),
                "cpu_us": per_io("cpu"), "counts": sums})
        rows[0].update(clocks(vm))
    finally:
        vm.kill()
    return rows


def boot(vm, disk):
    """Seconds from the kernel's first line until root is mounted and init
    runs, and until it has read so much of the disk."""
    try:
        vm.expect("<<BOOT>>", what="the kernel's first line")
        start = time.monotonic()
        vm.wait_up()
        up = time.monotonic() - start
        text = vm.sh("io /dev/%s read 65536 1 %d seq" % (
            disk, BOOT_READ_MIB * 16), 600)
        done = float(re.search(r"us=(\d+)", text).group(1)) / 1e6
    finally:
        vm.kill()
    return {"root": up, "read": done, "all": up + done}


def measure():
    """Runs in the rig: sys.argv[1] is the work as JSON.  What is done is
    printed at once: the emulated machine may break."""
    work = json.loads(sys.argv[1])
    log = os.path.join(os.environ["RIG_RESULTS"], "freebsd.log")
    # In memory, also where the file system of /tmp is not.
    tmp = tempfile.mkdtemp(dir="/dev/shm")
    ran = [0]
    try:
        image = os.path.join(tmp, "image")
        for n, spec in work["todo"]:
            if spec["kind"] == "boot":
                shutil.copy(spec["image"], image)
            elif spec["kind"] == "io":
                with open(image, "wb") as f:
                    f.write(b"\x5a" * (IMAGE_MIB << 20))
            vm = Machine(spec, image, tmp, log)
            if spec["kind"] == "boot":
                rows = [boot(vm, spec["disk"])]
            elif spec["kind"] == "net":
                rows = freebsd_streams.measure(vm, work["bytes"], counters)
            elif spec["kind"] == "enl":
                rows = freebsd_enl.measure(vm, counters)
            else:
                rows = one(vm, work["ios"], ran)
            for r in rows:
                r.update(name=spec["name"], round=n)
            print("rows " + json.dumps(rows), flush=True)
    except (guest.Fail, OSError) as e:
        print("bench: %s: %s" % (spec["name"], e), flush=True)
        sys.exit(1)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
