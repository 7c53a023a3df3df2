# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""hv_vmbus comes and goes while its shoot-downs are in use.  Not with two
emulated processors, as freebsd_smp.py: the emulated machine does not bear it
for so long."""

import errno
import re

from freebsd_guest import module_files
from freebsd_smp import Smp
from guest import Fail


class Reload(Smp):
    """The hooks come and go under those who use them."""
    name = "smpreload"
    cpus = 2
    root = "md"
    modules = ()
    kenv = {"hw.apic.x2apic_mode": "0"}     # all hooks are used
    rounds = 20
    check_torture = check_cost = check_disk = None

    @property
    def files(self):
        return module_files("hv_vmbus")

    def check_rounds(self):
        """the bus is loaded and unloaded 20 times under the torture"""
        self.ours()
        job = self.vm.start_job("repeat %d tlb torture 500 1000" %
                                (self.rounds * 2))
        for _ in range(self.rounds):
            self.vm.sh("kld load /boot/modules/hv_vmbus.ko\nsleep 200\n"
                       "within 30 kld unload hv_vmbus.ko", 120)
        self.vm.sh("job kill %d" % job)
        text = self.vm.sh("job show %d" % job)
        if "stale: 0" not in text or re.search(r"stale: [1-9]", text):
            raise Fail(text)
        return "%d tortures" % text.count("stale: 0")

    def check_busy(self):
        """on processors that are never idle it is refused, and goes on"""
        self.ours()
        self.vm.sh("kld load /boot/modules/hv_vmbus.ko")
        job = self.vm.start_job("tlb cost 1000000000")
        self.vm.sh("sleep 500")
        status, text = self.vm.run("kld unload hv_vmbus.ko", 60)
        if status != errno.EBUSY:
            raise Fail("status %d: %s" % (status, text))
        before = self.counts()
        self.vm.sh("sleep 1000")
        if self.counts()["tlb_flushes"] == before["tlb_flushes"]:
            raise Fail("no shoot-down any more")
        self.vm.sh("job kill %d\nwithin 30 kld unload hv_vmbus.ko" % job, 120)
