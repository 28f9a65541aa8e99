"""Commands on lists that wait where there is nothing: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

Each tries first what its counterpart does (lists.py), and waits if that gives nothing (engine/waiting).  Who waits is
served for the key that was touched, whatever other keys he waits for: of several that were touched the first counts.
"""

from ...errors import WrongTypeError
from ...formats import resp
from ..stored import WRONG_TYPE
from ..structures.lists import List
from . import lists
from .command import WRITE_OOM, Command, timeout

_POPS = frozenset(("write", "noscript", "blocking"))
_MOVES = WRITE_OOM | {"noscript", "blocking", "several"}
_MPOPS = frozenset(("write", "blocking", "movablekeys"))


def _pop_function(end):
    def pop(context, args):
        timeout_s = timeout(args[-1])

        def attempt(context, keys):
            for key in keys:
                found = context.keyspace.structure(key, List)
                if found is not None:
                    return [context.shown_key(key)] + lists.take(context, key, found, end, 1)
            return None
        return _now_or_later(context, args[:-1], timeout_s, attempt)
    pop.__doc__ = "Remove the %s element of the first list there is, waiting for one." % ("last" if end else "first")
    return pop


def blmpop(context, args):
    """LMPOP that waits for a list."""
    timeout_word = args[0]
    keys, end, count = lists.read_mpop(args[1:])
    return _now_or_later(context, keys, timeout(timeout_word),
                         lambda context, keys: lists.pop_first(context, keys, end, count))


def _now_or_later(context, keys, timeout_s, attempt):
    reply = attempt(context, keys)
    return context.block(keys, timeout_s, attempt, resp.NULL_ARRAY) if reply is None else reply


def blmove(context, args):
    """LMOVE that waits for its source."""
    source_end, target_end = lists.end_of(args[2]), lists.end_of(args[3])
    return _move(context, args[0], args[1], source_end, target_end, timeout(args[4]))


def brpoplpush(context, args):
    """RPOPLPUSH that waits for its source."""
    return _move(context, args[0], args[1], lists.RIGHT, lists.LEFT, timeout(args[2]))


def _move(context, source, target, source_end, target_end, timeout_s):
    reply = lists.move(context, source, target, source_end, target_end)
    if reply is not None or not context.may_block:
        return reply

    def attempt(context, keys):
        if context.keyspace.structure(source, List) is None:
            return None
        try:
            return lists.move(context, source, target, source_end, target_end)
        except WrongTypeError:
            return WrongTypeError(WRONG_TYPE)  # of the target: that is no reason to wait on
    return context.block([source], timeout_s, attempt, resp.NULL_ARRAY)


COMMANDS = (
    Command(b"BLPOP", _pop_function(lists.LEFT), -3, _POPS, 1, -2, 1),
    Command(b"BRPOP", _pop_function(lists.RIGHT), -3, _POPS, 1, -2, 1),
    Command(b"BLMPOP", blmpop, -5, _MPOPS, 0, 0, 0, None, lists.counted_keys(2)),
    Command(b"BLMOVE", blmove, 6, _MOVES, 1, 2, 1),
    Command(b"BRPOPLPUSH", brpoplpush, 4, _MOVES, 1, 2, 1),
)
