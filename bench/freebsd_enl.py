# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The part of freebsd.py beside I/O: what the time, a timer, an IPI and a TLB
shoot-down cost a FreeBSD guest, with what the hypervisor offers for them and
without, by the loader's tunables."""

import re
import statistics

from rows import clocks, show_clocks

MODULES = ("hv_time.ko", "hv_vmbus.ko")
VCPUS = (2, 4)
OFF = {"hw.hvtime.tc": "0", "hw.vmbus.et": "0", "hw.vmbus.tlb_hcall": "0",
       "hw.vmbus.ipi_hcall": "0"}
# What is measured: a command, how often, and what it is called.
COSTS = (("vdso read", 20000, "time, as libc reads it"),
         ("cost clock", 2000, "time, by a system call"),
         ("cost timer", 100, "sleep of 200 us"),
         ("cost wake", 100, "byte to another CPU and back"),
         ("tlb cost", 50, "page protected, all CPUs on it"))
TRIES = 3


# --- In the rig ---

def once(vm, command, times, counters):
    """(nanoseconds for one, exits and the like) of a command's repetitions;
    None: it cannot be had."""
    before = counters(vm)
    status, text = vm.run("%s %d" % (command, times), 200)
    after = counters(vm)
    if status != 0:
        print("bench: %s: %s" % (command, text), flush=True)
        return None
    ns = int(re.search(r"ns: (\d+)", text).group(1))
    # That one tells of all of them.
    return (ns / max(times, 1) if command.startswith("vdso") else ns,
            {k: after[k] - before.get(k, 0) for k in after})


def measure(vm, counters):
    """A guest's figures: medians of some tries of each."""
    rows = []
    try:
        vm.wait_up()
        for command, times, _ in COSTS:
            # The command itself, its words on the console, its threads.
            none = once(vm, command, 0, counters)
            if none is None:
                continue
            idle = none[1]
            tries = [once(vm, command, times, counters) for _ in range(TRIES)]

            def each(name):
                if name not in idle:
                    return None
                return statistics.median(
                    max(0, c[name] - idle[name]) / times for _, c in tries)
            rows.append({
                "cost": command, "times": times,
                "ns": statistics.median(ns for ns, _ in tries),
                "exits": each("kvm.exits"),
                "hypercalls": each("kvm.hypercalls"),
                "halts": each("kvm.halt_exits")})
            print("bench: %s: %.2f exits" % (command, each("kvm.exits") or 0),
                  flush=True)
        rows[0].update(clocks(vm))
    finally:
        vm.kill()
    return rows


# --- Here ---

def guests(kernel, modules, kenv, root):
    found = []
    for cpus in VCPUS:
        for name, switches in (("on", {}), ("off", OFF)):
            found.append({
                "kind": "enl", "name": "%d vCPUs, %s" % (cpus, name),
                "cpus": cpus, "kernel": kernel, "modules": modules,
                "options": ["--mdroot", root],
                "kenv": {"vfs.root.mountfrom": "ext2fs:/dev/md0", **switches,
                         **kenv}})
    return found


def medians(rows):
    """{(name, cost): row of medians}."""
    found = {}
    for key in {(r["name"], r["cost"]) for r in rows}:
        these = [r for r in rows if (r["name"], r["cost"]) == key]
        found[key] = {n: statistics.median(r[n] for r in these)
                      for n in ("exits", "hypercalls", "halts", "ns")
                      if these[0].get(n) is not None}
    return found


def table(rows, rounds):
    """Prints the figures; whether what is asked is met."""
    figures = medians(rows)
    names = sorted({r["name"] for r in rows})
    print("what the hypervisor offers beside I/O, for one each, medians of %d "
          "rounds" % rounds)
    show_clocks(rows)
    print("  %-32s %-12s %8s %11s %8s %10s" % ("", "", "exits", "hypercalls",
                                               "halts", "us"))
    for cost, _, words in COSTS:
        for name in names:
            row = figures.get((name, cost))
            if row is None:
                print("  %-32s %-12s by a system call" % (words, name))
            else:
                print("  %-32s %-12s %8s %11s %8s %10.1f" % (
                    words, name, *("%.2f" % row[n] if n in row else "-"
                                   for n in ("exits", "hypercalls", "halts")),
                    row["ns"] / 1000))
    return goals(figures)


def goals(figures):
    met = True
    for cpus in VCPUS:
        for cost, words, limit in (
                ("vdso read", "the time without an exit", 0.05),
                ("cost clock", "nor with a system call", 0.05),
                ("tlb cost", "a shoot-down by one hypercall", 1.1)):
            row = figures.get(("%d vCPUs, on" % cpus, cost), {})
            of = "hypercalls" if cost == "tlb cost" else "exits"
            if of not in row:
                print("  not counted in this rig: " + words)
                continue
            ok = row[of] <= limit
            met = met and ok
            print("  %d vCPUs, %s: %.2f %s: %s" % (
                cpus, words, row[of], of, "ok" if ok else "MISSED"))
    return met
