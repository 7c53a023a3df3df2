#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""modules.py [RELEASE...] : the kernel modules for FreeBSD 15 and 14 amd64,
cross-built on Linux into build/modules/freebsdRELEASE.

Which sources a module has is read from sys/modules/hyperv/*/Makefile, by which
FreeBSD builds it; compiler flags and the form of a .ko are as bsd.kmod.mk has
them for amd64.  Headers are those of tools/headers.sh.  What a finished module
holds is checked: its metadata, and that a stock kernel, or a module that it
says it depends on, has each symbol that it needs (tools/modules/kernel.syms).
"""

import glob
import os
import re
import struct
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TOP, "build", "modules")
MAKEFILES = os.path.join(TOP, "sys", "modules", "hyperv", "*", "Makefile")
SYMBOLS = os.path.join(TOP, "tools", "modules", "kernel.syms")

# __FreeBSD_version of the first release of each branch: a kernel of the same
# branch loads modules that were built for it or for an older one.
RELEASES = {"15": 1500068, "14": 1400097}

# The kernel's own warnings (sys/conf/kern.mk), each an error.
WARNINGS = """-Wall -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wundef -Wno-pointer-sign -Wmissing-include-dirs -Wswitch
    -Wno-unknown-pragmas -Wno-address-of-packed-member -Werror""".split()

# Of a kernel's options those that a module built outside of one may know
# (sys/conf/config.mk and amd64's DEFAULTS).
OPTIONS = {
    "opt_global.h": "#define SMP 1\n#define MAC 1\n#define VIMAGE 1\n",
    "opt_kbd.h": "#define KBD_INSTALL_CDEV 1\n",
}

FLAGS = """-O2 -pipe -std=gnu17 -g -fno-strict-aliasing -fno-common
    -ffreestanding -fwrapv -fstack-protector -fno-omit-frame-pointer
    -mno-omit-leaf-frame-pointer -mcmodel=kernel -mno-red-zone -mno-mmx
    -mno-sse -mno-avx -mno-aes -msoft-float -fno-addrsig
    -fno-asynchronous-unwind-tables -fno-pic
    -D_KERNEL -DKLD_MODULE -DHAVE_KERNEL_OPTION_HEADERS -nostdinc""".split()


class Broken(Exception):
    """What is wrong, for whoever started this."""


def run(argv, **kw):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, **kw)
    if p.returncode != 0:
        raise Broken("%s\n%s" % (" ".join(argv), p.stdout))
    return p.stdout


class Makefile:
    """What a module's Makefile says: name, sources, exported symbols."""

    def __init__(self, path):
        self.folder = os.path.dirname(path)
        with open(path, encoding="utf-8") as f:
            text = f.read().replace("\\\n", " ")
        values = {}
        for name, value in re.findall(r"^(\w+)\+?=[ \t]*(.*)$", text, re.M):
            values.setdefault(name, []).extend(value.split())
        self.name = values["KMOD"][0]
        self.sources = [s for s in values["SRCS"]
                        if s.endswith((".c", ".S"))]
        self.headers = [s for s in values["SRCS"] + values.get("DPSRCS", [])
                        if s.endswith((".h", ".inc"))]
        driver = os.path.join(TOP, "sys", "dev", "hyperv",
                              os.path.basename(self.folder))
        # Another folder than the driver's own is for what it shares.
        self.paths = [driver] + [
            os.path.join(TOP, "sys", "dev", "hyperv", path)
            for path in re.findall(r"\$\{HVSYS\}/dev/hyperv/(\w+)", text)]
        self.paths += [os.path.join(p, "amd64") for p in self.paths]

    def find(self, source):
        for folder in self.paths:
            path = os.path.join(folder, source)
            if os.path.exists(path):
                return path
        raise Broken("%s: no source %s" % (self.name, source))

    def exported(self):
        """The symbols that other modules may use."""
        path = os.path.join(self.folder, "exports")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [s for s in f.read().split("\n")
                    if s and not s.startswith("#")]


class Branch:
    """A FreeBSD release's headers, and the folder its modules go to."""

    def __init__(self, release):
        if release not in RELEASES:
            raise Broken("no headers of FreeBSD %s" % release)
        self.release = release
        self.out = os.path.join(OUT, "freebsd" + release)
        self.objects = os.path.join(self.out, "obj")
        os.makedirs(self.objects, exist_ok=True)
        headers = os.environ.get("FREEBSD_HEADERS") or subprocess.run(
            [os.path.join(TOP, "tools", "headers.sh"), release], check=True,
            text=True, stdout=subprocess.PIPE).stdout.strip()
        ck = run([os.path.join(TOP, "tools", "ckdir.sh"), self.out]).strip()
        self.compile = (
            [os.environ.get("CC", "clang-19"),
             "--target=x86_64-unknown-freebsd%s.0" % release,
             "-D__FreeBSD_version=%d" % RELEASES[release]] + FLAGS + WARNINGS +
            ["-include", os.path.join(self.objects, "opt_global.h"),
             "-I" + self.objects, "-I" + os.path.join(TOP, "sys"),
             "-I" + os.path.join(TOP, "tools", "kernel"),
             "-isystem", ck,
             "-isystem", os.path.join(headers, "x86_64-freebsd-none"),
             "-isystem", os.path.join(headers, "generic-freebsd"),
             "-ffile-prefix-map=%s=." % TOP])
        self.generated = set()

    def path(self, name):
        return os.path.join(self.objects, name)

    def generate(self, name):
        """A header that a FreeBSD build makes."""
        if name in self.generated:
            return
        self.generated.add(name)
        if name.endswith("_if.h"):
            self.kobj(name)
        elif name == "assym.inc":
            self.assym()
        else:
            with open(self.path(name), "w", encoding="utf-8") as f:
                f.write(OPTIONS.get(name, ""))

    def kobj(self, name):
        kpi = os.path.join(TOP, "kpi")
        stem = name[:-len(".h")]
        run([os.path.join(kpi, "tools", "makeobjops"),
             os.path.join(kpi, "kern", stem + ".m"), self.path(name),
             self.path(stem + ".c")])

    def assym(self):
        source = os.path.join(TOP, "tools", "modules", "assym.c")
        text = run(self.compile + ["-S", "-o", "-", source])
        found = re.findall(r'"@ASSYM (\w+) (-?\d+)"', text)
        if not found:
            raise Broken("assym.c: no offsets in what the compiler made")
        with open(self.path("assym.inc"), "w", encoding="utf-8") as f:
            for symbol, value in found:
                f.write("#define\t%s %s\n" % (symbol, value))

    def build(self, module):
        """The path of the module's .ko."""
        for name in ["opt_global.h"] + module.headers:
            self.generate(name)
        objects = []
        for source in module.sources:
            obj = self.path("%s.%s.o" % (module.name, source))
            argv = self.compile + ["-c", "-o", obj]
            if source.endswith(".S"):
                argv += ["-x", "assembler-with-cpp", "-DLOCORE"]
            out = run(argv + [module.find(source)])
            if out:
                raise Broken(out)
            objects.append(obj)
        ko = os.path.join(self.out, module.name + ".ko")
        run(["ld.lld", "-m", "elf_x86_64_fbsd", "-r", "--fatal-warnings",
             "-warn-common", "--build-id=sha1", "-o", ko] + objects)
        exports = module.exported()
        have = symbols(ko)[0]
        lost = [e for e in exports if e not in have]
        if lost:
            raise Broken("%s: exported, but not there: %s" % (
                module.name, " ".join(lost)))
        run(["llvm-objcopy", "--strip-debug"] +
            ["--localize-symbol=" + s for s in sorted(have)
             if s not in exports] + [ko])
        return ko


def symbols(ko):
    """Global symbols of an object: those it defines, those it needs."""
    defined, needed = set(), set()
    for line in run(["llvm-nm", "-g", ko]).split("\n"):
        words = line.split()
        # Linker sets name their bounds, which nothing refers to in a .ko.
        if words and not words[-1].startswith(("__start_set", "__stop_set")):
            (needed if words[-2] in "Uw" else defined).add(words[-1])
    return defined, needed


class Elf:
    """As much of a relocatable file as its metadata takes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        d = self.data
        shoff, = struct.unpack_from("<Q", d, 40)
        num, strndx = struct.unpack_from("<HH", d, 60)
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", d, shoff + 64 * i)
                         for i in range(num)]
        names = self.sections[strndx][4]
        self.names = [self.string(names + s[0]) for s in self.sections]

    def string(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()

    def symbol(self, index):
        symtab = next(s for s in self.sections if s[1] == 2)
        return struct.unpack_from("<IBBHQQ", self.data, symtab[4] + 24 * index)

    def pointers(self, section):
        """(section, offset) that each pointer in a section is relocated to."""
        result = {}
        rela = self.names.index(".rela" + self.names[section])
        _, _, _, _, at, size = self.sections[rela][:6]
        for i in range(0, size, 24):
            offset, info, addend = struct.unpack_from("<QQq", self.data,
                                                      at + i)
            sym = self.symbol(info >> 32)
            result[offset] = (sym[3], sym[4] + addend)
        return result

    def at(self, place, size):
        section, offset = place
        start = self.sections[section][4] + offset
        return self.data[start:start + size]


def metadata(ko):
    """The module's linker set of metadata: (type, name, version or None,
    (minimum, preferred, maximum) or None) for each entry."""
    elf = Elf(ko)
    if "set_modmetadata_set" not in elf.names:
        raise Broken("%s: no metadata" % ko)
    section = elf.names.index("set_modmetadata_set")
    entries = []
    pointers = elf.pointers(section)
    for _, place in sorted(pointers.items()):
        kind = struct.unpack("<ii", elf.at(place, 8))[1]
        inner = elf.pointers(place[0])
        data, cval = (inner.get(place[1] + 8), inner.get(place[1] + 16))
        name = elf.string(elf.sections[cval[0]][4] + cval[1]) if cval else ""
        version = depend = None
        if kind == 1:
            depend = struct.unpack("<iii", elf.at(data, 12))
        elif kind == 3:
            version, = struct.unpack("<i", elf.at(data, 4))
        entries.append((kind, name, version, depend))
    return entries


DEPEND, MODULE, VERSION, PNP = 1, 2, 3, 4

# The relocations that the kernel's linker knows (amd64's elf_machdep.c).
RELOCATIONS = {"R_X86_64_NONE", "R_X86_64_64", "R_X86_64_PC32",
               "R_X86_64_PLT32", "R_X86_64_32S"}


def kernel_symbols():
    with open(SYMBOLS, encoding="utf-8") as f:
        return {s for s in f.read().split("\n")
                if s and not s.startswith("#")}


def check(branch, module, ko, offers):
    """One line about a module that is as it should be."""
    entries = metadata(ko)
    depends = {n: d for k, n, _, d in entries if k == DEPEND}
    versions = [(n, v) for k, n, v, _ in entries if k == VERSION]
    low, _, high = depends.get("kernel", (0, 0, 0))
    if low != RELEASES[branch.release] or high // 100000 != low // 100000:
        raise Broken("%s: depends on kernels %d to %d" % (
            module.name, low, high))
    if (module.name, 1) not in versions:
        raise Broken("%s: MODULE_VERSION is missing" % module.name)
    have = kernel_symbols()
    for name in depends:
        have |= offers.get(name, set())
    odd = set(re.findall(r"\bR_X86_64_\w+", run(["llvm-readelf", "-r", ko])))
    odd -= RELOCATIONS
    if odd:
        raise Broken("%s: relocations that no kernel knows: %s" % (
            module.name, " ".join(sorted(odd))))
    defined, needed = symbols(ko)
    lost = sorted(needed - have)
    if lost:
        raise Broken("%s: no stock kernel and no module it depends on has: %s"
                     % (module.name, " ".join(lost)))
    offers[module.name] = defined
    pnp = sum(k == PNP for k, _, _, _ in entries)
    print("%s  FreeBSD %s  depends on %s%s  %d symbols" % (
        os.path.relpath(ko, TOP), branch.release,
        " ".join(sorted(depends)),
        "  %d plug-and-play table%s" % (pnp, "s" * (pnp > 1)) if pnp else "",
        len(needed)), flush=True)


def order(modules):
    """Those that others depend on first."""
    return sorted(modules, key=lambda m: (m.name != "hv_vmbus", m.name))


def main():
    modules = order([Makefile(p) for p in glob.glob(MAKEFILES)])
    for release in sys.argv[1:] or RELEASES:
        branch = Branch(release)
        offers = {}
        for module in modules:
            check(branch, module, branch.build(module), offers)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as why:
        print("modules: %s" % why, file=sys.stderr)
        sys.exit(1)
