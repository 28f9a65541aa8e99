"""Record what several processes asked of a grid and what they were told, so that it can be checked afterwards.

Every process (and every thread, for the checkers know no difference) has a Recorder with a file of its own and appends
one line before each operation and one after it:

    ["c", number, op, [arguments], time]      a call is about to leave
    ["r", number, result, time]               its result came
    ["x", number, time]                       it was refused and changed nothing

`merge` turns the files of a directory into linearizability.Operation tuples.  Lines are JSON, with bytes as
{"b": "their latin-1 text"}; lists come back as tuples, because the checkers compare and hash them.  Times are ns of the
monotonic clock, which is one for all processes of a machine.

Failure: each line is a single write to the kernel, so that a process killed at any instruction leaves all lines it
made.  A call without a result is an operation of unknown outcome, which is what it was.  The last line of a file may be
torn and is then dropped (a torn call has not left yet; a torn result makes its call unknown, which is always
admissible); a line that does not parse anywhere else is an error.
"""

import json
import os
import time

from tests.support.linearizability import DELETE, READ, UNKNOWN, WRITE, Operation, VersionedOperation

SUFFIX = ".history"


def clock_ns():
    """The monotonic clock in ns; time.monotonic_ns came with 3.7."""
    return int(time.monotonic() * 1e9)


class Recorder:
    """Appends the operations of one sequential process to `<directory>/<process>.history`.

    Cost: two writes of some 60 bytes an operation, about 6 us on a slow machine.
    """

    def __init__(self, directory, process):
        self.process = str(process)
        self._number = 0
        self._descriptor = os.open(os.path.join(directory, self.process + SUFFIX),
                                   os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def run(self, op, args, function, refused=()):
        """Record function() as operation `op` with args (the key first), and return its result.

        An exception in `refused` means that nothing was changed: the operation is left out of the history.  After any
        other the outcome is unknown.  Both are raised on.
        """
        number = self.call(op, args)
        try:
            result = function()
        except tuple(refused):
            self.refused(number)
            raise
        self.returned(number, result)
        return result

    def call(self, op, args):
        """An operation is about to begin; returns its number."""
        self._number += 1
        self._append(["c", self._number, op, list(args), clock_ns()])
        return self._number

    def returned(self, number, result):
        """The operation came back."""
        self._append(["r", number, result, clock_ns()])

    def refused(self, number):
        """The operation came back without having changed or answered anything."""
        self._append(["x", number, clock_ns()])

    def _append(self, fields):
        line = json.dumps(fields, default=_packed, separators=(",", ":")).encode("ascii") + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError("no room for the history of process %s" % self.process)

    def close(self):
        os.close(self._descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def _packed(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b": bytes(value).decode("latin-1")}
    raise TypeError("a history holds no %s: %r" % (type(value).__name__, value))


def _unpacked(value):
    if isinstance(value, dict):
        return value["b"].encode("latin-1")
    if isinstance(value, list):
        return tuple(_unpacked(member) for member in value)
    return value


def merge(directory):
    """Every operation recorded in a directory, as Operation tuples in the order of their calls.

    Raises ValueError when a line that is not the last of its file is damaged.
    """
    operations = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(SUFFIX):
            operations.extend(read(os.path.join(directory, name)))
    operations.sort(key=lambda operation: operation.call_time)
    return operations


def read(path):
    """The operations in one file; their process is the file's name without its suffix."""
    process = os.path.basename(path)[:-len(SUFFIX)]
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    # Behind the last newline there is nothing, or a line torn by a kill.
    calls = {}
    for index, line in enumerate(lines[:-1]):
        try:
            fields = json.loads(line.decode("ascii"))
            _apply(fields, calls, process)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError("%s, line %d is damaged: %r" % (path, index + 1, line[:100])) from error
    return list(calls.values())


def _apply(fields, calls, process):
    kind, number = fields[0], fields[1]
    if kind == "c":
        _, _, op, args, begun = fields
        calls[number] = Operation(process, op, _unpacked(args), None, begun, UNKNOWN)
    elif kind == "r":
        _, _, result, ended = fields
        calls[number] = calls[number]._replace(result=_unpacked(result), return_time=ended)
    elif kind == "x":
        del calls[number]
    else:
        raise ValueError("no line begins with %r" % kind)


# -- histories with versions: get(key) recorded as (value, version), set(key, value) as the version it got -------------


def without_versions(operations):
    """The same history for find_violation, which believes values only."""
    return [operation._replace(result=operation.result[0])
            if operation.op == "get" and operation.return_time != UNKNOWN else operation for operation in operations]


def with_versions(operations):
    """The same history for find_version_violation; reads of unknown outcome say nothing and are left out."""
    found = []
    for operation in operations:
        known, key = operation.return_time != UNKNOWN, operation.args[0]
        if operation.op == "get" and known:
            kind, (value, version) = READ, operation.result
        elif operation.op == "set":
            kind, value, version = WRITE, operation.args[1], operation.result if known else None
        elif operation.op == "delete":
            kind, value, version = DELETE, None, None
        elif operation.op == "get":
            continue
        else:
            raise ValueError("only get, set and delete carry versions, not %s" % operation.op)
        found.append(VersionedOperation(operation.process, kind, key, value, version or (0 if kind == READ else None),
                                        operation.call_time, operation.return_time))
    return found
