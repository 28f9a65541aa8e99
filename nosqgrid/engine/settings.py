"""Settings as CONFIG GET and CONFIG SET know them.

Every setting of Redis 7.0 has its name here (setting_names.py), because clients and test suites set and read them.
Those that mean something here take effect; the others are kept and read back, and change nothing: how much memory a
grid has, what it does when that is full, and where its files lie is said when it starts.

Invariant: set_all() takes all pairs or none.
"""

import re

from ..errors import CommandError
from . import setting_names
from .setting_names import ALIASES, BOOLEAN, FIXED, HIDDEN, KNOWN, MEMORY, NUMBER, PERCENT, WORD
from .structures.hashes import Hash
from .structures.sets import Set
from .structures.streams import Stream
from .structures.zsets import SortedSet

EVENTS = "notify-keyspace-events"
_EVENT_LETTERS = "Ag$lshzxeKEtmdn"
_ALL_EVENTS = "g$lshzxetd"
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10 ** 6, "mb": 1 << 20, "g": 10 ** 9, "gb": 1 << 30}
_match_integer = re.compile(r"0|-?[1-9][0-9]{0,18}").fullmatch
_match_memory = re.compile(r"([0-9]{1,20})([bkmg]|[kmg]b|)", re.IGNORECASE).fullmatch
_match_percent = re.compile(r"[0-9]{1,18}%").fullmatch
_match_save = re.compile(r"(?: *[0-9]{1,18} +[0-9]{1,18})* *").fullmatch

# How long a collection is kept in the short way, for all of the process: (class, attribute).
_OF_STRUCTURES = {
    "hash-max-listpack-entries": (Hash, "COMPACT_ENTRIES_MAX"), "hash-max-listpack-value": (Hash, "COMPACT_BYTES_MAX"),
    "set-max-intset-entries": (Set, "NUMBERS_MAX"), "zset-max-listpack-entries": (SortedSet, "entries_max"),
    "zset-max-listpack-value": (SortedSet, "member_bytes_max"), "stream-node-max-entries": (Stream, "node_entries_max"),
    "stream-node-max-bytes": (Stream, "node_bytes_max"),
}


class Settings(object):
    """Those of one server."""

    def __init__(self):
        self._set = {}

    def get_all(self, real):
        """{name: text} of all, the aliases included; `real` are those that the server itself has to say."""
        found = {name: default for name, (_, default) in KNOWN.items()}
        found.update((name, str(value)) for name, value in real.items())
        found.update(self._set)
        found.update((alias, found[name]) for alias, name in ALIASES.items())
        return found

    @staticmethod
    def is_shown(name, patterns):
        """Whether CONFIG GET with these patterns (bytes, in lower case) shows one that one of them describes."""
        return name not in HIDDEN or name.encode("ascii") in patterns

    def get(self, name, real):
        """The text of one."""
        return self._set.get(name) or str(real.get(name, KNOWN[name][1]))

    def set_all(self, pairs, real=()):
        """Set some: [(name, text)] as a client wrote them; `real` as get_all() has it.

        Raises CommandError with Redis' text, and nothing is changed.
        """
        checked = {}
        for given, text in pairs:
            name = ALIASES.get(given.lower(), given.lower())
            if name not in KNOWN:
                raise CommandError("Unknown option or number of arguments for CONFIG SET - '%s'" % given)
            if name in FIXED:
                raise _failed(given, "can't set immutable config")
            if name in checked:
                raise _failed(given, "duplicate parameter")
            checked[name] = given, text
        values = {name: _checked(name, given, text) for name, (given, text) in checked.items()}
        if "port" in values and values["port"] != self.get("port", dict(real)):  # it is said when the server starts
            raise _failed(checked["port"][0], "Unable to listen on this port. Check server logs.")
        for name, text in values.items():
            self._set[name] = text
            if name in _OF_STRUCTURES:
                setattr(*_OF_STRUCTURES[name] + (int(text),))


def _failed(given, why):
    return CommandError("CONFIG SET failed (possibly related to argument '%s') - %s" % (given, why))


def _checked(name, given, text):
    """The text to keep."""
    kind = KNOWN[name][0]
    if kind == BOOLEAN:
        if text.lower() not in ("yes", "no"):
            raise _failed(given, "argument must be 'yes' or 'no'")
        return text.lower()
    if kind == WORD:
        if text.lower() not in setting_names.WORDS[name].split():
            raise _failed(given, "argument(s) must be one of the following: " + setting_names.listed_words(name))
        return text.lower()
    if kind in (NUMBER, MEMORY):
        return str(_number(name, given, text, kind))
    if name == EVENTS:
        return _events(given, text)
    if name == "save":
        _check_save(given, text)
    return text


def _number(name, given, text, kind):
    if name in PERCENT and _match_percent(text):
        if int(text[:-1]) > 100:
            raise _failed(given, "percentage argument must be less or equal to 100")
        return "%d%%" % int(text[:-1])
    if kind == MEMORY:
        matched = _match_memory(text)
        if not matched:
            raise _failed(given, "argument must be a memory value")
        number = int(matched.group(1)) * _UNITS[matched.group(2).lower()]
    else:
        if not _match_integer(text):
            raise _failed(given, "argument couldn't be parsed into an integer")
        number = int(text)
    least, most = setting_names.range_of(name)
    if not least <= number <= most:
        raise _failed(given, "argument must be between %d and %d inclusive" % (least, most))
    return number


def _events(given, text):
    """The letters in Redis' order, all classes as A."""
    if set(text) - set(_EVENT_LETTERS):
        raise _failed(given, "Invalid event class character. Use '%s'." % _EVENT_LETTERS)
    if "A" in text or set(_ALL_EVENTS) <= set(text):
        classes = "A"
    else:
        classes = "".join(letter for letter in _ALL_EVENTS + "n" if letter in text)
    return classes + "".join(letter for letter in "KEm" if letter in text)


def _check_save(given, text):
    if not _match_save(text):
        raise _failed(given, "Invalid save parameters")
