"""The same commands to a real redis-server and to the engine: their answers have to be the same bytes.

A sequence is made from a seed, so that a difference can be run again.  Both begin with nothing at each sequence; what
differs by design is normalized by name of the command (`normalize`), and the list of that is what docs/redis.md says.
"""

import os
import random
import select
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from nosqgrid.formats import resp
from tests.support.engine_context import EngineContext
from tests.support.tiers import slow

SERVER = shutil.which("redis-server")
START_S = 10.0


class RealServer(object):
    """A redis-server of its own, on a Unix socket in a directory that goes with it."""

    def __init__(self, *options):
        self._directory = tempfile.mkdtemp(prefix="nosqgrid-differential-")
        path = os.path.join(self._directory, "s")
        self._process = subprocess.Popen(
            [SERVER, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", self._directory,
             "--enable-debug-command", "yes"] + list(options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.path = path
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        give_up = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    def connect(self):
        return RealClient(self.path)

    def close(self):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory)


class RealClient(object):
    """One connection; call() gives the bytes of the reply."""

    def __init__(self, path):
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.connect(path)
        except OSError:
            self._sock.close()
            raise
        self._buffer = b""

    def call(self, *words):
        return self.calls([words])[0]

    def calls(self, commands):
        """The replies of several commands sent at once."""
        for words in commands:
            self.send(*words)
        return [self.read() for _ in commands]

    def send(self, *words):
        """Send a command that may be answered later."""
        self._sock.sendall(resp.encode_command(*words))

    def answered(self):
        """Whether an answer is there that nobody has read."""
        return bool(self._buffer or select.select([self._sock], [], [], 0)[0])

    def read(self, timeout_s=30.0):
        """The bytes of the next reply."""
        self._sock.settimeout(timeout_s)
        while True:
            end = reply_end(self._buffer, 0)
            if end:
                reply, self._buffer = self._buffer[:end], self._buffer[end:]
                return reply
            data = self._sock.recv(1 << 16)
            if not data:
                raise EOFError("redis-server has gone")
            self._buffer += data

    def close(self):
        self._sock.close()


def reply_end(data, position):
    """Where the reply ends that begins at a position; 0 if that is not there yet."""
    line_end = data.find(b"\r\n", position)
    if line_end < 0:
        return 0
    kind, size = data[position:position + 1], data[position + 1:line_end]
    end = line_end + 2
    if kind in b"$=!":
        end += int(size) + 2 if int(size) >= 0 else 0
        return end if end <= len(data) else 0
    if kind in b"*~>%":
        for _ in range(int(size) * (2 if kind == b"%" else 1)):
            end = reply_end(data, end)
            if not end:
                return 0
    return end


def parts_of(reply):
    """[bytes] of the elements of an aggregate's reply."""
    position, found = reply.index(b"\r\n") + 2, []
    while position < len(reply):
        end = reply_end(reply, position)
        found.append(reply[position:end])
        position = end
    return found


def unordered(reply):
    """A reply whose elements may come in any order."""
    return (reply[:reply.index(b"\r\n")], sorted(parts_of(reply))) if reply[:1] in b"*~" else reply


def unordered_pairs(reply):
    """A reply of pairs, flat (RESP2) or a map (RESP3), which may come in any order."""
    if reply[:1] not in b"*%":
        return reply
    parts = parts_of(reply)
    return reply[:reply.index(b"\r\n")], sorted(zip(parts[::2], parts[1::2]))


@slow
@unittest.skipIf(SERVER is None, "redis-server is not installed here")
class DifferentialTest(unittest.TestCase):
    """Base of the families' tests: run(make_command, ...) compares."""

    normalize = {}  # upper-case name -> function(reply) -> something to compare
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = RealServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def compare(self, make_command, sequences, length, seed=1, protocol=2, first=()):
        """Run `sequences` of `length` commands, each made by make_command(rng) -> words, behind the `first` ones."""
        client = self.server.connect()
        self.addCleanup(client.close)
        for number in range(sequences):
            rng = random.Random("%s-%d" % (seed, number))
            commands = list(map(encoded, first)) + [encoded(make_command(rng)) for _ in range(length)]
            self.compare_one(client, commands, protocol, "seed %s-%d" % (seed, number))

    def compare_one(self, client, commands, protocol=2, name=""):
        """Run one sequence on both, from nothing; the context that ran it."""
        client.calls([("RESET",), ("FLUSHALL",)] + [("HELLO", "3")] * (protocol == 3))
        context = EngineContext()
        context.session.protocol = protocol
        expected = client.calls(commands)
        for index, (words, theirs) in enumerate(zip(commands, expected)):
            ours = context.call(*words)
            if ours != theirs:
                normalize = self.normalize.get(words[0].upper())
                if normalize is None or normalize(ours) != normalize(theirs):
                    self.fail("%s\nafter %s\n%r\nredis    %r\nnosqgrid %r"
                              % (name, "\n      ".join(map(repr, commands[:index])), words, theirs, ours))
        context.keyspace.check()
        return context


def encoded(words):
    """Words as bytes, whatever they are."""
    return [word if isinstance(word, bytes) else b"%d" % word if isinstance(word, int) else str(word).encode("utf-8")
            for word in words]
