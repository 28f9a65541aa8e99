"""What is to be said about commands of Redis 7.0: in what they differ here and why, and why some are not there.

Only words; whether a command is there is not said here but asked of the command table (cli/commands).  What holds for
all commands, such as the size of values, is in the introduction of docs/redis.md.
"""

_RANDOM = "a negative count chooses %s times at most, so that one reply does not hold everybody up"
_WOKEN = "also serves those who wait for the key it stores, where a value of another type was replaced"
_EQUAL = "with COUNT, members of equal distance come in the order that the sorted set has; in Redis in any"
_BITS = "offsets below 2**29, as a value has at most 64 MiB"
_FLOATS = "numbers from 10**600 on are refused; Redis goes to 10**4932"
_FOLLOW = "NO ONE alone: a grid follows no other server, its data come from its own directory"
_SAVE = "makes a checkpoint in the grid's directory; without one it is refused"
_WALK = "one call looks at 10,000 %s at most, whatever COUNT says"
_SPARSE = "kept sparse up to 3,000 bytes, whatever hll-sparse-max-bytes is"
_LANES = "of the grid's own clients only what comes over a socket, not what they write through shared memory"
_SCRIPTS = ("there is no Lua: known are the scripts of redis-py's Lock, and those that delete or expire a key that has "
            "a certain value")

# NAME, or NAME|SUBCOMMAND, of a command that is there -> in what it differs, and why.

NOTES = {
    "ACL": "rules are for Redis clients: programs that attach are known by their uid, and the commands that they use "
           "(NOSQGRID.*) are commands of their categories too; DEBUG's arguments are checked after they are found",
    "EVAL": _SCRIPTS,
    "EVALSHA": _SCRIPTS,
    "SCRIPT|LOAD": _SCRIPTS,
    "DUMP": "strings are not compressed; any Redis from 7.0 on restores them",
    "OBJECT|ENCODING": "of strings of up to 44 bytes changed by APPEND, SETRANGE or SETBIT the last 1,000 are raw, and "
                       "others as after SET",
    "OBJECT|FREQ": "always 1: how often a key is used is counted, but not on Redis' scale",
    "OBJECT|IDLETIME": "always 0: nobody notes when a key was used; an error only after CONFIG SET of an LFU policy",
    "OBJECT|REFCOUNT": "always 1, also for small integers, which Redis shares",
    "RESTORE": "reads what Redis 2.4 to 7.0 dumps; IDLETIME and FREQ are accepted and change nothing",
    "SCAN": _WALK % "keys of all databases",
    "SORT": "ALPHA compares bytes, whatever the locale; elements that are equal keep their order; BY nosort lists "
            "a set in an order of its own; STORE " + _WOKEN,
    "SORT_RO": "as SORT",
    "MIGRATE": "-IOERR, as when the other server is not there: a grid connects to none; a script with DUMP and RESTORE "
               "does it, docs/redis.md has one",
    "WAIT": "0 at once, as there are no replicas; Redis waits for the timeout first",
    "INCRBYFLOAT": _FLOATS,
    "HINCRBYFLOAT": _FLOATS,
    "LCS": "values up to 1 MiB, and up to 64 MiB of memory for its table",
    "SETBIT": _BITS,
    "GETBIT": _BITS,
    "BITFIELD": _BITS + "; OVERFLOW SAT SET of a signed field to a number near -2**63 gives the least that the field "
                "holds, in Redis the largest",
    "BITFIELD_RO": _BITS,
    "HRANDFIELD": _RANDOM % "1,000,000",
    "HSCAN": _WALK % "fields",
    "SRANDMEMBER": _RANDOM % "1,000,000",
    "SSCAN": _WALK % "members",
    "ZRANDMEMBER": _RANDOM % "10,000,000",
    "ZSCAN": _WALK % "members",
    "ZDIFFSTORE": _WOKEN,
    "ZINTERSTORE": _WOKEN,
    "ZRANGESTORE": _WOKEN,
    "ZUNIONSTORE": _WOKEN,
    "XINFO|STREAM": "radix-tree-nodes is an estimate: there is no such tree",
    "PFADD": _SPARSE,
    "PFMERGE": _SPARSE,
    "GEORADIUS": _EQUAL,
    "GEORADIUS_RO": _EQUAL,
    "GEORADIUSBYMEMBER": _EQUAL,
    "GEORADIUSBYMEMBER_RO": _EQUAL,
    "GEOSEARCH": _EQUAL,
    "GEOSEARCHSTORE": _EQUAL + "; " + _WOKEN,
    "CLIENT|INFO": "as LIST",
    "CLIENT|LIST": "most sizes of buffers are 0; uid, pid and lane are added",
    "CLIENT|NO-EVICT": "accepted; no client is ever disconnected to make room",
    "CLIENT|TRACKING": "what expires is told some 0.1 s later, or when somebody who tracks reads it; FLUSHDB where "
                       "other databases have keys tells BCAST clients of each key as well; beyond "
                       "tracking-table-max-keys the oldest key goes, in Redis any",
    "CLIENT|PAUSE": "does not hold what the grid's own clients write through shared memory",
    "BGREWRITEAOF": _SAVE,
    "BGSAVE": _SAVE,
    "SAVE": _SAVE + "; others are served meanwhile",
    "COMMAND|COUNT": "the grid's own commands, NOSQGRID.*, are counted too",
    "COMMAND|DOCS": "summary, group and subcommands alone",
    "COMMAND|INFO": "key specifications are without notes; channels of shards are not counted among the keys",
    "CONFIG|SET": "all names of Redis are known; those that mean nothing here, maxmemory and maxmemory-policy among "
                  "them, are kept and read back and change nothing",
    "DEBUG": "DIGEST, DIGEST-VALUE (both not Redis' digests), ERROR, OBJECT, SET-ACTIVE-EXPIRE, SLEEP (60 s at most) "
             "alone; for connections from this machine",
    "FLUSHALL": "ASYNC is as SYNC: in one go",
    "FLUSHDB": "ASYNC is as SYNC: in one go; where other databases have keys, it costs deleting each",
    "INFO": "fewer fields; commands are counted from CONFIG RESETSTAT, latency-tracking yes, or INFO commandstats or "
            "latencystats on, unless latency-tracking no was said; memory is that of the grid",
    "LATENCY|DOCTOR": "latencies are not watched, as in a Redis whose monitor is off; what takes long is in SLOWLOG",
    "LATENCY|HISTOGRAM": "commands are counted from the same moment on as for INFO",
    "LOLWUT": "VERSION 5 and 6 draw nothing",
    "MEMORY|DOCTOR": "a pointer to INFO",
    "MEMORY|MALLOC-STATS": "there is no allocator that could tell",
    "MEMORY|STATS": "the numbers of the grid, by other names",
    "MEMORY|USAGE": "what the grid takes, estimated; SAMPLES is not needed",
    "MODULE": "there are none: LIST is empty, and nothing is loaded into the coordinator",
    "MONITOR": "without HELLO and AUTH; times to the millisecond; " + _LANES,
    "REPLICAOF": _FOLLOW,
    "SLAVEOF": _FOLLOW,
    "SHUTDOWN": "NOSAVE keeps as much as SAVE: a grid with a directory writes a checkpoint; for connections over the "
                "Unix socket",
    "SLOWLOG|GET": "off at the start (slowlog-log-slower-than is -1); " + _LANES,
    "SWAPDB": "costs storing all keys of both anew: the database is part of the key",
    "TIME": "to the millisecond",
}

# NAME, or NAME|SUBCOMMAND, of a command that is not there -> why.
ABSENT = {
    "EVAL_RO": "there is no Lua; the scripts that are known all write",
    "EVALSHA_RO": "there is no Lua; the scripts that are known all write",
    "SCRIPT|DEBUG": "there is no Lua",
    "FCALL": "there is no Lua",
    "FCALL_RO": "there is no Lua",
    "FUNCTION|DELETE": "there is no Lua",
    "FUNCTION|DUMP": "there is no Lua",
    "FUNCTION|KILL": "there is no Lua",
    "FUNCTION|LOAD": "there is no Lua",
    "FUNCTION|RESTORE": "there is no Lua",
    "FUNCTION|STATS": "there is no Lua",
    "PSYNC": "there are no replicas",
    "REPLCONF": "there are no replicas",
    "SYNC": "there are no replicas",
    "RESTORE-ASKING": "there is no cluster",
}
_ABSENT_OF_CLUSTERS = """ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNT-FAILURE-REPORTS DELSLOTS DELSLOTSRANGE FAILOVER
FLUSHSLOTS FORGET MEET REPLICAS REPLICATE SAVECONFIG SET-CONFIG-EPOCH SETSLOT SLAVES"""
ABSENT.update(("CLUSTER|" + name, "there is no cluster") for name in _ABSENT_OF_CLUSTERS.split())
