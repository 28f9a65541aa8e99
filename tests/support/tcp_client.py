"""A Redis client by TCP, with or without TLS, and coordinators that such clients can reach."""

import os
import socket

from nosqgrid.client import launcher
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase


class TcpClient(RealClient):
    """One connection by TCP; `context` is an ssl.SSLContext."""

    def __init__(self, port, context=None, host="127.0.0.1"):
        self._buffer = b""
        self._sock = socket.create_connection((host, port), 30.0)
        if context is not None:
            try:
                self._sock = context.wrap_socket(self._sock, server_hostname="localhost")
            except BaseException:
                self._sock.close()
                raise

    @property
    def sock(self):
        return self._sock

    def rest(self):
        """What comes until the connection ends; a reset counts as its end."""
        self._sock.settimeout(30.0)
        found, self._buffer = [self._buffer], b""
        try:
            while found[-1] or len(found) == 1:
                found.append(self._sock.recv(1 << 16))
        except ConnectionResetError:
            found.append(b"")
        return b"".join(found)


class TcpTestCase(ProcessTestCase):
    """start() a coordinator, then connect() by TCP or connect_local(); all of it ends with the test."""

    def setUp(self):
        super().setUp()
        self.launched, self.clients = None, []

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.stop()
        super().tearDown()

    def stop(self):
        if self.launched is not None:
            self.launched.stop()
            self.launched = None

    def start(self, *options):
        """Start one with --redis-port 0 and these options; `port` is what it chose."""
        self.launched = launcher.start(memory="16m", extra_args=("--redis-port", "0") + options)
        return self.find_port("port")

    def find_port(self, name):
        """The port that a setting names, asked for over the Unix socket."""
        local = self.connect_local()
        self.port = int(local.call("CONFIG", "GET", name).split(b"\r\n")[4])
        local.close()
        return self.port

    def connect(self, context=None, host="127.0.0.1"):
        self.clients.append(TcpClient(self.port, context, host))
        return self.clients[-1]

    def connect_local(self):
        self.clients.append(RealClient(self.launched.address))
        return self.clients[-1]

    def write_file(self, name, text):
        """A file of the owner alone in the test's directory; its path.  It is removed with the test."""
        path = self.path(name, keep=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path
