"""Commands that look at the server from inside: SLOWLOG, LATENCY, MEMORY and DEBUG.

A grid does not watch latencies, so that LATENCY answers as a Redis whose monitor is off, but for its HISTOGRAM.  DEBUG
has what test suites need of it and does no harm; SLEEP holds everybody up, as it is meant to.
"""

import hashlib

from ... import errors
from ...formats import rdb, resp, values
from .. import databases
from ..structures.portable import content_of, structure_of
from . import command, walking
from .command import ADMIN, PLAIN, READ, container, integer, parse_integer, syntax_error
from .keys import encoding_of

_SLEEP_S_MAX = 60.0
_PLACE_BYTES = 64  # of a key beside its record: index and what the policies know
_NO_LATENCIES = ("Latencies are not watched here.  What takes long is in SLOWLOG, after CONFIG SET "
                 "slowlog-log-slower-than.")

# -- SLOWLOG ----------------------------------------------------------------------------------------------------------


def slowlog_get(context, args):
    """The last slow commands, the very last first: [count], 10 without one, all for -1."""
    count = 10
    if args:
        count = parse_integer(args[0])
        if len(args) > 1:
            raise errors.CommandError("unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.")
        if count is None or count < -1:
            raise errors.CommandError("count should be greater than or equal to -1")
    return [[slow.number, slow.wall_s, slow.us, slow.words, slow.address, slow.name]
            for slow in context.oversight.slowlog.latest(count)]


def slowlog_len(context, args):
    """How many there are."""
    return len(context.oversight.slowlog)


def slowlog_reset(context, args):
    """Forget them."""
    context.oversight.slowlog.clear()
    return resp.OK


# -- LATENCY ----------------------------------------------------------------------------------------------------------


def latency_nothing(context, args):
    """Nothing was watched."""
    return []


def latency_histogram(context, args):
    """How long the commands named took, or all: what was counted since CONFIG RESETSTAT."""
    stats = context.oversight.stats
    wanted = [word.upper() for word in args]
    found = []
    for name in list(stats.commands):
        if not args or name in wanted or name.partition(b"|")[0] in wanted:
            histogram = stats.histogram(name)
            if histogram is not None:
                calls, steps = histogram
                found.append((name.lower(), resp.Map([(b"calls", calls), (b"histogram_usec", resp.Map(steps))])))
    return resp.Map(found)


def latency_reset(context, args):
    """How many events were forgotten: there are none."""
    return 0


def latency_graph(context, args):
    """There is nothing to draw."""
    raise errors.CommandError("No samples available for event '%s'" % command.shown(args[0]))


def latency_doctor(context, args):
    """What to do instead."""
    return resp.Verbatim(_NO_LATENCIES)


# -- MEMORY -----------------------------------------------------------------------------------------------------------


def memory_usage(context, args):
    """About how many bytes a key and what it has take: [SAMPLES count], which is not needed here."""
    index = 1
    while index < len(args):
        if args[index].upper() != b"SAMPLES" or index + 1 == len(args) or integer(args[index + 1]) < 0:
            raise syntax_error()
        index += 2
    keyspace = context.keyspace
    return None if keyspace.type_of(args[0]) is None else keyspace.weight_of(args[0]) + _PLACE_BYTES


def memory_doctor(context, args):
    """What is known about the memory."""
    return resp.Verbatim("The grid takes its memory from one budget: INFO memory and NOSQGRID.STATS tell what for.")


def memory_stats(context, args):
    """The numbers of the server that are about memory, and how many keys there are."""
    stats = context.server.stats()
    found = [(b"keys.count", context.keyspace.key_count)]
    found += [(name.encode("ascii"), value) for name, value in stats
              if name.startswith(("memory_", "heap_", "index_", "structures_")) and isinstance(value, int)]
    return resp.Map(found)


def memory_purge(context, args):
    """There is nothing to give back at once."""
    return resp.OK


def memory_malloc_stats(context, args):
    """There is no allocator of our own that could tell."""
    return resp.Verbatim("Stats not supported for the current allocator")


# -- DEBUG ------------------------------------------------------------------------------------------------------------


_NOT_LOCAL = ('DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a '
              "local connection, otherwise you need to set this option in the configuration file, and then restart the "
              "server.")
_LOOPBACK = ("127.0.0.1:", "[::1]:")


def _from_here(function):
    """The function, for sessions that come from this machine, as enable-debug-command says."""
    def local(context, args):
        if not context.session.local and not context.session.address.startswith(_LOOPBACK):
            raise errors.CommandError(_NOT_LOCAL)
        return function(context, args)
    local.__doc__ = function.__doc__
    return local


def debug_sleep(context, args):
    """Let nothing happen for so many seconds, 60 at most."""
    seconds = command.timeout(args[0])
    context.server.sleep(min(seconds, _SLEEP_S_MAX))
    return resp.OK


def debug_object(context, args):
    """How a value would be kept, and how long its dump is."""
    entry = _entry(context, args[0])
    content = entry.value if entry.structure is None else content_of(entry.structure)
    size = len(rdb.pack(values.BYTES if entry.structure is None else entry.type, content)) - 11
    return resp.Simple("Value at:0x0 refcount:1 encoding:%s serializedlength:%d lru:0 lru_seconds_idle:0"
                       % (encoding_of(context.keyspace, args[0], entry).decode("ascii"), size))


def _entry(context, key):
    entry = context.keyspace.lookup(key)
    if entry is None:
        raise errors.CommandError("no such key")
    return entry


def debug_set_active_expire(context, args):
    """Whether what expired is removed before somebody asks for it: 0 or 1."""
    context.keyspace.reclaims = args[0] != b"0"
    return resp.OK


def debug_digest_value(context, args):
    """A digest of each value, the same for equal ones (not Redis' own)."""
    return [resp.Simple(_digest(context.keyspace.lookup(key))) for key in args]


def _digest(entry):
    if entry is None:
        return "0" * 40
    if entry.structure is None:
        content = entry.value
    else:
        content = content_of(entry.structure)
        if entry.type in (values.SET, values.HASH):
            content.sort()
    return hashlib.sha1(repr((entry.type if entry.structure is not None else 0, content)).encode("utf-8")).hexdigest()


def debug_digest(context, args):
    """A digest of the session's database."""
    digest = 0
    for key in walking.all_keys(context.keyspace, context.session.database):
        name = hashlib.sha1(context.shown_key(key) + _digest(context.keyspace.lookup(key)).encode("ascii"))
        digest ^= int(name.hexdigest(), 16)
    return resp.Simple("%040x" % digest)


def debug_reload(context, args):
    """Make each collection anew out of its dump, as if all had been written down and read again."""
    keyspace = context.keyspace
    for number in range(databases.COUNT):
        for key in walking.all_keys(keyspace, number):
            entry = keyspace.lookup(key)
            if entry.structure is not None:
                dumped = rdb.pack(entry.type, content_of(entry.structure))
                keyspace.put(key, structure_of(*rdb.unpack(dumped)), entry.deadline_ms)
    return resp.OK


def debug_error(context, args):
    """Refused, with the text that is given: for clients that test what they make of an error."""
    code, _, text = args[0].decode("ascii", "backslashreplace").partition(" ")
    error = errors.CommandError(text)
    error.code = code
    raise error


def debug_nothing(context, args):
    """Accepted, where there is nothing to change."""
    return resp.OK


_DEBUG = ADMIN | {"noscript", "loading", "stale"}

COMMANDS = (
    container(b"SLOWLOG", (
        (b"GET", slowlog_get, -2, ADMIN | {"loading", "stale"}),
        (b"LEN", slowlog_len, 2, ADMIN | {"loading", "stale"}),
        (b"RESET", slowlog_reset, 2, ADMIN | {"loading", "stale"}),
    )),
    container(b"LATENCY", (
        (b"DOCTOR", latency_doctor, 2, ADMIN),
        (b"GRAPH", latency_graph, 3, ADMIN),
        (b"HISTOGRAM", latency_histogram, -2, ADMIN),
        (b"HISTORY", latency_nothing, 3, ADMIN),
        (b"LATEST", latency_nothing, 2, ADMIN),
        (b"RESET", latency_reset, -2, ADMIN),
    )),
    container(b"MEMORY", (
        (b"DOCTOR", memory_doctor, 2, PLAIN),
        (b"MALLOC-STATS", memory_malloc_stats, 2, PLAIN),
        (b"PURGE", memory_purge, 2, PLAIN),
        (b"STATS", memory_stats, 2, PLAIN),
        (b"USAGE", memory_usage, -3, READ, 2, 2, 1),
    )),
    container(b"DEBUG", (
        (b"DIGEST", _from_here(debug_digest), 2, _DEBUG),
        (b"DIGEST-VALUE", _from_here(debug_digest_value), -2, _DEBUG, 2, -1, 1),
        (b"ERROR", _from_here(debug_error), 3, _DEBUG),
        (b"OBJECT", _from_here(debug_object), -3, _DEBUG, 2, 2, 1),
        (b"PAUSE-CRON", _from_here(debug_nothing), 3, _DEBUG),
        (b"QUICKLIST-PACKED-THRESHOLD", _from_here(debug_nothing), 3, _DEBUG),
        (b"RELOAD", _from_here(debug_reload), -2, _DEBUG | {"write", "several"}),
        (b"SET-ACTIVE-EXPIRE", _from_here(debug_set_active_expire), 3, _DEBUG),
        (b"SLEEP", _from_here(debug_sleep), 3, _DEBUG),
    )),
)
