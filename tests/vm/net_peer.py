# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors

"""The other end of what freebsd/traffic.c sends and receives: the same bytes,
in threads of this process."""

import hashlib
import os
import socket
import struct
import threading
import time

from guest import Fail

BLOCK = 65528
GIVE = 1 << 18
LIMIT = 60
WORD = (1 << 64) - 1


def block(seed):
    """The bytes that a stream repeats: freebsd/lib.c's pattern."""
    words = []
    for n in range(BLOCK // 8):
        x = ((n + 1) * 0x9e3779b97f4a7c15 & WORD) ^ (seed << 32 & WORD) ^ seed
        words.append((x ^ x >> 29) * 0xbf58476d1ce4e5b9 & WORD)
    return struct.pack("<%dQ" % len(words), *words)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Task(threading.Thread):
    """Something that runs beside the guest; result() waits for it."""

    def __init__(self, sock, work):
        super().__init__(daemon=True)
        self.sock = sock
        self.port = sock.getsockname()[1]
        self.work = work
        self.found = self.error = None
        self.start()

    def run(self):
        try:
            with self.sock:
                self.found = self.work(self.sock)
        except (OSError, Fail) as e:
            self.error = e

    def result(self, limit=LIMIT):
        self.join(limit)
        if self.is_alive():
            raise Fail("the other end is not done after %d s" % limit)
        if self.error:
            raise Fail("at the other end: %s" % self.error)
        return self.found


# --- TCP: each function works on a connection ---

def send(conn, count, seed):
    """Sends the pattern, and waits until the other side has read it."""
    data = memoryview(block(seed))
    done = 0
    while done < count:
        part = min(count - done, BLOCK)
        conn.sendall(data[:part])
        done += part
    conn.shutdown(socket.SHUT_WR)
    if conn.recv(1):
        raise Fail("an answer")
    return done


def receive(conn, count, seed):
    """Reads to the end; fails if it is not the pattern."""
    # Bytes, not views of them: those are compared one by one.
    data = block(seed) * 2
    buf = bytearray(BLOCK)
    done = 0
    while True:
        n = conn.recv_into(buf)
        if n == 0:
            break
        at = done % BLOCK
        if buf[:n] != data[at:at + n]:
            raise Fail("other bytes between %d and %d" % (done, done + n))
        done += n
    if done != count:
        raise Fail("%d bytes came, not %d" % (done, count))
    return done


def give(conn, count):
    """Sends random bytes, and waits until the other side has read them; their
    SHA-256."""
    summed = hashlib.sha256()
    while count > 0:
        data = os.urandom(min(count, GIVE))
        summed.update(data)
        conn.sendall(data)
        count -= len(data)
    conn.shutdown(socket.SHUT_WR)
    conn.recv(1)
    return summed.hexdigest()


def take(conn):
    """Reads to the end; how many bytes came, and their SHA-256."""
    summed = hashlib.sha256()
    buf = bytearray(GIVE)
    view = memoryview(buf)
    done = 0
    while True:
        n = conn.recv_into(buf)
        if n == 0:
            return done, summed.hexdigest()
        summed.update(view[:n])
        done += n


def serve(address, work, *args):
    """Does it with whoever connects first."""
    def accept(listener):
        conn, _ = listener.accept()
        with conn:
            conn.settimeout(LIMIT)
            return work(conn, *args)
    listener = socket.create_server((address, 0), family=family(address))
    listener.settimeout(LIMIT)
    return Task(listener, accept)


def connect(address, port, work, *args, limit=30):
    """Does it with who listens there, sooner or later."""
    def begin(_):
        until = time.monotonic() + limit
        while True:
            with socket.socket(family(address)) as conn:
                conn.settimeout(LIMIT)
                try:
                    conn.connect((address, port))
                except OSError:
                    if time.monotonic() >= until:
                        raise
                    time.sleep(0.1)
                    continue
                return work(conn, *args)
    return Task(socket.socket(family(address)), begin)


# --- UDP ---

def datagrams(count, size, seed):
    data = block(seed) * 2
    for n in range(count):
        at = n * 8 % BLOCK
        yield struct.pack("<Q", n) + data[at:at + size - 8]


def udp_sink(address, count, size, seed, quiet=3):
    """Until all have come, or none for some time; how many came."""
    data = block(seed) * 2

    def work(sock):
        came = 0
        while came < count:
            try:
                got = sock.recv(65536)
            except socket.timeout:
                break
            n = struct.unpack_from("<Q", got)[0]
            at = n * 8 % BLOCK
            if len(got) != size or got[8:] != data[at:at + size - 8]:
                raise Fail("datagram %d is damaged" % n)
            came += 1
            sock.settimeout(quiet)
        return came
    return Task(_bound(address), work)


def udp_echo(address, count):
    """Sends so many datagrams back."""
    def work(sock):
        for _ in range(count):
            data, peer = sock.recvfrom(65536)
            sock.sendto(data, peer)
    return Task(_bound(address), work)


def udp_send(address, port, count, size, seed, burst=16, gap=0.02):
    """Sends datagrams, some at a time."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        for n, data in enumerate(datagrams(count, size, seed)):
            sock.sendto(data, (address, port))
            if n % burst == burst - 1:
                time.sleep(gap)


def _bound(address):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, 0))
    sock.settimeout(LIMIT)
    return sock
