#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""userland.py --release 15 --out DIR : the programs below usr.sbin/ for FreeBSD
on amd64, linked on Linux, into DIR.

The C library is that of the ziglang wheel, headers are those of
tools/headers.sh.  What the wheel lacks is declared in tools/userland/, as far
as it is used: the linker sees a library of the right name with just these
functions in it, and the program finds FreeBSD's own when it runs.  What comes
out is looked at: it may want nothing but those libraries, and no warning that
FreeBSD's makefiles turn on at WARNS=6 is let through.
"""

import argparse
import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
HEADERS = os.path.join(TOP, "tools", "userland")

RELEASES = {"14": "x86_64-freebsd.14.0", "15": "x86_64-freebsd.15.0"}

# By what LIBADD says: name as the program asks for it, which is the same in
# FreeBSD 14 and 15, and the header here.
LIBRARIES = {"xo": ("libxo.so.0", "libxo/xo.h")}

# What the wheel has itself, by release.
OWN_LIBRARIES = {"util": {"14": "libutil.so.9", "15": "libutil.so.10"}}

# What FreeBSD's makefiles turn on at WARNS=6, for clang.
WARNINGS = """-Werror -Wsystem-headers -Wall -Wno-format-y2k -W
    -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wreturn-type -Wcast-qual -Wwrite-strings -Wswitch -Wshadow
    -Wunused-parameter -Wcast-align -Wchar-subscripts -Wnested-externs
    -Wold-style-definition -Wno-pointer-sign -Wdate-time
    -Wmissing-variable-declarations -Wthread-safety -Wno-empty-body
    -Wno-string-plus-int -Wno-unused-const-variable""".split()


def fail(text):
    sys.exit("userland: " + text)


def run(command):
    env = dict(os.environ,
               ZIG_GLOBAL_CACHE_DIR=os.path.join(BUILD, "zig"),
               ZIG_LOCAL_CACHE_DIR=os.path.join(BUILD, "zig"))
    done = subprocess.run(command, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        fail("%s\n%s" % (" ".join(command), done.stdout))
    return done.stdout


def compiler(release):
    python = os.path.join(TOP, ".venv", "bin", "python")
    if not os.path.exists(python):
        fail("there is no .venv: run make setup")
    cc = [python, "-m", "ziglang", "cc", "-target", RELEASES[release]]
    headers = os.environ.get("FREEBSD_HEADERS") or run(
        [os.path.join(TOP, "tools", "headers.sh"), release]).split("\n")[-2]
    for folder in ("x86_64-freebsd-none", "generic-freebsd"):
        cc += ["-isystem", os.path.join(headers, folder)]
    return cc


def makefile(folder):
    """The variables of a program's makefile, lines joined."""
    with open(os.path.join(folder, "Makefile"), encoding="utf-8") as f:
        text = f.read().replace("\\\n", " ")

    def folder_of(m):
        """${.CURDIR}, and as many above it as there are :H."""
        return os.path.normpath(os.path.join(
            folder, *[".."] * m.group(1).count(":H")))

    text = re.sub(r"\$\{\.CURDIR((?::H)*)\}", folder_of, text)
    var = {m.group(1): m.group(2).split() for m in
           re.finditer(r"^(\w+)[?+]?=[ \t]*(.*)$", text, re.M)}
    var[".PATH"] = [folder] + re.findall(r"^\.PATH:[ \t]*(.*)$", text, re.M)
    return var


def source(var, name):
    for folder in var[".PATH"]:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    fail("no source %s" % name)


def library(cc, name, folder):
    """A shared library to link against, made from its header."""
    soname, header = LIBRARIES[name]
    with open(os.path.join(HEADERS, header), encoding="utf-8") as f:
        functions = re.findall(r"^\w[\w *]*?[\t *](\w+)\(", f.read(), re.M)
    source = os.path.join(folder, "lib%s.c" % name)
    with open(source, "w", encoding="utf-8") as f:
        for function in functions:
            f.write("void %s(void);\nvoid\n%s(void)\n{\n}\n" %
                    (function, function))
    target = os.path.join(folder, "lib%s.so" % name)
    run(cc + ["-shared", "-nostdlib", "-fno-builtin", "-w", "-o", target,
              "-Wl,-soname," + soname, source])
    return target


def soname(name, release):
    if name in OWN_LIBRARIES:
        return OWN_LIBRARIES[name][release]
    return LIBRARIES[name][0]


def inspect(program, wanted_libraries):
    """What the loader of FreeBSD will be asked for."""
    dynamic = run(["llvm-readelf", "--dynamic", program])
    wanted = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    allowed = {"libc.so.7"} | wanted_libraries
    if wanted != allowed:
        fail("%s wants %s" % (program, " ".join(sorted(wanted))))
    if "interpreter: /libexec/ld-elf.so.1" not in \
            run(["llvm-readelf", "--program-headers", program]):
        fail("%s: not for FreeBSD's loader" % program)
    return sorted(wanted)


def build(folder, release, out):
    cc = compiler(release)
    var = makefile(folder)
    name, = var["PROG"]
    objects = os.path.join(BUILD, "userland", release, name)
    os.makedirs(objects, exist_ok=True)
    os.makedirs(out, exist_ok=True)
    libraries = var.get("LIBADD", [])
    stubs = ["-l" + lib if lib in OWN_LIBRARIES else
             library(cc, lib, objects) for lib in libraries]
    program = os.path.join(out, name)
    run(cc + WARNINGS + ["-O2", "-g", "-std=gnu17", "-I" + HEADERS] +
        var.get("CFLAGS", []) + ["-Wl,--no-undefined", "-Wl,--as-needed",
                         "-o", program] +
        [source(var, s) for s in var["SRCS"]] + stubs)
    return "%s: FreeBSD %s, wants %s" % (
        os.path.relpath(program, TOP), release,
        " ".join(inspect(program, {soname(lib, release)
                                   for lib in libraries})))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--release", choices=sorted(RELEASES), required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    for path in sorted(glob.glob(os.path.join(
            TOP, "usr.sbin", "hyperv", "*", "Makefile"))):
        print(build(os.path.dirname(path), args.release,
                    os.path.abspath(args.out)))


if __name__ == "__main__":
    main()
