"""What becomes of a reply: the table from a command's name to the function that makes the object of it.

One table for sync clients, asyncio clients and pipelines; `callbacks(protocol)` gives each client a copy of its own.
"""

from . import server, shapes, streams

_ALWAYS = (
    (shapes.truth, "AUTH COPY EXPIRE EXPIREAT HEXISTS HMSET MOVE MSETNX PERSIST PSETEX PEXPIRE PEXPIREAT RENAMENX SETEX"
                   " SETNX SMOVE CLIENT|UNBLOCK MODULE|LOAD MODULE|UNLOAD XGROUP|DESTROY"),
    (shapes.number, "HINCRBYFLOAT INCRBYFLOAT"),
    (shapes.ok, "ASKING FLUSHALL FLUSHDB LSET LTRIM MSET PFMERGE READONLY READWRITE RENAME SAVE SELECT SHUTDOWN SLAVEOF"
                " SWAPDB WATCH UNWATCH QUIT ACL|LOAD ACL|SETUSER ACL|SAVE CLIENT|PAUSE CLIENT|SETINFO CLIENT|SETNAME"
                " CLUSTER|ADDSLOTS CLUSTER|ADDSLOTSRANGE CLUSTER|DELSLOTS CLUSTER|DELSLOTSRANGE CLUSTER|FAILOVER"
                " CLUSTER|FORGET CLUSTER|MEET CLUSTER|REPLICATE CLUSTER|RESET CLUSTER|SAVECONFIG"
                " CLUSTER|SET-CONFIG-EPOCH CLUSTER|SETSLOT CONFIG|RESETSTAT CONFIG|SET FUNCTION|DELETE FUNCTION|FLUSH"
                " FUNCTION|RESTORE MEMORY|PURGE SCRIPT|FLUSH SCRIPT|KILL SLOWLOG|RESET XGROUP|CREATE XGROUP|SETID"),
    (streams.read, "XREAD XREADGROUP"),
    (streams.entries, "XRANGE XREVRANGE"),
    (streams.claimed, "XCLAIM"),
    (streams.auto_claimed, "XAUTOCLAIM"),
    (streams.pending, "XPENDING"),
    (streams.info, "XINFO|STREAM"),
    (shapes.found_places, "GEORADIUS GEORADIUSBYMEMBER GEOSEARCH"),
    (shapes.number_or_none, "GEODIST"),
    (shapes.scanned, "SCAN SSCAN"),
    (shapes.scanned_fields, "HSCAN"),
    (shapes.scanned_scores, "ZSCAN"),
    (shapes.stored, "SET"),
    (shapes.grouped, "SORT"),
    (shapes.text, "SCRIPT|LOAD"),
    (shapes.truths, "SCRIPT|EXISTS"),
    (server.pong, "PING"),
    (server.clock, "TIME"),
    (server.moment, "LASTSAVE"),
    (server.info, "INFO"),
    (server.client, "CLIENT|INFO"),
    (server.clients, "CLIENT|LIST"),
    (server.killed, "CLIENT|KILL"),
    (server.cluster, "CLUSTER|INFO"),
    (server.cluster_nodes, "CLUSTER|NODES CLUSTER|REPLICAS CLUSTER|SLAVES"),
    (server.commands, "COMMAND"),
    (server.subscribers, "PUBSUB|NUMSUB PUBSUB|SHARDNUMSUB"),
    (server.slow_log, "SLOWLOG|GET"),
    (server.user, "ACL|GETUSER"),
    (server.acl_log, "ACL|LOG"),
)
_RESP2 = (
    (shapes.as_set, "SDIFF SINTER SMEMBERS SUNION"),
    (shapes.scored, "ZDIFF ZINTER ZPOPMAX ZPOPMIN ZRANGE ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYSCORE ZREVRANK"
                    " ZUNION"),
    (shapes.number_or_none, "ZINCRBY ZSCORE"),
    (shapes.numbers_or_none, "ZMSCORE"),
    (shapes.added, "ZADD"),
    (shapes.always_true, "BGREWRITEAOF BGSAVE"),
    (shapes.as_tuple, "BLPOP BRPOP"),
    (shapes.popped_with_score, "BZPOPMAX BZPOPMIN"),
    (shapes.texts, "ACL|CAT ACL|HELP ACL|LIST ACL|USERS CLIENT|TRACKINGINFO CLUSTER|GETKEYSINSLOT COMMAND|GETKEYS"
                   " GEOHASH"),
    (shapes.text, "ACL|GENPASS ACL|WHOAMI CLIENT|GETNAME RESET"),
    (shapes.positions, "GEOPOS"),
    (shapes.as_dict, "HGETALL"),
    (shapes.common_string, "STRALGO"),
    (shapes.list_of_named, "XINFO|CONSUMERS XINFO|GROUPS"),
    (server.settings, "CONFIG|GET"),
    (server.debug_object, "DEBUG|OBJECT"),
    (server.memory, "MEMORY|STATS"),
    (server.modules, "MODULE|LIST"),
)
_RESP3 = (
    (shapes.as_is, "ZRANGE ZINTER ZPOPMAX ZPOPMIN ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZUNION HGETALL"),
    (streams.read_map, "XREAD XREADGROUP"),
    (shapes.common_string_named, "STRALGO"),
    (shapes.list_of_named, "XINFO|CONSUMERS XINFO|GROUPS"),
    (shapes.named, "MEMORY|STATS"),
    (server.settings, "CONFIG|GET"),
    (server.commands_resp3, "COMMAND"),
    (server.acl_log_resp3, "ACL|LOG"),
)


class Callbacks(dict):
    """Functions by command name, whatever its case."""

    def __init__(self, *args):
        super().__init__()
        for name, function in dict(*args).items():
            self[name] = function

    def __getitem__(self, name):
        return super().__getitem__(name.upper())

    def __setitem__(self, name, function):
        super().__setitem__(name.upper(), function)

    def __contains__(self, name):
        return super().__contains__(name.upper())

    def __delitem__(self, name):
        super().__delitem__(name.upper())

    def get(self, name, default=None):
        """The function of a command."""
        found = super().get(name)  # the usual case needs no upper()
        return super().get(name.upper(), default) if found is None else found


def _table(*parts):
    found = {}
    for part in parts:
        for function, names in part:
            found.update((name.replace("|", " "), function) for name in names.split())
    return found


_TABLES = {2: _table(_ALWAYS, _RESP2), 3: _table(_ALWAYS, _RESP3)}


def callbacks(protocol):
    """A new table for RESP2 or RESP3."""
    return Callbacks(_TABLES[3 if protocol in (3, "3") else 2])


def parsed(table, name, reply, options):
    """What a client returns for a reply to a command."""
    function = table.get(name) if isinstance(name, str) else None
    if function is None:
        return reply
    return function(reply, **options) if options else function(reply)
