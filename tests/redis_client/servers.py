"""What the client is tested against: each test class becomes one for each kind of server."""

import contextlib
import unittest

from nosqgrid.client import launcher
from nosqgrid.redis import Redis
from tests.support import differential


class Grid(object):
    """A coordinator, over its Unix socket."""

    name = "OnGrid"
    missing = None

    def __init__(self):
        self._launched = launcher.start()
        self.path = self._launched.address

    def client(self, **options):
        """A new client."""
        return Redis(unix_socket_path=self.path, **options)

    def stop(self):
        """End it."""
        self._launched.stop()


class Attached(Grid):
    """A coordinator, attached to."""

    name = "Attached"

    def client(self, **options):
        """A new client."""
        return Redis(grid=self.path, **options)


class RealRedis(object):
    """A redis-server, over its Unix socket."""

    name = "OnRedis"
    missing = None if differential.SERVER else "redis-server is not installed"

    def __init__(self):
        self._server = differential.RealServer()
        self.path = self._server.path

    def client(self, **options):
        """A new client."""
        return Redis(unix_socket_path=self.path, **options)

    def stop(self):
        """End it."""
        self._server.close()


KINDS = (Grid, Attached, RealRedis)


class ServerTest(unittest.TestCase):
    """A test with `self.server`, and `self.r`, a client of an empty one."""

    kind = None
    options = {}

    @classmethod
    def setUpClass(cls):
        if cls.kind is None:
            raise unittest.SkipTest("the base of the classes for each server")
        if cls.kind.missing:
            raise unittest.SkipTest(cls.kind.missing)
        cls.server = cls.kind()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.r = self.client(**self.options)
        self.r.flushall()

    def client(self, **options):
        """A client that is closed after the test."""
        client = self.server.client(**options)
        self.addCleanup(client.close)
        return client


def on_each_server(namespace, *classes, kinds=KINDS):
    """Put a class for each kind of server into a module, in place of those given."""
    for base in classes:
        for kind in kinds:
            name = base.__name__ + kind.name
            namespace[name] = type(name, (base,), {"kind": kind, "__module__": base.__module__})
        del namespace[base.__name__]


@contextlib.contextmanager
def served(kind):
    """A server for a `with`."""
    server = kind()
    try:
        yield server
    finally:
        server.stop()
