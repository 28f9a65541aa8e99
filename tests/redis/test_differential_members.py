"""Hashes and sets: the same commands to redis-server and to the engine, their answers byte for byte.

Small hashes and sets of numbers have an order in Redis, which has to be the same; others may come in any.
"""

import unittest

from tests.redis import test_hash_commands, test_set_commands
from tests.support.command_context import bulk
from tests.support.differential import DifferentialTest, unordered, unordered_pairs
from tests.support.engine_context import EngineContext
from tests.support.tiers import FULL, slow

SEQUENCES = 1500 if FULL else 60
LENGTH = 60

KEYS = (b"k1", b"k2", b"k3")
FIELDS = (b"a", b"b", b"c", b"d", b"", b"f\x00\r\n", b"10", b"-3")
NUMBERS = (b"0", b"1", b"-1", b"3.0e2", b"1.5", b"-0.1", b"1e3", b"9223372036854775807", b"-9223372036854775808",
           b"1e17", b"123456789.125", b"x", b"", b" 1", b"1 ", b"+5", b"nan", b"inf", b"-inf", b"00")
COUNTS = (b"0", b"1", b"-1", b"5", b"2000", b"x", b"", b"9223372036854775807", b"-9223372036854775808", b"+1",
          b"9223372036854775808")
OPTIONS = (b"COUNT", b"match", b"MATCH", b"*", b"a*", b"[ab]", b"1", b"5", b"0", b"-1", b"x", b"WITHVALUES", b"TYPE")
CURSORS = (b"0", b"0", b"0", b"1", b"77", b"18446744073709551615", b"18446744073709551616", b"-1", b"x", b"", b" 0")


def length_alone(reply):
    """Of what chance chose, how much it is; of a single choice, that it is one."""
    if reply[:1] == b"$" and reply[:2] != b"$-":
        return b"$"
    return reply[:reply.index(b"\r\n")]


def refusal_alone(reply):
    """Of a scan of a hash table, whether it was refused: where the cursors lead is the server's own affair."""
    return reply if reply[:1] == b"-" else reply[:4]


def any_of(rng, *choices):
    return rng.choice(choices)


def extra(rng, words, options=OPTIONS):
    """Now and then a word too many, too few, or no option at all."""
    if rng.random() < 0.03:
        return words + [rng.choice(options)]
    if rng.random() < 0.02 and len(words) > 1 and words[0] != b"SPOP":
        return words[:-1]
    return words


def others(rng):
    """What brings other types and deadlines into it."""
    key = rng.choice(KEYS)
    return rng.choice(([b"SET", key, b"v"], [b"DEL", key], [b"EXISTS", key], [b"PERSIST", key], [b"DEL", key],
                       [b"EXPIRE", key, b"1000"], [b"PEXPIRE", key, b"-1"], [b"EXISTS"] + list(KEYS)))


def hash_command(rng, values=(b"v", b"1", b"", b"text", b"5.5")):
    key, field = rng.choice(KEYS), rng.choice(FIELDS)
    pairs = [word for _ in range(rng.choice((1, 1, 1, 2, 4)))
             for word in (rng.choice(FIELDS), rng.choice(values if rng.random() < 0.6 else NUMBERS))]
    fields = [rng.choice(FIELDS) for _ in range(rng.choice((1, 1, 2, 5)))]
    draw = rng.random()
    if draw < 0.3:
        words = [any_of(rng, b"HSET", b"hset", b"HMSET"), key] + pairs
    elif draw < 0.4:
        words = [b"HDEL", key] + fields
    elif draw < 0.55:
        words = [any_of(rng, b"HINCRBY", b"HINCRBYFLOAT"), key, field, rng.choice(NUMBERS)]
    elif draw < 0.75:
        words = rng.choice(([b"HGET", key, field], [b"HMGET", key] + fields, [b"HEXISTS", key, field],
                            [b"HSTRLEN", key, field], [b"HSETNX", key] + pairs[:2], [b"HLEN", key]))
    elif draw < 0.85:
        words = [any_of(rng, b"HGETALL", b"HKEYS", b"HVALS", b"HGETALL"), key]
    elif draw < 0.92:
        words = [b"HSCAN", key, rng.choice(CURSORS)] + [rng.choice(OPTIONS) for _ in range(rng.choice((0, 2, 2, 3)))]
    elif draw < 0.97:
        words = [b"HRANDFIELD", key] + [rng.choice(COUNTS + (b"-3", b"2"))] * (rng.random() < 0.9)
        words += [rng.choice((b"WITHVALUES", b"withvalues", b"x"))] * (len(words) == 3 and rng.random() < 0.5)
    else:
        return others(rng)
    return extra(rng, words)


def set_command(rng, pool, options=OPTIONS):
    keys = [rng.choice(KEYS) for _ in range(rng.choice((1, 2, 2, 3)))]
    members = [rng.choice(pool) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
    key, draw = keys[0], rng.random()
    if draw < 0.35:
        words = [b"SADD", key] + members
    elif draw < 0.45:
        words = [b"SREM", key] + members
    elif draw < 0.6:
        words = rng.choice(([b"SISMEMBER", key, members[0]], [b"SMISMEMBER", key] + members, [b"SCARD", key],
                            [b"SMOVE", key, rng.choice(KEYS), members[0]], [b"SMEMBERS", key], [b"SMEMBERS", key]))
    elif draw < 0.8:
        words = rng.choice(([any_of(rng, b"SINTER", b"SUNION", b"SDIFF")] + keys,
                            [any_of(rng, b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"), rng.choice(KEYS)] + keys))
    elif draw < 0.87:
        words = [b"SINTERCARD", rng.choice((b"1", b"2", b"%d" % len(keys), b"0", b"x"))] + keys
        words += rng.choice(([], [b"LIMIT", rng.choice(COUNTS)], [b"LIMIT"]))
    elif draw < 0.93:
        words = [b"SSCAN", key, rng.choice(CURSORS)] + [rng.choice(OPTIONS) for _ in range(rng.choice((0, 2, 2, 3)))]
    elif draw < 0.97:
        # Nothing that leaves something to chance in a set.
        words = rng.choice(([b"SRANDMEMBER", key] + [rng.choice(COUNTS + (b"2", b"-4"))] * (rng.random() < 0.9),
                            [b"SPOP", key, rng.choice((b"0", b"100", b"-1", b"x", b"", b"9223372036854775807"))]))
    else:
        return others(rng)
    return extra(rng, words, options)


class HashTest(DifferentialTest):
    normalize = {b"HRANDFIELD": length_alone}

    @slow
    def test_small_ones_in_order(self):
        for protocol in (2, 3):
            self.compare(hash_command, SEQUENCES, LENGTH, seed=protocol, protocol=protocol)


class LargeHashTest(DifferentialTest):
    normalize = {b"HRANDFIELD": length_alone, b"HGETALL": unordered_pairs, b"HKEYS": unordered, b"HVALS": unordered,
                 b"HSCAN": refusal_alone}

    def test_with_long_values(self):
        for protocol in (2, 3):
            self.compare(lambda rng: hash_command(rng, (b"v" * 100, b"1")), SEQUENCES // 4, LENGTH, seed=5 + protocol,
                         protocol=protocol)


class NumbersTest(DifferentialTest):
    normalize = {b"SRANDMEMBER": length_alone}

    @slow
    def test_sets_of_numbers_in_order(self):
        pool = [b"%d" % number for number in range(-3, 12)] + [b"9223372036854775807", b"-9223372036854775808"]
        for protocol in (2, 3):
            self.compare(lambda rng: set_command(rng, pool, (b"5", b"-1")), SEQUENCES, LENGTH, seed=protocol,
                         protocol=protocol)


class SetTest(DifferentialTest):
    normalize = {b"SRANDMEMBER": length_alone, b"SMEMBERS": unordered, b"SINTER": unordered, b"SUNION": unordered,
                 b"SDIFF": unordered, b"SPOP": unordered, b"SSCAN": refusal_alone}

    @slow
    def test_sets_of_anything(self):
        pool = FIELDS + (b"text", b"x", b"y", b"5", b"7", b"007", b"99999999999999999999")
        for protocol in (2, 3):
            self.compare(lambda rng: set_command(rng, pool), SEQUENCES, LENGTH, seed=protocol, protocol=protocol)


class CompactTest(DifferentialTest):
    """What Redis keeps compactly: a scan gives all at once, whatever COUNT says, and everything has an order."""

    def test_as_many_as_there_may_be(self):
        client = self.server.connect()
        self.addCleanup(client.close)
        for count in (1, 128, 129, 300, 512):
            numbers = [b"%d" % (number * 7 % 1000 - 200) for number in range(count)]
            commands = [[b"SADD", b"s"] + numbers, [b"SADD", b"t"] + numbers[::2] + [b"12345"], [b"SMEMBERS", b"s"],
                        [b"SSCAN", b"s", b"0", b"COUNT", b"1"], [b"SSCAN", b"s", b"9", b"MATCH", b"1*"],
                        [b"SREM", b"s"] + numbers[1:count // 3], [b"SSCAN", b"s", b"5"], [b"SRANDMEMBER", b"s", b"999"],
                        [b"SINTER", b"s", b"t"], [b"SDIFF", b"s", b"t"], [b"SUNION", b"s", b"k"],
                        [b"SUNIONSTORE", b"d", b"s", b"t"], [b"SINTERSTORE", b"i", b"s", b"t"], [b"SMEMBERS", b"i"],
                        [b"SPOP", b"s", b"999"],
                        [b"HSET", b"h"] + [word for number in numbers for word in (number, b"v" + number)],
                        [b"HDEL", b"h"] + numbers[1:count // 4], [b"HSET", b"h", numbers[0], b"new"],
                        [b"HSET", b"h", numbers[count // 8], b"again"], [b"HGETALL", b"h"], [b"HKEYS", b"h"],
                        [b"HVALS", b"h"], [b"HSCAN", b"h", b"0", b"COUNT", b"1"],
                        [b"HSCAN", b"h", b"7", b"MATCH", b"*1"],
                        [b"HRANDFIELD", b"h", b"999", b"WITHVALUES"], [b"HRANDFIELD", b"h", b"999"]]
            for protocol in (b"2", b"3"):
                client.call(b"HELLO", protocol)
                self.compare_one(client, commands, int(protocol), "%d members" % count)

    def test_it_ends_where_redis_ends_it(self):
        client = self.server.connect()
        self.addCleanup(client.close)
        numbers = [b"%d" % number for number in range(513)]
        for words in ([b"SADD", b"k"] + numbers, [b"SADD", b"k"] + numbers[:512], [b"SADD", b"k", b"1", b"x"],
                      [b"SADD", b"k", b"9223372036854775808"], [b"SADD", b"k", b"9223372036854775807"],
                      [b"SADD", b"k", b"01"], [b"SADD", b"k", b"-0"],
                      [b"HSET", b"k"] + 2 * numbers, [b"HSET", b"k", b"f" * 64, b"v" * 64],
                      [b"HSET", b"k", b"f", b"v" * 65], [b"HSET", b"k", b"f" * 65, b"v"],
                      [b"HMSET", b"k"] + [word for number in numbers for word in (number, b"v")],
                      [b"HMSET", b"k"] + [word for number in numbers[:512] for word in (number, b"v")]):
            client.call(b"FLUSHALL")
            context = EngineContext()
            for again in ([], [b"SREM", b"k", b"x"], [b"SREM", b"k"] + numbers[5:], [b"HDEL", b"k"] + numbers[5:]):
                for line in (words, again):
                    if line:
                        context.call(*line)
                        client.call(*line)
                structure = context.keyspace.lookup(b"k").structure
                self.assertEqual(bulk(structure.encoding()), client.call(b"OBJECT", b"ENCODING", b"k"),
                                 (words[:5], again[:5]))


class TablesTest(DifferentialTest):
    """The tables of the tests of each command say what redis-server says."""

    # Where more than a million choices are refused; there is no such limit in Redis, which would run out of memory.
    LEFT_OUT = (b"-9223372036854775807",)

    def compare_tables(self, module, cases, names):
        client = self.server.connect()
        self.addCleanup(client.close)
        compared = []

        def run_table(test, table):
            for line, expected in table:
                words = [word.encode() if isinstance(word, str) else word
                         for word in (line.split() if isinstance(line, str) else line)]
                protocol = b"%d" % test.context.session.protocol
                if self.protocol != protocol:
                    client.call(b"HELLO", protocol)
                    client.call(b"FLUSHALL")
                    self.protocol = protocol
                if not set(self.LEFT_OUT) & set(words):
                    reply = client.call(*words)
                    if unordered(reply) != unordered(expected) and unordered_pairs(reply) != unordered_pairs(expected):
                        self.fail("%r: redis %r, the table %r" % (words, reply, expected))
                    compared.append(words)
        for case, name in [(case, name) for case in cases for name in names]:
            if hasattr(case, name):
                self.protocol = None
                test = case(name)
                test.run_table = lambda table, test=test: run_table(test, table)
                test.setUp()
                getattr(test, name)()
                test.doCleanups()
        return len(compared)

    def test_hashes(self):
        count = self.compare_tables(test_hash_commands, (test_hash_commands.HashTest, test_hash_commands.ScanTest), (
            "test_setting_and_getting", "test_removing", "test_integers", "test_fractions",
            "test_every_command_refuses_other_types", "test_every_command_counts_its_words",
            "test_shapes_in_both_protocols", "test_cursors_and_options"))
        self.assertGreater(count, 150)

    def test_sets(self):
        count = self.compare_tables(test_set_commands, (test_set_commands.SetTest, test_set_commands.ScanTest), (
            "test_adding_removing_and_asking", "test_numbers_come_in_their_order",
            "test_every_command_refuses_other_types", "test_every_command_counts_its_words", "test_moving",
            "test_intersections_unions_and_differences", "test_storing_replaces_whatever_is_there",
            "test_counting_an_intersection", "test_shapes_in_both_protocols", "test_cursors_and_options"))
        self.assertGreater(count, 150)


if __name__ == "__main__":
    unittest.main()
