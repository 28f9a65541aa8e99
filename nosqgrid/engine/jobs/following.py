"""Who is told of the ends of which jobs: an executor, of those that it has put.

A session follows jobs by their ids, and asks now and then which of them have ended.  It is answered at once where some
have, or with the next one that does; a job that ended is told once.

Invariants
 1. A job is followed by one session at most, the last that said so.
 2. What is told was published.

It is forgotten with the coordinator: a session of the next one follows anew what it still waits for.
"""

from collections import deque
from functools import partial

from ...errors import UnknownJobError
from ..structures.job_records import RESERVED, STATES, unpack_notes
from .ids import parse_id

FORGOTTEN = b"forgotten"
TOLD_MAX = 1000  # jobs in one answer
TOLD_BYTES_MAX = 8 << 20


class _Follower(object):
    """What one session follows."""

    __slots__ = ("followed", "ended", "asks")

    def __init__(self):
        self.followed = set()
        self.ended = deque()
        self.asks = None  # the context of its question that is not answered yet


class Following(object):
    """All who follow in one grid.  `jobs` calls ended() for each id in its `followed`."""

    def __init__(self, jobs, waiting):
        self._jobs = jobs
        self._waiting = waiting
        self._followers = {}
        self._sessions = jobs.followed  # id -> session
        jobs.ended = self.ended

    def follow(self, session, words):
        """From now on a session follows these ids too; of one that has ended it is told the next time."""
        follower = self._followers.get(session)
        if follower is None:
            follower = self._followers[session] = _Follower()
        for word in words:
            job = self._job(word)
            if job is None or job[0][0] > RESERVED:
                follower.ended.append(word)
                continue
            other = self._sessions.get(word)
            if other is not None:
                self._followers[other].followed.discard(word)
            self._sessions[word] = session
            follower.followed.add(word)

    def follow_when_published(self, session, words):
        """The same for jobs that are just being put."""
        self._jobs.keyspace.when_published(partial(self._follow_if_there, session, words))

    def _follow_if_there(self, session, words):
        if not session.closed:
            self.follow(session, words)

    def ended(self, word):
        """A job that somebody follows has ended."""
        session = self._sessions.pop(word, None)
        if session is None:
            return
        follower = self._followers[session]
        follower.followed.discard(word)
        follower.ended.append(word)
        if follower.asks is not None and self._waiting.waits(session):
            context, follower.asks = follower.asks, None
            self._waiting.finish(session, self.told(context))

    def told(self, context):
        """[[id, state, type, what came of it]...] of jobs that have ended; they are not told again."""
        follower = self._followers.get(context.session)
        told, size = [], 0
        while follower is not None and follower.ended and len(told) < TOLD_MAX and size < TOLD_BYTES_MAX:
            word = follower.ended.popleft()
            told.append([context.shown_key(word)] + self._outcome(word))
            size += len(told[-1][3])
        return told

    def ask(self, context, timeout_s):
        """Wait for the next end; the reply to return now."""
        follower = self._followers.setdefault(context.session, _Follower())
        reply = context.block((), timeout_s, None, [])
        if reply is context.deferred:
            follower.asks = context
        return reply

    def _outcome(self, word):
        """[state, type, result or error] of a job."""
        job = self._job(word)
        if job is None:
            return [FORGOTTEN, 0, b""]
        noted = unpack_notes(job[4])
        if b"result" in noted or b"type" in noted:
            return [STATES[job[0][0]], int(noted.get(b"type", b"0")), noted.get(b"result", b"")]
        return [STATES[job[0][0]], 0, noted.get(b"error", b"")]

    def _job(self, word):
        try:
            key, number = parse_id(word)
        except UnknownJobError:
            return None
        queue = self._jobs.queue(key)
        return None if queue is None else queue.jobs.get(number)

    def session_ended(self, session):
        """The session is gone."""
        follower = self._followers.pop(session, None)
        for word in () if follower is None else follower.followed:
            del self._sessions[word]
