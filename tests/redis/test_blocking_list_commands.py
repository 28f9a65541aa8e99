"""BLPOP and its relatives with several clients: who is answered what, and what is left; also by a real redis-server."""

import random
import unittest

from nosqgrid.engine.commands.run import as_write
from nosqgrid.errors import NosqgridError
from tests.redis.test_list_commands import NULL, NULL_ARRAY, OK, WRONGTYPE, array, wrong_arity
from tests.support.command_context import SYNTAX, bulk
from tests.support.differential import DifferentialTest, encoded
from tests.support.engine_context import Clients, EngineTest
from tests.support.tiers import FULL

SEQUENCES = 300 if FULL else 25
NEGATIVE = b"-ERR timeout is negative\r\n"
NO_TIMEOUT = b"-ERR timeout is not a float or out of range\r\n"


class BlockingTest(unittest.TestCase):

    def setUp(self):
        self.clients = Clients(5)
        self.keyspace = self.clients.contexts[0].keyspace

    def tearDown(self):
        self.keyspace.check()

    def run_rows(self, *rows):
        """Each row: client, command, its answer (None: it waits), and what others are answered by that."""
        for number, line, expected, others in rows:
            words = line.split() if isinstance(line, str) else line
            self.assertEqual(self.clients.call(number, *words), (expected, others), (number, line))

    def pass_time(self, now_ms):
        self.keyspace.now_ms = now_ms
        self.clients.contexts[0].waiting.tick(now_ms / 1000.0)
        return self.clients.answers()

    def test_what_is_there_is_taken_at_once(self):
        self.run_rows(
            (0, "RPUSH l 1 2 3 4 5 6 7", b":7\r\n", []), (0, "BLPOP none l 0", array(b"l", b"1"), []),
            (0, "BRPOP l none 0", array(b"l", b"7"), []), (0, "BLMOVE l m LEFT RIGHT 0", bulk(b"2"), []),
            (0, "BRPOPLPUSH l m 0", bulk(b"6"), []), (0, "LRANGE m 0 -1", array(b"6", b"2"), []),
            (0, "BLMPOP 0 2 none l RIGHT COUNT 2", b"*2\r\n" + bulk(b"l") + array(b"5", b"4"), []),
            (0, "BLPOP m l 0", array(b"m", b"6"), []))

    def test_errors(self):
        self.run_rows(*[(0, line, expected, []) for line, expected in (
            ("SET s v", OK), ("RPUSH l a", b":1\r\n"), ("BLPOP s 0", WRONGTYPE), ("BLPOP none s 0", WRONGTYPE),
            ("BLPOP l", wrong_arity(b"blpop")), ("BRPOP l", wrong_arity(b"brpop")), ("BLPOP s x", NO_TIMEOUT),
            ("BLMOVE l l LEFT LEFT", wrong_arity(b"blmove")), ("BLMOVE l l UP LEFT x", SYNTAX),
            ("BLMOVE s l LEFT LEFT x", NO_TIMEOUT), ("BLMOVE s l LEFT LEFT 0", WRONGTYPE),
            ("BLMOVE l s LEFT LEFT 0", WRONGTYPE), ("BRPOPLPUSH s l 0", WRONGTYPE), ("BRPOPLPUSH l s 0", WRONGTYPE),
            ("BRPOPLPUSH l s -1", NEGATIVE), ("BRPOPLPUSH l s", wrong_arity(b"brpoplpush")),
            ("BLMPOP x 1 l LEFT", NO_TIMEOUT), ("BLMPOP -1 1 l LEFT", NEGATIVE),
            ("BLMPOP x 0 l LEFT", b"-ERR numkeys should be greater than 0\r\n"),
            ("BLMPOP 0 1 l LEFT COUNT 0", b"-ERR count should be greater than 0\r\n"), ("BLMPOP 0 1 l UP", SYNTAX),
            ("BLMPOP 0 2 l LEFT", SYNTAX), ("BLMPOP 0 1 s LEFT", WRONGTYPE), ("BLMPOP 0 1 l", wrong_arity(b"blmpop")),
            ("LLEN l", b":1\r\n"))])

    def test_timeouts_that_are_none(self):
        for word, expected in ((b"-1", NEGATIVE), (b"-0.001", NEGATIVE), (b"inf", NEGATIVE), (b"-inf", NEGATIVE),
                               (b"1e400", NEGATIVE), (b"9223372036854776", NEGATIVE), (b"0x7FFFFFFFFFFFFFFF", NEGATIVE),
                               (b"0x1p99999", NEGATIVE), (b"nan", NO_TIMEOUT), (b"", NO_TIMEOUT), (b" 1", NO_TIMEOUT),
                               (b"1 ", NO_TIMEOUT), (b"1\x00", NO_TIMEOUT), (b"1_0", NO_TIMEOUT), (b"0x", NO_TIMEOUT),
                               (b".", NO_TIMEOUT), (b"1e", NO_TIMEOUT)):
            self.run_rows((0, [b"BLPOP", b"l", word], expected, []))

    def test_timeouts(self):
        for word, milliseconds in ((b"1", 1000), (b"+1", 1000), (b".5", 500), (b"2.", 2000), (b"0x2", 2000),
                                   (b"0.0001", 1), (b"0.0011", 2), (b"1e-3", 1), (b"1.0001", 1001)):
            self.keyspace.now_ms = 1000
            self.run_rows((0, [b"BLPOP", b"l", word], None, []))
            self.assertEqual(self.pass_time(1000 + milliseconds - 1), [], word)
            self.assertEqual(self.pass_time(1000 + milliseconds), [(0, NULL_ARRAY)], word)

    def test_for_ever(self):
        for word in (b"0", b"0.0", b"-0.0001", b"-0", b"9e15"):
            self.keyspace.now_ms = 1000
            self.run_rows((0, [b"BLPOP", b"l", word], None, []))
            self.assertEqual(self.pass_time(10 ** 15), [], word)
            self.run_rows((1, "RPUSH l 1", b":1\r\n", [(0, array(b"l", b"1"))]))

    def test_what_a_timeout_answers(self):
        self.run_rows((0, "BLPOP l 1", None, []), (1, "BLMOVE l m LEFT LEFT 1", None, []),
                      (2, "BRPOPLPUSH l m 1", None, []), (3, "BLMPOP 1 1 l LEFT", None, []))
        self.assertEqual(self.pass_time(3000), [(number, NULL_ARRAY) for number in range(4)])

    def test_first_come_first_served_after_the_whole_command(self):
        self.run_rows(
            (0, "BLPOP l 0", None, []), (1, "BRPOP l 0", None, []), (2, "BLPOP l 0", None, []),
            (4, "LPUSH l a b c d", b":4\r\n", [(0, array(b"l", b"d")), (1, array(b"l", b"a")), (2, array(b"l", b"c"))]),
            (4, "LRANGE l 0 -1", array(b"b"), []))

    def test_of_several_keys_the_one_touched_first(self):
        self.run_rows((0, "BLPOP a b 0", None, []), (4, "MULTI", OK, []), (4, "RPUSH b 1", b"+QUEUED\r\n", []),
                      (4, "RPUSH a 2", b"+QUEUED\r\n", []),
                      (4, "EXEC", b"*2\r\n:1\r\n:1\r\n", [(0, array(b"b", b"1"))]), (4, "LLEN a", b":1\r\n", []))

    def test_a_transaction_that_takes_away_what_it_gave(self):
        self.run_rows((0, "BLPOP l 0", None, []), (4, "MULTI", OK, []), (4, "RPUSH l 1", b"+QUEUED\r\n", []),
                      (4, "DEL l", b"+QUEUED\r\n", []), (4, "SET l x", b"+QUEUED\r\n", []),
                      (4, "EXEC", b"*3\r\n:1\r\n:1\r\n+OK\r\n", []), (4, "DEL l", b":1\r\n", []),
                      (4, "RPUSH l 2", b":1\r\n", [(0, array(b"l", b"2"))]))

    def test_a_chain(self):
        self.run_rows((0, "BLPOP c 0", None, []), (1, "BRPOPLPUSH b c 0", None, []),
                      (2, "BLMOVE a b RIGHT LEFT 0", None, []),
                      (4, "RPUSH a x", b":1\r\n", [(2, bulk(b"x")), (1, bulk(b"x")), (0, array(b"c", b"x"))]),
                      (4, "EXISTS a b c", b":0\r\n", []))

    def test_circles(self):
        self.run_rows((0, "BRPOPLPUSH l l 0", None, []), (4, "RPUSH l 1 2", b":2\r\n", [(0, bulk(b"2"))]),
                      (4, "LRANGE l 0 -1", array(b"2", b"1"), []), (4, "DEL l", b":1\r\n", []),
                      (0, "BRPOPLPUSH a b 0", None, []), (1, "BRPOPLPUSH b a 0", None, []),
                      (4, "RPUSH a x", b":1\r\n", [(0, bulk(b"x")), (1, bulk(b"x"))]),
                      (4, "LRANGE a 0 -1", array(b"x"), []), (4, "EXISTS b", b":0\r\n", []))

    def test_a_target_of_another_type(self):
        self.run_rows((4, "SET s v", OK, []), (0, "BRPOPLPUSH l s 0", None, []), (1, "BLPOP l 0", None, []),
                      (4, "RPUSH l 1", b":1\r\n", [(0, WRONGTYPE), (1, array(b"l", b"1"))]))

    def test_other_ways_for_a_list_to_come(self):
        self.run_rows((4, "RPUSH x 3 1 2", b":3\r\n", []), (0, "BLPOP l 0", None, []),
                      (4, "SORT x STORE l", b":3\r\n", [(0, array(b"l", b"1"))]), (4, "DEL l", b":1\r\n", []),
                      (0, "BLPOP l 0", None, []), (4, "RPOPLPUSH x l", bulk(b"2"), [(0, array(b"l", b"2"))]),
                      (0, "BLPOP l 0", None, []), (4, "LMOVE x l LEFT LEFT", bulk(b"3"), [(0, array(b"l", b"3"))]))

    def test_something_else_at_the_key(self):
        self.run_rows((0, "BLPOP l 0", None, []), (4, "SET l v", OK, []), (4, "DEL l", b":1\r\n", []),
                      (4, "LPUSHX l 1", b":0\r\n", []), (4, "RPUSH l 1", b":1\r\n", [(0, array(b"l", b"1"))]))

    def test_blmpop(self):
        self.run_rows((0, "BLMPOP 0 2 a b RIGHT COUNT 2", None, []), (1, "BLMPOP 0 1 b LEFT COUNT 10", None, []),
                      (4, "RPUSH b 1 2 3", b":3\r\n", [(0, b"*2\r\n" + bulk(b"b") + array(b"3", b"2")),
                                                      (1, b"*2\r\n" + bulk(b"b") + array(b"1"))]))

    def test_in_another_database(self):
        for number in (0, 1):
            session = self.clients.contexts[number].session
            session.database = 2
            session.changed()
        self.run_rows((0, "BLPOP l 0", None, []), (2, "BLPOP l 0", None, []),
                      (1, "RPUSH l 1", b":1\r\n", [(0, array(b"l", b"1"))]), (0, "BLMPOP 0 1 l LEFT", None, []),
                      (1, "RPUSH l 1", b":1\r\n", [(0, b"*2\r\n" + bulk(b"l") + array(b"1"))]),
                      (3, "RPUSH l 2", b":1\r\n", [(2, array(b"l", b"2"))]))

    def test_a_batch_that_fails_serves_nobody(self):
        self.run_rows((0, "BLPOP l 0", None, []))

        def push_and_fail():
            self.clients.contexts[1].run([b"RPUSH", b"l", b"1"])
            raise NosqgridError("taken back")

        with self.assertRaises(NosqgridError):
            as_write(self.keyspace, push_and_fail)
        self.clients.contexts[1].waiting.serve()
        self.assertEqual(self.clients.answers(), [])
        self.run_rows((1, "RPUSH l 2", b":1\r\n", [(0, array(b"l", b"2"))]))

    def test_unblocking_and_leaving(self):
        waiting = self.clients.contexts[0].waiting
        self.run_rows((0, "BLPOP l 0", None, []), (1, "BLMOVE l m LEFT LEFT 0", None, []), (2, "BLPOP l 0", None, []))
        self.assertTrue(waiting.unblock(self.clients.contexts[0].session, True))
        self.assertTrue(waiting.unblock(self.clients.contexts[1].session, False))
        self.assertEqual(self.clients.answers(), [(0, b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
                                                  (1, NULL_ARRAY)])
        waiting.session_ended(self.clients.contexts[2].session)
        self.run_rows((3, "RPUSH l 1", b":1\r\n", []))


class LaneTest(EngineTest):

    def test_where_nobody_may_wait_there_is_an_answer(self):
        self.context.may_block = False
        self.run_table([("BLPOP l 0", NULL_ARRAY), ("BRPOP l 0", NULL_ARRAY), ("BLMOVE l m LEFT LEFT 0", NULL),
                        ("BRPOPLPUSH l m 0", NULL), ("BLMPOP 0 1 l LEFT", NULL_ARRAY)])
        self.assertEqual(len(self.context.waiting), 0)


KEYS = "ab"


def one_command(rng):
    """Something that gives or takes, for one of several clients.

    Nobody waits for "c", which is a string at times: where SORT puts a list in the place of something else Redis does
    not look for those who wait for one, and we do.
    """
    key, other, target = rng.choice(KEYS), rng.choice(KEYS), rng.choice("abbc")
    side = rng.choice(("LEFT", "RIGHT"))
    return encoded(rng.choice((
        ["BLPOP", key, 0], ["BLPOP", key, other, 0], ["BRPOP", other, key, 0], ["BLMOVE", key, target, side, "LEFT", 0],
        ["BRPOPLPUSH", key, target, 0], ["BLMPOP", 0, 2, key, other, side, "COUNT", rng.randint(1, 3)],
        ["RPUSH", key] + [rng.randint(0, 99) for _ in range(rng.randint(1, 4))], ["LPUSH", key, rng.randint(0, 99)],
        ["RPUSH", key, 1, 2], ["RPOPLPUSH", key, target], ["LRANGE", key, 0, -1], ["DEL", key],
        ["SORT", key, "STORE", other], ["LPOP", key], ["SET", "c", "v"], ["DEL", "c"])))


class BlockingDifferentialTest(DifferentialTest):
    """Four clients wait as they like, and a fifth one that never does sees to it that something comes."""

    def run_sequence(self, seed):
        rng, said = random.Random(seed), []
        ours, theirs = Clients(5), [self.server.connect() for _ in range(5)]
        try:
            theirs[4].call("FLUSHALL")
            for step in range(60):
                ready = [number for number in range(4) if number not in ours.waiting]
                number = rng.choice(ready + [4])
                words = one_command(rng)
                if number == 4 and words[0][:1] == b"B":
                    words = encoded(["RPUSH", rng.choice(KEYS), rng.randint(0, 99)])
                said.append("%d %r" % (number, words))
                self.compare_step(ours, theirs, number, words, "seed %d\n%s" % (seed, "\n".join(said)))
            for key in KEYS:
                self.assertEqual(ours.call(4, "EXISTS", key)[0], theirs[4].call("EXISTS", key))
        finally:
            for client in theirs:
                client.close()

    def compare_step(self, ours, theirs, number, words, name):
        reply, answers = ours.call(number, *words)
        theirs[number].send(*words)
        if reply is not None:
            self.assertEqual(theirs[number].read(), reply, name)
        theirs[4].call("PING")  # by now whoever is answered has been
        for other, answer in answers:
            self.assertTrue(theirs[other].answered(), "%s\nonly ours answers %d %r" % (name, other, answer))
            self.assertEqual(theirs[other].read(), answer, name)
        for waiting in ours.waiting:
            self.assertFalse(theirs[waiting].answered(), name)

    def test_random_waiting(self):
        for seed in range(SEQUENCES):
            self.run_sequence(seed)


if __name__ == "__main__":
    unittest.main()
