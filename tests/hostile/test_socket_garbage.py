"""Whatever a client sends over the socket: it is disconnected at worst, and nobody else notices."""

import contextlib
import socket
import threading

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.formats.resp import encode_command
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

    @staticmethod
    def wait_for_end(sock):
        """Read until the coordinator has closed the connection; socket.timeout where it does not."""
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                continue

    def test_bytes_that_are_no_resp_end_the_connection(self):
        for data in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n*3\r\n$3\r\nSET\r\n$1\r\nh\r\n$1\r\n1\r\n", b"PING\r\n",
                     b"*2147483648\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$99999999999999999999\r\n", b"*-\r\n",
                     b"*1\n$4\nPING\n", bytes(range(8, 200))):
            sock = self.raw()
            sock.sendall(data)
            self.wait_for_end(sock)
        self.assertNotIn("h", self.grid)
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
