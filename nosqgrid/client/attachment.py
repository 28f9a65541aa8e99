"""An attachment: this process's session with one life of one coordinator; its socket, its map of the arena, its lane.

    post frames and store the tail -> the coordinator is asleep? ring -> look at HEAD for some tens of microseconds
    -> say in WAITING which HEAD is waited for, ring, block on the socket until HEAD has passed

Calls that write hold the lock from posting to the result, so that threads share one lane.  Positions in the ring are
the names of requests: a call waits until HEAD has passed the end of its own frames and ignores replies for earlier
ones, so a call that was interrupted leaves nothing out of step.  Only replies that come over the socket have no name:
whoever is about to touch one says so first (`_midway`), and where a call finds that said by one that never came to its
end, it ends the attachment, and the grid makes another.

Nothing is shared after fork(): the child closes its copies of the descriptors and attaches anew when it writes.
"""

import os
import sys
import threading
import time
import weakref

from ..errors import CoordinatorLostError, LaneError, PeerError, UsageError
from ..formats import lane as layout
from ..formats.arena import EVICTS, FORMAT_VERSION, SLEEPING
from ..formats.resp import NEED_MORE, encode_command
from ..formats.records import BODY
from ..formats.resp_whole import decode_reply
from ..limits import LANE_FRAME_BYTES_MAX, LANE_REQUEST_BYTES
from ..memory.arena import Arena
from ..memory.lane import ClientLane
from ..memory.reader import Reader
from ..memory.shared_file import map_readonly
from .link import Link, named_values
from .maps import Maps

SPIN_LOADS = 150  # of HEAD before giving way: 5-10 us, what a warm coordinator takes on another processor
YIELDS = 60  # of this processor, to the coordinator if it waits for this one, before ringing and blocking: some 60 us,
# which is longer than most commands take, and about what it costs to sleep and to be woken
YIELDS_RUNG = 80  # the same after waking the coordinator: to sleep and be woken too would double the wait
YIELD_S_MAX = 0.0003  # a yield that lasts longer went to somebody who computes: block instead, for a while
CROWDED_S = 0.1
EXIT_S = 1.0  # how long the end of the program waits for a call of a daemon thread
_HEAD, _TAIL, _RESULT, _FAILED_AT = layout.HEAD, layout.TAIL, layout.RESULT, layout.FAILED_AT
_attachments = weakref.WeakSet()


class Unsent(CoordinatorLostError):
    """A call before this one was interrupted where the attachment cannot go on; nothing of this one was sent."""


class Attachment(object):
    """See the module.  Raises NotServedError, PermissionRefusedError, FormatVersionError or PeerError when it fails."""

    def __init__(self, address, timeout_s):
        self.address = address
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.lost = False
        self.filling = weakref.WeakSet()  # allocations of large values under way (client/large)
        self.forgotten = set()  # numbers of those that will not come, to be given back
        self._midway = False  # the socket may owe a reply, or part of one may be read, that nobody waits for
        self.link = Link(address, timeout_s)
        try:
            fds = self._handshake()
            self.arena = Arena.attach(fds[0])
            self.lane = ClientLane(fds[1]) if len(fds) > 1 else None
            self.maps = Maps(self, self.link.take_fd(0))
            self.link.close_fds()
        except BaseException:
            self.link.close()
            raise
        self.coordinator_pid = self.arena.header.coordinator_pid
        self.large_value_bytes = self.info.get("large_value_bytes", 1 << 62)
        self.reader = Reader(self.arena.words, self.arena.map, self.arena.header)
        alone = _cpu_count() < 2
        self._spin_loads = 0 if alone else SPIN_LOADS
        self._crowded_until = float("inf") if alone or not hasattr(os, "sched_yield") else 0.0
        evicts = self.arena.header.flags & EVICTS
        self.note_words = self.lane.words if evicts and self.lane is not None else None
        # Whether set_frame() may be called without looking further.
        self.ready = self.lane is not None and FORK_HOOKED
        # At exit finalizers run latest first: daemon threads come to a stand here before the link is closed under them.
        weakref.finalize(self, self.lock.acquire, timeout=EXIT_S)
        _attachments.add(self)

    def _handshake(self):
        self.info = named_values(self.link.command(b"NOSQGRID.ATTACH", FORMAT_VERSION), self.address)
        fds = self.link.fds
        if not fds or len(fds) != self.info.get("descriptors"):
            raise LaneError("%d descriptors came with the reply to an attach, not %s"
                            % (len(fds), self.info.get("descriptors")))
        return fds

    # -- calls --------------------------------------------------------------------------------------------------------

    def set_frame(self, frame):
        """Post one frame with a fixed result (formats/lane) that fits, and wait for that.  The hot path of writing."""
        if self.lock._is_owned():
            self._recover()
        with self.lock:
            # In one call: an interrupt at the jump of a loop written here would leave the lock taken (CPython 3.13).
            return self._set_frame(frame)

    def _set_frame(self, frame):
        lane = self.lane
        if lane is None:
            raise self.link.lost(None)
        words = lane.words
        tail = words[_TAIL]
        if words[_HEAD] != tail:  # an interrupted call left something
            return self._frames((frame,))
        target = tail + len(frame)
        start = tail % LANE_REQUEST_BYTES
        if start + len(frame) <= LANE_REQUEST_BYTES:  # lane.post(), written out: a tenth of the whole call
            start += layout.REQUEST_OFFSET_BYTES
            lane.map[start:start + len(frame)] = frame
            words[_TAIL] = target
        else:
            lane.post(tail, frame)
        yields = YIELDS
        if self.arena.words[SLEEPING]:
            self.ring()
            yields = YIELDS_RUNG
        for _ in range(self._spin_loads):
            if words[_HEAD] == target:
                break
        else:
            self._wait_longer(words, target, yields)
        if words[_FAILED_AT] != target:
            return words[_RESULT]
        raise self._replies(tail, target)[0]

    def frames(self, frames):
        """Post whole frames, in pieces of at most LANE_FRAME_BYTES_MAX, and wait for the last.

        Returns RESULT of the last; raises the first error of any of them.
        """
        with self._turn():
            return self._frames(frames)

    def _turn(self):
        """The lock, for a `with`: one call after the other."""
        if self.lock._is_owned():
            self._recover()
        return self.lock

    def _recover(self):
        """This thread holds the lock already: its last call was interrupted, or it is in the middle of one.

        An exception out of a signal handler can hit the moment between taking a lock and the block that releases it, in
        every version of Python; then the lock is given back here, where this thread makes its next call (another thread
        has to wait for that).  A handler that makes a call of its own inside another of the same thread would tear that
        one's frame apart, and is refused.
        """
        frame = sys._getframe(2).f_back
        while frame is not None:
            if frame.f_code in _CALLS and frame.f_locals.get("self") is self:
                raise UsageError("a signal handler or finalizer may not write to the grid in the middle of a write of "
                                 "the same thread; set a flag there, and write later")
            frame = frame.f_back
        while self.lock._is_owned():
            self.lock.release()

    def _frames(self, pieces):
        if self.lane is None:
            raise self.link.lost(None)
        words, start = self.lane.words, self.lane.words[_TAIL]
        target = start
        for piece in pieces:
            target = self._post(target, piece)
        self._wait(words, target)
        if start < words[_FAILED_AT] <= target:
            raise self._replies(start, target)[0]
        return words[_RESULT]

    def command(self, *command):
        """Run a command and return its reply; an error reply is raised."""
        reply = self.encoded(encode_command(*command))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def encoded(self, command):
        """Run a command whose RESP bytes are given; its reply, an error as an object."""
        if self.lane is None or len(command) + BODY.size > LANE_FRAME_BYTES_MAX:
            with self._turn():
                return self._over_socket(command)
        return self._for_reply(BODY.pack(len(command), 0, 0, layout.COMMAND) + command)

    def batch(self, frames):
        """Run frames as one atomic batch; the list of their replies."""
        if self.lane is None or len(frames) + BODY.size > LANE_FRAME_BYTES_MAX:
            with self._turn():
                reply = self._over_socket(encode_command(b"NOSQGRID.BATCH", frames))
        else:
            reply = self._for_reply(BODY.pack(len(frames), 0, 0, layout.BATCH) + frames)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _for_reply(self, frame):
        with self._turn():
            if self.lane is None:
                raise self.link.lost(None)
            self._check_in_step()
            words, start = self.lane.words, self.lane.words[_TAIL]
            target = self._post(start, frame)
            self._wait(words, target)
            return self._replies(start, target)[-1]

    def _check_in_step(self):
        if self._midway:
            self.end()
            raise Unsent("an earlier call on %s was interrupted; this one was not sent" % self.address)

    def _post(self, tail, frame):
        lane = self.lane
        if lane.room(tail) < len(frame):
            # The ring is full: wait until half of it is free, so that the coordinator always has something to do.
            self._wait(lane.words, tail - min(LANE_REQUEST_BYTES // 2, LANE_REQUEST_BYTES - len(frame)))
        tail = lane.post(tail, frame)
        if self.arena.words[SLEEPING]:
            self.ring()
        return tail

    def _wait(self, words, target):
        yields = YIELDS_RUNG if self.arena.words[SLEEPING] else YIELDS
        for _ in range(self._spin_loads):
            if words[_HEAD] >= target:
                return
        self._wait_longer(words, target, yields)

    def _wait_longer(self, words, target, yields):
        """Give way to the coordinator, which the kernel likes to put where its client runs; then block.

        Where the processor goes to somebody who computes instead, a yield costs a time slice and a wake-up does not:
        then only block, until things may have changed.
        """
        now = time.monotonic()
        if now > self._crowded_until:
            for _ in range(yields):
                os.sched_yield()
                if words[_HEAD] >= target:
                    return
                begun, now = now, time.monotonic()
                if now - begun > YIELD_S_MAX:
                    self._crowded_until = now + CROWDED_S
                    break
        self._block(words, target)

    def _block(self, words, target):
        """Wait in the kernel until HEAD has reached `target`."""
        deadline = time.monotonic() + self.link.timeout_s
        words[layout.WAITING] = target
        try:
            self.ring()
            while words[_HEAD] < target:
                if not self.link.took_bells(deadline):
                    # The reply to a call that was interrupted is in the way; whether it is owed is not changed by that.
                    midway, self._midway = self._midway, True
                    self.link.receive_some(deadline)
                    self._midway = midway
                if self.lost:
                    raise self.link.lost(None)
        except CoordinatorLostError:
            self._lose()
            if words[_HEAD] >= target:
                return  # it was done before the coordinator ended
            raise
        finally:
            words[layout.WAITING] = 0

    def ring(self):
        """One byte on the socket: look at my lane."""
        try:
            self.link.send(layout.BELL)
        except CoordinatorLostError:
            self._lose()
            raise

    def _replies(self, start, target):
        found = self._taken_replies(start, target)
        if not found:
            raise LaneError("no reply came for a request")
        return found

    def _taken_replies(self, start, target):
        """The reply objects for frames behind `start` up to `target`; what is left from earlier calls is dropped."""
        found, midway = [], self._midway  # what an interrupted call left owing is not paid by replies to others
        for position, data in self.lane.take_replies(self._beware):
            reply = self._socket_reply() if data is None else _decoded(data)
            if start < position <= target:
                found.append(reply)
        self._midway = midway
        return found

    def _beware(self):
        self._midway = True

    def _socket_reply(self):
        try:
            return self.link.receive()
        except BaseException:
            self.end()
            raise

    def with_descriptor(self, fd, *command):
        """Run a command that a descriptor goes with; its reply, an error raised."""
        with self._turn():
            reply = self._over_socket(encode_command(*command), fd)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def open_large(self, number, size_bytes, kind):
        """Ask for a large value and map it, as a `kind` of mmap; None where it is gone.

        Raises CoordinatorLostError; PeerError where what came is not what was said.
        """
        with self._turn():
            if not self.usable():
                raise self.link.lost(None)
            try:
                self.link.close_fds()  # of a call that was interrupted
                reply = self._over_socket(encode_command(b"NOSQGRID.LARGE", number))
                if isinstance(reply, Exception):
                    raise reply
                if reply is None:
                    return None
                if reply != size_bytes or len(self.link.fds) != 1:
                    raise PeerError("a large value of %d bytes was to come; %r and %d descriptors came"
                                    % (size_bytes, reply, len(self.link.fds)))
                return map_readonly(self.link.fds[0], size_bytes, kind)
            finally:
                self.link.close_fds()

    def _over_socket(self, encoded, fd=-1):
        self._check_in_step()
        self._settle()
        self._midway = True
        try:
            if fd < 0:
                self.link.send(encoded)
            else:
                self.link.send_with(encoded, fd)
            reply = self.link.receive()
        except BaseException:
            self.end()
            raise
        self._midway = False
        return reply

    def _settle(self):
        """Let what interrupted calls left in the lane be done, and take its replies: it came before what follows."""
        if self.lane is not None:
            words = self.lane.words
            if words[_HEAD] != words[_TAIL]:
                self._wait(words, words[_TAIL])
            if words[layout.REPLY_HEAD] != words[layout.REPLY_TAIL]:
                self._taken_replies(0, 0)

    # -- the end ------------------------------------------------------------------------------------------------------

    def usable(self):
        """Whether a call can be made here: not lost, not closed, and made by this process."""
        return not self.lost and self.pid == os.getpid()

    def alive(self):
        """Whether the coordinator is there, by a look at the socket."""
        with self._turn():
            if not self.lost and self.link.ended():
                self._lose()
            return not self.lost

    def _lose(self):
        self.lost, self.ready = True, False

    def end(self):
        """Close the socket; the maps live as long as somebody reads them."""
        self._lose()
        self.link.close()
        self.maps.close()

    def leave(self, wait_s):
        """Say good-bye; where the coordinator ends with this client, wait until it has, up to `wait_s` seconds."""
        with self._turn():
            reply = self._over_socket(encode_command(b"NOSQGRID.LEAVE"))
            if reply == 1:
                self._midway = True
                deadline = time.monotonic() + wait_s
                while not self.lost:
                    self.link.receive_some(deadline)  # raises CoordinatorLostError at the end

    def release(self):
        """end(), and let go of the maps, once no call of another thread is under way."""
        with self._turn():
            self.end()
            self.lane = self.arena = None
            self.note_words = None
            self.maps.pins = None  # what is mapped has its own way to them

    def forget_after_fork(self):
        """In a forked child: this attachment is the parent's."""
        self._lose()
        self.lock = threading.RLock()
        self.link.close()
        self.maps.close_after_fork()


# The code of calls that hold the lock while they run; a frame of one on the stack means that it is under way.
_CALLS = frozenset(function.__code__ for function in (
    Attachment.set_frame, Attachment.frames, Attachment._for_reply, Attachment._over_socket, Attachment.alive,
    Attachment.leave, Attachment.release, Attachment.with_descriptor, Attachment.open_large))


def _decoded(data):
    reply = decode_reply(data)
    if reply is NEED_MORE:
        raise LaneError("a reply in a lane is not whole")
    return reply


def _cpu_count():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _after_fork_in_child():
    for attachment in list(_attachments):
        attachment.forget_after_fork()


FORK_HOOKED = hasattr(os, "register_at_fork")  # 3.7; before it, the pid is looked at in every call that writes
if FORK_HOOKED:
    os.register_at_fork(after_in_child=_after_fork_in_child)
