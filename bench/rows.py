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
