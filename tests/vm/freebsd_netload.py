# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hn(4) in a FreeBSD kernel under load, on one and four processors; with older
hosts; and loaded and unloaded amid traffic."""

import fcntl
import json
import socket
import struct
import threading
import time

import pcapng
from freebsd_guest import CACHES, FreeBsd, MODULES, module_files
from freebsd_hn import MODULE, Net, Offloads
from guest import Fail
from images import MIB
from linux_net import run
from suite import Skip

# Sent each way with a SHA-256, if both together take no longer than this.
FILE = 256 * MIB
MINUTE = 60

# <net/if.h>: Toeplitz; IPv4, IPv6 and TCP over each.
TOEPLITZ = 2
RSS_TYPES = 0x01 | 0x02 | 0x04 | 0x10

NET_INSTANCE = "3d2b7f40-91c6-4a0e-8b57-6e1f94c2d20%d"


class Loaded(Offloads):
    """Traffic amid changes, with as many processors as who derives from
    it."""
    captured = False
    amount = 32 * MIB           # of a load that changes happen in

    def start(self):
        super().start()
        run("ip", "link", "set", self.tap, "mtu", "9000")

    def hashed(self, function, types, key):
        """Fails unless these are what receive-side scaling goes by."""
        told = self.vm.counted("net rss hn0")
        if told != {"function": function, "types": types, "key": key}:
            raise Fail(str(told))

    def check_mtu_under_load(self):
        """the MTU changes again and again amid streams: no byte is lost"""
        load = self.load(self.amount)
        for mtu in (9000, 1500, 4000, 300, 9000, 1500):
            self.vm.sh("sleep 300\nnet mtu hn0 %d" % mtu, 120)
        text = self.well(load)
        self.answered()
        return text

    def check_caps_under_load(self):
        """offloads go off and on amid streams"""
        load = self.load(self.amount // 2)
        for words in ("-tso4 -lro", "-txcsum -rxcsum", "txcsum rxcsum",
                      "tso4 lro"):
            self.vm.sh("sleep 300\nnet caps hn0 " + words)
        return self.well(load)

    def check_flap_under_load(self):
        """the cable goes and comes amid streams"""
        load = self.load(self.amount // 2)
        for _ in range(5):
            time.sleep(0.3)
            self.vm.ctl("link", "down")
            self.vm.ctl("link", "up")
        return self.well(load)

    def check_down_up_under_load(self):
        """the interface goes down and up amid streams; then new ones pass"""
        jobs, _ = self.load(1 << 40)
        for _ in range(5):
            self.vm.sh("sleep 300\nnet down hn0\nnet up hn0")
        # A down interface has no route, which may end them.
        self.give_up(jobs)
        self.answered()
        return self.both(2 * MIB)


class One(Loaded):
    name = "hn1"
    cpus = 1
    subnet = 2
    order = 5
    amount = 16 * MIB

    def check_single(self):
        """one processor: one ring; ping"""
        self.ours()
        if self.hn("tx_ring_inuse") != 1:
            raise Fail("%d rings" % self.hn("tx_ring_inuse"))
        return self.ping(3, 1472)

    def check_rss(self):
        """nothing is hashed"""
        self.hashed(0, 0, 0)


class Four(Loaded):
    """Four processors, each with a channel; no capture, more traffic."""
    name = "hn4"
    cpus = 4
    subnet = 3
    words = ",channels=4"
    order = 4
    size = 16 * MIB

    def rings(self, way):
        return [self.hn("%s.%d.packets" % (way, n)) for n in range(self.cpus)]

    def check_channels(self):
        """as many channels as processors, each on one of its own"""
        self.ours()
        if self.hn("rx_ring_inuse") != 4 or self.hn("tx_ring_inuse") != 4:
            raise Fail("%d and %d rings" % (self.hn("rx_ring_inuse"),
                                            self.hn("tx_ring_inuse")))
        bus = json.loads(self.vm.sh("lsvmbus --libxo=json"))["vmbus"]
        cpus = [c["cpu"] for d in bus["device"] if d.get("name") == "hn0"
                for c in d["channel"]]
        if sorted(cpus) != [0, 1, 2, 3]:
            raise Fail("channels on processors %s" % cpus)
        return self.vm.dmesg("hn0: network protocol")[0]

    def check_rss(self):
        """programs are told what is hashed: addresses and TCP ports"""
        self.hashed(TOEPLITZ, RSS_TYPES, 40)

    def check_streams(self):
        """four streams each way, through several channels"""
        self.ours()
        before = self.rings("rx"), self.rings("tx")
        text = "out %s, in %s" % (self.streams("send", 4, 4 * MIB),
                                  self.streams("recv", 4, 4 * MIB))
        used = [sum(b - a > 20 for a, b in zip(old, new)) for old, new in
                zip(before, (self.rings("rx"), self.rings("tx")))]
        if min(used) < 2:
            raise Fail("%d receive, %d send" % tuple(used))
        return "%s, by %d and %d channels" % tuple([text] + used)

    def check_sha256(self):
        """256 MiB over TCP each way, or what goes in a minute, with the same
        SHA-256 at both ends"""
        start = time.monotonic()
        self.same_sum(self.size)
        most = int(MINUTE * self.size / (time.monotonic() - start)) // MIB
        size = min(FILE, max(most, 1) * MIB)
        return "%s%d MiB: %s" % (
            "" if size == FILE else "slow here, ", size // MIB,
            self.same_sum(size))

    def check_suspend(self):
        """suspended and resumed amid streams: they go on"""
        self.ours()
        load = self.load(32 * MIB)
        for _ in range(3):
            self.vm.sh("sleep 300\ndev suspend vmbus0", 120)
            self.vm.sh("sleep 200\ndev resume vmbus0", 120)
        text = self.well(load)
        if self.hn("rx_ring_inuse") != 4:
            raise Fail("%d rings" % self.hn("rx_ring_inuse"))
        return text

    def check_pause(self):
        """the host pauses the machine amid streams"""
        load = self.load(16 * MIB)
        for _ in range(2):
            time.sleep(0.3)
            self.vm.ctl("pause")
            time.sleep(0.5)
            self.vm.ctl("resume")
        return self.well(load)

    def mbufs(self):
        """Mbufs in use, with hn0 down; clusters alone may be spares that the
        zone of packets keeps."""
        self.vm.sh("net down hn0\nsleep 1500")
        found = self.vm.counted("vmstat zones mbuf")
        self.vm.sh("net up hn0")
        self.answered()
        return {k: n for k, n in found.items() if k != "mbuf_cluster"}

    def check_mbufs(self):
        """no mbuf is left in use by all that"""
        before = self.mbufs()
        for _ in range(3):
            self.both(2 * MIB)
        after = self.mbufs()
        more = {k: (before[k], n) for k, n in after.items()
                if n > before[k] + 16}
        if more:
            raise Fail(str(more))
        return ", ".join("%s %d" % kv for kv in sorted(after.items()))

    def check_rescind(self):
        """hvctl rescind amid streams: the guest lets go of hn0"""
        jobs, _ = self.load(1 << 40)
        time.sleep(2)
        stats = json.loads(self.vm.ctl("--json", "stats"))
        mine = [str(c["channel"]) for c in stats["channels"]
                if c["instance"] == NET_INSTANCE % 0 and
                c["sub_channel"] == 0]
        self.vm.ctl("rescind", mine[0])
        self.vm.within("not net show hn0", "end of hn0")
        self.give_up(jobs)
        self.vm.within("not dev tree hn0", "end of its device")


class Versions(FreeBsd):
    """An adapter for each older version of the protocol."""
    name = "hnversions"
    cpus = 2
    modules = Net.modules
    order = 20
    versions = ("6.0", "5.0", "4.0", "2.0", "1.0")

    def options(self):
        found = super().options()
        for v in self.versions:
            found += ["--net", "user,version=" + v]
        return found

    def check_each(self):
        """hosts limited to older versions: address, ping, sysctls"""
        said = []
        for n, v in enumerate(self.versions):
            name = "hn%d" % n
            self.vm.within("net show " + name, name)
            self.vm.sh("net up %s\nnet addr %s 10.0.2.15/24" % (name, name))
            self.vm.within("ping 10.0.2.2", "an answer, version " + v)
            self.vm.sh("ping 10.0.2.2 2 1472\nping 10.0.2.2 2 3000")
            self.vm.sh("net addr %s -10.0.2.15/24\nnet down %s" % (name,
                                                                  name))
            said.append("%#x" % self.vm.number(
                "sysctl get dev.hn.%d.nvs_version" % n))
        return " ".join(said)


class Reload(Net):
    """The driver is loaded later, and unloaded under traffic."""
    name = "hnreload"
    cpus = 2
    subnet = 4
    captured = False
    modules = ("hv_vmbus", "hv_storvsc")
    order = 2
    warm = 5
    rounds = 100

    @property
    def files(self):
        return module_files(MODULE)

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        super().start()

    def configure(self, limit=30):
        # Packets come, whether or not somebody answers for them: SIOCSARP
        # with ATF_COM and ATF_PERM, which busybox has no word for.
        mac = bytes.fromhex(self.mac.replace(":", ""))
        entry = struct.pack("<HH4s8xH6s8xi16x16s", socket.AF_INET, 0,
                            socket.inet_aton(self.address), 1, mac, 6,
                            self.tap.encode())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, 0x8955, entry)

    def flood(self, stop):
        """Echo requests from outside, some hundred a second."""
        data = bytes(1400)
        head = bytes((8, 0, 0, 0, 0, 1, 0, 1))
        total = pcapng.total(head + data) ^ 0xFFFF
        packet = head[:2] + total.to_bytes(2, "big") + head[4:] + data
        with socket.socket(socket.AF_INET, socket.SOCK_RAW,
                           socket.IPPROTO_ICMP) as s:
            while not stop.wait(0.02):
                for _ in range(4):
                    s.sendto(packet, (self.address, 0))

    def rounds_of(self, n):
        """Load, traffic, unload amid it."""
        script = ("kld load /boot/modules/%s.ko;within 20 net show hn0;"
                  "net up hn0;net addr hn0 %s/24;within 20 ping %s;"
                  "kld unload %s.ko" % (MODULE, self.address, self.host,
                                        MODULE))
        self.vm.sh("repeat %d do '%s'" % (n, script), 1500)

    def check_rounds(self):
        """loaded and unloaded 100 times, with traffic both ways each time"""
        stop = threading.Event()
        thread = threading.Thread(target=self.flood, args=(stop,))
        thread.start()
        try:
            self.rounds_of(self.warm)
            self.before = self.vm.held("dev", "hw", "kern", "net", "vm")
            sent = self.sent()
            self.rounds_of(self.rounds)
        finally:
            stop.set()
            thread.join()
        return "%d rounds, %d frames sent" % (self.rounds,
                                              self.sent() - sent)

    def check_leaks(self):
        """nothing is left of those: memory, mbufs, sysctls"""
        self.vm.sh("sleep 2000")
        after = self.vm.held("dev", "hw", "kern", "net", "vm")
        more = ["%s: %d, %d" % (k, self.before.get(k, 0), n)
                for k, n in sorted(after.items())
                if (n - self.before.get(k, 0) >= self.rounds * 9 // 10 and
                    k not in CACHES) or
                (k.startswith("sysctl ") and n != self.before.get(k))]
        mine = [k for k, n in after.items()
                if n and k in ("malloc hn", "malloc netvsc")]
        if more or mine:
            raise Fail("; ".join(more + mine))
        return "%d counters" % len(after)

    def check_once_more(self):
        """after all that hn0 is what it was"""
        self.vm.sh("kld load /boot/modules/%s.ko" % MODULE)
        super().configure()
        self.answered()
        return self.both(2 * MIB)
