#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every test of the project, and one line that says how many passed.

Builds all variants and the modules for FreeBSD, runs the test programs of the
asan and tsan variants with kyua, then whole guests on hvhost (tests/vm: Linux,
and hostile ones for seconds) and beside them tools/lint.sh.  Prints progress,
each failure with its output and each skip with its reason.  Logs and results
stay in build/.
"""

import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
# A sanitizer's first report ends the test, by a code no test uses.
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:"
                    "detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}
# Guests that lack one enlightenment each boot for minutes; `make vm-linux' has
# them.
LINUX = "^(?!enl4|enl-no|enl-only)"

start = time.monotonic()


def say(text):
    print("[%3d s] %s" % (time.monotonic() - start, text), flush=True)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, text):
        self.failed += 1
        print("FAILED %s" % name)
        for line in text.splitlines():
            print("    " + line)
        sys.stdout.flush()

    def skip(self, name, why):
        self.skipped += 1
        print("skipped %s: %s" % (name, why), flush=True)


def run(cmd, **kw):
    return subprocess.run(cmd, cwd=TOP, text=True, errors="replace", **kw)


def build(variant, tally):
    say("building %s" % variant)
    p = run(["tools/build.sh", variant], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
    if p.returncode != 0:
        tally.fail("build %s" % variant, p.stdout)
        return False
    tally.passed += 1
    return True


def modules(tally):
    """The kernel modules and programs for FreeBSD, and what is checked of
    them when they are built."""
    say("modules for FreeBSD 15 and 14")
    for release in ("15", "14"):
        for cmd in (["tools/modules.py", release],
                    ["tools/userland.py", "--release", release, "--out",
                     "build/modules/freebsd" + release]):
            p = run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if p.returncode == 0:
                tally.passed += 1
            else:
                tally.fail(" ".join(cmd[:2]), p.stdout)


def fixed_addresses():
    """Sanitizers of this age do not bear every layout of a randomized
    address space."""
    cmd = ["setarch", "-R"]
    if shutil.which("setarch") and subprocess.run(
            cmd + ["true"], stderr=subprocess.DEVNULL).returncode == 0:
        return cmd
    return []


def count_results(variant, xml, tally):
    """Adds a variant's test cases; returns how many there were."""
    n = 0
    for case in ET.parse(xml).iter("testcase"):
        n += 1
        name = "%s %s:%s" % (variant, case.get("classname"), case.get("name"))
        bad = [e for e in case if e.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            text = bad[0].get("message") or ""
            for tag in ("system-out", "system-err"):
                text += "\n" + (case.findtext(tag) or "")
            tally.fail(name, trim(text))
        elif skip is not None:
            tally.skip(name, skip_reason(case))
        else:
            tally.passed += 1
    return n


def skip_reason(case):
    skip = case.find("skipped")
    text = skip.get("message") or skip.text or case.findtext("system-err") or ""
    for line in text.splitlines():
        if line.startswith("Skipped result details"):
            continue
        if line.strip(" -"):
            return line.strip()
    return "no reason given"


def trim(text):
    """kyua's account of the case and the bulk of a very long log are left
    out."""
    lines, metadata = [], False
    for s in text.splitlines():
        if s in ("Test case metadata", "Timing information"):
            metadata = True
        elif s.startswith("Original std"):
            metadata = False
        elif s.strip(" -") and s != "<EMPTY>" and not metadata:
            lines.append(s)
    if len(lines) > 120:
        lines = lines[:80] + ["[%d lines left out]" % (len(lines) - 110)] + \
            lines[-30:]
    return "\n".join(lines)


def kyua(variant, tally):
    say("testing %s" % variant)
    db = os.path.join(BUILD, variant + ".kyua.db")
    xml = os.path.join(BUILD, variant + ".tests.xml")
    for f in (db, xml):
        if os.path.exists(f):
            os.unlink(f)
    env = dict(os.environ)
    for name, value in SANITIZERS.items():
        env[name] = value + (":" + env[name] if env.get(name) else "")
    with open(os.path.join(BUILD, variant + ".tests.log"), "w") as log:
        run(fixed_addresses() + [
            "kyua", "--logfile=" + os.path.join(BUILD, "kyua.log"),
            "--config=kyua.conf", "test", "--results-file=" + db,
            "--kyuafile=" + os.path.join(BUILD, variant, "tests/Kyuafile")],
            stdout=log, stderr=subprocess.STDOUT, env=env)
    p = run(["kyua", "--logfile=" + os.path.join(BUILD, "kyua.log"),
             "report-junit", "--results-file=" + db, "--output=" + xml],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode != 0 or not os.path.exists(xml):
        with open(os.path.join(BUILD, variant + ".tests.log")) as log:
            tally.fail("%s kyua" % variant, log.read() + p.stdout)
        return
    if count_results(variant, xml, tally) == 0:
        tally.fail("%s kyua" % variant, "there was no test to run")


def guests(name, cmd, tally):
    """Whole guests on hvhost: the script prints `ok NAME ...', `skip NAME:
    why' or `FAIL NAME: why', and its own sum at the end."""
    say(name)
    p = run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen = 0
    for line in p.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word not in ("ok", "skip", "FAIL"):
            continue
        seen += 1
        what, _, why = rest.partition(": ")
        if word == "ok":
            tally.passed += 1
        elif word == "skip":
            tally.skip("%s %s" % (name, what), why)
        else:
            tally.fail("%s %s" % (name, what), why)
    # Cut off, or broken before its end.
    if seen == 0 or p.returncode > 1:
        tally.fail(name, trim(p.stdout))


def start_lint():
    """In what time the guests leave: they keep one processor busy."""
    log = os.path.join(BUILD, "lint.log")
    with open(log, "w") as f:
        return log, subprocess.Popen(["nice", "-n", "19", "tools/lint.sh"],
                                     cwd=TOP, stdout=f,
                                     stderr=subprocess.STDOUT)


def lint(log, process, tally):
    """tools/lint.sh prints `ok NAME`, `skip NAME: why` or `FAIL NAME`, the
    last behind its findings."""
    say("lint")
    process.wait()
    findings = []
    seen = 0
    with open(log, errors="replace") as f:
        text = f.read()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word not in ("ok", "skip", "FAIL"):
            findings.append(line)
            continue
        seen += 1
        if word == "ok":
            tally.passed += 1
        elif word == "skip":
            tally.skip("lint " + rest.partition(":")[0],
                       rest.partition(":")[2].strip())
        else:
            tally.fail("lint " + rest, "\n".join(findings))
        findings = []
    if seen == 0 or findings:
        tally.fail("lint", "\n".join(findings) or "no output")


def main():
    os.makedirs(BUILD, exist_ok=True)
    tally = Tally()
    built = {v: build(v, tally) for v in ("asan", "tsan", "release")}
    modules(tally)
    for variant in ("asan", "tsan"):
        if built[variant]:
            kyua(variant, tally)
    linting = start_lint()
    if built["release"]:
        guests("vm-linux", ["tests/vm/linux.py", LINUX], tally)
        tally.skip("vm-linux enl4, enl-no..., enl-only...",
                   "they take minutes; make vm-linux")
    if built["asan"] and built["release"]:
        guests("vm-noise", ["tests/vm/noise.py"], tally)
    lint(*linting, tally)
    say("done")
    line = "%d passed, %d failed" % (tally.passed, tally.failed)
    if tally.skipped:
        line += ", %d skipped" % tally.skipped
    print(line)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
