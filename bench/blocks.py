# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""Whose instructions those are that blocks.c counted: a guest's, by function.

A block belongs to an image (kernel, module or program) if the image has those
very bytes at that address: the rig's outer kernel and its programs may have
code of their own there."""

import bisect
import struct

SHF_ALLOC, SHF_EXECINSTR = 2, 4
PROGBITS, SYMTAB, RELA, NOBITS, INIT_ARRAY, FINI_ARRAY = 1, 2, 4, 8, 14, 15
UNWIND = 0x70000001
ET_REL = 1
STT_NOTYPE, STT_FUNC = 0, 2
# Bytes that a relocation of amd64 changes, by its type; the others: 4.
WIDE = {1: 8}                   # R_X86_64_64

PAGE = 4096
# Shorter blocks are alike in many places.
VOTE_BYTES = 12

# x86's string instructions behind a repeat prefix: an emulator that runs such
# a block for each round has not run that many instructions.
PREFIXES = b"\xf2\xf3"
STRING = frozenset(b"\xa4\xa5\xa6\xa7\xaa\xab\xac\xad\xae\xaf\x6c\x6d\x6e\x6f")


def is_round(data):
    """Whether a block is nothing but a repeated string instruction."""
    i = 0
    while i < len(data) and (data[i] in PREFIXES or data[i] == 0x66 or
                             0x40 <= data[i] <= 0x4f):
        i += 1
    return data[:1] in (b"\xf2", b"\xf3") and len(data) == i + 1 and \
        data[i] in STRING


class Image:
    """Code of an ELF file where it is loaded: at its own addresses, or, if
    it is relocatable, one section behind the other from base on."""

    def __init__(self, name, path, base=None):
        self.name = name
        with open(path, "rb") as f:
            self.data = f.read()
        kind, = struct.unpack_from("<H", self.data, 16)
        shoff, = struct.unpack_from("<Q", self.data, 40)
        shnum, = struct.unpack_from("<H", self.data, 60)
        self.sections = [list(struct.unpack_from(
            "<IIQQQQIIQQ", self.data, shoff + 64 * i)) for i in range(shnum)]
        if kind == ET_REL:
            self._lay_out(base)
        self.code = []          # (first address, bytes, holes)
        for i, s in enumerate(self.sections):
            if s[1] == PROGBITS and s[2] & SHF_EXECINSTR:
                body = self.data[s[4]:s[4] + s[5]]
                self.code.append((s[3], body, self._holes(i, len(body))))
        self._read_symbols(kind)

    def _lay_out(self, at):
        for s in self.sections:
            if s[2] & SHF_ALLOC and s[5] and s[1] in (
                    PROGBITS, NOBITS, UNWIND, INIT_ARRAY, FINI_ARRAY):
                at += -at % (s[8] or 1)
                s[3] = at
                at += s[5]

    def _holes(self, section, size):
        """The bytes that relocating changes: 1; the others 0."""
        holes = bytearray(size)
        for s in self.sections:
            if s[1] != RELA or s[7] != section:
                continue
            for at in range(s[4], s[4] + s[5], 24):
                offset, info = struct.unpack_from("<QQ", self.data, at)
                n = WIDE.get(info & 0xffffffff, 4)
                holes[offset:offset + n] = b"\1" * n
        return holes if any(holes) else None

    def _read_symbols(self, kind):
        found = {}
        for s in self.sections:
            if s[1] != SYMTAB:
                continue
            names = self.sections[s[6]][4]
            for at in range(s[4], s[4] + s[5], 24):
                name, info, _, shndx, value, _ = struct.unpack_from(
                    "<IBBHQQ", self.data, at)
                if info & 15 not in (STT_FUNC, STT_NOTYPE) or name == 0 or \
                        not 0 < shndx < len(self.sections) or \
                        not self.sections[shndx][2] & SHF_EXECINSTR:
                    continue
                if kind == ET_REL:
                    value += self.sections[shndx][3]
                end = self.data.index(b"\0", names + name)
                text = self.data[names + name:end].decode()
                if not text.startswith(".L"):
                    # A function's name before a mere label's.
                    old = found.get(value)
                    if old is None or old[0] != STT_FUNC:
                        found[value] = (info & 15, text)
        self.addresses = sorted(found)
        self.names = [found[a][1] for a in self.addresses]

    def has(self, vaddr, data):
        for first, body, holes in self.code:
            at = vaddr - first
            if not 0 <= at <= len(body) - len(data):
                continue
            mine = body[at:at + len(data)]
            if mine == data:
                return True
            return holes is not None and all(
                a == b or holes[at + i]
                for i, (a, b) in enumerate(zip(mine, data)))
        return False

    def function(self, vaddr):
        i = bisect.bisect_right(self.addresses, vaddr) - 1
        return self.names[i] if i >= 0 else hex(vaddr)


def locate(path, section):
    """Where a relocatable file was loaded: the page that most of the blocks
    agree upon that have bytes of its own."""
    image = Image("", path, 0)
    votes = {}
    for vaddr, _, _, data in section:
        if len(data) < VOTE_BYTES:
            continue
        for first, body, _ in image.code:
            at = body.find(data)
            if at >= 0 and body.find(data, at + 1) < 0:
                base = vaddr - first - at
                if base % PAGE == 0:
                    votes[base] = votes.get(base, 0) + 1
    return max(votes, key=votes.get) if votes else None


def sections(path):
    """What was counted between each two marks: lists of (address,
    instructions, times, bytes)."""
    found = []
    with open(path, encoding="ascii") as f:
        for line in f:
            if line == "stop\n":
                found.append([])
                continue
            vaddr, insns, times, data = line.split(" ")
            found[-1].append((int(vaddr, 16), int(insns, 16), int(times),
                              bytes.fromhex(data)))
    return found


def by_function(section, images):
    """{(image's name, function): instructions}."""
    sums = {}
    for vaddr, insns, times, data in section:
        if is_round(data):
            continue
        for image in images:
            if image.has(vaddr, data):
                key = image.name, image.function(vaddr)
                sums[key] = sums.get(key, 0) + insns * times
                break
    return sums
