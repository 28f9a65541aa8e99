"""Who listens to keys hears of every change, whatever made it, in order; who does not costs nothing."""

import random
import unittest

from nosqgrid import errors
from nosqgrid.engine import listening
from nosqgrid.engine.budget import STRUCTURES
from nosqgrid.engine.changes import NAMES
from nosqgrid.engine.databases import name_of, number_of, prefix_of
from nosqgrid.engine.frames import apply_frame, frame_end
from nosqgrid.engine.structures.topics import HEAD
from nosqgrid.errors import CursorLostError, GridFullError
from nosqgrid.formats.records import pack_body
from tests.support.engine_context import Clients, EngineContext, EngineTest
from tests.support.structure_work import Worker, contents
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog

RUNS = 60 if FULL else 8


class Listener(object):
    """Reads events at its own cursor."""

    def __init__(self, context, prefix=b"", *words):
        self.context = context
        self.prefix = prefix
        self.cursor = context.run([b"LISTEN.OPEN", prefix] + list(words))
        self.missed = 0

    def events(self):
        """[(kind, key)] since the last look."""
        found = []
        while True:
            reply = self.context.run([b"LISTEN.READ", b"COUNT", b"7", self.cursor])
            if reply is None:
                return found
            self.cursor, missed, _, flat = reply
            self.missed += missed
            found += list(zip(flat[::3], flat[2::3]))


class ListeningCase(EngineTest):
    def setUp(self):
        super().setUp()
        self.other = EngineContext(other=self.context)

    def listen(self, *words):
        return Listener(self.context, *words)


class HeardTest(ListeningCase):
    def test_each_way_to_change_something_is_one_event(self):
        self.other.call("SET", "there", "1")
        listener = self.listen(b"k")
        for change in ("SET k 1", "MSET k 1 other 2", "INCR k", "PEXPIRE k 100000", "PERSIST k", "DEL k", "RPUSH k a",
                       "RPUSH k b", "LPOP k", "LPOP k", "SADD k a", "SREM k a", "HSET k f v", "HDEL k f", "ZADD k 1 a",
                       "ZREM k a", "XADD k 1-1 a b", "RENAME k l", "RENAME l k", "COPY there k REPLACE", "GETDEL k",
                       "SETBIT k 1 1", "UNLINK k", "NOSQGRID.SET k v 1 0 - 0", "NOSQGRID.POP k"):
            self.assertNotEqual(self.other.call(*change.split())[:1], b"-", change)
            gone = self.other.call("EXISTS", "k") == b":0\r\n"
            self.assertEqual(listener.events(), [(b"delete" if gone else b"set", b"k")], change)
        for words in ("GET k", "DEL k", "SET k 1 XX", "PERSIST k", "SET k", "PING", "SET other 2", "RENAME none k"):
            self.other.call(*words.split())
            self.assertEqual(listener.events(), [], words)
        self.other.call("FLUSHALL")
        self.assertEqual(listener.events(), [(b"clear", b"")])

    def test_frames_of_lanes_are_heard_in_order(self):
        listener = self.listen()
        frames = b"".join(pack_body(b"k%d" % (number % 3), b"%d" % number, 0) for number in range(9))
        position = self.keyspace.apply_sets(frames, 0, len(frames))
        while position < len(frames):
            stop = frame_end(frames, position, len(frames))
            apply_frame(self.other, frames, position, stop)
            position = stop
        self.assertEqual(listener.events(), [(b"set", b"k%d" % (number % 3)) for number in range(9)])

    def test_a_batch_is_heard_when_it_is_published_each_key_once(self):
        listener = self.listen()
        call, run = self.other.call, self.other.run
        call("RPUSH", "list", "a")
        call("SET", "gone", "1")
        listener.events()
        self.keyspace.begin()
        for words in ("SET k 1", "DEL k", "SET k 2", "RPUSH list b", "RPUSH list c", "DEL gone", "RPUSH new 1",
                      "LPOP new", "SET never 1", "DEL never"):
            run([word.encode() for word in words.split()])
        self.assertEqual(listener.events(), [])
        self.keyspace.commit()
        self.assertEqual(sorted(listener.events()), [(b"delete", b"gone"), (b"set", b"k"), (b"set", b"list")])
        self.keyspace.begin()
        for words in ("RPUSH list d", "DEL list"):
            run([word.encode() for word in words.split()])
        self.keyspace.commit()
        self.assertEqual(listener.events(), [(b"delete", b"list")])
        self.keyspace.begin()
        run([b"SET", b"k", b"3"])
        self.keyspace.rollback()
        self.assertEqual(listener.events(), [])

    def test_what_expires_is_heard_when_it_goes(self):
        listener = self.listen()
        for key in ("reclaimed", "replaced", "deleted", "list"):
            self.other.call(*(("RPUSH", key, "a") if key == "list" else ("SET", key, "1")))
            self.other.call("PEXPIRE", key, "10")
        listener.events()
        self.keyspace.now_ms += 1000
        self.assertEqual(listener.events(), [])
        self.other.call("SET", "replaced", "2")
        self.assertEqual(listener.events(), [(b"expire", b"replaced"), (b"set", b"replaced")])
        self.assertEqual(self.other.call("DEL", "deleted"), b":0\r\n")
        self.assertEqual(listener.events(), [(b"expire", b"deleted")])
        while self.keyspace.work():
            pass
        self.assertEqual(sorted(listener.events()), [(b"expire", b"list"), (b"expire", b"reclaimed")])

    def test_only_what_was_asked_for(self):
        sets, rest = self.listen(b"user:", b"EVENTS", b"1", b"set"), self.listen(b"user:", b"EVENTS", b"1", b"delete")
        self.other.call("SELECT", "4")
        elsewhere = Listener(self.other, b"user:")
        self.other.call("SET", "user:1", "elsewhere")
        self.other.call("SELECT", "0")
        for words in ("SET user:1 a", "SET use 1", "DEL user:1", "SET user: b"):
            self.other.call(*words.split())
        self.assertEqual(sets.events(), [(b"set", b"user:1"), (b"set", b"user:")])
        self.assertEqual(rest.events(), [(b"delete", b"user:1")])
        self.assertEqual(elsewhere.events(), [(b"set", b"user:1")])
        self.other.run([b"TOPIC.PUBLISH", b"user:", b"0", b"x"])
        self.assertEqual(self.listen(b"\xff").events() + sets.events(), [])

    @slow
    def test_who_is_too_slow_is_told_how_many_he_missed(self):
        fast, slow = self.listen(b"k"), self.listen(b"k")
        heard = 0
        for number in range(listening.EVENTS_MAX + 500):
            self.other.call("SET", "k%d" % number, "1")
            if number % 100 == 0:
                heard += len(fast.events())
        heard += len(fast.events())
        self.assertEqual((heard, fast.missed), (listening.EVENTS_MAX + 500, 0))
        events = slow.events()
        self.assertEqual((len(events), slow.missed, events[0]), (listening.EVENTS_MAX, 500, (b"set", b"k500")))

    def test_tracking_and_listening_at_once(self):
        self.context.session.protocol = 3
        listener = self.listen()
        self.context.call("CLIENT", "TRACKING", "ON", "BCAST")
        self.other.call("SET", "k", "1")
        self.context.tracking.flush()
        self.assertEqual([parts for _, parts in self.context.pushed], [[b"invalidate", [b"k"]]])
        self.context.call("CLIENT", "TRACKING", "OFF")
        self.other.call("SET", "k", "2")
        self.assertEqual(listener.events(), [(b"set", b"k"), (b"set", b"k")])
        self.context.call("LISTEN.CLOSE", listener.cursor.decode())
        self.assertIsNone(self.keyspace.touched)


class RandomHistoryTest(ListeningCase):
    def run_history(self, seed, log):
        rng = random.Random(seed)
        context = EngineContext()
        keyspace = context.keyspace
        if log:
            keyspace.set_log(ListLog())
        listeners = {0: Listener(context)}
        elsewhere = EngineContext(other=context)
        elsewhere.run([b"SELECT", b"3"])
        listeners[3] = Listener(elsewhere)
        caches, kinds = {0: {}, 3: {}}, set()
        worker = Worker(keyspace, rng, keys=8, clears=0.01)
        for step in range(300):
            if log and rng.random() < 0.05:
                keyspace.log.error = errors.DiskError("planted")
            worker.step()
            if log:
                keyspace.log.error = None
            worker.pass_time()
            for key in worker.keys:
                keyspace.drop_expired(key)
            found = contents(keyspace)
            for number, listener in listeners.items():
                cache = caches[number]
                for kind, name in listener.events():
                    kinds.add(kind)
                    if kind == b"clear":
                        cache.clear()
                    elif kind == b"set":
                        cache[name] = found.get(prefix_of(number) + name)
                    else:
                        self.assertIn(name, cache, (seed, step))  # nothing goes that was not there
                        del cache[name]
                self.assertEqual(cache, {name_of(key): value for key, value in found.items()
                                         if number_of(key) == number}, (seed, step))
        return kinds

    @slow
    def test_a_cache_that_is_kept_by_events_is_the_grid(self):
        kinds = set()
        for seed in range(RUNS):
            kinds |= self.run_history(seed, seed % 2)
        self.assertEqual(kinds, {b"set", b"delete", b"expire", b"clear"})


class RingTest(ListeningCase):
    def test_nothing_is_told_while_nobody_listens(self):
        self.assertIsNone(self.keyspace.touched)
        first, second = self.listen(b"a"), self.listen(b"b")
        again = self.listen(b"a")
        rings = self.context.server.listening
        self.assertEqual(len(rings), 2)
        for listener in (first, second):
            self.assertEqual(self.context.run([b"LISTEN.CLOSE", listener.cursor]), 1)
        self.assertEqual((len(rings), self.keyspace.touched is None), (1, False))
        self.assertEqual(self.context.run([b"LISTEN.CLOSE", again.cursor]), 1)
        self.assertEqual((len(rings), self.keyspace.touched), (0, None))
        self.assertEqual(self.context.run([b"LISTEN.CLOSE", again.cursor]), 0)
        with self.assertRaises(CursorLostError):
            again.events()

    def test_who_is_killed_goes_on_at_his_cursor_for_a_while(self):
        rings = self.context.server.listening
        listener = Listener(self.other, b"k", b"KEEP", b"5000")
        self.context.call("SET", "k1", "1")
        self.assertEqual(len(listener.events()), 1)
        rings.session_ended(self.other.session)
        self.context.call("SET", "k2", "1")
        rings.tick(0)
        self.assertLessEqual(rings.sleep_s(0), 5)
        third = EngineContext(other=self.context)
        cursor = third.run([b"LISTEN.OPEN", b"k", b"FROM", listener.cursor, b"KEEP", b"5000"])
        self.assertEqual(cursor, listener.cursor)
        listener.context = third
        self.assertEqual(listener.events(), [(b"set", b"k2")])
        rings.session_ended(third.session)
        self.keyspace.now_ms += 4000
        listener.context = self.context
        self.context.call("SET", "k3", "1")
        rings.tick(0)
        self.assertEqual(listener.events(), [(b"set", b"k3")])  # which keeps it 5 s more
        self.keyspace.now_ms += 4000
        rings.tick(0)
        self.assertEqual(len(rings), 1)
        self.keyspace.now_ms += 2000
        rings.tick(0)
        self.assertEqual((len(rings), self.keyspace.touched), (0, None))
        with self.assertRaises(CursorLostError):
            self.context.run([b"LISTEN.OPEN", b"k", b"FROM", listener.cursor])

    @slow
    def test_memory_is_charged_and_bounded(self):
        taken = []
        keyspace, rings = self.keyspace, self.context.server.listening

        class Budget(object):
            limit = 3 * listening.STEP_BYTES

            def take(self, kind, size):
                if sum(taken) + size > self.limit:
                    raise GridFullError("planted")
                taken.append(size)

            @staticmethod
            def give_back(kind, size):
                self.assertEqual(kind, STRUCTURES)
                taken.append(-size)

        keyspace.budget, real = Budget(), keyspace.budget
        listener = self.listen(b"k")
        for number in range(5000):
            self.other.call("SET", "k%d" % number, "1")
        self.assertEqual(sum(taken), Budget.limit)
        events = listener.events()
        self.assertEqual(len(events) + listener.missed, 5000)
        self.assertGreater(len(events), 1000)
        self.assertEqual(events[-1], (b"set", b"k4999"))
        with self.assertRaises(GridFullError):
            self.listen(b"other")
        self.context.run([b"LISTEN.CLOSE", listener.cursor])
        self.assertEqual((sum(taken), len(rings)), (0, 0))
        keyspace.budget = real

    def test_there_are_not_too_many(self):
        for number in range(listening.RINGS_MAX):
            self.listen(b"%d" % number)
        with self.assertRaisesRegex(errors.CommandError, "common prefix"):
            self.listen(b"x")
        self.context.server.listening.session_ended(self.context.session)
        self.keyspace.now_ms += listening.KEEP_MS
        self.context.server.listening.tick(0)
        self.listen(b"x")

    def test_words_that_are_none(self):
        listener = self.listen()
        cursor = listener.cursor.decode()
        for words in ("LISTEN.OPEN a EVENTS 0", "LISTEN.OPEN a EVENTS 1 clear", "LISTEN.OPEN a EVENTS 2 set",
                      "LISTEN.OPEN a EVENTS 5 set", "LISTEN.OPEN a KEEP -1", "LISTEN.OPEN a KEEP 99999999999",
                      "LISTEN.OPEN a FROM x", "LISTEN.OPEN a NOSUCH 1", "LISTEN.OPEN a KEEP", "LISTEN.READ WAIT 1 x",
                      "LISTEN.READ " + cursor + " 1", "LISTEN.CLOSE x"):
            self.assertEqual(self.context.call(*words.split())[:5], b"-ERR ", words)
        for words in ("LISTEN.READ 0", "LISTEN.READ 1" + cursor[1:], "LISTEN.READ -", "LISTEN.OPEN a FROM 0",
                      "LISTEN.OPEN a FROM 9" + cursor[1:]):
            self.assertEqual(self.context.call(*words.split())[:12], b"-CURSORLOST ", words)
        self.assertEqual(self.context.call("LISTEN.CLOSE", "0"), b":0\r\n")
        self.assertEqual(HEAD.size, 9)
        self.assertEqual(len(NAMES), 5)


class WaitingTest(unittest.TestCase):
    def test_who_waits_is_answered_and_keeps_the_ring(self):
        clients = Clients(3)
        context = clients.contexts[0]
        cursor = clients.contexts[1].run([b"LISTEN.OPEN", b"k"]).decode()
        self.assertEqual(clients.call(2, "LISTEN.READ", "WAIT", "-1", cursor), (None, []))
        rings = context.server.listening
        rings.session_ended(clients.contexts[1].session)
        for _ in range(5):
            context.keyspace.now_ms += listening.KEEP_MS // 2
            rings.tick(0)
        self.assertEqual(len(rings), 1)
        self.assertEqual(clients.call(0, "SET", "other", "1")[1], [])
        _, answers = clients.call(0, "MSET", "k1", "1", "k2", "2")
        self.assertEqual([number for number, _ in answers], [2])
        self.assertIn(b"$2\r\nk2\r\n", answers[0][1])
        self.assertEqual(clients.call(2, "LISTEN.READ", "WAIT", "-1", "2" + cursor[1:]), (None, []))
        again = clients.contexts[0].run([b"LISTEN.OPEN", b"k"])
        clients.contexts[0].run([b"LISTEN.CLOSE", again])
        context.waiting.serve()
        self.assertEqual([(number, reply[:11]) for number, reply in clients.answers()], [(2, b"-CURSORLOST")])


if __name__ == "__main__":
    unittest.main()
