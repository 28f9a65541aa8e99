"""The two ends of a lane (layout: formats/lane).

Each end trusts nothing that the other can write: positions are compared with what can be, data is copied out before it
is looked at.  A client that dies at any line leaves whole frames, which are applied, or a tail that was not stored,
which was never said; the coordinator forgets the lane with the connection.
"""

from ..errors import LaneError
from ..formats import lane as layout
from ..limits import LANE_PINS_MAX, LANE_REPLY_BYTES, LANE_REQUEST_BYTES
from . import ring, shared_file

TAKE_BYTES_MAX = 96 * 1024  # at a time: some 700 small sets, about a millisecond


class CoordinatorLane(object):
    """The coordinator's end."""

    def __init__(self, **options):
        self.file = shared_file.create("nosqgrid-lane", layout.LANE_SIZE_BYTES, seal_future_write=False, **options)
        self.file.reserve(0, layout.LANE_SIZE_BYTES)
        self.map = self.file.map_writable()
        self.words = memoryview(self.map).cast("Q")
        self.head = 0
        self._reply_tail = 0
        self._notes_head = 0

    def take(self, bytes_max=TAKE_BYTES_MAX):
        """(bytes, more): what was posted and not yet served, so much at most, and whether there is more behind it."""
        count = self.words[layout.TAIL] - self.head
        if not 0 <= count <= LANE_REQUEST_BYTES:
            raise LaneError("the tail of a lane stands %d bytes before its head" % count)
        taken = min(count, bytes_max)
        data = ring.copy_out(self.map, layout.REQUEST_OFFSET_BYTES, LANE_REQUEST_BYTES, self.head, taken)
        return data, taken < count

    def finish(self, head):
        """The effects of everything before `head` are visible."""
        self.head = head
        self.words[layout.HEAD] = head

    def reply(self, position, data):
        """Put the reply for the frame that ends at `position` into the ring; false where there is no room."""
        size = layout.REPLY_HEADER.size
        room = LANE_REPLY_BYTES - (self._reply_tail - self.words[layout.REPLY_HEAD])
        if not 0 <= room <= LANE_REPLY_BYTES:
            raise LaneError("the reply head of a lane leaves %d bytes of room" % room)
        if room < size + len(data):
            if room < size:
                raise LaneError("a client does not take its replies out of its lane")
            self._put(layout.REPLY_HEADER.pack(position, layout.ON_SOCKET))
            return False
        self._put(layout.REPLY_HEADER.pack(position, len(data)) + data)
        return True

    def fail(self, position, data):
        """Like reply(), for an error.  Of many failed frames of one call those that find room are told."""
        room = LANE_REPLY_BYTES - (self._reply_tail - self.words[layout.REPLY_HEAD])
        if room >= layout.REPLY_HEADER.size + len(data):
            self._put(layout.REPLY_HEADER.pack(position, len(data)) + data)
        self.words[layout.FAILED_AT] = position

    def _put(self, data):
        ring.copy_in(self.map, layout.REPLY_OFFSET_BYTES, LANE_REPLY_BYTES, self._reply_tail, data)
        self._reply_tail += len(data)
        self.words[layout.REPLY_TAIL] = self._reply_tail

    def take_notes(self):
        """The slots that the client noted since, as far as they are still there; they may be anything."""
        tail = self.words[layout.NOTES_TAIL]
        count, self._notes_head = tail - self._notes_head, tail
        if count == 0:
            return ()
        notes = self.words[layout.NOTES:layout.NOTES + layout.NOTES_MAX].tolist()
        if not 0 < count < layout.NOTES_MAX:
            return notes
        start = (tail - count) % layout.NOTES_MAX
        return (notes + notes)[start:start + count]

    def pins(self):
        """[(what, since_ms)] of what the client keeps in use."""
        used = min(self.words[layout.PINS_USED], LANE_PINS_MAX)
        if not used:
            return []
        table = self.words[layout.PINS_WORD:layout.PINS_WORD + layout.PIN_WORDS * used].tolist()
        return [pin for pin in zip(table[::2], table[1::2]) if pin[0]]

    def close(self):
        self.words.release()
        self.map.close()
        self.file.close()


class ClientLane(object):
    """The client's end; `fd` is what the coordinator sent and can be closed afterwards."""

    def __init__(self, fd):
        self.map = shared_file.map_shared(fd, layout.LANE_SIZE_BYTES)
        self.words = memoryview(self.map).cast("Q")

    def room(self, tail):
        """How many bytes can be posted behind `tail`."""
        return LANE_REQUEST_BYTES - (tail - self.words[layout.HEAD])

    def post(self, tail, frames):
        """Post whole frames for which there is room; the new tail.  They are posted by the one store at the end."""
        ring.copy_in(self.map, layout.REQUEST_OFFSET_BYTES, LANE_REQUEST_BYTES, tail, frames)
        tail += len(frames)
        self.words[layout.TAIL] = tail
        return tail

    def take_replies(self, beware=None):
        """[(position, data)] of all that is in the reply ring, data None for a reply that comes over the socket.

        If there is one of those, beware() is called before they are taken: from then on the socket owes a reply.
        """
        words, head = self.words, self.words[layout.REPLY_HEAD]
        count = words[layout.REPLY_TAIL] - head
        if not 0 <= count <= LANE_REPLY_BYTES:
            raise LaneError("the reply tail of a lane stands %d bytes before its head" % count)
        data = ring.copy_out(self.map, layout.REPLY_OFFSET_BYTES, LANE_REPLY_BYTES, head, count)
        replies, at = [], 0
        while at < count:
            position, length = layout.REPLY_HEADER.unpack_from(data, at)
            at += layout.REPLY_HEADER.size
            if length == layout.ON_SOCKET:
                replies.append((position, None))
                if beware is not None:
                    beware()
                continue
            if length > count - at:
                raise LaneError("a reply of %d bytes in a ring that holds %d" % (length, count - at))
            replies.append((position, data[at:at + length]))
            at += length
        words[layout.REPLY_HEAD] = head + count
        return replies
