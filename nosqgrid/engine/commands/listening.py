"""Events about keys, whoever changes them: engine/listening has what a client does not see.

    LISTEN.OPEN prefix [EVENTS n (set|delete|expire|evict)...] [KEEP ms] [FROM cursor]
        the cursor behind the newest event.  The events of keys with this prefix, all four kinds by default, are kept
        from now on until this session says LISTEN.CLOSE, or KEEP ms (60,000) longer than it lasts.
        FROM a cursor: go on there, if its events are still kept.
    LISTEN.READ [WAIT ms] [COUNT n] cursor     what is behind the cursor, or null:
        [cursor, missed, number of the first, [kind, wall_ms, key, kind, wall_ms, key, ...]]
        kind is set, delete, expire, evict, or clear (every key of every database is gone; told with delete)
    LISTEN.CLOSE cursor                        1, or 0 where this session did not listen
"""

from ... import errors
from .. import changes, cursors
from ..listening import KEEP_MS, KEEP_MS_MAX
from .command import CONNECTION, READ, Command, bounded, syntax_error
from .topics import flat, read_options, wait_for

_KINDS = {name: kind for kind, name in enumerate(changes.NAMES) if kind != changes.CLEAR}
_WHAT = "what is listened to"


def open_(context, args):
    """Listen; the cursor to begin with."""
    kinds, keep_ms, cursor, index = bytes(sorted(_KINDS.values())), KEEP_MS, None, 1
    while index + 1 < len(args):
        option, word = args[index].upper(), args[index + 1]
        index += 2
        if option == b"EVENTS":
            count = bounded(word, len(_KINDS), "EVENTS")
            kinds = _kinds(args[index:index + count], count)
            index += count
        elif option == b"KEEP":
            keep_ms = bounded(word, KEEP_MS_MAX, "KEEP")
        elif option == b"FROM":
            cursor = word
        else:
            raise syntax_error()
    if index != len(args):
        raise syntax_error()
    listening = context.server.listening
    if cursor is None:
        ring = listening.hold(context.session, args[0][len(context.key(b"")):], kinds, keep_ms, context.random_bits)
        return cursors.text_of(ring.topic, ring.topic.last)
    number, born = cursors.parse(cursor)
    ring = listening.find(born)
    number = cursors.resolve(_WHAT, ring.topic, number, born)
    listening.hold_again(context.session, born, keep_ms)
    return cursors.text_of(ring.topic, number)


def _kinds(words, count):
    if not count or len(words) != count or any(word.lower() not in _KINDS for word in words):
        raise errors.CommandError("EVENTS takes how many, and then these of: set delete expire evict")
    return bytes(sorted({_KINDS[word.lower()] for word in words}))


def read(context, args):
    """Events behind a cursor."""
    wait_ms, count, index = read_options(args)
    if index + 1 != len(args):
        raise syntax_error()
    number, born = cursors.parse(args[index])
    ring = context.server.listening.find(born)
    number = cursors.resolve(_WHAT, ring.topic, number, born)

    def attempt(context, keys):
        listening = context.server.listening
        listening.seen(listening.find(born))
        new = cursors.news(ring.topic, number, count, 0)
        if new is None:
            return None
        events = flat(new[3])
        events[::3] = [changes.NAMES[kind] for kind in events[::3]]
        return new[:3] + [events]

    return wait_for(context, [ring.waited], wait_ms, attempt)


def close(context, args):
    """Listen no more."""
    return int(context.server.listening.release(context.session, cursors.parse(args[0])[1]))


COMMANDS = (
    Command(b"LISTEN.OPEN", open_, -2, READ, 1, 1, 1),
    Command(b"LISTEN.READ", read, -2, READ | {"blocking"}),
    Command(b"LISTEN.CLOSE", close, 2, CONNECTION),
)
