"""Serving a lane: take what the client posted, apply it, say how far.

The order within one visit: effects are published, results and replies are stored, then HEAD.  A client that sees HEAD
behind its frame therefore sees everything that the frame did.
"""

from ..errors import LaneError, NosqgridError, StorageError
from ..engine.frames import apply_frame, frame_end, operation_of
from ..formats import lane as layout
from ..formats.resp import encode_error, encode_reply


def serve(session, keyspace, send):
    """One visit to a session's lane, of a millisecond or so; raises LaneError for a lane that makes no sense.

    `send(session, data)` queues a reply that does not fit into the lane on the socket.
    """
    lane = session.lane
    data, more = lane.take()
    start, end = lane.head, len(data)
    position = _apply_sets(lane, keyspace, data, 0, start)
    while position < end:
        stop = frame_end(data, position, end)
        if not stop:
            if not more or not position:
                raise LaneError("a lane ends in the middle of a frame")
            break
        _serve_frame(session, lane, data, position, stop, start + stop, send)
        position = stop
        if position < end:
            position = _apply_sets(lane, keyspace, data, position, start)
    lane.finish(start + position)


def _apply_sets(lane, keyspace, data, position, start):
    """Apply the plain sets from `position` on; where they end.  Those that the log refuses have failed."""
    try:
        stop = keyspace.apply_sets(data, position, len(data))
    except StorageError as error:
        lane.fail(start + error.frames_end, encode_error(error))
        return error.frames_end
    if stop > position:
        lane.words[layout.RESULT] = keyspace.version
    return stop


def _serve_frame(session, lane, data, position, stop, head, send):
    session.commands += 1
    try:
        reply = apply_frame(session.on_lane, data, position, stop)
    except LaneError:
        raise
    except NosqgridError as error:
        lane.fail(head, encode_error(error))
        return
    if operation_of(data, position) in (layout.SET, layout.DELETE):
        lane.words[layout.RESULT] = reply
        return
    encoded = encode_reply(reply, session.protocol)
    if not lane.reply(head, encoded):
        send(session, encoded)
