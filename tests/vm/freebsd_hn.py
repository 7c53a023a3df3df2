# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A FreeBSD guest with hn(4), and what can be done with it from the other end
of a tap interface: streams of bytes that both know, and counters."""

import os
import re
import time

import net_peer
import pcapng
from freebsd_guest import FreeBsd, MODULES
from guest import Fail
from images import MIB
from linux_net import run
from suite import Skip

MODULE = "hv_netvsc"
BAD = ("rx_bad", "tx_bad", "bad_messages", "tx_rejected", "lost_bytes",
       "send_failed", "txdma_failed", "rx_ack_failed")


class Net(FreeBsd):
    """A guest with hn0, up, with an address; the other end is a tap."""
    modules = ("hv_vmbus", "hv_storvsc", MODULE)
    subnet = 0                  # of 10.20/16: a number for each guest
    words = ""                  # more of --net
    listen = None               # the other end's own address, if not host
    captured = True

    @property
    def tap(self):
        return "hvfb%d" % self.subnet

    @property
    def host(self):
        return "10.20.%d.1" % self.subnet

    @property
    def address(self):
        return "10.20.%d.2" % self.subnet

    @property
    def host6(self):
        return "fd00:20:%x::1" % self.subnet

    @property
    def address6(self):
        return "fd00:20:%x::2" % self.subnet

    @property
    def mac(self):
        return "02:00:00:00:20:%02x" % self.subnet

    def options(self):
        if os.geteuid() != 0:
            raise Skip("only root can make a tap interface")
        self.pcap = self.path("net.pcapng")
        return super().options() + ["--net", "tap=%s,mac=%s%s%s" % (
            self.tap, self.mac,
            ",pcap=" + self.pcap if self.captured else "", self.words)]

    def begin(self):
        """Boots, and sees to it that the clock costs no exits: a kernel
        without drivers for Hyper-V reads it by port I/O, five times for one
        value, and needs more than one a packet."""
        FreeBsd.start(self)
        found = re.search(r"\bTSC\S*?(?=\()",
                          self.vm.sysctl("kern.timecounter.choice"))
        if found and self.vm.sysctl(
                "kern.timecounter.hardware").startswith("ACPI"):
            self.vm.sh("sysctl set kern.timecounter.hardware " +
                       found.group())

    def start(self):
        self.begin()
        run("ip", "addr", "add", self.host + "/24", "dev", self.tap)
        run("ip", "link", "set", self.tap, "up")
        self.configure()

    def configure(self, limit=30):
        """Brings hn0 up as soon as it is there."""
        self.vm.within("net show hn0", "hn0", limit)
        self.vm.sh("net up hn0\nnet addr hn0 %s/24" % self.address)

    def shown(self, name="hn0"):
        """{what: text} of net show."""
        return dict(l.split(": ", 1) for l in
                    self.vm.sh("net show " + name).split("\n") if ": " in l)

    def ping(self, *args):
        return self.vm.sh(" ".join(map(str, ("ping", self.host) + args)), 120)

    def answered(self, seconds=20):
        """Fails unless a ping is answered in time."""
        self.vm.within("ping " + self.host, "an answer", seconds)

    def frames(self, seconds=1):
        """What was captured, once it is in the file."""
        time.sleep(seconds)
        return pcapng.frames(self.pcap)

    def counters(self, adapter=0):
        """The host's."""
        text = self.vm.ctl("stats")
        return {k: int(v) for k, v in re.findall(
            r"^net\.%d\.(\w+) +(\d+)" % adapter, text, re.M)}

    def sent(self):
        return self.counters()["tx_packets"]

    def cost(self, size, function, *args):
        """Calls it; what it returns, and exits for each MiB of so many."""
        before = self.vm.exits()
        text = function(*args)
        after = self.vm.exits()
        return "%s, %d exits and %d hypercalls a MiB" % tuple(
            [text] + [(after.get(k, 0) - before.get(k, 0)) * MIB // size
                      for k in ("exits", "hypercalls")])

    def stats(self):
        """hn0's counters, as getifaddrs(3) has them."""
        return self.vm.counted("net stats hn0")

    def hn(self, name):
        """A number among hn0's sysctls."""
        return self.vm.number("sysctl get dev.hn.0." + name)

    def tcp(self, verb, words, work, args, host=None):
        """A connection of the guest's: what it said, what the other end
        came to."""
        peer = net_peer.serve(host or self.listen or self.host, work, *args)
        text = self.vm.sh("tcp %s %s %d %s" % (
            verb, host or self.host, peer.port, " ".join(map(str, words))),
            180)
        return text, peer.result()

    def tcp_out(self, size, seed=1, host=None):
        """The guest sends the pattern; how fast, in its words."""
        return rate(self.tcp("send", (size, seed), net_peer.receive,
                             (size, seed), host)[0])

    def tcp_in(self, size, seed=2, host=None):
        return rate(self.tcp("recv", (size, seed), net_peer.send,
                             (size, seed), host)[0])

    def same_sum(self, size):
        """Bytes that never repeat, each way: both ends have to come to the
        same SHA-256.  How fast they went."""
        said, summed = self.tcp("sum", (), net_peer.give, (size,))
        if said.split()[0] != summed:
            raise Fail("in: %s, not %s" % (said, summed))
        text = "in " + rate(said)
        said, (came, summed) = self.tcp("give", (size, 7), net_peer.take, ())
        if came != size or said.split()[0] != summed:
            raise Fail("out: %s; %d came, %s" % (said, came, summed))
        return "out %s, %s" % (rate(said), text)

    def both(self, size, **more):
        return "out %s, in %s" % (self.tcp_out(size, **more),
                                  self.tcp_in(size, **more))

    def streams(self, verb, n, size, limit=300):
        """n streams at a time, of different bytes each; KiB/s together."""
        start = time.monotonic()
        work = net_peer.receive if verb == "send" else net_peer.send
        peers = [net_peer.serve(self.host, work, size, seed)
                 for seed in range(n)]
        jobs = [self.vm.start_job("tcp %s %s %d %d %d" % (
            verb, self.host, p.port, size, seed))
                for seed, p in enumerate(peers)]
        self.all_well(jobs, limit)
        for p in peers:
            p.result()
        return "%d KiB/s" % (n * size / 1024 / (time.monotonic() - start))

    def load(self, size):
        """Streams of the pattern both ways, which end when well() is called:
        what it takes."""
        sink = net_peer.serve(self.host, net_peer.receive, size, 11)
        source = net_peer.serve(self.host, net_peer.send, size, 12)
        jobs = [self.vm.start_job("tcp send %s %d %d 11" % (
                    self.host, sink.port, size)),
                self.vm.start_job("tcp recv %s %d %d 12" % (
                    self.host, source.port, size))]
        return jobs, (sink, source)

    def well(self, load, limit=240):
        """Every byte of a load has to have come; how fast they went."""
        jobs, peers = load
        ended = [self.vm.end_job(j, limit) for j in jobs]
        bad = [text for status, text in ended if status != 0]
        if bad:
            raise Fail("; ".join(bad))
        for p in peers:
            p.result()
        return "out %s, in %s" % tuple(rate(text) for _, text in ended)

    def link(self, state):
        until = time.monotonic() + 20
        while self.shown()["link"] != state:
            if time.monotonic() > until:
                raise Fail("link state %s, not %s" % (self.shown()["link"],
                                                      state))

    def give_up(self, jobs):
        for j in jobs:
            self.vm.run("job kill %d" % j)
            self.vm.end_job(j)

    def all_well(self, jobs, limit=180):
        ended = [self.vm.end_job(j, limit) for j in jobs]
        bad = [text for status, text in ended if status != 0]
        if bad:
            raise Fail("; ".join(bad))

    def check_quiet(self):
        """the kernel complains of nothing, the driver counts nothing bad"""
        # The kernel's own driver complains of an adapter taken away.
        self.quiet("^$" if MODULES else "set RX filter .* failed")
        self.nothing_bad()

    def nothing_bad(self):
        if MODULES and self.vm.run("net show hn0")[0] == 0:
            bad = [n for n in BAD if self.hn(n) != 0]
            if bad:
                raise Fail("hn0 counts " + " ".join(bad))
        counted = self.counters()
        bad = [n for n in ("tx_bad", "rx_bad") if counted.get(n)]
        if bad:
            raise Fail("the host counts " + " ".join(bad))


def rate(text):
    return re.findall(r"\d+ KiB/s", text)[-1]


class Offloads(Net):
    """What TSO and LRO are good for, with so many processors."""
    size = 8 * MIB              # of each transfer

    def while_counting(self, count, transfer):
        """The words of a transfer, and how far each count went in it."""
        before = count()
        text = self.cost(self.size, transfer, self.size)
        return text, {k: n - before[k] for k, n in count().items()}

    def check_tso(self):
        """TSO off and on: rates of sending, and what the host was given"""
        said = []
        for on in (False, True):
            self.vm.sh("net caps hn0 " + ("tso4" if on else "-tso4"))
            text, spent = self.while_counting(self.counters, self.tcp_out)
            large, sent = spent["tx_large"], spent["tx_packets"]
            if on != (large > 0):
                raise Fail("%s: %d frames to be cut" % (text, large))
            said.append("%s, %d frames, %d to be cut" % (text, sent, large))
        return "off: %s; on: %s" % tuple(said)

    def taken_together(self):
        return {n: self.hn("lro_" + n) for n in ("queued", "flushed")}

    def check_lro(self):
        """LRO off and on: rates of receiving, and what it made of packets"""
        said = []
        for on in (False, True):
            self.vm.sh("net caps hn0 " + ("lro" if on else "-lro"))
            text, spent = self.while_counting(self.taken_together,
                                              self.tcp_in)
            queued, flushed = spent["queued"], spent["flushed"]
            # Fewer than half as many, or it is of no use.
            if queued if not on else queued < 2 * flushed or not queued:
                raise Fail("%s: %d packets by LRO become %d" % (
                    text, queued, flushed))
            said.append(text)
        return "off: %s; on: %s, %d packets become %d" % (
            said[0], said[1], queued, flushed)
