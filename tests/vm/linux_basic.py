# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Processors, clocks, VMBus; how a guest starts and how it ends."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import time

import guest
from guest import Fail
from suite import Boot


def dmesg(vm, pattern):
    """The last line of the guest's log that matches an extended regular
    expression.  (The whole log takes its time on a serial line.)"""
    status, text = vm.run("dmesg | grep -E '%s' | tail -n 1" % pattern)
    if status != 0 or not text:
        raise Fail("the guest's log has no line with %r" % pattern)
    return re.sub(r"^\[[ .\d]*\] *", "", text)


def complaints(vm, pattern="hv_vmbus: .*(fail|unknown|error)", ignore="^$"):
    """Fails if the guest's kernel found something wrong."""
    # The emulated processor of the nested rig has this one, with any VMM.
    if os.environ.get("RIG") == "nested":
        ignore += "|fpu__init_system_xstate"
    text = vm.run("dmesg | grep -E 'WARNING:|BUG:|Oops|soft lockup|rcu.*stall"
                  "|%s' | grep -vE '%s'" % (pattern, ignore))[1]
    if text:
        raise Fail(text.split("\n")[0])


class Basic(Boot):
    name = "basic"
    cpus = 2
    modules = ("hv_vmbus",)
    order = 10

    def check_hypervisor(self):
        """the guest detects Hyper-V"""
        return dmesg(self.vm, r"Hypervisor detected: Microsoft Hyper-V$")

    def check_clocksource(self):
        """the reference TSC page is the guest's clock"""
        found = self.vm.sh("cat /sys/devices/system/clocksource/clocksource0/"
                           "current_clocksource")
        if found != "hyperv_clocksource_tsc_page":
            raise Fail("the clock source is " + found)
        return found

    def check_clockevent(self):
        """the synthetic timer ticks on every CPU"""
        found = re.findall("Device: (.*)", self.vm.sh(
            "grep '^Clock Event Device' /proc/timer_list"))
        if found.count("Hyper-V clockevent") != self.cpus:
            raise Fail("clock event devices: " + ", ".join(found))

    def check_clock_rate(self):
        """the guest's clock runs as fast as the host's"""
        def both():
            before = time.monotonic()
            inside = float(self.vm.sh("cat /proc/uptime").split()[0])
            return (before + time.monotonic()) / 2, inside
        host1, guest1 = both()
        time.sleep(3)
        host2, guest2 = both()
        ratio = (guest2 - guest1) / (host2 - host1)
        if not 0.9 < ratio < 1.1:
            raise Fail("%.3f of the host's rate" % ratio)
        return "%.3f" % ratio

    def check_date(self):
        """the real-time clock gave the guest the host's date"""
        off = int(self.vm.sh("date -u +%s")) - time.time()
        if abs(off) > 15:
            raise Fail("the guest's clock is off by %d s" % off)

    def check_memory(self):
        """the guest has the memory it was given"""
        kib = int(re.search(r"MemTotal: *(\d+)",
                            self.vm.sh("cat /proc/meminfo")).group(1))
        # The kernel keeps a part to itself.
        if not 0.7 < kib / (self.memory * 1024) <= 1:
            raise Fail("%d KiB" % kib)

    def check_cpus(self):
        """all CPUs came up"""
        online = self.vm.sh("cat /sys/devices/system/cpu/online")
        if online != "0-%d" % (self.cpus - 1):
            raise Fail("CPUs online: " + online)

    def check_vmbus(self):
        """the guest's own VMBus driver connects"""
        return dmesg(self.vm, r"Vmbus version:5\.[0-9]")

    def check_control(self):
        """hvctl status tells the guest's system and VMBus version"""
        text = self.vm.ctl("status")
        version = dmesg(self.vm, "Vmbus version:").split(":")[-1]
        for word in ("Linux", version, "running"):
            if word not in text:
                raise Fail("no %r in: %s" % (word, text))

    def check_quiet(self):
        """the guest's kernel complains of nothing"""
        complaints(self.vm)

    def after_stats(self):
        """--stats leaves the counters as JSON"""
        found = self.vm.stats()
        if not found.get("host") or "vmm" not in found:
            raise Fail("there is only: " + " ".join(found))


class Crash(Boot):
    name = "crash"
    modules = ("hv_vmbus",)

    def options(self):
        return ["--no-reboot"]

    def check_report(self):
        """a panic's parameters and text reach the host"""
        self.vm.exits()
        self.vm.type("echo farewell >/dev/kmsg; sleep 1\n"
                     "echo c >/proc/sysrq-trigger\n. 0\n")
        m = self.vm.expect_error(r"guest crash: .*")
        self.vm.expect_error(r"Kernel panic - not syncing: sysrq triggered")
        self.vm.expect_error(r"farewell")
        return m.group(0)

    def check_poweroff(self):
        """hvhost ends when the crashed guest resets (--no-reboot)"""
        self.vm.wait()


class Reboot(Boot):
    name = "reboot"
    cpus = 2
    modules = ("hv_vmbus",)

    def check_reboot(self):
        """a reboot starts the guest again"""
        pid = self.vm.pid
        self.vm.type("reboot -f\n. 0\n")
        self.vm.wait_up()
        self.vm.load("hv_vmbus")
        if self.vm.pid != pid:
            raise Fail("another process")
        return dmesg(self.vm, "Vmbus version:")

    def check_terminate(self):
        """SIGINT ends hvhost"""
        self.vm.interrupt(signal.SIGINT)
        status = self.vm.wait(20)
        if status < 0:
            raise Fail("killed by signal %d" % -status)
        return "exit status %d" % status

    check_poweroff = None


class NoReboot(Boot):
    name = "noreboot"
    memory = 4096

    def options(self):
        return ["--no-reboot"]

    def check_memory(self):
        """4 GiB of memory, a part of it above the address 4 GiB"""
        text = self.vm.sh("cat /proc/iomem; cat /proc/meminfo")
        kib = int(re.search(r"MemTotal: *(\d+)", text).group(1))
        if not re.search(r"^1[0-9a-f]{8}-1[0-9a-f]{8} : System RAM", text,
                         re.M) or kib < 3900 * 1024:
            raise Fail("%d KiB: %s" % (kib, text))
        return "%d MiB" % (kib // 1024)

    def check_poweroff(self):
        """--no-reboot: hvhost ends when the guest restarts"""
        self.vm.exits()
        self.vm.type("reboot -f\n. 0\n")
        status = self.vm.wait()
        if status < 0:
            raise Fail("killed by signal %d" % -status)
        return "exit status %d" % status


def tiny_kernel(path, code):
    """Writes a kernel for PVH: 32-bit code, where it begins."""
    entry = 0x100000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen", entry)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1,
                       entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 4096, entry, entry, len(code),
                       4096, 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 256, 0, 0, len(note), len(note), 4)
    with open(path, "wb") as f:
        f.write((head + load + notes).ljust(256, b"\0"))
        f.write(note.ljust(4096 - 256, b"\0"))
        f.write(code)


class Triple(Boot):
    name = "triple"

    def options(self):
        kernel = self.path("faulting")
        tiny_kernel(kernel, b"\x0f\x0b")        # no instruction
        return ["--kernel", kernel]

    def start(self):
        self.vm = self.launch()

    def check_lost(self):
        """a guest that only ever faults is given up, with status 3"""
        status = self.vm.wait(60)
        last = self.vm.stderr.strip().splitlines()[-1]
        if status != 3 or "no restart after a triple fault" not in last:
            raise Fail("exit status %d: %s" % (status, last))

    check_poweroff = None


class Stalled(Boot):
    name = "stalled"
    hvhost = None

    def start(self):
        kernel, control = self.path("printing"), self.path("stalled.sock")
        # Writes to the serial port and does nothing else.
        tiny_kernel(kernel, b"\x66\xba\xf8\x03\xb0x\xee\xeb\xfd")
        self.ctl = [guest.HVCTL, "-s", control]
        # Nobody reads what it prints.
        self.hvhost = subprocess.Popen(
            [guest.HVHOST, "--kernel", kernel, "--memory", "64M",
             "--control", control], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        # Each byte is an exit; a pipe of a page is full the sooner.
        fcntl.fcntl(self.hvhost.stdout, fcntl.F_SETPIPE_SZ, 4096)
        time.sleep(5)

    def hvctl(self, *args):
        return subprocess.run(self.ctl + list(args), timeout=30, check=False,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT)

    def check_control(self):
        """who does not read the console stops the guest, not hvhost"""
        if self.hvctl("status").returncode != 0:
            raise Fail("no status")
        p = self.hvctl("pause")
        until = time.monotonic() + 60
        while p.returncode == 0 and time.monotonic() < until:
            # It has not come to a stop: on with it.
            self.hvctl("resume")
            time.sleep(2)
            p = self.hvctl("pause")
        if p.returncode == 0 or "does nobody read" not in p.stdout:
            raise Fail("pause: " + p.stdout)
        if self.hvctl("reset").returncode != 0:
            raise Fail("no reset")
        time.sleep(5)
        if self.hvctl("status").returncode != 0:
            raise Fail("no status after a reset")

    def check_terminate(self):
        """and SIGTERM ends it"""
        self.hvhost.send_signal(signal.SIGTERM)
        status = self.hvhost.wait(20)
        if status != 0:
            raise Fail("exit status %d" % status)

    check_poweroff = None

    def stop(self):
        if self.hvhost is None:
            return
        if self.hvhost.poll() is None:
            self.hvhost.kill()
        self.hvhost.wait()
        self.hvhost.stdout.close()


class Idle(Boot):
    name = "idle"
    modules = ("hv_vmbus",)
    alone = True

    def span(self, seconds):
        """(processor time per second, exits per second)"""
        cpu, at = guest.cpu_seconds(self.vm.pid), time.monotonic()
        exits = self.vm.exits().get("exits", 0)
        time.sleep(seconds)
        took = time.monotonic() - at
        return ((guest.cpu_seconds(self.vm.pid) - cpu) / took,
                (self.vm.exits().get("exits", 0) - exits) / took)

    def check_cost(self):
        """an idle guest costs less than 1 % of a CPU"""
        time.sleep(2)
        # The least of three: what else the machine does only adds.
        used, exits = min(self.span(4) for _ in range(3))
        text = "%.2f %%, %.0f exits/s" % (100 * used, exits)
        if used >= 0.01:
            raise Fail(text)
        return text


class BootTime(Boot):
    name = "boottime"
    alone = True
    times = 2

    def start(self):
        """No guest outlives its measurement."""

    def once(self, vm):
        try:
            seconds = vm.wait_up()
            vm.poweroff()
            return seconds
        finally:
            vm.kill()

    def check_ratio(self):
        """from start to shell: at most 1.5 times QEMU's"""
        ours, theirs = [], []
        for _ in range(self.times):
            ours.append(self.once(self.launch(options=[])))
            theirs.append(self.once(guest.Qemu(
                os.path.join(os.path.dirname(self.log), "qemu.log"),
                cpus=self.cpus, memory=self.memory)))
        text = "%.2f s, QEMU %.2f s" % (min(ours), min(theirs))
        if min(ours) > 1.5 * min(theirs):
            raise Fail(text)
        return text

    check_poweroff = None
