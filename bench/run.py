#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Runs the benchmarks and prints them as tables; JSON goes to build/bench.json.

usage: bench/run.py BUILDDIR [--quick]

Figures that do not depend on the clock (hypercalls, interrupts, copies and
instructions per request) come first; rates are of this machine, this minute.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

# Asked of the ring: (bytes, what, limit).
RING_GOALS = {64: ("ns", 55.0), 1500: ("ratio", 0.65), 65536: ("ratio", 0.97)}
MAX_PER_IO = 0.25

# Asked of the network.
MAX_PER_PACKET = 0.05
UDP_PACKETS, TSO_GBIT = 400000, 5.0
# A driver that copies every packet, and sends each on its own.
COPY_ALL = ["hw.hn.rx_copybreak=100000", "hw.hn.tx_agg_pkts=0"]


def run_json(cmd):
    """Runs cmd, returns the JSON objects it prints, one a line."""
    out = subprocess.run(cmd, check=True, stdout=subprocess.PIPE, text=True,
                         timeout=600).stdout
    return [json.loads(l) for l in out.splitlines() if l.startswith("{")]


def verdict(ok):
    return "ok" if ok else "MISSED"


def ring(build):
    rows = run_json([os.path.join(build, "bench/ring")])
    print("ring: send + receive of one packet, beside two memcpys of the same "
          "bytes")
    print(f"  {'bytes':>7} {'ns':>9} {'in place':>9} {'memcpys':>9} "
          f"{'speed':>6}  goal")
    for r in rows:
        ratio = r["memcpy_ns"] / r["ns"]
        r["ratio"] = ratio
        goal = ""
        if r["bytes"] in RING_GOALS:
            kind, limit = RING_GOALS[r["bytes"]]
            ok = r["ns"] <= limit if kind == "ns" else ratio >= limit
            sign = "<=" if kind == "ns" else ">="
            goal = f"{kind} {sign} {limit}: {verdict(ok)}"
        print(f"  {r['bytes']:>7} {r['ns']:>9.1f} {r['inplace_ns']:>9.1f} "
              f"{r['memcpy_ns']:>9.1f} {ratio:>6.2f}  {goal}")
    return rows


def storage(build, seconds):
    rows = []
    cases = [(ch, qd, 4096, "read") for ch in (1, 2, 4) for qd in (1, 32)]
    cases += [(4, 32, 4096, "write")]
    cases += [(ch, qd, 1 << 20, "read") for ch in (1, 2, 4) for qd in (1, 32)]
    cases += [(4, 32, 1 << 20, "write")]
    print("storage: memory disk, one controller")
    print(f"  {'channels':>8} {'depth':>5} {'bytes':>8} {'op':>5} "
          f"{'hypercalls/IO':>13} {'interrupts/IO':>13} {'copied B/IO':>11} "
          f"{'IOPS':>8} {'MiB/s':>8}  goal")
    for ch, qd, block, op in cases:
        r = run_json([os.path.join(build, "bench/storage"), str(ch), str(qd),
                      str(block), op, str(seconds)])[0]
        goal = ""
        if qd == 32 and block == 4096:
            ok = (r["hypercalls_per_io"] <= MAX_PER_IO and
                  r["interrupts_per_io"] <= MAX_PER_IO and
                  r["bounced_bytes_per_io"] == 0)
            goal = f"<= {MAX_PER_IO} each, no copy: {verdict(ok)}"
        print(f"  {ch:>8} {qd:>5} {block:>8} {op:>5} "
              f"{r['hypercalls_per_io']:>13.4f} "
              f"{r['interrupts_per_io']:>13.4f} "
              f"{r['bounced_bytes_per_io']:>11.1f} {r['iops']:>8.0f} "
              f"{r['mib_s']:>8.1f}  {goal}")
        rows.append(r)
    return rows


def network(build, seconds):
    rows = []
    cases = [("udp", 64, 1), ("udp", 64, 2), ("udp", 1514, 1),
             ("tcp", 1448, 1), ("tcp", 60000, 1), ("tcp", 60000, 2)]
    print("network: from one adapter to another; counts are of both together")
    print(f"  {'kind':>4} {'bytes':>6} {'flows':>5} {'hypercalls/pkt':>14} "
          f"{'interrupts/pkt':>14} {'packets/s':>10} {'Gbit/s':>7}  goal")
    for kind, size, flows in cases:
        r = run_json([os.path.join(build, "bench/network"), kind, str(size),
                      str(flows), str(seconds)])[0]
        ok = (r["hypercalls_per_packet"] <= 2 * MAX_PER_PACKET and
              r["interrupts_per_packet"] <= 2 * MAX_PER_PACKET)
        goal = f"<= {MAX_PER_PACKET} a direction"
        if kind == "udp" and size == 64:
            ok = ok and r["packets_s"] >= UDP_PACKETS
            goal += f", >= {UDP_PACKETS} packets/s"
        elif kind == "tcp" and size > 1448:
            ok = ok and r["gbit_s"] >= TSO_GBIT
            goal += f", >= {TSO_GBIT} Gbit/s"
        print(f"  {kind:>4} {size:>6} {flows:>5} "
              f"{r['hypercalls_per_packet']:>14.4f} "
              f"{r['interrupts_per_packet']:>14.4f} "
              f"{r['packets_s']:>10.0f} {r['gbit_s']:>7.2f}  "
              f"{goal}: {verdict(ok)}")
        rows.append(r)
    return rows


def callgrind(program, args):
    """Instructions by source file of one run, and what it printed."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out")
        # It remarks on each privileged instruction, which the kernel then
        # gets as the trap it waits for.
        run = subprocess.run(
            ["valgrind", "--quiet", "--tool=callgrind", "--smc-check=all",
             "--callgrind-out-file=" + out, program] + args,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=900)
        if run.returncode != 0:
            sys.exit(run.stderr + f"valgrind: exit {run.returncode}")
        return sum_by_file(out), json.loads(run.stdout)


def callgrind_cost(build, requests):
    return callgrind(os.path.join(build, "bench/storage"),
                     ["1", "32", "4096", "read", "0", str(requests)])[0]


def packet_cost(build, kind, size, tunables):
    """Instructions a packet: the driver's, and those that copy bytes."""
    (a, ra), (b, rb) = [
        callgrind(os.path.join(build, "bench/network"),
                  [kind, str(size), "1", "0", str(n)] + tunables)
        for n in (4000, 12000)]
    driver = copies = 0
    for name, total in b.items():
        cost = total - a.get(name, 0)
        if "sys/dev/hyperv/" in name:
            driver += cost
        elif re.search(r"/mem(move|cpy|set)[^/]*$", name):
            copies += cost
    n = rb["received"] - ra["received"]
    return driver / n, copies / n


def packet_instructions(build):
    rows = []
    print("driver instructions per packet, sent and received (callgrind); "
          "copies: of the whole process")
    print(f"  {'kind':>4} {'bytes':>6} {'driver':>7} {'copies':>7} "
          f"{'copying all':>11} {'copies':>7}")
    for kind, size in (("udp", 64), ("udp", 1514), ("tcp", 1448)):
        ours, copies = packet_cost(build, kind, size, [])
        plain, more = packet_cost(build, kind, size, COPY_ALL)
        print(f"  {kind:>4} {size:>6} {ours:>7.0f} {copies:>7.0f} "
              f"{plain:>11.0f} {more:>7.0f}")
        rows.append({"kind": kind, "bytes": size, "driver": ours,
                     "copies": copies, "copy_all": plain,
                     "copy_all_copies": more})
    return rows


def sum_by_file(path):
    """Self cost by source file of a callgrind output file."""
    names, cost, current, skip = {}, {}, None, False
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r"(fl|fi|fe|cfi|cfl)=\((\d+)\)(?: (.*))?$",
                         line.rstrip())
            if m:
                if m.group(3):      # names are given at first mention
                    names[m.group(2)] = m.group(3)
                if not m.group(1).startswith("c"):
                    current = names.get(m.group(2), "?")
            elif line.startswith("calls="):
                skip = True         # the next line is inclusive cost
            elif re.match(r"[+\-*\d]", line):
                if skip:
                    skip = False
                elif current is not None:
                    parts = line.split()
                    if len(parts) >= 2:
                        cost[current] = cost.get(current, 0) + int(parts[1])
    return cost


def instructions(build):
    few, many = 5000, 15000
    a, b = callgrind_cost(build, few), callgrind_cost(build, many)
    rows = {}
    for name, total in b.items():
        m = re.search(r"sys/dev/hyperv/(\w+)/", name)
        if m:
            per_io = (total - a.get(name, 0)) / (many - few)
            rows[m.group(1)] = rows.get(m.group(1), 0.0) + per_io
    print("driver instructions per 4 KiB read at depth 32 (callgrind)")
    for part in sorted(p for p in rows if rows[p] >= 1):
        print(f"  {part:>8} {rows[part]:>8.0f}")
    print(f"  {'all':>8} {sum(rows.values()):>8.0f}")
    return rows


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build")
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    build, quick = a.build, a.quick
    if not os.path.exists(os.path.join(build, "bench/ring")):
        p.exit(2, "bench: no programs in %s; make bench builds them\n" % build)
    result = {"ring": ring(build),
              "storage": storage(build, 0.3 if quick else 2),
              "network": network(build, 0.3 if quick else 2)}
    if not quick:
        result["instructions_per_io"] = instructions(build)
        result["instructions_per_packet"] = packet_instructions(build)
    path = os.path.join(os.path.dirname(build.rstrip("/")), "bench.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2)
    print("JSON: " + path)


if __name__ == "__main__":
    main()
