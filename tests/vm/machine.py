# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What hvhost promises whatever the guest: where its console goes, how it ends
and with what status.  The guest is echo.S, which is up at once."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import guest
from guest import Fail
from suite import Boot

ECHO = os.environ.get("ECHO_GUEST", "")


class Started:
    """hvhost with the echo guest, its console wherever the options say."""

    def __init__(self, *options, **popen):
        argv = [guest.HVHOST, "--kernel", ECHO, "--memory", "64M"]
        popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                 "stderr": subprocess.PIPE, **popen}
        self.process = subprocess.Popen(argv + list(options), bufsize=0,
                                        **popen)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.process.wait()

    def type(self, text):
        self.process.stdin.write(text)

    def ends(self, status, limit=20):
        """Waits for an end with that status; what came on stderr."""
        try:
            got = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Fail("hvhost does not end") from None
        said = self.process.stderr
        said = said.read().decode() if said else ""
        if got != status:
            raise Fail("exit status %d, not %d: %s" % (
                got, status, said.strip()[-200:]))
        return said


def read_until(fd, text, limit=20):
    """Reads until there is text in what was read, and returns that."""
    got = b""
    until = time.monotonic() + limit
    while text not in got:
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Fail("no %r within %d s, only %r" % (text, limit,
                                                       got[-100:]))
        data = os.read(fd, 4096)
        if not data:
            raise Fail("an end before %r, after %r" % (text, got[-100:]))
        got += data
    return got


class Machine(Boot):
    name = "machine"
    order = 100
    check_poweroff = None

    def start(self):
        """Each check starts its own."""

    def status(self, letter, status, *options):
        with Started(*options, stdin=subprocess.PIPE) as h:
            read_until(h.process.stdout.fileno(), b"up\r\n")
            h.type(letter)
            return h.ends(status)

    def check_status_0(self):
        """exit status 0: power-off, and a reset with --no-reboot"""
        self.status(b"O", 0)
        if "no restart after a reset" not in self.status(b"R", 0,
                                                         "--no-reboot"):
            raise Fail("it does not say why it ends")

    def check_status_1(self):
        """exit status 1 and one line that says why: what cannot be opened"""
        for options in (("--disk", "scsi,file=/nowhere"),
                        ("--initrd", "/nowhere"),
                        ("--trace", "/nowhere/trace"),
                        ("--stats", "/nowhere/stats"),
                        ("--control", "/nowhere/socket"),
                        ("--console", "file=/nowhere/console"),
                        ("--module", "/nowhere.ko")):
            with Started(*options) as h:
                said = h.ends(1)
            if said.count("\n") != 1 or not said.startswith("hvhost: "):
                raise Fail("%s: %r" % (" ".join(options), said))

    def check_status_2(self):
        """exit status 2 and one line that says why: a wrong option"""
        for options in (("--cpus", "65"), ("--memory", "lots"), ("--disk",),
                        ("--nonsense",), ("--vmbus-version", "6.0")):
            with Started(*options) as h:
                said = h.ends(2)
            if said.count("\n") != 1:
                raise Fail("%s: %r" % (" ".join(options), said))

    def check_status_3(self):
        """exit status 3: triple faults, one with --no-reboot, else three"""
        self.status(b"T", 3, "--no-reboot")
        with Started(stdin=subprocess.PIPE) as h:
            for _ in range(3):
                read_until(h.process.stdout.fileno(), b"up\r\n")
                h.type(b"T")
            h.ends(3)

    def check_reset(self):
        """a guest that resets starts again, as often as it likes"""
        with Started(stdin=subprocess.PIPE) as h:
            for _ in range(6):
                read_until(h.process.stdout.fileno(), b"up\r\n")
                h.type(b"R")
            read_until(h.process.stdout.fileno(), b"up\r\n")
            h.process.send_signal(signal.SIGHUP)
            h.ends(0)

    def check_pty(self):
        """--console pty: a terminal both ways, that may be left and come back
        to"""
        with Started("--console", "pty") as h:
            line = h.process.stderr.readline().decode()
            if "console on /dev/" not in line:
                raise Fail("it says " + repr(line))
            name = line.split()[-1]
            for word in (b"hello", b"again"):
                fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
                try:
                    os.write(fd, word)
                    read_until(fd, word)
                finally:
                    os.close(fd)
            fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
            os.write(fd, b"\x03-")
            read_until(fd, b"\x03-")
            os.write(fd, b"O")
            h.ends(0)
            os.close(fd)

    def check_file(self):
        """--console file=: the output is in the file; none: nowhere"""
        path = self.path("console.txt")
        with Started("--console", "file=" + path) as h:
            until = time.monotonic() + 20
            while not os.path.exists(path) or not os.path.getsize(path):
                if time.monotonic() > until:
                    raise Fail("nothing comes")
                time.sleep(0.05)
            h.process.terminate()
            h.ends(0)
            if h.process.stdout.read():
                raise Fail("there is output on stdout, too")
        with open(path, "rb") as f:
            if f.read() != b"up\r\n":
                raise Fail("there is something else in it")
        with Started("--console", "none") as h:
            time.sleep(0.5)
            h.process.terminate()
            h.ends(0)
            if h.process.stdout.read():
                raise Fail("none: there is output on stdout")

    def check_ctrl_c(self):
        """Ctrl-C ends the machine and gives the terminal back as it was"""
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        try:
            with Started(stdin=slave, stdout=slave, stderr=slave,
                         preexec_fn=own_terminal) as h:
                read_until(master, b"up")
                os.write(master, b"\rhello\x04-")
                read_until(master, b"\rhello\x04-")
                if termios.tcgetattr(slave) == before:
                    raise Fail("the terminal still edits lines")
                os.write(master, b"\x03")
                h.ends(0)
            read_until(master, b"Interrupt: the machine ends")
            if termios.tcgetattr(slave) != before:
                raise Fail("the terminal is not as it was")
        finally:
            os.close(master)
            os.close(slave)

    def check_stalled(self):
        """nobody reads the console: hvctl is answered, SIGTERM ends it"""
        control = self.path("stalled.sock")
        with Started("--control", control, stdin=subprocess.PIPE) as h:
            read_until(h.process.stdout.fileno(), b"up\r\n")
            h.type(b"F")
            time.sleep(1)
            for command in ("pause", "resume", "reset", "status"):
                p = subprocess.run([guest.HVCTL, "-s", control, command],
                                   stdout=subprocess.PIPE, timeout=20,
                                   stderr=subprocess.STDOUT, check=False)
                if p.returncode != 0:
                    raise Fail("hvctl %s: %s" % (command, p.stdout))
            h.type(b"F")
            time.sleep(0.5)
            h.process.terminate()
            h.ends(0)

    def hvctl(self, control, *args):
        p = subprocess.run([guest.HVCTL, "-s", control] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=20, text=True, check=False)
        return p.returncode, p.stdout

    def check_hvctl(self):
        """hvctl: status and stats as JSON, reset, quit; what it refuses"""
        control, stats = self.path("ctl.sock"), self.path("ctl.stats")
        with Started("--control", control, "--stats", stats,
                     "--no-reboot") as h:
            out = h.process.stdout.fileno()
            read_until(out, b"up\r\n")
            for command, word in (("status", "state"), ("stats", "vmm")):
                status, text = self.hvctl(control, "--json", command)
                if status != 0 or word not in json.loads(text):
                    raise Fail("%s: %s" % (command, text))
            for command in (("link", "down"), ("rescind", "99"),
                            ("disk", "remove", "7")):
                status, text = self.hvctl(control, *command)
                if status != 1 or text.count("\n") != 1:
                    raise Fail("%s: %r" % (" ".join(command), text))
            self.hvctl(control, "reset")
            read_until(out, b"up\r\n")
            self.hvctl(control, "quit")
            h.ends(0)
        if self.hvctl(control, "status")[0] != 3:
            raise Fail("status 3 does not tell that nobody is there")
        with open(stats, encoding="utf-8") as f:
            if json.load(f)["vmm"]["resets"] != 1:
                raise Fail("the reset is not counted")

    def check_watch(self):
        """hvctl stats --watch: in place on a terminal, plain in a pipe"""
        control = self.path("watch.sock")
        argv = [guest.HVCTL, "-s", control, "stats", "--watch", "1"]
        with Started("--control", control) as h:
            read_until(h.process.stdout.fileno(), b"up\r\n")
            master, slave = pty.openpty()
            for out, see, home in ((slave, master, True),
                                   (subprocess.PIPE, None, False)):
                with subprocess.Popen(argv, stdout=out) as p:
                    fd = p.stdout.fileno() if see is None else see
                    text = read_until(fd, b"exits.io")
                    text += read_until(fd, b"exits.io")
                    p.terminate()
                if (b"\x1b[H" in text) != home:
                    raise Fail("%s cursor movement %s" % (
                        ("no", "on a terminal") if home else
                        ("", "in a pipe")))
            os.close(master)
            os.close(slave)

    def check_reader_gone(self):
        """the reader of stdout goes: the guest runs on"""
        with Started(stdin=subprocess.PIPE) as h:
            read_until(h.process.stdout.fileno(), b"up\r\n")
            h.process.stdout.close()
            h.type(b"some text")
            time.sleep(0.5)
            h.type(b"O")
            h.ends(0)
