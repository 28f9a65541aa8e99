"""Shared objects: they live as long as somebody holds a Ref, wherever he got it from, and not longer."""

import contextlib
import gc
import multiprocessing
import os
import pickle
import time
import unittest
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

import nosqgrid
from nosqgrid.client import share
from nosqgrid.errors import NosqgridError, SharedObjectGoneError, UnsupportedTypeError
from nosqgrid.limits import LANE_PINS_MAX, SHARE_GRACE_S
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
from tests.support.tiers import FULL, slow

try:
    import numpy
except ImportError:
    numpy = None

DATA = b"12345678" * 40000

HOLDER = """
import pickle, sys, nosqgrid
ref = pickle.loads(bytes.fromhex(sys.argv[1]))
print(len(ref.get()), flush=True)
for line in sys.stdin:
    if line == "drop\\n":
        del ref
        print("dropped", flush=True)
"""


class Odd(object):
    """What no grid carries without pickle."""

    def __init__(self, value):
        self.value = value


def length(ref):
    return len(ref.get())


def length_of_many(refs):
    return sum(len(ref.get()) for ref in refs)


def share_in_a_child(address):
    with nosqgrid.attach(address) as grid:
        ref = grid.share(DATA)
        time.sleep(0.05)
        return ref.nbytes


class ShareTestCase(GridTestCase):
    memory = "16m"

    def setUp(self):
        super().setUp()
        patch = mock.patch.object(share, "SHARE_GRACE_S", 0.2)
        patch.start()
        self.addCleanup(patch.stop)

    def tearDown(self):
        for grid in share._grids.values():
            grid.close()
        share._grids.clear()
        super().tearDown()

    def shared(self):
        stats = self.grid.stats()
        return stats["large_shared"], stats["large_dropped_bytes"]

    def wait_gone(self):
        wait_until(lambda: self.shared() == (0, 0), 10.0, "every shared object to be gone")


class LifeTest(ShareTestCase):
    def test_it_is_there_while_a_ref_is(self):
        ref = self.grid.share(DATA)
        self.assertEqual((ref.get(), ref.nbytes, self.shared()), (DATA, len(DATA), (1, 0)))
        self.assertIn(str(len(DATA)), repr(ref))
        self.assertEqual(len(self.grid), 0)
        time.sleep(0.3)
        self.assertEqual(ref.get(), DATA)
        self.grid.clear()
        self.assertEqual(ref.view(), DATA)
        del ref
        self.wait_gone()

    def test_what_was_got_stays_when_the_ref_is_gone(self):
        ref = self.grid.share(DATA)
        view = ref.view()
        del ref
        wait_until(lambda: self.grid.stats()["large_shared"] in (0, 1), 5.0)
        self.assertEqual(view, DATA)
        self.assertTrue(view.readonly)
        self.assertGreater(self.grid.stats()["retained_bytes"], 0)
        del view
        self.wait_gone()

    @slow
    def test_it_ends_with_its_process(self):
        ref = self.grid.share(DATA)
        child = self.spawn(HOLDER, pickle.dumps(ref).hex())
        self.assertEqual(child.read_line(), str(len(DATA)))
        del ref
        time.sleep(0.4)
        self.assertEqual(self.shared(), (1, 0))
        child.stop()
        time.sleep(0.1)
        self.assertEqual(self.shared(), (1, 0))
        child.kill()
        child.wait()
        self.wait_gone()

    def test_a_receiver_that_drops_it_ends_it(self):
        ref = self.grid.share(DATA)
        child = self.spawn(HOLDER, pickle.dumps(ref).hex())
        child.read_line()
        del ref
        child.write_line("drop")
        child.read_line()
        self.wait_gone()
        child.finish()

    def test_one_that_was_pickled_is_kept_for_a_while_and_then_is_gone(self):
        ref = self.grid.share(DATA)
        sent = pickle.dumps(ref)
        del ref
        self.assertEqual(self.shared()[0], 1)
        received = pickle.loads(sent)
        time.sleep(0.4)
        self.assertEqual(received.get(), DATA)
        del received
        self.wait_gone()
        late = pickle.loads(sent)
        with self.assertRaisesRegex(SharedObjectGoneError, "nobody held"):
            late.get()
        self.assertGreater(SHARE_GRACE_S, 1)

    def test_it_outlives_the_grid_that_made_it_as_long_as_the_ref(self):
        other = nosqgrid.attach(self.launched.address)
        ref = other.share(DATA)
        view = ref.view()
        other.close()
        self.attached(1)
        self.assertEqual(self.grid.stats()["large_shared"], 1)
        self.assertEqual(view, DATA)
        del ref, view
        self.wait_gone()

    def test_garbage_of_thousands(self):
        opened = len(os.listdir("/proc/%d/fd" % self.launched.pid))
        for number in range(20000 if FULL else 1200):
            ref = self.grid.share(b"x" * 1000)
            if number % 3 == 0:
                self.assertEqual(len(ref.get()), 1000)
            if number % 50 == 0:
                ring = [ref]
                ring.append(ring)
                del ring
        del ref
        gc.collect()
        self.wait_gone()
        wait_until(lambda: len(os.listdir("/proc/%d/fd" % self.launched.pid)) <= opened, 10.0, "descriptors")
        self.assertEqual(self.grid._store.attachment.maps.pins.count(), 0)

    def test_more_than_a_process_may_hold_are_refused(self):
        pins = self.grid._store.attachment.maps.pins
        places = [pins.take(1 << 63 | 1 << 40) for _ in range(LANE_PINS_MAX - 1)]
        ref = self.grid.share(b"last")
        with self.assertRaisesRegex(NosqgridError, "drop some"):
            self.grid.share(b"one more")
        self.assertEqual(self.shared()[0], 1)
        for place in places:
            pins.free(place)
        self.assertEqual(self.grid.share(b"again").get(), b"again")
        self.assertEqual(self.grid.stats()["large_filling_bytes"], 0)
        del ref
        self.wait_gone()


class TypesTest(ShareTestCase):
    def test_every_type_and_the_empty_ones(self):
        for value in (b"", "", b"x", {}, [], {"a": [1, 2]}, 5, None, "text" * 100000, list(range(100000)),
                      memoryview(b"1234" * 8).cast("I")):
            ref = self.grid.share(value)
            got = ref.get()
            self.assertEqual((type(got), got), (type(value), value))
            again = pickle.loads(pickle.dumps(ref)).get()
            self.assertEqual(again, value)
            del got, again, ref
        self.wait_gone()

    @unittest.skipIf(numpy is None, "needs numpy")
    def test_numpy(self):
        for value in (numpy.arange(100000.), numpy.zeros((0, 5)), numpy.array(2.5), numpy.arange(6).reshape(2, 3).T):
            ref = self.grid.share(value)
            got = ref.get()
            self.assertEqual((got.shape, got.dtype), (value.shape, value.dtype))
            self.assertTrue((got == value).all())
            self.assertFalse(got.size and got.flags.writeable)
            del ref
            self.assertTrue((got == value).all())
            del got
        self.wait_gone()

    def test_what_a_grid_does_not_carry(self):
        with self.assertRaises(UnsupportedTypeError):
            self.grid.share(Odd(1))
        self.assertEqual(self.shared(), (0, 0))

    def test_pickled(self):
        key = self.path("keys/pickle.key", keep=True)
        self._kept.append("keys")
        with mock.patch.dict(os.environ, {"NOSQGRID_PICKLE_KEY": key}):
            with nosqgrid.attach(self.launched.address, codec="pickle") as grid:
                ref = grid.share([Odd(DATA), 5])
                self.assertEqual(ref.get()[0].value, DATA)
                again = pickle.loads(pickle.dumps(ref))
                self.assertEqual(again.get()[0].value, DATA)
                grid["large"] = Odd(DATA)
                self.assertEqual(grid["large"].value, DATA)
                self.assertEqual(grid.get_versioned("large")[0].value, DATA)
                with self.assertRaises(UnsupportedTypeError):
                    self.grid["large"]
                self.assertEqual(grid.pop("large").value, DATA)
                grid["small"] = Odd(3)
                self.assertEqual(grid["small"].value, 3)
                del ref, again
        self.wait_gone()


class PoolsTest(ShareTestCase):
    def check(self, method):
        context = multiprocessing.get_context(method)
        ref = self.grid.share(DATA)
        with context.Pool(2) as pool:
            self.assertEqual(pool.map(length, [ref] * 20, 3), [len(DATA)] * 20)
            self.assertEqual(pool.map(length_of_many, [[ref] * 5] * 4), [5 * len(DATA)] * 4)
            pool.close()
            pool.join()
        self.assertEqual(ref.get(), DATA)
        del ref
        self.wait_gone()

    def test_fork(self):
        self.check("fork")

    @slow
    def test_spawn(self):
        self.check("spawn")

    @slow
    def test_forkserver(self):
        self.check("forkserver")

    def test_an_executor(self):
        refs = [self.grid.share(DATA + b"%d" % number) for number in range(5)]
        with ProcessPoolExecutor(2) as executor:
            self.assertEqual(list(executor.map(length, refs * 3)), [len(DATA) + 1] * 15)
            futures = [executor.submit(length, self.grid.share(DATA[:number])) for number in range(10)]
            self.assertEqual([future.result() for future in futures], list(range(10)))
        refs.clear()
        futures.clear()
        self.wait_gone()

    def test_a_child_that_shares(self):
        with ProcessPoolExecutor(1) as executor:
            self.assertEqual(executor.submit(share_in_a_child, self.launched.address).result(), len(DATA))
        self.wait_gone()


class ForkTest(ShareTestCase):
    def in_child(self, function):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                function()
                status = 0
            finally:
                os._exit(status)
        return pid

    def test_a_forked_child_uses_the_ref_it_inherited(self):
        ref = self.grid.share(DATA)

        def child():
            assert ref.get() == DATA
        self.assertEqual(os.waitpid(self.in_child(child), 0)[1], 0)
        self.assertEqual(ref.get(), DATA)
        del ref, child
        self.wait_gone()

    def test_a_child_that_drops_it_does_not_drop_the_parents(self):
        ref = self.grid.share(DATA)
        refs = [ref]

        def child():
            refs.clear()
            gc.collect()
        self.assertEqual(os.waitpid(self.in_child(child), 0)[1], 0)
        time.sleep(0.2)
        self.assertEqual((ref.get(), self.shared()[0]), (DATA, 1))

    @unittest.skipUnless(hasattr(os, "register_at_fork"), "needs a hook at fork()")
    def test_a_parent_that_drops_it_behind_a_fork_keeps_it_for_the_child_for_a_while(self):
        with mock.patch.object(share, "SHARE_GRACE_S", 5.0):
            refs = [self.grid.share(DATA)]
            read, write = os.pipe()

            def child():
                os.read(read, 1)
                assert refs[0].get() == DATA
            pid = self.in_child(child)
            refs.clear()
            time.sleep(0.2)
            os.write(write, b"x")
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            os.close(read)
            os.close(write)

    def test_many_children_at_once(self):
        ref = self.grid.share(DATA)
        pids = [self.in_child(lambda: [ref.get() for _ in range(5)]) for _ in range(6)]
        self.assertEqual([os.waitpid(pid, 0)[1] for pid in pids], [0] * 6)
        self.assertEqual(ref.get(), DATA)


class EndTest(ShareTestCase):
    def test_after_the_coordinator_died(self):
        ref, other = self.grid.share(DATA), self.grid.share(b"other")
        sent = pickle.dumps(other)
        view = ref.view()
        self.launched.process.kill()
        self.launched.process.wait()
        self.assertEqual(view, DATA)
        for _ in range(2):
            with contextlib.suppress(NosqgridError):
                self.assertEqual(ref.get(), DATA)  # it is mapped
            with self.assertRaises(NosqgridError):
                other.get()
        received = pickle.loads(sent)  # no error of whoever unpickles
        self.assertIn("5 bytes", repr(received))
        with self.assertRaises(NosqgridError):
            received.get()
        self.assertEqual(pickle.loads(pickle.dumps(received)).nbytes, 5)

    def test_the_next_coordinator_does_not_know_it(self):
        address = self.path("s", keep=True)
        launched = nosqgrid.client.launcher.start(address)
        grid = nosqgrid.attach(address, reconnect=5.0)
        ref = grid.share(DATA)
        launched.process.kill()
        launched.process.wait()
        launched.stop()
        launched = nosqgrid.client.launcher.start(address)
        try:
            grid["k"] = 1
            with self.assertRaisesRegex(SharedObjectGoneError, "coordinator has ended"):
                ref.get()
            self.assertEqual(grid.share(b"new").get(), b"new")
        finally:
            grid.close()
            launched.stop()


if __name__ == "__main__":
    unittest.main()
