# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Boots guests and checks them, two at a time.  This runs where /dev/kvm
works (rig.py sees to that).

A module of an area (linux_basic.py, ...) has a class for each guest that is
booted, derived from Boot, and in it a method for each check, called check_
and a name; the first line of its comment says what it shows.  They run in
the order they stand there.  A check that returns has passed, and may return a
string to be shown; one that raises Fail has failed."""

import importlib
import inspect
import os
import queue
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback

import guest
from guest import Fail

RESULTS = os.environ.get("RIG_RESULTS") or "."
EXITS = ("exits", "io_exits", "mmio_exits", "irq_exits", "halt_exits",
         "hypercalls", "insn_emulation")


class Skip(Exception):
    """Why a check cannot be made here."""


class Boot:
    """One guest and the checks made on it."""
    name = ""
    machine = guest.Hvhost
    cpus = 1
    memory = 256
    append = ""
    modules = ()                # loaded before the first check
    alone = False               # it measures time: nothing else may run
    only_asked = False          # takes long: made if a pattern names it
    order = 50                  # long ones first

    def __init__(self, work):
        self.work = work
        self.vm = None
        self.log = os.path.join(RESULTS, self.name + ".log")

    def path(self, name):
        return os.path.join(self.work, name)

    def options(self):
        """hvhost's options for this guest; may make the files they name."""
        return []

    def launch(self, name="vm", **change):
        """A guest of this kind, not waited for."""
        args = {"cpus": self.cpus, "memory": self.memory,
                "extra": self.append}
        args.update(change)
        if "options" not in args:
            args["options"] = self.options()
        return self.machine(self.work, name, self.log, **args)

    def start(self):
        self.vm = self.launch()
        self.vm.wait_up()
        if self.modules:
            self.vm.load(*self.modules)

    def check_poweroff(self):
        """power-off ends hvhost with status 0"""
        self.ends_well(self.vm.poweroff())

    def ends_well(self, status):
        if status != 0:
            raise Fail("exit status %d: %s" % (
                status, self.vm.stderr.strip()[-300:]))

    def stop(self):
        if self.vm:
            self.vm.exits()
            self.vm.kill()

    @classmethod
    def checks(cls):
        """The names of the checks; the kernel's complaints, the power-off, and
        what is only known after it (after_...), come last."""
        def of(prefix):
            seen = []
            for c in reversed(cls.__mro__):
                seen += [n for n in vars(c)
                         if n.startswith(prefix) and n not in seen]
            return [n for n in seen if getattr(cls, n)]
        first = of("check_")
        for last in ("check_quiet", "check_poweroff"):
            if last in first:
                first.remove(last)
                first.append(last)
        return first + of("after_")


class Report:
    """Prints a line for each check as it ends, and counts."""

    def __init__(self):
        self.lock = threading.Lock()
        # What a run before this one has reported (linux.py).
        self.known = dict(
            w.split("=") for w in os.environ.get("KNOWN", "").split())
        words = list(self.known.values())
        self.passed = words.count("ok")
        self.failed = words.count("FAIL")
        self.skipped = words.count("skip")
        self.exits = []

    def line(self, text):
        with self.lock:
            print(text, flush=True)

    def ok(self, name, text):
        with self.lock:
            self.passed += 1
            print("ok %-24s %s" % (name, text), flush=True)

    def fail(self, name, why):
        with self.lock:
            self.failed += 1
            why = " ".join(str(why).split())
            print("FAIL %s: %s" % (name, why), flush=True)

    def skip(self, name, why):
        with self.lock:
            self.skipped += 1
            print("skip %s: %s" % (name, why), flush=True)

    def summary(self):
        if self.exits:
            print("%-12s" % "guest" + "".join("%15s" % e for e in EXITS) +
                  "%9s" % "seconds")
        for name, seconds, counts in sorted(self.exits):
            print("%-12s" % name + "".join(
                "%15s" % counts.get(e, "-") for e in EXITS) +
                "%9.1f" % seconds)
        text = "%d passed, %d failed" % (self.passed, self.failed)
        if self.skipped:
            text += ", %d skipped" % self.skipped
        print(text, flush=True)


def shown(cls, method, extra):
    doc = inspect.getdoc(getattr(cls, method)) or method
    doc = doc.split("\n\n")[0].replace("\n", " ")
    return "%s: %s" % (doc, extra) if extra else doc


def lost(boot):
    """Did an emulated processor lose the guest?  QEMU's walk of nested page
    tables finds nothing now and then while another processor changes
    them."""
    return os.environ.get("RIG") == "nested" and boot.vm and re.search(
        "triple fault|KVM cannot go on", boot.vm.stderr)


def perform(cls, wanted, report):
    """Boots one guest and makes its checks; once more, for what is not
    reported by then, if the emulated machine lost it."""
    done = set(report.known)
    if not attempt(cls, wanted, report, done, False):
        report.line("again %s: the emulated machine lost the guest" %
                    cls.name)
        attempt(cls, wanted, report, done, True)


def places(boot):
    """Says where a guest that has stopped answering is."""
    if isinstance(boot.vm, guest.Hvhost) and boot.vm.process.poll() is None:
        try:
            boot.vm.ctl("pause")
            print("rig: %s:\n%s\n%s" % (boot.name, boot.vm.ctl("status"),
                                       boot.vm.ctl("stats")), flush=True)
            boot.vm.ctl("resume")
        except Fail as e:
            print("rig: %s: %s" % (boot.name, e), flush=True)


def attempt(cls, wanted, report, done, final):
    """False: not all is reported, since the guest was lost."""
    work = tempfile.mkdtemp(prefix=cls.name + ".")
    boot = cls(work)
    broken = skipped = None
    start = time.monotonic()
    try:
        boot.start()
    except Skip as e:
        skipped = e
    except Fail as e:
        broken = "the guest did not come up: %s" % e
        places(boot)
    except Exception as e:
        traceback.print_exc()
        broken = "the guest was not started: %r" % e
    whole = True
    for method in cls.checks():
        name = "%s.%s" % (cls.name, method.split("_", 1)[1])
        if not wanted(name):
            continue
        if skipped:
            report.skip(name, skipped)
            continue
        why = broken if not method.startswith("after_") else None
        extra = None
        try:
            if why is None:
                extra = getattr(boot, method)()
        except Skip as e:
            if name not in done:
                report.skip(name, e)
            done.add(name)
            continue
        except Fail as e:
            why = e
            if boot.vm and boot.vm.process.poll() is not None:
                broken = "hvhost had ended: " + boot.vm.ending()
        except Exception as e:
            traceback.print_exc()
            why = "%s: %s" % (type(e).__name__, e)
        if why is not None and not final and lost(boot):
            whole = False
            break
        if name in done:
            continue
        done.add(name)
        if why is None:
            report.ok(name, shown(cls, method, extra))
        else:
            report.fail(name, why)
    boot.stop()
    if whole and boot.vm and boot.vm.exits_last:
        report.exits.append((cls.name, time.monotonic() - start,
                             boot.vm.exits_last))
    shutil.rmtree(work, ignore_errors=True)
    return whole


def boots_of(areas):
    found = []
    for area in areas:
        module = importlib.import_module(area)
        found += [c for c in vars(module).values()
                  if inspect.isclass(c) and issubclass(c, Boot) and c.name
                  and c.__module__ == area]
    return found


def names(cls):
    """The full names of a guest's checks."""
    return ["%s.%s" % (cls.name, m.split("_", 1)[1]) for m in cls.checks()]


def matches(patterns, name):
    return not patterns or any(re.search(p, name) for p in patterns)


def has(areas, patterns):
    """Has one of the areas a check of such a name?"""
    return any(matches(patterns, n) for c in boots_of(areas)
               for n in names(c))


def run(areas, patterns=(), parallel=2):
    """Runs the checks of some areas, all or those whose name has one of the
    patterns in it; the number of failures.  One if there is no such check."""
    report = Report()
    if not has(areas, patterns):
        report.fail("suite.patterns", "no check has one of these in its "
                    "name: " + " ".join(patterns))

    def wanted(name):
        return matches(patterns, name)
    boots = [c for c in boots_of(areas)
             if (patterns or not c.only_asked) and
             any(wanted(n) and n not in report.known for n in names(c))]
    waiting = queue.Queue()
    for c in sorted((c for c in boots if not c.alone), key=lambda c: c.order):
        waiting.put(c)

    def worker():
        while True:
            try:
                perform(waiting.get_nowait(), wanted, report)
            except queue.Empty:
                return
    threads = [threading.Thread(target=worker) for _ in range(parallel)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in boots:
        if c.alone:
            perform(c, wanted, report)
    report.summary()
    return report.failed


def main():
    areas, patterns = sys.argv[1].split(","), sys.argv[2:]
    failed = run(areas, patterns)
    sys.stdout.flush()
    os._exit(1 if failed else 0)
