"""The bytes between a connection and an event loop: what came and was not read, and whether more may be sent.

It is a protocol of asyncio and not a pair of its streams: the bytes go to the parser of the replies at once, waiting
for them makes one future and, with a timeout, one timer, and whether something unread is there can be asked.
"""

import asyncio

from ..exceptions import ConnectionError, TimeoutError

UNREAD_BYTES_MAX = 1024 * 1024  # then the transport is told to wait, until somebody reads


class Channel(asyncio.Protocol):
    """One per connection made."""

    def __init__(self):
        self.transport = None
        self.ended = False
        self.error = None
        self._pieces = []
        self._unread_bytes = 0
        self._paused = False
        self._reader = None  # the future of whoever waits for bytes
        self._closer = None  # that of whoever waits for the end
        self._lost = False
        self._writers = None  # that of whoever waits until more may be sent, while none may

    # -- called by the event loop -------------------------------------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._pieces.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > UNREAD_BYTES_MAX and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        _wake(self._reader)

    def eof_received(self):
        self.ended = True
        _wake(self._reader)
        return False

    def connection_lost(self, exc):
        self.ended, self.error, self._lost = True, exc, True
        _wake(self._reader)
        _wake(self._writers)
        _wake(self._closer)

    def pause_writing(self):
        if self._writers is None:
            self._writers = asyncio.get_event_loop().create_future()

    def resume_writing(self):
        writers, self._writers = self._writers, None
        _wake(writers)

    # -- called by the connection -------------------------------------------------------------------------------------

    def unread(self):
        """Whether there is something to be read, the end included."""
        return bool(self._pieces) or self.ended

    def take(self):
        """The bytes that came."""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._unread_bytes = [], 0
        if self._paused:
            self._paused = False
            if not self.ended:
                self.transport.resume_reading()
        return data

    async def wait(self, timeout):
        """Until something came, or the end, or TimeoutError after so many seconds (None: never)."""
        if self.unread():
            return
        loop = asyncio.get_event_loop()
        self._reader = reader = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _expire, reader)
        try:
            await reader
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()

    async def send(self, pieces):
        """Hand bytes over, and wait while they are too many.  Raises ConnectionError where the other end is gone."""
        if self.ended:
            raise ConnectionError("Connection closed by server.")
        for piece in pieces:
            self.transport.write(piece)
        while self._writers is not None and not self.ended:
            await asyncio.shield(self._writers)

    def close(self):
        """Close it, and forget what was to be sent."""
        self.ended = True
        self.transport.abort()

    async def closed(self):
        """Until the event loop has let go of it; after close()."""
        if not self._lost:
            self._closer = asyncio.get_event_loop().create_future()
            await self._closer


def _wake(future):
    if future is not None and not future.done():
        future.set_result(None)


def _expire(future):
    if not future.done():
        future.set_exception(TimeoutError("Timeout"))
