"""Operations on queues that are interrupted at each of their lines, on a store that answers as a coordinator would.

Whatever the line: afterwards a job is in the hand of whoever called, or with the queue, and what was to be said about
it was said.
"""

import contextlib
import os
import queue
import sys
import unittest

from nosqgrid.client import steps
from nosqgrid.client.codec import TypedCodec
from nosqgrid.client.queues.got import Got
from nosqgrid.client.queues.job import ReservedJob, reserve_steps
from nosqgrid.client.queues.queue import Queue
from nosqgrid.errors import StaleReceiptError
from nosqgrid.formats import values

where = []  # (function, line) of the last interrupt
TRACED = ("steps.py", "job.py", "queue.py", "test_queue_steps.py")


class Desk(object):
    """A store and its links, with one queue."""

    closed, tries_again, address, timeout_s = False, False, "desk", 1.0

    def __init__(self, jobs):
        self.ready, self.held, self.acknowledged, self.owed = list(range(1, jobs + 1)), {}, [], []
        self.codec, self.links, self.request = TypedCodec(), self, 0
        self.got = Got(self.command)
        self._store = self  # it is its own grid, too

    def next_request(self):
        self.request += 1
        return self.request

    def prepare_to_own(self):
        return self.request

    def owe(self, words):
        self.owed.append(words)

    def wait(self, *words, timeout_s=None, inherit=True):
        return self.command(*words)

    def command(self, *words, again=False):
        if words[0] == b"JOB.RESERVE":
            if not self.ready:
                return []
            number = self.ready[0]
            kind, payload = self.codec.encode(number, b"queue:work")
            self.ready, self.held[number] = self.ready[1:], words[-1]
            return [[b"work:%d" % number, 1, kind, payload, 1, b"", b"", 0, 60000, 0]]
        if words[0] == b"JOB.UNDO":
            for number in [number for number, request in self.held.items() if request == words[1]]:
                del self.held[number]
                self.ready.insert(0, number)
            return 1
        number = int(words[1].rpartition(b":")[2])
        if number not in self.held:
            raise StaleReceiptError("job %d is finished" % number)
        if words[0] == b"JOB.TOUCH":
            return [60000, 0]
        where = self.acknowledged if words[0] == b"JOB.ACK" else self.ready
        where.append(self.held.pop(number) and number)
        return b"ready"

    def in_hand(self):
        return sorted(int(item.job.id.partition(":")[2]) for items in self.got._queues.values() for item in items.items
                      if not item.job.finished)


def interrupted(desk, generator, at):
    """Run it with an interrupt at one line, counted from 1, if it has so many; whether it was interrupted."""
    left = [at]
    del where[:]

    def trace(frame, event, argument):
        if os.path.basename(frame.f_code.co_filename) not in TRACED or generator.gi_frame is None:
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                sys.settrace(None)
                where.append((frame.f_code.co_name, frame.f_lineno))
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        steps.run(desk, generator)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        for words in desk.owed:
            with contextlib.suppress(StaleReceiptError):
                desk.command(*words)
    return False


class InterruptedTest(unittest.TestCase):
    def each_line(self, desk_of, steps_of, check, at_least):
        at = 1
        while True:
            desk = desk_of()
            was = interrupted(desk, steps_of(desk), at)
            with self.subTest(line=at, where=str(where)):
                check(desk, was)
            if not was:
                break
            at += 1
        self.assertGreater(at, at_least)

    def test_reserve(self):
        def check(desk, was):
            self.assertEqual((sorted(desk.held), desk.ready), ([], [1, 2]) if was else ([1], [2]))

        self.each_line(lambda: Desk(2), lambda desk: reserve_steps(desk, [b"work"], 1, -1), check, 20)

    def test_get(self):
        def check(desk, was):
            self.assertEqual(sorted(desk.held), desk.in_hand())
            self.assertEqual(sorted(desk.ready + desk.in_hand()), [1, 2])

        self.each_line(lambda: Desk(2), lambda desk: Queue(desk, "work").get_steps(), check, 30)

    def test_the_next_get(self):
        def desk_of():
            desk = Desk(2)
            self.assertEqual(Queue(desk, "work").get(), 1)
            return desk

        def check(desk, was):
            self.assertEqual(sorted(desk.held), desk.in_hand())
            self.assertEqual(sorted(desk.ready + desk.in_hand() + desk.acknowledged), [1, 2])

        self.each_line(desk_of, lambda desk: Queue(desk, "work").get_steps(), check, 40)

    def test_what_came_of_a_job(self):
        def row(desk):
            return desk.command(b"JOB.RESERVE", b"REQUEST", 1)[0]

        def check(desk, was):
            if desk.held:
                self.assertTrue(was)  # before anything was said
            self.assertEqual(len(desk.held) + len(desk.acknowledged) + len(desk.ready), 1)

        began = []

        def steps_of(name):
            def found(desk):
                job = ReservedJob(desk, row(desk))
                began.append(job)
                return getattr(job, name)()
            return found

        for name in ("ack_steps", "nack_steps", "bury_steps"):
            self.each_line(lambda: Desk(1), steps_of(name), check, 8)
            said = [job for job in began if job.finished]
            self.assertGreater(len(said), 3)
            for job in said:
                self.assertEqual(list(job._store.held), [], "it says that it is finished")
            del began[:]

    def test_a_plain_run(self):
        desk = Desk(1)
        work = Queue(desk, "work")
        self.assertEqual(work.get(), 1)
        with self.assertRaises(queue.Empty):
            work.get_nowait()
        self.assertEqual((desk.acknowledged, desk.in_hand()), ([1], []))
        self.assertEqual(values.encode_key("work"), b"work")


if __name__ == "__main__":
    unittest.main()
