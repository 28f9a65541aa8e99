"""attach(codec="pickle"): what the grid has no type for, signed, for those alone who ask for it."""

import os
import tempfile
import unittest
from collections import OrderedDict, namedtuple
from unittest import mock

import nosqgrid
from nosqgrid import errors
from nosqgrid.client import codec, launcher
from nosqgrid.network import credentials
from tests.support.processes import ProcessTestCase

Point = namedtuple("Point", "x y")


class CodecTests(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        folder = tempfile.mkdtemp(prefix="nq")
        self.addCleanup(lambda: [os.remove(os.path.join(folder, name)) for name in os.listdir(folder)]
                        and os.rmdir(folder))
        os.chmod(folder, 0o700)
        patch = mock.patch.dict(os.environ, {"NOSQGRID_PICKLE_KEY": os.path.join(folder, "key")})
        patch.start()
        self.addCleanup(patch.stop)
        self.grid = nosqgrid.attach(self.launched.address, codec="pickle")
        self.plain = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.plain.close()
        self.launched.stop()
        del self.grid, self.plain, self.launched
        super().tearDown()

    def test_every_way_to_write_and_read(self):
        grid, value = self.grid, Point(1, [2, {3}])
        grid["set"] = value
        grid.set("ttl", value, ttl=60)
        self.assertIsNone(grid.set("set", 1, if_absent=True))
        grid.set_many({"many": value, "plain": [1, "a"]})
        with grid.pipeline() as pipeline:
            pipeline.set("pipeline", value)
            pipeline.get("pipeline")
        self.assertEqual(pipeline.results[1], value)
        self.assertEqual(grid.get_or_compute("computed", lambda: value), value)
        self.assertEqual(grid.setdefault("default", value), value)
        for key in ("set", "ttl", "many", "pipeline", "computed", "default"):
            for _ in range(20):  # through the near cache too
                self.assertEqual(grid[key], value)
                self.assertIs(type(grid[key]), Point)
        self.assertEqual(grid.get_versioned("set")[0], value)
        self.assertEqual(grid.pop("many"), value)
        self.assertEqual(grid.map("m").get_or_compute("k", lambda: value), value)
        self.assertEqual(grid.map("m")["k"], value)
        self.assertEqual(self.plain["plain"], [1, "a"])  # what the grid has a type for is not pickled

    def test_large_pickles_and_shared_ones(self):
        value = Point("x" * 500000, OrderedDict(a=1))
        self.grid["k"] = value
        self.assertEqual(self.grid["k"], value)
        ref = self.grid.share(value)
        self.assertEqual(ref.get(), value)
        self.assertEqual(self.grid.stats()["large_values"], 2)

    def test_who_did_not_ask_for_it_reads_no_pickle_and_writes_none(self):
        self.grid["k"] = Point(1, 2)
        for read in (lambda: self.plain["k"], lambda: self.plain.get_versioned("k"), lambda: self.plain.pop("k")):
            self.assertRaises(errors.NosqgridError, read)
        self.assertRaises(errors.UnsupportedTypeError, self.plain.set, "k2", Point(1, 2))

    def test_a_pickle_under_another_name_is_refused(self):
        self.grid["k"] = Point(1, 2)
        with self.grid.view("k") as view:
            self.grid._store.command(b"NOSQGRID.SET", b"other", bytes(view), 11, 0, b"-", 0)
        for _ in range(3):
            self.assertRaises(errors.CorruptValueError, lambda: self.grid["other"])

    def test_a_grid_of_another_user_is_refused(self):
        with mock.patch.object(credentials, "peer", lambda sock: (1, os.getuid() + 1, 1)):
            self.assertRaises(errors.PermissionRefusedError, nosqgrid.attach, self.launched.address, codec="pickle")
            nosqgrid.attach(self.launched.address).close()

    def test_it_pickles_as_a_grid_with_its_codec(self):
        make, arguments = self.grid.__reduce__()
        with make(*arguments) as other:
            self.assertIs(type(other._store.codec), codec.PickleCodec)
            self.grid["k"] = Point(1, 2)
            self.assertEqual(other["k"], Point(1, 2))


if __name__ == "__main__":
    unittest.main()
