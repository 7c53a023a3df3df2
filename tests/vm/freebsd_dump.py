# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""A FreeBSD kernel dump as it lies on a disk, and what must be in it.

The layout is that of FreeBSD's <sys/kerneldump.h>, <machine/minidump.h> and,
for a dump of all memory, of an ELF core file.  A dump stands at the disk's
end: a block with the header, the dump itself, the header again in the last
block."""

import mmap
import os
import struct
import zlib

from guest import Fail

PAGE = 4096
BLOCK = 512

HEADER = struct.Struct(">20s12sIIQQII64s192s175sBQ4sI")
MAGIC = "FreeBSD Kernel Dump"
VERSION = 4
AMD64_VERSION = 2
NONE, GZIP = 0, 1
assert HEADER.size == BLOCK

# The kernel's first address, which is the memory's.
KERNBASE = 0xffffffff80000000

# magic, version, sizes of message buffer, bitmap and page directories, first
# address of the kernel's map, the direct map's both, size of dump_avail
MINIDUMP = struct.Struct("<24sIIIIQQQI")
MINIDUMP_MAGIC = "minidump FreeBSD/amd64"
MINIDUMP_VERSION = 3

PTE_VALID, PTE_LARGE = 0x1, 0x80
PTE_FRAME, PTE_LARGE_FRAME = 0x000ffffffffff000, 0x000fffffffe00000

ELF, PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
DYN, RELA = struct.Struct("<QQ"), struct.Struct("<QQq")
PT_LOAD, PT_DYNAMIC, PF_W = 1, 2, 2
DT_RELA, DT_RELASZ = 7, 8
ET_CORE, EM_X86_64 = 4, 62


def text_of(field):
    return field.split(b"\0")[0].decode(errors="replace")


def round_page(n):
    return (n + PAGE - 1) // PAGE * PAGE


class Elf:
    """The headers of an ELF file that lies in some bytes."""

    def __init__(self, data):
        self.data = data
        (ident, self.type, self.machine, _, self.entry, phoff, _, _, _, size,
         n, _, _, _) = ELF.unpack_from(data)
        if ident[:4] != b"\x7fELF" or size != PHDR.size:
            raise Fail("no ELF header: %r" % ident)
        # type, flags, offset, virtual and physical address, file's size
        self.segments = [PHDR.unpack_from(data, phoff + i * size)[:6]
                         for i in range(n)]
        self.loads = [p for p in self.segments if p[0] == PT_LOAD]

    def offset(self, va):
        for _, _, offset, vaddr, _, size in self.loads:
            if vaddr <= va < vaddr + size:
                return va - vaddr + offset
        raise Fail("no address of its own: %#x" % va)

    def relocated(self):
        """{page: the places in it that the kernel fills in itself}: calls of
        functions it chooses by the processor are such, and lie in its text."""
        found = {}
        for kind, _, offset, _, _, size in self.segments:
            if kind != PT_DYNAMIC:
                continue
            tags = dict(DYN.iter_unpack(self.data[offset:offset + size]))
            at = self.offset(tags[DT_RELA])
            for va, _, _ in RELA.iter_unpack(
                    self.data[at:at + tags[DT_RELASZ]]):
                found.setdefault(va // PAGE * PAGE, []).append(va % PAGE)
                # Its end may be in the next one.
                found.setdefault((va + 7) // PAGE * PAGE, []).append(
                    va % PAGE - (va + 7) // PAGE * PAGE + va // PAGE * PAGE)
        return found


def constant_pages(kernel):
    """{virtual address: (bytes, places that differ)} of all pages of a
    kernel's file that nothing writes to while it runs: text and read-only
    data, but for zeros and the page it starts in, where the code for starting
    other processors has its variables."""
    with open(kernel, "rb") as f:
        elf = Elf(f.read())
    places, found = elf.relocated(), {}
    for _, flags, offset, vaddr, _, size in elf.loads:
        if flags & PF_W:
            continue
        for at in range(-vaddr % PAGE, size - PAGE + 1, PAGE):
            page = elf.data[offset + at:offset + at + PAGE]
            if page.count(0) != PAGE and \
                    vaddr + at != elf.entry // PAGE * PAGE:
                found[vaddr + at] = page, places.get(vaddr + at, ())
    return found


def without(page, places):
    page = bytearray(page)
    for at in places:
        start, end = max(at, 0), min(at + 8, PAGE)
        page[start:end] = bytes(end - start)
    return page


def check_kernel(dump, kernel):
    """(number of pages, addresses of those that are not as in the kernel's
    file)"""
    pages, other = constant_pages(kernel), []
    for va, (wanted, places) in pages.items():
        page = dump.read(va)
        if page is None or \
                without(page, places) != without(wanted, places):
            other.append(va)
    return len(pages), other


class Header:
    """One of the two copies."""

    def __init__(self, data):
        (magic, arch, self.version, self.arch_version, self.length, self.time,
         self.key_size, self.block_size, host, version, panic,
         self.compression, self.extent, _, _) = HEADER.unpack(data)
        self.magic, self.arch = text_of(magic), text_of(arch)
        self.host, self.kernel = text_of(host), text_of(version)
        self.panic = text_of(panic)
        self.parity = 0
        for word in struct.unpack("<%dI" % (len(data) // 4), data):
            self.parity ^= word

    def check(self, length):
        for what, found, wanted in (
                ("magic", self.magic, MAGIC),
                ("parity", self.parity, 0),
                ("version", self.version, VERSION),
                ("architecture", self.arch, "amd64"),
                ("its version", self.arch_version, AMD64_VERSION),
                ("block size", self.block_size, BLOCK),
                ("key", self.key_size, 0)):
            if found != wanted:
                raise Fail("%s: %r, not %r" % (what, found, wanted))
        if not 0 < self.length <= self.extent <= length:
            raise Fail("%d bytes, %d kept for them" % (self.length,
                                                       self.extent))


class Dump:
    """The dump at the end of an image."""

    def __init__(self, path):
        self.path = path
        size = os.path.getsize(path)
        with open(path, "rb") as f:
            f.seek(size - BLOCK)
            last = f.read(BLOCK)
            self.header = Header(last)
            self.header.check(size)
            at = size - 2 * BLOCK - self.header.extent
            f.seek(at)
            if f.read(BLOCK) != last:
                raise Fail("the headers before and after it differ")
            # A map begins at a page.
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.start = at + BLOCK
        self.data = memoryview(self.map)[
            self.start:self.start + self.header.length]

    def close(self):
        self.data.release()
        self.map.close()

    def whole(self):
        """What was dumped, without compression."""
        if self.header.compression == NONE:
            return self.data
        if self.header.compression != GZIP:
            raise Fail("compression %d" % self.header.compression)
        # What follows pads the last block.
        stream = zlib.decompressobj(31)
        data = stream.decompress(self.data)
        if not stream.eof:
            raise Fail("the compressed dump does not end")
        return memoryview(data)


def forget(path):
    """Makes the dump on an image none."""
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) - BLOCK)
        f.write(bytes(BLOCK))


class Mini:
    """A dump of the kernel's pages: which they are, and where each is."""

    def __init__(self, data):
        self.data = data
        (magic, version, messages, bitmap, directories, self.base, _, _,
         avail) = MINIDUMP.unpack_from(data)
        if text_of(magic) != MINIDUMP_MAGIC or version != MINIDUMP_VERSION:
            raise Fail("no minidump: %r, version %d" % (magic, version))
        at = PAGE
        self.messages = bytes(data[at:at + messages])
        at += round_page(messages)
        chunks = struct.unpack_from("<%dQ" % (avail // 8), data, at)
        at += avail
        bits = bytes(data[at:at + bitmap])
        at += bitmap
        self.directories = at
        at += directories
        self.page = {}
        for pa in self._dumped(chunks, bits):
            self.page[pa] = at
            at += PAGE
        if at != len(data):
            raise Fail("%d pages, so %d bytes, not %d" % (
                len(self.page), at, len(data)))

    @staticmethod
    def _dumped(chunks, bits):
        """The addresses of the pages whose bit is set; a bit stands for each
        page of each chunk of memory."""
        n = 0
        for start, end in zip(chunks[::2], chunks[1::2]):
            if end == 0:
                return
            for pa in range(start // PAGE, (end + PAGE - 1) // PAGE):
                if bits[n >> 3] >> (n & 7) & 1:
                    yield pa * PAGE
                n += 1

    def entry(self, at, index):
        return struct.unpack_from("<Q", self.data, at + 8 * index)[0]

    def read(self, va):
        """The page at an address of the kernel, None if it is not there."""
        pde = self.entry(self.directories, (va - self.base) >> 21)
        if not pde & PTE_VALID:
            return None
        if pde & PTE_LARGE:
            pa = (pde & PTE_LARGE_FRAME) + (va & 0x1ff000)
        else:
            table = self.page.get(pde & PTE_FRAME)
            if table is None:
                return None
            pte = self.entry(table, va >> 12 & 511)
            if not pte & PTE_VALID:
                return None
            pa = pte & PTE_FRAME
        at = self.page.get(pa)
        return None if at is None else self.data[at:at + PAGE]


class Full:
    """A dump of all memory."""

    def __init__(self, data):
        self.data = data
        elf = Elf(data)
        if (elf.type, elf.machine) != (ET_CORE, EM_X86_64):
            raise Fail("ELF type %d, machine %d" % (elf.type, elf.machine))
        self.loads = elf.loads
        self.memory = sum(p[5] for p in self.loads)
        last = self.loads[-1]
        if last[2] + last[5] != len(data):
            raise Fail("segments up to %d of %d bytes" % (
                last[2] + last[5], len(data)))
        self.messages = None

    def read(self, va):
        """The page at an address of the kernel, None if it is not there."""
        for _, _, offset, _, start, size in self.loads:
            at = va - KERNBASE - start
            if 0 <= at < size:
                return self.data[offset + at:offset + at + PAGE]
        return None


def find(data, what):
    """Is it anywhere in a dump?"""
    step = 16 << 20
    return any(what in bytes(data[at:at + step + len(what)])
               for at in range(0, len(data), step))
