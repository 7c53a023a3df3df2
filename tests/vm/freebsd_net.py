# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hn(4) in a FreeBSD kernel, with the machine around it at the other end of a
tap interface."""

import os
import re
import time

import net_peer
import pcapng
from freebsd_guest import FreeBsd, MODULES
from guest import Fail
from linux_net import run
from suite import Skip

MODULE = "hv_netvsc"
NET_CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"


class Net(FreeBsd):
    """A guest with hn0, up, with an address; the other end is a tap."""
    modules = ("hv_vmbus", "hv_storvsc", MODULE)
    subnet = 0                  # of 10.20/16: a number for each guest
    words = ""                  # more of --net
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
    def mac(self):
        return "02:00:00:00:20:%02x" % self.subnet

    def options(self):
        if os.geteuid() != 0:
            raise Skip("only root can make a tap interface")
        self.pcap = self.path("net.pcapng")
        return super().options() + ["--net", "tap=%s,mac=%s%s%s" % (
            self.tap, self.mac,
            ",pcap=" + self.pcap if self.captured else "", self.words)]

    def start(self):
        super().start()
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

    def check_quiet(self):
        """the kernel complains of nothing"""
        self.quiet()


class Adapter(Net):
    name = "hn"
    cpus = 2
    subnet = 1
    order = 3

    def check_attach(self):
        """hn0 is on vmbus0, with the address the host gave it"""
        mine = [d for d in self.vm.devices("children", "vmbus0")
                if NET_CLASS in d.pnpinfo]
        if [(d.name, d.state) for d in mine] != [("hn0", "attached")]:
            raise Fail(str(mine))
        if self.shown()["mac"] != self.mac:
            raise Fail("hn0's address is " + self.shown()["mac"])
        return self.vm.dmesg("hn0: ")[0]

    def check_link(self):
        """link up, media Ethernet, MTU 1500, running"""
        found = self.shown()
        # IFF_UP, IFF_RUNNING; LINK_STATE_UP; IFM_ETHER, active.
        if int(found["flags"], 16) & 0x41 != 0x41 or found["link"] != "2" or \
                found["mtu"] != "1500" or "active" not in found["media"] or \
                int(found["media"].split()[0], 16) & 0xE0 != 0x20:
            raise Fail(str(found))
        return "%s Mbit/s" % (int(found["baudrate"]) // 1000000)

    def check_ping(self):
        """ping of all sizes, up to those in fragments"""
        # For the last: as many fragments.
        self.vm.sh("sysctl set net.inet.ip.maxfragsperpacket 64")
        for size in (0, 1, 56, 1000, 1471, 1472, 1473, 4000, 20000, 65467):
            self.ping(2, size)
        return self.ping(10, 56)
