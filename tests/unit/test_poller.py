"""Both pollers, held against the same expectations."""

import os
import select
import socket
import unittest

from nosqgrid.coordinator import poller
from nosqgrid.coordinator.poller import READ, WRITE


class SelectorTest(unittest.TestCase):
    make = poller._Selector

    def setUp(self):
        self.poller = self.make()
        self.addCleanup(self.poller.close)
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def test_what_is_ready_is_told_with_what_was_registered(self):
        mark = object()
        self.poller.register(self.ours, READ, mark)
        self.assertEqual(self.poller.select(0), [])
        self.theirs.send(b"x")
        self.assertEqual(self.poller.select(1), [(mark, READ, self.ours.fileno())])
        self.poller.modify(self.ours, READ | WRITE, self.ours)
        self.assertEqual(self.poller.select(1), [(self.ours, READ | WRITE, self.ours.fileno())])
        self.poller.modify(self.ours, WRITE, mark)
        self.assertEqual(self.poller.select(1), [(mark, WRITE, self.ours.fileno())])
        self.poller.unregister(self.ours)
        self.assertEqual(self.poller.select(0), [])

    def test_end_of_a_connection_can_be_read(self):
        self.poller.register(self.ours, READ, 1)
        self.theirs.close()
        (data, mask, _), = self.poller.select(1)
        self.assertTrue(data == 1 and mask & READ)

    def test_pipes_are_given_by_number(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.poller.register(read, READ, "pipe")
        os.close(write)
        self.assertEqual([(data, fd) for data, _, fd in self.poller.select(1)], [("pipe", read)])
        self.poller.unregister(read)


@unittest.skipUnless(hasattr(select, "epoll"), "this system has no epoll")
class EpollTest(SelectorTest):
    make = poller._Epoll


if __name__ == "__main__":
    unittest.main()
