"""Those who would wait for each other for ever are told so, and who they are."""

import json
import os

import nosqgrid
from nosqgrid import errors
from tests.support.locking import LockTestCase
from tests.support.tiers import slow


class DeadlockTest(LockTestCase):
    def test_one_with_itself(self):
        with self.grid.lock("a"):
            with self.assertRaisesRegex(errors.DeadlockError, "pid %d" % os.getpid()):
                self.grid.lock("a").acquire()

    @slow
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
                        self.wait_for_waiters("lock%d" % ((number + 1) % count))
                said = json.loads(children[-1].read_line())
                for number, child in enumerate(children):
                    self.assertIn("pid %d" % child.pid, said)
                    self.assertIn("lock%d" % number, said)
                for child in reversed(children):
                    self.assertEqual(child.wait(), 0, child.errors())


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
