# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The keyboard on a real kernel: what hvctl types is what is read from
kbdmux(4), or from the keyboard's own node."""

import json
import re

from freebsd_guest import FreeBsd, MODULES, module_files
from guest import Fail
from suite import Skip

MODULE = "hv_keyboard"
GUID = "f912ad6d-2b17-48ea-bd65-f927a61c7684"
MUX, OWN = "/dev/kbdmux0", "/dev/hvkbd0"
SECONDS = 60
TEXT = "ufs:/dev/da0p2 rw,noatime"
LONG = "".join(chr(c) for c in range(32, 127)) * 4


class Keyboard(FreeBsd):
    name = "keyboard"
    cpus = 2
    order = 21
    modules = ("hv_vmbus", "hv_storvsc", MODULE)

    @property
    def files(self):
        return module_files(MODULE)

    def start(self):
        if not MODULES:
            raise Skip("the kernel's own drivers are tested")
        super().start()

    def host(self):
        """The keyboard as hvhost has it."""
        for s in json.loads(self.vm.ctl("--json", "services"))["services"]:
            if s["name"] == "keyboard":
                return s
        raise Fail("hvhost has no keyboard")

    def lights(self, want):
        for _ in range(100):
            if self.host()["lights"] == want:
                return
            self.vm.sh("sleep 100")
        raise Fail("lights are %d, not %d" % (self.host()["lights"], want))

    def reading(self, *words):
        """A job that has the keyboard by now."""
        job = self.vm.start_job("kbd read " + " ".join(map(str, words)))
        for _ in range(100):
            if "open" in self.vm.sh("job show %d" % job):
                return job
            self.vm.sh("sleep 100")
        raise Fail("%s: %s" % (words[0], self.vm.sh("job show %d" % job)))

    def read(self, device, want, *typed, mode=""):
        """Types, and fails unless these bytes are read."""
        job = self.reading(device, len(want), SECONDS, mode)
        for words in typed:
            self.vm.ctl(*words)
        status, text = self.vm.end_job(job, 2 * SECONDS)
        found = re.findall(r"^([0-9a-f]+)$", text, re.M)
        if status != 0 or found != [want.hex()]:
            raise Fail("%s read: %d %s, typed %s" % (device, status,
                                                     text[-400:], want.hex()))

    def check_device(self):
        """hvkbd0 is attached, and the host knows"""
        d = [d for d in self.vm.devices("children", "vmbus0")
             if d.driver == "hvkbd"]
        if len(d) != 1 or d[0].state != "attached" or \
                GUID not in d[0].pnpinfo:
            raise Fail(str(d))
        state = self.host()
        if state["state"] != "ready" or state["bad"]:
            raise Fail(str(state))

    def check_mux(self):
        """a line that hvctl types comes out of kbdmux0"""
        self.read(MUX, TEXT.encode() + b"\r", ("type", TEXT, "--enter"))

    def check_keys(self):
        """control, letters with the capitals lock; keys without text"""
        self.read(MUX, b"\x03Bb",
                  ("key", "ctrl-c", "up", "f1", "altgr", "win"),
                  ("key", "capslock", "b", "capslock", "b"))

    def check_lights(self):
        """the lock keys' lights reach the host"""
        self.lights(0)
        self.read(MUX, b"Q", ("key", "capslock", "q"))
        self.lights(4)
        self.read(MUX, b"q", ("key", "capslock", "q"))
        self.lights(0)

    def check_long(self):
        """380 characters, all there are on a keyboard, none is lost"""
        self.read(MUX, LONG.encode(), ("type", LONG))
        if self.vm.sysctl("dev.hvkbd.0.dropped") != "0":
            raise Fail("%s keys dropped" %
                       self.vm.sysctl("dev.hvkbd.0.dropped"))

    def check_own(self):
        """without kbdmux, hvkbd0 itself: bytes with E0 and E1, and text"""
        self.vm.sh("kbd part hvkbd 0")
        self.read(OWN, b"\xe0\x53\xe0\xd3\xe1\x1d\x45\xe1\x9d\xc5",
                  ("key", "del", "pause"), mode="raw")
        self.read(OWN, b"aB$\r", ("type", "aB$", "--enter"))
        self.vm.sh("kbd join hvkbd 0")
        self.read(MUX, b"x", ("type", "x"))

    def check_reload(self):
        """unloaded while kbdmux0 is read, loaded again, and it types on"""
        job = self.reading(MUX, 2, SECONDS)
        self.vm.ctl("type", "1")
        self.vm.sh("kld unload %s.ko" % MODULE)
        why = self.vm.refuses("type", "lost")
        if "driver" not in why:
            raise Fail(why)
        self.vm.sh("kld load /boot/modules/%s.ko" % MODULE)
        self.vm.within("sysctl get dev.hvkbd.0.events", "the keyboard")
        self.vm.ctl("type", "2")
        status, text = self.vm.end_job(job, 2 * SECONDS)
        if status != 0 or "3132" not in text:
            raise Fail(text)

    def check_suspend(self):
        """the bus suspended and resumed: it types again"""
        self.vm.sh("dev suspend hvkbd0\ndev resume hvkbd0")
        self.read(MUX, b"again", ("type", "again"))

    def check_counts(self):
        """the host sent nothing that the driver takes for nonsense"""
        if self.vm.sysctl("dev.hvkbd.0.bad_messages") != "0":
            raise Fail(self.vm.sysctl("dev.hvkbd.0.bad_messages"))
        self.quiet()
