"""What a user may do: rules in Redis' words, read, applied, checked and written down again.

    user      := on | off | nopass | resetpass | >password | <password | #hash | !hash | reset | sanitize-payload
                 | skip-sanitize-payload | clearselectors | (rule rule ...) | rule
    rule      := ~keys | %R~keys | %W~keys | %RW~keys | allkeys | resetkeys
                 | &channels | allchannels | resetchannels
                 | +command | -command | +command|sub | +command|argument | +@category | -@category | +@all | -@all
                 | allcommands | nocommands

A user has one selector of such rules and may have more, in parentheses; a command may run if one of them allows all of
it.  Rules are applied one after the other; what comes out is written down as few rules as describe it (describe()).

Invariants
 1. A rule that is refused has changed nothing of the selector.
 2. What is not allowed is denied: a command that no rule named, and one that the catalogue does not have.
 3. Passwords are kept as their SHA-256 alone, as Redis keeps them.

Source: the documentation of Redis' ACLs; texts and corner cases as redis-server 7.0.15 shows them.
"""

import hashlib
import re

from ..errors import CommandError
from ..formats.resp_inline import SPACES, words_of
from .acl_catalogue import CATEGORIES, name_of
from .glob import Glob

COMMAND, KEY, AUTH, CHANNEL = 1, 2, 3, 4  # why something is denied; of several selectors the largest is told
READS, WRITES = 1, 2  # what is done with a key
NO_AUTH = frozenset((b"AUTH", b"HELLO", b"QUIT", b"RESET"))  # nobody can be kept from them

# Commands of ours beside Redis' that see or change keys which their words do not name.
_ON_ANY_KEY = frozenset((b"NOSQGRID.SCAN", b"NOSQGRID.LARGE", b"NOSQGRID.QUOTA", b"NOSQGRID.CHECKPOINT"))
_ON_PREFIX = frozenset((b"LISTEN.OPEN",))  # whose key stands for all that begin with it
_ON_ANYTHING = frozenset((b"NOSQGRID.BATCH", b"NOSQGRID.ATTACH", b"NOSQGRID.PIN"))

UNKNOWN = "Unknown command or category name in ACL"
SYNTAX = "Syntax error"
_AFTER_ALL = ("Adding a pattern after the * pattern (or the '%s' flag) is not valid and does not have any effect. Try "
              "'%s' to start with an empty list of %s")
_NO_PASSWORD = "The password you are trying to remove from the user does not exist"
_BAD_HASH = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
_FIRST_OF_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"
_SPACES = frozenset(SPACES + b"\0")
_is_prefix = re.compile(rb"[^*?\[\\]*\*", re.DOTALL).fullmatch
_match_hash = re.compile(rb"[0-9a-f]{64}").fullmatch


class RuleError(CommandError):
    """A rule is refused; the message is Redis' reason."""


class Selector(object):
    """One set of rules; a new one allows nothing."""

    def __init__(self, catalogue, all_channels=False):
        self._catalogue = catalogue
        self.commands = set()
        self.new_commands = False  # allowed are also those that do not exist yet
        self.first_arguments = {}  # name -> [argument in lower case] with which alone it is allowed
        self.keys = {}  # pattern -> (READS | WRITES, Glob), in the order of adding
        self.all_keys = False
        self.channels = {}  # pattern -> Glob
        self.all_channels = all_channels

    def copy(self):
        other = Selector(self._catalogue)
        other.commands = set(self.commands)
        other.new_commands, other.all_keys, other.all_channels = self.new_commands, self.all_keys, self.all_channels
        other.first_arguments = {name: list(words) for name, words in self.first_arguments.items()}
        other.keys, other.channels = dict(self.keys), dict(self.channels)
        return other

    @property
    def all_commands(self):
        return self.new_commands and self.commands == self._catalogue.all

    @property
    def is_unlimited(self):
        """Whether there is nothing that it does not allow."""
        return self.all_keys and self.all_channels and self.all_commands

    # -- rules --------------------------------------------------------------------------------------------------------

    def apply(self, rule):
        """Apply one rule (bytes); raises RuleError."""
        word = rule.lower()
        if word in _WORDS:
            _WORDS[word](self)
        elif rule[:1] in (b"~", b"%"):
            self._add_keys(rule)
        elif rule[:1] == b"&":
            self._add_channels(rule[1:])
        elif word[:2] in (b"+@", b"-@"):
            self._set_category(word)
        elif word[:1] == b"+":
            self._allow(word[1:])
        elif word[:1] == b"-":
            self._set_command(self._known(word[1:]), False)
        else:
            raise RuleError(SYNTAX)

    def _every_key(self):
        self.all_keys, self.keys = True, {}

    def _no_key(self):
        self.all_keys, self.keys = False, {}

    def _every_channel(self):
        self.all_channels, self.channels = True, {}

    def _no_channel(self):
        self.all_channels, self.channels = False, {}

    def _every_command(self):
        self.commands, self.new_commands, self.first_arguments = set(self._catalogue.all), True, {}

    def _no_command(self):
        self.commands, self.new_commands, self.first_arguments = set(), False, {}

    def _add_keys(self, rule):
        if self.all_keys:
            raise RuleError(_AFTER_ALL % ("allkeys", "resetkeys", "patterns"))
        access, pattern = READS | WRITES, rule[1:]
        if rule[:1] == b"%":
            access, pattern = _access_of(rule)
        _check_pattern(pattern)
        before = self.keys.get(pattern, (0, None))[0]
        self.keys[pattern] = access | before, Glob(pattern)

    def _add_channels(self, pattern):
        if self.all_channels:
            raise RuleError(_AFTER_ALL % ("allchannels", "resetchannels", "channels"))
        _check_pattern(pattern)
        self.channels[pattern] = Glob(pattern)

    def _set_category(self, word):
        category = word[2:].decode("ascii", "replace")
        if category not in self._catalogue.by_category:
            raise RuleError(UNKNOWN)
        for name in self._catalogue.by_category[category]:
            self._set_command(name, word[:1] == b"+")

    def _set_command(self, name, allowed):
        """Allow or deny a command and its subcommands."""
        self.first_arguments.pop(name, None)
        names = self._catalogue.with_subcommands[name]
        if allowed:
            self.commands.update(names)
        else:
            self.commands.difference_update(names)

    def _known(self, name):
        if name not in self._catalogue.all:
            raise RuleError(UNKNOWN)
        return name

    def _allow(self, name):
        command, bar, argument = name.rpartition(b"|")
        if not bar:
            self._set_command(self._known(name), True)
            return
        self._known(command)
        if b"|" in command:
            raise RuleError(_FIRST_OF_SUBCOMMAND)
        if not argument or has_spaces(argument):
            raise RuleError(SYNTAX)
        if self._catalogue.has_subcommands(command):
            self._set_command(self._known(name), True)
            return
        allowed = self.first_arguments.setdefault(command, [])
        if argument not in allowed:
            allowed.append(argument)

    # -- checks -------------------------------------------------------------------------------------------------------

    def denies(self, row, argv, keys, channels):
        """None where a command may run, or (COMMAND | KEY | CHANNEL, index of the word that is the reason).

        Args:
            keys: [(index, READS | WRITES)] of the words that are keys.
            channels: [(index, whether it is a pattern)].
        """
        name = row.name
        if not self._allows_command(name_of(row), argv) and name not in NO_AUTH:
            return COMMAND, 0
        if not self.all_keys:
            if name in _ON_ANY_KEY:
                return KEY, 0
            for index, access in keys:
                allows = self.allows_prefix if name in _ON_PREFIX else self.allows_key
                if not allows(argv[index], access):
                    return KEY, index
        if not self.all_channels:
            for index, is_pattern in channels:
                if not self.allows_channel(argv[index], is_pattern):
                    return CHANNEL, index
        if name in _ON_ANYTHING and not self.is_unlimited:
            return COMMAND, 0
        return None

    def _allows_command(self, name, argv):
        if name in self.commands:
            return True
        allowed = self.first_arguments.get(name)
        return allowed is not None and len(argv) > 1 and argv[1].lower() in allowed

    def allows_key(self, key, access):
        return any(access & granted == access and glob.matches(key) for granted, glob in self.keys.values())

    def allows_prefix(self, prefix, access):
        """Whether every key that begins so is allowed; by a pattern that is text and a last *, and by no other."""
        return any(access & granted == access and _is_prefix(pattern) and prefix.startswith(pattern[:-1])
                   for pattern, (granted, _) in self.keys.items())

    def allows_channel(self, channel, is_pattern):
        if self.all_channels:
            return True
        if is_pattern:
            return channel in self.channels
        return any(glob.matches(channel) for glob in self.channels.values())

    # -- in words -----------------------------------------------------------------------------------------------------

    def describe_keys(self):
        if self.all_keys:
            return b"~*"
        return b" ".join(_ACCESS_WORDS[access] + pattern for pattern, (access, _) in self.keys.items())

    def describe_channels(self):
        return b"&*" if self.all_channels else b" ".join(b"&" + pattern for pattern in self.channels)

    def describe_commands(self):
        """Rules that make of nothing what this selector allows.

        Categories that fit best come first, as long as one fits better than not, then what they got wrong by name.
        """
        add = not self.new_commands
        shown, fake = [b"-@all" if add else b"+@all"], Selector(self._catalogue)
        fake.apply(shown[0])
        rest = self.copy()
        left = list(CATEGORIES)
        while True:
            best = _best_category(left, rest, add)
            if best is None:
                break
            left.remove(best)
            name = best.encode("ascii")
            shown.append((b"+@" if add else b"-@") + name)
            fake.apply(shown[-1])
            rest.apply((b"-@" if add else b"+@") + name)
        for name in self._catalogue.names:
            if (name in self.commands) != (name in fake.commands):
                shown.append((b"+" if name in self.commands else b"-") + name)
                fake.apply(shown[-1])
            if name not in self.commands:
                shown += [b"+%b|%b" % (name, argument) for argument in self.first_arguments.get(name, ())]
        return b" ".join(shown)

    def describe(self):
        """All of it, as a line of an ACL file has it."""
        channels = self.describe_channels()
        if not self.all_channels:
            channels = b"resetchannels " + channels if channels else b"resetchannels"
        return b" ".join(part for part in (self.describe_keys(), channels, self.describe_commands()) if part)


def _best_category(left, rest, add):
    best, least, most = None, None, 0
    for category in left:
        names = rest._catalogue.by_category[category]
        on = sum(1 for name in names if name in rest.commands)
        same, different = (on, len(names) - on) if add else (len(names) - on, on)
        if same > different and (best is None or different < least or different == least and same > most):
            best, least, most = category, different, same
    return best


def _access_of(rule):
    """(access, pattern) of %R~pattern; the access may be given without a pattern, which is empty then."""
    access, position = 0, 1
    while position < len(rule):
        letter = rule[position:position + 1].upper()
        position += 1
        if letter == b"R" and not access & READS:
            access |= READS
        elif letter == b"W" and not access & WRITES:
            access |= WRITES
        elif letter == b"~" and access:
            break
        else:
            raise RuleError(SYNTAX)
    if not access:
        raise RuleError(SYNTAX)
    return access, rule[position:]


def has_spaces(word):
    """Whether a word could not stand in a line of an ACL file."""
    return not _SPACES.isdisjoint(word)


def _check_pattern(pattern):
    if has_spaces(pattern):
        raise RuleError(SYNTAX)


_ACCESS_WORDS = {READS: b"%R~", WRITES: b"%W~", READS | WRITES: b"~"}
_WORDS = {
    b"allkeys": Selector._every_key, b"~*": Selector._every_key, b"resetkeys": Selector._no_key,
    b"allchannels": Selector._every_channel, b"&*": Selector._every_channel, b"resetchannels": Selector._no_channel,
    b"allcommands": Selector._every_command, b"+@all": Selector._every_command,
    b"nocommands": Selector._no_command, b"-@all": Selector._no_command,
}


# -- users ------------------------------------------------------------------------------------------------------------


class User(object):
    """Somebody who can log in; a new one cannot yet, and may do nothing."""

    def __init__(self, name, catalogue, all_channels=False):
        self.name = name  # str, as clients wrote it (utf-8, surrogateescape)
        self._catalogue = catalogue
        self._all_channels = all_channels
        self.enabled = False
        self.nopass = False
        self.passwords = []  # hashes: 64 bytes each
        self.sanitizing = None  # what was said about payloads; here they are always looked through
        self.selectors = [Selector(catalogue, all_channels)]

    def copy(self):
        other = User(self.name, self._catalogue)
        other.become(self)
        return other

    def become(self, other):
        """Be allowed what another is; sessions of this one see it at once."""
        self.enabled, self.nopass, self.sanitizing = other.enabled, other.nopass, other.sanitizing
        self._all_channels = other._all_channels
        self.passwords = list(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]

    @property
    def is_unlimited(self):
        return any(selector.is_unlimited for selector in self.selectors)

    # -- rules --------------------------------------------------------------------------------------------------------

    def apply(self, rule):
        """Apply one rule; raises RuleError."""
        word = rule.lower()
        if word in _USER_WORDS:
            _USER_WORDS[word](self)
        elif rule[:1] == b">":
            self._add_password(hash_of(rule[1:]))
        elif rule[:1] == b"#":
            self._add_password(_checked_hash(rule[1:]))
        elif rule[:1] in (b"<", b"!"):
            found = hash_of(rule[1:]) if rule[:1] == b"<" else _checked_hash(rule[1:])
            if found not in self.passwords:
                raise RuleError(_NO_PASSWORD)
            self.passwords.remove(found)
        elif rule[:1] == b"(" and rule[-1:] == b")" and len(rule) > 1:
            self._add_selector(rule[1:-1])
        else:
            self.selectors[0].apply(rule)

    def _add_selector(self, text):
        words = words_of(text)
        if words is None:
            raise RuleError(SYNTAX)
        selector = Selector(self._catalogue, self._all_channels)
        for word in words:
            selector.apply(word)
        self.selectors.append(selector)

    def _add_password(self, found):
        if found not in self.passwords:
            self.passwords.append(found)
        self.nopass = False

    def _enable(self):
        self.enabled = True

    def _disable(self):
        self.enabled = False

    def _need_no_password(self):
        self.nopass, self.passwords = True, []

    def _forget_passwords(self):
        self.nopass, self.passwords = False, []

    def _sanitize(self):
        self.sanitizing = b"sanitize-payload"

    def _skip_sanitizing(self):
        self.sanitizing = b"skip-sanitize-payload"

    def _forget_selectors(self):
        del self.selectors[1:]

    def _reset(self):
        self.become(User(self.name, self._catalogue, self._all_channels))
        self._sanitize()

    # -- checks -------------------------------------------------------------------------------------------------------

    def denies(self, row, argv, keys, channels):
        """None, or (reason, index): of several selectors what the one says that comes closest.  See Selector.denies."""
        worst = COMMAND, 0
        for selector in self.selectors:
            denied = selector.denies(row, argv, keys, channels)
            if denied is None:
                return None
            worst = max(worst, denied)
        return worst

    def reads_all_keys_with(self, name):
        """Whether it may run the command of this name and read any key."""
        for selector in self.selectors:
            reads = selector.all_keys or any(access & READS and pattern == b"*"
                                             for pattern, (access, _) in selector.keys.items())
            if reads and name.lower() in selector.commands:
                return True
        return False

    def allows_channel(self, channel, is_pattern):
        return any(selector.allows_channel(channel, is_pattern) for selector in self.selectors)

    # -- in words -----------------------------------------------------------------------------------------------------

    def flags(self):
        """[bytes] that say what is neither password nor rule."""
        words = [b"on" if self.enabled else b"off"]
        if self.nopass:
            words.append(b"nopass")
        return words + [self.sanitizing] if self.sanitizing else words

    def describe(self):
        """The line of an ACL file."""
        words = [b"user", self.name.encode("utf-8", "surrogateescape")] + self.flags()
        words += [b"#" + found for found in self.passwords]
        words.append(self.selectors[0].describe())
        words += [b"(%b)" % selector.describe() for selector in self.selectors[1:]]
        return b" ".join(words)


_USER_WORDS = {
    b"on": User._enable, b"off": User._disable, b"nopass": User._need_no_password, b"resetpass": User._forget_passwords,
    b"sanitize-payload": User._sanitize, b"skip-sanitize-payload": User._skip_sanitizing,
    b"clearselectors": User._forget_selectors, b"reset": User._reset,
}


def hash_of(password):
    """What is kept of a password: 64 bytes."""
    return hashlib.sha256(password).hexdigest().encode("ascii")


def _checked_hash(word):
    if not _match_hash(word):
        raise RuleError(_BAD_HASH)
    return word


def merged(words):
    """Rules as words of a command with those between parentheses put together; CommandError where one is not closed."""
    found, index = [], 0
    while index < len(words):
        rule = words[index]
        index += 1
        if rule[:1] == b"(":
            begun = rule
            while rule[-1:] != b")":
                if index == len(words):
                    raise CommandError("Unmatched parenthesis in acl selector starting at '%s'."
                                       % begun.decode("utf-8", "surrogateescape"))
                rule += b" " + words[index]
                index += 1
        found.append(rule)
    return found
