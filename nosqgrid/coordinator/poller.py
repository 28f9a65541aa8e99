"""What the loop waits for: selectors.DefaultSelector, and the same on epoll at half of its cost an event.

A selector of the standard library makes a tuple and looks in two tables for each event, a microsecond where a whole
command takes seven.
"""

import select
import selectors

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class _Epoll(object):
    """Only what the loop uses.  Masks are READ and WRITE; an end or an error of a connection counts as READ too."""

    def __init__(self):
        self._epoll = select.epoll()
        self._data = {}
        self.poll = self._epoll.poll  # (seconds) -> [(descriptor, events)]

    def register(self, source, mask, data):
        fd = _descriptor(source)
        self._epoll.register(fd, _events(mask))
        self._data[fd] = data

    def modify(self, source, mask, data):
        fd = _descriptor(source)
        self._epoll.modify(fd, _events(mask))
        self._data[fd] = data

    def unregister(self, source):
        fd = _descriptor(source)
        del self._data[fd]
        self._epoll.unregister(fd)

    def select(self, timeout_s):
        """[(data, mask, descriptor)] of what is ready."""
        data, read, write = self._data, ~select.EPOLLOUT, ~select.EPOLLIN
        return [(data[fd], (READ if events & read else 0) | (WRITE if events & write else 0), fd)
                for fd, events in self.poll(timeout_s)]

    def close(self):
        self._epoll.close()
        self._data = {}


class _Selector(object):
    """The same on whatever this system has."""

    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self.register = self._selector.register
        self.modify = self._selector.modify
        self.unregister = self._selector.unregister
        self.close = self._selector.close

    def select(self, timeout_s):
        return [(key.data, mask, key.fd) for key, mask in self._selector.select(timeout_s)]


def _descriptor(source):
    return source if isinstance(source, int) else source.fileno()


def _events(mask):
    return (select.EPOLLIN if mask & READ else 0) | (select.EPOLLOUT if mask & WRITE else 0)


Poller = _Epoll if hasattr(select, "epoll") else _Selector
