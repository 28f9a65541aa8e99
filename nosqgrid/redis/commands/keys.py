"""Commands of keys, whatever they hold."""

from ..exceptions import DataError
from . import arguments
from .arguments import flags, listed, limited


class KeyCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def copy(self, source, destination, destination_db=None, replace=False):
        """Copy a key; whether it did."""
        words = [source, destination] + ([] if destination_db is None else ["DB", destination_db])
        return self.execute_command("COPY", *(words + flags((replace, "REPLACE"))))

    def delete(self, *names):
        """Delete keys; how many there were."""
        return self.execute_command("DEL", *names)

    def unlink(self, *names):
        """Delete keys, large ones by and by; how many there were."""
        return self.execute_command("UNLINK", *names)

    def dump(self, name):
        """The bytes that restore() takes, or None."""
        return self.execute_command("DUMP", name, NEVER_DECODE=[])

    def exists(self, *names):
        """How many of the keys are there."""
        return self.execute_command("EXISTS", *names)

    def expire(self, name, time, nx=False, xx=False, gt=False, lt=False):
        """Let a key go after so many seconds; whether it did."""
        return self.execute_command("EXPIRE", name, arguments.seconds(time), *_conditions(nx, xx, gt, lt))

    def expireat(self, name, when, nx=False, xx=False, gt=False, lt=False):
        """Let a key go at a moment; whether it did."""
        return self.execute_command("EXPIREAT", name, arguments.unix_seconds(when), *_conditions(nx, xx, gt, lt))

    def expiretime(self, key):
        """The moment when a key goes, in seconds since 1970; -1 for never, -2 without a key."""
        return self.execute_command("EXPIRETIME", key)

    def pexpire(self, name, time, nx=False, xx=False, gt=False, lt=False):
        """Let a key go after so many milliseconds; whether it did."""
        return self.execute_command("PEXPIRE", name, arguments.milliseconds(time), *_conditions(nx, xx, gt, lt))

    def pexpireat(self, name, when, nx=False, xx=False, gt=False, lt=False):
        """Let a key go at a moment; whether it did."""
        return self.execute_command("PEXPIREAT", name, arguments.unix_milliseconds(when),
                                    *_conditions(nx, xx, gt, lt))

    def pexpiretime(self, key):
        """The moment when a key goes, in milliseconds since 1970; -1 for never, -2 without a key."""
        return self.execute_command("PEXPIRETIME", key)

    def keys(self, pattern="*", **kwargs):
        """The keys that match a pattern."""
        return self.execute_command("KEYS", pattern, **kwargs)

    def move(self, name, db):
        """Move a key to another database; whether it did."""
        return self.execute_command("MOVE", name, db)

    def persist(self, name):
        """Take away a key's deadline; whether it had one."""
        return self.execute_command("PERSIST", name)

    def pttl(self, name):
        """Milliseconds until a key goes; -1 for never, -2 without a key."""
        return self.execute_command("PTTL", name)

    def ttl(self, name):
        """Seconds until a key goes; -1 for never, -2 without a key."""
        return self.execute_command("TTL", name)

    def randomkey(self, **kwargs):
        """Any key, or None."""
        return self.execute_command("RANDOMKEY", **kwargs)

    def rename(self, src, dst):
        """Rename a key."""
        return self.execute_command("RENAME", src, dst)

    def renamenx(self, src, dst):
        """Rename a key if the new name is free; whether it did."""
        return self.execute_command("RENAMENX", src, dst)

    def restore(self, name, ttl, value, replace=False, absttl=False, idletime=None, frequency=None):
        """Make a key of what dump() gave."""
        words = [name, ttl, value] + flags((replace, "REPLACE"), (absttl, "ABSTTL"))
        for word, number in (("IDLETIME", idletime), ("FREQ", frequency)):
            if number is not None:
                try:
                    words += [word, int(number)]
                except ValueError:
                    raise DataError("%s must be an integer" % ("idletime" if word == "IDLETIME" else "frequency")
                                    ) from None
        return self.execute_command("RESTORE", *words)

    def touch(self, *args):
        """Say that keys are in use; how many there are."""
        return self.execute_command("TOUCH", *args)

    def type(self, name):
        """The type of a value: string, list, ..., none."""
        return self.execute_command("TYPE", name)

    def object(self, infotype, key, **kwargs):
        """ENCODING, FREQ, IDLETIME or REFCOUNT of a value."""
        return self.execute_command("OBJECT", infotype, key, infotype=infotype, **kwargs)

    def sort(self, name, start=None, num=None, by=None, get=None, desc=False, alpha=False, store=None, groups=False):
        """The items of a list, set or sorted set in order; with `groups` as tuples of what `get` fetches."""
        words = [name] + _sort_words(start, num, by, get, desc, alpha)
        if store is not None:
            words += ["STORE", store]
        if groups and (not get or isinstance(get, (bytes, str)) or len(get) < 2):
            raise DataError('when using "groups" the "get" argument must be specified and contain at least two keys')
        return self.execute_command("SORT", *words, groups=len(get) if groups else None)

    def sort_ro(self, key, start=None, num=None, by=None, get=None, desc=False, alpha=False):
        """sort() that stores nothing."""
        return self.execute_command("SORT_RO", key, *_sort_words(start, num, by, get, desc, alpha))

    def migrate(self, host, port, keys, destination_db, timeout, copy=False, replace=False, auth=None, **kwargs):
        """Move keys to another server."""
        names = listed(keys)
        if not names:
            raise DataError("MIGRATE requires at least one key")
        words = flags((copy, "COPY"), (replace, "REPLACE")) + (["AUTH", auth] if auth else []) + ["KEYS"] + names
        return self.execute_command("MIGRATE", host, port, "", destination_db, timeout, *words, **kwargs)

    def scan(self, cursor=0, match=None, count=None, _type=None, **kwargs):
        """Some of the keys: (cursor to go on with, keys); cursor 0 is the beginning and the end."""
        words = [cursor] + _scan_words(match, count) + ([] if _type is None else ["TYPE", _type])
        return self.execute_command("SCAN", *words, **kwargs)

    def sscan(self, name, cursor=0, match=None, count=None):
        """Some of the members of a set."""
        return self.execute_command("SSCAN", name, cursor, *_scan_words(match, count))

    def hscan(self, name, cursor=0, match=None, count=None, no_values=None):
        """Some of the fields of a hash, as a dict."""
        words = [name, cursor] + _scan_words(match, count) + flags((no_values is not None, "NOVALUES"))
        return self.execute_command("HSCAN", *words, no_values=no_values)

    def zscan(self, name, cursor=0, match=None, count=None, score_cast_func=float):
        """Some of the members of a sorted set, with their scores."""
        return self.execute_command("ZSCAN", name, cursor, *_scan_words(match, count),
                                    score_cast_func=score_cast_func)


def _conditions(nx, xx, gt, lt):
    return flags((nx, "NX"), (xx, "XX"), (gt, "GT"), (lt, "LT"))


def _scan_words(match, count):
    return ([] if match is None else ["MATCH", match]) + ([] if count is None else ["COUNT", count])


def _sort_words(start, num, by, get, desc, alpha):
    words = [] if by is None else ["BY", by]
    words += limited(start, num)
    for pattern in [] if get is None else listed(get):
        words += ["GET", pattern]
    return words + flags((desc, "DESC"), (alpha, "ALPHA"))
