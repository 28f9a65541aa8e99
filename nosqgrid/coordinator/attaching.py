"""Attaching: what a client of shared memory gets, the arena to read and a lane to write through."""

import os

from ..errors import CommandError
from ..formats.resp import Map
from ..memory.lane import CoordinatorLane


def attach(server, session):
    """Give a session the arena and, if it may write, a lane; the reply map.  The descriptors go with the reply."""
    fds = [server.arena.file.reader_fd()]
    session.protocol = 3
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
        lane = CoordinatorLane(**server.file_options)
    except OSError as error:
        raise CommandError("the coordinator cannot make a lane (%s); raise its limit of open files with "
                           "ulimit -n" % error.strerror) from error
    if session.uid != os.getuid() and not lane.file.size_sealed:
        lane.close()  # somebody else could shrink it under our map: he has the socket
    else:
        server.add_lane(session, lane)
