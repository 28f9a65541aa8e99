"""Topics: the structure against a plain model, and what readers at cursors are given, told and refused."""

import random
import unittest

from nosqgrid import errors
from nosqgrid.client.topics.words import checked_news
from nosqgrid.engine import cursors
from nosqgrid.engine.commands import topics as topic_commands
from nosqgrid.engine.structures import topics
from nosqgrid.engine.structures.topics import HEAD, Topic, meta_words
from nosqgrid.errors import CorruptValueError, CursorLostError
from nosqgrid.formats import words as packed_words
from tests.support.engine_context import Clients, EngineContext, EngineTest
from tests.support.logged_structures import LoggedStructures
from tests.support.tiers import FULL

RUNS = 300 if FULL else 40


def record(now_ms, text):
    return HEAD.pack(now_ms, 0) + text


class Model(object):
    """What a topic should be: every message ever published, and the bounds."""

    def __init__(self, records_max, bytes_max, age_ms_max):
        self.all, self.first = [], 1
        self.records_max, self.bytes_max, self.age_ms_max = records_max, bytes_max, age_ms_max

    def publish(self, now_ms, text):
        self.all.append((now_ms, text))
        while self.over(now_ms):
            self.first += 1

    def over(self, now_ms):
        kept = self.all[self.first - 1:]
        return (len(kept) > self.records_max or sum(HEAD.size + len(text) for _, text in kept) > self.bytes_max
                or self.too_old(self.first, now_ms))

    def too_old(self, number, now_ms):
        return self.age_ms_max and self.all[number - 1][0] < now_ms - self.age_ms_max

    def behind(self, number, now_ms):
        """(missed, [texts]) of all that a reader behind a number may still have."""
        first = max(number + 1, self.first)
        while first <= len(self.all) and self.too_old(first, now_ms):
            first += 1
        return first - 1 - number, [text for _, text in self.all[first - 1:]]


class StructureTest(unittest.TestCase):
    def make(self, rng):
        bounds = rng.choice((1, 3, 50)), rng.choice((40, 300, 10 ** 6)), rng.choice((0, 5, 100))
        topic, model = Topic(), Model(*bounds)
        topic.apply(meta_words(b"12345678", 0, *bounds))
        return topic, model

    def test_bounds_cursors_and_missed_against_the_model(self):
        missed = aged = 0
        for seed in range(RUNS):
            rng = random.Random(seed)
            topic, model = self.make(rng)
            now_ms, reader = 1000, 0
            for _ in range(rng.randrange(200)):
                now_ms += rng.randrange(3)
                text = b"x" * rng.randrange(20)
                new = record(now_ms, text)
                if rng.random() < 0.5:
                    topic.apply([b"pub", b"%d" % topic.room_for(new, now_ms), new])
                else:
                    topic.append(new, topic.room_for(new, now_ms))
                model.publish(now_ms, text)
                self.assertEqual((topic.first, topic.last, len(topic)),
                                 (model.first, len(model.all), len(model.all) + 1 - model.first), seed)
                self.assertEqual(topic.stored_bytes,
                                 sum(HEAD.size + len(text) for _, text in model.all[model.first - 1:]))
                if rng.random() < 0.3:
                    later_ms, count = now_ms + rng.randrange(30), rng.randrange(1, 9)
                    wanted_missed, texts = model.behind(reader, later_ms)
                    found = cursors.news(topic, reader, count, later_ms)
                    self.assertEqual(found is None, not texts, seed)
                    if found:
                        self.assertEqual(found[1], wanted_missed)
                        self.assertEqual([piece[HEAD.size:] for piece in found[3]], texts[:count])
                        self.assertEqual(found[0], cursors.text_of(topic, found[2] + len(found[3]) - 1))
                        reader = found[2] + len(found[3]) - 1
                        missed += wanted_missed
                        aged += bool(model.age_ms_max and wanted_missed)
        self.assertGreater(missed, 100)
        self.assertGreater(aged, 10)

    def test_every_change_is_taken_back_and_changes_make_an_equal_one(self):
        for seed in range(RUNS):
            rng = random.Random(seed)
            topic, _ = self.make(rng)
            for step in range(rng.randrange(1, 60)):
                change = self.change(rng, topic, step)
                before, size = self.shown(topic), topic.size_bytes
                inverse = topic.apply(change)
                after = self.shown(topic)
                forward = []
                for back in inverse:
                    forward += topic.apply(back)
                self.assertEqual((self.shown(topic), topic.size_bytes), (before, size), change)
                for again in reversed(forward):
                    topic.apply(again)
                self.assertEqual(self.shown(topic), after, change)
            for other in (self.rebuilt(topic), topic.copy()):
                self.assertEqual((self.shown(other), other.size_bytes), (self.shown(topic), topic.size_bytes))
                other.apply([b"pub", b"0", record(1, b"more")])
                self.assertEqual(other.last, topic.last + 1)

    @staticmethod
    def change(rng, topic, step):
        pieces = [record(step, b"m" * rng.randrange(9)) for _ in range(rng.randrange(3))]
        return rng.choice(([b"pub", b"%d" % rng.randrange(len(topic) + 1)] + pieces,
                           [b"pub", b"0"] + pieces, [b"pub", b"0"] + pieces,
                           [b"unpub", b"%d" % rng.randrange(len(topic) + 1)] + pieces[:topic.first - 1],
                           meta_words(b"abcdefgh", topic.last, rng.randrange(1, 9), 100, step),
                           meta_words(b"abcdefgh", topic.last, 1, 100, step, [(b"life", step), (b"more", 9)])))

    @staticmethod
    def shown(topic):
        return topic.born, topic.last, topic.first, topic.ancestors, topic.bounds(), topic.records()

    @staticmethod
    def rebuilt(topic):
        made = Topic()
        for change in topic.changes():
            for words in packed_words.unpack_all(packed_words.pack(change)):
                made.apply(words)
        return made

    def test_hostile_words_are_refused_with_nothing_changed(self):
        topic = Topic()
        topic.apply(meta_words(b"12345678", 5, 10, 1000, 0))
        topic.apply([b"pub", b"0", record(1, b"a"), record(2, b"b")])
        before = self.shown(topic), topic.size_bytes
        huge = b"%d" % topics.NUMBER_MAX
        for words in ([], [b""], [b"pub"], [b"pub", b""], [b"pub", b"-1"], [b"pub", b"3"], [b"pub", b"01"],
                      [b"pub", b"1", b"short"], [b"pub", b"9" * 400], [b"pub", "\u0661".encode("utf-8")],
                      [b"unpub"], [b"unpub", b"3"], [b"unpub", b"x"], [b"unpub", b"0", b""],
                      [b"unpub", b"0"] + 6 * [record(1, b"")],
                      meta_words(b"short", 7, 1, 1, 1), meta_words(b"12345678", 6, 1, 1, 1),
                      meta_words(b"12345678", 7, 0, 1, 1), meta_words(b"12345678", 7, 1, 0, 1),
                      meta_words(b"12345678", 7, 1, 1, 1) + [b"1"], meta_words(b"12345678", 7, 1, 1, 1)[:-1],
                      meta_words(b"12345678", 7, 2 ** 63, 1, 1), meta_words(b"12345678", 7, 1, 1, 1, [(b"x", 1)]),
                      meta_words(b"12345678", 7, 1, 1, 1, [(b"life", -1)]),
                      meta_words(b"12345678", 7, 1, 1, 1, [(b"life", 1)] * 65), [b"add", b"1"]):
            with self.assertRaises(CorruptValueError, msg=words):
                topic.apply(words)
            self.assertEqual((self.shown(topic), topic.size_bytes), before, words)
        empty = Topic()
        empty.apply(meta_words(b"12345678", topics.NUMBER_MAX, 1, 1, 0))
        with self.assertRaises(CorruptValueError):
            empty.apply([b"pub", b"0", record(1, b"")])
        self.assertEqual(empty.last, int(huge))

    def test_it_goes_in_slices(self):
        topic = Topic()
        topic.apply([b"pub", b"0"] + [record(1, b"x")] * 300)
        topic.apply([b"pub", b"90"])
        self.assertEqual([topic.shrink(100) for _ in range(3)], [False, False, True])


class CommandsTest(EngineTest):
    def publish(self, name, *words):
        return self.context.run([b"TOPIC.PUBLISH", name, b"0"] + list(words))

    def read(self, *words):
        return self.context.run([b"TOPIC.READ"] + list(words))

    def test_numbers_bounds_and_missed(self):
        self.assertEqual([self.publish(b"t", b"m%d" % number, b"MAXLEN", b"3") for number in range(1, 6)],
                         [1, 2, 3, 4, 5])
        name, cursor, missed, first, flat = self.read(b"TOPICS", b"1", b"t", b"1")[0]
        self.assertEqual((name, missed, first, flat[2::3]), (b"t", 1, 3, [b"m3", b"m4", b"m5"]))
        self.assertIsNone(self.read(b"TOPICS", b"1", b"t", cursor))
        self.publish(b"t", b"m6")  # the bound stays
        self.assertEqual(self.read(b"TOPICS", b"1", b"t", cursor)[0][2:4], [0, 6])
        self.assertEqual(dict(self.context.run([b"TOPIC.INFO", b"t"]))[b"kept"], 3)
        with self.assertRaises(errors.ValueTooLargeError):
            self.publish(b"t", b"x" * 100, b"MAXBYTES", b"50")
        self.publish(b"t", b"x" * 41, b"MAXBYTES", b"50")
        self.assertEqual(dict(self.context.run([b"TOPIC.INFO", b"t"]))[b"kept"], 1)
        self.publish(b"t", b"", b"MAXAGE", b"100")
        self.keyspace.now_ms += 200
        self.assertIsNone(self.read(b"TOPICS", b"1", b"t", b"0"))
        self.publish(b"t", b"new")
        self.assertEqual(self.read(b"TOPICS", b"1", b"t", b"0")[0][2:4], [8, 9])

    def test_what_a_reply_holds(self):
        for number in range(5):
            self.publish(b"t", b"x" * (cursors.REPLY_BYTES_MAX // 2 - 100), b"MAXBYTES", b"900000000")
        self.assertEqual(len(self.read(b"COUNT", b"100", b"TOPICS", b"1", b"t", b"0")[0][4]), 3 * 2)
        self.assertEqual(len(self.read(b"COUNT", b"1", b"TOPICS", b"1", b"t", b"0")[0][4]), 3)
        self.publish(b"t", b"x" * (cursors.REPLY_BYTES_MAX + 1))
        self.assertEqual(len(self.read(b"TOPICS", b"1", b"t", b"5")[0][4]), 3)

    def test_several_topics_and_which_have_news(self):
        self.publish(b"a", b"1")
        self.publish(b"b", b"2")
        found = self.read(b"TOPICS", b"3", b"a", b"-", b"none", b"0", b"b", b"-")
        self.assertEqual([(each[0], each[4][2]) for each in found], [(b"a", b"1"), (b"b", b"2")])
        self.assertEqual([each[0] for each in self.read(b"TOPICS", b"2", b"a", b"$", b"b", b"0")], [b"b"])

    def test_a_cursor_that_means_nothing_any_more_is_told(self):
        self.publish(b"t", b"1")
        cursor = self.read(b"TOPICS", b"1", b"t", b"0")[0][1]
        self.assertEqual(self.context.run([b"TOPIC.DROP", b"t"]), 1)
        self.assertEqual(self.context.run([b"TOPIC.DROP", b"t"]), 0)
        self.lost(b"t", cursor, "was dropped")
        self.lost(b"t", b"1", "was dropped")
        for _ in range(3):  # it is as far as the cursor by then, and beyond
            self.publish(b"t", b"other")
            self.lost(b"t", cursor, "began anew")
        self.lost(b"t", b"4", "stands at 3, the cursor is 4")

    def test_what_a_life_of_a_coordinator_gave_out_and_lost_is_told(self):
        def read_by(cursor):
            return self.read(b"TOPICS", b"1", b"t", cursor)

        of_life = {}
        for life, last in ((b"AAAA", 5), (b"BBBB", 7), (b"CCCC", 9)):
            self.keyspace.life = life
            while self.publish(b"t", b"m") < last:
                pass
            of_life[life] = b"@" + read_by(b"-")[0][1].partition(b"@")[2]
        for number in range(1, 12):
            for life, end in ((b"AAAA", 5), (b"BBBB", 7), (b"CCCC", 9)):
                cursor = b"%d" % number + of_life[life]
                if number > end:
                    self.lost(b"t", cursor, "began anew")
                elif number < 9:
                    self.assertEqual(read_by(cursor)[0][2:4], [0, number + 1])
        self.lost(b"t", b"1@" + of_life[b"AAAA"][1:9] + b"00000000", "began anew")
        for number in range(topics.ANCESTORS_MAX + 1):
            self.keyspace.life = b"%04d" % number
            self.publish(b"t", b"m")
        self.lost(b"t", b"1" + of_life[b"AAAA"], "began anew")
        self.assertEqual(len(read_by(b"73@" + of_life[b"AAAA"][1:9] + b"30303634")[0][4]), 3)

    def lost(self, name, cursor, text):
        with self.assertRaisesRegex(CursorLostError, text):
            self.read(b"TOPICS", b"1", name, cursor)

    def test_words_that_are_none(self):
        self.publish(b"t", b"1")
        before = self.keyspace.version
        good = b"1@" + b"0" * 16
        for words in ("TOPIC.PUBLISH t x y", "TOPIC.PUBLISH t 12 y", "TOPIC.PUBLISH t -1 y",
                      "TOPIC.PUBLISH t 0 y MAXLEN", "TOPIC.PUBLISH t 0 y MAXLEN 0", "TOPIC.PUBLISH t 0 y MAXBYTES 1",
                      "TOPIC.PUBLISH t 0 y MAXAGE -1",
                      "TOPIC.PUBLISH t 0 y MINLEN 3", "TOPIC.READ TOPICS 1 t", "TOPIC.READ TOPICS 2 t 0",
                      "TOPIC.READ TOPICS 0 t 0", "TOPIC.READ WAIT -2 TOPICS 1 t 0", "TOPIC.READ WAIT x TOPICS 1 t 0",
                      "TOPIC.READ COUNT -1 TOPICS 1 t 0", "TOPIC.READ WAIT 1 COUNT 1 t 0", "TOPIC.READ TOPICS 1 t -1",
                      "TOPIC.READ TOPICS 1 t 01", "TOPIC.READ TOPICS 1 t 1@", "TOPIC.READ TOPICS 1 t 1@xyz",
                      "TOPIC.READ TOPICS 1 t %d" % 2 ** 63, "TOPIC.READ TOPICS 1 t " + "9" * 500,
                      "TOPIC.READ TOPICS 1 t " + good.decode() + "00", "TOPIC.READ TOPICS 1 t " + "1@" + "G" * 16):
            self.assertEqual(self.context.call(*words.split())[:4], b"-ERR", words)
        self.assertEqual(self.keyspace.version, before)
        self.assertEqual(self.context.call("LISTEN.READ", "-")[:11], b"-CURSORLOST")

    def test_topics_are_in_no_database_and_stay_when_all_is_cleared(self):
        self.publish(b"t", b"1")
        self.context.call("SET", "k", "v")
        self.assertEqual(self.context.call("KEYS", "*"), b"*1\r\n$1\r\nk\r\n")
        self.context.call("FLUSHALL")
        self.assertEqual(self.context.call("DBSIZE"), b":0\r\n")
        self.assertEqual(self.publish(b"t", b"2"), 2)
        self.context.call("SELECT", "3")
        self.assertEqual(self.context.run([b"TOPIC.LIST"]), [])
        self.assertEqual(self.context.run([b"TOPIC.PUBLISH", b"t", b"0", b"x"]), 1)
        found = self.context.run([b"TOPIC.READ", b"TOPICS", b"1", b"t", b"0"])
        self.assertEqual((found[0][0], self.context.run([b"TOPIC.LIST"])), (b"t", [b"t"]))

    def test_commands_of_redis_do_not_stumble_over_one(self):
        self.publish(b"t", b"1")
        key = topic_commands.key_of(b"t")
        for name in (b"DUMP", b"DEBUG OBJECT", b"GET", b"LRANGE", b"XLEN", b"SORT"):
            words = name.split() + [key] + [b"0", b"-1"] * (name == b"LRANGE")
            self.assertEqual(self.context.call(*words)[:10], b"-WRONGTYPE", name)
        self.assertEqual(self.context.call(b"OBJECT", b"ENCODING", key), b"$5\r\ntopic\r\n")
        self.assertEqual(self.publish(b"t", b"2"), 2)

    def test_a_batch_that_fails_takes_messages_back(self):
        self.publish(b"t", b"1", b"MAXLEN", b"2")
        self.keyspace.begin()
        for number in range(2, 5):
            self.assertEqual(self.publish(b"t", b"%d" % number), number)
        self.publish(b"new", b"1")
        self.keyspace.rollback()
        self.assertEqual(self.read(b"TOPICS", b"2", b"t", b"0", b"new", b"0")[0][4][2::3], [b"1"])
        self.assertEqual(self.publish(b"t", b"2"), 2)
        self.keyspace.check()


class ClientTest(unittest.TestCase):
    """What a coordinator that is none may answer is told from news."""

    def test_answers_that_are_none(self):
        good = [b"2@" + b"0" * 16, 0, 2, [0, 5, b"x"]]
        self.assertEqual(checked_news(good, int), (0, [(2, "2@" + "0" * 16, 0, 5, b"x")]))
        for index, wrong in ((0, b"2"), (0, 2), (0, b"2@" + b"x" * 16), (0, None), (1, b"0"), (1, None), (2, "1"),
                             (3, b""), (3, []), (3, [0, 5]), (3, [b"set", 5, b"x"]), (3, [0, b"5", b"x"]),
                             (3, [0, 5, None]), (3, [0, 5, b"x", 0, 5, 5])):
            bad = list(good)
            bad[index] = wrong
            with self.assertRaises(errors.ProtocolError, msg=(index, wrong)):
                checked_news(bad, int)
        for bad in (None, [], good[:3], good + [1], b"x", 7):
            with self.assertRaises(errors.ProtocolError, msg=bad):
                checked_news(bad, int)


class WaitingTest(unittest.TestCase):
    def setUp(self):
        self.clients = Clients(4)

    def test_who_waits_is_answered_when_something_comes(self):
        call = self.clients.call
        for number in (1, 2):
            self.assertEqual(call(number, "TOPIC.READ", "WAIT", "-1", "TOPICS", "2", "a", "$", "b", "$"), (None, []))
        self.assertEqual(call(3, "TOPIC.READ", "WAIT", "50", "TOPICS", "1", "c", "0"), (None, []))
        _, answers = call(0, "TOPIC.PUBLISH", "b", "0", "hello")
        self.assertEqual([number for number, _ in answers], [1, 2])
        self.assertIn(b"hello", answers[0][1])
        context = self.clients.contexts[0]
        context.keyspace.now_ms += 60
        context.waiting.expire()
        self.assertEqual(self.clients.answers(), [(3, b"$-1\r\n")])
        self.assertEqual(context.keyspace.waited, {})

    def test_who_waits_for_a_topic_that_goes_is_told(self):
        call = self.clients.call
        call(0, "TOPIC.PUBLISH", "t", "0", "1")
        self.assertEqual(call(1, "TOPIC.READ", "WAIT", "-1", "TOPICS", "1", "t", "$"), (None, []))
        self.assertEqual(call(2, "TOPIC.READ", "WAIT", "-1", "TOPICS", "1", "other", "0"), (None, []))
        self.assertEqual(call(0, "FLUSHALL"), (b"+OK\r\n", []))
        _, answers = call(0, "TOPIC.DROP", "t")
        self.assertEqual([(number, reply[:11]) for number, reply in answers], [(1, b"-CURSORLOST")])

    def test_in_a_transaction_nobody_waits_and_what_is_published_comes_together(self):
        call = self.clients.call
        call(1, "TOPIC.READ", "WAIT", "-1", "TOPICS", "1", "t", "$")
        call(0, "MULTI")
        for words in ("TOPIC.READ WAIT -1 TOPICS 1 none $", "TOPIC.PUBLISH t 0 a", "SET k v", "TOPIC.PUBLISH t 0 b"):
            self.assertEqual(call(0, *words.split()), (b"+QUEUED\r\n", []))
        reply, answers = call(0, "EXEC")
        self.assertEqual(reply, b"*4\r\n$-1\r\n:1\r\n+OK\r\n:2\r\n")
        self.assertEqual([number for number, _ in answers], [1])
        self.assertIn(b":1\r\n", answers[0][1])
        self.assertIn(b"$1\r\nb\r\n", answers[0][1])


class LoggedTopicsTest(LoggedStructures, unittest.TestCase):
    MODULES = ("topics",)
    WRITING = 2
    PRESET = (b"TOPIC.PUBLISH t 0 one MAXLEN 2", b"TOPIC.PUBLISH t 0 two")
    EXAMPLES = ((b"TOPIC.PUBLISH t 0 three", 1), (b"TOPIC.PUBLISH new 0 one", 1),
                (b"TOPIC.PUBLISH t 0 x MAXLEN 5 MAXBYTES 100 MAXAGE 9", 2), (b"TOPIC.DROP t", 1))
    NOTHING = (b"TOPIC.DROP none", b"TOPIC.READ TOPICS 1 t 0", b"TOPIC.INFO t", b"TOPIC.LIST",
               b"TOPIC.PUBLISH t 0 x MAXLEN 0", b"TOPIC.READ WAIT 5 TOPICS 1 t $")

    def seen(self, space):
        context = EngineContext(keyspace=space)
        found = {}
        for name in context.run([b"TOPIC.LIST"]):
            found[name] = (list(context.run([b"TOPIC.INFO", name])),
                           context.run([b"TOPIC.READ", b"TOPICS", b"1", name, b"-"]))
        return found

    def test_a_history_is_the_same_after_a_replay(self):
        rng = random.Random(7)
        self.make()
        refused = self.run_randomly(rng, 400, lambda rng: rng.choice((
            b"TOPIC.PUBLISH t%d 0 m%d" % (rng.randrange(3), rng.randrange(99)),
            b"TOPIC.PUBLISH t%d 0 m MAXLEN %d" % (rng.randrange(3), rng.randrange(1, 9)),
            b"TOPIC.PUBLISH t%d 0 m MAXBYTES %d" % (rng.randrange(3), rng.randrange(20, 90)),
            b"TOPIC.DROP t%d" % rng.randrange(9), b"FLUSHALL")))
        self.assertGreater(refused, 5)
        self.assert_replayed()


if __name__ == "__main__":
    unittest.main()
