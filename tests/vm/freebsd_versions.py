# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Each version of VMBus a host may have at the most: the drivers agree on it
and da0 works, as the root that the guest boots from."""

from freebsd_guest import FreeBsd, MODULES
from guest import Fail
from images import sha256
from suite import Skip

ALL = ("0.13", "1.1", "2.4", "3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3")
# What the drivers of FreeBSD's own tree speak.
IN_TREE = ("0.13", "1.1", "2.4", "3.0", "4.0")


class Versions(FreeBsd):
    name = "versions"
    order = 0
    version = None
    check_quiet = check_poweroff = None

    def start(self):
        """Each check boots a guest of its own."""

    def options(self):
        return super().options() + ["--vmbus-version", self.version]

    def boots(self, version):
        self.version = version
        self.vm = self.launch()
        try:
            self.vm.wait_up()
            found = self.vm.sysctl("dev.vmbus.0.version")
            if found != version:
                raise Fail("they agree on " + found)
            if self.vm.sh("raw sum /dev/da0 0 1m") != sha256(self.image(),
                                                             1 << 20):
                raise Fail("da0 reads other bytes")
            self.quiet()
            self.ends_well(self.vm.poweroff())
        finally:
            self.vm.kill()


def make(version):
    def check(self):
        if not MODULES and version not in IN_TREE:
            raise Skip("the kernel's own drivers do not speak it")
        self.boots(version)
    check.__doc__ = "a host with VMBus %s: agreed on, da0 works" % version
    return check


for v in ALL:
    setattr(Versions, "check_" + v, make(v))
