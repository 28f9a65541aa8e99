"""Whatever a client sends or writes into its lane: it is disconnected at worst, and nobody else notices."""

import os
import random
import socket
import struct
import threading
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.attachment import Attachment
from nosqgrid.coordinator import lane_service
from nosqgrid.errors import LaneError, PeerError
from nosqgrid.engine.commands import dispatch
from nosqgrid.formats import lane as layout
from nosqgrid.formats.records import BODY, pack_body
from nosqgrid.formats.resp import encode_command
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, LANE_REQUEST_BYTES
from nosqgrid.memory.arena import Arena
from nosqgrid.memory.lane import ClientLane, CoordinatorLane
from nosqgrid.memory.reader import Reader
from tests.support.keyspaces import make_keyspace
from tests.support.processes import ProcessTestCase, wait_until


class FakeSession(object):
    """What lane_service needs of a session, without a coordinator."""

    protocol, may_write, uid, commands, last_command = 3, True, 0, 0, b""
    may_wait = False

    def __init__(self, keyspace, lane):
        self.keyspace, self.lane, self.session, self.on_lane = keyspace, lane, self, self

    def run(self, words):
        return dispatch(self, words)


def frame_like(rng):
    """A frame, a mutated frame, or bytes."""
    key = b"k%d" % rng.randrange(20)
    frame = rng.choice((
        lambda: pack_body(key, b"v" * rng.randrange(300), rng.randrange(12), rng.choice((0, 0, 1, 1 << 62))),
        lambda: BODY.pack(0, len(key), 0, layout.DELETE) + key,
        lambda: command_frame(b"SET", key, b"1"),
        lambda: command_frame(rng.choice((b"INCR", b"GET", b"NOPE", b"FLUSHALL", b"NOSQGRID.CLAIM", b"QUIT")), key),
        lambda: BODY.pack(12, 0, 0, layout.BATCH) + pack_body(key, b"x", 0) + b"!" * (3 - len(key)),
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60)))))()
    if rng.random() < 0.3:
        at = rng.randrange(len(frame))
        frame = frame[:at] + bytes([rng.randrange(256)]) + frame[at + 1:]
    return frame


def command_frame(*words):
    encoded = encode_command(*words)
    return BODY.pack(len(encoded), 0, 0, layout.COMMAND) + encoded


class LaneGarbageTest(unittest.TestCase):
    def setUp(self):
        self.keyspace, _ = make_keyspace(1 << 20)

    def new_lane(self):
        lane = CoordinatorLane()
        client = ClientLane(lane.file.fd)
        self.addCleanup(lane.close)
        self.addCleanup(client.map.close)
        self.addCleanup(client.words.release)
        return lane, client

    def test_frames_of_any_bytes_are_applied_refused_or_end_the_lane(self):
        rng, ended, served = random.Random(7), 0, 0
        lane, client = self.new_lane()
        session, tail = FakeSession(self.keyspace, lane), 0
        for _ in range(3000):
            tail = client.post(tail, b"".join(frame_like(rng) for _ in range(rng.randrange(1, 4))))
            try:
                while lane.head != tail:
                    lane_service.serve(session, self.keyspace, lambda *_: None)
                served += 1
                client.take_replies()
            except LaneError:
                ended += 1
                tail, lane.head = 0, 0
                lane.words[layout.HEAD] = client.words[layout.TAIL] = 0
                client.words[layout.REPLY_HEAD] = lane.words[layout.REPLY_TAIL]
            self.assertFalse(self.keyspace.staging)
        self.keyspace.check()
        self.assertGreater(ended, 100)
        self.assertGreater(served, 100)

    def test_positions_that_cannot_be_end_the_lane(self):
        for tail in (LANE_REQUEST_BYTES + 1, 1 << 63, 2 ** 64 - 1):
            lane, client = self.new_lane()
            client.words[layout.TAIL] = tail
            self.assertRaises(LaneError, lane.take)
        lane, client = self.new_lane()
        client.words[layout.REPLY_HEAD] = 1 << 40
        self.assertRaises(LaneError, lane.reply, 10, b"+OK\r\n")

    def test_lengths_around_the_limits(self):
        for size, fails in ((KEY_SIZE_BYTES_MAX, False), (KEY_SIZE_BYTES_MAX + 1, True)):
            lane, client = self.new_lane()
            client.post(0, pack_body(b"k" * size, b"v", 0))
            if fails:
                with self.assertRaises(LaneError):
                    lane_service.serve(FakeSession(self.keyspace, lane), self.keyspace, None)
            else:
                lane_service.serve(FakeSession(self.keyspace, lane), self.keyspace, None)
                self.assertEqual(self.keyspace.lookup(b"k" * size).value, b"v")
        self.keyspace.check()


class ReaderGarbageTest(unittest.TestCase):
    def test_an_arena_of_random_bytes_gives_answers_or_errors(self):
        rng = random.Random(3)
        keyspace, header = make_keyspace(1 << 20)
        keys = [b"k%d" % number for number in range(300)]
        for key in keys:
            keyspace.store(key, 0, key * 20, rng.choice((0, 1 << 40)))
        reader = Reader(keyspace.words, keyspace.arena, header)
        good, errors = 0, 0
        for _ in range(1500):
            area = rng.choice((1, 0))
            base = header.layout.area_offsets_bytes[1] if area else header.layout.heap_offset_bytes
            at = base + rng.randrange(60000 if area else 40000)
            keyspace.arena[at:at + 1] = bytes([rng.randrange(256)])
            try:
                found = reader.read(rng.choice(keys))
                good += found is not None
            except (PeerError, ValueError):
                errors += 1
        self.assertGreater(good, 100)
        self.assertGreater(errors, 0)


class CoordinatorGarbageTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="8m")
        self.grid = nosqgrid.attach(self.launched.address)
        self.sockets = []

    def tearDown(self):
        for sock in self.sockets:
            sock.close()
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def raw(self):
        sock = socket.socket(socket.AF_UNIX)
        self.sockets.append(sock)
        sock.settimeout(10)
        sock.connect(self.launched.address)
        return sock

    def still_serves(self):
        self.assertEqual((self.grid.incr("alive") > 0, self.grid.ping()), (True, True))

    def ended(self, sock):
        """Whether the coordinator closed the connection, after whatever it said."""
        try:
            while sock.recv(65536):
                continue
        except ConnectionResetError:
            return True
        return True

    def test_a_client_that_scribbles_over_its_lane_is_disconnected(self):
        rng = random.Random(5)
        for round_ in range(6):
            attachment = Attachment(self.launched.address, 5.0)
            memory = attachment.lane.map
            for at in range(0, 4096, 8):
                struct.pack_into("<Q", memory, at, rng.getrandbits(64))
            memory[4096:8192] = bytes(rng.randrange(256) for _ in range(4096))
            attachment.ring()
            self.still_serves()
            attachment.release()
        wait_until(lambda: self.grid.stats()["clients"] == 1, 5.0, "the scribblers to be gone")

    def test_bytes_that_are_no_resp_end_the_connection(self):
        for data in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n*3\r\n$3\r\nSET\r\n$1\r\nh\r\n$1\r\n1\r\n", b"PING\r\n",
                     b"*2147483648\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$99999999999999999999\r\n", b"*-5\r\n",
                     b"*1\n$4\nPING\n", bytes(range(8, 200))):
            sock = self.raw()
            sock.sendall(data)
            self.assertTrue(self.ended(sock), data[:20])
        self.assertNotIn("h", self.grid)
        self.still_serves()

    def test_silent_slow_and_vanishing_clients_hold_nobody_up(self):
        silent = [self.raw() for _ in range(60)]
        for number, sock in enumerate(silent):
            sock.sendall(b"*2\r\n$3\r\nGET\r\n$100\r\nhalf"[:5 + number % 20])
        self.still_serves()
        for sock in silent[::2]:
            sock.close()
        self.still_serves()

    def test_ten_thousand_commands_at_once_are_answered_in_order(self):
        sock = self.raw()
        data = b"".join(encode_command(b"ECHO", b"%d" % number) for number in range(10000))
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        expected = b"".join(b"$%d\r\n%d\r\n" % (len(str(number)), number) for number in range(10000))
        received = b""
        while len(received) < len(expected):
            piece = sock.recv(1 << 16)
            self.assertTrue(piece)
            received += piece
        sender.join()
        self.assertEqual(received, expected)

    def test_a_client_that_does_not_read_is_let_go(self):
        self.grid["big"] = b"x" * 1000000
        sock = self.raw()
        sock.settimeout(0.2)
        request = encode_command(b"GET", b"big")
        try:
            for _ in range(400):
                sock.sendall(request)
        except (socket.timeout, ConnectionError) as error:
            self.assertNotEqual(str(error), "")  # the coordinator let it go, or stopped reading, before the last request
        self.still_serves()
        wait_until(lambda: self.grid.stats()["connections"] == 1, 20.0, "the connection to end")


class WrongPeerTest(ProcessTestCase):
    def serve_once(self, answer):
        path = self.path("fake")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(1)

        def run():
            sock, _ = server.accept()
            sock.recv(4096)
            sock.sendall(answer)
            sock.close()
            server.close()

        thread = threading.Thread(target=run)
        thread.start()
        return path, thread

    def test_a_socket_of_something_else_gives_a_clear_error(self):
        for answer in (b"", b"hello\n", b"+OK\r\n", b"%0\r\n", b"-FORMATVERSION other format\r\n", b"\x00" * 100):
            path, thread = self.serve_once(answer)
            with self.assertRaises(nosqgrid.NosqgridError):
                nosqgrid.attach(path, timeout=2)
            thread.join()
            os.unlink(path)

    def test_a_descriptor_that_is_no_arena_is_refused(self):
        reading, writing = os.pipe()
        with open("/dev/null", "rb") as null:
            for fd in (reading, null.fileno()):
                self.assertRaises(PeerError, Arena.attach, fd)
        os.close(reading)
        os.close(writing)
        path = self.path("zeros")
        with open(path, "w+b") as file:
            file.write(bytes(100000))
            file.flush()
            self.assertRaises(PeerError, Arena.attach, file.fileno())
            file.seek(0)
            file.write(b"\xff" * 32 + b"NOSQGRID" + struct.pack("<Q", 99))
            file.flush()
            self.assertRaises(PeerError, Arena.attach, file.fileno())
        os.unlink(path)
