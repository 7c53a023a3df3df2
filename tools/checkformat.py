#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""checkformat.py FILE... : compares sources with what clang-format makes of
them, statement by statement: where a statement begins, its braces and the
blanks between its tokens.  How it is broken into lines and how members and
comments are aligned is left to the author, since clang-format cannot say
style(9)'s ways there; so are preprocessor lines and comments."""

import concurrent.futures
import os
import re
import subprocess
import sys

STRINGS = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
COMMENTS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)

LABEL = re.compile(r"\s*(case\b.*|default|\w+):$")
# Several on a line are several.
CASES = re.compile(r"(?<=:) +(?=case\b)")


def strip_comments(text):
    """Comments become blanks, newlines kept."""
    def blank(m):
        s = m.group(0)
        return s if s.startswith('"') else re.sub(r"[^\n]", " ", s)
    return COMMENTS.sub(blank, text)


def statements(text):
    """Yields (line number, indentation and text) of each statement, joined
    over its lines, blanks reduced to one."""
    joined, first, depth, aggregate, macro = "", 0, 0, 0, False
    for number, line in enumerate(strip_comments(text).split("\n"), 1):
        if macro or re.match(r"\s*#", line):
            macro = line.rstrip().endswith("\\")
            continue
        if not line.strip():
            continue
        if not joined:
            indent = line[:len(line) - len(line.lstrip())]
            joined, first = indent, number
            line = line.lstrip()
        elif not joined.endswith(("(", "[")):
            joined += " "
        joined += re.sub(r"\s+", " ", line.strip())
        bare = STRINGS.sub('""', line)
        opens = re.search(r"((=|\benum\b[^;(]*|,|\{)\s*|\))\{", bare)
        for c in bare:
            if c in "([":
                depth += 1
            elif c in ")]":
                depth -= 1
            elif c == "{" and (aggregate or depth > 0 or opens):
                aggregate += 1
            elif c == "}" and aggregate:
                aggregate -= 1
        end = bare.rstrip()[-1:]
        if depth <= 0 and aggregate <= 0 and (
                end in ";{}" or LABEL.match(joined)):
            if "__asm" in joined:
                joined, depth, aggregate = "", 0, 0
                continue
            for part in CASES.split(tidy(joined)):
                yield first, part
            joined, depth, aggregate = "", 0, 0
    if joined:
        yield first, tidy(joined)


def tidy(s):
    """Takes out blanks that depend on where lines are broken, and those that
    clang-format puts elsewhere when it takes a pointer for a product or a
    name for an operator of C++."""
    s = re.sub(r"([(\[]) ", r"\1", s)
    s = re.sub(r'" "', "", s)
    s = re.sub(r" ?\* ?(?=[\w(*])", "*", s)
    s = re.sub(r"(?<=\w) \((?=\*|\w+\)\()", "(", s)
    s = s.replace("-> ", "->")
    s = re.sub(r"(?<=[\w\])]) \.(?=\w)", ".", s)
    return s.replace("; ;", ";;").replace("; )", ";)")


def indent(s):
    return len(s.expandtabs(8)) - len(s.expandtabs(8).lstrip())


def check(path):
    with open(path) as f:
        source = f.read()
    p = subprocess.run(["clang-format", path], text=True, check=True,
                       stdout=subprocess.PIPE)
    have, want = list(statements(source)), list(statements(p.stdout))
    for (line, a), (_, b) in zip(have, want):
        if a.strip() != b.strip() or (
                not LABEL.match(a) and indent(a) != indent(b)):
            return ["%s:%d: has    %s" % (path, line, a),
                    "%s:%d: wanted %s" % (path, line, b)]
    if len(have) != len(want):
        return ["%s: statements are split otherwise" % path]
    return []


def main():
    bad = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(check, sys.argv[1:]):
            bad += found
    for line in bad:
        print(line.expandtabs(8) if len(line) < 300 else line[:300])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
