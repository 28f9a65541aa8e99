"""Every way to write under a guard: it does what the grid's does, and is refused once the lock is lost."""

from nosqgrid import errors
from tests.support.locking import LockTestCase


class GuardTest(LockTestCase):
    def setUp(self):
        super().setUp()
        self.lock = self.grid.lock("a")
        self.lock.acquire()
        self.safe = self.lock.guard()

    def writes(self):
        """Every way to write."""
        safe = self.safe
        return {"set": lambda: safe.set("k", 1), "item": lambda: safe.__setitem__("k", 1),
                "ttl": lambda: safe.set("k", 1, ttl=100), "absent": lambda: safe.set("new", 1, if_absent=True),
                "version": lambda: safe.set("k", 2, if_version=self.grid.get_versioned("k")[1]),
                "set_many": lambda: safe.set_many({"k%d" % n: n for n in range(3000)}), "update": lambda: safe.update(k=1),
                "incr": lambda: safe.incr("n"), "expire": lambda: safe.expire("k", 100),
                "persist": lambda: safe.persist("k"), "pop": lambda: safe.pop("k", None),
                "delete": lambda: safe.delete("k"), "delete many": lambda: safe.delete("k", "k1"),
                "setdefault": lambda: safe.setdefault("other", 1), "pipeline": self.pipeline,
                "longer than a lane takes": lambda: safe.set("long", "x" * 300000)}

    def pipeline(self):
        with self.safe.pipeline() as pipe:
            pipe.set("p", 1).incr("q").delete("r")
        return pipe.results

    def test_writes_do_what_those_of_the_grid_do(self):
        self.assertIsInstance(self.safe.set("k", 1), int)
        self.assertEqual((self.grid["k"], self.safe["k"], self.safe.get("x", 5)), (1, 1, 5))
        self.assertIsNone(self.safe.set("k", 2, if_absent=True))
        self.safe.set_many({"a": 1, "b": [2]})
        self.assertEqual(self.grid.get_many(["a", "b"]), {"a": 1, "b": [2]})
        self.assertEqual((self.safe.incr("n", 5), self.safe.incr("n")), (5, 6))
        self.assertTrue(self.safe.expire("n", 100) and self.grid.ttl("n"))
        self.assertEqual((self.safe.pop("n"), self.safe.delete("a", "b", "c"), self.safe.delete("a")), (6, 2, 0))
        self.assertEqual(self.pipeline()[1:], [1, False])
        with self.assertRaises(KeyError):
            del self.safe["nothing"]
        self.assertEqual(sorted(self.safe), ["k", "p", "q"])
        for name, write in self.writes().items():
            with self.subTest(name):
                self.grid["k"] = 0
                write()
        self.assertEqual(self.grid["long"], "x" * 300000)

    def test_stale_writes_are_refused_and_change_nothing(self):
        self.grid.set_many({"k": 0, "n": 5, "k1": "x", "r": 1})
        before = dict(self.grid.items())
        self.grid.lock("a").force_release("enough")
        with self.grid.lock("a"):
            for name, write in self.writes().items():
                with self.subTest(name):
                    with self.assertRaisesRegex(errors.FencedError, "^[^ ]+"):
                        write()
                    self.assertEqual(dict(self.grid.items()), before)

    def test_errors_are_those_of_the_grid(self):
        self.grid.set_many({"text": "x"})
        for write, error in ((lambda grid: grid.incr("text"), errors.NotANumberError),
                             (lambda grid: grid.set("k", object()), errors.UnsupportedTypeError),
                             (lambda grid: grid.set("k", 1, ttl=-1), errors.UsageError),
                             (lambda grid: grid.pop("nothing"), KeyError)):
            for grid in (self.grid, self.safe):
                with self.assertRaises(error):
                    write(grid)

    def test_failing_command_of_a_pipeline_is_named_by_its_place_there(self):
        self.grid["text"] = "x"
        places = []
        for grid in (self.grid, self.safe):
            with self.assertRaises(errors.BatchError) as caught:
                with grid.pipeline() as pipe:
                    pipe.set("k", 1).incr("text")
            places.append((caught.exception.index, str(caught.exception)))
        self.assertEqual(places[0], places[1])
        self.assertEqual(places[0][0], 1)
        self.assertNotIn("k", self.grid)

    def test_what_cannot_be_guarded_is_refused(self):
        self.grid["k"] = 1
        for call in (self.safe.clear, lambda: self.safe.create("big", 1 << 20),
                     lambda: self.safe.create("big", from_file=__file__)):
            with self.assertRaises(errors.UsageError):
                call()
        self.assertEqual(dict(self.grid.items()), {"k": 1})

    def test_there_is_none_without_the_lock(self):
        self.lock.release()
        with self.assertRaises(RuntimeError):
            self.lock.guard()
        with self.assertRaises(errors.FencedError):
            self.safe["k"] = 1
