"""Topics among processes: every message once and in order, what was missed told exactly, and nothing that was answered
is lost or numbered twice when readers, publishers or the coordinator are killed."""

import json
import os
import random
import signal
import sys
import threading
import time
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import (BatchError, ClosedError, CoordinatorLostError, CoordinatorTimeoutError, CursorLostError,
                             NotServedError, UnsupportedTypeError, UsageError, ValueTooLargeError)
from tests.support.durable import SEED, DurableTestCase
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import FULL, slow

PATIENCE_S = 30.0


def publisher(address, who, count, maxlen):
    """Publish `count` messages [who, n]; print the number of each."""
    with nosqgrid.attach(address) as grid:
        topic = grid.topic("t", maxlen)
        numbers = [topic.publish([who, number]) for number in range(count)]
    print(json.dumps(numbers))


def persistent_publisher(address, who):
    """Publish [who, n] for n = 0, 1, ... until the input ends; print [n, number] of each that was answered."""
    grid = nosqgrid.attach(address, reconnect=PATIENCE_S)
    topic, number, lost = grid.topic("t", 10 ** 6), 0, 0
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("ready", flush=True)
    while not ended.is_set():
        try:
            print(json.dumps([number, topic.publish([who, number])]), flush=True)
        except CoordinatorLostError:
            lost += 1
        number += 1
        time.sleep(0.0005)  # so that what is printed is not more than the test reads
    print(json.dumps(["lost", lost]), flush=True)
    grid.close()


def reader(address, until, pause_s, cursor_file):
    """Read until message `until`, from the cursor that a file keeps on; print [seq, value, missed] of each."""
    with nosqgrid.attach(address, reconnect=PATIENCE_S) as grid:
        since = "oldest"
        if os.path.exists(cursor_file):
            with open(cursor_file) as file:
                since = file.read()
        with grid.subscribe("t", since=since) as subscription:
            print("ready", flush=True)
            for message in subscription:
                print(json.dumps([message.seq, message.value, message.missed]), flush=True)
                with open(cursor_file + ".new", "w") as file:
                    file.write(subscription.cursor)
                os.replace(cursor_file + ".new", cursor_file)
                time.sleep(pause_s)
                if message.seq >= until:
                    break


class TopicCase(ProcessTestCase):
    memory = "16m"

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory=self.memory)
        self.grid = nosqgrid.attach(self.launched.address, near_cache=0)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()


class ReadersTest(TopicCase):
    def start_reader(self, name, until, pause_s=0.0):
        child = self.spawn(reader, self.launched.address, until, pause_s, self.path(name, keep=True))
        self.assertEqual(child.read_line(), "ready")
        return child

    @slow
    def test_several_readers_one_of_them_slow_and_one_killed(self):
        count, maxlen = 600, 150
        fast = [self.start_reader("fast%d" % number, 2 * count) for number in range(2)]
        slow, killed = self.start_reader("slow", 2 * count, 0.01), self.start_reader("killed", 2 * count, 0.002)
        publishers = [self.spawn(publisher, self.launched.address, who, count, maxlen) for who in ("a", "b")]
        seen = [json.loads(killed.read_line()) for _ in range(40)]
        killed.kill()
        killed.wait()
        with open(self.path("killed")) as file:
            handled = int(file.read().partition("@")[0])
        killed.close()
        numbers = {who: json.loads(child.finish()) for who, child in zip("ab", publishers)}
        self.assertEqual(sorted(numbers["a"] + numbers["b"]), list(range(1, 2 * count + 1)))
        published = {number: [who, index] for who in "ab" for index, number in enumerate(numbers[who])}
        resumed = self.start_reader("killed", 2 * count)
        for child, before in [(each, []) for each in fast + [slow]] + [(resumed, seen)]:
            found = [json.loads(line) for line in child.finish().splitlines()]
            if child is resumed:
                self.assertEqual(found[0][0] - found[0][2], handled + 1)
                found[0:0] = [[number, published[number], 0] for number in range(found[0][0] - found[0][2])[1:]]
            last = 0
            for seq, value, missed in found:
                self.assertEqual((seq - missed, value), (last + 1, published[seq]))
                last = seq
            self.assertEqual(last, 2 * count)
            if child is slow:
                self.assertGreater(sum(missed for _, _, missed in found), 100)
        self.assertEqual([value for _, value, _ in seen], [published[seq] for seq, _, _ in seen])

    def test_what_a_program_does_with_one(self):
        grid = self.grid
        topic = grid.topic("news", 100, max_bytes=10 ** 6, max_age=3600)
        self.assertIsNone(topic.info())
        new = topic.subscribe()
        values = [1, "text", b"bytes", {"a": [1, None]}, (1, 2), b"x" * 300000]
        self.assertEqual([topic.publish(value) for value in values], [1, 2, 3, 4, 5, 6])
        found = [new.get(5) for _ in values]
        self.assertEqual([(message.seq, message.value, message.missed, message.topic) for message in found],
                         [(number, value, 0, "news") for number, value in enumerate(values, 1)])
        self.assertLess(abs(found[0].published - time.time()), 60)
        self.assertIsNone(new.get(0))
        self.assertIsNone(new.get(0.01))
        self.assertEqual(topic.subscribe(3).get(0).seq, 4)
        self.assertEqual(topic.subscribe("oldest").get(0).seq, 1)
        self.assertEqual(topic.subscribe(new.cursor).get(0), None)
        self.assertEqual(topic.info()["maxlen"], 100)
        self.assertEqual(grid.topics(), ["news"])
        with self.assertRaises(UnsupportedTypeError):
            topic.publish(object())
        with self.assertRaises(ValueTooLargeError):
            topic.publish(b"x" * 10 ** 6)
        for since in (-1, True, "sometime", None, 1.5, {"other": 1}):
            with self.assertRaises(UsageError, msg=since):
                topic.subscribe(since)
        with self.assertRaises(UsageError):
            grid.subscribe()
        self.assertTrue(topic.drop())
        self.assertFalse(topic.drop())
        with self.assertRaises(CursorLostError):
            new.get(5)
        new.seek("oldest")
        topic.publish("again")
        self.assertEqual(new.get(5)[:3], (1, "again", 0))
        new.close()
        with self.assertRaises(ClosedError):
            new.get(0)
        self.assertEqual(list(new), [])

    def test_several_topics_in_one_wait(self):
        grid = self.grid
        both = grid.subscribe("a", "b", since={"a": "new", "b": "oldest"})
        threading.Timer(0.05, grid.topic("b").publish, ("from b",)).start()
        message = both.get(PATIENCE_S)
        self.assertEqual((message.topic, message.value), ("b", "from b"))
        grid.topic("a").publish("from a")
        self.assertEqual(both.get(PATIENCE_S).topic, "a")
        self.assertEqual(set(both.cursor), {"a", "b"})
        again = grid.subscribe("a", "b", since=both.cursor)
        self.assertIsNone(again.get(0))

    def test_messages_in_a_pipeline_come_with_the_data_or_not_at_all(self):
        grid, topic = self.grid, self.grid.topic("t")
        subscription = topic.subscribe()
        with grid.pipeline() as p:
            p.set("k", 1)
            p.publish(topic, "one")
            p.publish("t", "two")
        self.assertEqual(p.results[1:], [1, 2])
        self.assertEqual([subscription.get(5).value for _ in range(2)], ["one", "two"])
        grid["text"] = "no number"
        with self.assertRaises(BatchError):
            with grid.pipeline() as p:
                p.publish(topic, "never")
                p.incr("text")
        self.assertIsNone(subscription.get(0))
        self.assertEqual(topic.publish("three"), 3)

    def test_a_forked_child_reads_on_for_itself(self):
        subscription = self.grid.topic("t").subscribe()
        self.grid.topic("t").publish("before")
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                values = [subscription.get(PATIENCE_S).value for _ in range(2)]
                os.write(write_end, json.dumps(values).encode())
            finally:
                os._exit(0)
        self.assertEqual(subscription.get(5).value, "before")
        self.grid.topic("t").publish("after")
        self.assertEqual(json.loads(os.read(read_end, 1000).decode()), ["before", "after"])
        os.waitpid(pid, 0)
        os.close(read_end)
        os.close(write_end)
        self.assertEqual(subscription.get(5).value, "after")

    def test_an_interrupt_loses_nothing(self):
        subscription, topic = self.grid.topic("t").subscribe(), self.grid.topic("t")

        def interrupt(number, frame):
            raise KeyboardInterrupt

        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            chance, expected = random.Random(SEED), 1
            for _ in range(20):
                signal.setitimer(signal.ITIMER_REAL, 0.001 + chance.random() * 0.01)
                try:
                    while True:
                        message = subscription.get(0.002)
                        if message is not None:
                            seq = message.seq
                            self.assertEqual(seq, expected)
                            expected = seq + 1
                except KeyboardInterrupt:
                    topic.publish("more")
                    expected = int(subscription.cursor.partition("@")[0]) + 1  # it may have come in between
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        while subscription.get(0) is not None:
            expected += 1
        self.assertEqual((expected, subscription.missed), (21, 0))

    def test_a_coordinator_that_stands_still_is_told_after_the_timeout(self):
        with nosqgrid.attach(self.launched.address, timeout=0.3) as grid:
            subscription = grid.topic("t").subscribe()
            os.kill(self.launched.process.pid, signal.SIGSTOP)
            try:
                with self.assertRaises(CoordinatorTimeoutError):
                    subscription.get(0.1)
            finally:
                os.kill(self.launched.process.pid, signal.SIGCONT)
            grid.topic("t").publish("late")
            self.assertEqual(subscription.get(PATIENCE_S).value, "late")


class RestartTest(DurableTestCase):
    @slow
    def test_a_coordinator_killed_again_and_again_loses_nothing_that_was_answered(self):
        served = self.serve(level="os")
        publishers = [self.spawn(persistent_publisher, self.socket, who) for who in ("a", "b")]
        for child in publishers:
            self.assertEqual(child.read_line(), "ready")
        found, ended = [], threading.Event()
        grid = self.attach(reconnect=PATIENCE_S)
        thread = threading.Thread(target=self.collect, args=(grid.topic("t").subscribe("oldest"), found, ended))
        thread.start()
        rng = random.Random(SEED)
        answered = {who: [] for who in "ab"}
        for cycle in range(20 if FULL else 4):
            reached = len(found)
            wait_until(lambda: len(found) > reached, PATIENCE_S, "messages to come")
            for _ in range(rng.randrange(5, 60)):
                for who, child in zip("ab", publishers):
                    answered[who].append(json.loads(child.read_line()))
            if cycle % 2:
                self.attach().checkpoint()
            served.kill()
            served = self.serve(level="os")
        for who, child in zip("ab", publishers):
            answered[who] += [json.loads(line) for line in child.finish().splitlines()]
        lost = {who: answered[who].pop()[1] for who in "ab"}
        last = self.attach().topic("t").publish("last")
        wait_until(lambda: found and found[-1].seq == last, PATIENCE_S, "the last message")
        ended.set()
        thread.join()
        self.assertEqual([message.seq for message in found], list(range(1, last + 1)))
        self.assertEqual(sum(message.missed for message in found), 0)
        values = {message.seq: message.value for message in found}
        numbers = [number for who in "ab" for _, number in answered[who]]
        self.assertEqual(len(numbers), len(set(numbers)))
        for who in "ab":
            for index, number in answered[who]:
                self.assertEqual(values[number], [who, index])
        unanswered = last - 1 - len(numbers)  # published by calls that met the end of the coordinator
        self.assertLessEqual(unanswered, sum(lost.values()))

    @staticmethod
    def collect(subscription, found, ended):
        while not ended.is_set():
            message = subscription.get(0.2)
            if message is not None:
                found.append(message)

    def test_numbers_that_were_lost_with_a_coordinator_and_given_again_are_told(self):
        served = self.serve(level="none")
        grid = self.attach(reconnect=PATIENCE_S)
        topic = grid.topic("t")
        ahead, kept = topic.subscribe("oldest"), topic.subscribe("oldest")
        for number in range(5):
            topic.publish(number)
        self.assertEqual([kept.get(5).seq for _ in range(5)], [1, 2, 3, 4, 5])
        grid.checkpoint()
        for number in range(5):
            topic.publish("lost")
        self.assertEqual([ahead.get(5).seq for _ in range(10)][-1], 10)
        served.kill()
        self.serve(level="none")
        writing = self.attach(reconnect=PATIENCE_S).topic("t")
        self.assertEqual([writing.publish("again") for _ in range(9)], list(range(6, 15)))
        with self.assertRaises(CursorLostError):
            ahead.get(5)
        self.assertEqual(kept.get(5)[:3], (6, "again", 0))

    def test_without_a_directory_a_cursor_of_the_last_coordinator_is_told(self):
        with launcher.start(socket_path=self.socket, memory="8m"):
            grid = self.attach()
            subscription, empty = grid.topic("t").subscribe(), grid.topic("none").subscribe()
            for number in range(3):
                grid.topic("t").publish(number)
            subscription.get(5)
            cursor = subscription.cursor
        while True:  # what was read ahead is there
            try:
                subscription.get(0.1)
            except (CoordinatorLostError, NotServedError):
                break
        with launcher.start(socket_path=self.socket, memory="8m"):
            grid = self.attach()
            with self.assertRaises(CursorLostError):
                subscription.get(0.1)
            for number in range(9):
                grid.topic("t").publish(number)
            for since in (cursor, 10):
                with self.assertRaises(CursorLostError):
                    grid.topic("t").subscribe(since).get(0)
            subscription.seek("oldest")
            self.assertEqual(subscription.get(5)[:3], (1, 0, 0))
            grid.topic("none").publish("first")
            self.assertEqual(empty.get(5).value, "first")
            for each in self._grids:
                each.close()


if __name__ == "__main__":
    unittest.main()
