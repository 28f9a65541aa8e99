"""Bytes that arrive in pieces of any size: what the command parser and the reply reader have in common.

Small things (headers, lines) are found in `_buffer` from `_position` on.  A bulk string that is not there yet is
`collected` aside, so that each of its bytes is copied a fixed number of times whatever the sizes of the pieces: joining
the buffer with each new piece would make a 64 MiB value quadratic, and a list of pieces would cost fifty bytes of
memory for each byte of somebody who sends them singly.

Invariants
 1. While a bulk string is collected (`_missing` > 0) the buffer is empty: whatever arrives belongs to it first.
 2. Nothing is reserved for a declared length; memory grows with what has really arrived.
 3. After the first ProtocolError the object is dead: it drops its buffers, ignores what it is fed, and raises the same
    error again.  Where a stream is out of step there is no next command to find.
"""

import re

from .. import errors

CRLF = b"\r\n"
BELL = b"\x07"
BELL_BYTE = 7

# A header is a type byte, at most ten digits and CRLF.
HEADER_BYTES_MAX = 13

# int() would take "+3", " 3", "3_0" and digits of other scripts.
_match_number = re.compile(rb"(?:0|[1-9][0-9]{0,9})").fullmatch
_match_number_begun = re.compile(rb"(?:(?:0|[1-9][0-9]{0,9})\r?)?").fullmatch

# Short lengths are looked up: four times faster than matching and converting.
SMALL_NUMBERS = {b"%d" % number: number for number in range(1024)}


def checked_number(token, largest):
    """The number that a header's digits stand for, or None where they are none or it exceeds `largest`."""
    if not _match_number(token):
        return None
    number = int(token)
    return number if number <= largest else None


def may_become_header(begun):
    """Whether bytes after a type byte, still without CRLF, can be the beginning of a header's rest."""
    return _match_number_begun(begun) is not None


class Incoming:
    """The bytes fed and not yet consumed.

    Call the subclass's next() until it has no more before feeding again: each feed copies what was left over.
    """

    def __init__(self):
        self.bells = 0  # BELL bytes skipped so far
        self._buffer = b""
        self._position = 0
        self._collected = bytearray()
        self._missing = 0  # bytes of the collected bulk string still to come, its CRLF included
        self._failure = ""

    @property
    def failed(self):
        """Whether a ProtocolError was raised: close the connection."""
        return self._failure != ""

    @property
    def pending_size_bytes(self):
        """How many bytes were fed and wait here for the rest."""
        return len(self._buffer) - self._position + len(self._collected)

    def feed(self, data):
        """Add bytes (bytes, bytearray or memoryview), in pieces of any size."""
        if self._failure:
            return
        if self._missing:
            piece = data[:self._missing]
            self._collected += piece
            self._missing -= len(piece)
            data = data[len(piece):]
        if self._position == len(self._buffer):
            self._buffer = bytes(data)
        else:
            self._buffer = b"%b%b" % (self._buffer[self._position:], data)
        self._position = 0

    def _collect(self, size_bytes):
        """Set the rest of the buffer aside as the beginning of a bulk string of so many bytes with its CRLF."""
        self._collected += self._buffer[self._position:]
        self._missing = size_bytes - len(self._collected)
        self._buffer = b""
        self._position = 0

    def _take_collected(self):
        """The bulk string that was collected, now that nothing is missing."""
        if not self._collected.endswith(CRLF):
            raise self._fail("a bulk string must end with CRLF")
        taken = bytes(memoryview(self._collected)[:-2])
        self._collected = bytearray()
        return taken

    def _fail(self, reason):
        """The ProtocolError to raise, now and for ever (Invariant 3)."""
        self._failure = "Protocol error: " + reason
        self._buffer = b""
        self._position = 0
        self._collected = bytearray()
        self._missing = 0
        return errors.ProtocolError(self._failure)

    def _raise_failure(self):
        raise errors.ProtocolError(self._failure)
