"""The structure of a queue against a plain model: changes, what takes them back, what rebuilds it, and the order."""

import random
import unittest

from nosqgrid.engine.structures import job_records
from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.engine.structures.job_records import (
    DEAD, DELAYED, DONE, FIFO, READY, RECORD, RESERVED, UNTIL_STARTED, pack_fixed, pack_notes, unpack_fixed,
    unpack_notes)
from nosqgrid.engine.structures.jobs import PUT_BYTES, Queue
from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import values
from tests.support.queue_model import Model, job_words, options_of, random_change, record_of
from tests.support.tiers import FULL, slow

STEPS = 20000 if FULL else 2500


def what_it_has(queue):
    """Everything of a queue but its index."""
    return (queue.jobs, queue.settings, queue.holds, queue.next_number, queue.needs, queue.leads, queue.size_bytes)


def rebuilt(queue):
    made = Queue()
    for words in queue.changes():
        made.apply(words)
    return made


class QueueTest(unittest.TestCase):
    def verify(self, queue, model):
        self.assertEqual(queue.jobs, model.jobs)
        self.assertEqual((queue.settings, queue.holds, queue.next_number),
                         (model.settings, model.holds, model.next_number))
        for side, links in ((b"needs", queue.needs), (b"leads", queue.leads)):
            self.assertEqual({number: sorted(ids) for number, ids in links.items()},
                             {number: sorted(ids) for (one, number), ids in model.links.items() if one == side})
        self.verify_index(queue, model)

    def verify_index(self, queue, model):
        index = queue.index
        self.assertEqual(index.counts, model.counts())
        firsts = model.firsts()
        self.assertIn(index.first(), firsts or {0})
        self.assertEqual(index.next_timer(), model.timers())
        self.assertEqual({key: number for key, number in index.unique.items()},
                         {key: min(numbers) for key, numbers in model.unique().items()})
        queued = [number for number, job in model.jobs.items() if job[0][0] <= READY]
        self.assertEqual(index.first_queued(), min(queued) if queued else 0)
        groups = {job_records.group_of(job[3]) for job in model.jobs.values() if job[0][0] in (READY, RESERVED)}
        groups |= {b"fifo"} if model.in_flight(b"fifo") else set()
        self.assertEqual(set(index.groups), groups)
        for name, group in index.groups.items():
            self.assertEqual(group.in_flight, len(model.in_flight(name)))


class RandomTests(QueueTest):
    @slow
    def test_against_a_model(self):
        rng = random.Random(1)
        queue, model = Queue(), Model()
        for step in range(STEPS):
            before = what_it_has(queue.copy())
            inverse = list(queue.apply(random_change(rng, model)))
            if step % 10 == 0:
                self.verify(queue, model)
                made = rebuilt(queue)
                self.assertEqual(what_it_has(made), what_it_has(queue))
                self.verify(made, model)
                self.verify(queue.copy(), model)
            if step % 3 == 0:
                again = queue.copy()
                for words in inverse:
                    again.apply(words)
                self.assertEqual(what_it_has(again), before)

    @slow
    def test_what_was_taken_back_is_in_the_same_order(self):
        rng = random.Random(2)
        queue, model = Queue(), Model()
        for _ in range(STEPS // 2):
            kept = model.copy()
            inverses = [list(queue.apply(random_change(rng, model))) for _ in range(rng.randrange(1, 6))]
            if rng.random() < 0.5:
                for inverse in reversed(inverses):
                    for words in inverse:
                        queue.apply(words)
                model = kept
            self.verify_index(queue, model)

    def test_taking_whatever_is_first_follows_the_model(self):
        rng = random.Random(3)
        queue, model = Queue(), Model()
        for _ in range(300):
            queue.apply(random_change(rng, model))
        taken = 0
        while queue.index.first():
            number = queue.index.first()
            self.assertIn(number, model.firsts())
            record, payload, options, fixed, _ = model.jobs[number]
            deliveries = RECORD.unpack(record)[4] + 1
            model.jobs[number] = record_of(RESERVED, deliveries=deliveries), payload, options, fixed, b""
            queue.apply([b"state", b"%d" % number, model.jobs[number][0], b""])
            taken += 1
        self.assertGreater(taken, 10)
        self.assertEqual(model.firsts(), set())


class OrderTests(unittest.TestCase):
    def setUp(self):
        self.queue = Queue()
        self.number = 0

    def put(self, group=b"", fifo=False, **record):
        self.number += 1
        fixed = pack_fixed(group, b"", 0, 0, [])
        self.queue.apply(job_words(self.number, record_of(**record), options=options_of(FIFO if fifo else 0),
                                   fixed=fixed))
        return self.number

    def take(self):
        number = self.queue.index.first()
        if number:
            self.set(number, state=RESERVED, deliveries=1)
        return number

    def set(self, number, **record):
        self.queue.apply([b"state", b"%d" % number, record_of(**record), b""])

    def test_priority_then_ready_time_then_number(self):
        late = self.put(at_ms=9)
        first = self.put(at_ms=5)
        second = self.put(at_ms=5)
        last = self.put(priority=1, at_ms=1)
        urgent = self.put(priority=-5, at_ms=100)
        self.assertEqual([self.take() for _ in range(6)], [urgent, first, second, late, last, 0])

    def test_groups_share_by_what_they_have_in_flight(self):
        big = [self.put(b"big") for _ in range(50)]
        small = [self.put(b"small") for _ in range(3)]
        taken = [self.take() for _ in range(6)]
        self.assertEqual(sorted(taken), sorted(big[:3] + small))
        self.set(small[0], state=DONE)
        self.put(b"small")
        self.assertEqual(self.take(), self.number)

    def test_equal_groups_take_turns(self):
        for _ in range(3):
            for group in (b"a", b"b", b"c"):
                self.put(group)
        groups = []
        while self.queue.index.first():
            number = self.take()
            groups.append(job_records.group_of(self.queue.jobs[number][3]))
            self.queue.apply([b"del", b"%d" % number])
        self.assertEqual(sorted(groups[:3]), [b"a", b"b", b"c"])
        self.assertEqual(groups[:3] * 3, groups)

    def test_a_fifo_group_has_one_in_flight_and_stays_in_order(self):
        first, second = self.put(b"g", True, at_ms=1), self.put(b"g", True, at_ms=2)
        self.assertEqual(self.take(), first)
        other = self.put(b"", at_ms=9)
        self.assertEqual([self.take(), self.take()], [other, 0])
        self.set(first, state=DELAYED, deliveries=1, at_ms=50)
        self.assertEqual(self.take(), 0)
        self.set(first, state=READY, deliveries=1, at_ms=50)
        self.assertEqual(self.take(), first)
        self.set(first, state=DEAD, deliveries=2)
        self.assertEqual(self.take(), second)

    def test_what_left_the_middle_of_the_heap_does_not_stay_in_memory(self):
        numbers = [self.put(priority=1) for _ in range(2000)]
        for number in numbers[1:]:
            self.queue.apply([b"del", b"%d" % number])
        self.assertLess(len(self.queue.index.groups[b""].places), 200)
        self.assertEqual(self.take(), numbers[0])

    def test_timers_do_not_stay_in_memory(self):
        number = self.put(state=DELAYED, at_ms=1)
        for at_ms in range(2, 1000):
            self.set(number, state=DELAYED, at_ms=at_ms)
        self.assertLess(len(self.queue.index.timers), 100)
        self.assertEqual(self.queue.index.next_timer(), (999, number))

    def test_offers_do_not_stay_in_memory(self):
        one, two = self.put(b"a"), self.put(b"b")
        for _ in range(1000):
            self.set(one, state=RESERVED, deliveries=1)
            self.set(one, state=READY)
        self.assertLess(len(self.queue.index.turns), 100)
        self.assertEqual({self.take(), self.take()}, {one, two})


class PieceTests(unittest.TestCase):
    def test_the_fixed_part(self):
        for parts in ((b"", b"", 0, 0, []), (b"g", b"", 0, 0, []), (b"", b"k", 7, UNTIL_STARTED, []),
                      (b"group", b"key", 5, 60, [b"q:1", b"r:2"])):
            self.assertEqual(unpack_fixed(pack_fixed(*parts)), parts)

    def test_notes_go_on_behind_each_other(self):
        one, two = pack_notes({b"a": b"1", b"b": b""}), pack_notes({b"b": b"2", b"a": b"3"})
        self.assertEqual(unpack_notes(one + two), {b"a": b"3", b"b": b"2"})
        self.assertEqual((unpack_notes(b""), pack_notes({})), ({}, b""))

    def test_the_class_of_the_type(self):
        self.assertIs(CLASSES[values.QUEUE], Queue)
        self.assertEqual(values.STRUCTURE_NAMES[values.QUEUE], "queue")


class HostileTests(unittest.TestCase):
    def test_words_that_are_no_change_change_nothing(self):
        queue = Queue()
        queue.apply(job_words(1, record_of(), fixed=pack_fixed(b"g", b"k", 1, 1, [b"q:1"])))
        queue.apply([b"link", b"needs", b"1", b"q:1"])
        queue.apply([b"hold", b"k", b"1", b"5"])
        before = what_it_has(queue.copy())
        options, fixed = options_of(), pack_fixed(b"g", b"k", 1, 1, [b"q:1"])
        bad = [
            [], [b"put"], [b"nothing", b"1"], job_words(0, record_of()), job_words(1, record_of()), job_words(0, b""),
            job_words(2, record_of()[:-1]), job_words(2, b"\x07" + record_of()[1:]), job_words(2, record_of())[:-1],
            job_words(2, record_of(at_ms=-1)), job_words(2, record_of(put_ms=1 << 60)),
            job_words(2, record_of(), options=options[:-1]), job_words(2, record_of(), options=options_of(ttr_ms=-1)),
            job_words(2, record_of(), options=b""),
            job_words(2, record_of(), fixed=fixed[:-1]), job_words(2, record_of(), fixed=fixed + b"x"),
            job_words(2, record_of(), fixed=b"\xff" * 30), job_words(2, record_of(), notes=b"\x09\x00\x00\x00"),
            job_words(2, record_of(), notes=b"\x01\x00\x00\x00\x01\x00\x00\x00a"),
            job_words(2, record_of()) + job_words(2, record_of())[1:], job_words(2, record_of()) + [b"3"],
            [b"put", b"x"] + job_words(2, record_of())[2:], [b"put", b"9" * 30] + job_words(2, record_of())[2:],
            [b"state", b"9", record_of(), b""], [b"state", b"1", record_of()], [b"state", b"1", b"", b""],
            [b"state", b"1", record_of(), b"x"], [b"state", b"-1", record_of(), b""],
            [b"del", b"2"], [b"del", b"1", b"1"], [b"del", b"1", b"2"], [b"del", b"x"],
            [b"link", b"needs", b"1", b"q:1"], [b"link", b"other", b"1", b"q:2"], [b"link", b"needs", b"1"],
            [b"link", b"needs", b"2", b"q:2"], [b"link", b"needs", b"1", b"a", b"a"], [b"unlink", b"needs", b"1", b"z"],
            [b"unlink", b"leads", b"1", b"q:1"], [b"hold", b"k", b"1"], [b"hold", b"k", b"x", b"1"], [b"free", b"z"],
            [b"set", b"", b"1"], [b"set", b"a"], [b"set", b"paused", b"x"], [b"set", b"paused", b"1" * 17],
            [b"next", b"x"], [b"next", b"0"], [b"next", b"1"],
            [b"next", b"5", b"5"]]
        for words in bad:
            with self.assertRaises(CorruptValueError, msg=words):
                queue.apply(words)
            self.assertEqual(what_it_has(queue), before, words)
        self.assertEqual(queue.index.first(), 1)

    def test_random_garbage(self):
        rng = random.Random(5)
        queue, model = Queue(), Model()
        for _ in range(STEPS):
            words = random_change(rng, model)
            spoiled = list(words)
            at = rng.randrange(len(words))
            spoiled[at] = bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
            garbled = queue.copy()
            try:
                garbled.apply(spoiled)
            except CorruptValueError:
                self.assertEqual(what_it_has(garbled), what_it_has(queue))
            else:
                self.assertEqual(what_it_has(rebuilt(garbled)), what_it_has(garbled))
            queue.apply(words)


class WholeTests(unittest.TestCase):
    def test_changes_are_of_some_size(self):
        queue = Queue()
        for number in range(1, 2001):
            queue.apply(job_words(number, record_of(), payload=b"x" * 100))
        puts = [words for words in queue.changes() if words[0] == b"put"]
        sizes = [sum(map(len, words)) for words in puts]
        self.assertGreater(len(puts), 5)
        self.assertLess(max(sizes), 2 * PUT_BYTES)
        self.assertEqual(what_it_has(rebuilt(queue)), what_it_has(queue))

    def test_a_copy_and_what_it_was_made_of_change_by_themselves(self):
        queue = Queue()
        queue.apply(job_words(1, record_of()))
        queue.apply([b"link", b"leads", b"1", b"q:2"])
        other = queue.copy()
        other.apply([b"unlink", b"leads", b"1", b"q:2"])
        other.apply([b"state", b"1", record_of(DEAD), b""])
        queue.apply([b"set", b"maxlen", b"3"])
        self.assertEqual((queue.index.first(), other.index.first()), (1, 0))
        self.assertEqual((queue.leads, other.leads, other.settings), ({1: {b"q:2": True}}, {}, {}))

    def test_letting_go_of_it_in_slices(self):
        queue = Queue()
        for number in range(1, 101):
            queue.apply(job_words(number, record_of()))
        steps = 1
        while not queue.shrink(30):
            steps += 1
        self.assertEqual((steps, len(queue)), (4, 0))


if __name__ == "__main__":
    unittest.main()
