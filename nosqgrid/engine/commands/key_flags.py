"""What a command does with each of its keys, in Redis' words, for COMMAND GETKEYSANDFLAGS and COMMAND INFO.

    RO, RW, OW, RM      the value is read; read and changed; overwritten, whatever it was; removed
    access              what is in the value comes back to the client, or is copied, or decides what happens
    insert, update, delete     what happens to what is in it

A command that is not named here only reads, and gives back what is in the value; of those that Redis does not have the
ones that write may do all with their keys.
"""

_ONLY_LOOKED_AT = """EXISTS HEXISTS HLEN HSTRLEN LLEN MEMORY|USAGE OBJECT|ENCODING OBJECT|FREQ OBJECT|IDLETIME
OBJECT|REFCOUNT SCARD SISMEMBER STRLEN TOUCH TYPE WATCH XLEN ZCARD"""

# For the first key, and for the others where they differ.
_FLAGS = {
    "RO": _ONLY_LOOKED_AT,
    "OW insert": "MSETNX SETNX",
    "OW update": "MSET PSETEX RESTORE SETEX SET",
    "OW update|RO access": "BITOP GEOSEARCHSTORE SDIFFSTORE SUNIONSTORE ZDIFFSTORE ZINTERSTORE ZRANGESTORE ZUNIONSTORE",
    "RM delete": "DEL UNLINK",
    "RO access|OW update": "COPY GEORADIUS GEORADIUSBYMEMBER SORT",
    "RW access": "PFCOUNT",
    "RW access delete": "BLMPOP BLPOP BRPOP BZMPOP BZPOPMAX BZPOPMIN GETDEL LMPOP LPOP MIGRATE RPOP SPOP ZMPOP ZPOPMAX "
                        "ZPOPMIN",
    "RW access delete|OW insert": "RENAMENX",
    "RW access delete|OW update": "RENAME",
    "RW access delete|RW insert": "BLMOVE BRPOPLPUSH LMOVE RPOPLPUSH SMOVE",
    "RW access insert|RO access": "PFMERGE",
    "RW access update": "BITFIELD DECR DECRBY EVAL EVALSHA FCALL GETEX GETSET HINCRBY HINCRBYFLOAT INCR INCRBY "
                        "INCRBYFLOAT MOVE SETBIT ZINCRBY",
    "RW delete": "HDEL LREM LTRIM SREM XAUTOCLAIM XDEL XGROUP|DELCONSUMER XGROUP|DESTROY XTRIM ZREM ZREMRANGEBYLEX "
                 "ZREMRANGEBYRANK ZREMRANGEBYSCORE",
    "RW insert": "APPEND HSETNX LINSERT LPUSH LPUSHX PFADD RPUSH RPUSHX SADD XGROUP|CREATE XGROUP|CREATECONSUMER",
    "RW update": "EXPIRE EXPIREAT GEOADD HMSET HSET LSET PERSIST PEXPIRE PEXPIREAT SETRANGE XACK XADD XCLAIM "
                 "XGROUP|SETID XSETID ZADD",
    "RW update|RO access": "SINTERSTORE",
}
_BY_NAME = {name.encode("ascii"): flags.split("|") for flags, names in _FLAGS.items() for name in names.split()}
_OURS = b"."  # as in NOSQGRID.CLAIM and LOCK.ACQUIRE
_READ_AND_CHANGED, _READ = ["RW access update"], ["RO access"]


def flags_of_keys(row, argv, count):
    """A list of words for each of so many keys of a command."""
    found = _BY_NAME.get(row.name) or (_READ_AND_CHANGED if _OURS in row.name and "write" in row.flags
                                       else _READ)
    if row.name == b"SET" and b"GET" in {word.upper() for word in argv[3:]}:
        found = _READ_AND_CHANGED
    if row.name == b"BITFIELD" and {b"SET", b"INCRBY"}.isdisjoint({word.upper() for word in argv[2:]}):
        found = _READ
    return [found[min(index, len(found) - 1)].split() for index in range(count)]


# -- where the keys stand, for COMMAND INFO ---------------------------------------------------------------------------

_OTHER_FLAGS = {b"SET": "RW access update variable_flags", b"BITFIELD": "RW access update variable_flags",
                b"PFDEBUG": "RW access"}
_COUNTED_AT = {b"LMPOP": 1, b"SINTERCARD": 1, b"ZDIFF": 1, b"ZINTER": 1, b"ZINTERCARD": 1, b"ZMPOP": 1, b"ZUNION": 1,
               b"BLMPOP": 2, b"BZMPOP": 2, b"EVAL": 2, b"EVALSHA": 2, b"EVAL_RO": 2, b"EVALSHA_RO": 2, b"FCALL": 2,
               b"FCALL_RO": 2, b"LOCK.ACQUIREALL": 1}
_COUNTED_BEHIND_ONE = (b"ZDIFFSTORE", b"ZINTERSTORE", b"ZUNIONSTORE")
_STREAMS_FROM = {b"XREAD": 1, b"XREADGROUP": 4}
_STORE_FROM = {b"GEORADIUS": 6, b"GEORADIUSBYMEMBER": 5}
_CHANNELS_TO = {b"SPUBLISH": 0, b"SSUBSCRIBE": -1, b"SUNSUBSCRIBE": -1}  # which Redis routes as it does keys


def key_specs(row):
    """Where a command's keys stand and what it does with them: [(flags, where the search begins, which are found)].

    The latter two are (type, {name: value}).  Redis adds notes to some, which are not given here.
    """
    name, flags = row.name, _BY_NAME.get(row.name, _READ)
    first = _OTHER_FLAGS.get(name, flags[0])
    if name in _COUNTED_AT:
        return [_counted(first, _COUNTED_AT[name])]
    if name in _STREAMS_FROM:
        return [_behind_word(first, "STREAMS", _STREAMS_FROM[name], -1, 2)]
    if name in _CHANNELS_TO:
        return [_from_index("not_key", 1, _CHANNELS_TO[name])]
    if not row.first_key:
        return []
    if name == b"MIGRATE":
        return [_from_index(first, 3, 0), _behind_word(first + " incomplete", "KEYS", -2, -1, 0)]
    alone = _from_index(first, row.first_key, 0)
    if name in _COUNTED_BEHIND_ONE:
        return [alone, _counted(flags[1], 2)]
    if name in _STORE_FROM:
        return [alone] + [_behind_word(flags[1], word, _STORE_FROM[name], 0, 0) for word in ("STORE", "STOREDIST")]
    if name in (b"SORT", b"SORT_RO"):
        return [alone] + [(found, ("unknown", {}), ("unknown", {})) for found in ["RO access"] + flags[1:]]
    if len(flags) == 2:
        return [alone, _from_index(flags[1], row.first_key + 1, min(row.last_key, 0))]
    last = row.last_key - row.first_key if row.last_key >= 0 else row.last_key
    return [_from_index(first, row.first_key, last, row.step)]


def _from_index(flags, index, last, step=1):
    return flags, ("index", {"index": index}), ("range", {"lastkey": last, "keystep": step, "limit": 0})


def _counted(flags, index):
    return flags, ("index", {"index": index}), ("keynum", {"keynumidx": 0, "firstkey": 1, "keystep": 1})


def _behind_word(flags, word, start, last, limit):
    return (flags, ("keyword", {"keyword": word, "startfrom": start}),
            ("range", {"lastkey": last, "keystep": 1, "limit": limit}))
