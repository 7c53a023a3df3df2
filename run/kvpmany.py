#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Sets many key-value pairs, for servicejob.sh: as a host's program does it, by
one connection and each when the one before it was answered.

    kvpmany.py SOCKET COUNT     "key N" becomes "value N ä"; prints milliseconds

Exits 1 with the reason if one cannot be set."""

import json
import socket
import sys
import time


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(path)
        answers = s.makefile("r", encoding="utf-8")
        began = time.monotonic()
        for n in range(1, count + 1):
            s.sendall(json.dumps({
                "cmd": "kvp", "id": n, "action": "set", "pool": "external",
                "key": "key %d" % n, "value": "value %d ä" % n
            }).encode() + b"\n")
            answer = json.loads(answers.readline())
            if not answer.get("ok"):
                sys.exit("key %d: %s" % (n, answer.get("error")))
        print(round((time.monotonic() - began) * 1000))


if __name__ == "__main__":
    main()
