"""Commands on sets.  What chance chose (SPOP) is logged as the removal of just that."""

import itertools

from ... import errors
from ...formats import resp
from ..structures.sets import Set
from .command import (READ, READ_FAST, WRITE_FAST, WRITE_FAST_OOM, WRITE_OOM, Command, parse_integer, syntax_error)
from .members import choose, positive, random_count, scan_step, there

_READ_MOVABLE = READ | {"movablekeys"}
_MOVE = WRITE_FAST | {"several"}


def sadd(context, args):
    """Add members to a set; how many are new."""
    key, keyspace = args[0], context.keyspace
    found = keyspace.structure(key, Set)
    if found is not None and len(args) == 2:
        member = args[1]
        if member in found.items:
            return 0
        keyspace.change(key, found, [b"sadd", member])
        context.notify(b"s", b"sadd", key)
        return 1
    items = () if found is None else found.items
    added = [member for member in dict.fromkeys(args[1:]) if member not in items]
    if added:
        keyspace.update(key, found, Set, [b"sadd"] + added)
        context.notify(b"s", b"sadd", key)
    return len(added)


def srem(context, args):
    """Remove members; how many were there."""
    key = args[0]
    found = context.keyspace.structure(key, Set)
    if found is None:
        return 0
    removed = there(args, found.items)
    if removed:
        _remove(context, key, found, removed, b"srem")
    return len(removed)


def _remove(context, key, found, members, event):
    context.keyspace.change(key, found, [b"srem"] + members)
    context.notify(b"s", event, key)
    if not found.items:
        context.notify(b"g", b"del", key)


def spop(context, args):
    """Remove one member at random and return it, or as many as are asked for."""
    key = args[0]
    if len(args) == 1:
        found = context.keyspace.structure(key, Set)
        if found is None:
            return None
        member = found.random(context.random_bits)
        _remove(context, key, found, [member], b"spop")
        return member
    if len(args) > 2:
        raise syntax_error()
    count = positive(args[1])
    found = context.keyspace.structure(key, Set)
    if found is None or not count:
        return resp.Set()
    if count >= len(found.items):
        members = found.listed()
        context.keyspace.delete(key)
        context.notify(b"s", b"spop", key)
        context.notify(b"g", b"del", key)
    else:
        members = found.sample(count, context.random_bits)
        _remove(context, key, found, members, b"spop")
    return resp.Set(members)


def srandmember(context, args):
    """One member at random, or as many as are asked for."""
    if len(args) == 1:
        found = context.keyspace.structure(args[0], Set)
        return None if found is None else found.random(context.random_bits)
    if len(args) > 2:
        raise syntax_error()
    count = random_count(args[1])
    found = context.keyspace.structure(args[0], Set)
    return [] if found is None else choose(found, count, context.random_bits)


def smembers(context, args):
    """All members."""
    found = context.keyspace.structure(args[0], Set)
    return resp.Set(() if found is None else found.listed())


def sismember(context, args):
    """Whether a member is there."""
    found = context.keyspace.structure(args[0], Set)
    return int(found is not None and args[1] in found.items)


def smismember(context, args):
    """Of each member, whether it is there."""
    found = context.keyspace.structure(args[0], Set)
    items = () if found is None else found.items
    return [int(member in items) for member in args[1:]]


def scard(context, args):
    """How many members there are."""
    found = context.keyspace.structure(args[0], Set)
    return 0 if found is None else len(found.items)


def smove(context, args):
    """Move a member from one set to another; whether it was there."""
    source_key, target_key, member = args
    keyspace = context.keyspace
    source = keyspace.structure(source_key, Set)
    if source is None:
        return 0
    target = keyspace.structure(target_key, Set)
    if member not in source.items:
        return 0
    if source is target:
        return 1
    new = target is None or member not in target.items
    _remove(context, source_key, source, [member], b"srem")
    if new:
        keyspace.update(target_key, target, Set, [b"sadd", member])
        context.notify(b"s", b"sadd", target_key)
    return 1


def sscan(context, args):
    """One step of a walk over the members: MATCH pattern, COUNT number."""
    _, cursor, members = scan_step(context, args, Set)
    return [b"%d" % cursor, members]


# -- several sets -----------------------------------------------------------------------------------------------------


def sinter(context, args):
    """The members that all sets have."""
    return resp.Set(_intersection(context, args))


def sinterstore(context, args):
    """Store the members that all sets have; how many they are."""
    return _store(context, args[0], _intersection(context, args[1:]), b"sinterstore")


def sunion(context, args):
    """The members that any of the sets has."""
    return resp.Set(_ordered(_union(context, args)))


def sunionstore(context, args):
    """Store the members that any of the sets has; how many they are."""
    return _store(context, args[0], _union(context, args[1:]), b"sunionstore")


def sdiff(context, args):
    """The members of the first set that no other has."""
    return resp.Set(_ordered(_difference(context, args)))


def sdiffstore(context, args):
    """Store the members of the first set that no other has; how many they are."""
    return _store(context, args[0], _difference(context, args[1:]), b"sdiffstore")


def sintercard(context, args):
    """How many members all sets have: numkeys key ... [LIMIT number]; 0 is no limit."""
    count = parse_integer(args[0])
    if count is None or count < 1:
        raise errors.CommandError("numkeys should be greater than 0")
    if count > len(args) - 1:
        raise errors.CommandError("Number of keys can't be greater than number of args")
    limit = 0
    for index in range(1 + count, len(args), 2):
        if args[index].upper() != b"LIMIT" or index + 1 == len(args):
            raise syntax_error()
        limit = positive(args[index + 1], "LIMIT can't be negative")
    found = _common(context, args[1:1 + count])
    return sum(1 for _ in itertools.islice(found, limit or None))


def _sintercard_keys(words):
    """Where the keys of SINTERCARD stand; nowhere, if it is going to be refused."""
    count = parse_integer(words[1]) or 0
    return range(2, 2 + count) if 0 < count <= len(words) - 2 else ()


def _sets(context, keys):
    """The sets at some keys, None for each that is not there."""
    structure = context.keyspace.structure
    return [structure(key, Set) for key in keys]


def _common(context, keys):
    """Iterate over the members that all sets have, in the order of the smallest."""
    sets = _sets(context, keys)
    if None in sets:
        return iter(())
    smallest, *others = sorted(sets, key=len)
    members = iter(smallest.listed())
    for other in others:
        members = filter(other.items.__contains__, members)
    return members


def _intersection(context, keys):
    return list(_common(context, keys))


def _union(context, keys):
    return list(dict.fromkeys(itertools.chain.from_iterable(
        found.items for found in _sets(context, keys) if found is not None)))


def _difference(context, keys):
    first, *others = _sets(context, keys)
    if first is None:
        return []
    members = iter(first.items)
    for other in others:
        if other is not None:
            members = itertools.filterfalse(other.items.__contains__, members)
    return list(members)


def _ordered(members):
    """Members in the order that a set of them would have."""
    return members if len(members) > Set.NUMBERS_MAX else Set(members).listed()


def _store(context, key, members, event):
    if members:
        context.keyspace.put(key, Set(members))
        context.notify(b"s", event, key)
    elif context.keyspace.delete(key):
        context.notify(b"g", b"del", key)
    return len(members)


COMMANDS = (
    Command(b"SADD", sadd, -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"SREM", srem, -3, WRITE_FAST, 1, 1, 1),
    Command(b"SPOP", spop, -2, WRITE_FAST, 1, 1, 1),
    Command(b"SRANDMEMBER", srandmember, -2, READ, 1, 1, 1),
    Command(b"SMEMBERS", smembers, 2, READ, 1, 1, 1),
    Command(b"SISMEMBER", sismember, 3, READ_FAST, 1, 1, 1),
    Command(b"SMISMEMBER", smismember, -3, READ_FAST, 1, 1, 1),
    Command(b"SCARD", scard, 2, READ_FAST, 1, 1, 1),
    Command(b"SMOVE", smove, 4, _MOVE, 1, 2, 1),
    Command(b"SSCAN", sscan, -3, READ, 1, 1, 1),
    Command(b"SINTER", sinter, -2, READ, 1, -1, 1),
    Command(b"SINTERSTORE", sinterstore, -3, WRITE_OOM, 1, -1, 1),
    Command(b"SINTERCARD", sintercard, -3, _READ_MOVABLE, keys=_sintercard_keys),
    Command(b"SUNION", sunion, -2, READ, 1, -1, 1),
    Command(b"SUNIONSTORE", sunionstore, -3, WRITE_OOM, 1, -1, 1),
    Command(b"SDIFF", sdiff, -2, READ, 1, -1, 1),
    Command(b"SDIFFSTORE", sdiffstore, -3, WRITE_OOM, 1, -1, 1),
)
