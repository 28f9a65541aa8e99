"""The hot path of commands: many short ones of one client in one loop, answered with bytes.

`make_run_fast(keyspace, ...)` returns run_fast(context, commands, append).  `commands` are lists of words, the next one
last; it takes those away that it has run, gives append() the bytes of each answer, and stops in front of the first that
is not of the common kind: the caller gives that one to dispatch().  What it says is what dispatch() says; a test holds
the two against each other.

Three kinds are common:
 1. SET, GET, INCR, MSET of plain values that lie in the heap: lookup and storing are inline (engine/fastset does the
    latter, the log included, or engine/fastpairs); anything else about key, value or index sends them the other way.
 2. Commands that only read, and, without a log, those that change one thing, if they are "fast" (a slow one belongs
    into the slow log, which dispatch() is watched for): their functions are called as they are.
 3. Nothing else: a command that may wait, changes the session, needs a batch or a permission is dispatched.

It is written for speed: names bound once, one dict lookup to find out what is common, no call that can be left out.
"""

from ... import errors
from ...formats import resp
from ...formats.records import BODY, HEADER, HEADER_SIZE_BYTES
from ...formats.slots import FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ...formats.values import BYTES, INT
from ...limits import KEY_SIZE_BYTES_MAX, KIB
from ..fastpairs import make_store_one, make_store_pairs
from .command import INT64_MAX, parse_integer

AT_ONCE = 64  # commands, after which the caller looks at what else there is to do, and so it does
LONG_BYTES = 256 * KIB  # after an answer of so many
_INT_DIGITS_FAST = 18  # an integer of so many digits cannot overflow when one is added
_ZERO = ord("0")
_OK = b"+OK\r\n"
_OURS = b"NOSQGRID."
_HARMLESS = (b"PING", b"ECHO")  # of those about the connection
_DISPATCHED = frozenset(("admin", "alone", "several", "blocking", "noscript", "pubsub", "connection"))


def common_rows(table):
    """{name: (function, arity, whether it writes)} of the commands of the second kind, in upper and in lower case."""
    found = {}
    for name, row in table.items():
        if name.startswith(_OURS):
            continue  # descriptors may travel with the answer
        if name in _HARMLESS or "fast" in row.flags and row.subcommands is None and row.flags.isdisjoint(_DISPATCHED):
            found[name] = found[name.lower()] = row.function, row.arity, "write" in row.flags
    return found


def make_run_fast(keyspace, pubsub, waiting, rows):
    """See the module; `rows` are common_rows()."""
    by_name, encode_reply = rows.get, resp.encode_reply
    find, find_number = make_find(keyspace), make_find(keyspace, b"0")
    store, store_one = make_store(keyspace), make_store_one(keyspace)
    inline = {b"GET": 1, b"get": 1, b"SET": 2, b"set": 2, b"INCR": 3, b"incr": 3, b"MSET": 4, b"mset": 4,
              b"PING": 5, b"ping": 5}.get
    serve_ready = waiting.serve

    def run_fast(context, commands, append):
        session = context.session
        if session.special or pubsub.events or keyspace.staging:
            return
        # Who caches hears of a change before it is answered, and it is dispatch() that tells him.
        may_write, logged = session.may_write and keyspace.touched is None, keyspace.log is not None
        stop = max(len(commands) - AT_ONCE, 0)
        while len(commands) > stop:
            words = commands[-1]
            kind = inline(words[0])
            if kind == 1 and len(words) == 2:
                value = find(words[1])
                if value is not None and len(value) < LONG_BYTES:
                    append(b"$%d\r\n%b\r\n" % (len(value), value))
                    del commands[-1]
                    continue
            elif kind == 2 and may_write and len(words) == 3:
                if _run_sets(commands, words, store, store_one, append):
                    continue
            elif kind == 3 and may_write and len(words) == 2:
                if _run_increments(commands, words, find_number, store, store_one, append):
                    continue
            elif kind == 4 and may_write and len(words) & 1 and len(words) > 1:
                if store(words[1::2], words[2::2], BYTES, True):
                    append(_OK)
                    del commands[-1]
                    continue
            elif kind == 5 and len(words) == 1:
                append(b"+PONG\r\n")
                del commands[-1]
                continue
            row = by_name(words[0])
            if row is None:
                return
            function, arity, writes = row
            if writes and (logged or not may_write) or len(words) != arity and (arity > 0 or len(words) < -arity):
                return
            del commands[-1]
            try:
                reply = function(context, words[1:])
            except errors.NosqgridError as error:
                append(resp.encode_error(error))
                continue
            data = (b":%d\r\n" % reply if type(reply) is int and -INT64_MAX <= reply <= INT64_MAX
                    else encode_reply(reply, session.protocol))
            append(data)
            if keyspace.ready:
                serve_ready()
            if len(data) > LONG_BYTES:
                return

    return run_fast


def small_number(text):
    """The integer that a text stands for, or None where it is none or so long that adding to it may overflow."""
    if len(text) > _INT_DIGITS_FAST:
        return None
    return int(text) if text.isdigit() and text[0] != _ZERO else parse_integer(text)


def _run_sets(commands, words, store, store_one, append):
    """Run the plain sets that follow each other, of which these are the words; whether there was one that could be."""
    if len(commands) == 1 and store_one(words[1], words[2], BYTES):
        append(_OK)
        del commands[-1]
        return True
    name, count = words[0], 0
    for words in reversed(commands):
        if words[0] != name or len(words) != 3 or count == AT_ONCE:
            break
        count += 1
    run = commands[-count:]
    done = store([words[1] for words in reversed(run)], [words[2] for words in reversed(run)], BYTES)
    if done:
        append(_OK * done)
        del commands[-done:]
    return done


def _run_increments(commands, words, find, store, store_one, append):
    """Run the INCR that follow each other, of which these are the words; how many could be."""
    if len(commands) == 1:
        text = find(words[1])
        number = None if text is None else small_number(text)
        if number is None:
            return 0
        text = b"%d" % (number + 1)
        if store_one(words[1], text, INT):
            append(b":%b\r\n" % text)
            del commands[-1]
            return 1
    name, texts, numbers, keys = words[0], [], {}, []
    for words in reversed(commands):
        if words[0] != name or len(words) != 2 or len(keys) == AT_ONCE:
            break
        key = words[1]
        number = numbers.get(key)
        if number is None:
            text = find(key)
            number = None if text is None else small_number(text)
            if number is None:
                break
        numbers[key] = number + 1
        keys.append(key)
        texts.append(b"%d" % (number + 1))
    done = store(keys, texts, INT) if keys else 0
    if done:
        append(b":%b\r\n" % b"\r\n:".join(texts[:done]))
        del commands[-done:]
    return done


def make_store(keyspace):
    """store(keys, values, value_type, whole=False) -> how many, from the first on, were stored in the hot way.

    With `whole` it is all of them or none.
    """
    pack_head, region, index = BODY.pack, keyspace.heap.writer, keyspace.index
    store_pairs = make_store_pairs(keyspace)
    extra = 15 + (4 if keyspace.checked else 0) + BODY.size  # of a record beside key and value: see engine/fastset

    def store(keys, values, value_type, whole=False):
        if len(keys) == 1 and len(keys[0]) <= KEY_SIZE_BYTES_MAX and not whole:
            key, value = keys[0], values[0]
            data = pack_head(len(value), len(key), value_type, 0) + key + value
            try:
                return keyspace.apply_sets(data, 0, len(data)) and 1
            except errors.StorageError:
                return 0
        if store_pairs(dict(zip(keys, values)), len(keys), value_type):
            return len(keys)
        parts = []
        for key, value in zip(keys, values):
            if len(key) > KEY_SIZE_BYTES_MAX:
                return 0
            parts += pack_head(len(value), len(key), value_type, 0), key, value
        data = b"".join(parts)
        end = len(data)
        if whole and (end + extra * len(keys) > region.limit - region.cursor
                      or index.table.full_at - index.table.used <= len(keys)
                      or end > keyspace.heap.record_size_bytes_max):
            return 0
        try:
            stop = keyspace.apply_sets(data, 0, end)
        except errors.StorageError:
            return 0  # nothing of it took place: the plain way says so to each
        if stop == end:
            return len(keys)
        if whole and stop:
            for key, value in zip(keys, values):  # there is room for each
                keyspace.store(key, value_type, value)
            return len(keys)
        done = 0
        while stop:
            stop -= BODY.size + len(keys[done]) + len(values[done])
            done += 1
        return done

    return store


def make_find(keyspace, absent=None):
    """find(key) -> the bytes of a plain value in the heap, `absent` where there is none, None for something else."""
    words, source, index = keyspace.words, keyspace.source, keyspace.index
    a, b, p = keyspace.secret
    unpack_header, from_bytes, arena = HEADER.unpack_from, int.from_bytes, keyspace.arena

    def find(key):
        if not index.steady or index.tracker is not None:
            return None
        size = len(key)
        key_hash = (from_bytes(key, "little") + size * b) * a % p
        tag = key_hash & TAG_MASK
        slot = index.base + (key_hash >> index.shift)
        while True:
            word = words[slot]
            if word < FIRST_REAL:
                if not word:
                    return absent
            elif word >> TAG_SHIFT == tag:
                offset = (word & OFFSET_MASK) << 3
                _, value_length, key_length, _, flags = unpack_header(source, offset)
                start = offset + HEADER_SIZE_BYTES
                if flags:
                    return None
                if key_length == size and arena[start:start + size] == key:
                    start += size
                    return arena[start:start + value_length]
            slot += 1

    return find
