"""Pipelines of commands that are alike, as one piece of work, against one command after the other."""

import random
import unittest

from nosqgrid.engine.commands import COMMON_ROWS
from nosqgrid.engine.commands.fast import make_run_fast
from nosqgrid.engine.commands.fastruns import make_run_alike
from nosqgrid.formats.resp_request import ALIKE_MAX, Parser, encode_command
from tests.support.engine_context import EngineContext, contents
from tests.support.tiers import FULL, slow

SEQUENCES = 2000 if FULL else 100
KEYS = [b"k%d" % number for number in range(4)] + [b"\xff\x00db1:k", b"", b"l", b"s", b"h", b"z"]
NAMES = [b"m%d" % number for number in range(6)] + [b"7", b"12", b"", b"m" * 70]
VALUES = [b"", b"1", b"-1", b"-7", b"007", b"999999999999999999", b"9223372036854775807", b"v" * 70, b"v" * 4000]
SCORES = [b"0", b"-0", b"1", b"2", b"1.5", b"inf", b"-inf", b"7"] * 8 + [b"nan", b"x", b"1e400", b"0x10"]
OF_KIND = {b"LPUSH": b"l", b"RPUSH": b"l", b"LPOP": b"l", b"RPOP": b"l", b"SADD": b"s", b"HSET": b"h", b"ZADD": b"z"}
SINGLE = [(b"DEL", [KEYS]), (b"SETEX", [KEYS, [b"100"], VALUES]), (b"EXPIRE", [KEYS, [b"100"]]),
          (b"RPUSH", [[b"l"]] + [NAMES] * 20), (b"RPUSH", [[b"l"]] + [NAMES] * 5), (b"SADD", [[b"s"]] + [NAMES] * 4),
          (b"HSET", [[b"h"]] + [NAMES] * 4), (b"ZADD", [[b"z"], [b"1"], NAMES, [b"2"], NAMES]),
          (b"SET", [KEYS, VALUES])]
ALIKE = [(b"PING", []), (b"GET", [KEYS]), (b"SET", [KEYS, VALUES]), (b"INCR", [KEYS]), (b"LPUSH", [KEYS, NAMES]),
         (b"RPUSH", [KEYS, NAMES]), (b"LPOP", [KEYS]), (b"RPOP", [KEYS]), (b"SADD", [KEYS, NAMES]),
         (b"HSET", [KEYS, NAMES, VALUES]), (b"ZADD", [KEYS, SCORES, NAMES]), (b"rpop", [KEYS]),
         (b"zadd", [KEYS, SCORES, NAMES]),
         (b"set", [KEYS, VALUES]), (b"EXISTS", [KEYS]), (b"GET", []), (b"SET", [KEYS])]


def random_run(rng):
    """Commands of one kind, most of them of one key."""
    name, choices = rng.choice(ALIKE)
    count = rng.choice((2, 3, 16, ALIKE_MAX))
    if choices and rng.randrange(8):
        choices = [[OF_KIND.get(name.upper(), rng.choice(KEYS))]] + choices[1:]
    if rng.randrange(2):
        choices = choices[:1] + [rng.sample(choice, 2) for choice in choices[1:]]
    return [[name] + [rng.choice(choice) for choice in choices] for _ in range(count)]


class RunsTest(unittest.TestCase):

    def run_alike(self, context, commands):
        """The bytes of the answers as coordinator/sockets gets them, and whether they were one piece of work."""
        alike = Parser().take_alike(b"".join(encode_command(*words) for words in commands))
        self.assertIsNotNone(alike, commands)
        words, columns, count = alike
        self.assertEqual((words, count), (commands[0], len(commands)))
        self.assertEqual(list(map(list, zip(*columns))), [words[1:] for words in commands] if columns else [])
        found = make_run_alike(context.keyspace, context.pubsub)(context, words[0], columns, count)
        if found is not None:
            return found, True
        run = make_run_fast(context.keyspace, context.pubsub, context.waiting, COMMON_ROWS)
        left, answers = commands[::-1], []
        while left:
            run(context, left, answers.append)
            if left:
                answers.append(context.call(*left.pop()))
        return b"".join(answers), False

    def compare(self, seed):
        rng = random.Random(seed)
        plain, alike = EngineContext(memory_bytes=1 << 20), EngineContext(memory_bytes=1 << 20)
        together = {}
        for _ in range(30):
            name, choices = rng.choice(SINGLE)
            words = [name] + [rng.choice(choice) for choice in choices]
            self.assertEqual(plain.call(*words), alike.call(*words))
            commands = random_run(rng)
            expected = b"".join([plain.call(*words) for words in commands])
            found, hot = self.run_alike(alike, commands)
            self.assertEqual(found, expected, (seed, commands))
            self.assertEqual(contents(alike.keyspace), contents(plain.keyspace), (seed, commands))
            self.assertEqual(self.shapes(alike), self.shapes(plain), (seed, commands))
            together[commands[0][0].upper()] = together.get(commands[0][0].upper(), 0) + hot
        for context in (plain, alike):
            context.keyspace.check()
        self.assertEqual(alike.keyspace.structures.used_bytes, plain.keyspace.structures.used_bytes)
        return together

    def shapes(self, context):
        return [context.call("OBJECT", "ENCODING", key) for key in KEYS]

    @slow
    def test_answers_and_keys_are_those_of_one_after_the_other(self):
        together = {}
        for seed in range(SEQUENCES):
            for name, count in self.compare(seed).items():
                together[name] = together.get(name, 0) + count
        self.assertEqual(together.pop(b"EXISTS"), 0)
        self.assertEqual([name for name, count in together.items() if count < SEQUENCES // 20], [], together)

    @slow
    def test_grid_that_is_full_takes_or_refuses_and_says_which(self):
        context, number, rng = EngineContext(memory_bytes=1 << 19), 0, random.Random(1)
        while context.call("SET", "fill:%d" % number, "x" * 200) == b"+OK\r\n":
            number += 1
        expected, seen = {}, set()
        for _ in range(2000):
            commands = [[b"SET", b"k%d" % rng.randrange(40), b"%d" % rng.randrange(100) * rng.choice((1, 30))]
                        for _ in range(16)]
            found, together = self.run_alike(context, commands)
            answers = found.split(b"\r\n")[:-1]
            self.assertEqual(len(answers), 16)
            for words, answer in zip(commands, answers):
                if answer == b"+OK":
                    expected[words[1]] = words[2]
                seen.add((answer[:4], together))
            context.call("DEL", "fill:%d" % rng.randrange(number))
            context.keyspace.work()
            for key, value in expected.items():
                self.assertEqual(context.call("GET", key), b"$%d\r\n%b\r\n" % (len(value), value))
        context.keyspace.check()
        self.assertEqual(seen, {(b"+OK", True), (b"+OK", False), (b"-OOM", False)})

    def test_version_rises_as_if_each_had_been_published(self):
        context = EngineContext()
        context.call("SET", "k", "1")
        before = context.keyspace.version
        self.assertTrue(self.run_alike(context, [[b"SET", b"k", b"2"], [b"SET", b"k", b"3"]])[1])
        self.assertTrue(self.run_alike(context, [[b"INCR", b"k"]] * 3)[1])
        self.assertEqual(context.keyspace.version, before + 5)
        self.assertEqual(context.call("GET", "k"), b"$1\r\n6\r\n")

    def test_many_pairs_while_the_index_grows(self):
        contexts = [EngineContext(), EngineContext()]
        hot = 0
        for number in range(200):
            commands = [[b"SET", b"key:%d" % (number * 16 + index), b"%d" % index] for index in range(16)]
            expected = b"".join([contexts[0].call(*words) for words in commands])
            found, together = self.run_alike(contexts[1], commands)
            hot += together
            self.assertEqual(found, expected)
            for context in contexts:
                context.keyspace.work()
        self.assertTrue(0 < hot < 200, hot)
        self.assertEqual(contents(contexts[0].keyspace), contents(contexts[1].keyspace))
        contexts[1].keyspace.check()

    def refuses(self, prepare):
        """Each kind of change goes the plain way in a context that was prepared like this."""
        context = EngineContext()
        for words in ((b"SET", b"n", b"1"), (b"RPUSH", b"l", b"1", b"2", b"3", b"4"), (b"SADD", b"s", b"1"),
                      (b"HSET", b"h", b"f", b"v"), (b"ZADD", b"z", b"1", b"m")):
            context.call(*words)
        runs = [[b"SET", b"n", b"2"], [b"INCR", b"n"], [b"LPUSH", b"l", b"0"], [b"RPOP", b"l"], [b"SADD", b"s", b"2"],
                [b"HSET", b"h", b"f", b"w"], [b"ZADD", b"z", b"2", b"m"]]
        for words in runs:
            self.assertTrue(self.run_alike(context, [words] * 2)[1], words)
        prepare(context)
        before = contents(context.keyspace)
        for words in runs:
            alike = make_run_alike(context.keyspace, context.pubsub)
            columns = [[word] * 2 for word in words[1:]]
            self.assertIsNone(alike(context, words[0], columns, 2), words)
        self.assertEqual(contents(context.keyspace), before)

    def test_changes_are_left_to_the_plain_way_for_who_is_special(self):
        def in_transaction(context):
            context.session.queued = []
            context.session.changed()

        def of_reader(context):
            context.session.may_write = False

        for prepare in (in_transaction, of_reader, lambda context: context.pubsub.set_events(b"KEA"),
                        lambda context: context.keyspace.tell_changes(lambda key: None)):
            self.refuses(prepare)

    def test_somebody_who_waits_is_served_by_the_first_that_is_pushed(self):
        context = EngineContext()
        other = EngineContext(other=context)
        context.call("RPUSH", "l", "a")
        context.keyspace.waited[b"l"] = other
        alike = make_run_alike(context.keyspace, context.pubsub)
        self.assertIsNone(alike(context, b"RPUSH", [[b"l"] * 2, [b"b", b"c"]], 2))


class TakeAlikeTest(unittest.TestCase):

    @slow
    def test_takes_what_the_exact_way_would_read_the_same_and_nothing_else(self):
        rng, taken = random.Random(5), 0
        for _ in range(SEQUENCES * 30):
            commands = random_run(rng)[:rng.choice((1, 2, 5))]
            data = bytearray(b"".join([encode_command(*words) for words in commands]))
            for _ in range(rng.choice((0, 0, 1, 2))):
                place = rng.randrange(len(data) or 1)
                if data and rng.randrange(3):
                    data[place] = rng.choice(b"\r\n$*0129\x07a")
                else:
                    del data[place:place + rng.choice((1, 2, len(data)))]
            data, parser = bytes(data), Parser()
            alike = parser.take_alike(data) if data else None
            self.assertTrue(parser.at_rest)
            if alike is None:
                continue
            taken += 1
            words, columns, count = alike
            found = [words] if count == 1 else [[words[0]] + list(rest) for rest in zip(*columns)] or [words] * count
            exact, expected = Parser(), []
            for index in range(len(data)):
                exact.feed(data[index:index + 1])
            command = exact.next()
            while command is not None:
                expected.append(command)
                command = exact.next()
            self.assertEqual(found, expected, data)
            self.assertTrue(exact.at_rest)
        self.assertGreater(taken, SEQUENCES * 10)

    def test_takes_nothing_while_anything_waits_or_is_not_trusted(self):
        data = encode_command(b"PING") * 2
        self.assertEqual(Parser().take_alike(data), ([b"PING"], [], 2))
        for before in (b"*", b"*1\r\n$4\r\nPI", b"*1\r\n", b"*2\r\n$4\r\nECHO\r\n$5000\r\nx"):
            parser = Parser()
            parser.feed(before)
            self.assertIsNone(parser.next())
            self.assertIsNone(parser.take_alike(data), before)
        stranger = Parser()
        stranger.trusted = False
        self.assertIsNone(stranger.take_alike(data))
        self.assertIsNone(Parser().take_alike(encode_command(b"PING") * (ALIKE_MAX + 1)))

    def test_takes_nothing_after_an_error(self):
        parser = Parser()
        parser.feed(b"*x\r\n")
        self.assertRaises(Exception, parser.next)
        self.assertIsNone(parser.take_alike(encode_command(b"PING")))

    def test_what_is_given_back_comes_first(self):
        parser = Parser()
        parser.give_back([[b"SECOND"], [b"FIRST"]])
        parser.feed(encode_command(b"THIRD"))
        self.assertEqual([parser.next()[0] for _ in range(3)], [b"FIRST", b"SECOND", b"THIRD"])


if __name__ == "__main__":
    unittest.main()
