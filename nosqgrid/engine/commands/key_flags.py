"""What a command does with each of its keys, in Redis' words, for COMMAND GETKEYSANDFLAGS.

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
    "RW access delete": "BLMPOP BLPOP BRPOP BZMPOP BZPOPMAX BZPOPMIN GETDEL LMPOP LPOP RPOP SPOP ZMPOP ZPOPMAX ZPOPMIN",
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
_OURS = b"NOSQGRID."
_READ_AND_CHANGED, _READ = ["RW access update"], ["RO access"]


def flags_of_keys(row, argv, count):
    """A list of words for each of so many keys of a command."""
    found = _BY_NAME.get(row.name) or (_READ_AND_CHANGED if row.name.startswith(_OURS) and "write" in row.flags
                                       else _READ)
    if row.name == b"SET" and b"GET" in {word.upper() for word in argv[3:]}:
        found = _READ_AND_CHANGED
    if row.name == b"BITFIELD" and {b"SET", b"INCRBY"}.isdisjoint({word.upper() for word in argv[2:]}):
        found = _READ
    return [found[min(index, len(found) - 1)].split() for index in range(count)]
