"""The ends of views: process, session, fork, coordinator; and what there is where pins or descriptors run out."""

import contextlib
import gc
import os
import resource
import threading
import time
import unittest
from unittest import mock

import nosqgrid
from nosqgrid.client import maps as maps_module
from nosqgrid.errors import ClosedError
from nosqgrid.formats import lane
from nosqgrid.limits import LANE_PINS_MAX
from tests.process import test_views
from tests.process.test_views import IN_FILE, IN_HEAP, content
from tests.support.processes import wait_until
from tests.support.tiers import FULL, slow

HOLDER = test_views.HOLDER


class EndsTest(test_views.ViewTestCase):
    def holder(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        child = self.spawn(HOLDER, self.launched.address, "a", "b")
        child.read_line()
        self.assertGreater(self.retained(), IN_FILE)
        return child

    @slow
    def test_with_its_process(self):
        child = self.holder()
        child.kill()
        child.wait()
        begun = time.monotonic()
        self.wait_released()
        self.assertLess(time.monotonic() - begun, 2.0)  # 0.1 on a machine that has nothing else to do

    @slow
    def test_not_while_its_process_stands(self):
        child = self.holder()
        child.stop()
        self.grid.clear()
        self.overwrite_everything()
        self.assertGreater(self.retained(), IN_FILE)
        [row] = [row for row in self.grid.stats()["retainers"].split() if row.startswith("%d:" % child.pid)]
        self.assertGreater(int(row.split(":")[1]), IN_FILE)
        child.resume()
        child.write_line("check")
        self.assertEqual(child.read_line(), "[b'000', b'000']")
        child.finish()
        self.wait_released()

    def check_kept_without_a_session(self, end):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        other = nosqgrid.attach(self.launched.address)
        views = [other.view("a"), other.view("b")]
        end(other)
        wait_until(lambda: self.grid.stats()["clients"] == 1, 10.0, "the session to end")
        self.grid.clear()
        self.overwrite_everything()
        self.assertEqual([bytes(view.memoryview[:8]) for view in views], [b"00000001", b"00000002"])
        self.assertGreater(self.retained(), IN_FILE)
        opened = len(os.listdir("/proc/%d/fd" % self.launched.pid))
        del views[:]
        self.wait_released()
        wait_until(lambda: len(os.listdir("/proc/%d/fd" % self.launched.pid)) < opened, 10.0, "its lane to be closed")
        other.close()

    def test_a_session_that_was_killed_keeps_its_pins(self):
        def end(other):
            self.grid._store.command(b"CLIENT", b"KILL", b"ID", other._store.attachment.info["session"])
        self.check_kept_without_a_session(end)

    def test_a_session_whose_requests_are_garbage_keeps_its_pins(self):
        def end(other):
            attachment = other._store.attachment
            attachment.lane.words[lane.TAIL] += 1 << 40
            attachment.ring()
        self.check_kept_without_a_session(end)

    def test_garbage_among_the_pins_harms_nobody(self):
        other = nosqgrid.attach(self.launched.address)
        self.grid.set("a", content(1))
        other.view("a").release()  # declares
        words = other._store.attachment.lane.words
        for place in range(64):
            words[lane.PINS_WORD + 2 * place] = (0x9E3779B97F4A7C15 * (place + 1)) & 0xFFFFFFFFFFFFFFFF
            words[lane.PINS_WORD + 2 * place + 1] = 0xFFFFFFFFFFFFFFFF if place % 2 else 0
        words[lane.PINS_USED] = 0xFFFFFFFFFFFFFFFF
        self.overwrite_everything(1)
        self.assertIn("retainers", self.grid.stats())
        self.grid["after"] = 1
        other.close()
        words[lane.PINS_WORD:lane.PINS_WORD + 128] = memoryview(bytes(1024)).cast("Q")
        self.wait_released()

    def test_when_the_coordinator_has_died_views_stay_and_others_are_copied(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        self.grid.set("c", content(3))
        view, large = self.grid.view("a"), self.grid.view("b")
        self.launched.process.kill()
        self.launched.process.wait()
        self.assertEqual((bytes(view.memoryview), bytes(large.memoryview)), (content(1), content(2, IN_FILE)))
        self.assertEqual(self.grid.view("c").memoryview, content(3))
        self.assertEqual(self.grid.view("b").memoryview, content(2, IN_FILE))

    @slow
    def test_the_first_view_of_all_after_the_coordinator_has_died_is_a_copy(self):
        self.grid.set("c", content(3))
        self.launched.process.kill()
        self.launched.process.wait()
        self.assertEqual(self.grid.view("c").memoryview, content(3))


class LimitsTest(test_views.ViewTestCase):
    memory = "64m"

    def test_beyond_the_pins_that_there_are_values_are_copied(self):
        self.grid.set("k", content(1))
        self.grid.set("large", content(2, IN_FILE))
        pins = self.grid._store.attachment.maps.pins
        places = [pins.take(lane.PIN_LARGE | 1 << 30) for _ in range(LANE_PINS_MAX)]
        self.assertEqual(pins.take(lane.PIN_LARGE | 1), -1)
        with self.grid.view("k") as buffer, self.grid.view("large") as large:
            self.assertIs(type(buffer.obj), bytes)
            self.grid.clear()
            self.overwrite_everything(1)
            self.assertEqual(buffer, content(1))
            self.assertEqual(large, content(2, IN_FILE))
        for place in places:
            pins.free(place)

    def test_thousands_of_views_of_one_segment_are_one_map(self):
        self.grid.set("k", content(1))
        opened = len(os.listdir("/proc/self/fd"))
        views = [self.grid.view("k") for _ in range(2 * LANE_PINS_MAX)]
        self.assertLess(len(os.listdir("/proc/self/fd")), opened + 3)
        self.assertEqual(self.grid._store.attachment.maps.pins.count(), 1)
        views.clear()
        self.wait_released()

    def test_without_descriptors_values_are_copied(self):
        self.grid.set("first", content(1))
        self.grid.view("first").release()
        self.grid.set("k", content(2))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, hard))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            view = self.grid.view("k")
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertIs(type(view.memoryview.obj), bytes)
        self.assertEqual(view.memoryview, content(2))
        self.assertEqual(self.grid._store.attachment.maps.pins.count(), 0)
        self.assertIsNot(type(self.grid.view("k").memoryview.obj), bytes)

    def test_a_large_value_without_descriptors_is_an_error_that_says_so(self):
        self.grid.set("large", content(2, IN_FILE))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, hard))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            with self.assertRaisesRegex(nosqgrid.NosqgridError, "ulimit -n"):
                self.grid.get("large")
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.grid.get("large"), content(2, IN_FILE))
        wait_until(lambda: self.grid.stats()["clients"] == 1, 10.0, "one session")
        self.wait_released()


class ForkTest(test_views.ViewTestCase):
    def in_child(self, function):
        """Run it in a forked child; its exit status."""
        pid = os.fork()
        if not pid:
            status = 1
            try:
                function()
                status = 0
            finally:
                os._exit(status)
        return os.waitpid(pid, 0)[1]

    @slow
    def test_a_child_that_forgets_what_it_inherited_does_not_give_it_back(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        views = [self.grid.view("a"), self.grid.view("b")]

        def child():
            views[0].release()
            views.clear()
            gc.collect()
        self.assertEqual(self.in_child(child), 0)
        self.grid.clear()
        self.overwrite_everything()
        self.assertEqual([bytes(view.memoryview[:8]) for view in views], [b"00000001", b"00000002"])
        self.assertGreater(self.retained(), IN_FILE)

    @slow
    def test_a_child_makes_its_own(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        self.grid.view("a").release()

        def child():
            views = [self.grid.view("a"), self.grid.view("b")]
            assert self.grid.stats()["retained_bytes"] > IN_FILE
            self.grid.clear()
            self.overwrite_everything(1)
            assert [bytes(view.memoryview[:8]) for view in views] == [b"00000001", b"00000002"]
            self.grid.close()
        self.assertEqual(self.in_child(child), 0)
        self.wait_released()

    def test_a_child_that_reads_a_large_value_first_of_all_does_not_touch_the_pins_of_its_parent(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        pins = self.grid._store.attachment.maps.pins
        words = self.grid._store.attachment.lane.words

        def child():
            assert self.grid.get("b") == content(2, IN_FILE)
            assert self.grid.view("b").memoryview == content(2, IN_FILE)
        self.assertEqual(self.in_child(child), 0)
        self.assertEqual((words[lane.PINS_USED], pins.count()), (0, 0))
        self.assertEqual(words[lane.PINS_WORD], 0)


class ThreadsTest(test_views.ViewTestCase):
    @slow
    def test_threads_view_what_is_written_all_the_time(self):
        stop, seen, wrong = [], [0], []

        def look():
            try:
                while not stop:
                    for number in range(8):
                        view = self.grid.view("k%d" % number)
                        first = bytes(view.memoryview[:8])
                        time.sleep(0)
                        if view.memoryview != first * (len(view) // 8):
                            wrong.append(first)
                        seen[0] += 1
            except BaseException as error:
                wrong.append(error)
                raise
        sizes = [IN_HEAP, IN_FILE]
        for number in range(8):
            self.grid.set("k%d" % number, content(number, sizes[number % 2]))
        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + (10.0 if FULL else 1.0)
        number = 0
        while time.monotonic() < end or seen[0] < 50:
            number += 1
            self.grid.set("k%d" % (number % 8), content(number, sizes[number % 2]))
        stop.append(True)
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.wait_released()

    def test_closing_the_grid_meanwhile_maps_no_other_file(self):
        # The descriptor of the arena is closed, and its number used again, between the look and the map.
        self.grid.set("k", content(1))
        self.grid.set("k2", content(2))
        self.grid.view("k").release()
        real, done = maps_module.map_part, []

        def close():
            self.grid.close()
            done.append(True)

        def map_part(fd, start, stop):
            thread.start()
            thread.join(0.3)
            return real(fd, start, stop)
        thread = threading.Thread(target=close)
        with open(self.path("f", keep=True), "wb") as file:
            file.write(b"x" * (64 << 20))
        with mock.patch.object(maps_module, "map_part", map_part):
            try:
                view = self.grid.view("k2")
            except ClosedError:
                view = None
        thread.join()
        self.assertTrue(done)
        if view is not None:
            self.assertEqual(view.memoryview, content(2))
        self.assertIs(view is None or type(view.memoryview.obj) is not bytes, True)


if __name__ == "__main__":
    unittest.main()
