"""Who keeps which keys in a cache of its own, and is told when they change: CLIENT TRACKING.

A session either has the keys remembered that it reads, each until the first change of it, or it is told of all changes
of keys that begin with certain prefixes ("broadcast").  Names of keys count here, whatever database they belong to, as
in Redis.  The keyspace calls touched() for each change, whoever made it; what follows from that is kept until flush(),
which the loop calls before the one who made the change is answered.

Invariants
 1. While a session tracks, the keyspace tells of changes; while none does, it does not, and nothing here costs
    anything.
 2. `items` is the number of sessions remembered over all keys of the table.
 3. What a session has changed itself it is told after the reply to the command that changed it.
 4. Of the table `keys_max` keys are kept at most; who read a key that has to go is told as if it had changed.

All of it is gone with the process, and so are the connections that it is about.
"""

from collections import OrderedDict

from .databases import is_hidden, name_of

KEYS_MAX = 1000000
CHANNEL = b"__redis__:invalidate"  # for those who listen in RESP2
SLEEP_S_MAX = 3600.0


class Tracked(object):
    """How one session tracks."""

    __slots__ = ("broadcast", "optin", "optout", "noloop", "redirect", "caching", "broken", "prefixes", "own")

    def __init__(self):
        self.broadcast = self.optin = self.optout = self.noloop = False
        self.redirect = 0  # the session that is told in the place of this one, or 0
        self.caching = False  # CLIENT CACHING was said, for the next command
        self.broken = False  # that session has gone
        self.prefixes = {}
        self.own = []  # names that it has changed itself, None for all, to be told after the reply

    def remembers(self):
        """Whether what is read by the present command is to be remembered."""
        return not (self.broadcast or self.optin and not self.caching or self.optout and self.caching)


class Tracking(object):
    """Of one grid.  `push(session, parts)` sends a message, `hurry(session)` has what was sent leave as soon as can be,
    `find(number)` is the session with that number or None.
    """

    def __init__(self, keyspace, push, find, hurry=lambda session: None):
        self._keyspace = keyspace
        self._push = push
        self._hurry = hurry
        self.find = find
        self.sessions = {}  # number -> session that tracks
        self.prefixes = {}  # prefix -> {number: session}
        self.keys_max = KEYS_MAX
        self.current = None  # the session whose command is run, where that one tracks
        self.items = 0
        self._table = OrderedDict()  # name -> number of who read it, or a set of several; the oldest first
        self._messages = []  # (session, names or None)
        self._changed = {}  # prefix -> {name: number of who changed it last, 0 for others}

    def __len__(self):
        """How many keys are remembered."""
        return len(self._table)

    # -- who tracks ---------------------------------------------------------------------------------------------------

    def begin(self, session, redirect, broadcast, optin, optout, noloop, prefixes):
        """Let a session track, or track in another way; what it has read remains remembered."""
        tracked = session.tracking
        if tracked is None:
            tracked = session.tracking = Tracked()
            self.sessions[session.id] = session
            session.changed()
            if len(self.sessions) == 1:
                self._keyspace.tell_changes(self.touched)
        tracked.redirect, tracked.broken, tracked.broadcast = redirect, False, broadcast
        tracked.optin, tracked.optout, tracked.noloop = optin, optout, noloop
        if broadcast:
            for prefix in prefixes or [b""]:
                tracked.prefixes[prefix] = True
                self.prefixes.setdefault(prefix, {})[session.id] = session

    def session_ended(self, session):
        """The session tracks no more."""
        tracked = session.tracking
        if tracked is None:
            return
        for prefix in tracked.prefixes:
            listeners = self.prefixes[prefix]
            del listeners[session.id]
            if not listeners:
                del self.prefixes[prefix]
        session.tracking = None
        del self.sessions[session.id]
        session.changed()
        if not self.sessions:
            self._forget_keys()
            self._keyspace.tell_changes(self.touched, False)

    def _forget_keys(self):
        self._table.clear()
        self.items = 0

    # -- what they read -----------------------------------------------------------------------------------------------

    def remember(self, session, keys):
        """A session reads keys, in a batch maybe; what has expired by now is gone for all."""
        keyspace = self._keyspace
        if not keyspace.staging:
            for key in keys:
                keyspace.drop_expired(key)
        if keys and session.tracking is not None and session.tracking.remembers():
            keyspace.when_published(lambda: self._remember(session, keys))

    def _remember(self, session, keys):
        table, number = self._table, session.id
        if session.tracking is None:
            return
        for key in keys:
            name = name_of(key)
            readers = table.get(name)
            if readers is None:
                table[name] = number
                self.items += 1
            elif type(readers) is set:
                self.items += number not in readers
                readers.add(number)
            elif readers != number:
                table[name] = {readers, number}
                self.items += 1
        self._keep_bounds()

    def keep(self, keys_max):
        """Remember so many keys from now on; 0 for any number."""
        self.keys_max = keys_max
        self._keep_bounds()

    def _keep_bounds(self):
        current, self.current = self.current, None  # who has to be told although he changes nothing
        while 0 < self.keys_max < len(self._table):
            self._invalidate(next(iter(self._table)))
        self.current = current

    def command_ended(self, session, name):
        """A command of a session that tracks has been run; CLIENT CACHING holds for one, a transaction being one."""
        self.current = None
        tracked = session.tracking
        if tracked is not None and tracked.caching and session.queued is None and name.upper() != b"CLIENT":
            tracked.caching = False

    # -- what changes -------------------------------------------------------------------------------------------------

    def touched(self, key, kind):
        """A key has changed, or all have (None)."""
        if key is None:
            self.flushed()
            return
        if is_hidden(key):
            return
        name, current = name_of(key), self.current
        for prefix in self.prefixes:
            if name.startswith(prefix):
                self._changed.setdefault(prefix, {})[name] = current.id if current is not None else 0
        self._invalidate(name)

    def flushed(self):
        """All keys, or those of a database, are about to go: everybody is told so at once."""
        for session in self.sessions.values():
            self._tell(session, None)
        self._forget_keys()

    def _invalidate(self, name):
        readers = self._table.pop(name, None)
        if readers is None:
            return
        readers = readers if type(readers) is set else (readers,)
        self.items -= len(readers)
        for number in readers:
            session = self.sessions.get(number)
            if session is None or session.tracking.broadcast:
                continue  # it was before that it read the key
            if session is not self.current or not session.tracking.noloop:
                self._tell(session, [name])

    def _tell(self, session, names):
        if session is self.current:
            session.tracking.own.append(names)
        else:
            self._messages.append((session, names))

    # -- what is sent -------------------------------------------------------------------------------------------------

    @property
    def pending(self):
        """Whether there is something for flush()."""
        return bool(self._messages or self._changed)

    def replied(self, session):
        """The reply to the command of a session that tracks is on its way: what it has changed follows."""
        tracked = session.tracking
        if tracked is None or not tracked.own:
            return
        own, tracked.own = tracked.own, []
        for names in own:
            self._send(session, names)

    def flush(self):
        """Send what is pending."""
        messages, self._messages = self._messages, []
        changed, self._changed = self._changed, {}
        told = {}
        for session, names in messages:
            self._send(session, names, told)
        for prefix, names in changed.items():
            for number, session in list(self.prefixes.get(prefix, {}).items()):
                if session.tracking.noloop:
                    names_of_others = sorted(name for name, changer in names.items() if changer != number)
                    if names_of_others:
                        self._send(session, names_of_others, told)
                else:
                    self._send(session, sorted(names), told)
        for session in told:
            self._hurry(session)

    def _send(self, session, names, told=None):
        """Tell a session that tracks, or the one that it redirects to; it is noted in `told`."""
        tracked, target = session.tracking, session
        if tracked is None:
            return
        parts = [b"invalidate", names]
        if tracked.redirect:
            target = self.find(tracked.redirect)
            if target is None:
                tracked.broken = True
                target, parts = session, [b"tracking-redir-broken", tracked.redirect]
        if target.protocol == 2:
            if parts[0] != b"invalidate" or not tracked.redirect or not target.subscriptions():
                return  # it cannot be told anything beside replies
            parts = [b"message", CHANNEL, names]
        self._push(target, parts)
        if told is not None:
            told[target] = True

    # -- of the loop --------------------------------------------------------------------------------------------------

    def tick(self, now):
        """Called now and then by the loop: what nobody's command has changed, as keys that expire."""
        if self.pending:
            self.flush()

    def sleep_s(self, now):
        """For how many seconds there is nothing to do."""
        return 0.0 if self.pending else SLEEP_S_MAX
