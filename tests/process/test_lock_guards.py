"""What a lock protects: writes under a guard, and those who would wait for each other for ever."""

import json
import os

import nosqgrid
from nosqgrid import errors
from tests.support.locks import LocksTestCase
from tests.support.processes import wait_until


class GuardTest(LocksTestCase):
    def test_writes_under_a_lock(self):
        with self.grid.lock("a") as lock:
            safe = lock.guard()
            safe["k"] = {"x": 1}
            safe.set_many({"m": 1, "n": 2})
            self.assertEqual((safe.incr("n"), safe["k"], safe.delete("m"), safe.pop("k")), (3, {"x": 1}, 1, {"x": 1}))
            with safe.pipeline() as pipeline:
                pipeline.set("p", 1)
                pipeline.incr("p")
            self.assertEqual((pipeline.results[1], self.grid["p"]), (2, 2))
            self.assertTrue(safe.set("p", 5, if_present=True) and safe.expire("p", 100))

    def test_nothing_is_written_when_it_is_lost(self):
        lock = self.grid.lock("a")
        lock.acquire()
        safe = lock.guard()
        self.grid["k"] = 1
        lock.force_release("test")
        for write in (lambda: safe.set("k", 2), lambda: safe.set_many({"k": 2, "l": 2}), lambda: safe.incr("k"),
                      lambda: safe.delete("k"), lambda: safe.pipeline().set("k", 2).execute(), lambda: safe.pop("k"),
                      lambda: safe.set("k", bytes(1 << 20)), lambda: safe.set("k", 2, ttl=5),
                      lambda: safe.expire("k", 5)):
            with self.assertRaises(errors.FencedError):
                write()
        self.assertEqual((self.grid["k"], "l" in self.grid, safe["k"], self.grid.ttl("k")), (1, False, 1, None))
        with self.grid.lock("a"):
            with self.assertRaises(errors.FencedError):
                safe.set("k", 2)

    def test_what_cannot_be_guarded_is_refused(self):
        with self.grid.lock("a") as lock:
            safe = lock.guard()
            for write in (safe.clear, lambda: safe.create("big", 1 << 20)):
                with self.assertRaises(errors.UsageError):
                    write()


class DeadlockTest(LocksTestCase):
    def test_one_with_itself(self):
        with self.grid.lock("a"):
            with self.assertRaisesRegex(errors.DeadlockError, "pid %d" % os.getpid()):
                self.grid.lock("a").acquire()
        self.assert_nothing_left()

    def test_circles_of_two_to_five_processes_are_named(self):
        for count in range(2, 6):
            with self.subTest(count=count):
                children = [self.spawn(_hold_and_want, self.launched.address, number, (number + 1) % count)
                            for number in range(count)]
                for child in children:
                    self.assertEqual(child.read_line(), "holds")
                for number, child in enumerate(children):
                    child.write_line("go on")
                    if number < count - 1:
                        self.waits("lock%d" % ((number + 1) % count))
                said = json.loads(children[-1].read_line())
                for number, child in enumerate(children):
                    self.assertIn("pid %d" % child.pid, said)
                    self.assertIn("lock%d" % number, said)
                for child in reversed(children):
                    self.assertEqual(child.wait(), 0, child.errors())
                wait_until(lambda: not self.grid.locks(), what="nothing to be held")


def _hold_and_want(address, mine, wanted):
    """Hold one lock and wait for another; print the deadlock where there is one."""
    grid = nosqgrid.attach(address)
    with grid.lock("lock%d" % mine):
        print("holds", flush=True)
        input()
        try:
            with grid.lock("lock%d" % wanted):
                return
        except nosqgrid.DeadlockError as error:
            print(json.dumps(str(error)), flush=True)
