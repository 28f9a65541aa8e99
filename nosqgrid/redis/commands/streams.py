"""Commands of streams and their consumer groups."""

from ..exceptions import DataError
from .arguments import flags, is_count, trimmed


class StreamCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def xack(self, name, groupname, *ids):
        """Say that entries are done with; how many."""
        return self.execute_command("XACK", name, groupname, *ids)

    def xadd(self, name, fields, id="*", maxlen=None, approximate=True, nomkstream=False, minid=None, limit=None):
        """Append an entry, a dict of fields, and drop old ones if wanted; its id."""
        if maxlen is not None and minid is not None:
            raise DataError("Only one of ```maxlen``` or ```minid``` may be specified")
        if maxlen is not None and not is_count(maxlen):
            raise DataError("XADD maxlen must be non-negative integer")
        if not isinstance(fields, dict) or not fields:
            raise DataError("XADD fields must be a non-empty dict")
        words = trimmed(maxlen, minid, approximate, limit) + flags((nomkstream, "NOMKSTREAM")) + [id]
        for pair in fields.items():
            words += pair
        return self.execute_command("XADD", name, *words)

    def xautoclaim(self, name, groupname, consumername, min_idle_time, start_id="0-0", count=None, justid=False):
        """Take over entries that others have had for so many ms: [next id, entries, ids of deleted ones]."""
        if min_idle_time is not None and int(min_idle_time) < 0:
            raise DataError("XAUTOCLAIM min_idle_time must be a nonnegative integer")
        if count is not None and int(count) < 0:
            raise DataError("XPENDING count must be a integer >= 0")
        words = [name, groupname, consumername, min_idle_time, start_id] + _count(count) + flags((justid, "JUSTID"))
        return self.execute_command("XAUTOCLAIM", *words, **({"parse_justid": True} if justid else {}))

    def xclaim(self, name, groupname, consumername, min_idle_time, message_ids, idle=None, time=None, retrycount=None,
               force=False, justid=False):
        """Take over entries that others have had for so many ms; they, or their ids."""
        if not is_count(min_idle_time):
            raise DataError("XCLAIM min_idle_time must be a non negative integer")
        if not isinstance(message_ids, (list, tuple)) or not message_ids:
            raise DataError("XCLAIM message_ids must be a non empty list or tuple of message IDs to claim")
        words = [name, groupname, consumername, min_idle_time] + list(message_ids)
        for option, number in (("idle", idle), ("time", time), ("retrycount", retrycount)):
            if number is not None:
                if not isinstance(number, int):
                    raise DataError("XCLAIM %s must be an integer" % option)
                words += [option.upper(), number]
        for option, flag in (("force", force), ("justid", justid)):
            if flag and not isinstance(flag, bool):
                raise DataError("XCLAIM %s must be a boolean" % option)
        words += flags((force, "FORCE"), (justid, "JUSTID"))
        return self.execute_command("XCLAIM", *words, **({"parse_justid": True} if justid else {}))

    def xdel(self, name, *ids):
        """Delete entries; how many there were."""
        return self.execute_command("XDEL", name, *ids)

    def xgroup_create(self, name, groupname, id="$", mkstream=False, entries_read=None):
        """Make a group that begins behind an id."""
        words = [name, groupname, id] + flags((mkstream, "MKSTREAM")) + _entries_read(entries_read)
        return self.execute_command("XGROUP CREATE", *words)

    def xgroup_delconsumer(self, name, groupname, consumername):
        """Remove a consumer; how many entries were pending for it."""
        return self.execute_command("XGROUP DELCONSUMER", name, groupname, consumername)

    def xgroup_destroy(self, name, groupname):
        """Remove a group; whether there was one."""
        return self.execute_command("XGROUP DESTROY", name, groupname)

    def xgroup_createconsumer(self, name, groupname, consumername):
        """Make a consumer; how many are new."""
        return self.execute_command("XGROUP CREATECONSUMER", name, groupname, consumername)

    def xgroup_setid(self, name, groupname, id, entries_read=None):
        """Let a group go on behind another id."""
        return self.execute_command("XGROUP SETID", name, groupname, id, *_entries_read(entries_read))

    def xinfo_consumers(self, name, groupname):
        """The consumers of a group, a list of dicts."""
        return self.execute_command("XINFO CONSUMERS", name, groupname)

    def xinfo_groups(self, name):
        """The groups of a stream, a list of dicts."""
        return self.execute_command("XINFO GROUPS", name)

    def xinfo_stream(self, name, full=False):
        """A stream, a dict."""
        return self.execute_command("XINFO STREAM", name, *flags((full, "FULL")), **({"full": full} if full else {}))

    def xlen(self, name):
        """How many entries there are."""
        return self.execute_command("XLEN", name)

    def xpending(self, name, groupname):
        """A summary of the entries that are delivered and not done with."""
        return self.execute_command("XPENDING", name, groupname)

    def xpending_range(self, name, groupname, min, max, count, consumername=None, idle=None):
        """The entries that are delivered and not done with, a list of dicts."""
        if min is max is count is None:
            if idle is not None or consumername is not None:
                raise DataError("if XPENDING is provided with idle time or consumername, it must be provided with min,"
                                " max and count parameters")
            return self.xpending(name, groupname)
        if min is None or max is None or count is None:
            raise DataError("XPENDING must be provided with min, max and count parameters, or none of them.")
        if idle is not None and int(idle) < 0:
            raise DataError("XPENDING idle must be a integer >= 0")
        if int(count) < 0:
            raise DataError("XPENDING count must be a integer >= 0")
        words = ([] if idle is None else ["IDLE", idle]) + [min, max, count] + ([consumername] if consumername else [])
        return self.execute_command("XPENDING", name, groupname, *words, parse_detail=True)

    def xrange(self, name, min="-", max="+", count=None):
        """Entries between two ids: a list of (id, dict of fields)."""
        return self.execute_command("XRANGE", name, min, max, *_checked_count("XRANGE", count))

    def xrevrange(self, name, max="+", min="-", count=None):
        """xrange() backwards."""
        return self.execute_command("XREVRANGE", name, max, min, *_checked_count("XREVRANGE", count))

    def xread(self, streams, count=None, block=None):
        """Entries behind ids, a dict of key to id; waits up to `block` ms (0: for ever)."""
        words = _block("XREAD", block) + _checked_count("XREAD", count)
        return self.execute_command("XREAD", *(words + _streams("XREAD", streams)))

    def xreadgroup(self, groupname, consumername, streams, count=None, block=None, noack=False):
        """Entries for a consumer of a group; id ">" for those that nobody has got yet."""
        words = ["GROUP", groupname, consumername] + _checked_count("XREADGROUP", count)
        words += _block("XREADGROUP", block) + flags((noack, "NOACK"))
        return self.execute_command("XREADGROUP", *(words + _streams("XREADGROUP", streams)))

    def xtrim(self, name, maxlen=None, approximate=True, minid=None, limit=None):
        """Drop old entries; how many."""
        if maxlen is not None and minid is not None:
            raise DataError("Only one of ``maxlen`` or ``minid`` may be specified")
        if maxlen is None and minid is None:
            raise DataError("One of ``maxlen`` or ``minid`` must be specified")
        return self.execute_command("XTRIM", name, *trimmed(maxlen, minid, approximate, limit))


def _count(count):
    return [] if count is None else ["COUNT", count]


def _checked_count(command, count):
    if count is not None and (not isinstance(count, int) or count < 1):
        raise DataError("%s count must be a positive integer" % command)
    return _count(count)


def _block(command, block):
    if block is not None and not is_count(block):
        raise DataError("%s block must be a non-negative integer" % command)
    return [] if block is None else ["BLOCK", block]


def _streams(command, streams):
    if not isinstance(streams, dict) or not streams:
        raise DataError("%s streams must be a non empty dict" % command)
    return ["STREAMS"] + list(streams.keys()) + list(streams.values())


def _entries_read(number):
    return [] if number is None else ["ENTRIESREAD", number]
