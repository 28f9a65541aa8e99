"""Attaching: what a client of shared memory gets, the arena to read and a lane to write through.

A lane is charged to the budget.  Where there is no room for it, and where the system has no memory for it, the session
gets none: it reads the arena all the same, and writes over its socket, which costs some 30 us more a write.
"""

import os

from ..engine.budget import LANES
from ..errors import CommandError, GridFullError
from ..formats.lane import LANE_SIZE_BYTES
from ..formats.resp import Map
from ..memory.lane import CoordinatorLane


def attach(server, session):
    """Give a session the arena and, if it may write, a lane; the reply map.  The descriptors go with the reply."""
    fds = [server.arena.file.reader_fd()]
    session.protocol = 3
    if not session.logged_in:  # the kernel knows who it is: rules of users are not for it (engine/acl)
        session.attached = True
        server.acl.welcome(session)
    if session.lane is None and session.may_write:
        _give_lane(server, session)
    if session.lane is not None:
        fds.append(session.lane.file.fd)
    session.descriptors = fds
    return Map([("epoch", server.arena.header.epoch), ("pid", os.getpid()), ("session", session.id),
                ("descriptors", len(fds)), ("writable", int(session.may_write)),
                ("monotonic_ms", server.clock.monotonic_ms()),
                ("value_size_bytes_max", server.keyspace.value_size_bytes_max),
                ("large_value_bytes", server.keyspace.large_value_bytes),
                ("large_size_bytes_max", server.large_values.size_bytes_max())])


def _give_lane(server, session):
    try:
        server.budget.take(LANES, LANE_SIZE_BYTES)
    except GridFullError:
        server.lanes_refused += 1
        return
    lane = None
    try:
        lane = CoordinatorLane(**server.file_options)
        # A lane whose size is not sealed could be shrunk under our map by another user: he has the socket.
        if session.uid == os.getuid() or lane.file.size_sealed:
            server.add_lane(session, lane)
    except GridFullError:
        server.lanes_refused += 1
    except OSError as error:
        raise CommandError("the coordinator cannot make a lane (%s); raise its limit of open files with "
                           "ulimit -n" % error.strerror) from error
    finally:
        if session.lane is None:
            close_lane(server, lane)


def close_lane(server, lane):
    """A lane is of no use any more; None for one that could not be made."""
    if lane is not None:
        lane.close()
    server.budget.give_back(LANES, LANE_SIZE_BYTES)
