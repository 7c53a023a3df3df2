# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A host that does not answer, answers late, twice, or nonsense: what the
guest's I/O comes to, and what of the driver's ways out was taken.

A request is given up after LIMIT seconds here.  What follows: the unit is
reset, then the bus, five seconds each for answers to come, then the channels
are closed and the controller connects anew (storvsc(4))."""

import errno
import json
import os
import subprocess
import time

from freebsd_guest import FreeBsd, MODULES, make_ext2
from guest import Fail
from images import MIB, pattern, put
from suite import Skip

LIMIT = 6                       # seconds a request has
RECOVERY = 300                  # far more than any recovery takes

READ, WRITE = "0x08", "0x0a"    # SCSI commands: da(4) takes the shortest
COMPLETE, EXECUTE, RESET_LUN, BEGIN = "1", "3", "4", "7"    # VSTOR operations
EILSEQ_BSD = 86                 # what `raw check' returns for other bytes
SEED = 7

COUNTERS = ("timeouts", "lun_resets", "bus_resets", "reconnects",
            "late_replies", "bad_packets")


class Faulty(FreeBsd):
    """Two disks on controller 0 and one on controller 1, all with the pattern
    SEED in their first MiB; the root needs none of them."""
    cpus = 2
    root = "md"
    size = 4 * MIB
    # Reading of a label would keep others from writing on the disk.
    kenv = {"kern.geom.label.%s.enable" % k: 0
            for k in ("disk_ident", "ext2fs")}

    def disks(self):
        self.images = [put(self.path("d%d.img" % n), size=self.size)
                       for n in range(3)]
        words = []
        for n, place in enumerate(("lun=0", "lun=1", "lun=0,controller=1")):
            words += ["--disk", "scsi,file=%s,%s" % (self.images[n], place)]
        return words

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers do not recover")
        super().start()
        self.vm.sh("sysctl set kern.cam.da.default_timeout %d" % LIMIT)
        self.vm.within("raw size /dev/da2", "three disks")
        for n in range(3):
            self.vm.sh("raw write /dev/da%d 0 1m %d" % (n, SEED))

    def hold(self, *disks):
        """Keeps disks open, so that a fault strikes what is read, not what
        da(4) asks at the first open: without a capacity it lets a disk go."""
        for n in disks:
            self.vm.start_job("raw hold /dev/da%d 10000000" % n)

    def fault(self, *words):
        self.vm.ctl("fault", "add", *words)

    def struck(self, point):
        return json.loads(self.vm.ctl("--json", "fault", "count",
                                      point))[point]

    def clear(self):
        self.vm.ctl("fault", "clear")

    def count(self, controller=0):
        text = self.vm.sh("\n".join(
            "sysctl get dev.storvsc.%d.%s" % (controller, n)
            for n in COUNTERS))
        return dict(zip(COUNTERS, map(int, text.split())))

    def counted_since(self, before):
        now = self.count()
        return {k: now[k] - before[k] for k in COUNTERS if now[k] != before[k]}

    def until(self, condition, what, seconds=RECOVERY):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Fail("%s: not within %d s" % (what, seconds))
            time.sleep(0.2)

    def struck_job(self, command, *fault):
        """Starts a command that a fault strikes; its number, when it has."""
        before = self.struck(fault[0])
        self.fault(*fault)
        job = self.vm.start_job(command)
        self.until(lambda: self.struck(fault[0]) > before,
                   "fault " + " ".join(fault), 60)
        return job

    def others(self):
        """Another controller's disk works while a request is out of time; in
        an emulated machine that may take longer than all recovery."""
        self.vm.sh("raw check /dev/da2 0 256k %d" % SEED)

    def good(self, job):
        status, text = self.vm.end_job(job, RECOVERY)
        self.clear()
        if status != 0:
            raise Fail(text or "error %d" % status)
        return text

    def recovers(self, want, *faults):
        """A read of da0 that is struck by the first fault, and its recovery
        by the others, succeeds in the end; want: what is counted."""
        before = self.count()
        for f in faults[1:]:
            self.fault(*f)
        job = self.struck_job("raw check /dev/da0 0 64k %d" % SEED,
                              *faults[0])
        self.others()
        self.good(job)
        self.vm.sh("raw check /dev/da1 0 64k %d" % SEED)
        found = self.counted_since(before)
        if found != want:
            raise Fail("counted: %s" % found)
        return ", ".join("%s %d" % c for c in found.items())


class Silent(Faulty):
    name = "faults"
    order = 4

    def start(self):
        super().start()
        self.hold(0, 1)

    def check_command(self):
        """the host loses a read: the unit is reset, the read repeated"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1},
            ("blk", "drop", "--key", READ, "--times", "1"))

    def check_packet(self):
        """it never sees one: resets do not help, it connects anew"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1, "bus_resets": 1,
             "reconnects": 1},
            ("pkt_in", "drop", "--key", EXECUTE, "--times", "1"))

    def check_completion(self):
        """the answer to one is lost: the same"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1, "bus_resets": 1,
             "reconnects": 1},
            ("pkt_out", "drop", "--key", COMPLETE, "--times", "1"))

    def check_late(self):
        """the answer comes after the unit's reset: that is early enough"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1},
            ("pkt_out", "delay", "--key", COMPLETE, "--times", "1",
             "--arg", "%ds" % (LIMIT + 3)))

    def check_reset_lost(self):
        """the unit's reset is lost as well: that of the bus helps"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1, "bus_resets": 1},
            ("blk", "drop", "--key", READ, "--times", "1"),
            ("pkt_in", "drop", "--key", RESET_LUN, "--times", "1"))

    def check_reset_late(self):
        """it is carried out late: the answer that nobody waits for counts"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1, "late_replies": 1},
            ("blk", "drop", "--key", READ, "--times", "1"),
            ("pkt_in", "delay", "--key", RESET_LUN, "--times", "1",
             "--arg", "7s"))

    def check_signal(self):
        """an event never reaches the guest, and the host sends no other while
        the answer lies there: it connects anew"""
        return self.recovers(
            {"timeouts": 1, "lun_resets": 1, "bus_resets": 1,
             "reconnects": 1},
            ("signal_out", "drop", "--times", "1"))

    def check_mute(self):
        """a host that hears nothing for a while: all requests of a loaded
        disk succeed in the end, with the right bytes"""
        before = self.count()
        self.vm.sh("raw write /dev/da1 0 4m %d" % SEED)
        job = self.struck_job("io /dev/da1 rw 4096 16 4000 rand %d" % SEED,
                              "pkt_in", "drop")
        self.until(lambda: self.count()["reconnects"] > before["reconnects"],
                   "new connection")
        self.clear()
        text = self.good(job)
        return text.split("\n")[-1]

    def check_asked(self):
        """a bus reset that CAM asks for amid I/O: it goes on"""
        before = self.count()
        bus = [l.split()[1] for l in self.vm.sh("cam list").split("\n")
               if l.startswith("bus ") and l.endswith(" storvsc 0")][0]
        job = self.vm.start_job("io /dev/da1 rw 4096 16 6000 rand %d" % SEED)
        for _ in range(3):
            self.vm.sh("cam reset " + bus)
        text = self.good(job)
        found = self.counted_since(before)
        if not 1 <= found.get("bus_resets", 0) <= 3:
            raise Fail("counted: %s" % found)
        return text.split("\n")[-1]

    def check_quiet(self):
        """the kernel complains of nothing but what was lost"""
        self.quiet(r"storvsc0: (reset of LUN \d|bus reset|initialization) "
                   r"failed|\(da[01]:")


class Nonsense(Faulty):
    name = "nonsense"
    order = 6

    def start(self):
        super().start()
        self.hold(0, 1)

    def check_twice(self):
        """each answer comes twice: the right bytes, nothing else"""
        self.fault("pkt_out", "dup", "--key", COMPLETE)
        self.vm.sh("raw check /dev/da0 0 1m %d 4k" % SEED, 180)
        text = self.vm.sh("io /dev/da1 write 4096 16 1000 seq 9", 180)
        self.clear()
        self.vm.sh("raw check /dev/da1 0 1m 9")
        return text.split("\n")[-1]

    def check_order(self):
        """answers and requests change places"""
        self.vm.sh("raw write /dev/da1 0 4m %d" % SEED)
        for point, key in (("pkt_out", COMPLETE), ("pkt_in", EXECUTE)):
            # Not the only request there is: nothing would bring that back.
            sent = self.vm.number("sysctl get dev.storvsc.0.requests")
            job = self.vm.start_job("io /dev/da1 rw 4096 16 2000 rand %d" %
                                    SEED)
            self.until(lambda: self.vm.number(
                "sysctl get dev.storvsc.0.requests") > sent + 50, "load")
            self.fault(point, "hold", "--key", key, "--times", "200")
            text = self.good(job)
        return text.split("\n")[-1]

    def check_fields(self):
        """answers with a field out of range, or cut short: an error, or the
        right bytes, and the next one is good"""
        faults = [("corrupt", "--offset", str(o), "--len", str(n), "--arg", v)
                  for o, n, v in (
                      (0, 4, "0"), (0, 4, "0xffffffff"), (0, 4, "2"),
                      (8, 4, "0xc0000001"), (14, 1, "0"), (14, 1, "0x3f"),
                      (14, 1, "0xff"), (15, 1, "0xff"), (21, 1, "0xff"),
                      (24, 4, "0xffffffff"), (24, 4, "0"), (24, 4, "513"),
                      (24, 4, "0x80000000"))]
        faults += [("truncate", "--arg", str(n)) for n in (0, 3, 12, 16, 27)]
        bad, ends = self.count()["bad_packets"], []
        for f in faults:
            # Retries would show the next answer only.
            self.vm.sh("sysctl set kern.cam.da.retry_count 0")
            self.fault("pkt_out", f[0], "--key", COMPLETE, "--times", "1",
                       *f[1:])
            status, text = self.vm.run("raw check /dev/da0 0 16k %d 16k" %
                                       SEED, RECOVERY)
            self.clear()
            self.vm.sh("sysctl set kern.cam.da.retry_count 4")
            if status == EILSEQ_BSD:
                raise Fail("%s: %s" % (" ".join(f), text))
            ends.append(status)
            self.vm.sh("raw check /dev/da0 0 16k %d 16k" % SEED)
        more = self.count()["bad_packets"] - bad
        if more == 0:
            raise Fail("none is counted as bad")
        return "%d errors of %d, %d counted" % (
            len([e for e in ends if e]), len(ends), more)

    def check_reported(self):
        """a sector that cannot be read: the guest reports it, and reads the
        next time"""
        self.fault("blk", "status", "--key", READ, "--arg", "EIO", "--times",
                   "1")
        status, _ = self.vm.run("raw check /dev/da0 0 4k %d" % SEED)
        if status != errno.EIO:
            raise Fail("the read ends with %d" % status)
        self.vm.sh("raw check /dev/da0 0 4k %d" % SEED)
        return self.vm.dmesg("MEDIUM ERROR")[-1]

    def check_retried(self):
        """a read that the host aborts is repeated"""
        self.fault("blk", "status", "--key", READ, "--arg", "ECANCELED",
                   "--times", "3")
        self.vm.sh("raw check /dev/da0 0 4k %d" % SEED, RECOVERY)
        self.clear()
        return self.vm.dmesg("Retrying command")[-1]

    def check_no_more(self):
        """and fails if that goes on; the disk stays"""
        self.fault("blk", "status", "--key", READ, "--arg", "ECANCELED")
        self.vm.sh("not raw check /dev/da0 0 4k %d" % SEED, RECOVERY)
        self.clear()
        self.vm.sh("raw check /dev/da0 0 4k %d\nraw check /dev/da1 0 4k %d\n"
                   "raw check /dev/da2 0 4k %d" % (SEED, SEED, SEED))
        return self.vm.dmesg("Retries exhausted")[-1]

    check_quiet = None


class Mounted(Faulty):
    """Trouble below a file system, and with the host's own disks."""
    name = "trouble"
    order = 7
    size = 24 * MIB
    tmpfs = False

    def disks(self):
        words = super().disks()
        empty = self.path("empty")
        os.makedirs(empty)
        self.fs = self.path("fs.img")
        make_ext2(self.fs, empty, 32 * MIB)
        self.gone = put(self.path("gone.img"), pattern(7, 8 * MIB))
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs",
                        small], check=True)
        self.tmpfs = True
        self.tight = put(os.path.join(small, "tight.img"), size=32 * MIB)
        for n, f in enumerate((self.fs, self.gone, self.tight)):
            words += ["--disk", "scsi,file=%s,lun=%d,controller=2" % (f, n)]
        return words

    def check_filesystem(self):
        """a file system filled while commands and answers get lost: all
        files have their bytes"""
        self.vm.within("raw size /dev/da5", "six disks")
        self.vm.sh("fs mount ext2fs /dev/da3 /mnt")
        before = self.count(2)
        job = self.struck_job("repeat 3 fs fill /mnt 24 200k 5", "blk",
                              "drop", "--key", WRITE, "--times", "1")
        self.until(lambda: self.count(2)["timeouts"] > before["timeouts"],
                   "time-out")
        self.fault("pkt_out", "dup", "--key", COMPLETE, "--times", "20")
        self.fault("pkt_in", "drop", "--key", EXECUTE, "--times", "2")
        text = self.good(job)
        self.vm.sh("fs umount /mnt\nfs mount ext2fs /dev/da3 /mnt ro\n"
                   "fs check /mnt 24 200k 5\nfs umount /mnt", RECOVERY)
        now = self.count(2)
        return "%s, %s" % (text.split("\n")[-1], ", ".join(
            "%s %d" % (k, now[k] - before[k]) for k in COUNTERS[:4]))

    def check_full(self):
        """no room below the image: the guest gets errors and goes on"""
        status, text = self.vm.run("raw write /dev/da5 0 16m 3 64k",
                                   RECOVERY)
        if status == 0:
            raise Fail("16 MiB went into 4 MiB")
        self.vm.sh("raw check /dev/da5 0 64k 3 64k\n"
                   "raw check /dev/da0 0 64k %d" % SEED)
        return text.split("\n")[-1]

    def check_truncated(self):
        """an image cut off: errors, and all others go on"""
        os.truncate(self.gone, 0)
        self.vm.sh("not raw sum /dev/da4 0 64k", RECOVERY)
        self.vm.sh("raw check /dev/da0 0 64k %d" % SEED)

    check_quiet = None

    def after_fsck(self):
        """the file system that was filled is clean"""
        p = subprocess.run(["e2fsck", "-fn", self.fs], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode != 0:
            raise Fail(p.stdout[-300:])

    def stop(self):
        super().stop()
        if self.tmpfs:
            subprocess.run(["umount", self.path("small")], check=False)


class GivenUp(Faulty):
    """A host that does not come back."""
    name = "givenup"
    order = 8

    @property
    def files(self):
        found = {}
        for m in self.modules if MODULES else ():
            with open(os.path.join(MODULES, m + ".ko"), "rb") as f:
                found["/boot/modules/%s.ko" % m] = f.read()
        return found

    def disks(self):
        words = super().disks()
        self.images.append(put(self.path("d3.img"), size=self.size))
        return words + ["--disk", "scsi,file=%s,lun=0,controller=2" %
                        self.images[3]]

    def check_given_up(self):
        """the host never answers again: I/O ends with an error, within two
        minutes, and the disk is gone"""
        start = self.vm.number("uptime")
        job = self.struck_job("io /dev/da0 rw 4096 8 100000 rand", "pkt_in",
                              "drop")
        status, text = self.vm.end_job(job, RECOVERY)
        took = (self.vm.number("uptime") - start) / 1e9
        if status == 0:
            raise Fail("it succeeds")
        line = self.vm.dmesg("given up")[-1]
        self.vm.within("not raw size /dev/da0", "end of da0")
        self.clear()
        if took > 120:
            raise Fail("%d s" % took)
        return "%s, after %d s" % (line, took)

    def check_rest(self):
        """the other controllers go on"""
        self.vm.sh("raw check /dev/da2 0 1m %d" % SEED)

    def check_loaded_again(self):
        """unloaded and loaded again, hv_storvsc has all of the controller"""
        self.vm.sh("kld unload hv_storvsc.ko", RECOVERY)
        self.vm.load("hv_storvsc")
        for lun, seed in ((0, SEED), (1, SEED)):
            self.until(lambda: self.vm.luns().get(("storvsc0", lun)),
                       "LUN %d" % lun)
            unit = "/dev/" + self.vm.luns()["storvsc0", lun]
            self.vm.within("raw size " + unit, unit)
            # What was under way there may have been written or not.
            self.vm.sh("raw write %s 0 1m %d\nraw check %s 0 1m %d" % (
                unit, seed, unit, seed))

    def check_rescinded(self):
        """a controller that does not answer is rescinded: I/O ends"""
        unit = "/dev/" + self.vm.luns()["storvsc2", 0]
        before = self.count(2)["timeouts"]
        job = self.struck_job("raw write %s 0 64k 1" % unit, "pkt_in",
                              "drop")
        self.until(lambda: self.count(2)["timeouts"] > before, "time-out")
        channel = [d.location for d in self.vm.devices("children", "vmbus0")
                   if d.name == "storvsc2"][0].split("=")[1]
        self.vm.ctl("rescind", channel)
        status, text = self.vm.end_job(job, RECOVERY)
        self.clear()
        if status == 0:
            raise Fail("it succeeds")
        self.vm.within("not dev tree storvsc2", "end of storvsc2")
        self.vm.sh("raw check /dev/da2 0 1m %d" % SEED)
        return text.split("\n")[-1]

    def check_loaded(self):
        """loaded while the host does not answer: an end, and a second try"""
        self.vm.sh("kld unload hv_storvsc.ko", RECOVERY)
        self.fault("pkt_in", "drop", "--key", BEGIN)
        start = self.vm.number("uptime")
        self.vm.sh("kld load /boot/modules/hv_storvsc.ko", RECOVERY)
        self.until(lambda: self.vm.run('dmesg "initialization failed"')[0]
                   == 0, "end of the attempt", 120)
        took = (self.vm.number("uptime") - start) / 1e9
        self.vm.sh("not raw size /dev/da0\nkld unload hv_storvsc.ko",
                   RECOVERY)
        self.clear()
        self.vm.sh("kld load /boot/modules/hv_storvsc.ko", RECOVERY)
        self.until(lambda: ("storvsc1", 0) in self.vm.luns(), "the disk")
        self.vm.within("raw size /dev/da0", "da0")
        return "%d s" % took

    check_quiet = None

    def check_poweroff(self):
        """power-off, though the host hears nothing of what is to be written"""
        self.vm.sh("raw write /dev/da0 0 64k 1")
        self.fault("pkt_in", "drop")
        job = self.vm.start_job("raw write /dev/da0 0 64k 2")
        self.vm.sh("sleep 500")
        self.ends_well(self.vm.poweroff(RECOVERY))
        return "with job %d waiting" % job
