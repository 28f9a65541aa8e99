"""Who is known, who has logged in as whom, and a log of what was denied.

A session acts as a user.  As long as that user may do anything and has been let in, nothing about the session is
special (engine/client_state) and nothing here costs anything; otherwise each of its commands passes through
commands/gate, which asks check().

The grid's own clients (nosqgrid.attach) are known by their uid, which the kernel tells; they do not log in, and rules
are not for them: a session on the Unix socket that has not logged in may use the commands NOSQGRID.*, and one that has
attached stays as it is.

Invariants
 1. The user "default" is always there; a new session acts as it, and is let in at once if it needs no password.
 2. Whatever changes, every session is looked at again before the next command runs.
 3. Of users and passwords that are not there or not right nothing is said but that; finding out takes as long for one
    that is not there.
"""

import hmac
from collections import deque, namedtuple

from ..errors import CommandError
from .acl_rules import AUTH, CHANNEL, COMMAND, KEY, RuleError, User, has_spaces, hash_of, merged

DEFAULT = "default"
LOG_LENGTH_DEFAULT = 128
_SAME_WITHIN_MS = 60 * 1000  # in which the same thing denied again is counted, not noted anew
_REASONS = {COMMAND: b"command", KEY: b"key", AUTH: b"auth", CHANNEL: b"channel"}
_MESSAGES = {KEY: "this user has no permissions to access one of the keys used as arguments",
             CHANNEL: "this user has no permissions to access one of the channels used as arguments"}
_NOBODY = hash_of(b"")  # compared where there is no such user

Denied = namedtuple("Denied", "reason context object username client")
_Entry = namedtuple("_Entry", "count noted_ms denied")


class Acl(object):
    """Of one server.  `sessions()` are all there are, `now_ms()` a clock."""

    def __init__(self, catalogue, sessions, now_ms):
        self.catalogue = catalogue
        self._sessions = sessions
        self._now_ms = now_ms
        self.new_users_hear_all = False  # acl-pubsub-default
        self.default = _default_user(catalogue)
        self.users = {DEFAULT: self.default}
        self._log = deque(maxlen=LOG_LENGTH_DEFAULT)

    # -- sessions -----------------------------------------------------------------------------------------------------

    @property
    def is_open(self):
        """Whether everybody is let in without a password."""
        return self.default.enabled and self.default.nopass

    def welcome(self, session):
        """A session begins, or begins anew."""
        session.account, session.logged_in = self.default, False
        session.authenticated = self.is_open or session.attached
        self._look_at(session)

    def _look_at(self, session):
        account = session.account
        session.user = None if session.attached or account.is_unlimited else account
        session.changed()

    def _look_at_all(self):
        for session in self._sessions():
            self._look_at(session)

    def log_in(self, session, name, password):
        """Let a session act as a user; whether name and password were right."""
        user = self.users.get(name)
        given = hash_of(password)
        hashes = user.passwords if user is not None and user.passwords else [_NOBODY]
        matches = [hmac.compare_digest(given, found) for found in hashes]
        if user is None or not user.enabled or not (user.nopass or user.passwords and any(matches)):
            return False
        session.account, session.authenticated, session.logged_in = user, True, True
        self._look_at(session)
        return True

    def _part(self, sessions):
        for session in sessions:
            session.account, session.authenticated, session.logged_in = self.default, False, False
            self._look_at(session)
            session.closing = True

    # -- users --------------------------------------------------------------------------------------------------------

    def sorted_users(self):
        return [self.users[name] for name in sorted(self.users)]

    def set_user(self, name, words):
        """Make a user, or change one, by rules; raises CommandError with nothing changed."""
        before = self.users.get(name)
        user = User(name, self.catalogue, self.new_users_hear_all) if before is None else before.copy()
        for rule in merged(words):
            try:
                user.apply(rule)
            except RuleError as error:
                shown = rule.partition(b"\0")[0].decode("utf-8", "surrogateescape")
                raise CommandError("Error in ACL SETUSER modifier '%s': %s" % (shown, error)) from error
        if before is None:
            self.users[name] = user
            return
        before.become(user)
        self._look_at_all()
        self._part([session for session in self._sessions() if session.account is before and _hears_too_much(session)])

    def let_new_users_hear(self, all_channels):
        """Whether new users may listen to all channels until a rule says otherwise."""
        self.new_users_hear_all = all_channels

    def delete_user(self, name):
        """Delete a user, whose sessions end; whether there was one.  Raises CommandError for the default user."""
        if name == DEFAULT:
            raise CommandError("The 'default' user cannot be removed")
        user = self.users.pop(name, None)
        if user is None:
            return False
        self._part([session for session in self._sessions() if session.account is user])
        return True

    def set_default_password(self, password):
        """As CONFIG SET requirepass: this one alone, none if it is empty."""
        self.default.apply(b"resetpass")
        self.default.apply(b">" + password if password else b"nopass")
        self._look_at_all()

    # -- in a file ----------------------------------------------------------------------------------------------------

    def text(self):
        """All users as an ACL file has them."""
        return b"".join(user.describe() + b"\n" for user in self.sorted_users())

    def parse(self, text, path):
        """{name: User} of an ACL file; raises CommandError naming every line that is wrong."""
        users, wrong = {}, []
        for number, line in enumerate(text.split(b"\n"), 1):
            words = line.strip().split()
            if not words or words[0].startswith(b"#"):
                continue
            try:
                user = self._user_of(words, users)
                users[user.name] = user
            except CommandError as error:
                wrong.append("%s:%d: %s." % (path, number, str(error).rstrip(".")))
        if wrong:
            raise CommandError(" ".join(wrong) + " WARNING: ACL errors detected, no change to the previously active ACL"
                               " rules was performed")
        return users

    def _user_of(self, words, users):
        if words[0] != b"user" or len(words) < 2:
            raise CommandError("line should start with user keyword")
        name = words[1].decode("utf-8", "surrogateescape")
        if name in users:
            raise CommandError("WARNING: duplicate user '%s' found" % name)
        user = User(name, self.catalogue, self.new_users_hear_all)
        for rule in merged(words[2:]):
            try:
                user.apply(rule)
            except RuleError as error:
                raise CommandError(str(error)) from error
        return user

    def replace(self, users):
        """Have these users in the place of all; who had logged in as another than "default" has to come again."""
        given = users.pop(DEFAULT, None)
        self.default.become(_default_user(self.catalogue) if given is None else given)
        self._part([session for session in self._sessions() if session.account is not self.default])
        self.users = dict(users)
        self.users[DEFAULT] = self.default
        self._look_at_all()

    # -- what is denied -----------------------------------------------------------------------------------------------

    def note(self, in_transaction, reason, word, username, client):
        """Note that something was denied; `client` describes the session as CLIENT INFO does."""
        now_ms = self._now_ms()
        denied = Denied(_REASONS[reason], b"multi" if in_transaction else b"toplevel", word, username, client)
        for entry in list(self._log):
            if entry.denied[:4] == denied[:4] and now_ms - entry.noted_ms <= _SAME_WITHIN_MS:
                self._log.remove(entry)
                self._log.appendleft(_Entry(entry.count + 1, now_ms, denied))
                return
        self._log.appendleft(_Entry(1, now_ms, denied))

    def denied(self, count):
        """[(how often, how long ago in seconds, Denied)] of the last, so many."""
        now_ms = self._now_ms()
        return [(entry.count, (now_ms - entry.noted_ms) / 1000.0, entry.denied)
                for entry in list(self._log)[:max(count, 0)]]

    def forget_denied(self):
        self._log.clear()

    def keep_denied(self, count):
        """Keep so many from now on."""
        self._log = deque(list(self._log)[:count], maxlen=min(count, 1 << 20))


def _default_user(catalogue):
    user = User(DEFAULT, catalogue)
    for rule in (b"on", b"nopass", b"~*", b"&*", b"+@all"):
        user.apply(rule)
    return user


def _hears_too_much(session):
    """Whether a session listens to what its user may not listen to any more."""
    allows = session.account.allows_channel
    return not (all(allows(pattern, True) for pattern in session.patterns)
                and all(allows(channel, False) for names in (session.channels, session.shard_channels)
                        for channel in names))


def message_of(reason, name):
    """What somebody hears who is denied a command (its name as bytes, in lower case)."""
    return _MESSAGES.get(reason) or "this user has no permissions to run the '%s' command" % name.decode("ascii")


def check_name(name):
    """Raise CommandError where that cannot be a user's name."""
    if not name or has_spaces(name):  # an empty one could not be read back from a file
        raise CommandError("Usernames can't contain spaces or null characters")
