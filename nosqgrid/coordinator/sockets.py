"""The socket side of a session: commands in, replies out, neither ever blocking the coordinator.

What is waiting to be sent is bounded: a client that does not read is disconnected, not waited for.  What is being
received is bounded by the parser.  Descriptors travel with the reply they belong to.
"""

import socket
from itertools import repeat

from ..engine.context import DEFERRED
from ..errors import NosqgridError, ProtocolError
from ..formats.resp import Push, encode_error, encode_reply
from ..limits import OUTPUT_BUFFER_BYTES_MAX, PUSHED_BYTES_MAX, STRANGER_OUTPUT_BYTES_MAX
from ..memory.descriptors import DESCRIPTORS_MAX, receive_with_fds, send_with_fds

RECEIVE_BYTES = 64 * 1024
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
UNREAD, RECEIVED, DONE = range(3)  # what serve_short() says
COMMANDS_A_TURN = 1000  # of one client before the others are looked at
COMMANDS_A_SLICE = 64  # the same where a write may have to evict others
WAITING_BYTES_MAX = 1 << 20  # sent by a client behind a command whose answer it still waits for


def serve_short(session, run_fast, run_alike):
    """The hot way for a session that is at rest: receive, run what is short and common, answer.

    DONE where that was all; UNREAD where the plain way has to begin, RECEIVED where it has to go on: the parser has
    what was received, the session what was not sent yet.
    """
    if session.output or session.waiting or session.filling or session.partial_since or session.closing:
        return UNREAD
    sock, parser = session.sock, session.parser
    try:
        data = sock.recv(RECEIVE_BYTES)
    except OSError:
        return UNREAD  # it will come again
    if not data:
        return UNREAD  # so will the end
    alike = parser.take_alike(data)
    if alike is not None:
        words, columns, count = alike
        if count == 1:
            commands, replies = [words], []
            run_fast(session.on_socket, commands, replies.append)
            data = None if commands else replies[0]
        else:
            data = run_alike(session.on_socket, words[0], columns, count)
        if data is not None:
            session.commands += count
            session.last_command = words[0]
            return _answer(session, data)
        if count > 1:
            commands = list(map(list, zip(repeat(words[0], count), *columns)))
            commands.reverse()
        parser.give_back(commands)
        if count == 1:
            return RECEIVED
    else:
        parser.feed(data)
        commands = parser.short_commands()
    count, together, replies = len(commands), commands[:], []
    run_fast(session.on_socket, commands, replies.append)
    if not replies:
        return RECEIVED
    count -= len(commands)
    session.commands += count
    session.last_command = together[-count][0]
    state = _answer(session, replies[0] if len(replies) == 1 else b"".join(replies))
    return state if parser.at_rest else RECEIVED


def _answer(session, data):
    """Send what a session that is at rest is answered; DONE, or RECEIVED where it has to be looked at."""
    try:
        sent = session.sock.send(data, _NO_SIGNAL)
    except OSError:
        sent = 0  # of a broken connection the plain way will hear as well
    if sent < len(data):
        queue(session, data[sent:])
        return RECEIVED
    return DONE


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
    parser, stop = session.parser, session.commands + (COMMANDS_A_SLICE if in_slices else COMMANDS_A_TURN)
    while session.commands < stop:
        if session.waiting or session.closing:
            return False
        if session.output_bytes > OUTPUT_BUFFER_BYTES_MAX:
            return True  # what is there is sent first, or else flush() ends the session
        short = parser.short_commands()
        if short and _run_short(session, short):
            if not short and not parser.partial:
                return False
            continue
        try:
            words = parser.next()
        except ProtocolError as error:
            queue(session, encode_error(error))
            session.closing = True
            return False
        if words is None:
            return False
        session.commands += 1
        try:
            reply = session.on_socket.run(words)
        except NosqgridError as error:  # which no name here may keep: its frames lead to this one
            reply, data = None, encode_error(error)
        else:
            data = None if reply is DEFERRED else encode_reply(reply, session.protocol)
        if data is not None and not (session.muted and is_muted(session, reply)):
            queue(session, data)
        if session.tracking is not None:
            session.on_socket.tracking.replied(session)
    return True


def is_muted(session, reply):
    """Whether a session that mutes is not sent the answer to its present command; what it listens to, it is told."""
    if session.muted > 0:
        session.muted -= 1
        session.changed()
    return type(reply) is not Push


def _run_short(session, commands):
    """Run the commands that are of the common kind, as many as are looked at together; whether there were any."""
    count, together, replies = len(commands), commands[:], []
    session.on_socket.server.run_fast(session.on_socket, commands, replies.append)
    if not replies:
        return False
    count -= len(commands)
    session.commands += count
    session.last_command = together[-count][0]
    queue(session, replies[0] if len(replies) == 1 else b"".join(replies))
    return True


def queue(session, data):
    """Put bytes behind what is waiting to be sent."""
    session.output.append(data)
    session.output_bytes += len(data)


def push(session, parts):
    """Queue an out-of-band message; false, and nothing, where too much waits for its reader already."""
    return queue_pushed(session, encode_reply(Push(parts), session.protocol))


def queue_pushed(session, data):
    """The same for what is encoded already."""
    if session.closing or session.output_bytes > PUSHED_BYTES_MAX:
        return session.closing
    queue(session, data)
    return True


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
        return session.output_bytes <= (OUTPUT_BUFFER_BYTES_MAX if session.parser.trusted
                                        else STRANGER_OUTPUT_BYTES_MAX)
    except OSError:
        return False
    return True


def _send(session, data):
    fds = session.descriptors
    if not fds:
        return session.sock.send(data, _NO_SIGNAL)
    sent = send_with_fds(session.sock, data, fds)
    session.descriptors = []
    session.close_lent()
    return sent
