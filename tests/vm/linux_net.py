# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Network adapters under Linux's own network driver."""

import hashlib
import json
import os
import re
import socket
import subprocess
import threading
import time

import pcapng
from guest import Fail
from linux_basic import complaints, dmesg
from linux_storage import within
from suite import Boot, Skip

MAC = "02:00:00:00:00:2a"
COMPLAINTS = "hv_netvsc.*(fail|unknown|error|unhandled|invalid|time)"


def run(*argv, limit=60):
    """A command beside hvhost; its output."""
    p = subprocess.run(argv, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                       text=True, timeout=limit, check=False)
    if p.returncode != 0:
        raise Fail("%s: exit status %d: %s" % (
            " ".join(argv), p.returncode, p.stdout.strip()[-300:]))
    return p.stdout


def checksum_errors(snmp):
    """TCP's, of the text of /proc/net/snmp."""
    rows = [l.split() for l in snmp.split("\n") if l.startswith("Tcp:")]
    return int(dict(zip(*rows))["InCsumErrors"])


class Server:
    """iperf3 -s beside hvhost."""

    def __init__(self, port, address="127.0.0.1"):
        self.process = subprocess.Popen(
            ["iperf3", "-s", "-p", str(port), "-B", address],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Adapter(Boot):
    """A guest with one adapter, captured."""
    cpus = 2
    modules = ("hv_netvsc",)
    back = "user"
    words = ""
    address = "10.0.2.15"
    host = "10.0.2.2"
    listen = None               # the server's address
    server = None
    port = 5201

    def options(self):
        self.pcap = self.path("net.pcapng")
        return ["--net", "%s,mac=%s,pcap=%s%s" % (
            self.back, MAC, self.pcap, self.words)]

    def start(self):
        super().start()
        within(self.vm, "[ -e /sys/class/net/eth0 ]", "eth0")

    def stop(self):
        if self.server:
            self.server.stop()
        super().stop()

    def frames(self, seconds=1):
        """What was captured, once it is in the file."""
        time.sleep(seconds)
        return pcapng.frames(self.pcap)

    def counters(self):
        """Those of adapter 0; and what the whole machine was asked for."""
        text = self.vm.ctl("stats")
        return {k: int(v) for k, v in re.findall(
            r"^(?:net\.0\.)?(\w+) +(\d+)", text, re.M)}

    def check_driver(self):
        """Linux's own driver has the adapter, with the address it was given"""
        self.vm.sh("ip link set eth0 up")
        driver = self.vm.sh("basename $(readlink "
                            "/sys/class/net/eth0/device/driver)")
        mac = self.vm.sh("cat /sys/class/net/eth0/address")
        if driver != "hv_netvsc" or mac != MAC:
            raise Fail("eth0 is %s's, with address %s" % (driver, mac))
        within(self.vm, '[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]',
               "link up")
        return "NVSP %#x" % self.counters()["version"]

    def iperf(self, args, limit=90):
        """iperf3 in the guest; what it measured, bits a second."""
        text = self.vm.sh("iperf3 -c %s -p %d -J %s" % (
            self.host, self.port, args), limit)
        end = json.loads(text[text.index("{"):])["end"]
        rate = end.get("sum_received", end.get("sum"))["bits_per_second"]
        if rate <= 0:
            raise Fail("nothing came")
        return rate

    def serve(self):
        """A server to talk to, from now on."""
        if self.server is None:
            self.server = Server(self.port, self.listen)
            time.sleep(1)

    def tcp(self, args):
        self.serve()
        before = self.counters()
        rate = self.iperf(args)
        after = self.counters()
        spent = {k: after[k] - before[k] for k in
                 ("tx_packets", "rx_packets", "signals_in", "events_out",
                  "rx_no_buffer")}
        packets = spent["tx_packets"] + spent["rx_packets"]
        return "%.0f Mbit/s (%.3f signals, %.3f events a packet, %d lost)" % (
            rate / 1e6, spent["signals_in"] / packets,
            spent["events_out"] / packets, spent["rx_no_buffer"])

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm, COMPLAINTS)
        counted = self.counters()
        if counted.get("tx_bad"):
            raise Fail("%d messages were refused" % counted["tx_bad"])


class User(Adapter):
    name = "netuser"
    order = 5
    listen = "127.0.0.1"

    def check_dhcp(self):
        """DHCP from the network in user mode"""
        self.vm.sh("printf '#!/bin/sh\\n[ \"$1\" = bound ] || exit 0\\n"
                   "ip addr add $ip/24 dev $interface\\n"
                   "ip route add default via $router\\n' >/tmp/dhcp; "
                   "chmod +x /tmp/dhcp; "
                   "udhcpc -n -q -i eth0 -s /tmp/dhcp 2>&1", 60)
        got = self.vm.sh("ip -4 addr show eth0")
        if self.address + "/24" not in got:
            raise Fail(got)
        return self.address

    def check_ping(self):
        """ping of all sizes, up to what takes fragments"""
        for size in (0, 1, 56, 1000, 1471, 1472, 1473, 4000):
            self.vm.sh("ping -c 2 -s %d %s" % (size, self.host))

    def check_ipv6(self):
        """an address by router advertisement; ping over IPv6"""
        within(self.vm, "ip -6 addr show eth0 | grep -q 'fec0:.*global\\|"
               "fec0:.*site'", "an address")
        within(self.vm, "ping -6 -c 1 fec0::2 >/dev/null", "an answer")

    def check_tcp_out(self):
        """iperf3 from the guest, TCP"""
        return self.tcp("-t 2")

    def check_tcp_in(self):
        """iperf3 to the guest, TCP"""
        return self.tcp("-t 2 -R")

    def check_tcp_streams(self):
        """iperf3 with 4 streams, both ways"""
        return self.tcp("-t 2 -P 4") + ", " + self.tcp("-t 2 -P 4 -R")

    def check_udp(self):
        """iperf3 UDP, both ways"""
        return self.tcp("-t 2 -u -b 10M") + ", " + \
            self.tcp("-t 2 -u -b 10M -R")

    def check_capture(self):
        """every frame of the guest's in the capture has right checksums and
        the size of the MTU"""
        tcp = 0
        for f in self.frames():
            if f.comment:
                raise Fail("an unfinished frame went out: " + f.comment)
            if f.wrong():
                raise Fail("%s is wrong in a frame of %d bytes, direction "
                           "%d" % (f.wrong(), len(f.data), f.direction))
            if len(f.data) > 1514:
                raise Fail("a frame of %d bytes" % len(f.data))
            tcp += f.proto == pcapng.TCP and f.direction == pcapng.OUT
        if tcp < 100:
            raise Fail("only %d TCP frames" % tcp)
        large = self.counters()["tx_large"]
        if large == 0:
            raise Fail("the guest sent nothing to be cut: no TSO")
        return "%d TCP frames out, of %d large sends" % (tcp, large)

    def check_link_flap(self):
        """hvctl link: the guest sees the cable go and come back"""
        self.vm.ctl("link", "down")
        within(self.vm, '[ "$(cat /sys/class/net/eth0/carrier)" = 0 ]',
               "link down")
        if self.vm.run("ping -c 1 -W 1 " + self.host)[0] == 0:
            raise Fail("a ping passes without a cable")
        self.vm.ctl("link", "up")
        within(self.vm, '[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]',
               "link up")
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")

    def check_pause(self):
        """a pause amid traffic from outside: it goes on after it"""
        self.serve()
        self.vm.begin("iperf3 -c %s -p %d -t 4 -R >/dev/null 2>&1; echo $?" %
                      (self.host, self.port))
        time.sleep(1.5)
        self.vm.ctl("pause")
        time.sleep(1)
        self.vm.ctl("resume")
        status = self.vm.finish(60)[1].split()
        if status != ["0"]:
            raise Fail("iperf3 ends with %s" % status)

    def check_down_up(self):
        """ip link down and up; then traffic as before"""
        for _ in range(3):
            self.vm.sh("ip link set eth0 down; ip link set eth0 up")
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")

    def check_reload(self):
        """the driver leaves and comes back"""
        self.vm.sh("rmmod hv_netvsc && modprobe hv_netvsc")
        within(self.vm, "[ -e /sys/class/net/eth0 ]", "eth0")
        self.vm.sh("ip link set eth0 up; ip addr add %s/24 dev eth0" %
                   self.address)
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")

    def check_reset(self):
        """a reset amid traffic: the next kernel finds the adapter as new"""
        self.serve()
        self.vm.begin("iperf3 -c %s -p %d -t 60 --bidir >/dev/null" % (
            self.host, self.port))
        time.sleep(2)
        self.vm.ctl("reset")
        self.vm.wait_up()
        self.vm.load(*self.modules)
        within(self.vm, "[ -e /sys/class/net/eth0 ]", "eth0")
        self.vm.sh("ip link set eth0 up; ip addr add %s/24 dev eth0" %
                   self.address)
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")

    def check_remove(self):
        """hot remove amid traffic: the guest lets go of the adapter"""
        self.vm.begin("ping -c 100 -i 0.05 -s 1400 %s >/dev/null; true" %
                      self.host)
        time.sleep(1)
        self.vm.ctl("net", "remove", "0")
        self.vm.finish(60)
        within(self.vm, "[ ! -e /sys/class/net/eth0 ]", "eth0's end")

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm, COMPLAINTS)


class Tap(Adapter):
    name = "nettap"
    order = 4
    cpus = 4
    memory = 512
    back = "tap=hvht0"
    words = ",channels=4"
    address = "10.9.0.2"
    host = listen = "10.9.0.1"

    def options(self):
        if os.geteuid() != 0:
            raise Skip("only root can make a tap interface")
        return super().options()

    def start(self):
        super().start()
        run("ip", "addr", "add", self.host + "/24", "dev", "hvht0")
        run("ip", "link", "set", "hvht0", "up")
        self.vm.sh("ip link set eth0 up; ip addr add %s/24 dev eth0" %
                   self.address)

    def check_ping(self):
        """ping of all sizes"""
        for size in (0, 56, 1472, 1473, 20000):
            self.vm.sh("ping -c 2 -s %d %s" % (size, self.host))

    def channels(self):
        """{channel: (cpu, interrupts)}"""
        text = self.vm.sh("for c in $(readlink -f /sys/class/net/eth0/device)"
                          "/channels/*; do echo ${c##*/} $(cat $c/cpu "
                          "$c/interrupts); done")
        return {int(a): (int(b), int(c)) for a, b, c in
                (l.split() for l in text.split("\n"))}

    def combined(self):
        """(most, now) of ethtool -l."""
        text = self.vm.sh("ethtool -l eth0")
        return tuple(int(n) for n in re.findall(r"Combined:\s+(\d+)", text))

    def check_channels(self):
        """ethtool -l: as many channels as asked for, on CPUs of their own"""
        most, now = self.combined()
        cpus = {cpu for cpu, _ in self.channels().values()}
        if most < 4 or now != 4 or len(cpus) != 4:
            raise Fail("%d channels of %d, on CPUs %s" % (now, most, cpus))

    def check_tcp_out(self):
        """iperf3 from the guest, TCP"""
        return self.tcp("-t 2")

    def check_tcp_in(self):
        """iperf3 to the guest, TCP"""
        return self.tcp("-t 2 -R")

    def check_tcp_streams(self):
        """iperf3 with 4 streams, both ways, through several channels"""
        before = self.channels()
        text = self.tcp("-t 2 -P 4") + ", " + self.tcp("-t 2 -P 4 -R")
        after = self.channels()
        used = [n for n in after if after[n][1] - before[n][1] > 10]
        if len(used) < 2:
            raise Fail("channels with interrupts: %s" % used)
        return "%s, %d channels" % (text, len(used))

    def check_udp(self):
        """iperf3 UDP, both ways"""
        return self.tcp("-t 2 -u -b 10M") + ", " + \
            self.tcp("-t 2 -u -b 10M -R")

    def check_offloads(self):
        """checksums and segmentation are left to this machine, which finds
        no checksum wrong"""
        checksum = large = 0
        for f in self.frames():
            if f.direction == pcapng.OUT:
                checksum += "checksum" in f.comment
                large += "segments" in f.comment
            if not f.comment and f.wrong():
                raise Fail("%s is wrong in a frame of %d bytes, direction "
                           "%d" % (f.wrong(), len(f.data), f.direction))
        with open("/proc/net/snmp", encoding="ascii") as snmp:
            errors = checksum_errors(snmp.read())
        if not checksum or not large or errors:
            raise Fail("%d checksums, %d large frames left, %d errors" % (
                checksum, large, errors))
        return "%d checksums, %d large frames" % (checksum, large)

    def check_ipv6(self):
        """TCP over IPv6, segmentation left to this machine"""
        run("ip", "-6", "addr", "add", "fd00:9::1/64", "dev", "hvht0")
        self.vm.sh("ip -6 addr add fd00:9::2/64 dev eth0")
        within(self.vm, "ping -6 -c 1 fd00:9::1 >/dev/null", "an answer")
        server = Server(self.port + 1, "fd00:9::1")
        time.sleep(1)
        try:
            text = self.vm.sh("iperf3 -c fd00:9::1 -p %d -t 2 && iperf3 -c "
                              "fd00:9::1 -p %d -t 2 -R" % (
                                  self.port + 1, self.port + 1), 60)
        finally:
            server.stop()
        large = sum("segments" in f.comment and f.direction == pcapng.OUT
                    for f in self.frames() if f.type == 0x86DD)
        if not large:
            raise Fail("no large frame among those of IPv6")
        return ", ".join(re.findall(r"([\d.]+ \wbits/sec) +receiver", text))

    def check_rss(self):
        """ethtool -X: the host's choice of channels follows the table"""
        table = self.vm.sh("ethtool -x eth0")
        if "4 RX ring(s)" not in table:
            raise Fail(table.split("\n")[0])
        for rings in (1, 4):
            self.vm.sh("ethtool -X eth0 equal %d" % rings)
            before = self.received()
            self.tcp("-t 2 -P 8 -R")
            after = self.received()
            used = [n for n in range(4) if after[n] - before[n] > 50]
            if used != [0] if rings == 1 else len(used) < 2:
                raise Fail("with %d rings in the table, packets come by %s" %
                           (rings, used))

    def received(self):
        """Packets by queue, as the guest counts them."""
        text = self.vm.sh("ethtool -S eth0")
        return [int(n) for n in re.findall(r"rx_queue_\d+_packets: (\d+)",
                                           text)]

    def check_filter(self):
        """others' frames and groups' come to those who ask for them"""
        frame = bytes.fromhex("020000000099" "020000000001" "88b5") + bytes(50)
        group = bytes.fromhex("01005e7f0909" "020000000001" "88b5") + bytes(50)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(("hvht0", 0))

            def come(data):
                before = self.counters()["rx_packets"]
                for _ in range(20):
                    s.send(data)
                time.sleep(0.5)
                return self.counters()["rx_packets"] - before >= 20
            self.vm.sh("ip link set eth0 promisc off")
            if come(frame):
                raise Fail("another's frames come without being asked for")
            self.vm.sh("ip link set eth0 promisc on")
            if not come(frame) or not come(group):
                raise Fail("a promiscuous adapter does not get them")
            self.vm.sh("ip link set eth0 promisc off; "
                       "ifconfig eth0 allmulti")
            if come(frame) or not come(group):
                raise Fail("all groups are asked for, and nothing else")
            self.vm.sh("ifconfig eth0 -allmulti")

    def check_no_offloads(self):
        """the same without them, switched off by ethtool: as good"""
        # What was coalesced has no checksum of its own to be looked at.
        self.vm.sh("ethtool -K eth0 tx off tso off rx off lro off")
        text = self.tcp("-t 2") + ", " + self.tcp("-t 2 -R")
        errors = checksum_errors(self.vm.sh("cat /proc/net/snmp"))
        self.vm.sh("ethtool -K eth0 tx on rx on && ethtool -K eth0 tso on "
                   "lro on")
        if errors:
            raise Fail("%d checksums were wrong to the guest" % errors)
        return text

    def check_vlan(self):
        """a VLAN: its tag on the wire both ways, ping and TCP in it"""
        run("ip", "link", "add", "link", "hvht0", "name", "hvht0.5", "type",
            "vlan", "id", "5")
        run("ip", "addr", "add", "10.9.5.1/24", "dev", "hvht0.5")
        run("ip", "link", "set", "hvht0.5", "up")
        self.vm.sh("modprobe 8021q; ip link add link eth0 name eth0.5 type "
                   "vlan id 5; ip addr add 10.9.5.2/24 dev eth0.5; "
                   "ip link set eth0.5 up")
        self.vm.sh("ping -c 3 -s 1472 10.9.5.1")
        tagged = {f.direction for f in self.frames() if f.vlan == 5}
        if tagged != {pcapng.IN, pcapng.OUT}:
            raise Fail("tagged frames in directions %s" % tagged)
        server = Server(self.port + 1, "10.9.5.1")
        time.sleep(1)
        try:
            text = self.vm.sh("iperf3 -c 10.9.5.1 -p %d -t 2 && iperf3 -c "
                              "10.9.5.1 -p %d -t 2 -R" % (
                                  self.port + 1, self.port + 1), 60)
        finally:
            server.stop()
            self.vm.sh("ip link delete eth0.5")
            run("ip", "link", "delete", "hvht0.5")
        return ", ".join(re.findall(r"([\d.]+ \wbits/sec) +receiver", text))

    def check_mtu(self):
        """MTU 9000: a frame of that size both ways, TCP"""
        run("ip", "link", "set", "hvht0", "mtu", "9000")
        self.vm.sh("ip link set eth0 mtu 9000; ip link set eth0 up")
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")
        self.vm.sh("ping -c 3 -s 8972 " + self.host)
        whole = {f.direction for f in self.frames()
                 if f.proto == pcapng.ICMP and len(f.data) == 9014}
        if whole != {pcapng.IN, pcapng.OUT}:
            raise Fail("whole frames in directions %s" % whole)
        text = self.tcp("-t 2") + ", " + self.tcp("-t 2 -R")
        if self.counters()["mtu"] != 9000:
            raise Fail("the host knows of %d" % self.counters()["mtu"])
        return text

    def check_mtu_under_load(self):
        """MTU changes amid traffic"""
        self.vm.sh("ping -c 100 -i 0.05 %s >/dev/null & for m in 1500 4000 "
                   "9000 1500; do ip link set eth0 mtu $m; sleep 1; done; "
                   "wait" % self.host, 90)
        run("ip", "link", "set", "hvht0", "mtu", "1500")
        within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
               "an answer")

    def check_channel_change(self):
        """ethtool -L: fewer channels and more again, with traffic after"""
        for n in (1, 3, 4):
            self.vm.sh("ethtool -L eth0 combined %d" % n)
            if self.combined()[1] != n:
                raise Fail("%d channels, not %d" % (self.combined()[1], n))
            within(self.vm, "ping -c 1 -W 1 %s >/dev/null" % self.host,
                   "an answer")

    def check_hot_add(self):
        """hvctl net: a second adapter comes, works and goes"""
        self.vm.ctl("net", "add", "tap=hvht1", "--mac", "02:00:00:00:00:2b")
        run("ip", "addr", "add", "10.9.1.1/24", "dev", "hvht1")
        run("ip", "link", "set", "hvht1", "up")
        within(self.vm, "[ -e /sys/class/net/eth1 ]", "eth1")
        self.vm.sh("ip link set eth1 up; ip addr add 10.9.1.2/24 dev eth1")
        within(self.vm, "ping -c 1 -W 1 10.9.1.1 >/dev/null", "an answer")
        self.vm.ctl("net", "remove", "1")
        within(self.vm, "[ ! -e /sys/class/net/eth1 ]", "eth1's end")
        self.vm.sh("ping -c 1 " + self.host)


class Versions(Boot):
    """An adapter for each version of the protocol."""
    name = "netversions"
    order = 20
    modules = ("hv_netvsc",)
    versions = ("6.0", "5.0", "4.0", "2.0", "1.0")

    def options(self):
        found = []
        for v in self.versions:
            found += ["--net", "user,version=" + v]
        return found

    def check_each(self):
        """hosts limited to older versions: address, ping"""
        within(self.vm, "[ -e /sys/class/net/eth4 ]", "all adapters")
        for n, v in enumerate(self.versions):
            self.vm.sh("ip link set eth%d up; ip addr add 10.0.2.15/24 dev "
                       "eth%d" % (n, n))
            within(self.vm, "ping -c 1 -W 1 -s 1000 10.0.2.2 >/dev/null",
                   "an answer with version " + v)
            self.vm.sh("ip link set eth%d down; ip addr flush dev eth%d" %
                       (n, n))
        text = self.vm.ctl("stats")
        return " ".join("%#x" % int(v) for v in re.findall(
            r"^net\.\d\.version +(\d+)", text, re.M))

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm, COMPLAINTS)


class Storm(Adapter):
    """A wire that loses, doubles, reorders and damages frames."""
    name = "netstorm"
    order = 6
    words = ",loss=1,duplicate=1,reorder=2,corrupt=1,jitter=2,seed=5"
    size = 4 << 20

    def check_bytes(self):
        """4 MiB over TCP in bad weather: every byte arrives, both ways"""
        data = os.urandom(self.size)
        got = []
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            for _ in range(2):
                conn, _ = listener.accept()
                with conn:
                    kind = conn.recv(1)
                    if kind == b"g":
                        conn.sendall(data)
                        conn.shutdown(socket.SHUT_WR)
                    while True:
                        more = conn.recv(65536)
                        if not more:
                            break
                        got.append(more)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        self.vm.sh("ip link set eth0 up; ip addr add %s/24 dev eth0" %
                   self.address)
        self.vm.sh("printf g | nc %s %d >/tmp/data" % (self.host, port), 240)
        found = self.vm.sh("sha256sum </tmp/data").split()[0]
        if found != hashlib.sha256(data).hexdigest():
            raise Fail("other bytes came to the guest")
        self.vm.sh("(printf p; cat /tmp/data) | nc %s %d" % (
            self.host, port), 240)
        thread.join(30)
        if b"".join(got) != data:
            raise Fail("other bytes came from the guest")
        counted = self.counters()
        return "%d frames in, %d out" % (counted["rx_packets"],
                                         counted["tx_packets"])
