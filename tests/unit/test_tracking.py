"""Who is told of which changes, without a coordinator: the keyspace tells, batches and all."""

import random
import unittest

from nosqgrid import errors
from nosqgrid.engine.databases import prefix_of
from nosqgrid.engine.frames import apply_frame, frame_end
from nosqgrid.formats.records import pack_body
from tests.support.engine_context import EngineContext, EngineTest
from tests.support.tiers import slow


class TrackingCase(EngineTest):
    def setUp(self):
        super().setUp()
        self.other = EngineContext(other=self.context)
        self.context.session.protocol = self.other.session.protocol = 3

    def track(self, *options):
        self.assertEqual(self.context.call("CLIENT", "TRACKING", "ON", *options), b"+OK\r\n")

    def told(self):
        """The names in what was pushed since the last look; one who tracks was told, and nobody else."""
        self.context.tracking.replied(self.context.session)
        self.context.tracking.flush()
        found = [(session, parts) for session, parts in self.context.pushed]
        del self.context.pushed[:]
        for session, parts in found:
            self.assertIs(session, self.context.session)
            self.assertEqual(parts[0], b"invalidate")
        return [parts[1] for _, parts in found]


class ToldTest(TrackingCase):
    def test_each_way_to_change_something_is_told(self):
        self.track("BCAST")
        self.other.call("SET", "there", "1")
        self.told()
        for change in ("SET k 1", "MSET k 1", "INCR k", "PEXPIRE k 100", "PERSIST k", "DEL k", "RPUSH k a", "LPOP k",
                       "SADD k a", "SREM k a", "HSET k f v", "HDEL k f", "ZADD k 1 a", "ZREM k a", "XADD k 1-1 a b",
                       "RENAME k l", "RENAME l k", "COPY there k REPLACE", "GETDEL k", "SETBIT k 1 1", "UNLINK k"):
            self.assertEqual(self.told(), [], change)
            self.assertNotEqual(self.other.call(*change.split())[:1], b"-", change)
            self.assertIn(b"k", sum(self.told(), []), change)

    def test_what_changes_nothing_is_not_told(self):
        self.other.call("SET", "k", "1")
        self.track("BCAST")
        for words in ("GET k", "DEL none", "SET k 1 NX", "LPUSH k a", "PERSIST k", "EXPIRE none 1", "SET k"):
            self.other.call(*words.split())
            self.assertEqual(self.told(), [], words)

    def test_frames_of_lanes_are_told(self):
        self.track("BCAST")
        frames = b"".join(pack_body(b"k%d" % number, b"v", 0) for number in range(5))
        self.assertEqual(self.keyspace.apply_sets(frames, 0, len(frames)), 0)  # not the hot way
        position = 0
        while position < len(frames):
            stop = frame_end(frames, position, len(frames))
            apply_frame(self.other, frames, position, stop)
            position = stop
        self.assertEqual(self.told(), [[b"k%d" % number for number in range(5)]])

    def test_expiry_and_clearing_are_told(self):
        self.track()
        self.other.call("SET", "k", "1", "PX", "10")
        self.context.call("GET", "k")
        self.keyspace.now_ms += 1000
        self.assertEqual(self.told(), [])
        while self.keyspace.work():
            pass
        self.assertEqual(self.told(), [[b"k"]])
        self.context.call("GET", "k")
        self.keyspace.clear()
        self.assertEqual(self.told(), [None])
        self.assertEqual((len(self.context.tracking), self.context.tracking.items), (0, 0))

    def test_who_reads_what_has_expired_is_told_at_once(self):
        self.track()
        self.other.call("SET", "k", "1", "PX", "10")
        self.context.call("GET", "k")
        self.keyspace.now_ms += 10
        self.assertEqual(self.context.call("MGET", "k", "l"), b"*2\r\n_\r\n_\r\n")
        self.assertEqual(self.told(), [[b"k"]])
        self.keyspace.now_ms += 1000
        while self.keyspace.work():
            pass
        self.assertEqual(self.told(), [])  # once
        self.other.call("SET", "k", "1")
        self.assertEqual(self.told(), [[b"k"]])

    def test_names_count_whatever_the_database(self):
        self.track()
        self.context.call("SELECT", "3")
        self.context.call("GET", "k")
        self.keyspace.store(b"k", 0, b"1")
        self.assertEqual(self.told(), [[b"k"]])
        self.context.call("GET", "k")
        self.keyspace.store(prefix_of(5) + b"k", 0, b"1")
        self.assertEqual(self.told(), [[b"k"]])

    def test_the_hot_path_stands_aside_for_as_long_as_somebody_tracks(self):
        frame = pack_body(b"k", b"v", 0)
        self.keyspace.store_frame(b"k", frame)
        self.assertEqual(self.keyspace.apply_sets(frame, 0, len(frame)), len(frame))
        self.track()
        self.other.session.protocol = 3
        self.other.call("CLIENT", "TRACKING", "ON")
        self.context.call("CLIENT", "TRACKING", "OFF")
        self.assertEqual(self.keyspace.apply_sets(frame, 0, len(frame)), 0)
        self.other.call("RESET")
        self.assertEqual(self.keyspace.apply_sets(frame, 0, len(frame)), len(frame))
        self.assertIsNone(self.keyspace.touched)


class BatchTest(TrackingCase):
    def test_a_batch_is_told_of_when_it_is_published(self):
        self.track("BCAST")
        self.keyspace.begin()
        self.keyspace.store(b"k", 0, b"1")
        self.other.call("RPUSH", "l", "1")
        self.other.call("RPUSH", "l", "2")
        self.assertEqual(self.told(), [])
        self.keyspace.commit()
        self.assertEqual(self.told(), [[b"k", b"l"]])

    def test_what_is_taken_back_is_not_told_and_not_remembered(self):
        self.other.call("RPUSH", "l", "1")
        self.track()
        self.context.call("LLEN", "l")
        self.keyspace.begin()
        self.other.call("RPUSH", "l", "2")
        self.context.call("GET", "k")
        self.keyspace.rollback()
        self.assertEqual(self.told(), [])
        self.assertEqual(len(self.context.tracking), 1)
        self.other.call("SET", "k", "1")
        self.assertEqual(self.told(), [])

    def test_reading_and_writing_count_in_their_order(self):
        self.track()
        for queued, told in (("SET k 1|GET k", False), ("GET k|SET k 1", True), ("SET k 1|GET k|SET k 2", True),
                             ("RPUSH l 1|LLEN l", False), ("LLEN l|RPUSH l 1", True), ("DEL k|GET k", False)):
            for words in ["MULTI"] + queued.split("|") + ["EXEC"]:
                self.context.call(*words.split())
            self.assertEqual(bool(self.told()), told, queued)
            self.other.call("DEL", "k", "l")
            self.told()

    def test_who_ends_tracking_in_a_transaction_is_told_nothing(self):
        self.track()
        for words in ("MULTI", "GET k", "SET k 1", "CLIENT TRACKING OFF", "EXEC"):
            self.context.call(*words.split())
        self.assertEqual(self.told(), [])
        self.assertIsNone(self.keyspace.touched)


class TableTest(TrackingCase):
    @slow
    def test_a_cache_that_follows_what_it_is_told_is_never_stale(self):
        rng, cache = random.Random(7), {}
        self.track()
        names = ["k%d" % number for number in range(12)]
        for step in range(4000):
            name = rng.choice(names)
            if rng.random() < 0.5:
                if name not in cache:
                    cache[name] = self.context.call("LRANGE", name, "0", "-1")
            else:
                words = rng.choice(("RPUSH %s 1", "LPOP %s", "DEL %s", "SET %s x", "LTRIM %s 1 2", "PEXPIRE %s 5",
                                    "RENAME %s k3", "COPY %s k4 REPLACE")) % name
                if rng.random() < 0.2:
                    for part in ("MULTI", words, "RPUSH k5 1", rng.choice(("EXEC", "DISCARD"))):
                        self.other.call(*part.split())
                else:
                    self.other.call(*words.split())
            if step % 50 == 0:
                self.keyspace.now_ms += 200
                while self.keyspace.work():
                    pass
            for told in self.told():
                cache.pop(told[0].decode())
            for name, reply in cache.items():
                self.assertEqual(EngineContext(other=self.context).call("LRANGE", name, "0", "-1"), reply, (step, name))
            del self.context.sessions[2:]
        self.assertEqual(len(self.context.tracking), len(cache))

    def test_items_are_the_readers_of_all_keys(self):
        tracking, clients = self.context.tracking, [EngineContext(other=self.context) for _ in range(4)]
        for client in clients:
            client.call("CLIENT", "TRACKING", "ON")
        rng, model = random.Random(5), {}
        for _ in range(2000):
            client, name = rng.choice(clients), "k%d" % rng.randrange(9)
            if rng.random() < 0.7:
                client.call("GET", name)
                model.setdefault(name, set()).add(client.session.id)
            else:
                client.call("SET", name, "1")
                model.pop(name, None)
            self.assertEqual(len(tracking), len(model))
            self.assertEqual(tracking.items, sum(map(len, model.values())))


    def test_who_reads_too_much_is_told_even_if_not_of_his_own_changes(self):
        self.track("NOLOOP")
        self.other.call("CONFIG", "SET", "tracking-table-max-keys", "3")
        self.context.call("MGET", "a", "b", "c", "d")
        self.assertEqual(self.told(), [[b"a"]])
        self.context.call("CONFIG", "SET", "tracking-table-max-keys", "1")
        self.assertEqual(self.told(), [[b"b"], [b"c"]])
        self.context.call("SET", "d", "1")
        self.assertEqual(self.told(), [])


class LaneTest(TrackingCase):
    def test_who_cannot_be_pushed_to_does_not_track(self):
        self.context.may_push = False
        with self.assertRaisesRegex(errors.CommandError, "send this over the socket"):
            self.context.run([b"CLIENT", b"TRACKING", b"ON"])
        self.assertIsNone(self.context.session.tracking)


if __name__ == "__main__":
    unittest.main()
