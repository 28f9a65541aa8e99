"""Who listens to changes of keys: LISTEN.

A ring holds what happened to the keys with a prefix: a topic (engine/structures/topics) of its own that is in no
keyspace, whose messages are events.  So events have numbers, cursors and bounds as messages have, and who reads too
slowly is told how many he missed.  All who listen to the same share a ring; a ring knows nobody who reads it.

Invariants
 1. While there are rings the keyspace tells of changes; while there is none it does not, and nothing here costs
    anything.
 2. A ring is there as long as a session holds it, or somebody waits for it, and keep_ms longer where that did not end
    with release(): who is killed goes on at his cursor.
 3. The memory of a ring is charged before it is used; where there is no more, its oldest events go.
 4. Events of one key are in the order of its changes.  What a batch does to a key is one event: what came out of it.

A kill of the coordinator takes the rings; cursors into them are lost then, and that is told.
"""

from ..errors import CommandError, CursorLostError, GridFullError
from ..limits import KIB, MIB
from .budget import STRUCTURES
from .changes import CLEAR, DELETE, SET
from .databases import COUNT, PREFIX, name_of, number_of, prefix_of
from .structures.topics import BORN_BYTES, HEAD, Topic

KEEP_MS = 60 * 1000  # a ring without holders
KEEP_MS_MAX = 24 * 3600 * 1000
RINGS_MAX = 256
CHARGED_BYTES_MAX = 64 * MIB  # for all rings together
EVENTS_MAX = 10000
EVENT_BYTES_MAX = MIB  # of the events of a ring, 9 bytes and the key each
STEP_BYTES = 64 * KIB  # charged at a time
SLEEP_S_MAX = 3600.0
_WAITED = b"\xff\x00listen"  # before the birth of a ring: what its readers wait for


class Ring(object):
    """Events of the keys of a database with a prefix; `kinds` are bytes, one for each kind that is meant."""

    def __init__(self, born, database, prefix, kinds):
        self.topic = Topic()
        self.topic.born = born
        self.topic.records_max, self.topic.bytes_max = EVENTS_MAX, EVENT_BYTES_MAX
        self.waited = _WAITED + born
        self.database = database
        self.prefix = prefix_of(database) + prefix
        self.kinds = kinds
        self.holders = {}  # session -> how often it listens
        self.until_ms = 0
        self.keep_ms = 0
        self.charged_bytes = 0


class Listening(object):
    """All rings of one grid."""

    def __init__(self, keyspace):
        self._keyspace = keyspace
        self._rings = {}  # birth -> Ring
        self._by_length = {}  # length of a prefix -> {prefix: [Ring]}
        self._charged_bytes = 0

    def __len__(self):
        return len(self._rings)

    # -- who listens --------------------------------------------------------------------------------------------------

    def hold(self, session, prefix, kinds, keep_ms, random_bits):
        """Let a session listen to the keys of its database with a prefix; the Ring.  Raises GridFullError."""
        for ring in self._by_length.get(len(prefix_of(session.database)) + len(prefix), {}).get(
                prefix_of(session.database) + prefix, ()):
            if ring.database == session.database and ring.kinds == kinds:
                break
        else:
            ring = self._make(session.database, prefix, kinds, random_bits)
        self._held(ring, session, keep_ms)
        return ring

    def hold_again(self, session, born, keep_ms):
        """Let a session listen to a ring that is there; the Ring.  Raises CursorLostError."""
        ring = self.find(born)
        self._held(ring, session, keep_ms)
        return ring

    def _held(self, ring, session, keep_ms):
        ring.holders[session] = ring.holders.get(session, 0) + 1
        ring.keep_ms = max(ring.keep_ms, keep_ms)

    def find(self, born):
        """The ring with this birth.  Raises CursorLostError."""
        ring = self._rings.get(born)
        if ring is None:
            raise CursorLostError("the events behind this cursor are not kept any more: nobody listened for too long, "
                                  "or the coordinator that had them is gone; what was missed is not known; listen "
                                  "anew, and look at the keys once after that")
        return ring

    def _make(self, database, prefix, kinds, random_bits):
        if len(self._rings) >= RINGS_MAX:
            raise CommandError("%d prefixes are listened to, and there may not be more; listen to a common prefix, or "
                               "close listeners" % RINGS_MAX)
        born = None
        while born is None or born in self._rings:
            born = random_bits(8 * BORN_BYTES).to_bytes(BORN_BYTES, "little")
        ring = Ring(born, database, prefix, kinds)
        self._charge(ring)
        self._rings[ring.topic.born] = ring
        self._by_length.setdefault(len(ring.prefix), {}).setdefault(ring.prefix, []).append(ring)
        if len(self._rings) == 1:
            self._keyspace.tell_changes(self.changed, hot=self._set)
        return ring

    def _charge(self, ring):
        """Charge a step more for a ring.  Raises GridFullError."""
        if self._charged_bytes >= CHARGED_BYTES_MAX:
            raise GridFullError("the events of all listeners together take %d bytes" % self._charged_bytes)
        self._keyspace.budget.take(STRUCTURES, STEP_BYTES)
        self._charged_bytes += STEP_BYTES
        ring.charged_bytes += STEP_BYTES

    def seen(self, ring):
        """Somebody reads it."""
        ring.until_ms = self._keyspace.now_ms + ring.keep_ms

    def release(self, session, born):
        """A session listens no more; with the last one the ring goes.  Whether it listened."""
        ring = self._rings.get(born)
        if ring is None or session not in ring.holders:
            return False
        ring.holders[session] -= 1
        if not ring.holders[session]:
            del ring.holders[session]
        if not ring.holders:
            self._drop(ring)
        return True

    def session_ended(self, session):
        """The session is gone; its rings stay for a while."""
        for ring in self._rings.values():
            if ring.holders.pop(session, None):
                self.seen(ring)

    def _drop(self, ring):
        del self._rings[ring.topic.born]
        self._keyspace.budget.give_back(STRUCTURES, ring.charged_bytes)
        self._charged_bytes -= ring.charged_bytes
        rings = self._by_length[len(ring.prefix)]
        rings[ring.prefix].remove(ring)
        if not rings[ring.prefix]:
            del rings[ring.prefix]
        if not rings:
            del self._by_length[len(ring.prefix)]
        if ring.waited in self._keyspace.waited:
            self._keyspace.ready.append(ring.waited)
        if not self._rings:
            self._keyspace.tell_changes(self.changed, False)

    # -- what they hear -----------------------------------------------------------------------------------------------

    def changed(self, key, kind):
        """Something has happened to a key, or to all (None): see Batches.tell_changes."""
        if kind is None:
            return
        if kind == CLEAR:
            for ring in self._rings.values():
                if DELETE in ring.kinds:
                    self._add(ring, kind, b"")
            return
        number = number_of(key) if key >= PREFIX else 0
        if number >= COUNT:
            return
        for length, rings in self._by_length.items():
            for ring in rings.get(key[:length], ()):
                if kind in ring.kinds and ring.database == number:
                    self._add(ring, kind, name_of(key) if number else key)

    def _set(self, key):
        self.changed(key, SET)

    def _add(self, ring, kind, name):
        keyspace, topic = self._keyspace, ring.topic
        now_ms = keyspace.wall_ms()
        record = HEAD.pack(now_ms, kind) + name
        topic.append(record, topic.room_for(record, now_ms))
        while topic.size_bytes > ring.charged_bytes:
            try:
                self._charge(ring)
            except GridFullError:
                topic.apply([b"pub", b"1"])
        if ring.waited in keyspace.waited:
            keyspace.ready.append(ring.waited)

    # -- of the loop --------------------------------------------------------------------------------------------------

    def tick(self, now):
        """Called now and then by the loop, which has set the keyspace's time."""
        if self._rings:
            now_ms, waited = self._keyspace.now_ms, self._keyspace.waited
            for ring in list(self._rings.values()):
                if ring.waited in waited:
                    self.seen(ring)
                elif not ring.holders and now_ms >= ring.until_ms:
                    self._drop(ring)

    def sleep_s(self, now):
        """For how many seconds nothing has to be done here."""
        left = [ring.until_ms - self._keyspace.now_ms for ring in self._rings.values() if not ring.holders]
        return max(min(left), 1) / 1000.0 if left else SLEEP_S_MAX
