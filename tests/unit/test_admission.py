"""The doors without a coordinator: strangers whose time is up or whose number is too large, and doors that shut."""

import errno
import socket
import time
import types
import unittest

from nosqgrid.coordinator.admission import FULL, Admission, Remote
from nosqgrid.limits import CLIENTS_MAX, STRANGERS_MAX, STRANGER_TIMEOUT_S


class Door(object):
    """A listening socket that never has what it promises."""

    def __init__(self):
        self.error = None

    def accept(self):
        raise self.error


class Selector(object):

    def __init__(self):
        self.registered = {}

    def register(self, source, mask, data):
        self.registered[source] = data

    def unregister(self, source):
        del self.registered[source]


class Stranger(object):
    authenticated = False


class AdmissionTest(unittest.TestCase):

    def setUp(self):
        self.door, self.ended, self.said = Door(), [], []
        self.server = types.SimpleNamespace(
            listener=types.SimpleNamespace(sock=self.door, close=lambda: None), selector=Selector(),
            log=self.said.append, end_session=self.ended.append)
        self.admission = Admission(self.server, lambda uid, gid: (True, True), Remote())

    def strangers(self, count):
        found = [Stranger() for _ in range(count)]
        for stranger in found:
            self.admission._add_stranger(stranger)
        return found

    def test_who_does_not_log_in_in_time_has_to_go(self):
        first, second = self.strangers(2)
        now = time.monotonic()
        self.admission.tick(now)
        self.assertEqual(self.ended, [])
        self.assertLessEqual(self.admission.sleep_s(now), STRANGER_TIMEOUT_S)
        second.authenticated = True
        self.admission.tick(now + STRANGER_TIMEOUT_S + 1)
        self.assertEqual(self.ended, [first])
        self.assertGreater(self.admission.sleep_s(now), STRANGER_TIMEOUT_S)

    def test_of_too_many_the_oldest_has_to_go_unless_it_has_logged_in_meanwhile(self):
        found = self.strangers(STRANGERS_MAX)
        found[0].authenticated = True
        self.strangers(2)
        self.assertEqual(self.ended, [found[1]])

    def test_one_too_many_is_told_so_at_either_door(self):
        self.server.sessions = lambda: [None] * CLIENTS_MAX
        for enter in (self.admission._enter_local, self.admission._enter_remote):
            ours, theirs = socket.socketpair()
            with theirs:
                enter(ours, ("127.0.0.1", 1))
                self.assertEqual((theirs.recv(100), theirs.recv(100)), (FULL, b""))

    def test_one_that_has_ended_is_forgotten(self):
        stranger, = self.strangers(1)
        self.admission.session_ended(stranger)
        self.admission.tick(time.monotonic() + STRANGER_TIMEOUT_S + 1)
        self.assertEqual(self.ended, [])

    def test_a_door_without_descriptors_is_shut_for_a_while(self):
        knock = self.server.selector.registered[self.door]
        for error in (BlockingIOError(), InterruptedError(), ConnectionAbortedError()):
            self.door.error = error
            knock(0)
            self.assertIn(self.door, self.server.selector.registered)
        self.door.error = OSError(errno.EMFILE, "Too many open files")
        knock(0)
        self.assertEqual(self.server.selector.registered, {})
        self.assertEqual(self.said, ["cannot accept connections for now: Too many open files"])
        self.admission.tick(time.monotonic())
        self.assertEqual(self.server.selector.registered, {})
        self.admission.tick(time.monotonic() + 1)
        self.assertIn(self.door, self.server.selector.registered)
        self.admission.close()
        self.assertEqual(self.server.selector.registered, {})


if __name__ == "__main__":
    unittest.main()
