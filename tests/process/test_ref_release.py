"""A Ref that is released frees what nobody uses at once, though it was pickled; who has the object keeps it."""

import pickle

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import ProcessTestCase, wait_until

SIZE_BYTES = 8 << 20


class ReleaseTests(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="32m")
        self.grid = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        del self.grid, self.launched
        super().tearDown()

    def large_bytes(self):
        return self.grid.stats()["memory_large_bytes"]

    def share(self):
        return self.grid.share(memoryview(bytes(SIZE_BYTES)).cast("d"))

    def test_one_after_the_other_may_be_shared_and_sent_in_a_grid_that_holds_three(self):
        for _ in range(8):
            with self.share() as ref:
                pickle.dumps(ref)
        wait_until(lambda: self.large_bytes() == 0)

    def test_without_release_a_ref_that_was_sent_keeps_its_object_for_a_while(self):
        ref = self.share()
        pickle.dumps(ref)
        del ref
        self.grid.set("k", bytes(1 << 20))  # charging sweeps
        self.assertGreater(self.large_bytes(), SIZE_BYTES)

    def test_an_array_of_a_released_ref_stays(self):
        with self.share() as ref:
            array = ref.get()
        self.grid.set("k", bytes(1 << 20))
        self.assertGreater(self.large_bytes(), SIZE_BYTES)
        self.assertEqual((array[0], array[-1]), (0.0, 0.0))
        del array
        self.grid.delete("k")
        wait_until(lambda: self.large_bytes() == 0)

    def test_another_process_that_has_its_own_keeps_the_object(self):
        with self.share() as ref:
            child = self.spawn("import pickle, sys\n"
                               "ref = pickle.loads(bytes.fromhex(sys.stdin.readline().strip()))\n"
                               "print('mine', flush=True)\n"
                               "sys.stdin.readline()\n"
                               "print(len(ref.get()))\n")
            child.write_line(pickle.dumps(ref).hex())
            self.assertEqual(child.read_line(), "mine")
        self.grid.set("k", bytes(1 << 20))
        child.write_line("")
        self.assertEqual(child.finish(), "%d\n" % (SIZE_BYTES // 8))

    def test_a_released_ref_is_of_no_use(self):
        ref = self.share()
        ref.release()
        ref.release()
        for use in (ref.get, ref.view, lambda: pickle.dumps(ref)):
            with self.assertRaises(nosqgrid.UsageError):
                use()
