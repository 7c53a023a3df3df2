#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tidy.py BUILDDIR : clang-tidy on every source that BUILDDIR compiles, with
its very flags.  A file whose text, headers and rules are as when it last
passed is not looked at again."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys

build = os.path.abspath(sys.argv[1])
top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
cache = os.path.join(top, "build", "tidy")
digests = {}


def digest(path):
    if path not in digests:
        try:
            with open(path, "rb") as f:
                digests[path] = hashlib.sha256(f.read()).hexdigest()
        except OSError:
            digests[path] = "absent"
    return digests[path]


def dependencies():
    """Object to the files it was made from, as ninja knows them."""
    out = subprocess.run(["ninja", "-C", build, "-t", "deps"], text=True,
                         stdout=subprocess.PIPE, check=True).stdout
    deps, current = {}, None
    for line in out.split("\n"):
        if line.startswith("    "):
            current.append(os.path.normpath(os.path.join(build,
                                                         line.strip())))
        elif ": #deps" in line:
            current = deps.setdefault(line.split(": #deps")[0], [])
    return deps


def check(job):
    source, key = job
    passed = os.path.join(cache, key)
    if os.path.exists(passed):
        return ""
    # One file a process: several in one confuse the analyzer's va_list check.
    p = subprocess.run(["clang-tidy", "--quiet", "-p", build, source],
                       text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    if p.returncode == 0 and not re.search("(warning|error):", p.stdout):
        open(passed, "w").close()
        return ""
    return p.stdout.replace(build + "/../../", "").replace("../../", "")


def main():
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(build, "compile_commands.json")) as f:
        commands = json.load(f)
    deps = dependencies()
    rules = " ".join(digest(os.path.join(top, d, ".clang-tidy"))
                     for d in ("", "kpi", "tests"))
    jobs = {}
    for c in commands:
        source = os.path.normpath(os.path.join(c["directory"], c["file"]))
        if not source.endswith(".c") or source in jobs or \
                source.startswith(build):
            continue
        needs = deps.get(c["output"], [source])
        key = hashlib.sha256(" ".join(
            [rules, source, c["command"].split(" -o ")[0]] +
            [digest(d) for d in needs]).encode()).hexdigest()
        jobs[source] = key
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(
            max(2, os.cpu_count())) as pool:
        for out in pool.map(check, sorted(jobs.items())):
            # A header's finding comes with each file that includes it.
            for part in re.findall(
                    r"(?m)^\S+:\d+:\d+: (?:warning|error):.*\n.*$", out):
                if part not in seen:
                    seen.add(part)
                    print(part)
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())
