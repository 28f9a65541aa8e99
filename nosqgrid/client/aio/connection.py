"""A connection to a coordinator that an event loop looks after.

Commands are sent at once and answered in their order; each has a future for its reply.  Who does not wait for a reply
any more leaves its future behind, and the next one gets its own all the same.

Invariant: each command that was sent has one future in `_expected`, in the order of sending, until its reply came.  An
error is the result of a future, not its exception: nobody is told of one that nobody asked for.
"""

import asyncio
import os
import weakref
from collections import deque

from ...errors import CoordinatorError, ProtocolError
from ...formats.resp import NEED_MORE, ReplyReader, encode_command
from ..link import RECEIVE_BYTES, Link, connect


class Connection(object):
    """Connected when it is made, or NotServedError, PermissionRefusedError, CoordinatorTimeoutError.  Never waits."""

    lost, silent = Link.lost, Link.silent  # the same words for the same

    def __init__(self, loop, address):
        self.address = address
        self.ended = False
        self._loop = loop
        self._sock = connect(address, 0)
        self._close_at_end = weakref.finalize(self, self._sock.close)
        self._pid = os.getpid()
        self._replies = ReplyReader()
        self._expected = deque()
        self._unsent = bytearray()
        loop.add_reader(self._sock.fileno(), self._readable)
        self._number = self.request((b"NOSQGRID.COMPANION",))
        self._number.add_done_callback(self._introduced)

    @property
    def number(self):
        """That of its session; known when any later reply is."""
        return self._number.result()

    def _introduced(self, future):
        if not future.cancelled() and not isinstance(future.result(), int):
            self.end(future.result())

    async def introduced(self, timeout_s):
        """Wait until the coordinator knows of it: before that, one that is just ending may have accepted it.

        Raises what it answered instead; CoordinatorLostError, CoordinatorTimeoutError.
        """
        if not self._number.done():
            await asyncio.wait([self._number], timeout=timeout_s)
        found = self._number.result() if self._number.done() else self.silent()
        if isinstance(found, Exception):
            raise found

    def request(self, words):
        """Send a command; a future of its reply, of which errors are results too."""
        data = encode_command(*words)
        future = self._loop.create_future()
        if self.ended:
            future.set_result(self.lost(None))
            return future
        self._expected.append(future)
        self._unsent += data
        if len(self._unsent) == len(data):
            self._writable()
            if self._unsent:
                self._loop.add_writer(self._sock.fileno(), self._writable)
        return future

    async def reply(self, words, timeout_s):
        """The reply to a command, errors as well; CoordinatorTimeoutError as one after so many seconds, if given."""
        future = self.request(words)
        timer = self._loop.call_later(timeout_s, self._expire, future) if timeout_s else None
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, future):
        if not future.done():
            future.set_result(self.silent())

    def _writable(self):
        try:
            del self._unsent[:self._sock.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._unsent.clear()  # the end is there to be read, and perhaps why
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())

    def usable(self):
        """Whether its end has not come, as far as the kernel knows; the event loop may not have had its turn."""
        if not self.ended:
            self._readable()
        return not self.ended

    def _readable(self):
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.end(self.lost(error))
            return
        if not data:
            self.end(self.lost(None))
            return
        try:
            self._replies.feed(data)
            self._answer()
        except ProtocolError as error:
            self.end(error)

    def _answer(self):
        while not self.ended:
            reply = self._replies.next()
            if reply is NEED_MORE:
                return
            if not self._expected:
                raise ProtocolError("the coordinator at %s answered what nobody asked" % self.address)
            future = self._expected.popleft()
            if not future.done():
                future.set_result(reply)

    def end(self, reason=None):
        """Close it; whoever waits for a reply gets CoordinatorLostError, or the reason."""
        if self.ended:
            return
        self.ended = True
        if not self._loop.is_closed() and self._pid == os.getpid():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            for future in self._expected:
                if not future.done():
                    future.set_result(type(reason)(*reason.args) if isinstance(reason, CoordinatorError)
                                      else reason or self.lost(None))
        self._expected.clear()
        self._close_at_end()
