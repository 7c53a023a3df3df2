# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Rows of figures: what a part in the rig leaves for the one here."""

import json
import os
import shutil


def leave(results, name, rows):
    """In the rig."""
    with open(os.path.join(results, name + ".json"), "w",
              encoding="utf-8") as f:
        json.dump(rows, f, indent=2)


def show(results, name, table, top):
    """Here: prints the rows by table(), if there are any, and keeps them in
    the folder build of top."""
    path = os.path.join(results, name + ".json")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as f:
        table(json.load(f))
    out = os.path.join(top, "build/bench-%s.json" % name)
    shutil.copy(path, out)
    print("JSON: " + out)


def clocks(vm):
    """In the rig: what a FreeBSD guest goes by, for one of its rows."""
    return {"timecounter": vm.sysctl("kern.timecounter.hardware"),
            "eventtimer": vm.sysctl("kern.eventtimer.timer")}


def show_clocks(rows):
    """Here: that of each guest."""
    for name, timecounter, eventtimer in sorted({
            (r["name"], r["timecounter"], r["eventtimer"]) for r in rows
            if "timecounter" in r}):
        print("  %-14s timecounter and event timer: %s, %s" % (
            name, timecounter, eventtimer))
