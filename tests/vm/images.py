# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Disk images for guests: made, filled, summed."""

import hashlib
import os
import random

MIB = 1 << 20


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def put(path, data=b"", size=None):
    """An image with these bytes, sparse from there to size."""
    with open(path, "wb") as f:
        f.write(data)
        if size is not None:
            f.truncate(size)
    return path


def sha256(path, size=None):
    """The sum of a file, or of its first bytes."""
    h = hashlib.sha256()
    left = os.path.getsize(path) if size is None else size
    with open(path, "rb") as f:
        while left > 0:
            block = f.read(min(left, MIB))
            if not block:               # it was cut short meanwhile
                break
            h.update(block)
            left -= len(block)
    return h.hexdigest()
