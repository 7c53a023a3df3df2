# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Network adapters under Linux's own network driver."""

import json
import os
import re
import subprocess
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
        text = self.vm.ctl("stats")
        return {k: int(v) for k, v in
                re.findall(r"^net\.0\.(\w+) +(\d+)", text, re.M)}

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
        return rate, end

    def tcp(self, args):
        if self.server is None:
            self.server = Server(self.port, self.listen)
            time.sleep(1)
        rate, _ = self.iperf(args)
        return "%.0f Mbit/s" % (rate / 1e6)

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
        return self.tcp("-t 3")

    def check_tcp_in(self):
        """iperf3 to the guest, TCP"""
        return self.tcp("-t 3 -R")

    def check_tcp_streams(self):
        """iperf3 with 4 streams, both ways"""
        return self.tcp("-t 3 -P 4") + ", " + self.tcp("-t 3 -P 4 -R")

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

    def check_remove(self):
        """hot remove amid traffic: the guest lets go of the adapter"""
        self.vm.begin("ping -c 100 -i 0.05 -s 1400 %s >/dev/null; true" %
                      self.host)
        time.sleep(1)
        self.vm.ctl("net", "remove", "0")
        self.vm.finish(60)
        within(self.vm, "[ ! -e /sys/class/net/eth0 ]", "eth0's end")
        self.removed = True

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm, COMPLAINTS)
