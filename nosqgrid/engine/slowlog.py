"""Commands that took long: the last of them, with what they were.

Nothing is measured unless somebody has said how long is long (CONFIG SET slowlog-log-slower-than): as long as that is
so, every session is special (engine/oversight) and pays for two looks at a clock with each command.
"""

from collections import deque, namedtuple

OFF = -1
LENGTH_DEFAULT = 128
_WORDS_MAX = 32
_WORD_BYTES_MAX = 128
_UNSEEN = frozenset((b"EXEC",))  # its commands are seen
_REDACTED = b"(redacted)"

Slow = namedtuple("Slow", "number wall_s us words address name")


class SlowLog(object):
    """Of one server."""

    def __init__(self):
        self.threshold_us = OFF
        self._entries = deque(maxlen=LENGTH_DEFAULT)
        self._number = 0

    def __len__(self):
        return len(self._entries)

    def keep(self, count):
        """Keep so many from now on."""
        self._entries = deque(self._entries, maxlen=min(count, 1 << 20))

    def clear(self):
        """Forget those that are there; their numbers are not given again."""
        self._entries.clear()

    def latest(self, count):
        """So many, the last first; all for -1."""
        found = list(reversed(self._entries))
        return found if count < 0 else found[:count]

    def note(self, session, row, words, us, wall_s):
        """A command took so many microseconds."""
        if us < self.threshold_us or row.name in _UNSEEN:
            return
        shown = [_shortened(word) for word in without_secrets(row.name, words)[:_WORDS_MAX]]
        if len(words) > _WORDS_MAX:
            shown[-1] = b"... (%d more arguments)" % (len(words) - _WORDS_MAX + 1)
        self._entries.append(Slow(self._number, wall_s, us, shown, session.address, session.name))
        self._number += 1


def without_secrets(name, words):
    """The words of a command with those that are nobody's business taken out."""
    if name == b"AUTH":
        return words[:1] + [_REDACTED] * (len(words) - 1)
    if name == b"ACL|SETUSER":
        return words[:2] + [_REDACTED] * (len(words) - 2)
    if name not in (b"HELLO", b"CONFIG|SET"):
        return words
    shown = list(words)
    for index, word in enumerate(words):
        count = {b"auth": 2 if name == b"HELLO" else 0, b"requirepass": 1}.get(word.lower(), 0)
        for secret in range(index + 1, min(index + 1 + count, len(words))):
            shown[secret] = _REDACTED
    return shown


def _shortened(word):
    if len(word) <= _WORD_BYTES_MAX:
        return word
    return word[:_WORD_BYTES_MAX] + b"... (%d more bytes)" % (len(word) - _WORD_BYTES_MAX)
