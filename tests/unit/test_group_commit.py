"""Sets of several clients share one entry of the log, and so one sync (coordinator/lane_service.serve_together)."""

import unittest

from nosqgrid.coordinator.lane_service import serve, serve_together
from nosqgrid.errors import DiskError
from nosqgrid.formats import lane as layout
from nosqgrid.formats.effects import pack_delete
from nosqgrid.formats.records import pack_body
from nosqgrid.memory.lane import ClientLane, CoordinatorLane
from tests.support.keyspaces import make_keyspace


class Log:
    """Keeps what is appended, or refuses it."""

    def __init__(self):
        self.entries = []
        self.error = None

    def append(self, first_lsn, count, payload):
        if self.error is not None:
            raise self.error
        self.entries.append((first_lsn, count, payload))


class Session:
    def __init__(self):
        self.lane = CoordinatorLane()
        self.client = ClientLane(self.lane.file.fd)
        self.commands = 0

    def post(self, frames):
        self.client.post(self.client.words[layout.TAIL], frames)

    @property
    def done(self):
        return self.client.words[layout.HEAD] == self.client.words[layout.TAIL]

    @property
    def result(self):
        return self.client.words[layout.RESULT]


class GroupCommitTest(unittest.TestCase):
    def setUp(self):
        self.keyspace, _ = make_keyspace(1 << 20)
        self.keyspace.store(b"opens the segment", 0, b"")
        self.log = Log()
        self.keyspace.set_log(self.log)
        self.sessions = [Session() for _ in range(3)]
        for session in self.sessions:
            self.addCleanup(session.lane.close)

    def together(self):
        return serve_together(self.sessions, self.keyspace)

    def test_sets_of_three_clients_are_one_entry_and_each_learns_its_version(self):
        frames = [pack_body(b"a", b"1", 0), pack_body(b"b", b"2", 0) + pack_body(b"c", b"3", 0, 5000),
                  pack_body(b"a", b"4", 0)]
        for session, frame in zip(self.sessions, frames):
            session.post(frame)
        self.assertEqual(self.together(), self.sessions)
        self.assertEqual(self.log.entries, [(2, 4, b"".join(frames))])
        self.assertEqual([session.result for session in self.sessions], [2, 4, 5])
        self.assertTrue(all(session.done for session in self.sessions))
        self.assertEqual([self.keyspace.lookup(key).value for key in (b"a", b"b", b"c")], [b"4", b"2", b"3"])
        self.keyspace.check()

    def test_what_is_no_set_stays_in_the_lane(self):
        self.sessions[0].post(pack_body(b"a", b"1", 0) + pack_delete(b"a"))
        self.sessions[1].post(pack_body(b"b", b"2", 0))
        self.sessions[2].post(pack_delete(b"b"))
        self.assertEqual(self.together(), self.sessions[:2])
        self.assertEqual([session.done for session in self.sessions], [False, True, False])
        self.assertEqual(len(self.log.entries), 1)

    def test_a_client_alone_is_left_to_the_usual_way(self):
        self.sessions[1].post(pack_body(b"b", b"2", 0))
        self.assertEqual(self.together(), [])
        self.assertEqual(self.log.entries, [])
        self.assertFalse(self.sessions[1].done)

    def test_nothing_is_done_where_not_all_fits_for_certain(self):
        room = self.keyspace.heap.writer.limit - self.keyspace.heap.writer.cursor
        frame = pack_body(b"k", bytes(room // 3), 0)
        for session in self.sessions:
            session.post(frame)
        self.assertEqual(self.together(), [])
        self.assertEqual(self.log.entries, [])

    def test_a_disk_that_refuses_fails_all_of_them_and_changes_nothing(self):
        self.log.error = DiskError("full")
        for number, session in enumerate(self.sessions):
            session.post(pack_body(b"k%d" % number, b"v", 0))
        version = self.keyspace.version
        self.assertEqual(self.together(), self.sessions)
        self.assertEqual(self.keyspace.version, version)
        for session in self.sessions:
            self.assertTrue(session.done)
            self.assertEqual(session.client.words[layout.FAILED_AT], session.client.words[layout.TAIL])
            self.assertIn(b"-DISK full", session.client.take_replies()[0][1])
        self.assertEqual(self.keyspace.key_count, 1)
        self.keyspace.check()

    def test_served_alone_a_run_is_one_entry_too_and_its_error_that_of_the_call(self):
        frames = b"".join(pack_body(b"k%d" % number, b"v", 0) for number in range(10))
        self.sessions[0].post(frames)
        serve(self.sessions[0], self.keyspace, None)
        self.assertEqual([entry[:2] for entry in self.log.entries], [(2, 10)])
        self.log.error = DiskError("full")
        self.sessions[0].post(frames)
        serve(self.sessions[0], self.keyspace, None)
        self.assertTrue(self.sessions[0].done)
        self.assertEqual(self.sessions[0].client.words[layout.FAILED_AT], 2 * len(frames))
        self.assertEqual(self.keyspace.version, 11)


if __name__ == "__main__":
    unittest.main()
