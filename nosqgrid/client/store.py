"""The store behind a grid: keeps an attachment, makes another when that is over, and speaks in raw keys and payloads.

Which call makes a new attachment, and which fails
 1. Reads do not: they go on from the last state of the arena, in a forked child from the parent's map.  Only a large
    value that this process has not mapped yet has to be asked for, which is a call as in 2.
 2. A call that needs the coordinator attaches anew when its attachment is known to be over (after fork, after a loss).
 3. A call in whose middle the coordinator dies raises CoordinatorLostError: whether it took effect is not known.  With
    `reconnect` seconds the call is made again on the next coordinator if doing it twice is the same as once (set,
    delete, expire), else it raises too.
"""

import os
import threading
import time

from ..errors import (ClosedError, CoordinatorError, CoordinatorLostError, CoordinatorTimeoutError, NotServedError,
                      WrongTypeError)
from ..formats.resp import encode_command
from ..formats.values import STRUCTURE_NAMES
from .attachment import FORK_HOOKED, Attachment, Unsent
from .fastget import Retired, make_get
from .link import Link
from .links import Links
from .locks.held import Held
from .queues.got import Got
from .queues.keeper import Keeper

RETRY_S = 0.02  # between attempts to reach a coordinator that is starting
DYING_S = 2.0  # for which a coordinator that listens no more may still have open connections
START_TRIES = 10  # of a grid that starts its coordinator itself: each lost one met a coordinator that was just ending
PROGRESS_S = 0.1  # between two looks at how far a checkpoint is
LEAVE_S = 60.0  # for the last checkpoint, when the last one leaves


class Store(object):
    """One per Grid, its `owner`.  `publish_get(get)` receives the hot read function of each new attachment.

    `starter` (client/embedded) starts a coordinator where nobody serves, or is None; then `address` is one.
    """

    def __init__(self, address, timeout_s, reconnect_s, near_cache_bytes, publish_get, owner, codec, starter=None):
        self.address = address if starter is None else starter.address()
        self.starter = starter
        self.tries_again = reconnect_s > 0 or starter is not None
        self.timeout_s = timeout_s
        self.reconnect_s = reconnect_s
        self.near_cache_bytes = near_cache_bytes
        self.codec = codec
        self._quotas = {}  # name of a map -> (bytes, policy)
        self.closed = False
        self._publish_get = publish_get
        self._owner = owner
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._retire = None
        self.links = Links(self)
        self.held = Held()
        self.got = Got(self.command)
        self.keeper = Keeper()
        self.aio = None  # what awaits through this one (client/aio)
        self.attachment = None
        self._attach_within(0.0)

    def _attach(self):
        attachment = Attachment(self.address, self.timeout_s)
        try:
            self.codec.check_peer(attachment.link.sock)
        except BaseException:
            attachment.end()
            raise
        get, retire = make_get(attachment.reader, self.near_cache_bytes, self._get_again, owner=self._owner,
                               open_large=lambda found: self.large(attachment, found), unpickle=self.codec.loads,
                               lane_words=attachment.note_words, decoders=self.codec.decoders,
                               decode_any=self.codec.decode_any)
        previous, retire_previous = self.attachment, self._retire
        self.attachment, self._retire = attachment, retire
        self._publish_get(get)
        for name, (quota_bytes, policy) in list(self._quotas.items()):
            attachment.command(b"NOSQGRID.QUOTA", name, quota_bytes, policy or "")
        self.held.present(attachment)
        self.got.present(attachment)
        if previous is not None:
            retire_previous()
            previous.end()
            self.links.forget()

    def _get_again(self, key, default):
        """What a read function of an attachment that is over calls."""
        if self.closed:
            raise ClosedError("this grid was closed; attach again")
        return self.read_function(key, default)

    def thread(self):
        """Who asks, among those of this process: the word behind THREAD."""
        return b"%d" % threading.get_ident()

    def read_function(self, key, default):
        raise NotImplementedError("the grid sets this")

    def set_quota(self, name, quota_bytes, policy):
        """Give the keys name:* a quota, here and with every coordinator to come."""
        self.command(b"NOSQGRID.QUOTA", name, quota_bytes, policy or "")
        self._quotas[name] = quota_bytes, policy

    # -- calls --------------------------------------------------------------------------------------------------------

    def live(self):
        """The attachment to make a call on; attaches anew where the last one is over."""
        attachment = self.attachment
        if not attachment.lost and (FORK_HOOKED or attachment.usable()) and not self.closed:
            return attachment
        if self.closed:
            raise ClosedError("this grid was closed; attach again")
        if self._pid != os.getpid():
            self.after_fork()  # where no hook has done it (3.6)
        with self._lock:
            if not self.attachment.usable():
                if not FORK_HOOKED:
                    self.attachment.forget_after_fork()
                self._attach_within(self.reconnect_s)
            return self.attachment

    def regain(self, error):
        """A connection beside the attachment was lost, or could not be made: be attached to whoever serves.

        Raises NotServedError where nobody does for `reconnect` seconds.
        """
        attachment, deadline = self.attachment, time.monotonic() + DYING_S
        while attachment.alive():
            if isinstance(error, CoordinatorLostError):
                return  # that one alone
            if time.monotonic() >= deadline:
                raise error
            time.sleep(RETRY_S)
        attachment.end()
        self.live()

    def _attach_within(self, seconds):
        deadline, started = time.monotonic() + seconds, 0
        while True:
            try:
                self._attach()
                return
            except (NotServedError, CoordinatorLostError):
                if self.starter is not None and started < START_TRIES:
                    started += 1
                    self.starter.start()
                    self.address = self.starter.address()
                    continue
                if time.monotonic() >= deadline:
                    raise
            time.sleep(RETRY_S)

    def call(self, name, *arguments, again=False):
        """Call a method of the attachment by name, or a function on it.

        `again`: it may be done twice, so the next coordinator is tried where that is allowed.
        """
        attachment = self.live()
        try:
            return _call(attachment, name, arguments)
        except Unsent:
            attachment.end()
        except CoordinatorLostError:
            attachment.end()
            if not again or not self.tries_again:
                raise
        return _call(self.live(), name, arguments)

    def command(self, *words, again=False):
        """Run a command of the coordinator's table; its reply, an error raised."""
        return self.call("command", *words, again=again)

    def read(self, raw_key):
        """The record of a key as memory/reader gives it, live or None; a large value is put in, as a memoryview."""
        while True:
            attachment, found = self.locate(raw_key)
            if found is None or not found.large:
                return found
            payload = self.large(attachment, found)
            if payload is not None:
                return found._replace(value=payload)

    def large(self, attachment, found):
        """A memoryview of the large value that was found through an attachment; None where it is to be looked up again.

        A process that has not mapped it yet needs the coordinator for that; where the one that it was found at is gone,
        the next is attached to, or CoordinatorLostError or NotServedError raised.  WrongTypeError: it is a structure.
        """
        kind = STRUCTURE_NAMES.get(found.type)
        if kind is not None:
            raise WrongTypeError("this key has a %s of the Redis commands, no value: ask for it with these, over the "
                                 "grid's socket" % kind)
        try:
            return attachment.maps.large_of(found)
        except CoordinatorLostError:
            attachment.end()
            self.live()
            return None

    def locate(self, raw_key, with_value=True):
        """(attachment, live record or None), without the coordinator; as Reader.read gives it."""
        attachment, found = self._found(raw_key, with_value)
        if found is not None and found.deadline_ms and time.monotonic() * 1000 >= found.deadline_ms:
            found = None
        return attachment, found

    def _found(self, raw_key, with_value):
        while True:
            attachment = self.attachment
            try:
                return attachment, attachment.reader.read(raw_key, with_value)
            except (Retired, TypeError):
                # Another thread has closed the grid, or attached anew, in the middle of this read.
                self.check_open()
                if attachment is self.attachment:
                    raise

    def check_open(self):
        if self.closed:
            raise ClosedError("this grid was closed; attach again")

    def after_fork(self):
        """In a forked child: the locks may have been held by threads that do not exist here."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self.links.after_fork()
        self.held.after_fork()
        self.got.after_fork()
        self.keeper.after_fork()

    def connected(self):
        """Whether the coordinator of this attachment lives; a forked child that has none of its own yet makes one."""
        attachment = self.attachment
        if self.closed:
            return False
        if attachment.pid != os.getpid():
            try:
                attachment = self.live()
            except CoordinatorError:
                return False
        return attachment.alive()

    def close(self):
        """End the attachment; reads raise ClosedError from now on."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._retire()
            if self.attachment.usable():
                self.got.finish(self.attachment.command)
                self.held.release_all(self.attachment.command)
            self.links.close()
            if self.aio is not None:
                self.aio.close()
            if self.starter is not None and self.attachment.usable():
                self._leave()
            self.attachment.release()

    def _leave(self):
        """Say good-bye; the last one waits until everything is on the disk."""
        try:
            self.attachment.leave(LEAVE_S)
        except (CoordinatorLostError, CoordinatorTimeoutError):
            return  # it is gone, or stands: there is nobody to wait for

    def checkpoint(self, final, progress):
        """Have a checkpoint made, over a connection of its own; the reply map."""
        self.live()
        words = [b"NOSQGRID.CHECKPOINT"] + ([] if final is None else [os.fsencode(final)])
        link = Link(self.address, self.timeout_s)
        try:
            link.send(encode_command(*words))
            while True:
                try:
                    reply = link.receive(PROGRESS_S)
                    break
                except CoordinatorTimeoutError:
                    if progress is not None:
                        progress()
        finally:
            link.close()
        if isinstance(reply, Exception):
            raise reply
        return reply


def _call(attachment, name, arguments):
    return name(attachment, *arguments) if callable(name) else getattr(attachment, name)(*arguments)
