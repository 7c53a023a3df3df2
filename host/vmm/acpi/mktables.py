#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""mktables.py OUTPUT CC IASL INCLUDE TABLE... : compiles ACPI tables with iasl
and writes them as C arrays.  A TABLE is name=file, name=file:MACRO with MACRO
defined.  The C preprocessor comes first, so that tables and C share numbers;
the arrays are declared in acpi_tables.h."""

import os
import subprocess
import sys
import tempfile


def run(*command, **kw):
    p = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, **kw)
    if p.returncode != 0:
        sys.exit("%s\n%s" % (" ".join(command), p.stdout))


def compile_table(cc, iasl, include, source, macros, folder):
    asl = os.path.join(folder, "table.asl")
    aml = os.path.join(folder, "table.aml")
    run(*cc.split(), "-E", "-P", "-x", "assembler-with-cpp", "-I", include,
        *("-D" + m for m in macros), source, "-o", asl)
    # 3150: a resource template without resources, which is meant.
    run(iasl, "-we", "-vr", "-vw", "3150", "-p", aml, asl, cwd=folder)
    with open(aml, "rb") as f:
        return f.read()


def main():
    output, cc, iasl, include = sys.argv[1:5]
    text = ["/* Made by mktables.py. */", "",
            '#include "vmm/acpi_tables.h"']
    for table in sys.argv[5:]:
        name, source = table.split("=")
        source, _, macro = source.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            data = compile_table(cc, iasl, include, os.path.abspath(source),
                                 [macro] if macro else [], folder)
        text += ["", "static const unsigned char %s[] = {" % name]
        text += ["\t" + " ".join("0x%02x," % b for b in data[i:i + 12])
                 for i in range(0, len(data), 12)]
        text += ["};", "const struct acpi_table acpi_%s = { %s, "
                 "sizeof(%s) };" % (name, name, name)]
    with open(output, "w") as f:
        f.write("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
