"""Commands about the server, its databases and modules, and for publishing."""

from ..exceptions import ConnectionError, DataError, RedisError
from .arguments import flags


def _not_for_this_client(command):
    return NotImplementedError("%s is intentionally not implemented in the client." % command)


class ServerCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def bgrewriteaof(self, **kwargs):
        """Rewrite the log in the background."""
        return self.execute_command("BGREWRITEAOF", **kwargs)

    def bgsave(self, schedule=True, **kwargs):
        """Save in the background."""
        return self.execute_command("BGSAVE", *flags((schedule, "SCHEDULE")), **kwargs)

    def save(self, **kwargs):
        """Save, and wait for it."""
        return self.execute_command("SAVE", **kwargs)

    def lastsave(self, **kwargs):
        """When it was saved, a datetime."""
        return self.execute_command("LASTSAVE", **kwargs)

    def role(self):
        """What this server is to others."""
        return self.execute_command("ROLE")

    def command(self, **kwargs):
        """All commands, a dict of dicts."""
        return self.execute_command("COMMAND", **kwargs)

    def command_info(self, **kwargs):
        """Use execute_command: command() says the same."""
        raise _not_for_this_client("COMMAND INFO")

    def command_count(self, **kwargs):
        """How many commands there are."""
        return self.execute_command("COMMAND COUNT", **kwargs)

    def command_list(self, module=None, category=None, pattern=None):
        """The names of commands, all or those of a module, a category, or like a pattern."""
        words = []
        for word, value in (("MODULE", module), ("ACLCAT", category), ("PATTERN", pattern)):
            words += [] if value is None else [word, value]
        return self.execute_command("COMMAND LIST", *((["FILTERBY"] if words else []) + words))

    def command_getkeysandflags(self, *args):
        """The keys of a command, and what it does with them."""
        return self.execute_command("COMMAND GETKEYSANDFLAGS", *args)

    def command_getkeys(self, *args):
        """The keys of a command."""
        return self.execute_command("COMMAND GETKEYS", *args)

    def command_docs(self, *args):
        """Use execute_command."""
        raise _not_for_this_client("COMMAND DOCS")

    def config_get(self, pattern="*", *args, **kwargs):
        """Settings that match patterns, a dict."""
        return self.execute_command("CONFIG GET", pattern, *args, **kwargs)

    def config_set(self, name, value, *args, **kwargs):
        """Change settings."""
        return self.execute_command("CONFIG SET", name, value, *args, **kwargs)

    def config_resetstat(self, **kwargs):
        """Set the counters of info() to 0."""
        return self.execute_command("CONFIG RESETSTAT", **kwargs)

    def config_rewrite(self, **kwargs):
        """Write the settings into the server's file."""
        return self.execute_command("CONFIG REWRITE", **kwargs)

    def dbsize(self, **kwargs):
        """How many keys there are."""
        return self.execute_command("DBSIZE", **kwargs)

    def debug_object(self, key, **kwargs):
        """What the server knows about a value."""
        return self.execute_command("DEBUG OBJECT", key, **kwargs)

    def debug_segfault(self, **kwargs):
        """It would end the server."""
        raise _not_for_this_client("DEBUG SEGFAULT")

    def echo(self, value, **kwargs):
        """The value that is given."""
        return self.execute_command("ECHO", value, **kwargs)

    def flushall(self, asynchronous=False, **kwargs):
        """Delete all keys of all databases."""
        return self.execute_command("FLUSHALL", *flags((asynchronous, "ASYNC")), **kwargs)

    def flushdb(self, asynchronous=False, **kwargs):
        """Delete all keys of this database."""
        return self.execute_command("FLUSHDB", *flags((asynchronous, "ASYNC")), **kwargs)

    def sync(self):
        """Begin to replicate: the bytes that come are not for this client."""
        return self.execute_command("SYNC", NEVER_DECODE=[])

    def psync(self, replicationid, offset):
        """Begin to replicate from an offset."""
        return self.execute_command("PSYNC", replicationid, offset, NEVER_DECODE=[])

    def swapdb(self, first, second, **kwargs):
        """Let two databases change places."""
        return self.execute_command("SWAPDB", first, second, **kwargs)

    def select(self, index, **kwargs):
        """Change the database of one connection: only of use with single_connection_client."""
        return self.execute_command("SELECT", index, **kwargs)

    def info(self, section=None, *args, **kwargs):
        """What the server says about itself, a dict."""
        return self.execute_command("INFO", *(() if section is None else (section,) + args), **kwargs)

    def lolwut(self, *version_numbers, **kwargs):
        """A picture."""
        name = "LOLWUT VERSION" if version_numbers else "LOLWUT"
        return self.execute_command(name, *version_numbers, **kwargs)

    def reset(self):
        """Let the connection begin anew."""
        return self.execute_command("RESET")

    def hello(self):
        """A connection says it by itself: see `protocol`."""
        raise _not_for_this_client("HELLO")

    def failover(self):
        """Use execute_command."""
        raise _not_for_this_client("FAILOVER")

    def memory_doctor(self, **kwargs):
        """Use execute_command."""
        raise _not_for_this_client("MEMORY DOCTOR")

    def memory_help(self, **kwargs):
        """Use execute_command."""
        raise _not_for_this_client("MEMORY HELP")

    def memory_stats(self, **kwargs):
        """What memory is used for, a dict."""
        return self.execute_command("MEMORY STATS", **kwargs)

    def memory_malloc_stats(self, **kwargs):
        """What the allocator says about itself."""
        return self.execute_command("MEMORY MALLOC-STATS", **kwargs)

    def memory_usage(self, key, samples=None, **kwargs):
        """Bytes that a key takes."""
        words = ["SAMPLES", samples] if isinstance(samples, int) else []
        return self.execute_command("MEMORY USAGE", key, *words, **kwargs)

    def memory_purge(self, **kwargs):
        """Give memory back to the system."""
        return self.execute_command("MEMORY PURGE", **kwargs)

    def latency_doctor(self):
        """Use execute_command."""
        raise _not_for_this_client("LATENCY DOCTOR")

    def latency_graph(self):
        """Use execute_command."""
        raise _not_for_this_client("LATENCY GRAPH")

    def latency_histogram(self, *args):
        """Use execute_command."""
        raise _not_for_this_client("LATENCY HISTOGRAM")

    def latency_history(self, event):
        """How long an event took, of late."""
        return self.execute_command("LATENCY HISTORY", event)

    def latency_latest(self):
        """How long each event took last."""
        return self.execute_command("LATENCY LATEST")

    def latency_reset(self, *events):
        """Forget how long events took."""
        return self.execute_command("LATENCY RESET", *events)

    def ping(self, **kwargs):
        """True, where the server answers."""
        return self.execute_command("PING", **kwargs)

    def replicaof(self, *args, **kwargs):
        """Follow another server, or "NO", "ONE"."""
        return self.execute_command("REPLICAOF", *args, **kwargs)

    def slaveof(self, host=None, port=None, **kwargs):
        """Follow another server, or without arguments none."""
        if host is None and port is None:
            return self.execute_command("SLAVEOF", "NO", "ONE", **kwargs)
        return self.execute_command("SLAVEOF", host, port, **kwargs)

    def slowlog_get(self, num=None, **kwargs):
        """What took long, a list of dicts."""
        return self.execute_command("SLOWLOG GET", *([] if num is None else [num]), NEVER_DECODE=[], **kwargs)

    def slowlog_len(self, **kwargs):
        """How many things took long."""
        return self.execute_command("SLOWLOG LEN", **kwargs)

    def slowlog_reset(self, **kwargs):
        """Forget what took long."""
        return self.execute_command("SLOWLOG RESET", **kwargs)

    def time(self, **kwargs):
        """The server's clock: (seconds, microseconds)."""
        return self.execute_command("TIME", **kwargs)

    def wait(self, num_replicas, timeout, **kwargs):
        """Wait until so many replicas have it all; how many do."""
        return self.execute_command("WAIT", num_replicas, timeout, **kwargs)

    def waitaof(self, num_local, num_replicas, timeout, **kwargs):
        """Wait until it is on disk, here and with so many replicas."""
        return self.execute_command("WAITAOF", num_local, num_replicas, timeout, **kwargs)

    # -- modules, clusters, publishing --------------------------------------------------------------------------------

    def module_load(self, path, *args):
        """Load a module."""
        return self.execute_command("MODULE LOAD", path, *args)

    def module_loadex(self, path, options=None, args=None):
        """Load a module with settings."""
        words = [] if options is None else ["CONFIG"] + list(options)
        words += [] if args is None else ["ARGS"] + list(args)
        return self.execute_command("MODULE LOADEX", path, *words)

    def module_unload(self, name):
        """Unload a module."""
        return self.execute_command("MODULE UNLOAD", name)

    def module_list(self):
        """The modules, a list of dicts."""
        return self.execute_command("MODULE LIST")

    def cluster(self, cluster_arg, *args, **kwargs):
        """A subcommand of CLUSTER."""
        return self.execute_command("CLUSTER %s" % cluster_arg.upper(), *args, **kwargs)

    def readwrite(self, **kwargs):
        """End readonly()."""
        return self.execute_command("READWRITE", **kwargs)

    def readonly(self, **kwargs):
        """Let a replica of a cluster answer reads."""
        return self.execute_command("READONLY", **kwargs)

    def publish(self, channel, message, **kwargs):
        """Send a message; to how many."""
        return self.execute_command("PUBLISH", channel, message, **kwargs)

    def spublish(self, shard_channel, message):
        """publish() in a shard of a cluster."""
        return self.execute_command("SPUBLISH", shard_channel, message)

    def pubsub_channels(self, pattern="*", **kwargs):
        """Channels that somebody listens to."""
        return self.execute_command("PUBSUB CHANNELS", pattern, **kwargs)

    def pubsub_shardchannels(self, pattern="*", **kwargs):
        """The same of shards."""
        return self.execute_command("PUBSUB SHARDCHANNELS", pattern, **kwargs)

    def pubsub_numpat(self, **kwargs):
        """How many patterns are listened to."""
        return self.execute_command("PUBSUB NUMPAT", **kwargs)

    def pubsub_numsub(self, *args, **kwargs):
        """How many listen to each channel, a list of pairs."""
        return self.execute_command("PUBSUB NUMSUB", *args, **kwargs)

    def pubsub_shardnumsub(self, *args, **kwargs):
        """The same of shards."""
        return self.execute_command("PUBSUB SHARDNUMSUB", *args, **kwargs)


def shutdown_words(save, nosave, now, force, abort):
    """The words of SHUTDOWN."""
    if save and nosave:
        raise DataError("SHUTDOWN save and nosave cannot both be set")
    return ["SHUTDOWN"] + flags((save, "SAVE"), (nosave, "NOSAVE"), (now, "NOW"), (force, "FORCE"), (abort, "ABORT"))


class ShutdownCommand(object):
    """SHUTDOWN, which is answered by the end of the connection."""

    def shutdown(self, save=False, nosave=False, now=False, force=False, abort=False, **kwargs):
        """End the server.  Raises RedisError where it does not end."""
        try:
            self.execute_command(*shutdown_words(save, nosave, now, force, abort), **kwargs)
        except ConnectionError:
            return
        raise RedisError("SHUTDOWN seems to have failed.")
