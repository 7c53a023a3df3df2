#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Runs a command where /dev/kvm works: here, or in a machine of our own.

usage: rig.py [--program P]... [--file F]... [--results DIR] [--time S]
              [--memory MIB] -- COMMAND...

RIG=kvm: the command simply runs here.  RIG=nested: QEMU emulates a machine
that has SVM (slow, but without need of KVM), boots Debian's kernel with
kvm-amd in it, and the command runs there, with the given programs (and their
libraries) and files at the paths they have here.  Files left in DIR come
back.  Without RIG, hvhost --probe says whether /dev/kvm works here.

Exit status: the command's; 124 if it took longer than --time; 125 if the
rig itself failed.
"""

import argparse
import glob
import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

import initramfs
from initramfs import Trouble

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(TOP, "build", "vm")
HVHOST = os.path.join(TOP, "build/release/host/vmm/hvhost")
QEMU = "qemu-system-x86_64"

TIMEOUT = 124
BROKEN = 125
# What the outer machine's init says first, and how long that may take: an
# emulated kernel stops now and then before it gets there.
SIGN = "@rig"
START_LIMIT = 180
# QEMU forgets an interrupt now and then: at VMRUN it changes the processor's
# pending ones while another thread may do so as well (target/i386, seen with
# 7.2).  If that is the timer's, a processor's time stands still until any other
# comes.  So one comes that often, in seconds, and goes round all processors.
POKE_PERIOD = 1
# And if that does not help: one that lives takes some processor time in so many
# seconds, however idle it is.
STALL_LIMIT = 60

# What the outer machine needs besides what is built into its kernel.
OUTER_MODULES = ("virtio_pci", "virtio_console", "kvm_amd", "brd", "tun",
                 "vhost_net", "loop", "8021q")


def say(text):
    print("rig: " + text, flush=True)


def choose():
    """("kvm" or "nested", why)."""
    wanted = os.environ.get("RIG", "")
    if wanted in ("kvm", "nested"):
        return wanted, "RIG=%s" % wanted
    if wanted not in ("", "auto"):
        raise Trouble("RIG=%s: must be kvm, nested or auto" % wanted)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "nested", "/dev/kvm is not there, or not for this user"
    if not os.access(HVHOST, os.X_OK):
        return "nested", "there is no hvhost to try /dev/kvm with"
    try:
        p = subprocess.run([HVHOST, "--probe"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=30,
                           check=False)
    except subprocess.TimeoutExpired:
        return "nested", "hvhost --probe did not end within 30 s"
    if p.returncode == 0:
        return "kvm", "hvhost --probe: /dev/kvm runs guests"
    lines = p.stdout.strip().splitlines()
    return "nested", lines[-1] if lines else \
        "hvhost --probe: exit status %d" % p.returncode


class Job:
    """A command and what it needs."""

    def __init__(self, command, programs=(), files=(), trees=(), env=None,
                 results=None, python=(), python_path="", time_limit=300,
                 memory=4096, out=None, tcg="multi", cpus=2, qemu=(),
                 quiet_limit=None):
        self.command = list(command)
        self.programs = list(programs)
        self.files = list(files)
        self.trees = list(trees)
        self.env = dict(env or {})
        self.results = results and os.path.abspath(results)
        self.python = list(python)      # modules the command imports
        self.python_path = python_path
        self.time_limit = time_limit
        self.quiet_limit = quiet_limit  # seconds between two lines of its
        self.memory = memory
        # QEMU's threads for emulated processors: with "single" the nested
        # machine is half as fast, but loses no guest that exits all the time.
        self.tcg = tcg
        self.cpus = cpus                # of the outer machine
        self.qemu = list(qemu)          # more of its options
        self.out = out or (lambda line: print(line, flush=True))


def run(job):
    """Runs a job in the rig of choice and returns its exit status."""
    # A polite end of this program is one of what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kind, why = choose()
    say("%s (%s)" % ({"kvm": "KVM of this machine",
                      "nested": "nested, in an emulated machine"}[kind], why))
    if job.results:
        os.makedirs(job.results, exist_ok=True)
    return run_here(job) if kind == "kvm" else run_nested(job)


def emulated_ticks(pid):
    """What QEMU's threads but its first have used: emulated processors'."""
    ticks = 0
    for path in glob.glob("/proc/%d/task/*/stat" % pid):
        if path.split("/")[4] == str(pid):
            continue
        try:
            with open(path, encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks


def poke(process):
    """Interrupts the outer machine as long as it runs: a line that its init
    reads (outer_init.sh)."""
    try:
        while process.poll() is None:
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(POKE_PERIOD)
    except OSError:
        pass


def stands_still(process, job, heard):
    """Waits for QEMU's end, at most the job's time (TimeoutExpired).  What is
    wrong if it did not end: its emulated processor stands still, or nothing
    was heard of the job for long.  heard(): when it last was."""
    until = time.monotonic() + job.time_limit
    ticks, moved = -1, time.monotonic()
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise subprocess.TimeoutExpired(process.args, job.time_limit)
        try:
            process.wait(min(left, 5))
            return None
        except subprocess.TimeoutExpired:
            pass
        if job.quiet_limit and \
                time.monotonic() - heard() > job.quiet_limit:
            return "nothing was heard for %d s" % job.quiet_limit
        now = emulated_ticks(process.pid)
        if now != ticks:
            ticks, moved = now, time.monotonic()
        elif time.monotonic() - moved > STALL_LIMIT:
            return "the emulated machine stands still"


def follow(process, job, sign=None):
    """Passes on a process's output line by line; ends it after the time
    limit.  True: it ended by itself.  sign: an emulated machine, which has to
    begin with that line, soon, and must not stand still, or is ended as
    well."""
    begun = threading.Event()
    heard = [time.monotonic()]

    def passing():
        for raw in process.stdout:
            heard[0] = time.monotonic()
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line == sign:
                begun.set()
            else:
                job.out(line)
        begun.set()
    reader = threading.Thread(target=passing, daemon=True)
    reader.start()
    try:
        if sign and not begun.wait(START_LIMIT):
            say("stopped: nothing runs after %d s" % START_LIMIT)
            return True
        if not sign:
            process.wait(job.time_limit)
        else:
            wrong = stands_still(process, job, lambda: heard[0])
            if wrong:
                say("stopped: " + wrong)
        in_time = True
    except subprocess.TimeoutExpired:
        say("stopped: not done after the %d s allowed" % job.time_limit)
        in_time = False
    finally:
        end(process)
    reader.join(5)
    return in_time


def end(process):
    """Ends a process of ours and what it started (a session of its own)."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            break
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def run_here(job):
    env = dict(os.environ, RIG="kvm", RIG_RESULTS=job.results or "")
    env.update(job.env)
    p = subprocess.Popen(job.command, env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         start_new_session=True)
    if not follow(p, job):
        return TIMEOUT
    return p.returncode if p.returncode >= 0 else 128 - p.returncode


def assemble(job, kernel, path):
    """The outer machine's initramfs."""
    a = initramfs.Archive()
    initramfs.skeleton(a)
    kernel.install(a, OUTER_MODULES)
    with open(os.path.join(HERE, "outer_init.sh"), "rb") as f:
        a.text("/init", f.read(), 0o755)
    for p in job.programs:
        a.program(p)
    for f in job.files:
        a.file(f)
    for t in job.trees:
        a.tree(t)
    if job.python:
        initramfs.python(a, job.python_path, job.python)
    if job.results:
        a.dir(job.results)
    a.dir(os.getcwd())
    env = dict(job.env, RIG="nested", RIG_RESULTS=job.results or "",
               RIG_CWD=os.getcwd(), RIG_MODULES=" ".join(OUTER_MODULES))
    a.text("/rig/environment", "".join(
        "export %s=%s\n" % (k, shlex.quote(v))
        for k, v in env.items()).encode())
    a.text("/rig/command",
           ("exec " + shlex.join(job.command) + "\n").encode())
    a.write(path)


def run_nested(job):
    if shutil.which(QEMU) is None:
        raise Trouble("there is no %s: install qemu-system-x86" % QEMU)
    kernel = initramfs.fetch_kernel(WORK, say)
    os.makedirs(WORK, exist_ok=True)
    tmp = tempfile.mkdtemp(prefix="rig.", dir=WORK)
    try:
        return outer(job, kernel, tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def outer(job, kernel, tmp):
    initrd = os.path.join(tmp, "initrd")
    result = os.path.join(tmp, "result")
    console = os.path.join(WORK, "outer.log")
    assemble(job, kernel, initrd)
    cmd = [QEMU, "-accel", "tcg,thread=" + job.tcg, "-cpu", "max,+svm", "-smp",
           str(job.cpus), "-m", str(job.memory), "-nodefaults", "-display", "none",
           "-no-reboot", "-kernel", kernel.image, "-initrd", initrd,
           "-append", "console=ttyS0 quiet panic=-1 mitigations=off "
           "nowatchdog random.trust_cpu=on tsc=reliable",
           "-serial", "file:" + console, "-monitor", "none",
           "-device", "virtio-serial-pci",
           "-chardev", "file,id=out,path=/dev/fd/1",
           "-device", "virtserialport,chardev=out,name=out",
           "-chardev", "file,id=result,path=" + result,
           "-device", "virtserialport,chardev=result,name=result",
           "-chardev", "stdio,id=poke,signal=off",
           "-device", "virtserialport,chardev=poke,name=poke"] + job.qemu
    start = time.monotonic()
    p = subprocess.Popen(cmd, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         start_new_session=True)
    threading.Thread(target=poke, args=(p,), daemon=True).start()
    in_time = follow(p, job, SIGN)
    status = collect(result, job)
    if not in_time:
        return TIMEOUT
    if status is None:
        say("the outer machine ended without a result after %d s; its "
            "console:" % (time.monotonic() - start))
        print(tail(console))
        return BROKEN
    return status


def tail(path, lines=15):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join("    " + l for l in f.readlines()[-lines:])
    except OSError:
        return ""


def collect(path, job):
    """Unpacks what came back; the command's exit status or None."""
    status = None
    try:
        with open(path, "rb") as f:
            tar = tarfile.open(fileobj=io.BytesIO(f.read()), mode="r:")
    except (OSError, tarfile.TarError):
        return None
    try:
        for member in tar:
            if member.name == "rig/status":
                status = int(tar.extractfile(member).read())
            elif job.results and member.isfile() and \
                    ("/" + member.name).startswith(job.results + "/") and \
                    ".." not in member.name.split("/"):
                to = "/" + member.name
                os.makedirs(os.path.dirname(to), exist_ok=True)
                with open(to, "wb") as f:
                    shutil.copyfileobj(tar.extractfile(member), f)
    except (tarfile.TarError, ValueError):
        pass
    return status


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--program", action="append", default=[])
    p.add_argument("--file", action="append", default=[])
    p.add_argument("--tree", action="append", default=[])
    p.add_argument("--results")
    p.add_argument("--time", type=int, default=300)
    p.add_argument("--memory", type=int, default=4096)
    p.add_argument("command", nargs="+")
    a = p.parse_args()
    try:
        return run(Job(a.command, programs=a.program, files=a.file,
                       trees=a.tree, results=a.results, time_limit=a.time,
                       memory=a.memory))
    except Trouble as e:
        say(str(e))
        return BROKEN


if __name__ == "__main__":
    sys.exit(main())
