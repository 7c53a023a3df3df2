# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What `make vm-linux' and `make vm-freebsd' have in common: the suite's run
in the rig, and its end when the emulated machine breaks."""

import os
import shutil
import sys

import rig
from initramfs import Trouble

RELEASE = os.path.join(rig.TOP, "build/release")
HVHOST = os.path.join(RELEASE, "host/vmm/hvhost")
HVCTL = os.path.join(RELEASE, "host/control/hvctl")
ECHO_GUEST = os.path.join(RELEASE, "tests/vm/echo_guest")

# How often what is left is done anew.
AGAIN = 3

# What QEMU wants of its own to boot a kernel directly.
FIRMWARE = ("bios-256k.bin", "linuxboot_dma.bin", "multiboot_dma.bin",
            "kvmvapic.bin")
FIRMWARE_IN = ("/usr/share/seabios", "/usr/share/qemu")


def which(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise Trouble("there is no %s: run make setup" % name)
    return path


def qemu_files():
    found = []
    for name in FIRMWARE:
        for d in FIRMWARE_IN:
            if os.path.exists(os.path.join(d, name)):
                found.append(os.path.join(d, name))
                break
    return found


def job(module, call, results, python=(), args=(), paths=(rig.HERE,),
        programs=(), files=(), env=None, **more):
    """A job that calls a function of a module in the rig, with hvhost and
    hvctl.  paths: where modules are."""
    shutil.rmtree(results, ignore_errors=True)
    return rig.Job(
        [sys.executable, "-S", "-E", "-u", "-c", "import sys; sys.path[:0] = %r; "
         "import %s; %s.%s()" % (list(paths), module, module, call)] +
        list(args),
        programs=[p for p in list(programs) + [HVHOST, HVCTL]
                  if os.path.exists(p)],
        files=[f for f in list(files) + [ECHO_GUEST] if os.path.exists(f)],
        python=[module] + list(python), python_path=":".join(paths),
        results=results,
        env={"HVHOST": HVHOST, "HVCTL": HVCTL, "ECHO_GUEST": ECHO_GUEST,
             **(env or {})}, **more)


def run(*make_jobs):
    """Runs the suite, or parts of it one after the other: the first status but
    0.  Each make_job(out=...): the job, with what is given."""
    known = {}
    try:
        return next((s for s in [persist(m, known) for m in make_jobs] if s),
                    0)
    except Trouble as e:
        rig.say(str(e))
        return rig.BROKEN


def persist(make_job, known):
    status = once(make_job, known)
    # Emulated processors with SVM break down now and then, and the outer
    # kernel with them: what was not reported by then is done anew.
    for _ in range(AGAIN):
        if status not in (rig.BROKEN, rig.TIMEOUT) or \
                rig.choose()[0] != "nested":
            break
        rig.say("again, for what is left: the emulated machine broke")
        status = once(make_job, known)
    return status


def once(make_job, known):
    """One run of the suite; adds to known what each check came to."""
    def out(line):
        word, _, rest = line.partition(" ")
        if word in ("ok", "FAIL", "skip"):
            known[rest.split()[0].rstrip(":")] = word
        print(line, flush=True)
    j = make_job(out=out)
    j.env["KNOWN"] = " ".join("%s=%s" % k for k in known.items())
    return rig.run(j)
