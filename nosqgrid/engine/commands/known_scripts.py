"""EVAL, EVALSHA and SCRIPT for the few scripts that everybody sends: those of locks.  There is no Lua.

A script is known by the SHA1 of its text (what EVALSHA sends), or, for the two that libraries write in many ways, by
that of its text without spaces, in single quotes.  What it does is done here, at once and all of it or nothing, as a
script would.  All have one key, a string that holds a token, and do nothing where that is another one.

Which these are: acquire, release, extend and reacquire of redis-py's Lock, the same in all its versions from 2.10 to
8.1 but for extend, of which there are two; those of ours (nosqgrid.redis); and "delete it if it is mine" and "let it
expire later if it is mine", as Redis' documentation of SET and the clients of Redlock have them.

EVAL of another script is refused, and says so; EVALSHA of another says NOSCRIPT, as for one that was never loaded.
"""

import hashlib
import re

from ... import errors
from ...formats import resp, values
from . import deadlines
from .command import Command, command_error, container, integer
from .lists import counted_keys
from .run import as_write

_SPACES = re.compile(rb"\s+|;")
_SCRIPTING = frozenset(("noscript", "stale", "skip_monitor", "no_mandatory_keys"))
_LOADED_MAX = 256  # texts of known scripts in other spellings, by their SHA1


def acquire(context, key, args):
    """Store the token where nothing is, for args[1] milliseconds unless that is empty; 1, or 0."""
    if context.keyspace.lookup(key) is not None:
        return 0
    keyspace, deadline_ms = context.keyspace, 0
    if args[1]:
        deadline_ms = deadlines.from_amount(keyspace, integer(args[1]), 1, False, "pexpire")
    deadlines.put(keyspace, key, values.BYTES, args[0], deadline_ms)
    context.notify(b"$", b"set", key)
    return 1


def release(context, key, args):
    """Delete the key; 1."""
    context.keyspace.delete(key)
    context.notify(b"g", b"del", key)
    return 1


def expire(context, key, args):
    """Give it args[1] milliseconds from now on; 1."""
    return _expire_in(context, key, integer(args[1]))


def extend(context, key, args):
    """Give it args[1] milliseconds more, or from now on where args[2] is not "0"; 1, or 0 without a deadline."""
    left_ms = _left_ms(context, key)
    if left_ms is None:
        return 0
    return _expire_in(context, key, integer(args[1]) + (left_ms if args[2] == b"0" else 0))


def extend_more(context, key, args):
    """Give it args[1] milliseconds more; 1, or 0 without a deadline."""
    return extend(context, key, [args[0], args[1], b"0"])


def _left_ms(context, key):
    deadline_ms = context.keyspace.lookup(key).deadline_ms
    return deadline_ms - context.keyspace.now_ms if deadline_ms else None


def _expire_in(context, key, amount_ms):
    deadline_ms = deadlines.from_amount(context.keyspace, amount_ms, 1, False, "pexpire")
    event = deadlines.move(context.keyspace, key, deadline_ms)
    context.notify(b"g", event or b"expire", key)
    return 1


# SHA1 of the text: (what it does where the token is right, how many arguments it needs).
_BY_SHA = {
    b"5688a2541c9edd77746bcd2385e65ff3639a664f": (acquire, 2),
    b"c3f8721cbb97f72bc19e972846bd7aaf91901658": (release, 1),
    b"a4e8783852e6b949f9ef3a97212805108459a890": (extend, 3),
    b"4a484ac024e9b025224cd9f8e1d59dbf3c15d00d": (extend_more, 2),
    b"1cac51482acf5858da00f6d685d68f886cd6b6b2": (expire, 2),
    # Those of nosqgrid.redis.
    b"206898525e2209c4203a0d7e9f0977008f95d857": (release, 1),
    b"f0d41918bc2bfe0fd7863831cc822354679afd34": (extend, 3),
    b"00891ac1415e85edf3270e378ea07b19ee845af6": (expire, 2),
}
# The same of the text without spaces, in lower case and single quotes.
_BY_SHAPE = {
    b"68861aa8724846c4d49fb1b44ff4aa7d57e0fe5c": (release, 1),
    b"9a986bcc6034fd4f6b064f07ab6b02d8bd2631e2": (expire, 2),
}
_loaded = {}  # SHA1 of a text that was sent -> the row of its shape


def _sha_of(text):
    return hashlib.sha1(text).hexdigest().encode("ascii")


def shape_of(text):
    """What texts that differ in nothing but spaces, quotes and case have in common."""
    return _sha_of(_SPACES.sub(b"", text).replace(b'"', b"'").lower())


def _known(text):
    """The row of a script's text, which EVALSHA finds from now on; CommandError where it is none that is known."""
    sha = _sha_of(text)
    row = _BY_SHA.get(sha) or _loaded.get(sha)
    if row is None:
        row = _BY_SHAPE.get(shape_of(text))
        if row is None:
            raise errors.CommandError("there is no Lua here; only the scripts of redis-py's Lock and those that delete "
                                      "or expire a key with a certain value are known: use MULTI or LOCK.ACQUIRE")
        if len(_loaded) >= _LOADED_MAX:
            _loaded.clear()
        _loaded[sha] = row
    return row


def _run(context, row, args):
    function, wanted = row
    count = integer(args[1])
    if count < 0:
        raise errors.CommandError("Number of keys can't be negative")
    if count > len(args) - 2:
        raise errors.CommandError("Number of keys can't be greater than number of args")
    keys, words = args[2:2 + count], args[2 + count:]
    if len(keys) < 1 or len(words) < wanted:
        raise errors.CommandError("this script has one key and %d arguments" % wanted)
    if not context.session.may_write:
        raise errors.PermissionRefusedError("uid %d may only read here" % context.session.uid)
    if function is not acquire:
        entry = context.keyspace.lookup(keys[0])
        if entry is None or entry.value != words[0]:
            return 0
    return as_write(context.keyspace, lambda: function(context, keys[0], words))


def eval_(context, args):
    """Run a known script, given by its text."""
    return _run(context, _known(args[0]), args)


def evalsha(context, args):
    """Run a known script, given by the SHA1 of its text."""
    sha = args[0].lower()
    row = _BY_SHA.get(sha) or _loaded.get(sha)
    if row is None:
        raise command_error("No matching script. Please use EVAL.", "NOSCRIPT")
    return _run(context, row, args)


def load(context, args):
    """The SHA1 of a known script."""
    _known(args[0])
    return _sha_of(args[0])


def exists(context, args):
    """Which of these SHA1 are known."""
    return [int(sha.lower() in _BY_SHA or sha.lower() in _loaded) for sha in args]


def flush(context, args):
    """Forget what was loaded; the known ones stay known."""
    if len(args) > 1 or args and args[0].upper() not in (b"ASYNC", b"SYNC"):
        raise errors.CommandError("SCRIPT FLUSH only support SYNC|ASYNC option")
    _loaded.clear()
    return resp.OK


def kill(context, args):
    """No script runs for long."""
    raise command_error("No scripts in execution right now.", "NOTBUSY")



COMMANDS = (
    Command(b"EVAL", eval_, -3, _SCRIPTING, keys=counted_keys(2)),
    Command(b"EVALSHA", evalsha, -3, _SCRIPTING, keys=counted_keys(2)),
    container(b"SCRIPT", (
        (b"LOAD", load, 3, frozenset(("noscript", "stale"))),
        (b"EXISTS", exists, -3, frozenset(("noscript",))),
        (b"FLUSH", flush, -2, frozenset(("noscript",))),
        (b"KILL", kill, 2, frozenset(("noscript", "allow_busy"))),
    )),
)
