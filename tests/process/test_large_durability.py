"""Large values in logs, checkpoints and dumps: there again after every end of the coordinator."""

import threading
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import ValueTooLargeError
from nosqgrid.limits import VALUE_SIZE_BYTES_MAX
from tests.process.test_large_values import SIZE, content
from tests.support.processes import ProcessTestCase
from tests.support.tiers import FULL, slow


class DurableTest(ProcessTestCase):
    def start(self, level="always", *extra):
        self.launched = launcher.start(self.path("s"), memory="192m",
                                       extra_args=["--dir", self.path("data", keep=True), "--durability", level] +
                                       list(extra))
        return nosqgrid.attach(self.launched.address, timeout=10)

    def setUp(self):
        super().setUp()
        self._kept += ["data*", "s*", "out*"]

    def kill(self):
        self.launched.process.kill()
        self.launched.process.wait()
        self.launched.stop()

    def test_they_are_there_again_after_the_coordinator_was_killed(self):
        for level in ("os", "everysec", "always") if FULL else ("always",):
            grid = self.start(level)
            grid.clear()
            for number in range(6):
                grid["k%d" % number] = content(number)
            grid["k1"] = content(11)
            grid.delete("k2")
            grid.set("k3", content(13), ttl=1000)
            grid.expire("k4", 1000)
            with grid.create("c", SIZE) as creation:
                creation.buffer[:3] = b"abc"
            with grid.pipeline() as pipe:
                pipe.set("b", content(9)).set("k5", "small")
            self.assertRaises(ValueTooLargeError, grid.create, "k", VALUE_SIZE_BYTES_MAX + 1)
            self.kill()
            grid.close()
            grid = self.start(level)
            self.assertEqual(sorted(grid), ["b", "c", "k0", "k1", "k3", "k4", "k5"])
            self.assertEqual([grid[key] for key in ("k0", "k1", "k3", "k4", "k5", "b")],
                             [content(0), content(11), content(13), content(4), "small", content(9)])
            self.assertEqual(grid["c"], b"abc" + bytes(SIZE - 3))
            self.assertGreater(grid.ttl("k3"), 900)
            self.assertGreater(grid.ttl("k4"), 900)
            self.assertGreaterEqual(grid.stats()["large_values"], 5)
            grid.close()
            self.assertEqual(self.launched.stop(), 0)
            grid = self.start(level)  # from the last checkpoint
            self.assertEqual([grid["k0"], grid["k5"]], [content(0), "small"])
            grid.close()
            self.launched.stop()

    @slow
    def test_more_than_a_file_takes_is_refused_with_words_of_its_own(self):
        grid = self.start("os")
        value = bytes(VALUE_SIZE_BYTES_MAX + 1)
        with self.assertRaisesRegex(ValueTooLargeError, "directory takes up to"):
            grid["k"] = value
        ref = grid.share(value)  # which is written to no disk
        self.assertEqual(len(ref.view()), len(value))
        del ref
        grid.close()
        self.launched.stop()

    @slow
    @slow
    def test_checkpoints_while_they_are_overwritten_and_deleted(self):
        grid = self.start("os")
        stop, failed = [], []

        def write():
            try:
                with nosqgrid.attach(self.launched.address) as other:
                    number = 0
                    while not stop:
                        number += 1
                        other["k%d" % (number % 10)] = content(number)
                        if number % 3 == 0:
                            other.delete("k%d" % (number * 7 % 10))
            except BaseException as error:
                failed.append(error)
        for number in range(10):
            grid["stays%d" % number] = content(number)
        thread = threading.Thread(target=write)
        thread.start()
        try:
            for turn in range(20 if FULL else 1):
                grid.checkpoint()
                grid.checkpoint(to=self.path("out"))
        finally:
            stop.append(True)
            thread.join()
        self.assertEqual(failed, [])
        state = {key: grid[key] for key in grid}
        self.kill()
        grid.close()
        grid = self.start("os")
        self.assertEqual({key: grid[key] for key in grid}, state)
        grid.close()
        self.launched.stop()

    def test_a_dump_has_them(self):
        grid = self.start("none")
        grid["k"] = "x" * SIZE
        grid["b"] = content(3)
        info = grid.checkpoint(to=self.path("out"))
        self.assertEqual(info.keys, 2)
        grid.close()
        self.launched.stop()
        dumped = self.spawn(["-m", "nosqgrid", "dump", self.path("out")])
        text = dumped.finish()
        self.assertGreater(len(text), 2 * SIZE)

    def test_memory_alone_and_a_value_that_no_checkpoint_takes(self):
        self.launched = launcher.start(self.path("s"), memory="192m")
        grid = nosqgrid.attach(self.launched.address, timeout=10)
        grid["k"] = content(1)
        grid.checkpoint(to=self.path("out"))
        with grid.create("huge", VALUE_SIZE_BYTES_MAX + 1):
            pass
        with self.assertRaisesRegex(nosqgrid.NosqgridError, "huge"):
            grid.checkpoint(to=self.path("out2"))
        grid.delete("huge")
        grid.checkpoint(to=self.path("out"))
        grid.close()
        self.launched.stop()


if __name__ == "__main__":
    unittest.main()
