#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""checkstyle.py CHECK : one of the project's own rules, on every file that git
knows.  Prints what breaks it and exits 1.

text	blanks at the end of lines, newline at the end, 80 columns of C, licence
c	style(9) where clang-format cannot say it
size	length of files and functions
wire	wire layouts: only in *_reg.h, each with its size asserted
layers	includes point downwards; sys/ and host/ share nothing
modules	FreeBSD's makefiles and config(8) and Meson build the same sources;
	a module exports what its headers declare
leftovers	what was meant to be temporary, and paths of one machine
"""

import hashlib
import os
import re
import subprocess
import sys

FILE_MAX, FILE_HARD, FUNCTION_MAX = 800, 900, 120

found = []


def complain(path, line, text):
    found.append("%s:%d: %s" % (path, line, text))


def files(*suffixes):
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], check=True,
        text=True, stdout=subprocess.PIPE).stdout.split("\n")
    return sorted(n for n in names
                  if n and n.endswith(suffixes) and os.path.isfile(n))


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")


def code(path):
    """Lines without comments and with empty strings."""
    with open(path, encoding="utf-8") as f:
        text = f.read()

    def blank(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s[0] * 2
        return re.sub(r"[^\n]", " ", s)
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.S).split("\n")


def check_text():
    for path in files(".c", ".h", ".S", ".m", ".sh", ".py", ".md", ".build",
                      "Makefile", ".4", ".8", ".9", ".yml"):
        text = lines(path)
        if text[-1] != "":
            complain(path, len(text), "no newline at the end")
        for n, s in enumerate(text, 1):
            if s != s.rstrip():
                complain(path, n, "blanks at the end of the line")
            if path.endswith((".c", ".h", ".S")) and \
                    len(s.expandtabs(8)) > 80:
                complain(path, n, "more than 80 columns")
        if path.endswith((".c", ".h", ".S", ".m", ".py")):
            if os.path.basename(path).startswith("opt_"):
                continue
            if not any("SPDX-License-Identifier: BSD-2-Clause" in s
                       for s in text[:4]):
                complain(path, 1, "no licence line")


RULES = (
    (re.compile(r"^\t* {8,}\S|^ +\t+\S"), "indented with blanks"),
    (re.compile(r"\breturn\s+[^(;\s]|\breturn\("), "return (value);"),
    (re.compile(r"\bsizeof\s*[^(\s]"), "sizeof(x)"),
    (re.compile(r"^#define "), "#define and a tab"),
    (re.compile(r"(^|[^:])//"), "// comment"),
)


def check_c():
    for path in files(".c", ".h"):
        text = code(path)
        macro = False
        for n, s in enumerate(text, 1):
            for rule, name in RULES:
                if rule.search(s) and not macro:
                    complain(path, n, name)
            macro = s.endswith("\\")
        # Files that FreeBSD's build would generate have a line, no head.
        if os.path.basename(path).startswith("opt_"):
            continue
        head = "\n".join(lines(path)[:12])
        if not re.search(r"\*/\s*/\*", head):
            complain(path, 1, "does not begin with what it is")


def functions(path):
    """(line, name, length) of each function body."""
    start, name = 0, ""
    for n, s in enumerate(lines(path), 1):
        if s == "{":
            start = n
        elif s == "}" and start:
            yield start, name, n - start + 1
            start = 0
        elif not start:
            m = re.match(r"(\w+)\(", s)
            if m:
                name = m.group(1)
                if name in ("ATF_TC_BODY", "KTEST", "KTEST_PANICS"):
                    name = s


def check_size():
    for path in files(".c", ".h", ".S", ".sh", ".py"):
        length = len(lines(path)) - 1
        if length > FILE_HARD:
            complain(path, length, "%d lines, at most %d" %
                     (length, FILE_MAX))
        elif length > FILE_MAX:
            print("note: %s: %d lines asks to be two files" % (path, length))
        if path.endswith(".c"):
            for n, name, size in functions(path):
                if size > FUNCTION_MAX:
                    complain(path, n, "%s: %d lines, at most %d" %
                             (name, size, FUNCTION_MAX))


def check_wire():
    packed = re.compile(r"__packed\b|__attribute__\(\(.*packed")
    for path in files(".c", ".h"):
        reg = path.endswith("_reg.h")
        text = code(path)
        body = "\n".join(text)
        for n, s in enumerate(text, 1):
            if packed.search(s) and not reg:
                complain(path, n, "a wire layout outside *_reg.h")
            if not reg:
                continue
            m = re.match(r"(?:struct|union) (\w+) \{", s)
            if m and not re.search(
                    r"_Static_assert\(sizeof\((?:struct|union) %s\)\s*==" %
                    m.group(1), body):
                complain(path, n, "%s: its size is not asserted" % m.group(1))
            if re.match(r"\s+(enum \w+|int|long|short|size_t|bool|"
                        r"unsigned( \w+)?) +\w+[^(]*;", s):
                complain(path, n, "a wire member without a fixed width")


# Folder: what its files may not include, by the place of the header.
LAYERS = (
    ("sys/", ("host/", "kpi/", "run/", "tests/", "bench/")),
    ("host/", ("sys/", "kpi/", "run/", "tests/", "bench/")),
    ("usr.sbin/", ("sys/dev/", "host/", "kpi/", "run/", "tests/", "bench/")),
    ("kpi/", ("host/", "run/", "bench/", "sys/dev/hyperv/")),
    ("run/", ("sys/", "tests/", "bench/", "host/vmbus/", "host/storage/",
              "host/hypervisor/")),
    ("sys/dev/hyperv/include/", ("sys/dev/hyperv/vmbus/",
                                 "sys/dev/hyperv/storvsc/")),
    ("sys/dev/hyperv/vmbus/", ("sys/dev/hyperv/storvsc/",)),
    ("sys/dev/hyperv/storvsc/", ("sys/dev/hyperv/vmbus/",)),
    ("host/include/", ("host/hypervisor/", "host/vmbus/", "host/storage/",
                       "host/control/", "host/vmm/")),
    ("host/hypervisor/", ("host/storage/", "host/control/", "host/vmm/")),
    ("host/vmbus/", ("host/storage/", "host/control/", "host/vmm/")),
    ("host/storage/", ("host/control/", "host/vmm/")),
    ("host/control/", ("host/vmm/",)),
)
ROOTS = ("sys", "host", "host/include", "kpi", "kpi/include", "tests", "run",
         "")


def resolve(path, name, quoted):
    """The project's header that an include means, or None."""
    near = [os.path.dirname(path)] if quoted else []
    for root in near + list(ROOTS):
        there = os.path.normpath(os.path.join(root, name))
        if os.path.isfile(there):
            return there
    return None


def check_layers():
    include = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)')
    for path in files(".c", ".h", ".S"):
        for n, s in enumerate(lines(path), 1):
            m = include.match(s)
            header = m and resolve(path, m.group(2), m.group(1) == '"')
            if not header:
                continue
            for folder, forbidden in LAYERS:
                # What a driver's node says is for programs, too.
                if folder == "usr.sbin/" and header.endswith("_dev.h"):
                    continue
                if path.startswith(folder) and header.startswith(forbidden):
                    complain(path, n, "%s may not include %s" %
                             (folder, header))
            if path.endswith("_reg.h") and \
                    not header.endswith("_reg.h") and \
                    "/include/" not in header:
                complain(path, n, "a wire header may not include %s" % header)
    digests = {}
    for path in files(".c", ".h", ".S", ".m"):
        if path.startswith(("sys/", "host/")):
            with open(path, "rb") as f:
                digest = hashlib.sha256(f.read()).digest()
            other = digests.setdefault(digest, path)
            if other.split("/")[0] != path.split("/")[0]:
                complain(path, 1, "is the same file as %s" % other)


# Nor has it idle threads.
NOT_HOSTED = {"hyperv_quiesce.c"}


def check_sources(makefile, folder):
    """Those that makefile names, those that are there and those of Meson."""
    text = "\n".join(lines(makefile))
    if len(text.split("\n")) > 40:
        complain(makefile, 1, "too long for a makefile of one thing")
    listed = set(re.findall(r"\b(\w+\.[cS])\b", text))
    there = {os.path.basename(p) for p in files(".c", ".S")
             if p.startswith(folder)}
    # Of what several have in common it says which files.
    for path in re.findall(r"^\.PATH:\s*\$\{\.CURDIR:H\}/(\w+)$", text, re.M) + \
            re.findall(r"\$\{HVSYS\}/dev/hyperv/(\w+)", text):
        if folder.endswith("/" + path + "/"):
            continue
        listed -= {os.path.basename(p) for p in files(".c") if p.startswith(
            os.path.dirname(folder.rstrip("/")) + "/" + path + "/")}
    built = {os.path.basename(p) for p in re.findall(
        r"'([\w/]+\.[cS])'", "\n".join(lines(folder + "meson.build")))}
    # The hosted kernel has no interrupt vectors: assembly is not for it.
    hosted = {f for f in there if f.endswith(".c")} - NOT_HOSTED
    for f in sorted((listed ^ there) | (built ^ hosted)):
        complain(makefile, 1, "%s: not in all of makefile, meson.build "
                 "and %s" % (f, folder))


def check_modules():
    conf = "sys/conf/files.hyperv"
    static = re.findall(r"^\$\{HYPERV_SYS\}/(\S+)\s+optional hv_(\w+)",
                        "\n".join(lines(conf)), flags=re.M)
    for makefile in files("Makefile"):
        if re.match(r"usr\.sbin/hyperv/\w+/", makefile):
            check_sources(makefile, os.path.dirname(makefile) + "/")
        if not re.match(r"sys/modules/hyperv/\w+/", makefile):
            continue
        name = makefile.split("/")[3]
        folder = "sys/dev/hyperv/%s/" % name
        check_sources(makefile, folder)
        paths = {p for p in files(".c", ".S") if p.startswith(folder)}
        module = re.search(r"^KMOD=\s*hv_(\w+)", "\n".join(lines(makefile)),
                           re.M).group(1)
        kernel = {"sys/" + p for p, device in static if device == module}
        for p in sorted(kernel ^ paths):
            complain(conf, 1, "%s: not both listed and there" % p)
    check_exports()


def check_exports():
    """What a module shows is what the headers for class drivers declare."""
    path = "sys/modules/hyperv/vmbus/exports"
    shown = {s for s in lines(path) if s and not s.startswith("#")}
    declared = set()
    for h in files(".h"):
        if h.startswith("sys/dev/hyperv/include/"):
            declared |= set(re.findall(
                r"^(?!typedef)\w[\w *]*[\t *]+(\w+)\(", "\n".join(code(h)),
                flags=re.M))
    for name in sorted(shown ^ declared):
        complain(path, 1, "%s: not both exported and declared in "
                 "sys/dev/hyperv/include" % name)


def check_leftovers():
    # Composed, so that this file does not find itself.
    words = re.compile(r"\b(%s)\b" % "|".join(
        a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"),
                           ("not", "yet"), ("HA", "CK"))))
    # No source names a home or a workplace.
    paths = re.compile(r"(?<![\w.$}])/(%s)/" % "|".join(
        a + b for a, b in (("ho", "me"), ("ro", "ot"), ("wo", "rk"))))
    for path in files(".c", ".h", ".S", ".m", ".sh", ".py", ".md", ".build",
                      "Makefile", ".4", ".8", ".9", ".supp", "run"):
        text = lines(path)
        for n, s in enumerate(text, 1):
            for m in (words.search(s), paths.search(s)):
                if m:
                    complain(path, n, m.group(0))
            if re.match(r"\s*#\s*if\s+0\b", s):
                complain(path, n, "dead code")


def main():
    checks = {n[6:]: f for n, f in globals().items() if n.startswith("check_")}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    checks[sys.argv[1]]()
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
