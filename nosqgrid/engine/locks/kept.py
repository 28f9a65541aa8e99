"""What is kept of locks where there is a log: how a grant becomes a record of engine/structures/grants, and back.

    g<token>    name, mode, units, limit, reentrant, detached, depth, ttl_ms, since (wall clock, ms), request, thread,
                info, and the seven words of its Holder
    a<name>     the lock was abandoned
    e<name>     the event is set
    l<name>     the latch, and how many it waits for

Changes are gathered and saved together, as one entry of the log, before anybody is told of them.  What the log does not
take has not happened, except that something ended: that is tried again with the next.
"""

from ...errors import CorruptValueError, NosqgridError
from ..databases import LOCKS, in_space
from ..structures.grants import Grants
from . import holders
from .table import MODES, TOKEN_MAX, UNITS, Request

KEY = in_space(LOCKS, b"grants")
TOKENS_AHEAD = 1 << 20  # so many more tokens may be given before it is logged again how far they may be
TOKENS_LEFT_MIN = 1 << 19
TOKEN_EPOCH_MS = 1577836800000  # of the wall clock: 2020
TOKEN_SHIFT = 14
_GRANT_WORDS = 12


class Kept(object):
    """Saves what changes about the locks of a keyspace.  as_write(keyspace, function): its changes are one entry."""

    def __init__(self, keyspace, as_write):
        self._keyspace = keyspace
        self._as_write = as_write
        self._changes = []
        self._tokens_to = 0  # what the log says

    @property
    def structure(self):
        """The Grants there are outside of a batch, or None."""
        return self._keyspace.structures.by_key.get(KEY)

    def first_token(self):
        """Tokens are above this number: the clock may have been set back, and the log may have lost its last second."""
        structure = self.structure
        by_clock = max(self._keyspace.wall_ms() - TOKEN_EPOCH_MS, 0) << TOKEN_SHIFT
        return max(by_clock, structure.high if structure is not None else 0)

    def put(self, key, *words):
        """A record is to be there."""
        if self._keyspace.log is not None:
            self._changes.append([b"put", key] + list(words))

    def delete(self, key):
        """A record is to be there no more."""
        if self._keyspace.log is not None:
            self._changes.append([b"del", key])

    def put_grant(self, grant):
        """A grant is new, or something about it is."""
        if self._keyspace.log is not None:
            since_ms = grant.since_ms + self._keyspace.wall_ms() - self._keyspace.now_ms
            self.put(b"g%d" % grant.token, *(_grant_words(grant, since_ms) + grant.asked.who.words()))

    def delete_grant(self, grant):
        self.delete(b"g%d" % grant.token)

    def save(self, last_token):
        """Log what was gathered; raises NosqgridError where that cannot be, and keeps what has ended for the next time.
        """
        if not self._changes:
            return
        if self._keyspace.log is None:
            self._changes = []
            return
        if self._keyspace.staging:
            raise NosqgridError("locks cannot be saved within a batch")
        changes, self._changes = self._changes, []
        if last_token + TOKENS_LEFT_MIN > self._tokens_to:
            changes.append([b"high", b"%d" % (last_token + TOKENS_AHEAD)])
        try:
            self._as_write(self._keyspace, lambda: self._apply(changes))
        except NosqgridError:
            self._changes = self._still_to_end(changes)
            raise
        if changes[-1][0] == b"high":
            self._tokens_to = last_token + TOKENS_AHEAD

    def _apply(self, changes):
        for words in changes:
            self._keyspace.update(KEY, self._keyspace.structure(KEY, Grants), Grants, words)

    def _still_to_end(self, changes):
        """Of changes that were not logged, those that have happened all the same and would be found after a restart."""
        structure = self.structure
        if structure is None:
            return []
        ended = dict.fromkeys(words[1] for words in changes if words[0] == b"del" and words[1] in structure.items)
        return [[b"del", key] for key in ended]

    def leave(self, key):
        """A record stays as it is, whatever was to become of it."""
        self._changes = [words for words in self._changes if words[1] != key]

    @property
    def owes(self):
        """Whether something that ended is not in the log yet."""
        return bool(self._changes)

    def forget(self):
        """Let go of a structure that nothing keeps up to date: there is no log."""
        if self.structure is not None:
            self._keyspace.delete(KEY)


def _grant_words(grant, since_ms):
    asked = grant.asked
    return [grant.name, asked.mode, b"%d" % grant.units, b"%d" % asked.limit, b"%d" % asked.reentrant,
            b"%d" % asked.detached, b"%d" % grant.depth, b"%d" % grant.ttl_ms, b"%d" % since_ms, b"%d" % asked.request,
            asked.thread, asked.info]


def read_grant(key, words):
    """(token, Request, since by the wall clock) of a record; CorruptValueError where it is none."""
    try:
        token = int(key[1:])
        name, mode = words[:2]
        thread, info = words[_GRANT_WORDS - 2:_GRANT_WORDS]
        mode = MODES[MODES.index(mode)]  # the very object
        numbers = [int(word) for word in words[2:_GRANT_WORDS - 2]]
        units, limit, reentrant, detached, depth, ttl_ms, since_ms, number = numbers
    except ValueError as error:
        raise CorruptValueError("no grant of a lock: %.100r" % (words,)) from error
    if not 0 < token < TOKEN_MAX or min(numbers) < 0 or not depth or mode is UNITS and not 0 < units <= limit:
        raise CorruptValueError("a grant of a lock with token %d: %.100r" % (token, words))
    request = Request((name,), None, holders.from_words(words[_GRANT_WORDS:]), None, mode, units, limit,
                      bool(reentrant), ttl_ms, thread, number, info, bool(detached), depth)
    return token, request, since_ms
