# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The smallest ISO 9660 image that carries a few files (ECMA-119)."""

import struct

SECTOR = 2048
ROOT_AT = 20            # after the descriptors and the two path tables
DATE = bytes((126, 1, 1, 0, 0, 0, 0))


def both16(v):
    return struct.pack("<H", v) + struct.pack(">H", v)


def both32(v):
    return struct.pack("<I", v) + struct.pack(">I", v)


def record(name, at, size, folder):
    """A directory record."""
    tail = both32(at) + both32(size) + DATE + \
        bytes((2 if folder else 0, 0, 0)) + both16(1) + \
        bytes((len(name),)) + name
    length = 2 + len(tail)
    return bytes((length + length % 2, 0)) + tail + bytes(length % 2)


def padded(data, size=SECTOR):
    return data + bytes(-len(data) % size)


def image(files, label="TEST"):
    """files: {"NAME.EXT": bytes}; the image's bytes."""
    at, entries, data = ROOT_AT + 1, b"", b""
    for name, content in sorted(files.items()):
        entries += record((name + ";1").encode(), at, len(content), False)
        data += padded(content)
        at += len(padded(content)) // SECTOR
    root = padded(record(b"\0", ROOT_AT, SECTOR, True) +
                  record(b"\1", ROOT_AT, SECTOR, True) + entries)
    if len(root) != SECTOR:
        raise ValueError("more files than one sector's directory holds")
    path = {end: bytes((1, 0)) + struct.pack(end + "IH", ROOT_AT, 1) +
            b"\0\0" for end in "<>"}
    primary = b"\1CD001\1\0" + b" " * 32 + label.encode().ljust(32) + \
        bytes(8) + both32(at) + bytes(32) + both16(1) + both16(1) + \
        both16(SECTOR) + both32(len(path["<"])) + \
        struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0) + \
        record(b"\0", ROOT_AT, SECTOR, True) + b" " * (128 * 4 + 37 * 3) + \
        (b"0" * 16 + b"\0") * 4 + b"\1\0"
    return bytes(16 * SECTOR) + padded(primary) + \
        padded(b"\xffCD001\1") + padded(path["<"]) + padded(path[">"]) + \
        root + data
