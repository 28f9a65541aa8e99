"""The explorer itself: it executes every interleaving exactly once, finds the classic bugs, and leaves no thread."""

import functools
import math
import struct
import threading
import unittest
from unittest import mock

from tests.explorer import scheduler
from tests.explorer.scheduler import (
    HALVES, WORDS, Livelock, Memory, NotDeterministic, ScheduleFailure, explore, replay)
from tests.explorer.stand_ins import pieces
from tests.support.linearizability import find_violation


def binomial(n, k):
    return math.factorial(n) // (math.factorial(k) * math.factorial(n - k))


def bounded_count(m, n, bound):
    """Schedules of two actors with m and n steps and at most `bound` interruptions, counted one step at a time."""
    def count(left, running, spent):
        if spent > bound:
            return 0
        if not any(left):
            return 1
        total = 0
        for actor in (0, 1):
            if left[actor]:
                interrupts = running is not None and actor != running and left[running] > 0
                after = (left[0] - (actor == 0), left[1] - (actor == 1))
                total += count(after, actor, spent + interrupts)
        return total
    return count((m, n), None, 0)


def stepping(*counts):
    """A scenario of actors that make so many steps each, on words of their own."""
    def scenario(memory):
        def actor(index, count):
            for _ in range(count):
                memory.words[index] = 1
            return count
        return [functools.partial(actor, index, count) for index, count in enumerate(counts)]
    return scenario


def accept(results):
    """A check that finds nothing wrong."""


class CountTest(unittest.TestCase):

    def setUp(self):
        self.threads_before = threading.active_count()
        self.addCleanup(lambda: self.assertEqual(threading.active_count(), self.threads_before))

    def test_two_actors_have_the_binomial_number_of_interleavings(self):
        for m, n in ((1, 1), (1, 4), (3, 3), (5, 4), (0, 3), (0, 0)):
            # An actor without accesses still begins and ends, which counts as one step.
            expected = binomial(max(m, 1) + max(n, 1), max(m, 1))
            self.assertEqual(explore(stepping(m, n), accept), (expected, True), (m, n))

    def test_three_actors_have_the_multinomial_number_of_interleavings(self):
        self.assertEqual(explore(stepping(2, 3, 2), accept).count, math.factorial(7) // (2 * 6 * 2))

    def test_one_actor_has_one(self):
        self.assertEqual(explore(stepping(5), accept), (1, True))

    def test_bound_leaves_exactly_the_schedules_with_so_few_interruptions(self):
        for bound in range(5):
            self.assertEqual(explore(stepping(4, 5), accept, bound=bound), (bounded_count(4, 5, bound), True))
        self.assertEqual(bounded_count(4, 5, 9), binomial(9, 4))

    def test_every_interleaving_is_executed_once(self):
        seen = []

        def scenario(memory):
            order = []

            def actor(name):
                for index in range(3):
                    memory.reader_words[index]
                    order.append(name)
                return order
            return [functools.partial(actor, "a"), functools.partial(actor, "b")]

        result = explore(scenario, lambda results: seen.append("".join(results[0])))
        self.assertEqual(result.count, len(seen))
        self.assertEqual(len(set(seen)), binomial(6, 3))

    def test_limit_ends_the_search_and_says_so(self):
        self.assertEqual(explore(stepping(3, 3), accept, limit=7), (7, False))
        self.assertEqual(explore(stepping(3, 3), accept, limit=20), (20, True))

    def test_setup_and_check_make_no_steps(self):
        def scenario(memory):
            for index in range(50):
                memory.words[index] = index
            memory.arena[800:900] = bytes(100)
            return [lambda: memory.words[1], lambda: memory.arena[8:16]]

        def check(results):
            self.assertEqual(results, [1, struct.pack("<Q", 1)])
            self.assertEqual(results.memory.words[49], 49)

        self.assertEqual(explore(scenario, check).count, 2)

    def test_torn_slices_are_so_many_steps(self):
        def scenario(memory):
            return [lambda: memory.arena[0:32], lambda: memory.words[0]]
        for tear, steps in ((None, 1), (HALVES, 2), (WORDS, 4)):
            memory = functools.partial(Memory, 64, tear=tear)
            self.assertEqual(explore(scenario, accept, memory=memory).count, steps + 1)

    def test_loads_of_a_lone_writer_can_be_left_out(self):
        def scenario(memory):
            def writer():
                memory.words[0] = memory.words[1] + len(memory.arena[16:48])
            return [writer, lambda: memory.reader_words[0]]
        self.assertEqual(explore(scenario, accept, memory=functools.partial(Memory, 64, writer_loads=False)).count, 2)
        self.assertEqual(explore(scenario, accept, memory=functools.partial(Memory, 64)).count, 5)

    def test_random_schedules_repeat_with_their_seed(self):
        def orders(seed):
            seen = []

            def scenario(memory):
                order = []

                def actor(name):
                    for _ in range(4):
                        memory.words[0] = 1
                        order.append(name)
                    return order
                return [functools.partial(actor, 0), functools.partial(actor, 1)]
            result = explore(scenario, lambda results: seen.append(tuple(results[0])), seed=seed, limit=60)
            self.assertEqual(result, (60, False))
            return seen
        self.assertEqual(orders(5), orders(5))
        self.assertNotEqual(orders(5), orders(6))
        self.assertGreater(len(set(orders(5))), 20)

    def test_random_search_without_limit_is_refused(self):
        self.assertRaises(ValueError, explore, stepping(1, 1), accept, seed=1)


class MemoryTest(unittest.TestCase):

    def test_faces_show_the_same_bytes(self):
        memory = Memory(64)
        memory.words[2] = 0x0102030405060708
        self.assertEqual(memory.reader_arena[16:24], bytes((8, 7, 6, 5, 4, 3, 2, 1)))
        memory.arena[17] = 9
        self.assertEqual(memory.reader_words[2], 0x0102030405060908)
        self.assertEqual((memory.arena[17], len(memory.arena), len(memory.words)), (9, 64, 8))

    def test_slices_behave_as_those_of_an_mmap(self):
        memory = Memory(64)
        memory.arena[60:64] = b"last"
        self.assertEqual(memory.arena[60:99], b"last")
        self.assertEqual(memory.arena[-4:], b"last")
        self.assertEqual(memory.arena[40:30], b"")
        with self.assertRaises(IndexError):
            memory.arena[0:4] = b"abc"
        with self.assertRaises(IndexError):
            memory.words[8]

    def test_reader_cannot_store(self):
        memory = Memory(64)
        with self.assertRaises(TypeError):
            memory.reader_words[0] = 1
        with self.assertRaises(TypeError):
            memory.reader_arena[0:1] = b"x"
        self.assertEqual(bytes(memory.bytes), bytes(64))

    def test_unpack_reads_what_struct_does(self):
        memory, structure = Memory(64), struct.Struct("<QIHBB")
        memory.arena[8:24] = structure.pack(1, 2, 3, 4, 5)
        self.assertEqual(memory.unpacker(structure)(memory.reader_arena, 8), (1, 2, 3, 4, 5))
        with self.assertRaises(struct.error):
            memory.unpacker(structure)(memory.reader_arena, 56)

    def test_pieces_cover_a_copy_without_overlap(self):
        for tear in (None, HALVES, WORDS):
            for start in range(9):
                for size in range(40):
                    covered = [at for begin, end in pieces(start, size, tear) for at in range(begin, end)]
                    self.assertEqual(covered, list(range(start, start + size)))

    def test_one_machine_access_is_never_torn(self):
        for size in (1, 2, 4, 8):
            self.assertEqual(pieces(16, size, WORDS), [(16, 16 + size)])
        self.assertEqual(len(pieces(12, 8, WORDS)), 2)
        self.assertEqual(len(pieces(17, 2, HALVES)), 2)


# -- toys with known bugs, each with the version that is right --------------------------------------------------------


def seqlock(checks_again):
    """One writer stores two words under a sequence; a reader that does not look at it again takes half an update."""
    def scenario(memory):
        words = memory.words

        def write():
            for value in (1, 2):
                words[0] = 2 * value - 1
                words[1] = value
                words[2] = value
                words[0] = 2 * value

        def read():
            for _ in range(6):
                before = memory.reader_words[0]
                if before & 1:
                    continue
                pair = memory.reader_words[1], memory.reader_words[2]
                if not checks_again or memory.reader_words[0] == before:
                    return pair
            return None
        return [write, read]

    def check(results):
        assert results[1] in (None, (0, 0), (1, 1), (2, 2)), "torn: %r" % (results[1],)
    return scenario, check


def publication(body_first):
    """A record is written and a word points at it; a reader follows the word."""
    def scenario(memory):
        def write():
            if body_first:
                memory.arena[32:48] = b"a whole record!!"
                memory.words[0] = 32
            else:
                memory.words[0] = 32
                memory.arena[32:48] = b"a whole record!!"

        def read():
            at = memory.reader_words[0]
            return memory.reader_arena[at:at + 16] if at else None
        return [write, read]

    def check(results):
        assert results[1] in (None, b"a whole record!!"), "half a record: %r" % results[1]
    return scenario, check


def increments(count, memory):
    """Actors that add one each, by a load and a store."""
    def increment():
        memory.words[0] += 1
    return [increment for _ in range(count)]


class KnownBugTest(unittest.TestCase):

    def setUp(self):
        self.threads_before = threading.active_count()
        self.addCleanup(lambda: self.assertEqual(threading.active_count(), self.threads_before))

    def test_seqlock_without_the_second_look_is_caught(self):
        scenario, check = seqlock(checks_again=False)
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, check, bound=2)
        self.assertIn("torn", str(caught.exception))

    def test_seqlock_passes_every_interleaving(self):
        scenario, check = seqlock(checks_again=True)
        result = explore(scenario, check, bound=4)
        self.assertTrue(result.exhausted)
        self.assertGreater(result.count, 500)

    def test_publishing_before_writing_is_caught(self):
        scenario, check = publication(body_first=False)
        self.assertRaises(ScheduleFailure, explore, scenario, check, bound=1)

    def test_publishing_after_writing_passes_every_interleaving(self):
        scenario, check = publication(body_first=True)
        self.assertTrue(explore(scenario, check).exhausted)

    def test_half_of_a_torn_copy_is_seen(self):
        def scenario(memory):
            def write():
                memory.arena[0:16] = b"x" * 16
            return [write, lambda: memory.reader_arena[0:16]]
        seen = set()
        explore(scenario, lambda results: seen.add(results[1].replace(b"\0", b"-")))
        self.assertEqual(seen, {b"-" * 16, b"x" * 8 + b"-" * 8, b"-" * 8 + b"x" * 8, b"x" * 16})

    def test_lost_update_is_caught(self):
        def check(results):
            assert results.memory.words[0] == 2, "an update was lost"
        self.assertRaisesRegex(ScheduleFailure, "lost", explore, functools.partial(increments, 2), check, bound=1)

    def test_random_search_finds_the_lost_update(self):
        def check(results):
            assert results.memory.words[0] == 3
        self.assertRaises(ScheduleFailure, explore, functools.partial(increments, 3), check, seed=1, limit=200)

    def test_stale_read_is_caught_by_the_history(self):
        def scenario(memory):
            def write():
                memory.record("set", ("k", 1), lambda: memory.words.__setitem__(1, 1))  # to the wrong place

            def read():
                return memory.record("get", ("k",), lambda: memory.reader_words[0] or None)
            return [write, read]

        def check(results):
            violation = find_violation(results.memory.history)
            assert violation is None, violation
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, check)
        self.assertEqual(caught.exception.schedule, [0])  # the writer is through, so the reader must find it


class FailureTest(unittest.TestCase):

    def setUp(self):
        self.threads_before = threading.active_count()
        self.addCleanup(lambda: self.assertEqual(threading.active_count(), self.threads_before))

    def test_failure_replays_with_its_schedule_and_shows_its_accesses(self):
        scenario, check = publication(body_first=False)
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, check)
        failure = caught.exception
        self.assertIn("store word 0 <- 0x20", str(failure))
        self.assertIn("replay with schedule = ", str(failure))
        self.assertIsInstance(failure.__cause__, AssertionError)
        self.assertRaisesRegex(AssertionError, "half a record", replay, scenario, check, failure.schedule)
        self.assertEqual(replay(scenario, accept, failure.schedule), failure.trace)

    def test_exception_of_an_actor_comes_with_its_schedule(self):
        def scenario(memory):
            def fail():
                memory.words[0] = 1
                if memory.words[1]:
                    raise KeyError("lost my key")

            def other():
                for index in (1, 2, 3):
                    memory.words[index] = 1
            return [fail, other]
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, accept)
        self.assertIsInstance(caught.exception.__cause__, KeyError)
        self.assertIn("KeyError", str(caught.exception))

    def test_endless_loop_is_a_livelock(self):
        def scenario(memory):
            def wait():
                while not memory.reader_words[0]:
                    pass
            return [wait, lambda: memory.words[1]]
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, accept, steps_max=300)
        self.assertIsInstance(caught.exception.__cause__, Livelock)
        self.assertIn("] * ", str(caught.exception))

    def test_actor_that_blocks_elsewhere_is_a_failure_and_not_a_hang(self):
        lock = threading.Lock()
        lock.acquire()

        def scenario(memory):
            return [lock.acquire, lambda: memory.words[0]]
        with mock.patch.object(scheduler, "STUCK_S", 0.1):
            self.assertRaises(ScheduleFailure, explore, scenario, accept)
        lock.release()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5)

    def test_scenario_that_depends_on_something_else_is_refused(self):
        executions = []

        def scenario(memory):
            executions.append(1)
            return stepping(3 if len(executions) % 2 else 1, 3)(memory)
        with self.assertRaises(ScheduleFailure) as caught:
            explore(scenario, accept)
        self.assertIsInstance(caught.exception.__cause__, NotDeterministic)

    def test_impossible_schedule_is_refused(self):
        self.assertRaises(NotDeterministic, replay, stepping(2, 2), accept, [0, 0, 0, 0])
        self.assertRaises(NotDeterministic, replay, stepping(2, 2), accept, [7])

    def test_cleaning_up_of_an_abandoned_actor_runs(self):
        cleaned = []

        def scenario(memory):
            def careful():
                try:
                    memory.words[0] = 1
                    memory.words[1] = 1
                finally:
                    cleaned.append(1)

            def failing():
                memory.words[2] = 1
                raise ValueError("on purpose")
            return [careful, failing]
        self.assertRaises(ScheduleFailure, explore, scenario, accept)
        self.assertTrue(cleaned)

    def test_interrupt_in_an_actor_is_not_swallowed(self):
        def scenario(memory):
            def interrupted():
                memory.words[0] = 1
                raise KeyboardInterrupt
            return [interrupted, lambda: memory.words[1]]
        self.assertRaises(KeyboardInterrupt, explore, scenario, accept)


if __name__ == "__main__":
    unittest.main()
