"""Topics: messages with ascending numbers that any number of readers read, each at its own cursor.

    TOPIC.PUBLISH name type payload [MAXLEN n] [MAXBYTES n] [MAXAGE ms]    the message's number: 1, 2, 3...
        the bounds, where given, are the topic's from now on; MAXAGE 0 means any age
    TOPIC.READ [WAIT ms] [COUNT n] TOPICS n (name cursor)...    what is behind the cursors (engine/cursors)
        WAIT 0 (the default) does not wait, -1 waits for ever; COUNT is for each topic (100).  null where nothing is
        there in time, else an array for each topic that has something:
        [name, cursor, missed, number of the first, [type, wall_ms, payload, type, wall_ms, payload, ...]]
    TOPIC.INFO name         a map, or null: last, kept, bytes, maxlen, maxbytes, maxage, published (wall ms), and the
                            cursors oldest and newest
    TOPIC.LIST              the names
    TOPIC.DROP name         1, or 0 where there was none

A topic lies in the space TOPICS.  The coordinator keeps nothing of who reads it, but who waits at the moment.
"""

from ... import errors, limits
from ...formats import resp, values
from .. import cursors, databases
from ..structures.topics import (ANCESTORS_MAX, BORN_BYTES, BYTES_MAX, HEAD, LIFE_BYTES, RECORDS_MAX, Topic,
                                 meta_words)
from .command import INT64_MAX, READ, READ_FAST, WRITE_FAST, WRITE_FAST_OOM, Command, bounded, integer, syntax_error
from .run import as_write

COUNT = 100
WAIT_MS_MAX = 10 ** 15
_TYPE_MAX = len(values.NAMES) - 1
_BOUNDS = {b"MAXLEN": (0, 1, 10 ** 9), b"MAXBYTES": (1, HEAD.size, limits.GIB), b"MAXAGE": (2, 0, WAIT_MS_MAX)}
_DEFAULTS = RECORDS_MAX, BYTES_MAX, 0


def topic_of(keyspace, key):
    """The topic at a key, or None."""
    return keyspace.structure(key, Topic)


def key_of(name):
    """The key of the topic with a name (with its database's prefix, as the words at the places of keys are)."""
    return databases.in_space(databases.TOPICS, name)


def publish(context, args):
    """Append a message; its number."""
    keyspace, key, payload = context.keyspace, key_of(args[0]), args[2]
    value_type = bounded(args[1], _TYPE_MAX, "type")
    topic = topic_of(keyspace, key)
    bounds = _DEFAULTS if topic is None else topic.bounds()
    if len(args) > 3:
        bounds = _bounds(bounds, args[3:])
    if len(payload) + HEAD.size > bounds[1]:
        raise errors.ValueTooLargeError("a message of %d bytes; the topic keeps %d: publish with MAXBYTES"
                                        % (len(payload) + HEAD.size, bounds[1]))
    if topic is None:
        return _begin(context, key, bounds, HEAD.pack(keyspace.wall_ms(), value_type) + payload)
    now_ms = max(keyspace.wall_ms(), topic.newest_ms())  # the times in a topic never fall
    record = HEAD.pack(now_ms, value_type) + payload
    if bounds == topic.bounds() and topic.born[-LIFE_BYTES:] == keyspace.life:
        keyspace.change(key, topic, [b"pub", b"%d" % topic.room_for(record, now_ms), record])
    else:
        as_write(keyspace, lambda: _publish_changed(keyspace, key, topic, bounds, record, now_ms))
    return topic.last


def _begin(context, key, bounds, record):
    topic = Topic()
    identity_bytes = BORN_BYTES - LIFE_BYTES
    identity = context.random_bits(8 * identity_bytes).to_bytes(identity_bytes, "little")
    topic.apply(meta_words(identity + context.keyspace.life, 0, *bounds))
    topic.apply([b"pub", b"0", record])
    context.keyspace.put(key, topic)
    return topic.last


def _publish_changed(keyspace, key, topic, bounds, record, now_ms):
    born, ancestors = topic.born[:-LIFE_BYTES] + keyspace.life, topic.ancestors
    if born != topic.born:
        ancestors = (ancestors + ((topic.born[-LIFE_BYTES:], topic.last),))[-ANCESTORS_MAX:]
    keyspace.change(key, topic, meta_words(born, topic.last, *bounds, ancestors=ancestors))
    keyspace.change(key, topic, [b"pub", b"%d" % topic.room_for(record, now_ms), record])


def _bounds(bounds, words):
    """The bounds that words ask for, over those that are."""
    found = list(bounds)
    if len(words) & 1:
        raise syntax_error()
    for name, word in zip(words[::2], words[1::2]):
        if name.upper() not in _BOUNDS:
            raise syntax_error()
        index, least, most = _BOUNDS[name.upper()]
        found[index] = bounded(word, most, name.upper().decode("ascii"))
        if found[index] < least:
            raise errors.CommandError("%s must be at least %d" % (name.upper().decode("ascii"), least))
    return tuple(found)


def read_options(words):
    """(ms to wait, -1 for ever; how many at most; where the rest begins) of WAIT and COUNT in front."""
    wait_ms, count, index = 0, COUNT, 0
    while index + 1 < len(words):
        option = words[index].upper()
        if option == b"WAIT":
            wait_ms = integer(words[index + 1])
            if not -1 <= wait_ms <= WAIT_MS_MAX:
                raise errors.CommandError("WAIT must be from -1 to %d, not %d" % (WAIT_MS_MAX, wait_ms))
        elif option == b"COUNT":
            count = max(min(bounded(words[index + 1], INT64_MAX, "COUNT"), cursors.COUNT_MAX), 1)
        else:
            break
        index += 2
    return wait_ms, count, index


def wait_for(context, keys, wait_ms, attempt):
    """What attempt() gives now, or later."""
    reply = attempt(context, keys)
    if reply is not None or not wait_ms:
        return reply
    return context.block(keys, 0.0 if wait_ms < 0 else wait_ms / 1000.0, attempt, None)


def flat(records):
    """Type, time and payload of records in turn."""
    found, size = [], HEAD.size
    for record in records:
        now_ms, value_type = HEAD.unpack_from(record)
        found += value_type, now_ms, record[size:]
    return found


def read(context, args):
    """Messages behind cursors."""
    wait_ms, count, index = read_options(args)
    words = args[index:]
    if len(words) < 4 or words[0].upper() != b"TOPICS" or len(words) != 2 + 2 * bounded(words[1], INT64_MAX, "TOPICS"):
        raise syntax_error()
    places = []  # (name, key, number, birth)
    for name, word in zip(words[2::2], words[3::2]):
        number, born = cursors.parse(word)
        topic, key = topic_of(context.keyspace, key_of(name)), key_of(name)
        number = cursors.resolve(_what(context, name), topic, number, born)
        places.append((name, key, number, topic.born if topic is not None and number else born))

    def attempt(context, keys):
        keyspace, found = context.keyspace, []
        for name, key, number, born in places:
            topic = topic_of(keyspace, key)
            number = cursors.resolve(_what(context, name), topic, number, born)
            new = topic and cursors.news(topic, number, count, keyspace.wall_ms())
            if new:
                found.append([context.shown_key(name)] + new[:3] + [flat(new[3])])
        return found or None

    return wait_for(context, [key for _, key, _, _ in places], wait_ms, attempt)


def _what(context, name):
    return "topic %r" % context.shown_key(name).decode("utf-8", "surrogateescape")


def topic_keys(argv):
    """The indexes of the names in TOPIC.READ."""
    for index in range(1, len(argv) - 1, 2):
        if argv[index].upper() == b"TOPICS":
            return range(index + 2, len(argv), 2)
    return ()


def info(context, args):
    """What there is to say about a topic."""
    topic = topic_of(context.keyspace, key_of(args[0]))
    if topic is None:
        return None
    return resp.Map([(b"last", topic.last), (b"kept", len(topic)), (b"bytes", topic.stored_bytes),
                     (b"maxlen", topic.records_max), (b"maxbytes", topic.bytes_max), (b"maxage", topic.age_ms_max),
                     (b"published", topic.newest_ms()), (b"oldest", cursors.text_of(topic, topic.first - 1)),
                     (b"newest", cursors.text_of(topic, topic.last))])


def list_(context, args):
    """The names of all topics of the session's database, sorted."""
    database = context.session.database
    names = [databases.name_of(key) for key in context.keyspace.databases.hidden
             if databases.number_of(key) == databases.TOPICS]
    return sorted(databases.name_of(name) for name in names if databases.number_of(name) == database)


def drop(context, args):
    """Remove a topic with all its messages; who reads it is told."""
    keyspace, key = context.keyspace, key_of(args[0])
    return int(topic_of(keyspace, key) is not None and keyspace.delete(key))


COMMANDS = (
    Command(b"TOPIC.PUBLISH", publish, -4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"TOPIC.READ", read, -5, READ | {"blocking", "movablekeys"}, keys=topic_keys),
    Command(b"TOPIC.INFO", info, 2, READ_FAST, 1, 1, 1),
    Command(b"TOPIC.LIST", list_, 1, READ),
    Command(b"TOPIC.DROP", drop, 2, WRITE_FAST, 1, 1, 1),
)
