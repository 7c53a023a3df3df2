#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Counts for netjob.sh: what went through hn0, and what was lost where.

    netcount.py begin STATE LOG NEAR FAR    from here on
    netcount.py since STATE LOG NEAR FAR KIND [IPERF]
                                            what it took since, and checks it
    netcount.py total STATE                 the summary line
    netcount.py got|lost IPERF              packets/s; lost of a thousand

LOG is hostedvm's output with its counters of now, NEAR and FAR are processes in
the network namespaces at the guest's and at the wire's end, IPERF is iperf3's
report.  KIND is what may be lost: "tcp", nothing between the two stacks, unless
the guest had no processor's time for longer than its buffers last; "udp", what a
sender that overruns it is to lose, but no more than was seen to be; "pong",
nothing, of one packet at a time; "any".  Exits 1 with a sentence if that does not
hold, or if hypercalls or interrupts a packet are above their limit."""

import json
import re
import sys

LIMIT = 0.05        # hypercalls, and interrupts, a packet
LOAD = 80000        # packets a second and stream: from there on it holds
PONG = 1.02         # of packets one by one: 1, and a few of other origin
SLACK = 10          # segments that an ended connection had no word of

# In the order in which a packet comes by: who counts it, and what that means.
OUT = (("near hn0 tx", "in hn0's queue"),
       ("guest port_out", "before the driver"),
       ("guest driver_out", "in the driver"),
       ("guest provider_out", "in the provider"),
       ("far wire0 rx", "behind wire0"),
       ("far socket", "by a reader that was too slow"))
IN = (("far wire0 tx", "in wire0's queue"),
      ("guest backend_in", "before the provider"),
      ("guest provider_in", "in the provider"),
      ("guest buffers_in", "while the guest held all buffers"),
      ("guest driver_in", "in the driver"),
      ("guest port_in", "behind the driver"),
      ("near hn0 rx", "behind hn0"),
      ("near socket", "by a reader that was too slow"))


def guest(log):
    """The last counters in the log."""
    found = {}
    with open(log, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"hn0: (lost|counters) (.*)", line)
            if m:
                words = m.group(2).split()
                found.update(zip(words[::2], map(int, words[1::2])))
    return {"guest " + k: v for k, v in found.items()}


def tables(pid, name):
    """Pairs of lines, names and numbers, as in /proc/net/snmp."""
    found = {}
    with open(f"/proc/{pid}/net/{name}", encoding="ascii") as f:
        lines = [line.split() for line in f]
    for names, numbers in zip(lines[::2], lines[1::2]):
        for n, v in zip(names[1:], numbers[1:]):
            found[names[0] + n] = int(v)
    return found


def end(side, pid, interface):
    """Of one of the two stacks and its interface."""
    snmp = tables(pid, "snmp")
    netstat = tables(pid, "netstat")
    with open(f"/proc/{pid}/net/snmp6", encoding="ascii") as f:
        snmp6 = dict(line.split() for line in f)
    found = {"socket": snmp["Udp:InErrors"] + int(snmp6["Udp6InErrors"]),
             "retransmits": snmp["Tcp:RetransSegs"],
             "needless": netstat["TcpExt:TCPDSACKRecvSegs"]}
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as f:
        for line in f:
            name, _, rest = line.partition(":")
            if name.strip() == interface:
                n = [int(x) for x in rest.split()]
                found[interface + " rx"] = n[2] + n[3]
                found[interface + " tx"] = n[10] + n[11]
    return {f"{side} {k}": v for k, v in found.items()}


def snapshot(log, near, far):
    return guest(log) | end("near", near, "hn0") | end("far", far, "wire0")


def report(path):
    """Of iperf3: a sentence, seconds times streams, UDP packets lost or None."""
    with open(path, encoding="utf-8") as f:
        whole = json.load(f)
    e = whole["end"]
    streams = whole["start"]["test_start"]["num_streams"]
    if "sum" not in e:
        s = e["sum_received"]
        return (f"{s['bits_per_second'] / 1e6:.0f} Mbit/s",
                s["seconds"] * streams, None)
    s = e["sum"]
    got = s["packets"] - s["lost_packets"]
    return (f"{got / s['seconds']:.0f} packets/s received, "
            f"{s['lost_percent']:.1f}% lost", s["seconds"] * streams,
            s["lost_packets"])


def places(d):
    """What was lost where, in words, and how much."""
    found = [(d.get(k, 0), f"{way} {where}") for way, stops in
             (("sent", OUT), ("received", IN)) for k, where in stops]
    return (", ".join(f"{n} {where}" for n, where in found if n),
            sum(n for n, _ in found))


def since(state, now, kind, iperf):
    d = {k: v - state["last"].get(k, 0) for k, v in now.items()}
    where, lost = places(d)
    text, seconds, missed = report(iperf) if iperf else ("", 0, None)
    again = d["near retransmits"] + d["far retransmits"]
    needless = d["near needless"] + d["far needless"]
    if kind == "tcp":
        text += f"{', ' if text else ''}{again} retransmits"
        text += f", {needless} of them needless" if again else ""
    if text:
        print(text)
    wire = d["guest wire"]
    if wire == 0:
        raise SystemExit("nothing went through hn0")
    calls, ints = d["guest hypercalls"] / wire, d["guest interrupts"] / wire
    print(f"{wire} packets on the wire, {d['guest packets']} in the driver; "
          f"{ints:.4f} interrupts, {calls:.4f} hypercalls each; lost: "
          f"{where or 'none'}")
    if kind in ("tcp", "pong") and lost > d["guest buffers_in"]:
        raise SystemExit("packets were lost on the way: " + where)
    if again > needless + lost + SLACK:
        raise SystemExit(f"TCP sent {again} segments again, {needless} of them "
                         f"needlessly, but only {lost} packets were seen to "
                         "be lost")
    if missed is not None and missed > lost:
        raise SystemExit(f"{missed} packets did not arrive, but only {lost} "
                         "were seen to be lost")
    limit = PONG if kind == "pong" else LIMIT
    if kind == "pong" or (seconds and wire / seconds >= LOAD):
        if max(calls, ints) > limit:
            raise SystemExit(f"more than {limit} interrupts or hypercalls a "
                             "packet")


def total(state):
    d = {k: v - state["first"].get(k, 0) for k, v in state["last"].items()}
    packets, wire = d["guest packets"], d["guest wire"]
    calls, ints = d["guest hypercalls"], d["guest interrupts"]
    print(f"hn0: {packets} packets ({wire} on the wire), {d['guest bytes']} "
          f"bytes, {d['guest drops']} dropped, {calls / packets:.4f} hypercalls "
          f"and {ints / packets:.4f} interrupts a packet")
    if max(calls, ints) > LIMIT * packets:
        raise SystemExit(f"more than {LIMIT} interrupts or hypercalls a "
                         "packet")


def main():
    what, path, *rest = sys.argv[1:]
    if what in ("got", "lost"):
        with open(path, encoding="utf-8") as f:
            s = json.load(f)["end"]["sum"]
        got = s["packets"] - s["lost_packets"]
        print(int(got / s["seconds"]) if what == "got" else
              int(10 * s["lost_percent"]))
        return
    if what == "begin":
        now = snapshot(*rest)
        state = {"first": now, "last": now}
    else:
        with open(path, encoding="utf-8") as f:
            state = json.load(f)
    if what == "since":
        now = snapshot(*rest[:3])
        since(state, now, rest[3], rest[4] if len(rest) > 4 else None)
        state["last"] = now
    elif what == "total":
        total(state)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(state, f)


if __name__ == "__main__":
    main()
