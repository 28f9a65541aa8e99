"""Random work on a keyspace with structures, and a plain account of what it has to lead to.

The account keeps each structure as a mirror that goes through the same changes, and each string as its bytes; `shown`
turns both, and what the keyspace has, into plain Python values.
"""

import itertools
import struct

from nosqgrid.engine import databases
from nosqgrid.engine.structures import topics
from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.engine.structures.ids import LAST, ZERO
from nosqgrid.errors import GridFullError, StorageError
from nosqgrid.formats import values
from tests.support.queue_model import job_words, record_of

KINDS = tuple(sorted(CLASSES))
_ID = struct.Struct(">QQ")


def shown(structure):
    """The plain value of a structure, order included where it means something."""
    kind = structure.TYPE
    if kind == values.LIST:
        return "list", tuple(structure)
    if kind == values.HASH:
        return "hash", frozenset(structure.items.items())
    if kind == values.SET:
        return "set", frozenset(structure.items)
    if kind == values.ZSET:
        return "zset", tuple(structure.listed()), frozenset(structure.scores.items())
    if kind == values.GRANTS:
        return "grants", frozenset(structure.items.items()), structure.high
    if kind == values.QUEUE:
        return "queue", frozenset(structure.jobs.items()), frozenset(structure.settings.items()), structure.next_number
    if kind == values.SCHEDULES:
        return "schedules", frozenset(structure.items.items()), structure.first()
    if kind == values.TOPIC:
        return ("topic", structure.born, structure.last, structure.first, structure.ancestors) + structure.bounds() + (
            tuple(structure.records()),)
    groups = tuple((name, group.last_id, group.entries_read, tuple(
        (consumer.name, consumer.seen_ms, tuple((entry_id, pending.time_ms, pending.count)
                                                for entry_id, pending in consumer.pending.items()))
        for _, consumer in sorted(group.consumers.items()))) for name, group in sorted(structure.groups.items()))
    entries = tuple((entry_id, tuple(words)) for entry_id, words in structure.range(ZERO, LAST))
    return "stream", entries, structure.last_id, structure.max_deleted_id, structure.entries_added, groups


def contents(keyspace):
    """{key: (plain value, deadline_ms)} of all that lives."""
    found, cursor = {}, 0
    while True:
        cursor, keys = keyspace.scan(cursor, 1000)
        for key in keys:
            entry = keyspace.lookup(key)
            value = (entry.type, entry.value) if entry.structure is None else shown(entry.structure)
            found[key] = value, entry.deadline_ms
        if not cursor:
            return found


class Changes(object):
    """Random changes that fit a structure; `size` is how long elements may be."""

    def __init__(self, rng, size=20, many=6):
        self.rng, self.size, self.many = rng, size, many
        self._ids = itertools.count(1)

    def change(self, structure):
        """Words that can be applied to this structure as it is."""
        return getattr(self, "_" + values.STRUCTURE_NAMES[structure.TYPE])(structure)

    def _word(self):
        return b"%d:" % self.rng.randrange(60) + b"x" * self.rng.randrange(self.size)

    def _words(self):
        return [self._word() for _ in range(self.rng.randrange(1, self.many))]

    def _list(self, structure):
        rng, count = self.rng, len(structure)
        choices = [[rng.choice((b"rpush", b"lpush"))] + self._words()] * 3
        if count:
            choices += [[rng.choice((b"lpop", b"rpop"))], [b"set", b"%d" % rng.randrange(count), self._word()],
                        [b"trim", b"%d" % rng.randrange(2), b"0"], [b"del", b"%d" % rng.randrange(count)],
                        [b"ins", b"%d" % rng.randrange(count + 1), self._word()], [b"rotate", b"1"]]
        return rng.choice(choices)

    def _hash(self, structure):
        rng = self.rng
        if structure.items and rng.random() < 0.4:
            names = sorted(structure.items)
            return [b"hdel"] + rng.sample(names, rng.randrange(1, min(len(names), 4) + 1))
        return [b"hset"] + list(itertools.chain.from_iterable((word, self._word()) for word in self._words()))

    def _set(self, structure):
        rng = self.rng
        if structure.items and rng.random() < 0.4:
            names = sorted(structure.items)
            return [b"srem"] + rng.sample(names, rng.randrange(1, min(len(names), 4) + 1))
        return [b"sadd"] + self._words()

    def _zset(self, structure):
        rng = self.rng
        if structure.scores and rng.random() < 0.4:
            names = sorted(structure.scores)
            return [b"-"] + rng.sample(names, rng.randrange(1, min(len(names), 4) + 1))
        return [b"+"] + list(itertools.chain.from_iterable(
            (struct.pack("<d", rng.randrange(-5, 50)), word) for word in dict.fromkeys(self._words())))

    def _schedules(self, structure):
        rng, key = self.rng, self._word()
        numbers = [b"%d" % rng.randrange(1000) for _ in range(3)]
        if structure.items and rng.random() < 0.5:
            key = rng.choice(sorted(structure.items))
            return rng.choice(([b"del", key], [b"tick", key] + numbers + [self._word()]))
        return [b"set", key] + numbers + [b"", b"EVERY 100"] + self._words()

    def _topic(self, structure):
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            born = bytes(rng.randrange(256) for _ in range(8))
            last = structure.last if len(structure) else structure.last + rng.randrange(3)
            ancestors = [(born[:4], rng.randrange(9)) for _ in range(rng.randrange(3))]
            bounds = rng.randrange(1, 99), rng.randrange(1, 9999), rng.randrange(99)
            return topics.meta_words(born, last, *bounds, ancestors=ancestors)
        records = [topics.HEAD.pack(rng.randrange(1000), 0) + word for word in self._words()]
        if len(structure) and draw < 0.3:
            return [b"unpub", b"%d" % rng.randrange(1, len(structure) + 1)]
        if structure.first > 1 and draw < 0.4:
            return [b"unpub", b"0"] + records[:structure.first - 1]
        return [b"pub", b"%d" % rng.randrange(min(len(structure), 3) + 1)] + records

    def _stream(self, structure):
        rng, draw = self.rng, self.rng.random()
        if len(structure) and draw < 0.15:
            return [b"trim", b"%d" % rng.randrange(1, len(structure) + 1)]
        if len(structure) and draw < 0.3:
            entry_id = rng.choice([entry[0] for entry in structure.range(ZERO, LAST)])
            return [b"del", max(entry_id, structure.max_deleted_id), entry_id]
        if draw < 0.45:
            name = b"g%d" % rng.randrange(3)
            if name not in structure.groups:
                return [b"group", name, ZERO, b"0"]
            ids = [entry[0] for entry in structure.range(ZERO, LAST, 3)]
            return [b"deliver", name, b"c%d" % rng.randrange(2), b"%d" % rng.randrange(1000), structure.last_id,
                    b"%d" % rng.randrange(9)] + ids
        new_id = _ID.pack(*_ID.unpack(structure.last_id)[:1] + (_ID.unpack(structure.last_id)[1] + 1,))
        return [rng.choice((b"add", b"add", b"add", b"node")), new_id, b"f", self._word()]


    def _grants(self, structure):
        rng = self.rng
        if structure.items and rng.random() < 0.4:
            return [b"del", rng.choice(sorted(structure.items))]
        return rng.choice(([b"high", b"%d" % (structure.high + 1)], [b"put"] + self._words()))

    def _queue(self, structure):
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            return [b"set", b"maxlen", rng.choice((b"", b"5"))]
        if structure.jobs and draw < 0.4:
            number = rng.choice(sorted(structure.jobs))
            if draw < 0.2:
                return [b"del", b"%d" % number]
            return [b"state", b"%d" % number, record_of(rng.randrange(7), deliveries=rng.randrange(3)), b""]
        words = [b"put"]
        for number, payload in enumerate(self._words(), structure.next_number):
            words += job_words(number, record_of(at_ms=rng.randrange(9)), payload)[1:]
        return words


class Worker(object):
    """Does random work on a keyspace and keeps the account: `model` is {key: [mirror or (type, bytes), deadline_ms]}.

    What fails with GridFullError or StorageError is `refused`, and has to have changed nothing.
    """

    def __init__(self, keyspace, rng, keys=12, size=20, many=6, large_bytes=0, clears=0.002, expires=True):
        self.keyspace, self.rng = keyspace, rng
        self.changes = Changes(rng, size, many)
        self.large_bytes, self.clears, self.expires = large_bytes, clears, expires
        names = [b"k%d" % number for number in range(keys)]
        self.keys = [databases.key_in((0, 0, 3)[number % 3], name) for number, name in enumerate(names)]
        self.model = {}
        self.refused = 0
        self.batches = [0, 0]  # rolled back, committed

    # -- the account --------------------------------------------------------------------------------------------------

    def live(self, key):
        """What the account has at a key, or None."""
        found = self.model.get(key)
        return found if found is not None and not 0 < found[1] <= self.keyspace.now_ms else None

    def expected(self):
        """The same as contents() of a keyspace gives."""
        return {key: (value if isinstance(value, tuple) else shown(value), deadline_ms)
                for key, (value, deadline_ms) in self.model.items() if self.live(key) is not None}

    def _copied(self):
        return {key: [value if isinstance(value, tuple) else value.copy(), deadline_ms]
                for key, (value, deadline_ms) in self.model.items()}

    # -- work ---------------------------------------------------------------------------------------------------------

    def step(self):
        """One random piece of work; whether it was done."""
        rng = self.rng
        before = self._copied()
        try:
            if rng.random() < 0.25:
                self._batch()
            elif rng.random() < self.clears:
                self.keyspace.clear()
                self.model = {}
            else:
                self._one()
        except (GridFullError, StorageError):
            self.model = before
            self.refused += 1
            return False
        finally:
            for key in self.rng.sample(self.keys, 3):
                self._look(key)
        return True

    def _batch(self):
        keyspace, before = self.keyspace, self._copied()
        keyspace.begin()
        try:
            for _ in range(self.rng.randrange(1, 7)):
                self._one()
                self._look(self.rng.choice(self.keys))
        except BaseException:
            keyspace.rollback()
            raise
        if self.rng.random() < 0.3:
            keyspace.rollback()
            self.model = before
            self.batches[0] += 1
        else:
            keyspace.commit()
            self.batches[1] += 1

    def _look(self, key):
        """A lookup, in a batch or not, sees what the account says."""
        entry, known = self.keyspace.lookup(key), self.live(key)
        if (entry is None) != (known is None):
            raise AssertionError("%r is %r and should be %r" % (key, entry, known))
        if entry is None:
            return
        seen = (entry.type, entry.value) if entry.structure is None else shown(entry.structure)
        wanted = known[0] if isinstance(known[0], tuple) else shown(known[0])
        if seen != wanted or entry.deadline_ms != known[1]:
            raise AssertionError("%r has %r until %d and should have %r until %d"
                                 % (key, seen, entry.deadline_ms, wanted, known[1]))
        if entry.structure is not None and self.keyspace.structure(key, type(entry.structure)) is not entry.structure:
            raise AssertionError("%r has two structures" % key)

    def _one(self):
        rng = self.rng
        draw = rng.random()
        if draw < 0.6:
            self._change(rng.choice(self.keys))
        elif draw < 0.68:
            self._put(rng.choice(self.keys))
        elif draw < 0.76:
            self._store(rng.choice(self.keys))
        elif draw < 0.82:
            self._delete(rng.choice(self.keys))
        elif draw < 0.92:
            self._rename(rng.choice(self.keys), rng.choice(self.keys))
        else:
            self._expire(rng.choice(self.keys))

    def _change(self, key):
        known = self.live(key)
        if known is not None and isinstance(known[0], tuple):
            return
        keyspace = self.keyspace
        kind = CLASSES[self.rng.choice(KINDS)] if known is None else type(known[0])
        structure = keyspace.structure(key, kind)
        if (structure is None) != (known is None):
            raise AssertionError("%r has the structure %r and should have %r" % (key, structure, known))
        words = self.changes.change(kind() if known is None else known[0])
        keyspace.update(key, structure, kind, words)
        if known is None:
            known = self.model[key] = [kind(), 0]
        known[0].apply(words)
        self._dropped_if_empty(key)

    def _dropped_if_empty(self, key):
        mirror = self.model[key][0]
        if not len(mirror) and not mirror.KEPT_EMPTY:
            del self.model[key]

    def _put(self, key):
        kind = CLASSES[self.rng.choice(KINDS)]
        mirror, structure = kind(), kind()
        for _ in range(self.rng.randrange(4)):
            words = self.changes.change(mirror)
            mirror.apply(words)
            structure.apply(words)
        deadline_ms = self._deadline()
        self.keyspace.put(key, structure, deadline_ms)
        self.model[key] = [mirror, deadline_ms]
        self._dropped_if_empty(key)

    def _store(self, key):
        size = self.rng.randrange(40)
        if self.large_bytes and self.rng.random() < 0.2:
            size = self.large_bytes + self.rng.randrange(100)
        value = b"%d" % self.rng.randrange(1000) * size
        deadline_ms = self._deadline()
        self.keyspace.store(key, 1, value, deadline_ms)
        self.model[key] = [(1, value), deadline_ms]

    def _delete(self, key):
        was_there = self.keyspace.delete(key)
        if was_there != (self.live(key) is not None):
            raise AssertionError("%r was there: %r" % (key, was_there))
        self.model.pop(key, None)

    def _rename(self, key, new_key):
        known = self.live(key)
        if not self.keyspace.staging:
            self.keyspace.begin()
            try:
                done = self.keyspace.rename(key, new_key)
            except BaseException:
                self.keyspace.rollback()
                raise
            self.keyspace.commit()
        else:
            done = self.keyspace.rename(key, new_key)
        if done != (known is not None):
            raise AssertionError("%r was renamed: %r" % (key, done))
        if known is not None and key != new_key:
            self.model[new_key] = self.model.pop(key)

    def _expire(self, key):
        known = self.live(key)
        deadline_ms = self._deadline() if self.rng.random() < 0.7 else 0
        if self.keyspace.set_deadline(key, deadline_ms) != (known is not None):
            raise AssertionError("the deadline of %r" % key)
        if known is not None:
            known[1] = deadline_ms

    def _deadline(self):
        if not self.expires or self.rng.random() < 0.6:
            return 0
        return self.keyspace.now_ms + self.rng.choice((50, 1000, 10 ** 6))

    def pass_time(self):
        """Let some time pass, and what is to be done beside commands be done."""
        self.keyspace.now_ms += self.rng.randrange(30)
        for _ in range(3):
            self.keyspace.work()

