# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A kernel that panics: its dump, checked on the disk's image, its farewell to
VMBus, and the kernel that comes after it."""

import json
import os
import subprocess

import freebsd_dump
import guest
from freebsd_guest import FreeBsd, KERNEL, MODULES, UP_LIMIT
from guest import Fail
from images import MIB, put
from suite import Skip

PANIC = "kdb_sysctl_panic"
# How long a dump and the next kernel's start may take, where processors are
# emulated.
AGAIN_LIMIT = 2 * UP_LIMIT


class Crash(FreeBsd):
    """A guest with a disk for dumps, and one with data."""
    dump_size = 320 * MIB
    dump_lun, data_lun = 1, 2
    data_size = 16 * MIB
    marker = 0
    # Ends of a guest that could not tell the host.
    silent = 0
    kenv = {"kern.panic_reboot_wait_time": "0",
            "debug.debugger_on_panic": "0"}

    def disks(self):
        self.dump_image = put(self.path("dump.img"), size=self.dump_size)
        self.data_image = put(self.path("data.img"), size=self.data_size)
        self.trace = self.path("trace")
        return ["--trace", self.trace + ",snap=64",
                "--disk", "scsi,file=%s,lun=%d" % (self.dump_image,
                                                   self.dump_lun),
                "--disk", "scsi,file=%s,lun=%d" % (self.data_image,
                                                   self.data_lun)]

    def wait_disks(self):
        """Waits for both, and notes which units they are this time: a memory
        disk is the root before there are others."""
        for _ in range(60):
            found = self.vm.luns()
            self.dump_unit = found.get(("storvsc0", self.dump_lun))
            self.data_unit = found.get(("storvsc0", self.data_lun))
            if self.dump_unit and self.data_unit:
                for unit in (self.dump_unit, self.data_unit):
                    self.vm.within("raw size /dev/" + unit, unit)
                return
            self.vm.sh("sleep 1000")
        raise Fail("units: %s" % found)

    def start(self):
        super().start()
        self.wait_disks()

    def mark(self):
        """Puts something into the kernel's memory that was never there
        before; only there the two stand side by side."""
        self.marker += 1
        name, value = "crash.marker", os.urandom(12).hex()
        self.vm.sh("kenv %s %s" % (name, value))
        return ("%s=%s" % (name, value)).encode()

    def panic(self, cpu=0, dump=True):
        """Has the kernel panic on a processor; the next one is up then."""
        self.vm.type("power panic %d\n. 0\n" % cpu)
        self.vm.expect("^panic: " + PANIC, what="sign of a panic")
        if dump:
            self.vm.expect("^Dump complete", AGAIN_LIMIT, "complete dump")
        self.vm.wait_up(AGAIN_LIMIT)
        self.wait_disks()

    def begin_load(self, jobs=8):
        """All processors write to a disk, each a part of its own, over and
        over."""
        part = self.data_size // 2 // jobs
        for n in range(jobs):
            self.vm.start_job("repeat 1000000 raw write /dev/%s %d %d 9 %s" % (
                self.data_unit, n * part, part, ("4k", "64k", "16k")[n % 3]))
        self.vm.sh("sleep 500")

    def verify_load(self, seed):
        """Writes to the other half of the disk and reads it back."""
        half = self.data_size // 2
        part = half // 4
        self.vm.sh("\n".join(
            ["job start raw write /dev/%s %d %d %d 64k" % (
                self.data_unit, half + n * part, part, seed)
             for n in range(4)] + ["job wait %d" % n for n in range(4)]), 180)
        self.recheck_load(seed)

    def recheck_load(self, seed):
        half = self.data_size // 2
        self.vm.sh("raw check /dev/%s %d %d %d 64k" % (
            self.data_unit, half, half, seed), 180)

    def verify_dump(self, marker, kind=freebsd_dump.Mini, panic=PANIC):
        """Checks all of a dump; a line of what it is."""
        dump = freebsd_dump.Dump(self.dump_image)
        if dump.header.panic != panic:
            raise Fail("the panic is said to be %r" % dump.header.panic)
        if not dump.header.kernel.split("#")[0].strip():
            raise Fail("no kernel's version")
        data = dump.whole()
        d = kind(data)
        if panic and d.messages is not None and \
                b"panic: " + panic.encode() not in d.messages:
            raise Fail("its message buffer does not have the panic")
        pages, other = freebsd_dump.check_kernel(d, KERNEL)
        if pages < 100 or other:
            raise Fail("%d of %d pages of the kernel's file are others: %s" % (
                len(other), pages, " ".join("%#x" % va for va in other[:9])))
        if not freebsd_dump.find(data, marker):
            raise Fail("the kernel environment's last word is not in it")
        if panic and not freebsd_dump.find(data, b"panic: " + panic.encode()):
            raise Fail("it does not have the panic's message")
        said = "%.1f MiB%s, all %d pages of the kernel's file" % (
            len(data) / MIB, " in %.1f" % (dump.header.length / MIB)
            if dump.header.compression else "", pages)
        del d
        data.release()
        dump.close()
        freebsd_dump.forget(self.dump_image)
        return said

    def lines(self):
        """Lines of the trace as (direction, channel, name, rest)."""
        p = subprocess.run([guest.HVCTL, "trace", self.trace], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           check=False)
        if p.returncode != 0 or p.stderr:
            raise Fail("hvctl trace: exit status %d: %s" % (p.returncode,
                                                            p.stderr))
        for l in p.stdout.split("\n"):
            w = l.split(None, 5)
            if len(w) > 4 and w[1] in ("in", "out"):
                yield w[1], w[2], w[4], w[5] if len(w) > 5 else ""

    def after_farewell(self):
        """each kernel's last word was UNLOAD, and it heard the answer"""
        self.ours()
        ends, last, writes, under_way = 0, None, 0, set()
        for way, chan, name, rest in self.lines():
            # What the host offers anew has nobody it could be told to yet.
            if last == "UNLOAD" and name != "UNLOAD_RESPONSE" or \
                    last == "UNLOAD_RESPONSE" and name != "CONTACT":
                raise Fail("after %s: %s %s %s" % (last, way, name, rest))
            if ", LUN %d, WRITE" % self.dump_lun in rest:
                request = chan, rest.split(",")[0]
                if name == "EXECUTE_SRB":
                    writes += 1
                    under_way.add(request)
                else:
                    under_way.discard(request)
            if name == "UNLOAD" and under_way:
                raise Fail("before the dump was written: %s" % under_way)
            ends += name == "UNLOAD_RESPONSE"
            last = name
        if last != "UNLOAD_RESPONSE" or not writes:
            raise Fail("the last was %s, after %d writes" % (last, writes))
        return "%d times, %d writes" % (ends, writes)

    def after_connected(self):
        """no reset found the guest still connected with VMBus"""
        self.ours()
        st = self.vm.stats()
        if st["vmbus"]["version"] is not None:
            raise Fail("it was switched off connected")
        if st["host"]["resets_connected"] != self.silent:
            raise Fail("%d resets of %d" % (st["host"]["resets_connected"],
                                            st["vmm"]["resets"]))
        return "%d resets" % st["vmm"]["resets"]


class Dumps(Crash):
    """A processor that is not the first panics, without load."""
    name = "dump"
    cpus = 4
    order = 8

    def check_panic(self):
        """a panic's dump is on the disk: headers, messages, kernel, memory"""
        self.vm.sh("dump on /dev/" + self.dump_unit)
        marker = self.mark()
        self.panic(self.cpus - 1)
        return self.verify_dump(marker)

    def check_again(self):
        """the next kernel finds all disks again"""
        self.wait_disks()
        self.verify_load(3)

    def check_reboot_dump(self):
        """a dump without a panic, on the way to an orderly reboot"""
        self.vm.sh("dump on /dev/" + self.dump_unit)
        marker = self.mark()
        self.vm.type("power dump\n. 0\n")
        self.vm.expect("^Dump complete", AGAIN_LIMIT, "complete dump")
        self.vm.wait_up(AGAIN_LIMIT)
        self.wait_disks()
        return self.verify_dump(marker, panic="")

    def check_too_small(self):
        """a disk too small for a dump: said, and rebooted all the same"""
        self.vm.sh("dump on /dev/" + self.data_unit)
        self.vm.type("power panic\n. 0\n")
        self.vm.expect("^Dump failed. Partition too small", AGAIN_LIMIT,
                       "failure of the dump")
        self.vm.wait_up(AGAIN_LIMIT)
        self.wait_disks()
        self.recheck_load(3)


class DumpRoot(Crash):
    """da0 takes the dump, while all processors write to it and to another."""
    name = "dumpda0"
    cpus = 4
    order = 8
    root = "md"
    dump_lun, data_lun = 0, 1

    def check_load(self):
        """a panic amid I/O on all processors: da0 has the dump"""
        self.vm.sh("dump on /dev/" + self.dump_unit)
        self.verify_load(5)
        marker = self.mark()
        self.begin_load(8)
        for n in range(4):
            self.vm.start_job("repeat 1000000 raw write /dev/%s %d 1m 7 4k" %
                              (self.dump_unit, n * MIB))
        self.vm.sh("sleep 500")
        self.panic(2)
        return self.verify_dump(marker)

    def check_data(self):
        """what was written before the panic is there after it"""
        self.recheck_load(5)

    def check_reads(self):
        """once more, amid reads of both disks"""
        self.vm.sh("dump on /dev/" + self.dump_unit)
        marker = self.mark()
        for n in range(12):
            self.vm.start_job("repeat 1000000 raw check /dev/%s 8m 8m 5 %s" %
                              (self.data_unit, ("4k", "64k", "1m")[n % 3]))
        self.vm.sh("sleep 1000")
        self.panic(1)
        return self.verify_dump(marker)


class DumpFull(Crash):
    """All memory, from one processor."""
    name = "dumpfull"
    order = 15
    kenv = dict(Crash.kenv, **{"debug.minidump": "0"})

    def check_full(self):
        """a dump of all memory (debug.minidump=0)"""
        self.vm.sh("dump on /dev/" + self.dump_unit)
        marker = self.mark()
        self.panic()
        return self.verify_dump(marker, freebsd_dump.Full)


class DumpGzip(Crash):
    """Compressed, where the kernel can."""
    name = "dumpgzip"
    cpus = 2
    order = 15
    kenv = dict(Crash.kenv, **{"kern.kerneldump_gzlevel": "1"})

    def start(self):
        super().start()
        status, text = self.vm.run("dump on /dev/%s gzip" % self.dump_unit)
        if status != 0:
            raise Skip("this kernel cannot: " + text)

    def check_gzip(self):
        """a compressed dump unfolds into what it should be"""
        marker = self.mark()
        self.panic(1)
        return self.verify_dump(marker)


class Panics(Crash):
    """Panics without a dump, and hosts that do not answer then."""
    name = "panic"
    cpus = 2
    order = 12

    def check_no_device(self):
        """without a dump device the kernel reboots as well"""
        self.panic(1, dump=False)

    def check_at_once(self):
        """right after the start, and amid I/O"""
        self.begin_load(4)
        self.panic(0, dump=False)

    def check_no_answer(self):
        """a host that does not answer UNLOAD: rebooted within the limit"""
        self.ours()
        self.vm.ctl("fault", "add", "msg_out", "drop", "--key", "17",
                    "--times", "1")
        self.panic(0, dump=False)

    def check_deaf(self):
        """a host that UNLOAD does not reach: rebooted all the same"""
        self.ours()
        self.vm.ctl("fault", "add", "msg_in", "drop", "--key", "16",
                    "--times", "1")
        self.silent += 1
        self.panic(1, dump=False)
        n = json.loads(self.vm.ctl("--json", "stats"))
        if n["host"]["resets_connected"] != 1:
            raise Fail("hvhost counts %d such resets" %
                       n["host"]["resets_connected"])

    # There are ends here that are meant to be no farewell.
    after_farewell = None


class Early(Crash):
    """Panics before there is anything but a kernel."""
    name = "early"
    cpus = 2
    order = 14
    check_quiet = check_poweroff = None

    def start(self):
        """Each check boots a guest of its own."""

    def options(self):
        return super().options() + ["--no-reboot"]

    def disks(self):
        """No other than da1 is there for dumps."""
        return super().disks()[:4]

    def ends(self, said):
        self.vm.expect("^panic: " + said, AGAIN_LIMIT, "sign of a panic")
        self.ends_well(self.vm.wait(AGAIN_LIMIT))
        if MODULES and self.vm.stats()["vmbus"]["version"] is not None:
            raise Fail("it was switched off connected")

    def check_no_init(self):
        """no first process: the panic's dump goes where dumpdev= says"""
        self.vm = self.launch(kenv={
            "init_path": "/none", "dumpdev": "da1",
            "crash.marker": "early"})
        self.ends("no init")
        return self.verify_dump(b"crash.marker=early", panic="no init")

    def check_no_root(self):
        """no root file system, and nobody at the console"""
        self.vm = self.launch(kenv={"vfs.root.mountfrom": "ufs:/dev/da9",
                                    "vfs.mountroot.timeout": "1"})
        self.vm.expect("mountroot>", AGAIN_LIMIT)
        self.vm.type("\n")
        self.ends("mountroot")

    after_farewell = after_connected = None


class PanicLoop(Crash):
    """Boot, load, panic, dump, reboot, over and over in one hvhost."""
    name = "panicloop"
    cpus = 4
    alone = True
    only_asked = True
    rounds = int(os.environ.get("FBSD_ROUNDS", "20"))

    def check_rounds(self):
        """rounds of boot, load, panic, dump, reboot without a hang"""
        pid = self.vm.pid
        for n in range(self.rounds):
            try:
                self.vm.sh("dump on /dev/" + self.dump_unit)
                marker = self.mark()
                if n > 0:
                    self.recheck_load(n - 1)
                self.verify_load(n)
                self.begin_load()
                self.panic(n % self.cpus)
                said = self.verify_dump(marker)
            except Fail as e:
                raise Fail("round %d: %s" % (n + 1, e)) from None
            print("   round %d: %s" % (n + 1, said), flush=True)
        if self.vm.pid != pid:
            raise Fail("another process")
        return "%d rounds" % self.rounds
