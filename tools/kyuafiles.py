#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kyuafiles.py DIR PROGRAM... : what kyua runs, one Kyuafile a folder below
DIR and one in DIR that includes them; a Kyuafile names programs of its own
folder only.  Called when the build is configured."""

import collections
import os
import sys

HEAD = 'syntax(2)\ntest_suite("freebsd-hyperv")\n'


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(HEAD + text)


top = sys.argv[1]
folders = collections.defaultdict(list)
for program in sys.argv[2:]:
    folder, name = os.path.split(os.path.relpath(program, top))
    folders[folder].append(name)
texts = {folder: "".join('atf_test_program{name="%s", timeout=120}\n' % n
                         for n in names)
         for folder, names in folders.items()}
own = texts.pop("", "")
for folder, text in texts.items():
    write(os.path.join(top, folder, "Kyuafile"), text)
write(os.path.join(top, "Kyuafile"), own + "".join(
    'include("%s/Kyuafile")\n' % f for f in sorted(texts)))
