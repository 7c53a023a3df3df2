# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A guest under hvhost or QEMU: started, talked to over its console, watched
and ended.  The guest's side of the talk is guest_init.sh."""

import glob
import json
import os
import re
import signal
import subprocess
import threading
import time

HVHOST = os.environ.get("HVHOST", "hvhost")
HVCTL = os.environ.get("HVCTL", "hvctl")
QEMU = "qemu-system-x86_64"
KERNEL = os.environ.get("GUEST_KERNEL", "")
INITRD = os.environ.get("GUEST_INITRD", "")
DEBUGFS = "/sys/kernel/debug/kvm"

# Everything is some tens of times slower where processors are emulated.
PATIENCE = 60


class Fail(Exception):
    """Why a check failed."""


def cpu_seconds(pid):
    """Processor time a process has used so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Vm:
    """A VMM process with the guest's console on its stdin and stdout."""
    power_off = "poweroff -f"   # what the guest's shell is told then

    def __init__(self, argv, log):
        self.log = open(log, "ab")
        self.log.write(("$ %s\n" % " ".join(argv)).encode())
        self.log.flush()
        self.started = time.monotonic()
        self.exits_last = {}
        self.text = ""
        self.seen = 0               # what expect() has passed
        self.closed = False
        self.seq = 0
        self.more = threading.Condition()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0)
        self.stderr = ""
        self.threads = [threading.Thread(target=t, daemon=True)
                        for t in (self._console, self._errors)]
        for t in self.threads:
            t.start()

    @property
    def pid(self):
        return self.process.pid

    def _console(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            self.log.write(data)
            self.log.flush()
            with self.more:
                self.text += data.decode(errors="replace").replace("\r", "")
                self.closed = not data
                self.more.notify_all()
            if not data:
                return

    def _errors(self):
        while True:
            data = os.read(self.process.stderr.fileno(), 65536)
            if not data:
                return
            self.log.write(data)
            self.log.flush()
            with self.more:
                self.stderr += data.decode(errors="replace")
                self.more.notify_all()

    def expect(self, pattern, limit=PATIENCE, what=None):
        """Waits for a match in what the console says from here on."""
        regex = re.compile(pattern, re.M)
        until = time.monotonic() + limit
        with self.more:
            while True:
                m = regex.search(self.text, self.seen)
                if m:
                    self.seen = m.end()
                    return m
                if self.closed:
                    raise Fail("the guest's console ended (%s) before %s" % (
                        self.ending(), what or repr(pattern)))
                left = until - time.monotonic()
                if left <= 0:
                    raise Fail("no %s within %d s; last line: %s" % (
                        what or repr(pattern), limit, self.last_line()))
                self.more.wait(left)

    def expect_error(self, pattern, limit=PATIENCE):
        """Waits for a match in what the VMM says on stderr."""
        until = time.monotonic() + limit
        with self.more:
            while True:
                m = re.search(pattern, self.stderr, re.M)
                if m:
                    return m
                left = until - time.monotonic()
                if left <= 0:
                    raise Fail("hvhost did not say %r within %d s" % (
                        pattern, limit))
                self.more.wait(left)

    def last_line(self):
        lines = [l for l in self.text.split("\n") if l.strip()]
        return repr(lines[-1]) if lines else "none"

    def ending(self):
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "the VMM still runs"
        why = [l for l in self.stderr.strip().split("\n") if l]
        return "exit status %d%s" % (status, ": " + why[-1] if why else "")

    def type(self, text):
        try:
            data = text.encode()
            while data:
                data = data[self.process.stdin.write(data):]
        except BrokenPipeError:
            raise Fail("the VMM is gone: " + self.ending()) from None

    def wait_up(self, limit=PATIENCE):
        """Waits for the guest's shell; seconds since the VMM's start."""
        self.expect(r"^@up .*\n", limit, "sign of the guest's shell")
        return time.monotonic() - self.started

    def begin(self, command):
        """Starts a command; finish() waits for it."""
        self.seq += 1
        self.type("%s\n. %d\n" % (command, self.seq))

    def finish(self, limit=PATIENCE):
        start = self.seen
        m = self.expect(r"^@rc %d (\d+)\n" % self.seq, limit,
                        "end of a command")
        return int(m.group(1)), self.text[start:m.start()].strip("\n")

    def run(self, command, limit=PATIENCE):
        """Runs a shell command in the guest: (exit status, output)."""
        self.begin(command)
        return self.finish(limit)

    def sh(self, command, limit=PATIENCE):
        """The output of a command that must succeed."""
        status, text = self.run(command, limit)
        if status != 0:
            raise Fail("in the guest: %s: exit status %d: %s" % (
                command.strip()[:80], status, text[-300:]))
        return text

    def load(self, *modules):
        self.sh("modprobe -a " + " ".join(modules))

    def exits(self):
        """KVM's counters for this guest so far; {} if they cannot be read."""
        if self.process.poll() is not None:
            return self.exits_last
        found = {}
        for path in glob.glob("%s/%d-*/*" % (DEBUGFS, self.pid)):
            try:
                with open(path, encoding="ascii") as f:
                    value = f.read().strip()
            except OSError:             # the folders of vCPUs, or it ends
                continue
            if value.isdigit():
                found[os.path.basename(path)] = int(value)
        self.exits_last = found or self.exits_last
        return self.exits_last

    def wait(self, limit=PATIENCE):
        """The VMM's exit status; it must end by itself."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Fail("the VMM did not end within %d s; the console's last "
                       "line: %s" % (limit, self.last_line())) from None
        for t in self.threads:
            t.join(5)
        return status

    def poweroff(self, limit=PATIENCE):
        self.exits()
        self.type(self.power_off + "\n. 0\n")
        return self.wait(limit)

    def kill(self):
        """Ends the VMM if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for t in self.threads:
            t.join(5)
        self.log.close()


def append(extra=""):
    """The guest kernel's command line."""
    return ("console=ttyS0 quiet panic=-1 " + extra).strip()


class Hvhost(Vm):
    """hvhost with its control socket and statistics below work."""

    def __init__(self, work, name, log, cpus=1, memory=256, extra="",
                 options=()):
        self.control = os.path.join(work, name + ".sock")
        self.stats_file = os.path.join(work, name + ".stats")
        for f in (self.control, self.stats_file):
            if os.path.exists(f):
                os.unlink(f)
        argv = [HVHOST] + self.booting(extra) + [
            "--cpus", str(cpus), "--memory", "%dM" % memory,
            "--console", "stdio", "--control", self.control,
            "--stats", self.stats_file]
        super().__init__(argv + list(options), log)

    def booting(self, extra):
        """hvhost's options for what to boot; extra: what a guest wants said
        to its kernel."""
        return ["--kernel", KERNEL, "--initrd", INITRD, "--append",
                append(extra)]

    def ctl(self, *args, limit=PATIENCE):
        """Runs hvctl; what it prints."""
        p = subprocess.run([HVCTL, "-s", self.control] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, text=True,
                           timeout=limit, check=False)
        if p.returncode != 0:
            raise Fail("hvctl %s: exit status %d: %s" % (
                " ".join(args), p.returncode, p.stdout.strip()))
        return p.stdout

    def refuses(self, *args):
        """What hvctl says to a command that must be refused."""
        p = subprocess.run([HVCTL, "-s", self.control] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, text=True,
                           timeout=PATIENCE, check=False)
        if p.returncode != 1:
            raise Fail("hvctl %s: exit status %d, not 1: %s" % (
                " ".join(args), p.returncode, p.stdout.strip()))
        return p.stdout.strip()

    def stats(self):
        """What --stats wrote, after the end."""
        try:
            with open(self.stats_file, encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError) as e:
            raise Fail("statistics: %s" % e) from None

    def interrupt(self, sig=signal.SIGTERM):
        self.exits()
        self.process.send_signal(sig)


class Qemu(Vm):
    """QEMU with the same guest, for comparison: as its users run it, with
    KVM's own paravirtualization."""

    def __init__(self, log, cpus=1, memory=256, extra="", options=()):
        argv = [QEMU, "-accel", "kvm", "-cpu", "host", "-smp", str(cpus),
                "-m", str(memory), "-nodefaults", "-display", "none",
                "-no-reboot", "-kernel", KERNEL, "-initrd", INITRD,
                "-append", append(extra), "-serial", "stdio",
                "-monitor", "none"]
        super().__init__(argv + list(options), log)
