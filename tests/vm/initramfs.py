# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Initramfs archives (cpio "newc") of programs, their libraries and kernel
modules, and the Debian kernel they go with."""

import glob
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys

KERNEL = "linux-image-cloud-amd64"


class Trouble(Exception):
    """What went wrong, as a sentence for the user."""


class Archive:
    """A cpio archive that is built in memory, path by path."""

    def __init__(self):
        self.entries = {}       # path without leading "/": (mode, data, rdev)

    def _parents(self, path):
        at = os.path.dirname(path)
        if at and at not in self.entries:
            self._parents(at)
            self.entries[at] = (stat.S_IFDIR | 0o755, b"", 0)

    def _put(self, path, mode, data=b"", rdev=0):
        path = path.lstrip("/")
        self._parents(path)
        self.entries[path] = (mode, data, rdev)

    def dir(self, path):
        self._put(path, stat.S_IFDIR | 0o755)

    def node(self, path, major, minor):
        self._put(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def link(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def text(self, path, data, mode=0o644):
        self._put(path, stat.S_IFREG | mode, data)

    def file(self, source, path=None):
        """A file, by default at the path it has here: the bytes under its
        real name, and a link if source is another one."""
        real = os.path.realpath(source)
        path = os.path.abspath(path or source)
        at = real if path == os.path.abspath(source) else path
        if at.lstrip("/") not in self.entries:
            with open(real, "rb") as f:
                data = f.read()
            mode = 0o755 if os.access(real, os.X_OK) else 0o644
            self._put(at, stat.S_IFREG | mode, data)
        if at != path and path.lstrip("/") not in self.entries:
            self.link(path, real)

    def tree(self, path):
        for at, _, names in os.walk(path):
            self.dir(at)
            for name in names:
                self.file(os.path.join(at, name))

    def program(self, source, path=None):
        """A program and the libraries ldd(1) finds for it."""
        self.file(source, path)
        for lib in libraries(source):
            self.file(lib)

    def write(self, path):
        with open(path + ".new", "wb") as f:
            for n, name in enumerate(sorted(self.entries), 1):
                mode, data, rdev = self.entries[name]
                major, minor = rdev or (0, 0)
                raw = name.encode() + b"\0"
                head = b"070701" + b"".join(b"%08X" % v for v in (
                    n, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor,
                    len(raw), 0)) + raw
                f.write(head + bytes(-len(head) % 4))
                f.write(data)
                f.write(bytes(-len(data) % 4))
            head = b"070701" + b"0" * 8 * 4 + b"%08X" % 1 + b"0" * 8 * 6 + \
                b"%08X" % 11 + b"0" * 8 + b"TRAILER!!!\0"
            f.write(head + bytes(-len(head) % 4))
        os.replace(path + ".new", path)


def libraries(program):
    """Paths of the shared libraries of a program, its loader among them."""
    p = subprocess.run(["ldd", program], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL, text=True, check=False)
    found = []
    for line in p.stdout.splitlines():
        m = re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line)
        if m:
            found.append(m.group(1))
        elif "not found" in line:
            raise Trouble("%s: %s" % (program, line.strip()))
    return found


class Kernel:
    """A Debian kernel package, unpacked."""

    def __init__(self, root):
        images = glob.glob(os.path.join(root, "boot/vmlinuz-*"))
        if not images:
            raise Trouble("%s: there is no boot/vmlinuz-* in it" % root)
        self.image = images[0]
        self.release = os.path.basename(images[0])[len("vmlinuz-"):]
        self.files = {}
        for top in ("lib", "usr/lib"):
            at = os.path.join(root, top, "modules", self.release)
            for f in glob.glob(at + "/kernel/**/*.ko*", recursive=True):
                self.files.setdefault(module_name(f), f)
        self.data = {}

    def module(self, name):
        """A module's bytes; None if the kernel has no such module."""
        if name not in self.data:
            path = self.files.get(name)
            if path is None:
                self.data[name] = None
                return None
            opener = lzma.open if path.endswith(".xz") else open
            with opener(path, "rb") as f:
                self.data[name] = f.read()
        return self.data[name]

    def depends(self, name):
        m = re.search(rb"\0depends=([^\0]*)\0", self.module(name))
        return [module_name(d) for d in m.group(1).decode().split(",") if d] \
            if m else []

    def closure(self, names):
        """These modules and what they depend on, in the order of loading.
        A name the kernel has no module for is taken to be built in."""
        order = []

        def visit(name):
            if name in order or self.module(name) is None:
                return
            for d in self.depends(name):
                visit(d)
            order.append(name)
        for name in names:
            visit(name.replace("-", "_"))
        return order

    def install(self, archive, names):
        """Puts modules, with what they need, where modprobe finds them."""
        at = "/lib/modules/" + self.release
        deps = []
        for name in self.closure(names):
            archive.text("%s/%s.ko" % (at, name), self.module(name))
            # All that it needs, and what is to be loaded first stands last.
            needs = self.closure([name])[-2::-1]
            deps.append("%s.ko:%s\n" % (name, "".join(
                " %s.ko" % n for n in needs)))
        archive.text(at + "/modules.dep", "".join(deps).encode())


def module_name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def busybox(archive):
    """busybox, which must be static, and all its names in /bin."""
    path = shutil.which("busybox")
    if path is None or libraries(path):
        raise Trouble("there is no static busybox: install busybox-static")
    archive.text("/bin/busybox", open(path, "rb").read(), 0o755)
    names = subprocess.run([path, "--list"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            archive.link("/bin/" + name, "busybox")
    archive.link("/sbin", "bin")


def skeleton(archive):
    """What every initramfs here has.  The console comes before devtmpfs."""
    for d in ("dev", "proc", "sys", "tmp", "run", "mnt", "etc", "root"):
        archive.dir("/" + d)
    archive.node("/dev/console", 5, 1)
    archive.node("/dev/null", 1, 3)
    busybox(archive)
    archive.text("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.text("/etc/group", b"root:x:0:\n")


# --- The kernel package ---

def newest(pattern):
    found = sorted(glob.glob(pattern), key=os.path.getmtime)
    return found[-1] if found else None


def fetch_package(work, say, folder, pattern, name_of):
    """A Debian package, unpacked below work as folder, downloaded once.  It is
    not installed; nothing outside work is written.  name_of(options of apt):
    its name, or None."""
    root = os.path.join(work, folder)
    if os.path.exists(os.path.join(root, "unpacked")):
        return root
    os.makedirs(work, exist_ok=True)
    log = open(os.path.join(work, folder + ".log"), "w", encoding="utf-8")
    # Lists of one's own, for a machine whose lists are absent or too old and
    # a user who may not renew them.
    lists = os.path.join(work, "apt")
    own = ["-o", "Dir::State::lists=" + lists, "-o", "Dir::Cache=" + lists,
           "-o", "APT::Sandbox::User="]
    for opts in ([], own):
        if opts:
            os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
            say("renewing the package lists, in " + lists)
            subprocess.run(["apt-get", "-q"] + opts + ["update"], stdout=log,
                           stderr=log, check=False)
        name = name_of(opts)
        if name is None:
            continue
        say("downloading the Debian package %s (not installed; to %s)" %
            (name, work))
        p = subprocess.run(["apt-get", "-q"] + opts + ["download", name],
                           cwd=work, stdout=log, stderr=log, check=False)
        if p.returncode == 0:
            break
    log.close()
    deb = newest(os.path.join(work, pattern))
    if deb is None:
        raise Trouble("the package for %s could not be downloaded; see %s" %
                      (folder, log.name))
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["dpkg", "-x", deb, root], check=True)
    open(os.path.join(root, "unpacked"), "w", encoding="utf-8").close()
    return root


def fetch_kernel(work, say):
    """Debian's kernel for clouds."""
    return Kernel(fetch_package(work, say, "kernel", "linux-image-*.deb",
                                real_package))


def fetch_daemons(work, say):
    """Debian's daemons for Hyper-V's integration services: their folder."""
    root = fetch_package(work, say, "hyperv-daemons", "hyperv-daemons_*.deb",
                         lambda opts: "hyperv-daemons")
    return os.path.join(root, "usr")


def real_package(opts):
    """The package that the one without a version depends on."""
    p = subprocess.run(["apt-cache"] + opts + ["depends", KERNEL],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, check=False)
    m = re.search(r"Depends: (linux-image-\d\S*)", p.stdout)
    return m.group(1) if m else None


# --- Python ---

LIST = """
import importlib, sys
for n in sys.argv[1:]:
    importlib.import_module(n)
for n, m in sorted(sys.modules.items()):
    o = getattr(getattr(m, "__spec__", None), "origin", None)
    if o and o.startswith("/"):
        print(o)
"""


def python(archive, path, names):
    """This very Python with the modules that these names import, compiled
    (compiling takes long on an emulated machine); path is searched first."""
    env = dict(os.environ, PYTHONPATH=path)
    p = subprocess.run([sys.executable, "-c", LIST] + names, env=env,
                       stdout=subprocess.PIPE, text=True, check=False)
    if p.returncode != 0:
        raise Trouble("the Python modules %s cannot be imported" % names)
    import importlib._bootstrap_external as ext
    version = "python%d.%d" % sys.version_info[:2]
    os_py = os.path.join(sys.base_prefix, "lib", version, "os.py")
    origins = set(p.stdout.split("\n")) | {os_py}
    origins.discard("")
    # What it needs before it can import anything of its own accord.
    lib = os.path.dirname(os_py)
    origins |= set(glob.glob(lib + "/encodings/__init__.py"))
    for n in ("aliases", "utf_8", "ascii", "latin_1"):
        origins.add(lib + "/encodings/%s.py" % n)
    for origin in sorted(origins):
        if not origin.endswith(".py"):
            archive.program(origin)
            continue
        with open(origin, "rb") as f:
            source = f.read()
        code = compile(source, origin, "exec")
        archive.text(origin + "c", bytes(ext._code_to_hash_pyc(
            code, bytes(8), False)))
    archive.dir(os.path.join(lib, "lib-dynload"))
    exe = os.path.realpath(sys.executable)
    archive.program(exe)
    archive.file(sys.executable)
    archive.link("/bin/python3", exe)
