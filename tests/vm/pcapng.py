# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""What a capture of hvhost's holds: frames, and whether their checksums are
right."""

import struct

IN, OUT = 1, 2              # as the guest sees it
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
VLAN = 0x8100


def total(data, start=0):
    """The Internet checksum's sum; 0xFFFF over what has a right one."""
    if len(data) % 2:
        data += b"\0"
    s = start + sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return s


class Frame:
    """One frame, taken apart as far as it goes."""

    def __init__(self, data, direction, comment):
        self.data = data
        self.direction = direction
        self.comment = comment          # what is not finished; "": nothing
        self.vlan = None
        at = 12
        self.type = int.from_bytes(data[at:at + 2], "big")
        if self.type == VLAN:
            self.vlan = int.from_bytes(data[at + 2:at + 4], "big") & 0xFFF
            at += 4
            self.type = int.from_bytes(data[at:at + 2], "big")
        self.ip = data[at + 2:]
        self.proto = None
        self.fragment = False
        self.payload = b""
        if self.type == 0x0800:
            self._ipv4()
        elif self.type == 0x86DD:
            self._ipv6()

    def _ipv4(self):
        length = int.from_bytes(self.ip[2:4], "big")
        self.head = (self.ip[0] & 15) * 4
        self.proto = self.ip[9]
        self.fragment = int.from_bytes(self.ip[6:8], "big") & 0x3FFF != 0
        self.payload = self.ip[self.head:length]
        self.addresses = self.ip[12:20]

    def _ipv6(self):
        self.head = 40
        self.proto = self.ip[6]
        self.payload = self.ip[40:40 + int.from_bytes(self.ip[4:6], "big")]
        self.addresses = self.ip[8:40]

    def wrong(self):
        """What is wrong with its checksums; None: nothing is."""
        if self.type == 0x0800 and total(self.ip[:self.head]) != 0xFFFF:
            return "the IPv4 header's checksum"
        if self.proto not in (TCP, UDP, ICMP6) or self.fragment:
            return None
        if self.proto == UDP and self.payload[6:8] == b"\0\0":
            return None if self.type == 0x0800 else "no UDP checksum"
        s = total(self.addresses, self.proto + len(self.payload))
        if total(self.payload, s) != 0xFFFF:
            return "the checksum of protocol %d" % self.proto
        return None


def frames(path):
    """The frames of a file so far; one that is half written ends them."""
    with open(path, "rb") as f:
        data = f.read()
    found = []
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or at + length > len(data):
            break
        if kind == 6:
            found.append(_packet(data[at:at + length]))
        at += length
    return found


def _packet(block):
    captured = struct.unpack_from("<I", block, 20)[0]
    direction, comment = 0, ""
    at = 28 + (captured + 3) // 4 * 4
    while at + 4 <= len(block) - 4:
        code, length = struct.unpack_from("<HH", block, at)
        value = block[at + 4:at + 4 + length]
        if code == 0:
            break
        if code == 2:
            direction = struct.unpack("<I", value)[0] & 3
        elif code == 1:
            comment = value.decode()
        at += 4 + (length + 3) // 4 * 4
    return Frame(block[28:28 + captured], direction, comment)
