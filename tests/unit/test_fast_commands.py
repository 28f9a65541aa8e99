"""The hot path of commands against the plain one: the same answers, the same keyspace, the same log."""

import random
import unittest

from nosqgrid import errors
from nosqgrid.engine.commands import COMMON_ROWS
from nosqgrid.engine.commands.fast import make_run_fast
from nosqgrid.formats import resp
from tests.support.engine_context import EngineContext, contents
from tests.support.tiers import FULL, slow

SEQUENCES = 2000 if FULL else 60
KEYS = [b"k%d" % number for number in range(5)] + [b"", b"\xff" * 40]
VALUES = [b"", b"1", b"-1", b"007", b"9223372036854775807", b"-9223372036854775808", b"999999999999999999", b"v" * 300,
          b"v" * 4000]


class ListLog:
    """Keeps the entries, and refuses those whose numbers it was given."""

    def __init__(self, refused=()):
        self.entries, self.refused, self.number = [], refused, 0

    def append(self, first_lsn, count, payload):
        self.number += 1
        if self.number in self.refused:
            raise errors.DiskError("no space left", "/log")
        self.entries.append((first_lsn, count, payload))


def random_command(rng):
    key = rng.choice(KEYS)
    name = rng.choice((b"SET", b"SET", b"SET", b"GET", b"GET", b"INCR", b"INCR", b"MSET", b"DEL", b"APPEND", b"PING",
                       b"EXISTS", b"STRLEN", b"FOO", b"MULTI", b"EXEC", b"EXPIRE", b"get", b"Set", b"TYPE", b"SETEX"))
    words = {b"MSET": lambda: [word for _ in range(rng.randrange(1, 4)) for word in (rng.choice(KEYS),
                                                                                    rng.choice(VALUES))],
             b"SET": lambda: [key, rng.choice(VALUES)], b"Set": lambda: [key, rng.choice(VALUES)],
             b"APPEND": lambda: [key, b"1"], b"EXPIRE": lambda: [key, b"100"], b"PING": list, b"MULTI": list,
             b"EXEC": list, b"SETEX": lambda: [key, b"100", b"1"]}.get(name, lambda: [key])()
    if not rng.randrange(12):
        words = words[:-1] or [b"x", b"y", b"z"]
    return [name] + words


class FastTest(unittest.TestCase):

    def run_fast(self, context, commands):
        """The bytes of the answers of a pipeline, as coordinator/sockets gets them; how many came the hot way."""
        run = make_run_fast(context.keyspace, context.pubsub, context.waiting, COMMON_ROWS)
        left, answers, hot = commands[::-1], [], 0
        while left:
            before = len(left)
            run(context, left, answers.append)
            hot += before - len(left)
            if left:
                answers.append(context.call(*left.pop()))
        return b"".join(answers), hot

    def compare(self, rng, log_of, memory_bytes=1 << 20, prepare=None):
        plain, fast = (EngineContext(memory_bytes=memory_bytes) for _ in range(2))
        logs = [log_of(), log_of()]
        for context, log in zip((plain, fast), logs):
            if prepare is not None:
                prepare(context)
            if log is not None:
                context.keyspace.set_log(log)
        hot = 0
        for _ in range(10):
            commands = [random_command(rng) for _ in range(rng.choice((1, 2, 5, 30, 200)))]
            expected = [plain.call(*words) for words in commands]
            found, count = self.run_fast(fast, commands)
            hot += count
            self.assertEqual(found, b"".join(expected), commands)
            self.assertEqual(contents(fast.keyspace), contents(plain.keyspace))
        for context in (plain, fast):
            context.keyspace.check()
        return hot, logs

    @slow
    def test_answers_and_keys_are_those_of_the_plain_way(self):
        hot = 0
        for seed in range(SEQUENCES):
            hot += self.compare(random.Random(seed), lambda: None)[0]
        self.assertGreater(hot, SEQUENCES * 50)

    @slow
    def test_log_has_the_same_effects(self):
        for seed in range(SEQUENCES):
            hot, logs = self.compare(random.Random(seed), ListLog)
            effects = [b"".join(payload for _, _, payload in log.entries) for log in logs]
            self.assertEqual(effects[0], effects[1])

    @slow
    def test_grid_that_is_full_refuses_the_same(self):
        def fill(context):
            with self.assertRaises(errors.GridFullError):
                for number in range(100000):
                    context.keyspace.store(b"fill:%d" % number, 0, b"x" * 200)

        for seed in range(SEQUENCES // 10):
            self.compare(random.Random(seed), lambda: None, prepare=fill)

    def test_what_the_log_refuses_is_an_error_for_each_and_changes_nothing(self):
        context = EngineContext()
        context.keyspace.set_log(ListLog(refused=(1, 2, 3)))
        commands = [[b"SET", b"a", b"1"], [b"SET", b"b", b"1"]]
        found, hot = self.run_fast(context, commands)
        reader = resp.ReplyReader()
        reader.feed(found)
        answers = [reader.next(), reader.next()]
        self.assertEqual([type(answer) for answer in answers], [errors.DiskError] * 2, found)
        self.assertEqual(contents(context.keyspace), {})

    def warm(self):
        """A context in which all of these are hot: there is a segment, and there are the keys."""
        context = EngineContext()
        for words in (("SET", "k", "v"), ("SET", "n", "1")):
            context.call(*words)
        self.assertEqual(self.run_fast(context, self.HOT)[1], len(self.HOT))
        return context

    HOT = [[b"SET", b"k", b"v"], [b"GET", b"k"], [b"INCR", b"n"], [b"MSET", b"k", b"w"]]

    def test_session_about_which_there_is_something_special_is_left_to_the_plain_way(self):
        for change in (lambda session: setattr(session, "database", 3), lambda session: setattr(session, "queued", [])):
            context = self.warm()
            change(context.session)
            context.session.changed()
            self.assertEqual(self.run_fast(context, self.HOT)[1], 0)

    def test_reader_writes_nothing(self):
        context = EngineContext()
        context.call("SET", "n", "1")
        context.session.may_write = False
        found, _ = self.run_fast(context, [[b"SET", b"n", b"2"], [b"INCR", b"n"], [b"MSET", b"n", b"2"],
                                           [b"DEL", b"n"]])
        self.assertEqual(found.count(b"-NOPERM"), 4)
        self.assertEqual(context.call("GET", "n"), b"$1\r\n1\r\n")

    def test_events_are_published_although_it_is_hot(self):
        context = self.warm()
        context.pubsub.set_events(b"EA")
        context.call("PSUBSCRIBE", "*")
        context.session.protocol = 3  # may go on with other commands
        context.session.changed()
        del context.pushed[:]
        self.run_fast(context, self.HOT)
        self.assertEqual([parts[2] for _, parts in context.pushed],
                         [b"__keyevent@0__:set", b"__keyevent@0__:incrby", b"__keyevent@0__:set"])

    def test_changes_are_left_to_the_plain_way_while_somebody_caches(self):
        context = self.warm()
        context.keyspace.tell_changes(lambda key, kind: None)
        for words in self.HOT + [[b"APPEND", b"k", b"x"], [b"DEL", b"k"]]:
            self.assertEqual(self.run_fast(context, [words])[1], 1 if words[0] == b"GET" else 0, words)

    def test_mset_is_one_entry_of_the_log_and_hot(self):
        context = self.warm()
        log = ListLog()
        context.keyspace.set_log(log)
        words = [b"MSET"] + [word for number in range(50) for word in (b"m%d" % number, b"v" * 100)]
        self.assertEqual(self.run_fast(context, [words])[1], 1)
        self.assertEqual([count for _, count, _ in log.entries], [50])

    def test_answers_are_the_same_while_the_index_grows(self):
        contexts = [EngineContext(), EngineContext()]
        growing = 0
        for number in range(3000):
            words = [[b"SET", b"key:%d" % number, b"%d" % number], [b"GET", b"key:%d" % (number // 2)],
                     [b"INCR", b"key:%d" % (number // 3)]]
            expected = b"".join(contexts[0].call(*command) for command in words)
            self.assertEqual(self.run_fast(contexts[1], words)[0], expected)
            if number % 30 == 0:
                for context in contexts:
                    context.keyspace.work()
            growing += contexts[1].keyspace.index.growing
        self.assertGreater(growing, 100)
        self.assertEqual(contents(contexts[0].keyspace), contents(contexts[1].keyspace))
        contexts[1].keyspace.check()

    def test_no_command_of_our_own_is_common(self):
        self.assertIn(b"LPUSH", COMMON_ROWS)
        self.assertFalse([name for name in COMMON_ROWS if name.upper().startswith(b"NOSQGRID.")])


if __name__ == "__main__":
    unittest.main()
