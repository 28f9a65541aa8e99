"""Attached to a grid: Redis commands without sockets, as far as that goes.

    GET, MGET, STRLEN, EXISTS     of values: read from shared memory, through the near cache; no system call
    other commands on data        over the lane
    pipelines, and what needs a connection (MULTI, WATCH, what blocks, pub/sub, MONITOR, CLIENT): over a socket

The values are what a Redis client is shown, bytes or decoded text, whatever type a Python program has stored.

Invariants
 1. A client sees its own writes: a command's effects are in shared memory before its reply is.
 2. Attached or not makes no difference in results, but for these: MGET reads its keys one after the other, and reads go
    on from the last state where the coordinator is gone.
 3. Only database 0 is read and written so; with another, everything goes over sockets.
"""

import threading

from .. import errors
from ..client.codec import TypedCodec
from ..client.grid import Grid, size_bytes
from ..client.store import Store
from ..formats.resp import Map, Push, Set, Simple
from ..formats.values import STRUCTURE_NAMES
from ..limits import CALL_TIMEOUT_S, NEAR_CACHE_BYTES_DEFAULT
from ..network import addresses
from .commands.arguments import listed
from .encoding import Encoder, pack
from .exceptions import ConnectionError, RedisError, TimeoutError, from_text
from .handshake import handshake

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
_ON_LANE = frozenset("""
    APPEND BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS COPY DBSIZE DECR DECRBY DEL DUMP ECHO EXISTS EXPIRE EXPIREAT
    EXPIRETIME FLUSHALL FLUSHDB GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO
    GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HGET HGETALL HINCRBY
    HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS INCR INCRBY INCRBYFLOAT KEYS LCS
    LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MSET MSETNX OBJECT PERSIST
    PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFMERGE PING PSETEX PTTL PUBLISH RANDOMKEY RENAME RENAMENX RESTORE RPOP
    RPOPLPUSH RPUSH RPUSHX SADD SCAN SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER SINTERCARD
    SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SRANDMEMBER SREM SSCAN STRLEN SUBSTR SUNION
    SUNIONSTORE TIME TOUCH TTL TYPE UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP XINFO XLEN XPENDING XRANGE XREVRANGE
    XSETID XTRIM ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE
    ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK
    ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE
    """.split())
_SHORTCUTS = ("get", "mget", "strlen", "exists")


def address_of(grid):
    """The path of a grid's socket, for a path, a Grid, or True for this user's default."""
    if isinstance(grid, Grid):
        return grid.address
    return addresses.resolve(None if grid is True else grid)


class PayloadCodec(TypedCodec):
    """Values as a Redis client is shown them: their payloads, whatever their type; text where `decode` makes it."""

    def __init__(self, decode):
        self.decoders = [decode] * 256
        self._decode = decode

    def decode_any(self, value_type, payload):
        """Of any buffer: a large value."""
        return self._decode(bytes(payload))


class Attached(object):
    """What an attached client has beside its pool: a session with the grid, made with the first command.

    `options` are the arguments of the client: database, names, passwords, protocol, and how replies are decoded.
    """

    def __init__(self, address, options):
        self.address = address
        self.usable = not int(options["db"] or 0)
        self._encoder = Encoder(options["encoding"], options["encoding_errors"], bool(options["decode_responses"]))
        self._greeting = _Greeting(options)
        self._timeout_s = CALL_TIMEOUT_S if options["socket_timeout"] is None else float(options["socket_timeout"])
        self._lock = threading.Lock()
        self._store = self._greeted = None
        self._read = self._first_read

    # -- the session --------------------------------------------------------------------------------------------------

    def begin(self, client):
        """Give a client its short ways to shared memory, as attributes of its own."""
        if self.usable:
            client.get, client.mget = self.get, self.mget
            client.strlen, client.exists = self.strlen, self.exists

    def forget_shortcuts(self, client):
        """Results are to be made by somebody's own functions: every command goes the usual way."""
        for name in _SHORTCUTS:
            client.__dict__.pop(name, None)

    def close(self):
        """Leave the grid; the next command attaches again."""
        with self._lock:
            store, self._store, self._greeted = self._store, None, None
            self._read = self._first_read
        if store is not None:
            store.close()

    def _live(self):
        """(store, attachment) of a session that was greeted."""
        store = self._store or self._open()
        attachment = store.live()
        if self._greeted is not attachment:
            self._greeting.speak(attachment)
            self._greeted = attachment
        return store, attachment

    def _open(self):
        with self._lock:
            if self._store is None:
                codec = PayloadCodec(self._decoded if self._encoder.decode_responses else bytes)
                store = Store(self.address, self._timeout_s, 0.0, size_bytes(NEAR_CACHE_BYTES_DEFAULT), self._publish,
                              None, codec)
                store.read_function = lambda key, default: self._read(key, default)
                self._store = store
            return self._store

    def _publish(self, get):
        self._read = get

    def _first_read(self, key, default=None):
        self._open()
        return self._read(key, default)

    def _decoded(self, payload):
        return payload.decode(self._encoder.encoding, self._encoder.encoding_errors)

    # -- reads of shared memory ---------------------------------------------------------------------------------------

    def get(self, name):
        """The value, or None."""
        try:
            return self._read(name if type(name) is str or type(name) is bytes else self._encoder.encode(name))
        except errors.NosqgridError as error:
            raise redis_error(error) from error

    def mget(self, keys, *args):
        """The values of several keys, None where there is none; each is read for itself."""
        return [self._get_or_none(name) for name in listed(keys, args)]

    def _get_or_none(self, name):
        try:
            return self._read(self._encoder.encode(name))
        except errors.WrongTypeError:
            return None
        except errors.NosqgridError as error:
            raise redis_error(error) from error

    def strlen(self, name):
        """The length in bytes."""
        found = self._located(name)
        if found is None:
            return 0
        if found.large:
            if found.type in STRUCTURE_NAMES:
                raise from_text(WRONGTYPE)
            return self.run(("STRLEN", name))
        return len(found.value)

    def exists(self, *names):
        """How many of the keys are there."""
        if not names:
            return self.run(("EXISTS",))
        return sum(self._located(name, False) is not None for name in names)

    def _located(self, name, with_value=True):
        try:
            return (self._store or self._open()).locate(self._encoder.encode(name), with_value)[1]
        except errors.KeyTooLargeError:
            return None
        except errors.NosqgridError as error:
            raise redis_error(error) from error

    # -- commands over the lane ---------------------------------------------------------------------------------------

    def takes(self, args):
        """Whether a command goes over the lane."""
        name = args[0]
        if not self.usable or type(name) is not str:
            return False
        if name in _ON_LANE:
            return True
        word = name.upper().split(" ", 1)[0]
        if word in ("XREAD", "XREADGROUP"):
            return not any(isinstance(value, str) and value.upper() == "BLOCK" or value in (b"BLOCK", b"block")
                           for value in args[1:])
        return word in _ON_LANE

    def run(self, args, disable_decoding=False):
        """Run a command; its reply, an error raised."""
        data = b"".join(pack(args, self._encoder))
        reply = self._called(lambda attachment: attachment.encoded(data))
        reply = self._plain(reply, self._encoder.decode_responses and not disable_decoding)
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def _called(self, function):
        try:
            store, _ = self._live()
            return store.call(function)
        except errors.NosqgridError as error:
            raise redis_error(error) from error

    def _plain(self, reply, decode):
        """A reply of formats/resp as parser.ReplyParser would give it."""
        kind = type(reply)
        if kind is bytes:
            return self._decoded(reply) if decode else reply
        if kind is int or reply is None:
            return reply
        if kind is Simple:
            return str(reply) if decode else reply.encode()
        if kind is list:
            return [self._plain(item, decode) for item in reply]
        return self._special(reply, decode)

    def _special(self, reply, decode):
        if isinstance(reply, Map):
            pairs = [(self._plain(name, decode), self._plain(value, decode)) for name, value in reply]
            return {tuple(name) if isinstance(name, list) else name: value for name, value in pairs}
        if isinstance(reply, (Set, Push)):
            items = [self._plain(item, decode) for item in reply]
            return set(items) if isinstance(reply, Set) and not any(type(item) is list for item in items) else items
        if isinstance(reply, Exception):
            return redis_error(reply)
        if isinstance(reply, bytes):  # verbatim
            return self._plain(bytes(reply), decode)
        return float(reply) if isinstance(reply, float) else bool(reply)


class _Greeting(object):
    """The handshake of handshake.py, over a lane; its attributes are what that looks at."""

    def __init__(self, options):
        for name in ("username", "password", "credential_provider", "client_name", "lib_name", "lib_version"):
            setattr(self, name, options[name])
        self._hello = b"".join(pack(("HELLO", int(options["protocol"] or 2)), Encoder()))
        self.db, self.protocol = 0, 2  # who logs in does that first; HELLO comes in the end
        self._encoder = Encoder()

    def speak(self, attachment):
        """Say hello; raises what was refused."""
        steps, replies = handshake(self), None
        while True:
            try:
                commands = steps.send(replies)
            except StopIteration:
                break
            replies = [_answer(attachment.encoded(b"".join(pack(command, self._encoder)))) for command in commands]
        reply = _answer(attachment.encoded(self._hello))
        if isinstance(reply, Exception):
            raise reply


def _answer(reply):
    if isinstance(reply, Exception):
        return redis_error(reply)
    if isinstance(reply, Map):
        return dict(reply)
    return reply.encode() if isinstance(reply, Simple) else reply


def redis_error(error):
    """An error of the grid as one of this package."""
    if isinstance(error, (errors.CoordinatorLostError, errors.NotServedError, errors.ClosedError, errors.PeerError)):
        return ConnectionError(str(error))
    if isinstance(error, errors.CoordinatorTimeoutError):
        return TimeoutError(str(error))
    if isinstance(error, errors.WrongTypeError):
        return from_text(WRONGTYPE)
    if type(error) is errors.CommandError:  # a code that is no class of ours stands in the text
        return from_text(str(error))
    return from_text("%s %s" % (getattr(error, "code", "ERR"), error))
