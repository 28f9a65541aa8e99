"""A keyspace with a log: what the log holds is what changed, before it is seen; what the log refuses did not happen."""

import random
import unittest
from unittest import mock

from nosqgrid.engine import commands
from nosqgrid.engine.claims import FILLED, Claims
from nosqgrid.engine.databases import SPACES
from nosqgrid.errors import BatchError, CommandError, DiskError, GridFullError, InvariantError
from nosqgrid.formats import effects, lane, rdb, values
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import BODY, pack_body
from nosqgrid.memory.reader import Reader
from tests.support.command_context import PlainContext, PlainSession
from tests.support.keyspaces import Budget
from tests.support.tiers import slow
from tests.support.walks import ListLog, make_space, make_walker, restore, state_of, tiny_limits, walk

PRESET = ((b"k", 0, b"value", 0), (b"ttl", 1, b"5", 9000), (b"n", values.INT, b"41", 0), (b"other", 1, b"x", 0),
          (b"expired", 1, b"x", 500))
# Of every command that writes: words that change something, and how many effects that has.
EXAMPLES = (
    (b"CL.THROTTLE new 2 1 10", 1), (b"RATE.TAKE new 1 1 1000 1 0", 1),
    (b"SET k new", 1), (b"SET new v EX 10", 1), (b"SET k v KEEPTTL GET", 1), (b"SETNX new v", 1),
    (b"SETEX k 10 v", 1), (b"PSETEX k 10 v", 1), (b"GETSET k v", 1), (b"GETDEL k", 1), (b"GETEX k EX 5", 1),
    (b"GETEX ttl PERSIST", 1), (b"MSET k 1 new 2 k 3", 3), (b"MSETNX a 1 b 2", 2), (b"APPEND k x", 1),
    (b"APPEND new x", 1), (b"SETRANGE k 2 x", 1), (b"INCR n", 1), (b"DECR n", 1), (b"INCRBY ttl 5", 1),
    (b"DECRBY new 5", 1), (b"INCRBYFLOAT n 0.5", 1), (b"DEL k nobody ttl k", 2), (b"UNLINK k", 1),
    (b"EXPIRE k 10", 1), (b"PEXPIRE ttl 10", 1), (b"EXPIREAT k 99", 1), (b"PEXPIREAT k 99000", 1),
    (b"SETBIT new 7 1", 1), (b"BITOP NOT new k", 1), (b"BITFIELD new SET u8 0 5", 1), (b"PFADD new a", 1),
    (b"PFMERGE new", 1), (b"EXPIRE k -1", 1), (b"PERSIST ttl", 1), (b"FLUSHALL", 1), (b"FLUSHDB ASYNC", 1),
    (b"NOSQGRID.SET k v 1 0 - 0", 1), (b"NOSQGRID.SET ttl v 1 -1 XX 0", 1), (b"NOSQGRID.POP k", 1),
    (b"NOSQGRID.DEADLINE k 5000", 1), (b"NOSQGRID.DEADLINE ttl 0", 1), (b"NOSQGRID.ADD n 1", 1),
    (b"NOSQGRID.FILL claimed v 1 0", 1))
EXAMPLES += (
    (b"RENAME k new", 2), (b"RENAME k other", 2), (b"RENAMENX ttl new", 2), (b"COPY k new", 1),
    (b"COPY ttl k REPLACE", 1), (b"MOVE k 1", 2))
# Of every command that writes and may find nothing to do.
NOTHING = (b"CL.THROTTLE new 0 1 1 0",
           b"SET k v NX", b"PFDEBUG ENCODING nobody", b"SETNX k v", b"GETDEL nobody", b"GETEX k", b"MSETNX a 1 k 2",
           b"DEL nobody expired", b"UNLINK nobody", b"EXPIRE nobody 10", b"PERSIST k", b"NOSQGRID.SET k v 1 0 NX 0",
           b"NOSQGRID.POP nobody",
           b"NOSQGRID.DEADLINE nobody 5", b"NOSQGRID.CLAIM k", b"NOSQGRID.ABANDON k", b"APPEND nobody", b"INCR k",
           b"NOSQGRID.ALLOCATE 10 0", b"NOSQGRID.ADOPT 1 k 0 0 - 0", b"NOSQGRID.SHARE 1", b"NOSQGRID.ABANDON_VALUE 1",
           b"NOSQGRID.QUOTA m 1 none", b"RENAMENX k ttl", b"COPY k ttl", b"COPY nobody new", b"MOVE nobody 1",
           b"SWAPDB 1 2", b"RENAME k k", b"MIGRATE host 6379 nobody 0 10", b"MIGRATE host 6379 k 0 10")

# Modules whose commands are tried with a log elsewhere.
OF_STRUCTURES = ("hashes", "sets", "streams", "stream_reads", "stream_groups", "lists", "blocking_lists", "sorting",
                 "zsets", "zranges", "zsetpops", "zsetops", "geo", "geosearch")
PLAIN = (b"NOSQGRID.", b"CL.", b"RATE.")  # of those with a dot; locks, queues and topics have tests of their own


def batch_words(*frames):
    return [b"NOSQGRID.BATCH", b"".join(frames)]


BATCH = batch_words(pack_body(b"k", b"1", 1), effects.pack_delete(b"ttl"), pack_body(b"new", b"1", 1, 9000),
                    pack_body(b"k", b"2", 1), effects.pack_delete(b"new"))


def claims_answering(answers, init=Claims.__init__):
    """In the place of Claims.__init__: what waiting sessions are told is kept in a list."""
    return lambda claims, answer: init(claims, lambda session, reply: answers.append((session, reply)))


def accounts(space):
    """What a write that did not happen leaves as it was."""
    heap = space.heap
    return (space.version, space.key_count, space.expiring, heap.live_bytes(), space.index.live, space.staging,
            space.behind)


class LoggedTestCase(unittest.TestCase):
    def make(self, memory_bytes=1 << 20, preset=PRESET, **options):
        self.space, self.header = make_space(memory_bytes, **options)
        self.space.now_ms = 1000
        self.context = PlainContext(self.space)
        for key, value_type, value, deadline_ms in preset:
            self.space.store(key, value_type, value, deadline_ms)
        self.context.claims.claim(self.context.session, b"claimed")
        self.before = walk(make_walker(self.space, self.header))
        self.log = ListLog()
        self.space.set_log(self.log)

    def run_words(self, words):
        words = words.split() if isinstance(words, bytes) else words
        try:
            return self.context.run(words)
        except CommandError as error:
            return error

    def assert_replayed(self, where=None):
        """What was there and what was logged give what is there."""
        self.space.check()
        state, _ = restore(self.before, self.log.entries, self.header, self.space.now_ms)
        self.assertEqual(state, state_of(self.space), where)


class CommandsTest(LoggedTestCase):
    def setUp(self):
        limits = tiny_limits()
        limits.__enter__()
        self.addCleanup(limits.__exit__, None, None, None)

    def make(self, memory_bytes=128 * 256, **options):
        super().make(memory_bytes, **options)

    def test_the_examples_are_of_all_commands_that_write(self):
        writing = {name for name, row in commands.TABLE.items()
                   if "write" in row.flags and row.function.__module__.rpartition(".")[2] not in OF_STRUCTURES
                   and (b"." not in name or name.startswith(PLAIN))}
        tried = {words.split()[0] for words, _ in EXAMPLES} | {words.split()[0] for words in NOTHING}
        self.assertEqual(writing, tried | {b"NOSQGRID.BATCH", b"NOSQGRID.INHERIT", b"RESTORE"})

    def all_examples(self):
        return EXAMPLES + ((BATCH, 5), ([b"RESTORE", b"new", b"9", rdb.pack(values.BYTES, b"v")], 1))

    @slow
    def test_each_is_one_entry_with_its_effects(self):
        for flags in (0, WEAK_ORDERING):
            for words, count in self.all_examples():
                self.make(flags=flags)
                version = self.space.version
                self.run_words(words)
                self.assertEqual([entry[:2] for entry in self.log.entries], [(version + 1, count)], words)
                self.assertEqual(self.space.version, version + count, words)
                self.assert_replayed(words)

    def test_databases_that_were_swapped_are_replayed(self):
        self.make()
        self.run_words(b"COPY k n DB 1")
        self.run_words(b"SWAPDB 0 1")
        self.assertEqual([entry[1] for entry in self.log.entries], [1, 8])  # k and n, ttl, other; n was in both
        self.assert_replayed()

    def test_keys_of_other_databases_are_counted_when_they_are_replayed(self):
        for flags in (0, WEAK_ORDERING):
            self.make(flags=flags)
            self.run_words(b"COPY k n DB 1")
            self.run_words(b"COPY k n DB 15")
            state, space = restore(self.before, self.log.entries, self.header, self.space.now_ms, fuzzy=False)
            self.assertEqual(state, state_of(self.space))
            self.assertEqual(space.databases.counts, [0, 1] + [0] * 13 + [1] + [0] * len(SPACES))

    def test_one_that_changes_nothing_is_not_logged(self):
        for words in NOTHING:
            self.make()
            before = state_of(self.space), accounts(self.space)
            self.run_words(words)
            self.assertEqual(self.log.entries, [], words)
            self.assertEqual((state_of(self.space), accounts(self.space)), before, words)

    def test_nothing_is_to_be_seen_when_it_is_appended(self):
        for words, _ in self.all_examples():
            self.make()
            seen = []
            reader = Reader(self.space.words, self.space.arena, self.header)
            keys = [key for key, _, _, _ in PRESET] + [b"new", b"a", b"b", b"claimed"]
            expected = [reader.read(key) for key in keys]

            def look(*entry):
                seen.append([reader.read(key) for key in keys])
                self.assertEqual(sorted(walk(make_walker(self.space, self.header))), sorted(self.before))
            self.log.look = look
            self.run_words(words)
            self.assertEqual(seen, [expected], words)
            self.assertNotEqual([reader.read(key) for key in keys], expected, words)

    @slow
    def test_one_that_the_log_refuses_did_not_happen(self):
        for flags in (0, WEAK_ORDERING):
            for words, count in self.all_examples():
                if words[:13] != b"NOSQGRID.FILL":  # see below
                    self.refuse_and_go_on(words, count, flags)

    def refuse_and_go_on(self, words, count, flags=0):
        self.make(flags=flags)
        before = state_of(self.space), accounts(self.space)
        self.log.error = DiskError("planted")
        for _ in range(3):
            with self.assertRaises(DiskError, msg=words):
                self.run_words(words)
            self.assertEqual((state_of(self.space), accounts(self.space)), before, words)
            self.space.check()
        self.log.error = None
        self.run_words(words)
        self.assertEqual([entry[:2] for entry in self.log.entries], [(len(PRESET) + 1, count)], words)
        self.assert_replayed(words)

    def test_a_claim_is_held_until_its_value_is_in_the_log(self):
        answers = []
        with mock.patch.object(Claims, "__init__", claims_answering(answers)):
            self.refuse_and_go_on(b"NOSQGRID.FILL claimed v 1 0", 1)
            self.make()
        waiting = PlainSession(2)
        self.context.claims.claim(waiting, b"claimed")
        self.log.look = lambda *entry: self.assertEqual(answers, [], "who waits was told before the log has it")
        self.run_words(b"NOSQGRID.FILL claimed v 1 0")
        self.assertEqual(answers, [(waiting, FILLED)])

    def test_errors_of_other_kinds_leave_nothing_either(self):
        for error in (InvariantError("planted"), KeyboardInterrupt(), ZeroDivisionError()):
            for words in (b"SET k v", b"FLUSHALL", b"DEL k", BATCH):
                self.make()
                before = state_of(self.space), accounts(self.space)
                self.log.error = error
                with self.assertRaises(type(error)):
                    self.run_words(words)
                self.assertEqual((state_of(self.space), accounts(self.space)), before)
                self.space.check()

    def test_types_that_no_reader_of_the_log_knows_are_refused(self):
        for value_type in (len(values.NAMES), 200, 255):
            for words in (b"NOSQGRID.SET k v %d 0 - 0" % value_type, b"NOSQGRID.FILL claimed v %d 0" % value_type):
                self.make()
                self.assertIsInstance(self.run_words(words), CommandError, words)
                self.assertEqual(self.log.entries, [], words)
            self.make()
            self.run_words(b"NOSQGRID.SET k v %d 0 - 0" % (value_type - len(values.NAMES)))
            self.assert_replayed()

    def test_the_largest_deadlines(self):
        for words in (b"NOSQGRID.SET k v 1 1000000000000000 - 0", b"PEXPIREAT k 1000000000000000",
                      b"SET k v PXAT 1000000000000000", b"PEXPIRE k 1"):
            self.make()
            self.run_words(words)
            self.assert_replayed(words)


class PrimitivesTest(LoggedTestCase):
    def test_versions_are_positions(self):
        self.make(preset=())
        self.assertEqual(self.space.store(b"a", 0, b"1"), 1)
        self.assertTrue(self.space.delete(b"a"))
        self.assertFalse(self.space.delete(b"a"))
        self.space.clear()
        self.assertEqual(self.space.store(b"b", 0, b"1", 5000), 4)
        self.assertTrue(self.space.set_deadline(b"b", 0))
        self.assertEqual([entry[:2] for entry in self.log.entries], [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual([effects.unpack(payload, 0, len(payload)).operation for _, _, payload in self.log.entries],
                         [lane.SET, effects.DELETE, effects.CLEAR, lane.SET, lane.SET])
        self.assert_replayed()

    def test_what_is_logged_is_the_frame_that_came(self):
        self.make(preset=(), flags=WEAK_ORDERING)
        for frame in (pack_body(b"k", b"v", 3), pack_body(b"k", b"v", 3, 9000)):
            self.space.store_frame(b"k", frame)
            self.assertEqual(self.log.entries[-1][2], frame)

    def test_expired_keys_are_removed_without_the_log(self):
        self.make()
        while self.space.reclaim_expired():
            continue
        self.assertFalse(self.space.delete(b"expired"))
        self.space.now_ms = 20000
        while self.space.work():
            continue
        self.assertEqual((self.log.entries, self.space.expiring), ([], 0))
        self.space.store(b"ttl", 0, b"again")
        self.assert_replayed()

    def test_a_batch_is_one_entry_or_none(self):
        self.make()
        self.space.begin()
        self.space.commit()
        self.assertEqual(self.log.entries, [])
        self.space.begin()
        self.space.store(b"k", 0, b"1")
        self.space.delete(b"k")
        self.space.delete(b"k")
        self.space.store(b"new", 0, b"1")
        self.assertEqual(self.log.entries, [])
        self.space.commit()
        self.assertEqual([entry[1] for entry in self.log.entries], [3])
        self.assert_replayed()
        self.space.begin()
        self.space.store(b"k", 0, b"1")
        self.space.rollback()
        self.assertEqual(self.space.store(b"k", 0, b"2"), len(PRESET) + 4)
        self.assert_replayed()

    def test_a_batch_that_the_index_has_no_room_for_is_not_logged(self):
        self.make()
        before = state_of(self.space), accounts(self.space)
        with mock.patch.object(self.space.index, "make_room", lambda count, hashes=None: False):
            with self.assertRaises(GridFullError):
                self.space.store(b"new", 0, b"v")
        self.assertEqual((state_of(self.space), accounts(self.space), self.log.entries), before + ([],))
        self.space.check()

    def test_the_log_is_not_changed_within_a_batch_and_can_be_taken_away(self):
        self.make()
        self.space.begin()
        self.assertRaises(InvariantError, self.space.set_log, None)
        self.space.rollback()
        self.space.set_log(None)
        frame = pack_body(b"k", b"v", 1)
        self.space.apply_sets(frame, 0, len(frame))
        self.space.store(b"k", 0, b"v")
        self.space.clear()
        self.assertEqual(self.log.entries, [])

    def test_clear_without_memory_for_the_index_does_nothing_and_logs_nothing(self):
        # A new generation of the index takes the area that was never used, for which the system has to give memory.
        budget = Budget()
        for growing in (False, True):
            budget.remaining = 1 << 40
            self.make(reserve=budget)
            if growing:
                self.space.index.start_growth(5000)
            before = state_of(self.space), accounts(self.space)
            budget.remaining = 0
            with self.assertRaises(GridFullError):
                self.space.clear()
            self.assertEqual(state_of(self.space), before[0])
            self.assertEqual(self.log.entries, [], "the log says that everything is gone, and it is not")
            self.assertEqual(accounts(self.space), before[1])

    def test_random_work_replayed_from_the_first_entry(self):
        with tiny_limits():
            for seed in range(20):
                self.random_work(random.Random(seed), WEAK_ORDERING if seed % 4 == 0 else 0)

    def random_work(self, rng, flags):
        """Everything that can happen, with a log that now and then refuses."""
        self.make(128 * 64, preset=(), flags=flags)
        refused = 0
        for _ in range(200):
            key = b"k%d" % rng.randrange(15)
            self.log.error = DiskError("planted") if rng.random() < 0.15 else None
            before = state_of(self.space) if self.log.error else None
            try:
                rng.choice((lambda: self.space.store(key, 1, bytes(rng.randrange(100))),
                            lambda: self.space.store(key, 1, b"v", self.space.now_ms + rng.randrange(1, 200)),
                            lambda: self.space.delete(key), lambda: self.space.set_deadline(key, 0),
                            lambda: self.run_words(b"MSET %b 1 %b 2" % (key, key + b"x")), self.space.work,
                            lambda: self.space.cleaner.step(100), self.space.index.start_growth,
                            lambda: self.space.clear() if rng.random() < 0.2 else None))()
            except DiskError:
                refused += 1
                self.assertEqual(state_of(self.space), before)
            except GridFullError:
                refused += 1
            if rng.random() < 0.1:
                self.space.now_ms += rng.randrange(100)
            if rng.random() < 0.1:
                self.space.check()
        self.assertGreater(refused, 3)
        self.before = []
        self.assert_replayed()


class FramesTest(LoggedTestCase):
    def test_a_batch_that_fails_logs_nothing(self):
        self.make(preset=PRESET[:4])
        before = state_of(self.space), accounts(self.space)
        bad = BODY.pack(0, 0, 0, lane.COMMAND)
        for frames in ((pack_body(b"a", b"1", 1), pack_body(b"b", b"1", 1), effects.pack_delete(b"k"), bad),
                       [pack_body(b"k%d" % number, bytes(30000), 1) for number in range(40)]):
            with self.assertRaises(Exception) as caught:
                self.context.run(batch_words(*frames))
            self.assertNotIsInstance(caught.exception, DiskError)
            self.assertEqual((state_of(self.space), accounts(self.space)), before)
        self.assertIsInstance(caught.exception, BatchError)
        self.assertEqual(self.log.entries, [])

    def test_a_command_that_fails_in_the_middle_logs_nothing(self):
        self.make()
        before = state_of(self.space), accounts(self.space)
        largest = bytes(self.space.value_size_bytes_max + 1)
        with self.assertRaises(Exception):
            self.context.run([b"MSET", b"k", b"1", b"new", largest])
        self.assertEqual((state_of(self.space), accounts(self.space), self.log.entries), before + ([],))


if __name__ == "__main__":
    unittest.main()
