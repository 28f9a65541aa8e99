"""The process that makes a checkpoint: python -m nosqgrid.storage.checkpointer ARENA_FD SOCKET_FD

It inherits a descriptor of the arena, which it maps read-only as any reader, and one end of a socket pair, over which
both sides send lines of JSON:

    coordinator  {"directory", "final", "lineage", "start_lsn"}     what to make
    this         {"large": number}                                  a large value is wanted
    coordinator  {"size"}                                           here it is, as a descriptor; or 0: it is gone
    this         {"structures": [number, ...]}                      structures are wanted
    coordinator  {"size", "left": [number, ...]}                    those that are not gone (formats/exported), in a
                                                                    file, and which to ask for again; 0: none; -1:
                                                                    there is no memory for it
    this         {"keys", "bytes"}                                  so far, about once a megabyte
    this         {"walked": true}                                   every record has been read
    coordinator  {"lsn", "pieces", "keys"}                          where the log stands, where it lies, how many keys
    this         {"path", "lsn", "keys", "bytes", "seconds"}        done, or
                 {"error", "code"}                                  not done, and nothing changed
    coordinator  the end of the stream                              what the checkpoint replaces has been removed

The kernel takes 20 ms and more to free a file of 64 MiB.  This process keeps open what the checkpoint replaces, so that
removing the names costs the coordinator nothing and the space is freed here.

When the coordinator is gone it ends; its file has a name of its own, which the next start removes.
"""

import json
import os
import socket
import sys

from ..errors import NosqgridError, PeerError
from ..formats.exported import unpack_parts
from ..memory import large
from ..memory.arena import Arena
from ..memory.descriptors import receive_with_fds, send_with_fds
from ..memory.walker import Walker
from . import checkpoint
from .files import Files
from .wal import segment_number

NICENESS = 10  # the grid's own work goes first


class Conversation(object):
    """Lines of JSON over a socket."""

    def __init__(self, sock):
        self._sock = sock
        self._buffer = b""
        self._fds = []

    def send(self, message, fds=()):
        """Send a message, and descriptors with it; raises OSError."""
        line = json.dumps(message).encode() + b"\n"
        sent = send_with_fds(self._sock, line, list(fds)) if fds else 0
        self._sock.sendall(line[sent:])

    def take_fd(self):
        """The descriptor that came with the last message; the caller's to close."""
        if not self._fds:
            raise PeerError("a descriptor was said to come and did not")
        return self._fds.pop()

    def pending(self):
        """Whether a whole message has come that nobody has taken."""
        return b"\n" in self._buffer

    def wait_for_end(self):
        """Wait until the other side has closed the socket, or is gone."""
        while self._sock.recv(65536):
            continue

    def receive(self):
        """The next message; EOFError when the other side is gone."""
        while b"\n" not in self._buffer:
            data, fds = receive_with_fds(self._sock, 65536)
            self._fds += fds
            if not data:
                raise EOFError("the coordinator is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line.decode())


def run(arena, conversation):
    """Make the checkpoint that the coordinator asks for."""
    asked = conversation.receive()
    plan = checkpoint.Plan(asked["directory"], asked["final"], asked["lineage"], asked["start_lsn"])
    replaced = []

    def position():
        conversation.send({"walked": True})
        answer = conversation.receive()
        pieces = [tuple(piece) for piece in answer["pieces"]]
        replaced.extend(path for path, _, _ in pieces)
        return answer["lsn"], pieces, answer["keys"]

    def progress(keys, size_bytes):
        conversation.send({"keys": keys, "bytes": size_bytes})

    def read_large(number):
        conversation.send({"large": number})
        size_bytes = conversation.receive()["size"]
        if not size_bytes:
            return None
        fd = conversation.take_fd()
        try:
            return large.read(fd, size_bytes)
        finally:
            os.close(fd)

    def read_structures(numbers):
        conversation.send({"structures": numbers})
        answer = conversation.receive()
        size_bytes, left = answer["size"], answer["left"]
        if size_bytes < 0 or len(left) >= len(numbers):
            raise PeerError("the coordinator has no memory to hand over its structures")
        if not size_bytes:
            return {}, left
        fd = conversation.take_fd()
        try:
            return unpack_parts(large.read(fd, size_bytes)), left
        finally:
            os.close(fd)

    files = Files()
    walker = Walker(arena.words, arena.map, arena.header, read_large=read_large, read_structures=read_structures)
    try:
        made = checkpoint.make(files, walker, plan, position, progress)
    except NosqgridError as error:
        conversation.send({"error": str(error), "code": error.code})
        return 1
    held = _hold(files, replaced + ([] if plan.final is not None else _older(files, plan.directory, made.lsn)))
    conversation.send(made._asdict())
    conversation.wait_for_end()
    for fd in held:
        files.close(fd)
    return 0


def _older(files, directory, lsn):
    """The checkpoints of a directory before `lsn`, and all segments of its log: the coordinator knows which to keep."""
    try:
        names = files.names(directory)
    except OSError:
        return []
    return [os.path.join(directory, name) for name in names
            if segment_number(name) is not None or (checkpoint.checkpoint_lsn(name) or lsn) < lsn]


def _hold(files, paths):
    """Descriptors of those of the files that are there."""
    held = []
    for path in paths:
        try:
            held.append(files.open(path))
        except OSError:
            continue  # gone, or one descriptor too many: then removing it costs the coordinator what it costs
    return held


def main(arguments):
    """See the module; the exit status."""
    os.nice(NICENESS)
    arena_fd, socket_fd = int(arguments[0]), int(arguments[1])
    arena = Arena.attach(arena_fd)
    os.close(arena_fd)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, socket_fd) as sock:
        try:
            return run(arena, Conversation(sock))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
