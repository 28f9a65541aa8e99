"""Connections that wait: for a lock, for a job, for a message.

A call through the lane is answered at once.  One that waits for somebody else goes over a connection of its own, so
that nobody stands behind it; when it is over, the connection is kept for the next.

What such a call is granted belongs to the connection that waited, and the attachment inherits it before the call
returns.  So an interrupt at any moment loses nothing: before that it closes the connection, with which the grant is
given back; after it the caller names the grant by the number of its request (next_request).

A process that owns something has one connection more, its anchor: it inherits what an attachment owned that ended while
the process lives on (an interrupt in the middle of a reply ends one).

Invariants
 1. A connection is used by one call at a time, and goes back only when its call has ended as it should.
 2. Those in here were made for the coordinator that the store is attached to, by this process.

No lock is taken: each step is one of the interpreter, in an order that another thread may come between.  Before Python
3.10 an interrupt can leave a lock taken at the beginning of its `with`, and the next call would wait for ever.
"""

import contextlib
import itertools
import os
import weakref

from ..errors import CallerError, CommandError, CoordinatorLostError, NotServedError
from ..formats.resp import encode_command
from .link import Link, checked_reply

IDLE_MAX = 32  # connections that are kept although nobody waits
OWED_MAX = 1000


def _nobody():
    """A weak reference to nothing."""
    return None


class Links(object):
    """The waiting connections of one store.  Threads may share it."""

    def __init__(self, store):
        self._store = store
        # From anywhere, so that those of two stores of a process differ: the next coordinator may be asked about them.
        self._requests = itertools.count(int.from_bytes(os.urandom(6), "little") + 1)
        self._begin()

    def _begin(self):
        self._pid = os.getpid()
        self._attachment = _nobody  # weak references: what an attachment that is over had mapped goes with it
        self._anchored_to = _nobody
        self._anchor = None
        self._turn = 0  # of attachments
        self._owed = []
        self._idle = []
        self._busy = weakref.WeakSet()

    def next_request(self):
        """A number for a request of this process, to take back what it is granted."""
        return next(self._requests)

    def wait(self, *words, timeout_s=None, inherit=True):
        """Run a command that waits; its reply, an error raised.  What it was granted is the attachment's then.

        It waits as long as the command says, and `timeout_s` at most where that is given.
        Raises CoordinatorLostError, CoordinatorTimeoutError; nothing that was granted stays then.
        """
        link = self._take()
        kept = False
        try:
            link.send(encode_command(*words))
            reply = link.receive(timeout_s or 0)
            if inherit and reply and not isinstance(reply, Exception):
                self._inherit(link)
            kept = True
        finally:
            self._give_back(link, kept)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def owe(self, words):
        """A command that was to take something back was interrupted: it is made before anything else is asked for."""
        if len(self._owed) < OWED_MAX:  # those beyond were asked of nobody: the first of them could not be made yet
            self._owed.append(words)

    def may_own(self, attachment):
        """Whether prepare_to_own() has nothing to do for this attachment, which this process has made."""
        return self._anchored_to() is attachment and not self._owed

    def prepare_to_own(self):
        """Something is about to be granted: there is an anchor, and nothing is owed."""
        for words in list(self._owed):
            with contextlib.suppress(CallerError):  # it had been made, or there is nothing to take back any more
                self._store.command(*words)
            with contextlib.suppress(ValueError):  # by another thread meanwhile
                self._owed.remove(words)
        if self._pid != os.getpid():
            self.after_fork()
        attachment = self._store.live()
        if self._anchored_to() is attachment:
            return
        if not self._keeps_anchor(attachment):
            self._make_anchor(attachment)
        self._anchored_to = weakref.ref(attachment)

    def _make_anchor(self, attachment):
        """Let a new connection be the anchor; of the one there was the coordinator is gone."""
        anchor = self._link(attachment)
        try:
            anchor.number = checked_reply(anchor.command(b"NOSQGRID.COMPANION", b"ANCHOR", attachment.info["session"]),
                                          int, self._store.address)
        except CommandError as error:
            anchor.close()
            attachment.end()
            raise CoordinatorLostError("the coordinator at %s has ended the attachment (%s)"
                                       % (self._store.address, error)) from error
        previous, self._anchor = self._anchor, anchor
        if previous is not None:
            previous.close()

    def _keeps_anchor(self, attachment):
        """Whether the anchor of the attachment before is one at the same coordinator: it has what that one owned."""
        anchor = self._anchor
        if anchor is None or anchor.ended():
            return False
        try:
            anchor.command(b"NOSQGRID.COMPANION", b"ANCHOR", attachment.info["session"])
            self._store.command(b"NOSQGRID.INHERIT", anchor.number)
        except (CommandError, CoordinatorLostError):
            return False
        return True

    def _link(self, attachment):
        """A new connection to the coordinator of an attachment."""
        try:
            return Link(self._store.address, self._store.timeout_s)
        except NotServedError as error:
            attachment.end()  # it had not noticed yet
            raise CoordinatorLostError("the coordinator at %s is gone" % self._store.address) from error

    def _inherit(self, link):
        try:
            self._store.command(b"NOSQGRID.INHERIT", link.number)
        except CommandError as error:
            raise CoordinatorLostError("the coordinator at %s is another one by now (%s); what was granted is given "
                                       "back" % (self._store.address, error)) from error

    def _take(self):
        if self._pid != os.getpid():
            self.after_fork()
        attachment = self._store.live()
        if attachment is not self._attachment():
            self._turn += 1  # first: whoever gives one back meanwhile closes it
            self._close_idle()
            self._attachment = weakref.ref(attachment)
        turn = self._turn
        link = self._idle_one()
        if link is None:
            link = self._link(attachment)
            try:
                link.number = checked_reply(link.command(b"NOSQGRID.COMPANION"), int, self._store.address)
            except BaseException:
                link.close()
                raise
        link.turn = turn
        self._busy.add(link)
        if self._store.closed:  # meanwhile
            self._give_back(link, False)
            self._store.check_open()
        return link

    def _give_back(self, link, kept):
        self._busy.discard(link)
        if kept and link.turn == self._turn and len(self._idle) < IDLE_MAX and not self._store.closed:
            self._idle.append(link)
            return
        link.close()

    def _idle_one(self):
        """One that nobody uses, or None."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close_idle(self):
        while self._idle:
            link = self._idle_one()
            if link is not None:
                link.close()

    def forget(self):
        """The attachment that these were made beside is over, and its memory is not to stay because of them."""
        self._turn += 1
        self._close_idle()
        self._attachment = self._anchored_to = _nobody

    def close(self):
        """Close all of them; calls that wait raise CoordinatorLostError."""
        self.forget()
        if self._anchor is not None:
            self._anchor.close()
        for link in list(self._busy):
            link.shut()

    def after_fork(self):
        """In a forked child: they are the parent's, whose copies stay open."""
        for link in self._idle + list(self._busy) + [self._anchor] * (self._anchor is not None):
            link.close()
        self._begin()
