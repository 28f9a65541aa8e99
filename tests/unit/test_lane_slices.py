"""Lanes of a grid that evicts are served in slices, so that who posted little does not wait for who posted much."""

import types
import unittest
from unittest import mock

from nosqgrid.coordinator import lane_service, sockets
from nosqgrid.coordinator.coordinator import Coordinator
from nosqgrid.formats import lane as layout
from nosqgrid.formats.records import BODY, pack_body
from nosqgrid.formats.resp import encode_command
from nosqgrid.limits import LANE_FRAME_BYTES_MAX
from nosqgrid.memory.lane import ClientLane, CoordinatorLane
from tests.support.engine_context import EngineContext, socket_session
from tests.support.evicting import EvictingGrid

SMALL = pack_body(b"small", b"v", 0)


class Session(object):
    """What lane_service knows of one, and its client."""

    closed = waiting = closing = False

    def __init__(self, keyspace):
        self.lane = CoordinatorLane()
        self.client = ClientLane(self.lane.file.fd)
        self.slices = self.commands = 0
        self.output = []
        self.on_lane = types.SimpleNamespace(keyspace=keyspace)

    def post(self, frames):
        self.client.post(self.client.words[layout.TAIL], frames)

    @property
    def left(self):
        return self.client.words[layout.TAIL] - self.client.words[layout.HEAD]


class SliceTestCase(unittest.TestCase):
    def setUp(self):
        self.grid = EvictingGrid(memory_bytes=4 << 20)
        self.keyspace = self.grid.space
        self.sessions = [Session(self.keyspace) for _ in range(4)]
        for session in self.sessions:
            self.addCleanup(session.lane.close)
        self.ended = []

    def fill(self):
        self.grid.apply([(b"fill%d" % number, bytes(1000), 0) for number in range(3000)])
        self.grid.evictor.work()
        self.assertTrue(self.keyspace.keeps_order)

    def serve(self, session):
        lane_service.serve(session, self.keyspace, None)


class DueTest(SliceTestCase):
    def test_of_those_who_posted_much_one_is_served_each_turn_and_the_others_always(self):
        light, first, second, idle = self.sessions
        light.post(SMALL)
        for session in (first, second):
            session.post(SMALL * 1000)
        served = [lane_service.due(self.sessions) for _ in range(4)]
        self.assertEqual(served, [[light, first], [light, second]] * 2)
        second.post(SMALL)
        self.assertNotIn(idle, lane_service.due(self.sessions))

    def test_who_comes_later_is_not_served_before_the_others_have_had_their_turn_again(self):
        first, second, late, _ = self.sessions
        for session in (first, second):
            session.post(SMALL * 1000)
        served = [lane_service.due(self.sessions)[0] for _ in range(5)]
        late.post(SMALL * 1000)
        served += [lane_service.due(self.sessions)[0] for _ in range(4)]
        self.assertEqual(served, [first, second, first, second, first, late, second, first, late])

    def test_a_tail_that_makes_no_sense_is_looked_at(self):
        self.sessions[1].client.words[layout.TAIL] = (1 << 64) - 8
        self.assertEqual(lane_service.due(self.sessions), [self.sessions[1]])
        self.sessions[1].client.words[layout.TAIL] = 0
        self.serve(self.sessions[2])
        self.sessions[1].lane.head = 64
        self.assertEqual(lane_service.due(self.sessions), [self.sessions[1]])


class SliceTest(SliceTestCase):
    def test_a_visit_takes_a_slice_where_others_are_evicted_and_all_elsewhere(self):
        session = self.sessions[0]
        for fill, visits in ((False, 1), (True, 3)):
            if fill:
                self.fill()
            session.post(SMALL * (20000 // len(SMALL)))
            for visit in range(visits):
                self.assertEqual(session.left > 0, True, visit)
                self.serve(session)
            self.assertEqual(session.left, 0)

    def test_frames_longer_than_a_slice_are_served_whole_and_in_order(self):
        self.fill()
        session = self.sessions[0]
        longest = LANE_FRAME_BYTES_MAX - BODY.size - 1
        slice_bytes = lane_service.SLICE_BYTES
        sizes = longest, 10, longest - 5, slice_bytes, 3, slice_bytes - BODY.size - 1
        values = [bytes([number]) * size for number, size in enumerate(sizes)]
        session.post(b"".join(pack_body(b"%d" % number, value, 0) for number, value in enumerate(values)))
        visits = 0
        while session.left:
            self.serve(session)
            visits += 1
            self.assertLess(visits, 10)
        for number, value in enumerate(values):
            self.assertEqual(self.keyspace.lookup(b"%d" % number).value, value)
        self.assertEqual(session.client.words[layout.FAILED_AT], 0)

    def test_who_waits_is_rung_when_what_he_waits_for_is_reached(self):
        self.fill()
        session, rung = self.sessions[0], mock.Mock()
        server = types.SimpleNamespace(keyspace=self.keyspace, _ring=rung)
        session.post(SMALL * 2000)
        session.client.words[layout.WAITING] = 2 * lane_service.SLICE_BYTES
        calls = []
        while session.left:
            Coordinator._serve_lane(server, session)
            calls.append(rung.call_count)
        self.assertEqual(calls, [0, 0, 1, 2])  # whole frames: the second slice ends before
        session.client.words[layout.WAITING] = 0
        session.post(SMALL)
        rung.reset_mock()
        Coordinator._serve_lane(server, session)
        rung.assert_not_called()

    def test_commands_over_a_socket_come_in_slices_too(self):
        session = socket_session(EngineContext())
        session.parser.feed(encode_command(b"PING") * 200)
        self.assertTrue(sockets.run_commands(session, True))
        self.assertEqual(session.commands, sockets.COMMANDS_A_SLICE)
        self.assertFalse(sockets.run_commands(session))
        self.assertEqual(session.commands, 200)


if __name__ == "__main__":
    unittest.main()
