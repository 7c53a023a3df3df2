# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The network's part of freebsd.py: hn0 of one driver beside another's, by TCP
streams between a guest and the machine around it, over a tap interface."""

import statistics

import net_peer
from images import MIB
from linux_net import run
from rows import clocks, show_clocks

TAP = "hvbench0"
HOST, ADDRESS = "10.22.0.1", "10.22.0.2"
MAC = "02:00:00:00:22:01"
MODULES = ("hv_vmbus.ko", "hv_netvsc.ko")
WAYS = (("out", "send", net_peer.receive), ("in", "recv", net_peer.send))
FIGURES = (     # name in a row, heading, format
    ("exits", "exits", "%.0f"), ("hypercalls", "hypercalls", "%.1f"),
    ("interrupts", "interrupts", "%.1f"), ("injected", "injected", "%.1f"),
    ("cpu_ms", "CPU ms", "%.1f"), ("rate", "MiB/s", "%.1f"))


# --- In the rig ---

def stream(vm, verb, work, size):
    """A stream of the pattern, each byte compared where it ends."""
    peer = net_peer.serve(HOST, work, size, 1)
    text = vm.sh("tcp %s %s %d %d 1" % (verb, HOST, peer.port, size), 300)
    peer.result()
    return int(text.split(" bytes, ")[1].split()[0]) / 1024


def measure(vm, size, counters):
    """A guest's figures, a MiB, for each way."""
    rows = []
    try:
        vm.wait_up()
        run("ip", "addr", "add", HOST + "/24", "dev", TAP)
        run("ip", "link", "set", TAP, "up")
        vm.within("net show hn0", "hn0")
        vm.sh("net up hn0\nnet addr hn0 %s/24" % ADDRESS)
        vm.within("ping " + HOST, "an answer")
        for way, verb, work in WAYS:
            # Windows and buffers grow to what they are going to be.
            stream(vm, verb, work, size // 4)
            before = counters(vm)
            rate = stream(vm, verb, work, size)
            after = counters(vm)
            each = {k: (after[k] - before.get(k, 0)) * MIB / size
                    for k in after}
            rows.append({
                "way": way, "bytes": size, "rate": rate,
                "exits": each.get("kvm.exits"),
                "hypercalls": each.get("kvm.hypercalls"),
                "injected": each.get("kvm.irq_injections"),
                "interrupts": each["host.interrupts"],
                "cpu_ms": each["cpu"] / 1000, "counts": each})
        rows[0].update(clocks(vm))
    finally:
        vm.kill()
    return rows


# --- Here ---

def guests(kernel, modules, kenv, intree, image, cpus):
    common = {"kind": "net", "cpus": cpus,
              "options": ["--mdroot", image, "--net", "tap=%s,mac=%s" % (
                  TAP, MAC)]}
    root = {"vfs.root.mountfrom": "ext2fs:/dev/md0"}
    found = [dict(common, name="ours", kernel=kernel, modules=modules,
                  kenv={**root, **kenv})]
    if intree:
        found.append(dict(common, name="in-tree", kernel=intree, modules=[],
                          kenv=root))
    return found


def medians(rows):
    """{(name, way): row of medians}."""
    found = {}
    for key in sorted({(r["name"], r["way"]) for r in rows}):
        these = [r for r in rows if (r["name"], r["way"]) == key]
        found[key] = {n: statistics.median(r[n] for r in these)
                      for n, _, _ in FIGURES if these[0].get(n) is not None}
    return found


def fastest(rows):
    """{(name, way): the row with the highest rate}: what other work on this
    machine disturbed least."""
    return {(r["name"], r["way"]): r
            for r in sorted(rows, key=lambda r: r["rate"])}


def table(rows, rounds, cpus):
    """Prints the figures; whether what is asked is met."""
    figures = medians(rows)
    print("TCP over hn0, one stream of %d MiB each way, %d vCPUs, per MiB" % (
        rows[0]["bytes"] // MIB, cpus))
    show_clocks(rows)
    for title, some in (("medians of %d rounds" % rounds, figures),
                        ("the fastest of them", fastest(rows))):
        print("  %-22s" % title + "".join(" %12s" % h for _, h, _ in FIGURES))
        for way, _, _ in WAYS:
            for name in ("ours", "in-tree"):
                row = some.get((name, way))
                if row:
                    print("    %-12s %-7s" % (name, way) + "".join(
                        " %12s" % (form % row[n] if row.get(n) is not None
                                   else "-") for n, _, form in FIGURES))
    return goals(figures)


def goals(figures):
    met = True
    for way, _, _ in WAYS:
        ours, theirs = (figures.get((n, way)) for n in ("ours", "in-tree"))
        if theirs is None:
            continue
        for name, words, better in (
                ("exits", "exits, fewer", lambda a, b: a < b),
                ("rate", "rate, higher", lambda a, b: a > b)):
            if name not in ours or name not in theirs:
                print("  not counted in this rig: " + words)
                continue
            ok = better(ours[name], theirs[name])
            met = met and ok
            print("  %s, %s than in-tree: %.2f of it: %s" % (
                way, words, ours[name] / theirs[name],
                "ok" if ok else "MISSED"))
    return met
