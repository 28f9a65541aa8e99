"""What the coordinator tells about itself: stats for the grid's clients, INFO for Redis'."""

import os
import platform
import resource
import sys

from ..engine.budget import KINDS
from ..engine.databases import COUNT
from ..engine.heap import FREE
from ..limits import CLIENTS_MAX

POLICY_NAMES = {"refuse": "noeviction", "lfu": "allkeys-lfu", "lru": "allkeys-lru"}  # in Redis' words
VERSION = "0.1.0"
REDIS_VERSION = "7.0.15"  # whose commands and replies these are; clients key on it


def log_to_stderr(text):
    """One line, or a few, on stderr."""
    sys.stderr.write("nosqgrid: %s\n" % text)
    sys.stderr.flush()


def stats(server):
    """[(name, value)]: numbers and texts, stable names, units in the names."""
    keyspace, now_ms = server.keyspace, server.clock.monotonic_ms()
    heap, index = keyspace.heap, keyspace.index
    return [
        ("version", VERSION),
        ("pid", os.getpid()),
        ("epoch", server.arena.header.epoch),
        ("socket", server.listener.path),
        ("uptime_s", (now_ms - server.started_ms) // 1000),
        ("clients", sum(1 for session in server.sessions() if session.lane is not None)),
        ("connections", len(server.sessions())),
        ("keys", keyspace.key_count),
        ("keys_expiring", keyspace.expiring),
        ("keys_expired", keyspace.expired_count),
        ("writes", keyspace.version),
        ("commands", server.commands_ended + sum(session.commands for session in server.sessions())),
        ("heap_size_bytes", heap.count << heap.segment_shift),
        ("heap_live_bytes", heap.live_bytes()),
        ("heap_reserved_bytes", heap.reserved_bytes()),
        ("heap_segments", heap.count),
        ("heap_segments_free", sum(1 for state in heap.state if state == FREE)),
        ("heap_segments_cleaned", keyspace.cleaner.segments_cleaned),
        ("heap_bytes_moved", keyspace.cleaner.bytes_moved),
        ("index_slots", index.table.slots),
        ("index_size_bytes", index.reserved_bytes()),
        ("index_growths", index.growths),
        ("index_growth_failures", index.growth_failures),
        ("claims", len(server.claims)),
        ("locks", len(server.locks.table.grants)),
        ("locks_waiting", len(server.locks)),
        ("lanes_refused", server.lanes_refused),
        ("shared_memory", server.arena.file.backend),
        ("value_size_bytes_max", keyspace.value_size_bytes_max),
        ("large_size_bytes_max", min(server.large_values.size_bytes_max(), server.budget.limit_bytes_max)),
    ] + (_memory(server.budget) + server.elastic.stats() + keyspace.evictor.stats() + keyspace.larges.stats()
         + server.pins.stats()
         + server.durability.stats())


def _memory(budget):
    return [("memory_limit_bytes", budget.limit_bytes), ("memory_limit_bytes_max", budget.limit_bytes_max),
            ("memory_used_bytes", budget.total_bytes)] + [("memory_%s_bytes" % kind, budget.used[kind])
                                                          for kind in KINDS]


def growing(server):
    """{name: number} of INFO's numbers that only grow, since the start."""
    keyspace = server.keyspace
    return {
        "total_connections_received": server.admission.accepted,
        "total_commands_processed": server.commands_ended + sum(session.commands for session in server.sessions()),
        "expired_keys": keyspace.expired_count,
        "evicted_keys": sum(keyspace.evictor.evicted.values()),
        "lazyfreed_objects": keyspace.structures.freed_later,
    }


def info(server, section):
    """[(section, [(name, value)])] of INFO: one section by name, or all that INFO shows by default (None)."""
    of_commands = server.oversight.stats.info()
    sections = [("Server", _server_fields(server)), ("Clients", _clients_fields(server)),
                ("Memory", _memory_fields(server)), ("Persistence", server.durability.info()),
                ("Stats", _stats_fields(server)), ("Replication", _replication_fields(server)), ("CPU", _cpu_fields()),
                ("Errorstats", of_commands["Errorstats"]), ("Cluster", [("cluster_enabled", 0)]),
                ("Keyspace", _keyspace_fields(server.keyspace))]
    if section is None or section.lower() == "default":
        return sections
    sections[-2:-2] = [(name, of_commands[name]) for name in ("Commandstats", "Latencystats")]
    if section.lower() in ("all", "everything"):
        return sections
    return [row for row in sections if row[0].lower() == section.lower()]


def _server_fields(server):
    uptime_s = (server.clock.monotonic_ms() - server.started_ms) // 1000
    return [("redis_version", REDIS_VERSION), ("redis_git_sha1", "00000000"), ("redis_git_dirty", 0),
            ("redis_build_id", "0"), ("redis_mode", "standalone"), ("os", platform.platform()),
            ("arch_bits", 64 if sys.maxsize > 2 ** 32 else 32), ("process_id", os.getpid()),
            ("run_id", "%040x" % server.arena.header.epoch), ("tcp_port", server.admission.port),
            ("uptime_in_seconds", uptime_s), ("uptime_in_days", uptime_s // 86400), ("config_file", ""),
            ("nosqgrid_version", VERSION), ("python_version", platform.python_version())]


def _clients_fields(server):
    sessions = server.sessions()
    return [("connected_clients", len(sessions)), ("cluster_connections", 0), ("maxclients", CLIENTS_MAX),
            ("blocked_clients", sum(1 for session in sessions if session.waiting)),
            ("tracking_clients", len(server.tracking.sessions))]


def _memory_fields(server):
    used = server.budget.total_bytes
    return [("used_memory", used), ("used_memory_human", _human(used)), ("used_memory_rss", _rss_bytes()),
            ("mem_not_counted_for_evict", 0), ("maxmemory", server.budget.limit_bytes_max),
            ("maxmemory_human", _human(server.budget.limit_bytes_max)),
            ("maxmemory_policy", POLICY_NAMES[server.policy]), ("mem_allocator", "nosqgrid"),
            ("lazyfree_pending_objects", server.keyspace.structures.left_to_free),
            ("lazyfreed_objects", growing(server)["lazyfreed_objects"]
             - server.stats_before.get("lazyfreed_objects", 0))]


def _human(size_bytes):
    """A size as Redis shows it to people.

    >>> _human(3 << 19), _human(5)
    ('1.50M', '5B')
    """
    for unit, letter in ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size_bytes >= unit:
            return "%.2f%s" % (size_bytes / float(unit), letter)
    return "%dB" % size_bytes


def _stats_fields(server):
    numbers = growing(server)
    fields = [(name, number - server.stats_before.get(name, 0)) for name, number in sorted(numbers.items())
              if name != "lazyfreed_objects"]  # which INFO has among Memory
    return fields + [("pubsub_channels", len(server.pubsub.channels)), ("pubsub_patterns", server.pubsub.pattern_count),
                     ("tracking_total_keys", len(server.tracking)),
                     ("tracking_total_items", server.tracking.items),
                     ("tracking_total_prefixes", len(server.tracking.prefixes)),
                     ("migrate_cached_sockets", 0),
                     ("total_error_replies", sum(server.oversight.stats.errors.values()))]


def _replication_fields(server):
    return [("role", "master"), ("connected_slaves", 0), ("master_failover_state", "no-failover"),
            ("master_replid", "%040x" % server.arena.header.epoch), ("master_repl_offset", 0),
            ("repl_backlog_active", 0)]


def _cpu_fields():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return [("used_cpu_sys", "%.6f" % usage.ru_stime), ("used_cpu_user", "%.6f" % usage.ru_utime)]


def _keyspace_fields(keyspace):
    """A line for each database that has keys."""
    fields, databases = [], keyspace.databases
    for number in range(COUNT):
        keys = databases.key_count(number, keyspace.key_count)
        if keys:
            fields.append(("db%d" % number, "keys=%d,expires=%d,avg_ttl=0"
                           % (keys, databases.expiring_count(number, keyspace.expiring))))
    return fields


def _rss_bytes():
    """The most this process ever used: the kernel's figure, in KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
