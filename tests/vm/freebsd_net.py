# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hn(4) in a FreeBSD kernel, with the machine around it at the other end of a
tap interface."""

import json
import socket
import time

import net_peer
import pcapng
from freebsd_guest import MODULES
from freebsd_hn import Offloads
from guest import Fail
from images import MIB
from linux_net import run
from suite import Skip

# What is on without being asked for.
OFFLOADS = ("txcsum", "rxcsum", "txcsum6", "rxcsum6", "tso4", "tso6", "lro",
            "jumbo", "linkstate", "vlanmtu", "vlanhwtag")
NET_CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"


class Adapter(Offloads):
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

    def check_sysctls(self):
        """the sysctls that hn(4)'s users know tell what was agreed on"""
        if self.hn("tx_ring_inuse") != 2 or self.hn("rx_ring_inuse") != 2:
            raise Fail("%d and %d rings" % (self.hn("tx_ring_inuse"),
                                            self.hn("rx_ring_inuse")))
        found = [self.vm.sysctl("dev.hn.0." + n) for n in (
            "nvs_version", "ndis_version", "caps", "rxfilter")]
        if int(found[0]) != self.counters()["version"]:
            raise Fail("version %s" % found[0])
        return ", ".join(found[1:])

    def check_tcp(self):
        """4 MiB over TCP each way, every byte compared"""
        return self.both(4 * MIB)

    def check_sha256(self):
        """random bytes over TCP each way with the same SHA-256"""
        return self.same_sum(2 * MIB)

    def check_tcp_served(self):
        """the same with connections from outside"""
        for verb, work, seed in (("send", net_peer.receive, 3),
                                 ("recv", net_peer.send, 4)):
            job = self.vm.start_job("tcp serve %s 0.0.0.0 500%d 1m %d" % (
                verb, seed, seed))
            peer = net_peer.connect(self.address, 5000 + seed, work, MIB,
                                    seed)
            self.all_well([job])
            peer.result()

    def check_udp_out(self):
        """datagrams of several sizes from the guest, fragments among them"""
        said = []
        for size in (64, 1472, 8000):
            sink = net_peer.udp_sink(self.host, 400, size, size)
            self.vm.sh("udp send %s %d 400 %d %d 2" % (
                self.host, sink.port, size, size), 90)
            said.append("%d of %d" % (sink.result(), size))
            # Whole fragments may be lost where buffers end.
            if sink.found < 380:
                raise Fail("%d of 400 of %d bytes came" % (sink.found, size))
        return ", ".join(said)

    def check_udp_in(self):
        """datagrams to the guest"""
        said = []
        for n, size in enumerate((64, 1472, 8000)):
            job = self.vm.start_job("udp recv 0.0.0.0 %d 400 %d %d 4000" % (
                6000 + n, size, size))
            self.vm.sh("sleep 200")
            net_peer.udp_send(self.address, 6000 + n, 400, size, size)
            status, text = self.vm.end_job(job)
            came = int(text.split()[0])
            if status != 0 or came < 380:
                raise Fail(text)
            said.append("%d of %d" % (came, size))
        return ", ".join(said)

    def signals(self):
        """(hypercalls, interrupts) so far: KVM counts the former, vmbus the
        latter, or the host, if vmbus is not ours.  What processors tell each
        other by hypercall is none of the adapter's."""
        hypercalls = self.vm.exits()["hypercalls"]
        if MODULES:
            taken = sum(self.vm.counted("sysctl tree dev.vmbus.0.cpu.%d" % n)
                        ["dev.vmbus.0.cpu.%d.interrupts" % n]
                        for n in range(self.cpus))
            hypercalls -= sum(self.vm.number("sysctl get dev.vmbus.0." + n)
                              for n in ("ipis", "tlb_flushes"))
        else:
            taken = json.loads(self.vm.ctl("--json", "stats"))[
                "host"]["interrupts"]
        return hypercalls, taken

    def check_udp_ping(self):
        """a single datagram to and fro: one hypercall and one interrupt each
        way at the most"""
        count = 200
        echo = net_peer.udp_echo(self.host, count)
        before = self.signals()
        text = self.vm.sh("udp ping %s %d %d 64" % (self.host, echo.port,
                                                   count))
        spent = [b - a for a, b in zip(before, self.signals())]
        echo.result()
        if max(spent) > 2 * count + count // 10:
            raise Fail("%d hypercalls, %d interrupts" % tuple(spent))
        return "%s, %.2f hypercalls and %.2f interrupts" % tuple(
            [text] + [n / count for n in spent])

    def check_offloads(self):
        """checksums and segments are left to the host, and no checksum is
        wrong"""
        self.offloads()
        checksum = large = 0
        for f in self.frames():
            if f.direction == pcapng.OUT:
                checksum += "checksum" in f.comment
                large += "segments" in f.comment
            if not f.comment and f.wrong():
                raise Fail("%s is wrong in a frame of %d bytes, direction "
                           "%d" % (f.wrong(), len(f.data), f.direction))
        if not checksum or not large:
            raise Fail("%d checksums, %d large frames left" % (checksum,
                                                               large))
        return "%d checksums, %d large frames" % (checksum, large)

    def offloads(self):
        missing = set(OFFLOADS) - set(self.shown()["enabled"].split())
        if missing:
            raise Fail("hn0 lacks " + " ".join(missing))

    def sent_since(self, n):
        return [f for f in self.frames()[n:] if f.direction == pcapng.OUT]

    def check_no_tso(self):
        """without TSO no frame is larger than the MTU allows"""
        n = len(self.frames())
        self.vm.sh("net caps hn0 -tso4 -tso6")
        text = self.tcp_out(2 * MIB)
        self.vm.sh("net caps hn0 tso4 tso6")
        sent = self.sent_since(n)
        if max(len(f.data) for f in sent) > 1514:
            raise Fail("a frame of %d bytes" % max(len(f.data)
                                                   for f in sent))
        return "%s, %d frames" % (text, len(sent))

    def check_no_txcsum(self):
        """without checksum offload the guest's own sums are right"""
        n = len(self.frames())
        self.vm.sh("net caps hn0 -tso4 -tso6 -txcsum -txcsum6")
        text = self.tcp_out(MIB)
        self.vm.sh("net caps hn0 txcsum txcsum6 tso4 tso6")
        sent = self.sent_since(n)
        bad = [f for f in sent if f.comment or f.wrong()]
        if bad or len(sent) < 300:
            raise Fail("%d of %d frames, the first %r %s" % (
                len(bad), len(sent), bad[0].comment, bad[0].wrong()))
        self.offloads()
        return text

    def check_no_rxcsum(self):
        """without it nothing is taken from the host's checks"""
        said = []
        for words in ("-rxcsum -rxcsum6", "rxcsum rxcsum6"):
            self.vm.sh("net caps hn0 " + words)
            before = self.hn("csum_tcp")
            text = self.tcp_in(MIB)
            said.append((self.hn("csum_tcp") - before, text))
        if said[0][0] or not said[1][0]:
            raise Fail("checked by the host: %s" % said)
        return said[0][1]

    def check_ipv6(self):
        """IPv6: ping of several sizes, TCP both ways with offloads"""
        run("ip", "-6", "addr", "add", self.host6 + "/64", "dev", self.tap)
        self.vm.sh("sysctl set net.inet6.ip6.dad_count 0\n"
                   "net addr hn0 %s/64" % self.address6)
        self.vm.within("ping " + self.host6, "an answer")
        for size in (0, 56, 1452, 1453, 8000):
            self.vm.sh("ping %s 2 %d" % (self.host6, size))
        n = len(self.frames())
        text = self.both(2 * MIB, host=self.host6)
        large = sum("segments" in f.comment for f in self.sent_since(n)
                    if f.type == 0x86DD)
        if not large:
            raise Fail("no large frame")
        return "%s, %d large frames" % (text, large)

    def come(self, frame):
        """Do frames from the wire get to the guest?"""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((self.tap, 0))
            before = self.counters()["rx_packets"]
            for _ in range(20):
                s.send(frame)
            time.sleep(0.5)
            return self.counters()["rx_packets"] - before >= 20

    def check_filter(self):
        """others' frames come only to a promiscuous hn0"""
        other = bytes.fromhex("020000000099" "020000000001" "88b5") + bytes(50)
        if self.come(other):
            raise Fail("another's frames come without being asked for")
        self.vm.sh("net promisc hn0 1")
        if not self.come(other):
            raise Fail("a promiscuous adapter does not get them")
        found = self.vm.sysctl("dev.hn.0.rxfilter")
        self.vm.sh("net promisc hn0 0")
        if self.come(other):
            raise Fail("they come after it")
        return found

    def check_multicast(self):
        """a group's frames come once it is joined"""
        job = self.vm.start_job("net group hn0 239.1.2.3 8000")
        self.vm.sh("sleep 500")
        group = bytes.fromhex("01005e010203" "020000000001" "88b5") + bytes(50)
        there = self.come(group)
        self.all_well([job])
        if not there:
            raise Fail("a joined group's frames do not come")
        return self.vm.sysctl("dev.hn.0.rxfilter")

    def check_vlan(self):
        """a VLAN: tagged frames both ways, ping and TCP in it"""
        status, name = self.vm.run("net vlan hn0 5")
        if status != 0:
            raise Skip("this kernel has no vlan(4): " + name)
        run("ip", "link", "add", "link", self.tap, "name", self.tap + ".5",
            "type", "vlan", "id", "5")
        run("ip", "addr", "add", "10.21.5.1/24", "dev", self.tap + ".5")
        run("ip", "link", "set", self.tap + ".5", "up")
        self.vm.sh("net up %s\nnet addr %s 10.21.5.2/24" % (name, name))
        self.vm.within("ping 10.21.5.1", "an answer")
        for size in (56, 1472, 1473, 8000):
            self.vm.sh("ping 10.21.5.1 2 %d" % size)
        tagged = {f.direction for f in self.frames() if f.vlan == 5}
        if tagged != {pcapng.IN, pcapng.OUT}:
            raise Fail("tagged frames in directions %s" % tagged)
        text = self.both(2 * MIB, host="10.21.5.1")
        self.vm.sh("net destroy " + name)
        run("ip", "link", "delete", self.tap + ".5")
        return text

    def check_mtu(self):
        """MTU 9000: whole frames of that size both ways, TCP"""
        run("ip", "link", "set", self.tap, "mtu", "9000")
        self.vm.sh("net mtu hn0 9000", 90)
        self.answered()
        n = len(self.frames())
        self.vm.sh("ping %s 3 8972 0 2000 1" % self.host)
        whole = {f.direction for f in self.frames()[n:]
                 if f.proto == pcapng.ICMP and len(f.data) == 9014}
        if whole != {pcapng.IN, pcapng.OUT}:
            raise Fail("whole frames in directions %s" % whole)
        text = self.both(4 * MIB)
        if self.counters()["mtu"] != 9000 or self.shown()["mtu"] != "9000":
            raise Fail("the host knows of %d" % self.counters()["mtu"])
        # More than the host takes becomes what it takes.
        self.vm.sh("net mtu hn0 9200", 90)
        if self.shown()["mtu"] != "9000":
            raise Fail("9200 becomes " + self.shown()["mtu"])
        self.vm.sh("net mtu hn0 1500", 90)
        run("ip", "link", "set", self.tap, "mtu", "1500")
        self.answered()
        return text

    def check_link_flap(self):
        """hvctl link: the guest sees the cable go and come back"""
        for _ in range(3):
            self.vm.ctl("link", "down")
            self.link("1")
            self.vm.ctl("link", "up")
            self.link("2")
        self.answered()

    def check_down_up(self):
        """down and up again; then traffic as before"""
        for _ in range(5):
            self.vm.sh("net down hn0\nnet up hn0")
        self.answered()
        self.vm.sh("net down hn0\nnot ping %s" % self.host)
        self.vm.sh("net up hn0")
        self.answered()
        return self.tcp_in(MIB)

    def check_hot_add(self):
        """hvctl net: a second adapter comes, works and goes"""
        second = self.tap + "b"
        self.vm.ctl("net", "add", "tap=" + second, "--mac",
                    "02:00:00:00:21:01")
        run("ip", "addr", "add", "10.21.1.1/24", "dev", second)
        run("ip", "link", "set", second, "up")
        self.vm.within("net show hn1", "hn1")
        self.vm.sh("net up hn1\nnet addr hn1 10.21.1.2/24")
        self.vm.within("ping 10.21.1.1 1 1000", "an answer")
        self.vm.ctl("net", "remove", "1")
        self.vm.within("not net show hn1", "end of hn1")
        self.answered()

    def check_counts(self):
        """what hn0 counts is what the host counts"""
        mine, host = self.stats(), self.counters()
        if mine["ierrors"] or mine["oerrors"] or \
                mine["opackets"] != host["tx_packets"]:
            raise Fail("%s, the host: %s" % (mine, host))
        return "%(ipackets)d in, %(opackets)d out" % mine

    def check_remove(self):
        """hot remove amid traffic: the guest lets go of hn0"""
        jobs = [self.vm.start_job("ping %s 200 1400 10 500" % self.host)
                for _ in range(2)]
        sink = net_peer.serve(self.host, net_peer.receive, 1 << 40, 5)
        jobs.append(self.vm.start_job("tcp send %s %d 1024g 5" % (
            self.host, sink.port)))
        time.sleep(2)
        self.vm.ctl("net", "remove", "0")
        self.vm.within("not net show hn0", "end of hn0")
        self.give_up(jobs)
        self.vm.within("not dev tree hn0", "end of its device")
