"""The socket side of a session: commands in, replies out, neither ever blocking the coordinator.

What is waiting to be sent is bounded: a client that does not read is disconnected, not waited for.  What is being
received is bounded by the parser.  Descriptors travel with the reply they belong to.
"""

import socket

from ..errors import NosqgridError, ProtocolError
from ..formats.resp import encode_error, encode_reply
from ..limits import OUTPUT_BUFFER_BYTES_MAX
from ..memory.descriptors import DESCRIPTORS_MAX, receive_with_fds, send_with_fds
from .session import DEFERRED

RECEIVE_BYTES = 64 * 1024
COMMANDS_A_TURN = 1000  # of one client before the others are looked at
COMMANDS_A_SLICE = 64  # the same where a write may have to evict others
WAITING_BYTES_MAX = 1 << 20  # sent by a client behind a command whose answer it still waits for


def receive(session):
    """Read what came; false when the connection has ended, or has to: too much was sent behind a deferred command."""
    try:
        if session.filling:
            data, fds = receive_with_fds(session.sock, RECEIVE_BYTES, drop=True)
            session.received += fds
        else:
            data = session.sock.recv(RECEIVE_BYTES)  # descriptors that nobody waits for are dropped by the kernel
    except (BlockingIOError, InterruptedError):
        return True
    except OSError:
        return False
    if not data:
        return False
    session.parser.feed(data)
    if len(session.received) > DESCRIPTORS_MAX:
        return False
    return not session.waiting or session.parser.pending_size_bytes <= WAITING_BYTES_MAX


def run_commands(session, in_slices=False):
    """Run the commands that are whole, up to a turn's; true when more may be waiting in the parser.

    Replies are queued in order; a deferred command stops the reading until it is answered.
    """
    for _ in range(COMMANDS_A_SLICE if in_slices else COMMANDS_A_TURN):
        if session.waiting or session.closing:
            return False
        if session.output_bytes > OUTPUT_BUFFER_BYTES_MAX:
            return True  # what is there is sent first, or else flush() ends the session
        try:
            words = session.parser.next()
        except ProtocolError as error:
            queue(session, encode_error(error))
            session.closing = True
            return False
        if words is None:
            return False
        session.commands += 1
        try:
            reply = session.on_socket.run(words)
        except NosqgridError as error:
            queue(session, encode_error(error))
            continue
        if reply is DEFERRED:
            session.waiting = True
        else:
            queue(session, encode_reply(reply, session.protocol))
    return True


def queue(session, data):
    """Put bytes behind what is waiting to be sent."""
    session.output.append(data)
    session.output_bytes += len(data)


def flush(session):
    """Send what the socket takes; false when the session has to end: a broken connection, or too much waiting."""
    try:
        while session.output:
            data = session.output[0] if len(session.output) == 1 else b"".join(session.output)
            session.output = [data]
            sent = _send(session, data)
            session.output_bytes -= sent
            if sent == len(data):
                session.output = []
                break
            session.output = [data[sent:]]
    except (BlockingIOError, InterruptedError):
        return session.output_bytes <= OUTPUT_BUFFER_BYTES_MAX
    except OSError:
        return False
    return True


def _send(session, data):
    fds = session.descriptors
    if not fds:
        return session.sock.send(data, getattr(socket, "MSG_NOSIGNAL", 0))
    sent = send_with_fds(session.sock, data, fds)
    session.descriptors = []
    session.close_lent()
    return sent
