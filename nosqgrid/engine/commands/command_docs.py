"""COMMAND DOCS: what a command does, to which group it belongs, and since which version of Redis there is one.

Which arguments a command takes is not described here: clients show that to people, and none needs it to work.
"""

from ...formats import resp

_GROUPS = {"strings": b"string", "numbers": b"string", "keys": b"generic", "connection": b"connection",
           "clients": b"connection", "sorting": b"generic", "hashes": b"hash", "sets": b"set", "bits": b"bitmap",
           "bitfield": b"bitmap", "hyperloglogs": b"hyperloglog", "lcs": b"string", "geo": b"geo",
           "geosearch": b"geo", "georadius": b"geo", "pubsub": b"pubsub", "transactions": b"transactions",
           "walking": b"generic", "expiring": b"generic", "dumping": b"generic", "known_scripts": b"scripting"}
_GROUPS.update(dict.fromkeys(("lists", "blocking_lists"), b"list"))
_GROUPS.update(dict.fromkeys(("zsets", "zranges", "zsetpops", "zsetops"), b"sorted-set"))
_GROUPS.update(dict.fromkeys(("streams", "stream_reads", "stream_groups", "stream_info"), b"stream"))
_GROUPS_OF_NAMES = {b"MONITOR": b"server", b"DBSIZE": b"server", b"SELECT": b"connection", b"MOVE": b"generic",
                    b"MIGRATE": b"generic", b"WAIT": b"generic", b"OBJECT": b"generic", b"CLIENT": b"connection",
                    b"PUBSUB": b"pubsub",
                    b"FUNCTION": b"scripting", b"SCRIPT": b"scripting", b"XGROUP": b"stream", b"XINFO": b"stream"}
_GROUPS_OF_NAMES.update(dict.fromkeys((b"ASKING", b"CLUSTER", b"READONLY", b"READWRITE"), b"cluster"))

_SINCE = {
    "1.0.0": """AUTH BGREWRITEAOF BGSAVE DBSIZE DEBUG DECR DECRBY DEL ECHO EXISTS EXPIRE FLUSHALL FLUSHDB GET GETSET
        INCR INCRBY INFO KEYS LASTSAVE LINDEX LLEN LPOP LPUSH LRANGE LREM LSET LTRIM MGET MONITOR MOVE PING QUIT
        RANDOMKEY RENAME RENAMENX RPOP RPUSH SADD SAVE SCARD SDIFF SDIFFSTORE SELECT SET SETNX SHUTDOWN SINTER
        SINTERSTORE SISMEMBER SLAVEOF SMEMBERS SMOVE SORT SPOP SRANDMEMBER SREM SUBSTR SUNION SUNIONSTORE SYNC TTL
        TYPE""",
    "1.0.1": "MSET MSETNX",
    "1.0.5": "ZRANGEBYSCORE",
    "1.2.0": "EXEC EXPIREAT MULTI RPOPLPUSH ZADD ZCARD ZINCRBY ZRANGE ZREM ZREMRANGEBYSCORE ZREVRANGE ZSCORE",
    "2.0.0": """APPEND BLPOP BRPOP CONFIG CONFIG|GET CONFIG|RESETSTAT CONFIG|SET DISCARD HDEL HEXISTS HGET HGETALL
        HINCRBY HKEYS HLEN HMGET HMSET HSET HSETNX HVALS PSUBSCRIBE PUBLISH PUNSUBSCRIBE SETEX SUBSCRIBE UNSUBSCRIBE
        ZCOUNT ZINTERSTORE ZRANK ZREMRANGEBYRANK ZREVRANK ZUNIONSTORE""",
    "2.2.0": "BRPOPLPUSH GETBIT LINSERT LPUSHX PERSIST RPUSHX SETBIT SETRANGE STRLEN UNWATCH WATCH ZREVRANGEBYSCORE",
    "2.2.3": "OBJECT OBJECT|ENCODING OBJECT|IDLETIME OBJECT|REFCOUNT",
    "2.2.12": "SLOWLOG SLOWLOG|GET SLOWLOG|LEN SLOWLOG|RESET",
    "2.4.0": "CLIENT CLIENT|KILL CLIENT|LIST GETRANGE",
    "2.6.0": """BITCOUNT BITOP DUMP EVAL EVALSHA HINCRBYFLOAT INCRBYFLOAT MIGRATE PEXPIRE PEXPIREAT PSETEX PTTL RESTORE
        SCRIPT SCRIPT|EXISTS SCRIPT|FLUSH SCRIPT|KILL SCRIPT|LOAD TIME""",
    "2.6.9": "CLIENT|GETNAME CLIENT|SETNAME",
    "2.8.0": "CONFIG|REWRITE HSCAN PSYNC PUBSUB PUBSUB|CHANNELS PUBSUB|NUMPAT PUBSUB|NUMSUB SCAN SSCAN ZSCAN",
    "2.8.7": "BITPOS",
    "2.8.9": "PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST ZLEXCOUNT ZRANGEBYLEX ZREMRANGEBYLEX ZREVRANGEBYLEX",
    "2.8.12": "ROLE",
    "2.8.13": """COMMAND COMMAND|COUNT COMMAND|GETKEYS COMMAND|INFO LATENCY LATENCY|DOCTOR LATENCY|GRAPH LATENCY|HELP
        LATENCY|HISTORY LATENCY|LATEST LATENCY|RESET""",
    "2.9.50": "CLIENT|PAUSE",
    "3.0.0": """ASKING CLUSTER CLUSTER|ADDSLOTS CLUSTER|BUMPEPOCH CLUSTER|COUNT-FAILURE-REPORTS CLUSTER|COUNTKEYSINSLOT
        CLUSTER|DELSLOTS CLUSTER|FAILOVER CLUSTER|FLUSHSLOTS CLUSTER|FORGET CLUSTER|GETKEYSINSLOT CLUSTER|INFO
        CLUSTER|KEYSLOT CLUSTER|MEET CLUSTER|MYID CLUSTER|NODES CLUSTER|REPLICATE CLUSTER|RESET CLUSTER|SAVECONFIG
        CLUSTER|SET-CONFIG-EPOCH CLUSTER|SETSLOT CLUSTER|SLAVES CLUSTER|SLOTS READONLY READWRITE REPLCONF RESTORE-ASKING
        WAIT""",
    "3.2.0": "BITFIELD CLIENT|REPLY GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER HSTRLEN SCRIPT|DEBUG",
    "3.2.1": "TOUCH",
    "3.2.10": "GEORADIUSBYMEMBER_RO GEORADIUS_RO",
    "4.0.0": """MEMORY MEMORY|DOCTOR MEMORY|HELP MEMORY|MALLOC-STATS MEMORY|PURGE MEMORY|STATS MEMORY|USAGE MODULE
        MODULE|LIST MODULE|LOAD MODULE|UNLOAD OBJECT|FREQ SWAPDB UNLINK""",
    "5.0.0": """BZPOPMAX BZPOPMIN CLIENT|HELP CLIENT|ID CLIENT|UNBLOCK CLUSTER|HELP CLUSTER|REPLICAS COMMAND|HELP
        CONFIG|HELP LOLWUT MODULE|HELP REPLICAOF SCRIPT|HELP XACK XADD XCLAIM XDEL XGROUP XGROUP|CREATE
        XGROUP|DELCONSUMER XGROUP|DESTROY XGROUP|HELP XGROUP|SETID XINFO XINFO|CONSUMERS XINFO|GROUPS XINFO|HELP
        XINFO|STREAM XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE XSETID XTRIM ZPOPMAX ZPOPMIN""",
    "6.0.0": """ACL ACL|CAT ACL|DELUSER ACL|GENPASS ACL|GETUSER ACL|HELP ACL|LIST ACL|LOAD ACL|LOG ACL|SAVE ACL|SETUSER
        ACL|USERS ACL|WHOAMI BITFIELD_RO CLIENT|CACHING CLIENT|GETREDIR CLIENT|TRACKING HELLO""",
    "6.0.6": "LPOS",
    "6.2.0": """BLMOVE CLIENT|INFO CLIENT|TRACKINGINFO CLIENT|UNPAUSE COPY FAILOVER GEOSEARCH GEOSEARCHSTORE GETDEL
        GETEX HRANDFIELD LMOVE OBJECT|HELP PUBSUB|HELP RESET SLOWLOG|HELP SMISMEMBER XAUTOCLAIM XGROUP|CREATECONSUMER
        ZDIFF ZDIFFSTORE ZINTER ZMSCORE ZRANDMEMBER ZRANGESTORE ZUNION""",
    "7.0.0": """ACL|DRYRUN BLMPOP BZMPOP CLIENT|NO-EVICT CLUSTER|ADDSLOTSRANGE CLUSTER|DELSLOTSRANGE CLUSTER|LINKS
        CLUSTER|SHARDS COMMAND|DOCS COMMAND|GETKEYSANDFLAGS COMMAND|LIST EVALSHA_RO EVAL_RO EXPIRETIME FCALL FCALL_RO
        FUNCTION FUNCTION|DELETE FUNCTION|DUMP FUNCTION|FLUSH FUNCTION|HELP FUNCTION|KILL FUNCTION|LIST FUNCTION|LOAD
        FUNCTION|RESTORE FUNCTION|STATS LATENCY|HISTOGRAM LCS LMPOP MODULE|LOADEX PEXPIRETIME PUBSUB|SHARDCHANNELS
        PUBSUB|SHARDNUMSUB SINTERCARD SORT_RO SPUBLISH SSUBSCRIBE SUNSUBSCRIBE ZINTERCARD ZMPOP""",
}
_SINCE = {name.encode("ascii"): version.encode("ascii") for version, names in _SINCE.items() for name in names.split()}


def documented(row):
    """The map that COMMAND DOCS has for a row, its subcommands included; no version where Redis 7.0 has none such."""
    fields = [(b"summary", _summary(row)), (b"since", _SINCE.get(row.name)), (b"group", _group(row))]
    if row.subcommands:
        fields.append((b"subcommands", resp.Map([(found.name.lower(), documented(found))
                                                 for found in row.subcommands.values()])))
    return resp.Map([field for field in fields if field[1] is not None])


def _summary(row):
    """The first line of what the function says about itself; nothing under python -OO."""
    if row.name.endswith(b"|HELP"):
        return b"What subcommands there are."
    if row.subcommands and not row.function.__doc__:
        return b"A container of subcommands."
    return (row.function.__doc__ or "").split("\n", 1)[0].encode("utf-8")


def _group(row):
    group = _GROUPS_OF_NAMES.get(row.name.partition(b"|")[0])
    return group or _GROUPS.get(row.function.__module__.rpartition(".")[2], b"server")
