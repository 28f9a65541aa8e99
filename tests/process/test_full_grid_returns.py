"""A grid that was full comes back, though its records are packed in another order then."""

import random

import nosqgrid
from tests.support.durable import DurableTestCase
from tests.support.tiers import slow


class FullGridTest(DurableTestCase):
    @slow
    def test_a_full_grid_comes_back_with_the_memory_it_had_or_a_quarter_more(self):
        for seed in range(3):
            socket, directory = "%s%d" % (self.socket, seed), "%s%d" % (self.data, seed)
            served = self.serve("--memory", "1m", level="os", directory=directory, socket=socket)
            rng, expected, full = random.Random(seed), {}, 0
            with nosqgrid.attach(socket, timeout=20.0) as grid:
                while full < 3:
                    key, value = "k%d" % rng.randrange(100000), rng.randrange(10000) * "v"
                    try:
                        grid.set(key, value)
                        expected[key] = value
                    except nosqgrid.GridFullError:
                        full += 1
                if seed:
                    grid.checkpoint()
            served.kill()
            served = self.serve("--memory", "1m", level="os", directory=directory, socket=socket)
            self.assertEqual(self.content(socket), expected)
            with nosqgrid.attach(socket, timeout=20.0) as grid:
                more = grid.stats()["heap_size_bytes"] - (1 << 20)
            self.assertIn(more, (0, 1 << 18, 1 << 19))
            self.assertEqual(bool(more), "with --memory" in served.errors(), served.errors())
            served.kill()

    def test_too_little_memory_is_said_and_changes_nothing(self):
        served = self.serve(level="os")
        grid = self.attach()
        grid.set_many({"k%d" % number: "v" * 20000 for number in range(200)})
        served.kill()
        status, said = self.refused("--memory", "1m")
        self.assertNotEqual(status, 0)
        self.assertIn("start with more --memory", said)
        self.serve(level="os")
        self.assertEqual(len(self.content()), 200)
