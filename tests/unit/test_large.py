"""The account of large values over fake files: who is charged, who is handed out, what is closed and when."""

import random
import unittest

from nosqgrid.engine.large import Larges
from nosqgrid.errors import CommandError, GridFullError, InvariantError, ValueTooLargeError
from nosqgrid.formats import resp, values
from nosqgrid.limits import KIB, MIB, VALUE_SIZE_BYTES_MAX
from tests.support.command_context import PlainContext
from tests.support.keyspaces import make_keyspace

SIZE = 200 * KIB


class FakeFiles(object):
    """Files as entries of a dict; `refuse` has make() find no descriptor."""

    def __init__(self):
        self.open = {}
        self.next = 100
        self.refuse = False
        self.reads = 0

    def make(self, payload):
        if self.refuse:
            return None
        self.next += 1
        self.open[self.next] = payload
        return self.next

    def read(self, fd, size_bytes):
        self.reads += 1
        return self.open[fd][:size_bytes]

    def inode(self, fd):
        return fd + 1000

    def close(self, fd):
        del self.open[fd]


class Memory(object):
    def __init__(self, room):
        self.room = room
        self.taken = 0

    def take(self, size_bytes):
        if self.taken + size_bytes > self.room:
            raise GridFullError("this test has no more memory")
        self.taken += size_bytes

    def give_back(self, size_bytes):
        self.taken -= size_bytes


class LargesTestCase(unittest.TestCase):
    def setUp(self):
        self.files, self.memory, self.held = FakeFiles(), Memory(10 * MIB), set()
        self.larges = Larges(self.files, self.memory.take, self.memory.give_back, lambda: set(self.held))

    def make(self, size=SIZE, byte=b"x"):
        number = self.larges.reserve(size)
        self.larges.adopt(number, self.files.make(byte * size))
        return number

    def stats(self):
        return dict(self.larges.stats())

    def assert_empty(self):
        self.larges.sweep()
        self.assertEqual((self.files.open, self.memory.taken), ({}, 0))
        self.assertEqual(set(self.stats().values()), {0})
        self.assertFalse(self.larges.to_sweep)


class AccountTest(LargesTestCase):
    def test_it_is_charged_before_it_exists_and_until_nobody_can_have_it(self):
        number = self.larges.reserve(SIZE)
        self.assertEqual((self.memory.taken, self.stats()["large_filling_bytes"]), (SIZE, SIZE))
        self.larges.adopt(number, self.files.make(b"x" * SIZE))
        self.larges.hold(number)
        self.held.add(number)
        self.larges.release(number)
        self.assertIsNone(self.larges.fd_of(number))
        self.larges.sweep()
        self.assertEqual((self.files.open, self.memory.taken, self.larges.size_of(number)), ({}, SIZE, SIZE))
        self.assertEqual(self.stats()["large_dropped_bytes"], SIZE)
        self.held.clear()
        self.assert_empty()
        self.assertEqual(self.larges.size_of(number), 0)

    def test_what_is_not_handed_over_is_given_back(self):
        self.larges.forget(self.larges.reserve(SIZE))
        self.assert_empty()

    def test_a_record_says_where_its_file_is(self):
        number = self.make()
        fd, _ = self.larges.fd_of(number)
        self.assertEqual(self.larges.place_of(number), (number, SIZE, fd, fd + 1000))

    def test_numbers_are_never_given_twice(self):
        numbers = []
        for turn in range(20):
            number = self.larges.reserve(1)
            numbers.append(number)
            if turn % 2:
                self.larges.forget(number)
        self.assertEqual(len(set(numbers)), 20)

    def test_what_was_dropped_can_be_read_until_the_sweep_and_is_not_handed_out(self):
        number = self.make(byte=b"y")
        self.larges.hold(number)
        self.larges.release(number)
        self.assertEqual(self.larges.read(number), b"y" * SIZE)
        self.assertIsNone(self.larges.fd_of(number))
        self.larges.sweep()
        self.assertIsNone(self.larges.read(number))

    def test_memory_that_is_only_waiting_for_the_sweep_is_no_reason_to_refuse(self):
        for _ in range(200):
            number = self.make(MIB)
            self.larges.hold(number)
            self.larges.release(number)
        self.assert_empty()

    def test_a_file_that_cannot_be_made_here_leaves_nothing(self):
        self.files.refuse = True
        self.assertIsNone(self.larges.make(b"x" * SIZE))
        self.assert_empty()
        self.files.refuse = False
        self.assertIsNone(self.larges.make(b"x" * (11 * MIB)))
        self.assert_empty()

    def test_a_shared_one_lives_as_long_as_somebody_holds_it(self):
        number = self.make()
        self.larges.share(number)
        self.larges.share(number)
        self.larges.drop_unused(number)
        self.held.add(number)
        self.larges.sweep()
        self.assertEqual(self.larges.fd_of(number)[1], SIZE)
        self.assertEqual(self.stats()["large_shared"], 1)
        self.held.clear()
        self.assert_empty()

    def test_one_that_is_shared_and_a_keys_needs_both_to_end(self):
        for first in ("key", "share"):
            number = self.make()
            self.larges.share(number)
            self.larges.hold(number)
            self.held.add(number)
            if first == "key":
                self.larges.release(number)
                self.larges.sweep()
                self.assertIsNotNone(self.larges.fd_of(number))
                self.held.clear()
            else:
                self.held.clear()
                self.larges.sweep()
                self.assertIsNotNone(self.larges.fd_of(number))
                self.larges.release(number)
            self.assert_empty()

    def test_clearing_drops_what_keys_had_and_keeps_what_is_shared(self):
        kept, shared = self.make(), self.make()
        self.larges.hold(kept)
        self.larges.share(shared)
        self.larges.hold(shared)
        self.held.add(shared)
        self.larges.release_all()
        self.assertIsNone(self.larges.fd_of(kept))
        self.assertIsNotNone(self.larges.fd_of(shared))
        self.held.clear()
        self.assert_empty()

    def test_the_end_closes_all(self):
        kept, dropped = self.make(), self.make()
        self.larges.hold(kept)
        self.larges.drop_unused(dropped)
        self.larges.close()
        self.assertEqual(self.files.open, {})

    def test_check_finds_what_does_not_agree(self):
        number = self.make()
        self.larges.hold(number)
        self.larges.check({number: 1})
        for wrong in ({}, {number: 2}, {number: 1, 99: 1}):
            self.assertRaises(InvariantError, self.larges.check, wrong)


class KeyspaceTestCase(LargesTestCase):
    def setUp(self):
        super().setUp()
        self.keyspace, _ = make_keyspace(4 * MIB)
        self.keyspace.larges = self.larges
        self.context = PlainContext(self.keyspace)

    def set(self, key=b"k", byte=b"x", size=SIZE, deadline_ms=0):
        number = self.make(size, byte)
        try:
            return self.keyspace.store_large(key, values.BYTES, number, deadline_ms)
        finally:
            self.larges.drop_unused(number)


class KeyspaceTest(KeyspaceTestCase):
    def test_every_way_in_which_a_record_ends_lets_go_of_its_file(self):
        ends = [lambda: self.keyspace.delete(b"k"), lambda: self.keyspace.store(b"k", 0, b"small"),
                lambda: self.set(byte=b"z") and self.keyspace.delete(b"k"), self.keyspace.clear, self.expire]
        for end in ends:
            self.set()
            self.keyspace.check()
            end()
            self.keyspace.check()
            self.assert_empty()
            self.keyspace.clear()

    def expire(self):
        self.keyspace.set_deadline(b"k", 50)
        self.keyspace.now_ms += 1000
        while self.keyspace.reclaim_expired():
            pass

    def test_deadlines_move_without_a_look_at_the_content(self):
        self.set(deadline_ms=10 ** 6)
        for deadline_ms in (10 ** 7, 0, 10 ** 8):
            self.keyspace.set_deadline(b"k", deadline_ms)
            self.assertEqual(self.keyspace.lookup(b"k").deadline_ms, deadline_ms)
        self.assertEqual(self.context.call("PERSIST", "k"), b":1\r\n")
        self.assertEqual(self.context.call("PEXPIRE", "k", "50000"), b":1\r\n")
        self.assertEqual(self.context.call("TTL", "k"), b":50\r\n")
        self.assertEqual(self.context.call("EXISTS", "k"), b":1\r\n")
        self.assertEqual((len(self.files.open), self.files.reads), (1, 0))
        self.keyspace.check()

    def test_a_batch_that_is_rolled_back_drops_what_came_and_keeps_what_was(self):
        self.set(byte=b"a")
        self.keyspace.begin()
        self.set(byte=b"b")
        self.set(byte=b"c")
        self.keyspace.delete(b"k")
        self.set(key=b"other", byte=b"d")
        self.assertIsNone(self.keyspace.lookup(b"k"))
        self.keyspace.rollback()
        self.keyspace.check()
        self.assertEqual(self.keyspace.lookup(b"k").value, b"a" * SIZE)
        self.larges.sweep()
        self.assertEqual(len(self.files.open), 1)

    def test_a_batch_that_is_committed(self):
        self.set(byte=b"a")
        self.keyspace.begin()
        self.set(byte=b"b")
        self.keyspace.set_deadline(b"k", 10 ** 9)
        self.set(key=b"other", byte=b"d")
        self.keyspace.commit()
        self.keyspace.check()
        self.larges.sweep()
        self.assertEqual(sorted(content[:1] for content in self.files.open.values()), [b"b", b"d"])

    def test_a_record_that_does_not_fit_drops_the_file(self):
        number = 0
        with self.assertRaises(GridFullError):
            while True:
                self.keyspace.store(b"f%d" % number, 0, b"x" * 10000)
                number += 1
        with self.assertRaises(GridFullError):
            for number in range(1000):
                self.set(key=b"l%d" % number * 1000, size=1)
        self.keyspace.check()
        self.keyspace.clear()
        self.assert_empty()

    def test_values_that_come_over_the_socket_get_a_file_or_lie_in_the_heap(self):
        self.keyspace.store(b"k", 0, b"x" * SIZE)
        self.assertEqual(len(self.files.open), 1)
        self.files.refuse = True
        self.keyspace.store(b"k", 0, b"y" * SIZE)
        self.assertEqual(self.keyspace.lookup(b"k").value, b"y" * SIZE)
        self.keyspace.check()
        self.assert_empty()

    def test_the_cleaner_moves_records_of_large_values_and_leaves_their_files(self):
        for number in range(40):
            self.set(key=b"k%d" % number, byte=bytes([number]), size=100)
            for turn in range(20):
                self.keyspace.store(b"f", 0, b"z" * 5000)
        opened = dict(self.files.open)
        while self.keyspace.cleaner.step(1 << 20):
            pass
        self.keyspace.check()
        self.larges.sweep()
        self.assertEqual(self.files.open, opened)
        for number in range(40):
            self.assertEqual(self.keyspace.lookup(b"k%d" % number).value, bytes([number]) * 100)

    def test_random_work(self):
        for seed in range(6):
            rng = random.Random(seed)
            plain = {}
            for step in range(400):
                key = b"k%d" % rng.randrange(8)
                choice = rng.random()
                byte = bytes([rng.randrange(256)])
                if choice < 0.35:
                    self.set(key, byte, 1000)
                    plain[key] = byte * 1000
                elif choice < 0.5:
                    self.keyspace.store(key, 0, byte * 10)
                    plain[key] = byte * 10
                elif choice < 0.65:
                    self.keyspace.delete(key)
                    plain.pop(key, None)
                elif choice < 0.75:
                    self.keyspace.set_deadline(key, rng.choice((0, 10 ** 9)))
                elif choice < 0.78:
                    self.keyspace.clear()
                    plain.clear()
                elif choice < 0.9:
                    self.batch(rng, plain)
                else:
                    self.larges.sweep()
                if rng.random() < 0.1:
                    self.held = {rng.randrange(1, 100)}
            self.keyspace.check()
            self.assertEqual({key: self.keyspace.lookup(key).value for key in plain}, plain)
            self.keyspace.clear()
            self.held = set()
            self.assert_empty()

    def batch(self, rng, plain):
        after = dict(plain)
        self.keyspace.begin()
        for _ in range(rng.randrange(1, 5)):
            key, byte = b"k%d" % rng.randrange(8), bytes([rng.randrange(256)])
            if rng.random() < 0.3:
                self.keyspace.delete(key)
                after.pop(key, None)
            else:
                self.set(key, byte, 1000)
                after[key] = byte * 1000
        if rng.random() < 0.5:
            self.keyspace.rollback()
        else:
            self.keyspace.commit()
            plain.clear()
            plain.update(after)


class CommandsTest(KeyspaceTestCase):
    """What Redis commands do with large values."""

    def test_they_read_and_change_them(self):
        data = bytes(range(256)) * 800
        number = self.larges.make(data)
        self.keyspace.store_large(b"k", values.BYTES, number)
        call = self.context.run
        self.assertEqual(call([b"GET", b"k"]), data)
        self.assertEqual(call([b"STRLEN", b"k"]), len(data))
        self.assertEqual(call([b"GETRANGE", b"k", b"1", b"3"]), b"\1\2\3")
        self.assertEqual(call([b"GETRANGE", b"k", b"-2", b"-1"]), b"\xfe\xff")
        self.assertEqual(call([b"APPEND", b"k", b"end"]), len(data) + 3)
        self.assertEqual(call([b"SETRANGE", b"k", b"0", b"begin"]), len(data) + 3)
        changed = b"begin" + data[5:] + b"end"
        self.assertEqual(call([b"SET", b"k", b"new" * 70000, b"GET"]), changed)
        self.assertEqual(call([b"GETSET", b"k", b"newer" * 70000]), b"new" * 70000)
        self.assertEqual(call([b"MGET", b"k", b"none"]), [b"newer" * 70000, None])
        self.assertEqual(call([b"GETEX", b"k", b"PX", b"100000"]), b"newer" * 70000)
        self.assertEqual(call([b"NOSQGRID.GETV", b"k"])[:2], [0, b"newer" * 70000])
        self.assertEqual(call([b"TYPE", b"k"]), resp.Simple("string"))
        self.assertEqual(call([b"SETNX", b"k", b"1"]), 0)
        self.assertEqual(call([b"GETDEL", b"k"]), b"newer" * 70000)
        self.assertEqual(call([b"GET", b"k"]), None)
        self.keyspace.check()
        self.assert_empty()

    def test_a_number_is_not_made_of_one(self):
        self.set()
        for command in (b"INCR", b"INCRBYFLOAT"):
            with self.assertRaises(CommandError):
                self.context.run([command, b"k"] + [b"1"] * (command != b"INCR"))
        self.assertEqual(self.keyspace.lookup(b"k").value, b"x" * SIZE)

    def huge(self):
        """A value that is too large to go through the coordinator."""
        self.memory.room = 1 << 40
        number = self.larges.reserve(VALUE_SIZE_BYTES_MAX + 1)
        self.larges.adopt(number, self.files.make(b"huge"))
        self.keyspace.store_large(b"k", values.BYTES, number)

    def test_of_one_that_is_too_large_to_read_nothing_is_lost(self):
        self.huge()
        for words in ([b"GET", b"k"], [b"GETDEL", b"k"], [b"NOSQGRID.POP", b"k"], [b"GETSET", b"k", b"v"],
                      [b"SET", b"k", b"v", b"GET"], [b"GETEX", b"k", b"PX", b"1"], [b"GETRANGE", b"k", b"0", b"1"],
                      [b"APPEND", b"k", b"v"], [b"MGET", b"k"], [b"NOSQGRID.GETV", b"k"]):
            with self.assertRaises((ValueTooLargeError, CommandError), msg=words):
                self.context.run(words)
            self.assertEqual(self.keyspace.lookup(b"k").deadline_ms, 0, words)
            self.assertEqual(self.larges.stats()[0], ("large_values", 1))
        self.assertEqual(self.files.reads, 0)

    def test_what_does_not_need_its_bytes_works_with_one_of_any_size(self):
        for words, reply in (([b"STRLEN", b"k"], VALUE_SIZE_BYTES_MAX + 1), ([b"EXPIRE", b"k", b"100"], 1),
                             ([b"EXISTS", b"k"], 1), ([b"PERSIST", b"k"], 1), ([b"DEL", b"k"], 1)):
            self.huge()
            if words[0] == b"PERSIST":
                self.keyspace.set_deadline(b"k", 10 ** 9)
            self.assertEqual(self.context.run(words), reply, words)
        self.huge()
        self.assertEqual(self.context.run([b"SET", b"k", b"v", b"PX", b"1000"]), resp.OK)
        self.huge()
        self.assertEqual(self.context.run([b"SET", b"k", b"v", b"XX"]), resp.OK)
        self.assertEqual(self.context.run([b"GET", b"k"]), b"v")
        self.assertEqual(self.files.reads, 0)


if __name__ == "__main__":
    unittest.main()
