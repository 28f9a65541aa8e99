"""The settings of Redis 7.0 by name, with what each is when nobody has set it, and what may be put there."""

_YES = """activerehashing aof-load-truncated aof-rewrite-incremental-fsync aof-use-rdb-preamble
cluster-allow-pubsubshard-when-down cluster-allow-replica-migration cluster-require-full-coverage crash-log-enabled
crash-memcheck-enabled disable-thp dynamic-hz jemalloc-bg-thread protected-mode
rdb-save-incremental-fsync rdbchecksum rdbcompression repl-diskless-sync replica-announced replica-ignore-maxmemory
replica-read-only replica-serve-stale-data set-proc-title stop-writes-on-bgsave-error tls-session-caching"""

_NO = """activedefrag always-show-logo aof-disable-auto-gc aof-timestamp-enabled appendonly
cluster-allow-reads-when-down cluster-enabled cluster-replica-no-failover daemonize enable-module-command
enable-protected-configs io-threads-do-reads latency-tracking lazyfree-lazy-eviction lazyfree-lazy-expire
lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush no-appendfsync-on-rewrite rdb-del-sync-files
repl-disable-tcp-nodelay
replica-ignore-disk-write-errors replica-lazy-flush syslog-enabled tls-cluster tls-prefer-server-ciphers
tls-replication use-exit-on-panic"""

_EMPTY = """aclfile aof_rewrite_cpulist bgsave_cpulist bind bind-source-addr bio_cpulist cluster-announce-hostname
cluster-announce-ip dir ignore-warnings logfile masterauth masteruser notify-keyspace-events pidfile
replica-announce-ip replicaof requirepass save server_cpulist tls-ca-cert-dir tls-ca-cert-file tls-cert-file
tls-ciphers tls-ciphersuites tls-client-cert-file tls-client-key-file tls-client-key-file-pass tls-dh-params-file
tls-key-file tls-key-file-pass tls-protocols unixsocket"""

_NUMBERS = """acllog-max-len=128 active-defrag-cycle-max=25 active-defrag-cycle-min=1
active-defrag-max-scan-fields=1000 active-defrag-threshold-lower=10 active-defrag-threshold-upper=100
active-expire-effort=1 auto-aof-rewrite-percentage=100 busy-reply-threshold=5000 cluster-announce-bus-port=0
cluster-announce-port=0 cluster-announce-tls-port=0 cluster-migration-barrier=1 cluster-node-timeout=15000
cluster-port=0 cluster-replica-validity-factor=10 databases=16 hash-max-listpack-entries=512 hz=10 io-threads=1
key-load-delay=0 latency-monitor-threshold=0 lfu-decay-time=1 lfu-log-factor=10 list-compress-depth=0
list-max-listpack-size=-2 loading-process-events-interval-bytes=2097152 maxclients=10000
maxmemory-eviction-tenacity=10 maxmemory-samples=5 min-replicas-max-lag=10 min-replicas-to-write=0
port=0 rdb-key-save-delay=0 repl-backlog-ttl=3600 repl-diskless-sync-delay=5 repl-diskless-sync-max-replicas=0
repl-ping-replica-period=10 repl-timeout=60 replica-announce-port=0 replica-priority=100 set-max-intset-entries=512
shutdown-timeout=10 slowlog-log-slower-than=-1 slowlog-max-len=128 socket-mark-id=0 stream-node-max-entries=100
tcp-backlog=511 tcp-keepalive=300 timeout=0 tls-port=0 tls-session-cache-size=20480 tls-session-cache-timeout=300
tracking-table-max-keys=1000000 unixsocketperm=0 watchdog-period=0 zset-max-listpack-entries=128"""

_MEMORY = """active-defrag-ignore-bytes=104857600 auto-aof-rewrite-min-size=67108864
client-query-buffer-limit=1073741824 cluster-link-sendbuf-limit=0 hash-max-listpack-value=64
hll-sparse-max-bytes=3000 maxmemory=0 maxmemory-clients=0
proto-max-bulk-len=67108864 repl-backlog-size=1048576 stream-node-max-bytes=4096 zset-max-listpack-value=64"""

_TEXTS = {
    "appenddirname": "appendonlydir", "appendfilename": "appendonly.aof",
    "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    "cluster-config-file": "nodes.conf", "dbfilename": "dump.rdb", "latency-tracking-info-percentiles": "50 99 99.9",
    "oom-score-adj-values": "0 200 800", "proc-title-template": "{title} {listen-addr} {server-mode}",
    "shutdown-on-sigint": "default", "shutdown-on-sigterm": "default", "syslog-facility": "local0",
    "syslog-ident": "redis",
}

# Of these the first is what it is when nobody has set it.
WORDS = {
    "acl-pubsub-default": "resetchannels allchannels", "appendfsync": "everysec always no",
    "cluster-preferred-endpoint-type": "ip hostname unknown-endpoint", "enable-debug-command": "local no yes",
    "loglevel": "notice debug verbose warning",
    "maxmemory-policy": "noeviction volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu "
                        "allkeys-random",
    "oom-score-adj": "no yes relative absolute", "propagation-error-behavior": "ignore panic panic-on-replicas",
    "repl-diskless-load": "disabled on-empty-db swapdb", "sanitize-dump-payload": "yes no clients",
    "supervised": "no upstart systemd auto", "tls-auth-clients": "yes no optional",
}
_LISTED = {  # as a message lists them, where that is another order
    "loglevel": "debug, verbose, notice, warning",
    "maxmemory-policy": "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, "
                        "allkeys-random, noeviction",
}

ALIASES = {
    "cluster-slave-no-failover": "cluster-replica-no-failover",
    "cluster-slave-validity-factor": "cluster-replica-validity-factor", "lua-time-limit": "busy-reply-threshold",
    "min-slaves-max-lag": "min-replicas-max-lag", "min-slaves-to-write": "min-replicas-to-write",
    "repl-ping-slave-period": "repl-ping-replica-period", "slaveof": "replicaof",
}
ALIASES.update(("slave-" + name, "replica-" + name) for name in (
    "announce-ip", "announce-port", "ignore-maxmemory", "lazy-flush", "priority", "read-only", "serve-stale-data"))
ALIASES.update((name.replace("listpack", "ziplist"), name) for name in (
    "hash-max-listpack-entries", "hash-max-listpack-value", "list-max-listpack-size", "zset-max-listpack-entries",
    "zset-max-listpack-value"))

# What a server can only be started with.
FIXED = frozenset("""aclfile aof_rewrite_cpulist appenddirname appendfilename bgsave_cpulist bio_cpulist
cluster-config-file cluster-enabled cluster-port daemonize databases disable-thp enable-debug-command
enable-module-command enable-protected-configs always-show-logo io-threads io-threads-do-reads logfile pidfile
rdbchecksum replicaof server_cpulist set-proc-title supervised syslog-enabled syslog-facility syslog-ident
tcp-backlog unixsocket unixsocketperm""".split())

# Shown only to who names them.
HIDDEN = frozenset(("key-load-delay", "loading-process-events-interval-bytes", "rdb-key-save-delay",
                    "use-exit-on-panic", "watchdog-period"))

# What may also be a part of the memory, in percent.
PERCENT = frozenset(("maxmemory-clients",))

_INT32_MAX, _INT64_MAX = 2 ** 31 - 1, 2 ** 63 - 1
_RANGES = {
    "active-expire-effort": (1, 10), "databases": (1, _INT32_MAX), "hz": (0, _INT32_MAX),
    "hash-max-listpack-entries": (0, _INT64_MAX), "set-max-intset-entries": (0, _INT64_MAX),
    "zset-max-listpack-entries": (0, _INT64_MAX), "slowlog-log-slower-than": (-1, _INT64_MAX),
    "slowlog-max-len": (0, _INT64_MAX), "latency-monitor-threshold": (0, _INT64_MAX),
    "list-max-listpack-size": (-2 ** 31, _INT32_MAX), "key-load-delay": (-2 ** 31, _INT32_MAX),
    "rdb-key-save-delay": (-2 ** 31, _INT32_MAX), "loading-process-events-interval-bytes": (1024, _INT32_MAX),
    "maxclients": (1, 2 ** 32 - 1),
    "maxmemory-samples": (1, _INT32_MAX),
    "port": (0, 65535), "tls-port": (0, 65535), "proto-max-bulk-len": (1 << 20, _INT64_MAX),
    "maxmemory-eviction-tenacity": (0, 100), "stream-node-max-entries": (0, _INT64_MAX),
    "acllog-max-len": (0, _INT64_MAX), "tracking-table-max-keys": (0, _INT64_MAX), "repl-timeout": (1, _INT32_MAX),
    "busy-reply-threshold": (0, _INT64_MAX), "client-query-buffer-limit": (1 << 20, _INT64_MAX),
}

BOOLEAN, WORD, NUMBER, MEMORY, TEXT = range(5)


def _all():
    """{name: (kind, what it is when nobody has set it)}."""
    found = {name: (BOOLEAN, "yes") for name in _YES.split()}
    found.update((name, (BOOLEAN, "no")) for name in _NO.split())
    found.update((name, (TEXT, "")) for name in _EMPTY.split())
    found.update((name, (TEXT, text)) for name, text in _TEXTS.items())
    found.update((name, (WORD, words.split()[0])) for name, words in WORDS.items())
    for kind, block in ((NUMBER, _NUMBERS), (MEMORY, _MEMORY)):
        for pair in block.split():
            name, _, number = pair.partition("=")
            found[name] = kind, number
    return found


KNOWN = _all()


def range_of(name):
    """(least, most) of a number."""
    return _RANGES.get(name, (0, _INT64_MAX if KNOWN[name][0] == MEMORY else _INT32_MAX))


def listed_words(name):
    """The words that one of WORDS may be, for a message."""
    return _LISTED.get(name) or ", ".join(WORDS[name].split())
