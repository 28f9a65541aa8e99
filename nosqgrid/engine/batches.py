"""Batches: a part of the keyspace (engine/keyspace).

Between begin() and commit() effects are staged; commit() logs and publishes them, rollback() forgets them.  Who listens
to changes (`touched`) hears of a change when it is published, and of a change and a reading of one key in the order in
which the batch made them.

A kill at any line: what was staged is gone, or the log has all of it.
"""

from ..errors import GridFullError, InvariantError
from ..formats.slots import FIRST_REAL
from .changes import SET


class Batches(object):
    """What a keyspace does to let several effects take place together."""

    touched = None
    _receivers = ()  # (receiver, what the hot path tells instead, or None)

    def begin(self):
        """Stage effects from here on."""
        if self._staged is not None:
            raise InvariantError("a batch within a batch")
        self._staged = {}
        self.staging = True
        self._effects = []
        self._undo = []
        self._told = []
        self._version_before = self.version
        if self._tracker is not None:
            self._tracker.batch_begins()

    def commit(self):
        """Log and publish what was staged.

        Raises GridFullError where the index has no room and DiskError where the log takes nothing, with everything
        rolled back.
        """
        staged, effects = self._staged, self._effects
        if not staged and not effects:  # structures were changed, or nothing was, and no log hears of it
            self._staged = None
            self.staging = False
            self.cleaner.excluded.clear()
            if self._told:
                self._tell_all(staged)
            return
        try:
            if not self.index.make_room(len(staged)) and not self.room.make_slots(lambda: self._new_hashes(staged)):
                raise GridFullError("the index has no room for %d more keys; start the coordinator with more --memory"
                                    % len(staged))
            if effects and self.log is not None:
                self.log.append(self._version_before + 1, len(effects), b"".join(effects))
        except BaseException:
            self.rollback()
            raise
        self.behind = True
        self._staged = None
        self.staging = False
        self.cleaner.excluded.clear()
        self.index.held = True
        try:
            for key, offset in staged.items():
                if offset:
                    self._publish(key, offset, self.size_at(offset))
                else:
                    self.remove(key)
        except GridFullError as error:  # make_room() said otherwise; it must not pass for a write that was refused
            raise RuntimeError("a key that was logged found no slot") from error
        self.behind = False
        self.index.let_go()
        if self._told:
            self._tell_all(staged)

    def _new_hashes(self, staged):
        """The hashes of the staged keys that will need a slot and have none."""
        hashes = [(key, self.hash_of(key)) for key, offset in staged.items() if offset]
        return [key_hash for key, key_hash in hashes if self._find(key, key_hash)[1] < FIRST_REAL]

    def rollback(self):
        """Forget what was staged."""
        staged, self._staged = self._staged, None
        self.staging = False
        self._told = []
        self.version = self._version_before
        self.cleaner.excluded.clear()
        self._take_back()
        for offset in staged.values():
            if offset:
                self._dead(offset)

    def _logged(self, function, *arguments):
        """One primitive as a batch of its own."""
        self.begin()
        try:
            result = function(*arguments)
        except BaseException:
            self.rollback()
            raise
        self.commit()
        return result

    def _stage(self, key, offset):
        earlier = self._staged.get(key, 0)
        if earlier:
            self._dead(earlier)
        self._staged[key] = offset
        if self.touched is not None:
            self._told.append(key)

    def staged_keys(self):
        """The keys that the batch under way has written or deleted."""
        return list(self._staged or ())

    def staged_offsets(self):
        """Where the records lie that are written and not yet published."""
        return [offset for offset in (self._staged or {}).values() if offset]

    # -- who is told --------------------------------------------------------------------------------------------------

    def tell_changes(self, receiver, told=True, hot=None):
        """From now on receiver(key, kind) is called for each published change of a key, whatever made it; or no more.

        The kind is one of engine/changes; CLEAR comes with the key None.  A batch counts with what comes out of it: a
        key that it changes several times is told of once.  None as a kind says once more that a key has changed, now
        that everything of a batch is published.

        Meanwhile the hot path of writing stands aside, unless the only receiver has a hot(key) to be called there for
        each key that is set, in the middle of it.
        """
        self._receivers = [pair for pair in self._receivers if pair[0] != receiver] + [(receiver, hot)] * told
        self.touched = None
        if self._receivers:
            self.touched = self._tell_each if len(self._receivers) > 1 else self._receivers[0][0]
        self.make_hot_paths()

    def _tell_each(self, key, kind):
        for receiver, _ in self._receivers:
            receiver(key, kind)

    def _hot_tell(self):
        """What the hot path tells of each key that is set: a function, None for nobody, False where it stands aside."""
        if not self._receivers:
            return None
        return self._receivers[0][1] or False if len(self._receivers) == 1 else False

    def when_published(self, function):
        """Call a function when what the batch under way has done by now is published, at once where there is none;
        never where it is taken back.
        """
        if self._staged is None:
            function()
        else:
            self._told.append(function)

    def _tell(self, key, gone):
        """A structure has changed; it is `gone` where it has no elements any more, which was told already."""
        if self._staged is None:
            self.touched(key, None if gone else SET)
        else:
            self._told.append(key)

    def _tell_all(self, staged):
        """What the batch made is published; what became of these keys was told when that was done."""
        told, self._told = self._told, []
        known = set(staged)
        for item in told:
            if type(item) is not bytes:
                item()
            elif self.touched is not None:
                self.touched(item, None if item in known else SET)
                known.add(item)
