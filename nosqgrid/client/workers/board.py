"""What a worker process shows to its parent: a small file that it writes over when a job begins and ends.

A pipe would wake the parent for each job.  A write of one slot may be read half done, so a slot says how long it is and
its crc32; what does not fit together is looked at again later.

    offset  size
         0     8   crc32 of the text, as hexadecimal digits
         8     4   length of the text, the same
        12     -   fields with newlines between: done, failed, begun_ms (0: idle), deadline_ms, receipt, id, kind
"""

import os
import tempfile
import zlib
from collections import namedtuple

SLOT_BYTES = 2048
_HEAD_BYTES = 12

Shown = namedtuple("Shown", "done failed begun_ms deadline_ms receipt id kind")
NOTHING = Shown(0, 0, 0, 0, 0, b"", b"")


class Board(object):
    """A file with a slot for each thread of a worker process.  The parent makes it; both have it after the fork."""

    def __init__(self, slots):
        self._file = tempfile.TemporaryFile(prefix="nosqgrid-worker-")
        self._fd = self._file.fileno()
        self.slots = slots
        self._ready_at = slots * SLOT_BYTES
        self._last = [NOTHING] * slots

    def show(self, slot, shown):
        """Write a slot; texts too long for it are left out."""
        text = b"%d\n%d\n%d\n%d\n%d\n" % shown[:5]
        names = b"%s\n%s" % (shown.id, shown.kind.replace(b"\n", b" ")[:200])
        text += names if len(names) < SLOT_BYTES - 200 and b"\n" not in shown.id else b"\n"
        os.pwrite(self._fd, b"%08x%04x" % (zlib.crc32(text), len(text)) + text, slot * SLOT_BYTES)

    def look(self, slot):
        """What a slot shows, as a Shown; what it showed before where it is just being written."""
        data = os.pread(self._fd, SLOT_BYTES, slot * SLOT_BYTES)
        try:
            crc, length = int(data[:8], 16), int(data[8:_HEAD_BYTES], 16)
            text = data[_HEAD_BYTES:_HEAD_BYTES + length]
            fields = text.split(b"\n")
            if zlib.crc32(text) == crc and len(fields) == len(NOTHING):
                self._last[slot] = Shown(*[int(field) for field in fields[:5]], fields[5], fields[6])
        except ValueError:
            return self._last[slot]
        return self._last[slot]

    def ready(self):
        """The process has what it needs, and begins to work."""
        os.pwrite(self._fd, b"r", self._ready_at)

    def is_ready(self):
        """Whether it ever did."""
        return os.pread(self._fd, 1, self._ready_at) == b"r"

    def close(self):
        """The file goes with the last process that has it."""
        self._file.close()
