"""A client may write anything into its lane: it gets results, errors or the end of its session, nobody else notices."""

import contextlib
import random
import time
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.coordinator import lane_service
from nosqgrid.errors import LaneError
from nosqgrid.formats import lane as layout
from nosqgrid.formats.records import BODY, DEADLINE, EXPIRES
from nosqgrid.formats.resp import NEED_MORE, ReplyReader, encode_command
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, LANE_REPLY_BYTES, LANE_REQUEST_BYTES, VALUE_SIZE_BYTES_MAX
from nosqgrid.memory.lane import TAKE_BYTES_MAX, ClientLane, CoordinatorLane
from tests.support.engine_context import EngineContext
from tests.support.keyspaces import make_keyspace
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

COMMANDS = ((b"GET", b"a"), (b"SET", b"a", b"1"), (b"INCR", b"n"), (b"KEYS", b"*"), (b"MGET", b"a", b"b"),
            (b"NONSENSE",),
            (b"GET",), (b"FLUSHALL",), (b"SCAN", b"0"), (b"APPEND", b"a", b"x" * 100))


class Session(object):
    """What lane_service.serve sees of a session, over a real lane."""

    def __init__(self, keyspace):
        self.lane = CoordinatorLane()
        self.commands = 0
        self.protocol = 3
        self.on_lane = EngineContext(keyspace=keyspace)
        self.on_lane.may_wait = False

    def post(self, data):
        """What a client does."""
        words, start = self.lane.words, self.lane.words[layout.TAIL]
        for at, byte in enumerate(data):
            self.lane.map[layout.REQUEST_OFFSET_BYTES + (start + at) % LANE_REQUEST_BYTES] = byte
        words[layout.TAIL] = start + len(data)


def set_frame(key, value, value_type=1, deadline_ms=0):
    if deadline_ms:
        return BODY.pack(len(value), len(key), value_type, EXPIRES) + DEADLINE.pack(deadline_ms) + key + value
    return BODY.pack(len(value), len(key), value_type, layout.SET) + key + value


def delete_frame(key):
    return BODY.pack(0, len(key), 0, layout.DELETE) + key


def command_frame(*words):
    encoded = encode_command(*words)
    return BODY.pack(len(encoded), 0, 0, layout.COMMAND) + encoded


def batch_frame(frames):
    return BODY.pack(len(frames), 0, 0, layout.BATCH) + frames


def random_frame(rng, depth=0):
    """A frame that is right."""
    key = b"k%d" % rng.randrange(20)
    kind = rng.randrange(6 if depth == 0 else 4)
    if kind == 0:
        return set_frame(key, bytes(rng.randrange(60)), rng.randrange(len(NAMES)))
    if kind == 1:
        return set_frame(key, b"soon", 0, rng.choice((1, 5000, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1)))
    if kind == 2:
        return delete_frame(key)
    if kind == 3:
        return command_frame(*rng.choice(COMMANDS))
    if kind == 4:
        return rng.choice((layout.pack_lock(key, rng.randrange(1 << 63), key, rng.random() < 0.5),
                           layout.pack_unlock(key, rng.choice((1, 5, 1 << 63)))))
    return batch_frame(b"".join(random_frame(rng, 1) for _ in range(rng.randrange(4))))


def mutated(rng, data):
    """The data with some bytes changed, cut, doubled or inserted."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        choice = rng.randrange(5)
        if choice == 0 and at < len(data):
            data[at] = rng.choice((0, 1, 2, 4, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif choice == 1:
            del data[at:at + rng.randrange(1, 9)]
        elif choice == 2:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        elif choice == 3:
            data[at:at] = data[at:at + 16]
        elif len(data) >= 8:
            at = min(at, len(data) - 8)
            data[at:at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\1\0"))
    return bytes(data)


class LaneTestCase(unittest.TestCase):
    def setUp(self):
        self.keyspace, _ = make_keyspace()
        self.keyspace.now_ms = 1000
        self.session = None
        self.sent = []
        self.renew()

    def tearDown(self):
        self.session.lane.close()

    def renew(self):
        if self.session is not None:
            self.session.lane.close()
        self.session = Session(self.keyspace)

    def serve(self):
        """One visit; "lane error", or "served" with everything that was posted up to TAKE_BYTES_MAX."""
        lane = self.session.lane
        tail = lane.words[layout.TAIL]
        try:
            lane_service.serve(self.session, self.keyspace, lambda session, data: self.sent.append(data))
        except LaneError:
            self.assertFalse(self.keyspace.staging)
            return "lane error"
        self.assertTrue(lane.head == tail or tail - lane.head > 0 and lane.head > 0)
        self.assertEqual(lane.words[layout.HEAD], lane.head)
        return "served"

    def replies(self):
        """The reply objects in the reply ring, taken out as a client does."""
        found = []
        for _, data in ClientLane.take_replies(self.session.lane):
            if data is not None:
                reader = ReplyReader()
                reader.feed(data)
                reply = reader.next()
                self.assertIsNot(reply, NEED_MORE)
                found.append(reply)
        return found


class FrameTest(LaneTestCase):
    def outcomes(self, seed, rounds, make):
        rng = random.Random(seed)
        counts = {"served": 0, "lane error": 0}
        for number in range(rounds):
            self.session.post(make(rng))
            with self.subTest(seed=seed, number=number):
                outcome = self.serve()
                counts[outcome] += 1
                if outcome == "served":
                    self.replies()
                else:
                    self.renew()
            if number % 8 == 0:
                self.keyspace.check()
        self.keyspace.check()
        return counts

    def test_frames_that_are_right_are_all_served(self):
        counts = self.outcomes(1, 300, random_frame)
        self.assertEqual(counts["lane error"], 0)

    def test_random_bytes_are_served_or_end_the_session(self):
        counts = self.outcomes(2, 500, lambda rng: bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200))))
        self.assertGreater(counts["lane error"], 400)

    @slow
    def test_mutated_frames_are_served_or_end_the_session(self):
        counts = self.outcomes(3, 900, lambda rng: mutated(rng, b"".join(random_frame(rng) for _ in range(3))))
        self.assertGreater(counts["lane error"], 100)
        self.assertGreater(counts["served"], 30)

    def test_mutated_batches_are_applied_whole_or_not_at_all(self):
        rng = random.Random(4)
        outcomes = set()
        for number in range(300):
            keys = [b"batch%d:%d" % (number, index) for index in range(4)]
            frames = b"".join(set_frame(key, b"v") for key in keys)
            data = bytearray(frames)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            before = self.keyspace.key_count
            self.session.post(batch_frame(bytes(data)))
            outcome = self.serve()
            added = self.keyspace.key_count - before
            if outcome == "served" and not any(isinstance(reply, Exception) for reply in self.replies()):
                outcomes.add("applied")
                self.assertIn(added, (3, 4))  # two keys may have become one
            else:
                outcomes.add(outcome)
                self.assertEqual(added, 0)
            if outcome == "lane error":
                self.renew()
        self.keyspace.check()
        self.assertTrue({"applied", "lane error"} <= outcomes, outcomes)

    def test_a_failed_frame_leaves_its_error_and_the_next_is_served(self):
        self.session.post(set_frame(b"a", b"x", 0, 2 ** 63) + set_frame(b"b", b"y"))
        self.assertEqual(self.serve(), "served")
        errors = self.replies()
        self.assertEqual(len(errors), 1)
        self.assertIsInstance(errors[0], nosqgrid.NosqgridError)
        self.assertIsNone(self.keyspace.lookup(b"a"))
        self.assertEqual(self.keyspace.lookup(b"b").value, b"y")


class LengthTest(LaneTestCase):
    def test_keys_at_the_limit(self):
        for length, expected in ((KEY_SIZE_BYTES_MAX - 1, "served"), (KEY_SIZE_BYTES_MAX, "served"),
                                 (KEY_SIZE_BYTES_MAX + 1, "lane error")):
            for frame in (set_frame(bytes(length), b"v"), set_frame(bytes(length), b"v", 1, 5000),
                          delete_frame(bytes(length))):
                with self.subTest(length=length, frame=frame[:8]):
                    self.session.post(frame)
                    self.assertEqual(self.serve(), expected)
                    self.renew()
        self.keyspace.check()

    def test_frames_at_the_size_of_a_visit(self):
        for more, expected in ((-1, "served"), (0, "served"), (1, "lane error")):
            with self.subTest(more=more):
                self.session.post(set_frame(b"k", bytes(TAKE_BYTES_MAX - 9 + more)))
                self.assertEqual(self.serve(), expected)
                self.renew()
        self.keyspace.check()

    def test_a_value_length_beyond_everything_ends_the_session(self):
        for length in (LANE_REQUEST_BYTES, VALUE_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX + 1, 2 ** 31, 2 ** 32 - 1):
            with self.subTest(length=length):
                self.session.post(BODY.pack(length, 1, 1, 0) + b"k" + bytes(100))
                self.assertEqual(self.serve(), "lane error")
                self.renew()
        self.assertEqual(self.keyspace.key_count, 0)

    def test_a_frame_that_is_cut_anywhere_ends_the_session_and_is_not_applied(self):
        whole = set_frame(b"key", b"value", 1, 5000)
        for length in range(1, len(whole)):
            self.session.post(whole[:length])
            self.assertEqual(self.serve(), "lane error")
            self.renew()
        self.assertEqual(self.keyspace.key_count, 0)

    def test_every_operation_type_and_flag_is_decided(self):
        outcomes = {"served": 0, "lane error": 0}
        for flags in range(256):
            for value_type in (0, len(NAMES) - 1, len(NAMES), 255):
                self.session.post(BODY.pack(16, 0, value_type, flags) + bytes(16))
                outcomes[self.serve()] += 1
                self.renew()
        self.keyspace.check()
        # Of the two known types: a SET of an empty key, a COMMAND that is none and gets an error, a BATCH of two SETs;
        # of the first a LOCK.
        self.assertEqual(outcomes["served"], 7)


class WordTest(LaneTestCase):
    def test_wild_tails_end_the_session(self):
        self.session.post(set_frame(b"k", b"v"))
        self.serve()
        head = self.session.lane.head
        for tail in (0, head - 1, head + LANE_REQUEST_BYTES + 1, 2 ** 63, 2 ** 64 - 1):
            self.session.lane.words[layout.TAIL] = tail
            with self.subTest(tail=tail):
                self.assertEqual(self.serve(), "lane error")
        self.keyspace.check()

    def test_a_tail_a_whole_ring_ahead_is_served_for_what_it_is(self):
        self.session.lane.words[layout.TAIL] = LANE_REQUEST_BYTES  # zeros are SETs of an empty key to nothing
        self.assertEqual(self.serve(), "served")
        self.assertEqual(self.keyspace.lookup(b"").value, b"")
        self.keyspace.check()

    def test_wild_reply_heads_end_the_session(self):
        for head in (1, LANE_REPLY_BYTES, 2 ** 63, 2 ** 64 - 1):
            self.session.lane.words[layout.REPLY_HEAD] = head
            self.session.post(command_frame(b"GET", b"k"))
            with self.subTest(head=head):
                self.assertEqual(self.serve(), "lane error")
                self.renew()

    def test_wild_reply_heads_do_no_harm_to_errors(self):
        for head in (1, LANE_REPLY_BYTES, 2 ** 63, 2 ** 64 - 1):
            self.session.lane.words[layout.REPLY_HEAD] = head
            self.session.post(command_frame(b"NONSENSE") + set_frame(b"k", b"v"))
            with self.subTest(head=head):
                self.serve()
                self.renew()
        self.keyspace.check()

    def test_replies_that_are_never_taken_end_the_session_and_use_no_more_than_the_ring(self):
        self.keyspace.store(b"k", 0, bytes(1000))
        for number in range(10000):
            self.session.post(command_frame(b"GET", b"k"))
            if self.serve() == "lane error":
                break
        else:
            self.fail("ten thousand replies of 1000 bytes fitted into a ring of %d" % LANE_REPLY_BYTES)
        self.assertLess(sum(map(len, self.sent)), 2 * LANE_REPLY_BYTES)

    def test_errors_that_are_never_taken_are_dropped(self):
        for _ in range(3000):
            self.session.post(command_frame(b"NONSENSE"))
            self.assertEqual(self.serve(), "served")
        self.assertLessEqual(self.session.lane.words[layout.REPLY_TAIL], LANE_REPLY_BYTES)

    def test_the_coordinators_words_are_its_own(self):
        # A client can overwrite HEAD and REPLY_TAIL; the coordinator keeps what it knows itself.
        self.session.post(set_frame(b"k", b"v"))
        self.serve()
        head = self.session.lane.head
        for word in (layout.HEAD, layout.REPLY_TAIL, layout.RESULT, layout.FAILED_AT):
            self.session.lane.words[word] = 2 ** 64 - 1
        self.session.post(command_frame(b"GET", b"k"))
        self.assertEqual(self.serve(), "served")
        self.assertGreater(self.session.lane.words[layout.HEAD], head)
        self.assertLess(self.session.lane.words[layout.REPLY_TAIL], 100)


class ScribblerTest(ProcessTestCase):
    """With a coordinator process, and another client who must not notice."""

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="4m")
        self.grid = nosqgrid.attach(self.launched.address, timeout=10)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def scribbled(self, scribble):
        """Attach, let `scribble(attachment)` loose, ring; whether the session is ended."""
        bad = nosqgrid.attach(self.launched.address, timeout=10)
        try:
            attachment = bad._store.attachment
            scribble(attachment)
            with contextlib.suppress(nosqgrid.CoordinatorLostError):  # it may be let go before it rings
                attachment.ring()
            wait_until(lambda: attachment.link.ended(), 10, "the scribbler's session to end")
        finally:
            bad.close()

    def test_who_scribbles_over_his_whole_lane_is_disconnected_and_nobody_else_notices(self):
        self.grid["mine"] = "untouched"
        rng = random.Random(5)
        for number in range(12):
            noise = bytes(bytearray(rng.getrandbits(8) | 0x80 for _ in range(4096))) * (layout.LANE_SIZE_BYTES // 4096)

            def scribble(attachment):
                attachment.lane.map[:] = noise

            self.scribbled(scribble)
            self.grid["number"] = number
            self.assertEqual((self.grid["mine"], self.grid["number"]), ("untouched", number))
        wait_until(lambda: self.grid.stats()["clients"] == 1, 10, "one client")

    def test_frames_of_noise_end_the_session(self):
        def scribble(attachment):
            attachment.lane.post(attachment.lane.words[layout.TAIL], b"\xff" * 1000)

        self.scribbled(scribble)
        self.assertEqual(self.grid.set("a", 1, if_absent=True) is not None, True)

    def test_a_head_that_a_client_overwrote_confuses_only_this_client(self):
        with nosqgrid.attach(self.launched.address, timeout=1) as bad:
            bad._store.attachment.lane.words[layout.HEAD] = 2 ** 40
            started = time.monotonic()
            try:
                outcome = bad.set("x", 1)
            except nosqgrid.NosqgridError as error:
                outcome = error
            self.assertIsNotNone(outcome)
            self.assertLess(time.monotonic() - started, 5)
        self.grid["y"] = 2
        self.assertEqual(self.grid["y"], 2)


if __name__ == "__main__":
    unittest.main()
