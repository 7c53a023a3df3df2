# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hn(4) in a FreeBSD kernel on hvhost's network in user mode, which gives
addresses by DHCP and needs no root."""

import os

import pcapng
from freebsd_guest import FreeBsd
from freebsd_hn import Net
from guest import Fail
from images import MIB
from linux_net import run
from suite import Skip

# Of a message: its frame's headers, its fixed part, the option that tells what
# it is.
HEADERS = 42
OPTIONS = HEADERS + 240
TYPE = 53
EXCHANGE = [(pcapng.OUT, "DISCOVER"), (pcapng.IN, "OFFER"),
            (pcapng.OUT, "REQUEST"), (pcapng.IN, "ACK")]
NAMES = {1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 5: "ACK", 6: "NAK"}
# Somewhere beyond the router: this machine's.
BEYOND = "10.77.0.1"


def message(frame):
    """What kind of DHCP message a frame is; None: it is something else."""
    ports = {frame.payload[0:2], frame.payload[2:4]}
    if frame.proto != pcapng.UDP or ports != {b"\0\x43", b"\0\x44"}:
        return None
    at = OPTIONS
    while at + 2 < len(frame.data) and frame.data[at] != 255:
        if frame.data[at] == TYPE:
            return NAMES.get(frame.data[at + 2])
        at += 2 + frame.data[at + 1] if frame.data[at] else 1
    return None


class User(Net):
    name = "hnuser"
    cpus = 2
    subnet = 5                  # of its Ethernet address alone
    order = 6
    host = "10.0.2.2"
    address = "10.0.2.15"
    listen = "127.0.0.1"

    def options(self):
        self.pcap = self.path("net.pcapng")
        return FreeBsd.options(self) + [
            "--net", "user,mac=%s,pcap=%s" % (self.mac, self.pcap)]

    def start(self):
        self.begin()
        self.vm.within("net show hn0", "hn0")

    def lease(self):
        """Asks for an address; what was said of it."""
        return dict(l.split(": ") for l in
                    self.vm.sh("dhcp hn0").split("\n"))

    def check_no_cable(self):
        """DHCP without a cable gives up in time"""
        self.vm.sh("net up hn0")
        self.vm.ctl("link", "down")
        self.link("1")
        self.vm.sh("not dhcp hn0 2 500")
        self.vm.ctl("link", "up")
        self.link("2")

    def check_dhcp(self):
        """DHCP: discover, offer, request, ack; address and route are set"""
        n = len(self.frames())
        got = self.lease()
        if got["address"] != self.address + "/24" or \
                got["router"] != self.host or int(got["lease"]) == 0 or \
                self.shown().get("address") != self.address:
            raise Fail("%s; %s" % (got, self.shown()))
        seen = [(f.direction, message(f)) for f in self.frames()[n:]
                if message(f)]
        if seen != EXCHANGE:
            raise Fail(str(seen))
        return "%(address)s, router %(router)s, for %(lease)s s" % got

    def check_ping(self):
        """ping of the router, up to what takes fragments"""
        for size in (0, 56, 1471, 1472, 1473, 4000):
            self.ping(2, size, 0, 5000)
        return self.ping(10)

    def check_tcp(self):
        """4 MiB over TCP each way through the NAT, every byte compared"""
        return self.both(4 * MIB)

    def check_route(self):
        """TCP with an address beyond the router; none without the route"""
        if os.geteuid() != 0:
            raise Skip("only root can give this machine an address")
        run("ip", "addr", "add", BEYOND + "/32", "dev", "lo")
        text = self.both(MIB, host=BEYOND)
        self.vm.sh("route delete 0.0.0.0/0\nnot ping %s\nnot tcp send %s 1 1"
                   "\nroute add 0.0.0.0/0 %s" % (BEYOND, BEYOND, self.host))
        self.tcp_out(MIB, host=BEYOND)
        run("ip", "addr", "del", BEYOND + "/32", "dev", "lo")
        return text

    def check_sha256(self):
        """random bytes over TCP each way with the same SHA-256"""
        return self.same_sum(2 * MIB)

    def check_offloads(self):
        """what was left to the host is done by it: right checksums, and no
        frame larger than the MTU"""
        frames = self.frames()
        for f in frames:
            if f.comment or f.wrong() or len(f.data) > 1514:
                raise Fail("%r, %s is wrong in a frame of %d bytes" % (
                    f.comment, f.wrong(), len(f.data)))
        large = self.counters()["tx_large"]
        if not large:
            raise Fail("nothing was to be cut")
        return "%d frames, of %d large sends" % (len(frames), large)

    def check_again(self):
        """down and up: the same address is given again"""
        self.vm.sh("route delete 0.0.0.0/0\nnet addr hn0 -%s/24\n"
                   "net down hn0\nnot ping %s" % (self.address, self.host))
        got = self.lease()
        if got["address"] != self.address + "/24":
            raise Fail(str(got))
        self.answered()
