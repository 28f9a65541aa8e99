"""A coordinator in a process of its own, and as many Redis clients of it as a test likes."""

from nosqgrid.client import launcher
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase, wait_until


class SeveralClientsTest(ProcessTestCase):
    """`one`, `two` and `three` are connected."""

    memory = "16m"

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory=self.memory)
        self.clients = []
        self.one, self.two, self.three = self.connect(), self.connect(), self.connect()

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.launched.stop()
        super().tearDown()

    def connect(self):
        client = RealClient(self.launched.address)
        self.clients.append(client)
        return client

    def wait_for_blocked(self, count):
        """Until so many clients wait, as the third one is told."""
        wait_until(lambda: b"blocked_clients:%d\r\n" % count in self.three.call("INFO", "clients"), 10,
                   "%d clients to wait" % count)
