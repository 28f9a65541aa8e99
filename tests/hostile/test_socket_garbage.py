"""Whatever a client sends, or writes into its lane: it is disconnected at worst, and nobody else notices."""

import contextlib
import os
import random
import socket
import struct
import threading

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.attachment import Attachment
from nosqgrid.errors import PeerError
from nosqgrid.formats.resp import encode_command
from nosqgrid.memory.arena import Arena
from tests.support.processes import ProcessTestCase, wait_until


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
            with contextlib.suppress(nosqgrid.CoordinatorLostError):  # it may have been let go before it rings
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
            self.assertNotEqual(str(error), "")  # it was let go, or not listened to any more, before the last request
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
