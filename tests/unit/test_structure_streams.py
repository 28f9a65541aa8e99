"""Streams against a plain model: every change, what takes it back, and what rebuilds it."""

import random
import struct
import unittest

from nosqgrid.engine.structures import stream_chunks
from nosqgrid.engine.structures.ids import LAST, ZERO, following, pack_id, preceding, text
from nosqgrid.engine.structures.ordered_ids import OrderedIds
from nosqgrid.engine.structures.stream_groups import PENDING
from nosqgrid.engine.structures.streams import CHUNK_HEADER, HEADER, Stream
from nosqgrid.errors import CorruptValueError
from tests.support.tiers import slow

NAMES = ([b"a"], [b"a", b"b"], [b"long-name" * 40, b""], [b"a", b"a", b"c"])


class Model:
    """A stream as a list and dicts."""

    def __init__(self):
        self.entries = {}  # id -> words
        self.last_id = self.max_deleted_id = ZERO
        self.added = 0
        self.groups = {}  # name -> [last id, read, {consumer: seen}, {id: (consumer, ms, count)}]

    def apply(self, words):
        getattr(self, "on_" + words[0].decode("ascii"))(*words[1:])

    def on_add(self, entry_id, *words):
        self.entries[entry_id] = list(words)
        self.last_id = entry_id
        self.added += 1

    on_node = on_add

    def on_del(self, max_deleted_id, *ids):
        self.max_deleted_id = max_deleted_id
        for entry_id in ids:
            del self.entries[entry_id]

    def on_trim(self, count):
        for entry_id in sorted(self.entries)[:int(count)]:
            del self.entries[entry_id]

    def on_meta(self, last_id, max_deleted_id, added):
        self.last_id, self.max_deleted_id, self.added = last_id, max_deleted_id, int(added)

    def on_group(self, name, last_id, read):
        self.groups[name] = [last_id, int(read), {}, {}]

    def on_ungroup(self, name):
        del self.groups[name]

    def on_groupid(self, name, last_id, read):
        self.groups[name][:2] = last_id, int(read)

    def on_consumer(self, group, name, seen):
        self.groups[group][2][name] = int(seen)

    def on_unconsumer(self, group, name):
        found = self.groups[group]
        del found[2][name]
        found[3] = {entry_id: value for entry_id, value in found[3].items() if value[0] != name}

    def on_deliver(self, group, name, ms, last_id, read, *ids):
        self.on_groupid(group, last_id, read)
        self.on_consumer(group, name, ms)
        self.groups[group][3].update({entry_id: (name, int(ms), 1) for entry_id in ids})

    def on_pend(self, group, name, *pieces):
        for piece in pieces:
            entry_id, ms, count = PENDING.unpack(piece)
            self.groups[group][3][entry_id] = name, ms, count

    def on_ack(self, group, *ids):
        for entry_id in ids:
            del self.groups[group][3][entry_id]

    def state(self):
        return (sorted(self.entries.items()), self.last_id, self.max_deleted_id, self.added,
                {name: (last_id, read, seen, sorted(pending.items()))
                 for name, (last_id, read, seen, pending) in self.groups.items()})


def state(stream):
    groups = {}
    for name, group in stream.groups.items():
        pending = [(entry_id, (one.consumer.name, one.time_ms, one.count)) for entry_id, one in group.pending.items()]
        per_consumer = []
        for consumer_name, consumer in group.consumers.items():
            assert consumer.name == consumer_name
            per_consumer += [(entry_id, (consumer_name, one.time_ms, one.count))
                             for entry_id, one in consumer.pending.items()]
        assert sorted(per_consumer) == pending, "a group and its consumers disagree"
        groups[name] = (group.last_id, group.entries_read,
                        {consumer.name: consumer.seen_ms for consumer in group.consumers.values()}, pending)
    entries = stream.range(ZERO, LAST)
    assert len(entries) == len(stream)
    return entries, stream.last_id, stream.max_deleted_id, stream.entries_added, groups


def plain(stream):
    """All that is to be the same of equal streams, chunks and sizes included."""
    return list(map(tuple, stream.changes())), stream.size_bytes, stream.chunk_count


class Maker:
    """Random changes that make sense."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.last = 0

    def words(self):
        rng, names = self.rng, self.rng.choice(NAMES)
        words = []
        for name in names:
            words += [name, bytes(rng.getrandbits(8) for _ in range(rng.choice((0, 1, 5, 300))))]
        return words

    def change(self, stream):
        rng = self.rng
        ids = [entry_id for entry_id, _ in stream.range(ZERO, LAST)]
        kinds = ["add"] * 8 + ["node", "group", "meta"]
        kinds += ["del"] * 3 + ["trim"] if ids else []
        kinds += ["ungroup", "groupid"] + ["consumer"] * 2 + ["deliver"] * 4 if stream.groups else []
        kind = rng.choice(kinds)
        name, consumer = b"g%d" % rng.randrange(4), b"c%d" % rng.randrange(3)
        if kind in ("add", "node"):
            number = int.from_bytes(stream.last_id, "big") + rng.choice((1, 2, 1 << 64))
            return [kind.encode("ascii"), number.to_bytes(16, "big")] + self.words()
        if kind == "del":
            gone = rng.sample(ids, min(len(ids), rng.choice((1, 1, 2, 7, 40))))
            return [b"del", max(gone + [stream.max_deleted_id])] + gone
        if kind == "trim":
            return [b"trim", b"%d" % rng.randint(1, min(len(ids), 60))]
        if kind == "meta":
            number = int.from_bytes(stream.last_id, "big") + rng.choice((0, 5))
            return [b"meta", number.to_bytes(16, "big"), stream.max_deleted_id, b"%d" % rng.randrange(1000)]
        if kind == "group" and name not in stream.groups:
            return [b"group", name, rng.choice(ids + [ZERO]), b"%d" % rng.choice((-1, 0, 5))]
        if not stream.groups:
            return [b"node", following(stream.last_id)] + self.words()
        group = rng.choice(sorted(stream.groups.items()))[1]
        return self.change_of_group(kind, group, consumer, ids)

    def change_of_group(self, kind, group, consumer, ids):
        rng = self.rng
        pending = [entry_id for entry_id, _ in group.pending.items()]
        some = rng.sample(ids, min(len(ids), rng.choice((0, 1, 3, 30))))
        if kind == "ungroup":
            return [b"ungroup", group.name]
        if kind == "groupid":
            return [b"groupid", group.name, rng.choice(ids + [ZERO]), b"%d" % rng.choice((-1, 0, 5))]
        if kind == "deliver":
            return [b"deliver", group.name, consumer, b"%d" % rng.randrange(10 ** 12), rng.choice(ids + [ZERO]),
                    b"7"] + some
        if pending and rng.random() < 0.5:
            return [b"ack", group.name] + rng.sample(pending, min(len(pending), rng.choice((1, 2, 30))))
        if consumer in group.consumers:
            if rng.random() < 0.2:
                return [b"unconsumer", group.name, consumer]
            if some:
                return [b"pend", group.name, consumer] + [
                    PENDING.pack(entry_id, rng.randrange(10 ** 12), rng.randrange(9)) for entry_id in some]
        return [b"consumer", group.name, consumer, b"%d" % rng.randrange(10 ** 12)]


class ModelTest(unittest.TestCase):
    def run_sequence(self, seed, length):
        maker, stream, model = Maker(seed), Stream(), Model()
        for number in range(length):
            words = maker.change(stream)
            before, plain_before = state(stream), plain(stream)
            inverse = list(stream.apply(words))
            model.apply(words)
            self.assertEqual(state(stream), model.state(), (seed, number, words))
            after = plain(stream)
            redo = []
            for back in inverse:
                redo[:0] = list(stream.apply(back))
            self.assertEqual(state(stream), before, (seed, number, words))
            self.assertEqual(plain(stream)[1:], plain_before[1:], (seed, number, words))
            self.assertEqual(self.without_order(plain(stream)), self.without_order(plain_before), (seed, number, words))
            for again in redo:
                stream.apply(again)
            self.assertEqual(state(stream), model.state(), (seed, number, words))
            self.assertEqual(plain(stream)[1], after[1], (seed, number, words))
            stream = self.maybe_another(maker, stream)
        return stream

    @staticmethod
    def without_order(found):
        """Groups and consumers are shown by name, so their order is nobody's business."""
        return sorted(found[0])

    def maybe_another(self, maker, stream):
        """Now and then go on with a copy, or with what its changes make."""
        if maker.rng.random() < 0.1:
            made = Stream()
            for words in stream.changes():
                made.apply(words)
            self.assertEqual(plain(made), plain(stream))
            copied = stream.copy()
            self.assertEqual(plain(copied), plain(stream))
            return maker.rng.choice((made, copied))
        return stream

    @slow
    def test_random_changes(self):
        for seed in range(12):
            self.run_sequence(seed, 150)

    @slow
    def test_reads_find_what_the_model_finds(self):
        for seed in range(6):
            stream, rng = self.run_sequence(100 + seed, 150), random.Random(seed)
            entries = stream.range(ZERO, LAST)
            marks = [ZERO, LAST] + [entry_id for entry_id, _ in entries]
            marks += [following(entry_id) for entry_id, _ in entries] + [preceding(entry_id) for entry_id, _ in entries]
            for _ in range(200):
                start, end, limit = rng.choice(marks), rng.choice(marks), rng.choice((0, 1, 2, 50))
                expected = [pair for pair in entries if start <= pair[0] <= end]
                self.assertEqual(stream.range(start, end, limit), expected[:limit or None])
                self.assertEqual(stream.range_back(start, end, limit), expected[::-1][:limit or None])
                self.assertEqual(stream.count_before(start), len([1 for entry_id, _ in entries if entry_id < start]))
                self.assertEqual(stream.has(start), start in dict(entries))
                self.assertEqual(stream.entry(start), dict(entries).get(start))
            self.assertEqual(stream.first_id(), entries[0][0] if entries else ZERO)
            self.assertEqual(stream.top_id(), entries[-1][0] if entries else ZERO)

    def test_it_is_freed_in_slices(self):
        stream = Stream()
        for number in range(3000):
            stream.apply([b"add" if number % 100 else b"node", pack_id(1, number), b"f", b"v"])
        ids = [entry_id for entry_id, _ in stream.range(ZERO, LAST)]
        for name in (b"g", b"h"):
            stream.apply([b"group", name, ZERO, b"0"])
            stream.apply([b"deliver", name, b"c", b"1", ZERO, b"0"] + ids)
        slices = 1
        while not stream.shrink(500):
            slices += 1
        self.assertGreater(slices, 12)
        self.assertEqual((len(stream), stream.groups, stream.chunk_count), (0, {}, 0))


class ChunksTest(unittest.TestCase):

    def test_a_group_with_much_that_is_pending_is_freed_in_slices(self):
        stream = Stream()
        ids = [pack_id(1, number) for number in range(1, 5001)]
        for entry_id in ids:
            stream.apply([b"add", entry_id, b"f", b"v"])
        for name in (b"g", b"h"):
            stream.apply([b"group", name, ZERO, b"0"])
            stream.apply([b"consumer", name, b"idle", b"1"])
            for consumer in (b"c", b"d"):
                half = ids[:2500] if consumer == b"c" else ids[2500:]
                stream.apply([b"deliver", name, consumer, b"1", half[-1], b"1"] + half)
        left = []
        while not stream.shrink(500):
            left.append(sum(len(group.pending) + sum(len(consumer.pending) for consumer in group.consumers.values())
                            for group in stream.groups.values()))
        self.assertEqual((left[0], stream.groups, len(stream)), (20000, {}, 0))
        self.assertLess(max(before - after for before, after in zip(left, left[1:])), 1100)
        self.assertLess(left[-1], 1100)

    def test_a_command_decides_where_chunks_begin(self):
        stream = Stream()
        for number in range(250):
            operation = b"node" if stream.is_full(2) else b"add"
            stream.apply([operation, pack_id(1, number), b"f", b"v"])
        self.assertEqual(stream.chunk_count, 3)
        self.assertEqual(stream.count_of_chunks(150, ZERO, 0), 100)
        self.assertEqual(stream.count_of_chunks(151, ZERO, 0), 0)
        self.assertEqual(stream.count_of_chunks(0, ZERO, 0), 250)
        self.assertEqual(stream.count_of_chunks(0, ZERO, 220), 200)
        self.assertEqual(stream.count_of_chunks(None, pack_id(1, 200), 0), 200)
        self.assertEqual(stream.count_of_chunks(None, pack_id(1, 199), 0), 100)

    def test_large_entries_have_chunks_of_their_own(self):
        stream = Stream()
        for number in range(4):
            operation = b"node" if stream.is_full(3001) else b"add"
            stream.apply([operation, pack_id(1, number), b"f", b"v" * 3000])
        self.assertEqual(stream.chunk_count, 4)

    def test_what_was_deleted_counts_for_the_end_of_a_chunk_and_not_for_its_memory(self):
        stream = Stream()
        for number in range(99):
            stream.apply([b"add", pack_id(1, number), b"f", b"v" * 300])
        size = stream.size_bytes
        stream.apply([b"del", pack_id(1, 90)] + [pack_id(1, number) for number in range(91)])
        self.assertFalse(stream.is_full(2) and not stream.node_bytes_max)
        chunk = stream._chunks[0]
        self.assertEqual((len(chunk), chunk.dead), (8, 91))
        self.assertLess(len(chunk.data), 2 * 8 * 310 + stream_chunks._GARBAGE_BYTES_MIN)
        self.assertLess(stream.size_bytes, size - 91 * 300)
        self.assertEqual([words for _, words in stream.range(ZERO, LAST)], [[b"f", b"v" * 300]] * 8)

    def test_the_same_names_are_kept_once(self):
        stream = Stream()
        for number in range(4):
            stream.apply([b"node", pack_id(1, number), b"name", b"v"])
        self.assertEqual(len({id(chunk.names) for chunk in stream._chunks}), 1)


class RefusedTest(unittest.TestCase):
    """Words that make no sense change nothing."""

    def setUp(self):
        self.stream = Stream()
        for words in ([b"node", pack_id(1, 0), b"a", b"1"], [b"add", pack_id(2, 0), b"a", b"2"],
                      [b"node", pack_id(5, 0), b"a", b"3"], [b"group", b"g", ZERO, b"0"],
                      [b"deliver", b"g", b"c", b"9", pack_id(1, 0), b"1", pack_id(1, 0)]):
            self.stream.apply(words)

    def test_refused(self):
        one, two, nine = pack_id(1, 0), pack_id(2, 0), pack_id(9, 0)
        header = HEADER.pack(pack_id(3, 0), 2)
        chunk = CHUNK_HEADER.pack(pack_id(3, 0), pack_id(3, 0), 0, 0, 1)
        piece = PENDING.pack(one, 1, 1)
        for words in (
                [], [b"add"], [b"nothing", b"x"], [b"add", nine], [b"add", nine, b"a"],
                [b"add", nine, b"a", b"1", b"b"],
                [b"add", b"short", b"a", b"1"], [b"add", pack_id(5, 0), b"a", b"1"], [b"node", one, b"a", b"1"],
                [b"unadd", one], [b"unadd", b"", b""], [b"unadd", pack_id(5, 0), pack_id(5, 0)],
                [b"del", one], [b"del", b"", one], [b"del", one, one, one], [b"del", one, nine], [b"del", one, b"x"],
                [b"trim", b"0"], [b"trim", b"4"], [b"trim", b"-1"], [b"trim", b"x"], [b"trim", b"1", b"1"],
                [b"trim", b"9" * 30],
                [b"put", b"x"], [b"put", header], [b"put", header, b"a"], [b"put", HEADER.pack(one, 2), b"a", b"1"],
                [b"put", HEADER.pack(nine, 2), b"a", b"1"], [b"put", HEADER.pack(pack_id(3, 0), 3), b"a", b"1", b"b"],
                [b"put", HEADER.pack(pack_id(3, 0), 0)], [b"put", header, b"a", b"1", header, b"a", b"1"],
                [b"put", HEADER.pack(pack_id(3, 0), 1 << 31), b"a"], [b"put", chunk, b"a"],
                [b"put", chunk, b"a", HEADER.pack(two, 2), b"a", b"1"],
                [b"put", CHUNK_HEADER.pack(two, two, 0, 0, 1), b"a", HEADER.pack(two, 2), b"a", b"1"],
                [b"put", CHUNK_HEADER.pack(pack_id(3, 0), nine, 0, 0, 1), b"a", header, b"a", b"1"],
                [b"put", chunk, b"a", header, b"a", b"1", chunk, b"a", header, b"a", b"1"],
                [b"put", header, b"a", b"1", CHUNK_HEADER.pack(pack_id(4, 0), pack_id(4, 0), 0, 0, 1), b"a",
                 HEADER.pack(pack_id(4, 0), 2), b"a", b"1"],
                [b"put", CHUNK_HEADER.pack(pack_id(3, 0), pack_id(3, 0), 0, 0, 1 << 31), b"a"],
                [b"meta", one, ZERO, b"1"], [b"meta", nine, b"", b"1"], [b"meta", nine, ZERO, b"-1"],
                [b"meta", nine, ZERO, b"x"], [b"meta", nine, ZERO], [b"meta", nine, ZERO, b"9" * 30],
                [b"group", b"g", ZERO, b"0"], [b"group", b"h", b"", b"0"], [b"group", b"h", ZERO, b"x"],
                [b"group", b"h", ZERO], [b"group", b"h", ZERO, b"9" * 30],
                [b"ungroup", b"h"], [b"ungroup", b"g", b"g"], [b"groupid", b"h", ZERO, b"0"],
                [b"groupid", b"g", b"", b"0"], [b"groupid", b"g", ZERO, b""],
                [b"consumer", b"h", b"c", b"1"], [b"consumer", b"g", b"c", b"x"], [b"consumer", b"g", b"c"],
                [b"unconsumer", b"g", b"d"], [b"unconsumer", b"h", b"c"], [b"unconsumer", b"g"],
                [b"deliver", b"g", b"d", b"1", ZERO], [b"deliver", b"g", b"d", b"x", ZERO, b"0"],
                [b"deliver", b"g", b"d", b"1", b"", b"0"], [b"deliver", b"g", b"d", b"1", ZERO, b"x"],
                [b"deliver", b"g", b"d", b"1", ZERO, b"0", b"x"], [b"deliver", b"g", b"d", b"1", ZERO, b"0", one, one],
                [b"deliver", b"g", b"d", b"9" * 19, ZERO, b"0", one],
                [b"pend", b"g", b"d", piece], [b"pend", b"g", b"c"], [b"pend", b"g", b"c", b"x"],
                [b"pend", b"g", b"c", piece, piece], [b"pend", b"h", b"c", piece],
                [b"ack", b"g"], [b"ack", b"g", two], [b"ack", b"g", one, one], [b"ack", b"h", one],
                [b"ack", b"g", b"x"]):
            before = plain(self.stream)
            with self.assertRaises(CorruptValueError, msg=words):
                self.stream.apply(words)
            self.assertEqual(plain(self.stream), before, words)

    @slow
    def test_random_words_are_refused_or_can_be_taken_back(self):
        rng, applied = random.Random(5), 0
        names = [b"add", b"node", b"unadd", b"del", b"trim", b"put", b"meta", b"group", b"ungroup", b"groupid",
                 b"consumer", b"unconsumer", b"deliver", b"pend", b"ack"]
        pool = [b"", b"1", b"-1", b"g", b"c", b"a", ZERO, LAST, pack_id(1, 0), pack_id(2, 0), pack_id(5, 0),
                pack_id(7, 0), HEADER.pack(pack_id(3, 0), 2), CHUNK_HEADER.pack(pack_id(4, 0), pack_id(4, 0), 0, 0, 0),
                PENDING.pack(pack_id(1, 0), 1, 1), struct.pack("<I", 7)]
        for _ in range(20000):
            words = [rng.choice(names)] + [rng.choice(pool) for _ in range(rng.randrange(1, 7))]
            before, size = state(self.stream), self.stream.size_bytes
            try:
                inverse = list(self.stream.apply(words))
            except CorruptValueError:
                self.assertEqual((state(self.stream), self.stream.size_bytes), (before, size), words)
                continue
            applied += 1
            for back in inverse:
                self.stream.apply(back)
            self.assertEqual(state(self.stream), before, words)
        self.assertGreater(applied, 100)


class OrderedIdsTest(unittest.TestCase):
    @slow
    def test_like_a_dict_that_is_sorted(self):
        rng, ordered, model = random.Random(3), OrderedIds(), {}
        for number in range(20000):
            key = pack_id(rng.randrange(3), rng.randrange(2500)) if number % 3 else pack_id(5, number)
            if key in model and rng.random() < 0.7:
                self.assertEqual(ordered.pop(key), model.pop(key))
            elif key not in model:
                model[key] = number
                ordered.add(key, number)
            self.assertEqual(ordered.get(key), model.get(key))
            self.assertEqual(len(ordered), len(model))
            if number % 1000 == 0 and model:
                self.assertEqual(list(ordered.items()), sorted(model.items()))
                self.assertEqual(list(ordered.items(key)), sorted(pair for pair in model.items() if pair[0] >= key))
                self.assertEqual((ordered.first(), ordered.last()), (min(model), max(model)))
        self.assertRaises(KeyError, ordered.pop, pack_id(9, 9))
        while not ordered.shrink():
            pass
        self.assertEqual((len(ordered), list(ordered.items()), ordered.get(ZERO)), (0, [], None))


class IdsTest(unittest.TestCase):
    def test_neighbours(self):
        top = 2 ** 64 - 1
        for one, other in (((0, 0), (0, 1)), ((0, top), (1, 0)), ((5, 7), (5, 8))):
            self.assertEqual(following(pack_id(*one)), pack_id(*other))
            self.assertEqual(preceding(pack_id(*other)), pack_id(*one))
        self.assertIsNone(following(LAST))
        self.assertIsNone(preceding(ZERO))
        self.assertEqual(text(LAST), b"%d-%d" % (top, top))
