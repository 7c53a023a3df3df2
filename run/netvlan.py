#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Tagged frames for netjob.sh, where the kernel need not know of VLANs.

    netvlan.py NEAR FAR PID

sends them from the interface NEAR to FAR, which is in the network namespace of
the process PID, and back, and compares each that arrives: tag (identifier,
priority, drop eligibility), addresses, type and payload.  A frame that has a
second tag keeps that as well, and one whose UDP checksum is left to the card
arrives with it right.  Prints a sentence with the number of frames that came
through, or what was wrong, and then exits 1."""

import ctypes
import os
import socket
import struct
import sys

TAG = 0x8100
LOCAL = 0x88b5          # a type for experiments
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
STATUS_CSUM_LEFT = 1 << 3
STATUS_VLAN = 1 << 4
STATUS_TPID = 1 << 6
NEEDS_CSUM = 1
SIZES = 46, 500, 1499, 1500
IDS = 1, 5, 100, 4094
BURST = 100


def enter(path):
    if ctypes.CDLL(None, use_errno=True).setns(
            os.open(path, os.O_RDONLY), 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Port:
    """An interface with all that comes in at it."""

    def __init__(self, name, pid=None):
        home = "/proc/self/ns/net"
        if pid is not None:
            with open(home, "rb") as back:
                enter(f"/proc/{pid}/ns/net")
                self.open(name)
                enter(f"/proc/self/fd/{back.fileno()}")
        else:
            self.open(name)

    def open(self, name):
        self.name = name
        self.rx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                socket.htons(3))
        self.rx.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.rx.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.rx.bind((name, 3))
        self.rx.settimeout(5)
        self.tx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.tx.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.tx.bind((name, 0))
        self.mac = self.rx.getsockname()[4]

    def send(self, frame, csum=None):
        """csum: where a checksum begins and its place in there."""
        flags, start, offset = (NEEDS_CSUM, *csum) if csum else (0, 0, 0)
        self.tx.send(struct.pack("<BBHHHH", flags, 0, 0, 0, start, offset) +
                     frame)

    def receive(self):
        """The next frame for us that has a tag: as it was on the wire, and
        whether its checksum is still to be made."""
        while True:
            data, aux, _, sender = self.rx.recvmsg(
                2048, socket.CMSG_SPACE(20))
            if sender[2] == socket.PACKET_OUTGOING or data[:6] != self.mac:
                continue
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH",
                                                          aux[0][2][:20])
            if not status & STATUS_VLAN:
                continue
            tpid = tpid if status & STATUS_TPID else TAG
            return (data[:12] + struct.pack("!HH", tpid, tci) + data[12:],
                    bool(status & STATUS_CSUM_LEFT))


def total(data):
    """The Internet checksum's sum, folded."""
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s > 0xffff:
        s = (s & 0xffff) + (s >> 16)
    return s


def plain(to, fr, tci, size, number):
    """A frame of size bytes behind its headers, of no known protocol."""
    payload = (struct.pack("!I", number) * (size // 4 + 1))[:size]
    return (to.mac + fr.mac + struct.pack("!HHH", TAG, tci, LOCAL) + payload)


def udp(to, fr, tci, size, number):
    """UDP over IPv4 whose checksum is left to the card.  Returns the frame with
    that field as Linux has it then, and what it has to be."""
    payload = (struct.pack("!I", number) * (size // 4 + 1))[:size - 28]
    addresses = bytes((10, 93, 0, 1, 10, 93, 0, 2))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size, number, 0, 64, 17,
                     0) + addresses
    ip = ip[:10] + struct.pack("!H", 0xffff ^ total(ip)) + ip[12:]
    pseudo = total(addresses + struct.pack("!HH", 17, size - 20))
    head = struct.pack("!HHH", 1000, 2000, size - 20)
    right = 0xffff ^ total(struct.pack("!H", pseudo) + head + payload)
    front = (to.mac + fr.mac + struct.pack("!HHH", TAG, tci, 0x800) + ip +
             head)
    return (front + struct.pack("!H", pseudo) + payload,
            front + struct.pack("!H", right or 0xffff) + payload)


def expect(to, frames, what):
    """The next that arrives is one of frames."""
    try:
        got, left = to.receive()
    except TimeoutError:
        sys.exit(f"{to.name}: {what} did not arrive")
    if got != frames[0 if left else -1]:
        at = next((i for i, (x, y) in enumerate(zip(got, frames[-1]))
                   if x != y), min(len(got), len(frames[-1])))
        sys.exit(f"{to.name}: {what} arrived changed, at byte {at} of "
                 f"{len(got)}: {got[:24].hex()} instead of "
                 f"{frames[-1][:24].hex()}")


def one_by_one(fr, to):
    n = 0
    for size in SIZES:
        for vid in IDS:
            for bits in range(16):
                # Priority 0 to 7, and drop eligibility.
                tci = bits << 12 | vid
                what = (f"a frame of {size} bytes with identifier {vid}, "
                        f"priority {bits >> 1}")
                frame = plain(to, fr, tci, size, n)
                fr.send(frame)
                expect(to, [frame], what)
                left, right = udp(to, fr, tci, size, n)
                fr.send(left, (38, 6))
                expect(to, [left, right], what + ", UDP,")
                n += 2
    return n


def special(fr, to):
    # Two tags; an identifier of 0 is a priority alone.
    inner = plain(to, fr, 3 << 13 | 7, 1000, 1)
    frame = inner[:12] + struct.pack("!HH", TAG, 5 << 13 | 9) + inner[12:]
    fr.send(frame)
    expect(to, [frame], "a frame with two tags")
    frame = plain(to, fr, 6 << 13, 1500, 2)
    fr.send(frame)
    expect(to, [frame], "a frame with a priority only")
    return 2


def burst(fr, to):
    frames = [plain(to, fr, (i % 8) << 13 | (i + 1), 1500, i)
              for i in range(BURST)]
    for f in frames:
        fr.send(f)
    for i, f in enumerate(frames):
        expect(to, [f], f"frame {i} of {BURST} in a row")
    return BURST


def main():
    near, far, pid = sys.argv[1:]
    near, far = Port(near), Port(far, pid)
    n = 0
    for fr, to in ((near, far), (far, near)):
        n += one_by_one(fr, to) + special(fr, to) + burst(fr, to)
    print(f"{n} tagged frames of up to {max(SIZES)} bytes, none lost or "
          "changed")


if __name__ == "__main__":
    main()
