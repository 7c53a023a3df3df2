# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The hostile guest's boots and what is looked at meanwhile and afterwards.
noise.py says by the environment which there are."""

import glob
import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading

import guest
import suite
from guest import Fail

MIB = 1 << 20
SECONDS = int(os.environ.get("NOISE_SECONDS", "5"))
SEEDS = os.environ.get("NOISE_SEEDS", "1").split(",")
MEMORY = 64
# hvhost's own, beyond the guest's memory; sanitizers take several times that.
OWN_MEMORY = 128
OWN_MEMORY_ASAN = 768
# Channels come and go with their descriptors: so many more than at first.
DESCRIPTORS = 64
STDERR_MAX = 256 << 10
LIMIT = SECONDS + 50

SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:"
                    "detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}
END = r"^noise: (\d+ operations), survived$|^noise: failed: .*$"
REPORT = r"ERROR: \w+Sanitizer|runtime error:|LeakSanitizer|Assertion"


def sectors(count):
    """What the guest's proof wants to read: sector number, place."""
    return b"".join(struct.pack("<II", n, at) for n in range(count)
                    for at in range(0, 512, 8))


def put(path, data=b"", size=None):
    with open(path, "wb") as f:
        f.write(data)
        if size is not None:
            f.truncate(size)
    return path


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Watch(threading.Thread):
    """Memory and descriptors of a process while it runs."""

    def __init__(self, vm):
        super().__init__(daemon=True)
        self.vm = vm
        self.memory = 0             # most, KiB
        self.first = None           # descriptors
        self.most = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.25):
            try:
                with open("/proc/%d/status" % self.vm.pid,
                          encoding="ascii") as f:
                    m = re.search(r"VmHWM:\s*(\d+)", f.read())
                fds = len(os.listdir("/proc/%d/fd" % self.vm.pid))
            except OSError:
                return
            if m:
                self.memory = max(self.memory, int(m.group(1)))
            if self.first is None and "noise: seed" in self.vm.text:
                self.first = fds
            self.most = max(self.most, fds)


class Echo(threading.Thread):
    """The other end of the adapter's wire: what comes goes back, and a frame
    is lost when there is no room for it."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.frames = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(1)
        self.start()

    def run(self):
        conn, _ = self.listener.accept()
        self.listener.close()
        while True:
            try:
                frame = conn.recv(1 << 17)
            except OSError:
                return
            if not frame:
                return
            self.frames += 1
            try:
                conn.send(frame, socket.MSG_DONTWAIT)
            except OSError:
                pass


class Asker(threading.Thread):
    """Somebody who gives the guest orders all the time, and has to be told
    what became of each, whatever the guest does."""
    orders = (
        {"cmd": "services"}, {"cmd": "heartbeat"},
        {"cmd": "time", "step": 1000000, "sync": True},
        {"cmd": "kvp", "action": "list", "pool": "auto"},
        {"cmd": "kvp", "action": "set", "pool": "external", "key": "k",
         "value": "v" * 500, "type": "string"},
        {"cmd": "kvp", "action": "get", "pool": "guest", "key": "k"},
        {"cmd": "kvp-ip", "adapter": 0},
        {"cmd": "vss", "action": "check"},
        {"cmd": "vss", "action": "snapshot", "hold": 1},
        {"cmd": "reboot"}, {"cmd": "type", "text": "some Text", "pause": 0},
        {"cmd": "key", "keys": ["ctrl-alt-del", "pause"]},
        {"cmd": "copy", "name": "n", "path": "/", "overwrite": True},
    )
    # What takes no guest, on emulated processors, with sanitizers.
    at_once = 20.0

    def __init__(self, path, data):
        super().__init__(daemon=True)
        self.path = path
        self.data = data                # what is copied
        self.asked = self.done = self.refused = 0
        self.slow = None
        self.wrong = {}                 # messages of the guest's, by service
        self.ended = threading.Event()
        self.start()

    def connect(self):
        while not self.ended.wait(0.1):
            conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                conn.connect(self.path)
                conn.settimeout(self.at_once)
                return conn
            except OSError:
                conn.close()
        return None

    def replies(self, conn):
        """Whether the command that is answered at once has been."""
        got = b""
        while not self.ended.is_set():
            try:
                more = conn.recv(1 << 16)
            except TimeoutError:
                self.slow = "no answer within %d s" % self.at_once
                return False
            if not more:
                return False
            *lines, got = (got + more).split(b"\n")
            for r in map(json.loads, lines):
                if "progress" in r:
                    continue
                for s in r.get("result", {}).get("services", ()):
                    self.wrong[s["name"]] = s["bad"] + s.get("stale", 0)
                self.done += r["ok"]
                self.refused += not r["ok"]
                if r["id"] == 0:
                    return True
        return False

    def round(self, conn, n):
        """Orders without waiting, then one that is answered at once."""
        for i in range(4):
            order = dict(self.orders[(n * 4 + i) % len(self.orders)],
                         id=1 + n * 4 + i)
            line = json.dumps(order).encode() + b"\n"
            if order["cmd"] == "copy":
                with open(self.data, "rb") as f:
                    socket.send_fds(conn, [line], [f.fileno()])
            else:
                conn.sendall(line)
            self.asked += 1
        conn.sendall(b'{"id": 0, "cmd": "status"}\n')
        return self.replies(conn)

    def run(self):
        conn, n = self.connect(), 0
        while conn is not None and not self.ended.is_set():
            try:
                if not self.round(conn, n):
                    conn.close()
                    conn = self.connect()
            except OSError:
                conn.close()
                conn = self.connect()
            n += 1
            self.ended.wait(0.02)


class Noise(suite.Boot):
    """One guest; classes() makes one of these for each."""
    program = ""
    seed = "1"
    sanitized = False
    cpus = 2
    check_poweroff = None

    def start(self):
        os.environ.update(SANITIZERS)
        self.proof = put(self.path("proof.img"), sectors(4096))
        self.bystander = put(self.path("bystander.img"), sectors(64))
        self.images = [put(self.path("scratch.img"), size=16 * MIB),
                       put(self.path("ide.img"), size=16 * MIB)]
        cd = put(self.path("cd.iso"), sectors(8192))
        self.kept = {f: sha256(f)
                     for f in (self.proof, self.bystander, cd)}
        wire = self.path("wire")
        self.echo = Echo(wire)
        self.vm = guest.Vm([
            self.program, "--kernel", os.environ["NOISE_GUEST"],
            "--append", "seed=%s seconds=%d verbose" % (self.seed, SECONDS),
            "--cpus", str(self.cpus), "--memory", "%dM" % MEMORY,
            "--no-reboot", "--sandbox", "off" if self.sanitized else "on",
            "--disk", "scsi,file=%s,lun=0" % self.images[0],
            "--disk", "scsi,file=%s,lun=1,ro" % self.proof,
            "--disk", "ide,file=" + self.images[1],
            "--cdrom", "ide,file=" + cd,
            "--net", "socket=%s,channels=4" % wire,
            "--control", self.path("control")], self.log)
        self.watch = Watch(self.vm)
        self.watch.start()
        self.asker = Asker(self.path("control"), self.bystander)

    def check_survives(self):
        """the guest finds a sane host when its time is over"""
        m = self.vm.expect(END, SECONDS + LIMIT, "the guest's last line")
        if m.group(1) is None:
            raise Fail(m.group(0))
        status = self.vm.wait(20)
        self.watch.ended.set()
        self.asker.ended.set()
        if status != 0:
            raise Fail("exit status %d: %s" % (
                status, self.vm.stderr.strip()[-300:]))
        return "%s, %d frames" % (m.group(1), self.echo.frames)

    def after_orders(self):
        """orders for the guest never kept the host from answering others"""
        a = self.asker
        if a.slow:
            raise Fail(a.slow)
        if a.asked < 20 or a.refused == 0:
            raise Fail("%d orders, %d refused" % (a.asked, a.refused))
        return "%d orders, %d done or told at once, %d refused or failed" % (
            a.asked, a.done, a.refused)

    def after_services(self):
        """services were reached by messages that make no sense"""
        reached = {k: n for k, n in self.asker.wrong.items() if n > 0}
        if not reached:
            raise Fail(str(self.asker.wrong))
        return ", ".join("%s %d" % i for i in sorted(reached.items()))

    def after_report(self):
        """no sanitizer and no assertion has anything to say"""
        m = re.search(REPORT, self.vm.stderr)
        if m:
            raise Fail(self.vm.stderr[m.start():m.start() + 2000])

    def after_stderr(self):
        """the guest cannot fill the host's log"""
        size = len(self.vm.stderr)
        if size > STDERR_MAX:
            raise Fail("%d bytes" % size)
        return "%d bytes" % size

    def after_memory(self):
        """hvhost's memory is the guest's and a bounded part of its own"""
        most = MEMORY + (OWN_MEMORY_ASAN if self.sanitized else OWN_MEMORY)
        if self.watch.memory == 0 or self.watch.memory > most << 10:
            raise Fail("%d KiB at most" % self.watch.memory)
        return "%d MiB at most" % (self.watch.memory >> 10)

    def after_descriptors(self):
        """descriptors are not left behind"""
        w = self.watch
        if w.first is None or w.most > w.first + DESCRIPTORS:
            raise Fail("%s at first, then up to %d" % (w.first, w.most))
        return "%d at first, then up to %d" % (w.first, w.most)

    def after_files(self):
        """only the writable disks' images have changed, none has grown"""
        for f, was in self.kept.items():
            if sha256(f) != was:
                raise Fail(os.path.basename(f) + " has changed")
        os.unlink(self.path("wire"))
        # A sandbox may forbid hvhost that.
        if os.path.exists(self.path("control")):
            os.unlink(self.path("control"))
        left = sorted(glob.glob(self.path("*")))
        if left != sorted(list(self.kept) + self.images):
            raise Fail("files: " + " ".join(left))
        for f in self.images:
            if os.path.getsize(f) != 16 * MIB:
                raise Fail("%s has %d bytes" % (f, os.path.getsize(f)))

    def stop(self):
        super().stop()
        for thread in ("watch", "asker"):
            if hasattr(self, thread):
                getattr(self, thread).ended.set()


def classes():
    kinds = [("asan", s, "NOISE_ASAN") for s in SEEDS]
    kinds.append(("release", SEEDS[0], "NOISE_RELEASE"))
    return {"%s%s" % (kind, seed): type("Noise", (Noise,), {
        "name": "%s%s" % (kind, seed), "seed": seed, "cpus": 2 + int(seed) % 3,
        "program": os.environ.get(program, ""),
        "sanitized": kind == "asan", "__module__": __name__})
            for kind, seed, program in kinds}


globals().update(classes())


def main():
    # One at a time: what they run out of is processors.
    failed = suite.run(["noise_boot"], sys.argv[1:], parallel=1)
    sys.stdout.flush()
    os._exit(1 if failed else 0)
