# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hvhost's keyboard under Linux's own driver, hyperv-keyboard, which gives what
it gets to atkbd as a PS/2 keyboard's bytes; read as evdev's events."""

import struct
import time

from guest import Fail
from linux_services import until
from suite import Boot

EVENT = struct.Struct("<qqHHi")
EV_KEY = 1
# Linux's own names for keys.
KEYS = {"shift": 42, "h": 35, "i": 23, "1": 2, "enter": 28,
        "alt": 56, "del": 111, "pause": 119}


class Keyboard(Boot):
    name = "keyboard"
    cpus = 1
    modules = ("hyperv_keyboard", "evdev")
    order = 30

    def options(self):
        return ["--services", "keyboard"]

    def node(self):
        """The keyboard's node of evdev."""
        return until(lambda: self.vm.sh(
            "cd /sys/class/input; for e in event*; do "
            "grep -q keyboard $e/device/name && echo /dev/input/$e; done; "
            "true").strip(), "the keyboard's evdev node")

    def events(self, *typed):
        """(key, value) of what comes of these words to hvctl."""
        self.vm.sh("cat %s >/tmp/events & echo $! >/tmp/reader" % self.node())
        time.sleep(0.5)
        for words in typed:
            self.vm.ctl(*words)
        time.sleep(1)
        text = self.vm.sh("kill $(cat /tmp/reader); "
                          "od -An -v -tx1 /tmp/events | tr -d ' \\n'")
        data = bytes.fromhex(text)
        return [(e[3], e[4]) for e in EVENT.iter_unpack(data)
                if e[2] == EV_KEY]

    def want(self, found, *keys):
        expected = [(KEYS[k], v) for k, v in keys]
        if found != expected:
            raise Fail("%s, not %s" % (found, expected))

    def check_text(self):
        """a typed line: make and break of each key, shift around one"""
        self.want(self.events(("type", "Hi1", "--enter")),
                  ("shift", 1), ("h", 1), ("h", 0), ("shift", 0),
                  ("i", 1), ("i", 0), ("1", 1), ("1", 0),
                  ("enter", 1), ("enter", 0))

    def check_keys(self):
        """keys with prefixes, E0 and E1; not all three at once, which would
        be a reboot"""
        self.want(self.events(("key", "alt-del", "pause")),
                  ("alt", 1), ("del", 1), ("del", 0), ("alt", 0),
                  ("pause", 1), ("pause", 0))
