"""A lane: two byte rings in one shared file, through which one client and the coordinator talk without system calls.

    page 0   control words, each written by one side only
             client        0 TAIL         bytes posted to the request ring, ever
                           1 REPLY_HEAD   bytes taken out of the reply ring, ever
                           2 WAITING      the HEAD that the client blocks on its socket for, 0 while it does not
                           3 PINS_USED    how many pins of the table below the client has ever used
                           4 NOTES_TAIL   how many hits it has noted, ever
                          64 NOTES        the slots of the last NOTES_MAX of those hits
             coordinator  16 HEAD         bytes of the request ring whose effects are visible, ever
                          17 REPLY_TAIL   bytes put into the reply ring, ever
                          18 RESULT       of the last frame with a fixed result: a version, a count
                          19 FAILED_AT    the HEAD behind the last frame that failed; its error is in the reply ring
    then     the request ring, LANE_REQUEST_BYTES, the reply ring, LANE_REPLY_BYTES, and the pins, LANE_PINS_MAX of them

A request frame is a record body (formats/records) whose flags say the operation in their upper bits:

    SET      the record to store: copied into the heap as it is
    DELETE   a key and no value; RESULT is 1 or 0
    COMMAND  no key; the value is a RESP command, its RESP reply comes in the reply ring
    BATCH    no key; the value is a sequence of frames, applied together or not at all; the reply is a RESP array
    LOCK     the key is a lock's name, the value the number of the request (8 bytes) and the name of the thread that
             asks, the type LOCK_DEEPER where it may be had again by its holder; RESULT is the token, with
             LOCK_ABANDONED, or 0 where it cannot be had at once
    UNLOCK   the key is a lock's name, the value its token (8 bytes); RESULT is the depth that is left

A frame is at most LANE_FRAME_BYTES_MAX long; what is longer goes over the socket.  A reply frame is the HEAD behind the
request it answers (8 bytes), a length (4 bytes) and so many bytes of RESP; the length ON_SOCKET says that the reply did
not fit and comes over the socket.  Frames in a ring wrap around byte by byte.

Hits are noted for grids that evict: which slot of the index was read, at NOTES_TAIL modulo NOTES_MAX.  The notes are
lossy: what the coordinator does not fetch in time is overwritten.

A pin is two words that the client writes: what it keeps in use, and since when (ms of the monotonic clock).  The first
word is 0 for none, or in its two upper bits:

    PIN_HEAP      a record in the heap, by its slot word without the tag: its segment is not used again
    PIN_LARGE     a large value, by its number: its memory counts as used, and a shared one is kept
    PIN_LEAVING   the same up to the moment that the second word says, for a reference that is on its way to somebody

A pin is made and ended by one store, without a message, and ends with its client.
"""

import struct

from ..limits import LANE_PINS_MAX, LANE_REPLY_BYTES, LANE_REQUEST_BYTES
from .slots import TAG_SHIFT

CONTROL_SIZE_BYTES = 4096
REQUEST_OFFSET_BYTES = CONTROL_SIZE_BYTES
REPLY_OFFSET_BYTES = REQUEST_OFFSET_BYTES + LANE_REQUEST_BYTES
PINS_OFFSET_BYTES = REPLY_OFFSET_BYTES + LANE_REPLY_BYTES
PIN_WORDS = 2
PINS_WORD = PINS_OFFSET_BYTES // 8  # the first pin
LANE_SIZE_BYTES = PINS_OFFSET_BYTES + LANE_PINS_MAX * PIN_WORDS * 8

TAIL = 0
REPLY_HEAD = 1
WAITING = 2
PINS_USED = 3
NOTES_TAIL = 4
HEAD = 16
REPLY_TAIL = 17
RESULT = 18
FAILED_AT = 19

NOTES = 64
NOTES_MAX = 64

SET = 0
DELETE = 4
COMMAND = 8
BATCH = 12
LOCK = 20
UNLOCK = 24
OPERATIONS = frozenset((SET, DELETE, COMMAND, BATCH, LOCK, UNLOCK))
WITH_RESULT = frozenset((SET, DELETE, LOCK, UNLOCK))  # in the word, and no reply
OPERATION_MASK = 0xFC

LOCK_DEEPER = 1
LOCK_NUMBER = struct.Struct("<Q")
LOCK_ABANDONED = 1 << 62  # of RESULT
_HEAD = struct.Struct("<IHBB")  # of a record body

PIN_KIND_SHIFT = 62
PIN_HEAP = 1 << PIN_KIND_SHIFT
PIN_LARGE = 2 << PIN_KIND_SHIFT
PIN_LEAVING = 3 << PIN_KIND_SHIFT
PIN_KIND_MASK = 3 << PIN_KIND_SHIFT
PIN_VALUE_MASK = (1 << TAG_SHIFT) - 1

REPLY_HEADER = struct.Struct("<QI")
ON_SOCKET = 0xFFFFFFFF

BELL = b"\x07"  # on the socket, between commands or replies: look at the lane


def pack_lock(name, number, thread=b"", deeper=False):
    """The frame that asks for a lock, and takes nothing for an answer but to have it at once."""
    return (_HEAD.pack(LOCK_NUMBER.size + len(thread), len(name), LOCK_DEEPER if deeper else 0, LOCK) + name
            + LOCK_NUMBER.pack(number) + thread)


def pack_unlock(name, token):
    """The frame that gives a lock back."""
    return _HEAD.pack(LOCK_NUMBER.size, len(name), 0, UNLOCK) + name + LOCK_NUMBER.pack(token)
