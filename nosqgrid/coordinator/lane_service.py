"""Serving a lane: take what the client posted, apply it, say how far.

The order within one visit: effects are published, results and replies are stored, then HEAD.  A client that sees HEAD
behind its frame therefore sees everything that the frame did.
"""

from ..errors import LaneError, NosqgridError, StorageError
from ..engine.frames import apply_frame, frame_end, operation_of
from ..formats import lane as layout
from ..formats.resp import encode_error, encode_reply


SLICE_BYTES = 8 * 1024  # some 70 small sets
LIGHT_BYTES = 2 * 1024


def due(sessions):
    """Who is to be served in this turn, of a grid in which others have to go for what is written.

    That makes a write cost several times as much, and what it costs is paid turn by turn.  So of those who have posted
    a lot one gets a slice each turn, in turns; who has posted little is served each time, and waits for one slice.
    """
    found, next_one = [], None
    for session in sessions:
        posted = session.lane.words[layout.TAIL] - session.lane.head
        if not posted:
            continue
        if 0 < posted <= LIGHT_BYTES:
            found.append(session)
        elif next_one is None or session.slices < next_one.slices:
            next_one = session
    if next_one is not None:
        next_one.slices = max(session.slices for session in sessions) + 1
        found.append(next_one)
    return found


def serve(session, keyspace, send):
    """One visit to a session's lane, of a millisecond or so; raises LaneError for a lane that makes no sense.

    `send(session, data)` queues a reply that does not fit into the lane on the socket.
    """
    lane = session.lane
    data, more = lane.take(SLICE_BYTES) if keyspace.keeps_order else lane.take()
    start, end = lane.head, len(data)
    position = _apply_sets(lane, keyspace, data, 0, start)
    if not position and more and not frame_end(data, 0, end):
        data, more = lane.take()  # its first frame is longer than a slice
        end = len(data)
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
    if keyspace.touched is not None:
        session.on_lane.tracking.flush()
    lane.finish(start + position)


def take_notes(sessions, evictor):
    """Tell the evictor of the hits that clients have noted."""
    for session in sessions:
        for slot in session.lane.take_notes():
            evictor.hit(slot)


def serve_together(sessions, keyspace):
    """Plain sets that several clients have posted, as one entry of the log; the sessions that were served.

    For a log that is synced with each entry: they share one sync.  What else lies in their lanes is left there; where
    not all would fit for certain, nothing is done.
    """
    ready = [session for session in sessions if session.lane.words[layout.TAIL] != session.lane.head]
    if len(ready) < 2 or keyspace.log is None or keyspace.hot_note() is False:
        return []
    runs = []
    for session in ready:
        try:
            data, _ = session.lane.take()
        except LaneError:
            continue  # it is told so when it is served for itself
        stop, count = keyspace.run_end(data, 0, len(data))
        if count:
            runs.append((session, data[:stop], count))
    frames = b"".join(run for _, run, _ in runs)
    stop, count = keyspace.run_end(frames, 0, len(frames))
    if len(runs) < 2 or stop != len(frames):
        return []
    version, refused = keyspace.version, None
    try:
        keyspace.store_run(frames, count)
    except StorageError as error:
        refused = encode_error(error)
    for session, run, count in runs:
        lane, head = session.lane, session.lane.head + len(run)
        version += count
        if refused is None:
            lane.words[layout.RESULT] = version
        else:
            lane.fail(head, refused)
        lane.finish(head)
    return [session for session, _, _ in runs]


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
    if operation_of(data, position) in layout.WITH_RESULT:
        lane.words[layout.RESULT] = reply
        return
    encoded = encode_reply(reply, session.protocol)
    if not lane.reply(head, encoded):
        send(session, encoded)
