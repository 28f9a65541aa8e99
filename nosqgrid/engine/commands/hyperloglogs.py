"""PFADD, PFCOUNT, PFMERGE: counting different elements in 12 KB, off by 0.8 % (formats/hyperloglog).

Such a value is a string like any other: GET, SET and DUMP move it.  PFCOUNT notes in it what it computed, as in Redis;
for a session that may not write it only computes.
"""

import functools

from ... import errors
from ...formats import hyperloglog, resp
from .command import ADMIN, READ, WRITE_FAST_OOM, WRITE_OOM, Command, command_error, shown
from .strings import store_changed

_WRITE_ADMIN = WRITE_OOM | ADMIN
_NOT_ONE = "Key is not a valid HyperLogLog string value."
_CORRUPT = "Corrupted HLL object detected"
_TESTED_ELEMENTS = 5000
_LAST_RUNS_MAX = 32  # 100 KB each at most

_last_runs = {}  # key -> hyperloglog.SparseRuns


def _telling(function):
    """The function with Redis' error for a value that is corrupt."""

    @functools.wraps(function)
    def telling(context, args):
        try:
            return function(context, args)
        except errors.CorruptValueError as error:
            raise command_error(_CORRUPT, "INVALIDOBJ") from error

    return telling


def _value_of(entry):
    """The value of an Entry, which has to be a HyperLogLog."""
    value = entry.value
    if not hyperloglog.is_valid(value):
        raise errors.WrongTypeError(_NOT_ONE)
    return value


@_telling
def pfadd(context, args):
    """Add elements; 1 if a register changed or the key is new, or 0."""
    key = args[0]
    entry = context.keyspace.lookup(key)
    adding = hyperloglog.Adding(hyperloglog.EMPTY if entry is None else _value_of(entry), _last_runs.get(key))
    changed = entry is None
    for element in args[1:]:
        if adding.add(element):
            changed = True
    if changed:
        store_changed(context.keyspace, key, entry, hyperloglog.without_count(adding.value))
        context.notify(b"$", b"pfadd", key)
    if adding.runs is not None:
        _keep_runs(key, adding.runs)
    return 1 if changed else 0


def _keep_runs(key, runs):
    """Remember where the runs of a key's value are, for the next PFADD; it compares the values."""
    while len(_last_runs) >= _LAST_RUNS_MAX and key not in _last_runs:
        del _last_runs[next(iter(_last_runs))]
    _last_runs[key] = runs


@_telling
def pfcount(context, args):
    """How many different elements the keys have seen together."""
    if len(args) > 1:
        registers = _union([entry for entry in map(context.keyspace.lookup, args) if entry is not None])[0]
        return 0 if registers is None else hyperloglog.estimate(registers)
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return 0
    value = _value_of(entry)
    count = hyperloglog.cached_count(value)
    if count is None:
        count = hyperloglog.estimate(hyperloglog.registers_of(value))
        if context.session.may_write:
            store_changed(context.keyspace, args[0], entry, hyperloglog.with_count(value, count))
    return count


def _union(entries):
    """(registers or None, whether one of the values is dense) of several."""
    union, dense = None, False
    for entry in entries:
        value = _value_of(entry)
        dense = dense or not hyperloglog.is_sparse(value)
        registers = hyperloglog.registers_of(value)
        union = registers if union is None else hyperloglog.merged(union, registers)
    return union, dense


@_telling
def pfmerge(context, args):
    """Let the first key have seen what all of them have."""
    key = args[0]
    entries = [context.keyspace.lookup(name) for name in args]
    registers, dense = _union([entry for entry in entries if entry is not None])
    header = hyperloglog.EMPTY if entries[0] is None else entries[0].value
    if registers is None:
        merged = hyperloglog.EMPTY
    else:
        merged = (hyperloglog.dense_of if dense else hyperloglog.value_of)(registers, header)
    store_changed(context.keyspace, key, entries[0], hyperloglog.without_count(merged))
    context.notify(b"$", b"pfadd", key)  # the name that Redis gives it, too
    return resp.OK


# -- looking inside ---------------------------------------------------------------------------------------------------


@_telling
def pfdebug(context, args):
    """What a value has inside: GETREG, DECODE, ENCODING, TODENSE key."""
    action = args[0].upper()
    entry = context.keyspace.lookup(args[1])
    if entry is None:
        raise errors.CommandError("The specified key does not exist")
    value = _value_of(entry)
    sparse = hyperloglog.is_sparse(value)
    if action == b"ENCODING":
        return resp.Simple("sparse" if sparse else "dense")
    if action == b"DECODE":
        if not sparse:
            raise errors.CommandError("HLL encoding is not sparse")
        return hyperloglog.described(value)
    if action not in (b"GETREG", b"TODENSE"):
        raise errors.CommandError("Unknown PFDEBUG subcommand '%s'" % shown(args[0]))
    registers = hyperloglog.registers_of(value)
    if sparse:
        store_changed(context.keyspace, args[1], entry, hyperloglog.dense_of(registers, value))
    return list(registers) if action == b"GETREG" else 1 if sparse else 0


@_telling
def pfselftest(context, args):
    """Whether both forms keep what they are given, and the count is as exact as it should be."""
    adding, union = hyperloglog.Adding(hyperloglog.EMPTY), bytes(hyperloglog.REGISTERS)
    for number in range(_TESTED_ELEMENTS):
        element = b"%d" % number
        adding.add(element)
        if number % 1000 == 0:
            registers = hyperloglog.registers_of(adding.value)
            for written in (hyperloglog.dense_of, hyperloglog.value_of):
                if hyperloglog.registers_of(written(registers, adding.value)) != registers:
                    raise command_error("registers are not what was written after %d" % number, "TESTFAILED")
            union = hyperloglog.merged(union, registers)
            if union != registers:
                raise command_error("registers went back after %d elements" % number, "TESTFAILED")
    count = hyperloglog.estimate(hyperloglog.registers_of(adding.value))
    if abs(count - _TESTED_ELEMENTS) * 25 > _TESTED_ELEMENTS:  # five times the error that is to be expected
        raise command_error("%d elements are counted as %d" % (_TESTED_ELEMENTS, count), "TESTFAILED")
    return resp.OK


COMMANDS = (
    Command(b"PFADD", pfadd, -2, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"PFCOUNT", pfcount, -2, READ, 1, -1, 1),
    Command(b"PFMERGE", pfmerge, -2, WRITE_OOM, 1, -1, 1),
    Command(b"PFDEBUG", pfdebug, 3, _WRITE_ADMIN, 2, 2, 1),
    Command(b"PFSELFTEST", pfselftest, 1, ADMIN),
)
