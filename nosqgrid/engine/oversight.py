"""What somebody wants with the commands of all: to see them (MONITOR), to hold them for a while (CLIENT PAUSE), or to
know which take long (SLOWLOG), or how often each is run (engine/command_stats).

As long as there is such a wish every session is special (engine/client_state), so that its commands pass through
commands/gate, which asks here.  Without one nothing of this costs anything.  Sets that a client of the grid posts into
its lane are not commands: nobody sees them, and a pause does not hold them.

Invariants
 1. A session whose command is held waits; it is answered when the pause is over, in the order of asking.
 2. As long as writes are held nothing that has expired is removed either.
 3. Who monitors sees each command before it runs, once, with the words that its client sent.
"""

from .command_stats import CommandStats
from .slowlog import OFF, SlowLog

ALL, WRITES = "ALL", "WRITE"
SLEEP_S_MAX = 3600.0
_UNSEEN = frozenset((b"AUTH", b"HELLO", b"QUIT", b"MONITOR", b"RESET"))
_HIDDEN_FLAGS = frozenset(("admin", "skip_monitor"))
_PLAIN_BYTES = frozenset(range(32, 127)) - frozenset(b'"\\')
_SHORT = {10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b", 34: '\\"', 92: "\\\\"}
_NEVER_HELD = frozenset((b"CLIENT|UNPAUSE", b"CLIENT|PAUSE", b"RESET", b"QUIT"))
_WRITE_LIKE = frozenset((b"PUBLISH", b"SPUBLISH", b"PFCOUNT", b"EVAL", b"EVALSHA", b"FCALL"))


class Oversight(object):
    """Of one grid.  `send(session, text)` sends a line to who monitors, `answer(session, reply)` an answer to who was
    held, `sessions()` are all there are, `now_us()` is a clock, in microseconds.
    """

    def __init__(self, keyspace, send, answer, sessions, now_us=None):
        self._keyspace = keyspace
        self._send = send
        self._answer = answer
        self._sessions = sessions
        self.monitors = {}  # session -> True
        self._held = []  # (context, words)
        self.paused_until_ms = 0
        self.paused = None  # None, ALL or WRITES
        self.now_us = now_us
        self.slowlog = SlowLog()
        self.stats = CommandStats()
        self._unanswered = {}  # session -> (row, words, us) of a command that was measured and put off

    @property
    def active(self):
        """Whether sessions have to be special."""
        return bool(self.monitors or self.paused or self.times)

    def _changed(self):
        for session in self._sessions():
            session.overseen = self.active
            session.changed()

    # -- measuring ----------------------------------------------------------------------------------------------------

    @property
    def times(self):
        """Whether commands are measured."""
        return self.slowlog.threshold_us != OFF or self.stats.on

    def count(self, on):
        """Count from now on what is run, or do so no more."""
        self.stats.on = on
        self._changed()

    def log_slow(self, threshold_us):
        """Note commands that take so long from now on, or none (OFF)."""
        self.slowlog.threshold_us = threshold_us
        self._changed()

    def measured(self, session, row, words, since_us, error):
        """A command is done that began then, with an error or None; or its session waits for the answer."""
        us = self.now_us() - since_us
        if session.waiting:
            self._unanswered[session] = row, words, us
        else:
            self._note(session, row, words, us, error)

    def answered(self, session, error):
        """A session that waited for its answer has it, an error or None; the time that it waited does not count."""
        row, words, us = self._unanswered.pop(session, (None, None, 0))
        if row is not None:
            self._note(session, row, words, us, error)

    def _note(self, session, row, words, us, error):
        if self.stats.on:
            self.stats.note(row.name, us, error)
        if self.slowlog.threshold_us != OFF:
            self.slowlog.note(session, row, words, us, self._keyspace.wall_ms() // 1000)

    # -- seeing -------------------------------------------------------------------------------------------------------

    def monitor(self, session):
        """Let a session see what all do from now on."""
        self.monitors[session] = True
        session.monitors = True
        self._changed()

    def session_ended(self, session):
        """The session is gone, or begins anew."""
        self._held = [(context, words) for context, words in self._held if context.session is not session]
        self._unanswered.pop(session, None)
        if self.monitors.pop(session, None):
            session.monitors = False
            self._changed()

    def show(self, session, row, words):
        """Let those who monitor see a command."""
        if not self.monitors or row.name in _UNSEEN or not row.flags.isdisjoint(_HIDDEN_FLAGS):
            return
        wall_ms = self._keyspace.wall_ms()
        text = "%d.%06d [%d %s] %s" % (wall_ms // 1000, wall_ms % 1000 * 1000, session.database,
                                       _shown_address(session.address), " ".join(map(quoted, words)))
        for watcher in list(self.monitors):
            self._send(watcher, text)

    # -- holding ------------------------------------------------------------------------------------------------------

    def pause(self, timeout_ms, kind):
        """Hold commands for so long; of two pauses the longer and the stricter counts."""
        self.paused_until_ms = max(self.paused_until_ms, self._keyspace.now_ms + timeout_ms)
        self.paused = ALL if ALL in (kind, self.paused) else WRITES
        self._keyspace.held = True
        self._changed()

    def unpause(self):
        """Hold nothing any more."""
        self.paused, self.paused_until_ms = None, 0
        self._keyspace.held = False
        self._changed()
        held, self._held = self._held, []
        for context, words in held:
            context.session.waiting = False
            self._answer(context, words)

    def holds(self, session, row):
        """Whether a command has to wait."""
        if self.paused is None or row.name in _NEVER_HELD:
            return False
        if self.paused_until_ms <= self._keyspace.now_ms:
            return False  # over, as tick() is about to find out
        if self.paused == ALL:
            return True
        if row.name == b"EXEC":
            return any("write" in queued.flags for queued, _ in session.queued or ())
        return "write" in row.flags or row.name in _WRITE_LIKE

    def hold(self, context, words):
        """Keep a command until the pause is over; the reply to return."""
        self._held.append((context, words))
        return context.defer()

    def tick(self, now):
        """Called now and then by the loop."""
        if self.paused is not None and self.paused_until_ms <= self._keyspace.now_ms:
            self.unpause()

    def sleep_s(self, now):
        """For how many seconds there is nothing to do."""
        if self.paused is None:
            return SLEEP_S_MAX
        return max(self.paused_until_ms - self._keyspace.now_ms, 1) / 1000.0


def _shown_address(address):
    """Where a session comes from, as MONITOR shows it.

    >>> _shown_address("/run/nosq.sock:0"), _shown_address("127.0.0.1:40000")
    ('unix:/run/nosq.sock', '127.0.0.1:40000')
    """
    return "unix:" + address[:-2] if address.startswith("/") else address


def quoted(word):
    """A word in quotation marks, as MONITOR shows it.

    >>> quoted(b'a"b\\x00')
    '"a\\\\"b\\\\x00"'
    """
    return '"%s"' % "".join(chr(byte) if byte in _PLAIN_BYTES else _SHORT.get(byte) or "\\x%02x" % byte
                            for byte in word)
