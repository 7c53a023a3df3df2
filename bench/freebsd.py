#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Our storvsc and netvsc beside those of FreeBSD's tree, in the same kernel
version, on the same hvhost, in one run of the rig; how much faster a machine
starts from storvsc than from the emulated IDE disk; and what the hypervisor's
clocks, timers, IPIs and TLB shoot-downs save (freebsd_enl.py).

usage: bench/freebsd.py --kernel KERNEL [--modules DIR] [--intree KERNEL]
           [--rounds N] [--ios N] [--mib N] [--vcpus N]
           [--profile N] [--only io|net|boot|enl] [--cpus N]
           [--kenv NAME=VALUE]...

KERNEL is one that ours are preloaded into; --intree: one with FreeBSD's own
compiled in.  Random reads of 4 KiB by one vCPU on the raw disk, the image in
memory; medians of the rounds.  Guest instructions are counted where the rig
emulates its machine (blocks.c), which has --cpus processors, two if not given:
with one, a request is done before the next can be sent.  TCP streams of --mib
each way go over a tap interface of guests with --vcpus (freebsd_streams.py).
--profile lists so many functions, --kenv is for ours.  JSON goes to
build/bench-freebsd.json.
Exit status 1: a figure misses what is asked.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
TESTS = os.path.join(TOP, "tests/vm")
sys.path[:0] = [HERE, TESTS]

import blocks
import freebsd_enl
import freebsd_streams
import rig
import verb
from rows import show_clocks

DEPTHS = (1, 32)
BOOT_IMAGE = "96M"
# Asked of starting from storvsc: so many times as fast as from IDE by PIO.
BOOT_GOAL = 3.0
MODULES = ("hv_vmbus.ko", "hv_storvsc.ko")
NET_ROUNDS = 5
ENL_ROUNDS = 3
PLUGIN = os.path.join(verb.RELEASE, "bench/blocks.so")
INIT = os.path.join(verb.RELEASE, "tests/vm/freebsd_init")
RESULTS = os.path.join(rig.WORK, "bench-freebsd")
# Seconds for a guest, far above what it takes.
GUEST_LIMIT = 150
OUT = os.path.join(TOP, "build/bench-freebsd.json")
MKE2FS = ("-q", "-F", "-t", "ext2", "-b", "4096", "-O",
          "^dir_index,^resize_inode")
# PIO, as the talk of IDE's slowness means it: no use of the controller's DMA.
PIO = {"hint.ata.%d.dev%d.mode" % (c, d): "PIO4"
       for c in (0, 1) for d in (0, 1)}

# What the processor does while there is nothing to do.
IDLE = frozenset(("sched_idletd", "cpu_idle", "cpu_idle_acpi", "cpu_idle_hlt",
                  "acpi_cpu_idle", "acpi_cpu_c1", "cpu_idleclock",
                  "cpu_activeclock"))
# The functions of FreeBSD's own drivers, in its kernel.
DRIVER = re.compile(r"(vmbus|storvsc|hyperv|hv|IDTVEC|Xvmbus)")

FIGURES = (     # name in a row, heading, format
    ("exits", "exits", "%.3f"), ("halts", "halts", "%.3f"),
    ("signals", "signals", "%.3f"), ("injected", "injected", "%.3f"),
    ("insns", "instructions", "%.0f"), ("driver", "of drivers", "%.0f"),
    ("cpu_us", "CPU us", "%.1f"), ("iops", "IOPS", "%.0f"))


def make_root(path, size):
    """An ext2 image with init in it."""
    tree = path + ".tree"
    shutil.rmtree(tree, ignore_errors=True)
    for d in ("dev", "sbin", "mnt", "tmp"):
        os.makedirs(os.path.join(tree, d))
    shutil.copy(INIT, os.path.join(tree, "sbin/init"))
    if os.path.exists(path):
        os.unlink(path)
    p = subprocess.run([verb.which("mke2fs"), *MKE2FS, "-d", tree, path,
                        size], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, check=False)
    shutil.rmtree(tree)
    if p.returncode != 0:
        raise rig.Trouble("mke2fs: " + p.stdout.strip())


def job(work, rows, files, time_limit, cpus, qemu):
    """A run of freebsd_rounds.py, which adds to rows."""
    def out(line):
        if not line.startswith("rows "):
            print(line, flush=True)
            return
        new = json.loads(line[len("rows "):])
        rows.extend(new)
        print("bench: round %d, %s: done" % (
            new[0]["round"] + 1, new[0]["name"]), flush=True)
    return verb.job("freebsd_rounds", "measure", RESULTS,
                    args=[json.dumps(work)], paths=(HERE, TESTS), files=files,
                    time_limit=time_limit, quiet_limit=GUEST_LIMIT, out=out,
                    cpus=cpus, qemu=qemu)


def copies(folder, names=MODULES):
    """Our modules, which may be built anew while this runs."""
    folder = folder or os.path.join(TOP, "build/modules/freebsd15")
    to = os.path.join(rig.WORK, "bench-modules")
    os.makedirs(to, exist_ok=True)
    return [shutil.copy(os.path.join(folder, m), to) for m in names]


def in_rig(a, guests, files, cpus, qemu=(), after=lambda rows: None,
           rounds=None):
    """The rows that all guests came to in all rounds; after() is called with
    what one run of the rig added."""
    todo = [(n, g) for n in range(rounds or a.rounds) for g in guests]
    rows, failures = [], 0
    while todo:
        new = []
        status = rig.run(job({"todo": todo, "ios": a.ios,
                              "bytes": a.mib << 20}, new, sorted(files),
                             60 + GUEST_LIMIT * len(todo), cpus, qemu))
        after(new)
        rows += new
        done = {(r["round"], r["name"]) for r in new}
        left = [t for t in todo if (t[0], t[1]["name"]) not in done]
        # Emulated processors with SVM break down now and then, the guest or
        # the whole machine with them: what was done by then counts.
        failures = 0 if len(left) < len(todo) else failures + 1
        if left and failures == 2:
            raise rig.Trouble("no figures (exit status %d); see %s/"
                              "freebsd.log" % (status, RESULTS))
        todo = left
    return rows


# --- I/O ---

def io_guests(a, root):
    common = {"kind": "io", "options": ["--mdroot", root, "--disk",
                                        "scsi,file=IMAGE"]}
    kenv = {"vfs.root.mountfrom": "ext2fs:/dev/md0"}
    guests = [dict(common, name="ours", kernel=a.kernel, modules=a.modules,
                   kenv={**kenv, **a.kenv})]
    if a.intree:
        guests.append(dict(common, name="in-tree", kernel=a.intree,
                           modules=[], kenv=kenv))
    return guests


def count_instructions(rows, guests, path):
    """Adds to each row what the plugin counted in its guest."""
    counted = blocks.sections(path) if rows else []
    images = {}
    for g in guests:
        if not any(r["name"] == g["name"] for r in rows):
            continue
        of = images[g["name"]] = [blocks.Image("program", INIT),
                                  blocks.Image("kernel", g["kernel"])]
        some = next(r for r in rows if r["name"] == g["name"])
        for m in g["modules"]:
            base = blocks.locate(m, counted[some["section"]])
            if base is not None:
                of.append(blocks.Image(os.path.basename(m), m, base))
    for r in rows:
        sums = blocks.by_function(counted[r["section"]], images[r["name"]])
        r["functions"] = sorted(
            ([image, function, n / r["ios"]]
             for (image, function), n in sums.items()), key=lambda f: -f[2])
        r["insns"] = sum(n for _, f, n in r["functions"] if f not in IDLE)
        r["driver"] = sum(n for image, f, n in r["functions"]
                          if image.endswith(".ko") or DRIVER.match(f))


def medians(rows):
    """{(name, depth): row of medians}."""
    found = {}
    for key in sorted({(r["name"], r["depth"]) for r in rows}):
        these = [r for r in rows if (r["name"], r["depth"]) == key]
        found[key] = {
            n: statistics.median(r[n] for r in these)
            for n, _, _ in FIGURES if these[0].get(n) is not None}
    return found


def best(rows):
    """{(name, depth): the row with the highest rate}: what other work on this
    machine disturbed least."""
    found = {}
    for r in rows:
        old = found.get((r["name"], r["depth"]))
        if old is None or r["iops"] > old["iops"]:
            found[r["name"], r["depth"]] = r
    return found


def io_table(a, rows, figures):
    print("ours: %s with %s\nin-tree: %s" % (
        a.kernel, " ".join(MODULES), a.intree or "-"))
    print("random 4 KiB reads, 1 vCPU, image in memory, per I/O")
    show_clocks(rows)
    for title, some in (("medians of %d rounds" % a.rounds, figures),
                        ("the fastest of them", best(rows))):
        print("  %-22s" % title + "".join(" %12s" % h for _, h, _ in FIGURES))
        for (name, depth), row in sorted(
                some.items(), key=lambda f: (f[0][1], f[0][0])):
            print("    %-12s depth %2d" % (name, depth) + "".join(
                " %12s" % (form % row[n] if row.get(n) is not None else "-")
                for n, _, form in FIGURES))


def io_goals(figures):
    """Prints what is asked at depth 32; whether it is met."""
    ours, theirs = figures["ours", 32], figures.get(("in-tree", 32))
    if theirs is None:
        return True
    met = True
    for name, words, better in (
            ("exits", "exits, no more", lambda a, b: a <= b),
            ("insns", "guest instructions, no more", lambda a, b: a <= b),
            ("iops", "rate, higher", lambda a, b: a > b)):
        if name not in ours or name not in theirs:
            print("  not counted in this rig: " + words)
            continue
        ok = better(ours[name], theirs[name])
        met = met and ok
        print("  depth 32, %s than in-tree: %.2f of it: %s" % (
            words, ours[name] / theirs[name], "ok" if ok else "MISSED"))
    return met


def profile(rows, n):
    """The functions with the most instructions per I/O at depth 32."""
    for name in sorted({r["name"] for r in rows}):
        r = next(r for r in rows if r["name"] == name and r["depth"] == 32)
        print("%s, instructions per I/O at depth 32:" % name)
        for image, function, count in r.get("functions", [])[:n]:
            print("  %8.1f  %-14s %s" % (count, image, function))


def bench_io(a):
    root = os.path.join(rig.WORK, "freebsd-root.img")
    make_root(root, "8M")
    guests = io_guests(a, root)
    files = {root} | {g["kernel"] for g in guests} | set(a.modules)
    if rig.choose()[0] == "nested":
        counts = os.path.join(rig.WORK, "blocks.txt")
        rows = in_rig(a, guests, files, a.cpus,
                      ["-plugin", "file=%s,out=%s" % (PLUGIN, counts)],
                      lambda new: count_instructions(new, guests, counts))
        os.unlink(counts)
    else:
        rows = in_rig(a, guests, files, a.cpus)
    figures = medians(rows)
    io_table(a, rows, figures)
    if a.profile:
        profile(rows, a.profile)
    return rows, io_goals(figures)


# --- The network ---

def bench_net(a):
    if os.geteuid() != 0 and rig.choose()[0] == "kvm":
        print("skip net: only root can make a tap interface")
        return [], True
    root = os.path.join(rig.WORK, "freebsd-root.img")
    make_root(root, "8M")
    modules = copies(a.folder, freebsd_streams.MODULES)
    guests = freebsd_streams.guests(a.kernel, modules, a.kenv, a.intree, root,
                                    a.vcpus)
    rounds = min(a.rounds, NET_ROUNDS)
    # One processor: two that are emulated lose guests with two of their own.
    rows = in_rig(a, guests, {root} | {g["kernel"] for g in guests} |
                  set(modules), 1, rounds=rounds)
    return rows, freebsd_streams.table(rows, rounds, a.vcpus)


# --- Start ---

def boot_guests(a, image):
    def guest(name, disk, option, kenv):
        return {"kind": "boot", "name": name, "kernel": a.kernel,
                "modules": a.modules, "image": image, "disk": disk,
                "options": ["--disk", option + ",file=IMAGE"],
                "kenv": {"vfs.root.mountfrom": "ext2fs:/dev/" + disk,
                         **kenv, **a.kenv}}
    ata = {"hw.ata.disk_enabled": "1"}
    return [guest("storvsc", "da0", "scsi", {}),
            guest("IDE, PIO", "ada0", "ide", {**ata, **PIO}),
            guest("IDE, DMA", "ada0", "ide", ata)]


def bench_boot(a):
    image = os.path.join(rig.WORK, "freebsd-disk.img")
    make_root(image, BOOT_IMAGE)
    guests = boot_guests(a, image)
    # One processor: what takes time here is exits.
    rows = in_rig(a, guests, {image, a.kernel} | set(a.modules), 1)
    print("from kernel start, root file system on the disk: seconds, medians "
          "of %d rounds" % a.rounds)
    print("  %-10s %14s %14s %14s" % ("", "root mounted", "64 MiB read",
                                      "together"))
    all_of = {}
    for g in guests:
        these = [r for r in rows if r["name"] == g["name"]]
        row = [statistics.median(r[k] for r in these)
               for k in ("root", "read", "all")]
        all_of[g["name"]] = row[2]
        print("  %-10s %14.2f %14.2f %14.2f" % (g["name"], *row))
    ratio = all_of["IDE, PIO"] / all_of["storvsc"]
    ok = ratio >= BOOT_GOAL
    print("  storvsc is %.1f times as fast as IDE by PIO, >= %.1f: %s" % (
        ratio, BOOT_GOAL, "ok" if ok else "MISSED"))
    return rows, ok


# --- Beside I/O ---

def bench_enl(a):
    root = os.path.join(rig.WORK, "freebsd-root.img")
    make_root(root, "8M")
    modules = copies(a.folder, freebsd_enl.MODULES)
    guests = freebsd_enl.guests(a.kernel, modules, a.kenv, root)
    rounds = min(a.rounds, ENL_ROUNDS)
    rows = in_rig(a, guests, {root, a.kernel} | set(modules), a.cpus,
                  rounds=rounds)
    return rows, freebsd_enl.table(rows, rounds)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--kernel", required=True)
    p.add_argument("--modules", default="")
    p.add_argument("--intree", default="")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--ios", type=int, default=40000)
    p.add_argument("--mib", type=int, default=64)
    p.add_argument("--vcpus", type=int, default=2)
    p.add_argument("--cpus", type=int, default=2)
    p.add_argument("--profile", type=int, default=0)
    p.add_argument("--only", choices=("io", "net", "boot", "enl"))
    p.add_argument("--kenv", action="append", default=[])
    a = p.parse_args()
    result, met = {}, True
    a.kenv = dict(k.split("=", 1) for k in a.kenv)
    a.kernel = os.path.abspath(a.kernel)
    a.intree = a.intree and os.path.abspath(a.intree)
    try:
        a.folder = a.modules
        a.modules = copies(a.folder)
        for name, call in (("io", bench_io), ("net", bench_net),
                           ("boot", bench_boot), ("enl", bench_enl)):
            if a.only in (None, name):
                result[name], ok = call(a)
                met = met and ok
    except (rig.Trouble, OSError) as e:
        rig.say(str(e))
        return rig.BROKEN
    with open(OUT, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2)
    print("JSON: " + OUT)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
