"""What this process holds: presented to each coordinator that it attaches to, given back when the grid is closed."""

import os

from ...errors import LockLostError, NosqgridError


DEPTH, TTL, THREAD = 3, 4, 5  # where a Grant's words have them


class Grant(object):
    """One lock that this process holds, as it would be presented to another coordinator."""

    __slots__ = ("name", "token", "abandoned", "words", "pid", "thread", "ended", "lost")

    def __init__(self, name, token, abandoned, words):
        self.name = name
        self.token = token
        self.abandoned = abandoned
        self.words = words  # of LOCK.RECLAIM, behind the token
        self.pid = os.getpid()
        self.thread = words[THREAD]
        self.ended = False  # whether this process has begun to give it back
        self.lost = None  # why it is not held any more, where that is known


class Held(object):
    """The locks that a process holds through one store.  Two of one token are two levels of a reentrant lock."""

    def __init__(self):
        # id -> Grant.  Without a lock: each of these calls is one step of the interpreter, and before Python 3.10 an
        # interrupt can leave a lock taken at the beginning of its `with`.
        self._grants = {}

    def add(self, *grants):
        self._grants.update((id(grant), grant) for grant in grants)

    def remove(self, grant):
        self._grants.pop(id(grant), None)

    def all(self):
        return list(self._grants.values())

    def present(self, attachment):
        """Present all of them to the coordinator of a new attachment; those that it refuses are lost."""
        for grants, words in self.claims():
            try:
                attachment.command(*words)
            except LockLostError as error:
                self.refused(grants, error)

    def claims(self):
        """[([Grant], the words that present them)]: those of one token together."""
        by_token = {}
        for grant in self.all():
            by_token.setdefault(grant.token, []).append(grant)
        found = []
        for grants in by_token.values():
            words = [b"LOCK.RECLAIM", grants[0].name, grants[0].token] + list(grants[0].words)
            words[3 + DEPTH] = sum(grant.words[DEPTH] for grant in grants)
            found.append((grants, words))
        return found

    def refused(self, grants, error):
        """A coordinator does not know of these."""
        for grant in grants:
            grant.lost = str(error)
            self.remove(grant)

    def after_fork(self):
        """In a forked child: the parent has them."""
        self._grants = {}

    def release_all(self, command):
        """Give all of them back, as the grid is closed."""
        for grant in self.all():
            self.remove(grant)
            try:
                command(b"LOCK.RELEASE", grant.name, grant.token)
            except NosqgridError as error:  # it is over in any case: with the session that ends now
                grant.lost = str(error)
