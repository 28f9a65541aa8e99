"""What clients are told about commands beside what the table needs itself: Redis' flags, categories and tips.

What a command is to us says most of it (its flags, its module); the rest is lists of names.
"""

OURS = frozenset(("connection", "alone", "several"))  # flags that are none of Redis'

_OF_FLAGS = {"write": ("@write",), "readonly": ("@read",), "admin": ("@admin", "@dangerous"), "pubsub": ("@pubsub",),
             "blocking": ("@blocking",)}
_OF_MODULES = {
    "strings": "@string", "numbers": "@string", "lcs": "@string", "keys": "@keyspace", "walking": "@keyspace",
    "expiring": "@keyspace", "dumping": "@keyspace", "connection": "@connection", "clients": "@connection",
    "bits": "@bitmap", "bitfield": "@bitmap", "hyperloglogs": "@hyperloglog", "hashes": "@hash", "sets": "@set",
    "lists": "@list", "blocking_lists": "@list", "geo": "@geo", "transactions": "@transaction",
    "known_scripts": "@scripting",
}
_OF_MODULES.update({"topics": "@stream", "listening": "@pubsub"})
_OF_MODULES.update(dict.fromkeys(("zsets", "zranges", "zsetpops", "zsetops"), "@sortedset"))
_OF_MODULES.update(dict.fromkeys(("streams", "stream_reads", "stream_groups", "stream_info"), "@stream"))
_OF_CONTAINERS = {b"CLIENT": "@connection", b"COMMAND": "@connection", b"OBJECT": "@keyspace",
                  b"FUNCTION": "@scripting", b"SCRIPT": "@scripting", b"XGROUP": "@stream", b"XINFO": "@stream"}
_OF_NAMES = {b"SORT": ("@set", "@sortedset", "@list", "@dangerous"), b"INFO": ("@dangerous",),
             b"ROLE": ("@admin", "@dangerous"), b"LASTSAVE": ("@admin", "@dangerous"), b"COMMAND": ("@connection",),
             b"MONITOR": (), b"MEMORY|USAGE": ()}
_OF_NAMES[b"SORT_RO"] = _OF_NAMES[b"SORT"]
_OF_NAMES.update(dict.fromkeys((b"SELECT", b"WAIT", b"ASKING", b"READONLY", b"READWRITE"), ("@connection",)))
_OF_NAMES.update(dict.fromkeys((b"MOVE",), ("@keyspace",)))
_OF_NAMES.update(dict.fromkeys((b"FLUSHALL", b"FLUSHDB", b"KEYS", b"MIGRATE", b"RESTORE", b"SWAPDB"),
                               ("@keyspace", "@dangerous")))


def _by_name(table):
    """{name: frozenset of words} of {words: names}."""
    found = {}
    for words, names in table.items():
        for name in names.split():
            found[name.encode("ascii")] = found.get(name.encode("ascii"), frozenset()) | frozenset(words.split())
    return found


_MORE_FLAGS = _by_name({
    "loading stale": """ACL|HELP
        AUTH CLIENT|GETNAME CLIENT|HELP CLIENT|ID CLIENT|INFO CLIENT|KILL CLIENT|LIST CLIENT|NO-EVICT
        CLIENT|NO-TOUCH CLIENT|PAUSE CLIENT|REPLY CLIENT|SETINFO CLIENT|SETNAME CLIENT|UNBLOCK CLIENT|UNPAUSE
        CLUSTER|HELP COMMAND COMMAND|COUNT COMMAND|DOCS COMMAND|GETKEYS COMMAND|GETKEYSANDFLAGS
        COMMAND|HELP COMMAND|INFO COMMAND|LIST
        CONFIG|HELP DEBUG DISCARD ECHO EXEC FUNCTION|HELP HELLO LATENCY|DOCTOR LATENCY|GRAPH LATENCY|HELP
        LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST LATENCY|RESET MEMORY|HELP MODULE|HELP MULTI OBJECT|HELP
        PUBSUB|HELP QUIT READONLY READWRITE RESET ROLE SCRIPT|HELP SELECT SLOWLOG|HELP UNWATCH WATCH
        XGROUP|HELP XINFO|HELP""",
    "stale": """CLUSTER|COUNTKEYSINSLOT CLUSTER|GETKEYSINSLOT CLUSTER|INFO CLUSTER|KEYSLOT CLUSTER|LINKS CLUSTER|MYID
        CLUSTER|NODES CLUSTER|RESET CLUSTER|SHARDS CLUSTER|SLOTS FAILOVER REPLICAOF SLAVEOF""",
    "allow_busy": "AUTH DISCARD HELLO MULTI QUIT RESET SHUTDOWN UNWATCH WATCH",
    "no_auth noscript": "AUTH HELLO QUIT RESET",
    "noscript": """CLUSTER|RESET DEBUG LATENCY|DOCTOR LATENCY|GRAPH LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST
        LATENCY|RESET""",
    "admin": "DEBUG",
    "no_async_loading": "BGREWRITEAOF BGSAVE MODULE|LOAD MODULE|LOADEX MODULE|UNLOAD REPLICAOF SAVE SLAVEOF",
    "skip_slowlog": "EXEC",
    "readonly": "LOLWUT",
})

_TIPS = {
    "nondeterministic_output": """CLIENT|INFO CLIENT|LIST CLUSTER|GETKEYSINSLOT CLUSTER|INFO CLUSTER|LINKS CLUSTER|NODES
        CLUSTER|SHARDS CLUSTER|SLOTS DUMP HRANDFIELD HSCAN LASTSAVE MIGRATE OBJECT|ENCODING OBJECT|FREQ
        OBJECT|IDLETIME OBJECT|REFCOUNT PTTL SPOP SRANDMEMBER SSCAN TIME TTL XADD XAUTOCLAIM XCLAIM XINFO|CONSUMERS
        XPENDING XTRIM ZRANDMEMBER ZSCAN""",
    "nondeterministic_output_order": """COMMAND COMMAND|DOCS COMMAND|INFO COMMAND|LIST FUNCTION|LIST HGETALL HKEYS HVALS
        MODULE|LIST SDIFF SINTER SMEMBERS SUNION""",
    "request_policy:all_nodes response_policy:all_succeeded": """CONFIG|SET LATENCY|RESET SCRIPT|FLUSH
        SCRIPT|LOAD SLOWLOG|RESET""",
    "request_policy:all_shards response_policy:agg_sum": "DBSIZE",
    "request_policy:multi_shard response_policy:agg_sum": "DEL EXISTS TOUCH UNLINK",
    "request_policy:all_shards response_policy:all_succeeded": "FLUSHALL FLUSHDB FUNCTION|FLUSH MEMORY|PURGE PING",
    "request_policy:all_shards response_policy:agg_logical_and": "SCRIPT|EXISTS",
    "request_policy:all_shards response_policy:one_succeeded": "SCRIPT|KILL",
    "nondeterministic_output request_policy:all_shards response_policy:special":
        "INFO MEMORY|DOCTOR MEMORY|MALLOC-STATS MEMORY|STATS",
    "request_policy:all_shards nondeterministic_output_order": "KEYS",
    "nondeterministic_output request_policy:all_nodes response_policy:special": """LATENCY|DOCTOR LATENCY|GRAPH
        LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST""",
    "request_policy:multi_shard": "MGET",
    "request_policy:multi_shard response_policy:all_succeeded": "MSET",
    "request_policy:multi_shard response_policy:agg_min": "MSETNX",
    "request_policy:all_shards nondeterministic_output": "RANDOMKEY",
    "nondeterministic_output request_policy:special": "SCAN",
    "request_policy:all_nodes nondeterministic_output": "SLOWLOG|GET",
    "request_policy:all_nodes response_policy:agg_sum nondeterministic_output": "SLOWLOG|LEN",
    "request_policy:all_shards response_policy:agg_min": "WAIT",
}
_TIPS = {name.encode("ascii"): tips.split() for tips, names in _TIPS.items() for name in names.split()}


def flags_of(row):
    """The flags that Redis shows of a command, sorted."""
    flags = (row.flags - OURS) | _MORE_FLAGS.get(row.name, frozenset())
    if row.keys is not None:
        flags |= {"movablekeys"}
    return sorted(flags)


def categories_of(row):
    """The categories (ACL CAT) that a command belongs to."""
    flags = flags_of(row)
    found = ["@fast" if "fast" in flags else "@slow"]
    for flag in flags:
        found.extend(_OF_FLAGS.get(flag, ()))
    container, _, sub_name = row.name.partition(b"|")
    if row.name in _OF_NAMES:
        found.extend(_OF_NAMES[row.name])
    elif sub_name:
        found.append(_OF_CONTAINERS.get(container))
    elif row.subcommands is None:
        found.append(_OF_MODULES.get(row.function.__module__.rpartition(".")[2]))
    return [category for category in dict.fromkeys(found) if category]


def tips_of(row):
    """What a client that talks to many servers is to know about a command."""
    return _TIPS.get(row.name, [])
